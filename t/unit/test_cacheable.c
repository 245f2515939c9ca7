
#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_cacheable.h"
#include "unit.h"


#define JSON  "application/json"


typedef struct {
    ngx_http_tgbot_update_t  *update;
    const char               *body;
    const char               *kept;        /* NULL: declined */
} test_row_t;


static ngx_int_t test_make(const char *type, const void *data, size_t len,
    ngx_http_tgbot_update_t *update, ngx_str_t *kept);
static void test_same_calls(const void *data, size_t len, ngx_str_t *kept,
    ngx_http_tgbot_update_t *update);
static void test_rows(test_row_t *rows, ngx_uint_t n);
static void test_declined(ngx_http_tgbot_update_t *update, const char *body);


static ngx_http_tgbot_update_t  test_message = {
    .type_index = NGX_HTTP_TGBOT_TYPE_MESSAGE, .chat_id = -1001367429635LL,
    .has_chat_id = 1, .user_id = 5, .has_user_id = 1, .message_id = 7,
    .has_message_id = 1
};


/* a chat_id is not all that another call to this chat would get */

static ngx_http_tgbot_update_t  test_topic = {
    .type_index = NGX_HTTP_TGBOT_TYPE_MESSAGE, .chat_id = -1001367429635LL,
    .has_chat_id = 1, .thread_id = 9, .has_thread_id = 1
};


static ngx_http_tgbot_update_t  test_business = {
    .type_index = NGX_HTTP_TGBOT_TYPE_BUSINESS_MESSAGE, .chat_id = 7,
    .has_chat_id = 1, .business_connection_id = ngx_string("bc")
};

static ngx_http_tgbot_update_t  test_callback = {
    .type_index = NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY,
    .chat_id = 77, .has_chat_id = 1,
    .query_id = ngx_string("4382")
};

static ngx_http_tgbot_update_t  test_inline = {
    .type_index = NGX_HTTP_TGBOT_TYPE_INLINE_QUERY, .query_id = ngx_string("99")
};

static ngx_http_tgbot_update_t  test_checkout = {
    .type_index = NGX_HTTP_TGBOT_TYPE_PRE_CHECKOUT_QUERY,
    .query_id = ngx_string("98")
};

static ngx_http_tgbot_update_t  test_shipping = {
    .type_index = NGX_HTTP_TGBOT_TYPE_SHIPPING_QUERY,
    .query_id = ngx_string("97")
};

static ngx_http_tgbot_update_t  test_poll = {
    .type_index = NGX_HTTP_TGBOT_TYPE_POLL
};


/* another update of each type */

static ngx_http_tgbot_update_t
test_other(ngx_http_tgbot_update_t *update)
{
    ngx_http_tgbot_update_t  other;

    ngx_memzero(&other, sizeof(ngx_http_tgbot_update_t));

    other.type = update->type;
    other.has_chat_id = update->has_chat_id;

    if (other.has_chat_id) {
        other.chat_id = 123456789;
    }

    if (update->query_id.len) {
        ngx_str_set(&other.query_id, "1\"2");
    }

    return other;
}


static ngx_int_t
test_make(const char *type, const void *data, size_t len,
    ngx_http_tgbot_update_t *update, ngx_str_t *kept)
{
    ngx_int_t    rc;
    ngx_str_t    content_type, body;
    ngx_pool_t  *pool;

    pool = unit_pool();
    content_type = unit_str(pool, type);

    body.len = len;
    body.data = ngx_pnalloc(pool, len);
    ngx_memcpy(body.data, data, len);

    rc = ngx_http_tgbot_cacheable(&content_type, &body, update, kept, pool);

    if (rc == NGX_OK) {
        ok(kept->len <= len);
        ok(kept->len > 0);
        test_same_calls(data, len, kept, update);
    }

    return rc;
}


/*
 * Checks that the kept answer makes the same calls for another update, with
 * that update's chat and query, and contains none of the first update's ids.
 */

