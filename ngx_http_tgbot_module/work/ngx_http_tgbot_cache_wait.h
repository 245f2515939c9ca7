
/*
 * Who waits for an answer that another update is getting for the cache.
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

    /* time to look again: the waiting is over, and may be begun anew */
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
 * ready() is called, from an event of its own, when this worker ends what it
 * does for the same key, and each 100 ms, as other workers tell nobody.
 */
void ngx_http_tgbot_cache_wait_add(ngx_http_tgbot_cache_wait_t *wait);

/* idempotent */
void ngx_http_tgbot_cache_wait_remove(ngx_http_tgbot_cache_wait_t *wait);

/* this worker has filled or released the key */
void ngx_http_tgbot_cache_wait_resume(ngx_http_tgbot_cache_t *cache);


#endif /* _NGX_HTTP_TGBOT_CACHE_WAIT_H_INCLUDED_ */
