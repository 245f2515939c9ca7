
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_abandon.h"
#include "ngx_http_tgbot_broadcast_lead.h"
#include "ngx_http_tgbot_broadcast_show.h"
#include "ngx_http_tgbot_broadcast_worker.h"
#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_send.h"


/* ms between two looks for a broadcast that needs a leader */
#define NGX_HTTP_TGBOT_BROADCAST_WORKER_LOOK  1000

/* looks into a zone in one turn of the event loop */
#define NGX_HTTP_TGBOT_BROADCAST_WORKER_TURN  16

/*
 * ms after which a call is given up, and its chat waits again: a chat that
 * the Bot API cannot serve must not hold a place for long
 */
#define NGX_HTTP_TGBOT_BROADCAST_WORKER_LIFE  30000

/* bytes of the pool of a call, without its body */
#define NGX_HTTP_TGBOT_BROADCAST_WORKER_POOL  2048


/* a run: a broadcast that this worker leads */

typedef struct {
    ngx_queue_t                        queue;
    ngx_http_tgbot_broadcast_conf_t   *conf;
    ngx_pool_t                        *pool;
    ngx_event_t                        event;
    uint64_t                           id;
    ngx_http_tgbot_lease_t             lease;
    ngx_str_t                          method;
    ngx_str_t                          rest;     /* of a body, behind the
                                                    chat */
    ngx_queue_t                        calls;
    ngx_uint_t                         n;        /* of calls */
    ngx_uint_t                         max;
    ngx_uint_t                         late;     /* calls that would have waited
                                                    too long, since a look */

    unsigned                           paid:1;
    unsigned                           key:1;    /* while params are read */
    unsigned                           held:1;   /* up to the next look */
    unsigned                           over:1;   /* nothing to take */
} ngx_http_tgbot_broadcast_run_t;


typedef struct {
    ngx_queue_t                        queue;
    ngx_http_tgbot_broadcast_run_t    *run;
    ngx_http_tgbot_broadcast_chat_t    chat;
    ngx_http_tgbot_method_t            method;
    ngx_http_tgbot_ctx_t               ctx;
    ngx_http_tgbot_send_t              send;
    ngx_pool_t                        *pool;

    unsigned                           refused:1;  /* it must not be sent */
} ngx_http_tgbot_broadcast_call_t;


static void ngx_http_tgbot_broadcast_worker_look(ngx_event_t *ev);
static ngx_int_t ngx_http_tgbot_broadcast_worker_find(
    ngx_http_tgbot_broadcast_conf_t *b);
static ngx_int_t ngx_http_tgbot_broadcast_worker_lead(
    ngx_http_tgbot_broadcast_conf_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *lease);
