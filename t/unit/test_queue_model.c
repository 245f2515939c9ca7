
/*
 * Random operations of several processes that die and hang are compared with
 * a model.  A process that is killed inside a change has made it completely
 * or not at all.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "queue.h"


#define TEST_ROOM    (256 * 1024)
#define TEST_OPS     300000
#define TEST_BOTS    2
#define TEST_LANES   40
#define TEST_SLOTS   4
#define TEST_ITEMS   2048
#define TEST_TAKEN   64
#define TEST_TEXT    (80 * 1024)


/* an update that is in the queue */

typedef struct {
    int64_t                         id;          /* 0: not in use */
    ngx_uint_t                      bot;
    uint64_t                        order;
    ngx_msec_t                      due;
    ngx_http_tgbot_item_t           item;        /* strings in the text */
    ngx_uint_t                      data;        /* where they begin */
    ngx_uint_t                      answer;
    ngx_http_tgbot_lease_t          lease;       /* lease of its job */
    uint32_t                        block;       /* head of the item */
    uint64_t                        seq;
} test_update_t;


/* an item that a process believes to hold */

typedef struct {
    ngx_uint_t                      bot;
    ngx_uint_t                      slot;
    int64_t                         id;
    ngx_http_tgbot_queue_taken_t    taken;
} test_taken_t;


static void test_setup(ngx_uint_t shares);
static void test_done(void);
static test_update_t *test_find(int64_t id);
static test_update_t *test_spare(void);
static uint64_t test_blocks(size_t len, ngx_int_t answer);
static ngx_uint_t test_is_head(test_update_t *u);
static ngx_uint_t test_free(test_update_t *u);
static void test_same(test_update_t *u, ngx_http_tgbot_item_t *item);
static void test_progress(ngx_http_tgbot_item_t *item);
static void test_put(void);
static void test_take(void);
static void test_took(test_update_t *u, test_taken_t *t);
static void test_taken_away(ngx_uint_t i);
static void test_work(void);
static void test_settle(test_taken_t *t);
static ngx_int_t test_give(test_taken_t *t, test_update_t *u);
static void test_process(void);
static void test_forget(ngx_uint_t slot);
static void test_lost(void);
static void test_op(void);
static void test_after_kill(void);
static void test_learn(test_update_t *u, ngx_http_tgbot_item_t *item);
static ngx_uint_t test_compare(ngx_uint_t learn);
static void test_events(ngx_uint_t learn);
static void test_drain(void);
static void test_run(ngx_uint_t ops, ngx_uint_t kills, ngx_uint_t shares);


static ngx_http_tgbot_queue_t    test_bots[TEST_BOTS];
static ngx_http_tgbot_zone_t    *test_zone;
static u_char                    test_text[TEST_TEXT + 1024];
static u_char                    test_buf[2 * TEST_TEXT];

static test_update_t             test_updates[TEST_ITEMS];
static test_taken_t              test_takens[TEST_TAKEN];
static ngx_uint_t                test_ntaken;
static uint64_t                  test_ids;
static uint64_t                  test_blocks_of[TEST_BOTS];
static ngx_uint_t                test_counts[TEST_BOTS]
                                            [NGX_HTTP_TGBOT_QUEUE_EVENTS];
static ngx_uint_t                test_bad;

/* the current operation, in which a process may die */

static test_update_t             test_victim;    /* after the change */
static ngx_uint_t                test_going;     /* it may be settled */
static ngx_uint_t                test_coming;    /* it may be put */

static ngx_uint_t                test_saw[16];


/* only the first wrong result is reported, not its consequences */
#define test_is(got, want)                                                   \
    if (!is_int(got, want)) { test_bad = 1; }
#define test_ok(cond)                                                        \
    if (!ok(cond)) { test_bad = 1; }


