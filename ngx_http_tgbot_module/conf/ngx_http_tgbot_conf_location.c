
/*
 * Warnings of what can be seen before the first update: a constant URI of
 * tgbot_handler or tgbot_api that leads to no location for a call, and a
 * webhook behind a "return".  What a request decides is not seen, so rewrites
 * keep these checks silent.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"


/* Angie keeps the names of a location apart from its configuration */

#if (NGX_HTTP_TGBOT_CORE_LOC)
typedef ngx_http_core_loc_t  ngx_http_tgbot_conf_location_t;
#define ngx_http_tgbot_conf_location_clcf(l)  ((l)->conf)
#else
typedef ngx_http_core_loc_conf_t  ngx_http_tgbot_conf_location_t;
#define ngx_http_tgbot_conf_location_clcf(l)  (l)
#endif


static void ngx_http_tgbot_conf_location_return(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, void **loc_conf, const char *place);
static ngx_array_t *ngx_http_tgbot_conf_location_codes(ngx_conf_t *cf,
    void **loc_conf);
static void *ngx_http_tgbot_conf_location_module(ngx_conf_t *cf,
    void **loc_conf, const char *name);
static ngx_uint_t ngx_http_tgbot_conf_location_rewritten(ngx_conf_t *cf,
    void **loc_conf);
static void ngx_http_tgbot_conf_location_uri(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_uri_t *uri, ngx_uint_t api);
static ngx_str_t ngx_http_tgbot_conf_location_shown(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_str_t *path);
static const char *ngx_http_tgbot_conf_location_fault(
    ngx_http_core_loc_conf_t *clcf);
static ngx_int_t ngx_http_tgbot_conf_location_find(
    ngx_http_core_loc_conf_t *parent, ngx_str_t *path,
    ngx_http_core_loc_conf_t **found);
static ngx_int_t ngx_http_tgbot_conf_location_find_static(
    ngx_http_location_tree_node_t *node, ngx_str_t *path,
    ngx_http_tgbot_conf_location_t **found);


void
ngx_http_tgbot_conf_locations(ngx_conf_t *cf)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_bot_t         *bot, **bots;
    ngx_http_tgbot_main_conf_t   *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {
        bot = bots[i];

        ngx_http_tgbot_conf_location_return(cf, bot, bot->ctx->loc_conf,
                                            "server");
        ngx_http_tgbot_conf_location_return(cf, bot, bot->clcf->loc_conf,
                                            "location");

        if (!ngx_http_tgbot_conf_location_rewritten(cf, bot->ctx->loc_conf)) {
            ngx_http_tgbot_conf_location_uri(cf, bot, bot->conf->handler, 0);
            ngx_http_tgbot_conf_location_uri(cf, bot, bot->conf->api, 1);
        }
    }
}


/* "return" as the first directive of the rewrite module needs no condition */

static void
ngx_http_tgbot_conf_location_return(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    void **loc_conf, const char *place)
{
    ngx_array_t              *codes;
    ngx_http_script_code_pt  *code;

    codes = ngx_http_tgbot_conf_location_codes(cf, loc_conf);

    if (codes == NULL) {
        return;
    }

    code = codes->elts;

    if (*code != ngx_http_script_return_code) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "\"tgbot_webhook\" directive \"%V\" gets no requests: "
                  "\"return\" answers all of its %s, expected a %s without "
                  "\"return\" in %s:%ui",
                  &bot->name, place, place, bot->file, bot->line);
}


/*
 * The rewrite module keeps its configuration to itself; in all versions it
 * begins with the codes.  NULL: there are none.
 */

static ngx_array_t *
ngx_http_tgbot_conf_location_codes(ngx_conf_t *cf, void **loc_conf)
{
    ngx_array_t  **codes;

    codes = ngx_http_tgbot_conf_location_module(cf, loc_conf,
                                                "ngx_http_rewrite_module");

    return (codes && *codes && (*codes)->nelts) ? *codes : NULL;
}


/* nginx may have been built without the module, so there is no symbol of it */

static void *
ngx_http_tgbot_conf_location_module(ngx_conf_t *cf, void **loc_conf,
    const char *name)
{
    ngx_uint_t  i;

    for (i = 0; cf->cycle->modules[i]; i++) {

        if (ngx_strcmp(cf->cycle->modules[i]->name, name) == 0) {
            return loc_conf[cf->cycle->modules[i]->ctx_index];
        }
    }

    return NULL;
}


/* whether the server may give a call another URI than that of the directive */

static ngx_uint_t
ngx_http_tgbot_conf_location_rewritten(ngx_conf_t *cf, void **loc_conf)
{
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    /* one handler is that of the rewrite module */

    return cmcf->phases[NGX_HTTP_SERVER_REWRITE_PHASE].handlers.nelts > 1
           || ngx_http_tgbot_conf_location_codes(cf, loc_conf) != NULL;
}


