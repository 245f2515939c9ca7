
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_dedup_area.h"
#include "ngx_http_tgbot_dedup_ring.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"


#define NGX_HTTP_TGBOT_DEDUP_NAME    32

/* areas begin at multiples of this, bytes */
#define NGX_HTTP_TGBOT_DEDUP_ALIGN   64


typedef struct {
    u_char                              name[NGX_HTTP_TGBOT_DEDUP_NAME];
    uint64_t                            bot_id;
    uint64_t                            window;
    uint64_t                            offset;   /* in the zone's data */
    uint64_t                            length;
    uint32_t                            name_len;
    uint32_t                            serial;   /* 0: not in use */
    uint32_t                            round;    /* last that named the bot */
} ngx_http_tgbot_dedup_entry_t;


typedef struct {
    uint32_t                            n;        /* entries */
    uint32_t                            serial;   /* last used */
    uint32_t                            round;    /* raised by each reload */
} ngx_http_tgbot_dedup_table_sh_t;


typedef struct {
    ngx_http_tgbot_zone_t              *zone;
    ngx_http_tgbot_dedup_table_sh_t    *sh;
    ngx_http_tgbot_dedup_entry_t       *entry;
    u_char                             *data;
    uint64_t                            begin;    /* of all areas, offset */
    uint64_t                            end;
} ngx_http_tgbot_dedup_table_t;


static ngx_int_t ngx_http_tgbot_dedup_lock(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_area_t *area);
static ngx_int_t ngx_http_tgbot_dedup_take(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_lease_t *lease, ngx_http_tgbot_dedup_claim_t *claim,
    ngx_str_t *type, ngx_str_t *body);
static ngx_int_t ngx_http_tgbot_dedup_duplicate(
    ngx_http_tgbot_dedup_area_t *area, ngx_http_tgbot_dedup_record_t *rec,
    ngx_str_t *type, ngx_str_t *body);
static ngx_http_tgbot_dedup_record_t *ngx_http_tgbot_dedup_held(
    ngx_http_tgbot_dedup_area_t *area, ngx_http_tgbot_dedup_claim_t *claim);
static ngx_int_t ngx_http_tgbot_dedup_settled(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim, ngx_uint_t held);
static ngx_int_t ngx_http_tgbot_dedup_table_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static ngx_http_tgbot_dedup_entry_t *ngx_http_tgbot_dedup_table_own(
    ngx_http_tgbot_dedup_table_t *table, ngx_http_tgbot_dedup_t *dedup);
