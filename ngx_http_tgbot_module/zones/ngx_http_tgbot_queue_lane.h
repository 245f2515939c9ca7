
/*
 * Lanes of a queue, and the lists of heads that are ready, delayed or in
 * flight.  All of it is derived from the items, so a repair makes it again.
 * Functions are called with the zone locked, except where a comment says
 * otherwise.
 *
 * A lane exists while it has items; its first item, the head, represents it.
 * A head is in exactly one place: in a list of its bot, or in the heap.
 */

#ifndef _NGX_HTTP_TGBOT_QUEUE_LANE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_QUEUE_LANE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/* values of "place"; the first three are also indexes of lists */

#define NGX_HTTP_TGBOT_QUEUE_READY     0     /* the program is next */
#define NGX_HTTP_TGBOT_QUEUE_ANSWERED  1     /* its calls are next */
#define NGX_HTTP_TGBOT_QUEUE_INFLIGHT  2
#define NGX_HTTP_TGBOT_QUEUE_LISTS     3
#define NGX_HTTP_TGBOT_QUEUE_DELAYED   3
#define NGX_HTTP_TGBOT_QUEUE_BEHIND    4     /* not a head */


/* states of the breaker */

#define NGX_HTTP_TGBOT_QUEUE_CLOSED    0
#define NGX_HTTP_TGBOT_QUEUE_OPEN      1
#define NGX_HTTP_TGBOT_QUEUE_SLOW      2


/* longest delay, ms: a 32-bit ngx_msec_t wraps around */
#define NGX_HTTP_TGBOT_QUEUE_DELAY_MAX  0x3fffffff


/* the header of an item */

typedef struct {
    ngx_http_tgbot_store_item_t       item;

    ngx_msec_t                        due;      /* a head is delayed until */
    ngx_http_tgbot_lease_t            lease;

    /* derived */

    uint32_t                          behind;   /* next item of the lane */
    uint32_t                          tail;     /* head: last item of lane */
    uint32_t                          chain;    /* head: next in the hash */
    ngx_http_tgbot_link_t             link;     /* head: in a list */
    uint32_t                          place;
    int64_t                           turn;     /* ready: order of heads */
} ngx_http_tgbot_queue_item_t;


/* what a queue keeps with the entry of a bot */

typedef struct {
    uint64_t                          events[NGX_HTTP_TGBOT_QUEUE_EVENTS];

    /* derived */

    ngx_http_tgbot_list_t             list[NGX_HTTP_TGBOT_QUEUE_LISTS];
    uint32_t                          lanes;
    uint32_t                          delayed;
    uint32_t                          asking;   /* in flight, no answer */
    int64_t                           first;    /* bounds of turns given */
    int64_t                           last;
    ngx_msec_t                        reaped;   /* last time, 0: never */

    /* the breaker */

    uint32_t                          state;
    uint32_t                          row;      /* unavailable in a row */
    uint32_t                          nlanes;   /* used members of "lane" */
    uint32_t                          allowed;  /* jobs, in state SLOW */
    uint64_t                          lane[NGX_HTTP_TGBOT_QUEUE_BREAK_LANES];
    ngx_msec_t                        probe;    /* time of the next probe */
    uint64_t                          probing;  /* seq of the probe, or 0 */
} ngx_http_tgbot_queue_own_t;


typedef struct {
    /* these three never change */

    uint64_t                          seed;
    uint32_t                          shift;
    uint32_t                          nheads;

    uint32_t                          delayed;  /* derived: heads in heap */
    ngx_msec_t                        due;      /* of heap[0] */
} ngx_http_tgbot_queue_sh_t;


/*
 * Pointers into a zone, made each time the zone is locked; entry and own are
 * NULL if it is locked for all bots
 */

typedef struct {
    ngx_http_tgbot_store_t            store;
    ngx_http_tgbot_queue_sh_t        *sh;
    uint32_t                         *heads;
    uint32_t                         *heap;
    ngx_http_tgbot_links_t            links;    /* of lists of heads */

    ngx_http_tgbot_store_entry_t     *entry;
    ngx_http_tgbot_queue_own_t       *own;
} ngx_http_tgbot_queue_area_t;


