
/*
 * tgbot_register: keeps the webhooks at Telegram as the configuration says.
 */

#ifndef _NGX_HTTP_TGBOT_REGISTER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REGISTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_curl.h"
#include "ngx_http_tgbot_redis.h"
#include "ngx_http_tgbot_webhook_info.h"


/* a bot with tgbot_register, in each worker */

typedef struct ngx_http_tgbot_register_task_s  ngx_http_tgbot_register_task_t;

struct ngx_http_tgbot_register_task_s {
    ngx_http_tgbot_bot_t           *bot;
    ngx_http_tgbot_curl_t           call;
    uint64_t                        number;   /* of the token in Redis; 0: not
                                                 drawn yet */

    /* only while "busy" */
    ngx_pool_t                     *pool;
    ngx_http_tgbot_registration_t  *known;
    ngx_http_tgbot_webhook_info_t   info;     /* Telegram's last answer */
    const char                     *method;   /* that is called, or will be
                                                 when Redis has replied */

    unsigned                        busy:1;
    unsigned                        setting:1;    /* setWebhook is called */
    unsigned                        taking:1;     /* counted as taken back */
    unsigned                        naming:1;     /* getMe is called */

    /* private to ngx_http_tgbot_register_redis.c */
    ngx_http_tgbot_redis_command_t  command;
    void                          (*told)(ngx_http_tgbot_register_task_t *task,
                                        ngx_int_t rc);
    unsigned                        asking:1;     /* for the lock */
    unsigned                        locked:1;
    unsigned                        alone:1;      /* Redis did not reply */
};


/*
 * Start of a worker: sets a timer, if any bot has tgbot_register.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_register_init_process(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf);

/* worker exit */
void ngx_http_tgbot_register_exit_process(void);


/* inside ngx_http_tgbot_register*.c */

/*
 * The name of the first setting in task->info that differs from the
 * configuration; NULL: none does.
 */
const char *ngx_http_tgbot_register_differs(
    ngx_http_tgbot_register_task_t *task);

/* the fingerprint of the settings in task->info that we configure */
void ngx_http_tgbot_register_print(ngx_http_tgbot_register_task_t *task,
    u_char *print);

/*
 * Why the last delivery since the last setWebhook failed, as far as another
 * setWebhook may help: "a wrong secret", "a wrong certificate"; NULL: it may
 * not.
 */
const char *ngx_http_tgbot_register_refused(
    ngx_http_tgbot_register_task_t *task);

/* the fingerprint that stands for "never registered" */
extern u_char  ngx_http_tgbot_register_none[NGX_HTTP_TGBOT_REGISTRY_PRINT];

/*
 * Whether Telegram's URL is empty or of another host, and we never registered
 * the webhook as far as we know: pending updates there are not for us.
 */
ngx_uint_t ngx_http_tgbot_register_foreign(
    ngx_http_tgbot_register_task_t *task);

/*
 * Takes or renews the lock of the bot in Redis, which others wait for, and
 * tells them what task->known has of the webhook; the first time of a task it
 * asks for what they know, which is put into task->known if it is not older.
 *
 * NGX_AGAIN     told(task, rc) will be called, from an event:
 *               NGX_OK        this machine has the lock
 *               NGX_BUSY      another one has it
 *               NGX_DECLINED  Redis does not reply
 * NGX_DECLINED  there is no "tgbot_redis", or Redis is away
 */
ngx_int_t ngx_http_tgbot_register_redis_lock(
    ngx_http_tgbot_register_task_t *task,
    void (*told)(ngx_http_tgbot_register_task_t *task, ngx_int_t rc));

/*
 * Tells the others what task->known has, and ends the lock.  Returns and calls
 * as above; NGX_DECLINED: the task has no lock.
 */
ngx_int_t ngx_http_tgbot_register_redis_unlock(
    ngx_http_tgbot_register_task_t *task,
    void (*told)(ngx_http_tgbot_register_task_t *task, ngx_int_t rc));

/* ends the lock without a word, and waits for nothing; idempotent */
void ngx_http_tgbot_register_redis_end(ngx_http_tgbot_register_task_t *task);

/*
 * Fills task->call with the request for "method", in task->pool; with
 * task->setting it has the parameters of setWebhook.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_register_request(ngx_http_tgbot_register_task_t *task,
    const char *method);


#endif /* _NGX_HTTP_TGBOT_REGISTER_H_INCLUDED_ */
