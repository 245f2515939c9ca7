
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup_ring.h"
#include "ngx_http_tgbot_zone.h"


#define NGX_HTTP_TGBOT_DEDUP_NO_RING  2


static ngx_uint_t ngx_http_tgbot_dedup_ring_holds(
    ngx_http_tgbot_dedup_rings_t *rings, ngx_uint_t n, int64_t id);
static ngx_uint_t ngx_http_tgbot_dedup_ring_nearest(
    ngx_http_tgbot_dedup_rings_t *rings, int64_t id);
static uint64_t ngx_http_tgbot_dedup_ring_distance(
    ngx_http_tgbot_dedup_rings_t *rings, ngx_uint_t n, int64_t id);
static void ngx_http_tgbot_dedup_ring_open(ngx_http_tgbot_dedup_rings_t *rings,
    ngx_uint_t n, int64_t id);
static void ngx_http_tgbot_dedup_ring_advance(
    ngx_http_tgbot_dedup_rings_t *rings, ngx_uint_t n, int64_t id);
static void ngx_http_tgbot_dedup_ring_clear(u_char *bits, uint64_t from,
    uint64_t to);


#define ngx_http_tgbot_dedup_ring_bits(rings, n)                              \
    ((rings)->bits + (n) * (size_t) ((rings)->window / 8))

#define ngx_http_tgbot_dedup_ring_bit(rings, id)                              \
    ((uint64_t) (id) & ((rings)->window - 1))

/* the highest id of a ring in use */
#define ngx_http_tgbot_dedup_ring_highest(rings, n)                           \
    ((rings)->sh->ring[n].top[(rings)->sh->ring[n].turn & 1])


