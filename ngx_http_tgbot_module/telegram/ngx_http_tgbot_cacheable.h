
/*
 * Which answers of a program may be cached and given to other chats.
 */

#ifndef _NGX_HTTP_TGBOT_CACHEABLE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CACHEABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update.h"


/*
 * Makes the bytes that may be cached from a program's answer to update: a
 * JSON answer that ngx_http_tgbot_answer_parse() turns into the same calls
 * for another update, with the ids of that update.
 *
 * An outermost chat_id or id of a query of a call is removed if its value is
 * the update's own and ngx_http_tgbot_answer_parse() would insert it again, and
 * nothing else.  All other bytes are kept.
 *
 * NGX_DECLINED is returned for an answer that could be meant for one chat or
 * user:
 *
 *   a type that is not read as JSON; no call; an element that makes no
 *   call, is not allowed or has "chat_id" twice;
 *
 *   methods that neither send nor answer, as they change a chat or the bot;
 *   methods that move money or gifts;
 *
 *   another value of these ids, more than one of them in a call, any of
 *   them below the outermost level;
 *
 *   at any depth a key that ends in _id or _ids (in any case), such as
 *   user_id, from_chat_id, message_id, message_thread_id, inline_message_id,
 *   business_connection_id (even if its value is the update's own, as it
 *   would not be inserted again), except the ids of files, custom emoji,
 *   effects, options of a quiz and requests of a keyboard; the keys user,
 *   users, chat, reply_parameters, reply_to_message, invite_link,
 *   is_personal;
 *
 *   a string with a link to a user: tg://user, tg://openmessage, user?id;
 *
 *   a parameter other than text and caption that is a string of JSON, which
 *   the Bot API takes in place of an object, if it contains one of the above,
 *   or if it begins as JSON and is not.
 *
 * Only the program knows whether a text is meant for one user.
 *
 * NGX_OK: *kept is in pool, or is body itself.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_cacheable(ngx_str_t *content_type, ngx_str_t *body,
    ngx_http_tgbot_update_t *update, ngx_str_t *kept, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_CACHEABLE_H_INCLUDED_ */
