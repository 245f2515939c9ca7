
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_queue_verbs.h"


/* delay of an item for which there was no memory, ms */
#define NGX_HTTP_TGBOT_QUEUE_LOCAL_LATER  1000


static ngx_int_t ngx_http_tgbot_queue_local_put(
    ngx_http_tgbot_queue_put_t *put);
static ngx_uint_t ngx_http_tgbot_queue_local_empty(ngx_http_tgbot_bot_t *bot,
    uint64_t lane);
static ngx_int_t ngx_http_tgbot_queue_local_take(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_queue_ready_pt ready, ngx_msec_t *wait);
static ngx_int_t ngx_http_tgbot_queue_local_read(
    ngx_http_tgbot_queue_held_t *held, ngx_http_tgbot_queue_ready_pt ready);
static ngx_uint_t ngx_http_tgbot_queue_local_holds(
    ngx_http_tgbot_queue_held_t *held);
static ngx_int_t ngx_http_tgbot_queue_local_give(
    ngx_http_tgbot_queue_held_t *held, ngx_http_tgbot_item_t *item,
    ngx_msec_t delay, ngx_http_tgbot_queue_program_e program);
static ngx_int_t ngx_http_tgbot_queue_local_save(
    ngx_http_tgbot_queue_held_t *held, ngx_http_tgbot_item_t *item);
static ngx_int_t ngx_http_tgbot_queue_local_settle(
    ngx_http_tgbot_queue_held_t *held, ngx_http_tgbot_queue_event_e event);
static void ngx_http_tgbot_queue_local_took(ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_queue_local_state(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_queue_state_t *state);


const ngx_http_tgbot_queue_verbs_t  ngx_http_tgbot_queue_local = {
    ngx_http_tgbot_queue_local_put,
    NULL, /* a put is never suspended */
    ngx_http_tgbot_queue_local_empty,
    ngx_http_tgbot_queue_local_take,
    ngx_http_tgbot_queue_local_holds,
    ngx_http_tgbot_queue_local_give,
    ngx_http_tgbot_queue_local_save,
    ngx_http_tgbot_queue_local_settle,
    ngx_http_tgbot_queue_local_took,
    ngx_http_tgbot_queue_local_state
};


static ngx_int_t
ngx_http_tgbot_queue_local_put(ngx_http_tgbot_queue_put_t *put)
{
    ngx_int_t                rc;
    ngx_http_tgbot_queue_t  *queue;

    queue = put->bot->queue_zone;

    if (put->again && ngx_http_tgbot_queue_has(queue, &put->item.head)) {
        return NGX_OK;
    }

    rc = ngx_http_tgbot_queue_put(queue, &put->item, put->event, &put->age);

    return (rc == NGX_AGAIN) ? NGX_BUSY : rc;
}


static ngx_uint_t
ngx_http_tgbot_queue_local_empty(ngx_http_tgbot_bot_t *bot, uint64_t lane)
{
    return ngx_http_tgbot_queue_empty(bot->queue_zone, lane);
}


static ngx_int_t
ngx_http_tgbot_queue_local_take(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_queue_ready_pt ready, ngx_msec_t *wait)
{
    ngx_http_tgbot_queue_held_t  held;

    if (ngx_http_tgbot_queue_take(bot->queue_zone, &held.taken, wait)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    held.bot = bot;
    held.seq = 0;
    held.held = 1;

    switch (ngx_http_tgbot_queue_local_read(&held, ready)) {

    case NGX_DECLINED:
        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\": an update in %V cannot be read, it "
                      "is of another version of the module, and is dropped",
                      &bot->name, &bot->queue_place);

        (void) ngx_http_tgbot_queue_local_settle(&held,
                                                 NGX_HTTP_TGBOT_QUEUE_DROPPED);
        break;

    case NGX_ERROR:
        (void) ngx_http_tgbot_queue_local_give(&held, NULL,
                                           NGX_HTTP_TGBOT_QUEUE_LOCAL_LATER,
                                           NGX_HTTP_TGBOT_QUEUE_UNTRIED);
        break;

    default: /* NGX_OK; NGX_ABORT: another worker has the item */
        break;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_queue_local_read(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_queue_ready_pt ready)
{
    u_char                 *buf;
    ngx_int_t               rc;
    ngx_pool_t             *pool;
    ngx_http_tgbot_item_t   item;

    pool = ngx_create_pool(ngx_max(held->taken.size, 1024) + 1024,
                           held->bot->clcf->error_log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    buf = ngx_pnalloc(pool, held->taken.size);

    if (buf == NULL) {
        rc = NGX_ERROR;

    } else if (ngx_http_tgbot_queue_read(held->bot->queue_zone, &held->taken,
                                         &item, buf)
               != NGX_OK)
    {
        rc = NGX_ABORT;

    } else {
        rc = ready(held, &item, pool);
    }

    if (rc != NGX_OK) {
        ngx_destroy_pool(pool);
    }

    return rc;
}


static ngx_uint_t
ngx_http_tgbot_queue_local_holds(ngx_http_tgbot_queue_held_t *held)
{
    return ngx_http_tgbot_queue_holds(held->bot->queue_zone, &held->taken)
           == NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_queue_local_give(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_item_t *item, ngx_msec_t delay,
    ngx_http_tgbot_queue_program_e program)
{
    return ngx_http_tgbot_queue_give(held->bot->queue_zone, &held->taken, item,
                                     delay, program);
}


static ngx_int_t
ngx_http_tgbot_queue_local_save(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_item_t *item)
{
    ngx_int_t  rc;

    rc = ngx_http_tgbot_queue_save(held->bot->queue_zone, &held->taken, item);

    return (rc == NGX_AGAIN) ? NGX_BUSY : rc;
}


static ngx_int_t
ngx_http_tgbot_queue_local_settle(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_queue_event_e event)
{
    return ngx_http_tgbot_queue_settle(held->bot->queue_zone, &held->taken,
                                       event, NGX_HTTP_TGBOT_QUEUE_UNTRIED);
}


static void
ngx_http_tgbot_queue_local_took(ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_queue_took(bot->queue_zone);
}


static ngx_int_t
ngx_http_tgbot_queue_local_state(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_queue_state_t *state)
{
    ngx_http_tgbot_queue_state(bot->queue_zone, state);

    return NGX_OK;
}
