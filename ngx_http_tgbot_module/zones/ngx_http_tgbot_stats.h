
/*
 * Counters of a bot, in a zone of its own that outlives its workers.
 */

#ifndef _NGX_HTTP_TGBOT_STATS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"


/*
 * What became of a delivery.
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
    NGX_HTTP_TGBOT_VERDICTS              /* how many */
} ngx_http_tgbot_verdict_e;


/* "done" ... by verdict */
extern ngx_str_t  ngx_http_tgbot_verdict_names[];


/* limits of a bot that are counted each by itself; more of them as the last */
#define NGX_HTTP_TGBOT_STATS_LIMITS  16

/* of the zone tgbot_stats_<name> */
#define NGX_HTTP_TGBOT_STATS_SIZE    (128 * 1024)

/* with "other" */
#define NGX_HTTP_TGBOT_STATS_METHODS  48

/* of a histogram; the last one has no bound */
#define NGX_HTTP_TGBOT_STATS_BUCKETS  16


/* why a delivery was rejected */

typedef enum {
    NGX_HTTP_TGBOT_REJECTED_SECRET = 0,
    NGX_HTTP_TGBOT_REJECTED_METHOD,
    NGX_HTTP_TGBOT_REJECTED_TYPE,
    NGX_HTTP_TGBOT_REJECTED_JSON,
    NGX_HTTP_TGBOT_REJECTIONS
} ngx_http_tgbot_rejection_e;


/* calls to internal locations: the ledger of section "Metrics" */

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
    NGX_HTTP_TGBOT_CALL_ABORTED,         /* given up by us, or with us */
    NGX_HTTP_TGBOT_CALL_EVENTS
} ngx_http_tgbot_call_event_e;


/* what a call of the program came to */

typedef enum {
    NGX_HTTP_TGBOT_HANDLED = 0,
    NGX_HTTP_TGBOT_HANDLER_UNAVAILABLE,
    NGX_HTTP_TGBOT_HANDLER_FAILED,
    NGX_HTTP_TGBOT_HANDLER_OUTCOMES
} ngx_http_tgbot_handled_e;


/* what an attempt of a Bot API call came to */

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
    NGX_HTTP_TGBOT_LIMIT_OUTCOMES
} ngx_http_tgbot_limit_outcome_e;


typedef enum {
    NGX_HTTP_TGBOT_CACHE_HIT = 0,
    NGX_HTTP_TGBOT_CACHE_MISS,           /* we ask the program */
    NGX_HTTP_TGBOT_CACHE_WAIT,           /* for another who asks */
    NGX_HTTP_TGBOT_CACHE_TIMEOUT,        /* tgbot_cache lock_timeout */
    NGX_HTTP_TGBOT_CACHE_BYPASS,         /* key empty, or no room */
    NGX_HTTP_TGBOT_CACHE_STORED,
    NGX_HTTP_TGBOT_CACHE_UNCACHEABLE,
    NGX_HTTP_TGBOT_CACHE_RESULTS
} ngx_http_tgbot_cache_result_e;


/* gauges by process: what is going on now */

typedef enum {
    NGX_HTTP_TGBOT_GAUGE_HELD = 0,       /* deliveries without a verdict */
    NGX_HTTP_TGBOT_GAUGE_HANDLER,        /* calls in flight */
    NGX_HTTP_TGBOT_GAUGE_API,
    NGX_HTTP_TGBOT_GAUGE_UNAUTHORIZED,   /* 1: the process waits for a token */
    NGX_HTTP_TGBOT_GAUGES
} ngx_http_tgbot_gauge_e;


/* how long things took: histograms */

typedef enum {
    NGX_HTTP_TGBOT_DURATION_UPDATE = 0,  /* of a delivery, to its verdict */
    NGX_HTTP_TGBOT_DURATION_HANDLER,     /* of a call that was not aborted */
    NGX_HTTP_TGBOT_DURATIONS
} ngx_http_tgbot_duration_e;


/* counters; those with arguments by the functions below */

