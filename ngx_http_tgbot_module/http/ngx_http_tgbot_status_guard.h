
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


#endif /* _NGX_HTTP_TGBOT_STATUS_GUARD_H_INCLUDED_ */
