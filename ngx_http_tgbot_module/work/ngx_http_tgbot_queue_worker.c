
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_dead_verbs.h"
#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_job_queued.h"
#include "ngx_http_tgbot_queue_verbs.h"
#include "ngx_http_tgbot_queue_worker.h"
#include "ngx_http_tgbot_zone_file.h"


/* time between looks at the queues without a wake, ms */
#define NGX_HTTP_TGBOT_QUEUE_WORKER_TIME  1000


static void ngx_http_tgbot_queue_worker_run(ngx_event_t *ev);
static ngx_msec_t ngx_http_tgbot_queue_worker_bot(ngx_http_tgbot_bot_t *bot,
    ngx_uint_t *full);
static ngx_uint_t ngx_http_tgbot_queue_worker_room(ngx_http_tgbot_bot_t *bot);
static ngx_uint_t ngx_http_tgbot_queue_worker_allowed(
    ngx_http_tgbot_bot_t *bot);
static ngx_uint_t ngx_http_tgbot_queue_worker_alone(ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_queue_worker_start(
    ngx_http_tgbot_queue_held_t *held, ngx_http_tgbot_item_t *item,
    ngx_pool_t *pool);
static ngx_uint_t ngx_http_tgbot_queue_worker_left(void);


static ngx_http_tgbot_bot_t  **ngx_http_tgbot_queue_worker_bots;
static ngx_uint_t              ngx_http_tgbot_queue_worker_nbots;
static ngx_uint_t              ngx_http_tgbot_queue_worker_first;
static ngx_uint_t              ngx_http_tgbot_queue_worker_stopped;

static ngx_event_t             ngx_http_tgbot_queue_worker_timer;


void
ngx_http_tgbot_queue_worker_init_process(ngx_http_tgbot_main_conf_t *tmcf,
    ngx_cycle_t *cycle)
{
    ngx_uint_t              i;
    ngx_http_tgbot_bot_t  **bots;

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {
        if (bots[i]->queue) {
            break;
        }
    }

    if (i == tmcf->bots.nelts) {
        return;
    }

    ngx_http_tgbot_bell_listen(NGX_HTTP_TGBOT_BELL_QUEUE,
                               ngx_http_tgbot_queue_wake);

    ngx_http_tgbot_queue_worker_bots = tmcf->bots.elts;
    ngx_http_tgbot_queue_worker_nbots = tmcf->bots.nelts;
    ngx_http_tgbot_queue_worker_stopped = 0;

    ngx_http_tgbot_queue_wake_init_process(ngx_http_tgbot_queue_worker_run,
                                           cycle->log);

    ngx_memzero(&ngx_http_tgbot_queue_worker_timer, sizeof(ngx_event_t));

    ngx_http_tgbot_queue_worker_timer.handler = ngx_http_tgbot_queue_worker_run;
    ngx_http_tgbot_queue_worker_timer.data = &ngx_http_tgbot_queue_worker_timer;
    ngx_http_tgbot_queue_worker_timer.log = cycle->log;
    ngx_http_tgbot_queue_worker_timer.cancelable = 1;

    /* the queues may have items from before this worker */

    ngx_add_timer(&ngx_http_tgbot_queue_worker_timer, 1);
}


static void
ngx_http_tgbot_queue_worker_run(ngx_event_t *ev)
{
    ngx_uint_t             i, k, n, full;
    ngx_msec_t             wait, min;
    ngx_event_t           *timer;
    ngx_http_tgbot_bot_t  *bot;

    if (ngx_http_tgbot_queue_worker_stopped) {
        return;
    }

    full = 0;

    min = NGX_HTTP_TGBOT_QUEUE_WORKER_TIME;

    /* bots take turns in being the first */

    n = ngx_http_tgbot_queue_worker_nbots;

    for (i = 0; i < n; i++) {
        k = (ngx_http_tgbot_queue_worker_first + i) % n;
        bot = ngx_http_tgbot_queue_worker_bots[k];

        if (ngx_http_tgbot_queue_worker_allowed(bot)) {
            wait = ngx_http_tgbot_queue_worker_bot(bot, &full);
            min = ngx_min(min, wait);
        }
    }

    ngx_http_tgbot_queue_worker_first =
                                  (ngx_http_tgbot_queue_worker_first + 1) % n;

    if (full) {
        ngx_http_tgbot_bell_ring();
    }

    ngx_http_tgbot_bell_tell(!full && !ngx_exiting);

    timer = &ngx_http_tgbot_queue_worker_timer;

    if (ngx_exiting) {

        /* a timer that is not cancelable keeps the worker from its exit */

        timer->cancelable = !ngx_http_tgbot_queue_worker_left();
    }

    /* ngx_add_timer() ignores a change of a set timer by less than 300 ms */

    if (timer->timer_set) {
        ngx_del_timer(timer);
    }

    ngx_add_timer(timer, ngx_max(min, 1));
}


static ngx_uint_t
ngx_http_tgbot_queue_worker_allowed(ngx_http_tgbot_bot_t *bot)
{
    if (bot->queue == NULL || bot->unauthorized) {
        return 0;
    }

    return !ngx_exiting || ngx_http_tgbot_queue_worker_alone(bot);
}


/* whether no later cycle uses the queue, and its items stay in no file */

static ngx_uint_t
ngx_http_tgbot_queue_worker_alone(ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_zone_t  *zone;

    if (bot->queue_zone == NULL) {
        return 0;
    }

    zone = bot->queue_zone->zone;

    return !ngx_http_tgbot_zone_adopted(zone)
           && (zone->map == NULL || ngx_http_tgbot_zone_file_lost(zone));
}


/*
 * Takes the items that are ready; returns when to look again, ms.  Sets *full
 * if there may be more of them than this worker has room for.
 */

static ngx_msec_t
ngx_http_tgbot_queue_worker_bot(ngx_http_tgbot_bot_t *bot, ngx_uint_t *full)
{
    ngx_msec_t  wait;

    while (!bot->unauthorized) {

        if (!ngx_http_tgbot_queue_worker_room(bot)) {
            *full = 1;
            break;
        }

        if (bot->queue->take(bot, ngx_http_tgbot_queue_worker_start, &wait)
            != NGX_OK)
        {
            return wait;
        }
    }

    return NGX_HTTP_TGBOT_QUEUE_WORKER_TIME;
}


/*
 * A job that waits for a call slot keeps its lane from the other workers: it
 * does so only if they have no room either, and others of the bot do not.
 */

static ngx_uint_t
ngx_http_tgbot_queue_worker_room(ngx_http_tgbot_bot_t *bot)
{
    if (!ngx_http_tgbot_job_room()) {
        return 0;
    }

    return ngx_http_tgbot_call_slot_free()
           || (!ngx_http_tgbot_bell_room()
               && ngx_http_tgbot_call_slot_first(&bot->slots));
}


static ngx_int_t
ngx_http_tgbot_queue_worker_start(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_item_t *item, ngx_pool_t *pool)
{
    ngx_int_t              rc;
    ngx_http_tgbot_bot_t  *bot;
    ngx_http_tgbot_job_t  *job;

    bot = held->bot;

    rc = ngx_http_tgbot_job_restore(bot, item, pool, &job);
    if (rc != NGX_OK) {
        return rc;
    }

    if (item->head.letter && bot->dead) {
        bot->dead->taken(bot, item->head.letter, item->head.update_id);
    }

    job->queued = 1;
    job->by_api = 1;
    job->held = *held;

    /* the life of a replayed letter is longer than that of its Update */

    job->update.life = item->head.life;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: item is taken",
                   &bot->name, job->update.update_id);

    ngx_http_tgbot_job_queued_start(job);

    return NGX_OK;
}


