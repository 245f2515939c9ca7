
/*
 * Blocks of one size in shared memory, and chains of blocks that hold strings.
 * All functions are called with the zone locked.
 *
 * Only a repair reads the marks of blocks.  The owner of a block may mark it,
 * and then sets the mark to CHAIN_FREE before the block is freed.
 */

#ifndef _NGX_HTTP_TGBOT_CHAIN_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CHAIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_list.h"


#define NGX_HTTP_TGBOT_CHAIN_BLOCK  512

/* bytes of a string in one block */
#define NGX_HTTP_TGBOT_CHAIN_DATA                                             \
    (NGX_HTTP_TGBOT_CHAIN_BLOCK - 2 * sizeof(uint32_t))

#define NGX_HTTP_TGBOT_CHAIN_FREE   0
#define NGX_HTTP_TGBOT_CHAIN_MORE   1          /* claimed by a repair */


typedef struct {
    uint32_t                       mark;
    uint32_t                       next;
    u_char                         data[NGX_HTTP_TGBOT_CHAIN_DATA];
} ngx_http_tgbot_block_t;


/* in shared memory */

typedef struct {
    uint32_t                       total;      /* blocks, never changes */
    uint32_t                       used;       /* later ones never were */

    /* derived: a repair computes these */

    uint32_t                       free;       /* first of the free list */
    uint32_t                       nfree;      /* length of the free list */
} ngx_http_tgbot_chain_sh_t;


/* in the memory of a process, valid while the zone is locked */

typedef struct {
    ngx_http_tgbot_chain_sh_t     *sh;
    ngx_http_tgbot_block_t        *blocks;
} ngx_http_tgbot_chain_t;


/* number of free blocks */

#define ngx_http_tgbot_chain_room(sh)                                         \
    ((sh)->nfree + ((sh)->total - (sh)->used))

/* number of blocks that "len" bytes take */

#define ngx_http_tgbot_chain_needs(len)                                       \
    (((uint64_t) (len) + NGX_HTTP_TGBOT_CHAIN_DATA - 1)                       \
     / NGX_HTTP_TGBOT_CHAIN_DATA)


/* makes all blocks free without touching any */
void ngx_http_tgbot_chain_empty(ngx_http_tgbot_chain_sh_t *sh);

/* takes a block and returns its number; a block must be free */
uint32_t ngx_http_tgbot_chain_take(ngx_http_tgbot_chain_t *chain);

/*
 * Writes a string to block n, after its first "skip" bytes, and to as many more
 * blocks as it takes; so many must be free.
 */
void ngx_http_tgbot_chain_write(ngx_http_tgbot_chain_t *chain, uint32_t n,
    size_t skip, ngx_str_t *s);

/* reads the first "len" bytes of what was written with the same n and skip */
void ngx_http_tgbot_chain_read(ngx_http_tgbot_chain_t *chain, uint32_t n,
    size_t skip, u_char *p, size_t len);

/*
 * Adds to *sum what chain_read() would read: see ngx_http_tgbot_zone_sum().
 * 0: the chain ends before, or leads out of the zone.
 */
ngx_uint_t ngx_http_tgbot_chain_sum(ngx_http_tgbot_chain_t *chain, uint32_t n,
    size_t skip, size_t len, uint64_t *sum);

/* frees block n and all blocks after it in its chain; NIL: nothing to free */
void ngx_http_tgbot_chain_free(ngx_http_tgbot_chain_t *chain, uint32_t n);


/*
 * The steps of a repair: wipe() marks all blocks free but those with the mark
 * "keep"; claim() is called for each chain in use; link() makes the free list
 * of all blocks that are still marked free.
 */
void ngx_http_tgbot_chain_wipe(ngx_http_tgbot_chain_t *chain, uint32_t keep);
void ngx_http_tgbot_chain_link(ngx_http_tgbot_chain_t *chain);

/*
 * Claims the blocks of a chain that must have exactly "length" blocks.  0: the
 * length differs, or a block belongs to another chain; no block is claimed.
 */
ngx_uint_t ngx_http_tgbot_chain_claim(ngx_http_tgbot_chain_t *chain,
    uint32_t first, uint64_t length);

/* undoes a claim of "length" blocks from block n on */
void ngx_http_tgbot_chain_unclaim(ngx_http_tgbot_chain_t *chain, uint32_t n,
    uint64_t length);


#endif /* _NGX_HTTP_TGBOT_CHAIN_H_INCLUDED_ */
