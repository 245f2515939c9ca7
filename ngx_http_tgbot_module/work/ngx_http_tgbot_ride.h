
/*
 * Which calls ride in the response of a webhook, and those left behind.
 */

#ifndef _NGX_HTTP_TGBOT_RIDE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_RIDE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_bot.h"


/*
 * Whether the first call of an answer goes to Telegram in the response, as
 * long as that is still open.  own: the answer is nginx's own, not the
 * program's.
 */
ngx_uint_t ngx_http_tgbot_ride_allowed(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_answer_t *answer, ngx_uint_t own);

/* counts calls for which there is no way to Telegram, and logs the first */
void ngx_http_tgbot_ride_unsent(ngx_http_tgbot_bot_t *bot, ngx_log_t *log,
    ngx_uint_t n);


#endif /* _NGX_HTTP_TGBOT_RIDE_H_INCLUDED_ */
