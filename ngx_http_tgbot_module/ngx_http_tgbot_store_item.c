
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_store_item.h"
#include "ngx_http_tgbot_zone.h"


static uint64_t ngx_http_tgbot_store_item_total(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_store_item_t *item);
static uint32_t ngx_http_tgbot_store_item_write(
    ngx_http_tgbot_store_t *store, size_t skip, ngx_str_t *s);
static void ngx_http_tgbot_store_item_read(ngx_http_tgbot_store_t *store,
    uint32_t n, size_t skip, u_char *p, size_t len);
static uint32_t ngx_http_tgbot_store_item_take(
    ngx_http_tgbot_store_t *store);
static void ngx_http_tgbot_store_item_free(ngx_http_tgbot_store_t *store,
    uint32_t n);
static void ngx_http_tgbot_store_item_unlink(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item);


uint64_t
ngx_http_tgbot_store_needs(size_t header, ngx_str_t *data, ngx_str_t *answer)
{
    uint64_t  n;

    n = ngx_http_tgbot_store_item_blocks(header, data->len);

    if (answer) {
        n += ngx_http_tgbot_store_item_answer(answer->len);
    }

    return n;
}


void *
ngx_http_tgbot_store_add(ngx_http_tgbot_store_t *store, ngx_uint_t entry,
    ngx_str_t *data, ngx_str_t *answer)
{
    size_t                        header;
    uint32_t                      n;
    ngx_http_tgbot_store_item_t  *item;

    header = store->sh->header;

    if (ngx_http_tgbot_store_needs(header, data, answer)
        > ngx_http_tgbot_store_room(store))
    {
        return NULL;
    }

    n = ngx_http_tgbot_store_item_write(store, header, data);
    item = ngx_http_tgbot_store_item(store, n);

    ngx_memzero(item, header);

    item->seq = ++store->sh->seq;
    item->entry = (uint32_t) entry;
    item->len = (uint32_t) data->len;
    item->answer = NGX_HTTP_TGBOT_STORE_NIL;

    if (answer) {
        item->answer_len = (uint32_t) answer->len;
        item->answer = ngx_http_tgbot_store_item_write(store, 0, answer);
    }

    return item;
}


void
ngx_http_tgbot_store_publish(ngx_http_tgbot_store_t *store, void *item)
{
    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: item written");

    store->blocks[ngx_http_tgbot_store_number(store, item)].mark =
                                                   NGX_HTTP_TGBOT_STORE_HEAD;
    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: item published");

    ngx_http_tgbot_store_item_link(store, item);
}


void
ngx_http_tgbot_store_retire(ngx_http_tgbot_store_t *store, void *item)
{
    uint32_t                      n;
    ngx_http_tgbot_store_item_t  *it;

    it = item;
    n = ngx_http_tgbot_store_number(store, item);

    store->blocks[n].mark = NGX_HTTP_TGBOT_STORE_FREE;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: item retired");

    ngx_http_tgbot_store_item_unlink(store, it);

    ngx_http_tgbot_zone_stop("store: item unlinked");

    ngx_http_tgbot_store_item_free(store, it->answer);
    ngx_http_tgbot_store_item_free(store, n);
}


ngx_int_t
ngx_http_tgbot_store_answer(ngx_http_tgbot_store_t *store, void *item,
    ngx_str_t *answer)
{
    uint32_t                      n;
    uint64_t                      needed;
    ngx_http_tgbot_store_item_t  *it;

    it = item;

    needed = ngx_http_tgbot_store_item_answer(answer->len);

    if (needed > ngx_http_tgbot_store_room(store)) {
        return NGX_AGAIN;
    }

    n = ngx_http_tgbot_store_item_write(store, 0, answer);

    it->answer_len = (uint32_t) answer->len;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: answer written");

    it->answer = n;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: answer published");

    store->entries[it->entry].blocks += (uint32_t) needed;

    return NGX_OK;
}


void
ngx_http_tgbot_store_copy(ngx_http_tgbot_store_t *store, void *item,
    u_char *data, u_char *answer)
{
    ngx_http_tgbot_store_item_t  *it;

    it = item;

    if (data) {
        ngx_http_tgbot_store_item_read(store,
                                   ngx_http_tgbot_store_number(store, item),
                                   store->sh->header, data, it->len);
    }

    if (answer && it->answer != NGX_HTTP_TGBOT_STORE_NIL) {
        ngx_http_tgbot_store_item_read(store, it->answer, 0, answer,
                                       it->answer_len);
    }
}


void *
ngx_http_tgbot_store_find(ngx_http_tgbot_store_t *store, uint32_t block,
    uint64_t seq)
{
    ngx_http_tgbot_store_item_t  *item;

    if (block >= store->sh->used
        || store->blocks[block].mark != NGX_HTTP_TGBOT_STORE_HEAD)
    {
        return NULL;
    }

    item = ngx_http_tgbot_store_item(store, block);

    return (item->seq == seq) ? item : NULL;
}


void *
ngx_http_tgbot_store_next(ngx_http_tgbot_store_t *store, ngx_uint_t entry,
    void *item)
{
    uint32_t                      n;
    ngx_http_tgbot_store_item_t  *it;

    it = item;
    n = it ? it->next : store->entries[entry].first;

    if (n == NGX_HTTP_TGBOT_STORE_NIL) {
        return NULL;
    }

    return ngx_http_tgbot_store_item(store, n);
}


