
/*
 * Commands to Redis, on the event loop of nginx.  A worker has one connection
 * for commands, which are pipelined: what is sent in one iteration of the
 * event loop leaves together.  hiredis parses the replies; sockets, names and
 * TLS are nginx's.  In a cluster there is a connection to each node that a
 * command was sent to.  With "replicas=" durable commands have a connection of
 * their own.
 *
 * Functions are called in a worker only, never while the configuration is read
 * or in the master, unless their comment says otherwise.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hiredis/hiredis.h>


/* most bytes of "prefix=", which begins all keys and channels */
#define NGX_HTTP_TGBOT_REDIS_PREFIX    64

/* most bytes of one reply; a longer one ends the connection */
#define NGX_HTTP_TGBOT_REDIS_REPLY     (16 * 1024 * 1024)

/* most commands of a worker that wait for their reply, and their bytes */
#define NGX_HTTP_TGBOT_REDIS_COMMANDS  4096
#define NGX_HTTP_TGBOT_REDIS_BYTES     (16 * 1024 * 1024)


typedef struct ngx_http_tgbot_redis_conf_s  ngx_http_tgbot_redis_conf_t;
typedef struct ngx_http_tgbot_redis_command_s
    ngx_http_tgbot_redis_command_t;


/* "tgbot_redis"; set by the parser, read only in a worker */

struct ngx_http_tgbot_redis_conf_s {
    ngx_array_t      addresses;   /* of ngx_http_tgbot_redis_address_t */
    ngx_str_t        sentinel;    /* name of the master, then the addresses
                                     are of sentinels; "": none */
    ngx_str_t        sentinel_user;      /* these three as those below, for */
    ngx_str_t        sentinel_password;  /* the sentinels */
    ngx_str_t        sentinel_password_file;
    ngx_flag_t       cluster;     /* the addresses are of its nodes */
    ngx_uint_t       db;
    ngx_str_t        user;        /* "": none */
    ngx_str_t        password;    /* "": none; contents of the file */
    ngx_str_t        password_file;
    ngx_str_t        prefix;      /* of [A-Za-z0-9_.:-] */
    ngx_msec_t       connect_timeout;
    ngx_msec_t       timeout;     /* of a command */
    ngx_uint_t       replicas;    /* that must have a durable command */

    ngx_flag_t       ssl;
    ngx_str_t        ssl_name;    /* "": the host of the address */
    ngx_str_t        ssl_ca;      /* "": the system's certificates */
    ngx_str_t        ssl_certificate;
    ngx_str_t        ssl_certificate_key;

    void            *tls;         /* ngx_ssl_t *; NULL: no TLS */
    ngx_resolver_t  *resolver;    /* NULL: no name has to be resolved */

    u_char          *file;        /* of the directive */
    ngx_uint_t       line;
};


typedef struct {
    ngx_str_t        text;        /* as configured, for logs */
    ngx_str_t        host;        /* "": a unix socket */
    in_port_t        port;
    ngx_addr_t      *addrs;       /* NULL: by the resolver */
    ngx_uint_t       naddrs;
} ngx_http_tgbot_redis_address_t;


/* a script of the module; all members are constant */

typedef struct {
    ngx_str_t     name;           /* for logs */
    ngx_str_t     text;
    u_char        sha[40];        /* SHA1 of text, lower case hex */
} ngx_http_tgbot_redis_script_t;


typedef enum {

    /* "reply" is set; it is no error */
    NGX_HTTP_TGBOT_REDIS_OK = 0,

    /*
     * Redis executed nothing and said why: reply->str is its error, such as
     * "OOM ...", "NOPERM ...", "WRONGTYPE ...", or one of the script's own.
     * A script that fails after its first write also ends so.
     */
    NGX_HTTP_TGBOT_REDIS_ERROR,

    /*
     * nothing was executed, and "reply" is NULL: there is no connection, or
     * this Redis cannot serve now: it loads its data, or became a replica
     */
    NGX_HTTP_TGBOT_REDIS_AWAY,

    /*
     * The command was sent and there is no reply, "reply" is NULL: the command
     * may have been executed, or may be later, even after one that is sent
     * from now on.
     */
    NGX_HTTP_TGBOT_REDIS_UNKNOWN
} ngx_http_tgbot_redis_result_e;


