
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast_area.h"
#include "ngx_http_tgbot_broadcast_show.h"


/* ms without a result, after which the rate falls */
#define NGX_HTTP_TGBOT_BROADCAST_SHOW_IDLE  3000


/* the place of a broadcast in a list */

typedef struct {
    uint64_t    id;
    uint32_t    late;     /* behind those that are not */
    uint32_t    down;     /* the largest id first */
} ngx_http_tgbot_broadcast_rank_t;


static int ngx_libc_cdecl ngx_http_tgbot_broadcast_show_cmp(const void *one,
    const void *two);
static void ngx_http_tgbot_broadcast_show_tell(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record,
    ngx_http_tgbot_broadcast_info_t *info);


/* while a list is made */

static ngx_http_tgbot_broadcast_rank_t
    ngx_http_tgbot_broadcast_show_ranks[NGX_HTTP_TGBOT_BROADCAST_RECORDS];


ngx_int_t
ngx_http_tgbot_broadcast_show_get(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_broadcast_info_t *info)
{
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    if (record) {
        ngx_http_tgbot_broadcast_show_tell(&area, record, info);
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return record ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_tgbot_broadcast_show_text(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    u_char *text, size_t len)
{
    size_t                              part;
    uint32_t                            n;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_block_t   *block;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);
    n = record ? record->text : NGX_HTTP_TGBOT_BROADCAST_NIL;

    while (n != NGX_HTTP_TGBOT_BROADCAST_NIL) {
        block = &area.blocks[n];

        part = ngx_min(len, block->n);
        text = ngx_cpymem(text, block->u.text, part);

        len -= part;
        n = block->next;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return (record && len == 0) ? NGX_OK : NGX_DECLINED;
}


ngx_uint_t
ngx_http_tgbot_broadcast_show_list(ngx_http_tgbot_broadcast_t *b,
    uint64_t after, ngx_uint_t first, ngx_http_tgbot_broadcast_info_t *infos,
    ngx_uint_t n)
{
    ngx_uint_t                          i, k, number;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_rank_t    *rank;
    ngx_http_tgbot_broadcast_record_t  *record;

    rank = ngx_http_tgbot_broadcast_show_ranks;
    number = 0;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    for (k = 0; k < area.nrecords; k++) {
        record = &area.records[k];

        if (record->id > after && !record->loading
            && ngx_http_tgbot_broadcast_area_own(record, b))
        {
            rank[number].id = record->id;
            rank[number].late = first
                          && ngx_http_tgbot_broadcast_area_state(record)
                             > NGX_HTTP_TGBOT_BROADCAST_PAUSED;
            rank[number].down = first;
            number++;
        }
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    ngx_qsort(rank, (size_t) number, sizeof(ngx_http_tgbot_broadcast_rank_t),
              ngx_http_tgbot_broadcast_show_cmp);

    for (i = 0, k = 0; i < n && k < number; k++) {

        /* one may be deleted meanwhile */

        if (ngx_http_tgbot_broadcast_show_get(b, rank[k].id, &infos[i])
            == NGX_OK)
        {
            i++;
        }
    }

    return i;
}


static int ngx_libc_cdecl
ngx_http_tgbot_broadcast_show_cmp(const void *one, const void *two)
{
    const ngx_http_tgbot_broadcast_rank_t *first = one;
    const ngx_http_tgbot_broadcast_rank_t *second = two;

    if (first->late != second->late) {
        return (first->late > second->late) ? 1 : -1;
    }

    return ((first->id > second->id) == (first->down == 0)) ? 1 : -1;
}


ngx_int_t
ngx_http_tgbot_broadcast_show_next(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_broadcast_cursor_t *cursor, ngx_uint_t mask,
    ngx_http_tgbot_broadcast_result_t *results, ngx_uint_t n,
    ngx_uint_t *found)
{
    u_char                              meaning[256], byte;
    ngx_int_t                           rc;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_block_t   *block;
    ngx_http_tgbot_broadcast_record_t  *record;

    *found = 0;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    if (record == NULL) {
        rc = NGX_DECLINED;
        goto done;
    }

    if (cursor->block == 0) {
        cursor->block = record->chats + 1;
        cursor->slot = 0;
    }

    /* NIL + 1 is 0: the broadcast has no chats */

    if (cursor->block == 0) {
        rc = NGX_DONE;
        goto done;
    }

    block = &area.blocks[cursor->block - 1];

    ngx_http_tgbot_broadcast_area_meaning(&area, record, meaning);

    while (*found < n && cursor->slot < block->n
           && block->number * NGX_HTTP_TGBOT_BROADCAST_SLOTS + cursor->slot
              < record->total)
    {
        byte = block->u.chats.state[cursor->slot];

        if (mask & (1 << meaning[byte])) {
            results->chat = block->u.chats.id[cursor->slot];
            results->state = meaning[byte];
            results->error = (byte > NGX_HTTP_TGBOT_BROADCAST_BYTE_ERROR)
                             ? byte - NGX_HTTP_TGBOT_BROADCAST_BYTE_ERROR : 0;
            results++;
            (*found)++;
        }

        cursor->slot++;
    }

    rc = NGX_AGAIN;

    if (*found < n) {

        /* a block of chats that are not added yet may be freed */

        if ((block->number + 1) * NGX_HTTP_TGBOT_BROADCAST_SLOTS
            < record->total)
        {
            cursor->block = block->next + 1;
            cursor->slot = 0;

        } else {
            rc = NGX_DONE;
        }
    }

done:

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_broadcast_show_error(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_uint_t number, ngx_http_tgbot_broadcast_error_t *error)
{
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_error_t   *known;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    known = record ? ngx_http_tgbot_broadcast_area_error(&area, record, number)
                   : NULL;

    if (known) {
        *error = *known;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return known ? NGX_OK : NGX_DECLINED;
}


uint64_t
ngx_http_tgbot_broadcast_show_waiting(ngx_http_tgbot_zone_t *zone)
{
    uint64_t                            n;
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    n = 0;

    ngx_http_tgbot_broadcast_area_lock(zone, &area);

    for (i = 0; i < area.nrecords; i++) {
        record = &area.records[i];

        if (record->id && !record->loading) {
            n += record->count[NGX_HTTP_TGBOT_BROADCAST_WAITING]
                 + record->count[NGX_HTTP_TGBOT_BROADCAST_FLIGHT];
        }
    }

    ngx_http_tgbot_zone_unlock(zone);

    return n;
}


void
ngx_http_tgbot_broadcast_show_sums(ngx_http_tgbot_broadcast_t *b,
    uint64_t states[NGX_HTTP_TGBOT_BROADCAST_STATES],
    uint64_t chats[NGX_HTTP_TGBOT_BROADCAST_CHATS])
{
    ngx_uint_t                          i, k;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_memzero(states,
                NGX_HTTP_TGBOT_BROADCAST_STATES * sizeof(uint64_t));
    ngx_memzero(chats, NGX_HTTP_TGBOT_BROADCAST_CHATS * sizeof(uint64_t));

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    for (i = 0; i < area.nrecords; i++) {
        record = &area.records[i];

        if (record->id == 0 || record->loading
            || !ngx_http_tgbot_broadcast_area_own(record, b))
        {
            continue;
        }

        states[ngx_http_tgbot_broadcast_area_state(record)]++;

        for (k = 0; k < NGX_HTTP_TGBOT_BROADCAST_CHATS; k++) {
            chats[k] += record->count[k];
        }
    }

    ngx_http_tgbot_zone_unlock(b->zone);
}


static void
ngx_http_tgbot_broadcast_show_tell(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record,
    ngx_http_tgbot_broadcast_info_t *info)
{
    ngx_uint_t                         i;
    ngx_msec_int_t                     elapsed;
    ngx_http_tgbot_broadcast_error_t  *error;

    info->id = record->id;
    info->state = ngx_http_tgbot_broadcast_area_state(record);
    info->created = record->created;
    info->last = record->last;
    info->rate = record->rate;
    info->total = record->total;
    info->text_len = record->text_len;
    info->loading = ngx_http_tgbot_lease_alive(&record->loader);
    info->method_len = record->method_len;

    ngx_memcpy(info->method, record->method, record->method_len);

    error = ngx_http_tgbot_broadcast_area_error(area, record, record->error);

    if (error) {
        info->error = *error;

    } else {
        info->error.status = 0;
    }

    elapsed = (ngx_msec_int_t) (ngx_http_tgbot_zone_msec(area->zone)
                                - record->since);

    if (elapsed > NGX_HTTP_TGBOT_BROADCAST_SHOW_IDLE) {
        info->rate = (uint64_t) record->results * 1000 * 1000 / elapsed;
    }

    for (i = 0; i < NGX_HTTP_TGBOT_BROADCAST_CHATS; i++) {
        info->chats[i] = record->count[i];
    }
}
