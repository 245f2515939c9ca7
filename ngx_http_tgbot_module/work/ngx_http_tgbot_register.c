
/*
 * One worker registers the webhooks of all bots.  Its lease is in the zone that
 * keeps what is known of the webhooks.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_backoff.h"
#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_register.h"


/* time between looks whether a bot is due or the leasing worker died, ms */
#define NGX_HTTP_TGBOT_REGISTER_TIME   1000

/*
 * Delay of the first look, ms: at a reload the master stops the old workers
 * 100 ms after it has started the new ones (ngx_master_process_cycle)
 */
#define NGX_HTTP_TGBOT_REGISTER_START  300

/* looks of an exiting worker at a setWebhook that has not ended yet */
#define NGX_HTTP_TGBOT_REGISTER_STAY   5

/* bots with a call in flight at a time */
#define NGX_HTTP_TGBOT_REGISTER_CALLS  4


#define NGX_HTTP_TGBOT_REGISTER_BACKOFF      1000
#define NGX_HTTP_TGBOT_REGISTER_MAX_BACKOFF  (5 * 60 * 1000)

/* what is added to a time that Telegram measures by its own clock, ms */
#define NGX_HTTP_TGBOT_REGISTER_MARGIN       200

/*
 * Time from the end of a setWebhook to the next one of the bot, ms.  Telegram
 * allows one per second (Client.cpp), and counts from when it executed the
 * first, which may be long after that was sent.
 */
#define NGX_HTTP_TGBOT_REGISTER_PAUSE                                         \
    (1000 + NGX_HTTP_TGBOT_REGISTER_MARGIN)

/* how soon a lock of another machine is tried again, ms */
#define NGX_HTTP_TGBOT_REGISTER_BUSY         2000

/* the longest retry_after of the Bot API that is obeyed, seconds */
#define NGX_HTTP_TGBOT_REGISTER_RETRY_MAX    3600


static void ngx_http_tgbot_register_run(ngx_event_t *ev);
static ngx_uint_t ngx_http_tgbot_register_leave(void);
static void ngx_http_tgbot_register_tasks(void);
static ngx_int_t ngx_http_tgbot_register_start(
    ngx_http_tgbot_register_task_t *task);
