
/*
 * The directory of the bots that a zone knows: whose entry is whose over
 * reloads, refused ones, and deaths of the process that changes it.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone_bots.h"

#include "unit.h"
#include "zones.h"


#define TEST_ENTRIES  6
#define TEST_NAMES    10
#define TEST_MADE     0x6d616465


typedef struct {
    ngx_http_tgbot_zone_bot_t      bot;
    uint32_t                       made;       /* by test_make() */
    uint32_t                       size;       /* of the user */
    uint32_t                       held;
    uint32_t                       text;       /* what a test wrote */
} test_entry_t;


/* begins as ngx_http_tgbot_zone_user_t */

typedef struct {
    ngx_http_tgbot_zone_t         *zone;
    ngx_str_t                      bot;
    uint64_t                       bot_id;
    ngx_uint_t                     entry;
    uint32_t                       serial;

    uint32_t                       size;
} test_user_t;


static ngx_int_t test_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh);
static void test_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_bots_t *bots);
static ngx_uint_t test_match(void *entry, void *user);
static ngx_int_t test_make(ngx_http_tgbot_zone_bots_t *bots, void *entry,
    void *user);
static ngx_http_tgbot_zone_t *test_zone(ngx_http_tgbot_zone_t *old,
    test_user_t *users, ngx_uint_t n);
static ngx_http_tgbot_zone_t *test_start(ngx_http_tgbot_zone_t *old,
    test_user_t *users, ngx_uint_t n);
static test_user_t test_user(const char *name, uint64_t id);
static test_entry_t *test_entry(test_user_t *user);
static test_entry_t *test_enter(test_user_t *user, ngx_uint_t named);
static ngx_uint_t test_named(test_user_t *user);
static ngx_uint_t test_sound(ngx_http_tgbot_zone_t *zone);
static uint32_t test_random(uint32_t n);


static const ngx_http_tgbot_zone_kind_t  test_kind = {
    99, "test", sizeof(ngx_http_tgbot_zone_bots_sh_t), test_init,
    NULL,
    NULL,
    1
};


static ngx_uint_t              test_full;      /* make() finds no room */
static ngx_http_tgbot_zone_t  *test_zones[64];
static ngx_uint_t              test_nzones;


static ngx_int_t
test_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_int_t                   rc;
    ngx_http_tgbot_zone_bots_t  bots;

    test_open(zone, &bots);

    if (fresh) {
        ngx_memzero(ngx_http_tgbot_zone_data(zone->sh),
                    ngx_http_tgbot_zone_room(zone->sh));
        bots.sh->n = TEST_ENTRIES;
    }

    (void) ngx_http_tgbot_zone_lock(zone);

    rc = ngx_http_tgbot_zone_bots_init(&bots);

    ngx_http_tgbot_zone_unlock(zone);

    return rc;
}


static void
test_open(ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_zone_bots_t *bots)
{
    u_char  *p;

    p = ngx_http_tgbot_zone_data(zone->sh);

    bots->zone = zone;
    bots->sh = (ngx_http_tgbot_zone_bots_sh_t *) p;
    bots->entries = p + 64;
    bots->size = sizeof(test_entry_t);
    bots->held = offsetof(test_entry_t, held);
    bots->match = test_match;
    bots->make = test_make;
}


static ngx_uint_t
test_match(void *entry, void *user)
{
    return ((test_entry_t *) entry)->size == ((test_user_t *) user)->size;
}


static ngx_int_t
test_make(ngx_http_tgbot_zone_bots_t *bots, void *entry, void *user)
{
    test_entry_t  *e = entry;

    is_int(e->bot.serial, 0);
    is_int(e->bot.named[0] + e->bot.named[1], 0);
    is_int(e->made + e->size + e->held + e->text, 0);

    if (test_full) {
        return NGX_ERROR;
    }

    e->made = TEST_MADE;
    e->size = ((test_user_t *) user)->size;

    return NGX_OK;
}


/* a configuration that is tested or refused; NULL: the zone refused it */

static ngx_http_tgbot_zone_t *
test_zone(ngx_http_tgbot_zone_t *old, test_user_t *users, ngx_uint_t n)
{
    void                   *pointers[TEST_ENTRIES + 1];
    ngx_uint_t              i;
    ngx_http_tgbot_zone_t  *zone;

    for (i = 0; i < n; i++) {
        pointers[i] = &users[i];
    }

    zone = old ? unit_zone_adopt(old, pointers, n)
               : unit_zone(&test_kind,
                           64 + TEST_ENTRIES * sizeof(test_entry_t), pointers,
                           n);
    if (zone == NULL) {
        return NULL;
    }

    test_zones[test_nzones++] = zone;

    for (i = 0; i < n; i++) {
        users[i].zone = zone;
    }

    ok(test_sound(zone));

    return zone;
}


