
/*
 * One call to an internal location: a detached request that carries one
 * in-memory subrequest.
 */

#ifndef _NGX_HTTP_TGBOT_CALL_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CALL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_call_slot.h"
#include "ngx_http_tgbot_detached.h"


/*
 * What came of an in-memory subrequest.
 */

typedef enum {
    /* a complete answer with "status"; its body is captured */
    NGX_HTTP_TGBOT_ANSWERED = 0,

    /* refused, unresolved, no live upstream, nginx's own error: never sent */
    NGX_HTTP_TGBOT_NOT_SENT,

    /* sent, then reset, cut short, garbled, or too large to be captured */
    NGX_HTTP_TGBOT_BROKEN,

    /* sent, then no answer in time */
    NGX_HTTP_TGBOT_TIMED_OUT
} ngx_http_tgbot_outcome_e;


/* strings live as long as the subrequest */

typedef struct {
    ngx_uint_t     outcome;           /* ngx_http_tgbot_outcome_e */
    ngx_uint_t     status;            /* HTTP status, 0: there is none */
    ngx_str_t      body;
    ngx_str_t      type;              /* Content-Type */
    ngx_str_t      retry_after;       /* header, may be "" */
    ngx_int_t      max_age;           /* of Cache-Control, seconds, -1: none */
    const char    *reason;            /* of a failure, for logs */

    unsigned       no_store:1;        /* likewise: for nobody but the asker */
    unsigned       by_nginx:1;        /* answered without an upstream */
    unsigned       too_large:1;       /* status and retry_after are known */
    unsigned       resent:1;          /* by nginx, to more than one peer */
    unsigned       expired:1;         /* by tgbot_call_timeout */
    unsigned       external:1;        /* the location is not internal */
} ngx_http_tgbot_capture_t;

typedef struct ngx_http_tgbot_call_s  ngx_http_tgbot_call_t;


struct ngx_http_tgbot_call_s {

    /*
     * filled in by the caller before start, the rest zeroed; what is pointed
     * to must outlive the call
     */

    ngx_http_tgbot_call_slots_t   *slots;
    ngx_http_conf_ctx_t           *ctx;       /* server of the location */
    ngx_log_t                     *error_log; /* of the webhook's location */
    ngx_http_tgbot_client_t       *client;    /* whom the call works for */
    ngx_http_log_handler_pt        log_handler;  /* NULL: none */
    ngx_array_t                   *redact;    /* tokens, see redact.h */
    const char                    *directive; /* that makes it, for logs */
    ngx_msec_t                     timeout;   /* bound of it as a whole */

    /*
     * where what is pointed to is, configuration excepted; to be destroyed
     * by ngx_http_tgbot_abandon_pool()
     */
    ngx_pool_t                    *pool;

    ngx_str_t                      content_type;
    ngx_str_t                      body;
    size_t                         response_size;

    /*
     * prepare: the detached request r exists: set module contexts and
     * headers and tell which location is called.  Anything but NGX_OK ends
     * the call as not sent.
     * closing: the subrequest is over, before nginx logs it; may come twice.
     * done: the result stands, and lives until it returns; the structure is
     * the caller's again, to be started anew or freed.
     * Only prepare may be called from inside start.
     */
    ngx_int_t                    (*prepare)(ngx_http_tgbot_call_t *call,
                                       ngx_http_request_t *r, ngx_str_t *uri,
                                       ngx_str_t *args);
    void                         (*closing)(ngx_http_tgbot_call_t *call,
                                       ngx_http_request_t *r);
    void                         (*done)(ngx_http_tgbot_call_t *call,
                                       ngx_http_tgbot_capture_t *result);
    void                          *data;

    /* private */

    ngx_http_tgbot_call_slot_t     slot;
    ngx_http_tgbot_detached_t     *detached;
    ngx_http_request_t            *sr;
    ngx_event_t                    event;     /* the end, out of core's way */
    ngx_event_t                    expiry;    /* after "timeout" */
    ngx_int_t                      rc;

    unsigned                       active:1;
    unsigned                       seen:1;    /* rc is noted */
    unsigned                       failed:1;
};


/* configuration: makes X-Accel-Redirect and -Buffering inert for calls */
ngx_int_t ngx_http_tgbot_call_postconfiguration(ngx_conf_t *cf);

/*
 * Starts the call, or lets it wait for a slot of the worker.  Never fails:
 * what cannot be started ends as not sent.
 */
void ngx_http_tgbot_call_start(ngx_http_tgbot_call_t *call);

/*
 * Gives up a call that waits or runs, if it does; done is not called.
 * NGX_BUSY: a thread works for it, so it goes on.
 */
ngx_int_t ngx_http_tgbot_call_cancel(ngx_http_tgbot_call_t *call);

/* worker exit: threads are gone, every call can be cancelled, none starts */
void ngx_http_tgbot_call_exit_process(void);

/* for prepare: adds a request header; strings are not copied */
ngx_int_t ngx_http_tgbot_call_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);


#endif /* _NGX_HTTP_TGBOT_CALL_H_INCLUDED_ */
