
/*
 * Records of calls with an Idempotency-Key: what becomes of each, who waits,
 * and that none is forgotten or sent twice whatever dies.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_idempotency.h"

#include "queue.h"
#include "unit.h"
#include "zones.h"


#define MINE     NGX_HTTP_TGBOT_IDEMPOTENCY_MINE
#define KEPT     NGX_HTTP_TGBOT_IDEMPOTENCY_KEPT
#define BUSY     NGX_HTTP_TGBOT_IDEMPOTENCY_BUSY
#define OTHER    NGX_HTTP_TGBOT_IDEMPOTENCY_OTHER
#define UNKNOWN  NGX_HTTP_TGBOT_IDEMPOTENCY_UNKNOWN
#define LARGE    NGX_HTTP_TGBOT_IDEMPOTENCY_LARGE
#define FULL     NGX_HTTP_TGBOT_IDEMPOTENCY_FULL

#define ANSWERED   NGX_HTTP_TGBOT_IDEMPOTENCY_ANSWERED
#define NO_EFFECT  NGX_HTTP_TGBOT_IDEMPOTENCY_NO_EFFECT
#define LEFT       NGX_HTTP_TGBOT_IDEMPOTENCY_LEFT

#define LIFE     NGX_HTTP_TGBOT_IDEMPOTENCY_LIFE
#define SIZE     NGX_HTTP_TGBOT_IDEMPOTENCY_SIZE

#define TEST_BOTS    2
#define TEST_KEYS    24
#define TEST_SLOTS   4
#define TEST_PAGE    4096

/* slots of the process that is killed and of the one that lives */
#define TEST_VICTIM  1
#define TEST_OTHER   2

/* the answer to a key that is given with this seed */
#define test_answer(seed, n)  ((ngx_str_t) { n, test_text + (seed) % 251 })


/* what becomes of a key, in the model */

typedef struct {
    ngx_uint_t                           state;    /* what a claim finds;
                                                      MINE: there is none */
    ngx_uint_t                           sent;     /* while it is BUSY */
    ngx_uint_t                           slot;
    ngx_uint_t                           print;
    ngx_uint_t                           seed;     /* of the answer */
    size_t                               len;
    ngx_msec_t                           since;
    uint32_t                             waiting;  /* bits of slots */
    ngx_http_tgbot_idempotency_call_t    call;
} test_record_t;


typedef struct {
    const char                          *name;
    ngx_uint_t                           op;
    ngx_http_tgbot_idempotency_end_e     end;
} test_verb_t;


static void test_start(size_t room);
static void test_end(void);
static void test_restart(ngx_http_tgbot_zone_found_e found);
static ngx_uint_t test_sound(void);
static ngx_http_tgbot_idempotency_call_t test_call(ngx_uint_t bot,
    ngx_uint_t key, ngx_uint_t print);
static ngx_uint_t test_claim(ngx_uint_t bot, ngx_uint_t key);
static ngx_http_tgbot_idempotency_call_t test_claimed(ngx_uint_t key,
    ngx_uint_t sent);
static ngx_http_tgbot_idempotency_call_t test_settled(ngx_uint_t key,
    ngx_http_tgbot_idempotency_end_e end, size_t len);
static ngx_uint_t test_keeps(ngx_uint_t key, size_t len);
static ngx_uint_t test_blocks(void);
static ngx_uint_t test_room(void);
static ngx_uint_t test_kill(test_verb_t *verb, ngx_uint_t at,
    ngx_uint_t repair);
static ngx_uint_t test_do(test_verb_t *verb,
    ngx_http_tgbot_idempotency_call_t *call);
static void test_model_step(test_record_t *model);
static void test_model_die(test_record_t *model, ngx_uint_t slot);
static void test_model_claim(test_record_t *model, ngx_uint_t key);
static void test_model_settle(test_record_t *model, ngx_uint_t key);
static void test_mixed(ngx_uint_t seed);
static ngx_uint_t test_random(ngx_uint_t n);


static ngx_http_tgbot_zone_user_t   test_users[TEST_BOTS];
static ngx_http_tgbot_zone_t       *test_zone;
static u_char                       test_text[SIZE + 1024];
static uint64_t                     test_state = 1;


