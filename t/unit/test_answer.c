
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_json.h"
#include "unit.h"


#define JSON        "application/json"
#define FORM        "application/x-www-form-urlencoded"

#define NOT_JSON     "is not JSON"
#define NOT_FORM     "is not a form"
#define NO_NAME      "has no proper method name"
#define NOT_ALLOWED  "calls a method that is not allowed"
#define NOT_CALL     "has an element that is not a call"
#define TWICE        "has \"method\" or \"chat_id\" twice"
#define TOO_MANY     "makes too many calls"
#define TWICE_JSON                                                           \
    "is a JSON string that holds a call, the program has to answer with the " \
    "object itself"
#define TOO_DEEP     "is nested too deeply"
#define LOOKS_LIKE                                                           \
    "looks like a method but its Content-Type is not application/json"


static ngx_http_tgbot_update_t  test_message = {
    .type_index = NGX_HTTP_TGBOT_TYPE_MESSAGE,
    .chat_id = -1001367429635LL,
    .user_id = 5,
    .has_chat_id = 1,
    .has_user_id = 1,
    .text_answers = 1
};


static ngx_http_tgbot_update_t  test_callback = {
    .type_index = NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY,
    .query_id = ngx_string("4382\"\\\n"),
    .chat_id = 77,
    .has_chat_id = 1,
    .text_answers = 1
};


/* as if its id could not be read */

static ngx_http_tgbot_update_t  test_no_id = {
    .type_index = NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY,
    .chat_id = 77,
    .has_chat_id = 1
};


static ngx_http_tgbot_update_t  test_inline = {
    .type_index = NGX_HTTP_TGBOT_TYPE_INLINE_QUERY,
    .query_id = ngx_string("99")
};


static ngx_http_tgbot_update_t  test_pre_checkout = {
    .type_index = NGX_HTTP_TGBOT_TYPE_PRE_CHECKOUT_QUERY,
    .query_id = ngx_string("98")
};


static ngx_http_tgbot_update_t  test_shipping = {
    .type_index = NGX_HTTP_TGBOT_TYPE_SHIPPING_QUERY,
    .query_id = ngx_string("97")
};


/*
 * Checks what must hold for every call of any answer: chat_pos is the place
 * of a value, and a JSON body is one object.
 */

static void
test_sound(ngx_http_tgbot_method_t *call)
{
    u_char  c;

    ok(ngx_http_tgbot_method_valid(&call->name));
    ok(ngx_http_tgbot_method_allowed(&call->name));
    ok(call->body.len > 0);
    ok(call->content_type.len > 0);
    ok(call->chat_len <= call->body.len);

    if (call->chat_len) {
        ok(call->chat_pos + call->chat_len <= call->body.len);
    }

    if (call->content_type.len != sizeof(JSON) - 1) {
        return;
    }

    is_int(call->body.data[0], '{');
    is_int(call->body.data[call->body.len - 1], '}');

    if (call->chat_len) {
        c = call->body.data[call->chat_pos];
        ok(c == '"' || c == '-' || (c >= '0' && c <= '9'));

        c = call->body.data[call->chat_pos + call->chat_len - 1];
        ok(c == '"' || (c >= '0' && c <= '9'));

        c = call->body.data[call->chat_pos + call->chat_len];
        ok(c == ',' || c == '}' || c <= ' ');
    }
}


static ngx_int_t
test_mem(ngx_http_tgbot_answer_t *answer, const char *type, const void *data,
    size_t len, ngx_http_tgbot_update_t *update)
{
    ngx_int_t                 rc;
    ngx_str_t                 content_type, body;
    ngx_uint_t                i;
    ngx_pool_t               *pool;
    ngx_http_tgbot_method_t  *call;

    pool = unit_pool();
    content_type = unit_str(pool, type);

    body.len = len;
    body.data = ngx_pnalloc(pool, len);
    ngx_memcpy(body.data, data, len);

    ngx_memset(answer, 0x5a, sizeof(ngx_http_tgbot_answer_t));

    rc = ngx_http_tgbot_answer_parse(answer, &content_type, &body, update,
                                     pool);
    if (rc != NGX_OK) {
        return rc;
    }

    call = answer->calls.elts;

    for (i = 0; i < answer->calls.nelts; i++) {
        test_sound(&call[i]);
    }

    return NGX_OK;
}


static ngx_int_t
test_parse(ngx_http_tgbot_answer_t *answer, const char *type,
    const char *body, ngx_http_tgbot_update_t *update)
{
    return test_mem(answer, type, body, strlen(body), update);
}


static void
test_problem(ngx_http_tgbot_answer_t *answer, const char *want)
{
    ngx_str_t  got;

    got.data = (u_char *) (answer->problem ? answer->problem : "");
    got.len = ngx_strlen(got.data);

    is_str(&got, want ? want : "");
}


static void
test_chat(ngx_http_tgbot_method_t *call, const char *want)
{
    ngx_str_t  got;

    got.data = call->body.data + call->chat_pos;
    got.len = call->chat_len;

    is_str(&got, want ? want : "");
}


/* one call of a JSON answer: the bytes sent, and the place of chat_id */

typedef struct {
    const char               *body;
    ngx_http_tgbot_update_t  *update;
    const char               *want;       /* NULL: the bytes as they are */
    const char               *chat;
} test_call_t;


static void
test_call(const test_call_t *row)
{
    ngx_http_tgbot_answer_t   answer;
    ngx_http_tgbot_method_t  *call;

    unit_context("%s", row->body);

    is_int(test_parse(&answer, JSON, row->body, row->update), NGX_OK);
    test_problem(&answer, NULL);
    is_str(&answer.culprit, "");

    if (!is_int(answer.calls.nelts, 1)) {
        return;
    }

    call = answer.calls.elts;

    is_str(&call->body, row->want ? row->want : row->body);
    is_str(&call->content_type, JSON);
    test_chat(call, row->chat);
}


