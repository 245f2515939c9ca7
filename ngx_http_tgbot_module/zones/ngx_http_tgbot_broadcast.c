
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast.h"
#include "ngx_http_tgbot_broadcast_area.h"


static ngx_http_tgbot_broadcast_record_t *ngx_http_tgbot_broadcast_loaded(
    ngx_http_tgbot_broadcast_area_t *area, ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *loader);
static ngx_http_tgbot_broadcast_record_t *ngx_http_tgbot_broadcast_spare(
    ngx_http_tgbot_broadcast_area_t *area);
static ngx_int_t ngx_http_tgbot_broadcast_write(
    ngx_http_tgbot_broadcast_area_t *area, uint32_t *link, uint64_t owner,
    ngx_str_t *text);
static ngx_int_t ngx_http_tgbot_broadcast_append(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, int64_t *chats, ngx_uint_t n);


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
    record->kept = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->block = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->scan = NGX_HTTP_TGBOT_BROADCAST_NIL;
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
        ngx_http_tgbot_broadcast_area_reap(area, &area->records[i]);

        if (spare == NULL && area->records[i].id == 0) {
            spare = &area->records[i];
        }
    }

    return spare;
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
            ngx_http_tgbot_broadcast_area_free(area, *first,
                          ngx_http_tgbot_broadcast_area_tail(area, *first));
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
        ngx_http_tgbot_broadcast_area_reap(&area, record);

        ngx_http_tgbot_lease_new(loader);
        ngx_http_tgbot_broadcast_area_lease(&record->loader, loader);

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
        record->kept = record->tail;

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
        ngx_http_tgbot_broadcast_area_reap(&area, record);
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
        record->error = 0;
    }

    ngx_http_tgbot_zone_unlock(b->zone);

    return rc;
}


ngx_int_t
ngx_http_tgbot_broadcast_again(ngx_http_tgbot_broadcast_t *b, uint64_t id,
    ngx_http_tgbot_broadcast_cursor_t *cursor, ngx_uint_t state, ngx_uint_t *n)
{
    u_char                              meaning[256], *byte, *last;
    ngx_int_t                           rc;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_block_t   *block;
    ngx_http_tgbot_broadcast_record_t  *record;

    ngx_http_tgbot_broadcast_area_lock(b->zone, &area);

    record = ngx_http_tgbot_broadcast_area_find(&area, b, id);

    rc = (record == NULL) ? NGX_DECLINED
         : (record->state == NGX_HTTP_TGBOT_BROADCAST_CANCELLED) ? NGX_ABORT
                                                                 : NGX_OK;

    if (rc != NGX_OK || record->count[state] == 0) {
        goto done;
    }

    if (cursor->block == 0) {
        cursor->block = record->chats + 1;
    }

    ngx_http_tgbot_broadcast_area_meaning(&area, record, meaning);

    block = &area.blocks[cursor->block - 1];
    byte = block->u.chats.state;
    last = byte + ngx_min(block->n, record->total
                          - block->number * NGX_HTTP_TGBOT_BROADCAST_SLOTS);

    for ( /* void */ ; byte < last; byte++) {

        if (meaning[*byte] == state) {
            ngx_http_tgbot_broadcast_area_move(record, byte, 0, state,
                                            NGX_HTTP_TGBOT_BROADCAST_WAITING);
            (*n)++;
        }
    }

    if (cursor->block - 1 != record->kept) {
        cursor->block = block->next + 1;
        rc = NGX_AGAIN;
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


uint64_t
ngx_http_tgbot_broadcast_broken(ngx_http_tgbot_zone_t *zone)
{
    uint64_t                         n;
    ngx_http_tgbot_broadcast_area_t  area;

    ngx_http_tgbot_broadcast_area_lock(zone, &area);

    n = area.sh->broken;
    area.sh->broken = 0;

    ngx_http_tgbot_zone_unlock(zone);

    return n;
}
