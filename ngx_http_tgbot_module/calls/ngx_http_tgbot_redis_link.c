
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "ngx_http_tgbot_backoff.h"
#include "ngx_http_tgbot_redis_link.h"


/* delay before the next attempt, ms: the first and the longest */
#define NGX_HTTP_TGBOT_REDIS_BACKOFF      100
#define NGX_HTTP_TGBOT_REDIS_MAX_BACKOFF  1000

/* delay before the next address is tried, ms */
#define NGX_HTTP_TGBOT_REDIS_NEXT         10

/* a connection that was up for less time counts as a failed attempt, ms */
#define NGX_HTTP_TGBOT_REDIS_STABLE       1000

/* an idle connection is asked for a sign of life after this time, ms */
#define NGX_HTTP_TGBOT_REDIS_PING         3000


static void ngx_http_tgbot_redis_link_attempt(
    ngx_http_tgbot_redis_link_t *link);
static void ngx_http_tgbot_redis_link_reach(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_address_t *address);
static void ngx_http_tgbot_redis_link_connected(
    ngx_http_tgbot_redis_link_t *link);
static void ngx_http_tgbot_redis_link_hello(ngx_http_tgbot_redis_link_t *link);
static void ngx_http_tgbot_redis_link_timer(ngx_event_t *ev);
static void ngx_http_tgbot_redis_link_idle(ngx_http_tgbot_redis_link_t *link,
    ngx_msec_t time);
static void ngx_http_tgbot_redis_link_append(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry);
static void ngx_http_tgbot_redis_link_write(ngx_event_t *wev);
static void ngx_http_tgbot_redis_link_read(ngx_event_t *rev);
static ngx_int_t ngx_http_tgbot_redis_link_parse(
    ngx_http_tgbot_redis_link_t *link, u_char *p, size_t n);
static ngx_int_t ngx_http_tgbot_redis_link_deliver(
    ngx_http_tgbot_redis_link_t *link, redisReply *reply);
static void ngx_http_tgbot_redis_link_detach(
    ngx_http_tgbot_redis_link_t *link);
static void ngx_http_tgbot_redis_link_end(ngx_http_tgbot_redis_link_t *link,
    ngx_queue_t *entries);
static u_char *ngx_http_tgbot_redis_link_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


static time_t
    ngx_http_tgbot_redis_link_logged[NGX_HTTP_TGBOT_REDIS_LOG_LAST];


void
ngx_http_tgbot_redis_link_open(ngx_http_tgbot_redis_link_t *link)
{
    if (link->addresses == NULL) {
        link->addresses = &link->conf->addresses;
    }

    link->open = 1;
    link->ident = (ngx_socket_t) -1;

    link->log = *ngx_cycle->log;
    link->log.handler = ngx_http_tgbot_redis_link_log_error;
    link->log.data = link;
    link->log.action = NULL;

    link->timer.handler = ngx_http_tgbot_redis_link_timer;
    link->timer.data = link;
    link->timer.log = &link->log;

    ngx_queue_init(&link->entries);
    ngx_queue_init(&link->waiting);

    ngx_http_tgbot_redis_link_attempt(link);
}


static void
ngx_http_tgbot_redis_link_attempt(ngx_http_tgbot_redis_link_t *link)
{
    ngx_http_tgbot_redis_address_t  *address;

    address = link->addresses->elts;

    link->asking = (link->conf->sentinel.len != 0);

    ngx_http_tgbot_redis_link_reach(link,
                              &address[link->attempts
                                       % link->addresses->nelts]);
}


static void
ngx_http_tgbot_redis_link_reach(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_address_t *address)
{
    link->address = address;

    ngx_log_debug1(NGX_LOG_DEBUG_EVENT, &link->log, 0,
                   "tgbot redis \"%V\": connecting", &address->text);

    ngx_http_tgbot_redis_link_idle(link, link->conf->connect_timeout);

    link->timer.cancelable = ngx_queue_empty(&link->waiting);

    ngx_http_tgbot_redis_link_connect(link,
                                      ngx_http_tgbot_redis_link_connected);
}


void
ngx_http_tgbot_redis_link_told(ngx_http_tgbot_redis_link_t *link,
    ngx_str_t *host, ngx_str_t *port)
{
    if (ngx_http_tgbot_redis_told(&link->told, host, port) != NGX_OK) {
        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, &link->log, 0,
                   "tgbot redis sentinel \"%V\": the master is \"%V\"",
                   &link->address->text, &link->told.address.text);

    ngx_http_tgbot_redis_link_detach(link);

    link->asking = 0;

    ngx_http_tgbot_redis_link_reach(link, &link->told.address);
}


