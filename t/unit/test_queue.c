
/*
 * The queue as its callers see it: order, round robin, limits, leases.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "queue.h"


#define TEST_ROOM  (512 * 1024)


static void test_start(size_t room);
static void test_end(void);
static void test_text(u_char *p, size_t len, ngx_uint_t seed);
static ngx_uint_t test_is_text(u_char *p, size_t len, ngx_uint_t seed);


static ngx_http_tgbot_queue_t   test_bots[2];
static ngx_http_tgbot_zone_t   *test_zone;
static u_char                   test_buf[1024 * 1024];


/* two bots that may take all of a zone, 4 and 2 jobs at once */

static void
test_start(size_t room)
{
    test_bots[0] = queue_bot("shop", 42, 4, 100);
    test_bots[1] = queue_bot("news", 43, 2, 100);

    test_zone = queue_zone(test_bots, 2, room);

    unit_slot_be(0);
}


static void
test_end(void)
{
    ok(queue_walk(test_zone));

    unit_zone_free(test_zone);
}


static void
test_text(u_char *p, size_t len, ngx_uint_t seed)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        p[i] = (u_char) (seed + i + i / 251);
    }
}


static ngx_uint_t
test_is_text(u_char *p, size_t len, ngx_uint_t seed)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (p[i] != (u_char) (seed + i + i / 251)) {
            return 0;
        }
    }

    return 1;
}


static void
test_one(void)
{
    u_char                        buf[64];
    ngx_msec_t                    age, wait;
    ngx_http_tgbot_item_t         item, got;
    ngx_http_tgbot_queue_taken_t  taken;
    ngx_http_tgbot_queue_state_t  state;

    test_start(TEST_ROOM);

    is_int(ngx_http_tgbot_queue_take(&test_bots[0], &taken, &wait),
           NGX_DECLINED);
    is_int(wait, NGX_TIMER_INFINITE);
    is_int(taken.lease.token, 0);

    item = queue_item(-7, 0xfedcba9876543210ULL, "some data");
    item.head.received -= 5000;
    item.head.life = 100;
    item.progress.attempts = 3;
    item.progress.unavailable = 4;
    item.progress.next = 1;
    item.progress.failures = 5;
    item.progress.unknown = 6;
    item.progress.started = 7;
    item.answered = 1;
    queue_string(item.answer, "calls");

    is_int(ngx_http_tgbot_queue_put(&test_bots[0], &item,
                                    NGX_HTTP_TGBOT_QUEUE_REPLAYED, &age),
           NGX_OK);

    is_int(ngx_http_tgbot_queue_take(&test_bots[1], &taken, &wait),
           NGX_DECLINED);

    is_int(ngx_http_tgbot_queue_take(&test_bots[0], &taken, &wait), NGX_OK);
    is_int(taken.size, 14);
    ok(taken.lease.token != 0);

    is_int(ngx_http_tgbot_queue_read(&test_bots[0], &taken, &got, buf),
           NGX_OK);

    is_int(got.head.update_id, -7);
    ok(got.head.lane == item.head.lane);
    is_int(got.head.received, item.head.received);
    is_int(got.head.life, 100);
    is_int(got.progress.attempts, 3);
    is_int(got.progress.unavailable, 4);
    is_int(got.progress.next, 1);
    is_int(got.progress.failures, 5);
    is_int(got.progress.unknown, 6);
    is_int(got.progress.started, 7);
    is_int(got.answered, 1);
    is_str(&got.data, "some data");
    is_str(&got.answer, "calls");

    ngx_current_msec += 1234;

    ngx_http_tgbot_queue_state(&test_bots[0], &state);
    is_int(state.waiting, 0);
    is_int(state.inflight, 1);
    is_int(state.lanes, 1);
    is_int(state.blocks, 2);
    is_int(state.oldest, 6234);
    is_int(state.allowed, 0);
    is_int(state.events[NGX_HTTP_TGBOT_QUEUE_REPLAYED], 1);

    is_int(ngx_http_tgbot_queue_holds(&test_bots[0], &taken), NGX_OK);
    is_int(ngx_http_tgbot_queue_empty(&test_bots[0], item.head.lane), 0);
    is_int(ngx_http_tgbot_queue_empty(&test_bots[1], item.head.lane), 1);

    is_int(ngx_http_tgbot_queue_settle(&test_bots[0], &taken,
                                       NGX_HTTP_TGBOT_QUEUE_EXPIRED,
                                       NGX_HTTP_TGBOT_QUEUE_UNTRIED),
           NGX_OK);

    is_int(ngx_http_tgbot_queue_holds(&test_bots[0], &taken), NGX_DECLINED);
    is_int(queue_done(&test_bots[0], &taken), NGX_DECLINED);
    is_int(ngx_http_tgbot_queue_empty(&test_bots[0], item.head.lane), 1);

    ngx_http_tgbot_queue_state(&test_bots[0], &state);
    is_int(state.inflight, 0);
    is_int(state.lanes, 0);
    is_int(state.blocks, 0);
    is_int(state.oldest, 0);
    is_int(state.events[NGX_HTTP_TGBOT_QUEUE_EXPIRED], 1);

    test_end();
}


/* one item of a lane at a time, in the order received */

static void
test_lane(void)
{
    ngx_http_tgbot_queue_taken_t  one, two;

    test_start(TEST_ROOM);

    queue_put(&test_bots[0], 1, 10);
    queue_put(&test_bots[0], 2, 10);
    queue_put(&test_bots[0], 3, 10);
    queue_put(&test_bots[1], 4, 10);

    is_int(queue_take(&test_bots[0], &one, NULL), 1);
    is_int(queue_take(&test_bots[0], &two, NULL), -1);
    is_int(queue_take(&test_bots[1], &two, NULL), 4);
    is_int(queue_done(&test_bots[1], &two), NGX_OK);

    is_int(queue_give(&test_bots[0], &one, 0, NGX_HTTP_TGBOT_QUEUE_UNTRIED),
           NGX_OK);
    is_int(queue_take(&test_bots[0], &one, NULL), 1);
    is_int(queue_done(&test_bots[0], &one), NGX_OK);

    is_int(queue_take(&test_bots[0], &one, NULL), 2);
    queue_put(&test_bots[0], 5, 10);
    is_int(queue_done(&test_bots[0], &one), NGX_OK);

    is_int(queue_take(&test_bots[0], &one, NULL), 3);
    is_int(queue_take(&test_bots[0], &two, NULL), -1);
    is_int(queue_done(&test_bots[0], &one), NGX_OK);

    is_int(queue_take(&test_bots[0], &one, NULL), 5);
    is_int(queue_done(&test_bots[0], &one), NGX_OK);

    test_end();
}


/* a lane of a thousand updates waits as long as a lane of one */