/* a configuration that takes effect */

static ngx_http_tgbot_zone_t *
test_start(ngx_http_tgbot_zone_t *old, test_user_t *users, ngx_uint_t n)
{
    ngx_http_tgbot_zone_t  *zone;

    zone = test_zone(old, users, n);

    if (zone) {
        zone->sh->generation++;
    }

    return zone;
}


static void
test_end(void)
{
    while (test_nzones) {
        unit_zone_free(test_zones[--test_nzones]);
    }
}


static test_user_t
test_user(const char *name, uint64_t id)
{
    test_user_t  user;

    ngx_memzero(&user, sizeof(test_user_t));

    user.bot.data = (u_char *) name;
    user.bot.len = strlen(name);
    user.bot_id = id;

    return user;
}


static test_entry_t *
test_entry(test_user_t *user)
{
    test_entry_t                *entry;
    ngx_http_tgbot_zone_bots_t   bots;

    test_open(user->zone, &bots);

    entry = ngx_http_tgbot_zone_bots_entry(&bots, user);

    if (entry) {
        ok(entry == (test_entry_t *) bots.entries + user->entry);
        is_int(entry->made, TEST_MADE);
        is_int(entry->bot.len, user->bot.len);
        ok(ngx_memcmp(entry->bot.name, user->bot.data, user->bot.len) == 0);
    }

    return entry;
}


static test_entry_t *
test_enter(test_user_t *user, ngx_uint_t named)
{
    test_entry_t                *entry;
    ngx_http_tgbot_zone_bots_t   bots;

    test_open(user->zone, &bots);

    entry = ngx_http_tgbot_zone_bots_enter(&bots, user, named);

    if (entry) {
        ok(test_entry(user) == entry);
    }

    ok(test_sound(user->zone));

    return entry;
}


static ngx_uint_t
test_named(test_user_t *user)
{
    ngx_http_tgbot_zone_bots_t  bots;

    test_open(user->zone, &bots);

    return ngx_http_tgbot_zone_bots_named(&bots, test_entry(user));
}


/* entries in use are whole, and none is of the bot of another one */

static ngx_uint_t
test_sound(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                   i, n;
    test_entry_t                *a, *b;
    ngx_http_tgbot_zone_bots_t   bots;

    test_open(zone, &bots);

    a = (test_entry_t *) bots.entries;

    for (i = 0; i < TEST_ENTRIES; i++, a++) {

        if (a->bot.serial == 0) {
            continue;
        }

        if (i >= bots.sh->used || a->made != TEST_MADE
            || a->bot.serial > bots.sh->serial)
        {
            return 0;
        }

        b = (test_entry_t *) bots.entries;

        for (n = 0; n < i; n++, b++) {

            if (b->bot.serial == a->bot.serial
                || (b->bot.serial && b->size == a->size
                    && b->bot.bot_id == a->bot.bot_id
                    && b->bot.len == a->bot.len
                    && ngx_memcmp(b->bot.name, a->bot.name, a->bot.len) == 0))
            {
                return 0;
            }
        }
    }

    return 1;
}


static uint32_t
test_random(uint32_t n)
{
    static uint64_t  state = 0x243f6a8885a308d3ULL;

    state = state * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (state >> 33) % n;
}


static void
test_reload(void)
{
    ngx_uint_t              i;
    test_user_t             old[3], new[3], user;
    ngx_http_tgbot_zone_t  *zone;

    old[0] = test_user("a", 1);
    old[1] = test_user("abcdefghijklmnopqrstuvwxyz012345", 2);
    old[2] = test_user("abcdefghijklmnopqrstuvwxyz01234", 3);

    zone = test_start(NULL, old, 3);

    for (i = 0; i < 3; i++) {
        is_int(old[i].entry, i);
        is_int(test_entry(&old[i])->text, 0);
        is_int(test_entry(&old[i])->bot.bot_id, i + 1);
        ok(test_named(&old[i]));

        test_entry(&old[i])->text = 10 + i;
    }

    /* a number that is not in use, or whose entry has another serial */

    user = old[1];
    user.serial = 0;
    ok(test_entry(&user) == NULL);
    user.serial = old[0].serial;
    ok(test_entry(&user) == NULL);
    user.entry = 4;
    ok(test_entry(&user) == NULL);
    user.entry = TEST_ENTRIES;
    ok(test_entry(&user) == NULL);

    /* in another order, and one is new */

    new[0] = old[2];
    new[1] = test_user("b", 1);
    new[2] = old[0];

    zone = test_start(zone, new, 3);

    is_int(test_entry(&new[0])->text, 12);
    is_int(test_entry(&new[1])->text, 0);
    is_int(test_entry(&new[2])->text, 10);
    is_int(test_entry(&old[1])->text, 11);
    ok(!test_named(&old[1]));

    /* a bot that returns has its entry */

    zone = test_start(zone, old, 3);

    is_int(test_entry(&old[1])->text, 11);
    ok(test_named(&old[1]));
    ok(!test_named(&new[1]));

    test_end();
}


