
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/* status shows a queue as full if an Update of so many bytes does not fit */
#define NGX_HTTP_TGBOT_QUEUE_ORDINARY     4096


/* time between two checks of the leases, ms */
#define NGX_HTTP_TGBOT_QUEUE_REAP  250


static ngx_int_t ngx_http_tgbot_queue_fits(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_area_t *area, ngx_http_tgbot_item_t *item);
static ngx_uint_t ngx_http_tgbot_queue_alone(
    ngx_http_tgbot_queue_area_t *area);
static ngx_http_tgbot_queue_item_t *ngx_http_tgbot_queue_search(
    ngx_http_tgbot_queue_t *queue, ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_head_t *head);
static ngx_msec_t ngx_http_tgbot_queue_oldest(
    ngx_http_tgbot_queue_area_t *area);
static ngx_uint_t ngx_http_tgbot_queue_idle(ngx_http_tgbot_queue_t *queue,
    ngx_msec_t *wait);
static ngx_uint_t ngx_http_tgbot_queue_unreaped(
    ngx_http_tgbot_queue_own_t *own);
static ngx_int_t ngx_http_tgbot_queue_lock(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_area_t *area);
static ngx_http_tgbot_queue_item_t *ngx_http_tgbot_queue_pick(
    ngx_http_tgbot_queue_t *queue, ngx_http_tgbot_queue_area_t *area,
    ngx_msec_t *wait);
static void ngx_http_tgbot_queue_reap(ngx_http_tgbot_queue_area_t *area);
static ngx_int_t ngx_http_tgbot_queue_keep(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *it, ngx_http_tgbot_item_t *item);
static ngx_http_tgbot_queue_item_t *ngx_http_tgbot_queue_held(
    ngx_http_tgbot_queue_t *queue, ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_taken_t *taken);
static void ngx_http_tgbot_queue_tell(ngx_http_tgbot_store_t *store,
    void *item, void *told);
static ngx_int_t ngx_http_tgbot_queue_zone_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static ngx_int_t ngx_http_tgbot_queue_zone_replaces(
    ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_queue_zone_carve(
    ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_queue_zone_measure(
    ngx_http_tgbot_queue_area_t *area, ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_queue_zone_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);
static void ngx_http_tgbot_queue_zone_end(ngx_http_tgbot_store_t *store,
    void *item);
static ngx_int_t ngx_http_tgbot_queue_zone_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old);
static ngx_int_t ngx_http_tgbot_queue_zone_copy_item(void *user, void *told);
static void ngx_http_tgbot_queue_zone_clear(void *own);
static void ngx_http_tgbot_queue_zone_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_queue_zone = {
    17, "queue",
    NGX_HTTP_TGBOT_STORE_MIN,
    ngx_http_tgbot_queue_zone_init,
    ngx_http_tgbot_queue_zone_open,
    ngx_http_tgbot_queue_zone_copy,
    NGX_HTTP_TGBOT_ZONE_KEEP
};


uint64_t
ngx_http_tgbot_queue_lane(ngx_str_t *key)
{
    u_char     hash[16];
    uint64_t   lane;
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, key->data, key->len);
    ngx_md5_final(hash, &md5);

    ngx_memcpy(&lane, hash, sizeof(uint64_t));

    return lane;
}


ngx_int_t
ngx_http_tgbot_queue_put(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_item_t *item, ngx_http_tgbot_queue_event_e event,
    ngx_msec_t *age)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    *age = 0;

    rc = ngx_http_tgbot_queue_lock(queue, &area);

    rc = (rc == NGX_OK) ? ngx_http_tgbot_queue_fits(queue, &area, item)
                        : NGX_AGAIN;

    if (rc != NGX_OK) {
        *age = area.entry ? ngx_http_tgbot_queue_oldest(&area) : 0;

        ngx_http_tgbot_zone_unlock(queue->zone);

        return rc;
    }

    it = ngx_http_tgbot_store_add(&area.store, queue->entry, item);

    it->due = ngx_http_tgbot_queue_now(&area)
              + ngx_min(item->delay, NGX_HTTP_TGBOT_QUEUE_DELAY_MAX);

    ngx_http_tgbot_store_publish(&area.store, it);

    ngx_http_tgbot_zone_stop("queue: item uncounted");

    area.own->events[event]++;

    ngx_http_tgbot_queue_lane_add(&area, it);

    ngx_http_tgbot_zone_unlock(queue->zone);

    return NGX_OK;
}


