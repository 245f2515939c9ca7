
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_reply.h"
#include "ngx_http_tgbot_ride.h"
#include "ngx_http_tgbot_webhook.h"


static ngx_int_t ngx_http_tgbot_webhook_full(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_repeat(ngx_http_tgbot_webhook_t *w,
    ngx_str_t *type, ngx_str_t *body);
static ngx_int_t ngx_http_tgbot_webhook_kept(ngx_http_tgbot_webhook_t *w,
    ngx_str_t *type, ngx_str_t *body);
static ngx_int_t ngx_http_tgbot_webhook_again(ngx_http_tgbot_webhook_t *w);
static ngx_int_t ngx_http_tgbot_webhook_accept(ngx_http_tgbot_webhook_t *w);


ngx_int_t
ngx_http_tgbot_webhook_claim(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t              rc;
    ngx_str_t              type, body;
    ngx_uint_t             age;
    ngx_http_tgbot_bot_t  *bot;

    bot = w->ctx.bot;

    if (bot->seen == NULL) {
        return NGX_OK;
    }

    if (!w->update.has_update_id) {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_SEEN_UNNUMBERED);
        return NGX_OK;
    }

    rc = ngx_http_tgbot_seen_claim(bot->seen, w->update.update_id, &w->claim,
                                   &type, &body);

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                   "tgbot bot \"%V\", update %L: claim %i, attempt %ui",
                   &bot->name, w->update.update_id, rc,
                   w->claim.attempts + 1);

    switch (rc) {

    case NGX_OK:

        if (w->claim.rebased) {
            ngx_http_tgbot_stats_count(bot->stats,
                                       NGX_HTTP_TGBOT_STAT_SEEN_REBASED);
        }

        w->start = w->claim.first;
        w->charged = w->claim.charged;
        w->ctx.attempts = w->claim.attempts + 1;

        return NGX_OK;

    case NGX_DECLINED:
        w->ctx.verdict = NGX_HTTP_TGBOT_DUPLICATE;

        return ngx_http_tgbot_webhook_repeat(w, &type, &body);

    case NGX_BUSY:
        w->start = w->claim.first;
        w->claim.lease.token = 0;

        age = (ngx_current_msec - w->start) / 1000;

        return ngx_http_tgbot_webhook_busy(w, age, age + age / 4 + 1);

    default: /* NGX_AGAIN */
        return ngx_http_tgbot_webhook_full(w);
    }
}


static ngx_int_t
ngx_http_tgbot_webhook_full(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_tgbot_bot_t  *bot;

    bot = w->ctx.bot;

    w->claim.lease.token = 0;

    ngx_http_tgbot_stats_count(bot->stats, NGX_HTTP_TGBOT_STAT_SEEN_FULL);

    ngx_log_error(NGX_LOG_INFO, w->request->connection->log, 0,
                  "tgbot: bot \"%V\" has %d updates in work, update %L has to "
                  "come again", &bot->name, NGX_HTTP_TGBOT_SEEN_RECORDS,
                  w->update.update_id);

    return ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_RETRY);
}


/*
 * Telegram executes what rides when it sees the 200, and it comes again only
 * as it did not.
 */

static ngx_int_t
ngx_http_tgbot_webhook_repeat(ngx_http_tgbot_webhook_t *w, ngx_str_t *type,
    ngx_str_t *body)
{
    ngx_int_t              rc;
    ngx_http_tgbot_bot_t  *bot;

    bot = w->ctx.bot;

    if (body->len) {
        rc = ngx_http_tgbot_webhook_kept(w, type, body);

    } else if (ngx_http_tgbot_webhook_stale(w) != NGX_OK) {

        /* it was not answered, or it is too late now */

        w->ctx.verdict = NGX_HTTP_TGBOT_DUPLICATE;
        rc = NGX_DECLINED;

    } else {
        rc = ngx_http_tgbot_webhook_again(w);
    }

    if (rc == NGX_OK) {
        ngx_http_tgbot_stats_count(bot->stats,
                                   NGX_HTTP_TGBOT_STAT_RIDES_REPEATED);
    }

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_DONE;
}


