
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update_key.h"
#include "ngx_http_tgbot_update_type.h"


const ngx_http_tgbot_update_type_t
    ngx_http_tgbot_update_types[NGX_HTTP_TGBOT_TYPES] = {

    [NGX_HTTP_TGBOT_TYPE_UNKNOWN] =
        { ngx_null_string, NGX_HTTP_TGBOT_KEY_IN_UNKNOWN,
          86400, 16, NGX_HTTP_TGBOT_LANE_ANY,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_MESSAGE] =
        { ngx_string("message"), NGX_HTTP_TGBOT_KEY_IN_MESSAGE,
          86400, 0, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          NGX_HTTP_TGBOT_TYPE_COMMAND | NGX_HTTP_TGBOT_TYPE_TEXT },
    [NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY] =
        { ngx_string("callback_query"), NGX_HTTP_TGBOT_KEY_IN_QUERY,
          150, 3, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_CALLBACK,
          NGX_HTTP_TGBOT_TYPE_TEXT | NGX_HTTP_TGBOT_TYPE_PRESSED },
    [NGX_HTTP_TGBOT_TYPE_INLINE_QUERY] =
        { ngx_string("inline_query"), NGX_HTTP_TGBOT_KEY_IN_QUERY,
          30, 1, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_INLINE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_EDITED_MESSAGE] =
        { ngx_string("edited_message"), NGX_HTTP_TGBOT_KEY_IN_MESSAGE,
          86400, 0, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_CHANNEL_POST] =
        { ngx_string("channel_post"), NGX_HTTP_TGBOT_KEY_IN_MESSAGE,
          86400, 0, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          NGX_HTTP_TGBOT_TYPE_COMMAND },
    [NGX_HTTP_TGBOT_TYPE_EDITED_CHANNEL_POST] =
        { ngx_string("edited_channel_post"), NGX_HTTP_TGBOT_KEY_IN_MESSAGE,
          86400, 0, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_BUSINESS_MESSAGE] =
        { ngx_string("business_message"), NGX_HTTP_TGBOT_KEY_IN_MESSAGE,
          86400, 11, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          NGX_HTTP_TGBOT_TYPE_COMMAND | NGX_HTTP_TGBOT_TYPE_TEXT },
    [NGX_HTTP_TGBOT_TYPE_EDITED_BUSINESS_MESSAGE] =
        { ngx_string("edited_business_message"), NGX_HTTP_TGBOT_KEY_IN_MESSAGE,
          86400, 11, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_DELETED_BUSINESS_MESSAGES] =
        { ngx_string("deleted_business_messages"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 11, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_GUEST_MESSAGE] =
        { ngx_string("guest_message"), NGX_HTTP_TGBOT_KEY_IN_MESSAGE,
          86400, 12, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_GUEST, NGX_HTTP_TGBOT_QUERY_GUEST,
          NGX_HTTP_TGBOT_TYPE_COMMAND | NGX_HTTP_TGBOT_TYPE_TEXT },
    [NGX_HTTP_TGBOT_TYPE_CHOSEN_INLINE_RESULT] =
        { ngx_string("chosen_inline_result"), NGX_HTTP_TGBOT_KEY_IN_QUERY,
          600, 2, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_SHIPPING_QUERY] =
        { ngx_string("shipping_query"), NGX_HTTP_TGBOT_KEY_IN_QUERY,
          150, 4, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_SHIPPING,
          NGX_HTTP_TGBOT_TYPE_PAYMENT },
    [NGX_HTTP_TGBOT_TYPE_PRE_CHECKOUT_QUERY] =
        { ngx_string("pre_checkout_query"), NGX_HTTP_TGBOT_KEY_IN_QUERY,
          150, 4, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_PRE_CHECKOUT,
          NGX_HTTP_TGBOT_TYPE_PAYMENT },
    [NGX_HTTP_TGBOT_TYPE_PURCHASED_PAID_MEDIA] =
        { ngx_string("purchased_paid_media"), NGX_HTTP_TGBOT_KEY_IN_QUERY,
          86400, 12, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_NONE,
          NGX_HTTP_TGBOT_TYPE_PAYMENT },
    [NGX_HTTP_TGBOT_TYPE_SUBSCRIPTION] =
        { ngx_string("subscription"), NGX_HTTP_TGBOT_KEY_IN_QUERY,
          86400, 16, NGX_HTTP_TGBOT_LANE_ANY,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_NONE,
          NGX_HTTP_TGBOT_TYPE_PAYMENT },
    [NGX_HTTP_TGBOT_TYPE_MY_CHAT_MEMBER] =
        { ngx_string("my_chat_member"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 5, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          NGX_HTTP_TGBOT_TYPE_UNLIMITED },
    [NGX_HTTP_TGBOT_TYPE_CHAT_MEMBER] =
        { ngx_string("chat_member"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 6, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_CHAT_JOIN_REQUEST] =
        { ngx_string("chat_join_request"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 6, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_JOIN, NGX_HTTP_TGBOT_QUERY_JOIN,
          NGX_HTTP_TGBOT_TYPE_TEXT },
    [NGX_HTTP_TGBOT_TYPE_MESSAGE_REACTION] =
        { ngx_string("message_reaction"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 8, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_MESSAGE_REACTION_COUNT] =
        { ngx_string("message_reaction_count"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 9, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_POLL] =
        { ngx_string("poll"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 14, NGX_HTTP_TGBOT_LANE_POLL,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_POLL_ANSWER] =
        { ngx_string("poll_answer"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 14, NGX_HTTP_TGBOT_LANE_POLL,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_CHAT_BOOST] =
        { ngx_string("chat_boost"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 7, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_REMOVED_CHAT_BOOST] =
        { ngx_string("removed_chat_boost"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 7, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_MANAGED_BOT] =
        { ngx_string("managed_bot"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 13, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_BUSINESS_CONNECTION] =
        { ngx_string("business_connection"), NGX_HTTP_TGBOT_KEY_IN_CONNECTION,
          86400, 10, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_NONE,
          0 },
    [NGX_HTTP_TGBOT_TYPE_STOPPED_MESSAGE_GENERATION] =
        { ngx_string("stopped_message_generation"), NGX_HTTP_TGBOT_KEY_IN_EVENT,
          86400, 17, NGX_HTTP_TGBOT_LANE_CHAT,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          NGX_HTTP_TGBOT_TYPE_TOPIC },
    [NGX_HTTP_TGBOT_TYPE_WIDGET_QUERY] =
        { ngx_string("widget_query"), NGX_HTTP_TGBOT_KEY_IN_QUERY,
          15, 18, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_WIDGET,
          NGX_HTTP_TGBOT_TYPE_PRESSED },
    [NGX_HTTP_TGBOT_TYPE_SHARED_WIDGET_QUERY] =
        { ngx_string("shared_widget_query"), NGX_HTTP_TGBOT_KEY_IN_QUERY,
          15, 18, NGX_HTTP_TGBOT_LANE_USER,
          NGX_HTTP_TGBOT_ADDRESS_NONE, NGX_HTTP_TGBOT_QUERY_WIDGET,
          0 },
    [NGX_HTTP_TGBOT_TYPE_CUSTOM_EVENT] =
        { ngx_string("custom_event"), NGX_HTTP_TGBOT_KEY_IN_UNKNOWN,
          600, 15, NGX_HTTP_TGBOT_LANE_NONE,
          NGX_HTTP_TGBOT_ADDRESS_CHAT, NGX_HTTP_TGBOT_QUERY_NONE,
          NGX_HTTP_TGBOT_TYPE_UNDOCUMENTED }
};


ngx_uint_t
ngx_http_tgbot_update_type_find(ngx_str_t *name)
{
    ngx_uint_t        i;
    const ngx_str_t  *type;

    for (i = NGX_HTTP_TGBOT_TYPE_UNKNOWN + 1; i < NGX_HTTP_TGBOT_TYPES; i++) {
        type = &ngx_http_tgbot_update_types[i].name;

        if (type->len == name->len
            && ngx_memcmp(type->data, name->data, name->len) == 0)
        {
            return i;
        }
    }

    return NGX_HTTP_TGBOT_TYPE_UNKNOWN;
}
