
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


static ngx_fd_t ngx_http_tgbot_state_lock(ngx_http_tgbot_state_t *state,
    ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_state_write_file(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_writer_t *w);
static ngx_int_t ngx_http_tgbot_state_sync(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w);
static ngx_int_t ngx_http_tgbot_state_rename(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w);
static ngx_uint_t ngx_http_tgbot_state_there(ngx_http_tgbot_state_t *state);
static ngx_int_t ngx_http_tgbot_state_delete(ngx_http_tgbot_state_t *state,
    ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_state_bad(ngx_http_tgbot_state_t *state,
    u_char *name, ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_state_write_zones(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_writer_t *w);
static ngx_int_t ngx_http_tgbot_state_write_queue(
    ngx_http_tgbot_state_writer_t *w, ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_state_write_dead(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_writer_t *w,
    ngx_http_tgbot_zone_t *zone);
static ngx_uint_t ngx_http_tgbot_state_moved(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_letter_t *letter);
static ngx_int_t ngx_http_tgbot_state_write_dedup(
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
static ngx_uint_t ngx_http_tgbot_state_sound(
    ngx_http_tgbot_state_record_t *record);


ngx_int_t
ngx_http_tgbot_state_write(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    ngx_fd_t                        lock;
    ngx_int_t                       rc;
    ngx_http_tgbot_state_writer_t  *w;

    w = ngx_alloc(sizeof(ngx_http_tgbot_state_writer_t), log);
    if (w == NULL) {
        return NGX_ERROR;
    }

    lock = ngx_http_tgbot_state_lock(state, log);

    if (lock == NGX_INVALID_FILE) {
        ngx_free(w);
        return NGX_ERROR;
    }

    w->log = log;

    rc = ngx_http_tgbot_state_write_file(state, w);

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "tgbot: %uL updates and %uL dead letters are kept in "
                      "\"%V\"",
                      w->written[NGX_HTTP_TGBOT_STATE_UPDATE],
                      w->written[NGX_HTTP_TGBOT_STATE_LETTER], &state->path);
    }

    if (ngx_close_file(lock) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%V.lock\" failed", &state->path);
    }

    ngx_free(w);

    return rc;
}


/* who has it locked may take what is at path.tmp for the rest of a failure */

static ngx_fd_t
ngx_http_tgbot_state_lock(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    u_char     name[NGX_MAX_PATH];
    ngx_fd_t   fd;
    ngx_err_t  err;

    if (ngx_http_tgbot_state_path(state, name, ".lock", log) != NGX_OK) {
        return NGX_INVALID_FILE;
    }

    fd = ngx_open_file(name, NGX_FILE_RDWR|O_NOFOLLOW|NGX_FILE_NONBLOCK,
                       NGX_FILE_CREATE_OR_OPEN, NGX_FILE_OWNER_ACCESS);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", name);
        return NGX_INVALID_FILE;
    }

    err = ngx_trylock_fd(fd);

    if (err == 0) {
        return fd;
    }

    ngx_log_error(NGX_LOG_CRIT, log, err,
                  ngx_trylock_fd_n " \"%s\" failed, does another nginx write "
                  "this file?", name);

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", name);
    }

    return NGX_INVALID_FILE;
}


static ngx_int_t
ngx_http_tgbot_state_write_file(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w)
{
    ngx_int_t  rc;

    if (ngx_http_tgbot_state_path(state, w->name, ".tmp", w->log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_delete_file(w->name) == NGX_FILE_ERROR
        && ngx_errno != NGX_ENOENT)
    {
        return ngx_http_tgbot_state_failed(w, ngx_delete_file_n);
    }

    w->fd = ngx_open_file(w->name, NGX_FILE_WRONLY|O_EXCL|O_NOFOLLOW,
                          NGX_FILE_CREATE_OR_OPEN, NGX_FILE_OWNER_ACCESS);

    if (w->fd == NGX_INVALID_FILE) {
        return ngx_http_tgbot_state_failed(w, ngx_open_file_n);
    }

    rc = ngx_http_tgbot_state_write_all(state, w);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_state_sync(state, w);
    }

    if (ngx_close_file(w->fd) == NGX_FILE_ERROR && rc == NGX_OK) {
        rc = ngx_http_tgbot_state_failed(w, ngx_close_file_n);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_state_rename(state, w);
    }

    if (rc != NGX_OK
        && ngx_delete_file(w->name) == NGX_FILE_ERROR
        && ngx_errno != NGX_ENOENT)
    {
        (void) ngx_http_tgbot_state_failed(w, ngx_delete_file_n);
    }

    return rc;
}


