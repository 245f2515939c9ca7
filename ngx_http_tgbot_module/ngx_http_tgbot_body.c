
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_body.h"


static ngx_int_t ngx_http_tgbot_body_read(ngx_http_request_t *r,
    ngx_buf_t *dst, ngx_buf_t *src);


ngx_int_t
ngx_http_tgbot_body_chain(ngx_http_request_t *r, ngx_chain_t **body)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *in, **ll;

    *body = NULL;
    ll = body;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (in = r->request_body->bufs; in; in = in->next) {

        b = in->buf;

        if (ngx_buf_special(b)) {
            continue;
        }

        cl = ngx_alloc_chain_link(r->pool);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        if (!ngx_buf_in_memory(b)) {

            b = ngx_create_temp_buf(r->pool, (size_t) ngx_buf_size(b));
            if (b == NULL) {
                return NGX_ERROR;
            }

            if (ngx_http_tgbot_body_read(r, b, in->buf) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        cl->buf = b;
        cl->next = NULL;

        *ll = cl;
        ll = &cl->next;
    }

    return NGX_OK;
}


/*
 * Only a body larger than any Update, or one that another module had
 * written, is in a file.
 */

static ngx_int_t
ngx_http_tgbot_body_read(ngx_http_request_t *r, ngx_buf_t *dst,
    ngx_buf_t *src)
{
    size_t   size;
    ssize_t  n;

    size = (size_t) ngx_buf_size(src);

    n = ngx_read_file(src->file, dst->pos, size, src->file_pos);

    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    if ((size_t) n != size) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      ngx_read_file_n " has read only %z of %uz from \"%V\"",
                      n, size, &src->file->name);
        return NGX_ERROR;
    }

    dst->last = dst->pos + size;

    return NGX_OK;
}
