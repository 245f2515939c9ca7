
/*
 * A zone that is a file, found by a start: as nginx left it, left inside the
 * lock, or after a crash of the machine, when each page of the file is of one
 * moment or another, or zeros.
 *
 *   CRASH_SEEDS  number of seeds (300)
 *   CRASH_SEED   only this one
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_broadcast.h"
#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_idempotency.h"
#include "ngx_http_tgbot_limit.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_registry.h"
#include "ngx_http_tgbot_stats.h"
#include "ngx_http_tgbot_pace.h"

#include "queue.h"
#include "unit.h"
#include "zones.h"


#define TEST_PAGE   4096
#define TEST_BOTS   3
#define TEST_IDS    1024
#define TEST_TAKEN  16


/* what was put as an update; its bytes follow from id and length */

typedef struct {
    size_t      data;
    size_t      answer;      /* of the answer that was given */
    ngx_uint_t  bot;
    uint64_t    lane;
    ngx_uint_t  answered;    /* at any time */
    ngx_uint_t  there[2];    /* at the two moments: in the queue */
    ngx_uint_t  moved;       /* given back in between */
    ngx_uint_t  found;
} test_update_t;


static void test_seed(ngx_uint_t seed);
static void test_start(size_t room);
static void test_step(void);
static void test_put(void);
static void test_go_on(ngx_uint_t n);
static ngx_uint_t test_killed(ngx_uint_t n, ngx_uint_t stop);
static void test_mix(u_char *memory, u_char *one, u_char *two, size_t size,
    ngx_uint_t zeros);
static void test_read(ngx_uint_t all);
static void test_drain(void);
static void test_fill(u_char *p, size_t n, uint64_t seed);
static ngx_uint_t test_random(ngx_uint_t n);


static ngx_time_t     test_time;

ngx_uint_t            ngx_worker;
volatile ngx_time_t  *ngx_cached_time = &test_time;

static const char              *test_names[] = { "shop", "news", "a-b_1" };

static ngx_http_tgbot_zone_t   *test_zone;
static ngx_http_tgbot_queue_t   test_bots[TEST_BOTS];
static test_update_t            test_updates[TEST_IDS];
static ngx_uint_t               test_n;

static struct {
    ngx_uint_t                     bot;
    ngx_uint_t                     id;
    ngx_http_tgbot_queue_taken_t   taken;
} test_taken[TEST_TAKEN];
static ngx_uint_t               test_ntaken;

static uint64_t                 test_state;
static u_char                   test_buf[2][16384];


static ngx_uint_t
test_random(ngx_uint_t n)
{
    test_state ^= test_state << 13;
    test_state ^= test_state >> 7;
    test_state ^= test_state << 17;

    return (test_state >> 16) % n;
}


static void
test_fill(u_char *p, size_t n, uint64_t seed)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        p[i] = (u_char) ((seed * 0x9e3779b97f4a7c15ULL >> (i % 56)) + i);
    }
}


static void
test_start(size_t room)
{
    ngx_uint_t  i;

    for (i = 0; i < TEST_BOTS; i++) {
        test_bots[i] = queue_bot(test_names[i], 42 + i, 8, 100);
    }

    ngx_memzero(test_updates, sizeof(test_updates));
    test_n = 0;
    test_ntaken = 0;

    unit_slot_be(1);

    test_zone = queue_zone(test_bots, TEST_BOTS, room);
}


static void
test_put(void)
{
    ngx_msec_t              age;
    test_update_t          *u;
    ngx_http_tgbot_item_t   item;

    if (test_n == TEST_IDS) {
        return;
    }

    u = &test_updates[test_n];

    u->bot = test_random(TEST_BOTS);
    u->data = test_random(4) ? test_random(1500) : test_random(9000);
    u->lane = test_random(20);

    item = queue_item(test_n, u->lane, "");

    test_fill(test_buf[0], u->data, test_n);

    item.data.data = test_buf[0];
    item.data.len = u->data;

    if (ngx_http_tgbot_queue_put(&test_bots[u->bot], &item,
                                 NGX_HTTP_TGBOT_QUEUE_ACCEPTED, &age)
        == NGX_OK)
    {
        u->there[0] = 1;
        test_n++;
    }
}


