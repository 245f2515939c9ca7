
/*
 * The keys of an Update: which of them are read, where, and for what.
 */

#ifndef _NGX_HTTP_TGBOT_UPDATE_KEY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_UPDATE_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the use of a key's value; keys with the same use have one number */

typedef enum {
    /* texts */
    NGX_HTTP_TGBOT_KEY_TEXT = 0,
    NGX_HTTP_TGBOT_KEY_QUERY,
    NGX_HTTP_TGBOT_KEY_CAPTION,
    NGX_HTTP_TGBOT_KEY_DATA,
    NGX_HTTP_TGBOT_KEY_QUERY_ID,
    NGX_HTTP_TGBOT_KEY_CONNECTION_ID,
    NGX_HTTP_TGBOT_KEY_POLL_ID,
    NGX_HTTP_TGBOT_KEY_INLINE_ID,        /* inline_message_id */
    NGX_HTTP_TGBOT_KEY_ALBUM,            /* media_group_id */

    /* texts of a chat or user */
    NGX_HTTP_TGBOT_KEY_TYPE,
    NGX_HTTP_TGBOT_KEY_USERNAME,
    NGX_HTTP_TGBOT_KEY_FIRST_NAME,
    NGX_HTTP_TGBOT_KEY_LANGUAGE,

    /* the integer of a chat or user */
    NGX_HTTP_TGBOT_KEY_ID,

    /* integers */
    NGX_HTTP_TGBOT_KEY_UPDATE_ID,
    NGX_HTTP_TGBOT_KEY_MESSAGE_ID,
    NGX_HTTP_TGBOT_KEY_THREAD_ID,
    NGX_HTTP_TGBOT_KEY_DATE,
    NGX_HTTP_TGBOT_KEY_EDIT_DATE,
    NGX_HTTP_TGBOT_KEY_EPHEMERAL_ID,
    NGX_HTTP_TGBOT_KEY_USER_CHAT_ID,
    NGX_HTTP_TGBOT_KEY_DIRECT_ID,        /* of direct_messages_topic */

    /* true or false */
    NGX_HTTP_TGBOT_KEY_TOPIC,
    NGX_HTTP_TGBOT_KEY_AUTOMATIC,        /* a post of the linked channel */
    NGX_HTTP_TGBOT_KEY_BOT,              /* of a user */

    NGX_HTTP_TGBOT_KEY_KIND,             /* its presence counts */
    NGX_HTTP_TGBOT_KEY_RICH,             /* the same, and its text */

    /* objects */
    NGX_HTTP_TGBOT_KEY_UPDATE,
    NGX_HTTP_TGBOT_KEY_MESSAGE,
    NGX_HTTP_TGBOT_KEY_BOOST,
    NGX_HTTP_TGBOT_KEY_DIRECT,

    /*
     * chats, then the users and chats that act, each before those it is
     * preferred to: the "from" next to a sender_chat and the "user" next to a
     * voter_chat are fake
     */
    NGX_HTTP_TGBOT_KEY_CHAT,
    NGX_HTTP_TGBOT_KEY_MESSAGE_CHAT,
    NGX_HTTP_TGBOT_KEY_VOTER_CHAT,       /* a chat, and an actor */
    NGX_HTTP_TGBOT_KEY_SENDER_CHAT,
    NGX_HTTP_TGBOT_KEY_FROM,
    NGX_HTTP_TGBOT_KEY_USER,
    NGX_HTTP_TGBOT_KEY_ACTOR_CHAT,

    NGX_HTTP_TGBOT_KEY_BUSINESS_BOT,     /* does not act */

    NGX_HTTP_TGBOT_KEY_OTHER
} ngx_http_tgbot_update_key_e;


/* the object that contains a key */

typedef enum {
    NGX_HTTP_TGBOT_KEY_IN_DOCUMENT = 0,
    NGX_HTTP_TGBOT_KEY_IN_MESSAGE,
    NGX_HTTP_TGBOT_KEY_IN_QUERY,         /* buttons, inline mode, payments */
    NGX_HTTP_TGBOT_KEY_IN_EVENT,
    NGX_HTTP_TGBOT_KEY_IN_CONNECTION,
    NGX_HTTP_TGBOT_KEY_IN_UNKNOWN,       /* an unknown type */
    NGX_HTTP_TGBOT_KEY_IN_BUTTON,        /* the message of a button */
    NGX_HTTP_TGBOT_KEY_IN_BOOST,         /* a boost and its source */
    NGX_HTTP_TGBOT_KEY_IN_CHAT,
    NGX_HTTP_TGBOT_KEY_IN_PARTY,         /* a user, or a chat that acts */
    NGX_HTTP_TGBOT_KEY_IN_DIRECT,        /* a topic of direct messages */
    NGX_HTTP_TGBOT_KEY_IN_NOTHING
} ngx_http_tgbot_update_in_e;


typedef struct {
    ngx_str_t     name;
    ngx_uint_t    key;        /* ngx_http_tgbot_update_key_e */
} ngx_http_tgbot_key_t;


/*
 * By ngx_http_tgbot_update_in_e, the keys of an object; the last one, without a
 * name, is for all others.  In the document any key except update_id is UPDATE,
 * in a message an unknown key may be KIND.
 */
extern const ngx_http_tgbot_key_t *const  ngx_http_tgbot_update_in[];

/*
 * The object that is the value of such a key, a ngx_http_tgbot_update_in_e.
 * For UPDATE the type of the Update says it instead.
 */
ngx_uint_t ngx_http_tgbot_update_key_opens(ngx_uint_t key);

/*
 * The number of the kind of message that has this key.  If a message has keys
 * of two kinds, the lower number is its kind.  NGX_HTTP_TGBOT_KEY_NO_KIND:
 * none.
 */
#define NGX_HTTP_TGBOT_KEY_NO_KIND  ((ngx_uint_t) -1)

ngx_uint_t ngx_http_tgbot_update_key_kind(ngx_str_t *name);

/* what is known of that number; static */

typedef struct {
    ngx_str_t     name;

    /*
     * a person wrote, sent or pressed it; otherwise the message only tells what
     * happened in the chat
     */
    ngx_uint_t    said;
} ngx_http_tgbot_update_kind_t;

const ngx_http_tgbot_update_kind_t *ngx_http_tgbot_update_key_kind_row(
    ngx_uint_t kind);


#endif /* _NGX_HTTP_TGBOT_UPDATE_KEY_H_INCLUDED_ */