static ngx_uint_t
test_random(ngx_uint_t n)
{
    test_state ^= test_state << 13;
    test_state ^= test_state >> 7;
    test_state ^= test_state << 17;

    return (test_state >> 16) % n;
}


static void
test_start(size_t room)
{
    void        *users[TEST_BOTS];
    ngx_uint_t   i;

    static const char  *names[] = { "shop", "news" };

    for (i = 0; i < sizeof(test_text); i++) {
        test_text[i] = (u_char) (i * 31 + i / 256 * 7);
    }

    ngx_memzero(test_users, sizeof(test_users));

    for (i = 0; i < TEST_BOTS; i++) {
        queue_string(test_users[i].bot, names[i]);
        test_users[i].bot_id = 42 + i;
        users[i] = &test_users[i];
    }

    for (i = 0; i < TEST_SLOTS; i++) {
        unit_slot_hang(i, 0);
    }

    unit_slot_be(TEST_OTHER);

    test_zone = unit_zone(&ngx_http_tgbot_idempotency_zone, room, users,
                          TEST_BOTS);

    for (i = 0; i < TEST_BOTS; i++) {
        test_users[i].zone = test_zone;
    }

    test_zone->sh->generation++;
}


static void
test_end(void)
{
    ok(test_sound());

    unit_zone_free(test_zone);
}


/* all processes end, and nginx starts with the zone as a file */

static void
test_restart(ngx_http_tgbot_zone_found_e found)
{
    ngx_uint_t  i;

    for (i = 0; i < TEST_SLOTS; i++) {
        unit_slot_die(i);
    }

    is_int(unit_zone_start(test_zone, found), NGX_OK);

    test_zone->sh->generation++;
}


/* whether all data in the zone is sound; repairs a dirty zone */

static ngx_uint_t
test_sound(void)
{
    uint32_t                            i, n, prev;
    ngx_uint_t                          items, sound, flight;
    ngx_http_tgbot_store_t              store;
    ngx_http_tgbot_idempotency_sh_t    *sh;
    ngx_http_tgbot_idempotency_item_t  *item;

    ngx_http_tgbot_idempotency_lock(test_zone, &store);

    sound = queue_walk_blocks(&store);

    sh = (ngx_http_tgbot_idempotency_sh_t *) store.tables;
    items = 0;
    flight = 0;

    /* each record is in the index once */

    for (i = 0; sound && i < store.sh->chain.total; i++) {

        for (n = sh->heads[i]; n != NGX_HTTP_TGBOT_LIST_NIL; n = item->chain) {

            if (n >= store.sh->chain.used || items++ >= store.sh->items) {
                sound = 0;
                break;
            }

            item = ngx_http_tgbot_store_item(&store, n);

            flight += (item->state <= NGX_HTTP_TGBOT_IDEMPOTENCY_SENT
                       && item->store.answer == NGX_HTTP_TGBOT_LIST_NIL);
        }
    }

    sound = sound && items == store.sh->items && flight == sh->flight.n;

    /* and, if it is in flight, in that list */

    prev = NGX_HTTP_TGBOT_LIST_NIL;

    for (n = sh->flight.first;
         sound && n != NGX_HTTP_TGBOT_LIST_NIL;
         n = item->link.next)
    {
        item = ngx_http_tgbot_store_item(&store, n);
        sound = (flight-- && item->link.prev == prev);
        prev = n;
    }

    /* which has room for its answers */

    sound = sound && flight == 0 && sh->flight.last == prev
            && ngx_http_tgbot_chain_room(&store.sh->chain)
               >= sh->flight.n * ngx_http_tgbot_chain_needs(SIZE);

    ngx_http_tgbot_zone_unlock(test_zone);

    return sound;
}


static ngx_http_tgbot_idempotency_call_t
test_call(ngx_uint_t bot, ngx_uint_t key, ngx_uint_t print)
{
    ngx_http_tgbot_idempotency_call_t  call;

    ngx_memzero(&call, sizeof(ngx_http_tgbot_idempotency_call_t));

    call.user = &test_users[bot];

    /* the first bytes are the hash: keys of one hash are not one key */

    call.key[0] = key % 4;
    call.key[15] = key / 4;
    call.print[15] = print;

    return call;
}


/* what a look-up finds; a record that it makes goes again */

