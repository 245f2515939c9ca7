
/*
 * The tables of telegram/ against t/botapi.txt, the list of what the Bot API
 * has: a new version of it is a changed list, and this test tells what the
 * tables lack.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>
#include <string.h>

#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_method_table.h"
#include "ngx_http_tgbot_update_key.h"
#include "ngx_http_tgbot_update_type.h"
#include "unit.h"


#define LIST     "t/botapi.txt"
#define WORDS    16


/* a line of the list; the words after the last one are "" */

typedef struct {
    char    text[256];
    char   *words[WORDS];
} line_t;


/* reads the next line whose first word is "what"; 0: there is none */

static ngx_uint_t
next(FILE *f, const char *what, line_t *line)
{
    char    *p;
    size_t   i;

    while (fgets(line->text, sizeof(line->text), f)) {
        line->text[strcspn(line->text, "\n")] = '\0';

        for (i = 0, p = line->text; i < WORDS; i++) {
            line->words[i] = p ? strsep(&p, " ") : "";
        }

        if (strcmp(line->words[0], what) == 0) {
            unit_context("%s %s", what, line->words[1]);
            return 1;
        }
    }

    return 0;
}


static FILE *
list(void)
{
    FILE  *f;

    f = fopen(LIST, "r");

    unit_context(LIST);
    ok(f != NULL);

    return f;
}


