
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup.h"
#include "dedup.h"


#define TEST_WINDOW  1024


static ngx_uint_t test_init(size_t room, ngx_http_tgbot_dedup_t *bots,
    ngx_uint_t n);
static ngx_http_tgbot_zone_t *test_adopt(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_dedup_t *bots, ngx_uint_t n);
static void test_fill(ngx_http_tgbot_dedup_t *bot, ngx_uint_t salt);
static void test_filled(ngx_http_tgbot_dedup_t *bot, ngx_uint_t salt);
static void test_forgotten(ngx_http_tgbot_dedup_t *bot, ngx_uint_t salt);
static size_t test_room(size_t size);


static ngx_uint_t
test_init(size_t room, ngx_http_tgbot_dedup_t *bots, ngx_uint_t n)
{
    void                   *users[64];
    ngx_uint_t              i;
    ngx_http_tgbot_zone_t  *zone;

    for (i = 0; i < n; i++) {
        users[i] = &bots[i];
    }

    zone = unit_zone(&ngx_http_tgbot_dedup_zone, room, users, n);

    if (zone == NULL) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        bots[i].zone = zone;
        test_fill(&bots[i], i);
    }

    for (i = 0; i < n; i++) {
        test_filled(&bots[i], i);
    }

    unit_zone_free(zone);

    return 1;
}


static ngx_http_tgbot_zone_t *
test_adopt(ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_dedup_t *bots,
    ngx_uint_t n)
{
    void                   *users[64];
    ngx_uint_t              i;
    ngx_http_tgbot_zone_t  *adopted;

    for (i = 0; i < n; i++) {
        users[i] = &bots[i];
    }

    adopted = unit_zone_adopt(zone, users, n);

    for (i = 0; i < n; i++) {
        bots[i].zone = adopted;
    }

    return adopted;
}


/* ids, a record and a call that differ for each salt */

static void
test_fill(ngx_http_tgbot_dedup_t *bot, ngx_uint_t salt)
{
    u_char                        text[NGX_HTTP_TGBOT_DEDUP_RIDE];
    int64_t                       id;
    ngx_str_t                     type, body;
    ngx_uint_t                    i;
    ngx_http_tgbot_dedup_claim_t  claim;

    id = 500000 + salt * 100;

    for (i = 0; i < 50; i++) {
        ok(seen_new(bot, id + i));
    }

    is_int(seen_claim(bot, id + 60, &claim), NGX_OK);
    is_int(ngx_http_tgbot_dedup_release(bot, &claim, 1, 1), NGX_OK);

    seen_call(type, "a/b");
    ngx_memset(text, 'a' + salt % 20, sizeof(text));
    body.data = text;
    body.len = 4000;

    is_int(seen_claim(bot, id + 70, &claim), NGX_OK);
    is_int(ngx_http_tgbot_dedup_accept(bot, &claim, &type, &body), NGX_OK);
}


static void
test_filled(ngx_http_tgbot_dedup_t *bot, ngx_uint_t salt)
{
    int64_t                       id;
    ngx_str_t                     type, body;
    ngx_uint_t                    i, known;
    ngx_http_tgbot_dedup_claim_t  claim;

    ok(seen_walk(bot));

    id = 500000 + salt * 100;
    known = 0;

    for (i = 0; i < 100; i++) {
        if (seen_claim(bot, id - 25 + i, &claim) == NGX_DECLINED) {
            known++;
            continue;
        }

        is_int(ngx_http_tgbot_dedup_forget(bot, &claim), NGX_OK);

        if (i == 85) {
            is_int(claim.attempts, 1);
            is_int(claim.charged, 1);

            is_int(seen_claim(bot, id + 60, &claim), NGX_OK);
            is_int(ngx_http_tgbot_dedup_release(bot, &claim, 1, 1), NGX_OK);

        } else {
            is_int(claim.attempts, 0);
        }
    }

    is_int(known, 51);

    is_int(ngx_http_tgbot_dedup_claim(bot, id + 70, &claim, &type, &body),
           NGX_DECLINED);
    is_str(&type, "a/b");

    if (is_int(body.len, 4000)) {
        is_int(body.data[0], 'a' + salt % 20);
        is_int(body.data[3999], 'a' + salt % 20);
    }
}