static ngx_int_t
ngx_http_tgbot_state_sync(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w)
{
    if (state->uid && geteuid() == 0
        && fchown(w->fd, state->uid, (gid_t) -1) == -1)
    {
        return ngx_http_tgbot_state_failed(w, "fchown()");
    }

    if (fsync(w->fd) == -1) {
        return ngx_http_tgbot_state_failed(w, "fsync()");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_state_rename(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w)
{
    u_char    *p;
    ngx_fd_t   fd;

    if (ngx_rename_file(w->name, state->path.data) == NGX_FILE_ERROR) {
        return ngx_http_tgbot_state_failed(w, ngx_rename_file_n);
    }

    /* the name is in the directory */

    for (p = w->name + state->path.len; p > w->name && p[-1] != '/'; p--) {
        /* void */
    }

    if (p == w->name) {
        *p++ = '.';
    }

    *p = '\0';

    fd = ngx_open_file(w->name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        (void) ngx_http_tgbot_state_failed(w, ngx_open_file_n);
        return NGX_OK;
    }

    if (fsync(fd) == -1) {
        (void) ngx_http_tgbot_state_failed(w, "fsync()");
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        (void) ngx_http_tgbot_state_failed(w, ngx_close_file_n);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_state_failed(ngx_http_tgbot_state_writer_t *w,
    const char *what)
{
    ngx_log_error(NGX_LOG_CRIT, w->log, ngx_errno, "%s \"%s\" failed", what,
                  w->name);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_state_remove(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (ngx_http_tgbot_state_there(state)) {
        rc = state->left ? ngx_http_tgbot_state_aside(state, log)
                         : ngx_http_tgbot_state_delete(state, log);
    }

    /* others were kept from it until now */

    ngx_http_tgbot_state_close(state);

    return rc;
}


/* a process that began late may find another file by that name, or none */

static ngx_uint_t
ngx_http_tgbot_state_there(ngx_http_tgbot_state_t *state)
{
    ngx_file_info_t  loaded, there;

    return state->file
           && ngx_fd_info(state->file->fd, &loaded) != NGX_FILE_ERROR
           && ngx_link_info(state->path.data, &there) != NGX_FILE_ERROR
           && ngx_file_uniq(&loaded) == ngx_file_uniq(&there)
           && loaded.st_dev == there.st_dev;
}


static ngx_int_t
ngx_http_tgbot_state_delete(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    ngx_err_t  err;

    if (ngx_delete_file(state->path.data) != NGX_FILE_ERROR) {
        return NGX_OK;
    }

    err = ngx_errno;

    /*
     * a worker may not be allowed to change the directory, nor to open the
     * file, but its master has
     */

    if (ftruncate(state->file->fd, 0) != -1) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_CRIT, log, err,
                  ngx_delete_file_n " \"%V\" failed, its updates will be "
                  "loaded again", &state->path);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_state_path(ngx_http_tgbot_state_t *state, u_char *buf,
    const char *suffix, ngx_log_t *log)
{
    if (state->path.len + ngx_strlen(suffix) >= NGX_MAX_PATH) {
        ngx_log_error(NGX_LOG_CRIT, log, NGX_ENAMETOOLONG,
                      "the path \"%V%s\" is too long", &state->path, suffix);
        return NGX_ERROR;
    }

    (void) ngx_snprintf(buf, NGX_MAX_PATH, "%V%s%Z", &state->path, suffix);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_state_aside(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    u_char  name[NGX_MAX_PATH];

    if (ngx_http_tgbot_state_bad(state, name, log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_rename_file(state->path.data, name) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_rename_file_n " \"%V\" to \"%s\" failed",
                      &state->path, name);
        return NGX_ERROR;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0, "tgbot: \"%V\" is kept as \"%s\"",
                  &state->path, name);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_state_spare(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    u_char           name[NGX_MAX_PATH];
    ngx_copy_file_t  cf;

    if (ngx_http_tgbot_state_bad(state, name, log) != NGX_OK) {
        return NGX_ERROR;
    }

    cf.size = -1;
    cf.buf_size = 0;
    cf.access = NGX_FILE_OWNER_ACCESS;
    cf.time = -1;
    cf.log = log;

    if (ngx_copy_file(state->path.data, name, &cf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "tgbot: a copy of \"%V\" is kept as \"%s\"", &state->path,
                  name);

    return NGX_OK;
}


/* the name of what is kept beside, at which there is nothing yet */

static ngx_int_t
ngx_http_tgbot_state_bad(ngx_http_tgbot_state_t *state, u_char *name,
    ngx_log_t *log)
{
    u_char           suffix[sizeof(".bad.") + NGX_TIME_T_LEN];
    struct timeval   now;
    ngx_file_info_t  fi;

    if (ngx_http_tgbot_state_path(state, name, ".bad", log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_link_info(name, &fi) == NGX_FILE_ERROR) {
        return NGX_OK;
    }

    ngx_gettimeofday(&now);

    (void) ngx_sprintf(suffix, ".bad.%T%Z", (time_t) now.tv_sec);

    return ngx_http_tgbot_state_path(state, name, (char *) suffix, log);
}


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

        } else if (zone[i]->kind == &ngx_http_tgbot_dedup_zone) {
            rc = ngx_http_tgbot_state_write_dedup(state, w, zone[i]);
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
ngx_http_tgbot_state_write_dedup(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w, ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                     i, n;
    ngx_http_tgbot_item_t          item;
    ngx_http_tgbot_dedup_t       **dedup;
    ngx_http_tgbot_state_record_t  record;

    dedup = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {
        ngx_memzero(&item, sizeof(ngx_http_tgbot_item_t));

        item.head.bot_len = (uint32_t) ngx_min(dedup[i]->bot.len,
                                               NGX_HTTP_TGBOT_ITEM_NAME);
        ngx_memcpy(item.head.bot, dedup[i]->bot.data, item.head.bot_len);
        item.head.bot_id = dedup[i]->bot_id;
        item.head.received = ngx_current_msec;

        if (!ngx_http_tgbot_state_mine(state, &item.head)) {
            continue;
        }

        n = ngx_http_tgbot_dedup_newest(dedup[i], w->ids,
                                        NGX_HTTP_TGBOT_STATE_IDS);
        if (n == 0) {
            continue;
        }

        item.data.data = (u_char *) w->ids;
        item.data.len = n * sizeof(int64_t);

        ngx_memzero(&record, sizeof(ngx_http_tgbot_state_record_t));

        record.kind = NGX_HTTP_TGBOT_STATE_DEDUP;

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


ngx_int_t
ngx_http_tgbot_state_next(ngx_http_tgbot_state_file_t *file)
{
    uint64_t                        left, strings;
    ngx_http_tgbot_state_record_t  *record;

    record = &file->record;
    left = file->header.size - file->offset;

    if (left == 0 && file->number == file->header.records) {
        return NGX_DONE;
    }

    if (left < sizeof(ngx_http_tgbot_state_record_t)
        || file->number == file->header.records)
    {
        return ngx_http_tgbot_state_refuse(file, "its records are broken");
    }

    left -= sizeof(ngx_http_tgbot_state_record_t);

    if (ngx_http_tgbot_state_read(file, record,
                                  sizeof(ngx_http_tgbot_state_record_t),
                                  file->offset)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    strings = (uint64_t) record->data_len + record->answer_len;

    if (strings > left || !ngx_http_tgbot_state_sound(record)) {
        return ngx_http_tgbot_state_refuse(file, "its records are broken");
    }

    file->bot.data = record->head.bot;
    file->bot.len = record->head.bot_len;

    file->strings = file->offset + sizeof(ngx_http_tgbot_state_record_t);

    file->offset = file->strings + strings;
    file->number++;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tgbot_state_sound(ngx_http_tgbot_state_record_t *record)
{
    if (record->head.bot_len == 0
        || record->head.bot_len > NGX_HTTP_TGBOT_ITEM_NAME
        || record->answered > 1
        || (record->answer_len && !record->answered))
    {
        return 0;
    }

    switch (record->kind) {

    case NGX_HTTP_TGBOT_STATE_UPDATE:
        return 1;

    case NGX_HTTP_TGBOT_STATE_LETTER:
        return record->end.cause < NGX_HTTP_TGBOT_DEAD_CAUSES;

    case NGX_HTTP_TGBOT_STATE_DEDUP:
        return record->data_len % sizeof(int64_t) == 0
               && record->data_len
                  <= NGX_HTTP_TGBOT_STATE_IDS * sizeof(int64_t);

    default:
        return 0;
    }
}


ngx_int_t
ngx_http_tgbot_state_read(ngx_http_tgbot_state_file_t *file, void *buf,
    size_t size, uint64_t offset)
{
    u_char   *p;
    ssize_t   n;

    p = buf;

    while (size) {
        n = pread(file->fd, p, size, (off_t) offset);

        if (n == -1) {

            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            ngx_log_error(NGX_LOG_CRIT, file->log, ngx_errno,
                          "pread() \"%s\" failed", file->path);
            return NGX_ERROR;
        }

        if (n == 0) {
            return ngx_http_tgbot_state_refuse(file, "it is truncated");
        }

        p += n;
        size -= n;
        offset += n;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_state_refuse(ngx_http_tgbot_state_file_t *file,
    const char *why)
{
    ngx_log_error(NGX_LOG_ERR, file->log, 0, "tgbot: \"%s\" is refused: %s",
                  file->path, why);

    return NGX_ERROR;
}


ngx_http_tgbot_zone_t *
ngx_http_tgbot_state_zone(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_file_t *file)
{
    ngx_uint_t                         i;
    ngx_http_tgbot_zone_t            **zone, *first;
    const ngx_http_tgbot_zone_kind_t  *kind;

    switch (file->record.kind) {

    case NGX_HTTP_TGBOT_STATE_UPDATE:
        kind = &ngx_http_tgbot_queue_zone;
        break;

    case NGX_HTTP_TGBOT_STATE_LETTER:
        kind = &ngx_http_tgbot_dead_zone;
        break;

    default: /* NGX_HTTP_TGBOT_STATE_DEDUP */
        kind = &ngx_http_tgbot_dedup_zone;
    }

    first = NULL;
    zone = state->zones.elts;

    for (i = 0; i < state->zones.nelts; i++) {

        if (zone[i]->kind != kind) {
            continue;
        }

        if (ngx_http_tgbot_state_user(zone[i], &file->bot,
                                      file->record.head.bot_id))
        {
            return zone[i];
        }

        if (first == NULL) {
            first = zone[i];
        }
    }

    /* what was accepted of a bot that is gone is of no use to anybody */

    return (file->record.kind == NGX_HTTP_TGBOT_STATE_DEDUP) ? NULL : first;
}


/* the users of all these kinds begin alike */

void *
ngx_http_tgbot_state_user(ngx_http_tgbot_zone_t *zone, ngx_str_t *bot,
    uint64_t bot_id)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_zone_user_t  **user;

    user = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {

        if (user[i]->bot.len == bot->len
            && ngx_memcmp(user[i]->bot.data, bot->data, bot->len) == 0
            && (user[i]->bot_id == bot_id
                || user[i]->bot_id == 0 || bot_id == 0))
        {
            return user[i];
        }
    }

    return NULL;
}
