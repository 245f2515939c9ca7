
/* access to the internals, to check them */

#define NGX_HTTP_TGBOT_ZONE_TEST  1

#include "ngx_http_tgbot_limit.c"

#include <sys/resource.h>

#include "unit.h"
#include "zones.h"


#define TEST_START   1000000

#define TEST_SECOND  0
#define TEST_MINUTE  1


static ngx_http_tgbot_zone_t *test_zone(size_t buckets);
static void test_init(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_zone_t *zone, const char *bot, const char *key,
    ngx_uint_t rate, ngx_uint_t per_minute, ngx_uint_t burst);
static ngx_int_t test_take(ngx_http_tgbot_limit_t *bucket, const char *key,
    ngx_msec_t now);
static ngx_uint_t test_drain(ngx_http_tgbot_limit_t *bucket,
    const char *key, ngx_msec_t now);
static ngx_http_tgbot_limit_node_t *test_node(
    ngx_http_tgbot_limit_t *bucket, const char *key);
static ngx_uint_t test_sound(ngx_http_tgbot_zone_t *zone);
static uint64_t test_random(void);
static ngx_str_t test_spread(char *buf, uint64_t n);
static uint32_t test_murmur_unmix(uint32_t mixed);


static ngx_http_tgbot_limit_result_t   test_result;


static const struct {
    ngx_uint_t  rate;
    ngx_uint_t  per_minute;
    ngx_uint_t  burst;
} test_limits[] = {
    { 1, TEST_MINUTE, 1 },
    { 1, TEST_MINUTE, 2 },
    { 1, TEST_MINUTE, 20 },
    { 7, TEST_MINUTE, 3 },
    { 59, TEST_MINUTE, 20 },
    { 60, TEST_MINUTE, 20 },
    { 61, TEST_MINUTE, 1 },
    { 61, TEST_MINUTE, 20 },
    { 1000000, TEST_MINUTE, 1000000 },
    { 1, TEST_SECOND, 1 },
    { 1, TEST_SECOND, 20 },
    { 3, TEST_SECOND, 2 },
    { 7, TEST_SECOND, 20 },
    { 30, TEST_SECOND, 1 },
    { 30, TEST_SECOND, 30 },
    { 333, TEST_SECOND, 7 },
    { 999, TEST_SECOND, 1 },
    { 1000, TEST_SECOND, 1 },
    { 1001, TEST_SECOND, 1 },
    { 1001, TEST_SECOND, 3 },
    { 999983, TEST_SECOND, 5000 },
    { 1000000, TEST_SECOND, 1 },
    { 1000000, TEST_SECOND, 1000000 },
};


/* no album */
static ngx_str_t  alone;


static ngx_http_tgbot_zone_t *
test_zone(size_t buckets)
{
    return unit_zone(&ngx_http_tgbot_limit_zone,
                     ngx_http_tgbot_limit_header
                     + buckets * (sizeof(uint32_t)
                                  + sizeof(ngx_http_tgbot_limit_node_t)),
                     NULL, 0);
}


static void
test_init(ngx_http_tgbot_limit_t *bucket, ngx_http_tgbot_zone_t *zone,
    const char *bot, const char *key, ngx_uint_t rate, ngx_uint_t per_minute,
    ngx_uint_t burst)
{
    ngx_str_t  b, k;

    b.data = (u_char *) bot;
    b.len = ngx_strlen(bot);

    k.data = (u_char *) key;
    k.len = ngx_strlen(key);

    ngx_http_tgbot_limit_init(bucket, zone, &b, &k, rate, per_minute, burst);
    bucket->drop = 0;
}


static ngx_int_t
test_take(ngx_http_tgbot_limit_t *bucket, const char *key, ngx_msec_t now)
{
    ngx_str_t  k;

    k.data = (u_char *) key;
    k.len = ngx_strlen(key);

    return ngx_http_tgbot_limit_take(bucket, &k, &alone, now, &test_result);
}


/* takes all tokens, returns their number */

static ngx_uint_t
test_drain(ngx_http_tgbot_limit_t *bucket, const char *key, ngx_msec_t now)
{
    ngx_uint_t  n;

    n = 0;

    while (test_take(bucket, key, now) == NGX_OK) {
        n++;
    }

    return n;
}


static ngx_http_tgbot_limit_node_t *
test_node(ngx_http_tgbot_limit_t *bucket, const char *key)
{
    ngx_str_t                        k;
    ngx_http_tgbot_limit_sh_t       *sh;
    ngx_http_tgbot_limit_identity_t  identity;

    k.data = (u_char *) key;
    k.len = ngx_strlen(key);

    sh = ngx_http_tgbot_limit_sh(bucket->zone);

    ngx_http_tgbot_limit_identify(bucket, &k, &identity);

    return ngx_http_tgbot_limit_find(sh,
                                   ngx_http_tgbot_limit_chain(sh, &identity),
                                   &identity);
}


/*
 * Checks that each used node is once in the list, in both directions, and
 * once in the chain of its hash.  Returns the length of the longest chain.
 */

