
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_queue_verbs.h"
#include "ngx_http_tgbot_redis_state.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_status_broadcast.h"
#include "ngx_http_tgbot_status_dead.h"
#include "ngx_http_tgbot_status_json.h"
#include "ngx_http_tgbot_status_metrics.h"
#include "ngx_http_tgbot_status_page.h"
#include "ngx_http_tgbot_status_prometheus.h"
#include "ngx_http_tgbot_status_text.h"


typedef struct {
    ngx_str_t    path;
    ngx_int_t  (*handler)(ngx_http_request_t *r);
    ngx_uint_t   queues;                    /* whether it shows them */
} ngx_http_tgbot_status_route_t;


/* a request that waits for what Redis says of queues */

typedef struct {
    ngx_http_request_t  *request;
    ngx_int_t          (*handler)(ngx_http_request_t *r);
    ngx_event_t          timer;
    ngx_msec_t           start;
} ngx_http_tgbot_status_wait_t;


/* how long such a request waits at most, and between two looks, ms */
#define NGX_HTTP_TGBOT_STATUS_WAIT    1000
#define NGX_HTTP_TGBOT_STATUS_LOOK    2


#define NGX_HTTP_TGBOT_STATUS_REASON  256


/* the state of a check of all bots, one after another */

typedef struct {
    ngx_http_request_t         *request;
    ngx_http_tgbot_loc_conf_t  *conf;
    ngx_http_tgbot_bot_t       *bot;
    ngx_array_t                *reasons;    /* of ngx_str_t */

    unsigned                    failed:1;   /* no memory */
} ngx_http_tgbot_status_health_t;


static ngx_int_t ngx_http_tgbot_status_wait(ngx_http_request_t *r,
    ngx_int_t (*handler)(ngx_http_request_t *r));
static ngx_uint_t ngx_http_tgbot_status_awaited(ngx_http_request_t *r);
static void ngx_http_tgbot_status_look(ngx_event_t *ev);
static void ngx_http_tgbot_status_leave(void *data);
static ngx_int_t ngx_http_tgbot_status_state(ngx_http_request_t *r);
static ngx_uint_t ngx_http_tgbot_status_format(ngx_http_request_t *r);
static ngx_uint_t ngx_http_tgbot_status_accept(ngx_str_t *value);
static ngx_uint_t ngx_http_tgbot_status_media(u_char *p, u_char *last);
static ngx_int_t ngx_http_tgbot_status_live(ngx_http_request_t *r);
static ngx_int_t ngx_http_tgbot_status_ready(ngx_http_request_t *r);
static void ngx_http_tgbot_status_health_queue(
    ngx_http_tgbot_status_health_t *h);
static void ngx_http_tgbot_status_health_redis(
    ngx_http_tgbot_status_health_t *h);
static void ngx_http_tgbot_status_health_token(
    ngx_http_tgbot_status_health_t *h);
static void ngx_http_tgbot_status_health_webhook(
    ngx_http_tgbot_status_health_t *h);
static void ngx_cdecl ngx_http_tgbot_status_health_reason(
    ngx_http_tgbot_status_health_t *h, const char *fmt, ...);
static ngx_int_t ngx_http_tgbot_status_health_send(ngx_http_request_t *r,
    ngx_array_t *reasons);


/* values of the argument "format" */

static ngx_conf_enum_t  ngx_http_tgbot_status_formats[] = {
    { ngx_string("json"), NGX_HTTP_TGBOT_STATUS_TEXT },
    { ngx_string("prometheus"), NGX_HTTP_TGBOT_STATUS_PROMETHEUS },
    { ngx_string("html"), NGX_HTTP_TGBOT_STATUS_PAGE },
    { ngx_null_string, 0 }
};


/* pages for GET and HEAD, by the path below the location */

static const ngx_http_tgbot_status_route_t  ngx_http_tgbot_status_pages[] = {
    { ngx_string(""), ngx_http_tgbot_status_state, 1 },
    { ngx_string("live"), ngx_http_tgbot_status_live, 0 },
    { ngx_string("ready"), ngx_http_tgbot_status_ready, 1 },
    { ngx_null_string, NULL, 0 }
};


