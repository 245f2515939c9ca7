
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_body.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_job_queued.h"
#include "ngx_http_tgbot_job_record.h"
#include "ngx_http_tgbot_log.h"
#include "ngx_http_tgbot_method_form.h"
#include "ngx_http_tgbot_reply.h"
#include "ngx_http_tgbot_update.h"
#include "ngx_http_tgbot_webhook.h"


/* seconds between two errors about a full queue */
#define NGX_HTTP_TGBOT_WEBHOOK_FULL   60


/* the stages of a webhook, in this order */

typedef enum {
    NGX_HTTP_TGBOT_WEBHOOK_AUTHENTICATE = 0,
    NGX_HTTP_TGBOT_WEBHOOK_READ,
    NGX_HTTP_TGBOT_WEBHOOK_PARSE,
    NGX_HTTP_TGBOT_WEBHOOK_CLAIM,
    NGX_HTTP_TGBOT_WEBHOOK_STALE,
    NGX_HTTP_TGBOT_WEBHOOK_LIMIT,
    NGX_HTTP_TGBOT_WEBHOOK_REPLY,
    NGX_HTTP_TGBOT_WEBHOOK_CACHE,
    NGX_HTTP_TGBOT_WEBHOOK_WORK,
    NGX_HTTP_TGBOT_WEBHOOK_SETTLE,
    NGX_HTTP_TGBOT_WEBHOOK_ACKNOWLEDGE
} ngx_http_tgbot_stage_e;


typedef struct {
    const char                       *name;
    ngx_int_t                       (*run)(ngx_http_tgbot_webhook_t *w);
} ngx_http_tgbot_stage_t;


/* seconds between two warnings about wrong secrets */
#define NGX_HTTP_TGBOT_AUTHENTICATE_WARN  60


