
/*
 * A queue in a zone: Updates that are accepted and wait for work.  The items
 * of a lane are worked on one after the other, in the order in which they
 * came.  A queue never evicts an item.
 *
 * The functions lock the zone themselves and must not be called while the
 * caller holds the lock of a zone.
 */

#ifndef _NGX_HTTP_TGBOT_QUEUE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_item.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/*
 * After so many times unavailable in a row, in so many different lanes, the
 * program is probed once in so many ms until it is available again.
 */
#define NGX_HTTP_TGBOT_QUEUE_BREAK        10
#define NGX_HTTP_TGBOT_QUEUE_BREAK_LANES  3
#define NGX_HTTP_TGBOT_QUEUE_PROBE        1000


/* a bot that uses a queue; begins as ngx_http_tgbot_zone_user_t */

typedef struct {
    ngx_http_tgbot_zone_t   *zone;
    ngx_str_t                bot;          /* name, up to 32 bytes */
    uint64_t                 bot_id;       /* from the token, 0: unknown */
    ngx_uint_t               entry;        /* index, set by the store */
    uint32_t                 serial;       /* of the entry, set by the store */

    /* set by the configuration */

    ngx_uint_t               concurrency;  /* jobs, over all workers */
    ngx_uint_t               share;        /* of the zone's blocks, percent;
                                              not applied while no other bot
                                              uses the zone */
} ngx_http_tgbot_queue_t;


/* an item that this process has taken */

typedef struct {
    uint32_t                 block;
    uint64_t                 seq;
    ngx_http_tgbot_lease_t   lease;        /* all zero: nothing is taken */
    size_t                   size;         /* of data and answer, bytes */
} ngx_http_tgbot_queue_taken_t;


/* what an attempt tells the breaker about the program */

typedef enum {
    NGX_HTTP_TGBOT_QUEUE_UNTRIED = 0,
    NGX_HTTP_TGBOT_QUEUE_TOOK,             /* it answered, also by an error */
    NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE
} ngx_http_tgbot_queue_program_e;


/* why an item was added or removed; counted for each bot */

typedef enum {
    NGX_HTTP_TGBOT_QUEUE_ACCEPTED = 0,     /* from a delivery */
    NGX_HTTP_TGBOT_QUEUE_REPLAYED,         /* from a dead letter */
    NGX_HTTP_TGBOT_QUEUE_LOADED,           /* not counted when they came */
    NGX_HTTP_TGBOT_QUEUE_DONE,
    NGX_HTTP_TGBOT_QUEUE_DEAD,             /* given up */
    NGX_HTTP_TGBOT_QUEUE_EXPIRED,
    NGX_HTTP_TGBOT_QUEUE_DROPPED,
    NGX_HTTP_TGBOT_QUEUE_EVENTS
} ngx_http_tgbot_queue_event_e;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_queue_zone;
extern const ngx_http_tgbot_store_layout_t  ngx_http_tgbot_queue_zone_layout;


/* returns the lane of a key: a hash */
uint64_t ngx_http_tgbot_queue_lane(ngx_str_t *key);

/*
 * Puts an item at the end of its lane; if the lane was empty, it becomes
 * ready.  The strings of the item are copied.  "event" is one of the first
 * three events.
 *
 * NGX_OK        the item is stored and survives kill -9 of any worker
 * NGX_AGAIN     the queue is full, or the bot's share is used up; *age is
 *               the age of the bot's oldest item, ms
 * NGX_DECLINED  the item is larger than the bot's whole share
 */
ngx_int_t ngx_http_tgbot_queue_put(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_item_t *item, ngx_http_tgbot_queue_event_e event,
    ngx_msec_t *age);

/*
 * Returns 1 if an item with the update_id, lane and letter of "head" is in
 * the queue.  Walks the whole lane with the zone locked.
 */
ngx_uint_t ngx_http_tgbot_queue_has(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_head_t *head);

/*
 * At a start, when no other process works in the zone: an item with the
 * update_id, lane and letter of "head" became a dead letter before nginx ended,
 * and is removed.  Returns 1 if there was such an item.
 */