static void ngx_http_tgbot_broadcast_worker_unread(
    ngx_http_tgbot_broadcast_conf_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *lease, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_broadcast_worker_read(
    ngx_http_tgbot_broadcast_run_t *run);
static ngx_int_t ngx_http_tgbot_broadcast_worker_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static void ngx_http_tgbot_broadcast_worker_go_on(ngx_event_t *ev);
static void ngx_http_tgbot_broadcast_worker_call(
    ngx_http_tgbot_broadcast_run_t *run,
    ngx_http_tgbot_broadcast_chat_t *chat);
static ngx_http_tgbot_broadcast_call_t *ngx_http_tgbot_broadcast_worker_make(
    ngx_http_tgbot_broadcast_run_t *run,
    ngx_http_tgbot_broadcast_chat_t *chat);
static ngx_int_t ngx_http_tgbot_broadcast_worker_body(
    ngx_http_tgbot_broadcast_call_t *call);
static ngx_int_t ngx_http_tgbot_broadcast_worker_sending(
    ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_broadcast_worker_waiting(
    ngx_http_tgbot_send_t *send, ngx_msec_t delay);
static void ngx_http_tgbot_broadcast_worker_done(ngx_http_tgbot_send_t *send);
static void ngx_http_tgbot_broadcast_worker_stall(
    ngx_http_tgbot_broadcast_call_t *call,
    ngx_http_tgbot_broadcast_error_t *error);
static void ngx_http_tgbot_broadcast_worker_hold(
    ngx_http_tgbot_broadcast_call_t *call, ngx_uint_t state);
static ngx_uint_t ngx_http_tgbot_broadcast_worker_judge(
    ngx_http_tgbot_send_t *send, ngx_http_tgbot_broadcast_error_t *error,
    ngx_uint_t *again);
static void ngx_http_tgbot_broadcast_worker_settle(
    ngx_http_tgbot_broadcast_call_t *call, ngx_uint_t state,
    ngx_http_tgbot_broadcast_error_t *error, ngx_uint_t again);
static void ngx_http_tgbot_broadcast_worker_leave(
    ngx_http_tgbot_broadcast_run_t *run);
static void ngx_http_tgbot_broadcast_worker_drop(
    ngx_http_tgbot_broadcast_call_t *call, ngx_uint_t state);
static void ngx_http_tgbot_broadcast_worker_release(
    ngx_http_tgbot_broadcast_run_t *run);
static void ngx_http_tgbot_broadcast_worker_resign(
    ngx_http_tgbot_broadcast_run_t *run);


/* broadcasts have no client; the addresses are those of this machine */

static struct sockaddr_in       ngx_http_tgbot_broadcast_worker_addr;
static ngx_http_tgbot_client_t  ngx_http_tgbot_broadcast_worker_client = {
    (struct sockaddr *) &ngx_http_tgbot_broadcast_worker_addr,
    sizeof(struct sockaddr_in),
    (struct sockaddr *) &ngx_http_tgbot_broadcast_worker_addr,
    sizeof(struct sockaddr_in),
    ngx_string("127.0.0.1"),
    ngx_string("localhost"),
    ngx_string("localhost")
};


static ngx_array_t   *ngx_http_tgbot_broadcast_worker_confs;
static ngx_queue_t    ngx_http_tgbot_broadcast_worker_runs;
static ngx_event_t    ngx_http_tgbot_broadcast_worker_timer;
static ngx_uint_t     ngx_http_tgbot_broadcast_worker_stopped;


void
ngx_http_tgbot_broadcast_worker_init_process(ngx_http_tgbot_main_conf_t *tmcf,
    ngx_cycle_t *cycle)
{
    ngx_event_t         *ev;
    struct sockaddr_in  *sin;

    ngx_http_tgbot_broadcast_worker_confs = &tmcf->broadcasts;
    ngx_http_tgbot_broadcast_worker_stopped = 0;

    ngx_queue_init(&ngx_http_tgbot_broadcast_worker_runs);

    sin = &ngx_http_tgbot_broadcast_worker_addr;

    sin->sin_family = AF_INET;
    sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    ev = &ngx_http_tgbot_broadcast_worker_timer;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_tgbot_broadcast_worker_look;
    ev->data = ev;
    ev->log = cycle->log;
    ev->cancelable = 1;

    if (tmcf->broadcasts.nelts) {
        ngx_add_timer(ev, 1);
    }
}


void
ngx_http_tgbot_broadcast_worker_wake(void)
{
    ngx_event_t  *ev;

    ev = &ngx_http_tgbot_broadcast_worker_timer;

    if (ev->timer_set) {
        ngx_del_timer(ev);
        ngx_add_timer(ev, 1);
    }
}


ngx_int_t
ngx_http_tgbot_broadcast_worker_set(ngx_http_tgbot_broadcast_conf_t *b,
    uint64_t id, ngx_uint_t state, ngx_log_t *log)
{
    ngx_int_t  rc;

    rc = ngx_http_tgbot_broadcast_set(&b->user, id, state);

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "tgbot: bot \"%V\": broadcast %uL is %V", &b->name, id,
                      &ngx_http_tgbot_broadcast_states[state]);

        ngx_http_tgbot_broadcast_worker_wake();
    }

    return rc;
}


static void
ngx_http_tgbot_broadcast_worker_look(ngx_event_t *ev)
{
    ngx_int_t                          rc;
    ngx_uint_t                         i;
    ngx_queue_t                       *q;
    ngx_http_tgbot_broadcast_run_t    *run;
    ngx_http_tgbot_broadcast_conf_t  **b;

    rc = NGX_DECLINED;
    b = ngx_http_tgbot_broadcast_worker_confs->elts;

    for (i = 0; i < ngx_http_tgbot_broadcast_worker_confs->nelts; i++) {
        if (ngx_http_tgbot_broadcast_worker_find(b[i]) == NGX_AGAIN) {
            rc = NGX_AGAIN;
        }
    }

    if (rc == NGX_AGAIN) {
        ngx_add_timer(ev, 1);
        return;
    }

    for (q = ngx_queue_head(&ngx_http_tgbot_broadcast_worker_runs);
         q != ngx_queue_sentinel(&ngx_http_tgbot_broadcast_worker_runs);
         q = ngx_queue_next(q))
    {
        run = ngx_queue_data(q, ngx_http_tgbot_broadcast_run_t, queue);

        run->late = 0;
        run->held = 0;
        run->over = 0;
        ngx_post_event(&run->event, &ngx_posted_events);
    }

    ngx_add_timer(ev, NGX_HTTP_TGBOT_BROADCAST_WORKER_LOOK);
}


