
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_call_slot.h"


static void ngx_http_tgbot_call_slot_run(ngx_http_tgbot_call_slot_t *slot);
static void ngx_http_tgbot_call_slot_next(ngx_event_t *ev);
static ngx_http_tgbot_call_slots_t *ngx_http_tgbot_call_slot_turn(void);


/* the slots of a bot that others wait for */
#define ngx_http_tgbot_call_slot_quarter()                                    \
    ngx_max(ngx_http_tgbot_call_slot_max / 4, 1)


static ngx_uint_t   ngx_http_tgbot_call_slot_max;
static ngx_uint_t   ngx_http_tgbot_call_slot_running;
static ngx_queue_t  ngx_http_tgbot_call_slot_queue;
static ngx_event_t  ngx_http_tgbot_call_slot_event;
static void       (*ngx_http_tgbot_call_slot_left)(void);


void
ngx_http_tgbot_call_slot_init_process(ngx_uint_t max, void (*left)(void))
{
    ngx_http_tgbot_call_slot_max = max;
    ngx_http_tgbot_call_slot_left = left;
    ngx_http_tgbot_call_slot_running = 0;
    ngx_queue_init(&ngx_http_tgbot_call_slot_queue);

    ngx_memzero(&ngx_http_tgbot_call_slot_event, sizeof(ngx_event_t));
    ngx_http_tgbot_call_slot_event.handler = ngx_http_tgbot_call_slot_next;
    ngx_http_tgbot_call_slot_event.log = ngx_cycle->log;
}


void
ngx_http_tgbot_call_slot_exit_process(void)
{
    ngx_http_tgbot_call_slot_max = 0;
    ngx_http_tgbot_call_slot_left = NULL;

    if (ngx_http_tgbot_call_slot_event.posted) {
        ngx_delete_posted_event(&ngx_http_tgbot_call_slot_event);
    }
}


void
ngx_http_tgbot_call_slot_enter(ngx_http_tgbot_call_slot_t *slot)
{
    ngx_http_tgbot_call_slots_t  *slots;

    slots = slot->slots;

    if (!slots->initialized) {
        ngx_queue_init(&slots->waiting);
        slots->initialized = 1;
    }

    if (ngx_http_tgbot_call_slot_free()) {
        ngx_http_tgbot_call_slot_run(slot);
        return;
    }

    slot->waiting = 1;
    ngx_queue_insert_tail(&slots->waiting, &slot->queue);

    if (!slots->queued) {
        slots->queued = 1;
        ngx_queue_insert_tail(&ngx_http_tgbot_call_slot_queue, &slots->queue);
    }
}


ngx_uint_t
ngx_http_tgbot_call_slot_free(void)
{
    return ngx_http_tgbot_call_slot_running < ngx_http_tgbot_call_slot_max
           && ngx_queue_empty(&ngx_http_tgbot_call_slot_queue);
}


ngx_uint_t
ngx_http_tgbot_call_slot_first(ngx_http_tgbot_call_slots_t *slots)
{
    return !slots->queued
           && slots->running < ngx_http_tgbot_call_slot_quarter();
}


void
ngx_http_tgbot_call_slot_leave(ngx_http_tgbot_call_slot_t *slot)
{
    ngx_http_tgbot_call_slots_t  *slots;

    slots = slot->slots;

    if (slot->waiting) {
        slot->waiting = 0;
        ngx_queue_remove(&slot->queue);

        if (ngx_queue_empty(&slots->waiting)) {
            slots->queued = 0;
            ngx_queue_remove(&slots->queue);
        }

        return;
    }

    if (!slot->running) {
        return;
    }

    slot->running = 0;
    slots->running--;
    ngx_http_tgbot_call_slot_running--;

    /* the next call starts from an event, not from inside the caller */

    if (!ngx_queue_empty(&ngx_http_tgbot_call_slot_queue)) {

        if (!ngx_http_tgbot_call_slot_event.posted) {
            ngx_post_event(&ngx_http_tgbot_call_slot_event,
                           &ngx_posted_events);
        }

    } else if (ngx_http_tgbot_call_slot_left
               && ngx_http_tgbot_call_slot_running + 1
                  == ngx_http_tgbot_call_slot_max)
    {
        ngx_http_tgbot_call_slot_left();
    }
}


static void
ngx_http_tgbot_call_slot_run(ngx_http_tgbot_call_slot_t *slot)
{
    slot->running = 1;
    slot->slots->running++;
    ngx_http_tgbot_call_slot_running++;

    slot->run(slot);
}


static void
ngx_http_tgbot_call_slot_next(ngx_event_t *ev)
{
    ngx_queue_t                  *q;
    ngx_http_tgbot_call_slot_t   *slot;
    ngx_http_tgbot_call_slots_t  *slots;

    while (ngx_http_tgbot_call_slot_running < ngx_http_tgbot_call_slot_max
           && !ngx_queue_empty(&ngx_http_tgbot_call_slot_queue))
    {
        slots = ngx_http_tgbot_call_slot_turn();
        ngx_queue_remove(&slots->queue);

        q = ngx_queue_head(&slots->waiting);
        slot = ngx_queue_data(q, ngx_http_tgbot_call_slot_t, queue);
        ngx_queue_remove(&slot->queue);
        slot->waiting = 0;

        if (ngx_queue_empty(&slots->waiting)) {
            slots->queued = 0;

        } else {
            ngx_queue_insert_tail(&ngx_http_tgbot_call_slot_queue,
                                  &slots->queue);
        }

        ngx_http_tgbot_call_slot_run(slot);
    }
}


/* returns the first bot with less than a quarter, or else the first one */

static ngx_http_tgbot_call_slots_t *
ngx_http_tgbot_call_slot_turn(void)
{
    ngx_queue_t                  *q;
    ngx_http_tgbot_call_slots_t  *slots;

    for (q = ngx_queue_head(&ngx_http_tgbot_call_slot_queue);
         q != ngx_queue_sentinel(&ngx_http_tgbot_call_slot_queue);
         q = ngx_queue_next(q))
    {
        slots = ngx_queue_data(q, ngx_http_tgbot_call_slots_t, queue);

        if (slots->running < ngx_http_tgbot_call_slot_quarter()) {
            return slots;
        }
    }

    q = ngx_queue_head(&ngx_http_tgbot_call_slot_queue);

    return ngx_queue_data(q, ngx_http_tgbot_call_slots_t, queue);
}
