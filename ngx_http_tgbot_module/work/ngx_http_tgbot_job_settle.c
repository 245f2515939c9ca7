
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_job_record.h"


static void ngx_http_tgbot_job_failed(ngx_http_tgbot_job_t *job, ngx_int_t rc);
static void ngx_http_tgbot_job_kept(ngx_http_tgbot_dead_op_t *op,
    ngx_int_t rc);
static ngx_uint_t ngx_http_tgbot_job_late(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_job_letter(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_letter_t *letter);


ngx_uint_t
ngx_http_tgbot_job_spent(ngx_http_tgbot_job_t *job)
{
    ngx_uint_t  attempts, max;

    max = job->bot->conf->attempts->attempts;

    attempts = job->letter ? max : job->claim.dedup.attempts + 1;

    if (attempts < max || !ngx_http_tgbot_job_holds(job)) {
        return 0;
    }

    job->item.progress.attempts = attempts;

    ngx_http_tgbot_job_give_up(job, NGX_HTTP_TGBOT_DEAD_FAILED,
                               ngx_http_tgbot_job_failed);
    return 1;
}


/* the update has failed for good: it is a dead letter, or is redelivered */

static void
ngx_http_tgbot_job_failed(ngx_http_tgbot_job_t *job, ngx_int_t rc)
{
    ngx_uint_t             attempts;
    ngx_http_tgbot_bot_t  *bot;

    bot = job->bot;
    attempts = job->item.progress.attempts;

    if (rc != NGX_OK
        && attempts == bot->conf->attempts->attempts
        && job->claim.dedup.lease.token)
    {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_ATTEMPTS_SPENT);

        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L has failed %ui times and "
                      "is redelivered until it expires",
                      &bot->name, job->update.update_id, attempts);
    }

    job->ended = (rc == NGX_OK) ? NGX_HTTP_TGBOT_DEAD : NGX_HTTP_TGBOT_FAILED;

    ngx_http_tgbot_job_finish(job);
}


ngx_uint_t
ngx_http_tgbot_job_holds(ngx_http_tgbot_job_t *job)
{
    if (job->replay.held) {

        if (job->bot->dead->holds(&job->replay)) {
            return 1;
        }

        job->replay.held = 0;

    } else if (job->held.held) {

        if (job->bot->queue->holds(&job->held)) {
            return 1;
        }

        job->held.held = 0;

    } else {
        return ngx_http_tgbot_claim_holds(&job->claim);
    }

    ngx_http_tgbot_bot_lost(job->bot, job->update.update_id);

    return 0;
}


void
ngx_http_tgbot_job_give_up(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_dead_cause_e cause,
    void (*then)(ngx_http_tgbot_job_t *job, ngx_int_t rc))
{
    ngx_int_t                  rc;
    ngx_http_tgbot_bot_t      *bot;
    ngx_http_tgbot_dead_op_t  *op;

    bot = job->bot;

    if (bot->dead == NULL) {
        then(job, NGX_DECLINED);
        return;
    }

    op = ngx_pcalloc(job->pool, sizeof(ngx_http_tgbot_dead_op_t));

    if (op == NULL) {
        then(job, NGX_ERROR);
        return;
    }

    op->bot = bot;
    op->letter.end.cause = cause;
    op->seq = job->held.held ? job->held.seq : 0;
    op->done = ngx_http_tgbot_job_kept;
    op->late = ngx_http_tgbot_job_late;
    op->data = job;

    /* an expired update must not evict other dead letters */

    op->spare = (cause == NGX_HTTP_TGBOT_DEAD_EXPIRED);

    job->dead = op;
    job->given_up = then;

    rc = ngx_http_tgbot_job_letter(job, &op->letter);

    if (rc == NGX_OK) {
        rc = bot->dead->put(op);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_tgbot_job_kept(op, rc);
    }
}


/* a letter is kept, or is not */

