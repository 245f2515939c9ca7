
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_pace_redis.h"
#include "ngx_http_tgbot_pace_use.h"


/* turns that wait look so often for workers that died, ms */
#define NGX_HTTP_TGBOT_PACE_USE_TIME  1000

/* "wait" of a call that stopped waiting behind others, ms */
#define NGX_HTTP_TGBOT_PACE_USE_LATER  1000


static void ngx_http_tgbot_pace_use_classify(ngx_http_tgbot_turn_t *turn);
static ngx_uint_t ngx_http_tgbot_pace_use_begins(ngx_str_t *name,
    const char *prefix);
static ngx_int_t ngx_http_tgbot_pace_use_wait(ngx_http_tgbot_turn_t *turn,
    ngx_int_t rc);
static void ngx_http_tgbot_pace_use_arm(ngx_http_tgbot_turn_t *turn);
static void ngx_http_tgbot_pace_use_unwait(ngx_http_tgbot_turn_t *turn);
static void ngx_http_tgbot_pace_use_timer(ngx_event_t *ev);
static void ngx_http_tgbot_pace_use_next(ngx_http_tgbot_turn_t *turn,
    ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_pace_use_ask(ngx_http_tgbot_turn_t *turn);
static void ngx_http_tgbot_pace_use_told_place(void *data);
static void ngx_http_tgbot_pace_use_later(ngx_http_tgbot_turn_t *turn,
    ngx_uint_t reason);
static void ngx_http_tgbot_pace_use_stopped(ngx_http_tgbot_turn_t *turn);
static void ngx_http_tgbot_pace_use_late(ngx_http_tgbot_turn_t *turn,
    ngx_msec_t wait);
static ngx_int_t ngx_http_tgbot_pace_use_placed(ngx_http_tgbot_turn_t *turn);
static void ngx_http_tgbot_pace_use_unplace(ngx_http_tgbot_turn_t *turn,
    ngx_uint_t used);
static void ngx_http_tgbot_pace_use_heard(ngx_http_tgbot_bot_t *bot,
    ngx_str_t *chat, ngx_msec_t ms);
static void ngx_http_tgbot_pace_use_ready(ngx_http_tgbot_turn_t *turn,
    ngx_int_t rc);
static void ngx_http_tgbot_pace_use_tell(ngx_http_tgbot_turn_t *turn,
    ngx_msec_int_t pause);
static int64_t ngx_http_tgbot_pace_use_id(ngx_str_t *body);
static void ngx_http_tgbot_pace_use_ring(ngx_uint_t slot);
static void ngx_http_tgbot_pace_use_rung(void);
static void ngx_http_tgbot_pace_use_told(ngx_event_t *ev);
static void ngx_http_tgbot_pace_use_look(ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_pace_use_second(ngx_event_t *ev);


static ngx_array_t   *ngx_http_tgbot_pace_use_zones;    /* of all bots */
static ngx_uint_t     ngx_http_tgbot_pace_use_waiting;  /* turns */
static ngx_queue_t    ngx_http_tgbot_pace_use_going;    /* turns that may go */
static ngx_event_t    ngx_http_tgbot_pace_use_event;    /* looks at tickets */
static ngx_event_t    ngx_http_tgbot_pace_use_tick;


ngx_int_t
ngx_http_tgbot_pace_use_init_process(ngx_array_t *bots, ngx_cycle_t *cycle)
{
    ngx_uint_t               i, k;
    ngx_http_tgbot_bot_t   **bot;
    ngx_http_tgbot_zone_t  **zone;

    ngx_http_tgbot_pace_use_zones = ngx_array_create(cycle->pool, 1,
                                              sizeof(ngx_http_tgbot_zone_t *));
    if (ngx_http_tgbot_pace_use_zones == NULL) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_pace_use_waiting = 0;

    ngx_queue_init(&ngx_http_tgbot_pace_use_going);

    ngx_memzero(&ngx_http_tgbot_pace_use_event, sizeof(ngx_event_t));
    ngx_memzero(&ngx_http_tgbot_pace_use_tick, sizeof(ngx_event_t));

    ngx_http_tgbot_pace_use_event.handler = ngx_http_tgbot_pace_use_told;
    ngx_http_tgbot_pace_use_event.data = &ngx_http_tgbot_pace_use_event;
    ngx_http_tgbot_pace_use_event.log = cycle->log;

    ngx_http_tgbot_pace_use_tick.handler = ngx_http_tgbot_pace_use_second;
    ngx_http_tgbot_pace_use_tick.data = &ngx_http_tgbot_pace_use_tick;
    ngx_http_tgbot_pace_use_tick.log = cycle->log;
    ngx_http_tgbot_pace_use_tick.cancelable = 1;

    ngx_http_tgbot_pace_init_process(ngx_http_tgbot_pace_use_ring);
    ngx_http_tgbot_pace_redis_init_process(bots, ngx_http_tgbot_pace_use_heard);
    ngx_http_tgbot_bell_listen(NGX_HTTP_TGBOT_BELL_PACE,
                               ngx_http_tgbot_pace_use_rung);

    bot = bots->elts;

    for (i = 0; i < bots->nelts; i++) {

        if (bot[i]->pace == NULL) {
            continue;
        }

        zone = ngx_http_tgbot_pace_use_zones->elts;

        for (k = 0; k < ngx_http_tgbot_pace_use_zones->nelts; k++) {
            if (zone[k] == bot[i]->pace->zone) {
                break;
            }
        }

        if (k < ngx_http_tgbot_pace_use_zones->nelts) {
            continue;
        }

        zone = ngx_array_push(ngx_http_tgbot_pace_use_zones);
        if (zone == NULL) {
            return NGX_ERROR;
        }

        *zone = bot[i]->pace->zone;

        /* this worker may be in the place of one that was killed */

        ngx_http_tgbot_pace_reap(*zone);
    }

    return NGX_OK;
}


void
ngx_http_tgbot_pace_use_exit_process(void)
{
    if (ngx_http_tgbot_pace_use_event.posted) {
        ngx_delete_posted_event(&ngx_http_tgbot_pace_use_event);
    }

    if (ngx_http_tgbot_pace_use_tick.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_pace_use_tick);
    }

    ngx_http_tgbot_pace_redis_exit_process();
}


ngx_int_t
ngx_http_tgbot_pace_use_enter(ngx_http_tgbot_turn_t *turn)
{
    ngx_int_t  rc;

    turn->wait = 0;

    if (turn->bot->pace == NULL) {
        return NGX_OK;
    }

    if (!turn->entered) {
        turn->entered = 1;
        turn->call.data = turn;
        turn->timer.handler = ngx_http_tgbot_pace_use_timer;
        turn->timer.data = turn;
        turn->timer.log = turn->bot->clcf->error_log;

        ngx_http_tgbot_pace_use_classify(turn);
    }

    turn->call.limit = turn->limit;

    if (turn->conf) {
        turn->call.limit = ngx_min(turn->limit, turn->conf->max_wait);
    }

    rc = ngx_http_tgbot_pace_enter(turn->bot->pace, &turn->call);

    return (rc == NGX_OK) ? ngx_http_tgbot_pace_use_ask(turn)
                          : ngx_http_tgbot_pace_use_wait(turn, rc);
}


/*
 * What Telegram does not send to a chat is not in the chat's order; a 429 to
 * what names no chat is about the method, or about all that the bot answers.
 */

static void
ngx_http_tgbot_pace_use_classify(ngx_http_tgbot_turn_t *turn)
{
    ngx_str_t                    *method;
    ngx_uint_t                    send, get;
    ngx_http_tgbot_pace_call_t   *call;

    call = &turn->call;
    method = &turn->method;

    send = ngx_http_tgbot_pace_use_begins(method, "send")
           || ngx_http_tgbot_pace_use_begins(method, "copy")
           || ngx_http_tgbot_pace_use_begins(method, "forward");

    get = ngx_http_tgbot_pace_use_begins(method, "get");

    call->class = NGX_HTTP_TGBOT_PACE_LOOSE;
    call->chat = turn->chat;
    call->paid = turn->paid;
    call->rates = turn->bot->bulk->rates;

    if (get
        || (call->chat.len == 0
            && !send
            && !ngx_http_tgbot_pace_use_begins(method, "answer")
            && !ngx_http_tgbot_pace_use_begins(method, "edit")))
    {
        call->chat.data = turn->key;
        call->chat.len = ngx_snprintf(turn->key, sizeof(turn->key), "/%V",
                                      method)
                         - turn->key;
        return;
    }

    if (call->chat.len == 0
        || ngx_http_tgbot_pace_use_begins(method, "answer")
        || ngx_http_tgbot_pace_use_begins(method, "sendChatAction"))
    {
        return;
    }

    call->group = (call->chat.data[0] == '-' || call->chat.data[0] == '@');

    if (turn->bulk) {

        /* without rates it must not touch the buckets of bulk that has some */

        call->class = turn->conf ? NGX_HTTP_TGBOT_PACE_BULK
                                 : NGX_HTTP_TGBOT_PACE_STRICT;

    } else if (send && turn->order == NGX_HTTP_TGBOT_ORDER_CHAT) {
        call->class = NGX_HTTP_TGBOT_PACE_LINE;

    } else if (send && turn->order == NGX_HTTP_TGBOT_ORDER_STRICT) {
        call->class = NGX_HTTP_TGBOT_PACE_STRICT;
    }
}


static ngx_uint_t
ngx_http_tgbot_pace_use_begins(ngx_str_t *name, const char *prefix)
{
    size_t  len;

    len = ngx_strlen(prefix);

    return name->len >= len
           && (name->data[0] | 0x20) == prefix[0]
           && ngx_strncasecmp(name->data, (u_char *) prefix, len) == 0;
}


/* the call does not go now */

static ngx_int_t
ngx_http_tgbot_pace_use_wait(ngx_http_tgbot_turn_t *turn, ngx_int_t rc)
{
    turn->wait = turn->call.wait;

    ngx_log_debug5(NGX_LOG_DEBUG_HTTP, turn->timer.log, 0,
                   "tgbot bot \"%V\": %V waits, %i, %M ms, reason %ui",
                   &turn->bot->name, &turn->method, rc, turn->wait,
                   turn->call.reason);

    if (rc == NGX_BUSY) {
        ngx_http_tgbot_pace_use_leave(turn);
        return NGX_BUSY;
    }

    if (!turn->waiting) {
        turn->waiting = 1;
        turn->end = ngx_current_msec + turn->call.limit;

        if (ngx_http_tgbot_pace_use_waiting++ == 0
            && !ngx_http_tgbot_pace_use_tick.timer_set)
        {
            ngx_add_timer(&ngx_http_tgbot_pace_use_tick,
                          NGX_HTTP_TGBOT_PACE_USE_TIME);
        }
    }

    ngx_http_tgbot_pace_use_arm(turn);

    return NGX_AGAIN;
}


/* the timer keeps the worker from its exit */

static void
ngx_http_tgbot_pace_use_arm(ngx_http_tgbot_turn_t *turn)
{
    ngx_msec_int_t  ms, due;

    ms = (ngx_msec_int_t) (turn->end - ngx_current_msec);

    if (turn->call.due) {
        due = (ngx_msec_int_t) (turn->call.due - ngx_current_msec);
        ms = ngx_min(ms, due);
    }

    /* ngx_add_timer() ignores a change of a set timer by less than 300 ms */

    if (turn->timer.timer_set) {
        ngx_del_timer(&turn->timer);
    }

    ngx_add_timer(&turn->timer, (ngx_msec_t) ngx_max(ms, 1));
}


static void
ngx_http_tgbot_pace_use_unwait(ngx_http_tgbot_turn_t *turn)
{
    if (turn->waiting) {
        turn->waiting = 0;
        ngx_http_tgbot_pace_use_waiting--;
    }

    if (turn->going) {
        turn->going = 0;
        ngx_queue_remove(&turn->queue);
    }

    if (turn->timer.timer_set) {
        ngx_del_timer(&turn->timer);
    }
}


static void
ngx_http_tgbot_pace_use_timer(ngx_event_t *ev)
{
    ngx_int_t               rc;
    ngx_http_tgbot_turn_t  *turn;

    turn = ev->data;

    if (turn->placing && turn->place->asks) {

        /* what the wait may last is over before Redis has answered */

        ngx_http_tgbot_pace_use_late(turn, NGX_HTTP_TGBOT_PACE_USE_LATER);
        return;
    }

    rc = turn->placing ? ngx_http_tgbot_pace_use_placed(turn)
                       : ngx_http_tgbot_pace_look(turn->bot->pace,
                                                  &turn->call);

    ngx_http_tgbot_pace_use_next(turn, rc);
}


/* a turn that waits goes on, as the zone, or its place in Redis, lets it */

static void
ngx_http_tgbot_pace_use_next(ngx_http_tgbot_turn_t *turn, ngx_int_t rc)
{
    ngx_msec_int_t  due;

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_pace_use_ask(turn);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    switch (rc) {

    case NGX_OK:
        ngx_http_tgbot_pace_use_ready(turn, NGX_OK);
        break;

    case NGX_AGAIN:
        if ((ngx_msec_int_t) (turn->end - ngx_current_msec) > 0) {
            ngx_http_tgbot_pace_use_arm(turn);
            break;
        }

        /* the end of the wait is known: the call may have that long */

        due = turn->call.due
              ? (ngx_msec_int_t) (turn->call.due - ngx_current_msec) : 0;

        ngx_http_tgbot_pace_use_late(turn, (due > 0) ? (ngx_msec_t) due
                                              : NGX_HTTP_TGBOT_PACE_USE_LATER);
        break;

    default: /* NGX_BUSY */
        ngx_http_tgbot_pace_use_late(turn, turn->call.wait);
    }
}


static void
ngx_http_tgbot_pace_use_late(ngx_http_tgbot_turn_t *turn, ngx_msec_t wait)
{
    turn->wait = wait;

    ngx_http_tgbot_pace_use_leave(turn);
    ngx_http_tgbot_pace_use_ready(turn, NGX_BUSY);
}


/*
 * The zone lets the call go, which keeps its place in its chat: bulk asks
 * Redis, and so does what goes first after a pause.  Without Redis the zone
 * alone decides.
 *
 * NGX_OK: the call goes.  NGX_AGAIN: it waits.
 */

static ngx_int_t
ngx_http_tgbot_pace_use_ask(ngx_http_tgbot_turn_t *turn)
{
    ngx_msec_int_t         left;
    ngx_http_tgbot_bot_t  *bot;

    bot = turn->bot;

    if (turn->place && turn->place->goes) {
        turn->probe = turn->place->probe;
        ngx_http_tgbot_pace_use_unplace(turn, 1);
        return NGX_OK;
    }

    if (!bot->bulk->redis
        || (turn->call.class != NGX_HTTP_TGBOT_PACE_BULK && !turn->call.probe))
    {
        ngx_http_tgbot_pace_use_unplace(turn, 0);
        return NGX_OK;
    }

    if (turn->place == NULL) {
        turn->place = ngx_http_tgbot_pace_redis_make(bot, &turn->call);
    }

    left = turn->waiting ? (ngx_msec_int_t) (turn->end - ngx_current_msec)
                         : (ngx_msec_int_t) turn->call.limit;

    if (turn->place == NULL
        || ngx_http_tgbot_pace_redis_ask(turn->place,
                                         (ngx_msec_t) ngx_max(left, 0))
           != NGX_AGAIN)
    {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_PACE_REDIS_AWAY);
        ngx_http_tgbot_pace_use_unplace(turn, 1);
        return NGX_OK;
    }

    turn->place->ready = ngx_http_tgbot_pace_use_told_place;
    turn->place->data = turn;

    turn->placing = 1;
    turn->call.due = 0;

    return ngx_http_tgbot_pace_use_wait(turn, NGX_AGAIN);
}


