
#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include "ngx_http_tgbot_cache.h"
#include "unit.h"
#include "zones.h"


/* bytes of an answer in the first block of an entry, and in another */
#define FIRST  (OTHER - sizeof(ngx_http_tgbot_cache_entry_t))
#define OTHER  NGX_HTTP_TGBOT_CHAIN_DATA

#define NONE   NGX_HTTP_TGBOT_LIST_NIL

#define VALID  60000


/* the expected content of the zone, searched without an index */

typedef struct {
    ngx_uint_t               used;
    uint32_t                 id;
    ngx_uint_t               state;
    ngx_uint_t               blocks;
    size_t                   len;
    uint32_t                 seed;
    ngx_msec_t               since;
    ngx_msec_t               valid;
    uint64_t                 stamp;        /* time it was inserted */
    ngx_http_tgbot_lease_t   lease;
} test_entry_t;


typedef struct {
    test_entry_t             entries[128];
    ngx_uint_t               total;
    uint64_t                 stamp;
    ngx_uint_t               evicted;
} test_model_t;


static ngx_http_tgbot_zone_t *test_zone(ngx_uint_t blocks);
static ngx_http_tgbot_cache_sh_t *test_sh(ngx_http_tgbot_zone_t *zone);
static void test_key(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_zone_t *zone, const char *bot, uint32_t id);
static ngx_int_t test_get(ngx_http_tgbot_zone_t *zone, uint32_t id);
static void test_take(ngx_http_tgbot_cache_t *cache,
    ngx_http_tgbot_zone_t *zone, uint32_t id);
static ngx_int_t test_put(ngx_http_tgbot_zone_t *zone, uint32_t id,
    size_t len, uint32_t seed, ngx_msec_t valid);
static ngx_str_t test_value(size_t len, uint32_t seed);
static ngx_uint_t test_is_value(ngx_str_t *value, size_t len, uint32_t seed);
static void test_mark(u_char *marks, uint32_t blocks, uint32_t n);
static void test_sound(ngx_http_tgbot_zone_t *zone);
static uint64_t test_random(void);


/* a zone of exactly so many blocks */

static ngx_http_tgbot_zone_t *
test_zone(ngx_uint_t blocks)
{
    ngx_http_tgbot_zone_t  *zone;

    zone = unit_zone(&ngx_http_tgbot_cache_zone,
                     sizeof(ngx_http_tgbot_cache_sh_t) + NGX_CPU_CACHE_LINE
                     + blocks * (NGX_HTTP_TGBOT_CHAIN_BLOCK
                                 + NGX_HTTP_TGBOT_CACHE_HEADS),
                     NULL, 0);

    is_int(test_sh(zone)->chain.total, blocks);

    return zone;
}


static ngx_http_tgbot_cache_sh_t *
test_sh(ngx_http_tgbot_zone_t *zone)
{
    return (ngx_http_tgbot_cache_sh_t *) ngx_http_tgbot_zone_data(zone->sh);
}


static void
test_key(ngx_http_tgbot_cache_t *cache, ngx_http_tgbot_zone_t *zone,
    const char *bot, uint32_t id)
{
    char       buf[16];
    ngx_str_t  name, key;

    name.data = (u_char *) bot;
    name.len = strlen(bot);

    key.data = (u_char *) buf;
    key.len = snprintf(buf, sizeof(buf), "%u", id);

    ngx_http_tgbot_cache_key(cache, zone, &name, 7, &key);
}


/* looks up an entry but does not take its lock */

static ngx_int_t
test_get(ngx_http_tgbot_zone_t *zone, uint32_t id)
{
    ngx_int_t               rc;
    ngx_str_t               value;
    ngx_http_tgbot_cache_t  cache;

    test_key(&cache, zone, "shop", id);

    rc = ngx_http_tgbot_cache_get(&cache, 0, &value);

    is_int(cache.lease.token, 0);

    return rc;
}


static void
test_take(ngx_http_tgbot_cache_t *cache, ngx_http_tgbot_zone_t *zone,
    uint32_t id)
{
    ngx_str_t  value;

    test_key(cache, zone, "shop", id);

    is_int(ngx_http_tgbot_cache_get(cache, 1, &value), NGX_DECLINED);
    ok(ngx_http_tgbot_lease_alive(&cache->lease));
}


static ngx_int_t
test_put(ngx_http_tgbot_zone_t *zone, uint32_t id, size_t len, uint32_t seed,
    ngx_msec_t valid)
{
    ngx_int_t               rc;
    ngx_str_t               value;
    ngx_http_tgbot_cache_t  cache;

    test_take(&cache, zone, id);

    value = test_value(len, seed);

    rc = ngx_http_tgbot_cache_fill(&cache, &value, valid);

    is_int(cache.lease.token, 0);

    return rc;
}


static ngx_str_t
test_value(size_t len, uint32_t seed)
{
    size_t     i;
    ngx_str_t  value;

    static u_char  buf[2 * NGX_HTTP_TGBOT_CACHE_SIZE];

    value.len = len;

    /* at the end of buf, so that a read past its end is detected */

    value.data = buf + sizeof(buf) - len;

    for (i = 0; i < len; i++) {
        value.data[i] = (u_char) (seed * 31 + i * 7 + i / 256);
    }

    return value;
}


static ngx_uint_t
test_is_value(ngx_str_t *value, size_t len, uint32_t seed)
{
    ngx_str_t  expected;

    expected = test_value(len, seed);

    return value->len == len
           && ngx_memcmp(value->data, expected.data, len) == 0;
}


static void
test_mark(u_char *marks, uint32_t blocks, uint32_t n)
{
    if (ok(n < blocks)) {
        is_int(marks[n], 0);
        marks[n] = 1;
    }
}


/* each block is free, never used, or in one entry, found in table and list */

