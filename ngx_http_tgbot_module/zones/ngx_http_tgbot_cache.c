
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_cache_store.h"
#include "ngx_http_tgbot_slot.h"
#include "ngx_http_tgbot_zone.h"


/* of the smallest zone */
#define NGX_HTTP_TGBOT_CACHE_BLOCKS  16


static ngx_int_t ngx_http_tgbot_cache_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static ngx_http_tgbot_cache_sh_t *ngx_http_tgbot_cache_lock(
    ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_cache_take(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_cache_sh_t *sh);
static ngx_int_t ngx_http_tgbot_cache_hit(ngx_http_tgbot_cache_sh_t *sh,
    uint32_t n, ngx_str_t *value);
static uint32_t ngx_http_tgbot_cache_mine(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_cache_sh_t *sh);
static ngx_int_t ngx_http_tgbot_cache_keep(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_cache_sh_t *sh, uint32_t n, ngx_str_t *value);
static void ngx_http_tgbot_cache_settle(ngx_http_tgbot_cache_sh_t *sh,
    uint32_t n, ngx_uint_t state, ngx_msec_t valid);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_cache_zone = {
    4, "cache",
    sizeof(ngx_http_tgbot_cache_sh_t) + NGX_CPU_CACHE_LINE
    + NGX_HTTP_TGBOT_CACHE_BLOCKS
      * (NGX_HTTP_TGBOT_CHAIN_BLOCK + NGX_HTTP_TGBOT_CACHE_HEADS),
    ngx_http_tgbot_cache_init
};


static u_char  ngx_http_tgbot_cache_buffer[NGX_HTTP_TGBOT_CACHE_SIZE];


static ngx_int_t
ngx_http_tgbot_cache_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_http_tgbot_cache_sh_t  *sh;

    if (fresh) {
        sh = (ngx_http_tgbot_cache_sh_t *) ngx_http_tgbot_zone_data(zone->sh);

        ngx_http_tgbot_cache_store_init(sh,
                                        ngx_http_tgbot_zone_room(zone->sh));
    }

    return NGX_OK;
}