static void
test_chat_id(void)
{
    size_t  i;

    static const test_call_t  rows[] = {
        { "{\"method\":\"sendMessage\",\"text\":\"a\"}", &test_message,
          "{\"chat_id\":-1001367429635,\"method\":\"sendMessage\","
          "\"text\":\"a\"}", "-1001367429635" },
        { "{\"method\":\"sendDice\"}", &test_message,
          "{\"chat_id\":-1001367429635,\"method\":\"sendDice\"}",
          "-1001367429635" },
        { "{ \"method\" : \"sendDice\" }", &test_message,
          "{\"chat_id\":-1001367429635, \"method\" : \"sendDice\" }",
          "-1001367429635" },
        { "{\"method\":\"sendMessage\",\"chat_id\":12}", &test_message,
          NULL, "12" },
        { "{\"chat_id\":-12,\"method\":\"sendMessage\"}", &test_message,
          NULL, "-12" },
        { "{\"chat_id\" \t\r\n: \t\r\n12 \n,\"method\":\"sendDice\"}",
          &test_message, NULL, "12" },
        { "{\"method\":\"sendDice\",\"chat_id\":12 }", &test_message, NULL,
          "12" },
        { "{\"chat_id\":\"@name\",\"method\":\"sendDice\"}", &test_message,
          NULL, "\"@name\"" },
        { "{\"chat_id\":\"\",\"method\":\"sendDice\"}", &test_message, NULL,
          "\"\"" },
        { "{\"chat_id\":\"a\\\"b\\u0041}{\",\"method\":\"sendDice\"}",
          &test_message, NULL, "\"a\\\"b\\u0041}{\"" },
        { "{\"ch\\u0061t_id\":12,\"m\\u0065thod\":\"sendDice\"}", &test_message,
          NULL, "12" },
        { "{\"chat_id\":null,\"method\":\"sendDice\"}", &test_message,
          "{\"chat_id\":-1001367429635,\"method\":\"sendDice\"}",
          "-1001367429635" },
        { "{\"method\":\"sendDice\",\"chat_id\" : null }", &test_message,
          "{\"method\":\"sendDice\",\"chat_id\" : -1001367429635 }",
          "-1001367429635" },
        { "{\"chat_id\":true,\"method\":\"sendDice\"}", &test_message, NULL,
          NULL },
        { "{\"chat_id\":{\"chat_id\":5},\"method\":\"sendDice\"}",
          &test_message, NULL, NULL },
        { "{\"chat_id\":[5],\"method\":\"sendDice\"}", &test_message, NULL,
          NULL },
        { "{\"x\":{\"chat_id\":5},\"method\":\"sendDice\"}", &test_message,
          "{\"chat_id\":-1001367429635,\"x\":{\"chat_id\":5},"
          "\"method\":\"sendDice\"}", "-1001367429635" },
        { "{\"chat_id\\u0000\":5,\"method\":\"sendDice\"}", &test_message,
          "{\"chat_id\":-1001367429635,\"chat_id\\u0000\":5,"
          "\"method\":\"sendDice\"}", "-1001367429635" },
        { "{\"Chat_id\":5,\"method\":\"sendDice\"}", &test_message,
          "{\"chat_id\":-1001367429635,\"Chat_id\":5,\"method\":\"sendDice\"}",
          "-1001367429635" },
        { "{\"method\":\"sendMessage\"}", &test_inline, NULL, NULL },
        { "{\"method\":\"sendMessage\"}", &test_callback,
          "{\"chat_id\":77,\"method\":\"sendMessage\"}", "77" },
    };

    for (i = 0; i < unit_n(rows); i++) {
        test_call(&rows[i]);
    }
}


/* calls to which the update's chat_id must not be added */

static void
test_chatless(void)
{
    size_t  i;

    static const test_call_t  rows[] = {
        { "{\"method\":\"editMessageText\",\"inline_message_id\":\"a\"}",
          &test_message, NULL, NULL },
        { "{\"inline_message_id\":\"a\",\"method\":\"setGameScore\"}",
          &test_callback, NULL, NULL },
        { "{\"method\":\"editMessageText\",\"message_id\":1}", &test_callback,
          "{\"chat_id\":77,\"method\":\"editMessageText\",\"message_id\":1}",
          "77" },
        { "{\"method\":\"setChatMenuButton\"}", &test_message, NULL, NULL },
        { "{\"method\":\"setchatmenubutton\"}", &test_message, NULL, NULL },
        { "{\"method\":\"setChatTitle\"}", &test_callback, NULL, NULL },
        { "{\"method\":\"leaveChat\"}", &test_message, NULL, NULL },
        { "{\"method\":\"sendThing\"}", &test_message, NULL, NULL },
        { "{\"method\":\"setMyCommands\"}", &test_message, NULL, NULL },
        { "{\"method\":\"SETMYNAME\"}", &test_message, NULL, NULL },
        { "{\"method\":\"deleteMyCommands\"}", &test_message, NULL, NULL },
        { "{\"method\":\"deleteMessage\",\"message_id\":1}", &test_callback,
          "{\"chat_id\":77,\"method\":\"deleteMessage\",\"message_id\":1}",
          "77" },
        { "{\"method\":\"answerWebAppQuery\"}", &test_message, NULL, NULL },
        { "{\"method\":\"answerCallbackQuery\"}", &test_message, NULL, NULL },
        { "{\"method\":\"sendGift\",\"user_id\":5}", &test_message, NULL,
          NULL },
        { "{\"user_id\":5,\"method\":\"giftPremiumSubscription\"}",
          &test_message, NULL, NULL },
        { "{\"method\":\"sendGift\"}", &test_callback, NULL, NULL },
        { "{\"method\":\"banChatMember\",\"user_id\":5}", &test_callback,
          NULL, NULL },
    };

    for (i = 0; i < unit_n(rows); i++) {
        test_call(&rows[i]);
    }
}


