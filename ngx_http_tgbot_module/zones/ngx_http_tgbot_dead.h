
/*
 * Dead letters: Updates that were given up, with all that is needed to see why
 * and to replay them.  When there is no room, the oldest letters are evicted.
 */

#ifndef _NGX_HTTP_TGBOT_DEAD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEAD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_item.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/* one bot in a zone; begins as ngx_http_tgbot_zone_user_t */

typedef struct {
    ngx_http_tgbot_zone_t   *zone;
    ngx_str_t                bot;          /* name, up to 32 bytes */
    uint64_t                 bot_id;       /* of the token, 0: unknown */
    ngx_uint_t               entry;        /* set by the store */
    uint32_t                 serial;       /* of that entry, when found */

    ngx_uint_t               max;          /* letters, as configured */
} ngx_http_tgbot_dead_t;


typedef enum {
    NGX_HTTP_TGBOT_DEAD_FAILED = 0,        /* all attempts failed */
    NGX_HTTP_TGBOT_DEAD_UNSENT,            /* a Bot API call was given up */
    NGX_HTTP_TGBOT_DEAD_EXPIRED,           /* the Update expired */
    NGX_HTTP_TGBOT_DEAD_CAUSES
} ngx_http_tgbot_dead_cause_e;


/* why and when the Update was given up */

typedef struct {
    int64_t                  first;        /* received, s since the epoch */
    int64_t                  last;         /* given up, s since the epoch */
    uint32_t                 cause;        /* ngx_http_tgbot_dead_cause_e */
    uint32_t                 status;       /* of the last answer; 0: none */
} ngx_http_tgbot_dead_end_t;


/* a letter outside of the zone; a replay needs item.data and item.answer */

typedef struct {
    ngx_http_tgbot_item_t      item;       /* item.head.letter: the id of the
                                              letter that put() replaces */
    ngx_http_tgbot_dead_end_t  end;

    uint64_t                   id;         /* set by put(), rises */
    ngx_http_tgbot_lease_t     lease;      /* of the last replay, alive or
                                              not; ignored by put() */
} ngx_http_tgbot_letter_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_dead_zone;

/* names, indexed by cause: "failed", "unsent", "expired" */
extern ngx_str_t  ngx_http_tgbot_dead_causes[NGX_HTTP_TGBOT_DEAD_CAUSES];


/*
 * Keeps a copy of a letter and sets letter->id.  If the bot would have more
 * than "max" letters, its oldest is evicted; if blocks are short, the oldest
 * letter of the bot with most blocks is; letters under a live lease come last.
 * *evicted is set to their number.  The letter item.head.letter is deleted
 * under the same lock; it counts as evicted only if it had to make room.
 * NGX_DECLINED: the letter is larger than the zone, or the entry now belongs
 * to another bot.
 */
ngx_int_t ngx_http_tgbot_dead_put(ngx_http_tgbot_dead_t *dead,
    ngx_http_tgbot_letter_t *letter, ngx_uint_t *evicted);

/*
 * Fills "letters" with up to n letters of the bot with ids above "after", the
 * oldest first, and returns their number.  Of their strings only the lengths
 * are set.
 */
ngx_uint_t ngx_http_tgbot_dead_list(ngx_http_tgbot_dead_t *dead,
    uint64_t after, ngx_http_tgbot_letter_t *letters, ngx_uint_t n);

/*
 * Finds a letter by its id; its strings are allocated from pool.
 * NGX_DECLINED: the bot has no such letter (any more).  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_dead_get(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_letter_t *letter, ngx_pool_t *pool);

/*
 * Deletes a letter.
 * NGX_DECLINED: the bot has no such letter (any more); when two processes drop
 * a letter, only one of them gets NGX_OK.  NGX_AGAIN: a live process replays
 * the letter.
 */
ngx_int_t ngx_http_tgbot_dead_drop(ngx_http_tgbot_dead_t *dead, uint64_t id);


/*
 * Leases a letter to this process for a replay.  The lease ends by
 * ngx_http_tgbot_dead_release() or with the process.  *left is 1 if the letter
 * was leased before: that process may have died after it put the letter's
 * Update into the queue.
 * NGX_DECLINED, NGX_AGAIN: as in ngx_http_tgbot_dead_drop().
 */
ngx_int_t ngx_http_tgbot_dead_lease(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t *left);

/*
 * Whether the letter is still under this lease: another process takes it over
 * if this one hangs for too long.
 *
 * NGX_OK        it is
 * NGX_AGAIN     another process has leased the letter
 * NGX_DECLINED  the letter is gone: replayed by another process, or dropped
 */
ngx_int_t ngx_http_tgbot_dead_holds(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease);

/*
 * Ends the lease; with "gone" the letter is deleted as well.  Does nothing if
 * the letter is not under this lease.
 */
void ngx_http_tgbot_dead_release(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t gone);

/*
 * The letter's Update was taken from the queue.  Deletes the letter if it is
 * still there, because the worker that put the Update into the queue died
 * before it deleted the letter.
 */
void ngx_http_tgbot_dead_taken(ngx_http_tgbot_dead_t *dead, uint64_t id,
    int64_t update_id);


/* for status */

typedef struct {
    ngx_uint_t               letters;
    ngx_uint_t               blocks;
    ngx_uint_t               evicted;      /* since the entry was made */
    time_t                   oldest;       /* end.last of the oldest letter;
                                              0: none */
} ngx_http_tgbot_dead_state_t;

void ngx_http_tgbot_dead_state(ngx_http_tgbot_dead_t *dead,
    ngx_http_tgbot_dead_state_t *state);


/* the least number of bots that a zone of "size" bytes has room for */
ngx_uint_t ngx_http_tgbot_dead_bots(size_t size);

/* number of blocks that a letter takes */
uint64_t ngx_http_tgbot_dead_needs(ngx_http_tgbot_item_t *item);


/*
 * Letters in a zone, for ngx_http_tgbot_dead.c and unit tests.
 */

/* the header of an item, in shared memory */

typedef struct {
    ngx_http_tgbot_store_item_t    store;

    ngx_http_tgbot_dead_end_t      end;
    ngx_http_tgbot_lease_t         lease;    /* of the last replay */

    uint32_t                       chain;    /* derived: next of the
                                                same hash in the index */
} ngx_http_tgbot_dead_item_t;


extern const ngx_http_tgbot_store_layout_t  ngx_http_tgbot_dead_layout;


/* opens and locks the zone, and repairs it if a worker died inside */
void ngx_http_tgbot_dead_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store);

#endif /* _NGX_HTTP_TGBOT_DEAD_H_INCLUDED_ */