static void
test_setup(ngx_uint_t shares)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(test_text); i++) {
        test_text[i] = (u_char) (i * 31 + i / 256);
    }

    test_bots[0] = queue_bot("shop", 42, 8, shares ? 30 : 100);
    test_bots[1] = queue_bot("news", 43, 5, shares ? 25 : 100);

    test_zone = queue_zone(test_bots, TEST_BOTS, TEST_ROOM);

    ngx_memzero(test_updates, sizeof(test_updates));
    ngx_memzero(test_blocks_of, sizeof(test_blocks_of));
    ngx_memzero(test_counts, sizeof(test_counts));
    ngx_memzero(test_saw, sizeof(test_saw));

    test_ntaken = 0;
    test_ids = 0;
    test_bad = 0;
}


static void
test_done(void)
{
    ok(queue_walk(test_zone));

    unit_zone_free(test_zone);
}


static test_update_t *
test_find(int64_t id)
{
    ngx_uint_t  i;

    for (i = 0; i < TEST_ITEMS; i++) {
        if (test_updates[i].id == id) {
            return &test_updates[i];
        }
    }

    return NULL;
}


static test_update_t *
test_spare(void)
{
    return test_find(0);
}


/* the number of blocks, computed independently; -1: no answer */

static uint64_t
test_blocks(size_t len, ngx_int_t answer)
{
    uint64_t  n;

    n = (sizeof(ngx_http_tgbot_queue_item_t) + len + 503) / 504;

    if (answer >= 0) {
        n += answer ? (answer + 503) / 504 : 1;
    }

    return n;
}


static uint64_t
test_size(test_update_t *u)
{
    return test_blocks(u->item.data.len,
                       u->item.answered ? (ngx_int_t) u->item.answer.len
                                        : -1);
}


static ngx_uint_t
test_is_head(test_update_t *u)
{
    ngx_uint_t      i;
    test_update_t  *other;

    for (i = 0; i < TEST_ITEMS; i++) {
        other = &test_updates[i];

        if (other->id && other->bot == u->bot
            && other->item.head.lane == u->item.head.lane
            && other->order < u->order)
        {
            return 0;
        }
    }

    return 1;
}


/* whether take must be able to return the update */

static ngx_uint_t
test_free(test_update_t *u)
{
    return u->lease.token == 0
           && (ngx_msec_int_t) (u->due - ngx_current_msec) <= 0
           && test_is_head(u);
}


static void
test_same(test_update_t *u, ngx_http_tgbot_item_t *item)
{
    test_is(item->head.update_id, u->id);
    test_ok(item->head.lane == u->item.head.lane);
    test_is(item->head.received, u->item.head.received);
    test_is(item->head.life, u->item.head.life);
    test_is(item->progress.attempts, u->item.progress.attempts);
    test_is(item->progress.unavailable, u->item.progress.unavailable);
    test_is(item->progress.next, u->item.progress.next);
    test_is(item->progress.failures, u->item.progress.failures);
    test_is(item->progress.unknown, u->item.progress.unknown);
    test_is(item->progress.started, u->item.progress.started);
    test_is(item->answered, u->item.answered);
    test_is(item->data.len, u->item.data.len);
    test_is(item->answer.len, u->item.answer.len);

    if (test_bad) {
        return;
    }

    test_ok(ngx_memcmp(item->data.data, test_text + u->data,
                       item->data.len) == 0);
    test_ok(ngx_memcmp(item->answer.data, test_text + u->answer,
                       item->answer.len) == 0);
}


static void
test_progress(ngx_http_tgbot_item_t *item)
{
    item->progress.attempts = queue_random();
    item->progress.unavailable = queue_random();
    item->progress.next = queue_random();
    item->progress.failures = queue_random();
    item->progress.unknown = queue_random();
    item->progress.started = queue_random();
}


static ngx_uint_t
test_length(void)
{
    ngx_uint_t  n;

    n = queue_random() % 1000;

    return (n < 5) ? queue_random() % TEST_TEXT
                   : (n < 50) ? 0 : queue_random() % 1500;
}


