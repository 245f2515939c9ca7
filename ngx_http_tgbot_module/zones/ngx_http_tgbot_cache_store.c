
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_cache_store.h"


static void *ngx_http_tgbot_cache_store_block(ngx_http_tgbot_cache_sh_t *sh,
    uint32_t n);
static uint32_t *ngx_http_tgbot_cache_store_head(
    ngx_http_tgbot_cache_sh_t *sh, u_char *key);
static void ngx_http_tgbot_cache_store_links(ngx_http_tgbot_cache_sh_t *sh,
    ngx_http_tgbot_links_t *links);
static ngx_http_tgbot_list_t *ngx_http_tgbot_cache_store_list(
    ngx_http_tgbot_cache_sh_t *sh, uint32_t n);
static uint32_t ngx_http_tgbot_cache_store_victim(
    ngx_http_tgbot_cache_sh_t *sh);
static void ngx_http_tgbot_cache_store_chain(ngx_http_tgbot_cache_sh_t *sh,
    ngx_http_tgbot_chain_t *chain);


void
ngx_http_tgbot_cache_store_init(ngx_http_tgbot_cache_sh_t *sh, size_t room)
{
    size_t  n, heads;

    /* a cache line is for the alignment of the blocks */

    n = (room - sizeof(ngx_http_tgbot_cache_sh_t) - NGX_CPU_CACHE_LINE)
        / (NGX_HTTP_TGBOT_CHAIN_BLOCK + NGX_HTTP_TGBOT_CACHE_HEADS);

    n = ngx_min(n, NGX_MAX_INT32_VALUE);

    for (heads = 1; heads < n; heads *= 2) { /* void */ }

    sh->chain.total = n;
    sh->mask = heads - 1;
    sh->offset = ngx_align(sizeof(ngx_http_tgbot_cache_sh_t)
                           + heads * sizeof(uint32_t),
                           NGX_CPU_CACHE_LINE);

    ngx_http_tgbot_cache_store_empty(sh);
}


void
ngx_http_tgbot_cache_store_empty(ngx_http_tgbot_cache_sh_t *sh)
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


uint32_t
ngx_http_tgbot_cache_store_find(ngx_http_tgbot_cache_sh_t *sh, u_char *key)
{
    uint32_t                       n;
    ngx_http_tgbot_cache_entry_t  *entry;

    n = *ngx_http_tgbot_cache_store_head(sh, key);

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        entry = ngx_http_tgbot_cache_store_block(sh, n);

        if (ngx_memcmp(entry->key, key, NGX_HTTP_TGBOT_CACHE_KEY) == 0) {
            break;
        }

        n = entry->chain;
    }

    return n;
}


ngx_http_tgbot_cache_entry_t *
ngx_http_tgbot_cache_store_entry(ngx_http_tgbot_cache_sh_t *sh, uint32_t n)
{
    return ngx_http_tgbot_cache_store_block(sh, n);
}


/*
 * The clock may wrap around, so an age is looked at.  The clock that wrote
 * may have been ahead of ours, by no more than a living worker can hang.
 */

ngx_uint_t
ngx_http_tgbot_cache_store_ended(ngx_http_tgbot_cache_entry_t *entry)
{
    ngx_msec_t  age;

    if (entry->state == NGX_HTTP_TGBOT_CACHE_FILLING) {
        return !ngx_http_tgbot_slot_alive(&entry->lease);
    }

    age = ngx_current_msec - entry->since + NGX_HTTP_TGBOT_SLOT_LIFE;

    return age >= entry->valid + NGX_HTTP_TGBOT_SLOT_LIFE;
}


ngx_int_t
ngx_http_tgbot_cache_store_room(ngx_http_tgbot_cache_sh_t *sh, ngx_uint_t n,
    ngx_atomic_t *evicted)
{
    uint32_t                       victim;
    ngx_http_tgbot_cache_entry_t  *entry;

    while (ngx_http_tgbot_chain_room(&sh->chain) < n) {

        victim = ngx_http_tgbot_cache_store_victim(sh);

        if (victim == NGX_HTTP_TGBOT_LIST_NIL) {
            return NGX_DECLINED;
        }

        entry = ngx_http_tgbot_cache_store_block(sh, victim);

        if (!ngx_http_tgbot_cache_store_ended(entry)) {
            (*evicted)++;
        }

        ngx_http_tgbot_zone_stop("cache: room");

        ngx_http_tgbot_cache_store_delete(sh, victim);
    }

    return NGX_OK;
}


static uint32_t
ngx_http_tgbot_cache_store_victim(ngx_http_tgbot_cache_sh_t *sh)
{
    uint32_t                       kept, taken;
    ngx_http_tgbot_cache_entry_t  *entry;

    kept = sh->lists[NGX_HTTP_TGBOT_CACHE_KEPT].last;
    taken = sh->lists[NGX_HTTP_TGBOT_CACHE_TAKEN].last;

    if (taken == NGX_HTTP_TGBOT_LIST_NIL) {
        return kept;
    }

    entry = ngx_http_tgbot_cache_store_block(sh, taken);

    if (kept == NGX_HTTP_TGBOT_LIST_NIL
        || ngx_http_tgbot_cache_store_ended(entry))
    {
        return taken;
    }

    return kept;
}


ngx_uint_t
ngx_http_tgbot_cache_store_needs(size_t len)
{
    return ngx_http_tgbot_chain_needs(sizeof(ngx_http_tgbot_cache_entry_t)
                                      + len);
}