typedef enum {
    NGX_HTTP_TGBOT_STAT_RECEIVED = 0,
    NGX_HTTP_TGBOT_STAT_DEDUP_REBASED,
    NGX_HTTP_TGBOT_STAT_DEDUP_FULL,      /* no record for another update */
    NGX_HTTP_TGBOT_STAT_DEDUP_UNNUMBERED, /* their update_id does not fit */
    NGX_HTTP_TGBOT_STAT_LEASES_LOST,     /* results dropped */
    NGX_HTTP_TGBOT_STAT_ATTEMPTS_SPENT,  /* updates over tgbot_attempts */
    NGX_HTTP_TGBOT_STAT_RIDES_REPEATED,  /* with the answer to a duplicate */
    NGX_HTTP_TGBOT_STAT_CALLS_EXPIRED,   /* by tgbot_call_timeout */
    NGX_HTTP_TGBOT_STAT_UNSENT,          /* Bot API calls without a way out */
    NGX_HTTP_TGBOT_STAT_GIVEN_UP,        /* Bot API calls */
    NGX_HTTP_TGBOT_STAT_QUEUE_FULL,      /* deliveries refused for it */
    NGX_HTTP_TGBOT_STATS
} ngx_http_tgbot_stat_e;


/* what is counted; the offset of a member says which counter is meant */

typedef struct {
    ngx_atomic_t                     stat[NGX_HTTP_TGBOT_STATS];
    ngx_atomic_t                     verdict[NGX_HTTP_TGBOT_VERDICTS];
    ngx_atomic_t                     rejected[NGX_HTTP_TGBOT_REJECTIONS];
    ngx_atomic_t                     call[NGX_HTTP_TGBOT_CALL_KINDS]
                                         [NGX_HTTP_TGBOT_CALL_EVENTS];
    ngx_atomic_t                     handled[NGX_HTTP_TGBOT_HANDLER_OUTCOMES];
    ngx_atomic_t                     api[NGX_HTTP_TGBOT_STATS_METHODS]
                                        [NGX_HTTP_TGBOT_API_RESULTS];
    ngx_atomic_t                     limit[NGX_HTTP_TGBOT_STATS_LIMITS]
                                          [NGX_HTTP_TGBOT_LIMIT_OUTCOMES];
    ngx_atomic_t                     cache[NGX_HTTP_TGBOT_CACHE_RESULTS];
    ngx_atomic_t                     dead[NGX_HTTP_TGBOT_DEAD_CAUSES];
    ngx_atomic_t                     duration[NGX_HTTP_TGBOT_DURATIONS]
                                             [NGX_HTTP_TGBOT_STATS_BUCKETS];
    ngx_atomic_t                     elapsed[NGX_HTTP_TGBOT_DURATIONS];
                                                /* together, ms */
} ngx_http_tgbot_stats_counters_t;


typedef struct ngx_http_tgbot_stats_sh_s  ngx_http_tgbot_stats_sh_t;


/* a bot's counters as the configuration makes them */

typedef struct {
    ngx_http_tgbot_zone_t      *zone;
    ngx_str_t                   limits[NGX_HTTP_TGBOT_STATS_LIMITS];
                                               /* names of zones */
    ngx_uint_t                  nlimits;

    /* where the i-th of them is counted; set with the zone */
    ngx_uint_t                  limit[NGX_HTTP_TGBOT_STATS_LIMITS];
    ngx_http_tgbot_stats_sh_t  *sh;            /* likewise */
} ngx_http_tgbot_stats_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_stats_zone;


/*
 * All of these are atomic and take no lock; they may be called anywhere in a
 * worker, also inside a lock.
 */

void ngx_http_tgbot_stats_count(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_stat_e stat);

/* begins a delivery: counted as received, and held */
void ngx_http_tgbot_stats_receive(ngx_http_tgbot_stats_t *stats);

/* it is an update */
void ngx_http_tgbot_stats_update(ngx_http_tgbot_stats_t *stats);

