
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_dead_redis_head.h"
#include "ngx_http_tgbot_redis_state.h"


/* places in the reply of redis_state.lua */
#define NGX_HTTP_TGBOT_REDIS_STATE_REPLY   10
#define NGX_HTTP_TGBOT_REDIS_STATE_WORKER  4


struct ngx_http_tgbot_redis_states_s {
    ngx_queue_t                      queue;     /* of this worker's */
    ngx_http_tgbot_redis_state_t     state;
    ngx_http_tgbot_bot_t            *bot;
    ngx_http_tgbot_redis_command_t   command;
    unsigned                         waits:1;   /* for the reply */
    unsigned                         told:1;    /* there was one */
};


static void ngx_http_tgbot_redis_state_told(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static ngx_uint_t ngx_http_tgbot_redis_state_number(redisReply *reply,
    ngx_uint_t i);
static void ngx_http_tgbot_redis_state_field(
    ngx_http_tgbot_redis_state_t *state, redisReply *name, redisReply *value);
static ngx_int_t ngx_http_tgbot_redis_state_id(redisReply *value, int64_t *id);
static void ngx_http_tgbot_redis_state_worker(
    ngx_http_tgbot_redis_state_t *state, redisReply *workers, ngx_uint_t i);
static ngx_http_tgbot_redis_machine_t *ngx_http_tgbot_redis_state_machine(
    ngx_http_tgbot_redis_state_t *state, u_char *name, size_t len);


/* fields of meta, by ngx_http_tgbot_queue_event_e */

static ngx_str_t  ngx_http_tgbot_redis_state_events[] = {
    [NGX_HTTP_TGBOT_QUEUE_ACCEPTED] = ngx_string("accepted"),
    [NGX_HTTP_TGBOT_QUEUE_REPLAYED] = ngx_string("replayed"),
    [NGX_HTTP_TGBOT_QUEUE_LOADED] = ngx_string("loaded"),
    [NGX_HTTP_TGBOT_QUEUE_DONE] = ngx_string("done"),
    [NGX_HTTP_TGBOT_QUEUE_DEAD] = ngx_string("dead"),
    [NGX_HTTP_TGBOT_QUEUE_EXPIRED] = ngx_string("expired"),
    [NGX_HTTP_TGBOT_QUEUE_DROPPED] = ngx_string("dropped")
};


static ngx_queue_t  ngx_http_tgbot_redis_states;


void
ngx_http_tgbot_redis_state_init_process(void)
{
    ngx_queue_init(&ngx_http_tgbot_redis_states);
}


void
ngx_http_tgbot_redis_state_exit_process(void)
{
    ngx_queue_t                    *q;
    ngx_http_tgbot_redis_states_t  *st;

    while (!ngx_queue_empty(&ngx_http_tgbot_redis_states)) {
        q = ngx_queue_head(&ngx_http_tgbot_redis_states);
        ngx_queue_remove(q);

        st = ngx_queue_data(q, ngx_http_tgbot_redis_states_t, queue);

        ngx_http_tgbot_redis_cancel(&st->command);

        st->bot->redis_states = NULL;
        ngx_free(st);
    }
}


ngx_int_t
ngx_http_tgbot_redis_state(ngx_http_tgbot_bot_t *bot, ngx_msec_t age,
    ngx_http_tgbot_redis_state_t **state)
{
    ngx_uint_t                      i;
    ngx_http_tgbot_redis_args_t     args;
    ngx_http_tgbot_redis_states_t  *st;

    static const char  *keys[] = {
        "meta", "ready", "flight", "delayed", "workers", "lanes", "held",
        "firsts", "dead", "letters"
    };

    st = bot->redis_states;

    if (st == NULL) {
        st = ngx_calloc(sizeof(ngx_http_tgbot_redis_states_t),
                        bot->clcf->error_log);
        if (st == NULL) {
            *state = NULL;
            return NGX_DECLINED;
        }

        st->bot = bot;
        bot->redis_states = st;

        ngx_queue_insert_tail(&ngx_http_tgbot_redis_states, &st->queue);
    }

    *state = &st->state;

    if (st->waits) {
        return NGX_AGAIN;
    }

    if (st->told && ngx_current_msec - st->state.told < age) {
        return NGX_OK;
    }

    ngx_http_tgbot_redis_args_init(&args, bot);

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        ngx_http_tgbot_redis_args_key(&args, keys[i]);
    }

    st->command.done = ngx_http_tgbot_redis_state_told;
    st->command.data = st;

    if (ngx_http_tgbot_redis_args_send(&args, &st->command,
                                       &ngx_http_tgbot_redis_script_state)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    st->waits = 1;

    return NGX_AGAIN;
}


static void
ngx_http_tgbot_redis_state_told(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_redis_states_t *st = c->data;

    size_t                         i;
    redisReply                    *fields, *workers;
    ngx_http_tgbot_letter_t        letter;
    ngx_http_tgbot_queue_state_t  *queue;
    ngx_http_tgbot_redis_state_t  *state;

    st->waits = 0;

    if (rc != NGX_HTTP_TGBOT_REDIS_OK
        || reply->type != REDIS_REPLY_ARRAY
        || reply->elements < NGX_HTTP_TGBOT_REDIS_STATE_REPLY
        || reply->element[7]->type != REDIS_REPLY_ARRAY
        || reply->element[8]->type != REDIS_REPLY_ARRAY)
    {
        return;
    }

    state = &st->state;
    queue = &state->queue;
    fields = reply->element[7];
    workers = reply->element[8];

    ngx_memzero(state, sizeof(ngx_http_tgbot_redis_state_t));

    state->told = ngx_current_msec;
    state->top[0] = NGX_HTTP_TGBOT_UPDATE_NO_ID;
    state->top[1] = NGX_HTTP_TGBOT_UPDATE_NO_ID;
    st->told = 1;

    for (i = 0;
         i + NGX_HTTP_TGBOT_REDIS_STATE_WORKER <= workers->elements;
         i += NGX_HTTP_TGBOT_REDIS_STATE_WORKER)
    {
        ngx_http_tgbot_redis_state_worker(state, workers, i);
    }

    for (i = 0; i + 1 < fields->elements; i += 2) {
        ngx_http_tgbot_redis_state_field(state, fields->element[i],
                                         fields->element[i + 1]);
    }

    queue->delayed = ngx_http_tgbot_redis_state_number(reply, 2);
    queue->lanes = ngx_http_tgbot_redis_state_number(reply, 1)
                   + queue->delayed + queue->inflight;
    queue->oldest = ngx_http_tgbot_redis_state_number(reply, 3);
    queue->waiting -= ngx_min(queue->waiting, queue->inflight);
    queue->delayed = ngx_min(queue->delayed, queue->waiting);

    state->dead.letters = ngx_http_tgbot_redis_state_number(reply, 4);

    ngx_http_tgbot_dead_redis_head_read(&letter, reply->element[9]);
    state->dead.oldest = (time_t) letter.end.last;

    state->claims = ngx_http_tgbot_redis_state_number(reply, 5);
    state->records = ngx_http_tgbot_redis_state_number(reply, 6);
}


/* a number of the reply; 0 if there is none */

static ngx_uint_t
ngx_http_tgbot_redis_state_number(redisReply *reply, ngx_uint_t i)
{
    int64_t  n;

    n = ngx_http_tgbot_redis_args_number(reply, i);

    return (n > 0) ? (ngx_uint_t) n : 0;
}


/* a field of the counters of a bot */

static void
ngx_http_tgbot_redis_state_field(ngx_http_tgbot_redis_state_t *state,
    redisReply *name, redisReply *value)
{
    int64_t      n;
    ngx_uint_t   i;
    ngx_str_t   *event;

    if (name->type != REDIS_REPLY_STRING
        || ngx_http_tgbot_redis_state_id(value, &n) != NGX_OK)
    {
        return;
    }

    if (ngx_strcmp(name->str, "top1") == 0) {
        state->top[0] = n;
        return;
    }

    if (ngx_strcmp(name->str, "top2") == 0) {
        state->top[1] = n;
        return;
    }

    if (n < 0) {
        return;
    }

    if (ngx_strcmp(name->str, "items") == 0) {
        state->queue.waiting = n;
        return;
    }

    if (ngx_strcmp(name->str, "bytes") == 0) {
        state->queue.blocks = n;
        return;
    }

    if (ngx_strcmp(name->str, "evicted") == 0) {
        state->dead.evicted = n;
        return;
    }

    for (i = 0; i < NGX_HTTP_TGBOT_QUEUE_EVENTS; i++) {
        event = &ngx_http_tgbot_redis_state_events[i];

        if (ngx_strcmp(name->str, event->data) == 0) {
            state->queue.events[i] = n;
            return;
        }
    }
}


static ngx_int_t
ngx_http_tgbot_redis_state_id(redisReply *value, int64_t *id)
{
    ngx_int_t   n;
    ngx_uint_t  minus;

    if (value->type != REDIS_REPLY_STRING || value->len == 0) {
        return NGX_DECLINED;
    }

    minus = (value->str[0] == '-');

    n = ngx_atoi((u_char *) value->str + minus, value->len - minus);

    if (n == NGX_ERROR) {
        return NGX_DECLINED;
    }

    *id = minus ? -n : n;

    return NGX_OK;
}


static void
ngx_http_tgbot_redis_state_worker(ngx_http_tgbot_redis_state_t *state,
    redisReply *workers, ngx_uint_t i)
{
    size_t                           len;
    u_char                          *name, *colon;
    redisReply                      *worker;
    ngx_uint_t                       n;
    ngx_http_tgbot_redis_machine_t  *machine;

    worker = workers->element[i];

    if (worker->type != REDIS_REPLY_STRING) {
        return;
    }

    name = (u_char *) worker->str;
    colon = ngx_strlchr(name, name + worker->len, ':');
    len = colon ? (size_t) (colon - name) : worker->len;

    machine = ngx_http_tgbot_redis_state_machine(state, name, len);

    machine->workers += (ngx_http_tgbot_redis_args_number(workers, i + 1) > 0);

    n = ngx_http_tgbot_redis_state_number(workers, i + 2);

    machine->inflight += n;
    state->queue.inflight += n;

    machine->claims += ngx_http_tgbot_redis_state_number(workers, i + 3);
}


/* the machine with this name; if there are too many, the rest of them */

static ngx_http_tgbot_redis_machine_t *
ngx_http_tgbot_redis_state_machine(ngx_http_tgbot_redis_state_t *state,
    u_char *name, size_t len)
{
    ngx_uint_t                       i;
    ngx_http_tgbot_redis_machine_t  *machine;

    len = ngx_min(len, NGX_HTTP_TGBOT_REDIS_MACHINE);

    for (i = 0; i < state->nmachines; i++) {
        machine = &state->machines[i];

        if (machine->len == len && ngx_strncmp(machine->name, name, len) == 0) {
            return machine;
        }
    }

    if (i == NGX_HTTP_TGBOT_REDIS_MACHINES) {
        return &state->others;
    }

    machine = &state->machines[i];
    state->nmachines++;

    ngx_memcpy(machine->name, name, len);
    machine->len = len;

    return machine;
}
