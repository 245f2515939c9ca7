
/*
 * tgbot_log: a line of JSON for each update that work has ended for.
 */

#ifndef _NGX_HTTP_TGBOT_LOG_H_INCLUDED_
#define _NGX_HTTP_TGBOT_LOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


typedef struct {
    ngx_http_tgbot_bot_t       *bot;
    ngx_http_tgbot_update_t    *update;
    const char                 *verdict;
    ngx_uint_t                  attempts;  /* calls of the program */
    ngx_msec_t                  waited;    /* before the work began */
    ngx_msec_t                  ran;

    /* Bot API calls, by ngx_http_tgbot_api_result_e; NULL: none */
    ngx_uint_t                 *results;

    unsigned                    queued:1;
} ngx_http_tgbot_log_t;


/*
 * For the parser of the directive: gives an open file that no other module
 * has a buffer for its buffer.  NGX_DECLINED: another one has.
 */
ngx_int_t ngx_http_tgbot_log_file(ngx_conf_t *cf, ngx_open_file_t *file);

/*
 * Writes a line into the buffer of the bot's file, if it has one.  nginx has
 * the buffers written at the end of a process, and before it reopens files.
 */
void ngx_http_tgbot_log(ngx_http_tgbot_log_t *entry);


#endif /* _NGX_HTTP_TGBOT_LOG_H_INCLUDED_ */