static void
test_same_calls(const void *data, size_t len, ngx_str_t *kept,
    ngx_http_tgbot_update_t *update)
{
    ngx_str_t                 type, body, chat;
    ngx_uint_t                i;
    ngx_pool_t               *pool;
    ngx_http_tgbot_answer_t   was, is;
    ngx_http_tgbot_method_t  *before, *after;
    ngx_http_tgbot_update_t   other;

    pool = unit_pool();
    ngx_str_set(&type, JSON);
    body.data = (u_char *) data;
    body.len = len;
    other = test_other(update);

    is_int(ngx_http_tgbot_answer_parse(&was, &type, &body, update, pool),
           NGX_OK);
    is_int(ngx_http_tgbot_answer_parse(&is, &type, kept, &other, pool),
           NGX_OK);

    ok(is.problem == NULL);
    ok(was.problem == NULL);
    ok(is.calls.nelts > 0);

    if (!is_int(is.calls.nelts, was.calls.nelts)) {
        return;
    }

    before = was.calls.elts;
    after = is.calls.elts;

    for (i = 0; i < is.calls.nelts; i++) {
        is_same(&after[i].name, &before[i].name);
        is_int(after[i].chat_len != 0, before[i].chat_len != 0);

        if (after[i].chat_len) {
            chat.data = after[i].body.data + after[i].chat_pos;
            chat.len = after[i].chat_len;
            is_str(&chat, "123456789");
        }

        if (before[i].body.len > after[i].body.len + 100) {
            ok(0);
        }
    }
}


static void
test_rows(test_row_t *rows, ngx_uint_t n)
{
    ngx_int_t   rc;
    ngx_str_t   kept;
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        unit_context("row %d: %s", (int) i, rows[i].body);

        rc = test_make(JSON, rows[i].body, strlen(rows[i].body),
                       rows[i].update, &kept);

        if (rows[i].kept == NULL) {
            is_int(rc, NGX_DECLINED);

        } else if (is_int(rc, NGX_OK)) {
            is_str(&kept, rows[i].kept);
        }
    }
}


static void
test_declined(ngx_http_tgbot_update_t *update, const char *body)
{
    ngx_str_t  kept;

    unit_context("%s", body);

    is_int(test_make(JSON, body, strlen(body), update, &kept), NGX_DECLINED);
}


