
/*
 * Tables are searched from the top, so the most frequent keys come first.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update_key.h"


/* the last entry of a table is for all other names */

static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_document[] = {
    { ngx_string("update_id"), NGX_HTTP_TGBOT_KEY_UPDATE_ID },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_UPDATE }
};


static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_message[] = {
    { ngx_string("message_id"), NGX_HTTP_TGBOT_KEY_MESSAGE_ID },
    { ngx_string("from"), NGX_HTTP_TGBOT_KEY_FROM },
    { ngx_string("chat"), NGX_HTTP_TGBOT_KEY_CHAT },
    { ngx_string("date"), NGX_HTTP_TGBOT_KEY_DATE },
    { ngx_string("text"), NGX_HTTP_TGBOT_KEY_TEXT },
    { ngx_string("entities"), NGX_HTTP_TGBOT_KEY_OTHER },
    { ngx_string("caption"), NGX_HTTP_TGBOT_KEY_CAPTION },
    { ngx_string("reply_to_message"), NGX_HTTP_TGBOT_KEY_OTHER },
    { ngx_string("edit_date"), NGX_HTTP_TGBOT_KEY_EDIT_DATE },
    { ngx_string("sender_chat"), NGX_HTTP_TGBOT_KEY_SENDER_CHAT },
    { ngx_string("message_thread_id"), NGX_HTTP_TGBOT_KEY_THREAD_ID },
    { ngx_string("is_topic_message"), NGX_HTTP_TGBOT_KEY_TOPIC },
    { ngx_string("business_connection_id"), NGX_HTTP_TGBOT_KEY_CONNECTION_ID },
    { ngx_string("guest_query_id"), NGX_HTTP_TGBOT_KEY_QUERY_ID },
    { ngx_string("media_group_id"), NGX_HTTP_TGBOT_KEY_ALBUM },
    { ngx_string("direct_messages_topic"), NGX_HTTP_TGBOT_KEY_DIRECT },
    { ngx_string("ephemeral_message_id"), NGX_HTTP_TGBOT_KEY_EPHEMERAL_ID },
    { ngx_string("sender_business_bot"), NGX_HTTP_TGBOT_KEY_BUSINESS_BOT },
    { ngx_string("is_automatic_forward"), NGX_HTTP_TGBOT_KEY_AUTOMATIC },
    { ngx_string("rich_message"), NGX_HTTP_TGBOT_KEY_RICH },

    /* frequent keys that are no kind of message */

    { ngx_string("caption_entities"), NGX_HTTP_TGBOT_KEY_OTHER },
    { ngx_string("forward_origin"), NGX_HTTP_TGBOT_KEY_OTHER },
    { ngx_string("forward_date"), NGX_HTTP_TGBOT_KEY_OTHER },
    { ngx_string("forward_from"), NGX_HTTP_TGBOT_KEY_OTHER },
    { ngx_string("forward_from_chat"), NGX_HTTP_TGBOT_KEY_OTHER },
    { ngx_string("link_preview_options"), NGX_HTTP_TGBOT_KEY_OTHER },
    { ngx_string("reply_markup"), NGX_HTTP_TGBOT_KEY_OTHER },
    { ngx_string("via_bot"), NGX_HTTP_TGBOT_KEY_OTHER },

    { ngx_null_string, NGX_HTTP_TGBOT_KEY_KIND }
};


/* buttons, inline mode, payments */

static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_query[] = {
    { ngx_string("id"), NGX_HTTP_TGBOT_KEY_QUERY_ID },
    { ngx_string("from"), NGX_HTTP_TGBOT_KEY_FROM },
    { ngx_string("message"), NGX_HTTP_TGBOT_KEY_MESSAGE },
    { ngx_string("data"), NGX_HTTP_TGBOT_KEY_DATA },
    { ngx_string("game_short_name"), NGX_HTTP_TGBOT_KEY_DATA },
    { ngx_string("query"), NGX_HTTP_TGBOT_KEY_QUERY },
    { ngx_string("chat_type"), NGX_HTTP_TGBOT_KEY_TYPE },
    { ngx_string("result_id"), NGX_HTTP_TGBOT_KEY_DATA },
    { ngx_string("user"), NGX_HTTP_TGBOT_KEY_USER },
    { ngx_string("invoice_payload"), NGX_HTTP_TGBOT_KEY_DATA },
    { ngx_string("paid_media_payload"), NGX_HTTP_TGBOT_KEY_DATA },
    { ngx_string("inline_message_id"), NGX_HTTP_TGBOT_KEY_INLINE_ID },
    { ngx_string("chat"), NGX_HTTP_TGBOT_KEY_CHAT },
    { ngx_string("message_id"), NGX_HTTP_TGBOT_KEY_MESSAGE_ID },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_OTHER }
};


