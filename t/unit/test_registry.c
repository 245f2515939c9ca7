
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_registry.h"
#include "unit.h"
#include "zones.h"


#define BOTS  4


static ngx_http_tgbot_registry_t       bots[BOTS + 1];
static void                           *users[BOTS + 1];
static ngx_http_tgbot_registration_t   known;


/* a zone with room for BOTS */

static size_t
room(void)
{
    size_t  one;

    /* kind->min is the size for one bot */

    one = ngx_http_tgbot_registry_size(33) - ngx_http_tgbot_registry_size(1);
    one = one / 33;    /* without the pages' account, which is a 32nd */

    return ngx_http_tgbot_registry_zone.min + (BOTS - 1) * one;
}


static ngx_http_tgbot_zone_t *
zone_of(ngx_http_tgbot_zone_t *old, const char **names)
{
    ngx_uint_t              i, n;
    ngx_http_tgbot_zone_t  *zone;

    for (n = 0; names[n]; n++) {
        ngx_memzero(&bots[n], sizeof(ngx_http_tgbot_registry_t));

        bots[n].bot.data = (u_char *) names[n];
        bots[n].bot.len = ngx_strlen(names[n]);
        bots[n].bot_id = 7;

        users[n] = &bots[n];
    }

    zone = old ? unit_zone_adopt(old, users, n)
               : unit_zone(&ngx_http_tgbot_registry_zone, room(), users, n);

    for (i = 0; zone && i < n; i++) {
        bots[i].zone = zone;
    }

    return zone;
}


static void
put(ngx_uint_t i, time_t checked, ngx_int_t rc)
{
    ngx_memzero(&known, sizeof(ngx_http_tgbot_registration_t));

    known.checked = checked;

    is_int(ngx_http_tgbot_registry_put(&bots[i], &known), rc);
}


static void
is_checked(ngx_uint_t i, time_t checked)
{
    is_int(ngx_http_tgbot_registry_get(&bots[i], &known), NGX_OK);
    is_int(known.checked, checked);
}


static const char  *abcd[] = { "a", "b", "c", "d", NULL };
static const char  *ab[] = { "a", "b", NULL };
static const char  *be[] = { "b", "e", NULL };
static const char  *abcde[] = { "a", "b", "c", "d", "e", NULL };


static void
test_lease(void)
{
    ngx_http_tgbot_zone_t  *zone;

    unit_slot_be(0);
    zone = zone_of(NULL, ab);

    put(0, 1, NGX_DECLINED);

    is_int(ngx_http_tgbot_registry_hold(zone), 1);
    is_int(ngx_http_tgbot_registry_hold(zone), 1);
    put(0, 1, NGX_OK);

    /* the former holder is dead and writes no more */

    unit_slot_die(0);
    unit_slot_be(1);

    is_int(ngx_http_tgbot_registry_hold(zone), 1);
    put(0, 2, NGX_OK);
    is_checked(0, 2);
    is_checked(1, 0);

    ngx_http_tgbot_registry_release(zone);
    ngx_http_tgbot_registry_release(zone);
    put(0, 3, NGX_DECLINED);
    is_checked(0, 2);

    is_int(ngx_http_tgbot_registry_hold(zone), 1);
    ngx_http_tgbot_registry_release(zone);

    unit_zone_free(zone);
}


/* reloads: bots that stay keep their data, removed bots make room */

static void
test_reload(void)
{
    ngx_uint_t              i;
    ngx_http_tgbot_zone_t  *zone, *next, *last;

    unit_slot_be(0);
    zone = zone_of(NULL, abcd);
    is_int(ngx_http_tgbot_registry_hold(zone), 1);

    for (i = 0; i < BOTS; i++) {
        put(i, 10 + i, NGX_OK);
    }

    next = zone_of(zone, be);
    is_checked(0, 11);
    is_checked(1, 0);
    put(1, 20, NGX_OK);

    /* one of a, c and d has made room for e */

    last = zone_of(next, be);
    is_checked(0, 11);
    is_checked(1, 20);

    unit_zone_free(last);

    ok(zone_of(next, abcde) == NULL);

    ngx_http_tgbot_registry_release(next);

    unit_zone_free(next);
    unit_zone_free(zone);
}


/* the place of a removed bot is given to another bot */