static void
test_sound(ngx_http_tgbot_zone_t *zone)
{
    uint32_t                       i, n, b, before, hash, blocks, *next;
    ngx_uint_t                     list, found, listed, free, used;
    ngx_http_tgbot_cache_sh_t     *sh;
    ngx_http_tgbot_cache_area_t    area;
    ngx_http_tgbot_cache_entry_t  *entry;

    static u_char  marks[4096];

    sh = test_sh(zone);
    ngx_http_tgbot_cache_open(&area, zone);

    if (!ok(sh->chain.total <= sizeof(marks))
        || !ok(sh->chain.used <= sh->chain.total))
    {
        return;
    }

    is_int(zone->rt->dirty, 0);

    ngx_memzero(marks, sizeof(marks));

    found = 0;
    used = 0;

    for (i = 0; i <= sh->mask; i++) {
        for (n = sh->table[i]; n != NONE; n = entry->chain) {
            entry = ngx_http_tgbot_cache_entry(&area, n);
            found++;

            ngx_memcpy(&hash, entry->key, sizeof(uint32_t));
            is_int(hash & sh->mask, i);
            is_int(ngx_http_tgbot_cache_find(&area, entry->key), n);

            blocks = 0;

            for (b = n; b != NONE; b = *next) {
                test_mark(marks, sh->chain.used, b);
                blocks++;

                next = (uint32_t *) ngx_http_tgbot_cache_entry(&area, b) - 1;

                if (blocks > sh->chain.total) {
                    ok(0);
                    return;
                }
            }

            is_int(blocks, ngx_http_tgbot_cache_needs(entry->length));

            if (entry->state != NGX_HTTP_TGBOT_CACHE_READY) {
                is_int(blocks, 1);
            }

            used += blocks;
        }
    }

    is_int(found, sh->entries);
    is_int(used, sh->chain.total - ngx_http_tgbot_chain_room(&sh->chain));

    listed = 0;

    for (list = 0; list < NGX_HTTP_TGBOT_CACHE_LISTS; list++) {
        before = NONE;

        for (n = sh->lists[list].first; n != NONE; n = entry->link.next) {
            entry = ngx_http_tgbot_cache_entry(&area, n);

            is_int(entry->link.prev, before);
            is_int(entry->state == NGX_HTTP_TGBOT_CACHE_FILLING, list);
            is_int(ngx_http_tgbot_cache_find(&area, entry->key), n);

            before = n;

            if (++listed > sh->entries) {
                ok(0);
                return;
            }
        }

        is_int(sh->lists[list].last, before);
    }

    is_int(listed, found);

    free = 0;

    for (n = sh->chain.free; n != NONE; n = *next) {
        test_mark(marks, sh->chain.used, n);
        free++;

        next = (uint32_t *) ngx_http_tgbot_cache_entry(&area, n) - 1;

        if (free > sh->chain.total) {
            ok(0);
            return;
        }
    }

    is_int(used + free, sh->chain.used);
}


static uint64_t
test_random(void)
{
    static uint64_t  x = 88172645463325252ULL;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;

    return (x * 2685821657736338717ULL) >> 16;
}


static void
test_codes(void)
{
    ngx_str_t                     value;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_cache_t        one, two;
    ngx_http_tgbot_cache_state_t  state;

    zone = test_zone(16);

    unit_context("a miss");
    is_int(test_get(zone, 1), NGX_DECLINED);
    ngx_http_tgbot_cache_state(zone, &state);
    is_int(state.entries, 0);
    is_int(state.used, 0);
    is_int(state.total, 16);

    unit_context("a miss that is taken");
    test_take(&one, zone, 1);
    ngx_http_tgbot_cache_state(zone, &state);
    is_int(state.entries, 1);
    is_int(state.used, 1);

    unit_context("being filled");
    test_key(&two, zone, "shop", 1);
    is_int(ngx_http_tgbot_cache_get(&two, 1, &value), NGX_BUSY);
    is_int(two.lease.token, 0);
    is_int(test_get(zone, 1), NGX_BUSY);

    unit_context("filled");
    value = test_value(FIRST + 1, 5);
    is_int(ngx_http_tgbot_cache_fill(&one, &value, VALID), NGX_OK);
    is_int(one.lease.token, 0);
    ngx_http_tgbot_cache_state(zone, &state);
    is_int(state.entries, 1);
    is_int(state.used, 2);

    unit_context("a hit");
    is_int(ngx_http_tgbot_cache_get(&two, 1, &value), NGX_OK);
    ok(test_is_value(&value, FIRST + 1, 5));
    is_int(two.lease.token, 0);

    unit_context("filled twice");
    value = test_value(3, 6);
    is_int(ngx_http_tgbot_cache_fill(&one, &value, VALID), NGX_DECLINED);
    is_int(ngx_http_tgbot_cache_get(&two, 0, &value), NGX_OK);
    ok(test_is_value(&value, FIRST + 1, 5));

    unit_context("released when it was filled");
    ngx_http_tgbot_cache_release(&one, 0);
    ngx_http_tgbot_cache_release(&one, VALID);
    is_int(test_get(zone, 1), NGX_OK);

    unit_context("released");
    test_take(&one, zone, 2);
    ngx_http_tgbot_cache_release(&one, 0);
    is_int(one.lease.token, 0);
    is_int(test_get(zone, 2), NGX_DECLINED);
    test_take(&two, zone, 2);
    ngx_http_tgbot_cache_release(&two, 0);

    unit_context("never taken");
    test_key(&one, zone, "shop", 3);
    value = test_value(3, 6);
    is_int(ngx_http_tgbot_cache_fill(&one, &value, VALID), NGX_DECLINED);
    ngx_http_tgbot_cache_release(&one, VALID);
    is_int(test_get(zone, 3), NGX_DECLINED);

    unit_context("empty");
    ngx_str_null(&value);
    test_take(&one, zone, 3);
    is_int(ngx_http_tgbot_cache_fill(&one, &value, VALID), NGX_OK);
    value.len = 77;
    is_int(ngx_http_tgbot_cache_get(&one, 1, &value), NGX_OK);
    is_int(value.len, 0);

    is_int(zone->sh->evicted, 0);
    is_int(zone->sh->repaired, 0);
    test_sound(zone);

    unit_zone_free(zone);
}


