
/*
 * Location handler of tgbot_webhook.
 */

#ifndef _NGX_HTTP_TGBOT_WEBHOOK_H_INCLUDED_
#define _NGX_HTTP_TGBOT_WEBHOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* content handler; r->main's location has a bot */
ngx_int_t ngx_http_tgbot_webhook_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TGBOT_WEBHOOK_H_INCLUDED_ */
