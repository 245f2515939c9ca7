
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_job_queued.h"
#include "ngx_http_tgbot_queue_redis.h"
#include "ngx_http_tgbot_redis_state.h"


/* a put that waits for its reply */

typedef struct {
    ngx_http_tgbot_queue_put_t       put;      /* first */
    ngx_queue_t                      queue;
    ngx_http_tgbot_redis_command_t   command;
} ngx_http_tgbot_queue_redis_put_t;


static void ngx_http_tgbot_queue_redis_bell(void *data, ngx_str_t *message);
static ngx_int_t ngx_http_tgbot_queue_redis_put(
    ngx_http_tgbot_queue_put_t *put);
static void ngx_http_tgbot_queue_redis_accept(
    ngx_http_tgbot_redis_args_t *args, ngx_http_tgbot_queue_put_t *put,
    ngx_str_t *payload);
static void ngx_http_tgbot_queue_redis_replay(
    ngx_http_tgbot_redis_args_t *args, ngx_http_tgbot_queue_put_t *put,
    ngx_str_t *payload);
static void ngx_http_tgbot_queue_redis_payload(ngx_http_tgbot_item_t *item,
    ngx_pool_t *pool, ngx_str_t *payload);
static void ngx_http_tgbot_queue_redis_put_done(
    ngx_http_tgbot_redis_command_t *c, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);
static ngx_int_t ngx_http_tgbot_queue_redis_accepted(
    ngx_http_tgbot_queue_put_t *put, redisReply *reply);
static ngx_int_t ngx_http_tgbot_queue_redis_replayed(
    ngx_http_tgbot_queue_put_t *put, redisReply *reply);
static void ngx_http_tgbot_queue_redis_leave(ngx_http_tgbot_queue_put_t *put);
static ngx_uint_t ngx_http_tgbot_queue_redis_empty(ngx_http_tgbot_bot_t *bot,
    uint64_t lane);
