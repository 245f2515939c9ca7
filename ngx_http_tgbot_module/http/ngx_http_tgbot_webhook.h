
/*
 * The location of a bot's webhook: each delivery goes through a table of
 * stages.
 */

#ifndef _NGX_HTTP_TGBOT_WEBHOOK_H_INCLUDED_
#define _NGX_HTTP_TGBOT_WEBHOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_acknowledge.h"
#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache_use.h"
#include "ngx_http_tgbot_claim.h"
#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_limit_redis.h"
#include "ngx_http_tgbot_queue_verbs.h"


/* most seconds of Retry-After when there is no room for another Update */
#define NGX_HTTP_TGBOT_WEBHOOK_RETRY  5

/* the same while the queue is away */
#define NGX_HTTP_TGBOT_WEBHOOK_AWAY   3


typedef struct {
    ngx_http_tgbot_ctx_t              ctx;    /* first: the module's context */

    ngx_http_request_t               *request;
    ngx_uint_t                        stage;
    ngx_msec_t                        start;  /* first receipt of the Update */
    ngx_msec_t                        received;   /* receipt of this delivery */

    ngx_str_t                         body;
    ngx_http_tgbot_update_t           update;
    ngx_http_variable_value_t        *variables;  /* see reply.h */

    ngx_http_tgbot_claim_t            claim;      /* until the job has it */

    ngx_str_t                        *keys;       /* of limits whose zones gave
                                                     a token; else empty */
    ngx_http_tgbot_limit_redis_t     *limit;      /* NULL: Redis not asked */

    ngx_http_tgbot_cache_use_t        cache;

    ngx_http_tgbot_answer_t           answer;     /* reply or cached answer */
    ngx_http_tgbot_job_t             *job;        /* held: we wait for it */
    ngx_http_tgbot_job_t             *after;      /* runs after the response */
    ngx_http_tgbot_queue_put_t       *put;        /* we wait for it */
    ngx_event_t                       timer;      /* tgbot_hold_timeout */

    ngx_http_tgbot_acknowledgement_t  ack;

    unsigned                          read:1;     /* we have read the body */
    unsigned                          own:1;      /* nginx itself answers */
    unsigned                          keep:1;     /* record the riding call */
    unsigned                          settled:1;
    unsigned                          worked:1;   /* a job has the update */
} ngx_http_tgbot_webhook_t;


/* content handler of the location; returns 404 for a subrequest */
ngx_int_t ngx_http_tgbot_webhook_handler(ngx_http_request_t *r);

/*
 * Whether what came is the secret, which may not be "".  The time depends only
 * on the length of the secret.
 */
ngx_uint_t ngx_http_tgbot_webhook_equal(ngx_str_t *secret, ngx_str_t *given);


/*
 * Stages, and functions that they share; used only in
 * ngx_http_tgbot_webhook*.c.  A stage returns
 *
 * NGX_OK     run the next stage
 * NGX_DONE   w->ctx.verdict is set: go to the stage "settle"
 * NGX_ERROR  the verdict is failed: go to the stage "settle"
 * NGX_AGAIN  the delivery is suspended, or the request has been finalized
 */

ngx_int_t ngx_http_tgbot_webhook_claim(ngx_http_tgbot_webhook_t *w);
ngx_int_t ngx_http_tgbot_webhook_stale(ngx_http_tgbot_webhook_t *w);
ngx_int_t ngx_http_tgbot_webhook_limit(ngx_http_tgbot_webhook_t *w);
ngx_int_t ngx_http_tgbot_webhook_reply(ngx_http_tgbot_webhook_t *w);
ngx_int_t ngx_http_tgbot_webhook_cache(ngx_http_tgbot_webhook_t *w);

/*
 * The update is not accepted by a queue that keeps no record of it: zones get
 * back the tokens that limits took.  Idempotent.
 */
void ngx_http_tgbot_webhook_refund(ngx_http_tgbot_webhook_t *w);

/*
 * w->limit says what Redis answered.  NGX_OK: no limit is over; NGX_DECLINED:
 * one is, in a dry run; else the result of a stage, with the verdict.
 */
ngx_int_t ngx_http_tgbot_webhook_limited(ngx_http_tgbot_webhook_t *w);

/* runs on from w->stage; for events other than those of the request */
void ngx_http_tgbot_webhook_resume(ngx_http_tgbot_webhook_t *w);

/*
 * Sets the verdict busy, with bounds for Retry-After in seconds.  Returns
 * NGX_DONE.
 */
ngx_int_t ngx_http_tgbot_webhook_busy(ngx_http_tgbot_webhook_t *w,
    ngx_uint_t retry_min, ngx_uint_t retry_max);

/*
 * Takes w->answer as the answer of nginx itself: its first call rides, or all
 * calls are left to the stage "work".  Returns the result of a stage.
 */
ngx_int_t ngx_http_tgbot_webhook_answer(ngx_http_tgbot_webhook_t *w);

/* lets the first call ride; a job makes the other calls after the response */
ngx_int_t ngx_http_tgbot_webhook_ride(ngx_http_tgbot_webhook_t *w);

/* lets a copy of the call ride; NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_webhook_ride_copy(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_method_t *call);

/*
 * For a bot with a queue: NGX_OK if w->answer may ride, as it is one call and
 * its lane is empty, else NGX_DECLINED.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_webhook_first(ngx_http_tgbot_webhook_t *w);

/*
 * Holds the request until it is resumed, tgbot_hold_timeout passes, or the
 * client hangs up.  Returns NGX_OK or NGX_ERROR; a stage then returns
 * NGX_AGAIN or NGX_ERROR.
 */
ngx_int_t ngx_http_tgbot_webhook_suspend(ngx_http_tgbot_webhook_t *w);


#endif /* _NGX_HTTP_TGBOT_WEBHOOK_H_INCLUDED_ */
