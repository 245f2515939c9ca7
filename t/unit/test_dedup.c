
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup.h"
#include "dedup.h"


#define TEST_WINDOW  4096


static void test_setup(void);
static void test_done(void);
static ngx_int_t test_accept(ngx_http_tgbot_dedup_claim_t *claim,
    const char *type, const char *body);
static ngx_int_t test_keep(int64_t id, const char *type, size_t len);
static ngx_int_t test_kept(int64_t id, const char *type, size_t len);
static ngx_http_tgbot_dedup_state_t test_state(void);


static ngx_http_tgbot_dedup_t  test_bot;
static ngx_http_tgbot_zone_t  *test_zone;
static char                    test_body[8192];


static void
test_setup(void)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(test_body); i++) {
        test_body[i] = (char) ('a' + i % 23);
    }

    test_bot = seen_bot("shop", 42, TEST_WINDOW);
    test_zone = seen_zone(&test_bot, 1);

    unit_slot_be(0);
}


static void
test_done(void)
{
    ok(seen_walk(&test_bot));

    unit_zone_free(test_zone);
}


static ngx_int_t
test_accept(ngx_http_tgbot_dedup_claim_t *claim, const char *type,
    const char *body)
{
    ngx_str_t  t, b;

    seen_call(t, type);
    seen_call(b, body);

    return ngx_http_tgbot_dedup_accept(&test_bot, claim, &t, &b);
}


/* accepts an update and keeps a call of "len" bytes with its type */

static ngx_int_t
test_keep(int64_t id, const char *type, size_t len)
{
    ngx_str_t                     t, b;
    ngx_http_tgbot_dedup_claim_t  claim;

    if (!is_int(seen_claim(&test_bot, id, &claim), NGX_OK)) {
        return NGX_ERROR;
    }

    seen_call(t, type);

    b.data = (u_char *) test_body + id % 23;
    b.len = len;

    return ngx_http_tgbot_dedup_accept(&test_bot, &claim, &t, &b);
}


/* NGX_OK: the call is kept; NGX_DECLINED: none; NGX_ERROR: another one */

static ngx_int_t
test_kept(int64_t id, const char *type, size_t len)
{
    ngx_str_t                     t, b;
    ngx_http_tgbot_dedup_claim_t  claim;

    is_int(ngx_http_tgbot_dedup_claim(&test_bot, id, &claim, &t, &b),
           NGX_DECLINED);
    is_int(claim.lease.token, 0);

    if (t.len == 0 && b.len == 0) {
        return NGX_DECLINED;
    }

    if (t.len == strlen(type) && ngx_memcmp(t.data, type, t.len) == 0
        && b.len == len
        && ngx_memcmp(b.data, test_body + id % 23, len) == 0)
    {
        return NGX_OK;
    }

    return NGX_ERROR;
}


static ngx_http_tgbot_dedup_state_t
test_state(void)
{
    ngx_http_tgbot_dedup_state_t  state;

    ngx_http_tgbot_dedup_state(&test_bot, &state);

    return state;
}


