
/*
 * The first byte selects the Update that is answered, the rest of the first
 * line is the Content-Type, the rest is the body.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_cacheable.h"
#include "ngx_http_tgbot_json.h"
#include "unit.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static ngx_http_tgbot_update_t  updates[] = {
    { .type_index = NGX_HTTP_TGBOT_TYPE_MESSAGE, .chat_id = -1001367429635LL,
      .has_chat_id = 1, .thread_id = 5, .has_thread_id = 1,
      .business_connection_id = ngx_string("a\"\\b"), .text_answers = 1 },
    { .type_index = NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY,
      .chat_id = 77, .has_chat_id = 1, .query_id = ngx_string("43\"\\") },
    { .type_index = NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY },
    { .type_index = NGX_HTTP_TGBOT_TYPE_INLINE_QUERY,
      .query_id = ngx_string("99") },
    { .type_index = NGX_HTTP_TGBOT_TYPE_PRE_CHECKOUT_QUERY,
      .query_id = ngx_string("98") },
    { .type_index = NGX_HTTP_TGBOT_TYPE_SHIPPING_QUERY,
      .query_id = ngx_string("97") },
    { .type_index = NGX_HTTP_TGBOT_TYPE_POLL },
    { .type_index = NGX_HTTP_TGBOT_TYPE_MESSAGE, .chat_id = -100,
      .has_chat_id = 1, .direct_id = 5, .has_direct_id = 1,
      .text_answers = 1 },
    { .type_index = NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY, .chat_id = 77,
      .has_chat_id = 1, .from_id = 7, .has_from_id = 1, .ephemeral_id = 4,
      .has_ephemeral_id = 1, .query_id = ngx_string("\x7f\"\\"),
      .text_answers = 1 },
    { .type_index = NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY, .chat_id = 77,
      .has_chat_id = 1, .message_id = 4, .has_message_id = 1,
      .business_connection_id = ngx_string("a\"\\b") },
    { .type_index = NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY,
      .inline_message_id = ngx_string("a\"\\b") },
    { .type_index = NGX_HTTP_TGBOT_TYPE_GUEST_MESSAGE, .chat_id = 77,
      .has_chat_id = 1, .query_id = ngx_string("43\"\\"),
      .text_answers = 1 },
    { .type_index = NGX_HTTP_TGBOT_TYPE_CHAT_JOIN_REQUEST, .chat_id = 77,
      .has_chat_id = 1, .user_id = 5, .has_user_id = 1, .user_chat_id = 6,
      .has_user_chat_id = 1, .query_id = ngx_string("43"),
      .text_answers = 1 },
};


/* a body of JSON is one object, and its outermost "method" is the name */

typedef struct {
    ngx_uint_t   objects;
    ngx_uint_t   others;
    ngx_uint_t   method;         /* the next value is that of "method" */
    ngx_uint_t   methods;
    ngx_str_t   *name;
} object_t;


static ngx_int_t
object_token(void *data, ngx_http_tgbot_json_token_t *token)
{
    object_t *o = data;

    if (token->depth == 0) {
        if (token->type == NGX_HTTP_TGBOT_JSON_MAP_START) {
            o->objects++;

        } else if (token->type != NGX_HTTP_TGBOT_JSON_MAP_END) {
            o->others++;
        }

        return NGX_OK;
    }

    if (token->depth != 1) {
        return NGX_OK;
    }

    if (o->method) {
        o->method = 0;
        o->methods++;

        if (token->type != NGX_HTTP_TGBOT_JSON_STRING
            || token->text.len != o->name->len
            || ngx_memcmp(token->text.data, o->name->data, o->name->len) != 0)
        {
            ngx_abort();
        }
    }

    o->method = (token->type == NGX_HTTP_TGBOT_JSON_KEY
                 && token->text.len == 6
                 && ngx_memcmp(token->text.data, "method", 6) == 0);

    return NGX_OK;
}


static void
check_object(ngx_str_t *body, ngx_str_t *name)
{
    object_t  o;

    ngx_memzero(&o, sizeof(object_t));
    o.name = name;

    if (ngx_http_tgbot_json_parse(body, object_token, &o) != NGX_OK
        || o.objects != 1 || o.others || o.methods > 1)
    {
        ngx_abort();
    }
}


static void
check_string(ngx_str_t *s)
{
    size_t           i;
    volatile u_char  c;

    for (i = 0; i < s->len; i++) {
        c = s->data[i];
        (void) c;
    }
}


static ngx_uint_t
is_json(ngx_http_tgbot_method_t *call)
{
    return call->content_type.len >= 16
           && ngx_strncasecmp(call->content_type.data,
                              (u_char *) "application/json", 16)
              == 0;
}


