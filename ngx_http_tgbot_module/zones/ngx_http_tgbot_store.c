
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/* entries of bots: so many, and one more for so many bytes as the kind says */
#define NGX_HTTP_TGBOT_STORE_ENTRIES      16
#define NGX_HTTP_TGBOT_STORE_ENTRIES_MAX  65536

#define NGX_HTTP_TGBOT_STORE_BLOCKS_MAX   0x7fffffff

#define ngx_http_tgbot_store_aligned(size)                                    \
    ngx_align(size, NGX_CPU_CACHE_LINE)


static ngx_int_t ngx_http_tgbot_store_users(ngx_http_tgbot_store_t *store,
    const ngx_http_tgbot_store_layout_t *layout);
static ngx_http_tgbot_store_entry_t *ngx_http_tgbot_store_known(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_store_user_t *user);
static ngx_http_tgbot_store_entry_t *ngx_http_tgbot_store_spare(
    ngx_http_tgbot_store_t *store, uint32_t next);
static void ngx_http_tgbot_store_make(ngx_http_tgbot_store_t *store,
    const ngx_http_tgbot_store_layout_t *layout,
    ngx_http_tgbot_store_entry_t *entry, ngx_http_tgbot_store_user_t *user);
static void ngx_http_tgbot_store_bind(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_entry_t *entry, ngx_http_tgbot_store_user_t *user);
static uint32_t ngx_http_tgbot_store_generation(
    ngx_http_tgbot_store_t *store);


void
ngx_http_tgbot_store_open(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_zone_t *zone)
{
    u_char  *p;

    p = ngx_http_tgbot_zone_data(zone->sh);

    store->zone = zone;
    store->sh = (ngx_http_tgbot_store_sh_t *) p;

    store->entries = (ngx_http_tgbot_store_entry_t *)
        (p + ngx_http_tgbot_store_aligned(sizeof(ngx_http_tgbot_store_sh_t)));

    store->own = p + store->sh->own;
    store->tables = p + store->sh->tables;
    store->chain.sh = &store->sh->chain;
    store->chain.blocks = (ngx_http_tgbot_block_t *) (p + store->sh->blocks);

    store->links.first = store->chain.blocks[0].data
                         + offsetof(ngx_http_tgbot_store_item_t, link);
    store->links.size = sizeof(ngx_http_tgbot_block_t);
}


ngx_int_t
ngx_http_tgbot_store_carve(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout)
{
    size_t                      room, left, own, n, entries;
    u_char                     *p;
    ngx_http_tgbot_store_sh_t  *sh;

    room = ngx_http_tgbot_zone_room(zone->sh);

    if (room < NGX_HTTP_TGBOT_STORE_MIN) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" has room for %uz bytes, expected %uz or "
                      "more", &zone->shm_zone->shm.name, room,
                      (size_t) NGX_HTTP_TGBOT_STORE_MIN);
        return NGX_ERROR;
    }

    entries = NGX_HTTP_TGBOT_STORE_ENTRIES + room / layout->entry;
    entries = ngx_min(entries, NGX_HTTP_TGBOT_STORE_ENTRIES_MAX);

    own = ngx_align(layout->own, sizeof(uint64_t));

    p = ngx_http_tgbot_zone_data(zone->sh);
    sh = (ngx_http_tgbot_store_sh_t *) p;

    ngx_memzero(sh, sizeof(ngx_http_tgbot_store_sh_t));

    sh->own = ngx_http_tgbot_store_aligned(sizeof(ngx_http_tgbot_store_sh_t))
              + ngx_http_tgbot_store_aligned(
                            entries * sizeof(ngx_http_tgbot_store_entry_t));
    sh->tables = sh->own + ngx_http_tgbot_store_aligned(entries * own);

    left = room - sh->tables - layout->fixed - NGX_CPU_CACHE_LINE;

    n = left / (sizeof(ngx_http_tgbot_block_t) + layout->block);
    n = ngx_min(n, NGX_HTTP_TGBOT_STORE_BLOCKS_MAX);

    sh->blocks = sh->tables
                 + ngx_http_tgbot_store_aligned(layout->fixed
                                                + n * layout->block);
    sh->nentries = (uint32_t) entries;
    sh->own_size = (uint32_t) own;
    sh->header = (uint32_t) layout->header;

    sh->chain.total = (uint32_t) n;
    ngx_http_tgbot_chain_empty(&sh->chain);

    ngx_memzero(p + ngx_http_tgbot_store_aligned(
                                         sizeof(ngx_http_tgbot_store_sh_t)),
                entries * sizeof(ngx_http_tgbot_store_entry_t));

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_store_init(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout)
{
    ngx_int_t               rc;
    ngx_http_tgbot_store_t  store;

    layout->lock(zone, &store);

    rc = ngx_http_tgbot_store_users(&store, layout);

    ngx_http_tgbot_zone_unlock(zone);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" has room for %uD bots, which the %ui that "
                      "use it and those that left something in it exceed, "
                      "expected %uzk more for each and no more than %ui bots "
                      "in a zone", &zone->shm_zone->shm.name,
                      store.sh->nentries, zone->users.nelts,
                      layout->entry / 1024,
                      (ngx_uint_t) NGX_HTTP_TGBOT_STORE_ENTRIES_MAX);
    }

    return rc;
}


