
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_abandon.h"
#include "ngx_http_tgbot_body.h"
#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_job_record.h"
#include "ngx_http_tgbot_log.h"
#include "ngx_http_tgbot_reply.h"


/*
 * the most jobs of one worker, and the most bytes of their updates and answers,
 * including the bytes that held requests keep for them
 */
#define NGX_HTTP_TGBOT_JOB_MAX       16384
#define NGX_HTTP_TGBOT_JOB_MAX_SIZE  (256 * 1024 * 1024)


/* Retry-After when the program is unavailable, seconds */
#define NGX_HTTP_TGBOT_JOB_RETRY     5


/* jobs kept for reuse */
#define NGX_HTTP_TGBOT_JOB_SPARE     256


/* Retry-After of a job dropped by an exiting worker, seconds */
#define NGX_HTTP_TGBOT_JOB_RELEASE   2


static void ngx_http_tgbot_job_ready(ngx_event_t *ev);
static void ngx_http_tgbot_job_call(ngx_http_tgbot_job_t *job);
static void ngx_http_tgbot_job_handled(ngx_http_tgbot_handler_t *handler,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_job_heard(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result);
static ngx_int_t ngx_http_tgbot_job_read(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_job_next(ngx_http_tgbot_job_t *job);
static ngx_msec_t ngx_http_tgbot_job_life(ngx_http_tgbot_job_t *job);
static ngx_int_t ngx_http_tgbot_job_ride(ngx_http_tgbot_job_t *job);
static void ngx_http_tgbot_job_resume(void *data);
static void ngx_http_tgbot_job_sent(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_job_unsent(ngx_http_tgbot_job_t *job, ngx_int_t rc);
static void ngx_http_tgbot_job_waiting(ngx_http_tgbot_send_t *send,
    ngx_msec_t delay);
static void ngx_http_tgbot_job_end(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict);
static ngx_int_t ngx_http_tgbot_job_unclaim(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict, ngx_http_tgbot_method_t *ride);
static void ngx_http_tgbot_job_account(ngx_http_tgbot_job_t *job, size_t size);
static ngx_http_tgbot_job_t *ngx_http_tgbot_job_alloc(
    ngx_http_tgbot_bot_t *bot);
static void ngx_http_tgbot_job_list(ngx_http_tgbot_job_t *job);
static ngx_int_t ngx_http_tgbot_job_fill(ngx_http_tgbot_job_t *job,
    ngx_http_request_t *r, ngx_http_tgbot_ctx_t *ctx, ngx_str_t *body);
static ngx_int_t ngx_http_tgbot_job_refill(ngx_http_tgbot_job_t *job);
static ngx_int_t ngx_http_tgbot_job_update(ngx_http_tgbot_job_t *job,
    ngx_str_t *parsed);
static ngx_int_t ngx_http_tgbot_job_copy_calls(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_answer_t *answer);
static ngx_uint_t ngx_http_tgbot_job_stays(ngx_http_tgbot_job_t *job,
    ngx_msec_t delay);
static void ngx_http_tgbot_job_drop(ngx_http_tgbot_job_t *job);


ngx_queue_t         ngx_http_tgbot_jobs;

static ngx_queue_t  ngx_http_tgbot_job_spare;
static ngx_uint_t   ngx_http_tgbot_job_nspare;
static ngx_uint_t   ngx_http_tgbot_job_count;
static size_t       ngx_http_tgbot_job_size;


void
ngx_http_tgbot_job_run(ngx_http_tgbot_job_t *job)
{
    ngx_int_t  rc;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, job->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: job runs",
                   &job->bot->name, job->update.update_id);

    if (job->queued && !job->own) {
        rc = ngx_http_tgbot_cache_use_get(&job->cache, &job->ctx, &job->answer,
                                          job->pool, ngx_http_tgbot_job_ready,
                                          job);
        if (rc == NGX_AGAIN) {

            if (ngx_exiting && job->cache.wait.queued) {
                ngx_http_tgbot_job_drop(job);
            }

            return;
        }

        job->own = (rc == NGX_OK);
    }

    if (job->own) {
        ngx_http_tgbot_job_next(job);
        return;
    }

    if (job->bot->conf->handler == NULL) {

        /* a reload has removed tgbot_handler */

        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_IGNORED);
        return;
    }

    ngx_http_tgbot_job_call(job);
}


static void
ngx_http_tgbot_job_ready(ngx_event_t *ev)
{
    ngx_http_tgbot_job_run(ev->data);
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

    /* there was no memory for the answer: the program must be called again */

    if (verdict == NGX_HTTP_TGBOT_DONE
        && ngx_http_tgbot_job_read(job, result) != NGX_OK)
    {
        verdict = NGX_HTTP_TGBOT_FAILED;
    }

    if (verdict == NGX_HTTP_TGBOT_DONE) {
        ngx_http_tgbot_cache_use_fill(&job->cache, &job->ctx, result,
                                      job->pool);
        ngx_http_tgbot_job_next(job);
        return;
    }

    ngx_http_tgbot_job_end(job, verdict);
}


/* tells the breaker that the program answered; keeps status and Retry-After */

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
        job->bot->queue->took(job->bot);
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
    ngx_uint_t                level;
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_method_t   captured, copy;

    bot = job->bot;

    /* the capture ends with its call, but job->answer points into the bytes */

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

        level = ngx_http_tgbot_bot_ignored(bot, job->answer.reason);

        ngx_log_error(level, bot->clcf->error_log, 0,
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

static void
ngx_http_tgbot_job_next(ngx_http_tgbot_job_t *job)
{
    ngx_int_t                 rc;
    ngx_uint_t                left;
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_send_t    *send;
    ngx_http_tgbot_method_t  *method;

    bot = job->bot;

    /*
     * What settles a claim or an item looks at its lease.  Nothing else looks
     * at that of a replay.
     */

    if ((job->next < job->answer.calls.nelts || job->replay.held)
        && !ngx_http_tgbot_job_holds(job))
    {
        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_BUSY);
        return;
    }

    if (job->next == 0
        && !job->by_api
        && ngx_http_tgbot_ride_allowed(bot, &job->answer, job->own))
    {
        rc = ngx_http_tgbot_job_ride(job);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc != NGX_OK) {
            ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_BUSY);
            return;
        }
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

    send->bot = bot;
    send->conf = bot->conf;
    send->ctx = &job->ctx;
    send->client = &job->client;
    send->method = &method[job->next++];
    send->pool = job->pool;
    send->life = ngx_http_tgbot_job_life(job);
    send->done = ngx_http_tgbot_job_sent;
    send->waiting = ngx_http_tgbot_job_waiting;
    send->leaving = job->queued ? ngx_http_tgbot_job_queued_leaving : NULL;
    send->data = job;
    send->turn.order = NGX_HTTP_TGBOT_ORDER_CHAT;

    ngx_http_tgbot_send_start(send);
}


