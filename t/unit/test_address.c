
/*
 * t/addresses.txt: which call is made of which answer to which Update.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>
#include <string.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_update.h"
#include "unit.h"


#define TABLE    "t/addresses.txt"
#define ANSWERS  32
#define LINE     2048


static struct {
    char        name[16];
    char        body[LINE];
} answers[ANSWERS];

static size_t  nanswers;


/* of the block that is read */

static struct {
    char        title[LINE];
    char        update[LINE];
    char        want[ANSWERS][LINE];
    ngx_uint_t  named[ANSWERS];
} block;


static ngx_uint_t  types[NGX_HTTP_TGBOT_TYPES];


static size_t
find(const char *name)
{
    size_t  i;

    for (i = 0; i < nanswers; i++) {
        if (strcmp(answers[i].name, name) == 0) {
            break;
        }
    }

    return i;
}


/* the bytes of the only call, or "-" */

static ngx_str_t
body_of(ngx_http_tgbot_answer_t *answer, ngx_int_t rc)
{
    ngx_str_t                 s;
    ngx_http_tgbot_method_t  *call;

    ngx_str_set(&s, "-");

    if (rc == NGX_OK && answer->calls.nelts) {
        is_int(answer->calls.nelts, 1);

        call = answer->calls.elts;
        s = call->body;
    }

    return s;
}


/* the place of chat_id in a call, which a migration replaces */

static void
check_place(ngx_http_tgbot_answer_t *answer, ngx_str_t *body)
{
    char                     *p;
    ngx_str_t                 place, want;
    ngx_http_tgbot_method_t  *call;

    if (answer->calls.nelts == 0) {
        return;
    }

    call = answer->calls.elts;

    place.data = call->body.data + call->chat_pos;
    place.len = call->chat_len;

    ngx_str_null(&want);

    p = memmem(body->data, body->len, "\"chat_id\":", 10);

    if (p) {
        want.data = (u_char *) p + 10;
        want.len = strspn(p + 10, "-0123456789");
    }

    is_same(&place, &want);
}


static void
check_answer(ngx_http_tgbot_update_t *update, size_t i)
{
    ngx_int_t                 rc;
    ngx_str_t                 type, body, got;
    const char               *want;
    ngx_pool_t               *pool;
    ngx_http_tgbot_answer_t   answer;

    unit_context("%s: %s", block.title, answers[i].name);

    pool = unit_pool();
    body = unit_str(pool, answers[i].body);

    if (i == 0) {
        rc = ngx_http_tgbot_answer_text(&answer, &body, update, pool);
        ok(rc == NGX_OK || rc == NGX_DECLINED);

        want = block.named[i] ? block.want[i] : "-";

    } else {
        ngx_str_set(&type, "application/json");

        rc = ngx_http_tgbot_answer_parse(&answer, &type, &body, update, pool);
        is_int(rc, NGX_OK);

        want = block.named[i] ? block.want[i] : answers[i].body;

        is_int(answer.problem != NULL, strcmp(want, "-") == 0);

        if (answer.problem) {
            is_int(answer.reason, NGX_HTTP_TGBOT_ANSWER_NO_ADDRESS);
        }
    }

    got = body_of(&answer, rc);
    is_str(&got, want);

    if (rc == NGX_OK) {
        check_place(&answer, &got);
    }
}


/* also of an Update that was written and read again, as that of a queue */

static void
check_block(void)
{
    size_t                    i;
    ngx_str_t                 body, data;
    ngx_pool_t               *pool;
    ngx_http_tgbot_update_t   update, read;

    unit_context("%s", block.title);

    pool = unit_pool();
    body = unit_str(pool, block.update);

    if (!is_int(ngx_http_tgbot_update_parse(&update, &body, pool), NGX_OK)) {
        return;
    }

    ok(update.type_index != NGX_HTTP_TGBOT_TYPE_UNKNOWN);
    ok(strncmp(block.title, (char *) update.type.data, update.type.len) == 0);
    types[update.type_index] = 1;

    is_int(ngx_http_tgbot_update_write(&update, &body, &data, pool), NGX_OK);
    is_int(ngx_http_tgbot_update_read(&read, &body, &data), NGX_OK);

    for (i = 0; i < nanswers; i++) {
        check_answer(&update, i);
        check_answer(&read, i);
    }
}


