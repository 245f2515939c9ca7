
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_redis_args.h"
#include "ngx_http_tgbot_redis_lease.h"


/* time between two beats, ms */
#define NGX_HTTP_TGBOT_REDIS_LEASE_BEAT     1000

/* bytes of the machine in a worker's name, at most */
#define NGX_HTTP_TGBOT_REDIS_LEASE_MACHINE  32

/* bytes of a lease's name, with a NUL */
#define NGX_HTTP_TGBOT_REDIS_LEASE_NAME                                       \
    (sizeof("c/") + 2 * NGX_INT64_LEN)

/* numbers of a beat's reply in front of the leases that are lost */
#define NGX_HTTP_TGBOT_REDIS_LEASE_REPLY    4


struct ngx_http_tgbot_redis_beat_s {
    ngx_queue_t                      queue;     /* of the beats that run */
    ngx_queue_t                      held;      /* leases, the oldest first */
    ngx_http_tgbot_bot_t            *bot;
    ngx_http_tgbot_redis_command_t   command;
    ngx_msec_t                       used;      /* last time with a lease */
    ngx_msec_t                       sent;
    ngx_msec_t                       answered;  /* when the last beat that was
                                                   answered was sent */
    int64_t                          made;      /* see redis_beat.lua */

    unsigned                         runs:1;
    unsigned                         keep:1;    /* without a lease, too */
    unsigned                         waits:1;   /* for the reply */
    unsigned                         again:1;   /* send one when it is here */
    unsigned                         valid:1;   /* answered and made are set */
};


static ngx_http_tgbot_redis_beat_t *ngx_http_tgbot_redis_lease_start(
    ngx_http_tgbot_bot_t *bot);
static ngx_uint_t ngx_http_tgbot_redis_lease_fresh(
    ngx_http_tgbot_redis_beat_t *beat, ngx_msec_t time);
static void ngx_http_tgbot_redis_lease_timer(ngx_event_t *ev);
static void ngx_http_tgbot_redis_lease_send(ngx_http_tgbot_redis_beat_t *beat);
static void ngx_http_tgbot_redis_lease_name(u_char *text,
    ngx_http_tgbot_redis_lease_t *lease);
static void ngx_http_tgbot_redis_lease_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static void ngx_http_tgbot_redis_lease_next(
    ngx_http_tgbot_redis_beat_t *beat);
static void ngx_http_tgbot_redis_lease_leave(ngx_http_tgbot_redis_beat_t *beat);
static void ngx_http_tgbot_redis_lease_left(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static void ngx_http_tgbot_redis_lease_answered(
    ngx_http_tgbot_redis_beat_t *beat, redisReply *reply);
static void ngx_http_tgbot_redis_lease_lose(ngx_http_tgbot_redis_beat_t *beat,
    redisReply *reply);
static ngx_uint_t ngx_http_tgbot_redis_lease_is(ngx_queue_t *q,
    ngx_int_t number, const char *name);


/* of this worker; freed at its exit */
static ngx_queue_t   ngx_http_tgbot_redis_beats;
static ngx_event_t   ngx_http_tgbot_redis_lease_event;
static uint64_t      ngx_http_tgbot_redis_lease_last;    /* number */
static ngx_str_t     ngx_http_tgbot_redis_lease_self;
static u_char        ngx_http_tgbot_redis_lease_text[
                                             NGX_HTTP_TGBOT_REDIS_WORKER_LEN];


void
ngx_http_tgbot_redis_lease_init_process(ngx_log_t *log)
{
    u_char       c, *p;
    size_t       i, len;
    ngx_str_t   *worker;

    ngx_queue_init(&ngx_http_tgbot_redis_beats);

    ngx_memzero(&ngx_http_tgbot_redis_lease_event, sizeof(ngx_event_t));

    ngx_http_tgbot_redis_lease_event.handler = ngx_http_tgbot_redis_lease_timer;
    ngx_http_tgbot_redis_lease_event.data = &ngx_http_tgbot_redis_lease_event;
    ngx_http_tgbot_redis_lease_event.log = log;
    ngx_http_tgbot_redis_lease_event.cancelable = 1;

    worker = &ngx_http_tgbot_redis_lease_self;
    worker->data = ngx_http_tgbot_redis_lease_text;

    p = worker->data;
    len = ngx_min(ngx_cycle->hostname.len, NGX_HTTP_TGBOT_REDIS_LEASE_MACHINE);

    for (i = 0; i < len; i++) {
        c = ngx_cycle->hostname.data[i];
        *p++ = (c > 0x20 && c < 0x7f && c != ':' && c != '/') ? c : '-';
    }

    /* two machines may have one name, and one process number */

    p = ngx_sprintf(p, ":%P:%xT%08xD", ngx_pid, ngx_time(),
                    (uint32_t) ngx_random());

    worker->len = p - worker->data;
}


void
ngx_http_tgbot_redis_lease_exit_process(void)
{
    ngx_queue_t                  *q;
    ngx_http_tgbot_redis_beat_t  *beat;

    if (ngx_http_tgbot_redis_lease_event.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_redis_lease_event);
    }

    while (!ngx_queue_empty(&ngx_http_tgbot_redis_beats)) {
        q = ngx_queue_head(&ngx_http_tgbot_redis_beats);
        ngx_queue_remove(q);

        beat = ngx_queue_data(q, ngx_http_tgbot_redis_beat_t, queue);

        ngx_http_tgbot_redis_cancel(&beat->command);

        beat->bot->beat = NULL;
        ngx_free(beat);
    }
}


