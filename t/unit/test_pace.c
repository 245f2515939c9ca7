
/* access to the internals, to check them */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_pace.h"
#include "ngx_http_tgbot_pace_table.h"
#include "unit.h"
#include "zones.h"


#define WORKERS  4
#define CHATS    6
#define CALLS    80

/* worlds, of which each is another one */
#define SEEDS    60


typedef enum {
    IDLE = 0,
    WAITS,
    FLIES,
    REPEATS
} state_e;


/* a call in the world of workers and a Bot API */

typedef struct {
    ngx_http_tgbot_pace_call_t   call;
    ngx_uint_t                   worker;
    ngx_uint_t                   chat;      /* CHATS: the bot */
    state_e                      state;
    ngx_msec_t                   arrives;   /* at the Bot API; 0: it did */
    ngx_msec_t                   next;      /* answer, or repeat */
    ngx_uint_t                   flooded;   /* it was answered with 429 */
    ngx_msec_t                   retry;
} call_t;


/* what the workers were told of a chat, or of the bot */

typedef struct {
    ngx_msec_t                   until;
    call_t                      *probe;
    ngx_uint_t                   floods;    /* since the pause ended */
} scope_t;


static ngx_http_tgbot_pace_t         bot;
static void                         *users[] = { &bot };
static ngx_http_tgbot_zone_t        *zone;

static call_t                        calls[CALLS];
static scope_t                       scopes[CHATS + 1];
static ngx_uint_t                    rung[WORKERS];

/* of the Bot API: floods, and buckets in microseconds */
static ngx_msec_t                    flood[CHATS + 1];
static uint64_t                      full[CHATS + 2];
static ngx_uint_t                    sent;
static ngx_uint_t                    refused;

static const char  *chats[] = { "1", "2", "3", "-4", "@five", "6", "" };

static ngx_http_tgbot_pace_rate_t    rates[NGX_HTTP_TGBOT_PACE_BUCKETS] = {
    { 1000000, 3 }, { 3000000, 20 }, { 33334, 30 }, { 1000, 1000 }
};

static uint64_t  seed;


static void rate_told(ngx_uint_t worker);

static ngx_uint_t
rnd(ngx_uint_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return (ngx_uint_t) (seed >> 33) % n;
}


static void
ring(ngx_uint_t worker)
{
    rung[worker] = 1;
}


static void
be(ngx_uint_t worker)
{
    unit_slot_be(worker);
    ngx_http_tgbot_pace_init_process(ring);
}


static void
start(uint64_t s)
{
    seed = s;

    ngx_memzero(&bot, sizeof(bot));
    ngx_memzero(calls, sizeof(calls));
    ngx_memzero(scopes, sizeof(scopes));
    ngx_memzero(flood, sizeof(flood));
    ngx_memzero(full, sizeof(full));
    ngx_memzero(rung, sizeof(rung));

    sent = 0;
    refused = 0;

    ngx_str_set(&bot.bot, "bot");
    bot.bot_id = 7;

    zone = unit_zone(&ngx_http_tgbot_pace_zone,
                     ngx_http_tgbot_pace_zone.min + 32 * 1024, users, 1);
    bot.zone = zone;

    be(0);
}


static void
set(ngx_http_tgbot_pace_call_t *call, const char *chat, ngx_uint_t class,
    ngx_msec_t limit)
{
    ngx_memzero(call, sizeof(ngx_http_tgbot_pace_call_t));

    call->chat.data = (u_char *) chat;
    call->chat.len = ngx_strlen(chat);
    call->class = class;
    call->limit = limit;
    call->group = (chat[0] == '-' || chat[0] == '@');
    call->rates = rates;
    call->data = call;
}


/* a list of records of the bot has those that say so, in both directions */

static void
whole(ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_list_t *list,
    size_t link, size_t flag, u_char value)
{
    uint32_t                n, prev;
    u_char                 *r;
    ngx_uint_t              i, said;
    ngx_http_tgbot_link_t  *l;

    said = 0;

    for (i = 0; i < t->sh->total; i++) {
        r = (u_char *) &t->records[i];
        said += (t->records[i].key.bot && r[flag] == value);
    }

    is_int(list->n, said);

    prev = NGX_HTTP_TGBOT_PACE_NIL;
    n = list->first;

    for (i = 0; i < said && n < t->sh->total; i++) {
        r = (u_char *) &t->records[n];
        l = (ngx_http_tgbot_link_t *) (r + link);

        is_int(r[flag], value);
        is_int(l->prev, prev);

        prev = n;
        n = l->next;
    }

    is_int(i, said);
    is_int(n, NGX_HTTP_TGBOT_PACE_NIL);
    is_int(list->last, prev);
}


/* counts and lists are those that follow from the tickets */

