
#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include "ngx_http_tgbot_json.h"
#include "unit.h"


/*
 * The tokens of a document are written as text, each with its depth: "{0 k1:a
 * n1:1 }0"; with ends also "@" and the offset after the token.  With skip the
 * value of a key "x" is skipped, and the contents of the value of a key "y".
 */

typedef struct {
    ngx_uint_t   ends;
    ngx_uint_t   skip;
    ngx_uint_t   inside;     /* the token before was "y" */
    ngx_uint_t   tokens;
    ngx_uint_t   deepest;
    ngx_uint_t   stop_at;
    ngx_int_t    stop_rc;
    size_t       len;
    u_char       text[65536];
} log_t;


static log_t  tlog;


static ngx_int_t
log_token(void *data, ngx_http_tgbot_json_token_t *token)
{
    u_char  *p, *last;
    log_t   *l = data;

    static const char  *names[] = { "null", "b", "n", "s", "k", "{", "}", "[",
                                    "]" };

    l->tokens++;
    l->deepest = ngx_max(l->deepest, token->depth);

    if (l->tokens == l->stop_at) {
        return l->stop_rc;
    }

    p = l->text + l->len;
    last = l->text + sizeof(l->text);

    p = ngx_slprintf(p, last, "%s%s%ui", l->len ? " " : "",
                     names[token->type], token->depth);

    if (token->text.len) {
        p = ngx_slprintf(p, last, ":%V", &token->text);
    }

    if (l->ends) {
        p = ngx_slprintf(p, last, "@%uz", ngx_http_tgbot_json_offset(token));
    }

    l->len = p - l->text;

    if (l->skip && token->type != NGX_HTTP_TGBOT_JSON_KEY) {
        token->skip = l->inside;
        l->inside = 0;

    } else if (l->skip && token->text.len == 1) {
        token->skip = (token->text.data[0] == 'x');
        l->inside = (token->text.data[0] == 'y');
    }

    return NGX_OK;
}


static void
log_reset(void)
{
    tlog.ends = 0;
    tlog.skip = 0;
    tlog.inside = 0;
    tlog.tokens = 0;
    tlog.deepest = 0;
    tlog.stop_at = 0;
    tlog.len = 0;
}


static ngx_str_t
logged(void)
{
    ngx_str_t  s;

    s.data = tlog.text;
    s.len = tlog.len;

    return s;
}


static ngx_int_t
parse(const void *data, size_t len)
{
    ngx_str_t  in;

    in = unit_bytes(unit_pool(), data, len);
    log_reset();

    return ngx_http_tgbot_json_parse(&in, log_token, &tlog);
}


static void
test_tokens(void)
{
    size_t     i;
    ngx_str_t  s;

    static const struct {
        const char  *json;
        const char  *log;
    } rows[] = {
        { "{}", "{0 }0" },
        { " [ ] ", "[0 ]0" },
        { "null", "null0" },
        { "true", "b0:true" },
        { "false", "b0:false" },
        { "-12", "n0:-12" },
        { "1e3", "n0:1e3" },
        { "123456789012345678901234567890",
          "n0:123456789012345678901234567890" },
        { "\"\"", "s0" },
        { "{\"a\":1,\"b\":[true,{\"c\":null}]}",
          "{0 k1:a n1:1 k1:b [1 b2:true {2 k3:c null3 }2 ]1 }0" },
        { "{\"a\":1,\"a\":2}", "{0 k1:a n1:1 k1:a n1:2 }0" },
        { "{\"\":0}", "{0 k1 n1:0 }0" },
        { "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
          "[0 s1:\"\\/\b\f\n\r\t ]0" },
        { "[\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"]",
          "[0 s1:A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 ]0" },
        { "[1.5,-0,0.1e-2]", "[0 n1:1.5 n1:-0 n1:0.1e-2 ]0" },

        /* bytes that are not UTF-8 pass */
        { "[\"\xff\xfe\"]", "[0 s1:\xff\xfe ]0" },
        { "[\"\xc3\"]", "[0 s1:\xc3 ]0" },
        { "[\"\xed\xa0\x80\"]", "[0 s1:\xed\xa0\x80 ]0" },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].json);

        is_int(parse(rows[i].json, strlen(rows[i].json)), NGX_OK);
        s = logged();
        is_str(&s, rows[i].log);
    }
}


