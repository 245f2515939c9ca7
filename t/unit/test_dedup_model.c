
/*
 * Random operations of several processes that die and hang are compared with
 * a model.  A process that is killed inside a change has made it completely
 * or not at all.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup.h"
#include "dedup.h"


#define TEST_WINDOW  8192
#define TEST_OPS     1000000
#define TEST_IDS     (TEST_OPS + 16384)
#define TEST_BASE    870000000
#define TEST_CLAIMS  8192
#define TEST_SLOTS   4


typedef struct {
    ngx_http_tgbot_lease_t        lease;
    ngx_msec_t                    first;
    ngx_msec_t                    time;
    uint32_t                      attempts;
    uint16_t                      call;        /* bytes kept */
    u_char                        state;
    u_char                        charged;
    u_char                        accepted;
} test_update_t;


/*
 * updates in the order in which they entered a state; those that left it
 * since are skipped
 */

typedef struct {
    uint32_t                      id[2 * TEST_OPS];
    ngx_msec_t                    time[2 * TEST_OPS];
    ngx_uint_t                    head;
    ngx_uint_t                    tail;
} test_fifo_t;


static void test_setup(ngx_uint_t n);
static void test_done(void);
static void test_put(ngx_uint_t i, ngx_uint_t state);
static ngx_int_t test_oldest(ngx_uint_t state);
static ngx_uint_t test_present(ngx_uint_t i);
static void test_expire(void);
static void test_evict(void);
static ngx_int_t test_expect(ngx_uint_t i);
static void test_claim(ngx_uint_t i, ngx_uint_t stop);
static ngx_int_t test_do_claim(ngx_uint_t i);
static void test_settle(ngx_uint_t n, ngx_uint_t stop);
static void test_do_settle(ngx_uint_t n);
static void test_after_kill(ngx_uint_t i);
static void test_learn(ngx_uint_t i, ngx_http_tgbot_dedup_record_t *rec,
    ngx_uint_t known, ngx_uint_t about);
static void test_sort(ngx_uint_t state);
static int ngx_libc_cdecl test_older(const void *one, const void *two);
static ngx_uint_t test_run(ngx_uint_t ops, ngx_uint_t kills);


static ngx_http_tgbot_dedup_t    test_bot;
static ngx_http_tgbot_zone_t    *test_zone;
static test_update_t            *test_updates;
static test_fifo_t              *test_fifo[NGX_HTTP_TGBOT_DEDUP_STATES];
static ngx_uint_t                test_records, test_blocks, test_low;
static ngx_msec_t                test_alive;
static u_char                    test_text[NGX_HTTP_TGBOT_DEDUP_RIDE + 32];

static ngx_http_tgbot_dedup_claim_t  test_claims[TEST_CLAIMS];
static ngx_uint_t                    test_nclaims, test_gone, test_bad;

static ngx_uint_t                test_saw[8];


#define test_number(id)     ((ngx_uint_t) ((id) - TEST_BASE))
#define test_nblocks(size)                                                   \
    (((size) + NGX_HTTP_TGBOT_CHAIN_DATA - 1)                           \
     / NGX_HTTP_TGBOT_CHAIN_DATA)

/* only the first wrong result is reported, not its consequences */
#define test_is(got, want)                                                   \
    if (!is_int(got, want)) { test_bad = 1; }


static void
test_setup(ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(test_text); i++) {
        test_text[i] = (u_char) ('a' + i % 26);
    }

    test_bot = seen_bot("shop", 42, TEST_WINDOW);
    test_zone = seen_zone(&test_bot, 1);

    test_updates = ngx_calloc(TEST_IDS * sizeof(test_update_t),
                              test_zone->log);

    for (i = 0; i < NGX_HTTP_TGBOT_DEDUP_STATES; i++) {
        test_fifo[i] = ngx_alloc(sizeof(test_fifo_t), test_zone->log);
        test_fifo[i]->head = 0;
        test_fifo[i]->tail = 0;
    }

    test_records = 0;
    test_blocks = NGX_HTTP_TGBOT_DEDUP_BLOCKS;
    test_low = 2048;
    test_alive = 0;
    test_nclaims = 0;
    test_bad = 0;

    ngx_memzero(test_saw, sizeof(test_saw));
}


static void
test_done(void)
{
    ngx_uint_t  i;

    ok(seen_walk(&test_bot));

    for (i = 0; i < NGX_HTTP_TGBOT_DEDUP_STATES; i++) {
        ngx_free(test_fifo[i]);
    }

    ngx_free(test_updates);
    unit_zone_free(test_zone);
}


