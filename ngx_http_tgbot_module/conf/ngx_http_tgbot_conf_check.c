
/*
 * Checks of the merged configuration, across directives.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_secret.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_webhook.h"


/* the largest item of a queue: an Update and its record */
#define NGX_HTTP_TGBOT_CONF_ITEM_SIZE                                         \
    (NGX_HTTP_TGBOT_CONF_BODY_SIZE + 4096)

/* characters of a token behind the colon, in all that BotFather gives */
#define NGX_HTTP_TGBOT_CONF_TOKEN_KEY  35

/* tables in the zone of a queue, besides 1/32 of the size of its blocks */
#define NGX_HTTP_TGBOT_CONF_TABLES_SIZE  (64 * 1024)


static const char *ngx_http_tgbot_conf_check_merged(
    ngx_http_tgbot_loc_conf_t *conf);
static ngx_int_t ngx_http_tgbot_conf_check_queued(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_conf_check_token(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static void ngx_http_tgbot_conf_check_shape(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static void ngx_http_tgbot_conf_check_shown(ngx_conf_t *cf,
    ngx_http_tgbot_shown_t *shown, const char *directive);
static void ngx_http_tgbot_conf_check_log(ngx_uint_t level, ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, const char *what);
static ngx_int_t ngx_http_tgbot_conf_check_moved(ngx_conf_t *cf,
    ngx_http_tgbot_queue_t *queue);
static ngx_int_t ngx_http_tgbot_conf_check_queue(ngx_conf_t *cf,
    ngx_http_tgbot_zone_t *zone);


char *
ngx_http_tgbot_conf_check(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    const char                *fault;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = bot->clcf;

    if (clcf->handler != ngx_http_tgbot_webhook_handler) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tgbot_webhook\" directive \"%V\" stands in location "
                      "\"%V\" beside another content handler, expected a "
                      "location of its own in %s:%ui",
                      &bot->name, &clcf->name, bot->file, bot->line);
        return NGX_CONF_ERROR;
    }

    fault = ngx_http_tgbot_conf_check_merged(bot->conf);

    if (fault) {
        ngx_http_tgbot_conf_check_log(NGX_LOG_EMERG, cf, bot, fault);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_tgbot_secret_read(cf, bot) != NGX_OK
        || ngx_http_tgbot_conf_check_token(cf, bot) != NGX_OK
        || ngx_http_tgbot_conf_check_queued(cf, bot) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (bot->conf->cache && bot->conf->cache->redis
        && ngx_http_tgbot_conf_check_redis(cf, bot, "tgbot_cache") != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_tgbot_redact_holds(ngx_http_tgbot_bot_tokens(bot),
                                    &clcf->name))
    {
        ngx_http_tgbot_conf_check_log(NGX_LOG_WARN, cf, bot,
                                 "has a token in the path of its location, "
                                 "which access logs show: any other path "
                                 "does, as \"tgbot_secret_token\" keeps "
                                 "others out");
    }

    if (bot->conf->replies == NULL && bot->conf->handler == NULL) {
        ngx_http_tgbot_conf_check_log(NGX_LOG_WARN, cf, bot,
                                 "has neither \"tgbot_reply\" nor "
                                 "\"tgbot_handler\": updates are ignored");
    }

    if (bot->conf->cache && bot->conf->handler == NULL) {
        ngx_http_tgbot_conf_check_log(NGX_LOG_WARN, cf, bot,
                                 "has \"tgbot_cache\" without "
                                 "\"tgbot_handler\": there are no answers "
                                 "to keep");
    }

    if (clcf->client_max_body_size > 0
        && clcf->client_max_body_size < NGX_HTTP_TGBOT_CONF_BODY_SIZE)
    {
        ngx_http_tgbot_conf_check_log(NGX_LOG_WARN, cf, bot,
                                 "has a \"client_max_body_size\" of less "
                                 "than 576k: larger updates will be refused");
    }

    if (clcf->client_body_in_file_only != 0) {
        ngx_http_tgbot_conf_check_log(NGX_LOG_WARN, cf, bot,
                                 "does without \"client_body_in_file_only\": "
                                 "updates are not written to files");
    }

    return NGX_CONF_OK;
}


static const char *
ngx_http_tgbot_conf_check_merged(ngx_http_tgbot_loc_conf_t *conf)
{
    if (conf->secret == NULL) {
        return "has no secret, expected \"tgbot_secret_token\", "
               "\"tgbot_secret_token_file\" or \"tgbot_secret_token off\"";
    }

    if (conf->api && conf->token == NULL) {
        return "has \"tgbot_api\" without a token, expected \"tgbot_token\" "
               "or \"tgbot_token_file\"";
    }

    if (conf->reply_via == NGX_HTTP_TGBOT_VIA_API && conf->api == NULL) {
        return "has \"tgbot_reply_via api\", expected \"tgbot_api\" with it";
    }

    return NULL;
}


/*
 * with tgbot_queue the response is sent before the job runs, so no call can
 * ride in it: calls need tgbot_api
 */

static ngx_int_t
ngx_http_tgbot_conf_check_queued(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_uint_t                    i;
    const char                   *calls;
    ngx_http_tgbot_loc_conf_t    *conf;
    ngx_http_tgbot_limit_conf_t  *limit;

    conf = bot->conf;

    if (conf->queue == NULL) {
        return NGX_OK;
    }

    if (conf->queue->redis
        && ngx_http_tgbot_conf_check_redis(cf, bot, "tgbot_queue") != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (conf->queue->redis && conf->dedup && conf->dedup->zone) {
        ngx_http_tgbot_conf_check_log(NGX_LOG_EMERG, cf, bot,
                                 "has \"tgbot_queue redis\", which knows "
                                 "duplicates itself, expected \"tgbot_dedup\" "
                                 "without \"zone=\"");
        return NGX_ERROR;
    }

    if (conf->api) {
        return NGX_OK;
    }

    /* bots that inherit the directive are warned about together */

    if (conf->handler && conf->api_unset && !conf->queue->warned) {
        conf->queue->warned = 1;
        ngx_http_tgbot_conf_check_log(NGX_LOG_WARN, cf, bot,
                                 "has \"tgbot_queue\" and \"tgbot_handler\" "
                                 "without \"tgbot_api\", which calls in the "
                                 "program's answers need, expected "
                                 "\"tgbot_api\", or \"tgbot_api off\" if the "
                                 "program makes its calls itself");
    }

    calls = conf->replies ? "\"tgbot_reply\""
            : conf->cache ? "\"tgbot_cache\""
            : conf->reply_via == NGX_HTTP_TGBOT_VIA_RESPONSE
              ? "\"tgbot_reply_via response\"" : NULL;

    for (i = 0; conf->limits && i < conf->limits->nelts; i++) {
        limit = conf->limits->elts;

        if (calls == NULL && limit[i].reply.len) {
            calls = "a \"tgbot_limit\" with \"reply=\"";
        }
    }

    if (calls == NULL) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"tgbot_webhook\" directive \"%V\" has \"tgbot_queue\" and "
                  "%s without \"tgbot_api\", expected \"tgbot_api\" with them "
                  "in %s:%ui", &bot->name, calls, bot->file, bot->line);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_conf_check_redis(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    const char *directive)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    if (tmcf->redis) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"tgbot_webhook\" directive \"%V\" has \"%s\" with "
                  "\"redis\", expected \"tgbot_redis\" in http in %s:%ui",
                  &bot->name, directive, bot->file, bot->line);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_tgbot_conf_check_token(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_bot_t        **bots;
    ngx_http_tgbot_main_conf_t   *tmcf;

    if (bot->token.len == 0) {
        return NGX_OK;
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {

        /* bots that are not merged yet have no token */

        if (bots[i] != bot
            && ngx_http_tgbot_conf_equal(&bots[i]->token, &bot->token))
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"tgbot_webhook\" directives \"%V\" in %s:%ui "
                          "and \"%V\" have one token, expected one of its "
                          "own for every bot in %s:%ui",
                          &bots[i]->name, bots[i]->file, bots[i]->line,
                          &bot->name, bot->file, bot->line);
            return NGX_ERROR;
        }
    }

    ngx_http_tgbot_conf_check_shape(cf, bot);

    return ngx_http_tgbot_redact_add(&tmcf->tokens, &bot->token);
}


/* a token that was not copied whole has the right characters, but too few */

static void
ngx_http_tgbot_conf_check_shape(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    u_char  *last, *key;

    last = bot->token.data + bot->token.len;
    key = ngx_strlchr(bot->token.data, last, ':') + 1;

    if (last - key == NGX_HTTP_TGBOT_CONF_TOKEN_KEY) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "token of bot \"%V\" in \"%V\" directive has %uz "
                  "characters after \":\", expected %d, as BotFather gives "
                  "them, in %s:%ui",
                  &bot->name, &bot->conf->token->directive,
                  (size_t) (last - key), NGX_HTTP_TGBOT_CONF_TOKEN_KEY,
                  bot->file, bot->line);
}