static ngx_uint_t ngx_http_tgbot_dedup_table_entries(size_t room);
static size_t ngx_http_tgbot_dedup_table_size(size_t room);
static void ngx_http_tgbot_dedup_table_open(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_dedup_table_carve(
    ngx_http_tgbot_dedup_table_t *table);
static void ngx_http_tgbot_dedup_table_keep(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_dedup_t *dedup);
static ngx_uint_t ngx_http_tgbot_dedup_table_place(
    ngx_http_tgbot_dedup_table_t *table, ngx_http_tgbot_dedup_t *dedup);
static ngx_int_t ngx_http_tgbot_dedup_table_gap(
    ngx_http_tgbot_dedup_table_t *table, uint64_t length, uint64_t *offset);
static ngx_http_tgbot_dedup_entry_t *ngx_http_tgbot_dedup_table_next(
    ngx_http_tgbot_dedup_table_t *table, uint64_t offset);
static void ngx_http_tgbot_dedup_table_put(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_dedup_entry_t *entry, ngx_http_tgbot_dedup_t *dedup);
static void ngx_http_tgbot_dedup_table_compact(
    ngx_http_tgbot_dedup_table_t *table);
static size_t ngx_http_tgbot_dedup_table_needs(size_t areas, size_t room);


/* rides copied out of a zone, and into a zone */
static u_char  ngx_http_tgbot_dedup_kept[NGX_HTTP_TGBOT_DEDUP_RIDE];
static u_char  ngx_http_tgbot_dedup_call[NGX_HTTP_TGBOT_DEDUP_RIDE];


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_dedup_zone = {
    0x7365656e,                          /* "seen" */
    "dedup",
    NGX_HTTP_TGBOT_DEDUP_FIXED
    + ngx_http_tgbot_dedup_rings_size(NGX_HTTP_TGBOT_DEDUP_WINDOW_MIN)
    + NGX_HTTP_TGBOT_DEDUP_ALIGN
    + 2 * ngx_align(sizeof(ngx_http_tgbot_dedup_entry_t),
                    NGX_HTTP_TGBOT_DEDUP_ALIGN),
    ngx_http_tgbot_dedup_table_init
};


ngx_int_t
ngx_http_tgbot_dedup_claim(ngx_http_tgbot_dedup_t *dedup, int64_t update_id,
    ngx_http_tgbot_dedup_claim_t *claim, ngx_str_t *type, ngx_str_t *body)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_lease_t       lease;
    ngx_http_tgbot_dedup_area_t  area;

    ngx_memzero(claim, sizeof(ngx_http_tgbot_dedup_claim_t));

    claim->update_id = update_id;
    claim->first = ngx_current_msec;

    ngx_str_null(type);
    ngx_str_null(body);

    ngx_http_tgbot_lease_new(&lease);

    rc = ngx_http_tgbot_dedup_lock(dedup, &area);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_dedup_take(&area, &lease, claim, type, body);

    } else {
        rc = NGX_OK;
    }

    ngx_http_tgbot_zone_unlock(dedup->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_dedup_accept(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim, ngx_str_t *type, ngx_str_t *body)
{
    size_t                          type_len, body_len;
    u_char                         *p;
    ngx_http_tgbot_dedup_area_t     area;
    ngx_http_tgbot_dedup_record_t  *rec;

    if (claim->lease.token == 0) {
        return NGX_OK;
    }

    type_len = (type && body) ? type->len : 0;
    body_len = (type && body) ? body->len : 0;

    if (type_len > NGX_HTTP_TGBOT_DEDUP_RIDE
        || body_len > NGX_HTTP_TGBOT_DEDUP_RIDE - type_len)
    {
        type_len = 0;
        body_len = 0;
    }

    p = ngx_http_tgbot_dedup_call;

    if (type_len) {
        p = ngx_cpymem(p, type->data, type_len);
    }

    if (body_len) {
        ngx_memcpy(p, body->data, body_len);
    }

    if (ngx_http_tgbot_dedup_lock(dedup, &area) != NGX_OK) {
        return ngx_http_tgbot_dedup_settled(dedup, claim, 1);
    }

    rec = ngx_http_tgbot_dedup_held(&area, claim);

    if (rec == NULL) {
        return ngx_http_tgbot_dedup_settled(dedup, claim, 0);
    }

    /*
     * One store accepts the Update: with a ride the state of the record,
     * without one the bit in the ring.  A worker that dies here leaves the
     * Update either accepted or not.
     */

    ngx_http_tgbot_dedup_ring_move(&area.rings, claim->update_id);

    ngx_http_tgbot_zone_stop("dedup: ring moved");

    if (type_len + body_len) {
        ngx_http_tgbot_dedup_area_keep(&area, rec, ngx_http_tgbot_dedup_call,
                                       type_len, body_len);
    }

    ngx_http_tgbot_dedup_ring_set(&area.rings, claim->update_id);

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: bit set");

    if (type_len + body_len == 0) {
        ngx_http_tgbot_dedup_area_free(&area, rec);
    }

    return ngx_http_tgbot_dedup_settled(dedup, claim, 1);
}


ngx_int_t
ngx_http_tgbot_dedup_release(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim, ngx_uint_t failed,
    ngx_uint_t charged)
{
    ngx_http_tgbot_dedup_area_t     area;
    ngx_http_tgbot_dedup_record_t  *rec;

    if (claim->lease.token == 0) {
        return NGX_OK;
    }

    if (ngx_http_tgbot_dedup_lock(dedup, &area) != NGX_OK) {
        return ngx_http_tgbot_dedup_settled(dedup, claim, 1);
    }

    rec = ngx_http_tgbot_dedup_held(&area, claim);

    if (rec == NULL) {
        return ngx_http_tgbot_dedup_settled(dedup, claim, 0);
    }

    if (charged) {
        rec->charged = 1;
    }

    if (failed) {
        rec->attempts++;
    }

    ngx_http_tgbot_zone_stop("dedup: attempt counted");

    ngx_http_tgbot_dedup_area_idle(&area, rec);

    return ngx_http_tgbot_dedup_settled(dedup, claim, 1);
}


ngx_int_t
ngx_http_tgbot_dedup_forget(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim)
{
    ngx_http_tgbot_dedup_area_t     area;
    ngx_http_tgbot_dedup_record_t  *rec;

    if (claim->lease.token == 0) {
        return NGX_OK;
    }

    if (ngx_http_tgbot_dedup_lock(dedup, &area) != NGX_OK) {
        return ngx_http_tgbot_dedup_settled(dedup, claim, 1);
    }

    rec = ngx_http_tgbot_dedup_held(&area, claim);

    if (rec == NULL) {
        return ngx_http_tgbot_dedup_settled(dedup, claim, 0);
    }

    ngx_http_tgbot_dedup_area_free(&area, rec);

    return ngx_http_tgbot_dedup_settled(dedup, claim, 1);
}


ngx_uint_t
ngx_http_tgbot_dedup_holds(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim)
{
    ngx_uint_t                   holds;
    ngx_http_tgbot_dedup_area_t  area;

    if (claim->lease.token == 0) {
        return 1;
    }

    holds = ngx_http_tgbot_dedup_lock(dedup, &area) != NGX_OK
            || ngx_http_tgbot_dedup_held(&area, claim) != NULL;

    ngx_http_tgbot_zone_unlock(dedup->zone);

    return holds;
}


ngx_uint_t
ngx_http_tgbot_dedup_newest(ngx_http_tgbot_dedup_t *dedup, int64_t *ids,
    ngx_uint_t n)
{
    int64_t                      id;
    ngx_uint_t                   i;
    ngx_http_tgbot_dedup_area_t  area;

    n = (ngx_http_tgbot_dedup_lock(dedup, &area) == NGX_OK)
        ? ngx_http_tgbot_dedup_ring_newest(&area.rings, ids, n)
        : 0;

    ngx_http_tgbot_zone_unlock(dedup->zone);

    for (i = 0; i < n / 2; i++) {
        id = ids[i];
        ids[i] = ids[n - 1 - i];
        ids[n - 1 - i] = id;
    }

    return n;
}


void
ngx_http_tgbot_dedup_mark(ngx_http_tgbot_dedup_t *dedup, int64_t update_id)
{
    ngx_http_tgbot_dedup_area_t  area;

    if (ngx_http_tgbot_dedup_lock(dedup, &area) == NGX_OK) {

        ngx_http_tgbot_dedup_ring_move(&area.rings, update_id);
        ngx_http_tgbot_dedup_ring_set(&area.rings, update_id);
    }

    ngx_http_tgbot_zone_unlock(dedup->zone);
}


void
ngx_http_tgbot_dedup_state(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_state_t *state)
{
    uint32_t                        n;
    ngx_uint_t                      i;
    ngx_http_tgbot_dedup_area_t     area;
    ngx_http_tgbot_list_t          *list;
    ngx_http_tgbot_dedup_record_t  *rec;

    ngx_memzero(state, sizeof(ngx_http_tgbot_dedup_state_t));

    if (ngx_http_tgbot_dedup_lock(dedup, &area) != NGX_OK) {
        ngx_http_tgbot_zone_unlock(dedup->zone);
        return;
    }

    list = area.sh->list;

    state->records = list[NGX_HTTP_TGBOT_DEDUP_HELD].n
                     + list[NGX_HTTP_TGBOT_DEDUP_IDLE].n
                     + list[NGX_HTTP_TGBOT_DEDUP_DONE].n;

    state->leased = ngx_http_tgbot_dedup_area_reap(&area);

    n = list[NGX_HTTP_TGBOT_DEDUP_DONE].first;

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        rec = &area.records[n];
        n = rec->link.next;

        if (!ngx_http_tgbot_dedup_area_expired(rec)) {
            state->rides++;
        }
    }

    state->rides_evicted = area.sh->rides_evicted;

    for (i = 0; i < 2; i++) {
        state->top[i] = ngx_http_tgbot_dedup_ring_top(&area.rings, i);
    }

    ngx_http_tgbot_zone_unlock(dedup->zone);
}


