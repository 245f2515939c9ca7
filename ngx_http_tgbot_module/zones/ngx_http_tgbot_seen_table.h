
/*
 * Which bots a zone knows, and where in it their areas are.
 */

#ifndef _NGX_HTTP_TGBOT_SEEN_TABLE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_SEEN_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_seen.h"
#include "ngx_http_tgbot_seen_area.h"


/* the kind's init(): finds or makes the areas of all users of the zone */
ngx_int_t ngx_http_tgbot_seen_table_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);

/*
 * The two below with the zone locked.  NGX_DECLINED: what stands in the area
 * is not this bot's any more.
 */
ngx_int_t ngx_http_tgbot_seen_table_area(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_seen_area_t *area);

/* after somebody died inside */
void ngx_http_tgbot_seen_table_repair(ngx_http_tgbot_zone_t *zone);


#endif /* _NGX_HTTP_TGBOT_SEEN_TABLE_H_INCLUDED_ */
