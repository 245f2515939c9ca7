
/*
 * tgbot_register: the directive, and its check in a merged configuration.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_sha1.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_secret.h"
#include "ngx_http_tgbot_update_type.h"
#include "ngx_http_tgbot_webhook_info.h"


#define NGX_HTTP_TGBOT_CONF_REGISTER_API  "https://api.telegram.org"

/* the limits of Telegram's setWebhook, and of a server with --local */
#define NGX_HTTP_TGBOT_CONF_REGISTER_CONNECTIONS      100
#define NGX_HTTP_TGBOT_CONF_REGISTER_OWN_CONNECTIONS  100000


/* a chain of certificates, or the system's whole bundle of trusted ones */
#define NGX_HTTP_TGBOT_CONF_PEM_SIZE  (1024 * 1024)

/* the zone has room for at least so many bots */
#define NGX_HTTP_TGBOT_CONF_REGISTERS  64


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
static char *ngx_http_tgbot_conf_allowed_default(ngx_conf_t *cf,
    ngx_http_tgbot_register_conf_t *reg);
static ngx_int_t ngx_http_tgbot_conf_allowed_types(ngx_array_t *names,
    ngx_uint_t without);
static char *ngx_http_tgbot_conf_interval(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_server(ngx_http_tgbot_conf_arg_t *arg);
static ngx_int_t ngx_http_tgbot_conf_reg_url(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_register_conf_t *reg);
static ngx_int_t ngx_http_tgbot_conf_reg_path(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_str_t *url);
static ngx_int_t ngx_http_tgbot_conf_reg_unique(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_register_conf_t *reg);
static ngx_int_t ngx_http_tgbot_conf_reg_pem(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, const char *name, ngx_str_t *pem);
static ngx_int_t ngx_http_tgbot_conf_reg_error(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, const char *what);
static void ngx_http_tgbot_conf_reg_print(ngx_http_tgbot_bot_t *bot,
    u_char *print);
static void ngx_http_tgbot_conf_reg_add(ngx_sha1_t *sha1, ngx_str_t *value);


static ngx_http_tgbot_conf_parameter_t
    ngx_http_tgbot_conf_register_table[] =
{
    { ngx_null_string, ngx_http_tgbot_conf_register_url, 0, NULL, 0 },

    { ngx_string("ip_address="), ngx_http_tgbot_conf_address,
      offsetof(ngx_http_tgbot_register_conf_t, address), NULL, 0 },

    { ngx_string("certificate="), ngx_http_tgbot_conf_path,
      offsetof(ngx_http_tgbot_register_conf_t, certificate), NULL, 0 },

    { ngx_string("max_connections="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_register_conf_t, max_connections), NULL,
      NGX_HTTP_TGBOT_CONF_REGISTER_OWN_CONNECTIONS },

    { ngx_string("allowed_updates="), ngx_http_tgbot_conf_allowed, 0, NULL, 0 },

    { ngx_string("drop_pending"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_register_conf_t, drop_pending), NULL, 0 },

    { ngx_string("interval="), ngx_http_tgbot_conf_interval,
      offsetof(ngx_http_tgbot_register_conf_t, interval), NULL, 0 },

    { ngx_string("api="), ngx_http_tgbot_conf_server, 0, NULL, 0 },

    { ngx_string("ca="), ngx_http_tgbot_conf_path,
      offsetof(ngx_http_tgbot_register_conf_t, ca), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"ip_address=\", \"certificate=\", \"max_connections=\", "
      "\"allowed_updates=\", \"drop_pending\", \"interval=\", \"api=\" or "
      "\"ca=\" after a URL, or \"off\" alone", 0 }
};


static ngx_http_tgbot_register_conf_t  ngx_http_tgbot_conf_register_default = {
    .interval = 5 * 60 * 1000,
    .api = ngx_string(NGX_HTTP_TGBOT_CONF_REGISTER_API)
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_register = {
    ngx_http_tgbot_conf_register_table, &ngx_http_tgbot_conf_register_default,
    sizeof(ngx_http_tgbot_register_conf_t), 1,
    ngx_http_tgbot_conf_register_check
};


static char *
ngx_http_tgbot_conf_register_url(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_http_tgbot_register_conf_t  *reg = arg->field;

    reg->url = arg->text;
    reg->file = arg->cf->conf_file->file.name.data;
    reg->line = arg->cf->conf_file->line;

    return NGX_CONF_OK;
}


/*
 * refuses URLs that Telegram would refuse; errors quote no path, as it may
 * contain a token
 */

static char *
ngx_http_tgbot_conf_register_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value)
{
    ngx_http_tgbot_register_conf_t  *reg = value;

    u_char      connections[sizeof("max_connections=") + NGX_INT_T_LEN];
    u_char     *p, *last;
    ngx_str_t   origin, expanded, text;
    in_port_t   port;

    origin = reg->url;
    last = origin.data + origin.len;

    p = ngx_strlchr(origin.data, last, ':');
    p = ngx_strlchr(p ? ngx_min(p + 3, last) : origin.data, last, '/');

    if (p) {
        origin.len = p - origin.data;
    }

    if (ngx_http_tgbot_conf_register_split(cf, &reg->url, reg->own_api,
                                           &port)
        != NGX_OK)
    {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &origin,
                                           "\"https://host\", with a path or "
                                           "without one, in ASCII and "
                                           "without spaces, quotes, \"?\" "
                                           "and \"#\"");
    }

    if (!reg->own_api
        && reg->max_connections > NGX_HTTP_TGBOT_CONF_REGISTER_CONNECTIONS)
    {
        text.data = connections;
        text.len = ngx_sprintf(connections, "max_connections=%ui",
                               reg->max_connections)
                   - connections;

        return ngx_http_tgbot_conf_invalid(cf, cmd, &text,
                                           "a number between 1 and 100, or "
                                           "up to 100000 with an \"api=\" "
                                           "of your own");
    }

    if (!reg->own_api
        && port != 443 && port != 80 && port != 88 && port != 8443)
    {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &origin,
                                           "one of the ports that Telegram "
                                           "connects to: 443, 80, 88, 8443");
    }

    switch (ngx_http_tgbot_secret_path(cf, &reg->url, &cmd->name, &expanded))
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


