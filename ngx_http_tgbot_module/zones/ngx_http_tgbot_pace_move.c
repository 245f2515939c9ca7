
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_pace_move.h"
#include "ngx_http_tgbot_pace_table.h"


/*
 * Microseconds by which the clock of a worker may be behind the answer that it
 * read: nginx reads a coarse clock, and not for each event.
 */
#define NGX_HTTP_TGBOT_PACE_CLOCK    5000


static void ngx_http_tgbot_pace_move_go(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);
static void ngx_http_tgbot_pace_move_tell(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket, ngx_msec_t due);
static ngx_http_tgbot_pace_ticket_t *ngx_http_tgbot_pace_move_first(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_record_t *record);
static void ngx_http_tgbot_pace_move_advance(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record);
static void ngx_http_tgbot_pace_move_advance_bot(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_bot_t *bot);
static void ngx_http_tgbot_pace_move_unstop(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record);
static void ngx_http_tgbot_pace_move_drain(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot, ngx_uint_t paid);
static void ngx_http_tgbot_pace_move_unready(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record);
static void ngx_http_tgbot_pace_move_charge(
    ngx_http_tgbot_pace_level_t *level,
    ngx_http_tgbot_pace_rate_t *rate, ngx_msec_t now);


/* a ticket that went waits again; it is not counted as waiting */

void
ngx_http_tgbot_pace_move_halt(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    uint32_t                        n;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_pace_links(
                                                           t->tickets, link);
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_record_t   *record;

    n = ticket - t->tickets;
    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    ngx_http_tgbot_pace_move_landed(t, ticket);

    ngx_http_tgbot_pace_move_unpause(t, bot, &record->pause, n, 0);
    ngx_http_tgbot_pace_move_unpause(t, bot, &bot->pause, n, 0);

    ticket->waits = 1;
    ticket->gone = 0;
    ticket->due = 0;

    switch (ticket->class) {

    case NGX_HTTP_TGBOT_PACE_LOOSE:
        ticket->listed = 1;
        ngx_http_tgbot_list_append(&links, &record->loose, n);
        break;

    case NGX_HTTP_TGBOT_PACE_BULK:
        record->sent--;
        break;

    default:
        record->going--;
    }
}


static void
ngx_http_tgbot_pace_move_go(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    uint32_t                        n;
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_record_t   *record;

    n = ticket - t->tickets;
    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    if (record->pause.until) {
        record->pause.probe = n;
    }

    if (bot->pause.until) {
        bot->pause.probe = n;
    }

    ngx_http_tgbot_zone_stop("pace: going");

    ticket->waits = 0;
    bot->waiting[ticket->reason]--;

    switch (ticket->class) {

    case NGX_HTTP_TGBOT_PACE_LOOSE:
        ngx_http_tgbot_pace_table_unlist(t, ticket);
        break;

    case NGX_HTTP_TGBOT_PACE_BULK:
        record->sent++;
        record->later = 0;

        ticket->flight = 1;
        record->chat.flight++;
        record->group.flight += ticket->group;
        bot->level[ticket->paid].flight++;
        break;

    default:
        record->going++;
    }

    if (n != t->self) {
        ngx_http_tgbot_pace_table_mail(t, ticket);
    }
}


/* the worker of the ticket is to look again at this time, 0: not by itself */

static void
ngx_http_tgbot_pace_move_tell(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket, ngx_msec_t due)
{
    if (ticket->due == due) {
        return;
    }

    ticket->due = due;

    if (due && (uint32_t) (ticket - t->tickets) != t->self) {
        ngx_http_tgbot_pace_table_mail(t, ticket);
    }
}


/* after any change: the calls that may go now go */

void
ngx_http_tgbot_pace_move(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record)
{
    ngx_http_tgbot_pace_bot_t   *bot;

    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    ngx_http_tgbot_pace_move_advance(t, record);
    ngx_http_tgbot_pace_move_advance_bot(t, bot);
    ngx_http_tgbot_pace_move_drain(t, bot, 0);
    ngx_http_tgbot_pace_move_drain(t, bot, 1);
}


