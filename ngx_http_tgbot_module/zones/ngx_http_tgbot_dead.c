
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dead_item.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


static ngx_int_t ngx_http_tgbot_dead_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static void ngx_http_tgbot_dead_clear(void *own);
static ngx_uint_t ngx_http_tgbot_dead_make_room(ngx_http_tgbot_dead_t *dead,
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_store_entry_t *entry,
    uint64_t needs, uint64_t replaces);
static ngx_uint_t ngx_http_tgbot_dead_largest(ngx_http_tgbot_store_t *store);
static void ngx_http_tgbot_dead_evict(ngx_http_tgbot_store_t *store,
    ngx_uint_t n);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_dead_zone = {
    10, "dead letters",
    NGX_HTTP_TGBOT_STORE_MIN,
    ngx_http_tgbot_dead_init
};


const ngx_http_tgbot_store_layout_t  ngx_http_tgbot_dead_layout = {
    sizeof(ngx_http_tgbot_dead_item_t),
    sizeof(ngx_http_tgbot_dead_own_t),
    NGX_HTTP_TGBOT_DEAD_ENTRY,
    0,
    sizeof(uint32_t),
    ngx_http_tgbot_dead_clear,
    ngx_http_tgbot_dead_lock,
    ngx_http_tgbot_dead_tell
};


ngx_str_t  ngx_http_tgbot_dead_causes[] = {
    ngx_string("failed"),
    ngx_string("unsent"),
    ngx_string("expired")
};


static ngx_int_t
ngx_http_tgbot_dead_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_http_tgbot_store_t  store;

    if (fresh) {
        if (ngx_http_tgbot_store_carve(zone, &ngx_http_tgbot_dead_layout)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_http_tgbot_store_open(&store, zone);
        ngx_http_tgbot_dead_unindex(&store);
    }

    return ngx_http_tgbot_store_init(zone, &ngx_http_tgbot_dead_layout);
}


static void
ngx_http_tgbot_dead_clear(void *own)
{
    ngx_memzero(own, sizeof(ngx_http_tgbot_dead_own_t));
}


ngx_int_t
ngx_http_tgbot_dead_put(ngx_http_tgbot_dead_t *dead,
    ngx_http_tgbot_letter_t *letter, ngx_uint_t *evicted)
{
    uint64_t                       needs, replaces;
    ngx_http_tgbot_store_t         store;
    ngx_http_tgbot_dead_item_t    *item, *old;
    ngx_http_tgbot_store_entry_t  *entry;

    *evicted = 0;

    replaces = letter->item.head.letter;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    entry = ngx_http_tgbot_store_entry(&store, dead);
    needs = ngx_http_tgbot_dead_needs(&letter->item);

    if (entry == NULL || needs > store.sh->chain.total) {
        ngx_http_tgbot_zone_unlock(dead->zone);
        return NGX_DECLINED;
    }

    *evicted = ngx_http_tgbot_dead_make_room(dead, &store, entry, needs,
                                             replaces);

    ngx_http_tgbot_zone_stop("dead: room made");

    item = ngx_http_tgbot_store_add(&store, dead->entry, &letter->item);

    if (item == NULL) {

        /* cannot be: all that was in the way is gone */

        ngx_http_tgbot_zone_unlock(dead->zone);
        return NGX_DECLINED;
    }

    item->end = letter->end;

    ngx_http_tgbot_zone_stop("dead: written");

    ngx_http_tgbot_store_publish(&store, item);

    ngx_http_tgbot_dead_index(&store, item);

    letter->id = item->store.seq;

    ngx_http_tgbot_zone_stop("dead: two of one");

    old = ngx_http_tgbot_dead_find(&store, dead, replaces);

    if (old) {
        ngx_http_tgbot_dead_retire(&store, old);
    }

    ngx_http_tgbot_zone_unlock(dead->zone);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tgbot_dead_make_room(ngx_http_tgbot_dead_t *dead,
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_store_entry_t *entry,
    uint64_t needs, uint64_t replaces)
{
    ngx_uint_t  n, max;

    n = 0;

    max = dead->max;
    max += (ngx_http_tgbot_dead_find(store, dead, replaces) != NULL);

    while (entry->items.n && entry->items.n >= max) {
        ngx_http_tgbot_dead_evict(store, dead->entry);
        n++;
    }

    while (store->sh->items && ngx_http_tgbot_store_room(store) < needs) {
        ngx_http_tgbot_dead_evict(store, ngx_http_tgbot_dead_largest(store));
        n++;
    }

    return n;
}


/* who has most of the zone can spare most */

static ngx_uint_t
ngx_http_tgbot_dead_largest(ngx_http_tgbot_store_t *store)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 1; i < store->sh->bots; i++) {
        if (store->entries[i].blocks > store->entries[n].blocks) {
            n = i;
        }
    }

    return n;
}


