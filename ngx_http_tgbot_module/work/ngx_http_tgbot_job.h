
/*
 * One update from claim to settle: the program's call, then the Bot API
 * calls of its answer.  A job has no request: a webhook's request that waits
 * for the job only points at it.
 */

#ifndef _NGX_HTTP_TGBOT_JOB_H_INCLUDED_
#define _NGX_HTTP_TGBOT_JOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache_use.h"
#include "ngx_http_tgbot_claim.h"
#include "ngx_http_tgbot_dead_verbs.h"
#include "ngx_http_tgbot_handler.h"
#include "ngx_http_tgbot_queue_verbs.h"
#include "ngx_http_tgbot_send.h"


/*
 * When a call waits for longer than this, ms, its job gives the item back to
 * the queue; or an exiting worker drops a job that has no item
 */
#define NGX_HTTP_TGBOT_JOB_PATIENCE  1000


typedef struct ngx_http_tgbot_job_s  ngx_http_tgbot_job_t;


/* how a job ended, for the request that waits for it */

typedef struct {
    ngx_uint_t                     verdict;

    /* bounds of Retry-After, seconds; only with verdict "busy" */
    ngx_uint_t                     retry_min;
    ngx_uint_t                     retry_max;

    /* the call that rides in the response, or NULL; valid inside settled() */
    ngx_http_tgbot_method_t       *ride;
} ngx_http_tgbot_settled_t;


struct ngx_http_tgbot_job_s {
    ngx_rbtree_node_t              node;      /* of bot->jobs */
    ngx_queue_t                    queue;     /* of the worker's jobs */

    ngx_http_tgbot_bot_t          *bot;
    ngx_pool_t                    *pool;
    ngx_msec_t                     start;     /* the first receipt */
    ngx_msec_t                     begun;     /* start of this job */
    size_t                         size;      /* bytes accounted for */

    ngx_http_tgbot_ctx_t           ctx;       /* of its calls */
    ngx_http_tgbot_update_t        update;
    ngx_http_tgbot_client_t        client;
    ngx_str_t                      body;      /* the Update as it came */

    ngx_http_tgbot_handler_t       handler;
    ngx_http_tgbot_send_t          send;
    ngx_http_tgbot_answer_t        answer;
    ngx_uint_t                     next;      /* index of a call */

    /* set by the caller that made the job; the job settles them */
    ngx_http_tgbot_claim_t         claim;
    ngx_http_tgbot_cache_use_t     cache;

    /* of a job from the queue */
    ngx_http_tgbot_item_t          item;
    ngx_http_tgbot_queue_held_t    held;
    const char                    *verdict;   /* while it is settled */

    uint64_t                       letter;    /* replayed one, 0: none */
    ngx_http_tgbot_dead_held_t     replay;    /* of the letter */

    /* while it becomes a dead letter; NULL: it does not */
    ngx_http_tgbot_dead_op_t      *dead;
    void                         (*given_up)(ngx_http_tgbot_job_t *job,
                                       ngx_int_t rc);

    ngx_uint_t                     ended;     /* with this verdict */

    ngx_uint_t                     status;    /* of the program's answer */
    ngx_msec_t                     retry_after;  /* of it, ms, 0: none */

    /* the webhook's request that waits; NULL if none does */
    void                         (*settled)(void *data,
                                       ngx_http_tgbot_settled_t *settled);
    void                          *data;

    unsigned                       listed:1;  /* in bot->jobs */
    unsigned                       own:1;     /* has its answer already */
    unsigned                       acked:1;   /* Telegram got its 200 */
    unsigned                       by_api:1;  /* no call rides */
    unsigned                       riding:1;  /* accepted with call 0 */
    unsigned                       queued:1;  /* taken from the queue */
    unsigned                       resumed:1; /* at a call tried before */
    unsigned                       notice:1;  /* sends a limit's text */
    unsigned                       noted:1;   /* the item says that a call that
                                                 must not be repeated is sent */
};


void ngx_http_tgbot_job_init_process(void);

/* worker exit: drops all jobs, settled() is not called; frees all memory */
void ngx_http_tgbot_job_exit_process(void);

/*
 * The job of this update in this worker.  NULL: there is none, or the update
 * has no usable update_id.
 */
ngx_http_tgbot_job_t *ngx_http_tgbot_job_find(ngx_http_tgbot_bot_t *bot,
    int64_t update_id);

/*
 * Makes a job of an update received on r, with "body" from body.h; the job
 * copies all that it needs.  NULL: no memory, or the worker has too many jobs
 * (logged).
 */
ngx_http_tgbot_job_t *ngx_http_tgbot_job_create(ngx_http_tgbot_bot_t *bot,
    ngx_http_request_t *r, ngx_http_tgbot_ctx_t *ctx, ngx_str_t *body);

