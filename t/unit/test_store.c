
/*
 * Items in chains of blocks: how many fit, reading what was written, and the
 * result of a repair for any contents of memory.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_store.h"

#include "queue.h"


#define TEST_ROOM    (128 * 1024)
#define TEST_HEADER  sizeof(test_item_t)
#define TEST_FIRST   (NGX_HTTP_TGBOT_CHAIN_DATA - TEST_HEADER)


typedef struct {
    ngx_http_tgbot_store_item_t   item;
    uint64_t                      note;
} test_item_t;


static ngx_int_t test_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh);
static void test_clear(void *own);
static void test_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store);
static void test_start(void);
static void test_end(void);
static test_item_t *test_put(ngx_uint_t bot, size_t len, ssize_t answer);
static ngx_uint_t test_whole(test_item_t *it);
static uint64_t test_needs(size_t len, ngx_uint_t answered);
static uint32_t test_nth(test_item_t *it, ngx_uint_t n);


static const ngx_http_tgbot_zone_kind_t  test_kind = {
    99, "test", NGX_HTTP_TGBOT_STORE_MIN, test_init,
    NULL,
    NULL,
    1
};

static const ngx_http_tgbot_store_layout_t  test_layout = {
    "tgbot_test",
    sizeof(test_item_t), 24, 65536, 100, 3, test_clear, NULL, test_lock, NULL
};


static ngx_http_tgbot_store_t       test_store;
static ngx_http_tgbot_zone_t       *test_zone;
static ngx_http_tgbot_zone_user_t   test_users[3];
static u_char                       test_text[256 * 1024];
static u_char                       test_copy[256 * 1024];


static ngx_int_t
test_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    if (fresh && ngx_http_tgbot_store_carve(zone, &test_layout) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_store_init(zone, &test_layout);
}


static void
test_lock(ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_store_t *store)
{
    ngx_http_tgbot_store_open(store, zone);

    (void) ngx_http_tgbot_zone_lock(zone);
}


static void
test_clear(void *own)
{
    ngx_memset(own, 0x11, 24);
}


static void
test_start(void)
{
    void        *users[3];
    ngx_uint_t   i;

    static const char  *names[] = { "shop", "news", "help" };

    ngx_memzero(test_users, sizeof(test_users));

    for (i = 0; i < 3; i++) {
        queue_string(test_users[i].bot, names[i]);
        test_users[i].bot_id = 42 + i;
        users[i] = &test_users[i];
    }

    for (i = 0; i < sizeof(test_text); i++) {
        test_text[i] = (u_char) (i ^ (i >> 8));
    }

    test_zone = unit_zone(&test_kind, TEST_ROOM, users, 3);
    test_zone->sh->generation++;

    for (i = 0; i < 3; i++) {
        test_users[i].zone = test_zone;
    }

    ngx_http_tgbot_store_open(&test_store, test_zone);
}


static void
test_end(void)
{
    ok(queue_walk_blocks(&test_store));

    unit_zone_free(test_zone);
}


/* the text begins where "note" says, the answer one byte later; -1: none */

static test_item_t *
test_put(ngx_uint_t bot, size_t len, ssize_t answer)
{
    uint64_t      needs, room;
    test_item_t  *it;

    ngx_http_tgbot_item_t  item;

    static uint64_t  note;

    note = (note + 1) % 1000;

    ngx_memzero(&item, sizeof(ngx_http_tgbot_item_t));

    item.head.update_id = note;
    item.progress.next = note + 1;

    item.data.data = test_text + note;
    item.data.len = len;

    item.answer.data = test_text + note + 1;
    item.answer.len = ngx_max(answer, 0);
    item.answered = (answer >= 0);

    needs = ngx_http_tgbot_store_needs(TEST_HEADER, &item);
    room = ngx_http_tgbot_store_room(&test_store);

    it = ngx_http_tgbot_store_add(&test_store, test_users[bot].entry, &item);

    if (it == NULL) {
        ok(needs > room);
        ok(room == ngx_http_tgbot_store_room(&test_store));
        return NULL;
    }

    is_int(it->note, 0);
    it->note = note;

    ngx_http_tgbot_store_publish(&test_store, it);

    is_int(room - ngx_http_tgbot_store_room(&test_store), needs);

    return it;
}


