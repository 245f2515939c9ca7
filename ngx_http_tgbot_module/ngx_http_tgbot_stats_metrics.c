
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_stats_sh.h"


/* where the values of a metric are, and what those of its labels are called */

typedef struct {
    size_t            offset;            /* in the counters of a stripe */
    ngx_int_t         gauge;             /* the first one, or as below */
    const ngx_str_t  *names[2];          /* NULL: of limits, if it has any */
    size_t            sum;               /* of a histogram, as offset */
} ngx_http_tgbot_stats_source_t;


static uint64_t ngx_http_tgbot_stats_add_up(ngx_http_tgbot_stats_t *stats,
    size_t offset, ngx_uint_t i);


#define NGX_HTTP_TGBOT_STATS_NOT_GAUGE  (-1)
#define NGX_HTTP_TGBOT_STATS_LAST       (-2)   /* the time of an update */


/* methods that bots use, in the order of ngx_strncasecmp(); last "other" */

static const ngx_str_t
    ngx_http_tgbot_stats_methods[NGX_HTTP_TGBOT_STATS_METHODS] =
{
    ngx_string("answerCallbackQuery"),
    ngx_string("answerInlineQuery"),
    ngx_string("answerPreCheckoutQuery"),
    ngx_string("answerShippingQuery"),
    ngx_string("answerWebAppQuery"),
    ngx_string("approveChatJoinRequest"),
    ngx_string("banChatMember"),
    ngx_string("copyMessage"),
    ngx_string("createInvoiceLink"),
    ngx_string("declineChatJoinRequest"),
    ngx_string("deleteMessage"),
    ngx_string("deleteMessages"),
    ngx_string("editMessageCaption"),
    ngx_string("editMessageMedia"),
    ngx_string("editMessageReplyMarkup"),
    ngx_string("editMessageText"),
    ngx_string("forwardMessage"),
    ngx_string("leaveChat"),
    ngx_string("pinChatMessage"),
    ngx_string("promoteChatMember"),
    ngx_string("refundStarPayment"),
    ngx_string("restrictChatMember"),
    ngx_string("sendAnimation"),
    ngx_string("sendAudio"),
    ngx_string("sendChatAction"),
    ngx_string("sendContact"),
    ngx_string("sendDice"),
    ngx_string("sendDocument"),
    ngx_string("sendGame"),
    ngx_string("sendGift"),
    ngx_string("sendInvoice"),
    ngx_string("sendLocation"),
    ngx_string("sendMediaGroup"),
    ngx_string("sendMessage"),
    ngx_string("sendPhoto"),
    ngx_string("sendPoll"),
    ngx_string("sendSticker"),
    ngx_string("sendVenue"),
    ngx_string("sendVideo"),
    ngx_string("sendVideoNote"),
    ngx_string("sendVoice"),
    ngx_string("setMessageReaction"),
    ngx_string("setMyCommands"),
    ngx_string("stopPoll"),
    ngx_string("unbanChatMember"),
    ngx_string("unpinAllChatMessages"),
    ngx_string("unpinChatMessage"),
    ngx_string("other")
};


static const ngx_str_t  ngx_http_tgbot_stats_reasons[] = {
    ngx_string("secret"),
    ngx_string("method"),
    ngx_string("type"),
    ngx_string("json")
};


static const ngx_str_t  ngx_http_tgbot_stats_kinds[] = {
    ngx_string("handler"),
    ngx_string("api")
};


static const ngx_str_t  ngx_http_tgbot_stats_events[] = {
    ngx_string("started"),
    ngx_string("ok"),
    ngx_string("failed"),
    ngx_string("unknown"),
    ngx_string("aborted")
};


static const ngx_str_t  ngx_http_tgbot_stats_handled_outcomes[] = {
    ngx_string("handled"),
    ngx_string("unavailable"),
    ngx_string("failed")
};


static const ngx_str_t  ngx_http_tgbot_stats_api_results[] = {
    ngx_string("ok"),
    ngx_string("429"),
    ngx_string("4xx"),
    ngx_string("5xx"),
    ngx_string("error")
};


static const ngx_str_t  ngx_http_tgbot_stats_limit_outcomes[] = {
    ngx_string("passed"),
    ngx_string("dropped"),
    ngx_string("rejected"),
    ngx_string("dropped_dry_run"),
    ngx_string("rejected_dry_run")
};


static const ngx_str_t  ngx_http_tgbot_stats_cache_results[] = {
    ngx_string("hit"),
    ngx_string("miss"),
    ngx_string("wait"),
    ngx_string("timeout"),
    ngx_string("bypass"),
    ngx_string("stored"),
    ngx_string("uncacheable")
};