static void
test_once(void)
{
    ngx_str_t                     type, body;
    ngx_http_tgbot_dedup_claim_t  claim, other;
    ngx_http_tgbot_dedup_state_t  state;

    test_setup();

    is_int(ngx_http_tgbot_dedup_claim(&test_bot, 1000, &claim, &type, &body),
           NGX_OK);
    is_int(claim.update_id, 1000);
    ok(claim.lease.token != 0);
    is_int(claim.first, ngx_current_msec);
    is_int(claim.attempts, 0);
    is_int(claim.charged, 0);
    is_int(claim.rebased, 0);
    is_str(&type, "");
    is_str(&body, "");

    ok(ngx_http_tgbot_dedup_holds(&test_bot, &claim));

    state = test_state();
    is_int(state.records, 1);
    is_int(state.leased, 1);
    is_int(state.rides, 0);

    /* claimed at that time */

    ngx_current_msec += 700;

    is_int(seen_claim(&test_bot, 1000, &other), NGX_BUSY);
    is_int(other.lease.token, 0);
    is_int(other.first, ngx_current_msec - 700);

    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, NULL, NULL), NGX_OK);
    is_int(claim.rebased, 0);

    /* the claim cannot be settled twice */

    is_int(claim.lease.token, 0);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, NULL, NULL), NGX_OK);
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &claim, 1, 1), NGX_OK);
    is_int(ngx_http_tgbot_dedup_forget(&test_bot, &claim), NGX_OK);
    is_int(ngx_http_tgbot_dedup_holds(&test_bot, &claim), 1);

    is_int(ngx_http_tgbot_dedup_claim(&test_bot, 1000, &claim, &type, &body),
           NGX_DECLINED);
    is_str(&type, "");
    is_str(&body, "");

    state = test_state();
    is_int(state.records, 0);
    is_int(state.leased, 0);
    is_int(state.top[0], 1000);
    is_int(state.top[1], 0);

    test_done();
}


static void
test_again(void)
{
    ngx_msec_t                    first;
    ngx_uint_t                    i;
    ngx_http_tgbot_dedup_claim_t  claim;
    ngx_http_tgbot_dedup_state_t  state;

    test_setup();

    first = ngx_current_msec;

    is_int(seen_claim(&test_bot, 1000, &claim), NGX_OK);
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &claim, 0, 0), NGX_OK);

    for (i = 0; i < 7; i++) {
        ngx_current_msec += 5000;

        is_int(seen_claim(&test_bot, 1000, &claim), NGX_OK);
        is_int(claim.first, first);
        is_int(claim.attempts, i);
        is_int(claim.charged, i > 3);

        is_int(ngx_http_tgbot_dedup_release(&test_bot, &claim, 1, i == 3),
               NGX_OK);

        state = test_state();
        is_int(state.records, 1);
        is_int(state.leased, 0);
    }

    /* an unavailable program does not count as an attempt */

    is_int(seen_claim(&test_bot, 1000, &claim), NGX_OK);
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &claim, 0, 0), NGX_OK);
    is_int(seen_claim(&test_bot, 1000, &claim), NGX_OK);
    is_int(claim.attempts, 7);
    is_int(claim.charged, 1);

    is_int(ngx_http_tgbot_dedup_forget(&test_bot, &claim), NGX_OK);
    is_int(test_state().records, 0);

    is_int(seen_claim(&test_bot, 1000, &claim), NGX_OK);
    is_int(claim.first, ngx_current_msec);
    is_int(claim.attempts, 0);
    is_int(claim.charged, 0);

    test_done();
}


/* updates of a dead process may be claimed again, its results are dropped */

static void
test_died(void)
{
    ngx_msec_t                    first;
    ngx_http_tgbot_dedup_claim_t  dead, claim, next;

    test_setup();

    first = ngx_current_msec;

    unit_slot_be(1);

    is_int(seen_claim(&test_bot, 1000, &dead), NGX_OK);
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &dead, 1, 0), NGX_OK);
    is_int(seen_claim(&test_bot, 1000, &dead), NGX_OK);

    unit_slot_be(2);
    ngx_current_msec += 100;

    is_int(seen_claim(&test_bot, 1000, &claim), NGX_BUSY);

    unit_slot_die(1);

    is_int(seen_claim(&test_bot, 1000, &claim), NGX_OK);
    is_int(claim.first, first);
    is_int(claim.attempts, 1);

    /* limits were charged before */

    is_int(claim.charged, 1);

    is_int(ngx_http_tgbot_dedup_holds(&test_bot, &dead), 0);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &dead, NULL, NULL),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &dead, 1, 1), NGX_DECLINED);
    is_int(ngx_http_tgbot_dedup_forget(&test_bot, &dead), NGX_DECLINED);

    /* nothing was changed */

    is_int(ngx_http_tgbot_dedup_holds(&test_bot, &claim), 1);
    is_int(seen_claim(&test_bot, 1000, &next), NGX_BUSY);
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &claim, 0, 0), NGX_OK);
    is_int(seen_claim(&test_bot, 1000, &next), NGX_OK);
    is_int(next.attempts, 1);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &next, NULL, NULL), NGX_OK);

    /* accept fails, too */

    is_int(test_accept(&dead, "application/json", "{}"), NGX_DECLINED);
    is_int(test_kept(1000, "", 0), NGX_DECLINED);
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &dead, 1, 1), NGX_DECLINED);
    is_int(seen_claim(&test_bot, 1000, &next), NGX_DECLINED);

    unit_slot_be(0);
    test_done();
}