static void
test_turns(void)
{
    ngx_uint_t                    i, k, big;
    ngx_http_tgbot_queue_taken_t  taken;

    test_start(1024 * 1024);

    for (i = 0; i < 300; i++) {
        is_int(queue_put(&test_bots[0], i, 1), NGX_OK);
    }

    for (k = 0; k < 3; k++) {
        for (i = 2; i < 12; i++) {
            is_int(queue_put(&test_bots[0], 1000 * i + k, i), NGX_OK);
        }
    }

    big = 0;

    for (k = 0; k < 3; k++) {
        for (i = 1; i < 12; i++) {
            is_int(queue_take(&test_bots[0], &taken, NULL),
                   (i == 1) ? big++ : 1000 * i + k);
            is_int(queue_done(&test_bots[0], &taken), NGX_OK);
        }
    }

    /* a lane that is given back goes behind others, too */

    queue_put(&test_bots[0], 5000, 5);
    is_int(queue_take(&test_bots[0], &taken, NULL), 3);
    queue_give(&test_bots[0], &taken, 0, NGX_HTTP_TGBOT_QUEUE_TOOK);
    is_int(queue_take(&test_bots[0], &taken, NULL), 5000);
    queue_done(&test_bots[0], &taken);
    is_int(queue_take(&test_bots[0], &taken, NULL), 3);

    test_end();
}


static void
test_concurrency(void)
{
    ngx_uint_t                    i;
    ngx_msec_t                    wait;
    ngx_http_tgbot_queue_taken_t  taken[5];

    test_start(TEST_ROOM);

    for (i = 0; i < 10; i++) {
        queue_put(&test_bots[0], i, i);
        queue_put(&test_bots[1], i, i);
    }

    for (i = 0; i < 4; i++) {
        unit_slot_be(i % 2);
        is_int(queue_take(&test_bots[0], &taken[i], NULL), i);
    }

    is_int(queue_take(&test_bots[0], &taken[4], &wait), -1);
    is_int(wait, NGX_TIMER_INFINITE);

    /* jobs of another bot do not count for this one */

    is_int(queue_take(&test_bots[1], &taken[4], NULL), 0);

    is_int(queue_done(&test_bots[0], &taken[2]), NGX_OK);
    is_int(queue_take(&test_bots[0], &taken[2], NULL), 4);
    is_int(queue_take(&test_bots[0], &taken[4], NULL), -1);

    queue_give(&test_bots[0], &taken[0], 50, NGX_HTTP_TGBOT_QUEUE_UNTRIED);
    is_int(queue_take(&test_bots[0], &taken[0], NULL), 5);

    test_end();
}


static void
test_delay(void)
{
    ngx_uint_t                    i;
    ngx_msec_t                    wait;
    ngx_http_tgbot_queue_taken_t  taken[4];
    ngx_http_tgbot_queue_state_t  state;

    test_start(TEST_ROOM);

    for (i = 0; i < 3; i++) {
        queue_put(&test_bots[0], i, i);
        queue_put(&test_bots[0], 10 + i, i);
    }

    for (i = 0; i < 3; i++) {
        queue_take(&test_bots[0], &taken[i], NULL);
    }

    queue_give(&test_bots[0], &taken[0], 300, NGX_HTTP_TGBOT_QUEUE_UNTRIED);
    queue_give(&test_bots[0], &taken[1], 100, NGX_HTTP_TGBOT_QUEUE_UNTRIED);
    queue_give(&test_bots[0], &taken[2], 200, NGX_HTTP_TGBOT_QUEUE_UNTRIED);

    ngx_http_tgbot_queue_state(&test_bots[0], &state);
    is_int(state.waiting, 6);
    is_int(state.delayed, 3);
    is_int(state.inflight, 0);

    is_int(queue_take(&test_bots[0], &taken[3], &wait), -1);
    is_int(wait, 100);

    /* a take for one bot makes due lanes of other bots ready, too */

    queue_put(&test_bots[1], 20, 0);
    ngx_current_msec += 100;

    is_int(queue_take(&test_bots[1], &taken[3], NULL), 20);
    is_int(queue_take(&test_bots[0], &taken[3], NULL), 1);
    is_int(queue_take(&test_bots[0], &taken[0], &wait), -1);
    is_int(wait, 100);

    ngx_current_msec += 500;

    is_int(queue_take(&test_bots[0], &taken[0], NULL), 2);
    is_int(queue_take(&test_bots[0], &taken[1], NULL), 0);
    is_int(queue_done(&test_bots[0], &taken[3]), NGX_OK);
    is_int(queue_take(&test_bots[0], &taken[3], NULL), 11);

    /* the longest possible delay */

    queue_give(&test_bots[0], &taken[0], NGX_TIMER_INFINITE,
               NGX_HTTP_TGBOT_QUEUE_UNTRIED);
    is_int(queue_take(&test_bots[0], &taken[0], &wait), -1);
    ok(wait > 86400000 && wait != NGX_TIMER_INFINITE);

    test_end();
}


/* hundreds are due at once, in any order */

static void
test_delays(void)
{
    int64_t                       id, last;
    ngx_uint_t                    i, n;
    ngx_http_tgbot_queue_taken_t  taken;

    test_start(1024 * 1024);

    test_bots[0].concurrency = 1000;

    for (i = 0; i < 500; i++) {
        queue_put(&test_bots[0], i, i);
    }

    for (i = 0; i < 500; i++) {
        id = queue_take(&test_bots[0], &taken, NULL);
        queue_give(&test_bots[0], &taken, 1 + (id * 7919) % 1009,
                   NGX_HTTP_TGBOT_QUEUE_UNTRIED);

        if (i % 50 == 0) {
            ok(queue_walk(test_zone));
        }
    }

    ngx_current_msec += 2000;
    last = 0;

    for (n = 0; n < 500; n++) {
        id = queue_take(&test_bots[0], &taken, NULL);

        if (id < 0 || 1 + (id * 7919) % 1009 < last) {
            break;
        }

        last = 1 + (id * 7919) % 1009;

        if (n % 50 == 0) {
            ok(queue_walk(test_zone));
        }
    }

    is_int(n, 500);

    test_end();
}


/* the milliseconds wrap around */

static void
test_wrap(void)
{
    ngx_msec_t                    saved, wait;
    ngx_http_tgbot_queue_taken_t  taken;

    saved = ngx_current_msec;
    ngx_current_msec = (ngx_msec_t) -100;

    test_start(TEST_ROOM);

    queue_put(&test_bots[0], 1, 1);
    queue_put(&test_bots[0], 2, 2);
    queue_take(&test_bots[0], &taken, NULL);
    queue_give(&test_bots[0], &taken, 300, NGX_HTTP_TGBOT_QUEUE_UNTRIED);
    queue_take(&test_bots[0], &taken, NULL);
    queue_give(&test_bots[0], &taken, 50, NGX_HTTP_TGBOT_QUEUE_UNTRIED);

    is_int(queue_take(&test_bots[0], &taken, &wait), -1);
    is_int(wait, 50);

    ngx_current_msec += 200;

    is_int(queue_take(&test_bots[0], &taken, &wait), 2);
    is_int(queue_take(&test_bots[0], &taken, &wait), -1);
    is_int(wait, 100);

    ngx_current_msec += 100;

    is_int(queue_take(&test_bots[0], &taken, &wait), 1);

    test_end();

    ngx_current_msec = saved;
}


