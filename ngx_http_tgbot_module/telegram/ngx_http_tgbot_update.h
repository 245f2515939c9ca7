
/*
 * The fields of an Update.
 */

#ifndef _NGX_HTTP_TGBOT_UPDATE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_UPDATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update_type.h"


/*
 * update_id of an Update whose own update_id does not fit; it is the least
 * int64_t, and that number itself counts as one that does not fit
 */
#define NGX_HTTP_TGBOT_UPDATE_NO_ID       (-0x7fffffffffffffffLL - 1)

/* a longer string is cut at the end of a character */
#define NGX_HTTP_TGBOT_UPDATE_MAX_STRING  65536


/*
 * Strings are cleaned by ngx_http_tgbot_json_clean(); an absent string has
 * length 0.  A number is valid only if its has_ bit is set; a number that
 * does not fit 64 bits or has a fraction or exponent is absent.
 */

typedef struct {
    int64_t      update_id;        /* or NO_ID; has_update_id is 0 then */
    ngx_uint_t   type_index;       /* ngx_http_tgbot_update_type_e */
    ngx_uint_t   life;             /* s for which Telegram redelivers it */

    int64_t      chat_id;
    int64_t      user_id;          /* sender_chat if present, else from */
    int64_t      message_id;
    int64_t      thread_id;        /* only for a message in a topic */
    int64_t      date;             /* Unix time, s; edit_date of an edit */
    int64_t      user_chat_id;     /* of a join request, of a connection */
    int64_t      direct_id;        /* topic of a channel's direct messages */
    int64_t      ephemeral_id;     /* ephemeral_message_id */
    int64_t      from_id;          /* of "from", even if it is fake */
    int64_t      business_bot_id;  /* sender_business_bot */

    unsigned     has_update_id:1;
    unsigned     has_chat_id:1;
    unsigned     has_user_id:1;
    unsigned     has_message_id:1; /* not 0, as of an ephemeral message */
    unsigned     has_thread_id:1;
    unsigned     has_date:1;
    unsigned     has_user_chat_id:1;
    unsigned     has_direct_id:1;
    unsigned     has_ephemeral_id:1;
    unsigned     has_from_id:1;
    unsigned     has_business_bot_id:1;

    unsigned     is_bot:1;         /* a bot sent it, in no chat's name */
    unsigned     text_answers:1;   /* a text may answer it */

    /* the strings must come last */

    ngx_str_t    type;             /* key next to update_id: "message" ... */
    ngx_str_t    chat_type;
    ngx_str_t    username;
    ngx_str_t    first_name;
    ngx_str_t    language;         /* language_code of the user */
    ngx_str_t    text;             /* text or caption, query of inline; of
                                      a rich_message what its blocks say */
    ngx_str_t    command;          /* "/start" of "/start@my_bot x y" */
    ngx_str_t    command_bot;      /* "my_bot" */
    ngx_str_t    args;             /* "x y" */
    ngx_str_t    data;             /* callback data, invoice payload ... */
    ngx_str_t    message_kind;     /* "text", "photo", "invoice" ... */
    ngx_str_t    query_id;         /* id of the query to answer */
    ngx_str_t    business_connection_id;
    ngx_str_t    poll_id;          /* of poll and poll_answer */
    ngx_str_t    inline_message_id;
    ngx_str_t    media_group_id;
} ngx_http_tgbot_update_t;


/*
 * Reads the Update "body".  Its strings point into body, which must live as
 * long, or are in pool if they had to be decoded or cleaned.  Keys may come in
 * any order; in an unknown type, chat and user are looked up in the usual
 * places.  If a key occurs twice, the first one counts; a null value counts as
 * an absent key.
 *
 * NGX_OK        *update is filled in; also for a document that is nested too
 *               deeply for the parser, as no field that is read is so deep
 * NGX_DECLINED  not JSON, or no update_id at the outermost level that is an
 *               integer (of any size, without fraction and exponent)
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_http_tgbot_update_parse(ngx_http_tgbot_update_t *update,
    ngx_str_t *body, ngx_pool_t *pool);

/*
 * The command of a message is none of ours if it names another bot than
 * "username" (any case of letters; "": not known): the update then has no
 * command and no args; command_bot stays.
 */
void ngx_http_tgbot_update_for(ngx_http_tgbot_update_t *update,
    ngx_str_t *username);

/*
 * Copies the fields of the Update "from", of which "to" is a copy: strings that
 * lie in "from" are found in "to", other strings are copied into pool, and
 * *size becomes the number of their bytes.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_update_copy(ngx_http_tgbot_update_t *dst,
    ngx_http_tgbot_update_t *src, ngx_str_t *from, ngx_str_t *to, size_t *size,
    ngx_pool_t *pool);

/*
 * Writes the fields of the Update "body" as bytes, in pool, that another
 * process can read: a string that lies in body is written as its place in
 * body, other strings are written with their bytes.  Empty data: the Update
 * is too large for that and is parsed again.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_update_write(ngx_http_tgbot_update_t *update,
    ngx_str_t *body, ngx_str_t *data, ngx_pool_t *pool);

/*
 * Reads these bytes into update, whose strings point into body and data,
 * which must live as long.  NGX_DECLINED: data is empty, damaged or from
 * another version of the module, so body must be parsed; *update is
 * undefined.
 */
ngx_int_t ngx_http_tgbot_update_read(ngx_http_tgbot_update_t *update,
    ngx_str_t *body, ngx_str_t *data);


/* whether it is about a payment, which is never limited or stale */
ngx_uint_t ngx_http_tgbot_update_payment(ngx_http_tgbot_update_t *update);

/*
 * *album becomes the media_group_id of a new message, and empty otherwise: an
 * edit of a photo is no photo of the album.
 */
void ngx_http_tgbot_update_album(ngx_http_tgbot_update_t *update,
    ngx_str_t *album);

/* whether it is never limited */
ngx_uint_t ngx_http_tgbot_update_unlimited(ngx_http_tgbot_update_t *update);


/*
 * The lane of an update, the same on all machines: Telegram delivers updates
 * with the same lane one after another.  An update that shares its queue with
 * no other has a lane of its own.
 */
uint64_t ngx_http_tgbot_update_lane(ngx_http_tgbot_update_t *update);


#endif /* _NGX_HTTP_TGBOT_UPDATE_H_INCLUDED_ */