static void
test_hung(void)
{
    ngx_http_tgbot_dedup_claim_t  taken, left, claim;

    test_setup();

    unit_slot_be(3);
    is_int(seen_claim(&test_bot, 1, &taken), NGX_OK);
    is_int(seen_claim(&test_bot, 2, &left), NGX_OK);

    unit_slot_hang(3, 1);
    unit_slot_be(4);

    is_int(test_state().leased, 0);
    is_int(seen_claim(&test_bot, 1, &claim), NGX_OK);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, NULL, NULL), NGX_OK);

    /* the hung process wakes up */

    unit_slot_be(3);
    unit_slot_hang(3, 0);

    is_int(ngx_http_tgbot_dedup_holds(&test_bot, &taken), 0);
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &taken, 1, 0),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &taken, NULL, NULL),
           NGX_DECLINED);

    is_int(seen_claim(&test_bot, 1, &claim), NGX_DECLINED);

    /* a lost claim may be claimed again by any process, also by this one */

    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &left, NULL, NULL),
           NGX_DECLINED);
    is_int(seen_claim(&test_bot, 2, &left), NGX_OK);

    unit_slot_be(0);
    test_done();
}


static void
test_hung_not_taken(void)
{
    ngx_http_tgbot_dedup_claim_t  claim;

    test_setup();

    unit_slot_be(3);
    is_int(seen_claim(&test_bot, 1, &claim), NGX_OK);

    unit_slot_hang(3, 1);
    unit_slot_hang(3, 0);

    is_int(ngx_http_tgbot_dedup_holds(&test_bot, &claim), 1);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, NULL, NULL), NGX_OK);
    is_int(seen_claim(&test_bot, 1, &claim), NGX_DECLINED);

    unit_slot_be(0);
    test_done();
}


static void
test_full(void)
{
    ngx_uint_t                    i, n;
    ngx_http_tgbot_dedup_claim_t  claim;

    static ngx_http_tgbot_dedup_claim_t  held[NGX_HTTP_TGBOT_DEDUP_RECORDS];

    test_setup();

    n = NGX_HTTP_TGBOT_DEDUP_RECORDS;

    for (i = 0; i < n; i++) {
        unit_slot_be(i % 2);
        is_int(seen_claim(&test_bot, i, &held[i]), NGX_OK);
        ngx_current_msec++;
    }

    unit_slot_be(0);

    is_int(test_state().records, n);
    is_int(test_state().leased, n);

    is_int(seen_claim(&test_bot, n, &claim), NGX_AGAIN);
    is_int(claim.lease.token, 0);
    is_int(test_zone->sh->evicted, 0);

    /* the oldest update without a lease is evicted, its count restarts */

    is_int(ngx_http_tgbot_dedup_release(&test_bot, &held[9], 1, 1), NGX_OK);
    ngx_current_msec++;
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &held[5], 1, 1), NGX_OK);

    is_int(seen_claim(&test_bot, n, &claim), NGX_OK);
    is_int(test_zone->sh->evicted, 1);
    is_int(ngx_http_tgbot_dedup_forget(&test_bot, &claim), NGX_OK);

    is_int(seen_claim(&test_bot, 5, &claim), NGX_OK);
    is_int(claim.attempts, 1);
    is_int(seen_claim(&test_bot, 9, &claim), NGX_OK);
    is_int(claim.attempts, 0);

    is_int(seen_claim(&test_bot, n, &claim), NGX_AGAIN);

    /* leases of a dead process; its death may be noticed a moment later */

    unit_slot_die(1);
    ngx_current_msec += 200;

    is_int(seen_claim(&test_bot, n, &claim), NGX_OK);
    is_int(seen_claim(&test_bot, 1, &claim), NGX_OK);
    is_int(test_state().records, n);

    for (i = 0; i < n; i += 2) {
        is_int(ngx_http_tgbot_dedup_holds(&test_bot, &held[i]), 1);
    }

    test_done();
}


