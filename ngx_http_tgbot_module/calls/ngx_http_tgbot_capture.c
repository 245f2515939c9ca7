
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_capture.h"
#include "ngx_http_tgbot_header.h"


static void ngx_http_tgbot_capture_failure(ngx_http_tgbot_capture_t *result,
    ngx_http_request_t *sr, ngx_int_t rc, ngx_uint_t failed);
static ngx_uint_t ngx_http_tgbot_capture_decoded(ngx_http_request_t *sr);
static ngx_uint_t ngx_http_tgbot_capture_truncated(ngx_http_request_t *sr);
static void ngx_http_tgbot_capture_collect(ngx_http_tgbot_capture_t *result,
    ngx_http_request_t *sr);
static void ngx_http_tgbot_capture_cache_control(
    ngx_http_tgbot_capture_t *result, ngx_str_t *value);


void
ngx_http_tgbot_capture_result(ngx_http_tgbot_capture_t *result,
    ngx_http_request_t *sr, ngx_int_t rc, ngx_uint_t failed)
{
    ngx_http_core_loc_conf_t  *clcf;

    ngx_memzero(result, sizeof(ngx_http_tgbot_capture_t));

    result->max_age = -1;

    clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);

    result->by_nginx = (sr->upstream == NULL);
    result->external = (sr->upstream != NULL && !clcf->internal);
    result->resent = (ngx_http_tgbot_capture_peers(sr) > 1);

    if (failed || rc == NGX_ERROR || rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_tgbot_capture_failure(result, sr, rc, failed);
        return;
    }

    result->status = sr->headers_out.status;

    if (result->status == 0
        && (rc == NGX_HTTP_CREATED || rc == NGX_HTTP_NO_CONTENT))
    {
        result->status = rc;
    }

    if (result->status == 0) {
        result->outcome = NGX_HTTP_TGBOT_BROKEN;
        result->reason = "the answer has no HTTP status";
        return;
    }

    if (ngx_http_tgbot_capture_truncated(sr)) {
        result->outcome = NGX_HTTP_TGBOT_BROKEN;
        result->reason = "the answer was cut short";
        return;
    }

    if (sr->out || !ngx_http_tgbot_capture_passes(result->status)) {
        ngx_http_tgbot_capture_collect(result, sr);
    }
}


static void
ngx_http_tgbot_capture_failure(ngx_http_tgbot_capture_t *result,
    ngx_http_request_t *sr, ngx_int_t rc, ngx_uint_t failed)
{
    ngx_http_upstream_t  *u;

    u = sr->upstream;

    if (failed && sr->header_sent) {
        ngx_http_tgbot_capture_collect(result, sr);

        ngx_str_null(&result->body);
        result->outcome = NGX_HTTP_TGBOT_BROKEN;
        result->status = sr->headers_out.status;
        result->too_large = 1;
        result->reason = ngx_http_tgbot_capture_decoded(sr)
                         ? "the answer cannot be decoded, or is larger than "
                           "tgbot_response_size"
                         : "the answer is larger than tgbot_response_size";
        return;
    }

    if (u == NULL) {

        if (rc > 0) {
            result->status = rc;
        }

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE
            && rc < NGX_HTTP_INTERNAL_SERVER_ERROR
            && rc != NGX_HTTP_CLOSE)
        {
            return;
        }

        result->outcome = NGX_HTTP_TGBOT_NOT_SENT;
        result->reason = "nginx did not pass the request on";
        return;
    }

    if (u->state && u->state->header_time != (ngx_msec_t) -1) {

        if (rc == NGX_ERROR) {
            result->outcome = NGX_HTTP_TGBOT_BROKEN;
            result->reason = "the answer could not be taken in";
            return;
        }

        /* proxy_intercept_errors: rc is the status of the upstream */

        result->status = rc;
        ngx_http_tgbot_capture_collect(result, sr);
        return;
    }

    if (!u->request_sent && ngx_http_tgbot_capture_peers(sr) == 0) {
        result->outcome = NGX_HTTP_TGBOT_NOT_SENT;
        result->reason = "no connection to the upstream";
        return;
    }

    if (rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        result->outcome = NGX_HTTP_TGBOT_TIMED_OUT;
        result->reason = "no answer in time";
        return;
    }

    result->outcome = NGX_HTTP_TGBOT_BROKEN;
    result->reason = "the connection broke before a proper answer came";
}


/* whether a filter decodes the answer: it has deleted the header */

