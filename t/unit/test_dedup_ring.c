
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup_ring.h"
#include "dedup.h"


#define TEST_WINDOW  1024
#define TEST_MANY    1000000


static void test_shuffle(uint32_t *ids, ngx_uint_t n);
static ngx_uint_t test_accept(int64_t id);
static ngx_uint_t test_known(int64_t id);


static ngx_http_tgbot_dedup_rings_sh_t  test_sh;
static u_char                          test_bits[2 * TEST_WINDOW / 8];

static ngx_http_tgbot_dedup_rings_t    test_rings = {
    &test_sh, test_bits, TEST_WINDOW
};


static void
test_empty(void)
{
    ngx_memzero(&test_sh, sizeof(test_sh));
    ngx_memset(test_bits, 0xff, sizeof(test_bits));
}


static void
test_shuffle(uint32_t *ids, ngx_uint_t n)
{
    uint32_t    id;
    ngx_uint_t  i, j;

    for (i = 0; i < n; i++) {
        ids[i] = i;
    }

    for (i = n - 1; i; i--) {
        j = seen_random() % (i + 1);
        id = ids[i];
        ids[i] = ids[j];
        ids[j] = id;
    }
}


/* returns whether another ring was opened */

static ngx_uint_t
test_accept(int64_t id)
{
    ngx_uint_t  rebased;

    rebased = ngx_http_tgbot_dedup_ring_reach(&test_rings, id);

    ngx_http_tgbot_dedup_ring_move(&test_rings, id);
    ngx_http_tgbot_dedup_ring_set(&test_rings, id);

    return rebased;
}


static ngx_uint_t
test_known(int64_t id)
{
    return ngx_http_tgbot_dedup_ring_test(&test_rings, id);
}


/* garbage in memory is not taken for ids */

static void
test_first(void)
{
    int64_t     id;
    ngx_uint_t  known;

    test_empty();

    for (id = 0; id < 2 * TEST_WINDOW; id++) {
        ok(!test_known(id));
    }

    is_int(test_accept(5000), 0);
    ok(test_known(5000));

    known = 0;

    for (id = 5000 - 2 * TEST_WINDOW; id < 5000 + 2 * TEST_WINDOW; id++) {
        known += test_known(id);
    }

    is_int(known, 1);
    is_int(ngx_http_tgbot_dedup_ring_top(&test_rings, 0), 5000);
    is_int(ngx_http_tgbot_dedup_ring_top(&test_rings, 1), 0);
}


/* each id from the lowest in the window to the highest */

static void
test_edges(void)
{
    test_empty();

    is_int(test_accept(10000), 0);
    is_int(test_accept(10000 - TEST_WINDOW + 1), 0);
    ok(test_known(10000));
    ok(test_known(10000 - TEST_WINDOW + 1));

    /* the next lower id is below the window: it does not share a bit */

    ok(!test_known(10000 - TEST_WINDOW));
    ok(!test_known(10000 + TEST_WINDOW));
    is_int(test_accept(10000 - TEST_WINDOW), 1);
    ok(test_known(10000 - TEST_WINDOW));
    ok(test_known(10000));

    /* the longest jump inside the ring keeps the highest id known */

    test_empty();

    is_int(test_accept(10000), 0);
    is_int(test_accept(10000 + TEST_WINDOW - 1), 0);
    ok(test_known(10000));
    ok(!test_known(9999));
    ok(!test_known(10001));
    is_int(ngx_http_tgbot_dedup_ring_top(&test_rings, 0),
           10000 + TEST_WINDOW - 1);

    /* a longer jump opens the other ring */

    is_int(test_accept(10000 + 2 * TEST_WINDOW - 1), 1);
    ok(test_known(10000));
    ok(test_known(10000 + TEST_WINDOW - 1));
    ok(test_known(10000 + 2 * TEST_WINDOW - 1));
}


static void
test_every_jump(void)
{
    int64_t     id;
    ngx_uint_t  from, jump, known, want;

    for (from = 0; from < 19; from++) {
        for (jump = 1; jump < TEST_WINDOW; jump++) {
            unit_context("from %lu by %lu", (unsigned long) from,
                         (unsigned long) jump);
            test_empty();

            /* all ids of a window */

            ngx_memzero(test_bits, sizeof(test_bits));
            test_accept(100000 + from);
            ngx_memset(test_bits, 0xff, TEST_WINDOW / 8);

            test_accept(100000 + from + jump);

            known = 0;
            want = TEST_WINDOW - jump + 1;

            for (id = 100000 - 2 * TEST_WINDOW;
                 id <= (int64_t) (100000 + from + jump + TEST_WINDOW);
                 id++)
            {
                known += test_known(id);
            }

            if (!is_int(known, want)) {
                return;
            }

            ok(test_known(100000 + from));
            ok(test_known(100000 + from + jump));
        }
    }
}


/* the rings are compared with a list of all accepted ids */

static void
test_model(void)
{
    int64_t      id, top;
    uint32_t     r;
    ngx_uint_t   i, expect;

    static u_char  model[400000];

    test_empty();
    ngx_memzero(model, sizeof(model));

    top = 2000;
    test_accept(top);
    model[top] = 1;

    for (i = 0; i < 300000; i++) {
        r = seen_random() % 100;

        id = (r < 60) ? top + 1 : (r < 95) ? top - seen_random() % 300
                                           : top + seen_random() % 40;

        expect = model[id];

        if (!is_int(test_known(id), expect)) {
            return;
        }

        is_int(test_accept(id), 0);

        model[id] = 1;
        top = ngx_max(top, id);

        if (top > 399000) {
            break;
        }

        if (i % 1000) {
            continue;
        }

        for (id = top - TEST_WINDOW + 1; id <= top + 100; id++) {
            if (!is_int(test_known(id), id > top ? 0 : model[id])) {
                return;
            }
        }

        ok(!test_known(top - TEST_WINDOW));
    }

    ok(top > 100000);
}


