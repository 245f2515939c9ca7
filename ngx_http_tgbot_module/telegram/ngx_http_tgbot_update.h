
/*
 * The fields of an Update.
 */

#ifndef _NGX_HTTP_TGBOT_UPDATE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_UPDATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * update_id of an Update whose own does not fit; the least of all int64_t,
 * which itself counts as one that does not
 */
#define NGX_HTTP_TGBOT_UPDATE_NO_ID       (-0x7fffffffffffffffLL - 1)

/* a longer string is cut, where a character ends */
#define NGX_HTTP_TGBOT_UPDATE_MAX_STRING  65536


/*
 * Strings are cleaned by ngx_http_tgbot_json_clean(); an absent one has
 * length 0.  A number counts only if its has_ bit is set; what does not fit
 * 64 bits or is written with a fraction or exponent is no number.
 */

typedef struct {
    int64_t      update_id;        /* or NO_ID, without its has_ bit */

    /*
     * seconds for which Telegram tries to deliver such an update (Client.cpp
     * of telegram-bot-api: 30 for inline_query, 150 for queries of buttons
     * and payments, 600 for chosen_inline_result and custom_event, 86400 for
     * the rest and for types we do not know)
     */
    ngx_uint_t   life;

    int64_t      chat_id;
    int64_t      user_id;          /* sender_chat before from */
    int64_t      message_id;
    int64_t      thread_id;        /* only of a topic message */
    int64_t      date;             /* Unix time, seconds; of an edit its own */

    unsigned     has_update_id:1;
    unsigned     has_chat_id:1;
    unsigned     has_user_id:1;
    unsigned     has_message_id:1;
    unsigned     has_thread_id:1;
    unsigned     has_date:1;

    /* strings are behind all else */

    ngx_str_t    type;             /* key beside update_id: "message" ... */
    ngx_str_t    chat_type;
    ngx_str_t    username;
    ngx_str_t    first_name;
    ngx_str_t    language;         /* language_code of the user */
    ngx_str_t    text;             /* text or caption, query of inline */
    ngx_str_t    command;          /* "/start" of "/start@my_bot x y" */
    ngx_str_t    args;             /* "x y" */
    ngx_str_t    data;             /* callback data, invoice payload ... */
    ngx_str_t    message_kind;     /* "text", "photo", "invoice" ... */
    ngx_str_t    query_id;         /* id of the query to be answered */
    ngx_str_t    business_connection_id;
    ngx_str_t    poll_id;          /* of poll and poll_answer */
} ngx_http_tgbot_update_t;


/*
 * Reads an Update from the memory buffers of "in".  Its strings point into
 * those, which must live as long, or are in pool where they had to be decoded
 * or cleaned.  Keys may come in any order, unknown types are looked up by the
 * usual places of chat and user.  Where a key stands twice the first one
 * counts, but null is as if the key were not there.
 *
 * NGX_OK        *update is filled in; also for a document that is nested too
 *               deeply for the parser, as nothing of use is so deep
 * NGX_DECLINED  not JSON, or no update_id at the outermost level, which is an
 *               integer of any size without fraction and exponent
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_http_tgbot_update_parse(ngx_http_tgbot_update_t *update,
    ngx_chain_t *in, ngx_pool_t *pool);

/* bytes of its strings */
size_t ngx_http_tgbot_update_size(ngx_http_tgbot_update_t *update);

/* a copy that owns its strings, in pool; NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_update_copy(ngx_http_tgbot_update_t *dst,
    ngx_http_tgbot_update_t *src, ngx_pool_t *pool);

/*
 * What was found in the Update "body", as bytes that outlive the worker, in
 * pool: strings that lie in body are told by their place there, the others
 * are with the bytes.  No bytes: it is too large for that.  NGX_ERROR: no
 * memory.
 */
ngx_int_t ngx_http_tgbot_update_write(ngx_http_tgbot_update_t *update,
    ngx_str_t *body, ngx_str_t *data, ngx_pool_t *pool);

/*
 * The same update, its strings point into body and data, which must live as
 * long.  NGX_DECLINED: no such bytes, or of a module that finds something
 * else in an Update, so that body is to be parsed; *update is garbage.
 */
ngx_int_t ngx_http_tgbot_update_read(ngx_http_tgbot_update_t *update,
    ngx_str_t *body, ngx_str_t *data);


/*
 * Which updates are to be handled in order: Telegram's own queues.
 */

/* a key takes at most so many bytes: a type, and an identifier */
#define NGX_HTTP_TGBOT_LANE_KEY  128


/*
 * Writes the key of the update's queue into buf, of LANE_KEY bytes.  Updates
 * with one key are delivered by Telegram one after the other; one that has
 * no company has a key of its own.
 */
void ngx_http_tgbot_update_lane_key(ngx_http_tgbot_update_t *update,
    u_char *buf, ngx_str_t *key);


#endif /* _NGX_HTTP_TGBOT_UPDATE_H_INCLUDED_ */
