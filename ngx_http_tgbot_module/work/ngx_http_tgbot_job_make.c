
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_abandon.h"
#include "ngx_http_tgbot_body.h"
#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_record.h"


/* jobs kept for reuse */
#define NGX_HTTP_TGBOT_JOB_SPARE     256


static ngx_http_tgbot_job_t *ngx_http_tgbot_job_alloc(
    ngx_http_tgbot_bot_t *bot);
static void ngx_http_tgbot_job_list(ngx_http_tgbot_job_t *job);
static ngx_int_t ngx_http_tgbot_job_fill(ngx_http_tgbot_job_t *job,
    ngx_http_request_t *r, ngx_http_tgbot_ctx_t *ctx, ngx_chain_t *body);
static ngx_int_t ngx_http_tgbot_job_refill(ngx_http_tgbot_job_t *job);
static ngx_int_t ngx_http_tgbot_job_update(ngx_http_tgbot_job_t *job,
    ngx_str_t *parsed);
static ngx_int_t ngx_http_tgbot_job_copy_calls(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_answer_t *answer);


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
    ngx_http_tgbot_job_t  *job;

    if (!ngx_http_tgbot_job_room()) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "tgbot: too many updates in work: %ui of %d, %uz of %d "
                      "bytes", ngx_http_tgbot_job_count,
                      NGX_HTTP_TGBOT_JOB_MAX, ngx_http_tgbot_job_size,
                      NGX_HTTP_TGBOT_JOB_MAX_SIZE);
        return NULL;
    }

    job = ngx_http_tgbot_job_alloc(bot);
    if (job == NULL) {
        return NULL;
    }

    job->pool = ngx_create_pool(1024, bot->clcf->error_log);

    if (job->pool == NULL
        || ngx_http_tgbot_job_fill(job, r, ctx, body) != NGX_OK)
    {
        ngx_http_tgbot_job_free(job);
        return NULL;
    }

    ngx_http_tgbot_job_list(job);

    return job;
}


ngx_uint_t
ngx_http_tgbot_job_room(void)
{
    return ngx_http_tgbot_job_count < NGX_HTTP_TGBOT_JOB_MAX
           && ngx_http_tgbot_job_size < NGX_HTTP_TGBOT_JOB_MAX_SIZE;
}


ngx_msec_t
ngx_http_tgbot_job_age(ngx_http_tgbot_job_t *job)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - job->start);

    return (age > 0) ? (ngx_msec_t) age : 0;
}


void
ngx_http_tgbot_job_account(ngx_http_tgbot_job_t *job, size_t size)
{
    job->size += size;
    ngx_http_tgbot_job_size += size;
}


static ngx_http_tgbot_job_t *
ngx_http_tgbot_job_alloc(ngx_http_tgbot_bot_t *bot)
{
    ngx_queue_t           *q;
    ngx_http_tgbot_job_t  *job;

    if (!ngx_queue_empty(&ngx_http_tgbot_job_spare)) {
        q = ngx_queue_head(&ngx_http_tgbot_job_spare);
        ngx_queue_remove(q);
        ngx_http_tgbot_job_nspare--;

        job = ngx_queue_data(q, ngx_http_tgbot_job_t, queue);

    } else {
        job = ngx_alloc(sizeof(ngx_http_tgbot_job_t), bot->clcf->error_log);
        if (job == NULL) {
            return NULL;
        }
    }

    ngx_memzero(job, sizeof(ngx_http_tgbot_job_t));

    ngx_http_tgbot_bot_init(bot);

    job->bot = bot;
    job->start = ngx_current_msec;
    job->begun = ngx_current_msec;

    ngx_queue_insert_tail(&ngx_http_tgbot_job_queue, &job->queue);
    ngx_http_tgbot_job_count++;

    return job;
}


/* an update whose update_id does not fit is not known from others */

static void
ngx_http_tgbot_job_list(ngx_http_tgbot_job_t *job)
{
    if (!job->update.has_update_id) {
        return;
    }

    job->node.key = (ngx_rbtree_key_t) job->update.update_id;

    ngx_rbtree_insert(&job->bot->jobs, &job->node);
    job->listed = 1;
}


