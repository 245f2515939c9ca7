
/*
 * The list of all metrics, and the state they are read from: what renders
 * them walks this list.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_METRICS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/* of a bot, or of a zone, what needs a lock, or is needed more than once */

typedef struct {
    ngx_http_tgbot_bot_t                *bot;
    ngx_http_tgbot_queue_state_t         queue;     /* zeros without it */
    ngx_http_tgbot_dead_state_t          dead;      /* likewise */
    ngx_uint_t                           orphaned;  /* of the queue's zone, of
                                                       the first of its bots */
    ngx_http_tgbot_registration_t       *known;     /* of the webhook; NULL:
                                                       not registered by us */
} ngx_http_tgbot_status_bot_t;


typedef struct {
    ngx_http_tgbot_zone_t               *zone;
    uint64_t                             used;
    uint64_t                             total;     /* 0: it does not fill up */
    ngx_uint_t                           entries;   /* of a cache */
    ngx_uint_t                           items;     /* of a queue, letters */
    ngx_uint_t                           broken;    /* likewise */
    ngx_uint_t                           orphaned;  /* of a queue */
} ngx_http_tgbot_status_zone_t;


/* what one request shows */

typedef struct {
    ngx_http_tgbot_status_bot_t         *bots;
    ngx_uint_t                           nbots;
    ngx_http_tgbot_status_zone_t        *zones;
    ngx_uint_t                           nzones;
    time_t                               start;     /* of the oldest counters */
} ngx_http_tgbot_status_snapshot_t;


/* what a group of metrics is of, and gets as "of" */

typedef enum {
    NGX_HTTP_TGBOT_STATUS_OF_ALL = 0,    /* ngx_http_tgbot_status_snapshot_t */
    NGX_HTTP_TGBOT_STATUS_OF_BOT,        /* ngx_http_tgbot_status_bot_t */
    NGX_HTTP_TGBOT_STATUS_OF_ZONE        /* ngx_http_tgbot_status_zone_t */
} ngx_http_tgbot_status_of_e;


typedef struct {
    ngx_uint_t                           of;
    const ngx_http_tgbot_metric_t       *metrics;
    const ngx_uint_t                    *nmetrics;

    /* whether this one has the metrics; NULL: each has */
    ngx_uint_t                         (*has)(void *of);

    /* the i-th value of a label; "": it is not in use.  NULL: no labels */
    ngx_str_t                          (*label)(void *of, ngx_uint_t metric,
                                            ngx_uint_t label, ngx_uint_t i);

    uint64_t                           (*value)(void *of, ngx_uint_t metric,
                                            ngx_uint_t i, ngx_uint_t j);

    /* of histograms, ms; NULL: there are none */
    uint64_t                           (*sum)(void *of, ngx_uint_t metric);
} ngx_http_tgbot_status_group_t;


/* in the order in which they are shown; the last one has no metrics */
extern const ngx_http_tgbot_status_group_t  ngx_http_tgbot_status_groups[];


/*
 * Reads what the zones say now, under one lock of each at a time; the memory
 * is that of pool.  Counters are read when they are asked for.
 */
ngx_int_t ngx_http_tgbot_status_snapshot(
    ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_main_conf_t *tmcf, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_STATUS_METRICS_H_INCLUDED_ */