static void
sound(void)
{
    ngx_uint_t                      i, n, active, waiting, in_records;
    ngx_http_tgbot_pace_bot_t      *b;
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_record_t   *r;
    ngx_http_tgbot_pace_ticket_t   *k;

    ngx_http_tgbot_pace_table_open(&t, zone);
    ngx_http_tgbot_pace_table_lock(&t);

    b = ngx_http_tgbot_pace_table_bot(&t, bot.entry);

    n = 0;
    waiting = 0;
    in_records = 0;
    active = (b->pause.until != 0);

    for (i = 0; i < t.sh->total; i++) {
        k = &t.tickets[i];

        if (k->epoch) {
            n++;
            waiting += k->waits;
        }

        r = &t.records[i];

        if (r->key.bot) {
            in_records += r->tickets;
            active += (r->pause.until != 0);

            ok(r->line.n + r->bulk.n + r->loose.n <= r->tickets);
            ok(r->going <= r->line.n);
            ok(r->sent <= 1);
            is_int(r->chat.flight, r->group.flight ? r->group.flight
                                                   : r->chat.flight);
            ok(r->chat.flight <= r->sent);
            ok(r->tickets || (!r->is_stopped && !r->is_ready));
        }
    }

    whole(&t, &b->stopped,
          offsetof(ngx_http_tgbot_pace_record_t, stopped),
          offsetof(ngx_http_tgbot_pace_record_t, is_stopped), 1);

    for (i = 0; i < 2; i++) {
        whole(&t, &b->ready[i],
              offsetof(ngx_http_tgbot_pace_record_t, ready),
              offsetof(ngx_http_tgbot_pace_record_t, is_ready), 1 + i);
    }

    is_int(t.sh->ntickets, n);
    is_int(in_records, n);
    is_int(b->active, active + n);
    is_int(b->waiting[0] + b->waiting[1] + b->waiting[2], waiting);

    ngx_http_tgbot_pace_table_unlock(&t, ring);
}


/* the Bot API: a bucket of the same rate and burst */

static void
take(ngx_uint_t i, ngx_uint_t rate)
{
    uint64_t  us;

    us = (uint64_t) ngx_current_msec * 1000;

    full[i] = ngx_max(full[i], us) + rates[rate].period;

    ok(full[i] - us <= (uint64_t) rates[rate].burst * rates[rate].period);
}


static void
arrive(call_t *c)
{
    c->arrives = 0;
    c->flooded = 0;

    sent++;

    if (flood[c->chat] > ngx_current_msec
        || flood[CHATS] > ngx_current_msec)
    {
        c->flooded = 1;
        c->retry = ngx_max(flood[c->chat], flood[CHATS]) - ngx_current_msec;

        /* sometimes it says too little */

        if (rnd(4) == 0) {
            c->retry = 1 + c->retry / 2;
        }
    }

    if (c->call.class == NGX_HTTP_TGBOT_PACE_BULK) {
        take(c->chat, NGX_HTTP_TGBOT_PACE_CHATS);
        take(CHATS + 1, NGX_HTTP_TGBOT_PACE_ALL);
    }
}


/* the call may go: it must not be stopped, nor overtake */

static void
goes(call_t *c)
{
    ngx_uint_t  i, n, scope[2];

    scope[0] = c->chat;
    scope[1] = CHATS;

    for (i = 0; i < 2; i++) {
        ok(scopes[scope[i]].until <= ngx_current_msec);

        if (scopes[scope[i]].until) {
            ok(scopes[scope[i]].probe == NULL
               || scopes[scope[i]].probe == c);
            scopes[scope[i]].probe = c;
        }
    }

    n = 0;

    for (i = 0; i < CALLS; i++) {

        if (&calls[i] == c || calls[i].chat != c->chat
            || calls[i].call.class != c->call.class)
        {
            continue;
        }

        if (c->call.class >= NGX_HTTP_TGBOT_PACE_STRICT) {
            n += (calls[i].state == FLIES || calls[i].state == REPEATS);

            ok(calls[i].state != WAITS || calls[i].call.seq > c->call.seq);
        }
    }

    is_int(n, 0);

    c->state = FLIES;
    c->arrives = ngx_current_msec + rnd(60);
    c->next = c->arrives + rnd(60);
}


static void
enter(call_t *c)
{
    be(c->worker);

    switch (ngx_http_tgbot_pace_enter(&bot, &c->call)) {

    case NGX_OK:
        goes(c);
        break;

    case NGX_AGAIN:
        c->state = WAITS;
        break;

    default:
        ok(c->call.wait > c->call.limit);
        ngx_http_tgbot_pace_leave(&bot, &c->call);
        c->state = IDLE;
        refused++;
    }
}


static void
unprobe(call_t *c, ngx_uint_t answered)
{
    ngx_uint_t  i;

    for (i = 0; i <= CHATS; i++) {

        if (scopes[i].probe == c) {
            scopes[i].probe = NULL;

            if (answered && scopes[i].until <= ngx_current_msec) {
                scopes[i].until = 0;
            }
        }
    }
}


static void
halt(ngx_uint_t scope, ngx_msec_t retry)
{
    scopes[scope].until = ngx_max(scopes[scope].until,
                                  ngx_current_msec + retry);
}


static void
answer(call_t *c)
{
    ngx_uint_t  i, probes;

    be(c->worker);

    if (c->flooded) {
        probes = (scopes[CHATS].probe == c && c->call.ticket);

        unprobe(c, 0);

        ngx_http_tgbot_pace_stop(&bot, &c->call, c->retry);

        halt(c->chat, c->retry);

        if (probes) {
            halt(CHATS, c->retry);
        }

    } else {
        i = rnd(10) != 0;
        unprobe(c, i);
        ngx_http_tgbot_pace_answered(&bot, &c->call, i);

        if (i) {
            ngx_http_tgbot_pace_leave(&bot, &c->call);
            c->state = IDLE;
            return;
        }
    }

    if (rnd(4) == 0) {
        ngx_http_tgbot_pace_leave(&bot, &c->call);
        c->state = IDLE;
        return;
    }

    c->state = REPEATS;
    c->next = ngx_current_msec + (c->flooded ? 0 : rnd(300));
}


