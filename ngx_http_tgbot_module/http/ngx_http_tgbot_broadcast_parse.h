
/*
 * Parser of a body with the ids of chats, which comes in pieces.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_PARSE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_PARSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast_ids.h"
#include "ngx_http_tgbot_json.h"


/* chats that one request may add */
#define NGX_HTTP_TGBOT_BROADCAST_PARSE_IDS   1000000

/* bytes of "params", and of a value that is not complete */
#define NGX_HTTP_TGBOT_BROADCAST_PARSE_TEXT  65536


typedef enum {
    NGX_HTTP_TGBOT_BROADCAST_PARSE_OBJECT = 0,  /* method, params, chat_ids */
    NGX_HTTP_TGBOT_BROADCAST_PARSE_ARRAY,
    NGX_HTTP_TGBOT_BROADCAST_PARSE_LINES        /* an id a line */
} ngx_http_tgbot_broadcast_parse_form_e;


typedef struct {

    /* results */

    ngx_str_t                        method;
    ngx_str_t                        params;    /* an object; "": none */
    ngx_http_tgbot_broadcast_ids_t   ids;
    u_char                          *error;     /* with NUL */

    /* private */

    ngx_pool_t                      *pool;
    ngx_uint_t                       form;
    ngx_http_tgbot_json_t           *json;
    ngx_uint_t                       key;       /* the outermost one */
    ngx_uint_t                       keys;      /* seen, bits */
    ngx_uint_t                       element;   /* number, or of a line */

    ngx_str_t                       *piece;
    size_t                           base;      /* bytes before the piece */
    size_t                           from;      /* of params, in the piece */
    size_t                           seen;      /* bytes up to a value that is
                                                   complete */
    u_char                           line[32];
    size_t                           len;

    unsigned                         paused:1;  /* a result */
    unsigned                         inside:1;  /* params */
    unsigned                         root:1;
    unsigned                         blank:1;   /* after the line so far */
} ngx_http_tgbot_broadcast_parse_t;


/* "size" is that of the body; NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_broadcast_parse_init(
    ngx_http_tgbot_broadcast_parse_t *parse, ngx_uint_t form, off_t size,
    ngx_pool_t *pool);

/* frees what is not in the pool; idempotent; also if it is all zero */
void ngx_http_tgbot_broadcast_parse_done(
    ngx_http_tgbot_broadcast_parse_t *parse);

/*
 * The next piece, and the end.
 *
 * NGX_OK        so far it is right
 * NGX_DECLINED  it is wrong, "error" says what was expected
 * NGX_BUSY      it is too large, as NGX_DECLINED
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_http_tgbot_broadcast_parse_more(
    ngx_http_tgbot_broadcast_parse_t *parse, ngx_str_t *piece);
ngx_int_t ngx_http_tgbot_broadcast_parse_end(
    ngx_http_tgbot_broadcast_parse_t *parse);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_PARSE_H_INCLUDED_ */