static ngx_uint_t
test_sound(ngx_http_tgbot_zone_t *zone)
{
    u_char                       *seen;
    uint32_t                     *chains, i, prev;
    ngx_uint_t                    n, chained, c, len, longest, wrong;
    ngx_http_tgbot_limit_sh_t    *sh;
    ngx_http_tgbot_limit_node_t  *nodes;

    sh = ngx_http_tgbot_limit_sh(zone);
    chains = ngx_http_tgbot_limit_chains(sh);
    nodes = ngx_http_tgbot_limit_nodes(sh);

    if (!ok(sh->used <= sh->total)
        || !ok((u_char *) &nodes[sh->total]
               <= (u_char *) zone->sh + zone->sh->size))
    {
        return 0;
    }

    seen = ngx_calloc(sh->total, ngx_cycle->log);
    wrong = 0;
    n = 0;

    prev = NGX_HTTP_TGBOT_LIST_NIL;

    for (i = sh->list.first;
         i != NGX_HTTP_TGBOT_LIST_NIL;
         i = nodes[i].link.next)
    {

        if (i >= sh->used || seen[i] || nodes[i].link.prev != prev) {
            wrong++;
            break;
        }

        seen[i] = 1;
        prev = i;
        n++;
    }

    is_int(wrong, 0);
    is_int(n, sh->used);
    is_int(sh->list.last, prev);
    is_int(sh->list.n, n);

    chained = 0;
    longest = 0;

    for (c = 0; c <= sh->mask; c++) {

        len = 0;

        for (i = chains[c];
             i != NGX_HTTP_TGBOT_LIST_NIL;
             i = nodes[i].chain)
        {
            if (i >= sh->used || seen[i] != 1
                || ngx_http_tgbot_limit_chain(sh, &nodes[i].identity)
                   != &chains[c])
            {
                wrong++;
                break;
            }

            seen[i] = 2;
            chained++;
            len++;
        }

        longest = ngx_max(longest, len);
    }

    is_int(wrong, 0);
    is_int(chained, sh->used);

    ngx_free(seen);

    return longest;
}


static uint64_t
test_random(void)
{
    static uint64_t  state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;

    return state;
}


/* digits of n, as of a chat */

static ngx_str_t
test_spread(char *buf, uint64_t n)
{
    ngx_str_t  key;

    key.data = (u_char *) buf;
    key.len = sprintf(buf, "%llu", (unsigned long long) n);

    return key;
}


static void
test_size(void)
{
    size_t                        n;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_limit_state_t  state;

    is_int(sizeof(ngx_http_tgbot_limit_identity_t),
           NGX_HTTP_TGBOT_LIMIT_WORDS * sizeof(uint32_t));

    ok(unit_zone(&ngx_http_tgbot_limit_zone,
                 ngx_http_tgbot_limit_zone.min - 1, NULL, 0)
       == NULL);

    zone = unit_zone(&ngx_http_tgbot_limit_zone,
                     ngx_http_tgbot_limit_zone.min, NULL, 0);

    if (!ok(zone != NULL)) {
        return;
    }

    ngx_http_tgbot_limit_state(zone, &state);
    is_int(state.total, 64);
    is_int(state.used, 0);
    test_sound(zone);

    unit_zone_free(zone);

    /* the memory not used for buckets is a few chains only */

    for (n = 64; n < 100000; n = n * 9 / 8 + 1) {
        unit_context("room for %lu", (unsigned long) n);

        zone = test_zone(n);
        ngx_http_tgbot_limit_state(zone, &state);

        ok(state.total <= n);
        ok(state.total > n * 93 / 100);
        ok(ngx_http_tgbot_limit_sh(zone)->mask + 1 >= state.total);
        ok(ngx_http_tgbot_limit_sh(zone)->mask + 1 <= n * 2);

        test_sound(zone);
        unit_zone_free(zone);
    }
}


static void
test_burst(void)
{
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_limit_t  bucket;

    zone = test_zone(64);
    test_init(&bucket, zone, "b", "$tgbot_chat_id", 2, TEST_SECOND, 5);

    is_int(bucket.rate, 120);
    is_int(bucket.capacity, 5 * NGX_HTTP_TGBOT_LIMIT_TOKEN);

    is_int(test_drain(&bucket, "7", TEST_START), 5);
    is_int(test_drain(&bucket, "7", TEST_START + 499), 0);
    is_int(test_result.wait, 1);
    is_int(test_drain(&bucket, "7", TEST_START + 500), 1);
    is_int(test_result.wait, 500);
    is_int(test_drain(&bucket, "7", TEST_START + 1750), 2);
    is_int(test_result.wait, 250);
    is_int(test_drain(&bucket, "7", TEST_START + 100000), 5);

    /* another key is another bucket */

    is_int(test_drain(&bucket, "8", TEST_START + 100000), 5);
    is_int(test_drain(&bucket, "8", TEST_START + 100000), 0);

    /* without burst= the burst is one */

    test_init(&bucket, zone, "b", "", 6, TEST_MINUTE, 0);

    is_int(bucket.rate, 6);
    is_int(test_drain(&bucket, "7", TEST_START), 1);
    is_int(test_result.wait, 10000);

    test_sound(zone);
    unit_zone_free(zone);
}


/* a key that takes all it can gets the burst and the rate */

static void
test_exact(void)
{
    uint64_t                taken, t, step, max;
    ngx_uint_t              i, n;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_limit_t  bucket;

    for (i = 0; i < unit_n(test_limits); i++) {
        unit_context("limit %d", (int) i);

        zone = test_zone(64);
        test_init(&bucket, zone, "b", "k", test_limits[i].rate,
                  test_limits[i].per_minute, test_limits[i].burst);

        /*
         * the longest time in which an almost empty bucket does not overflow
         */

        max = (bucket.capacity - NGX_HTTP_TGBOT_LIMIT_TOKEN) / bucket.rate;

        if (max == 0) {
            unit_zone_free(zone);
            continue;
        }

        taken = test_drain(&bucket, "k", TEST_START);
        is_int(taken, test_limits[i].burst);

        t = 0;

        for (n = 0; n < 20000 && taken < 3000000; n++) {

            step = n & 1 ? 1 + test_random() % ngx_min(max, 50)
                         : 1 + test_random() % max;
            t += step;

            taken += test_drain(&bucket, "k", TEST_START + t);
        }

        is_int(taken, (bucket.capacity + t * bucket.rate)
                      / NGX_HTTP_TGBOT_LIMIT_TOKEN);
        ok(t > 1000);

        unit_zone_free(zone);
    }
}