static void
test_escapes(void)
{
    ngx_str_t  s;

    /* a NUL is a character like any other */

    is_int(parse("[\"a\\u0000b\"]", 12), NGX_OK);
    s = logged();
    is_lit(&s, "[0 s1:a\0b ]0");

    /* half of a surrogate pair is not an error */

    is_int(parse("[\"x\\ud83d\",1]", 13), NGX_OK);
    is_int(tlog.tokens, 4);

    is_int(parse("[\"\\ud83dx\",1]", 13), NGX_OK);
    is_int(tlog.tokens, 4);

    is_int(parse("[\"\\ud800\\\\x\",1]", 15), NGX_OK);
    is_int(tlog.tokens, 4);

    is_int(parse("[\"\\ude00\",1]", 12), NGX_OK);
    is_int(tlog.tokens, 4);
}


static void
test_not_json(void)
{
    size_t  i;

    static const char  *rows[] = {
        "", " ", "\n", "{", "[", "{\"a\"", "{\"a\":", "{\"a\":1", "[1,",
        "\"abc", "tru", "-", "01", "+1", ".5", "1.", "1e", "nul", "NaN",
        "Infinity", "{a:1}", "{'a':1}", "{1:2}", "[1,]", "{\"a\":1,}",
        "{\"a\" 1}", "[1 2]", "]", "}", "[}", "{]", "{\"a\":1]",
        "{} {}", "{}x", "{}\"", "{}\"x", "[] \"\\", "{} tru", "1 n",
        "{} \"}", "{\"a\":{}}\"}}", "[] \"]", "{\"a\":{}",
        "[]]", "1 2", "{},", "/* c */ {}", "{} // c",
        "\xef\xbb\xbf{}", "[\"\n\"]", "[\"\t\"]", "[\"\\x\"]", "[\"\\u12\"]",
        "[\"\\u12g4\"]", "[\"\\\"]", "\xff", "{\"a\":\xc3\xa9}",
        "update_id=1", "<html></html>",
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i]);
        is_int(parse(rows[i], strlen(rows[i])), NGX_DECLINED);
    }

    unit_context("NUL behind the document");
    is_int(parse("{}\0", 3), NGX_DECLINED);

    unit_context("NUL in a string");
    is_int(parse("[\"\0\"]", 5), NGX_DECLINED);

    /* tokens before the error have been delivered */

    unit_context("tokens before an error");
    is_int(parse("[1,2,x]", 7), NGX_DECLINED);
    is_int(tlog.tokens, 3);
}


static void
test_empty(void)
{
    ngx_str_t  in;

    ngx_str_null(&in);

    log_reset();
    is_int(ngx_http_tgbot_json_parse(&in, log_token, &tlog), NGX_DECLINED);
    is_int(tlog.tokens, 0);
}


static ngx_int_t
parse_skip(const void *data, size_t len)
{
    ngx_str_t  in;

    in = unit_bytes(unit_pool(), data, len);
    log_reset();
    tlog.ends = 1;
    tlog.skip = 1;

    return ngx_http_tgbot_json_parse(&in, log_token, &tlog);
}


