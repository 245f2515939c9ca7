
/*
 * Answers by key, and who is asking for one that is missing.
 */

#ifndef _NGX_HTTP_TGBOT_CACHE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_chain.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_zone.h"


/* a larger answer is not kept, nor is one of over a quarter of the zone */
#define NGX_HTTP_TGBOT_CACHE_SIZE  65536

#define NGX_HTTP_TGBOT_CACHE_KEY   16


/* what is missing, or is kept, for a bot and a key */

typedef struct {
    ngx_http_tgbot_zone_t     *zone;
    u_char                     key[NGX_HTTP_TGBOT_CACHE_KEY];  /* MD5 */
    ngx_http_tgbot_lease_t     lease;         /* if we are to fill it */
} ngx_http_tgbot_cache_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_cache_zone;


/* no lease yet; a key may have any length */
void ngx_http_tgbot_cache_key(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_zone_t *zone, ngx_str_t *bot, uint64_t bot_id,
    ngx_str_t *key);

/*
 * NGX_OK        a hit: *value points to it until the next call
 * NGX_DECLINED  a miss.  With "take" cache->lease is ours now, and
 *               ngx_http_tgbot_cache_fill() or _release() must follow; if
 *               it is empty nonetheless the zone has no room
 * NGX_BUSY      a living process is filling it
 * NGX_ABORT     a recent answer could not be kept: do without the cache
 */
ngx_int_t ngx_http_tgbot_cache_get(ngx_http_tgbot_cache_t *cache,
    ngx_uint_t take, ngx_str_t *value);

/*
 * Keeps the answer for "valid" milliseconds, over 0; ends the lease.
 * NGX_DECLINED: it is too large, which is remembered as by pass, or the
 * lease was lost, and nothing is kept.
 */
ngx_int_t ngx_http_tgbot_cache_fill(ngx_http_tgbot_cache_t *cache,
    ngx_str_t *value, ngx_msec_t valid);

/*
 * There is no answer to be kept; ends the lease.  With "pass" over 0 others
 * are told for so many milliseconds to do without the cache; with 0 the next
 * one who asks may fill it.
 */
void ngx_http_tgbot_cache_release(ngx_http_tgbot_cache_t *cache,
    ngx_msec_t pass);


/* for status */

typedef struct {
    ngx_uint_t                 entries;
    ngx_uint_t                 used;          /* blocks */
    ngx_uint_t                 total;
} ngx_http_tgbot_cache_state_t;

void ngx_http_tgbot_cache_state(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_cache_state_t *state);


/*
 * What lies in a zone of answers: a table of hash heads, and an array of
 * blocks.  An entry is a chain of blocks, the first of which has its head;
 * all is found by index.  To be used with the zone locked, by the parts of
 * the cache alone.
 */

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

/* LIST_NIL: there is no such entry */
uint32_t ngx_http_tgbot_cache_store_find(ngx_http_tgbot_cache_sh_t *sh,
    u_char *key);

ngx_http_tgbot_cache_entry_t *ngx_http_tgbot_cache_store_entry(
    ngx_http_tgbot_cache_sh_t *sh, uint32_t n);

/* blocks that a value of this length takes, with that of the head */
ngx_uint_t ngx_http_tgbot_cache_store_needs(size_t len);


#endif /* _NGX_HTTP_TGBOT_CACHE_H_INCLUDED_ */