static void
test_query_ids(void)
{
    size_t  i;

    static const test_call_t  rows[] = {
        { "{\"method\":\"answerCallbackQuery\",\"text\":\"a\"}",
          &test_callback,
          "{\"callback_query_id\":\"4382\\\"\\\\\\n\","
          "\"method\":\"answerCallbackQuery\",\"text\":\"a\"}", NULL },
        { "{\"method\":\"ANSWERCALLBACKQUERY\"}", &test_callback,
          "{\"callback_query_id\":\"4382\\\"\\\\\\n\","
          "\"method\":\"ANSWERCALLBACKQUERY\"}", NULL },
        { "{\"method\":\"answerCallbackQuery\",\"callback_query_id\":\"1\"}",
          &test_callback, NULL, NULL },
        { "{\"method\":\"answerCallbackQuery\",\"callback_query_id\":null}",
          &test_callback, "{\"method\":\"answerCallbackQuery\","
          "\"callback_query_id\":\"4382\\\"\\\\\\n\"}", NULL },
        { "{\"method\":\"answerCallbackQuery\",\"chat_id\":5}",
          &test_callback,
          "{\"callback_query_id\":\"4382\\\"\\\\\\n\","
          "\"method\":\"answerCallbackQuery\",\"chat_id\":5}", "5" },
        { "{\"method\":\"answerInlineQuery\",\"results\":[{},[]]}",
          &test_inline,
          "{\"inline_query_id\":\"99\",\"method\":\"answerInlineQuery\","
          "\"results\":[{},[]]}", NULL },
        { "{\"method\":\"answerInlineQuery\",\"inline_query_id\":\"1\"}",
          &test_inline, NULL, NULL },
        { "{\"method\":\"answerPreCheckoutQuery\",\"ok\":true}",
          &test_pre_checkout,
          "{\"pre_checkout_query_id\":\"98\","
          "\"method\":\"answerPreCheckoutQuery\",\"ok\":true}", NULL },
        { "{\"method\":\"answerPreCheckoutQuery\","
          "\"pre_checkout_query_id\":1}", &test_pre_checkout, NULL, NULL },
        { "{\"method\":\"answerShippingQuery\",\"ok\":true}", &test_shipping,
          "{\"shipping_query_id\":\"97\",\"method\":\"answerShippingQuery\","
          "\"ok\":true}", NULL },
        { "{\"method\":\"answerShippingQuery\",\"shipping_query_id\":1}",
          &test_shipping, NULL, NULL },

        /* the id of another type of query is not inserted */

        { "{\"method\":\"answerInlineQuery\"}", &test_callback, NULL, NULL },
        { "{\"method\":\"answerCallbackQuery\"}", &test_inline, NULL, NULL },
        { "{\"method\":\"answerCallbackQuery\"}", &test_no_id, NULL, NULL },
        { "{\"method\":\"answerShippingQuery\"}", &test_pre_checkout, NULL,
          NULL },
        { "{\"method\":\"answerPreCheckoutQuery\"}", &test_shipping, NULL,
          NULL },
    };

    for (i = 0; i < unit_n(rows); i++) {
        test_call(&rows[i]);
    }
}


/* answers with any number of calls; names are those of the calls in order */

typedef struct {
    const char  *type;
    const char  *body;
    const char  *names;
    const char  *problem;
    const char  *culprit;
} test_answer_t;


static void
test_row(const test_answer_t *row)
{
    ngx_str_t                 got;
    u_char                    names[1024], *p;
    ngx_uint_t                i;
    ngx_http_tgbot_answer_t   answer;
    ngx_http_tgbot_method_t  *call;

    unit_context("%s: %s", row->type, row->body);

    is_int(test_parse(&answer, row->type, row->body, &test_message), NGX_OK);

    call = answer.calls.elts;
    p = names;

    for (i = 0; i < answer.calls.nelts; i++) {
        p = ngx_slprintf(p, names + sizeof(names), "%V ", &call[i].name);
    }

    got.data = names;
    got.len = p - names;

    is_str(&got, row->names);
    test_problem(&answer, row->problem);
    is_str(&answer.culprit, row->culprit ? row->culprit : "");
}


static void
test_no_calls(void)
{
    size_t                   i;
    ngx_str_t                type, body;
    ngx_http_tgbot_answer_t  answer;

    static const test_answer_t  rows[] = {
        { JSON, " ", "", NULL, NULL },
        { JSON, " \t\r\n\r\n", "", NULL, NULL },
        { JSON, "{}", "", NULL, NULL },
        { JSON, "{\"ok\":true}", "", NULL, NULL },
        { JSON, "{\"ok\":true,\"chat_id\":5}", "", NULL, NULL },
        { JSON, "[]", "", NULL, NULL },
        { JSON, "[{}]", "", NULL, NULL },
        { JSON, "[{},1,\"a\",null,[],[{}]]", "", NULL, NULL },
        { JSON, "null", "", NULL, NULL },
        { JSON, "true", "", NULL, NULL },
        { JSON, "\"ok\"", "", NULL, NULL },
        { JSON, "\"method\"", "", NULL, NULL },
        { JSON, "0", "", NULL, NULL },
        { JSON, "{\"result\":{\"method\":\"sendMessage\"}}", "", NULL, NULL },
        { JSON, "{\"result\":[{\"method\":\"sendMessage\"}]}", "", NULL,
          NULL },
        { JSON, "[[{\"method\":\"sendMessage\"}]]", "", NULL, NULL },
        { JSON, "[[\"method\",\"sendMessage\"]]", "", NULL, NULL },
        { JSON, "[\"method\",\"sendMessage\"]", "", NULL, NULL },
        { JSON, "[{\"a\":{\"method\":\"sendMessage\"}}]", "", NULL, NULL },
        { JSON, "{\"text\":\"{\\\"method\\\":\\\"getMe\\\"}\"}", "", NULL,
          NULL },
        { JSON, "{\"Method\":\"sendMessage\"}", "", NULL, NULL },
        { JSON, "{\"method\\u0000\":\"sendMessage\"}", "", NULL, NULL },
        { JSON, "{\"metho\":\"d\"}", "", NULL, NULL },
        { FORM, "text=a", "", NULL, NULL },
        { FORM, " ", "", NULL, NULL },
        { "text/html", "ok", "", NULL, NULL },
        { "text/html", "<html>\"method\"", "", NULL, NULL },
        { "text/plain", "{}", "", NULL, NULL },
        { "text/plain", "{\"ok\":true}", "", NULL, NULL },
        { "text/plain", "{", "", NULL, NULL },
        { "text/plain", "{\"metho", "", NULL, NULL },
        { "text/plain", "{\"method", "", NULL, NULL },
        { "text/plain", "a {\"method\":\"x\"}", "", NULL, NULL },
        { "", "ok", "", NULL, NULL },
    };

    for (i = 0; i < unit_n(rows); i++) {
        test_row(&rows[i]);
    }

    unit_context("no body, no type");
    ngx_str_null(&type);
    ngx_str_null(&body);

    is_int(ngx_http_tgbot_answer_parse(&answer, &type, &body, &test_message,
                                       unit_pool()), NGX_OK);
    is_int(answer.calls.nelts, 0);
    test_problem(&answer, NULL);

    ngx_str_set(&type, JSON "; charset=\"utf-8\"");

    is_int(ngx_http_tgbot_answer_parse(&answer, &type, &body, &test_message,
                                       unit_pool()), NGX_OK);
    is_int(answer.calls.nelts, 0);
    test_problem(&answer, NULL);

    ngx_str_null(&type);
    ngx_str_set(&body, "{\"method\":\"x\"}");

    is_int(ngx_http_tgbot_answer_parse(&answer, &type, &body, &test_message,
                                       unit_pool()), NGX_OK);
    is_int(answer.calls.nelts, 0);
    test_problem(&answer, LOOKS_LIKE);
}