static void
ngx_http_tgbot_redis_link_connected(ngx_http_tgbot_redis_link_t *link)
{
    ngx_connection_t  *c;

    c = link->peer.connection;

    (void) ngx_tcp_nodelay(c);

    link->pool = ngx_create_pool(512, &link->log);

    if (link->pool == NULL
        || ngx_http_tgbot_redis_reader_init(&link->reader) != NGX_OK)
    {
        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    c->pool = link->pool;

#if (NGX_SSL)
    if (link->conf->tls) {
        ngx_http_tgbot_redis_link_tls(link, ngx_http_tgbot_redis_link_hello);
        return;
    }
#endif

    ngx_http_tgbot_redis_link_hello(link);
}


static void
ngx_http_tgbot_redis_link_hello(ngx_http_tgbot_redis_link_t *link)
{
    ngx_connection_t  *c;

    c = link->peer.connection;

    c->read->handler = ngx_http_tgbot_redis_link_read;
    c->write->handler = ngx_http_tgbot_redis_link_write;

    link->out = NULL;
    link->last_out = &link->out;

    link->hello(link);
}


void
ngx_http_tgbot_redis_link_up(ngx_http_tgbot_redis_link_t *link)
{
    ngx_queue_t  *q;

    ngx_log_debug1(NGX_LOG_DEBUG_EVENT, &link->log, 0,
                   "tgbot redis \"%V\" is up", &link->address->text);

    link->up = 1;
    link->since = ngx_current_msec;
    link->core.log_level = link->log.log_level;

    ngx_http_tgbot_redis_link_idle(link, NGX_HTTP_TGBOT_REDIS_PING);

    while (!ngx_queue_empty(&link->waiting)) {
        q = ngx_queue_head(&link->waiting);
        ngx_queue_remove(q);

        ngx_http_tgbot_redis_link_append(link,
                      ngx_queue_data(q, ngx_http_tgbot_redis_entry_t, queue));
    }

    if (link->opened) {
        link->opened(link);
    }
}


ngx_uint_t
ngx_http_tgbot_redis_link_ready(ngx_http_tgbot_redis_link_t *link)
{
    return link->open
           && (link->up || link->failures < link->addresses->nelts);
}


void
ngx_http_tgbot_redis_link_push(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_uint_t now)
{
    entry->buf.pos = entry->buf.start;

    if (link->up || now) {
        ngx_http_tgbot_redis_link_append(link, entry);
        return;
    }

    ngx_queue_insert_tail(&link->waiting, &entry->queue);

    link->timer.cancelable = 0;
}


static void
ngx_http_tgbot_redis_link_append(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry)
{
    ngx_event_t  *wev;

    if (link->up && ngx_queue_empty(&link->entries)) {
        ngx_http_tgbot_redis_link_idle(link, link->conf->timeout);
    }

    if (entry->held) {
        link->timer.cancelable = 0;
    }

    ngx_queue_insert_tail(&link->entries, &entry->queue);

    entry->start = ngx_current_msec;
    entry->out.next = NULL;

    *link->last_out = &entry->out;
    link->last_out = &entry->out.next;

    wev = link->peer.connection->write;

    ngx_post_event(wev, &ngx_posted_events);
}


/* nginx leaves a timer alone that would be changed by little */

static void
ngx_http_tgbot_redis_link_idle(ngx_http_tgbot_redis_link_t *link,
    ngx_msec_t time)
{
    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    link->timer.cancelable = 1;
    ngx_add_timer(&link->timer, time);
}


static void
ngx_http_tgbot_redis_link_write(ngx_event_t *wev)
{
    ngx_chain_t                  *out;
    ngx_connection_t             *c;
    ngx_http_tgbot_redis_link_t  *link;

    c = wev->data;
    link = c->data;

    if (link->out || c->buffered) {
        out = c->send_chain(c, link->out, 0);

        if (out == NGX_CHAIN_ERROR) {
            goto lost;
        }

        link->out = out;

        if (out == NULL) {
            link->last_out = &link->out;
        }
    }

    if (ngx_handle_write_event(wev, 0) == NGX_OK) {
        return;
    }

lost:

    if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_CLOSED)) {
        ngx_log_error(NGX_LOG_ERR, &link->log, 0, "connection was lost");
    }

    ngx_http_tgbot_redis_link_fail(link);
}


static void
ngx_http_tgbot_redis_link_read(ngx_event_t *rev)
{
    ssize_t                       n;
    ngx_connection_t             *c;
    ngx_http_tgbot_redis_link_t  *link;

    static u_char                 buf[16384];

    c = rev->data;
    link = c->data;

    if (c->close) {

        /* worker_shutdown_timeout has passed */

        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    for ( ;; ) {
        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0 || n == NGX_ERROR) {
            goto lost;
        }

        if (ngx_http_tgbot_redis_link_parse(link, buf, n) != NGX_OK) {
            return;
        }
    }

    if (link->leaving && ngx_queue_empty(&link->entries)) {
        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    if (ngx_handle_read_event(rev, 0) == NGX_OK) {
        return;
    }

lost:

    if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_CLOSED)) {
        ngx_log_error(NGX_LOG_ERR, &link->log, 0, "connection was lost");
    }

    ngx_http_tgbot_redis_link_fail(link);
}


