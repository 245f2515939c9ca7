
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_authenticate.h"
#include "ngx_http_tgbot_body.h"
#include "ngx_http_tgbot_reply.h"
#include "ngx_http_tgbot_log.h"
#include "ngx_http_tgbot_webhook.h"


typedef struct {
    const char                       *name;
    ngx_int_t                       (*run)(ngx_http_tgbot_webhook_t *w);
} ngx_http_tgbot_stage_t;


static void ngx_http_tgbot_webhook_run(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_authenticate(
    ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_reject(ngx_http_tgbot_webhook_t *w,
    ngx_uint_t status);
static ngx_int_t ngx_http_tgbot_webhook_read(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_tgbot_webhook_parse(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_settle(ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_log(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_acknowledge(
    ngx_http_tgbot_webhook_t *w);
static void ngx_http_tgbot_webhook_cleanup(void *data);


static const ngx_http_tgbot_stage_t  ngx_http_tgbot_webhook_stages[] = {
    { "authenticate", ngx_http_tgbot_webhook_authenticate },
    { "read",         ngx_http_tgbot_webhook_read },
    { "parse",        ngx_http_tgbot_webhook_parse },
    { "claim",        ngx_http_tgbot_webhook_claim },
    { "stale",        ngx_http_tgbot_webhook_stale },
    { "limit",        ngx_http_tgbot_webhook_limit },
    { "reply",        ngx_http_tgbot_webhook_reply },
    { "cache",        ngx_http_tgbot_webhook_cache },
    { "work",         ngx_http_tgbot_webhook_work },
    { "settle",       ngx_http_tgbot_webhook_settle },
    { "acknowledge",  ngx_http_tgbot_webhook_acknowledge }
};

#define NGX_HTTP_TGBOT_WEBHOOK_SETTLE  9


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
    w->received = w->start;

    ngx_http_set_ctx(r, &w->ctx, ngx_http_tgbot_module);

    ngx_http_tgbot_stats_receive(w->ctx.bot->stats);

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


void
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

    /* a mirror, for one, has read it before, and may still be sending it */

    w->read = (r->request_body == NULL);

    rc = ngx_http_read_client_request_body(r, ngx_http_tgbot_webhook_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

        /* 413 and the like are core's, and count as aborted */

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

    if (ngx_http_tgbot_body_chain(r, w->read, &w->body) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_update_parse(&w->update, w->body, r->pool);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "tgbot: bot \"%V\": the request is not JSON or has no "
                      "update_id", &w->ctx.bot->name);

        return ngx_http_tgbot_webhook_reject(w, NGX_HTTP_BAD_REQUEST);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    w->ctx.update = &w->update;

    ngx_http_tgbot_stats_update(w->ctx.bot->stats);

    return ngx_http_tgbot_reply_base(r, w->ctx.bot->conf, &w->variables);
}


/* all the undoing there is; a second time it does nothing */

static ngx_int_t
ngx_http_tgbot_webhook_settle(ngx_http_tgbot_webhook_t *w)
{
    if (w->settled) {
        return NGX_OK;
    }

    w->settled = 1;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                   "tgbot bot \"%V\", update %L: delivery is settled, \"%V\"",
                   &w->ctx.bot->name, w->update.update_id,
                   &ngx_http_tgbot_verdict_names[w->ctx.verdict]);

    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }

    ngx_http_tgbot_wait_remove(&w->wait);

    if (w->job) {
        ngx_http_tgbot_job_leave(w->job);
        w->job = NULL;
    }

    if (w->cache.lease.token) {
        ngx_http_tgbot_cache_release(&w->cache, 0);
        ngx_http_tgbot_wait_wake(&w->cache);
    }

    ngx_http_tgbot_webhook_unclaim(w);

    ngx_http_tgbot_stats_deliver(w->ctx.bot->stats, w->ctx.verdict,
                                 ngx_current_msec - w->received);

    /* what no job does, nor what follows the answer */

    if (w->ctx.verdict == NGX_HTTP_TGBOT_DONE && !w->worked && !w->after) {
        ngx_http_tgbot_webhook_log(w);
    }

    return NGX_OK;
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
     * without a client they follow nonetheless, if the delivery to come is
     * answered as a duplicate
     */

    if (w->after
        && (rc != NGX_ERROR
            || (w->ctx.bot->seen && w->update.has_update_id)))
    {
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
