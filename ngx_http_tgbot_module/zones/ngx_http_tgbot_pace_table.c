
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_pace_table.h"


/* records of a zone, and bytes of it for each entry of a bot */
#define NGX_HTTP_TGBOT_PACE_MIN     64
#define NGX_HTTP_TGBOT_PACE_MAX     (1 << 26)
#define NGX_HTTP_TGBOT_PACE_ENTRY   8192

/* records that are looked at to find one that may be evicted */
#define NGX_HTTP_TGBOT_PACE_EVICT   16


#define ngx_http_tgbot_pace_table_sh(zone)                                    \
    ((ngx_http_tgbot_pace_sh_t *) ngx_http_tgbot_zone_data((zone)->sh))

#define ngx_http_tgbot_pace_table_header                                      \
    ngx_align(sizeof(ngx_http_tgbot_pace_sh_t), NGX_CPU_CACHE_LINE)

/* bytes of a record, a ticket, and two chains at most */
#define ngx_http_tgbot_pace_table_each                                        \
    (sizeof(ngx_http_tgbot_pace_record_t)                                     \
     + sizeof(ngx_http_tgbot_pace_ticket_t) + 2 * sizeof(uint32_t))


static ngx_int_t ngx_http_tgbot_pace_table_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static void ngx_http_tgbot_pace_table_carve(ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_pace_table_reopen(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);
static ngx_int_t ngx_http_tgbot_pace_table_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old);
static ngx_http_tgbot_pace_bot_t *ngx_http_tgbot_pace_table_enter(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_table_t *from,
    ngx_uint_t entry, ngx_http_tgbot_pace_t *user);
static ngx_int_t ngx_http_tgbot_pace_table_make(
    ngx_http_tgbot_zone_bots_t *bots, void *entry, void *user);
static void ngx_http_tgbot_pace_table_repair(ngx_http_tgbot_pace_table_t *t);
static void ngx_http_tgbot_pace_table_probe(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_pause_t *pause, ngx_http_tgbot_pace_bot_t *bot);
static void ngx_http_tgbot_pace_table_repair_records(
    ngx_http_tgbot_pace_table_t *t);
static void ngx_http_tgbot_pace_table_repair_tickets(
    ngx_http_tgbot_pace_table_t *t);
static void ngx_http_tgbot_pace_table_attach(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);
static ngx_uint_t ngx_http_tgbot_pace_table_before(void *data, uint32_t a,
    uint32_t b);
static ngx_http_tgbot_list_t *ngx_http_tgbot_pace_table_list(
    ngx_http_tgbot_pace_record_t *record, ngx_uint_t class);
static uint32_t *ngx_http_tgbot_pace_table_chain(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_key_t *key);
static ngx_http_tgbot_pace_record_t *ngx_http_tgbot_pace_table_find(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_key_t *key);
static ngx_http_tgbot_pace_record_t *ngx_http_tgbot_pace_table_new(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_key_t *key,
    uint32_t entry);
static ngx_http_tgbot_pace_record_t *ngx_http_tgbot_pace_table_evict(
    ngx_http_tgbot_pace_table_t *t);
static void ngx_http_tgbot_pace_table_key(ngx_http_tgbot_pace_key_t *key,
    uint32_t bot, u_char *data, size_t len);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_pace_zone = {
    31, "pace",
    ngx_http_tgbot_pace_table_header
    + sizeof(ngx_http_tgbot_pace_bot_t)
    + NGX_MAX_PROCESSES * sizeof(ngx_http_tgbot_pace_slot_t)
    + NGX_HTTP_TGBOT_PACE_MIN * ngx_http_tgbot_pace_table_each,
    ngx_http_tgbot_pace_table_init,
    ngx_http_tgbot_pace_table_reopen,
    ngx_http_tgbot_pace_table_copy,
    NGX_HTTP_TGBOT_ZONE_FILE
};


