
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_seen.h"
#include "ngx_http_tgbot_seen_area.h"
#include "ngx_http_tgbot_seen_ring.h"
#include "ngx_http_tgbot_seen_table.h"
#include "ngx_http_tgbot_slot.h"
#include "ngx_http_tgbot_zone.h"


static ngx_int_t ngx_http_tgbot_seen_lock(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_seen_area_t *area);
static ngx_int_t ngx_http_tgbot_seen_take(ngx_http_tgbot_seen_area_t *area,
    ngx_http_tgbot_lease_t *lease, ngx_http_tgbot_claim_t *claim,
    ngx_str_t *type, ngx_str_t *body);
static ngx_int_t ngx_http_tgbot_seen_duplicate(
    ngx_http_tgbot_seen_area_t *area, ngx_http_tgbot_seen_record_t *rec,
    ngx_str_t *type, ngx_str_t *body);
static ngx_http_tgbot_seen_record_t *ngx_http_tgbot_seen_held(
    ngx_http_tgbot_seen_area_t *area, ngx_http_tgbot_claim_t *claim);
static ngx_int_t ngx_http_tgbot_seen_settled(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_claim_t *claim, ngx_uint_t held);


/* calls on their way out of a zone, and into one */
static u_char  ngx_http_tgbot_seen_kept[NGX_HTTP_TGBOT_SEEN_RIDE];
static u_char  ngx_http_tgbot_seen_call[NGX_HTTP_TGBOT_SEEN_RIDE];


