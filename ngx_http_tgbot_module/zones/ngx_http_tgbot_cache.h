
/*
 * Answers of programs by bot and key, and leases of the processes that ask for
 * missing ones.
 */

#ifndef _NGX_HTTP_TGBOT_CACHE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_chain.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_zone.h"


/*
 * bytes; a larger answer is not kept, and neither is an answer that takes
 * more than a quarter of the blocks of the zone
 */
#define NGX_HTTP_TGBOT_CACHE_SIZE  65536

#define NGX_HTTP_TGBOT_CACHE_KEY   16


/* one look-up: a bot and a key in a zone */

typedef struct {
    ngx_http_tgbot_zone_t     *zone;
    u_char                     key[NGX_HTTP_TGBOT_CACHE_KEY];  /* MD5 */
    ngx_http_tgbot_lease_t     lease;         /* to fill it; zero: none */
} ngx_http_tgbot_cache_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_cache_zone;


/*
 * Initializes *cache, without a lease.  The key may have any length; neither
 * string is referenced afterwards.
 */
void ngx_http_tgbot_cache_key(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_zone_t *zone, ngx_str_t *bot, uint64_t bot_id,
    ngx_str_t *key);

/*
 * Looks the key up.
 *
 * NGX_OK        a hit: *value points to a static buffer, valid until the next
 *               call of this function
 * NGX_DECLINED  a miss.  With "take" this process now holds cache->lease, and
 *               ngx_http_tgbot_cache_fill() or _release() must follow; a zero
 *               lease means that the zone has no room
 * NGX_BUSY      a live process is filling the entry
 * NGX_ABORT     an answer was not kept recently: do without the cache
 */
ngx_int_t ngx_http_tgbot_cache_get(ngx_http_tgbot_cache_t *cache,
    ngx_uint_t take, ngx_str_t *value);

/*
 * Keeps a copy of the answer for "valid" milliseconds, more than 0, and ends
 * the lease.
 *
 * NGX_DECLINED: the answer is not kept.  Either it is too large or there is no
 * room: then others do without the cache for "valid" milliseconds; or the
 * lease was lost.
 */
ngx_int_t ngx_http_tgbot_cache_fill(ngx_http_tgbot_cache_t *cache,
    ngx_str_t *value, ngx_msec_t valid);

/*
 * Ends the lease without an answer.  If "pass" is more than 0, others do
 * without the cache for "pass" milliseconds; if it is 0, the next process that
 * asks may fill the entry.
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
 * Layout of a zone, for ngx_http_tgbot_cache.c and unit tests: a table of hash
 * heads and an array of blocks.  An entry is a chain of blocks; its header is
 * at the beginning of the first one.  Blocks are referred to by number.  The
 * functions are called with the zone locked.
 */

/* bytes of the table per block, at most */
#define NGX_HTTP_TGBOT_CACHE_HEADS  (2 * sizeof(uint32_t))


typedef enum {
    NGX_HTTP_TGBOT_CACHE_READY = 0,
    NGX_HTTP_TGBOT_CACHE_PASS,
    NGX_HTTP_TGBOT_CACHE_FILLING
} ngx_http_tgbot_cache_state_e;


/* lists of entries: kept ones by last use, entries being filled by age */

typedef enum {
    NGX_HTTP_TGBOT_CACHE_KEPT = 0,
    NGX_HTTP_TGBOT_CACHE_TAKEN,
    NGX_HTTP_TGBOT_CACHE_LISTS
} ngx_http_tgbot_cache_list_e;


typedef struct {

    /* these two are written only when the zone is carved */

    uint32_t                      mask;        /* size of the table - 1 */
    size_t                        offset;      /* of the blocks, from here */

    uint32_t                      entries;
    ngx_http_tgbot_chain_sh_t     chain;

    ngx_http_tgbot_list_t         lists[NGX_HTTP_TGBOT_CACHE_LISTS];

    uint32_t                      table[];
} ngx_http_tgbot_cache_sh_t;


typedef struct {
    uint32_t                      chain;       /* next of the same hash */
    ngx_http_tgbot_link_t         link;        /* in one of the lists */
    u_char                        key[NGX_HTTP_TGBOT_CACHE_KEY];
    uint32_t                      state;
    uint32_t                      length;
    ngx_http_tgbot_lease_t        lease;       /* while being filled */
    ngx_msec_t                    since;
    ngx_msec_t                    valid;       /* milliseconds */

    /* the value follows */
} ngx_http_tgbot_cache_entry_t;


/* pointers into a zone, made each time the zone is locked */

typedef struct {
    ngx_http_tgbot_cache_sh_t    *sh;
    ngx_http_tgbot_chain_t        chain;
    ngx_http_tgbot_links_t        links;
} ngx_http_tgbot_cache_area_t;


#define ngx_http_tgbot_cache_entry(area, n)                                   \
    ((ngx_http_tgbot_cache_entry_t *) (area)->chain.blocks[n].data)

/* sets the pointers of an area; may also be called without the lock */
void ngx_http_tgbot_cache_open(ngx_http_tgbot_cache_area_t *area,
    ngx_http_tgbot_zone_t *zone);

/* returns the number of an entry, or NGX_HTTP_TGBOT_LIST_NIL */
uint32_t ngx_http_tgbot_cache_find(ngx_http_tgbot_cache_area_t *area,
    u_char *key);

/* blocks that an entry with a value of this length takes */
ngx_uint_t ngx_http_tgbot_cache_needs(size_t len);


#endif /* _NGX_HTTP_TGBOT_CACHE_H_INCLUDED_ */