/* ngx_http_tgbot_dead_cause_e */

static const ngx_str_t  ngx_http_tgbot_stats_causes[] = {
    ngx_string("failed"),
    ngx_string("unsent"),
    ngx_string("expired")
};


const ngx_msec_t  ngx_http_tgbot_stats_bounds[] = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000
};


/* the same in seconds */

static const ngx_str_t
    ngx_http_tgbot_stats_seconds[NGX_HTTP_TGBOT_STATS_BUCKETS] =
{
    ngx_string("0.001"),
    ngx_string("0.002"),
    ngx_string("0.005"),
    ngx_string("0.01"),
    ngx_string("0.02"),
    ngx_string("0.05"),
    ngx_string("0.1"),
    ngx_string("0.2"),
    ngx_string("0.5"),
    ngx_string("1"),
    ngx_string("2"),
    ngx_string("5"),
    ngx_string("10"),
    ngx_string("30"),
    ngx_string("60"),
    ngx_string("+Inf")
};


const ngx_http_tgbot_metric_t  ngx_http_tgbot_stats_metrics[] = {

    { "received_total", NGX_HTTP_TGBOT_COUNTER,
      "Deliveries of updates that were received.",
      { NULL, NULL }, { 1, 1 } },

    { "held", NGX_HTTP_TGBOT_GAUGE,
      "Deliveries that wait for their answer.",
      { NULL, NULL }, { 1, 1 } },

    { "deliveries_total", NGX_HTTP_TGBOT_COUNTER,
      "Deliveries by what became of them.",
      { "verdict", NULL }, { NGX_HTTP_TGBOT_VERDICTS - 1, 1 } },

    { "rejected_total", NGX_HTTP_TGBOT_COUNTER,
      "Rejected deliveries by what was wrong with them.",
      { "reason", NULL }, { NGX_HTTP_TGBOT_REJECTIONS, 1 } },

    { "calls_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls of the bot's program and of the Bot API, begun and ended.",
      { "kind", "event" },
      { NGX_HTTP_TGBOT_CALL_KINDS, NGX_HTTP_TGBOT_CALL_EVENTS } },

    { "calls_inflight", NGX_HTTP_TGBOT_GAUGE,
      "Calls that are being made.",
      { "kind", NULL }, { NGX_HTTP_TGBOT_CALL_KINDS, 1 } },

    { "calls_expired_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls that were ended by tgbot_call_timeout.",
      { NULL, NULL }, { 1, 1 } },

    { "handler_calls_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls of the bot's program by what they came to.",
      { "outcome", NULL }, { NGX_HTTP_TGBOT_HANDLER_OUTCOMES, 1 } },

    { "api_calls_total", NGX_HTTP_TGBOT_COUNTER_SPARSE,
      "Attempts of Bot API calls by method and answer.",
      { "method", "result" },
      { NGX_HTTP_TGBOT_STATS_METHODS, NGX_HTTP_TGBOT_API_RESULTS } },

    { "api_calls_given_up_total", NGX_HTTP_TGBOT_COUNTER,
      "Bot API calls that are not repeated any more.",
      { NULL, NULL }, { 1, 1 } },

    { "api_calls_unsent_total", NGX_HTTP_TGBOT_COUNTER,
      "Bot API calls that had no way out.",
      { NULL, NULL }, { 1, 1 } },

    { "limit_decisions_total", NGX_HTTP_TGBOT_COUNTER,
      "Decisions of limits by the limit's zone.",
      { "zone", "outcome" },
      { NGX_HTTP_TGBOT_STATS_LIMITS, NGX_HTTP_TGBOT_LIMIT_OUTCOMES } },

    { "cache_total", NGX_HTTP_TGBOT_COUNTER,
      "Questions to the cache, and answers that it was given.",
      { "result", NULL }, { NGX_HTTP_TGBOT_CACHE_RESULTS, 1 } },

    { "queue_full_total", NGX_HTTP_TGBOT_COUNTER,
      "Deliveries that were refused as there was no room in the queue.",
      { NULL, NULL }, { 1, 1 } },

    { "dead_letters_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates that were given up and kept.",
      { "cause", NULL }, { NGX_HTTP_TGBOT_STATS_CAUSES, 1 } },

    { "seen_rebased_total", NGX_HTTP_TGBOT_COUNTER,
      "Times that update_ids went far from those before.",
      { NULL, NULL }, { 1, 1 } },

    { "seen_full_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates for which there was no record, all being in work.",
      { NULL, NULL }, { 1, 1 } },

    { "seen_unnumbered_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates not de-duplicated, as their update_id exceeds 64 bits.",
      { NULL, NULL }, { 1, 1 } },

    { "leases_lost_total", NGX_HTTP_TGBOT_COUNTER,
      "Results dropped as another worker had taken the update over.",
      { NULL, NULL }, { 1, 1 } },

    { "attempts_spent_total", NGX_HTTP_TGBOT_COUNTER,
      "Updates that failed as often as tgbot_attempts allows.",
      { NULL, NULL }, { 1, 1 } },

    { "rides_repeated_total", NGX_HTTP_TGBOT_COUNTER,
      "Calls repeated in the answer to a duplicate.",
      { NULL, NULL }, { 1, 1 } },

    { "update_duration_seconds", NGX_HTTP_TGBOT_HISTOGRAM,
      "Time from the receipt of a delivery to its answer.",
      { "le", NULL }, { NGX_HTTP_TGBOT_STATS_BUCKETS, 1 } },

    { "handler_duration_seconds", NGX_HTTP_TGBOT_HISTOGRAM,
      "Time that calls of the bot's program took.",
      { "le", NULL }, { NGX_HTTP_TGBOT_STATS_BUCKETS, 1 } },

    { "last_update_timestamp_seconds", NGX_HTTP_TGBOT_GAUGE,
      "When an update was received last, 0: not yet.",
      { NULL, NULL }, { 1, 1 } },

    { "unauthorized_workers", NGX_HTTP_TGBOT_GAUGE,
      "Worker processes whose calls wait as the Bot API refused the token.",
      { NULL, NULL }, { 1, 1 } }
};

