
/*
 * A detached request: a main request without a client that makes subrequests.
 * It has a private connection object, which uses no connection of
 * worker_connections and is not known to the event module.
 */

#ifndef _NGX_HTTP_TGBOT_DETACHED_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DETACHED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct ngx_http_tgbot_detached_s  ngx_http_tgbot_detached_t;


/* the client of the webhook, for $remote_addr, $host, ... of the call */

typedef struct {
    struct sockaddr               *sockaddr;
    socklen_t                      socklen;
    struct sockaddr               *local_sockaddr;
    socklen_t                      local_socklen;
    ngx_str_t                      addr_text;
    ngx_str_t                      host;      /* Host header, may be "" */
    ngx_str_t                      server;    /* $host */
} ngx_http_tgbot_client_t;


struct ngx_http_tgbot_detached_s {
    ngx_connection_t               connection;   /* first: see _get() */
    ngx_event_t                    read;
    ngx_event_t                    write;
    ngx_log_t                      log;
    ngx_http_log_ctx_t             log_ctx;
    ngx_http_connection_t          http_connection;

    ngx_http_log_handler_pt        log_handler;  /* or NULL */
    ngx_log_t                     *error_log;
    ngx_array_t                   *redact;

    /* the subrequest has ended, or the core terminates the request */
    void                         (*over)(ngx_http_tgbot_detached_t *d);
    void                          *data;

    ngx_http_post_subrequest_t     ps;           /* set by the owner */
    off_t                          length;       /* of its body, by the owner */

    ngx_http_tgbot_detached_t     *next;         /* free list */

    /* for abandoned requests */
    ngx_queue_t                    queue;
    ngx_pool_t                    *memory;       /* pool it still needs */

    unsigned                       closing:1;
    unsigned                       terminated:1;
    unsigned                       owner:1;      /* destroys "memory" */
    unsigned                       kept:1;       /* freed with the pool of the
                                                    request that has its
                                                    answer */
    unsigned                       ending:1;     /* the owner frees it soon */

    ngx_http_request_t            *request;

    /*
     * private, for reuse: the request as it was made, and the block of its
     * pool that was the last one then, or NULL, what that had in it, and the
     * large allocations
     */
    ngx_http_request_t             made;
    ngx_pool_t                    *block;
    u_char                        *last;
    ngx_pool_large_t              *large;
};


/* its context in a detached request is set by the request's owner */
extern ngx_module_t  ngx_http_tgbot_module;


/*
 * Copies into pool what detached requests need of the client of r, because r
 * and its connection may be freed before the last call.  NGX_ERROR: no
 * memory, or the local address is not known.
 */
ngx_int_t ngx_http_tgbot_detached_client(ngx_http_tgbot_client_t *client,
    ngx_http_request_t *r, ngx_pool_t *pool);

/* the same for calls that r outlives: nothing is copied */
ngx_int_t ngx_http_tgbot_detached_share(ngx_http_tgbot_client_t *client,
    ngx_http_request_t *r);

/*
 * Makes a POST request in the server of ctx.  It logs to error_log, by a
 * writer that removes the tokens of "redact" from each line, see
 * ngx_http_tgbot_redact.h.  client and redact must outlive the request.  The
 * owner sets over(), which is called from inside the core's functions, so it
 * may only set members and post an event.  NULL: no memory.
 */
ngx_http_tgbot_detached_t *ngx_http_tgbot_detached_create(
    ngx_http_conf_ctx_t *ctx, ngx_log_t *error_log,
    ngx_http_tgbot_client_t *client, ngx_array_t *redact);

/*
 * Frees the request and all that still runs for it; upstream connections are
 * closed.  Must be called from an event, not from inside the core's functions
 * for this request.
 */
void ngx_http_tgbot_detached_free(ngx_http_tgbot_detached_t *d);

/*
 * Returns 1 if the request cannot be freed yet: a thread works for it, or a
 * module holds a reference in addition to that of the subrequest, and the core
 * has not terminated the request.
 */
ngx_uint_t ngx_http_tgbot_detached_held(ngx_http_tgbot_detached_t *d);

/*
 * The owner goes, and the request stays until it is freed: over() is not called
 * any more, "data" is NULL, and nothing runs for the request any more.  Must
 * not be called while a thread works for it.
 */
void ngx_http_tgbot_detached_leave(ngx_http_tgbot_detached_t *d);

/* removes the module's context from the request, as its owner goes */
void ngx_http_tgbot_detached_disown(ngx_http_tgbot_detached_t *d);

/* worker exit: frees the requests that were kept for reuse */
void ngx_http_tgbot_detached_exit_process(void);

/* returns the detached request that r belongs to; NULL: r has a client */
ngx_http_tgbot_detached_t *ngx_http_tgbot_detached_get(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TGBOT_DETACHED_H_INCLUDED_ */
