
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_handler.h"
#include "ngx_http_tgbot_json.h"


/* bytes of a redirect's host in a log line */
#define NGX_HTTP_TGBOT_HANDLER_HOST  64


static ngx_int_t ngx_http_tgbot_handler_prepare(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *r, ngx_str_t *uri, ngx_str_t *args);
static ngx_int_t ngx_http_tgbot_handler_headers(
    ngx_http_tgbot_handler_t *handler, ngx_http_request_t *r);
static void ngx_http_tgbot_handler_called(ngx_http_tgbot_call_t *call,
    ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_handler_count(ngx_http_tgbot_handler_t *handler,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_handler_log(ngx_http_tgbot_handler_t *handler,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result);
static const char *ngx_http_tgbot_handler_hint(
    ngx_http_tgbot_handler_t *handler, ngx_http_tgbot_capture_t *result,
    ngx_str_t *host);
static void ngx_http_tgbot_handler_host(ngx_http_tgbot_handler_t *handler,
    ngx_str_t *location, ngx_str_t *host);
static void ngx_http_tgbot_handler_check_location(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_capture_t *result);
static ngx_uint_t ngx_http_tgbot_handler_verdict(
    ngx_http_tgbot_handler_t *handler, ngx_http_tgbot_capture_t *result);
static ngx_uint_t ngx_http_tgbot_handler_read(
    ngx_http_tgbot_handler_t *handler, ngx_http_tgbot_capture_t *result);


static ngx_str_t  ngx_http_tgbot_handler_json = ngx_string("application/json");

static ngx_http_tgbot_call_name_t  ngx_http_tgbot_handler_bot =
    ngx_http_tgbot_call_name("X-Tgbot-Bot");
static ngx_http_tgbot_call_name_t  ngx_http_tgbot_handler_attempt =
    ngx_http_tgbot_call_name("X-Tgbot-Attempt");
static ngx_http_tgbot_call_name_t  ngx_http_tgbot_handler_update_id =
    ngx_http_tgbot_call_name("X-Tgbot-Update-Id");
static ngx_http_tgbot_call_name_t  ngx_http_tgbot_handler_secret =
    ngx_http_tgbot_call_name("X-Telegram-Bot-Api-Secret-Token");


void
ngx_http_tgbot_handler_start(ngx_http_tgbot_handler_t *handler)
{
    ngx_http_tgbot_bot_t   *bot;
    ngx_http_tgbot_call_t  *call;

    bot = handler->bot;
    call = &handler->call;

    handler->started = 0;
    handler->ignored = 0;
    handler->refused = 0;
    handler->encoded = 0;

    call->slots = &bot->slots;
    call->ctx = bot->ctx;
    call->error_log = bot->clcf->error_log;
    call->client = handler->client;
    call->log_handler = ngx_http_tgbot_bot_log_error;
    call->redact = ngx_http_tgbot_bot_tokens(bot);
    call->directive = "tgbot_handler";
    call->timeout = bot->conf->call_timeout;
    call->pool = handler->pool;
    call->content_type = ngx_http_tgbot_handler_json;
    call->body = handler->body;
    call->response_size = bot->conf->response_size;
    call->prepare = ngx_http_tgbot_handler_prepare;
    call->done = ngx_http_tgbot_handler_called;
    call->data = handler;

    ngx_http_tgbot_call_start(call);
}


ngx_int_t
ngx_http_tgbot_handler_cancel(ngx_http_tgbot_handler_t *handler)
{
    if (ngx_http_tgbot_call_cancel(&handler->call) != NGX_OK) {
        return NGX_BUSY;
    }

    if (handler->started) {
        handler->started = 0;
        (void) ngx_http_tgbot_stats_call(handler->bot->stats,
                                         NGX_HTTP_TGBOT_CALL_HANDLER,
                                         NGX_HTTP_TGBOT_CALL_ABORTED);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_handler_prepare(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *r, ngx_str_t *uri, ngx_str_t *args)
{
    ngx_int_t                  rc;
    ngx_http_tgbot_handler_t  *handler;

    handler = call->data;

    ngx_http_set_ctx(r, handler->ctx, ngx_http_tgbot_module);

    rc = ngx_http_tgbot_bot_uri(r, handler->ctx, handler->bot->conf->handler,
                                uri, args);

    if (rc != NGX_OK) {
        handler->refused = (rc == NGX_DECLINED);
        return rc;
    }

    if (uri->len == 0) {
        handler->ignored = 1;
        return NGX_DECLINED;
    }

    handler->started = 1;
    handler->start = ngx_current_msec;

    (void) ngx_http_tgbot_stats_call(handler->bot->stats,
                                     NGX_HTTP_TGBOT_CALL_HANDLER,
                                     NGX_HTTP_TGBOT_CALL_STARTED);

    return ngx_http_tgbot_handler_headers(handler, r);
}


static ngx_int_t
ngx_http_tgbot_handler_headers(ngx_http_tgbot_handler_t *handler,
    ngx_http_request_t *r)
{
    u_char                   *p;
    ngx_str_t                 id, attempt;
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_update_t  *update;

    bot = handler->bot;
    update = handler->ctx->update;

    p = ngx_pnalloc(r->pool, 2 * NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    id.data = p;
    p = ngx_http_tgbot_json_write_int64(p, update->update_id);
    id.len = p - id.data;

    attempt.data = p;
    p = ngx_http_tgbot_json_write_int64(p, (int64_t) handler->ctx->attempts);
    attempt.len = p - attempt.data;

    if (ngx_http_tgbot_call_header(r, &ngx_http_tgbot_handler_bot, &bot->name)
           != NGX_OK
        || ngx_http_tgbot_call_header(r, &ngx_http_tgbot_handler_attempt,
                                      &attempt)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (update->has_update_id
        && ngx_http_tgbot_call_header(r, &ngx_http_tgbot_handler_update_id,
                                      &id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (bot->secret.len == 0) {
        return NGX_OK;
    }

    /* frameworks check the current secret, but Telegram may send the old one */

    return ngx_http_tgbot_call_header(r, &ngx_http_tgbot_handler_secret,
                                      &bot->secret);
}


static void
ngx_http_tgbot_handler_called(ngx_http_tgbot_call_t *call,
    ngx_http_tgbot_capture_t *result)
{
    ngx_uint_t                 verdict;
    ngx_http_tgbot_bot_t      *bot;
    ngx_http_tgbot_handler_t  *handler;

    handler = call->data;
    bot = handler->bot;

    if (!handler->ignored) {
        ngx_http_tgbot_handler_check_location(bot, result);
    }

    verdict = ngx_http_tgbot_handler_verdict(handler, result);

    ngx_http_tgbot_handler_count(handler, verdict, result);

    if (verdict == NGX_HTTP_TGBOT_BUSY || verdict == NGX_HTTP_TGBOT_FAILED) {
        ngx_http_tgbot_handler_log(handler, verdict, result);
    }

    handler->done(handler, verdict, result);
}


static void
ngx_http_tgbot_handler_count(ngx_http_tgbot_handler_t *handler,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = handler->bot;

    if (handler->started) {
        handler->started = 0;

        if (ngx_http_tgbot_bot_called(bot, NGX_HTTP_TGBOT_CALL_HANDLER,
                                      result))
        {
            ngx_http_tgbot_stats_duration(bot->stats,
                                          NGX_HTTP_TGBOT_DURATION_HANDLER,
                                          ngx_current_msec - handler->start);
        }
    }

    switch (verdict) {

    case NGX_HTTP_TGBOT_DONE:
        ngx_http_tgbot_stats_handled(bot->stats, NGX_HTTP_TGBOT_HANDLED);
        break;

    case NGX_HTTP_TGBOT_BUSY:
        ngx_http_tgbot_stats_handled(bot->stats,
                                     NGX_HTTP_TGBOT_HANDLER_UNAVAILABLE);
        break;

    case NGX_HTTP_TGBOT_FAILED:
        ngx_http_tgbot_stats_handled(bot->stats,
                                     NGX_HTTP_TGBOT_HANDLER_FAILED);
        break;

    default: /* NGX_HTTP_TGBOT_IGNORED */
        break;
    }
}


static void
ngx_http_tgbot_handler_log(ngx_http_tgbot_handler_t *handler,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result)
{
    ngx_str_t              host;
    ngx_uint_t             level;
    const char            *how, *hint;
    ngx_http_tgbot_bot_t  *bot;

    bot = handler->bot;

    how = (verdict == NGX_HTTP_TGBOT_BUSY) ? "is unavailable" : "failed";

    if (result->reason) {
        level = handler->encoded
                ? ngx_http_tgbot_bot_ignored(bot,
                                             NGX_HTTP_TGBOT_ANSWER_ENCODING)
                : NGX_LOG_ERR;

        ngx_log_error(level, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: the program %s: %s",
                      &bot->name, handler->ctx->update->update_id, how,
                      result->reason);
        return;
    }

    hint = ngx_http_tgbot_handler_hint(handler, result, &host);

    ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\", update %L: the program %s: status %ui"
                  "%s%V", &bot->name, handler->ctx->update->update_id, how,
                  result->status, hint, &host);
}


/* what an operator may want to look at, before the host that follows it */

static const char *
ngx_http_tgbot_handler_hint(ngx_http_tgbot_handler_t *handler,
    ngx_http_tgbot_capture_t *result, ngx_str_t *host)
{
    ngx_str_set(host, "");

    if (result->by_nginx) {
        return "";
    }

    if (result->status == NGX_HTTP_UNAUTHORIZED) {
        return handler->bot->secret.len
               ? ", does it know the current secret?"
               : ", does it want a secret?  There is none with "
                 "\"tgbot_secret_token off\"";
    }

    if (result->location.len == 0) {
        return "";
    }

    ngx_http_tgbot_handler_host(handler, &result->location, host);

    return host->len ? ", a redirect to " : ", a redirect";
}


/* the host and port of a URL, or "": a path may be text of a user */

static void
ngx_http_tgbot_handler_host(ngx_http_tgbot_handler_t *handler,
    ngx_str_t *location, ngx_str_t *host)
{
    u_char  *p, *last, *start;

    last = location->data + location->len;

    start = ngx_strlchr(location->data, last, '/');

    if (start == NULL || last - start < 2 || start[1] != '/') {
        return;
    }

    start += 2;

    for (p = start; p < last && *p != '/' && *p != '?' && *p != '#'; p++) {

        if (*p == '@') {
            start = p + 1;
        }
    }

    last = p;

    for (p = start; p < last; p++) {

        if (!((ngx_tolower(*p) >= 'a' && ngx_tolower(*p) <= 'z')
              || (*p >= '0' && *p <= '9')
              || *p == '.' || *p == '-' || *p == ':'
              || *p == '[' || *p == ']'))
        {
            return;
        }
    }

    host->data = start;
    host->len = last - start;

    if (ngx_http_tgbot_bot_redact(handler->bot, host,
                                  NGX_HTTP_TGBOT_HANDLER_HOST, handler->pool)
        != NGX_OK)
    {
        ngx_str_set(host, "");
    }
}


static void
ngx_http_tgbot_handler_check_location(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_capture_t *result)
{
    if (result->external && !bot->external_warned) {
        bot->external_warned = 1;
        ngx_log_error(NGX_LOG_WARN, bot->clcf->error_log, 0,
                      "tgbot: the location called by \"tgbot_handler\" of bot "
                      "\"%V\" is not internal, any client can reach it "
                      "without the secret token", &bot->name);
    }

    if (result->by_nginx && result->status >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\": the call by \"tgbot_handler\" was "
                      "answered with %ui by nginx itself, check the location "
                      "and the rewrites of its server",
                      &bot->name, result->status);
    }
}


/*
 * Unlike "failed", "busy" costs no attempt.  Statuses that are usual while a
 * program is deployed, or when a request is misrouted, count as "busy".
 */

static ngx_uint_t
ngx_http_tgbot_handler_verdict(ngx_http_tgbot_handler_t *handler,
    ngx_http_tgbot_capture_t *result)
{
    if (handler->ignored) {
        return NGX_HTTP_TGBOT_IGNORED;
    }

    if (handler->refused) {
        return NGX_HTTP_TGBOT_FAILED;
    }

    switch (result->outcome) {

    case NGX_HTTP_TGBOT_ANSWERED:
        break;

    case NGX_HTTP_TGBOT_NOT_SENT:
        return NGX_HTTP_TGBOT_BUSY;

    default: /* NGX_HTTP_TGBOT_BROKEN, NGX_HTTP_TGBOT_TIMED_OUT */
        return NGX_HTTP_TGBOT_FAILED;
    }

    if (result->status >= NGX_HTTP_OK
        && result->status < NGX_HTTP_SPECIAL_RESPONSE)
    {
        return ngx_http_tgbot_handler_read(handler, result);
    }

    if (result->status >= NGX_HTTP_SPECIAL_RESPONSE
        && result->status < NGX_HTTP_BAD_REQUEST)
    {
        return NGX_HTTP_TGBOT_BUSY;
    }

    switch (result->status) {

    case NGX_HTTP_UNAUTHORIZED:
    case NGX_HTTP_FORBIDDEN:
    case NGX_HTTP_NOT_FOUND:
    case NGX_HTTP_NOT_ALLOWED:
    case NGX_HTTP_UNSUPPORTED_MEDIA_TYPE:
    case NGX_HTTP_MISDIRECTED_REQUEST:
    case NGX_HTTP_TOO_MANY_REQUESTS:
    case NGX_HTTP_BAD_GATEWAY:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
    case NGX_HTTP_GATEWAY_TIME_OUT:
        return NGX_HTTP_TGBOT_BUSY;
    }

    return NGX_HTTP_TGBOT_FAILED;
}


/*
 * An answer whose calls cannot be read has failed.  Without a body, or with a
 * type that makes no calls, its encoding does not matter.
 */

static ngx_uint_t
ngx_http_tgbot_handler_read(ngx_http_tgbot_handler_t *handler,
    ngx_http_tgbot_capture_t *result)
{
    ngx_uint_t  as;

    static ngx_str_t  identity = ngx_string("identity");
    static ngx_str_t  mark = ngx_string("\xef\xbb\xbf");

    as = ngx_http_tgbot_answer_as(&result->type);

    if (result->body.len == 0 || as == NGX_HTTP_TGBOT_ANSWER_AS_NOTHING) {
        return NGX_HTTP_TGBOT_DONE;
    }

    if (result->encoding.len
        && (result->encoding.len != identity.len
            || ngx_strncasecmp(result->encoding.data, identity.data,
                               identity.len)
               != 0))
    {
        handler->encoded = 1;
        result->reason = "the answer has a Content-Encoding; \"gunzip on\" in "
                         "the called location decodes gzip";
        return NGX_HTTP_TGBOT_FAILED;
    }

    /* a byte order mark is no part of the text */

    if (as == NGX_HTTP_TGBOT_ANSWER_AS_JSON
        && result->body.len >= mark.len
        && ngx_memcmp(result->body.data, mark.data, mark.len) == 0)
    {
        result->body.data += mark.len;
        result->body.len -= mark.len;
    }

    return NGX_HTTP_TGBOT_DONE;
}
