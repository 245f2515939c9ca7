
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_pace.h"
#include "ngx_http_tgbot_pace_move.h"
#include "ngx_http_tgbot_pace_table.h"


/* "wait" of a call for which there is no room, ms */
#define NGX_HTTP_TGBOT_PACE_FULL     1000


static ngx_int_t ngx_http_tgbot_pace_line_up(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_t *pace, ngx_http_tgbot_pace_bot_t *bot,
    ngx_http_tgbot_pace_call_t *call);
static ngx_uint_t ngx_http_tgbot_pace_held(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot, ngx_http_tgbot_pace_record_t *record,
    ngx_uint_t class);
static ngx_http_tgbot_pace_ticket_t *ngx_http_tgbot_pace_ticket(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_call_t *call);
static ngx_int_t ngx_http_tgbot_pace_result(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket, ngx_http_tgbot_pace_call_t *call);
static void ngx_http_tgbot_pace_estimate(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket, ngx_http_tgbot_pace_call_t *call);
static ngx_msec_t ngx_http_tgbot_pace_queue(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);
static void ngx_http_tgbot_pace_again(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);
static void ngx_http_tgbot_pace_keep(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_t *pace, ngx_http_tgbot_pace_call_t *call);
static ngx_uint_t ngx_http_tgbot_pace_is_probe(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_ticket_t *ticket);
static void ngx_http_tgbot_pace_pause(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot, ngx_http_tgbot_pace_pause_t *pause,
    ngx_msec_t until, uint32_t n);
static void ngx_http_tgbot_pace_drop(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);


static void  (*ngx_http_tgbot_pace_ring)(ngx_uint_t slot);


void
ngx_http_tgbot_pace_init_process(void (*ring)(ngx_uint_t slot))
{
    ngx_http_tgbot_pace_ring = ring;
}


ngx_int_t
ngx_http_tgbot_pace_enter(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call)
{
    ngx_int_t                       rc;
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_table_t     t;

    ngx_http_tgbot_pace_table_open(&t, pace->zone);

    call->due = 0;
    call->wait = 0;
    call->probe = 0;

    bot = ngx_http_tgbot_zone_bots_entry(&t.bots, pace);
    if (bot == NULL) {
        return NGX_OK;
    }

    if (call->seq == 0) {
        call->seq = ngx_atomic_fetch_add(&t.sh->seq, 1) + 1;
    }

    if (call->ticket == 0
        && call->class <= NGX_HTTP_TGBOT_PACE_LINE
        && *(volatile uint32_t *) &bot->active == 0)
    {
        return NGX_OK;
    }

    ngx_http_tgbot_pace_table_lock(&t);

    rc = ngx_http_tgbot_pace_line_up(&t, pace, bot, call);

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);

    return rc;
}


static ngx_int_t
ngx_http_tgbot_pace_line_up(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_t *pace, ngx_http_tgbot_pace_bot_t *bot,
    ngx_http_tgbot_pace_call_t *call)
{
    ngx_http_tgbot_pace_record_t   *record;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    ticket = ngx_http_tgbot_pace_ticket(t, call);

    if (ticket == NULL) {
        record = ngx_http_tgbot_pace_table_record(t, pace, &call->chat, 0);

        if (call->class <= NGX_HTTP_TGBOT_PACE_LINE
            && !ngx_http_tgbot_pace_held(t, bot, record, call->class))
        {
            return NGX_OK;
        }

        if (record == NULL) {
            record = ngx_http_tgbot_pace_table_record(t, pace, &call->chat,
                                                       1);
        }

        ticket = record ? ngx_http_tgbot_pace_table_add(t, record, call)
                        : NULL;

        if (ticket == NULL) {
            call->wait = NGX_HTTP_TGBOT_PACE_FULL;
            return NGX_BUSY;
        }

    } else if (!ticket->waits) {
        ngx_http_tgbot_pace_move_halt(t, ticket);

    } else {
        bot->waiting[ticket->reason]--;
    }

    if (call->class == NGX_HTTP_TGBOT_PACE_BULK) {
        ngx_memcpy(bot->rates, call->rates, sizeof(bot->rates));
    }

    ngx_http_tgbot_pace_estimate(t, ticket, call);

    ticket->reason = call->reason;
    bot->waiting[ticket->reason]++;

    if (call->wait > call->limit) {
        ngx_http_tgbot_pace_drop(t, ticket);
        call->ticket = 0;

        return NGX_BUSY;
    }

    t->self = ticket - t->tickets;

    ngx_http_tgbot_pace_move(t, &t->records[ticket->record]);

    ticket->waited = ticket->waits;
    bot->waited[ticket->reason] += ticket->waited;

    return ngx_http_tgbot_pace_result(t, ticket, call);
}


