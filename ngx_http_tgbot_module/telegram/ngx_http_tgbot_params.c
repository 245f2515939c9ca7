
/*
 * A program's call goes to the Bot API as it is, so its JSON is not parsed: the
 * outermost keys are looked for, and values are skipped.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_method_form.h"
#include "ngx_http_tgbot_params.h"


/* what is left of a JSON text */

typedef struct {
    u_char       *pos;
    u_char       *last;
} ngx_http_tgbot_params_json_t;


static void ngx_http_tgbot_params_json(ngx_http_tgbot_params_t *params,
    ngx_str_t *text);
static ngx_uint_t ngx_http_tgbot_params_key(ngx_http_tgbot_params_json_t *json,
    ngx_str_t *key);
static void ngx_http_tgbot_params_value(ngx_http_tgbot_params_json_t *json,
    ngx_str_t *value);
static u_char *ngx_http_tgbot_params_string(u_char *p, u_char *last);
static u_char *ngx_http_tgbot_params_container(u_char *p, u_char *last);
static u_char *ngx_http_tgbot_params_blank(u_char *p, u_char *last);
static void ngx_http_tgbot_params_form(ngx_http_tgbot_params_t *params,
    ngx_str_t *content_type, ngx_str_t *text);
static ngx_uint_t ngx_http_tgbot_params_true(ngx_str_t *value);


static ngx_str_t  ngx_http_tgbot_params_chat_id = ngx_string("chat_id");
static ngx_str_t  ngx_http_tgbot_params_paid =
    ngx_string("allow_paid_broadcast");


#define ngx_http_tgbot_params_equal(a, b)                                     \
    ((a)->len == (b)->len && ngx_memcmp((a)->data, (b)->data, (a)->len) == 0)


void
ngx_http_tgbot_params_find(ngx_http_tgbot_params_t *params,
    ngx_str_t *content_type, ngx_str_t *text)
{
    params->chat_len = 0;
    params->paid = 0;

    if (ngx_http_tgbot_method_form_type(content_type, "application/json")) {
        ngx_http_tgbot_params_json(params, text);
        return;
    }

    ngx_http_tgbot_params_form(params, content_type, text);
}


static void
ngx_http_tgbot_params_json(ngx_http_tgbot_params_t *params, ngx_str_t *text)
{
    ngx_str_t                     key, value;
    ngx_uint_t                    chat, paid;
    ngx_http_tgbot_params_json_t  json;

    json.last = text->data + text->len;
    json.pos = ngx_http_tgbot_params_blank(text->data, json.last);

    if (json.pos == json.last || *json.pos++ != '{') {
        return;
    }

    chat = 0;
    paid = 0;

    while (!(chat && (paid || !params->bulk))
           && ngx_http_tgbot_params_key(&json, &key))
    {

        ngx_http_tgbot_params_value(&json, &value);

        if (!chat
            && ngx_http_tgbot_params_equal(&key,
                                           &ngx_http_tgbot_params_chat_id))
        {
            chat = 1;

            if (value.len && (*value.data == '"' || *value.data == '-'
                              || (*value.data >= '0' && *value.data <= '9')))
            {
                params->chat_pos = value.data - text->data;
                params->chat_len = value.len;
            }

        } else if (!paid
                   && ngx_http_tgbot_params_equal(&key,
                                                  &ngx_http_tgbot_params_paid))
        {
            paid = 1;
            params->paid = ngx_http_tgbot_params_true(&value);
        }
    }
}


/* moves after the next key and its colon; 0: the object ends, or is broken */

static ngx_uint_t
ngx_http_tgbot_params_key(ngx_http_tgbot_params_json_t *json, ngx_str_t *key)
{
    u_char  *p, *last;

    last = json->last;
    p = ngx_http_tgbot_params_blank(json->pos, last);

    if (p < last && *p == ',') {
        p = ngx_http_tgbot_params_blank(p + 1, last);
    }

    if (p == last || *p != '"') {
        return 0;
    }

    key->data = p + 1;

    p = ngx_http_tgbot_params_string(p, last);
    key->len = p - 1 - key->data;

    p = ngx_http_tgbot_params_blank(p, last);

    if (p == last || *p != ':') {
        return 0;
    }

    json->pos = p + 1;

    return 1;
}


