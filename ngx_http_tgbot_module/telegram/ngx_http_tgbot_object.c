
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_object.h"


/* enough of a name to see that it is too long, and to show it */
#define NGX_HTTP_TGBOT_OBJECT_NAME_LEN  (NGX_HTTP_TGBOT_METHOD_LEN + 1)


/* a method that answers a query: the type of its update, the key of its id */

typedef struct {
    ngx_str_t                 method;
    ngx_str_t                 type;
    ngx_uint_t                key;
} ngx_http_tgbot_object_query_t;


typedef struct {
    ngx_str_t                  *body;
    ngx_http_tgbot_object_pt    handler;
    void                       *data;

    ngx_uint_t                  level;     /* depth of the objects */
    ngx_uint_t                  others;

    /* of the object at hand */

    size_t                      start;
    size_t                      key_end;
    ngx_uint_t                  key;       /* whose value is to come */
    ngx_http_tgbot_object_t     object;
    u_char                      name[NGX_HTTP_TGBOT_OBJECT_NAME_LEN];
} ngx_http_tgbot_object_ctx_t;


static ngx_int_t ngx_http_tgbot_object_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_object_start(ngx_http_tgbot_object_ctx_t *ctx,
    size_t start);
static ngx_int_t ngx_http_tgbot_object_end(ngx_http_tgbot_object_ctx_t *ctx,
    size_t end);
