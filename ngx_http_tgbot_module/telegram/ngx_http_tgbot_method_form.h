
/*
 * The fields of multipart/form-data and application/x-www-form-urlencoded.
 */

#ifndef _NGX_HTTP_TGBOT_METHOD_FORM_H_INCLUDED_
#define _NGX_HTTP_TGBOT_METHOD_FORM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* bytes of a field in a form that is looked through in pieces */
#define NGX_HTTP_TGBOT_METHOD_FORM_FIELD  8192


/*
 * Whether a Content-Type header names this type, in any case of letters and
 * with or without parameters.
 */
ngx_uint_t ngx_http_tgbot_method_form_type(ngx_str_t *content_type,
    const char *type);

/*
 * Finds the first field "name" that is not a file; *value points into body,
 * not decoded.  Part headers may come in any order, a boundary may be quoted.
 * The values that are read (method, chat_id) are plain ASCII.
 *
 * NGX_OK        found
 * NGX_DECLINED  the form has no such field, or body is empty
 * NGX_ABORT     not a form: another type, no boundary, or a body that the
 *               boundary does not divide, as far as it was read (to the end
 *               of the field)
 */
ngx_int_t ngx_http_tgbot_method_form_field(ngx_str_t *content_type,
    ngx_str_t *body, const char *name, ngx_str_t *value);

/*
 * The same for multipart/form-data that is looked through in pieces.  "text" is
 * a piece of the body; it begins with the body, or with what the piece before
 * did not use, of which *used tells the number of bytes.  A field has to be
 * shorter than NGX_HTTP_TGBOT_METHOD_FORM_FIELD, and the pieces be longer.
 *
 * NGX_OK        found
 * NGX_AGAIN     the next piece is needed
 * NGX_DECLINED  the form has no such field
 * NGX_ABORT     not a form
 */
ngx_int_t ngx_http_tgbot_method_form_piece(ngx_str_t *content_type,
    ngx_str_t *text, const char *name, ngx_str_t *value, size_t *used);


#endif /* _NGX_HTTP_TGBOT_METHOD_FORM_H_INCLUDED_ */
