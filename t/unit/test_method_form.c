
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_method_form.h"
#include "unit.h"


#define test_part(name, value)                                               \
    "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"       \
    value "\r\n"


static ngx_int_t
test_mem(const char *type, const void *data, size_t len, const char *name,
    ngx_str_t *value)
{
    ngx_int_t    rc;
    ngx_str_t    content_type, body;
    ngx_pool_t  *pool;

    pool = unit_pool();
    content_type = unit_str(pool, type);

    body.len = len;
    body.data = ngx_pnalloc(pool, len);
    ngx_memcpy(body.data, data, len);

    ngx_str_null(value);

    rc = ngx_http_tgbot_method_form_field(&content_type, &body, name, value);

    if (rc == NGX_OK) {
        ok(value->data >= body.data);
        ok(value->data + value->len <= body.data + body.len);
    }

    return rc;
}


static ngx_int_t
test_field(const char *type, const char *body, const char *name,
    ngx_str_t *value)
{
    return test_mem(type, body, strlen(body), name, value);
}


static ngx_int_t
test_multipart(const char *body, const char *name, ngx_str_t *value)
{
    return test_field("multipart/form-data; boundary=b", body, name, value);
}


static void
test_type(void)
{
    size_t     i;
    ngx_str_t  s;

    static const struct {
        const char  *text;
        ngx_uint_t   want;
    } rows[] = {
        { "application/json", 1 },
        { "Application/JSON", 1 },
        { "application/json;charset=utf-8", 1 },
        { "application/json; charset=\"utf-8\"", 1 },
        { "application/json ; charset=utf-8", 1 },
        { "application/json\t", 1 },
        { "application/jsonp", 0 },
        { "application/json-patch", 0 },
        { "application/jso", 0 },
        { "application/json,text/html", 0 },
        { " application/json", 0 },
        { "text/application/json", 0 },
        { "", 0 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].text);

        s = unit_str(unit_pool(), rows[i].text);
        is_int(ngx_http_tgbot_method_form_type(&s, "application/json"),
               rows[i].want);
    }

    unit_context("NUL");
    s.data = (u_char *) "application\0json";
    s.len = sizeof("application\0json") - 1;
    is_int(ngx_http_tgbot_method_form_type(&s, "application/json"), 0);
}


static void
test_plain(void)
{
    ngx_str_t  v;

    static const char  body[] = test_part("method", "sendMessage")
                                test_part("chat_id", "-100123")
                                test_part("text", "line\r\n\r\n--not\r\n--bc")
                                test_part("empty", "")
                                "--b--\r\n";

    is_int(test_multipart(body, "method", &v), NGX_OK);
    is_str(&v, "sendMessage");

    is_int(test_multipart(body, "chat_id", &v), NGX_OK);
    is_str(&v, "-100123");

    is_int(test_multipart(body, "text", &v), NGX_OK);
    is_str(&v, "line\r\n\r\n--not\r\n--bc");

    is_int(test_multipart(body, "empty", &v), NGX_OK);
    is_str(&v, "");

    is_int(test_multipart(body, "Method", &v), NGX_DECLINED);
    is_int(test_multipart(body, "metho", &v), NGX_DECLINED);
    is_int(test_multipart(body, "methods", &v), NGX_DECLINED);
    is_int(test_multipart(body, "not", &v), NGX_DECLINED);
}


/* a body as aiohttp writes it for aiogram */

static void
test_header_order(void)
{
    ngx_str_t  v;

    static const char  body[] =
        "--2f8a\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Disposition: form-data; name=\"method\"\r\n"
        "\r\n"
        "sendMessage\r\n"
        "--2f8a\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "content-disposition:form-data;NAME=text\r\n"
        "Content-Length: 6\r\n"
        "\r\n"
        "\xd0\x9f\xd1\x80 !\r\n"
        "--2f8a--\r\n";

    is_int(test_field("multipart/form-data; boundary=\"2f8a\"", body,
                      "method", &v), NGX_OK);
    is_str(&v, "sendMessage");

    is_int(test_field("Multipart/Form-Data; charset=x; Boundary = 2f8a ; x=y",
                      body, "text", &v), NGX_OK);
    is_str(&v, "\xd0\x9f\xd1\x80 !");
}


