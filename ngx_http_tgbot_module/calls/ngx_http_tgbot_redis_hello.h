
/*
 * What is said on a new connection before it is used: who this is, which
 * database, and whether the module can work with this Redis.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_HELLO_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_HELLO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis_link.h"


/*
 * hello() of a link: ends with ngx_http_tgbot_redis_link_up() or _fail().
 * Once in the life of worker 0 it warns of what endangers the data.
 */
void ngx_http_tgbot_redis_hello(ngx_http_tgbot_redis_link_t *link);


#endif /* _NGX_HTTP_TGBOT_REDIS_HELLO_H_INCLUDED_ */
