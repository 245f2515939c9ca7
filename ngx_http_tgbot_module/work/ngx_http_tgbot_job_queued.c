
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_backoff.h"
#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_job_queued.h"
#include "ngx_http_tgbot_job_record.h"


/*
 * Backoff while the program is unavailable, ms.  The maximum is short: these
 * calls cost no attempt, and items should not wait long once the program is
 * back.
 */
#define NGX_HTTP_TGBOT_JOB_UNAVAILABLE      1000
#define NGX_HTTP_TGBOT_JOB_UNAVAILABLE_MAX  8000

/* delay of an item whose bot is unauthorized, ms; a call probes each minute */
#define NGX_HTTP_TGBOT_JOB_UNAUTHORIZED     60000


static ngx_uint_t ngx_http_tgbot_job_queued_unsure(ngx_http_tgbot_job_t *job);
static void ngx_http_tgbot_job_queued_expire(ngx_http_tgbot_job_t *job);
static void ngx_http_tgbot_job_queued_expired(ngx_http_tgbot_job_t *job,
    ngx_int_t rc);
static void ngx_http_tgbot_job_queued_note(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_progress_t *progress);
static ngx_int_t ngx_http_tgbot_job_queued_noted(ngx_http_tgbot_job_t *job,
    ngx_int_t rc);
static void ngx_http_tgbot_job_queued_saved(ngx_http_tgbot_queue_held_t *held,
    ngx_int_t rc);
static void ngx_http_tgbot_job_queued_again(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict);
static void ngx_http_tgbot_job_queued_spent(ngx_http_tgbot_job_t *job,
    ngx_int_t rc);
static void ngx_http_tgbot_job_queued_failed(ngx_http_tgbot_job_t *job);
static void ngx_http_tgbot_job_queued_retry(ngx_http_tgbot_job_t *job,
    ngx_msec_t delay, ngx_http_tgbot_queue_program_e program);
static void ngx_http_tgbot_job_queued_settle(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_queue_event_e event, const char *verdict);
static void ngx_http_tgbot_job_queued_settled(
    ngx_http_tgbot_queue_held_t *held, ngx_int_t rc);


static ngx_event_t  ngx_http_tgbot_queue_wake_event;


void
ngx_http_tgbot_job_queued_start(ngx_http_tgbot_job_t *job)
{
    if (ngx_http_tgbot_job_age(job) >= (ngx_msec_t) job->update.life * 1000
        && !ngx_http_tgbot_job_queued_unsure(job))
    {
        ngx_http_tgbot_job_queued_expire(job);
        return;
    }

    ngx_http_tgbot_job_run(job);
}


/* the item has a note of a call: it is given up, and its letter says why */

static ngx_uint_t
ngx_http_tgbot_job_queued_unsure(ngx_http_tgbot_job_t *job)
{
    ngx_http_tgbot_method_t  *method;

    method = job->answer.calls.elts;

    return job->resumed && job->item.progress.unknown
           && job->next < job->answer.calls.nelts
           && ngx_http_tgbot_method_once(&method[job->next].name);
}


/* Telegram, too, drops an update after this life */

static void
ngx_http_tgbot_job_queued_expire(ngx_http_tgbot_job_t *job)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = job->bot;

    ngx_log_error(NGX_LOG_WARN, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\", update %L has expired in the queue, "
                  "its life was %ui s", &bot->name,
                  job->update.update_id, job->update.life);

    ngx_http_tgbot_job_give_up(job, NGX_HTTP_TGBOT_DEAD_EXPIRED,
                               ngx_http_tgbot_job_queued_expired);
}


/* a letter of it is kept or not */

static void
ngx_http_tgbot_job_queued_expired(ngx_http_tgbot_job_t *job, ngx_int_t rc)
{
    ngx_http_tgbot_job_queued_settle(job, NGX_HTTP_TGBOT_QUEUE_EXPIRED,
                                     "expired");
}


void
ngx_http_tgbot_job_queued_wait(ngx_http_tgbot_job_t *job, ngx_msec_t delay)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = job->bot;

    if (job->send.pause.waiting) {

        if (ngx_queue_head(&bot->paused) == &job->send.pause.queue
            && !ngx_exiting)
        {
            /* this call is the next probe */

            return;
        }

        delay = NGX_HTTP_TGBOT_JOB_UNAUTHORIZED;

    } else if (delay <= NGX_HTTP_TGBOT_JOB_PATIENCE) {
        return;
    }

    if (ngx_http_tgbot_job_queued_keep(job) != NGX_OK
        || ngx_http_tgbot_job_queued_give(job, delay,
                                          NGX_HTTP_TGBOT_QUEUE_UNTRIED)
           == NGX_AGAIN)
    {
        ngx_log_error(NGX_LOG_INFO, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: there is no room in %V "
                      "for its answer, it stays in work",
                      &bot->name, job->update.update_id, &bot->queue_place);
        return;
    }

    if (ngx_http_tgbot_send_cancel(&job->send) != NGX_OK) {
        return;
    }

    ngx_http_tgbot_job_free(job);

    ngx_http_tgbot_queue_wake();
}


