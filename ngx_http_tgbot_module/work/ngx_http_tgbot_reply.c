
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_reply.h"


static ngx_int_t ngx_http_tgbot_reply_json(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_complex_value_t *cv,
    ngx_http_variable_value_t *base, ngx_str_t *value);
static ngx_int_t ngx_http_tgbot_reply_parse(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_str_t *value,
    ngx_http_tgbot_answer_t *answer);


static ngx_str_t  ngx_http_tgbot_reply_type = ngx_string("application/json");


ngx_int_t
ngx_http_tgbot_reply_base(ngx_http_request_t *r,
    ngx_http_tgbot_loc_conf_t *conf, ngx_http_variable_value_t **base)
{
    ngx_uint_t               i;
    ngx_http_tgbot_reply_t  *reply;

    *base = NULL;

    if (conf->replies == NULL) {
        return NGX_OK;
    }

    reply = conf->replies->elts;

    for (i = 0; i < conf->replies->nelts; i++) {

        if (reply[i].json) {
            *base = ngx_http_tgbot_bot_variables(r, NULL);
            return *base ? NGX_OK : NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_reply_evaluate(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_variable_value_t *base,
    ngx_http_tgbot_answer_t *answer)
{
    ngx_int_t                rc;
    ngx_str_t                value;
    ngx_uint_t               i;
    ngx_array_t             *replies;
    ngx_http_tgbot_reply_t  *reply;

    replies = ctx->bot->conf->replies;

    if (replies == NULL) {
        return NGX_DECLINED;
    }

    reply = replies->elts;

    for (i = 0; i < replies->nelts; i++) {

        rc = reply[i].json
             ? ngx_http_tgbot_reply_json(r, ctx, &reply[i].value, base, &value)
             : ngx_http_tgbot_bot_value(r, &reply[i].value, &value);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len == 0) {
            continue;
        }

        if (reply[i].json) {
            return ngx_http_tgbot_reply_parse(r, ctx, &value, answer);
        }

        rc = ngx_http_tgbot_answer_text(answer, &value, ctx->update, r->pool);

        if (rc == NGX_OK && answer->cut) {
            ngx_http_tgbot_bot_cut(ctx->bot, ctx->update->update_id);
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }

        /* no text answers this update (a poll, an edit): try the next reply */
    }

    return NGX_DECLINED;
}


/*
 * Text from users must not end a JSON string, even if it passes through a map,
 * which may cut it.  So this module's variables mark the characters that need
 * an escape, and all variables are evaluated again on a copy of the values that
 * were cached before.  No other code sees the marked values.
 */

static ngx_int_t
ngx_http_tgbot_reply_json(ngx_http_request_t *r, ngx_http_tgbot_ctx_t *ctx,
    ngx_http_complex_value_t *cv, ngx_http_variable_value_t *base,
    ngx_str_t *value)
{
    ngx_int_t                   rc;
    ngx_http_variable_value_t  *saved, *copy;

    copy = ngx_http_tgbot_bot_variables(r, base);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    saved = r->variables;

    r->variables = copy;
    ctx->escape = NGX_HTTP_TGBOT_ESCAPE_JSON;

    rc = ngx_http_complex_value(r, cv, value);

    ctx->escape = NGX_HTTP_TGBOT_ESCAPE_NONE;
    r->variables = saved;

    return (rc == NGX_OK) ? ngx_http_tgbot_json_unmark(value, r->pool) : rc;
}


static ngx_int_t
ngx_http_tgbot_reply_parse(ngx_http_request_t *r, ngx_http_tgbot_ctx_t *ctx,
    ngx_str_t *value, ngx_http_tgbot_answer_t *answer)
{
    ngx_uint_t   level;
    const char  *problem;

    if (ngx_http_tgbot_answer_parse(answer, &ngx_http_tgbot_reply_type, value,
                                    ctx->update, r->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    problem = answer->problem;

    if (problem == NULL && answer->calls.nelts == 0) {
        problem = "has no \"method\"";
        answer->reason = NGX_HTTP_TGBOT_ANSWER_BAD_METHOD;
    }

    if (problem == NULL) {
        return NGX_OK;
    }

    if (ngx_http_tgbot_bot_redact(ctx->bot, &answer->culprit,
                                  NGX_HTTP_TGBOT_METHOD_LEN, r->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    level = ngx_http_tgbot_bot_ignored(ctx->bot, answer->reason);

    ngx_log_error(level, r->connection->log, 0,
                  "tgbot: bot \"%V\", update %L: the value of \"tgbot_reply "
                  "json\" %s%s%V%s, no reply",
                  &ctx->bot->name, ctx->update->update_id, problem,
                  answer->culprit.len ? " \"" : "", &answer->culprit,
                  answer->culprit.len ? "\"" : "");

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_tgbot_ride_allowed(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_answer_t *answer, ngx_uint_t own)
{
    ngx_http_tgbot_method_t  *method;

    if (answer->calls.nelts == 0) {
        return 0;
    }

    method = answer->calls.elts;

    /*
     * Telegram treats a larger response as a broken connection, and redelivers
     * the update
     */

    if (method->body.len > NGX_HTTP_TGBOT_METHOD_SIZE) {
        return 0;
    }

    if (bot->conf->api == NULL) {
        return 1;
    }

    /*
     * Telegram makes the call that rides once it has read the response, so
     * that calls behind it would come first.
     */

    if (answer->calls.nelts != 1) {
        return 0;
    }

    return bot->conf->reply_via == NGX_HTTP_TGBOT_VIA_RESPONSE
           || (bot->conf->reply_via == NGX_HTTP_TGBOT_VIA_AUTO && own);
}


void
ngx_http_tgbot_ride_unsent(ngx_http_tgbot_bot_t *bot, ngx_log_t *log,
    ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        ngx_http_tgbot_stats_count(bot->stats, NGX_HTTP_TGBOT_STAT_UNSENT);
    }

    if (bot->unsent_warned) {
        return;
    }

    bot->unsent_warned = 1;

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "tgbot: bot \"%V\" has %ui Bot API calls to make besides "
                  "the one that rides in the webhook's response, or after it, "
                  "and no \"tgbot_api\": such calls are dropped",
                  &bot->name, n);
}
