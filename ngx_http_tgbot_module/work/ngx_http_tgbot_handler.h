
/*
 * One attempt: a call of the bot's program and its verdict.
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
    ngx_pool_t                    *pool;      /* see call.h */

    /*
     * The verdict is done (handled; result holds the answer), busy (the
     * program is unavailable), failed, or ignored (no program for this
     * update).  Verdicts busy and failed are logged.  Never called from inside
     * start.
     */
    void                         (*done)(ngx_http_tgbot_handler_t *handler,
                                       ngx_uint_t verdict,
                                       ngx_http_tgbot_capture_t *result);
    void                          *data;

    /* private */

    ngx_http_tgbot_call_t          call;
    ngx_msec_t                     start;     /* set when started */

    unsigned                       started:1; /* and counted */
    unsigned                       ignored:1;
    unsigned                       refused:1; /* no usable URI */
    unsigned                       encoded:1; /* the answer */
};


/* starts the call; bot->conf->handler must be set */
void ngx_http_tgbot_handler_start(ngx_http_tgbot_handler_t *handler);

/*
 * Cancels the call, if there is one; done is not called.  NGX_BUSY: a thread
 * works for the call, so the call goes on.
 */
ngx_int_t ngx_http_tgbot_handler_cancel(ngx_http_tgbot_handler_t *handler);


#endif /* _NGX_HTTP_TGBOT_HANDLER_H_INCLUDED_ */
