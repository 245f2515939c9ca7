
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_store.h"


static void ngx_http_tgbot_store_copy_own(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old, const ngx_http_tgbot_store_layout_t *layout);
static void *ngx_http_tgbot_store_copy_next(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_cursor_t *cursor);


ngx_int_t
ngx_http_tgbot_store_copy_zone(void *user, ngx_http_tgbot_zone_t *old,
    const ngx_http_tgbot_store_layout_t *layout, void *told,
    ngx_int_t (*put)(void *user, void *told))
{
    ngx_http_tgbot_zone_user_t *to = user;
    ngx_http_tgbot_item_t *item = told;

    ngx_int_t                       rc;
    ngx_pool_t                     *pool;
    ngx_http_tgbot_store_t          store;
    ngx_http_tgbot_store_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    ngx_http_tgbot_store_open(&store, to->zone);

    do {
        pool = ngx_create_pool(4096, to->zone->log);
        if (pool == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_http_tgbot_store_walk(old, layout, &cursor, told, pool);

        if (rc == NGX_OK) {
            to->bot.data = item->head.bot;
            to->bot.len = item->head.bot_len;
            to->bot_id = item->head.bot_id;

            /* the item keeps its number */

            store.sh->seq = cursor.seq - 1;

            if (ngx_http_tgbot_store_enter(to, layout) != NGX_OK
                || put(to, told) != NGX_OK)
            {
                rc = NGX_ERROR;
            }
        }

        ngx_destroy_pool(pool);

    } while (rc == NGX_OK);

    if (rc != NGX_DONE) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_store_copy_own(to->zone, old, layout);

    return NGX_OK;
}


/* what "old" keeps with entries, for all bots that have an entry or get one */

static void
ngx_http_tgbot_store_copy_own(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old, const ngx_http_tgbot_store_layout_t *layout)
{
    ngx_uint_t                   i;
    ngx_http_tgbot_store_t       to, from;
    ngx_http_tgbot_zone_bot_t   *bot;
    ngx_http_tgbot_zone_user_t   user;

    ngx_http_tgbot_store_open(&to, zone);
    ngx_http_tgbot_store_open(&from, old);

    to.clear = layout->clear;

    user.zone = zone;

    for (i = 0; i < from.sh->bots.used; i++) {
        bot = &from.entries[i].bot;

        user.bot.data = bot->name;
        user.bot.len = bot->len;
        user.bot_id = bot->bot_id;

        if (bot->serial
            && ngx_http_tgbot_zone_bots_enter(&to.bots, &user, 0))
        {
            ngx_memcpy(ngx_http_tgbot_store_own(&to, user.entry),
                       ngx_http_tgbot_store_own(&from, i), layout->own);
        }
    }

    to.sh->seq = ngx_max(to.sh->seq, from.sh->seq);
    to.sh->broken = from.sh->broken;
}


ngx_int_t
ngx_http_tgbot_store_walk(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout,
    ngx_http_tgbot_store_cursor_t *cursor, void *told, ngx_pool_t *pool)
{
    ngx_uint_t                      copied;
    ngx_http_tgbot_item_t          *item;
    ngx_http_tgbot_store_t          store;
    ngx_http_tgbot_store_item_t    *it;
    ngx_http_tgbot_store_cursor_t   at;

    item = told;

    do {
        at = *cursor;

        layout->lock(zone, &store);

        it = ngx_http_tgbot_store_copy_next(&store, &at);

        if (it) {
            layout->tell(&store, it, told);
        }

        ngx_http_tgbot_zone_unlock(zone);

        if (it == NULL) {
            return NGX_DONE;
        }

        /* memory is allocated while the zone is not locked */

        item->data.data = ngx_pnalloc(pool, ngx_max(item->data.len
                                                    + item->answer.len, 1));
        if (item->data.data == NULL) {
            return NGX_ERROR;
        }

        item->answer.data = item->data.data + item->data.len;

        layout->lock(zone, &store);

        it = ngx_http_tgbot_store_find(&store, at.block, at.seq);

        copied = it && item->answered
                       == (it->answer != NGX_HTTP_TGBOT_LIST_NIL);

        if (copied) {
            ngx_http_tgbot_store_copy(&store, it, item->data.data,
                                      item->answer.data);
        }

        ngx_http_tgbot_zone_unlock(zone);

    } while (!copied);

    *cursor = at;

    return NGX_OK;
}


static void *
ngx_http_tgbot_store_copy_next(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_cursor_t *cursor)
{
    uint32_t                      i;
    uint64_t                      seq;
    ngx_http_tgbot_store_item_t  *item;

    /* numbers begin with 1: other entries than the first one are new */

    seq = cursor->seq;

    for (i = cursor->entry; i < store->sh->bots.used; i++, seq = 0) {

        if (store->entries[i].bot.serial == 0) {
            continue;
        }

        item = NULL;

        if (seq) {
            item = ngx_http_tgbot_store_find(store, cursor->block, seq);
        }

        do {
            item = ngx_http_tgbot_store_next(store, i, item);

        } while (item && item->seq <= seq);

        if (item) {
            cursor->entry = i;
            cursor->seq = item->seq;
            cursor->block = ngx_http_tgbot_store_number(store, item);

            return item;
        }
    }

    return NULL;
}