/* whether a call without a ticket has to wait, or to go first */

static ngx_uint_t
ngx_http_tgbot_pace_held(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot, ngx_http_tgbot_pace_record_t *record,
    ngx_uint_t class)
{
    ngx_http_tgbot_pace_ticket_t   *first;

    if (bot->pause.until) {
        return 1;
    }

    if (record == NULL) {
        return 0;
    }

    if (record->pause.until) {
        return 1;
    }

    if (class == NGX_HTTP_TGBOT_PACE_LOOSE || record->line.n == 0) {
        return 0;
    }

    /* a strict call in flight holds only strict ones */

    first = &t->tickets[record->line.first];

    return record->line.n > 1
           || first->class != NGX_HTTP_TGBOT_PACE_STRICT
           || first->waits
           || first->repeated;
}


/* NULL: there is none, or a worker that took this one for dead took it away */

static ngx_http_tgbot_pace_ticket_t *
ngx_http_tgbot_pace_ticket(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_call_t *call)
{
    ngx_http_tgbot_pace_ticket_t   *ticket;

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
ngx_http_tgbot_pace_result(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket, ngx_http_tgbot_pace_call_t *call)
{
    if (ticket->waits) {
        call->due = ticket->due ? ngx_http_tgbot_zone_out(t->zone, ticket->due)
                                : 0;
        return NGX_AGAIN;
    }

    ticket->gone = 1;

    ngx_http_tgbot_pace_table_unmail(t, ticket);

    call->probe = ngx_http_tgbot_pace_is_probe(t, ticket);

    if (ticket->class == NGX_HTTP_TGBOT_PACE_LOOSE && !call->probe) {
        ngx_http_tgbot_pace_table_free(t, ticket);
        call->ticket = 0;
    }

    return NGX_OK;
}


/* sets "wait", and the reason of it */

static void
ngx_http_tgbot_pace_estimate(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket, ngx_http_tgbot_pace_call_t *call)
{
    ngx_msec_t                      due, queue;
    ngx_http_tgbot_pace_record_t   *record;

    record = &t->records[ticket->record];

    call->wait = 0;
    call->reason = NGX_HTTP_TGBOT_PACE_FOR_ORDER;

    if (ngx_http_tgbot_pace_move_stopped(t, record, &due)) {
        call->wait = due ? due - t->now : 0;
        call->reason = NGX_HTTP_TGBOT_PACE_FOR_429;
    }

    if (ticket->class != NGX_HTTP_TGBOT_PACE_BULK) {
        return;
    }

    if (call->reason == NGX_HTTP_TGBOT_PACE_FOR_ORDER && record->line.n == 0) {
        call->reason = NGX_HTTP_TGBOT_PACE_FOR_PACE;
    }

    queue = ngx_http_tgbot_pace_queue(t, ticket);
    call->wait = ngx_max(call->wait, queue);
}


/*
 * Milliseconds for the tickets of bulk before this one, which is not counted as
 * waiting: those of its chat, each of which passes through those of the bot
 * that are ready, but no more than all that wait
 */

static ngx_msec_t
ngx_http_tgbot_pace_queue(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    uint64_t                        chat, all, n, waiting;
    ngx_uint_t                      i, ahead;
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_rate_t     *rate;
    ngx_http_tgbot_pace_record_t   *record;

    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);
    rate = &bot->rates[NGX_HTTP_TGBOT_PACE_ALL + ticket->paid];

    ahead = (record->bulk.first == (uint32_t) (ticket - t->tickets))
            ? 1 : record->bulk.n - record->sent;

    chat = ngx_http_tgbot_pace_move_chat_due(t, ticket, ahead);
    chat -= (uint64_t) t->now * 1000;

    n = bot->ready[ticket->paid].n;

    all = ngx_http_tgbot_pace_move_due(&bot->level[ticket->paid], rate, n + 1,
                                   t->now);
    all -= (uint64_t) t->now * 1000;

    waiting = 0;

    for (i = 0; i < NGX_HTTP_TGBOT_PACE_REASONS; i++) {
        waiting += bot->waiting[i];
    }

    n = ngx_min(n * ahead, waiting) * rate->period;

    all = ngx_max(all, n);
    all = ngx_max(all, chat);

    return (ngx_msec_t) (all / 1000);
}


