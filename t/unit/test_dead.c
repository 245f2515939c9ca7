
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_store.h"

#include "queue.h"
#include "unit.h"
#include "zones.h"


#define TEST_BOTS  3

/* letters of a bot in the model */
#define TEST_MANY  512

/* slots of the process that is killed and of the one that lives */
#define TEST_VICTIM  1
#define TEST_OTHER   2

#define dead_next(zone, cursor, letter, pool)                                \
    ngx_http_tgbot_store_walk(zone, &ngx_http_tgbot_dead_layout, cursor,     \
                              letter, pool)

#define dead_enter(dead)                                                     \
    ngx_http_tgbot_store_enter(dead, &ngx_http_tgbot_dead_layout)


/* the model of a letter; update_id determines its bytes */

typedef struct {
    uint64_t                 id;
    int64_t                  update_id;
    size_t                   data;
    size_t                   answer;
    ngx_uint_t               answered;
    ngx_uint_t               blocks;
} test_letter_t;


typedef struct {
    test_letter_t            letter[TEST_MANY];
    ngx_uint_t               n;
    ngx_uint_t               max;
} test_model_t;


static void test_start(size_t room);
static void test_configure(ngx_http_tgbot_dead_t *bots, ngx_uint_t n);
static void test_end(void);
static ngx_uint_t test_walk(void);
static ngx_http_tgbot_letter_t test_letter(int64_t id, size_t data,
    ngx_int_t answer);
static ngx_uint_t test_put(ngx_uint_t bot, int64_t id, size_t data,
    ngx_int_t answer);
static ngx_uint_t test_is_text(u_char *p, size_t len, ngx_uint_t seed);
static ngx_uint_t test_is(ngx_uint_t bot, const char *ids);
static ngx_uint_t test_holds(ngx_uint_t bot, test_letter_t *letter);
static ngx_uint_t test_blocks(void);
static ngx_uint_t test_kill(ngx_uint_t at, ngx_uint_t repair,
    ngx_uint_t drop);
static ngx_uint_t test_replace(ngx_uint_t at, ngx_uint_t repair);
static ngx_uint_t test_model_evicts(test_model_t *model, ngx_uint_t bot,
    ngx_uint_t needs);
static ngx_uint_t test_model_same(test_model_t *model);
static ngx_uint_t test_dies(ngx_uint_t bot, ngx_http_tgbot_letter_t *letter,
    ngx_uint_t *evicted, uint64_t id);


static ngx_http_tgbot_dead_t   test_bots[TEST_BOTS];
static ngx_http_tgbot_zone_t  *test_zone, *test_old[8];
static ngx_uint_t              test_nold;
static u_char                  test_text[1024 * 1024 + 256];


static void
test_start(size_t room)
{
    void        *users[TEST_BOTS];
    ngx_uint_t   i;

    static const char  *name[] = { "shop", "news", "shop" };

    for (i = 0; i < sizeof(test_text); i++) {
        test_text[i] = (u_char) (i * 31 + i / 256 * 7);
    }

    /* the last one has the name of the first, and another token */

    for (i = 0; i < TEST_BOTS; i++) {
        ngx_memzero(&test_bots[i], sizeof(ngx_http_tgbot_dead_t));
        queue_string(test_bots[i].bot, name[i]);
        test_bots[i].bot_id = 42 + i;
        test_bots[i].max = 1000;
        users[i] = &test_bots[i];
    }

    unit_slot_be(TEST_OTHER);

    test_zone = unit_zone(&ngx_http_tgbot_dead_zone, room, users, TEST_BOTS);
    test_nold = 0;

    for (i = 0; i < TEST_BOTS; i++) {
        test_bots[i].zone = test_zone;
    }

    test_zone->sh->generation++;
}


/* the last steps of a reload */

static void
test_configure(ngx_http_tgbot_dead_t *bots, ngx_uint_t n)
{
    void        *users[TEST_BOTS];
    ngx_uint_t   i;

    for (i = 0; i < n; i++) {
        users[i] = &bots[i];
    }

    test_old[test_nold++] = test_zone;
    test_zone = unit_zone_adopt(test_zone, users, n);

    ok(test_zone != NULL);

    for (i = 0; i < n; i++) {
        bots[i].zone = test_zone;
    }

    test_zone->sh->generation++;
}


static void
test_end(void)
{
    ok(test_walk());

    unit_zone_free(test_zone);

    while (test_nold) {
        unit_zone_free(test_old[--test_nold]);
    }
}


/* whether all data in the zone is sound; repairs a dirty zone */

