
/*
 * Dead letters in Redis, see dead_verbs.h.
 */

#ifndef _NGX_HTTP_TGBOT_DEAD_REDIS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEAD_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_dead_verbs.h"


extern const ngx_http_tgbot_dead_verbs_t  ngx_http_tgbot_dead_redis;


void ngx_http_tgbot_dead_redis_init_process(void);

/* worker exit, after jobs and requests have ended: nothing is told any more */
void ngx_http_tgbot_dead_redis_exit_process(void);

/*
 * worker_shutdown_timeout has passed: what is still to be told to Redis does
 * not keep this worker any longer.
 */
void ngx_http_tgbot_dead_redis_abandon(void);

#endif /* _NGX_HTTP_TGBOT_DEAD_REDIS_H_INCLUDED_ */
