
/*
 * Buffers for the answers of calls.
 */

#ifndef _NGX_HTTP_TGBOT_BUFFER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BUFFER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Returns an empty buffer of "size" bytes that lives as long as the pool.  Of a
 * large one only the bytes that are written take memory.  NULL: no memory.
 */
ngx_buf_t *ngx_http_tgbot_buffer_create(ngx_pool_t *pool, size_t size);


#endif /* _NGX_HTTP_TGBOT_BUFFER_H_INCLUDED_ */