/* Redis has answered */

static void
ngx_http_tgbot_pace_use_told_place(void *data)
{
    ngx_http_tgbot_turn_t *turn = data;

    ngx_http_tgbot_pace_place_t  *place;

    place = turn->place;

    switch (place->answer) {

    case NGX_HTTP_TGBOT_PACE_LATER:
        ngx_http_tgbot_pace_use_later(turn, NGX_HTTP_TGBOT_PACE_FOR_PACE);
        return;

    case NGX_HTTP_TGBOT_PACE_PROBED:

        /* of the bot: all of its bulk waits, so the tokens are of no use */

        if (!place->bot && turn->call.class == NGX_HTTP_TGBOT_PACE_BULK) {
            ngx_http_tgbot_pace_use_later(turn, NGX_HTTP_TGBOT_PACE_FOR_429);
            return;
        }

        break;

    case NGX_HTTP_TGBOT_PACE_STOPPED:
        ngx_http_tgbot_pace_use_stopped(turn);
        return;

    case NGX_HTTP_TGBOT_PACE_LATE:
        ngx_http_tgbot_pace_use_late(turn, place->ms);
        return;

    case NGX_HTTP_TGBOT_PACE_AWAY:
        ngx_http_tgbot_stats_count(turn->bot->stats,
                                   NGX_HTTP_TGBOT_STAT_PACE_REDIS_AWAY);
        break;

    default:
        break;
    }

    if (place->ms) {
        turn->call.due = ngx_current_msec + place->ms;

        if (place->goes
            && (ngx_msec_int_t) (turn->end - turn->call.due) < 0)
        {
            turn->end = turn->call.due;
        }

        ngx_http_tgbot_pace_use_arm(turn);
        return;
    }

    ngx_http_tgbot_pace_use_next(turn, ngx_http_tgbot_pace_use_placed(turn));
}


