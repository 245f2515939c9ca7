
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_dedup_area.h"
#include "ngx_http_tgbot_dedup_ring.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_bots.h"


/* areas begin at multiples of this, bytes */
#define NGX_HTTP_TGBOT_DEDUP_ALIGN   64


typedef struct {
    ngx_http_tgbot_zone_bot_t      bot;
    uint64_t                       window;
    uint64_t                       offset;   /* of the area, in the zone's
                                                data */
} ngx_http_tgbot_dedup_entry_t;


typedef struct {
    ngx_http_tgbot_zone_bots_t     bots;     /* is first */
    ngx_http_tgbot_dedup_entry_t  *entry;
    u_char                        *data;
    uint64_t                       end;      /* of all areas, offset */
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
static void ngx_http_tgbot_dedup_table_reopen(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);
static ngx_int_t ngx_http_tgbot_dedup_table_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old);
static void ngx_http_tgbot_dedup_table_open(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_dedup_table_carve(
    ngx_http_tgbot_dedup_table_t *table);
static uint64_t ngx_http_tgbot_dedup_table_begin(
    ngx_http_tgbot_dedup_table_t *table);
static ngx_uint_t ngx_http_tgbot_dedup_table_entries(size_t room);
static size_t ngx_http_tgbot_dedup_table_size(size_t room);
static ngx_uint_t ngx_http_tgbot_dedup_table_match(void *entry, void *user);
static ngx_int_t ngx_http_tgbot_dedup_table_make(
    ngx_http_tgbot_zone_bots_t *bots, void *entry, void *user);
static ngx_int_t ngx_http_tgbot_dedup_table_gap(
    ngx_http_tgbot_dedup_table_t *table, size_t length, uint64_t *offset);
static ngx_http_tgbot_dedup_entry_t *ngx_http_tgbot_dedup_table_next(
    ngx_http_tgbot_dedup_table_t *table, uint64_t offset);
static void ngx_http_tgbot_dedup_table_compact(
    ngx_http_tgbot_dedup_table_t *table);


/* rides copied out of a zone, and into a zone */
static u_char  ngx_http_tgbot_dedup_kept[NGX_HTTP_TGBOT_DEDUP_RIDE];
static u_char  ngx_http_tgbot_dedup_call[NGX_HTTP_TGBOT_DEDUP_RIDE];


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_dedup_zone = {
    15, "dedup",
    NGX_HTTP_TGBOT_DEDUP_FIXED
    + ngx_http_tgbot_dedup_rings_size(NGX_HTTP_TGBOT_DEDUP_WINDOW_MIN)
    + NGX_HTTP_TGBOT_DEDUP_ALIGN
    + 2 * ngx_align(sizeof(ngx_http_tgbot_dedup_entry_t),
                    NGX_HTTP_TGBOT_DEDUP_ALIGN),
    ngx_http_tgbot_dedup_table_init,
    ngx_http_tgbot_dedup_table_reopen,
    ngx_http_tgbot_dedup_table_copy,
    NGX_HTTP_TGBOT_ZONE_FILE
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

        if (!ngx_http_tgbot_dedup_area_expired(&area, rec)) {
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
        claim->first = ngx_http_tgbot_zone_out(area->zone, rec->time);
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
    claim->first = ngx_http_tgbot_zone_out(area->zone, rec->first);
    claim->attempts = rec->attempts;
    claim->charged = rec->charged;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_dedup_duplicate(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, ngx_str_t *type, ngx_str_t *body)
{
    if (rec == NULL || rec->state != NGX_HTTP_TGBOT_DEDUP_DONE
        || ngx_http_tgbot_dedup_area_expired(area, rec))
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

    size = ngx_http_tgbot_dedup_table_size(zone->size);

    if (ngx_http_tgbot_zone_needs(areas + size) <= zone->size) {
        return NGX_OK;
    }

    /*
     * the size of the table depends on the size of the zone; the result is
     * far below twice the size of the areas, so that size is safe to assume
     */

    size = ngx_http_tgbot_dedup_table_size(2 * areas);
    size = ngx_http_tgbot_zone_needs(areas + size);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "zone \"%V\" of %uzk is too small for the %ui bots that "
                  "use it, expected \"tgbot_dedup zone=%V:%uzk\" or a larger "
                  "size in %s:%ui",
                  &zone->shm_zone->shm.name, zone->size / 1024,
                  zone->users.nelts, &zone->shm_zone->shm.name,
                  (size + 1023) / 1024, zone->file, zone->line);

    return NGX_ERROR;
}


/* the init callback: finds or makes the areas of all users of the zone */

static ngx_int_t
ngx_http_tgbot_dedup_table_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_dedup_table_t  table;

    ngx_http_tgbot_dedup_table_open(&table, zone);

    rc = fresh ? ngx_http_tgbot_dedup_table_carve(&table) : NGX_OK;

    if (rc == NGX_OK) {

        if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
            ngx_http_tgbot_dedup_table_repair(zone);
        }

        rc = ngx_http_tgbot_zone_bots_init(&table.bots);

        ngx_http_tgbot_zone_unlock(zone);
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" of %uzk is too small for the %ui bots "
                      "that use it, expected a larger size in \"tgbot_dedup\" "
                      "in %s:%ui", &zone->shm_zone->shm.name,
                      zone->size / 1024, zone->users.nelts, zone->file,
                      zone->line);
    }

    return rc;
}


