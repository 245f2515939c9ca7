
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redact.h"
#include "unit.h"


static ngx_array_t *
tokens(ngx_pool_t *pool)
{
    size_t        i;
    ngx_str_t     token;
    ngx_array_t  *array;

    /* ids and keys that are a prefix or suffix of another one */

    static const char  *text[] = {
        "123:AAsecret_-x", "9123:AAother", "55:AAsecret", "55:AAsecret-more",
        ""
    };

    array = ngx_array_create(pool, 1, sizeof(ngx_http_tgbot_redact_token_t));

    for (i = 0; i < unit_n(text); i++) {
        token = unit_str(pool, text[i]);
        is_int(ngx_http_tgbot_redact_add(array, &token), NGX_OK);
    }

    is_int(array->nelts, unit_n(text) - 1);

    return array;
}


static void
test_texts(void)
{
    size_t        i;
    u_char       *last, buf[256];
    ngx_str_t     text, line;
    ngx_pool_t   *pool;
    ngx_array_t  *array;

    static const struct {
        const char  *text;
        const char  *redacted;
    } rows[] = {
        { "", "" },
        { ":", ":" },
        { "123", "123" },
        { "123:", "123:" },
        { "123:BBsecret_-x", "123:BBsecret_-x" },
        { "123:AAsecret_-y", "123:AAsecret_-y" },
        { "23:AAsecret_-x", "23:AAsecret_-x" },
        { "AAsecret_-x", "AAsecret_-x" },
        { "127.0.0.1:8081", "127.0.0.1:8081" },

        { "123:AAsecret_-x", "<redacted>" },
        { "/bot123:AAsecret_-x/getMe", "/bot<redacted>/getMe" },
        { "a 123:AAsecret_-x b 9123:AAother c",
          "a <redacted> b <redacted> c" },
        { "123:AAsecret_-x123:AAsecret_-x", "<redacted><redacted>" },
        { "0123:AAsecret_-xyz", "0<redacted>yz" },
        { "1:123:AAsecret_-x", "1:<redacted>" },
        { "9123:AAsecret_-x", "9<redacted>" },
        { "55:AAsecret-more 55:AAsecret 55:AAsecret-mo",
          "<redacted> <redacted> <redacted>" },

        /* encoded */

        { "u=bot123%3AAAsecret_-x%2F", "u=bot<redacted>%2F" },
        { "%20123%3aAAsecret_-x", "%20<redacted>" },
        { "123%253AAAsecret_-x", "<redacted>" },
        { "123\\u003aAAsecret_-x", "<redacted>" },
        { "123\\u003AAAsecret_-x", "<redacted>" },
        { "123%3", "123%3" },
        { "123%", "123%" },
        { "123\\u003", "123\\u003" },

        /* cut */

        { "bot123:A", "bot<redacted>" },
        { "bot123%3AA", "bot<redacted>" },
        { "bot123:AAsecret_-", "bot<redacted>" },
        { "bot123:A... (2: No such file)",
          "bot<redacted>... (2: No such file)" },
        { "bot123:AAsecret_-... b", "bot<redacted>... b" },
        { "bot123:AAsec.. b", "bot123:AAsec.. b" },
        { "bot123:... b", "bot123:... b" },

        /* control characters and malformed UTF-8 */

        { "a\r\n\tb\x7f 123:AAsecret_-x\x1b[31m",
          "a   b  <redacted> [31m" },
        { "\xc2\x85\xff\xd0\x9f", " ?\xd0\x9f" },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("\"%s\"", rows[i].text);

        pool = unit_pool();
        array = tokens(pool);
        text = unit_str(pool, rows[i].text);

        is_int(ngx_http_tgbot_redact_holds(array, &text),
               strstr(rows[i].redacted, "<redacted>") != NULL);

        last = ngx_http_tgbot_redact_line(array, &text, buf, sizeof(buf));

        line.data = buf;
        line.len = last - buf;
        is_str(&line, rows[i].redacted);

        is_int(ngx_http_tgbot_redact(array, &text,
                                     NGX_HTTP_TGBOT_REDACT_UNCUT, pool),
               NGX_OK);
        is_str(&text, rows[i].redacted);
    }
}


/* a line may end anywhere: no part of a key is left */

