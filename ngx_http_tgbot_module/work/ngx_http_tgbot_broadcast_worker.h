
/*
 * Sends broadcasts: one worker leads a broadcast, and takes over those whose
 * leader has died.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_WORKER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/*
 * Chats of a broadcast that are in flight at most; of one that is paid for,
 * which goes faster.  As many may be unknown after a kill.
 */
#define NGX_HTTP_TGBOT_BROADCAST_FLIGHTS       32
#define NGX_HTTP_TGBOT_BROADCAST_FLIGHTS_PAID  128


void ngx_http_tgbot_broadcast_worker_init_process(
    ngx_http_tgbot_main_conf_t *tmcf, ngx_cycle_t *cycle);

/* there may be something to send */
void ngx_http_tgbot_broadcast_worker_wake(void);

/*
 * ngx_http_tgbot_broadcast_set() with a line in the log; wakes this worker.
 */
ngx_int_t ngx_http_tgbot_broadcast_worker_set(
    ngx_http_tgbot_broadcast_conf_t *b, uint64_t id, ngx_uint_t state,
    ngx_log_t *log);

/*
 * Graceful shutdown: nothing is sent any more; what was sent is waited for,
 * while another worker leads.
 */
void ngx_http_tgbot_broadcast_worker_shutdown(void);

/* worker_shutdown_timeout or worker exit: what was sent becomes unknown */
void ngx_http_tgbot_broadcast_worker_stop(void);

/* worker exit, after that: logs how many chats are lost with their zone */
void ngx_http_tgbot_broadcast_worker_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_WORKER_H_INCLUDED_ */
