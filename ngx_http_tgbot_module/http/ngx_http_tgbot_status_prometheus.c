
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_status_metrics.h"
#include "ngx_http_tgbot_status_prometheus.h"
#include "ngx_http_tgbot_status_text.h"


#define NGX_HTTP_TGBOT_STATUS_PREFIX  "nginx_tgbot_"


/* a metric of one bot, of one zone, or of the module */

typedef struct {
    ngx_http_tgbot_status_text_t   *s;
    const ngx_http_tgbot_metric_t  *metric;

    void                           *of;
    const char                     *label;    /* NULL: metric of the module */
    ngx_str_t                      *owner;
} ngx_http_tgbot_status_prometheus_t;


static void ngx_http_tgbot_status_prometheus_family(
    ngx_http_tgbot_status_prometheus_t *p,
    ngx_http_tgbot_status_snapshot_t *snapshot);
static void ngx_http_tgbot_status_prometheus_samples(
    ngx_http_tgbot_status_prometheus_t *p);
static ngx_uint_t ngx_http_tgbot_status_prometheus_absent(
    ngx_http_tgbot_status_prometheus_t *p, ngx_uint_t i);
static void ngx_http_tgbot_status_prometheus_histogram(
    ngx_http_tgbot_status_prometheus_t *p);
static void ngx_http_tgbot_status_prometheus_series(
    ngx_http_tgbot_status_prometheus_t *p, const char *suffix,
    ngx_str_t *one, ngx_str_t *two);
static void ngx_http_tgbot_status_prometheus_label(
    ngx_http_tgbot_status_prometheus_t *p, ngx_uint_t *n, const char *label,
    ngx_str_t *value);
static void ngx_http_tgbot_status_prometheus_value(
    ngx_http_tgbot_status_prometheus_t *p, uint64_t value);
static void ngx_http_tgbot_status_prometheus_text(
    ngx_http_tgbot_status_prometheus_t *p, const char *text);


/* indexed by ngx_http_tgbot_metric_type_e */

static const char  *ngx_http_tgbot_status_prometheus_types[] = {
    "counter", "counter", "gauge", "histogram"
};


void
ngx_http_tgbot_status_prometheus(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_snapshot_t *snapshot)
{
    ngx_http_tgbot_status_prometheus_t  p;

    ngx_str_set(&s->type, "text/plain; version=0.0.4; charset=utf-8");

    ngx_memzero(&p, sizeof(ngx_http_tgbot_status_prometheus_t));

    p.s = s;

    for (p.metric = ngx_http_tgbot_metrics; p.metric->name; p.metric++) {
        ngx_http_tgbot_status_prometheus_family(&p, snapshot);
    }
}


