
#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>

#include "ngx_http_tgbot_stats.h"
#include "ngx_http_tgbot_status_metrics.h"
#include "unit.h"
#include "zones.h"


#define TEST_SLOTS    8
#define TEST_THREADS  4
#define TEST_ROUNDS   5000


static ngx_time_t     test_time = { 1700000000, 0, 0 };

ngx_uint_t            ngx_worker;
volatile ngx_time_t  *ngx_cached_time = &test_time;


static ngx_http_tgbot_zone_t   *test_zone;
static ngx_http_tgbot_stats_t   test_stats;


/* the table of metrics asks for these */

ngx_uint_t
ngx_http_tgbot_redis_up(void)
{
    return 0;
}


ngx_int_t
ngx_http_tgbot_redis_state(ngx_http_tgbot_bot_t *bot, ngx_msec_t age,
    ngx_http_tgbot_redis_state_t **state)
{
    *state = NULL;

    return NGX_DECLINED;
}


static ngx_http_tgbot_stats_t
test_limits(const char *names)
{
    u_char                  *p, *last;
    ngx_str_t               *name;
    ngx_http_tgbot_stats_t   stats;

    ngx_memzero(&stats, sizeof(ngx_http_tgbot_stats_t));

    /* a name ends with a space */

    p = (u_char *) names;
    last = p + strlen(names);

    while (p < last) {
        name = &stats.limits[stats.nlimits++];

        name->data = p;
        p = (u_char *) strchr((char *) p, ' ');
        name->len = p - name->data;
        p++;
    }

    return stats;
}


static void
test_open(const char *limits)
{
    void  *user;

    unit_slot_be(0);
    ngx_worker = 0;

    test_stats = test_limits(limits);

    user = &test_stats;
    test_zone = unit_zone(&ngx_http_tgbot_stats_zone,
                          ngx_http_tgbot_stats_zone.min, &user, 1);

    ngx_http_tgbot_stats_init_process(&test_stats);
}


static void
test_close(void)
{
    unit_zone_free(test_zone);
}


static const ngx_http_tgbot_metric_t *
test_metric(const char *name)
{
    const ngx_http_tgbot_metric_t  *metric;

    for (metric = ngx_http_tgbot_metrics; metric->name; metric++) {
        if (strcmp(metric->name, name) == 0) {
            return metric;
        }
    }

    unit_context("no metric %s", name);
    ok(0);

    exit(1);
}


/* a bot with these statistics and nothing else */

static void *
test_bot(ngx_http_tgbot_stats_t *stats)
{
    static ngx_http_tgbot_bot_t         bot;
    static ngx_http_tgbot_status_bot_t  status;

    bot.stats = stats;
    status.bot = &bot;

    return &status;
}


static ngx_str_t
test_name(const ngx_http_tgbot_metric_t *metric,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t label, ngx_uint_t i)
{
    return ngx_http_tgbot_metric_label(metric, test_bot(stats), label, i);
}


static uint64_t
test_number(const ngx_http_tgbot_metric_t *metric,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t i, ngx_uint_t j)
{
    return ngx_http_tgbot_metric_value(metric, test_bot(stats), i, j);
}


static ngx_uint_t
test_label(ngx_http_tgbot_stats_t *stats,
    const ngx_http_tgbot_metric_t *metric, ngx_uint_t label,
    const char *value)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    if (value == NULL) {
        return 0;
    }

    for (i = 0; i < metric->labels[label].n; i++) {
        name = test_name(metric, stats, label, i);

        if (name.len == strlen(value)
            && memcmp(name.data, value, name.len) == 0)
        {
            return i;
        }
    }

    unit_context("no label %s", value);
    ok(0);

    return 0;
}


static uint64_t
test_value(ngx_http_tgbot_stats_t *stats, const char *name, const char *one,
    const char *two)
{
    const ngx_http_tgbot_metric_t  *metric;

    metric = test_metric(name);

    return test_number(metric, stats, test_label(stats, metric, 0, one),
                       test_label(stats, metric, 1, two));
}


#define value(...)  test_value(&test_stats, __VA_ARGS__)


/* all values of a metric */

static uint64_t
test_sum(ngx_http_tgbot_stats_t *stats, const char *name)
{
    uint64_t                        sum;
    ngx_uint_t                      i, j;
    const ngx_http_tgbot_metric_t  *metric;

    metric = test_metric(name);
    sum = 0;

    for (i = 0; i < metric->labels[0].n; i++) {
        for (j = 0; j < metric->labels[1].n; j++) {
            sum += test_number(metric, stats, i, j);
        }
    }

    return sum;
}


static void
test_balanced(ngx_http_tgbot_stats_t *stats)
{
    ngx_uint_t  k;

    static const char  *kinds[] = { "handler", "api" };

    is_int(test_value(stats, "received_total", NULL, NULL),
           test_sum(stats, "deliveries_total")
           + test_value(stats, "held", NULL, NULL));

    for (k = 0; k < 2; k++) {
        is_int(test_value(stats, "calls_total", kinds[k], "started"),
               test_value(stats, "calls_total", kinds[k], "ok")
               + test_value(stats, "calls_total", kinds[k], "failed")
               + test_value(stats, "calls_total", kinds[k], "unknown")
               + test_value(stats, "calls_total", kinds[k], "aborted")
               + test_value(stats, "calls_inflight", kinds[k], NULL));
    }
}


