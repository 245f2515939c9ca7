
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_seen.h"
#include "ngx_http_tgbot_seen_area.h"
#include "ngx_http_tgbot_seen_ring.h"
#include "ngx_http_tgbot_zone.h"


static void ngx_http_tgbot_seen_repair_record(
    ngx_http_tgbot_seen_area_t *area, ngx_http_tgbot_seen_record_t *rec);
static uint32_t ngx_http_tgbot_seen_repair_sort(
    ngx_http_tgbot_seen_area_t *area);
static ngx_uint_t ngx_http_tgbot_seen_repair_before(void *data, uint32_t a,
    uint32_t b);


void
ngx_http_tgbot_seen_repair(ngx_http_tgbot_seen_area_t *area)
{
    uint16_t                      *head;
    uint32_t                       n, next;
    ngx_uint_t                     i;
    ngx_http_tgbot_seen_record_t  *rec;

    ngx_http_tgbot_chain_wipe(&area->chain, NGX_HTTP_TGBOT_CHAIN_FREE);

    for (i = 0; i < NGX_HTTP_TGBOT_SEEN_RECORDS; i++) {
        ngx_http_tgbot_seen_repair_record(area, &area->records[i]);
    }

    ngx_http_tgbot_zone_stop("seen: records repaired");

    ngx_http_tgbot_chain_link(&area->chain);

    ngx_memset(area->heads, 0xff,
               NGX_HTTP_TGBOT_SEEN_HEADS * sizeof(uint16_t));

    for (i = 0; i < NGX_HTTP_TGBOT_SEEN_STATES; i++) {
        ngx_http_tgbot_list_init(&area->sh->list[i]);
    }

    ngx_http_tgbot_zone_stop("seen: lists emptied");

    for (n = ngx_http_tgbot_seen_repair_sort(area);
         n != NGX_HTTP_TGBOT_LIST_NIL;
         n = next)
    {
        rec = &area->records[n];
        next = rec->link.next;

        ngx_http_tgbot_seen_area_link(area, rec);

        if (rec->state == NGX_HTTP_TGBOT_SEEN_FREE) {
            continue;
        }

        head = ngx_http_tgbot_seen_area_head(area, rec->update_id);

        rec->hash = *head;
        *head = (uint16_t) n;
    }

    area->sh->alive = 0;
}


/* what the record says is taken for true where it can be */

static void
ngx_http_tgbot_seen_repair_record(ngx_http_tgbot_seen_area_t *area,
    ngx_http_tgbot_seen_record_t *rec)
{
    uint64_t  length;

    if (rec->state != NGX_HTTP_TGBOT_SEEN_DONE) {

        rec->block = NGX_HTTP_TGBOT_LIST_NIL;

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

    length = ngx_http_tgbot_chain_needs((size_t) rec->type_len
                                        + rec->body_len);

    if (!ngx_http_tgbot_chain_claim(&area->chain, rec->block, length)) {
        rec->state = NGX_HTTP_TGBOT_SEEN_FREE;
        rec->block = NGX_HTTP_TGBOT_LIST_NIL;
    }
}


/* all records by time, linked by "next" */

static uint32_t
ngx_http_tgbot_seen_repair_sort(ngx_http_tgbot_seen_area_t *area)
{
    uint32_t               i;
    ngx_http_tgbot_sort_t  sort;

    sort.links = &area->links;
    sort.before = ngx_http_tgbot_seen_repair_before;
    sort.data = area->records;

    ngx_http_tgbot_sort_init(&sort);

    for (i = 0; i < NGX_HTTP_TGBOT_SEEN_RECORDS; i++) {
        ngx_http_tgbot_sort_add(&sort, i);
    }

    return ngx_http_tgbot_sort_end(&sort);
}


static ngx_uint_t
ngx_http_tgbot_seen_repair_before(void *data, uint32_t a, uint32_t b)
{
    ngx_http_tgbot_seen_record_t  *records;

    records = data;

    return (ngx_msec_int_t) (records[b].time - records[a].time) >= 0;
}