static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_event[] = {
    { ngx_string("chat"), NGX_HTTP_TGBOT_KEY_CHAT },
    { ngx_string("from"), NGX_HTTP_TGBOT_KEY_FROM },
    { ngx_string("user"), NGX_HTTP_TGBOT_KEY_USER },
    { ngx_string("actor_chat"), NGX_HTTP_TGBOT_KEY_ACTOR_CHAT },
    { ngx_string("message_id"), NGX_HTTP_TGBOT_KEY_MESSAGE_ID },
    { ngx_string("date"), NGX_HTTP_TGBOT_KEY_DATE },
    { ngx_string("business_connection_id"), NGX_HTTP_TGBOT_KEY_CONNECTION_ID },
    { ngx_string("boost"), NGX_HTTP_TGBOT_KEY_BOOST },
    { ngx_string("source"), NGX_HTTP_TGBOT_KEY_BOOST },
    { ngx_string("remove_date"), NGX_HTTP_TGBOT_KEY_DATE },
    { ngx_string("voter_chat"), NGX_HTTP_TGBOT_KEY_VOTER_CHAT },
    { ngx_string("question"), NGX_HTTP_TGBOT_KEY_QUERY },
    { ngx_string("id"), NGX_HTTP_TGBOT_KEY_POLL_ID },
    { ngx_string("poll_id"), NGX_HTTP_TGBOT_KEY_POLL_ID },
    { ngx_string("user_chat_id"), NGX_HTTP_TGBOT_KEY_USER_CHAT_ID },
    { ngx_string("query_id"), NGX_HTTP_TGBOT_KEY_QUERY_ID },
    { ngx_string("message_thread_id"), NGX_HTTP_TGBOT_KEY_THREAD_ID },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_OTHER }
};


static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_connection[] = {
    { ngx_string("id"), NGX_HTTP_TGBOT_KEY_CONNECTION_ID },
    { ngx_string("user"), NGX_HTTP_TGBOT_KEY_USER },
    { ngx_string("date"), NGX_HTTP_TGBOT_KEY_DATE },
    { ngx_string("user_chat_id"), NGX_HTTP_TGBOT_KEY_USER_CHAT_ID },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_OTHER }
};


/* unknown types */

static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_unknown[] = {
    { ngx_string("chat"), NGX_HTTP_TGBOT_KEY_CHAT },
    { ngx_string("from"), NGX_HTTP_TGBOT_KEY_FROM },
    { ngx_string("user"), NGX_HTTP_TGBOT_KEY_USER },
    { ngx_string("sender_chat"), NGX_HTTP_TGBOT_KEY_SENDER_CHAT },
    { ngx_string("message"), NGX_HTTP_TGBOT_KEY_MESSAGE },
    { ngx_string("message_id"), NGX_HTTP_TGBOT_KEY_MESSAGE_ID },
    { ngx_string("message_thread_id"), NGX_HTTP_TGBOT_KEY_THREAD_ID },
    { ngx_string("is_topic_message"), NGX_HTTP_TGBOT_KEY_TOPIC },
    { ngx_string("date"), NGX_HTTP_TGBOT_KEY_DATE },
    { ngx_string("text"), NGX_HTTP_TGBOT_KEY_QUERY },
    { ngx_string("caption"), NGX_HTTP_TGBOT_KEY_CAPTION },
    { ngx_string("business_connection_id"), NGX_HTTP_TGBOT_KEY_CONNECTION_ID },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_OTHER }
};


/* the message of a button: its date is not the Update's */

static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_button[] = {
    { ngx_string("chat"), NGX_HTTP_TGBOT_KEY_MESSAGE_CHAT },
    { ngx_string("message_id"), NGX_HTTP_TGBOT_KEY_MESSAGE_ID },
    { ngx_string("message_thread_id"), NGX_HTTP_TGBOT_KEY_THREAD_ID },
    { ngx_string("is_topic_message"), NGX_HTTP_TGBOT_KEY_TOPIC },
    { ngx_string("business_connection_id"), NGX_HTTP_TGBOT_KEY_CONNECTION_ID },
    { ngx_string("direct_messages_topic"), NGX_HTTP_TGBOT_KEY_DIRECT },
    { ngx_string("ephemeral_message_id"), NGX_HTTP_TGBOT_KEY_EPHEMERAL_ID },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_OTHER }
};


