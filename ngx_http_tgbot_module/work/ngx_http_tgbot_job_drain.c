
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_job.h"


/* a job that would wait for longer does not keep a worker from its exit */
#define NGX_HTTP_TGBOT_JOB_PATIENCE  1000

/* Retry-After of a job given up by a worker that exits, seconds */
#define NGX_HTTP_TGBOT_JOB_RELEASE   2


void
ngx_http_tgbot_job_release(void)
{
    ngx_msec_t             delay;
    ngx_queue_t           *q, *next;
    ngx_http_tgbot_job_t  *job;

    for (q = ngx_queue_head(&ngx_http_tgbot_job_queue);
         q != ngx_queue_sentinel(&ngx_http_tgbot_job_queue);
         q = next)
    {
        next = ngx_queue_next(q);

        job = ngx_queue_data(q, ngx_http_tgbot_job_t, queue);

        delay = ngx_http_tgbot_send_delay(&job->send);

        if (ngx_http_tgbot_job_stays(job, delay)) {
            continue;
        }

        if (job->queued) {

            /* with the answer that it has */

            ngx_http_tgbot_job_queue_wait(job, delay);
            continue;
        }

        ngx_http_tgbot_job_drop(job);
    }
}


/*
 * What Telegram was told to be done is finished, except where it would take
 * until somebody mends the token.
 */

ngx_uint_t
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

    for (q = ngx_queue_head(&ngx_http_tgbot_job_queue);
         q != ngx_queue_sentinel(&ngx_http_tgbot_job_queue);
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


void
ngx_http_tgbot_job_drop(ngx_http_tgbot_job_t *job)
{
    ngx_http_tgbot_settled_t  settled;

    settled.verdict = NGX_HTTP_TGBOT_BUSY;
    settled.retry_min = 1;
    settled.retry_max = NGX_HTTP_TGBOT_JOB_RELEASE;
    settled.ride = NULL;

    ngx_http_tgbot_job_settle(job, &settled);

    if (ngx_http_tgbot_handler_cancel(&job->handler) != NGX_OK
        || ngx_http_tgbot_send_cancel(&job->send) != NGX_OK)
    {
        /* it ends by itself when the file operation does */

        return;
    }

    if (job->acked && !job->queued) {
        ngx_log_error(NGX_LOG_ERR, job->bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: calls that were to "
                      "follow the one in the response are lost at exit",
                      &job->bot->name, job->update.update_id);
    }

    ngx_http_tgbot_job_free(job);
}
