
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_webhook_info.h"


typedef enum {
    NGX_HTTP_TGBOT_WEBHOOK_INFO_URL = 0,
    NGX_HTTP_TGBOT_WEBHOOK_INFO_ADDRESS,
    NGX_HTTP_TGBOT_WEBHOOK_INFO_MESSAGE,
    NGX_HTTP_TGBOT_WEBHOOK_INFO_USERNAME,
    NGX_HTTP_TGBOT_WEBHOOK_INFO_PENDING,
    NGX_HTTP_TGBOT_WEBHOOK_INFO_ERROR_DATE,
    NGX_HTTP_TGBOT_WEBHOOK_INFO_MAX_CONNECTIONS,
    NGX_HTTP_TGBOT_WEBHOOK_INFO_CERTIFICATE,
    NGX_HTTP_TGBOT_WEBHOOK_INFO_NAMES,
    NGX_HTTP_TGBOT_WEBHOOK_INFO_OTHER
} ngx_http_tgbot_webhook_info_key_e;


typedef struct {
    ngx_http_tgbot_webhook_info_t  *info;
    ngx_pool_t             *pool;
    ngx_array_t             names;       /* of ngx_str_t */

    ngx_uint_t              key;         /* key of the next value */

    unsigned                result:1;    /* inside "result" */
    unsigned                next:1;      /* "result" comes next */
} ngx_http_tgbot_webhook_info_ctx_t;


static ngx_int_t ngx_http_tgbot_webhook_info_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_webhook_info_key(
    ngx_http_tgbot_webhook_info_ctx_t *ctx, ngx_str_t *name);
