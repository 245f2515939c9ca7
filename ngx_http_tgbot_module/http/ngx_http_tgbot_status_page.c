
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
    ngx_uint_t                i;
    ngx_http_complex_value_t  page;

    static ngx_str_t          type = ngx_string("text/html");

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

    ngx_memzero(&page, sizeof(ngx_http_complex_value_t));

    /* the cast is safe: nginx sends it as memory that filters only read */

    page.value.data = (u_char *) ngx_http_tgbot_status_page_html;
    page.value.len = sizeof(ngx_http_tgbot_status_page_html);

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &page);
}
