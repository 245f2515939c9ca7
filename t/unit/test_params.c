
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_params.h"
#include "unit.h"


#define test_json  "application/json"
#define test_form  "application/x-www-form-urlencoded"


/* the chat_id of a body, as the pace knows the chat; paid: or not */

static void
test_find(const char *type, const char *body, const char *chat, ngx_uint_t paid)
{
    ngx_str_t                 content_type, text, found;
    ngx_pool_t               *pool;
    ngx_http_tgbot_params_t   params;

    pool = unit_pool();

    content_type = unit_str(pool, type);
    text = unit_str(pool, body);

    ngx_memzero(&params, sizeof(ngx_http_tgbot_params_t));
    params.bulk = 1;

    ngx_http_tgbot_params_find(&params, &content_type, &text);

    ok(params.chat_pos + params.chat_len <= text.len);
    is_int(params.paid, paid);

    is_int(ngx_http_tgbot_params_chat(&params, &text, &found, pool), NGX_OK);
    is_str(&found, chat);
}


static void
test_objects(void)
{
    test_find(test_json, "{\"chat_id\":7,\"text\":\"hi\"}", "7", 0);
    test_find(test_json, " {\n \"text\" : \"hi\" , \"chat_id\" : -1001 }",
              "-1001", 0);
    test_find(test_json, "{\"chat_id\":\"@name\"}", "@name", 0);
    test_find("Application/JSON; charset=utf-8", "{\"chat_id\":\"12\"}", "12",
              0);
    test_find(test_json, "{\"chat_id\":7,\"chat_id\":8}", "7", 0);
}


static void
test_nested(void)
{
    test_find(test_json, "{\"x\":{\"chat_id\":1},\"y\":[{\"chat_id\":2}]}",
              "", 0);
    test_find(test_json, "{\"x\":[{\"}\":\"]\"},[]],\"chat_id\":3}", "3", 0);
    test_find(test_json, "[{\"chat_id\":4}]", "", 0);
}


static void
test_strings(void)
{
    test_find(test_json, "{\"text\":\"\\\"chat_id\\\":1\",\"chat_id\":5}",
              "5", 0);
    test_find(test_json, "{\"text\":\"\\\\\",\"chat_id\":6}", "6", 0);
    test_find(test_json, "{\"text\":\"\\\\\\\"\",\"chat_id\":7}", "7", 0);
}


static void
test_values(void)
{
    test_find(test_json, "{\"chat_id\":null,\"text\":\"\"}", "", 0);
    test_find(test_json, "{\"chat_id\":[1]}", "", 0);
    test_find(test_json, "{\"chat_id\":true}", "", 0);
    test_find(test_json, "{\"chat_id\":\"\"}", "", 0);
}


static void
test_paid(void)
{
    test_find(test_json, "{\"allow_paid_broadcast\":true,\"chat_id\":1}", "1",
              1);
    test_find(test_json, "{\"allow_paid_broadcast\":\"True\"}", "", 1);
    test_find(test_json, "{\"allow_paid_broadcast\":false}", "", 0);
    test_find(test_form, "allow_paid_broadcast=1&chat_id=2", "2", 1);
    test_find(test_form, "allow_paid_broadcast=0", "", 0);
}


static void
test_forms(void)
{
    test_find(test_form, "text=a&chat_id=7", "7", 0);
    test_find(test_form, "chat_id=%40name&text=a", "@name", 0);
    test_find(test_form, "xchat_id=7", "", 0);
    test_find("multipart/form-data; boundary=b",
              "--b\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n"
              "42\r\n--b--", "42", 0);
}


/* each prefix: nothing is read that is not there */

static void
test_broken(void)
{
    size_t                    i;
    ngx_str_t                 type, whole, text;
    ngx_pool_t               *pool;
    ngx_http_tgbot_params_t   params;

    pool = unit_pool();

    ngx_memzero(&params, sizeof(ngx_http_tgbot_params_t));
    params.bulk = 1;

    type = unit_str(pool, test_json);
    whole = unit_str(pool, "{\"a\\\"\":[{\"b\":\"c\\\\\"}],\"chat_id\" : 42 }");

    for (i = 0; i < whole.len; i++) {
        text.len = i;
        text.data = ngx_pnalloc(pool, i ? i : 1);
        ngx_memcpy(text.data, whole.data, i);

        ngx_http_tgbot_params_find(&params, &type, &text);

        ok(params.chat_pos + params.chat_len <= i);
    }

    test_find(test_json, "", "", 0);
    test_find(test_json, "null", "", 0);
    test_find(test_json, "{]", "", 0);
    test_find(test_json, "{\"chat_id\"", "", 0);
    test_find(test_json, "{\"chat_id\":", "", 0);
    test_find("text/plain", "chat_id=1", "", 0);
    test_find("", "{\"chat_id\":1}", "", 0);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "objects", test_objects },
        { "nested objects", test_nested },
        { "strings", test_strings },
        { "values that are no chat", test_values },
        { "paid broadcasts", test_paid },
        { "forms and queries", test_forms },
        { "broken texts", test_broken },
    };

    return unit_main(cases, unit_n(cases));
}
