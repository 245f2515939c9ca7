
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dead_item.h"
#include "ngx_http_tgbot_slot.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


ngx_int_t
ngx_http_tgbot_dead_leased(ngx_http_tgbot_dead_item_t *item)
{
    if (item == NULL) {
        return NGX_DECLINED;
    }

    return ngx_http_tgbot_slot_alive(&item->lease) ? NGX_AGAIN : NGX_OK;
}


ngx_int_t
ngx_http_tgbot_dead_lease(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t *left)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_slot_lease(lease);

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    rc = ngx_http_tgbot_dead_leased(item);

    if (rc == NGX_OK) {
        *left = (item->lease.token != 0);

        /* a death in between leaves no lease of another process */

        item->lease.epoch = 0;

        ngx_memory_barrier();

        item->lease.slot = lease->slot;

        ngx_memory_barrier();

        item->lease.epoch = lease->epoch;
        item->lease.token = lease->token;

        ngx_http_tgbot_zone_stop("dead: letter leased");
    }

    ngx_http_tgbot_zone_unlock(dead->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_dead_holds(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    if (item == NULL) {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_http_tgbot_lease_equal(&item->lease, lease) ? NGX_OK
                                                             : NGX_AGAIN;
    }

    ngx_http_tgbot_zone_unlock(dead->zone);

    return rc;
}


void
ngx_http_tgbot_dead_release(ngx_http_tgbot_dead_t *dead, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_uint_t gone)
{
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    ngx_http_tgbot_zone_stop("dead: replayed");

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    if (item && ngx_http_tgbot_lease_equal(&item->lease, lease)) {

        if (gone) {
            ngx_http_tgbot_dead_retire(&store, item);

        } else {

            /* the token tells that there was one */

            item->lease.epoch = 0;
        }
    }

    ngx_http_tgbot_zone_unlock(dead->zone);
}


void
ngx_http_tgbot_dead_taken(ngx_http_tgbot_dead_t *dead, uint64_t id,
    int64_t update_id)
{
    ngx_http_tgbot_store_t       store;
    ngx_http_tgbot_dead_item_t  *item;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    item = ngx_http_tgbot_dead_find(&store, dead, id);

    /* a zone that is new since then gives its ids again */

    if (item && item->store.head.update_id == update_id) {
        ngx_http_tgbot_dead_retire(&store, item);
    }

    ngx_http_tgbot_zone_unlock(dead->zone);
}