static void
ngx_http_tgbot_conf_location_uri(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_uri_t *uri, ngx_uint_t api)
{
    ngx_int_t                  rc;
    ngx_str_t                  path, name;
    const char                *fault, *directive;
    ngx_http_core_loc_conf_t  *clcf, *server;

    /* bots of one server follow one another: one warning for all of them */

    if (uri == NULL || uri->path.lengths || uri->checked == bot->ctx) {
        return;
    }

    uri->checked = bot->ctx;

    directive = api ? "tgbot_api" : "tgbot_handler";

    clcf = NULL;
    server = bot->ctx->loc_conf[ngx_http_core_module.ctx_index];

    rc = ngx_http_tgbot_conf_location_find(server, &uri->path.value, &clcf);

    path = ngx_http_tgbot_conf_location_shown(cf, bot, &uri->path.value);

    if (clcf == NULL) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"%s\" directive \"%V\" of bot \"%V\" leads to no "
                      "location of its server, expected the URI of an "
                      "internal location in %s:%ui",
                      directive, &path, &bot->name,
                      uri->file, uri->line);
        return;
    }

    fault = (rc == NGX_DONE)
            ? "by a redirect, expected the URI with a \"/\" at its end"
            : ngx_http_tgbot_conf_location_fault(clcf);

    if (fault) {
        name = ngx_http_tgbot_conf_location_shown(cf, bot, &clcf->name);

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"%s\" directive \"%V\" of bot \"%V\" leads to "
                      "location \"%V\" %s in %s:%ui",
                      directive, &path, &bot->name, &name, fault, uri->file,
                      uri->line);
    }
}


/* programs often have the token in their path */

static ngx_str_t
ngx_http_tgbot_conf_location_shown(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_str_t *path)
{
    ngx_str_t  shown;

    shown = *path;

    if (ngx_http_tgbot_bot_redact(bot, &shown, NGX_HTTP_TGBOT_REDACT_UNCUT,
                                  cf->temp_pool)
        != NGX_OK)
    {
        ngx_str_set(&shown, "");
    }

    return shown;
}


/* what is wrong with a location for calls, or NULL */

static const char *
ngx_http_tgbot_conf_location_fault(ngx_http_core_loc_conf_t *clcf)
{
    ngx_http_tgbot_loc_conf_t  *tlcf;

    tlcf = clcf->loc_conf[ngx_http_tgbot_module.ctx_index];

    if (tlcf->bot) {
        return "of a webhook, expected the URI of an internal location";
    }

    if (!clcf->internal) {
        return "that any client can reach, expected \"internal\" in a "
               "location for these calls";
    }

    return NULL;
}


/*
 * Finds the location of a path as nginx does for a request.  *found is set if
 * there is one.  NGX_DONE: nginx redirects to it.  NGX_OK: no other location
 * comes before it.
 */

static ngx_int_t
ngx_http_tgbot_conf_location_find(ngx_http_core_loc_conf_t *parent,
    ngx_str_t *path, ngx_http_core_loc_conf_t **found)
{
    ngx_int_t                         rc;
    ngx_http_tgbot_conf_location_t   *location;
#if (NGX_PCRE)
    ngx_http_tgbot_conf_location_t  **regex;
#endif

    location = NULL;

    rc = ngx_http_tgbot_conf_location_find_static(parent->static_locations,
                                                  path, &location);

    if (location) {
        *found = ngx_http_tgbot_conf_location_clcf(location);

        if (rc == NGX_AGAIN) {
            rc = ngx_http_tgbot_conf_location_find(*found, path, found);
        }
    }

    if (rc == NGX_OK || rc == NGX_DONE) {
        return rc;
    }

#if (NGX_PCRE)

    if (location && location->noregex) {
        return rc;
    }

    for (regex = parent->regex_locations; regex && *regex; regex++) {

        if (ngx_regex_exec((*regex)->regex->regex, path, NULL, 0) >= 0) {
            *found = ngx_http_tgbot_conf_location_clcf(*regex);
            (void) ngx_http_tgbot_conf_location_find(*found, path, found);

            return NGX_OK;
        }
    }

#endif

    return rc;
}


/*
 * NGX_OK: an exact location; NGX_AGAIN: one by prefix, in which there may be
 * others; NGX_DONE: nginx redirects to the location; NGX_DECLINED: none.
 */

static ngx_int_t
ngx_http_tgbot_conf_location_find_static(ngx_http_location_tree_node_t *node,
    ngx_str_t *path, ngx_http_tgbot_conf_location_t **found)
{
    u_char     *p;
    size_t      len;
    ngx_int_t   rc, order;

    p = path->data;
    len = path->len;
    rc = NGX_DECLINED;

    while (node) {
        order = ngx_filename_cmp(p, node->name, ngx_min(len, node->len));

        if (order != 0) {
            node = (order < 0) ? node->left : node->right;

        } else if (len > node->len) {

            if (node->inclusive == NULL) {
                node = node->right;
                continue;
            }

            *found = node->inclusive;
            rc = NGX_AGAIN;

            p += node->len;
            len -= node->len;
            node = node->tree;

        } else if (len == node->len) {
            *found = node->exact ? node->exact : node->inclusive;

            return node->exact ? NGX_OK : NGX_AGAIN;

        } else {

            if (len + 1 == node->len && node->auto_redirect) {
                *found = node->exact ? node->exact : node->inclusive;
                rc = NGX_DONE;
            }

            node = node->left;
        }
    }

    return rc;
}