static void
begin(ngx_uint_t bulk)
{
    call_t      *c;
    ngx_uint_t   i;

    for (i = 0; i < CALLS && calls[i].state != IDLE; i++) {
        /* void */
    }

    if (i == CALLS) {
        return;
    }

    c = &calls[i];

    c->worker = rnd(WORKERS);
    c->chat = rnd(bulk ? CHATS : CHATS + 1);

    set(&c->call, chats[c->chat],
        bulk ? NGX_HTTP_TGBOT_PACE_BULK : rnd(4), 1000 + rnd(60000));
    c->call.data = c;

    if (c->chat == CHATS) {
        c->call.class = NGX_HTTP_TGBOT_PACE_LOOSE;
    }

    enter(c);
}


static void
told(ngx_uint_t worker)
{
    call_t                       *c;
    ngx_uint_t                    i, n;
    ngx_http_tgbot_pace_told_t    t[NGX_HTTP_TGBOT_PACE_BATCH];

    be(worker);

    do {
        rung[worker] = 0;

        n = ngx_http_tgbot_pace_told(zone, t);

        for (i = 0; i < n; i++) {
            c = t[i].data;

            is_int(c->worker, worker);

            c->call.due = t[i].due;
            c->call.ticket = t[i].ticket;

            if (t[i].rc == NGX_OK && c->state == WAITS) {
                goes(c);
            }
        }

    } while (n == NGX_HTTP_TGBOT_PACE_BATCH);
}


static void
look(call_t *c)
{
    be(c->worker);

    if (ngx_http_tgbot_pace_look(&bot, &c->call) == NGX_OK) {
        goes(c);
    }
}


static void
die(ngx_uint_t worker)
{
    ngx_uint_t  i;

    for (i = 0; i < CALLS; i++) {

        if (calls[i].worker == worker && calls[i].state != IDLE) {
            unprobe(&calls[i], 0);

            if (calls[i].state == FLIES && calls[i].arrives) {
                arrive(&calls[i]);
            }

            calls[i].state = IDLE;
        }
    }

    unit_slot_die(worker);

    be(worker);
    ngx_http_tgbot_pace_reap(zone);
}


/* one step of the world; returns whether something is left */

static ngx_uint_t
step(void)
{
    ngx_uint_t   i, left;
    call_t      *c;

    ngx_current_msec += rnd(40);

    for (i = 0; i < WORKERS; i++) {
        if (rung[i] && rnd(3)) {
            told(i);
        }
    }

    left = 0;

    for (i = 0; i < CALLS; i++) {
        c = &calls[i];
        left += (c->state != IDLE);

        if (c->state == FLIES && c->arrives
            && c->arrives <= ngx_current_msec)
        {
            arrive(c);
        }

        if (c->state == FLIES && c->next <= ngx_current_msec) {
            answer(c);

        } else if (c->state == REPEATS && c->next <= ngx_current_msec) {
            enter(c);

        } else if (c->state == WAITS && c->call.due
                   && c->call.due <= ngx_current_msec)
        {
            look(c);
        }
    }

    return left;
}


static void
drain(void)
{
    ngx_uint_t                         i;
    ngx_http_tgbot_pace_zone_state_t   state;

    ngx_memzero(flood, sizeof(flood));

    for (i = 0; i < 50000 && step(); i++) {
        /* void */
    }

    /* nothing waits for ever */

    ok(i < 50000);

    ngx_http_tgbot_pace_zone_state(zone, &state);
    is_int(state.tickets, 0);

    sound();
}


static void
test_free(void)
{
    ngx_uint_t                   i, locks;
    ngx_http_tgbot_pace_call_t   a, b;

    start(1);

    /* nothing is stopped: no lock */

    locks = unit_zone_locks;

    for (i = 0; i < 3; i++) {
        set(&a, "1", i ? NGX_HTTP_TGBOT_PACE_LINE : NGX_HTTP_TGBOT_PACE_LOOSE,
            1000);

        is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
        ngx_http_tgbot_pace_answered(&bot, &a, 1);
        ngx_http_tgbot_pace_leave(&bot, &a);
    }

    is_int(unit_zone_locks, locks);

    /* strict: one after another; other chats go on */

    set(&a, "1", NGX_HTTP_TGBOT_PACE_STRICT, 1000);
    set(&b, "1", NGX_HTTP_TGBOT_PACE_STRICT, 1000);

    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    is_int(ngx_http_tgbot_pace_enter(&bot, &b), NGX_AGAIN);
    is_int(b.reason, NGX_HTTP_TGBOT_PACE_FOR_ORDER);
    is_int(b.due, 0);

    set(&calls[0].call, "2", NGX_HTTP_TGBOT_PACE_STRICT, 1000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &calls[0].call), NGX_OK);
    set(&calls[1].call, "1", NGX_HTTP_TGBOT_PACE_LINE, 1000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &calls[1].call), NGX_AGAIN);
    ngx_http_tgbot_pace_leave(&bot, &calls[1].call);

    ngx_http_tgbot_pace_leave(&bot, &a);
    is_int(rung[0], 1);
    is_int(ngx_http_tgbot_pace_look(&bot, &b), NGX_OK);

    ngx_http_tgbot_pace_leave(&bot, &b);
    ngx_http_tgbot_pace_leave(&bot, &calls[0].call);

    unit_zone_free(zone);
}