static void
test_size(void)
{
    void                    *user;
    ngx_http_tgbot_stats_t   stats;

    stats = test_limits("");
    user = &stats;

    ok(unit_zone(&ngx_http_tgbot_stats_zone,
                 ngx_http_tgbot_stats_zone.min - 1, &user, 1)
       == NULL);

    ok(ngx_http_tgbot_stats_zone.min < NGX_HTTP_TGBOT_STATS_SIZE);
}


static void
test_fresh(void)
{
    ngx_uint_t                      n;
    const ngx_http_tgbot_metric_t  *metric;

    test_open("one ");

    n = 0;

    for (metric = ngx_http_tgbot_metrics; metric->name; metric++) {
        if (metric->of == NGX_HTTP_TGBOT_OF_BOT) {
            unit_context("%s", metric->name);
            is_int(test_sum(&test_stats, metric->name), 0);
            n++;
        }
    }

    ok(n > 20);

    is_int(ngx_http_tgbot_stats_start(&test_stats), 1700000000);

    test_close();
}


/* each counter appears in its own metric only */

static void
test_counters(void)
{
    ngx_uint_t  i;

    static const struct {
        ngx_http_tgbot_stat_e  stat;
        const char            *name;
    } rows[] = {
        { NGX_HTTP_TGBOT_STAT_DEDUP_REBASED, "dedup_rebased_total" },
        { NGX_HTTP_TGBOT_STAT_DEDUP_FULL, "dedup_full_total" },
        { NGX_HTTP_TGBOT_STAT_DEDUP_UNNUMBERED, "dedup_unnumbered_total" },
        { NGX_HTTP_TGBOT_STAT_LEASES_LOST, "leases_lost_total" },
        { NGX_HTTP_TGBOT_STAT_ATTEMPTS_SPENT, "attempts_spent_total" },
        { NGX_HTTP_TGBOT_STAT_RIDES_REPEATED, "rides_repeated_total" },
        { NGX_HTTP_TGBOT_STAT_CALLS_EXPIRED, "calls_expired_total" },
        { NGX_HTTP_TGBOT_STAT_UNSENT, "api_calls_unsent_total" },
        { NGX_HTTP_TGBOT_STAT_GIVEN_UP, "api_calls_given_up_total" },
        { NGX_HTTP_TGBOT_STAT_QUEUE_FULL, "queue_full_total" },
        { NGX_HTTP_TGBOT_STAT_PACE_REDIS_AWAY, "pace_redis_away_total" },
    };

    test_open("");

    /* the first one, and that of Redis, which is no bot's */

    is_int(unit_n(rows) + 2, NGX_HTTP_TGBOT_STATS);

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].name);

        is_int(value(rows[i].name, NULL, NULL), 0);

        ngx_worker = i;
        ngx_http_tgbot_stats_count(&test_stats, rows[i].stat);
        ngx_worker = i + 1;
        ngx_http_tgbot_stats_count(&test_stats, rows[i].stat);

        is_int(value(rows[i].name, NULL, NULL), 2);
    }

    is_int(value("received_total", NULL, NULL), 0);

    test_close();
}


static void
test_labels(void)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    static const struct {
        const char  *metric;
        ngx_uint_t   label;
        const char  *names[16];
    } rows[] = {
        { "deliveries_total", 0,
          { "done", "queued", "duplicate", "limited", "stale", "ignored",
            "dead", "busy", "failed", "rejected", "aborted" } },
        { "rejected_total", 0, { "secret", "method", "type", "json" } },
        { "calls_total", 0, { "handler", "api" } },
        { "calls_total", 1,
          { "started", "ok", "failed", "unknown", "aborted" } },
        { "calls_inflight", 0, { "handler", "api" } },
        { "handler_calls_total", 0, { "handled", "unavailable", "failed" } },
        { "answers_ignored_total", 0,
          { "type", "not_json", "encoding", "too_many", "refused_method",
            "bad_method", "no_address" } },
        { "api_calls_total", 1, { "ok", "429", "4xx", "5xx", "error" } },
        { "pace_waiting", 0, { "pace", "429", "order" } },
        { "pace_waits_total", 0, { "pace", "429", "order" } },
        { "pace_used", 0, { "global", "paid" } },
        { "pace_allowed", 0, { "global", "paid" } },
        { "limit_decisions_total", 0, { "one", "two" } },
        { "limit_decisions_total", 1,
          { "passed", "dropped", "rejected", "dropped_dry_run",
            "rejected_dry_run", "redis_away" } },
        { "dead_letters_total", 0, { "failed", "unsent", "expired" } },
        { "cache_total", 0,
          { "hit", "miss", "wait", "timeout", "bypass", "stored",
            "uncacheable", "redis", "redis_away" } },
        { "idempotency_total", 0,
          { "started", "repeated", "waited", "conflict", "refused" } },
    };

    ngx_uint_t                      n, r;
    const ngx_http_tgbot_metric_t  *m;

    test_open("one two ");

    for (r = 0; r < unit_n(rows); r++) {
        m = test_metric(rows[r].metric);

        for (i = 0; i < 16 && rows[r].names[i]; i++) {
            unit_context("%s %d", rows[r].metric, (int) i);

            name = test_name(m, &test_stats, rows[r].label, i);
            is_str(&name, rows[r].names[i]);
        }

        n = m->labels[rows[r].label].n;

        if (strcmp(rows[r].metric, "limit_decisions_total") != 0) {
            is_int(n, i);
        }

        for ( /* void */ ; i < n + 2; i++) {
            name = test_name(m, &test_stats, rows[r].label, i);
            is_int(name.len, 0);
        }
    }

    m = test_metric("received_total");
    name = test_name(m, &test_stats, 0, 0);
    is_int(name.len, 0);

    test_close();
}


