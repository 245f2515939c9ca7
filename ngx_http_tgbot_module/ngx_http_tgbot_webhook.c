
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_acknowledge.h"
#include "ngx_http_tgbot_authenticate.h"
#include "ngx_http_tgbot_body.h"
#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_reply.h"
#include "ngx_http_tgbot_ride.h"
#include "ngx_http_tgbot_webhook.h"


typedef struct {
    ngx_http_tgbot_ctx_t              ctx;    /* first: the module's context */

    ngx_http_request_t               *request;
    ngx_uint_t                        stage;
    ngx_msec_t                        start;

    ngx_chain_t                      *body;
    ngx_http_tgbot_update_t           update;
    ngx_http_variable_value_t        *variables;  /* see reply.h */

    ngx_http_tgbot_answer_t           answer;     /* of a tgbot_reply */
    ngx_http_tgbot_job_t             *job;        /* we wait for */
    ngx_http_tgbot_job_t             *after;      /* to run after the answer */
    ngx_event_t                       timer;      /* tgbot_hold_timeout */

    ngx_http_tgbot_acknowledgement_t  ack;

    unsigned                          own:1;      /* answered by nginx itself */
} ngx_http_tgbot_webhook_t;


/*
 * NGX_OK: on to the next stage; NGX_DONE: the verdict is reached, on to
 * settle; NGX_ERROR: likewise, failed; NGX_AGAIN: suspended, or over
 */

typedef struct {
    const char                       *name;
    ngx_int_t                       (*run)(ngx_http_tgbot_webhook_t *w);
} ngx_http_tgbot_stage_t;


