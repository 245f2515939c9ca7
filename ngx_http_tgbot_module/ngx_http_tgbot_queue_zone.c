
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


static ngx_int_t ngx_http_tgbot_queue_zone_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static ngx_int_t ngx_http_tgbot_queue_zone_carve(
    ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_queue_zone_clear(void *own);
static ngx_http_tgbot_queue_item_t *ngx_http_tgbot_queue_zone_next(
    ngx_http_tgbot_queue_area_t *area, ngx_http_tgbot_queue_cursor_t *cursor);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_queue_zone = {
    11, "queue",
    NGX_HTTP_TGBOT_STORE_MIN,
    ngx_http_tgbot_queue_zone_init
};


static const ngx_http_tgbot_store_layout_t
    ngx_http_tgbot_queue_zone_layout =
{
    sizeof(ngx_http_tgbot_queue_item_t),
    sizeof(ngx_http_tgbot_queue_own_t),
    NGX_HTTP_TGBOT_QUEUE_ENTRY,
    NGX_HTTP_TGBOT_QUEUE_HEADER,
    NGX_HTTP_TGBOT_QUEUE_TABLES,
    ngx_http_tgbot_queue_zone_clear
};


static ngx_int_t
ngx_http_tgbot_queue_zone_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_queue_area_t  area;

    if (fresh) {
        if (ngx_http_tgbot_queue_zone_carve(zone) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_tgbot_queue_lane_open(&area, zone);

        rc = ngx_http_tgbot_store_users(&area.store,
                                        &ngx_http_tgbot_queue_zone_layout);

    } else {
        ngx_http_tgbot_queue_lock_zone(zone, &area);

        rc = ngx_http_tgbot_store_users(&area.store,
                                        &ngx_http_tgbot_queue_zone_layout);

        ngx_http_tgbot_zone_unlock(zone);
    }

    if (rc != NGX_OK) {
        ngx_http_tgbot_store_too_few(zone, &ngx_http_tgbot_queue_zone_layout);
    }

    return rc;
}


static ngx_int_t
ngx_http_tgbot_queue_zone_carve(ngx_http_tgbot_zone_t *zone)
{
    u_char                        hash[16];
    uint32_t                      n;
    ngx_md5_t                     md5;
    ngx_uint_t                    items;
    struct timeval                now;
    ngx_http_tgbot_zone_t        *old;
    ngx_http_tgbot_queue_area_t   area;

    old = ngx_http_tgbot_zone_old(zone);
    items = old ? ngx_http_tgbot_queue_items(old) : 0;

    if (items) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" holds %ui updates, expected its size to "
                      "stay %uzk until it is empty, in %s:%ui",
                      &zone->shm_zone->shm.name, items, old->size / 1024,
                      zone->file, zone->line);
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_store_carve(zone, &ngx_http_tgbot_queue_zone_layout)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_tgbot_queue_lane_open(&area, zone);

    ngx_memzero(area.sh, sizeof(ngx_http_tgbot_queue_sh_t));

    area.sh->nheads = 1;
    area.sh->shift = 64;

    for (n = area.store.sh->nblocks; n > 1; n /= 2) {
        area.sh->nheads *= 2;
        area.sh->shift--;
    }

    ngx_gettimeofday(&now);

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, &now, sizeof(struct timeval));
    ngx_md5_update(&md5, &area.sh, sizeof(ngx_http_tgbot_queue_sh_t *));
    ngx_md5_final(hash, &md5);

    ngx_memcpy(&area.sh->seed, hash, sizeof(uint64_t));

    area.sh->seed |= 1;

    ngx_http_tgbot_queue_lane_open(&area, zone);
    ngx_http_tgbot_queue_lane_empty(&area);

    return NGX_OK;
}


static void
ngx_http_tgbot_queue_zone_clear(void *own)
{
    ngx_memzero(own, sizeof(ngx_http_tgbot_queue_own_t));

    ngx_http_tgbot_queue_lane_clear(own);
}


ngx_uint_t
ngx_http_tgbot_queue_items(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                   n;
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(zone, &area);

    n = area.store.sh->items;

    ngx_http_tgbot_zone_unlock(zone);

    return n;
}


