
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast.h"
#include "ngx_http_tgbot_broadcast_area.h"


/* ms between two looks at the rate */
#define NGX_HTTP_TGBOT_BROADCAST_RATE  1000


static ngx_http_tgbot_broadcast_record_t *ngx_http_tgbot_broadcast_loaded(
    ngx_http_tgbot_broadcast_area_t *area, ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *loader);
static ngx_http_tgbot_broadcast_record_t *ngx_http_tgbot_broadcast_led(
    ngx_http_tgbot_broadcast_area_t *area, ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *leader);
static ngx_http_tgbot_broadcast_record_t *ngx_http_tgbot_broadcast_spare(
    ngx_http_tgbot_broadcast_area_t *area);
static void ngx_http_tgbot_broadcast_reap(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record);
static void ngx_http_tgbot_broadcast_lease(ngx_http_tgbot_lease_t *dst,
    ngx_http_tgbot_lease_t *src);
static ngx_int_t ngx_http_tgbot_broadcast_write(
    ngx_http_tgbot_broadcast_area_t *area, uint32_t *link, uint64_t owner,
    ngx_str_t *text);
static ngx_int_t ngx_http_tgbot_broadcast_append(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, int64_t *chats, ngx_uint_t n);
static void ngx_http_tgbot_broadcast_move(
    ngx_http_tgbot_broadcast_record_t *record, u_char *byte, u_char value,
    ngx_uint_t from, ngx_uint_t to);
static u_char ngx_http_tgbot_broadcast_judge(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t state,
    ngx_http_tgbot_broadcast_error_t *error);
static ngx_uint_t ngx_http_tgbot_broadcast_number(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record,
    ngx_http_tgbot_broadcast_error_t *error);
static void ngx_http_tgbot_broadcast_rate(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t results);


ngx_str_t  ngx_http_tgbot_broadcast_chats[] = {
    ngx_string("waiting"),
    ngx_string("in_flight"),
    ngx_string("sent"),
    ngx_string("blocked"),
    ngx_string("failed"),
    ngx_string("unknown")
};


ngx_str_t  ngx_http_tgbot_broadcast_states[] = {
    ngx_string("going"),
    ngx_string("paused"),
    ngx_string("cancelled"),
    ngx_string("done")
};


ngx_int_t
ngx_http_tgbot_broadcast_create(ngx_http_tgbot_broadcast_t *b,
    ngx_str_t *method, ngx_str_t *text, ngx_uint_t state,
    ngx_http_tgbot_lease_t *loader, uint64_t *id)
{
    uint32_t                            first;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    if (method->len > NGX_HTTP_TGBOT_BROADCAST_METHOD
        || b->bot.len > NGX_HTTP_TGBOT_ITEM_NAME)
    {
        return NGX_BUSY;
    }

    ngx_http_tgbot_lease_new(loader);

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_spare(&area);

    if (record == NULL) {
        goto full;
    }

    *id = ++area.sh->id;

    if (ngx_http_tgbot_broadcast_write(&area, &first, *id, text) != NGX_OK) {
        goto full;
    }

    ngx_memzero(record, sizeof(ngx_http_tgbot_broadcast_record_t));

    ngx_memcpy(record->bot, b->bot.data, b->bot.len);
    ngx_memcpy(record->method, method->data, method->len);

    record->bot_len = b->bot.len;
    record->bot_id = b->bot_id;
    record->method_len = method->len;
    record->text = first;
    record->text_len = text->len;
    record->created = ngx_time();
    record->chats = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->errors = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->tail = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->block = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->state = state;
    record->loading = 1;
    record->loader = *loader;
    record->since = ngx_http_tgbot_zone_msec(b->zone);

    ngx_http_tgbot_zone_stop("broadcast: written");

    record->sum = 0;
    ngx_memory_barrier();

    record->id = *id;
    ngx_http_tgbot_broadcast_area_seal_record(record);

    ngx_http_tgbot_zone_unlock(b->zone);

    return NGX_OK;

full:

    ngx_http_tgbot_zone_unlock(b->zone);

    return NGX_BUSY;
}


/* a free record; a load whose process died gives its own one back */

static ngx_http_tgbot_broadcast_record_t *
ngx_http_tgbot_broadcast_spare(ngx_http_tgbot_broadcast_area_t *area)
{
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_record_t  *spare;

    spare = NULL;

    for (i = 0; i < area->nrecords; i++) {
        ngx_http_tgbot_broadcast_reap(area, &area->records[i]);

        if (spare == NULL && area->records[i].id == 0) {
            spare = &area->records[i];
        }
    }

    return spare;
}


