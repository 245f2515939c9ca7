
/*
 * The claim of an update in Redis ("tgbot_dedup redis"), for claim.c only.
 */

#ifndef _NGX_HTTP_TGBOT_CLAIM_REDIS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CLAIM_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_claim.h"


void ngx_http_tgbot_claim_redis_init_process(void);

/*
 * Frees the claims that are being settled and whose owners have left; Redis
 * frees what they hold when the lease of this worker is over.  Called when
 * worker_shutdown_timeout passes, and at the exit of a worker.
 */
void ngx_http_tgbot_claim_redis_abandon(void);


/* as the functions of claim.h with these names */

ngx_int_t ngx_http_tgbot_claim_redis_take(ngx_http_tgbot_claim_t *claim,
    int64_t update_id, ngx_http_tgbot_method_t *ride);

ngx_uint_t ngx_http_tgbot_claim_redis_holds(ngx_http_tgbot_claim_t *claim);

ngx_int_t ngx_http_tgbot_claim_redis_settle(ngx_http_tgbot_claim_t *claim,
    ngx_http_tgbot_claim_end_e end, ngx_http_tgbot_method_t *ride);


#endif /* _NGX_HTTP_TGBOT_CLAIM_REDIS_H_INCLUDED_ */
