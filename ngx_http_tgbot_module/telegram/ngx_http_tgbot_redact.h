
/*
 * Text from outside on its way into a log line or an answer: what a program,
 * the Bot API, a library or a user wrote.  Whatever it is, no token of a bot
 * and no control character comes through.
 */

#ifndef _NGX_HTTP_TGBOT_REDACT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDACT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_TGBOT_REDACT_UNCUT  NGX_MAX_SIZE_T_VALUE


/* a token without its colon, which may be written in several ways */

typedef struct {
    ngx_str_t     id;               /* digits: they are no secret */
    ngx_str_t     key;
} ngx_http_tgbot_redact_token_t;


/*
 * Adds a token, such as 123:ABC, to tokens, which is an array of the above;
 * its text must live as long.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_redact_add(ngx_array_t *tokens, ngx_str_t *token);

/*
 * Whether one of the tokens is in the text.  Its colon may be percent-encoded,
 * once or twice, or be written as \u003a.  A token that the end of the text
 * cuts, or a "..." in it, counts from the first character after the colon on.
 */
ngx_uint_t ngx_http_tgbot_redact_holds(ngx_array_t *tokens, ngx_str_t *text);

/*
 * Makes text fit: each token in it, as above, becomes "<redacted>", and the
 * rest is cleaned as of ngx_http_tgbot_json_clean().  Then it is cut to max
 * bytes, of whole characters.  It is in pool afterwards if it was changed.
 * NGX_ERROR: no memory, and text is as it was, not to be shown.
 */
ngx_int_t ngx_http_tgbot_redact(ngx_array_t *tokens, ngx_str_t *text,
    size_t max, ngx_pool_t *pool);

/*
 * The same without a pool: at most size bytes of the result are written to
 * dst.  Returns the end of them.
 */
u_char *ngx_http_tgbot_redact_line(ngx_array_t *tokens, ngx_str_t *text,
    u_char *dst, size_t size);


#endif /* _NGX_HTTP_TGBOT_REDACT_H_INCLUDED_ */