static void
test_save(void)
{
    size_t                        len;
    ngx_http_tgbot_item_t         item, got;
    ngx_http_tgbot_queue_taken_t  taken, other;

    test_start(TEST_ROOM);

    queue_put(&test_bots[0], 1, 1);
    queue_put(&test_bots[0], 2, 2);
    queue_take(&test_bots[0], &taken, NULL);

    ngx_http_tgbot_queue_read(&test_bots[0], &taken, &item, test_buf);
    is_int(item.answered, 0);
    is_int(item.answer.len, 0);

    item.progress.attempts = 9;
    item.answered = 1;
    item.answer.len = 0;
    item.progress.next = 2;

    is_int(ngx_http_tgbot_queue_give(&test_bots[0], &taken, &item, 0,
                                     NGX_HTTP_TGBOT_QUEUE_UNTRIED), NGX_OK);

    is_int(queue_take(&test_bots[0], &other, NULL), 2);
    is_int(queue_take(&test_bots[0], &taken, NULL), 1);

    is_int(ngx_http_tgbot_queue_read(&test_bots[0], &taken, &got, test_buf),
           NGX_OK);
    is_int(got.answered, 1);
    is_int(got.answer.len, 0);
    is_int(got.progress.attempts, 9);
    is_int(got.progress.next, 2);

    /* an answer is saved only once */

    queue_string(item.answer, "another");
    item.progress.next = 3;
    item.progress.failures = 1;
    item.progress.unknown = 1;
    item.progress.started = 12345;

    is_int(ngx_http_tgbot_queue_give(&test_bots[0], &taken, &item, 0,
                                     NGX_HTTP_TGBOT_QUEUE_UNTRIED), NGX_OK);

    is_int(queue_take(&test_bots[0], &taken, NULL), 1);
    is_int(taken.size, 6);

    ngx_http_tgbot_queue_read(&test_bots[0], &taken, &got, test_buf);
    is_int(got.answered, 1);
    is_int(got.answer.len, 0);
    is_int(got.progress.attempts, 9);
    is_int(got.progress.next, 3);
    is_int(got.progress.failures, 1);
    is_int(got.progress.unknown, 1);
    is_int(got.progress.started, 12345);

    /* saved without an end of the lease, and by a worker that dies then */

    item.progress.next = 4;

    is_int(ngx_http_tgbot_queue_save(&test_bots[0], &taken, &item), NGX_OK);
    is_int(ngx_http_tgbot_queue_holds(&test_bots[0], &taken), NGX_OK);
    ok(queue_walk(test_zone));

    ngx_http_tgbot_queue_read(&test_bots[0], &taken, &got, test_buf);
    is_int(got.progress.next, 4);

    is_int(queue_done(&test_bots[0], &taken), NGX_OK);
    is_int(ngx_http_tgbot_queue_save(&test_bots[0], &taken, &item),
           NGX_DECLINED);

    unit_slot_be(1);
    queue_put(&test_bots[0], 3, 3);
    is_int(queue_take(&test_bots[0], &other, NULL), 3);

    queue_string(item.answer, "calls");
    is_int(ngx_http_tgbot_queue_save(&test_bots[0], &other, &item), NGX_OK);
    unit_slot_die(1);
    unit_slot_be(2);
    ngx_current_msec += 1000;

    is_int(queue_take(&test_bots[0], &taken, NULL), 3);
    is_int(taken.size, 6 + 5);
    ngx_http_tgbot_queue_read(&test_bots[0], &taken, &got, test_buf);
    is_int(got.answered, 1);
    is_int(got.progress.next, 4);
    ok(ngx_strncmp(got.answer.data, "calls", 5) == 0);

    is_int(ngx_http_tgbot_queue_save(&test_bots[0], &other, &item),
           NGX_DECLINED);

    /* lengths close to the sizes of blocks */

    for (len = 500; len < 520; len++) {
        test_text(test_buf, len, len);

        item = queue_item(100 + len, 100 + len, "");
        item.data.data = test_buf;
        item.data.len = len;

        is_int(ngx_http_tgbot_queue_put(&test_bots[1], &item,
                                        NGX_HTTP_TGBOT_QUEUE_ACCEPTED,
                                        &item.progress.started), NGX_OK);
        is_int(queue_take(&test_bots[1], &taken, NULL), 100 + len);

        test_text(test_buf, 2 * len, 3 * len);
        item.answered = 1;
        item.answer.data = test_buf;
        item.answer.len = 2 * len;

        is_int(ngx_http_tgbot_queue_give(&test_bots[1], &taken, &item, 0,
                                         NGX_HTTP_TGBOT_QUEUE_UNTRIED),
               NGX_OK);
        is_int(queue_take(&test_bots[1], &taken, NULL), 100 + len);
        is_int(taken.size, 3 * len);

        ngx_http_tgbot_queue_read(&test_bots[1], &taken, &got, test_buf);
        is_int(got.data.len, len);
        ok(test_is_text(got.data.data, len, len));
        is_int(got.answer.len, 2 * len);
        ok(test_is_text(got.answer.data, 2 * len, 3 * len));

        ok(queue_walk(test_zone));
        is_int(queue_done(&test_bots[1], &taken), NGX_OK);
    }

    test_end();
}


/* worker died: its jobs are taken first, in their order */

static void
test_dead(void)
{
    ngx_uint_t                    i;
    ngx_msec_t                    wait;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_queue_taken_t  taken[4], other;
    ngx_http_tgbot_queue_state_t  state;

    test_start(TEST_ROOM);

    for (i = 0; i < 10; i++) {
        queue_put(&test_bots[0], i, i);
    }

    unit_slot_be(1);

    for (i = 0; i < 4; i++) {
        is_int(queue_take(&test_bots[0], &taken[i], NULL), i);
    }

    unit_slot_be(2);
    is_int(queue_take(&test_bots[0], &other, &wait), -1);

    unit_slot_die(1);

    /* dead leases are not looked for at every take */

    is_int(queue_take(&test_bots[0], &other, NULL), -1);
    ngx_current_msec += 249;
    is_int(queue_take(&test_bots[0], &other, NULL), -1);
    ngx_current_msec += 1;

    for (i = 0; i < 4; i++) {
        is_int(queue_take(&test_bots[0], &other, NULL), i);
        is_int(queue_done(&test_bots[0], &other), NGX_OK);
    }

    is_int(queue_take(&test_bots[0], &other, NULL), 4);

    /* a process that hung: its calls are declined */

    unit_slot_hang(2, 1);

    unit_slot_be(3);
    ngx_http_tgbot_queue_state(&test_bots[0], &state);
    is_int(state.inflight, 0);
    is_int(state.waiting, 6);

    is_int(queue_take(&test_bots[0], &taken[0], NULL), 4);

    unit_slot_be(2);
    unit_slot_hang(2, 0);

    is_int(ngx_http_tgbot_queue_holds(&test_bots[0], &other), NGX_DECLINED);
    is_int(ngx_http_tgbot_queue_read(&test_bots[0], &other, &item, test_buf),
           NGX_DECLINED);
    is_int(queue_give(&test_bots[0], &other, 0,
                      NGX_HTTP_TGBOT_QUEUE_UNTRIED), NGX_DECLINED);
    is_int(queue_done(&test_bots[0], &other), NGX_DECLINED);

    unit_slot_be(3);
    is_int(ngx_http_tgbot_queue_holds(&test_bots[0], &taken[0]), NGX_OK);
    is_int(queue_done(&test_bots[0], &taken[0]), NGX_OK);

    /* the same if the block has another item by now */

    queue_put(&test_bots[0], 20, 20);
    is_int(ngx_http_tgbot_queue_holds(&test_bots[0], &taken[0]),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_queue_holds(&test_bots[0], &other), NGX_DECLINED);

    test_end();
}


