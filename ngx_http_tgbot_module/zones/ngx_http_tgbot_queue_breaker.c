
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"


/* jobs that a slow start begins with */
#define NGX_HTTP_TGBOT_QUEUE_START  2


static void ngx_http_tgbot_queue_breaker_took(
    ngx_http_tgbot_queue_own_t *own, ngx_uint_t concurrency);
static void ngx_http_tgbot_queue_breaker_unavailable(
    ngx_http_tgbot_queue_own_t *own, uint64_t lane);


ngx_uint_t
ngx_http_tgbot_queue_breaker_lets(ngx_http_tgbot_queue_area_t *area,
    ngx_msec_t *wait)
{
    ngx_msec_int_t               left;
    ngx_http_tgbot_queue_own_t  *own;

    own = area->own;

    switch (own->state) {

    case NGX_HTTP_TGBOT_QUEUE_OPEN:
        break;

    case NGX_HTTP_TGBOT_QUEUE_SLOW:
        return own->asking < own->allowed;

    default: /* NGX_HTTP_TGBOT_QUEUE_CLOSED */
        return 1;
    }

    if (own->probing) {
        return 0;
    }

    left = (ngx_msec_int_t) (own->probe - ngx_current_msec);

    if (left > 0) {
        *wait = ngx_min(*wait, (ngx_msec_t) left);
        return 0;
    }

    return 1;
}


void
ngx_http_tgbot_queue_breaker_ask(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item)
{
    ngx_http_tgbot_queue_own_t  *own;

    own = area->own;

    if (own->state == NGX_HTTP_TGBOT_QUEUE_OPEN) {
        own->probing = item->item.seq;
        own->probe = ngx_current_msec + NGX_HTTP_TGBOT_QUEUE_PROBE;
    }
}


void
ngx_http_tgbot_queue_breaker_tell(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_uint_t concurrency,
    ngx_http_tgbot_queue_program_e program)
{
    ngx_http_tgbot_queue_own_t  *own;

    own = area->own;

    if (item && own->probing == item->item.seq) {
        own->probing = 0;

        /* the program was not asked: another one may go at once */

        if (program == NGX_HTTP_TGBOT_QUEUE_UNTRIED) {
            own->probe = ngx_current_msec;
        }
    }

    if (program == NGX_HTTP_TGBOT_QUEUE_TOOK) {
        ngx_http_tgbot_queue_breaker_took(own, concurrency);

    } else if (program == NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE && item) {
        ngx_http_tgbot_queue_breaker_unavailable(own, item->item.head.lane);
    }
}


void
ngx_http_tgbot_queue_breaker_lost(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item)
{
    if (area->own->probing == item->item.seq) {
        area->own->probing = 0;
    }
}


static void
ngx_http_tgbot_queue_breaker_took(ngx_http_tgbot_queue_own_t *own,
    ngx_uint_t concurrency)
{
    own->row = 0;
    own->nlanes = 0;

    switch (own->state) {

    case NGX_HTTP_TGBOT_QUEUE_OPEN:
        own->state = NGX_HTTP_TGBOT_QUEUE_SLOW;
        own->allowed = NGX_HTTP_TGBOT_QUEUE_START;
        own->probing = 0;
        break;

    case NGX_HTTP_TGBOT_QUEUE_SLOW:
        own->allowed++;
        break;

    default: /* NGX_HTTP_TGBOT_QUEUE_CLOSED */
        return;
    }

    if (own->allowed >= concurrency) {
        own->state = NGX_HTTP_TGBOT_QUEUE_CLOSED;
    }
}


static void
ngx_http_tgbot_queue_breaker_unavailable(ngx_http_tgbot_queue_own_t *own,
    uint64_t lane)
{
    ngx_uint_t  i;

    if (own->state == NGX_HTTP_TGBOT_QUEUE_OPEN) {
        return;
    }

    if (own->state == NGX_HTTP_TGBOT_QUEUE_CLOSED) {
        own->row++;

        for (i = 0; i < own->nlanes; i++) {
            if (own->lane[i] == lane) {
                break;
            }
        }

        if (i == own->nlanes && i < NGX_HTTP_TGBOT_QUEUE_BREAK_LANES) {
            own->lane[own->nlanes++] = lane;
        }

        if (own->row < NGX_HTTP_TGBOT_QUEUE_BREAK
            || own->nlanes < NGX_HTTP_TGBOT_QUEUE_BREAK_LANES)
        {
            return;
        }
    }

    own->state = NGX_HTTP_TGBOT_QUEUE_OPEN;
    own->probe = ngx_current_msec + NGX_HTTP_TGBOT_QUEUE_PROBE;
    own->probing = 0;
}