static ngx_uint_t
test_claim(ngx_uint_t bot, ngx_uint_t key)
{
    ngx_str_t                           answer;
    ngx_uint_t                          rc;
    ngx_http_tgbot_idempotency_call_t   call;

    call = test_call(bot, key, 0);
    rc = ngx_http_tgbot_idempotency_claim(&call, &answer);

    is_int(call.lease.token != 0, rc == MINE);

    ngx_http_tgbot_idempotency_settle(&call, LEFT, NULL);

    return rc;
}


static ngx_http_tgbot_idempotency_call_t
test_claimed(ngx_uint_t key, ngx_uint_t sent)
{
    ngx_str_t                           answer;
    ngx_http_tgbot_idempotency_call_t   call;

    call = test_call(0, key, 0);
    is_int(ngx_http_tgbot_idempotency_claim(&call, &answer), MINE);

    if (sent) {
        is_int(ngx_http_tgbot_idempotency_sent(&call), NGX_OK);
    }

    return call;
}


/* an answer is the text of the key */

static ngx_http_tgbot_idempotency_call_t
test_settled(ngx_uint_t key, ngx_http_tgbot_idempotency_end_e end, size_t len)
{
    ngx_str_t                           answer;
    ngx_http_tgbot_idempotency_call_t   call;

    call = test_claimed(key, 1);
    answer = test_answer(key, len);

    ngx_http_tgbot_idempotency_settle(&call, end, &answer);
    is_int(call.lease.token, 0);

    return call;
}


static ngx_uint_t
test_keeps(ngx_uint_t key, size_t len)
{
    ngx_str_t                           answer, want;
    ngx_http_tgbot_idempotency_call_t   call;

    call = test_call(0, key, 0);
    want = test_answer(key, len);

    return is_int(ngx_http_tgbot_idempotency_claim(&call, &answer), KEPT)
           && is_same(&answer, &want);
}


static ngx_uint_t
test_blocks(void)
{
    ngx_http_tgbot_store_t  store;

    ngx_http_tgbot_store_open(&store, test_zone);

    return store.sh->chain.total;
}


static ngx_uint_t
test_room(void)
{
    ngx_http_tgbot_store_t  store;

    ngx_http_tgbot_store_open(&store, test_zone);

    return ngx_http_tgbot_chain_room(&store.sh->chain);
}


static void
test_one(void)
{
    ngx_str_t                           answer;
    ngx_http_tgbot_idempotency_call_t   call, other;

    test_start(256 * 1024);

    call = test_claimed(1, 0);
    ok(call.lease.token != 0);

    /* the same key of another bot, and another key, are other calls */

    is_int(test_claim(1, 1), MINE);
    is_int(test_claim(0, 2), MINE);
    is_int(test_claim(0, 5), MINE);

    is_int(test_claim(0, 1), BUSY);

    is_int(ngx_http_tgbot_idempotency_sent(&call), NGX_OK);
    is_int(ngx_http_tgbot_idempotency_sent(&call), NGX_OK);
    is_int(test_claim(0, 1), BUSY);

    /* another body under the key, before and after there is an answer */

    other = test_call(0, 1, 7);
    is_int(ngx_http_tgbot_idempotency_claim(&other, &answer), OTHER);

    answer = test_answer(1, 600);
    ngx_http_tgbot_idempotency_settle(&call, ANSWERED, &answer);
    is_int(call.lease.token, 0);

    ok(test_keeps(1, 600));
    ok(test_keeps(1, 600));
    is_int(ngx_http_tgbot_idempotency_claim(&other, &answer), OTHER);

    /* it cannot be settled twice */

    ngx_http_tgbot_idempotency_settle(&call, NO_EFFECT, NULL);
    is_int(ngx_http_tgbot_idempotency_sent(&call), NGX_DECLINED);
    ok(test_keeps(1, 600));

    test_end();
}