static ngx_uint_t
test_walk(void)
{
    uint32_t                     n, *heads;
    ngx_uint_t                   i, sound, items;
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_dead_lock(test_zone, &store);

    sound = queue_walk_blocks(&store);

    /* each letter is in the index once */

    heads = (uint32_t *) store.tables;
    items = 0;

    for (i = 0; sound && i < store.sh->chain.total; i++) {

        for (n = heads[i]; n != NGX_HTTP_TGBOT_LIST_NIL; n = item->chain) {

            if (n >= store.sh->chain.used || items++ >= store.sh->items
                || store.chain.blocks[n].mark != NGX_HTTP_TGBOT_STORE_HEAD)
            {
                sound = 0;
                break;
            }

            item = ngx_http_tgbot_store_item(&store, n);

            if (item->store.seq % store.sh->chain.total != i) {
                sound = 0;
                break;
            }
        }
    }

    sound = sound && items == store.sh->items;

    ngx_http_tgbot_zone_unlock(test_zone);

    return sound;
}


/* a letter with the text of this seed; answer -1: none */

static ngx_http_tgbot_letter_t
test_letter(int64_t id, size_t data, ngx_int_t answer)
{
    ngx_http_tgbot_letter_t  letter;

    ngx_memzero(&letter, sizeof(ngx_http_tgbot_letter_t));

    letter.item.head.update_id = id;
    letter.item.head.lane = id * 3;
    letter.end.cause = id % NGX_HTTP_TGBOT_DEAD_CAUSES;
    letter.end.status = 500;
    letter.item.progress.attempts = 10;
    letter.end.first = 1600000000 + id;
    letter.end.last = 1700000000 + id;
    letter.item.progress.next = 2;

    letter.item.data.data = test_text + id % 251;
    letter.item.data.len = data;

    if (answer >= 0) {
        letter.item.answered = 1;
        letter.item.answer.data = test_text + id % 241;
        letter.item.answer.len = answer;
    }

    return letter;
}


/* returns the number of letters evicted for it */

static ngx_uint_t
test_put(ngx_uint_t bot, int64_t id, size_t data, ngx_int_t answer)
{
    ngx_uint_t               evicted;
    ngx_http_tgbot_letter_t  letter;

    letter = test_letter(id, data, answer);

    is_int(ngx_http_tgbot_dead_put(&test_bots[bot], &letter, &evicted),
           NGX_OK);
    ok(letter.id != 0);

    return evicted;
}


static ngx_uint_t
test_is_text(u_char *p, size_t len, ngx_uint_t seed)
{
    return ngx_memcmp(p, test_text + seed, len) == 0;
}


/* whether the bot's letters have these update_ids, "1 2 3" */

static ngx_uint_t
test_is(ngx_uint_t bot, const char *ids)
{
    u_char                    buf[1024], *p;
    ngx_str_t                 got;
    ngx_uint_t                i, n;
    ngx_http_tgbot_letter_t   letters[TEST_MANY];

    n = ngx_http_tgbot_dead_list(&test_bots[bot], 0, letters, TEST_MANY);
    p = buf;

    for (i = 0; i < n; i++) {
        p = ngx_slprintf(p, buf + sizeof(buf), "%s%L", i ? " " : "",
                         letters[i].item.head.update_id);
    }

    got.data = buf;
    got.len = p - buf;

    return is_str(&got, ids);
}


/* compares a letter of that bot and id byte for byte */

static ngx_uint_t
test_holds(ngx_uint_t bot, test_letter_t *want)
{
    ngx_pool_t               *pool;
    ngx_uint_t                same;
    ngx_http_tgbot_letter_t   got;

    pool = ngx_create_pool(1024, ngx_cycle->log);

    same = ngx_http_tgbot_dead_get(&test_bots[bot], want->id, &got, pool)
           == NGX_OK
           && got.id == want->id
           && got.item.head.update_id == want->update_id
           && got.item.head.lane == (uint64_t) want->update_id * 3
           && got.end.cause
              == (ngx_uint_t) want->update_id % NGX_HTTP_TGBOT_DEAD_CAUSES
           && got.end.status == 500
           && got.item.progress.attempts == 10
           && got.end.first == 1600000000 + want->update_id
           && got.end.last == 1700000000 + want->update_id
           && got.item.progress.next == 2
           && got.item.data.len == want->data
           && test_is_text(got.item.data.data, got.item.data.len,
                           want->update_id % 251)
           && got.item.answered == want->answered
           && got.item.answer.len == (want->answered ? want->answer : 0)
           && (got.item.answer.len == 0
               || test_is_text(got.item.answer.data, got.item.answer.len,
                               want->update_id % 241));

    ngx_destroy_pool(pool);

    return same;
}


static ngx_uint_t
test_blocks(void)
{
    ngx_http_tgbot_store_t  store;

    ngx_http_tgbot_store_open(&store, test_zone);

    return store.sh->chain.total;
}