static void
test_chat(void)
{
    static test_row_t  rows[] = {

        { &test_message,
          "{\"method\":\"sendMessage\",\"text\":\"a\"}",
          "{\"method\":\"sendMessage\",\"text\":\"a\"}" },

        { &test_message,
          "{\"method\":\"sendMessage\",\"chat_id\":-1001367429635,"
          "\"text\":\"a\"}",
          "{\"method\":\"sendMessage\",\"text\":\"a\"}" },

        { &test_message,
          "{\"chat_id\":-1001367429635,\"method\":\"sendMessage\","
          "\"text\":\"a\"}",
          "{\"method\":\"sendMessage\",\"text\":\"a\"}" },

        { &test_message,
          "{\"method\":\"sendMessage\",\"text\":\"a\","
          "\"chat_id\":-1001367429635}",
          "{\"method\":\"sendMessage\",\"text\":\"a\"}" },

        { &test_message,
          "{\"method\":\"sendMessage\",\"chat_id\":\"-1001367429635\"}",
          "{\"method\":\"sendMessage\"}" },

        { &test_message,
          " {\r\n\t\"chat_id\" : -1001367429635 ,\n \"method\" : \"sendDice\""
          "\n}\n",
          " {\"method\" : \"sendDice\"\n}\n" },

        { &test_message,
          "{ \"method\" : \"sendDice\" , \"chat_id\" : \"-1001367429635\"\t}",
          "{ \"method\" : \"sendDice\"\t}" },

        /* escaped spellings of key and value, kept ones as they are */

        { &test_message,
          "{\"m\\u0065thod\":\"s\\u0065ndDice\","
          "\"chat\\u005fid\":\"\\u002d1001367429635\","
          "\"te\\u0078t\":\"\\u0041\\/\"}",
          "{\"m\\u0065thod\":\"s\\u0065ndDice\","
          "\"te\\u0078t\":\"\\u0041\\/\"}" },

        /*
         * bytes that are not UTF-8, and text that looks like an id or a link
         */

        { &test_message,
          "{\"chat_id\":-1001367429635,\"text\":\"\xff\xc0 \xf0\x9f\","
          "\"method\":\"sendMessage\"}",
          "{\"text\":\"\xff\xc0 \xf0\x9f\",\"method\":\"sendMessage\"}" },

        { &test_message,
          "{\"chat_id\":-1001367429635,"
          "\"text\":\"\\\"chat_id\\\":5,{\\\"user_id\\\":6}\","
          "\"method\":\"sendMessage\"}",
          "{\"text\":\"\\\"chat_id\\\":5,{\\\"user_id\\\":6}\","
          "\"method\":\"sendMessage\"}" },

        { &test_message,
          "{\"text\":\"[a](https://example.com) {\",\"caption\":\"{a}\","
          "\"chat_id\":-1001367429635,\"method\":\"sendMessage\"}",
          "{\"text\":\"[a](https://example.com) {\",\"caption\":\"{a}\","
          "\"method\":\"sendMessage\"}" },

        /* arrays */

        { &test_message,
          "[{\"chat_id\":-1001367429635,\"method\":\"sendDice\"},"
          "{\"method\":\"sendPhoto\",\"photo\":\"AgAD\"},"
          "{\"method\":\"sendDice\",\"chat_id\":\"-1001367429635\","
          "\"emoji\":\"x\"},"
          "{\"chat_id\":-1001367429635,\"a\":{\"b\":[{}]},"
          "\"method\":\"sendDice\"}]",
          "[{\"method\":\"sendDice\"},"
          "{\"method\":\"sendPhoto\",\"photo\":\"AgAD\"},"
          "{\"method\":\"sendDice\",\"emoji\":\"x\"},"
          "{\"a\":{\"b\":[{}]},\"method\":\"sendDice\"}]" },

        { &test_callback,
          " [ { \"method\" : \"sendDice\" } ] ",
          " [ { \"method\" : \"sendDice\" } ] " },

        { &test_message,
          "{\"method\":\"sendMessage\",\"chat_id\":-1001367429635,"
          "\"text\":\"hello\",\"parse_mode\":\"HTML\","
          "\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"Buy\","
          "\"callback_data\":\"buy_id\"},{\"text\":\"Site\","
          "\"url\":\"https://example.com/?a=b\"}]]},"
          "\"link_preview_options\":{\"is_disabled\":true}}",
          "{\"method\":\"sendMessage\","
          "\"text\":\"hello\",\"parse_mode\":\"HTML\","
          "\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"Buy\","
          "\"callback_data\":\"buy_id\"},{\"text\":\"Site\","
          "\"url\":\"https://example.com/?a=b\"}]]},"
          "\"link_preview_options\":{\"is_disabled\":true}}" },
    };

    test_rows(rows, unit_n(rows));
}


static void
test_other_chat(void)
{
    test_declined(&test_topic, "{\"method\":\"sendDice\","
                               "\"chat_id\":-1001367429635}");
    test_declined(&test_business, "{\"method\":\"sendDice\","
                                  "\"chat_id\":7}");

    static const char  *values[] = {
        "5", "\"5\"", "\"@channel\"", "1001367429635", "-1001367429635.0",
        "-1001367429635e0", "-10013674296350e-1", "\"-1001367429635 \"",
        "\" -1001367429635\"", "\"\"", "null", "true", "{}", "[]",
        "[-1001367429635]", "{\"a\":-1001367429635}", "-1001367429634",
        "-100136742963", "99999999999999999999999999"
    };

    ngx_uint_t  i;
    char        body[256];

    for (i = 0; i < unit_n(values); i++) {
        snprintf(body, sizeof(body),
                 "{\"method\":\"sendDice\",\"chat_id\":%s,\"a\":1}",
                 values[i]);
        test_declined(&test_message, body);
        test_declined(&test_inline, body);

        snprintf(body, sizeof(body),
                 "[{\"method\":\"sendDice\"},"
                 "{\"chat_id\":%s,\"method\":\"sendDice\"}]", values[i]);
        test_declined(&test_message, body);
    }

    /* unknown, twice, in another spelling, nested */

    test_declined(&test_poll, "{\"method\":\"sendDice\",\"chat_id\":0}");
    test_declined(&test_inline, "{\"method\":\"sendDice\",\"chat_id\":0}");

    test_declined(&test_message,
                  "{\"method\":\"sendDice\",\"chat_id\":-1001367429635,"
                  "\"chat_id\":-1001367429635}");
    test_declined(&test_message,
                  "{\"method\":\"sendDice\",\"chat_id\":-1001367429635,"
                  "\"chat\\u005fid\":5}");
    test_declined(&test_message,
                  "{\"method\":\"sendDice\",\"Chat_ID\":-1001367429635}");
    test_declined(&test_message,
                  "{\"method\":\"sendDice\","
                  "\"a\":{\"chat_id\":-1001367429635}}");
    test_declined(&test_message,
                  "{\"method\":\"sendDice\","
                  "\"a\":[[{\"b\":{\"chat_id\":-1001367429635}}]]}");
    test_declined(&test_message,
                  "[{\"method\":\"sendDice\","
                  "\"a\":{\"chat_id\":-1001367429635}}]");
}