static void
test_boundaries(void)
{
    size_t     i;
    ngx_str_t  v;

    static const struct {
        const char  *type;
        const char  *boundary;
        ngx_int_t    rc;
    } rows[] = {
        { "boundary=b", "b", NGX_OK },
        { "boundary=\"a; b=c\"", "a; b=c", NGX_OK },
        { "x=\"boundary=no\"; boundary=yes", "yes", NGX_OK },
        { "x=\"\\\"; boundary=no\"; boundary=yes", "yes", NGX_OK },
        { "x; boundary=yes", "yes", NGX_OK },
        { "boundary=-", "-", NGX_OK },
        { "boundary=--", "--", NGX_OK },
        { "boundary=0123456789012345678901234567890123456789"
          "012345678901234567890123456789",
          "0123456789012345678901234567890123456789"
          "012345678901234567890123456789", NGX_OK },
        { "boundary=0123456789012345678901234567890123456789"
          "0123456789012345678901234567890",
          "0123456789012345678901234567890123456789"
          "0123456789012345678901234567890", NGX_ABORT },
        { "boundary=", "", NGX_ABORT },
        { "boundary=\"\"", "", NGX_ABORT },
        { "boundary", "", NGX_ABORT },
        { "", "", NGX_ABORT },
        { "boundary=\"", "", NGX_ABORT },
        { "=b", "b", NGX_ABORT },
        { "xboundary=b", "b", NGX_ABORT },
        { "boundary=c", "b", NGX_ABORT },
        { "boundary=B", "b", NGX_ABORT },
        { "boundary=bb", "b", NGX_ABORT },
    };

    char  type[256], body[512];

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].type);

        snprintf(type, sizeof(type), "multipart/form-data; %s", rows[i].type);
        snprintf(body, sizeof(body),
                 "--%s\r\nContent-Disposition: form-data; name=method\r\n\r\n"
                 "sendMessage\r\n--%s--\r\n",
                 rows[i].boundary, rows[i].boundary);

        is_int(test_field(type, body, "method", &v), rows[i].rc);

        if (rows[i].rc == NGX_OK) {
            is_str(&v, "sendMessage");
        }
    }

    unit_context("no parameter");
    is_int(test_field("multipart/form-data", "--b--", "method", &v),
           NGX_ABORT);
}


static void
test_prefix_boundary(void)
{
    ngx_str_t  v;

    /* "b" is a prefix of the inner form's boundary "bc" */

    is_int(test_multipart("--b\r\n"
                          "Content-Disposition: form-data; name=x\r\n\r\n"
                          "--bc\r\n"
                          "Content-Disposition: form-data; name=method\r\n\r\n"
                          "evil\r\n--bc--\r\n"
                          test_part("method", "good") "--b--", "method", &v),
           NGX_OK);
    is_str(&v, "good");

    is_int(test_multipart("--bc\r\n"
                          "Content-Disposition: form-data; name=method\r\n\r\n"
                          "evil\r\n--bc--\r\n", "method", &v), NGX_ABORT);

    is_int(test_multipart(test_part("x", "1\r\n--b-\r\n--b-x\r\n--b \t-\r\n")
                          test_part("method", "good") "--b--", "method", &v),
           NGX_OK);
    is_str(&v, "good");

    is_int(test_multipart(test_part("x", "1\r\n--b-\r\n--b-x\r\n--b \t-")
                          "--b--", "x", &v), NGX_OK);
    is_str(&v, "1\r\n--b-\r\n--b-x\r\n--b \t-");

    /* not at the beginning of a line */

    is_int(test_multipart(test_part("x", "1\rx--b\r\n\r\nevil") "--b--",
                          "x", &v), NGX_OK);
    is_str(&v, "1\rx--b\r\n\r\nevil");

    is_int(test_multipart(test_part("x", "--b\r\nContent-Disposition: "
                                    "form-data; name=method\r\n\r\nevil")
                          "--b--", "y", &v), NGX_DECLINED);
    is_int(test_multipart(test_part("x", "1 --b\r\nContent-Disposition: "
                                    "form-data; name=method\r\n\r\nevil")
                          "--b--", "method", &v), NGX_DECLINED);
    is_int(test_multipart(test_part("x", "1\n--b\nContent-Disposition: "
                                    "form-data; name=method\n\nevil\n")
                          "--b--", "method", &v), NGX_DECLINED);
}


