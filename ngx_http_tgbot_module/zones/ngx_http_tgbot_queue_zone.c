
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
static void ngx_http_tgbot_queue_zone_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store);


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
    ngx_http_tgbot_queue_zone_clear,
    ngx_http_tgbot_queue_zone_lock,
    ngx_http_tgbot_queue_tell
};


static ngx_int_t
ngx_http_tgbot_queue_zone_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    if (fresh && ngx_http_tgbot_queue_zone_carve(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_store_init(zone, &ngx_http_tgbot_queue_zone_layout);
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

    for (n = area.store.sh->chain.total; n > 1; n /= 2) {
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


static void
ngx_http_tgbot_queue_zone_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store)
{
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lock_zone(zone, &area);

    *store = area.store;
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
    ngx_http_tgbot_store_cursor_t *cursor, ngx_http_tgbot_item_t *item,
    ngx_pool_t *pool)
{
    return ngx_http_tgbot_store_walk(zone, &ngx_http_tgbot_queue_zone_layout,
                                     cursor, item, pool);
}


ngx_int_t
ngx_http_tgbot_queue_enter(ngx_http_tgbot_queue_t *queue)
{
    return ngx_http_tgbot_store_enter(queue,
                                      &ngx_http_tgbot_queue_zone_layout);
}


uint64_t
ngx_http_tgbot_queue_needs(ngx_http_tgbot_item_t *item)
{
    return ngx_http_tgbot_store_needs(sizeof(ngx_http_tgbot_queue_item_t),
                                      item);
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
