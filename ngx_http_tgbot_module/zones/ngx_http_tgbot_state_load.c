
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_crc32.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_state.h"
#include "ngx_http_tgbot_state_file.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/* what a block takes in a zone, with all that is kept for it, and some more */
#define NGX_HTTP_TGBOT_STATE_BLOCK  (NGX_HTTP_TGBOT_CHAIN_BLOCK + 32)


/* no age is more, ms: the monotonic clock may have few bits */
#define NGX_HTTP_TGBOT_STATE_AGE  ((int64_t) ((ngx_msec_t) -1 / 8))


static ngx_int_t ngx_http_tgbot_state_check(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_file_t *file, ngx_uint_t room);
static ngx_int_t ngx_http_tgbot_state_check_file(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_file_t *file);
static const char *ngx_http_tgbot_state_check_header(
    ngx_http_tgbot_state_header_t *header, uint64_t size);
static ngx_int_t ngx_http_tgbot_state_check_sum(
    ngx_http_tgbot_state_file_t *file);
static ngx_int_t ngx_http_tgbot_state_check_room(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_file_t *file,
    ngx_uint_t room, uint64_t *needs);
static ngx_int_t ngx_http_tgbot_state_check_zone(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_file_t *file,
    ngx_http_tgbot_zone_t *zone, ngx_uint_t room, uint64_t needs);
static uint64_t ngx_http_tgbot_state_needs(
    ngx_http_tgbot_state_record_t *record);
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
static ngx_int_t ngx_http_tgbot_state_load_dedup(
    ngx_http_tgbot_state_file_t *file, ngx_http_tgbot_zone_t *zone,
    ngx_str_t *data);
static ngx_msec_t ngx_http_tgbot_state_since(
    ngx_http_tgbot_state_file_t *file, ngx_msec_t age);
static void ngx_http_tgbot_state_note(ngx_http_tgbot_state_file_t *file);


ngx_int_t
ngx_http_tgbot_state_open(ngx_http_tgbot_state_t *state, ngx_uint_t room,
    ngx_log_t *log)
{
    ngx_int_t                     rc;
    ngx_err_t                     err;
    ngx_http_tgbot_state_file_t  *file;

    file = ngx_alloc(sizeof(ngx_http_tgbot_state_file_t), log);
    if (file == NULL) {
        return NGX_ERROR;
    }

    file->log = log;
    file->path = state->path.data;

    /* to be locked it has to be open for writing */

    file->fd = ngx_open_file(file->path,
                             NGX_FILE_RDWR|O_NOFOLLOW|NGX_FILE_NONBLOCK,
                             NGX_FILE_OPEN, 0);

    if (file->fd == NGX_INVALID_FILE) {
        err = ngx_errno;

        ngx_free(file);

        if (err == NGX_ENOENT) {
            return NGX_DECLINED;
        }

        if (err == NGX_EACCES && !room) {
            ngx_log_error(NGX_LOG_WARN, log, err,
                          "tgbot: workers cannot open \"%V\", updates that "
                          "another nginx saves there are loaded at the next "
                          "start",
                          &state->path);
            return NGX_ERROR;
        }

        ngx_log_error(NGX_LOG_CRIT, log, err, ngx_open_file_n " \"%V\" failed",
                      &state->path);

        if (err == NGX_ELOOP || err == NGX_EMLINK) {
            (void) ngx_http_tgbot_state_aside(state, log);
        }

        return NGX_ERROR;
    }

    state->file = file;

    rc = ngx_http_tgbot_state_check(state, file, room);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (rc == NGX_ERROR) {
        (void) ngx_http_tgbot_state_aside(state, log);
    }

    ngx_http_tgbot_state_close(state);

    return rc;
}


