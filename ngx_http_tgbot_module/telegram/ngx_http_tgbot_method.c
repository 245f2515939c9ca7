
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_method.h"


/* keys of a Bot API answer whose values are read */

typedef enum {
    NGX_HTTP_TGBOT_METHOD_KEY_NONE = 0,
    NGX_HTTP_TGBOT_METHOD_KEY_DESCRIPTION,
    NGX_HTTP_TGBOT_METHOD_KEY_PARAMETERS,
    NGX_HTTP_TGBOT_METHOD_KEY_RETRY_AFTER,
    NGX_HTTP_TGBOT_METHOD_KEY_MIGRATE
} ngx_http_tgbot_method_key_e;


typedef struct {
    ngx_uint_t    depth;
    ngx_str_t     name;
    ngx_uint_t    key;
} ngx_http_tgbot_method_key_t;


typedef struct {
    ngx_pool_t   *pool;
    ngx_uint_t    key;              /* key of the next value */
    ngx_uint_t    seen;             /* bits of keys: the first one counts */

    int64_t       retry_after;
    int64_t       migrate_to_chat_id;
    ngx_str_t     description;

    unsigned      parameters:1;     /* inside "parameters" */
} ngx_http_tgbot_method_body_t;


/* one more than a valid name: so a longer one is seen and can be logged */
#define NGX_HTTP_TGBOT_OBJECT_NAME_LEN  (NGX_HTTP_TGBOT_METHOD_LEN + 1)


typedef struct {
    ngx_str_t                  *body;
    ngx_http_tgbot_method_object_pt  handler;
    void                       *data;

    ngx_uint_t                  level;     /* depth of the objects */
    ngx_uint_t                  others;

    /* state of the current object */

    size_t                      start;
    size_t                      key_end;
    ngx_uint_t                  key;       /* key of the next value */
    ngx_http_tgbot_method_object_t  object;
    u_char                      name[NGX_HTTP_TGBOT_OBJECT_NAME_LEN];
} ngx_http_tgbot_method_object_ctx_t;


static ngx_int_t ngx_http_tgbot_method_body(ngx_http_tgbot_method_body_t *ctx,
    ngx_str_t *body, ngx_pool_t *pool);
