
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>
#include <ngx_murmurhash.h>

#include <openssl/evp.h>

#include "unit.h"
#include "zones.h"


/* times in a zone are not those of ngx_current_msec, as after a reboot */
#define UNIT_ZONE_OFFSET  123456789


typedef struct {
    ngx_http_tgbot_zone_t      zone;
    ngx_http_tgbot_zone_rt_t   rt;
    ngx_log_t                  log;
    ngx_shm_zone_t             shm_zone;
    void                      *memory;      /* NULL: adopted */
    void                      *pointers[64];
} unit_zone_t;


ngx_uint_t  unit_zone_adopted = 1;

static ngx_http_tgbot_zone_t *unit_zone_create(
    const ngx_http_tgbot_zone_kind_t *kind, void **users, ngx_uint_t n);


ngx_uint_t      unit_zone_locks;
ngx_uint_t      unit_zone_stop_at;
jmp_buf         unit_zone_killed;

static ngx_uint_t  unit_slot;

static struct {
    uint32_t    epoch;
    ngx_uint_t  hangs;
} unit_slots[8] = { { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 },
                    { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 } };


static ngx_http_tgbot_zone_t *
unit_zone_create(const ngx_http_tgbot_zone_kind_t *kind, void **users,
    ngx_uint_t n)
{
    ngx_uint_t    i;
    unit_zone_t  *uz;

    uz = calloc(1, sizeof(unit_zone_t));
    unit_live++;

    uz->zone.kind = kind;
    uz->zone.rt = &uz->rt;
    uz->zone.offset = UNIT_ZONE_OFFSET;
    uz->zone.log = &uz->log;
    uz->zone.shm_zone = &uz->shm_zone;
    ngx_str_set(&uz->shm_zone.shm.name, "unit");

    uz->zone.users.elts = uz->pointers;
    uz->zone.users.nelts = n;
    uz->zone.users.size = sizeof(void *);

    for (i = 0; i < n; i++) {
        uz->pointers[i] = users[i];
    }

    return &uz->zone;
}


ngx_http_tgbot_zone_t *
unit_zone(const ngx_http_tgbot_zone_kind_t *kind, size_t room, void **users,
    ngx_uint_t n)
{
    size_t                  size;
    unit_zone_t            *uz;
    ngx_http_tgbot_zone_t  *zone;

    zone = unit_zone_create(kind, users, n);
    uz = (unit_zone_t *) zone;

    size = ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE)
           + room;

    uz->memory = aligned_alloc(NGX_CPU_CACHE_LINE,
                               ngx_align(size, NGX_CPU_CACHE_LINE));
    unit_live++;

    memset(uz->memory, 0xa5, size);

    zone->sh = uz->memory;
    ngx_memzero(zone->sh, sizeof(ngx_http_tgbot_zone_sh_t));
    zone->sh->kind = kind->id;
    zone->sh->size = size;
    zone->size = size;

    if (kind->init(zone, 1) != NGX_OK) {
        unit_zone_free(zone);
        return NULL;
    }

    return zone;
}


ngx_http_tgbot_zone_t *
unit_zone_adopt(ngx_http_tgbot_zone_t *zone, void **users, ngx_uint_t n)
{
    ngx_http_tgbot_zone_t  *adopted;

    adopted = unit_zone_create(zone->kind, users, n);

    adopted->sh = zone->sh;
    adopted->rt = zone->rt;
    adopted->offset = zone->offset;
    adopted->size = zone->size;

    if (zone->kind->init(adopted, 0) != NGX_OK) {
        unit_zone_free(adopted);
        return NULL;
    }

    return adopted;
}


ngx_int_t
unit_zone_start(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    zone->sh->generation = 0;
    zone->rt->dirty = 0;

    if (zone->kind->open == NULL) {
        return zone->kind->init(zone, 1);
    }

    zone->kind->open(zone, found);

    return zone->kind->init(zone, 0);
}


ngx_uint_t
ngx_http_tgbot_zone_adopted(ngx_http_tgbot_zone_t *zone)
{
    return unit_zone_adopted;
}