/* a zone has one more entry for each so many bytes */
#define NGX_HTTP_TGBOT_QUEUE_ENTRY     65536

#define NGX_HTTP_TGBOT_QUEUE_HEADER                                           \
    ngx_align(sizeof(ngx_http_tgbot_queue_sh_t), NGX_CPU_CACHE_LINE)

/* bytes for each block: an index in the heap, and up to one hash bucket */
#define NGX_HTTP_TGBOT_QUEUE_TABLES    (2 * sizeof(uint32_t))

#define ngx_http_tgbot_queue_item(area, n)                                    \
    ((ngx_http_tgbot_queue_item_t *)                                          \
     ngx_http_tgbot_store_item(&(area)->store, n))

#define ngx_http_tgbot_queue_number(area, item)                               \
    ngx_http_tgbot_store_number(&(area)->store, item)

#define ngx_http_tgbot_queue_own(area, n)                                     \
    ((ngx_http_tgbot_queue_own_t *)                                           \
     ngx_http_tgbot_store_own(&(area)->store, n))


/* the time that "due" of items is compared with */

#define ngx_http_tgbot_queue_now(area)                                        \
    ngx_http_tgbot_zone_msec((area)->store.bots.zone)


/* sets the pointers of an area; may also be called without the lock */
void ngx_http_tgbot_queue_lane_open(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_zone_t *zone);

/* empties the hash and the heap, and what is derived in an entry */
void ngx_http_tgbot_queue_lane_empty(ngx_http_tgbot_queue_area_t *area);
void ngx_http_tgbot_queue_lane_clear(ngx_http_tgbot_queue_own_t *own);

/* returns the head of a lane, or NULL if the lane is empty */
ngx_http_tgbot_queue_item_t *ngx_http_tgbot_queue_lane_find(
    ngx_http_tgbot_queue_area_t *area, ngx_uint_t entry, uint64_t lane);

/*
 * Puts a published item at the end of its lane.  If the item becomes the
 * head, its lease and "due" decide whether it is in flight, delayed or ready.
 */
void ngx_http_tgbot_queue_lane_add(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);

/* puts a ready head in flight under a lease */
void ngx_http_tgbot_queue_lane_lease(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_http_tgbot_lease_t *lease);

/*
 * Ends the lease of a head in flight.  With "front" the head becomes ready
 * before all other heads; otherwise it becomes ready behind them, or delayed
 * if it is not due.
 */
void ngx_http_tgbot_queue_lane_free(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_uint_t front);

/* takes a head in flight out of its lane; the next item becomes the head */
void ngx_http_tgbot_queue_lane_remove(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);

/* makes a bounded number of delayed heads of all bots ready that are due */
void ngx_http_tgbot_queue_lane_due(ngx_http_tgbot_queue_area_t *area);


/* the breaker of area->entry */

/*
 * Returns 1 if the program may be given an Update.  If it returns 0, *wait is
 * lowered to the ms until the next probe, or unchanged if that is not known.
 */
ngx_uint_t ngx_http_tgbot_queue_breaker_lets(
    ngx_http_tgbot_queue_area_t *area, ngx_msec_t *wait);

/* the program is given an item that has no answer yet */
void ngx_http_tgbot_queue_breaker_ask(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);

/*
 * Tells how the program took an item.  The item is NULL if its job still goes
 * on; "program" is TOOK then.
 */
void ngx_http_tgbot_queue_breaker_tell(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_uint_t concurrency,
    ngx_http_tgbot_queue_program_e program);

/* the process that worked on the item died, so the outcome is not known */
void ngx_http_tgbot_queue_breaker_lost(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);


/* locks the zone for all bots, and repairs it if it is dirty */
void ngx_http_tgbot_queue_lock_zone(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_queue_area_t *area);

/*
 * Makes all that is derived again, after a process died inside the lock.  An
 * item that is only in the books is counted as "gone"; one that is missing in
 * them as accepted, or as loaded if "gone" is dropped: after a crash of the
 * machine.
 */
void ngx_http_tgbot_queue_repair(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_event_e gone);


#endif /* _NGX_HTTP_TGBOT_QUEUE_LANE_H_INCLUDED_ */