/* an item with an answer, or with the rest of one, needs no program */

static void
test_answered(void)
{
    ngx_uint_t                    i;
    ngx_msec_t                    age;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_queue_taken_t  taken;

    test_start(TEST_ROOM);

    for (i = 0; i < 6; i++) {
        item = queue_item(i, i, "update");
        item.answered = i % 2;
        queue_string(item.answer, "calls");

        ngx_http_tgbot_queue_put(&test_bots[0], &item,
                                 NGX_HTTP_TGBOT_QUEUE_ACCEPTED, &age);
    }

    /* all lanes take turns */

    for (i = 0; i < 6; i++) {
        is_int(queue_take(&test_bots[0], &taken, NULL), i);
        queue_give(&test_bots[0], &taken, 0, NGX_HTTP_TGBOT_QUEUE_TOOK);
    }

    for (i = 0; i < 6; i++) {
        is_int(queue_take(&test_bots[0], &taken, NULL), i);
        queue_done(&test_bots[0], &taken);
    }

    test_end();
}


/* ten failures in a row, given back at once, in so many lanes */

static void
test_break(ngx_uint_t n, ngx_uint_t lanes)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_queue_taken_t  taken;

    for (i = 0; i < lanes; i++) {
        queue_put(&test_bots[0], 100 + i, 100 + i);
    }

    for (i = 0; i < n; i++) {
        ok(queue_take(&test_bots[0], &taken, NULL) >= 0);
        queue_give(&test_bots[0], &taken, 0,
                   NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE);
    }
}


static ngx_uint_t
test_allowed(void)
{
    ngx_http_tgbot_queue_state_t  state;

    ngx_http_tgbot_queue_state(&test_bots[0], &state);

    return state.allowed;
}


static void
test_breaker(void)
{
    ngx_msec_t                    age, wait;
    ngx_uint_t                    i, n;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_queue_taken_t  taken[8], other;

    test_start(TEST_ROOM);
    test_bots[0].concurrency = 5;

    /* failures of only two lanes do not open the breaker */

    test_break(30, 2);
    is_int(test_allowed(), 0);

    queue_put(&test_bots[0], 102, 102);
    ok(queue_take(&test_bots[0], &other, NULL) >= 0);
    queue_give(&test_bots[0], &other, 0, NGX_HTTP_TGBOT_QUEUE_TOOK);

    test_break(9, 0);
    is_int(test_allowed(), 0);

    test_break(1, 0);
    is_int(test_allowed(), 1);

    is_int(queue_take(&test_bots[0], &other, &wait), -1);
    is_int(wait, NGX_HTTP_TGBOT_QUEUE_PROBE);

    /* an item that needs no program is not delayed */

    item = queue_item(7, 7, "update");
    item.answered = 1;
    ngx_http_tgbot_queue_put(&test_bots[0], &item,
                             NGX_HTTP_TGBOT_QUEUE_ACCEPTED, &age);

    is_int(queue_take(&test_bots[0], &other, NULL), 7);
    queue_done(&test_bots[0], &other);

    /* one probe at a time */

    ngx_current_msec += 400;
    is_int(queue_take(&test_bots[0], &other, &wait), -1);
    is_int(wait, NGX_HTTP_TGBOT_QUEUE_PROBE - 400);

    ngx_current_msec += 600;
    ok(queue_take(&test_bots[0], &other, NULL) >= 0);

    ngx_current_msec += 5000;
    is_int(queue_take(&test_bots[0], &taken[0], &wait), -1);
    is_int(wait, NGX_TIMER_INFINITE);

    queue_give(&test_bots[0], &other, 0, NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE);
    is_int(test_allowed(), 1);

    /* a job that did not call the program is no probe */

    ok(queue_take(&test_bots[0], &other, NULL) >= 0);
    queue_give(&test_bots[0], &other, 0, NGX_HTTP_TGBOT_QUEUE_UNTRIED);
    ok(queue_take(&test_bots[0], &other, NULL) >= 0);
    queue_give(&test_bots[0], &other, 0, NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE);
    is_int(queue_take(&test_bots[0], &other, &wait), -1);
    is_int(wait, NGX_HTTP_TGBOT_QUEUE_PROBE);

    /* a probe whose worker died does not count */

    ngx_current_msec += 1000;
    unit_slot_be(1);
    ok(queue_take(&test_bots[0], &other, NULL) >= 0);
    unit_slot_die(1);
    unit_slot_be(0);
    ngx_current_msec += 1000;
    ok(queue_take(&test_bots[0], &other, NULL) >= 0);

    /* the program is available: two, three, four jobs, then all */

    for (i = 0; i < 10; i++) {
        queue_put(&test_bots[0], i, i);
    }

    ngx_http_tgbot_queue_took(&test_bots[0]);
    is_int(test_allowed(), 2);

    for (n = 2; n < 5; n++) {
        is_int(test_allowed(), n);

        ok(queue_take(&test_bots[0], &taken[n], NULL) >= 0);
        is_int(queue_take(&test_bots[0], &taken[0], &wait), -1);
        is_int(wait, NGX_TIMER_INFINITE);

        ngx_http_tgbot_queue_took(&test_bots[0]);
    }

    is_int(test_allowed(), 0);
    ok(queue_take(&test_bots[0], &taken[5], NULL) >= 0);

    test_end();
}


static void
test_breaker_again(void)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_queue_taken_t  one, two;

    test_start(TEST_ROOM);
    test_bots[0].concurrency = 5;

    test_break(10, 4);

    for (i = 0; i < 3; i++) {
        is_int(test_allowed(), 1);
        ngx_current_msec += 1000;

        ok(queue_take(&test_bots[0], &one, NULL) >= 0);
        queue_give(&test_bots[0], &one, 0, NGX_HTTP_TGBOT_QUEUE_TOOK);
        is_int(test_allowed(), 2);

        ok(queue_take(&test_bots[0], &one, NULL) >= 0);
        ok(queue_take(&test_bots[0], &two, NULL) >= 0);
        queue_give(&test_bots[0], &one, 0, NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE);
        queue_give(&test_bots[0], &two, 0, NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE);
    }

    /* saving an answer says nothing about the program */

    ngx_current_msec += 1000;
    ok(queue_take(&test_bots[0], &one, NULL) >= 0);
    ngx_http_tgbot_queue_took(&test_bots[0]);
    is_int(queue_done(&test_bots[0], &one), NGX_OK);
    is_int(test_allowed(), 2);

    test_end();
}


/* a success resets the count of failures and of their lanes */

static void
test_breaker_row(void)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_queue_taken_t  taken[3];

    test_start(TEST_ROOM);

    test_break(9, 3);
    ngx_http_tgbot_queue_took(&test_bots[0]);
    test_break(9, 0);
    is_int(test_allowed(), 0);

    for (i = 0; i < 3; i++) {
        ok(queue_take(&test_bots[0], &taken[i], NULL) >= 0);
    }

    for (i = 0; i < 2; i++) {
        ngx_http_tgbot_queue_settle(&test_bots[0], &taken[i],
                                    NGX_HTTP_TGBOT_QUEUE_DONE,
                                    NGX_HTTP_TGBOT_QUEUE_TOOK);
    }

    queue_give(&test_bots[0], &taken[2], 0, NGX_HTTP_TGBOT_QUEUE_UNTRIED);

    test_break(20, 0);
    is_int(test_allowed(), 0);

    test_end();
}


