
/*
 * What Redis has of a bot, for its status: the queue, claims, dead letters, and
 * the machines that work for the bot.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_STATE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_STATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_redis_args.h"


/* bytes of a machine's name at most, and machines that are told apart */
#define NGX_HTTP_TGBOT_REDIS_MACHINE   32
#define NGX_HTTP_TGBOT_REDIS_MACHINES  32

/* numbers that are younger are not asked for again, ms */
#define NGX_HTTP_TGBOT_REDIS_SHOWN     100


typedef struct {
    u_char                         name[NGX_HTTP_TGBOT_REDIS_MACHINE];
    size_t                         len;
    ngx_uint_t                     workers;   /* that live */
    ngx_uint_t                     inflight;  /* items */
    ngx_uint_t                     claims;
} ngx_http_tgbot_redis_machine_t;


typedef struct {
    ngx_http_tgbot_queue_state_t   queue;     /* without "allowed", "full" */
    ngx_http_tgbot_dead_state_t    dead;

    /* update_ids with a record, those of them that are claimed, and the highest
       update_ids of the rings, NGX_HTTP_TGBOT_UPDATE_NO_ID: none */
    ngx_uint_t                     records;
    ngx_uint_t                     claims;
    int64_t                        top[2];

    ngx_http_tgbot_redis_machine_t
                             machines[NGX_HTTP_TGBOT_REDIS_MACHINES];
    ngx_uint_t                     nmachines;
    ngx_http_tgbot_redis_machine_t   others;  /* of more machines, the name is
                                                 "" */
    ngx_msec_t                     told;      /* time of the answer */
} ngx_http_tgbot_redis_state_t;


/*
 * What Redis has told of the bot.  If that is older than "age" ms it is asked
 * again.  *state is NULL if there is no memory, and zeroed before the first
 * answer; it stays valid until the worker exits.
 *
 * NGX_OK        it is no older
 * NGX_AGAIN     newer numbers are on their way
 * NGX_DECLINED  Redis is away
 */
ngx_int_t ngx_http_tgbot_redis_state(ngx_http_tgbot_bot_t *bot, ngx_msec_t age,
    ngx_http_tgbot_redis_state_t **state);

void ngx_http_tgbot_redis_state_init_process(void);

/* worker exit: nothing is asked any more */
void ngx_http_tgbot_redis_state_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_REDIS_STATE_H_INCLUDED_ */