/* random steps are compared with arithmetic that cannot overflow */

static void
test_model(void)
{
    ngx_int_t               rc;
    ngx_uint_t              i, n, first, noticed;
    ngx_msec_t              now, last;
    unsigned __int128       units, want;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_limit_t  bucket;

    for (i = 0; i < unit_n(test_limits); i++) {

        zone = test_zone(64);
        test_init(&bucket, zone, "b", "k", test_limits[i].rate,
                  test_limits[i].per_minute, test_limits[i].burst);

        last = TEST_START;
        now = last;
        units = bucket.capacity;
        noticed = 0;

        for (n = 0; n < 30000; n++) {
            unit_context("limit %d, take %d", (int) i, (int) n);

            switch (n ? test_random() % 16 : 5) {

            case 0:
                now = last + test_random() % 100000;
                break;

            case 1:
                now = last + (test_random() % 3 ? 60000 / bucket.rate
                                                : test_random() >> 40);
                break;

            case 2:
                now = last - test_random() % 20000;
                break;

            case 3:
            case 4:
                now = last + test_random() % 3;
                break;
            }

            if (now > last) {
                units += (unsigned __int128) (now - last) * bucket.rate;
                last = now;
            }

            if (units >= bucket.capacity) {
                units = bucket.capacity;
                noticed = 0;
            }

            rc = test_take(&bucket, "k", now);

            if (units >= NGX_HTTP_TGBOT_LIMIT_TOKEN) {
                units -= NGX_HTTP_TGBOT_LIMIT_TOKEN;

                if (!is_int(rc, NGX_OK) || !is_int(test_result.wait, 0)
                    || !is_int(test_result.first, 0))
                {
                    break;
                }

            } else {
                first = !noticed;
                noticed = 1;

                want = NGX_HTTP_TGBOT_LIMIT_TOKEN - units;
                want = want / bucket.rate + (want % bucket.rate != 0);

                if (!is_int(rc, NGX_BUSY) || !is_int(test_result.wait, want)
                    || !is_int(test_result.first, first))
                {
                    break;
                }
            }

            if (!is_int(test_node(&bucket, "k")->units, units)) {
                break;
            }
        }

        unit_zone_free(zone);
    }
}


static void
test_wait(void)
{
    ngx_uint_t              i, n;
    ngx_msec_t              now, wait;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_limit_t  bucket;

    for (i = 0; i < unit_n(test_limits); i++) {

        zone = test_zone(64);
        test_init(&bucket, zone, "b", "k", test_limits[i].rate,
                  test_limits[i].per_minute, test_limits[i].burst);

        now = TEST_START;

        for (n = 0; n < 300; n++) {
            unit_context("limit %d, wait %d", (int) i, (int) n);

            now += test_random() % (NGX_HTTP_TGBOT_LIMIT_TOKEN / bucket.rate
                                    + 2);

            (void) test_drain(&bucket, "k", now);
            wait = test_result.wait;

            ok(wait >= 1);
            ok(wait <= 60000);

            if (wait > 1) {
                is_int(test_take(&bucket, "k", now + wait - 1), NGX_BUSY);
                is_int(test_result.wait, 1);
            }

            now += wait;
            is_int(test_take(&bucket, "k", now), NGX_OK);
        }

        unit_zone_free(zone);
    }
}


/* any elapsed time at any value of the clock */

static void
test_overflow(void)
{
    ngx_uint_t              i, j;
    ngx_msec_t              now;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_limit_t  bucket;

    static ngx_msec_t  starts[] = {
        0, 1, TEST_START, (ngx_msec_t) -1, (ngx_msec_t) -30000,
        (ngx_msec_t) 1 << (sizeof(ngx_msec_t) * 8 - 1)
    };

    static ngx_msec_t  elapsed[] = {
        (ngx_msec_t) 1 << 30, 3000000000U, 4294967295U,
        ((ngx_msec_t) 1 << (sizeof(ngx_msec_t) * 8 - 1)) - 1,
        ((ngx_msec_t) 1 << (sizeof(ngx_msec_t) * 8 - 1)) - 7777777
    };

    for (i = 0; i < unit_n(test_limits); i++) {

        if (test_limits[i].burst / test_limits[i].rate > 1000
            || test_limits[i].burst > 100000)
        {
            continue;
        }

        for (j = 0; j < unit_n(starts) * unit_n(elapsed); j++) {
            unit_context("limit %d, times %d", (int) i, (int) j);

            zone = test_zone(64);
            test_init(&bucket, zone, "b", "k", test_limits[i].rate,
                      test_limits[i].per_minute, test_limits[i].burst);

            now = starts[j % unit_n(starts)];
            is_int(test_drain(&bucket, "k", now), test_limits[i].burst);

            now += elapsed[j / unit_n(starts)];
            is_int(test_drain(&bucket, "k", now), test_limits[i].burst);
            is_int(test_drain(&bucket, "k", now), 0);

            unit_zone_free(zone);
        }
    }
}


