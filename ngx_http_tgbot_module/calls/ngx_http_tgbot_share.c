
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_share.h"


static void ngx_http_tgbot_share_run(ngx_http_tgbot_place_t *place);
static void ngx_http_tgbot_share_next(ngx_event_t *ev);
static ngx_http_tgbot_share_t *ngx_http_tgbot_share_turn(void);


static ngx_uint_t   ngx_http_tgbot_share_max;
static ngx_uint_t   ngx_http_tgbot_share_running;
static ngx_queue_t  ngx_http_tgbot_share_queue;
static ngx_event_t  ngx_http_tgbot_share_event;


void
ngx_http_tgbot_share_init_process(ngx_uint_t max)
{
    ngx_http_tgbot_share_max = max;
    ngx_http_tgbot_share_running = 0;
    ngx_queue_init(&ngx_http_tgbot_share_queue);

    ngx_memzero(&ngx_http_tgbot_share_event, sizeof(ngx_event_t));
    ngx_http_tgbot_share_event.handler = ngx_http_tgbot_share_next;
    ngx_http_tgbot_share_event.log = ngx_cycle->log;
}


void
ngx_http_tgbot_share_exit_process(void)
{
    ngx_http_tgbot_share_max = 0;

    if (ngx_http_tgbot_share_event.posted) {
        ngx_delete_posted_event(&ngx_http_tgbot_share_event);
    }
}


void
ngx_http_tgbot_share_enter(ngx_http_tgbot_place_t *place)
{
    ngx_http_tgbot_share_t  *share;

    share = place->share;

    if (!share->initialized) {
        ngx_queue_init(&share->waiting);
        share->initialized = 1;
    }

    if (ngx_http_tgbot_share_running < ngx_http_tgbot_share_max
        && ngx_queue_empty(&ngx_http_tgbot_share_queue))
    {
        ngx_http_tgbot_share_run(place);
        return;
    }

    place->waiting = 1;
    ngx_queue_insert_tail(&share->waiting, &place->queue);

    if (!share->queued) {
        share->queued = 1;
        ngx_queue_insert_tail(&ngx_http_tgbot_share_queue, &share->queue);
    }
}


void
ngx_http_tgbot_share_leave(ngx_http_tgbot_place_t *place)
{
    ngx_http_tgbot_share_t  *share;

    share = place->share;

    if (place->waiting) {
        place->waiting = 0;
        ngx_queue_remove(&place->queue);

        if (ngx_queue_empty(&share->waiting)) {
            share->queued = 0;
            ngx_queue_remove(&share->queue);
        }

        return;
    }

    if (!place->running) {
        return;
    }

    place->running = 0;
    share->running--;
    ngx_http_tgbot_share_running--;

    /* not from here: the caller is in the middle of something */

    if (!ngx_queue_empty(&ngx_http_tgbot_share_queue)
        && !ngx_http_tgbot_share_event.posted)
    {
        ngx_post_event(&ngx_http_tgbot_share_event, &ngx_posted_events);
    }
}


static void
ngx_http_tgbot_share_run(ngx_http_tgbot_place_t *place)
{
    place->running = 1;
    place->share->running++;
    ngx_http_tgbot_share_running++;

    place->run(place);
}


static void
ngx_http_tgbot_share_next(ngx_event_t *ev)
{
    ngx_queue_t             *q;
    ngx_http_tgbot_place_t  *place;
    ngx_http_tgbot_share_t  *share;

    while (ngx_http_tgbot_share_running < ngx_http_tgbot_share_max
           && !ngx_queue_empty(&ngx_http_tgbot_share_queue))
    {
        share = ngx_http_tgbot_share_turn();
        ngx_queue_remove(&share->queue);

        q = ngx_queue_head(&share->waiting);
        place = ngx_queue_data(q, ngx_http_tgbot_place_t, queue);
        ngx_queue_remove(&place->queue);
        place->waiting = 0;

        if (ngx_queue_empty(&share->waiting)) {
            share->queued = 0;

        } else {
            ngx_queue_insert_tail(&ngx_http_tgbot_share_queue, &share->queue);
        }

        ngx_http_tgbot_share_run(place);
    }
}


/* the first share that has not got its quarter, else just the first */

static ngx_http_tgbot_share_t *
ngx_http_tgbot_share_turn(void)
{
    ngx_uint_t               quarter;
    ngx_queue_t             *q;
    ngx_http_tgbot_share_t  *share;

    quarter = ngx_max(ngx_http_tgbot_share_max / 4, 1);

    for (q = ngx_queue_head(&ngx_http_tgbot_share_queue);
         q != ngx_queue_sentinel(&ngx_http_tgbot_share_queue);
         q = ngx_queue_next(q))
    {
        share = ngx_queue_data(q, ngx_http_tgbot_share_t, queue);

        if (share->running < quarter) {
            return share;
        }
    }

    q = ngx_queue_head(&ngx_http_tgbot_share_queue);

    return ngx_queue_data(q, ngx_http_tgbot_share_t, queue);
}
