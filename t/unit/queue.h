
/*
 * For tests of queues: bots in a zone, items of a few bytes, and a check of
 * all structures in the zone.
 */

#ifndef _QUEUE_H_INCLUDED_
#define _QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_store.h"

#include "unit.h"
#include "zones.h"


#define QUEUE_BOTS  64

#define queue_string(s, p)                                                   \
    (s).data = (u_char *) (p);                                               \
    (s).len = strlen(p)

#define queue_next(zone, cursor, item, pool)                                 \
    ngx_http_tgbot_store_walk(zone, &ngx_http_tgbot_queue_zone_layout,       \
                              cursor, item, pool)

#define queue_enter(queue)                                                   \
    ngx_http_tgbot_store_enter(queue, &ngx_http_tgbot_queue_zone_layout)


/* a bot as the configuration makes it */

static inline ngx_http_tgbot_queue_t
queue_bot(const char *name, uint64_t bot_id, ngx_uint_t concurrency,
    ngx_uint_t share)
{
    ngx_http_tgbot_queue_t  queue;

    ngx_memzero(&queue, sizeof(ngx_http_tgbot_queue_t));

    queue_string(queue.bot, name);
    queue.bot_id = bot_id;
    queue.concurrency = concurrency;
    queue.share = share;

    return queue;
}


/* the configuration of these bots takes effect, as in init_module */

static inline ngx_http_tgbot_zone_t *
queue_started(ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_queue_t *bots,
    ngx_uint_t n)
{
    ngx_uint_t  i;

    if (zone == NULL) {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        bots[i].zone = zone;
    }

    zone->sh->generation++;

    return zone;
}


/* NULL: refused */

static inline ngx_http_tgbot_zone_t *
queue_zone(ngx_http_tgbot_queue_t *bots, ngx_uint_t n, size_t room)
{
    void        *users[QUEUE_BOTS];
    ngx_uint_t   i;

    for (i = 0; i < n; i++) {
        users[i] = &bots[i];
    }

    return queue_started(unit_zone(&ngx_http_tgbot_queue_zone, room, users,
                                   n),
                         bots, n);
}


static inline ngx_http_tgbot_zone_t *
queue_reload(ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_queue_t *bots,
    ngx_uint_t n)
{
    void        *users[QUEUE_BOTS];
    ngx_uint_t   i;

    for (i = 0; i < n; i++) {
        users[i] = &bots[i];
    }

    return queue_started(unit_zone_adopt(zone, users, n), bots, n);
}


/* an update of a lane, received now */

static inline ngx_http_tgbot_item_t
queue_item(int64_t id, uint64_t lane, const char *data)
{
    ngx_http_tgbot_item_t  item;

    ngx_memzero(&item, sizeof(ngx_http_tgbot_item_t));

    item.head.update_id = id;
    item.head.lane = lane;
    item.head.received = ngx_current_msec;
    item.head.life = 86400;

    queue_string(item.data, data);

    return item;
}


static inline ngx_int_t
queue_put(ngx_http_tgbot_queue_t *queue, int64_t id, uint64_t lane)
{
    ngx_msec_t             age;
    ngx_http_tgbot_item_t  item;

    item = queue_item(id, lane, "update");

    return ngx_http_tgbot_queue_put(queue, &item,
                                    NGX_HTTP_TGBOT_QUEUE_ACCEPTED, &age);
}


/* the id of the taken update, -1: none; wait may be NULL */

static inline int64_t
queue_take(ngx_http_tgbot_queue_t *queue, ngx_http_tgbot_queue_taken_t *taken,
    ngx_msec_t *wait)
{
    int64_t                 id;
    u_char                 *buf;
    ngx_int_t               rc;
    ngx_msec_t              time;
    ngx_http_tgbot_item_t   item;

    rc = ngx_http_tgbot_queue_take(queue, taken, wait ? wait : &time);

    if (rc != NGX_OK) {
        is_int(rc, NGX_DECLINED);
        return -1;
    }

    buf = ngx_alloc(taken->size + 1, ngx_cycle->log);

    is_int(ngx_http_tgbot_queue_read(queue, taken, &item, buf), NGX_OK);

    id = item.head.update_id;

    ngx_free(buf);

    return id;
}


static inline ngx_int_t
queue_done(ngx_http_tgbot_queue_t *queue, ngx_http_tgbot_queue_taken_t *taken)
{
    return ngx_http_tgbot_queue_settle(queue, taken,
                                       NGX_HTTP_TGBOT_QUEUE_DONE,
                                       NGX_HTTP_TGBOT_QUEUE_UNTRIED);
}