/*
 * Locks the zone in any case.  NGX_DECLINED: the area belongs to another bot
 * now.
 */

static ngx_int_t
ngx_http_tgbot_dedup_lock(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_area_t *area)
{
    if (ngx_http_tgbot_zone_lock(dedup->zone) != NGX_OK) {
        ngx_http_tgbot_dedup_table_repair(dedup->zone);
    }

    return ngx_http_tgbot_dedup_table_area(dedup, area);
}


static ngx_int_t
ngx_http_tgbot_dedup_take(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_lease_t *lease, ngx_http_tgbot_dedup_claim_t *claim,
    ngx_str_t *type, ngx_str_t *body)
{
    ngx_http_tgbot_dedup_record_t  *rec;

    rec = ngx_http_tgbot_dedup_area_find(area, claim->update_id);

    if ((rec && rec->state == NGX_HTTP_TGBOT_DEDUP_DONE)
        || ngx_http_tgbot_dedup_ring_test(&area->rings, claim->update_id))
    {
        return ngx_http_tgbot_dedup_duplicate(area, rec, type, body);
    }

    if (rec == NULL) {
        rec = ngx_http_tgbot_dedup_area_add(area, claim->update_id, lease);

        if (rec == NULL) {
            return NGX_AGAIN;
        }

    } else if (rec->state == NGX_HTTP_TGBOT_DEDUP_HELD
               && ngx_http_tgbot_lease_alive(&rec->lease))
    {
        claim->first = rec->time;
        return NGX_BUSY;

    } else {

        if (rec->state == NGX_HTTP_TGBOT_DEDUP_HELD) {

            /* the worker died in work: limits had let the Update pass */

            rec->charged = 1;
        }

        ngx_http_tgbot_dedup_area_hold(area, rec, lease);
    }

    claim->rebased = ngx_http_tgbot_dedup_ring_reach(&area->rings,
                                                     claim->update_id);
    claim->lease = *lease;
    claim->first = rec->first;
    claim->attempts = rec->attempts;
    claim->charged = rec->charged;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_dedup_duplicate(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, ngx_str_t *type, ngx_str_t *body)
{
    if (rec == NULL || rec->state != NGX_HTTP_TGBOT_DEDUP_DONE
        || ngx_http_tgbot_dedup_area_expired(rec))
    {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_dedup_area_copy(area, rec, ngx_http_tgbot_dedup_kept);

    type->data = ngx_http_tgbot_dedup_kept;
    type->len = rec->type_len;

    body->data = ngx_http_tgbot_dedup_kept + rec->type_len;
    body->len = rec->body_len;

    return NGX_DECLINED;
}


/* the record, if it is still under the lease of the claim, or NULL */

static ngx_http_tgbot_dedup_record_t *
ngx_http_tgbot_dedup_held(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_claim_t *claim)
{
    ngx_http_tgbot_dedup_record_t  *rec;

    rec = ngx_http_tgbot_dedup_area_find(area, claim->update_id);

    if (rec && rec->state == NGX_HTTP_TGBOT_DEDUP_HELD
        && ngx_http_tgbot_lease_equal(&rec->lease, &claim->lease))
    {
        return rec;
    }

    return NULL;
}


/* unlocks; clears a lease that was held, so that settling again does nothing */

static ngx_int_t
ngx_http_tgbot_dedup_settled(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_claim_t *claim, ngx_uint_t held)
{
    ngx_http_tgbot_zone_unlock(dedup->zone);

    if (!held) {
        return NGX_DECLINED;
    }

    ngx_memzero(&claim->lease, sizeof(ngx_http_tgbot_lease_t));

    return NGX_OK;
}


size_t
ngx_http_tgbot_dedup_size(ngx_uint_t window)
{
    return NGX_HTTP_TGBOT_DEDUP_FIXED + ngx_http_tgbot_dedup_rings_size(window);
}


ngx_int_t
ngx_http_tgbot_dedup_check(ngx_conf_t *cf, ngx_http_tgbot_zone_t *zone)
{
    size_t                    areas, size;
    ngx_uint_t                i;
    ngx_http_tgbot_dedup_t  **dedup;

    areas = 0;
    dedup = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {

        size = ngx_http_tgbot_dedup_size(dedup[i]->window);

        if (areas > NGX_MAX_SIZE_T_VALUE / 4 - size) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "zone \"%V\" would not fit in memory with the "
                          "windows of its bots in %s:%ui",
                          &zone->shm_zone->shm.name, zone->file, zone->line);
            return NGX_ERROR;
        }

        areas += size;
    }

    if (ngx_http_tgbot_dedup_table_needs(areas, zone->size) <= zone->size) {
        return NGX_OK;
    }

    /*
     * the size of the table depends on the size of the zone; the result is
     * far below twice the size of the areas, so that size is safe to assume
     */

    size = ngx_http_tgbot_dedup_table_needs(areas, 2 * areas);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "zone \"%V\" of %uzk is too small for the %ui bots that "
                  "use it, expected a size of %uzk or more in %s:%ui",
                  &zone->shm_zone->shm.name, zone->size / 1024,
                  zone->users.nelts, (size + 1023) / 1024,
                  zone->file, zone->line);

    return NGX_ERROR;
}


