
/*
 * Broadcasts as tgbot_status and tgbot_broadcast show them.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_BROADCAST_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_BROADCAST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_broadcast_show.h"
#include "ngx_http_tgbot_status_text.h"


/* broadcasts in one response */
#define NGX_HTTP_TGBOT_STATUS_BROADCASTS  100


/*
 * A request of tgbot_status to change a broadcast; "path" is BOT/ID/pause,
 * BOT/ID/go or BOT/ID/cancel.  Returns the code of the content handler.
 */
ngx_int_t ngx_http_tgbot_status_broadcast_handler(ngx_http_request_t *r,
    ngx_str_t *path);

/* writes the members of an object */
void ngx_http_tgbot_status_broadcast(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_broadcast_info_t *info);

/*
 * Writes a value, an array: the broadcasts of a bot with ids above "after", in
 * the order of ngx_http_tgbot_broadcast_show_list().  Returns the last id if
 * there may be more, else 0.
 */
uint64_t ngx_http_tgbot_status_broadcast_list(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_broadcast_t *b, uint64_t after, ngx_uint_t first);


#endif /* _NGX_HTTP_TGBOT_STATUS_BROADCAST_H_INCLUDED_ */