static void
test_forgotten(ngx_http_tgbot_dedup_t *bot, ngx_uint_t salt)
{
    int64_t                       id;
    ngx_uint_t                    i, new;
    ngx_http_tgbot_dedup_claim_t  claim;

    ok(seen_walk(bot));

    id = 500000 + salt * 100;
    new = 0;

    for (i = 0; i < 100; i++) {
        new += seen_claim(bot, id + i, &claim) == NGX_OK;
        ok(claim.lease.token != 0);
        is_int(claim.attempts, 0);
        is_int(ngx_http_tgbot_dedup_forget(bot, &claim), NGX_OK);
    }

    is_int(new, 100);
}


/* the room for a kind's data in a zone of "size" bytes */

static size_t
test_room(size_t size)
{
    size_t  left, pages;

    left = size - sizeof(ngx_slab_pool_t)
           - 9 * (sizeof(ngx_slab_page_t) + sizeof(ngx_slab_stat_t));

    pages = left / (ngx_pagesize + sizeof(ngx_slab_page_t));

    /* pages begin at a multiple of their size */

    left -= pages * sizeof(ngx_slab_page_t) + ngx_pagesize - 1;
    pages = left / ngx_pagesize;

    return pages * ngx_pagesize - NGX_HTTP_TGBOT_ZONE_RT
           - ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE);
}


/* in a zone of any size the bots get all they need or are refused */

static void
test_small(void)
{
    size_t                  room, least;
    ngx_uint_t              fits;
    ngx_http_tgbot_dedup_t  bots[2];

    bots[0] = seen_bot("a", 0, TEST_WINDOW);
    bots[1] = seen_bot("b", 0, TEST_WINDOW);

    least = 0;

    for (room = 64; room < 2 * 512 * 1024 + 4096; room += 64) {

        if (room > 2000 && room < 512 * 1024 - 64) {
            room = 512 * 1024 - 64;
        }

        if (room > 513 * 1024 && room < 1024 * 1024 - 64) {
            room = 1024 * 1024 - 64;
        }

        unit_context("room %lu", (unsigned long) room);

        fits = test_init(room, bots, 1);

        if (least == 0 && fits) {
            least = room;
        }

        is_int(fits, least != 0);

        fits = test_init(room, bots, 2);
        is_int(fits, room >= 2 * ngx_http_tgbot_dedup_size(TEST_WINDOW) + 320);
    }

    ok(least != 0);
    ok(least <= ngx_http_tgbot_dedup_zone.min);
    ok(test_init(ngx_http_tgbot_dedup_zone.min, bots, 1));
}


/* the size in the error message is enough, and not much too large */