static void
test_ids(void)
{
    test_user_t             user[2], old;
    ngx_http_tgbot_zone_t  *zone;

    /* a bot whose id is learned later and then omitted is the same bot */

    user[0] = test_user("a", 0);
    zone = test_start(NULL, user, 1);
    test_entry(&user[0])->text = 5;

    user[0].bot_id = 11;
    zone = test_start(zone, user, 1);
    is_int(test_entry(&user[0])->text, 5);
    is_int(test_entry(&user[0])->bot.bot_id, 11);

    user[0].bot_id = 0;
    zone = test_start(zone, user, 1);
    is_int(test_entry(&user[0])->text, 5);
    is_int(test_entry(&user[0])->bot.bot_id, 11);

    /* another bot under the name starts empty, the old one stays */

    old = user[0];
    user[0].bot_id = 12;
    zone = test_start(zone, user, 1);
    is_int(test_entry(&user[0])->text, 0);
    test_entry(&user[0])->text = 6;
    is_int(test_entry(&old)->text, 5);

    /* of two entries the one with this id */

    user[0].bot_id = 11;
    user[1] = test_user("a", 12);
    zone = test_start(zone, user, 2);
    is_int(test_entry(&user[0])->text, 5);
    is_int(test_entry(&user[1])->text, 6);

    /* what match() tells apart */

    user[1].size = 7;
    test_start(zone, user, 2);
    is_int(test_entry(&user[0])->text, 5);
    is_int(test_entry(&user[1])->text, 0);

    test_end();
}


/* entries not in use come first, then bots that no configuration names */

static void
test_spare(void)
{
    ngx_uint_t              i;
    test_user_t             old[6], user[6], last;
    ngx_http_tgbot_zone_t  *zone;

    static const char  *names[] = { "a", "b", "c", "d", "e", "f" };

    for (i = 0; i < 6; i++) {
        old[i] = test_user(names[i], 1);
    }

    zone = test_start(NULL, old, 5);
    test_entry(&old[4])->held = 1;

    for (i = 0; i < 5; i++) {
        test_entry(&old[i])->text = 20 + i;
    }

    /* a, b and c stay, d and e are gone; e holds something */

    zone = test_start(zone, old, 3);

    user[0] = old[0];
    user[1] = old[1];
    user[2] = test_user("g", 1);
    user[3] = test_user("h", 1);

    zone = test_start(zone, user, 3);
    is_int(user[2].entry, 5);

    /* d makes room for h before c does, which the old configuration names */

    zone = test_start(zone, user, 4);
    is_int(user[3].entry, old[3].entry);
    ok(test_entry(&old[3]) == NULL);
    is_int(test_entry(&old[2])->text, 22);

    /* then c, then g */

    user[2] = test_user("i", 1);
    last = user[3];
    zone = test_start(zone, user, 3);
    is_int(user[2].entry, old[2].entry);
    ok(test_entry(&last) != NULL);

    /* all but e can be replaced at once, e cannot */

    for (i = 0; i < 5; i++) {
        user[i] = test_user(names[i], 2);
    }

    user[5] = test_user("f", 2);

    ok(test_start(zone, user, 6) == NULL);
    is_int(test_entry(&old[4])->text, 24);

    zone = test_start(zone, user, 5);

    for (i = 0; i < 5; i++) {
        ok(user[i].entry != old[4].entry);
        is_int(test_entry(&user[i])->text, 0);
        ok(test_entry(&old[i]) == NULL || i == 4);
    }

    test_entry(&old[4])->held = 0;

    ok(test_start(zone, user, 6) != NULL);
    ok(test_entry(&old[4]) == NULL);

    test_end();
}


/* more bots than entries: nothing is changed */

