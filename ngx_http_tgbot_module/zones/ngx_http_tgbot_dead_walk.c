
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dead_item.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


ngx_int_t
ngx_http_tgbot_dead_walk(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_cursor_t *cursor, ngx_http_tgbot_letter_t *letter,
    ngx_pool_t *pool)
{
    return ngx_http_tgbot_store_walk(zone, &ngx_http_tgbot_dead_layout,
                                     cursor, letter, pool);
}


ngx_int_t
ngx_http_tgbot_dead_enter(ngx_http_tgbot_dead_t *dead)
{
    return ngx_http_tgbot_store_enter(dead, &ngx_http_tgbot_dead_layout);
}


ngx_uint_t
ngx_http_tgbot_dead_bots(size_t size)
{
    /* without what nginx needs to keep account of the pages */

    return (size - size / 64) / NGX_HTTP_TGBOT_DEAD_ENTRY;
}


uint64_t
ngx_http_tgbot_dead_needs(ngx_http_tgbot_item_t *item)
{
    return ngx_http_tgbot_store_needs(sizeof(ngx_http_tgbot_dead_item_t),
                                      item);
}
