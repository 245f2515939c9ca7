
/*
 * Requests of getWebhookInfo and setWebhook.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_register.h"


/* ms; Telegram connects to the webhook before it answers */
#define NGX_HTTP_TGBOT_REGISTER_TIMEOUT  20000

/* fields allocated at first; setWebhook has up to 7 */
#define NGX_HTTP_TGBOT_REGISTER_FIELDS   8


static ngx_int_t ngx_http_tgbot_register_fields(
    ngx_http_tgbot_register_task_t *task, ngx_array_t *fields);
static ngx_int_t ngx_http_tgbot_register_field(ngx_array_t *fields,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_http_tgbot_register_allowed(
    ngx_http_tgbot_register_task_t *task, ngx_array_t *fields);
static ngx_int_t ngx_http_tgbot_register_json(
    ngx_http_tgbot_register_task_t *task, ngx_array_t *fields);


ngx_int_t
ngx_http_tgbot_register_request(ngx_http_tgbot_register_task_t *task,
    const char *method)
{
    u_char                 *last;
    size_t                  len;
    ngx_array_t            *fields;
    ngx_http_tgbot_bot_t   *bot;
    ngx_http_tgbot_curl_t  *call;

    bot = task->bot;
    call = &task->call;

    len = bot->reg->api.len + sizeof("/bot/test/") + bot->token.len
          + ngx_strlen(method);

    call->url = ngx_pnalloc(task->pool, len);
    if (call->url == NULL) {
        return NGX_ERROR;
    }

    last = ngx_snprintf(call->url, len, "%V/bot%V/%s%s", &bot->reg->api,
                        &bot->token,
                        ngx_http_tgbot_bot_test(bot) ? "test/" : "", method);
    *last = '\0';

    call->ca = bot->reg->ca;
    call->timeout = NGX_HTTP_TGBOT_REGISTER_TIMEOUT;
    call->form = NULL;

    ngx_str_null(&call->body);

    if (!task->setting) {
        return NGX_OK;
    }

    fields = ngx_array_create(task->pool, NGX_HTTP_TGBOT_REGISTER_FIELDS,
                              sizeof(ngx_http_tgbot_curl_field_t));
    if (fields == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_register_fields(task, fields) != NGX_OK) {
        return NGX_ERROR;
    }

    if (bot->reg->certificate.len) {
        call->form = fields;
        return NGX_OK;
    }

    return ngx_http_tgbot_register_json(task, fields);
}


static ngx_int_t
ngx_http_tgbot_register_fields(ngx_http_tgbot_register_task_t *task,
    ngx_array_t *fields)
{
    u_char                          *p;
    ngx_str_t                        value;
    ngx_http_tgbot_curl_field_t     *field;
    ngx_http_tgbot_register_conf_t  *reg;

    reg = task->bot->reg;

    if (ngx_http_tgbot_register_field(fields, "url", &reg->url) != NGX_OK) {
        return NGX_ERROR;
    }

    if (task->bot->secret.len
        && ngx_http_tgbot_register_field(fields, "secret_token",
                                         &task->bot->secret)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (reg->address.len
        && ngx_http_tgbot_register_field(fields, "ip_address", &reg->address)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (reg->max_connections) {
        p = ngx_pnalloc(task->pool, NGX_INT_T_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        value.data = p;
        value.len = ngx_sprintf(p, "%ui", reg->max_connections) - p;

        if (ngx_http_tgbot_register_field(fields, "max_connections", &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (reg->allowed
        && ngx_http_tgbot_register_allowed(task, fields) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (reg->drop_pending && ngx_http_tgbot_register_foreign(task)) {
        ngx_str_set(&value, "true");

        if (ngx_http_tgbot_register_field(fields, "drop_pending_updates",
                                          &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (reg->certificate.len) {

        if (ngx_http_tgbot_register_field(fields, "certificate",
                                          &reg->certificate)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        field = fields->elts;
        field[fields->nelts - 1].filename = "certificate.pem";
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_register_field(ngx_array_t *fields, const char *name,
    ngx_str_t *value)
{
    ngx_http_tgbot_curl_field_t  *field;

    field = ngx_array_push(fields);
    if (field == NULL) {
        return NGX_ERROR;
    }

    field->name = name;
    field->value = *value;
    field->filename = NULL;

    return NGX_OK;
}


/* allowed_updates as a JSON array; an empty array means Telegram's default */

static ngx_int_t
ngx_http_tgbot_register_allowed(ngx_http_tgbot_register_task_t *task,
    ngx_array_t *fields)
{
    u_char      *p;
    ngx_str_t   *names, value;
    ngx_uint_t   i;

    names = &task->bot->reg->names;

    /* each comma becomes "," with its quotes: three characters */

    value.data = ngx_pnalloc(task->pool, 3 * names->len + sizeof("[\"\"]"));
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = value.data;

    *p++ = '[';

    if (names->len) {
        *p++ = '"';

        for (i = 0; i < names->len; i++) {

            if (names->data[i] == ',') {
                p = ngx_cpymem(p, "\",\"", 3);

            } else {
                *p++ = names->data[i];
            }
        }

        *p++ = '"';
    }

    *p++ = ']';

    value.len = p - value.data;

    return ngx_http_tgbot_register_field(fields, "allowed_updates", &value);
}


/* no value has characters that JSON would require to escape */

static ngx_int_t
ngx_http_tgbot_register_json(ngx_http_tgbot_register_task_t *task,
    ngx_array_t *fields)
{
    u_char                       *p;
    size_t                        len;
    ngx_uint_t                    i, quote;
    ngx_http_tgbot_curl_field_t  *field;

    field = fields->elts;
    len = sizeof("{}");

    for (i = 0; i < fields->nelts; i++) {
        len += ngx_strlen(field[i].name) + field[i].value.len
               + sizeof(",\"\":\"\"");
    }

    p = ngx_pnalloc(task->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    task->call.body.data = p;

    *p++ = '{';

    for (i = 0; i < fields->nelts; i++) {
        quote = ngx_strcmp(field[i].name, "max_connections") != 0
                && ngx_strcmp(field[i].name, "allowed_updates") != 0
                && ngx_strcmp(field[i].name, "drop_pending_updates") != 0;

        p = ngx_sprintf(p, quote ? "%s\"%s\":\"%V\"" : "%s\"%s\":%V",
                        i ? "," : "", field[i].name, &field[i].value);
    }

    *p++ = '}';

    task->call.body.len = p - task->call.body.data;

    return NGX_OK;
}