ngx_int_t
ngx_http_tgbot_pace_look(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call)
{
    ngx_int_t                       rc;
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    ngx_http_tgbot_pace_table_open(&t, pace->zone);

    call->due = 0;
    call->probe = 0;

    ngx_http_tgbot_pace_table_lock(&t);

    ticket = ngx_http_tgbot_pace_ticket(&t, call);

    if (ticket == NULL) {
        ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);

        return ngx_http_tgbot_pace_enter(pace, call);
    }

    t.self = ticket - t.tickets;

    ngx_http_tgbot_pace_again(&t, ticket);

    rc = ngx_http_tgbot_pace_result(&t, ticket, call);

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);

    return rc;
}


/* a ticket that may go since it was told, but was stopped since, waits again */

static void
ngx_http_tgbot_pace_again(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    ngx_uint_t                      i;
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_pause_t    *pause[2];
    ngx_http_tgbot_pace_record_t   *record;

    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    pause[0] = &record->pause;
    pause[1] = &bot->pause;

    for (i = 0; i < 2 && !ticket->waits; i++) {

        if (pause[i]->until
            && (pause[i]->probe != t->self
                || (ngx_msec_int_t) (pause[i]->until - t->now) > 0))
        {
            ngx_http_tgbot_pace_move_unsend(t, ticket);
            ngx_http_tgbot_pace_move_halt(t, ticket);
            bot->waiting[ticket->reason]++;
        }
    }

    if (ticket->waits) {
        ticket->due = 0;
        ngx_http_tgbot_pace_move(t, record);
    }
}


ngx_int_t
ngx_http_tgbot_pace_later(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call, ngx_msec_t ms, ngx_uint_t reason)
{
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_record_t   *record;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    ngx_http_tgbot_pace_table_open(&t, pace->zone);
    ngx_http_tgbot_pace_table_lock(&t);

    ticket = ngx_http_tgbot_pace_ticket(&t, call);

    if (ticket && !ticket->waits) {
        record = &t.records[ticket->record];
        bot = ngx_http_tgbot_pace_table_bot(&t, record->entry);

        ngx_http_tgbot_pace_move_unsend(&t, ticket);
        ngx_http_tgbot_pace_move_halt(&t, ticket);

        record->later = t.now + ms;

        ticket->reason = reason;
        bot->waiting[reason]++;

        if (!ticket->waited) {
            ticket->waited = 1;
            bot->waited[reason]++;
        }
    }

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);

    return ngx_http_tgbot_pace_look(pace, call);
}


size_t
ngx_http_tgbot_pace_chat(ngx_http_tgbot_pace_t *pace, ngx_str_t *chat,
    u_char *p)
{
    size_t                          i, len;
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_record_t   *record;

    len = ngx_min(chat->len, NGX_HTTP_TGBOT_PACE_CHAT);

    if (len == 0) {
        return 0;
    }

    if (chat->data[0] != '@') {
        ngx_memcpy(p, chat->data, len);
        return len;
    }

    for (i = 0; i < len; i++) {
        p[i] = ngx_tolower(chat->data[i]);
    }

    ngx_http_tgbot_pace_table_open(&t, pace->zone);
    ngx_http_tgbot_pace_table_lock(&t);

    record = ngx_http_tgbot_pace_table_record(&t, pace, chat, 0);

    if (record) {
        len = record->key.len;
        ngx_memcpy(p, record->key.data, len);
    }

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);

    return len;
}


