
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dead_item.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


static ngx_http_tgbot_dead_item_t *ngx_http_tgbot_dead_walk_next(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_dead_cursor_t *cursor);


ngx_int_t
ngx_http_tgbot_dead_walk(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_dead_cursor_t *cursor, ngx_http_tgbot_letter_t *letter,
    ngx_pool_t *pool)
{
    u_char                        *p;
    ngx_http_tgbot_store_t         store;
    ngx_http_tgbot_dead_item_t    *item;
    ngx_http_tgbot_dead_cursor_t   at;

    do {
        at = *cursor;

        ngx_http_tgbot_dead_lock(zone, &store);

        item = ngx_http_tgbot_dead_walk_next(&store, &at);

        if (item) {
            ngx_http_tgbot_dead_read(item, letter);
        }

        ngx_http_tgbot_zone_unlock(zone);

        if (item == NULL) {
            return NGX_DONE;
        }

        /* not with the zone locked */

        p = ngx_pnalloc(pool, ngx_max(letter->data.len + letter->answer.len,
                                      1));
        if (p == NULL) {
            return NGX_ERROR;
        }

        letter->data.data = p;
        letter->answer.data = p + letter->data.len;

        ngx_http_tgbot_dead_lock(zone, &store);

        item = ngx_http_tgbot_store_find(&store, at.block, at.seq);

        if (item) {
            ngx_http_tgbot_store_copy(&store, item, letter->data.data,
                                      letter->answer.data);
        }

        ngx_http_tgbot_zone_unlock(zone);

    } while (item == NULL);

    *cursor = at;

    return NGX_OK;
}


static ngx_http_tgbot_dead_item_t *
ngx_http_tgbot_dead_walk_next(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_cursor_t *cursor)
{
    uint32_t                       i;
    ngx_http_tgbot_dead_item_t    *item;
    ngx_http_tgbot_store_entry_t  *entry;

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
                 && item->store.seq <= cursor->seq);

        if (item == NULL) {
            continue;
        }

        cursor->entry = i;
        cursor->seq = item->store.seq;
        cursor->block = ngx_http_tgbot_store_number(store, item);

        cursor->bot.data = entry->name;
        cursor->bot.len = entry->len;
        cursor->bot_id = entry->bot_id;

        return item;
    }

    return NULL;
}


ngx_int_t
ngx_http_tgbot_dead_enter(ngx_http_tgbot_dead_t *dead)
{
    ngx_int_t               rc;
    ngx_http_tgbot_store_t  store;

    ngx_http_tgbot_dead_lock(dead->zone, &store);

    rc = ngx_http_tgbot_store_enter(&store, &ngx_http_tgbot_dead_layout,
                                    (ngx_http_tgbot_store_user_t *) dead);

    ngx_http_tgbot_zone_unlock(dead->zone);

    return rc;
}


ngx_uint_t
ngx_http_tgbot_dead_bots(size_t size)
{
    /* without what nginx needs to keep account of the pages */

    return (size - size / 64) / NGX_HTTP_TGBOT_DEAD_ENTRY;
}


uint64_t
ngx_http_tgbot_dead_needs(ngx_http_tgbot_letter_t *letter)
{
    return ngx_http_tgbot_store_needs(sizeof(ngx_http_tgbot_dead_item_t),
                                      &letter->data,
                                      letter->answered ? &letter->answer
                                                       : NULL);
}