static void ngx_http_tgbot_object_key(ngx_http_tgbot_object_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_object_value(ngx_http_tgbot_object_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_object_chat(ngx_http_tgbot_object_ctx_t *ctx,
    size_t end);


/* in the order of ngx_http_tgbot_object_key_e */

static ngx_str_t  ngx_http_tgbot_object_keys[] = {
    ngx_string("method"),
    ngx_string("chat_id"),
    ngx_string("inline_message_id"),
    ngx_string("user_id"),
    ngx_string("callback_query_id"),
    ngx_string("inline_query_id"),
    ngx_string("pre_checkout_query_id"),
    ngx_string("shipping_query_id")
};


static ngx_http_tgbot_object_query_t  ngx_http_tgbot_object_queries[] = {

    { ngx_string("answerCallbackQuery"), ngx_string("callback_query"),
      NGX_HTTP_TGBOT_OBJECT_CALLBACK_QUERY_ID },

    { ngx_string("answerInlineQuery"), ngx_string("inline_query"),
      NGX_HTTP_TGBOT_OBJECT_INLINE_QUERY_ID },

    { ngx_string("answerPreCheckoutQuery"), ngx_string("pre_checkout_query"),
      NGX_HTTP_TGBOT_OBJECT_PRE_CHECKOUT_QUERY_ID },

    { ngx_string("answerShippingQuery"), ngx_string("shipping_query"),
      NGX_HTTP_TGBOT_OBJECT_SHIPPING_QUERY_ID },

    { ngx_null_string, ngx_null_string, 0 }
};


/* beginnings of methods to which a chat_id is unknown or another meaning */

static ngx_str_t  ngx_http_tgbot_object_chatless[] = {
    ngx_string("answer"),
    ngx_string("setMy"),
    ngx_string("deleteMy"),
    ngx_string("setChatMenuButton"),
    ngx_null_string
};


ngx_int_t
ngx_http_tgbot_object_parse(ngx_str_t *body, ngx_http_tgbot_object_pt handler,
    void *data, ngx_uint_t *others)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_object_ctx_t  ctx;

    ngx_memzero(&ctx, sizeof(ngx_http_tgbot_object_ctx_t));

    ctx.body = body;
    ctx.handler = handler;
    ctx.data = data;
    ctx.key = NGX_HTTP_TGBOT_OBJECT_OTHER;

    rc = ngx_http_tgbot_json_parse_str(body, ngx_http_tgbot_object_token,
                                       &ctx);

    *others = ctx.others;

    return rc;
}


ngx_str_t *
ngx_http_tgbot_object_key_name(ngx_uint_t key)
{
    return &ngx_http_tgbot_object_keys[key];
}


static ngx_int_t
ngx_http_tgbot_object_token(void *data, ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_object_ctx_t *ctx = data;

    if (token->depth == ctx->level + 1) {

        if (token->type == NGX_HTTP_TGBOT_JSON_KEY) {
            ngx_http_tgbot_object_key(ctx, token);

        } else {
            ngx_http_tgbot_object_value(ctx, token);
        }

        return NGX_OK;
    }

    if (token->depth != ctx->level) {
        return NGX_OK;
    }

    switch (token->type) {

    case NGX_HTTP_TGBOT_JSON_MAP_START:
        ngx_http_tgbot_object_start(ctx,
                                    ngx_http_tgbot_json_offset(token) - 1);
        break;

    case NGX_HTTP_TGBOT_JSON_MAP_END:
        return ngx_http_tgbot_object_end(ctx,
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
ngx_http_tgbot_object_start(ngx_http_tgbot_object_ctx_t *ctx, size_t start)
{
    ctx->start = start;

    ngx_memzero(&ctx->object, sizeof(ngx_http_tgbot_object_t));

    ctx->object.name.data = ctx->name;
}


static ngx_int_t
ngx_http_tgbot_object_end(ngx_http_tgbot_object_ctx_t *ctx, size_t end)
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
ngx_http_tgbot_object_key(ngx_http_tgbot_object_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_str_t   *name;
    ngx_uint_t   key;

    for (key = 0; key < NGX_HTTP_TGBOT_OBJECT_OTHER; key++) {
        name = &ngx_http_tgbot_object_keys[key];

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
        && (ctx->object.keys & (1 << key)))
    {
        ctx->object.twice = 1;
        ctx->key = NGX_HTTP_TGBOT_OBJECT_OTHER;
    }

    ctx->object.keys |= 1 << key;
}


static void
ngx_http_tgbot_object_value(ngx_http_tgbot_object_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    size_t      len;
    ngx_uint_t  key;

    key = ctx->key;
    ctx->key = NGX_HTTP_TGBOT_OBJECT_OTHER;

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
            ngx_http_tgbot_object_chat(ctx, ngx_http_tgbot_json_offset(token));
        }

        break;
    }
}


/* the parser tells where a value ends; it begins behind its key's colon */

static void
ngx_http_tgbot_object_chat(ngx_http_tgbot_object_ctx_t *ctx, size_t end)
{
    size_t  pos;

    pos = ctx->key_end;

    while (ctx->body->data[pos] <= ' ' || ctx->body->data[pos] == ':') {
        pos++;
    }

    ctx->object.chat_pos = pos - ctx->start;
    ctx->object.chat_len = end - pos;
}


ngx_uint_t
ngx_http_tgbot_object_missing(ngx_http_tgbot_object_t *object,
    ngx_http_tgbot_update_t *update)
{
    ngx_str_t                      *name, *begin;
    ngx_http_tgbot_object_query_t  *query;

    name = &object->name;

    for (query = ngx_http_tgbot_object_queries; query->method.len; query++) {

        if (name->len == query->method.len
            && ngx_strncasecmp(name->data, query->method.data, name->len) == 0
            && update->type.len == query->type.len
            && ngx_memcmp(update->type.data, query->type.data,
                          query->type.len) == 0
            && update->query_id.len
            && !(object->keys & (1 << query->key)))
        {
            return query->key;
        }
    }

    if (!update->has_chat_id
        || (object->keys & ((1 << NGX_HTTP_TGBOT_OBJECT_CHAT_ID)
                            | (1 << NGX_HTTP_TGBOT_OBJECT_INLINE_MESSAGE_ID))))
    {
        return NGX_HTTP_TGBOT_OBJECT_OTHER;
    }

    for (begin = ngx_http_tgbot_object_chatless; begin->len; begin++) {

        if (name->len >= begin->len
            && ngx_strncasecmp(name->data, begin->data, begin->len) == 0)
        {
            return NGX_HTTP_TGBOT_OBJECT_OTHER;
        }
    }

    /* a gift is for a user or for a chat */

    if ((object->keys & (1 << NGX_HTTP_TGBOT_OBJECT_USER_ID))
        && ngx_http_tgbot_method_once(name))
    {
        return NGX_HTTP_TGBOT_OBJECT_OTHER;
    }

    return NGX_HTTP_TGBOT_OBJECT_CHAT_ID;
}