static void
test_ends(void)
{
    ngx_http_tgbot_idempotency_call_t  call;

    test_start(256 * 1024);

    (void) test_settled(1, ANSWERED, SIZE);
    ok(test_keeps(1, SIZE));

    (void) test_settled(2, ANSWERED, 0);
    ok(test_keeps(2, 0));

    (void) test_settled(3, ANSWERED, SIZE + 1);
    is_int(test_claim(0, 3), LARGE);

    (void) test_settled(4, NO_EFFECT, 0);
    is_int(test_claim(0, 4), MINE);

    (void) test_settled(5, LEFT, 0);
    is_int(test_claim(0, 5), UNKNOWN);

    call = test_claimed(6, 0);
    ngx_http_tgbot_idempotency_settle(&call, LEFT, NULL);
    is_int(test_claim(0, 6), MINE);

    test_end();
}


/* the workers whose calls wait are named once, to the one that ends a call */

static void
test_waits(void)
{
    ngx_http_tgbot_idempotency_call_t   call;
    ngx_http_tgbot_idempotency_slots_t  slots;

    test_start(256 * 1024);

    call = test_claimed(1, 1);

    unit_slot_be(3);
    is_int(test_claim(0, 1), BUSY);
    is_int(test_claim(0, 1), BUSY);
    unit_slot_be(0);
    is_int(test_claim(0, 1), BUSY);
    unit_slot_be(TEST_OTHER);

    ngx_http_tgbot_idempotency_settle(&call, NO_EFFECT, NULL);
    is_int(call.waiting.bits[0], 1 << 3 | 1);

    call = test_settled(1, ANSWERED, 100);
    is_int(call.waiting.bits[0], 0);

    /* a worker that starts names those who wait for dead ones */

    unit_slot_be(TEST_VICTIM);
    (void) test_claimed(2, 0);
    (void) test_claimed(3, 1);
    unit_slot_be(3);
    (void) test_claimed(4, 1);
    is_int(test_claim(0, 2), BUSY);
    unit_slot_be(0);
    is_int(test_claim(0, 3), BUSY);
    unit_slot_be(TEST_OTHER);
    is_int(test_claim(0, 4), BUSY);
    unit_slot_die(TEST_VICTIM);

    ngx_http_tgbot_idempotency_reap(test_zone, &slots);
    is_int(slots.bits[0], 1 << 3 | 1);

    is_int(test_claim(0, 2), MINE);
    is_int(test_claim(0, 3), UNKNOWN);
    is_int(test_claim(0, 4), BUSY);

    ngx_http_tgbot_idempotency_reap(test_zone, &slots);
    is_int(slots.bits[0], 0);

    /* and so does a call that finds the dead one by itself */

    unit_slot_die(3);
    call = test_call(0, 4, 0);
    is_int(ngx_http_tgbot_idempotency_claim(&call, NULL), UNKNOWN);
    is_int(call.waiting.bits[0], 1 << TEST_OTHER);

    test_end();
}


static void
test_dead(void)
{
    ngx_str_t                          answer;
    ngx_http_tgbot_idempotency_call_t  one, two, other;

    test_start(256 * 1024);

    /* another body is another call, if the first was never sent */

    unit_slot_be(TEST_VICTIM);
    (void) test_claimed(1, 0);
    (void) test_claimed(2, 1);
    unit_slot_die(TEST_VICTIM);
    unit_slot_be(TEST_OTHER);

    other = test_call(0, 1, 7);
    is_int(ngx_http_tgbot_idempotency_claim(&other, &answer), MINE);
    ngx_http_tgbot_idempotency_settle(&other, NO_EFFECT, NULL);

    other = test_call(0, 2, 7);
    is_int(ngx_http_tgbot_idempotency_claim(&other, &answer), OTHER);
    is_int(test_claim(0, 2), UNKNOWN);

    /* a process that hangs, and wakes up: it must not send */

    unit_slot_be(TEST_VICTIM);
    one = test_claimed(3, 0);
    two = test_claimed(4, 1);
    unit_slot_hang(TEST_VICTIM, 1);
    unit_slot_be(TEST_OTHER);

    other = test_claimed(3, 0);
    is_int(test_claim(0, 4), UNKNOWN);

    unit_slot_hang(TEST_VICTIM, 0);
    is_int(ngx_http_tgbot_idempotency_sent(&one), NGX_DECLINED);
    ngx_http_tgbot_idempotency_settle(&one, NO_EFFECT, NULL);
    is_int(ngx_http_tgbot_idempotency_sent(&other), NGX_OK);
    ngx_http_tgbot_idempotency_settle(&other, LEFT, NULL);
    is_int(test_claim(0, 3), UNKNOWN);

    /* what it did send is known after all */

    is_int(ngx_http_tgbot_idempotency_sent(&two), NGX_OK);
    answer = test_answer(4, 700);
    ngx_http_tgbot_idempotency_settle(&two, ANSWERED, &answer);
    ok(test_keeps(4, 700));

    test_end();
}


