
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_backoff.h"
#include "ngx_http_tgbot_params.h"
#include "ngx_http_tgbot_send.h"


static ngx_uint_t ngx_http_tgbot_send_unsure(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_send_chat(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_send_go(ngx_http_tgbot_send_t *send);
static ngx_int_t ngx_http_tgbot_send_enter(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_send_ready(ngx_http_tgbot_turn_t *turn,
    ngx_int_t rc);
static void ngx_http_tgbot_send_busy(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_send_call(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_send_called(ngx_http_tgbot_call_t *call,
    ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_send_unpassed(ngx_http_tgbot_send_t *send,
    ngx_uint_t status);
static void ngx_http_tgbot_send_failed(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_send_answered(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_send_tell(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_method_result_t *result, ngx_http_tgbot_capture_t *capture);
static void ngx_http_tgbot_send_refused(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_method_result_t *result, ngx_uint_t status);
static void ngx_http_tgbot_send_migrate(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_method_result_t *result);
static void ngx_http_tgbot_send_again(ngx_http_tgbot_send_t *send,
    ngx_uint_t retry_on, ngx_uint_t unknown, ngx_uint_t retry_after,
    const char *reason);
static void ngx_http_tgbot_send_wait(ngx_http_tgbot_send_t *send,
    ngx_msec_t delay);
static void ngx_http_tgbot_send_timer(ngx_event_t *ev);
static ngx_msec_t ngx_http_tgbot_send_left(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_send_give_up(ngx_http_tgbot_send_t *send,
    const char *reason);
static void ngx_http_tgbot_send_finish(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_send_pause(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_send_resume(ngx_http_tgbot_pause_t *pause);
static ngx_int_t ngx_http_tgbot_send_prepare(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *r, ngx_str_t *uri, ngx_str_t *args);
static ngx_int_t ngx_http_tgbot_send_uri(ngx_http_tgbot_send_t *send,
    ngx_str_t *uri, ngx_pool_t *pool);
static void ngx_http_tgbot_send_closing(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *r);
static void ngx_http_tgbot_send_count(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_send_log(ngx_http_tgbot_send_t *send,
    ngx_uint_t level, const char *fmt, ...);


static const char  ngx_http_tgbot_send_once[] =
    "it may have been executed, and must not be retried";


void
ngx_http_tgbot_send_start(ngx_http_tgbot_send_t *send)
{
    send->active = 1;
    send->given_up = 0;
    send->migrated = 0;
    send->result = NULL;
    send->status = 0;
    send->reason = NULL;

    if (send->failures == 0) {
        send->unknown = 0;
        send->unsure = 0;
        send->start = ngx_current_msec;
    }

    ngx_memzero(&send->timer, sizeof(ngx_event_t));

    send->timer.handler = ngx_http_tgbot_send_timer;
    send->timer.data = send;
    send->timer.log = send->bot->clcf->error_log;

    send->pause.waiting = 0;
    send->pause.probe = 0;
    send->pause.resume = ngx_http_tgbot_send_resume;

    send->busy = 0;

    ngx_http_tgbot_send_chat(send);

    /* the timer's handler tells of a wait: not from inside start */

    if ((send->bot->unauthorized && send->program == NULL)
        || ngx_http_tgbot_send_unsure(send)
        || ngx_http_tgbot_send_enter(send) != NGX_OK)
    {
        ngx_add_timer(&send->timer, 1);
        return;
    }

    ngx_http_tgbot_send_call(send);
}


/* a worker that died or was ended may have sent this call */

static ngx_uint_t
ngx_http_tgbot_send_unsure(ngx_http_tgbot_send_t *send)
{
    return send->unknown && ngx_http_tgbot_method_once(&send->method->name);
}


/* the turn of this call, and its chat */

static void
ngx_http_tgbot_send_chat(ngx_http_tgbot_send_t *send)
{
    ngx_http_tgbot_params_t   params;
    ngx_http_tgbot_method_t  *method;

    method = send->method;

    send->turn.bot = send->bot;
    send->turn.method = method->name;
    send->turn.ready = ngx_http_tgbot_send_ready;
    send->turn.data = send;

    if (send->named) {

        /* it is that of another method */

        send->named = 0;
        ngx_str_null(&send->turn.chat);
    }

    if (send->turn.chat.len || method->chat_len == 0) {
        return;
    }

    send->named = 1;

    params.chat_pos = method->chat_pos;
    params.chat_len = method->chat_len;

    /* without memory it is a call without a chat, of which no order is kept */

    (void) ngx_http_tgbot_params_chat(&params, &method->body,
                                      &send->turn.chat, send->pool);
}


/* the next request of the call, when it is the call's turn */

static void
ngx_http_tgbot_send_go(ngx_http_tgbot_send_t *send)
{
    switch (ngx_http_tgbot_send_enter(send)) {

    case NGX_OK:
        ngx_http_tgbot_send_call(send);
        break;

    case NGX_AGAIN:
        send->result = NULL;
        send->waiting(send, ngx_http_tgbot_pace_use_rest(&send->turn));
        break;

    default: /* NGX_BUSY */
        ngx_http_tgbot_send_busy(send);
    }
}


static ngx_int_t
ngx_http_tgbot_send_enter(ngx_http_tgbot_send_t *send)
{
    send->turn.limit = ngx_http_tgbot_send_left(send);

    return ngx_http_tgbot_pace_use_enter(&send->turn);
}


static void
ngx_http_tgbot_send_ready(ngx_http_tgbot_turn_t *turn, ngx_int_t rc)
{
    ngx_http_tgbot_send_t  *send;

    send = turn->data;

    if (send->timer.timer_set) {
        ngx_del_timer(&send->timer);
    }

    if (rc == NGX_OK) {
        ngx_http_tgbot_send_call(send);
        return;
    }

    ngx_http_tgbot_send_busy(send);
}


/* the turn would be too late, or there is no room to wait for it */

static void
ngx_http_tgbot_send_busy(ngx_http_tgbot_send_t *send)
{
    if (send->program) {
        send->busy = send->turn.wait;
        send->given_up = 1;

        ngx_http_tgbot_send_finish(send);
        return;
    }

    if (send->turn.wait >= ngx_http_tgbot_send_left(send)) {
        ngx_http_tgbot_send_give_up(send, "it would have to wait for too long");
        return;
    }

    ngx_http_tgbot_send_wait(send, send->turn.wait);
}


static void
ngx_http_tgbot_send_call(ngx_http_tgbot_send_t *send)
{
    ngx_int_t  rc;

    rc = send->leaving ? send->leaving(send) : NGX_OK;

    if (rc == NGX_OK || rc == NGX_ERROR) {
        ngx_http_tgbot_send_proceed(send, rc);
    }
}


void
ngx_http_tgbot_send_proceed(ngx_http_tgbot_send_t *send, ngx_int_t rc)
{
    ngx_http_tgbot_bot_t   *bot;
    ngx_http_tgbot_call_t  *call;

    if (rc != NGX_OK) {
        ngx_http_tgbot_pace_use_answered(&send->turn,
                                         NGX_HTTP_TGBOT_TURN_FAILED, 0, NULL);

        ngx_http_tgbot_send_again(send, NGX_HTTP_TGBOT_RETRY_ON_ERROR, 0, 0,
                                  "there is no room to note that it is sent");
        return;
    }

    bot = send->bot;
    call = &send->call;

    call->slots = &bot->slots;
    call->ctx = bot->ctx;
    call->error_log = bot->clcf->error_log;
    call->client = send->client;
    call->log_handler = ngx_http_tgbot_bot_log_error;
    call->redact = ngx_http_tgbot_bot_tokens(bot);
    call->directive = "tgbot_api";
    call->timeout = send->conf->call_timeout;
    call->pool = send->program ? NULL : send->pool;
    call->content_type = send->method->content_type;
    call->body = send->method->body;
    call->response_size = send->conf->response_size;
    call->prepare = ngx_http_tgbot_send_prepare;
    call->closing = ngx_http_tgbot_send_closing;
    call->done = ngx_http_tgbot_send_called;
    call->data = send;

    if (send->program) {
        call->to = send->program->request;
        call->method = send->program->method;
        call->method_name = send->program->method_name;
        call->bufs = send->program->bufs;
        call->copy = send->program->copy;
    }

    ngx_http_tgbot_call_start(call);
}


static void
ngx_http_tgbot_send_called(ngx_http_tgbot_call_t *call,
    ngx_http_tgbot_capture_t *result)
{
    ngx_http_tgbot_bot_t   *bot;
    ngx_http_tgbot_send_t  *send;

    send = call->data;
    bot = send->bot;

    send->result = result;
    send->status = 0;

    ngx_str_null(&send->ctx->api_uri);
    ngx_str_null(&send->ctx->method);

    ngx_http_tgbot_send_count(send, result);

    if (result->external && !bot->external_warned) {
        bot->external_warned = 1;
        ngx_log_error(NGX_LOG_WARN, bot->clcf->error_log, 0,
                      "tgbot: the location called by \"tgbot_api\" of bot "
                      "\"%V\" is not internal, any client can reach it",
                      &bot->name);
    }

    if (result->too_large) {

        /* the status tells the outcome, and a repeat would not help */

        ngx_http_tgbot_send_log(send, NGX_LOG_WARN,
                                "%V was answered with %ui: %s",
                                &send->method->name, result->status,
                                result->reason);

        result->outcome = NGX_HTTP_TGBOT_ANSWERED;
    }

    if (result->outcome == NGX_HTTP_TGBOT_ANSWERED && result->by_nginx
        && result->status >= NGX_HTTP_SPECIAL_RESPONSE)
    {
        ngx_http_tgbot_send_unpassed(send, result->status);

        /* a script in the location may have sent the request by itself */

        result->outcome = ngx_http_tgbot_method_once(&send->method->name)
                          ? NGX_HTTP_TGBOT_BROKEN
                          : NGX_HTTP_TGBOT_NOT_SENT;
        result->reason = "nginx did not pass the request on";
    }

    if (result->outcome == NGX_HTTP_TGBOT_ANSWERED) {
        ngx_http_tgbot_send_answered(send, result);
        return;
    }

    ngx_http_tgbot_send_failed(send, result);
}


static void
ngx_http_tgbot_send_unpassed(ngx_http_tgbot_send_t *send, ngx_uint_t status)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = send->bot;

    /* the chats of a broadcast are tried for as long as it goes */

    if (send->broadcast) {

        if (bot->unpassed_warned == ngx_time()) {
            return;
        }

        bot->unpassed_warned = ngx_time();
    }

    ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                  "tgbot: bot \"%V\": the call by \"tgbot_api\" was "
                  "answered with %ui by nginx itself, check the location "
                  "and the rewrites of its server",
                  &bot->name, status);
}


static void
ngx_http_tgbot_send_failed(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_capture_t *result)
{
    ngx_http_tgbot_pace_use_answered(&send->turn, NGX_HTTP_TGBOT_TURN_FAILED, 0,
                                 NULL);

    if (result->passed) {

        /* the program has a part of the answer */

        ngx_http_tgbot_send_give_up(send, result->reason);
        return;
    }

    switch (result->outcome) {

    case NGX_HTTP_TGBOT_NOT_SENT:
        ngx_http_tgbot_send_again(send, NGX_HTTP_TGBOT_RETRY_ON_ERROR, 0, 0,
                                  result->reason);
        return;

    case NGX_HTTP_TGBOT_TIMED_OUT:
        ngx_http_tgbot_send_again(send, NGX_HTTP_TGBOT_RETRY_ON_TIMEOUT, 1, 0,
                                  result->reason);
        return;

    default: /* NGX_HTTP_TGBOT_BROKEN */
        ngx_http_tgbot_send_again(send, NGX_HTTP_TGBOT_RETRY_ON_ERROR, 1, 0,
                                  result->reason);
    }
}


static void
ngx_http_tgbot_send_answered(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_capture_t *capture)
{
    ngx_uint_t                       once;
    ngx_http_tgbot_bot_t            *bot;
    ngx_http_tgbot_method_result_t   result;

    bot = send->bot;
    send->status = capture->status;

    if (ngx_http_tgbot_method_result(&result, capture->status,
                                     &capture->retry_after, &capture->body,
                                     send->pool)
        != NGX_OK)
    {
        ngx_http_tgbot_send_again(send, NGX_HTTP_TGBOT_RETRY_ON_ERROR, 1, 0,
                                  "no memory to read the answer");
        return;
    }

    ngx_http_tgbot_send_tell(send, &result, capture);

    once = result.outcome != NGX_HTTP_TGBOT_METHOD_OK
           && ngx_http_tgbot_method_once(&send->method->name);

    if (once && capture->resent && capture->status >= NGX_HTTP_BAD_REQUEST) {

        /* a peer tried before may have executed the call */

        ngx_http_tgbot_send_again(send, NGX_HTTP_TGBOT_RETRY_ON_ERROR, 1, 0,
                                  "several peers got it");
        return;
    }

    switch (result.outcome) {

    case NGX_HTTP_TGBOT_METHOD_UNAUTHORIZED:
        if (send->program == NULL) {
            ngx_http_tgbot_send_pause(send);
            return;
        }

        ngx_http_tgbot_bot_refused(bot);
        ngx_http_tgbot_send_finish(send);
        return;

    case NGX_HTTP_TGBOT_METHOD_FLOOD:
        ngx_http_tgbot_send_again(send, NGX_HTTP_TGBOT_RETRY_ON_429, 0,
                                  result.retry_after, "flood control");
        return;

    case NGX_HTTP_TGBOT_METHOD_UNAVAILABLE:

        /* usually not executed; unknown for methods that move money */

        ngx_http_tgbot_send_again(send, NGX_HTTP_TGBOT_RETRY_ON_5XX, once, 0,
                                  "the Bot API is unavailable");
        return;

    default:
        break;
    }

    /* a 404 does not show a valid token: a malformed one gets it, too */

    if (capture->status != NGX_HTTP_NOT_FOUND) {
        ngx_http_tgbot_bot_unpause(bot, &send->pause);
        ngx_http_tgbot_bot_authorized(bot);
    }

    if (result.outcome == NGX_HTTP_TGBOT_METHOD_MIGRATED && !send->migrated) {
        ngx_http_tgbot_send_migrate(send, &result);
        return;
    }

    if (result.outcome != NGX_HTTP_TGBOT_METHOD_OK) {
        ngx_http_tgbot_send_refused(send, &result, capture->status);
    }

    ngx_http_tgbot_send_finish(send);
}


/* tells what the answer means for other calls */

static void
ngx_http_tgbot_send_tell(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_method_result_t *result, ngx_http_tgbot_capture_t *capture)
{
    ngx_buf_t   *copy;
    ngx_str_t    body;
    ngx_uint_t   rc;

    body = capture->body;

    if (capture->passed && send->program->copy) {
        copy = send->program->copy;

        body.data = copy->pos;
        body.len = copy->last - copy->pos;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, send->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: %V was answered %ui",
                   &send->bot->name,
                   send->ctx->update ? send->ctx->update->update_id : 0,
                   &send->method->name, capture->status);

    switch (result->outcome) {

    case NGX_HTTP_TGBOT_METHOD_FLOOD:
        rc = NGX_HTTP_TGBOT_TURN_FLOOD;
        break;

    case NGX_HTTP_TGBOT_METHOD_UNAVAILABLE:
        rc = NGX_HTTP_TGBOT_TURN_FAILED;
        break;

    default:
        rc = NGX_HTTP_TGBOT_TURN_ANSWERED;
    }

    ngx_http_tgbot_pace_use_answered(&send->turn, rc, result->retry_after,
                                     &body);
}


static void
ngx_http_tgbot_send_refused(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_method_result_t *result, ngx_uint_t status)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = send->bot;

    if (ngx_http_tgbot_bot_redact(bot, &result->description,
                                  NGX_HTTP_TGBOT_METHOD_DESCRIPTION,
                                  send->pool)
        != NGX_OK)
    {
        ngx_str_null(&result->description);
    }

    ngx_http_tgbot_send_log(send, NGX_LOG_WARN, "%V was refused with %ui: "
                            "\"%V\"", &send->method->name, status,
                            &result->description);
}


static void
ngx_http_tgbot_send_migrate(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_method_result_t *result)
{
    int64_t    chat_id;
    ngx_int_t  rc;

    send->migrated = 1;

    chat_id = result->migrate_to_chat_id;

    rc = send->program ? send->program->migrate(send, chat_id)
                       : ngx_http_tgbot_method_migrate(send->method, chat_id,
                                                       send->pool);

    if (rc != NGX_OK) {
        ngx_http_tgbot_send_give_up(send, "the group was migrated");
        return;
    }

    ngx_http_tgbot_send_log(send, NGX_LOG_NOTICE, "%V goes to chat %L, to "
                            "which the group was migrated",
                            &send->method->name, chat_id);

    /* for a program it stays a call to the chat that the program named */

    if (send->named) {
        ngx_http_tgbot_pace_use_leave(&send->turn);
        ngx_http_tgbot_send_chat(send);
    }

    /* nothing is known of a call under the new id */

    send->result = NULL;

    ngx_http_tgbot_send_go(send);
}


/* repeats the call or gives it up; "unknown": it may have been executed */

static void
ngx_http_tgbot_send_again(ngx_http_tgbot_send_t *send, ngx_uint_t retry_on,
    ngx_uint_t unknown, ngx_uint_t retry_after, const char *reason)
{
    ngx_msec_t               delay, left;
    ngx_http_tgbot_retry_t  *retry;

    retry = send->conf->retry;

    send->failures++;

    if (unknown) {
        send->unsure = 1;
    }

    if (!(send->conf->retry_on & retry_on)) {
        ngx_http_tgbot_send_give_up(send, reason);
        return;
    }

    if (unknown) {

        if (send->broadcast
            || ngx_http_tgbot_method_once(&send->method->name))
        {
            ngx_http_tgbot_send_give_up(send, ngx_http_tgbot_send_once);
            return;
        }

        if (++send->unknown >= retry->attempts) {
            ngx_http_tgbot_send_give_up(send, reason);
            return;
        }
    }

    delay = retry_after ? (ngx_msec_t) retry_after * 1000
                        : ngx_http_tgbot_backoff_delay(send->failures,
                              retry->backoff, retry->max_backoff,
                              ngx_random());

    left = ngx_http_tgbot_send_left(send);

    if (retry_after && send->program && send->turn.conf) {

        /* as for a call that finds the pause */

        left = ngx_min(left, send->turn.conf->max_wait + 1);
    }

    if (delay >= left) {
        ngx_http_tgbot_send_give_up(send, retry_after
                                    ? "it would have to wait for too long"
                                    : reason);
        return;
    }

    ngx_http_tgbot_send_log(send, NGX_LOG_INFO, "%V is retried in %M ms: %s",
                            &send->method->name, delay, reason);

    ngx_http_tgbot_send_wait(send, delay);
}


static void
ngx_http_tgbot_send_wait(ngx_http_tgbot_send_t *send, ngx_msec_t delay)
{
    ngx_add_timer(&send->timer, delay);

    send->result = NULL;

    /* must be last: the owner may free "send" */

    send->waiting(send, delay);
}


static void
ngx_http_tgbot_send_timer(ngx_event_t *ev)
{
    ngx_http_tgbot_send_t  *send;

    send = ev->data;

    if (ngx_http_tgbot_send_unsure(send)) {
        ngx_http_tgbot_send_give_up(send, ngx_http_tgbot_send_once);
        return;
    }

    if (send->pause.waiting) {
        ngx_http_tgbot_send_give_up(send, "the bot stayed unauthorized");
        return;
    }

    if (send->bot->unauthorized && send->program == NULL) {
        ngx_http_tgbot_send_pause(send);
        return;
    }

    if (send->turn.waiting) {
        send->waiting(send, ngx_http_tgbot_pace_use_rest(&send->turn));
        return;
    }

    ngx_http_tgbot_send_go(send);
}


ngx_msec_t
ngx_http_tgbot_send_delay(ngx_http_tgbot_send_t *send)
{
    ngx_msec_int_t  ms;

    if (send->active && send->turn.waiting) {
        return ngx_http_tgbot_pace_use_rest(&send->turn);
    }

    if (!send->active || !send->timer.timer_set) {
        return 0;
    }

    ms = (ngx_msec_int_t) (send->timer.timer.key - ngx_current_msec);

    return (ms > 0) ? (ngx_msec_t) ms : 1;
}


ngx_msec_t
ngx_http_tgbot_send_elapsed(ngx_http_tgbot_send_t *send)
{
    ngx_msec_int_t  ms;

    /* another worker, whose clock is ahead, may have started the call */

    ms = (ngx_msec_int_t) (ngx_current_msec - send->start);

    return (ms > 0) ? (ngx_msec_t) ms : 0;
}


static ngx_msec_t
ngx_http_tgbot_send_left(ngx_http_tgbot_send_t *send)
{
    ngx_msec_t  life, elapsed;

    life = ngx_min(send->life, send->conf->retry->life);
    elapsed = ngx_http_tgbot_send_elapsed(send);

    return (elapsed < life) ? life - elapsed : 0;
}


static void
ngx_http_tgbot_send_give_up(ngx_http_tgbot_send_t *send, const char *reason)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = send->bot;

    send->given_up = 1;
    send->reason = reason;

    /* a broadcast counts its chats, of which most are only tried again */

    if (!send->broadcast) {
        bot->given_up++;
        ngx_http_tgbot_stats_count(bot->stats, NGX_HTTP_TGBOT_STAT_GIVEN_UP);
    }

    ngx_http_tgbot_send_log(send, NGX_LOG_ERR, "%V is given up after %ui "
                            "failures: %s (%ui calls of this bot so far)",
                            &send->method->name, send->failures, reason,
                            bot->given_up);

    ngx_http_tgbot_send_finish(send);
}


static void
ngx_http_tgbot_send_finish(ngx_http_tgbot_send_t *send)
{
    send->active = 0;

    ngx_http_tgbot_bot_unpause(send->bot, &send->pause);
    ngx_http_tgbot_pace_use_leave(&send->turn);

    send->done(send);
}


ngx_int_t
ngx_http_tgbot_send_cancel(ngx_http_tgbot_send_t *send)
{
    ngx_http_tgbot_capture_t  result;

    if (!send->active) {
        return NGX_OK;
    }

    if (ngx_http_tgbot_call_cancel(&send->call) != NGX_OK) {
        return NGX_BUSY;
    }

    if (send->started && send->call.passing) {

        /* the answer is known, the program did not take all of it */

        ngx_memzero(&result, sizeof(ngx_http_tgbot_capture_t));
        result.status = NGX_HTTP_OK;

        ngx_http_tgbot_send_count(send, &result);

    } else if (send->started) {
        send->started = 0;
        (void) ngx_http_tgbot_stats_call(send->bot->stats,
                                         NGX_HTTP_TGBOT_CALL_API,
                                         NGX_HTTP_TGBOT_CALL_ABORTED);
    }

    send->active = 0;

    if (send->timer.timer_set) {
        ngx_del_timer(&send->timer);
    }

    ngx_http_tgbot_bot_unpause(send->bot, &send->pause);
    ngx_http_tgbot_pace_use_leave(&send->turn);

    return NGX_OK;
}


static void
ngx_http_tgbot_send_pause(ngx_http_tgbot_send_t *send)
{
    ngx_msec_t  left;

    /* until the token is accepted others may go */

    ngx_http_tgbot_pace_use_leave(&send->turn);

    ngx_http_tgbot_bot_pause(send->bot, &send->pause);

    left = ngx_http_tgbot_send_left(send);

    ngx_http_tgbot_send_wait(send, ngx_max(left, 1));
}


static void
ngx_http_tgbot_send_resume(ngx_http_tgbot_pause_t *pause)
{
    ngx_http_tgbot_send_t  *send;

    send = ngx_queue_data(pause, ngx_http_tgbot_send_t, pause);

    ngx_del_timer(&send->timer);

    ngx_http_tgbot_send_go(send);
}


static ngx_int_t
ngx_http_tgbot_send_prepare(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *r, ngx_str_t *uri, ngx_str_t *args)
{
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

    /* set after the URI is evaluated, so that the URI cannot hold the token */

    if (ngx_http_tgbot_send_uri(send, &ctx->api_uri, r->pool) != NGX_OK) {
        return NGX_ERROR;
    }

    call->path = ctx->api_uri;

    if (send->sending && send->sending(send) != NGX_OK) {
        return NGX_ERROR;
    }

    send->started = 1;
    (void) ngx_http_tgbot_stats_call(bot->stats, NGX_HTTP_TGBOT_CALL_API,
                                     NGX_HTTP_TGBOT_CALL_STARTED);

    return NGX_OK;
}


/* /bot<token>/<method>?<args>, or /file/bot<token>/<path of a file> */

static ngx_int_t
ngx_http_tgbot_send_uri(ngx_http_tgbot_send_t *send, ngx_str_t *uri,
    ngx_pool_t *pool)
{
    u_char                *p;
    ngx_str_t             *name, args, file;
    ngx_http_tgbot_bot_t  *bot;

    bot = send->bot;
    name = &send->method->name;

    ngx_str_null(&args);
    ngx_str_null(&file);

    if (send->program) {
        args = send->program->args;
        file = send->program->file;
    }

    if (file.len) {
        name = &file;
    }

    p = ngx_pnalloc(pool, sizeof("/file/bot/test/?") - 1 + bot->token.len
                          + name->len + args.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    uri->data = p;

    if (file.len) {
        p = ngx_cpymem(p, "/file", sizeof("/file") - 1);
    }

    p = ngx_cpymem(p, "/bot", sizeof("/bot") - 1);
    p = ngx_cpymem(p, bot->token.data, bot->token.len);
    *p++ = '/';

    if (ngx_http_tgbot_bot_test(bot)) {
        p = ngx_cpymem(p, "test/", sizeof("test/") - 1);
    }

    p = ngx_cpymem(p, name->data, name->len);

    if (args.len) {
        *p++ = '?';
        p = ngx_cpymem(p, args.data, args.len);
    }

    uri->len = p - uri->data;

    return NGX_OK;
}


/*
 * Removes the token from the subrequest's URI and variables, so that an
 * access_log of the subrequest cannot log it.
 */

static void
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

    r->unparsed_uri = r->main->unparsed_uri;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!clcf->log_subrequest) {
        return;
    }

    /* a rewrite to $tgbot_api_uri puts the token into the URI */

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


static void
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


/* what a call is for: the program that waits for it logs what it gets */

static void
ngx_http_tgbot_send_log(ngx_http_tgbot_send_t *send, ngx_uint_t level,
    const char *fmt, ...)
{
    u_char     *p, *last;
    va_list     args;
    ngx_log_t  *log;
    u_char      text[NGX_MAX_ERROR_STR];

    log = send->bot->clcf->error_log;
    level = (send->program || send->broadcast) ? ngx_max(level, NGX_LOG_INFO)
                                               : level;

    if (log->log_level < level) {
        return;
    }

    last = text + sizeof(text) - 1;

    p = send->ctx->update
        ? ngx_slprintf(text, last, "update %L", send->ctx->update->update_id)
        : ngx_slprintf(text, last, send->broadcast ? "broadcast" : "gateway");

    p = ngx_slprintf(p, last, ": ");

    va_start(args, fmt);
    p = ngx_vslprintf(p, last, fmt, args);
    va_end(args);

    *p = '\0';

    ngx_log_error(level, log, 0, "tgbot: bot \"%V\", %s", &send->bot->name,
                  text);
}