/* NGX_AGAIN: there is more to look at */

static ngx_int_t
ngx_http_tgbot_broadcast_worker_find(ngx_http_tgbot_broadcast_conf_t *b)
{
    uint64_t                id, broken;
    ngx_int_t               rc;
    ngx_uint_t              n, unknown, all;
    ngx_http_tgbot_lease_t  lease;

    broken = ngx_http_tgbot_broadcast_broken(b->zone);

    if (broken) {
        ngx_log_error(NGX_LOG_ERR, b->clcf->error_log, 0,
                      "tgbot: %uL chats of broadcasts in zone \"%V\" are lost, "
                      "as the machine ended without writing its file",
                      broken, &b->zone->shm_zone->shm.name);
    }

    all = 0;
    n = NGX_HTTP_TGBOT_BROADCAST_WORKER_TURN;

    do {
        rc = ngx_http_tgbot_broadcast_lead_find(&b->user, &lease, &id,
                                                &unknown);
        all += unknown;

        if (rc == NGX_OK
            && ngx_http_tgbot_broadcast_worker_lead(b, id, &lease)
               == NGX_ERROR)
        {
            break;
        }

    } while (rc != NGX_DECLINED && --n);

    if (all) {
        ngx_log_error(NGX_LOG_WARN, b->clcf->error_log, 0,
                      "tgbot: bot \"%V\": %ui chats of broadcasts were in "
                      "flight when nginx, or a worker of it, died, and are "
                      "unknown", &b->name, all);
    }

    return (n == 0) ? NGX_AGAIN : NGX_OK;
}


/*
 * NGX_ERROR: no memory.  NGX_DECLINED: it cannot be sent, and must not keep
 * those behind it from being led.
 */

static ngx_int_t
ngx_http_tgbot_broadcast_worker_lead(ngx_http_tgbot_broadcast_conf_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *lease)
{
    ngx_int_t                        rc;
    ngx_pool_t                      *pool;
    ngx_http_tgbot_broadcast_run_t  *run;

    run = NULL;
    rc = NGX_ERROR;

    pool = ngx_create_pool(NGX_HTTP_TGBOT_BROADCAST_WORKER_POOL,
                           b->clcf->error_log);

    if (pool) {
        run = ngx_pcalloc(pool, sizeof(ngx_http_tgbot_broadcast_run_t));
    }

    if (run) {
        run->conf = b;
        run->pool = pool;
        run->id = id;
        run->lease = *lease;
        run->max = NGX_HTTP_TGBOT_BROADCAST_FLIGHTS;
        run->event.handler = ngx_http_tgbot_broadcast_worker_go_on;
        run->event.data = run;
        run->event.log = b->clcf->error_log;

        ngx_queue_init(&run->calls);

        rc = ngx_http_tgbot_broadcast_worker_read(run);
    }

    if (rc != NGX_OK) {
        ngx_http_tgbot_broadcast_worker_unread(b, id, lease, rc);

        if (pool) {
            ngx_destroy_pool(pool);
        }

        return rc;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, b->clcf->error_log, 0,
                   "tgbot bot \"%V\": leads broadcast %uL", &b->name, id);

    ngx_queue_insert_tail(&ngx_http_tgbot_broadcast_worker_runs, &run->queue);

    return NGX_OK;
}


static void
ngx_http_tgbot_broadcast_worker_unread(ngx_http_tgbot_broadcast_conf_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *lease, ngx_int_t rc)
{
    ngx_http_tgbot_broadcast_error_t  error;

    if (rc == NGX_DECLINED) {
        ngx_memzero(&error, sizeof(ngx_http_tgbot_broadcast_error_t));

        error.status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        error.len = sizeof("\"params\" are damaged") - 1;
        ngx_memcpy(error.text, "\"params\" are damaged", error.len);

        if (ngx_http_tgbot_broadcast_lead_stall(&b->user, id, lease, &error)
            == NGX_OK)
        {
            ngx_log_error(NGX_LOG_ERR, b->clcf->error_log, 0,
                          "tgbot: bot \"%V\": broadcast %uL is paused, as its "
                          "\"params\" are damaged", &b->name, id);
        }
    }

    ngx_http_tgbot_broadcast_lead_leave(&b->user, id, lease);
}


