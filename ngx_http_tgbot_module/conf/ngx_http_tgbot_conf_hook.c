
/*
 * The webhook that a bot registers, from its merged configuration.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_sha1.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_secret.h"


/* a chain of certificates, or all that a system trusts */
#define NGX_HTTP_TGBOT_CONF_PEM_SIZE  (1024 * 1024)

/* bots that the zone has room for, at least */
#define NGX_HTTP_TGBOT_CONF_HOOKS     64


static ngx_int_t ngx_http_tgbot_conf_hook_url(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_hook_t *hook);
static ngx_int_t ngx_http_tgbot_conf_hook_path(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_str_t *url);
static ngx_int_t ngx_http_tgbot_conf_hook_unique(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_hook_t *hook);
static ngx_int_t ngx_http_tgbot_conf_hook_pem(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, const char *name, ngx_str_t *pem);
static ngx_int_t ngx_http_tgbot_conf_hook_error(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, const char *what);
static void ngx_http_tgbot_conf_hook_print(ngx_http_tgbot_bot_t *bot,
    u_char *print);
static void ngx_http_tgbot_conf_hook_add(ngx_sha1_t *sha1, ngx_str_t *value);


char *
ngx_http_tgbot_conf_hook(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_hook_t      *hook;
    ngx_http_tgbot_registry_t  *registry;

    if (bot->conf->hook == NULL) {
        return NGX_CONF_OK;
    }

    if (bot->token.len == 0) {
        (void) ngx_http_tgbot_conf_hook_error(cf, bot,
                                         "has no token, expected "
                                         "\"tgbot_token\" or "
                                         "\"tgbot_token_file\"");
        return NGX_CONF_ERROR;
    }

    hook = ngx_palloc(cf->pool, sizeof(ngx_http_tgbot_hook_t));
    registry = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_registry_t));

    if (hook == NULL || registry == NULL) {
        return NGX_CONF_ERROR;
    }

    *hook = *bot->conf->hook;

    if (ngx_http_tgbot_conf_hook_url(cf, bot, hook) != NGX_OK
        || ngx_http_tgbot_conf_hook_unique(cf, bot, hook) != NGX_OK
        || ngx_http_tgbot_conf_hook_pem(cf, bot, "certificate",
                                        &hook->certificate)
           != NGX_OK
        || ngx_http_tgbot_conf_hook_pem(cf, bot, "ca", &hook->ca) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    bot->hook = hook;

    registry->bot = bot->name;

    ngx_http_tgbot_conf_hook_print(bot, registry->wanted);

    bot->registry = registry;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_hook_url(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_hook_t *hook)
{
    u_char     *p, *last;
    ngx_str_t   url;

    /* other variables were refused when the directive was read */

    if (ngx_http_tgbot_secret_path(cf, &hook->url, &bot->name, &url)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    last = url.data + url.len;

    p = ngx_strlchr(url.data, last, ':');
    p = ngx_strlchr(p + sizeof("://") - 1, last, '/');

    if (p == NULL && ngx_http_tgbot_conf_hook_path(cf, bot, &url) != NGX_OK) {
        return NGX_ERROR;
    }

    if (url.len > NGX_HTTP_TGBOT_REGISTRY_URL) {
        return ngx_http_tgbot_conf_hook_error(cf, bot,
                                              "has a URL that is too long, "
                                              "expected at most 1024 bytes");
    }

    hook->url = url;
    hook->shown = url;

    return ngx_http_tgbot_bot_redact(bot, &hook->shown,
                                     NGX_HTTP_TGBOT_REDACT_UNCUT, cf->pool);
}


/* that of the location */

static ngx_int_t
ngx_http_tgbot_conf_hook_path(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_str_t *url)
{
    u_char                    *p;
    size_t                     len;
    uintptr_t                  escape;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = bot->clcf;

#if (NGX_PCRE)

    if (clcf->regex) {
        return ngx_http_tgbot_conf_hook_error(cf, bot,
                                              "has a URL without a path in a "
                                              "location with a regular "
                                              "expression, expected a path");
    }

#endif

    if (clcf->named || clcf->name.len == 0 || clcf->name.data[0] != '/') {
        return ngx_http_tgbot_conf_hook_error(cf, bot,
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
ngx_http_tgbot_conf_hook_unique(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_hook_t *hook)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_bot_t        **bots;
    ngx_http_tgbot_main_conf_t   *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {

        /* those not merged yet have none */

        if (bots[i] != bot && bots[i]->hook
            && ngx_http_tgbot_conf_equal(&bots[i]->hook->url, &hook->url))
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"tgbot_register\" directive gives the bots "
                          "\"%V\" and \"%V\" one URL \"%V\", expected one of "
                          "its own for every bot, such as by \"$tgbot_bot\", "
                          "in %s:%ui",
                          &bots[i]->name, &bot->name, &hook->shown,
                          hook->file, hook->line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* a path becomes what is in the file */

static ngx_int_t
ngx_http_tgbot_conf_hook_pem(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    const char *name, ngx_str_t *pem)
{
    ngx_err_t               err;
    ngx_str_t               path, text;
    const char             *why;
    ngx_file_info_t         fi;
    ngx_http_tgbot_hook_t  *hook;

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

    hook = bot->conf->hook;

    ngx_log_error(NGX_LOG_EMERG, cf->log, err,
                  "file \"%V\" of \"%s=\" in \"tgbot_register\" directive "
                  "%s, expected certificates in PEM in %s:%ui",
                  &path, name, why, hook->file, hook->line);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_tgbot_conf_hook_error(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    const char *what)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"tgbot_register\" directive of bot \"%V\" %s in %s:%ui",
                  &bot->name, what, bot->conf->hook->file,
                  bot->conf->hook->line);

    return NGX_ERROR;
}


/*
 * Of all that Telegram is given.  It is in shared memory, the secret is not:
 * with the token in it as well it does not tell of a weak one.
 */

static void
ngx_http_tgbot_conf_hook_print(ngx_http_tgbot_bot_t *bot, u_char *print)
{
    ngx_sha1_t              sha1;
    ngx_http_tgbot_hook_t  *hook;

    hook = bot->hook;

    ngx_sha1_init(&sha1);

    ngx_http_tgbot_conf_hook_add(&sha1, &bot->token);
    ngx_http_tgbot_conf_hook_add(&sha1, &bot->secret);
    ngx_http_tgbot_conf_hook_add(&sha1, &hook->url);
    ngx_http_tgbot_conf_hook_add(&sha1, &hook->address);
    ngx_http_tgbot_conf_hook_add(&sha1, &hook->certificate);
    ngx_http_tgbot_conf_hook_add(&sha1, &hook->names);

    ngx_sha1_update(&sha1, &hook->allowed, sizeof(ngx_uint_t));
    ngx_sha1_update(&sha1, &hook->max_connections, sizeof(ngx_uint_t));

    ngx_sha1_final(print, &sha1);
}


static void
ngx_http_tgbot_conf_hook_add(ngx_sha1_t *sha1, ngx_str_t *value)
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
        n += (bots[i]->hook != NULL);
    }

    if (n == 0) {
        return NGX_OK;
    }

    /* a bot more is to find the zone of the same size */

    for (size = NGX_HTTP_TGBOT_CONF_HOOKS; size < n; size *= 2) { /* void */ }

    zone = ngx_http_tgbot_conf_own_zone(cf, "tgbot_register", NULL,
                                        ngx_http_tgbot_registry_size(size),
                                        &ngx_http_tgbot_registry_zone);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < tmcf->bots.nelts; i++) {

        if (bots[i]->hook == NULL) {
            continue;
        }

        user = ngx_array_push(&zone->users);
        if (user == NULL) {
            return NGX_ERROR;
        }

        /* the tokens of bots that stand below are known now */

        if (ngx_http_tgbot_bot_redact(bots[i], &bots[i]->hook->shown,
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
