
/*
 * The connection of a detached request is a plain structure outside
 * cycle->connections.  So it takes no connection of worker_connections, and it
 * cannot be reused while the core still uses it.  Its events are marked active
 * or ready from the start, so the core never passes them to the event module.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_detached.h"
#include "ngx_http_tgbot_redact.h"

#if defined __has_feature
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define NGX_HTTP_TGBOT_DETACHED_ASAN  1
#endif
#endif


/*
 * Not a socket.  -1 has other meanings: a timer of lua-nginx-module, or a
 * connection that nginx has closed.
 */
#define NGX_HTTP_TGBOT_DETACHED_FD     ((ngx_socket_t) -2)

/* r->count without a subrequest: the core's reference, and one of ours */
#define NGX_HTTP_TGBOT_DETACHED_COUNT  2

/* requests kept for reuse; a peak does not hold more memory for ever */
#define NGX_HTTP_TGBOT_DETACHED_SPARE  128

/* blocks that the pool of such a request keeps beyond those it began with */
#define NGX_HTTP_TGBOT_DETACHED_BLOCKS  2


static void ngx_http_tgbot_detached_connection(ngx_http_tgbot_detached_t *d,
    ngx_http_tgbot_client_t *client);
static void ngx_http_tgbot_detached_log(ngx_http_tgbot_detached_t *d);
static ngx_int_t ngx_http_tgbot_detached_make(ngx_http_tgbot_detached_t *d);
static ngx_int_t ngx_http_tgbot_detached_request(ngx_http_tgbot_detached_t *d);
static void ngx_http_tgbot_detached_remember(ngx_http_tgbot_detached_t *d);
static void ngx_http_tgbot_detached_again(ngx_http_tgbot_detached_t *d,
    ngx_http_conf_ctx_t *ctx);