static void
test_pass(void)
{
    ngx_str_t                     value;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_cache_t        one, two;
    ngx_http_tgbot_cache_state_t  state;

    zone = test_zone(16);

    test_take(&one, zone, 1);
    ngx_http_tgbot_cache_release(&one, 1000);
    is_int(one.lease.token, 0);

    test_key(&two, zone, "shop", 1);
    is_int(ngx_http_tgbot_cache_get(&two, 1, &value), NGX_ABORT);
    is_int(two.lease.token, 0);
    is_int(test_get(zone, 1), NGX_ABORT);

    ngx_current_msec += 999;
    is_int(test_get(zone, 1), NGX_ABORT);
    ngx_current_msec += 1;
    is_int(test_get(zone, 1), NGX_DECLINED);

    unit_context("more than a quarter of the zone");
    is_int(test_put(zone, 2, FIRST + 3 * OTHER, 1, 1000), NGX_OK);
    is_int(test_put(zone, 3, FIRST + 3 * OTHER + 1, 1, 1000), NGX_DECLINED);
    is_int(test_get(zone, 2), NGX_OK);
    is_int(test_get(zone, 3), NGX_ABORT);
    ngx_http_tgbot_cache_state(zone, &state);
    is_int(state.entries, 2);
    is_int(state.used, 5);
    test_sound(zone);

    ngx_current_msec += 1000;
    is_int(test_get(zone, 3), NGX_DECLINED);
    is_int(test_put(zone, 3, 5, 1, 1000), NGX_OK);
    unit_zone_free(zone);

    unit_context("more than is ever kept");
    zone = test_zone(1024);
    is_int(test_put(zone, 1, NGX_HTTP_TGBOT_CACHE_SIZE, 1, 1000), NGX_OK);
    is_int(test_put(zone, 2, NGX_HTTP_TGBOT_CACHE_SIZE + 1, 1, 1000),
           NGX_DECLINED);
    is_int(test_get(zone, 1), NGX_OK);
    is_int(test_get(zone, 2), NGX_ABORT);
    is_int(zone->sh->evicted, 0);
    test_sound(zone);
    unit_zone_free(zone);
}


static void
test_sizes(void)
{
    size_t                  len, edge;
    ngx_int_t               i, d;
    ngx_str_t               value;
    ngx_uint_t              n;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_cache_t  cache;

    zone = test_zone(1024);
    n = 0;

    for (i = -1; i <= (ngx_int_t) (NGX_HTTP_TGBOT_CACHE_SIZE / OTHER); i++) {
        edge = (i < 0) ? 2 : FIRST + i * OTHER;

        for (d = -2; d <= 2; d++) {
            len = edge + d;

            if (len > NGX_HTTP_TGBOT_CACHE_SIZE) {
                continue;
            }

            unit_context("%d bytes", (int) len);

            n++;
            is_int(test_put(zone, n, len, n, VALID), NGX_OK);

            test_key(&cache, zone, "shop", n);
            is_int(ngx_http_tgbot_cache_get(&cache, 0, &value), NGX_OK);
            ok(test_is_value(&value, len, n));
            test_sound(zone);
        }
    }

    ok(n > 600);
    ok(zone->sh->evicted > 100);

    for (len = 0; len <= NGX_HTTP_TGBOT_CACHE_SIZE; len += 997) {
        unit_context("%d bytes", (int) len);

        n++;
        is_int(test_put(zone, n, len, n, VALID), NGX_OK);

        test_key(&cache, zone, "shop", n);
        is_int(ngx_http_tgbot_cache_get(&cache, 0, &value), NGX_OK);
        ok(test_is_value(&value, len, n));
    }

    is_int(test_put(zone, 1, NGX_HTTP_TGBOT_CACHE_SIZE, 3, VALID), NGX_OK);
    test_key(&cache, zone, "shop", 1);
    is_int(ngx_http_tgbot_cache_get(&cache, 0, &value), NGX_OK);
    ok(test_is_value(&value, NGX_HTTP_TGBOT_CACHE_SIZE, 3));

    test_sound(zone);
    unit_zone_free(zone);
}


/* zones of any size are cut up to their last byte, and not beyond */

static void
test_rooms(void)
{
    size_t                      room;
    uint32_t                    i;
    ngx_http_tgbot_zone_t      *zone;
    ngx_http_tgbot_cache_sh_t  *sh;

    for (room = ngx_http_tgbot_cache_zone.min;
         room < ngx_http_tgbot_cache_zone.min + 40000;
         room += 31)
    {
        unit_context("room %d", (int) room);

        zone = unit_zone(&ngx_http_tgbot_cache_zone, room, NULL, 0);
        sh = test_sh(zone);

        ok(sh->chain.total >= 16);
        ok(sh->mask >= sh->chain.total - 1);
        is_int(sh->offset % NGX_CPU_CACHE_LINE, 0);
        ok(sh->offset >= sizeof(ngx_http_tgbot_cache_sh_t)
                         + (sh->mask + 1) * sizeof(uint32_t));
        ok(sh->offset + (size_t) sh->chain.total * NGX_HTTP_TGBOT_CHAIN_BLOCK
           <= room);

        for (i = 0; i < sh->chain.total; i++) {
            is_int(test_put(zone, i, FIRST, i, VALID), NGX_OK);
        }

        is_int(ngx_http_tgbot_chain_room(&sh->chain), 0);
        is_int(zone->sh->evicted, 0);
        test_sound(zone);

        unit_zone_free(zone);
    }
}


