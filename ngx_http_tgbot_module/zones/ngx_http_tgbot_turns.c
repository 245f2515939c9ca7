
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_turns.h"
#include "ngx_http_tgbot_turns_table.h"


/*
 * Microseconds by which the clock of a worker may be behind the answer that it
 * read: nginx reads a coarse clock, and not for each event.
 */
#define NGX_HTTP_TGBOT_TURNS_CLOCK   5000

/* "wait" of a call for which there is no room, ms */
#define NGX_HTTP_TGBOT_TURNS_FULL    1000

/* calls of bulk are counted for so long, ms */
#define NGX_HTTP_TGBOT_TURNS_WINDOW  5000

/* no time */
#define NGX_HTTP_TGBOT_TURNS_NEVER   ((uint64_t) -1)


static ngx_int_t ngx_http_tgbot_turns_line_up(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_t *turns, ngx_http_tgbot_turns_bot_t *bot,
    ngx_http_tgbot_turns_call_t *call);
static ngx_uint_t ngx_http_tgbot_turns_held(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot, ngx_http_tgbot_turns_record_t *record,
    ngx_uint_t class);
static ngx_http_tgbot_turns_ticket_t *ngx_http_tgbot_turns_ticket(
    ngx_http_tgbot_turns_table_t *t, ngx_http_tgbot_turns_call_t *call);
static ngx_int_t ngx_http_tgbot_turns_result(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket, ngx_http_tgbot_turns_call_t *call);
static void ngx_http_tgbot_turns_estimate(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket, ngx_http_tgbot_turns_call_t *call);
static ngx_msec_t ngx_http_tgbot_turns_queue(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket);
static void ngx_http_tgbot_turns_again(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket);
static void ngx_http_tgbot_turns_keep(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_t *turns, ngx_http_tgbot_turns_call_t *call);
static ngx_http_tgbot_turns_ticket_t *ngx_http_tgbot_turns_add(
    ngx_http_tgbot_turns_table_t *t, ngx_http_tgbot_turns_record_t *record,
    ngx_http_tgbot_turns_call_t *call);
static ngx_uint_t ngx_http_tgbot_turns_is_probe(
    ngx_http_tgbot_turns_table_t *t, ngx_http_tgbot_turns_ticket_t *ticket);
static void ngx_http_tgbot_turns_pause(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot, ngx_http_tgbot_turns_pause_t *pause,
    ngx_msec_t until, uint32_t n);
static void ngx_http_tgbot_turns_unpause(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot, ngx_http_tgbot_turns_pause_t *pause,
    uint32_t n, ngx_uint_t answered);
static void ngx_http_tgbot_turns_drop(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket);
static void ngx_http_tgbot_turns_halt(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket);
static void ngx_http_tgbot_turns_go(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket);
static void ngx_http_tgbot_turns_tell(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket, ngx_msec_t due);
static void ngx_http_tgbot_turns_move(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_record_t *record);
static ngx_http_tgbot_turns_ticket_t *ngx_http_tgbot_turns_first(
    ngx_http_tgbot_turns_table_t *t, ngx_http_tgbot_turns_record_t *record);
static ngx_uint_t ngx_http_tgbot_turns_stopped(
    ngx_http_tgbot_turns_table_t *t, ngx_http_tgbot_turns_record_t *record,
    ngx_msec_t *due);
static void ngx_http_tgbot_turns_advance(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_record_t *record);
static void ngx_http_tgbot_turns_advance_bot(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot);
static uint64_t ngx_http_tgbot_turns_chat_due(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket, ngx_uint_t n);
static void ngx_http_tgbot_turns_drain(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot, ngx_uint_t paid);
static void ngx_http_tgbot_turns_unready(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_record_t *record);
static uint64_t ngx_http_tgbot_turns_due(ngx_http_tgbot_turns_level_t *level,
    ngx_http_tgbot_turns_rate_t *rate, ngx_uint_t n, ngx_msec_t now);
static void ngx_http_tgbot_turns_landed(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket);
static void ngx_http_tgbot_turns_charge(ngx_http_tgbot_turns_level_t *level,
    ngx_http_tgbot_turns_rate_t *rate, ngx_msec_t now);
static void ngx_http_tgbot_turns_count(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot);


static uint64_t    ngx_http_tgbot_turns_bell;
static ngx_uint_t  ngx_http_tgbot_turns_worker;
static void      (*ngx_http_tgbot_turns_ring)(uint64_t bell,
    ngx_uint_t worker);


void
ngx_http_tgbot_turns_init_process(uint64_t bell, ngx_uint_t worker,
    void (*ring)(uint64_t bell, ngx_uint_t worker))
{
    ngx_http_tgbot_turns_bell = bell;
    ngx_http_tgbot_turns_worker = worker;
    ngx_http_tgbot_turns_ring = ring;
}


