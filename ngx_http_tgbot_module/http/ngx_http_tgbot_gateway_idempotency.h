
/*
 * The gateway's stage for calls with an Idempotency-Key.
 */

#ifndef _NGX_HTTP_TGBOT_GATEWAY_IDEMPOTENCY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_GATEWAY_IDEMPOTENCY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_gateway.h"


/*
 * The stage: answers the call from its record, refuses it, lets it wait, or
 * lets it go on.
 */
ngx_int_t ngx_http_tgbot_gateway_idempotency(ngx_http_tgbot_gateway_t *g);

/*
 * Each of these does nothing for a call without a key, or after one of them
 * has ended its record.
 *
 * sent: the call has ended, with g->send.result.
 * passed: its answer goes on to the program, or has ended; "hung": the program
 * hung up, so what there is of the body now is all.
 * leave: it has ended without an answer; "unsent": it certainly had no effect.
 */
void ngx_http_tgbot_gateway_idempotency_sent(ngx_http_tgbot_gateway_t *g);
void ngx_http_tgbot_gateway_idempotency_passed(ngx_http_tgbot_gateway_t *g,
    ngx_uint_t hung);
void ngx_http_tgbot_gateway_idempotency_leave(ngx_http_tgbot_gateway_t *g,
    ngx_uint_t unsent);


#endif /* _NGX_HTTP_TGBOT_GATEWAY_IDEMPOTENCY_H_INCLUDED_ */
