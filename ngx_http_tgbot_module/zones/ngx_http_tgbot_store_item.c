
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_store_item.h"
#include "ngx_http_tgbot_zone.h"


static uint64_t ngx_http_tgbot_store_item_total(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_store_item_t *item);
static void ngx_http_tgbot_store_item_unlink(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item);
static void *ngx_http_tgbot_store_item_walk(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_cursor_t *cursor);


uint64_t
ngx_http_tgbot_store_needs(size_t header, ngx_http_tgbot_item_t *item)
{
    uint64_t  n;

    n = ngx_http_tgbot_chain_needs(header + item->data.len);

    if (item->answered) {
        n += ngx_http_tgbot_store_item_answer(item->answer.len);
    }

    return n;
}


void *
ngx_http_tgbot_store_add(ngx_http_tgbot_store_t *store, ngx_uint_t entry,
    ngx_http_tgbot_item_t *item)
{
    size_t                         header;
    uint32_t                       n;
    ngx_http_tgbot_store_item_t   *it;
    ngx_http_tgbot_store_entry_t  *bot;

    header = store->sh->header;

    if (ngx_http_tgbot_store_needs(header, item)
        > ngx_http_tgbot_store_room(store))
    {
        return NULL;
    }

    n = ngx_http_tgbot_chain_take(&store->chain);
    ngx_http_tgbot_chain_write(&store->chain, n, header, &item->data);

    it = ngx_http_tgbot_store_item(store, n);
    bot = &store->entries[entry];

    ngx_memzero(it, header);

    it->seq = ++store->sh->seq;
    it->entry = (uint32_t) entry;
    it->len = (uint32_t) item->data.len;

    it->head = item->head;
    ngx_memcpy(it->head.bot, bot->name, NGX_HTTP_TGBOT_ITEM_NAME);
    it->head.bot_len = bot->len;
    it->head.bot_id = bot->bot_id;

    it->progress[0] = item->progress;
    it->answer = NGX_HTTP_TGBOT_LIST_NIL;

    if (item->answered) {
        it->answer_len = (uint32_t) item->answer.len;
        it->answer = ngx_http_tgbot_chain_take(&store->chain);
        ngx_http_tgbot_chain_write(&store->chain, it->answer, 0,
                                   &item->answer);
    }

    return it;
}