/* the chat waits in the zone, with no token of the bot */

static void
ngx_http_tgbot_pace_use_later(ngx_http_tgbot_turn_t *turn, ngx_uint_t reason)
{
    turn->placing = 0;

    ngx_http_tgbot_pace_use_next(turn,
                         ngx_http_tgbot_pace_later(turn->bot->pace, &turn->call,
                                                   turn->place->ms, reason));
}


/* a 429 on another machine */

static void
ngx_http_tgbot_pace_use_stopped(ngx_http_tgbot_turn_t *turn)
{
    ngx_msec_t                    ms;
    ngx_str_t                     none;
    ngx_http_tgbot_pace_place_t  *place;

    place = turn->place;
    ms = place->ms;

    ngx_str_null(&none);

    ngx_http_tgbot_pace_use_heard(turn->bot,
                                  place->bot ? &none : &turn->call.chat, ms);

    if ((ngx_msec_int_t) (turn->end - ngx_current_msec) < (ngx_msec_int_t) ms) {
        ngx_http_tgbot_pace_use_late(turn, ms);
        return;
    }

    if (ngx_http_tgbot_pace_look(turn->bot->pace, &turn->call) == NGX_AGAIN) {
        turn->placing = 0;

    } else {

        /* the zone has no room for the pause */

        turn->call.due = ngx_current_msec + ms;
    }

    ngx_http_tgbot_pace_use_arm(turn);
}


