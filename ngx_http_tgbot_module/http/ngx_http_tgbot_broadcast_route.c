
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_broadcast_fill.h"
#include "ngx_http_tgbot_broadcast_route.h"
#include "ngx_http_tgbot_broadcast_show.h"
#include "ngx_http_tgbot_broadcast_stream.h"
#include "ngx_http_tgbot_broadcast_worker.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_status_broadcast.h"
#include "ngx_http_tgbot_status_guard.h"
#include "ngx_http_tgbot_status_text.h"
#include "ngx_http_tgbot_step.h"


typedef struct {
    ngx_http_request_t               *request;
    ngx_http_tgbot_broadcast_conf_t  *conf;
    uint64_t                          id;      /* 0: none */
    ngx_uint_t                        value;   /* of the route */
} ngx_http_tgbot_broadcast_route_t;


typedef struct {
    ngx_str_t     path;                        /* behind the id */
    ngx_uint_t    id;                          /* whether there is one */
    ngx_uint_t    methods;
    ngx_int_t   (*handler)(ngx_http_tgbot_broadcast_route_t *b);
    ngx_uint_t    value;
} ngx_http_tgbot_broadcast_path_t;


/* chats that wait again, in slices */

typedef struct {
    ngx_http_tgbot_broadcast_route_t    route;
    ngx_http_tgbot_step_t               step;
    ngx_http_tgbot_broadcast_cursor_t   cursor;
    ngx_uint_t                          n;
} ngx_http_tgbot_broadcast_again_t;


static ngx_int_t ngx_http_tgbot_broadcast_route_parse(
    ngx_http_tgbot_broadcast_route_t *b, ngx_str_t *path);
static ngx_int_t ngx_http_tgbot_broadcast_route_refused(
    ngx_http_request_t *r, ngx_uint_t methods);
static ngx_int_t ngx_http_tgbot_broadcast_route_list(
    ngx_http_tgbot_broadcast_route_t *b);
static ngx_int_t ngx_http_tgbot_broadcast_route_fill(
    ngx_http_tgbot_broadcast_route_t *b);
static ngx_int_t ngx_http_tgbot_broadcast_route_show(
    ngx_http_tgbot_broadcast_route_t *b);
static ngx_int_t ngx_http_tgbot_broadcast_route_drop(
    ngx_http_tgbot_broadcast_route_t *b);
static ngx_int_t ngx_http_tgbot_broadcast_route_set(
    ngx_http_tgbot_broadcast_route_t *b);
static ngx_int_t ngx_http_tgbot_broadcast_route_again(
    ngx_http_tgbot_broadcast_route_t *b);
static ngx_int_t ngx_http_tgbot_broadcast_route_again_step(void *data);
static void ngx_http_tgbot_broadcast_route_again_end(void *data);
static ngx_int_t ngx_http_tgbot_broadcast_route_chats(
    ngx_http_tgbot_broadcast_route_t *b);
static ngx_int_t ngx_http_tgbot_broadcast_route_failed(
    ngx_http_tgbot_broadcast_route_t *b, ngx_int_t rc);


