
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/* so many delayed heads become ready at once */
#define NGX_HTTP_TGBOT_QUEUE_DUE  64


/* jobs at the beginning of a slow start */
#define NGX_HTTP_TGBOT_QUEUE_START  2


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
static void ngx_http_tgbot_queue_heap_push(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);
static void ngx_http_tgbot_queue_heap_pop(ngx_http_tgbot_queue_area_t *area);
static void ngx_http_tgbot_queue_heap_set(ngx_http_tgbot_queue_area_t *area,
    uint32_t i, uint32_t n);
static ngx_uint_t ngx_http_tgbot_queue_heap_before(
    ngx_http_tgbot_queue_area_t *area, uint32_t a, uint32_t b);
static void ngx_http_tgbot_queue_breaker_took(
    ngx_http_tgbot_queue_own_t *own, ngx_uint_t concurrency);
static void ngx_http_tgbot_queue_breaker_unavailable(
    ngx_http_tgbot_queue_own_t *own, uint64_t lane);
static void ngx_http_tgbot_queue_repair_books(
    ngx_http_tgbot_store_entry_t *entry, ngx_http_tgbot_queue_own_t *own,
    ngx_http_tgbot_queue_event_e gone);


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

    /* the token is written last: a lease without a token is no lease */

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

        if ((ngx_msec_int_t) (item->due - ngx_http_tgbot_queue_now(area)) > 0) {
            return;
        }

        ngx_http_tgbot_queue_heap_pop(area);

        ngx_http_tgbot_queue_own(area, item->item.entry)->delayed--;

        ngx_http_tgbot_queue_lane_ready(area, item, 0);
    }
}


/*
 * A lane is an MD5 of a key, so clients could search for keys whose lanes
 * collide here.  Multiplication by a secret seed prevents that.
 */

static uint32_t *
ngx_http_tgbot_queue_lane_hash(ngx_http_tgbot_queue_area_t *area,
    ngx_uint_t entry, uint64_t lane)
{
    uint64_t  hash;

    hash = (lane + entry * 0x9e3779b97f4a7c15ULL) * area->sh->seed;

    return &area->heads[hash >> area->sh->shift];
}


/* returns the pointer in the hash that leads to this head */

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

    if ((ngx_msec_int_t) (item->due - ngx_http_tgbot_queue_now(area)) > 0) {
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

    /* the turn orders the heads of both lists, READY and ANSWERED */

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


static void
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


static void
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


void
ngx_http_tgbot_queue_repair(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_event_e gone)
{
    ngx_uint_t                     i, n;
    ngx_http_tgbot_store_t        *store;
    ngx_http_tgbot_queue_item_t   *item;
    ngx_http_tgbot_store_entry_t  *entry;

    store = &area->store;
    n = store->sh->bots.n;

    ngx_http_tgbot_store_repair(store);

    ngx_http_tgbot_zone_stop("queue: store repaired");

    ngx_http_tgbot_queue_lane_empty(area);

    for (i = 0; i < n; i++) {
        ngx_http_tgbot_queue_lane_clear(ngx_http_tgbot_queue_own(area, i));
    }

    for (i = 0; i < n; i++) {
        entry = &store->entries[i];

        if (entry->bot.serial == 0) {
            continue;
        }

        for (item = ngx_http_tgbot_store_next(store, i, NULL);
             item;
             item = ngx_http_tgbot_store_next(store, i, item))
        {
            ngx_http_tgbot_queue_lane_add(area, item);
        }

        ngx_http_tgbot_zone_stop("queue: lanes made");

        ngx_http_tgbot_queue_repair_books(entry,
                                          ngx_http_tgbot_queue_own(area, i),
                                          gone);
    }
}


/*
 * Counts an item whose process died before it could count the item; what a
 * crash of the machine left may have lost its count
 */

static void
ngx_http_tgbot_queue_repair_books(ngx_http_tgbot_store_entry_t *entry,
    ngx_http_tgbot_queue_own_t *own, ngx_http_tgbot_queue_event_e gone)
{
    int64_t   diff;
    uint64_t  came, went;

    came = own->events[NGX_HTTP_TGBOT_QUEUE_ACCEPTED]
           + own->events[NGX_HTTP_TGBOT_QUEUE_REPLAYED]
           + own->events[NGX_HTTP_TGBOT_QUEUE_LOADED];

    went = own->events[NGX_HTTP_TGBOT_QUEUE_DONE]
           + own->events[NGX_HTTP_TGBOT_QUEUE_DEAD]
           + own->events[NGX_HTTP_TGBOT_QUEUE_EXPIRED]
           + own->events[NGX_HTTP_TGBOT_QUEUE_DROPPED];

    diff = (int64_t) (went + entry->items.n - came);

    if (diff > 0) {
        own->events[(gone == NGX_HTTP_TGBOT_QUEUE_DROPPED)
                        ? NGX_HTTP_TGBOT_QUEUE_LOADED
                        : NGX_HTTP_TGBOT_QUEUE_ACCEPTED] += diff;

    } else if (diff < 0) {
        own->events[gone] += -diff;
    }
}