/*
 * The time of the place has come, or that to ask again; but the call may have
 * been stopped meanwhile.  Returns what look does.
 */

static ngx_int_t
ngx_http_tgbot_pace_use_placed(ngx_http_tgbot_turn_t *turn)
{
    ngx_int_t  rc;

    if ((ngx_msec_int_t) (turn->end - ngx_current_msec) <= 0
        && !turn->place->goes)
    {
        return NGX_AGAIN;
    }

    rc = ngx_http_tgbot_pace_look(turn->bot->pace, &turn->call);

    turn->placing = 0;

    if (rc != NGX_OK) {
        ngx_http_tgbot_pace_use_unplace(turn, 0);
    }

    return rc;
}


static void
ngx_http_tgbot_pace_use_unplace(ngx_http_tgbot_turn_t *turn, ngx_uint_t used)
{
    turn->placing = 0;

    if (turn->place) {
        ngx_http_tgbot_pace_redis_end(turn->place, used);
        turn->place = NULL;
    }
}


static void
ngx_http_tgbot_pace_use_heard(ngx_http_tgbot_bot_t *bot, ngx_str_t *chat,
    ngx_msec_t ms)
{
    ngx_http_tgbot_pace_call_t  call;

    ngx_memzero(&call, sizeof(ngx_http_tgbot_pace_call_t));

    call.chat = *chat;

    ngx_http_tgbot_pace_stop(bot->pace, &call, ms);
}


