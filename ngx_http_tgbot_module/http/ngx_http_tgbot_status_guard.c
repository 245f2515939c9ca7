
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_status_guard.h"


static ngx_uint_t ngx_http_tgbot_status_guard_site(ngx_http_request_t *r);
static ngx_str_t *ngx_http_tgbot_status_guard_header(ngx_http_request_t *r,
    const char *name);
static ngx_uint_t ngx_http_tgbot_status_guard_is(ngx_str_t *value,
    const char *text);
static ngx_uint_t ngx_http_tgbot_status_guard_host(ngx_str_t *host,
    ngx_array_t *names);
static ngx_uint_t ngx_http_tgbot_status_guard_address(ngx_str_t *host);


const char *
ngx_http_tgbot_status_guard(ngx_http_request_t *r, const char *action)
{
    ngx_str_t                  *value;
    ngx_http_tgbot_loc_conf_t  *tlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);

    if (action) {

        if (!tlcf->status->write || r != r->main) {
            return "expected \"write=on\" of \"tgbot_status\" for a change";
        }

        /* a form on another site cannot send this header */

        value = ngx_http_tgbot_status_guard_header(r, "X-Tgbot-Action");

        if (value == NULL || !ngx_http_tgbot_status_guard_is(value, action)) {
            return "expected the header \"X-Tgbot-Action\" with \"replay\" "
                   "for POST, with \"drop\" for DELETE, or with the last part "
                   "of the path for a broadcast";
        }
    }

    return ngx_http_tgbot_status_guard_page(r, tlcf->status->hosts);
}


const char *
ngx_http_tgbot_status_guard_page(ngx_http_request_t *r, ngx_array_t *hosts)
{
    if (!ngx_http_tgbot_status_guard_site(r)) {
        return "expected no page of another site as the origin";
    }

    if (!ngx_http_tgbot_status_guard_host(&r->headers_in.server, hosts)) {
        return "expected an address, \"localhost\" or an exact server_name "
               "as the host";
    }

    return NULL;
}


/*
 * Browsers send Sec-Fetch-Site; "none" means that the user typed the URL.  To
 * a server without TLS they send only Origin, and not in every request.
 */

static ngx_uint_t
ngx_http_tgbot_status_guard_site(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t  *value, *host;

    value = ngx_http_tgbot_status_guard_header(r, "Sec-Fetch-Site");

    if (value) {
        return ngx_http_tgbot_status_guard_is(value, "same-origin")
               || ngx_http_tgbot_status_guard_is(value, "none");
    }

    value = ngx_http_tgbot_status_guard_header(r, "Origin");

    if (value == NULL) {
        return 1;
    }

    if (r->headers_in.host == NULL) {
        return 0;
    }

    host = &r->headers_in.host->value;
    last = value->data + value->len;

    p = ngx_strlcasestrn(value->data, last, (u_char *) "://", 3 - 1);

    if (p == NULL) {
        return 0;
    }

    p += sizeof("://") - 1;

    return (size_t) (last - p) == host->len
           && ngx_strncasecmp(p, host->data, host->len) == 0;
}


/* the value of the last header with this name, or NULL */

static ngx_str_t *
ngx_http_tgbot_status_guard_header(ngx_http_request_t *r, const char *name)
{
    ngx_str_t        *value;
    ngx_table_elt_t  *h;

    h = NULL;
    value = NULL;

    while ((h = ngx_http_tgbot_header(&r->headers_in.headers, name, h))) {
        value = &h->value;
    }

    return value;
}


static ngx_uint_t
ngx_http_tgbot_status_guard_is(ngx_str_t *value, const char *text)
{
    size_t  len;

    len = ngx_strlen(text);

    return value->len == len && ngx_strncmp(value->data, text, len) == 0;
}


/*
 * DNS rebinding: for a browser, a page of a foreign name that resolves to
 * this server has the same origin.  So only addresses and this server's own
 * names are accepted.
 */

static ngx_uint_t
ngx_http_tgbot_status_guard_host(ngx_str_t *host, ngx_array_t *names)
{
    ngx_str_t   *name;
    ngx_uint_t   i;

    if (ngx_http_tgbot_status_guard_is(host, "localhost")
        || ngx_http_tgbot_status_guard_address(host))
    {
        return 1;
    }

    if (names == NULL) {
        return 0;
    }

    name = names->elts;

    for (i = 0; i < names->nelts; i++) {
        if (name[i].len == host->len
            && ngx_strncasecmp(name[i].data, host->data, host->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_tgbot_status_guard_address(ngx_str_t *host)
{
#if (NGX_HAVE_INET6)
    u_char  addr[16];

    if (host->len > 2
        && host->data[0] == '[' && host->data[host->len - 1] == ']')
    {
        return ngx_inet6_addr(host->data + 1, host->len - 2, addr) == NGX_OK;
    }
#endif

    return ngx_inet_addr(host->data, host->len) != INADDR_NONE;
}
