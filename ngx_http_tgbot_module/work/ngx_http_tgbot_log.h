
/*
 * tgbot_log: one line of JSON for each update, written when its job ends.
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
    ngx_uint_t                  attempts;  /* 0: none was made */
    ngx_msec_t                  waited;    /* ms until the job ran */
    ngx_msec_t                  ran;       /* ms of the job */

    /* Bot API calls, by ngx_http_tgbot_api_result_e; NULL: none */
    ngx_uint_t                 *results;

    unsigned                    queued:1;
} ngx_http_tgbot_log_t;


/*
 * For the parser of the directive: gives the file a buffer, or keeps the one it
 * has from here.  NGX_DECLINED: another module has set a buffer for the file.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_log_file(ngx_conf_t *cf, ngx_open_file_t *file);

/*
 * Adds a line to the buffer of the bot's file, if there is one.  nginx flushes
 * the buffers when a process exits and before it reopens files.
 */
void ngx_http_tgbot_log(ngx_http_tgbot_log_t *entry);


#endif /* _NGX_HTTP_TGBOT_LOG_H_INCLUDED_ */
