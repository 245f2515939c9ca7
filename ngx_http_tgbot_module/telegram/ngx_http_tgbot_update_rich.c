
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_update.h"
#include "ngx_http_tgbot_update_rich.h"


static void ngx_http_tgbot_update_rich_key(ngx_http_tgbot_update_rich_t *rich,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_rich_add(
    ngx_http_tgbot_update_rich_t *rich, ngx_http_tgbot_json_token_t *token,
    ngx_pool_t *pool);
static ngx_uint_t ngx_http_tgbot_update_rich_find(ngx_str_t *list,
    ngx_str_t *name);


ngx_int_t
ngx_http_tgbot_update_rich(ngx_http_tgbot_update_rich_t *rich,
    ngx_http_tgbot_json_token_t *token, ngx_pool_t *pool)
{
    switch (token->type) {

    case NGX_HTTP_TGBOT_JSON_KEY:
        ngx_http_tgbot_update_rich_key(rich, token);
        break;

    case NGX_HTTP_TGBOT_JSON_STRING:
        return ngx_http_tgbot_update_rich_add(rich, token, pool);

    case NGX_HTTP_TGBOT_JSON_MAP_END:

        if (token->depth < rich->depth) {
            rich->depth = 0;

            if (rich->text.len) {
                ngx_http_tgbot_json_clean(&rich->text);
            }
        }

        break;
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_update_rich_key(ngx_http_tgbot_update_rich_t *rich,
    ngx_http_tgbot_json_token_t *token)
{
    static ngx_str_t  outer[] = {
        ngx_string("blocks"),
        ngx_string("items"),
        ngx_string("cells"),
        ngx_string("buttons"),
        ngx_string("button"),
        ngx_string("caption"),
        ngx_null_string
    };

    static ngx_str_t  fields[] = {
        ngx_string("text"),
        ngx_string("label"),
        ngx_string("summary"),
        ngx_string("credit"),
        ngx_string("expression"),
        ngx_string("alternative_text"),
        ngx_null_string
    };

    if (token->depth <= rich->field) {
        rich->field = 0;
    }

    if (ngx_http_tgbot_update_rich_find(fields, &token->text)) {

        if (rich->field == 0) {
            rich->field = token->depth;
            rich->space = 1;
        }

        return;
    }

    if (!ngx_http_tgbot_update_rich_find(outer, &token->text)) {
        token->skip = 1;
        return;
    }

    if (rich->field == 0) {
        rich->space = 1;
    }
}


static ngx_int_t
ngx_http_tgbot_update_rich_add(ngx_http_tgbot_update_rich_t *rich,
    ngx_http_tgbot_json_token_t *token, ngx_pool_t *pool)
{
    size_t     len;
    ngx_str_t  *text;

    text = &rich->text;

    if (text->data == NULL) {
        rich->size = ngx_min(token->in->len, NGX_HTTP_TGBOT_UPDATE_MAX_STRING);

        text->data = ngx_pnalloc(pool, rich->size);
        if (text->data == NULL) {
            return NGX_ERROR;
        }
    }

    if (rich->space && text->len && text->len < rich->size) {
        text->data[text->len++] = ' ';
    }

    rich->space = 0;

    len = ngx_http_tgbot_json_cut(&token->text, rich->size - text->len);

    ngx_memcpy(text->data + text->len, token->text.data, len);
    text->len += len;

    /* after a cut nothing is added */

    if (len < token->text.len) {
        rich->size = text->len;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tgbot_update_rich_find(ngx_str_t *list, ngx_str_t *name)
{
    for ( /* void */ ; list->len; list++) {

        if (list->len == name->len
            && ngx_memcmp(list->data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