static void
test_expiry(void)
{
    ngx_uint_t                         i, room;
    ngx_http_tgbot_idempotency_call_t  call;

    test_start(256 * 1024);

    room = test_room();

    (void) test_settled(1, ANSWERED, 100);
    (void) test_settled(2, LEFT, 0);
    ngx_current_msec += LIFE - 1;
    ok(test_keeps(1, 100));
    is_int(test_claim(0, 2), UNKNOWN);
    ngx_current_msec++;
    is_int(test_claim(0, 1), MINE);
    is_int(test_claim(0, 2), MINE);
    is_int(test_room(), room);

    /* a call in flight is no record that expires, and neither a new one */

    call = test_claimed(3, 1);
    ngx_current_msec += 2 * LIFE;
    is_int(test_claim(0, 3), BUSY);
    ngx_http_tgbot_idempotency_settle(&call, NO_EFFECT, NULL);

    /* "received" of another worker is later than our time */

    ngx_current_msec += 5000;
    (void) test_settled(3, ANSWERED, 10);
    ngx_current_msec -= 5000;
    ok(test_keeps(3, 10));
    is_int(test_claim(0, 7), MINE);
    ok(test_keeps(3, 10));

    /* a claim removes few, and all that are expired if room is short */

    for (i = 10; i < 20; i++) {
        (void) test_settled(i, ANSWERED, SIZE);
    }

    ngx_current_msec += LIFE + 5000;
    room = test_room();
    is_int(test_claim(0, 30), MINE);
    ok(test_room() > room);
    ok(test_room() < room + 3 * ngx_http_tgbot_chain_needs(SIZE));

    for (i = 40; i < 50; i++) {
        (void) test_claimed(i, 1);
    }

    test_end();
}


/* a full zone refuses calls, and has room for the answers of those it took */

static void
test_full(void)
{
    ngx_str_t                          answer;
    ngx_uint_t                         i, n, rc;
    ngx_http_tgbot_idempotency_call_t  calls[200];

    test_start(512 * 1024);

    for (n = 0; n < 200; n++) {
        calls[n] = test_call(n % 2, n, 0);

        rc = ngx_http_tgbot_idempotency_claim(&calls[n], &answer);
        if (rc != MINE) {
            break;
        }
    }

    is_int(rc, FULL);
    is_int(calls[n].lease.token, 0);
    is_int(n, test_blocks() / (ngx_http_tgbot_chain_needs(SIZE) + 1));
    ok(test_sound());

    /* a key that is known is looked up all the same */

    is_int(test_claim(0, 0), BUSY);

    for (i = 0; i < n; i++) {
        is_int(ngx_http_tgbot_idempotency_sent(&calls[i]), NGX_OK);
        answer = test_answer(i, SIZE);
        ngx_http_tgbot_idempotency_settle(&calls[i], ANSWERED, &answer);
    }

    for (i = 0; i < n; i += 2) {
        ok(test_keeps(i, SIZE));
        is_int(test_claim(1, i + 1), (i + 1 < n) ? KEPT : FULL);
    }

    is_int(test_claim(0, 250), FULL);
    is_int(test_zone->sh->evicted, 0);

    ngx_current_msec += LIFE;
    is_int(test_claim(0, 250), MINE);

    /* dead ones hold no room once they are found */

    unit_slot_be(TEST_VICTIM);

    for (i = 0; i < n; i++) {
        (void) test_claimed(i, 1);
    }

    unit_slot_die(TEST_VICTIM);
    unit_slot_be(TEST_OTHER);
    is_int(test_claim(0, 250), FULL);
    ngx_http_tgbot_idempotency_reap(test_zone, &calls[0].waiting);
    is_int(test_claim(0, 250), MINE);

    test_end();
}


