
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_broadcast_worker.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_status_broadcast.h"
#include "ngx_http_tgbot_status_guard.h"


static ngx_http_tgbot_broadcast_conf_t *ngx_http_tgbot_status_broadcast_of(
    ngx_http_request_t *r, ngx_str_t *path);
static ngx_uint_t ngx_http_tgbot_status_broadcast_part(ngx_str_t *path,
    ngx_str_t *part);


/* what the page may ask for */

static const struct {
    ngx_str_t     name;
    ngx_uint_t    state;
} ngx_http_tgbot_status_broadcast_actions[] = {
    { ngx_string("pause"), NGX_HTTP_TGBOT_BROADCAST_PAUSED },
    { ngx_string("go"), NGX_HTTP_TGBOT_BROADCAST_GOING },
    { ngx_string("cancel"), NGX_HTTP_TGBOT_BROADCAST_CANCELLED }
};


ngx_int_t
ngx_http_tgbot_status_broadcast_handler(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_int_t                         id, rc;
    ngx_str_t                         part, name;
    ngx_uint_t                        i, n;
    const char                       *refused;
    ngx_http_tgbot_status_text_t      s;
    ngx_http_tgbot_broadcast_conf_t  *b;
    ngx_http_tgbot_broadcast_info_t   info;

    b = ngx_http_tgbot_status_broadcast_of(r, path);

    id = ngx_http_tgbot_status_broadcast_part(path, &part)
         ? ngx_atoi(part.data, part.len) : 0;

    name = *path;
    n = sizeof(ngx_http_tgbot_status_broadcast_actions)
        / sizeof(ngx_http_tgbot_status_broadcast_actions[0]);

    for (i = 0; i < n; i++) {
        part = ngx_http_tgbot_status_broadcast_actions[i].name;

        if (part.len == name.len
            && ngx_strncmp(part.data, name.data, name.len) == 0)
        {
            break;
        }
    }

    if (b == NULL || id <= 0 || i == n) {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                  "expected broadcast/BOT/ID/pause, /go or "
                                  "/cancel of a bot with tgbot_broadcast");
    }

    if (r->method != NGX_HTTP_POST) {

        if (ngx_http_tgbot_header_push(r, "Allow", "POST") != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_ALLOWED,
                                                "no such method");
    }

    refused = ngx_http_tgbot_status_guard(r, (char *) part.data);

    if (refused) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "tgbot: bot \"%V\": a change of a broadcast is refused: "
                      "%s", &b->name, refused);

        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_FORBIDDEN,
                                                refused);
    }

    rc = ngx_http_tgbot_broadcast_worker_set(b, id,
                             ngx_http_tgbot_status_broadcast_actions[i].state,
                             r->connection->log);

    if (rc == NGX_ABORT) {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_CONFLICT,
                                                "the broadcast is cancelled");
    }

    if (rc != NGX_OK
        || ngx_http_tgbot_broadcast_show_get(&b->user, id, &info) != NGX_OK)
    {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                                "no such broadcast");
    }

    ngx_http_tgbot_status_text_init(&s, r);

    ngx_http_tgbot_status_text_open(&s, '{');
    ngx_http_tgbot_status_broadcast(&s, &info);

    return ngx_http_tgbot_status_text_done(r, &s, NGX_HTTP_OK);
}


/* the bot that the path begins with, which is taken off; NULL: none */

static ngx_http_tgbot_broadcast_conf_t *
ngx_http_tgbot_status_broadcast_of(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_str_t                          name;
    ngx_uint_t                         i;
    ngx_http_tgbot_main_conf_t        *tmcf;
    ngx_http_tgbot_broadcast_conf_t  **b;

    if (!ngx_http_tgbot_status_broadcast_part(path, &name)) {
        return NULL;
    }

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tgbot_module);

    b = tmcf->broadcasts.elts;

    for (i = 0; i < tmcf->broadcasts.nelts; i++) {
        if (b[i]->name.len == name.len
            && ngx_strncmp(b[i]->name.data, name.data, name.len) == 0)
        {
            return b[i];
        }
    }

    return NULL;
}