static void
test_types(void)
{
    size_t  i;

    static const test_answer_t  rows[] = {
        { "application/json", "{\"method\":\"a\"}", "a ", NULL, NULL },
        { "Application/JSON;charset=utf-8", "{\"method\":\"a\"}", "a ", NULL,
          NULL },
        { "application/json ; charset=utf-8", "{\"method\":\"a\"}", "a ",
          NULL, NULL },
        { "application/json", "\r\n \t{\"method\":\"a\"}\r\n ", "a ", NULL,
          NULL },
        { "Text/Json", "{\"method\":\"a\"}", "a ", NULL, NULL },
        { "APPLICATION/a.b+JSON;q=1", "{\"method\":\"a\"}", "a ", NULL, NULL },
        { "application/a+json\t; q=1", "{\"method\":\"a\"}", "a ", NULL, NULL },
        { "application/a+json+xml", "{\"method\":\"a\"}", "", LOOKS_LIKE,
          NULL },
        { "application/+json", "{\"method\":\"a\"}", "", LOOKS_LIKE, NULL },
        { "application/json+", "{\"method\":\"a\"}", "", LOOKS_LIKE, NULL },
        { "image/a+json", "{\"method\":\"a\"}", "", LOOKS_LIKE, NULL },
        { "+json", "{\"method\":\"a\"}", "", LOOKS_LIKE, NULL },
        { "application/a;q=+json", "{\"method\":\"a\"}", "", LOOKS_LIKE, NULL },
        { "text/html; charset=UTF-8", "{\"method\":\"a\"}", "", LOOKS_LIKE,
          NULL },
        { "text/plain", " \r\n[{\"method\":\"a\"}]", "", LOOKS_LIKE, NULL },
        { "application/jsonp", "{\"method\":\"a\"}", "", LOOKS_LIKE, NULL },
        { "application/octet-stream", "{\"x\":1, \"method\" : \"a\"}", "",
          LOOKS_LIKE, NULL },
        { "", "{\"method\":\"a\"}", "", LOOKS_LIKE, NULL },
    };

    for (i = 0; i < unit_n(rows); i++) {
        test_row(&rows[i]);
    }
}


static void
test_strings(void)
{
    size_t  i;

    static const test_answer_t  rows[] = {
        { JSON, "\"{\\\"method\\\":\\\"a\\\"}\"", "", TWICE_JSON, NULL },
        { JSON, " \"[{\\\"x\\\":1,\\\"method\\\":1}]\" ", "", TWICE_JSON,
          NULL },
        { JSON, "\"{method}\"", "", NULL, NULL },
        { JSON, "\"{\"", "", NULL, NULL },
        { JSON, "\"\"", "", NULL, NULL },
        { JSON, "\"a {\\\"method\\\":1}\"", "", NULL, NULL },
        { JSON, "\"{\\\"method\\\":1", "", NOT_JSON, NULL },
        { JSON, "[\"{\\\"method\\\":\\\"a\\\"}\"]", "", NULL, NULL },
    };

    for (i = 0; i < unit_n(rows); i++) {
        test_row(&rows[i]);
    }
}


/* each problem is counted under its reason; the first one, if there are more */

static void
test_reasons(void)
{
    size_t                   i;
    ngx_str_t                type, body;
    ngx_http_tgbot_answer_t  answer;

    static const struct {
        const char  *type;
        const char  *body;
        ngx_uint_t   want;
    } rows[] = {
        { "text/html", "{\"method\":\"a\"}", NGX_HTTP_TGBOT_ANSWER_TYPE },
        { JSON, "\"{\\\"method\\\":1}\"", NGX_HTTP_TGBOT_ANSWER_TYPE },
        { JSON, "{", NGX_HTTP_TGBOT_ANSWER_NOT_JSON },
        { "multipart/form-data", "x", NGX_HTTP_TGBOT_ANSWER_NOT_JSON },
        { JSON, "{\"method\":\"getMe\"}",
          NGX_HTTP_TGBOT_ANSWER_REFUSED_METHOD },
        { "application/x-www-form-urlencoded", "method=close",
          NGX_HTTP_TGBOT_ANSWER_REFUSED_METHOD },
        { JSON, "{\"method\":\"a b\"}", NGX_HTTP_TGBOT_ANSWER_BAD_METHOD },
        { JSON, "{\"method\":\"a\",\"method\":\"a\"}",
          NGX_HTTP_TGBOT_ANSWER_BAD_METHOD },
        { JSON, "[{\"method\":\"a\"},1]", NGX_HTTP_TGBOT_ANSWER_BAD_METHOD },
        { JSON, "[{\"method\":\"close\"},{\"method\":1},1]",
          NGX_HTTP_TGBOT_ANSWER_REFUSED_METHOD },
        { JSON, "[{\"method\":1},{\"method\":\"close\"}",
          NGX_HTTP_TGBOT_ANSWER_NOT_JSON },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].body);

        type.data = (u_char *) rows[i].type;
        type.len = ngx_strlen(type.data);
        body.data = (u_char *) rows[i].body;
        body.len = ngx_strlen(body.data);

        is_int(ngx_http_tgbot_answer_parse(&answer, &type, &body,
                                           &test_message, unit_pool()),
               NGX_OK);
        ok(answer.problem != NULL);
        is_int(answer.reason, rows[i].want);
    }
}