static void
ngx_http_tgbot_pace_use_ready(ngx_http_tgbot_turn_t *turn, ngx_int_t rc)
{
    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, turn->timer.log, 0,
                   "tgbot bot \"%V\": %V has waited, %i",
                   &turn->bot->name, &turn->method, rc);

    ngx_http_tgbot_pace_use_unwait(turn);

    /* must be last: the owner may free the turn */

    turn->ready(turn, rc);
}


void
ngx_http_tgbot_pace_use_answered(ngx_http_tgbot_turn_t *turn, ngx_uint_t result,
    ngx_uint_t retry_after, ngx_str_t *body)
{
    int64_t                  id;
    ngx_http_tgbot_pace_t   *pace;

    pace = turn->bot->pace;

    if (pace == NULL || !turn->entered) {
        return;
    }

    if (result == NGX_HTTP_TGBOT_TURN_FLOOD && retry_after) {

        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, turn->timer.log, 0,
                       "tgbot bot \"%V\": %V stops for %ui s",
                       &turn->bot->name, &turn->method, retry_after);

        ngx_http_tgbot_pace_stop(pace, &turn->call,
                                  (ngx_msec_t) retry_after * 1000);
        ngx_http_tgbot_pace_use_tell(turn, (ngx_msec_int_t) retry_after * 1000);
        return;
    }

    ngx_http_tgbot_pace_answered(pace, &turn->call,
                                  result == NGX_HTTP_TGBOT_TURN_ANSWERED);

    if (turn->probe) {
        ngx_http_tgbot_pace_use_tell(turn,
                             (result == NGX_HTTP_TGBOT_TURN_ANSWERED) ? 0 : -1);
    }

    if (result == NGX_HTTP_TGBOT_TURN_ANSWERED
        && body
        && turn->call.chat.len
        && turn->call.chat.data[0] == '@')
    {
        id = ngx_http_tgbot_pace_use_id(body);

        if (id) {
            ngx_http_tgbot_pace_learn(pace, &turn->call, id);
        }
    }
}


