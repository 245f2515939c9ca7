
/*
 * Which worker processes are alive, and leases that end with their process.
 */

#ifndef _NGX_HTTP_TGBOT_LEASE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_LEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"


/* a worker without a beat for longer counts as dead, milliseconds */
#define NGX_HTTP_TGBOT_LEASE_LIFE  15000


/*
 * A process holds a lease until it ends the lease, dies or hangs.  A process
 * that was killed counts as dead when its master has waited for it, which may
 * be after its connections were closed, at the latest after LIFE.  No process
 * uses a token twice.  All zero: no lease.
 */

typedef struct {
    uint32_t    slot;        /* of the zone, not of nginx */
    uint32_t    epoch;       /* tells processes of a slot apart, from 1 */
    uint64_t    token;
} ngx_http_tgbot_lease_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_lease_zone;


/*
 * Takes a slot for this process and starts its beat; called once a worker.
 * NGX_ERROR: no slot is free, was logged.
 */
ngx_int_t ngx_http_tgbot_lease_init_process(ngx_http_tgbot_zone_t *zone,
    ngx_log_t *log);

/* notes that this process takes no new connections; its leases stay alive */
void ngx_http_tgbot_lease_leave(void);

/*
 * Whether a live worker of another configuration may still take new
 * connections.
 */
ngx_uint_t ngx_http_tgbot_lease_former(void);

/* ends all leases of this process */
void ngx_http_tgbot_lease_exit_process(void);

/* fills in *lease with a new lease of this process */
void ngx_http_tgbot_lease_new(ngx_http_tgbot_lease_t *lease);

/*
 * Whether the process that holds the lease is alive; 0 if *lease is no lease.
 * Needs no lock and may be called while another zone is locked.
 */
ngx_uint_t ngx_http_tgbot_lease_alive(ngx_http_tgbot_lease_t *lease);

/* whether the process of this slot and epoch is alive; 0 if "epoch" is 0 */
ngx_uint_t ngx_http_tgbot_lease_lives(ngx_uint_t slot, uint32_t epoch);

/* slot and epoch of this process */
ngx_uint_t ngx_http_tgbot_lease_slot(void);
uint32_t ngx_http_tgbot_lease_self(void);


#define ngx_http_tgbot_lease_equal(a, b)                                      \
    ((a)->token == (b)->token && (a)->slot == (b)->slot                       \
     && (a)->epoch == (b)->epoch)


#endif /* _NGX_HTTP_TGBOT_LEASE_H_INCLUDED_ */
