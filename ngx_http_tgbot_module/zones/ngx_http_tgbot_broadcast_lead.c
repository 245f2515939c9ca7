
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast_area.h"
#include "ngx_http_tgbot_broadcast_lead.h"


/* ms between two looks at the rate */
#define NGX_HTTP_TGBOT_BROADCAST_LEAD_RATE  1000

/* chats that lead_take() looks at inside the lock */
#define NGX_HTTP_TGBOT_BROADCAST_LEAD_LOOK  512


static void ngx_http_tgbot_broadcast_lead_look(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record,
    ngx_http_tgbot_broadcast_chat_t *chats, ngx_uint_t *n);
static u_char ngx_http_tgbot_broadcast_lead_first(
    ngx_http_tgbot_broadcast_record_t *record, ngx_http_tgbot_lease_t *lease,
    u_char byte);
static u_char ngx_http_tgbot_broadcast_lead_judge(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t state,
    ngx_http_tgbot_broadcast_error_t *error);
static ngx_uint_t ngx_http_tgbot_broadcast_lead_number(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record,
    ngx_http_tgbot_broadcast_error_t *error);
static void ngx_http_tgbot_broadcast_lead_rate(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t results);
static ngx_http_tgbot_broadcast_record_t *ngx_http_tgbot_broadcast_lead_led(
    ngx_http_tgbot_broadcast_area_t *area, ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *leader);


