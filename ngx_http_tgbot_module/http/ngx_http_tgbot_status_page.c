
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_status_page.h"
#include "ngx_http_tgbot_status_page_html.h"


/* the policy has hashes of the page's own script and style: no other runs */

static const char  *ngx_http_tgbot_status_page_headers[][2] = {
    { "Cache-Control", "no-store" },
    { "Content-Security-Policy", NGX_HTTP_TGBOT_STATUS_PAGE_POLICY },
    { "Referrer-Policy", "no-referrer" },
    { "X-Content-Type-Options", "nosniff" },
    { "X-Frame-Options", "DENY" },
    { NULL, NULL }
};


ngx_int_t
ngx_http_tgbot_status_page(ngx_http_request_t *r)
{
    ngx_int_t    rc;
    ngx_buf_t   *b;
    ngx_uint_t   i;
    ngx_chain_t  out;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = sizeof(ngx_http_tgbot_status_page_html);

    ngx_str_set(&r->headers_out.content_type, "text/html");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    ngx_str_set(&r->headers_out.charset, "utf-8");

    for (i = 0; ngx_http_tgbot_status_page_headers[i][0]; i++) {

        if (ngx_http_tgbot_header_push(r,
                                    ngx_http_tgbot_status_page_headers[i][0],
                                    ngx_http_tgbot_status_page_headers[i][1])
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    /* the cast is safe: b->temporary is not set, so filters only read */

    b->pos = (u_char *) ngx_http_tgbot_status_page_html;
    b->last = b->pos + sizeof(ngx_http_tgbot_status_page_html);
    b->memory = 1;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
