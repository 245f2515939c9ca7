
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_reply.h"
#include "ngx_http_tgbot_webhook.h"


static ngx_int_t ngx_http_tgbot_webhook_claimed(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_go_on(void *data);
static ngx_int_t ngx_http_tgbot_webhook_full(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_repeat(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_method_t *kept);
static ngx_int_t ngx_http_tgbot_webhook_again(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_zones(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_redis(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_take(ngx_http_tgbot_webhook_t *w,
    ngx_uint_t i);
static void ngx_http_tgbot_webhook_give(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_over(ngx_http_tgbot_webhook_t *w,
    ngx_uint_t i, ngx_http_tgbot_limit_result_t *result);
static ngx_int_t ngx_http_tgbot_webhook_refuse(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_limit_conf_t *limit, ngx_http_tgbot_limit_result_t *result);
static ngx_int_t ngx_http_tgbot_webhook_notice(ngx_http_tgbot_webhook_t *w,
    ngx_str_t *text);
static ngx_uint_t ngx_http_tgbot_webhook_rides(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_ready(ngx_event_t *ev);


ngx_int_t
ngx_http_tgbot_webhook_claim(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t                 rc;
    ngx_uint_t                age;
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_method_t   kept;

    bot = w->ctx.bot;

    if (bot->conf->dedup == NULL) {
        return NGX_OK;
    }

    if (!w->update.has_update_id) {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_DEDUP_UNNUMBERED);
        return NGX_OK;
    }

    if (bot->conf->queue && bot->conf->queue->redis) {

        /* the queue knows what is in it */

        return NGX_OK;
    }

    w->claim.ready = ngx_http_tgbot_webhook_go_on;
    w->claim.data = w;

    ngx_memzero(&kept, sizeof(ngx_http_tgbot_method_t));

    rc = ngx_http_tgbot_claim_take(&w->claim, bot, w->update.update_id, &kept);

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                   "tgbot bot \"%V\", update %L: claim %i, attempt %ui",
                   &bot->name, w->update.update_id, rc,
                   w->claim.dedup.attempts + 1);

    switch (rc) {

    case NGX_OK:
        return ngx_http_tgbot_webhook_claimed(w);

    case NGX_DECLINED:
        w->ctx.verdict = NGX_HTTP_TGBOT_DUPLICATE;

        return ngx_http_tgbot_webhook_repeat(w, &kept);

    case NGX_BUSY:
        w->start = w->claim.dedup.first;

        age = (ngx_current_msec - w->start) / 1000;

        return ngx_http_tgbot_webhook_busy(w, age, age + age / 4 + 1);

    case NGX_ABORT:
        return ngx_http_tgbot_webhook_full(w);

    case NGX_AGAIN:
        return (ngx_http_tgbot_webhook_suspend(w) == NGX_OK) ? NGX_AGAIN
                                                             : NGX_ERROR;

    default: /* NGX_ERROR */
        return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_CLAIM_RETRY);
    }
}


static ngx_int_t
ngx_http_tgbot_webhook_claimed(ngx_http_tgbot_webhook_t *w)
{
    if (w->claim.dedup.rebased) {
        ngx_http_tgbot_stats_count(w->ctx.bot->stats,
                                   NGX_HTTP_TGBOT_STAT_DEDUP_REBASED);
    }

    w->start = w->claim.dedup.first;
    w->ctx.attempts = w->claim.dedup.attempts + 1;

    return NGX_OK;
}


static void
ngx_http_tgbot_webhook_go_on(void *data)
{
    ngx_http_tgbot_webhook_resume(data);
}


static ngx_int_t
ngx_http_tgbot_webhook_full(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = w->ctx.bot;

    ngx_http_tgbot_stats_count(bot->stats, NGX_HTTP_TGBOT_STAT_DEDUP_FULL);

    ngx_log_error(NGX_LOG_INFO, w->request->connection->log, 0,
                  "tgbot: bot \"%V\" has %d updates in work, update %L will "
                  "be redelivered", &bot->name, NGX_HTTP_TGBOT_DEDUP_RECORDS,
                  w->update.update_id);

    return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_RETRY);
}


/*
 * A redelivery means that Telegram never saw the 200, so it did not execute
 * the call that rode in it: the call rides again.
 */

static ngx_int_t
ngx_http_tgbot_webhook_repeat(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_method_t *kept)
{
    ngx_int_t              rc;
    ngx_http_tgbot_bot_t  *bot;

    bot = w->ctx.bot;

    if (kept->body.len) {
        rc = ngx_http_tgbot_webhook_ride_copy(w, kept);

    } else if (ngx_http_tgbot_webhook_stale(w) != NGX_OK) {

        /* the update was not answered as stale, or has become stale */

        w->ctx.verdict = NGX_HTTP_TGBOT_DUPLICATE;
        rc = NGX_DECLINED;

    } else {
        rc = ngx_http_tgbot_webhook_again(w);
    }

    if (rc == NGX_OK) {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_RIDES_REPEATED);
    }

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_DONE;
}


ngx_int_t
ngx_http_tgbot_webhook_ride_copy(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_method_t *call)
{
    ngx_http_tgbot_method_t  *ride;

    ride = ngx_palloc(w->request->pool, sizeof(ngx_http_tgbot_method_t));

    if (ride == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_method_copy(ride, call, w->request->pool) != NGX_OK) {
        return NGX_ERROR;
    }

    w->ack.ride = ride;

    return NGX_OK;
}


/* evaluates reply and cache again; NGX_DECLINED: nothing rides */

static ngx_int_t
ngx_http_tgbot_webhook_again(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t  rc;

    if (w->ctx.bot->queue) {

        /* with a queue a riding call is kept; others went into the queue */

        return NGX_DECLINED;
    }

    rc = ngx_http_tgbot_reply_evaluate(w->request, &w->ctx, w->variables,
                                       &w->answer);

    if (rc == NGX_DECLINED) {

        /* a cached answer may have been sent by tgbot_api before */

        if (w->ctx.bot->conf->api) {
            return NGX_DECLINED;
        }

        rc = ngx_http_tgbot_cache_use_key(&w->cache, w->ctx.bot, w->request);

        if (rc == NGX_OK) {
            rc = ngx_http_tgbot_cache_use_look(&w->cache, &w->ctx, &w->answer,
                                               w->request->pool);
        }
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (!ngx_http_tgbot_ride_allowed(w->ctx.bot, &w->answer, 1)) {
        return NGX_DECLINED;
    }

    w->ack.ride = w->answer.calls.elts;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_webhook_stale(ngx_http_tgbot_webhook_t *w)
{
    time_t                    max_age;
    ngx_http_tgbot_update_t  *update;

    update = &w->update;
    max_age = w->ctx.bot->conf->max_age;

    if (max_age == 0
        || !update->has_date
        || ngx_time() - update->date <= max_age
        || ngx_http_tgbot_update_payment(update))
    {
        return NGX_OK;
    }

    w->ctx.verdict = NGX_HTTP_TGBOT_STALE;

    return NGX_DONE;
}


/*
 * Takes a token from each limit, or from none.  Redis is asked last: what zones
 * gave can be given back.
 */

ngx_int_t
ngx_http_tgbot_webhook_limit(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t     rc;
    ngx_array_t  *limits;

    limits = w->ctx.bot->conf->limits;

    /* a redelivery is not charged again */

    if (limits == NULL
        || (w->keys == NULL && w->claim.dedup.charged)
        || ngx_http_tgbot_update_unlimited(&w->update))
    {
        return NGX_OK;
    }

    if (w->keys == NULL) {
        w->keys = ngx_pcalloc(w->request->pool,
                              limits->nelts * sizeof(ngx_str_t));
        if (w->keys == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_http_tgbot_webhook_zones(w);

        if (rc == NGX_OK) {
            rc = ngx_http_tgbot_webhook_redis(w);
        }

    } else {
        rc = ngx_http_tgbot_webhook_limited(w);
    }

    /* a delivery that ends before the answer of Redis is charged as well */

    w->claim.dedup.charged = (rc == NGX_OK || rc == NGX_DECLINED
                              || rc == NGX_AGAIN);

    if (rc == NGX_AGAIN) {
        return (ngx_http_tgbot_webhook_suspend(w) == NGX_OK) ? NGX_AGAIN
                                                             : NGX_ERROR;
    }

    if (rc != NGX_OK) {
        ngx_http_tgbot_webhook_give(w);
    }

    return (rc == NGX_DECLINED) ? NGX_OK : rc;
}


/* the functions that take return NGX_DECLINED in a dry run */

static ngx_int_t
ngx_http_tgbot_webhook_zones(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_array_t                  *limits;
    ngx_http_tgbot_limit_conf_t  *limit;

    limits = w->ctx.bot->conf->limits;
    limit = limits->elts;

    for (i = 0; i < limits->nelts; i++) {

        if (limit[i].redis) {
            continue;
        }

        rc = ngx_http_tgbot_bot_value(w->request, limit[i].key, &w->keys[i]);

        if (rc == NGX_OK) {
            rc = ngx_http_tgbot_webhook_take(w, i);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_webhook_redis(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_tgbot_limit_redis_t  *redis;

    if (!w->ctx.bot->limits_redis) {
        return NGX_OK;
    }

    redis = ngx_pcalloc(w->request->pool, sizeof(ngx_http_tgbot_limit_redis_t));
    if (redis == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_limit_redis_evaluate(w->request, w->ctx.bot,
                                            &redis->buckets)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (redis->buckets.n == 0) {
        return NGX_OK;
    }

    ngx_http_tgbot_update_album(&w->update, &redis->buckets.album);

    w->limit = redis;

    if (w->ctx.bot->conf->queue && w->ctx.bot->conf->queue->redis) {

        /* the queue looks at them, and puts the update only if they allow it */

        return NGX_OK;
    }

    redis->ready = ngx_http_tgbot_webhook_go_on;
    redis->data = w;

    if (ngx_http_tgbot_limit_redis_take(redis, w->ctx.bot) == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    return ngx_http_tgbot_webhook_limited(w);
}


/*
 * The zones of limits in Redis go with their buckets, and decide in their place
 * while Redis is away
 */

ngx_int_t
ngx_http_tgbot_webhook_limited(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t                        rc;
    ngx_uint_t                       b, i;
    ngx_http_tgbot_bot_t            *bot;
    ngx_http_tgbot_limit_redis_t    *redis;
    ngx_http_tgbot_limit_result_t    unused;

    bot = w->ctx.bot;
    redis = w->limit;

    for (b = 0; b < redis->buckets.n; b++) {
        i = redis->buckets.limits[b];

        if (redis->rc == NGX_DECLINED) {
            ngx_http_tgbot_stats_limit(bot->stats, i,
                                       NGX_HTTP_TGBOT_LIMIT_REDIS_AWAY);

            w->keys[i] = redis->buckets.keys[b];

            rc = ngx_http_tgbot_webhook_take(w, i);

            if (rc != NGX_OK) {
                return rc;
            }

            continue;
        }

        if (redis->rc == NGX_BUSY && redis->refused == b) {
            return ngx_http_tgbot_webhook_over(w, i, &redis->result);
        }

        ngx_http_tgbot_stats_limit(bot->stats, i, NGX_HTTP_TGBOT_LIMIT_PASSED);

        if (redis->rc == NGX_OK) {
            (void) ngx_http_tgbot_limit_take(&bot->limits[i],
                                             &redis->buckets.keys[b],
                                             &redis->buckets.album,
                                             ngx_current_msec, &unused);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_webhook_take(ngx_http_tgbot_webhook_t *w, ngx_uint_t i)
{
    ngx_int_t                       rc;
    ngx_str_t                       album;
    ngx_http_tgbot_bot_t           *bot;
    ngx_http_tgbot_limit_result_t   result;

    if (w->keys[i].len == 0) {
        return NGX_OK;
    }

    bot = w->ctx.bot;

    ngx_http_tgbot_update_album(&w->update, &album);

    rc = ngx_http_tgbot_limit_take(&bot->limits[i], &w->keys[i], &album,
                                   ngx_current_msec, &result);

    if (rc != NGX_OK) {

        /* no token was taken, so none is given back */

        w->keys[i].len = 0;
    }

    if (rc == NGX_BUSY) {
        return ngx_http_tgbot_webhook_over(w, i, &result);
    }

    ngx_http_tgbot_stats_limit(bot->stats, i, NGX_HTTP_TGBOT_LIMIT_PASSED);

    return NGX_OK;
}


/* gives back what zones gave: those whose key is set */

static void
ngx_http_tgbot_webhook_give(ngx_http_tgbot_webhook_t *w)
{
    ngx_str_t              album;
    ngx_uint_t             i;
    ngx_http_tgbot_bot_t  *bot;

    bot = w->ctx.bot;

    ngx_http_tgbot_update_album(&w->update, &album);

    for (i = 0; i < bot->conf->limits->nelts; i++) {
        if (w->keys[i].len) {
            ngx_http_tgbot_limit_give(&bot->limits[i], &w->keys[i], &album,
                                      ngx_current_msec);

            w->keys[i].len = 0;
        }
    }
}


void
ngx_http_tgbot_webhook_refund(ngx_http_tgbot_webhook_t *w)
{
    if (w->keys && w->ctx.bot->queue_zone == NULL) {
        ngx_http_tgbot_webhook_give(w);
    }
}


/* NGX_DECLINED: dry run, the update would be refused */

static ngx_int_t
ngx_http_tgbot_webhook_over(ngx_http_tgbot_webhook_t *w, ngx_uint_t i,
    ngx_http_tgbot_limit_result_t *result)
{
    ngx_uint_t                    dry_run;
    ngx_http_tgbot_bot_t         *bot;
    ngx_http_tgbot_limit_conf_t  *limit;

    bot = w->ctx.bot;
    limit = bot->conf->limits->elts;
    limit = &limit[i];
    dry_run = bot->conf->limit_dry_run;

    ngx_log_error(NGX_LOG_INFO, w->request->connection->log, 0,
                  "tgbot: bot \"%V\", update %L is %s by zone \"%V\"%s",
                  &bot->name, w->update.update_id,
                  limit->reject ? "rejected" : "dropped",
                  &limit->zone->shm_zone->shm.name,
                  dry_run ? ", dry run" : "");

    if (dry_run) {
        ngx_http_tgbot_stats_limit(bot->stats, i, limit->reject
                                   ? NGX_HTTP_TGBOT_LIMIT_REJECTED_DRY_RUN
                                   : NGX_HTTP_TGBOT_LIMIT_DROPPED_DRY_RUN);

        return NGX_DECLINED;
    }

    ngx_http_tgbot_stats_limit(bot->stats, i, limit->reject
                                              ? NGX_HTTP_TGBOT_LIMIT_REJECTED
                                              : NGX_HTTP_TGBOT_LIMIT_DROPPED);

    return ngx_http_tgbot_webhook_refuse(w, limit, result);
}


static ngx_int_t
ngx_http_tgbot_webhook_refuse(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_limit_conf_t *limit, ngx_http_tgbot_limit_result_t *result)
{
    ngx_uint_t  seconds;

    w->ctx.verdict = NGX_HTTP_TGBOT_LIMITED;

    if (limit->reject) {
        seconds = (result->wait + 999) / 1000;

        w->ack.status = NGX_HTTP_TOO_MANY_REQUESTS;
        w->ack.retry_min = seconds;
        w->ack.retry_max = seconds + seconds / 4;

        return NGX_DONE;
    }

    if (limit->reply.len && result->first) {
        return ngx_http_tgbot_webhook_notice(w, &limit->reply);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_tgbot_webhook_notice(ngx_http_tgbot_webhook_t *w, ngx_str_t *text)
{
    ngx_int_t              rc;
    ngx_http_request_t    *r;
    ngx_http_tgbot_bot_t  *bot;

    r = w->request;
    bot = w->ctx.bot;

    rc = ngx_http_tgbot_answer_text(&w->answer, text, &w->update, r->pool);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_DONE : NGX_ERROR;
    }

    if (w->answer.cut) {
        ngx_http_tgbot_bot_cut(bot, w->update.update_id);
    }

    if (ngx_http_tgbot_ride_allowed(bot, &w->answer, 1)) {
        w->ack.ride = w->answer.calls.elts;
        w->keep = 1;

        return NGX_DONE;
    }

    w->after = ngx_http_tgbot_job_create(bot, r, &w->ctx, &w->body);

    if (w->after == NULL) {
        return NGX_DONE;
    }

    if (ngx_http_tgbot_job_answer(w->after, &w->answer) != NGX_OK) {
        w->after = NULL;
        return NGX_ERROR;
    }

    w->after->acked = 1;
    w->after->notice = 1;

    return NGX_DONE;
}


ngx_int_t
ngx_http_tgbot_webhook_reply(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t  rc;

    rc = ngx_http_tgbot_reply_evaluate(w->request, &w->ctx, w->variables,
                                       &w->answer);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_webhook_answer(w);
}


ngx_int_t
ngx_http_tgbot_webhook_answer(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t   rc;
    ngx_uint_t  queued;

    queued = (w->ctx.bot->queue != NULL);

    w->own = 1;
    w->keep |= queued;

    if (ngx_http_tgbot_webhook_rides(w)) {

        rc = queued ? ngx_http_tgbot_webhook_first(w) : NGX_OK;

        if (rc != NGX_DECLINED) {
            return (rc == NGX_OK) ? ngx_http_tgbot_webhook_ride(w)
                                  : NGX_ERROR;
        }
    }

    if (w->ctx.bot->conf->api == NULL) {

        /* the answer does not ride and there is no other way */

        ngx_http_tgbot_ride_unsent(w->ctx.bot, w->request->connection->log,
                                   w->answer.calls.nelts);

        w->ctx.verdict = NGX_HTTP_TGBOT_DONE;
        return NGX_DONE;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tgbot_webhook_rides(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_method_t  *method;

    bot = w->ctx.bot;

    if (!ngx_http_tgbot_ride_allowed(bot, &w->answer, 1)) {
        return 0;
    }

    /*
     * a call that must be kept, for the case that the response is lost, has
     * to fit into the record, unless it can only ride
     */

    method = w->answer.calls.elts;

    return !w->keep
           || bot->conf->api == NULL
           || bot->conf->reply_via == NGX_HTTP_TGBOT_VIA_RESPONSE
           || method->content_type.len + method->body.len
              <= NGX_HTTP_TGBOT_DEDUP_RIDE;
}


ngx_int_t
ngx_http_tgbot_webhook_ride(ngx_http_tgbot_webhook_t *w)
{
    ngx_uint_t  n;

    n = w->answer.calls.nelts;

    w->ack.ride = w->answer.calls.elts;
    w->ctx.verdict = NGX_HTTP_TGBOT_DONE;

    if (n > 1) {
        ngx_http_tgbot_ride_unsent(w->ctx.bot, w->request->connection->log,
                                   n - 1);
    }

    return NGX_DONE;
}


/*
 * If the answer is not in the cache, only one update for the key gets it from
 * the program; others that arrive meanwhile wait for it.  With a queue this is
 * only a look-up: the job asks again.
 */

ngx_int_t
ngx_http_tgbot_webhook_cache(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t              rc;
    ngx_http_request_t    *r;
    ngx_http_tgbot_bot_t  *bot;

    if (w->own) {
        return NGX_OK;
    }

    r = w->request;
    bot = w->ctx.bot;

    rc = ngx_http_tgbot_cache_use_key(&w->cache, bot, r);

    if (rc == NGX_OK && bot->queue) {
        rc = ngx_http_tgbot_cache_use_look(&w->cache, &w->ctx, &w->answer,
                                           r->pool);
        if (rc == NGX_OK) {
            ngx_http_tgbot_stats_cache(bot->stats, NGX_HTTP_TGBOT_CACHE_HIT);
        }

    } else if (rc == NGX_OK) {
        rc = ngx_http_tgbot_cache_use_get(&w->cache, &w->ctx, &w->answer,
                                          r->pool,
                                          ngx_http_tgbot_webhook_ready, w);
    }

    switch (rc) {

    case NGX_OK:
        w->keep = 1;
        return ngx_http_tgbot_webhook_answer(w);

    case NGX_AGAIN:
        return (ngx_http_tgbot_webhook_suspend(w) == NGX_OK) ? NGX_AGAIN
                                                             : NGX_ERROR;

    case NGX_DECLINED:
        return NGX_OK;

    default: /* NGX_ERROR */
        return NGX_ERROR;
    }
}


static void
ngx_http_tgbot_webhook_ready(ngx_event_t *ev)
{
    ngx_http_tgbot_webhook_resume(ev->data);
}