ngx_int_t
ngx_http_tgbot_broadcast_lead_find(ngx_http_tgbot_broadcast_t *b,
    ngx_http_tgbot_lease_t *leader, uint64_t *id, ngx_uint_t *unknown)
{
    ngx_int_t                           rc;
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record, *found;

    found = NULL;
    rc = NGX_OK;
    *unknown = 0;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    for (i = 0; i < area.nrecords && found == NULL && rc == NGX_OK; i++) {
        record = &area.records[i];

        ngx_http_tgbot_broadcast_area_reap(&area, record);

        if (record->id == 0 || record->loading
            || !ngx_http_tgbot_broadcast_area_own(record, b))
        {
            continue;
        }

        /* a leader that hung, and wakes up, must not take further chats */

        if (!ngx_http_tgbot_lease_alive(&record->former)) {
            record->former.epoch = 0;
        }

        if (!ngx_http_tgbot_lease_alive(&record->leader)) {
            record->leader.epoch = 0;
        }

        rc = ngx_http_tgbot_broadcast_area_strand(&area, record, unknown);

        if (rc == NGX_OK
            && record->leader.epoch == 0
            && record->state == NGX_HTTP_TGBOT_BROADCAST_GOING
            && record->count[NGX_HTTP_TGBOT_BROADCAST_WAITING])
        {
            found = record;
        }
    }

    if (found) {
        ngx_http_tgbot_lease_new(leader);
        ngx_http_tgbot_broadcast_area_lease(&found->leader, leader);

        found->since = ngx_http_tgbot_zone_msec(b->zone);
        found->results = 0;

        *id = found->id;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return found ? NGX_OK : (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_DECLINED;
}


ngx_int_t
ngx_http_tgbot_broadcast_lead_take(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader, ngx_http_tgbot_broadcast_chat_t *chats,
    ngx_uint_t *n)
{
    ngx_int_t                           rc;
    ngx_uint_t                          max;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    max = *n;
    *n = 0;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_lead_led(&area, b, id, leader);

    if (record == NULL) {
        rc = NGX_DECLINED;

    } else if (record->state != NGX_HTTP_TGBOT_BROADCAST_GOING) {
        rc = NGX_AGAIN;

    } else if (record->count[NGX_HTTP_TGBOT_BROADCAST_WAITING]
               == record->taken)
    {
        rc = NGX_DONE;

    } else {
        *n = max;
        ngx_http_tgbot_broadcast_lead_look(&area, record, chats, n);

        rc = NGX_OK;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


static void
ngx_http_tgbot_broadcast_lead_look(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record,
    ngx_http_tgbot_broadcast_chat_t *chats, ngx_uint_t *n)
{
    u_char                             *byte;
    uint32_t                            at;
    ngx_uint_t                          max, looks;
    ngx_http_tgbot_broadcast_block_t   *block;

    max = *n;
    *n = 0;

    for (looks = NGX_HTTP_TGBOT_BROADCAST_LEAD_LOOK;
         looks && *n < max
         && record->count[NGX_HTTP_TGBOT_BROADCAST_WAITING] > record->taken;
         looks--)
    {
        if (record->block == NGX_HTTP_TGBOT_BROADCAST_NIL) {
            record->block = record->chats;
            record->slot = 0;
        }

        block = &area->blocks[record->block];
        at = block->number * NGX_HTTP_TGBOT_BROADCAST_SLOTS + record->slot;

        if (at >= record->total
            || record->slot == NGX_HTTP_TGBOT_BROADCAST_SLOTS)
        {
            record->block = (at < record->total) ? block->next
                                                 : NGX_HTTP_TGBOT_BROADCAST_NIL;
            record->slot = 0;
            continue;
        }

        byte = &block->u.chats.state[record->slot];

        if (*byte < NGX_HTTP_TGBOT_BROADCAST_TRIES) {

            chats[*n].block = record->block;
            chats[*n].slot = record->slot;
            chats[*n].chat = block->u.chats.id[record->slot];
            (*n)++;

            ngx_http_tgbot_broadcast_area_move(record, byte,
                                   *byte + NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN,
                                   NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                   NGX_HTTP_TGBOT_BROADCAST_WAITING);
        }

        record->slot++;
    }
}


ngx_int_t
ngx_http_tgbot_broadcast_lead_start(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader, ngx_http_tgbot_broadcast_chat_t *chat)
{
    u_char                             *byte;
    ngx_int_t                           rc;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    rc = NGX_DECLINED;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_lead_led(&area, b, id, leader);

    if (record == NULL || record->state != NGX_HTTP_TGBOT_BROADCAST_GOING) {
        goto done;
    }

    byte = &area.blocks[chat->block].u.chats.state[chat->slot];

    if (ngx_http_tgbot_broadcast_is(*byte,
                                    NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT))
    {
        /* a call that goes on under the new id of its chat */

        rc = NGX_OK;

    } else if (ngx_http_tgbot_broadcast_is(*byte,
                                         NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN))
    {
        ngx_http_tgbot_broadcast_area_move(record, byte,
                                    *byte - NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN
                                    + NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT,
                                    NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                    NGX_HTTP_TGBOT_BROADCAST_FLIGHT);
        rc = NGX_OK;
    }

done:

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


void
ngx_http_tgbot_broadcast_lead_wait(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader, ngx_http_tgbot_broadcast_chat_t *chat)
{
    u_char                             *byte;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_lead_led(&area, b, id, leader);

    if (record) {
        byte = &area.blocks[chat->block].u.chats.state[chat->slot];

        if (ngx_http_tgbot_broadcast_is(*byte,
                                        NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT))
        {
            ngx_http_tgbot_broadcast_area_move(record, byte,
                                   *byte - NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT
                                   + NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN,
                                   NGX_HTTP_TGBOT_BROADCAST_FLIGHT,
                                   NGX_HTTP_TGBOT_BROADCAST_WAITING);
        }
    }

    ngx_http_tgbot_zone_unlock(b->zone);
}


void
ngx_http_tgbot_broadcast_lead_settle(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader, ngx_http_tgbot_broadcast_chat_t *chat,
    ngx_uint_t state, ngx_http_tgbot_broadcast_error_t *error,
    ngx_uint_t again)
{
    u_char                             *byte, first, value, tries;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    if (record == NULL) {
        goto done;
    }

    byte = &area.blocks[chat->block].u.chats.state[chat->slot];

    first = ngx_http_tgbot_broadcast_lead_first(record, leader, *byte);

    if (first == 0) {
        goto done;
    }

    tries = *byte - first;

    if (again && tries + 1 < NGX_HTTP_TGBOT_BROADCAST_TRIES) {
        tries++;
        state = NGX_HTTP_TGBOT_BROADCAST_WAITING;
    }

    if (state == NGX_HTTP_TGBOT_BROADCAST_WAITING) {
        value = tries;

    } else {
        value = ngx_http_tgbot_broadcast_lead_judge(&area, record, state,
                                                    error);
        record->last = ngx_time();
    }

    ngx_http_tgbot_broadcast_area_move(record, byte, value,
                                (first == NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN)
                                ? NGX_HTTP_TGBOT_BROADCAST_WAITING
                                : NGX_HTTP_TGBOT_BROADCAST_FLIGHT,
                                state);

    ngx_http_tgbot_broadcast_lead_rate(&area, record,
                                  state != NGX_HTTP_TGBOT_BROADCAST_WAITING);

done:

    ngx_http_tgbot_zone_unlock(b->zone);
}


/* the BYTE_... that a byte is of, if the chat is the lease's; 0: it is not */

static u_char
ngx_http_tgbot_broadcast_lead_first(ngx_http_tgbot_broadcast_record_t *record,
    ngx_http_tgbot_lease_t *lease, u_char byte)
{
    if (ngx_http_tgbot_lease_equal(&record->leader, lease)) {

        if (ngx_http_tgbot_broadcast_is(byte,
                                        NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT))
        {
            return NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT;
        }

        if (ngx_http_tgbot_broadcast_is(byte,
                                        NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN))
        {
            return NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN;
        }
    }

    if (ngx_http_tgbot_lease_equal(&record->former, lease)
        && ngx_http_tgbot_broadcast_is(byte,
                                       NGX_HTTP_TGBOT_BROADCAST_BYTE_FORMER))
    {
        return NGX_HTTP_TGBOT_BROADCAST_BYTE_FORMER;
    }

    return 0;
}


/* the byte for a result */

static u_char
ngx_http_tgbot_broadcast_lead_judge(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t state,
    ngx_http_tgbot_broadcast_error_t *error)
{
    ngx_uint_t  number;

    if (error
        && (state == NGX_HTTP_TGBOT_BROADCAST_BLOCKED
            || state == NGX_HTTP_TGBOT_BROADCAST_FAILED))
    {
        error->blocked = (state == NGX_HTTP_TGBOT_BROADCAST_BLOCKED);

        number = ngx_http_tgbot_broadcast_lead_number(area, record, error);

        if (number) {
            return (u_char) (NGX_HTTP_TGBOT_BROADCAST_BYTE_ERROR + number);
        }
    }

    return (u_char) (NGX_HTTP_TGBOT_BROADCAST_BYTE + state);
}


/* finds an error in the table, or adds it; 0: there is no room */

static ngx_uint_t
ngx_http_tgbot_broadcast_lead_number(ngx_http_tgbot_broadcast_area_t *area,
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
ngx_http_tgbot_broadcast_lead_rate(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t results)
{
    uint64_t        rate;
    ngx_msec_t      now;
    ngx_msec_int_t  elapsed;

    now = ngx_http_tgbot_zone_msec(area->zone);
    elapsed = (ngx_msec_int_t) (now - record->since);

    record->results += results;

    if (elapsed >= 0 && elapsed < NGX_HTTP_TGBOT_BROADCAST_LEAD_RATE) {
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


ngx_int_t
ngx_http_tgbot_broadcast_lead_stall(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader, ngx_http_tgbot_broadcast_error_t *error)
{
    ngx_int_t                           rc;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    rc = NGX_DECLINED;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_lead_led(&area, b, id, leader);

    if (record && record->state == NGX_HTTP_TGBOT_BROADCAST_GOING) {
        record->error = ngx_http_tgbot_broadcast_lead_number(&area, record,
                                                             error);
        record->state = NGX_HTTP_TGBOT_BROADCAST_PAUSED;

        rc = NGX_OK;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_broadcast_lead_resign(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader, ngx_http_tgbot_broadcast_chat_t *chats,
    ngx_uint_t n)
{
    u_char                             *byte;
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_lead_led(&area, b, id, leader);

    if (record == NULL) {
        ngx_http_tgbot_zone_unlock(b->zone);
        return NGX_OK;
    }

    if (record->passed || ngx_http_tgbot_lease_alive(&record->former)) {
        ngx_http_tgbot_zone_unlock(b->zone);
        return NGX_AGAIN;
    }

    ngx_http_tgbot_broadcast_area_lease(&record->former, leader);

    for (i = 0; i < n; i++) {
        byte = &area.blocks[chats[i].block].u.chats.state[chats[i].slot];

        if (ngx_http_tgbot_broadcast_is(*byte,
                                        NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT))
        {
            ngx_http_tgbot_broadcast_area_move(record, byte,
                                   *byte - NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT
                                   + NGX_HTTP_TGBOT_BROADCAST_BYTE_FORMER,
                                   NGX_HTTP_TGBOT_BROADCAST_FLIGHT,
                                   NGX_HTTP_TGBOT_BROADCAST_FLIGHT);
        }
    }

    record->leader.epoch = 0;

    ngx_http_tgbot_zone_unlock(b->zone);

    return NGX_OK;
}


void
ngx_http_tgbot_broadcast_lead_leave(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader)
{
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    if (record == NULL) {
        goto done;
    }

    if (ngx_http_tgbot_lease_equal(&record->leader, leader)) {
        record->leader.epoch = 0;
        record->rate = 0;
    }

    if (ngx_http_tgbot_lease_equal(&record->former, leader)) {
        record->former.epoch = 0;
    }

done:

    ngx_http_tgbot_zone_unlock(b->zone);
}


static ngx_http_tgbot_broadcast_record_t *
ngx_http_tgbot_broadcast_lead_led(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_lease_t *leader)
{
    ngx_http_tgbot_broadcast_record_t  *record;

    record = ngx_http_tgbot_broadcast_area_find(area, b, id);

    return (record && ngx_http_tgbot_lease_equal(&record->leader, leader))
           ? record : NULL;
}
