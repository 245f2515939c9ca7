
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_address.h"
#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_method_form.h"


typedef struct {
    ngx_http_tgbot_answer_t  *answer;
    ngx_http_tgbot_update_t  *update;
    ngx_pool_t               *pool;
    ngx_uint_t                objects;
} ngx_http_tgbot_answer_ctx_t;


/* a method that says a text; its address follows the opening brace */

typedef struct {
    ngx_str_t                 name;
    ngx_str_t                 begin;    /* of the rest, up to the text */
    ngx_str_t                 end;
    size_t                    max;      /* units of UTF-16 */
} ngx_http_tgbot_answer_say_t;


static ngx_int_t ngx_http_tgbot_answer_json(ngx_http_tgbot_answer_t *answer,
    ngx_str_t *body, ngx_http_tgbot_update_t *update, ngx_pool_t *pool);
static ngx_int_t ngx_http_tgbot_answer_object(void *data,
    ngx_http_tgbot_method_object_t *object);
static ngx_int_t ngx_http_tgbot_answer_add(ngx_http_tgbot_answer_t *answer,
    ngx_http_tgbot_method_object_t *object, ngx_http_tgbot_update_t *update,
    ngx_http_tgbot_address_t *address, ngx_pool_t *pool);
static ngx_int_t ngx_http_tgbot_answer_form(ngx_http_tgbot_answer_t *answer,
    ngx_str_t *content_type, ngx_str_t *body, ngx_pool_t *pool);
static ngx_uint_t ngx_http_tgbot_answer_printable(ngx_str_t *header);
static ngx_uint_t ngx_http_tgbot_answer_looks_like(u_char *p, u_char *last,
    const char *method);
static ngx_http_tgbot_answer_say_t *ngx_http_tgbot_answer_say(
    ngx_http_tgbot_update_t *update);
static ngx_int_t ngx_http_tgbot_answer_init(ngx_http_tgbot_answer_t *answer,
    ngx_pool_t *pool);
static ngx_http_tgbot_method_t *ngx_http_tgbot_answer_push(
    ngx_http_tgbot_answer_t *answer);
static ngx_int_t ngx_http_tgbot_answer_copy(ngx_str_t *dst, ngx_str_t *src,
    ngx_pool_t *pool);
static ngx_int_t ngx_http_tgbot_answer_check(ngx_http_tgbot_answer_t *answer,
    ngx_str_t *name, ngx_pool_t *pool);
static ngx_int_t ngx_http_tgbot_answer_problem(
    ngx_http_tgbot_answer_t *answer, ngx_http_tgbot_answer_reason_e reason,
    const char *problem, ngx_str_t *name, ngx_pool_t *pool);
static void ngx_http_tgbot_answer_ignore(ngx_http_tgbot_answer_t *answer,
    ngx_http_tgbot_answer_reason_e reason, const char *problem);


ngx_uint_t
ngx_http_tgbot_answer_as(ngx_str_t *content_type)
{
    size_t   len;
    u_char  *p;

    static const size_t  application = sizeof("application/") - 1;
    static const size_t  json = sizeof("+json") - 1;

    if (ngx_http_tgbot_method_form_type(content_type, "application/json")
        || ngx_http_tgbot_method_form_type(content_type, "text/json"))
    {
        return NGX_HTTP_TGBOT_ANSWER_AS_JSON;
    }

    if (ngx_http_tgbot_method_form_type(content_type, "multipart/form-data")
        || ngx_http_tgbot_method_form_type(content_type,
                                           "application/x-www-form-urlencoded"))
    {
        return NGX_HTTP_TGBOT_ANSWER_AS_FORM;
    }

    p = content_type->data;

    for (len = 0; len < content_type->len; len++) {
        if (p[len] == ';' || p[len] == ' ' || p[len] == '\t') {
            break;
        }
    }

    if (len > application + json
        && ngx_strncasecmp(p, (u_char *) "application/", application) == 0
        && ngx_strncasecmp(p + len - json, (u_char *) "+json", json) == 0)
    {
        return NGX_HTTP_TGBOT_ANSWER_AS_JSON;
    }

    return NGX_HTTP_TGBOT_ANSWER_AS_NOTHING;
}


