
/*
 * A main request without a client, to carry subrequests: a private
 * connection object that no event module and no connection slot knows of.
 */

#ifndef _NGX_HTTP_TGBOT_DETACHED_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DETACHED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct ngx_http_tgbot_detached_s  ngx_http_tgbot_detached_t;


/* the client of the webhook, as $remote_addr, $host of the call show it */

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

    ngx_http_request_t            *request;
    ngx_http_log_handler_pt        log_handler;  /* NULL: none; not r's own */
    ngx_log_t                     *error_log;
    ngx_array_t                   *redact;

    /* the core wants to end the request, or its subrequest is over */
    void                         (*over)(ngx_http_tgbot_detached_t *d);
    void                          *data;

    ngx_http_post_subrequest_t     ps;           /* the owner's, too */

    ngx_http_tgbot_detached_t     *next;         /* free list */

    /* of an abandoned one */
    ngx_queue_t                    queue;
    ngx_pool_t                    *memory;       /* that it points to */

    unsigned                       closing:1;
    unsigned                       terminated:1;
    unsigned                       owner:1;      /* of "memory" */
};


/* its context in a detached request is that of the request's owner */
extern ngx_module_t  ngx_http_tgbot_module;


/*
 * Takes what a detached request needs to know of the client of r, copied
 * into pool: the connection may be gone before the last call is made.
 */
ngx_int_t ngx_http_tgbot_detached_client(ngx_http_tgbot_client_t *client,
    ngx_http_request_t *r, ngx_pool_t *pool);

/*
 * Makes a POST request in the server of ctx, logging to error_log through a
 * writer that takes the tokens of "redact", see redact.h, out of every line.
 * client and redact must live as long.  over() is called from core's frames:
 * it may only note and post an event.  NULL: no memory.
 */
ngx_http_tgbot_detached_t *ngx_http_tgbot_detached_create(
    ngx_http_conf_ctx_t *ctx, ngx_log_t *error_log,
    ngx_http_tgbot_client_t *client, ngx_array_t *redact);

/*
 * Frees the request with what it still runs (upstream connections are
 * closed).  Not from inside core's frames of this request: from an event.
 */
void ngx_http_tgbot_detached_free(ngx_http_tgbot_detached_t *d);

/*
 * Whether nginx does not let go of the request yet: a thread works for it, or
 * a module has a reference besides that of the subrequest, and was not told by
 * its cleanup that nginx has terminated the request.
 */
ngx_uint_t ngx_http_tgbot_detached_held(ngx_http_tgbot_detached_t *d);

/* takes the module's context from the request: its owner goes */
void ngx_http_tgbot_detached_disown(ngx_http_tgbot_detached_t *d);

/* worker exit: frees what was kept for reuse */
void ngx_http_tgbot_detached_exit_process(void);

/* the detached request r belongs to, or NULL for a client's */
ngx_http_tgbot_detached_t *ngx_http_tgbot_detached_get(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TGBOT_DETACHED_H_INCLUDED_ */
