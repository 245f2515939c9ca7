
/*
 * The fields of multipart/form-data and application/x-www-form-urlencoded.
 */

#ifndef _NGX_HTTP_TGBOT_FORM_H_INCLUDED_
#define _NGX_HTTP_TGBOT_FORM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Finds the first field "name" that is not a file; *value points into body,
 * not decoded.  Part headers may come in any order, a boundary may be
 * quoted.  Field values of interest here (method, chat_id) are plain ASCII.
 *
 * NGX_OK        found
 * NGX_DECLINED  the form has no such field
 * NGX_ABORT     not a form: no boundary, or not cut by it
 */
ngx_int_t ngx_http_tgbot_form_field(ngx_str_t *content_type, ngx_str_t *body,
    const char *name, ngx_str_t *value);


#endif /* _NGX_HTTP_TGBOT_FORM_H_INCLUDED_ */
