
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_stats.h"


/*
 * A gauge of a process is one word: the epoch of the process and a number.
 * The epoch tells the number from that of an earlier process of the same slot.
 */

#define NGX_HTTP_TGBOT_STATS_SHIFT    (NGX_PTR_SIZE * 4)
#define NGX_HTTP_TGBOT_STATS_MASK                                             \
    (((ngx_atomic_uint_t) 1 << NGX_HTTP_TGBOT_STATS_SHIFT) - 1)

#define ngx_http_tgbot_stats_number(cell)                                     \
    ((cell) & NGX_HTTP_TGBOT_STATS_MASK)
#define ngx_http_tgbot_stats_tag(cell)                                        \
    ((ngx_atomic_uint_t) (cell) >> NGX_HTTP_TGBOT_STATS_SHIFT)

/* the bits of an epoch that fit in a gauge */
#define ngx_http_tgbot_stats_epoch(epoch)                                     \
    ((ngx_atomic_uint_t) (epoch) & NGX_HTTP_TGBOT_STATS_MASK)


static ngx_int_t ngx_http_tgbot_stats_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static void ngx_http_tgbot_stats_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);
static void ngx_http_tgbot_stats_balance(ngx_http_tgbot_stats_t *stats);
static void ngx_http_tgbot_stats_name_limits(ngx_http_tgbot_stats_t *stats);
static ngx_uint_t ngx_http_tgbot_stats_find_limit(
    ngx_http_tgbot_stats_sh_t *sh, u_char *name);
static ngx_uint_t ngx_http_tgbot_stats_take_limit(
    ngx_http_tgbot_stats_sh_t *sh, u_char *name, ngx_uint_t taken);
static void ngx_http_tgbot_stats_enter(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t gauge);
static ngx_uint_t ngx_http_tgbot_stats_leave(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t gauge);
static void ngx_http_tgbot_stats_abort(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t gauge, ngx_uint_t n);


/* in the order of ngx_http_tgbot_verdict_e */

ngx_str_t  ngx_http_tgbot_verdict_names[] = {
    ngx_null_string,
    ngx_string("done"),
    ngx_string("queued"),
    ngx_string("duplicate"),
    ngx_string("limited"),
    ngx_string("stale"),
    ngx_string("ignored"),
    ngx_string("dead"),
    ngx_string("busy"),
    ngx_string("failed"),
    ngx_string("rejected"),
    ngx_string("aborted")
};


/*
 * The id is raised with each change of the zone's contents.  A module at
 * another address never adopts the zone, as its tag differs; but a module file
 * that was overwritten in place may be loaded at the same address.
 */

const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_stats_zone = {
    12, "statistics",
    sizeof(ngx_http_tgbot_stats_sh_t),
    ngx_http_tgbot_stats_init,
    ngx_http_tgbot_stats_open,
    NULL,
    NGX_HTTP_TGBOT_ZONE_FILE
};


/* a compile-time check: the contents and nginx's slab pool fit in the zone */

typedef u_char  ngx_http_tgbot_stats_fits_t[
    sizeof(ngx_http_tgbot_stats_sh_t) + 16384 <= NGX_HTTP_TGBOT_STATS_SIZE
    ? 1 : -1];


/* "last" goes back if the clock was set back by more than this, seconds */
#define NGX_HTTP_TGBOT_STATS_SET_BACK  60


#define ngx_http_tgbot_stats_stripe(stats)                                    \
    (&(stats)->sh->stripes[ngx_worker % NGX_HTTP_TGBOT_STATS_STRIPES].counters)

#define ngx_http_tgbot_stats_self(stats)                                      \
    (&(stats)->sh->slots[ngx_http_tgbot_lease_slot()].process)

/* the sum of a counter, which is given as that of the first stripe */
#define ngx_http_tgbot_stats_counted(stats, counter)                          \
    ngx_http_tgbot_stats_value(stats,                                         \
        (u_char *) (counter) - (u_char *) &(stats)->sh->stripes[0].counters)

