
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_slot.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/* of delayed ones that are due so many become ready at once */
#define NGX_HTTP_TGBOT_QUEUE_DUE  64


static uint32_t *ngx_http_tgbot_queue_lane_hash(
    ngx_http_tgbot_queue_area_t *area, ngx_uint_t entry, uint64_t lane);
static uint32_t *ngx_http_tgbot_queue_lane_chain(
    ngx_http_tgbot_queue_area_t *area, ngx_http_tgbot_queue_item_t *item);
static void ngx_http_tgbot_queue_lane_place(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);
static void ngx_http_tgbot_queue_lane_ready(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_uint_t front);
static void ngx_http_tgbot_queue_lane_unlink(
    ngx_http_tgbot_queue_area_t *area, ngx_http_tgbot_queue_item_t *item);


void
ngx_http_tgbot_queue_lane_open(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_zone_t *zone)
{
    u_char  *p;

    ngx_http_tgbot_store_open(&area->store, zone);

    p = area->store.tables;

    area->sh = (ngx_http_tgbot_queue_sh_t *) p;

    area->heads = (uint32_t *) (p + NGX_HTTP_TGBOT_QUEUE_HEADER);
    area->heap = area->heads + area->sh->nheads;

    area->links.first = area->store.chain.blocks[0].data
                        + offsetof(ngx_http_tgbot_queue_item_t, link);
    area->links.size = sizeof(ngx_http_tgbot_block_t);
}


void
ngx_http_tgbot_queue_lane_empty(ngx_http_tgbot_queue_area_t *area)
{
    ngx_memset(area->heads, 0xff,
               (size_t) area->sh->nheads * sizeof(uint32_t));

    area->sh->delayed = 0;
}


void
ngx_http_tgbot_queue_lane_clear(ngx_http_tgbot_queue_own_t *own)
{
    size_t      offset;
    ngx_uint_t  i;

    offset = offsetof(ngx_http_tgbot_queue_own_t, list);

    ngx_memzero((u_char *) own + offset,
                sizeof(ngx_http_tgbot_queue_own_t) - offset);

    for (i = 0; i < NGX_HTTP_TGBOT_QUEUE_LISTS; i++) {
        ngx_http_tgbot_list_init(&own->list[i]);
    }
}


ngx_http_tgbot_queue_item_t *
ngx_http_tgbot_queue_lane_find(ngx_http_tgbot_queue_area_t *area,
    ngx_uint_t entry, uint64_t lane)
{
    uint32_t                      n;
    ngx_http_tgbot_queue_item_t  *head;

    n = *ngx_http_tgbot_queue_lane_hash(area, entry, lane);

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        head = ngx_http_tgbot_queue_item(area, n);

        if (head->item.head.lane == lane && head->item.entry == entry) {
            return head;
        }

        n = head->chain;
    }

    return NULL;
}


void
ngx_http_tgbot_queue_lane_add(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item)
{
    uint32_t                      n, *chain;
    ngx_http_tgbot_queue_item_t  *head;

    n = ngx_http_tgbot_queue_number(area, item);

    head = ngx_http_tgbot_queue_lane_find(area, item->item.entry,
                                          item->item.head.lane);

    item->behind = NGX_HTTP_TGBOT_LIST_NIL;

    if (head) {
        item->place = NGX_HTTP_TGBOT_QUEUE_BEHIND;

        ngx_http_tgbot_queue_item(area, head->tail)->behind = n;

        ngx_http_tgbot_zone_stop("queue: item behind");

        head->tail = n;

        return;
    }

    chain = ngx_http_tgbot_queue_lane_hash(area, item->item.entry,
                                           item->item.head.lane);
    item->tail = n;
    item->chain = *chain;
    *chain = n;

    ngx_http_tgbot_zone_stop("queue: lane hashed");

    ngx_http_tgbot_queue_own(area, item->item.entry)->lanes++;

    ngx_http_tgbot_queue_lane_place(area, item);
}


void
ngx_http_tgbot_queue_lane_lease(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_http_tgbot_lease_t *lease)
{
    ngx_http_tgbot_queue_lane_unlink(area, item);

    ngx_http_tgbot_zone_stop("queue: item not ready");

    /* without a token it is none */

    item->lease.slot = lease->slot;
    item->lease.epoch = lease->epoch;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("queue: half leased");

    item->lease.token = lease->token;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("queue: item leased");

    ngx_http_tgbot_queue_lane_place(area, item);
}


void
ngx_http_tgbot_queue_lane_free(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_uint_t front)
{
    item->lease.token = 0;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("queue: lease over");

    ngx_http_tgbot_queue_lane_unlink(area, item);

    if (front) {
        ngx_http_tgbot_queue_lane_ready(area, item, 1);

    } else {
        ngx_http_tgbot_queue_lane_place(area, item);
    }
}