/* a bot with so few jobs has no slow start */

static void
test_breaker_small(void)
{
    ngx_http_tgbot_queue_taken_t  one;

    test_start(TEST_ROOM);
    test_bots[0].concurrency = 2;

    test_break(10, 3);
    is_int(test_allowed(), 1);

    ngx_current_msec += 1000;
    ok(queue_take(&test_bots[0], &one, NULL) >= 0);
    queue_give(&test_bots[0], &one, 0, NGX_HTTP_TGBOT_QUEUE_TOOK);
    is_int(test_allowed(), 0);

    test_end();
}


static ngx_int_t
test_put_big(ngx_http_tgbot_queue_t *queue, int64_t id, size_t len,
    ngx_msec_t *age)
{
    ngx_http_tgbot_item_t  item;

    test_text(test_buf, len, id);

    item = queue_item(id, id, "");
    item.data.data = test_buf;
    item.data.len = len;

    return ngx_http_tgbot_queue_put(queue, &item,
                                    NGX_HTTP_TGBOT_QUEUE_ACCEPTED, age);
}


/* the largest update Telegram sends and a larger one are put and taken */

static void
test_big(void)
{
    int64_t                       id;
    ngx_msec_t                    age;
    ngx_uint_t                    n, round;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_queue_taken_t  taken;
    ngx_http_tgbot_queue_state_t  state;

    test_start(2 * 1024 * 1024);

    for (round = 0; round < 5; round++) {

        for (n = 0; /* void */ ; n++) {
            if (test_put_big(&test_bots[n % 2], n, 512 * 1024, &age)
                != NGX_OK)
            {
                break;
            }
        }

        is_int(n, 3);
        is_int(test_put_big(&test_bots[1], n, 512 * 1024, &age), NGX_AGAIN);

        while (n--) {
            id = queue_take(&test_bots[n % 2], &taken, NULL);

            is_int(ngx_http_tgbot_queue_read(&test_bots[n % 2], &taken, &item,
                                             test_buf), NGX_OK);
            is_int(item.data.len, 512 * 1024);
            ok(test_is_text(item.data.data, item.data.len, id));
            ok(queue_walk(test_zone));
            is_int(queue_done(&test_bots[n % 2], &taken), NGX_OK);
        }
    }

    ngx_http_tgbot_queue_state(&test_bots[0], &state);
    is_int(state.blocks, 0);
    is_int(state.events[NGX_HTTP_TGBOT_QUEUE_DONE], 10);

    test_end();
}


/* the state that tgbot_status shows */

static ngx_uint_t
test_is_full(ngx_http_tgbot_queue_t *queue)
{
    ngx_http_tgbot_queue_state_t  state;

    ngx_http_tgbot_queue_state(queue, &state);

    return state.full;
}


static void
test_full(void)
{
    ngx_msec_t                    age;
    ngx_uint_t                    n, more;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_queue_taken_t  taken;

    test_start(TEST_ROOM);

    /* refused before the last block is used, as few updates are so short */

    for (n = 0; queue_put(&test_bots[0], n, n) == NGX_OK; n++) {
        ngx_current_msec++;

        unit_context("item %d", (int) n);
        is_int(test_is_full(&test_bots[0]),
               queue_room(test_zone) <= 8);
        is_int(test_is_full(&test_bots[1]),
               queue_room(test_zone) <= 8);
    }

    ok(n > 850);
    is_int(queue_room(test_zone), 0);

    is_int(test_put_big(&test_bots[0], n, 10, &age), NGX_AGAIN);
    is_int(age, n);
    is_int(test_put_big(&test_bots[1], n, 10, &age), NGX_AGAIN);
    is_int(age, 0);
    is_int(test_put_big(&test_bots[1], n, 1024 * 1024, &age), NGX_DECLINED);

    /* an answer without room is not saved at all */

    is_int(queue_take(&test_bots[0], &taken, NULL), 0);

    item = queue_item(0, 0, "");
    item.answered = 1;
    item.progress.next = 1;
    queue_string(item.answer, "calls");

    is_int(ngx_http_tgbot_queue_give(&test_bots[0], &taken, &item, 0,
                                     NGX_HTTP_TGBOT_QUEUE_UNTRIED), NGX_AGAIN);
    is_int(ngx_http_tgbot_queue_save(&test_bots[0], &taken, &item), NGX_AGAIN);
    is_int(ngx_http_tgbot_queue_holds(&test_bots[0], &taken), NGX_OK);
    ngx_http_tgbot_queue_read(&test_bots[0], &taken, &item, test_buf);
    is_int(item.answered, 0);
    is_int(item.progress.next, 0);

    is_int(queue_done(&test_bots[0], &taken), NGX_OK);
    is_int(queue_put(&test_bots[1], n, n), NGX_OK);
    is_int(queue_put(&test_bots[1], n, n), NGX_AGAIN);

    for (more = 1; more < n; more++) {
        is_int(queue_take(&test_bots[0], &taken, NULL), more);
        is_int(queue_done(&test_bots[0], &taken), NGX_OK);
    }

    is_int(queue_take(&test_bots[0], &taken, NULL), -1);

    test_end();
}


static void
test_share(void)
{
    ngx_msec_t                    age;
    ngx_uint_t                    n, blocks;
    ngx_http_tgbot_zone_t        *alone;
    ngx_http_tgbot_queue_taken_t  taken;

    test_start(TEST_ROOM);

    test_bots[0].share = 25;
    blocks = queue_room(test_zone);

    for (n = 0; queue_put(&test_bots[0], n, n) == NGX_OK; n++) {
        /* void */
    }

    is_int(n, blocks * 25 / 100);
    is_int(test_is_full(&test_bots[0]), 1);
    is_int(test_is_full(&test_bots[1]), 0);

    is_int(test_put_big(&test_bots[0], n, 10, &age), NGX_AGAIN);
    is_int(test_put_big(&test_bots[0], n, blocks * 504 / 4, &age),
           NGX_DECLINED);
    is_int(test_put_big(&test_bots[1], n, blocks * 504 / 4, &age), NGX_OK);

    is_int(queue_take(&test_bots[0], &taken, NULL), 0);
    is_int(queue_done(&test_bots[0], &taken), NGX_OK);
    is_int(queue_put(&test_bots[0], n, n), NGX_OK);
    is_int(queue_put(&test_bots[0], n, n), NGX_AGAIN);

    /* blocks of the removed bot count until they are free */

    alone = queue_reload(test_zone, test_bots, 1);

    is_int(queue_put(&test_bots[0], n, n), NGX_AGAIN);
    is_int(ngx_http_tgbot_queue_orphaned(alone), 1);

    test_bots[1].zone = test_zone;
    is_int(queue_take(&test_bots[1], &taken, NULL), n);
    is_int(queue_done(&test_bots[1], &taken), NGX_OK);

    is_int(ngx_http_tgbot_queue_orphaned(alone), 0);

    while (queue_put(&test_bots[0], n, n) == NGX_OK) {
        n++;
    }

    is_int(n, blocks);
    is_int(queue_room(test_zone), 0);

    unit_zone_free(alone);
    test_end();
}