static void
test_pause(void)
{
    ngx_http_tgbot_pace_call_t    a, b, c, d;
    ngx_http_tgbot_pace_state_t   state;

    start(1);

    set(&a, "1", NGX_HTTP_TGBOT_PACE_LINE, 60000);
    set(&b, "1", NGX_HTTP_TGBOT_PACE_LINE, 60000);
    set(&c, "1", NGX_HTTP_TGBOT_PACE_LOOSE, 60000);
    set(&d, "1", NGX_HTTP_TGBOT_PACE_LINE, 1000);

    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    is_int(ngx_http_tgbot_pace_enter(&bot, &b), NGX_OK);

    /* two answers do not add up: the later end counts */

    ngx_http_tgbot_pace_stop(&bot, &b, 5000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &b), NGX_AGAIN);
    is_int(b.wait, 5000);

    ngx_current_msec += 1000;

    ngx_http_tgbot_pace_stop(&bot, &a, 5000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_AGAIN);
    is_int(a.wait, 5000);
    is_int(a.due, ngx_current_msec + 5000);
    is_int(a.reason, NGX_HTTP_TGBOT_PACE_FOR_429);

    is_int(ngx_http_tgbot_pace_enter(&bot, &c), NGX_AGAIN);

    /* who would wait for too long does not wait */

    is_int(ngx_http_tgbot_pace_enter(&bot, &d), NGX_BUSY);
    is_int(d.wait, 5000);

    set(&d, "2", NGX_HTTP_TGBOT_PACE_LINE, 1000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &d), NGX_OK);
    ngx_http_tgbot_pace_leave(&bot, &d);

    ngx_http_tgbot_pace_state(&bot, &state);
    is_int(state.paused, 1);
    is_int(state.pauses, 1);
    is_int(state.waiting[NGX_HTTP_TGBOT_PACE_FOR_429], 3);

    /* the first of the line is the probe; all others wait for its answer */

    ngx_current_msec += 5000;

    is_int(ngx_http_tgbot_pace_look(&bot, &b), NGX_AGAIN);
    is_int(ngx_http_tgbot_pace_look(&bot, &c), NGX_AGAIN);
    is_int(ngx_http_tgbot_pace_look(&bot, &a), NGX_OK);
    is_int(ngx_http_tgbot_pace_look(&bot, &c), NGX_AGAIN);

    set(&d, "1", NGX_HTTP_TGBOT_PACE_LINE, 1000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &d), NGX_AGAIN);
    is_int(d.wait, 0);

    ngx_http_tgbot_pace_answered(&bot, &a, 1);
    is_int(ngx_http_tgbot_pace_look(&bot, &c), NGX_OK);
    is_int(c.ticket, 0);
    is_int(ngx_http_tgbot_pace_look(&bot, &b), NGX_AGAIN);

    ngx_http_tgbot_pace_leave(&bot, &a);
    is_int(ngx_http_tgbot_pace_look(&bot, &d), NGX_AGAIN);
    is_int(ngx_http_tgbot_pace_look(&bot, &b), NGX_OK);
    ngx_http_tgbot_pace_leave(&bot, &b);
    is_int(ngx_http_tgbot_pace_look(&bot, &d), NGX_OK);
    ngx_http_tgbot_pace_leave(&bot, &d);

    ngx_http_tgbot_pace_state(&bot, &state);
    is_int(state.paused, 0);

    unit_zone_free(zone);
}


static ngx_int_t
later(ngx_http_tgbot_pace_call_t *call)
{
    return ngx_http_tgbot_pace_later(&bot, call, 5000,
                                     NGX_HTTP_TGBOT_PACE_FOR_PACE);
}


/* other machines let a chat wait: it holds no token meanwhile, and its order */

static void
test_later(void)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_pace_call_t    a, b, c;
    ngx_http_tgbot_pace_state_t   state;

    start(1);

    rates[NGX_HTTP_TGBOT_PACE_ALL].burst = 1;

    set(&a, "1", NGX_HTTP_TGBOT_PACE_BULK, 60000);
    set(&b, "1", NGX_HTTP_TGBOT_PACE_BULK, 60000);
    set(&c, "2", NGX_HTTP_TGBOT_PACE_BULK, 60000);

    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    is_int(ngx_http_tgbot_pace_enter(&bot, &b), NGX_AGAIN);
    is_int(ngx_http_tgbot_pace_enter(&bot, &c), NGX_AGAIN);

    is_int(later(&a), NGX_AGAIN);
    is_int(a.due, ngx_current_msec + 5000);

    /* the token of the bot is the other chat's, at once */

    is_int(ngx_http_tgbot_pace_look(&bot, &c), NGX_OK);
    is_int(ngx_http_tgbot_pace_look(&bot, &b), NGX_AGAIN);

    /* no request was sent: the token goes back */

    c.unsent = 1;
    ngx_http_tgbot_pace_leave(&bot, &c);

    ngx_current_msec += 4999;
    is_int(ngx_http_tgbot_pace_look(&bot, &a), NGX_AGAIN);
    is_int(a.due, ngx_current_msec + 1);

    ngx_current_msec += 1;
    is_int(ngx_http_tgbot_pace_look(&bot, &b), NGX_AGAIN);
    is_int(ngx_http_tgbot_pace_look(&bot, &a), NGX_OK);

    /* who leaves lets the next one ask at once */

    is_int(later(&a), NGX_AGAIN);
    is_int(ngx_http_tgbot_pace_look(&bot, &b), NGX_AGAIN);

    a.unsent = 1;
    ngx_http_tgbot_pace_leave(&bot, &a);
    is_int(ngx_http_tgbot_pace_look(&bot, &b), NGX_OK);

    ngx_http_tgbot_pace_leave(&bot, &b);
    sound();

    /* a call is counted once, however often it has to wait, if it was sent */

    ngx_http_tgbot_pace_state(&bot, &state);
    is_int(state.waited[NGX_HTTP_TGBOT_PACE_FOR_PACE], 3);

    ngx_current_msec += 100000;

    set(&a, "1", NGX_HTTP_TGBOT_PACE_BULK, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);

    for (i = 0; i < 20; i++) {
        is_int(later(&a), NGX_AGAIN);
        a.unsent = 1;
        ngx_http_tgbot_pace_leave(&bot, &a);

        is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    }

    ngx_http_tgbot_pace_leave(&bot, &a);
    ngx_current_msec += 5000;

    ngx_http_tgbot_pace_state(&bot, &state);
    is_int(state.used[0], 0);

    rates[NGX_HTTP_TGBOT_PACE_ALL].burst = 30;

    unit_zone_free(zone);
}