/* the ticket of the record that is the next to go, people before bulk */

static ngx_http_tgbot_pace_ticket_t *
ngx_http_tgbot_pace_move_first(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record)
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

ngx_uint_t
ngx_http_tgbot_pace_move_stopped(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record, ngx_msec_t *due)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_pace_bot_t     *bot;
    ngx_http_tgbot_pace_pause_t   *pause[2];

    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    pause[0] = &record->pause;
    pause[1] = &bot->pause;

    *due = 0;

    for (i = 0; i < 2; i++) {

        if (pause[i]->until == 0) {
            continue;
        }

        if ((ngx_msec_int_t) (pause[i]->until - t->now) > 0) {
            *due = pause[i]->until;

        } else if (pause[i]->probe == NGX_HTTP_TGBOT_PACE_NIL) {
            continue;
        }

        return 1 + i;
    }

    return 0;
}


static void
ngx_http_tgbot_pace_move_advance(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record)
{
    ngx_uint_t                      i, stopped;
    ngx_msec_t                      due;
    uint64_t                        chat;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_pace_links(
                                                        t->records, stopped);
    ngx_http_tgbot_links_t          ready = ngx_http_tgbot_pace_links(
                                                          t->records, ready);
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    for (i = 0; i <= NGX_HTTP_TGBOT_PACE_BATCH; i++) {
        ticket = ngx_http_tgbot_pace_move_first(t, record);

        if (ticket == NULL) {

            /* the record may be evicted once it has no tickets */

            ngx_http_tgbot_pace_move_unstop(t, record);
            break;
        }

        stopped = ngx_http_tgbot_pace_move_stopped(t, record, &due);

        if (stopped) {

            if (stopped == 2 && !record->is_stopped) {
                record->is_stopped = 1;
                ngx_http_tgbot_list_append(&links, &bot->stopped,
                                           record - t->records);
            }

            ngx_http_tgbot_pace_move_tell(t, ticket, due);
            return;
        }

        if (ticket->class == NGX_HTTP_TGBOT_PACE_BULK) {
            chat = ngx_http_tgbot_pace_move_chat_due(t, ticket, 1);
            due = (ngx_msec_t) ((chat + 999) / 1000);

            if ((ngx_msec_int_t) (due - t->now) > 0) {
                ngx_http_tgbot_pace_move_tell(t, ticket, due);
                break;
            }

            if (!record->is_ready) {
                record->is_ready = 1 + ticket->paid;
                ngx_http_tgbot_list_append(&ready, &bot->ready[ticket->paid],
                                           record - t->records);
            }

            return;
        }

        if (i == NGX_HTTP_TGBOT_PACE_BATCH) {

            /* another lock goes on */

            ngx_http_tgbot_pace_table_mail(t, ticket);
            break;
        }

        ngx_http_tgbot_pace_move_go(t, ticket);
    }

    ngx_http_tgbot_pace_move_unready(t, record);
}


/*
 * Records that the pause of the bot stopped.  One of them is told when the
 * pause ends, and goes first.
 */

static void
ngx_http_tgbot_pace_move_advance_bot(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot)
{
    ngx_uint_t                      i;
    ngx_http_tgbot_pace_record_t   *record;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    for (i = 0; bot->stopped.n; i++) {

        if (bot->pause.probe != NGX_HTTP_TGBOT_PACE_NIL) {
            return;
        }

        record = &t->records[bot->stopped.first];
        ticket = ngx_http_tgbot_pace_move_first(t, record);

        if (ticket
            && bot->pause.until
            && (ngx_msec_int_t) (bot->pause.until - t->now) > 0)
        {
            ngx_http_tgbot_pace_move_tell(t, ticket, bot->pause.until);
            return;
        }

        if (ticket && i >= NGX_HTTP_TGBOT_PACE_BATCH) {
            ngx_http_tgbot_pace_table_mail(t, ticket);
            return;
        }

        ngx_http_tgbot_pace_move_unstop(t, record);
        ngx_http_tgbot_pace_move_advance(t, record);
    }
}


