
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_cacheable.h"
#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_wait.h"


/*
 * After an answer that could not be kept the next ones are not waited for,
 * ms: in turn they would take the longer the more there are.
 */
#define NGX_HTTP_TGBOT_JOB_PASS  10000


static ngx_int_t ngx_http_tgbot_job_cacheable(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_capture_t *result, ngx_str_t *kept, ngx_msec_t *valid);


ngx_int_t
ngx_http_tgbot_job_accept(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_method_t *ride)
{
    ngx_int_t               rc;
    ngx_http_tgbot_seen_t  *seen;

    if (job->claim.lease.token == 0) {
        return NGX_OK;
    }

    seen = job->bot->seen;

    rc = ngx_http_tgbot_seen_accept(seen, &job->claim,
                                    ride ? &ride->content_type : NULL,
                                    ride ? &ride->body : NULL);

    job->claim.lease.token = 0;

    if (rc != NGX_OK) {
        ngx_http_tgbot_job_taken_over(job->bot, job->update.update_id);
    }

    return rc;
}


ngx_int_t
ngx_http_tgbot_job_unclaim(ngx_http_tgbot_job_t *job, ngx_uint_t verdict)
{
    ngx_int_t  rc;

    if (job->claim.lease.token == 0) {
        return NGX_OK;
    }

    switch (verdict) {

    case NGX_HTTP_TGBOT_DONE:
    case NGX_HTTP_TGBOT_IGNORED:
    case NGX_HTTP_TGBOT_DEAD:
        return ngx_http_tgbot_job_accept(job, NULL);

    case NGX_HTTP_TGBOT_FAILED:
        rc = ngx_http_tgbot_seen_release(job->bot->seen, &job->claim, 1,
                                         job->charged);
        break;

    default: /* NGX_HTTP_TGBOT_BUSY */
        rc = ngx_http_tgbot_seen_release(job->bot->seen, &job->claim, 0,
                                         job->charged);
    }

    job->claim.lease.token = 0;

    if (rc != NGX_OK) {
        ngx_http_tgbot_job_taken_over(job->bot, job->update.update_id);
    }

    return rc;
}


ngx_uint_t
ngx_http_tgbot_job_spent(ngx_http_tgbot_job_t *job)
{
    ngx_uint_t             attempts, max;
    ngx_http_tgbot_bot_t  *bot;

    bot = job->bot;
    max = bot->conf->attempts->attempts;

    attempts = job->letter ? max : job->claim.attempts + 1;

    if (attempts < max || !ngx_http_tgbot_job_holds(job)) {
        return 0;
    }

    job->item.progress.attempts = attempts;

    if (ngx_http_tgbot_job_give_up(job, NGX_HTTP_TGBOT_DEAD_FAILED) == NGX_OK) {
        return 1;
    }

    if (attempts == max && job->claim.lease.token) {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_ATTEMPTS_SPENT);

        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L has failed %ui times and "
                      "is asked for again until Telegram gives it up",
                      &bot->name, job->update.update_id, attempts);
    }

    return 0;
}


ngx_uint_t
ngx_http_tgbot_job_holds(ngx_http_tgbot_job_t *job)
{
    if (job->replay.token) {

        if (ngx_http_tgbot_dead_holds(job->bot->dead, job->letter,
                                      &job->replay)
            == NGX_OK)
        {
            return 1;
        }

        job->replay.token = 0;

    } else if (job->taken.lease.token) {

        if (ngx_http_tgbot_queue_holds(job->bot->queue, &job->taken)
            == NGX_OK)
        {
            return 1;
        }

        job->taken.lease.token = 0;

    } else {

        if (job->claim.lease.token == 0
            || ngx_http_tgbot_seen_holds(job->bot->seen, &job->claim))
        {
            return 1;
        }

        job->claim.lease.token = 0;
    }

    ngx_http_tgbot_job_taken_over(job->bot, job->update.update_id);

    return 0;
}


void
ngx_http_tgbot_job_taken_over(ngx_http_tgbot_bot_t *bot, int64_t update_id)
{
    ngx_http_tgbot_stats_count(bot->stats, NGX_HTTP_TGBOT_STAT_LEASES_LOST);

    ngx_log_error(NGX_LOG_WARN, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\", update %L was taken over by another "
                  "worker, as this one was not heard of: its result is "
                  "dropped", &bot->name, update_id);
}


void
ngx_http_tgbot_job_fill_cache(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_capture_t *result)
{
    ngx_int_t                rc;
    ngx_str_t                kept;
    ngx_msec_t               valid;
    ngx_http_tgbot_stats_t  *stats;

    if (job->cache.lease.token == 0) {
        return;
    }

    stats = job->bot->stats;
    valid = job->bot->conf->answers->valid;

    rc = ngx_http_tgbot_job_cacheable(job, result, &kept, &valid);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_cache_fill(&job->cache, &kept, valid);

    } else if (rc == NGX_DECLINED) {
        ngx_http_tgbot_cache_release(&job->cache,
                                     ngx_min(job->bot->conf->answers->valid,
                                             NGX_HTTP_TGBOT_JOB_PASS));
    } else {
        ngx_http_tgbot_cache_release(&job->cache, 0);
    }

    job->cache.lease.token = 0;

    ngx_http_tgbot_stats_cache(stats, (rc == NGX_OK)
                                      ? NGX_HTTP_TGBOT_CACHE_STORED
                                      : NGX_HTTP_TGBOT_CACHE_UNCACHEABLE);

    ngx_http_tgbot_wait_wake(&job->cache);
}


static ngx_int_t
ngx_http_tgbot_job_cacheable(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_capture_t *result, ngx_str_t *kept, ngx_msec_t *valid)
{
    /* what the program says of its answer counts before the directive */

    if (result->no_store || result->max_age == 0) {
        return NGX_DECLINED;
    }

    if (result->max_age > 0) {
        *valid = (ngx_msec_t) result->max_age * 1000;
    }

    return ngx_http_tgbot_cacheable(&result->type, &result->body,
                                    &job->update, kept, job->pool);
}


void
ngx_http_tgbot_job_leave_cache(ngx_http_tgbot_job_t *job)
{
    if (job->cache.lease.token == 0) {
        return;
    }

    ngx_http_tgbot_cache_release(&job->cache, 0);

    job->cache.lease.token = 0;

    ngx_http_tgbot_wait_wake(&job->cache);
}
