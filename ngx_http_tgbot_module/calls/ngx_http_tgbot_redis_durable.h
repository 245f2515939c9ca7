
/*
 * Commands that count when replicas have them: "replicas=" of tgbot_redis.
 * WAIT holds back all behind it, so they have a connection of their own; what
 * comes while one WAIT is under way shares the next one.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_DURABLE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_DURABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis_link.h"


/*
 * Start of a worker: connects if conf has replicas.  done() is called for each
 * entry as that of a link is, with UNKNOWN if too few replicas have it.
 */
void ngx_http_tgbot_redis_durable_init(ngx_http_tgbot_redis_conf_t *conf,
    ngx_http_tgbot_redis_done_pt done);

/* exit of a worker: as ngx_http_tgbot_redis_link_close() */
void ngx_http_tgbot_redis_durable_exit(void);

/* as ngx_http_tgbot_redis_link_ready(); 0 without replicas too */
ngx_uint_t ngx_http_tgbot_redis_durable_ready(void);

/* as ngx_http_tgbot_redis_link_push() */
void ngx_http_tgbot_redis_durable_push(ngx_http_tgbot_redis_entry_t *entry);


#endif /* _NGX_HTTP_TGBOT_REDIS_DURABLE_H_INCLUDED_ */
