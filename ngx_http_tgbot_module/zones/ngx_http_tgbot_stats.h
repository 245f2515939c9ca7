
/*
 * Counters of a bot, in a zone of its own that outlives the workers; and those
 * of Redis, in another one.
 */

#ifndef _NGX_HTTP_TGBOT_STATS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_method_table.h"
#include "ngx_http_tgbot_zone.h"


/*
 * The verdict on a delivery.
 */

typedef enum {
    NGX_HTTP_TGBOT_NONE = 0,
    NGX_HTTP_TGBOT_DONE,
    NGX_HTTP_TGBOT_QUEUED,
    NGX_HTTP_TGBOT_DUPLICATE,
    NGX_HTTP_TGBOT_LIMITED,
    NGX_HTTP_TGBOT_STALE,
    NGX_HTTP_TGBOT_IGNORED,
    NGX_HTTP_TGBOT_DEAD,
    NGX_HTTP_TGBOT_BUSY,
    NGX_HTTP_TGBOT_FAILED,
    NGX_HTTP_TGBOT_REJECTED,
    NGX_HTTP_TGBOT_ABORTED,
    NGX_HTTP_TGBOT_VERDICTS              /* number of verdicts */
} ngx_http_tgbot_verdict_e;


/* names for status and log, by verdict; NONE has none */
extern ngx_str_t  ngx_http_tgbot_verdict_names[];


/* limits of a bot with counters of their own; more count as the last one */
#define NGX_HTTP_TGBOT_STATS_LIMITS  16

/* size of the zone tgbot_stats_<name>, bytes */
#define NGX_HTTP_TGBOT_STATS_SIZE    (160 * 1024)

/* methods with counters of their own, and "other": rows of the table */
#define NGX_HTTP_TGBOT_STATS_METHODS  (NGX_HTTP_TGBOT_METHODS + 1)

/* buckets of a histogram; the last one has no upper bound */
#define NGX_HTTP_TGBOT_STATS_BUCKETS  16

/* results of commands to Redis, as ngx_http_tgbot_redis_result_e */
#define NGX_HTTP_TGBOT_STATS_REDIS    4


/* why a delivery was rejected */

typedef enum {
    NGX_HTTP_TGBOT_REJECTED_SECRET = 0,
    NGX_HTTP_TGBOT_REJECTED_METHOD,
    NGX_HTTP_TGBOT_REJECTED_TYPE,
    NGX_HTTP_TGBOT_REJECTED_JSON,
    NGX_HTTP_TGBOT_REJECTIONS
} ngx_http_tgbot_rejection_e;


/* calls to internal locations; started = in flight + all other events */

typedef enum {
    NGX_HTTP_TGBOT_CALL_HANDLER = 0,
    NGX_HTTP_TGBOT_CALL_API,
    NGX_HTTP_TGBOT_CALL_KINDS
} ngx_http_tgbot_call_kind_e;

typedef enum {
    NGX_HTTP_TGBOT_CALL_STARTED = 0,
    NGX_HTTP_TGBOT_CALL_OK,              /* answered 2xx */
    NGX_HTTP_TGBOT_CALL_FAILED,          /* not sent, or answered otherwise */
    NGX_HTTP_TGBOT_CALL_UNKNOWN,         /* sent, without a whole answer */
    NGX_HTTP_TGBOT_CALL_ABORTED,         /* cancelled, or the worker died */
    NGX_HTTP_TGBOT_CALL_EVENTS
} ngx_http_tgbot_call_event_e;


/* the outcome of an attempt of the program */

typedef enum {
    NGX_HTTP_TGBOT_HANDLED = 0,
    NGX_HTTP_TGBOT_HANDLER_UNAVAILABLE,
    NGX_HTTP_TGBOT_HANDLER_FAILED,
    NGX_HTTP_TGBOT_HANDLER_OUTCOMES
} ngx_http_tgbot_handled_e;


/* the result of a Bot API call, counted each time it is tried */

typedef enum {
    NGX_HTTP_TGBOT_API_OK = 0,
    NGX_HTTP_TGBOT_API_429,
    NGX_HTTP_TGBOT_API_4XX,              /* and 3xx */
    NGX_HTTP_TGBOT_API_5XX,
    NGX_HTTP_TGBOT_API_ERROR,            /* not sent, broken, timed out */
    NGX_HTTP_TGBOT_API_RESULTS
} ngx_http_tgbot_api_result_e;


