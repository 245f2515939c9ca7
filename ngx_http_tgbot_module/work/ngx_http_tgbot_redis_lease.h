
/*
 * Leases in Redis: what this worker holds there, a lane or a claim, and the
 * beat that keeps it.  The beat of a bot runs once a second while anything is
 * held, and always if the bot has a queue in Redis; it names all that is held,
 * and Redis frees what this worker had and does not name.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_LEASE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_LEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


#define NGX_HTTP_TGBOT_REDIS_LANE       0
#define NGX_HTTP_TGBOT_REDIS_CLAIM      1

/* lease time of a bot without "lease=" of tgbot_queue, ms */
#define NGX_HTTP_TGBOT_REDIS_LEASE      15000

/* bytes of a worker's name and of a token, at most */
#define NGX_HTTP_TGBOT_REDIS_WORKER_LEN  64
#define NGX_HTTP_TGBOT_REDIS_TOKEN_LEN                                        \
    (NGX_HTTP_TGBOT_REDIS_WORKER_LEN + 1 + NGX_INT64_LEN)


/*
 * Belongs to its caller, which zeroes it, sets bot, kind, id and number, and
 * must not move or free it between hold() and end().
 */

typedef struct {
    ngx_queue_t                    queue;     /* of the bot's leases */
    ngx_http_tgbot_bot_t          *bot;
    ngx_uint_t                     kind;      /* NGX_HTTP_TGBOT_REDIS_LANE.. */
    uint64_t                       id;        /* lane, or update_id */
    uint64_t                       number;    /* of the token; 0: nothing is
                                                 held */
} ngx_http_tgbot_redis_lease_t;


/*
 * Starts the beats of the bots with a queue in Redis; called once a worker,
 * before any other function of this file.
 */
ngx_int_t ngx_http_tgbot_redis_lease_init_process(
    ngx_http_tgbot_main_conf_t *tmcf, ngx_log_t *log);

/* worker exit: no beat runs any more */
void ngx_http_tgbot_redis_lease_exit_process(void);

/*
 * The name of this worker: machine, process and time of its start, so that no
 * other worker ever has it.  Valid until the worker exits.
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
 * Each beat names the lease from now on; lease->number must be set.  Called
 * before the command is sent that takes the lease in Redis: a beat that names
 * more than there is does no harm, but one that does not name a lease ends it.
 */
void ngx_http_tgbot_redis_lease_hold(ngx_http_tgbot_redis_lease_t *lease);

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
 * The outcome of a command about this bot is unknown: what it may have taken
 * in Redis must not stay taken, so the next beat runs at once.
 */
void ngx_http_tgbot_redis_lease_unknown(ngx_http_tgbot_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_REDIS_LEASE_H_INCLUDED_ */