/* each value of an enum is counted under its name */

static void
test_values(void)
{
    ngx_uint_t                      i, j;
    const ngx_http_tgbot_metric_t  *m;

    test_open("one two ");

    for (i = NGX_HTTP_TGBOT_DONE; i < NGX_HTTP_TGBOT_VERDICTS; i++) {
        for (j = 0; j < i; j++) {
            ngx_http_tgbot_stats_receive(&test_stats);
            ngx_http_tgbot_stats_deliver(&test_stats, i, 0);
        }

        unit_context("verdict %d", (int) i);
        m = test_metric("deliveries_total");
        is_int(test_number(m, &test_stats, i - 1, 0), i);
    }

    is_int(value("deliveries_total", "duplicate", NULL), 3);
    is_int(value("deliveries_total", "aborted", NULL), 11);
    is_int(value("received_total", NULL, NULL), 66);

    for (i = 0; i < NGX_HTTP_TGBOT_REJECTIONS; i++) {
        for (j = 0; j <= i; j++) {
            ngx_worker = j;
            ngx_http_tgbot_stats_reject(&test_stats, i);
        }
    }

    is_int(value("rejected_total", "secret", NULL), 1);
    is_int(value("rejected_total", "method", NULL), 2);
    is_int(value("rejected_total", "type", NULL), 3);
    is_int(value("rejected_total", "json", NULL), 4);

    for (i = 0; i < NGX_HTTP_TGBOT_HANDLER_OUTCOMES; i++) {
        for (j = 0; j <= i; j++) {
            ngx_http_tgbot_stats_handled(&test_stats, i);
        }
    }

    is_int(value("handler_calls_total", "handled", NULL), 1);
    is_int(value("handler_calls_total", "unavailable", NULL), 2);
    is_int(value("handler_calls_total", "failed", NULL), 3);

    for (i = 0; i < NGX_HTTP_TGBOT_ANSWER_REASONS; i++) {
        for (j = 0; j <= i; j++) {
            ngx_http_tgbot_stats_ignored(&test_stats, i);
        }
    }

    is_int(value("answers_ignored_total", "type", NULL), 1);
    is_int(value("answers_ignored_total", "not_json", NULL), 2);
    is_int(value("answers_ignored_total", "encoding", NULL), 3);
    is_int(value("answers_ignored_total", "too_many", NULL), 4);
    is_int(value("answers_ignored_total", "refused_method", NULL), 5);
    is_int(value("answers_ignored_total", "bad_method", NULL), 6);
    is_int(value("answers_ignored_total", "no_address", NULL), 7);

    for (i = 0; i < NGX_HTTP_TGBOT_CACHE_RESULTS; i++) {
        for (j = 0; j <= i; j++) {
            ngx_http_tgbot_stats_cache(&test_stats, i);
        }
    }

    is_int(value("cache_total", "hit", NULL), 1);
    is_int(value("cache_total", "miss", NULL), 2);
    is_int(value("cache_total", "uncacheable", NULL), 7);

    for (i = 0; i < NGX_HTTP_TGBOT_DEAD_CAUSES; i++) {
        for (j = 0; j <= i; j++) {
            ngx_http_tgbot_stats_dead(&test_stats, i);
        }
    }

    is_int(value("dead_letters_total", "failed", NULL), 1);
    is_int(value("dead_letters_total", "unsent", NULL), 2);
    is_int(value("dead_letters_total", "expired", NULL), 3);

    for (i = 0; i < NGX_HTTP_TGBOT_LIMIT_OUTCOMES; i++) {
        for (j = 0; j <= i; j++) {
            ngx_http_tgbot_stats_limit(&test_stats, 1, i);
        }
    }

    ngx_http_tgbot_stats_limit(&test_stats, 0,
                               NGX_HTTP_TGBOT_LIMIT_REJECTED);

    is_int(value("limit_decisions_total", "two", "passed"), 1);
    is_int(value("limit_decisions_total", "two", "rejected"), 3);
    is_int(value("limit_decisions_total", "two", "rejected_dry_run"), 5);
    is_int(value("limit_decisions_total", "one", "rejected"), 1);
    is_int(test_sum(&test_stats, "limit_decisions_total"), 22);

    test_balanced(&test_stats);
    test_close();
}


