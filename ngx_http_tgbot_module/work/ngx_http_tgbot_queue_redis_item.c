
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_job_queued.h"
#include "ngx_http_tgbot_queue_redis.h"
#include "ngx_http_tgbot_redis_state.h"


/* most lanes that one command takes */
#define NGX_HTTP_TGBOT_QUEUE_REDIS_LANES   16

/* time to the next try of what Redis did not answer, ms */
#define NGX_HTTP_TGBOT_QUEUE_REDIS_REPEAT  200

/* delay of an item for which there was no memory, ms */
#define NGX_HTTP_TGBOT_QUEUE_REDIS_LATER   1000

/* time after which an item is dropped that this version cannot read, ms */
#define NGX_HTTP_TGBOT_QUEUE_REDIS_STRANGE  (24 * 3600 * 1000)


typedef struct ngx_http_tgbot_queue_redis_item_s
    ngx_http_tgbot_queue_redis_item_t;


typedef enum {
    NGX_HTTP_TGBOT_QUEUE_REDIS_READ = 0,
    NGX_HTTP_TGBOT_QUEUE_REDIS_WORK,     /* a job has the item */
    NGX_HTTP_TGBOT_QUEUE_REDIS_SAVE,
    NGX_HTTP_TGBOT_QUEUE_REDIS_GIVE,
    NGX_HTTP_TGBOT_QUEUE_REDIS_SETTLE
} ngx_http_tgbot_queue_redis_state_e;


struct ngx_http_tgbot_queue_redis_item_s {
    ngx_queue_t                          queue;    /* of the bot's items */
    ngx_http_tgbot_queue_redis_t        *owner;
    ngx_http_tgbot_redis_lease_t         lease;    /* of the lane */
    ngx_http_tgbot_queue_redis_state_e   state;

    ngx_http_tgbot_redis_command_t       command;  /* LINDEX, give ... */
    ngx_http_tgbot_redis_command_t       more;     /* HMGET */
    ngx_event_t                          timer;    /* of the next try */
    ngx_msec_t                           begun;    /* of the state */

    /* strings of Redis, and what is to be given; NULL: a job has them */
    ngx_pool_t                          *pool;
    ngx_str_t                            head;
    ngx_str_t                            progress;
    ngx_str_t                            answer;

    int64_t                              update_id;
    uint64_t                             seq;
    uint64_t                             received;  /* Redis' time, ms */
    ngx_msec_t                           due;      /* give: taken again */
    ngx_http_tgbot_queue_event_e         event;    /* settle */
    ngx_http_tgbot_queue_held_t         *held;     /* who waits for the end of
                                                      save or settle */

    unsigned                             waits:2;  /* replies */
    unsigned                             gone:1;   /* there was no head */
    unsigned                             unknown:1;  /* a try may have been
                                                        executed */
};


/* what was saved of the progress of an item */

typedef struct {
    uint32_t     version;
    uint32_t     attempts;
    uint32_t     unavailable;
    uint32_t     next;
    uint32_t     failures;
    uint32_t     unknown;
    int64_t      started;       /* Redis' time, ms */
} ngx_http_tgbot_queue_redis_progress_t;


static ngx_uint_t ngx_http_tgbot_queue_redis_wanted(
    ngx_http_tgbot_queue_redis_t *q, ngx_msec_t *wait);
static void ngx_http_tgbot_queue_redis_taken(
    ngx_http_tgbot_redis_command_t *c, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);
static void ngx_http_tgbot_queue_redis_lanes(ngx_http_tgbot_queue_redis_t *q,
    redisReply *reply);
static void ngx_http_tgbot_queue_redis_read(ngx_http_tgbot_queue_redis_t *q,
    uint64_t lane);
static void ngx_http_tgbot_queue_redis_head(
    ngx_http_tgbot_redis_command_t *c, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);
static void ngx_http_tgbot_queue_redis_more(
    ngx_http_tgbot_redis_command_t *c, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);
static ngx_int_t ngx_http_tgbot_queue_redis_copy(
    ngx_http_tgbot_queue_redis_item_t *it, redisReply *reply, ngx_str_t *text);
static void ngx_http_tgbot_queue_redis_start(
    ngx_http_tgbot_queue_redis_item_t *it);
static void ngx_http_tgbot_queue_redis_strange(
    ngx_http_tgbot_queue_redis_item_t *it);
static ngx_int_t ngx_http_tgbot_queue_redis_parse(
    ngx_http_tgbot_queue_redis_item_t *it, ngx_http_tgbot_item_t *item);
static ngx_int_t ngx_http_tgbot_queue_redis_number(ngx_str_t *text,
    uint64_t *n);
static void ngx_http_tgbot_queue_redis_saved(
    ngx_http_tgbot_queue_redis_item_t *it, ngx_http_tgbot_item_t *item);