void
ngx_http_tgbot_conf_shown(ngx_conf_t *cf)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    ngx_http_tgbot_conf_check_shown(cf, &tmcf->shown_tokens, "tgbot_token");
    ngx_http_tgbot_conf_check_shown(cf, &tmcf->shown_secrets,
                                    "tgbot_secret_token");
}


static void
ngx_http_tgbot_conf_check_shown(ngx_conf_t *cf, ngx_http_tgbot_shown_t *shown,
    const char *directive)
{
    if (shown->n == 1) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "value of \"%s\" directive is shown by \"nginx -T\", "
                      "\"%s_file\" keeps it out of the configuration "
                      "in %s:%ui", directive, directive, shown->file,
                      shown->line);

    } else if (shown->n) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "values of %ui \"%s\" directives are shown by "
                      "\"nginx -T\", \"%s_file\" keeps them out of the "
                      "configuration, the first one is in %s:%ui",
                      shown->n, directive, directive, shown->file,
                      shown->line);
    }
}


static void
ngx_http_tgbot_conf_check_log(ngx_uint_t level, ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, const char *what)
{
    ngx_log_error(level, cf->log, 0,
                  "\"tgbot_webhook\" directive \"%V\" %s in %s:%ui",
                  &bot->name, what, bot->file, bot->line);
}