static void
test_ends(void)
{
    size_t        n;
    ngx_str_t     text;
    ngx_pool_t   *pool;
    ngx_array_t  *array;

    static const char  whole[] = "x 123:AAsecret_-x";

    for (n = sizeof("x 123:"); n < sizeof(whole); n++) {
        unit_context("%d bytes", (int) n);

        pool = unit_pool();
        array = tokens(pool);

        text = unit_str(pool, whole);
        text.len = n;

        ok(ngx_http_tgbot_redact_holds(array, &text));
        is_int(ngx_http_tgbot_redact(array, &text,
                                     NGX_HTTP_TGBOT_REDACT_UNCUT, pool),
               NGX_OK);
        is_str(&text, "x <redacted>");
    }
}


/* first redacted, then cut, at a whole character */

static void
test_cut(void)
{
    size_t        n;
    ngx_str_t     text;
    ngx_pool_t   *pool;
    ngx_array_t  *array;

    static const char  redacted[] = "x <redacted>\xe2\x82\xac y";

    for (n = 0; n <= sizeof(redacted); n++) {
        unit_context("%d bytes", (int) n);

        pool = unit_pool();
        array = tokens(pool);
        text = unit_str(pool, "x 123:AAsecret_-x\xe2\x82\xac y");

        is_int(ngx_http_tgbot_redact(array, &text, n, pool), NGX_OK);

        if (n == 13 || n == 14) {
            is_int(text.len, 12);

        } else {
            is_int(text.len, ngx_min(n, sizeof(redacted) - 1));
        }

        ok(ngx_memcmp(text.data, redacted, text.len) == 0);
    }
}


/* a long text also fills the allowed length */

static void
test_long(void)
{
    size_t        i, n;
    u_char       *p;
    ngx_str_t     text, token;
    ngx_pool_t   *pool;
    ngx_array_t  *array;

    static const char  key[] = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw-";

    pool = unit_pool();
    array = ngx_array_create(pool, 1, sizeof(ngx_http_tgbot_redact_token_t));
    token = unit_str(pool, "9007199254740991:"
                           "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw-");
    is_int(ngx_http_tgbot_redact_add(array, &token), NGX_OK);

    for (n = 64; n <= 256; n++) {
        unit_context("%d bytes", (int) n);

        text.len = 1000 * (sizeof("9007199254740991\\u003a") - 1
                           + sizeof(key) - 1);
        text.data = ngx_pnalloc(pool, text.len);

        p = text.data;

        for (i = 0; i < 1000; i++) {
            p = ngx_cpymem(p, "9007199254740991\\u003a",
                           sizeof("9007199254740991\\u003a") - 1);
            p = ngx_cpymem(p, key, sizeof(key) - 1);
        }

        is_int(ngx_http_tgbot_redact(array, &text, n, pool), NGX_OK);
        is_int(text.len, n);

        for (i = 0; i < n; i++) {
            ok(text.data[i] == "<redacted>"[i % 10]);
        }
    }
}


/* no room for the mark: the line ends before it */

static void
test_room(void)
{
    size_t        n;
    u_char       *last, buf[32];
    ngx_str_t     text;
    ngx_pool_t   *pool;
    ngx_array_t  *array;

    static const char  redacted[] = "x <redacted> y <redacted>";

    pool = unit_pool();
    array = tokens(pool);
    text = unit_str(pool, "x 55:AAsecret y 55:AAsecret");

    for (n = 0; n < sizeof(buf); n++) {
        unit_context("%d bytes", (int) n);

        ngx_memset(buf, '#', sizeof(buf));

        last = ngx_http_tgbot_redact_line(array, &text, buf, n);

        is_int(last - buf, ngx_min(n, sizeof(redacted) - 1));
        ok(ngx_memcmp(buf, redacted, last - buf) == 0);
        ok(buf[n] == '#');
    }
}


static void
test_memory(void)
{
    ngx_str_t     text;
    ngx_pool_t   *pool;
    ngx_array_t  *array;

    pool = unit_pool();
    array = tokens(pool);
    text = unit_str(pool, "x 123:AAsecret_-x");

    unit_fail_at = 1;

    is_int(ngx_http_tgbot_redact(array, &text, 5, pool), NGX_ERROR);

    unit_fail_at = 0;

    is_str(&text, "x 123:AAsecret_-x");
}


static unit_case_t  cases[] = {
    { "texts", test_texts },
    { "a token at the end of a line", test_ends },
    { "redacted, then cut", test_cut },
    { "a long text", test_long },
    { "no room", test_room },
    { "no memory", test_memory },
};


int
main(void)
{
    return unit_main(cases, unit_n(cases));
}
