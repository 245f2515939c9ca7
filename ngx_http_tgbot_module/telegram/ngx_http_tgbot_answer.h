
/*
 * What a program or a tgbot_reply answers to an Update, as Bot API calls.
 */

#ifndef _NGX_HTTP_TGBOT_ANSWER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ANSWER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_update.h"


/* calls in one answer; more of them are a problem and none is made */
#define NGX_HTTP_TGBOT_ANSWER_MAX_CALLS  32


typedef struct {
    ngx_array_t   calls;            /* of ngx_http_tgbot_method_t */

    /*
     * why the answer, or one of its elements, made no call, to be logged;
     * static text such as "is not JSON" or "calls a method that is not
     * allowed"; NULL: all is well
     */
    const char   *problem;
    ngx_str_t     culprit;          /* cleaned method name for it, may be "" */
} ngx_http_tgbot_answer_t;


/*
 * Reads an answer of the given Content-Type (with or without parameters).
 *
 * application/json: an object with "method" is one call, an array of such
 * objects is calls in that order, anything else (also empty) is no call.
 * The bytes of an object are kept as they are; a missing chat_id,
 * callback_query_id, inline_query_id, pre_checkout_query_id or
 * shipping_query_id is put behind its opening brace.
 * multipart/form-data and application/x-www-form-urlencoded: one call, bytes
 * untouched, named by the field "method"; without it no call.
 * Other types: no call, and a problem if it looks like a method.
 *
 * An element that is not allowed or has no proper name makes no call and is
 * a problem; the others are still made.
 *
 * Strings point into body where it can be and into pool otherwise: body must
 * live as long as the calls.  NGX_OK, or NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_answer_parse(ngx_http_tgbot_answer_t *answer,
    ngx_str_t *content_type, ngx_str_t *body, ngx_http_tgbot_update_t *update,
    ngx_pool_t *pool);

/*
 * The call by which text is answered to the update: sendMessage to its chat
 * (with business_connection_id, and message_thread_id of a topic message), or
 * answerCallbackQuery.  NGX_DECLINED: the update has neither a chat nor a
 * callback query.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_answer_text(ngx_http_tgbot_answer_t *answer,
    ngx_str_t *text, ngx_http_tgbot_update_t *update, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_ANSWER_H_INCLUDED_ */