static void
ngx_http_tgbot_job_kept(ngx_http_tgbot_dead_op_t *op, ngx_int_t rc)
{
    ngx_http_tgbot_job_t *job = op->data;

    ngx_uint_t             cause;
    ngx_http_tgbot_bot_t  *bot;

    bot = job->bot;
    cause = op->letter.end.cause;

    if (rc == NGX_OK) {
        ngx_http_tgbot_stats_dead(bot->stats, cause);

        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L is given up and is dead "
                      "letter %uL: %V", &bot->name, job->update.update_id,
                      op->letter.id, &ngx_http_tgbot_dead_causes[cause]);

    } else if (rc == NGX_ABORT && ngx_time() != bot->dead_warned) {
        bot->dead_warned = ngx_time();

        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L is not kept as a dead "
                      "letter: %V does not answer", &bot->name,
                      job->update.update_id, &bot->dead_place);
    }

    if (op->evicted) {
        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: %ui older dead letters are evicted for it, "
                      "there is no room in %V or for the bot", op->evicted,
                      &bot->dead_place);
    }

    job->dead = NULL;
    job->given_up(job, rc);
}


/*
 * Redis does not answer.  An update that failed is handled again after a
 * while, as if there were no dead letters.  Calls that were given up would be
 * lost by that.
 */

static ngx_uint_t
ngx_http_tgbot_job_late(ngx_http_tgbot_dead_op_t *op)
{
    ngx_http_tgbot_job_t *job = op->data;

    ngx_http_tgbot_job_busy(job, NGX_HTTP_TGBOT_CLAIM_RETRY);

    if (!ngx_http_tgbot_job_holds(job)) {
        return 0;
    }

    return op->letter.end.cause == NGX_HTTP_TGBOT_DEAD_UNSENT
           || ngx_current_msec - op->begun < job->bot->lease;
}


static ngx_int_t
ngx_http_tgbot_job_letter(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_letter_t *letter)
{
    ngx_http_tgbot_item_t       *item;
    ngx_http_tgbot_job_record_t  record;

    letter->end.status = (uint32_t) job->status;
    letter->end.last = ngx_time();
    letter->end.first = letter->end.last
                        - (int64_t) (ngx_http_tgbot_job_age(job) / 1000);

    item = &letter->item;

    item->head = job->item.head;
    item->head.update_id = job->update.update_id;
    item->head.letter = job->letter;
    item->progress.attempts = job->item.progress.attempts;
    item->data = job->item.data;

    if (item->data.len == 0) {
        ngx_memzero(&record, sizeof(ngx_http_tgbot_job_record_t));

        record.client = job->client;
        record.body = job->body;

        if (ngx_http_tgbot_update_write(&job->update, &job->body,
                                        &record.parsed, job->pool)
            != NGX_OK
            || ngx_http_tgbot_job_record_write(&record, &item->data, job->pool)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (letter->end.cause == NGX_HTTP_TGBOT_DEAD_FAILED
        || job->answer.calls.elts == NULL)
    {
        return NGX_OK;
    }

    item->answered = 1;
    item->progress.next = (uint32_t) job->next;

    if (letter->end.cause == NGX_HTTP_TGBOT_DEAD_UNSENT) {

        /* the current call was not made */

        item->progress.next--;
    }

    return ngx_http_tgbot_job_record_write_calls(&job->answer.calls,
                                                 &item->answer, job->pool);
}


void
ngx_http_tgbot_job_replayed(ngx_http_tgbot_job_t *job, ngx_uint_t verdict)
{
    if (!job->replay.held) {

        /* another worker replays the letter */

        return;
    }

    switch (verdict) {

    case NGX_HTTP_TGBOT_DONE:
    case NGX_HTTP_TGBOT_IGNORED:
    case NGX_HTTP_TGBOT_DEAD:

        /* a letter that was replaced by a new one is gone already */

        job->bot->dead->end(&job->replay, 1);
        job->replay.held = 0;
        return;

    default:
        ngx_log_error(NGX_LOG_ERR, job->bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: dead letter %uL is kept, "
                      "the program or Redis is unavailable", &job->bot->name,
                      job->update.update_id, job->letter);
    }
}