static void
test_problems(void)
{
    size_t  i;

    static const test_answer_t  rows[] = {

        /* not JSON: no call is made */

        { JSON, "{", "", NOT_JSON, NULL },
        { JSON, "ok", "", NOT_JSON, NULL },
        { JSON, "<html>", "", NOT_JSON, NULL },
        { JSON, "{\"method\":\"a\"", "", NOT_JSON, NULL },
        { JSON, "{\"method\":\"a\"}}", "", NOT_JSON, NULL },
        { JSON, "{\"method\":\"a\"} {\"method\":\"b\"}", "", NOT_JSON, NULL },
        { JSON, "{\"method\":\"a\"}x", "", NOT_JSON, NULL },
        { JSON, "[{\"method\":\"a\"},", "", NOT_JSON, NULL },
        { JSON, "[{\"method\":\"a\"},]", "", NOT_JSON, NULL },
        { JSON, "[{\"method\":\"a\"}", "", NOT_JSON, NULL },
        { JSON, "[{\"method\":\"getMe\"}", "", NOT_JSON, NULL },
        { JSON, "{'method':'a'}", "", NOT_JSON, NULL },
        { JSON, "\xef\xbb\xbf{\"method\":\"a\"}", "", NOT_JSON, NULL },
        { JSON, "{\"method\":\"a\",\"x\":01}", "", NOT_JSON, NULL },

        /* names */

        { JSON, "{\"method\":\"\"}", "", NO_NAME, "" },
        { JSON, "{\"method\":null}", "", NO_NAME, "" },
        { JSON, "{\"method\":5}", "", NO_NAME, "" },
        { JSON, "{\"method\":true}", "", NO_NAME, "" },
        { JSON, "{\"method\":[\"a\"]}", "", NO_NAME, "" },
        { JSON, "{\"method\":{\"method\":\"a\"}}", "", NO_NAME, "" },
        { JSON, "{\"method\":\"send message\"}", "", NO_NAME,
          "send message" },
        { JSON, "{\"method\":\"../getMe\"}", "", NO_NAME, "../getMe" },
        { JSON, "{\"method\":\"a?chat_id=5\"}", "", NO_NAME, "a?chat_id=5" },
        { JSON, "{\"method\":\"a\\r\\nHost: evil\"}", "", NO_NAME,
          "a  Host: evil" },
        { JSON, "{\"method\":\"a\\u0000b\"}", "", NO_NAME, "a b" },
        { JSON, "{\"method\":\"\\u0000\"}", "", NO_NAME, " " },
        { JSON, "{\"method\":\"a\xff\xc2\x85\"}", "", NO_NAME, "a? " },
        { JSON, "{\"method\":\"send\\u004dessage\"}", "sendMessage ", NULL,
          NULL },
        { JSON, "{\"method\":\"0123456789012345678901234567890123456789"
                "0123456789012345678901234567890123456789\"}", "", NO_NAME,
          "01234567890123456789012345678901234567890123456789012345678901234"
          },
        { JSON, "{\"method\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                "aaaaaaaaaaaaaaaaaaaaaaaaa\"}", "", NO_NAME,
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          },

        /* not allowed */

        { JSON, "{\"method\":\"setWebhook\"}", "", NOT_ALLOWED,
          "setWebhook" },
        { JSON, "{\"method\":\"SETWEBHOOK\"}", "", NOT_ALLOWED,
          "SETWEBHOOK" },
        { JSON, "{\"method\":\"set\\u0057ebhook\"}", "", NOT_ALLOWED,
          "setWebhook" },
        { JSON, "{\"method\":\"close\"}", "", NOT_ALLOWED, "close" },
        { JSON, "{\"method\":\"getMe\"}", "", NOT_ALLOWED, "getMe" },

        /* JSON parsers differ on which key counts */

        { JSON, "{\"method\":\"a\",\"method\":\"a\"}", "", TWICE, "a" },
        { JSON, "{\"method\":\"a\",\"method\":\"getMe\"}", "", TWICE, "a" },
        { JSON, "{\"method\":\"a\",\"m\\u0065thod\":\"b\"}", "", TWICE, "a" },
        { JSON, "{\"method\":5,\"method\":\"b\"}", "", TWICE, "" },
        { JSON, "{\"chat_id\":5,\"method\":\"a\",\"chat_id\":6}", "", TWICE,
          "a" },
        { JSON, "{\"chat_id\":null,\"method\":\"a\",\"chat_id\":6}", "",
          TWICE, "a" },
        { JSON, "{\"text\":\"a\",\"text\":\"b\",\"method\":\"a\"}", "a ",
          NULL, NULL },
        { JSON, "{\"method\":\"a\",\"x\":{\"method\":\"b\",\"chat_id\":1}}",
          "a ", NULL, NULL },
    };

    for (i = 0; i < unit_n(rows); i++) {
        test_row(&rows[i]);
    }
}