/* the probe's worker dies: the next one goes first */

static void
test_dead(void)
{
    ngx_http_tgbot_pace_call_t   a, b;

    start(1);

    be(1);
    set(&a, "1", NGX_HTTP_TGBOT_PACE_LINE, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    ngx_http_tgbot_pace_stop(&bot, &a, 1000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_AGAIN);

    be(0);
    set(&b, "1", NGX_HTTP_TGBOT_PACE_LINE, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &b), NGX_AGAIN);

    ngx_current_msec += 1000;

    be(1);
    is_int(ngx_http_tgbot_pace_look(&bot, &a), NGX_OK);

    unit_slot_die(1);
    be(1);
    rung[0] = 0;
    ngx_http_tgbot_pace_reap(zone);
    is_int(rung[0], 1);

    be(0);
    is_int(ngx_http_tgbot_pace_look(&bot, &b), NGX_OK);
    ngx_http_tgbot_pace_answered(&bot, &b, 1);
    ngx_http_tgbot_pace_leave(&bot, &b);

    unit_zone_free(zone);
}


/* a repair does not give back the tokens of a request in flight */

static void
test_repaired(void)
{
    static ngx_http_tgbot_pace_call_t   a, b;

    ngx_http_tgbot_pace_told_t    t[NGX_HTTP_TGBOT_PACE_BATCH];
    ngx_http_tgbot_pace_table_t   table;

    start(1);

    set(&a, "1", NGX_HTTP_TGBOT_PACE_BULK, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);

    be(1);
    set(&b, "1", NGX_HTTP_TGBOT_PACE_LOOSE, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &b), NGX_OK);

    if (setjmp(unit_zone_killed) == 0) {
        unit_zone_stop_at = 1;
        ngx_http_tgbot_pace_stop(&bot, &b, 5000);
        ok(0);
    }

    unit_zone_stop_at = 0;
    unit_slot_die(1);

    be(0);
    ngx_http_tgbot_pace_reap(zone);
    is_int(ngx_http_tgbot_pace_told(zone, t), 1);
    is_int(t[0].rc, NGX_OK);

    ngx_http_tgbot_pace_table_open(&table, zone);
    is_int(ngx_http_tgbot_pace_table_bot(&table, bot.entry)->pause.until, 0);
    is_int(ngx_http_tgbot_pace_table_bot(&table, bot.entry)->level[0].flight,
           1);

    ngx_http_tgbot_pace_answered(&bot, &a, 1);
    ngx_http_tgbot_pace_leave(&bot, &a);

    sound();
    unit_zone_free(zone);
}