/* NGX_ERROR: the connection is closed */

static ngx_int_t
ngx_http_tgbot_redis_link_parse(ngx_http_tgbot_redis_link_t *link, u_char *p,
    size_t n)
{
    ngx_int_t    rc;
    ngx_uint_t   n_detached;
    redisReply  *reply;

    n_detached = link->detached;

    rc = ngx_http_tgbot_redis_reader_feed(&link->reader, p, n);

    while (rc == NGX_OK) {
        rc = ngx_http_tgbot_redis_reader_next(&link->reader, &reply);

        if (rc == NGX_OK) {
            rc = ngx_http_tgbot_redis_link_deliver(link, reply);

            if (link->detached != n_detached) {
                return NGX_ERROR;
            }
        }
    }

    if (rc == NGX_AGAIN) {
        return NGX_OK;
    }

    if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_PROTOCOL)) {
        ngx_log_error(NGX_LOG_ERR, &link->log, 0,
                      "sent what is no reply, or a reply larger than %uz bytes",
                      (size_t) NGX_HTTP_TGBOT_REDIS_REPLY);
    }

    ngx_http_tgbot_redis_link_fail(link);

    return NGX_ERROR;
}


/* takes over the reply.  NGX_ERROR: it answers nothing that was sent */

static ngx_int_t
ngx_http_tgbot_redis_link_deliver(ngx_http_tgbot_redis_link_t *link,
    redisReply *reply)
{
    ngx_queue_t                   *q;
    ngx_http_tgbot_redis_entry_t  *entry;

    link->heard = ngx_current_msec;

    if (link->pushed && link->pushed(link, reply)) {
        freeReplyObject(reply);
        return NGX_OK;
    }

    q = ngx_queue_head(&link->entries);
    entry = ngx_queue_data(q, ngx_http_tgbot_redis_entry_t, queue);

    if (ngx_queue_empty(&link->entries) || entry->buf.pos != entry->buf.last) {
        freeReplyObject(reply);
        return NGX_ERROR;
    }

    ngx_queue_remove(q);

    if (link->up && ngx_queue_empty(&link->entries)) {
        link->timer.cancelable = 1;
    }

    entry->kept = 0;

    if (entry->done) {
        entry->done(link, entry, NGX_HTTP_TGBOT_REDIS_OK, reply);
    }

    if (entry->reply != reply) {
        freeReplyObject(reply);
    }

    if (!entry->kept) {
        ngx_free(entry);
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_redis_link_timer(ngx_event_t *ev)
{
    ngx_event_t                   *rev;
    ngx_queue_t                   *q;
    ngx_uint_t                     n_detached;
    ngx_msec_int_t                 left;
    ngx_http_tgbot_redis_link_t   *link = ev->data;
    ngx_http_tgbot_redis_entry_t  *entry;

    static ngx_str_t               ping = ngx_string("PING");

    if (link->peer.connection == NULL && link->resolving == NULL) {
        ngx_http_tgbot_redis_link_attempt(link);
        return;
    }

    if (link->peer.connection == NULL || (!link->up && !link->leaving)) {
        goto timeout;
    }

    if (ngx_queue_empty(&link->entries)) {
        left = link->heard + NGX_HTTP_TGBOT_REDIS_PING - ngx_current_msec;

        if (left > 0) {
            ngx_http_tgbot_redis_link_idle(link, left);
            return;
        }

        entry = ngx_http_tgbot_redis_entry_create(NULL, &ping, 1, 0, 1024);

        if (entry == NULL) {
            ngx_http_tgbot_redis_link_fail(link);
            return;
        }

        ngx_http_tgbot_redis_link_append(link, entry);
        return;
    }

    /* the replies may be there already, if this worker was the slow one */

    n_detached = link->detached;

    rev = link->peer.connection->read;
    rev->handler(rev);

    if (link->detached != n_detached) {
        return;
    }

    left = link->conf->timeout;

    if (!ngx_queue_empty(&link->entries)) {
        q = ngx_queue_head(&link->entries);
        entry = ngx_queue_data(q, ngx_http_tgbot_redis_entry_t, queue);

        left = entry->start + link->conf->timeout - ngx_current_msec;
    }

    if (left > 0) {
        ngx_add_timer(&link->timer, left);
        return;
    }

timeout:

    if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_TIMEOUT)) {
        ngx_log_error(NGX_LOG_ERR, &link->log, NGX_ETIMEDOUT, "%s timed out",
                      link->up ? "a command" : "connecting");
    }

    ngx_http_tgbot_redis_link_fail(link);
}