static void ngx_http_tgbot_queue_redis_took(ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_queue_redis_state(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_queue_state_t *state);


const ngx_http_tgbot_queue_verbs_t  ngx_http_tgbot_queue_redis = {
    ngx_http_tgbot_queue_redis_put,
    ngx_http_tgbot_queue_redis_leave,
    ngx_http_tgbot_queue_redis_empty,
    ngx_http_tgbot_queue_redis_take,
    ngx_http_tgbot_queue_redis_holds,
    ngx_http_tgbot_queue_redis_give,
    ngx_http_tgbot_queue_redis_save,
    ngx_http_tgbot_queue_redis_settle,
    ngx_http_tgbot_queue_redis_took,
    ngx_http_tgbot_queue_redis_state
};


/* of this worker */
static ngx_queue_t  ngx_http_tgbot_queue_redis_all;


void
ngx_http_tgbot_queue_redis_init_process(void)
{
    ngx_queue_init(&ngx_http_tgbot_queue_redis_all);
}


void
ngx_http_tgbot_queue_redis_exit_process(void)
{
    ngx_queue_t                   *p;
    ngx_http_tgbot_queue_redis_t  *q;

    while (!ngx_queue_empty(&ngx_http_tgbot_queue_redis_all)) {
        p = ngx_queue_head(&ngx_http_tgbot_queue_redis_all);
        ngx_queue_remove(p);

        q = ngx_queue_data(p, ngx_http_tgbot_queue_redis_t, queue);

        ngx_http_tgbot_queue_redis_forget(q);

        while (!ngx_queue_empty(&q->puts)) {
            ngx_http_tgbot_queue_redis_leave((ngx_http_tgbot_queue_put_t *)
                         ngx_queue_data(ngx_queue_head(&q->puts),
                                        ngx_http_tgbot_queue_redis_put_t,
                                        queue));
        }

        ngx_http_tgbot_redis_lease_end(&q->pending);
        ngx_http_tgbot_redis_cancel(&q->take);

        q->bot->queue_redis = NULL;
        ngx_free(q);
    }
}


/* NULL: no memory */

ngx_http_tgbot_queue_redis_t *
ngx_http_tgbot_queue_redis_open(ngx_http_tgbot_bot_t *bot)
{
    u_char                        *p;
    ngx_http_tgbot_queue_redis_t  *q;

    q = bot->queue_redis;

    if (q) {
        return q;
    }

    q = ngx_calloc(sizeof(ngx_http_tgbot_queue_redis_t)
                   + bot->slot.len + sizeof(":ready"), bot->clcf->error_log);
    if (q == NULL) {
        return NULL;
    }

    q->bot = bot;
    q->look = ngx_current_msec;
    q->idle = NGX_HTTP_TGBOT_QUEUE_REDIS_IDLE;

    p = (u_char *) q + sizeof(ngx_http_tgbot_queue_redis_t);

    q->bell.data = p;
    q->bell.len = ngx_sprintf(p, "%V:ready", &bot->slot) - p;

    ngx_queue_init(&q->items);
    ngx_queue_init(&q->puts);

    if (ngx_http_tgbot_redis_lease_keep(bot) != NGX_OK
        || ngx_http_tgbot_redis_subscribe(&q->bell,
                                          ngx_http_tgbot_queue_redis_bell, q)
           != NGX_OK)
    {
        ngx_free(q);
        return NULL;
    }

    /* it has an older number than the first take, so it leaves that alone */

    ngx_http_tgbot_redis_lease_beat(bot);

    ngx_queue_insert_tail(&ngx_http_tgbot_queue_redis_all, &q->queue);
    bot->queue_redis = q;

    return q;
}


static void
ngx_http_tgbot_queue_redis_bell(void *data, ngx_str_t *message)
{
    ngx_http_tgbot_queue_redis_look(data);
}


/* there may be something to take */

void
ngx_http_tgbot_queue_redis_look(ngx_http_tgbot_queue_redis_t *q)
{
    q->look = ngx_current_msec;
    q->idle = NGX_HTTP_TGBOT_QUEUE_REDIS_IDLE;

    ngx_http_tgbot_queue_wake();
}


static ngx_int_t
ngx_http_tgbot_queue_redis_put(ngx_http_tgbot_queue_put_t *put)
{
    ngx_str_t                              payload;
    ngx_http_tgbot_redis_args_t            args;
    ngx_http_tgbot_queue_redis_t          *q;
    ngx_http_tgbot_queue_redis_put_t      *copy;
    const ngx_http_tgbot_redis_script_t   *script;

    q = ngx_http_tgbot_queue_redis_open(put->bot);
    if (q == NULL) {
        return NGX_ABORT;
    }

    copy = ngx_calloc(sizeof(ngx_http_tgbot_queue_redis_put_t),
                      put->bot->clcf->error_log);
    if (copy == NULL) {
        return NGX_ABORT;
    }

    copy->command.done = ngx_http_tgbot_queue_redis_put_done;
    copy->command.data = copy;
    copy->command.durable = 1;

    ngx_http_tgbot_redis_args_init(&args, put->bot);
    ngx_http_tgbot_queue_redis_payload(&put->item, args.pool, &payload);

    if (put->event == NGX_HTTP_TGBOT_QUEUE_ACCEPTED) {
        ngx_http_tgbot_queue_redis_accept(&args, put, &payload);
        script = &ngx_http_tgbot_redis_script_accept;

    } else {
        ngx_http_tgbot_queue_redis_replay(&args, put, &payload);
        script = &ngx_http_tgbot_redis_script_put;
    }

    if (ngx_http_tgbot_redis_args_send(&args, &copy->command, script)
        != NGX_OK)
    {
        ngx_free(copy);
        return NGX_ABORT;
    }

    ngx_queue_insert_tail(&q->puts, &copy->queue);

    copy->put = *put;
    put->copy = &copy->put;

    return NGX_AGAIN;
}


static void
ngx_http_tgbot_queue_redis_accept(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_queue_put_t *put, ngx_str_t *payload)
{
    ngx_http_tgbot_loc_conf_t  *conf;

    conf = put->bot->conf;

    ngx_http_tgbot_redis_args_key(args, "meta");
    ngx_http_tgbot_redis_args_key(args, "seen:0");
    ngx_http_tgbot_redis_args_key(args, "seen:1");
    ngx_http_tgbot_redis_args_key(args, "lanes");
    ngx_http_tgbot_redis_args_key(args, "ready");
    ngx_http_tgbot_redis_args_key(args, "lane:%016xL", put->item.head.lane);

    if (put->buckets) {
        ngx_http_tgbot_limit_redis_keys(args, put->buckets);
    }

    ngx_http_tgbot_redis_args_print(args, "%L", put->item.head.update_id);
    ngx_http_tgbot_redis_args_print(args, "%ui",
                                    (conf->dedup && put->numbered)
                                    ? conf->dedup->window : 0);
    ngx_http_tgbot_redis_args_print(args, "%016xL", put->item.head.lane);
    ngx_http_tgbot_redis_args_text(args, payload);
    ngx_http_tgbot_redis_args_print(args, "%ui", conf->queue->limit);
    ngx_http_tgbot_redis_args_print(args, "%ui", conf->queue->limit_size);
    ngx_http_tgbot_redis_args_print(args, conf->limit_dry_run ? "1" : "0");

    if (put->buckets) {
        ngx_http_tgbot_limit_redis_rates(args, put->buckets);
    }
}


static void
ngx_http_tgbot_queue_redis_replay(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_queue_put_t *put, ngx_str_t *payload)
{
    ngx_http_tgbot_head_t        *head;
    ngx_http_tgbot_queue_conf_t  *queue;

    head = &put->item.head;
    queue = put->bot->conf->queue;

    ngx_http_tgbot_redis_args_key(args, "meta");
    ngx_http_tgbot_redis_args_key(args, "lanes");
    ngx_http_tgbot_redis_args_key(args, "ready");
    ngx_http_tgbot_redis_args_key(args, "lane:%016xL", head->lane);

    if (put->bot->dead_zone) {

        /* ids count from 1 on each machine, and again after each restart */

        ngx_http_tgbot_redis_args_key(args, "put:%08XD-%uL-%L-%L-%L",
                                   ngx_crc32_short(ngx_cycle->hostname.data,
                                                   ngx_cycle->hostname.len),
                                   head->letter, head->update_id,
                                   put->end.first, put->end.last);

    } else {
        ngx_http_tgbot_redis_args_key(args, "letters");
        ngx_http_tgbot_redis_args_key(args, "dead");
        ngx_http_tgbot_redis_args_key(args, "replays");
        ngx_http_tgbot_redis_args_key(args, "workers");
    }

    ngx_http_tgbot_redis_args_print(args, "%016xL", head->lane);
    ngx_http_tgbot_redis_args_text(args, payload);
    ngx_http_tgbot_redis_args_print(args, "%ui", queue->limit);
    ngx_http_tgbot_redis_args_print(args, "%ui", queue->limit_size);
    ngx_http_tgbot_redis_args_print(args, "%uL", head->letter);
}


/* without memory, also for the pool, payload->data is NULL */

static void
ngx_http_tgbot_queue_redis_payload(ngx_http_tgbot_item_t *item,
    ngx_pool_t *pool, ngx_str_t *payload)
{
    u_char                                 *p;
    ngx_http_tgbot_queue_redis_payload_t    head;

    ngx_memzero(&head, sizeof(ngx_http_tgbot_queue_redis_payload_t));

    head.version = NGX_HTTP_TGBOT_QUEUE_REDIS_VERSION;
    head.answered = item->answered;
    head.life = item->head.life;
    head.attempts = item->progress.attempts;
    head.len = (uint32_t) item->data.len;
    head.update_id = item->head.update_id;
    head.letter = item->head.letter;

    payload->len = sizeof(ngx_http_tgbot_queue_redis_payload_t)
                   + item->data.len + item->answer.len;
    payload->data = pool ? ngx_pnalloc(pool, payload->len) : NULL;

    if (payload->data == NULL) {
        return;
    }

    p = ngx_cpymem(payload->data, &head,
                   sizeof(ngx_http_tgbot_queue_redis_payload_t));
    p = ngx_cpymem(p, item->data.data, item->data.len);

    if (item->answer.len) {
        ngx_memcpy(p, item->answer.data, item->answer.len);
    }
}


static void
ngx_http_tgbot_queue_redis_put_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_queue_redis_put_t *copy = c->data;

    ngx_int_t                    result;
    ngx_http_tgbot_queue_put_t  *put;

    put = &copy->put;
    result = NGX_ABORT;

    if (rc == NGX_HTTP_TGBOT_REDIS_OK && reply->type == REDIS_REPLY_ARRAY) {
        result = (put->event == NGX_HTTP_TGBOT_QUEUE_ACCEPTED)
                 ? ngx_http_tgbot_queue_redis_accepted(put, reply)
                 : ngx_http_tgbot_queue_redis_replayed(put, reply);
    }

    ngx_queue_remove(&copy->queue);

    if (result == NGX_OK) {
        ngx_http_tgbot_queue_redis_look(put->bot->queue_redis);
    }

    put->done(put, result);

    ngx_free(copy);
}


