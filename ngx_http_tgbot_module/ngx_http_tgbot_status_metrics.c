
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_status_metrics.h"
#include "ngx_http_tgbot_status_webhook.h"


/* by their places in the tables below */

typedef enum {
    NGX_HTTP_TGBOT_STATUS_BUILD_INFO = 0,
    NGX_HTTP_TGBOT_STATUS_START_TIME
} ngx_http_tgbot_status_all_e;

typedef enum {
    NGX_HTTP_TGBOT_STATUS_QUEUE_ITEMS = 0,
    NGX_HTTP_TGBOT_STATUS_QUEUE_DEPTH,
    NGX_HTTP_TGBOT_STATUS_QUEUE_OLDEST
} ngx_http_tgbot_status_queue_e;

typedef enum {
    NGX_HTTP_TGBOT_STATUS_ZONE_BYTES = 0,
    NGX_HTTP_TGBOT_STATUS_ZONE_EVICTED,
    NGX_HTTP_TGBOT_STATUS_ZONE_REPAIRED
} ngx_http_tgbot_status_zone_e;


static ngx_int_t ngx_http_tgbot_status_snapshot_bot(
    ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_status_bot_t *bot, ngx_pool_t *pool);
static void ngx_http_tgbot_status_snapshot_zone(
    ngx_http_tgbot_status_zone_t *zone);
static void ngx_http_tgbot_status_orphaned(
    ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_status_bot_t *bot);
static ngx_str_t ngx_http_tgbot_status_all_label(void *of, ngx_uint_t metric,
    ngx_uint_t label, ngx_uint_t i);
static uint64_t ngx_http_tgbot_status_all_value(void *of, ngx_uint_t metric,
    ngx_uint_t i, ngx_uint_t j);
static ngx_str_t ngx_http_tgbot_status_stats_label(void *of,
    ngx_uint_t metric, ngx_uint_t label, ngx_uint_t i);
static uint64_t ngx_http_tgbot_status_stats_value(void *of, ngx_uint_t metric,
    ngx_uint_t i, ngx_uint_t j);
static uint64_t ngx_http_tgbot_status_stats_sum(void *of, ngx_uint_t metric);
static ngx_uint_t ngx_http_tgbot_status_queue_has(void *of);
static ngx_str_t ngx_http_tgbot_status_queue_label(void *of,
    ngx_uint_t metric, ngx_uint_t label, ngx_uint_t i);
static uint64_t ngx_http_tgbot_status_queue_value(void *of, ngx_uint_t metric,
    ngx_uint_t i, ngx_uint_t j);
static ngx_str_t ngx_http_tgbot_status_zone_label(void *of, ngx_uint_t metric,
    ngx_uint_t label, ngx_uint_t i);
static uint64_t ngx_http_tgbot_status_zone_value(void *of, ngx_uint_t metric,
    ngx_uint_t i, ngx_uint_t j);


static const ngx_http_tgbot_metric_t  ngx_http_tgbot_status_all_metrics[] = {

    { "build_info", NGX_HTTP_TGBOT_GAUGE,
      "The version of the module; always 1.",
      { "version", NULL }, { 1, 1 } },

    { "start_time_seconds", NGX_HTTP_TGBOT_GAUGE,
      "When the oldest of the counters began.",
      { NULL, NULL }, { 1, 1 } }
};

static const ngx_uint_t  ngx_http_tgbot_status_all_n =
    sizeof(ngx_http_tgbot_status_all_metrics)
    / sizeof(ngx_http_tgbot_metric_t);


/* ngx_http_tgbot_queue_event_e */

static const ngx_str_t
    ngx_http_tgbot_status_queue_events[NGX_HTTP_TGBOT_QUEUE_EVENTS] =
{
    ngx_string("accepted"),
    ngx_string("replayed"),
    ngx_string("loaded"),
    ngx_string("done"),
    ngx_string("dead"),
    ngx_string("expired"),
    ngx_string("dropped")
};


static const ngx_str_t  ngx_http_tgbot_status_queue_states[] = {
    ngx_string("waiting"),
    ngx_string("delayed"),
    ngx_string("inflight"),
    ngx_string("dead"),
    ngx_string("orphaned")
};