static void
test_cut(void)
{
    size_t     n;
    ngx_int_t  rc;
    ngx_str_t  v;

    static const char  body[] = "preamble\r\n"
                                test_part("x", "1")
                                test_part("method", "sendMessage")
                                "--b--";

    static const char  lf[] = "--b\nContent-Disposition: form-data; "
                              "name=method\n\nsend\n--b--\n";

    /* in a truncated body a field without an end is not found */

    for (n = 0; n < sizeof(body); n++) {
        unit_context("first %d bytes", (int) n);

        rc = test_mem("multipart/form-data; boundary=b", body, n, "method",
                      &v);

        if (n == 0) {
            is_int(rc, NGX_DECLINED);

        } else if (n < sizeof(body) - 1) {
            is_int(rc, NGX_ABORT);

        } else {
            is_int(rc, NGX_OK);
            is_str(&v, "sendMessage");
        }
    }

    unit_context("no final boundary behind the field");
    is_int(test_multipart(test_part("method", "a") test_part("x", "1"),
                          "method", &v), NGX_OK);
    is_int(test_multipart(test_part("method", "a") test_part("x", "1"),
                          "chat_id", &v), NGX_ABORT);

    unit_context("bare LF");
    is_int(test_multipart(lf, "method", &v), NGX_ABORT);

    unit_context("not a form");
    is_int(test_multipart("{\"method\":\"sendMessage\"}", "method", &v),
           NGX_ABORT);
    is_int(test_multipart("method=sendMessage", "method", &v), NGX_ABORT);
    is_int(test_multipart("-", "method", &v), NGX_ABORT);
    is_int(test_multipart("\r", "method", &v), NGX_ABORT);
    is_int(test_multipart("--", "method", &v), NGX_ABORT);
    is_int(test_multipart("--b", "method", &v), NGX_ABORT);
    is_int(test_multipart("--b-", "method", &v), NGX_ABORT);
    is_int(test_multipart("--b--", "method", &v), NGX_DECLINED);

    unit_context("behind the final boundary");
    is_int(test_multipart(test_part("x", "1") "--b--\r\n"
                          test_part("method", "evil") "--b--", "method", &v),
           NGX_DECLINED);
}


