
/*
 * What a zone holds of one bot: rings, records of updates, calls kept for
 * duplicates.  Everything inside is found by number, so that an area can be
 * moved.  All functions are called with the zone locked.
 *
 * A process may die at any point.  What a record says counts from the store
 * of its state on; lists, hash and counts are made of the records again.
 */

#ifndef _NGX_HTTP_TGBOT_DEDUP_AREA_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEDUP_AREA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_chain.h"
#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_dedup_ring.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_zone.h"


/* of an area, without its rings */
#define NGX_HTTP_TGBOT_DEDUP_FIXED       (512 * 1024)

/* no record of the hash */
#define NGX_HTTP_TGBOT_DEDUP_NIL         0xffff


/* states of a record, each of which has a list, the oldest first */

#define NGX_HTTP_TGBOT_DEDUP_FREE        0
#define NGX_HTTP_TGBOT_DEDUP_HELD        1     /* in work under a lease */
#define NGX_HTTP_TGBOT_DEDUP_IDLE        2     /* to be delivered again */
#define NGX_HTTP_TGBOT_DEDUP_DONE        3     /* accepted, call kept */
#define NGX_HTTP_TGBOT_DEDUP_STATES      4


typedef struct {
    int64_t                           update_id;
    ngx_http_tgbot_lease_t            lease;
    ngx_msec_t                        first;   /* receipt */
    ngx_msec_t                        time;    /* of the state */
    uint32_t                          attempts;
    uint16_t                          type_len;
    uint16_t                          body_len;
    uint32_t                          block;   /* the first of the call */
    uint16_t                          hash;    /* next of the same */
    u_char                            charged;
    u_char                            state;
    ngx_http_tgbot_link_t             link;    /* in the list of the state */
} ngx_http_tgbot_dedup_record_t;


typedef struct {
    ngx_http_tgbot_dedup_rings_sh_t   rings;

    ngx_http_tgbot_list_t             list[NGX_HTTP_TGBOT_DEDUP_STATES];
    ngx_http_tgbot_chain_sh_t         chain;   /* of calls */

    ngx_uint_t                        rides_evicted;

    /* when all leases were found alive; 0: never */
    ngx_msec_t                        alive;
} ngx_http_tgbot_dedup_area_sh_t;


/* made for the time of a lock */

typedef struct {
    ngx_http_tgbot_zone_t            *zone;
    ngx_http_tgbot_dedup_area_sh_t   *sh;
    uint16_t                         *heads;
    ngx_http_tgbot_dedup_record_t    *records;
    ngx_http_tgbot_chain_t            chain;
    ngx_http_tgbot_dedup_rings_t      rings;
    ngx_http_tgbot_links_t            links;   /* of records */
} ngx_http_tgbot_dedup_area_t;


#define NGX_HTTP_TGBOT_DEDUP_HEADS       4096

#define NGX_HTTP_TGBOT_DEDUP_HEADER                                           \
    ngx_align(sizeof(ngx_http_tgbot_dedup_area_sh_t), 64)

#define NGX_HTTP_TGBOT_DEDUP_BLOCKS                                           \
    ((NGX_HTTP_TGBOT_DEDUP_FIXED - NGX_HTTP_TGBOT_DEDUP_HEADER                \
      - NGX_HTTP_TGBOT_DEDUP_HEADS * sizeof(uint16_t)                         \
      - NGX_HTTP_TGBOT_DEDUP_RECORDS * sizeof(ngx_http_tgbot_dedup_record_t))  \
     / NGX_HTTP_TGBOT_CHAIN_BLOCK)


/* where the parts are in the memory at "data" */
void ngx_http_tgbot_dedup_area_init(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_zone_t *zone, u_char *data, ngx_uint_t window);

/* carves it anew: nothing is known */
void ngx_http_tgbot_dedup_area_carve(ngx_http_tgbot_dedup_area_t *area);

/* the record of an update, or NULL */
ngx_http_tgbot_dedup_record_t *ngx_http_tgbot_dedup_area_find(
    ngx_http_tgbot_dedup_area_t *area, int64_t update_id);

/*
 * A new record in work.  One of a call whose time is over, or else the
 * oldest without a living lease, may go for it.  NULL: there is none.
 */
ngx_http_tgbot_dedup_record_t *ngx_http_tgbot_dedup_area_add(
    ngx_http_tgbot_dedup_area_t *area, int64_t update_id,
    ngx_http_tgbot_lease_t *lease);

/* puts a record in work, under another lease if it was */
void ngx_http_tgbot_dedup_area_hold(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, ngx_http_tgbot_lease_t *lease);

/* out of work */
void ngx_http_tgbot_dedup_area_idle(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec);

void ngx_http_tgbot_dedup_area_free(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec);

/*
 * Accepts the update of a record in work, with a call to be kept: 1 up to
 * NGX_HTTP_TGBOT_DEDUP_RIDE bytes, type first; the oldest may go for it.
 */
void ngx_http_tgbot_dedup_area_keep(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, u_char *call, size_t type_len,
    size_t body_len);

/* copies the call of an accepted record, type first */
void ngx_http_tgbot_dedup_area_copy(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, u_char *buf);

/* whether a kept call's time is over */
ngx_uint_t ngx_http_tgbot_dedup_area_expired(
    ngx_http_tgbot_dedup_record_t *rec);


/*
 * Takes all records of dead processes out of work: they die with all of
 * their leases.  Returns how many are left in work.
 */
ngx_uint_t ngx_http_tgbot_dedup_area_reap(ngx_http_tgbot_dedup_area_t *area);


/* for repair: the hash list of an id; to the end of the list of its state */
uint16_t *ngx_http_tgbot_dedup_area_head(ngx_http_tgbot_dedup_area_t *area,
    int64_t update_id);

/* after somebody died inside */
void ngx_http_tgbot_dedup_repair(ngx_http_tgbot_dedup_area_t *area);


#endif /* _NGX_HTTP_TGBOT_DEDUP_AREA_H_INCLUDED_ */
