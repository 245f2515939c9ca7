
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_dead_redis.h"
#include "ngx_http_tgbot_dead_redis_head.h"
#include "ngx_http_tgbot_redis_lease.h"
#include "ngx_http_tgbot_redis_state.h"


/* time to the next try of what Redis did not answer, ms */
#define NGX_HTTP_TGBOT_DEAD_REDIS_REPEAT  200

/* how often a letter is asked for if Redis knows no lease of this worker */
#define NGX_HTTP_TGBOT_DEAD_REDIS_TRIES   3

/* bytes of a letter at most: half of what may wait for replies */
#define NGX_HTTP_TGBOT_DEAD_REDIS_SIZE    (NGX_HTTP_TGBOT_REDIS_BYTES / 2)

/* how long Redis is told that an Update was taken from the queue, ms */
#define NGX_HTTP_TGBOT_DEAD_REDIS_TAKEN_TIME  (24 * 3600 * 1000)


typedef enum {
    NGX_HTTP_TGBOT_DEAD_REDIS_PUT = 0,
    NGX_HTTP_TGBOT_DEAD_REDIS_LIST,
    NGX_HTTP_TGBOT_DEAD_REDIS_GET,
    NGX_HTTP_TGBOT_DEAD_REDIS_DROP,
    NGX_HTTP_TGBOT_DEAD_REDIS_LEASE,
    NGX_HTTP_TGBOT_DEAD_REDIS_HELD,      /* the letter is under a lease */
    NGX_HTTP_TGBOT_DEAD_REDIS_END,
    NGX_HTTP_TGBOT_DEAD_REDIS_TAKEN
} ngx_http_tgbot_dead_redis_verb_e;


/* what this worker asks, tells or holds */

typedef struct {
    ngx_queue_t                        queue;   /* of all of this worker */
    ngx_http_tgbot_bot_t              *bot;
    ngx_http_tgbot_dead_op_t          *op;      /* who waits; NULL: none does */
    ngx_http_tgbot_dead_redis_verb_e   verb;
    uint64_t                           id;      /* of the letter */

    ngx_http_tgbot_redis_command_t     command;
    ngx_http_tgbot_redis_lease_t       lease;   /* of the letter */
    ngx_event_t                        timer;   /* of the next try */
    ngx_msec_t                         begun;
    ngx_uint_t                         tries;

    unsigned                           waits:1; /* for a reply */
    unsigned                           gone:1;  /* end: the letter goes */
    unsigned                           unknown:1;  /* a try may have been
                                                      executed */
} ngx_http_tgbot_dead_redis_t;