static void
test_check(void)
{
    size_t                  size, areas;
    void                   *users[64];
    ngx_log_t               log;
    ngx_conf_t              cf;
    ngx_uint_t              i, j, n;
    ngx_shm_zone_t          shm_zone;
    ngx_http_tgbot_zone_t   zone;
    ngx_http_tgbot_dedup_t  bots[64];

    static const struct {
        ngx_uint_t  n;
        ngx_uint_t  window;
    } rows[] = {
        { 1, 1024 },
        { 1, 4194304 },
        { 2, 4194304 },
        { 7, 8192 },
        { 50, 65536 },
    };

    ngx_memzero(&log, sizeof(ngx_log_t));
    ngx_memzero(&cf, sizeof(ngx_conf_t));
    ngx_memzero(&shm_zone, sizeof(ngx_shm_zone_t));
    ngx_memzero(&zone, sizeof(ngx_http_tgbot_zone_t));

    cf.log = &log;
    zone.shm_zone = &shm_zone;
    zone.users.elts = users;

    for (i = 0; i < unit_n(rows); i++) {
        n = rows[i].n;
        areas = 0;

        for (j = 0; j < n; j++) {
            bots[j] = seen_bot((char *) "abcdefghijklmnopqrstuvwxyz"
                                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + j, 0,
                               rows[i].window);
            bots[j].bot.len = 1;
            users[j] = &bots[j];
            areas += ngx_http_tgbot_dedup_size(rows[i].window);
        }

        zone.users.nelts = n;

        for (size = areas; /* void */; size += 1024) {
            zone.size = size;

            if (ngx_http_tgbot_dedup_check(&cf, &zone) == NGX_OK) {
                break;
            }
        }

        unit_context("%d bots, size %lu", (int) n, (unsigned long) size);

        ok(size <= areas + areas / 64 + 5 * ngx_pagesize);
        ok(test_init(test_room(size), bots, n));
    }

    /* the zone each bot has by default */

    bots[0] = seen_bot("a", 0, NGX_HTTP_TGBOT_DEDUP_WINDOW);
    zone.users.nelts = 1;
    zone.size = 2 * 1024 * 1024;

    is_int(ngx_http_tgbot_dedup_check(&cf, &zone), NGX_OK);

    /* sums that overflow */

    for (i = 0; i < 64; i++) {
        bots[i] = seen_bot("a", 0, (ngx_uint_t) 1 << 60);
        users[i] = &bots[i];
    }

    zone.users.nelts = 64;

    is_int(ngx_http_tgbot_dedup_check(&cf, &zone), NGX_ERROR);

    /* refused also for a zone that was made for fewer bots */

    bots[0] = seen_bot("a", 0, TEST_WINDOW);
    bots[1] = seen_bot("b", 0, TEST_WINDOW);

    ok(!test_init(ngx_http_tgbot_dedup_zone.min, bots, 2));
}


static void
test_bots(void)
{
    ngx_uint_t              i;
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_dedup_t  bots[20];

    static const char  *names[] = {
        "a", "b", "aa", "ab", "ba", "shop", "shop2", "Shop", "shop-1",
        "a23456789012345678901234567890123", "b2345678901234567890123456789012"
    };

    for (i = 0; i < unit_n(names); i++) {
        bots[i] = seen_bot(names[i], 0, TEST_WINDOW << i % 3);
        bots[i].bot.len = ngx_min(bots[i].bot.len, 32);
    }

    zone = seen_zone(bots, unit_n(names));

    for (i = 0; i < unit_n(names); i++) {
        unit_context("bot %s", names[i]);
        test_forgotten(&bots[i], 0);
        test_fill(&bots[i], 0);
    }

    for (i = 0; i < unit_n(names); i++) {
        unit_context("bot %s", names[i]);
        test_filled(&bots[i], 0);
    }

    unit_zone_free(zone);
}


static void
test_reload(void)
{
    ngx_http_tgbot_zone_t        *zone, *adopted, *again;
    ngx_http_tgbot_dedup_t        old[2], new[2], third[1];
    ngx_http_tgbot_dedup_claim_t  claim;

    old[0] = seen_bot("a", 11, TEST_WINDOW);
    old[1] = seen_bot("b", 22, TEST_WINDOW);

    zone = seen_zone(old, 2);

    test_fill(&old[0], 1);
    test_fill(&old[1], 2);

    is_int(seen_claim(&old[0], 500500, &claim), NGX_OK);

    /* in another order */

    new[0] = seen_bot("b", 22, TEST_WINDOW);
    new[1] = seen_bot("a", 11, TEST_WINDOW);

    adopted = test_adopt(zone, new, 2);

    test_filled(&new[0], 2);
    test_filled(&new[1], 1);

    /* workers of both configurations share what they know */

    is_int(seen_claim(&new[1], 500500, &claim), NGX_BUSY);
    ok(seen_new(&new[1], 500501));
    is_int(seen_claim(&old[0], 500501, &claim), NGX_DECLINED);

    /* a removed bot still has its data when it returns */

    third[0] = seen_bot("b", 22, TEST_WINDOW);

    again = test_adopt(adopted, third, 1);
    test_filled(&third[0], 2);
    unit_zone_free(adopted);

    adopted = test_adopt(again, new, 2);
    test_filled(&new[1], 1);
    test_filled(&old[0], 1);

    unit_zone_free(adopted);
    unit_zone_free(again);
    unit_zone_free(zone);
}


