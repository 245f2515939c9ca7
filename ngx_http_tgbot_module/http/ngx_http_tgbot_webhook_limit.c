
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_ride.h"
#include "ngx_http_tgbot_webhook.h"


static ngx_uint_t ngx_http_tgbot_webhook_unlimited(
    ngx_http_tgbot_update_t *update);
static ngx_int_t ngx_http_tgbot_webhook_take(ngx_http_tgbot_webhook_t *w,
    ngx_uint_t i, ngx_str_t *key, ngx_http_tgbot_bucket_result_t *result);
static ngx_int_t ngx_http_tgbot_webhook_refuse(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_limit_t *limit, ngx_http_tgbot_bucket_result_t *result);
static ngx_int_t ngx_http_tgbot_webhook_notice(ngx_http_tgbot_webhook_t *w,
    ngx_str_t *text);
static ngx_uint_t ngx_http_tgbot_webhook_is(ngx_str_t *s, ngx_str_t *names);


static ngx_str_t  ngx_http_tgbot_webhook_payment_types[] = {
    ngx_string("pre_checkout_query"),
    ngx_string("shipping_query"),
    ngx_string("purchased_paid_media"),
    ngx_null_string
};

static ngx_str_t  ngx_http_tgbot_webhook_payment_kinds[] = {
    ngx_string("successful_payment"),
    ngx_string("refunded_payment"),
    ngx_null_string
};


/* takes a token of each limit, or of none */

ngx_int_t
ngx_http_tgbot_webhook_limit(ngx_http_tgbot_webhook_t *w)
{
    ngx_int_t                        rc;
    ngx_str_t                       *keys;
    ngx_uint_t                       i;
    ngx_array_t                     *limits;
    ngx_http_tgbot_bot_t            *bot;
    ngx_http_tgbot_limit_t          *limit;
    ngx_http_tgbot_bucket_result_t   result;

    bot = w->ctx.bot;
    limits = bot->conf->limits;

    /* a delivery that comes again has paid */

    if (limits == NULL || w->charged
        || ngx_http_tgbot_webhook_unlimited(&w->update))
    {
        return NGX_OK;
    }

    limit = limits->elts;

    keys = ngx_pcalloc(w->request->pool, limits->nelts * sizeof(ngx_str_t));
    if (keys == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < limits->nelts; i++) {

        rc = ngx_http_complex_value(w->request, limit[i].key, &keys[i]);

        if (rc == NGX_OK) {
            rc = ngx_http_tgbot_webhook_take(w, i, &keys[i], &result);
        }

        if (rc == NGX_OK) {
            continue;
        }

        while (i-- > 0) {
            if (keys[i].len) {
                ngx_http_tgbot_bucket_give(&bot->buckets[i], &keys[i],
                                           ngx_current_msec);
            }
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }

        break;
    }

    w->charged = 1;

    return NGX_OK;
}


/* NGX_DECLINED: it would be refused in earnest, and is dealt with alike */

static ngx_int_t
ngx_http_tgbot_webhook_take(ngx_http_tgbot_webhook_t *w, ngx_uint_t i,
    ngx_str_t *key, ngx_http_tgbot_bucket_result_t *result)
{
    ngx_uint_t               dry_run;
    ngx_http_tgbot_bot_t    *bot;
    ngx_http_tgbot_limit_t  *limit;

    if (key->len == 0) {
        return NGX_OK;
    }

    bot = w->ctx.bot;
    limit = bot->conf->limits->elts;
    limit = &limit[i];
    dry_run = bot->conf->limit_dry_run;

    if (ngx_http_tgbot_bucket_take(&bot->buckets[i], key, ngx_current_msec,
                                   result)
        == NGX_OK)
    {
        ngx_http_tgbot_stats_limit(bot->stats, i, NGX_HTTP_TGBOT_LIMIT_PASSED);
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, w->request->connection->log, 0,
                  "tgbot: bot \"%V\", update %L is %s by zone \"%V\"%s",
                  &bot->name, w->update.update_id,
                  limit->reject ? "rejected" : "dropped",
                  &limit->zone->shm_zone->shm.name,
                  dry_run ? ", dry run" : "");

    if (dry_run) {
        ngx_http_tgbot_stats_limit(bot->stats, i, limit->reject
                                   ? NGX_HTTP_TGBOT_LIMIT_REJECTED_DRY_RUN
                                   : NGX_HTTP_TGBOT_LIMIT_DROPPED_DRY_RUN);

        return NGX_DECLINED;
    }

    ngx_http_tgbot_stats_limit(bot->stats, i, limit->reject
                                              ? NGX_HTTP_TGBOT_LIMIT_REJECTED
                                              : NGX_HTTP_TGBOT_LIMIT_DROPPED);

    return ngx_http_tgbot_webhook_refuse(w, limit, result);
}


static ngx_int_t
ngx_http_tgbot_webhook_refuse(ngx_http_tgbot_webhook_t *w,
    ngx_http_tgbot_limit_t *limit, ngx_http_tgbot_bucket_result_t *result)
{
    ngx_uint_t  seconds;

    w->ctx.verdict = NGX_HTTP_TGBOT_LIMITED;

    if (limit->reject) {
        seconds = (result->wait + 999) / 1000;

        w->ack.status = NGX_HTTP_TOO_MANY_REQUESTS;
        w->ack.retry_min = seconds;
        w->ack.retry_max = seconds + seconds / 4;

        return NGX_DONE;
    }

    if (limit->reply.len && result->first) {
        return ngx_http_tgbot_webhook_notice(w, &limit->reply);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_tgbot_webhook_notice(ngx_http_tgbot_webhook_t *w, ngx_str_t *text)
{
    ngx_int_t              rc;
    ngx_http_request_t    *r;
    ngx_http_tgbot_bot_t  *bot;

    r = w->request;
    bot = w->ctx.bot;

    rc = ngx_http_tgbot_answer_text(&w->answer, text, &w->update, r->pool);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_DONE : NGX_ERROR;
    }

    if (ngx_http_tgbot_ride_allowed(bot, &w->answer, 1)) {
        w->ack.ride = w->answer.calls.elts;
        w->keep = 1;

        return NGX_DONE;
    }

    w->after = ngx_http_tgbot_job_create(bot, r, &w->ctx, w->body);

    if (w->after == NULL) {
        return NGX_DONE;
    }

    if (ngx_http_tgbot_job_answer(w->after, &w->answer, 0) != NGX_OK) {
        w->after = NULL;
        return NGX_ERROR;
    }

    w->after->acked = 1;
    w->after->notice = 1;

    return NGX_DONE;
}


static ngx_uint_t
ngx_http_tgbot_webhook_unlimited(ngx_http_tgbot_update_t *update)
{
    /* a bot that misses that it was blocked goes on sending */

    static ngx_str_t  members[] = {
        ngx_string("my_chat_member"),
        ngx_null_string
    };

    return ngx_http_tgbot_webhook_payment(update)
           || ngx_http_tgbot_webhook_is(&update->type, members);
}


ngx_uint_t
ngx_http_tgbot_webhook_payment(ngx_http_tgbot_update_t *update)
{
    return ngx_http_tgbot_webhook_is(&update->type,
                                     ngx_http_tgbot_webhook_payment_types)
           || ngx_http_tgbot_webhook_is(&update->message_kind,
                                        ngx_http_tgbot_webhook_payment_kinds);
}


static ngx_uint_t
ngx_http_tgbot_webhook_is(ngx_str_t *s, ngx_str_t *names)
{
    for ( /* void */ ; names->len; names++) {

        if (s->len == names->len
            && ngx_strncmp(s->data, names->data, s->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
