
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_webhook_info.h"
#include "unit.h"


static ngx_int_t
parse(ngx_http_tgbot_webhook_info_t *info, const char *text)
{
    ngx_str_t    body;
    ngx_pool_t  *pool;

    pool = unit_pool();
    body = unit_str(pool, text);

    return ngx_http_tgbot_webhook_info_parse(info, &body, pool);
}


static void
test_all(void)
{
    ngx_http_tgbot_webhook_info_t  info;

    is_int(parse(&info,
                 "{\"ok\":true,\"result\":{\"url\":\"https://a.example/x\","
                 "\"has_custom_certificate\":true,"
                 "\"pending_update_count\":7,\"max_connections\":40,"
                 "\"ip_address\":\"192.0.2.1\","
                 "\"last_error_date\":1700000000,"
                 "\"last_error_message\":\"Wrong\\nresponse: 500\","
                 "\"last_synchronization_error_date\":5,"
                 "\"allowed_updates\":[\"poll\",\"message\",\"message\"]}}"),
           NGX_OK);

    is_lit(&info.url, "https://a.example/x");
    is_lit(&info.address, "192.0.2.1");
    is_lit(&info.message, "Wrong response: 500");
    is_lit(&info.names, "message,poll");
    is_int(info.pending, 7);
    is_int(info.max_connections, 40);
    is_int(info.error_date, 1700000000);
    ok(info.certificate);
    ok(info.has_names);
}


/* the answer to getMe */

static void
test_me(void)
{
    ngx_http_tgbot_webhook_info_t  info;

    is_int(parse(&info,
                 "{\"ok\":true,\"result\":{\"id\":7,\"is_bot\":true,"
                 "\"first_name\":\"Shop\",\"username\":\"the_shop_bot\","
                 "\"other\":{\"username\":\"no\"}}}"),
           NGX_OK);

    is_lit(&info.username, "the_shop_bot");
    is_lit(&info.url, "");
}


/* a bot without a webhook */

static void
test_none(void)
{
    ngx_http_tgbot_webhook_info_t  info;

    is_int(parse(&info, "{\"result\":{\"url\":\"\","
                        "\"has_custom_certificate\":false,"
                        "\"pending_update_count\":0},\"ok\":true}"), NGX_OK);

    is_int(info.url.len, 0);
    is_int(info.pending, 0);
    is_int(info.error_date, 0);
    ok(!info.certificate);
    ok(!info.has_names);
    is_int(info.names.len, 0);

    /* no pointer is computed from NULL */

    ok(info.url.data != NULL);
    ok(info.address.data != NULL);
    ok(info.message.data != NULL);
    ok(info.names.data != NULL);

    /* an empty list counts as a list */

    is_int(parse(&info, "{\"result\":{\"allowed_updates\":[]}}"), NGX_OK);
    ok(info.has_names);
    is_int(info.names.len, 0);
}


static void
test_wrong(void)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_webhook_info_t  info;

    static const char  *bad[] = {
        "", "x", "[]", "{}", "7", "{\"ok\":true}",
        "{\"ok\":true,\"result\":true}", "{\"ok\":true,\"result\":[{}]}",
        "{\"ok\":true,\"result\":{\"url\":\"a\"}",
        "{\"results\":{\"url\":\"a\"}}"
    };

    for (i = 0; i < unit_n(bad); i++) {
        unit_context("%s", bad[i]);
        is_int(parse(&info, bad[i]), NGX_DECLINED);
    }
}


/* values of other types, and the same keys elsewhere, are not taken */

static void
test_other(void)
{
    ngx_http_tgbot_webhook_info_t  info;

    is_int(parse(&info,
                 "{\"url\":\"no\",\"more\":{\"url\":\"no\"},"
                 "\"result\":{\"url\":7,\"in\":{\"url\":\"no\"},"
                 "\"list\":[\"no\",{\"url\":\"no\"}],"
                 "\"pending_update_count\":\"7\",\"max_connections\":-1,"
                 "\"last_error_date\":1.5,\"has_custom_certificate\":\"true\","
                 "\"allowed_updates\":[1,\"message\",\"A\\\"B\",\"a b\","
                 "[\"poll\"],{\"poll\":\"poll\"},null]},"
                 "\"last\":{\"url\":\"no\"}}"),
           NGX_OK);

    is_int(info.url.len, 0);
    is_int(info.pending, 0);
    is_int(info.max_connections, 0);
    is_int(info.error_date, 0);
    ok(!info.certificate);
    is_lit(&info.names, "message");
}


static void
test_memory(void)
{
    ngx_int_t                      rc;
    ngx_uint_t                     i;
    ngx_http_tgbot_webhook_info_t  info;

    for (i = 1; /* void */ ; i++) {
        ngx_str_t    body;
        ngx_pool_t  *pool;

        pool = unit_pool();
        body = unit_str(pool, "{\"result\":{\"url\":\"https://a\","
                              "\"allowed_updates\":[\"poll\",\"message\"]}}");

        unit_fail_at = i;
        rc = ngx_http_tgbot_webhook_info_parse(&info, &body, pool);

        if (unit_fail_at) {
            unit_fail_at = 0;
            is_int(rc, NGX_OK);
            break;
        }

        is_int(rc, NGX_ERROR);
    }

    ok(i > 3);
}


static unit_case_t  cases[] = {
    { "all there is", test_all },
    { "username", test_me },
    { "no webhook", test_none },
    { "no such answer", test_wrong },
    { "other types", test_other },
    { "no memory", test_memory },
};


int
main(void)
{
    return unit_main(cases, unit_n(cases));
}
