
/*
 * Passes the answer of a call on to another request as it comes.
 */

#ifndef _NGX_HTTP_TGBOT_PASS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_PASS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_call.h"


/*
 * send_chain of the connection of a detached request, whose owner is a call:
 * takes all of "in".  NGX_CHAIN_ERROR: the client of call->to is gone, or the
 * call is.
 */
ngx_chain_t *ngx_http_tgbot_pass_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit);

/*
 * The subrequest has ended: takes what the core's write filter still holds,
 * as it waited for more.  "last": with the end of the response, if there is
 * something; then it returns 1.
 */
ngx_uint_t ngx_http_tgbot_pass_rest(ngx_http_tgbot_call_t *call,
    ngx_uint_t last);

/*
 * For the write event handler of call->to: sends what is buffered for the
 * client, and lets the call go on if there is room.  NGX_ERROR: the client is
 * gone.  NGX_OK without "to": the call has learned of that before.
 */
ngx_int_t ngx_http_tgbot_pass_writable(ngx_http_tgbot_call_t *call);

/*
 * For done: the answer, its header and what is captured of its body included,
 * lives as long as the pool of "to" from now on.  An answer that is passed on
 * is kept without being asked.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_pass_keep(ngx_http_tgbot_call_t *call,
    ngx_http_request_t *to);

/* lets the answer of a subrequest be captured, up to "size" bytes */
ngx_int_t ngx_http_tgbot_pass_buffer(ngx_http_request_t *sr, size_t size);

/*
 * Copies the header of the answer of a subrequest into the response of "to",
 * which must not live longer than the subrequest.
 */
void ngx_http_tgbot_pass_header(ngx_http_request_t *to,
    ngx_http_request_t *sr);


#endif /* _NGX_HTTP_TGBOT_PASS_H_INCLUDED_ */