static ngx_int_t
ngx_http_tgbot_webhook_kept(ngx_http_tgbot_webhook_t *w, ngx_str_t *type,
    ngx_str_t *body)
{
    ngx_http_tgbot_method_t  *ride, captured;

    ngx_memzero(&captured, sizeof(ngx_http_tgbot_method_t));

    captured.content_type = *type;
    captured.body = *body;

    ride = ngx_palloc(w->request->pool, sizeof(ngx_http_tgbot_method_t));

    if (ride == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_method_copy(ride, &captured, w->request->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    w->ack.ride = ride;

    return NGX_OK;
}


/* what nginx answers itself is made anew, if it is to ride */

static ngx_int_t
ngx_http_tgbot_webhook_again(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    if (w->ctx.bot->queue) {

        /* if it did not ride, it is in the queue, or was */

        return NGX_DECLINED;
    }

    rc = ngx_http_tgbot_reply_evaluate(w->request, &w->ctx, w->variables,
                                       &w->answer);

    if (rc == NGX_DECLINED) {

        /* what is in the cache may have gone that way, and late */

        if (w->ctx.bot->conf->api) {
            return NGX_DECLINED;
        }

        rc = ngx_http_tgbot_webhook_cache_key(w);

        if (rc != NGX_OK) {
            return rc;
        }

        if (ngx_http_tgbot_cache_get(&w->cache, 0, &value) != NGX_OK) {
            return NGX_DECLINED;
        }

        rc = ngx_http_tgbot_webhook_cached(w, &value);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (!ngx_http_tgbot_ride_allowed(w->ctx.bot, &w->answer, 1)) {
        return NGX_DECLINED;
    }

    /* calls that followed it were not lost with the response */

    w->ack.ride = w->answer.calls.elts;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_webhook_stale(ngx_http_tgbot_webhook_t *w)
{
    time_t                    max_age;
    ngx_http_tgbot_update_t  *update;

    update = &w->update;
    max_age = w->ctx.bot->conf->max_age;

    if (max_age == 0
        || !update->has_date
        || ngx_time() - update->date <= max_age
        || ngx_http_tgbot_webhook_payment(update))
    {
        return NGX_OK;
    }

    w->ctx.verdict = NGX_HTTP_TGBOT_STALE;

    return NGX_DONE;
}


void
ngx_http_tgbot_webhook_unclaim(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t               rc;
    ngx_http_tgbot_seen_t  *seen;

    if (w->claim.lease.token == 0) {
        return;
    }

    seen = w->ctx.bot->seen;

    switch (w->ctx.verdict) {

    case NGX_HTTP_TGBOT_LIMITED:
        rc = w->ack.status ? ngx_http_tgbot_seen_forget(seen, &w->claim)
                           : ngx_http_tgbot_webhook_accept(w);
        break;

    case NGX_HTTP_TGBOT_DONE:
    case NGX_HTTP_TGBOT_QUEUED:
    case NGX_HTTP_TGBOT_STALE:
    case NGX_HTTP_TGBOT_IGNORED:
        rc = ngx_http_tgbot_webhook_accept(w);
        break;

    default:
        rc = ngx_http_tgbot_seen_release(seen, &w->claim, 0, w->charged);
    }

    w->claim.lease.token = 0;

    if (rc == NGX_OK) {
        return;
    }

    ngx_http_tgbot_job_taken_over(w->ctx.bot, w->update.update_id);

    if (w->after) {
        ngx_http_tgbot_job_cancel(w->after);
        w->after = NULL;
    }

    (void) ngx_http_tgbot_webhook_busy(w, 1, NGX_HTTP_TGBOT_WEBHOOK_RETRY);
}


static ngx_int_t
ngx_http_tgbot_webhook_accept(ngx_http_tgbot_webhook_t *w)
{
    ngx_http_tgbot_seen_t    *seen;
    ngx_http_tgbot_method_t  *ride;

    seen = w->ctx.bot->seen;
    ride = w->ack.ride;

    /* a reply is there again for a duplicate, these are not */

    if (w->keep && ride) {
        return ngx_http_tgbot_seen_accept(seen, &w->claim,
                                          &ride->content_type, &ride->body);
    }

    return ngx_http_tgbot_seen_accept(seen, &w->claim, NULL, NULL);
}