void
ngx_http_tgbot_state_close(ngx_http_tgbot_state_t *state)
{
    ngx_http_tgbot_state_file_t  *file;

    file = state->file;

    if (file == NULL) {
        return;
    }

    if (ngx_close_file(file->fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, file->log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", file->path);
    }

    ngx_free(file);

    state->file = NULL;
}


static ngx_int_t
ngx_http_tgbot_state_check(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_file_t *file, ngx_uint_t room)
{
    uint64_t        *needs;
    ngx_err_t        err;
    ngx_int_t        rc;
    struct timeval   now;

    err = ngx_trylock_fd(file->fd);

    if (err == NGX_EAGAIN || err == NGX_EACCES) {
        return NGX_BUSY;
    }

    if (err) {
        ngx_log_error(NGX_LOG_CRIT, file->log, err,
                      ngx_trylock_fd_n " \"%s\" failed", file->path);
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_state_check_file(state, file);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_tgbot_state_check_sum(file) != NGX_OK) {
        return NGX_ERROR;
    }

    needs = ngx_calloc((state->zones.nelts + 1) * sizeof(uint64_t),
                       file->log);
    if (needs == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_state_check_room(state, file, room, needs);

    ngx_free(needs);

    ngx_gettimeofday(&now);

    file->passed = (int64_t) now.tv_sec * 1000 + now.tv_usec / 1000
                   - file->header.time;
    file->passed = ngx_max(file->passed, 0);

    file->offset = sizeof(ngx_http_tgbot_state_header_t);
    file->number = 0;

    ngx_memzero(file->loaded, sizeof(file->loaded));

    return rc;
}


/* not before it is locked: who had it so may just have done with it */

static ngx_int_t
ngx_http_tgbot_state_check_file(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_file_t *file)
{
    const char       *why;
    ngx_file_info_t   fi;

    if (ngx_fd_info(file->fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, file->log, ngx_errno,
                      ngx_fd_info_n " \"%s\" failed", file->path);
        return NGX_ERROR;
    }

    if (!ngx_is_file(&fi)) {
        return ngx_http_tgbot_state_refuse(file, "it is no regular file");
    }

    if (fi.st_nlink == 0 || ngx_file_size(&fi) == 0) {
        return NGX_DECLINED;
    }

    if (fi.st_uid != 0 && fi.st_uid != geteuid() && fi.st_uid != state->uid) {
        return ngx_http_tgbot_state_refuse(file, "it belongs to another user");
    }

    if (fi.st_mode & (S_IWGRP|S_IWOTH)) {
        return ngx_http_tgbot_state_refuse(file, "others may write to it");
    }

    if (ngx_file_size(&fi) < (off_t) sizeof(ngx_http_tgbot_state_header_t)) {
        return ngx_http_tgbot_state_refuse(file, "it is truncated");
    }

    if (ngx_http_tgbot_state_read(file, &file->header,
                                  sizeof(ngx_http_tgbot_state_header_t), 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    why = ngx_http_tgbot_state_check_header(&file->header,
                                            ngx_file_size(&fi));

    return why ? ngx_http_tgbot_state_refuse(file, why) : NGX_OK;
}


/* what is wrong with it, or NULL */

static const char *
ngx_http_tgbot_state_check_header(ngx_http_tgbot_state_header_t *header,
    uint64_t size)
{
    if (ngx_memcmp(header->magic, NGX_HTTP_TGBOT_STATE_MAGIC,
                   sizeof(header->magic))
        != 0)
    {
        return "it is no state file";
    }

    if (header->order != NGX_HTTP_TGBOT_STATE_ORDER) {
        return "it is of another kind of machine";
    }

    if (header->version > NGX_HTTP_TGBOT_STATE_VERSION) {
        return "it is of a newer version of the module";
    }

    if (header->version != NGX_HTTP_TGBOT_STATE_VERSION
        || header->record != sizeof(ngx_http_tgbot_state_record_t))
    {
        return "it is of another version of the module";
    }

    if (header->size > size) {
        return "it is truncated";
    }

    if (header->size < size) {
        return "something was added to it";
    }

    if (header->check != ~header->done || header->done > header->records) {
        return "it is broken";
    }

    return NULL;
}


static ngx_int_t
ngx_http_tgbot_state_check_sum(ngx_http_tgbot_state_file_t *file)
{
    size_t    size;
    uint32_t  crc;
    uint64_t  offset;

    ngx_crc32_init(crc);

    for (offset = sizeof(ngx_http_tgbot_state_header_t);
         offset < file->header.size;
         offset += size)
    {
        size = (size_t) ngx_min(file->header.size - offset,
                                NGX_HTTP_TGBOT_STATE_BUFFER);

        if (ngx_http_tgbot_state_read(file, file->buf, size, offset)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_crc32_update(&crc, file->buf, size);
    }

    ngx_crc32_update(&crc, (u_char *) &file->header,
                     offsetof(ngx_http_tgbot_state_header_t, crc));
    ngx_crc32_final(crc);

    if (crc != file->header.crc) {
        return ngx_http_tgbot_state_refuse(file, "its checksum is wrong");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_state_check_room(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_file_t *file, ngx_uint_t room, uint64_t *needs)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_http_tgbot_zone_t   *zone, **zones;

    file->offset = sizeof(ngx_http_tgbot_state_header_t);
    file->number = 0;

    zones = state->zones.elts;

    for ( ;; ) {
        rc = ngx_http_tgbot_state_next(file);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        zone = ngx_http_tgbot_state_zone(state, file);

        for (i = 0; i < state->zones.nelts; i++) {

            if (zones[i] == zone && file->number > file->header.done) {
                needs[i] += ngx_http_tgbot_state_needs(&file->record);
            }
        }
    }

    for (i = 0; i < state->zones.nelts; i++) {

        if (needs[i]
            && ngx_http_tgbot_state_check_zone(state, file, zones[i], room,
                                               needs[i])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_state_check_zone(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_file_t *file, ngx_http_tgbot_zone_t *zone,
    ngx_uint_t room, uint64_t needs)
{
    size_t                  size;
    uint64_t                free;
    ngx_http_tgbot_store_t  store;

    ngx_http_tgbot_store_open(&store, zone);

    free = store.sh->chain.total;

    if (room && zone->kind == &ngx_http_tgbot_queue_zone) {
        free = ngx_http_tgbot_queue_room(zone);
    }

    if (needs <= free) {
        return NGX_OK;
    }

    size = zone->size
           + (size_t) (needs - free) * NGX_HTTP_TGBOT_STATE_BLOCK
           + ngx_pagesize;

    ngx_log_error(NGX_LOG_ERR, file->log, 0,
                  "tgbot: \"%V\" is refused: its records take %uL blocks "
                  "of zone \"%V\", which has %uL, expected a size of %uzk or "
                  "more", &state->path, needs, &zone->shm_zone->shm.name,
                  free, (size + 1023) / 1024);

    return NGX_ERROR;
}


static uint64_t
ngx_http_tgbot_state_needs(ngx_http_tgbot_state_record_t *record)
{
    ngx_http_tgbot_item_t  item;

    item.data.len = record->data_len;
    item.answer.len = record->answer_len;
    item.answered = record->answered;

    switch (record->kind) {

    case NGX_HTTP_TGBOT_STATE_UPDATE:
        return ngx_http_tgbot_queue_needs(&item);

    case NGX_HTTP_TGBOT_STATE_LETTER:
        return ngx_http_tgbot_dead_needs(&item);

    default: /* NGX_HTTP_TGBOT_STATE_DEDUP */
        return 0;
    }
}


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

        /* at a start no other process fills the zones: room was checked */

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
        state->left += (record->kind != NGX_HTTP_TGBOT_STATE_DEDUP);
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

    if (record->kind == NGX_HTTP_TGBOT_STATE_DEDUP) {
        return ngx_http_tgbot_state_load_dedup(file, zone, &item->data);
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
ngx_http_tgbot_state_load_dedup(ngx_http_tgbot_state_file_t *file,
    ngx_http_tgbot_zone_t *zone, ngx_str_t *data)
{
    int64_t                 *ids;
    ngx_uint_t               i;
    ngx_http_tgbot_dedup_t  *dedup;

    dedup = ngx_http_tgbot_state_user(zone, &file->bot,
                                      file->record.head.bot_id);

    ids = (int64_t *) data->data;

    for (i = 0; dedup && i < data->len / sizeof(int64_t); i++) {
        ngx_http_tgbot_dedup_mark(dedup, ids[i]);
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