static void
test_one(void)
{
    ngx_str_t                    *causes;
    ngx_uint_t                    evicted;
    test_letter_t                 want;
    ngx_http_tgbot_letter_t       letter, list[4];
    ngx_http_tgbot_dead_state_t   state;

    test_start(64 * 1024);

    ngx_http_tgbot_dead_state(&test_bots[0], &state);
    is_int(state.letters, 0);
    is_int(state.blocks, 0);
    is_int(state.evicted, 0);
    is_int(state.oldest, 0);

    letter = test_letter(1001, 900, 1300);
    is_int(ngx_http_tgbot_dead_put(&test_bots[0], &letter, &evicted), NGX_OK);
    is_int(evicted, 0);

    ngx_memzero(&want, sizeof(test_letter_t));
    want.id = letter.id;
    want.update_id = 1001;
    want.data = 900;
    want.answer = 1300;
    want.answered = 1;

    ok(test_holds(0, &want));

    is_int(ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 4), 1);
    is_int(list[0].id, letter.id);
    is_int(list[0].item.head.update_id, 1001);
    is_int(list[0].item.data.len, 900);
    is_int(list[0].item.answer.len, 1300);
    ok(list[0].item.data.data == NULL);
    ok(list[0].item.answered);

    ngx_http_tgbot_dead_state(&test_bots[0], &state);
    is_int(state.letters, 1);
    is_int(state.blocks, ngx_http_tgbot_dead_needs(&letter.item));
    is_int(state.oldest, 1700001001);

    /* an empty answer is an answer */

    letter = test_letter(1002, 0, 0);
    is_int(ngx_http_tgbot_dead_put(&test_bots[0], &letter, &evicted), NGX_OK);
    ok(letter.id > want.id);
    want.id = letter.id;
    want.update_id = 1002;
    want.data = 0;
    want.answer = 0;
    ok(test_holds(0, &want));

    letter = test_letter(1003, 1, -1);
    is_int(ngx_http_tgbot_dead_put(&test_bots[0], &letter, &evicted), NGX_OK);
    want.id = letter.id;
    want.update_id = 1003;
    want.data = 1;
    want.answered = 0;
    ok(test_holds(0, &want));

    ok(test_is(0, "1001 1002 1003"));

    causes = ngx_http_tgbot_dead_causes;
    is_str(&causes[NGX_HTTP_TGBOT_DEAD_FAILED], "failed");
    is_str(&causes[NGX_HTTP_TGBOT_DEAD_UNSENT], "unsent");
    is_str(&causes[NGX_HTTP_TGBOT_DEAD_EXPIRED], "expired");

    test_end();
}


static void
test_pages(void)
{
    uint64_t                 after;
    ngx_uint_t               i, n, pages;
    ngx_http_tgbot_letter_t  list[7];

    test_start(256 * 1024);

    for (i = 0; i < 40; i++) {
        test_put(0, i, 10, -1);
        test_put(1, 100 + i, 10, -1);
    }

    is_int(ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 0), 0);

    after = 0;
    i = 0;

    for (pages = 0; /* void */ ; pages++) {
        n = ngx_http_tgbot_dead_list(&test_bots[0], after, list, 7);

        if (n == 0) {
            break;
        }

        /* a letter of the page is dropped before the next page is read */

        is_int(ngx_http_tgbot_dead_drop(&test_bots[0], list[n / 2].id),
               NGX_OK);

        for (after = 0; n--; after = ngx_max(after, list[n].id)) {
            i++;
        }
    }

    is_int(i, 40);
    is_int(pages, 6);

    test_end();
}


static void
test_max(void)
{
    ngx_uint_t                   i, evicted;
    ngx_http_tgbot_dead_t        bots[2];
    ngx_http_tgbot_dead_state_t  state;

    test_start(64 * 1024);

    test_bots[0].max = 3;
    test_bots[1].max = 1;
    evicted = 0;

    for (i = 1; i <= 5; i++) {
        evicted += test_put(0, i, 10, -1);
    }

    is_int(evicted, 2);
    ok(test_is(0, "3 4 5"));

    is_int(test_put(1, 6, 10, -1), 0);
    is_int(test_put(1, 7, 10, -1), 1);
    ok(test_is(1, "7"));
    ok(test_is(0, "3 4 5"));

    /* a lower max from now on */

    bots[0] = test_bots[0];
    bots[1] = test_bots[1];
    bots[0].max = 2;
    test_configure(bots, 2);
    test_bots[0] = bots[0];

    ok(test_is(0, "3 4 5"));
    is_int(test_put(0, 8, 10, -1), 2);
    ok(test_is(0, "5 8"));

    ngx_http_tgbot_dead_state(&test_bots[0], &state);
    is_int(state.evicted, 4);
    is_int(state.oldest, 1700000005);

    ngx_http_tgbot_dead_state(&test_bots[1], &state);
    is_int(state.evicted, 1);
    is_int(test_zone->sh->evicted, 5);

    test_end();
}


/* a full zone evicts the oldest letter of the bot that uses most */

