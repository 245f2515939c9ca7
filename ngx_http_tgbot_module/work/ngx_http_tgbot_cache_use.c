
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_cache_use.h"
#include "ngx_http_tgbot_cacheable.h"
#include "ngx_http_tgbot_redis_args.h"
#include "ngx_http_tgbot_redis_lease.h"
#include "ngx_http_tgbot_redis_scripts.h"


/* other workers do not tell that they filled a key: we ask again, ms */
#define NGX_HTTP_TGBOT_CACHE_USE_POLL  100

/*
 * After an uncacheable answer, updates with the same key do not use the cache
 * for this time, ms.  Otherwise each would wait for the one before it.
 */
#define NGX_HTTP_TGBOT_CACHE_USE_PASS  10000


static ngx_int_t ngx_http_tgbot_cache_use_answer(ngx_http_tgbot_ctx_t *ctx,
    ngx_http_tgbot_answer_t *answer, ngx_str_t *value, ngx_pool_t *pool);
static ngx_int_t ngx_http_tgbot_cache_use_wait(
    ngx_http_tgbot_cache_use_t *use);
static ngx_int_t ngx_http_tgbot_cache_use_ask(ngx_http_tgbot_cache_use_t *use);
static void ngx_http_tgbot_cache_use_asked(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static void ngx_http_tgbot_cache_use_found(ngx_http_tgbot_cache_use_t *use,
    redisReply *answer, redisReply *valid);
static void ngx_http_tgbot_cache_use_tell(ngx_http_tgbot_cache_use_t *use,
    ngx_str_t *value, ngx_msec_t valid);
static void ngx_http_tgbot_cache_use_told(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static ngx_int_t ngx_http_tgbot_cache_use_send(ngx_http_tgbot_cache_use_t *use,
    const ngx_http_tgbot_redis_script_t *script, ngx_str_t *value,
    ngx_msec_t time);
static ngx_int_t ngx_http_tgbot_cache_use_kept(ngx_http_tgbot_ctx_t *ctx,
    ngx_http_tgbot_capture_t *result, ngx_str_t *kept, ngx_msec_t *valid,
    ngx_pool_t *pool);
static void ngx_http_tgbot_cache_use_resume(ngx_http_tgbot_cache_t *entry);


static ngx_http_tgbot_waits_t  ngx_http_tgbot_cache_use_waits;


void
ngx_http_tgbot_cache_use_init_process(ngx_log_t *log)
{
    ngx_http_tgbot_waits_init(&ngx_http_tgbot_cache_use_waits,
                              NGX_HTTP_TGBOT_CACHE_USE_POLL, log);
}


ngx_int_t
ngx_http_tgbot_cache_use_key(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_bot_t *bot, ngx_http_request_t *r)
{
    ngx_str_t                     key;
    ngx_http_tgbot_cache_conf_t  *conf;

    conf = bot->conf->cache;

    if (use->entry.zone) {
        return NGX_OK;
    }

    if (conf == NULL || bot->conf->handler == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_tgbot_bot_value(r, conf->key, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        ngx_http_tgbot_stats_cache(bot->stats, NGX_HTTP_TGBOT_CACHE_BYPASS);
        return NGX_DECLINED;
    }

    ngx_http_tgbot_cache_key(&use->entry, conf->zone, &bot->name, bot->id,
                             &key);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_cache_use_look(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_answer_t *answer,
    ngx_pool_t *pool)
{
    ngx_str_t  value;

    if (ngx_http_tgbot_cache_get(&use->entry, 0, &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_http_tgbot_cache_use_answer(ctx, answer, &value, pool);
}


ngx_int_t
ngx_http_tgbot_cache_use_get(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_answer_t *answer,
    ngx_pool_t *pool, ngx_event_handler_pt handler, void *data)
{
    ngx_int_t                rc;
    ngx_str_t                value;
    ngx_http_tgbot_stats_t  *stats;

    if (use->entry.zone == NULL) {
        return NGX_DECLINED;
    }

    stats = ctx->bot->stats;

    use->bot = ctx->bot;
    use->wait.event.handler = handler;
    use->wait.event.data = data;
    use->wait.event.log = ctx->bot->clcf->error_log;
    use->wait.zone = use->entry.zone;
    use->wait.key = use->entry.key;

    rc = NGX_DECLINED;

    if (use->entry.lease.token == 0) {
        rc = ngx_http_tgbot_cache_get(&use->entry, 1, &value);
    }

    if (rc == NGX_OK) {
        ngx_http_tgbot_stats_cache(stats, NGX_HTTP_TGBOT_CACHE_HIT);

        return ngx_http_tgbot_cache_use_answer(ctx, answer, &value, pool);
    }

    if (rc == NGX_BUSY || use->busy) {
        return ngx_http_tgbot_cache_use_wait(use);
    }

    if (use->entry.lease.token == 0) {
        ngx_http_tgbot_stats_cache(stats, NGX_HTTP_TGBOT_CACHE_BYPASS);
        return NGX_DECLINED;
    }

    if (!use->asked && ngx_http_tgbot_cache_use_ask(use) == NGX_OK) {
        return NGX_AGAIN;
    }

    ngx_http_tgbot_stats_cache(stats, NGX_HTTP_TGBOT_CACHE_MISS);

    return NGX_DECLINED;
}


/* makes calls of the bytes that the cache has for this key */

static ngx_int_t
ngx_http_tgbot_cache_use_answer(ngx_http_tgbot_ctx_t *ctx,
    ngx_http_tgbot_answer_t *answer, ngx_str_t *value, ngx_pool_t *pool)
{
    ngx_str_t   body, type;
    ngx_uint_t  level;

    body.len = value->len;
    body.data = ngx_pstrdup(pool, value);

    if (body.data == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&type, "application/json");

    if (ngx_http_tgbot_answer_parse(answer, &type, &body, ctx->update, pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (answer->problem) {

        /* the first answer had none, so it is one of this update's address */

        level = ngx_http_tgbot_bot_ignored(ctx->bot, answer->reason);

        ngx_log_error(level, ctx->bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: a cached answer %s "
                      "\"%V\"", &ctx->bot->name, ctx->update->update_id,
                      answer->problem, &answer->culprit);
    }

    return answer->calls.nelts ? NGX_OK : NGX_DECLINED;
}


/* NGX_DECLINED: the update has waited for long enough */

static ngx_int_t
ngx_http_tgbot_cache_use_wait(ngx_http_tgbot_cache_use_t *use)
{
    ngx_http_tgbot_stats_t  *stats;

    stats = use->bot->stats;
    use->busy = 0;

    if (!use->waited) {
        use->waited = 1;
        use->start = ngx_current_msec;

        ngx_http_tgbot_stats_cache(stats, NGX_HTTP_TGBOT_CACHE_WAIT);

    } else if (ngx_current_msec - use->start
               >= use->bot->conf->cache->lock_timeout)
    {
        ngx_http_tgbot_stats_cache(stats, NGX_HTTP_TGBOT_CACHE_TIMEOUT);
        return NGX_DECLINED;
    }

    ngx_http_tgbot_wait(&ngx_http_tgbot_cache_use_waits, &use->wait);

    return NGX_AGAIN;
}


/*
 * This update fills the entry of the zone: asks Redis for it first.
 * NGX_DECLINED: there is no reply to wait for.
 */

static ngx_int_t
ngx_http_tgbot_cache_use_ask(ngx_http_tgbot_cache_use_t *use)
{
    ngx_http_tgbot_cache_conf_t  *conf;

    conf = use->bot->conf->cache;

    if (!conf->redis) {
        return NGX_DECLINED;
    }

    if (use->number == 0) {
        use->number = ngx_http_tgbot_redis_lease_number();
    }

    use->command.done = ngx_http_tgbot_cache_use_asked;

    return ngx_http_tgbot_cache_use_send(use,
                                     &ngx_http_tgbot_redis_script_cache_get,
                                     NULL, conf->lock_timeout);
}


static void
ngx_http_tgbot_cache_use_asked(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_cache_use_t *use = c->data;

    if (rc != NGX_HTTP_TGBOT_REDIS_OK) {
        ngx_http_tgbot_stats_cache(use->bot->stats,
                                   NGX_HTTP_TGBOT_CACHE_REDIS_AWAY);
        use->asked = 1;

    } else if (reply->type == REDIS_REPLY_ARRAY
               && reply->elements == 2
               && reply->element[0]->type == REDIS_REPLY_STRING
               && reply->element[1]->type == REDIS_REPLY_INTEGER)
    {
        ngx_http_tgbot_cache_use_found(use, reply->element[0],
                                       reply->element[1]);

    } else {
        use->busy = (reply->type == REDIS_REPLY_INTEGER
                     && reply->integer == 0);
        use->asked = !use->busy;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, use->wait.event.log, 0,
                   "tgbot bot \"%V\": Redis is asked for a kept answer, %ui, "
                   "asks the program:%d, waits:%d", &use->bot->name,
                   (ngx_uint_t) rc, use->asked, use->busy);

    use->wait.event.handler(&use->wait.event);
}


/* puts an answer from Redis into the zone, where the owner finds it */

static void
ngx_http_tgbot_cache_use_found(ngx_http_tgbot_cache_use_t *use,
    redisReply *answer, redisReply *valid)
{
    ngx_str_t   value;
    ngx_msec_t  time;

    use->number = 0;

    value.data = (u_char *) answer->str;
    value.len = answer->len;

    time = (valid->integer > 0) ? (ngx_msec_t) valid->integer
                                : use->bot->conf->cache->valid;

    if (value.len == 0) {
        ngx_http_tgbot_cache_release(&use->entry, time);

    } else if (ngx_http_tgbot_cache_fill(&use->entry, &value, time) == NGX_OK) {
        ngx_http_tgbot_stats_cache(use->bot->stats,
                                   NGX_HTTP_TGBOT_CACHE_REDIS);
    }

    ngx_http_tgbot_cache_use_resume(&use->entry);
}


/*
 * Ends the lock in Redis.  If "valid" is not 0, an answer is kept there, or the
 * value is empty and others do without the cache, for so many milliseconds.
 */

static void
ngx_http_tgbot_cache_use_tell(ngx_http_tgbot_cache_use_t *use,
    ngx_str_t *value, ngx_msec_t valid)
{
    if (use->number == 0) {
        return;
    }

    ngx_http_tgbot_redis_cancel(&use->command);

    use->command.done = ngx_http_tgbot_cache_use_told;

    (void) ngx_http_tgbot_cache_use_send(use,
                                       &ngx_http_tgbot_redis_script_cache_fill,
                                       value, valid);
    use->number = 0;
}


static void
ngx_http_tgbot_cache_use_told(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_cache_use_t *use = c->data;

    if (rc != NGX_HTTP_TGBOT_REDIS_OK) {
        ngx_http_tgbot_stats_cache(use->bot->stats,
                                   NGX_HTTP_TGBOT_CACHE_REDIS_AWAY);
    }
}


/* runs a script on the key; value may be NULL */

static ngx_int_t
ngx_http_tgbot_cache_use_send(ngx_http_tgbot_cache_use_t *use,
    const ngx_http_tgbot_redis_script_t *script, ngx_str_t *value,
    ngx_msec_t time)
{
    ngx_http_tgbot_redis_args_t  args;

    u_char  key[2 * NGX_HTTP_TGBOT_CACHE_KEY];

    (void) ngx_hex_dump(key, use->entry.key, NGX_HTTP_TGBOT_CACHE_KEY);

    ngx_http_tgbot_redis_args_init(&args, use->bot);

    ngx_http_tgbot_redis_args_key(&args, "cache:%*s", sizeof(key), key);
    ngx_http_tgbot_redis_args_key(&args, "cache:%*s:lock", sizeof(key), key);

    ngx_http_tgbot_redis_args_print(&args, "%V/%uL",
                                    ngx_http_tgbot_redis_lease_worker(),
                                    use->number);
    if (value) {
        ngx_http_tgbot_redis_args_text(&args, value);
    }

    ngx_http_tgbot_redis_args_print(&args, "%M", time);

    use->command.data = use;

    if (ngx_http_tgbot_redis_args_send(&args, &use->command, script)
        == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_http_tgbot_stats_cache(use->bot->stats,
                               NGX_HTTP_TGBOT_CACHE_REDIS_AWAY);

    return NGX_DECLINED;
}


void
ngx_http_tgbot_cache_use_move(ngx_http_tgbot_cache_use_t *to,
    ngx_http_tgbot_cache_use_t *from)
{
    to->entry = from->entry;
    to->bot = from->bot;
    to->number = from->number;

    from->entry.lease.token = 0;
    from->number = 0;
}


void
ngx_http_tgbot_cache_use_fill(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_capture_t *result,
    ngx_pool_t *pool)
{
    ngx_int_t   rc;
    ngx_str_t   kept;
    ngx_msec_t  valid;

    if (use->entry.lease.token == 0) {
        return;
    }

    valid = ctx->bot->conf->cache->valid;

    rc = ngx_http_tgbot_cache_use_kept(ctx, result, &kept, &valid, pool);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_cache_fill(&use->entry, &kept, valid);

        if (rc != NGX_OK) {
            ngx_str_set(&kept, "");
            valid = 0;
        }

    } else {
        ngx_str_set(&kept, "");
        valid = (rc == NGX_DECLINED)
                ? ngx_min(ctx->bot->conf->cache->valid,
                          NGX_HTTP_TGBOT_CACHE_USE_PASS) : 0;

        ngx_http_tgbot_cache_release(&use->entry, valid);
    }

    ngx_http_tgbot_stats_cache(ctx->bot->stats, (rc == NGX_OK)
                                            ? NGX_HTTP_TGBOT_CACHE_STORED
                                            : NGX_HTTP_TGBOT_CACHE_UNCACHEABLE);

    ngx_http_tgbot_cache_use_tell(use, &kept, valid);
    ngx_http_tgbot_cache_use_resume(&use->entry);
}


/* what may be cached of the program's answer, and for how long, ms */

static ngx_int_t
ngx_http_tgbot_cache_use_kept(ngx_http_tgbot_ctx_t *ctx,
    ngx_http_tgbot_capture_t *result, ngx_str_t *kept, ngx_msec_t *valid,
    ngx_pool_t *pool)
{
    /* Cache-Control of the answer takes precedence over tgbot_cache */

    if (result->no_store || result->max_age == 0) {
        return NGX_DECLINED;
    }

    if (result->max_age > 0) {
        *valid = (ngx_msec_t) result->max_age * 1000;
    }

    return ngx_http_tgbot_cacheable(&result->type, &result->body, ctx->update,
                                    kept, pool);
}


void
ngx_http_tgbot_cache_use_leave(ngx_http_tgbot_cache_use_t *use)
{
    ngx_str_t  none;

    if (use->bot == NULL) {
        return;
    }

    ngx_http_tgbot_wait_leave(&use->wait);

    ngx_str_set(&none, "");

    ngx_http_tgbot_cache_use_tell(use, &none, 0);
    ngx_http_tgbot_redis_cancel(&use->command);

    if (use->entry.lease.token) {
        ngx_http_tgbot_cache_release(&use->entry, 0);
        ngx_http_tgbot_cache_use_resume(&use->entry);
    }
}


/* runs the updates of this worker that wait for the key */

static void
ngx_http_tgbot_cache_use_resume(ngx_http_tgbot_cache_t *entry)
{
    ngx_http_tgbot_waits_resume(&ngx_http_tgbot_cache_use_waits, entry->zone,
                                entry->key);
}
