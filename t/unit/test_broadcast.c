
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast_area.h"
#include "ngx_http_tgbot_broadcast_lead.h"
#include "ngx_http_tgbot_broadcast_show.h"
#include "unit.h"
#include "zones.h"


#define TEST_ROOM   (256 * 1024)
#define TEST_STEPS  2500
#define TEST_MAX    2000      /* chats of a broadcast in random steps */
#define TEST_N      4         /* broadcasts */


/* what must be in the zone */

typedef struct {
    uint64_t                          id;          /* 0: none */
    ngx_uint_t                        loading;
    ngx_uint_t                        state;
    ngx_uint_t                        total;
    ngx_uint_t                        written;
    u_char                            chats[TEST_MAX];
    int64_t                           ids[TEST_MAX];
    ngx_http_tgbot_lease_t            loader;

    ngx_http_tgbot_lease_t            leader;
    ngx_uint_t                        slot;        /* of the leader */
    ngx_uint_t                        led;
    ngx_uint_t                        n;           /* taken */
    ngx_http_tgbot_broadcast_chat_t   flight[64];
    u_char                            taken[TEST_MAX];

    ngx_http_tgbot_lease_t            former;
    ngx_uint_t                        passed;      /* in flight under it */
    ngx_http_tgbot_broadcast_chat_t   past[64];
} test_cast_t;


static ngx_time_t                    test_time = { 1700000000, 0, 0 };
volatile ngx_time_t                 *ngx_cached_time = &test_time;

static ngx_http_tgbot_zone_t        *zone;
static ngx_http_tgbot_broadcast_t    bot;
static void                         *users[] = { &bot };
static ngx_str_t                     method = ngx_string("sendMessage");
static ngx_str_t                     text = ngx_string("{\"text\":\"hi\"}");

static ngx_http_tgbot_broadcast_info_t    info;
static ngx_http_tgbot_broadcast_result_t  results[TEST_MAX];

static test_cast_t                   casts[TEST_N];
static int64_t                       test_chat;
static uint64_t                      seed;

/* moves that the current step may make, by "from", as bits of "to" */
static u_char                        moves[NGX_HTTP_TGBOT_BROADCAST_CHATS];


static ngx_uint_t
test_random(ngx_uint_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return (seed >> 16) % n;
}


static void
test_zone(size_t room)
{
    ngx_memzero(&bot, sizeof(bot));

    ngx_str_set(&bot.bot, "shop");
    bot.bot_id = 42;

    unit_slot_be(0);

    zone = unit_zone(&ngx_http_tgbot_broadcast_zone, room, users, 1);
    bot.zone = zone;
}


static uint64_t
test_make(ngx_uint_t n, int64_t first)
{
    int64_t                 chat;
    uint64_t                id;
    ngx_uint_t              i;
    ngx_http_tgbot_lease_t  loader;

    id = 0;

    if (!is_int(ngx_http_tgbot_broadcast_create(&bot, &method, &text,
                                              NGX_HTTP_TGBOT_BROADCAST_GOING,
                                              &loader, &id), NGX_OK))
    {
        return 0;
    }

    for (i = 0; i < n; i++) {
        chat = first + i;
        is_int(ngx_http_tgbot_broadcast_add(&bot, id, &loader, &chat, 1),
               NGX_OK);
    }

    is_int(ngx_http_tgbot_broadcast_publish(&bot, id, &loader), NGX_OK);

    return id;
}


/* reads all chats, in order, and returns their number */

static ngx_uint_t
test_read(uint64_t id, ngx_uint_t mask)
{
    ngx_int_t                           rc;
    ngx_uint_t                          n, found;
    ngx_http_tgbot_broadcast_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(cursor));
    n = 0;

    do {
        rc = ngx_http_tgbot_broadcast_show_next(&bot, id, &cursor, mask,
                                         &results[n],
                                         ngx_min(7, TEST_MAX - n), &found);
        n += found;
    } while (rc == NGX_AGAIN && n < TEST_MAX);

    return n;
}


#define TEST_ALL  ((1 << NGX_HTTP_TGBOT_BROADCAST_CHATS) - 1)


/* takes chats, and puts them in flight */

static ngx_int_t
test_take(uint64_t id, ngx_http_tgbot_lease_t *leader,
    ngx_http_tgbot_broadcast_chat_t *chats, ngx_uint_t *n)
{
    ngx_int_t   rc;
    ngx_uint_t  i, max;

    max = *n;

    do {
        *n = max;
        rc = ngx_http_tgbot_broadcast_lead_take(&bot, id, leader, chats, n);
    } while (rc == NGX_OK && *n == 0);

    for (i = 0; i < *n; i++) {
        is_int(ngx_http_tgbot_broadcast_lead_start(&bot, id, leader,
                                                   &chats[i]), NGX_OK);
    }

    return rc;
}


/* becomes a leader, after as many looks as that takes */

static ngx_int_t
test_lead(ngx_http_tgbot_lease_t *leader, uint64_t *id, ngx_uint_t *unknown)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    *unknown = 0;

    do {
        rc = ngx_http_tgbot_broadcast_lead_find(&bot, leader, id, &n);
        *unknown += n;
    } while (rc == NGX_AGAIN);

    return rc;
}


static ngx_int_t
test_wait_again(uint64_t id, ngx_uint_t state, ngx_uint_t *n)
{
    ngx_int_t                          rc;
    ngx_http_tgbot_broadcast_cursor_t  cursor;

    ngx_memzero(&cursor, sizeof(cursor));
    *n = 0;

    do {
        rc = ngx_http_tgbot_broadcast_again(&bot, id, &cursor, state, n);
    } while (rc == NGX_AGAIN);

    return rc;
}


static void
is_chats(uint64_t id, ngx_uint_t state, ngx_uint_t n)
{
    is_int(ngx_http_tgbot_broadcast_show_get(&bot, id, &info), NGX_OK);
    is_int(info.chats[state], n);
}