static void
test_full(void)
{
    ngx_uint_t                   i, blocks, evicted;
    ngx_http_tgbot_letter_t      letter;
    ngx_http_tgbot_dead_state_t  state;

    test_start(64 * 1024);

    blocks = test_blocks();

    test_put(1, 1, 10, -1);
    test_put(1, 2, 2000, -1);

    for (i = 10; test_put(0, i, 2000, -1) == 0; i++) {
        /* void */
    }

    ngx_http_tgbot_dead_state(&test_bots[0], &state);
    ok(state.blocks > blocks / 2);
    is_int(state.evicted, 1);
    is_int(state.letters, i - 10);
    is_int(state.oldest, 1700000011);

    /* also letters of a bot that is not configured */

    evicted = test_put(1, 3, 8000, -1);
    ok(evicted > 1);

    ngx_http_tgbot_dead_state(&test_bots[0], &state);
    is_int(state.evicted, 1 + evicted);
    is_int(state.oldest, 1700000011 + evicted);
    ok(test_is(1, "1 2 3"));

    /* a letter as large as the zone */

    letter = test_letter(4, 0, -1);

    while (ngx_http_tgbot_dead_needs(&letter.item) < blocks) {
        letter.item.data.len++;
    }

    letter.item.data.len += 600;
    is_int(ngx_http_tgbot_dead_put(&test_bots[0], &letter, &evicted),
           NGX_DECLINED);
    is_int(evicted, 0);
    is_int(test_zone->rt->dirty, 0);
    ok(test_is(1, "1 2 3"));

    letter.item.data.len -= 600;
    is_int(ngx_http_tgbot_dead_put(&test_bots[0], &letter, &evicted), NGX_OK);
    ok(test_is(0, "4"));
    ok(test_is(1, ""));

    ngx_http_tgbot_dead_state(&test_bots[0], &state);
    is_int(state.blocks, blocks);

    test_end();
}


/* a bot cannot reach letters of another bot by any id */

static void
test_strangers(void)
{
    ngx_uint_t               i, k, n, evicted;
    ngx_http_tgbot_dead_t    stale;
    ngx_http_tgbot_letter_t  list[4], letter;

    test_start(64 * 1024);

    for (i = 0; i < TEST_BOTS; i++) {
        test_put(i, 100 + i, 700, 700);
    }

    ok(test_is(0, "100"));
    ok(test_is(1, "101"));
    ok(test_is(2, "102"));

    for (i = 0; i < TEST_BOTS; i++) {
        n = ngx_http_tgbot_dead_list(&test_bots[i], 0, list, 4);
        is_int(n, 1);

        for (k = 0; k < TEST_BOTS; k++) {

            if (k == i) {
                continue;
            }

            is_int(ngx_http_tgbot_dead_get(&test_bots[k], list[0].id,
                                           &letter, unit_pool()),
                   NGX_DECLINED);
            is_int(ngx_http_tgbot_dead_drop(&test_bots[k], list[0].id),
                   NGX_DECLINED);
        }
    }

    is_int(ngx_http_tgbot_dead_get(&test_bots[0], 0, &letter, unit_pool()),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_dead_drop(&test_bots[0], 1000000), NGX_DECLINED);

    /* a worker with the entry of the earlier bot */

    stale = test_bots[0];
    stale.serial += 100;
    letter = test_letter(7, 10, -1);

    is_int(ngx_http_tgbot_dead_put(&stale, &letter, &evicted), NGX_DECLINED);
    is_int(ngx_http_tgbot_dead_list(&stale, 0, list, 4), 0);
    ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 4);
    is_int(ngx_http_tgbot_dead_get(&stale, list[0].id, &letter, unit_pool()),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_dead_drop(&stale, list[0].id), NGX_DECLINED);

    ok(test_is(0, "100"));

    test_end();
}


static void
test_drop(void)
{
    ngx_http_tgbot_letter_t      list[4], letter;
    ngx_http_tgbot_dead_state_t  state;

    test_start(64 * 1024);

    test_put(0, 1, 10, 10);
    test_put(0, 2, 1000, 1000);
    test_put(0, 3, 10, -1);

    is_int(ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 4), 3);

    unit_slot_be(TEST_VICTIM);
    is_int(ngx_http_tgbot_dead_drop(&test_bots[0], list[1].id), NGX_OK);

    unit_slot_be(TEST_OTHER);
    is_int(ngx_http_tgbot_dead_drop(&test_bots[0], list[1].id),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_dead_get(&test_bots[0], list[1].id, &letter,
                                   unit_pool()),
           NGX_DECLINED);

    ok(test_is(0, "1 3"));

    is_int(ngx_http_tgbot_dead_drop(&test_bots[0], list[0].id), NGX_OK);
    is_int(ngx_http_tgbot_dead_drop(&test_bots[0], list[2].id), NGX_OK);
    ok(test_is(0, ""));

    /* a drop does not count as evicted, and an id is never reused */

    ngx_http_tgbot_dead_state(&test_bots[0], &state);
    is_int(state.evicted, 0);
    is_int(state.blocks, 0);

    letter = test_letter(4, 10, -1);
    is_int(ngx_http_tgbot_dead_put(&test_bots[0], &letter, &state.evicted),
           NGX_OK);
    ok(letter.id > list[2].id);

    test_end();
}


