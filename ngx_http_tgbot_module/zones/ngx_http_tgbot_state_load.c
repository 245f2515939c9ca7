
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_seen.h"
#include "ngx_http_tgbot_state.h"
#include "ngx_http_tgbot_state_file.h"
#include "ngx_http_tgbot_zone.h"


/* no age is more, ms: the monotonic clock may have few bits */
#define NGX_HTTP_TGBOT_STATE_AGE  ((int64_t) ((ngx_msec_t) -1 / 8))


static ngx_int_t ngx_http_tgbot_state_start(ngx_http_tgbot_state_t *state,
    ngx_uint_t n, ngx_log_t *log);
static void ngx_http_tgbot_state_tell_left(ngx_http_tgbot_state_t *state,
    ngx_uint_t n, ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_state_load_some(
    ngx_http_tgbot_state_t *state, ngx_uint_t n);
static ngx_int_t ngx_http_tgbot_state_load_record(
    ngx_http_tgbot_state_t *state);
static ngx_int_t ngx_http_tgbot_state_load_item(
    ngx_http_tgbot_state_file_t *file, ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_item_t *item);
static ngx_int_t ngx_http_tgbot_state_load_update(
    ngx_http_tgbot_state_file_t *file, ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_item_t *item);
static ngx_int_t ngx_http_tgbot_state_load_letter(
    ngx_http_tgbot_state_file_t *file, ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_item_t *item);
static ngx_int_t ngx_http_tgbot_state_load_seen(
    ngx_http_tgbot_state_file_t *file, ngx_http_tgbot_zone_t *zone,
    ngx_str_t *data);
static ngx_msec_t ngx_http_tgbot_state_since(
    ngx_http_tgbot_state_file_t *file, ngx_msec_t age);
static void ngx_http_tgbot_state_note(ngx_http_tgbot_state_file_t *file);


ngx_int_t
ngx_http_tgbot_state_load(ngx_http_tgbot_state_t *state, ngx_uint_t n,
    ngx_log_t *log)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_state_file_t  *file;

    if (state->file == NULL) {
        rc = ngx_http_tgbot_state_start(state, n, log);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    file = state->file;
    file->log = log;

    rc = ngx_http_tgbot_state_load_some(state, n);

    if (n) {
        ngx_http_tgbot_state_note(file);
    }

    switch (rc) {

    case NGX_DONE:
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "tgbot: %uL updates and %uL dead letters are loaded "
                      "from \"%V\"",
                      file->loaded[NGX_HTTP_TGBOT_STATE_UPDATE],
                      file->loaded[NGX_HTTP_TGBOT_STATE_LETTER],
                      &state->path);

        ngx_http_tgbot_state_tell_left(state, n, log);

        return NGX_OK;

    case NGX_ERROR:
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "tgbot: %uL of %uL records of \"%V\" are loaded",
                      file->number, file->header.records, &state->path);

        (void) ngx_http_tgbot_state_aside(state, log);
        ngx_http_tgbot_state_close(state);

        return NGX_ERROR;

    default: /* NGX_AGAIN */
        return NGX_AGAIN;
    }
}


static void
ngx_http_tgbot_state_tell_left(ngx_http_tgbot_state_t *state, ngx_uint_t n,
    ngx_log_t *log)
{
    if (state->left == 0) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "tgbot: %ui records of \"%V\" are of bots for which no zone "
                  "has room, they are not loaded", state->left, &state->path);

    /* the file goes when nginx runs, by whom may be able to empty it only */

    if (n == 0 && ngx_http_tgbot_state_spare(state, log) == NGX_OK) {
        state->left = 0;
    }
}


/* behind what is loaded already */

