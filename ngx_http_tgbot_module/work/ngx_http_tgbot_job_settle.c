
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_job_record.h"


static ngx_int_t ngx_http_tgbot_job_letter(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_letter_t *letter);


ngx_uint_t
ngx_http_tgbot_job_spent(ngx_http_tgbot_job_t *job)
{
    ngx_uint_t             attempts, max;
    ngx_http_tgbot_bot_t  *bot;

    bot = job->bot;
    max = bot->conf->attempts->attempts;

    attempts = job->letter ? max : job->claim.dedup.attempts + 1;

    if (attempts < max || !ngx_http_tgbot_job_holds(job)) {
        return 0;
    }

    job->item.progress.attempts = attempts;

    if (ngx_http_tgbot_job_give_up(job, NGX_HTTP_TGBOT_DEAD_FAILED) == NGX_OK) {
        return 1;
    }

    if (attempts == max && job->claim.dedup.lease.token) {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_ATTEMPTS_SPENT);

        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L has failed %ui times and "
                      "is redelivered until it expires",
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


ngx_int_t
ngx_http_tgbot_job_give_up(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_dead_cause_e cause)
{
    ngx_int_t                 rc;
    ngx_uint_t                evicted;
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_letter_t   letter;

    bot = job->bot;

    if (bot->dead == NULL) {
        return NGX_DECLINED;
    }

    ngx_memzero(&letter, sizeof(ngx_http_tgbot_letter_t));

    letter.end.cause = cause;

    if (ngx_http_tgbot_job_letter(job, &letter) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_dead_put(bot->dead, &letter, &evicted);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L does not fit into zone "
                      "\"%V\" of dead letters: %uz bytes", &bot->name,
                      job->update.update_id,
                      &bot->dead->zone->shm_zone->shm.name,
                      letter.item.data.len + letter.item.answer.len);
        return NGX_DECLINED;
    }

    ngx_http_tgbot_stats_dead(bot->stats, cause);

    ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\", update %L is given up and is dead "
                  "letter %uL: %V", &bot->name, job->update.update_id,
                  letter.id, &ngx_http_tgbot_dead_causes[cause]);

    if (evicted) {
        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: %ui older dead letters are evicted for it, "
                      "there is no room in zone \"%V\" or for the bot",
                      evicted, &bot->dead->zone->shm_zone->shm.name);
    }

    return NGX_OK;
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
    if (job->replay.token == 0) {

        /* another worker replays the letter */

        return;
    }

    switch (verdict) {

    case NGX_HTTP_TGBOT_DONE:
    case NGX_HTTP_TGBOT_IGNORED:
        ngx_http_tgbot_dead_release(job->bot->dead, job->letter, &job->replay,
                                    1);
        job->replay.token = 0;
        return;

    case NGX_HTTP_TGBOT_DEAD:

        /* the new letter has replaced this one */

        job->replay.token = 0;
        return;

    default:
        ngx_log_error(NGX_LOG_ERR, job->bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: dead letter %uL is kept, "
                      "the program is unavailable", &job->bot->name,
                      job->update.update_id, job->letter);
    }
}
