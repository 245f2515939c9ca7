
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_status_broadcast.h"


void
ngx_http_tgbot_status_broadcast(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_broadcast_info_t *info)
{
    u_char       buf[NGX_INT64_LEN + 2], *p;
    uint64_t     left;
    ngx_str_t    method;
    ngx_uint_t   i;

    method.data = info->method;
    method.len = info->method_len;

    ngx_http_tgbot_status_text_member(s, "id", info->id);
    ngx_http_tgbot_status_text_text(s, "method", &method);
    ngx_http_tgbot_status_text_text(s, "state",
                               &ngx_http_tgbot_broadcast_states[info->state]);
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
    ngx_http_tgbot_broadcast_t *b, uint64_t after)
{
    ngx_uint_t                        i, n;
    ngx_http_tgbot_broadcast_info_t  *infos;

    infos = ngx_palloc(s->pool, NGX_HTTP_TGBOT_STATUS_BROADCASTS
                                * sizeof(ngx_http_tgbot_broadcast_info_t));
    if (infos == NULL) {
        s->failed = 1;
        return 0;
    }

    n = ngx_http_tgbot_broadcast_show_list(b, after, infos,
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
