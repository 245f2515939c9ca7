
/*
 * The table of all metrics, and the state they are read from: JSON and
 * Prometheus' text are made of it.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_METRICS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/*
 * What a bot and a zone say now.  Numbers that are metrics are of uint64_t:
 * the table has their offsets.
 */

typedef struct {
    ngx_http_tgbot_bot_t                *bot;
    ngx_http_tgbot_queue_state_t         queue;     /* zeros without it */
    ngx_http_tgbot_dead_state_t          dead;      /* zeros without them */
    ngx_http_tgbot_registration_t       *known;     /* of the webhook; NULL:
                                                       not registered by us */

    /* waiting, delayed, in flight, dead and orphaned updates, the last ones
       of the queue's zone, with the first of its bots */
    uint64_t                             depth[5];
    uint64_t                             oldest;    /* s */

    uint64_t                             pending;   /* at Telegram */
    uint64_t                             error_date;
    uint64_t                             url_ok;
} ngx_http_tgbot_status_bot_t;


typedef struct {
    ngx_http_tgbot_zone_t               *zone;
    uint64_t                             used;
    uint64_t                             total;     /* 0: it does not fill up */
    ngx_uint_t                           entries;   /* of a cache */
    ngx_uint_t                           items;     /* of a queue, letters */
    ngx_uint_t                           broken;    /* of a queue, letters */
    ngx_uint_t                           orphaned;  /* of a queue */

    uint64_t                             bytes[2];  /* used, free */
    uint64_t                             evicted;
    uint64_t                             repaired;
} ngx_http_tgbot_status_zone_t;


/* what one request shows */

typedef struct {
    ngx_http_tgbot_status_bot_t         *bots;
    ngx_uint_t                           nbots;
    ngx_http_tgbot_status_zone_t        *zones;
    ngx_uint_t                           nzones;
    uint64_t                             build;     /* 1 */
    uint64_t                             start;     /* of the oldest counters */
} ngx_http_tgbot_status_snapshot_t;


typedef enum {
    NGX_HTTP_TGBOT_COUNTER = 0,
    NGX_HTTP_TGBOT_COUNTER_SPARSE,       /* of many values, most 0 */
    NGX_HTTP_TGBOT_GAUGE,
    NGX_HTTP_TGBOT_HISTOGRAM
} ngx_http_tgbot_metric_type_e;


/* what a metric is of, and its functions get as "of" */

typedef enum {
    NGX_HTTP_TGBOT_OF_ALL = 0,           /* ngx_http_tgbot_status_snapshot_t */
    NGX_HTTP_TGBOT_OF_BOT,               /* ngx_http_tgbot_status_bot_t */
    NGX_HTTP_TGBOT_OF_QUEUE,             /* a bot with tgbot_queue */
    NGX_HTTP_TGBOT_OF_WEBHOOK,           /* a bot with tgbot_register */
    NGX_HTTP_TGBOT_OF_ZONE               /* ngx_http_tgbot_status_zone_t */
} ngx_http_tgbot_metric_of_e;


typedef struct {
    const char        *name;             /* NULL: there is no such label */
    ngx_uint_t         n;                /* values, 1 without the label */
    const ngx_str_t   *values;           /* NULL: zones of the bot's limits */
} ngx_http_tgbot_metric_label_t;


/*
 * The i-th number from "where" on, an offset or what the function takes.
 * Those of a histogram are its buckets, each by itself.
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


/* all metrics, in the order in which they are shown; the last has no name */
extern const ngx_http_tgbot_metric_t  ngx_http_tgbot_metrics[];


/* the name of the i-th value of a label; "": it is not in use */
ngx_str_t ngx_http_tgbot_metric_label(const ngx_http_tgbot_metric_t *metric,
    void *of, ngx_uint_t label, ngx_uint_t i);

/* the number for the i-th value of the first label and the j-th of the other */
uint64_t ngx_http_tgbot_metric_value(const ngx_http_tgbot_metric_t *metric,
    void *of, ngx_uint_t i, ngx_uint_t j);


/*
 * Reads what the zones say now, under one lock of each at a time; the memory
 * is that of pool.  Counters are read when they are asked for.
 */
ngx_int_t ngx_http_tgbot_status_snapshot(
    ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_main_conf_t *tmcf, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_STATUS_METRICS_H_INCLUDED_ */