static void
test_backwards(void)
{
    ngx_msec_t              wrapped;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_limit_t  bucket;

    zone = test_zone(64);
    test_init(&bucket, zone, "b", "k", 1, TEST_SECOND, 3);

    is_int(test_drain(&bucket, "k", TEST_START), 3);

    /* a time before the last one adds nothing */

    is_int(test_take(&bucket, "k", TEST_START - 1), NGX_BUSY);
    is_int(test_result.wait, 1000);
    is_int(test_take(&bucket, "k", TEST_START - 60000), NGX_BUSY);
    is_int(test_result.wait, 1000);
    is_int(test_take(&bucket, "k", TEST_START + 999), NGX_BUSY);
    is_int(test_take(&bucket, "k", TEST_START + 1000), NGX_OK);

    /*
     * 25 days of 32-bit milliseconds look like a time in the past: they add
     * nothing, but do not stop the bucket for another 25 days
     */

    wrapped = TEST_START - ((ngx_msec_t) 1 << 31);

    is_int(test_take(&bucket, "k", wrapped), NGX_BUSY);
    is_int(test_take(&bucket, "k", wrapped + 999), NGX_BUSY);
    is_int(test_take(&bucket, "k", wrapped + 1000), NGX_OK);

    unit_zone_free(zone);
}


static void
test_notice(void)
{
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_limit_t  bucket;

    zone = test_zone(64);
    test_init(&bucket, zone, "b", "k", 1, TEST_SECOND, 3);

    is_int(test_take(&bucket, "k", TEST_START), NGX_OK);
    is_int(test_take(&bucket, "k", TEST_START), NGX_OK);
    is_int(test_take(&bucket, "k", TEST_START), NGX_OK);
    is_int(test_result.first, 0);
    is_int(test_take(&bucket, "k", TEST_START), NGX_BUSY);
    is_int(test_result.first, 1);
    is_int(test_take(&bucket, "k", TEST_START), NGX_BUSY);
    is_int(test_result.first, 0);

    /* almost full is not full */

    is_int(test_drain(&bucket, "k", TEST_START + 2999), 2);
    is_int(test_result.first, 0);

    /* the bucket was full for a millisecond before the take */

    is_int(test_take(&bucket, "k", TEST_START + 5999), NGX_OK);
    is_int(test_take(&bucket, "k", TEST_START + 5999), NGX_OK);
    is_int(test_take(&bucket, "k", TEST_START + 5999), NGX_OK);
    is_int(test_take(&bucket, "k", TEST_START + 5999), NGX_BUSY);
    is_int(test_result.first, 1);
    is_int(test_take(&bucket, "k", TEST_START + 6998), NGX_BUSY);
    is_int(test_result.first, 0);

    /* each key has its own bucket */

    is_int(test_drain(&bucket, "l", TEST_START), 3);
    is_int(test_result.first, 1);
    is_int(test_drain(&bucket, "l", TEST_START), 0);
    is_int(test_result.first, 0);
    is_int(test_drain(&bucket, "m", TEST_START), 3);
    is_int(test_result.first, 1);

    unit_zone_free(zone);
}


static void
test_give(void)
{
    ngx_str_t                     key = ngx_string("k");
    ngx_str_t                     none = ngx_string("l");
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_limit_t        bucket;
    ngx_http_tgbot_limit_state_t  state;

    zone = test_zone(64);
    test_init(&bucket, zone, "b", "k", 1, TEST_SECOND, 3);

    /* take and give together change nothing */

    is_int(test_take(&bucket, "k", TEST_START), NGX_OK);
    ngx_http_tgbot_limit_give(&bucket, &key, &alone, TEST_START);
    is_int(test_drain(&bucket, "k", TEST_START), 3);

    ngx_http_tgbot_limit_give(&bucket, &key, &alone, TEST_START);
    is_int(test_drain(&bucket, "k", TEST_START), 1);

    /* the fraction that was added in the meantime is kept */

    ngx_http_tgbot_limit_give(&bucket, &key, &alone, TEST_START + 600);
    is_int(test_drain(&bucket, "k", TEST_START + 600), 1);
    is_int(test_result.wait, 400);

    /* give does not exceed the capacity */

    ngx_http_tgbot_limit_give(&bucket, &key, &alone, TEST_START + 100000);
    ngx_http_tgbot_limit_give(&bucket, &key, &alone, TEST_START + 100000);
    is_int(test_node(&bucket, "k")->units, bucket.capacity);
    is_int(test_drain(&bucket, "k", TEST_START + 100000), 3);

    /* a bucket that give fills is full */

    is_int(test_take(&bucket, "k", TEST_START + 100000), NGX_BUSY);
    is_int(test_result.first, 0);
    ngx_http_tgbot_limit_give(&bucket, &key, &alone, TEST_START + 101999);
    is_int(test_node(&bucket, "k")->noticed, 1);
    ngx_http_tgbot_limit_give(&bucket, &key, &alone, TEST_START + 101999);
    is_int(test_node(&bucket, "k")->noticed, 0);

    /* give does not create a bucket */

    ngx_http_tgbot_limit_give(&bucket, &none, &alone, TEST_START);
    ngx_http_tgbot_limit_state(zone, &state);
    is_int(state.used, 1);

    test_sound(zone);
    unit_zone_free(zone);
}


static ngx_int_t
test_photo(ngx_http_tgbot_limit_t *bucket, const char *key, const char *album,
    ngx_msec_t now)
{
    ngx_str_t  k, a;

    k.data = (u_char *) key;
    k.len = ngx_strlen(key);

    a.data = (u_char *) album;
    a.len = ngx_strlen(album);

    return ngx_http_tgbot_limit_take(bucket, &k, &a, now, &test_result);
}


