
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_status_dead.h"
#include "ngx_http_tgbot_status_json.h"


static void ngx_http_tgbot_status_path(ngx_http_request_t *r,
    ngx_str_t *path);
static void ngx_http_tgbot_status_all(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_main_conf_t *tmcf);
static void ngx_http_tgbot_status_bot(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_bot_t *bot);
static void ngx_http_tgbot_status_metric(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t m);
static void ngx_http_tgbot_status_values(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t m, ngx_uint_t i);
static void ngx_http_tgbot_status_seen(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_seen_t *seen);
static void ngx_http_tgbot_status_queue(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_bot_t *bot);
static void ngx_http_tgbot_status_dead(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_dead_t *dead);
static void ngx_http_tgbot_status_zone(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_status_fill(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_zone_t *zone);


ngx_int_t
ngx_http_tgbot_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_str_t                      path;
    ngx_http_tgbot_status_json_t   s;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_tgbot_status_path(r, &path);

    if (path.len >= sizeof("dead/") - 1
        && ngx_strncmp(path.data, "dead/", sizeof("dead/") - 1) == 0)
    {
        path.data += sizeof("dead/") - 1;
        path.len -= sizeof("dead/") - 1;

        return ngx_http_tgbot_status_dead_handler(r, &path);
    }

    if (path.len) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if (ngx_http_tgbot_status_json_header(r, "Allow", "GET, HEAD")
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    ngx_http_tgbot_status_json_init(&s, r->pool);

    ngx_http_tgbot_status_all(&s,
                    ngx_http_get_module_main_conf(r, ngx_http_tgbot_module));

    return ngx_http_tgbot_status_json_send(r, &s, NGX_HTTP_OK);
}


/* what follows the name of a prefix location, without a slash before it */

static void
ngx_http_tgbot_status_path(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_str_null(path);

    if (clcf->exact_match || clcf->noname || clcf->named
        || r->uri.len <= clcf->name.len
        || ngx_strncmp(r->uri.data, clcf->name.data, clcf->name.len) != 0)
    {
        return;
    }

    path->data = r->uri.data + clcf->name.len;
    path->len = r->uri.len - clcf->name.len;

    if (path->data[0] == '/') {
        path->data++;
        path->len--;
    }
}


static void
ngx_http_tgbot_status_all(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_main_conf_t *tmcf)
{
    time_t                   start, since;
    ngx_str_t                version;
    ngx_uint_t               i;
    ngx_http_tgbot_bot_t   **bots;
    ngx_http_tgbot_zone_t  **zones;

    ngx_str_set(&version, NGX_HTTP_TGBOT_VERSION);

    bots = tmcf->bots.elts;
    zones = tmcf->zones.elts;

    start = ngx_time();

    for (i = 0; i < tmcf->bots.nelts; i++) {
        since = ngx_http_tgbot_stats_start(bots[i]->stats);
        start = ngx_min(start, since);
    }

    ngx_http_tgbot_status_json_open(s);

    ngx_http_tgbot_status_json_key(s, "version");
    ngx_http_tgbot_status_json_string(s, &version);

    ngx_http_tgbot_status_json_member(s, "now", ngx_time());
    ngx_http_tgbot_status_json_member(s, "start_time", start);

    ngx_http_tgbot_status_json_key(s, "bots");
    ngx_http_tgbot_status_json_open(s);

    for (i = 0; i < tmcf->bots.nelts; i++) {
        ngx_http_tgbot_status_bot(s, bots[i]);
    }

    ngx_http_tgbot_status_json_close(s);

    ngx_http_tgbot_status_json_key(s, "zones");
    ngx_http_tgbot_status_json_open(s);

    for (i = 0; i < tmcf->zones.nelts; i++) {
        ngx_http_tgbot_status_zone(s, zones[i]);
    }

    ngx_http_tgbot_status_json_close(s);
    ngx_http_tgbot_status_json_close(s);

    ngx_http_tgbot_status_json_write(s, "\n", 1);
}


static void
ngx_http_tgbot_status_bot(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_bot_t *bot)
{
    ngx_uint_t  m;

    ngx_http_tgbot_stats_sweep(bot->stats);

    ngx_http_tgbot_status_json_name(s, &bot->name);
    ngx_http_tgbot_status_json_open(s);

    ngx_http_tgbot_status_json_member(s, "start_time",
                                 ngx_http_tgbot_stats_start(bot->stats));

    for (m = 0; m < ngx_http_tgbot_stats_nmetrics; m++) {
        ngx_http_tgbot_status_metric(s, bot->stats, m);
    }

    if (bot->seen) {
        ngx_http_tgbot_status_seen(s, bot->seen);
    }

    if (bot->queue) {
        ngx_http_tgbot_status_queue(s, bot);
    }

    if (bot->dead) {
        ngx_http_tgbot_status_dead(s, bot->dead);
    }

    ngx_http_tgbot_status_json_close(s);
}


static void
ngx_http_tgbot_status_metric(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t m)
{
    ngx_str_t                       name;
    ngx_uint_t                      i;
    const ngx_http_tgbot_metric_t  *metric;

    metric = &ngx_http_tgbot_stats_metrics[m];

    ngx_http_tgbot_status_json_key(s, metric->name);

    if (metric->label[0] == NULL) {
        ngx_http_tgbot_status_json_number(s,
                            ngx_http_tgbot_stats_value(stats, m, 0, 0));
        return;
    }

    ngx_http_tgbot_status_json_open(s);

    for (i = 0; i < metric->n[0]; i++) {
        name = ngx_http_tgbot_stats_label(stats, m, 0, i);

        if (name.len) {
            ngx_http_tgbot_status_json_name(s, &name);
            ngx_http_tgbot_status_values(s, stats, m, i);
        }
    }

    ngx_http_tgbot_status_json_close(s);
}


static void
ngx_http_tgbot_status_values(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t m, ngx_uint_t i)
{
    ngx_str_t                       name;
    ngx_uint_t                      j;
    const ngx_http_tgbot_metric_t  *metric;

    metric = &ngx_http_tgbot_stats_metrics[m];

    if (metric->label[1] == NULL) {
        ngx_http_tgbot_status_json_number(s,
                            ngx_http_tgbot_stats_value(stats, m, i, 0));
        return;
    }

    ngx_http_tgbot_status_json_open(s);

    for (j = 0; j < metric->n[1]; j++) {
        name = ngx_http_tgbot_stats_label(stats, m, 1, j);

        ngx_http_tgbot_status_json_name(s, &name);
        ngx_http_tgbot_status_json_number(s,
                            ngx_http_tgbot_stats_value(stats, m, i, j));
    }

    ngx_http_tgbot_status_json_close(s);
}


static void
ngx_http_tgbot_status_seen(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_seen_t *seen)
{
    ngx_http_tgbot_seen_state_t  state;

    ngx_http_tgbot_seen_state(seen, &state);

    ngx_http_tgbot_status_json_key(s, "seen");
    ngx_http_tgbot_status_json_open(s);

    ngx_http_tgbot_status_json_member(s, "records", state.records);
    ngx_http_tgbot_status_json_member(s, "leased", state.leased);
    ngx_http_tgbot_status_json_member(s, "rides", state.rides);
    ngx_http_tgbot_status_json_member(s, "rides_evicted", state.rides_evicted);

    ngx_http_tgbot_status_json_key(s, "top");
    ngx_http_tgbot_status_json_write(s, "[", 1);

    ngx_http_tgbot_status_json_number(s, state.top[0]);
    ngx_http_tgbot_status_json_write(s, ",", 1);
    ngx_http_tgbot_status_json_number(s, state.top[1]);

    ngx_http_tgbot_status_json_write(s, "]", 1);

    ngx_http_tgbot_status_json_close(s);
}


static void
ngx_http_tgbot_status_queue(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_bot_t *bot)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_dead_state_t    dead;
    ngx_http_tgbot_queue_state_t   state;

    static const char  *events[NGX_HTTP_TGBOT_QUEUE_EVENTS] = {
        "accepted", "replayed", "loaded", "done", "dead", "expired", "dropped"
    };

    ngx_http_tgbot_queue_state(bot->queue, &state);

    ngx_http_tgbot_status_json_key(s, "queue_items_total");
    ngx_http_tgbot_status_json_open(s);

    for (i = 0; i < NGX_HTTP_TGBOT_QUEUE_EVENTS; i++) {
        ngx_http_tgbot_status_json_member(s, events[i], state.events[i]);
    }

    ngx_http_tgbot_status_json_close(s);

    ngx_http_tgbot_status_json_key(s, "queue_depth");
    ngx_http_tgbot_status_json_open(s);

    /* each of them in one state */

    ngx_http_tgbot_status_json_member(s, "waiting",
                                      state.waiting - state.delayed);
    ngx_http_tgbot_status_json_member(s, "delayed", state.delayed);
    ngx_http_tgbot_status_json_member(s, "inflight", state.inflight);

    if (bot->dead) {
        ngx_http_tgbot_dead_state(bot->dead, &dead);
        ngx_http_tgbot_status_json_member(s, "dead", dead.letters);
    }

    ngx_http_tgbot_status_json_close(s);

    ngx_http_tgbot_status_json_member(s, "queue_oldest_age_seconds",
                                      state.oldest / 1000);
    ngx_http_tgbot_status_json_member(s, "queue_lanes", state.lanes);
    ngx_http_tgbot_status_json_member(s, "queue_blocks", state.blocks);

    /* 0: as many as tgbot_queue says */

    ngx_http_tgbot_status_json_member(s, "queue_allowed", state.allowed);
}