static void
test_arrays(void)
{
    size_t                    i;
    ngx_str_t                 body;
    ngx_http_tgbot_answer_t   answer;
    ngx_http_tgbot_method_t  *call;

    static const test_answer_t  rows[] = {
        { JSON, "[{\"method\":\"a\"}]", "a ", NULL, NULL },
        { JSON, " [ {\"method\":\"c\"} , {\"method\":\"b\"},"
                "{\"method\":\"a\"} ] ", "c b a ", NULL, NULL },
        { JSON, "[{\"method\":\"a\"},{\"ok\":true}]", "a ", NOT_CALL, NULL },
        { JSON, "[null,{\"method\":\"a\"}]", "a ", NOT_CALL, NULL },
        { JSON, "[{\"method\":\"a\"},5]", "a ", NOT_CALL, NULL },
        { JSON, "[{\"method\":\"a\"},[{\"method\":\"b\"}]]", "a ", NOT_CALL,
          NULL },
        { JSON, "[{\"method\":\"a\"},{\"method\":\"getMe\"},"
                "{\"method\":\"b\"},{\"method\":\"c d\"}]", "a b ",
          NOT_ALLOWED, "getMe" },
        { JSON, "[{},{\"method\":\"c d\"},{\"method\":\"b\"},"
                "{\"method\":\"getMe\"}]", "b ", NO_NAME, "c d" },
        { JSON, "[{\"method\":\"a\",\"chat_id\":1},{\"method\":\"b\","
                "\"chat_id\":2}]", "a b ", NULL, NULL },
        { JSON, "[{\"method\":\"a\",\"method\":\"b\"},{\"method\":\"c\"}]",
          "c ", TWICE, "a" },
        { JSON, "[{\"method\":\"getMe\"}]", "", NOT_ALLOWED, "getMe" },
    };

    for (i = 0; i < unit_n(rows); i++) {
        test_row(&rows[i]);
    }

    unit_context("bodies of elements");

    is_int(test_parse(&answer, JSON,
                      " [ {\"chat_id\":1,\"method\":\"a\",\"t\":\"}]{[\"} ,"
                      "{\"x\":{\"y\":[{}]},\"method\":\"sendDice\"},"
                      "{\"method\":\"c\",\"chat_id\":\"@c\"}]",
                      &test_message), NGX_OK);

    if (!is_int(answer.calls.nelts, 3)) {
        return;
    }

    call = answer.calls.elts;

    is_str(&call[0].body,
           "{\"chat_id\":1,\"method\":\"a\",\"t\":\"}]{[\"}");
    test_chat(&call[0], "1");

    is_str(&call[1].body, "{\"chat_id\":-1001367429635,"
                          "\"x\":{\"y\":[{}]},\"method\":\"sendDice\"}");
    test_chat(&call[1], "-1001367429635");

    is_str(&call[2].body, "{\"method\":\"c\",\"chat_id\":\"@c\"}");
    test_chat(&call[2], "\"@c\"");

    /* each call can be moved to another chat */

    for (i = 0; i < 3; i++) {
        is_int(ngx_http_tgbot_method_migrate(&call[i], -42, unit_pool()),
               NGX_OK);
        test_chat(&call[i], "-42");
    }

    body = call[2].body;
    is_str(&body, "{\"method\":\"c\",\"chat_id\":-42}");
}


static void
test_repeat(ngx_http_tgbot_answer_t *answer, const char *begin,
    const char *element, ngx_uint_t n, const char *end)
{
    u_char      *p;
    ngx_str_t    body;
    ngx_pool_t  *pool;

    pool = unit_pool();
    unit_context("%s%s x %d", begin, element, (int) n);

    body.len = strlen(begin) + n * strlen(element) + strlen(end);
    body.data = ngx_pnalloc(pool, body.len);

    p = ngx_cpymem(body.data, begin, strlen(begin));

    while (n--) {
        p = ngx_cpymem(p, element, strlen(element));
    }

    ngx_memcpy(p, end, strlen(end));

    is_int(test_mem(answer, JSON, body.data, body.len, &test_message),
           NGX_OK);
}


static void
test_many(void)
{
    ngx_http_tgbot_answer_t  answer;

    test_repeat(&answer, "[", "{\"method\":\"a\"},",
                NGX_HTTP_TGBOT_ANSWER_MAX_CALLS - 1, "{\"method\":\"z\"}]");
    is_int(answer.calls.nelts, NGX_HTTP_TGBOT_ANSWER_MAX_CALLS);
    test_problem(&answer, NULL);

    test_repeat(&answer, "[", "{\"method\":\"a\"},",
                NGX_HTTP_TGBOT_ANSWER_MAX_CALLS, "{\"method\":\"z\"}]");
    is_int(answer.calls.nelts, 0);
    test_problem(&answer, TOO_MANY);
    is_int(answer.reason, NGX_HTTP_TGBOT_ANSWER_TOO_MANY);

    test_repeat(&answer, "[", "{\"method\":\"getMe\"},", 100000, "{}]");
    is_int(answer.calls.nelts, 0);
    test_problem(&answer, TOO_MANY);
    is_str(&answer.culprit, "");

    test_repeat(&answer, "[", "{\"a\":1},", 100000, "{\"method\":\"a\"}]");
    is_int(answer.calls.nelts, 1);
    test_problem(&answer, NOT_CALL);

    test_repeat(&answer, "{\"method\":\"a\",\"x\":\"", "aaaaaaaaaaaaaaaa",
                100000, "\"}");
    is_int(answer.calls.nelts, 1);
    test_problem(&answer, NULL);

    /* the outermost object is one of the levels */

    test_repeat(&answer, "{\"method\":\"a\",\"x\":", "[", 99,
                "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
                "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}");
    is_int(answer.calls.nelts, 1);
    test_problem(&answer, NULL);

    test_repeat(&answer, "[{\"method\":\"a\"},{\"x\":", "[", 99,
                "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
                "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]");
    is_int(answer.calls.nelts, 0);
    test_problem(&answer, TOO_DEEP);
}


