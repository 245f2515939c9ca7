
/*
 * Verdicts, and what Telegram is answered.
 */

#ifndef _NGX_HTTP_TGBOT_ACKNOWLEDGE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ACKNOWLEDGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_method.h"


typedef struct {
    ngx_uint_t                  status;     /* 0: by the verdict */
    ngx_uint_t                  retry_min;  /* of Retry-After, seconds */
    ngx_uint_t                  retry_max;
    ngx_uint_t                  elapsed;    /* of the update's life, seconds */

    /* the call that rides with a 200; strings may be freed afterwards */
    ngx_http_tgbot_method_t    *ride;
} ngx_http_tgbot_acknowledgement_t;


/*
 * Sends the answer for ctx->verdict with a header of its own, so that
 * neither error_page nor special responses, which close the connection, see
 * it.  Returns what ngx_http_finalize_request() is to be called with.
 */
ngx_int_t ngx_http_tgbot_acknowledge(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_acknowledgement_t *ack);


#endif /* _NGX_HTTP_TGBOT_ACKNOWLEDGE_H_INCLUDED_ */
