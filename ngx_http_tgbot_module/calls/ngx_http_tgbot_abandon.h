
/*
 * Detached requests that were given up while they could not be freed yet: a
 * thread works for them, or a module still holds a reference.
 */

#ifndef _NGX_HTTP_TGBOT_ABANDON_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ABANDON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_detached.h"


/*
 * Takes over d and frees it as soon as it is not held any more; in an exiting
 * worker, as soon as no thread works for it.  This is checked once a second.
 * The functions of d's owner are not called any more.  All that d points to,
 * except configuration, is in "pool", which must live as long as d: its owner
 * destroys it by ngx_http_tgbot_abandon_pool().
 *
 * NGX_OK        d belongs to this file now
 * NGX_DECLINED  too many requests are abandoned: d stays the caller's
 */
ngx_int_t ngx_http_tgbot_abandon(ngx_http_tgbot_detached_t *d,
    ngx_pool_t *pool);

/*
 * Destroys a pool that calls were made with; if abandoned requests still use
 * the pool, the last of them destroys it.
 */
void ngx_http_tgbot_abandon_pool(ngx_pool_t *pool);

/* worker exit, when no threads run any more: frees all abandoned requests */
void ngx_http_tgbot_abandon_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_ABANDON_H_INCLUDED_ */