static void
test_expiry(void)
{
    ngx_uint_t              i;
    ngx_msec_t              saved;
    ngx_http_tgbot_zone_t  *zone;

    static const ngx_msec_t  starts[] = {
        0, 1, 1000000, (ngx_msec_t) -1, (ngx_msec_t) -500,
        (ngx_msec_t) -1000, ((ngx_msec_t) -1) / 2,
        ((ngx_msec_t) -1) / 2 - 500
    };

    saved = ngx_current_msec;
    zone = test_zone(16);

    for (i = 0; i < unit_n(starts); i++) {
        unit_context("start %d", (int) i);

        ngx_current_msec = starts[i];
        is_int(test_put(zone, 1, 600, 1, 1000), NGX_OK);
        is_int(test_get(zone, 1), NGX_OK);

        ngx_current_msec += 999;
        is_int(test_get(zone, 1), NGX_OK);

        /* a worker whose clock is behind */

        ngx_current_msec = starts[i] - 1;
        is_int(test_get(zone, 1), NGX_OK);
        ngx_current_msec = starts[i] - NGX_HTTP_TGBOT_LEASE_LIFE;
        is_int(test_get(zone, 1), NGX_OK);

        ngx_current_msec = starts[i] + 1000;
        is_int(test_get(zone, 1), NGX_DECLINED);

        /* an expired entry is gone and does not come back */

        ngx_current_msec = starts[i];
        is_int(test_get(zone, 1), NGX_DECLINED);

        /* the same for an entry that was not looked up in the meantime */

        is_int(test_put(zone, 1, 600, 1, 1000), NGX_OK);
        ngx_current_msec = starts[i] + ((ngx_msec_t) -1) / 2 + 2;
        is_int(test_get(zone, 1), NGX_DECLINED);

        ngx_current_msec = starts[i];
        is_int(test_put(zone, 1, 600, 1, 1000), NGX_OK);
        ngx_current_msec = starts[i] - NGX_HTTP_TGBOT_LEASE_LIFE - 1;
        is_int(test_get(zone, 1), NGX_DECLINED);

        ngx_current_msec = starts[i];
        is_int(test_put(zone, 1, 600, 1, (ngx_msec_t) -1), NGX_OK);
        ngx_current_msec = starts[i] + NGX_MAX_INT32_VALUE - 1;
        is_int(test_get(zone, 1), NGX_OK);
        ngx_current_msec = starts[i] + NGX_MAX_INT32_VALUE;
        is_int(test_get(zone, 1), NGX_DECLINED);

        test_sound(zone);
    }

    /* the age of a refreshed entry begins at its last put */

    ngx_current_msec = 5000;
    is_int(test_put(zone, 1, 600, 1, 1000), NGX_OK);
    ngx_current_msec = 6000;
    is_int(test_put(zone, 1, 700, 2, 1000), NGX_OK);
    ngx_current_msec = 6999;
    is_int(test_get(zone, 1), NGX_OK);

    is_int(zone->sh->evicted, 0);

    ngx_current_msec = saved;
    unit_zone_free(zone);
}


static void
test_take_over(void)
{
    ngx_str_t               value;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_cache_t  dead, hung, heir;

    zone = test_zone(16);

    unit_context("of a dead process");
    unit_slot_be(1);
    test_take(&dead, zone, 1);

    unit_slot_be(2);
    is_int(test_get(zone, 1), NGX_BUSY);
    unit_slot_die(1);
    test_take(&heir, zone, 1);
    is_int(test_get(zone, 1), NGX_BUSY);

    value = test_value(10, 1);
    is_int(ngx_http_tgbot_cache_fill(&dead, &value, VALID), NGX_DECLINED);
    is_int(dead.lease.token, 0);
    is_int(test_get(zone, 1), NGX_BUSY);

    value = test_value(20, 2);
    is_int(ngx_http_tgbot_cache_fill(&heir, &value, VALID), NGX_OK);
    test_key(&heir, zone, "shop", 1);
    is_int(ngx_http_tgbot_cache_get(&heir, 0, &value), NGX_OK);
    ok(test_is_value(&value, 20, 2));

    unit_context("of a hung process that wakes up");
    unit_slot_be(3);
    test_take(&hung, zone, 2);
    unit_slot_hang(3, 1);

    unit_slot_be(2);
    test_take(&heir, zone, 2);
    unit_slot_hang(3, 0);

    unit_slot_be(3);
    ngx_http_tgbot_cache_release(&hung, VALID);
    is_int(test_get(zone, 2), NGX_BUSY);

    test_key(&hung, zone, "shop", 2);
    is_int(ngx_http_tgbot_cache_get(&hung, 1, &value), NGX_BUSY);

    unit_slot_be(2);
    value = test_value(30, 3);
    is_int(ngx_http_tgbot_cache_fill(&heir, &value, VALID), NGX_OK);

    unit_context("seen by one who does not take it");
    unit_slot_be(3);
    test_take(&hung, zone, 3);
    unit_slot_hang(3, 1);
    unit_slot_be(2);
    is_int(test_get(zone, 3), NGX_DECLINED);
    unit_slot_hang(3, 0);
    value = test_value(30, 3);
    is_int(ngx_http_tgbot_cache_fill(&hung, &value, VALID), NGX_DECLINED);
    is_int(test_get(zone, 3), NGX_DECLINED);

    unit_context("not of a process that lives, however long");
    unit_slot_be(3);
    test_take(&hung, zone, 4);
    unit_slot_be(2);
    ngx_current_msec += 24 * 3600 * 1000;
    is_int(test_get(zone, 4), NGX_BUSY);
    value = test_value(30, 3);
    is_int(ngx_http_tgbot_cache_fill(&hung, &value, VALID), NGX_OK);
    is_int(test_get(zone, 4), NGX_OK);

    test_sound(zone);
    unit_slot_be(0);
    unit_zone_free(zone);
}


