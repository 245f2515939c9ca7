
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_authenticate.h"
#include "ngx_http_tgbot_form.h"
#include "ngx_http_tgbot_header.h"


/* wrong secrets are reported once in as many seconds, with their number */
#define NGX_HTTP_TGBOT_AUTHENTICATE_WARN  60


static ngx_uint_t ngx_http_tgbot_authenticate_secret(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot);
static ngx_uint_t ngx_http_tgbot_authenticate_equal(ngx_str_t *secret,
    ngx_str_t *given);
static void ngx_http_tgbot_authenticate_warn(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot);


ngx_uint_t
ngx_http_tgbot_authenticate(ngx_http_request_t *r, ngx_http_tgbot_bot_t *bot)
{
    if (bot->secret.len && !ngx_http_tgbot_authenticate_secret(r, bot)) {
        ngx_http_tgbot_authenticate_warn(r, bot);
        return NGX_HTTP_UNAUTHORIZED;
    }

    if (r->method != NGX_HTTP_POST) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "tgbot: bot \"%V\": method \"%V\" instead of POST",
                      &bot->name, &r->method_name);
        return NGX_HTTP_NOT_ALLOWED;
    }

    if (r->headers_in.content_type == NULL
        || !ngx_http_tgbot_form_type(&r->headers_in.content_type->value,
                                     "application/json"))
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "tgbot: bot \"%V\": Content-Type is not "
                      "application/json", &bot->name);
        return NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }

    return 0;
}


static ngx_uint_t
ngx_http_tgbot_authenticate_secret(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot)
{
    ngx_str_t         given;
    ngx_uint_t        current, old;
    ngx_table_elt_t  *h;

    ngx_str_null(&given);

    h = ngx_http_tgbot_header(&r->headers_in.headers,
                              "X-Telegram-Bot-Api-Secret-Token", NULL);

    if (h) {
        given = h->value;
    }

    current = ngx_http_tgbot_authenticate_equal(&bot->secret, &given);
    old = ngx_http_tgbot_authenticate_equal(&bot->old_secret, &given);

    return current | old;
}


/* takes the time of the configured length, whatever is given */

static ngx_uint_t
ngx_http_tgbot_authenticate_equal(ngx_str_t *secret, ngx_str_t *given)
{
    u_char       c;
    size_t       i;
    ngx_uint_t   diff;

    diff = (secret->len == 0) | (secret->len ^ given->len);

    for (i = 0; i < secret->len; i++) {
        c = (i < given->len) ? given->data[i] : 0;
        diff |= secret->data[i] ^ c;
    }

    return diff == 0;
}


static void
ngx_http_tgbot_authenticate_warn(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot)
{
    bot->unauthorized_secrets++;

    if (ngx_time() - bot->secret_warned < NGX_HTTP_TGBOT_AUTHENTICATE_WARN) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "tgbot: bot \"%V\": wrong or missing secret token",
                      &bot->name);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "tgbot: bot \"%V\": wrong or missing secret token, "
                  "%ui such requests since the last warning",
                  &bot->name, bot->unauthorized_secrets);

    bot->unauthorized_secrets = 0;
    bot->secret_warned = ngx_time();
}
