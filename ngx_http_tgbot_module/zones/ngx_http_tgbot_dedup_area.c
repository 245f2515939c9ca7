
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_dedup_area.h"
#include "ngx_http_tgbot_dedup_ring.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"


#define ngx_http_tgbot_dedup_area_number(area, rec)                           \
    ((uint16_t) ((rec) - (area)->records))


/* how long leases found alive are not checked again, milliseconds */
#define NGX_HTTP_TGBOT_DEDUP_RECHECK  100


static void ngx_http_tgbot_dedup_area_make_room(
    ngx_http_tgbot_dedup_area_t *area, size_t size);
static void ngx_http_tgbot_dedup_area_link(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec);
static void ngx_http_tgbot_dedup_area_unlink(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec);
static void ngx_http_tgbot_dedup_area_unhash(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec);
static ngx_http_tgbot_dedup_record_t *ngx_http_tgbot_dedup_area_oldest(
    ngx_http_tgbot_dedup_area_t *area, ngx_uint_t state);
static void ngx_http_tgbot_dedup_area_expire(ngx_http_tgbot_dedup_area_t *area);
static void ngx_http_tgbot_dedup_area_evict(ngx_http_tgbot_dedup_area_t *area);
static void ngx_http_tgbot_dedup_area_recheck(
    ngx_http_tgbot_dedup_area_t *area);
static void ngx_http_tgbot_dedup_repair_record(
    ngx_http_tgbot_dedup_area_t *area, ngx_http_tgbot_dedup_record_t *rec);
static uint32_t ngx_http_tgbot_dedup_repair_sort(
    ngx_http_tgbot_dedup_area_t *area);
static ngx_uint_t ngx_http_tgbot_dedup_repair_before(void *data, uint32_t a,
    uint32_t b);


void
ngx_http_tgbot_dedup_area_init(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_zone_t *zone, u_char *data, ngx_uint_t window)
{
    area->zone = zone;
    area->sh = (ngx_http_tgbot_dedup_area_sh_t *) data;

    area->rings.sh = &area->sh->rings;
    area->rings.bits = data + NGX_HTTP_TGBOT_DEDUP_FIXED;
    area->rings.window = window;

    data += NGX_HTTP_TGBOT_DEDUP_HEADER;
    area->records = (ngx_http_tgbot_dedup_record_t *) data;

    area->links.first = &area->records[0].link;
    area->links.size = sizeof(ngx_http_tgbot_dedup_record_t);

    data += NGX_HTTP_TGBOT_DEDUP_RECORDS
            * sizeof(ngx_http_tgbot_dedup_record_t);
    area->heads = (uint16_t *) data;

    data += NGX_HTTP_TGBOT_DEDUP_HEADS * sizeof(uint16_t);
    area->chain.sh = &area->sh->chain;
    area->chain.blocks = (ngx_http_tgbot_block_t *) data;
}


void
ngx_http_tgbot_dedup_area_carve(ngx_http_tgbot_dedup_area_t *area)
{
    ngx_memzero(area->sh, NGX_HTTP_TGBOT_DEDUP_FIXED);

    area->sh->chain.total = NGX_HTTP_TGBOT_DEDUP_BLOCKS;

    ngx_http_tgbot_dedup_repair(area);
}


ngx_http_tgbot_dedup_record_t *
ngx_http_tgbot_dedup_area_find(ngx_http_tgbot_dedup_area_t *area,
    int64_t update_id)
{
    uint16_t                        n;
    ngx_http_tgbot_dedup_record_t  *rec;

    n = *ngx_http_tgbot_dedup_area_head(area, update_id);

    while (n != NGX_HTTP_TGBOT_DEDUP_NIL) {
        rec = &area->records[n];

        if (rec->update_id == update_id) {
            return rec;
        }

        n = rec->hash;
    }

    return NULL;
}


ngx_http_tgbot_dedup_record_t *
ngx_http_tgbot_dedup_area_add(ngx_http_tgbot_dedup_area_t *area,
    int64_t update_id, ngx_http_tgbot_lease_t *lease)
{
    uint16_t                       *head;
    ngx_http_tgbot_list_t          *list;
    ngx_http_tgbot_dedup_record_t  *rec;

    list = &area->sh->list[NGX_HTTP_TGBOT_DEDUP_FREE];

    ngx_http_tgbot_dedup_area_expire(area);

    if (list->n == 0) {
        ngx_http_tgbot_dedup_area_evict(area);
    }

    rec = ngx_http_tgbot_dedup_area_oldest(area, NGX_HTTP_TGBOT_DEDUP_FREE);

    if (rec == NULL) {
        return NULL;
    }

    rec->update_id = update_id;
    rec->first = ngx_http_tgbot_zone_msec(area->zone);
    rec->attempts = 0;
    rec->charged = 0;
    rec->block = NGX_HTTP_TGBOT_LIST_NIL;

    head = ngx_http_tgbot_dedup_area_head(area, update_id);

    rec->hash = *head;
    *head = ngx_http_tgbot_dedup_area_number(area, rec);

    ngx_http_tgbot_zone_stop("dedup: record hashed");

    ngx_http_tgbot_dedup_area_hold(area, rec, lease);

    return rec;
}


