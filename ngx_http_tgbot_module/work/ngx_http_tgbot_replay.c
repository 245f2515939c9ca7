
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_job_queued.h"
#include "ngx_http_tgbot_job_record.h"
#include "ngx_http_tgbot_queue_verbs.h"
#include "ngx_http_tgbot_replay.h"


/* life of a replayed letter, seconds; its Update's life may have passed */
#define NGX_HTTP_TGBOT_REPLAY_LIFE  86400


struct ngx_http_tgbot_replay_s {
    ngx_pool_t                *pool;     /* of this structure; a job that
                                            handles the letter owns it */
    ngx_http_tgbot_dead_op_t   op;

    void                     (*done)(void *data, ngx_int_t rc);
    void                      *data;
};


static void ngx_http_tgbot_replay_both(ngx_http_tgbot_bot_t *bot);
static void ngx_http_tgbot_replay_read(ngx_http_tgbot_dead_op_t *op,
    ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_replay_start(ngx_http_tgbot_replay_t *replay,
    ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_replay_letter(
    ngx_http_tgbot_replay_t *replay);
static void ngx_http_tgbot_replay_strange(ngx_http_tgbot_bot_t *bot,
    uint64_t id);
static ngx_int_t ngx_http_tgbot_replay_enqueue(
    ngx_http_tgbot_replay_t *replay);
static void ngx_http_tgbot_replay_enqueued(ngx_http_tgbot_queue_put_t *put,
    ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_replay_result(ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_replay_run(ngx_http_tgbot_replay_t *replay);


void
ngx_http_tgbot_replay_init_module(ngx_http_tgbot_main_conf_t *tmcf)
{
    ngx_uint_t              i;
    ngx_http_tgbot_bot_t  **bots;

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {

        if (bots[i]->queue_zone && bots[i]->queue_zone->zone->opened
            && bots[i]->dead_zone && bots[i]->dead_zone->zone->opened)
        {
            ngx_http_tgbot_replay_both(bots[i]);
        }
    }
}


/* what was made last is the copy: an item with a letter's id, or the letter */

static void
ngx_http_tgbot_replay_both(ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_head_t    head;
    ngx_http_tgbot_letter_t  letter;

    letter.id = 0;

    while (ngx_http_tgbot_dead_list(bot->dead_zone, letter.id, &letter, 1)) {
        head = letter.item.head;

        if (ngx_http_tgbot_queue_died(bot->queue_zone, &head)) {
            continue;
        }

        head.letter = letter.id;

        if (ngx_http_tgbot_queue_has(bot->queue_zone, &head)) {
            (void) ngx_http_tgbot_dead_drop(bot->dead_zone, letter.id);
        }
    }
}


ngx_int_t
ngx_http_tgbot_replay(ngx_http_tgbot_bot_t *bot, uint64_t id,
    void (*done)(void *data, ngx_int_t rc), void *data,
    ngx_http_tgbot_replay_t **replayp)
{
    ngx_int_t                  rc;
    ngx_pool_t                *pool;
    ngx_http_tgbot_replay_t   *replay;
    ngx_http_tgbot_dead_op_t  *op;

    pool = ngx_create_pool(4096, bot->clcf->error_log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    replay = ngx_pcalloc(pool, sizeof(ngx_http_tgbot_replay_t));
    if (replay == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    replay->pool = pool;
    replay->done = done;
    replay->data = data;

    op = &replay->op;

    op->bot = bot;
    op->id = id;
    op->pool = pool;
    op->done = ngx_http_tgbot_replay_read;
    op->data = replay;

    /* Redis moves a letter into its queue as one, and asks for leases itself */

    rc = (bot->queue && !bot->queue_zone && !bot->dead_zone)
         ? bot->dead->get(op) : bot->dead->lease(op);

    if (rc != NGX_AGAIN) {
        rc = ngx_http_tgbot_replay_start(replay, rc);
    }

    *replayp = (rc == NGX_AGAIN) ? replay : NULL;

    return rc;
}


void
ngx_http_tgbot_replay_leave(ngx_http_tgbot_replay_t *replay)
{
    replay->done = NULL;
}


/* the letter is here */

static void
ngx_http_tgbot_replay_read(ngx_http_tgbot_dead_op_t *op, ngx_int_t rc)
{
    ngx_http_tgbot_replay_t *replay = op->data;

    void   *data;
    void  (*done)(void *data, ngx_int_t rc);

    done = replay->done;
    data = replay->data;

    rc = ngx_http_tgbot_replay_start(replay, rc);

    if (rc != NGX_AGAIN && done) {
        done(data, rc);
    }
}


/* the replay is freed, unless NGX_AGAIN is returned */

static ngx_int_t
ngx_http_tgbot_replay_start(ngx_http_tgbot_replay_t *replay, ngx_int_t rc)
{
    ngx_http_tgbot_bot_t        *bot;
    ngx_http_tgbot_dead_held_t  *held;

    bot = replay->op.bot;

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_replay_letter(replay);

        if (rc == NGX_OK && bot->queue == NULL) {

            /* the job has the pool */

            return NGX_OK;
        }
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    held = &replay->op.held;

    if (held->held) {
        bot->dead->end(held, rc == NGX_OK);
    }

    ngx_destroy_pool(replay->pool);

    return rc;
}


static ngx_int_t
ngx_http_tgbot_replay_letter(ngx_http_tgbot_replay_t *replay)
{
    ngx_http_tgbot_bot_t      *bot;
    ngx_http_tgbot_item_t     *item;
    ngx_http_tgbot_dead_op_t  *op;

    op = &replay->op;
    bot = op->bot;

    if (op->letter.end.cause >= NGX_HTTP_TGBOT_DEAD_CAUSES) {
        ngx_http_tgbot_replay_strange(bot, op->id);
        return NGX_DECLINED;
    }

    item = &op->letter.item;

    /* the life begins again with the replay */

    item->head.received = ngx_current_msec;
    item->head.life = NGX_HTTP_TGBOT_REPLAY_LIFE;
    item->head.letter = op->id;
    item->progress.attempts = 0;

    return bot->queue ? ngx_http_tgbot_replay_enqueue(replay)
                      : ngx_http_tgbot_replay_run(replay);
}


static void
ngx_http_tgbot_replay_strange(ngx_http_tgbot_bot_t *bot, uint64_t id)
{
    ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\": dead letter %uL cannot be read, it is of "
                  "another version of the module", &bot->name, id);
}


/*
 * After the put, the update is both in the queue and in the letter.  If this
 * worker dies before it drops the letter, the worker that takes the item first
 * drops the letter.  A second replay before that finds the item in the queue,
 * and one after that finds no letter.  It is only if both are in Redis that
 * the put drops the letter.
 */

static ngx_int_t
ngx_http_tgbot_replay_enqueue(ngx_http_tgbot_replay_t *replay)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_bot_t        *bot;
    ngx_http_tgbot_dead_op_t    *op;
    ngx_http_tgbot_queue_put_t   put;

    op = &replay->op;
    bot = op->bot;

    if (op->held.held && !bot->dead->holds(&op->held)) {
        op->held.held = 0;
        return NGX_DONE;
    }

    ngx_memzero(&put, sizeof(ngx_http_tgbot_queue_put_t));

    put.bot = bot;
    put.item = op->letter.item;
    put.end = op->letter.end;
    put.event = NGX_HTTP_TGBOT_QUEUE_REPLAYED;
    put.again = op->held.left;
    put.done = ngx_http_tgbot_replay_enqueued;
    put.data = replay;

    rc = bot->queue->put(&put);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_OK) {
        ngx_http_tgbot_queue_wake();
    }

    return ngx_http_tgbot_replay_result(rc);
}


/* of a put, as that of the replay */

static ngx_int_t
ngx_http_tgbot_replay_result(ngx_int_t rc)
{
    switch (rc) {

    case NGX_OK:
    case NGX_ABORT:
        return rc;

    case NGX_DONE:
        return NGX_DECLINED;

    case NGX_ERROR:
        return NGX_DONE;

    default: /* NGX_BUSY, NGX_DECLINED */
        return NGX_BUSY;
    }
}


/* a put that was suspended has ended: frees the replay */

static void
ngx_http_tgbot_replay_enqueued(ngx_http_tgbot_queue_put_t *put, ngx_int_t rc)
{
    ngx_http_tgbot_replay_t *replay = put->data;

    void                  *data;
    void                 (*done)(void *data, ngx_int_t rc);
    ngx_http_tgbot_bot_t  *bot;

    bot = put->bot;
    done = replay->done;
    data = replay->data;

    rc = ngx_http_tgbot_replay_result(rc);

    if (rc == NGX_OK) {
        ngx_http_tgbot_queue_wake();

    } else if (rc == NGX_ABORT || rc == NGX_BUSY) {
        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: dead letter %uL is kept, "
                      "it could not be put into %V", &bot->name,
                      put->item.head.update_id, put->item.head.letter,
                      &bot->queue_place);
    }

    if (replay->op.held.held) {
        bot->dead->end(&replay->op.held, rc == NGX_OK);
    }

    ngx_destroy_pool(replay->pool);

    if (done) {
        done(data, rc);
    }
}


static ngx_int_t
ngx_http_tgbot_replay_run(ngx_http_tgbot_replay_t *replay)
{
    ngx_int_t                 rc;
    ngx_http_tgbot_job_t     *job;
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_item_t    *item;
    ngx_http_tgbot_dead_op_t *op;

    op = &replay->op;
    bot = op->bot;
    item = &op->letter.item;

    if (!ngx_http_tgbot_job_room()
        || ngx_http_tgbot_job_find(bot, item->head.update_id))
    {
        return NGX_BUSY;
    }

    rc = ngx_http_tgbot_job_restore(bot, item, replay->pool, &job);

    if (rc != NGX_OK) {

        if (rc == NGX_DECLINED) {
            ngx_http_tgbot_replay_strange(bot, op->id);
        }

        return rc;
    }

    job->letter = op->id;
    job->replay = op->held;
    job->by_api = 1;
    job->update.life = item->head.life;

    ngx_http_tgbot_job_run(job);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_replay_show(ngx_http_tgbot_letter_t *letter, ngx_pool_t *pool,
    ngx_str_t *update, ngx_array_t *calls)
{
    ngx_int_t                    rc;
    ngx_uint_t                   next;
    ngx_http_tgbot_method_t     *method;
    ngx_http_tgbot_job_record_t  record;

    next = letter->item.progress.next;

    rc = ngx_http_tgbot_job_record_read(&record, &letter->item.data, pool);
    if (rc != NGX_OK) {
        return rc;
    }

    *update = record.body;

    if (!letter->item.answered) {
        return ngx_array_init(calls, pool, 1,
                              sizeof(ngx_http_tgbot_method_t));
    }

    rc = ngx_http_tgbot_job_record_read_calls(calls, &letter->item.answer,
                                              pool);
    if (rc != NGX_OK) {
        return rc;
    }

    if (next > calls->nelts) {
        return NGX_DECLINED;
    }

    method = calls->elts;

    calls->elts = method + next;
    calls->nelts -= next;

    return NGX_OK;
}