ngx_int_t
ngx_http_tgbot_seen_claim(ngx_http_tgbot_seen_t *seen, int64_t update_id,
    ngx_http_tgbot_claim_t *claim, ngx_str_t *type, ngx_str_t *body)
{
    ngx_int_t                   rc;
    ngx_http_tgbot_lease_t      lease;
    ngx_http_tgbot_seen_area_t  area;

    ngx_memzero(claim, sizeof(ngx_http_tgbot_claim_t));

    claim->update_id = update_id;
    claim->first = ngx_current_msec;

    ngx_str_null(type);
    ngx_str_null(body);

    ngx_http_tgbot_slot_lease(&lease);

    rc = ngx_http_tgbot_seen_lock(seen, &area);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_seen_take(&area, &lease, claim, type, body);

    } else {
        rc = NGX_OK;
    }

    ngx_http_tgbot_zone_unlock(seen->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_seen_accept(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_claim_t *claim, ngx_str_t *type, ngx_str_t *body)
{
    size_t                         type_len, body_len;
    u_char                        *p;
    ngx_http_tgbot_seen_area_t     area;
    ngx_http_tgbot_seen_record_t  *rec;

    if (claim->lease.token == 0) {
        return NGX_OK;
    }

    type_len = (type && body) ? type->len : 0;
    body_len = (type && body) ? body->len : 0;

    if (type_len > NGX_HTTP_TGBOT_SEEN_RIDE
        || body_len > NGX_HTTP_TGBOT_SEEN_RIDE - type_len)
    {
        type_len = 0;
        body_len = 0;
    }

    p = ngx_http_tgbot_seen_call;

    if (type_len) {
        p = ngx_cpymem(p, type->data, type_len);
    }

    if (body_len) {
        ngx_memcpy(p, body->data, body_len);
    }

    if (ngx_http_tgbot_seen_lock(seen, &area) != NGX_OK) {
        return ngx_http_tgbot_seen_settled(seen, claim, 1);
    }

    rec = ngx_http_tgbot_seen_held(&area, claim);

    if (rec == NULL) {
        return ngx_http_tgbot_seen_settled(seen, claim, 0);
    }

    /* either the record or the bit tells that it is accepted, in one store */

    ngx_http_tgbot_seen_ring_move(&area.rings, claim->update_id);

    ngx_http_tgbot_zone_stop("seen: ring moved");

    if (type_len + body_len) {
        ngx_http_tgbot_seen_area_keep(&area, rec, ngx_http_tgbot_seen_call,
                                      type_len, body_len);
    }

    ngx_http_tgbot_seen_ring_set(&area.rings, claim->update_id);

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("seen: bit set");

    if (type_len + body_len == 0) {
        ngx_http_tgbot_seen_area_free(&area, rec);
    }

    return ngx_http_tgbot_seen_settled(seen, claim, 1);
}


ngx_int_t
ngx_http_tgbot_seen_release(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_claim_t *claim, ngx_uint_t failed, ngx_uint_t charged)
{
    ngx_http_tgbot_seen_area_t     area;
    ngx_http_tgbot_seen_record_t  *rec;

    if (claim->lease.token == 0) {
        return NGX_OK;
    }

    if (ngx_http_tgbot_seen_lock(seen, &area) != NGX_OK) {
        return ngx_http_tgbot_seen_settled(seen, claim, 1);
    }

    rec = ngx_http_tgbot_seen_held(&area, claim);

    if (rec == NULL) {
        return ngx_http_tgbot_seen_settled(seen, claim, 0);
    }

    if (charged) {
        rec->charged = 1;
    }

    if (failed) {
        rec->attempts++;
    }

    ngx_http_tgbot_zone_stop("seen: attempt counted");

    ngx_http_tgbot_seen_area_idle(&area, rec);

    return ngx_http_tgbot_seen_settled(seen, claim, 1);
}


ngx_int_t
ngx_http_tgbot_seen_forget(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_claim_t *claim)
{
    ngx_http_tgbot_seen_area_t     area;
    ngx_http_tgbot_seen_record_t  *rec;

    if (claim->lease.token == 0) {
        return NGX_OK;
    }

    if (ngx_http_tgbot_seen_lock(seen, &area) != NGX_OK) {
        return ngx_http_tgbot_seen_settled(seen, claim, 1);
    }

    rec = ngx_http_tgbot_seen_held(&area, claim);

    if (rec == NULL) {
        return ngx_http_tgbot_seen_settled(seen, claim, 0);
    }

    ngx_http_tgbot_seen_area_free(&area, rec);

    return ngx_http_tgbot_seen_settled(seen, claim, 1);
}


ngx_uint_t
ngx_http_tgbot_seen_holds(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_claim_t *claim)
{
    ngx_uint_t                  holds;
    ngx_http_tgbot_seen_area_t  area;

    if (claim->lease.token == 0) {
        return 1;
    }

    holds = ngx_http_tgbot_seen_lock(seen, &area) != NGX_OK
            || ngx_http_tgbot_seen_held(&area, claim) != NULL;

    ngx_http_tgbot_zone_unlock(seen->zone);

    return holds;
}


ngx_uint_t
ngx_http_tgbot_seen_newest(ngx_http_tgbot_seen_t *seen, int64_t *ids,
    ngx_uint_t n)
{
    int64_t                     id;
    ngx_uint_t                  i;
    ngx_http_tgbot_seen_area_t  area;

    n = (ngx_http_tgbot_seen_lock(seen, &area) == NGX_OK)
        ? ngx_http_tgbot_seen_ring_newest(&area.rings, ids, n)
        : 0;

    ngx_http_tgbot_zone_unlock(seen->zone);

    for (i = 0; i < n / 2; i++) {
        id = ids[i];
        ids[i] = ids[n - 1 - i];
        ids[n - 1 - i] = id;
    }

    return n;
}


void
ngx_http_tgbot_seen_mark(ngx_http_tgbot_seen_t *seen, int64_t update_id)
{
    ngx_http_tgbot_seen_area_t  area;

    if (ngx_http_tgbot_seen_lock(seen, &area) == NGX_OK) {

        ngx_http_tgbot_seen_ring_move(&area.rings, update_id);
        ngx_http_tgbot_seen_ring_set(&area.rings, update_id);
    }

    ngx_http_tgbot_zone_unlock(seen->zone);
}


void
ngx_http_tgbot_seen_state(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_seen_state_t *state)
{
    uint32_t                       n;
    ngx_uint_t                     i;
    ngx_http_tgbot_seen_area_t     area;
    ngx_http_tgbot_list_t         *list;
    ngx_http_tgbot_seen_record_t  *rec;

    ngx_memzero(state, sizeof(ngx_http_tgbot_seen_state_t));

    if (ngx_http_tgbot_seen_lock(seen, &area) != NGX_OK) {
        ngx_http_tgbot_zone_unlock(seen->zone);
        return;
    }

    list = area.sh->list;

    state->records = list[NGX_HTTP_TGBOT_SEEN_HELD].n
                     + list[NGX_HTTP_TGBOT_SEEN_IDLE].n
                     + list[NGX_HTTP_TGBOT_SEEN_DONE].n;

    state->leased = ngx_http_tgbot_seen_area_reap(&area);

    n = list[NGX_HTTP_TGBOT_SEEN_DONE].first;

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        rec = &area.records[n];
        n = rec->link.next;

        if (!ngx_http_tgbot_seen_area_expired(rec)) {
            state->rides++;
        }
    }

    state->rides_evicted = area.sh->rides_evicted;

    for (i = 0; i < 2; i++) {
        state->top[i] = ngx_http_tgbot_seen_ring_top(&area.rings, i);
    }

    ngx_http_tgbot_zone_unlock(seen->zone);
}


