
/*
 * One call to an internal location: a detached request that carries one
 * in-memory subrequest, the capture of its answer, and what came of it.
 */

#ifndef _NGX_HTTP_TGBOT_CALL_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CALL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_detached.h"


typedef struct ngx_http_tgbot_call_s  ngx_http_tgbot_call_t;


typedef enum {
    /* a complete answer with "status"; body is captured */
    NGX_HTTP_TGBOT_CALL_ANSWERED = 0,

    /* refused, unresolved, no live upstream, nginx's own error: never sent */
    NGX_HTTP_TGBOT_CALL_NOT_SENT,

    /* sent, then reset, cut short, garbled, or too large to be captured */
    NGX_HTTP_TGBOT_CALL_BROKEN,

    /* sent, then no answer in time */
    NGX_HTTP_TGBOT_CALL_TIMED_OUT,

    /* given up by us: shutdown */
    NGX_HTTP_TGBOT_CALL_ABORTED
} ngx_http_tgbot_call_outcome_e;


/* who shares the worker's call slots: one per bot, zeroed at start */

typedef struct {
    ngx_queue_t                    queue;     /* of shares with waiting calls */
    ngx_queue_t                    waiting;   /* calls */
    ngx_uint_t                     running;
    unsigned                       initialized:1;
    unsigned                       queued:1;
} ngx_http_tgbot_call_share_t;


struct ngx_http_tgbot_call_s {

    /* filled in by the caller before start; must outlive the call */

    ngx_http_tgbot_call_share_t   *share;
    ngx_http_conf_ctx_t           *ctx;       /* server of the location */
    ngx_log_t                     *error_log; /* of the webhook's location */
    ngx_http_tgbot_client_t       *client;    /* whom the call works for */
    ngx_http_log_handler_pt        log_handler;  /* NULL: nginx's own */
    ngx_str_t                      redact;    /* never to be logged, or "" */

    ngx_str_t                      content_type;
    ngx_str_t                      body;
    size_t                         response_size;

    /*
     * prepare: the detached request exists; set module contexts and headers
     * and tell which location is called.  NGX_OK or NGX_ERROR (not sent).
     * closing: the subrequest is over, before nginx logs it.
     * done: the outcome stands; what was captured lives until it returns;
     * the call structure is the caller's again.  Both may start other calls,
     * neither is called from inside start.
     */
    ngx_int_t                    (*prepare)(ngx_http_tgbot_call_t *call,
                                       ngx_http_request_t *r, ngx_str_t *uri,
                                       ngx_str_t *args);
    void                         (*closing)(ngx_http_tgbot_call_t *call,
                                       ngx_http_request_t *r);
    void                         (*done)(ngx_http_tgbot_call_t *call);
    void                          *data;

    /* the result, valid inside done */

    ngx_uint_t                     outcome;
    ngx_uint_t                     status;
    ngx_str_t                      response;
    ngx_str_t                      response_type;
    ngx_str_t                      retry_after;
    const char                    *reason;    /* of a failure, for the log */

    unsigned                       by_nginx:1;   /* answered without upstream */
    unsigned                       too_large:1;
    unsigned                       external:1;   /* location is not internal */

    /* private */

    unsigned                       active:1;
    unsigned                       waiting:1;
    unsigned                       failed:1;
    unsigned                       seen:1;       /* the first rc is noted */
    ngx_int_t                      rc;
    ngx_queue_t                    queue;
    ngx_event_t                    event;     /* posted: not from start */
    ngx_http_tgbot_detached_t     *detached;
    ngx_http_request_t            *sr;
    ngx_http_post_subrequest_t     ps;
};


/* configuration: makes X-Accel-Redirect inert for calls; postconfiguration */
ngx_int_t ngx_http_tgbot_call_postconfiguration(ngx_conf_t *cf);

/* worker start: "max" calls may be in flight at once */
void ngx_http_tgbot_call_init_process(ngx_uint_t max);

/*
 * Starts the call, or lets it wait for a slot.  A share gets at most a
 * quarter of the slots while others wait.  Never fails: what cannot be
 * started ends as NOT_SENT.
 */
void ngx_http_tgbot_call_start(ngx_http_tgbot_call_t *call);

/* gives up a call that waits or runs; done is not called */
void ngx_http_tgbot_call_cancel(ngx_http_tgbot_call_t *call);

/* for prepare: a request header of the call; strings are not copied */
ngx_int_t ngx_http_tgbot_call_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/* calls in flight in this worker */
ngx_uint_t ngx_http_tgbot_call_running(void);


#endif /* _NGX_HTTP_TGBOT_CALL_H_INCLUDED_ */
