
/*
 * What jobs, replays and the status do with a bot's dead letters, wherever they
 * are.  A zone answers at once; letters elsewhere suspend what the functions
 * are called for.
 */

#ifndef _NGX_HTTP_TGBOT_DEAD_VERBS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEAD_VERBS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_bot.h"


typedef struct ngx_http_tgbot_dead_op_s    ngx_http_tgbot_dead_op_t;
typedef struct ngx_http_tgbot_dead_held_s  ngx_http_tgbot_dead_held_t;


/* the lease of a letter that is replayed; its owner may move it */

struct ngx_http_tgbot_dead_held_s {
    ngx_http_tgbot_bot_t      *bot;
    uint64_t                   id;        /* of the letter */
    ngx_http_tgbot_lease_t     lease;     /* in a zone */
    void                      *redis;     /* in Redis */

    unsigned                   left:1;    /* another worker had it before, and
                                             may have put the Update into the
                                             queue */
    unsigned                   held:1;    /* the owner clears it when the lease
                                             is lost or has ended */
};


/*
 * What is asked of the letters, and what they say.  Belongs to its owner, who
 * zeroes it, sets what the verb needs, and must not move it while it is
 * suspended.
 */

struct ngx_http_tgbot_dead_op_s {
    ngx_http_tgbot_bot_t      *bot;
    uint64_t                   id;        /* of one letter */

    /* put: what is kept, its strings live until the end; get, lease: what is
       read, its strings are in "pool" */
    ngx_http_tgbot_letter_t    letter;
    ngx_pool_t                *pool;

    /* put */
    uint64_t                   seq;       /* of the item in Redis; 0: none */
    ngx_msec_t                 begun;     /* set by the verb */
    ngx_uint_t                 evicted;

    /* list: up to n letters with ids above "after"; n becomes their number */
    uint64_t                   after;
    ngx_uint_t                 n;
    ngx_http_tgbot_letter_t   *letters;
    ngx_uint_t                 total;     /* letters that the bot has */

    ngx_http_tgbot_dead_held_t   held;    /* lease: on NGX_OK */

    /* the end of an op that was suspended; never called from inside the verb */
    void                     (*done)(ngx_http_tgbot_dead_op_t *op,
                                   ngx_int_t rc);

    /*
     * put: called several times a second while there is no answer; returns
     * whether to go on
     */
    ngx_uint_t               (*late)(ngx_http_tgbot_dead_op_t *op);
    void                      *data;

    void                      *redis;     /* private; NULL: not suspended */

    unsigned                   spare:1;   /* put: nothing is evicted for it */
};


/*
 * Each of the first five may return
 *
 * NGX_AGAIN  in the place of all codes below but for one: the op is suspended,
 *            op->redis is set, and done() is called with one of the others
 * NGX_DONE   a live worker replays the letter
 * NGX_ABORT  the place is away, or does not answer: what was asked for may have
 *            been done nevertheless
 * NGX_ERROR  no memory
 */

struct ngx_http_tgbot_dead_verbs_s {

    /*
     * Keeps a letter, see dead.h, and sets letter.id and evicted.
     * NGX_DECLINED: it does not fit (logged), or there is no room to spare.
     * NGX_ABORT: late() has said so.
     */
    ngx_int_t  (*put)(ngx_http_tgbot_dead_op_t *op);

    /* lists letters, the lowest id first; of strings only lengths are set */
    ngx_int_t  (*list)(ngx_http_tgbot_dead_op_t *op);

    /*
     * Reads a letter; drops it, unless it is replayed; leases it for a replay
     * and reads it.  NGX_DECLINED: there is no such letter (any more).
     */
    ngx_int_t  (*get)(ngx_http_tgbot_dead_op_t *op);
    ngx_int_t  (*drop)(ngx_http_tgbot_dead_op_t *op);
    ngx_int_t  (*lease)(ngx_http_tgbot_dead_op_t *op);

    /* ends an op that is suspended: done() is not called; else does nothing */
    void       (*leave)(ngx_http_tgbot_dead_op_t *op);

    /* whether this worker still has the lease, answered from memory */
    ngx_uint_t (*holds)(ngx_http_tgbot_dead_held_t *held);

    /* ends the lease; with "gone" the letter goes, too */
    void       (*end)(ngx_http_tgbot_dead_held_t *held, ngx_uint_t gone);

    /*
     * The letter's Update was taken from the queue: the letter goes if it is
     * still there, see ngx_http_tgbot_dead_taken().
     */
    void       (*taken)(ngx_http_tgbot_bot_t *bot, uint64_t id,
                   int64_t update_id);

    /*
     * NGX_AGAIN: *state is what was known last, and newer numbers are on their
     * way.  Without blocks state->blocks is 0.
     */
    ngx_int_t  (*state)(ngx_http_tgbot_bot_t *bot,
                   ngx_http_tgbot_dead_state_t *state);
};


/* letters in a zone of this machine */
extern const ngx_http_tgbot_dead_verbs_t  ngx_http_tgbot_dead_local;


#endif /* _NGX_HTTP_TGBOT_DEAD_VERBS_H_INCLUDED_ */