typedef enum {
    NGX_HTTP_TGBOT_LIMIT_PASSED = 0,
    NGX_HTTP_TGBOT_LIMIT_DROPPED,
    NGX_HTTP_TGBOT_LIMIT_REJECTED,
    NGX_HTTP_TGBOT_LIMIT_DROPPED_DRY_RUN,
    NGX_HTTP_TGBOT_LIMIT_REJECTED_DRY_RUN,
    NGX_HTTP_TGBOT_LIMIT_REDIS_AWAY,     /* and one of those above */
    NGX_HTTP_TGBOT_LIMIT_OUTCOMES
} ngx_http_tgbot_limit_outcome_e;


typedef enum {
    NGX_HTTP_TGBOT_CACHE_HIT = 0,
    NGX_HTTP_TGBOT_CACHE_MISS,           /* we ask the program */
    NGX_HTTP_TGBOT_CACHE_WAIT,           /* another job asks the program */
    NGX_HTTP_TGBOT_CACHE_TIMEOUT,        /* tgbot_cache lock_timeout */
    NGX_HTTP_TGBOT_CACHE_BYPASS,         /* key empty, or no room */
    NGX_HTTP_TGBOT_CACHE_STORED,
    NGX_HTTP_TGBOT_CACHE_UNCACHEABLE,
    NGX_HTTP_TGBOT_CACHE_REDIS,          /* Redis had it, which makes a hit */
    NGX_HTTP_TGBOT_CACHE_REDIS_AWAY,     /* the zone goes on without Redis */
    NGX_HTTP_TGBOT_CACHE_RESULTS
} ngx_http_tgbot_cache_result_e;


/* what became of calls with an Idempotency-Key */

typedef enum {
    NGX_HTTP_TGBOT_IDEMPOTENCY_STARTED = 0,  /* the first of its key */
    NGX_HTTP_TGBOT_IDEMPOTENCY_REPEATED, /* got the answer that was kept */
    NGX_HTTP_TGBOT_IDEMPOTENCY_WAITED,   /* for another; one of those here */
    NGX_HTTP_TGBOT_IDEMPOTENCY_CONFLICT, /* 409 */
    NGX_HTTP_TGBOT_IDEMPOTENCY_REFUSED,  /* another error */
    NGX_HTTP_TGBOT_IDEMPOTENCY_RESULTS
} ngx_http_tgbot_idempotency_result_e;


/* gauges, kept by each process: what goes on now */

typedef enum {
    NGX_HTTP_TGBOT_GAUGE_HELD = 0,       /* deliveries without a verdict */
    NGX_HTTP_TGBOT_GAUGE_HANDLER,        /* calls in flight */
    NGX_HTTP_TGBOT_GAUGE_API,
    NGX_HTTP_TGBOT_GAUGE_UNAUTHORIZED,   /* 1: the process waits for a token */
    NGX_HTTP_TGBOT_GAUGES
} ngx_http_tgbot_gauge_e;


/* histograms of durations */

typedef enum {
    NGX_HTTP_TGBOT_DURATION_UPDATE = 0,  /* a delivery, until its verdict */
    NGX_HTTP_TGBOT_DURATION_HANDLER,     /* a call that was not aborted */
    NGX_HTTP_TGBOT_DURATION_REDIS,       /* a command that was answered */
    NGX_HTTP_TGBOT_DURATIONS
} ngx_http_tgbot_duration_e;


/* counters without labels, see ngx_http_tgbot_stats_count() */

typedef enum {
    NGX_HTTP_TGBOT_STAT_RECEIVED = 0,
    NGX_HTTP_TGBOT_STAT_DEDUP_REBASED,
    NGX_HTTP_TGBOT_STAT_DEDUP_FULL,      /* no record for one more Update */
    NGX_HTTP_TGBOT_STAT_DEDUP_UNNUMBERED, /* update_id does not fit */
    NGX_HTTP_TGBOT_STAT_LEASES_LOST,     /* results dropped */
    NGX_HTTP_TGBOT_STAT_ATTEMPTS_SPENT,  /* Updates over tgbot_attempts */
    NGX_HTTP_TGBOT_STAT_RIDES_REPEATED,  /* with the answer to a duplicate */
    NGX_HTTP_TGBOT_STAT_CALLS_EXPIRED,   /* by tgbot_call_timeout */
    NGX_HTTP_TGBOT_STAT_UNSENT,          /* calls dropped: no tgbot_api */
    NGX_HTTP_TGBOT_STAT_GIVEN_UP,        /* Bot API calls given up */
    NGX_HTTP_TGBOT_STAT_QUEUE_FULL,      /* deliveries refused */
    NGX_HTTP_TGBOT_STAT_PACE_REDIS_AWAY, /* calls paced by the zone alone */
    NGX_HTTP_TGBOT_STAT_REDIS_RECONNECTS,
    NGX_HTTP_TGBOT_STATS
} ngx_http_tgbot_stat_e;


