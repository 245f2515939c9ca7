
/*
 * The response to Telegram, by the verdict of a delivery.
 */

#ifndef _NGX_HTTP_TGBOT_ACKNOWLEDGE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ACKNOWLEDGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_method.h"


typedef struct {
    ngx_uint_t                  status;     /* 0: depends on the verdict */
    ngx_uint_t                  retry_min;  /* of Retry-After, seconds */
    ngx_uint_t                  retry_max;
    ngx_uint_t                  elapsed;    /* of the Update's life, seconds */

    /* the call that rides in a 200, or NULL; it lives as long as the request */
    ngx_http_tgbot_method_t    *ride;

    ngx_buf_t                   buf;        /* zeroed; with that call */
} ngx_http_tgbot_acknowledgement_t;


/*
 * Sends the response for ctx->verdict by ngx_http_send_header() instead of
 * returning a status, so that neither error_page nor nginx's special
 * responses, which close the connection, replace it.  The caller passes the
 * returned code to ngx_http_finalize_request().
 */
ngx_int_t ngx_http_tgbot_acknowledge(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_acknowledgement_t *ack);


#endif /* _NGX_HTTP_TGBOT_ACKNOWLEDGE_H_INCLUDED_ */
