
/*
 * Limits with "redis": token buckets that all machines share.
 */

#ifndef _NGX_HTTP_TGBOT_LIMIT_REDIS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_LIMIT_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_redis_args.h"


/* the buckets that an update needs a token of */

typedef struct {
    ngx_uint_t                       n;

    /* of each: index in bot->conf->limits, and the evaluated key */
    ngx_uint_t                       limits[NGX_HTTP_TGBOT_STATS_LIMITS];
    ngx_str_t                        keys[NGX_HTTP_TGBOT_STATS_LIMITS];

    /* set by the caller of evaluate; "": none.  See ngx_http_tgbot_limit.h */
    ngx_str_t                        album;
} ngx_http_tgbot_limit_buckets_t;


/* one update's question to Redis; zeroed by the owner */

typedef struct {
    ngx_http_tgbot_redis_command_t   command;
    ngx_http_tgbot_limit_buckets_t   buckets;

    /* set by the owner; called when the fields below are set */
    void                           (*ready)(void *data);
    void                            *data;

    /*
     * NGX_OK: each bucket has given a token.  NGX_BUSY: bucket "refused", from
     * 0 on, has none, and no bucket has given one.  NGX_DECLINED: Redis is
     * away.
     */
    ngx_int_t                        rc;
    ngx_uint_t                       refused;
    ngx_http_tgbot_limit_result_t    result;  /* of that bucket */
} ngx_http_tgbot_limit_redis_t;


/*
 * Evaluates on r the keys of the bot's limits with "redis"; those that are
 * empty have no bucket.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_limit_redis_evaluate(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_limit_buckets_t *buckets);

/*
 * Add to a script's command what redis_part_buckets.lua reads: the key of each
 * bucket, then for an album that of each decision; and, as arguments of each,
 * microseconds a token, burst, and whether it has action=reject.
 */
void ngx_http_tgbot_limit_redis_keys(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_limit_buckets_t *buckets);
void ngx_http_tgbot_limit_redis_rates(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_limit_buckets_t *buckets);

/*
 * Takes a token from each of limit->buckets, or from none.  NGX_AGAIN: ready()
 * will be called, never from inside, unless limit->command is cancelled.
 * NGX_DECLINED: Redis is away.
 */
ngx_int_t ngx_http_tgbot_limit_redis_take(ngx_http_tgbot_limit_redis_t *limit,
    ngx_http_tgbot_bot_t *bot);

/*
 * Reads the numbers i, i + 1 and i + 2 of a script's reply: bucket, wait and
 * first, see redis_limit.lua.  *bucket is 0, or the one of "n" buckets, from 1
 * on, that had no token.  NGX_ERROR: the reply has no such numbers.
 */
ngx_int_t ngx_http_tgbot_limit_redis_read(redisReply *reply, ngx_uint_t i,
    ngx_uint_t n, ngx_uint_t *bucket, ngx_http_tgbot_limit_result_t *result);


#endif /* _NGX_HTTP_TGBOT_LIMIT_REDIS_H_INCLUDED_ */