static void
test_form(void)
{
    size_t                    i;
    ngx_http_tgbot_answer_t   answer;
    ngx_http_tgbot_method_t  *call;

    static const char  body[] =
        "--b1\r\nContent-Type: text/plain\r\n"
        "Content-Disposition: form-data; name=\"method\"\r\n\r\n"
        "sendPhoto\r\n"
        "--b1\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n"
        "12\r\n"
        "--b1\r\nContent-Disposition: form-data; name=\"photo\"; "
        "filename=\"method\"\r\n\r\n"
        "\x89PNG\0\r\n--b\r\n\r\n"
        "--b1--\r\n";

    static const char  type[] = "multipart/form-data; boundary=\"b1\"";

    static const test_answer_t  rows[] = {
        { FORM, "method=sendMessage&text=a", "sendMessage ", NULL, NULL },
        { FORM, "method=getMe", "", NOT_ALLOWED, "getMe" },
        { FORM, "method=", "", NO_NAME, "" },
        { FORM, "method=send%4dessage", "", NO_NAME, "send%4dessage" },
        { FORM, "method=a\r\nX: y", "", NO_NAME, "a  X: y" },
        { FORM, "{\"method\":\"a\"}", "", NULL, NULL },
        { "multipart/form-data", "a", "", NOT_FORM, NULL },
        { "multipart/form-data; boundary=b", "{\"method\":\"a\"}", "",
          NOT_FORM, NULL },
        { "multipart/form-data; boundary=b", "--b--", "", NULL, NULL },
        { "multipart/form-data; boundary=b",
          "--b\r\nContent-Disposition: form-data; name=method\r\n\r\n"
          "setWebhook\r\n--b--", "", NOT_ALLOWED, "setWebhook" },
        { FORM "; x=\r\ny", "method=a", "", "has an invalid Content-Type",
          NULL },
        { FORM "; x=\x7f", "method=a", "", "has an invalid Content-Type",
          NULL },
        { FORM ";\tx=\xc3\xa9", "method=a", "a ", NULL, NULL },
    };

    for (i = 0; i < unit_n(rows); i++) {
        test_row(&rows[i]);
    }

    unit_context("multipart");

    is_int(test_mem(&answer, type, body, sizeof(body) - 1, &test_message),
           NGX_OK);
    test_problem(&answer, NULL);

    if (!is_int(answer.calls.nelts, 1)) {
        return;
    }

    call = answer.calls.elts;

    is_str(&call->name, "sendPhoto");
    is_str(&call->content_type, type);
    is_lit(&call->body, body);
    test_chat(call, "12");

    is_int(ngx_http_tgbot_method_migrate(call, -1001, unit_pool()), NGX_OK);
    is_int(call->body.len, sizeof(body) - 1 + 3);
    test_chat(call, "-1001");

    unit_context("urlencoded");

    is_int(test_parse(&answer, FORM, "chat_id=5&method=sendMessage&text=a",
                      &test_message), NGX_OK);
    call = answer.calls.elts;

    is_int(ngx_http_tgbot_method_migrate(call, -1001, unit_pool()), NGX_OK);
    is_str(&call->body, "chat_id=-1001&method=sendMessage&text=a");

    unit_context("without a chat");

    is_int(test_parse(&answer, FORM, "method=sendMessage&text=a",
                      &test_message), NGX_OK);
    call = answer.calls.elts;

    is_str(&call->body, "method=sendMessage&text=a");
    is_int(call->chat_len, 0);
    is_int(ngx_http_tgbot_method_migrate(call, -1001, unit_pool()),
           NGX_DECLINED);
}


static void
test_text(void)
{
    u_char                   *big;
    ngx_str_t                 text;
    ngx_http_tgbot_update_t   update;
    ngx_http_tgbot_answer_t   answer;
    ngx_http_tgbot_method_t  *call;

    unit_context("message");
    text = unit_str(unit_pool(), "a \"b\" \\ \n\x01 \xd0\x9f");

    is_int(ngx_http_tgbot_answer_text(&answer, &text, &test_message,
                                      unit_pool()), NGX_OK);
    test_problem(&answer, NULL);
    is_int(answer.calls.nelts, 1);

    call = answer.calls.elts;
    test_sound(call);

    is_str(&call->name, "sendMessage");
    is_str(&call->content_type, JSON);
    is_str(&call->body,
           "{\"chat_id\":-1001367429635,\"method\":\"sendMessage\","
           "\"text\":\"a \\\"b\\\" \\\\ \\n\\u0001 \xd0\x9f\"}");
    test_chat(call, "-1001367429635");

    unit_context("topic");
    update = test_message;
    update.thread_id = INT64_MIN;
    update.has_thread_id = 1;

    is_int(ngx_http_tgbot_answer_text(&answer, &text, &update, unit_pool()),
           NGX_OK);
    call = answer.calls.elts;
    test_sound(call);

    is_str(&call->body,
           "{\"chat_id\":-1001367429635,"
           "\"message_thread_id\":-9223372036854775808,"
           "\"method\":\"sendMessage\","
           "\"text\":\"a \\\"b\\\" \\\\ \\n\\u0001 \xd0\x9f\"}");

    unit_context("business chat");
    update = test_message;
    ngx_str_set(&update.business_connection_id, "x\"y");

    is_int(ngx_http_tgbot_answer_text(&answer, &text, &update, unit_pool()),
           NGX_OK);
    call = answer.calls.elts;
    test_sound(call);

    is_str(&call->body,
           "{\"chat_id\":-1001367429635,"
           "\"business_connection_id\":\"x\\\"y\","
           "\"method\":\"sendMessage\","
           "\"text\":\"a \\\"b\\\" \\\\ \\n\\u0001 \xd0\x9f\"}");

    unit_context("callback");
    text = unit_str(unit_pool(), "hi");

    is_int(ngx_http_tgbot_answer_text(&answer, &text, &test_callback,
                                      unit_pool()), NGX_OK);
    call = answer.calls.elts;
    test_sound(call);

    is_str(&call->name, "answerCallbackQuery");
    is_str(&call->body,
           "{\"callback_query_id\":\"4382\\\"\\\\\\n\","
           "\"method\":\"answerCallbackQuery\",\"text\":\"hi\"}");
    is_int(call->chat_len, 0);

    unit_context("callback of a business chat");
    update = test_callback;
    ngx_str_set(&update.business_connection_id, "x");

    is_int(ngx_http_tgbot_answer_text(&answer, &text, &update, unit_pool()),
           NGX_OK);
    call = answer.calls.elts;
    is_str(&call->body,
           "{\"callback_query_id\":\"4382\\\"\\\\\\n\","
           "\"method\":\"answerCallbackQuery\",\"text\":\"hi\"}");

    unit_context("callback without an id");
    is_int(ngx_http_tgbot_answer_text(&answer, &text, &test_no_id,
                                      unit_pool()), NGX_DECLINED);
    is_int(answer.calls.nelts, 0);

    unit_context("nobody to answer to");
    is_int(ngx_http_tgbot_answer_text(&answer, &text, &test_inline,
                                      unit_pool()), NGX_DECLINED);
    is_int(answer.calls.nelts, 0);

    unit_context("empty");
    ngx_str_null(&text);
    is_int(ngx_http_tgbot_answer_text(&answer, &text, &test_message,
                                      unit_pool()), NGX_OK);
    call = answer.calls.elts;
    is_str(&call->body,
           "{\"chat_id\":-1001367429635,\"method\":\"sendMessage\","
           "\"text\":\"\"}");

    unit_context("longer than Telegram takes");
    text.len = 5000;
    big = ngx_pnalloc(unit_pool(), text.len);
    ngx_memset(big, 0x1f, text.len);
    text.data = big;

    is_int(ngx_http_tgbot_answer_text(&answer, &text, &test_message,
                                      unit_pool()), NGX_OK);
    call = answer.calls.elts;
    test_sound(call);
    is_int(answer.cut, 1);
    ok(call->body.len > 6 * 4096 && call->body.len < 6 * 4096 + 100);
}


