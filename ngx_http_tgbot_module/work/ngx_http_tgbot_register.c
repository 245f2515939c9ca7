
/*
 * One worker looks after the webhooks of all bots, under a lease in the zone
 * of what is known of them.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_register.h"


/* how long another worker's death, or a time to ask, goes unnoticed, ms */
#define NGX_HTTP_TGBOT_REGISTER_TIME   1000

/*
 * A new process waits so long: the master lets workers of the configuration
 * before live on for 100 ms (ngx_master_process_cycle)
 */
#define NGX_HTTP_TGBOT_REGISTER_START  300

/* times that a process which exits looks whether setWebhook has ended */
#define NGX_HTTP_TGBOT_REGISTER_STAY   5

/* bots that are asked for at a time */
#define NGX_HTTP_TGBOT_REGISTER_CALLS  4


static void ngx_http_tgbot_register_run(ngx_event_t *ev);
static ngx_uint_t ngx_http_tgbot_register_leave(void);
static void ngx_http_tgbot_register_tasks(void);
static ngx_int_t ngx_http_tgbot_register_start(
    ngx_http_tgbot_register_task_t *task);
static ngx_uint_t ngx_http_tgbot_register_due(
    ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_end(ngx_http_tgbot_register_task_t *task);


static ngx_http_tgbot_register_task_t  *ngx_http_tgbot_register_list;
static ngx_uint_t                       ngx_http_tgbot_register_nlist;
static ngx_uint_t                       ngx_http_tgbot_register_first;
static ngx_uint_t                       ngx_http_tgbot_register_stayed;
static ngx_http_tgbot_zone_t           *ngx_http_tgbot_register_zone;
static ngx_event_t                      ngx_http_tgbot_register_timer;


ngx_int_t
ngx_http_tgbot_register_init_process(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf)
{
    ngx_uint_t                        i, n;
    ngx_event_t                      *ev;
    ngx_http_tgbot_bot_t            **bots;
    ngx_http_tgbot_register_task_t   *task;

    bots = tmcf->bots.elts;
    n = 0;

    for (i = 0; i < tmcf->bots.nelts; i++) {
        n += (bots[i]->hook != NULL);
    }

    if (n == 0) {
        return NGX_OK;
    }

    task = ngx_pcalloc(cycle->pool,
                       n * sizeof(ngx_http_tgbot_register_task_t));
    if (task == NULL) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_register_list = task;
    ngx_http_tgbot_register_nlist = n;
    ngx_http_tgbot_register_stayed = 0;

    for (i = 0; i < tmcf->bots.nelts; i++) {

        if (bots[i]->hook) {
            ngx_http_tgbot_register_zone = bots[i]->registry->zone;
            task->bot = bots[i];
            task++;
        }
    }

    ev = &ngx_http_tgbot_register_timer;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_tgbot_register_run;
    ev->data = ev;
    ev->log = cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_HTTP_TGBOT_REGISTER_START);

    return NGX_OK;
}


static void
ngx_http_tgbot_register_run(ngx_event_t *ev)
{
    if (ngx_exiting || ngx_terminate) {

        if (!ngx_http_tgbot_register_leave()) {
            return;
        }

    } else if (!ngx_http_tgbot_slot_former()
               && ngx_http_tgbot_registry_hold(ngx_http_tgbot_register_zone))
    {
        /* nobody who is asked by Telegram has other secrets than we */

        ngx_http_tgbot_register_tasks();
    }

    ngx_add_timer(ev, NGX_HTTP_TGBOT_REGISTER_TIME);
}


/*
 * The process that takes over is to know what became of a setWebhook; a
 * question can be asked again.  0: there is nothing left to wait for.
 */

static ngx_uint_t
ngx_http_tgbot_register_leave(void)
{
    ngx_uint_t                       i, left;
    ngx_http_tgbot_register_task_t  *task;

    left = 0;

    ngx_http_tgbot_register_stayed++;

    for (i = 0; i < ngx_http_tgbot_register_nlist; i++) {
        task = &ngx_http_tgbot_register_list[i];

        if (task->busy && task->setting
            && ngx_http_tgbot_register_stayed < NGX_HTTP_TGBOT_REGISTER_STAY)
        {
            left++;

        } else if (task->busy) {
            ngx_http_tgbot_register_end(task);
        }
    }

    if (left == 0) {
        ngx_http_tgbot_registry_release(ngx_http_tgbot_register_zone);
    }

    return left;
}


