
/*
 * Blocks of one size in shared memory, and chains of them that hold strings.
 * All functions are called with the zone locked.
 *
 * Marks of blocks are the owner's, but that a free one has CHAIN_FREE; they
 * are looked at by a repair alone.
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


/* stands in the zone */

typedef struct {
    uint32_t                       total;      /* blocks, never changes */
    uint32_t                       used;       /* those behind never were */

    /* derived */

    uint32_t                       free;       /* the first such block */
    uint32_t                       nfree;      /* of those used */
} ngx_http_tgbot_chain_sh_t;


/* made for the time of a lock */

typedef struct {
    ngx_http_tgbot_chain_sh_t     *sh;
    ngx_http_tgbot_block_t        *blocks;
} ngx_http_tgbot_chain_t;


/* blocks that are free */

#define ngx_http_tgbot_chain_room(sh)                                         \
    ((sh)->nfree + ((sh)->total - (sh)->used))

/* blocks that so many bytes take */

#define ngx_http_tgbot_chain_needs(len)                                       \
    (((uint64_t) (len) + NGX_HTTP_TGBOT_CHAIN_DATA - 1)                       \
     / NGX_HTTP_TGBOT_CHAIN_DATA)


/* all blocks are free; touches none of them */
void ngx_http_tgbot_chain_empty(ngx_http_tgbot_chain_sh_t *sh);

/* takes a block; there is one */
uint32_t ngx_http_tgbot_chain_take(ngx_http_tgbot_chain_t *chain);

/*
 * Writes a string behind the first "skip" bytes of block n, and into as many
 * others as it takes, which are free.
 */
void ngx_http_tgbot_chain_write(ngx_http_tgbot_chain_t *chain, uint32_t n,
    size_t skip, ngx_str_t *s);

/* reads len bytes that were written so */
void ngx_http_tgbot_chain_read(ngx_http_tgbot_chain_t *chain, uint32_t n,
    size_t skip, u_char *p, size_t len);

/* block n and all that follow are free; NIL: there are none */
void ngx_http_tgbot_chain_free(ngx_http_tgbot_chain_t *chain, uint32_t n);


/*
 * A repair first makes all blocks free that do not have the mark "keep", then
 * claims those that are in use, and then links the others.
 */
void ngx_http_tgbot_chain_wipe(ngx_http_tgbot_chain_t *chain, uint32_t keep);
void ngx_http_tgbot_chain_link(ngx_http_tgbot_chain_t *chain);

/* 0: a chain is not just so long, or has blocks of another: none is claimed */
ngx_uint_t ngx_http_tgbot_chain_claim(ngx_http_tgbot_chain_t *chain,
    uint32_t first, uint64_t length);
void ngx_http_tgbot_chain_unclaim(ngx_http_tgbot_chain_t *chain, uint32_t n,
    uint64_t length);


#endif /* _NGX_HTTP_TGBOT_CHAIN_H_INCLUDED_ */
