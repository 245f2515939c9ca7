
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_variables.h"


/* the integers of an Update; each has a has_... bit */

typedef enum {
    NGX_HTTP_TGBOT_VARIABLE_UPDATE_ID = 0,
    NGX_HTTP_TGBOT_VARIABLE_CHAT_ID,
    NGX_HTTP_TGBOT_VARIABLE_USER_ID,
    NGX_HTTP_TGBOT_VARIABLE_MESSAGE_ID,
    NGX_HTTP_TGBOT_VARIABLE_THREAD_ID,
    NGX_HTTP_TGBOT_VARIABLE_DATE,
    NGX_HTTP_TGBOT_VARIABLE_AGE,
    NGX_HTTP_TGBOT_VARIABLE_USER_CHAT_ID,
    NGX_HTTP_TGBOT_VARIABLE_DIRECT_ID,
    NGX_HTTP_TGBOT_VARIABLE_BUSINESS_BOT_ID
} ngx_http_tgbot_variable_number_e;


/* "1", or "0" if that is known */

typedef enum {
    NGX_HTTP_TGBOT_VARIABLE_IS_BOT = 0,
    NGX_HTTP_TGBOT_VARIABLE_EPHEMERAL
} ngx_http_tgbot_variable_flag_e;


static ngx_int_t ngx_http_tgbot_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_tgbot_variable_html(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_tgbot_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_tgbot_variable_flag(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_tgbot_variable_bot(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_tgbot_variable_verdict(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_tgbot_variable_attempts(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_tgbot_variable_call(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_tgbot_variable_escape(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_str_t *text, ngx_uint_t escape);
static ngx_int_t ngx_http_tgbot_variable_int64(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, int64_t number);
static void ngx_http_tgbot_variable_set(ngx_http_variable_value_t *v,
    ngx_str_t *text);


static ngx_http_variable_t  ngx_http_tgbot_variables[] = {

    { ngx_string("tgbot_bot"), NULL,
      ngx_http_tgbot_variable_bot, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_update_id"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_UPDATE_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_update_type"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, type),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_chat_id"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_CHAT_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_chat_type"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, chat_type),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_user_id"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_USER_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_username"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, username),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_first_name"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, first_name),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_language"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, language),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_text"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, text),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_command"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, command),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_args"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, args),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_command_bot"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, command_bot),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_data"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, data),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_message_id"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_MESSAGE_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_thread_id"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_THREAD_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_message_kind"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, message_kind),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_query_id"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, query_id),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_date"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_DATE,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_age"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_AGE,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_is_bot"), NULL,
      ngx_http_tgbot_variable_flag, NGX_HTTP_TGBOT_VARIABLE_IS_BOT,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_business_connection_id"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, business_connection_id),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_sender_business_bot"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_BUSINESS_BOT_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_user_chat_id"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_USER_CHAT_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_direct_messages_topic_id"), NULL,
      ngx_http_tgbot_variable_number, NGX_HTTP_TGBOT_VARIABLE_DIRECT_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_media_group_id"), NULL,
      ngx_http_tgbot_variable_text,
      offsetof(ngx_http_tgbot_update_t, media_group_id),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_ephemeral"), NULL,
      ngx_http_tgbot_variable_flag, NGX_HTTP_TGBOT_VARIABLE_EPHEMERAL,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_html_first_name"), NULL,
      ngx_http_tgbot_variable_html,
      offsetof(ngx_http_tgbot_update_t, first_name),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_html_text"), NULL,
      ngx_http_tgbot_variable_html,
      offsetof(ngx_http_tgbot_update_t, text),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_verdict"), NULL,
      ngx_http_tgbot_variable_verdict, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_attempts"), NULL,
      ngx_http_tgbot_variable_attempts, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_api_uri"), NULL,
      ngx_http_tgbot_variable_call,
      offsetof(ngx_http_tgbot_ctx_t, api_uri),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tgbot_method"), NULL,
      ngx_http_tgbot_variable_call,
      offsetof(ngx_http_tgbot_ctx_t, method),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_int_t