static void
test_token(void)
{
    ngx_http_tgbot_zone_t        *zone, *adopted[4];
    ngx_http_tgbot_dedup_t        old, new[4];
    ngx_http_tgbot_dedup_claim_t  claim, work;

    /* a bot whose id is learned later and then omitted is the same bot */

    old = seen_bot("a", 0, TEST_WINDOW);
    new[0] = seen_bot("a", 11, TEST_WINDOW);
    new[1] = seen_bot("a", 0, TEST_WINDOW);
    new[2] = seen_bot("a", 11, TEST_WINDOW);
    new[3] = seen_bot("a", 12, TEST_WINDOW);

    zone = seen_zone(&old, 1);
    test_fill(&old, 1);

    adopted[0] = test_adopt(zone, &new[0], 1);
    test_filled(&new[0], 1);

    adopted[1] = test_adopt(zone, &new[1], 1);
    test_filled(&new[1], 1);

    adopted[2] = test_adopt(zone, &new[2], 1);
    test_filled(&new[2], 1);

    is_int(seen_claim(&new[2], 500800, &work), NGX_OK);

    /* another bot */

    adopted[3] = test_adopt(zone, &new[3], 1);
    test_forgotten(&new[3], 1);
    test_fill(&new[3], 3);

    /* claims of the old bot are settled, and the new bot does not see them */

    is_int(ngx_http_tgbot_dedup_holds(&new[2], &work), 1);
    is_int(ngx_http_tgbot_dedup_accept(&new[2], &work, NULL, NULL), NGX_OK);
    is_int(seen_claim(&new[2], 500800, &claim), NGX_OK);
    is_int(claim.lease.token, 0);
    is_int(claim.first, ngx_current_msec);
    is_int(ngx_http_tgbot_dedup_release(&new[2], &claim, 1, 1), NGX_OK);
    is_int(ngx_http_tgbot_dedup_forget(&new[2], &claim), NGX_OK);
    is_int(seen_claim(&new[3], 500800, &claim), NGX_OK);
    ok(claim.lease.token != 0);
    is_int(claim.attempts, 0);
    test_filled(&new[3], 3);

    unit_zone_free(adopted[3]);
    unit_zone_free(adopted[2]);
    unit_zone_free(adopted[1]);
    unit_zone_free(adopted[0]);
    unit_zone_free(zone);
}


/* another window: with room for both, and without */

static void
test_window(void)
{
    ngx_http_tgbot_zone_t        *zone, *adopted;
    ngx_http_tgbot_dedup_t        old[2], new[2], wide;
    ngx_http_tgbot_dedup_claim_t  claim;

    old[0] = seen_bot("a", 0, TEST_WINDOW);
    old[1] = seen_bot("b", 0, 8 * TEST_WINDOW);

    zone = seen_zone(old, 2);
    test_fill(&old[0], 1);
    test_fill(&old[1], 2);

    wide = seen_bot("a", 0, 2 * TEST_WINDOW);
    adopted = test_adopt(zone, &wide, 1);

    /* the area took the place of all bots that are no longer configured */

    test_forgotten(&wide, 1);
    test_fill(&wide, 3);

    is_int(seen_claim(&old[0], 500101, &claim), NGX_OK);
    is_int(claim.lease.token, 0);
    is_int(seen_claim(&old[1], 500201, &claim), NGX_OK);
    is_int(claim.lease.token, 0);
    unit_zone_free(adopted);

    /* the rest is room for a second one, beside the first */

    new[0] = seen_bot("a", 0, TEST_WINDOW);
    new[1] = seen_bot("b", 0, 4 * TEST_WINDOW);

    adopted = test_adopt(zone, new, 2);
    test_forgotten(&new[0], 3);
    test_forgotten(&new[1], 3);
    test_fill(&new[0], 4);
    test_fill(&new[1], 5);
    test_filled(&new[0], 4);
    test_filled(&new[1], 5);
    unit_zone_free(adopted);

    unit_zone_free(zone);
}