static void
test_put(void)
{
    uint64_t                        max, needed, all;
    ngx_int_t                       rc, want;
    ngx_msec_t                      age, oldest;
    ngx_uint_t                      i, bot;
    test_update_t                  *u, v;
    ngx_http_tgbot_queue_event_e    event;

    u = test_spare();

    if (u == NULL) {
        return;
    }

    bot = queue_random() % TEST_BOTS;
    event = queue_random() % 3;

    ngx_memzero(&v, sizeof(test_update_t));

    v.id = ++test_ids;
    v.order = test_ids;
    v.bot = bot;
    v.data = queue_random() % 1000;
    v.answer = queue_random() % 1000;

    v.item = queue_item(v.id, queue_random() % TEST_LANES, "");
    v.item.data.len = test_length();
    v.item.data.data = test_text + v.data;
    v.item.head.life = queue_random();

    if (queue_random() % 4 == 0) {
        v.item.answered = 1;
        v.item.answer.len = test_length();
        v.item.answer.data = test_text + v.answer;
    }

    test_progress(&v.item);

    v.due = ngx_current_msec;

    needed = test_size(&v);
    max = test_zone->sh->size;
    all = 0;
    oldest = 0;

    for (i = 0; i < TEST_ITEMS; i++) {
        if (test_updates[i].id) {
            all += test_size(&test_updates[i]);

            if (test_updates[i].bot == bot
                && (oldest == 0 || test_updates[i].item.head.received < oldest))
            {
                oldest = test_updates[i].item.head.received;
            }
        }
    }

    {
        ngx_http_tgbot_store_t  store;

        ngx_http_tgbot_store_open(&store, test_zone);

        max = store.sh->chain.total;
        all = max - all;

        test_is(queue_room(test_zone), all);

        max = max * test_bots[bot].share / 100;
    }

    want = NGX_OK;

    if (needed > max) {
        want = NGX_DECLINED;

    } else if (needed > all || test_blocks_of[bot] + needed > max) {
        want = NGX_AGAIN;
    }

    test_victim = v;
    test_coming = 1;

    rc = ngx_http_tgbot_queue_put(&test_bots[bot], &v.item, event, &age);

    test_coming = 0;

    test_is(rc, want);

    if (rc == NGX_OK) {
        *u = v;
        test_blocks_of[bot] += needed;
        test_counts[bot][event]++;

        test_saw[0]++;
        return;
    }

    test_is(age, oldest ? ngx_current_msec - oldest : 0);
    test_saw[rc == NGX_AGAIN ? 1 : 2]++;
}


static void
test_take(void)
{
    ngx_int_t                     rc;
    ngx_msec_t                    wait;
    ngx_uint_t                    i, bot, inflight, dead;
    test_taken_t                 *t;
    test_update_t                *u;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_queue_taken_t  taken;

    if (test_ntaken == TEST_TAKEN) {
        return;
    }

    bot = queue_random() % TEST_BOTS;

    rc = ngx_http_tgbot_queue_take(&test_bots[bot], &taken, &wait);

    if (rc == NGX_OK) {
        t = &test_takens[test_ntaken];

        t->bot = bot;
        t->slot = ngx_http_tgbot_lease_slot();
        t->taken = taken;

        rc = ngx_http_tgbot_queue_read(&test_bots[bot], &taken, &item,
                                       test_buf);
        test_is(rc, NGX_OK);
        test_is(taken.size, item.data.len + item.answer.len);

        u = test_find(item.head.update_id);

        test_ok(u != NULL);

        if (u) {
            test_is(u->bot, bot);
            test_same(u, &item);
            test_took(u, t);
        }

        return;
    }

    test_is(rc, NGX_DECLINED);

    /* take returned nothing: there must be a reason */

    inflight = 0;
    dead = 0;

    for (i = 0; i < TEST_ITEMS; i++) {
        u = &test_updates[i];

        if (u->id && u->bot == bot && u->lease.token) {
            inflight++;
            dead += !ngx_http_tgbot_lease_alive(&u->lease);
        }
    }

    test_saw[3 + (dead != 0)]++;

    if (inflight >= test_bots[bot].concurrency) {
        test_saw[5]++;
        return;
    }

    for (i = 0; i < TEST_ITEMS; i++) {
        u = &test_updates[i];

        if (u->id == 0 || u->bot != bot) {
            continue;
        }

        test_ok(!test_free(u));

        if (u->lease.token == 0 && test_is_head(u)) {
            test_ok(wait <= u->due - ngx_current_msec);
        }
    }
}