static void
test_many(void)
{
    ngx_uint_t              i;
    test_user_t             old[1], user[TEST_ENTRIES + 1];
    ngx_http_tgbot_zone_t  *zone;

    static const char  *names[] = { "a", "b", "c", "d", "e", "f", "g" };

    for (i = 0; i < TEST_ENTRIES + 1; i++) {
        user[i] = test_user(names[i], 1);
    }

    old[0] = test_user("z", 1);
    zone = test_start(NULL, old, 1);

    ok(test_start(zone, user, TEST_ENTRIES + 1) == NULL);
    ok(test_entry(&old[0]) != NULL);
    ok(test_named(&old[0]));

    ok(test_start(zone, user, TEST_ENTRIES) != NULL);
    ok(test_entry(&old[0]) == NULL);

    test_end();
}


/* a configuration takes entries and is refused: the old one stays in force */

static void
test_refused(void)
{
    ngx_uint_t              i;
    test_user_t             old[5], new[5], user;
    ngx_http_tgbot_zone_t  *zone;

    static const char  *names[] = { "a", "b", "c", "d", "e" };

    for (i = 0; i < 5; i++) {
        old[i] = test_user(names[i], 1);
        new[i] = test_user(names[i], 2);
    }

    zone = test_start(NULL, old, 5);
    test_entry(&old[0])->held = 1;

    test_zone(zone, new, 5);

    ok(test_entry(&old[0]) != NULL);
    ok(test_entry(&old[1]) == NULL);

    for (i = 0; i < 5; i++) {
        ok(!test_named(&new[i]));
    }

    /* the entry of another bot of either configuration is not taken */

    ok(test_enter(&old[1], 1) == NULL);

    user = new[0];
    test_entry(&user)->held = 1;

    /* the next configuration forgets the refused one */

    zone = test_start(zone, old, 5);

    for (i = 0; i < 5; i++) {
        ok(test_entry(&old[i]) != NULL);
        ok(test_named(&old[i]));
        ok(test_entry(&new[i]) == NULL || i == 0);
    }

    ok(test_entry(&user) != NULL);
    ok(!test_named(&user));

    test_end();
}


/* one bot enters while the configuration is in use */

static void
test_entered(void)
{
    ngx_uint_t              i;
    test_user_t             user[5], one, two;
    ngx_http_tgbot_zone_t  *zone;

    static const char  *names[] = { "a", "b", "c", "d", "e" };

    for (i = 0; i < 5; i++) {
        user[i] = test_user(names[i], 1);
    }

    zone = test_start(NULL, user, 5);

    one = test_user("b", 0);
    one.zone = zone;
    ok(test_enter(&one, 0) == test_entry(&user[1]));
    is_int(one.serial, user[1].serial);

    one = test_user("x", 1);
    one.zone = zone;
    ok(test_enter(&one, 0) != NULL);
    ok(!test_named(&one));

    /* x can be replaced, as no configuration names it */

    two = test_user("y", 1);
    two.zone = zone;
    ok(test_enter(&two, 1) != NULL);
    is_int(two.entry, one.entry);
    ok(test_named(&two));
    ok(test_entry(&one) == NULL);

    ok(test_enter(&one, 0) == NULL);

    for (i = 0; i < 5; i++) {
        ok(test_entry(&user[i]) != NULL);
    }

    /* no room for what the kind keeps: the entry is not in use */

    zone = test_start(zone, user, 5);
    one.zone = zone;
    test_full = 1;
    ok(test_enter(&one, 0) == NULL);
    ok(test_entry(&two) == NULL);
    ok(test_start(zone, &one, 1) == NULL);
    test_full = 0;
    ok(test_enter(&one, 0) != NULL);
    is_int(one.entry, two.entry);

    test_end();
}


/* no serial is 0, which is none */

static void
test_serial(void)
{
    test_user_t                  user;
    ngx_http_tgbot_zone_t       *zone;
    ngx_http_tgbot_zone_bots_t   bots;

    user = test_user("a", 1);
    zone = test_start(NULL, &user, 1);

    test_open(zone, &bots);
    bots.sh->serial = 0xffffffff;

    user = test_user("b", 1);
    user.zone = zone;
    ok(ngx_http_tgbot_zone_bots_enter(&bots, &user, 1) != NULL);
    is_int(user.serial, 1);
    ok(test_entry(&user) != NULL);

    test_end();
}


/* the process dies at each point of a change; entries are whole or not used */