static void
test_step(void)
{
    ngx_uint_t              i, bot;
    ngx_msec_t              wait;
    test_update_t          *u;
    ngx_http_tgbot_item_t   item;

    ngx_current_msec += test_random(3);

    switch (test_random(6)) {

    case 0:
    case 1:
    case 2:
        test_put();
        return;

    case 3:
        if (test_ntaken == TEST_TAKEN) {
            return;
        }

        i = test_ntaken;
        bot = test_random(TEST_BOTS);

        if (ngx_http_tgbot_queue_take(&test_bots[bot], &test_taken[i].taken,
                                      &wait)
            != NGX_OK)
        {
            return;
        }

        is_int(ngx_http_tgbot_queue_read(&test_bots[bot],
                                         &test_taken[i].taken, &item,
                                         test_buf[0]),
               NGX_OK);

        test_taken[i].bot = bot;
        test_taken[i].id = item.head.update_id;
        test_ntaken++;
        return;

    default:
        if (test_ntaken == 0) {
            return;
        }

        i = test_random(test_ntaken);
        u = &test_updates[test_taken[i].id];

        if (test_random(2)) {
            u->there[0] = 0;

            is_int(queue_done(&test_bots[test_taken[i].bot],
                              &test_taken[i].taken),
                   NGX_OK);

        } else {
            ngx_memzero(&item, sizeof(ngx_http_tgbot_item_t));

            if (!u->answered) {
                u->answer = test_random(3000);
                u->answered = 1;
            }

            test_fill(test_buf[0], u->answer, ~test_taken[i].id);

            item.answer.data = test_buf[0];
            item.answer.len = u->answer;
            item.answered = 1;
            item.progress.attempts = test_random(9);

            if (test_random(3) == 0) {
                (void) ngx_http_tgbot_queue_save(&test_bots[test_taken[i].bot],
                                                 &test_taken[i].taken, &item);
                return;
            }

            u->moved = 1;

            (void) ngx_http_tgbot_queue_give(&test_bots[test_taken[i].bot],
                                             &test_taken[i].taken, &item,
                                             test_random(2000),
                                             NGX_HTTP_TGBOT_QUEUE_UNTRIED);
        }

        test_taken[i] = test_taken[--test_ntaken];
    }
}


static void
test_go_on(ngx_uint_t n)
{
    while (n--) {
        test_step();
    }
}


/* returns 1 if the process was killed inside a change */

static ngx_uint_t
test_killed(ngx_uint_t n, ngx_uint_t stop)
{
    if (setjmp(unit_zone_killed)) {
        return 1;
    }

    unit_zone_stop_at = stop;

    test_go_on(n);

    unit_zone_stop_at = 0;

    return 0;
}


static void
test_mix(u_char *memory, u_char *one, u_char *two, size_t size,
    ngx_uint_t zeros)
{
    size_t  at, n, begin;

    /* the start has checked magic, kind and size */

    begin = sizeof(ngx_http_tgbot_zone_sh_t);

    for (at = 0; at < size; at += TEST_PAGE) {
        n = ngx_min(size - at, TEST_PAGE);

        if (zeros && test_random(20) == 0) {
            ngx_memzero(memory + at, n);

        } else {
            ngx_memcpy(memory + at, test_random(2) ? one + at : two + at, n);
        }
    }

    ngx_memcpy(memory, two, begin);
}


/* each item that is read is one that was put, and all of it */

static void
test_read(ngx_uint_t all)
{
    ngx_uint_t                      i;
    ngx_pool_t                     *pool;
    test_update_t                  *u;
    ngx_http_tgbot_item_t           item;
    ngx_http_tgbot_store_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    pool = unit_pool();

    while (queue_next(test_zone, &cursor, &item, pool) == NGX_OK) {
        if (!ok(item.head.update_id >= 0
                && (ngx_uint_t) item.head.update_id < test_n))
        {
            continue;
        }

        u = &test_updates[item.head.update_id];

        is_int(u->found++, 0);
        is_int(item.head.lane, u->lane);
        is_int(item.head.bot_id, 42 + u->bot);
        is_int(item.head.life, 86400);

        ok(item.head.bot_len == strlen(test_names[u->bot])
           && ngx_memcmp(item.head.bot, test_names[u->bot],
                         item.head.bot_len)
              == 0);

        is_int(item.data.len, u->data);
        test_fill(test_buf[0], u->data, item.head.update_id);
        ok(ngx_memcmp(item.data.data, test_buf[0],
                      ngx_min(item.data.len, u->data))
           == 0);

        if (item.answered) {
            is_int(u->answered, 1);
            is_int(item.answer.len, u->answer);
            test_fill(test_buf[0], u->answer, ~item.head.update_id);
            ok(ngx_memcmp(item.answer.data, test_buf[0],
                          ngx_min(item.answer.len, u->answer))
               == 0);
        }

        ok(item.progress.attempts < 9);
    }

    for (i = 0; i < test_n; i++) {
        u = &test_updates[i];

        if (all && u->there[0] && u->there[1]) {
            ok(u->found == 1);
        }

        u->found = 0;
    }
}


/* all that is there is taken, and no more; the books balance at the end */