static void
test_albums(void)
{
    ngx_str_t                key, album;
    ngx_http_tgbot_zone_t   *zone;
    ngx_http_tgbot_limit_t   bucket, other;

    zone = test_zone(256);

    test_init(&bucket, zone, "a", "k", 1, TEST_SECOND, 2);
    test_init(&other, zone, "b", "k", 1, TEST_SECOND, 2);

    unit_context("two albums, whose photos come in any order");

    is_int(test_photo(&bucket, "7", "x", TEST_START), NGX_OK);
    is_int(test_photo(&bucket, "7", "y", TEST_START), NGX_OK);
    is_int(test_photo(&bucket, "7", "x", TEST_START), NGX_DECLINED);
    is_int(test_photo(&bucket, "7", "y", TEST_START), NGX_DECLINED);
    is_int(test_photo(&bucket, "7", "x", TEST_START + 59999), NGX_DECLINED);
    is_int(test_take(&bucket, "7", TEST_START), NGX_BUSY);

    unit_context("of another key, and of another limit");

    is_int(test_photo(&bucket, "8", "x", TEST_START), NGX_OK);
    is_int(test_photo(&other, "7", "x", TEST_START), NGX_OK);

    unit_context("one that is refused, and comes again");

    is_int(test_photo(&bucket, "7", "z", TEST_START), NGX_BUSY);
    is_int(test_result.wait, 1000);
    is_int(test_photo(&bucket, "7", "z", TEST_START + 1000), NGX_OK);
    is_int(test_photo(&bucket, "7", "z", TEST_START + 1000), NGX_DECLINED);

    unit_context("one that is refused for good");

    bucket.drop = 1;

    is_int(test_photo(&bucket, "7", "w", TEST_START + 1000), NGX_BUSY);
    ok(!test_result.first);
    is_int(test_photo(&bucket, "7", "w", TEST_START + 11000), NGX_BUSY);
    is_int(test_result.wait, 50000);
    ok(!test_result.first);
    is_int(test_take(&bucket, "7", TEST_START + 11000), NGX_OK);

    unit_context("after a minute");

    is_int(test_photo(&bucket, "7", "w", TEST_START + 61000), NGX_OK);
    is_int(test_photo(&bucket, "7", "x", TEST_START + 60000), NGX_OK);

    unit_context("a token that is given back");

    ngx_str_set(&key, "9");
    ngx_str_set(&album, "x");

    is_int(test_photo(&bucket, "9", "x", TEST_START), NGX_OK);
    is_int(test_take(&bucket, "9", TEST_START), NGX_OK);
    ngx_http_tgbot_limit_give(&bucket, &key, &album, TEST_START);
    is_int(test_photo(&bucket, "9", "x", TEST_START), NGX_OK);
    is_int(test_photo(&bucket, "9", "x", TEST_START), NGX_DECLINED);
    is_int(test_take(&bucket, "9", TEST_START), NGX_BUSY);

    unit_context("the time of another process");

    is_int(test_photo(&bucket, "9", "x", TEST_START - 10), NGX_DECLINED);

    unit_zone_free(zone);
}


static void
test_eviction(void)
{
    char                          buf[32];
    ngx_str_t                     key;
    ngx_uint_t                    i;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_limit_t        bucket;
    ngx_http_tgbot_limit_state_t  state;

    zone = test_zone(64);
    test_init(&bucket, zone, "b", "k", 1, TEST_SECOND, 1);

    for (i = 0; i < 64; i++) {
        key = test_spread(buf, i);
        is_int(test_take(&bucket, buf, TEST_START), NGX_OK);
    }

    ngx_http_tgbot_limit_state(zone, &state);
    is_int(state.used, 64);
    is_int(state.total, 64);
    is_int(zone->sh->evicted, 0);

    /* a refused take counts as use, give does not */

    is_int(test_take(&bucket, "0", TEST_START), NGX_BUSY);
    is_int(test_take(&bucket, "2", TEST_START), NGX_BUSY);

    key = test_spread(buf, 1);
    ngx_http_tgbot_limit_give(&bucket, &key, &alone, TEST_START);

    is_int(test_take(&bucket, "a", TEST_START), NGX_OK);
    is_int(zone->sh->evicted, 1);
    ok(test_node(&bucket, "1") == NULL);
    ok(test_node(&bucket, "0") != NULL);
    ok(test_node(&bucket, "2") != NULL);
    ok(test_node(&bucket, "3") != NULL);

    /* in the order of use: 3 4 ... 63 0 2 a */

    for (i = 3; i < 64; i++) {
        test_spread(buf, i);
        unit_context("bucket %s", buf);

        ok(test_node(&bucket, buf) != NULL);

        test_spread(buf, i + 1000);
        is_int(test_take(&bucket, buf, TEST_START), NGX_OK);

        test_spread(buf, i);
        ok(test_node(&bucket, buf) == NULL);
    }

    ok(test_node(&bucket, "0") != NULL);
    is_int(test_take(&bucket, "2000", TEST_START), NGX_OK);
    ok(test_node(&bucket, "0") == NULL);
    ok(test_node(&bucket, "2") != NULL);
    is_int(test_take(&bucket, "2001", TEST_START), NGX_OK);
    ok(test_node(&bucket, "2") == NULL);
    ok(test_node(&bucket, "a") != NULL);

    ngx_http_tgbot_limit_state(zone, &state);
    is_int(state.used, 64);
    is_int(zone->sh->evicted, 64);
    is_int(zone->sh->repaired, 0);

    /* an evicted key that returns has a full bucket */

    is_int(test_take(&bucket, "0", TEST_START), NGX_OK);

    test_sound(zone);
    unit_zone_free(zone);
}


