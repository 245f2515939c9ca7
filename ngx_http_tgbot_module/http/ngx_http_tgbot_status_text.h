
/*
 * A writer of JSON or plain text into buffers, which sends them as the
 * response.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_TEXT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* the text written so far */

typedef struct {
    ngx_pool_t           *pool;
    ngx_array_t          *tokens;        /* redacted in all strings */
    ngx_chain_t          *chain;
    ngx_chain_t         **last;
    ngx_buf_t            *buf;           /* of the last link */
    off_t                 size;
    ngx_str_t             type;          /* "application/json" by init() */

    unsigned              comma:1;       /* needed before the next value */
    unsigned              failed:1;      /* no memory */
} ngx_http_tgbot_status_text_t;


/*
 * Functions that write return nothing: they set s->failed if there is no
 * memory, and send() then returns NGX_HTTP_INTERNAL_SERVER_ERROR.  Memory is
 * that of r->pool.
 */

void ngx_http_tgbot_status_text_init(ngx_http_tgbot_status_text_t *s,
    ngx_http_request_t *r);

/* open or close an object or an array; bracket is one of { } [ ] */
void ngx_http_tgbot_status_text_open(ngx_http_tgbot_status_text_t *s,
    char bracket);
void ngx_http_tgbot_status_text_close(ngx_http_tgbot_status_text_t *s,
    char bracket);

/* write a member's name: a C string, or an ngx_str_t with any bytes */
void ngx_http_tgbot_status_text_key(ngx_http_tgbot_status_text_t *s,
    const char *name);
void ngx_http_tgbot_status_text_name(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *name);

/*
 * Write a value, with a comma before it if needed.  A string is redacted,
 * cleaned and escaped; NGX_HTTP_TGBOT_UPDATE_NO_ID becomes null; value()
 * copies ready JSON.
 */
void ngx_http_tgbot_status_text_number(ngx_http_tgbot_status_text_t *s,
    uint64_t value);
void ngx_http_tgbot_status_text_id(ngx_http_tgbot_status_text_t *s,
    int64_t update_id);
void ngx_http_tgbot_status_text_string(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *value);
void ngx_http_tgbot_status_text_value(ngx_http_tgbot_status_text_t *s,
    const void *data, size_t len);

/* write a member with its name: a number, a string, or true or false */
void ngx_http_tgbot_status_text_member(ngx_http_tgbot_status_text_t *s,
    const char *name, uint64_t value);
void ngx_http_tgbot_status_text_text(ngx_http_tgbot_status_text_t *s,
    const char *name, ngx_str_t *value);
void ngx_http_tgbot_status_text_flag(ngx_http_tgbot_status_text_t *s,
    const char *name, ngx_uint_t value);

/* redacts tokens in *text and makes it valid UTF-8; it may point to a copy */
void ngx_http_tgbot_status_text_redact(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *text);

/* copies bytes, without a comma */
void ngx_http_tgbot_status_text_write(ngx_http_tgbot_status_text_t *s,
    const void *data, size_t len);


/*
 * Send the response with this status, and return the code of the content
 * handler.
 */

/* sends what was written */
ngx_int_t ngx_http_tgbot_status_text_send(ngx_http_request_t *r,
    ngx_http_tgbot_status_text_t *s, ngx_uint_t status);

/* sends only the header: the caller has set the length, and sends a body */
ngx_int_t ngx_http_tgbot_status_text_header(ngx_http_request_t *r,
    ngx_str_t *type, ngx_uint_t status);

/* closes the outermost object, adds a newline, and sends */
ngx_int_t ngx_http_tgbot_status_text_done(ngx_http_request_t *r,
    ngx_http_tgbot_status_text_t *s, ngx_uint_t status);

/* sends an object with the member "error" */
ngx_int_t ngx_http_tgbot_status_text_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);


#endif /* _NGX_HTTP_TGBOT_STATUS_TEXT_H_INCLUDED_ */
