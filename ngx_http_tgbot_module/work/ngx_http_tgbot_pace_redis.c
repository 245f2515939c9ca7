
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_pace_redis.h"
#include "ngx_http_tgbot_redis_args.h"


/* a probe that tells nothing is forgotten after so long, ms */
#define NGX_HTTP_TGBOT_PACE_REDIS_LEASE  5000

/* the longest pause, ms */
#define NGX_HTTP_TGBOT_PACE_REDIS_PAUSE                                      \
    ((int64_t) NGX_HTTP_TGBOT_METHOD_RETRY_MAX * 1000)

#define NGX_HTTP_TGBOT_PACE_REDIS_HASH   16


/* the buckets in which the call has places */

typedef enum {
    NGX_HTTP_TGBOT_PACE_REDIS_NONE = 0,
    NGX_HTTP_TGBOT_PACE_REDIS_CHAT,
    NGX_HTTP_TGBOT_PACE_REDIS_ALL
} ngx_http_tgbot_pace_redis_held_e;


typedef struct {
    ngx_http_tgbot_pace_place_t      place;       /* must be first */
    ngx_queue_t                      queue;       /* of this worker's */
    ngx_http_tgbot_redis_command_t   command;
    ngx_http_tgbot_bot_t            *bot;
    ngx_uint_t                       held;
    int64_t                          due;         /* of the place in its chat,
                                                     by Redis' clock, us */
    ngx_str_t                        chat;
    u_char                           text[NGX_HTTP_TGBOT_PACE_CHAT];

    unsigned                         bulk:1;
    unsigned                         group:1;
    unsigned                         paid:1;
    unsigned                         ended:1;     /* but for the reply */
} ngx_http_tgbot_pace_redis_t;


static void ngx_http_tgbot_pace_redis_heard(void *data, ngx_str_t *message);
static void ngx_http_tgbot_pace_redis_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static ngx_int_t ngx_http_tgbot_pace_redis_read(
    ngx_http_tgbot_pace_redis_t *p, redisReply *reply);
static void ngx_http_tgbot_pace_redis_back(ngx_http_tgbot_pace_redis_t *p);
static void ngx_http_tgbot_pace_redis_free(ngx_http_tgbot_pace_redis_t *p);
static void ngx_http_tgbot_pace_redis_stops(ngx_http_tgbot_redis_args_t *args,
    ngx_str_t *chat);
static void ngx_http_tgbot_pace_redis_buckets(
    ngx_http_tgbot_redis_args_t *args, ngx_http_tgbot_pace_redis_t *p,
    ngx_uint_t held, ngx_uint_t rates);
static void ngx_http_tgbot_pace_redis_hash(u_char *hex, ngx_str_t *chat);
static void ngx_http_tgbot_pace_redis_send(ngx_http_tgbot_redis_args_t *args,
    const ngx_http_tgbot_redis_script_t *script);
static void ngx_http_tgbot_pace_redis_sent(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);


static ngx_queue_t  ngx_http_tgbot_pace_redis_places;
static void       (*ngx_http_tgbot_pace_redis_listener)(
                      ngx_http_tgbot_bot_t *bot, ngx_str_t *chat,
                      ngx_msec_t ms);


void
ngx_http_tgbot_pace_redis_init_process(ngx_array_t *bots,
    void (*heard)(ngx_http_tgbot_bot_t *bot, ngx_str_t *chat, ngx_msec_t ms))
{
    ngx_str_t               *channel;
    ngx_uint_t               i;
    ngx_http_tgbot_bot_t   **bot;

    ngx_queue_init(&ngx_http_tgbot_pace_redis_places);

    ngx_http_tgbot_pace_redis_listener = heard;

    bot = bots->elts;

    for (i = 0; i < bots->nelts; i++) {

        if (bot[i]->pace == NULL || !bot[i]->bulk->redis) {
            continue;
        }

        channel = ngx_palloc(ngx_cycle->pool, sizeof(ngx_str_t)
                             + bot[i]->slot.len + sizeof(":stop") - 1);
        if (channel == NULL) {
            return;
        }

        channel->data = (u_char *) (channel + 1);
        channel->len = ngx_sprintf(channel->data, "%V:stop", &bot[i]->slot)
                       - channel->data;

        /* without it, bulk and the next 429 find out */

        (void) ngx_http_tgbot_redis_subscribe(channel,
                                              ngx_http_tgbot_pace_redis_heard,
                                              bot[i]);
    }
}