static void
test_million(void)
{
    char                           buf[64];
    uint64_t                       n;
    ngx_str_t                      key;
    ngx_uint_t                     i, longest;
    ngx_http_tgbot_zone_t         *zone;
    ngx_http_tgbot_limit_t         bucket[3];
    ngx_http_tgbot_limit_state_t   state;
    ngx_http_tgbot_limit_result_t  result;

    zone = unit_zone(&ngx_http_tgbot_limit_zone,
                     ngx_http_tgbot_limit_zone.min, NULL, 0);

    test_init(&bucket[0], zone, "a", "k", 1, TEST_SECOND, 2);
    test_init(&bucket[1], zone, "b", "k", 1, TEST_MINUTE, 1);
    test_init(&bucket[2], zone, "", "k", 30, TEST_SECOND, 20);

    longest = 0;

    for (i = 0; i < 1000000; i++) {

        /* half of the keys are among a few, some keys are long */

        n = test_random();
        n = n & 1 ? n % 197 : n;

        key = test_spread(buf, n);

        if (n % 5 == 0) {
            key.len += sprintf(buf + key.len, "%030u", (unsigned) n % 11);
        }

        if (test_random() % 8 == 0) {
            ngx_http_tgbot_limit_give(&bucket[n % 3], &key, &alone,
                                      TEST_START + i);

        } else {
            (void) ngx_http_tgbot_limit_take(&bucket[n % 3], &key,
                                             &alone, TEST_START + i,
                                             &result);
        }

        if (i % 5000 == 0) {
            n = test_sound(zone);
            longest = ngx_max(longest, n);
        }
    }

    test_sound(zone);

    ok(longest >= 1);
    ok(longest <= 16);

    ngx_http_tgbot_limit_state(zone, &state);
    is_int(state.used, 64);
    ok(zone->sh->evicted > 300000);
    is_int(zone->sh->repaired, 0);

    unit_zone_free(zone);
}


static void
test_keys(void)
{
    size_t                         i, j;
    u_char                         md5[16], data[100000], other[24];
    ngx_str_t                      key;
    ngx_md5_t                      ctx;
    ngx_http_tgbot_zone_t         *zone;
    ngx_http_tgbot_limit_t         bucket;
    ngx_http_tgbot_limit_result_t  result;

    static size_t  lens[] = {
        0, 1, 7, 8, 15, 16, 17, 22, 23, 24, 25, 31, 32, 33, 63, 64, 65, 127,
        254, 255, 256, 257, 1000, 65535, 65536, 99999, 100000
    };

    static ngx_str_t  keys[] = {
        ngx_string("a"), ngx_string("a\0"), ngx_string("\0a"),
        ngx_string("\0"), ngx_string("\0\0"), ngx_string("A"),
        ngx_string("-1001234567890"), ngx_string("-10012345678901"),
        ngx_string("-100123456789"), ngx_string("1001234567890"),
        ngx_string("-1001234567890:private"),
        ngx_string("-1001234567890:private1"),
        ngx_string("-1001234567890:private2"),
        ngx_string("-1001234567890:private12"),
        ngx_string("-1001234567890:private13"),
        ngx_string("-1001234567890:private120")
    };

    zone = test_zone(256);
    test_init(&bucket, zone, "b", "k", 1, TEST_MINUTE, 1);

    /* all prefixes of one text, and each is found again */

    ngx_memset(data, 'x', sizeof(data));

    for (i = 0; i < unit_n(lens) * 2; i++) {
        unit_context("length %lu", (unsigned long) lens[i % unit_n(lens)]);

        key.len = lens[i % unit_n(lens)];
        key.data = ngx_alloc(key.len ? key.len : 1, ngx_cycle->log);
        ngx_memcpy(key.data, data, key.len);

        is_int(ngx_http_tgbot_limit_take(&bucket, &key, &alone,
                                         TEST_START, &result),
               i < unit_n(lens) ? NGX_OK : NGX_BUSY);

        ngx_free(key.data);
    }

    /* texts that differ in one byte */

    for (i = 0; i < 3; i++) {

        for (j = 0; j < 24; j++) {
            unit_context("%lu bytes, other at %lu", (unsigned long) 22 + i,
                         (unsigned long) j);

            if (j >= 22 + i) {
                break;
            }

            ngx_memset(other, 'x', sizeof(other));
            other[j] = 'y';
            key.data = other;
            key.len = 22 + i;

            is_int(ngx_http_tgbot_limit_take(&bucket, &key, &alone, TEST_START,
                                             &result), NGX_OK);
        }
    }

    for (i = 0; i < unit_n(keys) * 2; i++) {
        unit_context("key %lu", (unsigned long) i);

        is_int(ngx_http_tgbot_limit_take(&bucket, &keys[i % unit_n(keys)],
                                         &alone, TEST_START, &result),
               i < unit_n(keys) ? NGX_OK : NGX_BUSY);
    }

    /* a key that is the MD5 of another key has its own bucket */

    ngx_md5_init(&ctx);
    ngx_md5_update(&ctx, data, 1000);
    ngx_md5_final(md5, &ctx);

    unit_context("MD5");

    key.data = md5;
    key.len = 16;
    is_int(ngx_http_tgbot_limit_take(&bucket, &key, &alone,
                                     TEST_START, &result),
           NGX_OK);

    ngx_memzero(other, sizeof(other));
    ngx_memcpy(other, md5, 16);
    key.data = other;
    key.len = 23;
    is_int(ngx_http_tgbot_limit_take(&bucket, &key, &alone,
                                     TEST_START, &result),
           NGX_OK);

    is_int(zone->sh->evicted, 0);

    test_sound(zone);
    unit_zone_free(zone);
}