static inline ngx_int_t
queue_give(ngx_http_tgbot_queue_t *queue, ngx_http_tgbot_queue_taken_t *taken,
    ngx_msec_t delay, ngx_http_tgbot_queue_program_e program)
{
    return ngx_http_tgbot_queue_give(queue, taken, NULL, delay, program);
}


/* number of free blocks */

static inline uint64_t
queue_room(ngx_http_tgbot_zone_t *zone)
{
    uint64_t                     n;
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(zone, &area);

    n = ngx_http_tgbot_store_room(&area.store);

    ngx_http_tgbot_zone_unlock(zone);

    return n;
}


/* each block is free or belongs to one item; items are in order */

static inline ngx_uint_t
queue_walk_blocks(ngx_http_tgbot_store_t *store)
{
    u_char                        *used;
    uint32_t                       n, next, chain;
    uint64_t                       seq, left;
    ngx_uint_t                     i, k, items, blocks, all, sound;
    ngx_http_tgbot_store_sh_t     *sh;
    ngx_http_tgbot_store_item_t   *item;
    ngx_http_tgbot_store_entry_t  *entry;

    sh = store->sh;
    used = ngx_calloc(sh->chain.total + 1, ngx_cycle->log);

    sound = 1;
    blocks = 0;
    all = 0;

    for (n = sh->chain.free; n != NGX_HTTP_TGBOT_LIST_NIL;
         n = store->chain.blocks[n].next)
    {
        if (n >= sh->chain.used || used[n]++
            || store->chain.blocks[n].mark == NGX_HTTP_TGBOT_STORE_HEAD)
        {
            sound = 0;
            break;
        }

        blocks++;
    }

    if (sh->chain.nfree != blocks || sh->chain.used > sh->chain.total) {
        sound = 0;
    }

    for (i = 0; sound && i < sh->bots.n; i++) {
        entry = &store->entries[i];

        if (entry->bot.serial == 0) {
            continue;
        }

        items = 0;
        seq = 0;
        next = NGX_HTTP_TGBOT_LIST_NIL;

        all += entry->items.n;
        blocks += entry->blocks;
        left = entry->blocks;

        for (n = entry->items.first; sound && n != NGX_HTTP_TGBOT_LIST_NIL;
             n = item->link.next)
        {
            item = ngx_http_tgbot_store_item(store, n);

            if (n >= sh->chain.used || item->entry != i
                || item->link.prev != next
                || item->seq <= seq || item->seq > sh->seq
                || store->chain.blocks[n].mark != NGX_HTTP_TGBOT_STORE_HEAD)
            {
                sound = 0;
                break;
            }

            next = n;
            seq = item->seq;
            items++;

            for (k = 0; k < 2; k++) {
                chain = k ? item->answer : n;

                for ( /* void */ ; chain != NGX_HTTP_TGBOT_LIST_NIL;
                     chain = store->chain.blocks[chain].next)
                {
                    if (chain >= sh->chain.used || used[chain]++
                        || left-- == 0)
                    {
                        sound = 0;
                        break;
                    }
                }
            }
        }

        if (left || items != entry->items.n || entry->items.last != next) {
            sound = 0;
        }
    }

    if (all != sh->items || blocks != sh->chain.used) {
        sound = 0;
    }

    ngx_free(used);

    return sound;
}


/* checks the lists of a bot */

static inline ngx_uint_t
queue_walk_lists(ngx_http_tgbot_queue_area_t *area, ngx_uint_t entry)
{
    int64_t                       turn;
    uint32_t                      n, prev;
    ngx_uint_t                    i, k, asking, heads;
    ngx_http_tgbot_queue_own_t   *own;
    ngx_http_tgbot_queue_item_t  *it;

    own = ngx_http_tgbot_queue_own(area, entry);

    asking = 0;
    heads = own->delayed;

    for (i = 0; i < NGX_HTTP_TGBOT_QUEUE_LISTS; i++) {
        prev = NGX_HTTP_TGBOT_LIST_NIL;
        turn = own->first - 1;
        k = 0;

        for (n = own->list[i].first; n != NGX_HTTP_TGBOT_LIST_NIL;
             n = it->link.next)
        {
            it = ngx_http_tgbot_queue_item(area, n);

            if (n >= area->store.sh->chain.used
                || k++ > area->store.sh->chain.used
                || it->place != i || it->link.prev != prev
                || (i == NGX_HTTP_TGBOT_QUEUE_INFLIGHT)
                   != (it->lease.token != 0)
                || ngx_http_tgbot_queue_lane_find(area, entry,
                                                  it->item.head.lane)
                   != it)
            {
                return 0;
            }

            if (i == NGX_HTTP_TGBOT_QUEUE_INFLIGHT) {
                asking += (it->item.answer == NGX_HTTP_TGBOT_LIST_NIL);

            } else if (it->turn <= turn || it->turn > own->last
                       || (i == NGX_HTTP_TGBOT_QUEUE_ANSWERED)
                          != (it->item.answer != NGX_HTTP_TGBOT_LIST_NIL))
            {
                return 0;
            }

            turn = it->turn;
            prev = n;
        }

        if (own->list[i].last != prev || own->list[i].n != k) {
            return 0;
        }

        heads += k;
    }

    return own->asking == asking && own->lanes == heads;
}