static void ngx_http_tgbot_detached_handler(ngx_event_t *ev);
static void ngx_http_tgbot_detached_wakeup(ngx_http_request_t *r);
static void ngx_http_tgbot_detached_cleanup(void *data);
static void ngx_http_tgbot_detached_events(ngx_connection_t *c);
static void ngx_http_tgbot_detached_gone(ngx_http_tgbot_detached_t *d);
static void ngx_http_tgbot_detached_end(ngx_http_request_t *r);
static ngx_uint_t ngx_http_tgbot_detached_keep(ngx_http_tgbot_detached_t *d);
static void ngx_http_tgbot_detached_clear(ngx_http_tgbot_detached_t *d);
static void ngx_http_tgbot_detached_poison(ngx_http_tgbot_detached_t *d);
static void ngx_http_tgbot_detached_unpoison(ngx_http_tgbot_detached_t *d);
static u_char *ngx_http_tgbot_detached_log_error(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_tgbot_detached_log_writer(ngx_log_t *log,
    ngx_uint_t level, u_char *buf, size_t len);


static ngx_str_t  ngx_http_tgbot_detached_protocol = ngx_string("HTTP/1.1");
static ngx_str_t  ngx_http_tgbot_detached_post = ngx_string("POST");

static ngx_http_tgbot_detached_t  *ngx_http_tgbot_detached_spare;
static ngx_uint_t                  ngx_http_tgbot_detached_nspare;


ngx_http_tgbot_detached_t *
ngx_http_tgbot_detached_create(ngx_http_conf_ctx_t *ctx, ngx_log_t *error_log,
    ngx_http_tgbot_client_t *client, ngx_array_t *redact)
{
    ngx_http_tgbot_detached_t  *d;

    d = ngx_http_tgbot_detached_spare;

    if (d) {
        ngx_http_tgbot_detached_unpoison(d);

        ngx_http_tgbot_detached_spare = d->next;
        ngx_http_tgbot_detached_nspare--;

    } else {
        d = ngx_alloc(sizeof(ngx_http_tgbot_detached_t), error_log);
        if (d == NULL) {
            return NULL;
        }

        d->block = NULL;
    }

    ngx_memzero(d, offsetof(ngx_http_tgbot_detached_t, request));

    d->error_log = error_log;
    d->redact = redact;

    ngx_http_tgbot_detached_connection(d, client);

    d->http_connection.conf_ctx = ctx;

    if (d->block) {
        ngx_http_tgbot_detached_again(d, ctx);

    } else if (ngx_http_tgbot_detached_make(d) != NGX_OK) {
        return NULL;
    }

    d->request->headers_in.server = client->server;

    return d;
}


static void
ngx_http_tgbot_detached_connection(ngx_http_tgbot_detached_t *d,
    ngx_http_tgbot_client_t *client)
{
    ngx_connection_t  *c;

    c = &d->connection;

    c->fd = NGX_HTTP_TGBOT_DETACHED_FD;
    c->read = &d->read;
    c->write = &d->write;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = ngx_current_msec;

    ngx_http_tgbot_detached_log(d);

    d->log_ctx.connection = c;

    c->log = &d->log;
    c->log_error = NGX_ERROR_INFO;

    /* unbuffered proxying must not call setsockopt(): there is no socket */

    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;

    c->sockaddr = client->sockaddr;
    c->socklen = client->socklen;
    c->addr_text = client->addr_text;
    c->local_sockaddr = client->local_sockaddr;
    c->local_socklen = client->local_socklen;

    d->read.data = c;
    d->read.log = &d->log;
    d->read.index = NGX_INVALID_INDEX;
    d->read.handler = ngx_http_tgbot_detached_handler;
    d->read.active = 1;

    /*
     * ready: the event pipe writes only to a downstream that is ready.
     * active only if events are edge-triggered: the core would delete an
     * active level-triggered event.
     */

    d->write.data = c;
    d->write.log = &d->log;
    d->write.index = NGX_INVALID_INDEX;
    d->write.handler = ngx_http_tgbot_detached_handler;
    d->write.write = 1;
    d->write.active = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? 1 : 0;
    d->write.ready = 1;
}


/* copies the whole structure, as forks of nginx have other members in it */

static void
ngx_http_tgbot_detached_log(ngx_http_tgbot_detached_t *d)
{
    d->log = *d->error_log;
    d->log.connection = d->connection.number;
    d->log.handler = ngx_http_tgbot_detached_log_error;
    d->log.data = &d->log_ctx;
    d->log.action = NULL;
    d->log.next = NULL;
    d->log.writer = ngx_http_tgbot_detached_log_writer;
    d->log.wdata = d;
}


static ngx_int_t
ngx_http_tgbot_detached_make(ngx_http_tgbot_detached_t *d)
{
    ngx_http_request_t  *r;

    d->connection.data = &d->http_connection;

    r = ngx_http_create_request(&d->connection);
    if (r == NULL) {
        ngx_free(d);
        return NGX_ERROR;
    }

    d->request = r;
    d->connection.data = r;
    d->connection.pool = r->pool;

    /* ngx_http_create_request() has set the log of the server */

    ngx_http_tgbot_detached_log(d);

    if (ngx_http_tgbot_detached_request(d) != NGX_OK) {
        ngx_http_tgbot_detached_free(d);
        return NGX_ERROR;
    }

    ngx_http_tgbot_detached_remember(d);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_detached_request(ngx_http_tgbot_detached_t *d)
{
    ngx_http_request_t  *r;
    ngx_http_cleanup_t  *cln;

    r = d->request;

#if (NGX_STAT_STUB)

    /* stub_status counts requests of clients only */

    (void) ngx_atomic_fetch_add(ngx_stat_reading, -1);
    (void) ngx_atomic_fetch_add(ngx_stat_requests, -1);
    r->stat_reading = 0;

#endif

    /* our reference stays: at zero the core would close the connection */

    r->count = NGX_HTTP_TGBOT_DETACHED_COUNT;

    r->logged = 1;
    r->internal = 1;
    r->method = NGX_HTTP_POST;
    r->method_name = ngx_http_tgbot_detached_post;
    r->http_version = NGX_HTTP_VERSION_11;
    r->http_protocol = ngx_http_tgbot_detached_protocol;
    ngx_str_set(&r->uri, "/");
    r->unparsed_uri = r->uri;
    r->http_state = NGX_HTTP_PROCESS_REQUEST_STATE;
    r->write_event_handler = ngx_http_tgbot_detached_wakeup;

    if (ngx_list_init(&r->headers_in.headers, r->pool, 8,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

#if !(NGX_HTTP_TGBOT_COOKIE_LIST)

    if (ngx_array_init(&r->headers_in.cookies, r->pool, 1,
                       sizeof(ngx_table_elt_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

#endif

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_tgbot_detached_cleanup;
    cln->data = d;

    return NGX_OK;
}


/*
 * A request with its pool takes long to make and to free, so one that has ended
 * is used again: it becomes what it was when it was made, whatever members it
 * has in this nginx.
 */

static void
ngx_http_tgbot_detached_remember(ngx_http_tgbot_detached_t *d)
{
    ngx_pool_t  *pool, *p;

    pool = d->request->pool;

    if (pool->cleanup) {
        return;
    }

    for (p = pool; p->d.next; p = p->d.next) { /* void */ }

    d->block = p;
    d->last = p->d.last;
    d->large = pool->large;
    d->made = *d->request;
}


static void
ngx_http_tgbot_detached_again(ngx_http_tgbot_detached_t *d,
    ngx_http_conf_ctx_t *ctx)
{
    ngx_time_t                 *tp;
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_core_main_conf_t  *cmcf;

    c = &d->connection;
    r = d->request;

    *r = d->made;

    r->main_conf = ctx->main_conf;
    r->srv_conf = ctx->srv_conf;
    r->loc_conf = ctx->loc_conf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    ngx_memzero(r->ctx, ngx_http_max_module * sizeof(void *));
    ngx_memzero(r->variables, cmcf->variables.nelts
                              * sizeof(ngx_http_variable_value_t));

    tp = ngx_timeofday();
    r->start_sec = tp->sec;
    r->start_msec = tp->msec;

    c->data = r;
    c->pool = r->pool;
    c->requests = 1;

    d->log_ctx.request = r;
    d->log_ctx.current_request = r;
}


ngx_int_t
ngx_http_tgbot_detached_client(ngx_http_tgbot_client_t *client,
    ngx_http_request_t *r, ngx_pool_t *pool)
{
    ngx_http_tgbot_client_t  own;

    if (ngx_http_tgbot_detached_share(&own, r) != NGX_OK) {
        return NGX_ERROR;
    }

    *client = own;

    client->sockaddr = ngx_palloc(pool, own.socklen);
    client->local_sockaddr = ngx_palloc(pool, own.local_socklen);
    client->addr_text.data = ngx_pnalloc(pool, own.addr_text.len);
    client->host.data = ngx_pnalloc(pool, own.host.len);
    client->server.data = ngx_pnalloc(pool, own.server.len);

    if (client->sockaddr == NULL
        || client->local_sockaddr == NULL
        || client->addr_text.data == NULL
        || client->host.data == NULL
        || client->server.data == NULL)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(client->sockaddr, own.sockaddr, own.socklen);
    ngx_memcpy(client->local_sockaddr, own.local_sockaddr, own.local_socklen);
    ngx_memcpy(client->addr_text.data, own.addr_text.data, own.addr_text.len);
    ngx_memcpy(client->host.data, own.host.data, own.host.len);
    ngx_memcpy(client->server.data, own.server.data, own.server.len);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_detached_share(ngx_http_tgbot_client_t *client,
    ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    /* gets the address now: $server_addr of a call has no socket to ask */

    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    client->sockaddr = c->sockaddr;
    client->socklen = c->socklen;
    client->local_sockaddr = c->local_sockaddr;
    client->local_socklen = c->local_socklen;
    client->addr_text = c->addr_text;

    /* a request of HTTP/1.0 may have no Host */

    ngx_str_set(&client->host, "");
    ngx_str_set(&client->server, "");

    if (r->headers_in.host) {
        client->host = r->headers_in.host->value;
    }

    if (r->headers_in.server.len) {
        client->server = r->headers_in.server;
    }

    return NGX_OK;
}


void
ngx_http_tgbot_detached_free(ngx_http_tgbot_detached_t *d)
{
    ngx_connection_t  *c;

    c = &d->connection;

    d->closing = 1;

    ngx_http_tgbot_detached_events(c);

    /* with "timedout" the core would set SO_LINGER, but there is no socket */

    c->timedout = 0;

    d->request->logged = 1;

    /* log lines from here on must not use the context of the caller */

    d->log_ctx.request = NULL;

    if (ngx_http_tgbot_detached_keep(d)) {
        return;
    }

    ngx_http_free_request(d->request, 0);

    ngx_free(d);
}


static void
ngx_http_tgbot_detached_events(ngx_connection_t *c)
{
    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }
}


void
ngx_http_tgbot_detached_leave(ngx_http_tgbot_detached_t *d)
{
    ngx_http_tgbot_detached_events(&d->connection);
    ngx_http_tgbot_detached_disown(d);

    /* an upstream that went on could have a thread write to a file */

    d->closing = 1;

    ngx_http_tgbot_detached_end(d->request);

    d->over = ngx_http_tgbot_detached_gone;
    d->data = NULL;
}


static void
ngx_http_tgbot_detached_gone(ngx_http_tgbot_detached_t *d)
{
    /* void */
}


/* ends all that runs for the request */

static void
ngx_http_tgbot_detached_end(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    cln = r->cleanup;
    r->cleanup = NULL;

    for ( /* void */ ; cln; cln = cln->next) {
        if (cln->handler) {
            cln->handler(cln->data);
        }
    }
}


/* only a request that has ended as it should is used again */

static ngx_uint_t
ngx_http_tgbot_detached_keep(ngx_http_tgbot_detached_t *d)
{
    ngx_http_request_t  *r;

    r = d->request;

    if (d->block == NULL || d->terminated || r->postponed
        || r->count != NGX_HTTP_TGBOT_DETACHED_COUNT
        || ngx_http_tgbot_detached_nspare == NGX_HTTP_TGBOT_DETACHED_SPARE)
    {
        return 0;
    }

    ngx_http_tgbot_detached_clear(d);

    d->connection.destroyed = 1;

    d->next = ngx_http_tgbot_detached_spare;
    ngx_http_tgbot_detached_spare = d;
    ngx_http_tgbot_detached_nspare++;

    ngx_http_tgbot_detached_poison(d);

    return 1;
}


/*
 * As ngx_http_free_request(), but for what the request was made of.
 * ngx_reset_pool() would run no cleanups, and give away the request itself.
 *
 * With NGX_DEBUG_PALLOC all allocations are large: what the last call had is
 * freed here one by one, so a pointer to it that has stayed in the request is
 * found by a sanitizer when the next call uses it.
 */

static void
ngx_http_tgbot_detached_clear(ngx_http_tgbot_detached_t *d)
{
    ngx_uint_t           n;
    ngx_pool_t          *pool, *p, *next;
    ngx_pool_large_t    *l;
    ngx_pool_cleanup_t  *pcln;

    ngx_http_tgbot_detached_end(d->request);

    pool = d->made.pool;

    for (pcln = pool->cleanup; pcln; pcln = pcln->next) {
        if (pcln->handler) {
            pcln->handler(pcln->data);
        }
    }

    for (l = pool->large; l != d->large; l = l->next) {
        if (l->alloc) {
            ngx_free(l->alloc);
        }
    }

    pool->cleanup = NULL;
    pool->large = d->large;
    pool->chain = NULL;
    pool->current = d->block;

    d->block->d.last = d->last;
    d->block->d.failed = 0;

    n = 0;

    for (p = d->block; p->d.next; /* void */ ) {

        if (n == NGX_HTTP_TGBOT_DETACHED_BLOCKS) {
            next = p->d.next;
            p->d.next = next->d.next;

            ngx_free(next);

            continue;
        }

        n++;
        p = p->d.next;

        p->d.last = (u_char *) p + sizeof(ngx_pool_t);
        p->d.failed = 0;
    }
}


/* a request that is kept must not be used by anything, as if it was freed */

static void
ngx_http_tgbot_detached_poison(ngx_http_tgbot_detached_t *d)
{
#if (NGX_HTTP_TGBOT_DETACHED_ASAN)

    ASAN_POISON_MEMORY_REGION(d->request->pool, sizeof(ngx_pool_t));
    ASAN_POISON_MEMORY_REGION(d->request, sizeof(ngx_http_request_t));
    ASAN_POISON_MEMORY_REGION(d, sizeof(ngx_http_tgbot_detached_t));

#endif
}


static void
ngx_http_tgbot_detached_unpoison(ngx_http_tgbot_detached_t *d)
{
#if (NGX_HTTP_TGBOT_DETACHED_ASAN)

    ASAN_UNPOISON_MEMORY_REGION(d, sizeof(ngx_http_tgbot_detached_t));
    ASAN_UNPOISON_MEMORY_REGION(d->request, sizeof(ngx_http_request_t));
    ASAN_UNPOISON_MEMORY_REGION(d->made.pool, sizeof(ngx_pool_t));

#endif
}


ngx_uint_t
ngx_http_tgbot_detached_held(ngx_http_tgbot_detached_t *d)
{
    ngx_uint_t           n;
    ngx_http_request_t  *r;

    r = d->request;

    /* a subrequest that has not ended is in r->postponed */

    n = NGX_HTTP_TGBOT_DETACHED_COUNT + (r->postponed != NULL);

    return r->blocked || (!d->terminated && r->count > n);
}


void
ngx_http_tgbot_detached_disown(ngx_http_tgbot_detached_t *d)
{
    ngx_http_set_ctx(d->request, NULL, ngx_http_tgbot_module);
}


void
ngx_http_tgbot_detached_exit_process(void)
{
    ngx_http_tgbot_detached_t  *d;

    while (ngx_http_tgbot_detached_spare) {
        d = ngx_http_tgbot_detached_spare;

        ngx_http_tgbot_detached_unpoison(d);

        ngx_http_tgbot_detached_spare = d->next;

        ngx_destroy_pool(d->made.pool);
        ngx_free(d);
    }
}


ngx_http_tgbot_detached_t *
ngx_http_tgbot_detached_get(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    if (c->fd != NGX_HTTP_TGBOT_DETACHED_FD
        || c->log->handler != ngx_http_tgbot_detached_log_error)
    {
        return NULL;
    }

    return (ngx_http_tgbot_detached_t *) c;
}


/* as ngx_http_request_handler(), which is static in the core */

static void
ngx_http_tgbot_detached_handler(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = ev->data;
    r = c->data;

    /* the request was terminated after the event had been posted */

    if (c->destroyed) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    if (ev->delayed && ev->timedout) {
        ev->delayed = 0;
        ev->timedout = 0;
    }

    if (ev->write) {
        r->write_event_handler(r);

    } else {
        r->read_event_handler(r);
    }

    ngx_http_run_posted_requests(c);
}


/* the core calls this handler of the main request when a subrequest ends */

static void
ngx_http_tgbot_detached_wakeup(ngx_http_request_t *r)
{
    ngx_http_tgbot_detached_t  *d;

    d = (ngx_http_tgbot_detached_t *) r->connection;

    d->over(d);
}


/*
 * Called by ngx_http_free_request() when we free the request ourselves, or by
 * ngx_http_terminate_request().  In the second case the core goes on to close
 * the request and its connection: without a write event handler it only
 * decrements r->count, and "destroyed" stops ngx_http_run_posted_requests().
 */

static void
ngx_http_tgbot_detached_cleanup(void *data)
{
    ngx_http_tgbot_detached_t *d = data;

    ngx_http_request_t  *r;

    if (d->closing) {
        return;
    }

    r = d->request;

    d->terminated = 1;

    r->write_event_handler = NULL;
    r->posted_requests = NULL;
    d->connection.destroyed = 1;

    d->over(d);
}


static u_char *
ngx_http_tgbot_detached_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                     *p;
    ngx_http_log_ctx_t         *ctx;
    ngx_http_tgbot_detached_t  *d;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    ctx = log->data;
    d = (ngx_http_tgbot_detached_t *) ctx->connection;

    if (ctx->request == NULL || d->log_handler == NULL) {
        return buf;
    }

    return d->log_handler(ctx->request, ctx->current_request, buf, len);
}


/*
 * Each line passes this writer last, so tokens are removed here even if nginx
 * or another module put them into the line.
 */

static void
ngx_http_tgbot_detached_log_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len)
{
    u_char                     *p;
    ngx_str_t                   text;
    ngx_log_t                  *l;
    ngx_http_tgbot_detached_t  *d;
    u_char                      line[NGX_MAX_ERROR_STR + 256];

    d = log->wdata;

    text.data = buf;
    text.len = len - NGX_LINEFEED_SIZE;

    p = ngx_http_tgbot_redact_line(d->redact, &text, line,
                                   sizeof(line) - NGX_LINEFEED_SIZE);
    *p++ = LF;

    buf = line;
    len = p - line;

    for (l = d->error_log; l; l = l->next) {

        if (l->log_level < level && !(l->log_level & NGX_LOG_DEBUG_CONNECTION))
        {
            break;
        }

        if (l->writer) {
            l->writer(l, level, buf, len);
            continue;
        }

        (void) ngx_write_fd(l->file->fd, buf, len);
    }
}