static void
test_separate(void)
{
    ngx_uint_t              i, j;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_limit_t  buckets[12], same;

    static const struct {
        const char  *bot;
        const char  *key;
        ngx_uint_t   rate;
        ngx_uint_t   per_minute;
        ngx_uint_t   burst;
    } limits[] = {
        { "a", "$tgbot_chat_id", 1, TEST_SECOND, 2 },
        { "b", "$tgbot_chat_id", 1, TEST_SECOND, 2 },
        { "", "$tgbot_chat_id", 1, TEST_SECOND, 2 },
        { "a", "$tgbot_user_id", 1, TEST_SECOND, 2 },
        { "a", "$tgbot_chat_id", 2, TEST_SECOND, 2 },
        { "a", "$tgbot_chat_id", 1, TEST_MINUTE, 2 },
        { "a", "$tgbot_chat_id", 60, TEST_MINUTE, 2 },
        { "a", "$tgbot_chat_id", 1, TEST_SECOND, 3 },
        { "ab", "c", 1, TEST_SECOND, 2 },
        { "a", "bc", 1, TEST_SECOND, 2 },
        { "abc", "", 1, TEST_SECOND, 2 },
        { "", "abc", 1, TEST_SECOND, 2 },
    };

    zone = test_zone(64);

    for (i = 0; i < unit_n(limits); i++) {
        unit_context("limit %d", (int) i);

        test_init(&buckets[i], zone, limits[i].bot, limits[i].key,
                  limits[i].rate, limits[i].per_minute, limits[i].burst);

        for (j = 0; j < i; j++) {
            ok(buckets[i].id != buckets[j].id);
        }

        is_int(test_drain(&buckets[i], "7", TEST_START), limits[i].burst);

        /* a bucket made by another cycle or process is the same */

        test_init(&same, zone, limits[i].bot, limits[i].key,
                  limits[i].rate, limits[i].per_minute, limits[i].burst);

        is_int(test_drain(&same, "7", TEST_START), 0);
    }

    is_int(ngx_http_tgbot_limit_sh(zone)->used, unit_n(limits));

    test_sound(zone);
    unit_zone_free(zone);
}


static void
test_adopt(void)
{
    void                   *before;
    ngx_http_tgbot_zone_t  *zone, *adopted;
    ngx_http_tgbot_limit_t  bucket;

    zone = test_zone(64);
    test_init(&bucket, zone, "b", "k", 1, TEST_MINUTE, 3);

    is_int(test_take(&bucket, "7", TEST_START), NGX_OK);
    is_int(test_take(&bucket, "7", TEST_START), NGX_OK);

    /* a process died inside the zone */

    unit_zone_dirty(zone);

    before = ngx_alloc(zone->sh->size, ngx_cycle->log);
    ngx_memcpy(before, zone->sh, zone->sh->size);
    unit_zone_locks = 0;

    adopted = unit_zone_adopt(zone, NULL, 0);
    ok(adopted != NULL);

    is_int(unit_zone_locks, 0);
    is_int(ngx_memcmp(before, zone->sh, zone->sh->size), 0);

    ngx_free(before);
    zone->rt->dirty = 0;

    test_init(&bucket, adopted, "b", "k", 1, TEST_MINUTE, 3);
    is_int(test_drain(&bucket, "7", TEST_START), 1);

    unit_zone_free(adopted);
    unit_zone_free(zone);
}


/* a worker dies at the n-th point, after many operations */

static void
test_killed(void)
{
    char                           buf[32];
    ngx_uint_t                     i;
    volatile                       ngx_uint_t             n, died;
    ngx_http_tgbot_zone_t         *volatile  zone;
    ngx_http_tgbot_limit_t         bucket;
    ngx_http_tgbot_limit_state_t   state;
    ngx_http_tgbot_limit_result_t  result;

    ngx_str_t  full = ngx_string("7");
    ngx_str_t  fresh = ngx_string("fresh");

    died = 0;

    for (n = 1; n < 32; n++) {
        unit_context("point %lu", (unsigned long) n);

        zone = test_zone(64);
        test_init(&bucket, zone, "b", "k", 1, TEST_MINUTE, 2);

        for (i = 0; i < 64; i++) {
            test_spread(buf, i);
            is_int(test_take(&bucket, buf, TEST_START), NGX_OK);
        }

        if (setjmp(unit_zone_killed) == 0) {
            unit_zone_stop_at = n;

            (void) ngx_http_tgbot_limit_take(&bucket, &full, &alone, TEST_START,
                                             &result);
            (void) ngx_http_tgbot_limit_take(&bucket, &full, &alone, TEST_START,
                                             &result);
            (void) ngx_http_tgbot_limit_take(&bucket, &fresh, &alone,
                                             TEST_START,
                                             &result);
            ngx_http_tgbot_limit_give(&bucket, &full, &alone, TEST_START);

            unit_zone_stop_at = 0;
            unit_zone_free(zone);
            break;
        }

        died++;

        is_int(zone->rt->dirty, 1);

        /* the first operation after that finds a sound zone without buckets */

        switch (n % 3) {

        case 0:
            ngx_http_tgbot_limit_state(zone, &state);
            is_int(state.used, 0);
            is_int(state.total, 64);
            break;

        case 1:
            is_int(test_take(&bucket, "7", TEST_START), NGX_OK);
            is_int(test_node(&bucket, "7")->units,
                   NGX_HTTP_TGBOT_LIMIT_TOKEN);
            break;

        default:
            ngx_http_tgbot_limit_give(&bucket, &full, &alone, TEST_START);
            ok(test_node(&bucket, "7") == NULL);
        }

        is_int(zone->sh->repaired, 1);
        is_int(zone->rt->dirty, 0);
        test_sound(zone);

        for (i = 0; i < 1000; i++) {
            test_spread(buf, i % 100);
            (void) test_take(&bucket, buf, TEST_START + i);
        }

        is_int(zone->sh->repaired, 1);
        test_sound(zone);

        unit_zone_free(zone);
    }

    /*
     * unlinked, taken; unlinked, refused; unchained, new, taken; refilled;
     * and in the middle of unlinking and linking, three times
     */

    is_int(died, 14);
}