static ngx_int_t
ngx_http_tgbot_pace_table_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_pace_table_t   t;

    if (fresh) {
        ngx_http_tgbot_pace_table_carve(zone);
    }

    ngx_http_tgbot_pace_table_open(&t, zone);
    ngx_http_tgbot_pace_table_lock(&t);

    rc = ngx_http_tgbot_zone_bots_init(&t.bots);

    ngx_http_tgbot_zone_unlock(zone);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" has room for %uD bots with \"tgbot_pace\", "
                      "there are %ui, expected a larger zone in %s:%ui",
                      &zone->shm_zone->shm.name, t.sh->bots.n,
                      zone->users.nelts, zone->file, zone->line);
    }

    return rc;
}


static void
ngx_http_tgbot_pace_table_carve(ngx_http_tgbot_zone_t *zone)
{
    size_t                         room, n, chains;
    ngx_http_tgbot_pace_sh_t      *sh;
    ngx_http_tgbot_pace_table_t    t;

    sh = ngx_http_tgbot_pace_table_sh(zone);
    room = ngx_http_tgbot_zone_room(zone->sh);

    ngx_memzero(sh, ngx_http_tgbot_pace_table_header);

    sh->bots.n = 1 + room / NGX_HTTP_TGBOT_PACE_ENTRY;

    room -= ngx_http_tgbot_pace_table_header
            + NGX_MAX_PROCESSES * sizeof(ngx_http_tgbot_pace_slot_t)
            + NGX_HTTP_TGBOT_PACE_MIN * ngx_http_tgbot_pace_table_each;

    n = room / sizeof(ngx_http_tgbot_pace_bot_t);
    sh->bots.n = ngx_min(sh->bots.n, n);

    room -= sh->bots.n * sizeof(ngx_http_tgbot_pace_bot_t);

    n = NGX_HTTP_TGBOT_PACE_MIN + room / ngx_http_tgbot_pace_table_each;
    n = ngx_min(n, NGX_HTTP_TGBOT_PACE_MAX);

    for (chains = NGX_HTTP_TGBOT_PACE_MIN; chains < n; chains *= 2) {
        /* void */
    }

    sh->total = n;
    sh->mask = chains - 1;

    ngx_http_tgbot_zone_seed(sh->seed, NGX_HTTP_TGBOT_PACE_WORDS + 1,
                             zone->log);

    ngx_http_tgbot_pace_table_open(&t, zone);

    ngx_memzero(t.bots.entries, sh->bots.n * t.bots.size);
    ngx_memzero(t.slots,
                NGX_MAX_PROCESSES * sizeof(ngx_http_tgbot_pace_slot_t));
    ngx_memzero(t.records, n * sizeof(ngx_http_tgbot_pace_record_t));
    ngx_memzero(t.tickets, n * sizeof(ngx_http_tgbot_pace_ticket_t));

    ngx_http_tgbot_pace_table_repair(&t);
}


/* leases are dead, so their tickets go; pauses, buckets and aliases stay */

static void
ngx_http_tgbot_pace_table_reopen(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_pace_table_t   t;

    if (found == NGX_HTTP_TGBOT_ZONE_TORN) {
        ngx_http_tgbot_pace_table_carve(zone);
        return;
    }

    ngx_http_tgbot_pace_table_open(&t, zone);

    for (i = 0; i < t.sh->total; i++) {
        t.tickets[i].epoch = 0;
    }

    for (i = 0; i < t.sh->bots.used; i++) {
        ngx_memzero(ngx_http_tgbot_pace_table_bot(&t, i)->bot.named,
                    2 * sizeof(uint32_t));
    }

    ngx_http_tgbot_pace_table_repair(&t);
}


/* copies pauses: the rest would be known again in a minute */