static ngx_uint_t
ngx_http_tgbot_capture_decoded(ngx_http_request_t *sr)
{
    return sr->upstream
           && ngx_http_tgbot_header(&sr->upstream->headers_in.headers,
                                    "Content-Encoding", NULL)
           && sr->headers_out.content_encoding == NULL;
}


ngx_uint_t
ngx_http_tgbot_capture_peers(ngx_http_request_t *sr)
{
    ngx_uint_t                  i, n;
    ngx_http_upstream_state_t  *state;

    if (sr->upstream_states == NULL) {
        return 0;
    }

    n = 0;
    state = sr->upstream_states->elts;

    for (i = 0; i < sr->upstream_states->nelts; i++) {
        n += (state[i].bytes_sent > 0);
    }

    return n;
}


/*
 * An answer that was cut short after its header was passed on ends with rc 0,
 * from ngx_http_send_special(r, NGX_HTTP_FLUSH), so only the internals of the
 * upstream tell it from a whole answer.
 */

static ngx_uint_t
ngx_http_tgbot_capture_truncated(ngx_http_request_t *sr)
{
    ngx_event_pipe_t     *p;
    ngx_http_upstream_t  *u;

    u = sr->upstream;

    if (u == NULL || !u->header_sent || sr->header_only) {
        return 0;
    }

    p = u->pipe;

    if (!u->buffering || p == NULL) {

        /* unbuffered: an end by close cannot be told from an error */

        return u->length != 0;
    }

    if (p->upstream_done) {
        return 0;
    }

    if (!p->upstream_eof || p->length != -1) {
        return 1;
    }

    /* an end by close is wrong after a Content-Length and with FastCGI */

    return u->headers_in.content_length_n != -1
           || (u->schema.len == sizeof("fastcgi://") - 1
               && ngx_strncmp(u->schema.data, "fastcgi://", u->schema.len)
                  == 0);
}


static void
ngx_http_tgbot_capture_collect(ngx_http_tgbot_capture_t *result,
    ngx_http_request_t *sr)
{
    ngx_buf_t        *b;
    ngx_list_t       *headers;
    ngx_table_elt_t  *h;

    result->type = sr->headers_out.content_type;

    if (sr->out && sr->out->buf) {
        b = sr->out->buf;
        result->body.data = b->pos;
        result->body.len = b->last - b->pos;
    }

    headers = sr->upstream ? &sr->upstream->headers_in.headers
                           : &sr->headers_out.headers;
    h = NULL;

    while ((h = ngx_http_tgbot_header(headers, "Retry-After", h))) {
        if (h->hash != 0 && result->retry_after.len == 0) {
            result->retry_after = h->value;
        }
    }

    if (result->status >= NGX_HTTP_SPECIAL_RESPONSE
        && result->status < NGX_HTTP_BAD_REQUEST)
    {
        h = ngx_http_tgbot_header(headers, "Location", NULL);

        if (h) {
            result->location = h->value;
            h = NULL;
        }
    }

    while ((h = ngx_http_tgbot_header(headers, "Cache-Control", h))) {
        if (h->hash != 0) {
            ngx_http_tgbot_capture_cache_control(result, &h->value);
        }
    }

    /* not those of the upstream: the filter of "gunzip on" deletes it here */

    headers = &sr->headers_out.headers;

    while ((h = ngx_http_tgbot_header(headers, "Content-Encoding", h))) {
        if (h->hash != 0) {
            result->encoding = h->value;
        }
    }
}


static void
ngx_http_tgbot_capture_cache_control(ngx_http_tgbot_capture_t *result,
    ngx_str_t *value)
{
    u_char     *p, *last, *digits;
    ngx_int_t   n;

    p = value->data;
    last = p + value->len;

    if (ngx_strlcasestrn(p, last, (u_char *) "no-store", 8 - 1)
        || ngx_strlcasestrn(p, last, (u_char *) "no-cache", 8 - 1)
        || ngx_strlcasestrn(p, last, (u_char *) "private", 7 - 1))
    {
        result->no_store = 1;
        return;
    }

    /* s-maxage is ignored: tgbot_cache is not a shared HTTP cache */

    p = ngx_strlcasestrn(p, last, (u_char *) "max-age=", 8 - 1);

    if (p == NULL) {
        return;
    }

    digits = p + 8;

    for (p = digits; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }

    n = ngx_atoi(digits, p - digits);

    if (n != NGX_ERROR) {

        /* in milliseconds it must fit into a 32-bit ngx_msec_int_t */

        result->max_age = ngx_min(n, 2147483);
    }
}
