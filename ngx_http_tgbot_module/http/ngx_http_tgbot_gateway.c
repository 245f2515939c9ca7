
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_gateway.h"
#include "ngx_http_tgbot_gateway_idempotency.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_pass.h"
#include "ngx_http_tgbot_webhook.h"


/* characters of a token behind its colon; BotFather gives 35 */
#define NGX_HTTP_TGBOT_GATEWAY_KEY  30


/* the stages of a call, in this order */

typedef enum {
    NGX_HTTP_TGBOT_GATEWAY_ROUTE = 0,
    NGX_HTTP_TGBOT_GATEWAY_READ,
    NGX_HTTP_TGBOT_GATEWAY_PARSE,
    NGX_HTTP_TGBOT_GATEWAY_IDEMPOTENCY,
    NGX_HTTP_TGBOT_GATEWAY_SEND,
    NGX_HTTP_TGBOT_GATEWAY_REFUSE
} ngx_http_tgbot_gateway_stage_e;


typedef ngx_int_t (*ngx_http_tgbot_gateway_stage_pt)(
    ngx_http_tgbot_gateway_t *g);


static void ngx_http_tgbot_gateway_run(ngx_http_tgbot_gateway_t *g);
static ngx_uint_t ngx_http_tgbot_gateway_next(ngx_http_tgbot_gateway_t *g,
    ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_gateway_route(ngx_http_tgbot_gateway_t *g);
static ngx_uint_t ngx_http_tgbot_gateway_skip(ngx_str_t *path,
    const char *prefix);
static ngx_uint_t ngx_http_tgbot_gateway_token(ngx_http_tgbot_bot_t *bot,
    ngx_str_t *token);
static ngx_int_t ngx_http_tgbot_gateway_method(ngx_http_tgbot_gateway_t *g,
    ngx_str_t *path);
static ngx_int_t ngx_http_tgbot_gateway_file(ngx_http_tgbot_gateway_t *g,
    ngx_str_t *path);
static ngx_int_t ngx_http_tgbot_gateway_read(ngx_http_tgbot_gateway_t *g);
static void ngx_http_tgbot_gateway_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_tgbot_gateway_send(ngx_http_tgbot_gateway_t *g);
static ngx_int_t ngx_http_tgbot_gateway_turn(ngx_http_tgbot_gateway_t *g);
static void ngx_http_tgbot_gateway_writable(ngx_http_request_t *r);
static void ngx_http_tgbot_gateway_waiting(ngx_http_tgbot_send_t *send,
    ngx_msec_t delay);
static void ngx_http_tgbot_gateway_timeout(ngx_event_t *ev);
static void ngx_http_tgbot_gateway_sent(ngx_http_tgbot_send_t *send);
static ngx_int_t ngx_http_tgbot_gateway_answer(ngx_http_tgbot_gateway_t *g,
    ngx_http_tgbot_capture_t *result);
static ngx_int_t ngx_http_tgbot_gateway_passed(ngx_http_request_t *r,
    ngx_http_tgbot_capture_t *result);
static ngx_int_t ngx_http_tgbot_gateway_captured(ngx_http_tgbot_gateway_t *g,
    ngx_http_tgbot_capture_t *result);
static ngx_int_t ngx_http_tgbot_gateway_refuse(ngx_http_tgbot_gateway_t *g);
static ngx_int_t ngx_http_tgbot_gateway_busy(ngx_http_request_t *r,
    ngx_msec_t wait);
static ngx_int_t ngx_http_tgbot_gateway_json(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *body);
static ngx_int_t ngx_http_tgbot_gateway_refusal(ngx_http_request_t *r,
    ngx_uint_t status, const char *error);
static const char *ngx_http_tgbot_gateway_phrase(ngx_uint_t status);
static void ngx_http_tgbot_gateway_cleanup(void *data);


static const ngx_http_tgbot_gateway_stage_pt
    ngx_http_tgbot_gateway_stages[] =
{
    [NGX_HTTP_TGBOT_GATEWAY_ROUTE] = ngx_http_tgbot_gateway_route,
    [NGX_HTTP_TGBOT_GATEWAY_READ] = ngx_http_tgbot_gateway_read,
    [NGX_HTTP_TGBOT_GATEWAY_PARSE] = ngx_http_tgbot_gateway_parse,
    [NGX_HTTP_TGBOT_GATEWAY_IDEMPOTENCY] = ngx_http_tgbot_gateway_idempotency,
    [NGX_HTTP_TGBOT_GATEWAY_SEND] = ngx_http_tgbot_gateway_send,
    [NGX_HTTP_TGBOT_GATEWAY_REFUSE] = ngx_http_tgbot_gateway_refuse
};


/* they would take the webhook away, or move the bot to another server */

static ngx_str_t  ngx_http_tgbot_gateway_refused[] = {
    ngx_string("getUpdates"),
    ngx_string("setWebhook"),
    ngx_string("deleteWebhook"),
    ngx_string("close"),
    ngx_string("logOut"),
    ngx_null_string
};


ngx_int_t
ngx_http_tgbot_gateway_handler(ngx_http_request_t *r)
{
    ngx_http_cleanup_t         *cln;
    ngx_http_tgbot_gateway_t   *g;
    ngx_http_tgbot_loc_conf_t  *tlcf;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);

    g = ngx_pcalloc(r->pool, sizeof(ngx_http_tgbot_gateway_t));
    if (g == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_tgbot_gateway_cleanup;
    cln->data = g;

    g->conf = tlcf->gateway;
    g->ctx.bot = g->conf->bot;
    g->request = r;

    ngx_http_set_ctx(r, &g->ctx, ngx_http_tgbot_module);

    /* released by ngx_http_finalize_request() */

    r->main->count++;

    ngx_http_tgbot_gateway_run(g);

    return NGX_DONE;
}


static void
ngx_http_tgbot_gateway_run(ngx_http_tgbot_gateway_t *g)
{
    ngx_int_t  rc;

    do {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, g->request->connection->log, 0,
                       "tgbot gateway stage: %ui", g->stage);

        rc = ngx_http_tgbot_gateway_stages[g->stage](g);

    } while (ngx_http_tgbot_gateway_next(g, rc));
}


