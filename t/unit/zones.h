
/*
 * Zones in plain memory, and simulated worker processes, in place of
 * ngx_http_tgbot_zone.c and ngx_http_tgbot_lease.c.
 */

#ifndef _ZONES_H_INCLUDED_
#define _ZONES_H_INCLUDED_


#include <setjmp.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"


/*
 * Makes a zone with "room" bytes for the kind's data, initialized by
 * kind->init(); NULL if it refused.  The block has exactly this size, so that
 * overruns are detected.  The caller frees it with unit_zone_free().
 */
ngx_http_tgbot_zone_t *unit_zone(const ngx_http_tgbot_zone_kind_t *kind,
    size_t room, void **users, ngx_uint_t n);

/* another cycle's view of the same memory, after kind->init(zone, 0) */
ngx_http_tgbot_zone_t *unit_zone_adopt(ngx_http_tgbot_zone_t *zone,
    void **users, ngx_uint_t n);

/* what a start does with a zone that is a file, after all processes ended */
ngx_int_t unit_zone_start(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);

/* does not free the memory of an adopted zone */
void unit_zone_free(ngx_http_tgbot_zone_t *zone);

/* the result of ngx_http_tgbot_zone_adopted(): 1 by default */
extern ngx_uint_t  unit_zone_adopted;

/* the next lock of the zone finds that a process died inside */
void unit_zone_dirty(ngx_http_tgbot_zone_t *zone);

/*
 * unit_zone_locks counts how often a lock was taken.  unit_zone_stop_at = n
 * makes the n-th ngx_http_tgbot_zone_stop() from now leave the test by
 * longjmp(unit_zone_killed), with the zone locked and dirty, like a worker
 * killed there.
 */
extern ngx_uint_t  unit_zone_locks;
extern ngx_uint_t  unit_zone_stop_at;
extern jmp_buf     unit_zone_killed;

/* sets the process that calls ngx_http_tgbot_lease_new(): slots 0 .. 7 */
void unit_slot_be(ngx_uint_t slot);

/* the process in the slot and its leases die; another process starts */
void unit_slot_die(ngx_uint_t slot);

/* the process hangs (its leases are dead) or wakes up again */
void unit_slot_hang(ngx_uint_t slot, ngx_uint_t hangs);


#endif /* _ZONES_H_INCLUDED_ */
