
/*
 * Text from outside that goes into a log line or an answer: from a program,
 * the Bot API, a library or a user.  No token of a bot and no control
 * character is left in it.
 */

#ifndef _NGX_HTTP_TGBOT_REDACT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDACT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_TGBOT_REDACT_UNCUT  NGX_MAX_SIZE_T_VALUE


/* a token without its colon, which has several spellings */

typedef struct {
    ngx_str_t     id;               /* digits, not secret */
    ngx_str_t     key;
} ngx_http_tgbot_redact_token_t;


/*
 * Adds a token, such as 123:ABC, to tokens, an array of
 * ngx_http_tgbot_redact_token_t; token must live as long as the array.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_redact_add(ngx_array_t *tokens, ngx_str_t *token);

/*
 * Whether text contains one of the tokens.  The colon may be percent-encoded,
 * once or twice, or written as \u003a.  A token that is cut by the end of the
 * text, or by "...", counts if its colon is followed by at least one
 * character of its key.
 */
ngx_uint_t ngx_http_tgbot_redact_holds(ngx_array_t *tokens, ngx_str_t *text);

/*
 * Replaces each token in text, as found by ngx_http_tgbot_redact_holds(), by
 * "<redacted>", cleans the rest like ngx_http_tgbot_json_clean() and cuts the
 * result to max bytes of whole characters.  A text that was changed is in
 * pool afterwards.
 * NGX_ERROR: no memory; text is unchanged and must not be shown.
 */
ngx_int_t ngx_http_tgbot_redact(ngx_array_t *tokens, ngx_str_t *text,
    size_t max, ngx_pool_t *pool);

/*
 * Overwrites the key of each token in text, as found by
 * ngx_http_tgbot_redact_holds(), with "x", in place.  Returns the number of
 * tokens.
 */
ngx_uint_t ngx_http_tgbot_redact_mask(ngx_array_t *tokens, ngx_str_t *text);

/* whether what stands for the token is the token, masked in this way */
ngx_uint_t ngx_http_tgbot_redact_masked(ngx_str_t *token, ngx_str_t *text);

/*
 * ngx_http_tgbot_redact() without a pool: writes at most size bytes of the
 * result to dst and returns their end.
 */
u_char *ngx_http_tgbot_redact_line(ngx_array_t *tokens, ngx_str_t *text,
    u_char *dst, size_t size);


#endif /* _NGX_HTTP_TGBOT_REDACT_H_INCLUDED_ */