/* the update is the head of a due lane, and no live process holds it */

static void
test_took(test_update_t *u, test_taken_t *t)
{
    ngx_uint_t  i, inflight;

    test_ok(test_is_head(u));
    test_ok((ngx_msec_int_t) (u->due - ngx_current_msec) <= 0
            || u->lease.token);

    if (u->lease.token) {
        test_ok(!ngx_http_tgbot_lease_alive(&u->lease));
        test_saw[6]++;
    }

    u->lease = t->taken.lease;
    u->block = t->taken.block;
    u->seq = t->taken.seq;

    t->id = u->id;
    test_ntaken++;

    inflight = 0;

    for (i = 0; i < TEST_ITEMS; i++) {
        if (test_updates[i].id && test_updates[i].bot == t->bot
            && ngx_http_tgbot_lease_alive(&test_updates[i].lease))
        {
            inflight++;
        }
    }

    test_ok(inflight <= test_bots[t->bot].concurrency + test_saw[7]);
    test_saw[8]++;
}


static void
test_taken_away(ngx_uint_t i)
{
    test_takens[i] = test_takens[--test_ntaken];
}


static void
test_work(void)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    test_taken_t           *t;
    test_update_t          *u;
    ngx_http_tgbot_item_t   item;

    if (test_ntaken == 0) {
        return;
    }

    i = queue_random() % test_ntaken;
    t = &test_takens[i];

    unit_slot_be(t->slot);

    u = test_find(t->id);

    rc = ngx_http_tgbot_queue_read(&test_bots[t->bot], &t->taken, &item,
                                   test_buf);

    if (rc != NGX_OK) {

        /*
         * the process hung, so another one took the job and maybe settled it
         */

        test_is(rc, NGX_DECLINED);
        test_is(ngx_http_tgbot_queue_holds(&test_bots[t->bot], &t->taken),
                NGX_DECLINED);
        test_is(queue_done(&test_bots[t->bot], &t->taken), NGX_DECLINED);
        test_is(queue_give(&test_bots[t->bot], &t->taken, 0,
                           NGX_HTTP_TGBOT_QUEUE_UNTRIED), NGX_DECLINED);

        if (u && ngx_http_tgbot_lease_equal(&u->lease, &t->taken.lease)) {
            test_ok(test_saw[7] != 0);
            u->lease.token = 0;
        }

        test_taken_away(i);
        test_saw[9]++;
        return;
    }

    test_ok(u != NULL
            && ngx_http_tgbot_lease_equal(&u->lease, &t->taken.lease));

    if (test_bad) {
        return;
    }

    test_same(u, &item);
    test_is(ngx_http_tgbot_queue_holds(&test_bots[t->bot], &t->taken),
            NGX_OK);

    test_victim = *u;

    switch (queue_random() % 8) {

    case 0:
    case 1:
    case 2:
    case 3:
        if (test_give(t, u) != NGX_OK) {
            return;
        }

        break;

    default:
        test_settle(t);
    }

    test_taken_away(i);
}


static void
test_settle(test_taken_t *t)
{
    test_update_t                 *u;
    ngx_http_tgbot_queue_event_e   event;

    event = NGX_HTTP_TGBOT_QUEUE_DONE + queue_random() % 4;

    test_going = 1;

    test_is(ngx_http_tgbot_queue_settle(&test_bots[t->bot], &t->taken, event,
                                        NGX_HTTP_TGBOT_QUEUE_TOOK), NGX_OK);
    test_going = 0;

    test_is(t->taken.lease.token, 0);

    u = test_find(t->id);

    test_blocks_of[t->bot] -= test_size(u);
    test_counts[t->bot][event]++;

    u->id = 0;

    test_saw[10]++;
}


/* returns as ngx_http_tgbot_queue_give() */

