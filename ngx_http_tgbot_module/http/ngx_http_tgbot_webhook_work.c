
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_webhook.h"


static ngx_int_t ngx_http_tgbot_webhook_hold(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_timeout(ngx_event_t *ev);
static void ngx_http_tgbot_webhook_settled(void *data,
    ngx_http_tgbot_settled_t *settled);


ngx_int_t
ngx_http_tgbot_webhook_work(ngx_http_tgbot_webhook_t *w)
{
    ngx_uint_t             age;
    ngx_http_tgbot_bot_t  *bot;
    ngx_http_tgbot_job_t  *job;

    bot = w->ctx.bot;

    if (!w->own && bot->conf->handler == NULL) {
        w->ctx.verdict = NGX_HTTP_TGBOT_IGNORED;
        return NGX_DONE;
    }

    if (bot->queue) {
        return ngx_http_tgbot_webhook_enqueue(w);
    }

    job = ngx_http_tgbot_job_find(bot, w->update.update_id);

    if (job) {
        w->start = job->start;

        age = (ngx_current_msec - job->start) / 1000;
        return ngx_http_tgbot_webhook_busy(w, age, age + age / 4 + 1);
    }

    job = ngx_http_tgbot_job_create(bot, w->request, &w->ctx, w->body);

    if (job == NULL) {
        return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_RETRY);
    }

    if (w->own && ngx_http_tgbot_job_answer(job, &w->answer, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    /* what was taken for the update is settled by the job from now on */

    job->start = w->start;
    w->worked = 1;
    job->claim = w->claim;
    job->cache = w->cache;
    job->charged = w->charged;

    /* an answer of the cache that could ride has done so */

    job->by_api = w->keep;

    w->claim.lease.token = 0;
    w->cache.lease.token = 0;

    w->job = job;

    return ngx_http_tgbot_webhook_hold(w);
}


static ngx_int_t
ngx_http_tgbot_webhook_hold(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_tgbot_job_t  *job;

    job = w->job;

    if (ngx_http_tgbot_webhook_suspend(w) != NGX_OK) {
        ngx_http_tgbot_job_cancel(job);
        w->job = NULL;
        return NGX_ERROR;
    }

    job->settled = ngx_http_tgbot_webhook_settled;
    job->data = w;

    ngx_http_tgbot_job_run(job);

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_tgbot_webhook_suspend(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_request_t  *r;

    r = w->request;

    if (!w->timer.timer_set) {
        w->timer.handler = ngx_http_tgbot_webhook_timeout;
        w->timer.data = w;
        w->timer.log = r->connection->log;

        ngx_add_timer(&w->timer, w->ctx.bot->conf->hold_timeout);
    }

    /*
     * a client that hangs up is let go, the job is not; it may have done so
     * with the last bytes of its update, and no other event tells
     */

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_webhook_busy(ngx_http_tgbot_webhook_t *w, ngx_uint_t retry_min,
    ngx_uint_t retry_max)
{
    w->ctx.verdict = NGX_HTTP_TGBOT_BUSY;
    w->ack.status = 0;
    w->ack.ride = NULL;
    w->ack.retry_min = retry_min;
    w->ack.retry_max = retry_max;

    return NGX_DONE;
}


static void
ngx_http_tgbot_webhook_timeout(ngx_event_t *ev)
{
    ngx_uint_t                 age;
    ngx_http_tgbot_webhook_t  *w;

    w = ev->data;

    age = (ngx_current_msec - w->start) / 1000;

    ngx_log_error(NGX_LOG_WARN, w->request->connection->log, 0,
                  "tgbot: bot \"%V\", update %L is still in work after %ui s, "
                  "Telegram is told to come again", &w->ctx.bot->name,
                  w->update.update_id, age);

    (void) ngx_http_tgbot_webhook_busy(w, age, age + age / 4 + 1);

    ngx_http_tgbot_webhook_finish(w);
}


static void
ngx_http_tgbot_webhook_settled(void *data, ngx_http_tgbot_settled_t *settled)
{
    ngx_http_tgbot_webhook_t *w = data;

    w->job = NULL;

    w->ctx.verdict = settled->verdict;
    w->ack.ride = settled->ride;
    w->ack.retry_min = settled->retry_min;
    w->ack.retry_max = settled->retry_max;

    ngx_http_tgbot_webhook_finish(w);
}
