
/*
 * Parameters of a call that a program makes by itself: those that decide when
 * the call is sent, which are the chat, and whether bulk is paid for.
 */

#ifndef _NGX_HTTP_TGBOT_PARAMS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_PARAMS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * what is found of a call, zeroed by the caller: "pos" and "len" as in
 * ngx_http_tgbot_method_t
 */

typedef struct {
    size_t        chat_pos;     /* of the value of chat_id, quotes included */
    size_t        chat_len;     /* 0: there is none */

    unsigned      bulk:1;       /* set by the caller: "paid" matters */
    unsigned      paid:1;       /* allow_paid_broadcast is true */
} ngx_http_tgbot_params_t;


/*
 * Finds chat_id and allow_paid_broadcast in the body of a call, or in a query,
 * whose type is application/x-www-form-urlencoded.  The first of two counts, as
 * in the Bot API.  A body of another type, or one that is broken, has neither:
 * the Bot API judges it.  The time is linear in the length of the text, and
 * nothing is allocated.
 */
void ngx_http_tgbot_params_find(ngx_http_tgbot_params_t *params,
    ngx_str_t *content_type, ngx_str_t *text);

/*
 * The chat_id of a call that was looked at, without quotes and
 * percent-encoding; "" if it has none.  *chat points into text or is in pool.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_params_chat(ngx_http_tgbot_params_t *params,
    ngx_str_t *text, ngx_str_t *chat, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_PARAMS_H_INCLUDED_ */