static ngx_int_t ngx_http_tgbot_dead_redis_put(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_dead_redis_list(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_dead_redis_get(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_dead_redis_drop(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_dead_redis_lease(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_dead_redis_ask(ngx_http_tgbot_dead_op_t *op,
    ngx_http_tgbot_dead_redis_verb_e verb);
static ngx_http_tgbot_dead_redis_t *ngx_http_tgbot_dead_redis_create(
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_dead_redis_verb_e verb,
    uint64_t id);
static void ngx_http_tgbot_dead_redis_free(ngx_http_tgbot_dead_redis_t *dr);
static ngx_int_t ngx_http_tgbot_dead_redis_send(
    ngx_http_tgbot_dead_redis_t *dr);
static void ngx_http_tgbot_dead_redis_args_put(ngx_http_tgbot_dead_redis_t *dr,
    ngx_http_tgbot_redis_args_t *args, u_char *head);
static void ngx_http_tgbot_dead_redis_args_ask(ngx_http_tgbot_dead_redis_t *dr,
    ngx_http_tgbot_redis_args_t *args);
static void ngx_http_tgbot_dead_redis_args_end(ngx_http_tgbot_dead_redis_t *dr,
    ngx_http_tgbot_redis_args_t *args, u_char *token);
static void ngx_http_tgbot_dead_redis_wait(ngx_http_tgbot_dead_redis_t *dr);
static void ngx_http_tgbot_dead_redis_again(ngx_event_t *ev);
static void ngx_http_tgbot_dead_redis_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static ngx_int_t ngx_http_tgbot_dead_redis_read(
    ngx_http_tgbot_dead_redis_t *dr, redisReply *reply);
static ngx_int_t ngx_http_tgbot_dead_redis_kept(ngx_http_tgbot_dead_op_t *op,
    redisReply *reply);
static ngx_int_t ngx_http_tgbot_dead_redis_listed(
    ngx_http_tgbot_dead_op_t *op, redisReply *reply);
static ngx_int_t ngx_http_tgbot_dead_redis_leased(
    ngx_http_tgbot_dead_redis_t *dr, redisReply *reply);
static ngx_int_t ngx_http_tgbot_dead_redis_letter(
    ngx_http_tgbot_dead_op_t *op, redisReply *head, redisReply *data);
static void ngx_http_tgbot_dead_redis_tell(ngx_http_tgbot_dead_redis_t *dr,
    ngx_int_t rc);
static void ngx_http_tgbot_dead_redis_leave(ngx_http_tgbot_dead_op_t *op);
static ngx_uint_t ngx_http_tgbot_dead_redis_holds(
    ngx_http_tgbot_dead_held_t *held);
static void ngx_http_tgbot_dead_redis_end(ngx_http_tgbot_dead_held_t *held,
    ngx_uint_t gone);
static void ngx_http_tgbot_dead_redis_taken(ngx_http_tgbot_bot_t *bot,
    uint64_t id, int64_t update_id);
static ngx_int_t ngx_http_tgbot_dead_redis_state(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_dead_state_t *state);


const ngx_http_tgbot_dead_verbs_t  ngx_http_tgbot_dead_redis = {
    ngx_http_tgbot_dead_redis_put,
    ngx_http_tgbot_dead_redis_list,
    ngx_http_tgbot_dead_redis_get,
    ngx_http_tgbot_dead_redis_drop,
    ngx_http_tgbot_dead_redis_lease,
    ngx_http_tgbot_dead_redis_leave,
    ngx_http_tgbot_dead_redis_holds,
    ngx_http_tgbot_dead_redis_end,
    ngx_http_tgbot_dead_redis_taken,
    ngx_http_tgbot_dead_redis_state
};


/* of this worker */
static ngx_queue_t  ngx_http_tgbot_dead_redis_all;
static ngx_uint_t   ngx_http_tgbot_dead_redis_abandoned;


void
ngx_http_tgbot_dead_redis_init_process(void)
{
    ngx_queue_init(&ngx_http_tgbot_dead_redis_all);
}


void
ngx_http_tgbot_dead_redis_exit_process(void)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&ngx_http_tgbot_dead_redis_all)) {
        q = ngx_queue_head(&ngx_http_tgbot_dead_redis_all);

        ngx_http_tgbot_dead_redis_free(
                       ngx_queue_data(q, ngx_http_tgbot_dead_redis_t, queue));
    }
}


void
ngx_http_tgbot_dead_redis_abandon(void)
{
    ngx_http_tgbot_dead_redis_abandoned = 1;
}


/* repeated until it is answered: the Update is in no other place then */

static ngx_int_t
ngx_http_tgbot_dead_redis_put(ngx_http_tgbot_dead_op_t *op)
{
    size_t                        size;
    ngx_http_tgbot_dead_redis_t  *dr;

    size = op->letter.item.data.len + op->letter.item.answer.len;

    if (size > NGX_HTTP_TGBOT_DEAD_REDIS_SIZE) {

        /* it would never be sent, and the job would wait for ever */

        ngx_log_error(NGX_LOG_ERR, op->bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L does not fit into %V of "
                      "dead letters: %uz bytes", &op->bot->name,
                      op->letter.item.head.update_id, &op->bot->dead_place,
                      size);
        return NGX_DECLINED;
    }

    dr = ngx_http_tgbot_dead_redis_create(op->bot,
                                          NGX_HTTP_TGBOT_DEAD_REDIS_PUT, 0);
    if (dr == NULL) {
        return NGX_ERROR;
    }

    op->begun = ngx_current_msec;
    op->redis = dr;
    dr->op = op;

    /* replicas must have it: the update is settled after that */

    dr->command.durable = 1;

    (void) ngx_http_tgbot_dead_redis_send(dr);
    ngx_http_tgbot_dead_redis_wait(dr);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_tgbot_dead_redis_list(ngx_http_tgbot_dead_op_t *op)
{
    return ngx_http_tgbot_dead_redis_ask(op, NGX_HTTP_TGBOT_DEAD_REDIS_LIST);
}


static ngx_int_t
ngx_http_tgbot_dead_redis_get(ngx_http_tgbot_dead_op_t *op)
{
    return ngx_http_tgbot_dead_redis_ask(op, NGX_HTTP_TGBOT_DEAD_REDIS_GET);
}


static ngx_int_t
ngx_http_tgbot_dead_redis_drop(ngx_http_tgbot_dead_op_t *op)
{
    return ngx_http_tgbot_dead_redis_ask(op, NGX_HTTP_TGBOT_DEAD_REDIS_DROP);
}


static ngx_int_t
ngx_http_tgbot_dead_redis_lease(ngx_http_tgbot_dead_op_t *op)
{
    return ngx_http_tgbot_dead_redis_ask(op, NGX_HTTP_TGBOT_DEAD_REDIS_LEASE);
}


static ngx_int_t
ngx_http_tgbot_dead_redis_ask(ngx_http_tgbot_dead_op_t *op,
    ngx_http_tgbot_dead_redis_verb_e verb)
{
    ngx_http_tgbot_dead_redis_t  *dr;

    dr = ngx_http_tgbot_dead_redis_create(op->bot, verb, op->id);
    if (dr == NULL) {
        return NGX_ERROR;
    }

    if (verb == NGX_HTTP_TGBOT_DEAD_REDIS_LEASE) {
        dr->lease.number = ngx_http_tgbot_redis_lease_number();

        if (ngx_http_tgbot_redis_lease_hold(&dr->lease) != NGX_OK) {
            ngx_http_tgbot_dead_redis_free(dr);
            return NGX_ERROR;
        }
    }

    dr->op = op;

    if (ngx_http_tgbot_dead_redis_send(dr) != NGX_OK) {
        ngx_http_tgbot_dead_redis_free(dr);
        return NGX_ABORT;
    }

    op->redis = dr;

    return NGX_AGAIN;
}


static ngx_http_tgbot_dead_redis_t *
ngx_http_tgbot_dead_redis_create(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_dead_redis_verb_e verb, uint64_t id)
{
    ngx_http_tgbot_dead_redis_t  *dr;

    dr = ngx_calloc(sizeof(ngx_http_tgbot_dead_redis_t),
                    bot->clcf->error_log);
    if (dr == NULL) {
        return NULL;
    }

    dr->bot = bot;
    dr->verb = verb;
    dr->id = id;
    dr->begun = ngx_current_msec;

    dr->command.done = ngx_http_tgbot_dead_redis_done;
    dr->command.data = dr;

    dr->lease.bot = bot;
    dr->lease.kind = NGX_HTTP_TGBOT_REDIS_PENDING;

    dr->timer.handler = ngx_http_tgbot_dead_redis_again;
    dr->timer.data = dr;
    dr->timer.log = bot->clcf->error_log;

    ngx_queue_insert_tail(&ngx_http_tgbot_dead_redis_all, &dr->queue);

    return dr;
}


/* what a lease holds in Redis is given back by the next beat */

static void
ngx_http_tgbot_dead_redis_free(ngx_http_tgbot_dead_redis_t *dr)
{
    ngx_http_tgbot_redis_lease_end(&dr->lease);
    ngx_http_tgbot_redis_cancel(&dr->command);

    if (dr->timer.timer_set) {
        ngx_del_timer(&dr->timer);
    }

    ngx_queue_remove(&dr->queue);
    ngx_free(dr);
}


static ngx_int_t
ngx_http_tgbot_dead_redis_send(ngx_http_tgbot_dead_redis_t *dr)
{
    u_char                                token[NGX_HTTP_TGBOT_REDIS_TOKEN_LEN
                                                + 1];
    u_char                                head[NGX_HTTP_TGBOT_DEAD_REDIS_HEAD];
    ngx_int_t                             rc;
    ngx_http_tgbot_redis_args_t           args;
    const ngx_http_tgbot_redis_script_t  *script;

    ngx_http_tgbot_redis_args_init(&args, dr->bot);

    switch (dr->verb) {

    case NGX_HTTP_TGBOT_DEAD_REDIS_PUT:
        ngx_http_tgbot_dead_redis_args_put(dr, &args, head);
        script = &ngx_http_tgbot_redis_script_dead_put;
        break;

    case NGX_HTTP_TGBOT_DEAD_REDIS_GET:
        ngx_http_tgbot_redis_args_print(&args, "HMGET");
        ngx_http_tgbot_redis_args_key(&args, "letters");
        ngx_http_tgbot_redis_args_print(&args, "%uL", dr->id);
        ngx_http_tgbot_redis_args_print(&args, "%uLd", dr->id);
        script = NULL;
        break;

    case NGX_HTTP_TGBOT_DEAD_REDIS_LIST:
        ngx_http_tgbot_dead_redis_args_ask(dr, &args);
        script = &ngx_http_tgbot_redis_script_dead_list;
        break;

    case NGX_HTTP_TGBOT_DEAD_REDIS_LEASE:
        ngx_http_tgbot_dead_redis_args_ask(dr, &args);
        script = &ngx_http_tgbot_redis_script_dead_lease;
        break;

    default: /* drop, end, taken */
        ngx_http_tgbot_dead_redis_args_end(dr, &args, token);
        script = &ngx_http_tgbot_redis_script_dead_end;
    }

    rc = ngx_http_tgbot_redis_args_send(&args, &dr->command, script);

    dr->waits = (rc == NGX_OK);

    return rc;
}


static void
ngx_http_tgbot_dead_redis_args_put(ngx_http_tgbot_dead_redis_t *dr,
    ngx_http_tgbot_redis_args_t *args, u_char *head)
{
    u_char                    *p;
    ngx_str_t                  text, data;
    ngx_http_tgbot_item_t     *item;
    ngx_http_tgbot_dead_op_t  *op;

    op = dr->op;
    item = &op->letter.item;

    text.data = head;
    text.len = NGX_HTTP_TGBOT_DEAD_REDIS_HEAD;

    ngx_http_tgbot_dead_redis_head_write(&op->letter, head);

    data.len = item->data.len + item->answer.len;
    data.data = args->pool ? ngx_pnalloc(args->pool, data.len) : NULL;

    if (data.data) {
        p = ngx_cpymem(data.data, item->data.data, item->data.len);

        if (item->answer.len) {
            ngx_memcpy(p, item->answer.data, item->answer.len);
        }
    }

    ngx_http_tgbot_redis_args_key(args, "meta");
    ngx_http_tgbot_redis_args_key(args, "dead");
    ngx_http_tgbot_redis_args_key(args, "letters");
    ngx_http_tgbot_redis_args_key(args, "replays");

    ngx_http_tgbot_redis_args_print(args, "%uL", op->seq);
    ngx_http_tgbot_redis_args_text(args, &text);
    ngx_http_tgbot_redis_args_text(args, &data);
    ngx_http_tgbot_redis_args_print(args, "%ui", dr->bot->conf->dead->max);
    ngx_http_tgbot_redis_args_print(args, "%d", op->spare);
    ngx_http_tgbot_redis_args_print(args, "%uL", item->head.letter);
    ngx_http_tgbot_redis_args_print(args, "%d", dr->unknown);
}


/* of a list, or of a lease */

static void
ngx_http_tgbot_dead_redis_args_ask(ngx_http_tgbot_dead_redis_t *dr,
    ngx_http_tgbot_redis_args_t *args)
{
    ngx_http_tgbot_redis_args_key(args, "meta");

    if (dr->verb == NGX_HTTP_TGBOT_DEAD_REDIS_LIST) {
        ngx_http_tgbot_redis_args_key(args, "dead");
    }

    ngx_http_tgbot_redis_args_key(args, "letters");
    ngx_http_tgbot_redis_args_key(args, "replays");
    ngx_http_tgbot_redis_args_key(args, "workers");

    if (dr->verb == NGX_HTTP_TGBOT_DEAD_REDIS_LIST) {
        ngx_http_tgbot_redis_args_print(args, "%uL", dr->op->after);
        ngx_http_tgbot_redis_args_print(args, "%ui", dr->op->n);
        return;
    }

    ngx_http_tgbot_redis_args_print(args, "%uL", dr->id);
    ngx_http_tgbot_redis_args_text(args, ngx_http_tgbot_redis_lease_worker());
    ngx_http_tgbot_redis_args_print(args, "%uL", dr->lease.number);
}


/* of the end of a lease, or of a letter */

static void
ngx_http_tgbot_dead_redis_args_end(ngx_http_tgbot_dead_redis_t *dr,
    ngx_http_tgbot_redis_args_t *args, u_char *token)
{
    u_char  *p;

    p = token;

    if (dr->verb == NGX_HTTP_TGBOT_DEAD_REDIS_END) {
        p = ngx_http_tgbot_redis_lease_token(p, dr->lease.number);

    } else if (dr->verb == NGX_HTTP_TGBOT_DEAD_REDIS_TAKEN) {
        *p++ = '*';
    }

    *p = '\0';

    ngx_http_tgbot_redis_args_key(args, "meta");
    ngx_http_tgbot_redis_args_key(args, "dead");
    ngx_http_tgbot_redis_args_key(args, "letters");
    ngx_http_tgbot_redis_args_key(args, "replays");
    ngx_http_tgbot_redis_args_key(args, "workers");

    ngx_http_tgbot_redis_args_print(args, "%uL", dr->id);
    ngx_http_tgbot_redis_args_print(args, "%s", token);
    ngx_http_tgbot_redis_args_print(args, "%d",
                                    dr->verb != NGX_HTTP_TGBOT_DEAD_REDIS_END
                                    || dr->gone);
}


/* the timer keeps an exiting worker until worker_shutdown_timeout */

static void
ngx_http_tgbot_dead_redis_wait(ngx_http_tgbot_dead_redis_t *dr)
{
    dr->timer.cancelable = ngx_http_tgbot_dead_redis_abandoned;

    ngx_add_timer(&dr->timer, NGX_HTTP_TGBOT_DEAD_REDIS_REPEAT);
}


static void
ngx_http_tgbot_dead_redis_again(ngx_event_t *ev)
{
    ngx_msec_t                    most;
    ngx_http_tgbot_dead_redis_t  *dr;

    dr = ev->data;

    if (dr->waits) {
        ngx_http_tgbot_dead_redis_wait(dr);
        return;
    }

    switch (dr->verb) {

    case NGX_HTTP_TGBOT_DEAD_REDIS_END:
    case NGX_HTTP_TGBOT_DEAD_REDIS_TAKEN:

        /* they have no op */

        most = (dr->verb == NGX_HTTP_TGBOT_DEAD_REDIS_TAKEN)
               ? NGX_HTTP_TGBOT_DEAD_REDIS_TAKEN_TIME : dr->bot->lease;

        if (ngx_current_msec - dr->begun >= most) {
            ngx_http_tgbot_dead_redis_free(dr);
            return;
        }

        break;

    default:

        if (!dr->op->late(dr->op)) {
            ngx_http_tgbot_dead_redis_tell(dr, NGX_ABORT);
            return;
        }
    }

    (void) ngx_http_tgbot_dead_redis_send(dr);
    ngx_http_tgbot_dead_redis_wait(dr);
}


static void
ngx_http_tgbot_dead_redis_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_dead_redis_t *dr = c->data;

    ngx_int_t  result;

    dr->waits = 0;

    if (rc == NGX_HTTP_TGBOT_REDIS_UNKNOWN) {
        dr->unknown = 1;
    }

    result = (rc == NGX_HTTP_TGBOT_REDIS_OK)
             ? ngx_http_tgbot_dead_redis_read(dr, reply) : NGX_ABORT;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, dr->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\": dead letters in Redis, verb %d: %d, %i",
                   &dr->bot->name, (int) dr->verb, (int) rc, result);

    if (result == NGX_AGAIN) {

        /* the beat before it came too late */

        ngx_http_tgbot_redis_lease_beat(dr->bot);

        if (++dr->tries < NGX_HTTP_TGBOT_DEAD_REDIS_TRIES
            && ngx_http_tgbot_dead_redis_send(dr) == NGX_OK)
        {
            return;
        }

        result = NGX_ABORT;
    }

    if (result == NGX_ABORT && dr->timer.timer_set) {

        /* it is sent again */

        return;
    }

    if (dr->verb == NGX_HTTP_TGBOT_DEAD_REDIS_LEASE
        && rc == NGX_HTTP_TGBOT_REDIS_UNKNOWN)
    {
        /* it may be leased, and the beat does not name it */

        ngx_http_tgbot_redis_lease_end(&dr->lease);
        ngx_http_tgbot_redis_lease_beat(dr->bot);
    }

    ngx_http_tgbot_dead_redis_tell(dr, result);
}


/*
 * What the reply says, as the verb returns it.  NGX_AGAIN: this worker has no
 * lease.
 */

static ngx_int_t
ngx_http_tgbot_dead_redis_read(ngx_http_tgbot_dead_redis_t *dr,
    redisReply *reply)
{
    switch (dr->verb) {

    case NGX_HTTP_TGBOT_DEAD_REDIS_PUT:
        return ngx_http_tgbot_dead_redis_kept(dr->op, reply);

    case NGX_HTTP_TGBOT_DEAD_REDIS_LIST:
        return ngx_http_tgbot_dead_redis_listed(dr->op, reply);

    case NGX_HTTP_TGBOT_DEAD_REDIS_GET:

        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
            return NGX_ABORT;
        }

        return ngx_http_tgbot_dead_redis_letter(dr->op, reply->element[0],
                                                reply->element[1]);

    case NGX_HTTP_TGBOT_DEAD_REDIS_LEASE:
        return ngx_http_tgbot_dead_redis_leased(dr, reply);

    default: /* drop, end, taken */

        if (reply->type != REDIS_REPLY_INTEGER) {
            return NGX_ABORT;
        }

        return (reply->integer == 1) ? NGX_OK
               : (reply->integer == 2) ? NGX_DONE : NGX_DECLINED;
    }
}


