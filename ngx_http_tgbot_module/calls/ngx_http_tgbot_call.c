
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_abandon.h"
#include "ngx_http_tgbot_call.h"
#include "ngx_http_tgbot_pass.h"


static ngx_int_t ngx_http_tgbot_call_preaccess(ngx_http_request_t *r);
static ngx_int_t ngx_http_tgbot_call_content(ngx_http_request_t *r);
static void ngx_http_tgbot_call_check_path(ngx_http_tgbot_call_t *call,
    ngx_http_upstream_t *u);
static ngx_hash_elt_t *ngx_http_tgbot_call_find(ngx_hash_t *hash,
    ngx_str_t *name);
static ngx_int_t ngx_http_tgbot_call_x_accel_redirect(ngx_http_request_t *r,
    ngx_table_elt_t *h, ngx_uint_t offset);
static ngx_int_t ngx_http_tgbot_call_x_accel_buffering(ngx_http_request_t *r,
    ngx_table_elt_t *h, ngx_uint_t offset);
static void ngx_http_tgbot_call_run(ngx_http_tgbot_call_slot_t *slot);
static ngx_int_t ngx_http_tgbot_call_subrequest(ngx_http_tgbot_call_t *call);
static ngx_int_t ngx_http_tgbot_call_capture(ngx_http_tgbot_call_t *call);
static ngx_int_t ngx_http_tgbot_call_request(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *r);
static ngx_int_t ngx_http_tgbot_call_body(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *r, ngx_http_request_body_t *rb);
static ngx_int_t ngx_http_tgbot_call_length(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *r, ngx_str_t *value);
static ngx_int_t ngx_http_tgbot_call_ended(ngx_http_request_t *sr, void *data,
    ngx_int_t rc);
static void ngx_http_tgbot_call_over(ngx_http_tgbot_detached_t *d);
static void ngx_http_tgbot_call_finish(ngx_event_t *ev);
static void ngx_http_tgbot_call_result(ngx_http_tgbot_call_t *call,
    ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_call_expire(ngx_event_t *ev);
static void ngx_http_tgbot_call_done(ngx_http_tgbot_call_t *call,
    ngx_http_tgbot_capture_t *result, ngx_http_tgbot_detached_t *d);
static ngx_uint_t ngx_http_tgbot_call_abandon(ngx_http_tgbot_call_t *call);
static void ngx_http_tgbot_call_leave(ngx_http_tgbot_call_t *call);


/* time between two checks whether a thread still works for a request, ms */
#define NGX_HTTP_TGBOT_CALL_BLOCKED_TIME  20


typedef enum {
    NGX_HTTP_TGBOT_CALL_REDIRECT = 0,
    NGX_HTTP_TGBOT_CALL_BUFFERING
} ngx_http_tgbot_call_upstream_header_e;


typedef struct {
    ngx_str_t                   name;
    ngx_http_header_handler_pt  handler;
    ngx_http_header_handler_pt  core;      /* same in all cycles */
} ngx_http_tgbot_call_upstream_header_t;


static ngx_http_tgbot_call_name_t  ngx_http_tgbot_call_host =
    ngx_http_tgbot_call_name("Host");
static ngx_http_tgbot_call_name_t  ngx_http_tgbot_call_content_type =
    ngx_http_tgbot_call_name("Content-Type");
static ngx_http_tgbot_call_name_t  ngx_http_tgbot_call_content_length =
    ngx_http_tgbot_call_name("Content-Length");
static ngx_http_tgbot_call_name_t  ngx_http_tgbot_call_accept_encoding =
    ngx_http_tgbot_call_name("Accept-Encoding");

/* without this header any encoding would be acceptable (RFC 9110, 12.5.3) */
static ngx_str_t  ngx_http_tgbot_call_identity = ngx_string("identity");


static ngx_http_tgbot_call_upstream_header_t  ngx_http_tgbot_call_headers[] = {

    [NGX_HTTP_TGBOT_CALL_REDIRECT] =
        { ngx_string("x-accel-redirect"),
          ngx_http_tgbot_call_x_accel_redirect, NULL },

    /* an unbuffered answer without a length does not show if it is whole */

    [NGX_HTTP_TGBOT_CALL_BUFFERING] =
        { ngx_string("x-accel-buffering"),
          ngx_http_tgbot_call_x_accel_buffering, NULL }
};

static ngx_uint_t  ngx_http_tgbot_call_x_accel_warned;
static ngx_uint_t  ngx_http_tgbot_call_path_warned;
static ngx_uint_t  ngx_http_tgbot_call_exiting;


/*
 * The upstream of a called location must not redirect the call to another
 * location, and proxy_ignore_headers can only be set by the configuration.
 * The hash of upstream headers belongs to this cycle, but its values are
 * shared by all cycles, so a value is replaced by a copy with our handler.
 */

ngx_int_t
ngx_http_tgbot_call_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                              i, n;
    ngx_hash_elt_t                         *elt;
    ngx_http_handler_pt                    *handler;
    ngx_http_core_main_conf_t              *cmcf;
    ngx_http_upstream_header_t             *header;
    ngx_http_upstream_main_conf_t          *umcf;
    ngx_http_tgbot_call_upstream_header_t  *own;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);

    own = ngx_http_tgbot_call_headers;
    n = sizeof(ngx_http_tgbot_call_headers)
        / sizeof(ngx_http_tgbot_call_upstream_header_t);

    for (i = 0; i < n; i++) {
        elt = ngx_http_tgbot_call_find(&umcf->headers_in_hash, &own[i].name);

        if (elt == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "no header \"%V\" among those of upstreams",
                          &own[i].name);
            return NGX_ERROR;
        }

        header = ngx_palloc(cf->pool, sizeof(ngx_http_upstream_header_t));
        if (header == NULL) {
            return NGX_ERROR;
        }

        *header = *(ngx_http_upstream_header_t *) elt->value;

        own[i].core = header->handler;
        header->handler = own[i].handler;

        elt->value = header;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handler = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (handler == NULL) {
        return NGX_ERROR;
    }

    *handler = ngx_http_tgbot_call_preaccess;

    return NGX_OK;
}