static void
test_eviction(void)
{
    uint32_t                i;
    ngx_str_t               value;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_cache_t  cache, held[16];

    unit_context("least recently used");
    zone = test_zone(16);

    for (i = 0; i < 16; i++) {
        is_int(test_put(zone, i, 10, i, VALID), NGX_OK);
    }

    is_int(zone->sh->evicted, 0);
    is_int(test_get(zone, 0), NGX_OK);

    is_int(test_put(zone, 16, 10, 16, VALID), NGX_OK);
    is_int(zone->sh->evicted, 1);
    is_int(test_get(zone, 1), NGX_DECLINED);
    is_int(test_get(zone, 0), NGX_OK);

    unit_context("as many as it takes");
    is_int(test_put(zone, 17, FIRST + 3 * OTHER, 17, VALID), NGX_OK);
    is_int(zone->sh->evicted, 5);

    for (i = 2; i <= 5; i++) {
        is_int(test_get(zone, i), NGX_DECLINED);
    }

    for (i = 6; i <= 17; i++) {
        is_int(test_get(zone, i), NGX_OK);
    }

    unit_context("what is passed by is used, too");
    test_take(&cache, zone, 18);
    ngx_http_tgbot_cache_release(&cache, VALID);
    is_int(test_get(zone, 0), NGX_DECLINED);
    is_int(zone->sh->evicted, 6);

    for (i = 6; i <= 17; i++) {
        is_int(test_get(zone, i), NGX_OK);
    }

    is_int(test_get(zone, 18), NGX_ABORT);
    is_int(test_put(zone, 19, 1, 1, VALID), NGX_OK);
    is_int(test_get(zone, 6), NGX_DECLINED);
    is_int(test_get(zone, 18), NGX_ABORT);

    test_sound(zone);
    unit_zone_free(zone);

    unit_context("what has ended is not counted");
    zone = test_zone(16);

    for (i = 0; i < 16; i++) {
        is_int(test_put(zone, i, 10, i, 1000), NGX_OK);
    }

    ngx_current_msec += 1000;
    is_int(test_put(zone, 16, 10, 1, VALID), NGX_OK);
    is_int(zone->sh->evicted, 0);
    unit_zone_free(zone);

    unit_context("what is being filled comes last");
    zone = test_zone(16);

    for (i = 0; i < 15; i++) {
        test_take(&held[i], zone, i);
    }

    is_int(test_put(zone, 100, 10, 1, VALID), NGX_OK);
    is_int(test_put(zone, 101, 10, 1, VALID), NGX_OK);
    is_int(test_get(zone, 100), NGX_DECLINED);
    is_int(test_get(zone, 101), NGX_OK);
    is_int(test_get(zone, 0), NGX_BUSY);
    is_int(zone->sh->evicted, 1);

    unit_context("but one's own entry does not make room for itself");
    value = test_value(FIRST + 3 * OTHER, 7);
    is_int(ngx_http_tgbot_cache_fill(&held[0], &value, VALID), NGX_OK);
    is_int(zone->sh->evicted, 4);
    is_int(test_get(zone, 0), NGX_OK);
    is_int(test_get(zone, 101), NGX_DECLINED);
    is_int(test_get(zone, 1), NGX_DECLINED);
    is_int(test_get(zone, 2), NGX_DECLINED);
    is_int(test_get(zone, 3), NGX_BUSY);
    test_sound(zone);

    unit_context("and the lease is lost then");
    value = test_value(5, 7);
    is_int(ngx_http_tgbot_cache_fill(&held[1], &value, VALID), NGX_DECLINED);
    test_take(&cache, zone, 2);
    ngx_http_tgbot_cache_release(&held[2], 0);
    is_int(test_get(zone, 2), NGX_BUSY);
    is_int(ngx_http_tgbot_cache_fill(&held[2], &value, VALID), NGX_DECLINED);
    is_int(test_get(zone, 2), NGX_BUSY);
    test_sound(zone);
    unit_zone_free(zone);

    unit_context("except of the dead, whose entries come first");
    zone = test_zone(16);

    unit_slot_be(1);
    test_take(&held[0], zone, 0);
    test_take(&held[1], zone, 1);
    unit_slot_be(0);

    for (i = 2; i < 16; i++) {
        is_int(test_put(zone, i, 10, i, VALID), NGX_OK);
    }

    unit_slot_die(1);

    is_int(test_put(zone, 16, 10, 1, VALID), NGX_OK);
    is_int(test_put(zone, 17, 10, 1, VALID), NGX_OK);
    is_int(zone->sh->evicted, 0);

    for (i = 2; i < 18; i++) {
        is_int(test_get(zone, i), NGX_OK);
    }

    test_sound(zone);
    unit_zone_free(zone);
}


static void
test_bots(void)
{
    ngx_uint_t              i, j;
    ngx_str_t               value, bot, key;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_cache_t  one, two;

    static struct {
        ngx_str_t  bot;
        ngx_str_t  key;
        uint64_t   id;
    } rows[] = {
        { ngx_string("a"), ngx_string("b"), 7 },
        { ngx_string("b"), ngx_string("b"), 7 },
        { ngx_string("ab"), ngx_string(""), 7 },
        { ngx_string("a"), ngx_string(""), 7 },
        { ngx_string("a"), ngx_string("\0b"), 7 },
        { ngx_string("a"), ngx_string("b\0"), 7 },
        { ngx_string("a"), ngx_string("b\0b"), 7 },
        { ngx_string("ab"), ngx_string("b"), 7 },
        { ngx_string("A"), ngx_string("b"), 7 },
        { ngx_string("a"), ngx_string("B"), 7 },
        { ngx_string("a"), ngx_string("b"), 8 },
    };

    zone = test_zone(64);

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("row %d", (int) i);

        ngx_http_tgbot_cache_key(&one, zone, &rows[i].bot, rows[i].id,
                                 &rows[i].key);
        is_int(ngx_http_tgbot_cache_get(&one, 1, &value), NGX_DECLINED);

        for (j = i + 1; j < unit_n(rows); j++) {
            ngx_http_tgbot_cache_key(&two, zone, &rows[j].bot, rows[j].id,
                                     &rows[j].key);
            is_int(ngx_http_tgbot_cache_get(&two, 0, &value), NGX_DECLINED);
            ok(ngx_memcmp(one.key, two.key, NGX_HTTP_TGBOT_CACHE_KEY) != 0);
        }

        value = test_value(10 + i, i);
        is_int(ngx_http_tgbot_cache_fill(&one, &value, VALID), NGX_OK);
    }

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("row %d again", (int) i);

        ngx_http_tgbot_cache_key(&one, zone, &rows[i].bot, rows[i].id,
                                 &rows[i].key);
        is_int(ngx_http_tgbot_cache_get(&one, 0, &value), NGX_OK);
        ok(test_is_value(&value, 10 + i, i));
    }

    unit_context("a key of any length");
    ngx_str_set(&bot, "a");
    key = test_value(2 * NGX_HTTP_TGBOT_CACHE_SIZE, 1);

    ngx_http_tgbot_cache_key(&one, zone, &bot, 7, &key);
    key.len--;
    ngx_http_tgbot_cache_key(&two, zone, &bot, 7, &key);
    ok(ngx_memcmp(one.key, two.key, NGX_HTTP_TGBOT_CACHE_KEY) != 0);

    unit_context("by digest");
    ngx_str_set(&key, "b");
    ngx_http_tgbot_cache_key(&one, zone, &bot, 7, &key);

    /* printf 'a\0\7\0\0\0\0\0\0\0b' | md5sum, little-endian */

    ok(ngx_memcmp(one.key,
                  "\xb1\xe8\x7d\x23\xc9\x79\x27\xf1"
                  "\x8d\x0c\xaf\xdb\x62\xea\xa4\x2e",
                  NGX_HTTP_TGBOT_CACHE_KEY)
       == 0);

    test_sound(zone);
    unit_zone_free(zone);
}


