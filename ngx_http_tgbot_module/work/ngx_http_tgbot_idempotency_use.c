
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bell.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_idempotency_use.h"


/*
 * ms after which calls look again whether the one they wait for has ended: the
 * bell does not reach workers of another configuration, and does not ring for
 * a worker that died
 */
#define NGX_HTTP_TGBOT_IDEMPOTENCY_USE_LOOK   1000

/* bytes of a file that are read at a time, and how often before other events */
#define NGX_HTTP_TGBOT_IDEMPOTENCY_USE_READ   65536
#define NGX_HTTP_TGBOT_IDEMPOTENCY_USE_SLICE  4


/* what stands before the strings of an answer in the zone */

typedef struct {
    uint32_t                       status;
    uint32_t                       type;      /* lengths */
    uint32_t                       encoding;
} ngx_http_tgbot_idempotency_use_head_t;


typedef struct {
    ngx_uint_t                     status;
    const char                    *text;
    ngx_uint_t                     result;    /* for metrics */
} ngx_http_tgbot_idempotency_use_error_t;


static void ngx_http_tgbot_idempotency_use_rung(void);
static void ngx_http_tgbot_idempotency_use_wake(
    ngx_http_tgbot_idempotency_slots_t *waiting);
static ngx_int_t ngx_http_tgbot_idempotency_use_key(
    ngx_http_tgbot_idempotency_use_t *use);
static ngx_int_t ngx_http_tgbot_idempotency_use_go_on(
    ngx_http_tgbot_idempotency_use_t *use);
static ngx_int_t ngx_http_tgbot_idempotency_use_read(
    ngx_http_tgbot_idempotency_use_t *use);
static ngx_int_t ngx_http_tgbot_idempotency_use_slice(
    ngx_http_tgbot_idempotency_use_t *use, ngx_buf_t *b);
static ngx_int_t ngx_http_tgbot_idempotency_use_claim(
    ngx_http_tgbot_idempotency_use_t *use);
static ngx_int_t ngx_http_tgbot_idempotency_use_kept(
    ngx_http_tgbot_idempotency_use_t *use, ngx_str_t *kept);
static ngx_int_t ngx_http_tgbot_idempotency_use_refuse(
    ngx_http_tgbot_idempotency_use_t *use, ngx_uint_t why);
static void ngx_http_tgbot_idempotency_use_look(ngx_event_t *ev);
static void ngx_http_tgbot_idempotency_use_expire(ngx_event_t *ev);
static void ngx_http_tgbot_idempotency_use_stop(
    ngx_http_tgbot_idempotency_use_t *use);
static void ngx_http_tgbot_idempotency_use_settle(
    ngx_http_tgbot_idempotency_use_t *use,
    ngx_http_tgbot_idempotency_end_e end, ngx_str_t *answer);
static u_char *ngx_http_tgbot_idempotency_use_copy(u_char *p,
    ngx_str_t *text);


/* by ngx_http_tgbot_idempotency_e, from OTHER on, and what they do not name */

#define NGX_HTTP_TGBOT_IDEMPOTENCY_USE_BAD     0
#define NGX_HTTP_TGBOT_IDEMPOTENCY_USE_FAILED  1

static const ngx_http_tgbot_idempotency_use_error_t
    ngx_http_tgbot_idempotency_use_errors[] =
{
    { NGX_HTTP_BAD_REQUEST,
      "Idempotency-Key has to be one header with 1 to 255 "
      "visible characters of ASCII",
      NGX_HTTP_TGBOT_IDEMPOTENCY_REFUSED },

    { NGX_HTTP_INTERNAL_SERVER_ERROR,
      "the call could not be read, it was not sent",
      NGX_HTTP_TGBOT_IDEMPOTENCY_REFUSED },

    { NGX_HTTP_CONFLICT,
      "a call with this Idempotency-Key is in flight, try again "
      "later",
      NGX_HTTP_TGBOT_IDEMPOTENCY_CONFLICT },

    { 422,
      "this Idempotency-Key was used for another call",
      NGX_HTTP_TGBOT_IDEMPOTENCY_REFUSED },

    { NGX_HTTP_CONFLICT,
      "the outcome of the call with this Idempotency-Key is "
      "unknown, it is not sent again",
      NGX_HTTP_TGBOT_IDEMPOTENCY_CONFLICT },

    { NGX_HTTP_CONFLICT,
      "the call with this Idempotency-Key was answered, its answer "
      "could not be kept",
      NGX_HTTP_TGBOT_IDEMPOTENCY_CONFLICT },

    { NGX_HTTP_INSUFFICIENT_STORAGE,
      "there is no room for another Idempotency-Key, "
      "the call was not sent",
      NGX_HTTP_TGBOT_IDEMPOTENCY_REFUSED }
};


