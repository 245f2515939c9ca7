
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_idempotency.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_status_broadcast.h"
#include "ngx_http_tgbot_status_json.h"
#include "ngx_http_tgbot_status_metrics.h"
#include "ngx_http_tgbot_status_text.h"


static void ngx_http_tgbot_status_json_metrics(ngx_http_tgbot_status_text_t *s,
    void *of, ngx_uint_t kind);
static void ngx_http_tgbot_status_json_metric(ngx_http_tgbot_status_text_t *s,
    const ngx_http_tgbot_metric_t *metric, void *of);
static void ngx_http_tgbot_status_json_values(ngx_http_tgbot_status_text_t *s,
    const ngx_http_tgbot_metric_t *metric, void *of, ngx_uint_t i);
static void ngx_http_tgbot_status_json_histogram(
    ngx_http_tgbot_status_text_t *s, const ngx_http_tgbot_metric_t *metric,
    void *of);
static void ngx_http_tgbot_status_json_bot(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_bot_t *bot);
static void ngx_http_tgbot_status_json_dedup(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_bot_t *bot);
static void ngx_http_tgbot_status_json_dead(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_bot_t *bot);
static void ngx_http_tgbot_status_json_kept(ngx_http_tgbot_status_text_t *s,
    ngx_uint_t zone);
static void ngx_http_tgbot_status_json_machines(
    ngx_http_tgbot_status_text_t *s, ngx_http_tgbot_redis_state_t *told);
static void ngx_http_tgbot_status_json_machine(
    ngx_http_tgbot_status_text_t *s, ngx_http_tgbot_redis_machine_t *machine);
static void ngx_http_tgbot_status_json_zone(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_zone_t *zone);
static void ngx_http_tgbot_status_webhook(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_bot_t *bot);
static void ngx_http_tgbot_status_webhook_text(
    ngx_http_tgbot_status_text_t *s, const char *name, u_char *data,
    size_t len);
static void ngx_http_tgbot_status_webhook_names(
    ngx_http_tgbot_status_text_t *s, ngx_http_tgbot_registration_t *known);


static ngx_str_t  ngx_http_tgbot_status_json_zoned = ngx_string("zone");
static ngx_str_t  ngx_http_tgbot_status_json_redis = ngx_string("redis");


/* indexed by ngx_http_tgbot_registry_state_e */

static ngx_str_t  ngx_http_tgbot_status_webhook_states[] = {
    ngx_string("unknown"),
    ngx_string("ok"),
    ngx_string("pending"),
    ngx_string("error"),
    ngx_string("stopped")
};


void
ngx_http_tgbot_status_json(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_loc_conf_t *tlcf)
{
    ngx_str_t   version;
    ngx_uint_t  i;

    ngx_str_set(&version, NGX_HTTP_TGBOT_VERSION);

    ngx_http_tgbot_status_text_text(s, "version", &version);
    ngx_http_tgbot_status_text_member(s, "now", ngx_time());
    ngx_http_tgbot_status_text_member(s, "start_time", snapshot->start);
    ngx_http_tgbot_status_text_flag(s, "write", tlcf->status->write);
    ngx_http_tgbot_status_text_flag(s, "payload", tlcf->status->payload);

    ngx_http_tgbot_status_json_metrics(s, snapshot, NGX_HTTP_TGBOT_OF_ALL);

    if (snapshot->redis) {
        ngx_http_tgbot_status_json_metrics(s, snapshot,
                                           NGX_HTTP_TGBOT_OF_REDIS);
    }

    ngx_http_tgbot_status_text_key(s, "bots");
    ngx_http_tgbot_status_text_open(s, '{');

    for (i = 0; i < snapshot->nbots; i++) {
        ngx_http_tgbot_status_json_bot(s, &snapshot->bots[i]);
    }

    ngx_http_tgbot_status_text_close(s, '}');

    ngx_http_tgbot_status_text_key(s, "zones");
    ngx_http_tgbot_status_text_open(s, '{');

    for (i = 0; i < snapshot->nzones; i++) {
        ngx_http_tgbot_status_json_zone(s, &snapshot->zones[i]);
    }

    ngx_http_tgbot_status_text_close(s, '}');
}


/* writes all metrics of this kind of object */

static void
ngx_http_tgbot_status_json_metrics(ngx_http_tgbot_status_text_t *s, void *of,
    ngx_uint_t kind)
{
    const ngx_http_tgbot_metric_t  *metric;

    for (metric = ngx_http_tgbot_metrics; metric->name; metric++) {

        if (metric->of == kind) {
            ngx_http_tgbot_status_text_key(s, metric->name);
            ngx_http_tgbot_status_json_metric(s, metric, of);
        }
    }
}


