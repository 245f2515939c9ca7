
/*
 * Which answers of a program may be kept, to be given to other chats.
 */

#ifndef _NGX_HTTP_TGBOT_CACHEABLE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CACHEABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update.h"


/*
 * Makes of a program's answer to update the bytes that may be kept: a JSON
 * answer that ngx_http_tgbot_answer_parse() turns into the same calls for
 * another update, with the other's ids.
 *
 * Where an outermost chat_id, callback_query_id, inline_query_id,
 * pre_checkout_query_id or shipping_query_id of a call is the update's own,
 * it is taken out, if it is the one that would be put in again.  All other
 * bytes stay as they are.
 *
 * NGX_DECLINED is said of all that could be meant for one chat or user:
 *
 *   other types than application/json, answers without a call, or with an
 *   element that makes none, is not allowed or has "chat_id" twice;
 *
 *   methods that neither send nor answer, as they change a chat or the bot;
 *   and those that move money or gifts;
 *
 *   another value of these five ids, more than one of them in a call, any of
 *   them further inside;
 *
 *   at any depth a key that ends in _id or _ids, in any case of letters, as
 *   user_id, from_chat_id, message_id, message_thread_id, inline_message_id,
 *   business_connection_id do (also the update's own, which nobody puts in
 *   again), but for those of files, custom emoji, effects, options of a quiz
 *   and requests of a keyboard; the keys user, users, chat,
 *   reply_parameters, reply_to_message, invite_link, is_personal;
 *
 *   a string with a link to a user: tg://user, tg://openmessage, user?id;
 *
 *   a parameter other than text and caption that is a string of JSON, which
 *   the Bot API takes in place of an object, if the above is in it, or if it
 *   begins as JSON and is none.
 *
 * What a text says to whom is known by the program alone.
 *
 * NGX_OK: *kept is in pool, or is body itself.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_cacheable(ngx_str_t *content_type, ngx_str_t *body,
    ngx_http_tgbot_update_t *update, ngx_str_t *kept, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_CACHEABLE_H_INCLUDED_ */
