
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_method.h"
#include "unit.h"


static void
test_names(void)
{
    size_t     i;
    ngx_str_t  s;

    static const struct {
        ngx_str_t   name;
        ngx_uint_t  valid;
        ngx_uint_t  allowed;
        ngx_uint_t  once;
    } rows[] = {
        { ngx_string("sendMessage"), 1, 1, 0 },
        { ngx_string("SENDMESSAGE"), 1, 1, 0 },
        { ngx_string("a"), 1, 1, 0 },
        { ngx_string("z"), 1, 1, 0 },
        { ngx_string("Z"), 1, 1, 0 },
        { ngx_string("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "abcdefghijkl"), 1, 1, 0 },
        { ngx_string("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "abcdefghijklm"), 0, 1, 0 },
        { ngx_string(""), 0, 1, 0 },
        { ngx_string("send_message"), 0, 1, 0 },
        { ngx_string("sendMessage2"), 0, 1, 0 },
        { ngx_string("send/Message"), 0, 1, 0 },
        { ngx_string("../getMe"), 0, 1, 0 },
        { ngx_string("sendMessage?x=1"), 0, 1, 0 },
        { ngx_string("sendMessage#"), 0, 1, 0 },
        { ngx_string("send%4dessage"), 0, 1, 0 },
        { ngx_string(" sendMessage"), 0, 1, 0 },
        { ngx_string("sendMessage "), 0, 1, 0 },
        { ngx_string("send HTTP/1.1\r\nX: y"), 0, 1, 0 },
        { ngx_string("send\nMessage"), 0, 1, 0 },
        { ngx_string("send\0Message"), 0, 1, 0 },
        { ngx_string("\0"), 0, 1, 0 },
        { ngx_string("@"), 0, 1, 0 },
        { ngx_string("["), 0, 1, 0 },
        { ngx_string("`"), 0, 1, 0 },
        { ngx_string("{"), 0, 1, 0 },
        { ngx_string("s\xc3\xa9nd"), 0, 1, 0 },
        { ngx_string("close"), 1, 0, 0 },
        { ngx_string("CLOSE"), 1, 0, 0 },
        { ngx_string("closeForumTopic"), 1, 1, 0 },
        { ngx_string("logOut"), 1, 0, 0 },
        { ngx_string("logout"), 1, 0, 0 },
        { ngx_string("setWebhook"), 1, 0, 0 },
        { ngx_string("SetWebHook"), 1, 0, 0 },
        { ngx_string("deleteWebhook"), 1, 0, 0 },
        { ngx_string("deleteWebhooks"), 1, 1, 0 },
        { ngx_string("deleteMessage"), 1, 1, 0 },
        { ngx_string("getMe"), 1, 0, 0 },
        { ngx_string("GETUPDATES"), 1, 0, 0 },
        { ngx_string("get"), 1, 0, 0 },
        { ngx_string("ge"), 1, 1, 0 },
        { ngx_string("forgetMe"), 1, 1, 0 },
        { ngx_string("getAvailableGifts"), 1, 0, 1 },
        { ngx_string("sendGift"), 1, 1, 1 },
        { ngx_string("sendgift"), 1, 1, 1 },
        { ngx_string("giftPremiumSubscription"), 1, 1, 1 },
        { ngx_string("upgradeGift"), 1, 1, 1 },
        { ngx_string("PREMIUM"), 1, 1, 1 },
        { ngx_string("transferBusinessAccountStars"), 1, 1, 1 },
        { ngx_string("refundStarPayment"), 1, 1, 1 },
        { ngx_string("gif"), 1, 1, 0 },
        { ngx_string("refun"), 1, 1, 0 },
        { ngx_string("sendInvoice"), 1, 1, 0 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("row %d \"%s\"", (int) i, rows[i].name.data);

        /* a copy without NUL, so that a read past its end is detected */

        s.len = rows[i].name.len;
        s.data = ngx_pnalloc(unit_pool(), s.len);
        ngx_memcpy(s.data, rows[i].name.data, s.len);

        is_int(ngx_http_tgbot_method_valid(&s), rows[i].valid);
        is_int(ngx_http_tgbot_method_allowed(&s), rows[i].allowed);
        is_int(ngx_http_tgbot_method_once(&s), rows[i].once);
    }
}


static ngx_int_t
test_read(ngx_http_tgbot_method_result_t *result, ngx_uint_t status,
    const char *retry_after, const char *body)
{
    ngx_str_t    header, text;
    ngx_pool_t  *pool;

    pool = unit_pool();
    header = unit_str(pool, retry_after);
    text = unit_str(pool, body);

    /* members that are not set are detected */

    ngx_memset(result, 0x5a, sizeof(ngx_http_tgbot_method_result_t));

    return ngx_http_tgbot_method_result(result, status, &header, &text, pool);
}


#define OK            NGX_HTTP_TGBOT_METHOD_OK
#define FLOOD         NGX_HTTP_TGBOT_METHOD_FLOOD
#define UNAVAILABLE   NGX_HTTP_TGBOT_METHOD_UNAVAILABLE
#define MIGRATED      NGX_HTTP_TGBOT_METHOD_MIGRATED
#define UNAUTHORIZED  NGX_HTTP_TGBOT_METHOD_UNAUTHORIZED
#define REFUSED       NGX_HTTP_TGBOT_METHOD_REFUSED


static void
test_outcomes(void)
{
    size_t                          i;
    ngx_http_tgbot_method_result_t  result;

    static const struct {
        ngx_uint_t   status;
        const char  *body;
        ngx_uint_t   outcome;
        const char  *description;
    } rows[] = {
        { 200, "{\"ok\":true,\"result\":true}", OK, "" },
        { 200, "{\"ok\":false,\"error_code\":400,\"description\":\"x\"}",
          OK, "" },
        { 200, "<html>", OK, "" },
        { 200, "", OK, "" },
        { 204, "", OK, "" },
        { 299, "", OK, "" },
        { 0, "", UNAVAILABLE, "" },
        { 100, "", UNAVAILABLE, "" },
        { 199, "", UNAVAILABLE, "" },
        { 300, "", REFUSED, "" },
        { 302, "<html>", REFUSED, "" },
        { 399, "", REFUSED, "" },
        { 400, "{\"ok\":false,\"error_code\":400,"
               "\"description\":\"Bad Request: chat not found\"}",
          REFUSED, "Bad Request: chat not found" },
        { 401, "{\"ok\":false,\"error_code\":401,"
               "\"description\":\"Unauthorized\"}",
          UNAUTHORIZED, "Unauthorized" },
        { 403, "{\"description\":\"Forbidden: bot was blocked\"}",
          REFUSED, "Forbidden: bot was blocked" },
        { 404, "{\"ok\":false,\"error_code\":404,"
               "\"description\":\"Not Found\"}", REFUSED, "Not Found" },
        { 408, "", REFUSED, "" },
        { 409, "{\"description\":\"Conflict\"}", REFUSED, "Conflict" },
        { 413, "<html>", REFUSED, "" },
        { 421, "", REFUSED, "" },
        { 429, "", FLOOD, "" },
        { 499, "", REFUSED, "" },
        { 500, "{\"description\":\"Internal Server Error: restart\"}",
          UNAVAILABLE, "Internal Server Error: restart" },
        { 502, "<html>\r\n<head><title>502 Bad Gateway</title></head>",
          UNAVAILABLE, "" },
        { 503, "", UNAVAILABLE, "" },
        { 504, "", UNAVAILABLE, "" },
        { 599, "", UNAVAILABLE, "" },
        { 999, "", UNAVAILABLE, "" },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%d %s", (int) rows[i].status, rows[i].body);

        is_int(test_read(&result, rows[i].status, "", rows[i].body), NGX_OK);
        is_int(result.outcome, rows[i].outcome);
        is_str(&result.description, rows[i].description);
        is_int(result.retry_after, 0);
        is_int(result.migrate_to_chat_id, 0);
    }
}


static void
test_retry_after(void)
{
    size_t                          i;
    ngx_http_tgbot_method_result_t  result;

    static const struct {
        const char  *header;
        const char  *body;
        ngx_uint_t   want;
    } rows[] = {
        { "35", "", 35 },
        { "", "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many "
              "Requests: retry after 35\",\"parameters\":"
              "{\"retry_after\":35}}", 35 },
        { "7", "{\"parameters\":{\"retry_after\":35}}", 7 },
        { "0", "{\"parameters\":{\"retry_after\":35}}", 35 },
        { "-7", "{\"parameters\":{\"retry_after\":35}}", 35 },
        { "7.5", "{\"parameters\":{\"retry_after\":35}}", 35 },
        { "7s", "{\"parameters\":{\"retry_after\":35}}", 35 },
        { "+7", "{\"parameters\":{\"retry_after\":35}}", 35 },
        { "0x7", "{\"parameters\":{\"retry_after\":35}}", 35 },
        { "Wed, 21 Oct 2026 07:28:00 GMT",
          "{\"parameters\":{\"retry_after\":35}}", 35 },
        { "99999999999999999999", "{\"parameters\":{\"retry_after\":35}}",
          35 },
        { "9223372036854775807", "", NGX_HTTP_TGBOT_METHOD_RETRY_MAX },
        { "2147483", "", 2147483 },
        { "2147484", "", 2147483 },
        { "10072", "", 10072 },
        { "", "{\"parameters\":{\"retry_after\":-1}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":0}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":1.5}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":1e3}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":\"35\"}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":null}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":{\"retry_after\":3}}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":[35]}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":99999999999999999999}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":9223372036854775807}}",
          NGX_HTTP_TGBOT_METHOD_RETRY_MAX },
        { "", "{\"parameters\":{\"retry_after\":1,\"retry_after\":2}}", 1 },
        { "", "{\"parameters\":{\"retry_after\":null,\"retry_after\":2}}",
          0 },
        { "", "{\"retry_after\":35}", 0 },
        { "", "{\"x\":{\"retry_after\":35}}", 0 },
        { "", "{\"x\":{\"parameters\":{\"retry_after\":35}}}", 0 },
        { "", "{\"parameters\":{\"x\":{\"retry_after\":35}}}", 0 },
        { "", "{\"parameters\":{\"x\":{}},\"y\":{\"retry_after\":35}}", 0 },
        { "", "{\"parameters\":[{\"retry_after\":35}]}", 0 },
        { "", "{\"parameters\":5,\"x\":{\"retry_after\":35}}", 0 },
        { "", "{\"parameters\":null,\"parameters\":{\"retry_after\":3}}", 0 },
        { "", "[{\"parameters\":{\"retry_after\":35}}]", 0 },
        { "", "{\"parameters\":{\"x\":{},\"y\":[{}],\"retry_after\":35}}",
          35 },
        { "", "{\"par\\u0061meters\":{\"retry\\u005fafter\":35}}", 35 },
        { "", "{\"parameters\\u0000\":{\"retry_after\":35}}", 0 },
        { "", "{\"parameters\":{\"retry_after\":35}", 0 },
        { "", "{\"parameters\":{\"retry_after\":35}} x", 0 },
        { "", "null", 0 },
        { "", "\"parameters\"", 0 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("\"%s\" %s", rows[i].header, rows[i].body);

        is_int(test_read(&result, 429, rows[i].header, rows[i].body), NGX_OK);
        is_int(result.outcome, FLOOD);
        is_int(result.retry_after, rows[i].want);
    }

    unit_context("5xx");
    is_int(test_read(&result, 503, "9", "<html>"), NGX_OK);
    is_int(result.outcome, UNAVAILABLE);
    is_int(result.retry_after, 9);
}


