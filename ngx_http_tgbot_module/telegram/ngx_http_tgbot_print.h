
/*
 * The fingerprint of a call that a program makes by itself: what tells whether
 * two calls ask for the same.
 */

#ifndef _NGX_HTTP_TGBOT_PRINT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_PRINT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>


#define NGX_HTTP_TGBOT_PRINT_SIZE      16

/* of a boundary, by RFC 2046 */
#define NGX_HTTP_TGBOT_PRINT_BOUNDARY  70


typedef struct {
    ngx_md5_t     md5;
    u_char        line[NGX_HTTP_TGBOT_PRINT_BOUNDARY + 2];
    u_char        back[NGX_HTTP_TGBOT_PRINT_BOUNDARY + 2];
    ngx_uint_t    len;        /* of "--boundary"; 0: no multipart */
    ngx_uint_t    matched;    /* bytes of it at the end of what was added */
} ngx_http_tgbot_print_t;


/* begins with what stands before the body; "query" is without "?" */
void ngx_http_tgbot_print_init(ngx_http_tgbot_print_t *print,
    ngx_str_t *method, ngx_str_t *query, ngx_str_t *content_type);

/*
 * Adds a piece of the body.  The boundary of a multipart body is left out: a
 * program that repeats an upload draws another one.
 */
void ngx_http_tgbot_print_add(ngx_http_tgbot_print_t *print, u_char *p,
    size_t len);

/* writes PRINT_SIZE bytes */
void ngx_http_tgbot_print_end(ngx_http_tgbot_print_t *print, u_char *result);


#endif /* _NGX_HTTP_TGBOT_PRINT_H_INCLUDED_ */