static ngx_int_t
ngx_http_tgbot_store_users(ngx_http_tgbot_store_t *store,
    const ngx_http_tgbot_store_layout_t *layout)
{
    uint32_t                        next;
    ngx_uint_t                      i, n;
    ngx_http_tgbot_store_user_t   **user;
    ngx_http_tgbot_store_entry_t   *entry;

    next = ngx_http_tgbot_store_generation(store) + 1;

    for (i = 0; i < store->sh->bots; i++) {
        store->entries[i].named[next & 1] = 0;
    }

    user = store->zone->users.elts;
    n = store->zone->users.nelts;

    /* whoever is known, before anybody is made in the place of another */

    for (i = 0; i < n; i++) {
        user[i]->serial = 0;

        entry = ngx_http_tgbot_store_known(store, user[i]);

        if (entry) {
            entry->named[next & 1] = next;
            ngx_http_tgbot_store_bind(store, entry, user[i]);
        }
    }

    ngx_http_tgbot_zone_stop("store: known bots named");

    for (i = 0; i < n; i++) {

        if (user[i]->serial) {
            continue;
        }

        entry = ngx_http_tgbot_store_spare(store, next);

        if (entry == NULL) {
            return NGX_ERROR;
        }

        ngx_http_tgbot_store_make(store, layout, entry, user[i]);

        entry->named[next & 1] = next;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_store_enter(void *user,
    const ngx_http_tgbot_store_layout_t *layout)
{
    ngx_http_tgbot_store_t         store;
    ngx_http_tgbot_store_user_t   *u;
    ngx_http_tgbot_store_entry_t  *entry;

    u = user;

    layout->lock(u->zone, &store);

    entry = ngx_http_tgbot_store_known(&store, u);

    if (entry) {
        ngx_http_tgbot_store_bind(&store, entry, u);

    } else {

        /* nor that of a bot whom the configuration in the making names */

        entry = ngx_http_tgbot_store_spare(&store,
                               ngx_http_tgbot_store_generation(&store) + 1);

        if (entry && ngx_http_tgbot_store_named(&store, entry)) {
            entry = NULL;
        }

        if (entry) {
            ngx_http_tgbot_store_make(&store, layout, entry, u);
        }
    }

    ngx_http_tgbot_zone_unlock(u->zone);

    return entry ? NGX_OK : NGX_DECLINED;
}


ngx_http_tgbot_store_entry_t *
ngx_http_tgbot_store_entry(ngx_http_tgbot_store_t *store, void *user)
{
    ngx_http_tgbot_store_user_t   *u;
    ngx_http_tgbot_store_entry_t  *entry;

    u = user;

    if (u->serial == 0 || u->entry >= store->sh->nentries) {
        return NULL;
    }

    entry = &store->entries[u->entry];

    return (entry->serial == u->serial) ? entry : NULL;
}


ngx_uint_t
ngx_http_tgbot_store_named(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_entry_t *entry)
{
    uint32_t  now;

    now = ngx_http_tgbot_store_generation(store);

    return entry->serial && entry->named[now & 1] == now;
}


ngx_uint_t
ngx_http_tgbot_store_orphaned(ngx_http_tgbot_store_t *store)
{
    ngx_uint_t                     i, n;
    ngx_http_tgbot_store_entry_t  *entry;

    n = 0;

    for (i = 0; i < store->sh->bots; i++) {
        entry = &store->entries[i];

        if (entry->items.n && !ngx_http_tgbot_store_named(store, entry)) {
            n += entry->items.n;
        }
    }

    return n;
}


/* by its name and id, or by its name if either id is not known */

static ngx_http_tgbot_store_entry_t *
ngx_http_tgbot_store_known(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_user_t *user)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_store_entry_t  *entry, *named;

    named = NULL;

    for (i = 0; i < store->sh->bots; i++) {
        entry = &store->entries[i];

        if (entry->serial == 0
            || entry->len != user->bot.len
            || ngx_memcmp(entry->name, user->bot.data, entry->len) != 0)
        {
            continue;
        }

        if (entry->bot_id == user->bot_id) {
            return entry;
        }

        if (named == NULL && (entry->bot_id == 0 || user->bot_id == 0)) {
            named = entry;
        }
    }

    return named;
}


/*
 * An entry that is not in use, or else one without items that generation
 * "next" does not name: better one whose bot is gone by now.
 */

static ngx_http_tgbot_store_entry_t *
ngx_http_tgbot_store_spare(ngx_http_tgbot_store_t *store, uint32_t next)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_store_entry_t  *entry, *gone, *going;

    gone = NULL;
    going = NULL;

    for (i = 0; i < store->sh->nentries; i++) {
        entry = &store->entries[i];

        if (entry->serial == 0) {
            return entry;
        }

        if (entry->items.n || entry->named[next & 1] == next) {
            continue;
        }

        if (ngx_http_tgbot_store_named(store, entry)) {
            going = entry;

        } else {
            gone = entry;
        }
    }

    return gone ? gone : going;
}


