
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"


/* blocks of the smallest zone */
#define NGX_HTTP_TGBOT_CACHE_BLOCKS  16


static ngx_int_t ngx_http_tgbot_cache_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static void ngx_http_tgbot_cache_empty(ngx_http_tgbot_cache_sh_t *sh);
static void ngx_http_tgbot_cache_lock(ngx_http_tgbot_cache_area_t *area,
    ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_cache_hit(ngx_http_tgbot_cache_area_t *area,
    uint32_t n, ngx_str_t *value);
static uint32_t ngx_http_tgbot_cache_mine(ngx_http_tgbot_cache_area_t *area,
    ngx_http_tgbot_cache_t *cache);
static ngx_int_t ngx_http_tgbot_cache_keep(ngx_http_tgbot_cache_area_t *area,
    ngx_http_tgbot_cache_t *cache, uint32_t n, ngx_str_t *value);
static void ngx_http_tgbot_cache_settle(ngx_http_tgbot_cache_area_t *area,
    uint32_t n, ngx_uint_t state, ngx_msec_t valid);
static ngx_uint_t ngx_http_tgbot_cache_ended(
    ngx_http_tgbot_cache_entry_t *entry);
static ngx_int_t ngx_http_tgbot_cache_room(ngx_http_tgbot_cache_area_t *area,
    ngx_uint_t n, ngx_atomic_t *evicted);
static uint32_t ngx_http_tgbot_cache_victim(ngx_http_tgbot_cache_area_t *area);
static void ngx_http_tgbot_cache_add(ngx_http_tgbot_cache_area_t *area,
    u_char *key, ngx_http_tgbot_lease_t *lease);
static void ngx_http_tgbot_cache_delete(ngx_http_tgbot_cache_area_t *area,
    uint32_t n);
static void ngx_http_tgbot_cache_remove(ngx_http_tgbot_cache_area_t *area,
    uint32_t n);
static void ngx_http_tgbot_cache_insert(ngx_http_tgbot_cache_area_t *area,
    uint32_t n);
static ngx_http_tgbot_list_t *ngx_http_tgbot_cache_list(
    ngx_http_tgbot_cache_area_t *area, uint32_t n);
static uint32_t *ngx_http_tgbot_cache_head(ngx_http_tgbot_cache_area_t *area,
    u_char *key);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_cache_zone = {
    4, "cache",
    sizeof(ngx_http_tgbot_cache_sh_t) + NGX_CPU_CACHE_LINE
    + NGX_HTTP_TGBOT_CACHE_BLOCKS
      * (NGX_HTTP_TGBOT_CHAIN_BLOCK + NGX_HTTP_TGBOT_CACHE_HEADS),
    ngx_http_tgbot_cache_init,
    NULL,
    NULL,
    NGX_HTTP_TGBOT_ZONE_NO_FILE
};


static u_char  ngx_http_tgbot_cache_buffer[NGX_HTTP_TGBOT_CACHE_SIZE];


static ngx_int_t
ngx_http_tgbot_cache_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    size_t                      n, heads;
    ngx_http_tgbot_cache_sh_t  *sh;

    if (!fresh) {
        return NGX_OK;
    }

    sh = (ngx_http_tgbot_cache_sh_t *) ngx_http_tgbot_zone_data(zone->sh);

    /* up to a cache line is lost to the alignment of the blocks */

    n = (ngx_http_tgbot_zone_room(zone->sh) - sizeof(ngx_http_tgbot_cache_sh_t)
         - NGX_CPU_CACHE_LINE)
        / (NGX_HTTP_TGBOT_CHAIN_BLOCK + NGX_HTTP_TGBOT_CACHE_HEADS);

    n = ngx_min(n, NGX_MAX_INT32_VALUE);

    for (heads = 1; heads < n; heads *= 2) { /* void */ }

    sh->chain.total = n;
    sh->mask = heads - 1;
    sh->offset = ngx_align(sizeof(ngx_http_tgbot_cache_sh_t)
                           + heads * sizeof(uint32_t),
                           NGX_CPU_CACHE_LINE);

    ngx_http_tgbot_cache_empty(sh);

    return NGX_OK;
}