/* lengths close to the sizes of blocks; the type is part of the call */

static void
test_rides(void)
{
    size_t                        len;
    int64_t                       id;
    ngx_str_t                     t, b;
    ngx_http_tgbot_dedup_claim_t  claim;
    ngx_http_tgbot_dedup_state_t  state;

    test_setup();

    id = 100;

    for (len = 1; len <= NGX_HTTP_TGBOT_DEDUP_RIDE + 3; len++) {

        if (len % 510 > 20 && len % 510 < 490) {
            continue;
        }

        unit_context("call of %lu bytes", (unsigned long) len);

        ngx_current_msec++;

        is_int(test_keep(id, "", len), NGX_OK);
        is_int(test_kept(id, "", len),
               len <= NGX_HTTP_TGBOT_DEDUP_RIDE ? NGX_OK : NGX_DECLINED);
        is_int(test_kept(id, "", len),
               len <= NGX_HTTP_TGBOT_DEDUP_RIDE ? NGX_OK : NGX_DECLINED);
        id++;

        if (len < 16) {
            continue;
        }

        is_int(test_keep(id, "application/json", len - 16), NGX_OK);
        is_int(test_kept(id, "application/json", len - 16),
               len <= NGX_HTTP_TGBOT_DEDUP_RIDE ? NGX_OK : NGX_DECLINED);
        id++;
    }

    unit_context("no call");

    is_int(test_keep(id, "", 0), NGX_OK);
    is_int(test_kept(id, "", 0), NGX_DECLINED);
    id++;

    /* lengths whose sum overflows */

    is_int(seen_claim(&test_bot, id, &claim), NGX_OK);
    t.data = (u_char *) test_body;
    t.len = 2;
    b.data = (u_char *) test_body;
    b.len = (size_t) -1;
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, &t, &b), NGX_OK);
    is_int(test_kept(id, "", 0), NGX_DECLINED);

    state = test_state();
    is_int(state.leased, 0);
    is_int(state.records, state.rides);
    ok(state.rides > 10);
    is_int(state.rides_evicted, test_zone->sh->evicted);

    test_done();
}


/* the call returned by a claim is valid until the next claim */

static void
test_rides_stay(void)
{
    ngx_str_t                     t, b;
    ngx_http_tgbot_dedup_claim_t  claim, other;

    test_setup();

    is_int(test_keep(23, "text/x", 600), NGX_OK);
    is_int(seen_claim(&test_bot, 2, &other), NGX_OK);

    is_int(ngx_http_tgbot_dedup_claim(&test_bot, 23, &claim, &t, &b),
           NGX_DECLINED);

    is_int(test_accept(&other, "text/other", "something else"), NGX_OK);

    is_str(&t, "text/x");
    is_int(b.len, 600);
    ok(ngx_memcmp(b.data, test_body, 600) == 0);

    test_done();
}