static ngx_uint_t
test_whole(test_item_t *it)
{
    size_t  len, answer;

    ngx_http_tgbot_item_t  told;

    ngx_http_tgbot_store_tell(&test_store, it, &told);

    if ((uint64_t) told.head.update_id != it->note
        || told.progress.next != it->note + 1
        || told.head.bot_len != 4
        || ngx_memcmp(told.head.bot, test_users[it->item.entry].bot.data, 4)
           != 0
        || told.data.len != it->item.len
        || told.answered != (it->item.answer != NGX_HTTP_TGBOT_LIST_NIL))
    {
        return 0;
    }

    len = it->item.len;
    answer = it->item.answer_len;

    ngx_memset(test_copy, 0xee, len + answer + 2);

    ngx_http_tgbot_store_copy(&test_store, it, test_copy,
                              test_copy + len + 1);

    return ngx_memcmp(test_copy, test_text + it->note, len) == 0
           && test_copy[len] == 0xee
           && ngx_memcmp(test_copy + len + 1, test_text + it->note + 1,
                         answer) == 0
           && test_copy[len + 1 + answer] == 0xee;
}


/* sum of an item and its answer of the same length */

static uint64_t
test_needs(size_t len, ngx_uint_t answered)
{
    ngx_http_tgbot_item_t  item;

    item.data.len = len;
    item.answer.len = len;
    item.answered = answered;

    return ngx_http_tgbot_store_needs(TEST_HEADER, &item);
}


/* the n-th block of an item */

static uint32_t
test_nth(test_item_t *it, ngx_uint_t n)
{
    uint32_t  block;

    block = ngx_http_tgbot_store_number(&test_store, it);

    while (n--) {
        block = test_store.chain.blocks[block].next;
    }

    return block;
}


static void
test_lengths(void)
{
    size_t        i, len;
    uint64_t      room;
    ngx_str_t     s;
    test_item_t  *it;

    static const size_t  edges[] = {
        0, TEST_FIRST, TEST_FIRST + NGX_HTTP_TGBOT_CHAIN_DATA,
        TEST_FIRST + 20 * NGX_HTTP_TGBOT_CHAIN_DATA
    };

    test_start();

    room = ngx_http_tgbot_store_room(&test_store);

    is_int(test_needs(TEST_FIRST, 0), 1);
    is_int(test_needs(TEST_FIRST + 1, 0), 2);
    is_int(test_needs(0, 1), 2);
    is_int(test_needs(NGX_HTTP_TGBOT_CHAIN_DATA, 1), 3);
    is_int(test_needs(NGX_HTTP_TGBOT_CHAIN_DATA + 1, 1), 4);

    for (i = 0; i < unit_n(edges); i++) {
        for (len = ngx_max(edges[i], 2) - 2; len < edges[i] + 3; len++) {

            it = test_put(0, len, -1);
            ok(it->item.answer == NGX_HTTP_TGBOT_LIST_NIL);
            ok(test_whole(it));

            s.data = test_text + it->note + 1;
            s.len = len;

            is_int(ngx_http_tgbot_store_answer(&test_store, it, &s), NGX_OK);
            is_int(it->item.answer_len, len);
            ok(test_whole(it));
            ok(queue_walk_blocks(&test_store));

            ngx_http_tgbot_store_retire(&test_store, it);

            it = test_put(1, len, len + 1);
            ok(test_whole(it));
            ok(queue_walk_blocks(&test_store));

            ngx_http_tgbot_store_retire(&test_store, it);

            is_int(ngx_http_tgbot_store_room(&test_store), room);
        }
    }

    test_end();
}


