
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/* time between probes of a bot whose token is refused, ms */
#define NGX_HTTP_TGBOT_BOT_PROBE_TIME    60000

/* time between lines in the log about texts that are cut, s */
#define NGX_HTTP_TGBOT_BOT_CUT_TIME  60

/* time between errors in the log about answers ignored for one reason, s */
#define NGX_HTTP_TGBOT_BOT_IGNORED_TIME  60


static void ngx_http_tgbot_bot_probe(ngx_event_t *ev);


void
ngx_http_tgbot_bot_init(ngx_http_tgbot_bot_t *bot)
{
    if (bot->initialized) {
        return;
    }

    ngx_rbtree_init(&bot->jobs, &bot->sentinel, ngx_rbtree_insert_value);
    ngx_queue_init(&bot->paused);

    bot->initialized = 1;
}


ngx_http_tgbot_bot_t *
ngx_http_tgbot_bot_named(ngx_http_tgbot_main_conf_t *tmcf, ngx_str_t *name)
{
    ngx_uint_t              i;
    ngx_http_tgbot_bot_t  **bots;

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {
        if (bots[i]->name.len == name->len
            && ngx_strncmp(bots[i]->name.data, name->data, name->len) == 0)
        {
            return bots[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_tgbot_bot_value(ngx_http_request_t *r, ngx_http_complex_value_t *cv,
    ngx_str_t *value)
{
    ngx_http_variable_value_t   *v;
    ngx_http_script_var_code_t  *code;

    code = cv->lengths;

    /* the codes of the length are that of the variable, and NULL as the end */

    if (code == NULL
        || code->code
           != (ngx_http_script_code_pt) (void *)
                                      ngx_http_script_copy_var_len_code
        || *(uintptr_t *) (code + 1) != (uintptr_t) NULL)
    {
        return ngx_http_complex_value(r, cv, value);
    }

    v = ngx_http_get_flushed_variable(r, code->index);

    if (v == NULL || v->not_found) {
        ngx_str_null(value);
        return NGX_OK;
    }

    value->len = v->len;
    value->data = v->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_bot_uri(ngx_http_request_t *r, ngx_http_tgbot_ctx_t *ctx,
    ngx_http_tgbot_uri_t *value, ngx_str_t *uri, ngx_str_t *args)
{
    ngx_int_t                   rc;
    ngx_http_variable_value_t  *saved, *copy;

    copy = NULL;

    if (value->has_args) {
        copy = ngx_http_tgbot_bot_variables(r, NULL);
        if (copy == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_complex_value(r, &value->path, uri) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_null(args);

    if (uri->len == 0) {
        return NGX_OK;
    }

    /* a path without variables was checked with the configuration */

    if (value->path.lengths
        && (uri->data[0] != '/' || !ngx_http_tgbot_bot_path_is_safe(uri)))
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "tgbot: \"%V\" is not the path of an internal location",
                      uri);
        return NGX_DECLINED;
    }

    if (!value->has_args) {
        return NGX_OK;
    }

    /* a map caches its value: on the copy it sees the escaped variables */

    saved = r->variables;

    r->variables = copy;
    ctx->escape = NGX_HTTP_TGBOT_ESCAPE_ARG;

    rc = ngx_http_complex_value(r, &value->args, args);

    ctx->escape = NGX_HTTP_TGBOT_ESCAPE_NONE;
    r->variables = saved;

    return rc;
}


ngx_http_variable_value_t *
ngx_http_tgbot_bot_variables(ngx_http_request_t *r,
    ngx_http_variable_value_t *base)
{
    size_t                      size;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_variable_value_t  *copy;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    copy = ngx_palloc(r->pool, size);

    if (copy) {
        ngx_memcpy(copy, base ? base : r->variables, size);
    }

    return copy;
}


ngx_uint_t
ngx_http_tgbot_bot_path_is_safe(ngx_str_t *path)
{
    size_t   len;
    u_char  *p, *last, *segment;

    last = path->data + path->len;
    segment = path->data;

    for (p = segment; p <= last; p++) {

        if (p < last && *p == '\0') {
            return 0;
        }

        if (p < last && *p != '/') {
            continue;
        }

        len = p - segment;

        if ((len == 1 && segment[0] == '.')
            || (len == 2 && segment[0] == '.' && segment[1] == '.'))
        {
            return 0;
        }

        segment = p + 1;
    }

    return 1;
}


void
ngx_http_tgbot_bot_pause(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_pause_t *pause)
{
    if (pause->probe) {
        pause->probe = 0;
        bot->probing = 0;
        ngx_queue_insert_head(&bot->paused, &pause->queue);

    } else {
        ngx_queue_insert_tail(&bot->paused, &pause->queue);
    }

    pause->waiting = 1;

    ngx_http_tgbot_bot_refused(bot);
}


void
ngx_http_tgbot_bot_refused(ngx_http_tgbot_bot_t *bot)
{
    if (!bot->unauthorized) {
        bot->unauthorized = 1;
        ngx_http_tgbot_stats_unauthorized(bot->stats, 1);

        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\" is unauthorized, its calls wait and "
                      "one a minute is tried: check its token", &bot->name);
    }

    if (!bot->probe.timer_set) {
        bot->probe.handler = ngx_http_tgbot_bot_probe;
        bot->probe.data = bot;
        bot->probe.log = bot->clcf->error_log;
        bot->probe.cancelable = 1;

        ngx_add_timer(&bot->probe, NGX_HTTP_TGBOT_BOT_PROBE_TIME);
    }
}


void
ngx_http_tgbot_bot_unpause(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_pause_t *pause)
{
    if (pause->waiting) {
        pause->waiting = 0;
        ngx_queue_remove(&pause->queue);
    }

    if (pause->probe) {
        pause->probe = 0;
        bot->probing = 0;
    }
}


void
ngx_http_tgbot_bot_authorized(ngx_http_tgbot_bot_t *bot)
{
    ngx_queue_t             *q;
    ngx_http_tgbot_pause_t  *pause;

    if (!bot->unauthorized) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\" is authorized again", &bot->name);

    bot->unauthorized = 0;
    ngx_http_tgbot_stats_unauthorized(bot->stats, 0);

    if (bot->probe.timer_set) {
        ngx_del_timer(&bot->probe);
    }

    while (!ngx_queue_empty(&bot->paused)) {
        q = ngx_queue_head(&bot->paused);
        pause = ngx_queue_data(q, ngx_http_tgbot_pause_t, queue);

        ngx_http_tgbot_bot_unpause(bot, pause);

        pause->resume(pause);
    }
}


static void
ngx_http_tgbot_bot_probe(ngx_event_t *ev)
{
    ngx_queue_t             *q;
    ngx_http_tgbot_bot_t    *bot;
    ngx_http_tgbot_pause_t  *pause;

    bot = ev->data;

    if (!bot->probing && ngx_queue_empty(&bot->paused)) {

        /* no call waits: the next call shows whether the token is accepted */

        bot->unauthorized = 0;
        ngx_http_tgbot_stats_unauthorized(bot->stats, 0);
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_TGBOT_BOT_PROBE_TIME);

    if (bot->probing) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\" is still unauthorized, trying again",
                  &bot->name);

    q = ngx_queue_head(&bot->paused);
    pause = ngx_queue_data(q, ngx_http_tgbot_pause_t, queue);

    ngx_http_tgbot_bot_unpause(bot, pause);

    pause->probe = 1;
    bot->probing = 1;

    pause->resume(pause);
}


u_char *
ngx_http_tgbot_bot_log_error(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                *p;
    ngx_http_upstream_t   *u;
    ngx_http_tgbot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tgbot_module);

    if (ctx == NULL) {
        return buf;
    }

    p = ngx_snprintf(buf, len, ", bot: \"%V\"", &ctx->bot->name);
    len -= p - buf;
    buf = p;

    if (ctx->update) {
        p = ngx_snprintf(buf, len, ", update: %L", ctx->update->update_id);
        len -= p - buf;
        buf = p;
    }

    p = ngx_snprintf(buf, len, ", subrequest: \"%V\"", &sr->uri);
    len -= p - buf;
    buf = p;

    u = sr->upstream;

    if (u && u->peer.name) {
        p = ngx_snprintf(buf, len, ", upstream: \"%V%V%s%V\"",
                         &u->schema, u->peer.name,
                         ctx->method.len ? "/bot<redacted>/" : "",
                         &ctx->method);
        buf = p;
    }

    return buf;
}


ngx_int_t
ngx_http_tgbot_bot_redact(ngx_http_tgbot_bot_t *bot, ngx_str_t *text,
    size_t max, ngx_pool_t *pool)
{
    return ngx_http_tgbot_redact(ngx_http_tgbot_bot_tokens(bot), text, max,
                                 pool);
}


ngx_array_t *
ngx_http_tgbot_bot_tokens(ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(bot->ctx, ngx_http_tgbot_module);

    return &tmcf->tokens;
}


ngx_uint_t
ngx_http_tgbot_bot_called(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_call_kind_e kind, ngx_http_tgbot_capture_t *result)
{
    ngx_http_tgbot_call_event_e  event;

    if (result->expired) {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_CALLS_EXPIRED);
    }

    switch (result->outcome) {

    case NGX_HTTP_TGBOT_ANSWERED:
        event = (result->status >= NGX_HTTP_OK
                 && result->status < NGX_HTTP_SPECIAL_RESPONSE)
                ? NGX_HTTP_TGBOT_CALL_OK
                : NGX_HTTP_TGBOT_CALL_FAILED;
        break;

    case NGX_HTTP_TGBOT_NOT_SENT:
        event = NGX_HTTP_TGBOT_CALL_FAILED;
        break;

    default: /* NGX_HTTP_TGBOT_BROKEN, NGX_HTTP_TGBOT_TIMED_OUT */
        event = NGX_HTTP_TGBOT_CALL_UNKNOWN;
    }

    return ngx_http_tgbot_stats_call(bot->stats, kind, event);
}


