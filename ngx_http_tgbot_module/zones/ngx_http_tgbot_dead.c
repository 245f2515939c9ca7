
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/*
 * A zone has one entry for a bot per so many bytes.  This is little, because
 * bots that left the configuration keep entries for their letters, and there
 * must be entries left for new bots.
 */
#define NGX_HTTP_TGBOT_DEAD_ENTRY  4096


/* what this kind of zone keeps with the entry of a bot */

typedef struct {
    uint64_t                       evicted;
} ngx_http_tgbot_dead_own_t;


static ngx_int_t ngx_http_tgbot_dead_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static void ngx_http_tgbot_dead_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);
static void ngx_http_tgbot_dead_end(ngx_http_tgbot_store_t *store,
    void *item);
static ngx_int_t ngx_http_tgbot_dead_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old);
static ngx_int_t ngx_http_tgbot_dead_copy_letter(void *user, void *told);
static void ngx_http_tgbot_dead_clear(void *own);
static ngx_uint_t ngx_http_tgbot_dead_make_room(ngx_http_tgbot_dead_t *dead,
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_store_entry_t *entry,
    uint64_t needs, uint64_t replaces);
static ngx_uint_t ngx_http_tgbot_dead_largest(ngx_http_tgbot_store_t *store);
static void ngx_http_tgbot_dead_evict(ngx_http_tgbot_store_t *store,
    ngx_uint_t n);
static void ngx_http_tgbot_dead_tell(ngx_http_tgbot_store_t *store, void *item,
    void *told);
static uint32_t *ngx_http_tgbot_dead_head(ngx_http_tgbot_store_t *store,
    uint64_t id);
static void ngx_http_tgbot_dead_unindex(ngx_http_tgbot_store_t *store);
static void ngx_http_tgbot_dead_index(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_item_t *item);
static ngx_http_tgbot_dead_item_t *
    ngx_http_tgbot_dead_find( ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_t *dead, uint64_t id);
static ngx_http_tgbot_dead_item_t *ngx_http_tgbot_dead_lookup(
    ngx_http_tgbot_store_t *store, ngx_uint_t entry, uint64_t id);
static void ngx_http_tgbot_dead_retire(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_item_t *item);
static void ngx_http_tgbot_dead_repair(ngx_http_tgbot_store_t *store);
static ngx_int_t ngx_http_tgbot_dead_leased(ngx_http_tgbot_dead_item_t *item);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_dead_zone = {
    18, "dead letters",
    NGX_HTTP_TGBOT_STORE_MIN,
    ngx_http_tgbot_dead_init,
    ngx_http_tgbot_dead_open,
    ngx_http_tgbot_dead_copy,
    NGX_HTTP_TGBOT_ZONE_KEEP
};


const ngx_http_tgbot_store_layout_t  ngx_http_tgbot_dead_layout = {
    "tgbot_dead_letters",
    sizeof(ngx_http_tgbot_dead_item_t),
    sizeof(ngx_http_tgbot_dead_own_t),
    NGX_HTTP_TGBOT_DEAD_ENTRY,
    0,
    sizeof(uint32_t),
    ngx_http_tgbot_dead_clear,
    ngx_http_tgbot_dead_end,
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
ngx_http_tgbot_dead_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    ngx_http_tgbot_store_t  store;

    ngx_http_tgbot_store_reopen(zone, &ngx_http_tgbot_dead_layout, found);

    ngx_http_tgbot_store_open(&store, zone);
    ngx_http_tgbot_dead_repair(&store);
}


static void
ngx_http_tgbot_dead_end(ngx_http_tgbot_store_t *store, void *item)
{
    ngx_http_tgbot_dead_item_t  *it;

    it = item;

    /* the token stays: dead_lease() sees that there was a lease */

    it->lease.epoch = 0;

    it->end.cause = ngx_min(it->end.cause, NGX_HTTP_TGBOT_DEAD_CAUSES - 1);
}


/* the letters keep their ids, which items of a queue may have */

static ngx_int_t
ngx_http_tgbot_dead_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old)
{
    ngx_http_tgbot_dead_t    dead;
    ngx_http_tgbot_letter_t  letter;

    ngx_memzero(&dead, sizeof(ngx_http_tgbot_dead_t));

    dead.zone = zone;
    dead.max = NGX_MAX_INT_T_VALUE;

    return ngx_http_tgbot_store_copy_zone(&dead, old,
                                          &ngx_http_tgbot_dead_layout, &letter,
                                          ngx_http_tgbot_dead_copy_letter);
}


static ngx_int_t
ngx_http_tgbot_dead_copy_letter(void *user, void *told)
{
    ngx_http_tgbot_letter_t *letter = told;

    ngx_uint_t  evicted;

    letter->item.head.letter = 0;

    return (ngx_http_tgbot_dead_put(user, letter, &evicted) == NGX_OK
            && evicted == 0) ? NGX_OK : NGX_ERROR;
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

        /* unreachable: ngx_http_tgbot_dead_make_room() made enough room */

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


/* the entry with most blocks: its bot can spare most */

static ngx_uint_t
ngx_http_tgbot_dead_largest(ngx_http_tgbot_store_t *store)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 1; i < store->sh->bots.used; i++) {
        if (store->entries[i].blocks > store->entries[n].blocks) {
            n = i;
        }
    }

    return n;
}