/* characters of one and two units, whole and at the end of a text */

static void
test_fits(void)
{
    size_t     i;
    ngx_str_t  text;

    static const struct {
        const char  *text;
        size_t       units;
        size_t       len;
    } rows[] = {
        { "", 0, 0 },
        { "", 5, 0 },
        { "abc", 3, 3 },
        { "abc", 2, 2 },
        { "abc", 0, 0 },
        { "\xd0\x9f\xd0\x9f", 2, 4 },
        { "\xd0\x9f\xd0\x9f", 1, 2 },
        { "\xe2\x82\xac\xe2\x82\xac", 1, 3 },
        { "\xf0\x9f\x98\x80", 2, 4 },
        { "\xf0\x9f\x98\x80", 1, 0 },
        { "a\xf0\x9f\x98\x80" "b", 2, 1 },
        { "a\xf0\x9f\x98\x80" "b", 3, 5 },
        { "a\xf0\x9f\x98\x80" "b", 4, 6 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("row %d", (int) i);

        text = unit_str(unit_pool(), rows[i].text);
        is_int(ngx_http_tgbot_answer_fits(&text, rows[i].units), rows[i].len);
    }
}


/* every truncation and every single changed byte: all calls are sound */

static void
test_damaged(void)
{
    size_t                   i, j, n;
    char                     body[256];
    ngx_http_tgbot_answer_t  answer;

    static const char  sample[] =
        "[{\"method\":\"sendMessage\",\"chat_id\":-12,\"text\":\"a\\n}\"},"
        "{\"chat_id\":\"@a\\\"\",\"x\":[{\"method\":5}],\"method\":\"b\"},"
        "{\"method\":\"setMyName\"}]";

    static const char  bytes[] = "\"\\{}[]:, \n0-em\0\xff";

    n = sizeof(sample) - 1;

    for (i = 0; i < n; i++) {
        unit_context("first %d bytes", (int) i);

        is_int(test_mem(&answer, JSON, sample, i, &test_message), NGX_OK);
        is_int(answer.calls.nelts, 0);
        test_problem(&answer, i ? NOT_JSON : NULL);
    }

    for (i = 0; i < n; i++) {
        for (j = 0; j < sizeof(bytes) - 1; j++) {
            unit_context("byte %d is %02x", (int) i, bytes[j] & 0xff);

            ngx_memcpy(body, sample, n);
            body[i] = bytes[j];

            is_int(test_mem(&answer, JSON, body, n, &test_callback), NGX_OK);
        }
    }
}


static ngx_int_t
test_sweep(ngx_uint_t text, const char *type, const char *data)
{
    ngx_int_t                rc;
    ngx_str_t                content_type, body;
    ngx_uint_t               n, failed;
    ngx_pool_t              *pool;
    ngx_http_tgbot_answer_t  answer;

    failed = 0;

    for (n = 1; n < 1000; n++) {
        pool = unit_pool();
        content_type = unit_str(pool, type);
        body = unit_str(pool, data);

        unit_fail_at = n;

        if (text) {
            rc = ngx_http_tgbot_answer_text(&answer, &body, &test_message,
                                            pool);
        } else {
            rc = ngx_http_tgbot_answer_parse(&answer, &content_type, &body,
                                             &test_callback, pool);
        }

        is_int(unit_live, 0);

        if (unit_fail_at) {
            unit_fail_at = 0;
            is_int(rc, NGX_OK);
            return failed;
        }

        unit_context("%s allocation %d", data, (int) n);
        is_int(rc, NGX_ERROR);
        failed++;
    }

    return NGX_ERROR;
}


static void
test_no_memory(void)
{
    char  body[16384];

    /* init, push and grow, names, completed bodies, one culprit */

    ok(test_sweep(0, JSON, "[{\"method\":\"sendDice\"},"
                           "{\"method\":\"sendMessage\"},"
                           "{\"method\":\"answerCallbackQuery\"},"
                           "{\"method\":\"getMe\"}]") >= 10);

    ok(test_sweep(0, "multipart/form-data; boundary=b",
                  "--b\r\nContent-Disposition: form-data; name=method\r\n\r\n"
                  "send\r\n--b--") >= 3);

    ok(test_sweep(1, "", "text") >= 2);

    /* more than the arena of the JSON parser holds */

    snprintf(body, sizeof(body), "{\"method\":\"a\",\"text\":\"%012000d\\n\"}",
             0);

    ok(test_sweep(0, JSON, body) >= 3);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "chat_id is put in", test_chat_id },
        { "chat_id is left alone", test_chatless },
        { "ids of queries", test_query_ids },
        { "answers without calls", test_no_calls },
        { "Content-Type", test_types },
        { "JSON strings", test_strings },
        { "reasons", test_reasons },
        { "problems", test_problems },
        { "arrays", test_arrays },
        { "too many, too deep, too large", test_many },
        { "forms", test_form },
        { "text", test_text },
    { "the length of a text", test_fits },
        { "damaged answers", test_damaged },
        { "lack of memory", test_no_memory },
    };

    return unit_main(cases, unit_n(cases));
}
