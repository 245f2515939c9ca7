
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_stats_sh.h"


static ngx_int_t ngx_http_tgbot_stats_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
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


/*
 * Another number with each change of what is in the zone.  A module of its
 * own address has zones of its own, but one may be written over in place.
 */

const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_stats_zone = {
    8, "statistics",
    sizeof(ngx_http_tgbot_stats_sh_t),
    ngx_http_tgbot_stats_init
};


/* it has to fit, with what a zone needs besides */

typedef u_char  ngx_http_tgbot_stats_fits_t[
    sizeof(ngx_http_tgbot_stats_sh_t) + 16384 <= NGX_HTTP_TGBOT_STATS_SIZE
    ? 1 : -1];


/* a clock that was set back by more is believed, seconds */
#define NGX_HTTP_TGBOT_STATS_SET_BACK  60


#define ngx_http_tgbot_stats_stripe(stats)                                    \
    (&(stats)->sh->stripes[ngx_worker % NGX_HTTP_TGBOT_STATS_STRIPES].counters)

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

    /* found dirty: at worst a place has lost its name, and is taken anew */

    (void) ngx_http_tgbot_zone_lock(zone);

    stats = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {
        stats[i]->sh = sh;

        ngx_http_tgbot_stats_name_limits(stats[i]);
    }

    ngx_http_tgbot_zone_unlock(zone);

    return NGX_OK;
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
 * A place never used, as long as there is one: workers of a former cycle may
 * still count for the names that this cycle has not.
 */

static ngx_uint_t
ngx_http_tgbot_stats_take_limit(ngx_http_tgbot_stats_sh_t *sh, u_char *name,
    ngx_uint_t taken)
{
    ngx_uint_t  i, j, n;

    n = sh->nlimits;

    if (n == NGX_HTTP_TGBOT_STATS_LIMITS) {

        /* there are no more names than places */

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
 * Between the two atomics of a beginning and of an end the books have one
 * more received, or started, than accounted for; never one less.
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

    /* workers do not look at the clock at the same time */

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

    i = ngx_http_tgbot_stats_method(method);

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
ngx_http_tgbot_stats_dead(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_dead_cause_e cause)
{
    ngx_http_tgbot_stats_add(
        ngx_http_tgbot_stats_stripe(stats)->dead[cause], 1);
}


static void
ngx_http_tgbot_stats_enter(ngx_http_tgbot_stats_t *stats, ngx_uint_t gauge)
{
    ngx_atomic_t  *cell;

    cell = &stats->sh->slots[ngx_process_slot].process.gauges[gauge];

    if (ngx_http_tgbot_stats_tag(*cell)
        != ngx_http_tgbot_stats_epoch(ngx_http_tgbot_slot_self()))
    {
        ngx_http_tgbot_stats_init_process(stats);
    }

    ngx_http_tgbot_stats_add(*cell, 1);
}


/*
 * 0: others took this process for dead, as it hung, and have made "aborted"
 * of all it had
 */

static ngx_uint_t
ngx_http_tgbot_stats_leave(ngx_http_tgbot_stats_t *stats, ngx_uint_t gauge)
{
    ngx_atomic_t       *cell;
    ngx_atomic_uint_t   old;

    cell = &stats->sh->slots[ngx_process_slot].process.gauges[gauge];

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

        /* what a process knew goes with it */

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

    slot = &stats->sh->slots[ngx_process_slot].process;
    self = ngx_http_tgbot_stats_epoch(ngx_http_tgbot_slot_self());

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

    /* last: until then the cells are found by the epoch before */

    slot->epoch = ngx_http_tgbot_slot_self();
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

        if (epoch == 0 || ngx_http_tgbot_slot_lives(i, epoch)) {
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

            /* of all that see it, and the process itself, one succeeds */

            if (ngx_atomic_cmp_set(&slot->gauges[gauge], old, old - n)) {
                ngx_http_tgbot_stats_abort(stats, gauge, n);
            }
        }
    }
}