static ngx_int_t
ngx_http_tgbot_pace_table_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old)
{
    ngx_str_t                       chat;
    ngx_uint_t                      i;
    ngx_msec_t                      shift;
    ngx_http_tgbot_pace_t           user;
    ngx_http_tgbot_pace_bot_t      *to;
    ngx_http_tgbot_pace_table_t     t, from;
    ngx_http_tgbot_pace_record_t   *record, *copy;

    ngx_http_tgbot_pace_table_open(&t, zone);
    ngx_http_tgbot_pace_table_open(&from, old);

    shift = zone->offset - old->offset;

    for (i = 0; i < from.sh->bots.used; i++) {
        to = ngx_http_tgbot_pace_table_enter(&t, &from, i, &user);

        if (to) {
            to->pause.until = ngx_http_tgbot_pace_table_bot(&from, i)
                                  ->pause.until;
            to->pause.until += to->pause.until ? shift : 0;
        }
    }

    for (i = 0; i < from.sh->total; i++) {
        record = &from.records[i];

        if (record->key.bot == 0 || record->pause.until == 0) {
            continue;
        }

        to = ngx_http_tgbot_pace_table_enter(&t, &from, record->entry, &user);

        chat.data = record->key.data;
        chat.len = record->key.len;

        copy = to ? ngx_http_tgbot_pace_table_record(&t, &user, &chat, 1)
                  : NULL;
        if (copy) {
            copy->pause.until = record->pause.until + shift;
        }
    }

    ngx_http_tgbot_pace_table_repair(&t);

    return NGX_OK;
}


/* the entry in *t of a bot that has one in *from; NULL: no room */

static ngx_http_tgbot_pace_bot_t *
ngx_http_tgbot_pace_table_enter(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_table_t *from, ngx_uint_t entry,
    ngx_http_tgbot_pace_t *user)
{
    ngx_http_tgbot_pace_bot_t   *bot;

    bot = ngx_http_tgbot_pace_table_bot(from, entry);

    if (bot->bot.serial == 0) {
        return NULL;
    }

    user->zone = t->zone;
    user->bot.data = bot->bot.name;
    user->bot.len = bot->bot.len;
    user->bot_id = bot->bot.bot_id;

    return ngx_http_tgbot_zone_bots_enter(&t->bots, user, 0);
}


void
ngx_http_tgbot_pace_table_open(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_zone_t *zone)
{
    u_char                     *p;
    ngx_http_tgbot_pace_sh_t   *sh;

    sh = ngx_http_tgbot_pace_table_sh(zone);
    p = (u_char *) sh + ngx_http_tgbot_pace_table_header;

    t->zone = zone;
    t->sh = sh;
    t->self = NGX_HTTP_TGBOT_PACE_NIL;
    t->now = ngx_http_tgbot_zone_msec(zone);

    ngx_memzero(t->rung, sizeof(t->rung));

    t->bots.zone = zone;
    t->bots.sh = &sh->bots;
    t->bots.size = sizeof(ngx_http_tgbot_pace_bot_t);
    t->bots.held = offsetof(ngx_http_tgbot_pace_bot_t, active);
    t->bots.match = NULL;
    t->bots.make = ngx_http_tgbot_pace_table_make;
    t->bots.init = 0;

    t->bots.entries = p;
    p += sh->bots.n * sizeof(ngx_http_tgbot_pace_bot_t);

    t->slots = (ngx_http_tgbot_pace_slot_t *) p;
    p += NGX_MAX_PROCESSES * sizeof(ngx_http_tgbot_pace_slot_t);

    t->records = (ngx_http_tgbot_pace_record_t *) p;
    p += sh->total * sizeof(ngx_http_tgbot_pace_record_t);

    t->tickets = (ngx_http_tgbot_pace_ticket_t *) p;
    p += sh->total * sizeof(ngx_http_tgbot_pace_ticket_t);

    t->chains = (uint32_t *) p;
}


