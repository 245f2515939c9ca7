
#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_update.h"
#include "unit.h"


/* all fields that are present, as text */

static ngx_str_t
describe(ngx_http_tgbot_update_t *u)
{
    size_t      i;
    u_char     *p, *last;
    ngx_str_t   s;

    static u_char  buf[300000];

    const struct {
        const char  *name;
        ngx_uint_t   has;
        int64_t      value;
    } numbers[] = {
        { "chat", u->has_chat_id, u->chat_id },
        { "user", u->has_user_id, u->user_id },
        { "message", u->has_message_id, u->message_id },
        { "thread", u->has_thread_id, u->thread_id },
        { "date", u->has_date, u->date },
        { "user_chat", u->has_user_chat_id, u->user_chat_id },
        { "direct", u->has_direct_id, u->direct_id },
        { "ephemeral", u->has_ephemeral_id, u->ephemeral_id },
        { "business_bot", u->has_business_bot_id, u->business_bot_id },
        { "bot", u->is_bot, 1 },
    };

    const struct {
        const char  *name;
        ngx_str_t   *value;
    } strings[] = {
        { "chat_type", &u->chat_type },
        { "username", &u->username },
        { "first_name", &u->first_name },
        { "language", &u->language },
        { "text", &u->text },
        { "command", &u->command },
        { "command_bot", &u->command_bot },
        { "args", &u->args },
        { "data", &u->data },
        { "kind", &u->message_kind },
        { "query", &u->query_id },
        { "connection", &u->business_connection_id },
        { "poll", &u->poll_id },
        { "inline", &u->inline_message_id },
        { "album", &u->media_group_id },
    };

    p = buf;
    last = buf + sizeof(buf);

    p = ngx_slprintf(p, last, "%L %V life=%ui", u->update_id, &u->type,
                     u->life);

    for (i = 0; i < unit_n(numbers); i++) {
        if (numbers[i].has) {
            p = ngx_slprintf(p, last, " %s=%L", numbers[i].name,
                             numbers[i].value);
        }
    }

    for (i = 0; i < unit_n(strings); i++) {
        if (strings[i].value->len) {
            p = ngx_slprintf(p, last, " %s=%V", strings[i].name,
                             strings[i].value);
        }
    }

    s.data = buf;
    s.len = p - buf;

    return s;
}


static ngx_int_t
parse(ngx_http_tgbot_update_t *update, const void *data, size_t len)
{
    ngx_str_t  body;

    body = unit_bytes(unit_pool(), data, len);

    return ngx_http_tgbot_update_parse(update, &body, unit_pool());
}


/* a copy of exact length, so that a read past its end is detected */

static ngx_str_t
exact(ngx_str_t *src)
{
    ngx_str_t  s;

    s.len = src->len;
    s.data = ngx_alloc(src->len, ngx_cycle->log);
    ngx_memcpy(s.data, src->data, src->len);

    return s;
}


/* writes and reads an update; the result does not depend on the first */

static void
check_written(const char *json, size_t len)
{
    ngx_str_t                body, moved, data, moved_data, want, s;
    ngx_uint_t               numbered;
    ngx_pool_t              *pool;
    ngx_http_tgbot_update_t  u, v;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    body = unit_bytes(pool, json, len);

    is_int(ngx_http_tgbot_update_parse(&u, &body, pool), NGX_OK);
    is_int(ngx_http_tgbot_update_write(&u, &body, &data, pool), NGX_OK);

    s = describe(&u);
    want.len = s.len;
    want.data = ngx_pstrdup(unit_pool(), &s);
    numbered = u.has_update_id;

    moved = exact(&body);
    moved_data = exact(&data);

    ngx_memset(&u, 0xff, sizeof(ngx_http_tgbot_update_t));
    ngx_memset(&v, 0xff, sizeof(ngx_http_tgbot_update_t));
    ngx_destroy_pool(pool);

    is_int(ngx_http_tgbot_update_read(&v, &moved, &moved_data), NGX_OK);

    s = describe(&v);
    is_same(&s, &want);
    is_int(v.has_update_id, numbered);

    ngx_free(moved.data);
    ngx_free(moved_data.data);
}


typedef struct {
    const char  *json;
    const char  *want;
} row_t;


static void
check(const row_t *rows, ngx_uint_t n)
{
    ngx_str_t                s;
    ngx_uint_t               i;
    ngx_http_tgbot_update_t  u;

    for (i = 0; i < n; i++) {
        unit_context("%s", rows[i].json);

        if (is_int(parse(&u, rows[i].json, strlen(rows[i].json)), NGX_OK)) {
            s = describe(&u);
            is_str(&s, rows[i].want);
            is_int(u.has_update_id, 1);

            check_written(rows[i].json, strlen(rows[i].json));
        }
    }
}


#define FROM  "\"from\":{\"id\":7,\"is_bot\":false,"                          \
              "\"first_name\":\"Ann\",\"last_name\":\"Lee\","                \
              "\"username\":\"ann\",\"language_code\":\"en\"}"
#define USER  "\"user\":{\"id\":7,\"is_bot\":false,"                          \
              "\"first_name\":\"Ann\","                                      \
              "\"username\":\"ann\",\"language_code\":\"en\"}"
#define ANN   "username=ann first_name=Ann language=en"
#define CHAT  "\"chat\":{\"id\":-100500,\"title\":\"T\","                     \
              "\"username\":\"grp\",\"type\":\"supergroup\"}"
#define DATE  "\"date\":1700000000"


/* one Update of each type, with unread fields, in Telegram's order */

