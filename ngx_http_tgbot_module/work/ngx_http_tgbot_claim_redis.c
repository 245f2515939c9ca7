
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_claim_redis.h"
#include "ngx_http_tgbot_redis_args.h"
#include "ngx_http_tgbot_redis_lease.h"


/* how often a claim is sent to a Redis that knows no lease of this worker */
#define NGX_HTTP_TGBOT_CLAIM_REDIS_TRIES  3

/* time until a settlement without an outcome is repeated, ms */
#define NGX_HTTP_TGBOT_CLAIM_REDIS_REPEAT  1000


typedef enum {
    NGX_HTTP_TGBOT_CLAIM_TAKING = 0,     /* a reply is waited for */
    NGX_HTTP_TGBOT_CLAIM_HELD,           /* until it is settled */
    NGX_HTTP_TGBOT_CLAIM_SETTLING,       /* sent, or will be sent again */
    NGX_HTTP_TGBOT_CLAIM_OVER            /* the result is here */
} ngx_http_tgbot_claim_state_e;


/* lives until its owner has taken the result, or the owner has left */

struct ngx_http_tgbot_claim_redis_s {
    ngx_queue_t                      queue;     /* of the worker's claims */
    ngx_http_tgbot_redis_lease_t     lease;
    ngx_http_tgbot_redis_command_t   command;
    ngx_event_t                      repeat;

    ngx_http_tgbot_claim_state_e     state;
    ngx_int_t                        result;
    ngx_uint_t                       tries;
    ngx_msec_t                       since;     /* settling */

    void                           (*ready)(void *data);  /* NULL: the
                                                             owner left */
    void                            *data;

    /* of the reply to the claim */
    ngx_http_tgbot_dedup_claim_t     dedup;
    ngx_http_tgbot_method_t          kept;      /* inside ready() only */

    /* how it is settled */
    ngx_http_tgbot_claim_end_e       end;
    ngx_str_t                        ride;      /* type, LF and body */

    unsigned                         charged:1;
    unsigned                         unknown:1; /* it may be settled already */
};


static ngx_http_tgbot_claim_redis_t *ngx_http_tgbot_claim_redis_create(
    ngx_http_tgbot_claim_t *claim, int64_t update_id);
static ngx_int_t ngx_http_tgbot_claim_redis_ask(
    ngx_http_tgbot_claim_redis_t *cr);