static const ngx_http_tgbot_metric_t  ngx_http_tgbot_status_queue_metrics[] = {

    { "queue_items_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates that came into the queue, and that went.",
      { "event", NULL }, { NGX_HTTP_TGBOT_QUEUE_EVENTS, 1 } },

    { "queue_depth", NGX_HTTP_TGBOT_GAUGE,
      "Updates in the queue, and those that were given up.",
      { "state", NULL },
      { sizeof(ngx_http_tgbot_status_queue_states) / sizeof(ngx_str_t), 1 } },

    { "queue_oldest_age_seconds", NGX_HTTP_TGBOT_GAUGE,
      "How long ago the oldest update in the queue was received.",
      { NULL, NULL }, { 1, 1 } }
};

static const ngx_uint_t  ngx_http_tgbot_status_queue_n =
    sizeof(ngx_http_tgbot_status_queue_metrics)
    / sizeof(ngx_http_tgbot_metric_t);


static const ngx_str_t  ngx_http_tgbot_status_zone_states[] = {
    ngx_string("used"),
    ngx_string("free")
};


static const ngx_http_tgbot_metric_t  ngx_http_tgbot_status_zone_metrics[] = {

    { "zone_bytes", NGX_HTTP_TGBOT_GAUGE,
      "Size of a zone, of those that fill up what is in use of it.",
      { "state", NULL }, { 2, 1 } },

    { "zone_evicted_total", NGX_HTTP_TGBOT_COUNTER,
      "Records that made room for others.",
      { NULL, NULL }, { 1, 1 } },

    { "zone_repaired_total", NGX_HTTP_TGBOT_COUNTER,
      "Times that a process died inside of a zone.",
      { NULL, NULL }, { 1, 1 } }
};

static const ngx_uint_t  ngx_http_tgbot_status_zone_n =
    sizeof(ngx_http_tgbot_status_zone_metrics)
    / sizeof(ngx_http_tgbot_metric_t);


const ngx_http_tgbot_status_group_t  ngx_http_tgbot_status_groups[] = {

    { NGX_HTTP_TGBOT_STATUS_OF_ALL,
      ngx_http_tgbot_status_all_metrics, &ngx_http_tgbot_status_all_n,
      NULL,
      ngx_http_tgbot_status_all_label,
      ngx_http_tgbot_status_all_value,
      NULL },

    { NGX_HTTP_TGBOT_STATUS_OF_BOT,
      ngx_http_tgbot_stats_metrics, &ngx_http_tgbot_stats_nmetrics,
      NULL,
      ngx_http_tgbot_status_stats_label,
      ngx_http_tgbot_status_stats_value,
      ngx_http_tgbot_status_stats_sum },

    { NGX_HTTP_TGBOT_STATUS_OF_BOT,
      ngx_http_tgbot_status_queue_metrics, &ngx_http_tgbot_status_queue_n,
      ngx_http_tgbot_status_queue_has,
      ngx_http_tgbot_status_queue_label,
      ngx_http_tgbot_status_queue_value,
      NULL },

    { NGX_HTTP_TGBOT_STATUS_OF_BOT,
      ngx_http_tgbot_status_webhook_metrics, &ngx_http_tgbot_status_webhook_n,
      ngx_http_tgbot_status_webhook_has,
      NULL,
      ngx_http_tgbot_status_webhook_value,
      NULL },

    { NGX_HTTP_TGBOT_STATUS_OF_ZONE,
      ngx_http_tgbot_status_zone_metrics, &ngx_http_tgbot_status_zone_n,
      NULL,
      ngx_http_tgbot_status_zone_label,
      ngx_http_tgbot_status_zone_value,
      NULL },

    { 0, NULL, NULL, NULL, NULL, NULL, NULL }
};