void
ngx_http_tgbot_pace_stop(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call, ngx_msec_t pause)
{
    uint32_t                        n;
    ngx_msec_t                      until;
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_record_t   *record;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    ngx_http_tgbot_pace_table_open(&t, pace->zone);

    bot = ngx_http_tgbot_zone_bots_entry(&t.bots, pace);
    if (bot == NULL) {
        return;
    }

    until = t.now + pause;
    until += (until == 0);

    ngx_http_tgbot_pace_table_lock(&t);

    ticket = ngx_http_tgbot_pace_ticket(&t, call);
    n = ticket ? (uint32_t) (ticket - t.tickets) : NGX_HTTP_TGBOT_PACE_NIL;

    record = ticket ? &t.records[ticket->record]
                    : ngx_http_tgbot_pace_table_record(&t, pace, &call->chat,
                                                        1);

    if (ticket) {
        ngx_http_tgbot_pace_move_landed(&t, ticket);
        ticket->repeated = 1;
    }

    if (call->chat.len == 0
        || (ticket && bot->pause.probe == n))
    {
        ngx_http_tgbot_pace_pause(&t, bot, &bot->pause, until, n);
    }

    if (call->chat.len == 0) {
        /* void */

    } else if (record) {
        ngx_http_tgbot_pace_pause(&t, bot, &record->pause, until, n);

    } else if (call->data) {
        bot->lost++;
    }

    if (ticket == NULL && record) {
        ngx_http_tgbot_pace_keep(&t, pace, call);
    }

    if (record) {
        ngx_http_tgbot_pace_move(&t, record);
    }

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);
}


void
ngx_http_tgbot_pace_answered(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call, ngx_uint_t answered)
{
    uint32_t                        n;
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_record_t   *record;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    if (call->ticket == 0
        && (answered || call->class != NGX_HTTP_TGBOT_PACE_LINE))
    {
        return;
    }

    ngx_http_tgbot_pace_table_open(&t, pace->zone);
    ngx_http_tgbot_pace_table_lock(&t);

    ticket = ngx_http_tgbot_pace_ticket(&t, call);

    if (ticket) {
        n = ticket - t.tickets;
        record = &t.records[ticket->record];
        bot = ngx_http_tgbot_pace_table_bot(&t, record->entry);

        ngx_http_tgbot_pace_move_landed(&t, ticket);
        ticket->repeated = 1;

        ngx_http_tgbot_pace_move_unpause(&t, bot, &record->pause, n, answered);
        ngx_http_tgbot_pace_move_unpause(&t, bot, &bot->pause, n, answered);

        ngx_http_tgbot_pace_move(&t, record);

    } else if (!answered) {
        ngx_http_tgbot_pace_keep(&t, pace, call);
    }

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);
}


/* a call of the line that failed keeps its place from now on */

static void
ngx_http_tgbot_pace_keep(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_t *pace, ngx_http_tgbot_pace_call_t *call)
{
    ngx_http_tgbot_pace_record_t   *record;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    if (call->class != NGX_HTTP_TGBOT_PACE_LINE
        || ngx_http_tgbot_zone_bots_entry(&t->bots, pace) == NULL)
    {
        return;
    }

    record = ngx_http_tgbot_pace_table_record(t, pace, &call->chat, 1);

    ticket = record ? ngx_http_tgbot_pace_table_add(t, record, call) : NULL;

    if (ticket) {
        ticket->waits = 0;
        ticket->repeated = 1;
        record->going++;
    }
}


