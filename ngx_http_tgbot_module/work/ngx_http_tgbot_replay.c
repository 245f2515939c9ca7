
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


typedef struct {
    ngx_http_tgbot_lease_t   lease;    /* of the letter */
    ngx_pool_t              *pool;     /* of the replay */
} ngx_http_tgbot_replay_t;


static void ngx_http_tgbot_replay_both(ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_replay_start(ngx_http_tgbot_bot_t *bot,
    uint64_t id, ngx_http_tgbot_lease_t *lease, ngx_uint_t left,
    ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_replay_enqueue(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_letter_t *letter, ngx_http_tgbot_lease_t *lease,
    ngx_uint_t left, ngx_pool_t *pool);
static void ngx_http_tgbot_replay_enqueued(ngx_http_tgbot_queue_put_t *put,
    ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_replay_run(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_item_t *item, ngx_http_tgbot_lease_t *lease,
    ngx_pool_t *pool, ngx_log_t *log);


void
ngx_http_tgbot_replay_init_module(ngx_http_tgbot_main_conf_t *tmcf)
{
    ngx_uint_t              i;
    ngx_http_tgbot_bot_t  **bots;

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {

        if (bots[i]->queue_zone && bots[i]->queue_zone->zone->opened
            && bots[i]->dead && bots[i]->dead->zone->opened)
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

    while (ngx_http_tgbot_dead_list(bot->dead, letter.id, &letter, 1)) {
        head = letter.item.head;

        if (ngx_http_tgbot_queue_died(bot->queue_zone, &head)) {
            continue;
        }

        head.letter = letter.id;

        if (ngx_http_tgbot_queue_has(bot->queue_zone, &head)) {
            (void) ngx_http_tgbot_dead_drop(bot->dead, letter.id);
        }
    }
}


ngx_int_t
ngx_http_tgbot_replay(ngx_http_tgbot_bot_t *bot, uint64_t id,
    ngx_log_t *log)
{
    ngx_int_t               rc;
    ngx_uint_t              left;
    ngx_http_tgbot_lease_t  lease;

    rc = ngx_http_tgbot_dead_lease(bot->dead, id, &lease, &left);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_tgbot_replay_start(bot, id, &lease, left, log);

    if (rc != NGX_OK) {
        ngx_http_tgbot_dead_release(bot->dead, id, &lease, 0);
    }

    return rc;
}


static ngx_int_t
ngx_http_tgbot_replay_start(ngx_http_tgbot_bot_t *bot, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t left, ngx_log_t *log)
{
    ngx_int_t                 rc;
    ngx_pool_t               *pool;
    ngx_http_tgbot_item_t    *item;
    ngx_http_tgbot_letter_t   letter;

    pool = ngx_create_pool(4096, bot->clcf->error_log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_dead_get(bot->dead, id, &letter, pool);

    if (rc != NGX_OK) {
        ngx_destroy_pool(pool);
        return rc;
    }

    item = &letter.item;

    /* the life begins again with the replay */

    item->head.received = ngx_current_msec;
    item->head.life = NGX_HTTP_TGBOT_REPLAY_LIFE;
    item->head.letter = id;
    item->progress.attempts = 0;

    if (bot->queue) {
        rc = ngx_http_tgbot_replay_enqueue(bot, &letter, lease, left, pool);

    } else {
        rc = ngx_http_tgbot_replay_run(bot, item, lease, pool, log);
    }

    if (rc != NGX_OK) {
        ngx_destroy_pool(pool);
    }

    return rc;
}


/*
 * After the put, the update is both in the queue and in the letter.  If this
 * worker dies before it drops the letter, the worker that takes the item first
 * drops the letter.  A second replay before that finds the item in the queue,
 * and one after that finds no letter.
 */

static ngx_int_t
ngx_http_tgbot_replay_enqueue(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_letter_t *letter, ngx_http_tgbot_lease_t *lease,
    ngx_uint_t left, ngx_pool_t *pool)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_replay_t     *replay;
    ngx_http_tgbot_queue_put_t   put;

    rc = ngx_http_tgbot_dead_holds(bot->dead, letter->id, lease);
    if (rc != NGX_OK) {
        return rc;
    }

    replay = ngx_pcalloc(pool, sizeof(ngx_http_tgbot_replay_t));
    if (replay == NULL) {
        return NGX_ERROR;
    }

    replay->lease = *lease;
    replay->pool = pool;

    ngx_memzero(&put, sizeof(ngx_http_tgbot_queue_put_t));

    put.bot = bot;
    put.item = letter->item;
    put.end = letter->end;
    put.event = NGX_HTTP_TGBOT_QUEUE_REPLAYED;
    put.again = left;
    put.done = ngx_http_tgbot_replay_enqueued;
    put.data = replay;

    rc = bot->queue->put(&put);

    if (rc == NGX_AGAIN) {
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return (rc == NGX_ABORT) ? NGX_ABORT : NGX_BUSY;
    }

    ngx_http_tgbot_replay_enqueued(&put, NGX_OK);

    return NGX_OK;
}


/* a put has ended that succeeded or was suspended: frees the replay */

static void
ngx_http_tgbot_replay_enqueued(ngx_http_tgbot_queue_put_t *put, ngx_int_t rc)
{
    ngx_http_tgbot_replay_t *replay = put->data;

    ngx_http_tgbot_bot_t  *bot;

    bot = put->bot;

    ngx_http_tgbot_dead_release(bot->dead, put->item.head.letter,
                                &replay->lease, rc == NGX_OK);

    if (rc == NGX_OK) {
        ngx_http_tgbot_queue_wake();

    } else {
        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: dead letter %uL is kept, "
                      "it could not be put into %V", &bot->name,
                      put->item.head.update_id, put->item.head.letter,
                      &bot->queue_place);
    }

    ngx_destroy_pool(replay->pool);
}


static ngx_int_t
ngx_http_tgbot_replay_run(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_item_t *item, ngx_http_tgbot_lease_t *lease,
    ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_int_t              rc;
    ngx_http_tgbot_job_t  *job;

    if (!ngx_http_tgbot_job_room()
        || ngx_http_tgbot_job_find(bot, item->head.update_id))
    {
        return NGX_BUSY;
    }

    rc = ngx_http_tgbot_job_restore(bot, item, pool, &job);

    if (rc != NGX_OK) {

        if (rc == NGX_DECLINED) {
            ngx_log_error(NGX_LOG_ERR, log, 0,
                          "tgbot: bot \"%V\": dead letter %uL cannot be "
                          "read, it is of another version of the module",
                          &bot->name, item->head.letter);
        }

        return rc;
    }

    job->letter = item->head.letter;
    job->replay = *lease;
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