ngx_int_t
ngx_http_tgbot_job_queued_keep(ngx_http_tgbot_job_t *job)
{
    ngx_http_tgbot_item_t  *item;

    item = &job->item;

    item->progress.next = (uint32_t) (job->next - 1);
    item->progress.failures = (uint32_t) job->send.failures;
    item->progress.unknown = (uint32_t) job->send.unknown;
    item->progress.started = job->send.start;

    if (item->answered) {
        return NGX_OK;
    }

    if (ngx_http_tgbot_job_record_write_calls(&job->answer.calls, &item->answer,
                                              job->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    item->answered = 1;

    return NGX_OK;
}


/* the note is replaced before the next call, whatever its method */

ngx_int_t
ngx_http_tgbot_job_queued_leaving(ngx_http_tgbot_send_t *send)
{
    ngx_int_t               rc;
    ngx_http_tgbot_job_t   *job;
    ngx_http_tgbot_item_t   item;

    job = send->data;

    if (!job->noted && !ngx_http_tgbot_method_once(&send->method->name)) {
        return NGX_OK;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, job->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: item notes %V",
                   &job->bot->name, job->update.update_id,
                   &send->method->name);

    if (ngx_http_tgbot_job_queued_keep(job) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a job that ends before it is saved has not made the call */

    item = job->item;
    ngx_http_tgbot_job_queued_note(job, &item.progress);

    job->held.done = ngx_http_tgbot_job_queued_saved;

    rc = job->bot->queue->save(&job->held, &item);

    return (rc == NGX_AGAIN) ? NGX_AGAIN
                             : ngx_http_tgbot_job_queued_noted(job, rc);
}


static void
ngx_http_tgbot_job_queued_note(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_progress_t *progress)
{
    /* no other call of such a method has an "unknown" */

    if (ngx_http_tgbot_method_once(&job->send.method->name)) {
        progress->failures++;
        progress->unknown = 1;
    }
}


static ngx_int_t
ngx_http_tgbot_job_queued_noted(ngx_http_tgbot_job_t *job, ngx_int_t rc)
{
    switch (rc) {

    case NGX_OK:
        ngx_http_tgbot_job_queued_note(job, &job->item.progress);
        job->noted = ngx_http_tgbot_method_once(&job->send.method->name);
        return NGX_OK;

    case NGX_BUSY:
        job->item.answered = 0;
        return NGX_ERROR;

    default: /* NGX_DECLINED */
        job->held.held = 0;

        ngx_http_tgbot_bot_lost(job->bot, job->update.update_id);

        (void) ngx_http_tgbot_send_cancel(&job->send);
        ngx_http_tgbot_job_free(job);

        ngx_http_tgbot_queue_wake();

        return NGX_DONE;
    }
}


static void
ngx_http_tgbot_job_queued_saved(ngx_http_tgbot_queue_held_t *held,
    ngx_int_t rc)
{
    ngx_http_tgbot_job_t  *job;

    job = ngx_queue_data(held, ngx_http_tgbot_job_t, held);

    rc = ngx_http_tgbot_job_queued_noted(job, rc);

    if (rc != NGX_DONE) {
        ngx_http_tgbot_send_proceed(&job->send, rc);
    }
}


ngx_int_t
ngx_http_tgbot_job_queued_give(ngx_http_tgbot_job_t *job, ngx_msec_t delay,
    ngx_http_tgbot_queue_program_e program)
{
    ngx_int_t  rc;

    if (!job->held.held) {
        return NGX_DECLINED;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, job->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: item is given back for %M ms",
                   &job->bot->name, job->update.update_id, delay);

    rc = job->bot->queue->give(&job->held, &job->item, delay, program);

    if (rc == NGX_AGAIN) {
        job->item.answered = 0;
        return rc;
    }

    job->held.held = 0;

    if (rc != NGX_OK) {
        ngx_http_tgbot_bot_lost(job->bot, job->update.update_id);
    }

    return rc;
}


void
ngx_http_tgbot_job_queued_end(ngx_http_tgbot_job_t *job, ngx_uint_t verdict)
{
    if (!job->held.held) {

        /* another worker has the item */

        ngx_http_tgbot_job_free(job);
        return;
    }

    switch (verdict) {

    case NGX_HTTP_TGBOT_FAILED:
    case NGX_HTTP_TGBOT_BUSY:
        ngx_http_tgbot_job_queued_again(job, verdict);
        return;

    case NGX_HTTP_TGBOT_DEAD:
        ngx_http_tgbot_job_queued_settle(job, NGX_HTTP_TGBOT_QUEUE_DEAD,
                                         "dead");
        return;

    default: /* NGX_HTTP_TGBOT_DONE, NGX_HTTP_TGBOT_IGNORED */
        ngx_http_tgbot_job_queued_settle(job, NGX_HTTP_TGBOT_QUEUE_DONE,
                         (char *) ngx_http_tgbot_verdict_names[verdict].data);
    }
}


static void
ngx_http_tgbot_job_queued_again(ngx_http_tgbot_job_t *job, ngx_uint_t verdict)
{
    ngx_msec_t                  delay;
    ngx_http_tgbot_progress_t  *progress;

    progress = &job->item.progress;

    if (verdict == NGX_HTTP_TGBOT_BUSY) {
        progress->unavailable++;

        delay = ngx_http_tgbot_backoff_delay(progress->unavailable,
                                          NGX_HTTP_TGBOT_JOB_UNAVAILABLE,
                                          NGX_HTTP_TGBOT_JOB_UNAVAILABLE_MAX,
                                          ngx_random());

        ngx_http_tgbot_job_queued_retry(job, delay,
                                        NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE);
        return;
    }

    progress->unavailable = 0;
    progress->attempts++;

    if (progress->attempts >= job->bot->conf->attempts->attempts
        && ngx_http_tgbot_job_holds(job))
    {
        ngx_http_tgbot_job_give_up(job, NGX_HTTP_TGBOT_DEAD_FAILED,
                                   ngx_http_tgbot_job_queued_spent);
        return;
    }

    ngx_http_tgbot_job_queued_failed(job);
}


static void
ngx_http_tgbot_job_queued_spent(ngx_http_tgbot_job_t *job, ngx_int_t rc)
{
    if (rc != NGX_OK) {
        ngx_http_tgbot_job_queued_failed(job);
        return;
    }

    ngx_http_tgbot_job_queued_settle(job, NGX_HTTP_TGBOT_QUEUE_DEAD, "dead");
}


static void
ngx_http_tgbot_job_queued_failed(ngx_http_tgbot_job_t *job)
{
    ngx_msec_t               delay;
    ngx_http_tgbot_retry_t  *attempts;

    attempts = job->bot->conf->attempts;

    delay = ngx_http_tgbot_backoff_delay(job->item.progress.attempts,
                                         attempts->backoff,
                                         attempts->max_backoff, ngx_random());

    /* the breaker was told in ngx_http_tgbot_job_heard() */

    ngx_http_tgbot_job_queued_retry(job, delay, NGX_HTTP_TGBOT_QUEUE_UNTRIED);
}


static void
ngx_http_tgbot_job_queued_retry(ngx_http_tgbot_job_t *job, ngx_msec_t delay,
    ngx_http_tgbot_queue_program_e program)
{
    delay = ngx_max(delay, job->retry_after);

    (void) ngx_http_tgbot_job_queued_give(job, delay, program);
    ngx_http_tgbot_job_free(job);

    ngx_http_tgbot_queue_wake();
}


static void
ngx_http_tgbot_job_queued_settle(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_queue_event_e event, const char *verdict)
{
    ngx_int_t  rc;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, job->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: item is settled, \"%s\"",
                   &job->bot->name, job->update.update_id, verdict);

    job->verdict = verdict;
    job->held.done = ngx_http_tgbot_job_queued_settled;

    rc = job->bot->queue->settle(&job->held, event);

    if (rc != NGX_AGAIN) {
        ngx_http_tgbot_job_queued_settled(&job->held, rc);
    }
}


static void
ngx_http_tgbot_job_queued_settled(ngx_http_tgbot_queue_held_t *held,
    ngx_int_t rc)
{
    ngx_http_tgbot_job_t  *job;

    job = ngx_queue_data(held, ngx_http_tgbot_job_t, held);

    held->held = 0;

    if (rc != NGX_OK) {
        ngx_http_tgbot_bot_lost(job->bot, job->update.update_id);

    } else {
        ngx_http_tgbot_job_log(job, job->verdict);
    }

    ngx_http_tgbot_job_free(job);

    ngx_http_tgbot_queue_wake();
}


void
ngx_http_tgbot_queue_wake_init_process(ngx_event_handler_pt handler,
    ngx_log_t *log)
{
    ngx_memzero(&ngx_http_tgbot_queue_wake_event, sizeof(ngx_event_t));

    ngx_http_tgbot_queue_wake_event.handler = handler;
    ngx_http_tgbot_queue_wake_event.log = log;
}


void
ngx_http_tgbot_queue_wake(void)
{
    if (ngx_http_tgbot_queue_wake_event.handler) {
        ngx_post_event(&ngx_http_tgbot_queue_wake_event, &ngx_posted_events);
    }
}


void
ngx_http_tgbot_queue_wake_exit_process(void)
{
    if (ngx_http_tgbot_queue_wake_event.posted) {
        ngx_delete_posted_event(&ngx_http_tgbot_queue_wake_event);
    }

    ngx_http_tgbot_queue_wake_event.handler = NULL;
}
