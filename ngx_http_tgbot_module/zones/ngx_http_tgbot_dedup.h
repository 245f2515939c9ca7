
/*
 * Which updates are accepted (answered 2xx), which are in work, and what is
 * known of those that Telegram will deliver again.
 */

#ifndef _NGX_HTTP_TGBOT_DEDUP_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEDUP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup_area.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"


/* update_ids; a ring of the default window takes 512 KiB */
#define NGX_HTTP_TGBOT_DEDUP_WINDOW     4194304
#define NGX_HTTP_TGBOT_DEDUP_WINDOW_MIN  1024
#define NGX_HTTP_TGBOT_DEDUP_WINDOW_MAX  1073741824

/* updates of a bot in work or to be delivered again */
#define NGX_HTTP_TGBOT_DEDUP_RECORDS    4096

/*
 * the largest call, with its content type, that is kept to be repeated in
 * the answer to a duplicate, and how long it is kept, milliseconds
 */
#define NGX_HTTP_TGBOT_DEDUP_RIDE       4096
#define NGX_HTTP_TGBOT_DEDUP_RIDE_TIME  300000


/* one bot in a zone; made by the configuration, filled in by the zone */

typedef struct {
    ngx_http_tgbot_zone_t     *zone;
    ngx_str_t                  bot;           /* name, up to 32 bytes */
    uint64_t                   bot_id;        /* of the token, 0: unknown */
    ngx_uint_t                 window;        /* a power of two */

    ngx_uint_t                 area;          /* in the zone */
    uint32_t                   serial;        /* of what stands there */
} ngx_http_tgbot_dedup_t;


typedef struct {
    int64_t                    update_id;
    ngx_http_tgbot_lease_t     lease;         /* none: nothing to settle */
    ngx_msec_t                 first;         /* receipt, ngx_current_msec */
    ngx_uint_t                 attempts;      /* failed ones so far */

    unsigned                   charged:1;     /* by limits, at a former
                                                 delivery */
    unsigned                   rebased:1;     /* it opened another ring */
} ngx_http_tgbot_claim_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_dedup_zone;


/* bytes of a zone that one bot with such a window needs */
size_t ngx_http_tgbot_dedup_size(ngx_uint_t window);

/*
 * For configuration, when all bots are known: zone->users are pointers to
 * ngx_http_tgbot_dedup_t.  NGX_ERROR: they do not fit; the error tells the
 * size that is needed.
 */
ngx_int_t ngx_http_tgbot_dedup_check(ngx_conf_t *cf,
    ngx_http_tgbot_zone_t *zone);

/*
 * Claims an update for work.
 *
 * NGX_OK        claim->lease is this process', to be settled by one of the
 *               functions below.  Also when the zone has another bot's data
 *               in the area by now (a reload): then there is no lease, and
 *               settling does nothing
 * NGX_DECLINED  it is accepted already.  If a call was kept for it, *type
 *               and *body point to it until the next call of this function,
 *               else they are empty
 * NGX_BUSY      it is in work: claim->first is when that began
 * NGX_AGAIN     all records are of updates in work
 */
ngx_int_t ngx_http_tgbot_dedup_claim(ngx_http_tgbot_dedup_t *dedup,
    int64_t update_id, ngx_http_tgbot_claim_t *claim, ngx_str_t *type,
    ngx_str_t *body);

/*
 * The update has been, or will be, answered 2xx.  A call that is to be
 * repeated with the answer to a duplicate is kept if it is small enough;
 * "type" and "body" are NULL without one.
 * NGX_DECLINED: the lease is lost, another process works on the update.
 */
ngx_int_t ngx_http_tgbot_dedup_accept(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_claim_t *claim, ngx_str_t *type, ngx_str_t *body);

/*
 * The update will be delivered again: "failed" costs an attempt, "charged"
 * tells that limits have been taken.  NGX_DECLINED as above.
 */
ngx_int_t ngx_http_tgbot_dedup_release(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_claim_t *claim, ngx_uint_t failed, ngx_uint_t charged);

/* the claim as if it had never been: nothing is remembered of the update */
ngx_int_t ngx_http_tgbot_dedup_forget(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_claim_t *claim);

/* whether the lease is still ours; 1 without a lease */
ngx_uint_t ngx_http_tgbot_dedup_holds(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_claim_t *claim);


/*
 * For a file: up to n of the newest accepted ids, oldest first, returns how
 * many; and accepts one without a claim.
 */
ngx_uint_t ngx_http_tgbot_dedup_newest(ngx_http_tgbot_dedup_t *dedup,
    int64_t *ids, ngx_uint_t n);
void ngx_http_tgbot_dedup_mark(ngx_http_tgbot_dedup_t *dedup,
    int64_t update_id);


/* for status */

typedef struct {
    ngx_uint_t                 records;       /* in use */
    ngx_uint_t                 leased;        /* by living processes */
    ngx_uint_t                 rides;         /* calls kept */
    ngx_uint_t                 rides_evicted; /* before their time */
    uint64_t                   top[2];        /* highest id, by ring */
} ngx_http_tgbot_dedup_state_t;

void ngx_http_tgbot_dedup_state(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_state_t *state);


/*
 * Which bots a zone knows, and where in it their areas are.
 */

/*
 * The two below with the zone locked.  NGX_DECLINED: what stands in the area
 * is not this bot's any more.
 */
ngx_int_t ngx_http_tgbot_dedup_table_area(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_area_t *area);

/* after somebody died inside */
void ngx_http_tgbot_dedup_table_repair(ngx_http_tgbot_zone_t *zone);


#endif /* _NGX_HTTP_TGBOT_DEDUP_H_INCLUDED_ */