static void
test_killed(void)
{
    void                   *pointers[5];
    ngx_uint_t              i;
    test_user_t             old[5], new[5];
    volatile ngx_uint_t     at, killed;
    ngx_http_tgbot_zone_t  *zone, next;

    static const char  *names[] = { "a", "b", "c", "d", "e", "f" };

    for (at = 1, killed = 1; killed; at++) {
        unit_context("killed at %lu", (unsigned long) at);

        for (i = 0; i < 5; i++) {
            old[i] = test_user(names[i], 1);
            new[i] = test_user(names[i + 1], 1 + i % 2);
            pointers[i] = &new[i];
        }

        zone = test_start(NULL, old, 5);

        for (i = 0; i < 5; i++) {
            test_entry(&old[i])->text = 30 + i;
        }

        killed = 0;

        if (setjmp(unit_zone_killed) == 0) {
            next = *zone;
            next.users.elts = pointers;
            next.users.nelts = 5;

            unit_zone_stop_at = at;
            is_int(test_kind.init(&next, 0), NGX_OK);
            unit_zone_stop_at = 0;

        } else {
            killed = 1;
        }

        ok(test_sound(zone));

        for (i = 0; i < 5; i++) {
            if (test_entry(&old[i])) {
                is_int(test_entry(&old[i])->text, 30 + i);
            }
        }

        ok(test_start(zone, new, 5) != NULL);

        /* b and d are known, e has another id, f is new */

        is_int(test_entry(&new[0])->text, 31);
        is_int(test_entry(&new[1])->text, 0);
        is_int(test_entry(&new[2])->text, 33);
        is_int(test_entry(&new[3])->text, 0);

        test_end();
    }

    ok(at > 6);
}


/* configurations at random, some refused; a bot that is kept has its text */

static void
test_many_reloads(void)
{
    void                   *pointers[TEST_ENTRIES];
    uint32_t                text[TEST_NAMES];
    ngx_uint_t              i, k, n, round, used, kept, started, failed, name;
    test_user_t             running[TEST_ENTRIES], next[TEST_ENTRIES];
    test_entry_t           *e;
    ngx_http_tgbot_zone_t  *zone, *other;

    static const char  *names[] = {
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"
    };

    running[0] = test_user(names[0], 1);
    zone = test_start(NULL, running, 1);
    n = 1;

    ngx_memzero(text, sizeof(text));
    started = 0;
    failed = 0;

    for (round = 1; round < 20000; round++) {

        /* what the running configuration has written */

        kept = 0;

        for (i = 0; i < n; i++) {
            e = test_entry(&running[i]);

            if (e) {
                name = running[i].bot.data[0] - 'a';
                kept |= (ngx_uint_t) 1 << name;

                is_int(e->text, text[name]);

                text[name] = round * TEST_NAMES + i;
                e->text = text[name];
                e->held = (test_random(8) == 0);
            }
        }

        used = 0;
        k = 1 + test_random(TEST_ENTRIES - 1);

        for (i = 0; i < k; i++) {

            do {
                name = test_random(TEST_NAMES);
            } while (used & ((ngx_uint_t) 1 << name));

            used |= (ngx_uint_t) 1 << name;
            next[i] = test_user(names[name], 1);
            pointers[i] = &next[i];
        }

        other = unit_zone_adopt(zone, pointers, k);

        if (other == NULL) {
            failed++;
            continue;
        }

        ok(test_sound(other));

        for (i = 0; i < k; i++) {
            next[i].zone = other;
            name = next[i].bot.data[0] - 'a';

            e = test_entry(&next[i]);
            ok(e != NULL);

            /* the entry of a bot that was gone may have been taken */

            if (e->text == 0 && !(kept & ((ngx_uint_t) 1 << name))) {
                text[name] = 0;
            }

            is_int(e->text, text[name]);
        }

        if (test_random(3)) {
            other->sh->generation++;

            ngx_memcpy(running, next, sizeof(next));
            n = k;
            started++;

            for (i = 0; i < n; i++) {
                running[i].zone = zone;
                ok(test_named(&running[i]));
            }
        }

        unit_zone_free(other);
    }

    ok(started > 1000);
    ok(failed > 100);

    test_end();
}


static unit_case_t  test_cases[] = {
    { "reloads", test_reload },
    { "ids, and what else tells entries apart", test_ids },
    { "whose entry a new bot takes", test_spare },
    { "more bots than entries", test_many },
    { "a configuration that is refused", test_refused },
    { "a bot that enters later", test_entered },
    { "serials", test_serial },
    { "killed in a change", test_killed },
    { "many reloads", test_many_reloads },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