/* areas of different lengths move together; nothing of them is lost */

static void
test_compact(void)
{
    ngx_http_tgbot_zone_t        *zone, *adopted;
    ngx_http_tgbot_dedup_t        old[5], new[3];
    ngx_http_tgbot_dedup_claim_t  claim, work;

    old[0] = seen_bot("a", 0, 2 * TEST_WINDOW);
    old[1] = seen_bot("b", 0, 128 * TEST_WINDOW);
    old[2] = seen_bot("c", 0, 4 * TEST_WINDOW);
    old[3] = seen_bot("d", 0, 16 * TEST_WINDOW);
    old[4] = seen_bot("e", 0, TEST_WINDOW);

    zone = seen_zone(old, 5);

    test_fill(&old[0], 1);
    test_fill(&old[1], 2);
    test_fill(&old[2], 3);
    test_fill(&old[3], 4);
    test_fill(&old[4], 5);

    is_int(seen_claim(&old[4], 500590, &work), NGX_OK);

    new[0] = seen_bot("new", 0, 1024 * TEST_WINDOW);
    new[1] = seen_bot("e", 0, TEST_WINDOW);
    new[2] = seen_bot("b", 0, 128 * TEST_WINDOW);

    adopted = test_adopt(zone, new, 3);

    if (!ok(adopted != NULL)) {
        return;
    }

    test_forgotten(&new[0], 1);
    test_fill(&new[0], 6);

    /* a worker that knows the old place of the area settles at the new one */

    is_int(seen_claim(&new[1], 500590, &claim), NGX_BUSY);
    is_int(ngx_http_tgbot_dedup_forget(&old[4], &work), NGX_OK);

    test_filled(&new[0], 6);
    test_filled(&new[1], 5);
    test_filled(&new[2], 2);
    test_filled(&old[1], 2);
    test_filled(&old[4], 5);

    is_int(seen_claim(&old[0], 500101, &claim), NGX_OK);
    is_int(claim.lease.token, 0);

    unit_zone_free(adopted);
    unit_zone_free(zone);
}


static void
test_no_room(void)
{
    ngx_http_tgbot_zone_t  *zone;
    ngx_http_tgbot_dedup_t  old[2], new[3];

    old[0] = seen_bot("a", 0, TEST_WINDOW);
    old[1] = seen_bot("b", 0, TEST_WINDOW);

    zone = seen_zone(old, 2);
    test_fill(&old[0], 1);
    test_fill(&old[1], 2);

    new[0] = old[0];
    new[1] = old[1];
    new[2] = seen_bot("c", 0, TEST_WINDOW);

    ok(test_adopt(zone, new, 3) == NULL);

    is_int(zone->rt->dirty, 0);

    test_filled(&old[0], 1);
    test_filled(&old[1], 2);

    unit_zone_free(zone);
}


/* a process died inside the zone before the reload */

static void
test_dirty(void)
{
    ngx_http_tgbot_zone_t  *zone, *adopted;
    ngx_http_tgbot_dedup_t  old, new;

    old = seen_bot("a", 0, TEST_WINDOW);
    new = old;

    zone = seen_zone(&old, 1);
    test_fill(&old, 1);

    unit_zone_dirty(zone);

    adopted = test_adopt(zone, &new, 1);

    is_int(zone->sh->repaired, 1);
    is_int(zone->rt->dirty, 0);
    test_filled(&new, 1);

    unit_zone_free(adopted);
    unit_zone_free(zone);
}


/* the master dies while it makes room; its workers continue for a while */

