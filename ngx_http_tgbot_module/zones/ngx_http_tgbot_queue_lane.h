
/*
 * Lanes, what is ready, delayed or in flight: all that is derived of the
 * items in a queue.  All functions are called with the zone locked.
 *
 * A lane exists while it has items, and is its first one, the head.  The
 * head is in one place: in a list of its bot, or in the heap.
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


/* places of an item; the first three have a list */

#define NGX_HTTP_TGBOT_QUEUE_READY     0     /* for the program */
#define NGX_HTTP_TGBOT_QUEUE_ANSWERED  1     /* ready for what is left */
#define NGX_HTTP_TGBOT_QUEUE_INFLIGHT  2
#define NGX_HTTP_TGBOT_QUEUE_LISTS     3
#define NGX_HTTP_TGBOT_QUEUE_DELAYED   3
#define NGX_HTTP_TGBOT_QUEUE_BEHIND    4     /* no head */


/* states of the breaker */

#define NGX_HTTP_TGBOT_QUEUE_CLOSED    0
#define NGX_HTTP_TGBOT_QUEUE_OPEN      1
#define NGX_HTTP_TGBOT_QUEUE_SLOW      2


/* no delay is longer, ms: times of 32 bits wrap around */
#define NGX_HTTP_TGBOT_QUEUE_DELAY_MAX  0x3fffffff


/* the header of an item */

typedef struct {
    ngx_http_tgbot_store_item_t       item;

    ngx_msec_t                        due;      /* of the first of a lane */
    ngx_http_tgbot_lease_t            lease;

    /* derived */

    uint32_t                          behind;   /* next of the lane */
    uint32_t                          tail;     /* of a head: last of it */
    uint32_t                          chain;    /* next head of the hash */
    ngx_http_tgbot_link_t             link;     /* in the list */
    uint32_t                          place;
    int64_t                           turn;     /* of ready ones */
} ngx_http_tgbot_queue_item_t;


/* what is kept with an entry */

typedef struct {
    uint64_t                          events[NGX_HTTP_TGBOT_QUEUE_EVENTS];

    /* derived */

    ngx_http_tgbot_list_t             list[NGX_HTTP_TGBOT_QUEUE_LISTS];
    uint32_t                          lanes;
    uint32_t                          delayed;
    uint32_t                          asking;   /* in flight, no answer */
    int64_t                           first;    /* turns given */
    int64_t                           last;
    ngx_msec_t                        reaped;   /* 0: never */

    /* the breaker */

    uint32_t                          state;
    uint32_t                          row;      /* unavailable in a row */
    uint32_t                          nlanes;   /* of them, distinct */
    uint32_t                          allowed;
    uint64_t                          lane[NGX_HTTP_TGBOT_QUEUE_BREAK_LANES];
    ngx_msec_t                        probe;    /* when the next may go */
    uint64_t                          probing;  /* seq of the probe, or 0 */
} ngx_http_tgbot_queue_own_t;


typedef struct {
    uint64_t                          seed;     /* these never change */
    uint32_t                          shift;
    uint32_t                          nheads;

    uint32_t                          delayed;  /* derived: in the heap */
    ngx_msec_t                        due;      /* of the first one there */
} ngx_http_tgbot_queue_sh_t;


/* made for the time of a lock, of a zone or of a bot in it */

typedef struct {
    ngx_http_tgbot_store_t            store;
    ngx_http_tgbot_queue_sh_t        *sh;
    uint32_t                         *heads;
    uint32_t                         *heap;
    ngx_http_tgbot_links_t            links;    /* of lists of heads */

    ngx_http_tgbot_store_entry_t     *entry;
    ngx_http_tgbot_queue_own_t       *own;
} ngx_http_tgbot_queue_area_t;


/* one bot more fits in so many bytes of a zone */
#define NGX_HTTP_TGBOT_QUEUE_ENTRY     65536

#define NGX_HTTP_TGBOT_QUEUE_HEADER                                           \
    ngx_align(sizeof(ngx_http_tgbot_queue_sh_t), NGX_CPU_CACHE_LINE)

/* one number of the heap, and up to one head for each block */
#define NGX_HTTP_TGBOT_QUEUE_TABLES    (2 * sizeof(uint32_t))

#define ngx_http_tgbot_queue_item(area, n)                                    \
    ((ngx_http_tgbot_queue_item_t *)                                          \
     ngx_http_tgbot_store_item(&(area)->store, n))

#define ngx_http_tgbot_queue_number(area, item)                               \
    ngx_http_tgbot_store_number(&(area)->store, item)

#define ngx_http_tgbot_queue_own(area, n)                                     \
    ((ngx_http_tgbot_queue_own_t *)                                           \
     ngx_http_tgbot_store_own(&(area)->store, n))


/* where the parts are; without the lock, too */
void ngx_http_tgbot_queue_lane_open(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_zone_t *zone);

/* no lanes at all, and none of an entry */
void ngx_http_tgbot_queue_lane_empty(ngx_http_tgbot_queue_area_t *area);
void ngx_http_tgbot_queue_lane_clear(ngx_http_tgbot_queue_own_t *own);

/* the head of a lane, or NULL */
ngx_http_tgbot_queue_item_t *ngx_http_tgbot_queue_lane_find(
    ngx_http_tgbot_queue_area_t *area, ngx_uint_t entry, uint64_t lane);

/*
 * Puts a published item at the end of its lane.  As a head it goes where its
 * lease and "due" say.
 */
void ngx_http_tgbot_queue_lane_add(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);

/* a head that is ready goes under a lease */
void ngx_http_tgbot_queue_lane_lease(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_http_tgbot_lease_t *lease);

/*
 * A head in flight is free again: before all that are ready, or behind them,
 * or delayed if it is not due.
 */
void ngx_http_tgbot_queue_lane_free(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_uint_t front);

/* a head in flight leaves the lane, whose next is its head */
void ngx_http_tgbot_queue_lane_remove(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);

/* delayed ones that are due become ready: some, of all entries */
void ngx_http_tgbot_queue_lane_due(ngx_http_tgbot_queue_area_t *area);


/* the heap of delayed heads, by "due" */

/* what is known of the program: of area->entry */

/* whether it may be given an update; else *wait is when, or as it was */
ngx_uint_t ngx_http_tgbot_queue_breaker_lets(
    ngx_http_tgbot_queue_area_t *area, ngx_msec_t *wait);

/* it is given one without an answer */
void ngx_http_tgbot_queue_breaker_ask(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);

/* how it took one, which is NULL while it is still worked on */
void ngx_http_tgbot_queue_breaker_tell(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item, ngx_uint_t concurrency,
    ngx_http_tgbot_queue_program_e program);

/* nobody will tell */
void ngx_http_tgbot_queue_breaker_lost(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_item_t *item);


/*
 * Locks the zone for the bot of a queue, after a repair if it was found
 * dirty.  NGX_DECLINED, locked as well: it is another bot's entry by now.
 */
ngx_int_t ngx_http_tgbot_queue_lock(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_area_t *area);

/* likewise for all bots */
void ngx_http_tgbot_queue_lock_zone(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_queue_area_t *area);

/* what an item says: see ngx_http_tgbot_store_layout_t */
void ngx_http_tgbot_queue_tell(ngx_http_tgbot_store_t *store, void *item,
    void *told);

/* after somebody died inside */
void ngx_http_tgbot_queue_repair(ngx_http_tgbot_queue_area_t *area);


#endif /* _NGX_HTTP_TGBOT_QUEUE_LANE_H_INCLUDED_ */
