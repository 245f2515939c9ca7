
/*
 * What one call of a program does with its Idempotency-Key: takes the
 * fingerprint of its body, looks the key up, waits for another call of the
 * key, or is sent, and tells what became of it.
 */

#ifndef _NGX_HTTP_TGBOT_IDEMPOTENCY_USE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_IDEMPOTENCY_USE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_idempotency.h"
#include "ngx_http_tgbot_print.h"
#include "ngx_http_tgbot_wait.h"


/* characters of a key, from "!" to "~" */
#define NGX_HTTP_TGBOT_IDEMPOTENCY_USE_KEY   255

/* bytes of the largest body that is kept */
#define NGX_HTTP_TGBOT_IDEMPOTENCY_USE_BODY  (16 * 1024)


/* an answer as it is given again */

typedef struct {
    ngx_uint_t                           status;
    ngx_str_t                            type;      /* Content-Type */
    ngx_str_t                            encoding;  /* Content-Encoding */
    ngx_str_t                            body;
} ngx_http_tgbot_idempotency_answer_t;


typedef struct ngx_http_tgbot_idempotency_use_s
    ngx_http_tgbot_idempotency_use_t;

/* zeroed by the owner, who ends it with ngx_http_tgbot_idempotency_use_end() */

struct ngx_http_tgbot_idempotency_use_s {

    /* set by the owner before start */

    ngx_http_tgbot_bot_t                *bot;
    ngx_http_request_t                  *request;   /* of the program; its body
                                                       was read */
    ngx_str_t                            method;    /* of the Bot API, or the
                                                       zone of a broadcast */
    ngx_msec_t                           limit;     /* ms to wait at most */

    /*
     * Ends NGX_AGAIN, with one of the other codes; never called from inside
     * start or end.
     */
    void                               (*ready)(
                                          ngx_http_tgbot_idempotency_use_t *use,
                                          ngx_int_t rc);
    void                                *data;

    /* set with NGX_DONE */

    ngx_http_tgbot_idempotency_answer_t  answer;    /* status 0: none */
    ngx_uint_t                           status;    /* of an error, if there is
                                                       no answer; 0: none */
    const char                          *error;     /* its description */

    /* private */

    ngx_http_tgbot_idempotency_call_t    call;
    ngx_http_tgbot_print_t               print;
    ngx_http_tgbot_wait_t                wait;
    ngx_event_t                          timer;     /* of the wait */
    ngx_chain_t                         *body;      /* not read yet */
    off_t                                offset;    /* in its first buffer */

    unsigned                             active:1;
    unsigned                             printed:1;
    unsigned                             waited:1;
};


/*
 * Worker start.  Ends the calls of processes that have died, and wakes those
 * who wait for them.  "zones" are all zones of the configuration.
 */
void ngx_http_tgbot_idempotency_use_init_process(ngx_array_t *zones,
    ngx_log_t *log);

/*
 * Called once the body was read.  "user" is the bot in the zone.
 *
 * NGX_DECLINED  the call has no key
 * NGX_OK        the call may be sent; its outcome must be told
 * NGX_AGAIN     ready() will be called
 * NGX_DONE      the call must not be sent: "answer" or "status" is set
 */
ngx_int_t ngx_http_tgbot_idempotency_use_start(
    ngx_http_tgbot_idempotency_use_t *use, ngx_http_tgbot_zone_user_t *user);

/*
 * The call is about to be sent, or to be repeated.  NGX_ERROR: it must not be:
 * this worker hung, and another call has the key; "status" is set.
 */
ngx_int_t ngx_http_tgbot_idempotency_use_sent(
    ngx_http_tgbot_idempotency_use_t *use);

/*
 * The call was answered.  Answers with 401, 429 and 5xx are not kept: the end
 * decides.  "body" NULL: all of the body is not at hand, or it is too large.
 */
void ngx_http_tgbot_idempotency_use_answered(
    ngx_http_tgbot_idempotency_use_t *use, ngx_uint_t status, ngx_str_t *type,
    ngx_str_t *encoding, ngx_str_t *body);

/*
 * The call has ended, in any state.  "unsent": it certainly had no effect.
 * Otherwise, if it was sent and not answered, its outcome is unknown.
 * Idempotent.
 */
void ngx_http_tgbot_idempotency_use_end(ngx_http_tgbot_idempotency_use_t *use,
    ngx_uint_t unsent);


#endif /* _NGX_HTTP_TGBOT_IDEMPOTENCY_USE_H_INCLUDED_ */
