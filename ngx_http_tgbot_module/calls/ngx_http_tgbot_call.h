
/*
 * One call to an internal location: a detached request with one subrequest,
 * whose answer is captured, or passed on to another request as it comes.
 */

#ifndef _NGX_HTTP_TGBOT_CALL_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CALL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_call_slot.h"
#include "ngx_http_tgbot_capture.h"
#include "ngx_http_tgbot_detached.h"


typedef struct ngx_http_tgbot_call_s  ngx_http_tgbot_call_t;


struct ngx_http_tgbot_call_s {

    /*
     * set by the caller before start, the private members zeroed; all that
     * these members point to must outlive the call
     */

    ngx_http_tgbot_call_slots_t   *slots;
    ngx_http_conf_ctx_t           *ctx;       /* server of the location */
    ngx_log_t                     *error_log; /* of the webhook's location */
    ngx_http_tgbot_client_t       *client;    /* of the webhook */
    ngx_http_log_handler_pt        log_handler;  /* NULL: none */
    ngx_array_t                   *redact;    /* tokens, kept out of logs */
    const char                    *directive; /* the cause, for logs */
    ngx_msec_t                     timeout;   /* of the whole call, ms, but not
                                                 while it is passed on */

    /*
     * contains all that these members point to, except configuration; its
     * owner destroys it by ngx_http_tgbot_abandon_pool().  NULL: all of that
     * lives until the call has ended, so the call is never abandoned: after
     * its timeout it may go on until it can be freed.  Must be NULL with "to".
     */
    ngx_pool_t                    *pool;

    ngx_str_t                      content_type;  /* "": none */
    ngx_str_t                      body;
    size_t                         response_size;

    /*
     * what follows is zero or NULL for a POST whose answer is captured
     */

    ngx_uint_t                     method;    /* with its name */
    ngx_str_t                      method_name;
    ngx_chain_t                   *bufs;      /* the body, in memory or files;
                                                 "body" is ignored */

    /*
     * A request that gets a 2xx as it comes, no faster than its client takes
     * it; another status is captured.  The caller holds the request, and sends
     * the end of the response unless that was passed on; it may set the member
     * to NULL at any time, by which the rest is thrown away.
     */
    ngx_http_request_t            *to;

    /*
     * NULL, or memory for a copy of a body that is passed on, or would be if
     * the client was there; "cut" is set if it may lack its end
     */
    ngx_buf_t                     *copy;

    /*
     * Set by prepare; "": none.  What a proxy_pass without a URI sends, unless
     * nginx has rewritten the URI or redirected the call.
     */
    ngx_str_t                      path;

    /*
     * prepare: sets module contexts and headers of the detached request r,
     * and uri and args of the location.  Any result but NGX_OK ends the call
     * as not sent.
     * closing: the subrequest has ended, and nginx has not logged it yet; may
     * be called twice.
     * done: called once with the result, which lives until done returns.
     * The structure belongs to the caller again, who may start or free it.
     * done is never called from inside start; the other two may be.
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
    ngx_http_tgbot_detached_t     *ended;     /* while done() runs */
    ngx_http_request_t            *sr;
    ngx_http_handler_pt            content;   /* of the location, with "path" */
    ngx_event_t                    event;     /* posted at the end */
    ngx_event_t                    expiry;    /* after "timeout" */
    ngx_int_t                      rc;

    unsigned                       active:1;
    unsigned                       seen:1;    /* rc is set */
    unsigned                       failed:1;
    unsigned                       passing:1; /* "to" has the header */
    unsigned                       cut:1;     /* see "copy" */
};


/* the name of a header, of at most 31 bytes; the rest is set by first use */

typedef struct {
    ngx_str_t                      name;
    ngx_uint_t                     hash;
    ngx_http_header_t             *known;     /* to the core, or NULL */
    u_char                         lowcase[32];
} ngx_http_tgbot_call_name_t;

#define ngx_http_tgbot_call_name(name)  { ngx_string(name), 0, NULL, "" }


/* postconfiguration: calls ignore X-Accel-Redirect and X-Accel-Buffering */
ngx_int_t ngx_http_tgbot_call_postconfiguration(ngx_conf_t *cf);

/*
 * Starts the call, or lets it wait for a call slot of the worker.  Never
 * fails: a call that cannot be started ends as not sent.
 */
void ngx_http_tgbot_call_start(ngx_http_tgbot_call_t *call);

/*
 * Whether the request may have reached the upstream: the call runs, and it is
 * not known to wait for a connection.
 */
ngx_uint_t ngx_http_tgbot_call_sent(ngx_http_tgbot_call_t *call);

/*
 * Cancels a call that waits or runs; done is not called.  Does nothing if the
 * call is not active.  Not called from inside the core's functions for the
 * request of the call.  NGX_BUSY: a thread works for the call, so it goes on.
 */
ngx_int_t ngx_http_tgbot_call_cancel(ngx_http_tgbot_call_t *call);

/*
 * Worker exit, when no threads run any more: from now on every call can be
 * cancelled and no waiting call starts.
 */
void ngx_http_tgbot_call_exit_process(void);

/*
 * For prepare: adds a header to the request r; strings are not copied, so
 * "name" must be static.
 */
ngx_int_t ngx_http_tgbot_call_header(ngx_http_request_t *r,
    ngx_http_tgbot_call_name_t *name, ngx_str_t *value);


#endif /* _NGX_HTTP_TGBOT_CALL_H_INCLUDED_ */
