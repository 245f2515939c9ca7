
/*
 * Token buckets by key.
 */

#ifndef _NGX_HTTP_TGBOT_LIMIT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_LIMIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"


/*
 * A token in units: per millisecond a rate of N r/m fills in N of them, one
 * of N r/s 60 * N, so that no rate loses a fraction.
 */
#define NGX_HTTP_TGBOT_LIMIT_TOKEN   60000


/* the buckets of one limit */

typedef struct {
    ngx_http_tgbot_zone_t     *zone;

    /*
     * told apart in the zone by what this is the beginning of the MD5 of:
     * bot, or nothing for a shared limit, the key as configured, rate and
     * burst
     */
    uint64_t                   id;

    uint64_t                   rate;          /* units per millisecond */
    uint64_t                   capacity;      /* units, at least a token */
} ngx_http_tgbot_limit_t;


typedef struct {
    ngx_msec_t                 wait;          /* until there is a token */

    /* the first refusal since the bucket was full */
    unsigned                   first:1;
} ngx_http_tgbot_limit_result_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_limit_zone;


/* bot "": shared by all; "rate" and "burst" are in tokens, see above */
void ngx_http_tgbot_limit_init(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_zone_t *zone, ngx_str_t *bot, ngx_str_t *key,
    ngx_uint_t rate, ngx_uint_t per_minute, ngx_uint_t burst);

/*
 * Takes a token from the bucket of a key of any length, at "now"
 * (ngx_current_msec).  A new bucket is full; when the zone is, the least
 * recently used one goes, which is counted.
 * NGX_OK, or NGX_BUSY: there is none, nothing is taken, see *result.
 */
ngx_int_t ngx_http_tgbot_limit_take(ngx_http_tgbot_limit_t *bucket,
    ngx_str_t *key, ngx_msec_t now, ngx_http_tgbot_limit_result_t *result);

/* gives one back, up to the bucket's capacity; nothing if it is gone */
void ngx_http_tgbot_limit_give(ngx_http_tgbot_limit_t *bucket,
    ngx_str_t *key, ngx_msec_t now);


/* for status */

typedef struct {
    ngx_uint_t                 used;          /* buckets */
    ngx_uint_t                 total;
} ngx_http_tgbot_limit_state_t;

void ngx_http_tgbot_limit_state(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_limit_state_t *state);


#endif /* _NGX_HTTP_TGBOT_LIMIT_H_INCLUDED_ */
