
/*
 * A worker is killed at each point of each operation, and so is the process
 * that then repairs the zone.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup.h"
#include "dedup.h"


#define TEST_WINDOW  4096
#define TEST_ID      870000000

/* slots of the process that is killed and of the one that lives */
#define TEST_VICTIM  1
#define TEST_OTHER   2


typedef struct {
    const char  *name;
    void       (*prepare)(void);
    void       (*run)(void);
    void       (*check)(void);
    ngx_uint_t   points;                 /* at least */
} test_scene_t;


static ngx_uint_t test_scene(const test_scene_t *scene, ngx_uint_t at,
    ngx_uint_t repair);
static void test_background(void);
static void test_background_known(void);
static void test_life_goes_on(void);
static void test_take(void);
static void test_settle(ngx_uint_t how);
static ngx_int_t test_look(size_t len);


static ngx_http_tgbot_dedup_t        test_bot;
static ngx_http_tgbot_zone_t        *test_zone;
static ngx_http_tgbot_dedup_claim_t  test_claim, test_held[32];
static u_char                        test_text[NGX_HTTP_TGBOT_DEDUP_RIDE];


/* updates that the victim does not touch: one of each state */

static void
test_background(void)
{
    ngx_str_t                     type, body;
    ngx_uint_t                    i;
    ngx_http_tgbot_dedup_claim_t  claim;

    unit_slot_be(TEST_OTHER);

    for (i = 0; i < 100; i++) {
        ok(seen_new(&test_bot, TEST_ID + i));
    }

    for (i = 0; i < 32; i++) {
        is_int(seen_claim(&test_bot, TEST_ID + 200 + i, &test_held[i]),
               NGX_OK);
        is_int(seen_claim(&test_bot, TEST_ID + 300 + i, &claim), NGX_OK);
        is_int(ngx_http_tgbot_dedup_release(&test_bot, &claim, 1, 1), NGX_OK);
    }

    seen_call(type, "a/b");
    ngx_memset(test_text, 'x', sizeof(test_text));
    body.data = test_text;
    body.len = 1000;

    is_int(seen_claim(&test_bot, TEST_ID + 400, &claim), NGX_OK);
    is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, &type, &body),
           NGX_OK);

    ngx_current_msec++;
    unit_slot_be(TEST_VICTIM);
}


static void
test_background_known(void)
{
    ngx_uint_t                    i, known, held;
    ngx_http_tgbot_dedup_claim_t  claim;

    known = 0;
    held = 0;

    for (i = 0; i < 100; i++) {
        known += seen_claim(&test_bot, TEST_ID + i, &claim) == NGX_DECLINED;
    }

    for (i = 0; i < 32; i++) {
        held += ngx_http_tgbot_dedup_holds(&test_bot, &test_held[i])
                && seen_claim(&test_bot, TEST_ID + 200 + i, &claim)
                   == NGX_BUSY;
    }

    is_int(known, 100);
    is_int(held, 32);
}


static void
test_life_goes_on(void)
{
    ngx_str_t                     type, body;
    ngx_uint_t                    i, fresh, again;
    ngx_http_tgbot_dedup_claim_t  claim;

    seen_call(type, "text/plain");
    body.data = test_text;
    body.len = NGX_HTTP_TGBOT_DEDUP_RIDE - type.len;

    fresh = 0;
    again = 0;

    for (i = 0; i < 100; i++) {
        ngx_current_msec++;

        fresh += seen_claim(&test_bot, TEST_ID + 1000 + i, &claim) == NGX_OK
                 && ngx_http_tgbot_dedup_accept(&test_bot, &claim, &type,
                                                &body) == NGX_OK;

        again += seen_claim(&test_bot, TEST_ID + 1000 + i, &claim)
                 == NGX_DECLINED;
    }

    is_int(fresh, 100);
    is_int(again, 100);
}


/* whether the point was reached */

static ngx_uint_t
test_scene(const test_scene_t *scene, ngx_uint_t at, ngx_uint_t repair)
{
    volatile ngx_uint_t  killed;

    killed = 0;

    test_bot = seen_bot("shop", 42, TEST_WINDOW);
    test_zone = seen_zone(&test_bot, 1);

    test_background();
    scene->prepare();

    unit_slot_be(TEST_VICTIM);

    if (setjmp(unit_zone_killed) == 0) {
        unit_zone_stop_at = at;
        scene->run();

    } else {
        killed = 1;
        unit_slot_die(TEST_VICTIM);
    }

    unit_slot_be(TEST_OTHER);

    if (setjmp(unit_zone_killed) == 0) {
        unit_zone_stop_at = killed ? repair : 0;
        ok(seen_walk(&test_bot));
    }

    unit_zone_stop_at = 0;

    ok(seen_walk(&test_bot));
    is_int(test_zone->rt->dirty, 0);

    test_background_known();
    scene->check();
    test_life_goes_on();
    ok(seen_walk(&test_bot));

    unit_zone_free(test_zone);

    return killed;
}