/* 0: the call is suspended, or the request has been finalized */

static ngx_uint_t
ngx_http_tgbot_gateway_next(ngx_http_tgbot_gateway_t *g, ngx_int_t rc)
{
    switch (rc) {

    case NGX_OK:
        g->stage++;
        return 1;

    case NGX_ERROR:
        g->status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        g->error = NULL;

        /* fall through */

    case NGX_DONE:
        g->stage = NGX_HTTP_TGBOT_GATEWAY_REFUSE;
        return 1;

    default: /* NGX_AGAIN */
        return 0;
    }
}


void
ngx_http_tgbot_gateway_go_on(ngx_http_tgbot_gateway_t *g, ngx_int_t rc)
{
    if (ngx_http_tgbot_gateway_next(g, rc)) {
        ngx_http_tgbot_gateway_run(g);
    }
}


ngx_int_t
ngx_http_tgbot_gateway_no(ngx_http_tgbot_gateway_t *g, ngx_uint_t status,
    const char *error)
{
    g->status = status;
    g->error = error;

    return NGX_DONE;
}


/* [/file]/bot<token>[/test]/<method or path>, or /<method> */

static ngx_int_t
ngx_http_tgbot_gateway_route(ngx_http_tgbot_gateway_t *g)
{
    u_char                *p, *last;
    ngx_str_t              path, token;
    ngx_uint_t             file;
    ngx_http_request_t    *r;
    ngx_http_tgbot_bot_t  *bot;

    r = g->request;
    bot = g->conf->bot;

    if (r->err_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {

        /* see ngx_http_tgbot_conf_gateway_errors() */

        return ngx_http_tgbot_gateway_no(g, r->err_status, NULL);
    }

    if (r->uri.len <= g->conf->clcf->name.len) {
        return ngx_http_tgbot_gateway_no(g, NGX_HTTP_NOT_FOUND, NULL);
    }

    last = r->uri.data + r->uri.len;

    path.data = r->uri.data + g->conf->clcf->name.len;
    path.len = last - path.data;

    (void) ngx_http_tgbot_gateway_skip(&path, "/");

    file = ngx_http_tgbot_gateway_skip(&path, "file/");

    p = memchr(path.data, '/', path.len);

    if (p && ngx_http_tgbot_gateway_skip(&path, "bot")) {
        token.data = path.data;
        token.len = p - path.data;

        if (!ngx_http_tgbot_gateway_token(bot, &token)) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "tgbot: bot \"%V\", gateway: another token",
                          &bot->name);

            return ngx_http_tgbot_gateway_no(g, NGX_HTTP_UNAUTHORIZED, NULL);
        }

        path.data = p + 1;
        path.len = last - path.data;

        if (ngx_http_tgbot_bot_test(bot)) {
            (void) ngx_http_tgbot_gateway_skip(&path, "test/");
        }

    } else if (file) {
        return ngx_http_tgbot_gateway_no(g, NGX_HTTP_NOT_FOUND, NULL);
    }

    return file ? ngx_http_tgbot_gateway_file(g, &path)
                : ngx_http_tgbot_gateway_method(g, &path);
}