static void ngx_http_tgbot_webhook_run(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_resume(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_authenticate(
    ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_read(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_tgbot_webhook_parse(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_reply(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_ride(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_work(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_hold(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_busy(ngx_http_tgbot_webhook_t *w,
    ngx_uint_t retry_min, ngx_uint_t retry_max);
static void ngx_http_tgbot_webhook_timeout(ngx_event_t *ev);
static void ngx_http_tgbot_webhook_settled(void *data,
    ngx_http_tgbot_settled_t *settled);
static ngx_int_t ngx_http_tgbot_webhook_settle(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_acknowledge(
    ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_cleanup(void *data);


static const ngx_http_tgbot_stage_t  ngx_http_tgbot_webhook_stages[] = {
    { "authenticate", ngx_http_tgbot_webhook_authenticate },
    { "read",         ngx_http_tgbot_webhook_read },
    { "parse",        ngx_http_tgbot_webhook_parse },
    { "reply",        ngx_http_tgbot_webhook_reply },
    { "work",         ngx_http_tgbot_webhook_work },
    { "settle",       ngx_http_tgbot_webhook_settle },
    { "acknowledge",  ngx_http_tgbot_webhook_acknowledge }
};

#define NGX_HTTP_TGBOT_WEBHOOK_SETTLE  5


/* Retry-After when the worker has no room for another job, seconds */
#define NGX_HTTP_TGBOT_WEBHOOK_RETRY   5


ngx_int_t
ngx_http_tgbot_webhook_handler(ngx_http_request_t *r)
{
    ngx_http_cleanup_t         *cln;
    ngx_http_tgbot_webhook_t   *w;
    ngx_http_tgbot_loc_conf_t  *tlcf;

    /* an Update comes from a client */

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);

    w = ngx_pcalloc(r->pool, sizeof(ngx_http_tgbot_webhook_t));
    if (w == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_tgbot_webhook_cleanup;
    cln->data = w;

    w->ctx.bot = tlcf->bot;
    w->ctx.attempts = 1;
    w->request = r;
    w->start = ngx_current_msec;

    ngx_http_set_ctx(r, &w->ctx, ngx_http_tgbot_module);

    /* given back by acknowledge */

    r->main->count++;

    ngx_http_tgbot_webhook_run(w);

    return NGX_DONE;
}


static void
ngx_http_tgbot_webhook_run(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t                      rc;
    const ngx_http_tgbot_stage_t  *stage;

    for ( ;; ) {
        stage = &ngx_http_tgbot_webhook_stages[w->stage];

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                       "tgbot stage: %s", stage->name);

        rc = stage->run(w);

        switch (rc) {

        case NGX_OK:
            w->stage++;
            break;

        case NGX_ERROR:
            w->ctx.verdict = NGX_HTTP_TGBOT_FAILED;
            w->stage = NGX_HTTP_TGBOT_WEBHOOK_SETTLE;
            break;

        case NGX_DONE:
            w->stage = NGX_HTTP_TGBOT_WEBHOOK_SETTLE;
            break;

        default: /* NGX_AGAIN */
            return;
        }
    }
}


/* from an event that is not the request's own */

static void
ngx_http_tgbot_webhook_resume(ngx_http_tgbot_webhook_t *w)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = w->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    w->stage = NGX_HTTP_TGBOT_WEBHOOK_SETTLE;

    ngx_http_tgbot_webhook_run(w);

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_tgbot_webhook_authenticate(ngx_http_tgbot_webhook_t *w)
{
    ngx_uint_t  status;

    status = ngx_http_tgbot_authenticate(w->request, w->ctx.bot);

    if (status == 0) {
        return NGX_OK;
    }

    w->ctx.verdict = NGX_HTTP_TGBOT_REJECTED;
    w->ack.status = status;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_tgbot_webhook_read(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = w->request;

    rc = ngx_http_read_client_request_body(r, ngx_http_tgbot_webhook_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

        /* 413 and the like are core's, and counted nowhere */

        ngx_http_finalize_request(r, rc);
        return NGX_AGAIN;
    }

    /* our reference stands for the one taken by reading, too */

    r->main->count--;

    return NGX_AGAIN;
}


static void
ngx_http_tgbot_webhook_body(ngx_http_request_t *r)
{
    ngx_http_tgbot_webhook_t  *w;

    w = ngx_http_get_module_ctx(r, ngx_http_tgbot_module);

    w->stage++;

    ngx_http_tgbot_webhook_run(w);
}


static ngx_int_t
ngx_http_tgbot_webhook_parse(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = w->request;

    if (ngx_http_tgbot_body_chain(r, &w->body) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_update_parse(&w->update, w->body, r->pool);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "tgbot: bot \"%V\": the request is not JSON or has no "
                      "update_id", &w->ctx.bot->name);

        w->ctx.verdict = NGX_HTTP_TGBOT_REJECTED;
        w->ack.status = NGX_HTTP_BAD_REQUEST;

        return NGX_DONE;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    w->ctx.update = &w->update;

    return ngx_http_tgbot_reply_base(r, w->ctx.bot->conf, &w->variables);
}


static ngx_int_t
ngx_http_tgbot_webhook_reply(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t  rc;

    rc = ngx_http_tgbot_reply_evaluate(w->request, &w->ctx, w->variables,
                                       &w->answer);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    w->own = 1;

    if (ngx_http_tgbot_ride_allowed(w->ctx.bot, &w->answer, 1)) {
        return ngx_http_tgbot_webhook_ride(w);
    }

    if (w->ctx.bot->conf->api == NULL) {

        /* too large for a response */

        ngx_http_tgbot_ride_unsent(w->ctx.bot, w->request->connection->log,
                                   w->answer.calls.nelts);

        w->ctx.verdict = NGX_HTTP_TGBOT_DONE;
        return NGX_DONE;
    }

    return NGX_OK;
}


/* the first call rides, the others have to follow it */

static ngx_int_t
ngx_http_tgbot_webhook_ride(ngx_http_tgbot_webhook_t *w)
{
    ngx_uint_t             n;
    ngx_http_request_t    *r;
    ngx_http_tgbot_bot_t  *bot;

    r = w->request;
    bot = w->ctx.bot;

    n = w->answer.calls.nelts;

    w->ack.ride = w->answer.calls.elts;
    w->ctx.verdict = NGX_HTTP_TGBOT_DONE;

    if (n == 1) {
        return NGX_DONE;
    }

    if (bot->conf->api == NULL) {
        ngx_http_tgbot_ride_unsent(bot, r->connection->log, n - 1);
        return NGX_DONE;
    }

    if (ngx_http_tgbot_job_find(bot, w->update.update_id)) {

        /* they follow already, only the response was lost */

        return NGX_DONE;
    }

    w->after = ngx_http_tgbot_job_create(bot, r, &w->ctx, w->body);

    if (w->after == NULL) {
        return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_RETRY);
    }

    if (ngx_http_tgbot_job_answer(w->after, &w->answer, 1) != NGX_OK) {
        w->after = NULL;
        return NGX_ERROR;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_tgbot_webhook_work(ngx_http_tgbot_webhook_t *w)
{
    ngx_uint_t             age;
    ngx_http_tgbot_bot_t  *bot;
    ngx_http_tgbot_job_t  *job;

    bot = w->ctx.bot;

    job = ngx_http_tgbot_job_find(bot, w->update.update_id);

    if (job) {
        w->start = job->start;

        age = (ngx_current_msec - job->start) / 1000;
        return ngx_http_tgbot_webhook_busy(w, age, age + age / 4 + 1);
    }

    if (!w->own && bot->conf->handler == NULL) {
        w->ctx.verdict = NGX_HTTP_TGBOT_IGNORED;
        return NGX_DONE;
    }

    job = ngx_http_tgbot_job_create(bot, w->request, &w->ctx, w->body);

    if (job == NULL) {
        return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_RETRY);
    }

    if (w->own && ngx_http_tgbot_job_answer(job, &w->answer, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    w->job = job;

    return ngx_http_tgbot_webhook_hold(w);
}


static ngx_int_t
ngx_http_tgbot_webhook_hold(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_request_t    *r;
    ngx_http_tgbot_job_t  *job;

    r = w->request;
    job = w->job;

    w->timer.handler = ngx_http_tgbot_webhook_timeout;
    w->timer.data = w;
    w->timer.log = r->connection->log;

    ngx_add_timer(&w->timer, w->ctx.bot->conf->hold_timeout);

    /*
     * a client that hangs up is let go, the job is not; it may have done so
     * with the last bytes of its update, and no other event tells
     */

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        ngx_http_tgbot_job_cancel(job);
        w->job = NULL;
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    job->settled = ngx_http_tgbot_webhook_settled;
    job->data = w;

    ngx_http_tgbot_job_run(job);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_tgbot_webhook_busy(ngx_http_tgbot_webhook_t *w, ngx_uint_t retry_min,
    ngx_uint_t retry_max)
{
    w->ctx.verdict = NGX_HTTP_TGBOT_BUSY;
    w->ack.ride = NULL;
    w->ack.retry_min = retry_min;
    w->ack.retry_max = retry_max;

    return NGX_DONE;
}


static void
ngx_http_tgbot_webhook_timeout(ngx_event_t *ev)
{
    ngx_uint_t                 age;
    ngx_http_tgbot_webhook_t  *w;

    w = ev->data;

    age = (ngx_current_msec - w->start) / 1000;

    ngx_log_error(NGX_LOG_WARN, w->request->connection->log, 0,
                  "tgbot: bot \"%V\", update %L is still in work after %ui s, "
                  "Telegram is told to come again", &w->ctx.bot->name,
                  w->update.update_id, age);

    (void) ngx_http_tgbot_webhook_busy(w, age, age + age / 4 + 1);

    ngx_http_tgbot_webhook_resume(w);
}


static void
ngx_http_tgbot_webhook_settled(void *data, ngx_http_tgbot_settled_t *settled)
{
    ngx_http_tgbot_webhook_t *w = data;

    w->job = NULL;

    w->ctx.verdict = settled->verdict;
    w->ack.ride = settled->ride;
    w->ack.retry_min = settled->retry_min;
    w->ack.retry_max = settled->retry_max;

    ngx_http_tgbot_webhook_resume(w);
}


static ngx_int_t
ngx_http_tgbot_webhook_settle(ngx_http_tgbot_webhook_t *w)
{
    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }

    if (w->job) {
        ngx_http_tgbot_job_leave(w->job);
        w->job = NULL;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_webhook_acknowledge(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t              rc;
    ngx_http_request_t    *r;
    ngx_http_tgbot_job_t  *after;

    r = w->request;

    w->ack.elapsed = (ngx_current_msec - w->start) / 1000;

    rc = ngx_http_tgbot_acknowledge(r, &w->ctx, &w->ack);

    if (rc != NGX_ERROR && w->after) {
        after = w->after;
        w->after = NULL;

        ngx_http_tgbot_job_run(after);
    }

    ngx_http_finalize_request(r, rc);

    return NGX_AGAIN;
}


/* the request ends, whoever ended it */

static void
ngx_http_tgbot_webhook_cleanup(void *data)
{
    ngx_http_tgbot_webhook_t *w = data;

    if (w->ctx.verdict == NGX_HTTP_TGBOT_NONE) {
        w->ctx.verdict = NGX_HTTP_TGBOT_ABORTED;
    }

    (void) ngx_http_tgbot_webhook_settle(w);

    if (w->after) {
        ngx_http_tgbot_job_cancel(w->after);
        w->after = NULL;
    }
}