ngx_int_t
ngx_http_tgbot_answer_parse(ngx_http_tgbot_answer_t *answer,
    ngx_str_t *content_type, ngx_str_t *body, ngx_http_tgbot_update_t *update,
    ngx_pool_t *pool)
{
    u_char      *p, *last;
    ngx_int_t    rc;

    if (ngx_http_tgbot_answer_init(answer, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    if (body->len == 0) {
        return NGX_OK;
    }

    p = body->data;
    last = body->data + body->len;

    while (*p == ' ' || *p == '\t' || *p == CR || *p == LF) {

        if (++p == last) {
            return NGX_OK;
        }
    }

    switch (ngx_http_tgbot_answer_as(content_type)) {

    case NGX_HTTP_TGBOT_ANSWER_AS_JSON:
        rc = ngx_http_tgbot_answer_json(answer, body, update, pool);

        if (rc == NGX_OK
            && answer->problem == NULL
            && *p == '"'
            && ngx_http_tgbot_answer_looks_like(p + 1, last,
                                                "\\\"method\\\""))
        {
            ngx_http_tgbot_answer_ignore(answer, NGX_HTTP_TGBOT_ANSWER_TYPE,
                                         "is a JSON string that holds a call, "
                                         "the program has to answer with the "
                                         "object itself");
        }

        return rc;

    case NGX_HTTP_TGBOT_ANSWER_AS_FORM:
        return ngx_http_tgbot_answer_form(answer, content_type, body, pool);
    }

    if (ngx_http_tgbot_answer_looks_like(p, last, "\"method\"")) {
        ngx_http_tgbot_answer_ignore(answer, NGX_HTTP_TGBOT_ANSWER_TYPE,
                                     "looks like a method but its Content-Type "
                                     "is not application/json");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_answer_json(ngx_http_tgbot_answer_t *answer, ngx_str_t *body,
    ngx_http_tgbot_update_t *update, ngx_pool_t *pool)
{
    ngx_int_t                    rc;
    ngx_uint_t                   others;
    ngx_http_tgbot_answer_ctx_t  ctx;

    ctx.answer = answer;
    ctx.update = update;
    ctx.pool = pool;
    ctx.objects = 0;

    rc = ngx_http_tgbot_method_object_parse(body, ngx_http_tgbot_answer_object,
                                            &ctx, &others);
    if (rc == NGX_OK) {

        if (ctx.objects && others && answer->problem == NULL) {
            ngx_http_tgbot_answer_ignore(answer,
                                         NGX_HTTP_TGBOT_ANSWER_BAD_METHOD,
                                         "has an element that is not a call");
        }

        return NGX_OK;
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* the calls before the error are dropped, too */

    answer->calls.nelts = 0;
    ngx_str_null(&answer->culprit);

    if (rc == NGX_DONE) {
        ngx_http_tgbot_answer_ignore(answer, NGX_HTTP_TGBOT_ANSWER_TOO_MANY,
                                     "makes too many calls");
        return NGX_OK;
    }

    ngx_http_tgbot_answer_ignore(answer, NGX_HTTP_TGBOT_ANSWER_NOT_JSON,
                                 (rc == NGX_BUSY) ? "is nested too deeply"
                                                  : "is not JSON");

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_answer_object(void *data, ngx_http_tgbot_method_object_t *object)
{
    ngx_http_tgbot_answer_ctx_t *ctx = data;

    ngx_int_t                 rc;
    ngx_http_tgbot_address_t  address;

    if (ctx->objects++ == NGX_HTTP_TGBOT_ANSWER_MAX_CALLS) {
        return NGX_DONE;
    }

    if (object->twice) {
        rc = ngx_http_tgbot_answer_problem(ctx->answer,
                                    NGX_HTTP_TGBOT_ANSWER_BAD_METHOD,
                                    "has \"method\" or \"chat_id\" twice",
                                    &object->name, ctx->pool);
    } else {
        rc = ngx_http_tgbot_answer_check(ctx->answer, &object->name,
                                         ctx->pool);
    }

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : rc;
    }

    if (ngx_http_tgbot_address_find(&object->name, object->keys, ctx->update,
                                    &address)
        != NGX_OK)
    {
        rc = ngx_http_tgbot_answer_problem(ctx->answer,
                               NGX_HTTP_TGBOT_ANSWER_NO_ADDRESS,
                               "has no address (only answerGuestQuery reaches "
                               "the chat of a guest_message) for",
                               &object->name, ctx->pool);

        return (rc == NGX_DECLINED) ? NGX_OK : rc;
    }

    return ngx_http_tgbot_answer_add(ctx->answer, object, ctx->update,
                                     &address, ctx->pool);
}


/* adds the call of an object, with the address that it lacks */

static ngx_int_t
ngx_http_tgbot_answer_add(ngx_http_tgbot_answer_t *answer,
    ngx_http_tgbot_method_object_t *object, ngx_http_tgbot_update_t *update,
    ngx_http_tgbot_address_t *address, ngx_pool_t *pool)
{
    ngx_http_tgbot_method_t  *call;

    call = ngx_http_tgbot_answer_push(answer);

    if (call == NULL
        || ngx_http_tgbot_answer_copy(&call->name, &object->name, pool)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&call->content_type, "application/json");

    call->body = object->body;
    call->chat_pos = object->chat_pos;
    call->chat_len = object->chat_len;

    if (address->keys == 0) {
        return NGX_OK;
    }

    return ngx_http_tgbot_address_complete(call, object, update, address,
                                           pool);
}


static ngx_int_t
ngx_http_tgbot_answer_form(ngx_http_tgbot_answer_t *answer,
    ngx_str_t *content_type, ngx_str_t *body, ngx_pool_t *pool)
{
    ngx_int_t                 rc;
    ngx_str_t                 name, chat;
    ngx_http_tgbot_method_t  *call;

    rc = ngx_http_tgbot_method_form_field(content_type, body, "method", &name);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        ngx_http_tgbot_answer_ignore(answer, NGX_HTTP_TGBOT_ANSWER_NOT_JSON,
                                     "is not a form");
        return NGX_OK;
    }

    if (!ngx_http_tgbot_answer_printable(content_type)) {
        ngx_http_tgbot_answer_ignore(answer, NGX_HTTP_TGBOT_ANSWER_TYPE,
                                     "has an invalid Content-Type");
        return NGX_OK;
    }

    rc = ngx_http_tgbot_answer_check(answer, &name, pool);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : rc;
    }

    call = ngx_http_tgbot_answer_push(answer);

    if (call == NULL
        || ngx_http_tgbot_answer_copy(&call->name, &name, pool) != NGX_OK
        || ngx_http_tgbot_answer_copy(&call->content_type, content_type, pool)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    call->body = *body;

    if (ngx_http_tgbot_method_form_field(content_type, body, "chat_id", &chat)
        == NGX_OK)
    {
        call->chat_pos = chat.data - body->data;
        call->chat_len = chat.len;
    }

    return NGX_OK;
}


/* whether the header has no control characters, so that it can be sent */

static ngx_uint_t
ngx_http_tgbot_answer_printable(ngx_str_t *header)
{
    u_char  *p, *last;

    last = header->data + header->len;

    for (p = header->data; p < last; p++) {

        if ((*p < ' ' && *p != '\t') || *p == 0x7f) {
            return 0;
        }
    }

    return 1;
}


/* whether an object or array begins at p, and the key "method" is in it */

static ngx_uint_t
ngx_http_tgbot_answer_looks_like(u_char *p, u_char *last, const char *method)
{
    size_t  len;

    len = ngx_strlen(method);

    return (size_t) (last - p) > len
           && (*p == '{' || *p == '[')
           && ngx_strlcasestrn(p, last, (u_char *) method, len - 1) != NULL;
}


ngx_int_t
ngx_http_tgbot_answer_text(ngx_http_tgbot_answer_t *answer, ngx_str_t *text,
    ngx_http_tgbot_update_t *update, ngx_pool_t *pool)
{
    u_char                       *p;
    size_t                        len;
    ngx_str_t                     cut;
    ngx_http_tgbot_method_t      *call;
    ngx_http_tgbot_address_t      address;
    ngx_http_tgbot_answer_say_t  *say;

    if (ngx_http_tgbot_answer_init(answer, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!update->text_answers) {
        return NGX_DECLINED;
    }

    say = ngx_http_tgbot_answer_say(update);

    if (ngx_http_tgbot_address_find(&say->name, 0, update, &address) != NGX_OK
        || address.keys == 0)
    {
        return NGX_DECLINED;
    }

    cut = *text;
    cut.len = ngx_http_tgbot_answer_fits(text, say->max);

    answer->cut = (cut.len < text->len);
    len = ngx_http_tgbot_json_escaped(&cut);

    p = ngx_pnalloc(pool, sizeof("{") - 1
                          + ngx_http_tgbot_address_size(&address, update)
                          + say->begin.len + len + say->end.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    call = ngx_http_tgbot_answer_push(answer);
    if (call == NULL) {
        return NGX_ERROR;
    }

    call->name = say->name;
    ngx_str_set(&call->content_type, "application/json");
    call->body.data = p;

    *p++ = '{';
    p = ngx_http_tgbot_address_write(p, call, update, &address, address.keys);
    p = ngx_cpymem(p, say->begin.data, say->begin.len);
    p = ngx_http_tgbot_json_escape(p, &cut, len);
    p = ngx_cpymem(p, say->end.data, say->end.len);

    call->body.len = p - call->body.data;

    return NGX_OK;
}


/*
 * An article is what answerGuestQuery takes; its text alone is posted, its
 * title is not shown.
 */

static ngx_http_tgbot_answer_say_t *
ngx_http_tgbot_answer_say(ngx_http_tgbot_update_t *update)
{
    static ngx_http_tgbot_answer_say_t  send = {
        ngx_string("sendMessage"),
        ngx_string("\"method\":\"sendMessage\",\"text\":"),
        ngx_string("}"),
        NGX_HTTP_TGBOT_ANSWER_MAX_TEXT
    };

    static ngx_http_tgbot_answer_say_t  callback = {
        ngx_string("answerCallbackQuery"),
        ngx_string("\"method\":\"answerCallbackQuery\",\"text\":"),
        ngx_string("}"),
        NGX_HTTP_TGBOT_ANSWER_MAX_ALERT
    };

    static ngx_http_tgbot_answer_say_t  guest = {
        ngx_string("answerGuestQuery"),
        ngx_string("\"method\":\"answerGuestQuery\",\"result\":{"
                   "\"type\":\"article\",\"id\":\"1\",\"title\":\"Reply\","
                   "\"input_message_content\":{\"message_text\":"),
        ngx_string("}}}"),
        NGX_HTTP_TGBOT_ANSWER_MAX_TEXT
    };

    switch (ngx_http_tgbot_update_types[update->type_index].query) {

    case NGX_HTTP_TGBOT_QUERY_CALLBACK:
        return &callback;

    case NGX_HTTP_TGBOT_QUERY_GUEST:
        return &guest;

    default:
        return &send;
    }
}


/* a character of four bytes has two units of UTF-16 */

size_t
ngx_http_tgbot_answer_fits(ngx_str_t *text, size_t units)
{
    size_t  i, n;

    if (text->len <= units) {
        return text->len;
    }

    n = 0;

    for (i = 0; i < text->len; i++) {

        if ((text->data[i] & 0xc0) == 0x80) {
            continue;
        }

        n += (text->data[i] >= 0xf0) ? 2 : 1;

        if (n > units) {
            return i;
        }
    }

    return text->len;
}


static ngx_int_t
ngx_http_tgbot_answer_init(ngx_http_tgbot_answer_t *answer, ngx_pool_t *pool)
{
    answer->problem = NULL;
    answer->cut = 0;
    ngx_str_null(&answer->culprit);

    return ngx_array_init(&answer->calls, pool, 1,
                          sizeof(ngx_http_tgbot_method_t));
}


/* adds a call of nothing; NULL: no memory */

static ngx_http_tgbot_method_t *
ngx_http_tgbot_answer_push(ngx_http_tgbot_answer_t *answer)
{
    ngx_http_tgbot_method_t  *call;

    call = ngx_array_push(&answer->calls);

    if (call) {
        ngx_memzero(call, sizeof(ngx_http_tgbot_method_t));
    }

    return call;
}


static ngx_int_t
ngx_http_tgbot_answer_copy(ngx_str_t *dst, ngx_str_t *src, ngx_pool_t *pool)
{
    dst->len = src->len;
    dst->data = ngx_pstrdup(pool, src);

    return dst->data ? NGX_OK : NGX_ERROR;
}


/* NGX_DECLINED: the method makes no call, answer->problem says why */

static ngx_int_t
ngx_http_tgbot_answer_check(ngx_http_tgbot_answer_t *answer, ngx_str_t *name,
    ngx_pool_t *pool)
{
    if (!ngx_http_tgbot_method_valid(name)) {
        return ngx_http_tgbot_answer_problem(answer,
                                         NGX_HTTP_TGBOT_ANSWER_BAD_METHOD,
                                         "has no proper method name",
                                         name, pool);
    }

    if (!ngx_http_tgbot_method_allowed(name)) {
        return ngx_http_tgbot_answer_problem(answer,
                                         NGX_HTTP_TGBOT_ANSWER_REFUSED_METHOD,
                                         "calls a method that is not allowed",
                                         name, pool);
    }

    return NGX_OK;
}


/* the first problem is kept; NGX_DECLINED, or NGX_ERROR for lack of memory */

static ngx_int_t
ngx_http_tgbot_answer_problem(ngx_http_tgbot_answer_t *answer,
    ngx_http_tgbot_answer_reason_e reason, const char *problem,
    ngx_str_t *name, ngx_pool_t *pool)
{
    if (answer->problem) {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_answer_ignore(answer, reason, problem);

    if (name->len == 0) {
        return NGX_DECLINED;
    }

    if (ngx_http_tgbot_answer_copy(&answer->culprit, name, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_json_clean(&answer->culprit);

    return NGX_DECLINED;
}


static void
ngx_http_tgbot_answer_ignore(ngx_http_tgbot_answer_t *answer,
    ngx_http_tgbot_answer_reason_e reason, const char *problem)
{
    answer->problem = problem;
    answer->reason = reason;
}
