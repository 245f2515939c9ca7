
/*
 * State of all bots, for those who look after them.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_TGBOT_VERSION           "0.5.0"

/* of the oldest update in a queue, when nothing is said of it, ms */
#define NGX_HTTP_TGBOT_STATUS_READY_AGE  300000


typedef enum {
    NGX_HTTP_TGBOT_STATUS_FORMAT_NONE = 0,   /* not given, or not known */
    NGX_HTTP_TGBOT_STATUS_TEXT,
    NGX_HTTP_TGBOT_STATUS_PROMETHEUS,
    NGX_HTTP_TGBOT_STATUS_PAGE               /* for a browser */
} ngx_http_tgbot_status_format_e;


/*
 * Content handler of a location with tgbot_status, and of what is below it.
 * There is neither token nor secret nor anything of a user in its answers,
 * but for dead letters with payload=on.
 */
ngx_int_t ngx_http_tgbot_status_handler(ngx_http_request_t *r);


/*
 * Health, below the location of tgbot_status, for load balancers and the
 * like.
 */

/* content handlers, of GET and HEAD: 200, and of ready 503 with reasons */


#endif /* _NGX_HTTP_TGBOT_STATUS_H_INCLUDED_ */
