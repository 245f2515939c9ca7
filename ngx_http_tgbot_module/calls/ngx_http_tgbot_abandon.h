
/*
 * Detached requests that were given up while nginx did not let go of them: a
 * thread works for them, or a module has a reference and goes on.
 */

#ifndef _NGX_HTTP_TGBOT_ABANDON_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ABANDON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_detached.h"


/*
 * Takes d, to free it once it is not held any more, or no thread works for it
 * in a worker that is to exit; it is looked at once a second.  Its owner's
 * functions are not called from here on; what it points to, besides
 * configuration, is in "pool", which lives as long as d does: see below.
 * NGX_DECLINED: there are too many, and d remains the caller's.
 */
ngx_int_t ngx_http_tgbot_abandon(ngx_http_tgbot_detached_t *d,
    ngx_pool_t *pool);

/* destroys a pool that calls were made with, or leaves it to abandoned ones */
void ngx_http_tgbot_abandon_pool(ngx_pool_t *pool);

/* worker exit: threads are gone, frees all */
void ngx_http_tgbot_abandon_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_ABANDON_H_INCLUDED_ */
