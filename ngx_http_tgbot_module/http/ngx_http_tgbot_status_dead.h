
/*
 * Dead letters below the location of tgbot_status.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_DEAD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_DEAD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Handles a request for path, which is BOT or BOT/ID, and returns the code of
 * the content handler.  GET lists or shows dead letters, POST replays them,
 * DELETE drops them.  The data of users is shown only with payload=on.
 * Changes need write=on and the header X-Tgbot-Action.  Both are checked by
 * ngx_http_tgbot_status_guard().
 */
ngx_int_t ngx_http_tgbot_status_dead_handler(ngx_http_request_t *r,
    ngx_str_t *path);


#endif /* _NGX_HTTP_TGBOT_STATUS_DEAD_H_INCLUDED_ */