static void
test_methods(void)
{
    ngx_str_t                       name;
    ngx_uint_t                      i, n;
    ngx_pool_t                     *pool;
    const ngx_http_tgbot_metric_t  *m;

    static const char  *others[] = {
        "", "a", "zzz", "sendMessag", "sendMessages", "getMee", "other2",
        "answerCallbackQuerx", "unpinChatMessageX", "setMyCommand", "s"
    };

    pool = unit_pool();
    test_open("");

    m = test_metric("api_calls_total");
    n = m->labels[0].n;

    /* each method of the list is found, in any case */

    for (i = 0; i < n - 1; i++) {
        name = test_name(m, &test_stats, 0, i);
        unit_context("%.*s", (int) name.len, name.data);

        ok(name.len >= 4);

        ngx_http_tgbot_stats_api(&test_stats, &name, NGX_HTTP_TGBOT_API_OK);

        name.data = ngx_pstrdup(pool, &name);
        name.data[0] = ngx_toupper(name.data[0]);
        name.data[name.len - 1] = ngx_toupper(name.data[name.len - 1]);

        ngx_http_tgbot_stats_api(&test_stats, &name, NGX_HTTP_TGBOT_API_429);

        is_int(test_number(m, &test_stats, i, NGX_HTTP_TGBOT_API_OK), 1);
        is_int(test_number(m, &test_stats, i, NGX_HTTP_TGBOT_API_429), 1);
    }

    is_int(value("api_calls_total", "sendMessage", "429"), 1);
    is_int(value("api_calls_total", "other", "ok"), 0);

    for (i = 0; i < unit_n(others); i++) {
        unit_context("%s", others[i]);

        name = unit_str(pool, others[i]);
        ngx_http_tgbot_stats_api(&test_stats, &name, NGX_HTTP_TGBOT_API_5XX);

        is_int(value("api_calls_total", "other", "5xx"), i + 1);
    }

    is_int(test_sum(&test_stats, "api_calls_total"),
           2 * (n - 1) + unit_n(others));

    test_close();
}


static void
test_ledgers(void)
{
    test_open("");

    ngx_http_tgbot_stats_receive(&test_stats);
    ngx_http_tgbot_stats_receive(&test_stats);

    is_int(value("received_total", NULL, NULL), 2);
    is_int(value("held", NULL, NULL), 2);
    test_balanced(&test_stats);

    unit_slot_be(5);
    ngx_worker = 5;
    ngx_http_tgbot_stats_init_process(&test_stats);

    ngx_http_tgbot_stats_receive(&test_stats);
    ngx_http_tgbot_stats_call(&test_stats, NGX_HTTP_TGBOT_CALL_HANDLER,
                              NGX_HTTP_TGBOT_CALL_STARTED);
    ngx_http_tgbot_stats_call(&test_stats, NGX_HTTP_TGBOT_CALL_API,
                              NGX_HTTP_TGBOT_CALL_STARTED);

    is_int(value("held", NULL, NULL), 3);
    is_int(value("calls_inflight", "handler", NULL), 1);
    is_int(value("calls_inflight", "api", NULL), 1);
    test_balanced(&test_stats);

    ngx_http_tgbot_stats_call(&test_stats, NGX_HTTP_TGBOT_CALL_HANDLER,
                              NGX_HTTP_TGBOT_CALL_UNKNOWN);
    ngx_http_tgbot_stats_deliver(&test_stats, NGX_HTTP_TGBOT_FAILED, 0);

    is_int(value("calls_total", "handler", "unknown"), 1);
    is_int(value("calls_total", "api", "unknown"), 0);
    is_int(value("calls_inflight", "handler", NULL), 0);
    is_int(value("calls_inflight", "api", NULL), 1);
    is_int(value("held", NULL, NULL), 2);
    is_int(value("deliveries_total", "failed", NULL), 1);
    test_balanced(&test_stats);

    test_close();
}


/* gauges of a dead process */

static void
test_leave(ngx_uint_t slot, ngx_uint_t n)
{
    ngx_uint_t  i;

    unit_slot_be(slot);
    ngx_http_tgbot_stats_init_process(&test_stats);

    for (i = 0; i < n; i++) {
        ngx_http_tgbot_stats_receive(&test_stats);
        ngx_http_tgbot_stats_call(&test_stats, NGX_HTTP_TGBOT_CALL_HANDLER,
                                  NGX_HTTP_TGBOT_CALL_STARTED);
        ngx_http_tgbot_stats_call(&test_stats, NGX_HTTP_TGBOT_CALL_API,
                                  NGX_HTTP_TGBOT_CALL_STARTED);
        ngx_http_tgbot_stats_call(&test_stats, NGX_HTTP_TGBOT_CALL_API,
                                  NGX_HTTP_TGBOT_CALL_STARTED);
    }

    unit_slot_be(0);
}


static void
test_aborted(ngx_uint_t n)
{
    is_int(value("deliveries_total", "aborted", NULL), n);
    is_int(value("calls_total", "handler", "aborted"), n);
    is_int(value("calls_total", "api", "aborted"), 2 * n);

    test_balanced(&test_stats);
}


