
/* the requests by which a Bot API call is made */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_send.h"


ngx_int_t
ngx_http_tgbot_send_prepare(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *r, ngx_str_t *uri, ngx_str_t *args)
{
    u_char                 *p;
    ngx_http_tgbot_bot_t   *bot;
    ngx_http_tgbot_ctx_t   *ctx;
    ngx_http_tgbot_send_t  *send;

    send = call->data;
    bot = send->bot;
    ctx = send->ctx;

    ctx->method = send->method->name;

    ngx_http_set_ctx(r, ctx, ngx_http_tgbot_module);

    if (ngx_http_tgbot_bot_uri(r, ctx, bot->conf->api, uri, args) != NGX_OK) {
        return NGX_ERROR;
    }

    if (uri->len == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "tgbot: the value of \"tgbot_api\" is empty");
        return NGX_DECLINED;
    }

    /* from here on: the location's own URI must not hold the token */

    p = ngx_pnalloc(r->pool, sizeof("/bot/") - 1 + bot->token.len
                             + send->method->name.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->api_uri.data = p;

    p = ngx_cpymem(p, "/bot", sizeof("/bot") - 1);
    p = ngx_cpymem(p, bot->token.data, bot->token.len);
    *p++ = '/';
    p = ngx_cpymem(p, send->method->name.data, send->method->name.len);

    ctx->api_uri.len = p - ctx->api_uri.data;

    send->started = 1;
    (void) ngx_http_tgbot_stats_call(bot->stats, NGX_HTTP_TGBOT_CALL_API,
                                     NGX_HTTP_TGBOT_CALL_STARTED);

    return NGX_OK;
}


/*
 * An access_log of the subrequest must not find the token, neither in our
 * variable nor in one that was made of it.
 */

void
ngx_http_tgbot_send_closing(ngx_http_tgbot_call_t *call, ngx_http_request_t *r)
{
    ngx_str_t                   value;
    ngx_uint_t                  i;
    ngx_array_t                *tokens;
    ngx_http_tgbot_send_t      *send;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_variable_value_t  *v;

    send = call->data;
    tokens = ngx_http_tgbot_bot_tokens(send->bot);

    ngx_str_null(&send->ctx->api_uri);

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!clcf->log_subrequest) {
        return;
    }

    /* a rewrite to $tgbot_api_uri puts it there */

    if (ngx_http_tgbot_redact_holds(tokens, &r->uri)) {
        r->uri.len = 0;
    }

    if (ngx_http_tgbot_redact_holds(tokens, &r->args)) {
        r->args.len = 0;
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    v = r->variables;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        value.data = v[i].data;
        value.len = v[i].len;

        if (v[i].valid && ngx_http_tgbot_redact_holds(tokens, &value)) {
            v[i].valid = 0;
            v[i].not_found = 1;
        }
    }
}


void
ngx_http_tgbot_send_count(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_capture_t *result)
{
    ngx_http_tgbot_bot_t         *bot;
    ngx_http_tgbot_api_result_e   r;

    bot = send->bot;

    if (!send->started) {
        return;
    }

    send->started = 0;

    (void) ngx_http_tgbot_bot_called(bot, NGX_HTTP_TGBOT_CALL_API, result);

    if (result->outcome != NGX_HTTP_TGBOT_ANSWERED
        || result->status < NGX_HTTP_OK)
    {
        r = NGX_HTTP_TGBOT_API_ERROR;

    } else if (result->status < NGX_HTTP_SPECIAL_RESPONSE) {
        r = NGX_HTTP_TGBOT_API_OK;

    } else if (result->status == NGX_HTTP_TOO_MANY_REQUESTS) {
        r = NGX_HTTP_TGBOT_API_429;

    } else {
        r = (result->status < NGX_HTTP_INTERNAL_SERVER_ERROR)
            ? NGX_HTTP_TGBOT_API_4XX
            : NGX_HTTP_TGBOT_API_5XX;
    }

    send->results[r]++;

    ngx_http_tgbot_stats_api(bot->stats, &send->method->name, r);
}
