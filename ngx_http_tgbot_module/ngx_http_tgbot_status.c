
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_status.h"


#define NGX_HTTP_TGBOT_STATUS_BUFFER  4096


/* JSON in the making */

typedef struct {
    ngx_pool_t           *pool;
    ngx_chain_t          *chain;
    ngx_chain_t         **last;
    ngx_buf_t            *buf;           /* of the last link */
    off_t                 size;

    unsigned              comma:1;       /* something stands before */
    unsigned              failed:1;      /* no memory */
} ngx_http_tgbot_status_t;


static ngx_int_t ngx_http_tgbot_status_header(ngx_http_request_t *r,
    const char *name, const char *value);
static ngx_int_t ngx_http_tgbot_status_send(ngx_http_request_t *r,
    ngx_http_tgbot_status_t *s);
static void ngx_http_tgbot_status_all(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_main_conf_t *tmcf);
static void ngx_http_tgbot_status_bot(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_bot_t *bot);
static void ngx_http_tgbot_status_metric(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t m);
static void ngx_http_tgbot_status_values(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t m, ngx_uint_t i);
static void ngx_http_tgbot_status_seen(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_seen_t *seen);
static void ngx_http_tgbot_status_zone(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_status_fill(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_status_open(ngx_http_tgbot_status_t *s);
static void ngx_http_tgbot_status_close(ngx_http_tgbot_status_t *s);
static void ngx_http_tgbot_status_key(ngx_http_tgbot_status_t *s,
    const char *name);
static void ngx_http_tgbot_status_name(ngx_http_tgbot_status_t *s,
    ngx_str_t *name);
static void ngx_http_tgbot_status_member(ngx_http_tgbot_status_t *s,
    const char *name, uint64_t value);
static void ngx_http_tgbot_status_number(ngx_http_tgbot_status_t *s,
    uint64_t value);
static void ngx_http_tgbot_status_string(ngx_http_tgbot_status_t *s,
    ngx_str_t *value);
static void ngx_http_tgbot_status_write(ngx_http_tgbot_status_t *s,
    const void *data, size_t len);
static u_char *ngx_http_tgbot_status_room(ngx_http_tgbot_status_t *s,
    size_t len);


ngx_int_t
ngx_http_tgbot_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_tgbot_status_t  s;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if (ngx_http_tgbot_status_header(r, "Allow", "GET, HEAD") != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&s, sizeof(ngx_http_tgbot_status_t));

    s.pool = r->pool;
    s.last = &s.chain;

    ngx_http_tgbot_status_all(&s,
                    ngx_http_get_module_main_conf(r, ngx_http_tgbot_module));

    if (s.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tgbot_status_send(r, &s);
}


static ngx_int_t
ngx_http_tgbot_status_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = ngx_strlen(value);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_status_send(ngx_http_request_t *r, ngx_http_tgbot_status_t *s)
{
    ngx_int_t  rc;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = s->size;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (ngx_http_tgbot_status_header(r, "Cache-Control", "no-store") != NGX_OK
        || ngx_http_tgbot_status_header(r, "X-Content-Type-Options",
                                        "nosniff")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    s->buf->last_buf = (r == r->main);
    s->buf->last_in_chain = 1;

    return ngx_http_output_filter(r, s->chain);
}


static void
ngx_http_tgbot_status_all(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_main_conf_t *tmcf)
{
    time_t                   start, since;
    ngx_str_t                version;
    ngx_uint_t               i;
    ngx_http_tgbot_bot_t   **bots;
    ngx_http_tgbot_zone_t  **zones;

    ngx_str_set(&version, NGX_HTTP_TGBOT_VERSION);

    bots = tmcf->bots.elts;
    zones = tmcf->zones.elts;

    start = ngx_time();

    for (i = 0; i < tmcf->bots.nelts; i++) {
        since = ngx_http_tgbot_stats_start(bots[i]->stats);
        start = ngx_min(start, since);
    }

    ngx_http_tgbot_status_open(s);

    ngx_http_tgbot_status_key(s, "version");
    ngx_http_tgbot_status_string(s, &version);

    ngx_http_tgbot_status_member(s, "now", ngx_time());
    ngx_http_tgbot_status_member(s, "start_time", start);

    ngx_http_tgbot_status_key(s, "bots");
    ngx_http_tgbot_status_open(s);

    for (i = 0; i < tmcf->bots.nelts; i++) {
        ngx_http_tgbot_status_bot(s, bots[i]);
    }

    ngx_http_tgbot_status_close(s);

    ngx_http_tgbot_status_key(s, "zones");
    ngx_http_tgbot_status_open(s);

    for (i = 0; i < tmcf->zones.nelts; i++) {
        ngx_http_tgbot_status_zone(s, zones[i]);
    }

    ngx_http_tgbot_status_close(s);
    ngx_http_tgbot_status_close(s);

    ngx_http_tgbot_status_write(s, "\n", 1);
}


static void
ngx_http_tgbot_status_bot(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_bot_t *bot)
{
    ngx_uint_t  m;

    ngx_http_tgbot_stats_sweep(bot->stats);

    ngx_http_tgbot_status_name(s, &bot->name);
    ngx_http_tgbot_status_open(s);

    ngx_http_tgbot_status_member(s, "start_time",
                                 ngx_http_tgbot_stats_start(bot->stats));

    for (m = 0; m < ngx_http_tgbot_stats_nmetrics; m++) {
        ngx_http_tgbot_status_metric(s, bot->stats, m);
    }

    if (bot->seen) {
        ngx_http_tgbot_status_seen(s, bot->seen);
    }

    ngx_http_tgbot_status_close(s);
}


static void
ngx_http_tgbot_status_metric(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t m)
{
    ngx_str_t                       name;
    ngx_uint_t                      i;
    const ngx_http_tgbot_metric_t  *metric;

    metric = &ngx_http_tgbot_stats_metrics[m];

    ngx_http_tgbot_status_key(s, metric->name);

    if (metric->label[0] == NULL) {
        ngx_http_tgbot_status_number(s, ngx_http_tgbot_stats_value(stats, m,
                                                                   0, 0));
        return;
    }

    ngx_http_tgbot_status_open(s);

    for (i = 0; i < metric->n[0]; i++) {
        name = ngx_http_tgbot_stats_label(stats, m, 0, i);

        if (name.len) {
            ngx_http_tgbot_status_name(s, &name);
            ngx_http_tgbot_status_values(s, stats, m, i);
        }
    }

    ngx_http_tgbot_status_close(s);
}


static void
ngx_http_tgbot_status_values(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_stats_t *stats, ngx_uint_t m, ngx_uint_t i)
{
    ngx_str_t                       name;
    ngx_uint_t                      j;
    const ngx_http_tgbot_metric_t  *metric;

    metric = &ngx_http_tgbot_stats_metrics[m];

    if (metric->label[1] == NULL) {
        ngx_http_tgbot_status_number(s, ngx_http_tgbot_stats_value(stats, m,
                                                                   i, 0));
        return;
    }

    ngx_http_tgbot_status_open(s);

    for (j = 0; j < metric->n[1]; j++) {
        name = ngx_http_tgbot_stats_label(stats, m, 1, j);

        ngx_http_tgbot_status_name(s, &name);
        ngx_http_tgbot_status_number(s, ngx_http_tgbot_stats_value(stats, m,
                                                                   i, j));
    }

    ngx_http_tgbot_status_close(s);
}


static void
ngx_http_tgbot_status_seen(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_seen_t *seen)
{
    ngx_http_tgbot_seen_state_t  state;

    ngx_http_tgbot_seen_state(seen, &state);

    ngx_http_tgbot_status_key(s, "seen");
    ngx_http_tgbot_status_open(s);

    ngx_http_tgbot_status_member(s, "records", state.records);
    ngx_http_tgbot_status_member(s, "leased", state.leased);
    ngx_http_tgbot_status_member(s, "rides", state.rides);
    ngx_http_tgbot_status_member(s, "rides_evicted", state.rides_evicted);

    ngx_http_tgbot_status_key(s, "top");
    ngx_http_tgbot_status_write(s, "[", 1);

    ngx_http_tgbot_status_number(s, state.top[0]);
    ngx_http_tgbot_status_write(s, ",", 1);
    ngx_http_tgbot_status_number(s, state.top[1]);

    ngx_http_tgbot_status_write(s, "]", 1);

    ngx_http_tgbot_status_close(s);
}


static void
ngx_http_tgbot_status_zone(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_str_t  kind;

    kind.data = (u_char *) zone->kind->name;
    kind.len = ngx_strlen(zone->kind->name);

    ngx_http_tgbot_status_name(s, &zone->shm_zone->shm.name);
    ngx_http_tgbot_status_open(s);

    ngx_http_tgbot_status_key(s, "kind");
    ngx_http_tgbot_status_string(s, &kind);

    ngx_http_tgbot_status_member(s, "size", zone->size);

    ngx_http_tgbot_status_fill(s, zone);

    ngx_http_tgbot_status_member(s, "evicted", zone->sh->evicted);
    ngx_http_tgbot_status_member(s, "repaired", zone->sh->repaired);

    ngx_http_tgbot_status_close(s);
}


/* the kinds that fill up */

static void
ngx_http_tgbot_status_fill(ngx_http_tgbot_status_t *s,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                      used, total;
    ngx_http_tgbot_cache_state_t    cache;
    ngx_http_tgbot_bucket_state_t   bucket;

    if (zone->kind == &ngx_http_tgbot_bucket_zone) {
        ngx_http_tgbot_bucket_state(zone, &bucket);

        used = bucket.used;
        total = bucket.total;

    } else if (zone->kind == &ngx_http_tgbot_cache_zone) {
        ngx_http_tgbot_cache_state(zone, &cache);

        ngx_http_tgbot_status_member(s, "entries", cache.entries);

        used = cache.used;
        total = cache.total;

    } else {
        return;
    }

    ngx_http_tgbot_status_member(s, "used", used);
    ngx_http_tgbot_status_member(s, "total", total);
}


static void
ngx_http_tgbot_status_open(ngx_http_tgbot_status_t *s)
{
    ngx_http_tgbot_status_write(s, "{", 1);
    s->comma = 0;
}


static void
ngx_http_tgbot_status_close(ngx_http_tgbot_status_t *s)
{
    ngx_http_tgbot_status_write(s, "}", 1);
    s->comma = 1;
}


static void
ngx_http_tgbot_status_key(ngx_http_tgbot_status_t *s, const char *name)
{
    ngx_str_t  key;

    key.data = (u_char *) name;
    key.len = ngx_strlen(name);

    ngx_http_tgbot_status_name(s, &key);
}


static void
ngx_http_tgbot_status_name(ngx_http_tgbot_status_t *s, ngx_str_t *name)
{
    if (s->comma) {
        ngx_http_tgbot_status_write(s, ",", 1);
    }

    ngx_http_tgbot_status_string(s, name);
    ngx_http_tgbot_status_write(s, ":", 1);
}


static void
ngx_http_tgbot_status_member(ngx_http_tgbot_status_t *s, const char *name,
    uint64_t value)
{
    ngx_http_tgbot_status_key(s, name);
    ngx_http_tgbot_status_number(s, value);
}


static void
ngx_http_tgbot_status_number(ngx_http_tgbot_status_t *s, uint64_t value)
{
    u_char  *p, buf[NGX_INT64_LEN];

    p = ngx_sprintf(buf, "%uL", value);

    ngx_http_tgbot_status_write(s, buf, p - buf);
    s->comma = 1;
}


static void
ngx_http_tgbot_status_string(ngx_http_tgbot_status_t *s, ngx_str_t *value)
{
    u_char     *p;
    size_t      escape;
    ngx_str_t   text;
    ngx_uint_t  i;

    text = *value;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] >= 0x20 && text.data[i] < 0x7f) {
            continue;
        }

        /* names of zones may have any byte */

        text.data = ngx_pstrdup(s->pool, value);

        if (text.data == NULL) {
            s->failed = 1;
            return;
        }

        ngx_http_tgbot_json_clean(&text);
        break;
    }

    escape = ngx_escape_json(NULL, text.data, text.len);

    p = ngx_http_tgbot_status_room(s, text.len + escape + 2);

    if (p == NULL) {
        return;
    }

    *p++ = '"';
    p = (u_char *) ngx_escape_json(p, text.data, text.len);
    *p = '"';

    s->comma = 1;
}


static void
ngx_http_tgbot_status_write(ngx_http_tgbot_status_t *s, const void *data,
    size_t len)
{
    u_char  *p;

    p = ngx_http_tgbot_status_room(s, len);

    if (p) {
        ngx_memcpy(p, data, len);
    }
}


/* where to write "len" bytes, which are part of the answer from now on */

static u_char *
ngx_http_tgbot_status_room(ngx_http_tgbot_status_t *s, size_t len)
{
    u_char       *p;
    size_t        size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (s->failed) {
        return NULL;
    }

    if (s->buf == NULL || (size_t) (s->buf->end - s->buf->last) < len) {

        size = ngx_max(len, NGX_HTTP_TGBOT_STATUS_BUFFER);

        cl = ngx_alloc_chain_link(s->pool);
        b = ngx_create_temp_buf(s->pool, size);

        if (cl == NULL || b == NULL) {
            s->failed = 1;
            return NULL;
        }

        cl->buf = b;
        cl->next = NULL;

        *s->last = cl;
        s->last = &cl->next;
        s->buf = b;
    }

    p = s->buf->last;

    s->buf->last += len;
    s->size += len;

    return p;
}
