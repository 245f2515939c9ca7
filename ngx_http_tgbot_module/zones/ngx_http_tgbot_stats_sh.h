
/*
 * What a zone of statistics holds; for the files of stats only.
 */

#ifndef _NGX_HTTP_TGBOT_STATS_SH_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATS_SH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_stats.h"


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


/*
 * A gauge of a process is one word, its epoch and its number: so a number is
 * not taken for another process' in the same slot.
 */

#define NGX_HTTP_TGBOT_STATS_SHIFT    (NGX_PTR_SIZE * 4)
#define NGX_HTTP_TGBOT_STATS_MASK                                             \
    (((ngx_atomic_uint_t) 1 << NGX_HTTP_TGBOT_STATS_SHIFT) - 1)

#define ngx_http_tgbot_stats_number(cell)                                     \
    ((cell) & NGX_HTTP_TGBOT_STATS_MASK)
#define ngx_http_tgbot_stats_tag(cell)                                        \
    ((ngx_atomic_uint_t) (cell) >> NGX_HTTP_TGBOT_STATS_SHIFT)

/* as much of an epoch as there is room for */
#define ngx_http_tgbot_stats_epoch(epoch)                                     \
    ((ngx_atomic_uint_t) (epoch) & NGX_HTTP_TGBOT_STATS_MASK)


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

/* index of a method in the closed list, of "other" if it is not in there */
ngx_uint_t ngx_http_tgbot_stats_method(ngx_str_t *method);


#endif /* _NGX_HTTP_TGBOT_STATS_SH_H_INCLUDED_ */
