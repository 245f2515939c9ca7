
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_body.h"


/* bytes by which nginx's read buffer may be larger than the body in it */
#define NGX_HTTP_TGBOT_BODY_SLACK  4096


static ngx_uint_t ngx_http_tgbot_body_fits(ngx_http_request_body_t *rb,
    off_t size);
static ngx_int_t ngx_http_tgbot_body_replace(ngx_http_request_t *r,
    ngx_buf_t *b);
static ngx_int_t ngx_http_tgbot_body_append(ngx_http_request_t *r,
    ngx_buf_t *dst, ngx_buf_t *src);


ngx_int_t
ngx_http_tgbot_body(ngx_http_request_t *r, ngx_uint_t own, ngx_str_t *body)
{
    off_t                     size;
    ngx_buf_t                *b;
    ngx_uint_t                n;
    ngx_chain_t              *in;
    ngx_http_request_body_t  *rb;

    ngx_str_null(body);

    rb = r->request_body;

    if (rb == NULL) {
        return NGX_OK;
    }

    b = NULL;
    n = 0;
    size = 0;

    for (in = rb->bufs; in; in = in->next) {

        if (!ngx_buf_special(in->buf)) {
            b = in->buf;
            n++;
            size += ngx_buf_size(b);
        }
    }

    if (n == 0) {
        return NGX_OK;
    }

    body->len = (size_t) size;

    if (n == 1 && ngx_buf_in_memory(b)
        && (!own || ngx_http_tgbot_body_fits(rb, size)))
    {
        body->data = b->pos;
        return NGX_OK;
    }

    /* nginx makes a buffer for each chunk, without a bound on their number */

    b = ngx_create_temp_buf(r->pool, body->len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    body->data = b->pos;

    for (in = rb->bufs; in; in = in->next) {

        if (ngx_http_tgbot_body_append(r, b, in->buf) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return own ? ngx_http_tgbot_body_replace(r, b) : NGX_OK;
}


/*
 * nginx reads a body without a Content-Length into a buffer of
 * client_body_buffer_size bytes, most of which stay unused.
 */

static ngx_uint_t
ngx_http_tgbot_body_fits(ngx_http_request_body_t *rb, off_t size)
{
    return rb->buf == NULL
           || rb->buf->end - rb->buf->start - size
              <= NGX_HTTP_TGBOT_BODY_SLACK;
}


static ngx_int_t
ngx_http_tgbot_body_replace(ngx_http_request_t *r, ngx_buf_t *b)
{
    ngx_chain_t              *cl;
    ngx_http_request_body_t  *rb;

    rb = r->request_body;

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;

    rb->bufs = cl;

    if (rb->buf) {
        (void) ngx_pfree(r->pool, rb->buf->start);
        rb->buf = NULL;
    }

    return NGX_OK;
}


/*
 * A body is in a file only if it is larger than any Update, or if another
 * module asked for a file.
 */

static ngx_int_t
ngx_http_tgbot_body_append(ngx_http_request_t *r, ngx_buf_t *dst,
    ngx_buf_t *src)
{
    size_t   size;
    ssize_t  n;

    if (ngx_buf_special(src)) {
        return NGX_OK;
    }

    size = (size_t) ngx_buf_size(src);

    if (ngx_buf_in_memory(src)) {
        dst->last = ngx_cpymem(dst->last, src->pos, size);
        return NGX_OK;
    }

    n = ngx_read_file(src->file, dst->last, size, src->file_pos);

    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    if ((size_t) n != size) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      ngx_read_file_n " has read only %z of %uz from \"%V\"",
                      n, size, &src->file->name);
        return NGX_ERROR;
    }

    dst->last += size;

    return NGX_OK;
}


size_t
ngx_http_tgbot_body_held(ngx_http_request_t *r, ngx_str_t *body)
{
    ngx_buf_t  *b;

    b = r->request_body ? r->request_body->buf : NULL;

    if (b == NULL) {
        return body->len;
    }

    /* the body is in the read buffer, or both are held */

    return (b->end - b->start)
           + ((body->data >= b->start && body->data < b->end) ? 0 : body->len);
}