static void
test_queries(void)
{
    static test_row_t  rows[] = {

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":\"4382\",\"text\":\"a\"}",
          "{\"method\":\"answerCallbackQuery\",\"text\":\"a\"}" },

        { &test_callback,
          "{\"callback_query_id\":4382,\"method\":\"answerCallbackQuery\"}",
          "{\"method\":\"answerCallbackQuery\"}" },

        { &test_callback,
          "[{\"method\":\"answerCallbackQuery\"},"
          "{\"method\":\"sendDice\",\"chat_id\":77}]",
          "[{\"method\":\"answerCallbackQuery\"},"
          "{\"method\":\"sendDice\"}]" },

        { &test_inline,
          "{\"method\":\"answerInlineQuery\",\"inline_query_id\":\"99\","
          "\"results\":[{\"type\":\"photo\",\"id\":\"1\","
          "\"photo_file_id\":\"AgAD\"}]}",
          "{\"method\":\"answerInlineQuery\","
          "\"results\":[{\"type\":\"photo\",\"id\":\"1\","
          "\"photo_file_id\":\"AgAD\"}]}" },

        { &test_checkout,
          "{\"method\":\"answerPreCheckoutQuery\","
          "\"pre_checkout_query_id\":\"98\",\"ok\":true}",
          "{\"method\":\"answerPreCheckoutQuery\",\"ok\":true}" },

        { &test_shipping,
          "{\"shipping_query_id\":\"97\",\"ok\":false,"
          "\"method\":\"answerShippingQuery\"}",
          "{\"ok\":false,\"method\":\"answerShippingQuery\"}" },

        /* of another query */

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":\"4383\"}", NULL },

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":\"438\"}", NULL },

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":\"\"}", NULL },

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":null}", NULL },

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":[\"4382\"]}", NULL },

        { &test_poll,
          "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":\"\"}", NULL },

        /* an id that would not be inserted again */

        { &test_callback,
          "{\"method\":\"sendDice\",\"callback_query_id\":\"4382\"}", NULL },

        { &test_callback,
          "{\"method\":\"answerInlineQuery\",\"inline_query_id\":\"4382\"}",
          NULL },

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\","
          "\"inline_query_id\":\"4382\"}", NULL },

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\",\"chat_id\":77}", NULL },

        { &test_callback,
          "{\"method\":\"answerWebAppQuery\",\"chat_id\":77}", NULL },

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\",\"chat_id\":77,"
          "\"callback_query_id\":\"4382\"}", NULL },

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":\"4382\",\"callback_query_id\":\"4382\"}",
          NULL },

        { &test_callback,
          "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":\"4382\",\"callback_query_id\":\"5\"}",
          NULL },

        { &test_callback,
          "{\"method\":\"sendDice\",\"a\":{\"callback_query_id\":\"4382\"}}",
          NULL },

        { &test_inline,
          "{\"method\":\"answerInlineQuery\",\"inline_query_id\":\"99\","
          "\"is_personal\":true,\"results\":[]}", NULL },
    };

    test_rows(rows, unit_n(rows));
}


/* keys that refer to a user or chat, at any depth and in any case */