ngx_int_t
ngx_http_tgbot_redis_lease_keep(ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_redis_beat_t  *beat;

    beat = ngx_http_tgbot_redis_lease_start(bot);

    if (beat == NULL) {
        return NGX_ERROR;
    }

    beat->keep = 1;

    return NGX_OK;
}


ngx_str_t *
ngx_http_tgbot_redis_lease_worker(void)
{
    return &ngx_http_tgbot_redis_lease_self;
}


uint64_t
ngx_http_tgbot_redis_lease_number(void)
{
    return ++ngx_http_tgbot_redis_lease_last;
}


u_char *
ngx_http_tgbot_redis_lease_token(u_char *p, uint64_t number)
{
    return ngx_sprintf(p, "%V/%uL", &ngx_http_tgbot_redis_lease_self, number);
}


ngx_int_t
ngx_http_tgbot_redis_lease_hold(ngx_http_tgbot_redis_lease_t *lease)
{
    ngx_http_tgbot_redis_beat_t  *beat;

    beat = ngx_http_tgbot_redis_lease_start(lease->bot);

    if (beat == NULL) {
        lease->number = 0;
        return NGX_ERROR;
    }

    lease->lost = 0;

    ngx_queue_insert_tail(&beat->held, &lease->queue);

    /* a script refuses a worker whose lease is over */

    if (!beat->waits
        && !ngx_http_tgbot_redis_lease_fresh(beat, lease->bot->lease / 2))
    {
        ngx_http_tgbot_redis_lease_send(beat);
    }

    return NGX_OK;
}


void
ngx_http_tgbot_redis_lease_end(ngx_http_tgbot_redis_lease_t *lease)
{
    if (lease->number == 0) {
        return;
    }

    ngx_queue_remove(&lease->queue);

    lease->number = 0;
}


ngx_uint_t
ngx_http_tgbot_redis_lease_holds(ngx_http_tgbot_redis_lease_t *lease)
{
    return lease->number
           && !lease->lost
           && ngx_http_tgbot_redis_lease_fresh(lease->bot->beat,
                                               lease->bot->lease);
}


void
ngx_http_tgbot_redis_lease_beat(ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_redis_beat_t  *beat;

    beat = ngx_http_tgbot_redis_lease_start(bot);

    if (beat == NULL) {
        return;
    }

    if (beat->waits) {
        beat->again = 1;
        return;
    }

    ngx_http_tgbot_redis_lease_send(beat);
}


/* the beat of the bot, which runs from now on; NULL: no memory */

static ngx_http_tgbot_redis_beat_t *
ngx_http_tgbot_redis_lease_start(ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_redis_beat_t  *beat;

    beat = bot->beat;

    if (beat == NULL) {
        beat = ngx_alloc(sizeof(ngx_http_tgbot_redis_beat_t),
                         bot->clcf->error_log);
        if (beat == NULL) {
            return NULL;
        }

        ngx_memzero(beat, sizeof(ngx_http_tgbot_redis_beat_t));

        beat->bot = bot;
        ngx_queue_init(&beat->held);
        ngx_queue_insert_tail(&ngx_http_tgbot_redis_beats, &beat->queue);

        bot->beat = beat;
    }

    beat->used = ngx_current_msec;
    beat->runs = 1;

    if (!ngx_http_tgbot_redis_lease_event.timer_set) {
        ngx_add_timer(&ngx_http_tgbot_redis_lease_event,
                      NGX_HTTP_TGBOT_REDIS_LEASE_BEAT);
    }

    return beat;
}


/* whether a beat that was sent in this time was answered */

static ngx_uint_t
ngx_http_tgbot_redis_lease_fresh(ngx_http_tgbot_redis_beat_t *beat,
    ngx_msec_t time)
{
    return beat->valid && ngx_current_msec - beat->answered < time;
}