static ngx_int_t
ngx_http_tgbot_pace_table_make(ngx_http_tgbot_zone_bots_t *bots, void *entry,
    void *user)
{
    ngx_http_tgbot_pace_bot_t   *bot = entry;

    bot->pause.probe = NGX_HTTP_TGBOT_PACE_NIL;

    ngx_http_tgbot_list_init(&bot->stopped);
    ngx_http_tgbot_list_init(&bot->ready[0]);
    ngx_http_tgbot_list_init(&bot->ready[1]);

    return NGX_OK;
}


void
ngx_http_tgbot_pace_table_lock(ngx_http_tgbot_pace_table_t *t)
{
    if (ngx_http_tgbot_zone_lock(t->zone) == NGX_DECLINED) {
        ngx_http_tgbot_pace_table_repair(t);
    }
}


void
ngx_http_tgbot_pace_table_unlock(ngx_http_tgbot_pace_table_t *t,
    void (*ring)(ngx_uint_t slot))
{
    uint64_t    bits;
    ngx_uint_t  i, n;

    ngx_http_tgbot_zone_unlock(t->zone);

    for (i = 0; i < NGX_MAX_PROCESSES / 64; i++) {

        for (n = 0, bits = t->rung[i]; bits; n++, bits >>= 1) {

            if (bits & 1) {
                ring(i * 64 + n);
            }
        }
    }
}


/*
 * Records and tickets that are in use say all; lists, chains, counts, and who
 * has which place, are derived from them.  Each ticket is looked at again.
 */

static void
ngx_http_tgbot_pace_table_repair(ngx_http_tgbot_pace_table_t *t)
{
    ngx_uint_t                   i;
    ngx_http_tgbot_pace_bot_t   *bot;

    for (i = 0; i < t->sh->bots.n; i++) {
        bot = ngx_http_tgbot_pace_table_bot(t, i);

        bot->active = (bot->pause.until != 0);
        bot->paused = (bot->pause.until != 0);
        bot->level[0].flight = 0;
        bot->level[1].flight = 0;

        ngx_memzero(bot->waiting, sizeof(bot->waiting));

        ngx_http_tgbot_list_init(&bot->stopped);
        ngx_http_tgbot_list_init(&bot->ready[0]);
        ngx_http_tgbot_list_init(&bot->ready[1]);

        ngx_http_tgbot_pace_table_probe(t, &bot->pause, bot);
    }

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        ngx_http_tgbot_list_init(&t->slots[i].own);
        ngx_http_tgbot_list_init(&t->slots[i].mail);
    }

    ngx_http_tgbot_pace_table_repair_records(t);
    ngx_http_tgbot_pace_table_repair_tickets(t);
}


/* a probe that is in flight stays one */

static void
ngx_http_tgbot_pace_table_probe(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_pause_t *pause, ngx_http_tgbot_pace_bot_t *bot)
{
    ngx_http_tgbot_pace_ticket_t   *ticket;

    if (pause->until && pause->probe < t->sh->total) {
        ticket = &t->tickets[pause->probe];

        if (ticket->epoch
            && !ticket->waits
            && ticket->record < t->sh->total
            && bot == ngx_http_tgbot_pace_table_bot(t,
                                         t->records[ticket->record].entry))
        {
            return;
        }
    }

    pause->probe = NGX_HTTP_TGBOT_PACE_NIL;
}


