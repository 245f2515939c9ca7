
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_address.h"
#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_cacheable.h"
#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_method_form.h"
#include "ngx_http_tgbot_update.h"


typedef struct {
    ngx_str_t                *body;
    ngx_http_tgbot_update_t  *update;
    ngx_pool_t               *pool;
    ngx_array_t               strings;    /* parameters to be parsed */

    ngx_uint_t                level;      /* depth of the calls */
    ngx_uint_t                calls;

    /* the id that was taken out of each call, OTHER: none */

    u_char                    taken[NGX_HTTP_TGBOT_ANSWER_MAX_CALLS];

    /* state of the current call */

    ngx_uint_t                key;        /* id whose value comes next */
    size_t                    before;     /* end of the token before key */
    unsigned                  text:1;     /* the next value is not JSON */
    unsigned                  first:1;    /* no earlier key was kept */

    size_t                    end;        /* end of the last token */
    size_t                    pos;        /* bytes before it are done */
    u_char                   *last;       /* end of the kept bytes */
} ngx_http_tgbot_cacheable_ctx_t;


static ngx_int_t ngx_http_tgbot_cacheable_make(
    ngx_http_tgbot_cacheable_ctx_t *ctx, ngx_str_t *kept);
static ngx_int_t ngx_http_tgbot_cacheable_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_cacheable_key(
    ngx_http_tgbot_cacheable_ctx_t *ctx, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_cacheable_value(
    ngx_http_tgbot_cacheable_ctx_t *ctx, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_cacheable_take(
    ngx_http_tgbot_cacheable_ctx_t *ctx, ngx_http_tgbot_json_token_t *token);
static ngx_uint_t ngx_http_tgbot_cacheable_own(
    ngx_http_tgbot_update_t *update, ngx_uint_t key,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_cacheable_string(
    ngx_http_tgbot_cacheable_ctx_t *ctx, ngx_str_t *text);
static ngx_int_t ngx_http_tgbot_cacheable_inner(void *data,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_cacheable_object(void *data,
    ngx_http_tgbot_method_object_t *object);
static ngx_uint_t ngx_http_tgbot_cacheable_names(ngx_str_t *key);
static ngx_uint_t ngx_http_tgbot_cacheable_links(ngx_str_t *text);
static ngx_uint_t ngx_http_tgbot_cacheable_find(ngx_str_t *list,
    ngx_str_t *name);
static ngx_uint_t ngx_http_tgbot_cacheable_ends(ngx_str_t *name,
    ngx_str_t *end);


/* ids that ngx_http_tgbot_answer_parse() inserts if an answer lacks them */

static ngx_uint_t  ngx_http_tgbot_cacheable_ids[] = {
    NGX_HTTP_TGBOT_OBJECT_CHAT_ID,
    NGX_HTTP_TGBOT_OBJECT_CALLBACK_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_INLINE_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_PRE_CHECKOUT_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_SHIPPING_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_GUEST_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_WIDGET_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_CHAT_JOIN_REQUEST_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_OTHER
};


/* prefixes of methods that change neither a chat nor the bot */

static ngx_str_t  ngx_http_tgbot_cacheable_methods[] = {
    ngx_string("send"),
    ngx_string("answer"),
    ngx_null_string
};


/* keys that refer to a user or chat, besides those that end in _id or _ids */

static ngx_str_t  ngx_http_tgbot_cacheable_names_list[] = {
    ngx_string("user"),
    ngx_string("users"),
    ngx_string("chat"),
    ngx_string("reply_parameters"),
    ngx_string("reply_to_message"),
    ngx_string("invite_link"),
    ngx_string("is_personal"),
    ngx_null_string
};


/* keys that end in _id or _ids and refer to no user or chat */

static ngx_str_t  ngx_http_tgbot_cacheable_things[] = {
    ngx_string("custom_emoji_id"),
    ngx_string("custom_emoji_ids"),
    ngx_string("icon_custom_emoji_id"),
    ngx_string("message_effect_id"),
    ngx_string("correct_option_id"),
    ngx_string("correct_option_ids"),
    ngx_string("request_id"),
    ngx_string("audio_file_id"),
    ngx_string("document_file_id"),
    ngx_string("gif_file_id"),
    ngx_string("mpeg4_file_id"),
    ngx_string("photo_file_id"),
    ngx_string("sticker_file_id"),
    ngx_string("video_file_id"),
    ngx_string("voice_file_id"),
    ngx_null_string
};


/* parts of links that name a user */

static ngx_str_t  ngx_http_tgbot_cacheable_link_list[] = {
    ngx_string("tg://user"),
    ngx_string("tg:user"),
    ngx_string("tg://openmessage"),
    ngx_string("tg:openmessage"),
    ngx_string("user?id"),
    ngx_null_string
};


/* parameters that the Bot API never reads as JSON */

static ngx_str_t  ngx_http_tgbot_cacheable_texts[] = {
    ngx_string("text"),
    ngx_string("caption"),
    ngx_null_string
};


ngx_int_t
ngx_http_tgbot_cacheable(ngx_str_t *content_type, ngx_str_t *body,
    ngx_http_tgbot_update_t *update, ngx_str_t *kept, ngx_pool_t *pool)
{
    ngx_http_tgbot_answer_t         answer;
    ngx_http_tgbot_cacheable_ctx_t  ctx;

    if (ngx_http_tgbot_answer_as(content_type)
        != NGX_HTTP_TGBOT_ANSWER_AS_JSON)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_tgbot_answer_parse(&answer, content_type, body, update, pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (answer.problem || answer.calls.nelts == 0) {
        return NGX_DECLINED;
    }

    ngx_memzero(&ctx, sizeof(ngx_http_tgbot_cacheable_ctx_t));

    ctx.body = body;
    ctx.update = update;
    ctx.pool = pool;
    ctx.key = NGX_HTTP_TGBOT_OBJECT_OTHER;

    ngx_memset(ctx.taken, NGX_HTTP_TGBOT_OBJECT_OTHER, sizeof(ctx.taken));

    if (ngx_array_init(&ctx.strings, pool, 1, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_cacheable_make(&ctx, kept);
}


static ngx_int_t
ngx_http_tgbot_cacheable_make(ngx_http_tgbot_cacheable_ctx_t *ctx,
    ngx_str_t *kept)
{
    ngx_int_t    rc;
    ngx_str_t   *string;
    ngx_uint_t   i, others;

    kept->data = ngx_pnalloc(ctx->pool, ctx->body->len);
    if (kept->data == NULL) {
        return NGX_ERROR;
    }

    ctx->last = kept->data;

    rc = ngx_http_tgbot_json_parse(ctx->body, ngx_http_tgbot_cacheable_token,
                                   ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx->last = ngx_cpymem(ctx->last, ctx->body->data + ctx->pos,
                           ctx->body->len - ctx->pos);

    kept->len = ctx->last - kept->data;

    string = ctx->strings.elts;

    for (i = 0; i < ctx->strings.nelts; i++) {

        rc = ngx_http_tgbot_json_parse(&string[i],
                                       ngx_http_tgbot_cacheable_inner, NULL);
        if (rc != NGX_OK) {
            return (rc == NGX_ERROR) ? NGX_ERROR : NGX_DECLINED;
        }
    }

    ctx->calls = 0;

    return ngx_http_tgbot_method_object_parse(kept,
                                              ngx_http_tgbot_cacheable_object,
                                              ctx, &others);
}


static ngx_int_t
ngx_http_tgbot_cacheable_token(void *data, ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_cacheable_ctx_t *ctx = data;

    ngx_int_t  rc;

    rc = NGX_OK;

    if (token->type == NGX_HTTP_TGBOT_JSON_KEY) {
        rc = ngx_http_tgbot_cacheable_key(ctx, token);

    } else if (token->depth == ctx->level + 1) {
        rc = ngx_http_tgbot_cacheable_value(ctx, token);

    } else if (token->type == NGX_HTTP_TGBOT_JSON_STRING) {

        if (ngx_http_tgbot_cacheable_links(&token->text)) {
            rc = NGX_DECLINED;
        }

    } else if (token->type == NGX_HTTP_TGBOT_JSON_ARRAY_START
               && token->depth == 0)
    {
        ctx->level = 1;

    } else if (token->type == NGX_HTTP_TGBOT_JSON_MAP_START
               && token->depth == ctx->level)
    {
        ctx->calls++;
        ctx->first = 1;
    }

    ctx->end = ngx_http_tgbot_json_offset(token);

    return rc;
}


static ngx_int_t
ngx_http_tgbot_cacheable_key(ngx_http_tgbot_cacheable_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_str_t   *name;
    ngx_uint_t  *id;

    if (token->depth != ctx->level + 1) {
        return ngx_http_tgbot_cacheable_names(&token->text) ? NGX_DECLINED
                                                            : NGX_OK;
    }

    for (id = ngx_http_tgbot_cacheable_ids;
         *id != NGX_HTTP_TGBOT_OBJECT_OTHER;
         id++)
    {
        name = ngx_http_tgbot_method_object_key_name(*id);

        if (token->text.len == name->len
            && ngx_memcmp(token->text.data, name->data, name->len) == 0)
        {
            ctx->key = *id;
            ctx->before = ctx->end;
            return NGX_OK;
        }
    }

    if (ngx_http_tgbot_cacheable_names(&token->text)) {
        return NGX_DECLINED;
    }

    ctx->text = ngx_http_tgbot_cacheable_find(ngx_http_tgbot_cacheable_texts,
                                              &token->text);

    if (ctx->first
        && ctx->taken[ctx->calls - 1] != NGX_HTTP_TGBOT_OBJECT_OTHER)
    {
        /* the comma after the removed key is removed, too */

        for (ctx->pos = ctx->end; ctx->body->data[ctx->pos] != '"'; ctx->pos++)
        {
            /* void */
        }
    }

    ctx->first = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_cacheable_value(ngx_http_tgbot_cacheable_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    if (ctx->key != NGX_HTTP_TGBOT_OBJECT_OTHER) {
        return ngx_http_tgbot_cacheable_take(ctx, token);
    }

    if (token->type != NGX_HTTP_TGBOT_JSON_STRING) {
        return NGX_OK;
    }

    if (ngx_http_tgbot_cacheable_links(&token->text)) {
        return NGX_DECLINED;
    }

    if (ctx->text) {
        return NGX_OK;
    }

    return ngx_http_tgbot_cacheable_string(ctx, &token->text);
}


/* leaves out an id and the comma before its key */

static ngx_int_t
ngx_http_tgbot_cacheable_take(ngx_http_tgbot_cacheable_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    u_char      *taken;
    ngx_uint_t   key;

    key = ctx->key;
    ctx->key = NGX_HTTP_TGBOT_OBJECT_OTHER;

    taken = &ctx->taken[ctx->calls - 1];

    if (*taken != NGX_HTTP_TGBOT_OBJECT_OTHER
        || !ngx_http_tgbot_cacheable_own(ctx->update, key, token))
    {
        return NGX_DECLINED;
    }

    *taken = key;

    ctx->last = ngx_cpymem(ctx->last, ctx->body->data + ctx->pos,
                           ctx->before - ctx->pos);
    ctx->pos = ngx_http_tgbot_json_offset(token);

    return NGX_OK;
}


/* whether the value is the update's own id */

static ngx_uint_t
ngx_http_tgbot_cacheable_own(ngx_http_tgbot_update_t *update, ngx_uint_t key,
    ngx_http_tgbot_json_token_t *token)
{
    int64_t  id;

    if (token->type != NGX_HTTP_TGBOT_JSON_NUMBER
        && token->type != NGX_HTTP_TGBOT_JSON_STRING)
    {
        return 0;
    }

    if (key == NGX_HTTP_TGBOT_OBJECT_CHAT_ID) {
        return update->has_chat_id
               && ngx_http_tgbot_json_int64(&token->text, &id) == NGX_OK
               && id == update->chat_id;
    }

    return update->query_id.len
           && token->text.len == update->query_id.len
           && ngx_memcmp(token->text.data, update->query_id.data,
                         update->query_id.len)
              == 0;
}


/* the parser must not be called from a handler: JSON in a string waits */

static ngx_int_t
ngx_http_tgbot_cacheable_string(ngx_http_tgbot_cacheable_ctx_t *ctx,
    ngx_str_t *text)
{
    u_char     *p, *last;
    ngx_str_t  *string;

    last = text->data + text->len;

    for (p = text->data; p < last && *p <= ' '; p++) { /* void */ }

    if (p == last || (*p != '{' && *p != '[')) {
        return NGX_OK;
    }

    string = ngx_array_push(&ctx->strings);
    if (string == NULL) {
        return NGX_ERROR;
    }

    string->len = text->len;
    string->data = ngx_pstrdup(ctx->pool, text);

    return (string->data == NULL) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_cacheable_inner(void *data, ngx_http_tgbot_json_token_t *token)
{
    if ((token->type == NGX_HTTP_TGBOT_JSON_KEY
         && ngx_http_tgbot_cacheable_names(&token->text))
        || (token->type == NGX_HTTP_TGBOT_JSON_STRING
            && ngx_http_tgbot_cacheable_links(&token->text)))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* the id that was taken out must be the one that would be inserted again */

static ngx_int_t
ngx_http_tgbot_cacheable_object(void *data,
    ngx_http_tgbot_method_object_t *object)
{
    ngx_http_tgbot_cacheable_ctx_t *ctx = data;

    ngx_str_t                 *name, *begin;
    ngx_uint_t                 taken;
    ngx_http_tgbot_address_t   address;

    name = &object->name;
    taken = ctx->taken[ctx->calls++];

    if (ngx_http_tgbot_method_once(name)) {
        return NGX_DECLINED;
    }

    for (begin = ngx_http_tgbot_cacheable_methods; begin->len; begin++) {

        if (name->len > begin->len
            && ngx_strncasecmp(name->data, begin->data, begin->len) == 0)
        {
            break;
        }
    }

    if (begin->len == 0) {
        return NGX_DECLINED;
    }

    if (taken != NGX_HTTP_TGBOT_OBJECT_OTHER
        && (ngx_http_tgbot_address_find(&object->name, object->keys,
                                        ctx->update, &address)
            != NGX_OK
            || address.keys != (ngx_uint_t) 1 << taken
            || (taken == NGX_HTTP_TGBOT_OBJECT_CHAT_ID
                && address.chat_id != ctx->update->chat_id)))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* whether the value of the key refers to a user or chat */

static ngx_uint_t
ngx_http_tgbot_cacheable_names(ngx_str_t *key)
{
    static ngx_str_t  id = ngx_string("_id");
    static ngx_str_t  ids = ngx_string("_ids");

    if (ngx_http_tgbot_cacheable_ends(key, &id)
        || ngx_http_tgbot_cacheable_ends(key, &ids))
    {
        return !ngx_http_tgbot_cacheable_find(ngx_http_tgbot_cacheable_things,
                                              key);
    }

    return ngx_http_tgbot_cacheable_find(ngx_http_tgbot_cacheable_names_list,
                                         key);
}


static ngx_uint_t
ngx_http_tgbot_cacheable_links(ngx_str_t *text)
{
    ngx_str_t  *link;

    for (link = ngx_http_tgbot_cacheable_link_list; link->len; link++) {

        if (text->len >= link->len
            && ngx_strlcasestrn(text->data, text->data + text->len,
                                link->data, link->len - 1)
               != NULL)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_tgbot_cacheable_find(ngx_str_t *list, ngx_str_t *name)
{
    for ( /* void */ ; list->len; list++) {

        if (name->len == list->len
            && ngx_strncasecmp(name->data, list->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_tgbot_cacheable_ends(ngx_str_t *name, ngx_str_t *end)
{
    return name->len >= end->len
           && ngx_strncasecmp(name->data + name->len - end->len, end->data,
                              end->len)
              == 0;
}
