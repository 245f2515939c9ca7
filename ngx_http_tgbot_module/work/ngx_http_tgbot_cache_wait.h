
/*
 * Jobs and webhooks that wait until another update has filled a cache key.
 */

#ifndef _NGX_HTTP_TGBOT_CACHE_WAIT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CACHE_WAIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_cache.h"


typedef struct ngx_http_tgbot_cache_wait_s  ngx_http_tgbot_cache_wait_t;

struct ngx_http_tgbot_cache_wait_s {

    /* set by the caller before add, the rest zeroed */

    ngx_http_tgbot_cache_t        *cache;

    /* the caller must look the key up again; it may call add again */
    void                         (*ready)(ngx_http_tgbot_cache_wait_t *wait);
    void                          *data;
    ngx_log_t                     *log;

    /* private */

    ngx_queue_t                    queue;
    ngx_event_t                    event;

    unsigned                       active:1;
};


void ngx_http_tgbot_cache_wait_init_process(ngx_log_t *log);

/*
 * ready() is called once, from an event of its own: when this worker has filled
 * or released the same key, or within 100 ms, because other workers send no
 * notice.
 */
void ngx_http_tgbot_cache_wait_add(ngx_http_tgbot_cache_wait_t *wait);

/* idempotent */
void ngx_http_tgbot_cache_wait_remove(ngx_http_tgbot_cache_wait_t *wait);

/* this worker has filled or released the key: calls ready() of its waiters */
void ngx_http_tgbot_cache_wait_resume(ngx_http_tgbot_cache_t *cache);


#endif /* _NGX_HTTP_TGBOT_CACHE_WAIT_H_INCLUDED_ */