static ngx_int_t
test_give(test_taken_t *t, test_update_t *u)
{
    uint64_t               needed, blocks;
    ngx_int_t              rc;
    ngx_msec_t             delay;
    ngx_uint_t             plain, fresh;
    ngx_http_tgbot_item_t  item;

    delay = (queue_random() % 2) ? queue_random() % 3000 : 0;
    plain = queue_random() % 4 == 0;

    item = u->item;
    needed = 0;

    if (!plain) {
        test_progress(&item);
    }

    fresh = !plain && !item.answered && queue_random() % 2;

    if (fresh) {
        item.answered = 1;
        item.answer.len = test_length();
        item.answer.data = test_text + u->answer;
        needed = ngx_max((item.answer.len + 503) / 504, 1);
    }

    test_victim.item = item;
    test_victim.due = ngx_current_msec + delay;

    blocks = queue_room(test_zone);

    rc = ngx_http_tgbot_queue_give(&test_bots[t->bot], &t->taken,
                                   plain ? NULL : &item, delay,
                                   NGX_HTTP_TGBOT_QUEUE_UNTRIED);

    test_is(rc, (needed > blocks) ? NGX_AGAIN : NGX_OK);

    if (rc != NGX_OK) {
        test_ok(t->taken.lease.token != 0);
        return rc;
    }

    test_is(t->taken.lease.token, 0);

    u->item = item;
    u->due = ngx_current_msec + delay;
    u->lease.token = 0;

    test_blocks_of[t->bot] += needed;
    test_saw[fresh ? 12 : 11]++;

    return NGX_OK;
}


/* a process dies, hangs, wakes up */

static void
test_process(void)
{
    ngx_uint_t  i, slot;

    slot = queue_random() % TEST_SLOTS;

    switch (queue_random() % 4) {

    case 0:
        unit_slot_die(slot);
        test_forget(slot);
        break;

    case 1:
        unit_slot_hang(slot, 1);
        test_saw[7]++;
        break;

    default:
        test_lost();

        for (i = 0; i < TEST_SLOTS; i++) {
            unit_slot_hang(i, 0);
        }
    }
}


/* a dead process does nothing more */

static void
test_forget(ngx_uint_t slot)
{
    ngx_uint_t  i;

    for (i = 0; i < test_ntaken; /* void */) {
        if (test_takens[i].slot == slot) {
            test_taken_away(i);

        } else {
            i++;
        }
    }
}


/* jobs of hung processes may have been taken by others */

static void
test_lost(void)
{
    ngx_uint_t                    i;
    test_update_t                *u;
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    ngx_http_tgbot_queue_lane_open(&area, test_zone);

    for (i = 0; i < TEST_ITEMS; i++) {
        u = &test_updates[i];

        if (u->id == 0 || u->lease.token == 0
            || ngx_http_tgbot_lease_alive(&u->lease))
        {
            continue;
        }

        it = ngx_http_tgbot_store_find(&area.store, u->block, u->seq);

        test_ok(it != NULL);

        if (it && it->lease.token == 0) {
            u->lease.token = 0;
        }
    }
}


static void
test_op(void)
{
    ngx_uint_t  n;

    unit_slot_be(queue_random() % TEST_SLOTS);

    ngx_current_msec += queue_random() % 8;

    n = queue_random() % 1000;

    if (n < 350) {
        test_put();

    } else if (n < 650) {
        test_take();

    } else if (n < 990) {
        test_work();

    } else if (n < 993) {
        ngx_current_msec += 500;

    } else {
        test_process();
    }
}


static void
test_after_kill(void)
{
    ngx_uint_t                    slot;
    ngx_http_tgbot_queue_state_t  state;

    slot = ngx_http_tgbot_lease_slot();

    unit_slot_die(slot);
    test_forget(slot);

    unit_slot_be((slot + 1) % TEST_SLOTS);

    /* the process that repairs may be killed, too */

    while (setjmp(unit_zone_killed)) {
        test_saw[13]++;
    }

    unit_zone_stop_at = (queue_random() % 2) ? queue_random() % 300 : 0;

    ngx_http_tgbot_queue_state(&test_bots[0], &state);

    unit_zone_stop_at = 0;

    test_ok(queue_walk(test_zone));

    test_ok(test_compare(1));
    test_events(1);

    test_coming = 0;
    test_going = 0;
    test_victim.id = 0;
}


