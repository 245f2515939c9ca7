
/*
 * The connection of a detached request has no socket, so its send_chain is
 * ours, as that of a stream of HTTP/2 is.  It gives the buffers to the output
 * filters of another request, where they stay until the client has taken them.
 * The upstream sees by its buffers how much was taken, and by the write event
 * of the detached connection whether the client takes more.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_buffer.h"
#include "ngx_http_tgbot_call.h"
#include "ngx_http_tgbot_pass.h"


static void ngx_http_tgbot_pass_copy(ngx_http_tgbot_call_t *call,
    ngx_chain_t *in);
static ngx_int_t ngx_http_tgbot_pass_to(ngx_http_tgbot_call_t *call,
    ngx_chain_t *in);
static ngx_int_t ngx_http_tgbot_pass_begin(ngx_http_tgbot_call_t *call);
static void ngx_http_tgbot_pass_kept(void *data);
static void ngx_http_tgbot_pass_list(ngx_list_t *dst, ngx_list_t *src);
static ngx_int_t ngx_http_tgbot_pass_ready(ngx_http_tgbot_call_t *call);
static void ngx_http_tgbot_pass_capture(ngx_http_tgbot_call_t *call,
    ngx_chain_t *in);
static void ngx_http_tgbot_pass_consume(ngx_chain_t *in);


ngx_chain_t *
ngx_http_tgbot_pass_chain(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    ngx_http_tgbot_call_t  *call;

    call = ((ngx_http_tgbot_detached_t *) c)->data;

    if (call == NULL) {
        return NGX_CHAIN_ERROR;
    }

    if (!ngx_http_tgbot_capture_passes(call->sr->headers_out.status)) {
        ngx_http_tgbot_pass_capture(call, in);
        return NULL;
    }

    if (call->copy) {
        ngx_http_tgbot_pass_copy(call, in);
    }

    if (call->to == NULL) {

        if (call->passing) {
            call->cut = 1;
            return NGX_CHAIN_ERROR;
        }

        ngx_http_tgbot_pass_consume(in);
        return NULL;
    }

    if (ngx_http_tgbot_pass_to(call, in) != NGX_OK) {
        call->to = NULL;
        call->cut = 1;
        return NGX_CHAIN_ERROR;
    }

    return NULL;
}


static void
ngx_http_tgbot_pass_copy(ngx_http_tgbot_call_t *call, ngx_chain_t *in)
{
    off_t       size;
    ngx_buf_t  *b;

    b = call->copy;

    for ( /* void */ ; in && !call->cut; in = in->next) {

        size = ngx_buf_size(in->buf);

        if (size == 0) {
            continue;
        }

        if (!ngx_buf_in_memory(in->buf)) {
            call->cut = 1;
            return;
        }

        if (size > b->end - b->last) {
            call->cut = 1;
            size = b->end - b->last;
        }

        b->last = ngx_cpymem(b->last, in->buf->pos, (size_t) size);
    }
}


static ngx_int_t
ngx_http_tgbot_pass_to(ngx_http_tgbot_call_t *call, ngx_chain_t *in)
{
    ngx_http_request_t  *to;

    to = call->to;

    if (!call->passing && ngx_http_tgbot_pass_begin(call) != NGX_OK) {
        return NGX_ERROR;
    }

    if (to->header_only) {
        ngx_http_tgbot_pass_consume(in);
        return NGX_OK;
    }

    if (ngx_http_output_filter(to, in) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_pass_ready(call);
}


static ngx_int_t
ngx_http_tgbot_pass_begin(ngx_http_tgbot_call_t *call)
{
    ngx_int_t            rc;
    ngx_http_request_t  *to;

    to = call->to;

    /* from now on the request refers to memory of the answer */

    if (ngx_http_tgbot_pass_keep(call, to) != NGX_OK) {
        return NGX_ERROR;
    }

    call->passing = 1;

    ngx_http_tgbot_pass_header(to, call->sr);

    rc = ngx_http_send_header(to);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, call->sr->connection->log, 0,
                   "tgbot call is passed on: %ui, %i",
                   to->headers_out.status, rc);

    return (rc == NGX_ERROR || rc > NGX_OK) ? NGX_ERROR : NGX_OK;
}


void
ngx_http_tgbot_pass_header(ngx_http_request_t *to, ngx_http_request_t *sr)
{
    ngx_http_headers_out_t  *src, *dst;

    src = &sr->headers_out;
    dst = &to->headers_out;

    /* typed pointers point to elements of the list, so these are shared */

    *dst = *src;

    ngx_http_tgbot_pass_list(&dst->headers, &src->headers);
    ngx_http_tgbot_pass_list(&dst->trailers, &src->trailers);

    to->disable_not_modified = 1;

    if (to->allow_ranges) {

        /* the range filter adds its own header */

        ngx_http_clear_accept_ranges(to);
        to->allow_ranges = 1;
    }
}