ngx_int_t
ngx_http_tgbot_turns_enter(ngx_http_tgbot_turns_t *turns,
    ngx_http_tgbot_turns_call_t *call)
{
    ngx_int_t                       rc;
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_table_t    t;

    ngx_http_tgbot_turns_table_open(&t, turns->zone);

    call->due = 0;
    call->wait = 0;

    bot = ngx_http_tgbot_zone_bots_entry(&t.bots, turns);
    if (bot == NULL) {
        return NGX_OK;
    }

    if (call->seq == 0) {
        call->seq = ngx_atomic_fetch_add(&t.sh->seq, 1) + 1;
    }

    if (call->ticket == 0
        && call->class <= NGX_HTTP_TGBOT_TURNS_LINE
        && *(volatile uint32_t *) &bot->active == 0)
    {
        return NGX_OK;
    }

    ngx_http_tgbot_turns_table_lock(&t);

    rc = ngx_http_tgbot_turns_line_up(&t, turns, bot, call);

    ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);

    return rc;
}


static ngx_int_t
ngx_http_tgbot_turns_line_up(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_t *turns, ngx_http_tgbot_turns_bot_t *bot,
    ngx_http_tgbot_turns_call_t *call)
{
    ngx_http_tgbot_turns_record_t  *record;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    ticket = ngx_http_tgbot_turns_ticket(t, call);

    if (ticket == NULL) {
        record = ngx_http_tgbot_turns_table_record(t, turns, &call->chat, 0);

        if (call->class <= NGX_HTTP_TGBOT_TURNS_LINE
            && !ngx_http_tgbot_turns_held(t, bot, record, call->class))
        {
            return NGX_OK;
        }

        if (record == NULL) {
            record = ngx_http_tgbot_turns_table_record(t, turns, &call->chat,
                                                       1);
        }

        ticket = ngx_http_tgbot_turns_add(t, record, call);

        if (ticket == NULL) {
            call->wait = NGX_HTTP_TGBOT_TURNS_FULL;
            return NGX_BUSY;
        }

    } else if (!ticket->waits) {
        ngx_http_tgbot_turns_halt(t, ticket);

    } else {
        bot->waiting[ticket->reason]--;
    }

    if (call->class == NGX_HTTP_TGBOT_TURNS_BULK && call->rates) {
        ngx_memcpy(bot->rates, call->rates, sizeof(bot->rates));
    }

    ngx_http_tgbot_turns_estimate(t, ticket, call);

    ticket->reason = call->reason;
    bot->waiting[ticket->reason]++;

    if (call->wait > call->limit) {
        ngx_http_tgbot_turns_drop(t, ticket);
        call->ticket = 0;

        return NGX_BUSY;
    }

    t->self = ticket - t->tickets;

    ngx_http_tgbot_turns_move(t, &t->records[ticket->record]);

    if (ticket->waits) {
        bot->waited[ticket->reason]++;
    }

    return ngx_http_tgbot_turns_result(t, ticket, call);
}


/* whether a call without a ticket has to wait, or to go first */

static ngx_uint_t
ngx_http_tgbot_turns_held(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot, ngx_http_tgbot_turns_record_t *record,
    ngx_uint_t class)
{
    ngx_http_tgbot_turns_ticket_t  *first;

    if (bot->pause.until) {
        return 1;
    }

    if (record == NULL) {
        return 0;
    }

    if (record->pause.until) {
        return 1;
    }

    if (class == NGX_HTTP_TGBOT_TURNS_LOOSE || record->line.n == 0) {
        return 0;
    }

    /* a strict call in flight holds only strict ones */

    first = &t->tickets[record->line.first];

    return record->line.n > 1
           || first->class != NGX_HTTP_TGBOT_TURNS_STRICT
           || first->waits
           || first->repeated;
}


/* NULL: there is none, or a worker that took this one for dead took it away */

static ngx_http_tgbot_turns_ticket_t *
ngx_http_tgbot_turns_ticket(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_call_t *call)
{
    ngx_http_tgbot_turns_ticket_t  *ticket;

    if (call->ticket == 0) {
        return NULL;
    }

    ticket = &t->tickets[call->ticket - 1];

    if (ticket->epoch == ngx_http_tgbot_lease_self()
        && ticket->slot == ngx_http_tgbot_lease_slot()
        && ticket->seq == call->seq)
    {
        return ticket;
    }

    call->ticket = 0;

    return NULL;
}


/* a loose call that goes needs no ticket, but as a probe */

static ngx_int_t
ngx_http_tgbot_turns_result(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket, ngx_http_tgbot_turns_call_t *call)
{
    if (ticket->waits) {
        call->due = ticket->due ? ngx_http_tgbot_zone_out(t->zone, ticket->due)
                                : 0;
        return NGX_AGAIN;
    }

    ngx_http_tgbot_turns_table_unmail(t, ticket);

    if (ticket->class == NGX_HTTP_TGBOT_TURNS_LOOSE
        && !ngx_http_tgbot_turns_is_probe(t, ticket))
    {
        ngx_http_tgbot_turns_table_free(t, ticket);
        call->ticket = 0;
    }

    return NGX_OK;
}


/* sets "wait", and the reason of it */

