
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_registry.h"
#include "ngx_http_tgbot_zone_bots.h"


/*
 * Telegram's server lets one IP address use 20 bots per minute that the
 * server has not loaded yet (telegram-bot-api, ClientManager.cpp)
 */
#define NGX_HTTP_TGBOT_REGISTRY_BOTS    20
#define NGX_HTTP_TGBOT_REGISTRY_MINUTE  60000

#define NGX_HTTP_TGBOT_REGISTRY_HOUR    3600


typedef struct {
    ngx_http_tgbot_zone_bot_t         bot;
    ngx_uint_t                        writing;
    ngx_http_tgbot_registration_t     registration;
} ngx_http_tgbot_registry_record_t;


typedef struct {
    ngx_http_tgbot_lease_t            lease;

    /* a ring of times when Telegram was first asked about a bot */
    ngx_msec_t                        asked[NGX_HTTP_TGBOT_REGISTRY_BOTS];
    ngx_uint_t                        nasked;

    ngx_http_tgbot_zone_bots_sh_t     bots;
} ngx_http_tgbot_registry_sh_t;


#define ngx_http_tgbot_registry_sh(zone)                                      \
    ((ngx_http_tgbot_registry_sh_t *)                                         \
         ngx_http_tgbot_zone_data((zone)->sh))

#define ngx_http_tgbot_registry_records(sh)                                   \
    ((ngx_http_tgbot_registry_record_t *)                                     \
         ((u_char *) (sh) + sizeof(ngx_http_tgbot_registry_sh_t)))


static ngx_int_t ngx_http_tgbot_registry_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static void ngx_http_tgbot_registry_carve(ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_registry_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);
static ngx_int_t ngx_http_tgbot_registry_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old);
static void ngx_http_tgbot_registry_bots(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_bots_t *bots);
static void ngx_http_tgbot_registry_lock(ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_registry_repair(ngx_http_tgbot_zone_t *zone);
static ngx_http_tgbot_registry_record_t *ngx_http_tgbot_registry_record(
    ngx_http_tgbot_registry_t *registry);
static void ngx_http_tgbot_registry_shift(
    ngx_http_tgbot_registration_t *registration, ngx_msec_t offset);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_registry_zone = {
    17, "register",
    sizeof(ngx_http_tgbot_registry_sh_t)
    + sizeof(ngx_http_tgbot_registry_record_t),
    ngx_http_tgbot_registry_init,
    ngx_http_tgbot_registry_open,
    ngx_http_tgbot_registry_copy,
    NGX_HTTP_TGBOT_ZONE_FILE
};


static ngx_http_tgbot_lease_t  ngx_http_tgbot_registry_lease;


size_t
ngx_http_tgbot_registry_size(ngx_uint_t bots)
{
    size_t  size;

    size = sizeof(ngx_http_tgbot_registry_sh_t)
           + bots * sizeof(ngx_http_tgbot_registry_record_t);

    /* and nginx's slab pool needs memory for its table of pages */

    return size + size / 32 + 8 * ngx_pagesize;
}


static ngx_int_t
ngx_http_tgbot_registry_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_int_t                      rc;
    ngx_http_tgbot_zone_bots_t     bots;
    ngx_http_tgbot_registry_sh_t  *sh;

    sh = ngx_http_tgbot_registry_sh(zone);

    if (fresh) {
        ngx_http_tgbot_registry_carve(zone);
    }

    ngx_http_tgbot_registry_bots(zone, &bots);

    ngx_http_tgbot_registry_lock(zone);

    rc = ngx_http_tgbot_zone_bots_init(&bots);

    ngx_http_tgbot_zone_unlock(zone);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" has room for %uD bots with "
                      "\"tgbot_register\", there are %ui, expected a restart "
                      "in %s:%ui", &zone->shm_zone->shm.name, sh->bots.n,
                      zone->users.nelts, zone->file, zone->line);
    }

    return rc;
}


static void
ngx_http_tgbot_registry_carve(ngx_http_tgbot_zone_t *zone)
{
    size_t                         room;
    ngx_http_tgbot_registry_sh_t  *sh;

    sh = ngx_http_tgbot_registry_sh(zone);
    room = ngx_http_tgbot_zone_room(zone->sh);

    ngx_memzero(sh, room);

    sh->bots.n = (room - sizeof(ngx_http_tgbot_registry_sh_t))
                 / sizeof(ngx_http_tgbot_registry_record_t);
}


