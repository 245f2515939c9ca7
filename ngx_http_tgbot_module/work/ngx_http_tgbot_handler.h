
/*
 * One call of the bot's program, and whether it handled the update.
 */

#ifndef _NGX_HTTP_TGBOT_HANDLER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_HANDLER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


typedef struct ngx_http_tgbot_handler_s  ngx_http_tgbot_handler_t;


struct ngx_http_tgbot_handler_s {

    /* set by the caller before start, the rest zeroed */

    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_ctx_t          *ctx;       /* of the call */
    ngx_http_tgbot_client_t       *client;
    ngx_str_t                      body;      /* the Update as it came */
    ngx_pool_t                    *pool;      /* of all this, as call.h says */

    /*
     * The verdict is done (handled; result holds the answer), busy (the
     * program is unavailable), failed, or ignored (no program for this
     * update).  All but the last two of a good day are logged.  Not called
     * from inside start.
     */
    void                         (*done)(ngx_http_tgbot_handler_t *handler,
                                       ngx_uint_t verdict,
                                       ngx_http_tgbot_capture_t *result);
    void                          *data;

    /* private */

    ngx_http_tgbot_call_t          call;
    ngx_msec_t                     start;     /* of it, where started */

    unsigned                       started:1; /* counted so */
    unsigned                       ignored:1;
    unsigned                       refused:1; /* no usable URI */
};


/* bot->conf->handler is set */
void ngx_http_tgbot_handler_start(ngx_http_tgbot_handler_t *handler);

/*
 * Gives the call up, if it runs; done is not called.  NGX_BUSY: it cannot be
 * given up yet, and goes on.
 */
ngx_int_t ngx_http_tgbot_handler_cancel(ngx_http_tgbot_handler_t *handler);


#endif /* _NGX_HTTP_TGBOT_HANDLER_H_INCLUDED_ */
