
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_zone.h"


static void ngx_http_tgbot_queue_heap_set(ngx_http_tgbot_queue_area_t *area,
    uint32_t i, uint32_t n);
static ngx_uint_t ngx_http_tgbot_queue_heap_before(
    ngx_http_tgbot_queue_area_t *area, uint32_t a, uint32_t b);


void
ngx_http_tgbot_queue_heap_push(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item)
{
    uint32_t  i, n, up;

    n = ngx_http_tgbot_queue_number(area, item);

    for (i = area->sh->delayed++; i; i = up) {
        up = (i - 1) / 2;

        if (!ngx_http_tgbot_queue_heap_before(area, n, area->heap[up])) {
            break;
        }

        ngx_http_tgbot_queue_heap_set(area, i, area->heap[up]);

        ngx_http_tgbot_zone_stop("queue: one twice in the heap");
    }

    ngx_http_tgbot_queue_heap_set(area, i, n);
}


void
ngx_http_tgbot_queue_heap_pop(ngx_http_tgbot_queue_area_t *area)
{
    uint32_t  i, n, left, down;

    left = --area->sh->delayed;

    if (left == 0) {
        return;
    }

    n = area->heap[left];

    for (i = 0; 2 * i + 1 < left; i = down) {
        down = 2 * i + 1;

        if (down + 1 < left
            && ngx_http_tgbot_queue_heap_before(area, area->heap[down + 1],
                                                area->heap[down]))
        {
            down++;
        }

        if (!ngx_http_tgbot_queue_heap_before(area, area->heap[down], n)) {
            break;
        }

        ngx_http_tgbot_queue_heap_set(area, i, area->heap[down]);

        ngx_http_tgbot_zone_stop("queue: one missing in the heap");
    }

    ngx_http_tgbot_queue_heap_set(area, i, n);
}


static void
ngx_http_tgbot_queue_heap_set(ngx_http_tgbot_queue_area_t *area, uint32_t i,
    uint32_t n)
{
    area->heap[i] = n;

    if (i == 0) {
        area->sh->due = ngx_http_tgbot_queue_item(area, n)->due;
    }
}


static ngx_uint_t
ngx_http_tgbot_queue_heap_before(ngx_http_tgbot_queue_area_t *area,
    uint32_t a, uint32_t b)
{
    ngx_msec_t  one, other;

    one = ngx_http_tgbot_queue_item(area, a)->due;
    other = ngx_http_tgbot_queue_item(area, b)->due;

    return (ngx_msec_int_t) (one - other) < 0;
}
