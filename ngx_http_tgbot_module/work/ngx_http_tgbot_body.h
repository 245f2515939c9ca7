
/*
 * A request's body, wherever nginx put it.
 */

#ifndef _NGX_HTTP_TGBOT_BODY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * The body that was read, in one buffer in memory (special ones beside it);
 * what came in several, or lies in a file, is gathered in r->pool.  With
 * "own" the body was read for the caller and no other has pointers into it:
 * what nginx read it into is freed if that is much larger, and r->request_body
 * has the gathered body instead.  To be called once, when all is read.  NULL
 * or no such buffer: it is empty.  NGX_ERROR: no memory, or a read error
 * (logged).
 */
ngx_int_t ngx_http_tgbot_body_chain(ngx_http_request_t *r, ngx_uint_t own,
    ngx_chain_t **body);

/* the bytes of that buffer, where they are; without one it is empty */
void ngx_http_tgbot_body_text(ngx_chain_t *body, ngx_str_t *text);

/* bytes that the request takes for the body, which is of the above */
size_t ngx_http_tgbot_body_held(ngx_http_request_t *r, ngx_chain_t *body);


#endif /* _NGX_HTTP_TGBOT_BODY_H_INCLUDED_ */