/* changes the state of an update in the model */

static void
test_put(ngx_uint_t i, ngx_uint_t state)
{
    test_fifo_t    *fifo;
    test_update_t  *u;

    u = &test_updates[i];

    if (u->state == NGX_HTTP_TGBOT_DEDUP_DONE) {
        test_blocks += test_nblocks(u->call);
    }

    if (u->state == NGX_HTTP_TGBOT_DEDUP_FREE) {
        test_records++;
    }

    u->state = (u_char) state;
    u->time = ngx_current_msec;

    if (state == NGX_HTTP_TGBOT_DEDUP_FREE) {
        test_records--;
        return;
    }

    fifo = test_fifo[state];

    if (fifo->tail < 2 * TEST_OPS) {
        fifo->id[fifo->tail] = (uint32_t) i;
        fifo->time[fifo->tail++] = u->time;
    }
}


static ngx_int_t
test_oldest(ngx_uint_t state)
{
    ngx_uint_t    i;
    test_fifo_t  *fifo;

    fifo = test_fifo[state];

    for ( /* void */ ; fifo->head < fifo->tail; fifo->head++) {
        i = fifo->id[fifo->head];

        if (test_updates[i].state == state
            && test_updates[i].time == fifo->time[fifo->head])
        {
            return i;
        }
    }

    return -1;
}


static ngx_uint_t
test_present(ngx_uint_t i)
{
    ngx_http_tgbot_dedup_area_t  area;

    ngx_http_tgbot_dedup_table_area(&test_bot, &area);

    return ngx_http_tgbot_dedup_area_find(&area, TEST_BASE + i) != NULL;
}


static void
test_expire(void)
{
    ngx_int_t   i;
    ngx_uint_t  n;

    for (n = 0; n < 4; n++) {
        i = test_oldest(NGX_HTTP_TGBOT_DEDUP_DONE);

        if (i < 0 || ngx_current_msec - test_updates[i].time
                     < NGX_HTTP_TGBOT_DEDUP_RIDE_TIME)
        {
            return;
        }

        test_put(i, NGX_HTTP_TGBOT_DEDUP_FREE);
        test_saw[0]++;
    }
}


/* takes a record for another update */

static void
test_evict(void)
{
    ngx_int_t       idle, done;
    ngx_uint_t      i, head;
    test_fifo_t    *fifo;
    test_update_t  *u;

    idle = test_oldest(NGX_HTTP_TGBOT_DEDUP_IDLE);
    done = test_oldest(NGX_HTTP_TGBOT_DEDUP_DONE);

    if (idle < 0 && done < 0
        && (test_alive == 0 || ngx_current_msec - test_alive >= 100))
    {
        test_alive = ngx_current_msec;

        for (i = 0; i < TEST_IDS; i++) {
            u = &test_updates[i];

            if (u->state == NGX_HTTP_TGBOT_DEDUP_HELD
                && !ngx_http_tgbot_lease_alive(&u->lease))
            {
                /* limits were charged before */

                u->charged = 1;

                test_put(i, NGX_HTTP_TGBOT_DEDUP_IDLE);
                test_saw[1]++;
            }
        }

        idle = test_oldest(NGX_HTTP_TGBOT_DEDUP_IDLE);
    }

    if (done >= 0
        && (idle < 0 || test_updates[done].time < test_updates[idle].time))
    {
        test_put(done, NGX_HTTP_TGBOT_DEDUP_FREE);
        test_saw[2]++;
        return;
    }

    if (idle < 0) {
        return;
    }

    /* any of the updates with the same time may be the oldest */

    fifo = test_fifo[NGX_HTTP_TGBOT_DEDUP_IDLE];

    for (head = fifo->head; head < fifo->tail; head++) {
        i = fifo->id[head];
        u = &test_updates[i];

        if (u->state == NGX_HTTP_TGBOT_DEDUP_IDLE
            && u->time == test_updates[idle].time && !test_present(i))
        {
            test_put(i, NGX_HTTP_TGBOT_DEDUP_FREE);
            test_saw[3]++;
            return;
        }

        if (fifo->time[head] > test_updates[idle].time) {
            break;
        }
    }

    test_is(0, 1);
}


/* the expected result of a claim */