/* a boost and its source */

static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_boost[] = {
    { ngx_string("source"), NGX_HTTP_TGBOT_KEY_BOOST },
    { ngx_string("user"), NGX_HTTP_TGBOT_KEY_USER },
    { ngx_string("add_date"), NGX_HTTP_TGBOT_KEY_DATE },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_OTHER }
};


static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_party[] = {
    { ngx_string("id"), NGX_HTTP_TGBOT_KEY_ID },
    { ngx_string("is_bot"), NGX_HTTP_TGBOT_KEY_BOT },
    { ngx_string("username"), NGX_HTTP_TGBOT_KEY_USERNAME },
    { ngx_string("first_name"), NGX_HTTP_TGBOT_KEY_FIRST_NAME },
    { ngx_string("language_code"), NGX_HTTP_TGBOT_KEY_LANGUAGE },
    { ngx_string("type"), NGX_HTTP_TGBOT_KEY_TYPE },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_OTHER }
};


static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_chat[] = {
    { ngx_string("id"), NGX_HTTP_TGBOT_KEY_ID },
    { ngx_string("type"), NGX_HTTP_TGBOT_KEY_TYPE },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_OTHER }
};


static const ngx_http_tgbot_key_t  ngx_http_tgbot_update_in_direct[] = {
    { ngx_string("topic_id"), NGX_HTTP_TGBOT_KEY_DIRECT_ID },
    { ngx_null_string, NGX_HTTP_TGBOT_KEY_OTHER }
};


const ngx_http_tgbot_key_t *const  ngx_http_tgbot_update_in[] = {
    ngx_http_tgbot_update_in_document,
    ngx_http_tgbot_update_in_message,
    ngx_http_tgbot_update_in_query,
    ngx_http_tgbot_update_in_event,
    ngx_http_tgbot_update_in_connection,
    ngx_http_tgbot_update_in_unknown,
    ngx_http_tgbot_update_in_button,
    ngx_http_tgbot_update_in_boost,
    ngx_http_tgbot_update_in_chat,
    ngx_http_tgbot_update_in_party,
    ngx_http_tgbot_update_in_direct
};


/*
 * In messages for older bots an animation is also a document, a live_photo
 * also a photo, and a venue also a location: so the former come before the
 * latter.
 */

