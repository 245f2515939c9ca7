
/*
 * The body of a request that makes a broadcast or adds chats to it.  It is
 * read in slices, one in a turn of the event loop, and nothing is written to
 * the zone before all of it is known to be right.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_FILL_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_FILL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/*
 * Makes a broadcast, with an id of 0, or adds chats to it.  Returns the code
 * of the content handler.
 */
ngx_int_t ngx_http_tgbot_broadcast_fill(ngx_http_request_t *r,
    ngx_http_tgbot_broadcast_conf_t *b, uint64_t id);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_FILL_H_INCLUDED_ */
