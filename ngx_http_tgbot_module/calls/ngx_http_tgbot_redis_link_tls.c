
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_redis_link.h"


#if (NGX_SSL)

static ngx_int_t ngx_http_tgbot_redis_link_tls_name(
    ngx_http_tgbot_redis_link_t *link, ngx_connection_t *c);
static void ngx_http_tgbot_redis_link_tls_handler(ngx_connection_t *c);


void
ngx_http_tgbot_redis_link_tls(ngx_http_tgbot_redis_link_t *link,
    void (*next)(ngx_http_tgbot_redis_link_t *link))
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = link->peer.connection;

    link->next = next;

    /* what OpenSSL says is logged by nginx */

    if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_TLS)) {
        link->core.log_level = link->log.log_level;
    }

    if (ngx_ssl_create_connection(link->conf->tls, c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK
        || ngx_http_tgbot_redis_link_tls_name(link, c) != NGX_OK)
    {
        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    c->sendfile = 0;
    c->log_error = NGX_ERROR_ERR;

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_http_tgbot_redis_link_tls_handler;
        return;
    }

    ngx_http_tgbot_redis_link_tls_handler(c);
}


/* OpenSSL compares the name with the certificate when it checks that */

static ngx_int_t
ngx_http_tgbot_redis_link_tls_name(ngx_http_tgbot_redis_link_t *link,
    ngx_connection_t *c)
{
    ngx_str_t          *name;
    X509_VERIFY_PARAM  *param;

    name = link->conf->ssl_name.len ? &link->conf->ssl_name
                                    : &link->address->host;

    param = SSL_get0_param(c->ssl->connection);

    if (X509_VERIFY_PARAM_set1_ip_asc(param, (char *) name->data) == 1) {
        return NGX_OK;
    }

    ERR_clear_error();

    if (X509_VERIFY_PARAM_set1_host(param, (char *) name->data, name->len) != 1
        || SSL_set_tlsext_host_name(c->ssl->connection, (char *) name->data)
           != 1)
    {
        ngx_ssl_error(NGX_LOG_ERR, &link->core, 0,
                      "name \"%V\" of the server is refused", name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_redis_link_tls_handler(ngx_connection_t *c)
{
    long                          rc;
    ngx_http_tgbot_redis_link_t  *link;

    link = c->data;

    if (!c->ssl->handshaked) {
        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {

        if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_HELLO)) {
            ngx_log_error(NGX_LOG_ERR, &link->log, 0,
                          "certificate verify error: (%l:%s)",
                          rc, X509_verify_cert_error_string(rc));
        }

        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    c->log_error = NGX_ERROR_INFO;

    link->next(link);
}

#endif