static void ngx_http_tgbot_claim_redis_asked(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static ngx_uint_t ngx_http_tgbot_claim_redis_repeat(
    ngx_http_tgbot_claim_redis_t *cr);
static ngx_int_t ngx_http_tgbot_claim_redis_read(
    ngx_http_tgbot_claim_redis_t *cr, redisReply *reply);
static void ngx_http_tgbot_claim_redis_ride(ngx_http_tgbot_claim_redis_t *cr,
    redisReply *ride);
static ngx_int_t ngx_http_tgbot_claim_redis_begin(
    ngx_http_tgbot_claim_redis_t *cr, ngx_http_tgbot_claim_end_e end);
static void ngx_http_tgbot_claim_redis_keep(ngx_http_tgbot_claim_redis_t *cr,
    ngx_http_tgbot_method_t *ride);
static ngx_int_t ngx_http_tgbot_claim_redis_send(
    ngx_http_tgbot_claim_redis_t *cr);
static void ngx_http_tgbot_claim_redis_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static void ngx_http_tgbot_claim_redis_unsettled(
    ngx_http_tgbot_claim_redis_t *cr);
static void ngx_http_tgbot_claim_redis_again(ngx_event_t *ev);
static void ngx_http_tgbot_claim_redis_over(ngx_http_tgbot_claim_redis_t *cr,
    int64_t reply);
static void ngx_http_tgbot_claim_redis_tell(ngx_http_tgbot_claim_redis_t *cr);
static void ngx_http_tgbot_claim_redis_free(ngx_http_tgbot_claim_redis_t *cr);


static ngx_queue_t  ngx_http_tgbot_claims_redis;


void
ngx_http_tgbot_claim_redis_init_process(void)
{
    ngx_queue_init(&ngx_http_tgbot_claims_redis);
}


void
ngx_http_tgbot_claim_redis_abandon(void)
{
    ngx_queue_t                   *q, *next;
    ngx_http_tgbot_claim_redis_t  *cr;

    for (q = ngx_queue_head(&ngx_http_tgbot_claims_redis);
         q != ngx_queue_sentinel(&ngx_http_tgbot_claims_redis);
         q = next)
    {
        next = ngx_queue_next(q);

        cr = ngx_queue_data(q, ngx_http_tgbot_claim_redis_t, queue);

        if (cr->state != NGX_HTTP_TGBOT_CLAIM_HELD && cr->ready == NULL) {
            ngx_http_tgbot_claim_redis_free(cr);
        }
    }
}


ngx_int_t
ngx_http_tgbot_claim_redis_take(ngx_http_tgbot_claim_t *claim,
    int64_t update_id, ngx_http_tgbot_method_t *ride)
{
    ngx_int_t                      rc;
    ngx_http_tgbot_claim_redis_t  *cr;

    cr = claim->redis;

    if (cr == NULL) {
        cr = ngx_http_tgbot_claim_redis_create(claim, update_id);

        if (cr == NULL) {
            return NGX_ERROR;
        }

        if (ngx_http_tgbot_claim_redis_ask(cr) != NGX_OK) {
            ngx_http_tgbot_claim_redis_free(cr);
            return NGX_ERROR;
        }

        claim->redis = cr;
    }

    if (cr->state == NGX_HTTP_TGBOT_CLAIM_TAKING) {
        return NGX_AGAIN;
    }

    rc = cr->result;
    claim->dedup = cr->dedup;

    if (rc != NGX_OK) {
        *ride = cr->kept;

        claim->redis = NULL;
        ngx_http_tgbot_claim_redis_free(cr);
    }

    return rc;
}


static ngx_http_tgbot_claim_redis_t *
ngx_http_tgbot_claim_redis_create(ngx_http_tgbot_claim_t *claim,
    int64_t update_id)
{
    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_claim_redis_t  *cr;

    bot = claim->bot;

    cr = ngx_alloc(sizeof(ngx_http_tgbot_claim_redis_t), bot->clcf->error_log);
    if (cr == NULL) {
        return NULL;
    }

    ngx_memzero(cr, sizeof(ngx_http_tgbot_claim_redis_t));

    cr->ready = claim->ready;
    cr->data = claim->data;
    cr->command.data = cr;

    ngx_str_set(&cr->ride, "");

    cr->repeat.handler = ngx_http_tgbot_claim_redis_again;
    cr->repeat.data = cr;
    cr->repeat.log = bot->clcf->error_log;

    cr->dedup.update_id = update_id;
    cr->dedup.first = ngx_current_msec;

    cr->lease.bot = bot;
    cr->lease.kind = NGX_HTTP_TGBOT_REDIS_PENDING;
    cr->lease.number = ngx_http_tgbot_redis_lease_number();

    ngx_queue_insert_tail(&ngx_http_tgbot_claims_redis, &cr->queue);

    if (ngx_http_tgbot_redis_lease_hold(&cr->lease) != NGX_OK) {
        ngx_http_tgbot_claim_redis_free(cr);
        return NULL;
    }

    return cr;
}


static ngx_int_t
ngx_http_tgbot_claim_redis_ask(ngx_http_tgbot_claim_redis_t *cr)
{
    int64_t                       id;
    ngx_http_tgbot_bot_t         *bot;
    ngx_http_tgbot_redis_args_t   args;

    id = cr->dedup.update_id;
    bot = cr->lease.bot;

    ngx_http_tgbot_redis_args_init(&args, bot);

    ngx_http_tgbot_redis_args_key(&args, "meta");
    ngx_http_tgbot_redis_args_key(&args, "seen:0");
    ngx_http_tgbot_redis_args_key(&args, "seen:1");
    ngx_http_tgbot_redis_args_key(&args, "held");
    ngx_http_tgbot_redis_args_key(&args, "records");
    ngx_http_tgbot_redis_args_key(&args, "firsts");
    ngx_http_tgbot_redis_args_key(&args, "workers");
    ngx_http_tgbot_redis_args_key(&args, "ride:%uL",
                                  (uint64_t) id % NGX_HTTP_TGBOT_REDIS_RIDES);

    ngx_http_tgbot_redis_args_print(&args, "%L", id);
    ngx_http_tgbot_redis_args_print(&args, "%ui", bot->conf->dedup->window);
    ngx_http_tgbot_redis_args_text(&args, ngx_http_tgbot_redis_lease_worker());
    ngx_http_tgbot_redis_args_print(&args, "%uL", cr->lease.number);
    ngx_http_tgbot_redis_args_print(&args, "%d", NGX_HTTP_TGBOT_REDIS_RECORDS);
    ngx_http_tgbot_redis_args_print(&args, "%d", cr->command.durable);

    cr->command.done = ngx_http_tgbot_claim_redis_asked;

    return ngx_http_tgbot_redis_args_send(&args, &cr->command,
                                          &ngx_http_tgbot_redis_script_claim);
}


static void
ngx_http_tgbot_claim_redis_asked(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_claim_redis_t  *cr;

    cr = c->data;
    bot = cr->lease.bot;

    cr->result = (rc == NGX_HTTP_TGBOT_REDIS_OK)
                 ? ngx_http_tgbot_claim_redis_read(cr, reply)
                 : NGX_ERROR;

    if (ngx_http_tgbot_claim_redis_repeat(cr)) {
        return;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, bot->clcf->error_log, 0,
                   "tgbot bot \"%V\", update %L: claim in Redis %i",
                   &bot->name, cr->dedup.update_id, cr->result);

    if (cr->result == NGX_OK) {
        cr->lease.kind = NGX_HTTP_TGBOT_REDIS_CLAIM;
        cr->lease.id = cr->dedup.update_id;

        if (cr->ready == NULL) {
            (void) ngx_http_tgbot_claim_redis_begin(cr,
                                                NGX_HTTP_TGBOT_CLAIM_RELEASE);
            return;
        }

        cr->state = NGX_HTTP_TGBOT_CLAIM_HELD;

    } else {
        ngx_http_tgbot_redis_lease_end(&cr->lease);

        if (rc == NGX_HTTP_TGBOT_REDIS_UNKNOWN) {

            /* it may be claimed, and the beat does not name it */

            ngx_http_tgbot_redis_lease_beat(bot);
        }

        cr->state = NGX_HTTP_TGBOT_CLAIM_OVER;
    }

    ngx_http_tgbot_claim_redis_tell(cr);
}


/* whether the claim was sent again, and its reply is waited for */

static ngx_uint_t
ngx_http_tgbot_claim_redis_repeat(ngx_http_tgbot_claim_redis_t *cr)
{
    ngx_http_tgbot_bot_t        *bot;
    ngx_http_tgbot_main_conf_t  *tmcf;

    bot = cr->lease.bot;
    tmcf = ngx_http_get_module_main_conf(bot->ctx, ngx_http_tgbot_module);

    if (cr->result == NGX_AGAIN) {

        /* the beat before it came too late */

        ngx_http_tgbot_redis_lease_beat(bot);

        cr->command.durable = 0;
        cr->tries++;

    } else if (cr->result == NGX_DECLINED
               && tmcf->redis->replicas
               && !cr->command.durable)
    {
        /* a duplicate is answered 200, so the replicas must have it, too */

        cr->command.durable = 1;

        ngx_memzero(&cr->kept, sizeof(ngx_http_tgbot_method_t));

    } else {
        return 0;
    }

    cr->result = NGX_ERROR;

    return cr->tries < NGX_HTTP_TGBOT_CLAIM_REDIS_TRIES
           && ngx_http_tgbot_claim_redis_ask(cr) == NGX_OK;
}


/* the result of take(); NGX_AGAIN: ask again, after a beat */

static ngx_int_t
ngx_http_tgbot_claim_redis_read(ngx_http_tgbot_claim_redis_t *cr,
    redisReply *reply)
{
    int64_t                        age;
    ngx_http_tgbot_dedup_claim_t  *dedup;

    dedup = &cr->dedup;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
        return NGX_ERROR;
    }

    age = ngx_http_tgbot_redis_args_number(reply, 1);

    switch (ngx_http_tgbot_redis_args_number(reply, 0)) {

    case 0:
        if (reply->elements > 1) {
            ngx_http_tgbot_claim_redis_ride(cr, reply->element[1]);
        }

        return NGX_DECLINED;

    case 1:
        if (ngx_http_tgbot_redis_args_number(reply, 4) < 0) {
            return NGX_ERROR;
        }

        dedup->first = ngx_current_msec - (ngx_msec_t) age;
        dedup->attempts = ngx_http_tgbot_redis_args_number(reply, 2);
        dedup->charged = ngx_http_tgbot_redis_args_number(reply, 3) != 0;
        dedup->rebased = ngx_http_tgbot_redis_args_number(reply, 4) != 0;

        if (!ngx_http_tgbot_redis_lease_holds(&cr->lease)) {
            return NGX_ERROR;
        }

        /* it is settled only if it is taken */

        dedup->lease.token = cr->lease.number;

        return NGX_OK;

    case 2:
        if (age < 0) {
            return NGX_ERROR;
        }

        dedup->first = ngx_current_msec - (ngx_msec_t) age;

        return NGX_BUSY;

    case 3:
        return NGX_ABORT;

    case 4:
        return NGX_AGAIN;

    default:
        return NGX_ERROR;
    }
}