static void
test_parts(void)
{
    size_t     i;
    ngx_int_t  rc;
    ngx_str_t  v;

    static const struct {
        const char  *headers;
        ngx_int_t    rc;
    } rows[] = {
        { "Content-Disposition: form-data; name=\"method\"\r\n", NGX_OK },
        { "Content-Disposition: form-data; name=method\r\n", NGX_OK },
        { "Content-Disposition: form-data; name = \"method\" \r\n", NGX_OK },
        { "CONTENT-DISPOSITION:form-data;name=\"method\"\r\n", NGX_OK },
        { "A: 1\r\nContent-Disposition: x; y; name=\"method\"\r\nB: 2\r\n",
          NGX_OK },
        { "Content-Disposition: form-data; x=\"; name=no\"; name=method\r\n",
          NGX_OK },
        { "Content-Disposition: form-data; name=\"method\"\r\n"
          "Content-Disposition: form-data; name=\"other\"\r\n", NGX_OK },
        { "Content-Disposition: form-data; name=\"method\"; "
          "filename=\"a.txt\"\r\n", NGX_DECLINED },
        { "Content-Disposition: form-data; filename=a; name=\"method\"\r\n",
          NGX_DECLINED },
        { "Content-Disposition: form-data; name=\"method\"; filename=\"\"\r\n",
          NGX_DECLINED },
        { "Content-Disposition: form-data; name=\"method\"; "
          "filename*=utf-8''a\r\n", NGX_DECLINED },
        { "Content-Disposition: form-data; x=\"; name=method\"\r\n",
          NGX_DECLINED },
        { "Content-Disposition: form-data; x=\"\\\"; name=method\"\r\n",
          NGX_DECLINED },
        { "Content-Disposition: form-data; name=\"other\"\r\n"
          "Content-Disposition: form-data; name=\"method\"\r\n",
          NGX_DECLINED },
        { "Content-Disposition: \"form-data; name=method; x\"\r\n",
          NGX_DECLINED },
        { "Content-Disposition: form-data; x\"; name=method; y\"\r\n",
          NGX_DECLINED },
        { "Content-Disposition: form-data\r\n", NGX_DECLINED },
        { "Content-Disposition: form-data; name\r\n", NGX_DECLINED },
        { "Content-Disposition: form-data; name=\r\n", NGX_DECLINED },
        { "Content-Disposition: form-data; name=\"\r\n", NGX_DECLINED },
        { "Content-Disposition: form-data; name=\"\\\r\n", NGX_DECLINED },
        { "Content-Disposition:\r\n", NGX_DECLINED },
        { "Content-Disposition\r\n", NGX_DECLINED },
        { "X-Content-Disposition: form-data; name=\"method\"\r\n",
          NGX_DECLINED },
        { "Content-Type: text/plain; name=\"method\"\r\n", NGX_DECLINED },
        { "", NGX_DECLINED },
    };

    char  body[512];

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].headers);

        snprintf(body, sizeof(body), "--b\r\n%s\r\nsend\r\n--b--",
                 rows[i].headers);

        rc = test_multipart(body, "method", &v);
        is_int(rc, rows[i].rc);

        if (rows[i].rc == NGX_OK) {
            is_str(&v, "send");
        }
    }

    unit_context("part without an empty line");
    is_int(test_multipart("--b\r\nContent-Disposition: form-data; name=method"
                          "\r\n--b--", "method", &v), NGX_DECLINED);

    unit_context("value that looks like headers");
    is_int(test_multipart("--b\r\n\r\n"
                          "Content-Disposition: form-data; name=method\r\n\r\n"
                          "evil\r\n--b--", "method", &v), NGX_DECLINED);

    unit_context("empty part, padding");
    is_int(test_multipart("--b\r\n--b \t\r\n\r\n" "--b\r\n"
                          "Content-Disposition: form-data; name=method\r\n\r\n"
                          "a\r\n--b--", "method", &v), NGX_OK);
    is_str(&v, "a");

    unit_context("the first one counts, a file does not");
    is_int(test_multipart("--b\r\nContent-Disposition: form-data; name=method;"
                          " filename=x\r\n\r\nevil\r\n"
                          test_part("method", "one") test_part("method", "two")
                          "--b--", "method", &v), NGX_OK);
    is_str(&v, "one");
}


static void
test_nul(void)
{
    ngx_str_t  v;

    static const char  name[] =
        "--b\r\nContent-Disposition: form-data; name=\"method\0\"\r\n\r\n"
        "a\r\n--b--";

    static const char  value[] =
        "--b\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\n"
        "a\0b\r\n--b--";

    is_int(test_mem("multipart/form-data; boundary=b", name, sizeof(name) - 1,
                    "method", &v), NGX_DECLINED);

    is_int(test_mem("multipart/form-data; boundary=b", value,
                    sizeof(value) - 1, "method", &v), NGX_OK);
    is_lit(&v, "a\0b");
}


