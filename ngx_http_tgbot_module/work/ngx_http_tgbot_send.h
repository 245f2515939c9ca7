
/*
 * One Bot API call delivered: called, judged, repeated.
 */

#ifndef _NGX_HTTP_TGBOT_SEND_H_INCLUDED_
#define _NGX_HTTP_TGBOT_SEND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_method.h"


typedef struct ngx_http_tgbot_send_s  ngx_http_tgbot_send_t;


struct ngx_http_tgbot_send_s {

    /* set by the caller before start, the rest zeroed */

    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_ctx_t          *ctx;       /* of the calls it makes */
    ngx_http_tgbot_client_t       *client;
    ngx_http_tgbot_method_t       *method;    /* changed by a migration */
    ngx_pool_t                    *pool;      /* of all this, as call.h says */
    ngx_msec_t                     life;      /* left of the update's life */

    /* of a call that was tried before, else "failures" is 0 */
    ngx_uint_t                     failures;  /* of any kind: for backoff */
    ngx_uint_t                     unknown;   /* sent without an answer */
    ngx_msec_t                     start;     /* of the first try */

    /*
     * done: delivered, refused or "given_up", which is logged.
     * waiting: the call will be repeated after "delay"; the owner may cancel.
     * Neither is called from inside start.
     */
    void                         (*done)(ngx_http_tgbot_send_t *send);
    void                         (*waiting)(ngx_http_tgbot_send_t *send,
                                       ngx_msec_t delay);
    void                          *data;

    /* private */

    ngx_http_tgbot_call_t          call;
    ngx_event_t                    timer;
    ngx_http_tgbot_pause_t         pause;     /* while the bot is paused */

    /* attempts by their ends, of all calls that it was started for */
    ngx_uint_t                     results[NGX_HTTP_TGBOT_API_RESULTS];

    unsigned                       given_up:1;
    unsigned                       active:1;
    unsigned                       started:1; /* a call, counted so */
    unsigned                       migrated:1;
};


/* bot->conf->api is set */
void ngx_http_tgbot_send_start(ngx_http_tgbot_send_t *send);

/*
 * Drops the call, whatever it waits for; done is not called; idempotent.
 * NGX_BUSY: it cannot be dropped yet, and goes on.
 */
ngx_int_t ngx_http_tgbot_send_cancel(ngx_http_tgbot_send_t *send);

/* milliseconds since the first try */
ngx_msec_t ngx_http_tgbot_send_elapsed(ngx_http_tgbot_send_t *send);

/* milliseconds it will still wait before the next try, 0: it does not wait */
ngx_msec_t ngx_http_tgbot_send_delay(ngx_http_tgbot_send_t *send);


/* inside ngx_http_tgbot_send*.c: for the call */


#endif /* _NGX_HTTP_TGBOT_SEND_H_INCLUDED_ */