static void
ngx_http_tgbot_status_dead(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_dead_t *dead)
{
    ngx_http_tgbot_dead_state_t  state;

    ngx_http_tgbot_dead_state(dead, &state);

    ngx_http_tgbot_status_json_key(s, "dead_letters");
    ngx_http_tgbot_status_json_open(s);

    ngx_http_tgbot_status_json_member(s, "letters", state.letters);
    ngx_http_tgbot_status_json_member(s, "blocks", state.blocks);
    ngx_http_tgbot_status_json_member(s, "evicted", state.evicted);
    ngx_http_tgbot_status_json_member(s, "oldest", state.oldest);

    ngx_http_tgbot_status_json_close(s);
}


static void
ngx_http_tgbot_status_zone(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_str_t  kind;

    kind.data = (u_char *) zone->kind->name;
    kind.len = ngx_strlen(zone->kind->name);

    ngx_http_tgbot_status_json_name(s, &zone->shm_zone->shm.name);
    ngx_http_tgbot_status_json_open(s);

    ngx_http_tgbot_status_json_key(s, "kind");
    ngx_http_tgbot_status_json_string(s, &kind);

    ngx_http_tgbot_status_json_member(s, "size", zone->size);

    ngx_http_tgbot_status_fill(s, zone);

    ngx_http_tgbot_status_json_member(s, "evicted", zone->sh->evicted);
    ngx_http_tgbot_status_json_member(s, "repaired", zone->sh->repaired);

    ngx_http_tgbot_status_json_close(s);
}


