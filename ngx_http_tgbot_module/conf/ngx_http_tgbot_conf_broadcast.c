
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_broadcast_route.h"
#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_idempotency.h"


static char *ngx_http_tgbot_conf_broadcast_name(
    ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_broadcast_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);
static ngx_int_t ngx_http_tgbot_conf_broadcast_bot(ngx_conf_t *cf,
    ngx_http_tgbot_broadcast_conf_t *b);
static ngx_int_t ngx_http_tgbot_conf_broadcast_error(ngx_conf_t *cf,
    ngx_http_tgbot_broadcast_conf_t *b, const char *what);


static ngx_http_tgbot_conf_parameter_t
    ngx_http_tgbot_conf_broadcast_table[] =
{
    { ngx_null_string, ngx_http_tgbot_conf_broadcast_name,
      offsetof(ngx_http_tgbot_broadcast_conf_t, name), NULL, 0 },

    { ngx_string("zone="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_broadcast_conf_t, zone),
      &ngx_http_tgbot_broadcast_zone, 0 },

    { ngx_string("idempotency="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_broadcast_conf_t, idempotency),
      &ngx_http_tgbot_idempotency_zone, 0 },

    { ngx_null_string, NULL, 0, "\"zone=\" or \"idempotency=\"", 0 }
};


static ngx_http_tgbot_broadcast_conf_t
    ngx_http_tgbot_conf_broadcast_default;

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_broadcast = {
    ngx_http_tgbot_conf_broadcast_table,
    &ngx_http_tgbot_conf_broadcast_default,
    sizeof(ngx_http_tgbot_broadcast_conf_t), 0,
    ngx_http_tgbot_conf_broadcast_check
};


/* the name is looked up when all webhooks are known */

static char *
ngx_http_tgbot_conf_broadcast_name(ngx_http_tgbot_conf_arg_t *arg)
{
    if (arg->text.len == 0) {
        return ngx_http_tgbot_conf_expected(arg,
                                     "the name of a bot, as \"tgbot_webhook\" "
                                     "has it");
    }

    *(ngx_str_t *) arg->field = arg->text;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_broadcast_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value)
{
    ngx_http_tgbot_broadcast_conf_t *b = value;

    if (b->zone == NULL) {
        return ngx_http_tgbot_conf_without(cf, cmd, "zone",
                                           "\"zone=name:size\"");
    }

    (void) ngx_http_tgbot_conf_handler(cf,
                                       ngx_http_tgbot_broadcast_route_handler);

    b->file = cf->conf_file->file.name.data;
    b->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_check_broadcast(ngx_conf_t *cf,
    ngx_http_tgbot_loc_conf_t *conf, ngx_http_core_loc_conf_t *clcf)
{
    ngx_http_tgbot_main_conf_t        *tmcf;
    ngx_http_tgbot_broadcast_conf_t   *b, **bp;

    b = conf->broadcast;

    if (clcf->noname) {
        return NGX_CONF_OK;
    }

    if (clcf->handler != ngx_http_tgbot_broadcast_route_handler
        || clcf->exact_match || clcf->named
#if (NGX_PCRE)
        || clcf->regex
#endif
       )
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tgbot_broadcast\" directive stands in location "
                      "\"%V\", expected a prefix location of its own, without "
                      "another content handler, in %s:%ui",
                      &clcf->name, b->file, b->line);
        return NGX_CONF_ERROR;
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    b->conf = conf;
    b->clcf = clcf;
    b->hosts = ngx_http_tgbot_conf_hosts(cf);

    bp = ngx_array_push(&tmcf->broadcasts);

    if (b->hosts == NULL || bp == NULL) {
        return NGX_CONF_ERROR;
    }

    *bp = b;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_tgbot_conf_broadcasts(ngx_conf_t *cf)
{
    ngx_uint_t                         i;
    ngx_http_tgbot_main_conf_t        *tmcf;
    ngx_http_tgbot_broadcast_conf_t  **b;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    b = tmcf->broadcasts.elts;

    for (i = 0; i < tmcf->broadcasts.nelts; i++) {
        if (ngx_http_tgbot_conf_broadcast_bot(cf, b[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_broadcast_bot(ngx_conf_t *cf,
    ngx_http_tgbot_broadcast_conf_t *b)
{
    void                        **user;
    ngx_http_tgbot_main_conf_t   *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    b->bot = ngx_http_tgbot_bot_named(tmcf, &b->name);

    if (b->bot == NULL) {
        return ngx_http_tgbot_conf_broadcast_error(cf, b, "names no bot, "
                                   "expected the name of a \"tgbot_webhook\"");
    }

    if (b->bot->conf->api == NULL) {
        return ngx_http_tgbot_conf_broadcast_error(cf, b, "names a bot without "
                                   "\"tgbot_api\", expected a bot that has "
                                   "it");
    }

    if (b->bot->broadcast) {
        return ngx_http_tgbot_conf_broadcast_error(cf, b, "names a bot that "
                                   "has a \"tgbot_broadcast\" already, "
                                   "expected one for each bot");
    }

    b->bot->broadcast = b;

    b->user.zone = b->zone;
    b->user.bot = b->bot->name;
    b->user.bot_id = b->bot->id;

    user = ngx_array_push(&b->zone->users);
    if (user == NULL) {
        return NGX_ERROR;
    }

    *user = &b->user;

    return ngx_http_tgbot_conf_keys(cf, b->idempotency, b->bot, &b->keys);
}


static ngx_int_t
ngx_http_tgbot_conf_broadcast_error(ngx_conf_t *cf,
    ngx_http_tgbot_broadcast_conf_t *b, const char *what)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"tgbot_broadcast\" directive \"%V\" %s in %s:%ui",
                  &b->name, what, b->file, b->line);

    return NGX_ERROR;
}
