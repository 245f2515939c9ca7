
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_ride.h"


/*
 * Telegram takes a larger response for a broken connection, and sends the
 * update again (HttpReader.cpp of td: 1 MiB)
 */
#define NGX_HTTP_TGBOT_RIDE_MAX  (1024 * 1024)


ngx_uint_t
ngx_http_tgbot_ride_allowed(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_answer_t *answer, ngx_uint_t own)
{
    ngx_http_tgbot_method_t  *method;

    if (answer->calls.nelts == 0) {
        return 0;
    }

    method = answer->calls.elts;

    if (method->body.len > NGX_HTTP_TGBOT_RIDE_MAX) {
        return 0;
    }

    switch (bot->conf->reply_via) {

    case NGX_HTTP_TGBOT_VIA_API:
        return 0;

    case NGX_HTTP_TGBOT_VIA_RESPONSE:
        return 1;

    default: /* NGX_HTTP_TGBOT_VIA_AUTO */
        return bot->conf->api == NULL || (own && answer->calls.nelts == 1);
    }
}


void
ngx_http_tgbot_ride_unsent(ngx_http_tgbot_bot_t *bot, ngx_log_t *log,
    ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        ngx_http_tgbot_stats_count(bot->stats, NGX_HTTP_TGBOT_STAT_UNSENT);
    }

    if (bot->unsent_warned) {
        return;
    }

    bot->unsent_warned = 1;

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "tgbot: bot \"%V\" has %ui Bot API calls to make besides "
                  "the one that rides in the webhook's response, or after it, "
                  "and no \"tgbot_api\": such calls are dropped",
                  &bot->name, n);
}
