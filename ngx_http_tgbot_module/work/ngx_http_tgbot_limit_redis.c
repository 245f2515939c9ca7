
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_limit_redis.h"


static void ngx_http_tgbot_limit_redis_key(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_limit_buckets_t *buckets, ngx_uint_t b, ngx_str_t *album);
static void ngx_http_tgbot_limit_redis_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);


ngx_int_t
ngx_http_tgbot_limit_redis_evaluate(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_limit_buckets_t *buckets)
{
    ngx_str_t                    *key;
    ngx_uint_t                    i;
    ngx_array_t                  *limits;
    ngx_http_tgbot_limit_conf_t  *limit;

    buckets->n = 0;

    limits = bot->conf->limits;

    if (limits == NULL) {
        return NGX_OK;
    }

    limit = limits->elts;

    for (i = 0; i < limits->nelts; i++) {

        if (!limit[i].redis) {
            continue;
        }

        key = &buckets->keys[buckets->n];

        if (ngx_http_complex_value(r, limit[i].key, key) != NGX_OK) {
            return NGX_ERROR;
        }

        if (key->len) {
            buckets->limits[buckets->n++] = i;
        }
    }

    return NGX_OK;
}


/*
 * A key has the hash of what users wrote, and of what tells limits apart in a
 * configuration.  Buckets of all bots have no slot, as they have no bot.
 */

void
ngx_http_tgbot_limit_redis_keys(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_limit_buckets_t *buckets)
{
    ngx_uint_t  b;
    ngx_str_t   none;

    ngx_str_null(&none);

    for (b = 0; b < buckets->n; b++) {
        ngx_http_tgbot_limit_redis_key(args, buckets, b, &none);
    }

    if (buckets->album.len == 0) {
        return;
    }

    for (b = 0; b < buckets->n; b++) {
        ngx_http_tgbot_limit_redis_key(args, buckets, b, &buckets->album);
    }
}


static void
ngx_http_tgbot_limit_redis_key(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_limit_buckets_t *buckets, ngx_uint_t b, ngx_str_t *album)
{
    u_char                        hash[16];
    u_char                        hex[sizeof(hash) * 2 + 1];
    ngx_md5_t                     md5;
    ngx_str_t                    *zone;
    ngx_uint_t                    i;
    ngx_http_tgbot_bot_t         *bot;
    ngx_http_tgbot_limit_conf_t  *limit;

    bot = args->bot;
    limit = bot->conf->limits->elts;
    i = buckets->limits[b];
    zone = &limit[i].zone->shm_zone->shm.name;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, &bot->limits[i].id, sizeof(uint64_t));
    ngx_md5_update(&md5, zone->data, zone->len);
    ngx_md5_update(&md5, "", 1);
    ngx_md5_update(&md5, buckets->keys[b].data, buckets->keys[b].len);

    if (album->len) {
        ngx_md5_update(&md5, "", 1);
        ngx_md5_update(&md5, album->data, album->len);
    }

    ngx_md5_final(hash, &md5);

    *ngx_hex_dump(hex, hash, sizeof(hash)) = '\0';

    if (limit[i].shared) {
        ngx_http_tgbot_redis_args_shared(args, album->len ? "album:%s"
                                                          : "limit:%s", hex);

    } else {
        ngx_http_tgbot_redis_args_key(args, album->len ? "album:%s"
                                                       : "limit:%s", hex);
    }
}


void
ngx_http_tgbot_limit_redis_rates(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_limit_buckets_t *buckets)
{
    double                        token;
    ngx_uint_t                    b;
    ngx_http_tgbot_limit_conf_t  *limits, *limit;

    limits = args->bot->conf->limits->elts;

    for (b = 0; b < buckets->n; b++) {
        limit = &limits[buckets->limits[b]];

        token = (limit->rate.per_minute ? 60000000.0 : 1000000.0)
                / limit->rate.n;

        ngx_http_tgbot_redis_args_print(args, "%.6f", token);
        ngx_http_tgbot_redis_args_print(args, "%ui", ngx_max(limit->burst, 1));
        ngx_http_tgbot_redis_args_print(args, "%ui", limit->reject);
    }
}


ngx_int_t
ngx_http_tgbot_limit_redis_take(ngx_http_tgbot_limit_redis_t *limit,
    ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_redis_args_t  args;

    ngx_http_tgbot_redis_args_init(&args, bot);

    ngx_http_tgbot_redis_args_key(&args, "meta");
    ngx_http_tgbot_limit_redis_keys(&args, &limit->buckets);
    ngx_http_tgbot_limit_redis_rates(&args, &limit->buckets);

    limit->command.done = ngx_http_tgbot_limit_redis_done;
    limit->command.data = limit;
    limit->rc = NGX_DECLINED;

    return (ngx_http_tgbot_redis_args_send(&args, &limit->command,
                                           &ngx_http_tgbot_redis_script_limit)
            == NGX_OK)
           ? NGX_AGAIN : NGX_DECLINED;
}


static void
ngx_http_tgbot_limit_redis_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_uint_t                     bucket;
    ngx_http_tgbot_limit_redis_t  *limit;

    limit = c->data;

    if (rc == NGX_HTTP_TGBOT_REDIS_OK
        && ngx_http_tgbot_limit_redis_read(reply, 0, limit->buckets.n, &bucket,
                                           &limit->result)
           == NGX_OK)
    {
        limit->rc = bucket ? NGX_BUSY : NGX_OK;
        limit->refused = bucket - 1;
    }

    limit->ready(limit->data);
}


ngx_int_t
ngx_http_tgbot_limit_redis_read(redisReply *reply, ngx_uint_t i,
    ngx_uint_t n, ngx_uint_t *bucket, ngx_http_tgbot_limit_result_t *result)
{
    int64_t  number, wait, first;

    number = ngx_http_tgbot_redis_args_number(reply, i);
    wait = ngx_http_tgbot_redis_args_number(reply, i + 1);
    first = ngx_http_tgbot_redis_args_number(reply, i + 2);

    if (number < 0 || number > (int64_t) n || wait < 0 || first < 0) {
        return NGX_ERROR;
    }

    *bucket = (ngx_uint_t) number;
    result->wait = (ngx_msec_t) wait;
    result->first = (first != 0);

    return NGX_OK;
}