#define ngx_http_tgbot_stats_add(counter, n)                                  \
    (void) ngx_atomic_fetch_add(&(counter), n)


static ngx_int_t
ngx_http_tgbot_stats_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_uint_t                   i;
    ngx_http_tgbot_stats_t     **stats;
    ngx_http_tgbot_stats_sh_t   *sh;

    if (ngx_http_tgbot_zone_room(zone->sh) < sizeof(ngx_http_tgbot_stats_sh_t))
    {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" has %uz bytes, expected %uz",
                      &zone->shm_zone->shm.name,
                      ngx_http_tgbot_zone_room(zone->sh),
                      sizeof(ngx_http_tgbot_stats_sh_t));
        return NGX_ERROR;
    }

    sh = (ngx_http_tgbot_stats_sh_t *) ngx_http_tgbot_zone_data(zone->sh);

    if (fresh) {
        ngx_memzero(sh, sizeof(ngx_http_tgbot_stats_sh_t));

        sh->start = ngx_time();
    }

    /* a dirty zone needs no repair: at worst a name is lost, and is retaken */

    (void) ngx_http_tgbot_zone_lock(zone);

    stats = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {
        stats[i]->sh = sh;

        ngx_http_tgbot_stats_name_limits(stats[i]);
    }

    ngx_http_tgbot_zone_unlock(zone);

    return NGX_OK;
}


/* counts as aborted what all processes had in flight */

static void
ngx_http_tgbot_stats_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    ngx_uint_t                      i, gauge;
    ngx_http_tgbot_stats_t          stats;
    ngx_http_tgbot_stats_gauges_t  *slot;

    stats.sh = (ngx_http_tgbot_stats_sh_t *)
                   ngx_http_tgbot_zone_data(zone->sh);

    if (found == NGX_HTTP_TGBOT_ZONE_TORN) {
        stats.sh->nlimits = ngx_min(stats.sh->nlimits,
                                    NGX_HTTP_TGBOT_STATS_LIMITS);
    }

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        slot = &stats.sh->slots[i].process;

        for (gauge = 0; gauge < NGX_HTTP_TGBOT_GAUGES; gauge++) {
            ngx_http_tgbot_stats_abort(&stats, gauge,
                         ngx_http_tgbot_stats_number(slot->gauges[gauge]));
        }

        ngx_memzero(slot, sizeof(ngx_http_tgbot_stats_gauges_t));
    }

    ngx_http_tgbot_stats_balance(&stats);
}


/*
 * Nothing is in flight: what was begun has ended.  The counters of both may be
 * of two moments, or a process died between the two.
 */

static void
ngx_http_tgbot_stats_balance(ngx_http_tgbot_stats_t *stats)
{
    uint64_t                          left;
    ngx_uint_t                        i, n;
    ngx_atomic_t                     *call;
    ngx_http_tgbot_stats_counters_t  *counters;

    counters = &stats->sh->stripes[0].counters;

    left = ngx_http_tgbot_stats_counted(stats,
                                &counters->stat[NGX_HTTP_TGBOT_STAT_RECEIVED]);

    for (i = 0; i < NGX_HTTP_TGBOT_VERDICTS; i++) {
        left -= ngx_http_tgbot_stats_counted(stats, &counters->verdict[i]);
    }

    if ((int64_t) left < 0) {
        counters->stat[NGX_HTTP_TGBOT_STAT_RECEIVED] -= left;

    } else {
        counters->verdict[NGX_HTTP_TGBOT_ABORTED] += left;
    }

    for (n = 0; n < NGX_HTTP_TGBOT_CALL_KINDS; n++) {
        call = counters->call[n];

        left = ngx_http_tgbot_stats_counted(stats,
                                            &call[NGX_HTTP_TGBOT_CALL_STARTED]);

        for (i = NGX_HTTP_TGBOT_CALL_OK; i < NGX_HTTP_TGBOT_CALL_EVENTS; i++) {
            left -= ngx_http_tgbot_stats_counted(stats, &call[i]);
        }

        if ((int64_t) left < 0) {
            call[NGX_HTTP_TGBOT_CALL_STARTED] -= left;

        } else {
            call[NGX_HTTP_TGBOT_CALL_ABORTED] += left;
        }
    }
}