static void
ngx_http_tgbot_turns_estimate(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket, ngx_http_tgbot_turns_call_t *call)
{
    ngx_msec_t                      due, queue;
    ngx_http_tgbot_turns_record_t  *record;

    record = &t->records[ticket->record];

    call->wait = 0;
    call->reason = NGX_HTTP_TGBOT_TURNS_FOR_ORDER;

    if (ngx_http_tgbot_turns_stopped(t, record, &due)) {
        call->wait = due ? due - t->now : 0;
        call->reason = NGX_HTTP_TGBOT_TURNS_FOR_429;
    }

    if (ticket->class != NGX_HTTP_TGBOT_TURNS_BULK) {
        return;
    }

    if (call->reason == NGX_HTTP_TGBOT_TURNS_FOR_ORDER && record->line.n == 0) {
        call->reason = NGX_HTTP_TGBOT_TURNS_FOR_PACE;
    }

    queue = ngx_http_tgbot_turns_queue(t, ticket);
    call->wait = ngx_max(call->wait, queue);
}


/*
 * Milliseconds for the tickets of bulk before this one, which is new: those of
 * its chat, each of which passes through those of the bot that are ready
 */

static ngx_msec_t
ngx_http_tgbot_turns_queue(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket)
{
    uint64_t                        chat, all, n;
    ngx_uint_t                      ahead;
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_rate_t    *rate;
    ngx_http_tgbot_turns_record_t  *record;

    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);
    rate = &bot->rates[NGX_HTTP_TGBOT_TURNS_ALL + ticket->paid];

    ahead = (record->bulk.first == (uint32_t) (ticket - t->tickets))
            ? 1 : record->bulk.n - record->sent;

    chat = ngx_http_tgbot_turns_chat_due(t, ticket, ahead);
    chat -= (uint64_t) t->now * 1000;

    n = bot->ready[ticket->paid].n;

    all = ngx_http_tgbot_turns_due(&bot->level[ticket->paid], rate, n + 1,
                                   t->now);
    all -= (uint64_t) t->now * 1000;

    n *= (uint64_t) ahead * rate->period;

    all = ngx_max(all, n);
    all = ngx_max(all, chat);

    return (ngx_msec_t) (all / 1000);
}


ngx_int_t
ngx_http_tgbot_turns_look(ngx_http_tgbot_turns_t *turns,
    ngx_http_tgbot_turns_call_t *call)
{
    ngx_int_t                       rc;
    ngx_http_tgbot_turns_table_t    t;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    ngx_http_tgbot_turns_table_open(&t, turns->zone);

    call->due = 0;

    ngx_http_tgbot_turns_table_lock(&t);

    ticket = ngx_http_tgbot_turns_ticket(&t, call);

    if (ticket == NULL) {
        ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);

        return ngx_http_tgbot_turns_enter(turns, call);
    }

    t.self = ticket - t.tickets;

    ngx_http_tgbot_turns_again(&t, ticket);

    rc = ngx_http_tgbot_turns_result(&t, ticket, call);

    ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);

    return rc;
}


/* a ticket that may go since it was told, but was stopped since, waits again */

static void
ngx_http_tgbot_turns_again(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket)
{
    ngx_uint_t                      i;
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_pause_t   *pause[2];
    ngx_http_tgbot_turns_record_t  *record;

    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);

    pause[0] = &record->pause;
    pause[1] = &bot->pause;

    for (i = 0; i < 2 && !ticket->waits; i++) {

        if (pause[i]->until
            && (pause[i]->probe != t->self
                || (ngx_msec_int_t) (pause[i]->until - t->now) > 0))
        {
            ngx_http_tgbot_turns_halt(t, ticket);
            bot->waiting[ticket->reason]++;
        }
    }

    if (ticket->waits) {
        ticket->due = 0;
        ngx_http_tgbot_turns_move(t, record);
    }
}


void
ngx_http_tgbot_turns_stop(ngx_http_tgbot_turns_t *turns,
    ngx_http_tgbot_turns_call_t *call, ngx_msec_t pause)
{
    uint32_t                        n;
    ngx_msec_t                      until;
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_table_t    t;
    ngx_http_tgbot_turns_record_t  *record;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    ngx_http_tgbot_turns_table_open(&t, turns->zone);

    bot = ngx_http_tgbot_zone_bots_entry(&t.bots, turns);
    if (bot == NULL) {
        return;
    }

    until = t.now + pause;
    until += (until == 0);

    ngx_http_tgbot_turns_table_lock(&t);

    ticket = ngx_http_tgbot_turns_ticket(&t, call);
    n = ticket ? (uint32_t) (ticket - t.tickets) : NGX_HTTP_TGBOT_TURNS_NIL;

    record = ticket ? &t.records[ticket->record]
                    : ngx_http_tgbot_turns_table_record(&t, turns, &call->chat,
                                                        1);

    if (ticket) {
        ngx_http_tgbot_turns_landed(&t, ticket);
        ticket->repeated = 1;
    }

    if (call->chat.len == 0
        || (ticket && bot->pause.probe == n))
    {
        ngx_http_tgbot_turns_pause(&t, bot, &bot->pause, until, n);
    }

    if (call->chat.len == 0) {
        /* void */

    } else if (record) {
        ngx_http_tgbot_turns_pause(&t, bot, &record->pause, until, n);

    } else {
        bot->lost++;
    }

    if (ticket == NULL && record) {
        ngx_http_tgbot_turns_keep(&t, turns, call);
    }

    if (record) {
        ngx_http_tgbot_turns_move(&t, record);
    }

    ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);
}