/* all counters; the offset of a counter in here identifies it */

typedef struct {
    ngx_atomic_t                     stat[NGX_HTTP_TGBOT_STATS];
    ngx_atomic_t                     verdict[NGX_HTTP_TGBOT_VERDICTS];
    ngx_atomic_t                     rejected[NGX_HTTP_TGBOT_REJECTIONS];
    ngx_atomic_t                     call[NGX_HTTP_TGBOT_CALL_KINDS]
                                         [NGX_HTTP_TGBOT_CALL_EVENTS];
    ngx_atomic_t                     handled[NGX_HTTP_TGBOT_HANDLER_OUTCOMES];
    ngx_atomic_t                     ignored[NGX_HTTP_TGBOT_ANSWER_REASONS];
    ngx_atomic_t                     api[NGX_HTTP_TGBOT_STATS_METHODS]
                                        [NGX_HTTP_TGBOT_API_RESULTS];
    ngx_atomic_t                     limit[NGX_HTTP_TGBOT_STATS_LIMITS]
                                          [NGX_HTTP_TGBOT_LIMIT_OUTCOMES];
    ngx_atomic_t                     cache[NGX_HTTP_TGBOT_CACHE_RESULTS];
    ngx_atomic_t                     idempotency[
                                           NGX_HTTP_TGBOT_IDEMPOTENCY_RESULTS];
    ngx_atomic_t                     dead[NGX_HTTP_TGBOT_DEAD_CAUSES];
    ngx_atomic_t                     redis[NGX_HTTP_TGBOT_STATS_REDIS];
    ngx_atomic_t                     duration[NGX_HTTP_TGBOT_DURATIONS]
                                             [NGX_HTTP_TGBOT_STATS_BUCKETS];
    ngx_atomic_t                     elapsed[NGX_HTTP_TGBOT_DURATIONS];
                                                /* sum, ms */
} ngx_http_tgbot_stats_counters_t;


typedef struct ngx_http_tgbot_stats_sh_s  ngx_http_tgbot_stats_sh_t;


/*
 * the counters of a bot, or of Redis; the configuration sets the first three
 * members
 */

typedef struct {
    ngx_http_tgbot_zone_t      *zone;
    ngx_str_t                   limits[NGX_HTTP_TGBOT_STATS_LIMITS];
                                               /* names of zones */
    ngx_uint_t                  nlimits;

    /* set by the init callback of the zone */
    ngx_uint_t                  limit[NGX_HTTP_TGBOT_STATS_LIMITS];
                                               /* counters of limits[i] */
    ngx_http_tgbot_stats_sh_t  *sh;
} ngx_http_tgbot_stats_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_stats_zone;


/*
 * The functions that count are atomic and take no lock.  They may be called
 * anywhere in a worker, also while a zone is locked.
 */

void ngx_http_tgbot_stats_count(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_stat_e stat);

/* a delivery begins: it is counted as received, and held until deliver() */
void ngx_http_tgbot_stats_receive(ngx_http_tgbot_stats_t *stats);

/* the delivery contains an Update: notes the time for last() */
void ngx_http_tgbot_stats_update(ngx_http_tgbot_stats_t *stats);

/*
 * A delivery ends after "duration" ms; called once for each receive().  It is
 * not counted if another process took this one for dead before and counted
 * the delivery as aborted.
 */
void ngx_http_tgbot_stats_deliver(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t verdict, ngx_msec_t duration);

/* counts the reason of a rejected delivery, in addition to deliver() */
void ngx_http_tgbot_stats_reject(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_rejection_e reason);

/*
 * STARTED begins a call, each other event ends one.  Returns 0 if the end is
 * not counted: another process took this one for dead before and counted the
 * call as aborted.
 */
ngx_uint_t ngx_http_tgbot_stats_call(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_call_kind_e kind, ngx_http_tgbot_call_event_e event);

void ngx_http_tgbot_stats_handled(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_handled_e outcome);

/* an answer that is thrown away, as a whole or in a part */
void ngx_http_tgbot_stats_ignored(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_answer_reason_e reason);