ngx_int_t
ngx_http_tgbot_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                             rc;
    ngx_str_t                             path;
    const ngx_http_tgbot_status_route_t  *page;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_tgbot_status_path(r, &path);

    if (path.len >= sizeof("dead/") - 1
        && ngx_strncmp(path.data, "dead/", sizeof("dead/") - 1) == 0)
    {
        path.data += sizeof("dead/") - 1;
        path.len -= sizeof("dead/") - 1;

        return ngx_http_tgbot_status_dead_handler(r, &path);
    }

    if (path.len >= sizeof("broadcast/") - 1
        && ngx_strncmp(path.data, "broadcast/", sizeof("broadcast/") - 1) == 0)
    {
        path.data += sizeof("broadcast/") - 1;
        path.len -= sizeof("broadcast/") - 1;

        return ngx_http_tgbot_status_broadcast_handler(r, &path);
    }

    for (page = ngx_http_tgbot_status_pages; page->handler; page++) {
        if (page->path.len == path.len
            && ngx_strncmp(page->path.data, path.data, path.len) == 0)
        {
            break;
        }
    }

    if (page->handler == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if (ngx_http_tgbot_header_push(r, "Allow", "GET, HEAD") != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    if (page->queues && ngx_http_tgbot_status_awaited(r)) {
        return ngx_http_tgbot_status_wait(r, page->handler);
    }

    return page->handler(r);
}


/* the page is shown as soon as Redis has told the state of all queues */

static ngx_int_t
ngx_http_tgbot_status_wait(ngx_http_request_t *r,
    ngx_int_t (*handler)(ngx_http_request_t *r))
{
    ngx_http_cleanup_t            *cln;
    ngx_http_tgbot_status_wait_t  *w;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_tgbot_status_wait_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    w = cln->data;
    cln->handler = ngx_http_tgbot_status_leave;

    ngx_memzero(w, sizeof(ngx_http_tgbot_status_wait_t));

    w->request = r;
    w->handler = handler;
    w->start = ngx_current_msec;
    w->timer.handler = ngx_http_tgbot_status_look;
    w->timer.data = w;
    w->timer.log = r->connection->log;

    ngx_add_timer(&w->timer, NGX_HTTP_TGBOT_STATUS_LOOK);

    r->main->count++;

    return NGX_DONE;
}


static ngx_uint_t
ngx_http_tgbot_status_awaited(ngx_http_request_t *r)
{
    ngx_uint_t                     i, awaited;
    ngx_http_tgbot_bot_t         **bots;
    ngx_http_tgbot_main_conf_t    *tmcf;
    ngx_http_tgbot_redis_state_t  *state;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tgbot_module);

    if (tmcf->redis == NULL) {
        return 0;
    }

    awaited = 0;
    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {
        if (bots[i]->lease
            && ngx_http_tgbot_redis_state(bots[i], NGX_HTTP_TGBOT_REDIS_SHOWN,
                                          &state)
               == NGX_AGAIN)
        {
            awaited = 1;
        }
    }

    return awaited;
}


static void
ngx_http_tgbot_status_look(ngx_event_t *ev)
{
    ngx_connection_t              *c;
    ngx_http_request_t            *r;
    ngx_http_tgbot_status_wait_t  *w;

    w = ev->data;
    r = w->request;
    c = r->connection;

    if (ngx_current_msec - w->start < NGX_HTTP_TGBOT_STATUS_WAIT
        && ngx_http_tgbot_status_awaited(r))
    {
        ngx_add_timer(ev, NGX_HTTP_TGBOT_STATUS_LOOK);
        return;
    }

    ngx_http_set_log_request(c->log, r);

    ngx_http_finalize_request(r, w->handler(r));
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_tgbot_status_leave(void *data)
{
    ngx_http_tgbot_status_wait_t *w = data;

    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }
}