/* ms that are left of the update's life, at the first try of the next call */

static ngx_msec_t
ngx_http_tgbot_job_life(ngx_http_tgbot_job_t *job)
{
    ngx_msec_t  life, elapsed;

    life = job->update.life * 1000;
    elapsed = ngx_http_tgbot_job_age(job);

    if (job->send.failures) {
        elapsed -= ngx_min(elapsed, ngx_http_tgbot_send_elapsed(&job->send));
    }

    return (elapsed < life) ? life - elapsed : 0;
}


/*
 * Settles the request with the first call, which rides in the response.  If no
 * request waits any more and there is no tgbot_api, the call is kept and rides
 * in the response to the redelivery.
 */

static ngx_int_t
ngx_http_tgbot_job_ride(ngx_http_tgbot_job_t *job)
{
    ngx_int_t                  rc;
    ngx_http_tgbot_method_t   *method;
    ngx_http_tgbot_settled_t   settled;

    method = job->answer.calls.elts;

    if (!job->riding
        && job->settled == NULL
        && (job->bot->conf->api
            || job->claim.dedup.lease.token == 0
            || method->content_type.len + method->body.len
               > NGX_HTTP_TGBOT_DEDUP_RIDE))
    {
        return NGX_OK;
    }

    job->riding = 1;

    rc = ngx_http_tgbot_job_unclaim(job, NGX_HTTP_TGBOT_DONE,
                                    job->own ? NULL : method);
    if (rc != NGX_OK) {
        return rc;
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
ngx_http_tgbot_job_resume(void *data)
{
    ngx_http_tgbot_job_t *job = data;

    if (job->ended) {
        ngx_http_tgbot_job_finish(job);
        return;
    }

    ngx_http_tgbot_job_next(job);
}


static void
ngx_http_tgbot_job_sent(ngx_http_tgbot_send_t *send)
{
    ngx_http_tgbot_job_t  *job;

    job = send->data;

    /* calls are made in order: the dead letter has this one and the rest */

    if (send->given_up) {

        if (!ngx_http_tgbot_job_holds(job)) {
            ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_BUSY);
            return;
        }

        ngx_http_tgbot_job_give_up(job, NGX_HTTP_TGBOT_DEAD_UNSENT,
                                   ngx_http_tgbot_job_unsent);
        return;
    }

    ngx_http_tgbot_job_next(job);
}


/* without a letter the call is lost, and the next one is made */

static void
ngx_http_tgbot_job_unsent(ngx_http_tgbot_job_t *job, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_DEAD);

    } else if (rc == NGX_ABORT) {
        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_BUSY);

    } else {
        ngx_http_tgbot_job_next(job);
    }
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
        ngx_http_tgbot_job_queued_wait(job, delay);
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
    /* the response was not sent */

    job->acked = 0;

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