void
ngx_http_tgbot_turns_answered(ngx_http_tgbot_turns_t *turns,
    ngx_http_tgbot_turns_call_t *call, ngx_uint_t answered)
{
    uint32_t                        n;
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_table_t    t;
    ngx_http_tgbot_turns_record_t  *record;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    if (call->ticket == 0
        && (answered || call->class != NGX_HTTP_TGBOT_TURNS_LINE))
    {
        return;
    }

    ngx_http_tgbot_turns_table_open(&t, turns->zone);
    ngx_http_tgbot_turns_table_lock(&t);

    ticket = ngx_http_tgbot_turns_ticket(&t, call);

    if (ticket) {
        n = ticket - t.tickets;
        record = &t.records[ticket->record];
        bot = ngx_http_tgbot_turns_table_bot(&t, record->entry);

        ngx_http_tgbot_turns_landed(&t, ticket);
        ticket->repeated = 1;

        ngx_http_tgbot_turns_unpause(&t, bot, &record->pause, n, answered);
        ngx_http_tgbot_turns_unpause(&t, bot, &bot->pause, n, answered);

        ngx_http_tgbot_turns_move(&t, record);

    } else if (!answered) {
        ngx_http_tgbot_turns_keep(&t, turns, call);
    }

    ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);
}


/* a call of the line that failed keeps its place from now on */

static void
ngx_http_tgbot_turns_keep(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_t *turns, ngx_http_tgbot_turns_call_t *call)
{
    ngx_http_tgbot_turns_record_t  *record;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    if (call->class != NGX_HTTP_TGBOT_TURNS_LINE
        || ngx_http_tgbot_zone_bots_entry(&t->bots, turns) == NULL)
    {
        return;
    }

    record = ngx_http_tgbot_turns_table_record(t, turns, &call->chat, 1);

    ticket = ngx_http_tgbot_turns_add(t, record, call);

    if (ticket) {
        ticket->waits = 0;
        ticket->repeated = 1;
        record->going++;
    }
}


/* a ticket of this worker, which can be rung from now on; NULL: no room */

static ngx_http_tgbot_turns_ticket_t *
ngx_http_tgbot_turns_add(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_record_t *record, ngx_http_tgbot_turns_call_t *call)
{
    ngx_uint_t  slot;

    if (record == NULL) {
        return NULL;
    }

    slot = ngx_http_tgbot_lease_slot();

    t->slots[slot].bell = ngx_http_tgbot_turns_bell;
    t->slots[slot].worker = ngx_http_tgbot_turns_worker;
    t->sh->nslots = ngx_max(t->sh->nslots, slot + 1);

    return ngx_http_tgbot_turns_table_add(t, record, call);
}


static ngx_uint_t
ngx_http_tgbot_turns_is_probe(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket)
{
    uint32_t                        n;
    ngx_http_tgbot_turns_record_t  *record;

    n = ticket - t->tickets;
    record = &t->records[ticket->record];

    return record->pause.probe == n
           || ngx_http_tgbot_turns_table_bot(t, record->entry)->pause.probe
              == n;
}


static void
ngx_http_tgbot_turns_pause(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot, ngx_http_tgbot_turns_pause_t *pause,
    ngx_msec_t until, uint32_t n)
{
    if (pause->until == 0) {
        pause->until = until;

        bot->active++;
        bot->paused++;
        bot->pauses++;

    } else {

        /* an answer to a call that was in flight when the pause began */

        if ((ngx_msec_int_t) (t->now - pause->until) >= 0) {
            bot->pauses++;
        }

        if ((ngx_msec_int_t) (until - pause->until) > 0) {
            pause->until = until;
        }
    }

    ngx_http_tgbot_zone_stop("turns: paused");

    if (pause->probe == n) {
        pause->probe = NGX_HTTP_TGBOT_TURNS_NIL;
    }
}


/* the ticket is the probe no more; an answer ends the pause */

static void
ngx_http_tgbot_turns_unpause(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot, ngx_http_tgbot_turns_pause_t *pause,
    uint32_t n, ngx_uint_t answered)
{
    if (pause->probe != n) {
        return;
    }

    pause->probe = NGX_HTTP_TGBOT_TURNS_NIL;

    ngx_http_tgbot_zone_stop("turns: no probe");

    if (answered && (ngx_msec_int_t) (t->now - pause->until) >= 0) {
        pause->until = 0;

        bot->active--;
        bot->paused--;
    }
}


