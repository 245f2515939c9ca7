
/*
 * One update from claim to settle: the program's call, then the Bot API
 * calls of its answer.  A job has no request: whoever waits for it only
 * points at it.
 */

#ifndef _NGX_HTTP_TGBOT_JOB_H_INCLUDED_
#define _NGX_HTTP_TGBOT_JOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_cache_wait.h"
#include "ngx_http_tgbot_handler.h"
#include "ngx_http_tgbot_send.h"


typedef struct ngx_http_tgbot_job_s  ngx_http_tgbot_job_t;


/* how a job ended for the one who waits for it */

typedef struct {
    ngx_uint_t                     verdict;

    /* of a busy verdict: bounds of Retry-After, seconds */
    ngx_uint_t                     retry_min;
    ngx_uint_t                     retry_max;

    /* the call that rides in the response, or NULL; lives during settled() */
    ngx_http_tgbot_method_t       *ride;
} ngx_http_tgbot_settled_t;


struct ngx_http_tgbot_job_s {
    ngx_rbtree_node_t              node;      /* of bot->jobs */
    ngx_queue_t                    queue;     /* of the worker's jobs */

    ngx_http_tgbot_bot_t          *bot;
    ngx_pool_t                    *pool;
    ngx_msec_t                     start;     /* first receipt */
    ngx_msec_t                     begun;     /* this work on it */
    size_t                         size;      /* bytes accounted for */

    ngx_http_tgbot_ctx_t           ctx;       /* of its calls */
    ngx_http_tgbot_update_t        update;
    ngx_http_tgbot_client_t        client;
    ngx_str_t                      body;      /* the Update as it came */

    ngx_http_tgbot_handler_t       handler;
    ngx_http_tgbot_send_t          send;
    ngx_http_tgbot_answer_t        answer;
    ngx_uint_t                     next;      /* call of the answer */

    /* set by the one who made the job; settled by the job */
    ngx_http_tgbot_claim_t         claim;
    ngx_http_tgbot_cache_t         cache;     /* to be filled */

    /* of a job from the queue */
    ngx_http_tgbot_item_t          item;
    ngx_http_tgbot_queue_taken_t   taken;
    ngx_http_tgbot_cache_wait_t    wait;      /* for the cache */
    ngx_msec_t                     waiting;   /* since */

    uint64_t                       letter;    /* that is replayed, 0: none */
    ngx_http_tgbot_lease_t         replay;    /* of the letter */

    ngx_uint_t                     status;    /* of the program's answer */
    ngx_msec_t                     retry_after;  /* likewise */

    /* who waits; NULL when nobody does */
    void                         (*settled)(void *data,
                                       ngx_http_tgbot_settled_t *settled);
    void                          *data;

    unsigned                       listed:1;  /* in bot->jobs */
    unsigned                       own:1;     /* answered by nginx itself */
    unsigned                       acked:1;   /* Telegram got its 200 */
    unsigned                       charged:1; /* limits were taken */
    unsigned                       by_api:1;  /* no call is to ride */
    unsigned                       queued:1;  /* taken from the queue */
    unsigned                       resumed:1; /* at a call tried before */
    unsigned                       waited:1;  /* for the cache */
    unsigned                       notice:1;  /* of a limit, no more */
};


void ngx_http_tgbot_job_init_process(void);

/* worker exit: gives up all jobs without a word, frees what was kept */
void ngx_http_tgbot_job_exit_process(void);

/*
 * the job of this update that runs in this worker, or NULL, as of an update
 * whose update_id does not fit
 */
ngx_http_tgbot_job_t *ngx_http_tgbot_job_find(ngx_http_tgbot_bot_t *bot,
    int64_t update_id);

/*
 * Makes a job of an update received on r; all is copied.  "body" is the
 * Update's bytes.  NULL: no memory, or the worker's bound is reached (logged).
 */
ngx_http_tgbot_job_t *ngx_http_tgbot_job_create(ngx_http_tgbot_bot_t *bot,
    ngx_http_request_t *r, ngx_http_tgbot_ctx_t *ctx, ngx_chain_t *body);

/*
 * Makes a job of what a worker wrote by record.h: job->item, whose strings
 * are in job->pool.  NGX_DECLINED: they are of another version of the module,
 * or garbage.
 */
ngx_int_t ngx_http_tgbot_job_restore(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_item_t *item, ngx_pool_t *pool,
    ngx_http_tgbot_job_t **jobp);