void
ngx_http_tgbot_pace_redis_exit_process(void)
{
    ngx_queue_t                   *q;
    ngx_http_tgbot_pace_redis_t   *p;

    while (!ngx_queue_empty(&ngx_http_tgbot_pace_redis_places)) {
        q = ngx_queue_head(&ngx_http_tgbot_pace_redis_places);
        p = ngx_queue_data(q, ngx_http_tgbot_pace_redis_t, queue);

        ngx_http_tgbot_redis_cancel(&p->command);
        ngx_http_tgbot_pace_redis_free(p);
    }
}


/* "ms chat", of this machine as well; nothing when the subscription was made */

static void
ngx_http_tgbot_pace_redis_heard(void *data, ngx_str_t *message)
{
    ngx_http_tgbot_bot_t *bot = data;

    u_char     *p, *last;
    ngx_int_t   ms;
    ngx_str_t   chat;

    if (message->len == 0) {
        return;
    }

    last = message->data + message->len;
    p = ngx_strlchr(message->data, last, ' ');

    if (p == NULL) {
        return;
    }

    ms = ngx_atoi(message->data, p - message->data);

    chat.data = p + 1;
    chat.len = last - chat.data;

    if (ms <= 0
        || ms > NGX_HTTP_TGBOT_PACE_REDIS_PAUSE
        || chat.len > NGX_HTTP_TGBOT_PACE_CHAT)
    {
        return;
    }

    ngx_http_tgbot_pace_redis_listener(bot, &chat, (ngx_msec_t) ms);
}


ngx_http_tgbot_pace_place_t *
ngx_http_tgbot_pace_redis_make(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_pace_call_t *call)
{
    ngx_http_tgbot_pace_redis_t  *p;

    p = ngx_calloc(sizeof(ngx_http_tgbot_pace_redis_t),
                   bot->clcf->error_log);
    if (p == NULL) {
        return NULL;
    }

    p->bot = bot;
    p->bulk = (call->class == NGX_HTTP_TGBOT_PACE_BULK);
    p->group = (call->group != 0);
    p->paid = (call->paid != 0);

    p->chat.data = p->text;
    p->chat.len = ngx_http_tgbot_pace_chat(bot->pace, &call->chat,
                                           p->text);

    ngx_queue_insert_tail(&ngx_http_tgbot_pace_redis_places, &p->queue);

    return &p->place;
}


ngx_int_t
ngx_http_tgbot_pace_redis_ask(ngx_http_tgbot_pace_place_t *place,
    ngx_msec_t limit)
{
    ngx_uint_t                    held;
    ngx_http_tgbot_pace_redis_t  *p;
    ngx_http_tgbot_redis_args_t   args;

    p = (ngx_http_tgbot_pace_redis_t *) place;

    held = p->bulk ? NGX_HTTP_TGBOT_PACE_REDIS_ALL
                   : NGX_HTTP_TGBOT_PACE_REDIS_NONE;

    ngx_http_tgbot_redis_args_init(&args, p->bot);

    ngx_http_tgbot_redis_args_key(&args, "meta");
    ngx_http_tgbot_pace_redis_stops(&args, &p->chat);
    ngx_http_tgbot_pace_redis_buckets(&args, p, held, 0);

    ngx_http_tgbot_redis_args_print(&args, "%M", limit);
    ngx_http_tgbot_redis_args_print(&args, "%d",
                                    NGX_HTTP_TGBOT_PACE_REDIS_LEASE);
    ngx_http_tgbot_redis_args_print(&args, "%L", p->due);
    ngx_http_tgbot_pace_redis_buckets(&args, p, held, 1);

    p->command.done = ngx_http_tgbot_pace_redis_done;
    p->command.data = p;

    if (ngx_http_tgbot_redis_args_send(&args, &p->command,
                                       &ngx_http_tgbot_redis_script_pace)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    place->asks = 1;

    return NGX_AGAIN;
}


static void
ngx_http_tgbot_pace_redis_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_pace_redis_t  *p;
    ngx_http_tgbot_pace_place_t  *place;

    p = c->data;
    place = &p->place;

    place->asks = 0;
    place->probe = 0;

    if (rc != NGX_HTTP_TGBOT_REDIS_OK
        || ngx_http_tgbot_pace_redis_read(p, reply) != NGX_OK)
    {
        place->answer = NGX_HTTP_TGBOT_PACE_AWAY;
        place->ms = 0;
    }

    place->goes = (place->answer == NGX_HTTP_TGBOT_PACE_PLACED
                   || place->answer == NGX_HTTP_TGBOT_PACE_AWAY);

    ngx_log_debug5(NGX_LOG_DEBUG_HTTP, p->bot->clcf->error_log, 0,
                   "tgbot bot \"%V\": a call has place %ui in Redis, %d, %M "
                   "ms, probe %ui",
                   &p->bot->name, p->held, place->answer, place->ms,
                   place->probe);

    if (p->ended) {
        ngx_http_tgbot_pace_redis_end(place, 0);
        return;
    }

    place->ready(place->data);
}


