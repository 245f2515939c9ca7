
/*
 * Limits: token buckets by key.
 */

#ifndef _NGX_HTTP_TGBOT_LIMIT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_LIMIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"


/*
 * Units of a token.  A rate of N r/m adds N units per millisecond, a rate of
 * N r/s adds 60 * N, so all rates are whole numbers.
 */
#define NGX_HTTP_TGBOT_LIMIT_TOKEN   60000


/* the buckets of one limit */

typedef struct {
    ngx_http_tgbot_zone_t     *zone;

    /*
     * Tells the limits of a zone apart: the first 8 bytes of the MD5 of bot
     * (empty for a shared limit), key as configured, rate and burst.
     */
    uint64_t                   id;

    uint64_t                   rate;          /* units per millisecond */
    uint64_t                   capacity;      /* units, at least one token */

    /* an update that is refused does not come again; set by the caller */
    unsigned                   drop:1;
} ngx_http_tgbot_limit_t;


typedef struct {
    ngx_msec_t                 wait;          /* until the next token */

    /* this is the first refusal since the bucket was full */
    unsigned                   first:1;
} ngx_http_tgbot_limit_result_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_limit_zone;


/*
 * Fills in *bucket.  An empty "bot" makes a limit shared by all bots; "rate" is
 * in tokens per minute or per second, "burst" in tokens, 0 counts as 1.
 */
void ngx_http_tgbot_limit_init(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_zone_t *zone, ngx_str_t *bot, ngx_str_t *key,
    ngx_uint_t rate, ngx_uint_t per_minute, ngx_uint_t burst);

/*
 * Takes a token from the bucket of a key; the key may have any length, "now" is
 * ngx_current_msec.  A new bucket is full of tokens.  When the zone is full,
 * the least recently used bucket is evicted and counted.
 *
 * "album", unless it is empty, makes updates with the same key and album share
 * one decision for a minute; a refusal is remembered only with bucket->drop.
 * What is remembered takes the place of a bucket.
 *
 * NGX_DECLINED: the token of the album was taken before, and nothing now.
 * NGX_BUSY: the bucket has no token, or the album was refused; nothing is
 * taken, *result tells more.
 */
ngx_int_t ngx_http_tgbot_limit_take(ngx_http_tgbot_limit_t *bucket,
    ngx_str_t *key, ngx_str_t *album, ngx_msec_t now,
    ngx_http_tgbot_limit_result_t *result);

/*
 * Gives a token back, up to capacity, and forgets the decision about the album.
 * Does nothing if the bucket was evicted.
 */
void ngx_http_tgbot_limit_give(ngx_http_tgbot_limit_t *bucket,
    ngx_str_t *key, ngx_str_t *album, ngx_msec_t now);


/* for status */

typedef struct {
    ngx_uint_t                 used;          /* buckets */
    ngx_uint_t                 total;
} ngx_http_tgbot_limit_state_t;

void ngx_http_tgbot_limit_state(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_limit_state_t *state);


#endif /* _NGX_HTTP_TGBOT_LIMIT_H_INCLUDED_ */