void
ngx_http_tgbot_bot_lost(ngx_http_tgbot_bot_t *bot, int64_t update_id)
{
    ngx_http_tgbot_stats_count(bot->stats, NGX_HTTP_TGBOT_STAT_LEASES_LOST);

    bot->lost++;

    if (ngx_time() == bot->lost_warned) {
        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, bot->clcf->error_log, 0,
                       "tgbot bot \"%V\", update %L: lease lost",
                       &bot->name, update_id);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\", update %L: this worker has lost the "
                  "lease, its result is dropped, %ui such results since the "
                  "last warning", &bot->name, update_id, bot->lost);

    bot->lost = 0;
    bot->lost_warned = ngx_time();
}


ngx_uint_t
ngx_http_tgbot_bot_ignored(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_answer_reason_e reason)
{
    ngx_http_tgbot_stats_ignored(bot->stats, reason);

    if (ngx_time() - bot->ignored_warned[reason]
        < NGX_HTTP_TGBOT_BOT_IGNORED_TIME)
    {
        return NGX_LOG_INFO;
    }

    bot->ignored_warned[reason] = ngx_time();

    return NGX_LOG_ERR;
}


void
ngx_http_tgbot_bot_command(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_update_t *update)
{
    ngx_str_t  username;

    u_char     name[NGX_HTTP_TGBOT_REGISTRY_USERNAME];

    if (update->command_bot.len == 0) {
        return;
    }

    username = bot->username;

    if (username.len == 0) {
        username.data = name;
        username.len = ngx_http_tgbot_registry_username(bot->registry, name);
    }

    ngx_http_tgbot_update_for(update, &username);
}


void
ngx_http_tgbot_bot_cut(ngx_http_tgbot_bot_t *bot, int64_t update_id)
{
    if (ngx_time() - bot->cut_warned < NGX_HTTP_TGBOT_BOT_CUT_TIME) {
        return;
    }

    bot->cut_warned = ngx_time();

    ngx_log_error(NGX_LOG_WARN, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\", update %L: a text is longer than "
                  "Telegram takes and is cut, as others may be for the next "
                  "%d seconds",
                  &bot->name, update_id, NGX_HTTP_TGBOT_BOT_CUT_TIME);
}