static ngx_uint_t ngx_http_tgbot_register_due(
    ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_finish(ngx_http_tgbot_register_task_t *task,
    ngx_msec_t delay);
static void ngx_http_tgbot_register_shared(
    ngx_http_tgbot_register_task_t *task, ngx_int_t rc);
static void ngx_http_tgbot_register_save(ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_end(ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_check(ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_call(ngx_http_tgbot_register_task_t *task,
    const char *method);
static void ngx_http_tgbot_register_locked(
    ngx_http_tgbot_register_task_t *task, ngx_int_t rc);
static void ngx_http_tgbot_register_send(ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_done(ngx_http_tgbot_curl_t *call);
static void ngx_http_tgbot_register_result(
    ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_told(ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_keep(ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_verify(
    ngx_http_tgbot_register_task_t *task, const char *differs);
static void ngx_http_tgbot_register_decide(
    ngx_http_tgbot_register_task_t *task, const char *differs);
static void ngx_http_tgbot_register_taken(
    ngx_http_tgbot_register_task_t *task, const char *refused);
static void ngx_http_tgbot_register_stop(ngx_http_tgbot_register_task_t *task,
    ngx_uint_t level, const char *text);
static ngx_uint_t ngx_http_tgbot_register_soon(
    ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_set(ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_registered(
    ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_ok(ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_named(
    ngx_http_tgbot_register_task_t *task);
static void ngx_http_tgbot_register_failed(
    ngx_http_tgbot_register_task_t *task, ngx_str_t *why, ngx_msec_t delay);
static ngx_uint_t ngx_http_tgbot_register_equal(u_char *a, u_char *b);


static ngx_http_tgbot_register_task_t  *ngx_http_tgbot_register_list;
static ngx_uint_t                       ngx_http_tgbot_register_nlist;
static ngx_uint_t                       ngx_http_tgbot_register_first;
static ngx_uint_t                       ngx_http_tgbot_register_stayed;
static ngx_http_tgbot_zone_t           *ngx_http_tgbot_register_zone;
static ngx_event_t                      ngx_http_tgbot_register_timer;


u_char  ngx_http_tgbot_register_none[NGX_HTTP_TGBOT_REGISTRY_PRINT];


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
        n += (bots[i]->reg != NULL);
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

        if (bots[i]->reg) {
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

    } else if (!ngx_http_tgbot_lease_former()
               && ngx_http_tgbot_registry_hold(ngx_http_tgbot_register_zone))
    {
        /* no older worker still accepts only the old secret */

        ngx_http_tgbot_register_tasks();
    }

    ngx_add_timer(ev, NGX_HTTP_TGBOT_REGISTER_TIME);
}


/*
 * Ends the calls of an exiting worker.  A setWebhook may go on for a while, so
 * that the next worker knows its result; a getWebhookInfo is just dropped.
 * 0: there is nothing left to wait for.
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


/* NGX_DECLINED: the bot is not due, or no memory */

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
    task->naming = 0;
    task->asking = 0;
    task->locked = 0;
    task->alone = 0;

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

    /*
     * The configuration is new: failures and changes before do not count, and
     * what other machines have registered before is not newer
     */

    ngx_memcpy(known->wanted, task->bot->registry->wanted,
               NGX_HTTP_TGBOT_REGISTRY_PRINT);

    ngx_memzero(known->taken, sizeof(known->taken));

    known->failures = 0;
    known->named = 0;
    known->newer = 1;

    return 1;
}


/*
 * Ends the task: saves task->known in Redis and in the zone, and makes the bot
 * due again after "delay" ms.
 */

static void
ngx_http_tgbot_register_finish(ngx_http_tgbot_register_task_t *task,
    ngx_msec_t delay)
{
    task->known->next = ngx_current_msec + delay;

    if (ngx_http_tgbot_register_redis_unlock(task,
                                             ngx_http_tgbot_register_shared)
        == NGX_DECLINED)
    {
        ngx_http_tgbot_register_save(task);
    }
}


static void
ngx_http_tgbot_register_shared(ngx_http_tgbot_register_task_t *task,
    ngx_int_t rc)
{
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    if (rc == NGX_OK
        && ngx_http_tgbot_register_equal(known->registered, known->wanted))
    {
        known->newer = 0;
    }

    ngx_http_tgbot_register_save(task);
}


static void
ngx_http_tgbot_register_save(ngx_http_tgbot_register_task_t *task)
{
    ngx_int_t  rc;

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

    ngx_http_tgbot_register_redis_end(task);

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


/* asks Telegram for the bot's webhook */

static void
ngx_http_tgbot_register_check(ngx_http_tgbot_register_task_t *task)
{
    task->setting = 0;

    ngx_http_tgbot_register_call(task, "getWebhookInfo");
}


static void
ngx_http_tgbot_register_call(ngx_http_tgbot_register_task_t *task,
    const char *method)
{
    task->method = method;

    if (ngx_http_tgbot_register_redis_lock(task,
                                           ngx_http_tgbot_register_locked)
        == NGX_DECLINED)
    {
        ngx_http_tgbot_register_locked(task, NGX_DECLINED);
    }
}


static void
ngx_http_tgbot_register_locked(ngx_http_tgbot_register_task_t *task,
    ngx_int_t rc)
{
    if (rc == NGX_BUSY) {
        ngx_http_tgbot_register_finish(task, NGX_HTTP_TGBOT_REGISTER_BUSY);
        return;
    }

    if (rc == NGX_DECLINED && task->setting && task->bot->slot.len) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "tgbot: bot \"%V\": setWebhook is called without Redis, "
                      "other machines do not know of it", &task->bot->name);
    }

    ngx_http_tgbot_register_send(task);
}


static void
ngx_http_tgbot_register_send(ngx_http_tgbot_register_task_t *task)
{
    ngx_str_t  why;

    task->call.done = ngx_http_tgbot_register_done;
    task->call.data = task;

    if (ngx_http_tgbot_register_request(task, task->method) != NGX_OK
        || ngx_http_tgbot_curl_start(&task->call) != NGX_OK)
    {
        ngx_str_set(&why, "the request could not be made");
        ngx_http_tgbot_register_failed(task, &why, 0);
    }
}


static void
ngx_http_tgbot_register_done(ngx_http_tgbot_curl_t *call)
{
    ngx_str_t                        why;
    ngx_http_tgbot_register_task_t  *task;

    task = call->data;

    if (task->setting) {
        task->known->set = ngx_current_msec;
    }

    if (call->status) {
        ngx_http_tgbot_register_result(task);
        return;
    }

    why = call->error;

    if (why.len == 0) {
        ngx_str_set(&why, "no answer");
    }

    ngx_http_tgbot_register_failed(task, &why, 0);
}


static void
ngx_http_tgbot_register_result(ngx_http_tgbot_register_task_t *task)
{
    ngx_str_t                        none, why;
    ngx_msec_t                       delay;
    ngx_http_tgbot_curl_t           *call;
    ngx_http_tgbot_method_result_t   result;

    call = &task->call;

    ngx_str_null(&none);

    if (ngx_http_tgbot_method_result(&result, call->status, &none,
                                     &call->answer, task->pool)
        != NGX_OK)
    {
        ngx_str_set(&why, "no memory");
        ngx_http_tgbot_register_failed(task, &why, 0);
        return;
    }

    if (result.outcome == NGX_HTTP_TGBOT_METHOD_OK) {

        if (task->setting) {
            ngx_http_tgbot_register_registered(task);

        } else if (task->naming) {
            ngx_http_tgbot_register_named(task);

        } else {
            ngx_http_tgbot_register_told(task);
        }

        return;
    }

    why.data = ngx_pnalloc(task->pool, sizeof("HTTP status : ")
                                       + NGX_INT_T_LEN
                                       + result.description.len);
    if (why.data == NULL) {
        ngx_str_set(&why, "no memory");
        ngx_http_tgbot_register_failed(task, &why, 0);
        return;
    }

    why.len = ngx_sprintf(why.data, "HTTP status %ui%s%V", call->status,
                          result.description.len ? ": " : "",
                          &result.description)
              - why.data;

    delay = 0;

    switch (result.outcome) {

    case NGX_HTTP_TGBOT_METHOD_FLOOD:
        delay = ngx_max(result.retry_after, call->retry_after);
        delay = ngx_min(delay, NGX_HTTP_TGBOT_REGISTER_RETRY_MAX) * 1000;

        if (delay) {
            delay += NGX_HTTP_TGBOT_REGISTER_MARGIN;
        }

        break;

    case NGX_HTTP_TGBOT_METHOD_UNAVAILABLE:
        break;

    default:

        /* 409: another setWebhook was executed meanwhile */

        if (call->status != NGX_HTTP_CONFLICT) {
            delay = task->bot->reg->interval;
        }
    }

    ngx_http_tgbot_register_failed(task, &why, delay);
}


/* getWebhookInfo succeeded */

static void
ngx_http_tgbot_register_told(ngx_http_tgbot_register_task_t *task)
{
    ngx_int_t                       rc;
    ngx_str_t                       why;
    ngx_uint_t                      verify;
    const char                     *differs;
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    rc = ngx_http_tgbot_webhook_info_parse(&task->info, &task->call.answer,
                                           task->pool);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_bot_redact(task->bot, &task->info.message,
                                       NGX_HTTP_TGBOT_REGISTRY_TEXT,
                                       task->pool);
    }

    if (rc != NGX_OK) {
        ngx_str_set(&why, "the answer to getWebhookInfo was not understood");
        ngx_http_tgbot_register_failed(task, &why, 0);
        return;
    }

    differs = ngx_http_tgbot_register_differs(task);

    known->checked = ngx_time();
    known->url_ok = (differs == NULL || ngx_strcmp(differs, "url") != 0);

    ngx_http_tgbot_register_keep(task);

    verify = known->unverified
             && ngx_http_tgbot_register_equal(known->registered,
                                              known->wanted);

    known->unverified = 0;

    if (verify) {
        ngx_http_tgbot_register_verify(task, differs);

    } else {
        ngx_http_tgbot_register_decide(task, differs);
    }
}


static void
ngx_http_tgbot_register_keep(ngx_http_tgbot_register_task_t *task)
{
    ngx_str_t                       url;
    ngx_http_tgbot_webhook_info_t  *info;
    ngx_http_tgbot_registration_t  *known;

    known = task->known;
    info = &task->info;

    url = info->url;

    if (ngx_http_tgbot_bot_redact(task->bot, &url, sizeof(known->url),
                                  task->pool)
        != NGX_OK)
    {
        url.len = 0;
    }

    known->url_len = ngx_http_tgbot_registry_text(known->url,
                                                  sizeof(known->url), &url);
    known->address_len = ngx_http_tgbot_registry_text(known->address,
                                                      sizeof(known->address),
                                                      &info->address);
    known->message_len = ngx_http_tgbot_registry_text(known->message,
                                                      sizeof(known->message),
                                                      &info->message);
    known->names_len = ngx_http_tgbot_registry_text(known->names,
                                                    sizeof(known->names),
                                                    &info->names);
    known->pending = info->pending;
    known->max_connections = info->max_connections;
    known->error_date = info->error_date;
    known->certificate = info->certificate;
    known->has_names = info->has_names;
}


/* after a setWebhook: its "ok" does not mean that all settings were taken */

static void
ngx_http_tgbot_register_verify(ngx_http_tgbot_register_task_t *task,
    const char *differs)
{
    ngx_str_t                       why;
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    if (!known->url_ok) {
        ngx_memzero(known->registered, NGX_HTTP_TGBOT_REGISTRY_PRINT);

        ngx_str_set(&why, "Telegram has another URL than it was given");
        ngx_http_tgbot_register_failed(task, &why, 0);
        return;
    }

    if (differs) {

        /* for example, a type of updates that Telegram does not know */

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "tgbot: bot \"%V\": \"%s\" of the webhook is not as it "
                      "was set", &task->bot->name, differs);
    }

    ngx_http_tgbot_register_print(task, known->seen);
    ngx_http_tgbot_register_ok(task);
}


static void
ngx_http_tgbot_register_decide(ngx_http_tgbot_register_task_t *task,
    const char *differs)
{
    u_char                          print[NGX_HTTP_TGBOT_REGISTRY_PRINT];
    const char                     *refused;
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    ngx_http_tgbot_register_print(task, print);

    if (ngx_http_tgbot_register_equal(known->registered, known->wanted)) {

        if (!ngx_http_tgbot_register_equal(known->seen, print)) {
            ngx_http_tgbot_register_taken(task, NULL);
            return;
        }

        differs = NULL;

    } else if (ngx_http_tgbot_register_equal(known->registered,
                                             ngx_http_tgbot_register_none))
    {
        /* Telegram does not tell the secret: an equal webhook counts as ours */

        if (differs == NULL) {
            ngx_memcpy(known->registered, known->wanted,
                       NGX_HTTP_TGBOT_REGISTRY_PRINT);
            ngx_memcpy(known->seen, print, NGX_HTTP_TGBOT_REGISTRY_PRINT);
        }

    } else if (task->bot->slot.len && !known->newer) {
        ngx_http_tgbot_register_stop(task, NGX_LOG_WARN,
                                     "another machine has registered the "
                                     "webhook with other settings, which are "
                                     "newer");
        return;

    } else {
        differs = "configuration";
    }

    if (differs) {
        ngx_http_tgbot_register_set(task);
        return;
    }

    refused = ngx_http_tgbot_register_refused(task);

    if (refused) {
        ngx_http_tgbot_register_taken(task, refused);
        return;
    }

    ngx_http_tgbot_register_ok(task);
}


/*
 * Telegram's webhook is not the one that we registered.  "refused": what it
 * has that it does not show, and that another program may have changed, too;
 * NULL: it shows a difference.
 */

static void
ngx_http_tgbot_register_taken(ngx_http_tgbot_register_task_t *task,
    const char *refused)
{
    u_char                          text[NGX_HTTP_TGBOT_REGISTRY_TEXT];
    ngx_str_t                       url;
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    if (ngx_http_tgbot_registry_taken(known, ngx_time())
        >= NGX_HTTP_TGBOT_REGISTRY_TAKEN)
    {
        *ngx_snprintf(text, sizeof(text) - 1,
                      "%s again and again%s%s, the webhook is not registered "
                      "again within this hour",
                      refused ? "deliveries are refused"
                              : "another program changes the webhook",
                      refused ? " because of " : "",
                      refused ? refused : "") = '\0';

        ngx_http_tgbot_register_stop(task, NGX_LOG_CRIT, (char *) text);
        return;
    }

    if (ngx_http_tgbot_register_soon(task)) {
        return;
    }

    if (refused) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "tgbot: bot \"%V\": deliveries were refused because "
                      "of %s, the webhook is registered again",
                      &task->bot->name, refused);

    } else {
        url.data = known->url;
        url.len = known->url_len;

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "tgbot: bot \"%V\": another program has changed the "
                      "webhook, its URL was \"%V\": the webhook is restored",
                      &task->bot->name, &url);
    }

    /* counted only after a setWebhook that succeeded */

    task->taking = 1;

    ngx_http_tgbot_register_set(task);
}


/* what Telegram has is left alone for now */

static void
ngx_http_tgbot_register_stop(ngx_http_tgbot_register_task_t *task,
    ngx_uint_t level, const char *text)
{
    ngx_str_t                       why;
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    why.data = (u_char *) text;
    why.len = ngx_strlen(text);

    if (known->state != NGX_HTTP_TGBOT_REGISTRY_STOPPED) {
        ngx_log_error(level, ngx_cycle->log, 0,
                      "tgbot: bot \"%V\": %V", &task->bot->name, &why);
    }

    known->state = NGX_HTTP_TGBOT_REGISTRY_STOPPED;
    known->error_len = ngx_http_tgbot_registry_text(known->error,
                                                    sizeof(known->error),
                                                    &why);

    ngx_http_tgbot_register_finish(task, task->bot->reg->interval);
}


/*
 * Whether it is too soon for the setWebhook that is needed; if so, the task is
 * ended, to be due again when it may be called.
 */

static ngx_uint_t
ngx_http_tgbot_register_soon(ngx_http_tgbot_register_task_t *task)
{
    ngx_msec_t                      passed;
    ngx_http_tgbot_registration_t  *known;

    known = task->known;
    passed = ngx_current_msec - known->set;

    /* states "failed" and "stopped" stay until the webhook is seen to be ok */

    if (known->state == NGX_HTTP_TGBOT_REGISTRY_UNKNOWN
        || known->state == NGX_HTTP_TGBOT_REGISTRY_OK)
    {
        known->state = NGX_HTTP_TGBOT_REGISTRY_PENDING;
    }

    if (known->set == 0 || passed >= NGX_HTTP_TGBOT_REGISTER_PAUSE) {
        return 0;
    }

    ngx_http_tgbot_register_finish(task,
                                   NGX_HTTP_TGBOT_REGISTER_PAUSE - passed);
    return 1;
}


static void
ngx_http_tgbot_register_set(ngx_http_tgbot_register_task_t *task)
{
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    if (ngx_http_tgbot_register_soon(task)) {
        return;
    }

    known->set = ngx_current_msec;

    /* a worker that takes over must know the time of this setWebhook */

    if (ngx_http_tgbot_registry_put(task->bot->registry, known) != NGX_OK) {
        ngx_http_tgbot_register_finish(task, 0);
        return;
    }

    task->setting = 1;

    ngx_http_tgbot_register_call(task, "setWebhook");
}


/* setWebhook succeeded; failures are reset only after the check that follows */

static void
ngx_http_tgbot_register_registered(ngx_http_tgbot_register_task_t *task)
{
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "tgbot: bot \"%V\": webhook registered at \"%V\"",
                  &task->bot->name, &task->bot->reg->shown);

    ngx_memcpy(known->registered, known->wanted,
               NGX_HTTP_TGBOT_REGISTRY_PRINT);

    if (task->taking) {
        task->taking = 0;

        ngx_memmove(&known->taken[1], &known->taken[0],
                    sizeof(known->taken) - sizeof(known->taken[0]));

        known->taken[0] = ngx_time();
    }

    known->version++;
    known->registered_at = ngx_time();
    known->unverified = 1;

    if (ngx_exiting
        || ngx_http_tgbot_registry_put(task->bot->registry, known) != NGX_OK)
    {
        ngx_http_tgbot_register_finish(task, 0);
        return;
    }

    ngx_http_tgbot_register_check(task);
}


static void
ngx_http_tgbot_register_ok(ngx_http_tgbot_register_task_t *task)
{
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    known->state = NGX_HTTP_TGBOT_REGISTRY_OK;
    known->failures = 0;
    known->error_len = 0;

    if (known->named
        || ngx_http_tgbot_registry_put(task->bot->registry, known) != NGX_OK)
    {
        ngx_http_tgbot_register_finish(task, task->bot->reg->interval);
        return;
    }

    task->naming = 1;

    ngx_http_tgbot_register_call(task, "getMe");
}


/* getMe succeeded: workers tell by the name whether a command is the bot's */

static void
ngx_http_tgbot_register_named(ngx_http_tgbot_register_task_t *task)
{
    ngx_str_t                      *name;
    ngx_http_tgbot_webhook_info_t   me;
    ngx_http_tgbot_registration_t  *known;

    known = task->known;
    name = &me.username;

    if (ngx_http_tgbot_webhook_info_parse(&me, &task->call.answer, task->pool)
        == NGX_OK
        && name->len <= sizeof(known->username))
    {
        known->username_len = ngx_http_tgbot_registry_text(known->username,
                                                       sizeof(known->username),
                                                       name);

        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                       "tgbot bot \"%V\": its username is \"%V\"",
                       &task->bot->name, name);
    }

    known->named = 1;

    ngx_http_tgbot_register_finish(task, task->bot->reg->interval);
}


/* the next try is after "delay" ms; 0: by the backoff */

static void
ngx_http_tgbot_register_failed(ngx_http_tgbot_register_task_t *task,
    ngx_str_t *why, ngx_msec_t delay)
{
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    if (ngx_http_tgbot_bot_redact(task->bot, why, sizeof(known->error),
                                  task->pool)
        != NGX_OK)
    {
        ngx_str_set(why, "no memory");
    }

    if (task->naming) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "tgbot: bot \"%V\": getMe failed: %V, the username is "
                      "not known", &task->bot->name, why);

        ngx_http_tgbot_register_finish(task, task->bot->reg->interval);
        return;
    }

    known->failures++;

    if (delay == 0) {
        delay = ngx_http_tgbot_backoff_delay(known->failures,
                                        NGX_HTTP_TGBOT_REGISTER_BACKOFF,
                                        NGX_HTTP_TGBOT_REGISTER_MAX_BACKOFF,
                                        ngx_random());
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "tgbot: bot \"%V\": %s for webhook \"%V\" failed: %V, "
                  "retried in %M ms", &task->bot->name,
                  task->method, &task->bot->reg->shown, why, delay);

    known->state = NGX_HTTP_TGBOT_REGISTRY_FAILED;
    known->error_len = ngx_http_tgbot_registry_text(known->error,
                                                    sizeof(known->error),
                                                    why);

    ngx_http_tgbot_register_finish(task, delay);
}


static ngx_uint_t
ngx_http_tgbot_register_equal(u_char *a, u_char *b)
{
    return ngx_memcmp(a, b, NGX_HTTP_TGBOT_REGISTRY_PRINT) == 0;
}
