
/*
 * The Bot API calls in the answer of a program or of tgbot_reply.
 */

#ifndef _NGX_HTTP_TGBOT_ANSWER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ANSWER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_update.h"


/* calls in one answer; an answer with more calls makes none */
#define NGX_HTTP_TGBOT_ANSWER_MAX_CALLS  32

/* units of UTF-16 in the text of a message, and of an answerCallbackQuery */
#define NGX_HTTP_TGBOT_ANSWER_MAX_TEXT   4096
#define NGX_HTTP_TGBOT_ANSWER_MAX_ALERT  200


/* what an answer is read as */

typedef enum {
    NGX_HTTP_TGBOT_ANSWER_AS_NOTHING = 0,
    NGX_HTTP_TGBOT_ANSWER_AS_JSON,
    NGX_HTTP_TGBOT_ANSWER_AS_FORM
} ngx_http_tgbot_answer_as_e;


/* why an answer, or a part of it, makes no call */

typedef enum {
    NGX_HTTP_TGBOT_ANSWER_TYPE = 0,      /* a call under another type */
    NGX_HTTP_TGBOT_ANSWER_NOT_JSON,      /* nor a form */
    NGX_HTTP_TGBOT_ANSWER_ENCODING,      /* Content-Encoding */
    NGX_HTTP_TGBOT_ANSWER_TOO_MANY,      /* calls */
    NGX_HTTP_TGBOT_ANSWER_REFUSED_METHOD,
    NGX_HTTP_TGBOT_ANSWER_BAD_METHOD,    /* no name, or a wrong one */
    NGX_HTTP_TGBOT_ANSWER_NO_ADDRESS,    /* where it could be sent */
    NGX_HTTP_TGBOT_ANSWER_REASONS
} ngx_http_tgbot_answer_reason_e;


typedef struct {
    ngx_array_t   calls;            /* of ngx_http_tgbot_method_t */

    /*
     * why the answer, or one of its elements, made no call, for the log;
     * static text such as "is not JSON" or "calls a method that is not
     * allowed"; NULL: no problem
     */
    const char   *problem;
    ngx_uint_t    reason;           /* of a problem, for the counters:
                                       ngx_http_tgbot_answer_reason_e */
    ngx_str_t     culprit;          /* cleaned method name, may be "" */

    unsigned      cut:1;            /* the text was too long */
} ngx_http_tgbot_answer_t;


/*
 * What an answer with this Content-Type is read as, a
 * ngx_http_tgbot_answer_as_e.  JSON: application/json, text/json and
 * application/<anything>+json, in any case, with or without parameters.
 */
ngx_uint_t ngx_http_tgbot_answer_as(ngx_str_t *content_type);

/*
 * Reads an answer of the given Content-Type (with or without parameters).
 *
 * JSON: an object with "method" is one call, an array of such objects is calls
 * in that order, anything else (or an empty body) is no call, and a problem if
 * it is a string that holds a call.
 * The bytes of an object are kept as they are, but for an address that is
 * missing: see address.h.
 * multipart/form-data and application/x-www-form-urlencoded: one call, bytes
 * untouched, named by the field "method"; without that field no call.
 * Other types: no call, and a problem if the body looks like a method.
 *
 * An element that is not allowed or has no valid name makes no call and is a
 * problem; the other elements still make theirs.
 *
 * Strings point into body where possible and into pool otherwise: body must
 * live as long as the calls.  NGX_OK, or NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_answer_parse(ngx_http_tgbot_answer_t *answer,
    ngx_str_t *content_type, ngx_str_t *body, ngx_http_tgbot_update_t *update,
    ngx_pool_t *pool);

/*
 * Makes the call that answers the update with text: answerCallbackQuery,
 * answerGuestQuery or sendMessage.  A text that is too long is cut at the end
 * of a character, and answer->cut is set.
 * NGX_DECLINED: no text answers the update (update->text_answers), or it lacks
 * an id of its address.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_answer_text(ngx_http_tgbot_answer_t *answer,
    ngx_str_t *text, ngx_http_tgbot_update_t *update, ngx_pool_t *pool);

/* bytes of the whole characters of UTF-8 that have so many units of UTF-16 */
size_t ngx_http_tgbot_answer_fits(ngx_str_t *text, size_t units);


#endif /* _NGX_HTTP_TGBOT_ANSWER_H_INCLUDED_ */