static void
test_migrated(void)
{
    size_t                          i;
    ngx_http_tgbot_method_result_t  result;

    static const struct {
        ngx_uint_t   status;
        const char  *body;
        ngx_uint_t   outcome;
        int64_t      want;
    } rows[] = {
        { 400, "{\"ok\":false,\"error_code\":400,\"description\":\"Bad "
               "Request: group chat was upgraded to a supergroup chat\","
               "\"parameters\":{\"migrate_to_chat_id\":-1001367429635}}",
          MIGRATED, -1001367429635LL },
        { 400, "{\"parameters\":{\"migrate_to_chat_id\":"
               "-9223372036854775808}}", MIGRATED, INT64_MIN },
        { 400, "{\"parameters\":{\"migrate_to_chat_id\":0}}", REFUSED, 0 },
        { 400, "{\"parameters\":{\"migrate_to_chat_id\":\"-1001\"}}",
          REFUSED, 0 },
        { 400, "{\"parameters\":{\"migrate_to_chat_id\":-1.5}}", REFUSED, 0 },
        { 400, "{\"parameters\":{\"migrate_to_chat_id\":"
               "-9223372036854775809}}", REFUSED, 0 },
        { 400, "{\"migrate_to_chat_id\":-1001}", REFUSED, 0 },
        { 403, "{\"parameters\":{\"migrate_to_chat_id\":-1001}}",
          REFUSED, 0 },
        { 429, "{\"parameters\":{\"migrate_to_chat_id\":-1001}}", FLOOD, 0 },
        { 500, "{\"parameters\":{\"migrate_to_chat_id\":-1001}}",
          UNAVAILABLE, 0 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%d %s", (int) rows[i].status, rows[i].body);

        is_int(test_read(&result, rows[i].status, "", rows[i].body), NGX_OK);
        is_int(result.outcome, rows[i].outcome);
        is_int(result.migrate_to_chat_id, rows[i].want);
    }
}


static void
test_description(void)
{
    char                            body[1024];
    ngx_http_tgbot_method_result_t  result;

    is_int(test_read(&result, 400, "",
                     "{\"description\":\"a\\r\\nb\\u0000c\\u001b[31m\"}"),
           NGX_OK);
    is_str(&result.description, "a  b c [31m");

    is_int(test_read(&result, 400, "", "{\"description\":\"\xff\xd0\x9f\"}"),
           NGX_OK);
    is_str(&result.description, "?\xd0\x9f");

    is_int(test_read(&result, 400, "",
                     "{\"description\":1,\"description\":\"x\"}"), NGX_OK);
    is_str(&result.description, "");

    is_int(test_read(&result, 400, "",
                     "{\"description\":{\"description\":\"x\"}}"), NGX_OK);
    is_str(&result.description, "");

    is_int(test_read(&result, 400, "", "{\"description\":\"\"}"), NGX_OK);
    is_str(&result.description, "");

    is_int(test_read(&result, 400, "", "{\"description\":\"x\""), NGX_OK);
    is_str(&result.description, "");

    /* the description is not cut here, but where it is logged */

    snprintf(body, sizeof(body), "{\"description\":\"%0500d\"}", 0);

    is_int(test_read(&result, 400, "", body), NGX_OK);
    is_int(result.description.len, 500);
}


static void
test_migrate(void)
{
    size_t                   i;
    ngx_pool_t              *pool;
    ngx_http_tgbot_method_t  method;

    static const struct {
        const char  *body;
        size_t       pos;
        size_t       len;
        int64_t      chat_id;
        const char  *want;
        size_t       want_len;
    } rows[] = {
        { "{\"chat_id\":-5,\"text\":\"a\"}", 11, 2, -1001367429635LL,
          "{\"chat_id\":-1001367429635,\"text\":\"a\"}", 14 },
        { "{\"chat_id\":\"@name\"}", 11, 7, -1001,
          "{\"chat_id\":-1001}", 5 },
        { "chat_id=-5&text=a", 8, 2, INT64_MIN,
          "chat_id=-9223372036854775808&text=a", 20 },
        { "text=a&chat_id=123456789012345", 15, 15, 7,
          "text=a&chat_id=7", 1 },
        { "5", 0, 1, 6, "6", 1 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].body);

        pool = unit_pool();

        ngx_memzero(&method, sizeof(ngx_http_tgbot_method_t));
        method.body = unit_str(pool, rows[i].body);
        method.chat_pos = rows[i].pos;
        method.chat_len = rows[i].len;

        is_int(ngx_http_tgbot_method_migrate(&method, rows[i].chat_id, pool),
               NGX_OK);
        is_str(&method.body, rows[i].want);
        is_int(method.chat_pos, rows[i].pos);
        is_int(method.chat_len, rows[i].want_len);

        /* migrate a second time */

        is_int(ngx_http_tgbot_method_migrate(&method, 42, pool), NGX_OK);
        is_int(method.chat_len, 2);
        is_int(ngx_memcmp(method.body.data + method.chat_pos, "42", 2), 0);
    }

    unit_context("no chat_id");
    method.chat_len = 0;
    is_int(ngx_http_tgbot_method_migrate(&method, 42, pool), NGX_DECLINED);
}


