
/*
 * Dead letters below the location of tgbot_status.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_DEAD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_DEAD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Content handler: "path" is BOT or BOT/ID.  GET lists and shows, POST
 * replays and DELETE drops.  Texts of users only with payload=on, changes
 * only with write=on and the header X-Tgbot-Action, both as status_guard.h
 * says.
 */
ngx_int_t ngx_http_tgbot_status_dead_handler(ngx_http_request_t *r,
    ngx_str_t *path);


#endif /* _NGX_HTTP_TGBOT_STATUS_DEAD_H_INCLUDED_ */
