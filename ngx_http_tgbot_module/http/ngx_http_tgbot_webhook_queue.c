
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_body.h"
#include "ngx_http_tgbot_lane.h"
#include "ngx_http_tgbot_record.h"
#include "ngx_http_tgbot_wake.h"
#include "ngx_http_tgbot_webhook.h"


static ngx_int_t ngx_http_tgbot_webhook_lane(ngx_http_tgbot_webhook_t *w,
    uint64_t *lane);
static ngx_int_t ngx_http_tgbot_webhook_item(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_item_t *item);
static ngx_int_t ngx_http_tgbot_webhook_no_room(ngx_http_tgbot_webhook_t *w,
    ngx_msec_t oldest);


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

    return ngx_http_tgbot_queue_empty(w->ctx.bot->queue, lane) ? NGX_OK
                                                               : NGX_DECLINED;
}


ngx_int_t
ngx_http_tgbot_webhook_enqueue(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t               rc;
    ngx_msec_t              oldest;
    ngx_http_tgbot_bot_t   *bot;
    ngx_http_tgbot_item_t   item;

    bot = w->ctx.bot;

    if (ngx_http_tgbot_webhook_item(w, &item) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_queue_put(bot->queue, &item,
                                  NGX_HTTP_TGBOT_QUEUE_ACCEPTED, &oldest);

    if (rc == NGX_OK) {
        w->ctx.verdict = NGX_HTTP_TGBOT_QUEUED;

        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                       "tgbot bot \"%V\", update %L: put in lane %xL",
                       &bot->name, w->update.update_id, item.head.lane);

        ngx_http_tgbot_wake();

        return NGX_DONE;
    }

    ngx_http_tgbot_stats_count(bot->stats, NGX_HTTP_TGBOT_STAT_QUEUE_FULL);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, w->request->connection->log, 0,
                      "tgbot: bot \"%V\", update %L of %uz bytes is larger "
                      "than what the bot may have of zone \"%V\"",
                      &bot->name, w->update.update_id,
                      item.data.len + item.answer.len,
                      &bot->queue->zone->shm_zone->shm.name);

        oldest = 0;
    }

    return ngx_http_tgbot_webhook_no_room(w, oldest);
}


static ngx_int_t
ngx_http_tgbot_webhook_no_room(ngx_http_tgbot_webhook_t *w, ngx_msec_t oldest)
{
    time_t                 now;
    ngx_uint_t             seconds;
    ngx_http_tgbot_bot_t  *bot;

    bot = w->ctx.bot;
    now = ngx_time();

    /* Telegram will ask often, and all that is to be said is said once */

    if (now - bot->full_warned >= NGX_HTTP_TGBOT_WEBHOOK_FULL) {
        bot->full_warned = now;

        ngx_log_error(NGX_LOG_ERR, w->request->connection->log, 0,
                      "tgbot: bot \"%V\" has no room in zone \"%V\" for "
                      "update %L, the oldest one has waited for %M ms: "
                      "Telegram is told to come again", &bot->name,
                      &bot->queue->zone->shm_zone->shm.name,
                      w->update.update_id, oldest);
    }

    seconds = (ngx_uint_t) (oldest / 4000);

    return ngx_http_tgbot_webhook_busy(w, ngx_max(seconds, 1),
                                       seconds + seconds / 4
                                       + NGX_HTTP_TGBOT_WEBHOOK_RETRY);
}


static ngx_int_t
ngx_http_tgbot_webhook_lane(ngx_http_tgbot_webhook_t *w, uint64_t *lane)
{
    ngx_str_t                key;
    ngx_http_tgbot_lanes_t  *lanes;
    u_char                   buf[NGX_HTTP_TGBOT_LANE_KEY];

    lanes = w->ctx.bot->conf->lanes;

    ngx_str_null(&key);

    if (lanes->lane
        && ngx_http_complex_value(w->request, lanes->lane, &key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (lanes->lane == NULL) {
        ngx_http_tgbot_lane_key(&w->update, buf, &key);

    } else if (key.len == 0) {

        /* in no order with others */

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
    ngx_pool_t               *pool;
    ngx_http_tgbot_record_t   record;

    pool = w->request->pool;

    ngx_memzero(item, sizeof(ngx_http_tgbot_item_t));
    ngx_memzero(&record, sizeof(ngx_http_tgbot_record_t));

    if (ngx_http_tgbot_webhook_lane(w, &item->head.lane) != NGX_OK
        || ngx_http_tgbot_detached_client(&record.client, w->request, pool)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_tgbot_body_text(w->body, &record.body);

    if (ngx_http_tgbot_update_write(&w->update, &record.body, &record.parsed,
                                    pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (w->cache.zone && !w->own) {
        record.cached = 1;
        ngx_memcpy(record.cache_key, w->cache.key, NGX_HTTP_TGBOT_CACHE_KEY);
    }

    item->head.update_id = w->update.update_id;
    item->head.received = w->start;
    item->head.life = (uint32_t) w->update.life;

    /* it may have been held before a reload */

    item->progress.attempts = (uint32_t) (w->ctx.attempts - 1);

    if (w->own) {
        item->answered = 1;

        if (ngx_http_tgbot_record_write_calls(&w->answer.calls, &item->answer,
                                              pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_tgbot_record_write(&record, &item->data, pool);
}