static ngx_http_tgbot_waits_t  ngx_http_tgbot_idempotency_use_waits;


void
ngx_http_tgbot_idempotency_use_init_process(ngx_array_t *zones, ngx_log_t *log)
{
    ngx_uint_t                           i;
    ngx_http_tgbot_zone_t              **zone;
    ngx_http_tgbot_idempotency_slots_t   waiting;

    ngx_http_tgbot_waits_init(&ngx_http_tgbot_idempotency_use_waits,
                              NGX_HTTP_TGBOT_IDEMPOTENCY_USE_LOOK, log);

    ngx_http_tgbot_bell_listen(NGX_HTTP_TGBOT_BELL_IDEMPOTENCY,
                               ngx_http_tgbot_idempotency_use_rung);

    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {

        if (zone[i]->kind == &ngx_http_tgbot_idempotency_zone) {
            ngx_http_tgbot_idempotency_reap(zone[i], &waiting);
            ngx_http_tgbot_idempotency_use_wake(&waiting);
        }
    }
}


static void
ngx_http_tgbot_idempotency_use_rung(void)
{
    ngx_http_tgbot_waits_resume(&ngx_http_tgbot_idempotency_use_waits, NULL,
                                NULL);
}


/* calls of this worker are woken by those who know the key */

static void
ngx_http_tgbot_idempotency_use_wake(
    ngx_http_tgbot_idempotency_slots_t *waiting)
{
    ngx_uint_t  i, slot;

    for (i = 0; i < NGX_MAX_PROCESSES / 32; i++) {

        for (slot = i * 32; waiting->bits[i]; slot++) {

            if ((waiting->bits[i] & 1)
                && slot != ngx_http_tgbot_lease_slot())
            {
                ngx_http_tgbot_bell_ring_slot(slot,
                                              NGX_HTTP_TGBOT_BELL_IDEMPOTENCY);
            }

            waiting->bits[i] >>= 1;
        }
    }
}


ngx_int_t
ngx_http_tgbot_idempotency_use_start(ngx_http_tgbot_idempotency_use_t *use,
    ngx_http_tgbot_zone_user_t *user)
{
    ngx_int_t            rc;
    ngx_str_t            type;
    ngx_http_request_t  *r;

    r = use->request;
    use->call.user = user;

    rc = ngx_http_tgbot_idempotency_use_key(use);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_str_null(&type);

    if (r->headers_in.content_type) {
        type = r->headers_in.content_type->value;
    }

    ngx_http_tgbot_print_init(&use->print, &use->method, &r->args, &type);

    use->active = 1;
    use->body = r->request_body ? r->request_body->bufs : NULL;

    use->wait.event.handler = ngx_http_tgbot_idempotency_use_look;
    use->wait.event.data = use;
    use->wait.event.log = r->connection->log;
    use->wait.zone = user->zone;
    use->wait.key = use->call.key;

    use->timer.handler = ngx_http_tgbot_idempotency_use_expire;
    use->timer.data = use;
    use->timer.log = r->connection->log;

    return ngx_http_tgbot_idempotency_use_go_on(use);
}


/* NGX_DECLINED: there is none */

