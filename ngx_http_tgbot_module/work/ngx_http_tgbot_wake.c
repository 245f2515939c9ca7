
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_wake.h"


static ngx_event_t  ngx_http_tgbot_wake_event;


void
ngx_http_tgbot_wake_init_process(ngx_event_handler_pt handler, ngx_log_t *log)
{
    ngx_memzero(&ngx_http_tgbot_wake_event, sizeof(ngx_event_t));

    ngx_http_tgbot_wake_event.handler = handler;
    ngx_http_tgbot_wake_event.log = log;
}


void
ngx_http_tgbot_wake(void)
{
    if (ngx_http_tgbot_wake_event.handler) {
        ngx_post_event(&ngx_http_tgbot_wake_event, &ngx_posted_events);
    }
}


void
ngx_http_tgbot_wake_exit_process(void)
{
    if (ngx_http_tgbot_wake_event.posted) {
        ngx_delete_posted_event(&ngx_http_tgbot_wake_event);
    }

    ngx_http_tgbot_wake_event.handler = NULL;
}