static void
ngx_http_tgbot_stats_name_limits(ngx_http_tgbot_stats_t *stats)
{
    u_char                     *name;
    ngx_md5_t                   md5;
    ngx_uint_t                  i, n, taken;
    ngx_http_tgbot_stats_sh_t  *sh;

    u_char  names[NGX_HTTP_TGBOT_STATS_LIMITS][NGX_HTTP_TGBOT_STATS_NAME];

    sh = stats->sh;
    taken = 0;

    for (i = 0; i < stats->nlimits; i++) {
        ngx_md5_init(&md5);
        ngx_md5_update(&md5, stats->limits[i].data, stats->limits[i].len);
        ngx_md5_final(names[i], &md5);

        n = ngx_http_tgbot_stats_find_limit(sh, names[i]);

        if (n < sh->nlimits) {
            taken |= (ngx_uint_t) 1 << n;
        }
    }

    for (i = 0; i < stats->nlimits; i++) {
        name = names[i];

        /* two limits may share a zone */

        n = ngx_http_tgbot_stats_find_limit(sh, name);

        if (n == sh->nlimits) {
            n = ngx_http_tgbot_stats_take_limit(sh, name, taken);
        }

        taken |= (ngx_uint_t) 1 << n;

        stats->limit[i] = n;
    }
}


static ngx_uint_t
ngx_http_tgbot_stats_find_limit(ngx_http_tgbot_stats_sh_t *sh, u_char *name)
{
    ngx_uint_t  n;

    for (n = 0; n < sh->nlimits; n++) {
        if (ngx_memcmp(sh->limits[n], name, NGX_HTTP_TGBOT_STATS_NAME) == 0) {
            break;
        }
    }

    return n;
}


/*
 * Prefers counters that were never used: workers of a former cycle may still
 * count limits that this cycle does not have.
 */

static ngx_uint_t
ngx_http_tgbot_stats_take_limit(ngx_http_tgbot_stats_sh_t *sh, u_char *name,
    ngx_uint_t taken)
{
    ngx_uint_t  i, j, n;

    n = sh->nlimits;

    if (n == NGX_HTTP_TGBOT_STATS_LIMITS) {

        /* one is free: nlimits is not greater than the number of places */

        for (n = 0; taken & ((ngx_uint_t) 1 << n); n++) { /* void */ }

        ngx_memzero(sh->limits[n], NGX_HTTP_TGBOT_STATS_NAME);

        for (i = 0; i < NGX_HTTP_TGBOT_STATS_STRIPES; i++) {
            for (j = 0; j < NGX_HTTP_TGBOT_LIMIT_OUTCOMES; j++) {
                sh->stripes[i].counters.limit[n][j] = 0;
            }
        }
    }

    ngx_memcpy(sh->limits[n], name, NGX_HTTP_TGBOT_STATS_NAME);

    if (n == sh->nlimits) {
        sh->nlimits++;
    }

    return n;
}


void
ngx_http_tgbot_stats_count(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_stat_e stat)
{
    ngx_http_tgbot_stats_add(ngx_http_tgbot_stats_stripe(stats)->stat[stat],
                             1);
}


/*
 * A beginning and an end are two atomic operations each.  Between the two, one
 * delivery or call more is counted as begun than is in flight or ended; never
 * one less.
 */

void
ngx_http_tgbot_stats_receive(ngx_http_tgbot_stats_t *stats)
{
    ngx_http_tgbot_stats_count(stats, NGX_HTTP_TGBOT_STAT_RECEIVED);
    ngx_http_tgbot_stats_enter(stats, NGX_HTTP_TGBOT_GAUGE_HELD);
}