static void
test_life(void)
{
    u_char                             buf[64];
    uint64_t                           id, other;
    ngx_uint_t                         n, unknown;
    ngx_http_tgbot_lease_t             leader;
    ngx_http_tgbot_broadcast_chat_t    chats[8];
    ngx_http_tgbot_broadcast_error_t   error;

    test_zone(TEST_ROOM);

    id = test_make(6, 100);

    is_int(ngx_http_tgbot_broadcast_show_get(&bot, id, &info), NGX_OK);
    is_int(info.total, 6);
    is_int(info.state, NGX_HTTP_TGBOT_BROADCAST_GOING);
    is_int(info.method_len, method.len);
    is_int(info.text_len, text.len);

    is_int(ngx_http_tgbot_broadcast_show_text(&bot, id, buf, text.len),
           NGX_OK);
    ok(ngx_memcmp(buf, text.data, text.len) == 0);

    is_int(test_lead(&leader, &other, &unknown),
           NGX_OK);
    is_int(other, id);

    is_int(test_lead(&leader, &other, &unknown),
           NGX_DECLINED);

    n = 8;
    is_int(test_take(id, &leader, chats, &n),
           NGX_OK);
    is_int(n, 6);
    is_int(chats[5].chat, 105);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_FLIGHT, 6);

    n = 8;
    is_int(test_take(id, &leader, chats + 6, &n),
           NGX_DONE);

    ngx_memzero(&error, sizeof(error));
    error.status = 403;
    error.len = 7;
    ngx_memcpy(error.text, "blocked", 7);

    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[0],
                                    NGX_HTTP_TGBOT_BROADCAST_SENT, NULL, 0);
    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[0],
                                    NGX_HTTP_TGBOT_BROADCAST_FAILED, NULL, 0);
    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[1],
                                    NGX_HTTP_TGBOT_BROADCAST_BLOCKED, &error,
                                    0);
    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[2],
                                    NGX_HTTP_TGBOT_BROADCAST_BLOCKED, &error,
                                    0);
    error.status = 400;
    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[3],
                                    NGX_HTTP_TGBOT_BROADCAST_FAILED, &error,
                                    0);
    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[4],
                                    NGX_HTTP_TGBOT_BROADCAST_UNKNOWN, NULL, 0);

    is_int(test_read(id, 1 << NGX_HTTP_TGBOT_BROADCAST_BLOCKED), 2);
    is_int(results[0].chat, 101);
    is_int(results[0].error, 1);
    is_int(results[1].error, 1);
    is_int(test_read(id, 1 << NGX_HTTP_TGBOT_BROADCAST_FAILED), 1);
    is_int(results[0].chat, 103);
    is_int(results[0].error, 2);

    is_int(ngx_http_tgbot_broadcast_show_error(&bot, id, 2, &error), NGX_OK);
    is_int(error.status, 400);
    is_int(ngx_http_tgbot_broadcast_show_error(&bot, id, 3, &error),
           NGX_DECLINED);

    is_int(ngx_http_tgbot_broadcast_drop(&bot, id), NGX_AGAIN);

    /* the leader dies: what it had in flight is unknown, also if paused */

    is_int(ngx_http_tgbot_broadcast_set(&bot, id,
                                        NGX_HTTP_TGBOT_BROADCAST_PAUSED),
           NGX_OK);

    unit_slot_die(0);
    unit_slot_be(1);

    is_int(test_lead(&leader, &other, &unknown),
           NGX_DECLINED);
    is_int(unknown, 1);

    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_UNKNOWN, 2);
    is_int(info.state, NGX_HTTP_TGBOT_BROADCAST_PAUSED);

    is_int(ngx_http_tgbot_broadcast_set(&bot, id,
                                        NGX_HTTP_TGBOT_BROADCAST_GOING),
           NGX_OK);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_SENT, 1);
    is_int(info.state, NGX_HTTP_TGBOT_BROADCAST_DONE);

    is_int(test_wait_again(id, NGX_HTTP_TGBOT_BROADCAST_UNKNOWN,
                                          &n), NGX_OK);
    is_int(n, 2);

    is_int(test_lead(&leader, &other, &unknown),
           NGX_OK);
    n = 8;
    is_int(test_take(id, &leader, chats, &n),
           NGX_OK);
    is_int(n, 2);
    is_int(chats[0].chat, 104);
    is_int(chats[1].chat, 105);

    unit_zone_free(zone);
    unit_slot_be(0);
}


/* a chat whose calls are given up waits again, but not for ever */

static void
test_again(void)
{
    uint64_t                           id;
    ngx_uint_t                         i, n, unknown;
    ngx_http_tgbot_lease_t             leader;
    ngx_http_tgbot_broadcast_chat_t    chats[2];
    ngx_http_tgbot_broadcast_error_t   error;

    test_zone(TEST_ROOM);

    id = test_make(2, -5);
    is_int(test_lead(&leader, &id, &unknown),
           NGX_OK);

    ngx_memzero(&error, sizeof(error));
    error.status = 500;

    for (i = 0; i < NGX_HTTP_TGBOT_BROADCAST_TRIES; i++) {

        n = 1;
        is_int(test_take(id, &leader, chats, &n),
               NGX_OK);
        is_int(chats[0].chat, -5);

        ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[0],
                                        NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                        NULL, 0);

        n = 2;
        is_int(test_take(id, &leader, chats, &n),
               NGX_OK);
        is_int(n, 2);
        is_int(chats[1].chat, -5);

        ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[0],
                                        NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                        NULL, 0);
        ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[1],
                                        NGX_HTTP_TGBOT_BROADCAST_FAILED,
                                        &error, 1);

        n = 1;
        is_int(test_take(id, &leader, chats, &n),
               NGX_OK);
        is_int(chats[0].chat, -4);
        ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[0],
                                        NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                        NULL, 0);
    }

    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_FAILED, 1);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_WAITING, 1);

    unit_zone_free(zone);
}


/* nine bytes a chat; a zone that is full makes nothing by halves */

