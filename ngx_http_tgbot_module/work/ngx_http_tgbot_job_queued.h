
/*
 * Tells the one who takes jobs from the queues that there may be one.
 */

#ifndef _NGX_HTTP_TGBOT_JOB_QUEUED_H_INCLUDED_
#define _NGX_HTTP_TGBOT_JOB_QUEUED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* the handler of an event that is posted by each ngx_http_tgbot_queue_wake() */
void ngx_http_tgbot_queue_wake_init_process(ngx_event_handler_pt handler,
    ngx_log_t *log);

/* soon, and not from inside */
void ngx_http_tgbot_queue_wake(void);

/* nobody is to be told any more */
void ngx_http_tgbot_queue_wake_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_JOB_QUEUED_H_INCLUDED_ */