static void
ngx_http_tgbot_redis_lease_timer(ngx_event_t *ev)
{
    ngx_uint_t                    run;
    ngx_queue_t                  *q;
    ngx_http_tgbot_redis_beat_t  *beat;

    run = 0;

    for (q = ngx_queue_head(&ngx_http_tgbot_redis_beats);
         q != ngx_queue_sentinel(&ngx_http_tgbot_redis_beats);
         q = ngx_queue_next(q))
    {
        beat = ngx_queue_data(q, ngx_http_tgbot_redis_beat_t, queue);

        if (beat->keep || !ngx_queue_empty(&beat->held)) {
            beat->used = ngx_current_msec;

        } else if (beat->runs && !beat->waits
                   && ngx_current_msec - beat->used > beat->bot->lease)
        {
            beat->runs = 0;
            ngx_http_tgbot_redis_lease_leave(beat);
        }

        if (!beat->runs) {
            continue;
        }

        run = 1;

        if (!beat->waits) {
            ngx_http_tgbot_redis_lease_send(beat);
        }
    }

    if (run) {
        ngx_add_timer(ev, NGX_HTTP_TGBOT_REDIS_LEASE_BEAT);
    }
}


static void
ngx_http_tgbot_redis_lease_send(ngx_http_tgbot_redis_beat_t *beat)
{
    u_char                         text[NGX_HTTP_TGBOT_REDIS_LEASE_NAME];
    ngx_queue_t                   *q;
    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_redis_args_t    args;
    ngx_http_tgbot_redis_lease_t  *lease;

    bot = beat->bot;

    ngx_http_tgbot_redis_args_init(&args, bot);

    ngx_http_tgbot_redis_args_key(&args, "meta");
    ngx_http_tgbot_redis_args_key(&args, "ready");
    ngx_http_tgbot_redis_args_key(&args, "flight");
    ngx_http_tgbot_redis_args_key(&args, "workers");
    ngx_http_tgbot_redis_args_key(&args, "held");
    ngx_http_tgbot_redis_args_key(&args, "records");
    ngx_http_tgbot_redis_args_key(&args, "replays");
    ngx_http_tgbot_redis_args_key(&args, "lanes");
    ngx_http_tgbot_redis_args_key(&args, "delayed");
    ngx_http_tgbot_redis_args_key(&args, "progress");

    ngx_http_tgbot_redis_args_text(&args, &ngx_http_tgbot_redis_lease_self);
    ngx_http_tgbot_redis_args_print(&args, "%M", bot->lease);
    ngx_http_tgbot_redis_args_print(&args, "%uL",
                                    ngx_http_tgbot_redis_lease_number());

    for (q = ngx_queue_head(&beat->held);
         q != ngx_queue_sentinel(&beat->held);
         q = ngx_queue_next(q))
    {
        lease = ngx_queue_data(q, ngx_http_tgbot_redis_lease_t, queue);

        ngx_http_tgbot_redis_lease_name(text, lease);
        ngx_http_tgbot_redis_args_print(&args, "%s", text);
    }

    beat->command.done = ngx_http_tgbot_redis_lease_done;
    beat->command.data = beat;
    beat->sent = ngx_current_msec;

    if (ngx_http_tgbot_redis_args_send(&args, &beat->command,
                                       &ngx_http_tgbot_redis_script_beat)
        == NGX_OK)
    {
        beat->waits = 1;
    }
}


/* writes the name that redis_beat.lua expects, as a C string */

static void
ngx_http_tgbot_redis_lease_name(u_char *text,
    ngx_http_tgbot_redis_lease_t *lease)
{
    static const char  *names[] = {
        [NGX_HTTP_TGBOT_REDIS_LANE] = "l%016xL/%uL%Z",
        [NGX_HTTP_TGBOT_REDIS_CLAIM] = "c%L/%uL%Z",
        [NGX_HTTP_TGBOT_REDIS_LETTER] = "d%uL/%uL%Z"
    };

    if (lease->kind == NGX_HTTP_TGBOT_REDIS_PENDING) {
        (void) ngx_sprintf(text, "%uL%Z", lease->number);
        return;
    }

    (void) ngx_sprintf(text, names[lease->kind], lease->id, lease->number);
}


static void
ngx_http_tgbot_redis_lease_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_bot_t         *bot;
    ngx_http_tgbot_redis_beat_t  *beat;

    beat = c->data;
    bot = beat->bot;

    if (rc == NGX_HTTP_TGBOT_REDIS_OK) {
        ngx_http_tgbot_redis_lease_answered(beat, reply);

    } else {
        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, bot->clcf->error_log, 0,
                       "tgbot bot \"%V\": beat without reply, %d",
                       &bot->name, (int) rc);
    }

    ngx_http_tgbot_redis_lease_next(beat);
}