static void
test_drain(void)
{
    uint64_t                       came, went;
    ngx_uint_t                     i, n, left;
    ngx_msec_t                     wait;
    ngx_http_tgbot_queue_taken_t   taken;
    ngx_http_tgbot_queue_state_t   state;

    left = ngx_http_tgbot_queue_items(test_zone);
    n = 0;

    for (i = 0; i < TEST_BOTS; i++) {
        ngx_http_tgbot_queue_state(&test_bots[i], &state);
        is_int(state.inflight, 0);

        ngx_current_msec += 4000;

        while (ngx_http_tgbot_queue_take(&test_bots[i], &taken, &wait)
               == NGX_OK)
        {
            is_int(queue_done(&test_bots[i], &taken), NGX_OK);
            n++;
        }

        ngx_http_tgbot_queue_state(&test_bots[i], &state);

        came = state.events[NGX_HTTP_TGBOT_QUEUE_ACCEPTED]
               + state.events[NGX_HTTP_TGBOT_QUEUE_LOADED];
        went = state.events[NGX_HTTP_TGBOT_QUEUE_DONE]
               + state.events[NGX_HTTP_TGBOT_QUEUE_DROPPED];

        is_int(came, went);
    }

    is_int(n, left);
    is_int(ngx_http_tgbot_queue_items(test_zone), 0);

    ok(queue_walk(test_zone));
}


static void
test_seed(ngx_uint_t seed)
{
    size_t       size;
    u_char      *one, *two;
    ngx_uint_t   i, zeros;

    unit_context("CRASH_SEED=%d", (int) seed);

    test_state = seed * 0x9e3779b97f4a7c15ULL + 1;
    ngx_current_msec = 5000000;

    test_start(100000 + test_random(300000));

    size = test_zone->sh->size;
    one = ngx_alloc(size, ngx_cycle->log);
    two = ngx_alloc(size, ngx_cycle->log);

    test_go_on(test_random(600));

    ngx_memcpy(one, test_zone->sh, size);

    for (i = 0; i < test_n; i++) {
        test_updates[i].there[1] = test_updates[i].there[0];
        test_updates[i].moved = 0;
    }

    /* the second moment may be inside of a change */

    if (test_killed(test_random(300), test_random(2000))) {

        /* the put that was cut may have been done */

        test_n = ngx_min(test_n + 1, TEST_IDS);
    }

    ngx_memcpy(two, test_zone->sh, size);

    zeros = test_random(2);
    test_mix((u_char *) test_zone->sh, one, two, size, zeros);

    /* workers of the new nginx may have the slots and epochs of the old one */

    is_int(unit_zone_start(test_zone, NGX_HTTP_TGBOT_ZONE_TORN), NGX_OK);
    test_zone->sh->generation++;

    ok(queue_walk(test_zone));

    test_read(!zeros);

    test_ntaken = 0;
    test_n = 0;
    ngx_memzero(test_updates, sizeof(test_updates));

    test_drain();

    test_go_on(100);
    ok(queue_walk(test_zone));

    ngx_free(one);
    ngx_free(two);
    unit_zone_free(test_zone);
}


static void
test_torn(void)
{
    char        *value;
    ngx_uint_t   i, n;

    value = getenv("CRASH_SEED");

    if (value) {
        test_seed(atoi(value));
        return;
    }

    value = getenv("CRASH_SEEDS");
    n = value ? (ngx_uint_t) atoi(value) : 300;

    for (i = 0; i < n; i++) {
        test_seed(i);
    }
}


/* the counts of a bot were on a page that is lost: what is there is loaded */

static void
test_loaded(void)
{
    ngx_uint_t                     torn;
    ngx_http_tgbot_queue_area_t    area;
    ngx_http_tgbot_queue_taken_t   taken;
    ngx_http_tgbot_queue_state_t   state;

    for (torn = 0; torn < 2; torn++) {
        test_start(100000);

        queue_put(&test_bots[0], 1, 1);
        queue_put(&test_bots[0], 2, 2);
        queue_put(&test_bots[0], 3, 3);

        is_int(queue_take(&test_bots[0], &taken, NULL), 1);
        is_int(queue_done(&test_bots[0], &taken), NGX_OK);

        ngx_http_tgbot_queue_lane_open(&area, test_zone);

        ngx_memzero(ngx_http_tgbot_queue_own(&area,
                                             test_bots[0].entry)->events,
                    sizeof(state.events));

        is_int(unit_zone_start(test_zone, torn ? NGX_HTTP_TGBOT_ZONE_TORN
                                               : NGX_HTTP_TGBOT_ZONE_DIRTY),
               NGX_OK);

        ngx_http_tgbot_queue_state(&test_bots[0], &state);

        is_int(state.events[NGX_HTTP_TGBOT_QUEUE_LOADED], torn ? 2 : 0);
        is_int(state.events[NGX_HTTP_TGBOT_QUEUE_ACCEPTED], torn ? 0 : 2);
        is_int(state.events[NGX_HTTP_TGBOT_QUEUE_DONE], 0);

        unit_zone_free(test_zone);
    }
}