static ngx_int_t ngx_http_tgbot_queue_redis_keep(
    ngx_http_tgbot_queue_redis_item_t *it, ngx_http_tgbot_item_t *item);
static void ngx_http_tgbot_queue_redis_rest(
    ngx_http_tgbot_queue_redis_item_t *it);
static void ngx_http_tgbot_queue_redis_end(
    ngx_http_tgbot_queue_redis_item_t *it,
    ngx_http_tgbot_queue_redis_state_e state);
static void ngx_http_tgbot_queue_redis_try(
    ngx_http_tgbot_queue_redis_item_t *it);
static void ngx_http_tgbot_queue_redis_wait(
    ngx_http_tgbot_queue_redis_item_t *it);
static void ngx_http_tgbot_queue_redis_args_give(
    ngx_http_tgbot_queue_redis_item_t *it, ngx_http_tgbot_redis_args_t *args,
    ngx_str_t *token);
static void ngx_http_tgbot_queue_redis_args_settle(
    ngx_http_tgbot_queue_redis_item_t *it, ngx_http_tgbot_redis_args_t *args,
    ngx_str_t *token);
static void ngx_http_tgbot_queue_redis_again(ngx_event_t *ev);
static void ngx_http_tgbot_queue_redis_ended(
    ngx_http_tgbot_redis_command_t *c, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);
static void ngx_http_tgbot_queue_redis_over(
    ngx_http_tgbot_queue_redis_item_t *it, ngx_int_t rc);
static void ngx_http_tgbot_queue_redis_drop(
    ngx_http_tgbot_queue_redis_item_t *it);


/* "event" of settle */

static ngx_str_t  ngx_http_tgbot_queue_redis_ends[] = {
    [NGX_HTTP_TGBOT_QUEUE_DONE] = ngx_string("done"),
    [NGX_HTTP_TGBOT_QUEUE_DEAD] = ngx_string("dead"),
    [NGX_HTTP_TGBOT_QUEUE_EXPIRED] = ngx_string("expired"),
    [NGX_HTTP_TGBOT_QUEUE_DROPPED] = ngx_string("dropped"),

    /* there was no item */
    [NGX_HTTP_TGBOT_QUEUE_EVENTS] = ngx_string("gone")
};


/* worker_shutdown_timeout has passed */
static ngx_uint_t  ngx_http_tgbot_queue_redis_abandoned;