static ngx_int_t
ngx_http_tgbot_idempotency_use_key(ngx_http_tgbot_idempotency_use_t *use)
{
    size_t            i;
    ngx_md5_t         md5;
    ngx_str_t        *key;
    ngx_list_t       *headers;
    ngx_table_elt_t  *h;

    headers = &use->request->headers_in.headers;

    h = ngx_http_tgbot_header(headers, "Idempotency-Key", NULL);
    if (h == NULL) {
        return NGX_DECLINED;
    }

    key = &h->value;

    if (key->len == 0
        || key->len > NGX_HTTP_TGBOT_IDEMPOTENCY_USE_KEY
        || ngx_http_tgbot_header(headers, "Idempotency-Key", h))
    {
        return ngx_http_tgbot_idempotency_use_refuse(use,
                                           NGX_HTTP_TGBOT_IDEMPOTENCY_USE_BAD);
    }

    for (i = 0; i < key->len; i++) {

        if (key->data[i] <= ' ' || key->data[i] > '~') {
            return ngx_http_tgbot_idempotency_use_refuse(use,
                                           NGX_HTTP_TGBOT_IDEMPOTENCY_USE_BAD);
        }
    }

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, key->data, key->len);
    ngx_md5_final(use->call.key, &md5);

    return NGX_OK;
}


/* the return codes are those of start() */

static ngx_int_t
ngx_http_tgbot_idempotency_use_go_on(ngx_http_tgbot_idempotency_use_t *use)
{
    ngx_int_t  rc;

    if (!use->printed) {
        rc = ngx_http_tgbot_idempotency_use_read(use);

        if (rc == NGX_AGAIN) {
            ngx_post_event(&use->wait.event, &ngx_posted_next_events);

            /* a worker that is to end waits for timers, not for events */

            if (!use->timer.timer_set) {
                ngx_add_timer(&use->timer, use->limit);
            }

            return rc;
        }

        if (rc != NGX_OK) {
            return ngx_http_tgbot_idempotency_use_refuse(use,
                                        NGX_HTTP_TGBOT_IDEMPOTENCY_USE_FAILED);
        }

        ngx_http_tgbot_print_end(&use->print, use->call.print);
        use->printed = 1;
    }

    return ngx_http_tgbot_idempotency_use_claim(use);
}


/* NGX_AGAIN: there is more, other events come first */

