
/*
 * An area is what a zone holds of one bot: rings, records of Updates, and rides
 * kept for duplicates.  All references inside are numbers, so that an area can
 * be moved.  All functions are called with the zone locked.
 *
 * A worker may die at any point.  A record is valid from the store of its state
 * on; a repair makes lists, hash and counts from the records.
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


/* bytes of an area without its rings */
#define NGX_HTTP_TGBOT_DEDUP_FIXED       (512 * 1024)

/* ends a chain of records of the same hash */
#define NGX_HTTP_TGBOT_DEDUP_NIL         0xffff


/* states of a record; each state has a list, the oldest first */

#define NGX_HTTP_TGBOT_DEDUP_FREE        0
#define NGX_HTTP_TGBOT_DEDUP_HELD        1     /* claimed, has a lease */
#define NGX_HTTP_TGBOT_DEDUP_IDLE        2     /* to be delivered again */
#define NGX_HTTP_TGBOT_DEDUP_DONE        3     /* accepted, has a ride */
#define NGX_HTTP_TGBOT_DEDUP_STATES      4


typedef struct {
    int64_t                           update_id;
    ngx_http_tgbot_lease_t            lease;
    ngx_msec_t                        first;   /* first received */
    ngx_msec_t                        time;    /* when state was set */
    uint32_t                          attempts;
    uint16_t                          type_len;
    uint16_t                          body_len;
    uint32_t                          block;   /* first of the ride */
    uint16_t                          hash;    /* next of the same hash */
    u_char                            charged;
    u_char                            state;
    ngx_http_tgbot_link_t             link;    /* in the list of the state */
} ngx_http_tgbot_dedup_record_t;


typedef struct {
    ngx_http_tgbot_dedup_rings_sh_t   rings;

    ngx_http_tgbot_list_t             list[NGX_HTTP_TGBOT_DEDUP_STATES];
    ngx_http_tgbot_chain_sh_t         chain;   /* of rides */

    ngx_uint_t                        rides_evicted;

    /* when the leases were last checked, or 0 */
    ngx_msec_t                        alive;
} ngx_http_tgbot_dedup_area_sh_t;


/* in the memory of a process, valid while the zone is locked */

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


/* fills in *area for the area at "data" */
void ngx_http_tgbot_dedup_area_init(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_zone_t *zone, u_char *data, ngx_uint_t window);

/* makes the area empty */
void ngx_http_tgbot_dedup_area_carve(ngx_http_tgbot_dedup_area_t *area);

/* the record of an update, or NULL */
ngx_http_tgbot_dedup_record_t *ngx_http_tgbot_dedup_area_find(
    ngx_http_tgbot_dedup_area_t *area, int64_t update_id);

/*
 * Adds a record with a lease.  Rides whose time is over are freed first.  If no
 * record is free, the oldest one that is idle or has a ride is evicted; without
 * such a record, the leases of dead processes are ended before.
 * NULL: live processes hold all records.
 */
ngx_http_tgbot_dedup_record_t *ngx_http_tgbot_dedup_area_add(
    ngx_http_tgbot_dedup_area_t *area, int64_t update_id,
    ngx_http_tgbot_lease_t *lease);

/* puts a record under this lease, also one that is under another */
void ngx_http_tgbot_dedup_area_hold(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, ngx_http_tgbot_lease_t *lease);

/* ends the lease of a record: the Update will be delivered again */
void ngx_http_tgbot_dedup_area_idle(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec);

void ngx_http_tgbot_dedup_area_free(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec);

/*
 * Accepts the Update of a claimed record with a ride, which is copied: content
 * type, then body, 1 to NGX_HTTP_TGBOT_DEDUP_RIDE bytes.  The oldest rides are
 * evicted if there is no room.
 */
void ngx_http_tgbot_dedup_area_keep(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, u_char *call, size_t type_len,
    size_t body_len);

/* copies the ride of an accepted record to "buf": content type, then body */
void ngx_http_tgbot_dedup_area_copy(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, u_char *buf);

/* whether the time of a ride is over */
ngx_uint_t ngx_http_tgbot_dedup_area_expired(
    ngx_http_tgbot_dedup_area_t *area, ngx_http_tgbot_dedup_record_t *rec);


/*
 * Ends the leases of dead processes.  Returns how many records are still under
 * a lease.
 */
ngx_uint_t ngx_http_tgbot_dedup_area_reap(ngx_http_tgbot_dedup_area_t *area);


/* the hash head of an id */
uint16_t *ngx_http_tgbot_dedup_area_head(ngx_http_tgbot_dedup_area_t *area,
    int64_t update_id);

/* repairs the area after a worker died inside the lock */
void ngx_http_tgbot_dedup_repair(ngx_http_tgbot_dedup_area_t *area);


#endif /* _NGX_HTTP_TGBOT_DEDUP_AREA_H_INCLUDED_ */