ngx_int_t
ngx_http_tgbot_queue_redis_take(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_queue_ready_pt ready, ngx_msec_t *wait)
{
    ngx_uint_t                     n;
    ngx_http_tgbot_redis_args_t    args;
    ngx_http_tgbot_queue_redis_t  *q;
    ngx_http_tgbot_redis_state_t  *state;

    *wait = NGX_TIMER_INFINITE;

    q = ngx_http_tgbot_queue_redis_open(bot);

    if (q == NULL) {
        return NGX_DECLINED;
    }

    (void) ngx_http_tgbot_redis_state(bot, NGX_HTTP_TGBOT_QUEUE_REDIS_STATE,
                                      &state);

    if (q->pending.number) {
        return NGX_DECLINED;
    }

    n = ngx_http_tgbot_queue_redis_wanted(q, wait);
    if (n == 0) {
        return NGX_DECLINED;
    }

    q->ready = ready;
    q->look = ngx_current_msec + q->idle;
    q->idle = ngx_min(q->idle * 2, NGX_HTTP_TGBOT_QUEUE_REDIS_IDLE_MAX);

    q->pending.bot = bot;
    q->pending.kind = NGX_HTTP_TGBOT_REDIS_PENDING;
    q->pending.number = ngx_http_tgbot_redis_lease_number();

    if (ngx_http_tgbot_redis_lease_hold(&q->pending) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_redis_args_init(&args, bot);

    ngx_http_tgbot_redis_args_key(&args, "meta");
    ngx_http_tgbot_redis_args_key(&args, "ready");
    ngx_http_tgbot_redis_args_key(&args, "flight");
    ngx_http_tgbot_redis_args_key(&args, "delayed");
    ngx_http_tgbot_redis_args_key(&args, "workers");

    ngx_http_tgbot_redis_args_text(&args, ngx_http_tgbot_redis_lease_worker());
    ngx_http_tgbot_redis_args_print(&args, "%uL", q->pending.number);
    ngx_http_tgbot_redis_args_print(&args, "%ui", n);
    ngx_http_tgbot_redis_args_print(&args, "%ui",
                                    bot->conf->queue->concurrency);

    q->take.done = ngx_http_tgbot_queue_redis_taken;
    q->take.data = q;

    if (ngx_http_tgbot_redis_args_send(&args, &q->take,
                                       &ngx_http_tgbot_redis_script_take)
        != NGX_OK)
    {
        ngx_http_tgbot_redis_lease_end(&q->pending);
    }

    return NGX_DECLINED;
}


/* how many lanes to ask for now; with 0 sets when to look again, ms */

static ngx_uint_t
ngx_http_tgbot_queue_redis_wanted(ngx_http_tgbot_queue_redis_t *q,
    ngx_msec_t *wait)
{
    ngx_uint_t      n, max;
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (q->look - ngx_current_msec);
    max = q->bot->conf->queue->concurrency;

    if (q->open) {
        left = (ngx_msec_int_t) (q->probe - ngx_current_msec);
        max = 1;

    } else if (q->allowed) {
        max = ngx_min(max, q->allowed);
    }

    if (q->nitems >= max) {
        return 0;
    }

    if (left > 0) {
        *wait = left;
        return 0;
    }

    if (q->open) {
        q->probe = ngx_current_msec + NGX_HTTP_TGBOT_QUEUE_PROBE;
    }

    n = max - q->nitems;

    return ngx_min(n, NGX_HTTP_TGBOT_QUEUE_REDIS_LANES);
}


static void
ngx_http_tgbot_queue_redis_taken(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_queue_redis_t *q = c->data;

    int64_t  left, due;

    if (rc != NGX_HTTP_TGBOT_REDIS_OK || reply->type != REDIS_REPLY_ARRAY) {
        ngx_http_tgbot_redis_lease_end(&q->pending);

        if (rc == NGX_HTTP_TGBOT_REDIS_UNKNOWN) {
            ngx_http_tgbot_redis_lease_beat(q->bot);
        }

        return;
    }

    /* lanes that the beat did not find are not ours any more */

    left = ngx_http_tgbot_redis_lease_holds(&q->pending)
           ? ngx_http_tgbot_redis_args_number(reply, 1) : -1;
    due = ngx_http_tgbot_redis_args_number(reply, 2);

    q->offset = ngx_http_tgbot_redis_args_number(reply, 0)
                - (int64_t) ngx_current_msec;

    if (left < 0) {
        ngx_http_tgbot_redis_lease_end(&q->pending);
        ngx_http_tgbot_redis_lease_beat(q->bot);

        q->look = ngx_current_msec + NGX_HTTP_TGBOT_QUEUE_REDIS_REPEAT;
        return;
    }

    if (due >= 0 && due < NGX_HTTP_TGBOT_QUEUE_REDIS_IDLE_MAX
        && (ngx_msec_int_t) (ngx_current_msec + due - q->look) < 0)
    {
        q->look = ngx_current_msec + due;
    }

    ngx_http_tgbot_queue_redis_lanes(q, reply);

    /* the timer of the worker is set again, for q->look */

    ngx_http_tgbot_queue_wake();
}


static void
ngx_http_tgbot_queue_redis_lanes(ngx_http_tgbot_queue_redis_t *q,
    redisReply *reply)
{
    size_t       i;
    uint64_t     lane;
    redisReply  *name;

    if (reply->elements > 4) {
        q->idle = NGX_HTTP_TGBOT_QUEUE_REDIS_IDLE;

        if (ngx_http_tgbot_redis_args_number(reply, 1) > 0) {
            q->look = ngx_current_msec;
        }
    }

    for (i = 4; i < reply->elements; i++) {
        name = reply->element[i];

        if (name->type != REDIS_REPLY_STRING || name->len != 16) {
            continue;
        }

        lane = strtoull(name->str, NULL, 16);

        ngx_http_tgbot_queue_redis_read(q, lane);
    }

    ngx_http_tgbot_redis_lease_end(&q->pending);
}


/*
 * Reads a lane that was taken under the token of q->pending.  If that fails,
 * nothing holds the lane: the next beat gives it back.
 */

static void
ngx_http_tgbot_queue_redis_read(ngx_http_tgbot_queue_redis_t *q, uint64_t lane)
{
    ngx_http_tgbot_redis_args_t         args;
    ngx_http_tgbot_queue_redis_item_t  *it;

    static ngx_str_t  hmget = ngx_string("HMGET");
    static ngx_str_t  lindex = ngx_string("LINDEX");

    it = ngx_calloc(sizeof(ngx_http_tgbot_queue_redis_item_t),
                    q->bot->clcf->error_log);
    if (it == NULL) {
        return;
    }

    it->owner = q;
    it->pool = ngx_create_pool(2048, q->bot->clcf->error_log);

    it->lease.bot = q->bot;
    it->lease.kind = NGX_HTTP_TGBOT_REDIS_LANE;
    it->lease.id = lane;
    it->lease.number = q->pending.number;

    if (it->pool == NULL
        || ngx_http_tgbot_redis_lease_hold(&it->lease) != NGX_OK)
    {
        if (it->pool) {
            ngx_destroy_pool(it->pool);
        }

        ngx_free(it);
        return;
    }

    it->timer.handler = ngx_http_tgbot_queue_redis_again;
    it->timer.data = it;
    it->timer.log = q->bot->clcf->error_log;

    ngx_queue_insert_tail(&q->items, &it->queue);
    q->nitems++;

    ngx_http_tgbot_redis_args_init(&args, q->bot);
    ngx_http_tgbot_redis_args_text(&args, &hmget);
    ngx_http_tgbot_redis_args_key(&args, "progress");
    ngx_http_tgbot_redis_args_print(&args, "%016xL", lane);
    ngx_http_tgbot_redis_args_print(&args, "%016xLa", lane);

    it->more.done = ngx_http_tgbot_queue_redis_more;
    it->more.data = it;

    if (ngx_http_tgbot_redis_args_send(&args, &it->more, NULL) != NGX_OK) {
        ngx_http_tgbot_queue_redis_drop(it);
        return;
    }

    ngx_http_tgbot_redis_args_init(&args, q->bot);
    ngx_http_tgbot_redis_args_text(&args, &lindex);
    ngx_http_tgbot_redis_args_key(&args, "lane:%016xL", lane);
    ngx_http_tgbot_redis_args_print(&args, "0");

    it->command.done = ngx_http_tgbot_queue_redis_head;
    it->command.data = it;

    if (ngx_http_tgbot_redis_args_send(&args, &it->command, NULL) != NGX_OK) {
        ngx_http_tgbot_queue_redis_drop(it);
        return;
    }

    it->waits = 2;
}


static void
ngx_http_tgbot_queue_redis_head(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_queue_redis_item_t *it = c->data;

    if (rc != NGX_HTTP_TGBOT_REDIS_OK
        || ngx_http_tgbot_queue_redis_copy(it, reply, &it->head) != NGX_OK)
    {
        ngx_http_tgbot_queue_redis_drop(it);
        return;
    }

    it->gone = (reply->type == REDIS_REPLY_NIL);

    if (--it->waits == 0) {
        ngx_http_tgbot_queue_redis_start(it);
    }
}


static void
ngx_http_tgbot_queue_redis_more(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_queue_redis_item_t *it = c->data;

    if (rc != NGX_HTTP_TGBOT_REDIS_OK
        || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 2
        || ngx_http_tgbot_queue_redis_copy(it, reply->element[0],
                                           &it->progress)
           != NGX_OK
        || ngx_http_tgbot_queue_redis_copy(it, reply->element[1], &it->answer)
           != NGX_OK)
    {
        ngx_http_tgbot_queue_redis_drop(it);
        return;
    }

    if (--it->waits == 0) {
        ngx_http_tgbot_queue_redis_start(it);
    }
}


/* a reply that is nil is an empty text */

static ngx_int_t
ngx_http_tgbot_queue_redis_copy(ngx_http_tgbot_queue_redis_item_t *it,
    redisReply *reply, ngx_str_t *text)
{
    if (reply->type == REDIS_REPLY_NIL) {
        return NGX_OK;
    }

    if (reply->type != REDIS_REPLY_STRING) {
        return NGX_ERROR;
    }

    text->data = ngx_pnalloc(it->pool, reply->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = reply->len;
    ngx_memcpy(text->data, reply->str, reply->len);

    return NGX_OK;
}


/* the lane's head is read: a job works on it */

static void
ngx_http_tgbot_queue_redis_start(ngx_http_tgbot_queue_redis_item_t *it)
{
    ngx_int_t                       rc;
    ngx_pool_t                     *pool;
    ngx_http_tgbot_bot_t           *bot;
    ngx_http_tgbot_item_t           item;
    ngx_http_tgbot_queue_held_t     held;
    ngx_http_tgbot_queue_redis_t   *q;

    q = it->owner;
    bot = q->bot;

    if (it->gone) {
        it->event = NGX_HTTP_TGBOT_QUEUE_EVENTS;
        ngx_http_tgbot_queue_redis_end(it, NGX_HTTP_TGBOT_QUEUE_REDIS_SETTLE);
        return;
    }

    rc = ngx_http_tgbot_queue_redis_parse(it, &item);

    if (rc == NGX_OK && (ngx_exiting || !ngx_http_tgbot_job_room())) {
        rc = NGX_ERROR;
    }

    if (rc == NGX_OK) {
        ngx_memzero(&held, sizeof(ngx_http_tgbot_queue_held_t));

        held.bot = bot;
        held.item = it;
        held.seq = it->seq;
        held.held = 1;

        /* the job may end, and its item, before ready() returns */

        pool = it->pool;

        it->pool = NULL;
        it->state = NGX_HTTP_TGBOT_QUEUE_REDIS_WORK;

        rc = q->ready(&held, &item, pool);

        if (rc == NGX_OK) {
            return;
        }

        ngx_destroy_pool(pool);
    }

    if (rc == NGX_DECLINED) {
        ngx_http_tgbot_queue_redis_strange(it);
        return;
    }

    it->due = ngx_current_msec
              + (ngx_exiting ? 0 : NGX_HTTP_TGBOT_QUEUE_REDIS_LATER);
    ngx_str_null(&it->progress);
    ngx_str_null(&it->answer);

    ngx_http_tgbot_queue_redis_end(it, NGX_HTTP_TGBOT_QUEUE_REDIS_GIVE);
}


/*
 * Another version of the module has written the item.  A machine that has this
 * version may take it; once no Update has so long a life, nothing needs it.
 */

static void
ngx_http_tgbot_queue_redis_strange(ngx_http_tgbot_queue_redis_item_t *it)
{
    int64_t                        age;
    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_queue_redis_t  *q;

    q = it->owner;
    bot = q->bot;
    age = (int64_t) ngx_current_msec + q->offset - (int64_t) it->received;

    if (age < NGX_HTTP_TGBOT_QUEUE_REDIS_STRANGE) {

        if (ngx_time() != bot->strange_warned) {
            bot->strange_warned = ngx_time();

            ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                          "tgbot: bot \"%V\": an update in %V cannot be read, "
                          "it is of another version of the module, and is "
                          "left to one", &bot->name, &bot->queue_place);
        }

        it->due = ngx_current_msec + NGX_HTTP_TGBOT_QUEUE_REDIS_IDLE_MAX;
        ngx_str_null(&it->progress);
        ngx_str_null(&it->answer);

        ngx_http_tgbot_queue_redis_end(it, NGX_HTTP_TGBOT_QUEUE_REDIS_GIVE);
        return;
    }

    if (ngx_time() != q->dropped) {
        q->dropped = ngx_time();

        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\": an update in %V cannot be read, it "
                      "is of another version of the module, and is dropped",
                      &bot->name, &bot->queue_place);
    }

    it->event = NGX_HTTP_TGBOT_QUEUE_DROPPED;
    ngx_http_tgbot_queue_redis_end(it, NGX_HTTP_TGBOT_QUEUE_REDIS_SETTLE);
}


