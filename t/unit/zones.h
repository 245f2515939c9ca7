
/*
 * Zones of plain memory, and worker processes that are only said to be, in
 * the place of ngx_http_tgbot_zone.c and ngx_http_tgbot_lease.c.
 */

#ifndef _ZONES_H_INCLUDED_
#define _ZONES_H_INCLUDED_


#include <setjmp.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"


/*
 * A zone with "room" bytes for the kind's data, which kind->init() has
 * carved; NULL if it refused.  The block is exact, so that overruns are
 * seen.  Freed by the caller with unit_zone_free().
 */
ngx_http_tgbot_zone_t *unit_zone(const ngx_http_tgbot_zone_kind_t *kind,
    size_t room, void **users, ngx_uint_t n);

/* another cycle's view of the same memory, after kind->init(zone, 0) */
ngx_http_tgbot_zone_t *unit_zone_adopt(ngx_http_tgbot_zone_t *zone,
    void **users, ngx_uint_t n);

/* of an adopted one the memory stays */
void unit_zone_free(ngx_http_tgbot_zone_t *zone);

/* what ngx_http_tgbot_zone_adopted() says: 1, if nobody sets it */
extern ngx_uint_t  unit_zone_adopted;

/* the next lock of the zone finds that somebody died inside */
void unit_zone_dirty(ngx_http_tgbot_zone_t *zone);

/*
 * How often a lock was taken; and leaves the test from inside the n-th
 * ngx_http_tgbot_zone_stop() from now by longjmp(unit_zone_killed), with the
 * zone locked and dirty, as a worker that is killed there.
 */
extern ngx_uint_t  unit_zone_locks;
extern ngx_uint_t  unit_zone_stop_at;
extern jmp_buf     unit_zone_killed;

/* which process ngx_http_tgbot_lease_new() is called in: slots 0 .. 7 */
void unit_slot_be(ngx_uint_t slot);

/* the process in the slot dies, its leases with it; another one comes */
void unit_slot_die(ngx_uint_t slot);

/* it hangs (its leases are dead), or has woken up again */
void unit_slot_hang(ngx_uint_t slot, ngx_uint_t hangs);


#endif /* _ZONES_H_INCLUDED_ */