/* drops what a loader has left that is dead */

static void
ngx_http_tgbot_broadcast_reap(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record)
{
    if (record->id == 0 || ngx_http_tgbot_lease_alive(&record->loader)) {
        return;
    }

    if (record->loading) {
        ngx_http_tgbot_broadcast_area_drop(area, record);
        return;
    }

    /* a loader that hung, and wakes up, must not add the rest alone */

    record->loader.epoch = 0;
    ngx_memory_barrier();

    ngx_http_tgbot_broadcast_area_cut(area, record);
}


/*
 * While a lease is written it has epoch 0, which is no lease: if this worker
 * dies here, no new slot is taken together with an old epoch.
 */

static void
ngx_http_tgbot_broadcast_lease(ngx_http_tgbot_lease_t *dst,
    ngx_http_tgbot_lease_t *src)
{
    dst->epoch = 0;
    ngx_memory_barrier();

    dst->slot = src->slot;
    dst->token = src->token;
    ngx_memory_barrier();

    dst->epoch = src->epoch;
}


static ngx_int_t
ngx_http_tgbot_broadcast_write(ngx_http_tgbot_broadcast_area_t *area,
    uint32_t *link, uint64_t owner, ngx_str_t *text)
{
    size_t                             len;
    uint32_t                           n, number, *first;
    ngx_http_tgbot_broadcast_block_t  *block;

    first = link;
    number = 0;

    *first = NGX_HTTP_TGBOT_BROADCAST_NIL;

    for (len = 0; len < text->len; len += block->n) {

        n = ngx_http_tgbot_broadcast_area_block(area, owner,
                                            NGX_HTTP_TGBOT_BROADCAST_OF_TEXT,
                                            number++);
        if (n == NGX_HTTP_TGBOT_BROADCAST_NIL) {
            ngx_http_tgbot_broadcast_area_free(area, *first);
            return NGX_BUSY;
        }

        block = &area->blocks[n];

        block->n = ngx_min(text->len - len, NGX_HTTP_TGBOT_BROADCAST_DATA);
        ngx_memcpy(block->u.text, text->data + len, block->n);
        ngx_http_tgbot_broadcast_area_seal(block);

        *link = n;
        link = &block->next;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_broadcast_load(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *loader)
{
    ngx_int_t                           rc;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    if (record == NULL) {
        rc = NGX_DECLINED;

    } else if (record->state == NGX_HTTP_TGBOT_BROADCAST_CANCELLED) {
        rc = NGX_ABORT;

    } else if (ngx_http_tgbot_lease_alive(&record->loader)) {
        rc = NGX_AGAIN;

    } else {
        ngx_http_tgbot_broadcast_reap(&area, record);

        ngx_http_tgbot_lease_new(loader);
        ngx_http_tgbot_broadcast_lease(&record->loader, loader);

        rc = NGX_OK;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_broadcast_add(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *loader, int64_t *chats, ngx_uint_t n)
{
    ngx_int_t                           rc;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_loaded(&area, b, id, loader);

    rc = record ? ngx_http_tgbot_broadcast_append(&area, record, chats, n)
                : NGX_DECLINED;

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


static ngx_int_t
ngx_http_tgbot_broadcast_append(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, int64_t *chats, ngx_uint_t n)
{
    uint32_t                           next, number, room;
    ngx_http_tgbot_broadcast_block_t  *block;

    while (n) {
        block = NULL;
        number = 0;

        if (record->tail != NGX_HTTP_TGBOT_BROADCAST_NIL) {
            block = &area->blocks[record->tail];
            number = block->number + 1;
        }

        if (block == NULL || block->n == NGX_HTTP_TGBOT_BROADCAST_SLOTS) {

            next = ngx_http_tgbot_broadcast_area_block(area, record->id,
                                           NGX_HTTP_TGBOT_BROADCAST_OF_CHATS,
                                           number);
            if (next == NGX_HTTP_TGBOT_BROADCAST_NIL) {
                return NGX_BUSY;
            }

            if (block) {
                block->next = next;

            } else {
                record->chats = next;
            }

            record->tail = next;

            ngx_http_tgbot_zone_stop("broadcast: linked");

            block = &area->blocks[next];
        }

        room = ngx_min(n, NGX_HTTP_TGBOT_BROADCAST_SLOTS - block->n);

        ngx_memcpy(&block->u.chats.id[block->n], chats,
                   room * sizeof(int64_t));
        ngx_memzero(&block->u.chats.state[block->n], room);

        block->n += room;

        ngx_http_tgbot_zone_stop("broadcast: added");

        ngx_http_tgbot_broadcast_area_seal(block);

        record->written += room;
        chats += room;
        n -= room;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_broadcast_publish(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *loader)
{
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_loaded(&area, b, id, loader);

    if (record) {
        record->count[NGX_HTTP_TGBOT_BROADCAST_WAITING] += record->written
                                                           - record->total;
        record->total = record->written;

        ngx_http_tgbot_zone_stop("broadcast: published");

        record->loading = 0;
        record->loader.epoch = 0;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return record ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_tgbot_broadcast_abandon(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *loader)
{
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_loaded(&area, b, id, loader);

    if (record) {
        record->loader.epoch = 0;
        ngx_http_tgbot_broadcast_reap(&area, record);
    }

    ngx_http_tgbot_zone_unlock(b->zone);
}


ngx_int_t
ngx_http_tgbot_broadcast_lead(ngx_http_tgbot_broadcast_t *b,
    ngx_http_tgbot_lease_t *leader, uint64_t *id, ngx_uint_t *unknown)
{
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record, *found;

    found = NULL;
    *unknown = 0;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    for (i = 0; i < area.nrecords && found == NULL; i++) {
        record = &area.records[i];

        ngx_http_tgbot_broadcast_reap(&area, record);

        if (record->id == 0 || record->loading
            || !ngx_http_tgbot_broadcast_area_own(record, b)
            || ngx_http_tgbot_lease_alive(&record->leader))
        {
            continue;
        }

        /* a leader that hung, and wakes up, must not take further chats */

        record->leader.epoch = 0;

        *unknown += ngx_http_tgbot_broadcast_area_strand(&area, record);

        if (record->state == NGX_HTTP_TGBOT_BROADCAST_GOING
            && record->count[NGX_HTTP_TGBOT_BROADCAST_WAITING])
        {
            found = record;
        }
    }

    if (found) {
        ngx_http_tgbot_lease_new(leader);
        ngx_http_tgbot_broadcast_lease(&found->leader, leader);

        found->since = ngx_http_tgbot_zone_msec(b->zone);
        found->results = 0;

        *id = found->id;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return found ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_tgbot_broadcast_take(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader, ngx_http_tgbot_broadcast_chat_t *chats,
    ngx_uint_t *n)
{
    u_char                             *byte;
    ngx_int_t                           rc;
    ngx_uint_t                          max, rounds;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_block_t   *block;
    ngx_http_tgbot_broadcast_record_t  *record;

    max = *n;
    *n = 0;
    rc = NGX_OK;
    rounds = 0;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_led(&area, b, id, leader);

    if (record == NULL) {
        rc = NGX_DECLINED;

    } else if (record->state != NGX_HTTP_TGBOT_BROADCAST_GOING) {
        rc = NGX_AGAIN;

    } else if (record->count[NGX_HTTP_TGBOT_BROADCAST_WAITING] == 0) {
        rc = NGX_DONE;
    }

    while (rc == NGX_OK && *n < max && rounds < 2
           && record->count[NGX_HTTP_TGBOT_BROADCAST_WAITING])
    {
        if (record->block == NGX_HTTP_TGBOT_BROADCAST_NIL) {
            record->block = record->chats;
            record->slot = 0;
            rounds++;
        }

        block = &area.blocks[record->block];

        if (record->slot == block->n
            || block->number * NGX_HTTP_TGBOT_BROADCAST_SLOTS + record->slot
               >= record->total)
        {
            record->block = (record->slot == NGX_HTTP_TGBOT_BROADCAST_SLOTS)
                            ? block->next : NGX_HTTP_TGBOT_BROADCAST_NIL;
            record->slot = 0;
            continue;
        }

        byte = &block->u.chats.state[record->slot];

        if (*byte < NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT) {

            chats[*n].block = record->block;
            chats[*n].slot = record->slot;
            chats[*n].chat = block->u.chats.id[record->slot];
            (*n)++;

            ngx_http_tgbot_broadcast_move(record, byte,
                                  *byte + NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT,
                                  NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                  NGX_HTTP_TGBOT_BROADCAST_FLIGHT);
        }

        record->slot++;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


/* the store of the byte is all that counts: the rest is derived */

static void
ngx_http_tgbot_broadcast_move(ngx_http_tgbot_broadcast_record_t *record,
    u_char *byte, u_char value, ngx_uint_t from, ngx_uint_t to)
{
    *byte = value;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("broadcast: moved");

    record->count[from]--;
    record->count[to]++;
}


void
ngx_http_tgbot_broadcast_settle(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader, ngx_http_tgbot_broadcast_chat_t *chat,
    ngx_uint_t state, ngx_http_tgbot_broadcast_error_t *error,
    ngx_uint_t again)
{
    u_char                             *byte, value, tries;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_led(&area, b, id, leader);

    if (record == NULL) {
        goto done;
    }

    byte = &area.blocks[chat->block].u.chats.state[chat->slot];

    tries = *byte - NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT;

    if (tries >= NGX_HTTP_TGBOT_BROADCAST_TRIES) {
        goto done;
    }

    if (again && tries + 1 < NGX_HTTP_TGBOT_BROADCAST_TRIES) {
        tries++;
        state = NGX_HTTP_TGBOT_BROADCAST_WAITING;
    }

    if (state == NGX_HTTP_TGBOT_BROADCAST_WAITING) {
        value = tries;

    } else {
        value = ngx_http_tgbot_broadcast_judge(&area, record, state, error);
        record->last = ngx_time();
    }

    ngx_http_tgbot_broadcast_move(record, byte, value,
                                  NGX_HTTP_TGBOT_BROADCAST_FLIGHT, state);

    ngx_http_tgbot_broadcast_rate(&area, record,
                                  state != NGX_HTTP_TGBOT_BROADCAST_WAITING);

done:

    ngx_http_tgbot_zone_unlock(b->zone);
}


/* the byte for a result */

static u_char
ngx_http_tgbot_broadcast_judge(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t state,
    ngx_http_tgbot_broadcast_error_t *error)
{
    ngx_uint_t  number;

    if (error
        && (state == NGX_HTTP_TGBOT_BROADCAST_BLOCKED
            || state == NGX_HTTP_TGBOT_BROADCAST_FAILED))
    {
        error->blocked = (state == NGX_HTTP_TGBOT_BROADCAST_BLOCKED);

        number = ngx_http_tgbot_broadcast_number(area, record, error);

        if (number) {
            return (u_char) (NGX_HTTP_TGBOT_BROADCAST_BYTE_ERROR + number);
        }
    }

    return (u_char) (NGX_HTTP_TGBOT_BROADCAST_BYTE + state);
}


/* finds an error in the table, or adds it; 0: there is no room */

static ngx_uint_t
ngx_http_tgbot_broadcast_number(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record,
    ngx_http_tgbot_broadcast_error_t *error)
{
    uint32_t                           *link, n, number;
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_block_t   *block;
    ngx_http_tgbot_broadcast_error_t   *known;

    number = 0;
    block = NULL;
    link = &record->errors;

    while (*link != NGX_HTTP_TGBOT_BROADCAST_NIL) {
        block = &area->blocks[*link];

        for (i = 0; i < block->n; i++) {
            known = &block->u.errors[i];
            number++;

            if (known->status == error->status
                && known->blocked == error->blocked
                && known->len == error->len
                && ngx_memcmp(known->text, error->text, error->len) == 0)
            {
                return number;
            }
        }

        link = &block->next;
    }

    if (number == NGX_HTTP_TGBOT_BROADCAST_ERRORS) {
        return 0;
    }

    if (block == NULL || block->n == NGX_HTTP_TGBOT_BROADCAST_TABLE) {

        n = ngx_http_tgbot_broadcast_area_block(area, record->id,
                                          NGX_HTTP_TGBOT_BROADCAST_OF_ERRORS,
                                          block ? block->number + 1 : 0);
        if (n == NGX_HTTP_TGBOT_BROADCAST_NIL) {
            return 0;
        }

        block = &area->blocks[n];

        ngx_http_tgbot_broadcast_area_seal(block);

        *link = n;

        ngx_http_tgbot_zone_stop("broadcast: table");
    }

    block->u.errors[block->n] = *error;
    block->n++;

    ngx_http_tgbot_zone_stop("broadcast: error");

    ngx_http_tgbot_broadcast_area_seal(block);

    record->nerrors++;

    return record->nerrors;
}


static void
ngx_http_tgbot_broadcast_rate(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t results)
{
    uint64_t        rate;
    ngx_msec_t      now;
    ngx_msec_int_t  elapsed;

    now = ngx_http_tgbot_zone_msec(area->zone);
    elapsed = (ngx_msec_int_t) (now - record->since);

    record->results += results;

    if (elapsed >= 0 && elapsed < NGX_HTTP_TGBOT_BROADCAST_RATE) {
        return;
    }

    if (elapsed > 0) {
        rate = (uint64_t) record->results * 1000 * 1000 / elapsed;

        record->rate = record->rate ? (3 * (uint64_t) record->rate + rate) / 4
                                    : rate;
    }

    record->since = now;
    record->results = 0;
}


void
ngx_http_tgbot_broadcast_leave(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader)
{
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_led(&area, b, id, leader);

    if (record) {
        record->leader.epoch = 0;
        record->rate = 0;
    }

    ngx_http_tgbot_zone_unlock(b->zone);
}


ngx_int_t
ngx_http_tgbot_broadcast_set(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_uint_t state)
{
    ngx_int_t                           rc;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    rc = NGX_DECLINED;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    if (record) {
        rc = (record->state == NGX_HTTP_TGBOT_BROADCAST_CANCELLED
              && state != NGX_HTTP_TGBOT_BROADCAST_CANCELLED) ? NGX_ABORT
                                                              : NGX_OK;
    }

    if (rc == NGX_OK) {
        record->state = state;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_broadcast_again(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_uint_t state, ngx_uint_t *n)
{
    u_char                              meaning[256], *byte;
    uint32_t                            k, total;
    ngx_int_t                           rc;
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_block_t   *block;
    ngx_http_tgbot_broadcast_record_t  *record;

    *n = 0;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    rc = (record == NULL) ? NGX_DECLINED
         : (record->state == NGX_HTTP_TGBOT_BROADCAST_CANCELLED) ? NGX_ABORT
                                                                 : NGX_OK;

    if (rc != NGX_OK) {
        goto done;
    }

    ngx_http_tgbot_broadcast_area_meaning(&area, record, meaning);

    total = record->total;

    for (k = record->chats;
         k != NGX_HTTP_TGBOT_BROADCAST_NIL && record->count[state];
         k = block->next)
    {
        block = &area.blocks[k];

        for (i = 0; i < block->n && total; i++, total--) {
            byte = &block->u.chats.state[i];

            if (meaning[*byte] == state) {
                ngx_http_tgbot_broadcast_move(record, byte, 0, state,
                                            NGX_HTTP_TGBOT_BROADCAST_WAITING);
                (*n)++;
            }
        }
    }

done:

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_broadcast_drop(ngx_http_tgbot_broadcast_t *b, uint64_t id)
{
    ngx_int_t                           rc;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    if (record == NULL) {
        rc = NGX_DECLINED;

    } else if (ngx_http_tgbot_broadcast_area_state(record)
               == NGX_HTTP_TGBOT_BROADCAST_GOING
               || record->count[NGX_HTTP_TGBOT_BROADCAST_FLIGHT]
               || ngx_http_tgbot_lease_alive(&record->loader))
    {
        rc = NGX_AGAIN;

    } else {
        ngx_http_tgbot_broadcast_area_drop(&area, record);
        rc = NGX_OK;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


static ngx_http_tgbot_broadcast_record_t *
ngx_http_tgbot_broadcast_loaded(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *loader)
{
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_record_t  *record;

    for (i = 0; id && i < area->nrecords; i++) {
        record = &area->records[i];

        if (record->id == id) {
            return (ngx_http_tgbot_lease_equal(&record->loader, loader)
                    && ngx_http_tgbot_broadcast_area_own(record, b)) ? record
                                                                : NULL;
        }
    }

    return NULL;
}


static ngx_http_tgbot_broadcast_record_t *
ngx_http_tgbot_broadcast_led(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader)
{
    ngx_http_tgbot_broadcast_record_t  *record;

    record = ngx_http_tgbot_broadcast_area_find(area, b, id);

    return (record && ngx_http_tgbot_lease_equal(&record->leader, leader))
           ? record : NULL;
}