/* NGX_DECLINED: another version of the module has written the item */

static ngx_int_t
ngx_http_tgbot_queue_redis_parse(ngx_http_tgbot_queue_redis_item_t *it,
    ngx_http_tgbot_item_t *item)
{
    ngx_str_t                              *text;
    ngx_http_tgbot_queue_redis_payload_t    head;

    ngx_memzero(item, sizeof(ngx_http_tgbot_item_t));

    text = &it->head;

    if (ngx_http_tgbot_queue_redis_number(text, &it->seq) != NGX_OK
        || ngx_http_tgbot_queue_redis_number(text, &it->received) != NGX_OK
        || text->len < sizeof(ngx_http_tgbot_queue_redis_payload_t))
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(&head, text->data, sizeof(ngx_http_tgbot_queue_redis_payload_t));

    text->data += sizeof(ngx_http_tgbot_queue_redis_payload_t);
    text->len -= sizeof(ngx_http_tgbot_queue_redis_payload_t);

    if (head.version != NGX_HTTP_TGBOT_QUEUE_REDIS_VERSION
        || head.len > text->len)
    {
        return NGX_DECLINED;
    }

    it->update_id = head.update_id;

    item->head.update_id = head.update_id;
    item->head.lane = it->lease.id;
    item->head.letter = head.letter;
    item->head.life = head.life;
    item->head.received = (ngx_msec_t) (it->received - it->owner->offset);

    item->progress.attempts = head.attempts;

    item->data.data = text->data;
    item->data.len = head.len;

    item->answered = head.answered;
    item->answer.data = text->data + head.len;
    item->answer.len = text->len - head.len;

    ngx_http_tgbot_queue_redis_saved(it, item);

    return NGX_OK;
}


