
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update.h"
#include "unit.h"


#define FROM(id)  "\"from\":{\"id\":" #id ",\"first_name\":\"A\"}"
#define CHAT(id)  "\"chat\":{\"id\":" #id ",\"type\":\"private\"}"


static ngx_str_t
lane(const char *update)
{
    u_char                   *buf;
    ngx_str_t                 key, body;
    ngx_pool_t               *pool;
    ngx_http_tgbot_update_t   u;

    pool = unit_pool();

    body = unit_str(pool, update);

    is_int(ngx_http_tgbot_update_parse(&u, &body, pool), NGX_OK);

    /* exactly the documented size */

    buf = ngx_palloc(pool, NGX_HTTP_TGBOT_LANE_KEY);

    ngx_http_tgbot_update_lane_key(&u, buf, &key);

    ok(key.len <= NGX_HTTP_TGBOT_LANE_KEY);

    return key;
}


static ngx_uint_t
same(const char *a, const char *b)
{
    ngx_str_t  first, second;

    first = lane(a);
    second = lane(b);

    return first.len == second.len
           && ngx_memcmp(first.data, second.data, first.len) == 0;
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


/* the id of a poll is cut to the size of the key */

static void
test_long(void)
{
    size_t      i;
    u_char     *p, buf[600];
    ngx_str_t   key;

    p = ngx_sprintf(buf, "{\"update_id\":1,\"poll\":{\"id\":\"");

    for (i = 0; i < 500; i++) {
        *p++ = '7';
    }

    p = ngx_sprintf(p, "\"}}%Z");

    key = lane((char *) buf);
    is_int(key.len, NGX_HTTP_TGBOT_LANE_KEY);
}


static unit_case_t  cases[] = {
    { "together", test_together },
    { "apart", test_apart },
    { "alone", test_alone },
    { "a long id", test_long },
};


int
main(void)
{
    return unit_main(cases, unit_n(cases));
}
