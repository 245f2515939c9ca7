
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_claim.h"


typedef enum {
    NGX_HTTP_TGBOT_CLAIM_RELEASE = 0,    /* the Update will come again */
    NGX_HTTP_TGBOT_CLAIM_FAIL,           /* the same, after an attempt */
    NGX_HTTP_TGBOT_CLAIM_ACCEPT,
    NGX_HTTP_TGBOT_CLAIM_FORGET          /* it comes again as a new one */
} ngx_http_tgbot_claim_end_e;


static const ngx_http_tgbot_claim_end_e
    ngx_http_tgbot_claim_ends[NGX_HTTP_TGBOT_VERDICTS] =
{
    [NGX_HTTP_TGBOT_DONE] = NGX_HTTP_TGBOT_CLAIM_ACCEPT,
    [NGX_HTTP_TGBOT_QUEUED] = NGX_HTTP_TGBOT_CLAIM_ACCEPT,
    [NGX_HTTP_TGBOT_LIMITED] = NGX_HTTP_TGBOT_CLAIM_ACCEPT,
    [NGX_HTTP_TGBOT_STALE] = NGX_HTTP_TGBOT_CLAIM_ACCEPT,
    [NGX_HTTP_TGBOT_IGNORED] = NGX_HTTP_TGBOT_CLAIM_ACCEPT,
    [NGX_HTTP_TGBOT_DEAD] = NGX_HTTP_TGBOT_CLAIM_ACCEPT,
    [NGX_HTTP_TGBOT_BUSY] = NGX_HTTP_TGBOT_CLAIM_RELEASE,
    [NGX_HTTP_TGBOT_FAILED] = NGX_HTTP_TGBOT_CLAIM_FAIL,
    [NGX_HTTP_TGBOT_REJECTED] = NGX_HTTP_TGBOT_CLAIM_FORGET,
    [NGX_HTTP_TGBOT_ABORTED] = NGX_HTTP_TGBOT_CLAIM_RELEASE
};


ngx_int_t
ngx_http_tgbot_claim_take(ngx_http_tgbot_claim_t *claim,
    ngx_http_tgbot_bot_t *bot, int64_t update_id,
    ngx_http_tgbot_method_t *ride)
{
    ngx_int_t  rc;

    claim->bot = bot;

    rc = ngx_http_tgbot_dedup_claim(bot->dedup, update_id, &claim->dedup,
                                    &ride->content_type, &ride->body);

    if (rc != NGX_OK) {
        claim->dedup.lease.token = 0;
    }

    return (rc == NGX_AGAIN) ? NGX_ABORT : rc;
}


ngx_uint_t
ngx_http_tgbot_claim_holds(ngx_http_tgbot_claim_t *claim)
{
    if (claim->dedup.lease.token == 0
        || ngx_http_tgbot_dedup_holds(claim->bot->dedup, &claim->dedup))
    {
        return 1;
    }

    claim->dedup.lease.token = 0;

    ngx_http_tgbot_bot_lost(claim->bot, claim->dedup.update_id);

    return 0;
}


ngx_int_t
ngx_http_tgbot_claim_settle(ngx_http_tgbot_claim_t *claim, ngx_uint_t verdict,
    ngx_http_tgbot_method_t *ride)
{
    ngx_int_t                      rc;
    ngx_http_tgbot_dedup_t        *dedup;
    ngx_http_tgbot_claim_end_e     end;
    ngx_http_tgbot_dedup_claim_t  *held;

    held = &claim->dedup;

    if (held->lease.token == 0) {
        return NGX_OK;
    }

    dedup = claim->bot->dedup;
    end = ngx_http_tgbot_claim_ends[verdict];

    switch (end) {

    case NGX_HTTP_TGBOT_CLAIM_ACCEPT:
        rc = ngx_http_tgbot_dedup_accept(dedup, held,
                                         ride ? &ride->content_type : NULL,
                                         ride ? &ride->body : NULL);
        break;

    case NGX_HTTP_TGBOT_CLAIM_FORGET:
        rc = ngx_http_tgbot_dedup_forget(dedup, held);
        break;

    default: /* NGX_HTTP_TGBOT_CLAIM_RELEASE, NGX_HTTP_TGBOT_CLAIM_FAIL */
        rc = ngx_http_tgbot_dedup_release(dedup, held,
                                          end == NGX_HTTP_TGBOT_CLAIM_FAIL,
                                          held->charged);
    }

    held->lease.token = 0;

    if (rc != NGX_OK) {
        ngx_http_tgbot_bot_lost(claim->bot, held->update_id);
    }

    return rc;
}
