
/*
 * One Bot API call: makes it, judges the answer, repeats it where allowed.
 */

#ifndef _NGX_HTTP_TGBOT_SEND_H_INCLUDED_
#define _NGX_HTTP_TGBOT_SEND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_pace_use.h"


typedef struct ngx_http_tgbot_send_s  ngx_http_tgbot_send_t;


/*
 * What a call has that a program makes by itself and waits for.  The program is
 * told what becomes of it, so a 401 does not let it wait, and errors are logged
 * at level info.
 */

typedef struct {
    ngx_http_request_t            *request;   /* see call->to; NULL: all answers
                                                 are captured */
    ngx_uint_t                     method;    /* of HTTP */
    ngx_str_t                      method_name;
    ngx_str_t                      args;      /* the query, "": none */
    ngx_str_t                      file;      /* path of a file, "": a call */
    ngx_chain_t                   *bufs;      /* NULL: method->body */

    /* where method->chat_pos is: a copy that was changed, or NULL */
    ngx_int_t                    (*migrate)(ngx_http_tgbot_send_t *send,
                                       int64_t chat_id);

    ngx_buf_t                     *copy;      /* see call.h; NULL: none */
} ngx_http_tgbot_program_t;


struct ngx_http_tgbot_send_s {

    /* set by the caller before start, the rest zeroed */

    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_loc_conf_t     *conf;      /* tgbot_retry ... */
    ngx_http_tgbot_ctx_t          *ctx;       /* of the calls it makes */
    ngx_http_tgbot_client_t       *client;
    ngx_http_tgbot_method_t       *method;    /* changed by a migration */
    ngx_http_tgbot_program_t      *program;   /* NULL: a call of an answer */
    ngx_pool_t                    *pool;      /* see call.h */
    ngx_msec_t                     life;      /* ms from "start" on */

    /*
     * Of a call that was tried before; otherwise "failures" must be 0.  A call
     * that must not be repeated is given up at once if "unknown" is not 0.
     */
    ngx_uint_t                     failures;  /* of any kind, for backoff */
    ngx_uint_t                     unknown;   /* of unknown outcome */
    ngx_msec_t                     start;     /* of the first try */

    /*
     * done: the call succeeded, was refused (logged), or was given up (logged),
     * then "given_up" is set.  "result" is the last answer; NULL: the call was
     * given up while it waited.
     * waiting: the call is repeated after "delay" ms; the owner may cancel it.
     * Neither is called from inside start, but after an NGX_ERROR of leaving().
     */
    void                         (*done)(ngx_http_tgbot_send_t *send);
    void                         (*waiting)(ngx_http_tgbot_send_t *send,
                                       ngx_msec_t delay);
    void                          *data;

    /*
     * A request is about to be sent, the first one or a repeat.  NGX_ERROR: it
     * must not be sent.  NULL: it may.
     */
    ngx_int_t                    (*sending)(ngx_http_tgbot_send_t *send);

    /*
     * It is the call's turn, for the first request or a repeat.  NGX_AGAIN: the
     * owner calls ngx_http_tgbot_send_proceed() later, or cancels the call.
     * NGX_DONE: the owner has cancelled it, and may have freed "send".
     * NGX_ERROR: it is repeated or given up.  NULL: NGX_OK.
     */
    ngx_int_t                    (*leaving)(ngx_http_tgbot_send_t *send);

    /*
     * May be set before start: order, bulk, paid, conf; and chat, which is
     * otherwise taken from the method.
     */
    ngx_http_tgbot_turn_t          turn;

    /* for done */

    ngx_http_tgbot_capture_t      *result;
    ngx_uint_t                     status;    /* of the last request's answer by
                                                 the Bot API; 0: none */
    const char                    *reason;    /* why it was given up */
    ngx_msec_t                     busy;      /* ms after which a program's call
                                                 might go; its turn would have
                                                 come too late; 0: it did not */

    /* private */

    ngx_http_tgbot_call_t          call;
    ngx_event_t                    timer;
    ngx_http_tgbot_pause_t         pause;     /* while the bot is paused */

    /* requests made, by result, over all calls since it was zeroed */
    ngx_uint_t                     results[NGX_HTTP_TGBOT_API_RESULTS];

    unsigned                       broadcast:1;  /* set by the caller: never
                                                    repeated after an unknown
                                                    outcome, and logged at
                                                    info */
    unsigned                       given_up:1;
    unsigned                       unsure:1;  /* an attempt that was not
                                                 answered may have been
                                                 executed */
    unsigned                       active:1;
    unsigned                       started:1; /* and counted */
    unsigned                       migrated:1;
    unsigned                       named:1;   /* turn.chat is the method's */
};


/* starts the call; bot->conf->api must be set */
void ngx_http_tgbot_send_start(ngx_http_tgbot_send_t *send);

/* ends the wait for leaving(): rc is NGX_OK or NGX_ERROR */
void ngx_http_tgbot_send_proceed(ngx_http_tgbot_send_t *send, ngx_int_t rc);

/*
 * Cancels the call in any state; done is not called; idempotent.
 * NGX_BUSY: a thread works for the call, so the call goes on.
 */
ngx_int_t ngx_http_tgbot_send_cancel(ngx_http_tgbot_send_t *send);

/* milliseconds since the first try */
ngx_msec_t ngx_http_tgbot_send_elapsed(ngx_http_tgbot_send_t *send);

/* milliseconds until the next try, at least; 0: the call does not wait */
ngx_msec_t ngx_http_tgbot_send_delay(ngx_http_tgbot_send_t *send);


#endif /* _NGX_HTTP_TGBOT_SEND_H_INCLUDED_ */