void
unit_zone_free(ngx_http_tgbot_zone_t *zone)
{
    unit_zone_t  *uz = (unit_zone_t *) zone;

    free(uz->memory);
    free(uz);
}


void
unit_zone_dirty(ngx_http_tgbot_zone_t *zone)
{
    zone->rt->dirty = 1;
}


ngx_int_t
ngx_http_tgbot_zone_lock(ngx_http_tgbot_zone_t *zone)
{
    unit_zone_locks++;

    if (zone->rt->dirty) {
        zone->sh->repaired++;
        return NGX_DECLINED;
    }

    zone->rt->dirty = 1;

    return NGX_OK;
}


void
ngx_http_tgbot_zone_unlock(ngx_http_tgbot_zone_t *zone)
{
    zone->rt->dirty = 0;
}


void
ngx_http_tgbot_zone_stop(const char *point)
{
    if (unit_zone_stop_at && --unit_zone_stop_at == 0) {
        longjmp(unit_zone_killed, 1);
    }
}


void
unit_slot_be(ngx_uint_t slot)
{
    unit_slot = slot;
}


void
unit_slot_die(ngx_uint_t slot)
{
    unit_slots[slot].epoch++;
    unit_slots[slot].hangs = 0;
}


void
unit_slot_hang(ngx_uint_t slot, ngx_uint_t hangs)
{
    unit_slots[slot].hangs = hangs;
}


void
ngx_http_tgbot_lease_new(ngx_http_tgbot_lease_t *lease)
{
    static uint64_t  token;

    lease->slot = unit_slot;
    lease->epoch = unit_slots[unit_slot].epoch;
    lease->token = ++token;
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
    return epoch != 0 && unit_slots[slot].epoch == epoch
           && !unit_slots[slot].hangs;
}


ngx_uint_t
ngx_http_tgbot_lease_slot(void)
{
    return unit_slot;
}


uint32_t
ngx_http_tgbot_lease_self(void)
{
    return unit_slots[unit_slot].epoch;
}


/* functions of nginx that only zones/ calls */

static EVP_MD_CTX  *unit_md5;


void
ngx_md5_init(ngx_md5_t *ctx)
{
    if (unit_md5 == NULL) {
        unit_md5 = EVP_MD_CTX_new();
    }

    EVP_DigestInit_ex(unit_md5, EVP_md5(), NULL);
}


void
ngx_md5_update(ngx_md5_t *ctx, const void *data, size_t size)
{
    EVP_DigestUpdate(unit_md5, data, size);
}


void
ngx_md5_final(u_char result[16], ngx_md5_t *ctx)
{
    EVP_DigestFinal_ex(unit_md5, result, NULL);

    EVP_MD_CTX_free(unit_md5);
    unit_md5 = NULL;
}


uint32_t
ngx_murmur_hash2(u_char *data, size_t len)
{
    uint32_t  h, k;

    h = 0 ^ len;

    while (len >= 4) {
        k  = data[0];
        k |= data[1] << 8;
        k |= data[2] << 16;
        k |= (uint32_t) data[3] << 24;

        k *= 0x5bd1e995;
        k ^= k >> 24;
        k *= 0x5bd1e995;

        h *= 0x5bd1e995;
        h ^= k;

        data += 4;
        len -= 4;
    }

    switch (len) {
    case 3:
        h ^= data[2] << 16;
        /* fall through */
    case 2:
        h ^= data[1] << 8;
        /* fall through */
    case 1:
        h ^= data[0];
        h *= 0x5bd1e995;
    }

    h ^= h >> 13;
    h *= 0x5bd1e995;
    h ^= h >> 15;

    return h;
}


volatile ngx_msec_t  ngx_current_msec = 1000000;


#undef ngx_conf_log_error

void
ngx_conf_log_error(ngx_uint_t level, ngx_conf_t *cf, ngx_err_t err,
    const char *fmt, ...)
{
}


/* a test may define its own, to check what is logged */

__attribute__((weak)) void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}
