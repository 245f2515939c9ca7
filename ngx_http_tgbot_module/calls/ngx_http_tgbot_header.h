
/*
 * Headers: finds those of a request, adds those of a response.
 */

#ifndef _NGX_HTTP_TGBOT_HEADER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_HEADER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * The next header of this name, in any case, after the given one, which is
 * one of the list; NULL as "after": the first.  Returns NULL if there is none.
 */
ngx_table_elt_t *ngx_http_tgbot_header(ngx_list_t *headers, const char *name,
    ngx_table_elt_t *after);

/* adds a header to the response of r; the strings are not copied */
ngx_int_t ngx_http_tgbot_header_push(ngx_http_request_t *r, const char *name,
    const char *value);


#endif /* _NGX_HTTP_TGBOT_HEADER_H_INCLUDED_ */