static ngx_int_t
ngx_http_tgbot_status_state(ngx_http_request_t *r)
{
    ngx_uint_t                        format;
    ngx_http_tgbot_loc_conf_t        *tlcf;
    ngx_http_tgbot_main_conf_t       *tmcf;
    ngx_http_tgbot_status_text_t      s;
    ngx_http_tgbot_status_snapshot_t  snapshot;

    format = ngx_http_tgbot_status_format(r);

    if (format == NGX_HTTP_TGBOT_STATUS_FORMAT_NONE) {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_BAD_REQUEST,
                                          "expected \"json\", \"prometheus\" "
                                          "or \"html\" as \"format\"");
    }

    if (ngx_http_tgbot_header_push(r, "Vary", "Accept") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (format == NGX_HTTP_TGBOT_STATUS_PAGE) {
        return ngx_http_tgbot_status_page(r);
    }

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);
    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tgbot_module);

    if (ngx_http_tgbot_status_snapshot(&snapshot, tmcf, r->pool) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_tgbot_status_text_init(&s, r);

    if (format == NGX_HTTP_TGBOT_STATUS_PROMETHEUS) {
        ngx_http_tgbot_status_prometheus(&s, &snapshot);

        return ngx_http_tgbot_status_text_send(r, &s, NGX_HTTP_OK);
    }

    ngx_http_tgbot_status_text_open(&s, '{');
    ngx_http_tgbot_status_json(&s, &snapshot, tlcf);

    return ngx_http_tgbot_status_text_done(r, &s, NGX_HTTP_OK);
}


/* by format= of tgbot_status, else by ?format=, else by the header Accept */

static ngx_uint_t
ngx_http_tgbot_status_format(ngx_http_request_t *r)
{
    ngx_str_t                   value;
    ngx_uint_t                  format;
    ngx_table_elt_t            *h;
    ngx_conf_enum_t            *e;
    ngx_http_tgbot_loc_conf_t  *tlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);

    if (tlcf->status->format) {
        return tlcf->status->format;
    }

    if (ngx_http_arg(r, (u_char *) "format", sizeof("format") - 1, &value)
        == NGX_OK)
    {
        for (e = ngx_http_tgbot_status_formats; e->name.len; e++) {
            if (e->name.len == value.len
                && ngx_strncmp(e->name.data, value.data, value.len) == 0)
            {
                return e->value;
            }
        }

        return NGX_HTTP_TGBOT_STATUS_FORMAT_NONE;
    }

    format = NGX_HTTP_TGBOT_STATUS_TEXT;

    h = NULL;

    while ((h = ngx_http_tgbot_header(&r->headers_in.headers, "Accept", h))) {
        format = ngx_max(format, ngx_http_tgbot_status_accept(&h->value));
    }

    return format;
}


/* "text/html" wins: a browser accepts many types, and gets the page */

static ngx_uint_t
ngx_http_tgbot_status_accept(ngx_str_t *value)
{
    u_char      *p, *comma, *last;
    ngx_uint_t   format, media;

    format = NGX_HTTP_TGBOT_STATUS_TEXT;

    p = value->data;
    last = p + value->len;

    while (p < last) {
        comma = ngx_strlchr(p, last, ',');

        if (comma == NULL) {
            comma = last;
        }

        media = ngx_http_tgbot_status_media(p, comma);
        format = ngx_max(format, media);

        p = comma + 1;
    }

    return format;
}


/* one element of the header Accept */

static ngx_uint_t
ngx_http_tgbot_status_media(u_char *p, u_char *last)
{
    size_t   len;
    u_char  *end;

    while (p < last && *p == ' ') {
        p++;
    }

    for (end = p; end < last && *end != ';' && *end != ' '; end++) {
        /* void */
    }

    len = end - p;

    if (len == sizeof("text/html") - 1
        && ngx_strncasecmp(p, (u_char *) "text/html", len) == 0)
    {
        return NGX_HTTP_TGBOT_STATUS_PAGE;
    }

    if (len == sizeof("application/openmetrics-text") - 1
        && ngx_strncasecmp(p, (u_char *) "application/openmetrics-text", len)
           == 0)
    {
        return NGX_HTTP_TGBOT_STATUS_PROMETHEUS;
    }

    /* many clients accept text/plain, only Prometheus adds this version */

    if (len == sizeof("text/plain") - 1
        && ngx_strncasecmp(p, (u_char *) "text/plain", len) == 0
        && ngx_strlcasestrn(end, last, (u_char *) "version=0.0.4",
                            sizeof("version=0.0.4") - 2))
    {
        return NGX_HTTP_TGBOT_STATUS_PROMETHEUS;
    }

    return NGX_HTTP_TGBOT_STATUS_TEXT;
}


