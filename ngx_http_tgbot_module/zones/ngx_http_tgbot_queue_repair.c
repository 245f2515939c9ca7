
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


static void ngx_http_tgbot_queue_repair_books(
    ngx_http_tgbot_store_entry_t *entry, ngx_http_tgbot_queue_own_t *own);


void
ngx_http_tgbot_queue_repair(ngx_http_tgbot_queue_area_t *area)
{
    ngx_uint_t                     i, n;
    ngx_http_tgbot_store_t        *store;
    ngx_http_tgbot_queue_item_t   *item;
    ngx_http_tgbot_store_entry_t  *entry;

    store = &area->store;
    n = store->sh->nentries;

    ngx_http_tgbot_store_repair(store);

    ngx_http_tgbot_zone_stop("queue: store repaired");

    ngx_http_tgbot_queue_lane_empty(area);

    for (i = 0; i < n; i++) {
        ngx_http_tgbot_queue_lane_clear(ngx_http_tgbot_queue_own(area, i));
    }

    for (i = 0; i < n; i++) {
        entry = &store->entries[i];

        if (entry->serial == 0) {
            continue;
        }

        for (item = ngx_http_tgbot_store_next(store, i, NULL);
             item;
             item = ngx_http_tgbot_store_next(store, i, item))
        {
            ngx_http_tgbot_queue_lane_add(area, item);
        }

        ngx_http_tgbot_zone_stop("queue: lanes made");

        ngx_http_tgbot_queue_repair_books(entry,
                                          ngx_http_tgbot_queue_own(area, i));
    }
}


/* an item came or went, and nobody lived to count it */

static void
ngx_http_tgbot_queue_repair_books(ngx_http_tgbot_store_entry_t *entry,
    ngx_http_tgbot_queue_own_t *own)
{
    int64_t   diff;
    uint64_t  came, went;

    came = own->events[NGX_HTTP_TGBOT_QUEUE_ACCEPTED]
           + own->events[NGX_HTTP_TGBOT_QUEUE_REPLAYED]
           + own->events[NGX_HTTP_TGBOT_QUEUE_LOADED];

    went = own->events[NGX_HTTP_TGBOT_QUEUE_DONE]
           + own->events[NGX_HTTP_TGBOT_QUEUE_DEAD]
           + own->events[NGX_HTTP_TGBOT_QUEUE_EXPIRED]
           + own->events[NGX_HTTP_TGBOT_QUEUE_DROPPED];

    diff = (int64_t) (went + entry->items.n - came);

    if (diff > 0) {
        own->events[NGX_HTTP_TGBOT_QUEUE_ACCEPTED] += diff;

    } else if (diff < 0) {
        own->events[NGX_HTTP_TGBOT_QUEUE_DONE] += -diff;
    }
}