void
ngx_http_tgbot_dedup_area_hold(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, ngx_http_tgbot_lease_t *lease)
{
    ngx_http_tgbot_dedup_area_unlink(area, rec);

    /*
     * a worker that dies here would leave half of the old lease and half of
     * the new one, which together may look alive
     */

    if (rec->state == NGX_HTTP_TGBOT_DEDUP_HELD) {
        rec->state = NGX_HTTP_TGBOT_DEDUP_IDLE;
        ngx_memory_barrier();
    }

    ngx_http_tgbot_zone_stop("dedup: record without lease");

    rec->lease = *lease;
    rec->time = ngx_http_tgbot_zone_msec(area->zone);

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: record leased");

    rec->state = NGX_HTTP_TGBOT_DEDUP_HELD;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: record held");

    ngx_http_tgbot_dedup_area_link(area, rec);
}


void
ngx_http_tgbot_dedup_area_idle(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec)
{
    ngx_http_tgbot_dedup_area_unlink(area, rec);

    rec->time = ngx_http_tgbot_zone_msec(area->zone);
    rec->state = NGX_HTTP_TGBOT_DEDUP_IDLE;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: record idle");

    ngx_http_tgbot_dedup_area_link(area, rec);
}


void
ngx_http_tgbot_dedup_area_free(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec)
{
    ngx_http_tgbot_dedup_area_unlink(area, rec);

    rec->state = NGX_HTTP_TGBOT_DEDUP_FREE;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: record freed");

    ngx_http_tgbot_dedup_area_unhash(area, rec);

    ngx_http_tgbot_chain_free(&area->chain, rec->block);
    rec->block = NGX_HTTP_TGBOT_LIST_NIL;

    ngx_http_tgbot_dedup_area_link(area, rec);
}


void
ngx_http_tgbot_dedup_area_keep(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, u_char *call, size_t type_len,
    size_t body_len)
{
    ngx_str_t  s;

    s.data = call;
    s.len = type_len + body_len;

    ngx_http_tgbot_dedup_area_make_room(area, s.len);

    rec->type_len = (uint16_t) type_len;
    rec->body_len = (uint16_t) body_len;

    rec->block = ngx_http_tgbot_chain_take(&area->chain);
    ngx_http_tgbot_chain_write(&area->chain, rec->block, 0, &s);

    ngx_http_tgbot_dedup_area_unlink(area, rec);

    rec->time = ngx_http_tgbot_zone_msec(area->zone);

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: call copied");

    rec->state = NGX_HTTP_TGBOT_DEDUP_DONE;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: call kept");

    ngx_http_tgbot_dedup_area_link(area, rec);
}


/*
 * Evicts the oldest rides until "size" bytes fit.  This ends, as an area has
 * blocks for several rides of the largest size.
 */

static void
ngx_http_tgbot_dedup_area_make_room(ngx_http_tgbot_dedup_area_t *area,
    size_t size)
{
    ngx_http_tgbot_dedup_area_sh_t  *sh;

    sh = area->sh;

    while (ngx_http_tgbot_chain_room(&sh->chain)
           < ngx_http_tgbot_chain_needs(size))
    {
        sh->rides_evicted++;
        (void) ngx_atomic_fetch_add(&area->zone->sh->evicted, 1);

        ngx_http_tgbot_dedup_area_free(area,
            ngx_http_tgbot_dedup_area_oldest(area, NGX_HTTP_TGBOT_DEDUP_DONE));
    }
}


void
ngx_http_tgbot_dedup_area_copy(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec, u_char *buf)
{
    ngx_http_tgbot_chain_read(&area->chain, rec->block, 0, buf,
                              (size_t) rec->type_len + rec->body_len);
}


ngx_uint_t
ngx_http_tgbot_dedup_area_expired(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec)
{
    return (ngx_msec_int_t) (ngx_http_tgbot_zone_msec(area->zone) - rec->time)
           >= NGX_HTTP_TGBOT_DEDUP_RIDE_TIME;
}


