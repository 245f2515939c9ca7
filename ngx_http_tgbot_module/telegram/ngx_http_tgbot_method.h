
/*
 * One Bot API method: which may be called, what its answer means.
 */

#ifndef _NGX_HTTP_TGBOT_METHOD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_METHOD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_method_table.h"
#include "ngx_http_tgbot_update.h"


#define NGX_HTTP_TGBOT_METHOD_LEN          64

/* bytes of a JSON or urlencoded call (HttpReader.h of td): no more are read */
#define NGX_HTTP_TGBOT_METHOD_SIZE         (1024 * 1024)

/* bytes of a description that are logged, after it is redacted */
#define NGX_HTTP_TGBOT_METHOD_DESCRIPTION  256

/* seconds; more would not fit into a timer of 32-bit milliseconds */
#define NGX_HTTP_TGBOT_METHOD_RETRY_MAX    2147483


/* a call as it is sent: POST /bot<token>/<name> */

typedef struct {
    ngx_str_t     name;
    ngx_str_t     content_type;
    ngx_str_t     body;

    /* where the value of chat_id stands in body, quotes included; len 0: no */
    size_t        chat_pos;
    size_t        chat_len;
} ngx_http_tgbot_method_t;


/*
 * What an answer of the Bot API means for the call (reference: the table of
 * errors in telegram-bot-api's Client.cpp and Query.cpp).
 */

typedef enum {
    NGX_HTTP_TGBOT_METHOD_OK = 0,
    NGX_HTTP_TGBOT_METHOD_FLOOD,         /* 429: retried after retry_after */
    NGX_HTTP_TGBOT_METHOD_UNAVAILABLE,   /* 5xx, not executed: retried */
    NGX_HTTP_TGBOT_METHOD_MIGRATED,      /* 400: retried to the new chat */
    NGX_HTTP_TGBOT_METHOD_UNAUTHORIZED,  /* 401: a state of the bot */
    NGX_HTTP_TGBOT_METHOD_REFUSED        /* other 3xx and 4xx: final; also
                                            408, which Telegram never sends */
} ngx_http_tgbot_method_outcome_e;


typedef struct {
    ngx_uint_t    outcome;          /* ngx_http_tgbot_method_outcome_e */
    ngx_uint_t    retry_after;      /* seconds up to RETRY_MAX, 0: none */
    int64_t       migrate_to_chat_id;
    ngx_str_t     description;      /* cleaned, may be "" */
} ngx_http_tgbot_method_result_t;


/* whether the text is a method's name: [A-Za-z]{1,64} */
ngx_uint_t ngx_http_tgbot_method_valid(ngx_str_t *name);

/*
 * whether an answer may call the method: close, logOut, setWebhook,
 * deleteWebhook, replaceManagedBotToken and get* are not allowed, in any case
 * of letters
 */
ngx_uint_t ngx_http_tgbot_method_allowed(ngx_str_t *name);

/*
 * whether the method moves money or gifts (gift, premium, transfer or refund
 * in its name), so that a call is never repeated after an unknown outcome
 */
ngx_uint_t ngx_http_tgbot_method_once(ngx_str_t *name);

/*
 * Reads a complete answer of the Bot API.  "status" is the HTTP status;
 * "retry_after" is the value of that header or empty; the header takes
 * precedence over the body, only whole seconds above 0 count.
 * A 5xx without JSON, as Telegram's own nginx sends it, is UNAVAILABLE; so is
 * a missing status or a 1xx.  A 2xx is OK whatever its body.  description is
 * copied into pool.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_method_result(ngx_http_tgbot_method_result_t *result,
    ngx_uint_t status, ngx_str_t *retry_after, ngx_str_t *body,
    ngx_pool_t *pool);

/*
 * Makes a new method->body in pool, in which the value of chat_id is replaced
 * by the argument, as a number in JSON and as digits in a form; chat_pos and
 * chat_len are updated.
 * NGX_DECLINED: the call has no chat_id.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_method_migrate(ngx_http_tgbot_method_t *method,
    int64_t chat_id, ngx_pool_t *pool);

/* a copy that owns its strings, in pool; NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_method_copy(ngx_http_tgbot_method_t *dst,
    ngx_http_tgbot_method_t *src, ngx_pool_t *pool);


/*
 * The objects of a JSON answer that name a method.
 */

/* keys that are looked for */

typedef enum {
    NGX_HTTP_TGBOT_OBJECT_METHOD = 0,
    NGX_HTTP_TGBOT_OBJECT_CHAT_ID,
    NGX_HTTP_TGBOT_OBJECT_INLINE_MESSAGE_ID,
    NGX_HTTP_TGBOT_OBJECT_USER_ID,
    NGX_HTTP_TGBOT_OBJECT_MESSAGE_ID,
    NGX_HTTP_TGBOT_OBJECT_BUSINESS_CONNECTION_ID,
    NGX_HTTP_TGBOT_OBJECT_MESSAGE_THREAD_ID,
    NGX_HTTP_TGBOT_OBJECT_DIRECT_MESSAGES_TOPIC_ID,
    NGX_HTTP_TGBOT_OBJECT_EPHEMERAL_MESSAGE_PARAMETERS,
    NGX_HTTP_TGBOT_OBJECT_RECEIVER_USER_ID,
    NGX_HTTP_TGBOT_OBJECT_EPHEMERAL_MESSAGE_ID,

    /* in the order of ngx_http_tgbot_query_e */
    NGX_HTTP_TGBOT_OBJECT_CALLBACK_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_INLINE_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_SHIPPING_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_PRE_CHECKOUT_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_GUEST_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_WIDGET_QUERY_ID,
    NGX_HTTP_TGBOT_OBJECT_CHAT_JOIN_REQUEST_QUERY_ID,

    NGX_HTTP_TGBOT_OBJECT_OTHER
} ngx_http_tgbot_method_object_key_e;


typedef struct {
    ngx_str_t     body;       /* its bytes, from brace to brace */

    /*
     * "method" decoded, valid only during the call; empty if it is not a
     * string
     */
    ngx_str_t     name;

    /* a number or string, quotes included, in body; len 0: there is none */
    size_t        chat_pos;
    size_t        chat_len;

    /* 1 << key for each key of the object; null counts as no value */
    ngx_uint_t    keys;

    /* 1 << key for each null, and where it begins in body */
    ngx_uint_t    nulls;
    size_t        null_pos[NGX_HTTP_TGBOT_OBJECT_OTHER];

    unsigned      twice:1;    /* "method" or "chat_id" is there twice */
} ngx_http_tgbot_method_object_t;


/* any result except NGX_OK stops the parser, which returns that result */
typedef ngx_int_t (*ngx_http_tgbot_method_object_pt)(void *data,
    ngx_http_tgbot_method_object_t *object);


/*
 * Parses a JSON document and calls handler for the outermost object or, in
 * order, for the elements of the outermost array, if they are objects with
 * "method".  *others becomes the number of other elements.  Objects before an
 * error have been delivered.
 *
 * NGX_OK        well-formed
 * NGX_DECLINED  not JSON
 * NGX_BUSY      nested too deeply
 * NGX_ERROR     no memory
 * other         what handler returned
 */
ngx_int_t ngx_http_tgbot_method_object_parse(ngx_str_t *body,
    ngx_http_tgbot_method_object_pt handler, void *data, ngx_uint_t *others);

/* the key as it is written in JSON, without quotes; not for OTHER */
ngx_str_t *ngx_http_tgbot_method_object_key_name(ngx_uint_t key);


#endif /* _NGX_HTTP_TGBOT_METHOD_H_INCLUDED_ */