/* what was accepted before a stop or a kill is there, in its order */

static void
test_kept(void)
{
    ngx_uint_t  i, seed, killed;

    for (seed = 0; seed < 200; seed++) {
        unit_context("seed %d", (int) seed);

        test_state = seed * 0x9e3779b97f4a7c15ULL + 1;
        test_start(100000 + test_random(300000));

        killed = test_killed(400, (seed % 2) ? 1 + test_random(8000) : 0);

        /* an update whose settle was cut may be there or not */

        for (i = 0; i < test_n; i++) {
            test_updates[i].there[1] = 1;
        }

        is_int(unit_zone_start(test_zone, killed
                                              ? NGX_HTTP_TGBOT_ZONE_DIRTY
                                              : NGX_HTTP_TGBOT_ZONE_KEPT),
               NGX_OK);
        test_zone->sh->generation++;

        ok(queue_walk(test_zone));

        test_n = ngx_min(test_n + killed, TEST_IDS);
        test_read(1);
        test_drain();

        unit_zone_free(test_zone);
    }
}


/* into a zone of another size, if there is room */

static void
test_copied(void)
{
    ngx_uint_t              i, seed, refused;
    ngx_http_tgbot_zone_t  *old;

    refused = 0;

    for (seed = 0; seed < 100; seed++) {
        unit_context("seed %d", (int) seed);

        test_state = seed * 0x9e3779b97f4a7c15ULL + 1;
        test_start(100000 + test_random(300000));
        test_go_on(400);

        for (i = 0; i < test_n; i++) {
            test_updates[i].there[1] = 1;
        }

        old = test_zone;
        old->sh->generation = 0;

        ngx_http_tgbot_queue_zone.open(old, NGX_HTTP_TGBOT_ZONE_KEPT);

        test_zone = queue_zone(test_bots, TEST_BOTS,
                               70000 + test_random(500000));

        /* times in the two zones count from two moments */

        test_zone->offset += 1000000;

        if (ngx_http_tgbot_queue_zone.copy(test_zone, old) == NGX_OK) {
            ok(queue_walk(test_zone));
            is_int(ngx_http_tgbot_queue_items(test_zone),
                   ngx_http_tgbot_queue_items(old));
            test_read(1);
            test_drain();

        } else {
            refused++;
        }

        unit_zone_free(old);
        unit_zone_free(test_zone);
    }

    ok(refused > 0 && refused < 100);
}


/* no bytes make a start crash, or a zone that does not work */

static void
test_garbage(void)
{
    size_t                        begin, i;
    u_char                       *p;
    ngx_uint_t                    seed, k;
    ngx_http_tgbot_zone_t        *zone;

    static const ngx_http_tgbot_zone_kind_t  *kinds[] = {
        &ngx_http_tgbot_queue_zone,
        &ngx_http_tgbot_dead_zone,
        &ngx_http_tgbot_dedup_zone,
        &ngx_http_tgbot_limit_zone,
        &ngx_http_tgbot_registry_zone,
        &ngx_http_tgbot_stats_zone,
        &ngx_http_tgbot_idempotency_zone,
        &ngx_http_tgbot_broadcast_zone,
        &ngx_http_tgbot_pace_zone
    };

    begin = ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE);

    for (k = 0; k < unit_n(kinds); k++) {
        zone = unit_zone(kinds[k], ngx_max(kinds[k]->min, 300000), NULL, 0);

        for (seed = 0; seed < 40; seed++) {
            unit_context("kind %s, seed %d", kinds[k]->name, (int) seed);

            test_state = seed * 0x9e3779b97f4a7c15ULL + 1;

            p = (u_char *) zone->sh;

            for (i = begin; i < zone->sh->size; i++) {

                /* marks, small numbers and NIL are what would mislead */

                switch (test_random(seed % 5 + 1)) {
                case 0:
                    p[i] = (u_char) test_random(256);
                    break;
                case 1:
                    p[i] = 0;
                    break;
                case 2:
                    p[i] = 0xff;
                    break;
                case 3:
                    p[i] = (u_char) test_random(3);
                    break;
                default:
                    p[i] = "item"[i % 4];
                }
            }

            is_int(unit_zone_start(zone, NGX_HTTP_TGBOT_ZONE_TORN), NGX_OK);

            if (k == 0) {
                is_int(ngx_http_tgbot_queue_items(zone), 0);
                ok(queue_walk(zone));
            }
        }

        unit_zone_free(zone);
    }
}


static unit_case_t  test_cases[] = {
    { "what was accepted before a stop or a kill is there", test_kept },
    { "a crash of the machine: no wrong bytes, what is whole is there",
      test_torn },
    { "what is there without its count was loaded", test_loaded },
    { "a file of another size is copied, or refused", test_copied },
    { "bytes of any kind", test_garbage },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