static void
test_sweep(void)
{
    test_open("");

    test_leave(3, 4);
    test_leave(4, 2);

    ngx_http_tgbot_stats_sweep(&test_stats);
    test_aborted(0);
    is_int(value("held", NULL, NULL), 6);

    unit_slot_die(3);

    ngx_http_tgbot_stats_sweep(&test_stats);
    test_aborted(4);
    is_int(value("held", NULL, NULL), 2);
    is_int(value("calls_inflight", "api", NULL), 4);

    /* swept once, also for the next process in the slot */

    ngx_http_tgbot_stats_sweep(&test_stats);
    test_aborted(4);

    unit_slot_be(3);
    ngx_http_tgbot_stats_init_process(&test_stats);
    test_aborted(4);

    ngx_http_tgbot_stats_receive(&test_stats);
    ngx_http_tgbot_stats_init_process(&test_stats);
    ngx_http_tgbot_stats_sweep(&test_stats);
    test_aborted(4);
    is_int(value("held", NULL, NULL), 3);

    test_close();
}


static void
test_successor(void)
{
    test_open("");

    test_leave(3, 4);
    unit_slot_die(3);

    unit_slot_be(3);
    ngx_http_tgbot_stats_init_process(&test_stats);
    test_aborted(4);

    ngx_http_tgbot_stats_init_process(&test_stats);
    ngx_http_tgbot_stats_sweep(&test_stats);
    test_aborted(4);

    /* the process was not started explicitly, which is not needed */

    ngx_http_tgbot_stats_receive(&test_stats);
    ngx_http_tgbot_stats_receive(&test_stats);
    unit_slot_die(3);

    ngx_http_tgbot_stats_receive(&test_stats);
    is_int(value("deliveries_total", "aborted", NULL), 6);
    is_int(value("held", NULL, NULL), 1);

    ngx_http_tgbot_stats_deliver(&test_stats, NGX_HTTP_TGBOT_DONE, 0);
    is_int(value("deliveries_total", "done", NULL), 1);
    test_balanced(&test_stats);

    test_close();
}


/* a process that hung does not repeat counts that others made for it */

static void
test_hang(void)
{
    test_open("");

    test_leave(3, 2);
    unit_slot_hang(3, 1);

    ngx_http_tgbot_stats_sweep(&test_stats);
    test_aborted(2);

    unit_slot_hang(3, 0);
    unit_slot_be(3);

    ngx_http_tgbot_stats_deliver(&test_stats, NGX_HTTP_TGBOT_DONE, 0);
    ok(!ngx_http_tgbot_stats_call(&test_stats, NGX_HTTP_TGBOT_CALL_API,
                                  NGX_HTTP_TGBOT_CALL_OK));
    is_int(value("deliveries_total", "done", NULL), 0);
    is_int(value("calls_total", "api", "ok"), 0);
    is_int(test_sum(&test_stats, "update_duration_seconds"), 0);
    test_aborted(2);

    ngx_http_tgbot_stats_receive(&test_stats);
    is_int(value("held", NULL, NULL), 1);
    ngx_http_tgbot_stats_deliver(&test_stats, NGX_HTTP_TGBOT_DONE, 0);
    is_int(value("deliveries_total", "done", NULL), 1);
    test_aborted(2);

    test_close();
}


static volatile ngx_uint_t  test_sweeping;


static void *
test_sweeper(void *data)
{
    while (test_sweeping) {
        ngx_http_tgbot_stats_sweep(&test_stats);
    }

    return NULL;
}


/* two sweeps and the next process in the slot, all at once */

static void
test_sweepers(void)
{
    ngx_uint_t  i, n;
    pthread_t   threads[2];

    test_open("");

    test_sweeping = 1;

    for (i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, test_sweeper, NULL);
    }

    for (n = 0; n < TEST_ROUNDS; n++) {

        for (i = 1; i < TEST_SLOTS; i++) {
            test_leave(i, 1);
        }

        for (i = 1; i < TEST_SLOTS; i++) {
            unit_slot_die(i);
        }
    }

    test_sweeping = 0;

    for (i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }

    ngx_http_tgbot_stats_sweep(&test_stats);

    test_aborted(TEST_ROUNDS * (TEST_SLOTS - 1));
    is_int(value("held", NULL, NULL), 0);

    test_close();
}


static void *
test_worker(void *data)
{
    ngx_uint_t  i;

    ngx_str_t  method = ngx_string("sendMessage");

    for (i = 0; i < 20000; i++) {
        ngx_http_tgbot_stats_receive(&test_stats);
        ngx_http_tgbot_stats_api(&test_stats, &method, NGX_HTTP_TGBOT_API_OK);
        ngx_http_tgbot_stats_deliver(&test_stats, NGX_HTTP_TGBOT_DONE, 0);
    }

    return NULL;
}


/* workers that share a stripe, as those of two cycles do */

