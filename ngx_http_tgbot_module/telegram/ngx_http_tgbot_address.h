
/*
 * The address of an Update: all parameters that a call of an answer needs to
 * go where the Update came from.  A call gets all of them or none.
 */

#ifndef _NGX_HTTP_TGBOT_ADDRESS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ADDRESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_update.h"


/* what a call gets */

typedef struct {
    ngx_uint_t    keys;       /* 1 << ngx_http_tgbot_method_object_key_e */
    int64_t       chat_id;    /* if keys has CHAT_ID */
} ngx_http_tgbot_address_t;


/*
 * Finds what the object lacks to be a call in answer to update.  address->keys
 * is 0, and the call is left alone, if it names a chat, an inline message or a
 * receiver; if its method gets nothing; and if the method does not have all
 * parameters that the update's address consists of.
 *
 * NGX_DECLINED: the call would get an address, but the bot is not in the chat
 * of a guest message, which only answerGuestQuery reaches.
 */
ngx_int_t ngx_http_tgbot_address_find(ngx_http_tgbot_method_object_t *object,
    ngx_http_tgbot_update_t *update, ngx_http_tgbot_address_t *address);

/*
 * Makes call->body of the object's bytes and the address, in pool: a null gives
 * way to its value, the other values follow the opening brace.  call->chat_pos
 * and chat_len are set.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_address_complete(ngx_http_tgbot_method_t *call,
    ngx_http_tgbot_method_object_t *object, ngx_http_tgbot_update_t *update,
    ngx_http_tgbot_address_t *address, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_ADDRESS_H_INCLUDED_ */
