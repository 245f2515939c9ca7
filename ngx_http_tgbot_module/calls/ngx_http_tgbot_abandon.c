
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_abandon.h"


/* abandoned requests of a worker: each holds its buffers */
#define NGX_HTTP_TGBOT_ABANDON_MAX   1024

/* time between two checks of abandoned requests, ms */
#define NGX_HTTP_TGBOT_ABANDON_TIME  1000


static void ngx_http_tgbot_abandon_over(ngx_http_tgbot_detached_t *d);
static void ngx_http_tgbot_abandon_timer(ngx_event_t *ev);
static void ngx_http_tgbot_abandon_free(ngx_http_tgbot_detached_t *d);
static ngx_http_tgbot_detached_t *ngx_http_tgbot_abandon_find(
    ngx_pool_t *pool);


static ngx_queue_t       ngx_http_tgbot_abandon_queue;
static ngx_uint_t        ngx_http_tgbot_abandon_n;
static ngx_event_t       ngx_http_tgbot_abandon_event;
static ngx_connection_t  ngx_http_tgbot_abandon_dummy;   /* for debug logs */


ngx_int_t
ngx_http_tgbot_abandon(ngx_http_tgbot_detached_t *d, ngx_pool_t *pool)
{
    ngx_event_t  *ev;

    if (ngx_http_tgbot_abandon_n == NGX_HTTP_TGBOT_ABANDON_MAX) {
        return NGX_DECLINED;
    }

    if (ngx_http_tgbot_abandon_n++ == 0) {
        ngx_queue_init(&ngx_http_tgbot_abandon_queue);
    }

    ngx_queue_insert_tail(&ngx_http_tgbot_abandon_queue, &d->queue);

    d->over = ngx_http_tgbot_abandon_over;
    d->data = NULL;
    d->memory = pool;
    d->owner = 0;

    ngx_http_tgbot_detached_disown(d);

    ev = &ngx_http_tgbot_abandon_event;

    if (!ev->timer_set) {
        ev->handler = ngx_http_tgbot_abandon_timer;
        ev->data = &ngx_http_tgbot_abandon_dummy;
        ev->log = ngx_cycle->log;
        ev->cancelable = 1;

        ngx_add_timer(ev, NGX_HTTP_TGBOT_ABANDON_TIME);
    }

    return NGX_OK;
}


/* a reference may outlive the subrequest, so the timer frees the request */

static void
ngx_http_tgbot_abandon_over(ngx_http_tgbot_detached_t *d)
{
    /* void */
}


static void
ngx_http_tgbot_abandon_timer(ngx_event_t *ev)
{
    ngx_queue_t                *q, *next;
    ngx_http_tgbot_detached_t  *d;

    for (q = ngx_queue_head(&ngx_http_tgbot_abandon_queue);
         q != ngx_queue_sentinel(&ngx_http_tgbot_abandon_queue);
         q = next)
    {
        next = ngx_queue_next(q);
        d = ngx_queue_data(q, ngx_http_tgbot_detached_t, queue);

        /* an exiting worker does not wait for references of other modules */

        if (ngx_exiting ? !d->request->blocked
                        : !ngx_http_tgbot_detached_held(d))
        {
            ngx_http_tgbot_abandon_free(d);
        }
    }

    if (ngx_http_tgbot_abandon_n) {
        ngx_add_timer(ev, NGX_HTTP_TGBOT_ABANDON_TIME);
    }
}


static void
ngx_http_tgbot_abandon_free(ngx_http_tgbot_detached_t *d)
{
    ngx_pool_t                 *pool;
    ngx_http_tgbot_detached_t  *other;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, d->connection.log, 0,
                   "tgbot abandoned request is freed");

    ngx_queue_remove(&d->queue);
    ngx_http_tgbot_abandon_n--;

    pool = d->owner ? d->memory : NULL;

    ngx_http_tgbot_detached_free(d);

    if (pool == NULL) {
        return;
    }

    other = ngx_http_tgbot_abandon_find(pool);

    if (other) {
        other->owner = 1;

    } else {
        ngx_destroy_pool(pool);
    }
}


void
ngx_http_tgbot_abandon_pool(ngx_pool_t *pool)
{
    ngx_http_tgbot_detached_t  *d;

    d = ngx_http_tgbot_abandon_find(pool);

    if (d) {
        d->owner = 1;
        return;
    }

    ngx_destroy_pool(pool);
}


static ngx_http_tgbot_detached_t *
ngx_http_tgbot_abandon_find(ngx_pool_t *pool)
{
    ngx_queue_t                *q;
    ngx_http_tgbot_detached_t  *d;

    if (ngx_http_tgbot_abandon_n == 0) {
        return NULL;
    }

    for (q = ngx_queue_head(&ngx_http_tgbot_abandon_queue);
         q != ngx_queue_sentinel(&ngx_http_tgbot_abandon_queue);
         q = ngx_queue_next(q))
    {
        d = ngx_queue_data(q, ngx_http_tgbot_detached_t, queue);

        if (d->memory == pool) {
            return d;
        }
    }

    return NULL;
}


void
ngx_http_tgbot_abandon_exit_process(void)
{
    ngx_queue_t  *q;

    while (ngx_http_tgbot_abandon_n) {
        q = ngx_queue_head(&ngx_http_tgbot_abandon_queue);

        ngx_http_tgbot_abandon_free(
            ngx_queue_data(q, ngx_http_tgbot_detached_t, queue));
    }

    if (ngx_http_tgbot_abandon_event.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_abandon_event);
    }
}
