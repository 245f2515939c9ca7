
/*
 * Finds headers in a list, and adds headers to a response.
 */

#ifndef _NGX_HTTP_TGBOT_HEADER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_HEADER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Returns the next header with this name, regardless of case, that follows
 * "after" in the list; with "after" NULL, the first one.  NULL: there is none.
 */
ngx_table_elt_t *ngx_http_tgbot_header(ngx_list_t *headers, const char *name,
    ngx_table_elt_t *after);

/* adds a header to the response of r; the strings are not copied */
ngx_int_t ngx_http_tgbot_header_push(ngx_http_request_t *r, const char *name,
    const char *value);


#endif /* _NGX_HTTP_TGBOT_HEADER_H_INCLUDED_ */
