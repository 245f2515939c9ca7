
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


/*
 * Lies in its owner, a webhook or a job, which zeroes it first.  An assignment
 * gives it to another owner: the old one then sets dedup.lease.token to 0, the
 * new one ready and data.  It is not moved while take() or settle() is
 * suspended.
 */

typedef struct {
    ngx_http_tgbot_dedup_claim_t   dedup;     /* lease.token 0: no claim */
    ngx_http_tgbot_bot_t          *bot;

    /*
     * Called when the function that returned NGX_AGAIN is to be called again
     * with the same arguments; never from inside of it.  NULL: nobody waits, a
     * claim that is suspended ends without its owner.
     */
    void                         (*ready)(void *data);
    void                          *data;
} ngx_http_tgbot_claim_t;


/*
 * Claims an Update of "bot", which has tgbot_dedup, for this worker.
 *
 * NGX_OK        claimed: claim->dedup tells what is known of the Update
 * NGX_DECLINED  the Update is accepted already.  The call that rode in its
 *               response, if it is kept, is in *ride, whose strings are valid
 *               until the next call of this function; otherwise *ride is empty
 * NGX_BUSY      a live worker has claimed the Update, at claim->dedup.first
 * NGX_ABORT     live workers have claimed as many Updates as there is room for
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

/*
 * Ends the claim by a verdict.  "ride", if not NULL, is the call in the
 * response: it is kept for a duplicate, if it is small enough.  An owner that
 * ends sets claim->ready to NULL and settles a last time.
 *
 * NGX_OK        settled, or there is no claim
 * NGX_DECLINED  the lease is lost (logged and counted): another worker has
 *               taken the update over, and the verdict does not hold
 * NGX_AGAIN     claim->ready() will be called
 */
ngx_int_t ngx_http_tgbot_claim_settle(ngx_http_tgbot_claim_t *claim,
    ngx_uint_t verdict, ngx_http_tgbot_method_t *ride);


#endif /* _NGX_HTTP_TGBOT_CLAIM_H_INCLUDED_ */