static const ngx_http_tgbot_update_kind_t
    ngx_http_tgbot_update_key_kinds[] = {

    { ngx_string("animation"), 1 },
    { ngx_string("live_photo"), 1 },
    { ngx_string("venue"), 1 },
    { ngx_string("photo"), 1 },
    { ngx_string("sticker"), 1 },
    { ngx_string("voice"), 1 },
    { ngx_string("video"), 1 },
    { ngx_string("document"), 1 },
    { ngx_string("audio"), 1 },
    { ngx_string("video_note"), 1 },
    { ngx_string("contact"), 1 },
    { ngx_string("location"), 1 },
    { ngx_string("poll"), 1 },
    { ngx_string("dice"), 1 },
    { ngx_string("game"), 1 },
    { ngx_string("story"), 1 },
    { ngx_string("paid_media"), 1 },
    { ngx_string("checklist"), 1 },
    { ngx_string("rich_message"), 1 },
    { ngx_string("widget"), 1 },
    { ngx_string("invoice"), 1 },
    { ngx_string("giveaway"), 1 },
    { ngx_string("giveaway_winners"), 1 },
    { ngx_string("new_chat_members"), 0 },
    { ngx_string("left_chat_member"), 0 },
    { ngx_string("chat_owner_left"), 0 },
    { ngx_string("chat_owner_changed"), 0 },
    { ngx_string("new_chat_title"), 0 },
    { ngx_string("new_chat_photo"), 0 },
    { ngx_string("delete_chat_photo"), 0 },
    { ngx_string("group_chat_created"), 0 },
    { ngx_string("supergroup_chat_created"), 0 },
    { ngx_string("channel_chat_created"), 0 },
    { ngx_string("community_chat_added"), 0 },
    { ngx_string("community_chat_removed"), 0 },
    { ngx_string("community_chat_joined"), 0 },
    { ngx_string("message_auto_delete_timer_changed"), 0 },
    { ngx_string("migrate_to_chat_id"), 0 },
    { ngx_string("migrate_from_chat_id"), 0 },
    { ngx_string("pinned_message"), 0 },
    { ngx_string("successful_payment"), 1 },
    { ngx_string("refunded_payment"), 0 },
    { ngx_string("users_shared"), 1 },
    { ngx_string("user_shared"), 1 },
    { ngx_string("chat_shared"), 1 },
    { ngx_string("gift"), 0 },
    { ngx_string("unique_gift"), 0 },
    { ngx_string("gift_upgrade_sent"), 0 },
    { ngx_string("connected_website"), 0 },
    { ngx_string("write_access_allowed"), 0 },
    { ngx_string("passport_data"), 0 },
    { ngx_string("proximity_alert_triggered"), 0 },
    { ngx_string("boost_added"), 0 },
    { ngx_string("chat_background_set"), 0 },
    { ngx_string("checklist_tasks_done"), 0 },
    { ngx_string("checklist_tasks_added"), 0 },
    { ngx_string("direct_message_price_changed"), 0 },
    { ngx_string("paid_message_price_changed"), 0 },
    { ngx_string("forum_topic_created"), 0 },
    { ngx_string("forum_topic_edited"), 0 },
    { ngx_string("forum_topic_closed"), 0 },
    { ngx_string("forum_topic_reopened"), 0 },
    { ngx_string("general_forum_topic_hidden"), 0 },
    { ngx_string("general_forum_topic_unhidden"), 0 },
    { ngx_string("giveaway_created"), 0 },
    { ngx_string("giveaway_completed"), 0 },
    { ngx_string("managed_bot_created"), 0 },
    { ngx_string("poll_option_added"), 0 },
    { ngx_string("poll_option_deleted"), 0 },
    { ngx_string("suggested_post_approved"), 0 },
    { ngx_string("suggested_post_approval_failed"), 0 },
    { ngx_string("suggested_post_declined"), 0 },
    { ngx_string("suggested_post_paid"), 0 },
    { ngx_string("suggested_post_refunded"), 0 },
    { ngx_string("video_chat_scheduled"), 0 },
    { ngx_string("video_chat_started"), 0 },
    { ngx_string("video_chat_ended"), 0 },
    { ngx_string("video_chat_participants_invited"), 0 },
    { ngx_string("voice_chat_scheduled"), 0 },
    { ngx_string("voice_chat_started"), 0 },
    { ngx_string("voice_chat_ended"), 0 },
    { ngx_string("voice_chat_participants_invited"), 0 },
    { ngx_string("web_app_data"), 1 },
    { ngx_null_string, 0 }
};


ngx_uint_t
ngx_http_tgbot_update_key_opens(ngx_uint_t key)
{
    switch (key) {

    case NGX_HTTP_TGBOT_KEY_MESSAGE:
        return NGX_HTTP_TGBOT_KEY_IN_BUTTON;

    case NGX_HTTP_TGBOT_KEY_BOOST:
        return NGX_HTTP_TGBOT_KEY_IN_BOOST;

    case NGX_HTTP_TGBOT_KEY_DIRECT:
        return NGX_HTTP_TGBOT_KEY_IN_DIRECT;

    case NGX_HTTP_TGBOT_KEY_CHAT:
    case NGX_HTTP_TGBOT_KEY_MESSAGE_CHAT:
        return NGX_HTTP_TGBOT_KEY_IN_CHAT;

    case NGX_HTTP_TGBOT_KEY_VOTER_CHAT:
    case NGX_HTTP_TGBOT_KEY_SENDER_CHAT:
    case NGX_HTTP_TGBOT_KEY_FROM:
    case NGX_HTTP_TGBOT_KEY_USER:
    case NGX_HTTP_TGBOT_KEY_ACTOR_CHAT:
    case NGX_HTTP_TGBOT_KEY_BUSINESS_BOT:
        return NGX_HTTP_TGBOT_KEY_IN_PARTY;

    default:
        return NGX_HTTP_TGBOT_KEY_IN_NOTHING;
    }
}


ngx_uint_t
ngx_http_tgbot_update_key_kind(ngx_str_t *name)
{
    const ngx_http_tgbot_update_kind_t  *kind;

    for (kind = ngx_http_tgbot_update_key_kinds; kind->name.len; kind++) {

        if (kind->name.len == name->len
            && ngx_memcmp(kind->name.data, name->data, name->len) == 0)
        {
            return kind - ngx_http_tgbot_update_key_kinds;
        }
    }

    return NGX_HTTP_TGBOT_KEY_NO_KIND;
}


const ngx_http_tgbot_update_kind_t *
ngx_http_tgbot_update_key_kind_row(ngx_uint_t kind)
{
    return &ngx_http_tgbot_update_key_kinds[kind];
}