static void
test_nothing(void)
{
}


static void
test_take(void)
{
    (void) seen_claim(&test_bot, TEST_ID + 500, &test_claim);
}


static void
test_settle(ngx_uint_t how)
{
    ngx_str_t  type, body;

    seen_call(type, "c/d");
    ngx_memset(test_text, 'y', sizeof(test_text));
    body.data = test_text;
    body.len = NGX_HTTP_TGBOT_DEDUP_RIDE - type.len;

    switch (how) {
    case 0:
        (void) ngx_http_tgbot_dedup_accept(&test_bot, &test_claim, NULL, NULL);
        break;

    case 1:
        (void) ngx_http_tgbot_dedup_accept(&test_bot, &test_claim, &type,
                                           &body);
        break;

    case 2:
        (void) ngx_http_tgbot_dedup_release(&test_bot, &test_claim, 1, 1);
        break;

    default:
        (void) ngx_http_tgbot_dedup_forget(&test_bot, &test_claim);
    }
}


/* reads the state of an update, may claim it; a kept call must be whole */

static ngx_int_t
test_look(size_t len)
{
    size_t      i;
    ngx_int_t   rc;
    ngx_str_t   type, body;

    rc = ngx_http_tgbot_dedup_claim(&test_bot, TEST_ID + 500, &test_claim,
                                    &type, &body);

    if (rc == NGX_DECLINED && len) {
        is_int(type.len + body.len, len);

        for (i = 0; i < body.len; i++) {
            if (body.data[i] != 'y') {
                is_int(body.data[i], 'y');
                break;
            }
        }
    }

    return rc;
}


static void
test_prepare_idle(void)
{
    test_take();
    (void) ngx_http_tgbot_dedup_release(&test_bot, &test_claim, 1, 1);
}


/* its process died before */

static void
test_prepare_dead(void)
{
    unit_slot_be(3);
    test_prepare_idle();
    test_take();
    unit_slot_die(3);
}


static void
test_prepare_full(void)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_dedup_claim_t  claim;

    for (i = 0; test_zone->sh->evicted == 0; i++) {
        (void) seen_claim(&test_bot, TEST_ID - 20000 - i, &claim);
        (void) ngx_http_tgbot_dedup_release(&test_bot, &claim, 1, 0);
    }
}


/* all other records belong to a dead process */

static void
test_prepare_reap(void)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_dedup_claim_t  claim;

    unit_slot_be(3);

    for (i = 0;
         seen_claim(&test_bot, TEST_ID - 20000 - i, &claim) == NGX_OK;
         i++)
    {
        /* void */
    }

    unit_slot_die(3);
    ngx_current_msec += 1000;
}


static void
test_prepare_expired(void)
{
    ngx_uint_t                    i;
    ngx_str_t                     type, body;
    ngx_http_tgbot_dedup_claim_t  claim;

    seen_call(type, "a/b");
    seen_call(body, "some text");

    for (i = 0; i < 10; i++) {
        (void) seen_claim(&test_bot, TEST_ID + 600 + i, &claim);
        (void) ngx_http_tgbot_dedup_accept(&test_bot, &claim, &type, &body);
    }

    ngx_current_msec += NGX_HTTP_TGBOT_DEDUP_RIDE_TIME;
}


/* no blocks are left for another call */

static void
test_prepare_blocks(void)
{
    ngx_uint_t                    i;
    ngx_str_t                     type, body;
    ngx_http_tgbot_dedup_claim_t  claim;

    seen_call(type, "a/b");
    body.data = test_text;
    body.len = 1500;

    for (i = 0; test_zone->sh->evicted == 0; i++) {
        ngx_current_msec++;
        (void) seen_claim(&test_bot, TEST_ID + 600 + i, &claim);
        (void) ngx_http_tgbot_dedup_accept(&test_bot, &claim, &type, &body);
    }

    test_take();
}


static void
test_run_accept(void)
{
    test_settle(0);
}


