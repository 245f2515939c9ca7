
/*
 * What lies in a zone of answers: a table of hash heads, and an array of
 * blocks.  An entry is a chain of blocks, the first of which has its head;
 * all is found by index.  To be used with the zone locked, by the parts of
 * the cache alone.
 */

#ifndef _NGX_HTTP_TGBOT_CACHE_STORE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CACHE_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_chain.h"
#include "ngx_http_tgbot_list.h"


/* bytes of the table that come with a block, at most */
#define NGX_HTTP_TGBOT_CACHE_HEADS  (2 * sizeof(uint32_t))


typedef enum {
    NGX_HTTP_TGBOT_CACHE_READY = 0,
    NGX_HTTP_TGBOT_CACHE_PASS,
    NGX_HTTP_TGBOT_CACHE_FILLING
} ngx_http_tgbot_cache_state_e;


/* the lists: what is kept by its last use, what is being filled by its age */

typedef enum {
    NGX_HTTP_TGBOT_CACHE_KEPT = 0,
    NGX_HTTP_TGBOT_CACHE_TAKEN,
    NGX_HTTP_TGBOT_CACHE_LISTS
} ngx_http_tgbot_cache_list_e;


typedef struct {

    /* written once, when the zone is carved */

    uint32_t                      mask;        /* of the table */
    size_t                        offset;      /* of the blocks */

    uint32_t                      entries;
    ngx_http_tgbot_chain_sh_t     chain;

    ngx_http_tgbot_list_t         lists[NGX_HTTP_TGBOT_CACHE_LISTS];

    uint32_t                      table[];
} ngx_http_tgbot_cache_sh_t;


typedef struct {
    uint32_t                      chain;       /* entry of the same hash */
    ngx_http_tgbot_link_t         link;        /* in the list */
    u_char                        key[NGX_HTTP_TGBOT_CACHE_KEY];
    uint32_t                      state;
    uint32_t                      length;
    ngx_http_tgbot_lease_t        lease;       /* while it is filled */
    ngx_msec_t                    since;
    ngx_msec_t                    valid;       /* milliseconds; the value
                                                  follows */
} ngx_http_tgbot_cache_entry_t;


/* carves a zone of "room" bytes, which is empty then */
void ngx_http_tgbot_cache_store_init(ngx_http_tgbot_cache_sh_t *sh,
    size_t room);

/*
 * Leaves the zone without entries, whatever has become of them: nothing is
 * worth being repaired.  Touches no block, of which there may be many.
 */
void ngx_http_tgbot_cache_store_empty(ngx_http_tgbot_cache_sh_t *sh);

/* LIST_NIL: there is no such entry */
uint32_t ngx_http_tgbot_cache_store_find(ngx_http_tgbot_cache_sh_t *sh,
    u_char *key);

ngx_http_tgbot_cache_entry_t *ngx_http_tgbot_cache_store_entry(
    ngx_http_tgbot_cache_sh_t *sh, uint32_t n);

/* whether its time is over, or the process that fills it is dead */
ngx_uint_t ngx_http_tgbot_cache_store_ended(
    ngx_http_tgbot_cache_entry_t *entry);

/*
 * Makes "n" blocks free: at the cost of entries whose process is dead, of
 * the least recently used ones, and, when nothing else is left, of those
 * that are being filled.  Adds to *evicted those whose time was not over.
 * NGX_DECLINED: there are not so many blocks.
 */
ngx_int_t ngx_http_tgbot_cache_store_room(ngx_http_tgbot_cache_sh_t *sh,
    ngx_uint_t n, ngx_atomic_t *evicted);

/* blocks that a value of this length takes, with that of the head */
ngx_uint_t ngx_http_tgbot_cache_store_needs(size_t len);

/* a new entry that is being filled; a block is free, the key is not there */
void ngx_http_tgbot_cache_store_add(ngx_http_tgbot_cache_sh_t *sh,
    u_char *key, ngx_http_tgbot_lease_t *lease);

void ngx_http_tgbot_cache_store_delete(ngx_http_tgbot_cache_sh_t *sh,
    uint32_t n);

/* out of its list, where room is made, and into the one its state tells */
void ngx_http_tgbot_cache_store_remove(ngx_http_tgbot_cache_sh_t *sh,
    uint32_t n);
void ngx_http_tgbot_cache_store_insert(ngx_http_tgbot_cache_sh_t *sh,
    uint32_t n);

/* the value of an entry that has none; blocks are free */
void ngx_http_tgbot_cache_store_write(ngx_http_tgbot_cache_sh_t *sh,
    uint32_t n, ngx_str_t *value);

/* value->data has room for the largest */
void ngx_http_tgbot_cache_store_read(ngx_http_tgbot_cache_sh_t *sh,
    uint32_t n, ngx_str_t *value);


#endif /* _NGX_HTTP_TGBOT_CACHE_STORE_H_INCLUDED_ */
