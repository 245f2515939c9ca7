
/*
 * The page that shows the state of all bots in a browser.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_PAGE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * What the content handler returns: the page is sent, for GET and HEAD.  It
 * is the same for everybody: what it shows it asks for itself, as JSON.
 */
ngx_int_t ngx_http_tgbot_status_page(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TGBOT_STATUS_PAGE_H_INCLUDED_ */