static void
test_named(void)
{
    ngx_uint_t  i;
    char        body[512];

    static const char  *keys[] = {
        "user_id", "user_ids", "from_chat_id", "sender_chat_id", "message_id",
        "message_ids", "reply_to_message_id", "reply_parameters",
        "inline_message_id", "message_thread_id", "direct_messages_topic_id",
        "business_connection_id", "user", "users", "chat", "invite_link",
        "guest_query_id", "web_app_query_id", "from_story_id", "story_id",
        "owned_gift_id", "new_owner_chat_id", "telegram_payment_charge_id",
        "user_chat_id", "poll_option_id", "checklist_task_id", "draft_id",
        "target_user_id", "something_new_id", "something_new_ids",
        "reply_to_message", "is_personal",

        "USER_ID", "user\\u005fid", "\\u0075ser", "message_i\\u0064", "_id"
    };

    static const char  *harmless[] = {
        "custom_emoji_id", "custom_emoji_ids", "icon_custom_emoji_id",
        "message_effect_id", "correct_option_id", "correct_option_ids",
        "request_id", "photo_file_id", "gif_file_id", "mpeg4_file_id",
        "sticker_file_id", "document_file_id", "video_file_id",
        "voice_file_id", "audio_file_id",

        "id", "ids", "paid", "userid", "username", "user_name", "userx",
        "chats", "user_id_", "user_id\\u0000", "\xff_ix", "text", ""
    };

    static const char  *places[] = {
        "{\"method\":\"sendDice\",\"%s\":%s}",
        "[{\"method\":\"sendDice\"},{\"%s\":%s,\"method\":\"sendDice\"}]",
        "{\"method\":\"sendDice\",\"a\":{\"%s\":%s}}",
        "{\"method\":\"sendDice\",\"a\":[{\"b\":[[{\"%s\":%s}]]}]}",
        "[{\"a\":[{\"b\":[[{\"%s\":%s}]]}],\"method\":\"sendDice\"}]",
    };

    ngx_int_t   rc;
    ngx_str_t   kept;
    ngx_uint_t  j;

    for (j = 0; j < unit_n(places); j++) {
        for (i = 0; i < unit_n(keys); i++) {
            snprintf(body, sizeof(body), places[j], keys[i], "9");
            test_declined(&test_message, body);

            snprintf(body, sizeof(body), places[j], keys[i], "\"bc\"");
            test_declined(&test_message, body);

            snprintf(body, sizeof(body), places[j], keys[i], "{\"id\":5}");
            test_declined(&test_callback, body);

            snprintf(body, sizeof(body), places[j], keys[i], "null");
            test_declined(&test_inline, body);
        }

        for (i = 0; i < unit_n(harmless); i++) {
            snprintf(body, sizeof(body), places[j], harmless[i], "9");
            unit_context("%s", body);

            rc = test_make(JSON, body, strlen(body), &test_message, &kept);

            if (is_int(rc, NGX_OK)) {
                is_str(&kept, body);
            }
        }
    }

    /* a mention in the entities of a text */

    test_declined(&test_message,
                  "{\"method\":\"sendMessage\",\"text\":\"Ann\","
                  "\"entities\":[{\"type\":\"text_mention\",\"offset\":0,"
                  "\"length\":3,\"user\":{\"id\":5,\"is_bot\":false}}]}");
}


static void
test_links(void)
{
    ngx_int_t   rc;
    ngx_str_t   kept;
    ngx_uint_t  i;
    char        body[512];

    static const char  *named[] = {
        "tg://user?id=5", "<a href='tg://user?id=5'>a</a>",
        "[a](tg://user?id=5)", "[a](TG://User?ID=5)", "a tg:user?id=5",
        "tg:\\/\\/user?id=5", "\\u0074g://user?id=5", "tg://user",
        "tg://openmessage?user_id=5", "tg:openmessage?chat_id=5",
        "https://example.com/user?id=5", "\\u0000tg://user",
        "\xfftg://user?id=5"
    };

    static const char  *harmless[] = {
        "", "t", "tg://", "tg://use", "https://t.me/shop",
        "tg://resolve?domain=shop", "user", "an open message",
        "https://example.com/?id=5"
    };

    static const char  *places[] = {
        "{\"method\":\"sendMessage\",\"text\":\"%s\"}",
        "{\"method\":\"sendPhoto\",\"caption\":\"%s\"}",
        "[{\"method\":\"sendMessage\",\"a\":\"%s\"}]",
        "{\"method\":\"sendMessage\",\"reply_markup\":"
        "{\"inline_keyboard\":[[{\"text\":\"a\",\"url\":\"%s\"}]]}}",
        "{\"method\":\"sendMessage\",\"reply_markup\":"
        "\"{\\\"inline_keyboard\\\":[[{\\\"url\\\":\\\"%s\\\"}]]}\"}",
    };

    ngx_uint_t  j;

    for (j = 0; j < unit_n(places); j++) {
        for (i = 0; i < unit_n(named); i++) {
            snprintf(body, sizeof(body), places[j], named[i]);
            test_declined(&test_message, body);
        }

        for (i = 0; i < unit_n(harmless); i++) {
            snprintf(body, sizeof(body), places[j], harmless[i]);
            unit_context("%s", body);

            rc = test_make(JSON, body, strlen(body), &test_message, &kept);

            if (is_int(rc, NGX_OK)) {
                is_str(&kept, body);
            }
        }
    }
}