static void
test_full(void)
{
    int64_t                          chats[450];
    uint64_t                         id, other;
    ngx_int_t                        rc;
    ngx_uint_t                       n, room;
    ngx_http_tgbot_lease_t           loader, second;
    ngx_http_tgbot_broadcast_area_t  area;

    test_zone(1024 * 1024);

    ngx_memzero(chats, sizeof(chats));

    ngx_http_tgbot_broadcast_area_lock(zone, &area);
    room = area.sh->room;
    ngx_http_tgbot_zone_unlock(zone);

    is_int(room, area.nblocks);

    is_int(ngx_http_tgbot_broadcast_create(&bot, &method, &text,
                                           NGX_HTTP_TGBOT_BROADCAST_GOING,
                                           &loader, &id), NGX_OK);

    n = 0;

    do {
        rc = ngx_http_tgbot_broadcast_add(&bot, id, &loader, chats, 450);
        n += 450;
    } while (rc == NGX_OK);

    is_int(rc, NGX_BUSY);
    ok(n > 105000);

    is_int(ngx_http_tgbot_broadcast_show_get(&bot, id, &info), NGX_DECLINED);
    is_int(ngx_http_tgbot_broadcast_create(&bot, &method, &text,
                                           NGX_HTTP_TGBOT_BROADCAST_GOING,
                                           &loader, &other), NGX_BUSY);

    /* the loader dies */

    unit_slot_die(0);

    id = test_make(10, 1);

    is_int(area.sh->room, room - 2);
    is_int(ngx_http_tgbot_broadcast_show_list(&bot, 0, 0, &info, 1), 1);
    is_int(info.id, id);

    /* chats that do not fit leave those that are there */

    is_int(ngx_http_tgbot_broadcast_load(&bot, id, &loader), NGX_OK);
    is_int(ngx_http_tgbot_broadcast_load(&bot, id, &second), NGX_AGAIN);

    do {
        rc = ngx_http_tgbot_broadcast_add(&bot, id, &loader, chats, 450);
    } while (rc == NGX_OK);

    ngx_http_tgbot_broadcast_abandon(&bot, id, &loader);

    is_int(area.sh->room, room - 2);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_WAITING, 10);

    unit_zone_free(zone);
}


/* a process that hung has lost its leases when it wakes up */

static void
test_hang(void)
{
    int64_t                          chat;
    uint64_t                         id, other;
    ngx_uint_t                       n, unknown;
    ngx_http_tgbot_lease_t           loader, leader;
    ngx_http_tgbot_broadcast_chat_t  chats[4];

    test_zone(TEST_ROOM);

    id = test_make(2, 1);
    chat = 3;

    is_int(ngx_http_tgbot_broadcast_load(&bot, id, &loader), NGX_OK);
    is_int(ngx_http_tgbot_broadcast_add(&bot, id, &loader, &chat, 1), NGX_OK);

    unit_slot_hang(0, 1);
    unit_slot_be(1);

    is_int(test_lead(&leader, &other, &unknown),
           NGX_OK);

    unit_slot_hang(0, 0);
    unit_slot_be(0);

    is_int(ngx_http_tgbot_broadcast_add(&bot, id, &loader, &chat, 1),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_broadcast_publish(&bot, id, &loader), NGX_DECLINED);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_WAITING, 2);

    /* the leader is the process of slot 1, and has all in flight */

    n = 4;
    is_int(test_take(id, &leader, chats, &n),
           NGX_OK);
    is_int(n, 2);

    unit_slot_hang(1, 1);

    is_int(test_lead(&loader, &other, &unknown),
           NGX_DECLINED);
    is_int(unknown, 2);

    unit_slot_hang(1, 0);

    is_int(test_wait_again(id, NGX_HTTP_TGBOT_BROADCAST_UNKNOWN,
                                          &n), NGX_OK);
    n = 4;
    is_int(test_take(id, &leader, chats, &n),
           NGX_DECLINED);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_WAITING, 2);

    unit_zone_free(zone);
}


/* a list does not go on into a block of chats that are not added yet */

static void
test_list(void)
{
    int64_t                            chat;
    uint64_t                           id;
    ngx_uint_t                         n;
    ngx_http_tgbot_lease_t             loader;
    ngx_http_tgbot_broadcast_cursor_t  cursor;

    test_zone(TEST_ROOM);

    id = test_make(NGX_HTTP_TGBOT_BROADCAST_SLOTS, 1);

    is_int(ngx_http_tgbot_broadcast_load(&bot, id, &loader), NGX_OK);

    chat = 1000;
    is_int(ngx_http_tgbot_broadcast_add(&bot, id, &loader, &chat, 1), NGX_OK);

    ngx_memzero(&cursor, sizeof(cursor));

    is_int(ngx_http_tgbot_broadcast_show_next(&bot, id, &cursor, TEST_ALL,
                                              results, TEST_MAX, &n),
           NGX_DONE);
    is_int(n, NGX_HTTP_TGBOT_BROADCAST_SLOTS);

    /* once it is added, the list has it */

    is_int(ngx_http_tgbot_broadcast_publish(&bot, id, &loader), NGX_OK);
    is_int(test_read(id, TEST_ALL), NGX_HTTP_TGBOT_BROADCAST_SLOTS + 1);

    unit_zone_free(zone);
}


/* a leader that ends keeps what it has in flight, and nothing else */

static void
test_resign(void)
{
    uint64_t                         id, other;
    ngx_uint_t                       n, unknown;
    ngx_http_tgbot_lease_t           first, second, third;
    ngx_http_tgbot_broadcast_chat_t  chats[4], next[4];

    test_zone(TEST_ROOM);

    id = test_make(8, 1);

    is_int(test_lead(&first, &other, &unknown), NGX_OK);
    n = 4;
    is_int(ngx_http_tgbot_broadcast_lead_take(&bot, id, &first, chats, &n),
           NGX_OK);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_FLIGHT, 0);

    for (n = 0; n < 3; n++) {
        is_int(ngx_http_tgbot_broadcast_lead_start(&bot, id, &first,
                                                   &chats[n]), NGX_OK);
    }

    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_FLIGHT, 3);
    is_int(ngx_http_tgbot_broadcast_lead_resign(&bot, id, &first, chats, 4),
           NGX_OK);

    /* the fourth was not sent, so others send it; and the first may not */

    unit_slot_be(1);

    is_int(test_lead(&second, &other, &unknown), NGX_OK);
    is_int(unknown, 0);
    is_int(ngx_http_tgbot_broadcast_lead_start(&bot, id, &first, &chats[3]),
           NGX_DECLINED);

    n = 1;
    is_int(test_take(id, &second, next, &n), NGX_OK);
    is_int(next[0].chat, 5);
    n = 3;
    is_int(test_take(id, &second, next + 1, &n), NGX_OK);
    is_int(next[3].chat, 8);
    n = 4;
    is_int(test_take(id, &second, chats + 3, &n), NGX_OK);
    is_int(n, 1);
    is_int(chats[3].chat, 4);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_FLIGHT, 8);

    /* each settles its own chats only */

    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &first, &chats[0],
                                      NGX_HTTP_TGBOT_BROADCAST_SENT, NULL, 0);
    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &first, &next[0],
                                    NGX_HTTP_TGBOT_BROADCAST_FAILED, NULL, 0);
    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &second, &chats[1],
                                    NGX_HTTP_TGBOT_BROADCAST_FAILED, NULL, 0);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_SENT, 1);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_FLIGHT, 7);

    /* there is one leader before, so the second stays until it has ended */

    is_int(ngx_http_tgbot_broadcast_lead_resign(&bot, id, &second, next, 4),
           NGX_AGAIN);

    unit_slot_die(0);
    unit_slot_be(2);

    is_int(test_lead(&third, &other, &unknown), NGX_DECLINED);
    is_int(unknown, 2);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_FLIGHT, 5);

    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &second, &next[0],
                                      NGX_HTTP_TGBOT_BROADCAST_SENT, NULL, 0);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_SENT, 2);

    is_int(ngx_http_tgbot_broadcast_lead_resign(&bot, id, &second, next, 4),
           NGX_OK);

    unit_slot_die(1);

    /* chats[3] was in flight, but was not told of: it is unknown as well */

    is_int(test_lead(&third, &other, &unknown), NGX_DECLINED);
    is_int(unknown, 4);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_UNKNOWN, 6);

    unit_zone_free(zone);
    unit_slot_be(0);
}


