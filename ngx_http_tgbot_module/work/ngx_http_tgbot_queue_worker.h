
/*
 * Takes jobs from the queues, as many as there is work for.
 */

#ifndef _NGX_HTTP_TGBOT_QUEUE_WORKER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_QUEUE_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


void ngx_http_tgbot_queue_worker_init_process(ngx_http_tgbot_main_conf_t *tmcf,
    ngx_log_t *log);

/*
 * Graceful shutdown: from now on only what is in queues that no later cycle
 * will work on, and that are not written to a file, is taken.
 */
void ngx_http_tgbot_queue_worker_shutdown(void);

/* worker_shutdown_timeout has passed, or the worker exits: nothing is */
void ngx_http_tgbot_queue_worker_stop(void);

/* worker exit, when all leases are given back: tells of what is lost */
void ngx_http_tgbot_queue_worker_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_QUEUE_WORKER_H_INCLUDED_ */