uint64_t
ngx_http_tgbot_store_item_blocks(size_t header, size_t len)
{
    return ((uint64_t) header + len + NGX_HTTP_TGBOT_STORE_DATA - 1)
           / NGX_HTTP_TGBOT_STORE_DATA;
}


/* an empty one is not none: it takes a block */

uint64_t
ngx_http_tgbot_store_item_answer(size_t len)
{
    return ((uint64_t) ngx_max(len, 1) + NGX_HTTP_TGBOT_STORE_DATA - 1)
           / NGX_HTTP_TGBOT_STORE_DATA;
}


static uint64_t
ngx_http_tgbot_store_item_total(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    uint64_t  n;

    n = ngx_http_tgbot_store_item_blocks(store->sh->header, item->len);

    if (item->answer != NGX_HTTP_TGBOT_STORE_NIL) {
        n += ngx_http_tgbot_store_item_answer(item->answer_len);
    }

    return n;
}


void
ngx_http_tgbot_store_item_link(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    uint32_t                       n;
    ngx_http_tgbot_store_item_t   *last;
    ngx_http_tgbot_store_entry_t  *entry;

    n = ngx_http_tgbot_store_number(store, item);
    entry = &store->entries[item->entry];

    item->prev = entry->last;
    item->next = NGX_HTTP_TGBOT_STORE_NIL;

    if (entry->last == NGX_HTTP_TGBOT_STORE_NIL) {
        entry->first = n;

    } else {
        last = ngx_http_tgbot_store_item(store, entry->last);
        last->next = n;
    }

    ngx_http_tgbot_zone_stop("store: item half linked");

    entry->last = n;

    entry->blocks += (uint32_t) ngx_http_tgbot_store_item_total(store, item);
    entry->items++;
    store->sh->items++;
}


static void
ngx_http_tgbot_store_item_unlink(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    ngx_http_tgbot_store_item_t   *other;
    ngx_http_tgbot_store_entry_t  *entry;

    entry = &store->entries[item->entry];

    if (item->prev == NGX_HTTP_TGBOT_STORE_NIL) {
        entry->first = item->next;

    } else {
        other = ngx_http_tgbot_store_item(store, item->prev);
        other->next = item->next;
    }

    ngx_http_tgbot_zone_stop("store: item half unlinked");

    if (item->next == NGX_HTTP_TGBOT_STORE_NIL) {
        entry->last = item->prev;

    } else {
        other = ngx_http_tgbot_store_item(store, item->next);
        other->prev = item->prev;
    }

    entry->blocks -= (uint32_t) ngx_http_tgbot_store_item_total(store, item);
    entry->items--;
    store->sh->items--;
}


/* there is room; the first block has no data in its first "skip" bytes */

static uint32_t
ngx_http_tgbot_store_item_write(ngx_http_tgbot_store_t *store, size_t skip,
    ngx_str_t *s)
{
    size_t                         left, size;
    u_char                        *p;
    uint32_t                       n, first;
    ngx_http_tgbot_store_block_t  *block;

    p = s->data;
    left = s->len;

    first = ngx_http_tgbot_store_item_take(store);
    n = first;

    for ( ;; ) {
        block = &store->blocks[n];

        size = ngx_min(left, NGX_HTTP_TGBOT_STORE_DATA - skip);

        if (size) {
            ngx_memcpy(block->data + skip, p, size);
            p += size;
            left -= size;
        }

        if (left == 0) {
            block->next = NGX_HTTP_TGBOT_STORE_NIL;
            return first;
        }

        n = ngx_http_tgbot_store_item_take(store);
        block->next = n;
        skip = 0;
    }
}


static void
ngx_http_tgbot_store_item_read(ngx_http_tgbot_store_t *store, uint32_t n,
    size_t skip, u_char *p, size_t len)
{
    size_t                         size;
    ngx_http_tgbot_store_block_t  *block;

    while (len) {
        block = &store->blocks[n];

        size = ngx_min(len, NGX_HTTP_TGBOT_STORE_DATA - skip);

        p = ngx_cpymem(p, block->data + skip, size);
        len -= size;

        n = block->next;
        skip = 0;
    }
}


/* a block that never was is told apart from others by "used" alone */

static uint32_t
ngx_http_tgbot_store_item_take(ngx_http_tgbot_store_t *store)
{
    uint32_t                    n;
    ngx_http_tgbot_store_sh_t  *sh;

    sh = store->sh;

    n = sh->free;

    if (n != NGX_HTTP_TGBOT_STORE_NIL) {
        sh->free = store->blocks[n].next;
        sh->nfree--;

    } else {
        n = sh->used;

        store->blocks[n].mark = NGX_HTTP_TGBOT_STORE_FREE;

        ngx_memory_barrier();

        sh->used++;
    }

    ngx_http_tgbot_zone_stop("store: block taken");

    return n;
}


static void
ngx_http_tgbot_store_item_free(ngx_http_tgbot_store_t *store, uint32_t n)
{
    uint32_t                       next;
    ngx_http_tgbot_store_sh_t     *sh;
    ngx_http_tgbot_store_block_t  *block;

    sh = store->sh;

    while (n != NGX_HTTP_TGBOT_STORE_NIL) {
        block = &store->blocks[n];
        next = block->next;

        block->next = sh->free;
        sh->free = n;
        sh->nfree++;

        ngx_http_tgbot_zone_stop("store: block freed");

        n = next;
    }
}
