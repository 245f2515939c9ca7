
/*
 * Start, graceful shutdown, worker_shutdown_timeout and exit of a worker.
 */

#ifndef _NGX_HTTP_TGBOT_WORKER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_bot.h"


/*
 * Called from init_process, but not in nginx's helper processes.
 * NGX_ERROR: no connection.
 */
ngx_int_t ngx_http_tgbot_worker_init(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *mcf);

/* called from exit_process: drops all jobs and calls, so no socket is left */
void ngx_http_tgbot_worker_exit(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_TGBOT_WORKER_H_INCLUDED_ */