static ngx_int_t
test_expect(ngx_uint_t i)
{
    test_update_t  *u;

    u = &test_updates[i];

    if (u->accepted) {
        return NGX_DECLINED;
    }

    if (u->state == NGX_HTTP_TGBOT_DEDUP_HELD
        && ngx_http_tgbot_lease_alive(&u->lease))
    {
        return NGX_BUSY;
    }

    if (u->state != NGX_HTTP_TGBOT_DEDUP_FREE) {
        return NGX_OK;
    }

    test_expire();

    if (test_records == NGX_HTTP_TGBOT_DEDUP_RECORDS) {
        test_evict();
    }

    return (test_records == NGX_HTTP_TGBOT_DEDUP_RECORDS) ? NGX_AGAIN : NGX_OK;
}


static void
test_claim(ngx_uint_t i, ngx_uint_t stop)
{
    if (test_nclaims == TEST_CLAIMS) {
        return;
    }

    if (setjmp(unit_zone_killed) == 0) {
        unit_zone_stop_at = stop;
        (void) test_do_claim(i);
        unit_zone_stop_at = 0;

    } else {
        test_after_kill(i);
    }
}


static ngx_int_t
test_do_claim(ngx_uint_t i)
{
    ngx_int_t                      rc, expect;
    ngx_str_t                      type, body;
    test_update_t                 *u;
    ngx_http_tgbot_dedup_claim_t  *claim;

    claim = &test_claims[test_nclaims];

    rc = ngx_http_tgbot_dedup_claim(&test_bot, TEST_BASE + i, claim, &type,
                                    &body);
    unit_zone_stop_at = 0;

    expect = test_expect(i);
    test_is(rc, expect);

    u = &test_updates[i];

    if (rc == NGX_DECLINED) {
        if (u->state == NGX_HTTP_TGBOT_DEDUP_DONE
            && ngx_current_msec - u->time < NGX_HTTP_TGBOT_DEDUP_RIDE_TIME)
        {
            test_is(type.len, u->call % 7);
            test_is(type.len + body.len, u->call);
            test_is(ngx_memcmp(body.data, test_text + i % 26, body.len), 0);
            test_saw[4]++;

        } else {
            test_is(type.len + body.len, 0);
        }

    } else if (rc == NGX_BUSY) {
        test_is(claim->first, u->time);

    } else if (rc == NGX_AGAIN) {
        test_saw[5]++;

    } else {
        if (u->state == NGX_HTTP_TGBOT_DEDUP_FREE) {
            u->first = ngx_current_msec;
            u->attempts = 0;
            u->charged = 0;

        } else if (u->state == NGX_HTTP_TGBOT_DEDUP_HELD) {
            u->charged = 1;
        }

        test_is(claim->first, u->first);
        test_is(claim->attempts, u->attempts);
        test_is(claim->charged, u->charged);
        test_is(claim->rebased, 0);

        u->lease = claim->lease;
        test_put(i, NGX_HTTP_TGBOT_DEDUP_HELD);
        test_nclaims++;
    }

    return rc;
}


static void
test_settle(ngx_uint_t n, ngx_uint_t stop)
{
    ngx_uint_t  i;

    i = test_number(test_claims[n].update_id);

    /* an id that would be below the window is not settled by its process */

    if (i + 2000 < test_low) {
        test_claims[n] = test_claims[--test_nclaims];
        return;
    }

    if (setjmp(unit_zone_killed) == 0) {
        unit_zone_stop_at = stop;
        test_do_settle(n);

    } else {
        test_after_kill(i);
    }

    unit_zone_stop_at = 0;
}


