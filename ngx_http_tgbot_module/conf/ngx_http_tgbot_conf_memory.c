
/*
 * Zones and their users, from the merged configuration of each bot.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_dead_redis.h"
#include "ngx_http_tgbot_dead_verbs.h"
#include "ngx_http_tgbot_queue_redis.h"
#include "ngx_http_tgbot_queue_verbs.h"
#include "ngx_http_tgbot_redis_lease.h"
#include "ngx_http_tgbot_zone_file.h"


/* bytes of the zone of leases; room for every process slot */
#define NGX_HTTP_TGBOT_CONF_LEASES_SIZE  (64 * 1024)

/* bytes of the zone of a bot without zone=; room for the default window */
#define NGX_HTTP_TGBOT_CONF_DEDUP_SIZE  (2 * 1024 * 1024)

/*
 * the zone of dead letters of all bots without zone=: its least size, and the
 * room for each bot, in bytes
 */
#define NGX_HTTP_TGBOT_CONF_DEAD_SIZE   (4 * 1024 * 1024)
#define NGX_HTTP_TGBOT_CONF_DEAD_BOT    (64 * 1024)

/* the zone of tgbot_pace of all bots without zone=: as above */
#define NGX_HTTP_TGBOT_CONF_PACE_SIZE   (1024 * 1024)
#define NGX_HTTP_TGBOT_CONF_PACE_BOT    (16 * 1024)