/* what other machines have to know of an answer */

static void
ngx_http_tgbot_pace_use_tell(ngx_http_tgbot_turn_t *turn, ngx_msec_int_t pause)
{
    if (turn->bot->bulk->redis) {
        ngx_http_tgbot_pace_redis_told(turn->bot, &turn->call.chat, pause,
                                       turn->probe);
        turn->probe = 0;
    }
}


/* the id in "chat":{"id":-100123, of a message; 0: none is found */

static int64_t
ngx_http_tgbot_pace_use_id(ngx_str_t *body)
{
    size_t    i;
    u_char   *p, *last;
    int64_t   id;

    static const char  text[] = "\"chat\":{\"id\":-";

    if (body->len == 0) {
        return 0;
    }

    last = body->data + ngx_min(body->len, NGX_HTTP_TGBOT_PACE_USE_HEAD);

    for (p = body->data, i = 0; p < last && i < sizeof(text) - 1; p++) {

        if (*p == (u_char) text[i]) {
            i++;

        } else if (*p != ' ' || i == 0) {
            i = (*p == (u_char) text[0]);
        }
    }

    id = 0;

    for (i = 0; p < last && *p >= '0' && *p <= '9'; p++, i++) {

        if (i == 18) {
            return 0;
        }

        id = id * 10 + (*p - '0');
    }

    return (p < last) ? -id : 0;
}


ngx_msec_t
ngx_http_tgbot_pace_use_rest(ngx_http_tgbot_turn_t *turn)
{
    ngx_msec_int_t  ms;

    if (!turn->waiting) {
        return 0;
    }

    ms = turn->call.due
         ? (ngx_msec_int_t) (turn->call.due - ngx_current_msec) : 1;

    return (ms > 0) ? (ngx_msec_t) ms : 1;
}


