
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_broadcast_show.h"
#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_dead_verbs.h"
#include "ngx_http_tgbot_idempotency.h"
#include "ngx_http_tgbot_queue_verbs.h"
#include "ngx_http_tgbot_redis.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_status_metrics.h"


/* labels in a row of the table */

#define ngx_http_tgbot_metric_names(name, values)                             \
    { name, sizeof(values) / sizeof(ngx_str_t), values, sizeof(ngx_str_t) }
#define ngx_http_tgbot_metric_no_label                                        \
    { NULL, 1, NULL, 0 }

/* the names of the rows of a table, whose first member they are */
#define ngx_http_tgbot_metric_rows(label, rows)                               \
    { label, sizeof(rows) / sizeof(*(rows)), &(rows)->name, sizeof(*(rows)) }

#define ngx_http_tgbot_metric_plain                                           \
    { ngx_http_tgbot_metric_no_label, ngx_http_tgbot_metric_no_label }
#define ngx_http_tgbot_metric_by(name, values)                                \
    { ngx_http_tgbot_metric_names(name, values),                              \
      ngx_http_tgbot_metric_no_label }

/* end of a row: kind of object, function, and place of the numbers */

#define ngx_http_tgbot_metric_counter(member)                                 \
    NGX_HTTP_TGBOT_OF_BOT, ngx_http_tgbot_metric_count,                       \
    offsetof(ngx_http_tgbot_stats_counters_t, member), 0

