
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_broadcast_route.h"
#include "ngx_http_tgbot_call.h"
#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_gateway.h"
#include "ngx_http_tgbot_register.h"
#include "ngx_http_tgbot_replay.h"
#include "ngx_http_tgbot_secret.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_variables.h"
#include "ngx_http_tgbot_webhook.h"
#include "ngx_http_tgbot_worker.h"
#include "ngx_http_tgbot_zone_file.h"


static void *ngx_http_tgbot_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_tgbot_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_tgbot_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_tgbot_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_tgbot_merge_location(ngx_conf_t *cf,
    ngx_http_tgbot_loc_conf_t *prev, ngx_http_tgbot_loc_conf_t *conf,
    ngx_http_core_loc_conf_t *clcf);
static void ngx_http_tgbot_merge_handler(ngx_http_tgbot_loc_conf_t *conf,
    ngx_http_core_loc_conf_t *clcf);
static char *ngx_http_tgbot_merge_bot(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_tgbot_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_tgbot_init_process(ngx_cycle_t *cycle);
static void ngx_http_tgbot_exit_process(ngx_cycle_t *cycle);
static void ngx_http_tgbot_exit_master(ngx_cycle_t *cycle);
static ngx_http_tgbot_main_conf_t *ngx_http_tgbot_worker_conf(
    ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_tgbot_commands[] = {

    { ngx_string("tgbot_webhook"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_tgbot_conf_webhook,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_token"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, token),
      &ngx_http_tgbot_secret_token_shape },

    { ngx_string("tgbot_token_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_secret_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, token),
      NULL },

    { ngx_string("tgbot_secret_token"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_tgbot_conf_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, secret),
      &ngx_http_tgbot_secret_shape },

    { ngx_string("tgbot_secret_token_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_secret_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, secret),
      NULL },

    { ngx_string("tgbot_reply"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_tgbot_conf_reply,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_handler"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_uri,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, handler),
      NULL },

    { ngx_string("tgbot_api"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_tgbot_conf_uri,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, api),
      NULL },

    { ngx_string("tgbot_reply_via"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_value,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, reply_via),
      &ngx_http_tgbot_conf_reply_via },

    { ngx_string("tgbot_hold_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_value,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, hold_timeout),
      &ngx_http_tgbot_conf_hold_timeout },

    { ngx_string("tgbot_call_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_value,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, call_timeout),
      &ngx_http_tgbot_conf_call_timeout },

    { ngx_string("tgbot_retry"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, retry),
      &ngx_http_tgbot_conf_retry },

    { ngx_string("tgbot_retry_on"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_retry_on,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_response_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_value,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, response_size),
      &ngx_http_tgbot_conf_response_size },

    { ngx_string("tgbot_dedup"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_dedup,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, dedup),
      &ngx_http_tgbot_conf_dedup_directive },

    { ngx_string("tgbot_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_limit_dry_run"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, limit_dry_run),
      NULL },

    { ngx_string("tgbot_cache"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, cache),
      &ngx_http_tgbot_conf_cache },

    { ngx_string("tgbot_queue"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, queue),
      &ngx_http_tgbot_conf_queue },

    { ngx_string("tgbot_dead_letters"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, dead),
      &ngx_http_tgbot_conf_dead_letters },

    { ngx_string("tgbot_pace"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, pace),
      &ngx_http_tgbot_conf_pace },

    { ngx_string("tgbot_attempts"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, attempts),
      &ngx_http_tgbot_conf_attempts },

    { ngx_string("tgbot_max_age"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_value,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, max_age),
      &ngx_http_tgbot_conf_max_age },

    { ngx_string("tgbot_log"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_value,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, log),
      &ngx_http_tgbot_conf_log },

    { ngx_string("tgbot_register"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, reg),
      &ngx_http_tgbot_conf_register },

    { ngx_string("tgbot_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, status),
      &ngx_http_tgbot_conf_status },

    { ngx_string("tgbot_gateway"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, gateway),
      &ngx_http_tgbot_conf_gateway },

    { ngx_string("tgbot_broadcast"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE23,
      ngx_http_tgbot_conf_object,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, broadcast),
      &ngx_http_tgbot_conf_broadcast },

    { ngx_string("tgbot_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_redis_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_state"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_directory,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_tgbot_main_conf_t, state),
      NULL },

    { ngx_string("tgbot_max_calls"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_value,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_tgbot_main_conf_t, max_calls),
      &ngx_http_tgbot_conf_max_calls },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_tgbot_module_ctx = {
    ngx_http_tgbot_variables_add,          /* preconfiguration */
    ngx_http_tgbot_postconfiguration,      /* postconfiguration */

    ngx_http_tgbot_create_main_conf,       /* create main configuration */
    ngx_http_tgbot_init_main_conf,         /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_tgbot_create_loc_conf,        /* create location configuration */
    ngx_http_tgbot_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_tgbot_module = {
    NGX_MODULE_V1,
    &ngx_http_tgbot_module_ctx,            /* module context */
    ngx_http_tgbot_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_tgbot_init_module,            /* init module */
    ngx_http_tgbot_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_tgbot_exit_process,           /* exit process */
    ngx_http_tgbot_exit_master,            /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_tgbot_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_main_conf_t));
    if (tmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&tmcf->bots, cf->pool, 4,
                       sizeof(ngx_http_tgbot_bot_t *))
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&tmcf->tokens, cf->pool, 4,
                       sizeof(ngx_http_tgbot_redact_token_t))
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&tmcf->zones, cf->pool, 4,
                       sizeof(ngx_http_tgbot_zone_t *))
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&tmcf->broadcasts, cf->pool, 1,
                       sizeof(ngx_http_tgbot_broadcast_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    tmcf->redis = NGX_CONF_UNSET_PTR;
    tmcf->max_calls = NGX_CONF_UNSET_UINT;

    return tmcf;
}


static char *
ngx_http_tgbot_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_tgbot_main_conf_t *tmcf = conf;

    ngx_http_tgbot_conf_pace_buckets(&ngx_http_tgbot_conf_pace_default);

    ngx_conf_init_ptr_value(tmcf->redis, NULL);
    ngx_conf_init_uint_value(tmcf->max_calls, 256);

    return NGX_CONF_OK;
}


static void *
ngx_http_tgbot_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_tgbot_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->bot = NULL;
     *     conf->api_unset = 0;
     *     conf->retry_on = 0;
     */

    conf->token = NGX_CONF_UNSET_PTR;
    conf->secret = NGX_CONF_UNSET_PTR;
    conf->replies = NGX_CONF_UNSET_PTR;
    conf->handler = NGX_CONF_UNSET_PTR;
    conf->api = NGX_CONF_UNSET_PTR;
    conf->reply_via = NGX_CONF_UNSET_UINT;
    conf->hold_timeout = NGX_CONF_UNSET_MSEC;
    conf->call_timeout = NGX_CONF_UNSET_MSEC;
    conf->retry = NGX_CONF_UNSET_PTR;
    conf->response_size = NGX_CONF_UNSET_SIZE;
    conf->dedup = NGX_CONF_UNSET_PTR;
    conf->limits = NGX_CONF_UNSET_PTR;
    conf->limit_dry_run = NGX_CONF_UNSET;
    conf->cache = NGX_CONF_UNSET_PTR;
    conf->attempts = NGX_CONF_UNSET_PTR;
    conf->queue = NGX_CONF_UNSET_PTR;
    conf->dead = NGX_CONF_UNSET_PTR;
    conf->pace = NGX_CONF_UNSET_PTR;
    conf->max_age = NGX_CONF_UNSET;
    conf->reg = NGX_CONF_UNSET_PTR;
    conf->log = NGX_CONF_UNSET_PTR;
    conf->status = NGX_CONF_UNSET_PTR;
    conf->gateway = NGX_CONF_UNSET_PTR;
    conf->broadcast = NGX_CONF_UNSET_PTR;

    return conf;
}


static char *
ngx_http_tgbot_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_tgbot_loc_conf_t *prev = parent;
    ngx_http_tgbot_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_ptr_value(conf->token, prev->token, NULL);
    ngx_conf_merge_ptr_value(conf->secret, prev->secret, NULL);
    ngx_conf_merge_ptr_value(conf->replies, prev->replies, NULL);
    ngx_conf_merge_ptr_value(conf->handler, prev->handler, NULL);
    conf->api_unset = (conf->api == NGX_CONF_UNSET_PTR
                       && (prev->api == NGX_CONF_UNSET_PTR
                           || prev->api_unset));
    ngx_conf_merge_ptr_value(conf->api, prev->api, NULL);
    ngx_conf_merge_uint_value(conf->reply_via, prev->reply_via,
                              NGX_HTTP_TGBOT_VIA_AUTO);
    ngx_conf_merge_msec_value(conf->hold_timeout, prev->hold_timeout, 50000);
    ngx_conf_merge_msec_value(conf->call_timeout, prev->call_timeout, 600000);
    ngx_conf_merge_ptr_value(conf->retry, prev->retry,
                             &ngx_http_tgbot_conf_retry_default);
    ngx_conf_merge_bitmask_value(conf->retry_on, prev->retry_on,
                                 (NGX_CONF_BITMASK_SET
                                  |NGX_HTTP_TGBOT_RETRY_ON_429
                                  |NGX_HTTP_TGBOT_RETRY_ON_5XX
                                  |NGX_HTTP_TGBOT_RETRY_ON_ERROR
                                  |NGX_HTTP_TGBOT_RETRY_ON_TIMEOUT));
    ngx_conf_merge_size_value(conf->response_size, prev->response_size,
                              NGX_HTTP_TGBOT_METHOD_SIZE);

    ngx_conf_merge_ptr_value(conf->dedup, prev->dedup,
                             &ngx_http_tgbot_conf_dedup_default);
    ngx_conf_merge_ptr_value(conf->limits, prev->limits, NULL);
    ngx_conf_merge_value(conf->limit_dry_run, prev->limit_dry_run, 0);
    ngx_conf_merge_ptr_value(conf->cache, prev->cache, NULL);
    ngx_conf_merge_ptr_value(conf->attempts, prev->attempts,
                             &ngx_http_tgbot_conf_attempts_default);
    ngx_conf_merge_ptr_value(conf->queue, prev->queue, NULL);
    ngx_conf_merge_ptr_value(conf->dead, prev->dead,
                             &ngx_http_tgbot_conf_dead_default);
    ngx_conf_merge_ptr_value(conf->pace, prev->pace,
                             &ngx_http_tgbot_conf_pace_default);
    ngx_conf_merge_sec_value(conf->max_age, prev->max_age, 0);
    ngx_conf_merge_ptr_value(conf->reg, prev->reg, NULL);
    ngx_conf_merge_ptr_value(conf->log, prev->log, NULL);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (ngx_http_tgbot_merge_location(cf, prev, conf, clcf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    /* core has been merged before: keep each update's body in memory */

    if (conf->bot) {
        clcf->client_body_in_file_only = 0;
        clcf->client_body_buffer_size = ngx_max(clcf->client_body_buffer_size,
                                                NGX_HTTP_TGBOT_CONF_BODY_SIZE);
    }

    return NGX_CONF_OK;
}


/* directives whose location is theirs; blocks in it inherit them */

static char *
ngx_http_tgbot_merge_location(ngx_conf_t *cf, ngx_http_tgbot_loc_conf_t *prev,
    ngx_http_tgbot_loc_conf_t *conf, ngx_http_core_loc_conf_t *clcf)
{
    ngx_conf_init_ptr_value(conf->status, clcf->noname ? prev->status : NULL);
    ngx_conf_init_ptr_value(conf->gateway, clcf->noname ? prev->gateway
                                                        : NULL);
    ngx_conf_init_ptr_value(conf->broadcast,
                            clcf->noname ? prev->broadcast : NULL);

    if (clcf->noname) {
        conf->bot = prev->bot;
        ngx_http_tgbot_merge_handler(conf, clcf);

    } else if ((conf->status
                && ngx_http_tgbot_conf_check_status(cf, conf->status, clcf)
                   != NGX_CONF_OK)
               || (conf->bot
                   && ngx_http_tgbot_merge_bot(cf, conf->bot) != NGX_CONF_OK))
    {
        return NGX_CONF_ERROR;
    }

    if (conf->gateway
        && ngx_http_tgbot_conf_gateway_merge(cf, conf->gateway, clcf)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->broadcast
        && ngx_http_tgbot_conf_check_broadcast(cf, conf, clcf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* without a handler, limit_except would serve a static file */

static void
ngx_http_tgbot_merge_handler(ngx_http_tgbot_loc_conf_t *conf,
    ngx_http_core_loc_conf_t *clcf)
{
    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = conf->status ? ngx_http_tgbot_status_handler
                        : conf->bot ? ngx_http_tgbot_webhook_handler
                        : conf->gateway ? ngx_http_tgbot_gateway_handler
                        : conf->broadcast
                        ? ngx_http_tgbot_broadcast_route_handler
                        : NULL;
    }
}


static char *
ngx_http_tgbot_merge_bot(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    if (ngx_http_tgbot_conf_check(cf, bot) != NGX_CONF_OK
        || ngx_http_tgbot_conf_reg(cf, bot) != NGX_CONF_OK
        || ngx_http_tgbot_conf_memory(cf, bot) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_tgbot_postconfiguration(ngx_conf_t *cf)
{
    if (ngx_http_tgbot_conf_registry(cf) != NGX_OK
        || ngx_http_tgbot_conf_dead(cf) != NGX_OK
        || ngx_http_tgbot_conf_broadcasts(cf) != NGX_OK
        || ngx_http_tgbot_conf_pace_zone(cf) != NGX_OK
        || ngx_http_tgbot_conf_check_zones(cf) != NGX_OK
        || ngx_http_tgbot_conf_redis_init(cf) != NGX_OK
        || ngx_http_tgbot_conf_files(cf) != NGX_OK
        || ngx_http_tgbot_conf_gateways(cf) != NGX_OK
        || ngx_http_tgbot_conf_paces(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_tgbot_conf_shown(cf);
    ngx_http_tgbot_conf_locations(cf);

    return ngx_http_tgbot_call_postconfiguration(cf);
}


static ngx_int_t
ngx_http_tgbot_init_module(ngx_cycle_t *cycle)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_tgbot_module);

    if (tmcf == NULL) {
        return NGX_OK;
    }

    ngx_http_tgbot_zone_init_module(&tmcf->zones);

    if (tmcf->bots.nelts) {
        tmcf->bell = ngx_http_tgbot_bell_create(cycle);

        if (tmcf->bell == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_tgbot_zone_file_started(cycle, &tmcf->zones) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_replay_init_module(tmcf);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_bot_t        **bots;
    ngx_http_tgbot_main_conf_t   *tmcf;

    tmcf = ngx_http_tgbot_worker_conf(cycle);

    if (tmcf == NULL) {
        return NGX_OK;
    }

    ngx_http_tgbot_zone_init_process(&tmcf->zones);
    ngx_http_tgbot_zone_file_init_process(cycle, &tmcf->zones);

    if (ngx_http_tgbot_lease_init_process(tmcf->leases, cycle->log) != NGX_OK) {
        return NGX_ERROR;
    }

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {
        ngx_http_tgbot_stats_init_process(bots[i]->stats);
    }

    if (ngx_http_tgbot_worker_init(cycle, tmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_register_init_process(cycle, tmcf);
}


static void
ngx_http_tgbot_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_tgbot_worker_conf(cycle)) {
        ngx_http_tgbot_register_exit_process();
        ngx_http_tgbot_worker_exit(cycle);
        ngx_http_tgbot_zone_file_exit_process();
        ngx_http_tgbot_lease_exit_process();
    }
}


static void
ngx_http_tgbot_exit_master(ngx_cycle_t *cycle)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_tgbot_module);

    if (tmcf) {
        ngx_http_tgbot_zone_file_exit_master(&tmcf->zones);
    }
}


/* NULL if the process is not a worker or the configuration has no webhook */

static ngx_http_tgbot_main_conf_t *
ngx_http_tgbot_worker_conf(ngx_cycle_t *cycle)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NULL;
    }

    tmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_tgbot_module);

    if (tmcf == NULL || tmcf->bots.nelts == 0) {
        return NULL;
    }

    return tmcf;
}
