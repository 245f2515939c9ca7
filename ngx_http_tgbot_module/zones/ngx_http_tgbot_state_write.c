
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
    ngx_http_tgbot_letter_t *letter);
static ngx_int_t ngx_http_tgbot_state_write_seen(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_writer_t *w,
    ngx_http_tgbot_zone_t *zone);
static ngx_uint_t ngx_http_tgbot_state_mine(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_head_t *head);
static ngx_int_t ngx_http_tgbot_state_add(ngx_http_tgbot_state_writer_t *w,
    ngx_http_tgbot_state_record_t *record, ngx_http_tgbot_item_t *item);
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
    ngx_http_tgbot_store_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    do {
        pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, w->log);
        if (pool == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_http_tgbot_queue_walk(zone, &cursor, &item, pool);

        if (rc == NGX_OK) {
            ngx_memzero(&record, sizeof(ngx_http_tgbot_state_record_t));

            record.kind = NGX_HTTP_TGBOT_STATE_UPDATE;

            rc = ngx_http_tgbot_state_add(w, &record, &item);
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
    ngx_http_tgbot_state_record_t   record;
    ngx_http_tgbot_store_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    do {
        pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, w->log);
        if (pool == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_http_tgbot_dead_walk(zone, &cursor, &letter, pool);

        if (rc == NGX_OK
            && ngx_http_tgbot_state_mine(state, &letter.item.head)
            && !ngx_http_tgbot_state_moved(state, &letter))
        {
            ngx_memzero(&record, sizeof(ngx_http_tgbot_state_record_t));

            record.kind = NGX_HTTP_TGBOT_STATE_LETTER;
            record.end = letter.end;

            rc = ngx_http_tgbot_state_add(w, &record, &letter.item);
        }

        ngx_destroy_pool(pool);

    } while (rc == NGX_OK);

    return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
}


/* who replayed it has died between its put into the queue and its end here */

static ngx_uint_t
ngx_http_tgbot_state_moved(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_letter_t *letter)
{
    ngx_str_t                bot;
    ngx_uint_t               i;
    ngx_http_tgbot_head_t    head;
    ngx_http_tgbot_zone_t  **zone;
    ngx_http_tgbot_queue_t  *queue;

    if (letter->lease.token == 0) {
        return 0;
    }

    head = letter->item.head;
    head.letter = letter->id;

    bot.data = head.bot;
    bot.len = head.bot_len;

    zone = state->zones.elts;

    for (i = 0; i < state->zones.nelts; i++) {

        if (zone[i]->kind != &ngx_http_tgbot_queue_zone) {
            continue;
        }

        queue = ngx_http_tgbot_state_user(zone[i], &bot, head.bot_id);

        if (queue && ngx_http_tgbot_queue_has(queue, &head)) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_tgbot_state_write_seen(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w, ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                       i, n;
    ngx_http_tgbot_item_t            item;
    ngx_http_tgbot_seen_t          **seen;
    ngx_http_tgbot_state_record_t    record;

    seen = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {
        ngx_memzero(&item, sizeof(ngx_http_tgbot_item_t));

        item.head.bot_len = (uint32_t) ngx_min(seen[i]->bot.len,
                                               NGX_HTTP_TGBOT_ITEM_NAME);
        ngx_memcpy(item.head.bot, seen[i]->bot.data, item.head.bot_len);
        item.head.bot_id = seen[i]->bot_id;
        item.head.received = ngx_current_msec;

        if (!ngx_http_tgbot_state_mine(state, &item.head)) {
            continue;
        }

        n = ngx_http_tgbot_seen_newest(seen[i], w->ids,
                                       NGX_HTTP_TGBOT_STATE_IDS);
        if (n == 0) {
            continue;
        }

        item.data.data = (u_char *) w->ids;
        item.data.len = n * sizeof(int64_t);

        ngx_memzero(&record, sizeof(ngx_http_tgbot_state_record_t));

        record.kind = NGX_HTTP_TGBOT_STATE_SEEN;

        if (ngx_http_tgbot_state_add(w, &record, &item) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* whether what is of that bot outside of queues belongs in this file */

static ngx_uint_t
ngx_http_tgbot_state_mine(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_head_t *head)
{
    ngx_str_t                bot;
    ngx_uint_t               i;
    ngx_http_tgbot_zone_t  **zone;

    if (state->all) {
        return 1;
    }

    bot.data = head->bot;
    bot.len = head->bot_len;

    zone = state->zones.elts;

    for (i = 0; i < state->zones.nelts; i++) {

        if (zone[i]->kind == &ngx_http_tgbot_queue_zone
            && ngx_http_tgbot_state_user(zone[i], &bot, head->bot_id))
        {
            return 1;
        }
    }

    return 0;
}


/* of an item its head, progress, delay and strings */

static ngx_int_t
ngx_http_tgbot_state_add(ngx_http_tgbot_state_writer_t *w,
    ngx_http_tgbot_state_record_t *record, ngx_http_tgbot_item_t *item)
{
    record->head = item->head;
    record->head.letter = 0;
    record->head.received = ngx_current_msec - item->head.received;
    record->progress = item->progress;
    record->delay = item->delay;

    record->data_len = (uint32_t) item->data.len;
    record->answer_len = (uint32_t) item->answer.len;
    record->answered = item->answered;

    if (item->progress.failures) {
        record->progress.started = ngx_current_msec - item->progress.started;
    }

    if (ngx_http_tgbot_state_bytes(w, record,
                                   sizeof(ngx_http_tgbot_state_record_t))
        != NGX_OK
        || ngx_http_tgbot_state_bytes(w, item->data.data, item->data.len)
           != NGX_OK
        || ngx_http_tgbot_state_bytes(w, item->answer.data, item->answer.len)
           != NGX_OK)
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
