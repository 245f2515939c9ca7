
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_cache_wait.h"


#define NGX_HTTP_TGBOT_CACHE_WAIT_POLL  100


static void ngx_http_tgbot_cache_wait_post(ngx_http_tgbot_cache_wait_t *wait);
static void ngx_http_tgbot_cache_wait_handler(ngx_event_t *ev);
static void ngx_http_tgbot_cache_wait_poll(ngx_event_t *ev);


static ngx_queue_t  ngx_http_tgbot_cache_wait_queue;
static ngx_event_t  ngx_http_tgbot_cache_wait_timer;


void
ngx_http_tgbot_cache_wait_init_process(ngx_log_t *log)
{
    ngx_event_t  *ev;

    ngx_queue_init(&ngx_http_tgbot_cache_wait_queue);

    ev = &ngx_http_tgbot_cache_wait_timer;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_tgbot_cache_wait_poll;
    ev->data = &ngx_http_tgbot_cache_wait_timer;
    ev->log = log;

    /* the waiters have their own timers, which keep the worker from its exit */

    ev->cancelable = 1;
}


void
ngx_http_tgbot_cache_wait_add(ngx_http_tgbot_cache_wait_t *wait)
{
    wait->active = 1;
    wait->event.handler = ngx_http_tgbot_cache_wait_handler;
    wait->event.data = wait;
    wait->event.log = wait->log;

    ngx_queue_insert_tail(&ngx_http_tgbot_cache_wait_queue, &wait->queue);

    if (!ngx_http_tgbot_cache_wait_timer.timer_set) {
        ngx_add_timer(&ngx_http_tgbot_cache_wait_timer,
                      NGX_HTTP_TGBOT_CACHE_WAIT_POLL);
    }
}


void
ngx_http_tgbot_cache_wait_remove(ngx_http_tgbot_cache_wait_t *wait)
{
    if (!wait->active) {
        return;
    }

    wait->active = 0;

    if (wait->event.posted) {
        ngx_delete_posted_event(&wait->event);
    }

    ngx_queue_remove(&wait->queue);

    if (ngx_queue_empty(&ngx_http_tgbot_cache_wait_queue)
        && ngx_http_tgbot_cache_wait_timer.timer_set)
    {
        ngx_del_timer(&ngx_http_tgbot_cache_wait_timer);
    }
}


void
ngx_http_tgbot_cache_wait_resume(ngx_http_tgbot_cache_t *cache)
{
    ngx_queue_t                  *q;
    ngx_http_tgbot_cache_wait_t  *wait;

    for (q = ngx_queue_head(&ngx_http_tgbot_cache_wait_queue);
         q != ngx_queue_sentinel(&ngx_http_tgbot_cache_wait_queue);
         q = ngx_queue_next(q))
    {
        wait = ngx_queue_data(q, ngx_http_tgbot_cache_wait_t, queue);

        if (wait->cache->zone == cache->zone
            && ngx_memcmp(wait->cache->key, cache->key,
                          NGX_HTTP_TGBOT_CACHE_KEY)
               == 0)
        {
            ngx_http_tgbot_cache_wait_post(wait);
        }
    }
}


static void
ngx_http_tgbot_cache_wait_post(ngx_http_tgbot_cache_wait_t *wait)
{
    ngx_post_event(&wait->event, &ngx_posted_events);
}


static void
ngx_http_tgbot_cache_wait_handler(ngx_event_t *ev)
{
    ngx_http_tgbot_cache_wait_t  *wait;

    wait = ev->data;

    ngx_http_tgbot_cache_wait_remove(wait);

    wait->ready(wait);
}


static void
ngx_http_tgbot_cache_wait_poll(ngx_event_t *ev)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&ngx_http_tgbot_cache_wait_queue);
         q != ngx_queue_sentinel(&ngx_http_tgbot_cache_wait_queue);
         q = ngx_queue_next(q))
    {
        ngx_http_tgbot_cache_wait_post(
                        ngx_queue_data(q, ngx_http_tgbot_cache_wait_t, queue));
    }

    if (!ngx_queue_empty(&ngx_http_tgbot_cache_wait_queue)) {
        ngx_add_timer(ev, NGX_HTTP_TGBOT_CACHE_WAIT_POLL);
    }
}
