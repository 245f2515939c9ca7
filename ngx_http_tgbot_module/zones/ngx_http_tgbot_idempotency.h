
/*
 * Calls with an Idempotency-Key, by bot and key.  A record is written before
 * the call is sent, and tells for a day what became of it: calls of the same
 * key get its answer, wait for it, or learn that the outcome is unknown.
 *
 * No record is forgotten before its time.  A record that is in flight has room
 * for the largest answer reserved.
 */

#ifndef _NGX_HTTP_TGBOT_IDEMPOTENCY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_IDEMPOTENCY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_bots.h"


/* how long a record is kept, ms */
#define NGX_HTTP_TGBOT_IDEMPOTENCY_LIFE  86400000

/* bytes of the largest answer that is kept */
#define NGX_HTTP_TGBOT_IDEMPOTENCY_SIZE  (17 * 1024)

#define NGX_HTTP_TGBOT_IDEMPOTENCY_HASH  16         /* MD5 */


/* slots of workers, one bit each */

typedef struct {
    uint32_t                      bits[NGX_MAX_PROCESSES / 32];
} ngx_http_tgbot_idempotency_slots_t;


/* a call of a program; the caller sets user, key and print */

typedef struct {
    ngx_http_tgbot_zone_user_t   *user;    /* the bot in a zone */
    u_char                        key[NGX_HTTP_TGBOT_IDEMPOTENCY_HASH];
    u_char                        print[NGX_HTTP_TGBOT_IDEMPOTENCY_HASH];
                                           /* of what is sent */
    ngx_http_tgbot_lease_t        lease;   /* of the record; zero: none */

    /* set by each function: workers with calls that wait for this record */

    ngx_http_tgbot_idempotency_slots_t
                                  waiting;
} ngx_http_tgbot_idempotency_call_t;


typedef enum {
    NGX_HTTP_TGBOT_IDEMPOTENCY_MINE = 0,   /* this call holds the record */
    NGX_HTTP_TGBOT_IDEMPOTENCY_KEPT,       /* the answer is there */
    NGX_HTTP_TGBOT_IDEMPOTENCY_BUSY,       /* another call holds the record:
                                              this worker will be named in
                                              "waiting" once */
    NGX_HTTP_TGBOT_IDEMPOTENCY_OTHER,      /* the record has another print */
    NGX_HTTP_TGBOT_IDEMPOTENCY_UNKNOWN,    /* sent, with an unknown outcome */
    NGX_HTTP_TGBOT_IDEMPOTENCY_LARGE,      /* answered, but the answer was too
                                              large to be kept */
    NGX_HTTP_TGBOT_IDEMPOTENCY_FULL        /* the zone has no room */
} ngx_http_tgbot_idempotency_e;


typedef enum {
    NGX_HTTP_TGBOT_IDEMPOTENCY_ANSWERED = 0,
                                           /* the answer is kept, or, if it is
                                              larger than SIZE, only that
                                              there was one */
    NGX_HTTP_TGBOT_IDEMPOTENCY_NO_EFFECT,  /* the next call of the key will be
                                              sent */
    NGX_HTTP_TGBOT_IDEMPOTENCY_LEFT        /* the same if it was not sent, else
                                              the outcome is unknown */
} ngx_http_tgbot_idempotency_end_e;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_idempotency_zone;


/*
 * Looks the key up, and writes a record if there is none, or one whose process
 * died before it sent the call.
 *
 * MINE: sent(), if the call is sent, and settle() must follow.
 * KEPT: *answer points to a static buffer, valid until the next call of this
 * function.
 */
ngx_http_tgbot_idempotency_e ngx_http_tgbot_idempotency_claim(
    ngx_http_tgbot_idempotency_call_t *call, ngx_str_t *answer);

/*
 * The call is about to be sent: from now on its outcome counts as unknown, if
 * this process dies.  May be called again for a repeat.
 * NGX_DECLINED: this process hung for so long that another call has the record;
 * this one must not be sent.
 */
ngx_int_t ngx_http_tgbot_idempotency_sent(
    ngx_http_tgbot_idempotency_call_t *call);

/*
 * Ends the lease; does nothing if there is none.  "answer" is used with
 * ANSWERED only.
 */
void ngx_http_tgbot_idempotency_settle(ngx_http_tgbot_idempotency_call_t *call,
    ngx_http_tgbot_idempotency_end_e end, ngx_str_t *answer);

/*
 * Settles all records of processes that are dead as LEFT; *waiting is as in a
 * call.  Called when a worker starts, as another one may have died.
 */
void ngx_http_tgbot_idempotency_reap(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_idempotency_slots_t *waiting);


/*
 * Layout of a zone, for ngx_http_tgbot_idempotency.c and unit tests.
 */

typedef enum {
    NGX_HTTP_TGBOT_IDEMPOTENCY_CLAIMED = 0,
    NGX_HTTP_TGBOT_IDEMPOTENCY_SENT,
    NGX_HTTP_TGBOT_IDEMPOTENCY_ENDED,      /* with an unknown outcome, if there
                                              is no answer */
    NGX_HTTP_TGBOT_IDEMPOTENCY_LEFT_OUT    /* the answer was too large */
} ngx_http_tgbot_idempotency_state_e;


/*
 * The header of a record; its data is key and print.  All of it is in one
 * block, so that no record is of two moments after the machine went down.
 */

typedef struct {
    ngx_http_tgbot_store_item_t   store;

    ngx_http_tgbot_lease_t        lease;
    uint32_t                      state;
    ngx_http_tgbot_idempotency_slots_t
                                  waiting;

    /* derived */

    uint32_t                      chain;   /* next of the same hash */
    ngx_http_tgbot_link_t         link;    /* if it is in flight */
} ngx_http_tgbot_idempotency_item_t;


/* the kind's tables */

typedef struct {
    ngx_http_tgbot_list_t         flight;  /* CLAIMED or SENT */
    uint32_t                      heads[]; /* by hash of the key */
} ngx_http_tgbot_idempotency_sh_t;


/* opens and locks the zone, and repairs it if a worker died inside */
void ngx_http_tgbot_idempotency_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store);


#endif /* _NGX_HTTP_TGBOT_IDEMPOTENCY_H_INCLUDED_ */
