
/*
 * Which requests may change something through tgbot_status, or see the data
 * of users: protection against pages of other sites in an operator's browser.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_GUARD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_GUARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Returns NULL if the request is allowed, else a static message that says
 * what is expected.  A change needs a main request, write=on and the header
 * "X-Tgbot-Action: <action>".  With action NULL the request only reads data
 * of users.  In both cases the request must not come from a page of another
 * site, and its host must be an address, "localhost" or an exact server_name.
 */
const char *ngx_http_tgbot_status_guard(ngx_http_request_t *r,
    const char *action);

/*
 * The same for a location without a page, whose server has the exact names
 * "hosts", an array of ngx_str_t: a page of another site must not reach it.
 */
const char *ngx_http_tgbot_status_guard_page(ngx_http_request_t *r,
    ngx_array_t *hosts);


#endif /* _NGX_HTTP_TGBOT_STATUS_GUARD_H_INCLUDED_ */
