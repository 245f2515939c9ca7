
/*
 * tgbot_reply: what nginx answers by itself.
 */

#ifndef _NGX_HTTP_TGBOT_REPLY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_bot.h"


/*
 * To be called when the update is parsed, before anything else evaluates
 * this module's variables: keeps the values cached so far for json replies.
 * *base is NULL if there are none.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_reply_base(ngx_http_request_t *r,
    ngx_http_tgbot_loc_conf_t *conf, ngx_http_variable_value_t **base);

/*
 * Evaluates the replies in order; the first one that is not empty becomes
 * *answer, in r->pool.  NGX_DECLINED: none answers, or what answers is no
 * proper method (logged).  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_reply_evaluate(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_variable_value_t *base,
    ngx_http_tgbot_answer_t *answer);


/*
 * Which calls ride in the response of a webhook, and those left behind.
 */

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


#endif /* _NGX_HTTP_TGBOT_REPLY_H_INCLUDED_ */