/* adds a duration in ms to a histogram */
void ngx_http_tgbot_stats_duration(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_duration_e of, ngx_msec_t duration);

/* 1: Telegram refuses the bot's token, as this process learned; 0: no more */
void ngx_http_tgbot_stats_unauthorized(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t unauthorized);

/* a method that is not in the list is counted as "other" */
void ngx_http_tgbot_stats_api(ngx_http_tgbot_stats_t *stats,
    ngx_str_t *method, ngx_http_tgbot_api_result_e result);

/* "i" is the index of the limit in stats->limits */
void ngx_http_tgbot_stats_limit(ngx_http_tgbot_stats_t *stats, ngx_uint_t i,
    ngx_http_tgbot_limit_outcome_e outcome);

void ngx_http_tgbot_stats_cache(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_cache_result_e result);

void ngx_http_tgbot_stats_idempotency(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_idempotency_result_e result);

void ngx_http_tgbot_stats_dead(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_dead_cause_e cause);

void ngx_http_tgbot_stats_redis(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t result);


/*
 * Worker start: counts as aborted what a dead process of the same slot left
 * in its gauges.
 */
void ngx_http_tgbot_stats_init_process(ngx_http_tgbot_stats_t *stats);

/*
 * Counts as aborted what dead processes of all slots left in their gauges;
 * called before counters are read.
 */
void ngx_http_tgbot_stats_sweep(ngx_http_tgbot_stats_t *stats);


/* names of results, by index */
extern const ngx_str_t  ngx_http_tgbot_stats_results[
                                          NGX_HTTP_TGBOT_API_RESULTS];

/* upper bounds of the buckets of a histogram, seconds */
extern const ngx_str_t  ngx_http_tgbot_stats_seconds[
                                          NGX_HTTP_TGBOT_STATS_BUCKETS];

/* returns the counter at an offset in ngx_http_tgbot_stats_counters_t */
uint64_t ngx_http_tgbot_stats_value(ngx_http_tgbot_stats_t *stats,
    size_t offset);

/* returns the sum of a gauge over all processes */
uint64_t ngx_http_tgbot_stats_gauge(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t gauge);

/* time of the last Update, seconds since the epoch, 0: none yet */
time_t ngx_http_tgbot_stats_last(ngx_http_tgbot_stats_t *stats);

/* time when the zone was carved, seconds since the epoch */
time_t ngx_http_tgbot_stats_start(ngx_http_tgbot_stats_t *stats);


/*
 * The contents of the zone, for ngx_http_tgbot_stats.c only.
 */

/* so many workers count without sharing cache lines */
#define NGX_HTTP_TGBOT_STATS_STRIPES  8

#define NGX_HTTP_TGBOT_STATS_LINE     64

/* MD5 of the name of a limit's zone */
#define NGX_HTTP_TGBOT_STATS_NAME     16


typedef union {
    ngx_http_tgbot_stats_counters_t  counters;
    u_char                           lines[
        ngx_align(sizeof(ngx_http_tgbot_stats_counters_t),
                  NGX_HTTP_TGBOT_STATS_LINE)];
} ngx_http_tgbot_stats_stripe_t;


typedef struct {
    ngx_atomic_t                     epoch;     /* 0: never used */
    ngx_atomic_t                     gauges[NGX_HTTP_TGBOT_GAUGES];
} ngx_http_tgbot_stats_gauges_t;


typedef union {
    ngx_http_tgbot_stats_gauges_t    process;
    u_char                           line[NGX_HTTP_TGBOT_STATS_LINE];
} ngx_http_tgbot_stats_slot_t;


struct ngx_http_tgbot_stats_sh_s {
    ngx_http_tgbot_stats_stripe_t    stripes[NGX_HTTP_TGBOT_STATS_STRIPES];
    ngx_http_tgbot_stats_slot_t      slots[NGX_MAX_PROCESSES];

    time_t                           start;
    ngx_atomic_t                     last;      /* Update, seconds, 0: none */

    /* names of the members of counters.limit; changed under the lock */
    ngx_uint_t                       nlimits;
    u_char                           limits[NGX_HTTP_TGBOT_STATS_LIMITS]
                                           [NGX_HTTP_TGBOT_STATS_NAME];
};


/* upper bounds of buckets, ms */
extern const ngx_msec_t  ngx_http_tgbot_stats_bounds[];


#endif /* _NGX_HTTP_TGBOT_STATS_H_INCLUDED_ */