static void
test_stranger(void)
{
    ngx_http_tgbot_zone_t      *zone, *next;
    ngx_http_tgbot_registry_t   old[BOTS];

    static const char  *efgh[] = { "e", "f", "g", "h", NULL };

    unit_slot_be(0);
    zone = zone_of(NULL, abcd);
    is_int(ngx_http_tgbot_registry_hold(zone), 1);
    put(0, 5, NGX_OK);

    ngx_memcpy(old, bots, sizeof(old));

    next = zone_of(zone, efgh);

    is_int(ngx_http_tgbot_registry_get(&old[0], &known), NGX_DECLINED);
    is_int(ngx_http_tgbot_registry_put(&old[0], &known), NGX_DECLINED);
    is_checked(0, 0);

    ngx_http_tgbot_registry_release(next);

    unit_zone_free(next);
    unit_zone_free(zone);
}


static void
test_pace(void)
{
    ngx_uint_t              i, n;
    ngx_http_tgbot_zone_t  *zone;

    unit_slot_be(0);
    zone = zone_of(NULL, ab);

    ngx_current_msec = 1000;

    for (n = 0; ngx_http_tgbot_registry_pace(zone); n++) { /* void */ }

    is_int(n, 20);

    ngx_current_msec += 60000;
    ok(!ngx_http_tgbot_registry_pace(zone));

    /* never more than 20 within a minute, however they are spread */

    ngx_current_msec += 1;

    for (i = 0; i < 15; i++) {
        ok(ngx_http_tgbot_registry_pace(zone));
    }

    ngx_current_msec += 30000;

    for (n = 0; ngx_http_tgbot_registry_pace(zone); n++) { /* void */ }

    is_int(n, 5);

    ngx_current_msec += 30001;

    for (n = 0; ngx_http_tgbot_registry_pace(zone); n++) { /* void */ }

    is_int(n, 15);

    unit_zone_free(zone);
}


/* a worker is killed: the data of one bot is lost, of no other */

static void
test_killed(void)
{
    volatile ngx_uint_t     n;
    ngx_http_tgbot_zone_t  *zone;

    for (n = 1; n <= 2; n++) {
        unit_slot_be(0);
        zone = zone_of(NULL, ab);

        is_int(ngx_http_tgbot_registry_hold(zone), 1);
        put(0, 1, NGX_OK);
        put(1, 2, NGX_OK);
        ngx_http_tgbot_registry_release(zone);

        if (setjmp(unit_zone_killed) == 0) {
            unit_zone_stop_at = n;
            (void) ngx_http_tgbot_registry_hold(zone);
            put(0, 3, NGX_OK);
            ok(0);
        }

        unit_zone_stop_at = 0;
        unit_slot_die(0);
        unit_slot_be(1);

        is_int(ngx_http_tgbot_registry_hold(zone), 1);
        is_checked(0, (n == 1) ? 1 : 0);
        is_checked(1, 2);

        ngx_http_tgbot_registry_release(zone);
        unit_zone_free(zone);
    }
}


static void
test_taken(void)
{
    ngx_memzero(&known, sizeof(ngx_http_tgbot_registration_t));

    is_int(ngx_http_tgbot_registry_taken(&known, 10000), 0);

    known.taken[0] = 9000;
    known.taken[1] = 6401;
    known.taken[2] = 6400;

    is_int(ngx_http_tgbot_registry_taken(&known, 10000), 2);
    is_int(ngx_http_tgbot_registry_taken(&known, 9999), 3);
    is_int(ngx_http_tgbot_registry_taken(&known, 20000), 0);
}


static void
test_text(void)
{
    u_char     buf[4];
    ngx_str_t  text = ngx_string("abcdef");

    is_int(ngx_http_tgbot_registry_text(buf, 4, &text), 4);
    ok(ngx_memcmp(buf, "abcd", 4) == 0);

    text.len = 0;
    is_int(ngx_http_tgbot_registry_text(buf, 4, &text), 0);
}


static unit_case_t  cases[] = {
    { "lease", test_lease },
    { "reload", test_reload },
    { "another bot's place", test_stranger },
    { "pace", test_pace },
    { "killed inside", test_killed },
    { "taken", test_taken },
    { "texts", test_text },
};


int
main(void)
{
    return unit_main(cases, unit_n(cases));
}