void
ngx_http_tgbot_stats_update(ngx_http_tgbot_stats_t *stats)
{
    ngx_atomic_uint_t  last, now;

    last = stats->sh->last;
    now = (ngx_atomic_uint_t) ngx_time();

    /* cached times of workers differ: an older one does not replace a newer */

    if (now > last || last - now > NGX_HTTP_TGBOT_STATS_SET_BACK) {
        (void) ngx_atomic_cmp_set(&stats->sh->last, last, now);
    }
}


void
ngx_http_tgbot_stats_deliver(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t verdict, ngx_msec_t duration)
{
    if (ngx_http_tgbot_stats_leave(stats, NGX_HTTP_TGBOT_GAUGE_HELD)) {
        ngx_http_tgbot_stats_add(
            ngx_http_tgbot_stats_stripe(stats)->verdict[verdict], 1);

        ngx_http_tgbot_stats_duration(stats, NGX_HTTP_TGBOT_DURATION_UPDATE,
                                      duration);
    }
}


void
ngx_http_tgbot_stats_duration(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_duration_e of, ngx_msec_t duration)
{
    ngx_uint_t                        i;
    ngx_http_tgbot_stats_counters_t  *counters;

    for (i = 0;
         i < NGX_HTTP_TGBOT_STATS_BUCKETS - 1
         && duration > ngx_http_tgbot_stats_bounds[i];
         i++)
    {
        /* void */
    }

    counters = ngx_http_tgbot_stats_stripe(stats);

    ngx_http_tgbot_stats_add(counters->elapsed[of], duration);
    ngx_http_tgbot_stats_add(counters->duration[of][i], 1);
}


void
ngx_http_tgbot_stats_reject(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_rejection_e reason)
{
    ngx_http_tgbot_stats_add(
        ngx_http_tgbot_stats_stripe(stats)->rejected[reason], 1);
}


ngx_uint_t
ngx_http_tgbot_stats_call(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_call_kind_e kind, ngx_http_tgbot_call_event_e event)
{
    ngx_atomic_t  *counter;

    counter = &ngx_http_tgbot_stats_stripe(stats)->call[kind][event];

    if (event == NGX_HTTP_TGBOT_CALL_STARTED) {
        ngx_http_tgbot_stats_add(*counter, 1);
        ngx_http_tgbot_stats_enter(stats, NGX_HTTP_TGBOT_GAUGE_HANDLER + kind);
        return 1;
    }

    if (ngx_http_tgbot_stats_leave(stats,
                                   NGX_HTTP_TGBOT_GAUGE_HANDLER + kind))
    {
        ngx_http_tgbot_stats_add(*counter, 1);
        return 1;
    }

    return 0;
}


void
ngx_http_tgbot_stats_handled(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_handled_e outcome)
{
    ngx_http_tgbot_stats_add(
        ngx_http_tgbot_stats_stripe(stats)->handled[outcome], 1);
}


void
ngx_http_tgbot_stats_ignored(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_answer_reason_e reason)
{
    ngx_http_tgbot_stats_add(
        ngx_http_tgbot_stats_stripe(stats)->ignored[reason], 1);
}


void
ngx_http_tgbot_stats_unauthorized(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t unauthorized)
{
    if (unauthorized) {
        ngx_http_tgbot_stats_enter(stats, NGX_HTTP_TGBOT_GAUGE_UNAUTHORIZED);

    } else {
        (void) ngx_http_tgbot_stats_leave(stats,
                                          NGX_HTTP_TGBOT_GAUGE_UNAUTHORIZED);
    }
}


void
ngx_http_tgbot_stats_api(ngx_http_tgbot_stats_t *stats, ngx_str_t *method,
    ngx_http_tgbot_api_result_e result)
{
    ngx_uint_t  i;

    i = ngx_http_tgbot_method_find(method);

    ngx_http_tgbot_stats_add(
        ngx_http_tgbot_stats_stripe(stats)->api[i][result], 1);
}


