
/*
 * Which worker processes live, and leases that end with them.
 */

#ifndef _NGX_HTTP_TGBOT_LEASE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_LEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"


/* a worker that has not been heard of for longer is taken for dead, ms */
#define NGX_HTTP_TGBOT_LEASE_LIFE  15000


/*
 * Held by a process until it gives it back, or dies, or hangs; a token is
 * never used twice.  All zero: no lease.
 */

typedef struct {
    uint32_t    slot;        /* ngx_process_slot */
    uint32_t    epoch;       /* of the slot: which process in it; from 1 */
    uint64_t    token;
} ngx_http_tgbot_lease_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_lease_zone;


/* takes this process' slot and starts its beat */
void ngx_http_tgbot_lease_init_process(ngx_http_tgbot_zone_t *zone,
    ngx_log_t *log);

/* this process takes no new connections any more, but has leases still */
void ngx_http_tgbot_lease_leave(void);

/*
 * Whether a process that another configuration was started with may still
 * take new connections.
 */
ngx_uint_t ngx_http_tgbot_lease_former(void);

/* ends all leases of this process */
void ngx_http_tgbot_lease_exit_process(void);

/* a new lease of this process */
void ngx_http_tgbot_lease_new(ngx_http_tgbot_lease_t *lease);

/*
 * Whether the process that holds the lease lives; 0 for no lease.  Needs no
 * lock, may be called inside another zone's.
 */
ngx_uint_t ngx_http_tgbot_lease_alive(ngx_http_tgbot_lease_t *lease);

/*
 * The same of a process by its slot and epoch, of which "epoch" 0 is none.
 * ngx_http_tgbot_lease_self() is this process' epoch; its slot is
 * ngx_process_slot.
 */
ngx_uint_t ngx_http_tgbot_lease_lives(ngx_uint_t slot, uint32_t epoch);
uint32_t ngx_http_tgbot_lease_self(void);


#define ngx_http_tgbot_lease_equal(a, b)                                      \
    ((a)->token == (b)->token && (a)->slot == (b)->slot                       \
     && (a)->epoch == (b)->epoch)


#endif /* _NGX_HTTP_TGBOT_LEASE_H_INCLUDED_ */