ngx_uint_t
ngx_http_tgbot_dedup_area_reap(ngx_http_tgbot_dedup_area_t *area)
{
    uint32_t                        n;
    ngx_uint_t                      alive, leased;
    ngx_http_tgbot_lease_t          last;
    ngx_http_tgbot_dedup_record_t  *rec;

    alive = 0;
    leased = 0;

    ngx_memzero(&last, sizeof(ngx_http_tgbot_lease_t));

    n = area->sh->list[NGX_HTTP_TGBOT_DEDUP_HELD].first;

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        rec = &area->records[n];
        n = rec->link.next;

        /* lease_alive() may call kill(): ask once for equal leases in a row */

        if (rec->lease.slot != last.slot || rec->lease.epoch != last.epoch) {
            last = rec->lease;
            alive = ngx_http_tgbot_lease_alive(&last);
        }

        if (alive) {
            leased++;

        } else {

            /* the worker died in work: limits had let the Update pass */

            rec->charged = 1;

            ngx_http_tgbot_dedup_area_idle(area, rec);
        }
    }

    return leased;
}


uint16_t *
ngx_http_tgbot_dedup_area_head(ngx_http_tgbot_dedup_area_t *area,
    int64_t update_id)
{
    uint64_t  hash;

    hash = (uint64_t) update_id * 0x9e3779b97f4a7c15ULL;

    return &area->heads[(hash >> 32) % NGX_HTTP_TGBOT_DEDUP_HEADS];
}


static void
ngx_http_tgbot_dedup_area_link(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec)
{
    ngx_http_tgbot_list_append(&area->links, &area->sh->list[rec->state],
                               ngx_http_tgbot_dedup_area_number(area, rec));
}


static void
ngx_http_tgbot_dedup_area_unlink(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec)
{
    ngx_http_tgbot_list_remove(&area->links, &area->sh->list[rec->state],
                               ngx_http_tgbot_dedup_area_number(area, rec));
}


static void
ngx_http_tgbot_dedup_area_unhash(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec)
{
    uint16_t  *p, n;

    n = ngx_http_tgbot_dedup_area_number(area, rec);
    p = ngx_http_tgbot_dedup_area_head(area, rec->update_id);

    while (*p != n) {
        p = &area->records[*p].hash;
    }

    *p = rec->hash;
}


static ngx_http_tgbot_dedup_record_t *
ngx_http_tgbot_dedup_area_oldest(ngx_http_tgbot_dedup_area_t *area,
    ngx_uint_t state)
{
    uint32_t  n;

    n = area->sh->list[state].first;

    return (n == NGX_HTTP_TGBOT_LIST_NIL) ? NULL : &area->records[n];
}


/*
 * Frees up to four rides whose time is over.  It is called for each record that
 * is added, so rides are freed faster than they are kept.
 */

static void
ngx_http_tgbot_dedup_area_expire(ngx_http_tgbot_dedup_area_t *area)
{
    ngx_uint_t                      i;
    ngx_http_tgbot_dedup_record_t  *rec;

    for (i = 0; i < 4; i++) {
        rec = ngx_http_tgbot_dedup_area_oldest(area, NGX_HTTP_TGBOT_DEDUP_DONE);

        if (rec == NULL || !ngx_http_tgbot_dedup_area_expired(area, rec)) {
            return;
        }

        ngx_http_tgbot_dedup_area_free(area, rec);
    }
}


static void
ngx_http_tgbot_dedup_area_evict(ngx_http_tgbot_dedup_area_t *area)
{
    ngx_http_tgbot_list_t          *list;
    ngx_http_tgbot_dedup_record_t  *rec, *done;

    list = area->sh->list;

    if (list[NGX_HTTP_TGBOT_DEDUP_IDLE].n == 0
        && list[NGX_HTTP_TGBOT_DEDUP_DONE].n == 0)
    {
        ngx_http_tgbot_dedup_area_recheck(area);
    }

    rec = ngx_http_tgbot_dedup_area_oldest(area, NGX_HTTP_TGBOT_DEDUP_IDLE);
    done = ngx_http_tgbot_dedup_area_oldest(area, NGX_HTTP_TGBOT_DEDUP_DONE);

    if (done && (rec == NULL
                 || (ngx_msec_int_t) (done->time - rec->time) < 0))
    {
        rec = done;
        area->sh->rides_evicted++;
    }

    if (rec == NULL) {
        return;
    }

    (void) ngx_atomic_fetch_add(&area->zone->sh->evicted, 1);

    ngx_http_tgbot_dedup_area_free(area, rec);
}