/*
 * Makes the zone empty, also when a worker died inside: lost answers cost
 * less than a repair.  Touches no block, as there may be many.
 */

static void
ngx_http_tgbot_cache_empty(ngx_http_tgbot_cache_sh_t *sh)
{
    ngx_uint_t  i;

    sh->entries = 0;

    ngx_http_tgbot_chain_empty(&sh->chain);

    for (i = 0; i < NGX_HTTP_TGBOT_CACHE_LISTS; i++) {
        ngx_http_tgbot_list_init(&sh->lists[i]);
    }

    for (i = 0; i <= sh->mask; i++) {
        sh->table[i] = NGX_HTTP_TGBOT_LIST_NIL;
    }
}


void
ngx_http_tgbot_cache_open(ngx_http_tgbot_cache_area_t *area,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_cache_sh_t  *sh;

    sh = (ngx_http_tgbot_cache_sh_t *) ngx_http_tgbot_zone_data(zone->sh);

    area->sh = sh;
    area->chain.sh = &sh->chain;
    area->chain.blocks = (ngx_http_tgbot_block_t *)
                             ((u_char *) sh + sh->offset);
    area->links.first = &ngx_http_tgbot_cache_entry(area, 0)->link;
    area->links.size = NGX_HTTP_TGBOT_CHAIN_BLOCK;
}


static void
ngx_http_tgbot_cache_lock(ngx_http_tgbot_cache_area_t *area,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_cache_open(area, zone);

    if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_cache_empty(area->sh);
    }
}


void
ngx_http_tgbot_cache_key(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_zone_t *zone, ngx_str_t *bot, uint64_t bot_id,
    ngx_str_t *key)
{
    ngx_md5_t  md5;

    cache->zone = zone;

    /* names of bots have no NUL, so a NUL tells where the name ends */

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, bot->data, bot->len);
    ngx_md5_update(&md5, "", 1);
    ngx_md5_update(&md5, &bot_id, sizeof(uint64_t));

    if (key->len) {
        ngx_md5_update(&md5, key->data, key->len);
    }

    ngx_md5_final(cache->key, &md5);

    ngx_memzero(&cache->lease, sizeof(ngx_http_tgbot_lease_t));
}