void
ngx_http_tgbot_queue_lane_remove(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item)
{
    uint32_t                     *chain;
    ngx_http_tgbot_queue_item_t  *head;

    ngx_http_tgbot_queue_lane_unlink(area, item);

    chain = ngx_http_tgbot_queue_lane_chain(area, item);

    if (item->behind == NGX_HTTP_TGBOT_LIST_NIL) {
        *chain = item->chain;
        ngx_http_tgbot_queue_own(area, item->item.entry)->lanes--;
        return;
    }

    head = ngx_http_tgbot_queue_item(area, item->behind);

    head->tail = item->tail;
    head->chain = item->chain;
    *chain = item->behind;

    ngx_http_tgbot_zone_stop("queue: another head");

    ngx_http_tgbot_queue_lane_ready(area, head, 0);
}


void
ngx_http_tgbot_queue_lane_due(ngx_http_tgbot_queue_area_t *area)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_queue_item_t  *item;

    for (i = 0; i < NGX_HTTP_TGBOT_QUEUE_DUE; i++) {

        if (area->sh->delayed == 0) {
            return;
        }

        item = ngx_http_tgbot_queue_item(area, area->heap[0]);

        if ((ngx_msec_int_t) (item->due - ngx_current_msec) > 0) {
            return;
        }

        ngx_http_tgbot_queue_heap_pop(area);

        ngx_http_tgbot_queue_own(area, item->item.entry)->delayed--;

        ngx_http_tgbot_queue_lane_ready(area, item, 0);
    }
}


/*
 * Lanes are random already, but of those who may know how: this is universal
 * where nobody knows the seed.
 */

static uint32_t *
ngx_http_tgbot_queue_lane_hash(ngx_http_tgbot_queue_area_t *area,
    ngx_uint_t entry, uint64_t lane)
{
    uint64_t  hash;

    hash = (lane + entry * 0x9e3779b97f4a7c15ULL) * area->sh->seed;

    return &area->heads[hash >> area->sh->shift];
}


/* what says that the lane begins with this item */

static uint32_t *
ngx_http_tgbot_queue_lane_chain(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item)
{
    uint32_t  n, *chain;

    n = ngx_http_tgbot_queue_number(area, item);

    chain = ngx_http_tgbot_queue_lane_hash(area, item->item.entry,
                                           item->item.head.lane);

    while (*chain != n) {
        chain = &ngx_http_tgbot_queue_item(area, *chain)->chain;
    }

    return chain;
}


static void
ngx_http_tgbot_queue_lane_place(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item)
{
    ngx_http_tgbot_queue_own_t  *own;

    own = ngx_http_tgbot_queue_own(area, item->item.entry);

    if (item->lease.token) {
        item->place = NGX_HTTP_TGBOT_QUEUE_INFLIGHT;

        ngx_http_tgbot_list_append(&area->links, &own->list[item->place],
                                   ngx_http_tgbot_queue_number(area, item));

        own->asking += (item->item.answer == NGX_HTTP_TGBOT_LIST_NIL);

        return;
    }

    if ((ngx_msec_int_t) (item->due - ngx_current_msec) > 0) {
        item->place = NGX_HTTP_TGBOT_QUEUE_DELAYED;

        ngx_http_tgbot_queue_heap_push(area, item);

        own->delayed++;

        return;
    }

    ngx_http_tgbot_queue_lane_ready(area, item, 0);
}


static void
ngx_http_tgbot_queue_lane_ready(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_uint_t front)
{
    uint32_t                     n;
    ngx_http_tgbot_list_t       *list;
    ngx_http_tgbot_queue_own_t  *own;

    own = ngx_http_tgbot_queue_own(area, item->item.entry);

    item->place = (item->item.answer == NGX_HTTP_TGBOT_LIST_NIL)
                      ? NGX_HTTP_TGBOT_QUEUE_READY
                      : NGX_HTTP_TGBOT_QUEUE_ANSWERED;

    n = ngx_http_tgbot_queue_number(area, item);
    list = &own->list[item->place];

    /* turns tell the order of two lists that are one to those who may both */

    if (front) {
        item->turn = --own->first;
        ngx_http_tgbot_list_prepend(&area->links, list, n);

    } else {
        item->turn = ++own->last;
        ngx_http_tgbot_list_append(&area->links, list, n);
    }
}


static void
ngx_http_tgbot_queue_lane_unlink(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item)
{
    ngx_http_tgbot_queue_own_t  *own;

    own = ngx_http_tgbot_queue_own(area, item->item.entry);

    if (item->place == NGX_HTTP_TGBOT_QUEUE_INFLIGHT) {
        own->asking -= (item->item.answer == NGX_HTTP_TGBOT_LIST_NIL);
    }

    ngx_http_tgbot_list_remove(&area->links, &own->list[item->place],
                               ngx_http_tgbot_queue_number(area, item));
}