/* the oldest, but better one that is not being replayed */

static void
ngx_http_tgbot_dead_evict(ngx_http_tgbot_store_t *store, ngx_uint_t n)
{
    ngx_http_tgbot_dead_own_t   *own;
    ngx_http_tgbot_dead_item_t  *item;

    item = ngx_http_tgbot_store_next(store, n, NULL);

    while (item && ngx_http_tgbot_dead_leased(item) == NGX_AGAIN) {
        item = ngx_http_tgbot_store_next(store, n, item);
    }

    if (item == NULL) {
        item = ngx_http_tgbot_store_next(store, n, NULL);
    }

    own = ngx_http_tgbot_store_own(store, n);
    own->evicted++;

    store->zone->sh->evicted++;

    ngx_http_tgbot_dead_retire(store, item);

    ngx_http_tgbot_zone_stop("dead: evicted");
}


void
ngx_http_tgbot_dead_tell(ngx_http_tgbot_store_t *store, void *item,
    void *told)
{
    ngx_http_tgbot_letter_t     *letter;
    ngx_http_tgbot_dead_item_t  *it;

    it = item;
    letter = told;

    ngx_http_tgbot_store_tell(store, it, &letter->item);

    letter->end = it->end;
    letter->id = it->store.seq;
    letter->lease = it->lease;
}


ngx_uint_t
ngx_http_tgbot_dead_list(ngx_http_tgbot_dead_t *dead, uint64_t after,
    ngx_http_tgbot_letter_t *letters, ngx_uint_t n)
{
    ngx_uint_t                   i;
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    i = 0;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    if (ngx_http_tgbot_store_entry(&store, dead)) {

        /* from where the caller was, if that is still there */

        item = ngx_http_tgbot_dead_find(&store, dead, after);
        item = ngx_http_tgbot_store_next(&store, dead->entry, item);

        while (item && i < n) {

            if (item->store.seq > after) {
                ngx_http_tgbot_dead_tell(&store, item, &letters[i++]);
            }

            item = ngx_http_tgbot_store_next(&store, dead->entry, item);
        }
    }

    ngx_http_tgbot_zone_unlock(dead->zone);

    return i;
}


ngx_int_t
ngx_http_tgbot_dead_get(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_letter_t *letter, ngx_pool_t *pool)
{
    ngx_http_tgbot_item_t       *to;
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    if (item) {
        ngx_http_tgbot_dead_tell(&store, item, letter);
    }

    ngx_http_tgbot_zone_unlock(dead->zone);

    if (item == NULL) {
        return NGX_DECLINED;
    }

    to = &letter->item;

    to->data.data = ngx_pnalloc(pool, to->data.len + to->answer.len);
    if (to->data.data == NULL) {
        return NGX_ERROR;
    }

    to->answer.data = to->data.data + to->data.len;

    /* a letter does not change, but it may be gone by now */

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    if (item) {
        ngx_http_tgbot_store_copy(&store, item, to->data.data,
                                  to->answer.data);
    }

    ngx_http_tgbot_zone_unlock(dead->zone);

    return item ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_tgbot_dead_drop(ngx_http_tgbot_dead_t *dead, uint64_t id)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    rc = ngx_http_tgbot_dead_leased(item);

    if (rc == NGX_OK) {
        ngx_http_tgbot_dead_retire(&store, item);
    }

    ngx_http_tgbot_zone_unlock(dead->zone);

    return rc;
}


void
ngx_http_tgbot_dead_state(ngx_http_tgbot_dead_t *dead,
    ngx_http_tgbot_dead_state_t *state)
{
    ngx_http_tgbot_store_t         store;
    ngx_http_tgbot_dead_own_t     *own;
    ngx_http_tgbot_dead_item_t    *item;
    ngx_http_tgbot_store_entry_t  *entry;

    ngx_memzero(state, sizeof(ngx_http_tgbot_dead_state_t));

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    entry = ngx_http_tgbot_store_entry(&store, dead);

    if (entry) {
        own = ngx_http_tgbot_store_own(&store, dead->entry);
        item = ngx_http_tgbot_store_next(&store, dead->entry, NULL);

        state->letters = entry->items.n;
        state->blocks = entry->blocks;
        state->evicted = own->evicted;
        state->oldest = item ? (time_t) item->end.last : 0;
    }

    ngx_http_tgbot_zone_unlock(dead->zone);
}
