
/*
 * The claim of an update, from the webhook or job that takes it to the one
 * place where a claim is settled.
 */

#ifndef _NGX_HTTP_TGBOT_CLAIM_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CLAIM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_method.h"


/* how a claim ends */

typedef enum {
    NGX_HTTP_TGBOT_CLAIM_RELEASE = 0,    /* the Update will come again */
    NGX_HTTP_TGBOT_CLAIM_FAIL,           /* the same, after an attempt */
    NGX_HTTP_TGBOT_CLAIM_ACCEPT,
    NGX_HTTP_TGBOT_CLAIM_FORGET          /* it comes again as a new one */
} ngx_http_tgbot_claim_end_e;


/* most seconds of Retry-After while Redis is away */
#define NGX_HTTP_TGBOT_CLAIM_RETRY  3


typedef struct ngx_http_tgbot_claim_redis_s  ngx_http_tgbot_claim_redis_t;


/* lies in its owner, a webhook or a job, which zeroes it first */

typedef struct {
    ngx_http_tgbot_dedup_claim_t   dedup;     /* lease.token 0: no claim */
    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_claim_redis_t  *redis;     /* NULL: nothing in Redis */

    /*
     * Called when the function that returned NGX_AGAIN is to be called again
     * with the same arguments; never from inside of it.  NULL: there is no
     * owner to call, a claim that is suspended ends by itself.  Set by each
     * owner.
     */
    void                         (*ready)(void *data);
    void                          *data;
} ngx_http_tgbot_claim_t;


/*
 * Claims an Update of "bot", which has tgbot_dedup, for this worker.
 *
 * NGX_OK        claimed: claim->dedup tells what is known of the Update
 * NGX_DECLINED  the Update is accepted already.  The call that rode in its
 *               response, if it is kept, is in *ride, whose strings must be
 *               copied at once; otherwise *ride is empty
 * NGX_BUSY      a live worker has claimed the Update, at claim->dedup.first
 * NGX_ABORT     live workers have claimed as many Updates as there is room for
 * NGX_ERROR     Redis is away, or there is no memory: nothing is known
 * NGX_AGAIN     claim->ready() will be called
 */
ngx_int_t ngx_http_tgbot_claim_take(ngx_http_tgbot_claim_t *claim,
    ngx_http_tgbot_bot_t *bot, int64_t update_id,
    ngx_http_tgbot_method_t *ride);

/*
 * Whether this worker may still act on the update; 1 without a claim.  0 is
 * logged and counted, and there is no claim any more.  Never suspended.
 */
ngx_uint_t ngx_http_tgbot_claim_holds(ngx_http_tgbot_claim_t *claim);

/* "to" is the owner from now on, "from" has no claim; neither is suspended */
void ngx_http_tgbot_claim_move(ngx_http_tgbot_claim_t *to,
    ngx_http_tgbot_claim_t *from);

/*
 * Ends the claim by a verdict.  "ride", if not NULL, is the call in the
 * response: it is kept for a duplicate, if it is small enough.  An owner that
 * ends sets claim->ready to NULL and settles a last time.
 *
 * NGX_OK        settled, or there is no claim
 * NGX_DECLINED  the lease is lost (logged and counted): another worker has
 *               taken the update over, and the verdict does not hold
 * NGX_AGAIN     claim->ready() will be called
 * NGX_BUSY      the same, but Redis is away: it may take as long as the lease,
 *               so who waits for the verdict should be told "busy"
 */
ngx_int_t ngx_http_tgbot_claim_settle(ngx_http_tgbot_claim_t *claim,
    ngx_uint_t verdict, ngx_http_tgbot_method_t *ride);


#endif /* _NGX_HTTP_TGBOT_CLAIM_H_INCLUDED_ */