static void
ngx_http_tgbot_params_value(ngx_http_tgbot_params_json_t *json,
    ngx_str_t *value)
{
    u_char  *p, *last;

    last = json->last;
    p = ngx_http_tgbot_params_blank(json->pos, last);

    value->data = p;

    if (p < last && *p == '"') {
        p = ngx_http_tgbot_params_string(p, last);

    } else if (p < last && (*p == '{' || *p == '[')) {
        p = ngx_http_tgbot_params_container(p, last);

    } else {
        while (p < last && *p != ',' && *p != '}' && *p > ' ') {
            p++;
        }
    }

    value->len = p - value->data;
    json->pos = p;
}


/* the end of the string that begins at p, or last if it is not closed */

static u_char *
ngx_http_tgbot_params_string(u_char *p, u_char *last)
{
    u_char  *q, *start;

    start = p + 1;

    for (p = start; /* void */ ; p++) {

        p = memchr(p, '"', last - p);

        if (p == NULL) {
            return last;
        }

        for (q = p; q > start && q[-1] == '\\'; q--) { /* void */ }

        if ((p - q) % 2 == 0) {
            return p + 1;
        }
    }
}


/* the same of an object or array */

static u_char *
ngx_http_tgbot_params_container(u_char *p, u_char *last)
{
    ngx_uint_t  depth;

    depth = 0;

    while (p < last) {

        if (*p == '"') {
            p = ngx_http_tgbot_params_string(p, last);
            continue;
        }

        /* brackets and braces differ in these bits only: 5b, 5d, 7b, 7d */

        if ((*p & 0xd9) == 0x59) {

            if (*p == '{' || *p == '[') {
                depth++;

            } else if ((*p == '}' || *p == ']') && --depth == 0) {
                return p + 1;
            }
        }

        p++;
    }

    return last;
}


static u_char *
ngx_http_tgbot_params_blank(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t' || *p == CR || *p == LF)) {
        p++;
    }

    return p;
}


static void
ngx_http_tgbot_params_form(ngx_http_tgbot_params_t *params,
    ngx_str_t *content_type, ngx_str_t *text)
{
    ngx_str_t  value;

    if (ngx_http_tgbot_method_form_field(content_type, text, "chat_id", &value)
        == NGX_OK)
    {
        params->chat_pos = value.data - text->data;
        params->chat_len = value.len;
    }

    if (params->bulk
        && ngx_http_tgbot_method_form_field(content_type, text,
                                            "allow_paid_broadcast", &value)
           == NGX_OK)
    {
        params->paid = ngx_http_tgbot_params_true(&value);
    }
}


/* as to_bool() of td: true, yes, or 1 */

static ngx_uint_t
ngx_http_tgbot_params_true(ngx_str_t *value)
{
    ngx_str_t  text;

    text = *value;

    if (text.len > 2 && text.data[0] == '"') {
        text.data++;
        text.len -= 2;
    }

    return (text.len == 4
            && ngx_strncasecmp(text.data, (u_char *) "true", 4) == 0)
           || (text.len == 3
               && ngx_strncasecmp(text.data, (u_char *) "yes", 3) == 0)
           || (text.len == 1 && text.data[0] == '1');
}


ngx_int_t
ngx_http_tgbot_params_chat(ngx_http_tgbot_params_t *params, ngx_str_t *text,
    ngx_str_t *chat, ngx_pool_t *pool)
{
    u_char  *src, *dst;

    chat->data = text->data + params->chat_pos;
    chat->len = params->chat_len;

    if (chat->len >= 2 && chat->data[0] == '"') {
        chat->data++;
        chat->len -= 2;
    }

    if (memchr(chat->data, '%', chat->len) == NULL) {
        return NGX_OK;
    }

    src = chat->data;

    dst = ngx_pnalloc(pool, chat->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    chat->data = dst;

    ngx_unescape_uri(&dst, &src, chat->len, 0);

    chat->len = dst - chat->data;

    return NGX_OK;
}