char *
ngx_http_tgbot_conf_check_status(ngx_conf_t *cf,
    ngx_http_tgbot_status_conf_t *status, ngx_http_core_loc_conf_t *clcf)
{
    if (clcf->handler == ngx_http_tgbot_status_handler) {

        if (clcf->exact_match && (status->payload || status->write)) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "\"tgbot_status\" directive has \"payload=on\" or "
                          "\"write=on\" in location \"= %V\", which dead "
                          "letters are not in, expected a prefix in %s:%ui",
                          &clcf->name, status->file, status->line);
        }

        status->hosts = ngx_http_tgbot_conf_hosts(cf);

        return status->hosts ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"tgbot_status\" directive stands in location \"%V\" "
                  "beside another content handler, expected a location of "
                  "its own in %s:%ui",
                  &clcf->name, status->file, status->line);

    return NGX_CONF_ERROR;
}


/* copies server_names: nginx frees its list after the configuration is read */

ngx_array_t *
ngx_http_tgbot_conf_hosts(ngx_conf_t *cf)
{
    ngx_str_t                 *host, *name;
    ngx_uint_t                 i;
    ngx_array_t               *hosts;
    ngx_http_server_name_t    *names;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    hosts = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    if (hosts == NULL) {
        return NULL;
    }

    names = cscf->server_names.elts;

    for (i = 0; i < cscf->server_names.nelts; i++) {
        name = &names[i].name;

#if (NGX_PCRE)
        if (names[i].regex) {
            continue;
        }
#endif

        if (name->len == 0
            || name->data[0] == '.'
            || ngx_strlchr(name->data, name->data + name->len, '*'))
        {
            continue;
        }

        host = ngx_array_push(hosts);
        if (host == NULL) {
            return NULL;
        }

        *host = *name;
    }

    return hosts;
}


ngx_int_t
ngx_http_tgbot_conf_check_zones(ngx_conf_t *cf)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_zone_t       **zones;
    ngx_http_tgbot_main_conf_t   *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    if (ngx_http_tgbot_zone_check(cf, &tmcf->zones) != NGX_OK) {
        return NGX_ERROR;
    }

    zones = tmcf->zones.elts;

    for (i = 0; i < tmcf->zones.nelts; i++) {

        if (zones[i]->kind == &ngx_http_tgbot_dedup_zone
            && ngx_http_tgbot_dedup_check(cf, zones[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (zones[i]->kind == &ngx_http_tgbot_queue_zone
            && ngx_http_tgbot_conf_check_queue(cf, zones[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* the largest Update must fit into the share of each bot */

static ngx_int_t
ngx_http_tgbot_conf_check_queue(ngx_conf_t *cf, ngx_http_tgbot_zone_t *zone)
{
    size_t                    size;
    ngx_uint_t                i, n, share;
    ngx_http_tgbot_queue_t  **queue;

    queue = zone->users.elts;
    n = zone->users.nelts;

    if (n == 0) {
        return NGX_OK;
    }

    for (i = 0; i < n; i++) {
        if (ngx_http_tgbot_conf_check_moved(cf, queue[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    share = 100;

    for (i = 0; n > 1 && i < n; i++) {
        share = ngx_min(share, queue[i]->share);
    }

    size = NGX_HTTP_TGBOT_CONF_ITEM_SIZE / NGX_HTTP_TGBOT_CHAIN_DATA + 1;
    size = (size * 100 + share - 1) / share * NGX_HTTP_TGBOT_CHAIN_BLOCK;

    /* add the tables */

    size += size / 32 + NGX_HTTP_TGBOT_CONF_TABLES_SIZE;

    if (zone->size >= size) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "invalid zone \"%V\" in \"%V\" directive: of %uzk it is too "
                  "small for an update of 576k in a share of %ui%%, expected a "
                  "size of %uzk or more in %s:%ui",
                  &zone->shm_zone->shm.name, &zone->directive,
                  zone->size / 1024, share, (size + 1023) / 1024,
                  zone->file, zone->line);

    return NGX_ERROR;
}


/* nothing would work on what a bot leaves in a zone that it does not use */

static ngx_int_t
ngx_http_tgbot_conf_check_moved(ngx_conf_t *cf, ngx_http_tgbot_queue_t *queue)
{
    ngx_uint_t              n;
    ngx_http_tgbot_zone_t  *old;

    n = ngx_http_tgbot_queue_left(queue, &old);

    if (n == 0) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "zone \"%V\" of bot \"%V\" holds %ui updates, expected "
                  "that the bot keeps this zone until it is empty, in %s:%ui",
                  &old->shm_zone->shm.name, &queue->bot, n,
                  queue->zone->file, queue->zone->line);

    return NGX_ERROR;
}
