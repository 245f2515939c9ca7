
/* The bell; the rest of it is in ngx_http_tgbot_redis.h. */

#ifndef _NGX_HTTP_TGBOT_REDIS_BELL_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_BELL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis.h"


/* start of a worker; conf may be NULL */
void ngx_http_tgbot_redis_bell_init(ngx_http_tgbot_redis_conf_t *conf);

/* exit of a worker */
void ngx_http_tgbot_redis_bell_exit(void);


#endif /* _NGX_HTTP_TGBOT_REDIS_BELL_H_INCLUDED_ */
