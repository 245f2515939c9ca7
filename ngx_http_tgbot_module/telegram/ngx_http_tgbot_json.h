
/*
 * JSON for telegram/: yajl, with bounds.
 */

#ifndef _NGX_HTTP_TGBOT_JSON_H_INCLUDED_
#define _NGX_HTTP_TGBOT_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * the depth of nested containers whose contents are delivered; Telegram's own
 * parser (td JsonBuilder) has the same limit
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

    ngx_str_t        *in;       /* the document; text may point into it */

    /*
     * Set by the handler.  At a key: nothing of its value is delivered.  At
     * the start of a container: nothing is delivered up to its end.
     */
    ngx_uint_t        skip;     /* unsigned  skip:1 */

    void             *json;     /* private to the parser */
} ngx_http_tgbot_json_token_t;


/* any result except NGX_OK stops the parser, which returns that result */
typedef ngx_int_t (*ngx_http_tgbot_json_pt)(void *data,
    ngx_http_tgbot_json_token_t *token);


/*
 * Parses one whole JSON document and calls handler for every token in order.
 * Nothing is kept: tokens are valid during the call, the caller owns "in".
 * Must not be called from a handler.
 *
 * NGX_OK        a well-formed document, read to its end
 * NGX_DECLINED  not JSON; the tokens before the error have been delivered
 * NGX_BUSY      a well-formed document, read to its end, but nested deeper
 *               than NGX_HTTP_TGBOT_JSON_MAX_DEPTH: of containers beyond that
 *               depth only the start and end of the outermost one were
 *               delivered
 * NGX_ERROR     no memory
 * other         what handler returned
 */
ngx_int_t ngx_http_tgbot_json_parse(ngx_str_t *in,
    ngx_http_tgbot_json_pt handler, void *data);


/*
 * A document that comes in pieces: open, more for each piece, complete, close.
 * token->in is the piece, and token->text lives during the call only.  open:
 * NULL is no memory.  more: NGX_OK, or as in parse, and then nothing but close
 * is called.  complete: as in parse.
 */

typedef struct ngx_http_tgbot_json_s  ngx_http_tgbot_json_t;

ngx_http_tgbot_json_t *ngx_http_tgbot_json_open(
    ngx_http_tgbot_json_pt handler, void *data);
ngx_int_t ngx_http_tgbot_json_more(ngx_http_tgbot_json_t *json,
    ngx_str_t *in);
ngx_int_t ngx_http_tgbot_json_complete(ngx_http_tgbot_json_t *json);
void ngx_http_tgbot_json_close(ngx_http_tgbot_json_t *json);


/* offset in the document after the token; only during the call */
size_t ngx_http_tgbot_json_offset(ngx_http_tgbot_json_token_t *token);


/*
 * Reads an integer of up to 64 bits as JSON writes it.  NGX_DECLINED, with
 * *value unchanged, for fractions, exponents and numbers that do not fit.
 */
ngx_int_t ngx_http_tgbot_json_int64(ngx_str_t *text, int64_t *value);

/*
 * Writes it, in at most NGX_INT64_LEN bytes, with less work than ngx_sprintf();
 * returns its end.
 */
u_char *ngx_http_tgbot_json_write_int64(u_char *p, int64_t value);


/*
 * Makes text safe for variables, headers and logs, in place: each control
 * character (C0, DEL, C1) becomes one space, each byte that is not part of
 * well-formed UTF-8 becomes '?'.  The text never grows; it may shrink, as a
 * C1 character takes two bytes.
 */
void ngx_http_tgbot_json_clean(ngx_str_t *text);

/* bytes of the text's whole characters among the first "max" bytes */
size_t ngx_http_tgbot_json_cut(ngx_str_t *text, size_t max);

/* bytes of the text before the first that is no part of well-formed UTF-8 */
size_t ngx_http_tgbot_json_valid(ngx_str_t *text);

/* whether ngx_http_tgbot_json_clean() would not change text */
ngx_uint_t ngx_http_tgbot_json_is_clean(ngx_str_t *text);


/* the length of text as a JSON string, with its quotes */
size_t ngx_http_tgbot_json_escaped(ngx_str_t *text);

/* writes text as a JSON string of that length; returns its end */
u_char *ngx_http_tgbot_json_escape(u_char *p, ngx_str_t *text, size_t len);


/*
 * Copies clean text that will become a part of a JSON string but may be cut
 * before: each quote and backslash is replaced by one control character, so
 * that no escape can be cut in half.  dst is in pool.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_json_mark(ngx_str_t *dst, ngx_str_t *text,
    ngx_pool_t *pool);

/* replaces these characters in a JSON text by escapes; NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_json_unmark(ngx_str_t *text, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_JSON_H_INCLUDED_ */