void
ngx_http_tgbot_stats_limit(ngx_http_tgbot_stats_t *stats, ngx_uint_t i,
    ngx_http_tgbot_limit_outcome_e outcome)
{
    i = ngx_min(i, stats->nlimits - 1);

    ngx_http_tgbot_stats_add(
        ngx_http_tgbot_stats_stripe(stats)->limit[stats->limit[i]][outcome],
        1);
}


void
ngx_http_tgbot_stats_cache(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_cache_result_e result)
{
    ngx_http_tgbot_stats_add(
        ngx_http_tgbot_stats_stripe(stats)->cache[result], 1);
}


void
ngx_http_tgbot_stats_idempotency(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_idempotency_result_e result)
{
    ngx_http_tgbot_stats_add(
                 ngx_http_tgbot_stats_stripe(stats)->idempotency[result], 1);
}


void
ngx_http_tgbot_stats_dead(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_dead_cause_e cause)
{
    ngx_http_tgbot_stats_add(
        ngx_http_tgbot_stats_stripe(stats)->dead[cause], 1);
}


void
ngx_http_tgbot_stats_redis(ngx_http_tgbot_stats_t *stats, ngx_uint_t result)
{
    ngx_http_tgbot_stats_add(
        ngx_http_tgbot_stats_stripe(stats)->redis[result], 1);
}


static void
ngx_http_tgbot_stats_enter(ngx_http_tgbot_stats_t *stats, ngx_uint_t gauge)
{
    ngx_atomic_t  *cell;

    cell = &ngx_http_tgbot_stats_self(stats)->gauges[gauge];

    if (ngx_http_tgbot_stats_tag(*cell)
        != ngx_http_tgbot_stats_epoch(ngx_http_tgbot_lease_self()))
    {
        ngx_http_tgbot_stats_init_process(stats);
    }

    ngx_http_tgbot_stats_add(*cell, 1);
}


/*
 * Returns 0 if other processes took this one for dead while it hung, and
 * counted all that it had in flight as aborted.
 */

static ngx_uint_t
ngx_http_tgbot_stats_leave(ngx_http_tgbot_stats_t *stats, ngx_uint_t gauge)
{
    ngx_atomic_t       *cell;
    ngx_atomic_uint_t   old;

    cell = &ngx_http_tgbot_stats_self(stats)->gauges[gauge];

    do {
        old = *cell;

        if (ngx_http_tgbot_stats_number(old) == 0) {
            return 0;
        }

    } while (!ngx_atomic_cmp_set(cell, old, old - 1));

    return 1;
}


static void
ngx_http_tgbot_stats_abort(ngx_http_tgbot_stats_t *stats, ngx_uint_t gauge,
    ngx_uint_t n)
{
    ngx_http_tgbot_stats_counters_t  *counters;

    counters = ngx_http_tgbot_stats_stripe(stats);

    if (gauge == NGX_HTTP_TGBOT_GAUGE_HELD) {
        ngx_http_tgbot_stats_add(counters->verdict[NGX_HTTP_TGBOT_ABORTED], n);
        return;
    }

    if (gauge == NGX_HTTP_TGBOT_GAUGE_UNAUTHORIZED) {

        /* a dead process waits for no token: nothing is counted */

        return;
    }

    gauge -= NGX_HTTP_TGBOT_GAUGE_HANDLER;

    ngx_http_tgbot_stats_add(counters->call[gauge][NGX_HTTP_TGBOT_CALL_ABORTED],
                             n);
}


void
ngx_http_tgbot_stats_init_process(ngx_http_tgbot_stats_t *stats)
{
    ngx_uint_t                      i, n;
    ngx_atomic_t                   *cell;
    ngx_atomic_uint_t               old, self;
    ngx_http_tgbot_stats_gauges_t  *slot;

    slot = ngx_http_tgbot_stats_self(stats);
    self = ngx_http_tgbot_stats_epoch(ngx_http_tgbot_lease_self());

    for (i = 0; i < NGX_HTTP_TGBOT_GAUGES; i++) {
        cell = &slot->gauges[i];

        do {
            old = *cell;
            n = ngx_http_tgbot_stats_number(old);

            if (ngx_http_tgbot_stats_tag(old) == self) {
                n = 0;
                break;
            }

        } while (!ngx_atomic_cmp_set(cell, old,
                                     self << NGX_HTTP_TGBOT_STATS_SHIFT));

        if (n) {
            ngx_http_tgbot_stats_abort(stats, i, n);
        }
    }

    /* stored last: until then a sweep goes by the epoch before */

    slot->epoch = ngx_http_tgbot_lease_self();
}