/* chats that were taken, and not sent, are not unknown after a kill */

static void
test_taken(void)
{
    uint64_t                         id, other;
    ngx_uint_t                       n, unknown;
    ngx_http_tgbot_lease_t           leader;
    ngx_http_tgbot_broadcast_chat_t  chats[8];

    test_zone(TEST_ROOM);

    id = test_make(8, 1);

    is_int(test_lead(&leader, &other, &unknown), NGX_OK);
    n = 8;
    is_int(ngx_http_tgbot_broadcast_lead_take(&bot, id, &leader, chats, &n),
           NGX_OK);
    is_int(n, 8);

    is_int(ngx_http_tgbot_broadcast_lead_start(&bot, id, &leader, &chats[1]),
           NGX_OK);
    is_int(ngx_http_tgbot_broadcast_lead_start(&bot, id, &leader, &chats[2]),
           NGX_OK);
    ngx_http_tgbot_broadcast_lead_wait(&bot, id, &leader, &chats[2]);

    n = 8;
    is_int(ngx_http_tgbot_broadcast_lead_take(&bot, id, &leader, chats, &n),
           NGX_DONE);

    /* what is paused is not sent, also if it was taken before */

    is_int(ngx_http_tgbot_broadcast_set(&bot, id,
                                        NGX_HTTP_TGBOT_BROADCAST_PAUSED),
           NGX_OK);
    is_int(ngx_http_tgbot_broadcast_lead_start(&bot, id, &leader, &chats[2]),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_broadcast_set(&bot, id,
                                        NGX_HTTP_TGBOT_BROADCAST_GOING),
           NGX_OK);

    unit_slot_die(0);
    is_int(unit_zone_start(zone, NGX_HTTP_TGBOT_ZONE_DIRTY), NGX_OK);

    is_int(test_lead(&leader, &other, &unknown), NGX_OK);
    is_int(unknown, 1);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_WAITING, 7);

    n = 8;
    is_int(test_take(id, &leader, chats, &n), NGX_OK);
    is_int(n, 7);
    is_int(chats[0].chat, 1);
    is_int(chats[1].chat, 3);

    unit_zone_free(zone);
}


/* what is done inside one lock does not grow with the broadcast */

#define TEST_STOPS  1000000

static ngx_uint_t
test_stops(void)
{
    ngx_uint_t  n;

    n = TEST_STOPS - unit_zone_stop_at;
    unit_zone_stop_at = TEST_STOPS;

    return n;
}


static void
test_bounds(void)
{
    int64_t                            ids[400];
    uint64_t                           id, other;
    ngx_int_t                          rc;
    ngx_uint_t                         i, n, k, unknown;
    ngx_http_tgbot_lease_t             leader, loader;
    ngx_http_tgbot_broadcast_chat_t    chats[128];
    ngx_http_tgbot_broadcast_cursor_t  cursor;

    test_zone(1024 * 1024);

    id = test_make(0, 1);

    is_int(ngx_http_tgbot_broadcast_load(&bot, id, &loader), NGX_OK);

    for (i = 0; i < 100; i++) {
        for (n = 0; n < 400; n++) {
            ids[n] = 1 + i * 400 + n;
        }

        is_int(ngx_http_tgbot_broadcast_add(&bot, id, &loader, ids, 400),
               NGX_OK);
    }

    is_int(ngx_http_tgbot_broadcast_publish(&bot, id, &loader), NGX_OK);

    /* many are in flight when the leader dies */

    is_int(test_lead(&leader, &other, &unknown), NGX_OK);

    for (i = 0; i < 39900; i += n) {
        n = ngx_min(128, 39900 - i);
        is_int(test_take(id, &leader, chats, &n), NGX_OK);

        /* before and behind these there is nothing else to do */

        for (k = 0; k < n && i > 64 && i < 39000; k++) {
            ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[k],
                                    NGX_HTTP_TGBOT_BROADCAST_FAILED, NULL, 0);
        }
    }

    unit_slot_die(0);
    unit_slot_be(1);
    unit_zone_stop_at = TEST_STOPS;

    k = 0;
    unknown = 0;

    do {
        rc = ngx_http_tgbot_broadcast_lead_find(&bot, &leader, &other, &n);
        unknown += n;
        ok(n <= 450);
        ok(test_stops() <= 460);
        k++;
    } while (rc == NGX_AGAIN);

    is_int(rc, NGX_OK);
    ok(k > 80);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_UNKNOWN, unknown);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_FLIGHT, 0);

    /* one waits, just before the place where the next look begins */

    n = 128;
    is_int(ngx_http_tgbot_broadcast_lead_take(&bot, id, &leader, chats, &n),
           NGX_OK);
    is_int(n, 100);
    is_int(chats[0].chat, 39901);

    ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[0],
                                         NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                         NULL, 0);
    k = 0;

    do {
        n = 128;
        rc = ngx_http_tgbot_broadcast_lead_take(&bot, id, &leader, chats, &n);
        k++;
    } while (rc == NGX_OK && n == 0);

    is_int(rc, NGX_OK);
    is_int(n, 1);
    ok(k > 60);
    is_int(chats[0].chat, 39901);

    /* all that failed wait again */

    ngx_memzero(&cursor, sizeof(cursor));
    k = 0;
    n = 0;
    test_stops();

    do {
        i = n;
        rc = ngx_http_tgbot_broadcast_again(&bot, id, &cursor,
                                          NGX_HTTP_TGBOT_BROADCAST_FAILED, &n);
        ok(n - i <= 450);
        ok(test_stops() <= 460);
        k++;
    } while (rc == NGX_AGAIN);

    is_int(rc, NGX_OK);
    ok(k > 60);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_FAILED, 0);

    /* a load that is abandoned, and a broadcast that is deleted */

    is_int(ngx_http_tgbot_broadcast_load(&bot, id, &loader), NGX_OK);

    for (i = 0; i < 100; i++) {
        is_int(ngx_http_tgbot_broadcast_add(&bot, id, &loader, ids, 400),
               NGX_OK);
    }

    test_stops();
    ngx_http_tgbot_broadcast_abandon(&bot, id, &loader);
    ok(test_stops() <= 4);

    is_int(ngx_http_tgbot_broadcast_set(&bot, id,
                                        NGX_HTTP_TGBOT_BROADCAST_CANCELLED),
           NGX_OK);
    test_stops();
    is_int(ngx_http_tgbot_broadcast_drop(&bot, id), NGX_OK);
    ok(test_stops() <= 8);

    unit_zone_stop_at = 0;

    id = test_make(1000, 1);
    is_int(test_read(id, TEST_ALL), 1000);

    unit_zone_free(zone);
    unit_slot_be(0);
}