static const row_t  types[] = {

    { "{\"update_id\":1,\n\"message\":{\"message_id\":5," FROM "," CHAT ","
      DATE ",\"text\":\"hello\",\"entities\":[{\"offset\":0,\"length\":5,"
      "\"type\":\"bold\"}]}}",
      "1 message life=86400 chat=-100500 user=7 message=5 date=1700000000 "
      "chat_type=supergroup " ANN " text=hello kind=text" },

    { "{\"update_id\":2,\"edited_message\":{\"message_id\":5," FROM "," CHAT
      "," DATE ",\"edit_date\":1700000099,\"text\":\"/start\"}}",
      "2 edited_message life=86400 chat=-100500 user=7 message=5 "
      "date=1700000099 chat_type=supergroup " ANN " text=/start kind=text" },

    { "{\"update_id\":3,\"channel_post\":{\"message_id\":6,\"sender_chat\":"
      "{\"id\":-100500,\"title\":\"T\",\"username\":\"grp\",\"type\":"
      "\"channel\"},\"chat\":{\"id\":-100500,\"type\":\"channel\"}," DATE
      ",\"caption\":\"/post now\",\"photo\":[{\"file_id\":\"x\"}]}}",
      "3 channel_post life=86400 chat=-100500 user=-100500 message=6 "
      "date=1700000000 chat_type=channel username=grp text=/post now "
      "command=/post args=now kind=photo" },

    { "{\"update_id\":4,\"edited_channel_post\":{\"message_id\":6,\"chat\":"
      "{\"id\":-100500,\"type\":\"channel\"}," DATE
      ",\"edit_date\":1700000001,\"text\":\"/post\"}}",
      "4 edited_channel_post life=86400 chat=-100500 message=6 "
      "date=1700000001 chat_type=channel text=/post kind=text" },

    { "{\"update_id\":5,\"business_connection\":{\"id\":\"bc1\"," USER
      ",\"user_chat_id\":7," DATE ",\"can_reply\":true,\"is_enabled\":true}}",
      "5 business_connection life=86400 user=7 date=1700000000 user_chat=7 "
      ANN " connection=bc1" },

    { "{\"update_id\":6,\"business_message\":{\"business_connection_id\":"
      "\"bc1\",\"message_id\":7," FROM ",\"chat\":{\"id\":7,\"type\":"
      "\"private\"}," DATE ",\"text\":\"/price 5\"}}",
      "6 business_message life=86400 chat=7 user=7 message=7 date=1700000000 "
      "chat_type=private " ANN " text=/price 5 command=/price args=5 "
      "kind=text connection=bc1" },

    { "{\"update_id\":7,\"edited_business_message\":{"
      "\"business_connection_id\":\"bc1\",\"message_id\":7," FROM ",\"chat\":"
      "{\"id\":7,\"type\":\"private\"}," DATE ",\"text\":\"/price\"}}",
      "7 edited_business_message life=86400 chat=7 user=7 message=7 "
      "date=1700000000 chat_type=private " ANN " text=/price kind=text "
      "connection=bc1" },

    { "{\"update_id\":8,\"deleted_business_messages\":{"
      "\"business_connection_id\":\"bc1\"," CHAT ",\"message_ids\":[1,2]}}",
      "8 deleted_business_messages life=86400 chat=-100500 "
      "chat_type=supergroup connection=bc1" },

    { "{\"update_id\":9,\"guest_message\":{\"message_id\":0," FROM "," CHAT
      "," DATE ",\"guest_query_id\":\"gq\",\"text\":\"/ask why\"}}",
      "9 guest_message life=86400 chat=-100500 user=7 "
      "date=1700000000 chat_type=supergroup " ANN " text=/ask why "
      "command=/ask args=why kind=text query=gq" },

    { "{\"update_id\":10,\"message_reaction\":{" CHAT ",\"message_id\":9,"
      USER "," DATE ",\"old_reaction\":[],\"new_reaction\":[{\"type\":"
      "\"emoji\",\"emoji\":\"x\"}]}}",
      "10 message_reaction life=86400 chat=-100500 user=7 message=9 "
      "date=1700000000 chat_type=supergroup " ANN },

    { "{\"update_id\":11,\"message_reaction\":{" CHAT ",\"message_id\":9,"
      "\"actor_chat\":{\"id\":-5,\"username\":\"act\",\"type\":\"channel\"},"
      DATE ",\"old_reaction\":[],\"new_reaction\":[]}}",
      "11 message_reaction life=86400 chat=-100500 user=-5 message=9 "
      "date=1700000000 chat_type=supergroup username=act" },

    { "{\"update_id\":12,\"message_reaction_count\":{" CHAT
      ",\"message_id\":9," DATE ",\"reactions\":[{\"type\":{\"type\":"
      "\"emoji\"},\"total_count\":3}]}}",
      "12 message_reaction_count life=86400 chat=-100500 message=9 "
      "date=1700000000 chat_type=supergroup" },

    { "{\"update_id\":13,\"inline_query\":{\"id\":\"8049\"," FROM
      ",\"chat_type\":\"sender\",\"query\":\"/cats\",\"offset\":\"\"}}",
      "13 inline_query life=30 user=7 chat_type=sender " ANN
      " text=/cats query=8049" },

    { "{\"update_id\":14,\"inline_query\":{\"id\":134567890097," FROM
      ",\"query\":\"\",\"offset\":\"\"}}",
      "14 inline_query life=30 user=7 " ANN " query=134567890097" },

    { "{\"update_id\":15,\"chosen_inline_result\":{\"result_id\":\"r1\"," FROM
      ",\"inline_message_id\":\"im\",\"query\":\"cats\"}}",
      "15 chosen_inline_result life=600 user=7 " ANN " text=cats data=r1 "
      "inline=im" },

    { "{\"update_id\":16,\"callback_query\":{\"id\":\"4382\"," FROM
      ",\"message\":{\"message_id\":5,\"from\":{\"id\":99,\"is_bot\":true,"
      "\"first_name\":\"Bot\",\"username\":\"b_bot\"}," CHAT "," DATE
      ",\"text\":\"choose\",\"message_thread_id\":3,\"is_topic_message\":true,"
      "\"business_connection_id\":\"bc1\"},\"chat_instance\":\"-1\","
      "\"data\":\"yes\"}}",
      "16 callback_query life=150 chat=-100500 user=7 message=5 thread=3 "
      "chat_type=supergroup " ANN " data=yes query=4382 connection=bc1" },

    { "{\"update_id\":17,\"callback_query\":{\"id\":\"4383\"," FROM
      ",\"inline_message_id\":\"im\",\"chat_instance\":\"-1\","
      "\"game_short_name\":\"chess\"}}",
      "17 callback_query life=150 user=7 " ANN " data=chess query=4383 "
      "inline=im" },

    { "{\"update_id\":18,\"shipping_query\":{\"id\":\"sq\"," FROM
      ",\"invoice_payload\":\"order 5\",\"shipping_address\":{\"city\":"
      "\"X\"}}}",
      "18 shipping_query life=150 user=7 " ANN " data=order 5 query=sq" },

    { "{\"update_id\":19,\"pre_checkout_query\":{\"id\":\"pq\"," FROM
      ",\"currency\":\"XTR\",\"total_amount\":5,\"invoice_payload\":\"o5\"}}",
      "19 pre_checkout_query life=150 user=7 " ANN " data=o5 query=pq" },

    { "{\"update_id\":20,\"purchased_paid_media\":{" FROM
      ",\"paid_media_payload\":\"pm\"}}",
      "20 purchased_paid_media life=86400 user=7 " ANN " data=pm" },

    { "{\"update_id\":21,\"subscription\":{" USER
      ",\"invoice_payload\":\"sub\",\"state\":\"active\"}}",
      "21 subscription life=86400 user=7 " ANN " data=sub" },

    { "{\"update_id\":22,\"poll\":{\"id\":\"p1\",\"question\":\"Why?\","
      "\"options\":[{\"text\":\"a\",\"voter_count\":1}],\"is_closed\":false}}",
      "22 poll life=86400 text=Why? poll=p1" },

    { "{\"update_id\":23,\"poll_answer\":{\"poll_id\":\"p1\"," USER
      ",\"option_ids\":[0]}}",
      "23 poll_answer life=86400 user=7 " ANN " poll=p1" },

    { "{\"update_id\":24,\"poll_answer\":{\"poll_id\":\"p1\",\"voter_chat\":"
      "{\"id\":-9,\"title\":\"V\",\"username\":\"vch\",\"type\":\"channel\"},"
      "\"user\":{\"id\":136817688,\"is_bot\":true,\"first_name\":\"Channel\","
      "\"username\":\"Channel_Bot\"},\"option_ids\":[0]}}",
      "24 poll_answer life=86400 chat=-9 user=-9 chat_type=channel "
      "username=vch poll=p1" },

    { "{\"update_id\":25,\"my_chat_member\":{" CHAT "," FROM "," DATE
      ",\"old_chat_member\":{\"user\":{\"id\":99},\"status\":\"member\"},"
      "\"new_chat_member\":{\"user\":{\"id\":99},\"status\":\"kicked\"}}}",
      "25 my_chat_member life=86400 chat=-100500 user=7 date=1700000000 "
      "chat_type=supergroup " ANN },

    { "{\"update_id\":26,\"chat_member\":{" CHAT "," FROM "," DATE
      ",\"new_chat_member\":{\"user\":{\"id\":8},\"status\":\"member\"}}}",
      "26 chat_member life=86400 chat=-100500 user=7 date=1700000000 "
      "chat_type=supergroup " ANN },

    { "{\"update_id\":27,\"chat_join_request\":{" CHAT "," FROM
      ",\"user_chat_id\":7," DATE ",\"bio\":\"hi\"}}",
      "27 chat_join_request life=86400 chat=-100500 user=7 date=1700000000 "
      "user_chat=7 chat_type=supergroup " ANN },

    { "{\"update_id\":28,\"chat_boost\":{" CHAT ",\"boost\":{\"boost_id\":"
      "\"b\",\"add_date\":1700000005,\"expiration_date\":1800000000,"
      "\"source\":{\"source\":\"premium\"," USER "}}}}",
      "28 chat_boost life=86400 chat=-100500 user=7 date=1700000005 "
      "chat_type=supergroup " ANN },

    { "{\"update_id\":29,\"removed_chat_boost\":{" CHAT ",\"boost_id\":\"b\","
      "\"remove_date\":1700000006,\"source\":{\"source\":\"gift_code\"," USER
      "}}}",
      "29 removed_chat_boost life=86400 chat=-100500 user=7 date=1700000006 "
      "chat_type=supergroup " ANN },

    { "{\"update_id\":30,\"managed_bot\":{" USER ",\"bot\":{\"id\":100,"
      "\"is_bot\":true,\"first_name\":\"M\"}}}",
      "30 managed_bot life=86400 user=7 " ANN },

    { "{\"update_id\":31,\"stopped_message_generation\":{" CHAT
      ",\"message_thread_id\":null,\"draft_id\":4}}",
      "31 stopped_message_generation life=86400 chat=-100500 "
      "chat_type=supergroup" },

    { "{\"update_id\":32,\"custom_event\":{\"anything\":[1]}}",
      "32 custom_event life=600" },

    /* types that do not exist yet */

    { "{\"update_id\":33,\"new_thing\":{" CHAT "," FROM "," DATE
      ",\"message_id\":4,\"text\":\"/start x\",\"photo\":[]}}",
      "33 new_thing life=86400 chat=-100500 user=7 message=4 date=1700000000 "
      "chat_type=supergroup " ANN " text=/start x" },

    { "{\"update_id\":34,\"new_thing\":{" USER ",\"message\":{\"message_id\":"
      "3," CHAT "," DATE "}}}",
      "34 new_thing life=86400 chat=-100500 user=7 message=3 "
      "chat_type=supergroup " ANN },

    { "{\"update_id\":35,\"new_thing\":{\"message\":{\"chat\":{\"id\":1}},"
      "\"chat\":{\"id\":2},\"user\":{\"id\":3},\"from\":{\"id\":4}}}",
      "35 new_thing life=86400 chat=2 user=4" },

    { "{\"update_id\":36,\"new_thing\":17}", "36 new_thing life=86400" },
    { "{\"update_id\":37,\"new_thing\":[{\"chat\":{\"id\":1}}]}",
      "37 new_thing life=86400" },
    { "{\"update_id\":38,\"something unknown\":\"x\"}",
      "38 something unknown life=86400" },
    { "{\"update_id\":39,\"new\\nth\\u0000ing\":{}}",
      "39 new th ing life=86400" },

    { "{\"update_id\":40,\"stopped_message_generation\":{" CHAT
      ",\"message_thread_id\":3,\"draft_id\":8}}",
      "40 stopped_message_generation life=86400 chat=-100500 thread=3 "
      "chat_type=supergroup" },
    { "{\"update_id\":41,\"widget_query\":{\"id\":\"wq\"," FROM "," CHAT
      ",\"message_id\":5,\"chat_instance\":\"1\",\"type\":{\"type\":"
      "\"data\"},\"data\":\"tap\"}}",
      "41 widget_query life=15 chat=-100500 user=7 message=5 "
      "chat_type=supergroup " ANN " data=tap query=wq" },
    { "{\"update_id\":42,\"widget_query\":{\"id\":\"wq\"," FROM
      ",\"inline_message_id\":\"im\",\"chat_type\":\"sender\",\"type\":"
      "{\"type\":\"data\"},\"data\":\"tap\"}}",
      "42 widget_query life=15 user=7 chat_type=sender " ANN
      " data=tap query=wq inline=im" },
    { "{\"update_id\":43,\"shared_widget_query\":{\"id\":\"wq\"," FROM
      ",\"type\":{\"type\":\"data\"},\"data\":\"tap\",\"widget_id\":"
      "\"w\"}}",
      "43 shared_widget_query life=15 user=7 " ANN " data=tap query=wq" },
    { "{\"update_id\":44,\"chat_join_request\":{" CHAT "," FROM
      ",\"user_chat_id\":7," DATE ",\"query_id\":\"jq\"}}",
      "44 chat_join_request life=10 chat=-100500 user=7 date=1700000000 "
      "user_chat=7 chat_type=supergroup " ANN " query=jq" },

    /* an album in a channel's direct messages */
    { "{\"update_id\":45,\"message\":{\"message_id\":5,"
      "\"direct_messages_topic\":{\"topic_id\":7,\"user\":{\"id\":9}},"
      FROM "," CHAT "," DATE ",\"media_group_id\":\"al\",\"photo\":[]}}",
      "45 message life=86400 chat=-100500 user=7 message=5 date=1700000000 "
      "direct=7 chat_type=supergroup " ANN " kind=photo album=al" },

    /* an ephemeral command, and a button of an ephemeral message */
    { "{\"update_id\":46,\"message\":{\"message_id\":0,"
      "\"ephemeral_message_id\":4,\"receiver_user\":{\"id\":9,\"is_bot\":"
      "true}," FROM "," CHAT "," DATE ",\"text\":\"/a@Shop_Bot b\"}}",
      "46 message life=86400 chat=-100500 user=7 date=1700000000 ephemeral=4 "
      "chat_type=supergroup " ANN " text=/a@Shop_Bot b command=/a "
      "command_bot=Shop_Bot args=b kind=text" },
    { "{\"update_id\":47,\"callback_query\":{\"id\":\"cq\"," FROM
      ",\"message\":{\"message_id\":0,\"ephemeral_message_id\":4,\"from\":"
      "{\"id\":9,\"is_bot\":true}," CHAT "," DATE "},\"data\":\"d\"}}",
      "47 callback_query life=150 chat=-100500 user=7 ephemeral=4 "
      "chat_type=supergroup " ANN " data=d query=cq" },

    /* other bots; one for a business account; Telegram's fake one */
    { "{\"update_id\":48,\"message\":{\"from\":{\"is_bot\":true,\"id\":9},"
      CHAT ",\"text\":\"a\"}}",
      "48 message life=86400 chat=-100500 user=9 bot=1 chat_type=supergroup "
      "text=a kind=text" },
    { "{\"update_id\":49,\"business_message\":{\"business_connection_id\":"
      "\"bc\",\"sender_business_bot\":{\"id\":9,\"is_bot\":true}," FROM ","
      CHAT ",\"text\":\"a\"}}",
      "49 business_message life=86400 chat=-100500 user=7 business_bot=9 "
      "chat_type=supergroup " ANN " text=a kind=text connection=bc" },
    { "{\"update_id\":50,\"message\":{\"from\":{\"id\":1087968824,"
      "\"is_bot\":true},\"sender_chat\":{\"id\":-100500}," CHAT
      ",\"text\":\"a\"}}",
      "50 message life=86400 chat=-100500 user=-100500 chat_type=supergroup "
      "text=a kind=text" },
};


