
/*
 * tgbot_broadcast: the requests of programs that make broadcasts, look at
 * them, and change them.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_ROUTE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_ROUTE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* content handler of a location with tgbot_broadcast, and of paths below it */
ngx_int_t ngx_http_tgbot_broadcast_route_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_ROUTE_H_INCLUDED_ */