static void
test_fill(void)
{
    ngx_str_t     s;
    uint32_t      blocks, n;
    test_item_t  *it, *first;

    test_start();

    blocks = test_store.sh->chain.total;
    ok(blocks > (TEST_ROOM - 8192) / 520);

    /* blocks that were never used are not touched */

    test_put(0, 10, -1);
    is_int(test_store.chain.blocks[1].mark, 0xa5a5a5a5);
    is_int(test_store.sh->chain.used, 1);

    first = test_put(0, (blocks - 2) * NGX_HTTP_TGBOT_CHAIN_DATA
                        - TEST_HEADER, -1);
    ok(first != NULL);
    is_int(ngx_http_tgbot_store_room(&test_store), 1);

    ok(test_put(1, TEST_FIRST + 1, -1) == NULL);
    ok(test_put(1, 1, 1) == NULL);

    ok((it = test_put(1, TEST_FIRST, -1)) != NULL);
    ok(test_put(1, 0, -1) == NULL);

    s.data = test_text;
    s.len = 0;
    is_int(ngx_http_tgbot_store_answer(&test_store, it, &s), NGX_AGAIN);
    ok(it->item.answer == NGX_HTTP_TGBOT_LIST_NIL);
    ok(test_whole(first));

    ngx_http_tgbot_store_retire(&test_store, first);
    is_int(ngx_http_tgbot_store_room(&test_store), blocks - 2);

    for (n = 0; test_put(2, 100, -1); n++) {
        /* void */
    }

    is_int(n, blocks - 2);

    test_end();
}


/* garbage in memory is not an item */

static void
test_fresh(void)
{
    uint32_t             i;
    volatile ngx_uint_t  at;

    for (at = 1; at < 7; at++) {
        test_start();

        for (i = 0; i < test_store.sh->chain.total; i++) {
            test_store.chain.blocks[i].mark = NGX_HTTP_TGBOT_STORE_HEAD;
        }

        if (setjmp(unit_zone_killed) == 0) {
            unit_zone_stop_at = at;
            (void) test_put(0, 1200, -1);
        }

        unit_context("killed at %d", (int) at);
        is_int(unit_zone_stop_at, 0);

        ngx_http_tgbot_store_repair(&test_store);

        is_int(test_store.sh->items, at > 4);
        is_int(test_store.sh->broken, 0);

        test_end();
    }
}


static void
test_find(void)
{
    uint32_t      block;
    uint64_t      seq;
    test_item_t  *a, *b, *c;

    test_start();

    a = test_put(0, 10, 10);
    b = test_put(0, 1000, 1000);
    c = test_put(0, 10, -1);

    ok(ngx_http_tgbot_store_next(&test_store, 0, NULL) == a);
    ok(ngx_http_tgbot_store_next(&test_store, 0, a) == b);
    ok(ngx_http_tgbot_store_next(&test_store, 0, b) == c);
    ok(ngx_http_tgbot_store_next(&test_store, 0, c) == NULL);
    ok(ngx_http_tgbot_store_next(&test_store, 1, NULL) == NULL);

    block = test_nth(b, 0);
    seq = b->item.seq;

    ok(ngx_http_tgbot_store_find(&test_store, block, seq) == b);
    ok(ngx_http_tgbot_store_find(&test_store, block, seq + 1) == NULL);
    ok(ngx_http_tgbot_store_find(&test_store, test_nth(b, 1), seq) == NULL);
    ok(ngx_http_tgbot_store_find(&test_store, test_store.sh->chain.used, seq)
       == NULL);
    ok(ngx_http_tgbot_store_find(&test_store, NGX_HTTP_TGBOT_LIST_NIL, seq)
       == NULL);

    ngx_http_tgbot_store_retire(&test_store, b);
    ok(ngx_http_tgbot_store_find(&test_store, block, seq) == NULL);
    ok(ngx_http_tgbot_store_next(&test_store, 0, a) == c);

    ngx_http_tgbot_store_retire(&test_store, c);
    ngx_http_tgbot_store_retire(&test_store, a);
    ok(ngx_http_tgbot_store_next(&test_store, 0, NULL) == NULL);

    test_end();
}


/* all derived data is garbage, and the blocks are in random order */

