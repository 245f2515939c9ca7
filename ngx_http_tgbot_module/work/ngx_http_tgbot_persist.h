
/*
 * When queues are written to the files of "state=", and read from them.
 */

#ifndef _NGX_HTTP_TGBOT_PERSIST_H_INCLUDED_
#define _NGX_HTTP_TGBOT_PERSIST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/*
 * init_module: what a master that ended has left is loaded when nginx
 * starts.  A file that cannot be loaded is logged, and kept aside.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_persist_init_module(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf);

/*
 * Start of a worker: what was loaded is not needed any more.  The first worker
 * looks for what another master leaves: the old one of a binary upgrade, or
 * the new one of an upgrade that is given up.
 */
ngx_int_t ngx_http_tgbot_persist_init_process(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf);

/* worker exit */
void ngx_http_tgbot_persist_exit_process(void);

/*
 * exit_master, when all workers are gone: writes the files.  What is in them
 * by then, and was not loaded, is kept.
 */
void ngx_http_tgbot_persist_exit_master(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf);


#endif /* _NGX_HTTP_TGBOT_PERSIST_H_INCLUDED_ */