static void
test_rides_expire(void)
{
    int64_t                       id;
    ngx_http_tgbot_dedup_state_t  state;

    test_setup();

    for (id = 0; id < 100; id++) {
        is_int(test_keep(id, "a/b", 30), NGX_OK);
    }

    ngx_current_msec += NGX_HTTP_TGBOT_DEDUP_RIDE_TIME - 1;

    is_int(test_kept(50, "a/b", 30), NGX_OK);
    is_int(test_keep(200, "a/b", 30), NGX_OK);

    ngx_current_msec++;

    is_int(test_kept(50, "a/b", 30), NGX_DECLINED);
    is_int(test_kept(200, "a/b", 30), NGX_OK);

    state = test_state();
    is_int(state.rides, 1);

    /* calls expire with time, and expired calls do not count as evicted */

    for (id = 300; id < 400; id++) {
        is_int(test_keep(id, "a/b", 30), NGX_OK);
    }

    state = test_state();
    is_int(state.records, 101);
    is_int(state.rides, 101);
    is_int(state.rides_evicted, 0);

    for (id = 0; id < 100; id++) {
        is_int(test_kept(id, "a/b", 30), NGX_DECLINED);
    }

    test_done();
}


static void
test_rides_evicted(void)
{
    int64_t                       id;
    ngx_uint_t                    kept;
    ngx_http_tgbot_dedup_state_t  state;

    test_setup();

    for (id = 0; id < 1000; id++) {
        ngx_current_msec++;
        is_int(test_keep(id, "application/json", 4000), NGX_OK);
        is_int(test_kept(id, "application/json", 4000), NGX_OK);
    }

    state = test_state();
    kept = state.rides;

    /* the newest calls are kept, and no block is free */

    is_int(kept, NGX_HTTP_TGBOT_DEDUP_BLOCKS / 8);
    is_int(state.rides_evicted, 1000 - kept);

    for (id = 0; id < 1000; id++) {
        is_int(test_kept(id, "application/json", 4000),
               id >= (int64_t) (1000 - kept) ? NGX_OK : NGX_DECLINED);
    }

    /* a small call evicts only as much as it needs */

    is_int(test_keep(2000, "a", 1), NGX_OK);
    ok(test_state().rides >= kept);

    test_done();
}


/* records are taken from the oldest calls and released updates */

static void
test_full_of_rides(void)
{
    int64_t                       id;
    ngx_uint_t                    n;
    ngx_http_tgbot_dedup_claim_t  claim;
    ngx_http_tgbot_dedup_state_t  state;

    test_setup();

    n = NGX_HTTP_TGBOT_DEDUP_RECORDS;

    is_int(test_keep(0, "a", 1), NGX_OK);
    ngx_current_msec++;

    for (id = 1; id < (int64_t) n; id++) {
        is_int(seen_claim(&test_bot, id, &claim), NGX_OK);
        is_int(ngx_http_tgbot_dedup_release(&test_bot, &claim, 1, 0), NGX_OK);
        ngx_current_msec++;

        if (id == 2) {
            is_int(test_keep(5000, "a", 1), NGX_OK);
            ngx_current_msec++;
            id++;
        }
    }

    is_int(test_state().records, n);

    is_int(seen_claim(&test_bot, 5001, &claim), NGX_OK);
    is_int(test_state().rides_evicted, 1);
    is_int(test_kept(0, "a", 1), NGX_DECLINED);
    is_int(test_kept(5000, "a", 1), NGX_OK);

    is_int(seen_claim(&test_bot, 5002, &claim), NGX_OK);
    is_int(seen_claim(&test_bot, 5003, &claim), NGX_OK);
    is_int(test_state().rides_evicted, 1);

    is_int(seen_claim(&test_bot, 5004, &claim), NGX_OK);
    state = test_state();
    is_int(state.rides_evicted, 2);
    is_int(state.rides, 0);
    is_int(state.leased, 4);
    is_int(test_zone->sh->evicted, 4);

    test_done();
}