static void
test_smallest(void)
{
    ngx_uint_t                    i, n;
    ngx_http_tgbot_queue_taken_t  taken;

    test_bots[0] = queue_bot("shop", 42, 4, 100);

    ok(queue_zone(test_bots, 1, NGX_HTTP_TGBOT_STORE_MIN - 64) == NULL);

    test_start(ngx_http_tgbot_queue_zone.min);

    for (n = 0; queue_put(&test_bots[0], n, n % 7) == NGX_OK; n++) {
        /* void */
    }

    ok(n > 90);

    for (i = 0; i < n; i++) {
        ok(queue_take(&test_bots[0], &taken, NULL) >= 0);
        is_int(queue_done(&test_bots[0], &taken), NGX_OK);
    }

    ok(queue_walk(test_zone));

    /* a slightly larger update does not fit */

    unit_zone_free(test_zone);

    for (i = 0; i < 1200; i += 8) {
        test_start(ngx_http_tgbot_queue_zone.min + i);

        for (n = 0; queue_put(&test_bots[0], n, n) == NGX_OK; n++) {
            /* void */
        }

        ok(n > 90);
        ok(queue_walk(test_zone));

        unit_zone_free(test_zone);
    }
}


static void
test_reload(void)
{
    ngx_msec_t                    age, wait;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_zone_t        *second, *third, *fourth;
    ngx_http_tgbot_queue_t        later[3], old[2];
    ngx_http_tgbot_queue_taken_t  taken, other;
    ngx_http_tgbot_queue_state_t  state;

    test_start(TEST_ROOM);

    queue_put(&test_bots[0], 1, 1);
    queue_put(&test_bots[0], 2, 1);
    queue_take(&test_bots[0], &taken, NULL);
    old[0] = test_bots[0];
    old[1] = test_bots[1];

    /* "shop" stays, "news", which is empty, is removed; another is added */

    later[0] = queue_bot("other", 44, 4, 100);
    later[1] = queue_bot("shop", 0, 4, 100);

    second = queue_reload(test_zone, later, 2);

    is_int(later[1].entry, old[0].entry);
    is_int(later[1].serial, old[0].serial);
    is_int(ngx_http_tgbot_queue_orphaned(second), 0);

    is_int(queue_take(&later[1], &other, NULL), -1);
    is_int(queue_done(&old[0], &taken), NGX_OK);
    is_int(queue_take(&later[1], &other, NULL), 2);
    is_int(queue_done(&later[1], &other), NGX_OK);
    is_int(queue_put(&later[1], 3, 3), NGX_OK);

    /* another bot under an old name finds nothing and changes nothing */

    later[1] = queue_bot("shop", 99, 4, 100);
    third = queue_reload(test_zone, later, 2);

    ok(later[1].entry != old[0].entry);
    is_int(queue_take(&later[1], &other, NULL), -1);
    is_int(ngx_http_tgbot_queue_items(third), 1);
    is_int(ngx_http_tgbot_queue_orphaned(third), 1);

    ngx_http_tgbot_queue_state(&later[1], &state);
    is_int(state.events[NGX_HTTP_TGBOT_QUEUE_ACCEPTED], 0);

    /* the items are found when the bot returns */

    later[1] = queue_bot("shop", 42, 4, 100);
    fourth = queue_reload(test_zone, later, 2);

    is_int(later[1].entry, old[0].entry);
    is_int(ngx_http_tgbot_queue_orphaned(fourth), 0);

    ngx_http_tgbot_queue_state(&later[1], &state);
    is_int(state.events[NGX_HTTP_TGBOT_QUEUE_ACCEPTED], 3);
    is_int(state.events[NGX_HTTP_TGBOT_QUEUE_DONE], 2);

    is_int(queue_take(&later[1], &other, NULL), 3);

    /* an old worker does not touch an entry that was reused */

    old[1].serial--;
    item = queue_item(1, 1, "update");
    age = 1;

    is_int(ngx_http_tgbot_queue_put(&old[1], &item,
                                    NGX_HTTP_TGBOT_QUEUE_ACCEPTED, &age),
           NGX_AGAIN);
    is_int(age, 0);
    is_int(ngx_http_tgbot_queue_take(&old[1], &taken, &wait), NGX_DECLINED);
    is_int(wait, NGX_TIMER_INFINITE);
    is_int(ngx_http_tgbot_queue_holds(&old[1], &other), NGX_DECLINED);
    is_int(ngx_http_tgbot_queue_empty(&old[1], 1), 1);
    ngx_http_tgbot_queue_took(&old[1]);
    ngx_http_tgbot_queue_state(&old[1], &state);
    is_int(state.waiting, 0);

    unit_zone_free(second);
    unit_zone_free(third);
    unit_zone_free(fourth);
    test_end();
}


/* a configuration that is refused later changes nothing in this zone */

static void
test_refused(void)
{
    void                         *users[1];
    ngx_http_tgbot_zone_t        *refused, *next;
    ngx_http_tgbot_queue_t        later;
    ngx_http_tgbot_queue_taken_t  taken;

    test_start(TEST_ROOM);
    queue_put(&test_bots[0], 1, 1);

    later = queue_bot("other", 44, 4, 100);
    users[0] = &later;

    refused = unit_zone_adopt(test_zone, users, 1);

    is_int(ngx_http_tgbot_queue_orphaned(test_zone), 0);
    is_int(queue_put(&test_bots[1], 2, 2), NGX_OK);
    is_int(queue_take(&test_bots[0], &taken, NULL), 1);

    /* the next configuration is not refused */

    next = queue_reload(test_zone, test_bots, 1);
    is_int(ngx_http_tgbot_queue_orphaned(next), 1);

    unit_zone_free(refused);
    unit_zone_free(next);
    test_end();
}


/* the master dies while it makes entries; workers and a new master go on */

static void
test_master_killed(void)
{
    void                         *users[3];
    ngx_uint_t                    i, made;
    volatile                      ngx_uint_t              at, killed;
    ngx_http_tgbot_zone_t        *next;
    ngx_http_tgbot_queue_taken_t  taken;
    static                        ngx_http_tgbot_zone_t     other;
    static                        ngx_http_tgbot_queue_t    later[3];

    killed = 1;

    for (at = 1; killed; at++) {
        unit_context("killed at %d", (int) at);

        test_start(TEST_ROOM);

        later[0] = queue_bot("shop", 42, 4, 100);
        later[1] = queue_bot("other", 44, 4, 100);
        later[2] = queue_bot("third", 45, 4, 100);

        queue_put(&test_bots[0], 1, 1);
        queue_put(&test_bots[1], 2, 2);

        for (i = 0; i < 3; i++) {
            users[i] = &later[i];
            later[i].zone = test_zone;
        }

        other = *test_zone;
        other.users.elts = users;
        other.users.nelts = 3;

        killed = 0;

        if (setjmp(unit_zone_killed) == 0) {
            unit_zone_stop_at = at;
            is_int(ngx_http_tgbot_queue_zone.init(&other, 0), NGX_OK);

        } else {
            killed = 1;
        }

        unit_zone_stop_at = 0;

        is_int(ngx_http_tgbot_queue_orphaned(test_zone), 0);
        ok(queue_walk(test_zone));

        is_int(queue_take(&test_bots[0], &taken, NULL), 1);
        is_int(queue_take(&test_bots[1], &taken, NULL), 2);

        next = queue_reload(test_zone, later, 3);

        made = 0;

        for (i = 0; i < 3; i++) {
            made += (queue_put(&later[i], 3, 3) == NGX_OK);
        }

        is_int(made, 3);
        is_int(ngx_http_tgbot_queue_orphaned(next), 1);

        unit_zone_free(next);
        test_end();
    }

    ok(at > 6);
}


