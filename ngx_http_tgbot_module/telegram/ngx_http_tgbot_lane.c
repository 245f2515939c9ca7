
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_lane.h"


/* whose order counts */

typedef enum {
    NGX_HTTP_TGBOT_LANE_CHAT = 0,
    NGX_HTTP_TGBOT_LANE_USER,
    NGX_HTTP_TGBOT_LANE_POLL,
    NGX_HTTP_TGBOT_LANE_NOBODY
} ngx_http_tgbot_lane_of_e;


typedef struct {
    ngx_str_t     type;
    ngx_uint_t    queue;     /* types with one number share their queues */
    ngx_uint_t    of;        /* ngx_http_tgbot_lane_of_e */
} ngx_http_tgbot_lane_t;


/* the queue ids of telegram-bot-api (Client.cpp, add_update) */

static const ngx_http_tgbot_lane_t  ngx_http_tgbot_lanes[] = {
    { ngx_string("message"), 0, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("edited_message"), 0, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("channel_post"), 0, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("edited_channel_post"), 0, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("inline_query"), 1, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("chosen_inline_result"), 2, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("callback_query"), 3, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("shipping_query"), 4, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("pre_checkout_query"), 4, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("my_chat_member"), 5, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("chat_member"), 6, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("chat_join_request"), 6, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("chat_boost"), 7, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("removed_chat_boost"), 7, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("message_reaction"), 8, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("message_reaction_count"), 9, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("business_connection"), 10, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("business_message"), 11, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("edited_business_message"), 11, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("deleted_business_messages"), 11, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("purchased_paid_media"), 12, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("guest_message"), 12, NGX_HTTP_TGBOT_LANE_CHAT },
    { ngx_string("managed_bot"), 13, NGX_HTTP_TGBOT_LANE_USER },
    { ngx_string("poll"), 14, NGX_HTTP_TGBOT_LANE_POLL },
    { ngx_string("poll_answer"), 14, NGX_HTTP_TGBOT_LANE_POLL },
    { ngx_string("custom_event"), 15, NGX_HTTP_TGBOT_LANE_NOBODY },
    { ngx_null_string, 16, NGX_HTTP_TGBOT_LANE_CHAT }
};


void
ngx_http_tgbot_lane_key(ngx_http_tgbot_update_t *update, u_char *buf,
    ngx_str_t *key)
{
    u_char                       *p, *last;
    ngx_uint_t                    of;
    const ngx_http_tgbot_lane_t  *lane;

    for (lane = ngx_http_tgbot_lanes; lane->type.len; lane++) {

        if (lane->type.len == update->type.len
            && ngx_strncmp(lane->type.data, update->type.data,
                           lane->type.len)
               == 0)
        {
            break;
        }
    }

    of = lane->of;

    /* a type that is newer than the table */

    if (lane->type.len == 0 && !update->has_chat_id) {
        of = NGX_HTTP_TGBOT_LANE_USER;
    }

    last = buf + NGX_HTTP_TGBOT_LANE_KEY;

    p = ngx_slprintf(buf, last, "%ui:", lane->queue);

    if (of == NGX_HTTP_TGBOT_LANE_CHAT && update->has_chat_id) {
        p = ngx_slprintf(p, last, "%L", update->chat_id);

    } else if (of == NGX_HTTP_TGBOT_LANE_USER && update->has_user_id) {
        p = ngx_slprintf(p, last, "%L", update->user_id);

    } else if (of == NGX_HTTP_TGBOT_LANE_POLL && update->poll_id.len) {
        p = ngx_slprintf(p, last, "%V", &update->poll_id);

    } else {
        p = ngx_slprintf(p, last, "update %L", update->update_id);
    }

    key->data = buf;
    key->len = p - buf;
}