ngx_uint_t ngx_http_tgbot_queue_died(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_head_t *head);

/*
 * Number of items of the bot in another zone, *zone, in which the running cycle
 * has the bot's queue.  Only called while directives are read.
 */
ngx_uint_t ngx_http_tgbot_queue_left(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_zone_t **zone);

/* returns 1 if the lane has no items, neither waiting nor in flight */
ngx_uint_t ngx_http_tgbot_queue_empty(ngx_http_tgbot_queue_t *queue,
    uint64_t lane);

/*
 * Takes the head of the next ready lane under a new lease of this process.
 * Items that processes held when they died are made ready first.
 *
 * NGX_OK        the caller ends *taken by ngx_http_tgbot_queue_give() or
 *               ngx_http_tgbot_queue_settle()
 * NGX_DECLINED  nothing may be taken now; *wait is the number of ms until a
 *               retry is due or the breaker allows a probe, or
 *               NGX_TIMER_INFINITE: nothing changes before the next put,
 *               give or settle
 */
ngx_int_t ngx_http_tgbot_queue_take(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_msec_t *wait);

/*
 * Reads an item that was taken.  Its strings are copied into the caller's
 * "buf" of taken->size bytes, data first, and item points there.
 *
 * This function and holds(), give(), save() and settle() return NGX_DECLINED
 * if the lease is lost: another process may work on the Update, so the caller
 * drops its result.
 */
ngx_int_t ngx_http_tgbot_queue_read(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_item_t *item,
    u_char *buf);

/* checks the lease: NGX_OK if this process still holds it, or NGX_DECLINED */
ngx_int_t ngx_http_tgbot_queue_holds(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken);

/*
 * Gives the item back: saves it as below, with a NULL "item" nothing, and ends
 * the lease.  The item stays the head of its lane and may be taken again after
 * "delay" ms.  NGX_AGAIN: nothing changes, and the lease goes on.
 */
ngx_int_t ngx_http_tgbot_queue_give(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_item_t *item,
    ngx_msec_t delay, ngx_http_tgbot_queue_program_e program);

/*
 * Replaces the item's progress, and copies item->answer unless an answer is
 * kept already; the lease goes on.  NGX_AGAIN: there is no room for the answer,
 * nothing changes.
 */
ngx_int_t ngx_http_tgbot_queue_save(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_item_t *item);

/*
 * Removes the item for one of the last four events; the next item of the lane
 * becomes ready.  The lease ends.
 */
ngx_int_t ngx_http_tgbot_queue_settle(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_queue_event_e event,
    ngx_http_tgbot_queue_program_e program);

/* tells the breaker that the program took an item whose job still goes on */
void ngx_http_tgbot_queue_took(ngx_http_tgbot_queue_t *queue);


/* the state of a bot's queue, for status and for exiting workers */

typedef struct {
    ngx_uint_t               waiting;
    ngx_uint_t               delayed;      /* waiting retries, not due yet */
    ngx_uint_t               inflight;     /* under leases */
    ngx_uint_t               lanes;
    ngx_uint_t               blocks;       /* in use by the bot */
    ngx_msec_t               oldest;       /* age of the oldest item, ms */
    ngx_uint_t               allowed;      /* jobs that the breaker allows at
                                              once, 0: it is closed */
    ngx_uint_t               full;         /* no room for another Update */

    /*
     * since the zone was carved; the sum of the first three minus the sum of
     * the others is the number of items waiting and in flight
     */
    uint64_t                 events[NGX_HTTP_TGBOT_QUEUE_EVENTS];
} ngx_http_tgbot_queue_state_t;

void ngx_http_tgbot_queue_state(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_state_t *state);

/*
 * Number of items of all bots in the zone, and of the bots that the current
 * configuration does not name.
 */
ngx_uint_t ngx_http_tgbot_queue_items(ngx_http_tgbot_zone_t *zone);
ngx_uint_t ngx_http_tgbot_queue_orphaned(ngx_http_tgbot_zone_t *zone);


#endif /* _NGX_HTTP_TGBOT_QUEUE_H_INCLUDED_ */