ngx_int_t
ngx_http_tgbot_cache_get(ngx_http_tgbot_cache_t *cache, ngx_uint_t take,
    ngx_str_t *value)
{
    uint32_t                       n;
    ngx_int_t                      rc;
    ngx_http_tgbot_cache_area_t    area;
    ngx_http_tgbot_cache_entry_t  *entry;

    ngx_http_tgbot_cache_lock(&area, cache->zone);

    rc = NGX_DECLINED;
    n = ngx_http_tgbot_cache_find(&area, cache->key);

    if (n != NGX_HTTP_TGBOT_LIST_NIL) {
        entry = ngx_http_tgbot_cache_entry(&area, n);

        if (ngx_http_tgbot_cache_ended(entry)) {
            ngx_http_tgbot_cache_delete(&area, n);

        } else {
            rc = ngx_http_tgbot_cache_hit(&area, n, value);
        }
    }

    if (rc == NGX_DECLINED && take
        && ngx_http_tgbot_cache_room(&area, 1, &cache->zone->sh->evicted)
           == NGX_OK)
    {
        ngx_http_tgbot_lease_new(&cache->lease);
        ngx_http_tgbot_cache_add(&area, cache->key, &cache->lease);
    }

    ngx_http_tgbot_zone_unlock(cache->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_cache_fill(ngx_http_tgbot_cache_t *cache, ngx_str_t *value,
    ngx_msec_t valid)
{
    uint32_t                     n;
    ngx_int_t                    rc;
    ngx_http_tgbot_cache_area_t  area;

    ngx_http_tgbot_cache_lock(&area, cache->zone);

    rc = NGX_DECLINED;
    n = ngx_http_tgbot_cache_mine(&area, cache);

    if (n != NGX_HTTP_TGBOT_LIST_NIL) {

        /* an entry in no list cannot be evicted to make room for itself */

        ngx_http_tgbot_cache_remove(&area, n);

        rc = ngx_http_tgbot_cache_keep(&area, cache, n, value);

        ngx_http_tgbot_cache_settle(&area, n,
                                    (rc == NGX_OK) ? NGX_HTTP_TGBOT_CACHE_READY
                                                   : NGX_HTTP_TGBOT_CACHE_PASS,
                                    valid);
    }

    ngx_http_tgbot_zone_unlock(cache->zone);

    ngx_memzero(&cache->lease, sizeof(ngx_http_tgbot_lease_t));

    return rc;
}


void
ngx_http_tgbot_cache_release(ngx_http_tgbot_cache_t *cache, ngx_msec_t pass)
{
    uint32_t                     n;
    ngx_http_tgbot_cache_area_t  area;

    ngx_http_tgbot_cache_lock(&area, cache->zone);

    n = ngx_http_tgbot_cache_mine(&area, cache);

    if (n != NGX_HTTP_TGBOT_LIST_NIL) {

        if (pass) {
            ngx_http_tgbot_cache_remove(&area, n);
            ngx_http_tgbot_cache_settle(&area, n, NGX_HTTP_TGBOT_CACHE_PASS,
                                        pass);

        } else {
            ngx_http_tgbot_cache_delete(&area, n);
        }
    }

    ngx_http_tgbot_zone_unlock(cache->zone);

    ngx_memzero(&cache->lease, sizeof(ngx_http_tgbot_lease_t));
}


void
ngx_http_tgbot_cache_state(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_cache_state_t *state)
{
    ngx_http_tgbot_cache_area_t  area;

    ngx_http_tgbot_cache_lock(&area, zone);

    state->entries = area.sh->entries;
    state->total = area.sh->chain.total;
    state->used = state->total - ngx_http_tgbot_chain_room(&area.sh->chain);

    ngx_http_tgbot_zone_unlock(zone);
}


static ngx_int_t
ngx_http_tgbot_cache_hit(ngx_http_tgbot_cache_area_t *area, uint32_t n,
    ngx_str_t *value)
{
    ngx_http_tgbot_cache_entry_t  *entry;

    entry = ngx_http_tgbot_cache_entry(area, n);

    if (entry->state == NGX_HTTP_TGBOT_CACHE_FILLING) {
        return NGX_BUSY;
    }

    ngx_http_tgbot_cache_remove(area, n);

    ngx_http_tgbot_zone_stop("cache: hit");

    ngx_http_tgbot_cache_insert(area, n);

    if (entry->state == NGX_HTTP_TGBOT_CACHE_PASS) {
        return NGX_ABORT;
    }

    value->data = ngx_http_tgbot_cache_buffer;
    value->len = entry->length;

    ngx_http_tgbot_chain_read(&area->chain, n,
                              sizeof(ngx_http_tgbot_cache_entry_t),
                              value->data, value->len);

    return NGX_OK;
}


/* the entry, if cache->lease still holds it, or LIST_NIL */

static uint32_t
ngx_http_tgbot_cache_mine(ngx_http_tgbot_cache_area_t *area,
    ngx_http_tgbot_cache_t *cache)
{
    uint32_t                       n;
    ngx_http_tgbot_cache_entry_t  *entry;

    n = ngx_http_tgbot_cache_find(area, cache->key);

    if (n == NGX_HTTP_TGBOT_LIST_NIL) {
        return n;
    }

    entry = ngx_http_tgbot_cache_entry(area, n);

    if (entry->state != NGX_HTTP_TGBOT_CACHE_FILLING
        || !ngx_http_tgbot_lease_equal(&entry->lease, &cache->lease))
    {
        return NGX_HTTP_TGBOT_LIST_NIL;
    }

    return n;
}


/* writes the value of an entry that has none; the entry is in no list */

static ngx_int_t
ngx_http_tgbot_cache_keep(ngx_http_tgbot_cache_area_t *area,
    ngx_http_tgbot_cache_t *cache, uint32_t n, ngx_str_t *value)
{
    ngx_uint_t  blocks;

    if (value->len > NGX_HTTP_TGBOT_CACHE_SIZE) {
        return NGX_DECLINED;
    }

    blocks = ngx_http_tgbot_cache_needs(value->len);

    if (blocks > area->sh->chain.total / 4) {
        return NGX_DECLINED;
    }

    /* the entry has its first block already */

    if (ngx_http_tgbot_cache_room(area, blocks - 1, &cache->zone->sh->evicted)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_cache_entry(area, n)->length = value->len;

    ngx_http_tgbot_chain_write(&area->chain, n,
                               sizeof(ngx_http_tgbot_cache_entry_t), value);

    return NGX_OK;
}


/* ends the lease of an entry that is in no list */

static void
ngx_http_tgbot_cache_settle(ngx_http_tgbot_cache_area_t *area, uint32_t n,
    ngx_uint_t state, ngx_msec_t valid)
{
    ngx_http_tgbot_cache_entry_t  *entry;

    entry = ngx_http_tgbot_cache_entry(area, n);

    entry->state = state;
    entry->since = ngx_current_msec;
    entry->valid = ngx_min(valid, NGX_MAX_INT32_VALUE);

    ngx_memzero(&entry->lease, sizeof(ngx_http_tgbot_lease_t));

    ngx_http_tgbot_zone_stop("cache: settle");

    ngx_http_tgbot_cache_insert(area, n);
}


uint32_t
ngx_http_tgbot_cache_find(ngx_http_tgbot_cache_area_t *area, u_char *key)
{
    uint32_t                       n;
    ngx_http_tgbot_cache_entry_t  *entry;

    n = *ngx_http_tgbot_cache_head(area, key);

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        entry = ngx_http_tgbot_cache_entry(area, n);

        if (ngx_memcmp(entry->key, key, NGX_HTTP_TGBOT_CACHE_KEY) == 0) {
            break;
        }

        n = entry->chain;
    }

    return n;
}


/*
 * Ages are compared, not times, because ngx_current_msec may wrap around.
 * "since" may be later than our time, as it is cached by each worker, but by
 * less than LEASE_LIFE: a worker that hangs longer counts as dead.
 */

static ngx_uint_t
ngx_http_tgbot_cache_ended(ngx_http_tgbot_cache_entry_t *entry)
{
    ngx_msec_t  age;

    if (entry->state == NGX_HTTP_TGBOT_CACHE_FILLING) {
        return !ngx_http_tgbot_lease_alive(&entry->lease);
    }

    age = ngx_current_msec - entry->since + NGX_HTTP_TGBOT_LEASE_LIFE;

    return age >= entry->valid + NGX_HTTP_TGBOT_LEASE_LIFE;
}


/*
 * Makes sure that "n" blocks are free.  Deletes the entries whose process died
 * while filling them, then the least recently used ones and, when nothing else
 * is left, entries being filled.  Adds to *evicted the number of entries that
 * were deleted before their time.
 * NGX_DECLINED: the zone has fewer than "n" blocks.
 */

static ngx_int_t
ngx_http_tgbot_cache_room(ngx_http_tgbot_cache_area_t *area, ngx_uint_t n,
    ngx_atomic_t *evicted)
{
    uint32_t  victim;

    while (ngx_http_tgbot_chain_room(&area->sh->chain) < n) {

        victim = ngx_http_tgbot_cache_victim(area);

        if (victim == NGX_HTTP_TGBOT_LIST_NIL) {
            return NGX_DECLINED;
        }

        if (!ngx_http_tgbot_cache_ended(
                                     ngx_http_tgbot_cache_entry(area, victim)))
        {
            (*evicted)++;
        }

        ngx_http_tgbot_zone_stop("cache: room");

        ngx_http_tgbot_cache_delete(area, victim);
    }

    return NGX_OK;
}


static uint32_t
ngx_http_tgbot_cache_victim(ngx_http_tgbot_cache_area_t *area)
{
    uint32_t  kept, taken;

    kept = area->sh->lists[NGX_HTTP_TGBOT_CACHE_KEPT].last;
    taken = area->sh->lists[NGX_HTTP_TGBOT_CACHE_TAKEN].last;

    if (taken == NGX_HTTP_TGBOT_LIST_NIL) {
        return kept;
    }

    if (kept == NGX_HTTP_TGBOT_LIST_NIL
        || ngx_http_tgbot_cache_ended(ngx_http_tgbot_cache_entry(area, taken)))
    {
        return taken;
    }

    return kept;
}


ngx_uint_t
ngx_http_tgbot_cache_needs(size_t len)
{
    return ngx_http_tgbot_chain_needs(sizeof(ngx_http_tgbot_cache_entry_t)
                                      + len);
}


/* adds an entry to be filled; a block must be free, and the key not in use */

static void
ngx_http_tgbot_cache_add(ngx_http_tgbot_cache_area_t *area, u_char *key,
    ngx_http_tgbot_lease_t *lease)
{
    uint32_t                       n, *head;
    ngx_http_tgbot_cache_entry_t  *entry;

    n = ngx_http_tgbot_chain_take(&area->chain);

    ngx_http_tgbot_zone_stop("cache: add");

    entry = ngx_http_tgbot_cache_entry(area, n);

    entry->state = NGX_HTTP_TGBOT_CACHE_FILLING;
    entry->length = 0;
    entry->lease = *lease;
    entry->since = ngx_current_msec;
    entry->valid = 0;

    ngx_memcpy(entry->key, key, NGX_HTTP_TGBOT_CACHE_KEY);

    head = ngx_http_tgbot_cache_head(area, key);

    entry->chain = *head;
    *head = n;

    ngx_http_tgbot_zone_stop("cache: added");

    ngx_http_tgbot_cache_insert(area, n);

    area->sh->entries++;
}


static void
ngx_http_tgbot_cache_delete(ngx_http_tgbot_cache_area_t *area, uint32_t n)
{
    uint32_t                      *chain;
    ngx_http_tgbot_cache_entry_t  *entry;

    ngx_http_tgbot_cache_remove(area, n);

    ngx_http_tgbot_zone_stop("cache: delete");

    entry = ngx_http_tgbot_cache_entry(area, n);
    chain = ngx_http_tgbot_cache_head(area, entry->key);

    while (*chain != n) {
        chain = &ngx_http_tgbot_cache_entry(area, *chain)->chain;
    }

    *chain = entry->chain;

    ngx_http_tgbot_chain_free(&area->chain, n);

    area->sh->entries--;
}


/* removes the entry from its list, so that it cannot be evicted */

static void
ngx_http_tgbot_cache_remove(ngx_http_tgbot_cache_area_t *area, uint32_t n)
{
    ngx_http_tgbot_list_remove(&area->links,
                               ngx_http_tgbot_cache_list(area, n), n);
}


/* puts the entry first in the list of its state */

static void
ngx_http_tgbot_cache_insert(ngx_http_tgbot_cache_area_t *area, uint32_t n)
{
    ngx_http_tgbot_list_prepend(&area->links,
                                ngx_http_tgbot_cache_list(area, n), n);
}


static ngx_http_tgbot_list_t *
ngx_http_tgbot_cache_list(ngx_http_tgbot_cache_area_t *area, uint32_t n)
{
    ngx_http_tgbot_cache_entry_t  *entry;

    entry = ngx_http_tgbot_cache_entry(area, n);

    return &area->sh->lists[(entry->state == NGX_HTTP_TGBOT_CACHE_FILLING)
                            ? NGX_HTTP_TGBOT_CACHE_TAKEN
                            : NGX_HTTP_TGBOT_CACHE_KEPT];
}


/* the key is an MD5, so any 32 bits of it serve as a hash */

static uint32_t *
ngx_http_tgbot_cache_head(ngx_http_tgbot_cache_area_t *area, u_char *key)
{
    uint32_t  hash;

    ngx_memcpy(&hash, key, sizeof(uint32_t));

    return &area->sh->table[hash & area->sh->mask];
}
