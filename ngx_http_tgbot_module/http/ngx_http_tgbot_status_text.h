
/*
 * Writes JSON, or another text, into buffers, and sends it.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_TEXT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* JSON in the making */

typedef struct {
    ngx_pool_t           *pool;
    ngx_array_t          *tokens;        /* which no string shows */
    ngx_chain_t          *chain;
    ngx_chain_t         **last;
    ngx_buf_t            *buf;           /* of the last link */
    off_t                 size;
    ngx_str_t             type;          /* "application/json" by init() */

    unsigned              comma:1;       /* something stands before */
    unsigned              failed:1;      /* no memory */
} ngx_http_tgbot_status_text_t;


/*
 * Failures are noted, and told by send().
 */

void ngx_http_tgbot_status_text_init(ngx_http_tgbot_status_text_t *s,
    ngx_http_request_t *r);

/* an object or an array, by its bracket */
void ngx_http_tgbot_status_text_open(ngx_http_tgbot_status_text_t *s,
    char bracket);
void ngx_http_tgbot_status_text_close(ngx_http_tgbot_status_text_t *s,
    char bracket);

/* a member's name, by a C string or any bytes */
void ngx_http_tgbot_status_text_key(ngx_http_tgbot_status_text_t *s,
    const char *name);
void ngx_http_tgbot_status_text_name(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *name);

/*
 * Values, with the comma before them; a string is redacted, cleaned and
 * escaped, an update_id that did not fit is null, "value" is JSON as it is.
 */
void ngx_http_tgbot_status_text_number(ngx_http_tgbot_status_text_t *s,
    uint64_t value);
void ngx_http_tgbot_status_text_id(ngx_http_tgbot_status_text_t *s,
    int64_t update_id);
void ngx_http_tgbot_status_text_string(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *value);
void ngx_http_tgbot_status_text_value(ngx_http_tgbot_status_text_t *s,
    const void *data, size_t len);

/* members: a number, a string, and true or false, with their name */
void ngx_http_tgbot_status_text_member(ngx_http_tgbot_status_text_t *s,
    const char *name, uint64_t value);
void ngx_http_tgbot_status_text_text(ngx_http_tgbot_status_text_t *s,
    const char *name, ngx_str_t *value);
void ngx_http_tgbot_status_text_flag(ngx_http_tgbot_status_text_t *s,
    const char *name, ngx_uint_t value);

/* what may be in a string: a token in text is gone, the rest is clean */
void ngx_http_tgbot_status_text_redact(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *text);

/* bytes as they are */
void ngx_http_tgbot_status_text_write(ngx_http_tgbot_status_text_t *s,
    const void *data, size_t len);


/* what the content handler returns: the response is sent, with this status */
ngx_int_t ngx_http_tgbot_status_text_send(ngx_http_request_t *r,
    ngx_http_tgbot_status_text_t *s, ngx_uint_t status);

/* the same, after the end of the outermost object and of its line */
ngx_int_t ngx_http_tgbot_status_text_done(ngx_http_request_t *r,
    ngx_http_tgbot_status_text_t *s, ngx_uint_t status);

/* the same for an object with the text as "error" */
ngx_int_t ngx_http_tgbot_status_text_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);


#endif /* _NGX_HTTP_TGBOT_STATUS_TEXT_H_INCLUDED_ */