/* finds out whether the interrupted change was made */

static void
test_learn(test_update_t *u, ngx_http_tgbot_item_t *item)
{
    test_update_t  *v;

    v = &test_victim;

    if (u->item.answered != item->answered) {
        test_ok(v->item.answered && item->answered);
        test_is(item->answer.len, v->item.answer.len);

        test_blocks_of[u->bot] += ngx_max((item->answer.len + 503) / 504, 1);

        u->item.answered = 1;
        u->item.answer = v->item.answer;
    }

    if (item->progress.started != u->item.progress.started
        || item->progress.next != u->item.progress.next)
    {
        test_is(item->progress.next, v->item.progress.next);

        u->item.progress.attempts = v->item.progress.attempts;
        u->item.progress.unavailable = v->item.progress.unavailable;
        u->item.progress.next = v->item.progress.next;
        u->item.progress.failures = v->item.progress.failures;
        u->item.progress.unknown = v->item.progress.unknown;
        u->item.progress.started = v->item.progress.started;
    }

    /* due at the old time or at the new one */

    if (item->delay
        && ngx_current_msec + item->delay == v->due)
    {
        u->due = v->due;
    }
}


/* the zone has exactly the updates of the model, in their order */

static ngx_uint_t
test_compare(ngx_uint_t learn)
{
    uint64_t                        order;
    ngx_uint_t                      i, n, bot, last, left;
    ngx_pool_t                     *pool;
    test_update_t                  *u;
    ngx_http_tgbot_item_t           item;
    ngx_http_tgbot_queue_area_t     area;
    ngx_http_tgbot_store_cursor_t   cursor;

    pool = ngx_create_pool(1024, ngx_cycle->log);

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    n = 0;
    last = TEST_BOTS;
    order = 0;

    while (queue_next(test_zone, &cursor, &item, pool) == NGX_OK) {
        bot = (item.head.bot_id == 42) ? 0 : 1;

        if (bot != last) {
            last = bot;
            order = 0;
        }

        u = test_find(item.head.update_id);

        if (u == NULL && learn && test_coming
            && item.head.update_id == test_victim.id)
        {
            u = test_spare();
            *u = test_victim;

            test_blocks_of[u->bot] += test_size(u);
            test_coming = 0;
            test_saw[14]++;
        }

        if (u == NULL) {
            is_int(item.head.update_id, 0);
            break;
        }

        if (learn && u->id == test_victim.id) {
            test_learn(u, &item);
        }

        test_same(u, &item);
        test_is(u->bot, bot);
        test_ok(u->order > order);

        order = u->order;
        n++;

        if (learn) {

            /* leases are unchanged, except those of dead processes */

            ngx_http_tgbot_queue_lane_open(&area, test_zone);

            u->lease = ngx_http_tgbot_queue_item(&area, cursor.block)->lease;
            u->block = cursor.block;
            u->seq = cursor.seq;
        }
    }

    left = 0;

    for (i = 0; i < TEST_ITEMS; i++) {
        u = &test_updates[i];

        if (u->id == 0) {
            continue;
        }

        if (left + n < sizeof(test_updates) && learn && test_going
            && u->id == test_victim.id)
        {
            ngx_http_tgbot_queue_lane_open(&area, test_zone);

            if (area.store.sh->items == n) {

                /* it was settled already, if all others are there */

                ngx_uint_t  k, all;

                all = 0;

                for (k = 0; k < TEST_ITEMS; k++) {
                    all += (test_updates[k].id != 0);
                }

                if (all == n + 1) {
                    test_blocks_of[u->bot] -= test_size(u);
                    u->id = 0;
                    test_saw[15]++;
                    continue;
                }
            }
        }

        left++;
    }

    ngx_destroy_pool(pool);

    return is_int(left, n) && !test_bad;
}