static void
ngx_http_tgbot_pace_move_unstop(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record)
{
    ngx_http_tgbot_links_t       links = ngx_http_tgbot_pace_links(
                                                        t->records, stopped);
    ngx_http_tgbot_pace_bot_t   *bot;

    if (!record->is_stopped) {
        return;
    }

    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    ngx_http_tgbot_list_remove(&links, &bot->stopped, record - t->records);

    record->is_stopped = 0;
}


/* when the n-th ticket of bulk from now on may go to the chat, microseconds */

uint64_t
ngx_http_tgbot_pace_move_chat_due(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket, ngx_uint_t n)
{
    uint64_t                        chat, group, later;
    ngx_http_tgbot_pace_rate_t     *rates;
    ngx_http_tgbot_pace_record_t   *record;

    record = &t->records[ticket->record];
    rates = ngx_http_tgbot_pace_table_bot(t, record->entry)->rates;

    chat = ngx_http_tgbot_pace_move_due(&record->chat,
                                    &rates[NGX_HTTP_TGBOT_PACE_CHATS], n,
                                    t->now);

    if (record->later && (ngx_msec_int_t) (record->later - t->now) > 0) {
        later = (uint64_t) record->later * 1000;
        chat = ngx_max(chat, later);
    }

    if (!ticket->group) {
        return chat;
    }

    group = ngx_http_tgbot_pace_move_due(&record->group,
                                     &rates[NGX_HTTP_TGBOT_PACE_GROUPS], n,
                                     t->now);

    return ngx_max(chat, group);
}


/*
 * Records whose bulk may go to its chat take the tokens of the bot in the order
 * in which they became ready.  So a chat that has to wait holds no token that
 * another one can use.
 */

static void
ngx_http_tgbot_pace_move_drain(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot, ngx_uint_t paid)
{
    uint64_t                        all;
    ngx_uint_t                      i;
    ngx_msec_t                      due;
    ngx_http_tgbot_pace_rate_t     *rate;
    ngx_http_tgbot_pace_level_t    *level;
    ngx_http_tgbot_pace_record_t   *record;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    level = &bot->level[paid];
    rate = &bot->rates[NGX_HTTP_TGBOT_PACE_ALL + paid];

    for (i = 0; bot->ready[paid].n; i++) {
        record = &t->records[bot->ready[paid].first];
        ticket = ngx_http_tgbot_pace_move_first(t, record);

        if (ticket == NULL
            || ticket->class != NGX_HTTP_TGBOT_PACE_BULK
            || ticket->paid != paid
            || ngx_http_tgbot_pace_move_stopped(t, record, &due))
        {
            ngx_http_tgbot_pace_move_unready(t, record);

            if (ticket) {
                ngx_http_tgbot_pace_move_advance(t, record);
            }

            continue;
        }

        if (rate->period && level->flight >= rate->burst) {

            /* the next answer frees a token */

            return;
        }

        all = ngx_http_tgbot_pace_move_due(level, rate, 1, t->now);
        due = (ngx_msec_t) ((all + 999) / 1000);

        if ((ngx_msec_int_t) (due - t->now) > 0) {
            ngx_http_tgbot_pace_move_tell(t, ticket, due);
            return;
        }

        if (i >= NGX_HTTP_TGBOT_PACE_BATCH) {
            ngx_http_tgbot_pace_table_mail(t, ticket);
            return;
        }

        ngx_http_tgbot_pace_move_unready(t, record);
        ngx_http_tgbot_pace_move_go(t, ticket);
    }
}


static void
ngx_http_tgbot_pace_move_unready(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record)
{
    ngx_http_tgbot_links_t       links = ngx_http_tgbot_pace_links(
                                                          t->records, ready);
    ngx_http_tgbot_pace_bot_t   *bot;

    if (!record->is_ready) {
        return;
    }

    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    ngx_http_tgbot_list_remove(&links, &bot->ready[record->is_ready - 1],
                               record - t->records);

    record->is_ready = 0;
}