static void
test_rich(void)
{
    static const row_t  rows[] = {

        { "{\"update_id\":1,\"message\":{\"rich_message\":{\"blocks\":[{"
          "\"type\":\"paragraph\",\"text\":[{\"type\":\"bot_command\","
          "\"text\":\"/st\\u0061rt\",\"bot_command\":\"x\"},\" a \","
          "{\"type\":\"bold\",\"text\":[\"b\",{\"type\":\"url\",\"text\":"
          "\"c\",\"url\":\"http://x\"}]}]}]}," DATE "}}",
          "1 message life=86400 date=1700000000 text=/start a bc "
          "command=/start args=a bc kind=rich_message" },

        /* fields of blocks, nested blocks, cells, captions, buttons */
        { "{\"update_id\":2,\"message\":{\"rich_message\":{\"is_rtl\":true,"
          "\"blocks\":[{\"type\":\"heading\",\"text\":\"H\",\"size\":1},"
          "{\"type\":\"divider\"},{\"type\":\"list\",\"items\":[{\"label\":"
          "\"1.\",\"blocks\":[{\"type\":\"paragraph\",\"text\":\"i\"}]},"
          "{\"label\":\"2.\",\"blocks\":[]}]},{\"type\":\"table\","
          "\"cells\":[[{\"text\":\"p\"},{\"text\":[\"q\",\"r\"]}],[{}]],"
          "\"caption\":\"T\"},{\"type\":\"photo\",\"photo\":[{\"text\":"
          "\"no\"}],\"caption\":{\"text\":\"C\",\"credit\":\"D\"}},"
          "{\"type\":\"details\",\"summary\":\"S\",\"blocks\":[{\"type\":"
          "\"pre\",\"text\":\"x\\ny\",\"language\":\"c\"}]},"
          "{\"type\":\"buttons\",\"buttons\":[{\"text\":\"B\",\"url\":"
          "\"u\"}]}]},\"message_id\":3}}",
          "2 message life=86400 message=3 text=H 1. i 2. p qr T C D S x y B "
          "kind=rich_message" },

        /* what is no object, or empty */
        { "{\"update_id\":3,\"message\":{\"rich_message\":{}," CHAT "}}",
          "3 message life=86400 chat=-100500 chat_type=supergroup "
          "kind=rich_message" },
        { "{\"update_id\":4,\"message\":{\"rich_message\":[\"text\"],"
          "\"text\":\"t\"}}",
          "4 message life=86400 text=t kind=rich_message" },
        { "{\"update_id\":5,\"message\":{\"rich_message\":null,\"text\":"
          "\"t\"}}",
          "5 message life=86400 text=t kind=text" },
        { "{\"update_id\":6,\"message\":{\"rich_message\":{\"blocks\":[{"
          "\"text\":\"r\"}]},\"text\":\"t\"}}",
          "6 message life=86400 text=t kind=rich_message" },
    };

    check(rows, unit_n(rows));
}