static void
ngx_http_tgbot_claim_redis_ride(ngx_http_tgbot_claim_redis_t *cr,
    redisReply *ride)
{
    char  *p;

    p = (ride->type == REDIS_REPLY_STRING) ? memchr(ride->str, LF, ride->len)
                                           : NULL;
    if (p == NULL) {
        return;
    }

    cr->kept.content_type.data = (u_char *) ride->str;
    cr->kept.content_type.len = p - ride->str;

    p++;

    cr->kept.body.data = (u_char *) p;
    cr->kept.body.len = ride->str + ride->len - p;
}


ngx_uint_t
ngx_http_tgbot_claim_redis_holds(ngx_http_tgbot_claim_t *claim)
{
    /* a claim that is being settled has its own result */

    if (claim->redis->state != NGX_HTTP_TGBOT_CLAIM_HELD
        || ngx_http_tgbot_redis_lease_holds(&claim->redis->lease))
    {
        return 1;
    }

    ngx_http_tgbot_claim_redis_free(claim->redis);
    claim->redis = NULL;

    return 0;
}


ngx_int_t
ngx_http_tgbot_claim_redis_settle(ngx_http_tgbot_claim_t *claim,
    ngx_http_tgbot_claim_end_e end, ngx_http_tgbot_method_t *ride)
{
    ngx_int_t                      rc;
    ngx_http_tgbot_claim_redis_t  *cr;

    cr = claim->redis;

    cr->ready = claim->ready;
    cr->data = claim->data;

    switch (cr->state) {

    case NGX_HTTP_TGBOT_CLAIM_TAKING:

        /* it is released when the reply is here */

        cr->ready = NULL;
        rc = NGX_OK;
        break;

    case NGX_HTTP_TGBOT_CLAIM_HELD:
        cr->charged = claim->dedup.charged;

        if (end == NGX_HTTP_TGBOT_CLAIM_ACCEPT && ride) {
            ngx_http_tgbot_claim_redis_keep(cr, ride);
        }

        rc = ngx_http_tgbot_claim_redis_begin(cr, end);
        break;

    case NGX_HTTP_TGBOT_CLAIM_SETTLING:
        rc = NGX_BUSY;
        break;

    default: /* NGX_HTTP_TGBOT_CLAIM_OVER */
        rc = cr->result;
        ngx_http_tgbot_claim_redis_free(cr);
    }

    if (rc == NGX_AGAIN || rc == NGX_BUSY) {

        if (claim->ready) {
            return rc;
        }

        rc = NGX_OK;
    }

    claim->redis = NULL;

    return rc;
}