/* what all calls of the broadcast have */

static ngx_int_t
ngx_http_tgbot_broadcast_worker_read(ngx_http_tgbot_broadcast_run_t *run)
{
    u_char                           *p, *last;
    ngx_str_t                         text, method;
    ngx_http_tgbot_broadcast_t       *user;
    ngx_http_tgbot_broadcast_info_t   info;

    user = &run->conf->user;

    if (ngx_http_tgbot_broadcast_show_get(user, run->id, &info) != NGX_OK) {
        return NGX_DECLINED;
    }

    method.data = info.method;
    method.len = info.method_len;

    text.len = info.text_len;
    text.data = ngx_pnalloc(run->pool, text.len + 1);

    run->method.len = method.len;
    run->method.data = ngx_pstrdup(run->pool, &method);

    if (text.data == NULL || run->method.data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_broadcast_show_text(user, run->id, text.data, text.len)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    /* "{" becomes the comma behind the chat, if anything follows */

    p = text.data;
    last = p + text.len;

    while (++p < last && (*p <= ' ')) { /* void */ }

    if (p >= last || *p == '}') {
        ngx_str_set(&run->rest, "}");
        return NGX_OK;
    }

    if (ngx_http_tgbot_json_parse(&text,
                                  ngx_http_tgbot_broadcast_worker_token, run)
        == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    if (run->paid) {
        run->max = NGX_HTTP_TGBOT_BROADCAST_FLIGHTS_PAID;
    }

    *--p = ',';

    run->rest.data = p;
    run->rest.len = last - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_broadcast_worker_token(void *data,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_broadcast_run_t *run = data;

    if (token->depth != 1) {
        return NGX_OK;
    }

    if (token->type == NGX_HTTP_TGBOT_JSON_KEY) {
        run->key = token->text.len == sizeof("allow_paid_broadcast") - 1
                   && ngx_strncmp(token->text.data, "allow_paid_broadcast",
                                  sizeof("allow_paid_broadcast") - 1)
                      == 0;

    } else if (run->key) {
        run->paid = token->type == NGX_HTTP_TGBOT_JSON_BOOLEAN
                    && token->text.data[0] == 't';
    }

    return NGX_OK;
}


/* takes as many chats as there are places */

static void
ngx_http_tgbot_broadcast_worker_go_on(ngx_event_t *ev)
{
    ngx_int_t                         rc;
    ngx_uint_t                        i, n, turn;
    ngx_http_tgbot_broadcast_run_t   *run;
    ngx_http_tgbot_broadcast_chat_t   chats[
                                       NGX_HTTP_TGBOT_BROADCAST_FLIGHTS_PAID];

    run = ev->data;

    if (ngx_http_tgbot_broadcast_worker_stopped) {
        run->over = 1;
    }

    for (turn = NGX_HTTP_TGBOT_BROADCAST_WORKER_TURN;
         turn && !run->over && !run->held;
         turn--)
    {
        n = run->max - run->n;

        rc = ngx_http_tgbot_broadcast_lead_take(&run->conf->user, run->id,
                                                &run->lease, chats, &n);

        for (i = 0; i < n; i++) {
            ngx_http_tgbot_broadcast_worker_call(run, &chats[i]);
        }

        run->over = (rc != NGX_OK);

        if (rc == NGX_AGAIN || rc == NGX_DECLINED) {
            ngx_http_tgbot_broadcast_worker_release(run);
        }

        if (run->n == run->max) {
            return;
        }
    }

    if (turn == 0) {
        ngx_post_event(&run->event, &ngx_posted_next_events);
        return;
    }

    if (run->over && run->n == 0) {
        ngx_http_tgbot_broadcast_worker_leave(run);
    }
}


static void
ngx_http_tgbot_broadcast_worker_call(ngx_http_tgbot_broadcast_run_t *run,
    ngx_http_tgbot_broadcast_chat_t *chat)
{
    ngx_http_tgbot_bot_t             *bot;
    ngx_http_tgbot_send_t            *send;
    ngx_http_tgbot_broadcast_call_t  *call;

    bot = run->conf->bot;

    call = ngx_http_tgbot_broadcast_worker_make(run, chat);
    if (call == NULL) {
        run->held = 1;

        ngx_http_tgbot_broadcast_lead_settle(&run->conf->user, run->id,
                                           &run->lease, chat,
                                           NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                           NULL, 0);
        return;
    }

    call->ctx.bot = bot;

    send = &call->send;

    send->bot = bot;
    send->conf = run->conf->conf;
    send->ctx = &call->ctx;
    send->client = &ngx_http_tgbot_broadcast_worker_client;
    send->method = &call->method;
    send->pool = call->pool;
    send->life = NGX_HTTP_TGBOT_BROADCAST_WORKER_LIFE;
    send->broadcast = 1;
    send->turn.conf = run->conf->conf->pace;
    send->turn.order = NGX_HTTP_TGBOT_ORDER_OFF;
    send->turn.bulk = 1;
    send->turn.paid = run->paid;
    send->done = ngx_http_tgbot_broadcast_worker_done;
    send->waiting = ngx_http_tgbot_broadcast_worker_waiting;
    send->sending = ngx_http_tgbot_broadcast_worker_sending;
    send->data = call;

    ngx_queue_insert_tail(&run->calls, &call->queue);
    run->n++;

    ngx_http_tgbot_send_start(send);
}


static ngx_http_tgbot_broadcast_call_t *
ngx_http_tgbot_broadcast_worker_make(ngx_http_tgbot_broadcast_run_t *run,
    ngx_http_tgbot_broadcast_chat_t *chat)
{
    ngx_pool_t                       *pool;
    ngx_http_tgbot_broadcast_call_t  *call;

    pool = ngx_create_pool(NGX_HTTP_TGBOT_BROADCAST_WORKER_POOL
                           + run->rest.len, run->conf->clcf->error_log);
    if (pool == NULL) {
        return NULL;
    }

    call = ngx_pcalloc(pool, sizeof(ngx_http_tgbot_broadcast_call_t));
    if (call == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    call->run = run;
    call->chat = *chat;
    call->pool = pool;

    if (ngx_http_tgbot_broadcast_worker_body(call) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    return call;
}


static ngx_int_t
ngx_http_tgbot_broadcast_worker_body(ngx_http_tgbot_broadcast_call_t *call)
{
    u_char                          *p;
    ngx_http_tgbot_method_t         *method;
    ngx_http_tgbot_broadcast_run_t  *run;

    run = call->run;
    method = &call->method;

    p = ngx_pnalloc(call->pool, sizeof("{\"chat_id\":") - 1 + NGX_INT64_LEN
                                + run->rest.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    method->name = run->method;
    ngx_str_set(&method->content_type, "application/json");

    method->body.data = p;
    p = ngx_cpymem(p, "{\"chat_id\":", sizeof("{\"chat_id\":") - 1);

    method->chat_pos = p - method->body.data;
    p = ngx_sprintf(p, "%L", call->chat.chat);
    method->chat_len = p - method->body.data - method->chat_pos;

    p = ngx_cpymem(p, run->rest.data, run->rest.len);
    method->body.len = p - method->body.data;

    return NGX_OK;
}


/* what is not in flight can be sent by another worker if this one dies */

static ngx_int_t
ngx_http_tgbot_broadcast_worker_sending(ngx_http_tgbot_send_t *send)
{
    ngx_http_tgbot_broadcast_run_t   *run;
    ngx_http_tgbot_broadcast_call_t  *call;

    call = send->data;
    run = call->run;

    if (ngx_http_tgbot_broadcast_lead_start(&run->conf->user, run->id,
                                            &run->lease, &call->chat)
        != NGX_OK)
    {
        call->refused = 1;
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * A call that waits keeps its place.  It is dropped at the end of the worker,
 * and if the broadcast was paused or has another leader.
 */

static void
ngx_http_tgbot_broadcast_worker_waiting(ngx_http_tgbot_send_t *send,
    ngx_msec_t delay)
{
    ngx_http_tgbot_broadcast_run_t   *run;
    ngx_http_tgbot_broadcast_call_t  *call;

    call = send->data;
    run = call->run;

    if (ngx_http_tgbot_broadcast_worker_stopped || call->refused) {
        ngx_http_tgbot_broadcast_worker_drop(call,
                                           NGX_HTTP_TGBOT_BROADCAST_WAITING);
        return;
    }

    ngx_http_tgbot_broadcast_lead_wait(&run->conf->user, run->id, &run->lease,
                                       &call->chat);
}


static void
ngx_http_tgbot_broadcast_worker_done(ngx_http_tgbot_send_t *send)
{
    ngx_uint_t                         again, state;
    ngx_http_tgbot_broadcast_call_t   *call;
    ngx_http_tgbot_broadcast_error_t   error;

    call = send->data;

    ngx_memzero(&error, sizeof(ngx_http_tgbot_broadcast_error_t));

    again = 0;

    state = ngx_http_tgbot_broadcast_worker_judge(send, &error, &again);

    if (state == NGX_HTTP_TGBOT_BROADCAST_FAILED
        && error.status == NGX_HTTP_NOT_FOUND)
    {
        ngx_http_tgbot_broadcast_worker_stall(call, &error);
        state = NGX_HTTP_TGBOT_BROADCAST_WAITING;
    }

    ngx_http_tgbot_broadcast_worker_hold(call, state);

    ngx_http_tgbot_broadcast_worker_settle(call, state, &error, again);
}


/* a method that the Bot API does not know: no chat would get anything */

static void
ngx_http_tgbot_broadcast_worker_stall(ngx_http_tgbot_broadcast_call_t *call,
    ngx_http_tgbot_broadcast_error_t *error)
{
    ngx_str_t                        text;
    ngx_http_tgbot_broadcast_run_t  *run;

    run = call->run;

    text.data = error->text;
    text.len = error->len;

    if (ngx_http_tgbot_broadcast_lead_stall(&run->conf->user, run->id,
                                            &run->lease, error)
        == NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, run->conf->clcf->error_log, 0,
                      "tgbot: bot \"%V\": broadcast %uL is paused, as %V was "
                      "answered with 404: \"%V\"",
                      &run->conf->name, run->id, &run->method, &text);
    }
}


/*
 * Nothing is taken up to the next look if nothing can be sent, so that not all
 * chats are tried in vain.  But a 429 may be of this chat alone, and so may a
 * wait that would last too long: if most calls have it, it is all of the bot.
 */

static void
ngx_http_tgbot_broadcast_worker_hold(ngx_http_tgbot_broadcast_call_t *call,
    ngx_uint_t state)
{
    ngx_http_tgbot_send_t           *send;
    ngx_http_tgbot_broadcast_run_t  *run;

    run = call->run;
    send = &call->send;

    if (state != NGX_HTTP_TGBOT_BROADCAST_WAITING) {
        return;
    }

    if (send->result == NULL) {
        run->late++;
        run->held |= (run->late > run->n);

    } else if (send->result->status != NGX_HTTP_TOO_MANY_REQUESTS) {
        run->held = 1;
    }
}


static ngx_uint_t
ngx_http_tgbot_broadcast_worker_judge(ngx_http_tgbot_send_t *send,
    ngx_http_tgbot_broadcast_error_t *error, ngx_uint_t *again)
{
    ngx_str_t                       *text;
    ngx_http_tgbot_capture_t        *capture;
    ngx_http_tgbot_method_result_t   result;

    capture = send->result;

    if (send->unsure) {
        return NGX_HTTP_TGBOT_BROADCAST_UNKNOWN;
    }

    if (capture == NULL
        && send->status >= NGX_HTTP_INTERNAL_SERVER_ERROR
        && !send->bot->unauthorized)
    {
        /* a try that failed, though a repeat would have had to wait too long */

        error->status = send->status;
        *again = 1;

        return NGX_HTTP_TGBOT_BROADCAST_FAILED;
    }

    /* it was not sent */

    if (capture == NULL || capture->outcome != NGX_HTTP_TGBOT_ANSWERED) {
        return NGX_HTTP_TGBOT_BROADCAST_WAITING;
    }

    if (ngx_http_tgbot_method_result(&result, capture->status,
                                     &capture->retry_after, &capture->body,
                                     send->pool)
        != NGX_OK)
    {
        return NGX_HTTP_TGBOT_BROADCAST_UNKNOWN;
    }

    text = &result.description;

    if (ngx_http_tgbot_bot_redact(send->bot, text,
                                  NGX_HTTP_TGBOT_BROADCAST_TEXT, send->pool)
        != NGX_OK)
    {
        ngx_str_null(text);
    }

    error->status = capture->status;
    error->len = ngx_min(text->len, NGX_HTTP_TGBOT_BROADCAST_TEXT);

    if (error->len) {
        ngx_memcpy(error->text, text->data, error->len);
    }

    switch (result.outcome) {

    case NGX_HTTP_TGBOT_METHOD_OK:
        return NGX_HTTP_TGBOT_BROADCAST_SENT;

    case NGX_HTTP_TGBOT_METHOD_FLOOD:
    case NGX_HTTP_TGBOT_METHOD_UNAUTHORIZED:
        return NGX_HTTP_TGBOT_BROADCAST_WAITING;

    case NGX_HTTP_TGBOT_METHOD_UNAVAILABLE:

        /* a call that moves money may have been executed */

        if (ngx_http_tgbot_method_once(&send->method->name)) {
            return NGX_HTTP_TGBOT_BROADCAST_UNKNOWN;
        }

        *again = 1;
        return NGX_HTTP_TGBOT_BROADCAST_FAILED;

    default:
        return (capture->status == NGX_HTTP_FORBIDDEN)
               ? NGX_HTTP_TGBOT_BROADCAST_BLOCKED
               : NGX_HTTP_TGBOT_BROADCAST_FAILED;
    }
}


/* frees the call */

static void
ngx_http_tgbot_broadcast_worker_settle(ngx_http_tgbot_broadcast_call_t *call,
    ngx_uint_t state, ngx_http_tgbot_broadcast_error_t *error,
    ngx_uint_t again)
{
    ngx_http_tgbot_broadcast_run_t  *run;

    run = call->run;

    ngx_http_tgbot_broadcast_lead_settle(&run->conf->user, run->id, &run->lease,
                                    &call->chat, state, error, again);

    ngx_queue_remove(&call->queue);
    run->n--;

    ngx_http_tgbot_abandon_pool(call->pool);

    ngx_post_event(&run->event, &ngx_posted_events);
}


static void
ngx_http_tgbot_broadcast_worker_leave(ngx_http_tgbot_broadcast_run_t *run)
{
    ngx_http_tgbot_broadcast_info_t   info;
    ngx_http_tgbot_broadcast_conf_t  *b;

    b = run->conf;

    ngx_http_tgbot_broadcast_lead_leave(&b->user, run->id, &run->lease);

    if (ngx_http_tgbot_broadcast_show_get(&b->user, run->id, &info) == NGX_OK
        && info.state == NGX_HTTP_TGBOT_BROADCAST_DONE)
    {
        ngx_log_error(NGX_LOG_NOTICE, b->clcf->error_log, 0,
                      "tgbot: bot \"%V\": broadcast %uL is done: %ui sent, "
                      "%ui blocked, %ui failed, %ui unknown",
                      &b->name, run->id,
                      info.chats[NGX_HTTP_TGBOT_BROADCAST_SENT],
                      info.chats[NGX_HTTP_TGBOT_BROADCAST_BLOCKED],
                      info.chats[NGX_HTTP_TGBOT_BROADCAST_FAILED],
                      info.chats[NGX_HTTP_TGBOT_BROADCAST_UNKNOWN]);
    }

    if (run->event.posted) {
        ngx_delete_posted_event(&run->event);
    }

    ngx_queue_remove(&run->queue);
    ngx_destroy_pool(run->pool);
}


/* NGX_BUSY of a cancel: a thread works for the call, which goes on */

static void
ngx_http_tgbot_broadcast_worker_drop(ngx_http_tgbot_broadcast_call_t *call,
    ngx_uint_t state)
{
    if (ngx_http_tgbot_send_cancel(&call->send) == NGX_OK) {
        ngx_http_tgbot_broadcast_worker_settle(call, state, NULL, 0);
    }
}


/* calls that only wait are dropped, and their chats wait again */

static void
ngx_http_tgbot_broadcast_worker_release(ngx_http_tgbot_broadcast_run_t *run)
{
    ngx_queue_t                      *q, *next;
    ngx_http_tgbot_broadcast_call_t  *call;

    for (q = ngx_queue_head(&run->calls);
         q != ngx_queue_sentinel(&run->calls);
         q = next)
    {
        next = ngx_queue_next(q);
        call = ngx_queue_data(q, ngx_http_tgbot_broadcast_call_t, queue);

        if (!call->send.started) {
            ngx_http_tgbot_broadcast_worker_drop(call,
                                           NGX_HTTP_TGBOT_BROADCAST_WAITING);
        }
    }
}


/* another worker may go on while this one waits for what it has sent */

static void
ngx_http_tgbot_broadcast_worker_resign(ngx_http_tgbot_broadcast_run_t *run)
{
    ngx_uint_t                        n;
    ngx_queue_t                      *q;
    ngx_http_tgbot_broadcast_call_t  *call;
    ngx_http_tgbot_broadcast_chat_t   chats[
                                       NGX_HTTP_TGBOT_BROADCAST_FLIGHTS_PAID];

    n = 0;

    for (q = ngx_queue_head(&run->calls);
         q != ngx_queue_sentinel(&run->calls);
         q = ngx_queue_next(q))
    {
        call = ngx_queue_data(q, ngx_http_tgbot_broadcast_call_t, queue);
        chats[n++] = call->chat;
    }

    if (n) {
        (void) ngx_http_tgbot_broadcast_lead_resign(&run->conf->user, run->id,
                                                    &run->lease, chats, n);
    }
}


void
ngx_http_tgbot_broadcast_worker_shutdown(void)
{
    ngx_queue_t                     *q;
    ngx_http_tgbot_broadcast_run_t  *run;

    ngx_http_tgbot_broadcast_worker_stopped = 1;

    if (ngx_http_tgbot_broadcast_worker_timer.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_broadcast_worker_timer);
    }

    for (q = ngx_queue_head(&ngx_http_tgbot_broadcast_worker_runs);
         q != ngx_queue_sentinel(&ngx_http_tgbot_broadcast_worker_runs);
         q = ngx_queue_next(q))
    {
        run = ngx_queue_data(q, ngx_http_tgbot_broadcast_run_t, queue);

        ngx_http_tgbot_broadcast_worker_release(run);
        ngx_http_tgbot_broadcast_worker_resign(run);

        ngx_post_event(&run->event, &ngx_posted_events);
    }
}


void
ngx_http_tgbot_broadcast_worker_stop(void)
{
    ngx_queue_t                      *q;
    ngx_http_tgbot_broadcast_run_t   *run;
    ngx_http_tgbot_broadcast_call_t  *call;

    if (ngx_http_tgbot_broadcast_worker_confs == NULL) {
        return;
    }

    ngx_http_tgbot_broadcast_worker_shutdown();

    while (!ngx_queue_empty(&ngx_http_tgbot_broadcast_worker_runs)) {
        q = ngx_queue_head(&ngx_http_tgbot_broadcast_worker_runs);
        run = ngx_queue_data(q, ngx_http_tgbot_broadcast_run_t, queue);

        while (!ngx_queue_empty(&run->calls)) {
            q = ngx_queue_head(&run->calls);
            call = ngx_queue_data(q, ngx_http_tgbot_broadcast_call_t, queue);

            if (ngx_http_tgbot_send_cancel(&call->send) != NGX_OK) {

                /* its lease ends with this process */

                ngx_queue_remove(&run->queue);
                ngx_queue_init(&run->queue);
                break;
            }

            ngx_http_tgbot_broadcast_worker_settle(call,
                                           NGX_HTTP_TGBOT_BROADCAST_UNKNOWN,
                                           NULL, 0);
        }

        if (ngx_queue_empty(&run->calls)) {
            ngx_http_tgbot_broadcast_worker_leave(run);
        }
    }
}


void
ngx_http_tgbot_broadcast_worker_exit_process(void)
{
    uint64_t                           waiting;
    ngx_uint_t                         i;
    ngx_http_tgbot_zone_t             *zone;
    ngx_http_tgbot_broadcast_conf_t  **b;

    if (ngx_http_tgbot_broadcast_worker_confs == NULL) {
        return;
    }

    b = ngx_http_tgbot_broadcast_worker_confs->elts;

    for (i = 0; i < ngx_http_tgbot_broadcast_worker_confs->nelts; i++) {
        zone = b[i]->zone;

        if (zone->state || ngx_http_tgbot_zone_adopted(zone)) {
            continue;
        }

        /* of all bots: a zone is told of once */

        waiting = ngx_http_tgbot_broadcast_show_waiting(zone);

        if (waiting && ngx_http_tgbot_zone_tell(zone)) {
            ngx_log_error(NGX_LOG_WARN, b[i]->clcf->error_log, 0,
                          "tgbot: %uL chats of broadcasts that wait are lost "
                          "with zone \"%V\", which is no file",
                          waiting, &zone->shm_zone->shm.name);
        }
    }
}