static void
test_copy(void)
{
    ngx_pool_t               *pool;
    ngx_http_tgbot_method_t   src, dst;

    pool = unit_pool();

    src.name = unit_str(pool, "sendMessage");
    src.content_type = unit_str(pool, "application/json");
    src.body = unit_str(pool, "{\"chat_id\":5}");
    src.chat_pos = 11;
    src.chat_len = 1;

    is_int(ngx_http_tgbot_method_copy(&dst, &src, unit_pool()), NGX_OK);

    /* the copy does not point into its source */

    ngx_memset(src.name.data, 'x', src.name.len);
    ngx_memset(src.content_type.data, 'x', src.content_type.len);
    ngx_memset(src.body.data, 'x', src.body.len);

    is_str(&dst.name, "sendMessage");
    is_str(&dst.content_type, "application/json");
    is_str(&dst.body, "{\"chat_id\":5}");
    is_int(dst.chat_pos, 11);
    is_int(dst.chat_len, 1);

    unit_fail_at = 1;
    is_int(ngx_http_tgbot_method_copy(&dst, &src, pool), NGX_ERROR);
    is_int(unit_fail_at, 0);
}


static void
test_no_memory(void)
{
    ngx_int_t                        rc;
    ngx_uint_t                       n, failed;
    ngx_str_t                        header, body;
    ngx_pool_t                      *pool;
    ngx_http_tgbot_method_t          method;
    ngx_http_tgbot_method_result_t   result;

    failed = 0;

    for (n = 1; n < 100; n++) {
        unit_context("allocation %d", (int) n);

        pool = unit_pool();
        ngx_str_null(&header);
        body = unit_str(pool, "{\"description\":\"text\","
                              "\"parameters\":{\"retry_after\":3}}");

        unit_fail_at = n;
        rc = ngx_http_tgbot_method_result(&result, 429, &header, &body, pool);

        if (unit_fail_at) {
            unit_fail_at = 0;
            is_int(rc, NGX_OK);
            is_int(result.retry_after, 3);
            break;
        }

        is_int(rc, NGX_ERROR);
        failed++;
    }

    ok(failed > 0);
    is_int(unit_live, 0);

    unit_context("migrate");

    ngx_memzero(&method, sizeof(ngx_http_tgbot_method_t));
    method.body = unit_str(pool, "{\"chat_id\":5}");
    method.chat_pos = 11;
    method.chat_len = 1;

    unit_fail_at = 1;
    is_int(ngx_http_tgbot_method_migrate(&method, 42, pool), NGX_ERROR);
    is_int(unit_fail_at, 0);
    is_str(&method.body, "{\"chat_id\":5}");
    is_int(method.chat_len, 1);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "names", test_names },
        { "outcomes by status", test_outcomes },
        { "retry_after", test_retry_after },
        { "migrate_to_chat_id", test_migrated },
        { "description", test_description },
        { "a new chat_id in a call", test_migrate },
        { "a copy of a call", test_copy },
        { "lack of memory", test_no_memory },
    };

    return unit_main(cases, unit_n(cases));
}
