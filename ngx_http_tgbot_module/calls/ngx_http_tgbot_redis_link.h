
/*
 * One connection to Redis, which is opened, kept and opened again by itself.
 * It sends entries, which are commands, and reads their replies.  What the
 * commands are is the business of its owner, who sets the functions of the
 * structure.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_LINK_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_LINK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "ngx_http_tgbot_redis.h"
#include "ngx_http_tgbot_redis_reply.h"


/* most bytes of a host that is told by Redis; a name of DNS has no more */
#define NGX_HTTP_TGBOT_REDIS_HOST_LEN  255


/* kinds of log lines; of each a worker writes at most one a second */

typedef enum {
    NGX_HTTP_TGBOT_REDIS_LOG_RESOLVE = 0,
    NGX_HTTP_TGBOT_REDIS_LOG_CONNECT,
    NGX_HTTP_TGBOT_REDIS_LOG_TLS,
    NGX_HTTP_TGBOT_REDIS_LOG_HELLO,
    NGX_HTTP_TGBOT_REDIS_LOG_ROLE,
    NGX_HTTP_TGBOT_REDIS_LOG_SENTINEL,
    NGX_HTTP_TGBOT_REDIS_LOG_REPLICAS,
    NGX_HTTP_TGBOT_REDIS_LOG_TIMEOUT,
    NGX_HTTP_TGBOT_REDIS_LOG_CLOSED,
    NGX_HTTP_TGBOT_REDIS_LOG_PROTOCOL,
    NGX_HTTP_TGBOT_REDIS_LOG_BELL,

    /* the errors of Redis follow, a kind each */
    NGX_HTTP_TGBOT_REDIS_LOG_ERROR,
    NGX_HTTP_TGBOT_REDIS_LOG_LAST = NGX_HTTP_TGBOT_REDIS_LOG_ERROR + 32
} ngx_http_tgbot_redis_log_e;


typedef struct ngx_http_tgbot_redis_link_s   ngx_http_tgbot_redis_link_t;
typedef struct ngx_http_tgbot_redis_entry_s  ngx_http_tgbot_redis_entry_t;


/*
 * The end of an entry, called once for each push, from an event, when it is
 * answered or the connection lost.  "reply" is set if rc is OK, and may be an
 * error.  After it the entry is freed unless entry->kept is set, and the reply
 * unless entry->reply is the reply.
 */
typedef void (*ngx_http_tgbot_redis_done_pt)(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);


/* a command on its way; is allocated as one piece */

struct ngx_http_tgbot_redis_entry_s {
    ngx_queue_t                      queue;
    ngx_chain_t                      out;
    ngx_buf_t                        buf;
    ngx_msec_t                       start;    /* when it was pushed */

    ngx_http_tgbot_redis_done_pt     done;     /* may be NULL */
    void                            *data;     /* of its owner */
    const ngx_http_tgbot_redis_script_t  *script;
    ngx_str_t                        name;     /* of the command, for logs */
    size_t                           size;     /* bytes of this allocation */
    size_t                           args;     /* of a script: where their
                                                  number stands in buf */
    ngx_uint_t                       argc;     /* of a script, as args */
    redisReply                      *reply;    /* see done() */
    ngx_uint_t                       hops;     /* how often it was sent again */
    unsigned                         kept:1;   /* see done() */
    unsigned                         asked:1;  /* ASKING stands before it */
    unsigned                         durable:1;
    unsigned                         held:1;   /* an exiting worker waits */
};


/* an address that Redis told, with what it points to */

typedef struct {
    ngx_http_tgbot_redis_address_t   address;
    ngx_addr_t                       addr;
    ngx_sockaddr_t                   sockaddr;
    u_char                           host[NGX_HTTP_TGBOT_REDIS_HOST_LEN + 1];
    u_char                           text[NGX_HTTP_TGBOT_REDIS_HOST_LEN
                                          + sizeof(":65535")];
} ngx_http_tgbot_redis_told_t;


/* zeroed, then set by the owner: the constant part */

struct ngx_http_tgbot_redis_link_s {
    ngx_http_tgbot_redis_conf_t     *conf;

    /* connected: pushes the entries that make it usable, then link_up() */
    void                           (*hello)(ngx_http_tgbot_redis_link_t *link);

    /* usable, may be NULL */
    void                           (*opened)(ngx_http_tgbot_redis_link_t *link);

    ngx_socket_t                     ident;    /* stands where debug logs of a
                                                  timer look for a socket */

    /* whether the reply answers no entry, may be NULL */
    ngx_uint_t                     (*pushed)(ngx_http_tgbot_redis_link_t *link,
                                        redisReply *reply);

    /* the connection is lost, called before done() of entries; may be NULL */
    void                           (*lost)(ngx_http_tgbot_redis_link_t *link);