/*
 * Its end, once, after so many ms: held no more.  Nothing of it is counted if
 * others took this process for dead, and it for aborted.
 */
void ngx_http_tgbot_stats_deliver(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t verdict, ngx_msec_t duration);

/* why it is rejected, besides */
void ngx_http_tgbot_stats_reject(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_rejection_e reason);

/*
 * STARTED puts one in flight, each other event ends one; 0: it is not
 * counted, as above
 */
ngx_uint_t ngx_http_tgbot_stats_call(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_call_kind_e kind, ngx_http_tgbot_call_event_e event);

void ngx_http_tgbot_stats_handled(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_handled_e outcome);

/* ms */
void ngx_http_tgbot_stats_duration(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_duration_e of, ngx_msec_t duration);

/* this process has learned that the bot's token is refused, or is not */
void ngx_http_tgbot_stats_unauthorized(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t unauthorized);

/* a method that is not in the closed list counts as "other" */
void ngx_http_tgbot_stats_api(ngx_http_tgbot_stats_t *stats,
    ngx_str_t *method, ngx_http_tgbot_api_result_e result);

/* "i": number of the limit in the bot's location */
void ngx_http_tgbot_stats_limit(ngx_http_tgbot_stats_t *stats, ngx_uint_t i,
    ngx_http_tgbot_limit_outcome_e outcome);

void ngx_http_tgbot_stats_cache(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_cache_result_e result);

/* one dead letter more */
void ngx_http_tgbot_stats_dead(ngx_http_tgbot_stats_t *stats,
    ngx_http_tgbot_dead_cause_e cause);


/*
 * Start of a worker: what a process of the same slot that died left in its
 * gauges becomes "aborted".
 */
void ngx_http_tgbot_stats_init_process(ngx_http_tgbot_stats_t *stats);

/* likewise for what dead processes of all slots left; before reading */
void ngx_http_tgbot_stats_sweep(ngx_http_tgbot_stats_t *stats);


/* names of what is counted, by index */
extern const ngx_str_t  ngx_http_tgbot_stats_methods[
                                          NGX_HTTP_TGBOT_STATS_METHODS];
extern const ngx_str_t  ngx_http_tgbot_stats_results[
                                          NGX_HTTP_TGBOT_API_RESULTS];

/* upper bounds of the buckets of a histogram, seconds */
extern const ngx_str_t  ngx_http_tgbot_stats_seconds[
                                          NGX_HTTP_TGBOT_STATS_BUCKETS];

/* the counter at an offset in ngx_http_tgbot_stats_counters_t */
uint64_t ngx_http_tgbot_stats_value(ngx_http_tgbot_stats_t *stats,
    size_t offset);

/* the bot's gauge, over all processes */
uint64_t ngx_http_tgbot_stats_gauge(ngx_http_tgbot_stats_t *stats,
    ngx_uint_t gauge);

/* when an update was received last, seconds since the epoch, 0: not yet */
time_t ngx_http_tgbot_stats_last(ngx_http_tgbot_stats_t *stats);

/* when the zone was carved, seconds since the epoch */
time_t ngx_http_tgbot_stats_start(ngx_http_tgbot_stats_t *stats);


/*
 * What a zone of statistics holds; for the files of stats only.
 */

/* so many workers count without getting into each other's way */
#define NGX_HTTP_TGBOT_STATS_STRIPES  8

#define NGX_HTTP_TGBOT_STATS_LINE     64

/* MD5 of a limit's zone */
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
    ngx_atomic_t                     last;      /* update, seconds, 0: none */

    /* names of the places in counters.limit; under the zone's lock */
    ngx_uint_t                       nlimits;
    u_char                           limits[NGX_HTTP_TGBOT_STATS_LIMITS]
                                           [NGX_HTTP_TGBOT_STATS_NAME];
};


/* upper bounds of buckets, ms */
extern const ngx_msec_t  ngx_http_tgbot_stats_bounds[];


#endif /* _NGX_HTTP_TGBOT_STATS_H_INCLUDED_ */