void
ngx_http_tgbot_stats_sweep(ngx_http_tgbot_stats_t *stats)
{
    ngx_uint_t                      i, n, gauge;
    ngx_atomic_uint_t               old, epoch;
    ngx_http_tgbot_stats_gauges_t  *slot;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        slot = &stats->sh->slots[i].process;

        epoch = slot->epoch;

        if (epoch == 0 || ngx_http_tgbot_lease_lives(i, epoch)) {
            continue;
        }

        for (gauge = 0; gauge < NGX_HTTP_TGBOT_GAUGES; gauge++) {
            old = slot->gauges[gauge];
            n = ngx_http_tgbot_stats_number(old);

            if (n == 0
                || ngx_http_tgbot_stats_tag(old)
                   != ngx_http_tgbot_stats_epoch(epoch))
            {
                continue;
            }

            /* only one of several sweeps and the process itself succeeds */

            if (ngx_atomic_cmp_set(&slot->gauges[gauge], old, old - n)) {
                ngx_http_tgbot_stats_abort(stats, gauge, n);
            }
        }
    }
}


const ngx_str_t  ngx_http_tgbot_stats_results[NGX_HTTP_TGBOT_API_RESULTS] = {
    ngx_string("ok"),
    ngx_string("429"),
    ngx_string("4xx"),
    ngx_string("5xx"),
    ngx_string("error")
};


const ngx_msec_t  ngx_http_tgbot_stats_bounds[] = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000
};


/* ngx_http_tgbot_stats_bounds in seconds */

const ngx_str_t
    ngx_http_tgbot_stats_seconds[NGX_HTTP_TGBOT_STATS_BUCKETS] =
{
    ngx_string("0.001"),
    ngx_string("0.002"),
    ngx_string("0.005"),
    ngx_string("0.01"),
    ngx_string("0.02"),
    ngx_string("0.05"),
    ngx_string("0.1"),
    ngx_string("0.2"),
    ngx_string("0.5"),
    ngx_string("1"),
    ngx_string("2"),
    ngx_string("5"),
    ngx_string("10"),
    ngx_string("30"),
    ngx_string("60"),
    ngx_string("+Inf")
};


uint64_t
ngx_http_tgbot_stats_value(ngx_http_tgbot_stats_t *stats, size_t offset)
{
    u_char      *counters;
    uint64_t     value;
    ngx_uint_t   n;

    value = 0;

    for (n = 0; n < NGX_HTTP_TGBOT_STATS_STRIPES; n++) {
        counters = (u_char *) &stats->sh->stripes[n].counters;
        value += *(ngx_atomic_t *) (counters + offset);
    }

    return value;
}


uint64_t
ngx_http_tgbot_stats_gauge(ngx_http_tgbot_stats_t *stats, ngx_uint_t gauge)
{
    uint64_t       value;
    ngx_uint_t     n;
    ngx_atomic_t  *gauges;

    value = 0;

    for (n = 0; n < NGX_MAX_PROCESSES; n++) {
        gauges = stats->sh->slots[n].process.gauges;
        value += ngx_http_tgbot_stats_number(gauges[gauge]);
    }

    return value;
}


time_t
ngx_http_tgbot_stats_last(ngx_http_tgbot_stats_t *stats)
{
    return stats->sh->last;
}


time_t
ngx_http_tgbot_stats_start(ngx_http_tgbot_stats_t *stats)
{
    return stats->sh->start;
}