    ngx_array_t                     *addresses; /* NULL: those of conf */
    ngx_uint_t                       once;     /* closed when it is lost */

    /* the entry that brings the text of a script, for the owner; or NULL */
    ngx_http_tgbot_redis_entry_t    *script;

    /* private to ngx_http_tgbot_redis_link*.c */

    ngx_log_t                        log;
    ngx_log_t                        core;     /* what nginx itself logs */
    ngx_event_t                      timer;
    ngx_peer_connection_t            peer;
    ngx_resolver_ctx_t              *resolving;
    ngx_pool_t                      *pool;     /* of the connection */
    ngx_http_tgbot_redis_reader_t    reader;

    /* what follows when this step of the connection is made */
    void                           (*next)(ngx_http_tgbot_redis_link_t *link);

    ngx_http_tgbot_redis_address_t  *address;  /* of the last attempt */
    ngx_http_tgbot_redis_told_t      told;     /* by a sentinel */

    ngx_queue_t                      entries;  /* in the order of replies */
    ngx_queue_t                      waiting;  /* until the link is up */
    ngx_chain_t                     *out;      /* of entries: not yet sent */
    ngx_chain_t                    **last_out;

    ngx_uint_t                       attempts; /* says which address is next */
    ngx_uint_t                       failures; /* attempts since it was up */
    ngx_uint_t                       detached; /* connections that ended */
    ngx_msec_t                       since;    /* when it became up */
    ngx_msec_t                       heard;    /* the last reply */

    unsigned                         open:1;
    unsigned                         up:1;
    unsigned                         leaving:1;
    unsigned                         asking:1; /* it is a sentinel */
};


/* opens the link, and again whenever it is lost, until link_close() */
void ngx_http_tgbot_redis_link_open(ngx_http_tgbot_redis_link_t *link);

/*
 * Ends the link, and calls done() of all its entries.  Idempotent, also if it
 * was not opened.
 */
void ngx_http_tgbot_redis_link_close(ngx_http_tgbot_redis_link_t *link);

/* whether entries can be pushed: it is up, or soon will be */
ngx_uint_t ngx_http_tgbot_redis_link_ready(ngx_http_tgbot_redis_link_t *link);

/*
 * Hands over an entry, whose done() will be called.  What is pushed in one
 * iteration of the event loop is written together.  While the link is not up
 * an entry waits; "now" pushes one of hello().
 */
void ngx_http_tgbot_redis_link_push(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_uint_t now);

/* a sentinel told this address of the master: the link goes on there */
void ngx_http_tgbot_redis_link_told(ngx_http_tgbot_redis_link_t *link,
    ngx_str_t *host, ngx_str_t *port);

/* the end of hello() */
void ngx_http_tgbot_redis_link_up(ngx_http_tgbot_redis_link_t *link);

/* the connection is of no use: closes it, and opens it again after a delay */
void ngx_http_tgbot_redis_link_fail(ngx_http_tgbot_redis_link_t *link);

/* the same as soon as all that was sent is answered; idempotent */
void ngx_http_tgbot_redis_link_leave(ngx_http_tgbot_redis_link_t *link);

/* connects to link->address, then calls next(); or link_fail() */
void ngx_http_tgbot_redis_link_connect(ngx_http_tgbot_redis_link_t *link,
    void (*next)(ngx_http_tgbot_redis_link_t *link));

#if (NGX_SSL)

/* makes TLS and checks the server, then calls next(); or link_fail() */
void ngx_http_tgbot_redis_link_tls(ngx_http_tgbot_redis_link_t *link,
    void (*next)(ngx_http_tgbot_redis_link_t *link));

#endif

/* NGX_ERROR: this is no host and port; both are copied */
ngx_int_t ngx_http_tgbot_redis_told(ngx_http_tgbot_redis_told_t *told,
    ngx_str_t *host, ngx_str_t *port);

/* whether a line of this kind may be logged in this second */
ngx_uint_t ngx_http_tgbot_redis_link_may_log(ngx_uint_t kind);

/*
 * An entry of a command, or of a script: then argv are its keys and arguments.
 * NULL: no memory, or it would have more than max bytes.
 */
ngx_http_tgbot_redis_entry_t *ngx_http_tgbot_redis_entry_create(
    const ngx_http_tgbot_redis_script_t *script, ngx_str_t *argv,
    ngx_uint_t argc, ngx_uint_t nkeys, size_t max);

/*
 * The same command again, for a Redis that does not know the script: with
 * "whole" its text is sent.  NULL: no memory.
 */
ngx_http_tgbot_redis_entry_t *ngx_http_tgbot_redis_entry_again(
    ngx_http_tgbot_redis_entry_t *entry, ngx_uint_t whole);


#endif /* _NGX_HTTP_TGBOT_REDIS_LINK_H_INCLUDED_ */