static void
test_garbage(void)
{
    uint64_t                       seq, last;
    ngx_uint_t                     i, n, kept;
    test_item_t                   *items[64], *it;
    ngx_http_tgbot_store_sh_t     *sh;
    ngx_http_tgbot_store_entry_t  *entry;

    test_start();

    sh = test_store.sh;

    for (i = 0; i < 2000; i++) {
        n = queue_random() % 64;

        if (i < 64) {
            n = i;

        } else {
            ngx_http_tgbot_store_retire(&test_store, items[n]);
        }

        items[n] = test_put(i % 2, queue_random() % 900,
                            (ssize_t) (queue_random() % 600) - 300);
        ok(items[n] != NULL);
    }

    seq = sh->seq;
    sh->chain.free = 12345;
    sh->chain.nfree = 99;
    sh->items = 1;
    sh->seq -= 1;

    for (i = 0; i < sh->bots.n; i++) {
        entry = &test_store.entries[i];
        entry->items.n = 7;
        entry->blocks = 8;
        entry->items.first = 9;
        entry->items.last = 0;
    }

    for (i = 0; i < 64; i++) {
        items[i]->item.link.prev = queue_random();
        items[i]->item.link.next = queue_random();
    }

    ngx_http_tgbot_store_repair(&test_store);

    ok(queue_walk_blocks(&test_store));
    is_int(sh->items, 64);
    is_int(sh->broken, 0);
    is_int(sh->seq, seq);

    kept = 0;

    for (i = 0; i < 2; i++) {
        last = 0;
        it = NULL;

        while ((it = ngx_http_tgbot_store_next(&test_store, i, it))) {
            ok(it->item.seq > last);
            ok(test_whole(it));

            last = it->item.seq;
            kept++;
        }
    }

    is_int(kept, 64);

    test_end();
}


/* invalid items are removed, all others stay */

static void
test_broken(void)
{
    ngx_uint_t    i, n;
    test_item_t  *a, *b, *c, *it;

    for (i = 0; i < 14; i++) {
        unit_context("case %d", (int) i);

        test_start();

        a = test_put(0, 2000, 1200);
        b = test_put(0, 2000, 1200);
        c = test_put(1, 2000, 1200);

        switch (i) {
        case 0:
            b->item.entry = test_store.sh->bots.n;
            break;

        case 1:
            b->item.entry = 7;
            break;

        case 2:
            test_store.chain.blocks[test_nth(b, 2)].next
                                                 = test_store.sh->chain.used;
            break;

        case 3:
            test_store.chain.blocks[test_nth(b, 2)].next
                                                 = NGX_HTTP_TGBOT_LIST_NIL;
            break;

        case 4:
            b->item.len -= 1000;
            break;

        case 5:
            b->item.len = 0xffffffff;
            break;

        case 6:
            test_store.chain.blocks[test_nth(b, 3)].next = test_nth(b, 1);
            break;

        case 7:
            test_store.chain.blocks[test_nth(b, 3)].next = test_nth(a, 2);
            break;

        case 8:
            test_store.chain.blocks[test_nth(b, 3)].next = test_nth(c, 0);
            break;

        case 9:
            b->item.answer = 0x7fffffff;
            break;

        case 10:
            b->item.answer = test_nth(b, 1);
            break;

        case 11:
            b->item.answer_len += 1000;
            break;

        case 12:
            b->item.answer_len = 0;
            break;

        default:

            /* too short for the second block that it has */

            b->item.len = 0;
            break;
        }

        for (n = 0; n < 2; n++) {
            ngx_http_tgbot_store_repair(&test_store);

            is_int(test_store.sh->items, 2);
            is_int(test_store.sh->broken, 1);
            ok(queue_walk_blocks(&test_store));
        }

        it = ngx_http_tgbot_store_next(&test_store, 0, NULL);
        ok(it == a && test_whole(a));

        it = ngx_http_tgbot_store_next(&test_store, 1, NULL);
        ok(it == c && test_whole(c));

        /* its blocks are free again */

        ngx_http_tgbot_store_retire(&test_store, a);
        ngx_http_tgbot_store_retire(&test_store, c);
        is_int(ngx_http_tgbot_store_room(&test_store),
               test_store.sh->chain.total);

        test_end();
    }
}


