
/*
 * Leases in Redis: what this worker holds there, such as a lane or a claim, and
 * the beats that keep it.  The beat of a bot runs once a second from its first
 * lease on, until nothing was held for the bot's lease time; then the worker
 * leaves the bot's workers.  It names all that this worker holds or waits for;
 * Redis frees what the worker has and does not name.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_LEASE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_LEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/* kinds of a lease, and what its id is */
#define NGX_HTTP_TGBOT_REDIS_PENDING    0     /* what a command takes that
                                                 has no reply yet; no id */
#define NGX_HTTP_TGBOT_REDIS_LANE       1     /* hash of the lane */
#define NGX_HTTP_TGBOT_REDIS_CLAIM      2     /* update_id */
#define NGX_HTTP_TGBOT_REDIS_LETTER     3     /* of a dead letter */

/* lease time of a bot without "lease=" of tgbot_queue, ms */
#define NGX_HTTP_TGBOT_REDIS_LEASE      15000

/* bytes of a worker's name and of a token, at most */
#define NGX_HTTP_TGBOT_REDIS_WORKER_LEN  64
#define NGX_HTTP_TGBOT_REDIS_TOKEN_LEN                                        \
    (NGX_HTTP_TGBOT_REDIS_WORKER_LEN + 1 + NGX_INT64_LEN)


/*
 * Belongs to its caller, which zeroes it, sets bot, kind, id and number, and
 * must not move or free it between hold() and end().  A lease that was pending
 * gets its kind and id when the reply is here, while it is held.
 */

typedef struct {
    ngx_queue_t                    queue;     /* of the bot's leases */
    ngx_http_tgbot_bot_t          *bot;
    ngx_uint_t                     kind;
    uint64_t                       id;
    uint64_t                       number;    /* of the token; 0: nothing is
                                                 held */
    unsigned                       lost:1;    /* private */
} ngx_http_tgbot_redis_lease_t;


/* called once a worker, before any other function of this file */
void ngx_http_tgbot_redis_lease_init_process(ngx_log_t *log);

/* worker exit: no beat runs any more, nothing is held */
void ngx_http_tgbot_redis_lease_exit_process(void);

/* the beat of this bot runs even if nothing is held; NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_redis_lease_keep(ngx_http_tgbot_bot_t *bot);

/*
 * The name of this worker, "<machine>:<process>:<start>", which no other worker
 * ever has.  Valid until the worker exits.
 */
ngx_str_t *ngx_http_tgbot_redis_lease_worker(void);

/* the number of a new token, greater than 0 and never used before */
uint64_t ngx_http_tgbot_redis_lease_number(void);

/*
 * Writes the token "<worker>/<number>" to p, where there must be room for
 * NGX_HTTP_TGBOT_REDIS_TOKEN_LEN bytes, and returns the end.
 */
u_char *ngx_http_tgbot_redis_lease_token(u_char *p, uint64_t number);

/*
 * Each beat names the lease from now on.  Called with kind PENDING before the
 * command is sent that takes it in Redis, as a beat ends what it does not name.
 * That command is not durable, so that it and the beats share a connection: a
 * beat whose reply comes before that of the command was executed before it,
 * and knows nothing of the lease.  If this worker may have no lease time in
 * Redis, a beat is sent before that command.  When the reply says that it is
 * taken, ask holds() before the work begins.  NGX_ERROR: no memory, and
 * nothing is held.
 */
ngx_int_t ngx_http_tgbot_redis_lease_hold(ngx_http_tgbot_redis_lease_t *lease);

/*
 * No beat names the lease any more, and number is 0; idempotent.  Called when
 * the reply that ends the lease in Redis is here, or to let the next beat end
 * it.
 */
void ngx_http_tgbot_redis_lease_end(ngx_http_tgbot_redis_lease_t *lease);

/*
 * Whether this worker may still act on the lease.  0: nothing is held, the last
 * beat said that it is lost, or the last answered beat was sent longer ago than
 * the bot's lease time.  Sends nothing and ends nothing.
 */
ngx_uint_t ngx_http_tgbot_redis_lease_holds(
    ngx_http_tgbot_redis_lease_t *lease);

/*
 * A beat of this bot is sent at once: the outcome of a command is unknown, and
 * what it may have taken must not stay taken, or a script has answered that
 * this worker has no lease.
 */
void ngx_http_tgbot_redis_lease_beat(ngx_http_tgbot_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_REDIS_LEASE_H_INCLUDED_ */