static void
test_started(void)
{
    ngx_uint_t              i, key;
    ngx_http_tgbot_zone_t  *old;

    static const ngx_http_tgbot_zone_found_e  found[] = {
        NGX_HTTP_TGBOT_ZONE_KEPT, NGX_HTTP_TGBOT_ZONE_DIRTY,
        NGX_HTTP_TGBOT_ZONE_TORN
    };

    for (i = 0; i < unit_n(found); i++) {
        unit_context("start %d", (int) i);

        test_start(256 * 1024);

        (void) test_settled(1, ANSWERED, 5000);
        (void) test_settled(2, LEFT, 0);
        (void) test_settled(3, ANSWERED, SIZE + 1);
        (void) test_claimed(4, 1);
        (void) test_claimed(5, 0);

        test_restart(found[i]);
        ok(test_sound());

        ok(test_keeps(1, 5000));
        is_int(test_claim(0, 2), UNKNOWN);
        is_int(test_claim(0, 3), LARGE);
        is_int(test_claim(0, 4), UNKNOWN);

        /* after a crash, a record may be older than what was sent */

        is_int(test_claim(0, 5),
               (found[i] == NGX_HTTP_TGBOT_ZONE_TORN) ? UNKNOWN : MINE);

        /* another size, which is larger, and too small */

        old = test_zone;
        test_start(512 * 1024);
        is_int(test_zone->kind->copy(test_zone, old), NGX_OK);
        test_restart(NGX_HTTP_TGBOT_ZONE_KEPT);

        ok(test_keeps(1, 5000));
        is_int(test_claim(0, 2), UNKNOWN);
        is_int(test_claim(0, 3), LARGE);
        is_int(test_claim(0, 4), UNKNOWN);

        for (key = 100; key < 104; key++) {
            (void) test_settled(key, ANSWERED, SIZE);
        }

        unit_zone_free(old);
        old = test_zone;
        test_start(64 * 1024);
        is_int(test_zone->kind->copy(test_zone, old), NGX_ERROR);
        unit_zone_free(old);

        test_end();
    }

    unit_context("%s", "");
}


/* killed at any point, also of the repair: nothing is sent twice */

static void
test_killed(void)
{
    ngx_uint_t  i, at, repair, points;

    static test_verb_t  verbs[] = {
        { "claim", 0, 0 },
        { "sent", 1, 0 },
        { "answered", 2, ANSWERED },
        { "no effect", 2, NO_EFFECT },
        { "left", 2, LEFT },
        { "expired", 3, 0 },
        { "reap", 4, 0 }
    };

    points = 0;

    for (i = 0; i < unit_n(verbs); i++) {
        for (repair = 0; repair < 12; repair++) {
            for (at = 1; test_kill(&verbs[i], at, repair); at++) {
                points++;
            }
        }
    }

    unit_context("%s", "");

    ok(points > 12 * 30);
}


static ngx_uint_t
test_kill(test_verb_t *verb, ngx_uint_t at, ngx_uint_t repair)
{
    ngx_uint_t                         killed, rc, again;
    ngx_http_tgbot_idempotency_call_t  call;

    unit_context("%s, point %d, repair %d", verb->name, (int) at,
                 (int) repair);

    test_start(256 * 1024);

    (void) test_settled(1, ANSWERED, 3000);
    (void) test_settled(2, LEFT, 0);
    (void) test_claimed(3, 1);

    unit_slot_be(TEST_VICTIM);

    call = test_call(0, 4, 0);

    if (verb->op == 1 || verb->op == 2) {
        call = test_claimed(4, verb->op == 2);
    }

    unit_zone_stop_at = at;
    killed = test_do(verb, &call);
    unit_zone_stop_at = 0;

    unit_slot_die(TEST_VICTIM);
    unit_slot_be(TEST_OTHER);

    unit_zone_stop_at = killed ? repair : 0;

    if (setjmp(unit_zone_killed) == 0) {
        ok(test_sound());
    }

    unit_zone_stop_at = 0;

    ok(test_sound());

    if (verb->op != 3) {
        ok(test_keeps(1, 3000));
        is_int(test_claim(0, 2), UNKNOWN);
    }

    is_int(test_claim(0, 3), BUSY);

    rc = test_claim(0, 4);
    again = test_claim(0, 4);
    is_int(rc, again);

    switch (verb->op) {

    case 0:
    case 3:
    case 4:
        is_int(rc, MINE);
        break;

    case 1:
        ok(rc == UNKNOWN || (killed && rc == MINE));
        break;

    default:
        ok((killed && rc == UNKNOWN)
           || rc == (ngx_uint_t) ((verb->end == ANSWERED) ? KEPT
                          : (verb->end == NO_EFFECT) ? MINE : UNKNOWN));
    }

    if (rc == KEPT) {
        ok(test_keeps(4, 3000));
    }

    test_end();

    return killed;
}


