
/* What the locations of one bot have in common: its pace. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"


static ngx_int_t ngx_http_tgbot_conf_pace_join(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_loc_conf_t *conf);
static ngx_uint_t ngx_http_tgbot_conf_pace_equal(ngx_http_tgbot_pace_conf_t *a,
    ngx_http_tgbot_pace_conf_t *b);


ngx_int_t
ngx_http_tgbot_conf_paces(ngx_conf_t *cf)
{
    ngx_uint_t                         i;
    ngx_http_tgbot_bot_t             **bots;
    ngx_http_tgbot_main_conf_t        *tmcf;
    ngx_http_tgbot_gateway_conf_t    **gateways;
    ngx_http_tgbot_broadcast_conf_t  **broadcasts;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {
        bots[i]->bulk = &ngx_http_tgbot_conf_pace_default;

        if (ngx_http_tgbot_conf_pace_join(cf, bots[i], bots[i]->conf)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    broadcasts = tmcf->broadcasts.elts;

    for (i = 0; i < tmcf->broadcasts.nelts; i++) {
        if (ngx_http_tgbot_conf_pace_join(cf, broadcasts[i]->bot,
                                          broadcasts[i]->conf)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (tmcf->gateways == NULL) {
        return NGX_OK;
    }

    gateways = tmcf->gateways->elts;

    for (i = 0; i < tmcf->gateways->nelts; i++) {
        if (ngx_http_tgbot_conf_pace_join(cf, gateways[i]->bot,
                                          gateways[i]->conf)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_pace_join(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_loc_conf_t *conf)
{
    ngx_http_tgbot_main_conf_t  *tmcf;
    ngx_http_tgbot_pace_conf_t  *pace;

    pace = conf->pace;

    if (pace == NULL || pace == &ngx_http_tgbot_conf_pace_default) {
        return NGX_OK;
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    if (pace->redis && tmcf->redis == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "value \"redis\" in \"tgbot_pace\" directive names no "
                      "Redis, expected \"tgbot_redis\" in http in %s:%ui",
                      pace->file, pace->line);
        return NGX_ERROR;
    }

    if (bot->bulk == &ngx_http_tgbot_conf_pace_default) {
        bot->bulk = pace;
        return NGX_OK;
    }

    if (ngx_http_tgbot_conf_pace_equal(bot->bulk, pace)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"tgbot_pace\" directive has another pace for bot \"%V\" "
                  "than the one in %s:%ui, expected the same rates and "
                  "bursts, and \"redis\" in all or in none, for all locations "
                  "of the bot in %s:%ui",
                  &bot->name, bot->bulk->file, bot->bulk->line,
                  pace->file, pace->line);

    return NGX_ERROR;
}


static ngx_uint_t
ngx_http_tgbot_conf_pace_equal(ngx_http_tgbot_pace_conf_t *a,
    ngx_http_tgbot_pace_conf_t *b)
{
    return a->redis == b->redis
           && ngx_memcmp(a->rates, b->rates, sizeof(a->rates)) == 0;
}
