
/*
 * A queue in Redis, see queue_verbs.h.  All that is in it is in Redis: a worker
 * keeps what it has taken, and what it waits for.
 */

#ifndef _NGX_HTTP_TGBOT_QUEUE_REDIS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_QUEUE_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_queue_verbs.h"
#include "ngx_http_tgbot_redis_args.h"
#include "ngx_http_tgbot_redis_lease.h"


extern const ngx_http_tgbot_queue_verbs_t  ngx_http_tgbot_queue_redis;


void ngx_http_tgbot_queue_redis_init_process(void);

/*
 * Worker exit, after jobs have ended: forgets what is suspended, no callback
 * runs any more.
 */
void ngx_http_tgbot_queue_redis_exit_process(void);


/*
 * worker_shutdown_timeout has passed: what is given back or settled does not
 * keep this worker any longer than a command does; Redis frees the lanes when
 * the lease of this worker is over.
 */
void ngx_http_tgbot_queue_redis_abandon(void);


/* inside ngx_http_tgbot_queue_redis*.c */

/* the first byte of a payload, of a progress and of an answer */
#define NGX_HTTP_TGBOT_QUEUE_REDIS_VERSION   1

/*
 * Time between takes that find nothing, ms: the bell rings before, but some of
 * what it says may be lost
 */
#define NGX_HTTP_TGBOT_QUEUE_REDIS_IDLE      1000
#define NGX_HTTP_TGBOT_QUEUE_REDIS_IDLE_MAX  8000


/* a bot's queue in Redis, as this worker uses it */

struct ngx_http_tgbot_queue_redis_s {
    ngx_queue_t                      queue;     /* of this worker's */
    ngx_http_tgbot_bot_t            *bot;
    ngx_str_t                        bell;      /* channel */

    ngx_queue_t                      items;     /* that were taken */
    ngx_uint_t                       nitems;
    ngx_queue_t                      puts;      /* that wait for the reply */

    ngx_http_tgbot_redis_command_t   take;
    ngx_http_tgbot_redis_lease_t     pending;   /* number 0: no take waits */
    ngx_http_tgbot_queue_ready_pt    ready;
    ngx_msec_t                       look;      /* time of the next take */
    ngx_msec_t                       idle;      /* time after an empty take */
    int64_t                          offset;    /* Redis' time - ours, ms */

    /* the breaker, of this worker */
    uint64_t                         lanes[NGX_HTTP_TGBOT_QUEUE_BREAK_LANES];
    ngx_uint_t                       nlanes;    /* different ones in a row */
    ngx_uint_t                       row;       /* times unavailable */
    ngx_uint_t                       allowed;   /* jobs; 0: all */
    ngx_msec_t                       probe;     /* time of the next one */

    time_t                           dropped;   /* time of the last line about
                                                   items that are dropped */

    unsigned                         open:1;    /* the breaker */
};


/*
 * What an item has in Redis in front of its data, with the order of bytes of
 * this machine, as the data has it
 */

typedef struct {
    uint8_t      version;
    uint8_t      answered;
    uint16_t     unused;
    uint32_t     life;          /* seconds */
    uint32_t     attempts;
    uint32_t     len;           /* of the data; the rest is the answer */
    int64_t      update_id;
    uint64_t     letter;
} ngx_http_tgbot_queue_redis_payload_t;


/* the queue of the bot, made when it is needed; NULL: no memory */
ngx_http_tgbot_queue_redis_t *ngx_http_tgbot_queue_redis_open(
    ngx_http_tgbot_bot_t *bot);

/* there may be something to take */
void ngx_http_tgbot_queue_redis_look(ngx_http_tgbot_queue_redis_t *q);

/* time between two questions for the state, ms */
#define NGX_HTTP_TGBOT_QUEUE_REDIS_STATE  1000

/* tells the breaker that the program was unavailable for an item of the lane */
void ngx_http_tgbot_queue_redis_unavailable(ngx_http_tgbot_queue_redis_t *q,
    uint64_t lane);

/* see queue_verbs.h */
ngx_int_t ngx_http_tgbot_queue_redis_take(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_queue_ready_pt ready, ngx_msec_t *wait);
ngx_uint_t ngx_http_tgbot_queue_redis_holds(ngx_http_tgbot_queue_held_t *held);
ngx_int_t ngx_http_tgbot_queue_redis_give(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_item_t *item, ngx_msec_t delay,
    ngx_http_tgbot_queue_program_e program);
ngx_int_t ngx_http_tgbot_queue_redis_save(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_item_t *item);
ngx_int_t ngx_http_tgbot_queue_redis_settle(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_queue_event_e event);

/* frees all items; their lanes are not held any more */
void ngx_http_tgbot_queue_redis_forget(ngx_http_tgbot_queue_redis_t *q);


#endif /* _NGX_HTTP_TGBOT_QUEUE_REDIS_H_INCLUDED_ */
