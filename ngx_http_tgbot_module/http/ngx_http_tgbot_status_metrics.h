
/*
 * The table of all metrics, and the snapshot of the state that they are read
 * from.  The JSON and Prometheus renderers use both.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_METRICS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_redis_state.h"


/*
 * The state of a bot and of a zone.  Numbers that are metrics are uint64_t,
 * as the table of metrics refers to them by offset.
 */

typedef struct {
    ngx_http_tgbot_bot_t                *bot;
    ngx_http_tgbot_queue_state_t         queue;     /* zeroed: no queue */
    ngx_http_tgbot_dead_state_t          dead;      /* zeroed: not kept */
    ngx_http_tgbot_pace_state_t          pace;      /* zeroed: no tgbot_api */
    ngx_http_tgbot_registration_t       *known;     /* NULL: the bot has no
                                                       tgbot_register */
    ngx_http_tgbot_redis_state_t        *told;      /* NULL: it has no queue,
                                                       claims or letters in
                                                       Redis */
    uint64_t                             machines;  /* with workers that live */

    /* waiting, delayed, in flight, dead and orphaned updates; the orphaned
       ones of a zone are counted at the first bot that uses the zone */
    uint64_t                             depth[5];
    uint64_t                             oldest;    /* s */

    uint64_t                             broadcasts[
                                             NGX_HTTP_TGBOT_BROADCAST_STATES];
    uint64_t                             chats[NGX_HTTP_TGBOT_BROADCAST_CHATS];
                                                    /* of them, by state */

    uint64_t                             pending;   /* at Telegram */
    uint64_t                             error_date;
    uint64_t                             url_ok;
} ngx_http_tgbot_status_bot_t;


typedef struct {
    ngx_http_tgbot_zone_t               *zone;
    uint64_t                             used;
    uint64_t                             total;     /* 0: use is constant */
    ngx_uint_t                           entries;   /* of a cache */
    ngx_uint_t                           items;     /* of a queue or dead
                                                       letters */
    ngx_uint_t                           broken;    /* same */
    ngx_uint_t                           orphaned;  /* of a queue */

    uint64_t                             bytes[2];  /* used, free */
    uint64_t                             evicted;
    uint64_t                             repaired;
} ngx_http_tgbot_status_zone_t;


/* the state that one request shows */

typedef struct {
    ngx_http_tgbot_status_bot_t         *bots;
    ngx_uint_t                           nbots;
    ngx_http_tgbot_status_zone_t        *zones;
    ngx_uint_t                           nzones;
    ngx_http_tgbot_stats_t              *redis;     /* NULL: none */
    uint64_t                             redis_up;
    uint64_t                             build;     /* always 1 */
    uint64_t                             start;     /* of the oldest counters */
} ngx_http_tgbot_status_snapshot_t;


typedef enum {
    NGX_HTTP_TGBOT_COUNTER = 0,
    NGX_HTTP_TGBOT_COUNTER_SPARSE,       /* many label values, most are 0 */
    NGX_HTTP_TGBOT_GAUGE,
    NGX_HTTP_TGBOT_HISTOGRAM
} ngx_http_tgbot_metric_type_e;


/*
 * The kind of object that a metric belongs to, and the type of the "of"
 * argument of functions below.
 */

typedef enum {
    NGX_HTTP_TGBOT_OF_ALL = 0,           /* ngx_http_tgbot_status_snapshot_t */
    NGX_HTTP_TGBOT_OF_REDIS,             /* same, with tgbot_redis */
    NGX_HTTP_TGBOT_OF_BOT,               /* ngx_http_tgbot_status_bot_t */
    NGX_HTTP_TGBOT_OF_QUEUE,             /* a bot with tgbot_queue */
    NGX_HTTP_TGBOT_OF_BROADCAST,         /* a bot with tgbot_broadcast */
    NGX_HTTP_TGBOT_OF_WEBHOOK,           /* a bot with tgbot_register */
    NGX_HTTP_TGBOT_OF_SHARED,            /* a bot of which Redis tells */
    NGX_HTTP_TGBOT_OF_ZONE               /* ngx_http_tgbot_status_zone_t */
} ngx_http_tgbot_metric_of_e;


typedef struct {
    const char        *name;             /* NULL: no label */
    ngx_uint_t         n;                /* number of values; no label: 1 */
    const ngx_str_t   *values;           /* NULL: zones of the bot's limits */
    size_t             step;             /* bytes between two values */
} ngx_http_tgbot_metric_label_t;


/*
 * Returns the i-th number at "where", which is an offset or another value
 * that the function defines.  For a histogram it returns the count of bucket
 * i, not cumulative.
 */

typedef uint64_t (*ngx_http_tgbot_metric_pt)(void *of, size_t where,
    ngx_uint_t i);


typedef struct {
    const char                      *name;
    ngx_uint_t                       type;
    const char                      *help;
    ngx_http_tgbot_metric_label_t    labels[2];
    ngx_uint_t                       of;
    ngx_http_tgbot_metric_pt         value;
    size_t                           where;
    size_t                           sum;  /* "where" of a histogram's sum,
                                              ms */
} ngx_http_tgbot_metric_t;


/* all metrics, in the order of output; name is NULL in the last entry */
extern const ngx_http_tgbot_metric_t  ngx_http_tgbot_metrics[];


/* the i-th value of a label; "": the value is not in use */
ngx_str_t ngx_http_tgbot_metric_label(const ngx_http_tgbot_metric_t *metric,
    void *of, ngx_uint_t label, ngx_uint_t i);

/* the number for the i-th value of label 0 and the j-th value of label 1 */
uint64_t ngx_http_tgbot_metric_value(const ngx_http_tgbot_metric_t *metric,
    void *of, ngx_uint_t i, ngx_uint_t j);


/*
 * Reads the state of all bots and zones into *snapshot, with memory of pool.
 * Each zone is locked by itself, so zones are not read at the same instant.
 * Counters are read later, by ngx_http_tgbot_metric_value().  NGX_ERROR: no
 * memory.
 */
ngx_int_t ngx_http_tgbot_status_snapshot(
    ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_main_conf_t *tmcf, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_STATUS_METRICS_H_INCLUDED_ */