ngx_http_tgbot_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             *text;
    ngx_http_tgbot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_tgbot_module);

    if (ctx == NULL || ctx->update == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = (ngx_str_t *) ((u_char *) ctx->update + data);

    if (text->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_tgbot_variable_escape(r, v, text, ctx->escape);
}


/* text for a message with parse_mode=HTML */

static ngx_int_t
ngx_http_tgbot_variable_html(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             *text, html;
    ngx_http_tgbot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_tgbot_module);

    if (ctx == NULL || ctx->update == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = (ngx_str_t *) ((u_char *) ctx->update + data);

    if (text->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    html.len = text->len + ngx_escape_html(NULL, text->data, text->len);

    html.data = ngx_pnalloc(r->pool, html.len);
    if (html.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_html(html.data, text->data, text->len);

    return ngx_http_tgbot_variable_escape(r, v, &html, ctx->escape);
}


static ngx_int_t
ngx_http_tgbot_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    int64_t                   number;
    ngx_uint_t                has;
    ngx_http_tgbot_ctx_t     *ctx;
    ngx_http_tgbot_update_t  *update;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_tgbot_module);

    if (ctx == NULL || ctx->update == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    update = ctx->update;

    switch (data) {

    case NGX_HTTP_TGBOT_VARIABLE_UPDATE_ID:
        has = update->has_update_id;
        number = update->update_id;
        break;

    case NGX_HTTP_TGBOT_VARIABLE_CHAT_ID:
        has = update->has_chat_id;
        number = update->chat_id;
        break;

    case NGX_HTTP_TGBOT_VARIABLE_USER_ID:
        has = update->has_user_id;
        number = update->user_id;
        break;

    case NGX_HTTP_TGBOT_VARIABLE_MESSAGE_ID:
        has = update->has_message_id;
        number = update->message_id;
        break;

    case NGX_HTTP_TGBOT_VARIABLE_THREAD_ID:
        has = update->has_thread_id;
        number = update->thread_id;
        break;

    case NGX_HTTP_TGBOT_VARIABLE_DATE:
        has = update->has_date;
        number = update->date;
        break;

    case NGX_HTTP_TGBOT_VARIABLE_USER_CHAT_ID:
        has = update->has_user_chat_id;
        number = update->user_chat_id;
        break;

    case NGX_HTTP_TGBOT_VARIABLE_DIRECT_ID:
        has = update->has_direct_id;
        number = update->direct_id;
        break;

    case NGX_HTTP_TGBOT_VARIABLE_BUSINESS_BOT_ID:
        has = update->has_business_bot_id;
        number = update->business_bot_id;
        break;

    default: /* NGX_HTTP_TGBOT_VARIABLE_AGE */
        has = update->has_date;

        /* 0 if this clock is behind Telegram's */
        number = (update->date < ngx_time()) ? ngx_time() - update->date : 0;
        break;
    }

    if (!has) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_tgbot_variable_int64(r, v, number);
}


static ngx_int_t
ngx_http_tgbot_variable_flag(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_uint_t                known;
    ngx_http_tgbot_ctx_t     *ctx;
    ngx_http_tgbot_update_t  *update;

    static ngx_str_t  values[] = { ngx_string("0"), ngx_string("1") };

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_tgbot_module);

    if (ctx == NULL || ctx->update == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    update = ctx->update;

    known = (data == NGX_HTTP_TGBOT_VARIABLE_IS_BOT)
            ? update->has_user_id : update->has_ephemeral_id;

    if (!known) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_tgbot_variable_set(v,
                            &values[data == NGX_HTTP_TGBOT_VARIABLE_EPHEMERAL
                                    || update->is_bot]);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_variable_bot(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_tgbot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_tgbot_module);

    if (ctx == NULL || ctx->bot == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_tgbot_variable_set(v, &ctx->bot->name);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_variable_verdict(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_tgbot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_tgbot_module);

    if (ctx == NULL || ctx->verdict == NGX_HTTP_TGBOT_NONE) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_tgbot_variable_set(v, &ngx_http_tgbot_verdict_names[ctx->verdict]);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_variable_attempts(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_tgbot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_tgbot_module);

    if (ctx == NULL || ctx->update == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_tgbot_variable_int64(r, v, (int64_t) ctx->attempts);
}


static ngx_int_t
ngx_http_tgbot_variable_call(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             *text;
    ngx_http_tgbot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_tgbot_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = (ngx_str_t *) ((u_char *) ctx + data);

    if (text->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_tgbot_variable_set(v, text);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_variable_escape(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_str_t *text, ngx_uint_t escape)
{
    ngx_str_t  escaped;

    escaped = *text;

    switch (escape) {

    case NGX_HTTP_TGBOT_ESCAPE_JSON:

        if (ngx_http_tgbot_json_mark(&escaped, text, r->pool) != NGX_OK) {
            return NGX_ERROR;
        }

        break;

    case NGX_HTTP_TGBOT_ESCAPE_ARG:
        escaped.len += 2 * ngx_escape_uri(NULL, text->data, text->len,
                                          NGX_ESCAPE_URI_COMPONENT);

        escaped.data = ngx_pnalloc(r->pool, escaped.len);
        if (escaped.data == NULL) {
            return NGX_ERROR;
        }

        (void) ngx_escape_uri(escaped.data, text->data, text->len,
                              NGX_ESCAPE_URI_COMPONENT);
        break;
    }

    ngx_http_tgbot_variable_set(v, &escaped);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_variable_int64(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, int64_t number)
{
    ngx_str_t  text;

    text.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = ngx_http_tgbot_json_write_int64(text.data, number) - text.data;

    ngx_http_tgbot_variable_set(v, &text);

    return NGX_OK;
}


static void
ngx_http_tgbot_variable_set(ngx_http_variable_value_t *v, ngx_str_t *text)
{
    v->len = text->len;
    v->data = text->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}


ngx_int_t
ngx_http_tgbot_variables_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_tgbot_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
