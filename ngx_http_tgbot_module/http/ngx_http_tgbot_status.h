
/*
 * tgbot_status: the state of all bots, for operators.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_TGBOT_VERSION           "0.5.0"

/* default of ready_age=: age of the oldest update in a queue, ms */
#define NGX_HTTP_TGBOT_STATUS_READY_AGE  300000


typedef enum {
    NGX_HTTP_TGBOT_STATUS_FORMAT_NONE = 0,   /* not given, or unknown */
    NGX_HTTP_TGBOT_STATUS_TEXT,
    NGX_HTTP_TGBOT_STATUS_PROMETHEUS,
    NGX_HTTP_TGBOT_STATUS_PAGE               /* for a browser */
} ngx_http_tgbot_status_format_e;


/*
 * Content handler of a location with tgbot_status, and of the paths below it:
 * "live" and "ready" for load balancers, "dead/..." for dead letters.
 * Responses contain no token and no secret, and data of users only in dead
 * letters with payload=on.
 */
ngx_int_t ngx_http_tgbot_status_handler(ngx_http_request_t *r);

/* sets path to the URI after the location's name, without a leading slash */
void ngx_http_tgbot_status_path(ngx_http_request_t *r, ngx_str_t *path);


#endif /* _NGX_HTTP_TGBOT_STATUS_H_INCLUDED_ */
