
/*
 * The page that shows the state of all bots in a browser.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_PAGE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Sends the page, for GET and HEAD, and returns the code of the content
 * handler.  The page is static; its script requests the state as JSON.
 */
ngx_int_t ngx_http_tgbot_status_page(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TGBOT_STATUS_PAGE_H_INCLUDED_ */