static void
test_skip(void)
{
    size_t       i, len;
    ngx_str_t    s;
    static char  json[512];

    static const struct {
        const char  *json;
        const char  *log;
    } rows[] = {
        { "{\"x\":1}", "{0@1 k1:x@4 }0@7" },
        { "{\"x\":\"\\u00e9\",\"a\":2}",
          "{0@1 k1:x@4 k1:a@17 n1:2@19 }0@20" },
        { "{\"x\":null,\"x\":true,\"x\":1.5,\"a\":false}",
          "{0@1 k1:x@4 k1:x@13 k1:x@22 k1:a@30 b1:false@36 }0@37" },
        { "{\"x\":{},\"x\":[],\"a\":[]}",
          "{0@1 k1:x@4 k1:x@11 k1:a@18 [1@20 ]1@21 }0@22" },
        { "{\"x\":{\"a\":[{},[1,\"\\n\"],{\"b\":{\"c\":2}}],\"d\":0},"
          "\"a\":3}",
          "{0@1 k1:x@4 k1:a@48 n1:3@50 }0@51" },

        /* the tokens after the object are not skipped */
        { "[{\"x\":1},2,{\"a\":{\"x\":[3]}},\"b\"]",
          "[0@1 {1@2 k2:x@5 }1@8 n1:2@10 {1@12 k2:a@15 {2@17 k3:x@20 "
          "}2@25 }1@26 s1:b@30 ]0@31" },

        { "{\"y\":{\"a\":{\"b\":[]},\"c\":1},\"a\":2}",
          "{0@1 k1:y@4 {1@6 }1@25 k1:a@29 n1:2@31 }0@32" },
        { "{\"y\":[[1],{\"a\":2},\"\\u00e9\"],\"a\":2}",
          "{0@1 k1:y@4 [1@6 ]1@27 k1:a@31 n1:2@33 }0@34" },
        { "{\"y\":{},\"y\":[],\"y\":1,\"x\":2,\"a\":3}",
          "{0@1 k1:y@4 {1@6 }1@7 k1:y@11 [1@13 ]1@14 k1:y@18 n1:1@20 "
          "k1:x@24 k1:a@30 n1:3@32 }0@33" },
        { "{\"y\":[1],\"x\":[2],\"y\":{\"x\":1},\"x\":{\"y\":[2]}}",
          "{0@1 k1:y@4 [1@6 ]1@8 k1:x@12 k1:y@20 {1@22 }1@28 k1:x@32 "
          "}0@43" },
    };

    static const char  *bad[] = {
        "", "{", "[", "1,", "tru", "01", "nul", "[1,]", "{\"a\":1,}",
        "{\"a\" 1}", "[1 2]", "[}", "{]", "{\"a\":1]", "{\"a\"}", "{1:2}",
        "\"\n\"", "\"\\x\"", "\"\\u12g4\"", "\"a", "-", "1e", "}", "]",
        "[\"\\x\"]", "{\"\\x\":1}", "{\"a\":\"\n\"}", "[1e]", "1 2",
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].json);

        is_int(parse_skip(rows[i].json, strlen(rows[i].json)), NGX_OK);

        s = logged();
        is_str(&s, rows[i].log);
    }

    /* a skipped value must be JSON, too */

    for (i = 0; i < unit_n(bad); i++) {
        unit_context("skipped: %s", bad[i]);

        len = sprintf(json, "{\"x\":%s}", bad[i]);
        is_int(parse_skip(json, len), NGX_DECLINED);

        len = sprintf(json, "{\"y\":[%s%s]}", i ? "" : ",", bad[i]);
        is_int(parse_skip(json, len), NGX_DECLINED);
    }
}


static const char  sample[] =
    "{\"update_id\":123,\n\"message\":{\"text\":\"a\\u20ac\\ud83d\\ude00\\n\","
    "\"chat\":{\"id\":-1001367429635,\"x\":[[],{},[1.5e3,true,false,null]]}}}";

static const char  sample_log[] =
    "{0@1 k1:update_id@12 n1:123@16 k1:message@27 {1@29 k2:text@35 "
    "s2:a\xe2\x82\xac\xf0\x9f\x98\x80\n@59 k2:chat@66 {2@68 k3:id@72 "
    "n3:-1001367429635@87 k3:x@91 [3@93 [4@94 ]4@95 {4@97 }4@98 [4@100 "
    "n5:1.5e3@105 b5:true@110 b5:false@116 null5@121 ]4@122 ]3@123 }2@124 "
    "}1@125 }0@126";


