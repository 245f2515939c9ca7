
/*
 * The location of tgbot_gateway: the calls to the Bot API that a bot's program
 * makes by itself.
 */

#ifndef _NGX_HTTP_TGBOT_GATEWAY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_GATEWAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_idempotency_use.h"
#include "ngx_http_tgbot_params.h"
#include "ngx_http_tgbot_send.h"


typedef struct {
    ngx_http_tgbot_ctx_t              ctx;    /* first: the module's context */

    ngx_http_request_t               *request;
    ngx_http_tgbot_gateway_conf_t    *conf;
    ngx_uint_t                        stage;

    ngx_http_tgbot_params_t           params;
    ngx_str_t                        *text;   /* that has chat_id: method.body
                                                 or program.args; NULL: none,
                                                 or program.bufs */
    ngx_str_t                         chat;   /* chat_id, "": none */

    /* a form in a file that is looked through */
    u_char                           *piece;  /* NULL: none is */
    size_t                            kept;   /* bytes in piece */
    off_t                             offset; /* of piece in the body */
    ngx_event_t                       more;   /* reads the next piece */

    ngx_http_tgbot_ctx_t              calls;  /* context of its calls */
    ngx_http_tgbot_client_t           client;
    ngx_http_tgbot_method_t           method;
    ngx_http_tgbot_program_t          program;
    ngx_http_tgbot_send_t             send;
    ngx_event_t                       timer;  /* timeout= */
    ngx_msec_t                        start;  /* of the timeout: the body is
                                                 there */
    ngx_http_tgbot_idempotency_use_t  *once;  /* NULL: the call has no key */

    /* a refusal */
    ngx_uint_t                        status;
    const char                       *error;  /* what follows the status in
                                                 the description, or NULL */

    unsigned                          read:1;      /* we have read the body */
    unsigned                          sending:1;
    unsigned                          answered:1;  /* before the call ended */
    unsigned                          held:1;      /* the client is gone, the
                                                      call goes on */
} ngx_http_tgbot_gateway_t;


/* content handler of the location; returns 404 for a subrequest */
ngx_int_t ngx_http_tgbot_gateway_handler(ngx_http_request_t *r);

/*
 * Handler of the phase "post read", in a configuration with a gateway: takes
 * tokens of bots out of the request line and the path, so that no log has them.
 */
ngx_int_t ngx_http_tgbot_gateway_post_read(ngx_http_request_t *r);


/*
 * Used only in ngx_http_tgbot_gateway*.c.  Stages return
 *
 * NGX_OK     run the next stage
 * NGX_DONE   g->status and g->error are set: go to the stage "refuse"
 * NGX_ERROR  the same with status 500
 * NGX_AGAIN  the call is suspended, or the request has been finalized
 */

/* the stage "parse": finds the chat of the call */
ngx_int_t ngx_http_tgbot_gateway_parse(ngx_http_tgbot_gateway_t *g);

/* the request ends: nothing is read any more; idempotent */
void ngx_http_tgbot_gateway_parse_stop(ngx_http_tgbot_gateway_t *g);

/*
 * For program.migrate: puts another chat_id in its place.  NGX_DECLINED: the
 * call has none, or the program waits no longer.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_gateway_migrate(ngx_http_tgbot_send_t *send,
    int64_t chat_id);

/*
 * Goes on with a call that a stage has suspended, as if the stage returned this
 * code only now.  The request may be gone afterwards.
 */
void ngx_http_tgbot_gateway_go_on(ngx_http_tgbot_gateway_t *g, ngx_int_t rc);

/* for a stage: refuses the call; "error" follows the status, or is NULL */
ngx_int_t ngx_http_tgbot_gateway_no(ngx_http_tgbot_gateway_t *g,
    ngx_uint_t status, const char *error);

/*
 * Lets nginx end the request when its client hangs up, see the cleanup.  A
 * stage that returns NGX_AGAIN calls it before.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_tgbot_gateway_watch(ngx_http_request_t *r);

/*
 * Sends a response, whose header is set but for status and length.  The body
 * must live as long as the request.  Returns what finalizes the request.
 */
ngx_int_t ngx_http_tgbot_gateway_output(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *body);

/* whether tgbot_gateway refuses the method, unless allow= names it */
ngx_uint_t ngx_http_tgbot_gateway_refuses(ngx_str_t *method);


#endif /* _NGX_HTTP_TGBOT_GATEWAY_H_INCLUDED_ */