void
ngx_http_tgbot_cache_store_add(ngx_http_tgbot_cache_sh_t *sh, u_char *key,
    ngx_http_tgbot_lease_t *lease)
{
    uint32_t                       n, *head;
    ngx_http_tgbot_chain_t         chain;
    ngx_http_tgbot_cache_entry_t  *entry;

    ngx_http_tgbot_cache_store_chain(sh, &chain);

    n = ngx_http_tgbot_chain_take(&chain);

    ngx_http_tgbot_zone_stop("cache: add");

    entry = ngx_http_tgbot_cache_store_block(sh, n);

    entry->state = NGX_HTTP_TGBOT_CACHE_FILLING;
    entry->length = 0;
    entry->lease = *lease;
    entry->since = ngx_current_msec;
    entry->valid = 0;

    ngx_memcpy(entry->key, key, NGX_HTTP_TGBOT_CACHE_KEY);

    head = ngx_http_tgbot_cache_store_head(sh, key);

    entry->chain = *head;
    *head = n;

    ngx_http_tgbot_zone_stop("cache: added");

    ngx_http_tgbot_cache_store_insert(sh, n);

    sh->entries++;
}


void
ngx_http_tgbot_cache_store_delete(ngx_http_tgbot_cache_sh_t *sh, uint32_t n)
{
    uint32_t                      *chain;
    ngx_http_tgbot_chain_t         blocks;
    ngx_http_tgbot_cache_entry_t  *entry, *other;

    ngx_http_tgbot_cache_store_remove(sh, n);

    ngx_http_tgbot_zone_stop("cache: delete");

    entry = ngx_http_tgbot_cache_store_block(sh, n);

    chain = ngx_http_tgbot_cache_store_head(sh, entry->key);

    while (*chain != n) {
        other = ngx_http_tgbot_cache_store_block(sh, *chain);
        chain = &other->chain;
    }

    *chain = entry->chain;

    ngx_http_tgbot_cache_store_chain(sh, &blocks);
    ngx_http_tgbot_chain_free(&blocks, n);

    sh->entries--;
}


void
ngx_http_tgbot_cache_store_remove(ngx_http_tgbot_cache_sh_t *sh, uint32_t n)
{
    ngx_http_tgbot_links_t  links;

    ngx_http_tgbot_cache_store_links(sh, &links);

    ngx_http_tgbot_list_remove(&links, ngx_http_tgbot_cache_store_list(sh, n),
                               n);
}


void
ngx_http_tgbot_cache_store_insert(ngx_http_tgbot_cache_sh_t *sh, uint32_t n)
{
    ngx_http_tgbot_links_t  links;

    ngx_http_tgbot_cache_store_links(sh, &links);

    ngx_http_tgbot_list_prepend(&links,
                                ngx_http_tgbot_cache_store_list(sh, n), n);
}


static void
ngx_http_tgbot_cache_store_links(ngx_http_tgbot_cache_sh_t *sh,
    ngx_http_tgbot_links_t *links)
{
    ngx_http_tgbot_cache_entry_t  *entry;

    entry = ngx_http_tgbot_cache_store_block(sh, 0);

    links->first = &entry->link;
    links->size = NGX_HTTP_TGBOT_CHAIN_BLOCK;
}


void
ngx_http_tgbot_cache_store_write(ngx_http_tgbot_cache_sh_t *sh, uint32_t n,
    ngx_str_t *value)
{
    ngx_http_tgbot_chain_t         chain;
    ngx_http_tgbot_cache_entry_t  *entry;

    entry = ngx_http_tgbot_cache_store_block(sh, n);

    entry->length = value->len;

    ngx_http_tgbot_cache_store_chain(sh, &chain);
    ngx_http_tgbot_chain_write(&chain, n,
                               sizeof(ngx_http_tgbot_cache_entry_t), value);
}


void
ngx_http_tgbot_cache_store_read(ngx_http_tgbot_cache_sh_t *sh, uint32_t n,
    ngx_str_t *value)
{
    ngx_http_tgbot_chain_t         chain;
    ngx_http_tgbot_cache_entry_t  *entry;

    entry = ngx_http_tgbot_cache_store_block(sh, n);

    value->len = entry->length;

    ngx_http_tgbot_cache_store_chain(sh, &chain);
    ngx_http_tgbot_chain_read(&chain, n, sizeof(ngx_http_tgbot_cache_entry_t),
                              value->data, value->len);
}


static void
ngx_http_tgbot_cache_store_chain(ngx_http_tgbot_cache_sh_t *sh,
    ngx_http_tgbot_chain_t *chain)
{
    chain->sh = &sh->chain;
    chain->blocks = (ngx_http_tgbot_block_t *) ((u_char *) sh + sh->offset);
}


static void *
ngx_http_tgbot_cache_store_block(ngx_http_tgbot_cache_sh_t *sh, uint32_t n)
{
    ngx_http_tgbot_chain_t  chain;

    ngx_http_tgbot_cache_store_chain(sh, &chain);

    return chain.blocks[n].data;
}


/* a digest is its own hash */

static uint32_t *
ngx_http_tgbot_cache_store_head(ngx_http_tgbot_cache_sh_t *sh, u_char *key)
{
    uint32_t  hash;

    ngx_memcpy(&hash, key, sizeof(uint32_t));

    return &sh->table[hash & sh->mask];
}


static ngx_http_tgbot_list_t *
ngx_http_tgbot_cache_store_list(ngx_http_tgbot_cache_sh_t *sh, uint32_t n)
{
    ngx_http_tgbot_cache_entry_t  *entry;

    entry = ngx_http_tgbot_cache_store_block(sh, n);

    return &sh->lists[(entry->state == NGX_HTTP_TGBOT_CACHE_FILLING)
                      ? NGX_HTTP_TGBOT_CACHE_TAKEN
                      : NGX_HTTP_TGBOT_CACHE_KEPT];
}