static void
test_ends(void)
{
    ngx_str_t  s;

    s = unit_str(unit_pool(), sample);

    log_reset();
    tlog.ends = 1;

    is_int(ngx_http_tgbot_json_parse(&s, log_token, &tlog), NGX_OK);

    s = logged();
    is_str(&s, sample_log);

    /* a number is known to end at the end of the document */

    s = unit_str(unit_pool(), "123");

    log_reset();
    tlog.ends = 1;

    is_int(ngx_http_tgbot_json_parse(&s, log_token, &tlog), NGX_OK);

    s = logged();
    is_str(&s, "n0:123@3");
}


/* no proper prefix of a document is a document */

static void
test_cut_short(void)
{
    size_t  n;

    for (n = 0; n < sizeof(sample) - 1; n++) {
        unit_context("%d bytes", (int) n);
        is_int(parse(sample, n), NGX_DECLINED);
    }
}


static void
test_stop(void)
{
    size_t     i;
    ngx_str_t  s;

    static const ngx_int_t  rcs[] = { NGX_ERROR, NGX_ABORT, NGX_DONE,
                                      NGX_DECLINED, NGX_BUSY };

    s = unit_str(unit_pool(), "[1,2,3,4]");

    for (i = 0; i < unit_n(rcs); i++) {
        unit_context("rc %d", (int) rcs[i]);

        log_reset();
        tlog.stop_at = 3;
        tlog.stop_rc = rcs[i];

        is_int(ngx_http_tgbot_json_parse(&s, log_token, &tlog), rcs[i]);
        is_int(tlog.tokens, 3);
    }
}


static size_t
nest(u_char *p, const char *open, size_t n, const char *inner,
    const char *close)
{
    size_t   i;
    u_char  *start;

    start = p;

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, open, strlen(open));
    }

    p = ngx_cpymem(p, inner, strlen(inner));

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, close, strlen(close));
    }

    return p - start;
}


static void
test_depth(void)
{
    size_t       len, n;
    ngx_uint_t   max;

    static u_char  json[1048576];

    max = NGX_HTTP_TGBOT_JSON_MAX_DEPTH;

    unit_context("arrays, as deep as may be");
    len = nest(json, "[", max, "1", "]");
    is_int(parse(json, len), NGX_OK);
    is_int(tlog.tokens, 2 * max + 1);
    is_int(tlog.deepest, max);

    unit_context("one array deeper");
    len = nest(json, "[", max + 1, "1", "]");
    is_int(parse(json, len), NGX_BUSY);
    is_int(tlog.tokens, 2 * max + 2);
    is_int(tlog.deepest, max);

    unit_context("objects, as deep as may be");
    len = nest(json, "{\"a\":", max, "1", "}");
    is_int(parse(json, len), NGX_OK);
    is_int(tlog.tokens, 3 * max + 1);

    unit_context("one object deeper");
    len = nest(json, "{\"a\":", max + 1, "1", "}");
    is_int(parse(json, len), NGX_BUSY);
    is_int(tlog.tokens, 3 * max + 2);

    unit_context("deep, but not JSON");
    len = nest(json, "[", max + 50, "", "]");
    is_int(parse(json, len - 1), NGX_DECLINED);

    unit_context("tokens behind the deep part");
    n = nest(json + 1, "[", max + 50, "", "]") + 1;
    json[0] = '[';
    len = ngx_cpymem(json + n, ",7,[8]]", 7) - json;
    is_int(parse(json, len), NGX_BUSY);
    is_int(tlog.tokens, 2 * (max + 1) + 4);

    unit_context("a skipped value, as deep as may be");
    n = nest(json + 5, "[", max - 1, "", "]") + 5;
    ngx_memcpy(json, "{\"x\":", 5);
    len = ngx_cpymem(json + n, ",\"a\":1}", 7) - json;
    is_int(parse_skip(json, len), NGX_OK);
    is_int(tlog.tokens, 5);

    unit_context("deeper, and tokens behind it");
    n = nest(json + 5, "[", max, "", "]") + 5;
    len = ngx_cpymem(json + n, ",\"a\":1}", 7) - json;
    is_int(parse_skip(json, len), NGX_BUSY);
    is_int(tlog.tokens, 5);

    unit_context("what is in a value, as deep as may be");
    json[2] = 'y';
    n = nest(json + 5, "[", max - 1, "", "]") + 5;
    len = ngx_cpymem(json + n, ",\"a\":1}", 7) - json;
    is_int(parse_skip(json, len), NGX_OK);
    is_int(tlog.tokens, 7);

    unit_context("deeper");
    n = nest(json + 5, "[", max, "", "]") + 5;
    len = ngx_cpymem(json + n, ",\"a\":1}", 7) - json;
    is_int(parse_skip(json, len), NGX_BUSY);
    is_int(tlog.tokens, 7);

    unit_context("a mebibyte of brackets");
    len = nest(json, "[", sizeof(json) / 2, "", "]");
    is_int(parse(json, len), NGX_BUSY);
    is_int(tlog.deepest, max);

    unit_context("a mebibyte of opening brackets");
    ngx_memset(json, '[', sizeof(json));
    is_int(parse(json, sizeof(json)), NGX_DECLINED);
}


