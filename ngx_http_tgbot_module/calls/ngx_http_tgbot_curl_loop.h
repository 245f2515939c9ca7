
/*
 * The event loop of libcurl's requests, for ngx_http_tgbot_curl*.c only.
 */

#ifndef _NGX_HTTP_TGBOT_CURL_LOOP_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CURL_LOOP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <curl/curl.h>


/* initialises libcurl in this process; NULL: that failed */
CURLM *ngx_http_tgbot_curl_loop_init(void);

/* without any transfer left in it */
void ngx_http_tgbot_curl_loop_exit(void);

/* whether a process that exits is to wait for what libcurl does */
void ngx_http_tgbot_curl_loop_stay(ngx_uint_t stay);


/* in ngx_http_tgbot_curl.c: a transfer is over */
void ngx_http_tgbot_curl_end(CURL *easy, CURLcode code);

/* likewise: all are to be */
void ngx_http_tgbot_curl_abort_all(void);


#endif /* _NGX_HTTP_TGBOT_CURL_LOOP_H_INCLUDED_ */