/* takes what stands before the next slash off the path; 0: there is none */

static ngx_uint_t
ngx_http_tgbot_status_broadcast_part(ngx_str_t *path, ngx_str_t *part)
{
    u_char  *slash;

    slash = ngx_strlchr(path->data, path->data + path->len, '/');

    if (slash == NULL) {
        return 0;
    }

    part->data = path->data;
    part->len = slash - path->data;

    path->data = slash + 1;
    path->len -= part->len + 1;

    return 1;
}


void
ngx_http_tgbot_status_broadcast(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_broadcast_info_t *info)
{
    u_char       buf[NGX_INT64_LEN + 2], *p;
    uint64_t     left;
    ngx_str_t    method, error;
    ngx_uint_t   i;
    u_char       text[NGX_INT32_LEN + 1 + NGX_HTTP_TGBOT_BROADCAST_TEXT];

    method.data = info->method;
    method.len = info->method_len;

    ngx_http_tgbot_status_text_member(s, "id", info->id);
    ngx_http_tgbot_status_text_text(s, "method", &method);
    ngx_http_tgbot_status_text_text(s, "state",
                               &ngx_http_tgbot_broadcast_states[info->state]);

    ngx_http_tgbot_status_text_key(s, "error");

    if (info->error.status) {
        error.data = text;
        error.len = ngx_sprintf(text, "%uD %*s", info->error.status,
                                (size_t) info->error.len, info->error.text)
                    - text;

        ngx_http_tgbot_status_text_string(s, &error);

    } else {
        ngx_http_tgbot_status_text_value(s, "null", 4);
    }

    ngx_http_tgbot_status_text_member(s, "created", info->created);
    ngx_http_tgbot_status_text_member(s, "last", info->last);
    ngx_http_tgbot_status_text_member(s, "total", info->total);

    for (i = 0; i < NGX_HTTP_TGBOT_BROADCAST_CHATS; i++) {
        ngx_http_tgbot_status_text_name(s, &ngx_http_tgbot_broadcast_chats[i]);
        ngx_http_tgbot_status_text_number(s, info->chats[i]);
    }

    /* per second; and seconds until the last chat, if that can be told */

    p = ngx_sprintf(buf, "%ui.%ui", info->rate / 1000,
                    info->rate % 1000 / 100);

    ngx_http_tgbot_status_text_key(s, "rate");
    ngx_http_tgbot_status_text_value(s, buf, p - buf);

    ngx_http_tgbot_status_text_key(s, "left");

    if (info->state == NGX_HTTP_TGBOT_BROADCAST_GOING && info->rate) {
        left = info->chats[NGX_HTTP_TGBOT_BROADCAST_WAITING]
               + info->chats[NGX_HTTP_TGBOT_BROADCAST_FLIGHT];

        ngx_http_tgbot_status_text_number(s, (left * 1000 + info->rate - 1)
                                             / info->rate);

    } else {
        ngx_http_tgbot_status_text_value(s, "null", 4);
    }
}


uint64_t
ngx_http_tgbot_status_broadcast_list(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_broadcast_t *b, uint64_t after, ngx_uint_t first)
{
    ngx_uint_t                        i, n;
    ngx_http_tgbot_broadcast_info_t  *infos;

    infos = ngx_palloc(s->pool, NGX_HTTP_TGBOT_STATUS_BROADCASTS
                                * sizeof(ngx_http_tgbot_broadcast_info_t));
    if (infos == NULL) {
        s->failed = 1;
        return 0;
    }

    n = ngx_http_tgbot_broadcast_show_list(b, after, first, infos,
                                           NGX_HTTP_TGBOT_STATUS_BROADCASTS);

    ngx_http_tgbot_status_text_open(s, '[');

    for (i = 0; i < n; i++) {
        ngx_http_tgbot_status_text_open(s, '{');
        ngx_http_tgbot_status_broadcast(s, &infos[i]);
        ngx_http_tgbot_status_text_close(s, '}');
    }

    ngx_http_tgbot_status_text_close(s, ']');

    return (n == NGX_HTTP_TGBOT_STATUS_BROADCASTS) ? infos[n - 1].id : 0;
}
