
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_ride.h"


/* jobs kept for reuse */
#define NGX_HTTP_TGBOT_JOB_SPARE     256

/* Retry-After of a program that is unavailable, seconds */
#define NGX_HTTP_TGBOT_JOB_RETRY     5


static ngx_int_t ngx_http_tgbot_job_fill(ngx_http_tgbot_job_t *job,
    ngx_http_request_t *r, ngx_http_tgbot_ctx_t *ctx, ngx_chain_t *body);
static ngx_int_t ngx_http_tgbot_job_copy_calls(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_answer_t *answer);
static void ngx_http_tgbot_job_call(ngx_http_tgbot_job_t *job);
static void ngx_http_tgbot_job_handled(ngx_http_tgbot_handler_t *handler,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result);
static ngx_int_t ngx_http_tgbot_job_read(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_capture_t *result);
static void ngx_http_tgbot_job_next(ngx_http_tgbot_job_t *job);
static ngx_int_t ngx_http_tgbot_job_ride(ngx_http_tgbot_job_t *job);
static void ngx_http_tgbot_job_sent(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_job_waiting(ngx_http_tgbot_send_t *send,
    ngx_msec_t delay);
static void ngx_http_tgbot_job_end(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict);


ngx_queue_t         ngx_http_tgbot_job_queue;

static ngx_queue_t  ngx_http_tgbot_job_spare;
static ngx_uint_t   ngx_http_tgbot_job_nspare;
static ngx_uint_t   ngx_http_tgbot_job_count;
static size_t       ngx_http_tgbot_job_size;


void
ngx_http_tgbot_job_init_process(void)
{
    ngx_queue_init(&ngx_http_tgbot_job_queue);
    ngx_queue_init(&ngx_http_tgbot_job_spare);
}


void
ngx_http_tgbot_job_exit_process(void)
{
    ngx_queue_t  *q;

    ngx_http_tgbot_job_abort(0);

    while (!ngx_queue_empty(&ngx_http_tgbot_job_spare)) {
        q = ngx_queue_head(&ngx_http_tgbot_job_spare);
        ngx_queue_remove(q);

        ngx_free(ngx_queue_data(q, ngx_http_tgbot_job_t, queue));
    }

    ngx_http_tgbot_job_nspare = 0;
}


ngx_http_tgbot_job_t *
ngx_http_tgbot_job_find(ngx_http_tgbot_bot_t *bot, int64_t update_id)
{
    ngx_rbtree_key_t    key;
    ngx_rbtree_node_t  *node;

    key = (ngx_rbtree_key_t) update_id;
    node = bot->jobs.root;

    while (node != bot->jobs.sentinel) {

        if (key == node->key) {
            return (ngx_http_tgbot_job_t *) node;
        }

        node = (key < node->key) ? node->left : node->right;
    }

    return NULL;
}


ngx_http_tgbot_job_t *
ngx_http_tgbot_job_create(ngx_http_tgbot_bot_t *bot, ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_chain_t *body)
{
    ngx_queue_t           *q;
    ngx_http_tgbot_job_t  *job;

    if (ngx_http_tgbot_job_count >= NGX_HTTP_TGBOT_JOB_MAX
        || ngx_http_tgbot_job_size >= NGX_HTTP_TGBOT_JOB_MAX_SIZE)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "tgbot: too many updates in work: %ui of %d, %uz of %d "
                      "bytes", ngx_http_tgbot_job_count,
                      NGX_HTTP_TGBOT_JOB_MAX, ngx_http_tgbot_job_size,
                      NGX_HTTP_TGBOT_JOB_MAX_SIZE);
        return NULL;
    }

    if (!ngx_queue_empty(&ngx_http_tgbot_job_spare)) {
        q = ngx_queue_head(&ngx_http_tgbot_job_spare);
        ngx_queue_remove(q);
        ngx_http_tgbot_job_nspare--;

        job = ngx_queue_data(q, ngx_http_tgbot_job_t, queue);

    } else {
        job = ngx_alloc(sizeof(ngx_http_tgbot_job_t), r->connection->log);
        if (job == NULL) {
            return NULL;
        }
    }

    ngx_memzero(job, sizeof(ngx_http_tgbot_job_t));

    ngx_http_tgbot_bot_init(bot);

    job->bot = bot;
    job->start = ngx_current_msec;
    job->node.key = (ngx_rbtree_key_t) ctx->update->update_id;

    ngx_rbtree_insert(&bot->jobs, &job->node);
    ngx_queue_insert_tail(&ngx_http_tgbot_job_queue, &job->queue);
    ngx_http_tgbot_job_count++;

    job->pool = ngx_create_pool(1024, bot->clcf->error_log);

    if (job->pool == NULL
        || ngx_http_tgbot_job_fill(job, r, ctx, body) != NGX_OK)
    {
        ngx_http_tgbot_job_free(job);
        return NULL;
    }

    return job;
}