/* sends how the claim ends; NGX_AGAIN, or NGX_BUSY: Redis is away */

static ngx_int_t
ngx_http_tgbot_claim_redis_begin(ngx_http_tgbot_claim_redis_t *cr,
    ngx_http_tgbot_claim_end_e end)
{
    cr->end = end;
    cr->since = ngx_current_msec;
    cr->state = NGX_HTTP_TGBOT_CLAIM_SETTLING;

    if (ngx_http_tgbot_claim_redis_send(cr) == NGX_OK) {
        return NGX_AGAIN;
    }

    ngx_add_timer(&cr->repeat, NGX_HTTP_TGBOT_CLAIM_REDIS_REPEAT);

    return NGX_BUSY;
}


/* without memory, or if it is too large, the call rides once */

static void
ngx_http_tgbot_claim_redis_keep(ngx_http_tgbot_claim_redis_t *cr,
    ngx_http_tgbot_method_t *ride)
{
    u_char  *p;
    size_t   len;

    len = ride->content_type.len + ride->body.len;

    if (len > NGX_HTTP_TGBOT_DEDUP_RIDE) {
        return;
    }

    p = ngx_alloc(len + 1, cr->lease.bot->clcf->error_log);
    if (p == NULL) {
        return;
    }

    cr->ride.len = len + 1;
    cr->ride.data = p;

    p = ngx_cpymem(p, ride->content_type.data, ride->content_type.len);
    *p++ = LF;
    ngx_memcpy(p, ride->body.data, ride->body.len);
}