void
ngx_http_tgbot_turns_learn(ngx_http_tgbot_turns_t *turns,
    ngx_http_tgbot_turns_call_t *call, int64_t id)
{
    u_char                          buf[NGX_INT64_LEN];
    ngx_str_t                       chat;
    ngx_http_tgbot_turns_table_t    t;
    ngx_http_tgbot_turns_record_t  *record, *target;

    ngx_http_tgbot_turns_table_open(&t, turns->zone);

    if (id == 0 || ngx_http_tgbot_zone_bots_entry(&t.bots, turns) == NULL) {
        return;
    }

    chat.data = buf;
    chat.len = ngx_sprintf(buf, "%L", id) - buf;

    ngx_http_tgbot_turns_table_lock(&t);

    record = ngx_http_tgbot_turns_table_record(&t, turns, &call->chat, 1);

    /* others that wait there keep their order: the next answer tells again */

    if (record
        && record->key.data[0] == '@'
        && record->pause.until == 0
        && record->tickets <= (call->ticket != 0))
    {
        target = ngx_http_tgbot_turns_table_record(&t, turns, &chat, 1);

        if (target) {
            target->chat.full = ngx_max(target->chat.full, record->chat.full);
            target->group.full = ngx_max(target->group.full,
                                         record->group.full);
            record->alias = id;
        }
    }

    ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);
}


void
ngx_http_tgbot_turns_leave(ngx_http_tgbot_turns_t *turns,
    ngx_http_tgbot_turns_call_t *call)
{
    ngx_http_tgbot_turns_table_t    t;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    if (call->ticket) {
        ngx_http_tgbot_turns_table_open(&t, turns->zone);
        ngx_http_tgbot_turns_table_lock(&t);

        ticket = ngx_http_tgbot_turns_ticket(&t, call);

        if (ticket) {
            ngx_http_tgbot_turns_drop(&t, ticket);
        }

        ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);
    }

    call->ticket = 0;
    call->seq = 0;
}


/* frees the ticket, and lets go those that waited for it */

static void
ngx_http_tgbot_turns_drop(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket)
{
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_record_t  *record;

    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);

    if (!ticket->waits) {
        ngx_http_tgbot_turns_halt(t, ticket);

    } else {
        bot->waiting[ticket->reason]--;
    }

    ngx_http_tgbot_turns_table_free(t, ticket);

    ngx_http_tgbot_turns_move(t, record);
}


/* a ticket that went waits again; it is not counted as waiting */

static void
ngx_http_tgbot_turns_halt(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket)
{
    uint32_t                        n;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_turns_links(
                                                           t->tickets, link);
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_record_t  *record;

    n = ticket - t->tickets;
    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);

    ngx_http_tgbot_turns_landed(t, ticket);

    ngx_http_tgbot_turns_unpause(t, bot, &record->pause, n, 0);
    ngx_http_tgbot_turns_unpause(t, bot, &bot->pause, n, 0);

    ticket->waits = 1;
    ticket->due = 0;

    switch (ticket->class) {

    case NGX_HTTP_TGBOT_TURNS_LOOSE:
        ticket->listed = 1;
        ngx_http_tgbot_list_append(&links, &record->loose, n);
        break;

    case NGX_HTTP_TGBOT_TURNS_BULK:
        record->sent--;
        break;

    default:
        record->going--;
    }
}


static void
ngx_http_tgbot_turns_go(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket)
{
    uint32_t                        n;
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_record_t  *record;

    n = ticket - t->tickets;
    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);

    if (record->pause.until) {
        record->pause.probe = n;
    }

    if (bot->pause.until) {
        bot->pause.probe = n;
    }

    ngx_http_tgbot_zone_stop("turns: going");

    ticket->waits = 0;
    bot->waiting[ticket->reason]--;

    switch (ticket->class) {

    case NGX_HTTP_TGBOT_TURNS_LOOSE:
        ngx_http_tgbot_turns_table_unlist(t, ticket);
        break;

    case NGX_HTTP_TGBOT_TURNS_BULK:
        record->sent++;

        ticket->flight = 1;
        record->chat.flight++;
        record->group.flight += ticket->group;
        bot->level[ticket->paid].flight++;

        ngx_http_tgbot_turns_count(t, bot);
        bot->count[ticket->paid]++;
        break;

    default:
        record->going++;
    }

    if (n != t->self) {
        ngx_http_tgbot_turns_table_mail(t, ticket);
    }
}


/* the worker of the ticket is to look again at this time, 0: not by itself */

static void
ngx_http_tgbot_turns_tell(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket, ngx_msec_t due)
{
    if (ticket->due == due) {
        return;
    }

    ticket->due = due;

    if (due && (uint32_t) (ticket - t->tickets) != t->self) {
        ngx_http_tgbot_turns_table_mail(t, ticket);
    }
}


/* after any change: whoever may go now goes */

static void
ngx_http_tgbot_turns_move(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_record_t *record)
{
    ngx_http_tgbot_turns_bot_t  *bot;

    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);

    ngx_http_tgbot_turns_advance(t, record);
    ngx_http_tgbot_turns_advance_bot(t, bot);
    ngx_http_tgbot_turns_drain(t, bot, 0);
    ngx_http_tgbot_turns_drain(t, bot, 1);
}


/* the ticket of the record that is the next to go, people before bulk */