/*
 * Makes a job of an item that was written with job_record.h.  The item's
 * strings must be in "pool", which the job owns after NGX_OK; else the caller
 * still owns it.  NGX_DECLINED: the item is of another version of the module,
 * or damaged.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_job_restore(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_item_t *item, ngx_pool_t *pool,
    ngx_http_tgbot_job_t **jobp);

/* whether the worker has room for another job */
ngx_uint_t ngx_http_tgbot_job_room(void);

/*
 * Gives the job an answer made by nginx, which is copied; the program is then
 * not called.  bot->conf->api must be set.  NGX_ERROR: no memory, and the job
 * is freed.
 */
ngx_int_t ngx_http_tgbot_job_answer(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_answer_t *answer);

/*
 * Runs the job; settled(data, ...) is called once, never from inside.  A job
 * from the queue may already be freed when this returns.
 */
void ngx_http_tgbot_job_run(ngx_http_tgbot_job_t *job);

/* runs a job taken from the queue, or settles its item as expired */
void ngx_http_tgbot_job_queued_start(ngx_http_tgbot_job_t *job);

/* drops the job; settled() is not called */
void ngx_http_tgbot_job_cancel(ngx_http_tgbot_job_t *job);

/* the request stops waiting, without settled(); the job goes on */
void ngx_http_tgbot_job_leave(ngx_http_tgbot_job_t *job);

/*
 * Graceful shutdown: drops the jobs that would wait for over a second, if
 * Telegram will redeliver their updates or their bot is unauthorized.  Their
 * requests are settled as "busy".  Jobs from the queue give their items back,
 * also those that wait for another update's answer.
 */
void ngx_http_tgbot_job_release(void);

/* drops all jobs; with "tell" their requests are settled as "busy" */
void ngx_http_tgbot_job_abort(ngx_uint_t tell);


/* inside ngx_http_tgbot_job*.c */

/* all jobs of this worker, by "queue" */
extern ngx_queue_t  ngx_http_tgbot_jobs;

/* ms since the first receipt; 0 if that worker's clock is ahead of ours */
ngx_msec_t ngx_http_tgbot_job_age(ngx_http_tgbot_job_t *job);

/* writes the line of tgbot_log for this update */
void ngx_http_tgbot_job_log(ngx_http_tgbot_job_t *job, const char *verdict);

/* frees the job, and releases every lease that it still holds */
void ngx_http_tgbot_job_free(ngx_http_tgbot_job_t *job);

/* tells a request that waits how the job ended, once */
void ngx_http_tgbot_job_settle(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_settled_t *result);

/* tells it "busy", to be redelivered after 1 to retry_max seconds */
void ngx_http_tgbot_job_busy(ngx_http_tgbot_job_t *job, ngx_uint_t retry_max);

/* ends a job that is not from the queue, with the verdict job->ended */
void ngx_http_tgbot_job_finish(ngx_http_tgbot_job_t *job);

/*
 * The program has failed.  If these were all its attempts the update is given
 * up: returns 1, and the job is finished, now or later.
 */
ngx_uint_t ngx_http_tgbot_job_spent(ngx_http_tgbot_job_t *job);

/* whether the job still holds its lease; 0 is logged */
ngx_uint_t ngx_http_tgbot_job_holds(ngx_http_tgbot_job_t *job);

/*
 * Makes a dead letter of the update, then calls then(job, rc), from inside or
 * later.
 *
 * NGX_OK        the letter is kept
 * NGX_DECLINED  dead letters are off, or this one does not fit (logged)
 * NGX_ERROR     no memory
 * NGX_ABORT     they are away (logged).  With the cause "unsent" that is only
 *               said when the lease is lost
 */
void ngx_http_tgbot_job_give_up(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_dead_cause_e cause,
    void (*then)(ngx_http_tgbot_job_t *job, ngx_int_t rc));

/* the job of a replayed letter ends: drops the letter if it is handled */
void ngx_http_tgbot_job_replayed(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict);

/*
 * A Bot API call waits for "delay" ms.  If that is over a second, the item goes
 * back to the queue and the job is freed.
 */
void ngx_http_tgbot_job_queued_wait(ngx_http_tgbot_job_t *job,
    ngx_msec_t delay);

/*
 * For send->leaving.  If the call must not be repeated, the item notes first
 * that it may have been sent: a worker that takes the item then gives it up.
 */
ngx_int_t ngx_http_tgbot_job_queued_leaving(ngx_http_tgbot_send_t *send);

/*
 * Sets progress and answer in job->item, without a note: any worker can resume
 * at the call that is under way.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_job_queued_keep(ngx_http_tgbot_job_t *job);

/*
 * Gives the item back, to be taken after "delay" ms; does not free the job.
 * NGX_AGAIN: there is no room for the answer of job->item, nothing changes.
 */
ngx_int_t ngx_http_tgbot_job_queued_give(ngx_http_tgbot_job_t *job,
    ngx_msec_t delay, ngx_http_tgbot_queue_program_e program);

/* settles the item or gives it back, and frees the job */
void ngx_http_tgbot_job_queued_end(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict);


#endif /* _NGX_HTTP_TGBOT_JOB_H_INCLUDED_ */