static ngx_int_t ngx_http_tgbot_method_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static ngx_uint_t ngx_http_tgbot_method_key(ngx_http_tgbot_method_body_t *ctx,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_method_value(ngx_http_tgbot_method_body_t *ctx,
    ngx_uint_t key, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_method_description(ngx_str_t *dst,
    ngx_str_t *src, ngx_pool_t *pool);
static ngx_uint_t ngx_http_tgbot_method_seconds(int64_t n);
static u_char *ngx_http_tgbot_method_append(u_char *p, ngx_str_t *dst,
    ngx_str_t *src);
static ngx_int_t ngx_http_tgbot_method_object_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_method_object_start(
    ngx_http_tgbot_method_object_ctx_t *ctx, size_t start);
static ngx_int_t ngx_http_tgbot_method_object_end(
    ngx_http_tgbot_method_object_ctx_t *ctx, size_t end);
static void ngx_http_tgbot_method_object_key(
    ngx_http_tgbot_method_object_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_method_object_value(
    ngx_http_tgbot_method_object_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_method_object_chat(
    ngx_http_tgbot_method_object_ctx_t *ctx, size_t end);


/* their first letters stand in ngx_http_tgbot_method_once(), too */

static ngx_str_t  ngx_http_tgbot_method_money[] = {
    ngx_string("gift"),
    ngx_string("premium"),
    ngx_string("transfer"),
    ngx_string("refund"),
    ngx_null_string
};


static ngx_http_tgbot_method_key_t  ngx_http_tgbot_method_keys[] = {

    { 1, ngx_string("description"), NGX_HTTP_TGBOT_METHOD_KEY_DESCRIPTION },
    { 1, ngx_string("parameters"), NGX_HTTP_TGBOT_METHOD_KEY_PARAMETERS },
    { 2, ngx_string("retry_after"), NGX_HTTP_TGBOT_METHOD_KEY_RETRY_AFTER },
    { 2, ngx_string("migrate_to_chat_id"), NGX_HTTP_TGBOT_METHOD_KEY_MIGRATE },

    { 0, ngx_null_string, NGX_HTTP_TGBOT_METHOD_KEY_NONE }
};


/* in the order of ngx_http_tgbot_method_object_key_e */

static ngx_str_t  ngx_http_tgbot_method_object_keys[] = {
    ngx_string("method"),
    ngx_string("chat_id"),
    ngx_string("inline_message_id"),
    ngx_string("user_id"),
    ngx_string("message_id"),
    ngx_string("business_connection_id"),
    ngx_string("message_thread_id"),
    ngx_string("direct_messages_topic_id"),
    ngx_string("ephemeral_message_parameters"),
    ngx_string("receiver_user_id"),
    ngx_string("ephemeral_message_id"),
    ngx_string("callback_query_id"),
    ngx_string("inline_query_id"),
    ngx_string("shipping_query_id"),
    ngx_string("pre_checkout_query_id"),
    ngx_string("guest_query_id"),
    ngx_string("widget_query_id"),
    ngx_string("chat_join_request_query_id")
};


ngx_uint_t
ngx_http_tgbot_method_valid(ngx_str_t *name)
{
    size_t  i;
    u_char  c;

    if (name->len == 0 || name->len > NGX_HTTP_TGBOT_METHOD_LEN) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i] | 0x20;

        if (c < 'a' || c > 'z') {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_http_tgbot_method_allowed(ngx_str_t *name)
{
    if (name->len >= 3
        && ngx_strncasecmp(name->data, (u_char *) "get", 3) == 0)
    {
        return 0;
    }

    return !(ngx_http_tgbot_methods[ngx_http_tgbot_method_find(name)].flags
             & NGX_HTTP_TGBOT_METHOD_FORBIDDEN);
}


ngx_uint_t
ngx_http_tgbot_method_once(ngx_str_t *name)
{
    u_char     *p, *last;
    ngx_str_t  *word;

    last = name->data + name->len;

    for (p = name->data; p < last; p++) {

        switch (*p | 0x20) {

        case 'g':
        case 'p':
        case 'r':
        case 't':
            break;

        default:
            continue;
        }

        for (word = ngx_http_tgbot_method_money; word->len; word++) {

            if ((size_t) (last - p) >= word->len
                && ngx_strncasecmp(p, word->data, word->len) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_tgbot_method_result(ngx_http_tgbot_method_result_t *result,
    ngx_uint_t status, ngx_str_t *retry_after, ngx_str_t *body,
    ngx_pool_t *pool)
{
    int64_t                       n;
    ngx_http_tgbot_method_body_t  ctx;

    ngx_memzero(result, sizeof(ngx_http_tgbot_method_result_t));

    if (status >= 200 && status < 300) {
        result->outcome = NGX_HTTP_TGBOT_METHOD_OK;
        return NGX_OK;
    }

    if (ngx_http_tgbot_method_body(&ctx, body, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    result->description = ctx.description;

    if (retry_after->len
        && ngx_http_tgbot_json_int64(retry_after, &n) == NGX_OK)
    {
        result->retry_after = ngx_http_tgbot_method_seconds(n);
    }

    if (result->retry_after == 0) {
        result->retry_after = ngx_http_tgbot_method_seconds(ctx.retry_after);
    }

    if (status < 200 || status >= 500) {
        result->outcome = NGX_HTTP_TGBOT_METHOD_UNAVAILABLE;

    } else if (status == 429) {
        result->outcome = NGX_HTTP_TGBOT_METHOD_FLOOD;

    } else if (status == 401) {
        result->outcome = NGX_HTTP_TGBOT_METHOD_UNAUTHORIZED;

    } else if (status == 400 && ctx.migrate_to_chat_id) {
        result->outcome = NGX_HTTP_TGBOT_METHOD_MIGRATED;
        result->migrate_to_chat_id = ctx.migrate_to_chat_id;

    } else {
        result->outcome = NGX_HTTP_TGBOT_METHOD_REFUSED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_method_body(ngx_http_tgbot_method_body_t *ctx, ngx_str_t *body,
    ngx_pool_t *pool)
{
    ngx_int_t  rc;

    ngx_memzero(ctx, sizeof(ngx_http_tgbot_method_body_t));

    ctx->pool = pool;

    if (body->len == 0) {
        return NGX_OK;
    }

    rc = ngx_http_tgbot_json_parse(body, ngx_http_tgbot_method_token, ctx);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {

        /* the body is not JSON: the values before the error are dropped */

        ngx_memzero(ctx, sizeof(ngx_http_tgbot_method_body_t));
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_method_token(void *data, ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_method_body_t *ctx = data;

    ngx_uint_t  key;

    if (token->type == NGX_HTTP_TGBOT_JSON_KEY) {
        ctx->key = ngx_http_tgbot_method_key(ctx, token);
        return NGX_OK;
    }

    if (token->type == NGX_HTTP_TGBOT_JSON_MAP_END && token->depth == 1) {
        ctx->parameters = 0;
        return NGX_OK;
    }

    key = ctx->key;
    ctx->key = NGX_HTTP_TGBOT_METHOD_KEY_NONE;

    return ngx_http_tgbot_method_value(ctx, key, token);
}


static ngx_uint_t
ngx_http_tgbot_method_key(ngx_http_tgbot_method_body_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_method_key_t  *key;

    for (key = ngx_http_tgbot_method_keys; key->depth; key++) {

        if (token->depth != key->depth
            || token->text.len != key->name.len
            || ngx_memcmp(token->text.data, key->name.data, key->name.len)
               != 0)
        {
            continue;
        }

        if ((key->depth == 2 && !ctx->parameters)
            || (ctx->seen & (1 << key->key)))
        {
            break;
        }

        ctx->seen |= 1 << key->key;

        return key->key;
    }

    return NGX_HTTP_TGBOT_METHOD_KEY_NONE;
}


static ngx_int_t
ngx_http_tgbot_method_value(ngx_http_tgbot_method_body_t *ctx, ngx_uint_t key,
    ngx_http_tgbot_json_token_t *token)
{
    switch (key) {

    case NGX_HTTP_TGBOT_METHOD_KEY_DESCRIPTION:

        if (token->type == NGX_HTTP_TGBOT_JSON_STRING) {
            return ngx_http_tgbot_method_description(&ctx->description,
                                                     &token->text, ctx->pool);
        }

        break;

    case NGX_HTTP_TGBOT_METHOD_KEY_PARAMETERS:

        ctx->parameters = (token->type == NGX_HTTP_TGBOT_JSON_MAP_START);
        break;

    case NGX_HTTP_TGBOT_METHOD_KEY_RETRY_AFTER:

        if (token->type == NGX_HTTP_TGBOT_JSON_NUMBER) {
            (void) ngx_http_tgbot_json_int64(&token->text, &ctx->retry_after);
        }

        break;

    case NGX_HTTP_TGBOT_METHOD_KEY_MIGRATE:

        if (token->type == NGX_HTTP_TGBOT_JSON_NUMBER) {
            (void) ngx_http_tgbot_json_int64(&token->text,
                                             &ctx->migrate_to_chat_id);
        }

        break;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_method_description(ngx_str_t *dst, ngx_str_t *src,
    ngx_pool_t *pool)
{
    if (src->len == 0) {
        return NGX_OK;
    }

    dst->data = ngx_pstrdup(pool, src);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    dst->len = src->len;

    ngx_http_tgbot_json_clean(dst);

    return NGX_OK;
}


/* seconds to wait; 0 for a number that makes no sense */

static ngx_uint_t
ngx_http_tgbot_method_seconds(int64_t n)
{
    if (n <= 0) {
        return 0;
    }

    return (ngx_uint_t) ngx_min(n, NGX_HTTP_TGBOT_METHOD_RETRY_MAX);
}


ngx_int_t
ngx_http_tgbot_method_migrate(ngx_http_tgbot_method_t *method,
    int64_t chat_id, ngx_pool_t *pool)
{
    u_char     *p, *tail;
    ngx_str_t   body, id;

    u_char      buf[NGX_INT64_LEN];

    if (method->chat_len == 0) {
        return NGX_DECLINED;
    }

    id.data = buf;
    id.len = ngx_snprintf(buf, NGX_INT64_LEN, "%L", chat_id) - buf;

    body.len = method->body.len - method->chat_len + id.len;
    body.data = ngx_pnalloc(pool, body.len);

    if (body.data == NULL) {
        return NGX_ERROR;
    }

    tail = method->body.data + method->chat_pos + method->chat_len;

    p = ngx_cpymem(body.data, method->body.data, method->chat_pos);
    p = ngx_cpymem(p, id.data, id.len);
    ngx_memcpy(p, tail, method->body.data + method->body.len - tail);

    method->body = body;
    method->chat_len = id.len;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_method_copy(ngx_http_tgbot_method_t *dst,
    ngx_http_tgbot_method_t *src, ngx_pool_t *pool)
{
    u_char  *p;

    p = ngx_pnalloc(pool, src->name.len + src->content_type.len
                          + src->body.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *dst = *src;

    p = ngx_http_tgbot_method_append(p, &dst->name, &src->name);
    p = ngx_http_tgbot_method_append(p, &dst->content_type,
                                     &src->content_type);
    (void) ngx_http_tgbot_method_append(p, &dst->body, &src->body);

    return NGX_OK;
}


static u_char *
ngx_http_tgbot_method_append(u_char *p, ngx_str_t *dst, ngx_str_t *src)
{
    dst->data = p;

    return src->len ? ngx_cpymem(p, src->data, src->len) : p;
}


ngx_int_t
ngx_http_tgbot_method_object_parse(ngx_str_t *body,
    ngx_http_tgbot_method_object_pt handler, void *data, ngx_uint_t *others)
{
    ngx_int_t                           rc;
    ngx_http_tgbot_method_object_ctx_t  ctx;

    ngx_memzero(&ctx, sizeof(ngx_http_tgbot_method_object_ctx_t));

    ctx.body = body;
    ctx.handler = handler;
    ctx.data = data;
    ctx.key = NGX_HTTP_TGBOT_OBJECT_OTHER;

    rc = ngx_http_tgbot_json_parse(body, ngx_http_tgbot_method_object_token,
                                   &ctx);

    *others = ctx.others;

    return rc;
}


ngx_str_t *
ngx_http_tgbot_method_object_key_name(ngx_uint_t key)
{
    return &ngx_http_tgbot_method_object_keys[key];
}


static ngx_int_t
ngx_http_tgbot_method_object_token(void *data,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_method_object_ctx_t  *ctx = data;

    if (token->depth == ctx->level + 1) {

        if (token->type == NGX_HTTP_TGBOT_JSON_KEY) {
            ngx_http_tgbot_method_object_key(ctx, token);

        } else {
            ngx_http_tgbot_method_object_value(ctx, token);
        }

        return NGX_OK;
    }

    if (token->depth != ctx->level) {
        return NGX_OK;
    }

    switch (token->type) {

    case NGX_HTTP_TGBOT_JSON_MAP_START:
        ngx_http_tgbot_method_object_start(ctx,
                                        ngx_http_tgbot_json_offset(token) - 1);
        break;

    case NGX_HTTP_TGBOT_JSON_MAP_END:
        return ngx_http_tgbot_method_object_end(ctx,
                                            ngx_http_tgbot_json_offset(token));

    case NGX_HTTP_TGBOT_JSON_ARRAY_END:
        break;

    case NGX_HTTP_TGBOT_JSON_ARRAY_START:

        if (token->depth == 0) {
            ctx->level = 1;
            break;
        }

        /* fall through */

    default:
        ctx->others++;
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_method_object_start(ngx_http_tgbot_method_object_ctx_t *ctx,
    size_t start)
{
    ctx->start = start;

    ngx_memzero(&ctx->object, sizeof(ngx_http_tgbot_method_object_t));

    ctx->object.name.data = ctx->name;
}


static ngx_int_t
ngx_http_tgbot_method_object_end(ngx_http_tgbot_method_object_ctx_t *ctx,
    size_t end)
{
    if (!(ctx->object.keys & (1 << NGX_HTTP_TGBOT_OBJECT_METHOD))) {
        ctx->others++;
        return NGX_OK;
    }

    ctx->object.body.data = ctx->body->data + ctx->start;
    ctx->object.body.len = end - ctx->start;

    return ctx->handler(ctx->data, &ctx->object);
}


static void
ngx_http_tgbot_method_object_key(ngx_http_tgbot_method_object_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_str_t   *name;
    ngx_uint_t   key;

    for (key = 0; key < NGX_HTTP_TGBOT_OBJECT_OTHER; key++) {
        name = &ngx_http_tgbot_method_object_keys[key];

        if (token->text.len == name->len
            && ngx_memcmp(token->text.data, name->data, name->len) == 0)
        {
            break;
        }
    }

    ctx->key = key;
    ctx->key_end = ngx_http_tgbot_json_offset(token);

    if ((key == NGX_HTTP_TGBOT_OBJECT_METHOD
         || key == NGX_HTTP_TGBOT_OBJECT_CHAT_ID)
        && ((ctx->object.keys | ctx->object.nulls) & (1 << key)))
    {
        ctx->object.twice = 1;
        ctx->key = NGX_HTTP_TGBOT_OBJECT_OTHER;
    }

    ctx->object.keys |= 1 << key;
}


static void
ngx_http_tgbot_method_object_value(ngx_http_tgbot_method_object_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    size_t      len;
    ngx_uint_t  key;

    key = ctx->key;
    ctx->key = NGX_HTTP_TGBOT_OBJECT_OTHER;

    if (token->type == NGX_HTTP_TGBOT_JSON_NULL
        && key != NGX_HTTP_TGBOT_OBJECT_METHOD
        && key != NGX_HTTP_TGBOT_OBJECT_OTHER)
    {
        ctx->object.keys &= ~((ngx_uint_t) 1 << key);
        ctx->object.nulls |= (ngx_uint_t) 1 << key;
        ctx->object.null_pos[key] = ngx_http_tgbot_json_offset(token)
                                    - (sizeof("null") - 1) - ctx->start;
        return;
    }

    switch (key) {

    case NGX_HTTP_TGBOT_OBJECT_METHOD:

        if (token->type == NGX_HTTP_TGBOT_JSON_STRING && token->text.len) {
            len = ngx_min(token->text.len, NGX_HTTP_TGBOT_OBJECT_NAME_LEN);

            ngx_memcpy(ctx->name, token->text.data, len);
            ctx->object.name.len = len;
        }

        break;

    case NGX_HTTP_TGBOT_OBJECT_CHAT_ID:

        if (token->type == NGX_HTTP_TGBOT_JSON_NUMBER
            || token->type == NGX_HTTP_TGBOT_JSON_STRING)
        {
            ngx_http_tgbot_method_object_chat(ctx,
                                            ngx_http_tgbot_json_offset(token));
        }

        break;
    }
}


/* the parser tells the end of a value; the value begins after the colon */

static void
ngx_http_tgbot_method_object_chat(ngx_http_tgbot_method_object_ctx_t *ctx,
    size_t end)
{
    size_t  pos;

    pos = ctx->key_end;

    while (ctx->body->data[pos] <= ' ' || ctx->body->data[pos] == ':') {
        pos++;
    }

    ctx->object.chat_pos = pos - ctx->start;
    ctx->object.chat_len = end - pos;
}