static const ngx_http_tgbot_broadcast_path_t
    ngx_http_tgbot_broadcast_route_paths[] =
{
    { ngx_string(""), 0, NGX_HTTP_GET|NGX_HTTP_HEAD,
      ngx_http_tgbot_broadcast_route_list, 0 },
    { ngx_string(""), 0, NGX_HTTP_POST,
      ngx_http_tgbot_broadcast_route_fill, 0 },

    { ngx_string(""), 1, NGX_HTTP_GET|NGX_HTTP_HEAD,
      ngx_http_tgbot_broadcast_route_show, 0 },
    { ngx_string(""), 1, NGX_HTTP_DELETE,
      ngx_http_tgbot_broadcast_route_drop, 0 },

    { ngx_string("chats"), 1, NGX_HTTP_POST,
      ngx_http_tgbot_broadcast_route_fill, 0 },

    { ngx_string("pause"), 1, NGX_HTTP_POST,
      ngx_http_tgbot_broadcast_route_set, NGX_HTTP_TGBOT_BROADCAST_PAUSED },
    { ngx_string("go"), 1, NGX_HTTP_POST,
      ngx_http_tgbot_broadcast_route_set, NGX_HTTP_TGBOT_BROADCAST_GOING },
    { ngx_string("cancel"), 1, NGX_HTTP_POST,
      ngx_http_tgbot_broadcast_route_set,
      NGX_HTTP_TGBOT_BROADCAST_CANCELLED },

    { ngx_string("blocked"), 1, NGX_HTTP_GET|NGX_HTTP_HEAD,
      ngx_http_tgbot_broadcast_route_chats,
      NGX_HTTP_TGBOT_BROADCAST_BLOCKED },
    { ngx_string("failed"), 1, NGX_HTTP_GET|NGX_HTTP_HEAD,
      ngx_http_tgbot_broadcast_route_chats,
      NGX_HTTP_TGBOT_BROADCAST_FAILED },
    { ngx_string("unknown"), 1, NGX_HTTP_GET|NGX_HTTP_HEAD,
      ngx_http_tgbot_broadcast_route_chats,
      NGX_HTTP_TGBOT_BROADCAST_UNKNOWN },

    { ngx_string("blocked/again"), 1, NGX_HTTP_POST,
      ngx_http_tgbot_broadcast_route_again,
      NGX_HTTP_TGBOT_BROADCAST_BLOCKED },
    { ngx_string("failed/again"), 1, NGX_HTTP_POST,
      ngx_http_tgbot_broadcast_route_again,
      NGX_HTTP_TGBOT_BROADCAST_FAILED },
    { ngx_string("unknown/again"), 1, NGX_HTTP_POST,
      ngx_http_tgbot_broadcast_route_again,
      NGX_HTTP_TGBOT_BROADCAST_UNKNOWN },

    { ngx_null_string, 0, 0, NULL, 0 }
};


ngx_int_t
ngx_http_tgbot_broadcast_route_handler(ngx_http_request_t *r)
{
    ngx_int_t                               rc;
    ngx_str_t                               path;
    ngx_uint_t                              methods;
    const char                             *refused;
    ngx_http_tgbot_loc_conf_t              *tlcf;
    ngx_http_tgbot_broadcast_route_t        b;
    const ngx_http_tgbot_broadcast_path_t  *p;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);

    b.request = r;
    b.conf = tlcf->broadcast;

    refused = (r == r->main)
              ? ngx_http_tgbot_status_guard_page(r, b.conf->hosts)
              : "expected a request of a client";

    if (refused) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "tgbot: bot \"%V\": a request to \"tgbot_broadcast\" is "
                      "refused: %s", &b.conf->name, refused);

        rc = ngx_http_discard_request_body(r);

        return (rc == NGX_OK)
               ? ngx_http_tgbot_status_text_error(r, NGX_HTTP_FORBIDDEN,
                                                  refused)
               : rc;
    }

    ngx_http_tgbot_status_path(r, &path);

    methods = 0;

    if (ngx_http_tgbot_broadcast_route_parse(&b, &path) == NGX_OK) {

        for (p = ngx_http_tgbot_broadcast_route_paths; p->handler; p++) {

            if (p->id != (b.id != 0)
                || p->path.len != path.len
                || ngx_strncmp(p->path.data, path.data, path.len) != 0)
            {
                continue;
            }

            if (p->methods & r->method) {
                b.value = p->value;

                /* route_fill() reads the body */

                rc = (p->handler == ngx_http_tgbot_broadcast_route_fill)
                     ? NGX_OK
                     : ngx_http_discard_request_body(r);

                return (rc == NGX_OK) ? p->handler(&b) : rc;
            }

            methods |= p->methods;
        }
    }

    return ngx_http_tgbot_broadcast_route_refused(r, methods);
}