static void
ngx_http_tgbot_status_json_metric(ngx_http_tgbot_status_text_t *s,
    const ngx_http_tgbot_metric_t *metric, void *of)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    if (metric->type == NGX_HTTP_TGBOT_HISTOGRAM) {
        ngx_http_tgbot_status_json_histogram(s, metric, of);
        return;
    }

    if (metric->labels[0].name == NULL) {
        ngx_http_tgbot_status_json_values(s, metric, of, 0);
        return;
    }

    ngx_http_tgbot_status_text_open(s, '{');

    for (i = 0; i < metric->labels[0].n; i++) {
        name = ngx_http_tgbot_metric_label(metric, of, 0, i);

        if (name.len) {
            ngx_http_tgbot_status_text_name(s, &name);
            ngx_http_tgbot_status_json_values(s, metric, of, i);
        }
    }

    ngx_http_tgbot_status_text_close(s, '}');
}


static void
ngx_http_tgbot_status_json_values(ngx_http_tgbot_status_text_t *s,
    const ngx_http_tgbot_metric_t *metric, void *of, ngx_uint_t i)
{
    ngx_str_t   name;
    ngx_uint_t  j;

    if (metric->labels[1].name == NULL) {
        ngx_http_tgbot_status_text_number(s,
                              ngx_http_tgbot_metric_value(metric, of, i, 0));
        return;
    }

    ngx_http_tgbot_status_text_open(s, '{');

    for (j = 0; j < metric->labels[1].n; j++) {
        name = ngx_http_tgbot_metric_label(metric, of, 1, j);

        ngx_http_tgbot_status_text_name(s, &name);
        ngx_http_tgbot_status_text_number(s,
                              ngx_http_tgbot_metric_value(metric, of, i, j));
    }

    ngx_http_tgbot_status_text_close(s, '}');
}


static void
ngx_http_tgbot_status_json_histogram(ngx_http_tgbot_status_text_t *s,
    const ngx_http_tgbot_metric_t *metric, void *of)
{
    u_char      *p;
    uint64_t     count, sum;
    ngx_str_t    name;
    ngx_uint_t   i;

    u_char  seconds[NGX_INT64_LEN + sizeof(".000") - 1];

    count = 0;
    sum = metric->value(of, metric->sum, 0);
    p = ngx_sprintf(seconds, "%uL.%03uL", sum / 1000, sum % 1000);

    ngx_http_tgbot_status_text_open(s, '{');
    ngx_http_tgbot_status_text_key(s, "buckets");
    ngx_http_tgbot_status_text_open(s, '{');

    for (i = 0; i < metric->labels[0].n; i++) {
        name = ngx_http_tgbot_metric_label(metric, of, 0, i);
        count += ngx_http_tgbot_metric_value(metric, of, i, 0);

        ngx_http_tgbot_status_text_name(s, &name);
        ngx_http_tgbot_status_text_number(s, count);
    }

    ngx_http_tgbot_status_text_close(s, '}');

    ngx_http_tgbot_status_text_key(s, "sum");
    ngx_http_tgbot_status_text_value(s, seconds, p - seconds);
    ngx_http_tgbot_status_text_member(s, "count", count);
    ngx_http_tgbot_status_text_close(s, '}');
}


static void
ngx_http_tgbot_status_json_bot(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_bot_t *bot)
{
    ngx_http_tgbot_bot_t  *b;

    b = bot->bot;

    ngx_http_tgbot_status_text_name(s, &b->name);
    ngx_http_tgbot_status_text_open(s, '{');

    ngx_http_tgbot_status_text_member(s, "start_time",
                                      ngx_http_tgbot_stats_start(b->stats));

    ngx_http_tgbot_status_json_metrics(s, bot, NGX_HTTP_TGBOT_OF_BOT);

    if (b->queue) {
        ngx_http_tgbot_status_json_metrics(s, bot, NGX_HTTP_TGBOT_OF_QUEUE);
    }

    if (b->broadcast) {
        ngx_http_tgbot_status_json_metrics(s, bot,
                                           NGX_HTTP_TGBOT_OF_BROADCAST);
    }

    if (bot->known) {
        ngx_http_tgbot_status_json_metrics(s, bot, NGX_HTTP_TGBOT_OF_WEBHOOK);
    }

    if (bot->told) {
        ngx_http_tgbot_status_json_metrics(s, bot, NGX_HTTP_TGBOT_OF_SHARED);
    }

    /* the members that follow are not metrics */

    if (b->queue) {
        ngx_http_tgbot_status_text_text(s, "queue", b->queue_zone
                                        ? &ngx_http_tgbot_status_json_zoned
                                        : &ngx_http_tgbot_status_json_redis);
        ngx_http_tgbot_status_text_member(s, "queue_lanes", bot->queue.lanes);
        ngx_http_tgbot_status_text_member(s, "queue_blocks",
                                          bot->queue.blocks);

        /* 0: the breaker sets no limit, concurrency= of tgbot_queue counts */

        ngx_http_tgbot_status_text_member(s, "queue_allowed",
                                          bot->queue.allowed);
    }

    if (b->conf->dedup) {
        ngx_http_tgbot_status_json_dedup(s, bot);
    }

    if (b->dead) {
        ngx_http_tgbot_status_json_dead(s, bot);
    }

    if (b->broadcast) {
        ngx_http_tgbot_status_text_key(s, "broadcast_list");
        (void) ngx_http_tgbot_status_broadcast_list(s, &b->broadcast->user, 0,
                                                    1);
    }

    if (bot->told) {
        ngx_http_tgbot_status_json_machines(s, bot->told);
    }

    if (bot->known) {
        ngx_http_tgbot_status_webhook(s, bot);
    }

    ngx_http_tgbot_status_text_close(s, '}');
}