static ngx_uint_t
ngx_http_tgbot_pace_is_probe(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    uint32_t                        n;
    ngx_http_tgbot_pace_record_t   *record;

    n = ticket - t->tickets;
    record = &t->records[ticket->record];

    return record->pause.probe == n
           || ngx_http_tgbot_pace_table_bot(t, record->entry)->pause.probe
              == n;
}


static void
ngx_http_tgbot_pace_pause(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot, ngx_http_tgbot_pace_pause_t *pause,
    ngx_msec_t until, uint32_t n)
{
    if (pause->until == 0) {
        pause->until = until;

        bot->active++;
        bot->paused++;
        bot->pauses++;

    } else {

        /*
         * An answer to a call that was in flight when the pause began, or that
         * another machine had, is no new pause.
         */

        if (n != NGX_HTTP_TGBOT_PACE_NIL
            && (ngx_msec_int_t) (t->now - pause->until) >= 0)
        {
            bot->pauses++;
        }

        if ((ngx_msec_int_t) (until - pause->until) > 0) {
            pause->until = until;
        }
    }

    ngx_http_tgbot_zone_stop("pace: paused");

    if (pause->probe == n) {
        pause->probe = NGX_HTTP_TGBOT_PACE_NIL;
    }
}


void
ngx_http_tgbot_pace_learn(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call, int64_t id)
{
    u_char                          buf[NGX_INT64_LEN];
    ngx_str_t                       chat;
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_record_t   *record, *target;

    ngx_http_tgbot_pace_table_open(&t, pace->zone);

    if (id == 0 || ngx_http_tgbot_zone_bots_entry(&t.bots, pace) == NULL) {
        return;
    }

    chat.data = buf;
    chat.len = ngx_sprintf(buf, "%L", id) - buf;

    ngx_http_tgbot_pace_table_lock(&t);

    record = ngx_http_tgbot_pace_table_record(&t, pace, &call->chat, 1);

    /* others that wait there keep their order: the next answer tells again */

    if (record
        && record->key.data[0] == '@'
        && record->pause.until == 0
        && record->tickets <= (call->ticket != 0))
    {
        target = ngx_http_tgbot_pace_table_record(&t, pace, &chat, 1);

        if (target) {
            target->chat.full = ngx_max(target->chat.full, record->chat.full);
            target->group.full = ngx_max(target->group.full,
                                         record->group.full);
            record->alias = id;
        }
    }

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);
}


void
ngx_http_tgbot_pace_leave(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_call_t *call)
{
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    if (call->ticket) {
        ngx_http_tgbot_pace_table_open(&t, pace->zone);
        ngx_http_tgbot_pace_table_lock(&t);

        ticket = ngx_http_tgbot_pace_ticket(&t, call);

        if (ticket) {

            if (call->unsent) {
                ngx_http_tgbot_pace_move_unsend(&t, ticket);
            }

            ngx_http_tgbot_pace_drop(&t, ticket);
        }

        ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);
    }

    call->ticket = 0;
    call->seq = 0;
}


/* frees the ticket, and lets go those that waited for it */

static void
ngx_http_tgbot_pace_drop(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_record_t   *record;

    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    if (!ticket->waits) {
        ngx_http_tgbot_pace_move_halt(t, ticket);

    } else {
        bot->waiting[ticket->reason]--;
    }

    if (record->bulk.first == (uint32_t) (ticket - t->tickets)) {
        record->later = 0;
    }

    ngx_http_tgbot_pace_table_free(t, ticket);

    ngx_http_tgbot_pace_move(t, record);
}