static void
ngx_http_tgbot_redis_lease_next(ngx_http_tgbot_redis_beat_t *beat)
{
    beat->waits = 0;

    if (beat->again) {
        beat->again = 0;
        ngx_http_tgbot_redis_lease_send(beat);
    }
}


/*
 * A lease that just ends would say that Redis was away.  If this gets lost,
 * what a killed worker holds may wait for one lease more.
 */

static void
ngx_http_tgbot_redis_lease_leave(ngx_http_tgbot_redis_beat_t *beat)
{
    ngx_http_tgbot_bot_t         *bot;
    ngx_http_tgbot_redis_args_t   args;

    bot = beat->bot;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, bot->clcf->error_log, 0,
                   "tgbot bot \"%V\": this worker leaves", &bot->name);

    /* the next lease begins with a beat */

    beat->answered = ngx_current_msec - bot->lease;

    ngx_http_tgbot_redis_args_init(&args, bot);

    ngx_http_tgbot_redis_args_print(&args, "ZREM");
    ngx_http_tgbot_redis_args_print(&args, "%V:workers", &bot->slot);
    ngx_http_tgbot_redis_args_text(&args, &ngx_http_tgbot_redis_lease_self);

    beat->command.done = ngx_http_tgbot_redis_lease_left;
    beat->command.data = beat;

    if (ngx_http_tgbot_redis_args_send(&args, &beat->command, NULL) == NGX_OK) {
        beat->waits = 1;
    }
}


static void
ngx_http_tgbot_redis_lease_left(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_redis_lease_next(c->data);
}


static void
ngx_http_tgbot_redis_lease_answered(ngx_http_tgbot_redis_beat_t *beat,
    redisReply *reply)
{
    int64_t                given, made, reaped;
    ngx_http_tgbot_bot_t  *bot;

    bot = beat->bot;

    made = ngx_http_tgbot_redis_args_number(reply, 1);
    given = ngx_http_tgbot_redis_args_number(reply, 2);
    reaped = ngx_http_tgbot_redis_args_number(reply, 3);

    if (made < 0) {
        return;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, bot->clcf->error_log, 0,
                   "tgbot bot \"%V\": beat, %uz lost, gave back %L and of "
                   "other workers %L", &bot->name,
                   reply->elements - NGX_HTTP_TGBOT_REDIS_LEASE_REPLY, given,
                   reaped);

    if (beat->valid && made != beat->made) {
        ngx_log_error(NGX_LOG_ERR, bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\": its keys in Redis were deleted, what "
                      "was in them is lost", &bot->name);
    }

    beat->valid = 1;
    beat->made = made;
    beat->answered = beat->sent;

    ngx_http_tgbot_redis_lease_lose(beat, reply);
}


/*
 * The reply names leases in the order of the queue, in which some may have
 * ended meanwhile.  So the search for each goes on where the one before it
 * ended.  A number alone was named while the lease was pending; it may stand
 * for several lanes now.  What is still pending is executed after this beat,
 * as replies come in the order of execution: it is not lost.
 */

static void
ngx_http_tgbot_redis_lease_lose(ngx_http_tgbot_redis_beat_t *beat,
    redisReply *reply)
{
    char         *p, *text;
    size_t        i;
    redisReply   *name;
    ngx_int_t     number;
    ngx_queue_t  *q, *end;

    end = &beat->held;

    for (i = NGX_HTTP_TGBOT_REDIS_LEASE_REPLY; i < reply->elements; i++) {
        name = reply->element[i];

        if (name->type != REDIS_REPLY_STRING) {
            continue;
        }

        p = strchr(name->str, '/');
        text = p ? name->str : NULL;
        p = p ? p + 1 : name->str;

        number = ngx_atoi((u_char *) p, name->str + name->len - p);

        for (q = ngx_queue_next(end); q != end; q = ngx_queue_next(q)) {

            if (q != &beat->held
                && ngx_http_tgbot_redis_lease_is(q, number, text)
                && text)
            {
                end = q;
                break;
            }
        }
    }
}


/* whether it is lost: it has this number, and this name if it is not NULL */

static ngx_uint_t
ngx_http_tgbot_redis_lease_is(ngx_queue_t *q, ngx_int_t number,
    const char *name)
{
    u_char                         text[NGX_HTTP_TGBOT_REDIS_LEASE_NAME];
    ngx_http_tgbot_redis_lease_t  *lease;

    lease = ngx_queue_data(q, ngx_http_tgbot_redis_lease_t, queue);

    if (lease->number != (uint64_t) number
        || lease->kind == NGX_HTTP_TGBOT_REDIS_PENDING)
    {
        return 0;
    }

    ngx_http_tgbot_redis_lease_name(text, lease);

    if (name && ngx_strcmp(name, text) != 0) {
        return 0;
    }

    lease->lost = 1;

    return 1;
}