/* objects that are sent as strings */

static void
test_strings(void)
{
    static test_row_t  rows[] = {

        { &test_message,
          "{\"method\":\"sendMessage\",\"chat_id\":-1001367429635,"
          "\"reply_markup\":\"{\\\"inline_keyboard\\\":[]}\"}",
          "{\"method\":\"sendMessage\","
          "\"reply_markup\":\"{\\\"inline_keyboard\\\":[]}\"}" },

        { &test_message,
          "{\"method\":\"sendMessage\",\"entities\":\" [{\\\"type\\\":"
          "\\\"text_mention\\\",\\\"user\\\":{\\\"id\\\":5}}]\"}", NULL },

        { &test_message,
          "{\"method\":\"sendMessage\",\"entities\":\"\\n[{\\\"type\\\":"
          "\\\"text_mention\\\",\\\"us\\\\u0065r\\\":{\\\"id\\\":5}}]\"}",
          NULL },

        { &test_message,
          "{\"method\":\"sendInvoice\","
          "\"payload\":\"{\\\"user_id\\\":5}\"}", NULL },

        { &test_message,
          "[{\"method\":\"sendDice\"},{\"a\":\"{\\\"chat_id\\\":"
          "-1001367429635}\",\"method\":\"sendDice\"}]", NULL },

        { &test_message,
          "{\"method\":\"sendDice\",\"a\":\"{\\\"url\\\":"
          "\\\"\\\\u0074g://user?i\\\\u0064=5\\\"}\"}", NULL },

        /* text that is not JSON, but that a lenient parser might accept */

        { &test_message, "{\"method\":\"sendDice\",\"a\":\"[b](c)\"}", NULL },
        { &test_message, "{\"method\":\"sendDice\",\"a\":\"{\"}", NULL },
        { &test_message,
          "{\"method\":\"sendDice\",\"a\":\"{\\\"b\\\":\\\"\\n\\\"}\"}",
          NULL },

        { &test_message, "{\"method\":\"sendDice\",\"a\":\"b {\"}",
          "{\"method\":\"sendDice\",\"a\":\"b {\"}" },

        { &test_message, "{\"method\":\"sendDice\",\"a\":\" \"}",
          "{\"method\":\"sendDice\",\"a\":\" \"}" },

        { &test_message, "{\"method\":\"sendDice\",\"a\":\"[1,\\\"b\\\"]\"}",
          "{\"method\":\"sendDice\",\"a\":\"[1,\\\"b\\\"]\"}" },

        /* text and caption are not JSON, but only as outermost parameters */

        { &test_message, "{\"method\":\"sendMessage\",\"text\":\"{\"}",
          "{\"method\":\"sendMessage\",\"text\":\"{\"}" },

        { &test_message,
          "{\"method\":\"sendMessage\",\"text\":\"{\",\"a\":\"{\"}", NULL },

        { &test_message,
          "{\"method\":\"sendMessage\",\"text\":1,\"a\":\"{\"}", NULL },
    };

    char       body[1024];
    size_t     i, n;
    ngx_str_t  kept;

    test_rows(rows, unit_n(rows));

    for (i = 99; i <= 101; i++) {
        unit_context("a string of depth %d", (int) i);

        n = snprintf(body, sizeof(body), "{\"method\":\"sendDice\",\"a\":\"");
        ngx_memset(body + n, '[', i);
        n += i;
        ngx_memset(body + n, ']', i);
        n += i;
        n += snprintf(body + n, sizeof(body) - n, "\"}");

        is_int(test_make(JSON, body, n, &test_message, &kept),
               (i > 100) ? NGX_DECLINED : NGX_OK);
    }
}