#define ngx_http_tgbot_metric_stat(name)                                      \
    ngx_http_tgbot_metric_counter(stat[NGX_HTTP_TGBOT_STAT_##name])

#define ngx_http_tgbot_metric_histogram(name)                                 \
    NGX_HTTP_TGBOT_OF_BOT, ngx_http_tgbot_metric_count,                       \
    offsetof(ngx_http_tgbot_stats_counters_t,                                 \
             duration[NGX_HTTP_TGBOT_DURATION_##name]),                       \
    offsetof(ngx_http_tgbot_stats_counters_t,                                 \
             elapsed[NGX_HTTP_TGBOT_DURATION_##name])

#define ngx_http_tgbot_metric_gauge(name)                                     \
    NGX_HTTP_TGBOT_OF_BOT, ngx_http_tgbot_metric_now,                         \
    NGX_HTTP_TGBOT_GAUGE_##name, 0

#define ngx_http_tgbot_metric_number(of, type, member)                        \
    NGX_HTTP_TGBOT_OF_##of, ngx_http_tgbot_metric_read,                       \
    offsetof(ngx_http_tgbot_status_##type##_t, member), 0


static uint64_t ngx_http_tgbot_metric_count(void *of, size_t where,
    ngx_uint_t i);
static uint64_t ngx_http_tgbot_metric_redis(void *of, size_t where,
    ngx_uint_t i);
static uint64_t ngx_http_tgbot_metric_limit(void *of, size_t where,
    ngx_uint_t i);
static uint64_t ngx_http_tgbot_metric_now(void *of, size_t where,
    ngx_uint_t i);
static uint64_t ngx_http_tgbot_metric_last(void *of, size_t where,
    ngx_uint_t i);
static uint64_t ngx_http_tgbot_metric_read(void *of, size_t where,
    ngx_uint_t i);
static ngx_int_t ngx_http_tgbot_status_snapshot_bot(
    ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_status_bot_t *bot, ngx_pool_t *pool);
static void ngx_http_tgbot_status_told(ngx_http_tgbot_status_bot_t *bot);
static void ngx_http_tgbot_status_snapshot_zone(
    ngx_http_tgbot_status_zone_t *zone);
static void ngx_http_tgbot_status_orphaned(
    ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_status_bot_t *bot);


static const ngx_str_t  ngx_http_tgbot_metric_version[] = {
    ngx_string(NGX_HTTP_TGBOT_VERSION)
};


static const ngx_str_t
    ngx_http_tgbot_metric_reasons[NGX_HTTP_TGBOT_REJECTIONS] =
{
    ngx_string("secret"),
    ngx_string("method"),
    ngx_string("type"),
    ngx_string("json")
};


static const ngx_str_t
    ngx_http_tgbot_metric_kinds[NGX_HTTP_TGBOT_CALL_KINDS] =
{
    ngx_string("handler"),
    ngx_string("api")
};


static const ngx_str_t
    ngx_http_tgbot_metric_events[NGX_HTTP_TGBOT_CALL_EVENTS] =
{
    ngx_string("started"),
    ngx_string("ok"),
    ngx_string("failed"),
    ngx_string("unknown"),
    ngx_string("aborted")
};


static const ngx_str_t
    ngx_http_tgbot_metric_outcomes[NGX_HTTP_TGBOT_HANDLER_OUTCOMES] =
{
    ngx_string("handled"),
    ngx_string("unavailable"),
    ngx_string("failed")
};


/* in the order of ngx_http_tgbot_answer_reason_e */

static const ngx_str_t
    ngx_http_tgbot_metric_ignored[NGX_HTTP_TGBOT_ANSWER_REASONS] =
{
    ngx_string("type"),
    ngx_string("not_json"),
    ngx_string("encoding"),
    ngx_string("too_many"),
    ngx_string("refused_method"),
    ngx_string("bad_method"),
    ngx_string("no_address")
};


static const ngx_str_t
    ngx_http_tgbot_metric_decided[NGX_HTTP_TGBOT_LIMIT_OUTCOMES] =
{
    ngx_string("passed"),
    ngx_string("dropped"),
    ngx_string("rejected"),
    ngx_string("dropped_dry_run"),
    ngx_string("rejected_dry_run"),
    ngx_string("redis_away")
};


static const ngx_str_t
    ngx_http_tgbot_metric_cache_results[NGX_HTTP_TGBOT_CACHE_RESULTS] =
{
    ngx_string("hit"),
    ngx_string("miss"),
    ngx_string("wait"),
    ngx_string("timeout"),
    ngx_string("bypass"),
    ngx_string("stored"),
    ngx_string("uncacheable"),
    ngx_string("redis"),
    ngx_string("redis_away")
};


static const ngx_str_t
    ngx_http_tgbot_metric_idempotency[NGX_HTTP_TGBOT_IDEMPOTENCY_RESULTS] =
{
    ngx_string("started"),
    ngx_string("repeated"),
    ngx_string("waited"),
    ngx_string("conflict"),
    ngx_string("refused")
};


/* in the order of ngx_http_tgbot_redis_result_e */

static const ngx_str_t
    ngx_http_tgbot_metric_redis_results[NGX_HTTP_TGBOT_STATS_REDIS] =
{
    ngx_string("ok"),
    ngx_string("error"),
    ngx_string("away"),
    ngx_string("unknown")
};


static const ngx_str_t
    ngx_http_tgbot_metric_queue_events[NGX_HTTP_TGBOT_QUEUE_EVENTS] =
{
    ngx_string("accepted"),
    ngx_string("replayed"),
    ngx_string("loaded"),
    ngx_string("done"),
    ngx_string("dead"),
    ngx_string("expired"),
    ngx_string("dropped")
};


static const ngx_str_t
    ngx_http_tgbot_metric_queue_states[5] =
{
    ngx_string("waiting"),
    ngx_string("delayed"),
    ngx_string("inflight"),
    ngx_string("dead"),
    ngx_string("orphaned")
};


/* in the order of ngx_http_tgbot_pace_reason_e */

static const ngx_str_t
    ngx_http_tgbot_metric_waits[NGX_HTTP_TGBOT_PACE_REASONS] =
{
    ngx_string("pace"),
    ngx_string("429"),
    ngx_string("order")
};


static const ngx_str_t
    ngx_http_tgbot_metric_bulk[2] =
{
    ngx_string("global"),
    ngx_string("paid")
};


static const ngx_str_t
    ngx_http_tgbot_metric_zone_states[2] =
{
    ngx_string("used"),
    ngx_string("free")
};


const ngx_http_tgbot_metric_t  ngx_http_tgbot_metrics[] = {

    { "build_info", NGX_HTTP_TGBOT_GAUGE,
      "Version of the module; always 1.",
      ngx_http_tgbot_metric_by("version", ngx_http_tgbot_metric_version),
      ngx_http_tgbot_metric_number(ALL, snapshot, build) },

    { "start_time_seconds", NGX_HTTP_TGBOT_GAUGE,
      "Time at which the oldest counters started.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(ALL, snapshot, start) },

    { "redis_up", NGX_HTTP_TGBOT_GAUGE,
      "Whether the worker that answers is connected to Redis.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(REDIS, snapshot, redis_up) },

    { "redis_commands_total", NGX_HTTP_TGBOT_COUNTER,
      "Commands to Redis, by result.",
      ngx_http_tgbot_metric_by("result", ngx_http_tgbot_metric_redis_results),
      NGX_HTTP_TGBOT_OF_REDIS, ngx_http_tgbot_metric_redis,
      offsetof(ngx_http_tgbot_stats_counters_t, redis), 0 },

    { "redis_reconnects_total", NGX_HTTP_TGBOT_COUNTER,
      "Connections to Redis made again after they were lost.",
      ngx_http_tgbot_metric_plain,
      NGX_HTTP_TGBOT_OF_REDIS, ngx_http_tgbot_metric_redis,
      offsetof(ngx_http_tgbot_stats_counters_t,
               stat[NGX_HTTP_TGBOT_STAT_REDIS_RECONNECTS]), 0 },

    { "redis_duration_seconds", NGX_HTTP_TGBOT_HISTOGRAM,
      "Time from sending a command to the reply of Redis.",
      ngx_http_tgbot_metric_by("le", ngx_http_tgbot_stats_seconds),
      NGX_HTTP_TGBOT_OF_REDIS, ngx_http_tgbot_metric_redis,
      offsetof(ngx_http_tgbot_stats_counters_t,
               duration[NGX_HTTP_TGBOT_DURATION_REDIS]),
      offsetof(ngx_http_tgbot_stats_counters_t,
               elapsed[NGX_HTTP_TGBOT_DURATION_REDIS]) },

    { "received_total", NGX_HTTP_TGBOT_COUNTER,
      "Deliveries of updates received.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(RECEIVED) },

    { "held", NGX_HTTP_TGBOT_GAUGE,
      "Deliveries that have no answer yet.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_gauge(HELD) },

    { "deliveries_total", NGX_HTTP_TGBOT_COUNTER,
      "Deliveries, by verdict.",
      { { "verdict", NGX_HTTP_TGBOT_VERDICTS - 1,
          &ngx_http_tgbot_verdict_names[1], sizeof(ngx_str_t) },
        ngx_http_tgbot_metric_no_label },
      ngx_http_tgbot_metric_counter(verdict[1]) },

    { "rejected_total", NGX_HTTP_TGBOT_COUNTER,
      "Rejected deliveries, by reason.",
      ngx_http_tgbot_metric_by("reason", ngx_http_tgbot_metric_reasons),
      ngx_http_tgbot_metric_counter(rejected) },

    { "calls_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls of the bot's program and of the Bot API, by event.",
      { ngx_http_tgbot_metric_names("kind", ngx_http_tgbot_metric_kinds),
        ngx_http_tgbot_metric_names("event", ngx_http_tgbot_metric_events) },
      ngx_http_tgbot_metric_counter(call) },

    { "calls_inflight", NGX_HTTP_TGBOT_GAUGE,
      "Calls in flight.",
      ngx_http_tgbot_metric_by("kind", ngx_http_tgbot_metric_kinds),
      ngx_http_tgbot_metric_gauge(HANDLER) },

    { "calls_expired_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls ended by tgbot_call_timeout.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(CALLS_EXPIRED) },

    { "handler_calls_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls of the bot's program, by outcome.",
      ngx_http_tgbot_metric_by("outcome", ngx_http_tgbot_metric_outcomes),
      ngx_http_tgbot_metric_counter(handled) },

    { "answers_ignored_total", NGX_HTTP_TGBOT_COUNTER,
      "Answers thrown away, as a whole or in a part, by reason.",
      ngx_http_tgbot_metric_by("reason", ngx_http_tgbot_metric_ignored),
      ngx_http_tgbot_metric_counter(ignored) },

    { "api_calls_total", NGX_HTTP_TGBOT_COUNTER_SPARSE,
      "Attempts of Bot API calls, by method and result.",
      { ngx_http_tgbot_metric_rows("method", ngx_http_tgbot_methods),
        ngx_http_tgbot_metric_names("result", ngx_http_tgbot_stats_results) },
      ngx_http_tgbot_metric_counter(api) },

    { "api_calls_given_up_total", NGX_HTTP_TGBOT_COUNTER,
      "Bot API calls given up.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(GIVEN_UP) },

    { "api_calls_unsent_total", NGX_HTTP_TGBOT_COUNTER,
      "Bot API calls dropped: no tgbot_api.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(UNSENT) },

    { "pace_waiting", NGX_HTTP_TGBOT_GAUGE,
      "Bot API calls that wait for their turn, by reason.",
      ngx_http_tgbot_metric_by("reason", ngx_http_tgbot_metric_waits),
      ngx_http_tgbot_metric_number(BOT, bot, pace.waiting) },

    { "pace_waits_total", NGX_HTTP_TGBOT_COUNTER,
      "Waits of Bot API calls for their turn, by reason.",
      ngx_http_tgbot_metric_by("reason", ngx_http_tgbot_metric_waits),
      ngx_http_tgbot_metric_number(BOT, bot, pace.waited) },

    { "pace_paused", NGX_HTTP_TGBOT_GAUGE,
      "Chats and methods that a 429 has stopped; one more if it is the bot.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(BOT, bot, pace.paused) },

    { "pace_pauses_total", NGX_HTTP_TGBOT_COUNTER,
      "Times that a 429 stopped a chat, a method or the bot.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(BOT, bot, pace.pauses) },

    { "pace_lost_total", NGX_HTTP_TGBOT_COUNTER,
      "Pauses that were not kept because the zone of tgbot_pace was full.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(BOT, bot, pace.lost) },

    { "pace_redis_away_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls that went by the zone of tgbot_pace alone, without Redis.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(PACE_REDIS_AWAY) },

    { "pace_used", NGX_HTTP_TGBOT_GAUGE,
      "Calls of bulk a second, by the bucket of the bot.",
      ngx_http_tgbot_metric_by("bucket", ngx_http_tgbot_metric_bulk),
      ngx_http_tgbot_metric_number(BOT, bot, pace.used) },

    { "pace_allowed", NGX_HTTP_TGBOT_GAUGE,
      "Calls of bulk a second that are allowed; 0 before the first one.",
      ngx_http_tgbot_metric_by("bucket", ngx_http_tgbot_metric_bulk),
      ngx_http_tgbot_metric_number(BOT, bot, pace.allowed) },

    { "limit_decisions_total", NGX_HTTP_TGBOT_COUNTER,
      "Decisions of tgbot_limit, by zone and outcome.",
      { { "zone", NGX_HTTP_TGBOT_STATS_LIMITS, NULL, 0 },
        ngx_http_tgbot_metric_names("outcome", ngx_http_tgbot_metric_decided) },
      NGX_HTTP_TGBOT_OF_BOT, ngx_http_tgbot_metric_limit, 0, 0 },

    { "cache_total", NGX_HTTP_TGBOT_COUNTER,
      "Cache lookups and stores, by result.",
      ngx_http_tgbot_metric_by("result", ngx_http_tgbot_metric_cache_results),
      ngx_http_tgbot_metric_counter(cache) },

    { "idempotency_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls, and creations of broadcasts, with an Idempotency-Key, by "
      "result.",
      ngx_http_tgbot_metric_by("result", ngx_http_tgbot_metric_idempotency),
      ngx_http_tgbot_metric_counter(idempotency) },

    { "queue_full_total", NGX_HTTP_TGBOT_COUNTER,
      "Deliveries refused because the queue was full.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(QUEUE_FULL) },

    { "dead_letters_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates that became dead letters, by cause.",
      ngx_http_tgbot_metric_by("cause", ngx_http_tgbot_dead_causes),
      ngx_http_tgbot_metric_counter(dead) },

    { "dedup_rebased_total", NGX_HTTP_TGBOT_COUNTER,
      "Times that update_ids moved far from the earlier ones.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(DEDUP_REBASED) },

    { "dedup_full_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates without a record because all records were in work.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(DEDUP_FULL) },

    { "dedup_unnumbered_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates not deduplicated: their update_id exceeds 64 bits.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(DEDUP_UNNUMBERED) },

    { "leases_lost_total", NGX_HTTP_TGBOT_COUNTER,
      "Results dropped: another worker had taken the update over.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(LEASES_LOST) },

    { "attempts_spent_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates that failed as often as tgbot_attempts allows.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(ATTEMPTS_SPENT) },

    { "rides_repeated_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls repeated in the answer to a duplicate.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_stat(RIDES_REPEATED) },

    { "update_duration_seconds", NGX_HTTP_TGBOT_HISTOGRAM,
      "Time from receiving a delivery to answering it.",
      ngx_http_tgbot_metric_by("le", ngx_http_tgbot_stats_seconds),
      ngx_http_tgbot_metric_histogram(UPDATE) },

    { "handler_duration_seconds", NGX_HTTP_TGBOT_HISTOGRAM,
      "Duration of calls of the bot's program.",
      ngx_http_tgbot_metric_by("le", ngx_http_tgbot_stats_seconds),
      ngx_http_tgbot_metric_histogram(HANDLER) },

    { "last_update_timestamp_seconds", NGX_HTTP_TGBOT_GAUGE,
      "Time of the last update; 0 before the first.",
      ngx_http_tgbot_metric_plain,
      NGX_HTTP_TGBOT_OF_BOT, ngx_http_tgbot_metric_last, 0, 0 },

    { "unauthorized_workers", NGX_HTTP_TGBOT_GAUGE,
      "Workers whose calls wait because the Bot API refused the token.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_gauge(UNAUTHORIZED) },

    { "queue_items_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates that entered or left the queue, by event.",
      ngx_http_tgbot_metric_by("event", ngx_http_tgbot_metric_queue_events),
      ngx_http_tgbot_metric_number(QUEUE, bot, queue.events) },

    { "queue_depth", NGX_HTTP_TGBOT_GAUGE,
      "Updates in the queue and dead letters, by state.",
      ngx_http_tgbot_metric_by("state", ngx_http_tgbot_metric_queue_states),
      ngx_http_tgbot_metric_number(QUEUE, bot, depth) },

    { "queue_oldest_age_seconds", NGX_HTTP_TGBOT_GAUGE,
      "Age of the oldest update in the queue.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(QUEUE, bot, oldest) },

    { "redis_machines", NGX_HTTP_TGBOT_GAUGE,
      "Machines that work for the bot, as Redis knows them.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(SHARED, bot, machines) },

    { "broadcasts", NGX_HTTP_TGBOT_GAUGE,
      "Broadcasts that are kept, by state.",
      { { "state", NGX_HTTP_TGBOT_BROADCAST_STATES,
          ngx_http_tgbot_broadcast_states, sizeof(ngx_str_t) },
        ngx_http_tgbot_metric_no_label },
      ngx_http_tgbot_metric_number(BROADCAST, bot, broadcasts) },

    { "broadcast_chats", NGX_HTTP_TGBOT_GAUGE,
      "Chats of the broadcasts that are kept, by state.",
      { { "state", NGX_HTTP_TGBOT_BROADCAST_CHATS,
          ngx_http_tgbot_broadcast_chats, sizeof(ngx_str_t) },
        ngx_http_tgbot_metric_no_label },
      ngx_http_tgbot_metric_number(BROADCAST, bot, chats) },

    { "webhook_pending_updates", NGX_HTTP_TGBOT_GAUGE,
      "Updates that waited at Telegram when it was last asked.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(WEBHOOK, bot, pending) },

    { "webhook_last_error_timestamp_seconds", NGX_HTTP_TGBOT_GAUGE,
      "Time of Telegram's last failed delivery; 0: none since setWebhook.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(WEBHOOK, bot, error_date) },

    { "webhook_url_ok", NGX_HTTP_TGBOT_GAUGE,
      "Whether Telegram had the configured URL when it was last asked.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(WEBHOOK, bot, url_ok) },

    { "zone_bytes", NGX_HTTP_TGBOT_GAUGE,
      "Bytes of a zone; all are used if the zone does not fill up.",
      ngx_http_tgbot_metric_by("state", ngx_http_tgbot_metric_zone_states),
      ngx_http_tgbot_metric_number(ZONE, zone, bytes) },

    { "zone_evicted_total", NGX_HTTP_TGBOT_COUNTER,
      "Records evicted to make room for others.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(ZONE, zone, evicted) },

    { "zone_repaired_total", NGX_HTTP_TGBOT_COUNTER,
      "Repairs of a zone after a process died inside it.",
      ngx_http_tgbot_metric_plain,
      ngx_http_tgbot_metric_number(ZONE, zone, repaired) },

    { NULL, 0, NULL, ngx_http_tgbot_metric_plain, 0, NULL, 0, 0 }
};


ngx_int_t
ngx_http_tgbot_status_snapshot(ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_main_conf_t *tmcf, ngx_pool_t *pool)
{
    ngx_uint_t               i;
    ngx_http_tgbot_bot_t   **bots;
    ngx_http_tgbot_zone_t  **zones;

    snapshot->redis = tmcf->redis_stats;
    snapshot->redis_up = ngx_http_tgbot_redis_up();
    snapshot->build = 1;
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
    uint64_t               start;
    ngx_http_tgbot_bot_t  *b;

    b = bot->bot;

    ngx_http_tgbot_stats_sweep(b->stats);

    start = ngx_http_tgbot_stats_start(b->stats);
    snapshot->start = ngx_min(snapshot->start, start);

    if (b->dead) {
        (void) b->dead->state(b, &bot->dead);
    }

    if (b->pace) {
        ngx_http_tgbot_pace_state(b->pace, &bot->pace);
    }

    if (b->lease) {
        ngx_http_tgbot_status_told(bot);
    }

    if (b->queue) {
        (void) b->queue->state(b, &bot->queue);

        /* each update is counted in exactly one state */

        bot->depth[0] = bot->queue.waiting - bot->queue.delayed;
        bot->depth[1] = bot->queue.delayed;
        bot->depth[2] = bot->queue.inflight;
        bot->depth[3] = bot->dead.letters;

        if (b->queue_zone) {
            ngx_http_tgbot_status_orphaned(snapshot, bot);
        }

        bot->oldest = bot->queue.oldest / 1000;
    }

    if (b->broadcast) {
        ngx_http_tgbot_broadcast_show_sums(&b->broadcast->user,
                                           bot->broadcasts, bot->chats);
    }

    if (b->reg == NULL) {
        return NGX_OK;
    }

    bot->known = ngx_palloc(pool, sizeof(ngx_http_tgbot_registration_t));
    if (bot->known == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_registry_get(b->registry, bot->known) != NGX_OK) {
        ngx_memzero(bot->known, sizeof(ngx_http_tgbot_registration_t));
    }

    bot->pending = bot->known->pending;
    bot->error_date = bot->known->error_date;
    bot->url_ok = bot->known->url_ok;

    return NGX_OK;
}


/* what Redis has told of the bot */

static void
ngx_http_tgbot_status_told(ngx_http_tgbot_status_bot_t *bot)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_redis_state_t  *told;

    (void) ngx_http_tgbot_redis_state(bot->bot, NGX_HTTP_TGBOT_REDIS_SHOWN,
                                      &told);
    bot->told = told;

    for (i = 0; told && i < told->nmachines; i++) {
        bot->machines += (told->machines[i].workers != 0);
    }
}


/* only the first bot of a zone shows orphans, so sums over bots are right */

static void
ngx_http_tgbot_status_orphaned(ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_status_bot_t *bot)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_status_bot_t  *other;

    zone = bot->bot->queue_zone->zone;

    for (other = snapshot->bots; other < bot; other++) {
        if (other->bot->queue_zone && other->bot->queue_zone->zone == zone) {
            return;
        }
    }

    for (i = 0; i < snapshot->nzones; i++) {
        if (snapshot->zones[i].zone == zone) {
            bot->depth[4] = snapshot->zones[i].orphaned;
            return;
        }
    }
}


static void
ngx_http_tgbot_status_snapshot_zone(ngx_http_tgbot_status_zone_t *zone)
{
    ngx_http_tgbot_zone_t              *z;
    ngx_http_tgbot_store_t              store;
    ngx_http_tgbot_cache_state_t        cache;
    ngx_http_tgbot_limit_state_t        bucket;
    ngx_http_tgbot_pace_zone_state_t    pace;

    z = zone->zone;

    if (z->kind == &ngx_http_tgbot_limit_zone) {
        ngx_http_tgbot_limit_state(z, &bucket);

        zone->used = bucket.used;
        zone->total = bucket.total;

    } else if (z->kind == &ngx_http_tgbot_pace_zone) {
        ngx_http_tgbot_pace_zone_state(z, &pace);

        zone->used = ngx_max(pace.records, pace.tickets);
        zone->total = pace.total;

    } else if (z->kind == &ngx_http_tgbot_cache_zone) {
        ngx_http_tgbot_cache_state(z, &cache);

        zone->entries = cache.entries;
        zone->used = cache.used;
        zone->total = cache.total;

    } else if (z->kind == &ngx_http_tgbot_queue_zone
               || z->kind == &ngx_http_tgbot_dead_zone
               || z->kind == &ngx_http_tgbot_idempotency_zone)
    {
        if (z->kind == &ngx_http_tgbot_queue_zone) {
            zone->orphaned = ngx_http_tgbot_queue_orphaned(z);
        }

        ngx_http_tgbot_store_open(&store, z);

        /* read without the lock: slightly old numbers do no harm */

        zone->total = store.sh->chain.total;
        zone->used = zone->total - ngx_http_tgbot_store_room(&store);
        zone->items = store.sh->items;
        zone->broken = store.sh->broken;
    }

    /* a zone without "total" is carved up at start: all of it is used */

    zone->bytes[0] = zone->total ? z->size * zone->used / zone->total
                                 : z->size;
    zone->bytes[1] = z->size - zone->bytes[0];

    zone->evicted = z->sh->evicted;
    zone->repaired = z->sh->repaired;
}


static uint64_t
ngx_http_tgbot_metric_count(void *of, size_t where, ngx_uint_t i)
{
    ngx_http_tgbot_status_bot_t *bot = of;

    return ngx_http_tgbot_stats_value(bot->bot->stats,
                                      where + i * sizeof(ngx_atomic_t));
}


static uint64_t
ngx_http_tgbot_metric_redis(void *of, size_t where, ngx_uint_t i)
{
    ngx_http_tgbot_status_snapshot_t *snapshot = of;

    return ngx_http_tgbot_stats_value(snapshot->redis,
                                      where + i * sizeof(ngx_atomic_t));
}


static uint64_t
ngx_http_tgbot_metric_limit(void *of, size_t where, ngx_uint_t i)
{
    ngx_http_tgbot_status_bot_t *bot = of;

    ngx_uint_t               limit, outcome;
    ngx_http_tgbot_stats_t  *stats;

    stats = bot->bot->stats;
    limit = i / NGX_HTTP_TGBOT_LIMIT_OUTCOMES;
    outcome = i % NGX_HTTP_TGBOT_LIMIT_OUTCOMES;

    if (limit >= stats->nlimits) {
        return 0;
    }

    return ngx_http_tgbot_metric_count(of,
                          offsetof(ngx_http_tgbot_stats_counters_t, limit),
                          stats->limit[limit] * NGX_HTTP_TGBOT_LIMIT_OUTCOMES
                          + outcome);
}


static uint64_t
ngx_http_tgbot_metric_now(void *of, size_t where, ngx_uint_t i)
{
    ngx_http_tgbot_status_bot_t *bot = of;

    return ngx_http_tgbot_stats_gauge(bot->bot->stats, where + i);
}


static uint64_t
ngx_http_tgbot_metric_last(void *of, size_t where, ngx_uint_t i)
{
    ngx_http_tgbot_status_bot_t *bot = of;

    return ngx_http_tgbot_stats_last(bot->bot->stats);
}


/* reads numbers of the snapshot; where: offset in the object */

static uint64_t
ngx_http_tgbot_metric_read(void *of, size_t where, ngx_uint_t i)
{
    return ((uint64_t *) ((u_char *) of + where))[i];
}


ngx_str_t
ngx_http_tgbot_metric_label(const ngx_http_tgbot_metric_t *metric, void *of,
    ngx_uint_t label, ngx_uint_t i)
{
    ngx_str_t                             none;
    ngx_uint_t                            n;
    ngx_http_tgbot_stats_t               *stats;
    ngx_http_tgbot_status_bot_t          *bot;
    const ngx_http_tgbot_metric_label_t  *l;

    ngx_str_null(&none);

    l = &metric->labels[label];

    if (l->name == NULL || i >= l->n) {
        return none;
    }

    if (l->values) {
        return *(const ngx_str_t *) ((const u_char *) l->values + i * l->step);
    }

    bot = of;
    stats = bot->bot->stats;

    if (i >= stats->nlimits) {
        return none;
    }

    /* limits in the same zone are counted together */

    for (n = 0; n < i; n++) {
        if (stats->limit[n] == stats->limit[i]) {
            return none;
        }
    }

    return stats->limits[i];
}


uint64_t
ngx_http_tgbot_metric_value(const ngx_http_tgbot_metric_t *metric, void *of,
    ngx_uint_t i, ngx_uint_t j)
{
    return metric->value(of, metric->where, i * metric->labels[1].n + j);
}