static void
check_call(ngx_http_tgbot_method_t *call, ngx_pool_t *pool)
{
    ngx_int_t                rc;
    ngx_http_tgbot_method_t  moved;

    if (!ngx_http_tgbot_method_valid(&call->name)
        || !ngx_http_tgbot_method_allowed(&call->name))
    {
        ngx_abort();
    }

    check_string(&call->name);
    check_string(&call->content_type);
    check_string(&call->body);

    if (call->chat_len
        && (call->chat_pos > call->body.len
            || call->chat_len > call->body.len - call->chat_pos))
    {
        ngx_abort();
    }

    if (is_json(call)) {
        check_object(&call->body, &call->name);
    }

    moved = *call;

    rc = ngx_http_tgbot_method_migrate(&moved, -1009999999999LL, pool);

    if (rc != (call->chat_len ? NGX_OK : NGX_DECLINED)) {
        ngx_abort();
    }

    if (rc == NGX_OK) {
        check_string(&moved.body);

        if (is_json(&moved)) {
            check_object(&moved.body, &moved.name);
        }
    }
}


static void
check_answer(ngx_http_tgbot_answer_t *answer, ngx_pool_t *pool)
{
    size_t                    i;
    ngx_http_tgbot_method_t  *calls;

    if (answer->calls.nelts > NGX_HTTP_TGBOT_ANSWER_MAX_CALLS) {
        ngx_abort();
    }

    calls = answer->calls.elts;

    for (i = 0; i < answer->calls.nelts; i++) {
        check_call(&calls[i], pool);
    }

    for (i = 0; i < answer->culprit.len; i++) {
        if (answer->culprit.data[i] < 0x20) {
            ngx_abort();
        }
    }
}


/* a kept answer makes the same calls for another update, to its chat */

static void
check_kept(ngx_http_tgbot_answer_t *answer, ngx_str_t *type, ngx_str_t *body,
    ngx_http_tgbot_update_t *update, ngx_pool_t *pool)
{
    size_t                    i;
    ngx_int_t                 rc;
    ngx_str_t                 kept;
    ngx_http_tgbot_answer_t   again;
    ngx_http_tgbot_method_t  *was, *is;
    ngx_http_tgbot_update_t   other;

    static const char  chat[] = "123456789";

    rc = ngx_http_tgbot_cacheable(type, body, update, &kept, pool);

    if (rc == NGX_DECLINED) {
        return;
    }

    other = *update;
    other.chat_id = 123456789;
    other.user_chat_id = 123456789;

    if (rc != NGX_OK
        || kept.len > body->len
        || ngx_http_tgbot_answer_parse(&again, type, &kept, &other, pool)
           != NGX_OK
        || again.problem
        || again.calls.nelts == 0
        || again.calls.nelts != answer->calls.nelts)
    {
        ngx_abort();
    }

    check_answer(&again, pool);

    was = answer->calls.elts;
    is = again.calls.elts;

    for (i = 0; i < again.calls.nelts; i++) {

        if (is[i].name.len != was[i].name.len
            || ngx_memcmp(is[i].name.data, was[i].name.data, is[i].name.len)
               != 0
            || (is[i].chat_len != 0) != (was[i].chat_len != 0))
        {
            ngx_abort();
        }

        if (is[i].chat_len
            && (is[i].chat_len != sizeof(chat) - 1
                || ngx_memcmp(is[i].body.data + is[i].chat_pos, chat,
                              sizeof(chat) - 1)
                   != 0))
        {
            ngx_abort();
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t                 rc;
    ngx_str_t                 type, body;
    ngx_pool_t               *pool;
    const uint8_t            *p;
    ngx_http_tgbot_answer_t   answer;
    ngx_http_tgbot_update_t  *update;

    if (size == 0) {
        return 0;
    }

    update = &updates[data[0] % unit_n(updates)];
    data++;
    size--;

    p = size ? memchr(data, '\n', size) : NULL;

    if (p == NULL) {
        return 0;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);

    type.len = p - data;
    type.data = ngx_pnalloc(pool, type.len);
    ngx_memcpy(type.data, data, type.len);

    p++;

    body.len = data + size - p;
    body.data = ngx_pnalloc(pool, body.len);
    ngx_memcpy(body.data, p, body.len);

    if (ngx_http_tgbot_answer_parse(&answer, &type, &body, update, pool)
        != NGX_OK)
    {
        ngx_abort();
    }

    check_answer(&answer, pool);
    check_kept(&answer, &type, &body, update, pool);

    rc = ngx_http_tgbot_answer_text(&answer, &body, update, pool);

    if (rc == NGX_OK) {
        if (answer.calls.nelts != 1) {
            ngx_abort();
        }

        check_answer(&answer, pool);

    } else if (rc != NGX_DECLINED) {
        ngx_abort();
    }

    ngx_destroy_pool(pool);

    return 0;
}