ngx_int_t
ngx_http_tgbot_status_snapshot(ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_main_conf_t *tmcf, ngx_pool_t *pool)
{
    ngx_uint_t               i;
    ngx_http_tgbot_bot_t   **bots;
    ngx_http_tgbot_zone_t  **zones;

    snapshot->start = ngx_time();
    snapshot->nbots = tmcf->bots.nelts;
    snapshot->nzones = tmcf->zones.nelts;

    snapshot->bots = ngx_pcalloc(pool, snapshot->nbots
                                       * sizeof(ngx_http_tgbot_status_bot_t));
    snapshot->zones = ngx_pcalloc(pool,
                                  snapshot->nzones
                                  * sizeof(ngx_http_tgbot_status_zone_t));

    if (snapshot->bots == NULL || snapshot->zones == NULL) {
        return NGX_ERROR;
    }

    zones = tmcf->zones.elts;

    for (i = 0; i < snapshot->nzones; i++) {
        snapshot->zones[i].zone = zones[i];
        ngx_http_tgbot_status_snapshot_zone(&snapshot->zones[i]);
    }

    bots = tmcf->bots.elts;

    for (i = 0; i < snapshot->nbots; i++) {
        snapshot->bots[i].bot = bots[i];

        if (ngx_http_tgbot_status_snapshot_bot(snapshot, &snapshot->bots[i],
                                               pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_status_snapshot_bot(ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_status_bot_t *bot, ngx_pool_t *pool)
{
    time_t                 start;
    ngx_http_tgbot_bot_t  *b;

    b = bot->bot;

    ngx_http_tgbot_stats_sweep(b->stats);

    start = ngx_http_tgbot_stats_start(b->stats);
    snapshot->start = ngx_min(snapshot->start, start);

    if (b->dead) {
        ngx_http_tgbot_dead_state(b->dead, &bot->dead);
    }

    if (b->queue) {
        ngx_http_tgbot_queue_state(b->queue, &bot->queue);
        ngx_http_tgbot_status_orphaned(snapshot, bot);
    }

    if (b->hook == NULL) {
        return NGX_OK;
    }

    bot->known = ngx_palloc(pool, sizeof(ngx_http_tgbot_registration_t));
    if (bot->known == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_registry_get(b->registry, bot->known) != NGX_OK) {
        ngx_memzero(bot->known, sizeof(ngx_http_tgbot_registration_t));
    }

    return NGX_OK;
}


/* shown with one bot only of a zone, so that sums over bots are right */

static void
ngx_http_tgbot_status_orphaned(ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_status_bot_t *bot)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_status_bot_t  *other;

    zone = bot->bot->queue->zone;

    for (other = snapshot->bots; other < bot; other++) {
        if (other->bot->queue && other->bot->queue->zone == zone) {
            return;
        }
    }

    for (i = 0; i < snapshot->nzones; i++) {
        if (snapshot->zones[i].zone == zone) {
            bot->orphaned = snapshot->zones[i].orphaned;
            return;
        }
    }
}


static void
ngx_http_tgbot_status_snapshot_zone(ngx_http_tgbot_status_zone_t *zone)
{
    ngx_http_tgbot_zone_t          *z;
    ngx_http_tgbot_store_t          store;
    ngx_http_tgbot_cache_state_t    cache;
    ngx_http_tgbot_bucket_state_t   bucket;

    z = zone->zone;

    if (z->kind == &ngx_http_tgbot_bucket_zone) {
        ngx_http_tgbot_bucket_state(z, &bucket);

        zone->used = bucket.used;
        zone->total = bucket.total;

    } else if (z->kind == &ngx_http_tgbot_cache_zone) {
        ngx_http_tgbot_cache_state(z, &cache);

        zone->entries = cache.entries;
        zone->used = cache.used;
        zone->total = cache.total;

    } else if (z->kind == &ngx_http_tgbot_queue_zone
               || z->kind == &ngx_http_tgbot_dead_zone)
    {
        if (z->kind == &ngx_http_tgbot_queue_zone) {
            zone->orphaned = ngx_http_tgbot_queue_orphaned(z);
        }

        ngx_http_tgbot_store_open(&store, z);

        /* a number that is a little old does no harm */

        zone->total = store.sh->chain.total;
        zone->used = zone->total - ngx_http_tgbot_store_room(&store);
        zone->items = store.sh->items;
        zone->broken = store.sh->broken;
    }
}


static ngx_str_t
ngx_http_tgbot_status_all_label(void *of, ngx_uint_t metric, ngx_uint_t label,
    ngx_uint_t i)
{
    ngx_str_t  version = ngx_string(NGX_HTTP_TGBOT_VERSION);

    return version;
}


static uint64_t
ngx_http_tgbot_status_all_value(void *of, ngx_uint_t metric, ngx_uint_t i,
    ngx_uint_t j)
{
    ngx_http_tgbot_status_snapshot_t *snapshot = of;

    if (metric == NGX_HTTP_TGBOT_STATUS_BUILD_INFO) {
        return 1;
    }

    return snapshot->start;
}


static ngx_str_t
ngx_http_tgbot_status_stats_label(void *of, ngx_uint_t metric,
    ngx_uint_t label, ngx_uint_t i)
{
    ngx_http_tgbot_status_bot_t *bot = of;

    return ngx_http_tgbot_stats_label(bot->bot->stats, metric, label, i);
}


static uint64_t
ngx_http_tgbot_status_stats_value(void *of, ngx_uint_t metric, ngx_uint_t i,
    ngx_uint_t j)
{
    ngx_http_tgbot_status_bot_t *bot = of;

    return ngx_http_tgbot_stats_value(bot->bot->stats, metric, i, j);
}


static uint64_t
ngx_http_tgbot_status_stats_sum(void *of, ngx_uint_t metric)
{
    ngx_http_tgbot_status_bot_t *bot = of;

    return ngx_http_tgbot_stats_sum(bot->bot->stats, metric);
}


static ngx_uint_t
ngx_http_tgbot_status_queue_has(void *of)
{
    ngx_http_tgbot_status_bot_t *bot = of;

    return bot->bot->queue != NULL;
}


static ngx_str_t
ngx_http_tgbot_status_queue_label(void *of, ngx_uint_t metric,
    ngx_uint_t label, ngx_uint_t i)
{
    if (metric == NGX_HTTP_TGBOT_STATUS_QUEUE_ITEMS) {
        return ngx_http_tgbot_status_queue_events[i];
    }

    return ngx_http_tgbot_status_queue_states[i];
}


static uint64_t
ngx_http_tgbot_status_queue_value(void *of, ngx_uint_t metric, ngx_uint_t i,
    ngx_uint_t j)
{
    ngx_http_tgbot_status_bot_t *bot = of;

    uint64_t                       depth[5];
    ngx_http_tgbot_queue_state_t  *state;

    state = &bot->queue;

    switch (metric) {

    case NGX_HTTP_TGBOT_STATUS_QUEUE_ITEMS:
        return state->events[i];

    case NGX_HTTP_TGBOT_STATUS_QUEUE_DEPTH:

        /* each update in one of them */

        depth[0] = state->waiting - state->delayed;
        depth[1] = state->delayed;
        depth[2] = state->inflight;
        depth[3] = bot->dead.letters;
        depth[4] = bot->orphaned;

        return depth[i];

    default: /* NGX_HTTP_TGBOT_STATUS_QUEUE_OLDEST */
        return state->oldest / 1000;
    }
}


static ngx_str_t
ngx_http_tgbot_status_zone_label(void *of, ngx_uint_t metric,
    ngx_uint_t label, ngx_uint_t i)
{
    return ngx_http_tgbot_status_zone_states[i];
}


static uint64_t
ngx_http_tgbot_status_zone_value(void *of, ngx_uint_t metric, ngx_uint_t i,
    ngx_uint_t j)
{
    ngx_http_tgbot_status_zone_t *zone = of;

    uint64_t  used;

    switch (metric) {

    case NGX_HTTP_TGBOT_STATUS_ZONE_BYTES:

        /* what does not fill up is all set aside */

        used = zone->total ? zone->zone->size * zone->used / zone->total
                           : zone->zone->size;

        return (i == 0) ? used : zone->zone->size - used;

    case NGX_HTTP_TGBOT_STATUS_ZONE_EVICTED:
        return zone->zone->sh->evicted;

    default: /* NGX_HTTP_TGBOT_STATUS_ZONE_REPAIRED */
        return zone->zone->sh->repaired;
    }
}
