
/*
 * The types of Updates, and what depends on the type alone.
 */

#ifndef _NGX_HTTP_TGBOT_UPDATE_TYPE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_UPDATE_TYPE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* in the order in which a name is looked up: frequent types come first */

typedef enum {
    NGX_HTTP_TGBOT_TYPE_UNKNOWN = 0,     /* or none */
    NGX_HTTP_TGBOT_TYPE_MESSAGE,
    NGX_HTTP_TGBOT_TYPE_CALLBACK_QUERY,
    NGX_HTTP_TGBOT_TYPE_INLINE_QUERY,
    NGX_HTTP_TGBOT_TYPE_EDITED_MESSAGE,
    NGX_HTTP_TGBOT_TYPE_CHANNEL_POST,
    NGX_HTTP_TGBOT_TYPE_EDITED_CHANNEL_POST,
    NGX_HTTP_TGBOT_TYPE_BUSINESS_MESSAGE,
    NGX_HTTP_TGBOT_TYPE_EDITED_BUSINESS_MESSAGE,
    NGX_HTTP_TGBOT_TYPE_DELETED_BUSINESS_MESSAGES,
    NGX_HTTP_TGBOT_TYPE_GUEST_MESSAGE,
    NGX_HTTP_TGBOT_TYPE_CHOSEN_INLINE_RESULT,
    NGX_HTTP_TGBOT_TYPE_SHIPPING_QUERY,
    NGX_HTTP_TGBOT_TYPE_PRE_CHECKOUT_QUERY,
    NGX_HTTP_TGBOT_TYPE_PURCHASED_PAID_MEDIA,
    NGX_HTTP_TGBOT_TYPE_SUBSCRIPTION,
    NGX_HTTP_TGBOT_TYPE_MY_CHAT_MEMBER,
    NGX_HTTP_TGBOT_TYPE_CHAT_MEMBER,
    NGX_HTTP_TGBOT_TYPE_CHAT_JOIN_REQUEST,
    NGX_HTTP_TGBOT_TYPE_MESSAGE_REACTION,
    NGX_HTTP_TGBOT_TYPE_MESSAGE_REACTION_COUNT,
    NGX_HTTP_TGBOT_TYPE_POLL,
    NGX_HTTP_TGBOT_TYPE_POLL_ANSWER,
    NGX_HTTP_TGBOT_TYPE_CHAT_BOOST,
    NGX_HTTP_TGBOT_TYPE_REMOVED_CHAT_BOOST,
    NGX_HTTP_TGBOT_TYPE_MANAGED_BOT,
    NGX_HTTP_TGBOT_TYPE_BUSINESS_CONNECTION,
    NGX_HTTP_TGBOT_TYPE_STOPPED_MESSAGE_GENERATION,
    NGX_HTTP_TGBOT_TYPE_WIDGET_QUERY,
    NGX_HTTP_TGBOT_TYPE_SHARED_WIDGET_QUERY,
    NGX_HTTP_TGBOT_TYPE_CUSTOM_EVENT,
    NGX_HTTP_TGBOT_TYPES
} ngx_http_tgbot_update_type_e;


/* a command in the text is an order to the bot; an edit is none */
#define NGX_HTTP_TGBOT_TYPE_COMMAND       0x01

/* never limited and never stale */
#define NGX_HTTP_TGBOT_TYPE_PAYMENT       0x02

/* never limited */
#define NGX_HTTP_TGBOT_TYPE_UNLIMITED     0x04

/* known from the source of telegram-bot-api only */
#define NGX_HTTP_TGBOT_TYPE_UNDOCUMENTED  0x08

/* a text may answer it, if it is no message, or one that a person said */
#define NGX_HTTP_TGBOT_TYPE_TEXT          0x10

/* something in the message of message_id was pressed */
#define NGX_HTTP_TGBOT_TYPE_PRESSED       0x20

/* a message_thread_id is a topic's, also without is_topic_message */
#define NGX_HTTP_TGBOT_TYPE_TOPIC         0x40

/* Telegram sends it only if allowed_updates names it */
#define NGX_HTTP_TGBOT_TYPE_ASKED         0x80


/* the query that an Update is; its id is a parameter of its own */

typedef enum {
    NGX_HTTP_TGBOT_QUERY_NONE = 0,
    NGX_HTTP_TGBOT_QUERY_CALLBACK,
    NGX_HTTP_TGBOT_QUERY_INLINE,
    NGX_HTTP_TGBOT_QUERY_SHIPPING,
    NGX_HTTP_TGBOT_QUERY_PRE_CHECKOUT,
    NGX_HTTP_TGBOT_QUERY_GUEST,
    NGX_HTTP_TGBOT_QUERY_WIDGET,
    NGX_HTTP_TGBOT_QUERY_JOIN
} ngx_http_tgbot_query_e;


/* the chat that an answer goes to */

typedef enum {
    NGX_HTTP_TGBOT_ADDRESS_NONE = 0,     /* it comes from no chat */
    NGX_HTTP_TGBOT_ADDRESS_CHAT,         /* that of the Update */
    NGX_HTTP_TGBOT_ADDRESS_JOIN,         /* user_chat_id; the group for the
                                            methods that decide */
    NGX_HTTP_TGBOT_ADDRESS_GUEST         /* the bot is not in the chat */
} ngx_http_tgbot_address_e;


/* which updates share a queue: those of one chat, user or poll */

#define NGX_HTTP_TGBOT_LANE_NONE          0x00
#define NGX_HTTP_TGBOT_LANE_CHAT          0x01
#define NGX_HTTP_TGBOT_LANE_USER          0x02
#define NGX_HTTP_TGBOT_LANE_ANY           0x03    /* chat, else user */
#define NGX_HTTP_TGBOT_LANE_POLL          0x04


typedef struct {
    ngx_str_t     name;       /* key next to update_id; UNKNOWN: len 0 */
    ngx_uint_t    in;         /* ngx_http_tgbot_update_in_e */

    /* both as in telegram-bot-api (Client.cpp, add_update) */
    ngx_uint_t    life;       /* seconds for which it is redelivered */
    ngx_uint_t    queue;      /* types with the same number share queues */

    ngx_uint_t    lane;       /* bits LANE_... */
    ngx_uint_t    address;    /* ngx_http_tgbot_address_e */
    ngx_uint_t    query;      /* ngx_http_tgbot_query_e */
    ngx_uint_t    flags;      /* bits TYPE_... */
} ngx_http_tgbot_update_type_t;


/* by ngx_http_tgbot_update_type_e */
extern const ngx_http_tgbot_update_type_t
    ngx_http_tgbot_update_types[NGX_HTTP_TGBOT_TYPES];


ngx_uint_t ngx_http_tgbot_update_type_find(ngx_str_t *name);


#endif /* _NGX_HTTP_TGBOT_UPDATE_TYPE_H_INCLUDED_ */