/* evicts the oldest letter without a live lease, else the oldest letter */

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

    store->bots.zone->sh->evicted++;

    ngx_http_tgbot_dead_retire(store, item);

    ngx_http_tgbot_zone_stop("dead: evicted");
}


/* copies an item but its strings: see ngx_http_tgbot_store_layout_t */

static void
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

        /*
         * start behind the letter "after"; if it is gone, start from the
         * oldest and skip
         */

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

    /* letters never change, but this one may have been deleted meanwhile */

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


void
ngx_http_tgbot_dead_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store)
{
    ngx_http_tgbot_store_open(store, zone);

    if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_dead_repair(store);
    }
}


/*
 * The index by id: a table of hash heads.  A letter is added after it is
 * published, and is removed by ngx_http_tgbot_dead_retire() only.  Ids rise by
 * one, so they need no hash function.
 */

static uint32_t *
ngx_http_tgbot_dead_head(ngx_http_tgbot_store_t *store, uint64_t id)
{
    return (uint32_t *) store->tables + id % store->sh->chain.total;
}


/* makes the index empty */

static void
ngx_http_tgbot_dead_unindex(ngx_http_tgbot_store_t *store)
{
    ngx_memset(store->tables, 0xff,
               (size_t) store->sh->chain.total * sizeof(uint32_t));
}


static void
ngx_http_tgbot_dead_index(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_item_t *item)
{
    uint32_t  *head;

    head = ngx_http_tgbot_dead_head(store, item->store.seq);

    item->chain = *head;

    ngx_http_tgbot_zone_stop("dead: half indexed");

    *head = ngx_http_tgbot_store_number(store, item);
}


/* the letter of a bot by its id, or NULL */

static ngx_http_tgbot_dead_item_t *
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


/* removes a letter from the index and from the store */

static void
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

    for (i = 0; i < store->sh->bots.used; i++) {

        if (store->entries[i].bot.serial == 0) {
            continue;
        }

        for (item = ngx_http_tgbot_store_next(store, i, NULL);
             item;
             item = ngx_http_tgbot_store_next(store, i, item))
        {
            ngx_http_tgbot_dead_index(store, item);

            /* the replaced letter is older, so it is in the index already */

            old = ngx_http_tgbot_dead_lookup(store, i, item->store.head.letter);

            if (old) {
                ngx_http_tgbot_dead_retire(store, old);
            }
        }
    }
}


/* the return codes are those of ngx_http_tgbot_dead_drop() */

static ngx_int_t
ngx_http_tgbot_dead_leased(ngx_http_tgbot_dead_item_t *item)
{
    if (item == NULL) {
        return NGX_DECLINED;
    }

    return ngx_http_tgbot_lease_alive(&item->lease) ? NGX_AGAIN : NGX_OK;
}


ngx_int_t
ngx_http_tgbot_dead_lease(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t *left)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_lease_new(lease);

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    rc = ngx_http_tgbot_dead_leased(item);

    if (rc == NGX_OK) {
        *left = (item->lease.token != 0);

        /*
         * with epoch 0 there is no lease: if this worker dies here, no new
         * slot is taken together with an old epoch
         */

        item->lease.epoch = 0;

        ngx_memory_barrier();

        item->lease.slot = lease->slot;

        ngx_memory_barrier();

        item->lease.epoch = lease->epoch;
        item->lease.token = lease->token;

        ngx_http_tgbot_zone_stop("dead: letter leased");
    }

    ngx_http_tgbot_zone_unlock(dead->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_dead_holds(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    if (item == NULL) {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_http_tgbot_lease_equal(&item->lease, lease) ? NGX_OK
                                                             : NGX_AGAIN;
    }

    ngx_http_tgbot_zone_unlock(dead->zone);

    return rc;
}


void
ngx_http_tgbot_dead_release(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t gone)
{
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    ngx_http_tgbot_zone_stop("dead: replayed");

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    if (item && ngx_http_tgbot_lease_equal(&item->lease, lease)) {

        if (gone) {
            ngx_http_tgbot_dead_retire(&store, item);

        } else {

            /* the token stays: dead_lease() sees that there was a lease */

            item->lease.epoch = 0;
        }
    }

    ngx_http_tgbot_zone_unlock(dead->zone);
}


void
ngx_http_tgbot_dead_taken(ngx_http_tgbot_dead_t *dead, uint64_t id,
    int64_t update_id)
{
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    /*
     * ids start again in a new zone, so another letter may have the id that
     * the item remembers
     */

    if (item && item->store.head.update_id == update_id) {
        ngx_http_tgbot_dead_retire(&store, item);
    }

    ngx_http_tgbot_zone_unlock(dead->zone);
}


ngx_uint_t
ngx_http_tgbot_dead_bots(size_t size)
{
    /* 1/64 is more than what ngx_slab needs for its table of pages */

    return (size - size / 64) / NGX_HTTP_TGBOT_DEAD_ENTRY;
}


uint64_t
ngx_http_tgbot_dead_needs(ngx_http_tgbot_item_t *item)
{
    return ngx_http_tgbot_store_needs(sizeof(ngx_http_tgbot_dead_item_t),
                                      item);
}