/* plain: "http" is allowed too, for a self-hosted Bot API server */

static ngx_int_t
ngx_http_tgbot_conf_register_split(ngx_conf_t *cf, ngx_str_t *url,
    ngx_uint_t plain, in_port_t *port)
{
    u_char     c;
    size_t     i, scheme;
    ngx_url_t  u;

    /* allow only characters that need no escaping in URLs and in JSON */

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
    ngx_http_tgbot_register_conf_t  *reg = arg->field;

    ngx_int_t    rc;
    ngx_array_t  names;

    if (ngx_strcmp(arg->text.data, "default") == 0) {
        reg->allowed = NGX_HTTP_TGBOT_REGISTER_ALLOWED_DEFAULT;
        return NGX_CONF_OK;
    }

    reg->allowed = NGX_HTTP_TGBOT_REGISTER_ALLOWED_LIST;

    if (ngx_array_init(&names, arg->cf->temp_pool, 8, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rc = (ngx_strcmp(arg->text.data, "all") == 0)
             ? ngx_http_tgbot_conf_allowed_types(&names,
                                           NGX_HTTP_TGBOT_TYPE_UNDOCUMENTED)
             : ngx_http_tgbot_conf_allowed_names(arg, &names);

    if (rc == NGX_DECLINED) {
        return ngx_http_tgbot_conf_expected(arg, "types of updates with "
                                            "commas between, such as "
                                            "\"message,callback_query\", or "
                                            "\"default\" or \"all\"");
    }

    if (rc != NGX_OK
        || ngx_http_tgbot_webhook_info_join(&names, arg->cf->pool, &reg->names)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_tgbot_conf_allowed_default(arg->cf, reg);
}


/* whether these names are the default */

static char *
ngx_http_tgbot_conf_allowed_default(ngx_conf_t *cf,
    ngx_http_tgbot_register_conf_t *reg)
{
    ngx_str_t    joined;
    ngx_array_t  names;

    if (ngx_array_init(&names, cf->temp_pool, NGX_HTTP_TGBOT_TYPES,
                       sizeof(ngx_str_t))
        != NGX_OK
        || ngx_http_tgbot_conf_allowed_types(&names,
                                           NGX_HTTP_TGBOT_TYPE_UNDOCUMENTED
                                           |NGX_HTTP_TGBOT_TYPE_ASKED)
           != NGX_OK
        || ngx_http_tgbot_webhook_info_join(&names, cf->temp_pool, &joined)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    reg->names_default = ngx_http_tgbot_conf_equal(&joined, &reg->names);

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

        /* only a warning: Telegram may have added a type */

        if (ngx_http_tgbot_update_type_find(name)
            == NGX_HTTP_TGBOT_TYPE_UNKNOWN)
        {
            ngx_conf_log_error(NGX_LOG_WARN, arg->cf, 0,
                               "value \"%V\" in \"%V\" directive is no type "
                               "of updates that is known here",
                               name, &arg->cmd->name);
        }

        start = p + 1;
    }

    return NGX_OK;
}


/* adds all types that have none of these flags */

static ngx_int_t
ngx_http_tgbot_conf_allowed_types(ngx_array_t *names, ngx_uint_t without)
{
    ngx_str_t                           *name;
    ngx_uint_t                           i;
    const ngx_http_tgbot_update_type_t  *type;

    for (i = NGX_HTTP_TGBOT_TYPE_UNKNOWN + 1; i < NGX_HTTP_TGBOT_TYPES; i++) {
        type = &ngx_http_tgbot_update_types[i];

        if (type->flags & without) {
            continue;
        }

        name = ngx_array_push(names);
        if (name == NULL) {
            return NGX_ERROR;
        }

        *name = type->name;
    }

    return NGX_OK;
}


static char *
ngx_http_tgbot_conf_interval(ngx_http_tgbot_conf_arg_t *arg)
{
    return ngx_http_tgbot_conf_bounded(arg, ngx_parse_time(&arg->text, 0),
                                       1000, 0, "a time of 1s or more");
}


/* base URL of the Bot API: what precedes "/bot<token>" */

static char *
ngx_http_tgbot_conf_server(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_http_tgbot_register_conf_t  *reg = arg->field;

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

    reg->api = *text;

    reg->own_api = !ngx_http_tgbot_conf_equal(text, &telegram);

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_reg(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_registry_t       *registry;
    ngx_http_tgbot_register_conf_t  *reg;

    if (bot->conf->reg == NULL) {
        return NGX_CONF_OK;
    }

    if (bot->token.len == 0) {
        (void) ngx_http_tgbot_conf_reg_error(cf, bot,
                                         "has no token, expected "
                                         "\"tgbot_token\" or "
                                         "\"tgbot_token_file\"");
        return NGX_CONF_ERROR;
    }

    reg = ngx_palloc(cf->pool, sizeof(ngx_http_tgbot_register_conf_t));
    registry = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_registry_t));

    if (reg == NULL || registry == NULL) {
        return NGX_CONF_ERROR;
    }

    *reg = *bot->conf->reg;

    if (ngx_http_tgbot_conf_reg_url(cf, bot, reg) != NGX_OK
        || ngx_http_tgbot_conf_reg_unique(cf, bot, reg) != NGX_OK
        || ngx_http_tgbot_conf_reg_pem(cf, bot, "certificate",
                                       &reg->certificate)
           != NGX_OK
        || ngx_http_tgbot_conf_reg_pem(cf, bot, "ca", &reg->ca) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    bot->reg = reg;

    registry->bot = bot->name;

    ngx_http_tgbot_conf_reg_print(bot, registry->wanted);

    bot->registry = registry;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_reg_url(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_register_conf_t *reg)
{
    u_char     *p, *last;
    ngx_str_t   url;

    /* the parser has refused all other variables */

    if (ngx_http_tgbot_secret_path(cf, &reg->url, &bot->name, &url)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    last = url.data + url.len;

    p = ngx_strlchr(url.data, last, ':');
    p = ngx_strlchr(p + sizeof("://") - 1, last, '/');

    if (p == NULL && ngx_http_tgbot_conf_reg_path(cf, bot, &url) != NGX_OK) {
        return NGX_ERROR;
    }

    if (url.len > NGX_HTTP_TGBOT_REGISTRY_URL) {
        return ngx_http_tgbot_conf_reg_error(cf, bot,
                                             "has a URL that is too long, "
                                             "expected at most 1024 bytes");
    }

    if (p && ngx_http_tgbot_redact_holds(ngx_http_tgbot_bot_tokens(bot), &url))
    {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"tgbot_register\" directive of bot \"%V\" has a "
                      "token in its URL, which logs show in %s:%ui",
                      &bot->name, bot->conf->reg->file, bot->conf->reg->line);
    }

    reg->url = url;
    reg->shown = url;

    return ngx_http_tgbot_bot_redact(bot, &reg->shown,
                                     NGX_HTTP_TGBOT_REDACT_UNCUT, cf->pool);
}


/* appends the path of the location to url */

static ngx_int_t
ngx_http_tgbot_conf_reg_path(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_str_t *url)
{
    u_char                    *p;
    size_t                     len;
    uintptr_t                  escape;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = bot->clcf;

#if (NGX_PCRE)

    if (clcf->regex) {
        return ngx_http_tgbot_conf_reg_error(cf, bot,
                                             "has a URL without a path in a "
                                             "location with a regular "
                                             "expression, expected a path");
    }

#endif

    if (clcf->named || clcf->name.len == 0 || clcf->name.data[0] != '/') {
        return ngx_http_tgbot_conf_reg_error(cf, bot,
                                             "has a URL without a path in a "
                                             "location without one, "
                                             "expected a path");
    }

    escape = ngx_escape_uri(NULL, clcf->name.data, clcf->name.len,
                            NGX_ESCAPE_URI);

    len = url->len + clcf->name.len + 2 * escape;

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, url->data, url->len);

    (void) ngx_escape_uri(p + url->len, clcf->name.data, clcf->name.len,
                          NGX_ESCAPE_URI);

    url->data = p;
    url->len = len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_reg_unique(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_register_conf_t *reg)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_bot_t        **bots;
    ngx_http_tgbot_main_conf_t   *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {

        /* bots that are not merged yet have reg NULL */

        if (bots[i] != bot && bots[i]->reg
            && ngx_http_tgbot_conf_equal(&bots[i]->reg->url, &reg->url))
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"tgbot_register\" directive gives the bots "
                          "\"%V\" and \"%V\" one URL \"%V\", expected one of "
                          "its own for every bot, such as by \"$tgbot_bot\", "
                          "in %s:%ui",
                          &bots[i]->name, &bot->name, &reg->shown,
                          reg->file, reg->line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* replaces the path in *pem with the contents of the file */

static ngx_int_t
ngx_http_tgbot_conf_reg_pem(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    const char *name, ngx_str_t *pem)
{
    ngx_err_t                        err;
    ngx_str_t                        path, text;
    const char                      *why;
    ngx_file_info_t                  fi;
    ngx_http_tgbot_register_conf_t  *reg;

    if (pem->len == 0) {
        return NGX_OK;
    }

    path = *pem;

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    why = ngx_http_tgbot_secret_file(cf, &path, NGX_HTTP_TGBOT_CONF_PEM_SIZE,
                                     &text, &fi, &err);
    if (why) {
        /* void */

    } else if (text.len > NGX_HTTP_TGBOT_CONF_PEM_SIZE) {
        why = "is larger than 1 MB";

    } else if (ngx_strnstr(text.data, "-----BEGIN CERTIFICATE-----", text.len)
               == NULL)
    {
        why = "holds no certificate";

    } else if (ngx_strnstr(text.data, "PRIVATE KEY-----", text.len)) {
        why = "holds a private key";

    } else {
        *pem = text;
        return NGX_OK;
    }

    reg = bot->conf->reg;

    ngx_log_error(NGX_LOG_EMERG, cf->log, err,
                  "file \"%V\" of \"%s=\" in \"tgbot_register\" directive "
                  "%s, expected certificates in PEM in %s:%ui",
                  &path, name, why, reg->file, reg->line);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_tgbot_conf_reg_error(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    const char *what)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"tgbot_register\" directive of bot \"%V\" %s in %s:%ui",
                  &bot->name, what, bot->conf->reg->file,
                  bot->conf->reg->line);

    return NGX_ERROR;
}


/*
 * A fingerprint of all values that setWebhook gets.  It is kept in shared
 * memory, the secret is not.  As the token is hashed too, the fingerprint
 * cannot be used to guess a weak secret.
 */

static void
ngx_http_tgbot_conf_reg_print(ngx_http_tgbot_bot_t *bot, u_char *print)
{
    ngx_sha1_t                       sha1;
    ngx_http_tgbot_register_conf_t  *reg;

    reg = bot->reg;

    ngx_sha1_init(&sha1);

    ngx_http_tgbot_conf_reg_add(&sha1, &bot->token);
    ngx_http_tgbot_conf_reg_add(&sha1, &bot->secret);
    ngx_http_tgbot_conf_reg_add(&sha1, &reg->url);
    ngx_http_tgbot_conf_reg_add(&sha1, &reg->address);
    ngx_http_tgbot_conf_reg_add(&sha1, &reg->certificate);
    ngx_http_tgbot_conf_reg_add(&sha1, &reg->names);

    ngx_sha1_update(&sha1, &reg->allowed, sizeof(ngx_uint_t));
    ngx_sha1_update(&sha1, &reg->max_connections, sizeof(ngx_uint_t));

    if (ngx_http_tgbot_bot_test(bot)) {
        ngx_sha1_update(&sha1, "test", sizeof("test") - 1);
    }

    ngx_sha1_final(print, &sha1);
}


static void
ngx_http_tgbot_conf_reg_add(ngx_sha1_t *sha1, ngx_str_t *value)
{
    ngx_sha1_update(sha1, &value->len, sizeof(size_t));
    ngx_sha1_update(sha1, value->data, value->len);
}


ngx_int_t
ngx_http_tgbot_conf_registry(ngx_conf_t *cf)
{
    ngx_uint_t                    i, n, size;
    ngx_http_tgbot_bot_t        **bots;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_registry_t   **user;
    ngx_http_tgbot_main_conf_t   *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    bots = tmcf->bots.elts;
    n = 0;

    for (i = 0; i < tmcf->bots.nelts; i++) {
        n += (bots[i]->reg != NULL);
    }

    if (n == 0) {
        return NGX_OK;
    }

    /* round up: adding a bot should not change the size of the zone */

    for (size = NGX_HTTP_TGBOT_CONF_REGISTERS; size < n; size *= 2) {
        /* void */
    }

    zone = ngx_http_tgbot_conf_own_zone(cf, "tgbot_register", NULL,
                                        ngx_http_tgbot_registry_size(size),
                                        &ngx_http_tgbot_registry_zone);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < tmcf->bots.nelts; i++) {

        if (bots[i]->reg == NULL) {
            continue;
        }

        user = ngx_array_push(&zone->users);
        if (user == NULL) {
            return NGX_ERROR;
        }

        /* redact again: now the tokens of all bots are known */

        if (ngx_http_tgbot_bot_redact(bots[i], &bots[i]->reg->shown,
                                      NGX_HTTP_TGBOT_REDACT_UNCUT, cf->pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        *user = bots[i]->registry;

        (*user)->zone = zone;
        (*user)->bot_id = bots[i]->id;
    }

    return NGX_OK;
}