static void
ngx_http_tgbot_status_json_dedup(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_bot_t *bot)
{
    ngx_http_tgbot_dedup_t        *dedup;
    ngx_http_tgbot_dedup_state_t   state;

    ngx_memzero(&state, sizeof(ngx_http_tgbot_dedup_state_t));

    dedup = bot->bot->dedup;

    if (dedup) {
        ngx_http_tgbot_dedup_state(dedup, &state);

    } else if (bot->told) {
        state.records = bot->told->records;
        state.leased = bot->told->claims;
        state.top[0] = bot->told->top[0];
        state.top[1] = bot->told->top[1];
    }

    ngx_http_tgbot_status_text_key(s, "dedup");
    ngx_http_tgbot_status_text_open(s, '{');

    ngx_http_tgbot_status_text_member(s, "records", state.records);
    ngx_http_tgbot_status_text_member(s, "leased", state.leased);

    if (dedup) {
        ngx_http_tgbot_status_text_member(s, "rides", state.rides);
        ngx_http_tgbot_status_text_member(s, "rides_evicted",
                                          state.rides_evicted);
    }

    ngx_http_tgbot_status_text_key(s, "top");
    ngx_http_tgbot_status_text_open(s, '[');
    ngx_http_tgbot_status_text_id(s, state.top[0]);
    ngx_http_tgbot_status_text_id(s, state.top[1]);
    ngx_http_tgbot_status_text_close(s, ']');

    ngx_http_tgbot_status_json_kept(s, dedup != NULL);

    ngx_http_tgbot_status_text_close(s, '}');
}


static void
ngx_http_tgbot_status_json_dead(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_bot_t *bot)
{
    ngx_http_tgbot_bot_t  *b;

    b = bot->bot;

    ngx_http_tgbot_status_text_key(s, "dead_letters");
    ngx_http_tgbot_status_text_open(s, '{');

    ngx_http_tgbot_status_text_member(s, "letters", bot->dead.letters);

    if (b->dead_zone) {
        ngx_http_tgbot_status_text_member(s, "blocks", bot->dead.blocks);
    }

    ngx_http_tgbot_status_text_member(s, "evicted", bot->dead.evicted);
    ngx_http_tgbot_status_text_member(s, "oldest", bot->dead.oldest);
    ngx_http_tgbot_status_json_kept(s, b->dead_zone != NULL);

    ngx_http_tgbot_status_text_close(s, '}');
}


/* where the object is kept that is written */

static void
ngx_http_tgbot_status_json_kept(ngx_http_tgbot_status_text_t *s,
    ngx_uint_t zone)
{
    ngx_http_tgbot_status_text_text(s, "kept",
                                    zone ? &ngx_http_tgbot_status_json_zoned
                                         : &ngx_http_tgbot_status_json_redis);
}


/* who works for a bot that has something in Redis */

static void
ngx_http_tgbot_status_json_machines(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_redis_state_t *told)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    ngx_http_tgbot_status_text_key(s, "machines");
    ngx_http_tgbot_status_text_open(s, '{');

    for (i = 0; i < told->nmachines; i++) {
        name.data = told->machines[i].name;
        name.len = told->machines[i].len;

        ngx_http_tgbot_status_text_name(s, &name);
        ngx_http_tgbot_status_json_machine(s, &told->machines[i]);
    }

    if (told->others.workers + told->others.inflight + told->others.claims) {

        /* no machine has this name */

        ngx_http_tgbot_status_text_key(s, "");
        ngx_http_tgbot_status_json_machine(s, &told->others);
    }

    ngx_http_tgbot_status_text_close(s, '}');
}


static void
ngx_http_tgbot_status_json_machine(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_redis_machine_t *machine)
{
    ngx_http_tgbot_status_text_open(s, '{');
    ngx_http_tgbot_status_text_member(s, "workers", machine->workers);
    ngx_http_tgbot_status_text_member(s, "inflight", machine->inflight);
    ngx_http_tgbot_status_text_member(s, "claims", machine->claims);
    ngx_http_tgbot_status_text_close(s, '}');
}


