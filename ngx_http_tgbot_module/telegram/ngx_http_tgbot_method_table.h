
/*
 * The methods of the Bot API, and what depends on the method alone.
 */

#ifndef _NGX_HTTP_TGBOT_METHOD_TABLE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_METHOD_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update_type.h"


/* rows of the table, without the last one */
#define NGX_HTTP_TGBOT_METHODS           192


/*
 * What a call without an address gets of an Update's address.  No bit: the
 * call is left alone.
 */

#define NGX_HTTP_TGBOT_TO_CHAT           0x0001    /* chat_id */
#define NGX_HTTP_TGBOT_TO_SEND           0x0002    /* chat_id; a new message */
#define NGX_HTTP_TGBOT_TO_BUSINESS       0x0004    /* business_connection_id */
#define NGX_HTTP_TGBOT_TO_THREAD         0x0008    /* message_thread_id */
#define NGX_HTTP_TGBOT_TO_DIRECT         0x0010    /* direct_messages_... */
#define NGX_HTTP_TGBOT_TO_EPHEMERAL      0x0020    /* ephemeral_message_... */
#define NGX_HTTP_TGBOT_TO_MESSAGE        0x0040    /* message_id */
#define NGX_HTTP_TGBOT_TO_INLINE         0x0080    /* inline_message_id */
#define NGX_HTTP_TGBOT_TO_USER           0x0100    /* user_id, to decide */
#define NGX_HTTP_TGBOT_TO_RECEIVER       0x0200    /* receiver_user_id, and
                                                      ephemeral_message_id */

/* an answer must not call it, because its result is lost */
#define NGX_HTTP_TGBOT_METHOD_FORBIDDEN  0x0400


typedef struct {
    ngx_str_t     name;
    ngx_uint_t    query;      /* ngx_http_tgbot_query_e that it answers */
    ngx_uint_t    flags;      /* bits TO_..., METHOD_FORBIDDEN */
} ngx_http_tgbot_method_row_t;


/*
 * Sorted by ngx_strncasecmp().  The row "file" is for the files that a gateway
 * passes on, and the last one, "other", for the methods that are not known.
 */
extern const ngx_http_tgbot_method_row_t
    ngx_http_tgbot_methods[NGX_HTTP_TGBOT_METHODS + 1];


/* the row of a method, in any case of letters, as an index */
ngx_uint_t ngx_http_tgbot_method_find(ngx_str_t *name);


#endif /* _NGX_HTTP_TGBOT_METHOD_TABLE_H_INCLUDED_ */