/* the init callback: finds or makes the areas of all users of the zone */

static ngx_int_t
ngx_http_tgbot_dedup_table_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_uint_t                    i, placed;
    ngx_http_tgbot_dedup_t      **dedup;
    ngx_http_tgbot_dedup_table_t  table;

    ngx_http_tgbot_dedup_table_open(&table, zone);

    if (fresh) {
        if (ngx_http_tgbot_dedup_table_carve(&table) != NGX_OK) {
            goto failed;
        }

    } else if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_dedup_table_repair(zone);
    }

    dedup = zone->users.elts;

    table.sh->round++;

    for (i = 0; i < zone->users.nelts; i++) {
        ngx_http_tgbot_dedup_table_keep(&table, dedup[i]);
    }

    for (i = 0; i < zone->users.nelts; i++) {

        if (dedup[i]->serial == 0
            && !ngx_http_tgbot_dedup_table_place(&table, dedup[i]))
        {
            break;
        }
    }

    placed = i;

    if (!fresh) {
        ngx_http_tgbot_zone_unlock(zone);
    }

    if (placed == zone->users.nelts) {
        return NGX_OK;
    }

failed:

    ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                  "zone \"%V\" is too small for the %ui bots that use it",
                  &zone->shm_zone->shm.name, zone->users.nelts);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_dedup_table_area(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_area_t *area)
{
    ngx_http_tgbot_dedup_entry_t  *entry;
    ngx_http_tgbot_dedup_table_t   table;

    ngx_http_tgbot_dedup_table_open(&table, dedup->zone);

    entry = ngx_http_tgbot_dedup_table_own(&table, dedup);

    if (entry == NULL && !ngx_http_tgbot_zone_adopted(dedup->zone)) {

        /*
         * A configuration that was refused later, or is not in use yet, has
         * taken the area for its own bots.
         */

        ngx_http_tgbot_dedup_table_keep(&table, dedup);

        if (dedup->serial == 0) {
            (void) ngx_http_tgbot_dedup_table_place(&table, dedup);
        }

        entry = ngx_http_tgbot_dedup_table_own(&table, dedup);
    }

    if (entry == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_dedup_area_init(area, dedup->zone,
                                   table.data + entry->offset,
                                   (ngx_uint_t) entry->window);

    return NGX_OK;
}


static ngx_http_tgbot_dedup_entry_t *
ngx_http_tgbot_dedup_table_own(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_dedup_t *dedup)
{
    ngx_http_tgbot_dedup_entry_t  *entry;

    if (dedup->area >= table->sh->n) {
        return NULL;
    }

    entry = &table->entry[dedup->area];

    if (entry->serial == 0 || entry->serial != dedup->serial) {
        return NULL;
    }

    return entry;
}


void
ngx_http_tgbot_dedup_table_repair(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_dedup_area_t    area;
    ngx_http_tgbot_dedup_entry_t  *entry;
    ngx_http_tgbot_dedup_table_t   table;

    ngx_http_tgbot_dedup_table_open(&table, zone);

    for (i = 0; i < table.sh->n; i++) {
        entry = &table.entry[i];

        if (entry->serial == 0) {
            continue;
        }

        ngx_http_tgbot_dedup_area_init(&area, zone,
                                       table.data + entry->offset,
                                       (ngx_uint_t) entry->window);
        ngx_http_tgbot_dedup_repair(&area);
    }
}


static ngx_uint_t
ngx_http_tgbot_dedup_table_entries(size_t room)
{
    return room / NGX_HTTP_TGBOT_DEDUP_FIXED + 1;
}


static size_t
ngx_http_tgbot_dedup_table_size(size_t room)
{
    size_t  size;

    size = sizeof(ngx_http_tgbot_dedup_entry_t)
           * ngx_http_tgbot_dedup_table_entries(room);

    return ngx_align(sizeof(ngx_http_tgbot_dedup_table_sh_t), 16)
           + ngx_align(size, NGX_HTTP_TGBOT_DEDUP_ALIGN)
           + NGX_HTTP_TGBOT_DEDUP_ALIGN;
}


static void
ngx_http_tgbot_dedup_table_open(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_zone_t *zone)
{
    size_t   room;
    u_char  *p;

    room = ngx_http_tgbot_zone_room(zone->sh);
    p = ngx_http_tgbot_zone_data(zone->sh);

    table->zone = zone;
    table->data = p;

    table->sh = (ngx_http_tgbot_dedup_table_sh_t *) p;

    p += ngx_align(sizeof(ngx_http_tgbot_dedup_table_sh_t), 16);
    table->entry = (ngx_http_tgbot_dedup_entry_t *) p;

    table->begin = ngx_align(ngx_http_tgbot_dedup_table_size(room)
                             - NGX_HTTP_TGBOT_DEDUP_ALIGN,
                             NGX_HTTP_TGBOT_DEDUP_ALIGN);
    table->end = room;
}


static ngx_int_t
ngx_http_tgbot_dedup_table_carve(ngx_http_tgbot_dedup_table_t *table)
{
    if (table->begin > table->end) {
        return NGX_ERROR;
    }

    ngx_memzero(table->data, (size_t) table->begin);

    table->sh->n = (uint32_t)
                       ngx_http_tgbot_dedup_table_entries((size_t) table->end);

    return NGX_OK;
}


/*
 * Finds the entry of the bot by name and window; dedup->serial is 0 if there is
 * none.  A bot with another id (a new token) starts with an empty area.
 */

static void
ngx_http_tgbot_dedup_table_keep(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_dedup_t *dedup)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_dedup_entry_t  *entry;

    dedup->serial = 0;

    for (i = 0; i < table->sh->n; i++) {
        entry = &table->entry[i];

        if (entry->serial == 0
            || entry->window != dedup->window
            || entry->name_len != dedup->bot.len
            || ngx_memcmp(entry->name, dedup->bot.data, dedup->bot.len) != 0)
        {
            continue;
        }

        if (entry->bot_id && dedup->bot_id && entry->bot_id != dedup->bot_id) {
            ngx_http_tgbot_dedup_table_put(table, entry, dedup);

        } else if (entry->bot_id == 0) {
            entry->bot_id = dedup->bot_id;
        }

        entry->round = table->sh->round;

        dedup->area = i;
        dedup->serial = entry->serial;

        return;
    }
}