static void
ngx_http_tgbot_pace_table_repair_records(ngx_http_tgbot_pace_table_t *t)
{
    uint32_t                       *chain;
    ngx_uint_t                      i;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_pace_links(
                                                           t->records, link);
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_record_t   *record;

    ngx_memset(t->chains, 0xff, ((size_t) t->sh->mask + 1) * sizeof(uint32_t));

    ngx_http_tgbot_list_init(&t->sh->records);
    t->sh->spare_record = NGX_HTTP_TGBOT_PACE_NIL;

    for (i = t->sh->total; i-- > 0; /* void */) {
        record = &t->records[i];

        if (record->key.bot == 0) {
            record->link.next = t->sh->spare_record;
            t->sh->spare_record = i;
            continue;
        }

        record->tickets = 0;
        record->going = 0;
        record->sent = 0;
        record->chat.flight = 0;
        record->group.flight = 0;
        record->is_stopped = 0;
        record->is_ready = 0;

        ngx_http_tgbot_list_init(&record->loose);
        ngx_http_tgbot_list_init(&record->line);
        ngx_http_tgbot_list_init(&record->bulk);

        bot = ngx_http_tgbot_pace_table_bot(t, record->entry);

        if (record->pause.until) {
            bot->active++;
            bot->paused++;
        }

        ngx_http_tgbot_pace_table_probe(t, &record->pause, bot);

        chain = ngx_http_tgbot_pace_table_chain(t, &record->key);
        record->chain = *chain;
        *chain = i;

        ngx_http_tgbot_list_prepend(&links, &t->sh->records, i);
    }
}


static void
ngx_http_tgbot_pace_table_repair_tickets(ngx_http_tgbot_pace_table_t *t)
{
    uint32_t                        n;
    ngx_uint_t                      i;
    ngx_http_tgbot_sort_t           sort;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_pace_links(
                                                           t->tickets, link);
    ngx_http_tgbot_pace_ticket_t   *ticket;

    sort.links = &links;
    sort.before = ngx_http_tgbot_pace_table_before;
    sort.data = t;

    ngx_http_tgbot_sort_init(&sort);

    t->sh->ntickets = 0;
    t->sh->spare_ticket = NGX_HTTP_TGBOT_PACE_NIL;

    for (i = t->sh->total; i-- > 0; /* void */) {
        ticket = &t->tickets[i];

        if (ticket->epoch
            && ticket->record < t->sh->total
            && t->records[ticket->record].key.bot)
        {
            ngx_http_tgbot_sort_add(&sort, i);
            continue;
        }

        ticket->epoch = 0;
        ticket->link.next = t->sh->spare_ticket;
        t->sh->spare_ticket = i;
    }

    n = ngx_http_tgbot_sort_end(&sort);

    while (n != NGX_HTTP_TGBOT_PACE_NIL) {
        ticket = &t->tickets[n];
        n = ticket->link.next;

        ngx_http_tgbot_pace_table_attach(t, ticket);
    }
}


static void
ngx_http_tgbot_pace_table_attach(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    uint32_t                        n;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_pace_links(
                                                           t->tickets, link);
    ngx_http_tgbot_links_t          own = ngx_http_tgbot_pace_links(
                                                            t->tickets, own);
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_slot_t     *slot;
    ngx_http_tgbot_pace_record_t   *record;

    n = ticket - t->tickets;
    record = &t->records[ticket->record];
    bot = ngx_http_tgbot_pace_table_bot(t, record->entry);
    slot = &t->slots[ticket->slot];

    t->sh->ntickets++;
    bot->active++;
    record->tickets++;

    ngx_http_tgbot_list_append(&own, &slot->own, n);

    ticket->mailed = 0;
    ngx_http_tgbot_pace_table_mail(t, ticket);

    if (ticket->waits) {
        ticket->listed = 1;
        bot->waiting[ticket->reason]++;

    } else if (ticket->class == NGX_HTTP_TGBOT_PACE_LOOSE) {
        ticket->listed = 0;

    } else if (ticket->class == NGX_HTTP_TGBOT_PACE_BULK) {
        record->sent++;

    } else {
        record->going++;
    }

    if (ticket->flight) {
        record->chat.flight++;
        record->group.flight += ticket->group;
        bot->level[ticket->paid].flight++;
    }

    if (ticket->listed) {
        ngx_http_tgbot_list_append(&links,
                      ngx_http_tgbot_pace_table_list(record, ticket->class),
                      n);
    }
}