static void
test_answers(void)
{
    static const char  *bodies[] = {
        "", " ", "{}", "[]", "null", "5", "\"sendMessage\"", "{", "[{",
        "{\"method\":\"sendDice\"", "{\"method\":\"sendDice\"}}",
        "{\"method\":\"sendDice\"},", "[{\"method\":\"sendDice\"},{}]",
        "[{\"method\":\"sendDice\"},5]", "[{\"method\":\"sendDice\"},[]]",
        "[{\"method\":\"sendDice\"},null]", "[[{\"method\":\"sendDice\"}]]",
        "{\"method\":\"getMe\"}", "{\"method\":\"\"}", "{\"method\":5}",
        "{\"method\":\"send Dice\"}", "{\"method\":\"setWebhook\"}",
        "{\"method\":\"sendDice\",\"method\":\"sendDice\"}",
        "[{\"method\":\"sendDice\"},{\"method\":\"logOut\"}]",
        "{\"text\":\"a\"}",

        /* methods that change something */

        "{\"method\":\"leaveChat\"}", "{\"method\":\"LEAVECHAT\"}",
        "{\"method\":\"deleteMessage\"}", "{\"method\":\"setChatTitle\"}",
        "{\"method\":\"setChatMenuButton\",\"chat_id\":-1001367429635}",
        "{\"method\":\"unpinAllChatMessages\"}", "{\"method\":\"resend\"}",
        "{\"method\":\"sen\"}", "{\"method\":\"s\"}", "{\"method\":\"send\"}",
        "{\"method\":\"answer\"}",
        "{\"method\":\"sendGift\"}", "{\"method\":\"sendgift\"}",
        "[{\"method\":\"sendDice\"},{\"method\":\"sendGift\"}]",
        "[{\"method\":\"sendDice\"},{\"method\":\"banChat\"}]",
    };

    static const char  *types[] = {
        "", "text/plain", "text/jsonp", "application/jsonp",
        "application/x-www-form-urlencoded", "multipart/form-data",
        "multipart/form-data; boundary=b"
    };

    static const char  dice[] = "{\"method\":\"sendDice\"}";
    static const char  form[] = "method=sendDice&emoji=a";
    static const char  both[] =
        "{\"a\":\"&method=sendDice&\",\"method\":\"sendDice\"}";

    ngx_str_t   kept;
    ngx_uint_t  i;

    for (i = 0; i < unit_n(bodies); i++) {
        test_declined(&test_message, bodies[i]);
    }

    for (i = 0; i < unit_n(types); i++) {
        unit_context("type %s", types[i]);

        is_int(test_make(types[i], dice, sizeof(dice) - 1, &test_message,
                         &kept), NGX_DECLINED);
        is_int(test_make(types[i], form, sizeof(form) - 1, &test_message,
                         &kept), NGX_DECLINED);
        is_int(test_make(types[i], both, sizeof(both) - 1, &test_message,
                         &kept), NGX_DECLINED);
    }

    unit_context("other types of JSON");

    is_int(test_make("text/json", dice, sizeof(dice) - 1, &test_message,
                     &kept), NGX_OK);
    is_int(test_make("application/vnd.x+json", dice, sizeof(dice) - 1,
                     &test_message, &kept), NGX_OK);

    unit_context("type with parameters");

    is_int(test_make("Application/JSON; charset=utf-8", dice,
                     sizeof(dice) - 1, &test_message, &kept), NGX_OK);
    is_str(&kept, dice);

    unit_context("methods in any case of letters");
    is_int(test_make(JSON, "{\"method\":\"SENDdice\"}", 21, &test_message,
                     &kept), NGX_OK);
}


static void
test_many(void)
{
    char       body[16384];
    size_t     n, i, j;
    ngx_str_t  kept;

    for (i = 1; i <= NGX_HTTP_TGBOT_ANSWER_MAX_CALLS + 1; i++) {
        unit_context("%d calls", (int) i);

        n = snprintf(body, sizeof(body), "[");

        for (j = 0; j < i; j++) {
            n += snprintf(body + n, sizeof(body) - n,
                          "%s{\"method\":\"sendDice\",\"chat_id\":77}",
                          j ? "," : "");
        }

        n += snprintf(body + n, sizeof(body) - n, "]");

        is_int(test_make(JSON, body, n, &test_callback, &kept),
               (i > NGX_HTTP_TGBOT_ANSWER_MAX_CALLS) ? NGX_DECLINED : NGX_OK);

        if (i <= NGX_HTTP_TGBOT_ANSWER_MAX_CALLS) {
            is_int(kept.len, n - i * (sizeof(",\"chat_id\":77") - 1));
        }
    }

    for (i = 98; i <= 101; i++) {
        unit_context("depth %d", (int) i);

        n = snprintf(body, sizeof(body), "{\"method\":\"sendDice\",\"a\":");
        ngx_memset(body + n, '[', i);
        n += i;
        n += snprintf(body + n, sizeof(body) - n, "{\"user_id\":5}");
        ngx_memset(body + n, ']', i);
        n += i;
        n += snprintf(body + n, sizeof(body) - n, "}");

        is_int(test_make(JSON, body, n, &test_callback, &kept),
               NGX_DECLINED);
    }
}