static ngx_int_t ngx_http_tgbot_webhook_info_value(
    ngx_http_tgbot_webhook_info_ctx_t *ctx, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_webhook_info_copy(
    ngx_http_tgbot_webhook_info_ctx_t *ctx, ngx_str_t *dst,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_webhook_info_name(
    ngx_http_tgbot_webhook_info_ctx_t *ctx, ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_webhook_info_number(int64_t *dst,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_webhook_info_compare(const void *one,
    const void *two);


/* in the order of ngx_http_tgbot_webhook_info_key_e */

static const ngx_str_t  ngx_http_tgbot_webhook_info_keys[] = {
    ngx_string("url"),
    ngx_string("ip_address"),
    ngx_string("last_error_message"),
    ngx_string("username"),
    ngx_string("pending_update_count"),
    ngx_string("last_error_date"),
    ngx_string("max_connections"),
    ngx_string("has_custom_certificate"),
    ngx_string("allowed_updates")
};


ngx_int_t
ngx_http_tgbot_webhook_info_parse(ngx_http_tgbot_webhook_info_t *info,
    ngx_str_t *body, ngx_pool_t *pool)
{
    ngx_int_t                          rc;
    ngx_http_tgbot_webhook_info_ctx_t  ctx;

    ngx_memzero(info, sizeof(ngx_http_tgbot_webhook_info_t));
    ngx_memzero(&ctx, sizeof(ngx_http_tgbot_webhook_info_ctx_t));

    ngx_str_set(&info->url, "");
    ngx_str_set(&info->address, "");
    ngx_str_set(&info->message, "");
    ngx_str_set(&info->names, "");
    ngx_str_set(&info->username, "");

    ctx.info = info;
    ctx.pool = pool;
    ctx.key = NGX_HTTP_TGBOT_WEBHOOK_INFO_OTHER;

    if (ngx_array_init(&ctx.names, pool, 8, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_json_parse(body, ngx_http_tgbot_webhook_info_token,
                                   &ctx);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK || !info->found) {
        return NGX_DECLINED;
    }

    return ngx_http_tgbot_webhook_info_join(&ctx.names, pool, &info->names);
}


static ngx_int_t
ngx_http_tgbot_webhook_info_token(void *data,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_webhook_info_ctx_t  *ctx = data;

    switch (token->depth) {

    case 1:

        if (token->type == NGX_HTTP_TGBOT_JSON_KEY) {
            ctx->next = (token->text.len == sizeof("result") - 1
                         && ngx_strncmp(token->text.data, "result",
                                        sizeof("result") - 1)
                            == 0);

        } else if (token->type == NGX_HTTP_TGBOT_JSON_MAP_START) {
            ctx->result = ctx->next;
            ctx->info->found |= ctx->result;

        } else if (token->type == NGX_HTTP_TGBOT_JSON_MAP_END) {
            ctx->result = 0;
        }

        break;

    case 2:

        if (!ctx->result) {
            break;
        }

        if (token->type == NGX_HTTP_TGBOT_JSON_KEY) {
            ngx_http_tgbot_webhook_info_key(ctx, &token->text);
            break;
        }

        return ngx_http_tgbot_webhook_info_value(ctx, token);

    case 3:

        if (ctx->result && ctx->key == NGX_HTTP_TGBOT_WEBHOOK_INFO_NAMES) {
            return ngx_http_tgbot_webhook_info_name(ctx, token);
        }

        break;
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_webhook_info_key(ngx_http_tgbot_webhook_info_ctx_t *ctx,
    ngx_str_t *name)
{
    ngx_uint_t        i;
    const ngx_str_t  *key;

    key = ngx_http_tgbot_webhook_info_keys;

    for (i = 0; i < NGX_HTTP_TGBOT_WEBHOOK_INFO_OTHER; i++) {

        if (key[i].len == name->len
            && ngx_strncmp(key[i].data, name->data, name->len) == 0)
        {
            break;
        }
    }

    ctx->key = i;
}


static ngx_int_t
ngx_http_tgbot_webhook_info_value(ngx_http_tgbot_webhook_info_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_webhook_info_t  *info;

    info = ctx->info;

    switch (ctx->key) {

    case NGX_HTTP_TGBOT_WEBHOOK_INFO_URL:
        return ngx_http_tgbot_webhook_info_copy(ctx, &info->url, token);

    case NGX_HTTP_TGBOT_WEBHOOK_INFO_ADDRESS:
        return ngx_http_tgbot_webhook_info_copy(ctx, &info->address, token);

    case NGX_HTTP_TGBOT_WEBHOOK_INFO_MESSAGE:
        return ngx_http_tgbot_webhook_info_copy(ctx, &info->message, token);

    case NGX_HTTP_TGBOT_WEBHOOK_INFO_USERNAME:
        return ngx_http_tgbot_webhook_info_copy(ctx, &info->username, token);

    case NGX_HTTP_TGBOT_WEBHOOK_INFO_PENDING:
        ngx_http_tgbot_webhook_info_number(&info->pending, token);
        break;

    case NGX_HTTP_TGBOT_WEBHOOK_INFO_ERROR_DATE:
        ngx_http_tgbot_webhook_info_number(&info->error_date, token);
        break;

    case NGX_HTTP_TGBOT_WEBHOOK_INFO_MAX_CONNECTIONS:
        ngx_http_tgbot_webhook_info_number(&info->max_connections, token);
        break;

    case NGX_HTTP_TGBOT_WEBHOOK_INFO_CERTIFICATE:
        info->certificate = (token->type == NGX_HTTP_TGBOT_JSON_BOOLEAN
                             && token->text.len == sizeof("true") - 1);
        break;

    case NGX_HTTP_TGBOT_WEBHOOK_INFO_NAMES:

        if (token->type == NGX_HTTP_TGBOT_JSON_ARRAY_START) {
            info->has_names = 1;
        }

        break;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_webhook_info_copy(ngx_http_tgbot_webhook_info_ctx_t *ctx,
    ngx_str_t *dst, ngx_http_tgbot_json_token_t *token)
{
    if (token->type != NGX_HTTP_TGBOT_JSON_STRING) {
        return NGX_OK;
    }

    dst->len = token->text.len;
    dst->data = ngx_pstrdup(ctx->pool, &token->text);

    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_json_clean(dst);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_webhook_info_name(ngx_http_tgbot_webhook_info_ctx_t *ctx,
    ngx_http_tgbot_json_token_t *token)
{
    u_char      c;
    size_t      i;
    ngx_str_t  *name;

    if (token->type != NGX_HTTP_TGBOT_JSON_STRING) {
        return NGX_OK;
    }

    /* only what can be a name of an Update type is kept */

    for (i = 0; i < token->text.len; i++) {
        c = token->text.data[i];

        if ((c < 'a' || c > 'z') && c != '_') {
            return NGX_OK;
        }
    }

    name = ngx_array_push(&ctx->names);
    if (name == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_webhook_info_copy(ctx, name, token);
}


static void
ngx_http_tgbot_webhook_info_number(int64_t *dst,
    ngx_http_tgbot_json_token_t *token)
{
    int64_t  value;

    if (token->type == NGX_HTTP_TGBOT_JSON_NUMBER
        && ngx_http_tgbot_json_int64(&token->text, &value) == NGX_OK
        && value > 0)
    {
        *dst = value;
    }
}


ngx_int_t
ngx_http_tgbot_webhook_info_join(ngx_array_t *names, ngx_pool_t *pool,
    ngx_str_t *joined)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *name;
    ngx_uint_t   i;

    ngx_str_set(joined, "");

    if (names->nelts == 0) {
        return NGX_OK;
    }

    name = names->elts;
    len = 0;

    ngx_sort(name, names->nelts, sizeof(ngx_str_t),
             ngx_http_tgbot_webhook_info_compare);

    for (i = 0; i < names->nelts; i++) {
        len += name[i].len + 1;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    joined->data = p;

    for (i = 0; i < names->nelts; i++) {

        if (i
            && ngx_http_tgbot_webhook_info_compare(&name[i - 1], &name[i]) == 0)
        {
            continue;
        }

        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, name[i].data, name[i].len);
    }

    joined->len = p - joined->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_webhook_info_compare(const void *one, const void *two)
{
    const ngx_str_t  *a, *b;

    a = one;
    b = two;

    return ngx_memn2cmp(a->data, b->data, a->len, b->len);
}
