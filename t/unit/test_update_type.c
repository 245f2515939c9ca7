
#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include "ngx_http_tgbot_update.h"
#include "unit.h"


#define FROM(id)  "\"from\":{\"id\":" #id ",\"first_name\":\"A\"}"
#define CHAT(id)  "\"chat\":{\"id\":" #id ",\"type\":\"private\"}"


static void
parse(ngx_http_tgbot_update_t *u, const char *update)
{
    ngx_str_t    body;
    ngx_pool_t  *pool;

    pool = unit_pool();
    body = unit_str(pool, update);

    is_int(ngx_http_tgbot_update_parse(u, &body, pool), NGX_OK);
}


/* each type has a row with a name of its own, which is found */

static void
test_names(void)
{
    ngx_str_t                            name;
    ngx_uint_t                           i;
    const ngx_http_tgbot_update_type_t  *type;

    is_int(ngx_http_tgbot_update_types[0].name.len, 0);

    for (i = 1; i < NGX_HTTP_TGBOT_TYPES; i++) {
        type = &ngx_http_tgbot_update_types[i];
        name = unit_bytes(unit_pool(), type->name.data, type->name.len);

        unit_context("row %d", (int) i);

        ok(name.len != 0);
        is_int(ngx_http_tgbot_update_type_find(&name), i);

        name.len--;
        is_int(ngx_http_tgbot_update_type_find(&name),
               NGX_HTTP_TGBOT_TYPE_UNKNOWN);
    }

    unit_context("other names");

    ngx_str_null(&name);
    is_int(ngx_http_tgbot_update_type_find(&name),
           NGX_HTTP_TGBOT_TYPE_UNKNOWN);

    name = unit_str(unit_pool(), "message_");
    is_int(ngx_http_tgbot_update_type_find(&name),
           NGX_HTTP_TGBOT_TYPE_UNKNOWN);
}


/* the columns that telegram-bot-api or the module's documentation gives */

static void
test_rows(void)
{
    char                     json[256];
    size_t                   i;
    ngx_http_tgbot_update_t  u;

    static const struct {
        const char  *type;
        ngx_uint_t   life;
        ngx_uint_t   command;
        ngx_uint_t   payment;
        ngx_uint_t   unlimited;
    } rows[] = {
        { "message", 86400, 1, 0, 0 },
        { "edited_message", 86400, 0, 0, 0 },
        { "channel_post", 86400, 1, 0, 0 },
        { "edited_channel_post", 86400, 0, 0, 0 },
        { "business_message", 86400, 1, 0, 0 },
        { "edited_business_message", 86400, 0, 0, 0 },
        { "deleted_business_messages", 86400, 0, 0, 0 },
        { "guest_message", 86400, 1, 0, 0 },
        { "inline_query", 30, 0, 0, 0 },
        { "chosen_inline_result", 600, 0, 0, 0 },
        { "callback_query", 150, 0, 0, 0 },
        { "shipping_query", 150, 0, 1, 1 },
        { "pre_checkout_query", 150, 0, 1, 1 },
        { "purchased_paid_media", 86400, 0, 1, 1 },
        { "subscription", 86400, 0, 1, 1 },
        { "my_chat_member", 86400, 0, 0, 1 },
        { "chat_member", 86400, 0, 0, 0 },
        { "chat_join_request", 86400, 0, 0, 0 },
        { "chat_boost", 86400, 0, 0, 0 },
        { "removed_chat_boost", 86400, 0, 0, 0 },
        { "message_reaction", 86400, 0, 0, 0 },
        { "message_reaction_count", 86400, 0, 0, 0 },
        { "business_connection", 86400, 0, 0, 0 },
        { "managed_bot", 86400, 0, 0, 0 },
        { "poll", 86400, 0, 0, 0 },
        { "poll_answer", 86400, 0, 0, 0 },
        { "stopped_message_generation", 86400, 0, 0, 0 },
        { "widget_query", 15, 0, 0, 0 },
        { "shared_widget_query", 15, 0, 0, 0 },
        { "custom_event", 600, 0, 0, 0 },
        { "new_thing", 86400, 0, 0, 0 },
    };

    /* "new_thing" is the row of unknown types */
    is_int(unit_n(rows), NGX_HTTP_TGBOT_TYPES);

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].type);

        snprintf(json, sizeof(json),
                 "{\"update_id\":1,\"%s\":{\"text\":\"/start\"}}",
                 rows[i].type);

        parse(&u, json);

        is_str(&u.type, rows[i].type);
        is_int(u.life, rows[i].life);
        is_int(u.command.len != 0, rows[i].command);
        is_int(ngx_http_tgbot_update_payment(&u), rows[i].payment);
        is_int(ngx_http_tgbot_update_unlimited(&u), rows[i].unlimited);
    }
}