/* entries whose keys have the same hash in the table */

static void
test_chains(void)
{
    uint32_t                i, n;
    ngx_str_t               value;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_cache_t  cache;

    zone = test_zone(16);

    for (n = 0; n < 12; n++) {
        test_key(&cache, zone, "shop", 1);
        cache.key[15] = n;
        is_int(ngx_http_tgbot_cache_get(&cache, 1, &value), NGX_DECLINED);
        value = test_value(n, n);
        is_int(ngx_http_tgbot_cache_fill(&cache, &value, 1000 + n), NGX_OK);
        test_sound(zone);
    }

    /* remove from the middle and from both ends */

    for (i = 0; i < 12; i++) {
        n = (i * 5 + 6) % 12;

        test_key(&cache, zone, "shop", 1);
        cache.key[15] = n;
        is_int(ngx_http_tgbot_cache_get(&cache, 0, &value), NGX_OK);
        ok(test_is_value(&value, n, n));

        ngx_current_msec += 1000 + n;
        is_int(ngx_http_tgbot_cache_get(&cache, 0, &value), NGX_DECLINED);
        ngx_current_msec -= 1000 + n;

        test_sound(zone);
    }

    is_int(test_sh(zone)->entries, 0);
    unit_zone_free(zone);
}


static void
test_adopted(void)
{
    ngx_str_t                     value;
    ngx_http_tgbot_zone_t        *zone, *next;
    ngx_http_tgbot_cache_t        cache, held;
    ngx_http_tgbot_cache_state_t  state;

    zone = test_zone(16);

    is_int(test_put(zone, 1, 600, 1, VALID), NGX_OK);
    test_take(&held, zone, 2);

    next = unit_zone_adopt(zone, NULL, 0);

    test_key(&cache, next, "shop", 1);
    is_int(ngx_http_tgbot_cache_get(&cache, 0, &value), NGX_OK);
    ok(test_is_value(&value, 600, 1));
    is_int(test_get(next, 2), NGX_BUSY);

    value = test_value(5, 5);
    is_int(ngx_http_tgbot_cache_fill(&held, &value, VALID), NGX_OK);
    is_int(test_get(next, 2), NGX_OK);

    unit_zone_free(next);

    unit_context("found dirty");
    test_take(&held, zone, 3);
    unit_zone_dirty(zone);
    ngx_http_tgbot_cache_state(zone, &state);
    is_int(state.entries, 0);
    is_int(state.used, 0);
    is_int(state.total, 16);
    is_int(zone->sh->repaired, 1);
    is_int(test_get(zone, 1), NGX_DECLINED);

    value = test_value(5, 5);
    is_int(ngx_http_tgbot_cache_fill(&held, &value, VALID), NGX_DECLINED);
    is_int(test_get(zone, 3), NGX_DECLINED);

    test_sound(zone);

    unit_context("dirty when filled");
    test_take(&held, zone, 3);
    unit_zone_dirty(zone);
    is_int(ngx_http_tgbot_cache_fill(&held, &value, VALID), NGX_DECLINED);
    is_int(test_get(zone, 3), NGX_DECLINED);

    unit_context("dirty when released");
    test_take(&held, zone, 3);
    unit_zone_dirty(zone);
    ngx_http_tgbot_cache_release(&held, VALID);
    is_int(test_get(zone, 3), NGX_DECLINED);
    is_int(zone->sh->repaired, 3);

    test_sound(zone);
    unit_zone_free(zone);
}


/* all operations that change the zone, with keys that may collide */

static void
test_life(ngx_http_tgbot_zone_t *zone)
{
    uint32_t                i;
    ngx_str_t               value;
    ngx_http_tgbot_cache_t  cache;

    for (i = 0; i < 10; i++) {
        test_key(&cache, zone, "shop", i);

        if (ngx_http_tgbot_cache_get(&cache, 1, &value) == NGX_DECLINED) {
            value = test_value(300 * i, i);
            (void) ngx_http_tgbot_cache_fill(&cache, &value, 1000 + i);
        }
    }

    test_key(&cache, zone, "shop", 9);
    (void) ngx_http_tgbot_cache_get(&cache, 1, &value);

    test_key(&cache, zone, "shop", 20);
    (void) ngx_http_tgbot_cache_get(&cache, 1, &value);
    ngx_http_tgbot_cache_release(&cache, 1000);
    (void) ngx_http_tgbot_cache_get(&cache, 1, &value);

    test_key(&cache, zone, "shop", 21);
    (void) ngx_http_tgbot_cache_get(&cache, 1, &value);
    ngx_http_tgbot_cache_release(&cache, 0);

    ngx_current_msec += 1005;

    for (i = 0; i < 10; i++) {
        test_key(&cache, zone, "shop", i);
        (void) ngx_http_tgbot_cache_get(&cache, i & 1, &value);
    }
}


