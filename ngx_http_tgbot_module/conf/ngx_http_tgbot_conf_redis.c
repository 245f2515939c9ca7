
/* The directive "tgbot_redis". */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_secret.h"


#define NGX_HTTP_TGBOT_CONF_REDIS_PORT   6379

/* certificates between the server's and one of ssl_ca */
#define NGX_HTTP_TGBOT_CONF_REDIS_DEPTH  4


static ngx_uint_t ngx_http_tgbot_conf_redis_is_address(ngx_str_t *value);
static char *ngx_http_tgbot_conf_redis_address(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_tgbot_redis_conf_t *redis, ngx_str_t *value);
static char *ngx_http_tgbot_conf_redis_db(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_redis_text(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_redis_prefix(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_redis_check(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_tgbot_redis_conf_t *redis);
static char *ngx_http_tgbot_conf_redis_login(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_tgbot_redis_conf_t *redis);
static char *ngx_http_tgbot_conf_redis_lacks(ngx_conf_t *cf,
    ngx_command_t *cmd, const char *lacks, const char *expected);
static ngx_int_t ngx_http_tgbot_conf_redis_names(ngx_conf_t *cf,
    ngx_http_tgbot_redis_conf_t *redis);
static ngx_int_t ngx_http_tgbot_conf_redis_tls(ngx_conf_t *cf,
    ngx_http_tgbot_redis_conf_t *redis);


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_redis_table[] = {

    { ngx_string("sentinel="), ngx_http_tgbot_conf_redis_text,
      offsetof(ngx_http_tgbot_redis_conf_t, sentinel),
      "the name that the sentinels give the master", 0 },

    { ngx_string("sentinel_user="), ngx_http_tgbot_conf_redis_text,
      offsetof(ngx_http_tgbot_redis_conf_t, sentinel_user),
      "the name of a user", 0 },

    { ngx_string("sentinel_password_file="), ngx_http_tgbot_conf_path,
      offsetof(ngx_http_tgbot_redis_conf_t, sentinel_password_file), NULL, 0 },

    { ngx_string("cluster"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_redis_conf_t, cluster), NULL, 0 },

    { ngx_string("db="), ngx_http_tgbot_conf_redis_db,
      offsetof(ngx_http_tgbot_redis_conf_t, db), NULL, 65535 },

    { ngx_string("user="), ngx_http_tgbot_conf_redis_text,
      offsetof(ngx_http_tgbot_redis_conf_t, user),
      "the name of a user", 0 },

    { ngx_string("password_file="), ngx_http_tgbot_conf_path,
      offsetof(ngx_http_tgbot_redis_conf_t, password_file), NULL, 0 },

    { ngx_string("prefix="), ngx_http_tgbot_conf_redis_prefix,
      offsetof(ngx_http_tgbot_redis_conf_t, prefix), NULL, 0 },

    { ngx_string("connect_timeout="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_redis_conf_t, connect_timeout), NULL, 0 },

    { ngx_string("timeout="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_redis_conf_t, timeout), NULL, 0 },

    { ngx_string("replicas="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_redis_conf_t, replicas), NULL, 64 },

    { ngx_string("ssl"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_redis_conf_t, ssl), NULL, 0 },

    { ngx_string("ssl_name="), ngx_http_tgbot_conf_redis_text,
      offsetof(ngx_http_tgbot_redis_conf_t, ssl_name),
      "the name in the certificate of the server", 0 },

    { ngx_string("ssl_ca="), ngx_http_tgbot_conf_path,
      offsetof(ngx_http_tgbot_redis_conf_t, ssl_ca), NULL, 0 },

    { ngx_string("ssl_certificate="), ngx_http_tgbot_conf_path,
      offsetof(ngx_http_tgbot_redis_conf_t, ssl_certificate), NULL, 0 },

    { ngx_string("ssl_certificate_key="), ngx_http_tgbot_conf_path,
      offsetof(ngx_http_tgbot_redis_conf_t, ssl_certificate_key), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "addresses, and then \"sentinel=\", \"sentinel_user=\", "
      "\"sentinel_password_file=\", \"cluster\", \"db=\", \"user=\", "
      "\"password_file=\", \"prefix=\", \"connect_timeout=\", \"timeout=\", "
      "\"replicas=\", \"ssl\", \"ssl_name=\", \"ssl_ca=\", "
      "\"ssl_certificate=\" or \"ssl_certificate_key=\"", 0 }
};


static ngx_http_tgbot_redis_conf_t  ngx_http_tgbot_conf_redis_default = {
    .prefix = ngx_string("tgbot"),
    .connect_timeout = 1000,
    .timeout = 500
};


char *
ngx_http_tgbot_conf_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_tgbot_main_conf_t *tmcf = conf;

    char                         *rv;
    ngx_str_t                    *value;
    ngx_uint_t                    n;
    ngx_array_t                  *args, parameters;
    ngx_http_tgbot_redis_conf_t  *redis;

    if (tmcf->redis != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    redis = ngx_palloc(cf->pool, sizeof(ngx_http_tgbot_redis_conf_t));
    if (redis == NULL) {
        return NGX_CONF_ERROR;
    }

    *redis = ngx_http_tgbot_conf_redis_default;

    if (ngx_array_init(&redis->addresses, cf->pool, 1,
                       sizeof(ngx_http_tgbot_redis_address_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    redis->file = cf->conf_file->file.name.data;
    redis->line = cf->conf_file->line;

    tmcf->redis = redis;

    args = cf->args;
    value = args->elts;

    for (n = 1; n < args->nelts; n++) {

        if (!ngx_http_tgbot_conf_redis_is_address(&value[n])) {
            break;
        }

        rv = ngx_http_tgbot_conf_redis_address(cf, cmd, redis, &value[n]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    /* what is behind the addresses, and one argument before it */

    parameters = *args;
    parameters.elts = &value[n - 1];
    parameters.nelts = args->nelts - n + 1;

    cf->args = &parameters;

    rv = ngx_http_tgbot_conf_parameters(cf, cmd,
                                        ngx_http_tgbot_conf_redis_table,
                                        redis);
    cf->args = args;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_tgbot_conf_redis_check(cf, cmd, redis);
}


static ngx_uint_t
ngx_http_tgbot_conf_redis_is_address(ngx_str_t *value)
{
    return ngx_strncmp(value->data, "unix:", 5) == 0
           || (ngx_strlchr(value->data, value->data + value->len, '=') == NULL
               && ngx_strcmp(value->data, "cluster") != 0
               && ngx_strcmp(value->data, "ssl") != 0);
}


/* a name is looked up later: perhaps a resolver is configured below */

static char *
ngx_http_tgbot_conf_redis_address(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_tgbot_redis_conf_t *redis, ngx_str_t *value)
{
    ngx_url_t                        u;
    ngx_http_tgbot_redis_address_t  *address;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *value;
    u.default_port = NGX_HTTP_TGBOT_CONF_REDIS_PORT;
    u.no_resolve = 1;

    if (value->len == 0 || ngx_parse_url(cf->pool, &u) != NGX_OK) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "\"host\", \"host:port\" or "
                                           "\"unix:path\"");
    }

    address = ngx_array_push(&redis->addresses);
    if (address == NULL) {
        return NGX_CONF_ERROR;
    }

    address->text = *value;
    address->port = u.port;
    address->addrs = u.addrs;
    address->naddrs = u.naddrs;

    ngx_str_null(&address->host);

    if (u.family == AF_UNIX) {
        return NGX_CONF_OK;
    }

    if (u.host.len > 2 && u.host.data[0] == '[') {
        u.host.data++;
        u.host.len -= 2;
    }

    /* OpenSSL wants a string of C */

    address->host.len = u.host.len;
    address->host.data = ngx_pnalloc(cf->pool, u.host.len + 1);
    if (address->host.data == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn(address->host.data, u.host.data, u.host.len + 1);

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_redis_db(ngx_http_tgbot_conf_arg_t *arg)
{
    return ngx_http_tgbot_conf_bounded(arg, ngx_atoi(arg->text.data,
                                                     arg->text.len),
                                       0, arg->par->max,
                                       "a number between 0 and 65535");
}


static char *
ngx_http_tgbot_conf_redis_text(ngx_http_tgbot_conf_arg_t *arg)
{
    if (arg->text.len == 0) {
        return ngx_http_tgbot_conf_expected(arg, arg->par->data);
    }

    *(ngx_str_t *) arg->field = arg->text;

    return NGX_CONF_OK;
}


/* braces would change which part of a key names the node of a cluster */

static char *
ngx_http_tgbot_conf_redis_prefix(ngx_http_tgbot_conf_arg_t *arg)
{
    u_char      c;
    ngx_str_t  *text;
    ngx_uint_t  i;

    text = &arg->text;

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if ((c < '0' || c > '9')
            && (ngx_tolower(c) < 'a' || ngx_tolower(c) > 'z')
            && ngx_strchr("_.:-", c) == NULL)
        {
            break;
        }
    }

    if (i == 0 || i < text->len || i > NGX_HTTP_TGBOT_REDIS_PREFIX) {
        return ngx_http_tgbot_conf_expected(arg, "1 to 64 of [A-Za-z0-9_.:-]");
    }

    *(ngx_str_t *) arg->field = *text;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_redis_check(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_tgbot_redis_conf_t *redis)
{
    ngx_uint_t                       i;
    ngx_http_tgbot_redis_address_t  *address;

    if (redis->addresses.nelts == 0) {
        return ngx_http_tgbot_conf_redis_lacks(cf, cmd, "an address",
                                               "\"host:port\" or "
                                               "\"unix:path\" as the first "
                                               "parameter");
    }

    if (ngx_http_tgbot_conf_redis_login(cf, cmd, redis) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (redis->cluster
        && (redis->sentinel.len || redis->db || redis->replicas))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" directive has \"cluster\" with \"%s\", "
                           "expected only one of them", &cmd->name,
                           redis->sentinel.len ? "sentinel="
                           : redis->db ? "db=" : "replicas=");
        return NGX_CONF_ERROR;
    }

    if (!redis->ssl) {

        if (redis->ssl_name.len || redis->ssl_ca.len
            || redis->ssl_certificate.len || redis->ssl_certificate_key.len)
        {
            return ngx_http_tgbot_conf_redis_lacks(cf, cmd, "\"ssl\"",
                                                   "it with the other "
                                                   "parameters that begin so");
        }

        return NGX_CONF_OK;
    }

    if ((redis->ssl_certificate.len == 0)
        != (redis->ssl_certificate_key.len == 0))
    {
        return ngx_http_tgbot_conf_redis_lacks(cf, cmd,
                                               redis->ssl_certificate.len
                                               ? "\"ssl_certificate_key=\""
                                               : "\"ssl_certificate=\"",
                                               "both of them or none");
    }

    address = redis->addresses.elts;

    for (i = 0; i < redis->addresses.nelts; i++) {

        if (address[i].host.len == 0 && redis->ssl_name.len == 0) {
            return ngx_http_tgbot_conf_redis_lacks(cf, cmd, "\"ssl_name=\"",
                                                   "it with \"ssl\" over a "
                                                   "unix socket");
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_redis_login(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_tgbot_redis_conf_t *redis)
{
    if (redis->user.len && redis->password_file.len == 0) {
        return ngx_http_tgbot_conf_redis_lacks(cf, cmd, "\"password_file=\"",
                                               "it with \"user=\"");
    }

    if (redis->sentinel_user.len && redis->sentinel_password_file.len == 0) {
        return ngx_http_tgbot_conf_redis_lacks(cf, cmd,
                                               "\"sentinel_password_file=\"",
                                               "it with \"sentinel_user=\"");
    }

    if (redis->sentinel_password_file.len && redis->sentinel.len == 0) {
        return ngx_http_tgbot_conf_redis_lacks(cf, cmd, "\"sentinel=\"",
                                               "it with "
                                               "\"sentinel_password_file=\"");
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_redis_lacks(ngx_conf_t *cf, ngx_command_t *cmd,
    const char *lacks, const char *expected)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" directive stands without %s, expected %s",
                       &cmd->name, lacks, expected);

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_tgbot_conf_redis_init(ngx_conf_t *cf)
{
    ngx_http_tgbot_main_conf_t   *tmcf;
    ngx_http_tgbot_redis_conf_t  *redis;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    redis = tmcf->redis;

    if (redis == NULL) {
        return NGX_OK;
    }

    if (redis->password_file.len
        && ngx_http_tgbot_secret_password(cf, "tgbot_redis",
                                          &redis->password_file, redis->file,
                                          redis->line, &redis->password)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (redis->sentinel_password_file.len
        && ngx_http_tgbot_secret_password(cf, "tgbot_redis",
                                          &redis->sentinel_password_file,
                                          redis->file, redis->line,
                                          &redis->sentinel_password)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_conf_redis_names(cf, redis) != NGX_OK) {
        return NGX_ERROR;
    }

    return redis->ssl ? ngx_http_tgbot_conf_redis_tls(cf, redis) : NGX_OK;
}


/* without a resolver names are looked up once and now, as nginx does */

static ngx_int_t
ngx_http_tgbot_conf_redis_names(ngx_conf_t *cf,
    ngx_http_tgbot_redis_conf_t *redis)
{
    ngx_url_t                        u;
    ngx_uint_t                       i;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_tgbot_redis_address_t  *address;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->resolver && clcf->resolver->connections.nelts) {
        redis->resolver = clcf->resolver;
        return NGX_OK;
    }

    address = redis->addresses.elts;

    for (i = 0; i < redis->addresses.nelts; i++) {

        if (address[i].addrs) {
            continue;
        }

        ngx_memzero(&u, sizeof(ngx_url_t));

        u.url = address[i].text;
        u.default_port = NGX_HTTP_TGBOT_CONF_REDIS_PORT;

        if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "%s in \"%V\" of the \"tgbot_redis\" directive, "
                          "expected a name that is known now, or a "
                          "\"resolver\" in http in %s:%ui",
                          u.err ? u.err : "no memory", &address[i].text,
                          redis->file, redis->line);
            return NGX_ERROR;
        }

        address[i].addrs = u.addrs;
        address[i].naddrs = u.naddrs;
    }

    return NGX_OK;
}


#if (NGX_SSL)

static ngx_int_t
ngx_http_tgbot_conf_redis_tls(ngx_conf_t *cf,
    ngx_http_tgbot_redis_conf_t *redis)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    redis->tls = ssl;

    if ((redis->ssl_certificate.len
         && ngx_ssl_certificate(cf, ssl, &redis->ssl_certificate,
                                &redis->ssl_certificate_key, NULL)
            != NGX_OK)
        || (redis->ssl_ca.len
            && ngx_ssl_trusted_certificate(cf, ssl, &redis->ssl_ca,
                                           NGX_HTTP_TGBOT_CONF_REDIS_DEPTH)
               != NGX_OK)
        || (redis->ssl_ca.len == 0
            && SSL_CTX_set_default_verify_paths(ssl->ctx) != 1))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "certificates of the \"tgbot_redis\" directive cannot "
                      "be used in %s:%ui", redis->file, redis->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}

#else

static ngx_int_t
ngx_http_tgbot_conf_redis_tls(ngx_conf_t *cf,
    ngx_http_tgbot_redis_conf_t *redis)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"tgbot_redis\" directive has \"ssl\", expected an nginx "
                  "that is built with SSL in %s:%ui", redis->file, redis->line);
    return NGX_ERROR;
}

#endif