static void
test_payment_kinds(void)
{
    ngx_http_tgbot_update_t  u;

    parse(&u, "{\"update_id\":1,\"message\":{\"successful_payment\":{}}}");
    ok(ngx_http_tgbot_update_payment(&u));
    ok(ngx_http_tgbot_update_unlimited(&u));

    parse(&u, "{\"update_id\":1,\"message\":{\"refunded_payment\":{}}}");
    ok(ngx_http_tgbot_update_payment(&u));

    parse(&u, "{\"update_id\":1,\"message\":{\"invoice\":{}}}");
    ok(!ngx_http_tgbot_update_payment(&u));

    parse(&u, "{\"update_id\":1}");
    ok(!ngx_http_tgbot_update_payment(&u));
    ok(!ngx_http_tgbot_update_unlimited(&u));
}


static uint64_t
lane(const char *update)
{
    ngx_http_tgbot_update_t  u;

    parse(&u, update);

    return ngx_http_tgbot_update_lane(&u);
}


static ngx_uint_t
same(const char *a, const char *b)
{
    return lane(a) == lane(b);
}


/* updates that share a queue at Telegram */

static void
test_together(void)
{
    static const char  *message =
        "{\"update_id\":1,\"message\":{\"message_id\":1," CHAT(7) "}}";

    ok(same(message, "{\"update_id\":2,\"message\":{\"message_id\":9,"
                     FROM(8) "," CHAT(7) "}}"));
    ok(same(message, "{\"update_id\":2,\"edited_message\":{" CHAT(7) "}}"));
    ok(same("{\"update_id\":1,\"channel_post\":{" CHAT(-7) "}}",
            "{\"update_id\":2,\"edited_channel_post\":{" CHAT(-7) "}}"));
    ok(same("{\"update_id\":1,\"callback_query\":{\"id\":\"1\"," FROM(7) "}}",
            "{\"update_id\":2,\"callback_query\":{\"id\":\"2\"," FROM(7)
            ",\"message\":{" CHAT(-5) "}}}"));
    ok(same("{\"update_id\":1,\"shipping_query\":{" FROM(7) "}}",
            "{\"update_id\":2,\"pre_checkout_query\":{" FROM(7) "}}"));
    ok(same("{\"update_id\":1,\"poll\":{\"id\":\"55\"}}",
            "{\"update_id\":2,\"poll_answer\":{\"poll_id\":\"55\","
            "\"user\":{\"id\":7}}}"));
    ok(same("{\"update_id\":1,\"business_message\":{" CHAT(7) "}}",
            "{\"update_id\":2,\"deleted_business_messages\":{" CHAT(7) "}}"));
    ok(same("{\"update_id\":1,\"chat_boost\":{" CHAT(-7) "}}",
            "{\"update_id\":2,\"removed_chat_boost\":{" CHAT(-7) "}}"));
    ok(same("{\"update_id\":1,\"chat_member\":{" CHAT(-1) "," FROM(7) "}}",
            "{\"update_id\":2,\"chat_join_request\":{" CHAT(-2) "," FROM(7)
            "}}"));

    /* unknown types */

    ok(same("{\"update_id\":1,\"new_thing\":{" CHAT(7) "," FROM(8) "}}",
            "{\"update_id\":2,\"new_thing\":{" CHAT(7) "," FROM(9) "}}"));
    ok(same("{\"update_id\":1,\"new_thing\":{" FROM(7) "}}",
            "{\"update_id\":2,\"new_thing\":{" FROM(7) "}}"));
}


/* updates that do not share a queue */