struct ngx_http_tgbot_redis_command_s {

    /* set by the caller, who zeroes the structure before */

    /* NULL: argv[0] is the name of the command, a constant: it is logged */
    const ngx_http_tgbot_redis_script_t  *script;

    ngx_str_t        *slot;       /* the bot's hash tag "{prefix:bot}", which
                                     says the node in a cluster; NULL: any
                                     node */
    ngx_str_t        *argv;       /* with a script: the keys, then arguments */
    ngx_uint_t        argc;
    ngx_uint_t        nkeys;      /* with a script: how many of argv are keys */

    /*
     * called once from an event, unless the command is cancelled; may send
     * commands, this one too, cancel others and free the structure.  "reply"
     * is valid inside only.
     */
    void            (*done)(ngx_http_tgbot_redis_command_t *c,
                        ngx_http_tgbot_redis_result_e rc, redisReply *reply);
    void             *data;

    unsigned          durable:1;  /* with "replicas=": done() is called when
                                     so many replicas have it, or UNKNOWN */

    /* private to ngx_http_tgbot_redis*.c */

    void             *entry;      /* NULL: not sent */
};


/* How the caller counts; both are called from events and from send(). */

typedef struct {

    /* a command ended; AWAY also if it was declined, then elapsed is 0 */
    void            (*command)(ngx_http_tgbot_redis_result_e rc,
                        ngx_msec_t elapsed);

    /* the connection for commands is up again after it was lost */
    void            (*reconnected)(void);
} ngx_http_tgbot_redis_counters_t;


/*
 * Sends a command.  argv, slot and what they point to are copied; the structure
 * is the caller's and must live until done() or cancel().  A script that
 * Redis does not know is sent as a whole.  Commands of one slot are executed in
 * the order they were sent, except that one whose script was unknown, or whose
 * slot had moved to another node, comes later than what was sent behind it.
 *
 * NGX_OK        done() will be called, later, never from inside: within
 *               "timeout" after the command left, which it does at once if
 *               the connection is up, else within "connect_timeout"
 * NGX_DECLINED  Redis is away, or too many commands or bytes wait for their
 *               reply: nothing was sent, done() will not be called
 */
ngx_int_t ngx_http_tgbot_redis_send(ngx_http_tgbot_redis_command_t *c);

/*
 * done() will not be called any more.  The command is sent all the same, and
 * with the text of its script if need be.  Idempotent, also before the first
 * send and after done().
 */
void ngx_http_tgbot_redis_cancel(ngx_http_tgbot_redis_command_t *c);

/* whether the connection for commands is up; 0 without "tgbot_redis" */
ngx_uint_t ngx_http_tgbot_redis_up(void);

/*
 * The bell: handler() is called from an event when a message is published on
 * the channel, and with an empty one whenever the subscription was made, as
 * what was published before it is lost.  "channel" and "data" must live as long
 * as the worker, "message" is valid inside only.  The first subscription opens
 * a second connection.  NGX_ERROR: no memory, or there is no "tgbot_redis".
 */
ngx_int_t ngx_http_tgbot_redis_subscribe(ngx_str_t *channel,
    void (*handler)(void *data, ngx_str_t *message), void *data);

/*
 * Start of a worker, before all else of this file: connects.  conf may be
 * NULL, then all commands are declined; counters may be NULL.
 */
void ngx_http_tgbot_redis_init_process(ngx_http_tgbot_redis_conf_t *conf,
    const ngx_http_tgbot_redis_counters_t *counters);

/*
 * Exit of a worker: closes all connections.  done() is not called for what is
 * still in flight.  Commands may be cancelled after it, not sent.
 */
void ngx_http_tgbot_redis_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_REDIS_H_INCLUDED_ */