static void
test_alias(void)
{
    ngx_http_tgbot_pace_call_t   a, b;

    start(1);

    set(&a, "@Five", NGX_HTTP_TGBOT_PACE_LINE, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    ngx_http_tgbot_pace_learn(&bot, &a, -1005);
    ngx_http_tgbot_pace_leave(&bot, &a);

    set(&a, "@five", NGX_HTTP_TGBOT_PACE_LINE, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    ngx_http_tgbot_pace_stop(&bot, &a, 1000);

    set(&b, "-1005", NGX_HTTP_TGBOT_PACE_LINE, 500);
    is_int(ngx_http_tgbot_pace_enter(&bot, &b), NGX_BUSY);
    is_int(b.wait, 1000);

    ngx_http_tgbot_pace_leave(&bot, &a);

    unit_zone_free(zone);
}


/* a start finds pauses, and no tickets */

static void
test_open(void)
{
    ngx_uint_t                         i;
    ngx_http_tgbot_pace_call_t         a, b;
    ngx_http_tgbot_pace_zone_state_t   state;

    for (i = 0; i < 2; i++) {
        start(1);

        set(&a, "1", NGX_HTTP_TGBOT_PACE_LINE, 60000);
        is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
        ngx_http_tgbot_pace_stop(&bot, &a, 1000);

        set(&b, "2", NGX_HTTP_TGBOT_PACE_STRICT, 60000);
        is_int(ngx_http_tgbot_pace_enter(&bot, &b), NGX_OK);

        is_int(unit_zone_start(zone, i ? NGX_HTTP_TGBOT_ZONE_DIRTY
                                       : NGX_HTTP_TGBOT_ZONE_KEPT), NGX_OK);

        ngx_http_tgbot_pace_zone_state(zone, &state);
        is_int(state.tickets, 0);

        set(&a, "1", NGX_HTTP_TGBOT_PACE_LINE, 500);
        is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_BUSY);
        set(&b, "2", NGX_HTTP_TGBOT_PACE_STRICT, 60000);
        is_int(ngx_http_tgbot_pace_enter(&bot, &b), NGX_OK);
        ngx_http_tgbot_pace_leave(&bot, &b);

        sound();
        unit_zone_free(zone);
    }

    /* the machine went down: nothing is trusted */

    start(1);
    set(&a, "1", NGX_HTTP_TGBOT_PACE_LINE, 60000);
    ngx_http_tgbot_pace_stop(&bot, &a, 1000);
    is_int(unit_zone_start(zone, NGX_HTTP_TGBOT_ZONE_TORN), NGX_OK);
    set(&a, "1", NGX_HTTP_TGBOT_PACE_LINE, 500);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    unit_zone_free(zone);
}


static void
hear(const char *chat)
{
    ngx_http_tgbot_pace_call_t  call;

    set(&call, chat, NGX_HTTP_TGBOT_PACE_LOOSE, 0);
    call.data = NULL;

    ngx_http_tgbot_pace_stop(&bot, &call, 1000);
}


/* workers that hear of a pause count it once, also if it has just ended here */

static void
test_heard(void)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_pace_call_t    a;
    ngx_http_tgbot_pace_state_t   state;

    start(1);

    for (i = 0; i < WORKERS; i++) {
        hear("1");
        ngx_current_msec += 1;
    }

    ngx_current_msec += 1000;
    hear("1");

    ngx_http_tgbot_pace_state(&bot, &state);
    is_int(state.pauses, 1);
    is_int(state.paused, 1);

    /* the probe that meets another 429 begins another one */

    ngx_current_msec += 1000;

    set(&a, "1", NGX_HTTP_TGBOT_PACE_LINE, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    ngx_http_tgbot_pace_stop(&bot, &a, 1000);

    ngx_http_tgbot_pace_state(&bot, &state);
    is_int(state.pauses, 2);

    ngx_http_tgbot_pace_leave(&bot, &a);
    unit_zone_free(zone);
}


/* a full zone passes over records that are paused, and counts what it loses */

static void
test_full(void)
{
    char                               name[16];
    ngx_uint_t                         i, n;
    ngx_http_tgbot_pace_call_t         a;
    ngx_http_tgbot_pace_state_t        state;
    ngx_http_tgbot_pace_zone_state_t   zs;

    start(1);

    ngx_http_tgbot_pace_zone_state(zone, &zs);

    for (i = 0; i < zs.total + 10; i++) {
        (void) snprintf(name, sizeof(name), "%d", (int) i + 1);
        set(&a, name, NGX_HTTP_TGBOT_PACE_LOOSE, 60000);
        is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
        ngx_http_tgbot_pace_stop(&bot, &a, 1000);
        ngx_http_tgbot_pace_leave(&bot, &a);
    }

    /* what each worker hears from Redis is lost once */

    (void) snprintf(name, sizeof(name), "%d", (int) i);
    hear(name);
    hear(name);

    ngx_http_tgbot_pace_state(&bot, &state);
    is_int(state.lost, 10);
    is_int(state.paused, zs.total);

    /* pauses that are over make room */

    ngx_current_msec += 1000;

    for (n = 0; n < 10; n++, i++) {
        (void) snprintf(name, sizeof(name), "%d", (int) i + 1);
        set(&a, name, NGX_HTTP_TGBOT_PACE_LOOSE, 60000);
        ngx_http_tgbot_pace_stop(&bot, &a, 1000);
    }

    ngx_http_tgbot_pace_state(&bot, &state);
    is_int(state.lost, 10);

    sound();
    unit_zone_free(zone);
}


/*
 * Calls that the bot's pause stopped leave, of as many chats as the zone has:
 * there is room for other chats, in the pause and after it
 */

static void
test_stopped(void)
{
    char                               name[16];
    ngx_uint_t                         i;
    ngx_http_tgbot_pace_call_t         a, c[4];
    ngx_http_tgbot_pace_zone_state_t   zs;

    start(1);

    set(&a, "", NGX_HTTP_TGBOT_PACE_LOOSE, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    ngx_http_tgbot_pace_stop(&bot, &a, 1000);
    ngx_http_tgbot_pace_leave(&bot, &a);

    /* the first one stays */

    for (i = 0; i < 4; i++) {
        set(&c[i], chats[i], NGX_HTTP_TGBOT_PACE_LINE, 60000);
        is_int(ngx_http_tgbot_pace_enter(&bot, &c[i]), NGX_AGAIN);
    }

    for (i = 1; i < 4; i++) {
        ngx_http_tgbot_pace_leave(&bot, &c[i]);
        sound();
    }

    ngx_http_tgbot_pace_zone_state(zone, &zs);

    for (i = 0; i < 2 * zs.total; i++) {
        (void) snprintf(name, sizeof(name), "%d", (int) i + 100);
        set(&a, name, i % 2 ? NGX_HTTP_TGBOT_PACE_LINE
                            : NGX_HTTP_TGBOT_PACE_BULK, 60000);
        is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_AGAIN);
        ngx_http_tgbot_pace_leave(&bot, &a);
    }

    sound();

    ngx_current_msec += 1000;

    /* whichever comes first after the pause is the one that goes first */

    set(&a, "new", NGX_HTTP_TGBOT_PACE_LINE, 60000);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    is_int(ngx_http_tgbot_pace_look(&bot, &c[0]), NGX_AGAIN);

    ngx_http_tgbot_pace_answered(&bot, &a, 1);
    ngx_http_tgbot_pace_leave(&bot, &a);

    is_int(ngx_http_tgbot_pace_look(&bot, &c[0]), NGX_OK);
    ngx_http_tgbot_pace_leave(&bot, &c[0]);

    sound();
    unit_zone_free(zone);
}


/* bulk: the buckets of chat, group and bot; nothing is held for one not due */

static void
test_pace(void)
{
    char                         name[32][8];
    ngx_uint_t                   i, n;
    ngx_http_tgbot_pace_call_t   c[40], a;

    start(1);

    /* one chat: three at once, then one a second */

    for (i = 0; i < 5; i++) {
        set(&c[i], "1", NGX_HTTP_TGBOT_PACE_BULK, 10000);
        is_int(ngx_http_tgbot_pace_enter(&bot, &c[i]), i ? NGX_AGAIN : NGX_OK);
    }

    for (i = 0; i < 3; i++) {
        is_int(ngx_http_tgbot_pace_look(&bot, &c[i]), NGX_OK);
        ngx_http_tgbot_pace_answered(&bot, &c[i], 1);
        ngx_http_tgbot_pace_leave(&bot, &c[i]);

        /* for so long the clock of a worker may be late */

        ngx_current_msec += 6;
    }

    is_int(ngx_http_tgbot_pace_look(&bot, &c[3]), NGX_AGAIN);
    ok(c[3].due > ngx_current_msec && c[3].due <= ngx_current_msec + 1006);

    /* the place of one that is cancelled goes to the next */

    ngx_http_tgbot_pace_leave(&bot, &c[3]);
    is_int(ngx_http_tgbot_pace_look(&bot, &c[4]), NGX_AGAIN);

    n = c[4].due - ngx_current_msec;
    ok(n <= 1006);

    /* who would wait for longer than it may gets no place */

    set(&a, "1", NGX_HTTP_TGBOT_PACE_BULK, 1500);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_BUSY);
    ok(a.wait > 1500 && a.wait < 2100);

    /* other chats use what is left of the bot's 30 */

    for (i = 0; i < 27; i++) {
        (void) snprintf(name[i], 8, "%d", (int) i + 10);
        set(&c[i + 5], name[i], NGX_HTTP_TGBOT_PACE_BULK, 1);
        is_int(ngx_http_tgbot_pace_enter(&bot, &c[i + 5]), NGX_OK);
        ngx_http_tgbot_pace_answered(&bot, &c[i + 5], 1);
        ngx_http_tgbot_pace_leave(&bot, &c[i + 5]);
    }

    set(&a, "99", NGX_HTTP_TGBOT_PACE_BULK, 1);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_BUSY);
    ok(a.wait <= 40);

    set(&a, "99", NGX_HTTP_TGBOT_PACE_BULK, 1);
    a.paid = 1;
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    ngx_http_tgbot_pace_leave(&bot, &a);

    /* answers to people are not paced */

    set(&a, "1", NGX_HTTP_TGBOT_PACE_LINE, 1);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_OK);
    ngx_http_tgbot_pace_leave(&bot, &a);

    ngx_current_msec += n;
    is_int(ngx_http_tgbot_pace_look(&bot, &c[4]), NGX_OK);
    ngx_http_tgbot_pace_leave(&bot, &c[4]);

    sound();
    unit_zone_free(zone);
}