static ngx_uint_t
has(line_t *line, const char *word)
{
    size_t  i;

    for (i = 2; i < WORDS; i++) {
        if (strcmp(line->words[i], word) == 0) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
is(const ngx_str_t *name, const char *word)
{
    return name->len == strlen(word)
           && memcmp(name->data, word, name->len) == 0;
}


static void
test_types(void)
{
    FILE        *f;
    line_t       line;
    ngx_str_t    name;
    ngx_uint_t   i, listed, seen[NGX_HTTP_TGBOT_TYPES];

    f = list();
    if (f == NULL) {
        return;
    }

    ngx_memzero(seen, sizeof(seen));
    listed = 0;

    while (next(f, "update", &line)) {
        name = unit_str(unit_pool(), line.words[1]);

        i = ngx_http_tgbot_update_type_find(&name);
        ok(i != NGX_HTTP_TGBOT_TYPE_UNKNOWN);

        is_int(ngx_http_tgbot_update_types[i].flags
               & NGX_HTTP_TGBOT_TYPE_UNDOCUMENTED, 0);
        is_int(ngx_http_tgbot_update_types[i].flags
               & NGX_HTTP_TGBOT_TYPE_ASKED,
               has(&line, "asked") ? NGX_HTTP_TGBOT_TYPE_ASKED : 0);

        seen[i] = 1;
        listed++;
    }

    fclose(f);

    unit_context(LIST);
    ok(listed > 20);

    for (i = NGX_HTTP_TGBOT_TYPE_UNKNOWN + 1; i < NGX_HTTP_TGBOT_TYPES; i++) {
        unit_context("\"%s\" is not listed",
                     (char *) ngx_http_tgbot_update_types[i].name.data);

        ok(seen[i] || (ngx_http_tgbot_update_types[i].flags
                       & NGX_HTTP_TGBOT_TYPE_UNDOCUMENTED));
    }
}


static void
test_kinds(void)
{
    FILE        *f;
    line_t       line;
    ngx_str_t    name;
    ngx_uint_t   i, listed;

    f = list();
    if (f == NULL) {
        return;
    }

    listed = 0;

    while (next(f, "kind", &line)) {
        listed++;

        if (strcmp(line.words[1], "text") == 0) {
            continue;
        }

        name = unit_str(unit_pool(), line.words[1]);
        i = ngx_http_tgbot_update_key_kind(&name);

        if (ok(i != NGX_HTTP_TGBOT_KEY_NO_KIND)) {
            is_int(ngx_http_tgbot_update_key_kind_row(i)->said,
                   strcmp(line.words[2], "said") == 0);
        }
    }

    fclose(f);

    unit_context(LIST);
    ok(listed > 60);
}


/* each bit of a method that gets an address stands for a parameter it has */

static void
check_parameters(line_t *line, ngx_uint_t flags)
{
    size_t  i;

    static const struct {
        ngx_uint_t   bit;
        const char  *name;
    } rows[] = {
        { NGX_HTTP_TGBOT_TO_BUSINESS, "business_connection_id" },
        { NGX_HTTP_TGBOT_TO_INLINE, "inline_message_id" },
        { NGX_HTTP_TGBOT_TO_USER, "user_id" },
        { NGX_HTTP_TGBOT_TO_RECEIVER, "receiver_user_id" },
        { NGX_HTTP_TGBOT_TO_RECEIVER, "ephemeral_message_id" },
        { NGX_HTTP_TGBOT_TO_EPHEMERAL, "ephemeral_message_parameters" },
        { NGX_HTTP_TGBOT_TO_THREAD, "message_thread_id" },
        { NGX_HTTP_TGBOT_TO_DIRECT, "direct_messages_topic_id" },
    };

    if (flags & NGX_HTTP_TGBOT_METHOD_FORBIDDEN) {
        return;
    }

    is_int((flags & (NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_SEND)) != 0,
           flags != 0);

    if (flags == 0) {
        return;
    }

    ok(has(line, "chat_id"));

    if (flags & NGX_HTTP_TGBOT_TO_MESSAGE) {
        ok(has(line, "message_id"));
    }

    for (i = 0; i < unit_n(rows); i++) {
        is_int((flags & rows[i].bit) != 0, has(line, rows[i].name));
    }
}


static void
test_methods(void)
{
    FILE        *f;
    line_t       line;
    ngx_str_t    name;
    ngx_uint_t   i, seen[NGX_HTTP_TGBOT_METHODS + 1];

    f = list();
    if (f == NULL) {
        return;
    }

    ngx_memzero(seen, sizeof(seen));

    while (next(f, "method", &line)) {
        name = unit_str(unit_pool(), line.words[1]);
        i = ngx_http_tgbot_method_find(&name);

        if (strncmp(line.words[1], "get", 3) == 0) {
            ok(!ngx_http_tgbot_method_allowed(&name));
        }

        if (!ok(i != NGX_HTTP_TGBOT_METHODS)) {
            continue;
        }

        ok(is(&ngx_http_tgbot_methods[i].name, line.words[1]));
        check_parameters(&line, ngx_http_tgbot_methods[i].flags);

        seen[i] = 1;
    }

    fclose(f);

    /* it is no method, and its row is for another thing */

    name = unit_str(unit_pool(), "file");
    i = ngx_http_tgbot_method_find(&name);

    ok(!ngx_http_tgbot_method_allowed(&name));
    seen[i] = 1;

    for (i = 0; i < NGX_HTTP_TGBOT_METHODS; i++) {
        unit_context("\"%s\" is not listed",
                     (char *) ngx_http_tgbot_methods[i].name.data);
        ok(seen[i]);
    }
}


/* a method answers the query whose id is a parameter of it */

static void
test_queries(void)
{
    FILE        *f;
    line_t       line;
    ngx_str_t    name;
    ngx_uint_t   i, q;

    static const char  *ids[] = {
        [NGX_HTTP_TGBOT_QUERY_NONE] = "",
        [NGX_HTTP_TGBOT_QUERY_CALLBACK] = "callback_query_id",
        [NGX_HTTP_TGBOT_QUERY_INLINE] = "inline_query_id",
        [NGX_HTTP_TGBOT_QUERY_SHIPPING] = "shipping_query_id",
        [NGX_HTTP_TGBOT_QUERY_PRE_CHECKOUT] = "pre_checkout_query_id",
        [NGX_HTTP_TGBOT_QUERY_GUEST] = "guest_query_id",
        [NGX_HTTP_TGBOT_QUERY_WIDGET] = "widget_query_id",
        [NGX_HTTP_TGBOT_QUERY_JOIN] = "chat_join_request_query_id",
    };

    f = list();
    if (f == NULL) {
        return;
    }

    while (next(f, "method", &line)) {
        name = unit_str(unit_pool(), line.words[1]);
        i = ngx_http_tgbot_method_find(&name);

        for (q = 1; q < unit_n(ids); q++) {
            is_int(ngx_http_tgbot_methods[i].query == q, has(&line, ids[q]));
        }
    }

    fclose(f);
}


/* the table is searched by halves */

static void
test_order(void)
{
    ngx_uint_t  i;
    ngx_str_t   name;

    for (i = 0; i < NGX_HTTP_TGBOT_METHODS; i++) {
        name = ngx_http_tgbot_methods[i].name;

        unit_context("%s", (char *) name.data);
        is_int(ngx_http_tgbot_method_find(&name), i);
        ok(ngx_http_tgbot_method_valid(&name));

        name.len--;
        ok(ngx_http_tgbot_method_find(&name) != i);
    }

    unit_context("letters of any case");
    name = unit_str(unit_pool(), "SENDMESSAGE");
    ok(is(&ngx_http_tgbot_methods[ngx_http_tgbot_method_find(&name)].name,
          "sendMessage"));

    name = unit_str(unit_pool(), "sendMassage");
    is_int(ngx_http_tgbot_method_find(&name), NGX_HTTP_TGBOT_METHODS);

    ngx_str_null(&name);
    is_int(ngx_http_tgbot_method_find(&name), NGX_HTTP_TGBOT_METHODS);
}


static unit_case_t  cases[] = {
    { "types of Updates", test_types },
    { "kinds of messages", test_kinds },
    { "methods and their parameters", test_methods },
    { "methods that answer queries", test_queries },
    { "methods: order", test_order },
};


int
main(void)
{
    return unit_main(cases, unit_n(cases));
}