static ngx_int_t
ngx_http_tgbot_claim_redis_send(ngx_http_tgbot_claim_redis_t *cr)
{
    u_char                        token[NGX_HTTP_TGBOT_REDIS_TOKEN_LEN + 1];
    int64_t                       id;
    ngx_http_tgbot_bot_t         *bot;
    ngx_http_tgbot_redis_args_t   args;

    static const char  *ends[] = {
        [NGX_HTTP_TGBOT_CLAIM_RELEASE] = "release",
        [NGX_HTTP_TGBOT_CLAIM_FAIL] = "release",
        [NGX_HTTP_TGBOT_CLAIM_ACCEPT] = "accept",
        [NGX_HTTP_TGBOT_CLAIM_FORGET] = "forget"
    };

    id = cr->dedup.update_id;
    bot = cr->lease.bot;

    *ngx_http_tgbot_redis_lease_token(token, cr->dedup.lease.token) = '\0';

    ngx_http_tgbot_redis_args_init(&args, bot);

    ngx_http_tgbot_redis_args_key(&args, "meta");
    ngx_http_tgbot_redis_args_key(&args, "seen:0");
    ngx_http_tgbot_redis_args_key(&args, "seen:1");
    ngx_http_tgbot_redis_args_key(&args, "held");
    ngx_http_tgbot_redis_args_key(&args, "records");
    ngx_http_tgbot_redis_args_key(&args, "firsts");
    ngx_http_tgbot_redis_args_key(&args, "ride:%uL",
                                  (uint64_t) id % NGX_HTTP_TGBOT_REDIS_RIDES);

    ngx_http_tgbot_redis_args_print(&args, "%L", id);
    ngx_http_tgbot_redis_args_print(&args, "%ui", bot->conf->dedup->window);
    ngx_http_tgbot_redis_args_print(&args, "%s", token);
    ngx_http_tgbot_redis_args_print(&args, "%s", ends[cr->end]);
    ngx_http_tgbot_redis_args_print(&args, "%d",
                                    cr->end == NGX_HTTP_TGBOT_CLAIM_FAIL);
    ngx_http_tgbot_redis_args_print(&args, "%d", cr->charged);
    ngx_http_tgbot_redis_args_text(&args, &cr->ride);

    cr->command.durable = (cr->end == NGX_HTTP_TGBOT_CLAIM_ACCEPT);
    cr->command.done = ngx_http_tgbot_claim_redis_done;

    return ngx_http_tgbot_redis_args_send(&args, &cr->command,
                                          &ngx_http_tgbot_redis_script_unclaim);
}


