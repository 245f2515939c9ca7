
/*
 * tgbot_register.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_info.h"
#include "ngx_http_tgbot_key.h"
#include "ngx_http_tgbot_secret.h"


#define NGX_HTTP_TGBOT_CONF_REGISTER_API  "https://api.telegram.org"


static char *ngx_http_tgbot_conf_register_url(
    ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_register_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);
static ngx_int_t ngx_http_tgbot_conf_register_split(ngx_conf_t *cf,
    ngx_str_t *url, ngx_uint_t plain, in_port_t *port);
static char *ngx_http_tgbot_conf_address(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_allowed(ngx_http_tgbot_conf_arg_t *arg);
static ngx_int_t ngx_http_tgbot_conf_allowed_names(
    ngx_http_tgbot_conf_arg_t *arg, ngx_array_t *names);
static ngx_int_t ngx_http_tgbot_conf_allowed_all(ngx_array_t *names);
static char *ngx_http_tgbot_conf_interval(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_server(ngx_http_tgbot_conf_arg_t *arg);


static ngx_http_tgbot_conf_parameter_t
    ngx_http_tgbot_conf_register_table[] =
{
    { ngx_null_string, ngx_http_tgbot_conf_register_url, 0, NULL, 0 },

    { ngx_string("ip_address="), ngx_http_tgbot_conf_address,
      offsetof(ngx_http_tgbot_hook_t, address), NULL, 0 },

    { ngx_string("certificate="), ngx_http_tgbot_conf_path,
      offsetof(ngx_http_tgbot_hook_t, certificate), NULL, 0 },

    /* of Telegram's documentation of setWebhook */

    { ngx_string("max_connections="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_hook_t, max_connections), NULL, 100 },

    { ngx_string("allowed_updates="), ngx_http_tgbot_conf_allowed, 0, NULL, 0 },

    { ngx_string("drop_pending"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_hook_t, drop_pending), NULL, 0 },

    { ngx_string("interval="), ngx_http_tgbot_conf_interval,
      offsetof(ngx_http_tgbot_hook_t, interval), NULL, 0 },

    { ngx_string("api="), ngx_http_tgbot_conf_server, 0, NULL, 0 },

    { ngx_string("ca="), ngx_http_tgbot_conf_path,
      offsetof(ngx_http_tgbot_hook_t, ca), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"ip_address=\", \"certificate=\", \"max_connections=\", "
      "\"allowed_updates=\", \"drop_pending\", \"interval=\", \"api=\" or "
      "\"ca=\" after a URL, or \"off\" alone", 0 }
};


static ngx_http_tgbot_hook_t  ngx_http_tgbot_conf_register_default = {
    .interval = 5 * 60 * 1000,
    .api = ngx_string(NGX_HTTP_TGBOT_CONF_REGISTER_API)
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_register = {
    ngx_http_tgbot_conf_register_table, &ngx_http_tgbot_conf_register_default,
    sizeof(ngx_http_tgbot_hook_t), 1, ngx_http_tgbot_conf_register_check
};


static char *
ngx_http_tgbot_conf_register_url(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_http_tgbot_hook_t *hook = arg->field;

    hook->url = arg->text;
    hook->file = arg->cf->conf_file->file.name.data;
    hook->line = arg->cf->conf_file->line;

    return NGX_CONF_OK;
}


/* what Telegram would refuse; a path may hold a token and is not quoted */

static char *
ngx_http_tgbot_conf_register_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value)
{
    ngx_http_tgbot_hook_t *hook = value;

    u_char     *p, *last;
    ngx_str_t   origin, expanded;
    in_port_t   port;

    origin = hook->url;
    last = origin.data + origin.len;

    p = ngx_strlchr(origin.data, last, ':');
    p = ngx_strlchr(p ? ngx_min(p + 3, last) : origin.data, last, '/');

    if (p) {
        origin.len = p - origin.data;
    }

    if (ngx_http_tgbot_conf_register_split(cf, &hook->url, hook->own_api,
                                           &port)
        != NGX_OK)
    {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &origin,
                                           "\"https://host\", with a path or "
                                           "without one, in ASCII and "
                                           "without spaces, quotes, \"?\" "
                                           "and \"#\"");
    }

    if (!hook->own_api
        && port != 443 && port != 80 && port != 88 && port != 8443)
    {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &origin,
                                           "one of the ports that Telegram "
                                           "connects to: 443, 80, 88, 8443");
    }

    switch (ngx_http_tgbot_secret_path(cf, &hook->url, &cmd->name, &expanded))
    {
    case NGX_OK:
        return NGX_CONF_OK;

    case NGX_DECLINED:
        return ngx_http_tgbot_conf_invalid(cf, cmd, &origin,
                                           "a URL in which $tgbot_bot is the "
                                           "only variable");

    default:
        return NGX_CONF_ERROR;
    }
}


/* "plain": a Bot API server of one's own may be told of "http" */