static ngx_int_t
count_token(void *data, ngx_http_tgbot_json_token_t *token)
{
    size_t *sum = data;

    *sum += token->text.len;

    return NGX_OK;
}


static void
test_large(void)
{
    size_t     i, sum;
    ngx_str_t  in;

    static u_char  json[1048576];

    ngx_memset(json, 'x', sizeof(json));
    json[0] = '"';
    json[sizeof(json) - 1] = '"';

    in.data = json;
    in.len = sizeof(json);

    unit_context("a string");
    sum = 0;

    is_int(ngx_http_tgbot_json_parse(&in, count_token, &sum), NGX_OK);
    is_int(sum, sizeof(json) - 2);

    for (i = 1; i < sizeof(json) - 1; i += 2) {
        json[i] = '\\';
        json[i + 1] = 'n';
    }

    unit_context("escapes");
    sum = 0;

    is_int(ngx_http_tgbot_json_parse(&in, count_token, &sum), NGX_OK);
    is_int(sum, (sizeof(json) - 2) / 2);

    ngx_memset(json, '1', sizeof(json));

    unit_context("a number");
    sum = 0;

    is_int(ngx_http_tgbot_json_parse(&in, count_token, &sum), NGX_OK);
    is_int(sum, sizeof(json));
}


/* the N-th allocation fails, for all N: an error, and no leak */

static void
test_no_memory(void)
{
    ngx_int_t   rc;
    ngx_str_t   in;
    ngx_uint_t  n, failed;

    static u_char  json[524288];
    static char    inner[200001];

    ngx_memset(inner, 'x', sizeof(inner) - 1);
    ngx_memcpy(inner, "\"\\n", 3);
    inner[sizeof(inner) - 2] = '"';

    in.len = nest(json, "{\"a\":[", 40000, inner, "]}");
    in.data = json;

    for (n = 1, failed = 0; n < 1000; n++) {
        unit_context("allocation %d", (int) n);

        log_reset();
        unit_fail_at = n;

        rc = ngx_http_tgbot_json_parse(&in, log_token, &tlog);

        is_int(unit_live, 0);

        if (unit_fail_at) {
            unit_fail_at = 0;
            is_int(rc, NGX_BUSY);
            break;
        }

        is_int(rc, NGX_ERROR);
        failed++;
    }

    unit_context("sweep");
    ok(failed > 5);
    ok(n < 1000);
}


