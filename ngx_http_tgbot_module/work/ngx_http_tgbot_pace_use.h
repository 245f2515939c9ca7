
/*
 * When a call may go to the Bot API: what an answer 429 stopped, the order of
 * the calls to a chat, and the pace of bulk.  All workers together, and with
 * "redis" all machines: a call that the zone lets go asks Redis.
 */

#ifndef _NGX_HTTP_TGBOT_PACE_USE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_PACE_USE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_pace_redis.h"


/* tgbot_gateway order=: behind which calls to its chat a call waits */

#define NGX_HTTP_TGBOT_ORDER_OFF     0
#define NGX_HTTP_TGBOT_ORDER_CHAT    1   /* that are paused or repeated */
#define NGX_HTTP_TGBOT_ORDER_STRICT  2   /* all of them */


/* what became of a request */

typedef enum {
    NGX_HTTP_TGBOT_TURN_ANSWERED = 0,  /* any status but 429 and 5xx */
    NGX_HTTP_TGBOT_TURN_FLOOD,         /* 429 */
    NGX_HTTP_TGBOT_TURN_FAILED         /* no answer, or 5xx */
} ngx_http_tgbot_turn_result_e;


/* bytes of an answer in which the id of its chat is looked for */
#define NGX_HTTP_TGBOT_PACE_USE_HEAD  4096


typedef struct ngx_http_tgbot_turn_s  ngx_http_tgbot_turn_t;

/* the turn of one call; it lasts over the repeats of the call */

struct ngx_http_tgbot_turn_s {

    /* set by the caller before the first enter, the rest zeroed */

    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_pace_conf_t    *conf;      /* of bulk, but for its rates,
                                                 which are the bot's; NULL: it
                                                 is strict, and not paced */
    ngx_str_t                      chat;      /* chat_id without quotes; "":
                                                 the call has none */
    ngx_str_t                      method;
    ngx_uint_t                     order;     /* NGX_HTTP_TGBOT_ORDER_... */
    ngx_uint_t                     bulk;      /* paced, one at a time in its
                                                 chat */
    ngx_uint_t                     paid;      /* allow_paid_broadcast */
    ngx_msec_t                     limit;     /* ms to wait at most; may be
                                                 changed before each enter */

    /*
     * Ends a wait, from nginx's event loop, never from inside a function of
     * this file.  NGX_OK: the call may go.  NGX_BUSY: "limit" has passed, and
     * "wait" is set; the turn has been left.
     */
    void                         (*ready)(ngx_http_tgbot_turn_t *turn,
                                       ngx_int_t rc);
    void                          *data;

    /* set by enter and before ready() */

    ngx_msec_t                     wait;      /* ms that the wait will last at
                                                 least; 0: not known */

    /* private */

    ngx_http_tgbot_pace_call_t     call;
    ngx_event_t                    timer;
    ngx_queue_t                    queue;     /* of those that may go */
    ngx_msec_t                     end;       /* of the wait, by "limit" */
    u_char                         key[NGX_HTTP_TGBOT_PACE_CHAT];
    ngx_http_tgbot_pace_place_t   *place;     /* in Redis, NULL: none */

    unsigned                       entered:1;
    unsigned                       waiting:1;
    unsigned                       going:1;
    unsigned                       placing:1; /* waits for Redis, not for the
                                                 zone */
    unsigned                       probe:1;   /* of all machines */
};


/* worker start, after that of the bell; NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_pace_use_init_process(ngx_array_t *bots,
    ngx_cycle_t *cycle);

/* worker exit, after all turns were left */
void ngx_http_tgbot_pace_use_exit_process(void);


/*
 * Asks for the turn, before each request of the call, a repeat included.
 * "chat" and "method" must stay valid until the turn is left.
 *
 * NGX_OK     the call may go
 * NGX_AGAIN  ready() will be called, unless the turn is left before
 * NGX_BUSY   the call would wait longer than "limit": "wait" is set, and the
 *            turn holds no place (a turn that had one has been left)
 */
ngx_int_t ngx_http_tgbot_pace_use_enter(ngx_http_tgbot_turn_t *turn);

/*
 * Tells the answer to a request, "result" being an
 * ngx_http_tgbot_turn_result_e, before it is decided whether the call is
 * repeated.  A 429 stops the chat of the call, or the bot, for "retry_after"
 * seconds; with 0 it is a failure like others.  The turn keeps its place until
 * it is left: who repeats the call enters again.  "body" is what there is of
 * the answer's body, its beginning at least, or NULL.
 */
void ngx_http_tgbot_pace_use_answered(ngx_http_tgbot_turn_t *turn,
    ngx_uint_t result, ngx_uint_t retry_after, ngx_str_t *body);

/* milliseconds until a turn that waits may be there, 0: it does not wait */
ngx_msec_t ngx_http_tgbot_pace_use_rest(ngx_http_tgbot_turn_t *turn);

/*
 * The call has ended or was cancelled, in any state: its place goes to the
 * next one at once.  ready() is not called any more.  Idempotent; also for a
 * turn that is all zero.  The turn may be used for another call after it.
 */
void ngx_http_tgbot_pace_use_leave(ngx_http_tgbot_turn_t *turn);


#endif /* _NGX_HTTP_TGBOT_PACE_USE_H_INCLUDED_ */