static ngx_int_t
ngx_http_tgbot_pace_redis_read(ngx_http_tgbot_pace_redis_t *p,
    redisReply *reply)
{
    int64_t                       answer, ms, third;
    ngx_http_tgbot_pace_place_t  *place;

    place = &p->place;

    answer = ngx_http_tgbot_redis_args_number(reply, 0);
    ms = ngx_http_tgbot_redis_args_number(reply, 1);
    third = ngx_http_tgbot_redis_args_number(reply, 2);

    if (answer < 0 || answer >= NGX_HTTP_TGBOT_PACE_AWAY
        || ms < 0 || ms > NGX_HTTP_TGBOT_PACE_REDIS_PAUSE)
    {
        return NGX_ERROR;
    }

    place->answer = (ngx_http_tgbot_pace_redis_answer_e) answer;
    place->ms = (ngx_msec_t) ms;

    switch (place->answer) {

    case NGX_HTTP_TGBOT_PACE_PLACED:
        place->probe = (third == 1);
        p->held = p->bulk ? NGX_HTTP_TGBOT_PACE_REDIS_ALL
                          : NGX_HTTP_TGBOT_PACE_REDIS_NONE;
        break;

    case NGX_HTTP_TGBOT_PACE_LATER:
        p->held = NGX_HTTP_TGBOT_PACE_REDIS_CHAT;
        p->due = ngx_max(third, 0);
        break;

    default:
        place->bot = (third == 2);
    }

    return NGX_OK;
}


void
ngx_http_tgbot_pace_redis_end(ngx_http_tgbot_pace_place_t *place,
    ngx_uint_t used)
{
    ngx_http_tgbot_pace_redis_t  *p;

    p = (ngx_http_tgbot_pace_redis_t *) place;

    if (place->asks) {

        /* the reply tells whether there is a place to give back */

        p->ended = 1;
        return;
    }

    if (!used) {
        ngx_http_tgbot_pace_redis_back(p);
    }

    if (!used && place->probe) {
        ngx_http_tgbot_pace_redis_told(p->bot, &p->chat, -1, 1);
    }

    ngx_http_tgbot_pace_redis_free(p);
}


static void
ngx_http_tgbot_pace_redis_back(ngx_http_tgbot_pace_redis_t *p)
{
    ngx_http_tgbot_redis_args_t  args;

    if (p->held == NGX_HTTP_TGBOT_PACE_REDIS_NONE) {
        return;
    }

    ngx_http_tgbot_redis_args_init(&args, p->bot);

    ngx_http_tgbot_redis_args_key(&args, "meta");
    ngx_http_tgbot_pace_redis_buckets(&args, p, p->held, 0);
    ngx_http_tgbot_pace_redis_buckets(&args, p, p->held, 1);

    ngx_http_tgbot_pace_redis_send(&args,
                                   &ngx_http_tgbot_redis_script_pace_back);
}


static void
ngx_http_tgbot_pace_redis_free(ngx_http_tgbot_pace_redis_t *p)
{
    ngx_queue_remove(&p->queue);
    ngx_free(p);
}


