
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_log.h"


#define NGX_HTTP_TGBOT_LOG_BUFFER   (64 * 1024)

/* a line stays in the buffer so long, ms */
#define NGX_HTTP_TGBOT_LOG_FLUSH    1000

/* a file that cannot be written to is told of once in so many seconds */
#define NGX_HTTP_TGBOT_LOG_TELL     60

/* types of updates are shorter */
#define NGX_HTTP_TGBOT_LOG_TYPE     64

/* with a type and a name of full length, and every number there is */
#define NGX_HTTP_TGBOT_LOG_LINE     512


/*
 * It begins as a ngx_http_log_buf_t does: an access_log without a buffer of
 * its own uses that of its file, whoever made it.
 */

typedef struct {
    u_char                     *start;
    u_char                     *pos;
    u_char                     *last;
    ngx_event_t                *event;
    ngx_msec_t                  flush;
    ngx_int_t                   gzip;

    time_t                      told;
} ngx_http_tgbot_log_buffer_t;


static void ngx_http_tgbot_log_flush(ngx_open_file_t *file, ngx_log_t *log);
static void ngx_http_tgbot_log_timeout(ngx_event_t *ev);
static u_char *ngx_http_tgbot_log_line(u_char *p, u_char *last,
    ngx_http_tgbot_log_t *entry);
static u_char *ngx_http_tgbot_log_type(u_char *p, ngx_str_t *type);


/* ngx_http_tgbot_api_result_e */

static const char  *ngx_http_tgbot_log_results[NGX_HTTP_TGBOT_API_RESULTS] = {
    "ok", "429", "4xx", "5xx", "error"
};


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

    buffer->start = ngx_pnalloc(cf->pool, NGX_HTTP_TGBOT_LOG_BUFFER);
    if (buffer->start == NULL) {
        return NGX_ERROR;
    }

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

    file->flush = ngx_http_tgbot_log_flush;
    file->data = buffer;

    return NGX_OK;
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


/* in one write(), so that lines of several workers do not mix */

static void
ngx_http_tgbot_log_flush(ngx_open_file_t *file, ngx_log_t *log)
{
    size_t                        len;
    ssize_t                       n;
    ngx_err_t                     err;
    ngx_http_tgbot_log_buffer_t  *buffer;

    buffer = file->data;

    if (buffer->event->timer_set) {
        ngx_del_timer(buffer->event);
    }

    len = buffer->pos - buffer->start;

    if (len == 0) {
        return;
    }

    n = ngx_write_fd(file->fd, buffer->start, len);
    err = (n == -1) ? ngx_errno : 0;

    buffer->pos = buffer->start;

    if (n == (ssize_t) len
        || ngx_time() - buffer->told < NGX_HTTP_TGBOT_LOG_TELL)
    {
        return;
    }

    buffer->told = ngx_time();

    ngx_log_error(NGX_LOG_ERR, log, err,
                  "tgbot: " ngx_write_fd_n " of %uz bytes to \"%V\" of "
                  "\"tgbot_log\" failed, %z were written: lines are lost",
                  len, &file->name, n);
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
            p = ngx_slprintf(p, last, "%s\"%s\":%ui", n++ ? "," : "",
                             ngx_http_tgbot_log_results[i],
                             entry->results[i]);
        }
    }

    return ngx_slprintf(p, last, "}}" NGX_LINEFEED);
}


/* a key of JSON, which may be anything */

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
        }
    }

    return p;
}