/* returns whether the process was killed */

static ngx_uint_t
test_do(test_verb_t *verb, ngx_http_tgbot_idempotency_call_t *call)
{
    ngx_str_t                           answer;
    ngx_http_tgbot_idempotency_slots_t  slots;

    if (setjmp(unit_zone_killed) != 0) {
        return 1;
    }

    switch (verb->op) {

    case 3:
        ngx_current_msec += LIFE;

        /* fall through */

    case 0:
        is_int(ngx_http_tgbot_idempotency_claim(call, &answer), MINE);
        break;

    case 1:
        is_int(ngx_http_tgbot_idempotency_sent(call), NGX_OK);
        break;

    case 2:
        answer = test_answer(4, 3000);
        ngx_http_tgbot_idempotency_settle(call, verb->end, &answer);
        break;

    case 4:
        is_int(ngx_http_tgbot_idempotency_claim(call, &answer), MINE);
        unit_slot_die(TEST_VICTIM);
        ngx_http_tgbot_idempotency_reap(test_zone, &slots);
    }

    return 0;
}


/* a step of a process, which may die in the middle */

static void
test_anything(void)
{
    ngx_uint_t            i;

    static test_record_t  model[TEST_KEYS];

    test_start(1024 * 1024);
    ngx_memzero(model, sizeof(model));

    for (i = 0; i < 40000; i++) {
        unit_context("step %d", (int) i);

        test_model_step(model);

        if (i % 16 == 0 && !ok(test_sound())) {
            break;
        }
    }

    unit_context("%s", "");

    test_end();
}


static void
test_model_step(test_record_t *model)
{
    ngx_uint_t      key, slot;
    test_record_t  *r;

    key = test_random(TEST_KEYS);
    slot = test_random(TEST_SLOTS);
    r = &model[key];

    unit_slot_be(slot);

    switch (test_random(64)) {

    case 0:
        test_model_die(model, slot);
        return;

    case 1:
        unit_zone_dirty(test_zone);
        return;

    case 2:
        ngx_current_msec += test_random(LIFE / 4);
        return;

    case 3:
        for (slot = 0; slot < TEST_SLOTS; slot++) {
            test_model_die(model, slot);
        }

        test_restart(NGX_HTTP_TGBOT_ZONE_KEPT);
        return;
    }

    if (r->state == BUSY && test_random(3) == 0) {
        unit_slot_be(r->slot);

        if (!r->sent && test_random(2)) {
            is_int(ngx_http_tgbot_idempotency_sent(&r->call), NGX_OK);
            r->sent = 1;
            return;
        }

        test_model_settle(model, key);
        return;
    }

    test_model_claim(model, key);
}


static void
test_model_die(test_record_t *model, ngx_uint_t slot)
{
    ngx_uint_t      i;
    test_record_t  *r;

    unit_slot_die(slot);

    for (i = 0; i < TEST_KEYS; i++) {
        r = &model[i];

        if (r->state == BUSY && r->slot == slot) {
            r->state = r->sent ? UNKNOWN : MINE;
            r->waiting = 0;
        }
    }
}


static void
test_model_claim(test_record_t *model, ngx_uint_t key)
{
    ngx_str_t                           answer, want;
    ngx_uint_t                          print, state;
    test_record_t                      *r;
    ngx_http_tgbot_idempotency_call_t   call;

    r = &model[key];
    print = test_random(8) ? 0 : 1;

    if (r->state != BUSY && ngx_current_msec - r->since >= LIFE) {
        r->state = MINE;
    }

    state = r->state;

    if (state != MINE && r->print != print) {
        state = OTHER;
    }

    call = test_call(key % 2, key, print);
    is_int(ngx_http_tgbot_idempotency_claim(&call, &answer), state);

    switch (state) {

    case MINE:
        r->state = BUSY;
        r->sent = 0;
        r->slot = ngx_http_tgbot_lease_slot();
        r->print = print;
        r->since = ngx_current_msec;
        r->waiting = 0;
        r->call = call;
        break;

    case KEPT:
        want = test_answer(r->seed, r->len);
        is_same(&answer, &want);
        break;

    case BUSY:
        r->waiting |= 1 << ngx_http_tgbot_lease_slot();
        break;
    }
}


