
/*
 * The nodes of a cluster.  One link goes to the addresses of the configuration;
 * what it, or a node, says of a slot is learned, and the node gets a link of
 * its own.  A bot's keys are all in one slot.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_CLUSTER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_CLUSTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis_link.h"


/* start of a worker; "first" leads to the addresses of the configuration */
void ngx_http_tgbot_redis_cluster_init(ngx_http_tgbot_redis_link_t *first);

/* exit of a worker: closes the links of nodes, as link_close() */
void ngx_http_tgbot_redis_cluster_exit(void);

/* the slot of a hash tag, "{...}" */
ngx_uint_t ngx_http_tgbot_redis_cluster_slot(ngx_str_t *tag);

/* the link that leads to the slot; it need not be ready */
ngx_http_tgbot_redis_link_t *ngx_http_tgbot_redis_cluster_link(
    ngx_uint_t slot);

/*
 * The link that an error leads to, MOVED or ASK, which is learned; sets
 * *asked if it was ASK.  "from" is the link that said so.  NULL: the error is
 * another one, or there is no way to that node now.
 */
ngx_http_tgbot_redis_link_t *ngx_http_tgbot_redis_cluster_redirect(
    ngx_http_tgbot_redis_link_t *from, redisReply *reply, ngx_uint_t *asked);


#endif /* _NGX_HTTP_TGBOT_REDIS_CLUSTER_H_INCLUDED_ */
