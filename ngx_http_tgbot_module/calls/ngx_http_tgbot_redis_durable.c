
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_redis_durable.h"
#include "ngx_http_tgbot_redis_error.h"
#include "ngx_http_tgbot_redis_hello.h"


static void ngx_http_tgbot_redis_durable_flush(ngx_event_t *ev);
static void ngx_http_tgbot_redis_durable_refuse(void);
static ngx_http_tgbot_redis_entry_t *ngx_http_tgbot_redis_durable_wait(
    ngx_http_tgbot_redis_conf_t *conf);
static void ngx_http_tgbot_redis_durable_reply(
    ngx_http_tgbot_redis_link_t *link, ngx_http_tgbot_redis_entry_t *entry,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static void ngx_http_tgbot_redis_durable_waited(
    ngx_http_tgbot_redis_link_t *link, ngx_http_tgbot_redis_entry_t *wait,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);


static ngx_http_tgbot_redis_link_t    ngx_http_tgbot_redis_durable_link;
static ngx_http_tgbot_redis_done_pt   ngx_http_tgbot_redis_durable_done;
static ngx_event_t                    ngx_http_tgbot_redis_durable_event;

/* entries of the next batch, and those that WAIT decides on */
static ngx_queue_t                    ngx_http_tgbot_redis_durable_next;
static ngx_queue_t                    ngx_http_tgbot_redis_durable_kept;

static ngx_uint_t                     ngx_http_tgbot_redis_durable_waiting;


void
ngx_http_tgbot_redis_durable_init(ngx_http_tgbot_redis_conf_t *conf,
    ngx_http_tgbot_redis_done_pt done)
{
    ngx_event_t                  *ev;
    ngx_http_tgbot_redis_link_t  *link;

    if (conf->replicas == 0) {
        return;
    }

    ngx_queue_init(&ngx_http_tgbot_redis_durable_next);
    ngx_queue_init(&ngx_http_tgbot_redis_durable_kept);

    ngx_http_tgbot_redis_durable_done = done;
    ngx_http_tgbot_redis_durable_waiting = 0;

    link = &ngx_http_tgbot_redis_durable_link;

    link->conf = conf;
    link->hello = ngx_http_tgbot_redis_hello;

    ev = &ngx_http_tgbot_redis_durable_event;

    ev->handler = ngx_http_tgbot_redis_durable_flush;
    ev->data = link;
    ev->log = ngx_cycle->log;

    ngx_http_tgbot_redis_link_open(link);
}


ngx_uint_t
ngx_http_tgbot_redis_durable_ready(void)
{
    return ngx_http_tgbot_redis_link_ready(&ngx_http_tgbot_redis_durable_link);
}


void
ngx_http_tgbot_redis_durable_push(ngx_http_tgbot_redis_entry_t *entry)
{
    ngx_event_t  *ev;

    entry->done = ngx_http_tgbot_redis_durable_reply;

    ngx_queue_insert_tail(&ngx_http_tgbot_redis_durable_next, &entry->queue);

    ev = &ngx_http_tgbot_redis_durable_event;

    if (!ngx_http_tgbot_redis_durable_waiting) {
        ngx_post_event(ev, &ngx_posted_events);
    }
}


static void
ngx_http_tgbot_redis_durable_flush(ngx_event_t *ev)
{
    ngx_queue_t                   *q, *next;
    ngx_http_tgbot_redis_link_t   *link;
    ngx_http_tgbot_redis_entry_t  *entry, *wait;

    link = &ngx_http_tgbot_redis_durable_link;
    next = &ngx_http_tgbot_redis_durable_next;

    if (ngx_queue_empty(next)) {
        return;
    }

    wait = ngx_http_tgbot_redis_durable_wait(link->conf);

    if (wait == NULL || !ngx_http_tgbot_redis_link_ready(link)) {

        if (wait) {
            ngx_free(wait);
        }

        ngx_http_tgbot_redis_durable_refuse();
        return;
    }

    while (!ngx_queue_empty(next)) {
        q = ngx_queue_head(next);
        ngx_queue_remove(q);

        entry = ngx_queue_data(q, ngx_http_tgbot_redis_entry_t, queue);

        ngx_http_tgbot_redis_link_push(link, entry, 0);
    }

    ngx_http_tgbot_redis_link_push(link, wait, 0);

    ngx_http_tgbot_redis_durable_waiting = 1;
}


static void
ngx_http_tgbot_redis_durable_refuse(void)
{
    ngx_queue_t                   *q, refused;
    ngx_http_tgbot_redis_entry_t  *entry;

    ngx_queue_init(&refused);
    ngx_queue_add(&refused, &ngx_http_tgbot_redis_durable_next);
    ngx_queue_init(&ngx_http_tgbot_redis_durable_next);

    while (!ngx_queue_empty(&refused)) {
        q = ngx_queue_head(&refused);
        ngx_queue_remove(q);

        entry = ngx_queue_data(q, ngx_http_tgbot_redis_entry_t, queue);

        ngx_http_tgbot_redis_durable_done(&ngx_http_tgbot_redis_durable_link,
                                          entry, NGX_HTTP_TGBOT_REDIS_AWAY,
                                          NULL);
        ngx_free(entry);
    }
}


/*
 * The time of a command has to do for what WAIT is under way, for its own, and
 * for the way there and back.
 */

static ngx_http_tgbot_redis_entry_t *
ngx_http_tgbot_redis_durable_wait(ngx_http_tgbot_redis_conf_t *conf)
{
    ngx_str_t                      argv[3];
    ngx_http_tgbot_redis_entry_t  *wait;
    u_char                         replicas[NGX_INT_T_LEN];
    u_char                         timeout[NGX_INT_T_LEN];

    ngx_str_set(&argv[0], "WAIT");

    argv[1].data = replicas;
    argv[1].len = ngx_sprintf(replicas, "%ui", conf->replicas) - replicas;

    argv[2].data = timeout;
    argv[2].len = ngx_sprintf(timeout, "%M", ngx_max(conf->timeout / 3, 1))
                  - timeout;

    wait = ngx_http_tgbot_redis_entry_create(NULL, argv, 3, 0,
                                             NGX_MAX_SIZE_T_VALUE);
    if (wait) {
        wait->done = ngx_http_tgbot_redis_durable_waited;
        wait->held = 1;
    }

    return wait;
}


static void
ngx_http_tgbot_redis_durable_reply(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply)
{
    if (rc == NGX_HTTP_TGBOT_REDIS_OK && reply->type != REDIS_REPLY_ERROR) {
        entry->kept = 1;
        entry->reply = reply;

        ngx_queue_insert_tail(&ngx_http_tgbot_redis_durable_kept,
                              &entry->queue);
        return;
    }

    ngx_http_tgbot_redis_durable_done(link, entry, rc, reply);
}


static void
ngx_http_tgbot_redis_durable_waited(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *wait, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply)
{
    long long                      n;
    ngx_queue_t                   *q, kept;
    ngx_http_tgbot_redis_entry_t  *entry;

    ngx_http_tgbot_redis_durable_waiting = 0;

    n = 0;

    if (rc == NGX_HTTP_TGBOT_REDIS_OK) {

        if (reply->type == REDIS_REPLY_ERROR) {
            (void) ngx_http_tgbot_redis_error(link, reply, &wait->name, 0);

        } else if (reply->type == REDIS_REPLY_INTEGER) {
            n = reply->integer;
        }
    }

    rc = NGX_HTTP_TGBOT_REDIS_OK;

    if (n < (long long) link->conf->replicas) {
        rc = NGX_HTTP_TGBOT_REDIS_UNKNOWN;

        if (link->up && ngx_http_tgbot_redis_link_may_log(
                                           NGX_HTTP_TGBOT_REDIS_LOG_REPLICAS))
        {
            ngx_log_error(NGX_LOG_ERR, &link->log, 0,
                          "%L of %ui replicas have what was written in time",
                          (int64_t) n, link->conf->replicas);
        }
    }

    ngx_queue_init(&kept);

    if (!ngx_queue_empty(&ngx_http_tgbot_redis_durable_kept)) {
        ngx_queue_add(&kept, &ngx_http_tgbot_redis_durable_kept);
        ngx_queue_init(&ngx_http_tgbot_redis_durable_kept);
    }

    while (!ngx_queue_empty(&kept)) {
        q = ngx_queue_head(&kept);
        ngx_queue_remove(q);

        entry = ngx_queue_data(q, ngx_http_tgbot_redis_entry_t, queue);

        ngx_http_tgbot_redis_durable_done(link, entry, rc,
                                          rc == NGX_HTTP_TGBOT_REDIS_OK
                                          ? entry->reply : NULL);
        freeReplyObject(entry->reply);
        ngx_free(entry);
    }

    if (!ngx_queue_empty(&ngx_http_tgbot_redis_durable_next)) {
        ngx_post_event(&ngx_http_tgbot_redis_durable_event,
                       &ngx_posted_events);
    }
}


void
ngx_http_tgbot_redis_durable_exit(void)
{
    ngx_http_tgbot_redis_link_t  *link;

    link = &ngx_http_tgbot_redis_durable_link;

    if (!link->open) {
        return;
    }

    ngx_http_tgbot_redis_link_close(link);

    if (!ngx_queue_empty(&ngx_http_tgbot_redis_durable_next)) {
        ngx_http_tgbot_redis_durable_refuse();
    }

    if (ngx_http_tgbot_redis_durable_event.posted) {
        ngx_delete_posted_event(&ngx_http_tgbot_redis_durable_event);
    }
}
