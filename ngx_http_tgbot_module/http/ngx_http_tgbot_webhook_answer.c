
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_reply.h"
#include "ngx_http_tgbot_ride.h"
#include "ngx_http_tgbot_webhook.h"


static ngx_uint_t ngx_http_tgbot_webhook_rides(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_wait(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_ready(ngx_http_tgbot_wait_t *wait);


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
    ngx_int_t                rc;
    ngx_http_tgbot_queue_t  *queue;

    queue = w->ctx.bot->queue;

    w->own = 1;
    w->keep |= (queue != NULL);

    if (ngx_http_tgbot_webhook_rides(w)) {

        rc = queue ? ngx_http_tgbot_webhook_first(w) : NGX_OK;

        if (rc != NGX_DECLINED) {
            return (rc == NGX_OK) ? ngx_http_tgbot_webhook_ride(w)
                                  : NGX_ERROR;
        }
    }

    if (w->ctx.bot->conf->api == NULL) {

        /* too large for a response */

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

    /* if the response is lost, it has to be at hand */

    method = w->answer.calls.elts;

    return !w->keep
           || bot->conf->api == NULL
           || bot->conf->reply_via == NGX_HTTP_TGBOT_VIA_RESPONSE
           || method->content_type.len + method->body.len
              <= NGX_HTTP_TGBOT_SEEN_RIDE;
}


ngx_int_t
ngx_http_tgbot_webhook_ride(ngx_http_tgbot_webhook_t *w)
{
    ngx_uint_t             n;
    ngx_http_request_t    *r;
    ngx_http_tgbot_bot_t  *bot;

    r = w->request;
    bot = w->ctx.bot;

    n = w->answer.calls.nelts;

    w->ack.ride = w->answer.calls.elts;
    w->ctx.verdict = NGX_HTTP_TGBOT_DONE;

    if (n == 1) {
        return NGX_DONE;
    }

    if (bot->conf->api == NULL) {
        ngx_http_tgbot_ride_unsent(bot, r->connection->log, n - 1);
        return NGX_DONE;
    }

    if (ngx_http_tgbot_job_find(bot, w->update.update_id)) {

        /* they follow already, only the response was lost */

        return NGX_DONE;
    }

    w->after = ngx_http_tgbot_job_create(bot, r, &w->ctx, w->body);

    if (w->after == NULL) {
        return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_RETRY);
    }

    if (ngx_http_tgbot_job_answer(w->after, &w->answer, 1) != NGX_OK) {
        w->after = NULL;
        return NGX_ERROR;
    }

    return NGX_DONE;
}


/*
 * An answer that is missing is got once for a key; those who come meanwhile
 * wait for it.
 */

ngx_int_t
ngx_http_tgbot_webhook_cache(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t                rc;
    ngx_str_t                value;
    ngx_http_tgbot_stats_t  *stats;

    if (w->own) {
        return NGX_OK;
    }

    stats = w->ctx.bot->stats;

    if (w->cache.zone == NULL) {
        rc = ngx_http_tgbot_webhook_cache_key(w);

        if (rc != NGX_OK) {
            return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
        }
    }

    /* with a queue it is a job that gets what is missing */

    rc = ngx_http_tgbot_cache_get(&w->cache, w->ctx.bot->queue == NULL,
                                  &value);

    if (rc != NGX_OK && w->ctx.bot->queue) {
        return NGX_OK;
    }

    switch (rc) {

    case NGX_OK:
        ngx_http_tgbot_stats_cache(stats, NGX_HTTP_TGBOT_CACHE_HIT);

        rc = ngx_http_tgbot_webhook_cached(w, &value);

        if (rc != NGX_OK) {
            return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
        }

        w->keep = 1;

        return ngx_http_tgbot_webhook_answer(w);

    case NGX_DECLINED:
        ngx_http_tgbot_stats_cache(stats, w->cache.lease.token
                                          ? NGX_HTTP_TGBOT_CACHE_MISS
                                          : NGX_HTTP_TGBOT_CACHE_BYPASS);
        return NGX_OK;

    case NGX_BUSY:
        return ngx_http_tgbot_webhook_wait(w);

    default: /* NGX_ABORT */
        ngx_http_tgbot_stats_cache(stats, NGX_HTTP_TGBOT_CACHE_BYPASS);
        return NGX_OK;
    }
}


ngx_int_t
ngx_http_tgbot_webhook_cache_key(ngx_http_tgbot_webhook_t *w)
{
    ngx_str_t                  key;
    ngx_http_tgbot_bot_t      *bot;
    ngx_http_tgbot_answers_t  *answers;

    bot = w->ctx.bot;
    answers = bot->conf->answers;

    if (answers == NULL || bot->conf->handler == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_complex_value(w->request, answers->key, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        ngx_http_tgbot_stats_cache(bot->stats, NGX_HTTP_TGBOT_CACHE_BYPASS);
        return NGX_DECLINED;
    }

    ngx_http_tgbot_cache_key(&w->cache, answers->zone, &bot->name, bot->id,
                             &key);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_webhook_cached(ngx_http_tgbot_webhook_t *w, ngx_str_t *value)
{
    ngx_str_t            body, type;
    ngx_http_request_t  *r;

    r = w->request;

    body.len = value->len;
    body.data = ngx_pstrdup(r->pool, value);

    if (body.data == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&type, "application/json");

    if (ngx_http_tgbot_answer_parse(&w->answer, &type, &body, &w->update,
                                    r->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return w->answer.calls.nelts ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_tgbot_webhook_wait(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = w->ctx.bot;

    if (!w->waited) {
        w->waited = 1;
        w->waiting = ngx_current_msec;

        ngx_http_tgbot_stats_cache(bot->stats, NGX_HTTP_TGBOT_CACHE_WAIT);

    } else if (ngx_current_msec - w->waiting
               >= bot->conf->answers->lock_timeout)
    {
        ngx_http_tgbot_stats_cache(bot->stats, NGX_HTTP_TGBOT_CACHE_TIMEOUT);
        return NGX_OK;
    }

    if (ngx_http_tgbot_webhook_suspend(w) != NGX_OK) {
        return NGX_ERROR;
    }

    w->wait.cache = &w->cache;
    w->wait.ready = ngx_http_tgbot_webhook_ready;
    w->wait.data = w;
    w->wait.log = w->request->connection->log;

    ngx_http_tgbot_wait_add(&w->wait);

    return NGX_AGAIN;
}


static void
ngx_http_tgbot_webhook_ready(ngx_http_tgbot_wait_t *wait)
{
    ngx_http_tgbot_webhook_resume(wait->data);
}