/* every truncation and every single changed byte: kept answers are sound */

static void
test_damaged(void)
{
    char       body[512];
    size_t     i, j, n;
    ngx_int_t  rc;
    ngx_str_t  kept;

    static const char  sample[] =
        "[{\"chat_id\":77,\"method\":\"sendMessage\",\"text\":\"a\\n}\"},"
        "{\"method\":\"sendDice\" , \"chat_id\" : \"77\"},"
        "{\"callback_query_id\":\"4382\",\"method\":\"answerCallbackQuery\","
        "\"a\":\"{\\\"b\\\":[]}\",\"c\":{\"id\":[{\"d\":\"e\"}]}}]";

    static const char  bytes[] = "\"\\{}[]:, \n0-em_\0\xff";

    ngx_uint_t  whole;

    n = sizeof(sample) - 1;
    whole = 0;

    is_int(test_make(JSON, sample, n, &test_callback, &kept), NGX_OK);
    is_str(&kept,
           "[{\"method\":\"sendMessage\",\"text\":\"a\\n}\"},"
           "{\"method\":\"sendDice\"},"
           "{\"method\":\"answerCallbackQuery\","
           "\"a\":\"{\\\"b\\\":[]}\",\"c\":{\"id\":[{\"d\":\"e\"}]}}]");

    for (i = 0; i < n; i++) {
        unit_context("first %d bytes", (int) i);
        is_int(test_make(JSON, sample, i, &test_callback, &kept),
               NGX_DECLINED);
    }

    for (i = 0; i < n; i++) {
        for (j = 0; j < sizeof(bytes) - 1; j++) {
            unit_context("byte %d is %02x", (int) i, bytes[j] & 0xff);

            ngx_memcpy(body, sample, n);
            body[i] = bytes[j];

            rc = test_make(JSON, body, n, &test_callback, &kept);
            ok(rc == NGX_OK || rc == NGX_DECLINED);

            whole += (rc == NGX_OK);
        }
    }

    ok(whole > 100);
}


static void
test_no_memory(void)
{
    ngx_int_t    rc;
    ngx_str_t    type, body, kept;
    ngx_uint_t   n, failed;
    ngx_pool_t  *pool;

    failed = 0;

    for (n = 1; n < 1000; n++) {
        pool = unit_pool();
        type = unit_str(pool, JSON);
        body = unit_str(pool,
                        "[{\"method\":\"sendDice\",\"chat_id\":77,"
                        "\"a\":\"[1]\"},"
                        "{\"method\":\"answerCallbackQuery\",\"b\":\"{}\"},"
                        "{\"method\":\"sendDice\",\"c\":\"[2]\"}]");

        unit_fail_at = n;

        rc = ngx_http_tgbot_cacheable(&type, &body, &test_callback, &kept,
                                      pool);

        is_int(unit_live, 0);

        if (unit_fail_at) {
            unit_fail_at = 0;
            is_int(rc, NGX_OK);
            break;
        }

        unit_context("allocation %d", (int) n);
        is_int(rc, NGX_ERROR);
        failed++;
    }

    ok(failed >= 12);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "the update's own chat", test_chat },
        { "another chat", test_other_chat },
        { "queries", test_queries },
        { "whoever is named", test_named },
        { "links to users", test_links },
        { "objects as strings", test_strings },
        { "what is no answer to be kept", test_answers },
        { "many calls, deep ones", test_many },
        { "damaged answers", test_damaged },
        { "lack of memory", test_no_memory },
    };

    return unit_main(cases, unit_n(cases));
}