const ngx_uint_t  ngx_http_tgbot_stats_nmetrics =
    sizeof(ngx_http_tgbot_stats_metrics) / sizeof(ngx_http_tgbot_metric_t);


#define ngx_http_tgbot_stats_of(member)                                       \
    offsetof(ngx_http_tgbot_stats_counters_t, member)

#define ngx_http_tgbot_stats_plain(i)                                         \
    { ngx_http_tgbot_stats_of(stat[i]), NGX_HTTP_TGBOT_STATS_NOT_GAUGE,       \
      { NULL, NULL }, 0 }

/* in the same order */

static const ngx_http_tgbot_stats_source_t  ngx_http_tgbot_stats_sources[] = {

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_RECEIVED),

    { 0, NGX_HTTP_TGBOT_GAUGE_HELD, { NULL, NULL }, 0 },

    { ngx_http_tgbot_stats_of(verdict[1]),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { &ngx_http_tgbot_verdict_names[1], NULL }, 0 },

    { ngx_http_tgbot_stats_of(rejected),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { ngx_http_tgbot_stats_reasons, NULL }, 0 },

    { ngx_http_tgbot_stats_of(call),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { ngx_http_tgbot_stats_kinds, ngx_http_tgbot_stats_events }, 0 },

    { 0, NGX_HTTP_TGBOT_GAUGE_HANDLER,
      { ngx_http_tgbot_stats_kinds, NULL }, 0 },

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_CALLS_EXPIRED),

    { ngx_http_tgbot_stats_of(handled),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { ngx_http_tgbot_stats_handled_outcomes, NULL }, 0 },

    { ngx_http_tgbot_stats_of(api),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { ngx_http_tgbot_stats_methods, ngx_http_tgbot_stats_api_results }, 0 },

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_GIVEN_UP),

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_UNSENT),

    { ngx_http_tgbot_stats_of(limit),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { NULL, ngx_http_tgbot_stats_limit_outcomes }, 0 },

    { ngx_http_tgbot_stats_of(cache),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { ngx_http_tgbot_stats_cache_results, NULL }, 0 },

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_QUEUE_FULL),

    { ngx_http_tgbot_stats_of(dead),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { ngx_http_tgbot_stats_causes, NULL }, 0 },

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_SEEN_REBASED),

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_SEEN_FULL),

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_SEEN_UNNUMBERED),

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_LEASES_LOST),

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_ATTEMPTS_SPENT),

    ngx_http_tgbot_stats_plain(NGX_HTTP_TGBOT_STAT_RIDES_REPEATED),

    { ngx_http_tgbot_stats_of(duration[NGX_HTTP_TGBOT_DURATION_UPDATE]),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { ngx_http_tgbot_stats_seconds, NULL },
      ngx_http_tgbot_stats_of(elapsed[NGX_HTTP_TGBOT_DURATION_UPDATE]) },

    { ngx_http_tgbot_stats_of(duration[NGX_HTTP_TGBOT_DURATION_HANDLER]),
      NGX_HTTP_TGBOT_STATS_NOT_GAUGE,
      { ngx_http_tgbot_stats_seconds, NULL },
      ngx_http_tgbot_stats_of(elapsed[NGX_HTTP_TGBOT_DURATION_HANDLER]) },

    { 0, NGX_HTTP_TGBOT_STATS_LAST, { NULL, NULL }, 0 },

    { 0, NGX_HTTP_TGBOT_GAUGE_UNAUTHORIZED, { NULL, NULL }, 0 }
};