void
ngx_http_tgbot_pace_use_leave(ngx_http_tgbot_turn_t *turn)
{
    if (!turn->entered) {
        return;
    }

    turn->entered = 0;
    turn->call.unsent = turn->waiting;

    if (turn->probe) {
        ngx_http_tgbot_pace_use_tell(turn, -1);
    }

    ngx_http_tgbot_pace_use_unplace(turn, 0);
    ngx_http_tgbot_pace_use_unwait(turn);
    ngx_http_tgbot_pace_leave(turn->bot->pace, &turn->call);
}


static void
ngx_http_tgbot_pace_use_ring(ngx_uint_t slot)
{
    if (slot == ngx_http_tgbot_lease_slot()) {
        ngx_http_tgbot_pace_use_rung();
        return;
    }

    ngx_http_tgbot_bell_ring_slot(slot, NGX_HTTP_TGBOT_BELL_PACE);
}


static void
ngx_http_tgbot_pace_use_rung(void)
{
    ngx_post_event(&ngx_http_tgbot_pace_use_event, &ngx_posted_events);
}


static void
ngx_http_tgbot_pace_use_told(ngx_event_t *ev)
{
    ngx_uint_t               i;
    ngx_queue_t             *q;
    ngx_http_tgbot_turn_t   *turn;
    ngx_http_tgbot_zone_t  **zone;

    zone = ngx_http_tgbot_pace_use_zones->elts;

    for (i = 0; i < ngx_http_tgbot_pace_use_zones->nelts; i++) {
        ngx_http_tgbot_pace_use_look(zone[i]);
    }

    /* the owner of a turn may end any other turn */

    while (!ngx_queue_empty(&ngx_http_tgbot_pace_use_going)) {
        q = ngx_queue_head(&ngx_http_tgbot_pace_use_going);
        turn = ngx_queue_data(q, ngx_http_tgbot_turn_t, queue);

        turn->going = 0;
        ngx_queue_remove(q);

        ngx_http_tgbot_pace_use_next(turn, NGX_OK);
    }
}


static void
ngx_http_tgbot_pace_use_look(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                    i, n;
    ngx_http_tgbot_turn_t        *turn;
    ngx_http_tgbot_pace_told_t    told[NGX_HTTP_TGBOT_PACE_BATCH];

    do {
        n = ngx_http_tgbot_pace_told(zone, told);

        for (i = 0; i < n; i++) {
            turn = told[i].data;

            turn->call.ticket = told[i].ticket;
            turn->call.probe = told[i].probe;

            if (turn->placing && told[i].rc == NGX_OK) {

                /* it may go since it asks Redis */

                continue;
            }

            turn->call.due = told[i].due;

            if (!turn->waiting || turn->going) {
                continue;
            }

            if (told[i].rc != NGX_OK) {

                if (turn->placing) {
                    ngx_http_tgbot_pace_use_unplace(turn, 0);
                }

                ngx_http_tgbot_pace_use_arm(turn);
                continue;
            }

            turn->going = 1;
            ngx_queue_insert_tail(&ngx_http_tgbot_pace_use_going, &turn->queue);
        }

    } while (n == NGX_HTTP_TGBOT_PACE_BATCH);
}


/* for a worker that was killed, or of another configuration */

static void
ngx_http_tgbot_pace_use_second(ngx_event_t *ev)
{
    ngx_uint_t               i;
    ngx_http_tgbot_zone_t  **zone;

    zone = ngx_http_tgbot_pace_use_zones->elts;

    for (i = 0; i < ngx_http_tgbot_pace_use_zones->nelts; i++) {
        ngx_http_tgbot_pace_reap(zone[i]);
    }

    if (ngx_http_tgbot_pace_use_waiting) {
        ngx_add_timer(ev, NGX_HTTP_TGBOT_PACE_USE_TIME);
    }

    ngx_http_tgbot_pace_use_told(ev);
}
