
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_broadcast_show.h"
#include "ngx_http_tgbot_broadcast_stream.h"
#include "ngx_http_tgbot_status_text.h"
#include "ngx_http_tgbot_step.h"


/* bytes of the one buffer, and of the longest element */
#define NGX_HTTP_TGBOT_BROADCAST_STREAM_SIZE     16384
#define NGX_HTTP_TGBOT_BROADCAST_STREAM_ELEMENT  (NGX_INT64_LEN + 64          \
                                     + 6 * NGX_HTTP_TGBOT_BROADCAST_TEXT)

#define NGX_HTTP_TGBOT_BROADCAST_STREAM_N        8

/* looks into the zone in one turn of the event loop */
#define NGX_HTTP_TGBOT_BROADCAST_STREAM_TURN     200


typedef struct {
    ngx_http_request_t                 *request;
    ngx_http_tgbot_broadcast_conf_t    *conf;
    uint64_t                            id;
    ngx_uint_t                          mask;
    ngx_http_tgbot_broadcast_cursor_t   cursor;

    ngx_buf_t                          *buf;
    ngx_event_t                         event;

    /* errors by number, once they are known */
    ngx_http_tgbot_broadcast_error_t
                            *errors[NGX_HTTP_TGBOT_BROADCAST_ERRORS + 1];

    unsigned                            comma:1;
    unsigned                            last:1;    /* the end is written */
    unsigned                            cut:1;     /* there is no end */
} ngx_http_tgbot_broadcast_stream_t;


static void ngx_http_tgbot_broadcast_stream_leave(void *data);
static void ngx_http_tgbot_broadcast_stream_turn(ngx_event_t *ev);
static void ngx_http_tgbot_broadcast_stream_writer(ngx_http_request_t *r);
static void ngx_http_tgbot_broadcast_stream_run(
    ngx_http_tgbot_broadcast_stream_t *s);
static ngx_int_t ngx_http_tgbot_broadcast_stream_send(
    ngx_http_tgbot_broadcast_stream_t *s);
static ngx_uint_t ngx_http_tgbot_broadcast_stream_fill(
    ngx_http_tgbot_broadcast_stream_t *s, ngx_uint_t looks);
static void ngx_http_tgbot_broadcast_stream_element(
    ngx_http_tgbot_broadcast_stream_t *s,
    ngx_http_tgbot_broadcast_result_t *result);
static ngx_http_tgbot_broadcast_error_t *
    ngx_http_tgbot_broadcast_stream_error(
    ngx_http_tgbot_broadcast_stream_t *s, ngx_uint_t number);