void
ngx_http_tgbot_job_busy(ngx_http_tgbot_job_t *job, ngx_uint_t retry_max)
{
    ngx_http_tgbot_settled_t  settled;

    settled.verdict = NGX_HTTP_TGBOT_BUSY;
    settled.retry_min = 1;
    settled.retry_max = retry_max;
    settled.ride = NULL;

    ngx_http_tgbot_job_settle(job, &settled);
}


static void
ngx_http_tgbot_job_end(ngx_http_tgbot_job_t *job, ngx_uint_t verdict)
{
    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, job->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: job ends, \"%V\"",
                   &job->bot->name, job->update.update_id,
                   &ngx_http_tgbot_verdict_names[verdict]);

    /* before it is settled: the next update may need this cache key */

    ngx_http_tgbot_cache_use_leave(&job->cache);

    if (job->queued) {
        ngx_http_tgbot_job_queued_end(job, verdict);
        return;
    }

    if (verdict == NGX_HTTP_TGBOT_FAILED && ngx_http_tgbot_job_spent(job)) {
        return;
    }

    job->ended = verdict;

    ngx_http_tgbot_job_finish(job);
}


void
ngx_http_tgbot_job_finish(ngx_http_tgbot_job_t *job)
{
    ngx_int_t                 rc;
    ngx_uint_t                verdict;
    ngx_http_tgbot_settled_t  settled;

    verdict = job->ended;

    rc = ngx_http_tgbot_job_unclaim(job, verdict, NULL);

    if (rc == NGX_AGAIN) {
        return;
    }

    if (rc != NGX_OK) {
        verdict = NGX_HTTP_TGBOT_BUSY;
    }

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


/* settles the claim; NGX_AGAIN: job_resume() will be called */

static ngx_int_t
ngx_http_tgbot_job_unclaim(ngx_http_tgbot_job_t *job, ngx_uint_t verdict,
    ngx_http_tgbot_method_t *ride)
{
    ngx_int_t  rc;

    job->claim.ready = ngx_http_tgbot_job_resume;
    job->claim.data = job;

    rc = ngx_http_tgbot_claim_settle(&job->claim, verdict, ride);

    if (rc != NGX_BUSY) {
        return rc;
    }

    /* the job waits for the outcome, the request does not */

    ngx_http_tgbot_job_busy(job, NGX_HTTP_TGBOT_CLAIM_RETRY);

    return NGX_AGAIN;
}


void
ngx_http_tgbot_job_log(ngx_http_tgbot_job_t *job, const char *verdict)
{
    ngx_msec_int_t        waited;
    ngx_http_tgbot_log_t  entry;

    if (job->notice) {
        return;
    }

    /* our clock may be behind that of the worker that received the update */

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


void
ngx_http_tgbot_job_init_process(void)
{
    ngx_queue_init(&ngx_http_tgbot_jobs);
    ngx_queue_init(&ngx_http_tgbot_job_spare);
}


void
ngx_http_tgbot_job_exit_process(void)
{
    ngx_queue_t  *q;

    ngx_http_tgbot_job_abort(0);

    while (!ngx_queue_empty(&ngx_http_tgbot_job_spare)) {
        q = ngx_queue_head(&ngx_http_tgbot_job_spare);
        ngx_queue_remove(q);

        ngx_free(ngx_queue_data(q, ngx_http_tgbot_job_t, queue));
    }

    ngx_http_tgbot_job_nspare = 0;
}


ngx_http_tgbot_job_t *
ngx_http_tgbot_job_find(ngx_http_tgbot_bot_t *bot, int64_t update_id)
{
    ngx_rbtree_key_t    key;
    ngx_rbtree_node_t  *node;

    key = (ngx_rbtree_key_t) update_id;
    node = bot->jobs.root;

    while (node != bot->jobs.sentinel) {

        if (key == node->key) {
            return (ngx_http_tgbot_job_t *) node;
        }

        node = (key < node->key) ? node->left : node->right;
    }

    return NULL;
}


ngx_http_tgbot_job_t *
ngx_http_tgbot_job_create(ngx_http_tgbot_bot_t *bot, ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_str_t *body)
{
    ngx_http_tgbot_job_t  *job;

    if (!ngx_http_tgbot_job_room()) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "tgbot: too many updates in work: %ui of %d, %uz of %d "
                      "bytes", ngx_http_tgbot_job_count,
                      NGX_HTTP_TGBOT_JOB_MAX, ngx_http_tgbot_job_size,
                      NGX_HTTP_TGBOT_JOB_MAX_SIZE);
        return NULL;
    }

    job = ngx_http_tgbot_job_alloc(bot);
    if (job == NULL) {
        return NULL;
    }

    job->pool = ngx_create_pool(1024, bot->clcf->error_log);

    if (job->pool == NULL
        || ngx_http_tgbot_job_fill(job, r, ctx, body) != NGX_OK)
    {
        ngx_http_tgbot_job_free(job);
        return NULL;
    }

    ngx_http_tgbot_job_list(job);

    return job;
}