static void
test_events(ngx_uint_t learn)
{
    ngx_uint_t                    i, k, n;
    ngx_http_tgbot_queue_state_t  state;

    for (i = 0; i < TEST_BOTS; i++) {
        ngx_http_tgbot_queue_state(&test_bots[i], &state);

        test_is(state.blocks, test_blocks_of[i]);

        n = state.waiting + state.inflight;

        for (k = 0; k < NGX_HTTP_TGBOT_QUEUE_EVENTS; k++) {

            /* an interrupted event may or may not have been counted */

            if (learn) {
                test_ok(state.events[k] >= test_counts[i][k]
                        && state.events[k] <= test_counts[i][k] + 1);
                test_counts[i][k] = state.events[k];
            }

            test_is(state.events[k], test_counts[i][k]);

            n += (k < NGX_HTTP_TGBOT_QUEUE_DONE) ? -state.events[k]
                                                 : state.events[k];
        }

        test_is(n, 0);
    }
}


/* all updates are settled, in the order of their lanes */

static void
test_drain(void)
{
    uint64_t                      order[TEST_BOTS][TEST_LANES];
    ngx_uint_t                    bot, idle, left;
    test_update_t                *u;
    ngx_msec_t                    wait;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_queue_taken_t  taken;

    ngx_memzero(order, sizeof(order));

    for (bot = 0; bot < TEST_SLOTS; bot++) {
        unit_slot_die(bot);
    }

    for (idle = 0; idle < 100 && !test_bad; /* void */) {
        bot = idle % TEST_BOTS;

        if (ngx_http_tgbot_queue_take(&test_bots[bot], &taken, &wait)
            != NGX_OK)
        {
            ngx_current_msec += 100;
            idle++;
            continue;
        }

        test_is(ngx_http_tgbot_queue_read(&test_bots[bot], &taken, &item,
                                          test_buf), NGX_OK);
        u = test_find(item.head.update_id);
        test_ok(u != NULL && u->order > order[bot][item.head.lane]);

        if (u) {
            test_same(u, &item);
            order[bot][item.head.lane] = u->order;
            u->id = 0;
        }

        test_is(queue_done(&test_bots[bot], &taken), NGX_OK);
    }

    test_is(ngx_http_tgbot_queue_items(test_zone), 0);

    left = 0;

    for (bot = 0; bot < TEST_ITEMS; bot++) {
        left += (test_updates[bot].id != 0);
    }

    test_is(left, 0);
}


static void
test_run(ngx_uint_t ops, ngx_uint_t kills, ngx_uint_t shares)
{
    ngx_uint_t           most;
    volatile ngx_uint_t  i, killed;

    test_setup(shares);

    killed = 0;

    for (i = 0; i < ops && !test_bad; i++) {
        unit_context("operation %d", (int) i);

        if (setjmp(unit_zone_killed) == 0) {
            test_victim.id = 0;

            /* most operations have few points, those on long texts many */

            most = (queue_random() % 4) ? 10 : 100;

            unit_zone_stop_at = (kills && queue_random() % kills == 0)
                                    ? 1 + queue_random() % most : 0;
            test_op();

            unit_zone_stop_at = 0;

        } else {
            killed++;
            test_after_kill();
        }

        if (i % 2000 == 0) {
            test_ok(queue_walk(test_zone));
            test_ok(test_compare(0));
            test_events(0);
        }
    }

    unit_context("after %d kills", (int) killed);

    test_drain();

    /* every case occurred */

    for (i = 0; i < 16; i++) {
        unit_context("kind %d", (int) i);

        if (i == 1 || i == 2 || (i > 12 && kills == 0)) {
            continue;
        }

        ok(test_saw[i] > 10);
    }

    if (shares) {
        ok(test_saw[1] > 100);
        ok(test_saw[2] > 10);
    }

    test_done();
}


static void
test_plain(void)
{
    test_run(TEST_OPS, 0, 0);
}


static void
test_shares(void)
{
    test_run(TEST_OPS / 3, 0, 1);
}


static void
test_kills(void)
{
    test_run(TEST_OPS / 2, 10, 1);
}


static unit_case_t  test_cases[] = {
    { "random operations", test_plain },
    { "random operations, shares", test_shares },
    { "random operations, processes are killed inside", test_kills },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