static void
test_atomic(void)
{
    ngx_uint_t  i;
    pthread_t   threads[TEST_THREADS];

    test_open("");

    for (i = 0; i < TEST_THREADS; i++) {
        pthread_create(&threads[i], NULL, test_worker, NULL);
    }

    for (i = 0; i < TEST_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }

    is_int(value("received_total", NULL, NULL), TEST_THREADS * 20000);
    is_int(value("deliveries_total", "done", NULL), TEST_THREADS * 20000);
    is_int(value("api_calls_total", "sendMessage", "ok"),
           TEST_THREADS * 20000);
    is_int(value("held", NULL, NULL), 0);

    test_close();
}


/* the sums agree after any operations in any order */

static void
test_random(void)
{
    ngx_uint_t  n, slot;
    uint32_t    random;

    test_open("");

    random = 1;

    for (n = 0; n < 20000; n++) {
        random = random * 1664525 + 1013904223;

        slot = (random >> 8) % TEST_SLOTS;
        unit_slot_be(slot);
        ngx_worker = (random >> 11) % 16;

        switch ((random >> 16) % 64) {

        case 0:
            unit_slot_die(slot);
            break;

        case 1:
            unit_slot_hang(slot, 1);
            break;

        case 2:
        case 3:
            unit_slot_hang(slot, 0);
            break;

        case 4:
            ngx_http_tgbot_stats_init_process(&test_stats);
            break;

        case 5:
        case 6:
            ngx_http_tgbot_stats_sweep(&test_stats);
            break;

        default:
            switch ((random >> 22) % 5) {

            case 0:
            case 1:
                ngx_http_tgbot_stats_receive(&test_stats);
                break;

            case 2:
                ngx_http_tgbot_stats_deliver(&test_stats,
                    1 + random % (NGX_HTTP_TGBOT_VERDICTS - 1), random % 99999);
                break;

            case 3:
                ngx_http_tgbot_stats_call(&test_stats, random & 1,
                                          NGX_HTTP_TGBOT_CALL_STARTED);
                break;

            default:
                ngx_http_tgbot_stats_call(&test_stats, random & 1,
                                          1 + (random >> 1) % 4);
            }
        }

        if (n % 16 == 0) {
            unit_context("step %d", (int) n);
            test_balanced(&test_stats);
        }
    }

    /* at rest all gauges are 0 */

    for (slot = 0; slot < TEST_SLOTS; slot++) {
        unit_slot_die(slot);
    }

    ngx_http_tgbot_stats_sweep(&test_stats);

    is_int(value("held", NULL, NULL), 0);
    is_int(test_sum(&test_stats, "calls_inflight"), 0);
    test_balanced(&test_stats);

    test_close();
}


static void
test_adopt(void)
{
    void                    *user;
    ngx_http_tgbot_zone_t   *zone;
    ngx_http_tgbot_stats_t   stats;

    test_open("one two ");

    ngx_http_tgbot_stats_limit(&test_stats, 0, NGX_HTTP_TGBOT_LIMIT_DROPPED);
    ngx_http_tgbot_stats_limit(&test_stats, 1, NGX_HTTP_TGBOT_LIMIT_PASSED);
    ngx_http_tgbot_stats_receive(&test_stats);

    test_time.sec = 1800000000;

    stats = test_limits("three two ");
    user = &stats;
    zone = unit_zone_adopt(test_zone, &user, 1);

    is_int(ngx_http_tgbot_stats_start(&stats), 1700000000);
    is_int(test_value(&stats, "received_total", NULL, NULL), 1);
    is_int(test_value(&stats, "held", NULL, NULL), 1);
    is_int(test_value(&stats, "limit_decisions_total", "two", "passed"), 1);
    is_int(test_value(&stats, "limit_decisions_total", "three", "dropped"), 0);

    ngx_http_tgbot_stats_limit(&stats, 0, NGX_HTTP_TGBOT_LIMIT_REJECTED);
    ngx_http_tgbot_stats_limit(&stats, 1, NGX_HTTP_TGBOT_LIMIT_PASSED);

    is_int(test_value(&stats, "limit_decisions_total", "three", "rejected"),
           1);
    is_int(test_value(&stats, "limit_decisions_total", "two", "passed"), 2);

    /* a worker of the old cycle counts as before */

    ngx_http_tgbot_stats_limit(&test_stats, 0, NGX_HTTP_TGBOT_LIMIT_DROPPED);
    is_int(value("limit_decisions_total", "one", "dropped"), 2);
    is_int(value("limit_decisions_total", "two", "passed"), 2);
    is_int(test_value(&stats, "limit_decisions_total", "three", "dropped"), 0);

    unit_zone_free(zone);
    test_close();

    test_time.sec = 1700000000;
}


/* a removed name keeps its counters; without free places there are none */