static void
test_urlencoded(void)
{
    size_t     i;
    ngx_int_t  rc;
    ngx_str_t  v;

    static const struct {
        const char  *body;
        const char  *value;
    } rows[] = {
        { "method=sendMessage", "sendMessage" },
        { "method=sendMessage&text=a%20b", "sendMessage" },
        { "text=method=no&method=yes&chat_id=1", "yes" },
        { "&&method=a&", "a" },
        { "method=", "" },
        { "method=&method=b", "" },
        { "method=a=b", "a=b" },
        { "method=a&method=b", "a" },
        { "method=a%0d%0ab", "a%0d%0ab" },
        { "method", NULL },
        { "method&x=1", NULL },
        { "xmethod=a", NULL },
        { "methodx=a", NULL },
        { "Method=a", NULL },
        { "m=method", NULL },
        { "=", NULL },
        { "&", NULL },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].body);

        rc = test_field("application/x-www-form-urlencoded; charset=utf-8",
                        rows[i].body, "method", &v);

        is_int(rc, rows[i].value ? NGX_OK : NGX_DECLINED);

        if (rows[i].value) {
            is_str(&v, rows[i].value);
        }
    }
}


static void
test_no_form(void)
{
    ngx_str_t  v, type, body;

    is_int(test_field("application/json", "method=a", "method", &v),
           NGX_ABORT);
    is_int(test_field("multipart/mixed; boundary=b",
                      test_part("method", "a") "--b--", "method", &v),
           NGX_ABORT);
    is_int(test_field("", "method=a", "method", &v), NGX_ABORT);

    ngx_str_null(&body);

    ngx_str_set(&type, "multipart/form-data; boundary=b");
    is_int(ngx_http_tgbot_method_form_field(&type, &body, "method", &v),
           NGX_DECLINED);

    ngx_str_null(&type);
    is_int(ngx_http_tgbot_method_form_field(&type, &body, "method", &v),
           NGX_DECLINED);
    is_int(ngx_http_tgbot_method_form_type(&type, "application/json"), 0);
}


/* time must not grow with the square of the body's length */

static void
test_large(void)
{
    size_t       i, n;
    ngx_str_t    type, body, v;
    ngx_pool_t  *pool;

    pool = unit_pool();
    n = 1 << 20;

    ngx_str_set(&type, "multipart/form-data; boundary=bbbbbbbbbbbbbbbb");

    body.len = n;
    body.data = ngx_pnalloc(pool, n);

    unit_context("CR only");
    ngx_memset(body.data, CR, n);
    is_int(ngx_http_tgbot_method_form_field(&type, &body, "method", &v),
           NGX_ABORT);

    unit_context("dashes only");
    ngx_memset(body.data, '-', n);
    is_int(ngx_http_tgbot_method_form_field(&type, &body, "method", &v),
           NGX_ABORT);

    unit_context("delimiters only");
    ngx_str_set(&type, "multipart/form-data; boundary=b");

    for (i = 0; i + 5 <= n; i += 5) {
        ngx_memcpy(body.data + i, "--b\r\n", 5);
    }

    is_int(ngx_http_tgbot_method_form_field(&type, &body, "method", &v),
           NGX_ABORT);

    unit_context("quotes only");
    type.data = ngx_pnalloc(pool, n);
    type.len = n;
    ngx_memset(type.data, '"', n);
    ngx_memcpy(type.data, "multipart/form-data;", 20);
    is_int(ngx_http_tgbot_method_form_field(&type, &body, "method", &v),
           NGX_ABORT);

    unit_context("semicolons only");
    ngx_memset(type.data + 20, ';', n - 20);
    is_int(ngx_http_tgbot_method_form_field(&type, &body, "method", &v),
           NGX_ABORT);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "Content-Type", test_type },
        { "fields of multipart", test_plain },
        { "headers of a part in any order", test_header_order },
        { "boundaries", test_boundaries },
        { "a boundary that begins another", test_prefix_boundary },
        { "a body cut short", test_cut },
        { "parts", test_parts },
        { "NUL in a name and in a value", test_nul },
        { "urlencoded", test_urlencoded },
        { "other types, no body", test_no_form },
        { "large and repetitive", test_large },
    };

    return unit_main(cases, unit_n(cases));
}