static void
test_for(void)
{
    char                     json[128];
    size_t                   i;
    ngx_str_t                name;
    ngx_http_tgbot_update_t  u;

    static const struct {
        const char  *text;
        const char  *username;
        const char  *command;
        const char  *args;
    } rows[] = {
        { "/help@Other_Bot x", "shop_bot", "", "" },
        { "/help@Other_Bot x", "", "/help", "x" },
        { "/help@Other_Bot x", "OTHER_BOT", "/help", "x" },
        { "/help@Other_Bot x", "Other_Bo", "", "" },
        { "/help x", "shop_bot", "/help", "x" },
        { "help", "shop_bot", "", "" },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s for \"%s\"", rows[i].text, rows[i].username);

        snprintf(json, sizeof(json),
                 "{\"update_id\":1,\"message\":{\"text\":\"%s\"}}",
                 rows[i].text);

        is_int(parse(&u, json, strlen(json)), NGX_OK);

        name = unit_str(unit_pool(), rows[i].username);
        ngx_http_tgbot_update_for(&u, &name);

        is_str(&u.command, rows[i].command);
        is_str(&u.args, rows[i].args);
        is_str(&u.text, rows[i].text);
    }
}


static void
test_types(void)
{
    check(types, unit_n(types));
}


static void
test_odd(void)
{
    static const row_t  rows[] = {

        { "{\"update_id\":0}", "0  life=86400" },
        { "{\"update_id\":9007199254740992}",
          "9007199254740992  life=86400" },

        /* any order of keys */
        { "{\"message\":{\"text\":\"/a b\"," CHAT "," FROM "},"
          "\"update_id\":5}",
          "5 message life=86400 chat=-100500 user=7 chat_type=supergroup "
          ANN " text=/a b command=/a args=b kind=text" },
        { "{\"callback_query\":{\"data\":\"d\",\"message\":{\"chat\":{"
          "\"type\":\"private\",\"id\":3}},\"from\":{\"username\":\"u\","
          "\"id\":4},\"id\":\"q\"},\"update_id\":5}",
          "5 callback_query life=150 chat=3 user=4 chat_type=private "
          "username=u data=d query=q" },

        /* the first of two equal keys counts */
        { "{\"update_id\":5,\"update_id\":6,\"message\":{},\"poll\":{}}",
          "5 message life=86400" },
        { "{\"update_id\":5,\"message\":{\"text\":\"a\"},"
          "\"message\":{\"text\":\"b\"}}",
          "5 message life=86400 text=a kind=text" },
        { "{\"update_id\":5,\"message\":{\"text\":\"a\",\"text\":\"b\","
          "\"chat\":{\"id\":1,\"id\":2},\"chat\":{\"id\":3,\"type\":\"x\"},"
          "\"date\":4,\"date\":5}}",
          "5 message life=86400 chat=1 date=4 text=a kind=text" },
        { "{\"update_id\":5,\"message\":{\"chat\":7,\"chat\":{\"id\":3}}}",
          "5 message life=86400" },
        { "{\"update_id\":5,\"callback_query\":{\"data\":\"a\","
          "\"game_short_name\":\"b\"}}",
          "5 callback_query life=150 data=a" },

        /* null counts as absent */
        { "{\"update_id\":null,\"update_id\":6}", "6  life=86400" },
        { "{\"update_id\":5,\"message\":null}", "5  life=86400" },
        { "{\"update_id\":5,\"message\":null,\"edited_message\":null,"
          "\"inline_query\":{\"id\":\"q\"},\"poll\":null}",
          "5 inline_query life=30 query=q" },
        { "{\"update_id\":5,\"message\":{\"chat\":null,\"from\":null,"
          "\"text\":null,\"date\":null,\"photo\":null,\"message_id\":null,"
          "\"is_topic_message\":null,\"caption\":\"c\",\"voice\":{}}}",
          "5 message life=86400 text=c kind=voice" },

        /* not ids */
        { "{\"update_id\":5,\"message\":{\"chat\":{\"id\":1e3},\"from\":"
          "{\"id\":12345678901234567890},\"message_id\":1.5,\"date\":\"7\"}}",
          "5 message life=86400" },
        { "{\"update_id\":5,\"message\":{\"chat\":{\"id\":\"-1\"},\"from\":"
          "{\"id\":true},\"message_id\":[1],\"date\":{\"date\":1}}}",
          "5 message life=86400" },
        { "{\"update_id\":5,\"message\":{\"chat\":{\"id\":"
          "-9223372036854775808},\"from\":{\"id\":9223372036854775807}}}",
          "5 message life=86400 chat=-9223372036854775808 "
          "user=9223372036854775807" },
        { "{\"update_id\":5,\"message\":{\"date\":0}}",
          "5 message life=86400" },
        { "{\"update_id\":5,\"message\":{\"date\":-1}}",
          "5 message life=86400" },
        { "{\"update_id\":5,\"message\":{\"date\":11111111111}}",
          "5 message life=86400 date=11111111111" },

        /* not texts */
        { "{\"update_id\":5,\"message\":{\"text\":5,\"caption\":[\"c\"]}}",
          "5 message life=86400" },
        { "{\"update_id\":5,\"callback_query\":{\"id\":\"\",\"data\":1}}",
          "5 callback_query life=150" },

        /* nested fields of the same name are not read */
        { "{\"update_id\":5,\"message\":{\"reply_to_message\":{\"message_id\":"
          "1," CHAT "," FROM ",\"text\":\"/x\",\"update_id\":9},\"photo\":"
          "[{\"chat\":{\"id\":4},\"text\":\"/y\"}]}}",
          "5 message life=86400 kind=photo" },
        { "{\"x\":{\"update_id\":9},\"update_id\":5}", "5 x life=86400" },

        /* sender_chat before from, in any order */
        { "{\"update_id\":5,\"message\":{\"sender_chat\":{\"id\":-1,"
          "\"username\":\"grp\",\"title\":\"G\",\"type\":\"supergroup\"},"
          FROM "}}",
          "5 message life=86400 user=-1 username=grp language=en" },
        { "{\"update_id\":5,\"message\":{" FROM ",\"sender_chat\":{\"id\":-1,"
          "\"title\":\"G\"}}}",
          "5 message life=86400 user=-1 language=en" },
        { "{\"update_id\":5,\"message\":{" FROM ",\"sender_chat\":{\"id\":"
          "\"x\",\"username\":\"grp\"}}}",
          "5 message life=86400 user=7 " ANN },

        /* a thread is a topic only with is_topic_message */
        { "{\"update_id\":5,\"message\":{\"message_thread_id\":8}}",
          "5 message life=86400" },
        { "{\"update_id\":5,\"message\":{\"message_thread_id\":8,"
          "\"is_topic_message\":false}}",
          "5 message life=86400" },
        { "{\"update_id\":5,\"message\":{\"is_topic_message\":true,"
          "\"message_thread_id\":8}}",
          "5 message life=86400 thread=8" },
        { "{\"update_id\":5,\"message\":{\"is_topic_message\":true}}",
          "5 message life=86400" },

        /* the date of a button's message says nothing about the press */
        { "{\"update_id\":5,\"callback_query\":{\"message\":{\"date\":4,"
          "\"edit_date\":5,\"text\":\"/t\"}}}",
          "5 callback_query life=150" },

        /* a source in a source in a source ... */
        { "{\"update_id\":5,\"chat_boost\":{\"boost\":{\"source\":{\"source\":"
          "{\"source\":{\"source\":{\"source\":{\"source\":{\"user\":"
          "{\"id\":1}}}}}}}}}}",
          "5 chat_boost life=86400" },

        /* text is cleaned for headers and logs */
        { "{\"update_id\":5,\"callback_query\":{\"data\":\"\xff\xc3\xa9\xe2"
          "\\r\\nx: \\u0000\\u001b\\u0085\"}}",
          "5 callback_query life=150 data=?\xc3\xa9?  x:    " },
        { "{\"update_id\":5,\"message\":{\"from\":{\"id\":1,\"first_name\":"
          "\"a\\nb\",\"username\":\"c\\u007f\",\"language_code\":\"\\t\"}}}",
          "5 message life=86400 user=1 username=c  first_name=a b "
          "language= " },
    };

    check(rows, unit_n(rows));
}