/*
 * When the n-th token from now on may be taken, microseconds.  A token that a
 * request in flight holds does not come back before its answer: so whatever
 * the way takes, a bucket of the same size at the other end never runs empty.
 */

uint64_t
ngx_http_tgbot_pace_move_due(ngx_http_tgbot_pace_level_t *level,
    ngx_http_tgbot_pace_rate_t *rate, ngx_uint_t n, ngx_msec_t now)
{
    uint64_t  us, full, size, taken;

    us = (uint64_t) now * 1000;

    if (rate->period == 0) {
        return us;
    }

    size = (uint64_t) rate->burst * rate->period;

    /* the rate was changed, or the clock went back */

    full = ngx_min(level->full, us + size + NGX_HTTP_TGBOT_PACE_CLOCK);
    full = ngx_max(full, us);

    taken = (level->flight + n) * rate->period;

    return (full + taken > us + size) ? full + taken - size : us;
}


void
ngx_http_tgbot_pace_move_unsend(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    ngx_http_tgbot_pace_record_t   *record;

    if (!ticket->flight) {
        return;
    }

    record = &t->records[ticket->record];

    ticket->flight = 0;
    record->chat.flight--;
    record->group.flight -= ticket->group;

    ngx_http_tgbot_pace_table_bot(t, record->entry)->level[ticket->paid]
        .flight--;
}


/* the request has an answer, or will have none */

void
ngx_http_tgbot_pace_move_landed(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_record_t   *record;

    if (!ticket->flight) {
        return;
    }

    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

    ngx_http_tgbot_pace_move_charge(&record->chat,
                                &bot->rates[NGX_HTTP_TGBOT_PACE_CHATS],
                                t->now);

    if (ticket->group) {
        ngx_http_tgbot_pace_move_charge(&record->group,
                                    &bot->rates[NGX_HTTP_TGBOT_PACE_GROUPS],
                                    t->now);
    }

    ngx_http_tgbot_pace_move_charge(&bot->level[ticket->paid],
                   &bot->rates[NGX_HTTP_TGBOT_PACE_ALL + ticket->paid],
                   t->now);

    ngx_http_tgbot_pace_move_count(t, bot);
    bot->count[ticket->paid]++;

    /* who dies here charges a token twice, which is better than never */

    ngx_http_tgbot_zone_stop("pace: landed");

    ticket->flight = 0;
}


static void
ngx_http_tgbot_pace_move_charge(ngx_http_tgbot_pace_level_t *level,
    ngx_http_tgbot_pace_rate_t *rate, ngx_msec_t now)
{
    uint64_t  us, size;

    level->flight--;

    us = (uint64_t) now * 1000 + NGX_HTTP_TGBOT_PACE_CLOCK;
    size = (uint64_t) rate->burst * rate->period;

    level->full = ngx_min(level->full, us + size);
    level->full = ngx_max(level->full, us) + rate->period;
}


void
ngx_http_tgbot_pace_move_count(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot)
{
    ngx_uint_t      i;
    ngx_msec_int_t  elapsed;

    elapsed = (ngx_msec_int_t) (t->now - bot->window);

    if (elapsed >= 0 && elapsed < NGX_HTTP_TGBOT_PACE_WINDOW) {
        return;
    }

    for (i = 0; i < 2; i++) {
        bot->before[i] = (elapsed >= 0
                          && elapsed < 2 * NGX_HTTP_TGBOT_PACE_WINDOW)
                         ? bot->count[i] : 0;
        bot->count[i] = 0;
    }

    bot->window = t->now;
}


void
ngx_http_tgbot_pace_move_unpause(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot, ngx_http_tgbot_pace_pause_t *pause,
    uint32_t n, ngx_uint_t answered)
{
    if (pause->probe != n) {
        return;
    }

    pause->probe = NGX_HTTP_TGBOT_PACE_NIL;

    ngx_http_tgbot_zone_stop("pace: no probe");

    if (answered && (ngx_msec_int_t) (t->now - pause->until) >= 0) {
        pause->until = 0;

        bot->active--;
        bot->paused--;
    }
}