void
ngx_http_tgbot_pace_redis_told(ngx_http_tgbot_bot_t *bot, ngx_str_t *named,
    ngx_msec_int_t pause, ngx_uint_t probe)
{
    u_char                       text[NGX_HTTP_TGBOT_PACE_CHAT];
    ngx_str_t                    chat;
    ngx_http_tgbot_redis_args_t  args;

    chat.data = text;
    chat.len = ngx_http_tgbot_pace_chat(bot->pace, named, text);

    ngx_http_tgbot_redis_args_init(&args, bot);

    ngx_http_tgbot_redis_args_key(&args, "meta");
    ngx_http_tgbot_pace_redis_stops(&args, &chat);

    ngx_http_tgbot_redis_args_print(&args, "%i", (ngx_int_t) pause);
    ngx_http_tgbot_redis_args_print(&args, "%V", &chat);
    ngx_http_tgbot_redis_args_print(&args, "%ui", probe);

    ngx_http_tgbot_pace_redis_send(&args,
                                   &ngx_http_tgbot_redis_script_pace_stop);
}


/* the pauses of a chat, and of the bot */

static void
ngx_http_tgbot_pace_redis_stops(ngx_http_tgbot_redis_args_t *args,
    ngx_str_t *chat)
{
    u_char  hex[NGX_HTTP_TGBOT_PACE_REDIS_HASH * 2 + 1];

    if (chat->len) {
        ngx_http_tgbot_pace_redis_hash(hex, chat);
        ngx_http_tgbot_redis_args_key(args, "stop:%s", hex);

    } else {
        ngx_http_tgbot_redis_args_key(args, "stop");
    }

    ngx_http_tgbot_redis_args_key(args, "stop");
}


/* the keys of the buckets in which the call has places, or their rates */

static void
ngx_http_tgbot_pace_redis_buckets(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_pace_redis_t *p, ngx_uint_t held, ngx_uint_t rates)
{
    u_char                       hex[NGX_HTTP_TGBOT_PACE_REDIS_HASH * 2 + 1];
    ngx_uint_t                   i;
    ngx_http_tgbot_pace_rate_t  *rate;

    static const char  *keys[NGX_HTTP_TGBOT_PACE_BUCKETS] = {
        "pace:%s", "group:%s", "pace:all", "pace:paid"
    };

    if (held == NGX_HTTP_TGBOT_PACE_REDIS_NONE) {
        return;
    }

    ngx_http_tgbot_pace_redis_hash(hex, &p->chat);

    for (i = 0; i < NGX_HTTP_TGBOT_PACE_BUCKETS; i++) {

        if ((i == NGX_HTTP_TGBOT_PACE_GROUPS && !p->group)
            || (i == NGX_HTTP_TGBOT_PACE_ALL && p->paid)
            || (i == NGX_HTTP_TGBOT_PACE_PAID && !p->paid)
            || (i >= NGX_HTTP_TGBOT_PACE_ALL
                && held != NGX_HTTP_TGBOT_PACE_REDIS_ALL))
        {
            continue;
        }

        if (!rates) {
            ngx_http_tgbot_redis_args_key(args, keys[i], hex);
            continue;
        }

        rate = &p->bot->bulk->rates[i];

        ngx_http_tgbot_redis_args_print(args, "%uD", rate->period);
        ngx_http_tgbot_redis_args_print(args, "%uD", rate->burst);
    }
}


/* no text of a user is in a key */

static void
ngx_http_tgbot_pace_redis_hash(u_char *hex, ngx_str_t *chat)
{
    u_char     hash[NGX_HTTP_TGBOT_PACE_REDIS_HASH];
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, chat->data, chat->len);
    ngx_md5_final(hash, &md5);

    *ngx_hex_dump(hex, hash, sizeof(hash)) = '\0';
}


/* what has no reply that counts */

static void
ngx_http_tgbot_pace_redis_send(ngx_http_tgbot_redis_args_t *args,
    const ngx_http_tgbot_redis_script_t *script)
{
    ngx_http_tgbot_redis_command_t  command;

    ngx_memzero(&command, sizeof(ngx_http_tgbot_redis_command_t));

    command.done = ngx_http_tgbot_pace_redis_sent;

    (void) ngx_http_tgbot_redis_args_send(args, &command, script);

    ngx_http_tgbot_redis_cancel(&command);
}


static void
ngx_http_tgbot_pace_redis_sent(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    /* void */
}
