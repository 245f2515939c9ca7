
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_stats_sh.h"


/* where the values of a metric are, and what those of its labels are called */

typedef struct {
    size_t            offset;            /* in the counters of a stripe */
    ngx_int_t         gauge;             /* the first one, or -1 */
    const ngx_str_t  *names[2];          /* NULL: of limits, if it has any */
} ngx_http_tgbot_stats_source_t;


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


const ngx_http_tgbot_metric_t  ngx_http_tgbot_stats_metrics[] = {

    { "received_total", "counter",
      "Deliveries of updates that were received.",
      { NULL, NULL }, { 1, 1 } },

    { "held", "gauge",
      "Deliveries that wait for their answer.",
      { NULL, NULL }, { 1, 1 } },

    { "deliveries_total", "counter",
      "Deliveries by what became of them.",
      { "verdict", NULL }, { NGX_HTTP_TGBOT_VERDICTS - 1, 1 } },

    { "rejected_total", "counter",
      "Rejected deliveries by what was wrong with them.",
      { "reason", NULL }, { NGX_HTTP_TGBOT_REJECTIONS, 1 } },

    { "calls_total", "counter",
      "Calls of the bot's program and of the Bot API, begun and ended.",
      { "kind", "event" },
      { NGX_HTTP_TGBOT_CALL_KINDS, NGX_HTTP_TGBOT_CALL_EVENTS } },

    { "calls_inflight", "gauge",
      "Calls that are being made.",
      { "kind", NULL }, { NGX_HTTP_TGBOT_CALL_KINDS, 1 } },

    { "handler_calls_total", "counter",
      "Calls of the bot's program by what they came to.",
      { "outcome", NULL }, { NGX_HTTP_TGBOT_HANDLER_OUTCOMES, 1 } },

    { "api_calls_total", "counter",
      "Attempts of Bot API calls by method and answer.",
      { "method", "result" },
      { NGX_HTTP_TGBOT_STATS_METHODS, NGX_HTTP_TGBOT_API_RESULTS } },

    { "api_calls_given_up_total", "counter",
      "Bot API calls that are not repeated any more.",
      { NULL, NULL }, { 1, 1 } },

    { "api_calls_unsent_total", "counter",
      "Bot API calls that had no way out.",
      { NULL, NULL }, { 1, 1 } },

    { "limit_decisions_total", "counter",
      "Decisions of limits by the limit's zone.",
      { "zone", "outcome" },
      { NGX_HTTP_TGBOT_STATS_LIMITS, NGX_HTTP_TGBOT_LIMIT_OUTCOMES } },

    { "cache_total", "counter",
      "Questions to the cache, and answers that it was given.",
      { "result", NULL }, { NGX_HTTP_TGBOT_CACHE_RESULTS, 1 } },

    { "queue_full_total", "counter",
      "Deliveries that were refused as there was no room in the queue.",
      { NULL, NULL }, { 1, 1 } },

    { "dead_letters_total", "counter",
      "Updates that were given up and kept.",
      { "cause", NULL }, { NGX_HTTP_TGBOT_STATS_CAUSES, 1 } },

    { "seen_rebased_total", "counter",
      "Times that update_ids went far from those before.",
      { NULL, NULL }, { 1, 1 } },

    { "seen_full_total", "counter",
      "Updates for which there was no record, all being in work.",
      { NULL, NULL }, { 1, 1 } },

    { "leases_lost_total", "counter",
      "Results dropped as another worker had taken the update over.",
      { NULL, NULL }, { 1, 1 } },

    { "attempts_spent_total", "counter",
      "Updates that failed as often as tgbot_attempts allows.",
      { NULL, NULL }, { 1, 1 } },

    { "rides_repeated_total", "counter",
      "Calls repeated in the answer to a duplicate.",
      { NULL, NULL }, { 1, 1 } }
};

const ngx_uint_t  ngx_http_tgbot_stats_nmetrics =
    sizeof(ngx_http_tgbot_stats_metrics) / sizeof(ngx_http_tgbot_metric_t);


#define ngx_http_tgbot_stats_of(member)                                       \
    offsetof(ngx_http_tgbot_stats_counters_t, member)

/* in the same order */

