
/*
 * The zone of tgbot_pace: what an answer 429 stopped, which call to a chat goes
 * first, and the buckets of bulk.
 *
 * A call that has to wait, or that others wait for, has a ticket.  A record is
 * a chat of a bot, with its pause, its buckets and its tickets.  Tickets end
 * with the process that made them.
 */

#ifndef _NGX_HTTP_TGBOT_PACE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_PACE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_bots.h"


/* bytes of a chat that tell it from others */
#define NGX_HTTP_TGBOT_PACE_CHAT       40

/* tickets that one lock looks at */
#define NGX_HTTP_TGBOT_PACE_BATCH      32


/* how the calls of a ticket stand to others of their chat */

typedef enum {
    NGX_HTTP_TGBOT_PACE_LOOSE = 0,     /* wait only for the end of a pause */
    NGX_HTTP_TGBOT_PACE_LINE,          /* behind a ticket in the line that
                                          waits or is repeated */
    NGX_HTTP_TGBOT_PACE_STRICT,        /* behind any ticket in the line */
    NGX_HTTP_TGBOT_PACE_BULK           /* paced, one at a time */
} ngx_http_tgbot_pace_class_e;


/* why a ticket began to wait */

typedef enum {
    NGX_HTTP_TGBOT_PACE_FOR_PACE = 0,
    NGX_HTTP_TGBOT_PACE_FOR_429,
    NGX_HTTP_TGBOT_PACE_FOR_ORDER
} ngx_http_tgbot_pace_reason_e;

#define NGX_HTTP_TGBOT_PACE_REASONS    3


/* buckets */

typedef enum {
    NGX_HTTP_TGBOT_PACE_CHATS = 0,     /* of each chat */
    NGX_HTTP_TGBOT_PACE_GROUPS,        /* of a group, besides */
    NGX_HTTP_TGBOT_PACE_ALL,           /* of the bot */
    NGX_HTTP_TGBOT_PACE_PAID           /* in its place */
} ngx_http_tgbot_pace_bucket_e;

#define NGX_HTTP_TGBOT_PACE_BUCKETS    4


typedef struct {
    uint32_t                  period;      /* microseconds of a token, 0: no
                                              bucket */
    uint32_t                  burst;       /* tokens */
} ngx_http_tgbot_pace_rate_t;


/* a bot that uses the zone */

typedef ngx_http_tgbot_zone_user_t  ngx_http_tgbot_pace_t;


/* a call; the caller zeroes it, and sets all but what follows "private" */

typedef struct {
    ngx_str_t                 chat;        /* "": the bot; "/name": a method */
    ngx_uint_t                class;       /* ngx_http_tgbot_pace_class_e */
    ngx_uint_t                group;
    ngx_uint_t                paid;
    ngx_http_tgbot_pace_rate_t   *rates;   /* of bulk, by bucket */
    ngx_msec_t                limit;       /* ms */
    void                     *data;        /* comes back with the ticket */
    ngx_uint_t                unsent;      /* for leave: the call went, but no
                                              request did, which gives its
                                              tokens back */

    /* set by a look at the ticket */
    ngx_msec_t                due;         /* ngx_current_msec at which the
                                              ticket is looked at again, if it
                                              is not told before; 0: none */
    ngx_msec_t                wait;        /* ms at least, 0: not known */
    ngx_uint_t                reason;      /* ngx_http_tgbot_pace_reason_e */
    ngx_uint_t                probe;       /* it goes first after a pause */

    /* private */
    uint64_t                  seq;         /* 0: not entered */
    uint32_t                  ticket;      /* number + 1, 0: none */
} ngx_http_tgbot_pace_call_t;


/* a ticket that its worker was told to look at */

typedef struct {
    void                     *data;
    ngx_int_t                 rc;          /* NGX_OK: the call may go */
    ngx_msec_t                due;         /* as in the call */
    ngx_uint_t                probe;
    uint32_t                  ticket;
} ngx_http_tgbot_pace_told_t;