static void
test_int64(void)
{
    size_t     i;
    int64_t    v;
    ngx_str_t  s;

    static const struct {
        const char  *text;
        ngx_int_t    rc;
        int64_t      value;
    } rows[] = {
        { "0", NGX_OK, 0 },
        { "-0", NGX_OK, 0 },
        { "7", NGX_OK, 7 },
        { "-1001367429635", NGX_OK, -1001367429635LL },
        { "9223372036854775807", NGX_OK, INT64_MAX },
        { "-9223372036854775808", NGX_OK, INT64_MIN },
        { "9223372036854775808", NGX_DECLINED, 5 },
        { "-9223372036854775809", NGX_DECLINED, 5 },
        { "18446744073709551617", NGX_DECLINED, 5 },
        { "99999999999999999999999999", NGX_DECLINED, 5 },
        { "1e3", NGX_DECLINED, 5 },
        { "1.0", NGX_DECLINED, 5 },
        { "-", NGX_DECLINED, 5 },
        { "", NGX_DECLINED, 5 },
        { "--1", NGX_DECLINED, 5 },
        { "1 ", NGX_DECLINED, 5 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].text);

        s = unit_str(unit_pool(), rows[i].text);
        v = 5;

        is_int(ngx_http_tgbot_json_int64(&s, &v), rows[i].rc);
        is_int(v, rows[i].value);
    }
}


static void
test_write_int64(void)
{
    size_t     i;
    int64_t    n;
    u_char     buf[NGX_INT64_LEN];
    char       expected[32];
    ngx_str_t  s;

    static const int64_t  rows[] = {
        0, 7, 9, 10, 42, 99, 100, 101, 110, 999, 1000, 1001, 5000000000,
        7000000001, 9999999999, 10000000000, 1234567890123456789,
        9223372036854775807
    };

    for (i = 0; i < 2 * unit_n(rows); i++) {
        n = (i & 1) ? -rows[i / 2] : rows[i / 2];

        (void) snprintf(expected, sizeof(expected), "%lld", (long long) n);
        unit_context("%s", expected);

        s.data = buf;
        s.len = ngx_http_tgbot_json_write_int64(buf, n) - buf;

        is_str(&s, expected);
    }

    s.len = ngx_http_tgbot_json_write_int64(buf, -9223372036854775807LL - 1)
            - buf;
    is_str(&s, "-9223372036854775808");
}