static void
test_killed(void)
{
    void                         *users[3];
    ngx_uint_t                    i;
    volatile ngx_uint_t           at, killed;
    ngx_http_tgbot_dedup_t        old[3], new[3];
    ngx_http_tgbot_zone_t        *zone, *adopted, next;
    ngx_http_tgbot_dedup_claim_t  claim;

    users[0] = &new[0];
    users[1] = &new[1];
    users[2] = &new[2];

    for (at = 1, killed = 1; killed; at++) {
        unit_context("killed at %lu", (unsigned long) at);

        old[0] = seen_bot("a", 0, TEST_WINDOW);
        old[1] = seen_bot("b", 0, 128 * TEST_WINDOW);
        old[2] = seen_bot("c", 0, 16 * TEST_WINDOW);

        zone = seen_zone(old, 3);
        test_fill(&old[0], 1);
        test_fill(&old[1], 2);
        test_fill(&old[2], 3);

        /* areas move by less than their length */

        new[0] = seen_bot("new", 0, TEST_WINDOW);
        new[1] = seen_bot("b", 0, 128 * TEST_WINDOW);
        new[2] = seen_bot("c", 0, 16 * TEST_WINDOW);
        killed = 0;

        if (setjmp(unit_zone_killed) == 0) {
            next = *zone;
            next.users.elts = users;
            next.users.nelts = 3;

            unit_zone_stop_at = at;
            is_int(zone->kind->init(&next, 0), NGX_OK);
            unit_zone_stop_at = 0;

        } else {
            killed = 1;
        }

        for (i = 0; i < 3; i++) {
            is_int(seen_claim(&old[i], 500900, &claim), NGX_OK);

            if (claim.lease.token) {
                is_int(ngx_http_tgbot_dedup_forget(&old[i], &claim), NGX_OK);
                test_filled(&old[i], i + 1);
            }
        }

        adopted = test_adopt(zone, new, 3);

        if (ok(adopted != NULL)) {
            test_forgotten(&new[0], 9);
            test_fill(&new[0], 9);
            ok(seen_walk(&new[1]));
            ok(seen_walk(&new[2]));

            if (!killed) {
                test_filled(&new[1], 2);
                test_filled(&new[2], 3);
            }

            test_filled(&new[0], 9);
            unit_zone_free(adopted);
        }

        unit_zone_free(zone);
    }

    ok(at > 5);
}


/* a configuration makes areas and is refused: the old one stays in force */

static void
test_refused(void)
{
    ngx_http_tgbot_zone_t        *zone, *refused;
    ngx_http_tgbot_dedup_t        old[2], worker, new[2];
    ngx_http_tgbot_dedup_claim_t  claim;

    old[0] = seen_bot("a", 11, TEST_WINDOW);
    old[1] = seen_bot("b", 12, TEST_WINDOW);
    new[0] = seen_bot("a", 13, TEST_WINDOW);
    new[1] = seen_bot("c", 14, TEST_WINDOW);

    zone = seen_zone(old, 2);
    test_fill(&old[0], 1);
    test_fill(&old[1], 2);
    worker = old[0];

    refused = test_adopt(zone, new, 2);

    if (!ok(refused != NULL)) {
        return;
    }

    unit_zone_adopted = 0;

    /* one area was given to another bot and returns empty */

    test_forgotten(&old[0], 1);
    test_fill(&old[0], 3);
    test_filled(&old[0], 3);

    /* for all workers */

    test_filled(&worker, 3);

    /* the other bot has no room, as the refused bot has its area */

    is_int(seen_claim(&old[1], 500800, &claim), NGX_OK);
    is_int(claim.lease.token, 0);
    ok(seen_walk(&old[0]));
    test_filled(&worker, 3);

    unit_zone_adopted = 1;

    unit_zone_free(refused);
    unit_zone_free(zone);
}


static unit_case_t  test_cases[] = {
    { "zones too small, and just large enough", test_small },
    { "the size that bots need", test_check },
    { "bots of a zone", test_bots },
    { "adopted with the same bots", test_reload },
    { "another token under an old name", test_token },
    { "another window", test_window },
    { "areas that move", test_compact },
    { "no room for a new bot", test_no_room },
    { "adopted after a death inside", test_dirty },
    { "killed while areas are made", test_killed },
    { "areas of a configuration that is refused", test_refused },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