/* a chat with many calls does not wait as if all others had as many */

static void
test_estimate(void)
{
    char                         name[100][8];
    ngx_uint_t                   i;
    ngx_http_tgbot_pace_call_t   a, c[100], d[20];

    start(1);

    /* the tokens of the bot are in flight, 70 chats are ready for one */

    for (i = 0; i < 100; i++) {
        (void) snprintf(name[i], 8, "%d", (int) i + 10);
        set(&c[i], name[i], NGX_HTTP_TGBOT_PACE_BULK, 10000);
        is_int(ngx_http_tgbot_pace_enter(&bot, &c[i]),
               i < 30 ? NGX_OK : NGX_AGAIN);
    }

    /* 20 calls to a chat take 17 s, 90 calls of the bot take 3 s */

    for (i = 0; i < 20; i++) {
        set(&d[i], "1", NGX_HTTP_TGBOT_PACE_BULK, 18000);
        is_int(ngx_http_tgbot_pace_enter(&bot, &d[i]), NGX_AGAIN);
    }

    /* the second call of one of the others waits behind the 90 that wait */

    set(&a, name[99], NGX_HTTP_TGBOT_PACE_BULK, 1500);
    is_int(ngx_http_tgbot_pace_enter(&bot, &a), NGX_BUSY);
    ok(a.wait >= 2900 && a.wait <= 3100);

    for (i = 0; i < 100; i++) {
        ngx_http_tgbot_pace_leave(&bot, &c[i]);
    }

    for (i = 0; i < 20; i++) {
        ngx_http_tgbot_pace_leave(&bot, &d[i]);
    }

    sound();
    unit_zone_free(zone);
}


/*
 * What is allowed is used, and no more: 2000 calls to 300 chats and 20 groups,
 * of workers that have some of them under way at a time
 */