/* each item is a head or behind one, in order */

static inline ngx_uint_t
queue_walk_lanes(ngx_http_tgbot_queue_area_t *area)
{
    uint32_t                      n, k;
    uint64_t                      seq;
    ngx_uint_t                    i, items;
    ngx_http_tgbot_queue_item_t  *head, *it;

    items = 0;

    for (i = 0; i < area->sh->nheads; i++) {

        for (n = area->heads[i]; n != NGX_HTTP_TGBOT_LIST_NIL;
             n = head->chain)
        {
            if (n >= area->store.sh->chain.used
                || area->store.chain.blocks[n].mark
                   != NGX_HTTP_TGBOT_STORE_HEAD)
            {
                return 0;
            }

            head = ngx_http_tgbot_queue_item(area, n);
            seq = 0;
            k = n;

            for ( ;; ) {
                it = ngx_http_tgbot_queue_item(area, k);

                if (it->item.seq <= seq
                    || it->item.head.lane != head->item.head.lane
                    || it->item.entry != head->item.entry
                    || items++ > area->store.sh->items
                    || (it == head)
                       != (it->place != NGX_HTTP_TGBOT_QUEUE_BEHIND))
                {
                    return 0;
                }

                if (it->behind == NGX_HTTP_TGBOT_LIST_NIL) {
                    break;
                }

                seq = it->item.seq;
                k = it->behind;
            }

            if (head->tail != k) {
                return 0;
            }
        }
    }

    return items == area->store.sh->items;
}


static inline ngx_uint_t
queue_walk_heap(ngx_http_tgbot_queue_area_t *area)
{
    ngx_uint_t                    i, n;
    ngx_http_tgbot_queue_item_t  *it, *up;

    for (i = 0; i < area->sh->delayed; i++) {
        it = ngx_http_tgbot_queue_item(area, area->heap[i]);
        up = ngx_http_tgbot_queue_item(area, area->heap[i ? (i - 1) / 2 : 0]);

        if (it->place != NGX_HTTP_TGBOT_QUEUE_DELAYED
            || (ngx_msec_int_t) (it->due - up->due) < 0)
        {
            return 0;
        }
    }

    n = 0;

    for (i = 0; i < area->store.sh->bots.n; i++) {
        if (area->store.entries[i].bot.serial) {
            n += ngx_http_tgbot_queue_own(area, i)->delayed;
        }
    }

    if (area->sh->delayed
        && area->sh->due
           != ngx_http_tgbot_queue_item(area, area->heap[0])->due)
    {
        return 0;
    }

    return n == area->sh->delayed;
}


/* the items that entered and did not leave are in the zone */

static inline ngx_uint_t
queue_walk_books(ngx_http_tgbot_queue_area_t *area, ngx_uint_t entry)
{
    int64_t    n;
    uint64_t  *events;

    events = ngx_http_tgbot_queue_own(area, entry)->events;

    n = events[NGX_HTTP_TGBOT_QUEUE_ACCEPTED]
        + events[NGX_HTTP_TGBOT_QUEUE_REPLAYED]
        + events[NGX_HTTP_TGBOT_QUEUE_LOADED]
        - events[NGX_HTTP_TGBOT_QUEUE_DONE]
        - events[NGX_HTTP_TGBOT_QUEUE_DEAD]
        - events[NGX_HTTP_TGBOT_QUEUE_EXPIRED]
        - events[NGX_HTTP_TGBOT_QUEUE_DROPPED];

    return n == area->store.entries[entry].items.n;
}


/* whether all data in the zone is sound; repairs a dirty zone */

static inline ngx_uint_t
queue_walk(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                   i, sound;
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(zone, &area);

    sound = ok(queue_walk_blocks(&area.store))
            && ok(queue_walk_lanes(&area))
            && ok(queue_walk_heap(&area));

    for (i = 0; sound && i < area.store.sh->bots.n; i++) {

        if (area.store.entries[i].bot.serial) {
            sound = ok(queue_walk_lists(&area, i))
                    && ok(queue_walk_books(&area, i));
        }
    }

    ngx_http_tgbot_zone_unlock(zone);

    return sound;
}


static inline uint32_t
queue_random(void)
{
    static uint64_t  state = 0x13198a2e03707344ULL;

    state = state * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (state >> 33);
}


#endif /* _QUEUE_H_INCLUDED_ */