static void
read_line(FILE *f, char *line)
{
    size_t   i;
    char    *rest;

    rest = strchr(line, ' ');

    if (!ok(rest != NULL)) {
        return;
    }

    *rest++ = '\0';

    if (strcmp(line, "answer") == 0) {
        line = rest;
        rest = strchr(line, ' ');

        if (ok(rest != NULL && nanswers < ANSWERS)) {
            *rest++ = '\0';
            strcpy(answers[nanswers].name, line);
            strcpy(answers[nanswers++].body, rest);
        }

        return;
    }

    if (strcmp(line, "update") == 0) {

        if (block.title[0]) {
            check_block();
        }

        ngx_memzero(&block, sizeof(block));
        strcpy(block.title, rest);

        ok(fgets(block.update, LINE, f) != NULL);
        block.update[strcspn(block.update, "\n")] = '\0';
        return;
    }

    i = find(line);

    unit_context("%s: %s", block.title, line);

    if (ok(i < nanswers) && is_int(block.named[i], 0)) {
        block.named[i] = 1;
        strcpy(block.want[i], rest);
    }
}


static void
test_table(void)
{
    char         line[LINE];
    FILE        *f;
    ngx_uint_t   i;

    f = fopen(TABLE, "r");

    unit_context(TABLE);
    if (!ok(f != NULL)) {
        return;
    }

    nanswers = 1;
    strcpy(answers[0].name, "text");
    strcpy(answers[0].body, "hi");

    while (fgets(line, LINE, f)) {
        line[strcspn(line, "\n")] = '\0';

        if (line[0] && line[0] != '#') {
            read_line(f, line);
        }
    }

    check_block();
    fclose(f);

    ok(nanswers > 15);

    for (i = NGX_HTTP_TGBOT_TYPE_UNKNOWN + 1; i < NGX_HTTP_TGBOT_TYPES; i++) {
        unit_context("\"%s\" has no block",
                     (char *) ngx_http_tgbot_update_types[i].name.data);

        ok(types[i] || (ngx_http_tgbot_update_types[i].flags
                        & NGX_HTTP_TGBOT_TYPE_UNDOCUMENTED));
    }
}


/* nulls in any order, one of them of a key that gets nothing */

static void
test_nulls(void)
{
    size_t                    i;
    ngx_str_t                 type, body, json, got;
    ngx_pool_t               *pool;
    ngx_http_tgbot_answer_t   answer;
    ngx_http_tgbot_update_t   update;

    static const struct {
        const char  *body;
        const char  *want;
    } rows[] = {
        { "{\"message_thread_id\" :\tnull ,\"user_id\":null,"
          "\"chat_id\": null,\"method\":\"sendMessage\"}",
          "{\"business_connection_id\":\"b\\\"c\",\"message_thread_id\" :\t9 ,"
          "\"user_id\":null,\"chat_id\": -5,\"method\":\"sendMessage\"}" },
        { "{\"method\":\"sendMessage\",\"chat_id\":null,"
          "\"business_connection_id\":null,\"message_thread_id\":4}",
          "{\"method\":\"sendMessage\",\"chat_id\":-5,"
          "\"business_connection_id\":\"b\\\"c\",\"message_thread_id\":4}" },
        { "{\"method\":\"sendMessage\",\"business_connection_id\":null,"
          "\"chat_id\":\"@a\"}",
          "{\"method\":\"sendMessage\",\"business_connection_id\":null,"
          "\"chat_id\":\"@a\"}" },
        { "{\"method\":\"editMessageText\",\"chat_id\":null,"
          "\"inline_message_id\":\"i\"}",
          "{\"method\":\"editMessageText\",\"chat_id\":null,"
          "\"inline_message_id\":\"i\"}" },
        { "{\"method\":\"sendMessage\",\"text\":{\"chat_id\":null}}",
          "{\"chat_id\":-5,\"business_connection_id\":\"b\\\"c\","
          "\"message_thread_id\":9,"
          "\"method\":\"sendMessage\",\"text\":{\"chat_id\":null}}" },
    };

    pool = unit_pool();
    body = unit_str(pool, "{\"update_id\":1,\"message\":{\"chat\":{\"id\":-5},"
                          "\"business_connection_id\":\"b\\\"c\","
                          "\"message_thread_id\":9,"
                          "\"is_topic_message\":true}}");

    is_int(ngx_http_tgbot_update_parse(&update, &body, pool), NGX_OK);

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].body);

        ngx_str_set(&type, "application/json");
        json = unit_str(pool, rows[i].body);

        is_int(ngx_http_tgbot_answer_parse(&answer, &type, &json, &update,
                                           pool), NGX_OK);
        got = body_of(&answer, NGX_OK);
        is_str(&got, rows[i].want);
    }
}


static unit_case_t  cases[] = {
    { "the table of addresses", test_table },
    { "null is no value", test_nulls },
};


int
main(void)
{
    return unit_main(cases, unit_n(cases));
}