static ngx_http_tgbot_turns_ticket_t *
ngx_http_tgbot_turns_first(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_record_t *record)
{
    if (record->line.n && record->going == 0) {
        return &t->tickets[record->line.first];
    }

    if (record->loose.n) {
        return &t->tickets[record->loose.first];
    }

    if (record->bulk.n && record->sent == 0 && record->line.n == 0) {
        return &t->tickets[record->bulk.first];
    }

    return NULL;
}


/*
 * Whether a pause of the chat or of the bot stops all tickets of the record;
 * *due becomes its end, or 0 if the answer to a probe ends the pause.
 */

static ngx_uint_t
ngx_http_tgbot_turns_stopped(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_record_t *record, ngx_msec_t *due)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_turns_bot_t    *bot;
    ngx_http_tgbot_turns_pause_t  *pause[2];

    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);

    pause[0] = &record->pause;
    pause[1] = &bot->pause;

    *due = 0;

    for (i = 0; i < 2; i++) {

        if (pause[i]->until == 0) {
            continue;
        }

        if ((ngx_msec_int_t) (pause[i]->until - t->now) > 0) {
            *due = pause[i]->until;

        } else if (pause[i]->probe == NGX_HTTP_TGBOT_TURNS_NIL) {
            continue;
        }

        return 1 + i;
    }

    return 0;
}


static void
ngx_http_tgbot_turns_advance(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_record_t *record)
{
    ngx_uint_t                      i, stopped;
    ngx_msec_t                      due;
    uint64_t                        chat;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_turns_links(
                                                        t->records, stopped);
    ngx_http_tgbot_links_t          ready = ngx_http_tgbot_turns_links(
                                                          t->records, ready);
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);

    for (i = 0; i <= NGX_HTTP_TGBOT_TURNS_BATCH; i++) {
        ticket = ngx_http_tgbot_turns_first(t, record);

        if (ticket == NULL) {
            break;
        }

        stopped = ngx_http_tgbot_turns_stopped(t, record, &due);

        if (stopped) {

            if (stopped == 2 && !record->is_stopped) {
                record->is_stopped = 1;
                ngx_http_tgbot_list_append(&links, &bot->stopped,
                                           record - t->records);
            }

            ngx_http_tgbot_turns_tell(t, ticket, due);
            return;
        }

        if (ticket->class == NGX_HTTP_TGBOT_TURNS_BULK) {
            chat = ngx_http_tgbot_turns_chat_due(t, ticket, 1);
            due = (ngx_msec_t) ((chat + 999) / 1000);

            if ((ngx_msec_int_t) (due - t->now) > 0) {
                ngx_http_tgbot_turns_tell(t, ticket, due);
                break;
            }

            if (!record->is_ready) {
                record->is_ready = 1 + ticket->paid;
                ngx_http_tgbot_list_append(&ready, &bot->ready[ticket->paid],
                                           record - t->records);
            }

            return;
        }

        if (i == NGX_HTTP_TGBOT_TURNS_BATCH) {

            /* another lock goes on */

            ngx_http_tgbot_turns_table_mail(t, ticket);
            break;
        }

        ngx_http_tgbot_turns_go(t, ticket);
    }

    ngx_http_tgbot_turns_unready(t, record);
}


/*
 * Records that the pause of the bot stopped.  One of them is told when the
 * pause ends, and goes first.
 */

static void
ngx_http_tgbot_turns_advance_bot(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot)
{
    uint32_t                        n;
    ngx_uint_t                      i;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_turns_links(
                                                        t->records, stopped);
    ngx_http_tgbot_turns_ticket_t  *ticket;

    for (i = 0; bot->stopped.n; i++) {

        if (bot->pause.probe != NGX_HTTP_TGBOT_TURNS_NIL) {
            return;
        }

        n = bot->stopped.first;
        ticket = ngx_http_tgbot_turns_first(t, &t->records[n]);

        if (ticket
            && bot->pause.until
            && (ngx_msec_int_t) (bot->pause.until - t->now) > 0)
        {
            ngx_http_tgbot_turns_tell(t, ticket, bot->pause.until);
            return;
        }

        if (ticket && i >= NGX_HTTP_TGBOT_TURNS_BATCH) {
            ngx_http_tgbot_turns_table_mail(t, ticket);
            return;
        }

        t->records[n].is_stopped = 0;
        ngx_http_tgbot_list_remove(&links, &bot->stopped, n);

        ngx_http_tgbot_turns_advance(t, &t->records[n]);
    }
}


/* when the n-th ticket of bulk from now on may go to the chat, microseconds */

static uint64_t
ngx_http_tgbot_turns_chat_due(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket, ngx_uint_t n)
{
    uint64_t                        chat, group;
    ngx_http_tgbot_turns_rate_t    *rates;
    ngx_http_tgbot_turns_record_t  *record;

    record = &t->records[ticket->record];
    rates = ngx_http_tgbot_turns_table_bot(t, record->entry)->rates;

    chat = ngx_http_tgbot_turns_due(&record->chat,
                                    &rates[NGX_HTTP_TGBOT_TURNS_CHATS], n,
                                    t->now);

    if (!ticket->group) {
        return chat;
    }

    group = ngx_http_tgbot_turns_due(&record->group,
                                     &rates[NGX_HTTP_TGBOT_TURNS_GROUPS], n,
                                     t->now);

    return ngx_max(chat, group);
}