ngx_uint_t
ngx_http_tgbot_queue_orphaned(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                   n;
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(zone, &area);

    n = ngx_http_tgbot_store_orphaned(&area.store);

    ngx_http_tgbot_zone_unlock(zone);

    return n;
}


ngx_int_t
ngx_http_tgbot_queue_walk(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_queue_cursor_t *cursor, ngx_http_tgbot_item_t *item,
    ngx_pool_t *pool)
{
    u_char                         *p;
    ngx_uint_t                      copied;
    ngx_http_tgbot_queue_area_t     area;
    ngx_http_tgbot_queue_item_t    *it;
    ngx_http_tgbot_queue_cursor_t   at;

    do {
        at = *cursor;

        ngx_http_tgbot_queue_lock_zone(zone, &area);

        it = ngx_http_tgbot_queue_zone_next(&area, &at);

        if (it) {
            ngx_http_tgbot_queue_tell(it, item);
        }

        ngx_http_tgbot_zone_unlock(zone);

        if (it == NULL) {
            return NGX_DONE;
        }

        /* not with the zone locked */

        p = ngx_pnalloc(pool, ngx_max(item->data.len + item->answer.len, 1));
        if (p == NULL) {
            return NGX_ERROR;
        }

        item->data.data = p;
        item->answer.data = p + item->data.len;

        ngx_http_tgbot_queue_lock_zone(zone, &area);

        it = ngx_http_tgbot_store_find(&area.store, at.block, at.seq);

        copied = it && item->answered
                       == (it->item.answer != NGX_HTTP_TGBOT_STORE_NIL);

        if (copied) {
            ngx_http_tgbot_store_copy(&area.store, it, item->data.data,
                                      item->answer.data);
        }

        ngx_http_tgbot_zone_unlock(zone);

    } while (!copied);

    *cursor = at;

    return NGX_OK;
}


static ngx_http_tgbot_queue_item_t *
ngx_http_tgbot_queue_zone_next(ngx_http_tgbot_queue_area_t *area,
    ngx_http_tgbot_queue_cursor_t *cursor)
{
    uint32_t                       i;
    ngx_http_tgbot_store_t        *store;
    ngx_http_tgbot_queue_item_t   *item;
    ngx_http_tgbot_store_entry_t  *entry;

    store = &area->store;

    for (i = cursor->entry; i < store->sh->bots; i++) {
        entry = &store->entries[i];

        if (entry->serial == 0) {
            continue;
        }

        item = NULL;

        if (i == cursor->entry && cursor->seq) {
            item = ngx_http_tgbot_store_find(store, cursor->block,
                                             cursor->seq);
        }

        do {
            item = ngx_http_tgbot_store_next(store, i, item);

        } while (item && i == cursor->entry
                 && item->item.seq <= cursor->seq);

        if (item == NULL) {
            continue;
        }

        cursor->entry = i;
        cursor->seq = item->item.seq;
        cursor->block = ngx_http_tgbot_queue_number(area, item);

        cursor->bot.data = entry->name;
        cursor->bot.len = entry->len;
        cursor->bot_id = entry->bot_id;

        return item;
    }

    return NULL;
}


ngx_int_t
ngx_http_tgbot_queue_enter(ngx_http_tgbot_queue_t *queue)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(queue->zone, &area);

    rc = ngx_http_tgbot_store_enter(&area.store,
                                    &ngx_http_tgbot_queue_zone_layout,
                                    (ngx_http_tgbot_store_user_t *) queue);

    ngx_http_tgbot_zone_unlock(queue->zone);

    return rc;
}


uint64_t
ngx_http_tgbot_queue_needs(ngx_http_tgbot_item_t *item)
{
    return ngx_http_tgbot_store_needs(sizeof(ngx_http_tgbot_queue_item_t),
                                      &item->data,
                                      item->answered ? &item->answer : NULL);
}


uint64_t
ngx_http_tgbot_queue_room(ngx_http_tgbot_zone_t *zone)
{
    uint64_t                     n;
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(zone, &area);

    n = ngx_http_tgbot_store_room(&area.store);

    ngx_http_tgbot_zone_unlock(zone);

    return n;
}
