
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_print.h"

#include "unit.h"


#define TEST_STRING(s)  { sizeof(s) - 1, (u_char *) s }


typedef struct {
    ngx_str_t   method;
    ngx_str_t   query;
    ngx_str_t   type;
    ngx_str_t   body;
} test_call_t;


static void test_print(test_call_t *call, size_t piece, u_char *result);
static ngx_uint_t test_same(test_call_t *a, test_call_t *b);


/* the body is added in pieces, each an allocation of its own */

static void
test_print(test_call_t *call, size_t piece, u_char *result)
{
    size_t                   n;
    ngx_str_t                s;
    ngx_http_tgbot_print_t   print;

    ngx_http_tgbot_print_init(&print, &call->method, &call->query,
                              &call->type);

    for (n = 0; n < call->body.len; n += piece) {
        s = unit_bytes(unit_pool(), call->body.data + n,
                       ngx_min(piece, call->body.len - n));

        ngx_http_tgbot_print_add(&print, s.data, s.len);
    }

    ngx_http_tgbot_print_end(&print, result);
}


/* whether two calls have one fingerprint, which no cut of the body changes */

static ngx_uint_t
test_same(test_call_t *a, test_call_t *b)
{
    size_t  piece;
    u_char  one[NGX_HTTP_TGBOT_PRINT_SIZE], two[NGX_HTTP_TGBOT_PRINT_SIZE],
            cut[NGX_HTTP_TGBOT_PRINT_SIZE];

    test_print(a, 1000, one);
    test_print(b, 1000, two);

    for (piece = 1; piece < 12; piece++) {
        test_print(b, piece, cut);
        ok(ngx_memcmp(two, cut, sizeof(cut)) == 0);
    }

    return ngx_memcmp(one, two, sizeof(one)) == 0;
}


static void
test_parts(void)
{
    ngx_uint_t   i, k;

    /* each differs from each */

    static test_call_t  calls[] = {
        { TEST_STRING("sendMessage"), TEST_STRING(""),
          TEST_STRING("application/json"), TEST_STRING("{\"chat_id\":1}") },

        { TEST_STRING("sendmessag"), TEST_STRING(""),
          TEST_STRING("application/json"), TEST_STRING("{\"chat_id\":1}") },

        { TEST_STRING("sendMessage"), TEST_STRING(""),
          TEST_STRING("application/json"), TEST_STRING("{\"chat_id\":2}") },

        { TEST_STRING("sendMessage"), TEST_STRING(""),
          TEST_STRING("text/plain"), TEST_STRING("{\"chat_id\":1}") },

        { TEST_STRING("sendMessage"), TEST_STRING("chat_id=1"),
          TEST_STRING("application/json"), TEST_STRING("{\"chat_id\":1}") },

        { TEST_STRING("sendMessage"), TEST_STRING("chat_id=1"),
          TEST_STRING(""), TEST_STRING("") },

        { TEST_STRING("sendMessage"), TEST_STRING(""),
          TEST_STRING("chat_id=1"), TEST_STRING("") },

        { TEST_STRING("sendMessage"), TEST_STRING(""),
          TEST_STRING(""), TEST_STRING("chat_id=1") },

        { TEST_STRING("sendMessagechat_id=1"), TEST_STRING(""),
          TEST_STRING(""), TEST_STRING("") },
    };

    for (i = 0; i < unit_n(calls); i++) {
        for (k = 0; k < unit_n(calls); k++) {
            unit_context("%d and %d", (int) i, (int) k);
            is_int(test_same(&calls[i], &calls[k]), i == k);
        }
    }
}


static void
test_boundary(void)
{
    test_call_t  other;

#define FORM "multipart/form-data; boundary="

    static test_call_t  call = {
        TEST_STRING("sendPhoto"), TEST_STRING(""), TEST_STRING(FORM "--aa"),
        TEST_STRING("----aa\r\nphoto\r\n----ab---a----aa--\r\n")
    };

    static test_call_t  same[] = {
        { TEST_STRING("sendPhoto"), TEST_STRING(""), TEST_STRING(FORM "xyz"),
          TEST_STRING("--xyz\r\nphoto\r\n----ab---a--xyz--\r\n") },

        { TEST_STRING("sendPhoto"), TEST_STRING(""),
          TEST_STRING("Multipart/Form-Data;charset=x; Boundary=\"-----\""),
          TEST_STRING("-------\r\nphoto\r\n----ab---a---------\r\n") },
    };

    ok(test_same(&call, &call));
    ok(test_same(&call, &same[0]));

    /* the type counts up to its parameters, in its own letters */

    ok(!test_same(&call, &same[1]));
    other = same[1];
    ngx_str_set(&other.type, "multipart/form-data;x=; boundary=\"-----\"");
    ok(test_same(&call, &other));

    /* what looks like a boundary is none */

    other = same[0];
    ngx_str_set(&other.body, "--xyz\r\nphoto\r\n----ab---a--xy--\r\n");
    ok(!test_same(&call, &other));
    ngx_str_set(&other.body, "--xyz\r\nphoto\r\n----ab---a--xyz--\r\n--xy");
    ok(!test_same(&call, &other));

    /* only in such a form, and one that has a boundary */

    other = same[0];
    ngx_str_set(&other.type, "text/plain; boundary=xyz");
    ok(!test_same(&call, &other));
    ngx_str_set(&other.type, "multipart/form-data; boundary=");
    ok(!test_same(&call, &other));
    ngx_str_set(&other.type, "multipart/form-data");
    ok(!test_same(&call, &other));
    ngx_str_set(&other.type, FORM "0123456789012345678901234567890123456789"
                                  "0123456789012345678901234567890");
    ok(!test_same(&call, &other));
}


static unit_case_t  test_cases[] = {
    { "all of a call counts", test_parts },
    { "but the boundary of a form", test_boundary },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