/*
 * Records whose bulk may go to its chat take the tokens of the bot in the order
 * in which they became ready.  So a chat that has to wait holds no token that
 * another one can use.
 */

static void
ngx_http_tgbot_turns_drain(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot, ngx_uint_t paid)
{
    uint64_t                        all;
    ngx_uint_t                      i;
    ngx_msec_t                      due;
    ngx_http_tgbot_turns_rate_t    *rate;
    ngx_http_tgbot_turns_level_t   *level;
    ngx_http_tgbot_turns_record_t  *record;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    level = &bot->level[paid];
    rate = &bot->rates[NGX_HTTP_TGBOT_TURNS_ALL + paid];

    for (i = 0; bot->ready[paid].n; i++) {
        record = &t->records[bot->ready[paid].first];
        ticket = ngx_http_tgbot_turns_first(t, record);

        if (ticket == NULL
            || ticket->class != NGX_HTTP_TGBOT_TURNS_BULK
            || ticket->paid != paid
            || ngx_http_tgbot_turns_stopped(t, record, &due))
        {
            ngx_http_tgbot_turns_unready(t, record);

            if (ticket) {
                ngx_http_tgbot_turns_advance(t, record);
            }

            continue;
        }

        if (rate->period && level->flight >= rate->burst) {

            /* the next answer frees a token */

            return;
        }

        all = ngx_http_tgbot_turns_due(level, rate, 1, t->now);
        due = (ngx_msec_t) ((all + 999) / 1000);

        if ((ngx_msec_int_t) (due - t->now) > 0) {
            ngx_http_tgbot_turns_tell(t, ticket, due);
            return;
        }

        if (i >= NGX_HTTP_TGBOT_TURNS_BATCH) {
            ngx_http_tgbot_turns_table_mail(t, ticket);
            return;
        }

        ngx_http_tgbot_turns_unready(t, record);
        ngx_http_tgbot_turns_go(t, ticket);
    }
}


static void
ngx_http_tgbot_turns_unready(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_record_t *record)
{
    ngx_http_tgbot_links_t       links = ngx_http_tgbot_turns_links(
                                                          t->records, ready);
    ngx_http_tgbot_turns_bot_t  *bot;

    if (!record->is_ready) {
        return;
    }

    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);

    ngx_http_tgbot_list_remove(&links, &bot->ready[record->is_ready - 1],
                               record - t->records);

    record->is_ready = 0;
}


/*
 * When the n-th token from now on may be taken, microseconds.  A token that a
 * request in flight holds does not come back before its answer: so whatever
 * the way takes, a bucket of the same size at the other end never runs empty.
 */

static uint64_t
ngx_http_tgbot_turns_due(ngx_http_tgbot_turns_level_t *level,
    ngx_http_tgbot_turns_rate_t *rate, ngx_uint_t n, ngx_msec_t now)
{
    uint64_t  us, full, size, taken;

    us = (uint64_t) now * 1000;

    if (rate->period == 0) {
        return us;
    }

    size = (uint64_t) rate->burst * rate->period;

    /* the rate was changed, or the clock went back */

    full = ngx_min(level->full, us + size + NGX_HTTP_TGBOT_TURNS_CLOCK);
    full = ngx_max(full, us);

    taken = (level->flight + n) * rate->period;

    return (full + taken > us + size) ? full + taken - size : us;
}


/* the request has an answer, or will have none */

static void
ngx_http_tgbot_turns_landed(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_ticket_t *ticket)
{
    ngx_http_tgbot_turns_bot_t     *bot;
    ngx_http_tgbot_turns_record_t  *record;

    if (!ticket->flight) {
        return;
    }

    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_turns_table_bot(t, record->entry);

    ngx_http_tgbot_turns_charge(&record->chat,
                                &bot->rates[NGX_HTTP_TGBOT_TURNS_CHATS],
                                t->now);

    if (ticket->group) {
        ngx_http_tgbot_turns_charge(&record->group,
                                    &bot->rates[NGX_HTTP_TGBOT_TURNS_GROUPS],
                                    t->now);
    }

    ngx_http_tgbot_turns_charge(&bot->level[ticket->paid],
                   &bot->rates[NGX_HTTP_TGBOT_TURNS_ALL + ticket->paid],
                   t->now);

    /* who dies here charges a token twice, which is better than never */

    ngx_http_tgbot_zone_stop("turns: landed");

    ticket->flight = 0;
}


static void
ngx_http_tgbot_turns_charge(ngx_http_tgbot_turns_level_t *level,
    ngx_http_tgbot_turns_rate_t *rate, ngx_msec_t now)
{
    uint64_t  us, size;

    level->flight--;

    us = (uint64_t) now * 1000 + NGX_HTTP_TGBOT_TURNS_CLOCK;
    size = (uint64_t) rate->burst * rate->period;

    level->full = ngx_min(level->full, us + size);
    level->full = ngx_max(level->full, us) + rate->period;
}