static void
test_clean(void)
{
    size_t     i;
    ngx_str_t  s;

    static const struct {
        const char  *text;
        const char  *want;
    } rows[] = {
        { "", "" },
        { "plain text, all of it ~", "plain text, all of it ~" },
        { "a\r\nb\tc\x1b[0m\x7f", "a  b c [0m " },
        { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
          "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },

        /* C1, and the first character after it */
        { "a\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0", "a   \xc2\xa0" },

        /* bounds of each length */
        { "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80"
          "\xf4\x8f\xbf\xbf",
          "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80"
          "\xf4\x8f\xbf\xbf" },
        { "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80" },

        /* overlong, surrogates, beyond U+10FFFF, bytes that never occur */
        { "\xc0\xaf", "??" },
        { "\xc1\xbf", "??" },
        { "\xe0\x9f\xbf", "???" },
        { "\xf0\x8f\xbf\xbf", "????" },
        { "\xed\xa0\x80\xed\xbf\xbf", "??????" },
        { "\xf4\x90\x80\x80", "????" },
        { "\xf5\x80\x80\x80", "????" },
        { "\xfe\xff", "??" },

        /* cut or interrupted */
        { "\x80", "?" },
        { "a\xc3", "a?" },
        { "a\xe2\x82", "a??" },
        { "a\xf0\x9f\x98", "a???" },
        { "\xe2\x82 x", "?? x" },
        { "\xe2(\xa1", "?(?" },
        { "\xf0\x9f\x98(", "???" "(" },
        { "\xf0\x9f(\x80", "??" "(?" },
        { "\xc3\xc3\xa9", "?\xc3\xa9" },
        { "\xe2\x82\xc3\xa9", "??\xc3\xa9" },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("row %d", (int) i);

        s = unit_str(unit_pool(), rows[i].text);
        ngx_http_tgbot_json_clean(&s);
        is_str(&s, rows[i].want);
    }

    unit_context("NUL");
    s = unit_str(unit_pool(), "axb");
    s.data[1] = '\0';
    ngx_http_tgbot_json_clean(&s);
    is_str(&s, "a b");

    unit_context("up to what is no UTF-8");
    s = unit_str(unit_pool(), "caf\xc3\xa9\n\x7f\xf0\x9f\x98\x80");
    is_int(ngx_http_tgbot_json_valid(&s), s.len);
    s = unit_str(unit_pool(), "caf\xc3\xa9\xed\xa0\x80");
    is_int(ngx_http_tgbot_json_valid(&s), 5);
    s = unit_str(unit_pool(), "\xe2\x82");
    is_int(ngx_http_tgbot_json_valid(&s), 0);
}


/* a document in pieces has the tokens and offsets of the whole one */

static void
test_pieces(void)
{
    size_t                  at, n;
    ngx_int_t               rc;
    ngx_str_t               in, piece;
    ngx_http_tgbot_json_t  *json;

    static log_t  whole;
    static char   text[] = "{\"a\":[-100123,2,\"\\u0416x\\\"\"],\"y\":{\"b\":"
                           "[]},\"x\":{\"c\":1},\"d\":true,\"e\":17}";

    in.data = (u_char *) text;
    in.len = sizeof(text) - 1;

    for (n = 1; n < in.len; n++) {

        ngx_memzero(&whole, sizeof(log_t));
        whole.ends = 1;
        whole.skip = 1;

        is_int(ngx_http_tgbot_json_parse(&in, log_token, &whole), NGX_OK);

        ngx_memzero(&tlog, sizeof(log_t));
        tlog.ends = 1;
        tlog.skip = 1;

        json = ngx_http_tgbot_json_open(log_token, &tlog);
        rc = NGX_OK;

        for (at = 0; rc == NGX_OK && at < in.len; at += piece.len) {
            piece = unit_bytes(unit_pool(), in.data + at,
                               ngx_min(n, in.len - at));
            rc = ngx_http_tgbot_json_more(json, &piece);
        }

        is_int(rc, NGX_OK);
        is_int(ngx_http_tgbot_json_complete(json), NGX_OK);

        ngx_http_tgbot_json_close(json);

        unit_mem(__FILE__, __LINE__, "tokens", tlog.text, tlog.len,
                 whole.text, whole.len);
    }

    json = ngx_http_tgbot_json_open(log_token, &tlog);
    is_int(ngx_http_tgbot_json_complete(json), NGX_DECLINED);
    ngx_http_tgbot_json_close(json);

    json = ngx_http_tgbot_json_open(log_token, &tlog);
    piece = unit_bytes(unit_pool(), "[1]", 3);
    is_int(ngx_http_tgbot_json_more(json, &piece), NGX_OK);
    piece = unit_bytes(unit_pool(), "\"]", 2);
    is_int(ngx_http_tgbot_json_more(json, &piece), NGX_OK);
    is_int(ngx_http_tgbot_json_complete(json), NGX_DECLINED);
    ngx_http_tgbot_json_close(json);

    json = ngx_http_tgbot_json_open(log_token, &tlog);
    piece = unit_bytes(unit_pool(), "[1,", 3);
    is_int(ngx_http_tgbot_json_more(json, &piece), NGX_OK);
    is_int(ngx_http_tgbot_json_complete(json), NGX_DECLINED);
    ngx_http_tgbot_json_close(json);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "tokens", test_tokens },
        { "escapes", test_escapes },
        { "what is not JSON", test_not_json },
        { "an empty document", test_empty },
        { "what is skipped", test_skip },
        { "offsets of tokens", test_ends },
        { "documents cut short", test_cut_short },
        { "the handler stops the parser", test_stop },
        { "nesting", test_depth },
        { "large tokens", test_large },
        { "a document in pieces", test_pieces },
        { "no memory", test_no_memory },
        { "integers of 64 bits", test_int64 },
        { "integers of 64 bits are written", test_write_int64 },
        { "cleaning", test_clean },
    };

    return unit_main(cases, unit_n(cases));
}