/* one or many distant ids do not erase the knowledge of other ids */

static void
test_forged(void)
{
    int64_t     id;
    ngx_uint_t  i;

    static int64_t  far[] = {
        9007199254740992LL, 1, -9007199254740992LL, -5000,
        INT64_MAX, -INT64_MAX - 1, 4294967296LL
    };

    test_empty();

    for (id = 700000; id < 700100; id++) {
        is_int(test_accept(id), 0);
    }

    for (i = 0; i < 100; i++) {
        unit_context("far id %ld", (long) far[i % unit_n(far)]);

        ok(!test_known(far[i % unit_n(far)]));
        is_int(test_accept(far[i % unit_n(far)]), 1);
        ok(test_known(far[i % unit_n(far)]));
    }

    for (id = 700000; id < 700100; id++) {
        ok(test_known(id));
    }

    is_int(test_accept(700100), 0);
    ok(test_known(700050));
}


/* a restarted numbering takes over, and the first one may come back */

static void
test_restarted(void)
{
    int64_t  id;

    test_empty();

    for (id = 700000; id < 700100; id++) {
        test_accept(id);
    }

    is_int(test_accept(5000), 1);

    for (id = 5001; id < 5100; id++) {
        is_int(test_accept(id), 0);
    }

    ok(test_known(700000));
    ok(test_known(5000));

    /* a third numbering replaces the first, not the second */

    is_int(test_accept(9000000), 1);
    ok(!test_known(700000));
    ok(test_known(5000));
    ok(test_known(9000000));
}


/* two numberings that meet: both know the ids accepted in either */

static void
test_meeting(void)
{
    int64_t     id;
    ngx_uint_t  i;

    test_empty();

    test_accept(10000 + 3 * TEST_WINDOW / 2);

    for (id = 10000; id < 10000 + 3 * TEST_WINDOW; id++) {

        if (id == 10000 + 3 * TEST_WINDOW / 2) {
            ok(test_known(id));
            continue;
        }

        ok(!test_known(id));
        test_accept(id);

        for (i = 0; i < TEST_WINDOW / 2; i += 37) {
            if (id - (int64_t) i >= 10000 && !ok(test_known(id - i))) {
                return;
            }
        }
    }
}


/* ids at the ends of what 64 bits can hold */

static void
test_ends(void)
{
    int64_t  id;

    test_empty();

    for (id = INT64_MAX - 2000; id < INT64_MAX; id++) {
        ok(!test_known(id));
        test_accept(id);
        ok(test_known(id));
    }

    ok(!test_known(INT64_MAX));
    is_int(test_accept(INT64_MAX), 0);
    ok(test_known(INT64_MAX));

    /* these two ids are not next to each other */

    is_int(test_accept(-INT64_MAX - 1), 1);
    ok(test_known(INT64_MAX));

    test_empty();

    for (id = -300; id < 300; id++) {
        ok(!test_known(id));
        test_accept(id);
    }

    for (id = -300; id < 300; id++) {
        ok(test_known(id));
    }
}


/* all of a window, out of order, through a zone */

static void
test_million(void)
{
    uint32_t                     *ids;
    ngx_uint_t                    i, fresh, again, rebased;
    ngx_http_tgbot_zone_t        *zone;
    ngx_http_tgbot_dedup_t        bot;
    ngx_http_tgbot_dedup_claim_t  claim;

    bot = seen_bot("many", 7, 1048576);
    zone = seen_zone(&bot, 1);

    /* two rings with one bit for each id, for any window */

    is_int(ngx_http_tgbot_dedup_size(1048576), 2 * 1048576 / 8 + 512 * 1024);
    is_int(ngx_http_tgbot_dedup_size(4194304), 3 * 512 * 1024);

    ids = ngx_alloc(TEST_MANY * sizeof(uint32_t), zone->log);
    test_shuffle(ids, TEST_MANY);

    fresh = 0;
    rebased = 0;

    for (i = 0; i < TEST_MANY; i++) {
        fresh += seen_claim(&bot, 870000000 + ids[i], &claim) == NGX_OK
                 && ngx_http_tgbot_dedup_accept(&bot, &claim, NULL, NULL)
                    == NGX_OK;
        rebased += claim.rebased;
    }

    test_shuffle(ids, TEST_MANY);

    again = 0;

    for (i = 0; i < TEST_MANY; i++) {
        again += seen_claim(&bot, 870000000 + ids[i], &claim)
                 == NGX_DECLINED;
    }

    is_int(fresh, TEST_MANY);
    is_int(again, TEST_MANY);
    is_int(rebased, 0);
    ok(seen_walk(&bot));

    ngx_free(ids);
    unit_zone_free(zone);
}


static unit_case_t  test_cases[] = {
    { "an empty ring knows nothing", test_first },
    { "edges of the window", test_edges },
    { "jumps of every length", test_every_jump },
    { "out of order, against a list", test_model },
    { "far ids", test_forged },
    { "a numbering that starts again", test_restarted },
    { "numberings that meet", test_meeting },
    { "the ends of numbers", test_ends },
    { "a million in random order, each accepted once", test_million },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
