
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_chain.h"
#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_zone.h"


void
ngx_http_tgbot_chain_empty(ngx_http_tgbot_chain_sh_t *sh)
{
    sh->used = 0;
    sh->free = NGX_HTTP_TGBOT_LIST_NIL;
    sh->nfree = 0;
}


/*
 * Blocks from "used" on were never touched and hold garbage, so the mark is
 * set before "used" is raised: a repair may come in between.
 */

uint32_t
ngx_http_tgbot_chain_take(ngx_http_tgbot_chain_t *chain)
{
    uint32_t                    n;
    ngx_http_tgbot_chain_sh_t  *sh;

    sh = chain->sh;

    n = sh->free;

    if (n != NGX_HTTP_TGBOT_LIST_NIL) {
        sh->free = chain->blocks[n].next;
        sh->nfree--;

    } else {
        n = sh->used;

        chain->blocks[n].mark = NGX_HTTP_TGBOT_CHAIN_FREE;

        ngx_memory_barrier();

        sh->used++;
    }

    ngx_http_tgbot_zone_stop("chain: block taken");

    chain->blocks[n].next = NGX_HTTP_TGBOT_LIST_NIL;

    return n;
}


void
ngx_http_tgbot_chain_write(ngx_http_tgbot_chain_t *chain, uint32_t n,
    size_t skip, ngx_str_t *s)
{
    size_t                   left, size;
    u_char                  *p;
    ngx_http_tgbot_block_t  *block;

    p = s->data;
    left = s->len;

    for ( ;; ) {
        block = &chain->blocks[n];

        size = ngx_min(left, NGX_HTTP_TGBOT_CHAIN_DATA - skip);

        if (size) {
            ngx_memcpy(block->data + skip, p, size);
            p += size;
            left -= size;
        }

        if (left == 0) {
            return;
        }

        n = ngx_http_tgbot_chain_take(chain);
        block->next = n;
        skip = 0;
    }
}


void
ngx_http_tgbot_chain_read(ngx_http_tgbot_chain_t *chain, uint32_t n,
    size_t skip, u_char *p, size_t len)
{
    size_t                   size;
    ngx_http_tgbot_block_t  *block;

    while (len) {
        block = &chain->blocks[n];

        size = ngx_min(len, NGX_HTTP_TGBOT_CHAIN_DATA - skip);

        p = ngx_cpymem(p, block->data + skip, size);
        len -= size;

        n = block->next;
        skip = 0;
    }
}


ngx_uint_t
ngx_http_tgbot_chain_sum(ngx_http_tgbot_chain_t *chain, uint32_t n,
    size_t skip, size_t len, uint64_t *sum)
{
    size_t                   size;
    ngx_http_tgbot_block_t  *block;

    while (len) {

        if (n >= chain->sh->used) {
            return 0;
        }

        block = &chain->blocks[n];

        size = ngx_min(len, NGX_HTTP_TGBOT_CHAIN_DATA - skip);

        *sum = ngx_http_tgbot_zone_sum(*sum, block->data + skip, size);
        len -= size;

        n = block->next;
        skip = 0;
    }

    return 1;
}


void
ngx_http_tgbot_chain_free(ngx_http_tgbot_chain_t *chain, uint32_t n)
{
    uint32_t                    next;
    ngx_http_tgbot_chain_sh_t  *sh;

    sh = chain->sh;

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        next = chain->blocks[n].next;

        chain->blocks[n].next = sh->free;
        sh->free = n;
        sh->nfree++;

        ngx_http_tgbot_zone_stop("chain: block freed");

        n = next;
    }
}


void
ngx_http_tgbot_chain_wipe(ngx_http_tgbot_chain_t *chain, uint32_t keep)
{
    uint32_t  i;

    for (i = 0; i < chain->sh->used; i++) {
        if (chain->blocks[i].mark != keep) {
            chain->blocks[i].mark = NGX_HTTP_TGBOT_CHAIN_FREE;
        }
    }

    ngx_http_tgbot_zone_stop("chain: marks wiped");
}


ngx_uint_t
ngx_http_tgbot_chain_claim(ngx_http_tgbot_chain_t *chain, uint32_t first,
    uint64_t length)
{
    uint32_t  n;
    uint64_t  done;

    n = first;

    for (done = 0; done < length; done++) {

        if (n >= chain->sh->used
            || chain->blocks[n].mark != NGX_HTTP_TGBOT_CHAIN_FREE)
        {
            break;
        }

        chain->blocks[n].mark = NGX_HTTP_TGBOT_CHAIN_MORE;
        n = chain->blocks[n].next;
    }

    if (done == length && n == NGX_HTTP_TGBOT_LIST_NIL) {
        return 1;
    }

    ngx_http_tgbot_chain_unclaim(chain, first, done);

    return 0;
}


void
ngx_http_tgbot_chain_unclaim(ngx_http_tgbot_chain_t *chain, uint32_t n,
    uint64_t length)
{
    while (length--) {
        chain->blocks[n].mark = NGX_HTTP_TGBOT_CHAIN_FREE;
        n = chain->blocks[n].next;
    }
}


void
ngx_http_tgbot_chain_link(ngx_http_tgbot_chain_t *chain)
{
    uint32_t                    i;
    ngx_http_tgbot_chain_sh_t  *sh;

    sh = chain->sh;

    sh->free = NGX_HTTP_TGBOT_LIST_NIL;
    sh->nfree = 0;

    for (i = sh->used; i--; /* void */) {

        if (chain->blocks[i].mark != NGX_HTTP_TGBOT_CHAIN_FREE) {
            continue;
        }

        chain->blocks[i].next = sh->free;
        sh->free = i;
        sh->nfree++;
    }

    ngx_http_tgbot_zone_stop("chain: free blocks linked");
}