/* whether the worker has room for another job */
ngx_uint_t ngx_http_tgbot_job_room(void);

/*
 * Gives the job the answer of a tgbot_reply, which is copied, instead of a
 * program: it will make the calls from number "first" on; those before have
 * gone to Telegram in the response.  bot->conf->api is set.  NGX_ERROR: no
 * memory, the job is gone.
 */
ngx_int_t ngx_http_tgbot_job_answer(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_answer_t *answer, ngx_uint_t first);

/*
 * Runs the job; settled(data, ...) is called once, never from inside.  A job
 * from the queue may be gone when this returns.
 */
void ngx_http_tgbot_job_run(ngx_http_tgbot_job_t *job);

/* runs a job that was taken from the queue, unless its life is over */
void ngx_http_tgbot_job_queued_start(ngx_http_tgbot_job_t *job);

/* gives the job up; settled() is not called */
void ngx_http_tgbot_job_cancel(ngx_http_tgbot_job_t *job);

/* nobody waits any more; the job goes on */
void ngx_http_tgbot_job_leave(ngx_http_tgbot_job_t *job);

/*
 * Graceful shutdown: gives up the jobs that would wait for over a second and
 * that Telegram will deliver again, or whose bot is unauthorized; who waits
 * for them is told "busy".
 */
void ngx_http_tgbot_job_release(void);

/* gives up all jobs; with "tell" who waits for them is told "busy" */
void ngx_http_tgbot_job_abort(ngx_uint_t tell);

/* logs and counts that a result is dropped, as the lease was lost */
void ngx_http_tgbot_job_taken_over(ngx_http_tgbot_bot_t *bot,
    int64_t update_id);


/* inside ngx_http_tgbot_job*.c */

/* all jobs of this worker, by "queue" */
extern ngx_queue_t  ngx_http_tgbot_jobs;

/* ms since the update was received; our clock may be behind another worker's */
ngx_msec_t ngx_http_tgbot_job_age(ngx_http_tgbot_job_t *job);

/* a line of tgbot_log: the update has come to this end */
void ngx_http_tgbot_job_log(ngx_http_tgbot_job_t *job, const char *verdict);

/* what is still claimed is released */
void ngx_http_tgbot_job_free(ngx_http_tgbot_job_t *job);

/*
 * The update is accepted; with "ride", that call is kept for a duplicate.
 * NGX_DECLINED: it was taken over, which is logged.
 */
ngx_int_t ngx_http_tgbot_job_accept(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_method_t *ride);

/* the verdict as a whole; NGX_DECLINED as above */
ngx_int_t ngx_http_tgbot_job_unclaim(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict);

/* the program has failed once more: whether it is given up by that */
ngx_uint_t ngx_http_tgbot_job_spent(ngx_http_tgbot_job_t *job);

/* whether the update is still this job's; 0 is logged */
ngx_uint_t ngx_http_tgbot_job_holds(ngx_http_tgbot_job_t *job);

/* fills the cache with the program's answer, or lets others try */
void ngx_http_tgbot_job_fill_cache(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_capture_t *result);
void ngx_http_tgbot_job_leave_cache(ngx_http_tgbot_job_t *job);

/*
 * Makes a dead letter of the job, which goes on or ends as its owner wishes.
 * NGX_DECLINED: there is none, as they are off or it does not fit (logged);
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_job_give_up(ngx_http_tgbot_job_t *job,
    ngx_http_tgbot_dead_cause_e cause);

/* the job of a replayed letter ends, which may be the end of the letter */
void ngx_http_tgbot_job_replayed(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict);

/*
 * Of a job from the queue.  The answer from the cache: NGX_OK, job->own tells
 * whether there is one; NGX_AGAIN: it waits for another job to get it.
 */
ngx_int_t ngx_http_tgbot_job_queued_cache(ngx_http_tgbot_job_t *job);

/* a Bot API call waits: over a second the item does, and the job is gone */
void ngx_http_tgbot_job_queued_wait(ngx_http_tgbot_job_t *job,
    ngx_msec_t delay);

/* gives the item back, to be taken again after "delay"; the job remains */
void ngx_http_tgbot_job_queued_give(ngx_http_tgbot_job_t *job,
    ngx_msec_t delay, ngx_http_tgbot_queue_program_e program);

/* its end; the job is gone */
void ngx_http_tgbot_job_queued_end(ngx_http_tgbot_job_t *job,
    ngx_uint_t verdict);


#endif /* _NGX_HTTP_TGBOT_JOB_H_INCLUDED_ */
