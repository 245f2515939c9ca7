
/*
 * The location of a bot's webhook: what Telegram sends goes through a table
 * of stages.
 */

#ifndef _NGX_HTTP_TGBOT_WEBHOOK_H_INCLUDED_
#define _NGX_HTTP_TGBOT_WEBHOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_acknowledge.h"
#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache_wait.h"
#include "ngx_http_tgbot_job.h"


/* Retry-After when there is no room for another update in work, seconds */
#define NGX_HTTP_TGBOT_WEBHOOK_RETRY  5


typedef struct {
    ngx_http_tgbot_ctx_t              ctx;    /* first: the module's context */

    ngx_http_request_t               *request;
    ngx_uint_t                        stage;
    ngx_msec_t                        start;  /* first receipt */
    ngx_msec_t                        received;   /* this delivery */

    ngx_chain_t                      *body;
    ngx_http_tgbot_update_t           update;
    ngx_http_variable_value_t        *variables;  /* see reply.h */

    ngx_http_tgbot_claim_t            claim;  /* without a lease: the job's */

    ngx_http_tgbot_cache_t            cache;  /* likewise; zone NULL: none */
    ngx_http_tgbot_cache_wait_t       wait;
    ngx_msec_t                        waiting;    /* since, of the cache */

    ngx_http_tgbot_answer_t           answer;     /* of nginx itself */
    ngx_http_tgbot_job_t             *job;        /* we wait for */
    ngx_http_tgbot_job_t             *after;      /* to run after the answer */
    ngx_event_t                       timer;      /* tgbot_hold_timeout */

    ngx_http_tgbot_acknowledgement_t  ack;

    unsigned                          read:1;     /* the body, by us */
    unsigned                          own:1;      /* answered by nginx itself */
    unsigned                          keep:1;     /* the riding call */
    unsigned                          charged:1;  /* by limits */
    unsigned                          waited:1;   /* for the cache */
    unsigned                          settled:1;
    unsigned                          worked:1;   /* a job has the update */
} ngx_http_tgbot_webhook_t;


/* content handler of the location; not for subrequests (404) */
ngx_int_t ngx_http_tgbot_webhook_handler(ngx_http_request_t *r);


/*
 * Stages and what they share, inside ngx_http_tgbot_webhook*.c.  A stage
 * returns NGX_OK: on to the next one; NGX_DONE: the verdict is reached, on to
 * settle; NGX_ERROR: likewise, failed; NGX_AGAIN: suspended, or over.
 */

ngx_int_t ngx_http_tgbot_webhook_claim(ngx_http_tgbot_webhook_t *w);
ngx_int_t ngx_http_tgbot_webhook_stale(ngx_http_tgbot_webhook_t *w);
ngx_int_t ngx_http_tgbot_webhook_limit(ngx_http_tgbot_webhook_t *w);
ngx_int_t ngx_http_tgbot_webhook_reply(ngx_http_tgbot_webhook_t *w);
ngx_int_t ngx_http_tgbot_webhook_cache(ngx_http_tgbot_webhook_t *w);

/* goes on with the stage it is at, from an event that is not its request's */
void ngx_http_tgbot_webhook_resume(ngx_http_tgbot_webhook_t *w);

/* what the verdict makes of the claim, which the verdict may follow */
void ngx_http_tgbot_webhook_unclaim(ngx_http_tgbot_webhook_t *w);

/* payments are neither too many nor too old */
ngx_uint_t ngx_http_tgbot_webhook_payment(ngx_http_tgbot_update_t *update);

/* verdict busy, with bounds for Retry-After in seconds; returns NGX_DONE */
ngx_int_t ngx_http_tgbot_webhook_busy(ngx_http_tgbot_webhook_t *w,
    ngx_uint_t retry_min, ngx_uint_t retry_max);

/* w->answer is what nginx answers itself: lets it ride, or leaves it to work */
ngx_int_t ngx_http_tgbot_webhook_answer(ngx_http_tgbot_webhook_t *w);

/* the first call rides, those that follow it are made afterwards */
ngx_int_t ngx_http_tgbot_webhook_ride(ngx_http_tgbot_webhook_t *w);

/* in ngx_http_tgbot_webhook_queue.c, of a bot that has a queue: */

/*
 * whether w->answer may go with the response, as it is one call and nothing
 * of the lane is before it: NGX_OK or NGX_DECLINED
 */
ngx_int_t ngx_http_tgbot_webhook_first(ngx_http_tgbot_webhook_t *w);

/* the answer for the update that is in the cache; NGX_DECLINED: none */
ngx_int_t ngx_http_tgbot_webhook_cached(ngx_http_tgbot_webhook_t *w,
    ngx_str_t *value);

/* the key of the cache; NGX_DECLINED: empty, or nothing is to be cached */
ngx_int_t ngx_http_tgbot_webhook_cache_key(ngx_http_tgbot_webhook_t *w);

/* the request is held: at most for tgbot_hold_timeout, or till hang-up */
ngx_int_t ngx_http_tgbot_webhook_suspend(ngx_http_tgbot_webhook_t *w);


/*
 * Whether a request comes from Telegram, by what its header says.
 */


#endif /* _NGX_HTTP_TGBOT_WEBHOOK_H_INCLUDED_ */