void
ngx_http_tgbot_cache_key(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_zone_t *zone, ngx_str_t *bot, uint64_t bot_id,
    ngx_str_t *key)
{
    ngx_md5_t  md5;

    cache->zone = zone;

    /* the NUL is in no bot's name, so that it ends there */

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
    ngx_http_tgbot_cache_sh_t     *sh;
    ngx_http_tgbot_cache_entry_t  *entry;

    sh = ngx_http_tgbot_cache_lock(cache->zone);

    rc = NGX_DECLINED;
    n = ngx_http_tgbot_cache_store_find(sh, cache->key);

    if (n != NGX_HTTP_TGBOT_LIST_NIL) {
        entry = ngx_http_tgbot_cache_store_entry(sh, n);

        if (ngx_http_tgbot_cache_store_ended(entry)) {
            ngx_http_tgbot_cache_store_delete(sh, n);

        } else {
            rc = ngx_http_tgbot_cache_hit(sh, n, value);
        }
    }

    if (rc == NGX_DECLINED && take) {
        ngx_http_tgbot_cache_take(cache, sh);
    }

    ngx_http_tgbot_zone_unlock(cache->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_cache_fill(ngx_http_tgbot_cache_t *cache, ngx_str_t *value,
    ngx_msec_t valid)
{
    uint32_t                    n;
    ngx_int_t                   rc;
    ngx_http_tgbot_cache_sh_t  *sh;

    sh = ngx_http_tgbot_cache_lock(cache->zone);

    rc = NGX_DECLINED;
    n = ngx_http_tgbot_cache_mine(cache, sh);

    if (n != NGX_HTTP_TGBOT_LIST_NIL) {

        /* out of its list, so as not to be evicted in its own favour */

        ngx_http_tgbot_cache_store_remove(sh, n);

        rc = ngx_http_tgbot_cache_keep(cache, sh, n, value);

        ngx_http_tgbot_cache_settle(sh, n, (rc == NGX_OK)
                                           ? NGX_HTTP_TGBOT_CACHE_READY
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
    uint32_t                    n;
    ngx_http_tgbot_cache_sh_t  *sh;

    sh = ngx_http_tgbot_cache_lock(cache->zone);

    n = ngx_http_tgbot_cache_mine(cache, sh);

    if (n != NGX_HTTP_TGBOT_LIST_NIL) {

        if (pass) {
            ngx_http_tgbot_cache_store_remove(sh, n);
            ngx_http_tgbot_cache_settle(sh, n, NGX_HTTP_TGBOT_CACHE_PASS,
                                        pass);

        } else {
            ngx_http_tgbot_cache_store_delete(sh, n);
        }
    }

    ngx_http_tgbot_zone_unlock(cache->zone);

    ngx_memzero(&cache->lease, sizeof(ngx_http_tgbot_lease_t));
}


void
ngx_http_tgbot_cache_state(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_cache_state_t *state)
{
    ngx_http_tgbot_cache_sh_t  *sh;

    sh = ngx_http_tgbot_cache_lock(zone);

    state->entries = sh->entries;
    state->total = sh->chain.total;
    state->used = sh->chain.total - ngx_http_tgbot_chain_room(&sh->chain);

    ngx_http_tgbot_zone_unlock(zone);
}


static ngx_http_tgbot_cache_sh_t *
ngx_http_tgbot_cache_lock(ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_cache_sh_t  *sh;

    sh = (ngx_http_tgbot_cache_sh_t *) ngx_http_tgbot_zone_data(zone->sh);

    if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_cache_store_empty(sh);
    }

    return sh;
}


static void
ngx_http_tgbot_cache_take(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_cache_sh_t *sh)
{
    if (ngx_http_tgbot_cache_store_room(sh, 1, &cache->zone->sh->evicted)
        != NGX_OK)
    {
        return;
    }

    ngx_http_tgbot_slot_lease(&cache->lease);

    ngx_http_tgbot_cache_store_add(sh, cache->key, &cache->lease);
}


static ngx_int_t
ngx_http_tgbot_cache_hit(ngx_http_tgbot_cache_sh_t *sh, uint32_t n,
    ngx_str_t *value)
{
    ngx_http_tgbot_cache_entry_t  *entry;

    entry = ngx_http_tgbot_cache_store_entry(sh, n);

    if (entry->state == NGX_HTTP_TGBOT_CACHE_FILLING) {
        return NGX_BUSY;
    }

    ngx_http_tgbot_cache_store_remove(sh, n);

    ngx_http_tgbot_zone_stop("cache: hit");

    ngx_http_tgbot_cache_store_insert(sh, n);

    if (entry->state == NGX_HTTP_TGBOT_CACHE_PASS) {
        return NGX_ABORT;
    }

    value->data = ngx_http_tgbot_cache_buffer;

    ngx_http_tgbot_cache_store_read(sh, n, value);

    return NGX_OK;
}


/* the entry that is ours to fill, if it still is */

static uint32_t
ngx_http_tgbot_cache_mine(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_cache_sh_t *sh)
{
    uint32_t                       n;
    ngx_http_tgbot_cache_entry_t  *entry;

    n = ngx_http_tgbot_cache_store_find(sh, cache->key);

    if (n == NGX_HTTP_TGBOT_LIST_NIL) {
        return n;
    }

    entry = ngx_http_tgbot_cache_store_entry(sh, n);

    if (entry->state != NGX_HTTP_TGBOT_CACHE_FILLING
        || !ngx_http_tgbot_lease_equal(&entry->lease, &cache->lease))
    {
        return NGX_HTTP_TGBOT_LIST_NIL;
    }

    return n;
}


static ngx_int_t
ngx_http_tgbot_cache_keep(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_cache_sh_t *sh, uint32_t n, ngx_str_t *value)
{
    ngx_uint_t  blocks;

    if (value->len > NGX_HTTP_TGBOT_CACHE_SIZE) {
        return NGX_DECLINED;
    }

    blocks = ngx_http_tgbot_cache_store_needs(value->len);

    if (blocks > sh->chain.total / 4) {
        return NGX_DECLINED;
    }

    /* the first one it has */

    if (ngx_http_tgbot_cache_store_room(sh, blocks - 1,
                                        &cache->zone->sh->evicted)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_cache_store_write(sh, n, value);

    return NGX_OK;
}


/* ends the lease of an entry that is in no list */

static void
ngx_http_tgbot_cache_settle(ngx_http_tgbot_cache_sh_t *sh, uint32_t n,
    ngx_uint_t state, ngx_msec_t valid)
{
    ngx_http_tgbot_cache_entry_t  *entry;

    entry = ngx_http_tgbot_cache_store_entry(sh, n);

    entry->state = state;
    entry->since = ngx_current_msec;
    entry->valid = ngx_min(valid, NGX_MAX_INT32_VALUE);

    ngx_memzero(&entry->lease, sizeof(ngx_http_tgbot_lease_t));

    ngx_http_tgbot_zone_stop("cache: settle");

    ngx_http_tgbot_cache_store_insert(sh, n);
}