/* of a bot; all of them 64 bits, as the table of metrics wants */

typedef struct {
    uint64_t                  waiting[NGX_HTTP_TGBOT_PACE_REASONS];
    uint64_t                  waited[NGX_HTTP_TGBOT_PACE_REASONS];
    uint64_t                  pauses;      /* that a 429 began */
    uint64_t                  lost;        /* pauses without a record */
    uint64_t                  paused;      /* chats, methods, and the bot, with
                                              those whose probe is missing */

    /* calls of bulk a second, without paid broadcasts and of these */
    uint64_t                  used[2];
    uint64_t                  allowed[2];  /* 0: not known, or no limit */
} ngx_http_tgbot_pace_state_t;


typedef struct {
    ngx_uint_t                records;
    ngx_uint_t                tickets;
    ngx_uint_t                total;       /* of each of the two */
} ngx_http_tgbot_pace_zone_state_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_pace_zone;


/*
 * Called once a worker.  ring() is called after the unlock, from any function
 * below, for each worker with a ticket that is to be looked at, by the slot of
 * its leases; this worker included.
 */
void ngx_http_tgbot_pace_init_process(void (*ring)(ngx_uint_t slot));

/*
 * Asks whether the call may go now; needs no lock where nothing is stopped.
 *
 * NGX_OK     the call may go
 * NGX_AGAIN  the ticket waits
 * NGX_BUSY   it would wait longer than "limit", or there is no room for a
 *            ticket ("wait" is a second); the call has no ticket
 */
ngx_int_t ngx_http_tgbot_pace_enter(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call);

/*
 * Looks at a ticket again, whose call may have gone, but no request: NGX_OK or
 * NGX_AGAIN, as enter
 */
ngx_int_t ngx_http_tgbot_pace_look(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call);

/*
 * A call of bulk that may go is to wait for "ms" more, as other machines want
 * of its chat, for an ngx_http_tgbot_pace_reason_e, and holds no tokens
 * meanwhile.  Returns what look does.
 */
ngx_int_t ngx_http_tgbot_pace_later(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call, ngx_msec_t ms, ngx_uint_t reason);

/*
 * Writes a chat, NGX_HTTP_TGBOT_PACE_CHAT bytes at most, as one name for it: of
 * a @name the id, if that was learned.  Returns the length.
 */
size_t ngx_http_tgbot_pace_chat(ngx_http_tgbot_pace_t *pace, ngx_str_t *chat,
    u_char *p);

/*
 * The request was answered with 429: a pause of "pause" ms.  A later end wins.
 * "data" of NULL: a worker has heard of it, which counts no pause as lost.
 */
void ngx_http_tgbot_pace_stop(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call, ngx_msec_t pause);

/*
 * The request was answered ("answered"), which ends a pause of which it was
 * the probe, or failed: then another call is the probe.
 */
void ngx_http_tgbot_pace_answered(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call, ngx_uint_t answered);

/* the chat of the call, which is a @name, is known by this id as well */
void ngx_http_tgbot_pace_learn(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call, int64_t id);

/* the call has ended; its ticket goes, and others are told; idempotent */
void ngx_http_tgbot_pace_leave(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call);

/*
 * Takes up to NGX_HTTP_TGBOT_PACE_BATCH tickets of this worker that are to be
 * looked at, and looks.  Returns their number; fewer than that: no more.
 */
ngx_uint_t ngx_http_tgbot_pace_told(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_pace_told_t *told);

/* takes the tickets of dead processes away */
void ngx_http_tgbot_pace_reap(ngx_http_tgbot_zone_t *zone);

void ngx_http_tgbot_pace_state(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_state_t *state);
void ngx_http_tgbot_pace_zone_state(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_pace_zone_state_t *state);


#endif /* _NGX_HTTP_TGBOT_PACE_H_INCLUDED_ */