static void
ngx_http_tgbot_register_tasks(void)
{
    ngx_uint_t                       i, n, busy;
    ngx_http_tgbot_register_task_t  *task;

    n = ngx_http_tgbot_register_nlist;
    busy = 0;

    if (n == 0) {
        return;
    }

    for (i = 0; i < n; i++) {
        busy += ngx_http_tgbot_register_list[i].busy;
    }

    /* bots take turns in being the first */

    for (i = 0; i < n && busy < NGX_HTTP_TGBOT_REGISTER_CALLS; i++) {
        task = &ngx_http_tgbot_register_list[
                                  (ngx_http_tgbot_register_first + i) % n];

        if (task->busy) {
            continue;
        }

        if (ngx_http_tgbot_register_start(task) == NGX_OK) {
            busy++;
        }
    }

    ngx_http_tgbot_register_first = (ngx_http_tgbot_register_first + i) % n;
}


/* NGX_DECLINED: it is not the time */

static ngx_int_t
ngx_http_tgbot_register_start(ngx_http_tgbot_register_task_t *task)
{
    ngx_http_tgbot_registration_t  *known;

    task->pool = ngx_create_pool(4096, ngx_cycle->log);
    if (task->pool == NULL) {
        return NGX_DECLINED;
    }

    known = ngx_palloc(task->pool, sizeof(ngx_http_tgbot_registration_t));

    task->known = known;
    task->setting = 0;
    task->taking = 0;

    if (known == NULL || !ngx_http_tgbot_register_due(task)) {
        ngx_http_tgbot_register_end(task);
        return NGX_DECLINED;
    }

    if (!known->asked) {

        if (!ngx_http_tgbot_registry_pace(ngx_http_tgbot_register_zone)) {
            ngx_http_tgbot_register_end(task);
            return NGX_DECLINED;
        }

        known->asked = 1;
    }

    task->busy = 1;

    ngx_http_tgbot_register_check(task);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tgbot_register_due(ngx_http_tgbot_register_task_t *task)
{
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    if (ngx_http_tgbot_registry_get(task->bot->registry, known) != NGX_OK) {
        return 0;
    }

    if (ngx_memcmp(known->wanted, task->bot->registry->wanted,
                   NGX_HTTP_TGBOT_REGISTRY_PRINT)
        == 0)
    {
        return (ngx_msec_int_t) (known->next - ngx_current_msec) <= 0;
    }

    /* another configuration, to which nothing has happened yet */

    ngx_memcpy(known->wanted, task->bot->registry->wanted,
               NGX_HTTP_TGBOT_REGISTRY_PRINT);

    ngx_memzero(known->taken, sizeof(known->taken));

    known->failures = 0;

    return 1;
}


void
ngx_http_tgbot_register_finish(ngx_http_tgbot_register_task_t *task,
    ngx_msec_t delay)
{
    ngx_int_t  rc;

    task->known->next = ngx_current_msec + delay;

    rc = ngx_http_tgbot_registry_put(task->bot->registry, task->known);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "tgbot: bot \"%V\": another worker registers "
                      "webhooks now", &task->bot->name);
    }

    ngx_http_tgbot_register_end(task);
}


static void
ngx_http_tgbot_register_end(ngx_http_tgbot_register_task_t *task)
{
    ngx_http_tgbot_curl_abort(&task->call);
    ngx_http_tgbot_curl_free(&task->call);

    if (task->pool) {
        ngx_destroy_pool(task->pool);
        task->pool = NULL;
    }

    task->busy = 0;
    task->setting = 0;
}


void
ngx_http_tgbot_register_exit_process(void)
{
    ngx_uint_t  i;

    if (ngx_http_tgbot_register_nlist == 0) {
        return;
    }

    for (i = 0; i < ngx_http_tgbot_register_nlist; i++) {
        ngx_http_tgbot_register_end(&ngx_http_tgbot_register_list[i]);
    }

    ngx_http_tgbot_curl_exit_process();

    ngx_http_tgbot_registry_release(ngx_http_tgbot_register_zone);

    if (ngx_http_tgbot_register_timer.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_register_timer);
    }

    ngx_http_tgbot_register_nlist = 0;
}
