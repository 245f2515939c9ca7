
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_lease.h"


/* milliseconds */
#define NGX_HTTP_TGBOT_LEASE_BEAT  1000


typedef struct {
    ngx_atomic_t                 pid;       /* 0: the slot is free */
    ngx_atomic_t                 epoch;     /* raised at start and at exit */
    ngx_atomic_t                 beat;      /* ngx_current_msec */
    ngx_atomic_t                 cycle;     /* zone's generation at start */
    ngx_atomic_t                 leaving;   /* takes no connections */
} ngx_http_tgbot_lease_slot_t;


static ngx_int_t ngx_http_tgbot_lease_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static ngx_int_t ngx_http_tgbot_lease_take(ngx_http_tgbot_zone_t *zone);
static ngx_uint_t ngx_http_tgbot_lease_free(ngx_http_tgbot_lease_slot_t *slot);
static ngx_uint_t ngx_http_tgbot_lease_runs(ngx_atomic_uint_t pid);
static void ngx_http_tgbot_lease_beat(ngx_event_t *ev);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_lease_zone = {
    1, "worker",
    NGX_MAX_PROCESSES * sizeof(ngx_http_tgbot_lease_slot_t),
    ngx_http_tgbot_lease_init,
    NULL,
    NULL,
    NGX_HTTP_TGBOT_ZONE_FILE
};


static ngx_http_tgbot_lease_slot_t  *ngx_http_tgbot_leases;
static ngx_event_t             ngx_http_tgbot_lease_timer;
static ngx_uint_t              ngx_http_tgbot_lease_number;
static uint32_t                ngx_http_tgbot_lease_epoch;
static uint64_t                ngx_http_tgbot_lease_token;


static ngx_int_t
ngx_http_tgbot_lease_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    if (fresh) {
        ngx_memzero(ngx_http_tgbot_zone_data(zone->sh),
                    NGX_MAX_PROCESSES * sizeof(ngx_http_tgbot_lease_slot_t));
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_lease_init_process(ngx_http_tgbot_zone_t *zone, ngx_log_t *log)
{
    ngx_event_t  *ev;

    ngx_http_tgbot_leases = (ngx_http_tgbot_lease_slot_t *)
                                ngx_http_tgbot_zone_data(zone->sh);

    if (ngx_http_tgbot_lease_take(zone) != NGX_OK) {
        ngx_http_tgbot_leases = NULL;

        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "tgbot: zone \"%V\" has slots for %d workers, all are "
                      "taken", &zone->shm_zone->shm.name, NGX_MAX_PROCESSES);
        return NGX_ERROR;
    }

    ev = &ngx_http_tgbot_lease_timer;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_tgbot_lease_beat;
    ev->data = &ngx_http_tgbot_leases[ngx_http_tgbot_lease_number];
    ev->log = log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_HTTP_TGBOT_LEASE_BEAT);

    return NGX_OK;
}


/*
 * Slots are not those of nginx: workers of two masters, which count their
 * slots each for itself, share the zone.
 */

static ngx_int_t
ngx_http_tgbot_lease_take(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_lease_slot_t  *slot;

    /* each slot is right by itself: nothing to repair */

    (void) ngx_http_tgbot_zone_lock(zone);

    slot = ngx_http_tgbot_leases;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        if (ngx_http_tgbot_lease_free(&slot[i])) {
            break;
        }
    }

    if (i < NGX_MAX_PROCESSES) {
        slot = &slot[i];

        ngx_http_tgbot_lease_number = i;
        ngx_http_tgbot_lease_epoch = (uint32_t) ++slot->epoch;

        /* until the pid is stored, other workers see that of a dead one */

        slot->beat = ngx_current_msec;
        slot->cycle = zone->generation;
        slot->leaving = 0;

        ngx_memory_barrier();

        slot->pid = ngx_pid;
    }

    ngx_http_tgbot_zone_unlock(zone);

    return (i < NGX_MAX_PROCESSES) ? NGX_OK : NGX_ERROR;
}


static ngx_uint_t
ngx_http_tgbot_lease_free(ngx_http_tgbot_lease_slot_t *slot)
{
    return slot->pid == 0 || !ngx_http_tgbot_lease_runs(slot->pid);
}


static ngx_uint_t
ngx_http_tgbot_lease_runs(ngx_atomic_uint_t pid)
{
    return pid != 0
           && (kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH);
}


static void
ngx_http_tgbot_lease_beat(ngx_event_t *ev)
{
    ngx_http_tgbot_lease_slot_t  *slot;

    slot = ev->data;

    slot->beat = ngx_current_msec;

    ngx_add_timer(ev, NGX_HTTP_TGBOT_LEASE_BEAT);
}


void
ngx_http_tgbot_lease_leave(void)
{
    if (ngx_http_tgbot_leases) {
        ngx_http_tgbot_leases[ngx_http_tgbot_lease_number].leaving = 1;
    }
}


ngx_uint_t
ngx_http_tgbot_lease_former(void)
{
    ngx_uint_t                    i;
    ngx_atomic_uint_t             cycle;
    ngx_http_tgbot_lease_slot_t  *slot;

    if (ngx_http_tgbot_leases == NULL) {
        return 0;
    }

    slot = ngx_http_tgbot_leases;
    cycle = slot[ngx_http_tgbot_lease_number].cycle;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {

        if (slot[i].cycle != cycle
            && !slot[i].leaving
            && ngx_http_tgbot_lease_lives(i, (uint32_t) slot[i].epoch))
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_tgbot_lease_exit_process(void)
{
    ngx_http_tgbot_lease_slot_t  *slot;

    if (ngx_http_tgbot_leases == NULL) {
        return;
    }

    if (ngx_http_tgbot_lease_timer.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_lease_timer);
    }

    slot = &ngx_http_tgbot_leases[ngx_http_tgbot_lease_number];

    slot->leaving = 1;

    (void) ngx_atomic_fetch_add(&slot->epoch, 1);

    ngx_memory_barrier();

    slot->pid = 0;

    ngx_http_tgbot_leases = NULL;
}


void
ngx_http_tgbot_lease_new(ngx_http_tgbot_lease_t *lease)
{
    lease->slot = (uint32_t) ngx_http_tgbot_lease_number;
    lease->epoch = ngx_http_tgbot_lease_epoch;
    lease->token = ++ngx_http_tgbot_lease_token;
}


ngx_uint_t
ngx_http_tgbot_lease_alive(ngx_http_tgbot_lease_t *lease)
{
    return lease->token != 0
           && ngx_http_tgbot_lease_lives(lease->slot, lease->epoch);
}


ngx_uint_t
ngx_http_tgbot_lease_lives(ngx_uint_t slot, uint32_t epoch)
{
    ngx_http_tgbot_lease_slot_t  *s;

    if (ngx_http_tgbot_leases == NULL || epoch == 0
        || slot >= NGX_MAX_PROCESSES)
    {
        return 0;
    }

    s = &ngx_http_tgbot_leases[slot];

    if ((uint32_t) s->epoch != epoch) {
        return 0;
    }

    if (slot == ngx_http_tgbot_lease_number) {
        return epoch == ngx_http_tgbot_lease_epoch;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - s->beat)
        > NGX_HTTP_TGBOT_LEASE_LIFE)
    {
        return 0;
    }

    /* a process that was killed is dead before its last beat is old */

    return ngx_http_tgbot_lease_runs(s->pid);
}


ngx_uint_t
ngx_http_tgbot_lease_slot(void)
{
    return ngx_http_tgbot_lease_number;
}


uint32_t
ngx_http_tgbot_lease_self(void)
{
    return ngx_http_tgbot_lease_epoch;
}
