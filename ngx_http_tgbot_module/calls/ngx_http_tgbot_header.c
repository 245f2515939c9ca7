
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_header.h"


ngx_table_elt_t *
ngx_http_tgbot_header(ngx_list_t *headers, const char *name,
    ngx_table_elt_t *after)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    /* most names differ in the first letter, or come as they are written */

    for (part = &headers->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (after) {
                after = (&h[i] == after) ? NULL : after;

            } else if (h[i].key.len == len
                       && (h[i].key.data[0] | 0x20) == (name[0] | 0x20)
                       && (ngx_memcmp(h[i].key.data, name, len) == 0
                           || ngx_strncasecmp(h[i].key.data, (u_char *) name,
                                              len)
                              == 0))
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_tgbot_header_push(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = ngx_strlen(value);

    return NGX_OK;
}