static void
test_no_memory(void)
{
    ngx_pool_t                    *pool;
    ngx_http_tgbot_letter_t        list[1], letter;
    ngx_http_tgbot_store_cursor_t   cursor;

    test_start(64 * 1024);

    test_put(0, 1, 1000, 1000);
    ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 1);

    pool = unit_pool();

    unit_fail_at = 1;
    is_int(ngx_http_tgbot_dead_get(&test_bots[0], list[0].id, &letter, pool),
           NGX_ERROR);
    is_int(test_zone->rt->dirty, 0);

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    unit_fail_at = 1;
    is_int(dead_next(test_zone, &cursor, &letter, pool), NGX_ERROR);
    is_int(test_zone->rt->dirty, 0);

    is_int(dead_next(test_zone, &cursor, &letter, pool), NGX_OK);

    test_end();
}


/* letters of removed bots stay, and a walk finds them */

static void
test_bots_gone(void)
{
    u_char                         buf[256], *p;
    ngx_str_t                      got;
    ngx_uint_t                     i;
    ngx_pool_t                    *pool;
    ngx_http_tgbot_dead_t          bot, other;
    ngx_http_tgbot_letter_t        letter;
    ngx_http_tgbot_store_cursor_t   cursor;

    test_start(64 * 1024);

    for (i = 0; i < TEST_BOTS; i++) {
        test_put(i, 10 + i, 1000, 2000);
        test_put(i, 20 + i, 0, 0);
    }

    bot = test_bots[1];
    test_configure(&bot, 1);

    test_bots[1] = bot;
    ok(test_is(1, "11 21"));
    test_put(1, 31, 10, -1);

    pool = unit_pool();
    p = buf;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    while (dead_next(test_zone, &cursor, &letter, pool) == NGX_OK) {
        p = ngx_slprintf(p, buf + sizeof(buf), "%*s/%uL %L, ",
                         (size_t) letter.item.head.bot_len,
                         letter.item.head.bot, letter.item.head.bot_id,
                         letter.item.head.update_id);

        ok(test_is_text(letter.item.data.data, letter.item.data.len,
                        letter.item.head.update_id % 251));
        ok(letter.item.answer.len == 0
           || test_is_text(letter.item.answer.data, letter.item.answer.len,
                           letter.item.head.update_id % 241));

        /* the current letter is dropped during the walk */

        if (letter.item.head.update_id == 21) {
            is_int(ngx_http_tgbot_dead_drop(&bot, letter.id), NGX_OK);
        }
    }

    got.data = buf;
    got.len = p - buf;

    is_str(&got, "shop/42 10, shop/42 20, news/43 11, news/43 21, "
                 "news/43 31, shop/44 12, shop/44 22, ");

    /* a bot that returns finds its letters */

    ngx_memzero(&other, sizeof(ngx_http_tgbot_dead_t));
    other.zone = test_zone;
    queue_string(other.bot, "shop");
    other.bot_id = 44;
    other.max = 10;

    is_int(dead_enter(&other), NGX_OK);
    test_bots[2] = other;
    ok(test_is(2, "12 22"));

    /* further bots get entries until the table is full */

    other.bot.len = 1;

    for (i = 0; i < 100; i++) {
        other.bot.data = (u_char *) "0123456789abcdefghijklmnopqrstuvwxyz"
                         + i % 36;
        other.bot_id = i;

        if (dead_enter(&other) != NGX_OK) {
            break;
        }

        test_bots[0] = other;
        test_put(0, i, 0, -1);
    }

    ok(i > 10 && i < 36);
    is_int(other.serial, test_bots[0].serial);
    ok(test_is(2, "12 22"));

    test_end();
}


/* a letter is found by its id without a walk through earlier letters */