static void
test_model_settle(test_record_t *model, ngx_uint_t key)
{
    ngx_str_t                          answer;
    test_record_t                     *r;
    ngx_http_tgbot_idempotency_end_e   end;

    r = &model[key];

    end = r->sent ? test_random(3) : NO_EFFECT + test_random(2);

    r->seed = test_random(251);
    r->len = test_random(2) ? test_random(SIZE + 400) : test_random(900);

    answer = test_answer(r->seed, r->len);

    ngx_http_tgbot_idempotency_settle(&r->call, end, &answer);

    is_int(r->call.waiting.bits[0], r->waiting);

    if (end == ANSWERED) {
        r->state = (r->len > SIZE) ? LARGE : KEPT;

    } else {
        r->state = (end == LEFT && r->sent) ? UNKNOWN : MINE;
    }
}


/* after a crash each page is of one moment or another */

static void
test_torn(void)
{
    ngx_uint_t  seed;

    for (seed = 1; seed <= 200; seed++) {
        unit_context("seed %d", (int) seed);
        test_mixed(seed);
    }

    unit_context("%s", "");
}


static void
test_mixed(ngx_uint_t seed)
{
    size_t          size, n;
    u_char         *memory, *one;
    ngx_str_t       answer, want;
    ngx_uint_t      i, rc, before[TEST_KEYS];

    static test_record_t               model[TEST_KEYS];
    ngx_http_tgbot_idempotency_call_t  call;

    test_state = seed * 7919;

    test_start(512 * 1024);
    ngx_memzero(model, sizeof(model));

    size = test_zone->sh->size;
    memory = (u_char *) test_zone->sh;
    one = ngx_alloc(size, ngx_cycle->log);

    for (i = 0; i < 200; i++) {
        test_model_claim(model, test_random(TEST_KEYS));
        i += test_random(3);

        rc = test_random(TEST_KEYS);

        if (model[rc].state == BUSY) {
            is_int(ngx_http_tgbot_idempotency_sent(&model[rc].call), NGX_OK);
            model[rc].sent = 1;
            test_model_settle(model, rc);
        }

        if (i < 100) {
            ngx_memcpy(one, memory, size);

            for (rc = 0; rc < TEST_KEYS; rc++) {
                before[rc] = model[rc].state;
            }
        }
    }

    for (n = 0; n < size; n += TEST_PAGE) {

        if (test_random(2)) {
            ngx_memcpy(memory + n, one + n, ngx_min(TEST_PAGE, size - n));
        }
    }

    ngx_free(one);

    test_restart(NGX_HTTP_TGBOT_ZONE_TORN);
    ok(test_sound());

    for (i = 0; i < TEST_KEYS; i++) {
        call = test_call(i % 2, i, model[i].print);
        rc = ngx_http_tgbot_idempotency_claim(&call, &answer);

        /* what was settled at both moments stays so */

        if (before[i] == model[i].state && before[i] == KEPT) {
            ok(rc == KEPT || rc == UNKNOWN);
        }

        if (before[i] == model[i].state && before[i] == UNKNOWN) {
            is_int(rc, UNKNOWN);
        }

        if (rc == KEPT && model[i].state == KEPT) {
            want = test_answer(model[i].seed, model[i].len);
            is_same(&answer, &want);
        }
    }

    test_end();
}


static unit_case_t  test_cases[] = {
    { "one call, and calls of its key", test_one },
    { "how a call may end", test_ends },
    { "who waits is named", test_waits },
    { "processes that die or hang", test_dead },
    { "a day later", test_expiry },
    { "a full zone forgets nothing", test_full },
    { "after a start, and in another size", test_started },
    { "killed at any point", test_killed },
    { "anything at random, against a model", test_anything },
    { "torn by a crash of the machine", test_torn },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