ngx_uint_t
ngx_http_tgbot_job_room(void)
{
    return ngx_http_tgbot_job_count < NGX_HTTP_TGBOT_JOB_MAX
           && ngx_http_tgbot_job_size < NGX_HTTP_TGBOT_JOB_MAX_SIZE;
}


ngx_msec_t
ngx_http_tgbot_job_age(ngx_http_tgbot_job_t *job)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - job->start);

    return (age > 0) ? (ngx_msec_t) age : 0;
}


/* adds to the bytes of the job and of the worker */

static void
ngx_http_tgbot_job_account(ngx_http_tgbot_job_t *job, size_t size)
{
    job->size += size;
    ngx_http_tgbot_job_size += size;
}


static ngx_http_tgbot_job_t *
ngx_http_tgbot_job_alloc(ngx_http_tgbot_bot_t *bot)
{
    ngx_queue_t           *q;
    ngx_http_tgbot_job_t  *job;

    if (!ngx_queue_empty(&ngx_http_tgbot_job_spare)) {
        q = ngx_queue_head(&ngx_http_tgbot_job_spare);
        ngx_queue_remove(q);
        ngx_http_tgbot_job_nspare--;

        job = ngx_queue_data(q, ngx_http_tgbot_job_t, queue);

    } else {
        job = ngx_alloc(sizeof(ngx_http_tgbot_job_t), bot->clcf->error_log);
        if (job == NULL) {
            return NULL;
        }
    }

    ngx_memzero(job, sizeof(ngx_http_tgbot_job_t));

    ngx_http_tgbot_bot_init(bot);

    job->bot = bot;
    job->start = ngx_current_msec;
    job->begun = ngx_current_msec;

    ngx_queue_insert_tail(&ngx_http_tgbot_jobs, &job->queue);
    ngx_http_tgbot_job_count++;

    return job;
}


/* without a usable update_id the update cannot be looked up */

static void
ngx_http_tgbot_job_list(ngx_http_tgbot_job_t *job)
{
    if (!job->update.has_update_id) {
        return;
    }

    job->node.key = (ngx_rbtree_key_t) job->update.update_id;

    ngx_rbtree_insert(&job->bot->jobs, &job->node);
    job->listed = 1;
}


