
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast_ids.h"


static ngx_int_t ngx_http_tgbot_broadcast_ids_table(
    ngx_http_tgbot_broadcast_ids_t *ids, ngx_uint_t bits);
static uint32_t *ngx_http_tgbot_broadcast_ids_find(
    ngx_http_tgbot_broadcast_ids_t *ids, int64_t id);


ngx_int_t
ngx_http_tgbot_broadcast_ids_init(ngx_http_tgbot_broadcast_ids_t *ids,
    ngx_uint_t max, ngx_uint_t n)
{
    ngx_uint_t  bits;

    ngx_memzero(ids, sizeof(ngx_http_tgbot_broadcast_ids_t));

    ids->max = max;

    /* the system gives pages of it as they are written to */

    ids->ids = ngx_alloc((max + 1) * sizeof(int64_t), ngx_cycle->log);
    if (ids->ids == NULL) {
        return NGX_ERROR;
    }

    for (bits = 8; ((ngx_uint_t) 1 << bits) < 2 * n; bits++) { /* void */ }

    return ngx_http_tgbot_broadcast_ids_table(ids, bits);
}


void
ngx_http_tgbot_broadcast_ids_free(ngx_http_tgbot_broadcast_ids_t *ids)
{
    if (ids->ids) {
        ngx_free(ids->ids);
        ids->ids = NULL;
    }

    if (ids->table) {
        ngx_free(ids->table);
        ids->table = NULL;
    }
}


ngx_int_t
ngx_http_tgbot_broadcast_ids_add(ngx_http_tgbot_broadcast_ids_t *ids,
    int64_t id)
{
    uint32_t  *p;

    p = ngx_http_tgbot_broadcast_ids_find(ids, id);

    if (*p) {
        ids->duplicates++;
        return NGX_OK;
    }

    if (ids->n == ids->max) {
        return NGX_BUSY;
    }

    ids->ids[ids->n++] = id;
    *p = (uint32_t) ids->n;

    if (4 * ids->n > (ngx_uint_t) 3 << ids->bits) {
        return ngx_http_tgbot_broadcast_ids_table(ids, ids->bits + 1);
    }

    return NGX_OK;
}


/* the entry stays, so that those behind it are found */

void
ngx_http_tgbot_broadcast_ids_drop(ngx_http_tgbot_broadcast_ids_t *ids,
    int64_t id)
{
    uint32_t  *p;

    p = ngx_http_tgbot_broadcast_ids_find(ids, id);

    if (*p) {
        ids->ids[*p - 1] = 0;
        ids->dropped++;
    }
}


static ngx_int_t
ngx_http_tgbot_broadcast_ids_table(ngx_http_tgbot_broadcast_ids_t *ids,
    ngx_uint_t bits)
{
    ngx_uint_t  i;

    if (ids->table) {
        ngx_free(ids->table);
    }

    ids->bits = bits;

    ids->table = ngx_calloc(sizeof(uint32_t) << bits, ngx_cycle->log);
    if (ids->table == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < ids->n; i++) {
        *ngx_http_tgbot_broadcast_ids_find(ids, ids->ids[i]) = i + 1;
    }

    return NGX_OK;
}


/* the entry of an id, or the free one that it would get */

static uint32_t *
ngx_http_tgbot_broadcast_ids_find(ngx_http_tgbot_broadcast_ids_t *ids,
    int64_t id)
{
    uint64_t    hash;
    ngx_uint_t  i, mask;

    mask = ((ngx_uint_t) 1 << ids->bits) - 1;

    hash = (uint64_t) id * 0x9e3779b97f4a7c15ULL;

    for (i = hash >> (64 - ids->bits);
         ids->table[i] && ids->ids[ids->table[i] - 1] != id;
         i = (i + 1) & mask)
    {
        /* void */
    }

    return &ids->table[i];
}