static ngx_uint_t
ngx_http_tgbot_dedup_table_place(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_dedup_t *dedup)
{
    uint64_t                       length, offset;
    ngx_uint_t                     i;
    ngx_http_tgbot_dedup_entry_t  *entry;

    length = ngx_http_tgbot_dedup_size(dedup->window);

    if (ngx_http_tgbot_dedup_table_gap(table, length, &offset) != NGX_OK) {

        ngx_http_tgbot_dedup_table_compact(table);

        if (ngx_http_tgbot_dedup_table_gap(table, length, &offset) != NGX_OK) {
            return 0;
        }
    }

    for (i = 0; i < table->sh->n; i++) {
        entry = &table->entry[i];

        if (entry->serial == 0) {
            entry->offset = offset;
            entry->length = length;
            entry->round = table->sh->round;

            ngx_http_tgbot_dedup_table_put(table, entry, dedup);

            dedup->area = i;
            dedup->serial = entry->serial;

            return 1;
        }
    }

    return 0;
}


/* finds the first gap between areas that has "length" bytes */

static ngx_int_t
ngx_http_tgbot_dedup_table_gap(ngx_http_tgbot_dedup_table_t *table,
    uint64_t length, uint64_t *offset)
{
    uint64_t                       end;
    ngx_http_tgbot_dedup_entry_t  *next;

    *offset = table->begin;

    for ( ;; ) {
        next = ngx_http_tgbot_dedup_table_next(table, *offset);
        end = next ? next->offset : table->end;

        if (end >= *offset && end - *offset >= length) {
            return NGX_OK;
        }

        if (next == NULL) {
            return NGX_DECLINED;
        }

        *offset = next->offset + next->length;
    }
}


