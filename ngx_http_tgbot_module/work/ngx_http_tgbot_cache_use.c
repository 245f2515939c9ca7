
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_cache_use.h"
#include "ngx_http_tgbot_cacheable.h"


/* other workers do not tell that they filled a key: we ask again, ms */
#define NGX_HTTP_TGBOT_CACHE_USE_POLL  100

/*
 * After an uncacheable answer, updates with the same key do not use the cache
 * for this time, ms.  Otherwise each would wait for the one before it.
 */
#define NGX_HTTP_TGBOT_CACHE_USE_PASS  10000


static ngx_int_t ngx_http_tgbot_cache_use_answer(ngx_http_tgbot_ctx_t *ctx,
    ngx_http_tgbot_answer_t *answer, ngx_str_t *value, ngx_pool_t *pool);
static ngx_int_t ngx_http_tgbot_cache_use_wait(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_bot_t *bot, ngx_event_handler_pt handler, void *data);
static ngx_int_t ngx_http_tgbot_cache_use_kept(ngx_http_tgbot_ctx_t *ctx,
    ngx_http_tgbot_capture_t *result, ngx_str_t *kept, ngx_msec_t *valid,
    ngx_pool_t *pool);
static void ngx_http_tgbot_cache_use_resume(ngx_http_tgbot_cache_t *entry);
static void ngx_http_tgbot_cache_use_poll(ngx_event_t *ev);


static ngx_queue_t  ngx_http_tgbot_cache_use_queue;
static ngx_event_t  ngx_http_tgbot_cache_use_timer;


void
ngx_http_tgbot_cache_use_init_process(ngx_log_t *log)
{
    ngx_event_t  *ev;

    ngx_queue_init(&ngx_http_tgbot_cache_use_queue);

    ev = &ngx_http_tgbot_cache_use_timer;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_tgbot_cache_use_poll;
    ev->data = &ngx_http_tgbot_cache_use_timer;
    ev->log = log;

    /* the owners have their own timers, which keep the worker from its exit */

    ev->cancelable = 1;
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

    if (ngx_http_complex_value(r, conf->key, &key) != NGX_OK) {
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

    rc = ngx_http_tgbot_cache_get(&use->entry, 1, &value);

    if (rc == NGX_OK) {
        ngx_http_tgbot_stats_cache(stats, NGX_HTTP_TGBOT_CACHE_HIT);

        return ngx_http_tgbot_cache_use_answer(ctx, answer, &value, pool);
    }

    if (rc == NGX_BUSY) {
        return ngx_http_tgbot_cache_use_wait(use, ctx->bot, handler, data);
    }

    ngx_http_tgbot_stats_cache(stats, use->entry.lease.token
                                      ? NGX_HTTP_TGBOT_CACHE_MISS
                                      : NGX_HTTP_TGBOT_CACHE_BYPASS);
    return NGX_DECLINED;
}


/* makes calls of the bytes that the cache has for this key */

static ngx_int_t
ngx_http_tgbot_cache_use_answer(ngx_http_tgbot_ctx_t *ctx,
    ngx_http_tgbot_answer_t *answer, ngx_str_t *value, ngx_pool_t *pool)
{
    ngx_str_t  body, type;

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

    return answer->calls.nelts ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_tgbot_cache_use_wait(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_bot_t *bot, ngx_event_handler_pt handler, void *data)
{
    ngx_event_t  *timer;

    if (!use->waited) {
        use->waited = 1;
        use->start = ngx_current_msec;

        ngx_http_tgbot_stats_cache(bot->stats, NGX_HTTP_TGBOT_CACHE_WAIT);

    } else if (ngx_current_msec - use->start >= bot->conf->cache->lock_timeout)
    {
        ngx_http_tgbot_stats_cache(bot->stats, NGX_HTTP_TGBOT_CACHE_TIMEOUT);
        return NGX_DECLINED;
    }

    use->event.handler = handler;
    use->event.data = data;
    use->event.log = bot->clcf->error_log;

    use->queued = 1;
    ngx_queue_insert_tail(&ngx_http_tgbot_cache_use_queue, &use->queue);

    timer = &ngx_http_tgbot_cache_use_timer;

    if (!timer->timer_set) {
        ngx_add_timer(timer, NGX_HTTP_TGBOT_CACHE_USE_POLL);
    }

    return NGX_AGAIN;
}


void
ngx_http_tgbot_cache_use_move(ngx_http_tgbot_cache_use_t *to,
    ngx_http_tgbot_cache_use_t *from)
{
    to->entry = from->entry;
    from->entry.lease.token = 0;
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

    } else if (rc == NGX_DECLINED) {
        ngx_http_tgbot_cache_release(&use->entry,
                                     ngx_min(ctx->bot->conf->cache->valid,
                                             NGX_HTTP_TGBOT_CACHE_USE_PASS));
    } else {
        ngx_http_tgbot_cache_release(&use->entry, 0);
    }

    ngx_http_tgbot_stats_cache(ctx->bot->stats, (rc == NGX_OK)
                                            ? NGX_HTTP_TGBOT_CACHE_STORED
                                            : NGX_HTTP_TGBOT_CACHE_UNCACHEABLE);

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
    if (use->queued) {
        use->queued = 0;
        ngx_queue_remove(&use->queue);
    }

    if (use->event.posted) {
        ngx_delete_posted_event(&use->event);
    }

    if (use->entry.lease.token) {
        ngx_http_tgbot_cache_release(&use->entry, 0);
        ngx_http_tgbot_cache_use_resume(&use->entry);
    }
}


/* runs the updates of this worker that wait for the key; NULL: for any key */

static void
ngx_http_tgbot_cache_use_resume(ngx_http_tgbot_cache_t *entry)
{
    ngx_queue_t                 *q, *next;
    ngx_http_tgbot_cache_use_t  *use;

    for (q = ngx_queue_head(&ngx_http_tgbot_cache_use_queue);
         q != ngx_queue_sentinel(&ngx_http_tgbot_cache_use_queue);
         q = next)
    {
        next = ngx_queue_next(q);

        use = ngx_queue_data(q, ngx_http_tgbot_cache_use_t, queue);

        if (entry == NULL
            || (entry->zone == use->entry.zone
                && ngx_memcmp(entry->key, use->entry.key,
                              NGX_HTTP_TGBOT_CACHE_KEY)
                   == 0))
        {
            use->queued = 0;
            ngx_queue_remove(&use->queue);

            ngx_post_event(&use->event, &ngx_posted_events);
        }
    }
}


static void
ngx_http_tgbot_cache_use_poll(ngx_event_t *ev)
{
    ngx_http_tgbot_cache_use_resume(NULL);
}