static void
test_declined(void)
{
    size_t                   i;
    ngx_http_tgbot_update_t  u;

    static const char  *rows[] = {
        "", "null", "1", "\"update_id\"", "[]", "[{\"update_id\":1}]",
        "{}", "{\"message\":{}}",
        "{\"message\":{\"update_id\":1}}",
        "{\"update_id\":1.0}",
        "{\"update_id\":1e3}",
        "{\"update_id\":-1e3}",
        "{\"update_id\":18446744073709551616e1}",
        "{\"update_id\":\"1\"}",
        "{\"update_id\":true}",
        "{\"update_id\":null}",
        "{\"update_id\":{}}",
        "{\"update_id\":[1]}",
        "{\"update_id\":\"x\",\"update_id\":1}",
        "{\"update_id\":1.5,\"update_id\":1}",
        "{\"update_id\":[],\"update_id\":1}",
        "{\"Update_id\":1}",
        "{\"update_id\\u0000\":1}",
        "{\"update_id\":1",
        "{\"update_id\":1}}",
        "{\"update_id\":1}{\"update_id\":2}",
        "{\"update_id\":1} x",
        "{\"update_id\":1,}",
        "{\"update_id\":1,\"message\":}",
        "{\"update_id\":1,\"message\":{\"text\":\"a\nb\"}}",
        "\xef\xbb\xbf{\"update_id\":1}",
        "update_id=1",
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i]);
        is_int(parse(&u, rows[i], strlen(rows[i])), NGX_DECLINED);
    }
}


/* a string that stands in the Update as it is: each byte alone and after c2 */

static void
test_bytes(void)
{
    int                      c, len;
    char                     json[64];
    ngx_str_t                text;
    ngx_uint_t               i;
    ngx_http_tgbot_update_t  u;

    static const char  *before[] = { "a", "\xc2", "\xd0\xb6" };

    for (i = 0; i < unit_n(before); i++) {

        for (c = 0; c < 256; c++) {

            if (c == '"' || c == '\\') {
                continue;
            }

            len = snprintf(json, sizeof(json),
                           "{\"update_id\":1,\"message\":{\"text\":\"%s%c-\"}}",
                           before[i], c);

            unit_context("byte %d after \"%s\"", c, before[i]);

            if (c < ' ') {
                is_int(parse(&u, json, len), NGX_DECLINED);
                continue;
            }

            if (!is_int(parse(&u, json, len), NGX_OK)) {
                continue;
            }

            text.len = strlen(before[i]) + 2;
            text.data = (u_char *) json + len - (sizeof("\"}}") - 1)
                        - text.len;

            ngx_http_tgbot_json_clean(&text);

            is_same(&u.text, &text);
        }
    }
}


/* any integer is an update_id, but not every integer fits 64 bits */

static void
test_integers(void)
{
    size_t                   i;
    char                     json[128];
    ngx_http_tgbot_update_t  u;

    static const struct {
        const char  *text;
        int64_t      id;
    } rows[] = {
        { "-1", -1 },
        { "-0", 0 },
        { "9007199254740993", 9007199254740993LL },
        { "9223372036854775807", 0x7fffffffffffffffLL },
        { "-9223372036854775807", -0x7fffffffffffffffLL },
        { "-9223372036854775808", NGX_HTTP_TGBOT_UPDATE_NO_ID },
        { "9223372036854775808", NGX_HTTP_TGBOT_UPDATE_NO_ID },
        { "-9223372036854775809", NGX_HTTP_TGBOT_UPDATE_NO_ID },
        { "18446744073709551617", NGX_HTTP_TGBOT_UPDATE_NO_ID },
        { "1000000000000000000000000000000000000000000000000000000000",
          NGX_HTTP_TGBOT_UPDATE_NO_ID },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].text);

        snprintf(json, sizeof(json), "{\"update_id\":%s,\"poll\":{}}",
                 rows[i].text);

        is_int(parse(&u, json, strlen(json)), NGX_OK);
        ok(u.update_id == rows[i].id);
        is_int(u.has_update_id, rows[i].id != NGX_HTTP_TGBOT_UPDATE_NO_ID);

        check_written(json, strlen(json));
    }
}