ngx_int_t
ngx_http_tgbot_broadcast_stream(ngx_http_request_t *r,
    ngx_http_tgbot_broadcast_conf_t *b, uint64_t id, ngx_uint_t state)
{
    ngx_int_t                           rc;
    ngx_http_cleanup_t                 *cln;
    ngx_http_tgbot_broadcast_stream_t  *s;

    static ngx_str_t                    type = ngx_string("application/json");

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_tgbot_broadcast_stream_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s = cln->data;
    ngx_memzero(s, sizeof(ngx_http_tgbot_broadcast_stream_t));

    cln->handler = ngx_http_tgbot_broadcast_stream_leave;

    s->request = r;
    s->conf = b;
    s->id = id;
    s->mask = 1 << state;
    s->event.handler = ngx_http_tgbot_broadcast_stream_turn;
    s->event.data = s;
    s->event.log = r->connection->log;

    s->buf = ngx_create_temp_buf(r->pool,
                                 NGX_HTTP_TGBOT_BROADCAST_STREAM_SIZE);
    if (s->buf == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_clear_content_length(r);

    rc = ngx_http_tgbot_status_text_header(r, &type, NGX_HTTP_OK);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    s->buf->last = ngx_sprintf(s->buf->last, "{\"id\":%uL,\"%V\":[", id,
                               &ngx_http_tgbot_broadcast_chats[state]);

    r->main->count++;
    r->write_event_handler = ngx_http_tgbot_broadcast_stream_writer;

    ngx_http_tgbot_broadcast_stream_run(s);

    return NGX_DONE;
}


static void
ngx_http_tgbot_broadcast_stream_leave(void *data)
{
    ngx_http_tgbot_broadcast_stream_t *s = data;

    ngx_http_tgbot_step_end(&s->event);
}


static void
ngx_http_tgbot_broadcast_stream_turn(ngx_event_t *ev)
{
    ngx_connection_t                   *c;
    ngx_http_tgbot_broadcast_stream_t  *s;

    s = ev->data;
    c = s->request->connection;

    ngx_http_set_log_request(c->log, s->request);

    ngx_http_tgbot_broadcast_stream_run(s);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_tgbot_broadcast_stream_writer(ngx_http_request_t *r)
{
    ngx_event_t                        *wev;
    ngx_http_cleanup_t                 *cln;
    ngx_http_tgbot_broadcast_stream_t  *s;

    wev = r->connection->write;

    /* the module's context belongs to its variables */

    for (cln = r->cleanup;
         cln->handler != ngx_http_tgbot_broadcast_stream_leave;
         cln = cln->next)
    {
        /* void */
    }

    s = cln->data;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");
        r->connection->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (!s->event.posted) {
        ngx_http_tgbot_broadcast_stream_run(s);
    }
}


/* the buffer is filled again when all of it is sent */

static void
ngx_http_tgbot_broadcast_stream_run(ngx_http_tgbot_broadcast_stream_t *s)
{
    ngx_int_t                  rc;
    ngx_uint_t                 looks;
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = s->request;
    wev = r->connection->write;
    looks = 0;

    for ( ;; ) {

        rc = ngx_http_tgbot_broadcast_stream_send(s);

        if (rc == NGX_ERROR || (rc == NGX_OK && s->last)) {
            ngx_http_finalize_request(r, rc);
            return;
        }

        if (rc == NGX_AGAIN) {
            clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

            if (!wev->delayed) {
                ngx_add_timer(wev, clcf->send_timeout);
            }

            if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
                ngx_http_finalize_request(r, NGX_ERROR);
            }

            return;
        }

        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        if (looks >= NGX_HTTP_TGBOT_BROADCAST_STREAM_TURN) {
            ngx_http_tgbot_step_later(&s->event);
            return;
        }

        s->buf->pos = s->buf->start;
        s->buf->last = s->buf->start;

        looks = ngx_http_tgbot_broadcast_stream_fill(s, looks);

        if (s->cut) {
            ngx_http_finalize_request(r, NGX_ERROR);
            return;
        }
    }
}


/* NGX_AGAIN: the client does not take all of the buffer */

static ngx_int_t
ngx_http_tgbot_broadcast_stream_send(ngx_http_tgbot_broadcast_stream_t *s)
{
    ngx_int_t            rc;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = s->request;

    if (s->buf->pos == s->buf->last && !r->buffered
        && !r->connection->buffered && !s->last)
    {
        return NGX_OK;
    }

    out.buf = s->buf;
    out.next = NULL;

    if (r->buffered || r->connection->buffered) {
        rc = ngx_http_output_filter(r, NULL);

    } else {
        s->buf->last_buf = s->last;
        s->buf->flush = 1;

        rc = ngx_http_output_filter(r, &out);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    return (r->buffered || r->connection->buffered) ? NGX_AGAIN : NGX_OK;
}


static ngx_uint_t
ngx_http_tgbot_broadcast_stream_fill(ngx_http_tgbot_broadcast_stream_t *s,
    ngx_uint_t looks)
{
    ngx_int_t                           rc;
    ngx_uint_t                          i, n;
    ngx_http_tgbot_broadcast_result_t
                               results[NGX_HTTP_TGBOT_BROADCAST_STREAM_N];

    do {
        rc = ngx_http_tgbot_broadcast_show_next(&s->conf->user, s->id,
                                            &s->cursor, s->mask, results,
                                            NGX_HTTP_TGBOT_BROADCAST_STREAM_N,
                                            &n);

        for (i = 0; i < n; i++) {
            ngx_http_tgbot_broadcast_stream_element(s, &results[i]);
        }

        looks++;

    } while (rc == NGX_AGAIN
             && looks < NGX_HTTP_TGBOT_BROADCAST_STREAM_TURN
             && (size_t) (s->buf->end - s->buf->last)
                >= (NGX_HTTP_TGBOT_BROADCAST_STREAM_N + 1)
                   * NGX_HTTP_TGBOT_BROADCAST_STREAM_ELEMENT);

    if (rc == NGX_DECLINED) {

        /* deleted meanwhile: a list that is not whole must not look so */

        s->cut = 1;

    } else if (rc == NGX_DONE) {
        s->buf->last = ngx_cpymem(s->buf->last, "]}\n", 3);
        s->last = 1;
    }

    return looks;
}


static void
ngx_http_tgbot_broadcast_stream_element(ngx_http_tgbot_broadcast_stream_t *s,
    ngx_http_tgbot_broadcast_result_t *result)
{
    u_char                            *p;
    ngx_http_tgbot_broadcast_error_t  *error;

    p = s->buf->last;

    p = ngx_sprintf(p, "%s\n{\"chat_id\":%L", s->comma ? "," : "",
                    result->chat);

    error = ngx_http_tgbot_broadcast_stream_error(s, result->error);

    if (error) {
        p = ngx_sprintf(p, ",\"status\":%uD,\"error\":\"", error->status);
        p = (u_char *) ngx_escape_json(p, error->text, error->len);
        *p++ = '"';
    }

    *p++ = '}';

    s->buf->last = p;
    s->comma = 1;
}


/* NULL: there is none, or no memory */

static ngx_http_tgbot_broadcast_error_t *
ngx_http_tgbot_broadcast_stream_error(ngx_http_tgbot_broadcast_stream_t *s,
    ngx_uint_t number)
{
    ngx_http_tgbot_broadcast_error_t  *error;

    if (number == 0 || number > NGX_HTTP_TGBOT_BROADCAST_ERRORS) {
        return NULL;
    }

    if (s->errors[number]) {
        return s->errors[number];
    }

    error = ngx_palloc(s->request->pool,
                       sizeof(ngx_http_tgbot_broadcast_error_t));
    if (error == NULL) {
        return NULL;
    }

    if (ngx_http_tgbot_broadcast_show_error(&s->conf->user, s->id, number,
                                            error)
        != NGX_OK)
    {
        return NULL;
    }

    s->errors[number] = error;

    return error;
}
