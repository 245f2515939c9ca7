
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_status_health.h"
#include "ngx_http_tgbot_status_json.h"


#define NGX_HTTP_TGBOT_STATUS_REASON  256


/* the bots are asked one after another */

typedef struct {
    ngx_http_request_t         *request;
    ngx_http_tgbot_loc_conf_t  *conf;
    ngx_http_tgbot_bot_t       *bot;
    ngx_array_t                *reasons;    /* of ngx_str_t */

    unsigned                    failed:1;   /* no memory */
} ngx_http_tgbot_status_health_t;


static void ngx_http_tgbot_status_health_queue(
    ngx_http_tgbot_status_health_t *h);
static void ngx_http_tgbot_status_health_token(
    ngx_http_tgbot_status_health_t *h);
static void ngx_http_tgbot_status_health_webhook(
    ngx_http_tgbot_status_health_t *h);
static void ngx_cdecl ngx_http_tgbot_status_health_reason(
    ngx_http_tgbot_status_health_t *h, const char *fmt, ...);
static ngx_int_t ngx_http_tgbot_status_health_send(ngx_http_request_t *r,
    ngx_array_t *reasons);


/* each of them adds the reasons that it finds in a bot */

static void (*const  ngx_http_tgbot_status_health_checks[])(
    ngx_http_tgbot_status_health_t *h) =
{
    ngx_http_tgbot_status_health_queue,
    ngx_http_tgbot_status_health_token,
    ngx_http_tgbot_status_health_webhook,
    NULL
};


ngx_int_t
ngx_http_tgbot_status_live(ngx_http_request_t *r)
{
    return ngx_http_tgbot_status_health_send(r, NULL);
}


ngx_int_t
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

    ngx_http_tgbot_queue_state(h->bot->queue, &state);

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


/* of what any worker has learned */

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


/* a Bot API that does not answer says nothing of the webhook */

static void
ngx_http_tgbot_status_health_webhook(ngx_http_tgbot_status_health_t *h)
{
    ngx_http_tgbot_registration_t  *known;

    if (h->bot->hook == NULL) {
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
    ngx_str_t                     *reason;
    ngx_str_t                      status;
    ngx_uint_t                     i, n;
    ngx_http_tgbot_status_json_t   s;

    n = reasons ? reasons->nelts : 0;
    reason = reasons ? reasons->elts : NULL;

    if (n) {
        ngx_str_set(&status, "fail");

    } else {
        ngx_str_set(&status, "ok");
    }

    ngx_http_tgbot_status_json_init(&s, r);
    ngx_http_tgbot_status_json_open(&s, '{');

    ngx_http_tgbot_status_json_text(&s, "status", &status);

    ngx_http_tgbot_status_json_key(&s, "reasons");
    ngx_http_tgbot_status_json_open(&s, '[');

    for (i = 0; i < n; i++) {
        ngx_http_tgbot_status_json_string(&s, &reason[i]);
    }

    ngx_http_tgbot_status_json_close(&s, ']');

    return ngx_http_tgbot_status_json_done(r, &s,
                                           n ? NGX_HTTP_SERVICE_UNAVAILABLE
                                             : NGX_HTTP_OK);
}
