
/*
 * Keeps Telegram's setWebhook in step with the configuration.
 */

#ifndef _NGX_HTTP_TGBOT_REGISTER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REGISTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_curl.h"
#include "ngx_http_tgbot_webhook_info.h"


/* a bot, in the worker that looks after webhooks */

typedef struct {
    ngx_http_tgbot_bot_t           *bot;
    ngx_http_tgbot_curl_t           call;

    ngx_pool_t                     *pool;     /* while it is busy */
    ngx_http_tgbot_registration_t  *known;    /* likewise */
    ngx_http_tgbot_webhook_info_t   info;     /* likewise */

    unsigned                        busy:1;
    unsigned                        setting:1;    /* setWebhook is called */
    unsigned                        taking:1;     /* it takes one back */
} ngx_http_tgbot_register_task_t;


/*
 * Start of a worker.  Nothing is done at once, nor if no bot has
 * tgbot_register.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_register_init_process(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf);

/* worker exit */
void ngx_http_tgbot_register_exit_process(void);


/*
 * Inside ngx_http_tgbot_register*.c: what the Bot API says, and what follows
 * from that.
 */

/*
 * The first setting that is not as the configuration has it, NULL: none.  This
 * and what follows is in ngx_http_tgbot_register_compare.c.
 */
const char *ngx_http_tgbot_register_differs(
    ngx_http_tgbot_register_task_t *task);

/* the fingerprint of nothing */
extern u_char  ngx_http_tgbot_register_none[NGX_HTTP_TGBOT_REGISTRY_PRINT];

/*
 * Whether Telegram's URL is of another host, or empty, and the webhook was
 * never ours as far as we know: what waits there is not for us.
 */
ngx_uint_t ngx_http_tgbot_register_foreign(
    ngx_http_tgbot_register_task_t *task);

/*
 * The request for setWebhook, into task->call.  In
 * ngx_http_tgbot_register_request.c.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_register_request(ngx_http_tgbot_register_task_t *task,
    const char *method);


#endif /* _NGX_HTTP_TGBOT_REGISTER_H_INCLUDED_ */
