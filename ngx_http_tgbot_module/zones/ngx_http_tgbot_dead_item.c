
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dead_item.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


static uint32_t *ngx_http_tgbot_dead_head(ngx_http_tgbot_store_t *store,
    uint64_t id);
static ngx_http_tgbot_dead_item_t *ngx_http_tgbot_dead_lookup(
    ngx_http_tgbot_store_t *store, ngx_uint_t entry, uint64_t id);
static void ngx_http_tgbot_dead_repair(ngx_http_tgbot_store_t *store);


void
ngx_http_tgbot_dead_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store)
{
    ngx_http_tgbot_store_open(store, zone);

    if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_dead_repair(store);
    }
}


/* ids rise by one: they are spread as they are */

static uint32_t *
ngx_http_tgbot_dead_head(ngx_http_tgbot_store_t *store, uint64_t id)
{
    return (uint32_t *) store->tables + id % store->sh->chain.total;
}


void
ngx_http_tgbot_dead_unindex(ngx_http_tgbot_store_t *store)
{
    ngx_memset(store->tables, 0xff,
               (size_t) store->sh->chain.total * sizeof(uint32_t));
}


void
ngx_http_tgbot_dead_index(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_item_t *item)
{
    uint32_t  *head;

    head = ngx_http_tgbot_dead_head(store, item->store.seq);

    item->chain = *head;

    ngx_http_tgbot_zone_stop("dead: half indexed");

    *head = ngx_http_tgbot_store_number(store, item);
}


ngx_http_tgbot_dead_item_t *
ngx_http_tgbot_dead_find(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_t *dead, uint64_t id)
{
    if (ngx_http_tgbot_store_entry(store, dead) == NULL) {
        return NULL;
    }

    return ngx_http_tgbot_dead_lookup(store, dead->entry, id);
}


static ngx_http_tgbot_dead_item_t *
ngx_http_tgbot_dead_lookup(ngx_http_tgbot_store_t *store, ngx_uint_t entry,
    uint64_t id)
{
    uint32_t                     n;
    ngx_http_tgbot_dead_item_t  *item;

    n = *ngx_http_tgbot_dead_head(store, id);

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        item = ngx_http_tgbot_store_item(store, n);

        if (item->store.seq == id) {
            return (item->store.entry == entry) ? item : NULL;
        }

        n = item->chain;
    }

    return NULL;
}


void
ngx_http_tgbot_dead_retire(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_item_t *item)
{
    uint32_t                     n, *chain;
    ngx_http_tgbot_dead_item_t  *other;

    n = ngx_http_tgbot_store_number(store, item);
    chain = ngx_http_tgbot_dead_head(store, item->store.seq);

    while (*chain != n) {
        other = ngx_http_tgbot_store_item(store, *chain);
        chain = &other->chain;
    }

    *chain = item->chain;

    ngx_http_tgbot_zone_stop("dead: not indexed");

    ngx_http_tgbot_store_retire(store, item);
}


static void
ngx_http_tgbot_dead_repair(ngx_http_tgbot_store_t *store)
{
    ngx_uint_t                   i;
    ngx_http_tgbot_dead_item_t  *item, *old;

    ngx_http_tgbot_store_repair(store);

    ngx_http_tgbot_zone_stop("dead: store repaired");

    ngx_http_tgbot_dead_unindex(store);

    for (i = 0; i < store->sh->bots; i++) {

        if (store->entries[i].serial == 0) {
            continue;
        }

        for (item = ngx_http_tgbot_store_next(store, i, NULL);
             item;
             item = ngx_http_tgbot_store_next(store, i, item))
        {
            ngx_http_tgbot_dead_index(store, item);

            /* older ones are in the index by now */

            old = ngx_http_tgbot_dead_lookup(store, i, item->store.head.letter);

            if (old) {
                ngx_http_tgbot_dead_retire(store, old);
            }
        }
    }
}