ngx_uint_t
ngx_http_tgbot_dedup_ring_test(ngx_http_tgbot_dedup_rings_t *rings, int64_t id)
{
    u_char      *bits;
    uint64_t     bit;
    ngx_uint_t   n;

    bit = ngx_http_tgbot_dedup_ring_bit(rings, id);

    /* both rings may cover the id, and either may have its bit */

    for (n = 0; n < 2; n++) {

        if (!ngx_http_tgbot_dedup_ring_holds(rings, n, id)) {
            continue;
        }

        bits = ngx_http_tgbot_dedup_ring_bits(rings, n);

        if (bits[bit / 8] & (1 << bit % 8)) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_tgbot_dedup_ring_reach(ngx_http_tgbot_dedup_rings_t *rings, int64_t id)
{
    ngx_uint_t                        n, rebased;
    ngx_http_tgbot_dedup_rings_sh_t  *sh;

    sh = rings->sh;

    if (ngx_http_tgbot_dedup_ring_nearest(rings, id)
        != NGX_HTTP_TGBOT_DEDUP_NO_RING)
    {
        return 0;
    }

    rebased = sh->ring[0].valid || sh->ring[1].valid;

    n = sh->last & 1;

    ngx_http_tgbot_dedup_ring_open(rings, sh->ring[n].valid ? !n : n, id);

    return rebased;
}


void
ngx_http_tgbot_dedup_ring_move(ngx_http_tgbot_dedup_rings_t *rings, int64_t id)
{
    ngx_uint_t  n;

    n = ngx_http_tgbot_dedup_ring_nearest(rings, id);

    if (n == NGX_HTTP_TGBOT_DEDUP_NO_RING) {
        (void) ngx_http_tgbot_dedup_ring_reach(rings, id);
        n = ngx_http_tgbot_dedup_ring_nearest(rings, id);
    }

    if (id <= ngx_http_tgbot_dedup_ring_highest(rings, n)) {
        return;
    }

    ngx_http_tgbot_dedup_ring_advance(rings, n, id);

    /*
     * A ring counts as current only when an id moves it: a single forged id
     * opens a ring, but does not move it.
     */

    rings->sh->last = n;
}


void
ngx_http_tgbot_dedup_ring_set(ngx_http_tgbot_dedup_rings_t *rings, int64_t id)
{
    u_char      *bits;
    uint64_t     bit;
    ngx_uint_t   n;

    n = ngx_http_tgbot_dedup_ring_nearest(rings, id);

    if (n == NGX_HTTP_TGBOT_DEDUP_NO_RING
        || !ngx_http_tgbot_dedup_ring_holds(rings, n, id))
    {
        return;
    }

    bit = ngx_http_tgbot_dedup_ring_bit(rings, id);
    bits = ngx_http_tgbot_dedup_ring_bits(rings, n);

    bits[bit / 8] |= (u_char) (1 << bit % 8);
}


int64_t
ngx_http_tgbot_dedup_ring_top(ngx_http_tgbot_dedup_rings_t *rings, ngx_uint_t n)
{
    return rings->sh->ring[n].valid
           ? ngx_http_tgbot_dedup_ring_highest(rings, n) : 0;
}


static ngx_uint_t
ngx_http_tgbot_dedup_ring_holds(ngx_http_tgbot_dedup_rings_t *rings,
    ngx_uint_t n, int64_t id)
{
    return rings->sh->ring[n].valid
           && id <= ngx_http_tgbot_dedup_ring_highest(rings, n)
           && ngx_http_tgbot_dedup_ring_distance(rings, n, id)
              < rings->window;
}


/* the ring whose top is nearest to the id, and less than "window" away */

static ngx_uint_t
ngx_http_tgbot_dedup_ring_nearest(ngx_http_tgbot_dedup_rings_t *rings,
    int64_t id)
{
    uint64_t    distance, least;
    ngx_uint_t  n, nearest;

    nearest = NGX_HTTP_TGBOT_DEDUP_NO_RING;
    least = rings->window;

    for (n = 0; n < 2; n++) {

        if (!rings->sh->ring[n].valid) {
            continue;
        }

        distance = ngx_http_tgbot_dedup_ring_distance(rings, n, id);

        if (distance < least) {
            least = distance;
            nearest = n;
        }
    }

    return nearest;
}


/* of a ring in use; unsigned, as a forged id may be any 64-bit number */

static uint64_t
ngx_http_tgbot_dedup_ring_distance(ngx_http_tgbot_dedup_rings_t *rings,
    ngx_uint_t n, int64_t id)
{
    int64_t  top;

    top = ngx_http_tgbot_dedup_ring_highest(rings, n);

    return (id > top) ? (uint64_t) id - (uint64_t) top
                      : (uint64_t) top - (uint64_t) id;
}


static void
ngx_http_tgbot_dedup_ring_open(ngx_http_tgbot_dedup_rings_t *rings,
    ngx_uint_t n, int64_t id)
{
    ngx_http_tgbot_dedup_ring_sh_t  *ring;

    ring = &rings->sh->ring[n];

    ring->valid = 0;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: ring closed");

    ngx_memzero(ngx_http_tgbot_dedup_ring_bits(rings, n),
                (size_t) (rings->window / 8));

    ring->turn = 0;
    ring->top[0] = id;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: ring emptied");

    ring->valid = 1;

    ngx_memory_barrier();
}


/*
 * New ids use the bits of the ids that leave the window, so these bits are
 * cleared before the top moves.  The new top is written beside the old top,
 * because not every machine stores 64 bits at once.
 */

static void
ngx_http_tgbot_dedup_ring_advance(ngx_http_tgbot_dedup_rings_t *rings,
    ngx_uint_t n, int64_t id)
{
    u_char                          *bits;
    uint32_t                         turn;
    uint64_t                         from, to;
    ngx_http_tgbot_dedup_ring_sh_t  *ring;

    ring = &rings->sh->ring[n];
    turn = ring->turn & 1;

    bits = ngx_http_tgbot_dedup_ring_bits(rings, n);

    from = ngx_http_tgbot_dedup_ring_bit(rings, (uint64_t) ring->top[turn] + 1);
    to = ngx_http_tgbot_dedup_ring_bit(rings, id);

    if (from <= to) {
        ngx_http_tgbot_dedup_ring_clear(bits, from, to);

    } else {
        ngx_http_tgbot_dedup_ring_clear(bits, from, rings->window - 1);
        ngx_http_tgbot_dedup_ring_clear(bits, 0, to);
    }

    ring->top[!turn] = id;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("dedup: ring cleared");

    ring->turn = !turn;

    ngx_memory_barrier();
}


/* clears the bits "from" to "to", both included */

static void
ngx_http_tgbot_dedup_ring_clear(u_char *bits, uint64_t from, uint64_t to)
{
    u_char  first, last;

    /* bits of the first and of the last byte that stay */

    first = (u_char) ((1 << from % 8) - 1);
    last = (u_char) (0xff << (to % 8 + 1));

    from /= 8;
    to /= 8;

    if (from == to) {
        bits[from] &= first | last;
        return;
    }

    bits[from] &= first;

    ngx_memzero(bits + from + 1, (size_t) (to - from - 1));

    bits[to] &= last;
}