static ngx_int_t
ngx_http_tgbot_job_fill(ngx_http_tgbot_job_t *job, ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_chain_t *body)
{
    ngx_str_t  text;

    ngx_http_tgbot_body_text(body, &text);

    job->body.data = ngx_pstrdup(job->pool, &text);
    if (job->body.data == NULL) {
        return NGX_ERROR;
    }

    job->body.len = text.len;

    /* the request has a body and an update of its own, as long as it waits */

    ngx_http_tgbot_job_account(job, text.len
                               + ngx_http_tgbot_body_held(r, body)
                               + 2 * ngx_http_tgbot_update_size(ctx->update));

    job->ctx = *ctx;
    job->ctx.update = &job->update;

    if (ngx_http_tgbot_update_copy(&job->update, ctx->update, job->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_detached_client(&job->client, r, job->pool);
}


ngx_int_t
ngx_http_tgbot_job_restore(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_item_t *item, ngx_pool_t *pool,
    ngx_http_tgbot_job_t **jobp)
{
    ngx_int_t              rc;
    ngx_http_tgbot_job_t  *job;

    job = ngx_http_tgbot_job_alloc(bot);
    if (job == NULL) {
        return NGX_ERROR;
    }

    job->pool = pool;
    job->item = *item;
    job->start = item->head.received;

    ngx_http_tgbot_job_account(job, item->data.len + item->answer.len);

    rc = ngx_http_tgbot_job_refill(job);

    if (rc != NGX_OK) {
        job->pool = NULL;
        ngx_http_tgbot_job_free(job);
        return rc;
    }

    ngx_http_tgbot_job_list(job);

    *jobp = job;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_job_refill(ngx_http_tgbot_job_t *job)
{
    ngx_int_t                rc;
    ngx_http_tgbot_record_t  record;

    rc = ngx_http_tgbot_record_read(&record, &job->item.data, job->pool);
    if (rc != NGX_OK) {
        return rc;
    }

    job->client = record.client;
    job->body = record.body;

    rc = ngx_http_tgbot_job_update(job, &record.parsed);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_tgbot_job_account(job, ngx_http_tgbot_update_size(&job->update));

    job->ctx.bot = job->bot;
    job->ctx.update = &job->update;
    job->ctx.attempts = job->item.progress.attempts + 1;

    if (record.cached && job->bot->conf->answers) {
        job->cache.zone = job->bot->conf->answers->zone;
        ngx_memcpy(job->cache.key, record.cache_key,
                   NGX_HTTP_TGBOT_CACHE_KEY);
    }

    if (!job->item.answered) {
        return NGX_OK;
    }

    rc = ngx_http_tgbot_record_read_calls(&job->answer.calls,
                                          &job->item.answer, job->pool);
    if (rc != NGX_OK) {
        return rc;
    }

    if (job->item.progress.next > job->answer.calls.nelts) {
        return NGX_DECLINED;
    }

    job->own = 1;
    job->next = job->item.progress.next;
    job->resumed = (job->item.progress.failures != 0);

    return NGX_OK;
}


/* parses what was not, or by another version of the module */

static ngx_int_t
ngx_http_tgbot_job_update(ngx_http_tgbot_job_t *job, ngx_str_t *parsed)
{
    ngx_buf_t    b;
    ngx_chain_t  cl;

    if (ngx_http_tgbot_update_read(&job->update, &job->body, parsed) == NGX_OK
        && job->update.update_id == job->item.head.update_id)
    {
        return NGX_OK;
    }

    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.memory = 1;
    b.pos = job->body.data;
    b.last = b.pos + job->body.len;

    cl.buf = &b;
    cl.next = NULL;

    return ngx_http_tgbot_update_parse(&job->update, &cl, job->pool);
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

        ngx_http_tgbot_job_account(job, dst->body.len);
    }

    return NGX_OK;
}


void
ngx_http_tgbot_job_free(ngx_http_tgbot_job_t *job)
{
    ngx_http_tgbot_wait_remove(&job->wait);

    (void) ngx_http_tgbot_job_unclaim(job, NGX_HTTP_TGBOT_BUSY);
    ngx_http_tgbot_job_leave_cache(job);

    if (job->replay.token) {
        ngx_http_tgbot_dead_release(job->bot->dead, job->letter, &job->replay,
                                    0);
    }

    if (job->taken.lease.token) {
        ngx_http_tgbot_job_queue_give(job, 0, NGX_HTTP_TGBOT_QUEUE_UNTRIED);
    }

    if (job->listed) {
        ngx_rbtree_delete(&job->bot->jobs, &job->node);
    }

    ngx_queue_remove(&job->queue);

    ngx_http_tgbot_job_count--;
    ngx_http_tgbot_job_size -= job->size;

    if (job->pool) {
        ngx_http_tgbot_abandon_pool(job->pool);
    }

    if (ngx_http_tgbot_job_nspare < NGX_HTTP_TGBOT_JOB_SPARE) {
        ngx_queue_insert_head(&ngx_http_tgbot_job_spare, &job->queue);
        ngx_http_tgbot_job_nspare++;
        return;
    }

    ngx_free(job);
}
