
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_method_form.h"


/* RFC 2046, and the bound of Telegram's own reader of forms */
#define NGX_HTTP_TGBOT_FORM_BOUNDARY_LEN  70


/* the rest of a body, in which the next delimiter is looked for */

typedef struct {
    u_char       *pos;
    u_char       *last;
    ngx_str_t     boundary;
} ngx_http_tgbot_method_form_t;


static ngx_int_t ngx_http_tgbot_method_form_multipart(ngx_str_t *content_type,
    ngx_str_t *body, ngx_str_t *name, ngx_str_t *value);
static u_char *ngx_http_tgbot_method_form_delimiter(
    ngx_http_tgbot_method_form_t *form, ngx_uint_t *final);
static ngx_int_t ngx_http_tgbot_method_form_part(ngx_str_t *part,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_tgbot_method_form_line(ngx_str_t *rest,
    ngx_str_t *line);
static ngx_int_t ngx_http_tgbot_method_form_param(ngx_str_t *header,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_http_tgbot_method_form_next_param(ngx_str_t *rest,
    ngx_str_t *key, ngx_str_t *value);
static u_char *ngx_http_tgbot_method_form_quoted(u_char *p, u_char *last);
static u_char *ngx_http_tgbot_method_form_blank(u_char *p, u_char *last);
static ngx_int_t ngx_http_tgbot_method_form_urlencoded(ngx_str_t *body,
    ngx_str_t *name, ngx_str_t *value);


ngx_uint_t
ngx_http_tgbot_method_form_type(ngx_str_t *content_type, const char *type)
{
    size_t   len;
    u_char  *p;

    len = ngx_strlen(type);

    if (content_type->len < len
        || (ngx_memcmp(content_type->data, type, len) != 0
            && ngx_strncasecmp(content_type->data, (u_char *) type, len) != 0))
    {
        return 0;
    }

    if (content_type->len == len) {
        return 1;
    }

    p = content_type->data + len;

    return *p == ';' || *p == ' ' || *p == '\t';
}


ngx_int_t
ngx_http_tgbot_method_form_field(ngx_str_t *content_type, ngx_str_t *body,
    const char *name, ngx_str_t *value)
{
    ngx_str_t  field;

    if (body->len == 0) {
        return NGX_DECLINED;
    }

    field.data = (u_char *) name;
    field.len = ngx_strlen(name);

    if (ngx_http_tgbot_method_form_type(content_type, "multipart/form-data")) {
        return ngx_http_tgbot_method_form_multipart(content_type, body, &field,
                                                    value);
    }

    if (ngx_http_tgbot_method_form_type(content_type,
                                        "application/x-www-form-urlencoded"))
    {
        return ngx_http_tgbot_method_form_urlencoded(body, &field, value);
    }

    return NGX_ABORT;
}


static ngx_int_t
ngx_http_tgbot_method_form_multipart(ngx_str_t *content_type, ngx_str_t *body,
    ngx_str_t *name, ngx_str_t *value)
{
    size_t     used;
    ngx_int_t  rc;

    rc = ngx_http_tgbot_method_form_piece(content_type, body,
                                          (char *) name->data, value, &used);

    return (rc == NGX_AGAIN) ? NGX_ABORT : rc;
}


ngx_int_t
ngx_http_tgbot_method_form_piece(ngx_str_t *content_type, ngx_str_t *text,
    const char *name, ngx_str_t *value, size_t *used)
{
    u_char                       *p, *begin;
    size_t                        tail;
    ngx_str_t                     part, field;
    ngx_uint_t                    final;
    ngx_http_tgbot_method_form_t  form;

    if (ngx_http_tgbot_method_form_param(content_type, "boundary",
                                         &form.boundary)
        != NGX_OK
        || form.boundary.len == 0
        || form.boundary.len > NGX_HTTP_TGBOT_FORM_BOUNDARY_LEN)
    {
        return NGX_ABORT;
    }

    field.data = (u_char *) name;
    field.len = ngx_strlen(name);

    form.pos = text->data;
    form.last = text->data + text->len;

    /* the bytes before the first delimiter are not a part */

    begin = form.pos;
    p = ngx_http_tgbot_method_form_delimiter(&form, &final);

    while (p && !final) {
        begin = p;
        part.data = form.pos;

        p = ngx_http_tgbot_method_form_delimiter(&form, &final);

        if (p == NULL) {
            break;
        }

        part.len = p - part.data;

        if (ngx_http_tgbot_method_form_part(&part, &field, value) == NGX_OK) {
            return NGX_OK;
        }
    }

    if (p) {
        return NGX_DECLINED;
    }

    /* what is too long for a field is left out, but for half a delimiter */

    *used = begin - text->data;

    tail = form.boundary.len + NGX_HTTP_TGBOT_FORM_BOUNDARY_LEN;

    if (text->len - *used > NGX_HTTP_TGBOT_METHOD_FORM_FIELD) {
        *used = text->len - tail;
    }

    return NGX_AGAIN;
}


/*
 * Returns the end of the bytes before the next delimiter and moves form->pos
 * after the delimiter; NULL: there is none.
 * form->pos is the beginning of a line, so a delimiter right there needs no
 * CRLF before it.
 */

static u_char *
ngx_http_tgbot_method_form_delimiter(ngx_http_tgbot_method_form_t *form,
    ngx_uint_t *final)
{
    u_char  *p, *end, *start, *last;

    start = form->pos;
    last = form->last;

    for ( /* void */ ; start < last; start = end + 1) {

        if (start == form->pos && *start == '-') {
            end = start;
            p = start;

        } else {
            end = ngx_strlchr(start, last, CR);

            if (end == NULL || last - end < 2) {
                return NULL;
            }

            if (end[1] != LF) {
                continue;
            }

            p = end + 2;
        }

        if ((size_t) (last - p) < form->boundary.len + 4
            || p[0] != '-' || p[1] != '-'
            || ngx_memcmp(p + 2, form->boundary.data, form->boundary.len) != 0)
        {
            continue;
        }

        p += 2 + form->boundary.len;

        if (p[0] == '-' && p[1] == '-') {
            *final = 1;
            form->pos = p + 2;
            return end;
        }

        p = ngx_http_tgbot_method_form_blank(p, last);

        if (last - p >= 2 && p[0] == CR && p[1] == LF) {
            *final = 0;
            form->pos = p + 2;
            return end;
        }

        /* the line is longer than the boundary, so it is no delimiter */
    }

    return NULL;
}


static ngx_int_t
ngx_http_tgbot_method_form_part(ngx_str_t *part, ngx_str_t *name,
    ngx_str_t *value)
{
    size_t     len;
    ngx_str_t  rest, line, disposition, param;

    static ngx_str_t  header = ngx_string("Content-Disposition:");

    rest = *part;
    ngx_str_null(&disposition);

    for ( ;; ) {

        if (ngx_http_tgbot_method_form_line(&rest, &line) != NGX_OK) {
            return NGX_DECLINED;
        }

        if (line.len == 0) {
            break;
        }

        len = header.len;

        if (disposition.len == 0 && line.len > len
            && ngx_strncasecmp(line.data, header.data, len) == 0)
        {
            disposition.data = line.data + len;
            disposition.len = line.len - len;
        }
    }

    if (ngx_http_tgbot_method_form_param(&disposition, "name", &param) != NGX_OK
        || param.len != name->len
        || ngx_memcmp(param.data, name->data, name->len) != 0)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_tgbot_method_form_param(&disposition, "filename", &param)
        == NGX_OK
        || ngx_http_tgbot_method_form_param(&disposition, "filename*", &param)
           == NGX_OK)
    {
        return NGX_DECLINED;
    }

    *value = rest;

    return NGX_OK;
}


/* moves rest after the next line, which must end with CRLF */

static ngx_int_t
ngx_http_tgbot_method_form_line(ngx_str_t *rest, ngx_str_t *line)
{
    u_char  *p, *last;

    last = rest->data + rest->len;

    for (p = rest->data; last - p >= 2; p++) {

        p = ngx_strlchr(p, last - 1, CR);

        if (p == NULL) {
            return NGX_DECLINED;
        }

        if (p[1] == LF) {
            line->data = rest->data;
            line->len = p - rest->data;

            rest->data = p + 2;
            rest->len = last - rest->data;

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* finds a parameter of a header; quotes are removed, escapes are kept */

static ngx_int_t
ngx_http_tgbot_method_form_param(ngx_str_t *header, const char *name,
    ngx_str_t *value)
{
    size_t     len;
    ngx_str_t  rest, key;

    rest = *header;
    len = ngx_strlen(name);

    while (ngx_http_tgbot_method_form_next_param(&rest, &key, value)
           == NGX_OK)
    {
        if (key.len == len
            && ngx_strncasecmp(key.data, (u_char *) name, len) == 0)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* moves rest after the next parameter */

static ngx_int_t
ngx_http_tgbot_method_form_next_param(ngx_str_t *rest, ngx_str_t *key,
    ngx_str_t *value)
{
    u_char  *p, *last;

    if (rest->len == 0) {
        return NGX_DECLINED;
    }

    p = rest->data;
    last = rest->data + rest->len;

    do {
        while (p < last && *p != ';') {
            p = (*p == '"') ? ngx_http_tgbot_method_form_quoted(p, last)
                            : p + 1;
        }

        if (p == last) {
            return NGX_DECLINED;
        }

        p = ngx_http_tgbot_method_form_blank(p + 1, last);
        key->data = p;

        while (p < last && *p != '=' && *p != ';' && *p != '"') {
            p++;
        }

    } while (p == last || *p != '=');

    key->len = p - key->data;

    while (key->len && (key->data[key->len - 1] == ' '
                        || key->data[key->len - 1] == '\t'))
    {
        key->len--;
    }

    p = ngx_http_tgbot_method_form_blank(p + 1, last);
    value->data = p;

    if (p < last && *p == '"') {
        p = ngx_http_tgbot_method_form_quoted(p, last);

        value->data++;
        value->len = p - value->data - (p > value->data && p[-1] == '"');

    } else {

        while (p < last && *p != ';' && *p != ' ' && *p != '\t') {
            p++;
        }

        value->len = p - value->data;
    }

    rest->data = p;
    rest->len = last - p;

    return NGX_OK;
}


/*
 * the end of the quoted string that begins at p, or last if it is not closed
 */

static u_char *
ngx_http_tgbot_method_form_quoted(u_char *p, u_char *last)
{
    for (p++; p < last; p++) {

        if (*p == '\\') {

            if (++p == last) {
                break;
            }

            continue;
        }

        if (*p == '"') {
            return p + 1;
        }
    }

    return last;
}


static u_char *
ngx_http_tgbot_method_form_blank(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}


static ngx_int_t
ngx_http_tgbot_method_form_urlencoded(ngx_str_t *body, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  *p, *end, *last;

    last = body->data + body->len;

    for (p = body->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) > name->len
            && ngx_memcmp(p, name->data, name->len) == 0
            && p[name->len] == '=')
        {
            value->data = p + name->len + 1;
            value->len = end - value->data;

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}