static const ngx_http_tgbot_stats_source_t  ngx_http_tgbot_stats_sources[] = {

    { ngx_http_tgbot_stats_of(stat[NGX_HTTP_TGBOT_STAT_RECEIVED]), -1,
      { NULL, NULL } },

    { 0, NGX_HTTP_TGBOT_GAUGE_HELD, { NULL, NULL } },

    { ngx_http_tgbot_stats_of(verdict[1]), -1,
      { &ngx_http_tgbot_verdict_names[1], NULL } },

    { ngx_http_tgbot_stats_of(rejected), -1,
      { ngx_http_tgbot_stats_reasons, NULL } },

    { ngx_http_tgbot_stats_of(call), -1,
      { ngx_http_tgbot_stats_kinds, ngx_http_tgbot_stats_events } },

    { 0, NGX_HTTP_TGBOT_GAUGE_HANDLER,
      { ngx_http_tgbot_stats_kinds, NULL } },

    { ngx_http_tgbot_stats_of(handled), -1,
      { ngx_http_tgbot_stats_handled_outcomes, NULL } },

    { ngx_http_tgbot_stats_of(api), -1,
      { ngx_http_tgbot_stats_methods, ngx_http_tgbot_stats_api_results } },

    { ngx_http_tgbot_stats_of(stat[NGX_HTTP_TGBOT_STAT_GIVEN_UP]), -1,
      { NULL, NULL } },

    { ngx_http_tgbot_stats_of(stat[NGX_HTTP_TGBOT_STAT_UNSENT]), -1,
      { NULL, NULL } },

    { ngx_http_tgbot_stats_of(limit), -1,
      { NULL, ngx_http_tgbot_stats_limit_outcomes } },

    { ngx_http_tgbot_stats_of(cache), -1,
      { ngx_http_tgbot_stats_cache_results, NULL } },

    { ngx_http_tgbot_stats_of(stat[NGX_HTTP_TGBOT_STAT_QUEUE_FULL]), -1,
      { NULL, NULL } },

    { ngx_http_tgbot_stats_of(dead), -1,
      { ngx_http_tgbot_stats_causes, NULL } },

    { ngx_http_tgbot_stats_of(stat[NGX_HTTP_TGBOT_STAT_SEEN_REBASED]), -1,
      { NULL, NULL } },

    { ngx_http_tgbot_stats_of(stat[NGX_HTTP_TGBOT_STAT_SEEN_FULL]), -1,
      { NULL, NULL } },

    { ngx_http_tgbot_stats_of(stat[NGX_HTTP_TGBOT_STAT_LEASES_LOST]), -1,
      { NULL, NULL } },

    { ngx_http_tgbot_stats_of(stat[NGX_HTTP_TGBOT_STAT_ATTEMPTS_SPENT]), -1,
      { NULL, NULL } },

    { ngx_http_tgbot_stats_of(stat[NGX_HTTP_TGBOT_STAT_RIDES_REPEATED]), -1,
      { NULL, NULL } }
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
    u_char                               *counters;
    uint64_t                              value;
    ngx_uint_t                            n;
    ngx_atomic_t                         *counter;
    const ngx_http_tgbot_metric_t        *m;
    const ngx_http_tgbot_stats_source_t  *source;

    m = &ngx_http_tgbot_stats_metrics[metric];
    source = &ngx_http_tgbot_stats_sources[metric];

    value = 0;

    if (source->gauge != -1) {

        for (n = 0; n < NGX_MAX_PROCESSES; n++) {
            counter = stats->sh->slots[n].process.gauges;
            value += ngx_http_tgbot_stats_number(counter[source->gauge + i]);
        }

        return value;
    }

    if (m->label[0] && source->names[0] == NULL) {

        if (i >= stats->nlimits) {
            return 0;
        }

        i = stats->limit[i];
    }

    for (n = 0; n < NGX_HTTP_TGBOT_STATS_STRIPES; n++) {
        counters = (u_char *) &stats->sh->stripes[n].counters;
        counter = (ngx_atomic_t *) (counters + source->offset);

        value += counter[i * m->n[1] + j];
    }

    return value;
}


time_t
ngx_http_tgbot_stats_start(ngx_http_tgbot_stats_t *stats)
{
    return stats->sh->start;
}