static void
ngx_http_tgbot_pass_list(ngx_list_t *dst, ngx_list_t *src)
{
    if (src->last == &src->part) {
        dst->last = &dst->part;
    }
}


ngx_int_t
ngx_http_tgbot_pass_keep(ngx_http_tgbot_call_t *call, ngx_http_request_t *to)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_tgbot_detached_t  *d;

    d = call->detached ? call->detached : call->ended;

    if (d == NULL || d->kept) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(to->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_tgbot_pass_kept;
    cln->data = d;

    d->kept = 1;

    if (call->detached == NULL) {
        ngx_http_tgbot_detached_leave(d);
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_pass_kept(void *data)
{
    ngx_http_tgbot_detached_t *d = data;

    d->kept = 0;

    if (!d->ending) {
        ngx_http_tgbot_detached_free(d);
    }
}


ngx_uint_t
ngx_http_tgbot_pass_rest(ngx_http_tgbot_call_t *call, ngx_uint_t last)
{
    ngx_chain_t         *out, *cl;
    ngx_http_request_t  *r;

    r = call->detached->request;

    out = r->out;
    r->out = NULL;

    if (out == NULL) {
        return 0;
    }

    if (last) {

        /* the end of a subrequest is a buffer that only syncs */

        for (cl = out; cl->next && cl->next->next; cl = cl->next) { /* void */ }

        if (cl->next && ngx_buf_sync_only(cl->next->buf)) {
            cl->next = NULL;

        } else if (cl->next) {
            cl = cl->next;
        }

        cl->buf->last_buf = 1;
        cl->buf->last_in_chain = 1;
    }

    return ngx_http_tgbot_pass_chain(r->connection, out, 0) == NULL
           && last;
}


ngx_int_t
ngx_http_tgbot_pass_writable(ngx_http_tgbot_call_t *call)
{
    ngx_event_t  *wev;

    if (call->to == NULL) {

        /* the client is gone, and a posted event ends the call */

        return NGX_OK;
    }

    if (ngx_http_output_filter(call->to, NULL) == NGX_ERROR
        || ngx_http_tgbot_pass_ready(call) != NGX_OK)
    {
        return NGX_ERROR;
    }

    wev = call->detached->connection.write;

    if (wev->ready && !wev->posted) {
        ngx_post_event(wev, &ngx_posted_events);
    }

    return NGX_OK;
}


/* shows the upstream whether the client takes more */

static ngx_int_t
ngx_http_tgbot_pass_ready(ngx_http_tgbot_call_t *call)
{
    ngx_event_t               *wev, *client;
    ngx_http_request_t        *to;
    ngx_http_core_loc_conf_t  *clcf;

    to = call->to;
    client = to->connection->write;
    wev = call->detached->connection.write;

    if (client->ready && !client->delayed) {
        wev->ready = 1;
        wev->active = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? 1 : 0;

        return NGX_OK;
    }

    /* the core gives neither event to the event module */

    wev->ready = 0;
    wev->active = 1;

    clcf = ngx_http_get_module_loc_conf(to, ngx_http_core_module);

    return ngx_handle_write_event(client, clcf->send_lowat);
}


/*
 * The postpone filter uses the buffer in sr->out instead of a buffer of
 * subrequest_output_buffer_size, which the location would decide.
 */

ngx_int_t
ngx_http_tgbot_pass_buffer(ngx_http_request_t *sr, size_t size)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_http_tgbot_buffer_create(sr->pool, size);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last_buf = 1;

    cl = ngx_alloc_chain_link(sr->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;

    sr->out = cl;

    return NGX_OK;
}


/* what does not fit is dropped, as the whole answer will be */

static void
ngx_http_tgbot_pass_capture(ngx_http_tgbot_call_t *call, ngx_chain_t *in)
{
    size_t               size;
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *sr;

    sr = call->sr;

    if (sr->out == NULL
        && ngx_http_tgbot_pass_buffer(sr, call->response_size) != NGX_OK)
    {
        call->failed = 1;
    }

    b = sr->out ? sr->out->buf : NULL;

    for (cl = in; cl && !call->failed; cl = cl->next) {

        if (!ngx_buf_in_memory(cl->buf)) {
            continue;
        }

        size = cl->buf->last - cl->buf->pos;

        if (size > (size_t) (b->end - b->last)) {
            call->failed = 1;
            break;
        }

        b->last = ngx_cpymem(b->last, cl->buf->pos, size);
    }

    ngx_http_tgbot_pass_consume(in);
}


static void
ngx_http_tgbot_pass_consume(ngx_chain_t *in)
{
    ngx_buf_t  *b;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        if (ngx_buf_in_memory(b)) {
            b->pos = b->last;
        }

        if (b->in_file) {
            b->file_pos = b->file_last;
        }
    }
}
