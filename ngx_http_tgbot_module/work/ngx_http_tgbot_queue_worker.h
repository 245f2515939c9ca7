
/*
 * Takes items from the queues and runs them as jobs.
 */

#ifndef _NGX_HTTP_TGBOT_QUEUE_WORKER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_QUEUE_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/* worker start, after that of the bell */
void ngx_http_tgbot_queue_worker_init_process(ngx_http_tgbot_main_conf_t *tmcf,
    ngx_cycle_t *cycle);

/*
 * Graceful shutdown: from now on items are taken only from queues that no later
 * cycle uses and that are not saved to a file.
 */
void ngx_http_tgbot_queue_worker_shutdown(void);

/* worker_shutdown_timeout or worker exit: no item is taken any more */
void ngx_http_tgbot_queue_worker_stop(void);

/* worker exit, after all leases were given back: logs lost items */
void ngx_http_tgbot_queue_worker_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_QUEUE_WORKER_H_INCLUDED_ */
