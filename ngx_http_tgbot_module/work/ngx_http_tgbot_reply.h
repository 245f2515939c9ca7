
/*
 * tgbot_reply: replies that nginx makes without the program.
 */

#ifndef _NGX_HTTP_TGBOT_REPLY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_bot.h"


/*
 * Copies r's cached variables for json replies into *base, which is in r->pool;
 * NULL if the location has no json reply.  Must be called after the update is
 * parsed and before this module's variables are evaluated.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_reply_base(ngx_http_request_t *r,
    ngx_http_tgbot_loc_conf_t *conf, ngx_http_variable_value_t **base);

/*
 * Evaluates the replies in order; the first one that is not empty becomes
 * *answer, in r->pool.  NGX_DECLINED: no reply can be made, or the value is not
 * a valid Bot API method (logged).  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_reply_evaluate(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_variable_value_t *base,
    ngx_http_tgbot_answer_t *answer);


/*
 * Whether the first call of the answer rides in the response, provided that the
 * response is not sent yet; with tgbot_api there is no second one then.  "own":
 * the answer is nginx's, not the program's.
 */
ngx_uint_t ngx_http_tgbot_ride_allowed(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_answer_t *answer, ngx_uint_t own);

/* counts n calls dropped for lack of tgbot_api; logged once per bot */
void ngx_http_tgbot_ride_unsent(ngx_http_tgbot_bot_t *bot, ngx_log_t *log,
    ngx_uint_t n);


#endif /* _NGX_HTTP_TGBOT_REPLY_H_INCLUDED_ */
