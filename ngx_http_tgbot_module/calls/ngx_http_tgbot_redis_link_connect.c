
/* The way to a Redis: its name, its address, a socket. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "ngx_http_tgbot_redis_link.h"


static void ngx_http_tgbot_redis_link_connect_name(
    ngx_http_tgbot_redis_link_t *link);
static void ngx_http_tgbot_redis_link_connect_resolved(
    ngx_resolver_ctx_t *ctx);
static void ngx_http_tgbot_redis_link_connect_socket(
    ngx_http_tgbot_redis_link_t *link, struct sockaddr *sockaddr,
    socklen_t socklen);
static void ngx_http_tgbot_redis_link_connect_handler(ngx_event_t *ev);
static void ngx_http_tgbot_redis_link_connect_failed(
    ngx_http_tgbot_redis_link_t *link, ngx_err_t err);


void
ngx_http_tgbot_redis_link_connect(ngx_http_tgbot_redis_link_t *link,
    void (*next)(ngx_http_tgbot_redis_link_t *link))
{
    ngx_addr_t                      *addr;
    ngx_http_tgbot_redis_address_t  *address;

    link->next = next;

    address = link->address;

    if (address->addrs == NULL) {
        ngx_http_tgbot_redis_link_connect_name(link);
        return;
    }

    addr = &address->addrs[(link->attempts / link->addresses->nelts)
                           % address->naddrs];

    ngx_http_tgbot_redis_link_connect_socket(link, addr->sockaddr,
                                             addr->socklen);
}


static void
ngx_http_tgbot_redis_link_connect_name(ngx_http_tgbot_redis_link_t *link)
{
    ngx_resolver_ctx_t  *ctx;

    ctx = link->conf->resolver ? ngx_resolve_start(link->conf->resolver, NULL)
                               : NGX_NO_RESOLVER;

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {

        if (ctx
            && ngx_http_tgbot_redis_link_may_log(
                                            NGX_HTTP_TGBOT_REDIS_LOG_RESOLVE))
        {
            ngx_log_error(NGX_LOG_ERR, &link->log, 0,
                          "Redis tells names, expected a \"resolver\"");
        }

        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    ctx->name = link->address->host;
    ctx->handler = ngx_http_tgbot_redis_link_connect_resolved;
    ctx->data = link;
    ctx->timeout = link->conf->connect_timeout;
    ctx->cancelable = 1;

    link->resolving = ctx;

    /* calls the handler even from inside if it knows the name */

    if (ngx_resolve_name(ctx) != NGX_OK) {
        link->resolving = NULL;
        ngx_http_tgbot_redis_link_fail(link);
    }
}


static void
ngx_http_tgbot_redis_link_connect_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_http_tgbot_redis_link_t  *link = ctx->data;

    socklen_t               socklen;
    struct sockaddr        *sockaddr;
    ngx_sockaddr_t          sa;
    ngx_resolver_addr_t    *addr;

    if (ctx->state || ctx->naddrs == 0) {

        if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_RESOLVE))
        {
            ngx_log_error(NGX_LOG_ERR, &link->log, 0,
                          "host \"%V\" of \"tgbot_redis\" could not be "
                          "resolved (%i: %s)", &ctx->name, ctx->state,
                          ngx_resolver_strerror(ctx->state));
        }

        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    addr = &ctx->addrs[(link->attempts / link->addresses->nelts)
                       % ctx->naddrs];

    socklen = addr->socklen;
    sockaddr = &sa.sockaddr;

    ngx_memcpy(sockaddr, addr->sockaddr, socklen);
    ngx_inet_set_port(sockaddr, link->address->port);

    ngx_resolve_name_done(ctx);
    link->resolving = NULL;

    ngx_http_tgbot_redis_link_connect_socket(link, sockaddr, socklen);
}


static void
ngx_http_tgbot_redis_link_connect_socket(ngx_http_tgbot_redis_link_t *link,
    struct sockaddr *sockaddr, socklen_t socklen)
{
    ngx_err_t               err;
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t  *peer;

    /* nginx would log each attempt */

    link->core = link->log;
    link->core.log_level = 0;

    peer = &link->peer;

    ngx_memzero(peer, sizeof(ngx_peer_connection_t));

    peer->sockaddr = sockaddr;
    peer->socklen = socklen;
    peer->name = &link->address->text;
    peer->get = ngx_event_get_peer;
    peer->log = &link->core;
    peer->log_error = NGX_ERROR_INFO;

    rc = ngx_event_connect_peer(peer);
    err = ngx_socket_errno;

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_tgbot_redis_link_connect_failed(link, err);
        return;
    }

    c = peer->connection;

    c->data = link;
    c->read->handler = ngx_http_tgbot_redis_link_connect_handler;
    c->write->handler = ngx_http_tgbot_redis_link_connect_handler;

    if (rc == NGX_OK) {
        link->next(link);
    }
}


static void
ngx_http_tgbot_redis_link_connect_handler(ngx_event_t *ev)
{
    int                           err;
    socklen_t                     len;
    ngx_connection_t             *c;
    ngx_http_tgbot_redis_link_t  *link;

    c = ev->data;
    link = c->data;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_http_tgbot_redis_link_connect_failed(link, err);
        return;
    }

    if (c->close) {
        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    if (c->write->ready) {
        link->next(link);
    }
}


static void
ngx_http_tgbot_redis_link_connect_failed(ngx_http_tgbot_redis_link_t *link,
    ngx_err_t err)
{
    if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_CONNECT)) {
        ngx_log_error(NGX_LOG_ERR, &link->log, err, "connect() failed");
    }

    ngx_http_tgbot_redis_link_fail(link);
}


ngx_int_t
ngx_http_tgbot_redis_told(ngx_http_tgbot_redis_told_t *told, ngx_str_t *host,
    ngx_str_t *port)
{
    u_char                          *p;
    ngx_int_t                        n;
    struct sockaddr_in              *sin;
    ngx_http_tgbot_redis_address_t  *address;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6             *sin6;
#endif

    n = ngx_atoi(port->data, port->len);

    if (n < 1 || n > 65535 || host->len == 0
        || host->len > NGX_HTTP_TGBOT_REDIS_HOST_LEN)
    {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(told->host, host->data, host->len + 1);

    address = &told->address;

    address->host.data = told->host;
    address->host.len = host->len;
    address->port = (in_port_t) n;

    p = ngx_sprintf(told->text, "%V:%i", host, n);

    address->text.data = told->text;
    address->text.len = p - told->text;

    ngx_memzero(&told->sockaddr, sizeof(ngx_sockaddr_t));

    told->addr.sockaddr = &told->sockaddr.sockaddr;
    told->addr.socklen = sizeof(struct sockaddr_in);

    address->addrs = &told->addr;
    address->naddrs = 1;

    sin = &told->sockaddr.sockaddr_in;
    sin->sin_family = AF_INET;
    sin->sin_port = htons((in_port_t) n);
    sin->sin_addr.s_addr = ngx_inet_addr(told->host, host->len);

    if (sin->sin_addr.s_addr != INADDR_NONE) {
        return NGX_OK;
    }

#if (NGX_HAVE_INET6)

    sin6 = &told->sockaddr.sockaddr_in6;

    if (ngx_inet6_addr(told->host, host->len, sin6->sin6_addr.s6_addr)
        == NGX_OK)
    {
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons((in_port_t) n);
        told->addr.socklen = sizeof(struct sockaddr_in6);

        return NGX_OK;
    }

#endif

    /* a name is left to the resolver */

    address->addrs = NULL;

    return NGX_OK;
}