/* another zone of the same name would be made */

static void
test_resize(void)
{
    void                         *users[1], *tag;
    size_t                        room;
    ngx_uint_t                    i;
    ngx_cycle_t                   cycle, *saved;
    ngx_shm_zone_t                shm_zones[2];
    ngx_list_part_t               part;
    ngx_http_tgbot_zone_t        *other;
    ngx_http_tgbot_queue_t        bot;
    ngx_http_tgbot_zone_kind_t    kind;
    ngx_http_tgbot_queue_taken_t  taken;

    test_start(TEST_ROOM);
    queue_put(&test_bots[0], 1, 1);

    /* another kind, whose layout has the same number */

    kind = ngx_http_tgbot_queue_zone;
    kind.name = "another";

    bot = queue_bot("shop", 42, 4, 100);
    users[0] = &bot;
    tag = test_zone->shm_zone->tag;

    ngx_memzero(&cycle, sizeof(ngx_cycle_t));
    ngx_memzero(&part, sizeof(ngx_list_part_t));
    ngx_memzero(shm_zones, sizeof(shm_zones));

    ngx_str_set(&shm_zones[0].shm.name, "another");
    shm_zones[0].data = test_zone;
    shm_zones[0].tag = tag;

    shm_zones[1] = *test_zone->shm_zone;
    shm_zones[1].data = test_zone;

    part.elts = shm_zones;
    part.nelts = 2;
    cycle.shared_memory.part.next = &part;
    cycle.log = ngx_cycle->log;

    saved = (ngx_cycle_t *) ngx_cycle;
    room = 2 * TEST_ROOM;

    for (i = 0; i < 7; i++) {
        ngx_cycle = &cycle;

        switch (i) {

        case 1:
            shm_zones[1].tag = &bot;
            break;

        case 2:
            shm_zones[1].tag = tag;
            ngx_str_set(&shm_zones[1].shm.name, "unix");
            break;

        case 3:
            ngx_str_set(&shm_zones[1].shm.name, "unit");
            test_zone->sh->kind++;
            break;

        case 4:
            test_zone->sh->kind--;
            break;

        case 5:
            test_zone->kind = &kind;
            break;

        case 6:
            test_zone->kind = &ngx_http_tgbot_queue_zone;
            queue_take(&test_bots[0], &taken, NULL);
            queue_done(&test_bots[0], &taken);
            break;

        default:
            break;
        }

        other = unit_zone(&ngx_http_tgbot_queue_zone, room, users, 1);

        ngx_cycle = saved;

        unit_context("case %d", (int) i);
        is_int(other == NULL, i == 0 || i == 4);

        if (other) {
            unit_zone_free(other);
        }
    }

    test_end();
}


/* more bots than there are entries */

static void
test_bots_many(void)
{
    char                          names[40][8];
    ngx_uint_t                    i;
    ngx_http_tgbot_zone_t        *next;
    ngx_http_tgbot_queue_t        bots[40];
    ngx_http_tgbot_queue_taken_t  taken;

    for (i = 0; i < 40; i++) {
        snprintf(names[i], 8, "bot%d", (int) i);
        bots[i] = queue_bot(names[i], i + 1, 4, 100);
    }

    ok(queue_zone(bots, 18, NGX_HTTP_TGBOT_STORE_MIN) == NULL);

    test_zone = queue_zone(bots, 17, NGX_HTTP_TGBOT_STORE_MIN);

    for (i = 0; i < 17; i++) {
        is_int(queue_put(&bots[i], i, 1), NGX_OK);
    }

    ok(queue_reload(test_zone, bots + 1, 17) == NULL);

    /* its updates are done, so another bot may have its entry */

    for (i = 0; i < 8; i++) {
        is_int(queue_take(&bots[i], &taken, NULL), i);
        is_int(queue_done(&bots[i], &taken), NGX_OK);
    }

    ok(queue_reload(test_zone, bots + 8, 18) == NULL);
    next = queue_reload(test_zone, bots + 8, 17);

    if (ok(next != NULL)) {
        for (i = 8; i < 25; i++) {
            is_int(queue_put(&bots[i], i, 2), NGX_OK);
        }

        is_int(queue_put(&bots[0], 1, 1), NGX_AGAIN);

        /* a bot that is only in a state file */

        bots[30].zone = next;
        is_int(queue_enter(&bots[30]), NGX_DECLINED);
        bots[9].serial = 0;
        is_int(queue_enter(&bots[9]), NGX_OK);
        is_int(bots[9].entry, 9);

        /* it does not replace a configured bot that is empty now */

        for (i = 8; i < 25; i++) {
            while (queue_take(&bots[i], &taken, NULL) >= 0) {
                is_int(queue_done(&bots[i], &taken), NGX_OK);
            }
        }

        is_int(ngx_http_tgbot_queue_items(next), 0);
        is_int(queue_enter(&bots[30]), NGX_DECLINED);

        unit_zone_free(next);
    }

    ok(queue_walk(test_zone));
    unit_zone_free(test_zone);
}


/* through a file and back */