static void
test_killed(void)
{
    static uint32_t                n, i;
    static ngx_uint_t              killed;
    static ngx_http_tgbot_zone_t  *zone;
    static ngx_http_tgbot_cache_t  other;

    ngx_str_t                      value;
    ngx_http_tgbot_cache_state_t   state;

    killed = 0;

    for (n = 1; n < 10000; n++) {
        unit_context("at stop %d", (int) n);

        zone = test_zone(16);

        unit_slot_be(2);
        test_take(&other, zone, 77);

        unit_slot_be(1);

        unit_zone_stop_at = n;

        if (setjmp(unit_zone_killed) == 0) {
            test_life(zone);
            break;
        }

        killed++;
        unit_slot_die(1);
        unit_slot_be(2);

        is_int(zone->rt->dirty, 1);

        for (i = 0; i < 22; i++) {
            is_int(test_get(zone, i), NGX_DECLINED);
        }

        is_int(zone->sh->repaired, 1);
        ngx_http_tgbot_cache_state(zone, &state);
        is_int(state.entries, 0);
        is_int(state.used, 0);
        test_sound(zone);

        value = test_value(5, 5);
        is_int(ngx_http_tgbot_cache_fill(&other, &value, VALID),
               NGX_DECLINED);

        for (i = 0; i < 20; i++) {
            is_int(test_put(zone, i, 100 * i, i, VALID), NGX_OK);
        }

        test_sound(zone);
        unit_zone_free(zone);
    }

    ok(unit_zone_stop_at > 0);
    ok(killed > 80);

    unit_zone_stop_at = 0;

    test_sound(zone);
    unit_slot_be(0);
    unit_zone_free(zone);
}


static test_entry_t *
model_find(test_model_t *model, uint32_t id)
{
    ngx_uint_t  i;

    for (i = 0; i < unit_n(model->entries); i++) {
        if (model->entries[i].used && model->entries[i].id == id) {
            return &model->entries[i];
        }
    }

    return NULL;
}


static ngx_uint_t
model_ended(test_entry_t *e)
{
    return (e->state == NGX_HTTP_TGBOT_CACHE_FILLING)
           ? !ngx_http_tgbot_lease_alive(&e->lease)
           : ngx_current_msec >= e->since + e->valid;
}


static ngx_uint_t
model_used(test_model_t *model, ngx_uint_t *entries)
{
    ngx_uint_t  i, n;

    n = 0;
    *entries = 0;

    for (i = 0; i < unit_n(model->entries); i++) {
        if (model->entries[i].used) {
            n += model->entries[i].blocks;
            (*entries)++;
        }
    }

    return n;
}


static void
model_room(test_model_t *model, ngx_uint_t n, test_entry_t *spare)
{
    ngx_uint_t     i, entries;
    test_entry_t  *e, *kept, *taken;

    while (model->total - model_used(model, &entries) < n) {
        kept = NULL;
        taken = NULL;

        for (i = 0; i < unit_n(model->entries); i++) {
            e = &model->entries[i];

            if (!e->used || e == spare) {
                continue;
            }

            if (e->state == NGX_HTTP_TGBOT_CACHE_FILLING) {
                if (taken == NULL || e->stamp < taken->stamp) {
                    taken = e;
                }

            } else if (kept == NULL || e->stamp < kept->stamp) {
                kept = e;
            }
        }

        e = (kept == NULL || (taken && model_ended(taken))) ? taken : kept;

        model->evicted += !model_ended(e);
        e->used = 0;
    }
}


static ngx_int_t
model_get(test_model_t *model, uint32_t id, ngx_uint_t take,
    ngx_http_tgbot_lease_t *lease)
{
    ngx_uint_t     i;
    test_entry_t  *e;

    e = model_find(model, id);

    if (e && model_ended(e)) {
        e->used = 0;
        e = NULL;
    }

    if (e && e->state == NGX_HTTP_TGBOT_CACHE_FILLING) {
        return NGX_BUSY;
    }

    if (e) {
        e->stamp = ++model->stamp;

        return (e->state == NGX_HTTP_TGBOT_CACHE_PASS) ? NGX_ABORT : NGX_OK;
    }

    if (take) {
        model_room(model, 1, NULL);

        for (i = 0; model->entries[i].used; i++) { /* void */ }

        e = &model->entries[i];
        e->used = 1;
        e->id = id;
        e->state = NGX_HTTP_TGBOT_CACHE_FILLING;
        e->blocks = 1;
        e->lease = *lease;
        e->stamp = ++model->stamp;
    }

    return NGX_DECLINED;
}


static ngx_int_t
model_settle(test_model_t *model, uint32_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t state, size_t len,
    uint32_t seed, ngx_msec_t valid)
{
    test_entry_t  *e;

    e = model_find(model, id);

    if (e == NULL || e->state != NGX_HTTP_TGBOT_CACHE_FILLING
        || e->lease.token != lease->token)
    {
        return NGX_DECLINED;
    }

    if (valid == 0) {
        e->used = 0;
        return NGX_DECLINED;
    }

    e->blocks = (state == NGX_HTTP_TGBOT_CACHE_PASS || len <= FIRST)
                ? 1 : 1 + (len - FIRST + OTHER - 1) / OTHER;

    if (e->blocks > model->total / 4) {
        e->blocks = 1;
        state = NGX_HTTP_TGBOT_CACHE_PASS;
    }

    if (e->blocks > 1) {
        len = e->blocks;
        e->blocks = 1;
        model_room(model, len - 1, e);
        e->blocks = len;
    }

    e->state = state;
    e->seed = seed;
    e->since = ngx_current_msec;
    e->valid = valid;
    e->stamp = ++model->stamp;

    return (state == NGX_HTTP_TGBOT_CACHE_READY) ? NGX_OK : NGX_DECLINED;
}