/* the order of lists */

static void
is_list(ngx_uint_t first, const char *ids)
{
    u_char                           text[64], *p;
    ngx_uint_t                       i, n;
    ngx_http_tgbot_broadcast_info_t  infos[8];

    p = text;
    n = ngx_http_tgbot_broadcast_show_list(&bot, 0, first, infos, 5);

    for (i = 0; i < n; i++) {
        p = ngx_sprintf(p, "%s%uL", i ? " " : "", infos[i].id);
    }

    *p = '\0';
    ok(ngx_strcmp(text, ids) == 0);
}


static void
test_order(void)
{
    ngx_uint_t  i;

    test_zone(8 * 65536);

    for (i = 0; i < 6; i++) {
        (void) test_make(1, 1);
    }

    is_int(ngx_http_tgbot_broadcast_set(&bot, 2,
                                        NGX_HTTP_TGBOT_BROADCAST_PAUSED),
           NGX_OK);
    is_int(ngx_http_tgbot_broadcast_set(&bot, 1,
                                        NGX_HTTP_TGBOT_BROADCAST_CANCELLED),
           NGX_OK);
    is_int(ngx_http_tgbot_broadcast_set(&bot, 4,
                                        NGX_HTTP_TGBOT_BROADCAST_CANCELLED),
           NGX_OK);

    is_list(0, "1 2 3 4 5");
    is_list(1, "6 5 3 2 4");

    unit_zone_free(zone);
}


static void
test_bots(void)
{
    uint64_t                    id;
    ngx_http_tgbot_broadcast_t  other;

    test_zone(TEST_ROOM);

    id = test_make(1, 1);

    other = bot;
    other.bot_id = 43;

    is_int(ngx_http_tgbot_broadcast_show_get(&other, id, &info),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_broadcast_show_list(&other, 0, 0, &info, 1), 0);
    is_int(ngx_http_tgbot_broadcast_drop(&other, id), NGX_DECLINED);

    ngx_str_set(&other.bot, "shoq");
    other.bot_id = 42;

    is_int(ngx_http_tgbot_broadcast_set(&other, id,
                                        NGX_HTTP_TGBOT_BROADCAST_PAUSED),
           NGX_DECLINED);

    unit_zone_free(zone);
}


/* a file of another size */

static void
test_copy(void)
{
    uint64_t                id;
    ngx_http_tgbot_zone_t  *old;

    test_zone(TEST_ROOM);

    (void) test_make(3, 1);
    id = test_make(1000, 7);

    old = zone;

    zone = unit_zone(&ngx_http_tgbot_broadcast_zone, 4 * TEST_ROOM, users, 1);
    bot.zone = zone;

    is_int(ngx_http_tgbot_broadcast_zone.copy(zone, old), NGX_OK);

    is_int(test_read(id, TEST_ALL), 1000);
    is_int(results[999].chat, 1006);
    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_WAITING, 1000);
    is_int(test_make(1, 1), id + 1);

    unit_zone_free(zone);

    zone = unit_zone(&ngx_http_tgbot_broadcast_zone,
                     ngx_http_tgbot_broadcast_zone.min, users, 1);
    ok(zone != NULL);

    unit_zone_free(old);
    unit_zone_free(zone);
}


/*
 * Random steps against a model.  At a random point inside the lock a step is
 * killed: its chats are where they were before it or after it.
 */

static void
model_allow(ngx_uint_t from, ngx_uint_t to)
{
    moves[from] |= 1 << to;
}


static test_cast_t *
model_some(ngx_uint_t loading)
{
    ngx_uint_t  i, k;

    k = test_random(TEST_N);

    for (i = 0; i < TEST_N; i++, k++) {
        if (casts[k % TEST_N].id && casts[k % TEST_N].loading == loading) {
            return &casts[k % TEST_N];
        }
    }

    return NULL;
}


static ngx_uint_t
model_chain(ngx_http_tgbot_broadcast_area_t *area, uint32_t n)
{
    ngx_uint_t  blocks;

    for (blocks = 0;
         n != NGX_HTTP_TGBOT_BROADCAST_NIL && blocks <= area->nblocks;
         n = area->blocks[n].next)
    {
        blocks++;
    }

    return blocks;
}


/* compares the zone with the model, or takes over what a killed step did */