static void
test_do_settle(ngx_uint_t n)
{
    ngx_int_t                     rc;
    ngx_str_t                     type, body;
    ngx_uint_t                    i, what, charged, held;
    test_update_t                *u;
    ngx_http_tgbot_dedup_claim_t  claim;

    claim = test_claims[n];
    test_claims[n] = test_claims[--test_nclaims];

    unit_slot_be(claim.lease.slot);

    i = test_number(claim.update_id);
    u = &test_updates[i];

    held = u->state == NGX_HTTP_TGBOT_DEDUP_HELD
           && ngx_http_tgbot_lease_equal(&u->lease, &claim.lease);

    what = seen_random() % 16;
    charged = what & 1;

    body.data = test_text + i % 26;
    body.len = (what < 2) ? seen_random() % 4000 : seen_random() % 700;

    type.data = test_text;
    type.len = (what < 6) ? body.len % 7 : 0;
    body.len -= type.len;

    if (what < 10) {
        rc = ngx_http_tgbot_dedup_accept(&test_bot, &claim,
                                         (what < 6) ? &type : NULL,
                                         (what < 6) ? &body : NULL);
    } else if (what < 15) {
        rc = ngx_http_tgbot_dedup_release(&test_bot, &claim, what < 14,
                                          charged);
    } else {
        rc = ngx_http_tgbot_dedup_forget(&test_bot, &claim);
    }

    unit_zone_stop_at = 0;

    test_is(rc, held ? NGX_OK : NGX_DECLINED);

    if (!held) {
        test_saw[6]++;
        return;
    }

    if (what >= 15) {
        test_put(i, NGX_HTTP_TGBOT_DEDUP_FREE);

    } else if (what >= 10) {
        u->attempts += (what < 14);
        u->charged |= charged;
        test_put(i, NGX_HTTP_TGBOT_DEDUP_IDLE);

    } else if (what >= 6 || type.len + body.len == 0) {
        u->accepted = 1;
        test_put(i, NGX_HTTP_TGBOT_DEDUP_FREE);

    } else {
        u->accepted = 1;

        while (test_blocks < test_nblocks(type.len + body.len)) {
            test_put(test_oldest(NGX_HTTP_TGBOT_DEDUP_DONE),
                     NGX_HTTP_TGBOT_DEDUP_FREE);
            test_saw[7]++;
        }

        test_put(i, NGX_HTTP_TGBOT_DEDUP_DONE);

        u->call = (uint16_t) (type.len + body.len);
        test_blocks -= test_nblocks(u->call);
    }
}


/* update i was worked on */

static void
test_after_kill(ngx_uint_t i)
{
    ngx_uint_t                    n, from;
    ngx_http_tgbot_dedup_area_t   area;
    ngx_http_tgbot_dedup_state_t  state;

    unit_slot_die(ngx_http_tgbot_lease_slot());

    /* the process that repairs may be killed, too */

    if (setjmp(unit_zone_killed) == 0) {
        unit_zone_stop_at = seen_random() % 8;
        ngx_http_tgbot_dedup_state(&test_bot, &state);
    }

    unit_zone_stop_at = 0;

    if (!ok(seen_walk(&test_bot))) {
        test_bad = 1;
    }

    test_alive = 0;
    test_gone = 0;

    ngx_http_tgbot_dedup_table_area(&test_bot, &area);

    from = (test_low > 5000) ? test_low - 5000 : 0;

    for (n = 0; n < TEST_IDS; n++) {
        if (n >= from || test_updates[n].state != NGX_HTTP_TGBOT_DEDUP_FREE) {
            test_learn(n,
                       ngx_http_tgbot_dedup_area_find(&area, TEST_BASE + n),
                       ngx_http_tgbot_dedup_ring_test(&area.rings,
                                                      TEST_BASE + n),
                       n == i);
        }

        if (n > test_low + 6000) {
            break;
        }
    }

    test_sort(NGX_HTTP_TGBOT_DEDUP_IDLE);
    test_sort(NGX_HTTP_TGBOT_DEDUP_DONE);

    /* the most that a call of several blocks, or a claim, can evict */

    ok(test_gone <= 16);
}


/* updates the model from the zone, if the difference is allowed */

static void
test_learn(ngx_uint_t i, ngx_http_tgbot_dedup_record_t *rec, ngx_uint_t known,
    ngx_uint_t about)
{
    ngx_uint_t      state;
    test_update_t  *u;

    u = &test_updates[i];
    state = rec ? rec->state : NGX_HTTP_TGBOT_DEDUP_FREE;

    if (i + 2000 > test_low) {
        test_is(u->accepted && !known, 0);
        test_is(!about && known && !u->accepted, 0);
        test_is(state == NGX_HTTP_TGBOT_DEDUP_DONE && !known, 0);

        u->accepted = (u_char) known;
    }

    if (about) {
        test_is(rec && rec->attempts < u->attempts && rec->attempts != 0, 0);

    } else if (state != u->state) {

        /* evicted, or the lease of a dead process */

        if (state == NGX_HTTP_TGBOT_DEDUP_FREE) {
            test_gone++;

        } else {
            test_is(state, NGX_HTTP_TGBOT_DEDUP_IDLE);
            test_is(u->state, NGX_HTTP_TGBOT_DEDUP_HELD);
            test_is(ngx_http_tgbot_lease_alive(&u->lease), 0);
        }

        test_is(u->state == NGX_HTTP_TGBOT_DEDUP_HELD
                && ngx_http_tgbot_lease_alive(&u->lease), 0);

    } else if (rec) {
        test_is(rec->attempts, u->attempts);
        test_is(rec->charged, u->charged);
        test_is(ngx_http_tgbot_zone_out(test_zone, rec->first), u->first);
        test_is(ngx_http_tgbot_zone_out(test_zone, rec->time), u->time);

        if (state == NGX_HTTP_TGBOT_DEDUP_HELD) {
            test_is(ngx_http_tgbot_lease_equal(&rec->lease, &u->lease), 1);
        }
    }

    if (state != u->state
        || (rec && ngx_http_tgbot_zone_out(test_zone, rec->time) != u->time))
    {
        test_put(i, state);
    }

    if (rec) {
        if (about && state == NGX_HTTP_TGBOT_DEDUP_DONE) {
            u->call = rec->type_len + rec->body_len;
            test_blocks -= test_nblocks(u->call);
        }

        u->lease = rec->lease;
        u->first = ngx_http_tgbot_zone_out(test_zone, rec->first);
        u->time = ngx_http_tgbot_zone_out(test_zone, rec->time);
        u->attempts = rec->attempts;
        u->charged = rec->charged;
    }
}


