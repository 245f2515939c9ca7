
/*
 * What one update does with tgbot_cache, held or queued: looks its key up in
 * the zone and then in Redis, waits while another update fills the key, or
 * fills it.
 */

#ifndef _NGX_HTTP_TGBOT_CACHE_USE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CACHE_USE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_call.h"
#include "ngx_http_tgbot_redis.h"
#include "ngx_http_tgbot_wait.h"


/* zeroed by the owner, who ends it with ngx_http_tgbot_cache_use_leave() */

typedef struct {
    ngx_http_tgbot_cache_t         entry;     /* zone NULL: no cache */
    ngx_http_tgbot_wait_t          wait;      /* for another update */

    /* private */

    ngx_msec_t                     start;     /* of the wait */
    ngx_http_tgbot_bot_t          *bot;       /* NULL: there was no get() */

    ngx_http_tgbot_redis_command_t  command;
    uint64_t                       number;    /* of the token of a lock in
                                                 Redis that may be held; 0:
                                                 none */
    unsigned                       waited:1;
    unsigned                       asked:1;   /* Redis has no answer */
    unsigned                       busy:1;    /* another one fills it there */
} ngx_http_tgbot_cache_use_t;


void ngx_http_tgbot_cache_use_init_process(ngx_log_t *log);

/*
 * Evaluates tgbot_cache on r and sets the key, once.  NGX_DECLINED: no cache,
 * or an empty key, which is counted as a bypass.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_cache_use_key(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_bot_t *bot, ngx_http_request_t *r);

/*
 * Looks the key up in the zone, counts nothing and takes no lease.  NGX_OK:
 * *answer has the calls for ctx->update, in "pool".  NGX_DECLINED: there is no
 * answer with a call.  NGX_ERROR: no memory.  The key must be set.
 */
ngx_int_t ngx_http_tgbot_cache_use_look(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_answer_t *answer,
    ngx_pool_t *pool);

/*
 * Looks the key up for an update whose program is called if there is no answer.
 * NGX_OK, NGX_ERROR: as above.  NGX_DECLINED: call the program and give what it
 * answers to ngx_http_tgbot_cache_use_fill(); also if no key is set.
 * NGX_AGAIN: handler(), never called from inside, must call this again; the
 * data of its event is "data".
 */
ngx_int_t ngx_http_tgbot_cache_use_get(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_answer_t *answer,
    ngx_pool_t *pool, ngx_event_handler_pt handler, void *data);

/* "to" has the key and the leases from now on; "from" must not be waiting */
void ngx_http_tgbot_cache_use_move(ngx_http_tgbot_cache_use_t *to,
    ngx_http_tgbot_cache_use_t *from);

/*
 * Ends the leases, if there are any, with what the program answered: keeps
 * copies if the answer may be cached.
 */
void ngx_http_tgbot_cache_use_fill(ngx_http_tgbot_cache_use_t *use,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_capture_t *result,
    ngx_pool_t *pool);

/*
 * Ends the wait and the leases: handler() is not called any more, and another
 * update may fill the key.  Idempotent.
 */
void ngx_http_tgbot_cache_use_leave(ngx_http_tgbot_cache_use_t *use);


#endif /* _NGX_HTTP_TGBOT_CACHE_USE_H_INCLUDED_ */