static void
ngx_http_tgbot_turns_count(ngx_http_tgbot_turns_table_t *t,
    ngx_http_tgbot_turns_bot_t *bot)
{
    ngx_uint_t      i;
    ngx_msec_int_t  elapsed;

    elapsed = (ngx_msec_int_t) (t->now - bot->window);

    if (elapsed >= 0 && elapsed < NGX_HTTP_TGBOT_TURNS_WINDOW) {
        return;
    }

    for (i = 0; i < 2; i++) {
        bot->before[i] = (elapsed >= 0
                          && elapsed < 2 * NGX_HTTP_TGBOT_TURNS_WINDOW)
                         ? bot->count[i] : 0;
        bot->count[i] = 0;
    }

    bot->window = t->now;
}


ngx_uint_t
ngx_http_tgbot_turns_told(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_turns_told_t *told)
{
    ngx_uint_t                      n;
    ngx_http_tgbot_turns_call_t     call;
    ngx_http_tgbot_turns_slot_t    *slot;
    ngx_http_tgbot_turns_table_t    t;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    ngx_http_tgbot_turns_table_open(&t, zone);

    slot = &t.slots[ngx_http_tgbot_lease_slot()];

    if (*(volatile uint32_t *) &slot->mail.n == 0) {
        return 0;
    }

    n = 0;

    ngx_http_tgbot_turns_table_lock(&t);

    while (n < NGX_HTTP_TGBOT_TURNS_BATCH && slot->mail.n) {
        ticket = &t.tickets[slot->mail.first];

        ngx_http_tgbot_turns_table_unmail(&t, ticket);

        if (ticket->epoch != ngx_http_tgbot_lease_self()) {
            continue;
        }

        told[n].data = ticket->data;

        t.self = ticket - t.tickets;
        call.ticket = t.self + 1;
        call.due = 0;

        ngx_http_tgbot_turns_again(&t, ticket);

        told[n].rc = ngx_http_tgbot_turns_result(&t, ticket, &call);
        told[n].ticket = call.ticket;
        told[n].due = call.due;

        n++;
    }

    ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);

    return n;
}


void
ngx_http_tgbot_turns_reap(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                      i, n;
    ngx_http_tgbot_turns_slot_t    *slot;
    ngx_http_tgbot_turns_table_t    t;
    ngx_http_tgbot_turns_ticket_t  *ticket;

    ngx_http_tgbot_turns_table_open(&t, zone);

    /* the dead one may have left the lists half done: the lock repairs them */

    ngx_http_tgbot_turns_table_lock(&t);
    ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);

    for (i = 0; i < t.sh->nslots; i++) {
        slot = &t.slots[i];

        do {
            n = 0;

            if (*(volatile uint32_t *) &slot->own.n == 0) {
                break;
            }

            ngx_memzero(t.rung, sizeof(t.rung));
            t.now = ngx_http_tgbot_zone_msec(zone);

            ngx_http_tgbot_turns_table_lock(&t);

            while (n < NGX_HTTP_TGBOT_TURNS_BATCH && slot->own.n) {
                ticket = &t.tickets[slot->own.first];

                if (ngx_http_tgbot_lease_lives(i, ticket->epoch)) {
                    break;
                }

                ngx_http_tgbot_turns_drop(&t, ticket);
                n++;
            }

            ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);

        } while (n == NGX_HTTP_TGBOT_TURNS_BATCH);
    }
}


void
ngx_http_tgbot_turns_state(ngx_http_tgbot_turns_t *turns,
    ngx_http_tgbot_turns_state_t *state)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_turns_bot_t    *bot;
    ngx_http_tgbot_turns_table_t   t;

    ngx_memzero(state, sizeof(ngx_http_tgbot_turns_state_t));

    ngx_http_tgbot_turns_table_open(&t, turns->zone);

    bot = ngx_http_tgbot_zone_bots_entry(&t.bots, turns);
    if (bot == NULL) {
        return;
    }

    ngx_http_tgbot_turns_table_lock(&t);

    ngx_http_tgbot_turns_count(&t, bot);

    for (i = 0; i < NGX_HTTP_TGBOT_TURNS_REASONS; i++) {
        state->waiting[i] = bot->waiting[i];
        state->waited[i] = bot->waited[i];
    }

    for (i = 0; i < 2; i++) {
        state->used[i] = bot->before[i] * 1000 / NGX_HTTP_TGBOT_TURNS_WINDOW;
    }

    state->pauses = bot->pauses;
    state->lost = bot->lost;
    state->paused = bot->paused;

    ngx_memcpy(state->rates, bot->rates, sizeof(bot->rates));

    ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);
}


void
ngx_http_tgbot_turns_zone_state(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_turns_zone_state_t *state)
{
    ngx_http_tgbot_turns_table_t  t;

    ngx_http_tgbot_turns_table_open(&t, zone);
    ngx_http_tgbot_turns_table_lock(&t);

    state->records = t.sh->records.n;
    state->tickets = t.sh->ntickets;
    state->total = t.sh->total;

    ngx_http_tgbot_turns_table_unlock(&t, ngx_http_tgbot_turns_ring);
}