/* times of updates that the model learned from the zone */

static void
test_sort(ngx_uint_t state)
{
    ngx_uint_t    i;
    test_fifo_t  *fifo;

    fifo = test_fifo[state];

    fifo->head = 0;
    fifo->tail = 0;

    for (i = 0; i < TEST_IDS; i++) {
        if (test_updates[i].state == state) {
            fifo->id[fifo->tail++] = (uint32_t) i;
        }
    }

    qsort(fifo->id, fifo->tail, sizeof(uint32_t), test_older);

    for (i = 0; i < fifo->tail; i++) {
        fifo->time[i] = test_updates[fifo->id[i]].time;
    }
}


static int ngx_libc_cdecl
test_older(const void *one, const void *two)
{
    ngx_msec_t  a, b;

    a = test_updates[*(const uint32_t *) one].time;
    b = test_updates[*(const uint32_t *) two].time;

    return (a > b) - (a < b);
}


static ngx_uint_t
test_run(ngx_uint_t ops, ngx_uint_t kills)
{
    ngx_uint_t  i, r, stop, dead, killed, crowd;

    killed = 0;

    for (i = 0; i < ops && !test_bad; i++) {

        unit_context("operation %lu", (unsigned long) i);

        ngx_current_msec += (i % 64) ? 1 : seen_random() % 600;
        ngx_current_msec += (i % 30000) ? 0 : 310000;

        r = seen_random();
        stop = (kills && r % kills == 0) ? seen_random() % 12 : 0;
        killed += (stop != 0);

        r = seen_random();

        /* at times nothing is settled, until no record is free */

        crowd = i % 100000 > 80000 && i % 100000 < 92000;

        unit_slot_be(seen_random() % TEST_SLOTS);

        if (crowd) {
            unit_slot_hang(ngx_http_tgbot_lease_slot(), 0);

        } else if (r % 1024 == 0) {
            dead = seen_random() % TEST_SLOTS;

            if (r & 4096) {
                unit_slot_die(dead);

            } else {
                unit_slot_hang(dead, r & 8192);
            }
        }

        if (!crowd && test_nclaims && (r & 16)) {
            test_settle(seen_random() % test_nclaims, stop);

        } else {
            test_claim(crowd ? test_low + seen_random() % 5800
                             : test_low - 1900 + seen_random() % 2200, stop);
        }

        if (!crowd && (r & 96) && test_low < TEST_IDS - 8192) {
            test_low++;
        }

        if (i % 2000 == 0 && !ok(seen_walk(&test_bot))) {
            break;
        }
    }

    for (r = 0; r < 8; r++) {
        unit_slot_hang(r, 0);
    }

    unit_slot_be(0);

    return killed;
}


static void
test_peace(void)
{
    ngx_uint_t  i;

    test_setup(0);

    is_int(test_run(TEST_OPS / 4, 0), 0);

    /* every case occurred */

    for (i = 0; i < unit_n(test_saw); i++) {
        unit_context("happening %d", (int) i);
        ok(test_saw[i] > 0);
    }

    test_done();
}


static void
test_kills(void)
{
    test_setup(0);

    ok(test_run(TEST_OPS, 200) > 1000);

    test_done();
}


static unit_case_t  test_cases[] = {
    { "processes that die and hang", test_peace },
    { "processes killed inside", test_kills },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