static ngx_int_t ngx_http_tgbot_conf_bot_dedup(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static uint64_t ngx_http_tgbot_conf_bot_id(ngx_str_t *token);
static ngx_int_t ngx_http_tgbot_conf_bot_limits(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_conf_limit_redis(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_limit_conf_t *limit);
static ngx_int_t ngx_http_tgbot_conf_bot_queue(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_conf_place(ngx_conf_t *cf, ngx_str_t *place,
    ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_conf_bot_dead(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_conf_bot_pace(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_conf_bot_stats(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_conf_bot_redis(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);


char *
ngx_http_tgbot_conf_memory(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_conf_t                   copy;
    ngx_conf_file_t              file;
    ngx_http_tgbot_main_conf_t  *tmcf;

    /*
     * cf points at the end of a block while merging: point errors at
     * tgbot_webhook
     */

    file = *cf->conf_file;
    file.file.name.data = bot->file;
    file.line = bot->line;

    copy = *cf;
    copy.conf_file = &file;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    if (tmcf->leases == NULL) {
        tmcf->leases = ngx_http_tgbot_conf_own_zone(&copy, "tgbot_slots", NULL,
                                              NGX_HTTP_TGBOT_CONF_LEASES_SIZE,
                                              &ngx_http_tgbot_lease_zone);
        if (tmcf->leases == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    bot->id = ngx_http_tgbot_conf_bot_id(&bot->token);

    if (ngx_http_tgbot_conf_bot_dedup(&copy, bot) != NGX_OK
        || ngx_http_tgbot_conf_bot_limits(&copy, bot) != NGX_OK
        || ngx_http_tgbot_conf_bot_queue(&copy, bot) != NGX_OK
        || ngx_http_tgbot_conf_bot_dead(&copy, bot) != NGX_OK
        || ngx_http_tgbot_conf_bot_pace(&copy, bot) != NGX_OK
        || ngx_http_tgbot_conf_bot_stats(&copy, bot) != NGX_OK
        || ngx_http_tgbot_conf_bot_redis(&copy, bot) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_bot_dedup(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    size_t                        size;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_dedup_t       *dedup;
    ngx_http_tgbot_dedup_conf_t  *dcf;

    dcf = bot->conf->dedup;

    /* a queue in Redis knows duplicates itself */

    if (dcf == NULL || (bot->conf->queue && bot->conf->queue->redis)) {
        return NGX_OK;
    }

    if (dcf->redis) {
        bot->lease = NGX_HTTP_TGBOT_REDIS_LEASE;
        return ngx_http_tgbot_conf_check_redis(cf, bot, "tgbot_dedup");
    }

    zone = dcf->zone;

    if (zone == NULL) {
        size = NGX_HTTP_TGBOT_CONF_DEDUP_SIZE;

        if (dcf->window > NGX_HTTP_TGBOT_DEDUP_WINDOW) {

            /* the slab allocator keeps its page table in the zone */

            size = ngx_http_tgbot_dedup_size(dcf->window);
            size += size / 64 + NGX_HTTP_TGBOT_CONF_LEASES_SIZE;
        }

        zone = ngx_http_tgbot_conf_own_zone(cf, "tgbot_seen_", &bot->name,
                                            size, &ngx_http_tgbot_dedup_zone);
    }

    dedup = ngx_http_tgbot_conf_user(cf, zone, sizeof(ngx_http_tgbot_dedup_t));
    if (dedup == NULL) {
        return NGX_ERROR;
    }

    dedup->zone = zone;
    dedup->bot = bot->name;
    dedup->bot_id = bot->id;
    dedup->window = dcf->window;

    bot->dedup = dedup;

    return NGX_OK;
}


/* the digits of the token, or 0 without a token */

static uint64_t
ngx_http_tgbot_conf_bot_id(ngx_str_t *token)
{
    size_t    i;
    uint64_t  id;

    id = 0;

    for (i = 0; i < token->len && token->data[i] != ':'; i++) {
        id = id * 10 + (token->data[i] - '0');
    }

    return id;
}


static ngx_int_t
ngx_http_tgbot_conf_bot_limits(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_str_t                     all;
    ngx_uint_t                    i;
    ngx_array_t                  *limits;
    ngx_http_tgbot_limit_conf_t  *limit;

    limits = bot->conf->limits;

    if (limits == NULL) {
        return NGX_OK;
    }

    bot->limits = ngx_pcalloc(cf->pool,
                            limits->nelts * sizeof(ngx_http_tgbot_limit_t));
    if (bot->limits == NULL) {
        return NGX_ERROR;
    }

    limit = limits->elts;

    for (i = 0; i < limits->nelts; i++) {

        if (limit[i].redis
            && ngx_http_tgbot_conf_limit_redis(cf, bot, &limit[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_str_set(&all, "");

        ngx_http_tgbot_limit_init(&bot->limits[i], limit[i].zone,
                                  limit[i].shared ? &all : &bot->name,
                                  &limit[i].key->value, limit[i].rate.n,
                                  limit[i].rate.per_minute, limit[i].burst);

        bot->limits[i].drop = !limit[i].reject;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_limit_redis(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_limit_conf_t *limit)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    if (ngx_http_tgbot_conf_check_redis(cf, bot, "tgbot_limit") != NGX_OK) {
        return NGX_ERROR;
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    if (limit->shared && tmcf->redis->cluster) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tgbot_webhook\" directive \"%V\" has \"tgbot_limit\" "
                      "with \"shared\" and \"redis\", expected a "
                      "\"tgbot_redis\" without \"cluster\" with them in %s:%ui",
                      &bot->name, bot->file, bot->line);
        return NGX_ERROR;
    }

    bot->limits_redis++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_bot_queue(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_queue_t       *queue;
    ngx_http_tgbot_queue_conf_t  *qcf;

    qcf = bot->conf->queue;

    if (qcf == NULL) {
        return NGX_OK;
    }

    if (qcf->redis) {
        bot->queue = &ngx_http_tgbot_queue_redis;
        ngx_str_set(&bot->queue_place, "Redis");
        bot->lease = qcf->lease;

        return NGX_OK;
    }

    queue = ngx_http_tgbot_conf_user(cf, qcf->zone,
                                     sizeof(ngx_http_tgbot_queue_t));
    if (queue == NULL) {
        return NGX_ERROR;
    }

    queue->zone = qcf->zone;
    queue->bot = bot->name;
    queue->bot_id = bot->id;
    queue->concurrency = qcf->concurrency;
    queue->share = qcf->share;

    bot->queue = &ngx_http_tgbot_queue_local;
    bot->queue_zone = queue;

    return ngx_http_tgbot_conf_place(cf, &bot->queue_place, qcf->zone);
}


/* what is in the zone is in this place, for logs */

static ngx_int_t
ngx_http_tgbot_conf_place(ngx_conf_t *cf, ngx_str_t *place,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_str_t  *name;

    name = &zone->shm_zone->shm.name;

    place->data = ngx_pnalloc(cf->pool, sizeof("zone \"\"") - 1 + name->len);
    if (place->data == NULL) {
        return NGX_ERROR;
    }

    place->len = ngx_sprintf(place->data, "zone \"%V\"", name) - place->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_bot_dead(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_dead_t       *dead;
    ngx_http_tgbot_zone_t       *zone;
    ngx_http_tgbot_dead_conf_t  *dcf;
    ngx_http_tgbot_main_conf_t  *tmcf;

    dcf = bot->conf->dead;

    if (dcf == NULL) {
        return NGX_OK;
    }

    if (dcf->redis) {
        bot->dead = &ngx_http_tgbot_dead_redis;
        ngx_str_set(&bot->dead_place, "Redis");

        if (bot->lease == 0) {
            bot->lease = NGX_HTTP_TGBOT_REDIS_LEASE;
        }

        return ngx_http_tgbot_conf_check_redis(cf, bot, "tgbot_dead_letters");
    }

    zone = dcf->zone;

    if (zone == NULL) {
        zone = ngx_http_tgbot_conf_own_zone(cf, "tgbot_dead", NULL, 0,
                                            &ngx_http_tgbot_dead_zone);

        tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);
        tmcf->dead = zone;
    }

    dead = ngx_http_tgbot_conf_user(cf, zone, sizeof(ngx_http_tgbot_dead_t));
    if (dead == NULL) {
        return NGX_ERROR;
    }

    dead->zone = zone;
    dead->bot = bot->name;
    dead->bot_id = bot->id;
    dead->max = dcf->max;

    bot->dead = &ngx_http_tgbot_dead_local;
    bot->dead_zone = dead;

    return ngx_http_tgbot_conf_place(cf, &bot->dead_place, zone);
}


ngx_int_t
ngx_http_tgbot_conf_dead(ngx_conf_t *cf)
{
    size_t                       size;
    ngx_uint_t                   n;
    ngx_http_tgbot_zone_t       *zone, *old;
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    zone = tmcf->dead;

    /* no bot uses the zone, or a directive gave its size */

    if (zone == NULL || zone->size) {
        return NGX_OK;
    }

    n = zone->users.nelts;

    for (size = NGX_HTTP_TGBOT_CONF_DEAD_SIZE;
         size / NGX_HTTP_TGBOT_CONF_DEAD_BOT < n;
         size *= 2)
    {
        /* void */
    }

    /* a reload keeps the letters only if the zone keeps its size */

    old = ngx_http_tgbot_zone_old(zone);

    if (old
        && old->size >= NGX_HTTP_TGBOT_CONF_DEAD_SIZE
        && ngx_http_tgbot_dead_bots(old->size) >= n)
    {
        size = old->size;
    }

    zone = ngx_http_tgbot_conf_own_zone(cf, "tgbot_dead", NULL, size,
                                        &ngx_http_tgbot_dead_zone);

    return zone ? NGX_OK : NGX_ERROR;
}


/*
 * Without tgbot_pace, and with "off", a 429 still stops what it is about.  The
 * zone is that of the webhook: answers and the gateway share it.
 */

static ngx_int_t
ngx_http_tgbot_conf_bot_pace(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_zone_t       *zone;
    ngx_http_tgbot_pace_t       *pace;
    ngx_http_tgbot_main_conf_t  *tmcf;

    if (bot->conf->api == NULL) {
        return NGX_OK;
    }

    zone = bot->conf->pace ? bot->conf->pace->zone : NULL;

    if (zone == NULL) {
        zone = ngx_http_tgbot_conf_own_zone(cf, "tgbot_pace", NULL, 0,
                                            &ngx_http_tgbot_pace_zone);

        tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);
        tmcf->pace = zone;
    }

    pace = ngx_http_tgbot_conf_user(cf, zone, sizeof(ngx_http_tgbot_pace_t));
    if (pace == NULL) {
        return NGX_ERROR;
    }

    pace->zone = zone;
    pace->bot = bot->name;
    pace->bot_id = bot->id;

    bot->pace = pace;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_conf_pace_zone(ngx_conf_t *cf)
{
    size_t                       size;
    ngx_http_tgbot_zone_t       *zone, *old;
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    zone = tmcf->pace;

    /* no bot uses the zone, or a directive gave its size */

    if (zone == NULL || zone->size) {
        return NGX_OK;
    }

    for (size = NGX_HTTP_TGBOT_CONF_PACE_SIZE;
         size / NGX_HTTP_TGBOT_CONF_PACE_BOT < zone->users.nelts;
         size *= 2)
    {
        /* void */
    }

    /* a reload keeps the pauses only if the zone keeps its size */

    old = ngx_http_tgbot_zone_old(zone);

    if (old) {
        size = ngx_max(size, old->size);
    }

    zone = ngx_http_tgbot_conf_own_zone(cf, "tgbot_pace", NULL, size,
                                        &ngx_http_tgbot_pace_zone);

    return zone ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_tgbot_conf_bot_stats(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_stats_t       *stats;
    ngx_http_tgbot_limit_conf_t  *limit;

    zone = ngx_http_tgbot_conf_own_zone(cf, "tgbot_stats_", &bot->name,
                                        NGX_HTTP_TGBOT_STATS_SIZE,
                                        &ngx_http_tgbot_stats_zone);

    stats = ngx_http_tgbot_conf_user(cf, zone, sizeof(ngx_http_tgbot_stats_t));
    if (stats == NULL) {
        return NGX_ERROR;
    }

    stats->zone = zone;

    if (bot->conf->limits) {
        limit = bot->conf->limits->elts;
        stats->nlimits = bot->conf->limits->nelts;

        for (i = 0; i < stats->nlimits; i++) {
            stats->limits[i] = limit[i].zone->shm_zone->shm.name;
        }
    }

    bot->stats = stats;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_conf_bot_redis(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_str_t                   *prefix;
    ngx_http_tgbot_zone_t       *zone;
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    if (tmcf->redis == NULL) {
        return NGX_OK;
    }

    prefix = &tmcf->redis->prefix;

    bot->slot.len = prefix->len + bot->name.len + sizeof("{:}") - 1;
    bot->slot.data = ngx_pnalloc(cf->pool, bot->slot.len);

    if (bot->slot.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(bot->slot.data, "{%V:%V}", prefix, &bot->name);

    if (tmcf->redis_stats) {
        return NGX_OK;
    }

    zone = ngx_http_tgbot_conf_own_zone(cf, "tgbot_redis", NULL,
                                        NGX_HTTP_TGBOT_STATS_SIZE,
                                        &ngx_http_tgbot_stats_zone);

    tmcf->redis_stats = ngx_http_tgbot_conf_user(cf, zone,
                                              sizeof(ngx_http_tgbot_stats_t));
    if (tmcf->redis_stats == NULL) {
        return NGX_ERROR;
    }

    tmcf->redis_stats->zone = zone;

    return NGX_OK;
}


void *
ngx_http_tgbot_conf_user(ngx_conf_t *cf, ngx_http_tgbot_zone_t *zone,
    size_t size)
{
    void  **user;

    user = zone ? ngx_array_push(&zone->users) : NULL;
    if (user == NULL) {
        return NULL;
    }

    *user = ngx_pcalloc(cf->pool, size);

    return *user;
}


ngx_http_tgbot_zone_t *
ngx_http_tgbot_conf_own_zone(ngx_conf_t *cf, const char *prefix,
    ngx_str_t *name, size_t size, const ngx_http_tgbot_zone_kind_t *kind)
{
    u_char                      *p, *last;
    ngx_str_t                    value, directive;
    ngx_http_tgbot_main_conf_t  *tmcf;

    value.len = ngx_strlen(prefix) + (name ? name->len : 0)
                + sizeof(":k") - 1 + NGX_SIZE_T_LEN;

    value.data = ngx_pnalloc(cf->pool, value.len);
    if (value.data == NULL) {
        return NULL;
    }

    last = value.data + value.len;
    p = ngx_slprintf(value.data, last, "%s", prefix);

    if (name) {
        p = ngx_slprintf(p, last, "%V", name);
    }

    if (size) {
        p = ngx_slprintf(p, last, ":%uzk", (size + 1023) / 1024);
    }

    value.len = p - value.data;

    ngx_str_set(&directive, "tgbot_webhook");

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    return ngx_http_tgbot_zone_add(cf, &tmcf->zones, &directive, &value, kind,
                                   &ngx_http_tgbot_module);
}


char *
ngx_http_tgbot_conf_directory(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_main_conf_t *tmcf = conf;

    ngx_str_t  *value, *path;

    value = cf->args->elts;
    path = &tmcf->state;

    if (path->len) {
        return "is duplicate";
    }

    *path = value[1];

    if (path->len == 0 || ngx_strlchr(path->data, path->data + path->len, '$'))
    {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                     "the path of a directory, without "
                                     "variables");
    }

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    while (path->len > 1 && path->data[path->len - 1] == '/') {
        path->data[--path->len] = '\0';
    }

    if (path->len > NGX_HTTP_TGBOT_ZONE_FILE_PATH) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                     "a shorter path");
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_tgbot_conf_files(ngx_conf_t *cf)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    return ngx_http_tgbot_zone_file_use(cf, &tmcf->zones, &tmcf->state);
}