static ngx_int_t
ngx_http_tgbot_job_fill(ngx_http_tgbot_job_t *job, ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_str_t *body)
{
    size_t  size;

    job->body.data = ngx_pstrdup(job->pool, body);
    if (job->body.data == NULL) {
        return NGX_ERROR;
    }

    job->body.len = body->len;

    job->ctx = *ctx;
    job->ctx.update = &job->update;

    if (ngx_http_tgbot_update_copy(&job->update, ctx->update, body, &job->body,
                                   &size, job->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the request has its own body and update while it waits */

    ngx_http_tgbot_job_account(job, body->len
                                    + ngx_http_tgbot_body_held(r, body)
                                    + 2 * size);

    return ngx_http_tgbot_detached_client(&job->client, r, job->pool);
}


ngx_int_t
ngx_http_tgbot_job_restore(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_item_t *item, ngx_pool_t *pool,
    ngx_http_tgbot_job_t **jobp)
{
    ngx_int_t              rc;
    ngx_http_tgbot_job_t  *job;

    job = ngx_http_tgbot_job_alloc(bot);
    if (job == NULL) {
        return NGX_ERROR;
    }

    job->pool = pool;
    job->item = *item;
    job->start = item->head.received;

    ngx_http_tgbot_job_account(job, item->data.len + item->answer.len);

    rc = ngx_http_tgbot_job_refill(job);

    if (rc != NGX_OK) {
        job->pool = NULL;
        ngx_http_tgbot_job_free(job);
        return rc;
    }

    ngx_http_tgbot_job_list(job);

    *jobp = job;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_job_refill(ngx_http_tgbot_job_t *job)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_job_record_t  record;

    rc = ngx_http_tgbot_job_record_read(&record, &job->item.data, job->pool);
    if (rc != NGX_OK) {
        return rc;
    }

    job->client = record.client;
    job->body = record.body;

    rc = ngx_http_tgbot_job_update(job, &record.parsed);
    if (rc != NGX_OK) {
        return rc;
    }

    job->ctx.bot = job->bot;
    job->ctx.update = &job->update;
    job->ctx.attempts = job->item.progress.attempts + 1;

    if (record.cached && job->bot->conf->cache) {
        job->cache.entry.zone = job->bot->conf->cache->zone;
        ngx_memcpy(job->cache.entry.key, record.cache_key,
                   NGX_HTTP_TGBOT_CACHE_KEY);
    }

    if (!job->item.answered) {
        return NGX_OK;
    }

    rc = ngx_http_tgbot_job_record_read_calls(&job->answer.calls,
                                              &job->item.answer, job->pool);
    if (rc != NGX_OK) {
        return rc;
    }

    if (job->item.progress.next > job->answer.calls.nelts) {
        return NGX_DECLINED;
    }

    job->own = 1;
    job->next = job->item.progress.next;
    job->resumed = (job->item.progress.failures != 0);

    return NGX_OK;
}


/*
 * Parses the body if the record has no parsed update, or one of another version
 * of the module.
 */

static ngx_int_t
ngx_http_tgbot_job_update(ngx_http_tgbot_job_t *job, ngx_str_t *parsed)
{
    ngx_int_t  rc;

    if (ngx_http_tgbot_update_read(&job->update, &job->body, parsed) == NGX_OK
        && job->update.update_id == job->item.head.update_id)
    {
        return NGX_OK;
    }

    /* decoded strings have at most the bytes of the body */

    ngx_http_tgbot_job_account(job, job->body.len);

    rc = ngx_http_tgbot_update_parse(&job->update, &job->body, job->pool);

    if (rc == NGX_OK) {
        ngx_http_tgbot_bot_command(job->bot, &job->update);
    }

    return rc;
}


ngx_int_t
ngx_http_tgbot_job_answer(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_answer_t *answer)
{
    if (ngx_http_tgbot_job_copy_calls(job, answer) != NGX_OK) {
        ngx_http_tgbot_job_free(job);
        return NGX_ERROR;
    }

    job->own = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_job_copy_calls(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_answer_t *answer)
{
    ngx_uint_t                i;
    ngx_http_tgbot_method_t  *src, *dst;

    src = answer->calls.elts;

    if (ngx_array_init(&job->answer.calls, job->pool, answer->calls.nelts,
                       sizeof(ngx_http_tgbot_method_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < answer->calls.nelts; i++) {
        dst = ngx_array_push(&job->answer.calls);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        if (ngx_http_tgbot_method_copy(dst, &src[i], job->pool) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_tgbot_job_account(job, dst->body.len);
    }

    return NGX_OK;
}


void
ngx_http_tgbot_job_free(ngx_http_tgbot_job_t *job)
{
    job->claim.ready = NULL;

    (void) ngx_http_tgbot_claim_settle(&job->claim, NGX_HTTP_TGBOT_BUSY, NULL);

    ngx_http_tgbot_cache_use_leave(&job->cache);

    if (job->dead) {
        job->bot->dead->leave(job->dead);
    }

    if (job->replay.held) {
        job->bot->dead->end(&job->replay, 0);
    }

    if (job->held.held) {
        (void) ngx_http_tgbot_job_queued_give(job, 0,
                                             NGX_HTTP_TGBOT_QUEUE_UNTRIED);
    }

    if (job->listed) {
        ngx_rbtree_delete(&job->bot->jobs, &job->node);
    }

    ngx_queue_remove(&job->queue);

    ngx_http_tgbot_job_count--;
    ngx_http_tgbot_job_size -= job->size;

    if (job->pool) {
        ngx_http_tgbot_abandon_pool(job->pool);
    }

    if (ngx_http_tgbot_job_nspare < NGX_HTTP_TGBOT_JOB_SPARE) {
        ngx_queue_insert_head(&ngx_http_tgbot_job_spare, &job->queue);
        ngx_http_tgbot_job_nspare++;
        return;
    }

    ngx_free(job);
}


void
ngx_http_tgbot_job_release(void)
{
    ngx_msec_t             delay;
    ngx_queue_t           *q, *next;
    ngx_http_tgbot_job_t  *job;

    for (q = ngx_queue_head(&ngx_http_tgbot_jobs);
         q != ngx_queue_sentinel(&ngx_http_tgbot_jobs);
         q = next)
    {
        next = ngx_queue_next(q);

        job = ngx_queue_data(q, ngx_http_tgbot_job_t, queue);

        if (job->queued && job->cache.wait.queued) {

            /* nothing keeps the worker for this wait */

            ngx_http_tgbot_job_drop(job);
            continue;
        }

        delay = ngx_http_tgbot_send_delay(&job->send);

        if (ngx_http_tgbot_job_stays(job, delay)) {
            continue;
        }

        if (job->queued) {

            /* this saves the answer in the item */

            ngx_http_tgbot_job_queued_wait(job, delay);
            continue;
        }

        ngx_http_tgbot_job_drop(job);
    }
}


/*
 * Whether an exiting worker keeps a job that waits for "delay" ms.  Telegram
 * does not redeliver an update that was answered 200, so its calls are made
 * first, except while the bot is unauthorized: that may last until an operator
 * changes the token.
 */

static ngx_uint_t
ngx_http_tgbot_job_stays(ngx_http_tgbot_job_t *job, ngx_msec_t delay)
{
    if (delay <= NGX_HTTP_TGBOT_JOB_PATIENCE) {
        return 1;
    }

    if (job->queued) {
        return 0;
    }

    return job->acked && !job->send.pause.waiting;
}


void
ngx_http_tgbot_job_abort(ngx_uint_t tell)
{
    ngx_queue_t           *q, *next;
    ngx_http_tgbot_job_t  *job;

    for (q = ngx_queue_head(&ngx_http_tgbot_jobs);
         q != ngx_queue_sentinel(&ngx_http_tgbot_jobs);
         q = next)
    {
        next = ngx_queue_next(q);

        job = ngx_queue_data(q, ngx_http_tgbot_job_t, queue);

        if (!tell) {
            ngx_http_tgbot_job_leave(job);
        }

        ngx_http_tgbot_job_drop(job);
    }
}


/* drops the job; a request that waits is settled as "busy" */

static void
ngx_http_tgbot_job_drop(ngx_http_tgbot_job_t *job)
{
    ngx_uint_t  unsent;

    unsent = job->noted && job->send.active
             && !ngx_http_tgbot_call_sent(&job->send.call);

    ngx_http_tgbot_job_busy(job, NGX_HTTP_TGBOT_JOB_RELEASE);

    if (ngx_http_tgbot_handler_cancel(&job->handler) != NGX_OK
        || ngx_http_tgbot_send_cancel(&job->send) != NGX_OK)
    {
        /* the job ends after the thread's file operation */

        return;
    }

    if (job->acked && !job->queued) {
        ngx_log_error(NGX_LOG_ERR, job->bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: the reply of a limit is "
                      "dropped at exit",
                      &job->bot->name, job->update.update_id);
    }

    if (unsent) {

        /* the item's note is of a call that has ended, or has not begun */

        (void) ngx_http_tgbot_job_queued_keep(job);
    }

    ngx_http_tgbot_job_free(job);
}
