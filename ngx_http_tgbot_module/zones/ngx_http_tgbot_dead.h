
/*
 * Dead letters: updates that were given up, with what is needed to see why
 * and to try again.  When there is no room the oldest go.
 */

#ifndef _NGX_HTTP_TGBOT_DEAD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEAD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_item.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/* one bot in a zone; begins as ngx_http_tgbot_store_user_t */

typedef struct {
    ngx_http_tgbot_zone_t   *zone;
    ngx_str_t                bot;          /* name, up to 32 bytes */
    uint64_t                 bot_id;       /* of the token, 0: unknown */
    ngx_uint_t               entry;        /* in the zone, which sets it */
    uint32_t                 serial;       /* of what stands there */

    ngx_uint_t               max;          /* letters of the bot, by the
                                              configuration */
} ngx_http_tgbot_dead_t;


typedef enum {
    NGX_HTTP_TGBOT_DEAD_FAILED = 0,        /* the program, each time */
    NGX_HTTP_TGBOT_DEAD_UNSENT,            /* a Bot API call was given up */
    NGX_HTTP_TGBOT_DEAD_EXPIRED,           /* the update's life is over */
    NGX_HTTP_TGBOT_DEAD_CAUSES
} ngx_http_tgbot_dead_cause_e;


/* why and when it was given up */

typedef struct {
    int64_t                  first;        /* receipt, s since the epoch */
    int64_t                  last;         /* when it was given up */
    uint32_t                 cause;        /* ngx_http_tgbot_dead_cause_e */
    uint32_t                 status;       /* of the last answer, 0: none */
} ngx_http_tgbot_dead_end_t;


/* its strings are what a replay needs */

typedef struct {
    ngx_http_tgbot_item_t      item;       /* for put item.head.letter is the
                                              one that goes for this one */
    ngx_http_tgbot_dead_end_t  end;

    uint64_t                   id;         /* set by put, rises */
    ngx_http_tgbot_lease_t     lease;      /* of the last replay, which may
                                              be over; put has none */
} ngx_http_tgbot_letter_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_dead_zone;

/* "failed" ... by cause */
extern ngx_str_t  ngx_http_tgbot_dead_causes[NGX_HTTP_TGBOT_DEAD_CAUSES];


/*
 * Keeps a letter, whose bytes are copied.  *evicted is how many had to go for
 * it: the bot's oldest above its "max", and without room the oldest of the
 * bot that holds most; those that are being replayed go last.  The one that it
 * replaces goes in the same step, and is none of them but without room.
 * NGX_DECLINED: it is larger than the zone.
 */
ngx_int_t ngx_http_tgbot_dead_put(ngx_http_tgbot_dead_t *dead,
    ngx_http_tgbot_letter_t *letter, ngx_uint_t *evicted);

/*
 * Up to n letters of the bot whose id is above "after", oldest first,
 * without their strings, whose lengths are set.  Returns how many.
 */
ngx_uint_t ngx_http_tgbot_dead_list(ngx_http_tgbot_dead_t *dead,
    uint64_t after, ngx_http_tgbot_letter_t *letters, ngx_uint_t n);

/*
 * The letter of an id, with its strings, in pool.  NGX_DECLINED: there is
 * none (any more).  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_dead_get(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_letter_t *letter, ngx_pool_t *pool);

/*
 * NGX_DECLINED: there is none (any more): of two who drop it one gets OK.
 * NGX_AGAIN: it is being replayed.
 */
ngx_int_t ngx_http_tgbot_dead_drop(ngx_http_tgbot_dead_t *dead, uint64_t id);


/*
 * Leases a letter to this process, which is going to replay it; the lease is
 * over with ngx_http_tgbot_dead_release(), or with the process.  *left: there
 * was a lease before, of one who may have died after putting the letter's
 * update into the queue.
 * NGX_DECLINED, NGX_AGAIN: as above.
 */
ngx_int_t ngx_http_tgbot_dead_lease(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t *left);

/*
 * Whether the letter is under this lease.  As this process was not heard of
 * NGX_AGAIN: another one replays it; NGX_DECLINED: or has done so.
 */
ngx_int_t ngx_http_tgbot_dead_holds(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease);

/*
 * The lease is over, and with "gone" there is no letter any more; does
 * nothing where it is not under this lease.
 */
void ngx_http_tgbot_dead_release(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t gone);

/*
 * The update of a letter was taken from the queue: the letter goes, if who
 * put it there has died before that.
 */
void ngx_http_tgbot_dead_taken(ngx_http_tgbot_dead_t *dead, uint64_t id,
    int64_t update_id);


/* for status */

typedef struct {
    ngx_uint_t               letters;
    ngx_uint_t               blocks;
    ngx_uint_t               evicted;      /* since the zone was carved */
    time_t                   oldest;       /* "last" of the first, 0: none */
} ngx_http_tgbot_dead_state_t;

void ngx_http_tgbot_dead_state(ngx_http_tgbot_dead_t *dead,
    ngx_http_tgbot_dead_state_t *state);


/* for a file: see ngx_http_tgbot_store_walk() */
ngx_int_t ngx_http_tgbot_dead_walk(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_cursor_t *cursor, ngx_http_tgbot_letter_t *letter,
    ngx_pool_t *pool);

/*
 * Finds or makes the entry of a bot whom maybe no configuration names, of
 * which zone, bot, bot_id and max are set.  NGX_DECLINED: there is none.
 */
ngx_int_t ngx_http_tgbot_dead_enter(ngx_http_tgbot_dead_t *dead);

/* bots that a zone of this size, bytes, has room for at least */
ngx_uint_t ngx_http_tgbot_dead_bots(size_t size);

/* blocks that a letter takes */
uint64_t ngx_http_tgbot_dead_needs(ngx_http_tgbot_item_t *item);


/*
 * Letters in the blocks of a zone, for the files of dead letters alone.
 */

/* the header of an item */

typedef struct {
    ngx_http_tgbot_store_item_t    store;

    ngx_http_tgbot_dead_end_t      end;
    ngx_http_tgbot_lease_t         lease;    /* of a replay */

    uint32_t                       chain;    /* derived: next of the index */
} ngx_http_tgbot_dead_item_t;


extern const ngx_http_tgbot_store_layout_t  ngx_http_tgbot_dead_layout;


/* locks and opens the zone, after a repair if it was found dirty */
void ngx_http_tgbot_dead_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store);

/*
 * The index by id.  All functions are called with the zone locked; an item is
 * added once it is published, and goes by ngx_http_tgbot_dead_retire() alone.
 */


#endif /* _NGX_HTTP_TGBOT_DEAD_H_INCLUDED_ */
