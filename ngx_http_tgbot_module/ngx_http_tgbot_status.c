
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_status_bots.h"
#include "ngx_http_tgbot_status_dead.h"
#include "ngx_http_tgbot_status_json.h"
#include "ngx_http_tgbot_status_metrics.h"


static void ngx_http_tgbot_status_path(ngx_http_request_t *r,
    ngx_str_t *path);
static ngx_int_t ngx_http_tgbot_status_state(ngx_http_request_t *r);


ngx_int_t
ngx_http_tgbot_status_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;
    ngx_str_t  path;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_tgbot_status_path(r, &path);

    if (path.len >= sizeof("dead/") - 1
        && ngx_strncmp(path.data, "dead/", sizeof("dead/") - 1) == 0)
    {
        path.data += sizeof("dead/") - 1;
        path.len -= sizeof("dead/") - 1;

        return ngx_http_tgbot_status_dead_handler(r, &path);
    }

    if (path.len) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if (ngx_http_tgbot_status_json_header(r, "Allow", "GET, HEAD")
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    return ngx_http_tgbot_status_state(r);
}


static ngx_int_t
ngx_http_tgbot_status_state(ngx_http_request_t *r)
{
    ngx_http_tgbot_loc_conf_t         *tlcf;
    ngx_http_tgbot_main_conf_t        *tmcf;
    ngx_http_tgbot_status_json_t       s;
    ngx_http_tgbot_status_snapshot_t   snapshot;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);
    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tgbot_module);

    if (ngx_http_tgbot_status_snapshot(&snapshot, tmcf, r->pool) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_tgbot_status_json_init(&s, r->pool);

    ngx_http_tgbot_status_bots(&s, &snapshot, tlcf);

    return ngx_http_tgbot_status_json_send(r, &s, NGX_HTTP_OK);
}


/* what follows the name of a prefix location, without a slash before it */

static void
ngx_http_tgbot_status_path(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_str_null(path);

    if (clcf->exact_match || clcf->noname || clcf->named
        || r->uri.len <= clcf->name.len
        || ngx_strncmp(r->uri.data, clcf->name.data, clcf->name.len) != 0)
    {
        return;
    }

    path->data = r->uri.data + clcf->name.len;
    path->len = r->uri.len - clcf->name.len;

    if (path->data[0] == '/') {
        path->data++;
        path->len--;
    }
}