/* takes the id out of the path */

static ngx_int_t
ngx_http_tgbot_broadcast_route_parse(ngx_http_tgbot_broadcast_route_t *b,
    ngx_str_t *path)
{
    u_char     *p, *last, *slash;
    ngx_int_t   id;

    b->id = 0;

    if (path->len == 0) {
        return NGX_OK;
    }

    p = path->data;
    last = p + path->len;

    slash = ngx_strlchr(p, last, '/');

    if (slash == NULL) {
        slash = last;
    }

    id = ngx_atoi(p, slash - p);

    if (id <= 0) {
        return NGX_DECLINED;
    }

    b->id = id;

    path->data = (slash < last) ? slash + 1 : last;
    path->len = last - path->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_refused(ngx_http_request_t *r,
    ngx_uint_t methods)
{
    ngx_int_t    rc;
    const char  *allow;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (methods == 0) {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                   "expected nothing, ID, or ID/chats, /pause, "
                                   "/go, /cancel, /blocked, /failed, /unknown "
                                   "or one of these three with /again");
    }

    allow = !(methods & NGX_HTTP_GET) ? "POST"
            : (methods & NGX_HTTP_POST) ? "GET, HEAD, POST"
            : (methods & NGX_HTTP_DELETE) ? "GET, HEAD, DELETE"
            : "GET, HEAD";

    if (ngx_http_tgbot_header_push(r, "Allow", allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_ALLOWED,
                                            "no such method");
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_list(ngx_http_tgbot_broadcast_route_t *b)
{
    uint64_t                       next;
    ngx_int_t                      after;
    ngx_str_t                      value;
    ngx_http_request_t            *r;
    ngx_http_tgbot_status_text_t   s;

    r = b->request;
    after = 0;

    if (ngx_http_arg(r, (u_char *) "after", sizeof("after") - 1, &value)
        == NGX_OK)
    {
        after = ngx_atoi(value.data, value.len);

        if (after == NGX_ERROR) {
            return ngx_http_tgbot_status_text_error(r, NGX_HTTP_BAD_REQUEST,
                                              "expected a number as \"after\"");
        }
    }

    ngx_http_tgbot_status_text_init(&s, r);

    ngx_http_tgbot_status_text_open(&s, '{');
    ngx_http_tgbot_status_text_text(&s, "bot", &b->conf->name);
    ngx_http_tgbot_status_text_key(&s, "broadcasts");

    next = ngx_http_tgbot_status_broadcast_list(&s, &b->conf->user, after, 0);

    ngx_http_tgbot_status_text_member(&s, "next", next);

    return ngx_http_tgbot_status_text_done(r, &s, NGX_HTTP_OK);
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_fill(ngx_http_tgbot_broadcast_route_t *b)
{
    return ngx_http_tgbot_broadcast_fill(b->request, b->conf, b->id);
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_show(ngx_http_tgbot_broadcast_route_t *b)
{
    u_char                           *text;
    ngx_http_request_t               *r;
    ngx_http_tgbot_status_text_t      s;
    ngx_http_tgbot_broadcast_info_t   info;

    r = b->request;

    if (ngx_http_tgbot_broadcast_show_get(&b->conf->user, b->id, &info)
        != NGX_OK)
    {
        return ngx_http_tgbot_broadcast_route_failed(b, NGX_DECLINED);
    }

    text = ngx_pnalloc(r->pool, info.text_len + 1);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_tgbot_broadcast_show_text(&b->conf->user, b->id, text,
                                           info.text_len)
        != NGX_OK)
    {
        return ngx_http_tgbot_broadcast_route_failed(b, NGX_DECLINED);
    }

    ngx_http_tgbot_status_text_init(&s, r);

    ngx_http_tgbot_status_text_open(&s, '{');
    ngx_http_tgbot_status_broadcast(&s, &info);
    ngx_http_tgbot_status_text_key(&s, "params");
    ngx_http_tgbot_status_text_value(&s, info.text_len ? text
                                                       : (u_char *) "{}",
                                     info.text_len ? info.text_len : 2);

    return ngx_http_tgbot_status_text_done(r, &s, NGX_HTTP_OK);
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_drop(ngx_http_tgbot_broadcast_route_t *b)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = b->request;

    rc = ngx_http_tgbot_broadcast_drop(&b->conf->user, b->id);

    if (rc != NGX_OK) {
        return ngx_http_tgbot_broadcast_route_failed(b, rc);
    }

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "tgbot: bot \"%V\": broadcast %uL is deleted",
                  &b->conf->name, b->id);

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_set(ngx_http_tgbot_broadcast_route_t *b)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = b->request;

    rc = ngx_http_tgbot_broadcast_worker_set(b->conf, b->id, b->value,
                                             r->connection->log);

    return (rc == NGX_OK) ? ngx_http_tgbot_broadcast_route_show(b)
                          : ngx_http_tgbot_broadcast_route_failed(b, rc);
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_again(ngx_http_tgbot_broadcast_route_t *b)
{
    ngx_http_cleanup_t                *cln;
    ngx_http_request_t                *r;
    ngx_http_tgbot_broadcast_again_t  *again;

    r = b->request;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_tgbot_broadcast_again_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    again = cln->data;
    ngx_memzero(again, sizeof(ngx_http_tgbot_broadcast_again_t));

    cln->handler = ngx_http_tgbot_broadcast_route_again_end;

    again->route = *b;
    again->step.request = r;
    again->step.handler = ngx_http_tgbot_broadcast_route_again_step;
    again->step.data = again;

    r->main->count++;

    ngx_http_tgbot_step_run(&again->step);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_again_step(void *data)
{
    ngx_http_tgbot_broadcast_again_t *again = data;

    ngx_int_t                          rc;
    ngx_http_tgbot_broadcast_route_t  *b;

    b = &again->route;

    rc = ngx_http_tgbot_broadcast_again(&b->conf->user, b->id, &again->cursor,
                                        b->value, &again->n);
    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        return ngx_http_tgbot_broadcast_route_failed(b, rc);
    }

    ngx_log_error(NGX_LOG_NOTICE, b->request->connection->log, 0,
                  "tgbot: bot \"%V\": broadcast %uL: %ui chats are tried again",
                  &b->conf->name, b->id, again->n);

    ngx_http_tgbot_broadcast_worker_wake();

    return ngx_http_tgbot_broadcast_route_show(b);
}


static void
ngx_http_tgbot_broadcast_route_again_end(void *data)
{
    ngx_http_tgbot_broadcast_again_t *again = data;

    ngx_http_tgbot_step_end(&again->step.event);
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_chats(ngx_http_tgbot_broadcast_route_t *b)
{
    ngx_http_tgbot_broadcast_info_t  info;

    if (ngx_http_tgbot_broadcast_show_get(&b->conf->user, b->id, &info)
        != NGX_OK)
    {
        return ngx_http_tgbot_broadcast_route_failed(b, NGX_DECLINED);
    }

    return ngx_http_tgbot_broadcast_stream(b->request, b->conf, b->id,
                                           b->value);
}


static ngx_int_t
ngx_http_tgbot_broadcast_route_failed(ngx_http_tgbot_broadcast_route_t *b,
    ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = b->request;

    switch (rc) {

    case NGX_DECLINED:
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                                "no such broadcast");

    case NGX_ABORT:
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_CONFLICT,
                                                "the broadcast is cancelled");

    default: /* NGX_AGAIN */
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_CONFLICT,
                                     "the broadcast is going or has chats in "
                                     "flight, expected one that is done, or "
                                     "paused or cancelled first");
    }
}