static void ngx_http_tgbot_webhook_run(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_finish(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_authenticate(
    ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_reject(ngx_http_tgbot_webhook_t *w,
    ngx_uint_t status);
static ngx_int_t ngx_http_tgbot_webhook_read(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_tgbot_webhook_parse(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_settle(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_unclaim(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_log(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_acknowledge(
    ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_cleanup(void *data);
static ngx_uint_t ngx_http_tgbot_authenticate(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot);
static ngx_uint_t ngx_http_tgbot_authenticate_secret(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot);
static void ngx_http_tgbot_authenticate_warn(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_webhook_work(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_hold(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_watch(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_timeout(ngx_event_t *ev);
static void ngx_http_tgbot_webhook_settled(void *data,
    ngx_http_tgbot_settled_t *settled);
static ngx_int_t ngx_http_tgbot_webhook_enqueue(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_enqueued(ngx_http_tgbot_queue_put_t *put,
    ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_webhook_queued(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_queue_put_t *put, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_webhook_lane(ngx_http_tgbot_webhook_t *w,
    uint64_t *lane);
static ngx_int_t ngx_http_tgbot_webhook_item(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_item_t *item);
static ngx_int_t ngx_http_tgbot_webhook_no_room(ngx_http_tgbot_webhook_t *w,
    ngx_msec_t oldest);


static const ngx_http_tgbot_stage_t  ngx_http_tgbot_webhook_stages[] = {

    [NGX_HTTP_TGBOT_WEBHOOK_AUTHENTICATE] =
        { "authenticate", ngx_http_tgbot_webhook_authenticate },
    [NGX_HTTP_TGBOT_WEBHOOK_READ] =
        { "read", ngx_http_tgbot_webhook_read },
    [NGX_HTTP_TGBOT_WEBHOOK_PARSE] =
        { "parse", ngx_http_tgbot_webhook_parse },
    [NGX_HTTP_TGBOT_WEBHOOK_CLAIM] =
        { "claim", ngx_http_tgbot_webhook_claim },
    [NGX_HTTP_TGBOT_WEBHOOK_STALE] =
        { "stale", ngx_http_tgbot_webhook_stale },
    [NGX_HTTP_TGBOT_WEBHOOK_LIMIT] =
        { "limit", ngx_http_tgbot_webhook_limit },
    [NGX_HTTP_TGBOT_WEBHOOK_REPLY] =
        { "reply", ngx_http_tgbot_webhook_reply },
    [NGX_HTTP_TGBOT_WEBHOOK_CACHE] =
        { "cache", ngx_http_tgbot_webhook_cache },
    [NGX_HTTP_TGBOT_WEBHOOK_WORK] =
        { "work", ngx_http_tgbot_webhook_work },
    [NGX_HTTP_TGBOT_WEBHOOK_SETTLE] =
        { "settle", ngx_http_tgbot_webhook_settle },
    [NGX_HTTP_TGBOT_WEBHOOK_ACKNOWLEDGE] =
        { "acknowledge", ngx_http_tgbot_webhook_acknowledge }
};


ngx_int_t
ngx_http_tgbot_webhook_handler(ngx_http_request_t *r)
{
    ngx_http_cleanup_t         *cln;
    ngx_http_tgbot_webhook_t   *w;
    ngx_http_tgbot_loc_conf_t  *tlcf;

    /* Telegram sends main requests */

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
    w->received = w->start;

    ngx_http_set_ctx(r, &w->ctx, ngx_http_tgbot_module);

    ngx_http_tgbot_stats_receive(w->ctx.bot->stats);

    /* released by ngx_http_finalize_request(), in "acknowledge" or "read" */

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


void
ngx_http_tgbot_webhook_resume(ngx_http_tgbot_webhook_t *w)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = w->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_tgbot_webhook_run(w);

    ngx_http_run_posted_requests(c);
}


/* resumes with the stage "settle": the verdict is set */

static void
ngx_http_tgbot_webhook_finish(ngx_http_tgbot_webhook_t *w)
{
    w->stage = NGX_HTTP_TGBOT_WEBHOOK_SETTLE;

    ngx_http_tgbot_webhook_resume(w);
}


static ngx_int_t
ngx_http_tgbot_webhook_authenticate(ngx_http_tgbot_webhook_t *w)
{
    ngx_uint_t  status;

    status = ngx_http_tgbot_authenticate(w->request, w->ctx.bot);

    if (status == 0) {
        return NGX_OK;
    }

    return ngx_http_tgbot_webhook_reject(w, status);
}


static ngx_int_t
ngx_http_tgbot_webhook_reject(ngx_http_tgbot_webhook_t *w, ngx_uint_t status)
{
    ngx_http_tgbot_rejection_e  reason;

    switch (status) {

    case NGX_HTTP_UNAUTHORIZED:
        reason = NGX_HTTP_TGBOT_REJECTED_SECRET;
        break;

    case NGX_HTTP_NOT_ALLOWED:
        reason = NGX_HTTP_TGBOT_REJECTED_METHOD;
        break;

    case NGX_HTTP_UNSUPPORTED_MEDIA_TYPE:
        reason = NGX_HTTP_TGBOT_REJECTED_TYPE;
        break;

    default: /* NGX_HTTP_BAD_REQUEST */
        reason = NGX_HTTP_TGBOT_REJECTED_JSON;
    }

    ngx_http_tgbot_stats_reject(w->ctx.bot->stats, reason);

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

    /* the mirror module, for one, may have read the body and still use it */

    w->read = (r->request_body == NULL);

    rc = ngx_http_read_client_request_body(r, ngx_http_tgbot_webhook_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

        /* core answers with 413 or similar; the verdict becomes aborted */

        ngx_http_finalize_request(r, rc);
        return NGX_AGAIN;
    }

    /* drop the reference taken by reading: the handler holds another one */

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

    if (ngx_http_tgbot_body(r, w->read, &w->body) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_update_parse(&w->update, &w->body, r->pool);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "tgbot: bot \"%V\": the request is not JSON or has no "
                      "update_id", &w->ctx.bot->name);

        return ngx_http_tgbot_webhook_reject(w, NGX_HTTP_BAD_REQUEST);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_bot_command(w->ctx.bot, &w->update);

    w->ctx.update = &w->update;

    ngx_http_tgbot_stats_update(w->ctx.bot->stats);

    return ngx_http_tgbot_reply_base(r, w->ctx.bot->conf, &w->variables);
}


/* releases all that earlier stages took; idempotent */

static ngx_int_t
ngx_http_tgbot_webhook_settle(ngx_http_tgbot_webhook_t *w)
{
    if (w->settled) {
        return NGX_OK;
    }

    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }

    if (w->job) {
        ngx_http_tgbot_job_leave(w->job);
        w->job = NULL;
    }

    if (w->put) {
        w->put->bot->queue->leave(w->put);
        w->put = NULL;
    }

    ngx_http_tgbot_cache_use_leave(&w->cache);

    if (w->limit) {
        ngx_http_tgbot_redis_cancel(&w->limit->command);
    }

    if (ngx_http_tgbot_webhook_unclaim(w) == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    w->settled = 1;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                   "tgbot bot \"%V\", update %L: delivery is settled, \"%V\"",
                   &w->ctx.bot->name, w->update.update_id,
                   &ngx_http_tgbot_verdict_names[w->ctx.verdict]);

    ngx_http_tgbot_stats_deliver(w->ctx.bot->stats, w->ctx.verdict,
                                 ngx_current_msec - w->received);

    /* if there is a job, it logs the Update */

    if (w->ctx.verdict == NGX_HTTP_TGBOT_DONE && !w->worked && !w->after) {
        ngx_http_tgbot_webhook_log(w);
    }

    return NGX_OK;
}


/* settles the claim; if the verdict does not hold, it becomes "busy" */

static ngx_int_t
ngx_http_tgbot_webhook_unclaim(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t   rc;
    ngx_uint_t  verdict;

    verdict = w->ctx.verdict;

    if (verdict == NGX_HTTP_TGBOT_LIMITED && w->ack.status) {
        verdict = NGX_HTTP_TGBOT_REJECTED;

    } else if (verdict == NGX_HTTP_TGBOT_FAILED) {

        /* the program was not called: this is no attempt */

        verdict = NGX_HTTP_TGBOT_BUSY;
    }

    /*
     * for a duplicate a tgbot_reply is evaluated again; other riding calls
     * are kept in the record
     */

    rc = ngx_http_tgbot_claim_settle(&w->claim, verdict,
                                     w->keep ? w->ack.ride : NULL);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (rc == NGX_AGAIN && ngx_http_tgbot_webhook_watch(w) == NGX_OK) {
        return NGX_AGAIN;
    }

    if (w->after) {
        ngx_http_tgbot_job_cancel(w->after);
        w->after = NULL;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_RETRY);
    }

    /* it is settled without this request */

    w->claim.ready = NULL;

    (void) ngx_http_tgbot_claim_settle(&w->claim, verdict, NULL);

    return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_CLAIM_RETRY);
}


static void
ngx_http_tgbot_webhook_log(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_tgbot_log_t  entry;

    ngx_memzero(&entry, sizeof(ngx_http_tgbot_log_t));

    entry.bot = w->ctx.bot;
    entry.update = &w->update;
    entry.verdict = "done";
    entry.ran = ngx_current_msec - w->received;

    ngx_http_tgbot_log(&entry);
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

    /*
     * if the client is gone, the calls are made nevertheless, provided that
     * the redelivery will be recognized as a duplicate and not make them again
     */

    if (w->after
        && (rc != NGX_ERROR
            || (w->ctx.bot->conf->dedup && w->update.has_update_id)))
    {
        after = w->after;
        w->after = NULL;

        ngx_http_tgbot_job_run(after);
    }

    ngx_http_finalize_request(r, rc);

    return NGX_AGAIN;
}


/* the request ends, for any reason */

static void
ngx_http_tgbot_webhook_cleanup(void *data)
{
    ngx_http_tgbot_webhook_t *w = data;

    if (w->ctx.verdict == NGX_HTTP_TGBOT_NONE) {
        w->ctx.verdict = NGX_HTTP_TGBOT_ABORTED;
    }

    w->claim.ready = NULL;

    (void) ngx_http_tgbot_webhook_settle(w);

    if (w->after) {
        ngx_http_tgbot_job_cancel(w->after);
        w->after = NULL;
    }
}


/*
 * Returns 0, or the status of a refusal, which is logged: 401 for a wrong or
 * missing secret token, 405 for another method than POST, 415 for another
 * type than application/json.  Called before the body is read.
 */

static ngx_uint_t
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
        || !ngx_http_tgbot_method_form_type(&r->headers_in.content_type->value,
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

    current = ngx_http_tgbot_webhook_equal(&bot->secret, &given);
    old = ngx_http_tgbot_webhook_equal(&bot->old_secret, &given);

    return current | old;
}


ngx_uint_t
ngx_http_tgbot_webhook_equal(ngx_str_t *secret, ngx_str_t *given)
{
    u_char      *p;
    size_t       i;
    ngx_uint_t   diff;

    diff = (secret->len == 0) | (secret->len ^ given->len);

    /*
     * a value of another length is refused, but in the same time: the secret is
     * compared with itself
     */

    p = (secret->len == given->len) ? given->data : secret->data;

    for (i = 0; i < secret->len; i++) {
        diff |= secret->data[i] ^ p[i];
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


static ngx_int_t
ngx_http_tgbot_webhook_work(ngx_http_tgbot_webhook_t *w)
{
    ngx_uint_t             age;
    ngx_http_tgbot_bot_t  *bot;
    ngx_http_tgbot_job_t  *job;

    bot = w->ctx.bot;

    if (!w->own && bot->conf->handler == NULL) {
        w->ctx.verdict = NGX_HTTP_TGBOT_IGNORED;
        return NGX_DONE;
    }

    if (bot->queue) {
        return ngx_http_tgbot_webhook_enqueue(w);
    }

    job = ngx_http_tgbot_job_find(bot, w->update.update_id);

    if (job) {
        w->start = job->start;

        age = (ngx_current_msec - job->start) / 1000;
        return ngx_http_tgbot_webhook_busy(w, age, age + age / 4 + 1);
    }

    job = ngx_http_tgbot_job_create(bot, w->request, &w->ctx, &w->body);

    if (job == NULL) {
        return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_RETRY);
    }

    if (w->own && ngx_http_tgbot_job_answer(job, &w->answer) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the job settles the claim and the cache's lease from now on */

    job->start = w->start;
    w->worked = 1;
    ngx_http_tgbot_claim_move(&job->claim, &w->claim);

    /* a cached answer that may ride never comes here: send it by tgbot_api */

    job->by_api = w->keep;

    ngx_http_tgbot_cache_use_move(&job->cache, &w->cache);

    w->job = job;

    return ngx_http_tgbot_webhook_hold(w);
}


static ngx_int_t
ngx_http_tgbot_webhook_hold(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_tgbot_job_t  *job;

    job = w->job;

    if (ngx_http_tgbot_webhook_suspend(w) != NGX_OK) {
        ngx_http_tgbot_job_cancel(job);
        w->job = NULL;
        return NGX_ERROR;
    }

    job->settled = ngx_http_tgbot_webhook_settled;
    job->data = w;

    ngx_http_tgbot_job_run(job);

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_tgbot_webhook_suspend(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_request_t  *r;

    r = w->request;

    if (!w->timer.timer_set) {
        w->timer.handler = ngx_http_tgbot_webhook_timeout;
        w->timer.data = w;
        w->timer.log = r->connection->log;

        ngx_add_timer(&w->timer, w->ctx.bot->conf->hold_timeout);
    }

    return ngx_http_tgbot_webhook_watch(w);
}


static ngx_int_t
ngx_http_tgbot_webhook_watch(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_request_t  *r;

    r = w->request;

    /*
     * If the client hangs up, the request ends and the job goes on.  The
     * client may have closed with the last bytes of the body: then there is
     * no further read event, so one is posted.
     */

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_webhook_busy(ngx_http_tgbot_webhook_t *w, ngx_uint_t retry_min,
    ngx_uint_t retry_max)
{
    w->ctx.verdict = NGX_HTTP_TGBOT_BUSY;
    w->ack.status = 0;
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
                  "it will be redelivered", &w->ctx.bot->name,
                  w->update.update_id, age);

    (void) ngx_http_tgbot_webhook_busy(w, age, age + age / 4 + 1);

    ngx_http_tgbot_webhook_finish(w);
}


static void
ngx_http_tgbot_webhook_settled(void *data, ngx_http_tgbot_settled_t *settled)
{
    ngx_http_tgbot_webhook_t *w = data;

    w->job = NULL;

    w->ctx.verdict = settled->verdict;
    w->ack.retry_min = settled->retry_min;
    w->ack.retry_max = settled->retry_max;

    /* the job may end before a slow client has read its call */

    if (settled->ride
        && ngx_http_tgbot_webhook_ride_copy(w, settled->ride) != NGX_OK)
    {
        w->ack.status = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_tgbot_webhook_finish(w);
}


ngx_int_t
ngx_http_tgbot_webhook_first(ngx_http_tgbot_webhook_t *w)
{
    uint64_t  lane;

    if (w->answer.calls.nelts != 1) {
        return NGX_DECLINED;
    }

    if (ngx_http_tgbot_webhook_lane(w, &lane) != NGX_OK) {
        return NGX_ERROR;
    }

    return w->ctx.bot->queue->empty(w->ctx.bot, lane) ? NGX_OK : NGX_DECLINED;
}


/* puts the Update, and w->answer if set, into the queue */

static ngx_int_t
ngx_http_tgbot_webhook_enqueue(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t                   rc;
    ngx_http_tgbot_queue_put_t  put;

    ngx_memzero(&put, sizeof(ngx_http_tgbot_queue_put_t));

    if (ngx_http_tgbot_webhook_item(w, &put.item) != NGX_OK) {
        return NGX_ERROR;
    }

    put.bot = w->ctx.bot;
    put.event = NGX_HTTP_TGBOT_QUEUE_ACCEPTED;
    put.numbered = w->update.has_update_id;
    put.buckets = w->limit ? &w->limit->buckets : NULL;
    put.done = ngx_http_tgbot_webhook_enqueued;
    put.data = w;

    rc = put.bot->queue->put(&put);

    if (rc != NGX_AGAIN) {
        return ngx_http_tgbot_webhook_queued(w, &put, rc);
    }

    w->put = put.copy;

    return (ngx_http_tgbot_webhook_suspend(w) == NGX_OK) ? NGX_AGAIN
                                                         : NGX_ERROR;
}


static void
ngx_http_tgbot_webhook_enqueued(ngx_http_tgbot_queue_put_t *put, ngx_int_t rc)
{
    ngx_http_tgbot_webhook_t *w = put->data;

    w->put = NULL;

    (void) ngx_http_tgbot_webhook_queued(w, put, rc);

    ngx_http_tgbot_webhook_finish(w);
}


/* sets the verdict of a delivery whose put has ended; returns NGX_DONE */

static ngx_int_t
ngx_http_tgbot_webhook_queued(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_queue_put_t *put, ngx_int_t rc)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = put->bot;

    if (put->rebased) {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_DEDUP_REBASED);
    }

    if (w->limit && (rc == NGX_OK || put->refused)) {
        w->limit->rc = put->refused ? NGX_BUSY : NGX_OK;
        w->limit->refused = put->refused - 1;
        w->limit->result = put->result;

        if (ngx_http_tgbot_webhook_limited(w) == NGX_DECLINED) {

            /* a dry run: no limit is charged for an update it would refuse */

            ngx_http_tgbot_webhook_refund(w);
        }
    }

    if (rc == NGX_OK) {
        w->ctx.verdict = NGX_HTTP_TGBOT_QUEUED;

        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                       "tgbot bot \"%V\", update %L: put in lane %xL",
                       &bot->name, w->update.update_id, put->item.head.lane);

        ngx_http_tgbot_queue_wake();

        return NGX_DONE;
    }

    ngx_http_tgbot_webhook_refund(w);

    if (rc == NGX_DONE) {

        /* unless it is limited */

        if (put->refused == 0) {
            w->ctx.verdict = NGX_HTTP_TGBOT_DUPLICATE;
        }

        return NGX_DONE;
    }

    if (rc == NGX_ABORT) {
        return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_AWAY);
    }

    ngx_http_tgbot_stats_count(bot->stats, NGX_HTTP_TGBOT_STAT_QUEUE_FULL);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, w->request->connection->log, 0,
                      "tgbot: bot \"%V\", update %L of %uz bytes is larger "
                      "than what the bot may have of %V",
                      &bot->name, w->update.update_id,
                      put->item.data.len + put->item.answer.len,
                      &bot->queue_place);

        put->age = 0;
    }

    return ngx_http_tgbot_webhook_no_room(w, put->age);
}


static ngx_int_t
ngx_http_tgbot_webhook_no_room(ngx_http_tgbot_webhook_t *w, ngx_msec_t oldest)
{
    time_t                 now;
    ngx_uint_t             seconds;
    ngx_http_tgbot_bot_t  *bot;

    bot = w->ctx.bot;
    now = ngx_time();

    /* Telegram redelivers often: log once in a while */

    if (now - bot->full_warned >= NGX_HTTP_TGBOT_WEBHOOK_FULL) {
        bot->full_warned = now;

        ngx_log_error(NGX_LOG_ERR, w->request->connection->log, 0,
                      "tgbot: bot \"%V\" has no room in %V, where its oldest "
                      "update has waited for %M ms: update %L will be "
                      "redelivered", &bot->name, &bot->queue_place, oldest,
                      w->update.update_id);
    }

    seconds = (ngx_uint_t) (oldest / 4000);

    return ngx_http_tgbot_webhook_busy(w, ngx_max(seconds, 1),
                                       seconds + seconds / 4
                                       + NGX_HTTP_TGBOT_WEBHOOK_RETRY);
}


static ngx_int_t
ngx_http_tgbot_webhook_lane(ngx_http_tgbot_webhook_t *w, uint64_t *lane)
{
    ngx_str_t                     key;
    ngx_http_tgbot_queue_conf_t  *queue;
    u_char                        buf[sizeof("update ") + NGX_INT64_LEN];

    queue = w->ctx.bot->conf->queue;

    if (queue->lane == NULL) {
        *lane = ngx_http_tgbot_update_lane(&w->update);
        return NGX_OK;
    }

    if (ngx_http_tgbot_bot_value(w->request, queue->lane, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {

        /* an empty key: a lane of its own, in no order with other updates */

        key.data = buf;
        key.len = ngx_sprintf(buf, "update %L", w->update.update_id) - buf;
    }

    *lane = ngx_http_tgbot_queue_lane(&key);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_webhook_item(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_item_t *item)
{
    ngx_pool_t                  *pool;
    ngx_http_tgbot_job_record_t  record;

    pool = w->request->pool;

    ngx_memzero(&record, sizeof(ngx_http_tgbot_job_record_t));

    if (ngx_http_tgbot_webhook_lane(w, &item->head.lane) != NGX_OK
        || ngx_http_tgbot_detached_client(&record.client, w->request, pool)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    record.body = w->body;

    if (ngx_http_tgbot_update_write(&w->update, &w->body, &record.parsed, pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (w->cache.entry.zone && !w->own) {
        record.cached = 1;
        ngx_memcpy(record.cache_key, w->cache.entry.key,
                   NGX_HTTP_TGBOT_CACHE_KEY);
    }

    item->head.update_id = w->update.update_id;
    item->head.received = w->start;
    item->head.life = (uint32_t) w->update.life;

    /* attempts made in held mode, before a reload added the queue */

    item->progress.attempts = (uint32_t) (w->ctx.attempts - 1);

    if (w->own) {
        item->answered = 1;

        if (ngx_http_tgbot_job_record_write_calls(&w->answer.calls,
                                                  &item->answer, pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_tgbot_job_record_write(&record, &item->data, pool);
}