static void
ngx_http_tgbot_registry_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    ngx_uint_t                         i;
    ngx_http_tgbot_registry_sh_t      *sh;
    ngx_http_tgbot_registry_record_t  *record;

    if (found == NGX_HTTP_TGBOT_ZONE_TORN) {
        ngx_http_tgbot_registry_carve(zone);
        return;
    }

    ngx_http_tgbot_registry_repair(zone);

    sh = ngx_http_tgbot_registry_sh(zone);
    record = ngx_http_tgbot_registry_records(sh);

    for (i = 0; i < sh->bots.used; i++) {
        ngx_memzero(record[i].bot.named, sizeof(record[i].bot.named));
    }
}


static ngx_int_t
ngx_http_tgbot_registry_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old)
{
    ngx_uint_t                         i;
    ngx_http_tgbot_zone_bots_t         bots;
    ngx_http_tgbot_zone_user_t         user;
    ngx_http_tgbot_registry_sh_t      *sh;
    ngx_http_tgbot_registry_record_t  *record, *to;

    sh = ngx_http_tgbot_registry_sh(old);
    record = ngx_http_tgbot_registry_records(sh);

    ngx_http_tgbot_registry_bots(zone, &bots);

    user.zone = zone;

    for (i = 0; i < sh->bots.used; i++) {

        if (record[i].bot.serial == 0) {
            continue;
        }

        user.bot.data = record[i].bot.name;
        user.bot.len = record[i].bot.len;
        user.bot_id = record[i].bot.bot_id;

        to = ngx_http_tgbot_zone_bots_enter(&bots, &user, 0);

        if (to) {
            to->registration = record[i].registration;

            ngx_http_tgbot_registry_shift(&to->registration,
                                          zone->offset - old->offset);
        }
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_registry_bots(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_bots_t *bots)
{
    ngx_http_tgbot_registry_sh_t  *sh;

    sh = ngx_http_tgbot_registry_sh(zone);

    ngx_memzero(bots, sizeof(ngx_http_tgbot_zone_bots_t));

    bots->zone = zone;
    bots->sh = &sh->bots;
    bots->entries = (u_char *) ngx_http_tgbot_registry_records(sh);
    bots->size = sizeof(ngx_http_tgbot_registry_record_t);
}


/* locks the zone; if it is dirty, empties the record that was being written */

static void
ngx_http_tgbot_registry_lock(ngx_http_tgbot_zone_t *zone)
{
    if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_registry_repair(zone);
    }
}


static void
ngx_http_tgbot_registry_repair(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                         i;
    ngx_http_tgbot_registry_sh_t      *sh;
    ngx_http_tgbot_registry_record_t  *record;

    sh = ngx_http_tgbot_registry_sh(zone);
    record = ngx_http_tgbot_registry_records(sh);

    ngx_memzero(&sh->lease, sizeof(ngx_http_tgbot_lease_t));

    for (i = 0; i < sh->bots.used; i++) {

        if (record[i].writing) {
            ngx_memzero(&record[i].registration,
                        sizeof(ngx_http_tgbot_registration_t));
            record[i].writing = 0;
        }
    }
}


ngx_uint_t
ngx_http_tgbot_registry_hold(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                     ours;
    ngx_http_tgbot_registry_sh_t  *sh;

    sh = ngx_http_tgbot_registry_sh(zone);

    ngx_http_tgbot_registry_lock(zone);

    if (ngx_http_tgbot_lease_alive(&sh->lease)) {
        ours = ngx_http_tgbot_lease_equal(&sh->lease,
                                          &ngx_http_tgbot_registry_lease);

    } else {
        ngx_http_tgbot_lease_new(&ngx_http_tgbot_registry_lease);

        ngx_http_tgbot_zone_stop("registry: lease");

        sh->lease = ngx_http_tgbot_registry_lease;
        ours = 1;
    }

    ngx_http_tgbot_zone_unlock(zone);

    return ours;
}


void
ngx_http_tgbot_registry_release(ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_registry_sh_t  *sh;

    if (ngx_http_tgbot_registry_lease.token == 0) {
        return;
    }

    sh = ngx_http_tgbot_registry_sh(zone);

    ngx_http_tgbot_registry_lock(zone);

    if (ngx_http_tgbot_lease_equal(&sh->lease, &ngx_http_tgbot_registry_lease))
    {
        ngx_memzero(&sh->lease, sizeof(ngx_http_tgbot_lease_t));
    }

    ngx_http_tgbot_zone_unlock(zone);

    ngx_memzero(&ngx_http_tgbot_registry_lease,
                sizeof(ngx_http_tgbot_lease_t));
}


ngx_uint_t
ngx_http_tgbot_registry_pace(ngx_http_tgbot_zone_t *zone)
{
    ngx_msec_t                    *asked, now;
    ngx_uint_t                     allowed;
    ngx_http_tgbot_registry_sh_t  *sh;

    sh = ngx_http_tgbot_registry_sh(zone);
    now = ngx_http_tgbot_zone_msec(zone);

    ngx_http_tgbot_registry_lock(zone);

    asked = &sh->asked[sh->nasked % NGX_HTTP_TGBOT_REGISTRY_BOTS];

    allowed = sh->nasked < NGX_HTTP_TGBOT_REGISTRY_BOTS
              || now - *asked > NGX_HTTP_TGBOT_REGISTRY_MINUTE;

    if (allowed) {
        *asked = now;
        sh->nasked++;
    }

    ngx_http_tgbot_zone_unlock(zone);

    return allowed;
}


/* NULL: the record belongs to a bot of a later configuration */

static ngx_http_tgbot_registry_record_t *
ngx_http_tgbot_registry_record(ngx_http_tgbot_registry_t *registry)
{
    ngx_http_tgbot_zone_bots_t  bots;

    ngx_http_tgbot_registry_bots(registry->zone, &bots);

    return ngx_http_tgbot_zone_bots_entry(&bots, registry);
}


/* 0 stays 0: never */

static void
ngx_http_tgbot_registry_shift(ngx_http_tgbot_registration_t *registration,
    ngx_msec_t offset)
{
    if (registration->next) {
        registration->next += offset;
    }

    if (registration->set) {
        registration->set += offset;
    }
}


ngx_int_t
ngx_http_tgbot_registry_get(ngx_http_tgbot_registry_t *registry,
    ngx_http_tgbot_registration_t *registration)
{
    ngx_http_tgbot_registry_record_t  *record;

    ngx_http_tgbot_registry_lock(registry->zone);

    record = ngx_http_tgbot_registry_record(registry);

    if (record) {
        *registration = record->registration;

        ngx_http_tgbot_registry_shift(registration, -registry->zone->offset);
    }

    ngx_http_tgbot_zone_unlock(registry->zone);

    return record ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_tgbot_registry_put(ngx_http_tgbot_registry_t *registry,
    ngx_http_tgbot_registration_t *registration)
{
    ngx_http_tgbot_registry_sh_t      *sh;
    ngx_http_tgbot_registry_record_t  *record;

    sh = ngx_http_tgbot_registry_sh(registry->zone);

    ngx_http_tgbot_registry_lock(registry->zone);

    record = NULL;

    if (ngx_http_tgbot_registry_lease.token
        && ngx_http_tgbot_lease_equal(&sh->lease,
                                      &ngx_http_tgbot_registry_lease))
    {
        record = ngx_http_tgbot_registry_record(registry);
    }

    if (record) {
        record->writing = 1;
        ngx_memory_barrier();

        record->registration = *registration;

        ngx_http_tgbot_registry_shift(&record->registration,
                                      registry->zone->offset);

        ngx_http_tgbot_zone_stop("registry: record");

        ngx_memory_barrier();
        record->writing = 0;
    }

    ngx_http_tgbot_zone_unlock(registry->zone);

    return record ? NGX_OK : NGX_DECLINED;
}


size_t
ngx_http_tgbot_registry_username(ngx_http_tgbot_registry_t *registry,
    u_char *name)
{
    size_t                             len;
    ngx_http_tgbot_registry_record_t  *record;

    if (registry == NULL) {
        return 0;
    }

    len = 0;

    ngx_http_tgbot_registry_lock(registry->zone);

    record = ngx_http_tgbot_registry_record(registry);

    if (record) {
        len = record->registration.username_len;
        ngx_memcpy(name, record->registration.username, len);
    }

    ngx_http_tgbot_zone_unlock(registry->zone);

    return len;
}


uint32_t
ngx_http_tgbot_registry_text(u_char *dst, size_t size, ngx_str_t *value)
{
    size_t  len;

    len = ngx_min(size, value->len);

    if (len) {
        ngx_memcpy(dst, value->data, len);
    }

    return (uint32_t) len;
}


ngx_uint_t
ngx_http_tgbot_registry_taken(ngx_http_tgbot_registration_t *registration,
    time_t now)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_TGBOT_REGISTRY_TAKEN; i++) {

        if (registration->taken[i] == 0
            || registration->taken[i] + NGX_HTTP_TGBOT_REGISTRY_HOUR <= now)
        {
            break;
        }
    }

    return i;
}