static u_char *
put(u_char *p, const char *text)
{
    return ngx_cpymem(p, text, strlen(text));
}


/* an Update is never refused for its depth, wherever update_id stands */

static void
test_deep(void)
{
    u_char                   *p;
    size_t                    i, n;
    ngx_str_t                 s;
    ngx_http_tgbot_update_t   u;

    static u_char  json[1100000];

    static const size_t  depths[] = { 90, 97, 98, 99, 100, 101, 102, 150,
                                      100000, 500000 };

    for (i = 0; i < unit_n(depths); i++) {
        unit_context("depth %d", (int) depths[i]);

        p = put(json, "{\"message\":{\"text\":\"/go\",\"x\":");

        for (n = 0; n < depths[i]; n++) {
            *p++ = '[';
        }

        for (n = 0; n < depths[i]; n++) {
            *p++ = ']';
        }

        p = put(p, ",\"chat\":{\"id\":5}},\"update_id\":9}");

        is_int(parse(&u, json, p - json), NGX_OK);

        s = describe(&u);
        is_str(&s, "9 message life=86400 chat=5 text=/go command=/go "
                   "kind=text");

        /* no other value is accepted as update_id */

        is_int(parse(&u, json, p - json - 1), NGX_DECLINED);
    }
}


static void
test_commands(void)
{
    char                     json[512];
    size_t                   i;
    ngx_http_tgbot_update_t  u;

    static const struct {
        const char  *text;
        const char  *command;
        const char  *args;
    } rows[] = {
        { "/start", "/start", "" },
        { "/start x y", "/start", "x y" },
        { "/start@my_bot x y", "/start", "x y" },
        { "/start@my_bot", "/start", "" },
        { "/Start", "/Start", "" },
        { "/a_1", "/a_1", "" },
        { "/1", "/1", "" },
        { "/start   x  y   ", "/start", "x  y" },
        { "/start   ", "/start", "" },
        { "/start\\nline\\nline", "/start", "line line" },
        { "/start\\tx", "/start", "x" },
        { "/start\\u0085x", "/start", "x" },
        { "/start@my_bot\\nx", "/start", "x" },
        { "/start /stop", "/start", "/stop" },
        { "/start @x", "/start", "@x" },
        { "/start \xd0\xb4\xd0\xb0", "/start", "\xd0\xb4\xd0\xb0" },
        { "/abcdefghijklmnopqrstuvwxyz012345",
          "/abcdefghijklmnopqrstuvwxyz012345", "" },
        { "/abcdefghijklmnopqrstuvwxyz0123456", "", "" },
        { "/", "", "" },
        { "/ start", "", "" },
        { "//start", "", "" },
        { "/@my_bot", "", "" },
        { "/start@", "", "" },
        { "/start@ x", "", "" },
        { "/start@my-bot", "", "" },
        { "/start-x", "", "" },
        { "/start/x", "", "" },
        { "/start.", "", "" },
        { "/\xd0\xb4\xd0\xb0", "", "" },
        { "/da\xd0\xb4", "", "" },
        { " /start", "", "" },
        { "start", "", "" },
        { "", "", "" },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].text);

        snprintf(json, sizeof(json), "{\"update_id\":1,\"message\":{\"%s\":"
                 "\"%s\"}}", (i & 1) ? "text" : "caption", rows[i].text);

        is_int(parse(&u, json, strlen(json)), NGX_OK);
        is_str(&u.command, rows[i].command);
        is_str(&u.args, rows[i].args);
    }
}


/* the keys of Message that are its kind, by the Bot API's reference */

static void
test_kinds(void)
{
    char                     json[512];
    size_t                   i;
    ngx_http_tgbot_update_t  u;

    static const char  *kinds[] = {
        "text", "rich_message", "animation", "audio", "document",
        "live_photo", "paid_media", "photo", "sticker", "story", "video",
        "video_note", "voice", "checklist", "contact", "dice", "game", "poll",
        "venue", "location", "new_chat_members", "left_chat_member",
        "chat_owner_left", "chat_owner_changed", "new_chat_title",
        "new_chat_photo", "delete_chat_photo", "group_chat_created",
        "supergroup_chat_created", "channel_chat_created",
        "message_auto_delete_timer_changed", "migrate_to_chat_id",
        "migrate_from_chat_id", "pinned_message", "invoice",
        "successful_payment", "refunded_payment", "users_shared",
        "chat_shared", "gift", "unique_gift", "gift_upgrade_sent",
        "connected_website", "write_access_allowed", "passport_data",
        "proximity_alert_triggered", "boost_added", "chat_background_set",
        "checklist_tasks_done", "checklist_tasks_added",
        "community_chat_added", "community_chat_removed",
        "community_chat_joined", "direct_message_price_changed",
        "paid_message_price_changed", "forum_topic_created",
        "forum_topic_edited", "forum_topic_closed", "forum_topic_reopened",
        "general_forum_topic_hidden", "general_forum_topic_unhidden",
        "giveaway_created", "giveaway", "giveaway_winners",
        "giveaway_completed", "managed_bot_created", "poll_option_added",
        "poll_option_deleted", "suggested_post_approved",
        "suggested_post_approval_failed", "suggested_post_declined",
        "suggested_post_paid", "suggested_post_refunded",
        "video_chat_scheduled", "video_chat_started", "video_chat_ended",
        "video_chat_participants_invited", "web_app_data", "user_shared",
        "voice_chat_scheduled", "voice_chat_started", "voice_chat_ended",
        "voice_chat_participants_invited",
    };

    static const row_t  rows[] = {
        { "\"document\":{},\"animation\":{}", "animation" },
        { "\"animation\":{},\"document\":{}", "animation" },
        { "\"location\":{},\"venue\":{}", "venue" },
        { "\"photo\":[],\"live_photo\":{},\"caption\":\"c\"", "live_photo" },
        { "\"caption\":\"c\"", "" },
        { "\"new_media\":{},\"caption\":\"c\"", "" },
        { "\"photo\":null", "" },
        { "\"group_chat_created\":false", "" },
        { "\"group_chat_created\":true", "group_chat_created" },
        { "\"delete_chat_photo\":false,\"text\":\"x\"", "text" },
        { "\"migrate_to_chat_id\":-1005", "migrate_to_chat_id" },
        { "\"new_chat_title\":\"T\"", "new_chat_title" },
        { "\"reply_to_message\":{\"photo\":[]}", "" },
        { "\"entities\":[],\"forward_origin\":{},\"photos\":[]", "" },
    };

    for (i = 0; i < unit_n(kinds); i++) {
        unit_context("%s", kinds[i]);

        snprintf(json, sizeof(json), "{\"update_id\":1,\"message\":{"
                 "\"message_id\":1,\"%s\":\"x\"}}", kinds[i]);

        is_int(parse(&u, json, strlen(json)), NGX_OK);
        is_str(&u.message_kind, kinds[i]);
    }

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].json);

        snprintf(json, sizeof(json), "{\"update_id\":1,\"channel_post\":{%s}}",
                 rows[i].json);

        is_int(parse(&u, json, strlen(json)), NGX_OK);
        is_str(&u.message_kind, rows[i].want);
    }

    unit_context("only messages have a kind");
    snprintf(json, sizeof(json), "{\"update_id\":1,\"chat_member\":{"
             "\"photo\":{},\"new_chat_title\":1}}");
    is_int(parse(&u, json, strlen(json)), NGX_OK);
    is_int(u.message_kind.len, 0);
}