void
ngx_http_tgbot_status_path(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_str_set(path, "");

    /* "if" and "limit_except" blocks inherit the name of their location */

    if (clcf->exact_match || clcf->named
        || r->uri.len <= clcf->name.len
        || ngx_strncmp(r->uri.data, clcf->name.data, clcf->name.len) != 0)
    {
        return;
    }

    path->data = r->uri.data + clcf->name.len;
    path->len = r->uri.len - clcf->name.len;

    if (path->data[0] == '/') {
        path->data++;
        path->len--;

    } else if (clcf->name.len && path->data[-1] != '/') {

        /* the location is "/a", the URI is "/ab": matches no page */

        *path = r->uri;
    }
}


/* each check adds reasons why the bot h->bot is not ready */

static void (*const  ngx_http_tgbot_status_health_checks[])(
    ngx_http_tgbot_status_health_t *h) =
{
    ngx_http_tgbot_status_health_queue,
    ngx_http_tgbot_status_health_redis,
    ngx_http_tgbot_status_health_token,
    ngx_http_tgbot_status_health_webhook,
    NULL
};


/* always 200: the worker is able to answer */

static ngx_int_t
ngx_http_tgbot_status_live(ngx_http_request_t *r)
{
    return ngx_http_tgbot_status_health_send(r, NULL);
}


/* 200, or 503 with reasons if some bot cannot handle its updates */

static ngx_int_t
ngx_http_tgbot_status_ready(ngx_http_request_t *r)
{
    ngx_uint_t                        b, i;
    ngx_http_tgbot_bot_t            **bots;
    ngx_http_tgbot_main_conf_t       *tmcf;
    ngx_http_tgbot_status_health_t    h;

    ngx_memzero(&h, sizeof(ngx_http_tgbot_status_health_t));

    h.request = r;
    h.conf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);

    h.reasons = ngx_array_create(r->pool, 4, sizeof(ngx_str_t));
    if (h.reasons == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tgbot_module);

    bots = tmcf->bots.elts;

    for (b = 0; b < tmcf->bots.nelts; b++) {
        h.bot = bots[b];

        for (i = 0; ngx_http_tgbot_status_health_checks[i]; i++) {
            ngx_http_tgbot_status_health_checks[i](&h);
        }
    }

    if (h.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tgbot_status_health_send(r, h.reasons);
}


static void
ngx_http_tgbot_status_health_queue(ngx_http_tgbot_status_health_t *h)
{
    ngx_http_tgbot_queue_state_t  state;

    if (h->bot->queue == NULL) {
        return;
    }

    (void) h->bot->queue->state(h->bot, &state);

    if (state.full) {
        ngx_http_tgbot_status_health_reason(h, "the queue is full");
    }

    if (state.oldest > h->conf->status->ready_age) {
        ngx_http_tgbot_status_health_reason(h,
                             "the oldest update in the queue was received "
                             "%M s ago, expected at most %M s",
                             state.oldest / 1000,
                             h->conf->status->ready_age / 1000);
    }
}


/*
 * Whether updates can be accepted: limits, the cache and dead letters do
 * without Redis.  What was told while this request waited counts, even if it
 * is being asked again.
 */