/*
 * Bits and ids that are not of one moment would make an Update a duplicate
 * that never was accepted: after a crash of the machine all is forgotten.
 */

static void
ngx_http_tgbot_dedup_table_reopen(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    ngx_uint_t                     i, n;
    ngx_http_tgbot_dedup_area_t    area;
    ngx_http_tgbot_dedup_entry_t  *entry;
    ngx_http_tgbot_dedup_table_t   table;

    ngx_http_tgbot_dedup_table_open(&table, zone);

    if (found == NGX_HTTP_TGBOT_ZONE_TORN) {
        (void) ngx_http_tgbot_dedup_table_carve(&table);
        return;
    }

    for (i = 0; i < table.bots.sh->used; i++) {
        entry = &table.entry[i];

        ngx_memzero(entry->bot.named, sizeof(entry->bot.named));

        if (entry->bot.serial == 0) {
            continue;
        }

        ngx_http_tgbot_dedup_area_init(&area, zone,
                                       table.data + entry->offset,
                                       (ngx_uint_t) entry->window);

        for (n = 0; n < NGX_HTTP_TGBOT_DEDUP_RECORDS; n++) {

            if (area.records[n].state == NGX_HTTP_TGBOT_DEDUP_HELD) {

                /* in work when nginx ended: see area_reap() */

                area.records[n].state = NGX_HTTP_TGBOT_DEDUP_IDLE;
                area.records[n].charged = 1;
            }
        }
    }

    ngx_http_tgbot_dedup_table_repair(zone);
}


