
/*
 * Who may change something through tgbot_status, or see texts of users.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_GUARD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_GUARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * NULL if the request may do what "action" says, or what is expected of it:
 * a request of its own where write=on is, with "X-Tgbot-Action: <action>",
 * by no page of another site, nor of a name that was made to lead here.
 * action NULL: it may see texts of users, for which the last two count.
 */
const char *ngx_http_tgbot_status_guard(ngx_http_request_t *r,
    const char *action);


#endif /* _NGX_HTTP_TGBOT_STATUS_GUARD_H_INCLUDED_ */
