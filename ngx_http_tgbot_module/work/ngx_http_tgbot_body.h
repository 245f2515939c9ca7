
/*
 * The body of a request, which nginx keeps in buffers or in a file.
 */

#ifndef _NGX_HTTP_TGBOT_BODY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Sets *body to a chain with the whole body in one buffer in memory, possibly
 * beside special buffers.  A body that is in several buffers or in a file is
 * copied into r->pool.  "own": only the caller points into the body, so it is
 * also copied if nginx's read buffer is much larger; after a copy the read
 * buffer is freed and r->request_body has the copy.  Must be called once, after
 * the body was read.  The body is empty if *body is NULL or has special buffers
 * only.  NGX_ERROR: no memory, or a read error (logged).
 */
ngx_int_t ngx_http_tgbot_body_chain(ngx_http_request_t *r, ngx_uint_t own,
    ngx_chain_t **body);

/* sets *text to the bytes of that buffer, not copied; "" if there is none */
void ngx_http_tgbot_body_text(ngx_chain_t *body, ngx_str_t *text);

/*
 * bytes of memory that r uses for its body; "body" is the chain from
 * ngx_http_tgbot_body_chain()
 */
size_t ngx_http_tgbot_body_held(ngx_http_request_t *r, ngx_chain_t *body);


#endif /* _NGX_HTTP_TGBOT_BODY_H_INCLUDED_ */