static void
ngx_http_tgbot_status_prometheus_family(ngx_http_tgbot_status_prometheus_t *p,
    ngx_http_tgbot_status_snapshot_t *snapshot)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_status_bot_t  *bot;

    ngx_http_tgbot_status_prometheus_text(p, "# HELP "
                                             NGX_HTTP_TGBOT_STATUS_PREFIX);
    ngx_http_tgbot_status_prometheus_text(p, p->metric->name);
    ngx_http_tgbot_status_prometheus_text(p, " ");
    ngx_http_tgbot_status_prometheus_text(p, p->metric->help);
    ngx_http_tgbot_status_prometheus_text(p, "\n# TYPE "
                                             NGX_HTTP_TGBOT_STATUS_PREFIX);
    ngx_http_tgbot_status_prometheus_text(p, p->metric->name);
    ngx_http_tgbot_status_prometheus_text(p, " ");
    ngx_http_tgbot_status_prometheus_text(p,
              ngx_http_tgbot_status_prometheus_types[p->metric->type]);
    ngx_http_tgbot_status_prometheus_text(p, "\n");

    switch (p->metric->of) {

    case NGX_HTTP_TGBOT_OF_BOT:
    case NGX_HTTP_TGBOT_OF_QUEUE:
    case NGX_HTTP_TGBOT_OF_BROADCAST:
    case NGX_HTTP_TGBOT_OF_WEBHOOK:
    case NGX_HTTP_TGBOT_OF_SHARED:
        p->label = "bot";

        for (i = 0; i < snapshot->nbots; i++) {
            bot = &snapshot->bots[i];

            if ((p->metric->of == NGX_HTTP_TGBOT_OF_QUEUE
                 && bot->bot->queue == NULL)
                || (p->metric->of == NGX_HTTP_TGBOT_OF_BROADCAST
                    && bot->bot->broadcast == NULL)
                || (p->metric->of == NGX_HTTP_TGBOT_OF_WEBHOOK
                    && bot->known == NULL)
                || (p->metric->of == NGX_HTTP_TGBOT_OF_SHARED
                    && bot->told == NULL))
            {
                continue;
            }

            p->of = bot;
            p->owner = &bot->bot->name;

            ngx_http_tgbot_status_prometheus_samples(p);
        }

        break;

    case NGX_HTTP_TGBOT_OF_ZONE:
        p->label = "zone";

        for (i = 0; i < snapshot->nzones; i++) {
            p->of = &snapshot->zones[i];
            p->owner = &snapshot->zones[i].zone->shm_zone->shm.name;

            ngx_http_tgbot_status_prometheus_samples(p);
        }

        break;

    default: /* NGX_HTTP_TGBOT_OF_ALL, NGX_HTTP_TGBOT_OF_REDIS */

        if (p->metric->of == NGX_HTTP_TGBOT_OF_REDIS
            && snapshot->redis == NULL)
        {
            break;
        }

        p->label = NULL;
        p->of = snapshot;

        ngx_http_tgbot_status_prometheus_samples(p);
    }
}


static void
ngx_http_tgbot_status_prometheus_samples(ngx_http_tgbot_status_prometheus_t *p)
{
    ngx_str_t                       one, two;
    ngx_uint_t                      i, j;
    const ngx_http_tgbot_metric_t  *metric;

    metric = p->metric;

    if (metric->type == NGX_HTTP_TGBOT_HISTOGRAM) {
        ngx_http_tgbot_status_prometheus_histogram(p);
        return;
    }

    for (i = 0; i < metric->labels[0].n; i++) {
        one = ngx_http_tgbot_metric_label(metric, p->of, 0, i);

        if (metric->labels[0].name
            && (one.len == 0 || ngx_http_tgbot_status_prometheus_absent(p, i)))
        {
            continue;
        }

        for (j = 0; j < metric->labels[1].n; j++) {
            two = ngx_http_tgbot_metric_label(metric, p->of, 1, j);

            ngx_http_tgbot_status_prometheus_series(p, "", &one, &two);
            ngx_http_tgbot_status_prometheus_value(p,
                           ngx_http_tgbot_metric_value(metric, p->of, i, j));
        }
    }
}


/*
 * Series are shown from the start, also those with value 0.  Only of sparse
 * counters, series other than the last one ("other") are absent while 0.
 */