static ngx_uint_t
ngx_http_tgbot_gateway_skip(ngx_str_t *path, const char *prefix)
{
    size_t  len;

    len = ngx_strlen(prefix);

    if (path->len < len || ngx_strncmp(path->data, prefix, len) != 0) {
        return 0;
    }

    path->data += len;
    path->len -= len;

    return 1;
}


/*
 * What does not look like a token stands in for the bot's own.  Some libraries
 * insist on digits and a colon, so what follows has to have some length.
 */

static ngx_uint_t
ngx_http_tgbot_gateway_token(ngx_http_tgbot_bot_t *bot, ngx_str_t *token)
{
    size_t  i;

    for (i = 0; i < token->len; i++) {

        if (token->data[i] < '0' || token->data[i] > '9') {
            break;
        }
    }

    return i == 0 || i == token->len || token->data[i] != ':'
           || token->len - i <= NGX_HTTP_TGBOT_GATEWAY_KEY
           || ngx_http_tgbot_redact_masked(&bot->token, token)
           || ngx_http_tgbot_webhook_equal(&bot->token, token);
}


static ngx_int_t
ngx_http_tgbot_gateway_method(ngx_http_tgbot_gateway_t *g, ngx_str_t *path)
{
    ngx_str_t           *allow;
    ngx_uint_t           i, allowed;
    ngx_http_request_t  *r;

    r = g->request;

    if (!ngx_http_tgbot_method_valid(path)) {
        return ngx_http_tgbot_gateway_no(g, NGX_HTTP_NOT_FOUND, NULL);
    }

    if (r->method != NGX_HTTP_POST && r->method != NGX_HTTP_GET) {
        return ngx_http_tgbot_gateway_no(g, NGX_HTTP_NOT_ALLOWED, NULL);
    }

    g->method.name = *path;
    g->ctx.method = *path;

    allowed = !ngx_http_tgbot_gateway_refuses(path);

    if (g->conf->allow) {
        allow = g->conf->allow->elts;

        for (i = 0; i < g->conf->allow->nelts && !allowed; i++) {
            allowed = (allow[i].len == path->len
                       && ngx_strncasecmp(allow[i].data, path->data, path->len)
                          == 0);
        }
    }

    if (!allowed) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "tgbot: bot \"%V\", gateway: %V is refused",
                      &g->conf->bot->name, path);

        return ngx_http_tgbot_gateway_no(g, NGX_HTTP_FORBIDDEN,
                                         "the method is left to nginx, unless "
                                         "tgbot_gateway has it in allow=");
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_tgbot_gateway_refuses(ngx_str_t *method)
{
    ngx_str_t  *name;

    for (name = ngx_http_tgbot_gateway_refused; name->len; name++) {

        if (name->len == method->len
            && ngx_strncasecmp(name->data, method->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_tgbot_gateway_file(ngx_http_tgbot_gateway_t *g, ngx_str_t *path)
{
    uintptr_t            escape;
    ngx_str_t           *file;
    ngx_http_request_t  *r;

    r = g->request;
    file = &g->program.file;

    if (path->len == 0 || !ngx_http_tgbot_bot_path_is_safe(path)) {
        return ngx_http_tgbot_gateway_no(g, NGX_HTTP_NOT_FOUND, NULL);
    }

    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return ngx_http_tgbot_gateway_no(g, NGX_HTTP_NOT_ALLOWED, NULL);
    }

    escape = 2 * ngx_escape_uri(NULL, path->data, path->len, NGX_ESCAPE_URI);

    file->len = path->len + escape;

    file->data = ngx_pnalloc(r->pool, file->len);
    if (file->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_uri(file->data, path->data, path->len, NGX_ESCAPE_URI);

    ngx_str_set(&g->method.name, "file");

    r->allow_ranges = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_gateway_read(ngx_http_tgbot_gateway_t *g)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = g->request;

    /* the mirror module, for one, may have read the body and still use it */

    g->read = (r->request_body == NULL);

    rc = ngx_http_read_client_request_body(r, ngx_http_tgbot_gateway_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_finalize_request(r, rc);
        return NGX_AGAIN;
    }

    /* drop the reference taken by reading: the handler holds another one */

    r->main->count--;

    return NGX_AGAIN;
}


static void
ngx_http_tgbot_gateway_body(ngx_http_request_t *r)
{
    ngx_http_tgbot_gateway_t  *g;

    g = ngx_http_get_module_ctx(r, ngx_http_tgbot_module);

    g->stage++;

    ngx_http_tgbot_gateway_run(g);
}


static ngx_int_t
ngx_http_tgbot_gateway_send(ngx_http_tgbot_gateway_t *g)
{
    ngx_msec_int_t             left;
    ngx_http_request_t        *r;
    ngx_http_tgbot_send_t     *send;
    ngx_http_tgbot_program_t  *program;

    r = g->request;

    left = (ngx_msec_int_t) (g->conf->timeout
                             - (ngx_current_msec - g->start));
    left = ngx_max(left, 1);

    if (g->conf->bot->unauthorized) {
        return ngx_http_tgbot_gateway_no(g, NGX_HTTP_UNAUTHORIZED, NULL);
    }

    if (ngx_http_tgbot_detached_share(&g->client, r) != NGX_OK
        || ngx_http_tgbot_gateway_turn(g) != NGX_OK
        || ngx_http_tgbot_gateway_watch(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    g->calls.bot = g->conf->bot;
    g->calls.attempts = 1;

    program = &g->program;

    program->request = r;

    /*
     * A call in a query is no less of a call: the core sends a GET, and not a
     * POST, to the next peer when the first one may have executed it.
     */

    program->method = program->file.len ? r->method : NGX_HTTP_POST;
    program->method_name = r->method_name;
    program->migrate = ngx_http_tgbot_gateway_migrate;

    send = &g->send;

    send->bot = g->conf->bot;
    send->conf = g->conf->conf;
    send->ctx = &g->calls;
    send->client = &g->client;
    send->method = &g->method;
    send->program = program;
    send->pool = r->pool;
    send->life = left;
    send->done = ngx_http_tgbot_gateway_sent;
    send->waiting = ngx_http_tgbot_gateway_waiting;
    send->data = g;

    g->timer.handler = ngx_http_tgbot_gateway_timeout;
    g->timer.data = g;
    g->timer.log = r->connection->log;
    g->timer.cancelable = 1;

    ngx_add_timer(&g->timer, (ngx_msec_t) left);

    g->sending = 1;

    ngx_http_tgbot_send_start(send);

    return NGX_AGAIN;
}


/* in which order, and how fast */

static ngx_int_t
ngx_http_tgbot_gateway_turn(ngx_http_tgbot_gateway_t *g)
{
    ngx_http_tgbot_turn_t  *turn;

    turn = &g->send.turn;

    turn->conf = g->conf->conf->pace;
    turn->chat = g->chat;
    turn->order = g->conf->order;
    turn->bulk = g->params.bulk;
    turn->paid = g->params.paid;

    if (g->chat.len == 0 || g->chat.data[0] != '@' || g->program.copy) {
        return NGX_OK;
    }

    /* the answer may tell which chat has this name */

    g->program.copy = ngx_create_temp_buf(g->request->pool,
                                          NGX_HTTP_TGBOT_PACE_USE_HEAD);

    return g->program.copy ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_gateway_watch(ngx_http_request_t *r)
{
    /* see ngx_http_tgbot_webhook_watch() */

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_tgbot_gateway_writable;

    return NGX_OK;
}


static void
ngx_http_tgbot_gateway_writable(ngx_http_request_t *r)
{
    ngx_http_tgbot_gateway_t  *g;

    g = ngx_http_get_module_ctx(r, ngx_http_tgbot_module);

    if (g->sending && g->send.call.passing
        && ngx_http_tgbot_pass_writable(&g->send.call) != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static void
ngx_http_tgbot_gateway_waiting(ngx_http_tgbot_send_t *send, ngx_msec_t delay)
{
    ngx_http_tgbot_gateway_t *g = send->data;

    /*
     * nothing is repeated once the program does not wait any more, or another
     * call has the key
     */

    if ((g->held || g->answered || (g->once && g->once->status))
        && ngx_http_tgbot_send_cancel(send) == NGX_OK)
    {
        ngx_http_tgbot_gateway_sent(send);
    }
}


static void
ngx_http_tgbot_gateway_timeout(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_tgbot_gateway_t  *g;

    g = ev->data;
    r = g->request;
    c = r->connection;

    if (g->send.call.passing) {

        /* the rest of the answer comes */

        return;
    }

    ngx_http_set_log_request(c->log, r);

    if (!ngx_http_tgbot_call_sent(&g->send.call)
        && ngx_http_tgbot_send_cancel(&g->send) == NGX_OK)
    {
        g->sending = 0;

        ngx_http_tgbot_gateway_idempotency_leave(g, !g->send.unsure);

    } else {

        /* its outcome is not known yet: the call runs to its end */

        g->answered = 1;
        g->program.request = NULL;
        g->send.call.to = NULL;

        r->main->count++;
    }

    r->keepalive = 0;

    (void) ngx_http_tgbot_gateway_no(g, NGX_HTTP_GATEWAY_TIME_OUT,
                                     "no answer within the timeout of "
                                     "tgbot_gateway");
    (void) ngx_http_tgbot_gateway_refuse(g);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_tgbot_gateway_sent(ngx_http_tgbot_send_t *send)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_tgbot_gateway_t  *g;

    g = send->data;
    r = g->request;
    c = r->connection;

    g->sending = 0;

    ngx_http_tgbot_gateway_idempotency_sent(g);

    if (g->timer.timer_set) {
        ngx_del_timer(&g->timer);
    }

    ngx_http_set_log_request(c->log, r);

    if (g->held) {
        g->held = 0;
        r->blocked--;

        rc = NGX_ERROR;

    } else if (g->answered) {
        rc = NGX_DONE;

    } else {
        rc = ngx_http_tgbot_gateway_answer(g, send->result);
    }

    ngx_http_finalize_request(r, rc);

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_tgbot_gateway_answer(ngx_http_tgbot_gateway_t *g,
    ngx_http_tgbot_capture_t *result)
{
    ngx_http_request_t  *r;

    r = g->request;

    if (g->once && g->once->status) {
        return ngx_http_tgbot_gateway_refusal(r, g->once->status,
                                              g->once->error);
    }

    if (g->send.busy) {
        return ngx_http_tgbot_gateway_busy(r, g->send.busy);
    }

    if (result && result->passed) {
        return ngx_http_tgbot_gateway_passed(r, result);
    }

    if (result && result->outcome == NGX_HTTP_TGBOT_ANSWERED
        && result->status)
    {
        return result->too_large
               ? ngx_http_tgbot_gateway_refusal(r, result->status,
                                                result->reason)
               : ngx_http_tgbot_gateway_captured(g, result);
    }

    return ngx_http_tgbot_gateway_refusal(r,
                         (result && result->outcome
                                    == NGX_HTTP_TGBOT_TIMED_OUT)
                         ? NGX_HTTP_GATEWAY_TIME_OUT : NGX_HTTP_BAD_GATEWAY,
                         g->send.reason);
}


/* ends a response that was passed on, as the core's upstream does */

static ngx_int_t
ngx_http_tgbot_gateway_passed(ngx_http_request_t *r,
    ngx_http_tgbot_capture_t *result)
{
    if (r->connection->error) {
        return NGX_ERROR;
    }

    if (!r->header_sent) {

        /* the range filter leaves the answer to a bad Range to its caller */

        return (r->headers_out.status == NGX_HTTP_RANGE_NOT_SATISFIABLE)
               ? NGX_HTTP_RANGE_NOT_SATISFIABLE : NGX_ERROR;
    }

    if (result->outcome == NGX_HTTP_TGBOT_ANSWERED) {
        return (r->header_only || result->ended)
               ? NGX_OK : ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    /* no end: the client sees that the answer is broken */

    r->keepalive = 0;

    return ngx_http_send_special(r, NGX_HTTP_FLUSH);
}


static ngx_int_t
ngx_http_tgbot_gateway_captured(ngx_http_tgbot_gateway_t *g,
    ngx_http_tgbot_capture_t *result)
{
    ngx_http_request_t  *r;

    r = g->request;

    if (ngx_http_tgbot_pass_keep(&g->send.call, r) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_pass_header(r, g->send.call.sr);

    return ngx_http_tgbot_gateway_output(r, result->status, &result->body);
}


ngx_int_t
ngx_http_tgbot_gateway_output(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.status = status;

    if (r->method != NGX_HTTP_HEAD) {
        r->headers_out.content_length_n = body->len;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = (body->len != 0);
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_int_t
ngx_http_tgbot_gateway_refuse(ngx_http_tgbot_gateway_t *g)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = g->request;

    /* does nothing if the body has been read */

    rc = ngx_http_discard_request_body(r);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_gateway_refusal(r, g->status, g->error);
    }

    ngx_http_finalize_request(r, rc);

    return NGX_AGAIN;
}


/* sends an error as the Bot API does */

static ngx_int_t
ngx_http_tgbot_gateway_refusal(ngx_http_request_t *r, ngx_uint_t status,
    const char *error)
{
    size_t       len;
    ngx_str_t    body;
    const char  *phrase;

    phrase = ngx_http_tgbot_gateway_phrase(status);

    len = sizeof("{\"ok\":false,\"error_code\":,\"description\":\": \"}")
          + NGX_INT_T_LEN + ngx_strlen(phrase)
          + (error ? ngx_strlen(error) : 0);

    body.data = ngx_pnalloc(r->pool, len);
    if (body.data == NULL) {
        return NGX_ERROR;
    }

    body.len = ngx_sprintf(body.data, "{\"ok\":false,\"error_code\":%ui,"
                           "\"description\":\"%s%s%s\"}", status, phrase,
                           error ? ": " : "", error ? error : "")
               - body.data;

    return ngx_http_tgbot_gateway_json(r, status, &body);
}


/* the call's turn would have come too late: as Telegram's flood control */

static ngx_int_t
ngx_http_tgbot_gateway_busy(ngx_http_request_t *r, ngx_msec_t wait)
{
    u_char      *text;
    ngx_str_t    body;
    ngx_uint_t   seconds;

    seconds = (wait + 999) / 1000;

    body.data = ngx_pnalloc(r->pool, 128 + 2 * NGX_INT_T_LEN);
    text = ngx_pnalloc(r->pool, NGX_INT_T_LEN + 1);

    if (body.data == NULL || text == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(text, "%ui%Z", seconds);

    if (ngx_http_tgbot_header_push(r, "Retry-After", (const char *) text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    body.len = ngx_sprintf(body.data, "{\"ok\":false,\"error_code\":429,"
                           "\"description\":\"Too Many Requests: retry after "
                           "%ui\",\"parameters\":{\"retry_after\":%ui}}",
                           seconds, seconds)
               - body.data;

    return ngx_http_tgbot_gateway_json(r, NGX_HTTP_TOO_MANY_REQUESTS, &body);
}


static ngx_int_t
ngx_http_tgbot_gateway_json(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body)
{
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    return ngx_http_tgbot_gateway_output(r, status, body);
}


/* the beginning of a description, as the Bot API has it */

static const char *
ngx_http_tgbot_gateway_phrase(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_BAD_REQUEST:
        return "Bad Request";

    case NGX_HTTP_UNAUTHORIZED:
        return "Unauthorized";

    case NGX_HTTP_FORBIDDEN:
        return "Forbidden";

    case NGX_HTTP_NOT_FOUND:
        return "Not Found";

    case NGX_HTTP_NOT_ALLOWED:
        return "Method Not Allowed";

    case NGX_HTTP_CONFLICT:
        return "Conflict";

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        return "Request Entity Too Large";

    case 422:
        return "Unprocessable Entity";

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return "Too Many Requests";

    case NGX_HTTP_BAD_GATEWAY:
        return "Bad Gateway";

    case NGX_HTTP_INSUFFICIENT_STORAGE:
        return "Insufficient Storage";

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return "Gateway Timeout";

    case NGX_HTTP_INTERNAL_SERVER_ERROR:
        return "Internal Server Error";

    default:
        return "Error";
    }
}


/*
 * The request ends, for any reason: its client hung up, or nginx does.  A call
 * that was sent runs to its end, unless the worker must end, and refers to the
 * request's memory: "blocked" keeps it.
 */

static void
ngx_http_tgbot_gateway_cleanup(void *data)
{
    ngx_http_tgbot_gateway_t *g = data;

    ngx_connection_t    *c;
    ngx_uint_t           sent;
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    ngx_http_tgbot_gateway_parse_stop(g);

    if (!g->sending) {
        ngx_http_tgbot_gateway_idempotency_leave(g, 1);
        return;
    }

    r = g->request;
    c = r->connection;

#if (NGX_HTTP_V2)

    if (r->stream) {
        c = r->stream->connection->connection;
    }

#endif

    sent = ngx_http_tgbot_call_sent(&g->send.call);

    if (!sent || g->send.call.passing || c->close) {

        if (g->send.call.passing) {
            ngx_http_tgbot_gateway_idempotency_passed(g, 1);
        }

        if (ngx_http_tgbot_send_cancel(&g->send) == NGX_OK) {

            ngx_http_tgbot_gateway_idempotency_leave(g,
                                              !sent && !g->send.unsure);

            if (g->timer.timer_set) {
                ngx_del_timer(&g->timer);
            }

            g->sending = 0;

            if (g->held) {
                g->held = 0;
                r->blocked--;
            }

            return;
        }
    }

    g->program.request = NULL;
    g->send.call.to = NULL;

    if (g->timer.timer_set) {
        ngx_del_timer(&g->timer);
    }

    if (!g->held) {
        g->held = 1;
        r->blocked++;
    }

    /* nginx may end the request again, when the worker must end */

    cln = ngx_http_cleanup_add(r, 0);

    if (cln) {
        cln->handler = ngx_http_tgbot_gateway_cleanup;
        cln->data = g;
    }
}


ngx_int_t
ngx_http_tgbot_gateway_post_read(ngx_http_request_t *r)
{
    u_char                      *p;
    ngx_http_tgbot_main_conf_t  *tmcf;

    p = memchr(r->uri.data, ':', r->uri.len);

    if (p == NULL || p == r->uri.data || p[-1] < '0' || p[-1] > '9') {
        return NGX_DECLINED;
    }

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tgbot_module);

    if (ngx_http_tgbot_redact_mask(&tmcf->tokens, &r->uri) == 0) {
        return NGX_DECLINED;
    }

    /* a path as it came is a part of the request line */

    if (r->uri.data < r->request_line.data
        || r->uri.data >= r->request_line.data + r->request_line.len)
    {
        (void) ngx_http_tgbot_redact_mask(&tmcf->tokens, &r->request_line);
        (void) ngx_http_tgbot_redact_mask(&tmcf->tokens, &r->unparsed_uri);
    }

    return NGX_DECLINED;
}
