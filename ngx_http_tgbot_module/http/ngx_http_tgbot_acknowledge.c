
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_acknowledge.h"
#include "ngx_http_tgbot_backoff.h"
#include "ngx_http_tgbot_header.h"


static ngx_int_t ngx_http_tgbot_acknowledge_headers(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_acknowledgement_t *ack);
static ngx_int_t ngx_http_tgbot_acknowledge_ride(ngx_http_request_t *r,
    ngx_http_tgbot_acknowledgement_t *ack);


/* indexed by verdict; 0: ack->status is set, or nothing is sent */

static const ngx_uint_t  ngx_http_tgbot_acknowledge_status[] = {
    NGX_HTTP_INTERNAL_SERVER_ERROR,          /* none */
    NGX_HTTP_OK,                             /* done */
    NGX_HTTP_OK,                             /* queued */
    NGX_HTTP_OK,                             /* duplicate */
    NGX_HTTP_OK,                             /* limited */
    NGX_HTTP_OK,                             /* stale */
    NGX_HTTP_OK,                             /* ignored */
    NGX_HTTP_OK,                             /* dead */
    NGX_HTTP_SERVICE_UNAVAILABLE,            /* busy */
    NGX_HTTP_INTERNAL_SERVER_ERROR,          /* failed */
    0,                                       /* rejected */
    0                                        /* aborted */
};


ngx_int_t
ngx_http_tgbot_acknowledge(ngx_http_request_t *r, ngx_http_tgbot_ctx_t *ctx,
    ngx_http_tgbot_acknowledgement_t *ack)
{
    ngx_int_t  rc;

    /* does nothing if the body has been read */

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = ack->status ? ack->status
                         : ngx_http_tgbot_acknowledge_status[ctx->verdict];

    if (ngx_http_tgbot_acknowledge_headers(r, ctx, ack) != NGX_OK) {
        return NGX_ERROR;
    }

    if (r->headers_out.status == NGX_HTTP_OK && ack->ride) {
        return ngx_http_tgbot_acknowledge_ride(r, ack);
    }

    r->headers_out.content_length_n = 0;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


static ngx_int_t
ngx_http_tgbot_acknowledge_headers(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_acknowledgement_t *ack)
{
    u_char      *value;
    ngx_uint_t   seconds;

    switch (r->headers_out.status) {

    case NGX_HTTP_NOT_ALLOWED:
        return ngx_http_tgbot_header_push(r, "Allow", "POST");

    case NGX_HTTP_TOO_MANY_REQUESTS:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
        break;

    default:
        return NGX_OK;
    }

    seconds = ngx_http_tgbot_backoff_retry_after(ack->retry_min,
                                                 ack->retry_max,
                                                 ctx->update->life,
                                                 ack->elapsed, ngx_random());

    value = ngx_pnalloc(r->pool, NGX_INT_T_LEN + 1);
    if (value == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(value, "%ui%Z", seconds);

    return ngx_http_tgbot_header_push(r, "Retry-After", (char *) value);
}


static ngx_int_t
ngx_http_tgbot_acknowledge_ride(ngx_http_request_t *r,
    ngx_http_tgbot_acknowledgement_t *ack)
{
    ngx_int_t                 rc;
    ngx_buf_t                *b;
    ngx_chain_t               out;
    ngx_http_tgbot_method_t  *ride;

    b = &ack->buf;
    ride = ack->ride;

    b->pos = ride->body.data;
    b->last = b->pos + ride->body.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    r->headers_out.content_type = ride->content_type;
    r->headers_out.content_type_len = ride->content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = ride->body.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