static void
ngx_http_tgbot_status_json_zone(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_zone_t *zone)
{
    ngx_str_t               kind;
    ngx_http_tgbot_zone_t  *z;

    z = zone->zone;

    kind.data = (u_char *) z->kind->name;
    kind.len = ngx_strlen(z->kind->name);

    ngx_http_tgbot_status_text_name(s, &z->shm_zone->shm.name);
    ngx_http_tgbot_status_text_open(s, '{');

    ngx_http_tgbot_status_text_text(s, "kind", &kind);

    ngx_http_tgbot_status_text_member(s, "size", z->size);

    ngx_http_tgbot_status_json_metrics(s, zone, NGX_HTTP_TGBOT_OF_ZONE);

    /* the members that follow are not metrics */

    if (zone->total) {
        ngx_http_tgbot_status_text_member(s, "used", zone->used);
        ngx_http_tgbot_status_text_member(s, "total", zone->total);
    }

    if (z->kind == &ngx_http_tgbot_cache_zone) {
        ngx_http_tgbot_status_text_member(s, "entries", zone->entries);
    }

    if (z->kind == &ngx_http_tgbot_queue_zone
        || z->kind == &ngx_http_tgbot_dead_zone
        || z->kind == &ngx_http_tgbot_idempotency_zone)
    {
        ngx_http_tgbot_status_text_member(s, "items", zone->items);
        ngx_http_tgbot_status_text_member(s, "broken", zone->broken);
    }

    if (z->kind == &ngx_http_tgbot_queue_zone) {
        ngx_http_tgbot_status_text_member(s, "orphaned", zone->orphaned);
    }

    ngx_http_tgbot_status_text_close(s, '}');
}


/* the member "webhook" of a bot that has tgbot_register */

static void
ngx_http_tgbot_status_webhook(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_bot_t *bot)
{
    ngx_http_tgbot_registration_t  *known;

    known = bot->known;

    ngx_http_tgbot_status_text_key(s, "webhook");
    ngx_http_tgbot_status_text_open(s, '{');

    ngx_http_tgbot_status_text_text(s, "state",
                           &ngx_http_tgbot_status_webhook_states[known->state]);

    ngx_http_tgbot_status_webhook_text(s, "url", known->url, known->url_len);

    ngx_http_tgbot_status_text_text(s, "expected", &bot->bot->reg->shown);

    ngx_http_tgbot_status_webhook_text(s, "ip_address", known->address,
                                       known->address_len);
    ngx_http_tgbot_status_text_member(s, "max_connections",
                                      known->max_connections);
    ngx_http_tgbot_status_webhook_names(s, known);
    ngx_http_tgbot_status_text_flag(s, "has_custom_certificate",
                                    known->certificate);
    ngx_http_tgbot_status_text_member(s, "pending_updates", known->pending);
    ngx_http_tgbot_status_text_member(s, "last_error_date",
                                      known->error_date);
    ngx_http_tgbot_status_webhook_text(s, "last_error_message",
                                       known->message, known->message_len);

    ngx_http_tgbot_status_text_member(s, "checked", known->checked);
    ngx_http_tgbot_status_text_member(s, "registered", known->registered_at);
    ngx_http_tgbot_status_text_member(s, "taken",
                           ngx_http_tgbot_registry_taken(known, ngx_time()));
    ngx_http_tgbot_status_webhook_text(s, "username", known->username,
                                       known->username_len);
    ngx_http_tgbot_status_webhook_text(s, "error", known->error,
                                       known->error_len);

    ngx_http_tgbot_status_text_close(s, '}');
}


static void
ngx_http_tgbot_status_webhook_text(ngx_http_tgbot_status_text_t *s,
    const char *name, u_char *data, size_t len)
{
    ngx_str_t  text;

    text.data = data;
    text.len = len;

    ngx_http_tgbot_status_text_text(s, name, &text);
}


/* writes the comma-separated names as an array; null: Telegram's default */

static void
ngx_http_tgbot_status_webhook_names(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_registration_t *known)
{
    u_char     *p, *last;
    ngx_str_t   name;

    ngx_http_tgbot_status_text_key(s, "allowed_updates");

    if (!known->has_names) {
        ngx_http_tgbot_status_text_value(s, "null", 4);
        return;
    }

    ngx_http_tgbot_status_text_open(s, '[');

    p = known->names;
    last = p + known->names_len;

    for ( /* void */ ; p < last; p++) {
        name.data = p;

        while (p < last && *p != ',') {
            p++;
        }

        name.len = p - name.data;

        ngx_http_tgbot_status_text_string(s, &name);
    }

    ngx_http_tgbot_status_text_close(s, ']');
}
