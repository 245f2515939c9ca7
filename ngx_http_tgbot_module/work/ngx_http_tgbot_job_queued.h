
/*
 * Wakes the queue worker: there may be an item to take.  The other functions of
 * job_queued.c, for jobs from the queue, are in job.h.
 */

#ifndef _NGX_HTTP_TGBOT_JOB_QUEUED_H_INCLUDED_
#define _NGX_HTTP_TGBOT_JOB_QUEUED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* sets the handler of the event that ngx_http_tgbot_queue_wake() posts */
void ngx_http_tgbot_queue_wake_init_process(ngx_event_handler_pt handler,
    ngx_log_t *log);

/* posts the event; the handler never runs from inside */
void ngx_http_tgbot_queue_wake(void);

/* worker exit: later wakes do nothing */
void ngx_http_tgbot_queue_wake_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_JOB_QUEUED_H_INCLUDED_ */
