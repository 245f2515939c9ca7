
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_log.h"
#include "ngx_http_tgbot_ride.h"


/* Retry-After of a program that is unavailable, seconds */
#define NGX_HTTP_TGBOT_JOB_RETRY     5


static void ngx_http_tgbot_job_call(ngx_http_tgbot_job_t *job);
static void ngx_http_tgbot_job_handled(ngx_http_tgbot_handler_t *handler,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_job_heard(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result);
static ngx_int_t ngx_http_tgbot_job_read(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_capture_t *result);
static ngx_int_t ngx_http_tgbot_job_ride(ngx_http_tgbot_job_t *job);
static void ngx_http_tgbot_job_sent(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_job_waiting(ngx_http_tgbot_send_t *send,
    ngx_msec_t delay);


void
ngx_http_tgbot_job_run(ngx_http_tgbot_job_t *job)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, job->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: job runs",
                   &job->bot->name, job->update.update_id);

    if (job->queued
        && !job->own
        && ngx_http_tgbot_job_queue_cache(job) == NGX_AGAIN)
    {
        return;
    }

    if (job->own) {
        ngx_http_tgbot_job_next(job);
        return;
    }

    if (job->bot->conf->handler == NULL) {

        /* it had one before a reload */

        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_IGNORED);
        return;
    }

    ngx_http_tgbot_job_call(job);
}


static void
ngx_http_tgbot_job_call(ngx_http_tgbot_job_t *job)
{
    ngx_http_tgbot_handler_t  *handler;

    handler = &job->handler;

    handler->bot = job->bot;
    handler->ctx = &job->ctx;
    handler->client = &job->client;
    handler->body = job->body;
    handler->pool = job->pool;
    handler->done = ngx_http_tgbot_job_handled;
    handler->data = job;

    ngx_http_tgbot_handler_start(handler);
}


static void
ngx_http_tgbot_job_handled(ngx_http_tgbot_handler_t *handler,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result)
{
    ngx_http_tgbot_job_t  *job;

    job = handler->data;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, job->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: program answered %ui, \"%V\"",
                   &job->bot->name, job->update.update_id, result->status,
                   &ngx_http_tgbot_verdict_names[verdict]);

    ngx_http_tgbot_job_heard(job, verdict, result);

    /* without memory for its answer it will have to be asked again */

    if (verdict == NGX_HTTP_TGBOT_DONE
        && ngx_http_tgbot_job_read(job, result) != NGX_OK)
    {
        verdict = NGX_HTTP_TGBOT_FAILED;
    }

    if (verdict == NGX_HTTP_TGBOT_DONE) {
        ngx_http_tgbot_job_fill_cache(job, result);
        ngx_http_tgbot_job_next(job);
        return;
    }

    ngx_http_tgbot_job_end(job, verdict);
}


/* what counts for later */

static void
ngx_http_tgbot_job_heard(ngx_http_tgbot_job_t *job, ngx_uint_t verdict,
    ngx_http_tgbot_capture_t *result)
{
    ngx_int_t  n;

    job->status = result->status;

    if (job->queued
        && result->status
        && (verdict == NGX_HTTP_TGBOT_DONE
            || verdict == NGX_HTTP_TGBOT_FAILED))
    {
        ngx_http_tgbot_queue_took(job->bot->queue);
    }

    n = ngx_atoi(result->retry_after.data, result->retry_after.len);

    if (n > 0) {
        n = ngx_min(n, NGX_HTTP_TGBOT_METHOD_RETRY_MAX);
        job->retry_after = (ngx_msec_t) n * 1000;
    }
}