ngx_uint_t
ngx_http_tgbot_stats_method(ngx_str_t *method)
{
    ngx_int_t         rc;
    ngx_uint_t        i, low, high;
    const ngx_str_t  *name;

    low = 0;
    high = NGX_HTTP_TGBOT_STATS_METHODS - 1;

    while (low < high) {
        i = (low + high) / 2;
        name = &ngx_http_tgbot_stats_methods[i];

        rc = ngx_strncasecmp(method->data, name->data,
                             ngx_min(method->len, name->len));

        if (rc == 0) {
            rc = (ngx_int_t) method->len - (ngx_int_t) name->len;
        }

        if (rc == 0) {
            return i;
        }

        if (rc < 0) {
            high = i;

        } else {
            low = i + 1;
        }
    }

    return NGX_HTTP_TGBOT_STATS_METHODS - 1;
}


ngx_str_t
ngx_http_tgbot_stats_label(ngx_http_tgbot_stats_t *stats, ngx_uint_t metric,
    ngx_uint_t label, ngx_uint_t i)
{
    ngx_str_t                             none;
    ngx_uint_t                            n;
    const ngx_http_tgbot_stats_source_t  *source;

    ngx_str_null(&none);

    source = &ngx_http_tgbot_stats_sources[metric];

    if (ngx_http_tgbot_stats_metrics[metric].label[label] == NULL
        || i >= ngx_http_tgbot_stats_metrics[metric].n[label])
    {
        return none;
    }

    if (source->names[label]) {
        return source->names[label][i];
    }

    if (i >= stats->nlimits) {
        return none;
    }

    /* limits with a zone in common are counted together */

    for (n = 0; n < i; n++) {
        if (stats->limit[n] == stats->limit[i]) {
            return none;
        }
    }

    return stats->limits[i];
}


uint64_t
ngx_http_tgbot_stats_value(ngx_http_tgbot_stats_t *stats, ngx_uint_t metric,
    ngx_uint_t i, ngx_uint_t j)
{
    const ngx_http_tgbot_metric_t        *m;
    const ngx_http_tgbot_stats_source_t  *source;

    m = &ngx_http_tgbot_stats_metrics[metric];
    source = &ngx_http_tgbot_stats_sources[metric];

    if (source->gauge == NGX_HTTP_TGBOT_STATS_LAST) {
        return stats->sh->last;
    }

    if (source->gauge != NGX_HTTP_TGBOT_STATS_NOT_GAUGE) {
        return ngx_http_tgbot_stats_gauge(stats, source->gauge + i);
    }

    if (m->label[0] && source->names[0] == NULL) {

        if (i >= stats->nlimits) {
            return 0;
        }

        i = stats->limit[i];
    }

    return ngx_http_tgbot_stats_add_up(stats, source->offset,
                                       i * m->n[1] + j);
}


uint64_t
ngx_http_tgbot_stats_gauge(ngx_http_tgbot_stats_t *stats, ngx_uint_t gauge)
{
    uint64_t       value;
    ngx_uint_t     n;
    ngx_atomic_t  *gauges;

    value = 0;

    for (n = 0; n < NGX_MAX_PROCESSES; n++) {
        gauges = stats->sh->slots[n].process.gauges;
        value += ngx_http_tgbot_stats_number(gauges[gauge]);
    }

    return value;
}


uint64_t
ngx_http_tgbot_stats_sum(ngx_http_tgbot_stats_t *stats, ngx_uint_t metric)
{
    return ngx_http_tgbot_stats_add_up(stats,
                           ngx_http_tgbot_stats_sources[metric].sum, 0);
}


/* the i-th counter from an offset on, of all stripes */

static uint64_t
ngx_http_tgbot_stats_add_up(ngx_http_tgbot_stats_t *stats, size_t offset,
    ngx_uint_t i)
{
    u_char        *counters;
    uint64_t       value;
    ngx_uint_t     n;
    ngx_atomic_t  *counter;

    value = 0;

    for (n = 0; n < NGX_HTTP_TGBOT_STATS_STRIPES; n++) {
        counters = (u_char *) &stats->sh->stripes[n].counters;
        counter = (ngx_atomic_t *) (counters + offset);

        value += counter[i];
    }

    return value;
}


time_t
ngx_http_tgbot_stats_start(ngx_http_tgbot_stats_t *stats)
{
    return stats->sh->start;
}