static ngx_uint_t
ngx_http_tgbot_pace_table_before(void *data, uint32_t a, uint32_t b)
{
    ngx_http_tgbot_pace_table_t   *t = data;

    return t->tickets[a].seq <= t->tickets[b].seq;
}


static ngx_http_tgbot_list_t *
ngx_http_tgbot_pace_table_list(ngx_http_tgbot_pace_record_t *record,
    ngx_uint_t class)
{
    switch (class) {

    case NGX_HTTP_TGBOT_PACE_LOOSE:
        return &record->loose;

    case NGX_HTTP_TGBOT_PACE_BULK:
        return &record->bulk;

    default:
        return &record->line;
    }
}


/* strongly universal: users choose chats */

static uint32_t *
ngx_http_tgbot_pace_table_chain(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_key_t *key)
{
    uint64_t    hash;
    uint32_t    words[NGX_HTTP_TGBOT_PACE_WORDS];
    ngx_uint_t  i;

    ngx_memcpy(words, key, sizeof(words));

    hash = t->sh->seed[NGX_HTTP_TGBOT_PACE_WORDS];

    for (i = 0; i < NGX_HTTP_TGBOT_PACE_WORDS; i++) {
        hash += t->sh->seed[i] * words[i];
    }

    return &t->chains[(hash >> 32) & t->sh->mask];
}


static ngx_http_tgbot_pace_record_t *
ngx_http_tgbot_pace_table_find(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_key_t *key)
{
    uint32_t  n;

    n = *ngx_http_tgbot_pace_table_chain(t, key);

    while (n != NGX_HTTP_TGBOT_PACE_NIL) {

        if (ngx_memcmp(&t->records[n].key, key,
                       sizeof(ngx_http_tgbot_pace_key_t))
            == 0)
        {
            return &t->records[n];
        }

        n = t->records[n].chain;
    }

    return NULL;
}


ngx_http_tgbot_pace_record_t *
ngx_http_tgbot_pace_table_record(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_t *pace, ngx_str_t *chat, ngx_uint_t make)
{
    u_char                          id[NGX_INT64_LEN];
    uint32_t                        n;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_pace_links(
                                                           t->records, link);
    ngx_http_tgbot_pace_key_t       key;
    ngx_http_tgbot_pace_record_t   *record;

    ngx_http_tgbot_pace_table_key(&key, pace->serial, chat->data, chat->len);

    record = ngx_http_tgbot_pace_table_find(t, &key);

    if (record && record->alias) {
        ngx_http_tgbot_pace_table_key(&key, pace->serial, id,
                            ngx_sprintf(id, "%L", record->alias) - id);

        record = ngx_http_tgbot_pace_table_find(t, &key);
    }

    if (record == NULL) {
        return make ? ngx_http_tgbot_pace_table_new(t, &key, pace->entry)
                    : NULL;
    }

    n = record - t->records;

    if (t->sh->records.first != n) {
        ngx_http_tgbot_list_remove(&links, &t->sh->records, n);
        ngx_http_tgbot_list_prepend(&links, &t->sh->records, n);
    }

    return record;
}


/* letters of a @name count as small ones */

static void
ngx_http_tgbot_pace_table_key(ngx_http_tgbot_pace_key_t *key, uint32_t bot,
    u_char *data, size_t len)
{
    size_t  i;

    ngx_memzero(key, sizeof(ngx_http_tgbot_pace_key_t));

    key->bot = bot;
    key->len = ngx_min(len, NGX_HTTP_TGBOT_PACE_CHAT);

    for (i = 0; i < key->len; i++) {
        key->data[i] = (data[0] == '@') ? ngx_tolower(data[i]) : data[i];
    }
}