static void
test_found(void)
{
    uint64_t                      ids[9];
    ngx_uint_t                    i, k;
    ngx_http_tgbot_store_t        store;
    ngx_http_tgbot_letter_t       letter, list[4];
    ngx_http_tgbot_store_item_t  *first;

    test_start(128 * 1024);

    for (i = 0; i < 9; i++) {
        test_put(i % 3 ? 0 : 1, i, 600, -1);
    }

    is_int(ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 4), 4);

    for (i = 0; i < 4; i++) {
        ids[i] = list[i].id;
    }

    ngx_http_tgbot_store_open(&store, test_zone);

    first = ngx_http_tgbot_store_item(&store,
                                 store.entries[test_bots[0].entry].items.first);
    k = first->link.next;
    first->link.next = NGX_HTTP_TGBOT_LIST_NIL;

    for (i = 0; i < 4; i++) {
        is_int(ngx_http_tgbot_dead_get(&test_bots[0], ids[i], &letter,
                                       unit_pool()),
               NGX_OK);
        is_int(letter.id, ids[i]);
        is_int(ngx_http_tgbot_dead_get(&test_bots[1], ids[i], &letter,
                                       unit_pool()),
               NGX_DECLINED);
    }

    is_int(ngx_http_tgbot_dead_list(&test_bots[0], ids[1], list, 4), 4);
    is_int(list[0].id, ids[2]);

    is_int(ngx_http_tgbot_dead_drop(&test_bots[0], ids[3]), NGX_OK);
    is_int(ngx_http_tgbot_dead_drop(&test_bots[0], ids[3]), NGX_DECLINED);

    first->link.next = k;

    test_end();
}


/* one process at a time replays a letter; a dead process holds none */

static void
test_leased(void)
{
    uint64_t                 id;
    ngx_uint_t               left, evicted;
    ngx_http_tgbot_lease_t   one, other;
    ngx_http_tgbot_letter_t  letter, list[4];

    test_start(64 * 1024);
    test_put(0, 1, 10, -1);
    test_put(0, 2, 10, -1);
    ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 4);
    id = list[0].id;

    is_int(ngx_http_tgbot_dead_lease(&test_bots[1], id, &one, &left),
           NGX_DECLINED);

    unit_slot_be(TEST_VICTIM);
    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], id, &one, &left), NGX_OK);
    is_int(left, 0);
    is_int(ngx_http_tgbot_dead_holds(&test_bots[0], id, &one), NGX_OK);

    /* no other process can lease the letter, nor this one again */

    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], id, &other, &left),
           NGX_AGAIN);
    unit_slot_be(TEST_OTHER);
    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], id, &other, &left),
           NGX_AGAIN);
    is_int(ngx_http_tgbot_dead_drop(&test_bots[0], id), NGX_AGAIN);
    is_int(ngx_http_tgbot_dead_holds(&test_bots[0], id, &other), NGX_AGAIN);
    ngx_http_tgbot_dead_release(&test_bots[0], id, &other, 1);
    ok(test_is(0, "1 2"));

    /* given back */

    ngx_http_tgbot_dead_release(&test_bots[0], id, &one, 0);
    is_int(ngx_http_tgbot_dead_holds(&test_bots[0], id, &one), NGX_AGAIN);
    unit_slot_be(TEST_VICTIM);
    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], id, &one, &left), NGX_OK);
    is_int(left, 1);

    /* the holder dies; or it hangs and wakes up too late */

    unit_slot_die(TEST_VICTIM);
    unit_slot_be(TEST_OTHER);
    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], id, &other, &left),
           NGX_OK);
    is_int(left, 1);
    unit_slot_hang(TEST_OTHER, 1);
    unit_slot_be(TEST_VICTIM);
    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], id, &one, &left), NGX_OK);
    unit_slot_hang(TEST_OTHER, 0);
    is_int(ngx_http_tgbot_dead_holds(&test_bots[0], id, &other), NGX_AGAIN);
    ngx_http_tgbot_dead_release(&test_bots[0], id, &other, 1);
    is_int(ngx_http_tgbot_dead_holds(&test_bots[0], id, &one), NGX_OK);

    /* a replay that fails again keeps its place although max was lowered */

    test_bots[0].max = 2;
    letter = test_letter(1, 3000, 20);
    letter.item.head.letter = id;
    is_int(ngx_http_tgbot_dead_put(&test_bots[0], &letter, &evicted), NGX_OK);
    is_int(evicted, 0);
    ok(test_is(0, "2 1"));
    is_int(ngx_http_tgbot_dead_holds(&test_bots[0], id, &one), NGX_DECLINED);
    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], id, &one, &left),
           NGX_DECLINED);

    /* done */

    id = letter.id;
    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], id, &one, &left), NGX_OK);
    is_int(left, 0);
    ngx_http_tgbot_dead_release(&test_bots[0], id, &one, 1);
    ok(test_is(0, "2"));

    /* a letter that is being replayed is evicted last */

    test_put(0, 5, 10, -1);
    ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 4);
    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], list[0].id, &one, &left),
           NGX_OK);
    is_int(test_put(0, 6, 10, -1), 1);
    ok(test_is(0, "2 6"));
    test_bots[0].max = 1;
    is_int(test_put(0, 7, 10, -1), 2);
    ok(test_is(0, "7"));
    is_int(ngx_http_tgbot_dead_drop(&test_bots[0], id + 3), NGX_OK);
    test_put(0, 2, 10, -1);

    /* taken from the queue, by any process */

    ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 4);
    is_int(ngx_http_tgbot_dead_lease(&test_bots[0], list[0].id, &one, &left),
           NGX_OK);
    ngx_http_tgbot_dead_taken(&test_bots[0], list[0].id, 3);
    ok(test_is(0, "2"));
    ngx_http_tgbot_dead_taken(&test_bots[0], list[0].id, 2);
    ok(test_is(0, ""));

    test_end();
}


