
/*
 * Health, below the location of tgbot_status, for load balancers and the
 * like.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_HEALTH_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_HEALTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* content handlers, of GET and HEAD: 200, and of ready 503 with reasons */

/* this worker answers */
ngx_int_t ngx_http_tgbot_status_live(ngx_http_request_t *r);

/* and nothing that it knows of any bot keeps updates from being handled */
ngx_int_t ngx_http_tgbot_status_ready(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TGBOT_STATUS_HEALTH_H_INCLUDED_ */