static ngx_int_t
ngx_http_tgbot_job_fill(ngx_http_tgbot_job_t *job, ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_chain_t *body)
{
    size_t        len;
    u_char       *p;
    ngx_chain_t  *cl;

    len = 0;

    for (cl = body; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    p = ngx_pnalloc(job->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    job->body.data = p;
    job->body.len = len;

    for (cl = body; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    job->size = len;
    ngx_http_tgbot_job_size += len;

    job->ctx = *ctx;
    job->ctx.update = &job->update;

    if (ngx_http_tgbot_update_copy(&job->update, ctx->update, job->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_detached_client(&job->client, r, job->pool);
}


void
ngx_http_tgbot_job_run(ngx_http_tgbot_job_t *job)
{
    if (job->own) {
        ngx_http_tgbot_job_next(job);
        return;
    }

    ngx_http_tgbot_job_call(job);
}


ngx_int_t
ngx_http_tgbot_job_answer(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_answer_t *answer, ngx_uint_t first)
{
    if (ngx_http_tgbot_job_copy_calls(job, answer) != NGX_OK) {
        ngx_http_tgbot_job_free(job);
        return NGX_ERROR;
    }

    job->own = 1;
    job->next = first;
    job->acked = (first != 0);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_job_copy_calls(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_answer_t *answer)
{
    ngx_uint_t                i;
    ngx_http_tgbot_method_t  *src, *dst;

    src = answer->calls.elts;

    if (ngx_array_init(&job->answer.calls, job->pool, answer->calls.nelts,
                       sizeof(ngx_http_tgbot_method_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < answer->calls.nelts; i++) {
        dst = ngx_array_push(&job->answer.calls);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        if (ngx_http_tgbot_method_copy(dst, &src[i], job->pool) != NGX_OK) {
            return NGX_ERROR;
        }

        job->size += dst->body.len;
        ngx_http_tgbot_job_size += dst->body.len;
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_job_call(ngx_http_tgbot_job_t *job)
{
    ngx_http_tgbot_handler_t  *handler;

    handler = &job->handler;

    handler->bot = job->bot;
    handler->ctx = &job->ctx;
    handler->client = &job->client;
    handler->body = job->body;
    handler->done = ngx_http_tgbot_job_handled;
    handler->data = job;

    ngx_http_tgbot_handler_start(handler);
}


static void
ngx_http_tgbot_job_handled(ngx_http_tgbot_handler_t *handler,
    ngx_uint_t verdict, ngx_http_tgbot_capture_t *result)
{
    ngx_http_tgbot_job_t  *job;

    job = handler->data;

    /* without memory for its answer it will have to be asked again */

    if (verdict == NGX_HTTP_TGBOT_DONE
        && ngx_http_tgbot_job_read(job, result) != NGX_OK)
    {
        verdict = NGX_HTTP_TGBOT_FAILED;
    }

    if (verdict == NGX_HTTP_TGBOT_DONE) {
        ngx_http_tgbot_job_fill_cache(job, result);
        ngx_http_tgbot_job_next(job);
        return;
    }

    ngx_http_tgbot_job_end(job, verdict);
}


static ngx_int_t
ngx_http_tgbot_job_read(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_capture_t *result)
{
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_method_t   captured, copy;

    bot = job->bot;

    /* what is captured ends with its call, and calls point into the answer */

    ngx_memzero(&captured, sizeof(ngx_http_tgbot_method_t));

    captured.content_type = result->type;
    captured.body = result->body;

    if (ngx_http_tgbot_method_copy(&copy, &captured, job->pool) != NGX_OK) {
        return NGX_ERROR;
    }

    job->size += copy.body.len;
    ngx_http_tgbot_job_size += copy.body.len;

    if (ngx_http_tgbot_answer_parse(&job->answer, &copy.content_type,
                                    &copy.body, &job->update, job->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (job->answer.problem) {
        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L: the program's answer %s%s"
                      "%V%s", &bot->name, job->update.update_id,
                      job->answer.problem,
                      job->answer.culprit.len ? " \"" : "",
                      &job->answer.culprit,
                      job->answer.culprit.len ? "\"" : "");
    }

    return NGX_OK;
}


/* makes the next call of the answer, or ends the job */

static void
ngx_http_tgbot_job_next(ngx_http_tgbot_job_t *job)
{
    ngx_uint_t                left;
    ngx_msec_t                life, elapsed;
    ngx_http_tgbot_bot_t     *bot;
    ngx_http_tgbot_send_t    *send;
    ngx_http_tgbot_method_t  *method;

    bot = job->bot;

    if (!ngx_http_tgbot_job_holds(job)) {
        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_BUSY);
        return;
    }

    if (job->next == 0
        && !job->by_api
        && ngx_http_tgbot_ride_allowed(bot, &job->answer, job->own)
        && ngx_http_tgbot_job_ride(job) != NGX_OK)
    {
        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_BUSY);
        return;
    }

    left = job->answer.calls.nelts - job->next;

    if (left && bot->conf->api == NULL) {
        ngx_http_tgbot_ride_unsent(bot, bot->clcf->error_log, left);
        left = 0;
    }

    if (left == 0) {
        ngx_http_tgbot_job_end(job, NGX_HTTP_TGBOT_DONE);
        return;
    }

    method = job->answer.calls.elts;

    life = job->update.life * 1000;
    elapsed = ngx_current_msec - job->start;

    send = &job->send;

    send->bot = bot;
    send->ctx = &job->ctx;
    send->client = &job->client;
    send->method = &method[job->next++];
    send->pool = job->pool;
    send->life = (elapsed < life) ? life - elapsed : 0;
    send->done = ngx_http_tgbot_job_sent;
    send->waiting = ngx_http_tgbot_job_waiting;
    send->data = job;

    ngx_http_tgbot_send_start(send);
}


/*
 * The first call goes with the response.  If that was sent long ago, and
 * there is no other way, the response to the next delivery has it.
 */

static ngx_int_t
ngx_http_tgbot_job_ride(ngx_http_tgbot_job_t *job)
{
    ngx_http_tgbot_method_t   *method;
    ngx_http_tgbot_settled_t   settled;

    method = job->answer.calls.elts;

    if (job->settled == NULL
        && (job->bot->conf->api
            || job->claim.lease.token == 0
            || method->content_type.len + method->body.len
               > NGX_HTTP_TGBOT_SEEN_RIDE))
    {
        return NGX_OK;
    }

    if (ngx_http_tgbot_job_accept(job, job->own ? NULL : method) != NGX_OK) {
        return NGX_DECLINED;
    }

    job->acked = 1;
    job->next = 1;

    ngx_memzero(&settled, sizeof(ngx_http_tgbot_settled_t));

    settled.verdict = NGX_HTTP_TGBOT_DONE;
    settled.ride = method;

    ngx_http_tgbot_job_settle(job, &settled);

    return NGX_OK;
}


static void
ngx_http_tgbot_job_sent(ngx_http_tgbot_send_t *send)
{
    ngx_http_tgbot_job_next(send->data);
}


static void
ngx_http_tgbot_job_waiting(ngx_http_tgbot_send_t *send, ngx_msec_t delay)
{
    if (ngx_exiting && !ngx_http_tgbot_job_stays(send->data, delay)) {
        ngx_http_tgbot_job_drop(send->data);
    }
}


void
ngx_http_tgbot_job_leave(ngx_http_tgbot_job_t *job)
{
    job->settled = NULL;
    job->data = NULL;
}


void
ngx_http_tgbot_job_cancel(ngx_http_tgbot_job_t *job)
{
    job->acked = 0;    /* the response was not sent */

    ngx_http_tgbot_job_leave(job);
    ngx_http_tgbot_job_drop(job);
}


void
ngx_http_tgbot_job_settle(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_settled_t *result)
{
    void   *data;
    void  (*settled)(void *data, ngx_http_tgbot_settled_t *settled);

    settled = job->settled;
    data = job->data;

    ngx_http_tgbot_job_leave(job);

    if (settled) {
        settled(data, result);
    }
}


/* the end of a job, and what it means for Telegram */

static void
ngx_http_tgbot_job_end(ngx_http_tgbot_job_t *job, ngx_uint_t verdict)
{
    ngx_http_tgbot_settled_t  settled;

    if (ngx_http_tgbot_job_unclaim(job, verdict) != NGX_OK) {
        verdict = NGX_HTTP_TGBOT_BUSY;
    }

    /* whoever has seen the response finds nothing of ours in the way */

    ngx_http_tgbot_job_leave_cache(job);

    settled.verdict = verdict;
    settled.retry_min = 1;
    settled.retry_max = NGX_HTTP_TGBOT_JOB_RETRY;
    settled.ride = NULL;

    ngx_http_tgbot_job_settle(job, &settled);
    ngx_http_tgbot_job_free(job);
}


void
ngx_http_tgbot_job_free(ngx_http_tgbot_job_t *job)
{
    (void) ngx_http_tgbot_job_unclaim(job, NGX_HTTP_TGBOT_BUSY);
    ngx_http_tgbot_job_leave_cache(job);

    ngx_rbtree_delete(&job->bot->jobs, &job->node);
    ngx_queue_remove(&job->queue);

    ngx_http_tgbot_job_count--;
    ngx_http_tgbot_job_size -= job->size;

    if (job->pool) {
        ngx_destroy_pool(job->pool);
    }

    if (ngx_http_tgbot_job_nspare < NGX_HTTP_TGBOT_JOB_SPARE) {
        ngx_queue_insert_head(&ngx_http_tgbot_job_spare, &job->queue);
        ngx_http_tgbot_job_nspare++;
        return;
    }

    ngx_free(job);
}