static void
test_apart(void)
{
    static const char  *message =
        "{\"update_id\":1,\"message\":{\"message_id\":1," FROM(7) ","
        CHAT(7) "}}";

    ok(!same(message, "{\"update_id\":1,\"message\":{" CHAT(8) "}}"));
    ok(!same(message, "{\"update_id\":1,\"message\":{" CHAT(-7) "}}"));
    ok(!same(message, "{\"update_id\":1,\"callback_query\":{" FROM(7)
                      ",\"message\":{" CHAT(7) "}}}"));
    ok(!same(message, "{\"update_id\":1,\"inline_query\":{" FROM(7) "}}"));
    ok(!same(message, "{\"update_id\":1,\"business_message\":{" CHAT(7)
                      "}}"));
    ok(!same(message, "{\"update_id\":1,\"message_reaction\":{" CHAT(7)
                      "}}"));
    ok(!same("{\"update_id\":1,\"poll\":{\"id\":\"5\"}}",
             "{\"update_id\":1,\"poll\":{\"id\":\"55\"}}"));
    ok(!same("{\"update_id\":1,\"message_reaction\":{" CHAT(7) "}}",
             "{\"update_id\":1,\"message_reaction_count\":{" CHAT(7) "}}"));
}


/* an update with its own queue, even if all ids are missing */

static void
test_alone(void)
{
    ok(!same("{\"update_id\":1,\"custom_event\":{" CHAT(7) "}}",
             "{\"update_id\":2,\"custom_event\":{" CHAT(7) "}}"));
    ok(!same("{\"update_id\":1,\"message\":{}}",
             "{\"update_id\":2,\"message\":{}}"));
    ok(!same("{\"update_id\":1,\"new_thing\":{}}",
             "{\"update_id\":2,\"new_thing\":{}}"));
    ok(!same("{\"update_id\":1}", "{\"update_id\":2}"));
    ok(same("{\"update_id\":9007199254740992}",
            "{\"update_id\":9007199254740992}"));
}


/* an id of a poll that is no number: each update has a lane of its own */

static void
test_poll(void)
{
    ok(!same("{\"update_id\":1,\"poll\":{\"id\":\"5a\"}}",
             "{\"update_id\":2,\"poll\":{\"id\":\"5a\"}}"));
    ok(same("{\"update_id\":1,\"poll\":{\"id\":\"5181638379436638209\"}}",
            "{\"update_id\":2,\"poll\":{\"id\":\"5181638379436638209\"}}"));
    ok(!same("{\"update_id\":1,\"poll\":{\"id\":\"5181638379436638209\"}}",
             "{\"update_id\":2,\"poll\":{\"id\":\"5181638379436638208\"}}"));
}


/* machines with other versions of the module use the same lanes */

static void
test_numbers(void)
{
    ok(lane("{\"update_id\":1,\"message\":{" CHAT(7) "}}")
       == 0x12ae30237b17df14ULL);
    ok(lane("{\"update_id\":1,\"callback_query\":{" FROM(7) "}}")
       == 0x77d5f640f727180eULL);
    ok(lane("{\"update_id\":1,\"message\":{" CHAT(-1001367429635) "}}")
       == 0x4a7d03c092a015d2ULL);
}


/* lanes of neighbours differ in their low bits, which tables use */

static void
test_spread(void)
{
    ngx_uint_t               i, n, seen[256];
    ngx_http_tgbot_update_t  u;

    parse(&u, "{\"update_id\":1,\"message\":{" CHAT(7) "}}");

    ngx_memzero(seen, sizeof(seen));

    for (i = 0; i < 256; i++) {
        u.chat_id = -1001367000000LL - 256 * (int64_t) i;
        seen[ngx_http_tgbot_update_lane(&u) % 256] = 1;
    }

    for (i = 0, n = 0; i < 256; i++) {
        n += seen[i];
    }

    /* 162 on average for random numbers */
    ok(n > 130);
}


static unit_case_t  cases[] = {
    { "the names of types", test_names },
    { "the columns of types", test_rows },
    { "payments in messages", test_payment_kinds },
    { "lanes: together", test_together },
    { "lanes: apart", test_apart },
    { "lanes: alone", test_alone },
    { "lanes: ids of polls", test_poll },
    { "lanes: their numbers", test_numbers },
    { "lanes: their low bits", test_spread },
};


int
main(void)
{
    return unit_main(cases, unit_n(cases));
}