ngx_uint_t
ngx_http_tgbot_pace_told(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_pace_told_t *told)
{
    ngx_uint_t                      n;
    ngx_http_tgbot_pace_call_t      call;
    ngx_http_tgbot_pace_slot_t     *slot;
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    ngx_http_tgbot_pace_table_open(&t, zone);

    slot = &t.slots[ngx_http_tgbot_lease_slot()];

    if (*(volatile uint32_t *) &slot->mail.n == 0) {
        return 0;
    }

    n = 0;

    ngx_http_tgbot_pace_table_lock(&t);

    while (n < NGX_HTTP_TGBOT_PACE_BATCH && slot->mail.n) {
        ticket = &t.tickets[slot->mail.first];

        ngx_http_tgbot_pace_table_unmail(&t, ticket);

        if (ticket->epoch != ngx_http_tgbot_lease_self()) {
            continue;
        }

        told[n].data = ticket->data;

        t.self = ticket - t.tickets;
        call.ticket = t.self + 1;
        call.probe = 0;
        call.due = 0;

        /* after a repair: there may be a request */

        if (!ticket->gone) {
            ngx_http_tgbot_pace_again(&t, ticket);
        }

        told[n].rc = ngx_http_tgbot_pace_result(&t, ticket, &call);
        told[n].ticket = call.ticket;
        told[n].probe = call.probe;
        told[n].due = call.due;

        n++;
    }

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);

    return n;
}


void
ngx_http_tgbot_pace_reap(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                      i, n;
    ngx_http_tgbot_pace_slot_t     *slot;
    ngx_http_tgbot_pace_table_t     t;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    ngx_http_tgbot_pace_table_open(&t, zone);

    /* the dead one may have left the lists half done: the lock repairs them */

    ngx_http_tgbot_pace_table_lock(&t);
    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);

    for (i = 0; i < t.sh->nslots; i++) {
        slot = &t.slots[i];

        do {
            n = 0;

            if (*(volatile uint32_t *) &slot->own.n == 0) {
                break;
            }

            ngx_memzero(t.rung, sizeof(t.rung));
            t.now = ngx_http_tgbot_zone_msec(zone);

            ngx_http_tgbot_pace_table_lock(&t);

            while (n < NGX_HTTP_TGBOT_PACE_BATCH && slot->own.n) {
                ticket = &t.tickets[slot->own.first];

                if (ngx_http_tgbot_lease_lives(i, ticket->epoch)) {
                    break;
                }

                ngx_http_tgbot_pace_drop(&t, ticket);
                n++;
            }

            ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);

        } while (n == NGX_HTTP_TGBOT_PACE_BATCH);
    }
}


void
ngx_http_tgbot_pace_state(ngx_http_tgbot_pace_t *pace,
    ngx_http_tgbot_pace_state_t *state)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_pace_bot_t     *bot;
    ngx_http_tgbot_pace_rate_t    *rate;
    ngx_http_tgbot_pace_table_t    t;

    ngx_memzero(state, sizeof(ngx_http_tgbot_pace_state_t));

    ngx_http_tgbot_pace_table_open(&t, pace->zone);

    bot = ngx_http_tgbot_zone_bots_entry(&t.bots, pace);
    if (bot == NULL) {
        return;
    }

    ngx_http_tgbot_pace_table_lock(&t);

    ngx_http_tgbot_pace_move_count(&t, bot);

    for (i = 0; i < NGX_HTTP_TGBOT_PACE_REASONS; i++) {
        state->waiting[i] = bot->waiting[i];
        state->waited[i] = bot->waited[i];
    }

    for (i = 0; i < 2; i++) {
        state->used[i] = bot->before[i] * 1000 / NGX_HTTP_TGBOT_PACE_WINDOW;

        rate = &bot->rates[NGX_HTTP_TGBOT_PACE_ALL + i];
        state->allowed[i] = rate->period ? (1000000 + rate->period / 2)
                                           / rate->period
                                         : 0;
    }

    state->pauses = bot->pauses;
    state->lost = bot->lost;
    state->paused = bot->paused;

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);
}


void
ngx_http_tgbot_pace_zone_state(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_pace_zone_state_t *state)
{
    ngx_http_tgbot_pace_table_t   t;

    ngx_http_tgbot_pace_table_open(&t, zone);
    ngx_http_tgbot_pace_table_lock(&t);

    state->records = t.sh->records.n;
    state->tickets = t.sh->ntickets;
    state->total = t.sh->total;

    ngx_http_tgbot_pace_table_unlock(&t, ngx_http_tgbot_pace_ring);
}