/*
 * When nginx looks for the location, it compares the length of the body with
 * client_max_body_size.  This is for bodies of clients, so the length is set
 * after that.
 */

static ngx_int_t
ngx_http_tgbot_call_preaccess(ngx_http_request_t *r)
{
    ngx_http_tgbot_call_t      *call;
    ngx_http_tgbot_detached_t  *d;

    /* a subrequest that another module makes may have a body of its own */

    if (r != r->main && r->request_body == r->main->request_body) {
        d = ngx_http_tgbot_detached_get(r);

        if (d) {
            r->headers_in.content_length_n = d->length;

            call = d->data;

            if (call && call->sr == r
                && r->valid_unparsed_uri
                && r->content_handler
                && r->content_handler != ngx_http_tgbot_call_content)
            {
                call->content = r->content_handler;
                r->content_handler = ngx_http_tgbot_call_content;
            }
        }
    }

    return NGX_DECLINED;
}


/*
 * A proxy_pass without a URI sends r->unparsed_uri.  Other modules must not see
 * the path of the call in it, neither before the content handler runs nor after
 * that has made the request; and their subrequests would inherit it.
 */

static ngx_int_t
ngx_http_tgbot_call_content(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_tgbot_call_t      *call;
    ngx_http_tgbot_detached_t  *d;

    d = ngx_http_tgbot_detached_get(r);
    call = d->data;

    if (call == NULL) {

        /* the call was abandoned */

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->unparsed_uri = call->path;

    rc = call->content(r);

    if (r->upstream == NULL || r->upstream->request_bufs) {
        r->unparsed_uri = r->main->unparsed_uri;

        if (r->upstream) {
            ngx_http_tgbot_call_check_path(call, r->upstream);
        }

    } else if (r != call->sr) {

        /* a request in the background that refreshes a cache */

        ngx_str_null(&r->unparsed_uri);
    }

    return rc;
}


static void
ngx_http_tgbot_call_check_path(ngx_http_tgbot_call_t *call,
    ngx_http_upstream_t *u)
{
    /* modules other than proxy send what their parameters say */

    if (ngx_http_tgbot_call_path_warned
        || u->conf->upstream == NULL
        || u->uri.len == 0
        || (u->uri.len == call->path.len
            && ngx_memcmp(u->uri.data, call->path.data, u->uri.len) == 0))
    {
        return;
    }

    ngx_http_tgbot_call_path_warned = 1;

    ngx_log_error(NGX_LOG_WARN, call->detached->connection.log, 0,
                  "tgbot: the location called by \"%s\" sends all calls to "
                  "\"%V\", expected a \"proxy_pass\" without a URI",
                  call->directive, &u->uri);
}


/* as ngx_hash_find(), but returns the element instead of its value */

static ngx_hash_elt_t *
ngx_http_tgbot_call_find(ngx_hash_t *hash, ngx_str_t *name)
{
    ngx_uint_t       key;
    ngx_hash_elt_t  *elt;

    key = ngx_hash_key(name->data, name->len);
    elt = hash->buckets[key % hash->size];

    while (elt && elt->value) {

        if (elt->len == name->len
            && ngx_strncmp(elt->name, name->data, name->len) == 0)
        {
            return elt;
        }

        elt = (ngx_hash_elt_t *) ngx_align_ptr(&elt->name[0] + elt->len,
                                               sizeof(void *));
    }

    return NULL;
}


static ngx_int_t
ngx_http_tgbot_call_x_accel_redirect(ngx_http_request_t *r,
    ngx_table_elt_t *h, ngx_uint_t offset)
{
    ngx_http_tgbot_call_upstream_header_t  *own;

    own = &ngx_http_tgbot_call_headers[NGX_HTTP_TGBOT_CALL_REDIRECT];

    if (ngx_http_tgbot_detached_get(r) == NULL) {
        return own->core(r, h, offset);
    }

    if (!ngx_http_tgbot_call_x_accel_warned) {
        ngx_http_tgbot_call_x_accel_warned = 1;
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "tgbot: X-Accel-Redirect of a called location is "
                      "ignored");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_call_x_accel_buffering(ngx_http_request_t *r,
    ngx_table_elt_t *h, ngx_uint_t offset)
{
    ngx_http_tgbot_call_upstream_header_t  *own;

    own = &ngx_http_tgbot_call_headers[NGX_HTTP_TGBOT_CALL_BUFFERING];

    if (ngx_http_tgbot_detached_get(r) == NULL) {
        return own->core(r, h, offset);
    }

    return NGX_OK;
}


void
ngx_http_tgbot_call_start(ngx_http_tgbot_call_t *call)
{
    call->active = 1;
    call->failed = 0;
    call->seen = 0;
    call->passing = 0;
    call->cut = 0;

    if (call->copy) {
        call->copy->last = call->copy->pos;
    }

    call->rc = NGX_OK;
    call->sr = NULL;
    call->detached = NULL;

    ngx_memzero(&call->event, sizeof(ngx_event_t));

    call->event.handler = ngx_http_tgbot_call_finish;
    call->event.data = call;
    call->event.log = ngx_cycle->log;

    ngx_memzero(&call->expiry, sizeof(ngx_event_t));

    call->expiry.handler = ngx_http_tgbot_call_expire;
    call->expiry.data = call;
    call->expiry.log = ngx_cycle->log;

    /* an exiting worker does not wait for a call, so not for this timer */

    call->expiry.cancelable = 1;

    call->slot.slots = call->slots;
    call->slot.run = ngx_http_tgbot_call_run;
    call->slot.data = call;

    ngx_http_tgbot_call_slot_enter(&call->slot);
}


static void
ngx_http_tgbot_call_run(ngx_http_tgbot_call_slot_t *slot)
{
    ngx_http_tgbot_call_t  *call;

    call = slot->data;

    if (ngx_http_tgbot_call_subrequest(call) == NGX_OK) {
        ngx_add_timer(&call->expiry, call->timeout);
        return;
    }

    call->sr = NULL;

    if (!call->event.posted) {
        ngx_post_event(&call->event, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_http_tgbot_call_subrequest(ngx_http_tgbot_call_t *call)
{
    ngx_str_t                   uri, args;
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_tgbot_detached_t  *d;

    d = ngx_http_tgbot_detached_create(call->ctx, call->error_log,
                                       call->client, call->redact);
    if (d == NULL) {
        return NGX_ERROR;
    }

    d->log_handler = call->log_handler;
    d->over = ngx_http_tgbot_call_over;
    d->data = call;
    call->detached = d;

    c = &d->connection;
    r = d->request;

    if (ngx_http_tgbot_call_request(call, r) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_null(&uri);
    ngx_str_null(&args);

    if (call->prepare(call, r, &uri, &args) != NGX_OK) {
        return NGX_ERROR;
    }

    d->ps.handler = ngx_http_tgbot_call_ended;
    d->ps.data = d;

    if (ngx_http_subrequest(r, &uri, args.len ? &args : NULL, &call->sr,
                            &d->ps,
                            call->to ? 0 : NGX_HTTP_SUBREQUEST_IN_MEMORY)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    call->sr->method = r->method;
    call->sr->method_name = r->method_name;
    call->sr->valid_unparsed_uri = (call->path.len != 0);

    if (ngx_http_tgbot_call_capture(call) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_run_posted_requests(c);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_call_capture(ngx_http_tgbot_call_t *call)
{
    ngx_http_request_t  *r;

    if (call->to == NULL) {
        return ngx_http_tgbot_pass_buffer(call->sr, call->response_size);
    }

    r = call->detached->request;

    /* the rate is limited for the client, by its own request */

    r->limit_rate_set = 1;

    /* for answers that are captured */

    call->sr->filter_need_in_memory = 1;

    r->connection->send_chain = ngx_http_tgbot_pass_chain;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_call_request(ngx_http_tgbot_call_t *call, ngx_http_request_t *r)
{
    ngx_str_t                 length, *host;
    ngx_http_request_body_t  *rb;

    rb = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    if (rb == NULL) {
        return NGX_ERROR;
    }

    r->request_body = rb;
    r->headers_in.content_length_n = 0;

    if (call->method) {
        r->method = call->method;
        r->method_name = call->method_name;
    }

    if (ngx_http_tgbot_call_body(call, r, rb) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_call_length(call, r, &length) != NGX_OK) {
        return NGX_ERROR;
    }

    host = call->client->host.len ? &call->client->host
                                  : &call->client->server;

    if (ngx_http_tgbot_call_header(r, &ngx_http_tgbot_call_host, host)
           != NGX_OK
        || (call->content_type.len
            && ngx_http_tgbot_call_header(r, &ngx_http_tgbot_call_content_type,
                                          &call->content_type)
               != NGX_OK)
        || ngx_http_tgbot_call_header(r, &ngx_http_tgbot_call_content_length,
                                      &length)
           != NGX_OK
        || ngx_http_tgbot_call_header(r, &ngx_http_tgbot_call_accept_encoding,
                                      &ngx_http_tgbot_call_identity)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_call_body(ngx_http_tgbot_call_t *call, ngx_http_request_t *r,
    ngx_http_request_body_t *rb)
{
    off_t         size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (call->bufs) {
        size = 0;

        for (cl = call->bufs; cl; cl = cl->next) {
            size += ngx_buf_size(cl->buf);
        }

        call->detached->length = size;

        /* an upstream copies the buffers, so each try begins at their start */

        rb->bufs = call->bufs;

        return NGX_OK;
    }

    call->detached->length = call->body.len;

    if (call->body.len) {
        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NGX_ERROR;
        }

        /* an upstream rewinds pos to start before it tries the next peer */

        b->start = call->body.data;
        b->pos = call->body.data;
        b->last = call->body.data + call->body.len;
        b->end = b->last;
        b->memory = 1;
        b->last_buf = 1;

        rb->bufs = ngx_alloc_chain_link(r->pool);
        if (rb->bufs == NULL) {
            return NGX_ERROR;
        }

        rb->bufs->buf = b;
        rb->bufs->next = NULL;
        rb->buf = b;
    }

    return NGX_OK;
}


/* the value of Content-Length, most often as the client wrote it */

static ngx_int_t
ngx_http_tgbot_call_length(ngx_http_tgbot_call_t *call, ngx_http_request_t *r,
    ngx_str_t *value)
{
    off_t                    length;
    ngx_http_headers_in_t   *in;

    length = call->detached->length;

    if (call->to) {
        in = &call->to->headers_in;

        if (in->content_length && in->content_length_n == length) {
            *value = in->content_length->value;
            return NGX_OK;
        }
    }

    value->data = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_sprintf(value->data, "%O", length) - value->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_call_header(ngx_http_request_t *r,
    ngx_http_tgbot_call_name_t *name, ngx_str_t *value)
{
    ngx_table_elt_t            *h;
    ngx_http_core_main_conf_t  *cmcf;

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    if (name->hash == 0) {
        name->hash = ngx_hash_strlow(name->lowcase, name->name.data,
                                     name->name.len);

        /* in a table of the core, the same in all cycles */

        cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

        name->known = ngx_hash_find(&cmcf->headers_in_hash, name->hash,
                                    name->lowcase, name->name.len);
    }

    h->hash = name->hash;
    h->key = name->name;
    h->lowcase_key = name->lowcase;
    h->value = *value;

    /*
     * The core's handlers set the pointers to known headers.  The handler of
     * Host needs the state of a real client, so the pointer is set here;
     * ngx_http_tgbot_detached_create() has set headers_in.server.
     */

    if (name == &ngx_http_tgbot_call_host) {
        r->headers_in.host = h;
        return NGX_OK;
    }

    return name->known ? name->known->handler(r, h, name->known->offset)
                       : NGX_OK;
}


/*
 * The first rc is the outcome; NGX_OK is always returned, so that neither
 * error_page nor a special response takes its place, and so that the core
 * never terminates the main request.  The core may call this handler again
 * for data that was left buffered.
 */

static ngx_int_t
ngx_http_tgbot_call_ended(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_http_tgbot_detached_t *d = data;

    ngx_http_tgbot_call_t  *call;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, sr->connection->log, 0,
                   "tgbot call ended: %i, status:%ui, error:%d", rc,
                   sr->headers_out.status, (int) sr->connection->error);

    if (rc == NGX_AGAIN) {
        return rc;
    }

    call = d->data;

    if (call == NULL) {

        /* the call was abandoned */

        sr->connection->error = 0;
        sr->buffered = 0;

        return NGX_OK;
    }

    if (!call->seen) {
        call->seen = 1;
        call->rc = rc;
    }

    if (call->passing && rc == NGX_HTTP_REQUEST_TIME_OUT) {

        /* the client did not take the rest, whatever came before */

        call->rc = NGX_ERROR;
    }

    /*
     * ngx_http_output_filter() sets c->error when a filter fails; this would
     * end the main request
     */

    if (sr->connection->error) {
        sr->connection->error = 0;
        call->failed = 1;
    }

    if (call->failed || call->rc == NGX_ERROR
        || call->rc >= NGX_HTTP_SPECIAL_RESPONSE)
    {
        sr->buffered = 0;
    }

    if (call->closing) {
        call->closing(call, sr);
    }

    /* njs 0.8.5 and newer may end a request, but not run what that posts */

    ngx_post_event(sr->connection->write, &ngx_posted_events);

    return NGX_OK;
}


/* called from inside the core, so a posted event does the rest */

static void
ngx_http_tgbot_call_over(ngx_http_tgbot_detached_t *d)
{
    ngx_http_tgbot_call_t  *call;

    call = d->data;

    if (!d->terminated && (call->sr == NULL || !call->sr->done)) {
        return;
    }

    if (!call->event.posted) {
        ngx_post_event(&call->event, &ngx_posted_events);
    }
}


static void
ngx_http_tgbot_call_finish(ngx_event_t *ev)
{
    ngx_http_tgbot_call_t      *call;
    ngx_http_tgbot_capture_t    result;
    ngx_http_tgbot_detached_t  *d;

    call = ev->data;
    d = call->detached;

    if (d && d->request->blocked) {

        /* a thread still works for the request */

        ngx_add_timer(ev, NGX_HTTP_TGBOT_CALL_BLOCKED_TIME);
        return;
    }

    if (d && call->sr) {
        ngx_http_tgbot_call_result(call, &result);

    } else {
        ngx_memzero(&result, sizeof(ngx_http_tgbot_capture_t));
        result.outcome = NGX_HTTP_TGBOT_NOT_SENT;
        result.reason = "the call could not be set up";
    }

    ngx_http_tgbot_call_leave(call);
    ngx_http_tgbot_call_done(call, &result, d);
}


static void
ngx_http_tgbot_call_result(ngx_http_tgbot_call_t *call,
    ngx_http_tgbot_capture_t *result)
{
    ngx_int_t            rc;
    ngx_uint_t           pass;
    ngx_http_request_t  *sr;

    sr = call->sr;
    pass = ngx_http_tgbot_capture_passes(sr->headers_out.status);

    if (!pass) {
        (void) ngx_http_tgbot_pass_rest(call, 0);
    }

    rc = call->detached->terminated ? NGX_ERROR : call->rc;

    ngx_http_tgbot_capture_result(result, sr, rc,
                                  call->failed && !call->passing);

    if ((call->to || call->copy) && pass
        && (call->passing || result->outcome == NGX_HTTP_TGBOT_ANSWERED))
    {
        result->ended = ngx_http_tgbot_pass_rest(call,
                                          call->to && result->outcome
                                              == NGX_HTTP_TGBOT_ANSWERED);
    }

    if (call->passing) {
        result->passed = 1;
        result->status = sr->headers_out.status;

        if (call->to == NULL) {

            /* the client went before it had taken the answer */

            result->outcome = NGX_HTTP_TGBOT_ANSWERED;
        }
    }
}


/* the timeout of the call has passed: ends the call in any state */

static void
ngx_http_tgbot_call_expire(ngx_event_t *ev)
{
    ngx_uint_t                  held;
    ngx_http_tgbot_call_t      *call;
    ngx_http_tgbot_capture_t    result;
    ngx_http_tgbot_detached_t  *d;

    call = ev->data;
    d = call->detached;

    /* the call has ended already, and the posted event will finish it */

    if (call->event.posted && !d->request->blocked) {
        return;
    }

    if (call->passing && call->to) {

        /* bytes flow, or proxy_read_timeout or send_timeout ends the call */

        ngx_add_timer(ev, call->timeout);
        return;
    }

    ngx_http_set_log_request(d->connection.log, call->sr);

    held = ngx_http_tgbot_detached_held(d);

    if (held && (call->pool == NULL || !ngx_http_tgbot_call_abandon(call))) {
        ngx_add_timer(ev, call->timeout);
        return;
    }

    if (!held) {
        ngx_log_error(NGX_LOG_ERR, d->connection.log, 0,
                      "tgbot: the call by \"%s\" is aborted after %M ms",
                      call->directive, call->timeout);
    }

    ngx_memzero(&result, sizeof(ngx_http_tgbot_capture_t));

    result.outcome = NGX_HTTP_TGBOT_TIMED_OUT;
    result.expired = 1;
    result.reason = "no end within tgbot_call_timeout";
    result.passed = call->passing;

    ngx_http_tgbot_call_leave(call);
    ngx_http_tgbot_call_done(call, &result, held ? NULL : d);
}


/*
 * done() may free the call, and end the request that keeps the answer: the
 * detached request lives until done() has returned, as the result is in it.
 */

static void
ngx_http_tgbot_call_done(ngx_http_tgbot_call_t *call,
    ngx_http_tgbot_capture_t *result, ngx_http_tgbot_detached_t *d)
{
    call->ended = d;

    if (d == NULL) {
        call->done(call, result);
        return;
    }

    d->ending = 1;

    call->done(call, result);

    d->ending = 0;

    if (!d->kept) {
        ngx_http_tgbot_detached_free(d);
    }
}


static ngx_uint_t
ngx_http_tgbot_call_abandon(ngx_http_tgbot_call_t *call)
{
    ngx_http_tgbot_detached_t  *d;

    d = call->detached;

    ngx_log_error(NGX_LOG_ERR, d->connection.log, 0,
                  "tgbot: the call by \"%s\" has not ended after %M ms, but "
                  "nginx cannot abort it yet: it is abandoned",
                  call->directive, call->timeout);

    if (ngx_http_tgbot_abandon(d, call->pool) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, d->connection.log, 0,
                      "tgbot: too many calls are abandoned, this call still "
                      "counts for \"tgbot_max_calls\"");
        return 0;
    }

    if (call->closing) {
        call->closing(call, call->sr);
    }

    return 1;
}


ngx_int_t
ngx_http_tgbot_call_cancel(ngx_http_tgbot_call_t *call)
{
    ngx_http_tgbot_detached_t  *d;

    if (!call->active) {
        return NGX_OK;
    }

    d = call->detached;

    if (d && d->request->blocked && !ngx_http_tgbot_call_exiting) {
        return NGX_BUSY;
    }

    ngx_http_tgbot_call_leave(call);

    if (d && !d->kept) {
        ngx_http_tgbot_detached_free(d);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_tgbot_call_sent(ngx_http_tgbot_call_t *call)
{
    ngx_http_request_t  *sr;

    if (!call->active || call->detached == NULL || call->sr == NULL) {
        return 0;
    }

    sr = call->sr;

    /* a script in the location may have sent it by itself */

    return sr->upstream == NULL || sr->upstream->request_sent
           || ngx_http_tgbot_capture_peers(sr);
}


void
ngx_http_tgbot_call_exit_process(void)
{
    ngx_http_tgbot_call_exiting = 1;

    ngx_http_tgbot_call_slot_exit_process();
}


static void
ngx_http_tgbot_call_leave(ngx_http_tgbot_call_t *call)
{
    if (call->event.posted) {
        ngx_delete_posted_event(&call->event);
    }

    if (call->event.timer_set) {
        ngx_del_timer(&call->event);
    }

    if (call->expiry.timer_set) {
        ngx_del_timer(&call->expiry);
    }

    if (call->detached && call->detached->kept) {
        ngx_http_tgbot_detached_leave(call->detached);
    }

    call->active = 0;
    call->detached = NULL;

    ngx_http_tgbot_call_slot_leave(&call->slot);
}
