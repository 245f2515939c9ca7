
/*
 * State of all bots, for those who look after them.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_TGBOT_VERSION  "0.3.0"


/*
 * Content handler of a location with tgbot_status.  Answers GET and HEAD
 * with JSON, in which there is neither token nor secret nor anything of a
 * user.
 */
ngx_int_t ngx_http_tgbot_status_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TGBOT_STATUS_H_INCLUDED_ */
