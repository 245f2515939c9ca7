
/*
 * Whether a request comes from Telegram, by what its header says.
 */

#ifndef _NGX_HTTP_TGBOT_AUTHENTICATE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_AUTHENTICATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/*
 * 0, or the status of the refusal, which is logged: 401 wrong or missing
 * secret token, 405 not POST, 415 not application/json.  The body has not
 * been read.
 */
ngx_uint_t ngx_http_tgbot_authenticate(ngx_http_request_t *r,
    ngx_http_tgbot_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_AUTHENTICATE_H_INCLUDED_ */
