
/*
 * Rings of bits: which of the last "window" update_ids are accepted.  A bot
 * has two, so that an id far from the numbering, be it forged or a new one,
 * does not put an end to what is known of the other.
 *
 * A process may die at any point of a change: an id that was accepted is
 * known, or belongs to what the change was about to forget.
 */

#ifndef _NGX_HTTP_TGBOT_DEDUP_RING_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEDUP_RING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* in shared memory; zeroed: both rings are empty, bits need no clearing */

typedef struct {
    int64_t                           top[2];  /* highest id: top[turn] */
    uint32_t                          turn;
    uint32_t                          valid;
} ngx_http_tgbot_dedup_ring_sh_t;


typedef struct {
    ngx_http_tgbot_dedup_ring_sh_t    ring[2];
    uint32_t                          last;    /* the one that moved last */
} ngx_http_tgbot_dedup_rings_sh_t;


typedef struct {
    ngx_http_tgbot_dedup_rings_sh_t  *sh;
    u_char                           *bits;    /* window / 8 bytes of each */
    uint64_t                          window;  /* ids, a power of two */
} ngx_http_tgbot_dedup_rings_t;


/* bytes of both rings */
#define ngx_http_tgbot_dedup_rings_size(window)  ((size_t) (window) / 8 * 2)


/* whether the id is accepted */
ngx_uint_t ngx_http_tgbot_dedup_ring_test(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t id);

/*
 * An id far from both rings empties the one that did not move last, to begin
 * there; returns 1 if the other one is in use.
 */
ngx_uint_t ngx_http_tgbot_dedup_ring_reach(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t id);

/* moves the ring nearest to the id, so that there is room for it */
void ngx_http_tgbot_dedup_ring_move(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t id);

/* accepts the id, if a ring has room for it; one store */
void ngx_http_tgbot_dedup_ring_set(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t id);

/*
 * Up to n accepted ids, the newest first: those of the ring that moved last
 * before those of the other.  Returns how many.
 */
ngx_uint_t ngx_http_tgbot_dedup_ring_newest(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t *ids, ngx_uint_t n);

/* 0: the ring is empty */
int64_t ngx_http_tgbot_dedup_ring_top(ngx_http_tgbot_dedup_rings_t *rings,
    ngx_uint_t n);


#endif /* _NGX_HTTP_TGBOT_DEDUP_RING_H_INCLUDED_ */