/* NGX_DECLINED, locked as well: the area is another bot's by now */

static ngx_int_t
ngx_http_tgbot_seen_lock(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_seen_area_t *area)
{
    if (ngx_http_tgbot_zone_lock(seen->zone) != NGX_OK) {
        ngx_http_tgbot_seen_table_repair(seen->zone);
    }

    return ngx_http_tgbot_seen_table_area(seen, area);
}


static ngx_int_t
ngx_http_tgbot_seen_take(ngx_http_tgbot_seen_area_t *area,
    ngx_http_tgbot_lease_t *lease, ngx_http_tgbot_claim_t *claim,
    ngx_str_t *type, ngx_str_t *body)
{
    ngx_http_tgbot_seen_record_t  *rec;

    rec = ngx_http_tgbot_seen_area_find(area, claim->update_id);

    if ((rec && rec->state == NGX_HTTP_TGBOT_SEEN_DONE)
        || ngx_http_tgbot_seen_ring_test(&area->rings, claim->update_id))
    {
        return ngx_http_tgbot_seen_duplicate(area, rec, type, body);
    }

    if (rec == NULL) {
        rec = ngx_http_tgbot_seen_area_add(area, claim->update_id, lease);

        if (rec == NULL) {
            return NGX_AGAIN;
        }

    } else if (rec->state == NGX_HTTP_TGBOT_SEEN_HELD
               && ngx_http_tgbot_slot_alive(&rec->lease))
    {
        claim->first = rec->time;
        return NGX_BUSY;

    } else {

        if (rec->state == NGX_HTTP_TGBOT_SEEN_HELD) {

            /* its process died at work, to which limits had let it */

            rec->charged = 1;
        }

        ngx_http_tgbot_seen_area_hold(area, rec, lease);
    }

    claim->rebased = ngx_http_tgbot_seen_ring_reach(&area->rings,
                                                    claim->update_id);
    claim->lease = *lease;
    claim->first = rec->first;
    claim->attempts = rec->attempts;
    claim->charged = rec->charged;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_seen_duplicate(ngx_http_tgbot_seen_area_t *area,
    ngx_http_tgbot_seen_record_t *rec, ngx_str_t *type, ngx_str_t *body)
{
    if (rec == NULL || rec->state != NGX_HTTP_TGBOT_SEEN_DONE
        || ngx_http_tgbot_seen_area_expired(rec))
    {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_seen_area_copy(area, rec, ngx_http_tgbot_seen_kept);

    type->data = ngx_http_tgbot_seen_kept;
    type->len = rec->type_len;

    body->data = ngx_http_tgbot_seen_kept + rec->type_len;
    body->len = rec->body_len;

    return NGX_DECLINED;
}


/* the record if the lease is still the claim's */

static ngx_http_tgbot_seen_record_t *
ngx_http_tgbot_seen_held(ngx_http_tgbot_seen_area_t *area,
    ngx_http_tgbot_claim_t *claim)
{
    ngx_http_tgbot_seen_record_t  *rec;

    rec = ngx_http_tgbot_seen_area_find(area, claim->update_id);

    if (rec && rec->state == NGX_HTTP_TGBOT_SEEN_HELD
        && ngx_http_tgbot_lease_equal(&rec->lease, &claim->lease))
    {
        return rec;
    }

    return NULL;
}


/* unlocks; there is nothing to be settled a second time */

static ngx_int_t
ngx_http_tgbot_seen_settled(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_claim_t *claim, ngx_uint_t held)
{
    ngx_http_tgbot_zone_unlock(seen->zone);

    if (!held) {
        return NGX_DECLINED;
    }

    ngx_memzero(&claim->lease, sizeof(ngx_http_tgbot_lease_t));

    return NGX_OK;
}