/* what redis_accept.lua has answered */

static ngx_int_t
ngx_http_tgbot_queue_redis_accepted(ngx_http_tgbot_queue_put_t *put,
    redisReply *reply)
{
    int64_t  age, code;

    code = ngx_http_tgbot_redis_args_number(reply, 0);

    switch (code) {

    case 0:
        return NGX_DONE;

    case 1:
    case 2:
        if (ngx_http_tgbot_limit_redis_read(reply, 1,
                                       put->buckets ? put->buckets->n : 0,
                                       &put->refused, &put->result)
            != NGX_OK
            || (code == 2 && put->refused == 0))
        {
            return NGX_ABORT;
        }

        put->rebased = (ngx_http_tgbot_redis_args_number(reply, 4) > 0);

        return (code == 1) ? NGX_OK : NGX_DONE;

    case 3:
        age = ngx_http_tgbot_redis_args_number(reply, 1);
        put->age = ngx_max(age, 0);

        return NGX_BUSY;

    case 4:
        return NGX_DECLINED;

    default: /* not known */
        return NGX_ABORT;
    }
}


/* what redis_put.lua has answered */

static ngx_int_t
ngx_http_tgbot_queue_redis_replayed(ngx_http_tgbot_queue_put_t *put,
    redisReply *reply)
{
    int64_t  age;

    switch (ngx_http_tgbot_redis_args_number(reply, 0)) {

    case 0:

        /* a put before this one has succeeded, or the letter is gone */

        return put->bot->dead_zone ? NGX_OK : NGX_DONE;

    case 1:
        return NGX_OK;

    case 2:
        return NGX_ERROR;

    case 3:
        age = ngx_http_tgbot_redis_args_number(reply, 1);
        put->age = ngx_max(age, 0);

        return NGX_BUSY;

    case 4:
        return NGX_DECLINED;

    default: /* not known */
        return NGX_ABORT;
    }
}