/* returns as ngx_http_tgbot_queue_put() */

static ngx_int_t
ngx_http_tgbot_queue_fits(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_area_t *area, ngx_http_tgbot_item_t *item)
{
    uint64_t                 max, needed;
    ngx_http_tgbot_store_t  *store;

    store = &area->store;

    needed = ngx_http_tgbot_store_needs(sizeof(ngx_http_tgbot_queue_item_t),
                                        item);
    max = (uint64_t) store->sh->chain.total * queue->share / 100;

    if (area->entry->blocks + needed > max
        && ngx_http_tgbot_queue_alone(area))
    {
        max = store->sh->chain.total;
    }

    if (needed > max) {
        return NGX_DECLINED;
    }

    if (area->entry->blocks + needed > max
        || needed > ngx_http_tgbot_store_room(store))
    {
        return NGX_AGAIN;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tgbot_queue_alone(ngx_http_tgbot_queue_area_t *area)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_store_t        *store;
    ngx_http_tgbot_store_entry_t  *entry;

    store = &area->store;

    for (i = 0; i < store->sh->bots.used; i++) {
        entry = &store->entries[i];

        if (entry != area->entry
            && (entry->items.n || ngx_http_tgbot_store_named(store, entry)))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_msec_t
ngx_http_tgbot_queue_oldest(ngx_http_tgbot_queue_area_t *area)
{
    ngx_msec_int_t                age;
    ngx_http_tgbot_queue_item_t  *item;

    if (area->entry->items.first == NGX_HTTP_TGBOT_LIST_NIL) {
        return 0;
    }

    item = ngx_http_tgbot_queue_item(area, area->entry->items.first);

    age = (ngx_msec_int_t) (ngx_http_tgbot_queue_now(area)
                            - item->item.head.received);

    return ngx_max(age, 0);
}


ngx_uint_t
ngx_http_tgbot_queue_has(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_head_t *head)
{
    ngx_uint_t                   found;
    ngx_http_tgbot_queue_area_t  area;

    found = ngx_http_tgbot_queue_lock(queue, &area) == NGX_OK
            && ngx_http_tgbot_queue_search(queue, &area, head) != NULL;

    ngx_http_tgbot_zone_unlock(queue->zone);

    return found;
}


/* the item with update_id, lane and letter of "head", or NULL */

static ngx_http_tgbot_queue_item_t *
ngx_http_tgbot_queue_search(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_area_t *area, ngx_http_tgbot_head_t *head)
{
    uint32_t                      n;
    ngx_http_tgbot_queue_item_t  *it;

    it = ngx_http_tgbot_queue_lane_find(area, queue->entry, head->lane);

    while (it && (it->item.head.letter != head->letter
                  || it->item.head.update_id != head->update_id))
    {
        n = it->behind;

        it = (n == NGX_HTTP_TGBOT_LIST_NIL)
                 ? NULL : ngx_http_tgbot_queue_item(area, n);
    }

    return it;
}


ngx_uint_t
ngx_http_tgbot_queue_died(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_head_t *head)
{
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    it = NULL;

    if (ngx_http_tgbot_queue_lock(queue, &area) == NGX_OK) {
        it = ngx_http_tgbot_queue_search(queue, &area, head);
    }

    if (it) {

        /* the item may be anywhere in its lane: all is derived again */

        ngx_http_tgbot_store_retire(&area.store, it);

        area.own->events[NGX_HTTP_TGBOT_QUEUE_DEAD]++;

        ngx_http_tgbot_queue_repair(&area, NGX_HTTP_TGBOT_QUEUE_DEAD);
    }

    ngx_http_tgbot_zone_unlock(queue->zone);

    return it != NULL;
}


ngx_uint_t
ngx_http_tgbot_queue_left(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_zone_t **zone)
{
    ngx_uint_t                     i, n;
    ngx_http_tgbot_queue_t       **old;
    ngx_http_tgbot_queue_area_t    area;

    n = 0;
    *zone = NULL;

    while (n == 0) {
        *zone = ngx_http_tgbot_zone_other(queue->zone, *zone);

        if (*zone == NULL) {
            break;
        }

        old = (*zone)->users.elts;

        for (i = 0; i < (*zone)->users.nelts; i++) {

            if (old[i]->bot.len != queue->bot.len
                || ngx_memcmp(old[i]->bot.data, queue->bot.data,
                              queue->bot.len) != 0)
            {
                continue;
            }

            if (ngx_http_tgbot_queue_lock(old[i], &area) == NGX_OK) {
                n += area.entry->items.n;
            }

            ngx_http_tgbot_zone_unlock(*zone);
        }
    }

    return n;
}


ngx_uint_t
ngx_http_tgbot_queue_empty(ngx_http_tgbot_queue_t *queue, uint64_t lane)
{
    ngx_uint_t                   empty;
    ngx_http_tgbot_queue_area_t  area;

    empty = ngx_http_tgbot_queue_lock(queue, &area) != NGX_OK
            || ngx_http_tgbot_queue_lane_find(&area, queue->entry, lane)
               == NULL;

    ngx_http_tgbot_zone_unlock(queue->zone);

    return empty;
}


ngx_int_t
ngx_http_tgbot_queue_take(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_msec_t *wait)
{
    ngx_http_tgbot_lease_t        lease;
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    ngx_memzero(taken, sizeof(ngx_http_tgbot_queue_taken_t));

    if (ngx_http_tgbot_queue_idle(queue, wait)) {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_lease_new(&lease);

    *wait = NGX_TIMER_INFINITE;

    if (ngx_http_tgbot_queue_lock(queue, &area) != NGX_OK) {
        ngx_http_tgbot_zone_unlock(queue->zone);
        return NGX_DECLINED;
    }

    ngx_http_tgbot_queue_lane_due(&area);

    it = ngx_http_tgbot_queue_pick(queue, &area, wait);

    if (it == NULL && ngx_http_tgbot_queue_unreaped(area.own)) {
        ngx_http_tgbot_queue_reap(&area);

        it = ngx_http_tgbot_queue_pick(queue, &area, wait);
    }

    if (it) {
        ngx_http_tgbot_queue_lane_lease(&area, it, &lease);

        if (it->item.answer == NGX_HTTP_TGBOT_LIST_NIL) {
            ngx_http_tgbot_queue_breaker_ask(&area, it);
        }

        taken->block = ngx_http_tgbot_queue_number(&area, it);
        taken->seq = it->item.seq;
        taken->lease = lease;
        taken->size = (size_t) it->item.len + it->item.answer_len;
    }

    ngx_http_tgbot_zone_unlock(queue->zone);

    return it ? NGX_OK : NGX_DECLINED;
}


/*
 * Returns 1 if a few numbers, read without the lock, show that nothing can be
 * taken.  The numbers may change at any time, but the process that changes
 * them tries to take afterwards.
 */

static ngx_uint_t
ngx_http_tgbot_queue_idle(ngx_http_tgbot_queue_t *queue, ngx_msec_t *wait)
{
    ngx_msec_int_t                 left;
    ngx_http_tgbot_queue_own_t    *own;
    ngx_http_tgbot_queue_area_t    area;
    ngx_http_tgbot_store_entry_t  *entry;

    *wait = NGX_TIMER_INFINITE;

    if (queue->zone->rt->dirty) {

        /* a process is inside the lock or died there: numbers may be wrong */

        return 0;
    }

    ngx_http_tgbot_queue_lane_open(&area, queue->zone);

    entry = ngx_http_tgbot_store_entry(&area.store, queue);

    if (entry == NULL || entry->items.n == 0) {
        return 1;
    }

    own = ngx_http_tgbot_queue_own(&area, queue->entry);

    if (ngx_http_tgbot_queue_unreaped(own)) {
        return 0;
    }

    if (own->list[NGX_HTTP_TGBOT_QUEUE_INFLIGHT].n >= queue->concurrency) {
        return 1;
    }

    if (own->list[NGX_HTTP_TGBOT_QUEUE_READY].n
        || own->list[NGX_HTTP_TGBOT_QUEUE_ANSWERED].n)
    {
        return 0;
    }

    if (own->delayed == 0) {
        return 1;
    }

    left = (ngx_msec_int_t) (area.sh->due - ngx_http_tgbot_queue_now(&area));

    if (area.sh->delayed == 0 || left <= 0) {
        return 0;
    }

    *wait = left;

    return 1;
}


/* whether it is time to check the leases of the items in flight */

static ngx_uint_t
ngx_http_tgbot_queue_unreaped(ngx_http_tgbot_queue_own_t *own)
{
    return own->list[NGX_HTTP_TGBOT_QUEUE_INFLIGHT].n
           && (own->reaped == 0
               || ngx_current_msec - own->reaped
                  >= NGX_HTTP_TGBOT_QUEUE_REAP);
}


static ngx_http_tgbot_queue_item_t *
ngx_http_tgbot_queue_pick(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_area_t *area, ngx_msec_t *wait)
{
    uint32_t                      n, other;
    ngx_msec_int_t                left;
    ngx_http_tgbot_queue_own_t   *own;
    ngx_http_tgbot_queue_item_t  *one, *two;

    own = area->own;

    *wait = NGX_TIMER_INFINITE;

    if (own->list[NGX_HTTP_TGBOT_QUEUE_INFLIGHT].n >= queue->concurrency) {
        return NULL;
    }

    if (own->delayed) {
        left = (ngx_msec_int_t) (area->sh->due
                                 - ngx_http_tgbot_queue_now(area));
        *wait = ngx_max(left, 0);
    }

    n = own->list[NGX_HTTP_TGBOT_QUEUE_READY].first;
    other = own->list[NGX_HTTP_TGBOT_QUEUE_ANSWERED].first;

    if (n != NGX_HTTP_TGBOT_LIST_NIL
        && !ngx_http_tgbot_queue_breaker_lets(area, wait))
    {
        n = NGX_HTTP_TGBOT_LIST_NIL;
    }

    if (n == NGX_HTTP_TGBOT_LIST_NIL) {
        n = other;

    } else if (other != NGX_HTTP_TGBOT_LIST_NIL) {
        one = ngx_http_tgbot_queue_item(area, n);
        two = ngx_http_tgbot_queue_item(area, other);

        if (two->turn < one->turn) {
            n = other;
        }
    }

    if (n == NGX_HTTP_TGBOT_LIST_NIL) {
        return NULL;
    }

    return ngx_http_tgbot_queue_item(area, n);
}


/*
 * Walks from the last item taken to the first, as each item is put in front:
 * this restores the order in which the items were taken.
 */

static void
ngx_http_tgbot_queue_reap(ngx_http_tgbot_queue_area_t *area)
{
    uint32_t                      n;
    ngx_uint_t                    alive;
    ngx_http_tgbot_lease_t        last;
    ngx_http_tgbot_queue_item_t  *it;

    alive = 0;

    ngx_memzero(&last, sizeof(ngx_http_tgbot_lease_t));

    n = area->own->list[NGX_HTTP_TGBOT_QUEUE_INFLIGHT].last;

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        it = ngx_http_tgbot_queue_item(area, n);
        n = it->link.prev;

        /* neighbours often have one holder, and a check may be a syscall */

        if (it->lease.slot != last.slot || it->lease.epoch != last.epoch) {
            last = it->lease;
            alive = ngx_http_tgbot_lease_alive(&last);
        }

        if (!alive) {
            ngx_http_tgbot_queue_breaker_lost(area, it);
            ngx_http_tgbot_queue_lane_free(area, it, 1);
        }
    }

    area->own->reaped = ngx_max(ngx_current_msec, 1);
}


void
ngx_http_tgbot_queue_state(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_state_t *state)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_queue_own_t   *own;
    ngx_http_tgbot_queue_area_t   area;

    ngx_memzero(state, sizeof(ngx_http_tgbot_queue_state_t));

    if (ngx_http_tgbot_queue_lock(queue, &area) != NGX_OK) {
        ngx_http_tgbot_zone_unlock(queue->zone);
        state->full = 1;
        return;
    }

    own = area.own;

    item.data.len = NGX_HTTP_TGBOT_QUEUE_ORDINARY;
    item.answered = 0;

    state->full = ngx_http_tgbot_queue_fits(queue, &area, &item) != NGX_OK;

    ngx_http_tgbot_queue_lane_due(&area);
    ngx_http_tgbot_queue_reap(&area);

    state->inflight = own->list[NGX_HTTP_TGBOT_QUEUE_INFLIGHT].n;
    state->waiting = area.entry->items.n - state->inflight;
    state->delayed = own->delayed;
    state->lanes = own->lanes;
    state->blocks = area.entry->blocks;
    state->oldest = ngx_http_tgbot_queue_oldest(&area);

    switch (own->state) {

    case NGX_HTTP_TGBOT_QUEUE_OPEN:
        state->allowed = 1;
        break;

    case NGX_HTTP_TGBOT_QUEUE_SLOW:
        state->allowed = own->allowed;
        break;

    default: /* NGX_HTTP_TGBOT_QUEUE_CLOSED */
        break;
    }

    for (i = 0; i < NGX_HTTP_TGBOT_QUEUE_EVENTS; i++) {
        state->events[i] = own->events[i];
    }

    ngx_http_tgbot_zone_unlock(queue->zone);
}


void
ngx_http_tgbot_queue_lock_zone(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_queue_area_t *area)
{
    area->entry = NULL;
    area->own = NULL;

    ngx_http_tgbot_queue_lane_open(area, zone);

    if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_queue_repair(area, NGX_HTTP_TGBOT_QUEUE_DONE);
    }
}


/* NGX_DECLINED: the entry belongs to another bot now; the zone is locked too */

static ngx_int_t
ngx_http_tgbot_queue_lock(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_area_t *area)
{
    ngx_http_tgbot_queue_lock_zone(queue->zone, area);

    area->entry = ngx_http_tgbot_store_entry(&area->store, queue);

    if (area->entry == NULL) {
        return NGX_DECLINED;
    }

    area->own = ngx_http_tgbot_queue_own(area, queue->entry);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_queue_read(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_item_t *item,
    u_char *buf)
{
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    it = ngx_http_tgbot_queue_held(queue, &area, taken);

    if (it) {
        ngx_http_tgbot_queue_tell(&area.store, it, item);

        item->data.data = buf;
        item->answer.data = buf + item->data.len;

        ngx_http_tgbot_store_copy(&area.store, it, item->data.data,
                                  item->answer.data);
    }

    ngx_http_tgbot_zone_unlock(queue->zone);

    return it ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_tgbot_queue_holds(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_queue_area_t  area;

    rc = ngx_http_tgbot_queue_held(queue, &area, taken) ? NGX_OK
                                                        : NGX_DECLINED;

    ngx_http_tgbot_zone_unlock(queue->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_queue_give(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_item_t *item,
    ngx_msec_t delay, ngx_http_tgbot_queue_program_e program)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    it = ngx_http_tgbot_queue_held(queue, &area, taken);

    rc = ngx_http_tgbot_queue_keep(&area, it, item);

    if (rc != NGX_OK) {
        ngx_http_tgbot_zone_unlock(queue->zone);
        return rc;
    }

    it->due = ngx_http_tgbot_queue_now(&area)
              + ngx_min(delay, NGX_HTTP_TGBOT_QUEUE_DELAY_MAX);

    ngx_memory_barrier();

    ngx_http_tgbot_queue_lane_free(&area, it, 0);

    ngx_http_tgbot_queue_breaker_tell(&area, it, queue->concurrency, program);

    ngx_http_tgbot_zone_unlock(queue->zone);

    ngx_memzero(&taken->lease, sizeof(ngx_http_tgbot_lease_t));

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_queue_save(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_item_t *item)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    it = ngx_http_tgbot_queue_held(queue, &area, taken);

    rc = ngx_http_tgbot_queue_keep(&area, it, item);

    ngx_http_tgbot_zone_unlock(queue->zone);

    return rc;
}


static ngx_int_t
ngx_http_tgbot_queue_keep(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *it, ngx_http_tgbot_item_t *item)
{
    if (it == NULL) {
        return NGX_DECLINED;
    }

    if (item == NULL) {
        return NGX_OK;
    }

    if (item->answered && it->item.answer == NGX_HTTP_TGBOT_LIST_NIL) {

        if (ngx_http_tgbot_store_answer(&area->store, it, &item->answer)
            != NGX_OK)
        {
            return NGX_AGAIN;
        }

        area->own->asking--;
    }

    ngx_http_tgbot_store_note(&area->store, it, &item->progress);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_queue_settle(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_queue_event_e event,
    ngx_http_tgbot_queue_program_e program)
{
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    it = ngx_http_tgbot_queue_held(queue, &area, taken);

    if (it == NULL) {
        ngx_http_tgbot_zone_unlock(queue->zone);
        return NGX_DECLINED;
    }

    ngx_http_tgbot_queue_breaker_tell(&area, it, queue->concurrency, program);

    ngx_http_tgbot_queue_lane_remove(&area, it);

    ngx_http_tgbot_store_retire(&area.store, it);

    ngx_http_tgbot_zone_stop("queue: item uncounted");

    area.own->events[event]++;

    ngx_http_tgbot_zone_unlock(queue->zone);

    ngx_memzero(&taken->lease, sizeof(ngx_http_tgbot_lease_t));

    return NGX_OK;
}


void
ngx_http_tgbot_queue_took(ngx_http_tgbot_queue_t *queue)
{
    ngx_http_tgbot_queue_own_t   *own;
    ngx_http_tgbot_queue_area_t   area;

    ngx_http_tgbot_queue_lane_open(&area, queue->zone);

    if (ngx_http_tgbot_store_entry(&area.store, queue) == NULL) {
        return;
    }

    /*
     * the usual case needs no lock: a failure that another process counts
     * at the same time may stay counted
     */

    own = ngx_http_tgbot_queue_own(&area, queue->entry);

    if (own->state == NGX_HTTP_TGBOT_QUEUE_CLOSED && own->row == 0) {
        return;
    }

    if (ngx_http_tgbot_queue_lock(queue, &area) == NGX_OK) {
        ngx_http_tgbot_queue_breaker_tell(&area, NULL, queue->concurrency,
                                          NGX_HTTP_TGBOT_QUEUE_TOOK);
    }

    ngx_http_tgbot_zone_unlock(queue->zone);
}


/* locks the zone; returns the item, or NULL if the lease is lost */

static ngx_http_tgbot_queue_item_t *
ngx_http_tgbot_queue_held(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_area_t *area, ngx_http_tgbot_queue_taken_t *taken)
{
    ngx_http_tgbot_queue_item_t  *it;

    if (ngx_http_tgbot_queue_lock(queue, area) != NGX_OK
        || taken->lease.token == 0)
    {
        return NULL;
    }

    it = ngx_http_tgbot_store_find(&area->store, taken->block, taken->seq);

    if (it == NULL || it->item.entry != queue->entry
        || !ngx_http_tgbot_lease_equal(&it->lease, &taken->lease))
    {
        return NULL;
    }

    return it;
}


static void
ngx_http_tgbot_queue_tell(ngx_http_tgbot_store_t *store, void *item,
    void *told)
{
    ngx_msec_int_t                left;
    ngx_http_tgbot_item_t        *to;
    ngx_http_tgbot_queue_item_t  *it;

    it = item;
    to = told;

    ngx_http_tgbot_store_tell(store, it, to);

    if (it->place == NGX_HTTP_TGBOT_QUEUE_DELAYED) {
        left = (ngx_msec_int_t) (it->due
                                 - ngx_http_tgbot_zone_msec(store->bots.zone));
        to->delay = ngx_max(left, 0);
    }
}


const ngx_http_tgbot_store_layout_t  ngx_http_tgbot_queue_zone_layout = {
    "tgbot_queue",
    sizeof(ngx_http_tgbot_queue_item_t),
    sizeof(ngx_http_tgbot_queue_own_t),
    NGX_HTTP_TGBOT_QUEUE_ENTRY,
    NGX_HTTP_TGBOT_QUEUE_HEADER,
    NGX_HTTP_TGBOT_QUEUE_TABLES,
    ngx_http_tgbot_queue_zone_clear,
    ngx_http_tgbot_queue_zone_end,
    ngx_http_tgbot_queue_zone_lock,
    ngx_http_tgbot_queue_tell
};


static ngx_int_t
ngx_http_tgbot_queue_zone_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    if ((fresh || zone->opened)
        && ngx_http_tgbot_queue_zone_replaces(zone) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (fresh && ngx_http_tgbot_queue_zone_carve(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_store_init(zone, &ngx_http_tgbot_queue_zone_layout);
}


/* NGX_ERROR: there are items in the zone that this one would replace, logged */

static ngx_int_t
ngx_http_tgbot_queue_zone_replaces(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t              items;
    ngx_http_tgbot_zone_t  *old;

    old = ngx_http_tgbot_zone_old(zone);
    items = old ? ngx_http_tgbot_queue_items(old) : 0;

    if (items) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" holds %ui updates, expected that its size "
                      "of %uzk, and \"tgbot_state\", stay as they are until "
                      "it is empty, in %s:%ui",
                      &zone->shm_zone->shm.name, items, old->size / 1024,
                      zone->file, zone->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_queue_zone_carve(ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_queue_area_t  area;

    if (ngx_http_tgbot_store_carve(zone, &ngx_http_tgbot_queue_zone_layout)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_tgbot_queue_zone_measure(&area, zone);
    ngx_http_tgbot_queue_lane_empty(&area);

    return NGX_OK;
}


/* makes the queue's own header */

static void
ngx_http_tgbot_queue_zone_measure(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_zone_t *zone)
{
    uint32_t  n;

    ngx_http_tgbot_queue_lane_open(area, zone);

    ngx_memzero(area->sh, sizeof(ngx_http_tgbot_queue_sh_t));

    area->sh->nheads = 1;
    area->sh->shift = 64;

    for (n = area->store.sh->chain.total; n > 1; n /= 2) {
        area->sh->nheads *= 2;
        area->sh->shift--;
    }

    ngx_http_tgbot_zone_seed(&area->sh->seed, 1, zone->log);

    area->sh->seed |= 1;

    ngx_http_tgbot_queue_lane_open(area, zone);
}


static void
ngx_http_tgbot_queue_zone_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_store_reopen(zone, &ngx_http_tgbot_queue_zone_layout,
                                found);

    ngx_http_tgbot_queue_zone_measure(&area, zone);

    /* an item that a crash of the machine has taken was not handled */

    ngx_http_tgbot_queue_repair(&area, (found == NGX_HTTP_TGBOT_ZONE_TORN)
                                           ? NGX_HTTP_TGBOT_QUEUE_DROPPED
                                           : NGX_HTTP_TGBOT_QUEUE_DONE);
}


static void
ngx_http_tgbot_queue_zone_end(ngx_http_tgbot_store_t *store, void *item)
{
    ngx_msec_t                    now;
    ngx_msec_int_t                left;
    ngx_http_tgbot_queue_item_t  *it;

    it = item;

    it->lease.token = 0;

    now = ngx_http_tgbot_zone_msec(store->bots.zone);
    left = (ngx_msec_int_t) (it->due - now);

    if (left > NGX_HTTP_TGBOT_QUEUE_DELAY_MAX) {
        it->due = now;
    }
}


/* the items keep their numbers, and the bots their counters */

static ngx_int_t
ngx_http_tgbot_queue_zone_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old)
{
    ngx_http_tgbot_item_t        item;
    ngx_http_tgbot_queue_t       queue;
    ngx_http_tgbot_queue_area_t  area;

    ngx_memzero(&queue, sizeof(ngx_http_tgbot_queue_t));

    queue.zone = zone;
    queue.share = 100;

    if (ngx_http_tgbot_store_copy_zone(&queue, old,
                                       &ngx_http_tgbot_queue_zone_layout,
                                       &item,
                                       ngx_http_tgbot_queue_zone_copy_item)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_tgbot_queue_lane_open(&area, zone);
    ngx_http_tgbot_queue_repair(&area, NGX_HTTP_TGBOT_QUEUE_DONE);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_queue_zone_copy_item(void *user, void *told)
{
    ngx_msec_t  age;

    return ngx_http_tgbot_queue_put(user, told, NGX_HTTP_TGBOT_QUEUE_LOADED,
                                    &age);
}


static void
ngx_http_tgbot_queue_zone_clear(void *own)
{
    ngx_memzero(own, sizeof(ngx_http_tgbot_queue_own_t));

    ngx_http_tgbot_queue_lane_clear(own);
}


static void
ngx_http_tgbot_queue_zone_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store)
{
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(zone, &area);

    *store = area.store;
}


ngx_uint_t
ngx_http_tgbot_queue_items(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                   n;
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(zone, &area);

    n = area.store.sh->items;

    ngx_http_tgbot_zone_unlock(zone);

    return n;
}


ngx_uint_t
ngx_http_tgbot_queue_orphaned(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                   n;
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(zone, &area);

    n = ngx_http_tgbot_store_orphaned(&area.store);

    ngx_http_tgbot_zone_unlock(zone);

    return n;
}