void
ngx_http_tgbot_redis_link_leave(ngx_http_tgbot_redis_link_t *link)
{
    link->up = 0;
    link->leaving = 1;
}


void
ngx_http_tgbot_redis_link_fail(ngx_http_tgbot_redis_link_t *link)
{
    ngx_msec_t   delay;
    ngx_uint_t   n;
    ngx_queue_t  ended;

    ngx_log_debug1(NGX_LOG_DEBUG_EVENT, &link->log, 0,
                   "tgbot redis \"%V\" is closed", &link->address->text);

    n = link->addresses->nelts;

    if ((link->up || link->leaving)
        && ngx_current_msec - link->since >= NGX_HTTP_TGBOT_REDIS_STABLE)
    {
        link->failures = 0;

    } else {
        link->failures++;
        link->attempts++;
    }

    ngx_http_tgbot_redis_link_detach(link);

    delay = (link->failures % n) ? NGX_HTTP_TGBOT_REDIS_NEXT
            : ngx_http_tgbot_backoff_delay(link->failures / n + 1,
                                           NGX_HTTP_TGBOT_REDIS_BACKOFF,
                                           NGX_HTTP_TGBOT_REDIS_MAX_BACKOFF,
                                           ngx_random());

    ngx_http_tgbot_redis_link_idle(link, delay);

    if (link->lost) {
        link->lost(link);
    }

    ngx_queue_init(&ended);

    if (!ngx_queue_empty(&link->entries)) {
        ngx_queue_add(&ended, &link->entries);
        ngx_queue_init(&link->entries);
    }

    if ((link->failures >= n || link->once)
        && !ngx_queue_empty(&link->waiting))
    {
        ngx_queue_add(&ended, &link->waiting);
        ngx_queue_init(&link->waiting);
    }

    link->timer.cancelable = ngx_queue_empty(&link->waiting);

    if (link->once) {
        link->open = 0;
        ngx_del_timer(&link->timer);
    }

    ngx_http_tgbot_redis_link_end(link, &ended);
}


void
ngx_http_tgbot_redis_link_close(ngx_http_tgbot_redis_link_t *link)
{
    if (!link->open) {
        return;
    }

    link->open = 0;

    ngx_http_tgbot_redis_link_detach(link);

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    ngx_http_tgbot_redis_link_end(link, &link->entries);
    ngx_http_tgbot_redis_link_end(link, &link->waiting);
}


static void
ngx_http_tgbot_redis_link_detach(ngx_http_tgbot_redis_link_t *link)
{
    ngx_connection_t  *c;

    link->detached++;
    link->up = 0;
    link->leaving = 0;
    link->out = NULL;

    if (link->resolving) {
        ngx_resolve_name_done(link->resolving);
        link->resolving = NULL;
    }

    c = link->peer.connection;

    if (c) {

#if (NGX_SSL)
        if (c->ssl) {
            c->ssl->no_wait_shutdown = 1;
            c->ssl->no_send_shutdown = 1;

            (void) ngx_ssl_shutdown(c);
        }
#endif

        ngx_close_connection(c);
        link->peer.connection = NULL;
    }

    ngx_http_tgbot_redis_reader_free(&link->reader);

    if (link->pool) {
        ngx_destroy_pool(link->pool);
        link->pool = NULL;
    }
}


static void
ngx_http_tgbot_redis_link_end(ngx_http_tgbot_redis_link_t *link,
    ngx_queue_t *entries)
{
    ngx_queue_t                   *q;
    ngx_http_tgbot_redis_entry_t  *entry;

    while (!ngx_queue_empty(entries)) {
        q = ngx_queue_head(entries);
        ngx_queue_remove(q);

        entry = ngx_queue_data(q, ngx_http_tgbot_redis_entry_t, queue);

        if (entry->done) {
            entry->done(link, entry,
                        entry->buf.pos == entry->buf.start
                        ? NGX_HTTP_TGBOT_REDIS_AWAY
                        : NGX_HTTP_TGBOT_REDIS_UNKNOWN,
                        NULL);
        }

        ngx_free(entry);
    }
}


ngx_uint_t
ngx_http_tgbot_redis_link_may_log(ngx_uint_t kind)
{
    if (ngx_http_tgbot_redis_link_logged[kind] == ngx_time()) {
        return 0;
    }

    ngx_http_tgbot_redis_link_logged[kind] = ngx_time();

    return 1;
}


static u_char *
ngx_http_tgbot_redis_link_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_http_tgbot_redis_link_t  *link;

    link = log->data;

    if (link->address == NULL) {
        return buf;
    }

    return ngx_snprintf(buf, len, ", tgbot_redis: \"%V\"",
                        &link->address->text);
}