void
ngx_http_tgbot_store_publish(ngx_http_tgbot_store_t *store, void *item)
{
    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: item written");

    store->chain.blocks[ngx_http_tgbot_store_number(store, item)].mark =
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

    store->chain.blocks[n].mark = NGX_HTTP_TGBOT_CHAIN_FREE;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: item retired");

    ngx_http_tgbot_store_item_unlink(store, it);

    ngx_http_tgbot_zone_stop("store: item unlinked");

    ngx_http_tgbot_chain_free(&store->chain, it->answer);
    ngx_http_tgbot_chain_free(&store->chain, n);
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

    n = ngx_http_tgbot_chain_take(&store->chain);
    ngx_http_tgbot_chain_write(&store->chain, n, 0, answer);

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
ngx_http_tgbot_store_note(ngx_http_tgbot_store_t *store, void *item,
    ngx_http_tgbot_progress_t *progress)
{
    uint32_t                      other;
    ngx_http_tgbot_store_item_t  *it;

    it = item;
    other = !it->current;

    it->progress[other] = *progress;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: progress written");

    it->current = other;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: progress noted");
}


void
ngx_http_tgbot_store_tell(ngx_http_tgbot_store_t *store, void *item,
    ngx_http_tgbot_item_t *told)
{
    ngx_http_tgbot_store_item_t  *it;

    it = item;

    ngx_memzero(told, sizeof(ngx_http_tgbot_item_t));

    told->head = it->head;
    told->progress = it->progress[it->current];
    told->data.len = it->len;

    /* the id may not have been known when the item came */

    told->head.bot_id = store->entries[it->entry].bot_id;

    if (it->answer != NGX_HTTP_TGBOT_LIST_NIL) {
        told->answered = 1;
        told->answer.len = it->answer_len;
    }
}


void
ngx_http_tgbot_store_copy(ngx_http_tgbot_store_t *store, void *item,
    u_char *data, u_char *answer)
{
    ngx_http_tgbot_store_item_t  *it;

    it = item;

    if (data) {
        ngx_http_tgbot_chain_read(&store->chain,
                                  ngx_http_tgbot_store_number(store, item),
                                  store->sh->header, data, it->len);
    }

    if (answer && it->answer != NGX_HTTP_TGBOT_LIST_NIL) {
        ngx_http_tgbot_chain_read(&store->chain, it->answer, 0, answer,
                                  it->answer_len);
    }
}


void *
ngx_http_tgbot_store_find(ngx_http_tgbot_store_t *store, uint32_t block,
    uint64_t seq)
{
    ngx_http_tgbot_store_item_t  *item;

    if (block >= store->sh->chain.used
        || store->chain.blocks[block].mark != NGX_HTTP_TGBOT_STORE_HEAD)
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
    n = it ? it->link.next : store->entries[entry].items.first;

    if (n == NGX_HTTP_TGBOT_LIST_NIL) {
        return NULL;
    }

    return ngx_http_tgbot_store_item(store, n);
}


ngx_int_t
ngx_http_tgbot_store_walk(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout,
    ngx_http_tgbot_store_cursor_t *cursor, void *told, ngx_pool_t *pool)
{
    ngx_uint_t                      copied;
    ngx_http_tgbot_item_t          *item;
    ngx_http_tgbot_store_t          store;
    ngx_http_tgbot_store_item_t    *it;
    ngx_http_tgbot_store_cursor_t   at;

    item = told;

    do {
        at = *cursor;

        layout->lock(zone, &store);

        it = ngx_http_tgbot_store_item_walk(&store, &at);

        if (it) {
            layout->tell(&store, it, told);
        }

        ngx_http_tgbot_zone_unlock(zone);

        if (it == NULL) {
            return NGX_DONE;
        }

        /* not with the zone locked */

        item->data.data = ngx_pnalloc(pool, ngx_max(item->data.len
                                                    + item->answer.len, 1));
        if (item->data.data == NULL) {
            return NGX_ERROR;
        }

        item->answer.data = item->data.data + item->data.len;

        layout->lock(zone, &store);

        it = ngx_http_tgbot_store_find(&store, at.block, at.seq);

        copied = it && item->answered
                       == (it->answer != NGX_HTTP_TGBOT_LIST_NIL);

        if (copied) {
            ngx_http_tgbot_store_copy(&store, it, item->data.data,
                                      item->answer.data);
        }

        ngx_http_tgbot_zone_unlock(zone);

    } while (!copied);

    *cursor = at;

    return NGX_OK;
}


static void *
ngx_http_tgbot_store_item_walk(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_cursor_t *cursor)
{
    uint32_t                      i;
    ngx_http_tgbot_store_item_t  *item;

    for (i = cursor->entry; i < store->sh->bots; i++) {

        if (store->entries[i].serial == 0) {
            continue;
        }

        item = NULL;

        if (i == cursor->entry && cursor->seq) {
            item = ngx_http_tgbot_store_find(store, cursor->block,
                                             cursor->seq);
        }

        do {
            item = ngx_http_tgbot_store_next(store, i, item);

        } while (item && i == cursor->entry && item->seq <= cursor->seq);

        if (item) {
            cursor->entry = i;
            cursor->seq = item->seq;
            cursor->block = ngx_http_tgbot_store_number(store, item);

            return item;
        }
    }

    return NULL;
}


/* an empty one is not none: it takes a block */

uint64_t
ngx_http_tgbot_store_item_answer(size_t len)
{
    return ngx_http_tgbot_chain_needs(ngx_max(len, 1));
}


static uint64_t
ngx_http_tgbot_store_item_total(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    uint64_t  n;

    n = ngx_http_tgbot_chain_needs((uint64_t) store->sh->header + item->len);

    if (item->answer != NGX_HTTP_TGBOT_LIST_NIL) {
        n += ngx_http_tgbot_store_item_answer(item->answer_len);
    }

    return n;
}


void
ngx_http_tgbot_store_item_link(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    ngx_http_tgbot_store_entry_t  *entry;

    entry = &store->entries[item->entry];

    ngx_http_tgbot_list_append(&store->links, &entry->items,
                               ngx_http_tgbot_store_number(store, item));

    entry->blocks += (uint32_t) ngx_http_tgbot_store_item_total(store, item);
    store->sh->items++;
}


static void
ngx_http_tgbot_store_item_unlink(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    ngx_http_tgbot_store_entry_t  *entry;

    entry = &store->entries[item->entry];

    ngx_http_tgbot_list_remove(&store->links, &entry->items,
                               ngx_http_tgbot_store_number(store, item));

    entry->blocks -= (uint32_t) ngx_http_tgbot_store_item_total(store, item);
    store->sh->items--;
}