/* after a kill at any point nothing, or the whole operation, is done */

static void
test_killed(void)
{
    ngx_uint_t  at, repair, drop, points;

    points = 0;

    for (repair = 0; repair < 16; repair++) {
        for (drop = 0; drop < 2; drop++) {
            for (at = 1; test_kill(at, repair, drop); at++) {
                points++;
            }
        }
    }

    unit_context("%s", "");

    ok(points > 16 * 30);
}


/* "at": point of the kill; "repair": point at which the repair is killed */

static ngx_uint_t
test_kill(ngx_uint_t at, ngx_uint_t repair, ngx_uint_t drop)
{
    ngx_uint_t               evicted, killed;
    ngx_http_tgbot_letter_t  letter, list[8];

    unit_context("%s, point %u, repair %u", drop ? "drop" : "put",
                 (unsigned) at, (unsigned) repair);

    test_start(64 * 1024);
    test_bots[0].max = 3;
    test_put(0, 1, 3000, 10);
    test_put(0, 2, 10, 3000);
    test_put(0, 3, 600, -1);
    test_put(1, 9, 600, 600);

    ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 8);

    letter = test_letter(4, 2500, 2500);

    unit_slot_be(TEST_VICTIM);
    unit_zone_stop_at = at;
    killed = test_dies(0, drop ? NULL : &letter, &evicted, list[0].id);

    unit_slot_be(TEST_OTHER);
    unit_zone_stop_at = killed ? repair : 0;

    if (setjmp(unit_zone_killed) == 0) {
        ok(test_walk());
    }

    unit_zone_stop_at = 0;

    ok(test_walk());
    ok(test_is(1, "9"));

    ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 8);

    if (list[0].item.head.update_id == 1) {
        ok(killed && test_is(0, "1 2 3"));

    } else if (drop
               || ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 8) == 2)
    {
        ok((drop || killed) && test_is(0, "2 3"));

    } else {
        ok(test_is(0, "2 3 4"));
    }

    test_put(0, 5, 100, 100);
    test_end();

    return killed;
}


/* a letter or its replacement remains, and all other letters */

static void
test_replaced(void)
{
    ngx_uint_t  at, repair, points;

    points = 0;

    for (repair = 0; repair < 40; repair++) {
        for (at = 1; test_replace(at, repair); at++) {
            points++;
        }
    }

    unit_context("%s", "");

    ok(points > 40 * 10);
}


static ngx_uint_t
test_replace(ngx_uint_t at, ngx_uint_t repair)
{
    ngx_uint_t               evicted, killed;
    ngx_http_tgbot_letter_t  letter, list[4];

    unit_context("point %u, repair %u", (unsigned) at, (unsigned) repair);

    test_start(64 * 1024);
    test_bots[0].max = 3;
    test_put(0, 1, 600, 600);
    test_put(0, 2, 600, 10);
    test_put(0, 3, 600, -1);
    ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 4);

    letter = test_letter(2, 1200, 600);
    letter.item.head.letter = list[1].id;

    unit_zone_stop_at = at;
    killed = test_dies(0, &letter, &evicted, 0);

    unit_zone_stop_at = killed ? repair : 0;

    if (setjmp(unit_zone_killed) == 0) {
        ok(test_walk());
    }

    unit_zone_stop_at = 0;

    ok(test_walk());

    ngx_http_tgbot_dead_list(&test_bots[0], 0, list, 4);

    if (list[1].item.head.update_id == 2) {
        ok(killed && test_is(0, "1 2 3"));

    } else {
        ok(test_is(0, "1 3 2"));
    }

    test_end();

    return killed;
}


/* the letters to be evicted, in order; returns their number */

static ngx_uint_t
test_model_evicts(test_model_t *model, ngx_uint_t bot, ngx_uint_t needs)
{
    ngx_uint_t  i, k, n, who, used, blocks[TEST_BOTS];

    for (n = 0; /* void */ ; n++) {
        used = 0;

        for (i = 0; i < TEST_BOTS; i++) {
            blocks[i] = 0;

            for (k = 0; k < model[i].n; k++) {
                blocks[i] += model[i].letter[k].blocks;
            }

            used += blocks[i];
        }

        if (model[bot].n >= model[bot].max) {
            who = bot;

        } else if (used + needs > test_blocks()) {
            who = 0;

            for (i = 1; i < TEST_BOTS; i++) {
                if (blocks[i] > blocks[who]) {
                    who = i;
                }
            }

        } else {
            return n;
        }

        model[who].n--;
        ngx_memmove(&model[who].letter[0], &model[who].letter[1],
                    model[who].n * sizeof(test_letter_t));

        if (test_model_same(model)) {

            /* the killed process got this far */

            return n + 1;
        }
    }
}


