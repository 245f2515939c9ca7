
/*
 * What the webhook, the queue worker and jobs do with a bot's queue, wherever
 * its items are.  A queue of zones/ answers at once; a queue elsewhere may
 * suspend what its functions are called for.
 */

#ifndef _NGX_HTTP_TGBOT_QUEUE_VERBS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_QUEUE_VERBS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_limit_redis.h"


typedef struct ngx_http_tgbot_queue_put_s   ngx_http_tgbot_queue_put_t;
typedef struct ngx_http_tgbot_queue_held_s  ngx_http_tgbot_queue_held_t;


/* an item on its way into the queue */

struct ngx_http_tgbot_queue_put_s {
    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_item_t          item;
    ngx_http_tgbot_queue_event_e   event;     /* accepted or replayed */
    ngx_http_tgbot_dead_end_t      end;       /* replayed: of the letter */
    ngx_msec_t                     age;       /* NGX_BUSY: of the oldest item */

    /* limits that Redis has to look at; NULL: none */
    ngx_http_tgbot_limit_buckets_t  *buckets;
    ngx_uint_t                     refused;   /* by this one, from 1 on */
    ngx_http_tgbot_limit_result_t  result;    /* of that one */

    /*
     * a put that is suspended goes on in a copy: done() gets it at the end,
     * never from inside put()
     */
    ngx_http_tgbot_queue_put_t    *copy;
    void                         (*done)(ngx_http_tgbot_queue_put_t *put,
                                       ngx_int_t rc);
    void                          *data;

    unsigned                       numbered:1;  /* has an update_id, by which
                                                   duplicates are known */
    unsigned                       rebased:1;  /* see dedup.h */
    unsigned                       again:1;   /* of a letter: an earlier put
                                                 may have succeeded */
};


/* an item that this worker has taken; a part of its job */

struct ngx_http_tgbot_queue_held_s {
    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_queue_taken_t   taken;     /* of a zone */
    void                          *item;      /* of another queue */
    uint64_t                       seq;       /* there; 0: in a zone */

    /* the end of a save or settle that was suspended */
    void                         (*done)(ngx_http_tgbot_queue_held_t *held,
                                       ngx_int_t rc);

    unsigned                       held:1;    /* the owner clears it when the
                                                 lease is lost or has ended */
};


/*
 * Gets an item that was taken, and its pool, which it owns after NGX_OK; else
 * "held" has not become a part of a job.  The item's strings are in the pool.
 * NGX_DECLINED: the item is of another version of the module.
 */
typedef ngx_int_t (*ngx_http_tgbot_queue_ready_pt)(
    ngx_http_tgbot_queue_held_t *held, ngx_http_tgbot_item_t *item,
    ngx_pool_t *pool);


struct ngx_http_tgbot_queue_verbs_s {

    /*
     * Puts put->item at the end of its lane.  The strings are copied.
     *
     * NGX_OK        the item is in the queue
     * NGX_BUSY      the queue is full, or the bot's part of it
     * NGX_DECLINED  the item is larger than the bot's whole part
     * NGX_DONE      a limit has refused the update, see put->refused; or it is
     *               a duplicate: it was put into the queue before.  Of a
     *               letter in Redis: there is no such letter (any more)
     * NGX_ERROR     of a letter in Redis: a living worker replays it
     * NGX_ABORT     the queue is away, or there is no memory; the item may be
     *               in it nevertheless
     * NGX_AGAIN     the put is suspended: put->copy is set, and done() is
     *               called with one of the other codes
     */
    ngx_int_t  (*put)(ngx_http_tgbot_queue_put_t *put);

    /* ends put->copy, whose put may succeed; done() is not called */
    void       (*leave)(ngx_http_tgbot_queue_put_t *put);

    /* whether the lane is known to have no items */
    ngx_uint_t (*empty)(ngx_http_tgbot_bot_t *bot, uint64_t lane);

    /*
     * Takes the head of the next ready lane.
     *
     * NGX_OK        ready() was called with an item, or there is none after
     *               all: call again
     * NGX_DECLINED  nothing may be taken now, look again in *wait ms;
     *               NGX_TIMER_INFINITE: after the next put, give or settle
     */
    ngx_int_t  (*take)(ngx_http_tgbot_bot_t *bot,
                   ngx_http_tgbot_queue_ready_pt ready, ngx_msec_t *wait);

    /*
     * Whether this worker still has the lease, answered from memory.  If it
     * is lost, "held" has ended.
     */
    ngx_uint_t (*holds)(ngx_http_tgbot_queue_held_t *held);

    /*
     * Gives the item back with its progress and, if none is kept yet, its
     * answer: it stays the head of its lane and may be taken after "delay"
     * ms.  The strings are copied.
     *
     * NGX_OK        the lease ends, now or when the queue has answered
     * NGX_DECLINED  the lease is lost
     * NGX_AGAIN     there is no room for the answer: nothing has changed
     */
    ngx_int_t  (*give)(ngx_http_tgbot_queue_held_t *held,
                   ngx_http_tgbot_item_t *item, ngx_msec_t delay,
                   ngx_http_tgbot_queue_program_e program);

    /*
     * Saves the same in the item, whose lease goes on.
     *
     * NGX_OK        saved
     * NGX_DECLINED  the lease is lost, or the queue is away: "held" has ended.
     *               It may be saved nevertheless
     * NGX_BUSY      there is no room for the answer, or no memory: nothing has
     *               changed
     * NGX_AGAIN     suspended: held->done() is called with one of the others,
     *               unless the item is given back before
     */
    ngx_int_t  (*save)(ngx_http_tgbot_queue_held_t *held,
                   ngx_http_tgbot_item_t *item);

    /*
     * Removes the item for one of the last four events.
     *
     * NGX_OK        the lease ends
     * NGX_DECLINED  the lease is lost
     * NGX_AGAIN     suspended: held->done() is called with one of the others,
     *               unless the item is given back before
     */
    ngx_int_t  (*settle)(ngx_http_tgbot_queue_held_t *held,
                   ngx_http_tgbot_queue_event_e event);

    /* tells the breaker that the program answered */
    void       (*took)(ngx_http_tgbot_bot_t *bot);

    /*
     * NGX_AGAIN: *state is what was known last, and newer numbers are on
     * their way
     */
    ngx_int_t  (*state)(ngx_http_tgbot_bot_t *bot,
                   ngx_http_tgbot_queue_state_t *state);
};


/* a queue in a zone of this machine */
extern const ngx_http_tgbot_queue_verbs_t  ngx_http_tgbot_queue_local;


#endif /* _NGX_HTTP_TGBOT_QUEUE_VERBS_H_INCLUDED_ */
