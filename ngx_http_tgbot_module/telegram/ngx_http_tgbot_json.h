
/*
 * JSON for the layer of words: yajl over a chain of buffers, with limits.
 */

#ifndef _NGX_HTTP_TGBOT_JSON_H_INCLUDED_
#define _NGX_HTTP_TGBOT_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * containers in one another whose contents are delivered, the bound of
 * Telegram's own parser (td JsonBuilder)
 */
#define NGX_HTTP_TGBOT_JSON_MAX_DEPTH  100


typedef enum {
    NGX_HTTP_TGBOT_JSON_NULL = 0,
    NGX_HTTP_TGBOT_JSON_BOOLEAN,
    NGX_HTTP_TGBOT_JSON_NUMBER,
    NGX_HTTP_TGBOT_JSON_STRING,
    NGX_HTTP_TGBOT_JSON_KEY,
    NGX_HTTP_TGBOT_JSON_MAP_START,
    NGX_HTTP_TGBOT_JSON_MAP_END,
    NGX_HTTP_TGBOT_JSON_ARRAY_START,
    NGX_HTTP_TGBOT_JSON_ARRAY_END
} ngx_http_tgbot_json_type_e;


typedef struct {
    ngx_uint_t        type;     /* ngx_http_tgbot_json_type_e */

    /*
     * number of containers around the token: 0 for the document's own value,
     * 1 for the keys and values of an outermost object; a container's start
     * and end have the depth of the container itself
     */
    ngx_uint_t        depth;

    /*
     * key or string decoded, number as written, "true" or "false"; empty for
     * the rest; not NUL-terminated, may hold any byte, valid only during the
     * call
     */
    ngx_str_t         text;

    ngx_buf_t        *buf;      /* that is read; text may point into it */

    /*
     * Set by the handler.  At a key: of its value nothing is delivered.  At
     * the start of a container: nothing is up to its end.
     */
    ngx_uint_t        skip;     /* unsigned  skip:1 */

    void             *json;     /* the parser's own */
} ngx_http_tgbot_json_token_t;


/* any result but NGX_OK stops the parser, which returns it */
typedef ngx_int_t (*ngx_http_tgbot_json_pt)(void *data,
    ngx_http_tgbot_json_token_t *token);


/*
 * Parses one whole JSON document that lies in the memory buffers of "in"
 * (special buffers are skipped), calling handler for every token in order.
 * Nothing is kept: tokens live during the call, the buffers stay the
 * caller's.  Not to be called from a handler.  The buffers should be few, as
 * yajl reads a token that goes on in the next buffer once more.
 *
 * NGX_OK        a well-formed document, seen to its end
 * NGX_DECLINED  not JSON; the tokens before the error have been delivered
 * NGX_BUSY      a well-formed document, seen to its end, but nested deeper
 *               than NGX_HTTP_TGBOT_JSON_MAX_DEPTH: of containers beyond
 *               that only start and end of the outermost were delivered
 * NGX_ERROR     no memory
 * other         what handler returned
 */
ngx_int_t ngx_http_tgbot_json_parse(ngx_chain_t *in,
    ngx_http_tgbot_json_pt handler, void *data);

/* the same for a document in one piece */
ngx_int_t ngx_http_tgbot_json_parse_str(ngx_str_t *in,
    ngx_http_tgbot_json_pt handler, void *data);


/* offset in the document behind the token; only during the call */
size_t ngx_http_tgbot_json_offset(ngx_http_tgbot_json_token_t *token);


/*
 * Reads an integer of up to 64 bits as JSON writes it.  NGX_DECLINED, with
 * *value untouched, for fractions, exponents and what does not fit.
 */
ngx_int_t ngx_http_tgbot_json_int64(ngx_str_t *text, int64_t *value);


/*
 * Makes text fit for variables, headers and logs, in place: each control
 * character (C0, DEL, C1) becomes one space, each byte that is not part of
 * well-formed UTF-8 becomes '?'.  The text never grows; it may shrink, as a
 * C1 character takes two bytes.
 */
void ngx_http_tgbot_json_clean(ngx_str_t *text);

/* whether the above would leave text as it is */
ngx_uint_t ngx_http_tgbot_json_is_clean(ngx_str_t *text);


/*
 * Clean text that is to become a part of a JSON string, although it may be
 * cut on its way there: a copy with one control character for each quote and
 * backslash.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_json_mark(ngx_str_t *dst, ngx_str_t *text,
    ngx_pool_t *pool);

/* makes escapes of those characters in a JSON text; NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_json_unmark(ngx_str_t *text, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_JSON_H_INCLUDED_ */
