
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_wait.h"


static void ngx_http_tgbot_wait_look(ngx_event_t *ev);


void
ngx_http_tgbot_waits_init(ngx_http_tgbot_waits_t *waits, ngx_msec_t interval,
    ngx_log_t *log)
{
    ngx_memzero(waits, sizeof(ngx_http_tgbot_waits_t));

    ngx_queue_init(&waits->queue);

    waits->interval = interval;

    waits->timer.handler = ngx_http_tgbot_wait_look;
    waits->timer.data = waits;
    waits->timer.log = log;

    /* the owners have their own timers, which keep the worker from its exit */

    waits->timer.cancelable = 1;
}


void
ngx_http_tgbot_wait(ngx_http_tgbot_waits_t *waits, ngx_http_tgbot_wait_t *wait)
{
    wait->queued = 1;
    ngx_queue_insert_tail(&waits->queue, &wait->queue);

    if (!waits->timer.timer_set) {
        ngx_add_timer(&waits->timer, waits->interval);
    }
}


void
ngx_http_tgbot_wait_leave(ngx_http_tgbot_wait_t *wait)
{
    if (wait->queued) {
        wait->queued = 0;
        ngx_queue_remove(&wait->queue);
    }

    if (wait->event.posted) {
        ngx_delete_posted_event(&wait->event);
    }
}


void
ngx_http_tgbot_waits_resume(ngx_http_tgbot_waits_t *waits,
    ngx_http_tgbot_zone_t *zone, u_char *key)
{
    ngx_queue_t            *q, *next;
    ngx_http_tgbot_wait_t  *wait;

    for (q = ngx_queue_head(&waits->queue);
         q != ngx_queue_sentinel(&waits->queue);
         q = next)
    {
        next = ngx_queue_next(q);

        wait = ngx_queue_data(q, ngx_http_tgbot_wait_t, queue);

        if (zone == NULL
            || (zone == wait->zone
                && ngx_memcmp(key, wait->key, NGX_HTTP_TGBOT_WAIT_KEY) == 0))
        {
            wait->queued = 0;
            ngx_queue_remove(&wait->queue);

            ngx_post_event(&wait->event, &ngx_posted_events);
        }
    }
}


static void
ngx_http_tgbot_wait_look(ngx_event_t *ev)
{
    ngx_http_tgbot_waits_resume(ev->data, NULL, NULL);
}