static void
model_check(ngx_uint_t killed)
{
    u_char                           *was;
    uint32_t                          free;
    ngx_uint_t                        i, k, n, count[6], blocks, seen;
    test_cast_t                      *cast;
    ngx_http_tgbot_broadcast_area_t   area;

    for (i = 0; i < TEST_N; i++) {
        cast = &casts[i];

        if (cast->id == 0 || cast->loading) {
            continue;
        }

        if (ngx_http_tgbot_broadcast_show_get(&bot, cast->id, &info)
            != NGX_OK)
        {
            ok(killed == 2);
            ngx_memzero(cast, sizeof(test_cast_t));
            continue;
        }

        if (info.total != cast->total) {
            ok(killed);
            is_int(info.total, cast->written);
            cast->total = info.total;
        }

        n = test_read(cast->id, TEST_ALL);
        is_int(n, cast->total);

        ngx_memzero(count, sizeof(count));

        for (k = 0; k < n; k++) {
            was = &cast->chats[k];

            is_int(results[k].chat, cast->ids[k]);

            if (results[k].state != *was) {
                ok(killed && (moves[*was] & (1 << results[k].state)));
                *was = results[k].state;
            }

            count[*was]++;
        }

        for (k = 0; k < 6; k++) {
            is_int(info.chats[k], count[k]);
        }
    }

    ngx_http_tgbot_broadcast_area_lock(zone, &area);

    blocks = 0;
    seen = 0;

    for (free = area.sh->free;
         free != NGX_HTTP_TGBOT_BROADCAST_NIL && blocks <= area.nblocks;
         free = area.blocks[free].next)
    {
        blocks++;
    }

    for (i = 0; i < area.nrecords; i++) {
        if (area.records[i].id) {
            seen += model_chain(&area, area.records[i].text)
                    + model_chain(&area, area.records[i].chats)
                    + model_chain(&area, area.records[i].errors);
        }
    }

    is_int(area.sh->room, blocks);
    is_int(blocks + seen, area.nblocks);

    ngx_http_tgbot_zone_unlock(zone);
}


static void
model_load(void)
{
    int64_t       chats[600];
    uint64_t      id;
    ngx_int_t     rc;
    ngx_uint_t    i, n;
    test_cast_t  *cast;

    for (i = 0; i < TEST_N && casts[i].id; i++) { /* void */ }

    cast = model_some(1);

    if (cast == NULL && i < TEST_N && test_random(2)) {
        cast = &casts[i];

        rc = ngx_http_tgbot_broadcast_create(&bot, &method, &text,
                                             NGX_HTTP_TGBOT_BROADCAST_GOING,
                                             &cast->loader, &id);
        if (rc == NGX_OK) {
            cast->id = id;
            cast->loading = 1;
        }

        return;
    }

    if (cast == NULL) {
        cast = model_some(0);

        if (cast == NULL
            || ngx_http_tgbot_broadcast_load(&bot, cast->id, &cast->loader)
               != NGX_OK)
        {
            return;
        }
    }

    n = test_random(600);
    n = ngx_min(n, TEST_MAX - cast->total);

    for (i = 0; i < n; i++) {
        chats[i] = ++test_chat;
        cast->ids[cast->total + i] = chats[i];
        cast->chats[cast->total + i] = NGX_HTTP_TGBOT_BROADCAST_WAITING;
    }

    rc = ngx_http_tgbot_broadcast_add(&bot, cast->id, &cast->loader, chats,
                                      n);

    if (rc != NGX_OK || test_random(4) == 0) {
        ngx_http_tgbot_broadcast_abandon(&bot, cast->id, &cast->loader);

        if (cast->loading) {
            ngx_memzero(cast, sizeof(test_cast_t));
        }

        return;
    }

    /* a creation whose publishing is killed is there or not */

    cast->written = cast->total + n;

    is_int(ngx_http_tgbot_broadcast_publish(&bot, cast->id, &cast->loader),
           NGX_OK);

    cast->total = cast->written;
    cast->loading = 0;
}


/* chats have ids that rise */

static ngx_uint_t
model_number(test_cast_t *cast, ngx_http_tgbot_broadcast_chat_t *chat)
{
    ngx_uint_t  k;

    for (k = 0; k < cast->total; k++) {
        if (cast->ids[k] == chat->chat) {
            return k;
        }
    }

    ok(0);

    return 0;
}


/* some that were taken are sent, and some of these wait to be sent again */

static void
model_start(test_cast_t *cast)
{
    ngx_uint_t                        i, k;
    ngx_http_tgbot_broadcast_chat_t  *chat;

    for (i = test_random(20); i && cast->n; i--) {

        chat = &cast->flight[test_random(cast->n)];
        k = model_number(cast, chat);

        if (test_random(4)) {
            model_allow(NGX_HTTP_TGBOT_BROADCAST_WAITING,
                        NGX_HTTP_TGBOT_BROADCAST_FLIGHT);

            if (ngx_http_tgbot_broadcast_lead_start(&bot, cast->id,
                                                    &cast->leader, chat)
                == NGX_OK)
            {
                cast->chats[k] = NGX_HTTP_TGBOT_BROADCAST_FLIGHT;
            }

            continue;
        }

        model_allow(NGX_HTTP_TGBOT_BROADCAST_FLIGHT,
                    NGX_HTTP_TGBOT_BROADCAST_WAITING);

        ngx_http_tgbot_broadcast_lead_wait(&bot, cast->id, &cast->leader,
                                           chat);
        cast->chats[k] = NGX_HTTP_TGBOT_BROADCAST_WAITING;
    }
}


/* results of the last ones of "n" chats */

static void
model_settle(test_cast_t *cast, ngx_http_tgbot_lease_t *lease,
    ngx_http_tgbot_broadcast_chat_t *chats, ngx_uint_t *n)
{
    ngx_uint_t                         i, k, state;
    ngx_http_tgbot_broadcast_error_t   error;

    for (i = test_random(20); i && *n; i--) {

        k = model_number(cast, &chats[*n - 1]);

        state = test_random(NGX_HTTP_TGBOT_BROADCAST_CHATS);

        if (cast->chats[k] != NGX_HTTP_TGBOT_BROADCAST_FLIGHT) {
            state = NGX_HTTP_TGBOT_BROADCAST_WAITING;

        } else if (state == NGX_HTTP_TGBOT_BROADCAST_FLIGHT) {
            state = NGX_HTTP_TGBOT_BROADCAST_SENT;
        }

        ngx_memzero(&error, sizeof(error));
        error.status = 400 + test_random(40);
        error.len = 5;
        ngx_memset(error.text, 'a' + test_random(5), 5);

        model_allow(NGX_HTTP_TGBOT_BROADCAST_FLIGHT, state);

        (*n)--;

        ngx_http_tgbot_broadcast_lead_settle(&bot, cast->id, lease, &chats[*n],
                                             state, &error, 0);
        cast->chats[k] = state;
        cast->taken[k] = 0;
    }
}