static ngx_uint_t
ngx_http_tgbot_status_prometheus_absent(ngx_http_tgbot_status_prometheus_t *p,
    ngx_uint_t i)
{
    ngx_uint_t  j;

    if (p->metric->type != NGX_HTTP_TGBOT_COUNTER_SPARSE
        || i == p->metric->labels[0].n - 1)
    {
        return 0;
    }

    for (j = 0; j < p->metric->labels[1].n; j++) {
        if (ngx_http_tgbot_metric_value(p->metric, p->of, i, j)) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_tgbot_status_prometheus_histogram(
    ngx_http_tgbot_status_prometheus_t *p)
{
    u_char      *last;
    uint64_t     count, sum;
    ngx_str_t    le, none;
    ngx_uint_t   i;

    u_char  buf[NGX_INT64_LEN + sizeof(" .000\n") - 1];

    ngx_str_null(&none);

    count = 0;

    for (i = 0; i < p->metric->labels[0].n; i++) {
        le = ngx_http_tgbot_metric_label(p->metric, p->of, 0, i);
        count += ngx_http_tgbot_metric_value(p->metric, p->of, i, 0);

        ngx_http_tgbot_status_prometheus_series(p, "_bucket", &le, &none);
        ngx_http_tgbot_status_prometheus_value(p, count);
    }

    ngx_http_tgbot_status_prometheus_series(p, "_sum", &none, &none);

    sum = p->metric->value(p->of, p->metric->sum, 0);
    last = ngx_sprintf(buf, " %uL.%03uL\n", sum / 1000, sum % 1000);
    ngx_http_tgbot_status_text_write(p->s, buf, last - buf);

    ngx_http_tgbot_status_prometheus_series(p, "_count", &none, &none);
    ngx_http_tgbot_status_prometheus_value(p, count);
}


/* writes name and labels; a label with the value "" is left out */

static void
ngx_http_tgbot_status_prometheus_series(ngx_http_tgbot_status_prometheus_t *p,
    const char *suffix, ngx_str_t *one, ngx_str_t *two)
{
    ngx_uint_t  n;

    ngx_http_tgbot_status_prometheus_text(p, NGX_HTTP_TGBOT_STATUS_PREFIX);
    ngx_http_tgbot_status_prometheus_text(p, p->metric->name);
    ngx_http_tgbot_status_prometheus_text(p, suffix);

    n = 0;

    if (p->label) {
        ngx_http_tgbot_status_prometheus_label(p, &n, p->label, p->owner);
    }

    if (one->len) {
        ngx_http_tgbot_status_prometheus_label(p, &n, p->metric->labels[0].name,
                                               one);
    }

    if (two->len) {
        ngx_http_tgbot_status_prometheus_label(p, &n, p->metric->labels[1].name,
                                               two);
    }

    if (n) {
        ngx_http_tgbot_status_prometheus_text(p, "}");
    }
}


static void
ngx_http_tgbot_status_prometheus_label(ngx_http_tgbot_status_prometheus_t *p,
    ngx_uint_t *n, const char *label, ngx_str_t *value)
{
    u_char     *last, *s, *start;
    ngx_str_t   text;
    ngx_uint_t  i;

    ngx_http_tgbot_status_prometheus_text(p, (*n)++ ? "," : "{");
    ngx_http_tgbot_status_prometheus_text(p, label);
    ngx_http_tgbot_status_prometheus_text(p, "=\"");

    text = *value;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] >= 0x20 && text.data[i] < 0x7f) {
            continue;
        }

        /* the format needs UTF-8 without control characters */

        text.data = ngx_pstrdup(p->s->pool, value);

        if (text.data == NULL) {
            p->s->failed = 1;
            return;
        }

        ngx_http_tgbot_json_clean(&text);
        break;
    }

    start = text.data;
    last = text.data + text.len;

    for (s = start; s < last; s++) {

        if (*s == '"' || *s == '\\') {
            ngx_http_tgbot_status_text_write(p->s, start, s - start);
            ngx_http_tgbot_status_prometheus_text(p, "\\");
            start = s;
        }
    }

    ngx_http_tgbot_status_text_write(p->s, start, last - start);
    ngx_http_tgbot_status_prometheus_text(p, "\"");
}


static void
ngx_http_tgbot_status_prometheus_value(ngx_http_tgbot_status_prometheus_t *p,
    uint64_t value)
{
    u_char  *last, buf[NGX_INT64_LEN + sizeof(" \n") - 1];

    last = ngx_sprintf(buf, " %uL\n", value);
    ngx_http_tgbot_status_text_write(p->s, buf, last - buf);
}


static void
ngx_http_tgbot_status_prometheus_text(ngx_http_tgbot_status_prometheus_t *p,
    const char *text)
{
    ngx_http_tgbot_status_text_write(p->s, text, ngx_strlen(text));
}
