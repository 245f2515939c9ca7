
/*
 * An Update is read in one pass.  The reader goes into the few objects that
 * matter, each by a table of its keys; all else is passed over by its depth
 * alone.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_update.h"


/* integers up to here are the same in every program, doubles or not */
#define NGX_HTTP_TGBOT_UPDATE_MAX_ID       0x20000000000000LL

/* of a string that is kept; Telegram's own bound is 4096 characters */
#define NGX_HTTP_TGBOT_UPDATE_MAX_STRING   65536

#define NGX_HTTP_TGBOT_UPDATE_MAX_COMMAND  32

#define NGX_HTTP_TGBOT_UPDATE_DAY          86400

/* Update, chat_boost, boost, source, user */
#define NGX_HTTP_TGBOT_UPDATE_LEVELS       5


/* what the value of a key is for */

typedef enum {
    get_update_id = 0,
    get_update,

    get_text,
    get_caption,
    get_query,
    get_data,
    get_query_id,
    get_connection_id,
    get_message_id,
    get_thread_id,
    get_topic,
    get_date,
    get_edit_date,
    get_kind,

    get_id,
    get_type,
    get_username,
    get_first_name,
    get_language,

    get_message,
    get_boost,

    /* chats and users, each before those it is preferred to */
    get_chat,
    get_message_chat,
    get_sender_chat,
    get_from,
    get_user,
    get_actor_chat,
    get_voter_chat,
    get_end
} ngx_http_tgbot_update_get_e;


typedef struct {
    ngx_str_t                            name;
    ngx_http_tgbot_update_get_e          get;
} ngx_http_tgbot_update_key_t;


typedef struct {
    ngx_str_t                            name;
    const ngx_http_tgbot_update_key_t   *keys;
    ngx_uint_t                           life;
    ngx_uint_t                           command;  /* unsigned  command:1 */
} ngx_http_tgbot_update_type_t;


/* a chat or a user */

typedef struct {
    int64_t                              id;
    ngx_uint_t                           has_id;   /* unsigned  has_id:1 */
    ngx_str_t                            type;
    ngx_str_t                            username;
    ngx_str_t                            first_name;
    ngx_str_t                            language;
} ngx_http_tgbot_update_party_t;


/* an object that is open */

typedef struct {
    const ngx_http_tgbot_update_key_t   *keys;
    ngx_http_tgbot_update_party_t       *party;
    uint32_t                             seen;     /* bits 1 << get_... */
} ngx_http_tgbot_update_level_t;


typedef struct {
    ngx_http_tgbot_update_t             *update;
    ngx_pool_t                          *pool;

    ngx_uint_t                           level;
    ngx_http_tgbot_update_get_e          get;      /* get_end: nothing */

    const ngx_http_tgbot_update_type_t  *type;
    ngx_str_t                            name;     /* of the type */

    ngx_uint_t                           kind;     /* of the key */
    ngx_uint_t                           kinds;    /* of the message */

    ngx_str_t                            caption;
    int64_t                              edit_date;
    ngx_uint_t                           topic;    /* unsigned  topic:1 */

    ngx_http_tgbot_update_party_t        parties[get_end - get_chat];
    ngx_http_tgbot_update_level_t        levels[NGX_HTTP_TGBOT_UPDATE_LEVELS
                                                + 1];
} ngx_http_tgbot_update_reader_t;


static ngx_int_t ngx_http_tgbot_update_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_key(
    ngx_http_tgbot_update_reader_t *rd, ngx_str_t *name);
static ngx_int_t ngx_http_tgbot_update_type(
    ngx_http_tgbot_update_reader_t *rd, ngx_str_t *name);
