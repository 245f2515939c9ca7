
/*
 * Rings of bits: which of the last "window" update_ids are accepted.  A bot has
 * two rings.  An id far from the current ids (forged, or Telegram numbers from
 * another id on) opens the other ring, and the current ring is kept.
 *
 * A worker may die at any point of a change.  Then all accepted ids are known
 * but those that the change was going to forget.
 *
 * All functions are called with the zone locked.
 */

#ifndef _NGX_HTTP_TGBOT_DEDUP_RING_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEDUP_RING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* in shared memory; zeroed: the ring is empty, its bits may be garbage */

typedef struct {
    int64_t                           top[2];  /* highest id: top[turn] */
    uint32_t                          turn;
    uint32_t                          valid;
} ngx_http_tgbot_dedup_ring_sh_t;


typedef struct {
    ngx_http_tgbot_dedup_ring_sh_t    ring[2];
    uint32_t                          last;    /* ring that moved last */
} ngx_http_tgbot_dedup_rings_sh_t;


typedef struct {
    ngx_http_tgbot_dedup_rings_sh_t  *sh;
    u_char                           *bits;    /* window / 8 bytes a ring */
    uint64_t                          window;  /* ids, a power of two */
} ngx_http_tgbot_dedup_rings_t;


/* bytes of both rings */
#define ngx_http_tgbot_dedup_rings_size(window)  ((size_t) (window) / 8 * 2)


/* whether the id is accepted */
ngx_uint_t ngx_http_tgbot_dedup_ring_test(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t id);

/*
 * If the id is far from both rings, empties the ring that did not move last (or
 * a ring not in use) and starts it at this id.  Returns 1 if it did so while a
 * ring was in use.
 */
ngx_uint_t ngx_http_tgbot_dedup_ring_reach(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t id);

/* moves the ring nearest to the id, so that the ring has a bit for the id */
void ngx_http_tgbot_dedup_ring_move(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t id);

/* sets the bit of the id in one store, if a ring has a bit for the id */
void ngx_http_tgbot_dedup_ring_set(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t id);

/* the highest id of ring n, or 0 if the ring is not in use */
int64_t ngx_http_tgbot_dedup_ring_top(ngx_http_tgbot_dedup_rings_t *rings,
    ngx_uint_t n);


#endif /* _NGX_HTTP_TGBOT_DEDUP_RING_H_INCLUDED_ */