static ngx_int_t
ngx_http_tgbot_job_read(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_capture_t *result)
{
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_method_t   captured, copy;

    bot = job->bot;

    /* what is captured ends with its call, and calls point into the answer */

    ngx_memzero(&captured, sizeof(ngx_http_tgbot_method_t));

    captured.content_type = result->type;
    captured.body = result->body;

    if (ngx_http_tgbot_method_copy(&copy, &captured, job->pool) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_job_account(job, copy.body.len);

    if (ngx_http_tgbot_answer_parse(&job->answer, &copy.content_type,
                                    &copy.body, &job->update, job->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (job->answer.problem) {

        if (ngx_http_tgbot_bot_redact(bot, &job->answer.culprit,
                                      NGX_HTTP_TGBOT_METHOD_LEN, job->pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: the program's answer %s%s"
                      "%V%s", &bot->name, job->update.update_id,
                      job->answer.problem,
                      job->answer.culprit.len ? " \"" : "",
                      &job->answer.culprit,
                      job->answer.culprit.len ? "\"" : "");
    }

    return NGX_OK;
}


/* makes the next call of the answer, or ends the job */

void
ngx_http_tgbot_job_next(ngx_http_tgbot_job_t *job)
{
    ngx_uint_t                left;
    ngx_msec_t                life, elapsed;
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_send_t    *send;
    ngx_http_tgbot_method_t  *method;

    bot = job->bot;

    if (!ngx_http_tgbot_job_holds(job)) {
        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_BUSY);
        return;
    }

    if (job->next == 0
        && !job->by_api
        && ngx_http_tgbot_ride_allowed(bot, &job->answer, job->own)
        && ngx_http_tgbot_job_ride(job) != NGX_OK)
    {
        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_BUSY);
        return;
    }

    left = job->answer.calls.nelts - job->next;

    if (left && bot->conf->api == NULL) {
        ngx_http_tgbot_ride_unsent(bot, bot->clcf->error_log, left);
        left = 0;
    }

    if (left == 0) {
        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_DONE);
        return;
    }

    method = job->answer.calls.elts;

    send = &job->send;

    send->failures = 0;

    if (job->resumed) {
        job->resumed = 0;

        send->failures = job->item.progress.failures;
        send->unknown = job->item.progress.unknown;
        send->start = job->item.progress.started;
    }

    life = job->update.life * 1000;
    elapsed = ngx_http_tgbot_job_age(job);

    if (send->failures) {

        /* what is left counts from the first try on */

        elapsed -= ngx_min(elapsed, ngx_http_tgbot_send_elapsed(send));
    }

    send->bot = bot;
    send->ctx = &job->ctx;
    send->client = &job->client;
    send->method = &method[job->next++];
    send->pool = job->pool;
    send->life = (elapsed < life) ? life - elapsed : 0;
    send->done = ngx_http_tgbot_job_sent;
    send->waiting = ngx_http_tgbot_job_waiting;
    send->data = job;

    ngx_http_tgbot_send_start(send);
}


/*
 * The first call goes with the response.  If that was sent long ago, and
 * there is no other way, the response to the next delivery has it.
 */

static ngx_int_t
ngx_http_tgbot_job_ride(ngx_http_tgbot_job_t *job)
{
    ngx_http_tgbot_method_t   *method;
    ngx_http_tgbot_settled_t   settled;

    method = job->answer.calls.elts;

    if (job->settled == NULL
        && (job->bot->conf->api
            || job->claim.lease.token == 0
            || method->content_type.len + method->body.len
               > NGX_HTTP_TGBOT_SEEN_RIDE))
    {
        return NGX_OK;
    }

    if (ngx_http_tgbot_job_accept(job, job->own ? NULL : method) != NGX_OK) {
        return NGX_DECLINED;
    }

    job->acked = 1;
    job->next = 1;

    ngx_memzero(&settled, sizeof(ngx_http_tgbot_settled_t));

    settled.verdict = NGX_HTTP_TGBOT_DONE;
    settled.ride = method;

    ngx_http_tgbot_job_settle(job, &settled);

    return NGX_OK;
}


static void
ngx_http_tgbot_job_sent(ngx_http_tgbot_send_t *send)
{
    ngx_http_tgbot_job_t  *job;

    job = send->data;

    /* in order, or not at all: those that follow are kept with it */

    if (send->given_up) {

        if (!ngx_http_tgbot_job_holds(job)) {
            ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_BUSY);
            return;
        }

        if (ngx_http_tgbot_job_give_up(job, NGX_HTTP_TGBOT_DEAD_UNSENT)
            == NGX_OK)
        {
            ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_DEAD);
            return;
        }
    }

    ngx_http_tgbot_job_next(job);
}