static ngx_int_t
ngx_http_tgbot_dead_redis_kept(ngx_http_tgbot_dead_op_t *op, redisReply *reply)
{
    int64_t  id, evicted;

    id = ngx_http_tgbot_redis_args_number(reply, 0);
    evicted = ngx_http_tgbot_redis_args_number(reply, 1);

    if (id < 0 || evicted < 0) {
        return NGX_ABORT;
    }

    if (id == 0) {
        return NGX_DECLINED;
    }

    op->letter.id = id;
    op->evicted = evicted;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_dead_redis_listed(ngx_http_tgbot_dead_op_t *op,
    redisReply *reply)
{
    size_t                    i;
    int64_t                   id, len;
    ngx_uint_t                n;
    ngx_http_tgbot_letter_t  *letter;

    len = ngx_http_tgbot_redis_args_number(reply, 0);

    if (len < 0) {
        return NGX_ABORT;
    }

    op->total = len;
    n = 0;

    for (i = 1; i + 4 <= reply->elements && n < op->n; i += 4) {
        id = ngx_http_tgbot_redis_args_number(reply, i);
        len = ngx_http_tgbot_redis_args_number(reply, i + 2);

        if (id <= 0) {
            return NGX_ABORT;
        }

        letter = &op->letters[n++];

        ngx_http_tgbot_dead_redis_head_read(letter, reply->element[i + 1]);

        letter->id = id;
        letter->item.answer.len = len - ngx_min(len,
                                              (int64_t) letter->item.data.len);
    }

    op->n = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_dead_redis_leased(ngx_http_tgbot_dead_redis_t *dr,
    redisReply *reply)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_dead_held_t  *held;

    switch (ngx_http_tgbot_redis_args_number(reply, 0)) {

    case 0:
        return NGX_DECLINED;

    case 1:
        break;

    case 2:
        return NGX_DONE;

    case 4:
        return NGX_AGAIN;

    default:
        return NGX_ABORT;
    }

    if (reply->elements != 4
        || !ngx_http_tgbot_redis_lease_holds(&dr->lease))
    {
        return NGX_ABORT;
    }

    rc = ngx_http_tgbot_dead_redis_letter(dr->op, reply->element[2],
                                          reply->element[3]);
    if (rc != NGX_OK) {
        return rc;
    }

    dr->lease.kind = NGX_HTTP_TGBOT_REDIS_LETTER;
    dr->lease.id = dr->id;

    held = &dr->op->held;

    held->bot = dr->bot;
    held->id = dr->id;
    held->redis = dr;
    held->left = (ngx_http_tgbot_redis_args_number(reply, 1) == 1);
    held->held = 1;

    return NGX_OK;
}


/* reads a letter; its strings are allocated from the pool of the op */

static ngx_int_t
ngx_http_tgbot_dead_redis_letter(ngx_http_tgbot_dead_op_t *op,
    redisReply *head, redisReply *data)
{
    size_t                  len;
    ngx_http_tgbot_item_t  *item;

    if (head->type == REDIS_REPLY_NIL) {
        return NGX_DECLINED;
    }

    item = &op->letter.item;
    len = (data->type == REDIS_REPLY_STRING) ? data->len : 0;

    ngx_http_tgbot_dead_redis_head_read(&op->letter, head);

    op->letter.id = op->id;

    if (item->data.len > len) {
        item->data.len = 0;
        op->letter.end.cause = NGX_HTTP_TGBOT_DEAD_CAUSES;
    }

    if (op->letter.end.cause == NGX_HTTP_TGBOT_DEAD_CAUSES) {

        /* it is there, and cannot be read */

        return NGX_OK;
    }

    item->data.data = ngx_pnalloc(op->pool, len);

    if (item->data.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(item->data.data, data->str, len);

    item->answer.data = item->data.data + item->data.len;
    item->answer.len = len - item->data.len;

    return NGX_OK;
}


/* ends what is asked; a letter that is leased now stays so */

static void
ngx_http_tgbot_dead_redis_tell(ngx_http_tgbot_dead_redis_t *dr, ngx_int_t rc)
{
    ngx_http_tgbot_dead_op_t  *op;

    op = dr->op;

    if (dr->verb == NGX_HTTP_TGBOT_DEAD_REDIS_LEASE && rc == NGX_OK) {
        dr->verb = NGX_HTTP_TGBOT_DEAD_REDIS_HELD;
        dr->op = NULL;

    } else {
        ngx_http_tgbot_dead_redis_free(dr);
    }

    if (op) {
        op->redis = NULL;
        op->done(op, rc);
    }
}


static void
ngx_http_tgbot_dead_redis_leave(ngx_http_tgbot_dead_op_t *op)
{
    if (op->redis) {
        ngx_http_tgbot_dead_redis_free(op->redis);
        op->redis = NULL;
    }
}


static ngx_uint_t
ngx_http_tgbot_dead_redis_holds(ngx_http_tgbot_dead_held_t *held)
{
    ngx_http_tgbot_dead_redis_t *dr = held->redis;

    if (ngx_http_tgbot_redis_lease_holds(&dr->lease)) {
        return 1;
    }

    ngx_http_tgbot_dead_redis_free(dr);

    return 0;
}


/* told until Redis answers, or its lease is over */

static void
ngx_http_tgbot_dead_redis_end(ngx_http_tgbot_dead_held_t *held,
    ngx_uint_t gone)
{
    ngx_http_tgbot_dead_redis_t *dr = held->redis;

    dr->verb = NGX_HTTP_TGBOT_DEAD_REDIS_END;
    dr->gone = gone;
    dr->begun = ngx_current_msec;

    (void) ngx_http_tgbot_dead_redis_send(dr);
    ngx_http_tgbot_dead_redis_wait(dr);
}


/* redis_put.lua removes a letter and puts its Update into the queue as one */

static void
ngx_http_tgbot_dead_redis_taken(ngx_http_tgbot_bot_t *bot, uint64_t id,
    int64_t update_id)
{
    ngx_http_tgbot_dead_redis_t  *dr;

    if (bot->queue_zone == NULL) {
        return;
    }

    dr = ngx_http_tgbot_dead_redis_create(bot, NGX_HTTP_TGBOT_DEAD_REDIS_TAKEN,
                                          id);
    if (dr == NULL) {
        return;
    }

    (void) ngx_http_tgbot_dead_redis_send(dr);
    ngx_http_tgbot_dead_redis_wait(dr);
}


static ngx_int_t
ngx_http_tgbot_dead_redis_state(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_dead_state_t *state)
{
    ngx_int_t                      rc;
    ngx_http_tgbot_redis_state_t  *told;

    rc = ngx_http_tgbot_redis_state(bot, NGX_HTTP_TGBOT_REDIS_SHOWN, &told);

    if (told) {
        *state = told->dead;

    } else {
        ngx_memzero(state, sizeof(ngx_http_tgbot_dead_state_t));
    }

    return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_OK;
}