static ngx_int_t ngx_http_tgbot_update_value(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_update_open(ngx_http_tgbot_update_reader_t *rd);
static ngx_int_t ngx_http_tgbot_update_string(
    ngx_http_tgbot_update_reader_t *rd, ngx_str_t *text);
static ngx_int_t ngx_http_tgbot_update_keep(
    ngx_http_tgbot_update_reader_t *rd, ngx_str_t *text, ngx_str_t *value);
static void ngx_http_tgbot_update_number(ngx_http_tgbot_update_reader_t *rd,
    ngx_str_t *text);
static void ngx_http_tgbot_update_finish(ngx_http_tgbot_update_reader_t *rd);
static void ngx_http_tgbot_update_parties(ngx_http_tgbot_update_reader_t *rd);
static void ngx_http_tgbot_update_command(ngx_http_tgbot_update_t *update);
static u_char *ngx_http_tgbot_update_word(u_char *p, u_char *last);


static const ngx_http_tgbot_update_key_t  ngx_http_tgbot_update_message[] = {
    { ngx_string("message_id"), get_message_id },
    { ngx_string("from"), get_from },
    { ngx_string("chat"), get_chat },
    { ngx_string("date"), get_date },
    { ngx_string("text"), get_text },
    { ngx_string("caption"), get_caption },
    { ngx_string("edit_date"), get_edit_date },
    { ngx_string("sender_chat"), get_sender_chat },
    { ngx_string("message_thread_id"), get_thread_id },
    { ngx_string("is_topic_message"), get_topic },
    { ngx_string("business_connection_id"), get_connection_id },
    { ngx_string("guest_query_id"), get_query_id },
    { ngx_null_string, get_end }
};


/* buttons, inline mode, payments */

static const ngx_http_tgbot_update_key_t  ngx_http_tgbot_update_query[] = {
    { ngx_string("id"), get_query_id },
    { ngx_string("from"), get_from },
    { ngx_string("message"), get_message },
    { ngx_string("data"), get_data },
    { ngx_string("game_short_name"), get_data },
    { ngx_string("query"), get_query },
    { ngx_string("chat_type"), get_type },
    { ngx_string("result_id"), get_data },
    { ngx_string("user"), get_user },
    { ngx_string("invoice_payload"), get_data },
    { ngx_string("paid_media_payload"), get_data },
    { ngx_null_string, get_end }
};


static const ngx_http_tgbot_update_key_t  ngx_http_tgbot_update_event[] = {
    { ngx_string("chat"), get_chat },
    { ngx_string("from"), get_from },
    { ngx_string("user"), get_user },
    { ngx_string("actor_chat"), get_actor_chat },
    { ngx_string("message_id"), get_message_id },
    { ngx_string("date"), get_date },
    { ngx_string("business_connection_id"), get_connection_id },
    { ngx_string("boost"), get_boost },
    { ngx_string("source"), get_boost },
    { ngx_string("remove_date"), get_date },
    { ngx_string("voter_chat"), get_voter_chat },
    { ngx_string("question"), get_query },
    { ngx_null_string, get_end }
};


static const ngx_http_tgbot_update_key_t
    ngx_http_tgbot_update_connection[] =
{
    { ngx_string("id"), get_connection_id },
    { ngx_string("user"), get_user },
    { ngx_string("date"), get_date },
    { ngx_null_string, get_end }
};


/* types that are newer than the table below */

static const ngx_http_tgbot_update_key_t  ngx_http_tgbot_update_unknown[] = {
    { ngx_string("chat"), get_chat },
    { ngx_string("from"), get_from },
    { ngx_string("user"), get_user },
    { ngx_string("sender_chat"), get_sender_chat },
    { ngx_string("message"), get_message },
    { ngx_string("message_id"), get_message_id },
    { ngx_string("message_thread_id"), get_thread_id },
    { ngx_string("is_topic_message"), get_topic },
    { ngx_string("date"), get_date },
    { ngx_string("text"), get_query },
    { ngx_string("caption"), get_caption },
    { ngx_string("business_connection_id"), get_connection_id },
    { ngx_null_string, get_end }
};


/* the message of a button: its date is not the Update's */

static const ngx_http_tgbot_update_key_t  ngx_http_tgbot_update_inner[] = {
    { ngx_string("chat"), get_message_chat },
    { ngx_string("message_id"), get_message_id },
    { ngx_string("message_thread_id"), get_thread_id },
    { ngx_string("is_topic_message"), get_topic },
    { ngx_string("business_connection_id"), get_connection_id },
    { ngx_null_string, get_end }
};


/* a boost and its source */

static const ngx_http_tgbot_update_key_t  ngx_http_tgbot_update_boost[] = {
    { ngx_string("source"), get_boost },
    { ngx_string("user"), get_user },
    { ngx_string("add_date"), get_date },
    { ngx_null_string, get_end }
};


static const ngx_http_tgbot_update_key_t  ngx_http_tgbot_update_party[] = {
    { ngx_string("id"), get_id },
    { ngx_string("username"), get_username },
    { ngx_string("first_name"), get_first_name },
    { ngx_string("language_code"), get_language },
    { ngx_string("type"), get_type },
    { ngx_null_string, get_end }
};


static const ngx_http_tgbot_update_key_t  ngx_http_tgbot_update_chat[] = {
    { ngx_string("id"), get_id },
    { ngx_string("type"), get_type },
    { ngx_null_string, get_end }
};


static const ngx_http_tgbot_update_type_t  ngx_http_tgbot_update_types[] = {
    { ngx_string("message"),
      ngx_http_tgbot_update_message, 86400, 1 },
    { ngx_string("callback_query"),
      ngx_http_tgbot_update_query, 150, 0 },
    { ngx_string("inline_query"),
      ngx_http_tgbot_update_query, 30, 0 },
    { ngx_string("edited_message"),
      ngx_http_tgbot_update_message, 86400, 0 },
    { ngx_string("channel_post"),
      ngx_http_tgbot_update_message, 86400, 1 },
    { ngx_string("edited_channel_post"),
      ngx_http_tgbot_update_message, 86400, 0 },
    { ngx_string("business_message"),
      ngx_http_tgbot_update_message, 86400, 1 },
    { ngx_string("edited_business_message"),
      ngx_http_tgbot_update_message, 86400, 0 },
    { ngx_string("guest_message"),
      ngx_http_tgbot_update_message, 86400, 1 },
    { ngx_string("chosen_inline_result"),
      ngx_http_tgbot_update_query, 600, 0 },
    { ngx_string("shipping_query"),
      ngx_http_tgbot_update_query, 150, 0 },
    { ngx_string("pre_checkout_query"),
      ngx_http_tgbot_update_query, 150, 0 },
    { ngx_string("purchased_paid_media"),
      ngx_http_tgbot_update_query, 86400, 0 },
    { ngx_string("subscription"),
      ngx_http_tgbot_update_query, 86400, 0 },
    { ngx_string("my_chat_member"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("chat_member"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("chat_join_request"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("message_reaction"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("message_reaction_count"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("poll"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("poll_answer"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("chat_boost"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("removed_chat_boost"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("deleted_business_messages"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("managed_bot"),
      ngx_http_tgbot_update_event, 86400, 0 },
    { ngx_string("business_connection"),
      ngx_http_tgbot_update_connection, 86400, 0 },
    { ngx_string("custom_event"),
      ngx_http_tgbot_update_unknown, 600, 0 },
    { ngx_null_string,
      ngx_http_tgbot_update_unknown, 86400, 0 }
};


/*
 * Where a message has two of them the former is its kind: for the sake of
 * older bots an animation is a document too, a live_photo a photo, and a
 * venue a location.
 */

static const ngx_str_t  ngx_http_tgbot_update_kinds[] = {
    ngx_string("animation"), ngx_string("live_photo"), ngx_string("venue"),
    ngx_string("photo"), ngx_string("sticker"), ngx_string("voice"),
    ngx_string("video"), ngx_string("document"), ngx_string("audio"),
    ngx_string("video_note"), ngx_string("contact"), ngx_string("location"),
    ngx_string("poll"), ngx_string("dice"), ngx_string("game"),
    ngx_string("story"), ngx_string("paid_media"), ngx_string("checklist"),
    ngx_string("rich_message"), ngx_string("invoice"), ngx_string("giveaway"),
    ngx_string("giveaway_winners"), ngx_string("new_chat_members"),
    ngx_string("left_chat_member"), ngx_string("chat_owner_left"),
    ngx_string("chat_owner_changed"), ngx_string("new_chat_title"),
    ngx_string("new_chat_photo"), ngx_string("delete_chat_photo"),
    ngx_string("group_chat_created"), ngx_string("supergroup_chat_created"),
    ngx_string("channel_chat_created"), ngx_string("community_chat_added"),
    ngx_string("community_chat_removed"), ngx_string("community_chat_joined"),
    ngx_string("message_auto_delete_timer_changed"),
    ngx_string("migrate_to_chat_id"), ngx_string("migrate_from_chat_id"),
    ngx_string("pinned_message"), ngx_string("successful_payment"),
    ngx_string("refunded_payment"), ngx_string("users_shared"),
    ngx_string("user_shared"), ngx_string("chat_shared"), ngx_string("gift"),
    ngx_string("unique_gift"), ngx_string("gift_upgrade_sent"),
    ngx_string("connected_website"), ngx_string("write_access_allowed"),
    ngx_string("passport_data"), ngx_string("proximity_alert_triggered"),
    ngx_string("boost_added"), ngx_string("chat_background_set"),
    ngx_string("checklist_tasks_done"), ngx_string("checklist_tasks_added"),
    ngx_string("direct_message_price_changed"),
    ngx_string("paid_message_price_changed"),
    ngx_string("forum_topic_created"), ngx_string("forum_topic_edited"),
    ngx_string("forum_topic_closed"), ngx_string("forum_topic_reopened"),
    ngx_string("general_forum_topic_hidden"),
    ngx_string("general_forum_topic_unhidden"), ngx_string("giveaway_created"),
    ngx_string("giveaway_completed"), ngx_string("managed_bot_created"),
    ngx_string("poll_option_added"), ngx_string("poll_option_deleted"),
    ngx_string("suggested_post_approved"),
    ngx_string("suggested_post_approval_failed"),
    ngx_string("suggested_post_declined"), ngx_string("suggested_post_paid"),
    ngx_string("suggested_post_refunded"), ngx_string("video_chat_scheduled"),
    ngx_string("video_chat_started"), ngx_string("video_chat_ended"),
    ngx_string("video_chat_participants_invited"),
    ngx_string("voice_chat_scheduled"), ngx_string("voice_chat_started"),
    ngx_string("voice_chat_ended"),
    ngx_string("voice_chat_participants_invited"), ngx_string("web_app_data"),
};

#define ngx_http_tgbot_update_nkinds                                         \
    (sizeof(ngx_http_tgbot_update_kinds) / sizeof(ngx_str_t))


static const size_t  ngx_http_tgbot_update_strings[] = {
    offsetof(ngx_http_tgbot_update_t, type),
    offsetof(ngx_http_tgbot_update_t, chat_type),
    offsetof(ngx_http_tgbot_update_t, username),
    offsetof(ngx_http_tgbot_update_t, first_name),
    offsetof(ngx_http_tgbot_update_t, language),
    offsetof(ngx_http_tgbot_update_t, text),
    offsetof(ngx_http_tgbot_update_t, command),
    offsetof(ngx_http_tgbot_update_t, args),
    offsetof(ngx_http_tgbot_update_t, data),
    offsetof(ngx_http_tgbot_update_t, message_kind),
    offsetof(ngx_http_tgbot_update_t, query_id),
    offsetof(ngx_http_tgbot_update_t, business_connection_id)
};

#define ngx_http_tgbot_update_nstrings                                       \
    (sizeof(ngx_http_tgbot_update_strings) / sizeof(size_t))


ngx_int_t
ngx_http_tgbot_update_parse(ngx_http_tgbot_update_t *update, ngx_chain_t *in,
    ngx_pool_t *pool)
{
    ngx_int_t                       rc;
    ngx_http_tgbot_update_reader_t  rd;

    ngx_memzero(update, sizeof(ngx_http_tgbot_update_t));
    ngx_memzero(&rd, sizeof(ngx_http_tgbot_update_reader_t));

    update->life = NGX_HTTP_TGBOT_UPDATE_DAY;

    rd.update = update;
    rd.pool = pool;
    rd.get = get_end;
    rd.kinds = ngx_http_tgbot_update_nkinds;

    rc = ngx_http_tgbot_json_parse(in, ngx_http_tgbot_update_token, &rd);

    /* nothing that is looked for is nested too deeply */

    if (rc != NGX_OK && rc != NGX_BUSY) {
        return rc;
    }

    if (!update->has_update_id) {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_update_finish(&rd);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_update_token(void *data, ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_update_reader_t *rd = data;

    if (token->depth > rd->level) {
        return NGX_OK;
    }

    switch (token->type) {

    case NGX_HTTP_TGBOT_JSON_KEY:
        return ngx_http_tgbot_update_key(rd, &token->text);

    case NGX_HTTP_TGBOT_JSON_MAP_END:
    case NGX_HTTP_TGBOT_JSON_ARRAY_END:

        if (token->depth < rd->level) {
            rd->level--;
        }

        return NGX_OK;

    case NGX_HTTP_TGBOT_JSON_NULL:
        return NGX_OK;

    default:
        return ngx_http_tgbot_update_value(rd, token);
    }
}


static ngx_int_t
ngx_http_tgbot_update_key(ngx_http_tgbot_update_reader_t *rd, ngx_str_t *name)
{
    ngx_uint_t                          i;
    const ngx_str_t                    *kinds;
    const ngx_http_tgbot_update_key_t  *key, *keys;

    if (rd->level == 1) {
        return ngx_http_tgbot_update_type(rd, name);
    }

    keys = rd->levels[rd->level].keys;

    for (key = keys; key->name.len; key++) {

        if (key->name.len == name->len
            && ngx_memcmp(key->name.data, name->data, name->len) == 0)
        {
            break;
        }
    }

    rd->get = key->get;

    if (rd->get != get_end || keys != ngx_http_tgbot_update_message) {
        return NGX_OK;
    }

    kinds = ngx_http_tgbot_update_kinds;

    for (i = 0; i < rd->kinds; i++) {

        if (kinds[i].len == name->len
            && ngx_memcmp(kinds[i].data, name->data, name->len) == 0)
        {
            rd->get = get_kind;
            rd->kind = i;
            break;
        }
    }

    return NGX_OK;
}


/* the type is the first key beside update_id whose value is not null */

static ngx_int_t
ngx_http_tgbot_update_type(ngx_http_tgbot_update_reader_t *rd, ngx_str_t *name)
{
    const ngx_http_tgbot_update_type_t  *type;

    if (name->len == sizeof("update_id") - 1
        && ngx_memcmp(name->data, "update_id", sizeof("update_id") - 1) == 0)
    {
        rd->get = get_update_id;
        return NGX_OK;
    }

    if (rd->levels[1].seen & (1 << get_update)) {
        rd->get = get_end;
        return NGX_OK;
    }

    rd->get = get_update;

    for (type = ngx_http_tgbot_update_types; type->name.len; type++) {

        if (type->name.len == name->len
            && ngx_memcmp(type->name.data, name->data, name->len) == 0)
        {
            break;
        }
    }

    rd->type = type;
    rd->name = type->name;

    return type->name.len ? NGX_OK
                          : ngx_http_tgbot_update_keep(rd, name, &rd->name);
}


static ngx_int_t
ngx_http_tgbot_update_value(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_update_level_t  *level;

    level = &rd->levels[rd->level];

    if (rd->level == 0) {
        rd->level = (token->type == NGX_HTTP_TGBOT_JSON_MAP_START);
        return NGX_OK;
    }

    if (rd->get == get_end || (level->seen & (1 << rd->get))) {
        return NGX_OK;
    }

    if (rd->get == get_kind) {

        if (token->type != NGX_HTTP_TGBOT_JSON_BOOLEAN
            || token->text.len == sizeof("true") - 1)
        {
            rd->kinds = rd->kind;
        }

        return NGX_OK;
    }

    level->seen |= 1 << rd->get;

    if (rd->get == get_update) {
        rd->update->type = rd->name;
        rd->update->life = rd->type->life;
    }

    switch (token->type) {

    case NGX_HTTP_TGBOT_JSON_MAP_START:
        ngx_http_tgbot_update_open(rd);
        return NGX_OK;

    case NGX_HTTP_TGBOT_JSON_STRING:
        return ngx_http_tgbot_update_string(rd, &token->text);

    case NGX_HTTP_TGBOT_JSON_NUMBER:

        if (rd->get == get_query_id) {
            return ngx_http_tgbot_update_string(rd, &token->text);
        }

        ngx_http_tgbot_update_number(rd, &token->text);
        return NGX_OK;

    case NGX_HTTP_TGBOT_JSON_BOOLEAN:

        if (rd->get == get_topic) {
            rd->topic = (token->text.len == sizeof("true") - 1);
        }

        return NGX_OK;

    default:
        return NGX_OK;
    }
}


static void
ngx_http_tgbot_update_open(ngx_http_tgbot_update_reader_t *rd)
{
    ngx_http_tgbot_update_level_t      *level;
    ngx_http_tgbot_update_party_t      *party;
    const ngx_http_tgbot_update_key_t  *keys;

    party = NULL;

    switch (rd->get) {

    case get_update:
        keys = rd->type->keys;
        party = rd->parties;             /* for the chat_type of a query */
        break;

    case get_message:
        keys = ngx_http_tgbot_update_inner;
        break;

    case get_boost:
        keys = ngx_http_tgbot_update_boost;
        break;

    case get_chat:
    case get_message_chat:
        keys = ngx_http_tgbot_update_chat;
        party = &rd->parties[rd->get - get_chat];
        break;

    case get_sender_chat:
    case get_from:
    case get_user:
    case get_actor_chat:
    case get_voter_chat:
        keys = ngx_http_tgbot_update_party;
        party = &rd->parties[rd->get - get_chat];
        break;

    default:
        return;
    }

    if (rd->level == NGX_HTTP_TGBOT_UPDATE_LEVELS) {
        return;
    }

    level = &rd->levels[++rd->level];

    level->keys = keys;
    level->party = party;
    level->seen = 0;
}


static ngx_int_t
ngx_http_tgbot_update_string(ngx_http_tgbot_update_reader_t *rd,
    ngx_str_t *text)
{
    ngx_str_t                      *value;
    ngx_http_tgbot_update_party_t  *party;

    party = rd->levels[rd->level].party;

    switch (rd->get) {

    case get_text:
    case get_query:
        value = &rd->update->text;
        break;

    case get_caption:
        value = &rd->caption;
        break;

    case get_data:
        value = &rd->update->data;
        break;

    case get_query_id:
        value = &rd->update->query_id;
        break;

    case get_connection_id:
        value = &rd->update->business_connection_id;
        break;

    case get_type:
        value = &party->type;
        break;

    case get_username:
        value = &party->username;
        break;

    case get_first_name:
        value = &party->first_name;
        break;

    case get_language:
        value = &party->language;
        break;

    default:
        return NGX_OK;
    }

    return ngx_http_tgbot_update_keep(rd, text, value);
}


static ngx_int_t
ngx_http_tgbot_update_keep(ngx_http_tgbot_update_reader_t *rd, ngx_str_t *text,
    ngx_str_t *value)
{
    size_t  len, min;

    len = text->len;

    if (len == 0) {
        return NGX_OK;
    }

    if (len > NGX_HTTP_TGBOT_UPDATE_MAX_STRING) {

        /* not inside of a character */

        len = NGX_HTTP_TGBOT_UPDATE_MAX_STRING;

        for (min = len - 3; len > min && (text->data[len] & 0xc0) == 0x80;
             len--)
        {
            /* void */
        }
    }

    value->data = ngx_pnalloc(rd->pool, len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(value->data, text->data, len);
    value->len = len;

    ngx_http_tgbot_json_clean(value);

    return NGX_OK;
}


static void
ngx_http_tgbot_update_number(ngx_http_tgbot_update_reader_t *rd,
    ngx_str_t *text)
{
    int64_t                         n;
    ngx_http_tgbot_update_t        *update;
    ngx_http_tgbot_update_party_t  *party;

    if (ngx_http_tgbot_json_int64(text, &n) != NGX_OK) {
        return;
    }

    update = rd->update;

    switch (rd->get) {

    case get_update_id:
        update->update_id = n;
        update->has_update_id = (n >= 0
                                 && n <= NGX_HTTP_TGBOT_UPDATE_MAX_ID);
        break;

    case get_id:
        party = rd->levels[rd->level].party;
        party->id = n;
        party->has_id = 1;
        break;

    case get_message_id:
        update->message_id = n;
        update->has_message_id = 1;
        break;

    case get_thread_id:
        update->thread_id = n;
        update->has_thread_id = 1;
        break;

    case get_date:
        update->date = n;
        update->has_date = 1;
        break;

    case get_edit_date:
        rd->edit_date = n;
        break;

    default:
        break;
    }
}


static void
ngx_http_tgbot_update_finish(ngx_http_tgbot_update_reader_t *rd)
{
    ngx_http_tgbot_update_t  *update;

    update = rd->update;

    if (rd->kinds < ngx_http_tgbot_update_nkinds) {
        update->message_kind = ngx_http_tgbot_update_kinds[rd->kinds];

    } else if (update->text.len && rd->type->keys
                                   == ngx_http_tgbot_update_message)
    {
        ngx_str_set(&update->message_kind, "text");
    }

    if (update->text.len == 0) {
        update->text = rd->caption;
    }

    /* an edit is as old as it is, not as the message */

    if (rd->edit_date > 0) {
        update->date = rd->edit_date;
        update->has_date = 1;
    }

    if (update->date <= 0) {
        update->date = 0;
        update->has_date = 0;
    }

    if (!rd->topic) {
        update->thread_id = 0;
        update->has_thread_id = 0;
    }

    ngx_http_tgbot_update_parties(rd);

    if (update->type.len && rd->type->command) {
        ngx_http_tgbot_update_command(update);
    }
}


static void
ngx_http_tgbot_update_parties(ngx_http_tgbot_update_reader_t *rd)
{
    ngx_uint_t                      i;
    ngx_http_tgbot_update_t        *update;
    ngx_http_tgbot_update_party_t  *party, *from;

    static const ngx_http_tgbot_update_get_e  chats[] = {
        get_chat, get_message_chat, get_voter_chat
    };

    update = rd->update;
    update->chat_type = rd->parties[0].type;

    for (i = 0; i < 3; i++) {
        party = &rd->parties[chats[i] - get_chat];

        if (party->has_id) {
            update->chat_id = party->id;
            update->chat_type = party->type;
            update->has_chat_id = 1;
            break;
        }
    }

    for (i = get_sender_chat; i <= get_voter_chat; i++) {
        party = &rd->parties[i - get_chat];

        if (party->has_id) {
            update->user_id = party->id;
            update->username = party->username;
            update->first_name = party->first_name;
            update->has_user_id = 1;
            break;
        }
    }

    /* chats speak no language */

    from = &rd->parties[get_from - get_chat];

    update->language = from->has_id
                       ? from->language
                       : rd->parties[get_user - get_chat].language;
}


/* "/start@my_bot x y" is the command "/start" with the arguments "x y" */

static void
ngx_http_tgbot_update_command(ngx_http_tgbot_update_t *update)
{
    u_char  *p, *end, *bot, *last;

    p = update->text.data;
    last = p + update->text.len;

    if (p == last || *p++ != '/') {
        return;
    }

    end = ngx_http_tgbot_update_word(p, last);

    if (end == p || end - p > NGX_HTTP_TGBOT_UPDATE_MAX_COMMAND) {
        return;
    }

    p = end;

    if (p < last && *p == '@') {
        bot = ++p;
        p = ngx_http_tgbot_update_word(bot, last);

        if (p == bot) {
            return;
        }
    }

    /* the text is cleaned: any white space is a space by now */

    if (p < last && *p != ' ') {
        return;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    while (p < last && last[-1] == ' ') {
        last--;
    }

    update->command.data = update->text.data;
    update->command.len = end - update->text.data;

    update->args.data = p;
    update->args.len = last - p;
}


/* the end of the letters, digits and underscores at p */

static u_char *
ngx_http_tgbot_update_word(u_char *p, u_char *last)
{
    u_char  c;

    for ( /* void */ ; p < last; p++) {
        c = (u_char) (*p | 0x20);

        if ((c < 'a' || c > 'z') && (*p < '0' || *p > '9') && *p != '_') {
            break;
        }
    }

    return p;
}


ngx_int_t
ngx_http_tgbot_update_copy(ngx_http_tgbot_update_t *dst,
    ngx_http_tgbot_update_t *src, ngx_pool_t *pool)
{
    size_t       len;
    u_char      *p;
    ngx_str_t   *s;
    ngx_uint_t   i;

    len = 0;

    for (i = 0; i < ngx_http_tgbot_update_nstrings; i++) {
        s = (ngx_str_t *) ((u_char *) src + ngx_http_tgbot_update_strings[i]);
        len += s->len;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *dst = *src;

    for (i = 0; i < ngx_http_tgbot_update_nstrings; i++) {
        s = (ngx_str_t *) ((u_char *) dst + ngx_http_tgbot_update_strings[i]);

        if (s->len) {
            p = ngx_cpymem(p, s->data, s->len);
            s->data = p - s->len;
        }
    }

    return NGX_OK;
}