/* a million keys in the smallest zone, with random operations */

static void
test_million(void)
{
    size_t                   len;
    uint32_t                 id, seed, n;
    ngx_int_t                rc;
    ngx_str_t                value;
    ngx_uint_t               i, take, held, entries, hits, puts;
    ngx_msec_t               valid;
    test_entry_t            *e;
    ngx_http_tgbot_zone_t   *zone;
    ngx_http_tgbot_lease_t   lease;
    ngx_http_tgbot_cache_t   cache;

    static test_model_t  model;

    static struct {
        uint32_t                 id;
        ngx_http_tgbot_cache_t   cache;
    } holds[32];

    zone = unit_zone(&ngx_http_tgbot_cache_zone,
                     ngx_http_tgbot_cache_zone.min, NULL, 0);

    ngx_memzero(&model, sizeof(test_model_t));
    model.total = test_sh(zone)->chain.total;

    is_int(model.total, 16);

    held = 0;
    hits = 0;
    puts = 0;

    for (n = 0; n < 1000000; n++) {

        if (n % 1000 == 0) {
            unit_context("step %d", (int) n);
        }

        unit_slot_be(test_random() % 8);

        /* a few keys are looked up often, most keys once */

        id = (test_random() % 2) ? test_random() % 12 : 1000 + n;
        take = (test_random() % 8 && held < unit_n(holds)) ? 1 : 0;

        test_key(&cache, zone, "shop", id);

        rc = ngx_http_tgbot_cache_get(&cache, take, &value);

        lease = cache.lease;
        is_int(model_get(&model, id, take, &lease), rc);
        is_int(lease.token != 0, rc == NGX_DECLINED && take);

        if (rc == NGX_OK) {
            e = model_find(&model, id);
            ok(test_is_value(&value, e->len, e->seed));
            hits++;
        }

        if (lease.token) {
            holds[held].id = id;
            holds[held++].cache = cache;
        }

        if (held && test_random() % 8) {
            i = test_random() % held;
            id = holds[i].id;
            cache = holds[i].cache;
            holds[i] = holds[--held];

            lease = cache.lease;
            seed = n;

            len = (test_random() % 4) ? test_random() % 600
                                      : test_random() % 2200;
            valid = 1 + test_random() % 3000;

            switch (test_random() % 8) {

            case 0:
                ngx_http_tgbot_cache_release(&cache, 0);
                (void) model_settle(&model, id, &lease, 0, 0, 0, 0);
                break;

            case 1:
                ngx_http_tgbot_cache_release(&cache, valid);
                (void) model_settle(&model, id, &lease,
                                    NGX_HTTP_TGBOT_CACHE_PASS, 0, 0, valid);
                break;

            default:
                value = test_value(len, seed);
                rc = ngx_http_tgbot_cache_fill(&cache, &value, valid);

                is_int(model_settle(&model, id, &lease,
                                    NGX_HTTP_TGBOT_CACHE_READY, len, seed,
                                    valid), rc);
                if (rc == NGX_OK) {
                    e = model_find(&model, id);
                    e->len = len;
                    puts++;
                }
            }
        }

        switch (test_random() % 512) {

        case 0:
            unit_slot_die(test_random() % 8);
            break;

        case 1:
        case 2:
            unit_slot_hang(test_random() % 8, test_random() % 2);
            break;

        case 3:
            if (test_random() % 32 == 0) {
                unit_zone_dirty(zone);
                ngx_memzero(model.entries, sizeof(model.entries));
            }

            break;
        }

        if (test_random() % 4 == 0) {
            ngx_current_msec += test_random() % 100;
        }

        if (zone->rt->dirty) {
            continue;
        }

        i = model_used(&model, &entries);
        is_int(test_sh(zone)->chain.total
               - ngx_http_tgbot_chain_room(&test_sh(zone)->chain), i);
        is_int(test_sh(zone)->entries, entries);
        is_int(zone->sh->evicted, model.evicted);

        if (n % 16 == 0) {
            test_sound(zone);
        }
    }

    /* every case occurred */

    ok(hits > 10000);
    ok(puts > 100000);
    ok(model.evicted > 100000);
    ok(zone->sh->repaired > 10);

    for (i = 0; i < 8; i++) {
        unit_slot_hang(i, 0);
    }

    unit_slot_be(0);
    unit_zone_free(zone);
}


/* more keys than blocks in a zone of the usual kind, each read again */

static void
test_many(void)
{
    uint32_t                      i;
    ngx_str_t                     value;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_cache_t        cache;
    ngx_http_tgbot_cache_state_t  state;

    zone = test_zone(4000);

    for (i = 0; i < 100000; i++) {
        is_int(test_put(zone, i, i % 400, i, VALID), NGX_OK);
    }

    ngx_http_tgbot_cache_state(zone, &state);
    is_int(state.entries, 4000);
    is_int(state.used, 4000);
    is_int(zone->sh->evicted, 96000);

    for (i = 96000; i < 100000; i++) {
        test_key(&cache, zone, "shop", i);
        is_int(ngx_http_tgbot_cache_get(&cache, 0, &value), NGX_OK);
        ok(test_is_value(&value, i % 400, i));
    }

    test_sound(zone);
    unit_zone_free(zone);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "hit, miss, being filled", test_codes },
        { "passed by", test_pass },
        { "sizes of answers", test_sizes },
        { "sizes of zones", test_rooms },
        { "expiry", test_expiry },
        { "leases of dead processes", test_take_over },
        { "eviction", test_eviction },
        { "bots and keys", test_bots },
        { "keys of one hash", test_chains },
        { "adopted, found dirty", test_adopted },
        { "killed inside the lock", test_killed },
        { "a million keys in the smallest zone", test_million },
        { "more keys than blocks", test_many },
    };

    return unit_main(cases, unit_n(cases));
}