static void
ngx_http_tgbot_job_waiting(ngx_http_tgbot_send_t *send, ngx_msec_t delay)
{
    ngx_http_tgbot_job_t  *job;

    job = send->data;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, job->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: Bot API call waits %M ms",
                   &job->bot->name, job->update.update_id, delay);

    if (job->queued) {
        ngx_http_tgbot_job_queue_wait(job, delay);
        return;
    }

    if (ngx_exiting && !ngx_http_tgbot_job_stays(job, delay)) {
        ngx_http_tgbot_job_drop(job);
    }
}


void
ngx_http_tgbot_job_leave(ngx_http_tgbot_job_t *job)
{
    job->settled = NULL;
    job->data = NULL;
}


void
ngx_http_tgbot_job_cancel(ngx_http_tgbot_job_t *job)
{
    job->acked = 0;    /* the response was not sent */

    ngx_http_tgbot_job_leave(job);
    ngx_http_tgbot_job_drop(job);
}


void
ngx_http_tgbot_job_settle(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_settled_t *result)
{
    void   *data;
    void  (*settled)(void *data, ngx_http_tgbot_settled_t *settled);

    settled = job->settled;
    data = job->data;

    ngx_http_tgbot_job_leave(job);

    if (settled) {
        settled(data, result);
    }
}


/* the end of a job, and what it means for Telegram */

void
ngx_http_tgbot_job_end(ngx_http_tgbot_job_t *job, ngx_uint_t verdict)
{
    ngx_http_tgbot_settled_t  settled;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, job->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: job ends, \"%V\"",
                   &job->bot->name, job->update.update_id,
                   &ngx_http_tgbot_verdict_names[verdict]);

    if (job->queued) {
        ngx_http_tgbot_job_queue_end(job, verdict);
        return;
    }

    if (verdict == NGX_HTTP_TGBOT_FAILED && ngx_http_tgbot_job_spent(job)) {
        verdict = NGX_HTTP_TGBOT_DEAD;
    }

    if (ngx_http_tgbot_job_unclaim(job, verdict) != NGX_OK) {
        verdict = NGX_HTTP_TGBOT_BUSY;
    }

    /* whoever has seen the response finds nothing of ours in the way */

    ngx_http_tgbot_job_leave_cache(job);

    if (job->letter) {
        ngx_http_tgbot_job_replayed(job, verdict);
    }

    if (verdict != NGX_HTTP_TGBOT_BUSY) {
        ngx_http_tgbot_job_log(job,
                         (char *) ngx_http_tgbot_verdict_names[verdict].data);
    }

    settled.verdict = verdict;
    settled.retry_min = 1;
    settled.retry_max = NGX_HTTP_TGBOT_JOB_RETRY;
    settled.ride = NULL;

    ngx_http_tgbot_job_settle(job, &settled);
    ngx_http_tgbot_job_free(job);
}


void
ngx_http_tgbot_job_log(ngx_http_tgbot_job_t *job, const char *verdict)
{
    ngx_msec_int_t        waited;
    ngx_http_tgbot_log_t  entry;

    if (job->notice) {
        return;
    }

    /* our clock may be behind that of the worker who received it */

    waited = (ngx_msec_int_t) (job->begun - job->start);

    entry.bot = job->bot;
    entry.update = &job->update;
    entry.verdict = verdict;
    entry.attempts = job->own ? 0 : job->ctx.attempts;
    entry.waited = (waited > 0) ? (ngx_msec_t) waited : 0;
    entry.ran = ngx_current_msec - job->begun;
    entry.results = job->send.results;
    entry.queued = job->queued;

    ngx_http_tgbot_log(&entry);
}