static ngx_int_t
ngx_http_tgbot_idempotency_use_read(ngx_http_tgbot_idempotency_use_t *use)
{
    ngx_int_t   rc;
    ngx_buf_t  *b;
    ngx_uint_t  n;

    n = 0;

    while (use->body) {
        b = use->body->buf;

        if (!b->in_file || ngx_buf_in_memory(b)) {
            ngx_http_tgbot_print_add(&use->print, b->pos, b->last - b->pos);

        } else if (use->offset < b->file_last - b->file_pos) {

            if (n++ == NGX_HTTP_TGBOT_IDEMPOTENCY_USE_SLICE) {
                return NGX_AGAIN;
            }

            rc = ngx_http_tgbot_idempotency_use_slice(use, b);

            if (rc != NGX_OK) {
                return rc;
            }

            continue;
        }

        use->body = use->body->next;
        use->offset = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_idempotency_use_slice(ngx_http_tgbot_idempotency_use_t *use,
    ngx_buf_t *b)
{
    off_t    left;
    ssize_t  n;

    static u_char  buf[NGX_HTTP_TGBOT_IDEMPOTENCY_USE_READ];

    left = b->file_last - b->file_pos - use->offset;

    n = ngx_read_file(b->file, buf, (size_t) ngx_min(left, (off_t) sizeof(buf)),
                      b->file_pos + use->offset);
    if (n <= 0) {
        return NGX_ERROR;
    }

    use->offset += n;

    ngx_http_tgbot_print_add(&use->print, buf, (size_t) n);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_idempotency_use_claim(ngx_http_tgbot_idempotency_use_t *use)
{
    ngx_str_t                     kept;
    ngx_http_tgbot_idempotency_e  rc;

    rc = ngx_http_tgbot_idempotency_claim(&use->call, &kept);

    ngx_http_tgbot_idempotency_use_wake(&use->call.waiting);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, use->wait.event.log, 0,
                   "tgbot bot \"%V\": an Idempotency-Key is looked up, %ui",
                   &use->bot->name, (ngx_uint_t) rc);

    switch (rc) {

    case NGX_HTTP_TGBOT_IDEMPOTENCY_MINE:
        ngx_http_tgbot_stats_idempotency(use->bot->stats,
                                         NGX_HTTP_TGBOT_IDEMPOTENCY_STARTED);
        return NGX_OK;

    case NGX_HTTP_TGBOT_IDEMPOTENCY_KEPT:
        return ngx_http_tgbot_idempotency_use_kept(use, &kept);

    case NGX_HTTP_TGBOT_IDEMPOTENCY_BUSY:
        break;

    default:
        return ngx_http_tgbot_idempotency_use_refuse(use, rc);
    }

    if (!use->waited) {
        use->waited = 1;

        ngx_add_timer(&use->timer, use->limit);

        ngx_http_tgbot_stats_idempotency(use->bot->stats,
                                         NGX_HTTP_TGBOT_IDEMPOTENCY_WAITED);
    }

    ngx_http_tgbot_wait(&ngx_http_tgbot_idempotency_use_waits, &use->wait);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_tgbot_idempotency_use_kept(ngx_http_tgbot_idempotency_use_t *use,
    ngx_str_t *kept)
{
    u_char                                 *p;
    ngx_http_tgbot_idempotency_answer_t    *answer;
    ngx_http_tgbot_idempotency_use_head_t   head;

    answer = &use->answer;

    ngx_memcpy(&head, kept->data, sizeof(head));

    p = ngx_pnalloc(use->request->pool, kept->len);
    if (p == NULL) {
        return ngx_http_tgbot_idempotency_use_refuse(use,
                                        NGX_HTTP_TGBOT_IDEMPOTENCY_USE_FAILED);
    }

    ngx_memcpy(p, kept->data, kept->len);

    answer->status = head.status;
    answer->type.data = p + sizeof(head);
    answer->type.len = head.type;
    answer->encoding.data = answer->type.data + head.type;
    answer->encoding.len = head.encoding;
    answer->body.data = answer->encoding.data + head.encoding;
    answer->body.len = p + kept->len - answer->body.data;

    ngx_http_tgbot_stats_idempotency(use->bot->stats,
                                     NGX_HTTP_TGBOT_IDEMPOTENCY_REPEATED);
    return NGX_DONE;
}


static ngx_int_t
ngx_http_tgbot_idempotency_use_refuse(ngx_http_tgbot_idempotency_use_t *use,
    ngx_uint_t why)
{
    const ngx_http_tgbot_idempotency_use_error_t  *error;

    error = &ngx_http_tgbot_idempotency_use_errors[why];

    use->status = error->status;
    use->error = error->text;

    ngx_http_tgbot_stats_idempotency(use->bot->stats, error->result);

    return NGX_DONE;
}


/* goes on after a slice of the body, or looks the key up again */

static void
ngx_http_tgbot_idempotency_use_look(ngx_event_t *ev)
{
    ngx_int_t                          rc;
    ngx_http_tgbot_idempotency_use_t  *use;

    use = ev->data;

    rc = ngx_http_tgbot_idempotency_use_go_on(use);

    if (rc != NGX_AGAIN) {
        ngx_http_tgbot_idempotency_use_stop(use);

        use->ready(use, rc);
    }
}


static void
ngx_http_tgbot_idempotency_use_expire(ngx_event_t *ev)
{
    ngx_http_tgbot_idempotency_use_t  *use;

    use = ev->data;

    ngx_http_tgbot_idempotency_use_stop(use);

    use->ready(use, ngx_http_tgbot_idempotency_use_refuse(use,
                                      use->printed
                                      ? NGX_HTTP_TGBOT_IDEMPOTENCY_BUSY
                                      : NGX_HTTP_TGBOT_IDEMPOTENCY_USE_FAILED));
}


static void
ngx_http_tgbot_idempotency_use_stop(ngx_http_tgbot_idempotency_use_t *use)
{
    ngx_http_tgbot_wait_leave(&use->wait);

    if (use->timer.timer_set) {
        ngx_del_timer(&use->timer);
    }
}


ngx_int_t
ngx_http_tgbot_idempotency_use_sent(ngx_http_tgbot_idempotency_use_t *use)
{
    if (ngx_http_tgbot_idempotency_sent(&use->call) == NGX_OK) {
        return NGX_OK;
    }

    (void) ngx_http_tgbot_idempotency_use_refuse(use,
                                              NGX_HTTP_TGBOT_IDEMPOTENCY_BUSY);
    return NGX_ERROR;
}


void
ngx_http_tgbot_idempotency_use_answered(ngx_http_tgbot_idempotency_use_t *use,
    ngx_uint_t status, ngx_str_t *type, ngx_str_t *encoding, ngx_str_t *body)
{
    size_t                                  len;
    u_char                                 *p;
    ngx_str_t                               answer;
    ngx_http_tgbot_idempotency_use_head_t   head;

    static u_char  buf[NGX_HTTP_TGBOT_IDEMPOTENCY_SIZE];

    if (status == NGX_HTTP_UNAUTHORIZED
        || status == NGX_HTTP_TOO_MANY_REQUESTS
        || status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        /* not kept; an attempt before may have been executed: use_end() */

        return;
    }

    len = sizeof(head) + type->len + encoding->len;

    answer.data = buf;
    answer.len = NGX_HTTP_TGBOT_IDEMPOTENCY_SIZE + 1;    /* too large */

    if (body
        && body->len <= NGX_HTTP_TGBOT_IDEMPOTENCY_USE_BODY
        && len + body->len <= NGX_HTTP_TGBOT_IDEMPOTENCY_SIZE)
    {
        head.status = (uint32_t) status;
        head.type = (uint32_t) type->len;
        head.encoding = (uint32_t) encoding->len;

        p = ngx_cpymem(buf, &head, sizeof(head));
        p = ngx_http_tgbot_idempotency_use_copy(p, type);
        p = ngx_http_tgbot_idempotency_use_copy(p, encoding);
        p = ngx_http_tgbot_idempotency_use_copy(p, body);

        answer.len = p - buf;
    }

    ngx_http_tgbot_idempotency_use_settle(use,
                                 NGX_HTTP_TGBOT_IDEMPOTENCY_ANSWERED, &answer);
}


static u_char *
ngx_http_tgbot_idempotency_use_copy(u_char *p, ngx_str_t *text)
{
    return text->len ? ngx_cpymem(p, text->data, text->len) : p;
}


void
ngx_http_tgbot_idempotency_use_end(ngx_http_tgbot_idempotency_use_t *use,
    ngx_uint_t unsent)
{
    if (!use->active) {
        return;
    }

    use->active = 0;

    ngx_http_tgbot_idempotency_use_stop(use);

    ngx_http_tgbot_idempotency_use_settle(use, unsent
                                      ? NGX_HTTP_TGBOT_IDEMPOTENCY_NO_EFFECT
                                      : NGX_HTTP_TGBOT_IDEMPOTENCY_LEFT, NULL);
}


static void
ngx_http_tgbot_idempotency_use_settle(ngx_http_tgbot_idempotency_use_t *use,
    ngx_http_tgbot_idempotency_end_e end, ngx_str_t *answer)
{
    if (use->call.lease.token == 0) {
        return;
    }

    ngx_http_tgbot_idempotency_settle(&use->call, end, answer);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, use->wait.event.log, 0,
                   "tgbot bot \"%V\": a call with an Idempotency-Key ends, %ui",
                   &use->bot->name, (ngx_uint_t) end);

    ngx_http_tgbot_waits_resume(&ngx_http_tgbot_idempotency_use_waits,
                                use->wait.zone, use->call.key);

    ngx_http_tgbot_idempotency_use_wake(&use->call.waiting);
}
