
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_crc32.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_seen.h"
#include "ngx_http_tgbot_state.h"
#include "ngx_http_tgbot_state_file.h"
#include "ngx_http_tgbot_zone.h"


static ngx_int_t ngx_http_tgbot_state_write_zones(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_writer_t *w);
static ngx_int_t ngx_http_tgbot_state_write_queue(
    ngx_http_tgbot_state_writer_t *w, ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_state_write_dead(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_writer_t *w,
    ngx_http_tgbot_zone_t *zone);
static ngx_uint_t ngx_http_tgbot_state_moved(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_dead_cursor_t *cursor, ngx_http_tgbot_letter_t *letter);
static ngx_int_t ngx_http_tgbot_state_write_seen(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_writer_t *w,
    ngx_http_tgbot_zone_t *zone);
static ngx_uint_t ngx_http_tgbot_state_mine(ngx_http_tgbot_state_t *state,
    ngx_str_t *bot, uint64_t bot_id);
static ngx_int_t ngx_http_tgbot_state_add(ngx_http_tgbot_state_writer_t *w,
    ngx_http_tgbot_state_record_t *record, ngx_str_t *bot, ngx_str_t *data,
    ngx_str_t *answer);
static ngx_int_t ngx_http_tgbot_state_bytes(ngx_http_tgbot_state_writer_t *w,
    void *data, size_t size);
static ngx_int_t ngx_http_tgbot_state_flush(
    ngx_http_tgbot_state_writer_t *w);
static ngx_int_t ngx_http_tgbot_state_put(ngx_http_tgbot_state_writer_t *w,
    void *data, size_t size, off_t offset);


ngx_int_t
ngx_http_tgbot_state_write_all(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w)
{
    struct timeval                  now;
    ngx_http_tgbot_state_header_t  *header;

    header = &w->header;

    w->used = 0;
    w->offset = sizeof(ngx_http_tgbot_state_header_t);

    ngx_memzero(header, sizeof(ngx_http_tgbot_state_header_t));
    ngx_memzero(w->written, sizeof(w->written));

    ngx_crc32_init(header->crc);

    if (ngx_http_tgbot_state_write_zones(state, w) != NGX_OK
        || ngx_http_tgbot_state_flush(w) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_gettimeofday(&now);

    ngx_memcpy(header->magic, NGX_HTTP_TGBOT_STATE_MAGIC,
               sizeof(header->magic));

    header->order = NGX_HTTP_TGBOT_STATE_ORDER;
    header->version = NGX_HTTP_TGBOT_STATE_VERSION;
    header->size = w->offset;
    header->time = (int64_t) now.tv_sec * 1000 + now.tv_usec / 1000;
    header->record = sizeof(ngx_http_tgbot_state_record_t);
    header->check = ~header->done;

    ngx_crc32_update(&header->crc, (u_char *) header,
                     offsetof(ngx_http_tgbot_state_header_t, crc));
    ngx_crc32_final(header->crc);

    return ngx_http_tgbot_state_put(w, header,
                                    sizeof(ngx_http_tgbot_state_header_t),
                                    0);
}


static ngx_int_t
ngx_http_tgbot_state_write_zones(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_http_tgbot_zone_t  **zone;

    zone = state->zones.elts;

    for (i = 0; i < state->zones.nelts; i++) {

        rc = NGX_OK;

        if (zone[i]->kind == &ngx_http_tgbot_queue_zone) {
            rc = ngx_http_tgbot_state_write_queue(w, zone[i]);

        } else if (zone[i]->kind == &ngx_http_tgbot_dead_zone) {
            rc = ngx_http_tgbot_state_write_dead(state, w, zone[i]);

        } else if (zone[i]->kind == &ngx_http_tgbot_seen_zone) {
            rc = ngx_http_tgbot_state_write_seen(state, w, zone[i]);
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_state_write_queue(ngx_http_tgbot_state_writer_t *w,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_int_t                       rc;
    ngx_pool_t                     *pool;
    ngx_http_tgbot_item_t           item;
    ngx_http_tgbot_state_record_t   record;
    ngx_http_tgbot_queue_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_queue_cursor_t));

    do {
        pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, w->log);
        if (pool == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_http_tgbot_queue_walk(zone, &cursor, &item, pool);

        if (rc == NGX_OK) {
            ngx_memzero(&record, sizeof(ngx_http_tgbot_state_record_t));

            record.kind = NGX_HTTP_TGBOT_STATE_UPDATE;
            record.bot_id = cursor.bot_id;
            record.update_id = item.update_id;
            record.lane = item.lane;
            record.first = (ngx_msec_int_t) (ngx_current_msec
                                             - item.received);
            record.life = (uint32_t) item.life;
            record.attempts = (uint32_t) item.attempts;
            record.unavailable = (uint32_t) item.unavailable;
            record.next = (uint32_t) item.next;
            record.failures = (uint32_t) item.failures;
            record.unknown = (uint32_t) item.unknown;
            record.delay = item.delay;

            if (item.failures) {
                record.started = (ngx_msec_int_t) (ngx_current_msec
                                                   - item.started);
            }

            rc = ngx_http_tgbot_state_add(w, &record, &cursor.bot,
                                          &item.data,
                                          item.answered ? &item.answer
                                                        : NULL);
        }

        ngx_destroy_pool(pool);

    } while (rc == NGX_OK);

    return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_tgbot_state_write_dead(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w, ngx_http_tgbot_zone_t *zone)
{
    ngx_int_t                       rc;
    ngx_pool_t                     *pool;
    ngx_http_tgbot_letter_t         letter;
    ngx_http_tgbot_dead_cursor_t    cursor;
    ngx_http_tgbot_state_record_t   record;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_dead_cursor_t));

    do {
        pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, w->log);
        if (pool == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_http_tgbot_dead_walk(zone, &cursor, &letter, pool);

        if (rc == NGX_OK
            && ngx_http_tgbot_state_mine(state, &cursor.bot, cursor.bot_id)
            && !ngx_http_tgbot_state_moved(state, &cursor, &letter))
        {
            ngx_memzero(&record, sizeof(ngx_http_tgbot_state_record_t));

            record.kind = NGX_HTTP_TGBOT_STATE_LETTER;
            record.bot_id = cursor.bot_id;
            record.update_id = letter.update_id;
            record.lane = letter.lane;
            record.first = letter.first;
            record.last = letter.last;
            record.cause = (uint32_t) letter.cause;
            record.status = (uint32_t) letter.status;
            record.attempts = (uint32_t) letter.attempts;
            record.next = (uint32_t) letter.next;

            rc = ngx_http_tgbot_state_add(w, &record, &cursor.bot,
                                          &letter.data,
                                          letter.answered ? &letter.answer
                                                          : NULL);
        }

        ngx_destroy_pool(pool);

    } while (rc == NGX_OK);

    return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
}


/* who replayed it has died between its put into the queue and its end here */

static ngx_uint_t
ngx_http_tgbot_state_moved(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_dead_cursor_t *cursor, ngx_http_tgbot_letter_t *letter)
{
    ngx_uint_t               i;
    ngx_http_tgbot_item_t    item;
    ngx_http_tgbot_zone_t  **zone;
    ngx_http_tgbot_queue_t  *queue;

    if (letter->lease.token == 0) {
        return 0;
    }

    item.letter = letter->id;
    item.update_id = letter->update_id;
    item.lane = letter->lane;

    zone = state->zones.elts;

    for (i = 0; i < state->zones.nelts; i++) {

        if (zone[i]->kind != &ngx_http_tgbot_queue_zone) {
            continue;
        }

        queue = ngx_http_tgbot_state_user(zone[i], &cursor->bot,
                                          cursor->bot_id);

        if (queue && ngx_http_tgbot_queue_has(queue, &item)) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_tgbot_state_write_seen(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w, ngx_http_tgbot_zone_t *zone)
{
    ngx_str_t                        ids;
    ngx_uint_t                       i;
    ngx_http_tgbot_seen_t          **seen;
    ngx_http_tgbot_state_record_t    record;

    seen = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {

        if (!ngx_http_tgbot_state_mine(state, &seen[i]->bot,
                                       seen[i]->bot_id))
        {
            continue;
        }

        ids.data = (u_char *) w->ids;
        ids.len = sizeof(int64_t)
                  * ngx_http_tgbot_seen_newest(seen[i], w->ids,
                                               NGX_HTTP_TGBOT_STATE_IDS);

        if (ids.len == 0) {
            continue;
        }

        ngx_memzero(&record, sizeof(ngx_http_tgbot_state_record_t));

        record.kind = NGX_HTTP_TGBOT_STATE_SEEN;
        record.bot_id = seen[i]->bot_id;

        if (ngx_http_tgbot_state_add(w, &record, &seen[i]->bot, &ids, NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* whether what is of that bot outside of queues belongs in this file */

static ngx_uint_t
ngx_http_tgbot_state_mine(ngx_http_tgbot_state_t *state, ngx_str_t *bot,
    uint64_t bot_id)
{
    ngx_uint_t               i;
    ngx_http_tgbot_zone_t  **zone;

    if (state->all) {
        return 1;
    }

    zone = state->zones.elts;

    for (i = 0; i < state->zones.nelts; i++) {

        if (zone[i]->kind == &ngx_http_tgbot_queue_zone
            && ngx_http_tgbot_state_user(zone[i], bot, bot_id))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_tgbot_state_add(ngx_http_tgbot_state_writer_t *w,
    ngx_http_tgbot_state_record_t *record, ngx_str_t *bot, ngx_str_t *data,
    ngx_str_t *answer)
{
    record->name_len = (uint32_t) bot->len;
    record->data_len = (uint32_t) data->len;

    if (answer) {
        record->answered = 1;
        record->answer_len = (uint32_t) answer->len;
    }

    if (ngx_http_tgbot_state_bytes(w, record,
                                   sizeof(ngx_http_tgbot_state_record_t))
        != NGX_OK
        || ngx_http_tgbot_state_bytes(w, bot->data, bot->len) != NGX_OK
        || ngx_http_tgbot_state_bytes(w, data->data, data->len) != NGX_OK
        || (answer
            && ngx_http_tgbot_state_bytes(w, answer->data, answer->len)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    w->header.records++;
    w->written[record->kind]++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_state_bytes(ngx_http_tgbot_state_writer_t *w, void *data,
    size_t size)
{
    size_t   n;
    u_char  *p;

    for (p = data; size; p += n, size -= n) {

        if (w->used == NGX_HTTP_TGBOT_STATE_BUFFER
            && ngx_http_tgbot_state_flush(w) != NGX_OK)
        {
            return NGX_ERROR;
        }

        n = ngx_min(size, NGX_HTTP_TGBOT_STATE_BUFFER - w->used);

        ngx_memcpy(w->buf + w->used, p, n);
        w->used += n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_state_flush(ngx_http_tgbot_state_writer_t *w)
{
    ngx_crc32_update(&w->header.crc, w->buf, w->used);

    if (ngx_http_tgbot_state_put(w, w->buf, w->used, w->offset) != NGX_OK) {
        return NGX_ERROR;
    }

    w->offset += w->used;
    w->used = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_state_put(ngx_http_tgbot_state_writer_t *w, void *data,
    size_t size, off_t offset)
{
    u_char   *p;
    ssize_t   n;

    p = data;

    while (size) {
        n = pwrite(w->fd, p, size, offset);

        if (n == -1) {

            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            return ngx_http_tgbot_state_failed(w, "pwrite()");
        }

        p += n;
        size -= n;
        offset += n;
    }

    return NGX_OK;
}
