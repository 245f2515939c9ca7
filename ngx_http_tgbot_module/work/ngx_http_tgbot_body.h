
/*
 * The body of a request, which nginx keeps in buffers or in a file.
 */

#ifndef _NGX_HTTP_TGBOT_BODY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Sets *body to the bytes of r's body, which live as long as r.  A body that is
 * in one buffer in memory is not copied.  "own": only the caller points into
 * the body, so it is also copied if nginx's read buffer is much larger; after a
 * copy the read buffer is freed and r->request_body has the copy.  Must be
 * called once, after the body was read.  NGX_ERROR: no memory, or a read error
 * (logged).
 */
ngx_int_t ngx_http_tgbot_body(ngx_http_request_t *r, ngx_uint_t own,
    ngx_str_t *body);

/* bytes of memory that r uses for its body, with "body" from above */
size_t ngx_http_tgbot_body_held(ngx_http_request_t *r, ngx_str_t *body);


#endif /* _NGX_HTTP_TGBOT_BODY_H_INCLUDED_ */
