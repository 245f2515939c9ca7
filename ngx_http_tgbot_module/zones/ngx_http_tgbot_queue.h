
/*
 * Updates that are acknowledged and wait for work, in lanes: those of a lane
 * are worked on one after the other, as they came.  A queue never evicts.
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
 * A program that is unavailable so many times in a row, for so many lanes,
 * is asked once in so many ms until it is there again.
 */
#define NGX_HTTP_TGBOT_QUEUE_BREAK        10
#define NGX_HTTP_TGBOT_QUEUE_BREAK_LANES  3
#define NGX_HTTP_TGBOT_QUEUE_PROBE        1000


/* one bot in a zone; begins as ngx_http_tgbot_store_user_t */

typedef struct {
    ngx_http_tgbot_zone_t   *zone;
    ngx_str_t                bot;          /* name, up to 32 bytes */
    uint64_t                 bot_id;       /* of the token, 0: unknown */
    ngx_uint_t               entry;        /* in the zone, which sets it */
    uint32_t                 serial;       /* of what stands there */

    /* by the configuration */

    ngx_uint_t               concurrency;  /* jobs, over all workers */
    ngx_uint_t               share;        /* of the zone's blocks, percent;
                                              of no account while nobody else
                                              uses the zone */
} ngx_http_tgbot_queue_t;


/* an item that this process works on */

typedef struct {
    uint32_t                 block;
    uint64_t                 seq;
    ngx_http_tgbot_lease_t   lease;        /* none: nothing is taken */
    size_t                   size;         /* of data and answer */
} ngx_http_tgbot_queue_taken_t;


/* how the program took what it was given: for the breaker */

typedef enum {
    NGX_HTTP_TGBOT_QUEUE_UNTRIED = 0,
    NGX_HTTP_TGBOT_QUEUE_TOOK,             /* it answered, well or not */
    NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE
} ngx_http_tgbot_queue_program_e;


/* how an item came, and how it went: the books of the bot's queue */

typedef enum {
    NGX_HTTP_TGBOT_QUEUE_ACCEPTED = 0,     /* of a delivery */
    NGX_HTTP_TGBOT_QUEUE_REPLAYED,         /* of a dead letter */
    NGX_HTTP_TGBOT_QUEUE_LOADED,           /* of a file */
    NGX_HTTP_TGBOT_QUEUE_DONE,
    NGX_HTTP_TGBOT_QUEUE_DEAD,             /* given up */
    NGX_HTTP_TGBOT_QUEUE_EXPIRED,
    NGX_HTTP_TGBOT_QUEUE_DROPPED,
    NGX_HTTP_TGBOT_QUEUE_EVENTS
} ngx_http_tgbot_queue_event_e;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_queue_zone;


/* the hash of a lane's key */
uint64_t ngx_http_tgbot_queue_lane(ngx_str_t *key);

/*
 * Puts an update at the end of its lane, which may make the lane ready; the
 * item's bytes are copied.  "event" is how it came, the first three of them.
 *
 * NGX_OK        it is there, and will be over kill -9 of any worker
 * NGX_AGAIN     full, or the bot's share of it is used up: *age is that of
 *               its oldest item, ms
 * NGX_DECLINED  it is larger than what the bot's share can ever hold
 */
ngx_int_t ngx_http_tgbot_queue_put(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_item_t *item, ngx_http_tgbot_queue_event_e event,
    ngx_msec_t *age);

/*
 * Whether an update of this update_id, lane and letter is in the queue.
 * Looks at all of the lane.
 */
ngx_uint_t ngx_http_tgbot_queue_has(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_head_t *head);

/* whether nothing waits or is worked on in the lane */
ngx_uint_t ngx_http_tgbot_queue_empty(ngx_http_tgbot_queue_t *queue,
    uint64_t lane);

/*
 * Takes the head of the lane whose turn it is, under a lease of this process.
 * Items of processes that died are free again first.
 *
 * NGX_OK        *taken is to be ended by one of the functions below
 * NGX_DECLINED  nothing may be taken: *wait is the number of ms until a
 *               retry is due or a probe may go, NGX_TIMER_INFINITE: until
 *               something is put or settled
 */
ngx_int_t ngx_http_tgbot_queue_take(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_msec_t *wait);

/*
 * The item that was taken; its strings are copied into "buf", taken->size
 * bytes, data first.
 *
 * This function and those that follow return NGX_DECLINED if the lease is
 * lost: another process works on the update, the result is to be dropped.
 */
ngx_int_t ngx_http_tgbot_queue_read(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_item_t *item,
    u_char *buf);

/* whether the lease is still ours: NGX_OK or NGX_DECLINED */
ngx_int_t ngx_http_tgbot_queue_holds(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken);

/*
 * Keeps item->answer, which can be done once, and of its progress next,
 * failures, unknown, started.  NGX_AGAIN: there is no room for the answer,
 * nothing is kept.
 */
ngx_int_t ngx_http_tgbot_queue_save(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_item_t *item);

/*
 * Gives the item back to the head of its lane, to be taken again after
 * "delay" ms, with this progress, or NULL: that which it has.  The lease is
 * over.
 */
ngx_int_t ngx_http_tgbot_queue_give(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_progress_t *progress,
    ngx_msec_t delay, ngx_http_tgbot_queue_program_e program);

/* the item is gone, by one of the last four events; the lane goes on */
ngx_int_t ngx_http_tgbot_queue_settle(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_taken_t *taken, ngx_http_tgbot_queue_event_e event,
    ngx_http_tgbot_queue_program_e program);

/* likewise while the item is still worked on: the program took it */
void ngx_http_tgbot_queue_took(ngx_http_tgbot_queue_t *queue);


/* for status, and for workers that exit */

typedef struct {
    ngx_uint_t               waiting;
    ngx_uint_t               delayed;      /* of them, retries not due */
    ngx_uint_t               inflight;     /* under leases */
    ngx_uint_t               lanes;
    ngx_uint_t               blocks;       /* in use by the bot */
    ngx_msec_t               oldest;       /* age, ms */
    ngx_uint_t               allowed;      /* jobs at once by the breaker,
                                              0: it is not at work */
    ngx_uint_t               full;         /* no room for one update more */

    /*
     * since the zone was carved; the first three less the others are what is
     * waiting and in flight
     */
    uint64_t                 events[NGX_HTTP_TGBOT_QUEUE_EVENTS];
} ngx_http_tgbot_queue_state_t;

void ngx_http_tgbot_queue_state(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_state_t *state);

/* items of all bots of the zone, and of those that no configuration names */
ngx_uint_t ngx_http_tgbot_queue_items(ngx_http_tgbot_zone_t *zone);
ngx_uint_t ngx_http_tgbot_queue_orphaned(ngx_http_tgbot_zone_t *zone);


/* for a file: see ngx_http_tgbot_store_walk() */
ngx_int_t ngx_http_tgbot_queue_walk(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_cursor_t *cursor, ngx_http_tgbot_item_t *item,
    ngx_pool_t *pool);

/*
 * Finds or makes the entry of a bot whom maybe no configuration names, of
 * which zone, bot, bot_id and share are set.  NGX_DECLINED: there is none.
 */
ngx_int_t ngx_http_tgbot_queue_enter(ngx_http_tgbot_queue_t *queue);

/* blocks that an item takes, and that are free in a zone */
uint64_t ngx_http_tgbot_queue_needs(ngx_http_tgbot_item_t *item);
uint64_t ngx_http_tgbot_queue_room(ngx_http_tgbot_zone_t *zone);


#endif /* _NGX_HTTP_TGBOT_QUEUE_H_INCLUDED_ */
