
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_log.h"


#define NGX_HTTP_TGBOT_LOG_BUFFER   (64 * 1024)

/* the longest time that a line stays in the buffer, ms */
#define NGX_HTTP_TGBOT_LOG_FLUSH    1000

/* write errors of a file are logged once in this time, seconds */
#define NGX_HTTP_TGBOT_LOG_TELL     60

/* all Update types of Telegram are shorter */
#define NGX_HTTP_TGBOT_LOG_TYPE     64

/* fits a line with the longest type and name and the largest numbers */
#define NGX_HTTP_TGBOT_LOG_LINE     512


/*
 * The first fields are those of ngx_http_log_buf_t: an access_log without its
 * own buffer uses the buffer of its file, even if another module made it.
 */

typedef struct {
    u_char                     *start;
    u_char                     *pos;
    u_char                     *last;
    ngx_event_t                *event;
    ngx_msec_t                  flush;
    ngx_int_t                   gzip;

    /* shared by all workers: size of the file after a write cut in a line */
    ngx_atomic_t               *cut;

    time_t                      told;
    ngx_uint_t                  lost;    /* lines, not logged yet */
    ngx_err_t                   err;     /* of the last write that failed */
} ngx_http_tgbot_log_buffer_t;


static ngx_int_t ngx_http_tgbot_log_shared(ngx_conf_t *cf,
    ngx_http_tgbot_log_buffer_t *buffer);
static void ngx_http_tgbot_log_unshare(void *data);
static void ngx_http_tgbot_log_flush(ngx_open_file_t *file, ngx_log_t *log);
static ngx_uint_t ngx_http_tgbot_log_within(ngx_open_file_t *file);
static void ngx_http_tgbot_log_short(ngx_open_file_t *file, u_char *p);
static void ngx_http_tgbot_log_tell(ngx_open_file_t *file, ngx_log_t *log);
static void ngx_http_tgbot_log_timeout(ngx_event_t *ev);
static u_char *ngx_http_tgbot_log_line(u_char *p, u_char *last,
    ngx_http_tgbot_log_t *entry);
static u_char *ngx_http_tgbot_log_type(u_char *p, ngx_str_t *type);


ngx_int_t
ngx_http_tgbot_log_file(ngx_conf_t *cf, ngx_open_file_t *file)
{
    ngx_http_tgbot_log_buffer_t  *buffer;

    if (file->flush == ngx_http_tgbot_log_flush) {
        return NGX_OK;
    }

    if (file->flush || file->data) {
        return NGX_DECLINED;
    }

    buffer = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_log_buffer_t));
    if (buffer == NULL) {
        return NGX_ERROR;
    }

    buffer->start = ngx_pnalloc(cf->pool, 1 + NGX_HTTP_TGBOT_LOG_BUFFER);
    if (buffer->start == NULL) {
        return NGX_ERROR;
    }

    /* a LF before the buffer, to end a cut line in the same write() */

    *buffer->start++ = LF;

    buffer->pos = buffer->start;
    buffer->last = buffer->start + NGX_HTTP_TGBOT_LOG_BUFFER;

    buffer->flush = NGX_HTTP_TGBOT_LOG_FLUSH;

    buffer->event = ngx_pcalloc(cf->pool, sizeof(ngx_event_t));
    if (buffer->event == NULL) {
        return NGX_ERROR;
    }

    buffer->event->handler = ngx_http_tgbot_log_timeout;
    buffer->event->data = file;
    buffer->event->log = &cf->cycle->new_log;
    buffer->event->cancelable = 1;

    if (ngx_http_tgbot_log_shared(cf, buffer) != NGX_OK) {
        return NGX_ERROR;
    }

    file->flush = ngx_http_tgbot_log_flush;
    file->data = buffer;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_log_shared(ngx_conf_t *cf, ngx_http_tgbot_log_buffer_t *buffer)
{
    ngx_shm_t           *shm;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_shm_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    shm = cln->data;

    ngx_memzero(shm, sizeof(ngx_shm_t));

    shm->size = sizeof(ngx_atomic_t);
    shm->log = cf->log;
    ngx_str_set(&shm->name, "tgbot_log");

    if (ngx_shm_alloc(shm) != NGX_OK) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_tgbot_log_unshare;

    buffer->cut = (ngx_atomic_t *) shm->addr;

    return NGX_OK;
}


static void
ngx_http_tgbot_log_unshare(void *data)
{
    ngx_shm_t  *shm = data;

    shm->log = ngx_cycle->log;

    ngx_shm_free(shm);
}


void
ngx_http_tgbot_log(ngx_http_tgbot_log_t *entry)
{
    ngx_open_file_t              *file;
    ngx_http_tgbot_log_buffer_t  *buffer;

    file = entry->bot->conf->log;

    if (file == NULL) {
        return;
    }

    buffer = file->data;

    if (buffer->last - buffer->pos < NGX_HTTP_TGBOT_LOG_LINE) {
        ngx_http_tgbot_log_flush(file, ngx_cycle->log);
    }

    buffer->pos = ngx_http_tgbot_log_line(buffer->pos,
                                          buffer->pos
                                          + NGX_HTTP_TGBOT_LOG_LINE,
                                          entry);

    if (!buffer->event->timer_set) {
        ngx_add_timer(buffer->event, NGX_HTTP_TGBOT_LOG_FLUSH);
    }
}


