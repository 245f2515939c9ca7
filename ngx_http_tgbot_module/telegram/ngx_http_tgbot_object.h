
/*
 * The objects of a JSON answer that name a method.
 */

#ifndef _NGX_HTTP_TGBOT_OBJECT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_OBJECT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update.h"


/* keys that are looked for */

typedef enum {
    NGX_HTTP_TGBOT_OBJECT_METHOD = 0,
    NGX_HTTP_TGBOT_OBJECT_CHAT_ID,
    NGX_HTTP_TGBOT_OBJECT_INLINE_MESSAGE_ID,
    NGX_HTTP_TGBOT_OBJECT_USER_ID,
    NGX_HTTP_TGBOT_OBJECT_CALLBACK_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_INLINE_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_PRE_CHECKOUT_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_SHIPPING_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_OTHER
} ngx_http_tgbot_object_key_e;


typedef struct {
    ngx_str_t     body;       /* its bytes, from brace to brace */

    /*
     * "method" decoded, valid only during the call; empty if it is not a
     * string
     */
    ngx_str_t     name;

    /* a number or string, quotes included, in body; len 0: there is none */
    size_t        chat_pos;
    size_t        chat_len;

    ngx_uint_t    keys;       /* 1 << key for each that is there */

    unsigned      twice:1;    /* "method" or "chat_id" stands twice */
} ngx_http_tgbot_object_t;


/* any result but NGX_OK stops the parser, which returns it */
typedef ngx_int_t (*ngx_http_tgbot_object_pt)(void *data,
    ngx_http_tgbot_object_t *object);


/*
 * Parses a JSON document and calls handler for the outermost object or, in
 * order, for the elements of the outermost array, if they are objects with
 * "method".  *others becomes the number of elements that are not.  Objects
 * before an error have been delivered.
 *
 * NGX_OK        well-formed
 * NGX_DECLINED  not JSON
 * NGX_BUSY      nested too deeply
 * NGX_ERROR     no memory
 * other         what handler returned
 */
ngx_int_t ngx_http_tgbot_object_parse(ngx_str_t *body,
    ngx_http_tgbot_object_pt handler, void *data, ngx_uint_t *others);

/*
 * The key of the id which the object lacks to be a call in answer to update,
 * or OTHER: its chat_id, or query_id for a method that answers a query.
 * chat_id is left alone where it is unknown or has a meaning of its own, and
 * where the object names an inline message, or a user to be given something.
 */
ngx_uint_t ngx_http_tgbot_object_missing(ngx_http_tgbot_object_t *object,
    ngx_http_tgbot_update_t *update);

/* the key as it is written in JSON, without quotes; not for OTHER */
ngx_str_t *ngx_http_tgbot_object_key_name(ngx_uint_t key);


#endif /* _NGX_HTTP_TGBOT_OBJECT_H_INCLUDED_ */