/* the kinds that fill up */

static void
ngx_http_tgbot_status_fill(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                      used, total;
    ngx_http_tgbot_store_t          store;
    ngx_http_tgbot_cache_state_t    cache;
    ngx_http_tgbot_bucket_state_t   bucket;

    if (zone->kind == &ngx_http_tgbot_bucket_zone) {
        ngx_http_tgbot_bucket_state(zone, &bucket);

        used = bucket.used;
        total = bucket.total;

    } else if (zone->kind == &ngx_http_tgbot_cache_zone) {
        ngx_http_tgbot_cache_state(zone, &cache);

        ngx_http_tgbot_status_json_member(s, "entries", cache.entries);

        used = cache.used;
        total = cache.total;

    } else if (zone->kind == &ngx_http_tgbot_queue_zone
               || zone->kind == &ngx_http_tgbot_dead_zone)
    {
        ngx_http_tgbot_store_open(&store, zone);

        /* a number that is a little old does no harm */

        total = store.sh->nblocks;
        used = total - ngx_http_tgbot_store_room(&store);

        ngx_http_tgbot_status_json_member(s, "items", store.sh->items);
        ngx_http_tgbot_status_json_member(s, "broken", store.sh->broken);

        if (zone->kind == &ngx_http_tgbot_queue_zone) {
            ngx_http_tgbot_status_json_member(s, "orphaned",
                                          ngx_http_tgbot_queue_orphaned(zone));
        }

    } else {
        return;
    }

    ngx_http_tgbot_status_json_member(s, "used", used);
    ngx_http_tgbot_status_json_member(s, "total", total);
}