/* takes a number and the space behind it off the text */

static ngx_int_t
ngx_http_tgbot_queue_redis_number(ngx_str_t *text, uint64_t *n)
{
    u_char  *p, *last;

    if (text->len == 0) {
        return NGX_DECLINED;
    }

    *n = 0;
    last = text->data + text->len;

    for (p = text->data; p < last && *p >= '0' && *p <= '9'; p++) {
        *n = *n * 10 + (*p - '0');
    }

    if (p == text->data || p == last || *p != ' ') {
        return NGX_DECLINED;
    }

    text->len = last - p - 1;
    text->data = p + 1;

    return NGX_OK;
}


/* progress and answer count only if they were saved for this item */

static void
ngx_http_tgbot_queue_redis_saved(ngx_http_tgbot_queue_redis_item_t *it,
    ngx_http_tgbot_item_t *item)
{
    uint64_t                                 seq;
    ngx_http_tgbot_queue_redis_progress_t    saved;

    if (ngx_http_tgbot_queue_redis_number(&it->answer, &seq) == NGX_OK
        && seq == it->seq)
    {
        item->answered = 1;
        item->answer = it->answer;
    }

    if (ngx_http_tgbot_queue_redis_number(&it->progress, &seq) != NGX_OK
        || seq != it->seq
        || it->progress.len != sizeof(ngx_http_tgbot_queue_redis_progress_t))
    {
        return;
    }

    ngx_memcpy(&saved, it->progress.data,
               sizeof(ngx_http_tgbot_queue_redis_progress_t));

    if (saved.version != NGX_HTTP_TGBOT_QUEUE_REDIS_VERSION) {
        return;
    }

    item->progress.attempts = saved.attempts;
    item->progress.unavailable = saved.unavailable;

    if (item->answered) {
        item->progress.next = saved.next;
        item->progress.failures = saved.failures;
        item->progress.unknown = saved.unknown;
        item->progress.started = (ngx_msec_t) (saved.started
                                               - it->owner->offset);
    }
}