static void
ngx_http_tgbot_claim_redis_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    ngx_http_tgbot_claim_redis_t  *cr;

    cr = c->data;

    if (rc != NGX_HTTP_TGBOT_REDIS_OK || reply->type != REDIS_REPLY_INTEGER) {

        if (rc == NGX_HTTP_TGBOT_REDIS_UNKNOWN) {
            cr->unknown = 1;
        }

        ngx_http_tgbot_claim_redis_unsettled(cr);
        return;
    }

    ngx_http_tgbot_claim_redis_over(cr, reply->integer);
}


/*
 * Repeats it until there is an outcome or the claim is another worker's; who
 * waits is told that there is none so far.
 */

static void
ngx_http_tgbot_claim_redis_unsettled(ngx_http_tgbot_claim_redis_t *cr)
{
    if (ngx_current_msec - cr->since >= cr->lease.bot->lease) {
        ngx_http_tgbot_claim_redis_over(cr, 0);
        return;
    }

    ngx_add_timer(&cr->repeat, NGX_HTTP_TGBOT_CLAIM_REDIS_REPEAT);

    ngx_http_tgbot_claim_redis_tell(cr);
}


static void
ngx_http_tgbot_claim_redis_again(ngx_event_t *ev)
{
    ngx_http_tgbot_claim_redis_t  *cr;

    cr = ev->data;

    if (ngx_http_tgbot_claim_redis_send(cr) != NGX_OK) {
        ngx_http_tgbot_claim_redis_unsettled(cr);
    }
}


/* "reply" is that of redis_unclaim.lua */

static void
ngx_http_tgbot_claim_redis_over(ngx_http_tgbot_claim_redis_t *cr,
    int64_t reply)
{
    int64_t  own;

    /* what the first run leaves behind, if its reply was lost */

    own = (cr->end == NGX_HTTP_TGBOT_CLAIM_ACCEPT) ? 2 : 0;

    cr->result = (reply == 1 || (cr->unknown && reply == own)) ? NGX_OK
                                                              : NGX_DECLINED;
    cr->state = NGX_HTTP_TGBOT_CLAIM_OVER;

    ngx_http_tgbot_redis_lease_end(&cr->lease);

    ngx_http_tgbot_claim_redis_tell(cr);
}


/* the structure may be freed when this returns */

static void
ngx_http_tgbot_claim_redis_tell(ngx_http_tgbot_claim_redis_t *cr)
{
    if (cr->ready) {
        cr->ready(cr->data);

    } else if (cr->state == NGX_HTTP_TGBOT_CLAIM_OVER) {
        ngx_http_tgbot_claim_redis_free(cr);
    }
}


static void
ngx_http_tgbot_claim_redis_free(ngx_http_tgbot_claim_redis_t *cr)
{
    ngx_http_tgbot_redis_cancel(&cr->command);
    ngx_http_tgbot_redis_lease_end(&cr->lease);

    if (cr->repeat.timer_set) {
        ngx_del_timer(&cr->repeat);
    }

    ngx_queue_remove(&cr->queue);

    if (cr->ride.len) {
        ngx_free(cr->ride.data);
    }

    ngx_free(cr);
}