static void
test_long(void)
{
    u_char                   *p;
    size_t                    i, max;
    ngx_http_tgbot_update_t   u;

    static u_char  json[300000];

    max = NGX_HTTP_TGBOT_UPDATE_MAX_STRING;

    /* the euro sign has 3 bytes: the bound lies at each place in it */

    for (i = 0; i < 4; i++) {
        unit_context("%d bytes before", (int) i);

        p = put(json, "{\"update_id\":1,\"message\":{\"text\":\"");
        ngx_memset(p, 'a', i);
        p += i;

        while (p < json + 200000) {
            p = put(p, "\xe2\x82\xac");
        }

        p = put(p, "\"}}");

        is_int(parse(&u, json, p - json), NGX_OK);

        if (!is_int(u.text.len, i + (max - i) / 3 * 3)) {
            return;
        }

        ok(ngx_memcmp(u.text.data + u.text.len - 3, "\xe2\x82\xac", 3) == 0);
    }

    unit_context("as long as may be");

    p = put(json, "{\"update_id\":1,\"callback_query\":{\"data\":\"");
    ngx_memset(p, 'a', max);
    p = put(p + max, "\"}}");

    is_int(parse(&u, json, p - json), NGX_OK);
    is_int(u.data.len, max);

    unit_context("bytes that continue nothing");

    p = put(json, "{\"update_id\":1,\"callback_query\":{\"data\":\"");
    ngx_memset(p, 0x80, max + 10);
    p = put(p + max + 10, "\"}}");

    is_int(parse(&u, json, p - json), NGX_OK);
    is_int(u.data.len, max - 3);
}


/* the N-th allocation fails, for all N, and then none */

static void
test_no_memory(void)
{
    size_t                    i, size;
    ngx_str_t                 s, body, data;
    ngx_int_t                 rc;
    ngx_uint_t                n, failed;
    ngx_pool_t               *pool;
    ngx_http_tgbot_update_t   u, copy;

    failed = 0;

    for (i = 0; i < unit_n(types); i++) {

        for (n = 1; n < 100; n++) {
            unit_context("%s: allocation %d", types[i].want, (int) n);

            pool = unit_pool();
            body = unit_str(pool, types[i].json);

            unit_fail_at = n;

            rc = ngx_http_tgbot_update_parse(&u, &body, pool);

            if (rc == NGX_OK) {
                rc = ngx_http_tgbot_update_copy(&copy, &u, &body, &body, &size,
                                                pool);
            }

            if (rc == NGX_OK) {
                rc = ngx_http_tgbot_update_write(&u, &body, &data, pool);
            }

            is_int(unit_live, 0);

            if (unit_fail_at) {
                unit_fail_at = 0;
                is_int(rc, NGX_OK);
                s = describe(&copy);
                is_str(&s, types[i].want);
                break;
            }

            is_int(rc, NGX_ERROR);
            failed++;
        }

        ok(n < 100);
    }

    ok(failed > unit_n(types));
}


static void
test_copy(void)
{
    size_t                    i, size, max;
    ngx_str_t                 s, body, to;
    ngx_pool_t               *pool;
    ngx_http_tgbot_update_t   u, copy;

    for (i = 0; i < unit_n(types); i++) {
        unit_context("%s", types[i].want);

        pool = ngx_create_pool(1024, ngx_cycle->log);
        body = unit_str(pool, types[i].json);

        is_int(ngx_http_tgbot_update_parse(&u, &body, pool), NGX_OK);

        to = unit_str(unit_pool(), types[i].json);

        is_int(ngx_http_tgbot_update_copy(&copy, &u, &body, &to, &size,
                                          unit_pool()),
               NGX_OK);

        /* names that stand in the module, and strings that were decoded */

        max = u.type.len + u.message_kind.len
              + (strchr(types[i].json, '\\') ? body.len : 0);
        ok(size <= max);

        ngx_destroy_pool(pool);
        ngx_memset(&u, 0xff, sizeof(ngx_http_tgbot_update_t));

        s = describe(&copy);
        is_str(&s, types[i].want);
        is_int(copy.has_update_id, 1);
    }
}


/* the bytes of a string are written only if the body does not have them */

static void
test_written_size(void)
{
    size_t                    i, max;
    ngx_str_t                 body, data;
    ngx_pool_t               *pool;
    ngx_http_tgbot_update_t   u;

    static const struct {
        const char  *text;
        size_t       beside;
    } rows[] = {
        { "plain", 0 },
        { "\xd1\x8f", 0 },
        { "\\u044f", 2 },
        { "a\\nb", 3 },
        { "a\xff", 2 },
        { "a\xc2\x85", 2 },
    };

    pool = unit_pool();

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].text);

        body.data = ngx_pnalloc(pool, 1000);
        body.len = sprintf((char *) body.data,
                           "{\"update_id\":1,\"message\":{\"text\":\"%s\"}}",
                           rows[i].text);
        body = unit_bytes(pool, body.data, body.len);

        is_int(ngx_http_tgbot_update_parse(&u, &body, pool), NGX_OK);
        is_int(ngx_http_tgbot_update_write(&u, &body, &data, pool), NGX_OK);

        /* the kind lies nowhere in the body */

        max = 8 + offsetof(ngx_http_tgbot_update_t, type) + 2 * 4
              + sizeof("text") - 1;

        is_int(data.len, max + rows[i].beside);
    }
}


/* places take 16 bits */

static void
test_written_large(void)
{
    size_t                    i, len;
    ngx_str_t                 body, data;
    ngx_pool_t               *pool;
    ngx_http_tgbot_update_t   u, v;

    static char  text[65536];

    static const struct {
        size_t      len;
        ngx_int_t   rc;
    } rows[] = {
        { 65535 - 4, NGX_OK },           /* "text" is in data */
        { 65535 - 3, NGX_DECLINED },
        { 65535, NGX_DECLINED },
        { 200000, NGX_DECLINED },
    };

    pool = unit_pool();

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%d bytes", (int) rows[i].len);

        len = ngx_min(rows[i].len, 65535) - 46;
        ngx_memset(text, 'x', len);

        body.data = ngx_pnalloc(pool, rows[i].len);
        body.len = sprintf((char *) body.data,
                           "{\"update_id\":1,\"message\":{\"text\":\"%.*s\"}}",
                           (int) len, text);
        ngx_memset(body.data + body.len, ' ', rows[i].len - body.len);
        body.len = rows[i].len;

        body = unit_bytes(pool, body.data, body.len);

        is_int(ngx_http_tgbot_update_parse(&u, &body, pool), NGX_OK);
        is_int(ngx_http_tgbot_update_write(&u, &body, &data, pool), NGX_OK);
        is_int(ngx_http_tgbot_update_read(&v, &body, &data), rows[i].rc);

        if (rows[i].rc == NGX_OK) {
            is_int(v.text.len, len);
            is_same(&v.text, &u.text);
            is_str(&v.message_kind, "text");
        }
    }
}