ngx_uint_t
ngx_http_tgbot_queue_redis_holds(ngx_http_tgbot_queue_held_t *held)
{
    ngx_http_tgbot_queue_redis_item_t *it = held->item;

    if (ngx_http_tgbot_redis_lease_holds(&it->lease)) {
        return 1;
    }

    ngx_http_tgbot_queue_redis_drop(it);

    return 0;
}


ngx_int_t
ngx_http_tgbot_queue_redis_give(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_item_t *item, ngx_msec_t delay,
    ngx_http_tgbot_queue_program_e program)
{
    ngx_http_tgbot_queue_redis_item_t *it = held->item;

    if (it->state == NGX_HTTP_TGBOT_QUEUE_REDIS_SETTLE) {

        /* the job ends before the reply is here */

        it->held = NULL;
        return NGX_OK;
    }

    ngx_http_tgbot_queue_redis_rest(it);

    if (program == NGX_HTTP_TGBOT_QUEUE_UNAVAILABLE) {
        ngx_http_tgbot_queue_redis_unavailable(it->owner, it->lease.id);
    }

    if (!ngx_http_tgbot_queue_redis_holds(held)) {
        return NGX_DECLINED;
    }

    if (ngx_http_tgbot_queue_redis_keep(it, item) != NGX_OK) {

        /* no memory: what is saved stays */

        ngx_str_null(&it->progress);
        ngx_str_null(&it->answer);
    }

    it->due = ngx_current_msec + delay;

    ngx_http_tgbot_queue_redis_end(it, NGX_HTTP_TGBOT_QUEUE_REDIS_GIVE);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_queue_redis_keep(ngx_http_tgbot_queue_redis_item_t *it,
    ngx_http_tgbot_item_t *item)
{
    ngx_http_tgbot_queue_redis_progress_t  *saved;

    ngx_str_null(&it->progress);
    ngx_str_null(&it->answer);

    it->pool = ngx_create_pool(1024, it->owner->bot->clcf->error_log);
    if (it->pool == NULL) {
        return NGX_ERROR;
    }

    saved = ngx_pcalloc(it->pool,
                        sizeof(ngx_http_tgbot_queue_redis_progress_t));
    if (saved == NULL) {
        return NGX_ERROR;
    }

    saved->version = NGX_HTTP_TGBOT_QUEUE_REDIS_VERSION;
    saved->attempts = item->progress.attempts;
    saved->unavailable = item->progress.unavailable;
    saved->next = item->progress.next;
    saved->failures = item->progress.failures;
    saved->unknown = item->progress.unknown;
    saved->started = (int64_t) item->progress.started + it->owner->offset;

    it->progress.data = (u_char *) saved;
    it->progress.len = sizeof(ngx_http_tgbot_queue_redis_progress_t);

    if (item->answered && item->answer.len) {
        it->answer.len = item->answer.len;
        it->answer.data = ngx_pstrdup(it->pool, &item->answer);

        if (it->answer.data == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_queue_redis_save(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_item_t *item)
{
    ngx_http_tgbot_queue_redis_item_t *it = held->item;

    if (!ngx_http_tgbot_queue_redis_holds(held)) {
        return NGX_DECLINED;
    }

    if (ngx_http_tgbot_queue_redis_keep(it, item) != NGX_OK) {
        ngx_http_tgbot_queue_redis_rest(it);
        return NGX_BUSY;
    }

    it->held = held;

    ngx_http_tgbot_queue_redis_end(it, NGX_HTTP_TGBOT_QUEUE_REDIS_SAVE);

    return NGX_AGAIN;
}


/* a save is over: the job works on */

static void
ngx_http_tgbot_queue_redis_rest(ngx_http_tgbot_queue_redis_item_t *it)
{
    ngx_http_tgbot_redis_cancel(&it->command);

    if (it->timer.timer_set) {
        ngx_del_timer(&it->timer);
    }

    if (it->pool) {
        ngx_destroy_pool(it->pool);
        it->pool = NULL;
    }

    it->state = NGX_HTTP_TGBOT_QUEUE_REDIS_WORK;
    it->held = NULL;
    it->waits = 0;
    it->unknown = 0;
}


ngx_int_t
ngx_http_tgbot_queue_redis_settle(ngx_http_tgbot_queue_held_t *held,
    ngx_http_tgbot_queue_event_e event)
{
    ngx_http_tgbot_queue_redis_item_t *it = held->item;

    if (!ngx_http_tgbot_queue_redis_holds(held)) {
        return NGX_DECLINED;
    }

    it->held = held;
    it->event = event;

    ngx_http_tgbot_queue_redis_end(it, NGX_HTTP_TGBOT_QUEUE_REDIS_SETTLE);

    return NGX_AGAIN;
}


/* saves, gives or settles the item; it is not freed from inside */

static void
ngx_http_tgbot_queue_redis_end(ngx_http_tgbot_queue_redis_item_t *it,
    ngx_http_tgbot_queue_redis_state_e state)
{
    it->state = state;
    it->begun = ngx_current_msec;

    it->command.done = ngx_http_tgbot_queue_redis_ended;

    ngx_http_tgbot_queue_redis_try(it);
}


static void
ngx_http_tgbot_queue_redis_try(ngx_http_tgbot_queue_redis_item_t *it)
{
    u_char                                token[NGX_HTTP_TGBOT_REDIS_TOKEN_LEN];
    ngx_str_t                             text;
    ngx_http_tgbot_redis_args_t           args;
    const ngx_http_tgbot_redis_script_t  *script;

    text.data = token;
    text.len = ngx_http_tgbot_redis_lease_token(token, it->lease.number)
               - token;

    ngx_http_tgbot_redis_args_init(&args, it->owner->bot);

    if (it->state == NGX_HTTP_TGBOT_QUEUE_REDIS_SETTLE) {
        ngx_http_tgbot_queue_redis_args_settle(it, &args, &text);
        script = &ngx_http_tgbot_redis_script_settle;

    } else {
        ngx_http_tgbot_queue_redis_args_give(it, &args, &text);
        script = &ngx_http_tgbot_redis_script_give;
    }

    it->waits = (ngx_http_tgbot_redis_args_send(&args, &it->command, script)
                 == NGX_OK);

    ngx_http_tgbot_queue_redis_wait(it);
}


/* the timer keeps an exiting worker until worker_shutdown_timeout */

static void
ngx_http_tgbot_queue_redis_wait(ngx_http_tgbot_queue_redis_item_t *it)
{
    it->timer.cancelable = ngx_http_tgbot_queue_redis_abandoned;

    ngx_add_timer(&it->timer, NGX_HTTP_TGBOT_QUEUE_REDIS_REPEAT);
}


static void
ngx_http_tgbot_queue_redis_args_give(ngx_http_tgbot_queue_redis_item_t *it,
    ngx_http_tgbot_redis_args_t *args, ngx_str_t *token)
{
    ngx_str_t       none, only;
    ngx_uint_t      size;
    ngx_msec_int_t  delay;

    ngx_str_set(&none, "");
    ngx_str_set(&only, "-");

    delay = (ngx_msec_int_t) (it->due - ngx_current_msec);
    size = it->owner->bot->conf->queue->limit_size;

    ngx_http_tgbot_redis_args_key(args, "meta");
    ngx_http_tgbot_redis_args_key(args, "ready");
    ngx_http_tgbot_redis_args_key(args, "flight");
    ngx_http_tgbot_redis_args_key(args, "delayed");
    ngx_http_tgbot_redis_args_key(args, "progress");

    ngx_http_tgbot_redis_args_print(args, "%016xL", it->lease.id);
    ngx_http_tgbot_redis_args_text(args, token);
    ngx_http_tgbot_redis_args_print(args, "%uL", it->seq);

    if (it->state == NGX_HTTP_TGBOT_QUEUE_REDIS_SAVE) {
        ngx_http_tgbot_redis_args_text(args, &only);

    } else {
        ngx_http_tgbot_redis_args_print(args, "%M",
                                        (ngx_msec_t) ngx_max(delay, 0));
    }

    ngx_http_tgbot_redis_args_text(args, it->progress.len ? &it->progress
                                                          : &none);
    ngx_http_tgbot_redis_args_text(args, it->answer.len ? &it->answer : &none);

    /* the room of answers, so that they have some if items fill the queue */

    ngx_http_tgbot_redis_args_print(args, "%ui", size + size / 4);
    ngx_http_tgbot_redis_args_print(args, ngx_exiting ? "1" : "0");
}


static void
ngx_http_tgbot_queue_redis_args_settle(ngx_http_tgbot_queue_redis_item_t *it,
    ngx_http_tgbot_redis_args_t *args, ngx_str_t *token)
{
    ngx_http_tgbot_redis_args_key(args, "meta");
    ngx_http_tgbot_redis_args_key(args, "ready");
    ngx_http_tgbot_redis_args_key(args, "flight");
    ngx_http_tgbot_redis_args_key(args, "lanes");
    ngx_http_tgbot_redis_args_key(args, "progress");
    ngx_http_tgbot_redis_args_key(args, "lane:%016xL", it->lease.id);

    ngx_http_tgbot_redis_args_print(args, "%016xL", it->lease.id);
    ngx_http_tgbot_redis_args_text(args, token);
    ngx_http_tgbot_redis_args_print(args, "%uL", it->seq);
    ngx_http_tgbot_redis_args_text(args,
                               &ngx_http_tgbot_queue_redis_ends[it->event]);
    ngx_http_tgbot_redis_args_print(args, ngx_exiting ? "1" : "0");
}


static void
ngx_http_tgbot_queue_redis_again(ngx_event_t *ev)
{
    ngx_uint_t                          may;
    ngx_msec_t                          lease;
    ngx_http_tgbot_queue_redis_item_t  *it;

    it = ev->data;

    if (it->waits) {
        ngx_http_tgbot_queue_redis_wait(it);
        return;
    }

    lease = it->owner->bot->lease;

    /* the lease may be over as a try has ended it */

    may = it->unknown && it->state != NGX_HTTP_TGBOT_QUEUE_REDIS_SAVE;

    if (ngx_current_msec - it->begun >= lease
        || (!may && !ngx_http_tgbot_redis_lease_holds(&it->lease)))
    {
        ngx_http_tgbot_queue_redis_over(it, NGX_DECLINED);
        return;
    }

    ngx_http_tgbot_queue_redis_try(it);
}


static void
ngx_http_tgbot_queue_redis_ended(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_queue_redis_item_t *it = c->data;

    ngx_http_tgbot_queue_held_t  *held;

    it->waits = 0;

    if (rc == NGX_HTTP_TGBOT_REDIS_UNKNOWN) {
        it->unknown = 1;
        ngx_http_tgbot_redis_lease_beat(it->owner->bot);
        return;
    }

    if (rc != NGX_HTTP_TGBOT_REDIS_OK || reply->type != REDIS_REPLY_INTEGER) {
        return;
    }

    if (it->state == NGX_HTTP_TGBOT_QUEUE_REDIS_SAVE) {

        /* a reply that was long on its way comes after the lease */

        if (reply->integer == 0
            || !ngx_http_tgbot_redis_lease_holds(&it->lease))
        {
            ngx_http_tgbot_queue_redis_over(it, NGX_DECLINED);
            return;
        }

        held = it->held;

        ngx_http_tgbot_queue_redis_rest(it);

        held->done(held, (reply->integer == 1) ? NGX_OK : NGX_BUSY);
        return;
    }

    if (it->state == NGX_HTTP_TGBOT_QUEUE_REDIS_GIVE && reply->integer == 2) {

        /* no room for the answer: the program will be asked again */

        it->answer.len = 0;
        ngx_http_tgbot_queue_redis_try(it);
        return;
    }

    /* it may have been done by a try whose reply was lost */

    ngx_http_tgbot_queue_redis_over(it, (reply->integer == 1
                                         || (reply->integer == 0
                                             && it->unknown))
                                        ? NGX_OK : NGX_DECLINED);
}


/* the item has left this worker */

static void
ngx_http_tgbot_queue_redis_over(ngx_http_tgbot_queue_redis_item_t *it,
    ngx_int_t rc)
{
    ngx_http_tgbot_queue_held_t   *held;
    ngx_http_tgbot_queue_redis_t  *q;

    q = it->owner;
    held = it->held;

    if (held == NULL && rc != NGX_OK && !it->gone) {
        ngx_http_tgbot_bot_lost(q->bot, it->update_id);
    }

    ngx_http_tgbot_queue_redis_drop(it);

    if (held) {
        held->done(held, rc);
    }

    /* the lane may have another item, and there is room for one */

    ngx_http_tgbot_queue_redis_look(q);
}


static void
ngx_http_tgbot_queue_redis_drop(ngx_http_tgbot_queue_redis_item_t *it)
{
    ngx_http_tgbot_redis_lease_end(&it->lease);

    ngx_http_tgbot_redis_cancel(&it->command);
    ngx_http_tgbot_redis_cancel(&it->more);

    if (it->timer.timer_set) {
        ngx_del_timer(&it->timer);
    }

    ngx_queue_remove(&it->queue);
    it->owner->nitems--;

    if (it->pool) {
        ngx_destroy_pool(it->pool);
    }

    ngx_free(it);
}


void
ngx_http_tgbot_queue_redis_abandon(void)
{
    ngx_http_tgbot_queue_redis_abandoned = 1;
}


void
ngx_http_tgbot_queue_redis_forget(ngx_http_tgbot_queue_redis_t *q)
{
    while (!ngx_queue_empty(&q->items)) {
        ngx_http_tgbot_queue_redis_drop(
                         ngx_queue_data(ngx_queue_head(&q->items),
                                        ngx_http_tgbot_queue_redis_item_t,
                                        queue));
    }
}