static void
ngx_http_tgbot_queue_redis_leave(ngx_http_tgbot_queue_put_t *put)
{
    ngx_http_tgbot_queue_redis_put_t  *copy;

    copy = (ngx_http_tgbot_queue_redis_put_t *) put;

    ngx_http_tgbot_redis_cancel(&copy->command);
    ngx_queue_remove(&copy->queue);

    ngx_free(copy);
}


/* a lane may get items from other machines: an answer goes into the queue */

static ngx_uint_t
ngx_http_tgbot_queue_redis_empty(ngx_http_tgbot_bot_t *bot, uint64_t lane)
{
    return 0;
}


static void
ngx_http_tgbot_queue_redis_took(ngx_http_tgbot_bot_t *bot)
{
    ngx_uint_t                     max;
    ngx_http_tgbot_queue_redis_t  *q;

    q = bot->queue_redis;
    max = bot->conf->queue->concurrency;

    q->row = 0;
    q->nlanes = 0;

    if (q->open) {
        q->open = 0;
        q->allowed = 1;

    } else if (q->allowed) {
        q->allowed = (2 * q->allowed < max) ? 2 * q->allowed : 0;

    } else {
        return;
    }

    ngx_http_tgbot_queue_redis_look(q);
}


void
ngx_http_tgbot_queue_redis_unavailable(ngx_http_tgbot_queue_redis_t *q,
    uint64_t lane)
{
    ngx_uint_t  i;

    for (i = 0; i < q->nlanes && q->lanes[i] != lane; i++) { /* void */ }

    if (i == q->nlanes && i < NGX_HTTP_TGBOT_QUEUE_BREAK_LANES) {
        q->lanes[i] = lane;
        q->nlanes++;
    }

    if (q->open
        || ++q->row < NGX_HTTP_TGBOT_QUEUE_BREAK
        || q->nlanes < NGX_HTTP_TGBOT_QUEUE_BREAK_LANES)
    {
        return;
    }

    q->open = 1;
    q->probe = ngx_current_msec + NGX_HTTP_TGBOT_QUEUE_PROBE;
}


/* the state that Redis told last; it is asked again if that is a while ago */

static ngx_int_t
ngx_http_tgbot_queue_redis_state(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_queue_state_t *state)
{
    ngx_int_t                      rc;
    ngx_uint_t                     items;
    ngx_http_tgbot_queue_conf_t   *conf;
    ngx_http_tgbot_queue_redis_t  *q;
    ngx_http_tgbot_redis_state_t  *told;

    q = ngx_http_tgbot_queue_redis_open(bot);

    rc = ngx_http_tgbot_redis_state(bot, NGX_HTTP_TGBOT_REDIS_SHOWN, &told);

    if (q == NULL || told == NULL) {
        ngx_memzero(state, sizeof(ngx_http_tgbot_queue_state_t));
        return NGX_OK;
    }

    *state = told->queue;

    conf = bot->conf->queue;
    items = state->waiting + state->inflight;

    state->allowed = q->open ? 1 : q->allowed;
    state->full = (items >= conf->limit || state->blocks >= conf->limit_size);

    if (items) {
        state->oldest += ngx_current_msec - told->told;
    }

    return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_OK;
}