/* the leader ends, and gives what was not sent back before */

static void
model_resign(test_cast_t *cast)
{
    ngx_uint_t  i, k, n;

    for (i = 0, n = 0; i < cast->n; i++) {
        k = model_number(cast, &cast->flight[i]);

        if (cast->chats[k] == NGX_HTTP_TGBOT_BROADCAST_FLIGHT) {
            cast->flight[n++] = cast->flight[i];
            continue;
        }

        ngx_http_tgbot_broadcast_lead_settle(&bot, cast->id, &cast->leader,
                                           &cast->flight[i],
                                           NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                           NULL, 0);
        cast->taken[k] = 0;
    }

    cast->n = n;

    if (n == 0 || cast->passed
        || ngx_http_tgbot_broadcast_lead_resign(&bot, cast->id, &cast->leader,
                                                cast->flight, n)
           != NGX_OK)
    {
        return;
    }

    ngx_memcpy(cast->past, cast->flight, n * sizeof(cast->flight[0]));

    cast->former = cast->leader;
    cast->passed = n;
    cast->n = 0;
    cast->led = 0;
}


static void
model_send(void)
{
    uint64_t                           id;
    ngx_int_t                          rc;
    ngx_uint_t                         i, k, n, unknown;
    test_cast_t                       *cast;
    ngx_http_tgbot_lease_t             leader;

    rc = test_lead(&leader, &id, &unknown);

    for (i = 0; rc == NGX_OK && i < TEST_N; i++) {
        if (casts[i].id == id) {
            casts[i].led = 1;
            casts[i].leader = leader;
            casts[i].n = 0;
        }
    }

    cast = model_some(0);

    if (cast == NULL) {
        return;
    }

    if (cast->passed) {
        model_settle(cast, &cast->former, cast->past, &cast->passed);

        if (cast->passed == 0) {
            ngx_http_tgbot_broadcast_lead_leave(&bot, cast->id, &cast->former);
        }
    }

    if (!cast->led) {
        return;
    }

    n = test_random(20) + 1;
    n = ngx_min(n, 64 - cast->n);

    rc = ngx_http_tgbot_broadcast_lead_take(&bot, cast->id, &cast->leader,
                                            &cast->flight[cast->n], &n);

    if (rc == NGX_OK) {
        for (i = 0; i < n; i++) {
            k = model_number(cast, &cast->flight[cast->n + i]);

            is_int(cast->chats[k], NGX_HTTP_TGBOT_BROADCAST_WAITING);
            is_int(cast->taken[k], 0);
            cast->taken[k] = 1;
        }

        cast->n += n;
    }

    model_start(cast);
    model_settle(cast, &cast->leader, cast->flight, &cast->n);

    if (test_random(8) == 0) {
        model_resign(cast);

    } else if (cast->n == 0 && test_random(3) == 0) {
        ngx_http_tgbot_broadcast_lead_leave(&bot, cast->id, &cast->leader);
        cast->led = 0;
    }
}


static ngx_uint_t
model_change(void)
{
    ngx_uint_t    i, n, state;
    test_cast_t  *cast;

    cast = model_some(0);

    if (cast == NULL) {
        return 1;
    }

    switch (test_random(4)) {

    case 0:
        state = test_random(8) ? test_random(2)
                               : NGX_HTTP_TGBOT_BROADCAST_CANCELLED;
        (void) ngx_http_tgbot_broadcast_set(&bot, cast->id, state);
        return 1;

    case 1:
        state = NGX_HTTP_TGBOT_BROADCAST_BLOCKED + test_random(3);
        model_allow(state, NGX_HTTP_TGBOT_BROADCAST_WAITING);

        if (test_wait_again(cast->id, state, &n) != NGX_OK) {
            return 1;
        }

        for (i = 0; i < cast->total; i++) {
            if (cast->chats[i] == state) {
                cast->chats[i] = NGX_HTTP_TGBOT_BROADCAST_WAITING;
                n--;
            }
        }

        is_int(n, 0);
        return 1;

    default:
        if (ngx_http_tgbot_broadcast_drop(&bot, cast->id) == NGX_OK) {
            ngx_memzero(cast, sizeof(test_cast_t));
        }

        return 2;
    }
}


/* all leases of this process are over: who is in flight is unknown */

static void
model_died(void)
{
    uint64_t                id;
    ngx_uint_t              i, unknown;
    ngx_http_tgbot_lease_t  leader;

    unit_slot_die(0);

    for (i = 0; i < TEST_N; i++) {

        if (casts[i].loading) {

            /* a publish may have been the last step */

            if (ngx_http_tgbot_broadcast_show_get(&bot, casts[i].id, &info)
                == NGX_OK)
            {
                casts[i].loading = 0;
                casts[i].total = info.total;
                casts[i].written = info.total;

            } else {
                ngx_memzero(&casts[i], sizeof(test_cast_t));
            }
        }

        casts[i].led = 0;
        casts[i].n = 0;
        casts[i].passed = 0;
        ngx_memzero(casts[i].taken, TEST_MAX);
    }

    model_allow(NGX_HTTP_TGBOT_BROADCAST_FLIGHT,
                NGX_HTTP_TGBOT_BROADCAST_UNKNOWN);

    /* a chat that was only taken is not unknown */

    if (moves[NGX_HTTP_TGBOT_BROADCAST_WAITING]) {
        model_allow(NGX_HTTP_TGBOT_BROADCAST_WAITING,
                    NGX_HTTP_TGBOT_BROADCAST_UNKNOWN);
    }

    /* each is led once, so each is looked at */

    unit_slot_be(7);

    while (test_lead(&leader, &id, &unknown) == NGX_OK) {
        /* void */
    }

    unit_slot_die(7);
    unit_slot_be(0);
}