/* makes one write(), so that lines of several workers do not mix */

static void
ngx_http_tgbot_log_flush(ngx_open_file_t *file, ngx_log_t *log)
{
    u_char                       *start;
    ssize_t                       n;
    ngx_http_tgbot_log_buffer_t  *buffer;

    buffer = file->data;

    if (buffer->event->timer_set) {
        ngx_del_timer(buffer->event);
    }

    start = buffer->start;

    if (ngx_http_tgbot_log_within(file)) {
        start--;
    }

    if (start != buffer->pos) {
        n = ngx_write_fd(file->fd, start, buffer->pos - start);

        if (n != buffer->pos - start) {
            buffer->err = (n == -1) ? ngx_errno : 0;
            n = ngx_max(n, 0);

            ngx_http_tgbot_log_short(file, ngx_max(start + n, buffer->start));
        }

        buffer->pos = buffer->start;
    }

    ngx_http_tgbot_log_tell(file, log);
}


/*
 * Whether the file still ends where a write of ours was cut.  Since then the
 * file may have been reopened, or another program may have written to it.
 */

static ngx_uint_t
ngx_http_tgbot_log_within(ngx_open_file_t *file)
{
    ngx_file_info_t               fi;
    ngx_http_tgbot_log_buffer_t  *buffer;

    buffer = file->data;

    return *buffer->cut
           && ngx_fd_info(file->fd, &fi) != NGX_FILE_ERROR
           && (ngx_atomic_uint_t) ngx_file_size(&fi) == *buffer->cut;
}


/* a write was short; from "p" on the buffer is not in the file */

static void
ngx_http_tgbot_log_short(ngx_open_file_t *file, u_char *p)
{
    ngx_file_info_t               fi;
    ngx_http_tgbot_log_buffer_t  *buffer;

    buffer = file->data;

    if (p[-1] != LF) {

        if (ngx_fd_info(file->fd, &fi) != NGX_FILE_ERROR) {
            *buffer->cut = (ngx_atomic_uint_t) ngx_file_size(&fi);
        }

        if (*p == LF) {

            /* only the LF is missing, and the next flush writes one */

            p++;
        }
    }

    for ( /* void */ ; p < buffer->pos; p++) {
        buffer->lost += (*p == LF);
    }
}


static void
ngx_http_tgbot_log_tell(ngx_open_file_t *file, ngx_log_t *log)
{
    ngx_http_tgbot_log_buffer_t  *buffer;

    buffer = file->data;

    if (buffer->lost == 0) {
        return;
    }

    if (ngx_time() - buffer->told < NGX_HTTP_TGBOT_LOG_TELL
        && !ngx_exiting && !ngx_terminate)
    {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, log, buffer->err,
                  "tgbot: " ngx_write_fd_n " to \"%V\" of \"tgbot_log\" "
                  "failed, lines are lost: %ui",
                  &file->name, buffer->lost);

    buffer->told = ngx_time();
    buffer->lost = 0;
}


static void
ngx_http_tgbot_log_timeout(ngx_event_t *ev)
{
    ngx_http_tgbot_log_flush(ev->data, ev->log);
}


static u_char *
ngx_http_tgbot_log_line(u_char *p, u_char *last, ngx_http_tgbot_log_t *entry)
{
    ngx_tm_t     tm;
    ngx_time_t  *tp;
    ngx_uint_t   i, n;

    tp = ngx_timeofday();

    ngx_gmtime(tp->sec, &tm);

    p = ngx_slprintf(p, last,
                     "{\"time\":\"%4d-%02d-%02dT%02d:%02d:%02d.%03MZ\","
                     "\"bot\":\"%V\",\"update_id\":",
                     tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                     tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec, tp->msec,
                     &entry->bot->name);

    p = entry->update->has_update_id
        ? ngx_slprintf(p, last, "%L,\"type\":\"", entry->update->update_id)
        : ngx_slprintf(p, last, "null,\"type\":\"");

    p = ngx_http_tgbot_log_type(p, &entry->update->type);

    p = ngx_slprintf(p, last,
                     "\",\"mode\":\"%s\",\"verdict\":\"%s\","
                     "\"attempts\":%ui,\"waited\":%M.%03M,"
                     "\"ran\":%M.%03M,\"api\":{",
                     entry->queued ? "queued" : "held", entry->verdict,
                     entry->attempts,
                     entry->waited / 1000, entry->waited % 1000,
                     entry->ran / 1000, entry->ran % 1000);

    n = 0;

    for (i = 0; entry->results && i < NGX_HTTP_TGBOT_API_RESULTS; i++) {

        if (entry->results[i]) {
            p = ngx_slprintf(p, last, "%s\"%V\":%ui", n++ ? "," : "",
                             &ngx_http_tgbot_stats_results[i],
                             entry->results[i]);
        }
    }

    return ngx_slprintf(p, last, "}}" NGX_LINEFEED);
}


/* the type may be any JSON key: it ends with "?" at a character of no name */

static u_char *
ngx_http_tgbot_log_type(u_char *p, ngx_str_t *type)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < type->len && i < NGX_HTTP_TGBOT_LOG_TYPE; i++) {
        c = type->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '_')
        {
            *p++ = c;

        } else {
            *p++ = '?';
            break;
        }
    }

    return p;
}
