
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_slot.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


static ngx_http_tgbot_queue_item_t *ngx_http_tgbot_queue_held(
    ngx_http_tgbot_queue_t *queue, ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_taken_t *taken);


ngx_int_t
ngx_http_tgbot_queue_read(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_taken_t *taken, ngx_http_tgbot_item_t *item, u_char *buf)
{
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    it = ngx_http_tgbot_queue_held(queue, &area, taken);

    if (it) {
        ngx_http_tgbot_queue_tell(&area.store, it, item);

        item->data.data = buf;
        item->answer.data = buf + item->data.len;

        ngx_http_tgbot_store_copy(&area.store, it, item->data.data,
                                  item->answer.data);
    }

    ngx_http_tgbot_zone_unlock(queue->zone);

    return it ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_tgbot_queue_holds(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_taken_t *taken)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_queue_area_t  area;

    rc = ngx_http_tgbot_queue_held(queue, &area, taken) ? NGX_OK
                                                        : NGX_DECLINED;

    ngx_http_tgbot_zone_unlock(queue->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_queue_save(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_taken_t *taken, ngx_http_tgbot_item_t *item)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_progress_t    *kept, progress;
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    it = ngx_http_tgbot_queue_held(queue, &area, taken);

    rc = it ? NGX_OK : NGX_DECLINED;

    if (it && item->answered && it->item.answer == NGX_HTTP_TGBOT_LIST_NIL) {
        rc = ngx_http_tgbot_store_answer(&area.store, it, &item->answer);

        if (rc == NGX_OK) {
            area.own->asking--;
            taken->size += item->answer.len;
        }
    }

    if (rc == NGX_OK) {
        kept = &it->item.progress[it->item.current];

        progress = item->progress;
        progress.attempts = kept->attempts;
        progress.unavailable = kept->unavailable;

        ngx_http_tgbot_store_note(&area.store, it, &progress);
    }

    ngx_http_tgbot_zone_unlock(queue->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_queue_give(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_taken_t *taken, ngx_http_tgbot_progress_t *progress,
    ngx_msec_t delay, ngx_http_tgbot_queue_program_e program)
{
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    it = ngx_http_tgbot_queue_held(queue, &area, taken);

    if (it == NULL) {
        ngx_http_tgbot_zone_unlock(queue->zone);
        return NGX_DECLINED;
    }

    if (progress) {
        ngx_http_tgbot_store_note(&area.store, it, progress);
    }

    it->due = ngx_current_msec
              + ngx_min(delay, NGX_HTTP_TGBOT_QUEUE_DELAY_MAX);

    ngx_memory_barrier();

    ngx_http_tgbot_queue_lane_free(&area, it, 0);

    ngx_http_tgbot_queue_breaker_tell(&area, it, queue->concurrency, program);

    ngx_http_tgbot_zone_unlock(queue->zone);

    ngx_memzero(&taken->lease, sizeof(ngx_http_tgbot_lease_t));

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_queue_settle(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_taken_t *taken, ngx_http_tgbot_queue_event_e event,
    ngx_http_tgbot_queue_program_e program)
{
    ngx_http_tgbot_queue_area_t   area;
    ngx_http_tgbot_queue_item_t  *it;

    it = ngx_http_tgbot_queue_held(queue, &area, taken);

    if (it == NULL) {
        ngx_http_tgbot_zone_unlock(queue->zone);
        return NGX_DECLINED;
    }

    ngx_http_tgbot_queue_breaker_tell(&area, it, queue->concurrency, program);

    ngx_http_tgbot_queue_lane_remove(&area, it);

    ngx_http_tgbot_store_retire(&area.store, it);

    ngx_http_tgbot_zone_stop("queue: item uncounted");

    area.own->events[event]++;

    ngx_http_tgbot_zone_unlock(queue->zone);

    ngx_memzero(&taken->lease, sizeof(ngx_http_tgbot_lease_t));

    return NGX_OK;
}


void
ngx_http_tgbot_queue_took(ngx_http_tgbot_queue_t *queue)
{
    ngx_http_tgbot_queue_own_t   *own;
    ngx_http_tgbot_queue_area_t   area;

    ngx_http_tgbot_queue_lane_open(&area, queue->zone);

    if (ngx_http_tgbot_store_entry(&area.store, queue) == NULL) {
        return;
    }

    /* as almost always: what others may tell at once is lost in no case */

    own = ngx_http_tgbot_queue_own(&area, queue->entry);

    if (own->state == NGX_HTTP_TGBOT_QUEUE_CLOSED && own->row == 0) {
        return;
    }

    if (ngx_http_tgbot_queue_lock(queue, &area) == NGX_OK) {
        ngx_http_tgbot_queue_breaker_tell(&area, NULL, queue->concurrency,
                                          NGX_HTTP_TGBOT_QUEUE_TOOK);
    }

    ngx_http_tgbot_zone_unlock(queue->zone);
}


/* locks; the item if the lease is still ours */

static ngx_http_tgbot_queue_item_t *
ngx_http_tgbot_queue_held(ngx_http_tgbot_queue_t *queue,
    ngx_http_tgbot_queue_area_t *area, ngx_http_tgbot_taken_t *taken)
{
    ngx_http_tgbot_queue_item_t  *it;

    if (ngx_http_tgbot_queue_lock(queue, area) != NGX_OK
        || taken->lease.token == 0)
    {
        return NULL;
    }

    it = ngx_http_tgbot_store_find(&area->store, taken->block, taken->seq);

    if (it == NULL || it->item.entry != queue->entry
        || !ngx_http_tgbot_lease_equal(&it->lease, &taken->lease))
    {
        return NULL;
    }

    return it;
}


void
ngx_http_tgbot_queue_tell(ngx_http_tgbot_store_t *store, void *item,
    void *told)
{
    ngx_msec_int_t                left;
    ngx_http_tgbot_item_t        *to;
    ngx_http_tgbot_queue_item_t  *it;

    it = item;
    to = told;

    ngx_http_tgbot_store_tell(store, it, to);

    if (it->place == NGX_HTTP_TGBOT_QUEUE_DELAYED) {
        left = (ngx_msec_int_t) (it->due - ngx_current_msec);
        to->delay = ngx_max(left, 0);
    }
}