static void
test_seed(void)
{
    uint64_t                seed[3][9];
    ngx_uint_t              i, j;
    ngx_http_tgbot_zone_t  *a, *b;
    struct rlimit           limit, none;

    /* each zone has its own seed */

    a = test_zone(64);
    b = test_zone(64);

    for (i = 0; i < 9; i++) {
        ok(ngx_http_tgbot_limit_sh(a)->seed[i]
           != ngx_http_tgbot_limit_sh(b)->seed[i]);
        ok(ngx_http_tgbot_limit_sh(a)->seed[i] != 0xa5a5a5a5a5a5a5a5);
    }

    unit_zone_free(a);
    unit_zone_free(b);

    /* no file can be opened */

    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 0;

    setrlimit(RLIMIT_NOFILE, &none);

    ngx_memzero(seed, sizeof(seed));

    for (j = 0; j < 3; j++) {
        ngx_http_tgbot_zone_seed(seed[j], 9, ngx_cycle->log);
    }

    setrlimit(RLIMIT_NOFILE, &limit);

    for (i = 0; i < 9; i++) {
        ok(seed[0][i] != 0);
        ok(seed[0][i] != seed[0][(i + 1) % 9]);
        ok(seed[0][i] != seed[1][i]);
        ok(seed[1][i] != seed[2][i]);
    }
}


/* the block that MurmurHash2 mixes to this value */

static uint32_t
test_murmur_unmix(uint32_t mixed)
{
    uint32_t  inverse, k;

    inverse = 0xe59b19bd;

    k = mixed * inverse;
    k ^= k >> 24;

    return k * inverse;
}


/*
 * With MurmurHash2 the differences in two blocks can cancel each other for
 * any seed, so that one user could fill one chain.
 */

static void
test_chains(void)
{
    char                           buf[32];
    uint32_t                       blocks[5], flips, mixed, hash[2];
    ngx_str_t                      key;
    ngx_uint_t                     i, j, k, n, longest;
    ngx_http_tgbot_zone_t         *zone;
    ngx_http_tgbot_limit_t         bucket;
    ngx_http_tgbot_limit_result_t  result;

    u_char  text[4 + sizeof(blocks)];

    zone = test_zone(65536);
    test_init(&bucket, zone, "b", "k", 1, TEST_MINUTE, 1);

    hash[0] = hash[1] = 0;
    n = 0;

    for (i = 0; i < 3000; i++) {

        for (j = 0; j < 16; j++) {

            /* an even number of flips */

            flips = j | (__builtin_parity(j) << 4);

            for (k = 0; k < 5; k++) {
                mixed = i * 5 + k;
                mixed ^= (flips >> k & 1) ? 1U << 31 : 0;
                blocks[k] = test_murmur_unmix(mixed);
            }

            ngx_memcpy(text + 4, blocks, sizeof(blocks));

            for (k = 0; k < 2; k++) {
                ngx_memcpy(text, k ? "seed" : "Seed", 4);

                if (j == 0) {
                    hash[k] = ngx_murmur_hash2(text, sizeof(text));

                } else {
                    n += (hash[k] == ngx_murmur_hash2(text, sizeof(text)));
                }
            }

            key.data = text + 4;
            key.len = sizeof(blocks);

            is_int(ngx_http_tgbot_limit_take(&bucket, &key, &alone, TEST_START,
                                             &result), NGX_OK);
        }
    }

    is_int(n, 3000 * 15 * 2);

    longest = test_sound(zone);
    ok(longest < 16);

    unit_zone_free(zone);

    /* consecutive chat ids are spread over the chains */

    zone = test_zone(65536);
    test_init(&bucket, zone, "b", "k", 1, TEST_MINUTE, 1);

    for (i = 0; i < 60000; i++) {
        key = test_spread(buf, 5000000000 + i);
        (void) ngx_http_tgbot_limit_take(&bucket, &key, &alone,
                                         TEST_START, &result);
    }

    longest = test_sound(zone);
    ok(longest < 20);

    unit_zone_free(zone);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "sizes of zones", test_size },
        { "burst and rate", test_burst },
        { "no token more or less over a long time", test_exact },
        { "any time, against a model", test_model },
        { "the wait is exact", test_wait },
        { "times that are far apart", test_overflow },
        { "times that go backwards", test_backwards },
        { "one notice for an emptied bucket", test_notice },
        { "tokens given back", test_give },
        { "albums", test_albums },
        { "the least recently used goes", test_eviction },
        { "a million keys in the smallest zone", test_million },
        { "keys of all lengths", test_keys },
        { "bots and limits apart and together", test_separate },
        { "an adopted zone", test_adopt },
        { "a worker that dies inside", test_killed },
        { "seeds", test_seed },
        { "chains stay short", test_chains },
    };

    return unit_main(cases, unit_n(cases));
}
