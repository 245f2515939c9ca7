
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_stats_sh.h"


/* methods that bots use, in the order of ngx_strncasecmp(); last "other" */

const ngx_str_t
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


const ngx_str_t  ngx_http_tgbot_stats_results[NGX_HTTP_TGBOT_API_RESULTS] = {
    ngx_string("ok"),
    ngx_string("429"),
    ngx_string("4xx"),
    ngx_string("5xx"),
    ngx_string("error")
};


const ngx_msec_t  ngx_http_tgbot_stats_bounds[] = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000
};


/* the same in seconds */

const ngx_str_t
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


uint64_t
ngx_http_tgbot_stats_value(ngx_http_tgbot_stats_t *stats, size_t offset)
{
    u_char      *counters;
    uint64_t     value;
    ngx_uint_t   n;

    value = 0;

    for (n = 0; n < NGX_HTTP_TGBOT_STATS_STRIPES; n++) {
        counters = (u_char *) &stats->sh->stripes[n].counters;
        value += *(ngx_atomic_t *) (counters + offset);
    }

    return value;
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


time_t
ngx_http_tgbot_stats_last(ngx_http_tgbot_stats_t *stats)
{
    return stats->sh->last;
}


time_t
ngx_http_tgbot_stats_start(ngx_http_tgbot_stats_t *stats)
{
    return stats->sh->start;
}