static ngx_uint_t
test_model_same(test_model_t *model)
{
    ngx_uint_t               i, k, n;
    ngx_http_tgbot_letter_t  list[TEST_MANY];

    for (i = 0; i < TEST_BOTS; i++) {
        n = ngx_http_tgbot_dead_list(&test_bots[i], 0, list, TEST_MANY);

        if (n != model[i].n) {
            return 0;
        }

        for (k = 0; k < n; k++) {
            if (list[k].item.head.update_id != model[i].letter[k].update_id) {
                return 0;
            }

            model[i].letter[k].id = list[k].id;
        }
    }

    return 1;
}


/* puts or drops a letter; returns whether the process was killed */

static ngx_uint_t
test_dies(ngx_uint_t bot, ngx_http_tgbot_letter_t *letter,
    ngx_uint_t *evicted, uint64_t id)
{
    if (setjmp(unit_zone_killed) != 0) {
        return 1;
    }

    if (letter) {
        is_int(ngx_http_tgbot_dead_put(&test_bots[bot], letter, evicted),
               NGX_OK);

    } else {
        is_int(ngx_http_tgbot_dead_drop(&test_bots[bot], id), NGX_OK);
    }

    return 0;
}


static void
test_random(void)
{
    ngx_int_t                 answer;
    ngx_uint_t                i, bot, n, evicted, kills, killed, what, step;
    test_letter_t            *letter;
    ngx_http_tgbot_letter_t   put;
    static test_model_t       model[TEST_BOTS];

    test_start(192 * 1024);
    ngx_memzero(model, sizeof(model));

    for (i = 0; i < TEST_BOTS; i++) {
        model[i].max = 20 + i * 60;
        test_bots[i].max = model[i].max;
    }

    kills = 0;

    for (step = 1; step < 6000; step++) {

        bot = queue_random() % TEST_BOTS;
        what = queue_random() % 4;
        evicted = 0;

        answer = (queue_random() % 2) ? (ngx_int_t) queue_random() % 3000
                                      : -1;
        put = test_letter(step, queue_random() % 5000, answer);
        n = queue_random();

        unit_context("step %u, %u of bot %u", (unsigned) step,
                     (unsigned) what, (unsigned) bot);
        unit_zone_stop_at = (queue_random() % 4) ? 0
                                                 : 1 + queue_random() % 60;

        if (what < 3) {
            killed = test_dies(bot, &put, &evicted, 0);

        } else {
            killed = model[bot].n
                     && test_dies(bot, NULL, NULL,
                                  model[bot].letter[n % model[bot].n].id);
        }

        unit_zone_stop_at = 0;
        kills += killed;

        if (killed && test_model_same(model)) {
            continue;
        }

        if (what < 3) {
            i = test_model_evicts(model, bot,
                                  ngx_http_tgbot_dead_needs(&put.item));

            if (killed && test_model_same(model)) {
                continue;
            }

            is_int(killed ? i : evicted, i);

            letter = &model[bot].letter[model[bot].n++];
            letter->update_id = step;
            letter->data = put.item.data.len;
            letter->answer = put.item.answer.len;
            letter->answered = put.item.answered;
            letter->blocks = ngx_http_tgbot_dead_needs(&put.item);

        } else if (model[bot].n) {
            i = n % model[bot].n;
            model[bot].n--;
            ngx_memmove(&model[bot].letter[i], &model[bot].letter[i + 1],
                        (model[bot].n - i) * sizeof(test_letter_t));
        }

        if (!ok(test_model_same(model)) || !ok(test_walk())) {
            break;
        }

        if (model[bot].n) {
            letter = &model[bot].letter[queue_random() % model[bot].n];
            ok(test_holds(bot, letter));
        }
    }

    ok(kills > 300);
    unit_context("%s", "");

    test_end();
}


static unit_case_t  test_cases[] = {
    { "one letter, and what it says", test_one },
    { "lists in parts", test_pages },
    { "the oldest above max go", test_max },
    { "without room the oldest of who has most go", test_full },
    { "bots have nothing of each other", test_strangers },
    { "of two who drop a letter one does", test_drop },
    { "no memory", test_no_memory },
    { "bots that are gone, and come", test_bots_gone },
    { "a letter is found by its id", test_found },
    { "replayed by one at a time", test_leased },
    { "killed at any point", test_killed },
    { "killed as a letter takes another's place", test_replaced },
    { "anything at random, against a model", test_random },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