static void
test_places(void)
{
    void                    *user;
    char                     names[128];
    ngx_uint_t               i, n;
    ngx_http_tgbot_zone_t   *zone;
    ngx_http_tgbot_stats_t   stats;

    test_open("first kept ");

    ngx_http_tgbot_stats_limit(&test_stats, 0, NGX_HTTP_TGBOT_LIMIT_PASSED);
    ngx_http_tgbot_stats_limit(&test_stats, 1, NGX_HTTP_TGBOT_LIMIT_DROPPED);

    for (i = 0; i < 40; i++) {
        unit_context("reload %d", (int) i);

        sprintf(names, "kept n%d ", (int) i);
        stats = test_limits(names);
        user = &stats;
        zone = unit_zone_adopt(test_zone, &user, 1);

        is_int(test_value(&stats, "limit_decisions_total", "kept", "dropped"),
               1);

        for (n = 0; n < NGX_HTTP_TGBOT_LIMIT_OUTCOMES; n++) {
            is_int(test_number(test_metric("limit_decisions_total"), &stats,
                               1, n),
                   0);
            ngx_http_tgbot_stats_limit(&stats, 1, n);
        }

        unit_zone_free(zone);
    }

    /* sixteen new ones at once */

    names[0] = '\0';

    for (i = 0; i < NGX_HTTP_TGBOT_STATS_LIMITS; i++) {
        sprintf(names + strlen(names), "m%d ", (int) i);
    }

    stats = test_limits(names);
    user = &stats;
    zone = unit_zone_adopt(test_zone, &user, 1);

    is_int(test_sum(&stats, "limit_decisions_total"), 0);

    for (i = 0; i < NGX_HTTP_TGBOT_STATS_LIMITS + 3; i++) {
        ngx_http_tgbot_stats_limit(&stats, i, NGX_HTTP_TGBOT_LIMIT_PASSED);
    }

    is_int(test_value(&stats, "limit_decisions_total", "m0", "passed"), 1);
    is_int(test_value(&stats, "limit_decisions_total", "m14", "passed"), 1);
    is_int(test_value(&stats, "limit_decisions_total", "m15", "passed"), 4);

    unit_zone_free(zone);
    test_close();
}


static void
test_common(void)
{
    ngx_str_t                       name;
    const ngx_http_tgbot_metric_t  *m;

    test_open("one two one ");

    ngx_http_tgbot_stats_limit(&test_stats, 0, NGX_HTTP_TGBOT_LIMIT_PASSED);
    ngx_http_tgbot_stats_limit(&test_stats, 1, NGX_HTTP_TGBOT_LIMIT_PASSED);
    ngx_http_tgbot_stats_limit(&test_stats, 2, NGX_HTTP_TGBOT_LIMIT_PASSED);

    is_int(value("limit_decisions_total", "one", "passed"), 2);
    is_int(value("limit_decisions_total", "two", "passed"), 1);

    m = test_metric("limit_decisions_total");

    name = test_name(m, &test_stats, 0, 1);
    is_str(&name, "two");

    name = test_name(m, &test_stats, 0, 2);
    is_str(&name, "");

    test_close();
}


static void
test_dirty(void)
{
    void                    *user;
    ngx_http_tgbot_zone_t   *zone;
    ngx_http_tgbot_stats_t   stats;

    test_open("one ");

    ngx_http_tgbot_stats_limit(&test_stats, 0, NGX_HTTP_TGBOT_LIMIT_PASSED);
    unit_zone_dirty(test_zone);

    stats = test_limits("two one ");
    user = &stats;
    zone = unit_zone_adopt(test_zone, &user, 1);

    is_int(test_zone->rt->dirty, 0);
    is_int(test_value(&stats, "limit_decisions_total", "one", "passed"), 1);
    is_int(test_value(&stats, "limit_decisions_total", "two", "passed"), 0);

    unit_zone_free(zone);
    test_close();
}


/* each duration is in the bucket with the lowest bound that is not below */

static void
test_durations(void)
{
    ngx_uint_t                      i;
    const ngx_http_tgbot_metric_t  *m;

    static const struct {
        ngx_msec_t   duration;
        const char  *le;
    } rows[] = {
        { 0, "0.001" }, { 1, "0.001" }, { 2, "0.002" }, { 3, "0.005" },
        { 5, "0.005" }, { 6, "0.01" }, { 20, "0.02" }, { 21, "0.05" },
        { 100, "0.1" }, { 101, "0.2" }, { 500, "0.5" }, { 999, "1" },
        { 1000, "1" }, { 1001, "2" }, { 4999, "5" }, { 10000, "10" },
        { 10001, "30" }, { 30001, "60" }, { 60000, "60" }, { 60001, "+Inf" },
        { 3600000, "+Inf" },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%d ms", (int) rows[i].duration);

        test_open("");

        ngx_http_tgbot_stats_receive(&test_stats);
        ngx_worker = i;
        ngx_http_tgbot_stats_deliver(&test_stats, NGX_HTTP_TGBOT_DONE,
                                     rows[i].duration);

        is_int(value("update_duration_seconds", rows[i].le, NULL), 1);
        is_int(test_sum(&test_stats, "update_duration_seconds"), 1);
        is_int(test_sum(&test_stats, "handler_duration_seconds"), 0);

        m = test_metric("update_duration_seconds");
        is_int((m->value)(test_bot(&test_stats), m->sum, 0),
               rows[i].duration);

        test_close();
    }

    test_open("");

    for (i = 0; i < unit_n(rows); i++) {
        ngx_worker = i;
        ngx_http_tgbot_stats_duration(&test_stats,
                                      NGX_HTTP_TGBOT_DURATION_HANDLER,
                                      rows[i].duration);
    }

    is_int(value("handler_duration_seconds", "0.001", NULL), 2);
    is_int(value("handler_duration_seconds", "+Inf", NULL), 2);
    is_int(test_sum(&test_stats, "handler_duration_seconds"), unit_n(rows));
    is_int(test_sum(&test_stats, "update_duration_seconds"), 0);

    test_close();
}


