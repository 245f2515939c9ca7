
/* The bell: a connection of its own, as one that subscribes can do no more. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_redis.h"
#include "ngx_http_tgbot_redis_bell.h"
#include "ngx_http_tgbot_redis_error.h"
#include "ngx_http_tgbot_redis_hello.h"


typedef struct {
    ngx_str_node_t    sn;         /* the channel */
    ngx_queue_t       queue;

    void            (*handler)(void *data, ngx_str_t *message);
    void             *data;
} ngx_http_tgbot_redis_channel_t;


static void ngx_http_tgbot_redis_bell_send(
    ngx_http_tgbot_redis_channel_t *channel);
static void ngx_http_tgbot_redis_bell_done(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);
static void ngx_http_tgbot_redis_bell_opened(
    ngx_http_tgbot_redis_link_t *link);
static ngx_uint_t ngx_http_tgbot_redis_bell_pushed(
    ngx_http_tgbot_redis_link_t *link, redisReply *reply);


static ngx_http_tgbot_redis_conf_t  *ngx_http_tgbot_redis_bell_conf;
static ngx_http_tgbot_redis_link_t   ngx_http_tgbot_redis_bell_link;
static ngx_queue_t                   ngx_http_tgbot_redis_bell_channels;
static ngx_rbtree_t                  ngx_http_tgbot_redis_bell_rbtree;
static ngx_rbtree_node_t             ngx_http_tgbot_redis_bell_sentinel;


void
ngx_http_tgbot_redis_bell_init(ngx_http_tgbot_redis_conf_t *conf)
{
    ngx_http_tgbot_redis_bell_conf = conf;

    ngx_queue_init(&ngx_http_tgbot_redis_bell_channels);

    ngx_rbtree_init(&ngx_http_tgbot_redis_bell_rbtree,
                    &ngx_http_tgbot_redis_bell_sentinel,
                    ngx_str_rbtree_insert_value);
}


ngx_int_t
ngx_http_tgbot_redis_subscribe(ngx_str_t *name,
    void (*handler)(void *data, ngx_str_t *message), void *data)
{
    ngx_http_tgbot_redis_link_t     *link;
    ngx_http_tgbot_redis_channel_t  *channel;

    if (ngx_http_tgbot_redis_bell_conf == NULL) {
        return NGX_ERROR;
    }

    channel = ngx_palloc(ngx_cycle->pool,
                         sizeof(ngx_http_tgbot_redis_channel_t));
    if (channel == NULL) {
        return NGX_ERROR;
    }

    channel->sn.str = *name;
    channel->sn.node.key = ngx_crc32_long(name->data, name->len);
    channel->handler = handler;
    channel->data = data;

    ngx_rbtree_insert(&ngx_http_tgbot_redis_bell_rbtree, &channel->sn.node);
    ngx_queue_insert_tail(&ngx_http_tgbot_redis_bell_channels,
                          &channel->queue);

    link = &ngx_http_tgbot_redis_bell_link;

    if (link->up) {
        ngx_http_tgbot_redis_bell_send(channel);

    } else if (!link->open) {
        link->conf = ngx_http_tgbot_redis_bell_conf;
        link->hello = ngx_http_tgbot_redis_hello;
        link->opened = ngx_http_tgbot_redis_bell_opened;
        link->pushed = ngx_http_tgbot_redis_bell_pushed;

        ngx_http_tgbot_redis_link_open(link);
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_redis_bell_send(ngx_http_tgbot_redis_channel_t *channel)
{
    ngx_str_t                      argv[2];
    ngx_http_tgbot_redis_entry_t  *entry;

    ngx_str_set(&argv[0], "SUBSCRIBE");
    argv[1] = channel->sn.str;

    entry = ngx_http_tgbot_redis_entry_create(NULL, argv, 2, 0,
                                              NGX_MAX_SIZE_T_VALUE);
    if (entry) {
        entry->done = ngx_http_tgbot_redis_bell_done;
        entry->data = channel;

        ngx_http_tgbot_redis_link_push(&ngx_http_tgbot_redis_bell_link, entry,
                                       1);
    }
}


static void
ngx_http_tgbot_redis_bell_done(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply)
{
    ngx_http_tgbot_redis_channel_t  *channel = entry->data;

    ngx_str_t                        none;

    static const ngx_str_t           name = ngx_string("SUBSCRIBE");

    if (rc != NGX_HTTP_TGBOT_REDIS_OK) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        (void) ngx_http_tgbot_redis_error(link, reply, &name, 0);
        ngx_http_tgbot_redis_link_leave(link);
        return;
    }

    /* what was published before is lost */

    ngx_str_null(&none);

    channel->handler(channel->data, &none);
}


static void
ngx_http_tgbot_redis_bell_opened(ngx_http_tgbot_redis_link_t *link)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&ngx_http_tgbot_redis_bell_channels);
         q != ngx_queue_sentinel(&ngx_http_tgbot_redis_bell_channels);
         q = ngx_queue_next(q))
    {
        ngx_http_tgbot_redis_bell_send(
            ngx_queue_data(q, ngx_http_tgbot_redis_channel_t, queue));
    }
}


static ngx_uint_t
ngx_http_tgbot_redis_bell_pushed(ngx_http_tgbot_redis_link_t *link,
    redisReply *reply)
{
    ngx_str_t                        name, message;
    ngx_str_node_t                  *sn;
    ngx_http_tgbot_redis_channel_t  *channel;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3
        || !ngx_http_tgbot_redis_reply_is(reply->element[0], "message")
        || reply->element[1]->type != REDIS_REPLY_STRING
        || reply->element[2]->type != REDIS_REPLY_STRING)
    {
        return 0;
    }

    name.data = (u_char *) reply->element[1]->str;
    name.len = reply->element[1]->len;

    sn = ngx_str_rbtree_lookup(&ngx_http_tgbot_redis_bell_rbtree, &name,
                               ngx_crc32_long(name.data, name.len));
    if (sn) {
        channel = (ngx_http_tgbot_redis_channel_t *) sn;

        message.data = (u_char *) reply->element[2]->str;
        message.len = reply->element[2]->len;

        channel->handler(channel->data, &message);
    }

    return 1;
}


void
ngx_http_tgbot_redis_bell_exit(void)
{
    ngx_http_tgbot_redis_link_close(&ngx_http_tgbot_redis_bell_link);

    ngx_http_tgbot_redis_bell_conf = NULL;
}
