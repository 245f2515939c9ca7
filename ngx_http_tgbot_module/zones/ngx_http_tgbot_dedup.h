
/*
 * De-duplication: which Updates are accepted (answered 2xx), which are claimed,
 * and what is known of the Updates that Telegram will deliver again.
 */

#ifndef _NGX_HTTP_TGBOT_DEDUP_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEDUP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup_area.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"


/* window, in update_ids; a ring of the default window takes 512 KiB */
#define NGX_HTTP_TGBOT_DEDUP_WINDOW     4194304
#define NGX_HTTP_TGBOT_DEDUP_WINDOW_MIN  1024
#define NGX_HTTP_TGBOT_DEDUP_WINDOW_MAX  1073741824

/* records of a bot: Updates claimed, to be delivered again, or with a ride */
#define NGX_HTTP_TGBOT_DEDUP_RECORDS    4096

/*
 * A ride: the call in the response that accepted an Update, kept to be repeated
 * in the response to a duplicate.  Bytes of call and content type together, at
 * most, and how long they are kept, milliseconds.
 */
#define NGX_HTTP_TGBOT_DEDUP_RIDE       4096
#define NGX_HTTP_TGBOT_DEDUP_RIDE_TIME  300000


/* a bot that uses a zone; begins as ngx_http_tgbot_zone_user_t */

typedef struct {
    ngx_http_tgbot_zone_t     *zone;
    ngx_str_t                  bot;           /* name, up to 32 bytes */
    uint64_t                   bot_id;        /* of the token, 0: unknown */
    ngx_uint_t                 entry;         /* set by the directory */
    uint32_t                   serial;        /* of that entry */

    ngx_uint_t                 window;        /* a power of two */
} ngx_http_tgbot_dedup_t;


typedef struct {
    int64_t                    update_id;
    ngx_http_tgbot_lease_t     lease;         /* zero: nothing to settle */
    ngx_msec_t                 first;         /* received, ngx_current_msec */
    ngx_uint_t                 attempts;      /* failed ones so far */

    unsigned                   charged:1;     /* by limits, at an earlier
                                                 delivery */
    unsigned                   rebased:1;     /* this id opened a ring while
                                                 the other was in use */
} ngx_http_tgbot_dedup_claim_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_dedup_zone;


/* bytes of a zone that one bot with this window takes */
size_t ngx_http_tgbot_dedup_size(ngx_uint_t window);

/*
 * Checks at configuration time, when all bots are known, that the zone has
 * room for them; zone->users has pointers to ngx_http_tgbot_dedup_t.
 * NGX_ERROR: it has not; the size it needs is logged.
 */
ngx_int_t ngx_http_tgbot_dedup_check(ngx_conf_t *cf,
    ngx_http_tgbot_zone_t *zone);

/*
 * Claims an Update for this worker.
 *
 * NGX_OK        claimed: one of the functions below must settle claim->lease.
 *               If after a reload the area belongs to another bot, NGX_OK is
 *               returned with a zero lease, and settling does nothing
 * NGX_DECLINED  the Update is accepted already.  If a ride is kept, *type and
 *               *body point to a static buffer, valid until the next call of
 *               this function; otherwise they are empty
 * NGX_BUSY      a live process has claimed the Update, at claim->first
 * NGX_AGAIN     live processes have claimed the Updates of all records
 */
ngx_int_t ngx_http_tgbot_dedup_claim(ngx_http_tgbot_dedup_t *dedup,
    int64_t update_id, ngx_http_tgbot_dedup_claim_t *claim, ngx_str_t *type,
    ngx_str_t *body);

/*
 * Settles the claim: the Update has been or will be answered 2xx.  A ride is
 * copied if it is small enough; "type" and "body" are NULL without a ride.
 * NGX_DECLINED: the lease is lost, another process handles the Update.
 */
ngx_int_t ngx_http_tgbot_dedup_accept(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim, ngx_str_t *type, ngx_str_t *body);

/*
 * Settles the claim: the Update will be delivered again.  "failed" counts an
 * attempt, "charged" tells that limits have taken their tokens.
 * NGX_DECLINED: the lease is lost, another process handles the Update.
 */
ngx_int_t ngx_http_tgbot_dedup_release(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim, ngx_uint_t failed,
    ngx_uint_t charged);

/*
 * Settles the claim and deletes the record of the Update.
 * NGX_DECLINED: the lease is lost, another process handles the Update.
 */
ngx_int_t ngx_http_tgbot_dedup_forget(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim);

/* whether this process still holds the lease; 1 for a claim without lease */
ngx_uint_t ngx_http_tgbot_dedup_holds(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim);


/* for status */

typedef struct {
    ngx_uint_t                 records;       /* in use */
    ngx_uint_t                 leased;        /* by living processes */
    ngx_uint_t                 rides;         /* kept */
    ngx_uint_t                 rides_evicted; /* before their time */
    uint64_t                   top[2];        /* highest id of each ring */
} ngx_http_tgbot_dedup_state_t;

void ngx_http_tgbot_dedup_state(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_state_t *state);


/*
 * The table of a zone: which bots it knows, and where their areas are.  Both
 * functions are called with the zone locked.
 */

/*
 * Fills in *area.  NGX_DECLINED: the area belongs to another bot now.
 */
ngx_int_t ngx_http_tgbot_dedup_table_area(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_area_t *area);

/* repairs all areas after a worker died inside the lock */
void ngx_http_tgbot_dedup_table_repair(ngx_http_tgbot_zone_t *zone);


#endif /* _NGX_HTTP_TGBOT_DEDUP_H_INCLUDED_ */