static ngx_int_t
ngx_http_tgbot_state_start(ngx_http_tgbot_state_t *state, ngx_uint_t n,
    ngx_log_t *log)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_state_file_t  *file;

    state->left = 0;

    rc = ngx_http_tgbot_state_open(state, n == 0, log);

    if (rc != NGX_OK) {
        return rc;
    }

    file = state->file;

    while (file->number < file->header.done) {

        if (ngx_http_tgbot_state_next(file) != NGX_OK) {
            (void) ngx_http_tgbot_state_aside(state, log);
            ngx_http_tgbot_state_close(state);

            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* NGX_DONE: there are no more */

static ngx_int_t
ngx_http_tgbot_state_load_some(ngx_http_tgbot_state_t *state, ngx_uint_t n)
{
    uint64_t                      offset;
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_http_tgbot_state_file_t  *file;

    file = state->file;

    for (i = 0; n == 0 || i < n; i++) {
        offset = file->offset;

        rc = ngx_http_tgbot_state_next(file);

        if (rc == NGX_OK) {
            rc = ngx_http_tgbot_state_load_record(state);

            if (rc != NGX_OK) {
                file->offset = offset;
                file->number--;
            }
        }

        /* there was room for all when there was nobody else */

        if (rc == NGX_AGAIN && n == 0) {
            return NGX_ERROR;
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return (file->number == file->header.records) ? NGX_DONE : NGX_AGAIN;
}


/* NGX_AGAIN: no room, or no memory, just now */

static ngx_int_t
ngx_http_tgbot_state_load_record(ngx_http_tgbot_state_t *state)
{
    size_t                          size;
    ngx_int_t                       rc;
    ngx_pool_t                     *pool;
    ngx_http_tgbot_item_t           item;
    ngx_http_tgbot_zone_t          *zone;
    ngx_http_tgbot_state_file_t    *file;
    ngx_http_tgbot_state_record_t  *record;

    file = state->file;
    record = &file->record;

    zone = ngx_http_tgbot_state_zone(state, file);

    if (zone == NULL) {
        state->left += (record->kind != NGX_HTTP_TGBOT_STATE_SEEN);
        return NGX_OK;
    }

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, file->log);
    if (pool == NULL) {
        return NGX_AGAIN;
    }

    size = (size_t) record->data_len + record->answer_len;

    ngx_memzero(&item, sizeof(ngx_http_tgbot_item_t));

    item.data.data = ngx_palloc(pool, ngx_max(size, 1));

    if (item.data.data == NULL) {
        ngx_destroy_pool(pool);
        return NGX_AGAIN;
    }

    item.data.len = record->data_len;
    item.answer.len = record->answer_len;
    item.answer.data = item.data.data + item.data.len;

    rc = ngx_http_tgbot_state_read(file, item.data.data, size, file->strings);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_state_load_item(file, zone, &item);
    }

    ngx_destroy_pool(pool);

    if (rc == NGX_OK) {
        file->loaded[record->kind]++;
    }

    if (rc == NGX_DECLINED) {
        state->left++;
        return NGX_OK;
    }

    return rc;
}


static ngx_int_t
ngx_http_tgbot_state_load_item(ngx_http_tgbot_state_file_t *file,
    ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_item_t *item)
{
    ngx_http_tgbot_state_record_t  *record;

    record = &file->record;

    if (record->kind == NGX_HTTP_TGBOT_STATE_SEEN) {
        return ngx_http_tgbot_state_load_seen(file, zone, &item->data);
    }

    item->head = record->head;
    item->head.received = ngx_http_tgbot_state_since(file,
                                                     record->head.received);
    item->progress = record->progress;
    item->answered = record->answered;

    if (record->progress.failures) {
        item->progress.started = ngx_http_tgbot_state_since(file,
                                                   record->progress.started);
    }

    if (record->kind == NGX_HTTP_TGBOT_STATE_LETTER) {
        return ngx_http_tgbot_state_load_letter(file, zone, item);
    }

    return ngx_http_tgbot_state_load_update(file, zone, item);
}


static ngx_int_t
ngx_http_tgbot_state_load_update(ngx_http_tgbot_state_file_t *file,
    ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_item_t *item)
{
    int64_t                 left;
    ngx_msec_t              age;
    ngx_http_tgbot_queue_t  queue;

    ngx_memzero(&queue, sizeof(ngx_http_tgbot_queue_t));

    queue.zone = zone;
    queue.bot = file->bot;
    queue.bot_id = file->record.head.bot_id;
    queue.share = 100;

    if (ngx_http_tgbot_queue_enter(&queue) != NGX_OK) {
        return NGX_DECLINED;
    }

    left = (int64_t) ngx_min(file->record.delay, NGX_HTTP_TGBOT_STATE_AGE)
           - file->passed;
    item->delay = (ngx_msec_t) ngx_max(left, 0);

    return ngx_http_tgbot_queue_put(&queue, item, NGX_HTTP_TGBOT_QUEUE_LOADED,
                                    &age);
}


static ngx_int_t
ngx_http_tgbot_state_load_letter(ngx_http_tgbot_state_file_t *file,
    ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_item_t *item)
{
    ngx_uint_t               evicted;
    ngx_http_tgbot_dead_t    dead;
    ngx_http_tgbot_letter_t  letter;

    ngx_memzero(&dead, sizeof(ngx_http_tgbot_dead_t));

    dead.zone = zone;
    dead.bot = file->bot;
    dead.bot_id = file->record.head.bot_id;
    dead.max = (ngx_uint_t) -1;

    if (ngx_http_tgbot_dead_enter(&dead) != NGX_OK) {
        return NGX_DECLINED;
    }

    letter.item = *item;
    letter.end = file->record.end;

    return ngx_http_tgbot_dead_put(&dead, &letter, &evicted);
}


static ngx_int_t
ngx_http_tgbot_state_load_seen(ngx_http_tgbot_state_file_t *file,
    ngx_http_tgbot_zone_t *zone, ngx_str_t *data)
{
    int64_t                *ids;
    ngx_uint_t              i;
    ngx_http_tgbot_seen_t  *seen;

    seen = ngx_http_tgbot_state_user(zone, &file->bot,
                                     file->record.head.bot_id);

    ids = (int64_t *) data->data;

    for (i = 0; seen && i < data->len / sizeof(int64_t); i++) {
        ngx_http_tgbot_seen_mark(seen, ids[i]);
    }

    return NGX_OK;
}


/* when that was, by the monotonic clock */

static ngx_msec_t
ngx_http_tgbot_state_since(ngx_http_tgbot_state_file_t *file, ngx_msec_t age)
{
    int64_t  n;

    n = ngx_max((ngx_msec_int_t) age, 0);
    n = ngx_min(n, NGX_HTTP_TGBOT_STATE_AGE)
        + ngx_min(file->passed, NGX_HTTP_TGBOT_STATE_AGE);

    return ngx_current_msec - (ngx_msec_t) n;
}


static void
ngx_http_tgbot_state_note(ngx_http_tgbot_state_file_t *file)
{
    uint64_t  done[2];

    if (file->number == file->header.done) {
        return;
    }

    file->header.done = file->number;

    done[0] = file->number;
    done[1] = ~done[0];

    if (pwrite(file->fd, done, sizeof(done),
               offsetof(ngx_http_tgbot_state_header_t, done))
        != (ssize_t) sizeof(done))
    {
        ngx_log_error(NGX_LOG_CRIT, file->log, ngx_errno,
                      "pwrite() \"%s\" failed", file->path);
    }
}