static void
ngx_http_tgbot_status_health_redis(ngx_http_tgbot_status_health_t *h)
{
    ngx_uint_t                     queue;
    ngx_http_tgbot_loc_conf_t     *conf;
    ngx_http_tgbot_redis_state_t  *told;

    conf = h->bot->conf;
    queue = (conf->queue && conf->queue->redis);

    if (!queue && !(conf->dedup && conf->dedup->redis)) {
        return;
    }

    if (ngx_http_tgbot_redis_state(h->bot, NGX_HTTP_TGBOT_REDIS_SHOWN, &told)
        == NGX_OK
        || (told && ngx_current_msec - told->told
                    <= NGX_HTTP_TGBOT_STATUS_WAIT))
    {
        return;
    }

    ngx_http_tgbot_status_health_reason(h, "Redis, which has its %s, does not "
                                        "answer", queue ? "queue"
                                                        : "update_ids");
}


/* the gauge is shared: a 401 seen by any worker counts */

static void
ngx_http_tgbot_status_health_token(ngx_http_tgbot_status_health_t *h)
{
    ngx_http_tgbot_stats_t  *stats;

    stats = h->bot->stats;

    ngx_http_tgbot_stats_sweep(stats);

    if (ngx_http_tgbot_stats_gauge(stats, NGX_HTTP_TGBOT_GAUGE_UNAUTHORIZED)) {
        ngx_http_tgbot_status_health_reason(h,
                                            "the Bot API refuses its token");
    }
}


/* only a known wrong URL counts, not a failed check of the webhook */

static void
ngx_http_tgbot_status_health_webhook(ngx_http_tgbot_status_health_t *h)
{
    ngx_http_tgbot_registration_t  *known;

    if (h->bot->reg == NULL) {
        return;
    }

    known = ngx_palloc(h->request->pool,
                       sizeof(ngx_http_tgbot_registration_t));
    if (known == NULL) {
        h->failed = 1;
        return;
    }

    if (ngx_http_tgbot_registry_get(h->bot->registry, known) == NGX_OK
        && known->checked && !known->url_ok)
    {
        ngx_http_tgbot_status_health_reason(h,
                                   "Telegram has another URL as its webhook");
    }
}


static void ngx_cdecl
ngx_http_tgbot_status_health_reason(ngx_http_tgbot_status_health_t *h,
    const char *fmt, ...)
{
    u_char     *p, *last;
    va_list     args;
    ngx_str_t  *reason;

    p = ngx_pnalloc(h->request->pool, NGX_HTTP_TGBOT_STATUS_REASON);
    reason = ngx_array_push(h->reasons);

    if (p == NULL || reason == NULL) {
        h->failed = 1;
        return;
    }

    reason->data = p;
    last = p + NGX_HTTP_TGBOT_STATUS_REASON;

    p = ngx_slprintf(p, last, "bot \"%V\": ", &h->bot->name);

    va_start(args, fmt);
    p = ngx_vslprintf(p, last, fmt, args);
    va_end(args);

    reason->len = p - reason->data;
}


static ngx_int_t
ngx_http_tgbot_status_health_send(ngx_http_request_t *r, ngx_array_t *reasons)
{
    ngx_str_t                    *reason;
    ngx_str_t                     status;
    ngx_uint_t                    i, n;
    ngx_http_tgbot_status_text_t  s;

    n = reasons ? reasons->nelts : 0;
    reason = reasons ? reasons->elts : NULL;

    if (n) {
        ngx_str_set(&status, "fail");

    } else {
        ngx_str_set(&status, "ok");
    }

    ngx_http_tgbot_status_text_init(&s, r);
    ngx_http_tgbot_status_text_open(&s, '{');

    ngx_http_tgbot_status_text_text(&s, "status", &status);

    ngx_http_tgbot_status_text_key(&s, "reasons");
    ngx_http_tgbot_status_text_open(&s, '[');

    for (i = 0; i < n; i++) {
        ngx_http_tgbot_status_text_string(&s, &reason[i]);
    }

    ngx_http_tgbot_status_text_close(&s, ']');

    return ngx_http_tgbot_status_text_done(r, &s,
                                           n ? NGX_HTTP_SERVICE_UNAVAILABLE
                                             : NGX_HTTP_OK);
}
