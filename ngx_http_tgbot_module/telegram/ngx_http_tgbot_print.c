
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_print.h"


static void ngx_http_tgbot_print_text(ngx_http_tgbot_print_t *print,
    ngx_str_t *text);
static ngx_uint_t ngx_http_tgbot_print_boundary(ngx_str_t *content_type,
    ngx_str_t *boundary);
static void ngx_http_tgbot_print_line(ngx_http_tgbot_print_t *print,
    ngx_str_t *boundary);


void
ngx_http_tgbot_print_init(ngx_http_tgbot_print_t *print, ngx_str_t *method,
    ngx_str_t *query, ngx_str_t *content_type)
{
    ngx_str_t  type, boundary;

    print->len = 0;
    print->matched = 0;

    type = *content_type;

    if (ngx_http_tgbot_print_boundary(content_type, &boundary)) {
        ngx_http_tgbot_print_line(print, &boundary);
        type.len = sizeof("multipart/form-data") - 1;
    }

    ngx_md5_init(&print->md5);

    ngx_http_tgbot_print_text(print, method);
    ngx_http_tgbot_print_text(print, query);
    ngx_http_tgbot_print_text(print, &type);
}


/* with its length, so that it is clear where it ends */

static void
ngx_http_tgbot_print_text(ngx_http_tgbot_print_t *print, ngx_str_t *text)
{
    uint64_t  len;

    len = text->len;

    ngx_md5_update(&print->md5, &len, sizeof(uint64_t));

    if (len) {
        ngx_md5_update(&print->md5, text->data, text->len);
    }
}


static ngx_uint_t
ngx_http_tgbot_print_boundary(ngx_str_t *content_type, ngx_str_t *boundary)
{
    u_char  *p, *last;

    if (content_type->len < sizeof("multipart/form-data") - 1
        || ngx_strncasecmp(content_type->data,
                           (u_char *) "multipart/form-data",
                           sizeof("multipart/form-data") - 1)
           != 0)
    {
        return 0;
    }

    last = content_type->data + content_type->len;

    p = ngx_strlcasestrn(content_type->data, last, (u_char *) "boundary=",
                         sizeof("boundary=") - 1 - 1);
    if (p == NULL) {
        return 0;
    }

    p += sizeof("boundary=") - 1;

    if (p < last && *p == '"') {
        p++;
    }

    boundary->data = p;

    while (p < last && *p != '"' && *p != ';' && *p != ' ') {
        p++;
    }

    boundary->len = p - boundary->data;

    return boundary->len > 0
           && boundary->len <= NGX_HTTP_TGBOT_PRINT_BOUNDARY;
}


/*
 * back[i]: how much of the line may have begun in its first i + 1 bytes, if
 * the next one does not match (Knuth, Morris, Pratt)
 */

static void
ngx_http_tgbot_print_line(ngx_http_tgbot_print_t *print, ngx_str_t *boundary)
{
    ngx_uint_t  i, k;

    print->len = boundary->len + 2;
    print->line[0] = '-';
    print->line[1] = '-';
    ngx_memcpy(print->line + 2, boundary->data, boundary->len);

    print->back[0] = 0;
    k = 0;

    for (i = 1; i < print->len; i++) {

        while (k && print->line[k] != print->line[i]) {
            k = print->back[k - 1];
        }

        if (print->line[k] == print->line[i]) {
            k++;
        }

        print->back[i] = (u_char) k;
    }
}


void
ngx_http_tgbot_print_add(ngx_http_tgbot_print_t *print, u_char *p, size_t len)
{
    u_char      *last, *next;
    ngx_uint_t   k;

    last = p + len;

    while (p < last) {

        if (print->len == 0) {
            ngx_md5_update(&print->md5, p, last - p);
            return;
        }

        while (print->matched && print->line[print->matched] != *p) {
            k = print->back[print->matched - 1];
            ngx_md5_update(&print->md5, print->line, print->matched - k);
            print->matched = k;
        }

        if (print->line[print->matched] == *p) {
            p++;

            if (++print->matched == print->len) {
                print->matched = 0;
            }

            continue;
        }

        next = ngx_strlchr(p, last, '-');
        next = next ? next : last;

        ngx_md5_update(&print->md5, p, next - p);

        p = next;
    }
}


void
ngx_http_tgbot_print_end(ngx_http_tgbot_print_t *print, u_char *result)
{
    if (print->matched) {
        ngx_md5_update(&print->md5, print->line, print->matched);
    }

    ngx_md5_final(result, &print->md5);
}