static void
test_walk(void)
{
    ngx_msec_t                     age;
    ngx_uint_t                     i, n;
    ngx_pool_t                    *pool;
    ngx_http_tgbot_zone_t         *zone;
    ngx_http_tgbot_item_t          item, items[4];
    ngx_http_tgbot_queue_t         bots[4], made;
    ngx_http_tgbot_queue_taken_t   taken;
    ngx_http_tgbot_queue_state_t   state;
    ngx_http_tgbot_store_cursor_t  cursor;

    test_start(TEST_ROOM);

    queue_put(&test_bots[1], 1, 1);
    queue_put(&test_bots[0], 2, 1);
    queue_put(&test_bots[0], 3, 2);
    queue_put(&test_bots[0], 4, 2);

    is_int(queue_take(&test_bots[0], &taken, NULL), 2);

    item = queue_item(0, 0, "");
    item.answered = 1;
    item.progress.attempts = 2;
    item.progress.next = 3;
    queue_string(item.answer, "calls");

    ngx_http_tgbot_queue_give(&test_bots[0], &taken, &item, 700,
                              NGX_HTTP_TGBOT_QUEUE_UNTRIED);
    ngx_current_msec += 100;

    /* an item in flight is saved like any other */

    is_int(queue_take(&test_bots[0], &taken, NULL), 3);

    pool = unit_pool();
    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    for (n = 0; n < 4; n++) {
        is_int(queue_next(test_zone, &cursor, &items[n], pool), NGX_OK);

        bots[n] = queue_bot("", items[n].head.bot_id, 4, 100);
        bots[n].bot.data = items[n].head.bot;
        bots[n].bot.len = items[n].head.bot_len;
    }

    is_int(queue_next(test_zone, &cursor, &item, pool), NGX_DONE);

    is_str(&bots[0].bot, "shop");
    is_int(items[0].head.update_id, 2);
    is_int(items[0].delay, 600);
    is_int(items[0].progress.attempts, 2);
    is_int(items[0].progress.next, 3);
    is_str(&items[0].data, "update");
    is_str(&items[0].answer, "calls");
    is_int(items[1].head.update_id, 3);
    is_int(items[1].delay, 0);
    is_int(items[1].answered, 0);
    is_int(items[2].head.update_id, 4);
    is_str(&bots[3].bot, "news");
    is_int(bots[3].bot_id, 43);
    is_int(items[3].head.update_id, 1);

    /* an item that is settled meanwhile is skipped */

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    for (i = 0; i < 2; i++) {
        queue_next(test_zone, &cursor, &item, pool);
    }

    is_int(item.head.update_id, 3);
    is_int(queue_done(&test_bots[0], &taken), NGX_OK);

    queue_next(test_zone, &cursor, &item, pool);
    is_int(item.head.update_id, 4);

    unit_fail_at = 1;
    is_int(queue_next(test_zone, &cursor, &item, pool), NGX_ERROR);
    is_int(queue_next(test_zone, &cursor, &item, pool), NGX_OK);
    is_int(item.head.update_id, 1);

    /* into another zone, whose configuration knows one of the two */

    made = queue_bot("news", 43, 4, 100);
    zone = queue_zone(&made, 1, TEST_ROOM);

    for (n = 0; n < 4; n++) {
        bots[n].zone = zone;

        is_int(queue_enter(&bots[n]), NGX_OK);
        is_int(ngx_http_tgbot_queue_put(&bots[n], &items[n],
                                        NGX_HTTP_TGBOT_QUEUE_LOADED, &age),
               NGX_OK);
    }

    is_int(bots[3].entry, made.entry);
    is_int(bots[0].entry, bots[2].entry);
    is_int(ngx_http_tgbot_queue_items(zone), 4);
    is_int(ngx_http_tgbot_queue_orphaned(zone), 3);

    ngx_http_tgbot_queue_state(&bots[0], &state);
    is_int(state.delayed, 1);
    is_int(state.events[NGX_HTTP_TGBOT_QUEUE_LOADED], 3);

    is_int(queue_take(&bots[0], &taken, NULL), 3);
    is_int(queue_take(&bots[0], &taken, NULL), -1);
    ngx_current_msec += 600;
    is_int(queue_take(&bots[0], &taken, NULL), 2);

    ok(queue_walk(zone));
    unit_zone_free(zone);
    test_end();
}


/* a bot with nothing to do takes no lock */

static void
test_idle(void)
{
    ngx_msec_t                    wait;
    ngx_http_tgbot_queue_taken_t  taken, other;

    test_start(TEST_ROOM);

    test_bots[0].concurrency = 1;
    queue_put(&test_bots[0], 1, 1);
    queue_put(&test_bots[0], 2, 2);

    unit_zone_locks = 0;
    is_int(queue_take(&test_bots[1], &taken, NULL), -1);
    is_int(unit_zone_locks, 0);

    queue_take(&test_bots[0], &taken, NULL);
    queue_take(&test_bots[0], &other, NULL);

    unit_zone_locks = 0;
    is_int(queue_take(&test_bots[0], &other, NULL), -1);
    is_int(unit_zone_locks, 0);

    ngx_current_msec += 250;
    is_int(queue_take(&test_bots[0], &other, NULL), -1);
    is_int(unit_zone_locks, 1);

    queue_done(&test_bots[0], &taken);
    queue_take(&test_bots[0], &taken, NULL);
    queue_give(&test_bots[0], &taken, 100, NGX_HTTP_TGBOT_QUEUE_UNTRIED);

    unit_zone_locks = 0;
    is_int(queue_take(&test_bots[0], &taken, &wait), -1);
    is_int(wait, 100);
    ngx_http_tgbot_queue_took(&test_bots[0]);
    is_int(unit_zone_locks, 0);

    /* a process that died inside may have changed anything */

    unit_zone_dirty(test_zone);
    is_int(queue_take(&test_bots[1], &taken, NULL), -1);
    is_int(unit_zone_locks, 1);

    ngx_current_msec += 100;
    is_int(queue_take(&test_bots[0], &taken, NULL), 2);

    test_end();
}


static void
test_hash(void)
{
    ngx_str_t  key;
    uint64_t   lane;

    queue_string(key, "0:1234");
    lane = ngx_http_tgbot_queue_lane(&key);
    is_int(lane == 0, 0);
    ok(lane == ngx_http_tgbot_queue_lane(&key));

    key.len--;
    ok(lane != ngx_http_tgbot_queue_lane(&key));

    key.len = 0;
    ok(lane != ngx_http_tgbot_queue_lane(&key));
}


/* the update of a dead letter is found at any place in its lane */

static void
test_letter(void)
{
    ngx_msec_t                    age;
    ngx_uint_t                    i;
    ngx_http_tgbot_item_t         item, other;
    ngx_http_tgbot_queue_taken_t  taken;

    test_start(64 * 1024);

    item = queue_item(7, 1, "a letter");
    item.head.letter = 17;

    for (i = 0; i < 3; i++) {
        is_int(queue_put(&test_bots[0], i, 1), NGX_OK);
    }

    is_int(ngx_http_tgbot_queue_has(&test_bots[0], &item.head), 0);

    is_int(ngx_http_tgbot_queue_put(&test_bots[0], &item,
                                    NGX_HTTP_TGBOT_QUEUE_REPLAYED, &age),
           NGX_OK);
    is_int(queue_put(&test_bots[0], 7, 1), NGX_OK);

    other = item;
    other.head.letter = 18;

    for (i = 0; i < 4; i++) {
        is_int(ngx_http_tgbot_queue_has(&test_bots[0], &item.head), 1);
        is_int(ngx_http_tgbot_queue_has(&test_bots[1], &item.head), 0);
        is_int(ngx_http_tgbot_queue_has(&test_bots[0], &other.head), 0);

        is_int(queue_take(&test_bots[0], &taken, NULL), i < 3 ? i : 7);

        /* also while the update is in work */

        is_int(ngx_http_tgbot_queue_has(&test_bots[0], &item.head), 1);

        is_int(queue_done(&test_bots[0], &taken), NGX_OK);
    }

    is_int(ngx_http_tgbot_queue_has(&test_bots[0], &item.head), 0);

    test_end();
}


static unit_case_t  test_cases[] = {
    { "one update", test_one },
    { "a lane", test_lane },
    { "the update of a letter", test_letter },
    { "lanes take turns", test_turns },
    { "jobs at once", test_concurrency },
    { "given back for later", test_delay },
    { "many for later", test_delays },
    { "milliseconds wrap around", test_wrap },
    { "answers and progress", test_save },
    { "processes die and hang", test_dead },
    { "answered ones take turns", test_answered },
    { "unavailable program", test_breaker },
    { "unavailable program, again", test_breaker_again },
    { "unavailable program, not always", test_breaker_row },
    { "unavailable program, few jobs", test_breaker_small },
    { "updates of 512 KiB", test_big },
    { "full zone", test_full },
    { "share of a zone", test_share },
    { "smallest zone", test_smallest },
    { "reload", test_reload },
    { "reload that is refused", test_refused },
    { "master is killed in a reload", test_master_killed },
    { "resize", test_resize },
    { "more bots than entries", test_bots_many },
    { "walk and load", test_walk },
    { "idle", test_idle },
    { "keys of lanes", test_hash },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