/*
 * the time of the last update with different clocks and a clock that was set
 */

static void
test_last(void)
{
    ngx_uint_t  i;

    static const struct {
        int  now, last;
    } rows[] = {
        { 5, 5 }, { 5, 5 }, { 4, 5 }, { 6, 6 }, { 90, 90 }, { 31, 90 },
        { 30, 90 }, { 29, 29 }, { 30, 30 },
    };

    test_open("");

    is_int(value("last_update_timestamp_seconds", NULL, NULL), 0);

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("step %d", (int) i);

        test_time.sec = 1700000000 + rows[i].now;
        ngx_http_tgbot_stats_update(&test_stats);

        is_int(value("last_update_timestamp_seconds", NULL, NULL),
               1700000000 + rows[i].last);
    }

    test_time.sec = 1700000000;

    test_close();
}


/* each live process reports a refused token */

static void
test_unauthorized(void)
{
    test_open("");

    ngx_http_tgbot_stats_unauthorized(&test_stats, 1);
    unit_slot_be(3);
    ngx_http_tgbot_stats_init_process(&test_stats);
    ngx_http_tgbot_stats_unauthorized(&test_stats, 1);

    is_int(value("unauthorized_workers", NULL, NULL), 2);
    is_int(ngx_http_tgbot_stats_gauge(&test_stats,
                                      NGX_HTTP_TGBOT_GAUGE_UNAUTHORIZED), 2);

    unit_slot_be(0);
    ngx_http_tgbot_stats_unauthorized(&test_stats, 0);
    is_int(value("unauthorized_workers", NULL, NULL), 1);

    unit_slot_die(3);
    ngx_http_tgbot_stats_sweep(&test_stats);
    is_int(value("unauthorized_workers", NULL, NULL), 0);

    /* this ended no counted delivery */

    is_int(test_sum(&test_stats, "deliveries_total"), 0);
    is_int(test_sum(&test_stats, "calls_total"), 0);

    test_close();
}


/* the rules of Prometheus for names */

static void
test_table(void)
{
    size_t                          len;
    ngx_uint_t                      n, total;
    const ngx_http_tgbot_metric_t  *metric, *m;

    static const char  chars[] = "abcdefghijklmnopqrstuvwxyz_";

    for (metric = ngx_http_tgbot_metrics; metric->name; metric++) {
        unit_context("%s", metric->name);

        len = strlen(metric->name);
        is_int(strspn(metric->name, chars), len);

        total = len > 6 && strcmp(metric->name + len - 6, "_total") == 0;

        ok(total == (metric->type == NGX_HTTP_TGBOT_COUNTER
                     || metric->type == NGX_HTTP_TGBOT_COUNTER_SPARSE));

        if (metric->type == NGX_HTTP_TGBOT_HISTOGRAM) {
            ok(strcmp(metric->labels[0].name, "le") == 0);
            ok(metric->labels[1].name == NULL);
        }

        len = strlen(metric->help);
        ok(len > 10);
        ok(metric->help[len - 1] == '.');
        ok(strpbrk(metric->help, "\\\"\n") == NULL);

        for (n = 0; n < 2; n++) {

            if (metric->labels[n].name == NULL) {
                is_int(metric->labels[n].n, 1);
                continue;
            }

            /* each build has one version */

            ok(metric->labels[n].n > 1
               || strcmp(metric->name, "build_info") == 0);
            is_int(strspn(metric->labels[n].name, chars),
                   strlen(metric->labels[n].name));
            ok(n == 0 || metric->labels[0].name != NULL);
            ok(strcmp(metric->labels[n].name, "bot") != 0);
        }

        for (m = ngx_http_tgbot_metrics; m < metric; m++) {
            ok(strcmp(m->name, metric->name) != 0);
        }
    }
}


static unit_case_t  cases[] = {
    { "size of the zone", test_size },
    { "a fresh zone", test_fresh },
    { "counters", test_counters },
    { "labels", test_labels },
    { "values", test_values },
    { "methods", test_methods },
    { "ledgers", test_ledgers },
    { "gauges of dead processes", test_sweep },
    { "gauges of the process before", test_successor },
    { "a process that hung", test_hang },
    { "many sweep at once", test_sweepers },
    { "many count at once", test_atomic },
    { "the books balance", test_random },
    { "adoption", test_adopt },
    { "places of limits", test_places },
    { "limits with a zone in common", test_common },
    { "a zone left dirty", test_dirty },
    { "durations", test_durations },
    { "time of the last update", test_last },
    { "a refused token", test_unauthorized },
    { "table of metrics", test_table },
};


int
main(void)
{
    return unit_main(cases, unit_n(cases));
}