static void
test_run_keep(void)
{
    test_settle(1);
}


static void
test_run_release(void)
{
    test_settle(2);
}


static void
test_run_forget(void)
{
    test_settle(3);
}


/* an id far away, and its effect on the rings */

static void
test_run_far(void)
{
    ngx_http_tgbot_dedup_claim_t  claim;

    (void) seen_claim(&test_bot, 5000, &claim);
    (void) ngx_http_tgbot_dedup_accept(&test_bot, &claim, NULL, NULL);
}


static void
test_run_state(void)
{
    ngx_http_tgbot_dedup_state_t  state;

    ngx_http_tgbot_dedup_state(&test_bot, &state);
}


static void
test_check_new(void)
{
    ngx_int_t  rc;

    rc = test_look(0);

    /* busy if the victim was not killed */

    ok(rc == NGX_OK || rc == NGX_BUSY);
    is_int(rc == NGX_OK ? test_claim.attempts : 0, 0);
}


static void
test_check_idle(void)
{
    ngx_int_t  rc;

    rc = test_look(0);

    ok(rc == NGX_OK || rc == NGX_BUSY);

    if (rc == NGX_OK) {
        is_int(test_claim.attempts, 1);
        is_int(test_claim.charged, 1);
    }
}


static void
test_check_accept(void)
{
    ngx_int_t  rc;

    rc = test_look(0);
    ok(rc == NGX_OK || rc == NGX_DECLINED);
}


static void
test_check_keep(void)
{
    ngx_int_t  rc;

    rc = test_look(NGX_HTTP_TGBOT_DEDUP_RIDE);
    ok(rc == NGX_OK || rc == NGX_DECLINED);
}


static void
test_check_release(void)
{
    is_int(test_look(0), NGX_OK);
    ok(test_claim.attempts < 2);
}


static void
test_check_forget(void)
{
    is_int(test_look(0), NGX_OK);
    is_int(test_claim.attempts, 0);
}


static void
test_check_far(void)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_dedup_claim_t  claim;

    rc = seen_claim(&test_bot, 5000, &claim);
    ok(rc == NGX_OK || rc == NGX_DECLINED);

    if (rc == NGX_OK) {
        is_int(ngx_http_tgbot_dedup_accept(&test_bot, &claim, NULL, NULL),
               NGX_OK);
    }

    is_int(seen_claim(&test_bot, 5000, &claim), NGX_DECLINED);
}


static void
test_check_state(void)
{
    ngx_http_tgbot_dedup_state_t  state;

    ngx_http_tgbot_dedup_state(&test_bot, &state);
    is_int(state.leased, 32);
}


static const test_scene_t  test_scenes[] = {
    { "claim", test_nothing, test_take, test_check_new, 4 },
    { "claim of one to come again", test_prepare_idle, test_take,
      test_check_idle, 3 },
    { "claim of a dead process' update", test_prepare_dead, test_take,
      test_check_idle, 3 },
    { "claim, all records in use", test_prepare_full, test_take,
      test_check_new, 5 },
    { "claim, all records of the dead", test_prepare_reap, test_take,
      test_check_new, 100 },
    { "claim, calls are expired", test_prepare_expired, test_take,
      test_check_new, 8 },
    { "accept", test_take, test_run_accept, test_check_accept, 4 },
    { "accept with a call", test_take, test_run_keep, test_check_keep, 13 },
    { "accept with a call, others go", test_prepare_blocks, test_run_keep,
      test_check_keep, 15 },
    { "release", test_take, test_run_release, test_check_release, 2 },
    { "forget", test_take, test_run_forget, test_check_forget, 1 },
    { "another numbering", test_nothing, test_run_far, test_check_far, 8 },
    { "status", test_prepare_reap, test_run_state, test_check_state, 100 },
};


static void
test_all(void)
{
    ngx_uint_t  i, at, repair, step;

    for (i = 0; i < unit_n(test_scenes); i++) {

        for (repair = 0; repair < 4; repair++) {

            step = 1;

            for (at = 1; /* void */ ; at += step) {
                unit_context("%s, killed at %d, repair at %d",
                             test_scenes[i].name, (int) at, (int) repair);

                if (!test_scene(&test_scenes[i], at, repair)) {
                    break;
                }

                /* of thousands of similar points only some are tried */

                step = (at > 30) ? 797 : 1;
            }

            ok(at > test_scenes[i].points);
        }
    }
}


static unit_case_t  test_cases[] = {
    { "killed at each point of each operation", test_all },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
