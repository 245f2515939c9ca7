
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_claim.h"
#include "ngx_http_tgbot_claim_redis.h"


static ngx_int_t ngx_http_tgbot_claim_end(ngx_http_tgbot_claim_t *claim,
    ngx_http_tgbot_claim_end_e end, ngx_http_tgbot_method_t *ride);


/* a duplicate has no claim to end */

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

    if (bot->conf->dedup->redis) {
        return ngx_http_tgbot_claim_redis_take(claim, update_id, ride);
    }

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
        || (claim->redis
            ? ngx_http_tgbot_claim_redis_holds(claim)
            : ngx_http_tgbot_dedup_holds(claim->bot->dedup, &claim->dedup)))
    {
        return 1;
    }

    claim->dedup.lease.token = 0;

    ngx_http_tgbot_bot_lost(claim->bot, claim->dedup.update_id);

    return 0;
}


void
ngx_http_tgbot_claim_move(ngx_http_tgbot_claim_t *to,
    ngx_http_tgbot_claim_t *from)
{
    *to = *from;

    from->dedup.lease.token = 0;
    from->redis = NULL;
}


ngx_int_t
ngx_http_tgbot_claim_settle(ngx_http_tgbot_claim_t *claim, ngx_uint_t verdict,
    ngx_http_tgbot_method_t *ride)
{
    ngx_int_t                   rc;
    ngx_http_tgbot_claim_end_e  end;

    end = ngx_http_tgbot_claim_ends[verdict];

    if (claim->redis) {
        rc = ngx_http_tgbot_claim_redis_settle(claim, end, ride);

        if (rc == NGX_AGAIN || rc == NGX_BUSY) {
            return rc;
        }

    } else if (claim->dedup.lease.token) {
        rc = ngx_http_tgbot_claim_end(claim, end, ride);

    } else {
        return NGX_OK;
    }

    claim->dedup.lease.token = 0;

    if (rc != NGX_OK) {
        ngx_http_tgbot_bot_lost(claim->bot, claim->dedup.update_id);
    }

    return rc;
}


/* in a zone */

static ngx_int_t
ngx_http_tgbot_claim_end(ngx_http_tgbot_claim_t *claim,
    ngx_http_tgbot_claim_end_e end, ngx_http_tgbot_method_t *ride)
{
    ngx_http_tgbot_dedup_t        *dedup;
    ngx_http_tgbot_dedup_claim_t  *held;

    held = &claim->dedup;
    dedup = claim->bot->dedup;

    switch (end) {

    case NGX_HTTP_TGBOT_CLAIM_ACCEPT:
        return ngx_http_tgbot_dedup_accept(dedup, held,
                                           ride ? &ride->content_type : NULL,
                                           ride ? &ride->body : NULL);

    case NGX_HTTP_TGBOT_CLAIM_FORGET:
        return ngx_http_tgbot_dedup_forget(dedup, held);

    default: /* NGX_HTTP_TGBOT_CLAIM_RELEASE, NGX_HTTP_TGBOT_CLAIM_FAIL */
        return ngx_http_tgbot_dedup_release(dedup, held,
                                            end == NGX_HTTP_TGBOT_CLAIM_FAIL,
                                            held->charged);
    }
}
