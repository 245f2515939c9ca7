
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_broadcast_fill.h"
#include "ngx_http_tgbot_broadcast_ids.h"
#include "ngx_http_tgbot_broadcast_parse.h"
#include "ngx_http_tgbot_broadcast_show.h"
#include "ngx_http_tgbot_broadcast_worker.h"
#include "ngx_http_tgbot_idempotency_use.h"
#include "ngx_http_tgbot_status_broadcast.h"
#include "ngx_http_tgbot_status_text.h"
#include "ngx_http_tgbot_step.h"


/* bytes of the body, and chats, in one turn of the event loop */
#define NGX_HTTP_TGBOT_BROADCAST_FILL_SLICE   65536
#define NGX_HTTP_TGBOT_BROADCAST_FILL_WRITE   400
#define NGX_HTTP_TGBOT_BROADCAST_FILL_WRITES  16

/* ms that a request waits for another one with its Idempotency-Key */
#define NGX_HTTP_TGBOT_BROADCAST_FILL_WAIT    50000


typedef struct {
    ngx_http_request_t                 *request;
    ngx_http_tgbot_broadcast_conf_t    *conf;
    uint64_t                            id;       /* 0: not made yet */
    ngx_http_tgbot_step_t               step;
    ngx_http_tgbot_broadcast_parse_t    parse;

    ngx_chain_t                        *in;       /* rest of the body */
    off_t                               pos;      /* in in->buf */
    u_char                             *slice;    /* of a file */

    ngx_http_tgbot_lease_t              loader;
    ngx_http_tgbot_broadcast_cursor_t   cursor;   /* of the chats before */
    ngx_uint_t                          next;     /* chat to be written */

    ngx_http_tgbot_idempotency_use_t   *once;     /* NULL: it has no key */

    unsigned                            create:1;
    unsigned                            sent:1;   /* of "once" */
    unsigned                            loading:1;
} ngx_http_tgbot_broadcast_fill_t;


static void ngx_http_tgbot_broadcast_fill_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_tgbot_broadcast_fill_key(
    ngx_http_tgbot_broadcast_fill_t *fill);