static void
test_rate(void)
{
    char                          name[320][8];
    uint64_t                      us, chat[320];
    ngx_uint_t                    i, n, of[CALLS], begun;
    ngx_msec_t                    began, took;
    call_t                       *c;
    ngx_http_tgbot_pace_state_t   state;

    start(3);

    ngx_memzero(chat, sizeof(chat));

    for (i = 0; i < 320; i++) {
        (void) snprintf(name[i], 8, "%d", i < 300 ? (int) i + 1 : -(int) i);
    }

    began = ngx_current_msec;
    begun = 0;

    while (sent < 2000) {
        ngx_current_msec += rnd(5);

        for (i = 0; i < CALLS; i++) {
            c = &calls[i];
            us = (uint64_t) ngx_current_msec * 1000;

            switch (c->state) {

            case IDLE:
                if (begun == 2000) {
                    break;
                }

                of[i] = begun++ % 320;
                c->worker = i % WORKERS;
                be(c->worker);

                set(&c->call, name[of[i]], NGX_HTTP_TGBOT_PACE_BULK, 30000);
                c->call.data = c;
                n = ngx_http_tgbot_pace_enter(&bot, &c->call);
                ok(n == NGX_OK || n == (ngx_uint_t) NGX_AGAIN);
                c->state = (n == NGX_OK) ? FLIES : WAITS;
                c->arrives = ngx_current_msec + rnd(30);
                break;

            case WAITS:
                be(c->worker);

                if ((c->call.due && c->call.due <= ngx_current_msec
                     && ngx_http_tgbot_pace_look(&bot, &c->call) == NGX_OK))
                {
                    c->state = FLIES;
                    c->arrives = ngx_current_msec + rnd(30);
                }

                break;

            case FLIES:
                if (c->arrives > ngx_current_msec) {
                    break;
                }

                take(CHATS + 1, NGX_HTTP_TGBOT_PACE_ALL);
                n = (of[i] < 300) ? NGX_HTTP_TGBOT_PACE_CHATS
                                  : NGX_HTTP_TGBOT_PACE_GROUPS;

                chat[of[i]] = ngx_max(chat[of[i]], us) + rates[n].period;
                ok(chat[of[i]] - us
                   <= (uint64_t) rates[n].burst * rates[n].period);

                be(c->worker);
                ngx_http_tgbot_pace_answered(&bot, &c->call, 1);
                ngx_http_tgbot_pace_leave(&bot, &c->call);
                c->state = IDLE;
                sent++;
                break;

            default:
                break;
            }
        }

        for (i = 0; i < WORKERS; i++) {
            if (rung[i]) {
                rate_told(i);
            }
        }
    }

    /* the first 30 at once, then 30 a second */

    took = ngx_current_msec - began;

    ok(took * 95 / 100 <= (2000 - 30) * 1000 / 30);

    ngx_http_tgbot_pace_state(&bot, &state);
    ok(state.used[0] >= 28 && state.used[0] <= 31);

    sound();
    unit_zone_free(zone);
}


/* tickets that may go: "goes" without its checks, which know fewer chats */

static void
rate_told(ngx_uint_t worker)
{
    call_t                       *c;
    ngx_uint_t                    i, n;
    ngx_http_tgbot_pace_told_t    t[NGX_HTTP_TGBOT_PACE_BATCH];

    be(worker);
    rung[worker] = 0;

    n = ngx_http_tgbot_pace_told(zone, t);

    for (i = 0; i < n; i++) {
        c = t[i].data;
        c->call.due = t[i].due;

        if (t[i].rc == NGX_OK && c->state == WAITS) {
            c->state = FLIES;
            c->arrives = ngx_current_msec + rnd(30);
        }
    }
}


static void
test_world(void)
{
    uint64_t    s;
    ngx_uint_t  i;

    for (s = 1; s <= SEEDS; s++) {
        start(s);
        unit_context("seed %d", (int) s);

        for (i = 0; i < 3000; i++) {

            if (rnd(3) == 0) {
                begin(s % 3 == 0);
            }

            if (s % 3 && rnd(200) == 0) {
                flood[rnd(20) ? rnd(CHATS) : CHATS] =
                                         ngx_current_msec + 1 + rnd(3000);
            }

            if (s % 2 && rnd(300) == 0) {
                die(rnd(WORKERS));
            }

            (void) step();

            if (i % 100 == 0) {
                sound();
            }
        }

        drain();
        unit_zone_free(zone);
    }
}


/* killed inside the lock */

static void
test_killed(void)
{
    static uint64_t    s;
    static ngx_uint_t  i, kills, worker;

    kills = 0;

    for (s = 1; s <= SEEDS; s++) {
        start(s + 1000);
        unit_context("killed, seed %d", (int) s);

        for (i = 0; i < 2000; i++) {
            worker = WORKERS;

            if (setjmp(unit_zone_killed) == 0) {

                if (rnd(20) == 0) {
                    unit_zone_stop_at = 1 + rnd(12);
                }

                if (rnd(3) == 0) {
                    begin(0);
                }

                if (rnd(200) == 0) {
                    flood[rnd(20) ? rnd(CHATS) : CHATS] =
                                         ngx_current_msec + 1 + rnd(3000);
                }

                (void) step();

            } else {
                kills++;
                worker = ngx_http_tgbot_lease_slot();
            }

            unit_zone_stop_at = 0;

            if (worker < WORKERS) {
                die(worker);
                sound();
            }
        }

        drain();
        unit_zone_free(zone);
    }

    ok(kills > 100);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "a call that waits for nothing takes no lock", test_free },
        { "a 429 stops its chat, and one call goes first", test_pause },
        { "other machines let a chat wait for longer", test_later },
        { "a probe of a dead worker frees the next", test_dead },
        { "a request in flight keeps its tokens over a repair", test_repaired },
        { "a name and an id of one chat", test_alias },
        { "a start keeps pauses", test_open },
        { "a pause of another machine", test_heard },
        { "a full zone", test_full },
        { "a full zone in a pause of the bot", test_stopped },
        { "bulk", test_pace },
        { "the wait of bulk", test_estimate },
        { "rate", test_rate },
        { "a world of workers", test_world },
        { "workers killed inside the lock", test_killed },
    };

    return unit_main(cases, unit_n(cases));
}
