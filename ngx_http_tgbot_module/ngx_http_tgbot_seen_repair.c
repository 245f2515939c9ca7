
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_seen.h"
#include "ngx_http_tgbot_seen_area.h"
#include "ngx_http_tgbot_seen_ring.h"
#include "ngx_http_tgbot_zone.h"


/* the records are sorted in lists of 2^0, 2^1 ... all of them */
#define NGX_HTTP_TGBOT_SEEN_BINS  13


static void ngx_http_tgbot_seen_repair_record(
    ngx_http_tgbot_seen_area_t *area, ngx_http_tgbot_seen_record_t *rec,
    u_char *used);
static void ngx_http_tgbot_seen_repair_blocks(
    ngx_http_tgbot_seen_area_t *area, u_char *used);
static uint16_t ngx_http_tgbot_seen_repair_sort(
    ngx_http_tgbot_seen_area_t *area);
static uint16_t ngx_http_tgbot_seen_repair_merge(
    ngx_http_tgbot_seen_area_t *area, uint16_t a, uint16_t b);


void
ngx_http_tgbot_seen_repair(ngx_http_tgbot_seen_area_t *area)
{
    u_char                         used[NGX_HTTP_TGBOT_SEEN_BLOCKS];
    uint16_t                      *head, n, next;
    ngx_uint_t                     i;
    ngx_http_tgbot_seen_list_t    *list;
    ngx_http_tgbot_seen_record_t  *rec;

    ngx_memzero(used, NGX_HTTP_TGBOT_SEEN_BLOCKS);

    for (i = 0; i < NGX_HTTP_TGBOT_SEEN_RECORDS; i++) {
        ngx_http_tgbot_seen_repair_record(area, &area->records[i], used);
    }

    ngx_http_tgbot_zone_stop("seen: records repaired");

    ngx_http_tgbot_seen_repair_blocks(area, used);

    ngx_memset(area->heads, 0xff,
               NGX_HTTP_TGBOT_SEEN_HEADS * sizeof(uint16_t));

    for (i = 0; i < NGX_HTTP_TGBOT_SEEN_STATES; i++) {
        list = &area->sh->list[i];

        list->head = NGX_HTTP_TGBOT_SEEN_NIL;
        list->tail = NGX_HTTP_TGBOT_SEEN_NIL;
        list->n = 0;
    }

    ngx_http_tgbot_zone_stop("seen: lists emptied");

    for (n = ngx_http_tgbot_seen_repair_sort(area);
         n != NGX_HTTP_TGBOT_SEEN_NIL;
         n = next)
    {
        rec = &area->records[n];
        next = rec->next;

        ngx_http_tgbot_seen_area_link(area, rec);

        if (rec->state == NGX_HTTP_TGBOT_SEEN_FREE) {
            continue;
        }

        head = ngx_http_tgbot_seen_area_head(area, rec->update_id);

        rec->hash = *head;
        *head = n;
    }

    area->sh->alive = 0;
}


/* what the record says is taken for true where it can be */

static void
ngx_http_tgbot_seen_repair_record(ngx_http_tgbot_seen_area_t *area,
    ngx_http_tgbot_seen_record_t *rec, u_char *used)
{
    size_t    size, left;
    uint16_t  n;

    if (rec->state != NGX_HTTP_TGBOT_SEEN_DONE) {

        rec->block = NGX_HTTP_TGBOT_SEEN_NIL;

        /* the process was about to free it */

        if (rec->state >= NGX_HTTP_TGBOT_SEEN_STATES
            || (rec->state != NGX_HTTP_TGBOT_SEEN_FREE
                && ngx_http_tgbot_seen_ring_test(&area->rings,
                                                 rec->update_id)))
        {
            rec->state = NGX_HTTP_TGBOT_SEEN_FREE;
        }

        return;
    }

    ngx_http_tgbot_seen_ring_set(&area->rings, rec->update_id);

    size = (size_t) rec->type_len + rec->body_len;
    n = rec->block;

    for (left = size; left; left -= ngx_min(left, size)) {

        size = NGX_HTTP_TGBOT_SEEN_BLOCK_DATA;

        if (n >= NGX_HTTP_TGBOT_SEEN_BLOCKS || used[n]) {
            rec->state = NGX_HTTP_TGBOT_SEEN_FREE;
            rec->block = NGX_HTTP_TGBOT_SEEN_NIL;
            return;
        }

        used[n] = 1;
        n = area->blocks[n].next;
    }
}


static void
ngx_http_tgbot_seen_repair_blocks(ngx_http_tgbot_seen_area_t *area,
    u_char *used)
{
    ngx_uint_t                      i;
    ngx_http_tgbot_seen_area_sh_t  *sh;

    sh = area->sh;

    sh->blocks = NGX_HTTP_TGBOT_SEEN_NIL;
    sh->nblocks = 0;

    for (i = NGX_HTTP_TGBOT_SEEN_BLOCKS; i--; /* void */) {

        if (used[i]) {
            continue;
        }

        area->blocks[i].next = sh->blocks;
        sh->blocks = (uint16_t) i;
        sh->nblocks++;
    }
}


/*
 * All records by time, linked by "next"; bin i holds a sorted list of 2^i of
 * them.  There is no memory to be had here.
 */

static uint16_t
ngx_http_tgbot_seen_repair_sort(ngx_http_tgbot_seen_area_t *area)
{
    uint16_t    bins[NGX_HTTP_TGBOT_SEEN_BINS], n;
    ngx_uint_t  i, k;

    for (k = 0; k < NGX_HTTP_TGBOT_SEEN_BINS; k++) {
        bins[k] = NGX_HTTP_TGBOT_SEEN_NIL;
    }

    for (i = 0; i < NGX_HTTP_TGBOT_SEEN_RECORDS; i++) {
        n = (uint16_t) i;
        area->records[n].next = NGX_HTTP_TGBOT_SEEN_NIL;

        for (k = 0; bins[k] != NGX_HTTP_TGBOT_SEEN_NIL; k++) {
            n = ngx_http_tgbot_seen_repair_merge(area, bins[k], n);
            bins[k] = NGX_HTTP_TGBOT_SEEN_NIL;
        }

        bins[k] = n;
    }

    /* their number is a power of two: all are in the last bin */

    return bins[NGX_HTTP_TGBOT_SEEN_BINS - 1];
}


static uint16_t
ngx_http_tgbot_seen_repair_merge(ngx_http_tgbot_seen_area_t *area, uint16_t a,
    uint16_t b)
{
    uint16_t                      *last, first;
    ngx_http_tgbot_seen_record_t  *records;

    records = area->records;
    last = &first;

    while (a != NGX_HTTP_TGBOT_SEEN_NIL && b != NGX_HTTP_TGBOT_SEEN_NIL) {

        if ((ngx_msec_int_t) (records[b].time - records[a].time) < 0) {
            *last = b;
            last = &records[b].next;
            b = *last;

        } else {
            *last = a;
            last = &records[a].next;
            a = *last;
        }
    }

    *last = (a != NGX_HTTP_TGBOT_SEEN_NIL) ? a : b;

    return first;
}