static void
test_entries(void)
{
    u_char                       *own;
    ngx_uint_t                    i, n;
    ngx_http_tgbot_zone_user_t    user;

    test_start();

    for (i = 0; i < 3; i++) {
        is_int(test_users[i].entry, i);
        ok(ngx_http_tgbot_store_entry(&test_store, &test_users[i])
           == &test_store.entries[i]);

        own = ngx_http_tgbot_store_own(&test_store, i);
        is_int(own[0], 0x11);
        is_int(own[23], 0x11);
        own[0] = (u_char) i;
    }

    user = test_users[1];
    user.serial++;
    ok(ngx_http_tgbot_store_entry(&test_store, &user) == NULL);
    user.serial = 0;
    ok(ngx_http_tgbot_store_entry(&test_store, &user) == NULL);
    user.serial = test_users[1].serial;
    user.entry = test_store.sh->bots.n;
    ok(ngx_http_tgbot_store_entry(&test_store, &user) == NULL);

    /* an entry is found by name and id; an unknown id matches any */

    is_int(ngx_http_tgbot_store_enter(&user, &test_layout),
           NGX_OK);
    is_int(user.entry, 1);

    user.bot_id = 0;
    is_int(ngx_http_tgbot_store_enter(&user, &test_layout),
           NGX_OK);
    is_int(user.entry, 1);
    is_int(test_store.entries[1].bot.bot_id, 43);

    user.bot_id = 77;
    is_int(ngx_http_tgbot_store_enter(&user, &test_layout),
           NGX_OK);
    is_int(user.entry, 3);
    is_int(ngx_http_tgbot_store_named(&test_store, &test_store.entries[3]),
           0);

    queue_string(user.bot, "shopp");
    user.bot_id = 0;
    is_int(ngx_http_tgbot_store_enter(&user, &test_layout),
           NGX_OK);
    is_int(user.entry, 4);

    user.bot_id = 5;
    is_int(ngx_http_tgbot_store_enter(&user, &test_layout),
           NGX_OK);
    is_int(user.entry, 4);
    is_int(test_store.entries[4].bot.bot_id, 5);

    /*
     * all entries used: one without items is replaced, a configured one is
     * not
     */

    queue_string(user.bot, "stays");
    test_users[2] = user;
    is_int(ngx_http_tgbot_store_enter(&test_users[2], &test_layout),
           NGX_OK);
    is_int(test_users[2].entry, 5);
    ok(test_put(2, 10, -1) != NULL);

    for (i = 0; i < 100; i++) {
        queue_string(user.bot, "x");
        user.bot_id = 1000 + i;

        if (ngx_http_tgbot_store_enter(&user, &test_layout)
            != NGX_OK)
        {
            break;
        }

        n = user.entry;
        ok(n > 2 && n != 5);
        own = ngx_http_tgbot_store_own(&test_store, n);
        is_int(own[0], 0x11);
        own[0] = 0;
    }

    is_int(i, 100);

    ngx_http_tgbot_store_repair(&test_store);

    for (i = 0; i < 2; i++) {
        ok(ngx_http_tgbot_store_entry(&test_store, &test_users[i])
           == &test_store.entries[i]);
        own = ngx_http_tgbot_store_own(&test_store, i);
        is_int(own[0], i);
        is_int(ngx_http_tgbot_store_named(&test_store,
                                          &test_store.entries[i]), 1);
    }

    is_int(ngx_http_tgbot_store_orphaned(&test_store), 1);

    test_end();
}


/* the longest name */

static void
test_names(void)
{
    ngx_http_tgbot_zone_user_t  user;

    test_start();

    user = test_users[0];
    queue_string(user.bot, "abcdefghijklmnopqrstuvwxyz012345");
    user.bot_id = 9;

    is_int(user.bot.len, NGX_HTTP_TGBOT_ITEM_NAME);
    is_int(ngx_http_tgbot_store_enter(&user, &test_layout),
           NGX_OK);
    is_int(test_store.entries[user.entry].bot.len, user.bot.len);
    is_int(user.entry, 3);

    is_int(ngx_http_tgbot_store_enter(&user, &test_layout),
           NGX_OK);
    is_int(user.entry, 3);

    test_end();
}


static unit_case_t  test_cases[] = {
    { "lengths around the edges of blocks", test_lengths },
    { "full", test_fill },
    { "memory that was used before", test_fresh },
    { "find and walk", test_find },
    { "repair, all that is derived is garbage", test_garbage },
    { "repair, items that cannot be right", test_broken },
    { "entries of bots", test_entries },
    { "long names", test_names },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
