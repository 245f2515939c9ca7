
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_call.h"
#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_variables.h"
#include "ngx_http_tgbot_webhook.h"
#include "ngx_http_tgbot_worker.h"


static void *ngx_http_tgbot_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_tgbot_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_tgbot_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_tgbot_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static void ngx_http_tgbot_merge_secrets(ngx_http_tgbot_loc_conf_t *conf,
    ngx_http_tgbot_loc_conf_t *prev);
static ngx_int_t ngx_http_tgbot_init_process(ngx_cycle_t *cycle);
static void ngx_http_tgbot_exit_process(ngx_cycle_t *cycle);
static ngx_http_tgbot_main_conf_t *ngx_http_tgbot_worker_conf(
    ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_tgbot_commands[] = {

    { ngx_string("tgbot_webhook"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_webhook,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_token"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_token,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_token_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_token_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_secret_token"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_tgbot_conf_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_secret_token_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_secret_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
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
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_uri,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tgbot_loc_conf_t, api),
      NULL },

    { ngx_string("tgbot_reply_via"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_reply_via,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_hold_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_hold_timeout,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_retry"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_retry,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_retry_on"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_tgbot_conf_retry_on,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_response_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_response_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tgbot_max_calls"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_tgbot_conf_max_calls,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_tgbot_module_ctx = {
    ngx_http_tgbot_variables_add,          /* preconfiguration */
    ngx_http_tgbot_call_postconfiguration, /* postconfiguration */

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
    NULL,                                  /* init module */
    ngx_http_tgbot_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_tgbot_exit_process,           /* exit process */
    NULL,                                  /* exit master */
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

    tmcf->max_calls = NGX_CONF_UNSET_UINT;

    return tmcf;
}


static char *
ngx_http_tgbot_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_tgbot_main_conf_t *tmcf = conf;

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
     *     conf->token = { 0, NULL };
     *     conf->token_file = { 0, NULL };
     *     conf->secret = { 0, NULL };
     *     conf->old_secret = { 0, NULL };
     *     conf->secret_file = { 0, NULL };
     *     conf->retry_on = 0;
     */

    conf->secret_off = NGX_CONF_UNSET;
    conf->replies = NGX_CONF_UNSET_PTR;
    conf->handler = NGX_CONF_UNSET_PTR;
    conf->api = NGX_CONF_UNSET_PTR;
    conf->reply_via = NGX_CONF_UNSET_UINT;
    conf->hold_timeout = NGX_CONF_UNSET_MSEC;
    conf->retry = NGX_CONF_UNSET_PTR;
    conf->response_size = NGX_CONF_UNSET_SIZE;

    return conf;
}


static char *
ngx_http_tgbot_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_tgbot_loc_conf_t *prev = parent;
    ngx_http_tgbot_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_http_tgbot_merge_secrets(conf, prev);

    ngx_conf_merge_ptr_value(conf->replies, prev->replies, NULL);
    ngx_conf_merge_ptr_value(conf->handler, prev->handler, NULL);
    ngx_conf_merge_ptr_value(conf->api, prev->api, NULL);
    ngx_conf_merge_uint_value(conf->reply_via, prev->reply_via,
                              NGX_HTTP_TGBOT_VIA_AUTO);
    ngx_conf_merge_msec_value(conf->hold_timeout, prev->hold_timeout, 50000);
    ngx_conf_merge_ptr_value(conf->retry, prev->retry,
                             &ngx_http_tgbot_conf_retry_default);
    ngx_conf_merge_bitmask_value(conf->retry_on, prev->retry_on,
                                 (NGX_CONF_BITMASK_SET
                                  |NGX_HTTP_TGBOT_RETRY_ON_429
                                  |NGX_HTTP_TGBOT_RETRY_ON_5XX
                                  |NGX_HTTP_TGBOT_RETRY_ON_ERROR
                                  |NGX_HTTP_TGBOT_RETRY_ON_TIMEOUT));
    ngx_conf_merge_size_value(conf->response_size, prev->response_size,
                              64 * 1024);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname) {
        conf->bot = prev->bot;
    }

    if (conf->bot == NULL) {
        return NGX_CONF_OK;
    }

    if (!clcf->noname
        && ngx_http_tgbot_conf_check(cf, conf->bot) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    /* or else it would serve a static file to the methods it is for */

    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = ngx_http_tgbot_webhook_handler;
    }

    /* core is merged already: an update is never written to a file */

    clcf->client_body_in_file_only = 0;

    if (clcf->client_body_buffer_size < NGX_HTTP_TGBOT_CONF_BODY_SIZE) {
        clcf->client_body_buffer_size = NGX_HTTP_TGBOT_CONF_BODY_SIZE;
    }

    return NGX_CONF_OK;
}


/* inline and in a file are one setting: a level with one has not the other */

static void
ngx_http_tgbot_merge_secrets(ngx_http_tgbot_loc_conf_t *conf,
    ngx_http_tgbot_loc_conf_t *prev)
{
    if (conf->token.data == NULL && conf->token_file.data == NULL) {
        conf->token = prev->token;
        conf->token_file = prev->token_file;
    }

    if (conf->secret.data == NULL && conf->secret_file.data == NULL
        && conf->secret_off == NGX_CONF_UNSET)
    {
        conf->secret = prev->secret;
        conf->old_secret = prev->old_secret;
        conf->secret_file = prev->secret_file;
        conf->secret_off = prev->secret_off;
    }

    if (conf->secret_off == NGX_CONF_UNSET) {
        conf->secret_off = 0;
    }
}


static ngx_int_t
ngx_http_tgbot_init_process(ngx_cycle_t *cycle)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_tgbot_worker_conf(cycle);

    if (tmcf == NULL) {
        return NGX_OK;
    }

    return ngx_http_tgbot_worker_init(cycle, tmcf);
}


static void
ngx_http_tgbot_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_tgbot_worker_conf(cycle)) {
        ngx_http_tgbot_worker_exit(cycle);
    }
}


/* NULL: a process or a configuration without webhooks */

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
