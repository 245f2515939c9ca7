
/*
 * A list of the chats of a broadcast that are in some state, sent in pieces.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_STREAM_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_STREAM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/*
 * Sends the chats whose state is "state", a ngx_http_tgbot_broadcast_chat_e.
 * Returns the code of the content handler.
 */
ngx_int_t ngx_http_tgbot_broadcast_stream(ngx_http_request_t *r,
    ngx_http_tgbot_broadcast_conf_t *b, uint64_t id, ngx_uint_t state);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_STREAM_H_INCLUDED_ */