/* a process that knew what stood here finds another serial */

static void
ngx_http_tgbot_store_make(ngx_http_tgbot_store_t *store,
    const ngx_http_tgbot_store_layout_t *layout,
    ngx_http_tgbot_store_entry_t *entry, ngx_http_tgbot_store_user_t *user)
{
    entry->serial = 0;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: entry not in use");

    ngx_memzero(entry, sizeof(ngx_http_tgbot_store_entry_t));

    entry->len = (uint32_t) ngx_min(user->bot.len, NGX_HTTP_TGBOT_ITEM_NAME);
    ngx_memcpy(entry->name, user->bot.data, entry->len);

    ngx_http_tgbot_list_init(&entry->items);

    layout->clear(ngx_http_tgbot_store_own(store, entry - store->entries));

    store->sh->serial++;

    if (store->sh->serial == 0) {
        store->sh->serial = 1;
    }

    store->sh->bots = ngx_max(store->sh->bots,
                              (uint32_t) (entry - store->entries) + 1);

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: entry made");

    entry->serial = store->sh->serial;

    ngx_http_tgbot_store_bind(store, entry, user);
}


static void
ngx_http_tgbot_store_bind(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_entry_t *entry, ngx_http_tgbot_store_user_t *user)
{
    if (user->bot_id) {
        entry->bot_id = user->bot_id;
    }

    user->entry = entry - store->entries;
    user->serial = entry->serial;
}


/* the configuration whose workers run; never 0, which names nobody */

static uint32_t
ngx_http_tgbot_store_generation(ngx_http_tgbot_store_t *store)
{
    return (uint32_t) store->zone->sh->generation + 1;
}