static void
model_run(uint64_t number)
{
    volatile ngx_uint_t  step, kind, killed;

    seed = number * 0x9e3779b97f4a7c15ULL + 1;

    ngx_memzero(casts, sizeof(casts));

    test_zone(TEST_ROOM);

    for (step = 0; step < TEST_STEPS; step++) {

        unit_context("seed %llu, step %llu", (unsigned long long) number,
                     (unsigned long long) step);

        ngx_memzero(moves, sizeof(moves));

        killed = 0;
        kind = 1;

        unit_zone_stop_at = test_random(3) ? 0 : 1 + test_random(30);

        if (setjmp(unit_zone_killed) == 0) {

            switch (test_random(5)) {
            case 0:
                model_load();
                break;

            case 1:
                kind = 2;
                kind = model_change();
                break;

            default:
                model_send();
            }

        } else {
            killed = kind;
        }

        unit_zone_stop_at = 0;

        if (killed || test_random(100) == 0) {

            killed = ngx_max(killed, 1);

            if (test_random(3) == 0) {
                unit_zone_start(zone, NGX_HTTP_TGBOT_ZONE_DIRTY);
            }

            model_died();
        }

        model_check(killed);
    }

    unit_zone_free(zone);
}


static void
test_model(void)
{
    uint64_t  number;

    for (number = 1; number <= 5; number++) {
        model_run(number);
    }

    unit_context("%s", "");
}


/* the machine goes down: each page is of one of two moments, or is zeros */

static u_char  one[2 * TEST_ROOM], two[2 * TEST_ROOM];


static void
test_torn(void)
{
    size_t                              size, n;
    uint64_t                            id, number;
    ngx_uint_t                          i, k, left, unknown;
    ngx_http_tgbot_lease_t              leader;
    ngx_http_tgbot_broadcast_chat_t     chats[64];
    ngx_http_tgbot_broadcast_cursor_t   cursor;

    for (number = 1; number <= 400; number++) {

        seed = number * 0x9e3779b97f4a7c15ULL + 1;
        unit_context("seed %llu", (unsigned long long) number);

        test_zone(TEST_ROOM);

        size = zone->size;

        ok(size <= sizeof(one));

        (void) test_make(test_random(1500), 1000);
        id = test_make(test_random(1500) + 64, 1000);

        ngx_memcpy(one, zone->sh, size);

        /* some are sent, one is deleted, one is made */

        (void) ngx_http_tgbot_broadcast_set(&bot, id - 1,
                                          NGX_HTTP_TGBOT_BROADCAST_CANCELLED);
        (void) ngx_http_tgbot_broadcast_drop(&bot, id - 1);

        k = 64;
        is_int(test_lead(&leader, &id, &unknown), NGX_OK);
        is_int(test_take(id, &leader, chats, &k), NGX_OK);

        for (i = 0; i < k; i++) {
            ngx_http_tgbot_broadcast_lead_settle(&bot, id, &leader, &chats[i],
                                            NGX_HTTP_TGBOT_BROADCAST_SENT,
                                            NULL, 0);
        }

        (void) test_make(test_random(1500), 5000);

        ngx_memcpy(two, zone->sh, size);

        for (n = 0; n < size; n += 4096) {

            left = ngx_min(4096, size - n);

            switch (test_random(8)) {
            case 0:
                ngx_memzero((u_char *) zone->sh + n, left);
                break;

            case 1:
            case 2:
            case 3:
                ngx_memcpy((u_char *) zone->sh + n, one + n, left);
                break;

            default:
                ngx_memcpy((u_char *) zone->sh + n, two + n, left);
            }
        }

        /* the header is checked before a zone is opened */

        ngx_memcpy(zone->sh, two, sizeof(ngx_http_tgbot_zone_sh_t));

        is_int(unit_zone_start(zone, NGX_HTTP_TGBOT_ZONE_TORN), NGX_OK);

        for (id = 1; id <= 3; id++) {

            if (ngx_http_tgbot_broadcast_show_get(&bot, id, &info) != NGX_OK) {
                continue;
            }

            ok(info.state != NGX_HTTP_TGBOT_BROADCAST_GOING);

            ngx_memzero(&cursor, sizeof(cursor));

            is_int(test_read(id, TEST_ALL), info.total);

            for (i = 0; i < info.total; i++) {
                is_int(results[i].chat, (id == 3 ? 5000 : 1000) + i);
            }
        }

        unit_slot_die(0);

        id = test_make(100, 9000);
        is_chats(id, NGX_HTTP_TGBOT_BROADCAST_WAITING, 100);

        unit_zone_free(zone);
    }

    unit_context("%s", "");
}


/* chats in a page that was not written are counted */

static void
test_broken(void)
{
    uint64_t                         id;
    ngx_http_tgbot_broadcast_area_t  area;

    test_zone(TEST_ROOM);

    id = test_make(1000, 1);

    is_int(ngx_http_tgbot_broadcast_broken(zone), 0);

    ngx_http_tgbot_broadcast_area_lock(zone, &area);
    ngx_memzero(&area.blocks[area.blocks[area.records[0].chats].next],
                NGX_HTTP_TGBOT_BROADCAST_BLOCK);
    ngx_http_tgbot_zone_unlock(zone);

    is_int(unit_zone_start(zone, NGX_HTTP_TGBOT_ZONE_TORN), NGX_OK);

    is_chats(id, NGX_HTTP_TGBOT_BROADCAST_WAITING,
             NGX_HTTP_TGBOT_BROADCAST_SLOTS);
    is_int(ngx_http_tgbot_broadcast_broken(zone),
           1000 - NGX_HTTP_TGBOT_BROADCAST_SLOTS);
    is_int(ngx_http_tgbot_broadcast_broken(zone), 0);

    unit_zone_free(zone);
}


static unit_case_t  cases[] = {
    { "from its creation to its end", test_life },
    { "a chat that is tried again", test_again },
    { "a full zone", test_full },
    { "a process that hung", test_hang },
    { "a list while chats are added", test_list },
    { "a leader that ends, and the next one", test_resign },
    { "chats that are taken and not sent", test_taken },
    { "work inside the lock", test_bounds },
    { "the order of lists", test_order },
    { "bots", test_bots },
    { "a copy of another size", test_copy },
    { "random steps, killed and repaired", test_model },
    { "the machine goes down", test_torn },
    { "chats that are lost with a page", test_broken }
};


int
main(void)
{
    return unit_main(cases, unit_n(cases));
}