/* the entry of the first area that begins at "offset" or behind, or NULL */

static ngx_http_tgbot_dedup_entry_t *
ngx_http_tgbot_dedup_table_next(ngx_http_tgbot_dedup_table_t *table,
    uint64_t offset)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_dedup_entry_t  *entry, *next;

    next = NULL;

    for (i = 0; i < table->sh->n; i++) {
        entry = &table->entry[i];

        if (entry->serial && entry->offset >= offset
            && (next == NULL || entry->offset < next->offset))
        {
            next = entry;
        }
    }

    return next;
}


/*
 * Gives the entry to a bot, with an empty area.  The new serial tells a process
 * that used the entry before that its area is gone.
 */

static void
ngx_http_tgbot_dedup_table_put(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_dedup_entry_t *entry, ngx_http_tgbot_dedup_t *dedup)
{
    ngx_http_tgbot_dedup_area_t  area;

    entry->serial = 0;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: area not in use");

    entry->bot_id = dedup->bot_id;
    entry->window = dedup->window;
    entry->name_len = dedup->bot.len;
    ngx_memcpy(entry->name, dedup->bot.data, dedup->bot.len);

    ngx_http_tgbot_dedup_area_init(&area, table->zone,
                                   table->data + entry->offset, dedup->window);
    ngx_http_tgbot_dedup_area_carve(&area);

    table->sh->serial++;

    if (table->sh->serial == 0) {
        table->sh->serial = 1;
    }

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: area carved");

    entry->serial = table->sh->serial;
}


