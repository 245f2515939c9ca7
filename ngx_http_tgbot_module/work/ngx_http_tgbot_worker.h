
/*
 * A worker's life as its jobs see it: start, graceful shutdown, its timeout.
 */

#ifndef _NGX_HTTP_TGBOT_WORKER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_bot.h"


/* from the module's init_process; not for nginx's helper processes */
ngx_int_t ngx_http_tgbot_worker_init(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *mcf);

/* from exit_process: aborts what still runs, so that no socket is left */
void ngx_http_tgbot_worker_exit(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_TGBOT_WORKER_H_INCLUDED_ */