static void
ngx_http_tgbot_dedup_area_recheck(ngx_http_tgbot_dedup_area_t *area)
{
    ngx_http_tgbot_dedup_area_sh_t  *sh;

    sh = area->sh;

    if (sh->alive
        && ngx_current_msec - sh->alive < NGX_HTTP_TGBOT_DEDUP_RECHECK)
    {
        return;
    }

    (void) ngx_http_tgbot_dedup_area_reap(area);

    sh->alive = ngx_current_msec;
}


void
ngx_http_tgbot_dedup_repair(ngx_http_tgbot_dedup_area_t *area)
{
    uint16_t                       *head;
    uint32_t                        n, next;
    ngx_uint_t                      i;
    ngx_http_tgbot_dedup_record_t  *rec;

    ngx_http_tgbot_chain_wipe(&area->chain, NGX_HTTP_TGBOT_CHAIN_FREE);

    for (i = 0; i < NGX_HTTP_TGBOT_DEDUP_RECORDS; i++) {
        ngx_http_tgbot_dedup_repair_record(area, &area->records[i]);
    }

    ngx_http_tgbot_zone_stop("dedup: records repaired");

    ngx_http_tgbot_chain_link(&area->chain);

    ngx_memset(area->heads, 0xff,
               NGX_HTTP_TGBOT_DEDUP_HEADS * sizeof(uint16_t));

    for (i = 0; i < NGX_HTTP_TGBOT_DEDUP_STATES; i++) {
        ngx_http_tgbot_list_init(&area->sh->list[i]);
    }

    ngx_http_tgbot_zone_stop("dedup: lists emptied");

    for (n = ngx_http_tgbot_dedup_repair_sort(area);
         n != NGX_HTTP_TGBOT_LIST_NIL;
         n = next)
    {
        rec = &area->records[n];
        next = rec->link.next;

        ngx_http_tgbot_dedup_area_link(area, rec);

        if (rec->state == NGX_HTTP_TGBOT_DEDUP_FREE) {
            continue;
        }

        head = ngx_http_tgbot_dedup_area_head(area, rec->update_id);

        rec->hash = *head;
        *head = (uint16_t) n;
    }

    area->sh->alive = 0;
}


/* makes the record agree with its bit in the ring and with its blocks */

static void
ngx_http_tgbot_dedup_repair_record(ngx_http_tgbot_dedup_area_t *area,
    ngx_http_tgbot_dedup_record_t *rec)
{
    uint64_t  length;

    if (rec->state != NGX_HTTP_TGBOT_DEDUP_DONE) {

        rec->block = NGX_HTTP_TGBOT_LIST_NIL;

        /* an accepted record without a ride was about to be freed */

        if (rec->state >= NGX_HTTP_TGBOT_DEDUP_STATES
            || (rec->state != NGX_HTTP_TGBOT_DEDUP_FREE
                && ngx_http_tgbot_dedup_ring_test(&area->rings,
                                                  rec->update_id)))
        {
            rec->state = NGX_HTTP_TGBOT_DEDUP_FREE;
        }

        return;
    }

    ngx_http_tgbot_dedup_ring_set(&area->rings, rec->update_id);

    length = ngx_http_tgbot_chain_needs((size_t) rec->type_len
                                        + rec->body_len);

    if (!ngx_http_tgbot_chain_claim(&area->chain, rec->block, length)) {
        rec->state = NGX_HTTP_TGBOT_DEDUP_FREE;
        rec->block = NGX_HTTP_TGBOT_LIST_NIL;
    }
}


/* sorts all records by time; they are linked by "next" only */

static uint32_t
ngx_http_tgbot_dedup_repair_sort(ngx_http_tgbot_dedup_area_t *area)
{
    uint32_t               i;
    ngx_http_tgbot_sort_t  sort;

    sort.links = &area->links;
    sort.before = ngx_http_tgbot_dedup_repair_before;
    sort.data = area->records;

    ngx_http_tgbot_sort_init(&sort);

    for (i = 0; i < NGX_HTTP_TGBOT_DEDUP_RECORDS; i++) {
        ngx_http_tgbot_sort_add(&sort, i);
    }

    return ngx_http_tgbot_sort_end(&sort);
}


static ngx_uint_t
ngx_http_tgbot_dedup_repair_before(void *data, uint32_t a, uint32_t b)
{
    ngx_http_tgbot_dedup_record_t  *records;

    records = data;

    return (ngx_msec_int_t) (records[b].time - records[a].time) >= 0;
}