/* whether there are items that only workers of this cycle can handle */

static ngx_uint_t
ngx_http_tgbot_queue_worker_left(void)
{
    ngx_uint_t             i;
    ngx_http_tgbot_bot_t  *bot;

    for (i = 0; i < ngx_http_tgbot_queue_worker_nbots; i++) {
        bot = ngx_http_tgbot_queue_worker_bots[i];

        if (ngx_http_tgbot_queue_worker_allowed(bot)
            && ngx_http_tgbot_queue_items(bot->queue_zone->zone)
               > ngx_http_tgbot_queue_orphaned(bot->queue_zone->zone))
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_tgbot_queue_worker_shutdown(void)
{
    if (ngx_http_tgbot_queue_worker_nbots
        && !ngx_http_tgbot_queue_worker_stopped)
    {
        ngx_http_tgbot_queue_worker_run(&ngx_http_tgbot_queue_worker_timer);
    }
}


void
ngx_http_tgbot_queue_worker_stop(void)
{
    ngx_http_tgbot_queue_worker_stopped = 1;

    if (ngx_http_tgbot_queue_worker_timer.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_queue_worker_timer);
    }

    ngx_http_tgbot_queue_wake_exit_process();
}


void
ngx_http_tgbot_queue_worker_exit_process(void)
{
    ngx_uint_t              i, n;
    ngx_http_tgbot_bot_t   *bot;
    ngx_http_tgbot_zone_t  *zone, *told;

    told = NULL;

    for (i = 0; i < ngx_http_tgbot_queue_worker_nbots; i++) {
        bot = ngx_http_tgbot_queue_worker_bots[i];

        if (bot->queue == NULL || !ngx_http_tgbot_queue_worker_alone(bot)) {
            continue;
        }

        zone = bot->queue_zone->zone;

        if (zone == told) {
            continue;
        }

        told = zone;
        n = ngx_http_tgbot_queue_items(zone);

        if (n && ngx_http_tgbot_zone_tell(zone)) {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                          "tgbot: zone \"%V\" is abandoned with %ui updates "
                          "that were accepted and are not handled",
                          &zone->shm_zone->shm.name, n);
        }
    }

    ngx_http_tgbot_queue_worker_nbots = 0;
}