static void
check_within(ngx_str_t *s, ngx_str_t *body, ngx_str_t *data)
{
    if (s->len) {
        ok((s->data >= body->data
            && s->data + s->len <= body->data + body->len)
           || (s->data >= data->data
               && s->data + s->len <= data->data + data->len));
    }
}


/* damaged data, or data of another version: no access outside of it */

static void
test_written_garbage(void)
{
    size_t                    i, at, len;
    u_char                    c;
    ngx_str_t                 s, body, data;
    ngx_int_t                 rc;
    ngx_pool_t               *pool;
    ngx_http_tgbot_update_t   u;

    static const u_char  masks[] = { 0x01, 0x10, 0x80, 0xff };

    for (i = 0; i < unit_n(types); i++) {
        pool = unit_pool();
        body = unit_str(pool, types[i].json);

        is_int(ngx_http_tgbot_update_parse(&u, &body, pool), NGX_OK);
        is_int(ngx_http_tgbot_update_write(&u, &body, &data, pool), NGX_OK);

        s = exact(&body);
        body = s;

        for (len = 0; len < data.len; len++) {
            unit_context("%s: %d bytes", types[i].want, (int) len);

            s.data = data.data;
            s.len = len;
            s = exact(&s);

            is_int(ngx_http_tgbot_update_read(&u, &body, &s), NGX_DECLINED);
            ngx_free(s.data);
        }

        s = exact(&data);

        for (at = 0; at < data.len * unit_n(masks); at++) {
            unit_context("%s: byte %d", types[i].want,
                         (int) (at / unit_n(masks)));

            c = s.data[at / unit_n(masks)];
            s.data[at / unit_n(masks)] ^= masks[at % unit_n(masks)];

            rc = ngx_http_tgbot_update_read(&u, &body, &s);

            s.data[at / unit_n(masks)] = c;

            if (at < sizeof(uint32_t) * unit_n(masks)) {
                is_int(rc, NGX_DECLINED);
            }

            if (rc == NGX_OK) {
                ok(u.type_index < NGX_HTTP_TGBOT_TYPES);

                if (u.type_index == NGX_HTTP_TGBOT_TYPE_UNKNOWN) {
                    check_within(&u.type, &body, &s);
                }

                check_within(&u.chat_type, &body, &s);
                check_within(&u.username, &body, &s);
                check_within(&u.first_name, &body, &s);
                check_within(&u.language, &body, &s);
                check_within(&u.text, &body, &s);
                check_within(&u.command, &body, &s);
                check_within(&u.args, &body, &s);
                check_within(&u.data, &body, &s);
                check_within(&u.message_kind, &body, &s);
                check_within(&u.query_id, &body, &s);
                check_within(&u.business_connection_id, &body, &s);
                check_within(&u.poll_id, &body, &s);

            } else {
                is_int(rc, NGX_DECLINED);
            }
        }

        ngx_free(s.data);
        ngx_free(body.data);
    }
}


/*
 * A directory of real Updates: each line of EXPECTED.tsv has a file name,
 * update_id, type, chat id, id of "from", thread id, and the text or data (as
 * a JSON string).
 */

#define FIELDS  7


/* updates sent on behalf of a chat: the user is this chat, not the fake one */

static const struct {
    const char  *file;
    const char  *from;
    const char  *sender_chat;
} senders[] = {
    { "rubenlagus__message__testListUpdates3_6.json", "12345678",
      "-10011869112345" },
    { "rubenlagus__message__testListUpdates3_23.json", "12345678",
      "-10011869112345" },
};


static ngx_int_t
keep_string(void *data, ngx_http_tgbot_json_token_t *token)
{
    ngx_str_t *s = data;

    s->data = ngx_pnalloc(unit_pool(), token->text.len);
    ngx_memcpy(s->data, token->text.data, token->text.len);
    s->len = token->text.len;

    return NGX_OK;
}


static void
check_id(ngx_uint_t has, int64_t value, const char *want)
{
    u_char     buf[NGX_INT64_LEN + 1];
    ngx_str_t  s;

    s.data = buf;
    s.len = has ? (size_t) (ngx_sprintf(buf, "%L", value) - buf) : 0;

    is_str(&s, want);
}


static void
check_file(const char *name, char *data, size_t len, char **want)
{
    size_t                   i;
    ngx_str_t                json, text;
    const char              *user;
    ngx_http_tgbot_update_t  u;

    if (!is_int(parse(&u, data, len), NGX_OK)) {
        return;
    }

    user = want[4];

    for (i = 0; i < unit_n(senders); i++) {
        if (strcmp(name, senders[i].file) == 0) {
            ok(strcmp(user, senders[i].from) == 0);
            user = senders[i].sender_chat;
        }
    }

    check_id(u.has_update_id, u.update_id, want[1]);
    is_str(&u.type, want[2]);
    check_id(u.has_chat_id, u.chat_id, want[3]);
    check_id(u.has_user_id, u.user_id, user);
    check_id(u.has_thread_id, u.thread_id, want[5]);

    ngx_str_null(&text);

    if (want[6][0]) {
        json = unit_str(unit_pool(), want[6]);
        is_int(ngx_http_tgbot_json_parse(&json, keep_string, &text),
               NGX_OK);
        ngx_http_tgbot_json_clean(&text);
    }

    is_same(u.text.len ? &u.text : &u.data, &text);

    check_written(data, len);
}


static void
test_real(void)
{
    char        *dir, *p, *want[FIELDS], line[8192], path[4096];
    FILE        *tsv, *f;
    size_t       n, i;
    ngx_uint_t   files, absent;

    static char  data[1048576];

    dir = getenv("TGBOT_UPDATES");

    if (dir == NULL || dir[0] == '\0') {
        unit_skip("no TGBOT_UPDATES");
        return;
    }

    snprintf(path, sizeof(path), "%s/EXPECTED.tsv", dir);
    tsv = fopen(path, "r");

    unit_context("%s", path);
    if (!ok(tsv != NULL)) {
        return;
    }

    files = 0;
    absent = 0;

    /* the first line names the columns */
    ok(fgets(line, sizeof(line), tsv) != NULL);

    while (fgets(line, sizeof(line), tsv)) {
        line[strcspn(line, "\n")] = '\0';

        for (i = 0, p = line; i < FIELDS && p; i++) {
            want[i] = strsep(&p, "\t");
        }

        unit_context("%s", line);

        if (!is_int(i, FIELDS)) {
            break;
        }

        snprintf(path, sizeof(path), "%s/%s", dir, want[0]);
        f = fopen(path, "r");

        if (f == NULL) {
            absent++;
            continue;
        }

        n = fread(data, 1, sizeof(data), f);
        fclose(f);

        check_file(want[0], data, n, want);
        files++;
    }

    fclose(tsv);

    unit_context("files");
    ok(files > 0);

    printf("# %lu real Updates, %lu files absent\n", (unsigned long) files,
           (unsigned long) absent);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "every type", test_types },
    { "the text of a rich_message", test_rich },
    { "commands for other bots", test_for },
        { "odd Updates", test_odd },
        { "what is not an Update", test_declined },
        { "bytes of a string", test_bytes },
        { "any integer is an update_id", test_integers },
        { "nesting", test_deep },
        { "commands", test_commands },
        { "kinds of messages", test_kinds },
        { "long strings", test_long },
        { "no memory", test_no_memory },
        { "copies", test_copy },
        { "what is written is short", test_written_size },
        { "what is too large to be written", test_written_large },
        { "garbage that was written", test_written_garbage },
        { "real Updates", test_real },
    };

    return unit_main(cases, unit_n(cases));
}