static ngx_http_tgbot_pace_record_t *
ngx_http_tgbot_pace_table_new(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_key_t *key, uint32_t entry)
{
    uint32_t                        n, *chain;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_pace_links(
                                                           t->records, link);
    ngx_http_tgbot_pace_record_t   *record;

    n = t->sh->spare_record;

    if (n != NGX_HTTP_TGBOT_PACE_NIL) {
        record = &t->records[n];
        t->sh->spare_record = record->link.next;

    } else {
        record = ngx_http_tgbot_pace_table_evict(t);
        if (record == NULL) {
            return NULL;
        }

        n = record - t->records;
    }

    ngx_http_tgbot_zone_stop("pace: record out");

    ngx_memzero(record, sizeof(ngx_http_tgbot_pace_record_t));

    record->entry = entry;
    record->pause.probe = NGX_HTTP_TGBOT_PACE_NIL;

    ngx_http_tgbot_list_init(&record->loose);
    ngx_http_tgbot_list_init(&record->line);
    ngx_http_tgbot_list_init(&record->bulk);

    ngx_memcpy(record->key.data, key->data, NGX_HTTP_TGBOT_PACE_CHAT);
    record->key.len = key->len;

    ngx_memory_barrier();

    record->key.bot = key->bot;

    ngx_http_tgbot_zone_stop("pace: record new");

    chain = ngx_http_tgbot_pace_table_chain(t, key);
    record->chain = *chain;
    *chain = n;

    ngx_http_tgbot_list_prepend(&links, &t->sh->records, n);

    return record;
}


/*
 * A record without tickets that is not paused, among those that were not used
 * for the longest time.  The others move to the front, to be passed over.
 */

static ngx_http_tgbot_pace_record_t *
ngx_http_tgbot_pace_table_evict(ngx_http_tgbot_pace_table_t *t)
{
    uint32_t                        n, *p;
    ngx_uint_t                      i;
    ngx_http_tgbot_links_t          links = ngx_http_tgbot_pace_links(
                                                           t->records, link);
    ngx_http_tgbot_pace_bot_t      *bot;
    ngx_http_tgbot_pace_record_t   *record;

    n = NGX_HTTP_TGBOT_PACE_NIL;
    record = NULL;

    for (i = 0; i < NGX_HTTP_TGBOT_PACE_EVICT; i++) {
        n = t->sh->records.last;
        record = &t->records[n];

        ngx_http_tgbot_list_remove(&links, &t->sh->records, n);

        if (record->tickets == 0
            && (record->pause.until == 0
                || (ngx_msec_int_t) (t->now - record->pause.until) >= 0))
        {
            break;
        }

        ngx_http_tgbot_list_prepend(&links, &t->sh->records, n);
    }

    if (i == NGX_HTTP_TGBOT_PACE_EVICT) {
        return NULL;
    }

    p = ngx_http_tgbot_pace_table_chain(t, &record->key);

    while (*p != n) {
        p = &t->records[*p].chain;
    }

    *p = record->chain;

    if (record->pause.until) {
        bot = ngx_http_tgbot_pace_table_bot(t, record->entry);
        bot->active--;
        bot->paused--;
    }

    record->key.bot = 0;

    t->zone->sh->evicted++;

    return record;
}