static void ngx_http_tgbot_broadcast_fill_ready(
    ngx_http_tgbot_idempotency_use_t *use, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_broadcast_fill_repeat(void *data);
static void ngx_http_tgbot_broadcast_fill_leave(void *data);
static void ngx_http_tgbot_broadcast_fill_abandon(
    ngx_http_tgbot_broadcast_fill_t *fill);
static ngx_int_t ngx_http_tgbot_broadcast_fill_read(void *data);
static ngx_int_t ngx_http_tgbot_broadcast_fill_slice(
    ngx_http_tgbot_broadcast_fill_t *fill, ngx_str_t *slice);
static ngx_int_t ngx_http_tgbot_broadcast_fill_bad(
    ngx_http_tgbot_broadcast_fill_t *fill, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_broadcast_fill_load(void *data);
static ngx_int_t ngx_http_tgbot_broadcast_fill_known(void *data);
static ngx_int_t ngx_http_tgbot_broadcast_fill_write(void *data);
static ngx_int_t ngx_http_tgbot_broadcast_fill_publish(
    ngx_http_tgbot_broadcast_fill_t *fill);
static void ngx_http_tgbot_broadcast_fill_keep(
    ngx_http_tgbot_broadcast_fill_t *fill, ngx_http_tgbot_status_text_t *s);
static ngx_int_t ngx_http_tgbot_broadcast_fill_failed(
    ngx_http_tgbot_broadcast_fill_t *fill, ngx_int_t rc);
static ngx_uint_t ngx_http_tgbot_broadcast_fill_plain(ngx_http_request_t *r);


ngx_int_t
ngx_http_tgbot_broadcast_fill(ngx_http_request_t *r,
    ngx_http_tgbot_broadcast_conf_t *b, uint64_t id)
{
    ngx_int_t                         rc;
    ngx_http_cleanup_t               *cln;
    ngx_http_tgbot_broadcast_info_t   info;
    ngx_http_tgbot_broadcast_fill_t  *fill;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_tgbot_broadcast_fill_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    fill = cln->data;
    ngx_memzero(fill, sizeof(ngx_http_tgbot_broadcast_fill_t));

    fill->request = r;
    fill->conf = b;
    fill->id = id;
    fill->create = (id == 0);
    fill->step.handler = ngx_http_tgbot_broadcast_fill_read;
    fill->step.request = r;
    fill->step.data = fill;

    cln->handler = ngx_http_tgbot_broadcast_fill_leave;

    if (id && ngx_http_tgbot_broadcast_show_get(&b->user, id, &info)
              != NGX_OK)
    {
        rc = ngx_http_discard_request_body(r);

        return (rc == NGX_OK)
               ? ngx_http_tgbot_broadcast_fill_failed(fill, NGX_DECLINED)
               : rc;
    }

    rc = ngx_http_read_client_request_body(r,
                                           ngx_http_tgbot_broadcast_fill_body);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


static void
ngx_http_tgbot_broadcast_fill_body(ngx_http_request_t *r)
{
    off_t                             size;
    ngx_int_t                         rc;
    ngx_uint_t                        form;
    ngx_chain_t                      *cl;
    ngx_http_cleanup_t               *cln;
    ngx_http_tgbot_broadcast_fill_t  *fill;

    for (cln = r->cleanup;
         cln->handler != ngx_http_tgbot_broadcast_fill_leave;
         cln = cln->next)
    {
        /* void */
    }

    fill = cln->data;
    fill->in = r->request_body ? r->request_body->bufs : NULL;

    size = 0;

    for (cl = fill->in; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    form = fill->create ? NGX_HTTP_TGBOT_BROADCAST_PARSE_OBJECT
           : ngx_http_tgbot_broadcast_fill_plain(r)
             ? NGX_HTTP_TGBOT_BROADCAST_PARSE_LINES
             : NGX_HTTP_TGBOT_BROADCAST_PARSE_ARRAY;

    if (ngx_http_tgbot_broadcast_parse_init(&fill->parse, form, size, r->pool)
        != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_test_reading;

    rc = ngx_http_tgbot_broadcast_fill_key(fill);

    if (rc == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    if (rc == NGX_OK) {
        ngx_http_tgbot_step_run(&fill->step);
    }
}


/* NGX_OK: the request goes on; NGX_AGAIN: it waits for another one */

static ngx_int_t
ngx_http_tgbot_broadcast_fill_key(ngx_http_tgbot_broadcast_fill_t *fill)
{
    ngx_int_t                          rc;
    ngx_http_tgbot_idempotency_use_t  *use;

    if (!fill->create || fill->conf->keys == NULL) {
        return NGX_OK;
    }

    use = ngx_pcalloc(fill->request->pool,
                      sizeof(ngx_http_tgbot_idempotency_use_t));
    if (use == NULL) {
        return NGX_ERROR;
    }

    /* in another zone the id of the answer is that of another broadcast */

    use->bot = fill->conf->bot;
    use->request = fill->request;
    use->method = fill->conf->zone->shm_zone->shm.name;
    use->limit = NGX_HTTP_TGBOT_BROADCAST_FILL_WAIT;
    use->ready = ngx_http_tgbot_broadcast_fill_ready;
    use->data = fill;

    rc = ngx_http_tgbot_idempotency_use_start(use, fill->conf->keys);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    fill->once = use;

    if (rc == NGX_DONE) {
        fill->step.handler = ngx_http_tgbot_broadcast_fill_repeat;
        return NGX_OK;
    }

    return rc;
}


static void
ngx_http_tgbot_broadcast_fill_ready(ngx_http_tgbot_idempotency_use_t *use,
    ngx_int_t rc)
{
    ngx_connection_t                 *c;
    ngx_http_tgbot_broadcast_fill_t  *fill;

    fill = use->data;
    c = fill->request->connection;

    ngx_http_set_log_request(c->log, fill->request);

    if (rc == NGX_DONE) {
        fill->step.handler = ngx_http_tgbot_broadcast_fill_repeat;
    }

    ngx_http_tgbot_step_run(&fill->step);

    ngx_http_run_posted_requests(c);
}


/* the answer of the first request with the key, or why there is none */

static ngx_int_t
ngx_http_tgbot_broadcast_fill_repeat(void *data)
{
    ngx_http_tgbot_broadcast_fill_t *fill = data;

    ngx_http_tgbot_status_text_t          s;
    ngx_http_tgbot_idempotency_use_t     *use;
    ngx_http_tgbot_idempotency_answer_t  *answer;

    use = fill->once;
    answer = &use->answer;

    if (answer->status == 0) {
        return ngx_http_tgbot_status_text_error(fill->request, use->status,
                                                use->error);
    }

    ngx_http_tgbot_status_text_init(&s, fill->request);
    ngx_http_tgbot_status_text_write(&s, answer->body.data, answer->body.len);

    return ngx_http_tgbot_status_text_send(fill->request, &s, answer->status);
}


static ngx_uint_t
ngx_http_tgbot_broadcast_fill_plain(ngx_http_request_t *r)
{
    ngx_str_t  *type;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;

    return type->len >= sizeof("text/plain") - 1
           && ngx_strncasecmp(type->data, (u_char *) "text/plain",
                              sizeof("text/plain") - 1)
              == 0;
}


static void
ngx_http_tgbot_broadcast_fill_leave(void *data)
{
    ngx_http_tgbot_broadcast_fill_t *fill = data;

    ngx_http_tgbot_step_end(&fill->step.event);
    ngx_http_tgbot_broadcast_parse_done(&fill->parse);
    ngx_http_tgbot_broadcast_fill_abandon(fill);
}


static void
ngx_http_tgbot_broadcast_fill_abandon(ngx_http_tgbot_broadcast_fill_t *fill)
{
    if (fill->loading) {
        fill->loading = 0;
        ngx_http_tgbot_broadcast_abandon(&fill->conf->user, fill->id,
                                         &fill->loader);
    }

    if (fill->once) {
        ngx_http_tgbot_idempotency_use_end(fill->once, !fill->sent);
    }
}


static ngx_int_t
ngx_http_tgbot_broadcast_fill_read(void *data)
{
    ngx_http_tgbot_broadcast_fill_t *fill = data;

    ngx_int_t  rc;
    ngx_str_t  slice;

    rc = ngx_http_tgbot_broadcast_fill_slice(fill, &slice);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_broadcast_parse_more(&fill->parse, &slice);

        return (rc == NGX_OK) ? NGX_AGAIN
                              : ngx_http_tgbot_broadcast_fill_bad(fill, rc);
    }

    rc = ngx_http_tgbot_broadcast_parse_end(&fill->parse);

    if (rc != NGX_OK) {
        return ngx_http_tgbot_broadcast_fill_bad(fill, rc);
    }

    fill->step.handler = ngx_http_tgbot_broadcast_fill_load;

    return NGX_AGAIN;
}


/* NGX_DONE: the body has ended */

static ngx_int_t
ngx_http_tgbot_broadcast_fill_slice(ngx_http_tgbot_broadcast_fill_t *fill,
    ngx_str_t *slice)
{
    off_t       left;
    ssize_t     n;
    ngx_buf_t  *b;

    for ( ;; ) {

        if (fill->in == NULL) {
            return NGX_DONE;
        }

        b = fill->in->buf;
        left = ngx_buf_size(b) - fill->pos;

        if (left > 0) {
            break;
        }

        fill->in = fill->in->next;
        fill->pos = 0;
    }

    slice->len = (size_t) ngx_min(left, NGX_HTTP_TGBOT_BROADCAST_FILL_SLICE);

    if (ngx_buf_in_memory(b)) {
        slice->data = b->pos + fill->pos;
        fill->pos += slice->len;

        return NGX_OK;
    }

    if (fill->slice == NULL) {
        fill->slice = ngx_pnalloc(fill->request->pool,
                                  NGX_HTTP_TGBOT_BROADCAST_FILL_SLICE);
        if (fill->slice == NULL) {
            return NGX_ERROR;
        }
    }

    n = ngx_read_file(b->file, fill->slice, slice->len,
                      b->file_pos + fill->pos);

    if (n <= 0) {
        return NGX_ERROR;
    }

    slice->data = fill->slice;
    slice->len = n;
    fill->pos += n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_broadcast_fill_bad(ngx_http_tgbot_broadcast_fill_t *fill,
    ngx_int_t rc)
{
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_tgbot_broadcast_fill_abandon(fill);

    return ngx_http_tgbot_status_text_error(fill->request,
                                   (rc == NGX_BUSY)
                                   ? NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
                                   : NGX_HTTP_BAD_REQUEST,
                                   (char *) fill->parse.error);
}


static ngx_int_t
ngx_http_tgbot_broadcast_fill_load(void *data)
{
    ngx_http_tgbot_broadcast_fill_t *fill = data;

    ngx_int_t                          rc;
    ngx_http_tgbot_broadcast_t        *user;
    ngx_http_tgbot_broadcast_parse_t  *parse;

    user = &fill->conf->user;
    parse = &fill->parse;

    rc = fill->create
         ? ngx_http_tgbot_broadcast_create(user, &parse->method,
                                      &parse->params,
                                      parse->paused
                                      ? NGX_HTTP_TGBOT_BROADCAST_PAUSED
                                      : NGX_HTTP_TGBOT_BROADCAST_GOING,
                                      &fill->loader, &fill->id)
         : ngx_http_tgbot_broadcast_load(user, fill->id, &fill->loader);

    if (rc != NGX_OK) {
        return ngx_http_tgbot_broadcast_fill_failed(fill, rc);
    }

    fill->loading = 1;
    fill->step.handler = ngx_http_tgbot_broadcast_fill_known;

    return NGX_AGAIN;
}


/* the chats that the broadcast has already are not added again */

static ngx_int_t
ngx_http_tgbot_broadcast_fill_known(void *data)
{
    ngx_http_tgbot_broadcast_fill_t *fill = data;

    ngx_int_t                          rc;
    ngx_uint_t                         i, k, n;
    ngx_http_tgbot_broadcast_result_t  known[128];

    rc = NGX_DONE;

    for (k = 0; k < NGX_HTTP_TGBOT_BROADCAST_FILL_WRITES && !fill->create; k++)
    {
        rc = ngx_http_tgbot_broadcast_show_next(&fill->conf->user, fill->id,
                              &fill->cursor,
                              (1 << NGX_HTTP_TGBOT_BROADCAST_CHATS) - 1,
                              known, 128, &n);

        for (i = 0; i < n; i++) {
            ngx_http_tgbot_broadcast_ids_drop(&fill->parse.ids, known[i].chat);
        }

        if (rc != NGX_AGAIN) {
            break;
        }
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_tgbot_broadcast_fill_failed(fill, rc);
    }

    if (rc == NGX_DONE) {
        fill->step.handler = ngx_http_tgbot_broadcast_fill_write;
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_tgbot_broadcast_fill_write(void *data)
{
    ngx_http_tgbot_broadcast_fill_t *fill = data;

    int64_t                          chats[NGX_HTTP_TGBOT_BROADCAST_FILL_WRITE];
    ngx_int_t                        rc;
    ngx_uint_t                       k, n;
    ngx_http_tgbot_broadcast_ids_t  *ids;

    ids = &fill->parse.ids;

    for (k = 0; k < NGX_HTTP_TGBOT_BROADCAST_FILL_WRITES; k++) {

        for (n = 0;
             n < NGX_HTTP_TGBOT_BROADCAST_FILL_WRITE && fill->next < ids->n;
             fill->next++)
        {
            if (ids->ids[fill->next]) {
                chats[n++] = ids->ids[fill->next];
            }
        }

        if (n == 0) {
            return ngx_http_tgbot_broadcast_fill_publish(fill);
        }

        rc = ngx_http_tgbot_broadcast_add(&fill->conf->user, fill->id,
                                          &fill->loader, chats, n);

        if (rc != NGX_OK) {
            return ngx_http_tgbot_broadcast_fill_failed(fill, rc);
        }
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_tgbot_broadcast_fill_publish(ngx_http_tgbot_broadcast_fill_t *fill)
{
    ngx_uint_t                        added;
    ngx_http_request_t               *r;
    ngx_http_tgbot_broadcast_t       *user;
    ngx_http_tgbot_status_text_t      s;
    ngx_http_tgbot_broadcast_info_t   info;

    r = fill->request;
    user = &fill->conf->user;

    if (fill->once && ngx_http_tgbot_idempotency_use_sent(fill->once) != NGX_OK)
    {
        return ngx_http_tgbot_broadcast_fill_failed(fill, NGX_DECLINED);
    }

    if (ngx_http_tgbot_broadcast_publish(user, fill->id, &fill->loader)
        != NGX_OK)
    {
        return ngx_http_tgbot_broadcast_fill_failed(fill, NGX_DECLINED);
    }

    fill->loading = 0;
    fill->sent = 1;

    /* another request may have deleted it since */

    if (ngx_http_tgbot_broadcast_show_get(user, fill->id, &info) != NGX_OK) {
        return ngx_http_tgbot_broadcast_fill_failed(fill, NGX_DECLINED);
    }

    added = fill->parse.ids.n - fill->parse.ids.dropped;

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "tgbot: bot \"%V\": broadcast %uL %s %ui chats",
                  &fill->conf->name, fill->id,
                  fill->create ? "begins with" : "has a further", added);

    ngx_http_tgbot_broadcast_worker_wake();

    ngx_http_tgbot_status_text_init(&s, r);

    ngx_http_tgbot_status_text_open(&s, '{');
    ngx_http_tgbot_status_broadcast(&s, &info);
    ngx_http_tgbot_status_text_member(&s, "added", added);
    ngx_http_tgbot_status_text_member(&s, "duplicates",
                                      fill->parse.ids.duplicates
                                      + fill->parse.ids.dropped);
    ngx_http_tgbot_status_text_close(&s, '}');
    ngx_http_tgbot_status_text_write(&s, "\n", 1);

    if (fill->once) {
        ngx_http_tgbot_broadcast_fill_keep(fill, &s);
    }

    return ngx_http_tgbot_status_text_send(r, &s,
                                           fill->create ? NGX_HTTP_CREATED
                                                        : NGX_HTTP_OK);
}


/* before the program knows of it, and is killed */

static void
ngx_http_tgbot_broadcast_fill_keep(ngx_http_tgbot_broadcast_fill_t *fill,
    ngx_http_tgbot_status_text_t *s)
{
    u_char       *p;
    ngx_str_t     body, encoding;
    ngx_chain_t  *cl;

    body.data = s->failed ? NULL : ngx_pnalloc(s->pool, (size_t) s->size);

    if (body.data) {
        p = body.data;

        for (cl = s->chain; cl; cl = cl->next) {
            p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
        }

        body.len = p - body.data;
    }

    ngx_str_null(&encoding);

    ngx_http_tgbot_idempotency_use_answered(fill->once, NGX_HTTP_CREATED,
                                            &s->type, &encoding,
                                            body.data ? &body : NULL);
}


static ngx_int_t
ngx_http_tgbot_broadcast_fill_failed(ngx_http_tgbot_broadcast_fill_t *fill,
    ngx_int_t rc)
{
    ngx_uint_t           loading;
    ngx_http_request_t  *r;

    r = fill->request;

    /* before the client knows of it, and tries again */

    loading = fill->loading;

    ngx_http_tgbot_broadcast_fill_abandon(fill);

    switch (rc) {

    case NGX_BUSY:
        return ngx_http_tgbot_status_text_error(r,
                                   NGX_HTTP_INSUFFICIENT_STORAGE,
                                   "the zone has no room for it, expected that "
                                   "broadcasts which are done are deleted, or "
                                   "a larger \"zone=\"");

    case NGX_AGAIN:
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_CONFLICT,
                                                "another request adds chats "
                                                "to the broadcast");

    case NGX_ABORT:
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_CONFLICT,
                                                "the broadcast is cancelled");

    default: /* NGX_DECLINED */

        if (loading) {
            return ngx_http_tgbot_status_text_error(r,
                                   NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "the worker hung meanwhile, nothing is "
                                   "added");
        }

        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                                "no such broadcast");
    }
}