static ngx_int_t
ngx_http_tgbot_conf_register_split(ngx_conf_t *cf, ngx_str_t *url,
    ngx_uint_t plain, in_port_t *port)
{
    u_char     c;
    size_t     i, scheme;
    ngx_url_t  u;

    /* what needs no escaping, neither in a URL nor in JSON */

    for (i = 0; i < url->len; i++) {
        c = url->data[i];

        if (c <= ' ' || c >= 0x7f || ngx_strchr("\"\\<>?#@", c)) {
            return NGX_DECLINED;
        }
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    if (url->len > sizeof("https://") - 1
        && ngx_strncmp(url->data, "https://", sizeof("https://") - 1) == 0)
    {
        scheme = sizeof("https://") - 1;
        u.default_port = 443;

    } else if (plain && url->len > sizeof("http://") - 1
               && ngx_strncmp(url->data, "http://", sizeof("http://") - 1)
                  == 0)
    {
        scheme = sizeof("http://") - 1;
        u.default_port = 80;

    } else {
        return NGX_DECLINED;
    }

    u.url.data = url->data + scheme;
    u.url.len = url->len - scheme;
    u.uri_part = 1;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.family == AF_UNIX) {
        return NGX_DECLINED;
    }

    *port = u.port;

    return NGX_OK;
}


static char *
ngx_http_tgbot_conf_address(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_str_t  *text = &arg->text;

#if (NGX_HAVE_INET6)
    u_char  addr[16];
#endif

    if (ngx_inet_addr(text->data, text->len) == INADDR_NONE

#if (NGX_HAVE_INET6)
        && ngx_inet6_addr(text->data, text->len, addr) != NGX_OK
#endif
       )
    {
        return ngx_http_tgbot_conf_expected(arg, "an IP address");
    }

    *(ngx_str_t *) arg->field = *text;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_allowed(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_http_tgbot_hook_t *hook = arg->field;

    ngx_int_t    rc;
    ngx_array_t  names;

    if (ngx_strcmp(arg->text.data, "default") == 0) {
        hook->allowed = NGX_HTTP_TGBOT_HOOK_ALLOWED_DEFAULT;
        return NGX_CONF_OK;
    }

    hook->allowed = NGX_HTTP_TGBOT_HOOK_ALLOWED_LIST;

    if (ngx_array_init(&names, arg->cf->temp_pool, 8, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rc = (ngx_strcmp(arg->text.data, "all") == 0)
             ? ngx_http_tgbot_conf_allowed_all(&names)
             : ngx_http_tgbot_conf_allowed_names(arg, &names);

    if (rc == NGX_DECLINED) {
        return ngx_http_tgbot_conf_expected(arg, "types of updates with "
                                            "commas between, such as "
                                            "\"message,callback_query\", or "
                                            "\"default\" or \"all\"");
    }

    if (rc != NGX_OK
        || ngx_http_tgbot_info_join(&names, arg->cf->pool, &hook->names)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_allowed_names(ngx_http_tgbot_conf_arg_t *arg,
    ngx_array_t *names)
{
    u_char     *p, *last, *start;
    ngx_str_t  *name;

    start = arg->text.data;
    last = start + arg->text.len;

    for (p = start; p <= last; p++) {

        if (p < last && *p != ',') {

            if ((*p < 'a' || *p > 'z') && *p != '_') {
                return NGX_DECLINED;
            }

            continue;
        }

        if (p == start) {
            return NGX_DECLINED;
        }

        name = ngx_array_push(names);
        if (name == NULL) {
            return NGX_ERROR;
        }

        name->data = start;
        name->len = p - start;

        /* Telegram may know types that are newer than this */

        if (ngx_http_tgbot_key_type(name)->name.len == 0) {
            ngx_conf_log_error(NGX_LOG_WARN, arg->cf, 0,
                               "value \"%V\" in \"%V\" directive is no type "
                               "of updates that is known here",
                               name, &arg->cmd->name);
        }

        start = p + 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_allowed_all(ngx_array_t *names)
{
    ngx_str_t                        *name;
    ngx_uint_t                        i;
    const ngx_http_tgbot_key_type_t  *type;

    for (i = 0; /* void */ ; i++) {
        type = ngx_http_tgbot_key_type_at(i);

        if (type == NULL) {
            return NGX_OK;
        }

        name = ngx_array_push(names);
        if (name == NULL) {
            return NGX_ERROR;
        }

        *name = type->name;
    }
}


static char *
ngx_http_tgbot_conf_interval(ngx_http_tgbot_conf_arg_t *arg)
{
    return ngx_http_tgbot_conf_bounded(arg, ngx_parse_time(&arg->text, 0),
                                       1000, 0, "a time of 1s or more");
}


/* where the Bot API is, as it is before "/bot<token>" */

static char *
ngx_http_tgbot_conf_server(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_http_tgbot_hook_t *hook = arg->field;

    ngx_str_t        *text;
    in_port_t         port;

    static ngx_str_t  telegram = ngx_string(NGX_HTTP_TGBOT_CONF_REGISTER_API);

    text = &arg->text;

    while (text->len && text->data[text->len - 1] == '/') {
        text->len--;
    }

    if (ngx_http_tgbot_conf_register_split(arg->cf, text, 1, &port) != NGX_OK
        || ngx_strlchr(text->data, text->data + text->len, '$'))
    {
        return ngx_http_tgbot_conf_expected(arg, "a URL such as "
                                            "\"http://127.0.0.1:8081\"");
    }

    hook->api = *text;

    hook->own_api = !ngx_http_tgbot_conf_equal(text, &telegram);

    return NGX_CONF_OK;
}