/* frees the areas of bots that left the configuration, moves others together */

static void
ngx_http_tgbot_dedup_table_compact(ngx_http_tgbot_dedup_table_t *table)
{
    uint32_t                       serial;
    uint64_t                       offset;
    ngx_uint_t                     i;
    ngx_http_tgbot_dedup_entry_t  *entry;

    for (i = 0; i < table->sh->n; i++) {
        entry = &table->entry[i];

        if (entry->round != table->sh->round) {
            entry->serial = 0;
        }
    }

    offset = table->begin;

    for ( ;; ) {
        entry = ngx_http_tgbot_dedup_table_next(table, offset);

        if (entry == NULL) {
            return;
        }

        if (entry->offset != offset) {
            serial = entry->serial;
            entry->serial = 0;

            ngx_memory_barrier();

            ngx_http_tgbot_zone_stop("dedup: area moves");

            ngx_memmove(table->data + offset, table->data + entry->offset,
                        (size_t) entry->length);

            ngx_http_tgbot_zone_stop("dedup: area copied");

            entry->offset = offset;

            ngx_memory_barrier();

            ngx_http_tgbot_zone_stop("dedup: area moved");

            entry->serial = serial;
        }

        offset += entry->length;
    }
}


/*
 * The size of a zone, with what nginx itself needs, that has room for "areas"
 * bytes of areas and for the table of a zone of "room" bytes.
 */

static size_t
ngx_http_tgbot_dedup_table_needs(size_t areas, size_t room)
{
    size_t  pages;

    areas += ngx_http_tgbot_dedup_table_size(room)
             + ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE);

    pages = (areas + ngx_pagesize - 1) / ngx_pagesize;

    return (pages + 2) * ngx_pagesize
           + ngx_align(pages * sizeof(ngx_slab_page_t), ngx_pagesize);
}