static void
test_rebased(void)
{
    int64_t                       id;
    ngx_http_tgbot_dedup_claim_t  claim, other;
    ngx_http_tgbot_dedup_state_t  state;

    test_setup();

    for (id = 870000000; id < 870000100; id++) {
        is_int(seen_claim(&test_bot, id, &claim), NGX_OK);
        is_int(claim.rebased, 0);
        is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, NULL, NULL),
               NGX_OK);
    }

    /* reported once for any number of deliveries */

    is_int(seen_claim(&test_bot, 9007199254740992LL, &claim), NGX_OK);
    is_int(claim.rebased, 1);
    is_int(seen_claim(&test_bot, 9007199254740992LL, &other), NGX_BUSY);
    is_int(other.rebased, 0);
    is_int(ngx_http_tgbot_dedup_release(&test_bot, &claim, 1, 0), NGX_OK);
    is_int(seen_claim(&test_bot, 9007199254740992LL, &claim), NGX_OK);
    is_int(claim.rebased, 0);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, NULL, NULL), NGX_OK);
    is_int(seen_claim(&test_bot, 9007199254740992LL, &claim), NGX_DECLINED);

    state = test_state();
    is_int(state.top[0], 870000099);
    is_int(state.top[1], 9007199254740992LL);

    for (id = 870000000; id < 870000100; id++) {
        is_int(seen_claim(&test_bot, id, &claim), NGX_DECLINED);
    }

    is_int(seen_claim(&test_bot, 870000100, &claim), NGX_OK);
    is_int(claim.rebased, 0);

    /* a claim alone does not move the window, only accept does */

    is_int(seen_claim(&test_bot, 870000000 + TEST_WINDOW, &other), NGX_OK);
    is_int(other.rebased, 0);
    is_int(seen_claim(&test_bot, 870000000, &claim), NGX_DECLINED);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &other, NULL, NULL), NGX_OK);
    is_int(seen_claim(&test_bot, 870000001, &claim), NGX_DECLINED);

    /* an id below the window is handled once while its record exists */

    is_int(seen_claim(&test_bot, 869990000, &claim), NGX_OK);
    is_int(claim.rebased, 1);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, NULL, NULL), NGX_OK);
    is_int(seen_claim(&test_bot, 869990000, &claim), NGX_DECLINED);
    is_int(seen_claim(&test_bot, 870000001, &claim), NGX_DECLINED);

    test_done();
}


/* accepted after its ring was reused for another numbering */

static void
test_ring_lost(void)
{
    int64_t                       id;
    ngx_http_tgbot_dedup_claim_t  first, claim;

    test_setup();

    is_int(seen_claim(&test_bot, 100, &first), NGX_OK);

    for (id = 1; id < 5; id++) {
        is_int(seen_new(&test_bot, id * 1000000), 1);
        is_int(seen_new(&test_bot, id * 1000000 + 1), 1);
    }

    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &first, NULL, NULL), NGX_OK);
    is_int(seen_claim(&test_bot, 100, &claim), NGX_DECLINED);
    is_int(seen_claim(&test_bot, 4000001, &claim), NGX_DECLINED);

    /* a call is repeated although the bit of its update is lost */

    is_int(test_keep(9000000, "a/b", 100), NGX_OK);

    for (id = 11; id < 15; id++) {
        is_int(seen_new(&test_bot, id * 1000000), 1);
        is_int(seen_new(&test_bot, id * 1000000 + 1), 1);
    }

    is_int(test_kept(9000000, "a/b", 100), NGX_OK);

    test_done();
}


static unit_case_t  test_cases[] = {
    { "claimed, in work, accepted, duplicate", test_once },
    { "released and claimed again", test_again },
    { "a process dies", test_died },
    { "a process hangs and wakes up", test_hung },
    { "a process hangs and nobody noticed", test_hung_not_taken },
    { "all records in work", test_full },
    { "calls are kept", test_rides },
    { "calls stay until the next claim", test_rides_stay },
    { "calls are kept for their time", test_rides_expire },
    { "calls go for others", test_rides_evicted },
    { "calls and updates to come again by age", test_full_of_rides },
    { "another numbering", test_rebased },
    { "a ring lost while an update is in work", test_ring_lost },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