ngx_http_tgbot_pace_ticket_t *
ngx_http_tgbot_pace_table_add(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record, ngx_http_tgbot_pace_call_t *call)
{
    uint32_t                        n, before, after;
    ngx_http_tgbot_list_t          *list;
    ngx_http_tgbot_links_t          own = ngx_http_tgbot_pace_links(
                                                            t->tickets, own);
    ngx_http_tgbot_pace_slot_t     *slot;
    ngx_http_tgbot_pace_ticket_t   *ticket;

    n = t->sh->spare_ticket;

    if (n == NGX_HTTP_TGBOT_PACE_NIL) {
        return NULL;
    }

    ticket = &t->tickets[n];
    t->sh->spare_ticket = ticket->link.next;

    ngx_memzero(ticket, sizeof(ngx_http_tgbot_pace_ticket_t));

    ticket->record = record - t->records;
    ticket->slot = ngx_http_tgbot_lease_slot();
    t->sh->nslots = ngx_max(t->sh->nslots, ticket->slot + 1);

    ticket->class = call->class;
    ticket->waits = 1;
    ticket->listed = 1;
    ticket->group = (call->group != 0);
    ticket->paid = (call->paid != 0);
    ticket->seq = call->seq;
    ticket->data = call->data;

    ngx_memory_barrier();

    ticket->epoch = ngx_http_tgbot_lease_self();

    ngx_http_tgbot_zone_stop("pace: ticket made");

    /* a call that waits is nearly always the last one */

    list = ngx_http_tgbot_pace_table_list(record, call->class);

    before = list->last;
    after = NGX_HTTP_TGBOT_PACE_NIL;

    while (before != NGX_HTTP_TGBOT_PACE_NIL
           && t->tickets[before].seq > call->seq)
    {
        after = before;
        before = t->tickets[before].link.prev;
    }

    ticket->link.prev = before;
    ticket->link.next = after;

    *(before != NGX_HTTP_TGBOT_PACE_NIL ? &t->tickets[before].link.next
                                         : &list->first) = n;

    ngx_http_tgbot_zone_stop("pace: ticket half linked");

    *(after != NGX_HTTP_TGBOT_PACE_NIL ? &t->tickets[after].link.prev
                                        : &list->last) = n;
    list->n++;

    slot = &t->slots[ticket->slot];
    ngx_http_tgbot_list_append(&own, &slot->own, n);

    t->sh->ntickets++;
    record->tickets++;
    ngx_http_tgbot_pace_table_bot(t, record->entry)->active++;

    call->ticket = n + 1;

    return ticket;
}


void
ngx_http_tgbot_pace_table_unlist(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    ngx_http_tgbot_links_t  links = ngx_http_tgbot_pace_links(t->tickets,
                                                               link);

    if (!ticket->listed) {
        return;
    }

    ngx_http_tgbot_list_remove(&links,
             ngx_http_tgbot_pace_table_list(&t->records[ticket->record],
                                             ticket->class),
             ticket - t->tickets);

    ticket->listed = 0;
}


void
ngx_http_tgbot_pace_table_free(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    ngx_http_tgbot_links_t          own = ngx_http_tgbot_pace_links(
                                                            t->tickets, own);
    ngx_http_tgbot_pace_record_t   *record;

    record = &t->records[ticket->record];

    ngx_http_tgbot_pace_table_unlist(t, ticket);
    ngx_http_tgbot_pace_table_unmail(t, ticket);

    ngx_http_tgbot_list_remove(&own, &t->slots[ticket->slot].own,
                               ticket - t->tickets);

    ngx_http_tgbot_zone_stop("pace: ticket out");

    ticket->epoch = 0;
    ticket->link.next = t->sh->spare_ticket;
    t->sh->spare_ticket = ticket - t->tickets;

    t->sh->ntickets--;
    record->tickets--;
    ngx_http_tgbot_pace_table_bot(t, record->entry)->active--;
}


void
ngx_http_tgbot_pace_table_mail(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    ngx_http_tgbot_links_t  mail = ngx_http_tgbot_pace_links(t->tickets,
                                                              mail);

    if (!ticket->mailed) {
        ticket->mailed = 1;
        ngx_http_tgbot_list_append(&mail, &t->slots[ticket->slot].mail,
                                   ticket - t->tickets);
    }

    t->rung[ticket->slot / 64] |= (uint64_t) 1 << (ticket->slot % 64);
}


void
ngx_http_tgbot_pace_table_unmail(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket)
{
    ngx_http_tgbot_links_t  mail = ngx_http_tgbot_pace_links(t->tickets,
                                                              mail);

    if (ticket->mailed) {
        ticket->mailed = 0;
        ngx_http_tgbot_list_remove(&mail, &t->slots[ticket->slot].mail,
                                   ticket - t->tickets);
    }
}