static ngx_int_t
ngx_http_tgbot_dedup_table_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old)
{
    ngx_uint_t                     i, n;
    ngx_http_tgbot_dedup_t         dedup;
    ngx_http_tgbot_dedup_area_t    area;
    ngx_http_tgbot_dedup_entry_t  *entry, *to;
    ngx_http_tgbot_dedup_table_t   table, from;

    ngx_http_tgbot_dedup_table_open(&table, zone);
    ngx_http_tgbot_dedup_table_open(&from, old);

    dedup.zone = zone;

    for (i = 0; i < from.bots.sh->used; i++) {
        entry = &from.entry[i];

        if (entry->bot.serial == 0) {
            continue;
        }

        dedup.bot.data = entry->bot.name;
        dedup.bot.len = entry->bot.len;
        dedup.bot_id = entry->bot.bot_id;
        dedup.window = entry->window;

        /* a bot that left the configuration may find no room */

        to = ngx_http_tgbot_zone_bots_enter(&table.bots, &dedup, 0);

        if (to == NULL) {
            continue;
        }

        ngx_memcpy(table.data + to->offset, from.data + entry->offset,
                   ngx_http_tgbot_dedup_size(dedup.window));

        ngx_http_tgbot_dedup_area_init(&area, zone, table.data + to->offset,
                                       dedup.window);

        for (n = 0; n < NGX_HTTP_TGBOT_DEDUP_RECORDS; n++) {
            area.records[n].first += zone->offset - old->offset;
            area.records[n].time += zone->offset - old->offset;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_dedup_table_area(ngx_http_tgbot_dedup_t *dedup,
    ngx_http_tgbot_dedup_area_t *area)
{
    ngx_http_tgbot_dedup_entry_t  *entry;
    ngx_http_tgbot_dedup_table_t   table;

    ngx_http_tgbot_dedup_table_open(&table, dedup->zone);

    entry = ngx_http_tgbot_zone_bots_entry(&table.bots, dedup);

    if (entry == NULL && !ngx_http_tgbot_zone_adopted(dedup->zone)) {

        /*
         * A configuration that was refused later, or is not in use yet, has
         * taken the area for its own bots.
         */

        entry = ngx_http_tgbot_zone_bots_enter(&table.bots, dedup, 1);
    }

    if (entry == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_dedup_area_init(area, dedup->zone,
                                   table.data + entry->offset,
                                   (ngx_uint_t) entry->window);

    return NGX_OK;
}


void
ngx_http_tgbot_dedup_table_repair(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_dedup_area_t    area;
    ngx_http_tgbot_dedup_entry_t  *entry;
    ngx_http_tgbot_dedup_table_t   table;

    ngx_http_tgbot_dedup_table_open(&table, zone);

    for (i = 0; i < table.bots.sh->used; i++) {
        entry = &table.entry[i];

        if (entry->bot.serial == 0) {
            continue;
        }

        ngx_http_tgbot_dedup_area_init(&area, zone,
                                       table.data + entry->offset,
                                       (ngx_uint_t) entry->window);
        ngx_http_tgbot_dedup_repair(&area);
    }
}


static void
ngx_http_tgbot_dedup_table_open(ngx_http_tgbot_dedup_table_t *table,
    ngx_http_tgbot_zone_t *zone)
{
    u_char  *p;

    p = ngx_http_tgbot_zone_data(zone->sh);

    table->data = p;

    table->bots.zone = zone;
    table->bots.sh = (ngx_http_tgbot_zone_bots_sh_t *) p;

    p += ngx_align(sizeof(ngx_http_tgbot_zone_bots_sh_t), 16);
    table->entry = (ngx_http_tgbot_dedup_entry_t *) p;

    table->bots.entries = p;
    table->bots.size = sizeof(ngx_http_tgbot_dedup_entry_t);
    table->bots.held = 0;
    table->bots.match = ngx_http_tgbot_dedup_table_match;
    table->bots.make = ngx_http_tgbot_dedup_table_make;

    table->end = ngx_http_tgbot_zone_room(zone->sh);
}


static ngx_int_t
ngx_http_tgbot_dedup_table_carve(ngx_http_tgbot_dedup_table_t *table)
{
    uint64_t  begin;

    begin = ngx_http_tgbot_dedup_table_begin(table);

    if (begin > table->end) {
        return NGX_ERROR;
    }

    ngx_memzero(table->data, (size_t) begin);

    table->bots.sh->n = (uint32_t)
                       ngx_http_tgbot_dedup_table_entries((size_t) table->end);

    return NGX_OK;
}


/* offset of the first area */

static uint64_t
ngx_http_tgbot_dedup_table_begin(ngx_http_tgbot_dedup_table_t *table)
{
    return ngx_align(ngx_http_tgbot_dedup_table_size((size_t) table->end)
                     - NGX_HTTP_TGBOT_DEDUP_ALIGN,
                     NGX_HTTP_TGBOT_DEDUP_ALIGN);
}


/* one more than there is room for areas, so one is not in use */

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

    return ngx_align(sizeof(ngx_http_tgbot_zone_bots_sh_t), 16)
           + ngx_align(size, NGX_HTTP_TGBOT_DEDUP_ALIGN)
           + NGX_HTTP_TGBOT_DEDUP_ALIGN;
}


/* with another window a bot has another area */

static ngx_uint_t
ngx_http_tgbot_dedup_table_match(void *entry, void *user)
{
    ngx_http_tgbot_dedup_t        *dedup = user;
    ngx_http_tgbot_dedup_entry_t  *e = entry;

    return e->window == dedup->window;
}


/*
 * Finds a place for the area of a new bot, and makes the area empty.  A bot
 * with another id under the same name (an old token) loses its area.
 */

static ngx_int_t
ngx_http_tgbot_dedup_table_make(ngx_http_tgbot_zone_bots_t *bots, void *entry,
    void *user)
{
    size_t                         length;
    ngx_uint_t                     i;
    ngx_http_tgbot_dedup_t        *dedup;
    ngx_http_tgbot_dedup_area_t    area;
    ngx_http_tgbot_dedup_entry_t  *e, *other;
    ngx_http_tgbot_dedup_table_t  *table;

    e = entry;
    dedup = user;
    table = (ngx_http_tgbot_dedup_table_t *) bots;

    for (i = 0; i < bots->sh->used; i++) {
        other = &table->entry[i];

        if (other->window == dedup->window
            && other->bot.len == e->bot.len
            && ngx_memcmp(other->bot.name, e->bot.name, e->bot.len) == 0)
        {
            other->bot.serial = 0;
        }
    }

    length = ngx_http_tgbot_dedup_size(dedup->window);

    if (ngx_http_tgbot_dedup_table_gap(table, length, &e->offset) != NGX_OK) {

        ngx_http_tgbot_dedup_table_compact(table);

        if (ngx_http_tgbot_dedup_table_gap(table, length, &e->offset)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    e->window = dedup->window;

    ngx_http_tgbot_dedup_area_init(&area, bots->zone, table->data + e->offset,
                                   dedup->window);
    ngx_http_tgbot_dedup_area_carve(&area);

    return NGX_OK;
}


/* finds the first gap between areas that has "length" bytes */

static ngx_int_t
ngx_http_tgbot_dedup_table_gap(ngx_http_tgbot_dedup_table_t *table,
    size_t length, uint64_t *offset)
{
    uint64_t                       end;
    ngx_http_tgbot_dedup_entry_t  *next;

    *offset = ngx_http_tgbot_dedup_table_begin(table);

    for ( ;; ) {
        next = ngx_http_tgbot_dedup_table_next(table, *offset);
        end = next ? next->offset : table->end;

        if (end >= *offset && end - *offset >= length) {
            return NGX_OK;
        }

        if (next == NULL) {
            return NGX_DECLINED;
        }

        *offset = next->offset + ngx_http_tgbot_dedup_size(next->window);
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

    for (i = 0; i < table->bots.sh->used; i++) {
        entry = &table->entry[i];

        if (entry->bot.serial && entry->offset >= offset
            && (next == NULL || entry->offset < next->offset))
        {
            next = entry;
        }
    }

    return next;
}


/* frees the areas of bots that left the configuration, moves others together */

static void
ngx_http_tgbot_dedup_table_compact(ngx_http_tgbot_dedup_table_t *table)
{
    size_t                         length;
    uint32_t                       serial;
    uint64_t                       offset;
    ngx_uint_t                     i;
    ngx_http_tgbot_dedup_entry_t  *entry;

    for (i = 0; i < table->bots.sh->used; i++) {
        entry = &table->entry[i];

        if (ngx_http_tgbot_zone_bots_spare(&table->bots, entry)) {
            entry->bot.serial = 0;
        }
    }

    offset = ngx_http_tgbot_dedup_table_begin(table);

    for ( ;; ) {
        entry = ngx_http_tgbot_dedup_table_next(table, offset);

        if (entry == NULL) {
            return;
        }

        length = ngx_http_tgbot_dedup_size(entry->window);

        if (entry->offset != offset) {
            serial = entry->bot.serial;
            entry->bot.serial = 0;

            ngx_memory_barrier();

            ngx_http_tgbot_zone_stop("dedup: area moves");

            ngx_memmove(table->data + offset, table->data + entry->offset,
                        length);

            ngx_http_tgbot_zone_stop("dedup: area copied");

            entry->offset = offset;

            ngx_memory_barrier();

            ngx_http_tgbot_zone_stop("dedup: area moved");

            entry->bot.serial = serial;
        }

        offset += length;
    }
}
