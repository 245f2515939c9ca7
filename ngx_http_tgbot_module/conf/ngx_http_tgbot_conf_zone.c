
/*
 * Directives with state in shared memory.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_redis_lease.h"


static char *ngx_http_tgbot_conf_window(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_rate(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_notice(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_dedup_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);
static char *ngx_http_tgbot_conf_dead_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);
static char *ngx_http_tgbot_conf_either(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_flag_t redis, ngx_http_tgbot_zone_t *zone);
static char *ngx_http_tgbot_conf_limit_check(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_array_t *limits);
static ngx_uint_t ngx_http_tgbot_conf_limit_equal(
    ngx_http_tgbot_limit_conf_t *a, ngx_http_tgbot_limit_conf_t *b);
static char *ngx_http_tgbot_conf_cache_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);
static char *ngx_http_tgbot_conf_pace_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);
static void ngx_http_tgbot_conf_bucket(ngx_http_tgbot_pace_rate_t *bucket,
    ngx_http_tgbot_pace_conf_rate_t *rate);
static char *ngx_http_tgbot_conf_share(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_state(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_limit_size(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_lease(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_queue_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);
static const char *ngx_http_tgbot_conf_queue_foreign(
    ngx_http_tgbot_queue_conf_t *queue);


static ngx_conf_enum_t  ngx_http_tgbot_conf_actions[] = {
    { ngx_string("drop"), 0 },
    { ngx_string("reject"), 1 },
    { ngx_null_string, 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_dedup_table[] = {

    { ngx_string("zone="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_dedup_conf_t, zone),
      &ngx_http_tgbot_dedup_zone, 0 },

    { ngx_string("window="), ngx_http_tgbot_conf_window,
      offsetof(ngx_http_tgbot_dedup_conf_t, window), NULL, 0 },

    { ngx_string("redis"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_dedup_conf_t, redis), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"zone=\", \"redis\" or \"window=\", or \"on\" or \"off\" alone", 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_limit_table[] = {

    { ngx_null_string, ngx_http_tgbot_conf_key,
      offsetof(ngx_http_tgbot_limit_conf_t, key),
      "a key, such as \"$tgbot_user_id\"", 0 },

    { ngx_string("zone="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_limit_conf_t, zone),
      &ngx_http_tgbot_limit_zone, 0 },

    { ngx_string("rate="), ngx_http_tgbot_conf_rate,
      offsetof(ngx_http_tgbot_limit_conf_t, rate), NULL, 0 },

    { ngx_string("burst="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_limit_conf_t, burst), NULL, 1000000 },

    { ngx_string("action="), ngx_http_tgbot_conf_enum,
      offsetof(ngx_http_tgbot_limit_conf_t, reject),
      ngx_http_tgbot_conf_actions, 0 },

    { ngx_string("reply="), ngx_http_tgbot_conf_notice,
      offsetof(ngx_http_tgbot_limit_conf_t, reply), NULL, 0 },

    { ngx_string("shared"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_limit_conf_t, shared), NULL, 0 },

    { ngx_string("redis"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_limit_conf_t, redis), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"zone=\", \"rate=\", \"burst=\", \"action=\", \"reply=\", "
      "\"shared\" or \"redis\"", 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_cache_table[] = {

    { ngx_null_string, ngx_http_tgbot_conf_key,
      offsetof(ngx_http_tgbot_cache_conf_t, key),
      "a key, such as \"$tgbot_user_id\"", 0 },

    { ngx_string("zone="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_cache_conf_t, zone),
      &ngx_http_tgbot_cache_zone, 0 },

    { ngx_string("valid="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_cache_conf_t, valid), NULL, 0 },

    { ngx_string("lock_timeout="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_cache_conf_t, lock_timeout), NULL, 0 },

    { ngx_string("redis"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_cache_conf_t, redis), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"zone=\", \"valid=\", \"lock_timeout=\" or \"redis\"", 0 }
};


ngx_http_tgbot_dedup_conf_t  ngx_http_tgbot_conf_dedup_default = {
    NULL, NGX_HTTP_TGBOT_DEDUP_WINDOW, 0
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_dedup_directive = {
    ngx_http_tgbot_conf_dedup_table, &ngx_http_tgbot_conf_dedup_default,
    sizeof(ngx_http_tgbot_dedup_conf_t), 1, ngx_http_tgbot_conf_dedup_check
};


static ngx_http_tgbot_cache_conf_t  ngx_http_tgbot_conf_cache_default = {
    NULL, NULL, 60000, 5000, 0
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_cache = {
    ngx_http_tgbot_conf_cache_table, &ngx_http_tgbot_conf_cache_default,
    sizeof(ngx_http_tgbot_cache_conf_t), 1, ngx_http_tgbot_conf_cache_check
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_queue_table[] = {

    { ngx_string("zone="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_queue_conf_t, zone),
      &ngx_http_tgbot_queue_zone, 0 },

    { ngx_string("concurrency="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_queue_conf_t, concurrency), NULL, 4096 },

    { ngx_string("lane="), ngx_http_tgbot_conf_key,
      offsetof(ngx_http_tgbot_queue_conf_t, lane),
      "a key, such as \"lane=$tgbot_chat_id\"", 0 },

    { ngx_string("share="), ngx_http_tgbot_conf_share,
      offsetof(ngx_http_tgbot_queue_conf_t, share), NULL, 0 },

    { ngx_string("state="), ngx_http_tgbot_conf_state, 0, NULL, 0 },

    { ngx_string("redis"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_queue_conf_t, redis), NULL, 0 },

    { ngx_string("limit="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_queue_conf_t, limit), NULL, 100000000 },

    { ngx_string("limit_size="), ngx_http_tgbot_conf_limit_size,
      offsetof(ngx_http_tgbot_queue_conf_t, limit_size), NULL, 0 },

    { ngx_string("lease="), ngx_http_tgbot_conf_lease,
      offsetof(ngx_http_tgbot_queue_conf_t, lease), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"zone=\", \"concurrency=\", \"lane=\", \"share=\", or "
      "\"redis\" with \"concurrency=\", \"limit=\", \"limit_size=\", "
      "\"lease=\" or \"lane=\", or \"off\" alone", 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_dead_table[] = {

    { ngx_string("zone="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_dead_conf_t, zone),
      &ngx_http_tgbot_dead_zone, 0 },

    { ngx_string("max="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_dead_conf_t, max), NULL, 1000000 },

    { ngx_string("redis"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_dead_conf_t, redis), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"zone=\", \"redis\" or \"max=\", or \"off\" alone", 0 }
};


#define ngx_http_tgbot_conf_pace_rate(name, member)                           \
    { ngx_string(name "="), ngx_http_tgbot_conf_rate,                         \
      offsetof(ngx_http_tgbot_pace_conf_t, member)                            \
      + offsetof(ngx_http_tgbot_pace_conf_rate_t, rate), NULL, 0 },           \
                                                                              \
    { ngx_string(name "_burst="), ngx_http_tgbot_conf_number,                 \
      offsetof(ngx_http_tgbot_pace_conf_t, member)                            \
      + offsetof(ngx_http_tgbot_pace_conf_rate_t, burst), NULL, 1000000 }

static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_pace_table[] = {

    { ngx_string("zone="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_pace_conf_t, zone),
      &ngx_http_tgbot_pace_zone, 0 },

    ngx_http_tgbot_conf_pace_rate("chat", chat),
    ngx_http_tgbot_conf_pace_rate("group", group),
    ngx_http_tgbot_conf_pace_rate("global", global),
    ngx_http_tgbot_conf_pace_rate("paid", paid),

    { ngx_string("max_wait="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_pace_conf_t, max_wait), NULL, 0 },

    { ngx_string("redis"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_pace_conf_t, redis), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"zone=\", \"chat=\", \"group=\", \"global=\", \"paid=\", one of "
      "these with \"_burst\", \"max_wait=\" or \"redis\", or \"off\" alone",
      0 }
};


/* as Telegram states its limits */

ngx_http_tgbot_pace_conf_t  ngx_http_tgbot_conf_pace_default = {
    .chat = { { 1, 0 }, 3 },
    .group = { { 20, 1 }, 20 },
    .global = { { 30, 0 }, 30 },
    .paid = { { 1000, 0 }, 1000 },
    .max_wait = 30000
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_pace = {
    ngx_http_tgbot_conf_pace_table, &ngx_http_tgbot_conf_pace_default,
    sizeof(ngx_http_tgbot_pace_conf_t), 1, ngx_http_tgbot_conf_pace_check
};


static ngx_http_tgbot_queue_conf_t  ngx_http_tgbot_conf_queue_default = {
    .concurrency = 32,
    .share = NGX_CONF_UNSET_UINT,
    .limit = NGX_CONF_UNSET_UINT,
    .limit_size = NGX_CONF_UNSET_UINT,
    .lease = NGX_CONF_UNSET_MSEC
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_queue = {
    ngx_http_tgbot_conf_queue_table, &ngx_http_tgbot_conf_queue_default,
    sizeof(ngx_http_tgbot_queue_conf_t), 1, ngx_http_tgbot_conf_queue_check
};


ngx_http_tgbot_dead_conf_t  ngx_http_tgbot_conf_dead_default = {
    NULL, 1000, 0
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_dead_letters = {
    ngx_http_tgbot_conf_dead_table, &ngx_http_tgbot_conf_dead_default,
    sizeof(ngx_http_tgbot_dead_conf_t), 1, ngx_http_tgbot_conf_dead_check
};


char *
ngx_http_tgbot_conf_dedup(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    /* "on" is the same as no parameters */

    if (ngx_http_tgbot_conf_alone(cf, "on")) {
        cf->args->nelts = 1;
    }

    return ngx_http_tgbot_conf_object(cf, cmd, conf);
}


static char *
ngx_http_tgbot_conf_dedup_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value)
{
    ngx_http_tgbot_dedup_conf_t  *dedup = value;

    return ngx_http_tgbot_conf_either(cf, cmd, dedup->redis, dedup->zone);
}


static char *
ngx_http_tgbot_conf_dead_check(ngx_conf_t *cf, ngx_command_t *cmd, void *value)
{
    ngx_http_tgbot_dead_conf_t  *dead = value;

    return ngx_http_tgbot_conf_either(cf, cmd, dead->redis, dead->zone);
}


static char *
ngx_http_tgbot_conf_either(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_flag_t redis, ngx_http_tgbot_zone_t *zone)
{
    if (redis && zone) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"redis\" in \"%V\" directive, "
                           "expected either it or \"zone=\"", &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    char                    *rv;
    ngx_uint_t               off;
    ngx_http_tgbot_limit_conf_t  *limit;

    off = ngx_http_tgbot_conf_alone(cf, "off");

    rv = ngx_http_tgbot_conf_several(cf, &tlcf->limits,
                                     sizeof(ngx_http_tgbot_limit_conf_t), off,
                                     &limit);
    if (rv != NGX_CONF_OK || off) {
        return rv;
    }

    ngx_memzero(limit, sizeof(ngx_http_tgbot_limit_conf_t));

    limit->burst = 20;

    rv = ngx_http_tgbot_conf_parameters(cf, cmd,
                                        ngx_http_tgbot_conf_limit_table,
                                        limit);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_tgbot_conf_limit_check(cf, cmd, tlcf->limits);
}


char *
ngx_http_tgbot_conf_zone(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_http_tgbot_zone_t       *zone;
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(arg->cf, ngx_http_tgbot_module);

    zone = ngx_http_tgbot_zone_add(arg->cf, &tmcf->zones, &arg->cmd->name,
                                   &arg->text, arg->par->data,
                                   &ngx_http_tgbot_module);
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    *(ngx_http_tgbot_zone_t **) arg->field = zone;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_window(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_int_t  n;

    n = ngx_atoi(arg->text.data, arg->text.len);

    return ngx_http_tgbot_conf_bounded(arg, (n & (n - 1)) ? NGX_ERROR : n,
                               NGX_HTTP_TGBOT_DEDUP_WINDOW_MIN,
                               NGX_HTTP_TGBOT_DEDUP_WINDOW_MAX,
                               "a power of two between "
                               ngx_value(NGX_HTTP_TGBOT_DEDUP_WINDOW_MIN)
                               " and "
                               ngx_value(NGX_HTTP_TGBOT_DEDUP_WINDOW_MAX));
}


static char *
ngx_http_tgbot_conf_rate(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_http_tgbot_rate_t  *rate = arg->field;

    u_char     *unit;
    ngx_int_t   n;
    ngx_str_t  *text;

    n = NGX_ERROR;
    text = &arg->text;

    if (text->len > 3) {
        unit = text->data + text->len - 3;

        rate->per_minute = (ngx_strncmp(unit, "r/m", 3) == 0);

        if (rate->per_minute || ngx_strncmp(unit, "r/s", 3) == 0) {
            n = ngx_atoi(text->data, text->len - 3);
        }
    }

    arg->field = &rate->n;

    return ngx_http_tgbot_conf_bounded(arg, n, 1, 1000000,
                                       "a number between 1 and 1000000 with "
                                       "\"r/s\" or \"r/m\"");
}


static char *
ngx_http_tgbot_conf_notice(ngx_http_tgbot_conf_arg_t *arg)
{
    if (arg->text.len == 0) {
        return ngx_http_tgbot_conf_expected(arg, "a text");
    }

    *(ngx_str_t *) arg->field = arg->text;

    return NGX_CONF_OK;
}


/* checks the last limit, after all its parameters are read */

static char *
ngx_http_tgbot_conf_limit_check(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_array_t *limits)
{
    ngx_str_t                    *value;
    ngx_uint_t                    i, last;
    ngx_http_tgbot_limit_conf_t  *limit;

    value = cf->args->elts;
    limit = limits->elts;
    last = limits->nelts - 1;

    if (limit[last].zone == NULL || limit[last].rate.n == 0) {
        return ngx_http_tgbot_conf_without(cf, cmd,
                                         limit[last].zone ? "rate" : "zone",
                                         "\"zone=name:size\" and \"rate=\"");
    }

    if (limit[last].reject && limit[last].reply.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"reply=%V\" in \"%V\" directive, "
                           "expected \"action=drop\" with it: a rejected "
                           "update has no reply",
                           &limit[last].reply, &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (limits->nelts > NGX_HTTP_TGBOT_STATS_LIMITS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "value \"%V\" in \"%V\" directive is one limit "
                           "too many, expected at most %d",
                           &value[1], &cmd->name,
                           NGX_HTTP_TGBOT_STATS_LIMITS);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < last; i++) {

        if (ngx_http_tgbot_conf_limit_equal(&limit[i], &limit[last])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate value \"%V\" in \"%V\" directive, "
                               "expected another key, zone, rate or burst "
                               "than those of a limit above",
                               &value[1], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* whether two limits use the same buckets */

static ngx_uint_t
ngx_http_tgbot_conf_limit_equal(ngx_http_tgbot_limit_conf_t *a,
    ngx_http_tgbot_limit_conf_t *b)
{
    return a->zone == b->zone
           && a->rate.n == b->rate.n
           && a->rate.per_minute == b->rate.per_minute
           && a->burst == b->burst
           && a->shared == b->shared
           && ngx_http_tgbot_conf_equal(&a->key->value, &b->key->value);
}


static char *
ngx_http_tgbot_conf_pace_check(ngx_conf_t *cf, ngx_command_t *cmd, void *value)
{
    ngx_http_tgbot_pace_conf_t *pace = value;

    ngx_http_tgbot_conf_pace_buckets(pace);

    pace->file = cf->conf_file->file.name.data;
    pace->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


void
ngx_http_tgbot_conf_pace_buckets(ngx_http_tgbot_pace_conf_t *pace)
{
    ngx_http_tgbot_pace_rate_t   *bucket;

    bucket = pace->rates;

    ngx_http_tgbot_conf_bucket(&bucket[NGX_HTTP_TGBOT_PACE_CHATS],
                               &pace->chat);
    ngx_http_tgbot_conf_bucket(&bucket[NGX_HTTP_TGBOT_PACE_GROUPS],
                               &pace->group);
    ngx_http_tgbot_conf_bucket(&bucket[NGX_HTTP_TGBOT_PACE_ALL],
                               &pace->global);
    ngx_http_tgbot_conf_bucket(&bucket[NGX_HTTP_TGBOT_PACE_PAID],
                               &pace->paid);
}


/* a time that is not whole is rounded up: the rate is never exceeded */

static void
ngx_http_tgbot_conf_bucket(ngx_http_tgbot_pace_rate_t *bucket,
    ngx_http_tgbot_pace_conf_rate_t *rate)
{
    ngx_uint_t  us;

    us = rate->rate.per_minute ? 60000000 : 1000000;

    bucket->period = (uint32_t) ((us + rate->rate.n - 1) / rate->rate.n);
    bucket->burst = (uint32_t) rate->burst;
}


static char *
ngx_http_tgbot_conf_cache_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value)
{
    ngx_http_tgbot_cache_conf_t  *cache = value;

    return cache->zone ? NGX_CONF_OK
                       : ngx_http_tgbot_conf_without(cf, cmd, "zone",
                                                 "\"zone=name:size\"");
}


char *
ngx_http_tgbot_conf_without(ngx_conf_t *cf, ngx_command_t *cmd,
    const char *parameter, const char *expected)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "value \"%V\" in \"%V\" directive stands without "
                       "\"%s=\", expected %s with it",
                       &value[1], &cmd->name, parameter, expected);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_tgbot_conf_share(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_int_t   n;
    ngx_str_t  *text;

    n = NGX_ERROR;
    text = &arg->text;

    if (text->len > 1 && text->data[text->len - 1] == '%') {
        n = ngx_atoi(text->data, text->len - 1);
    }

    return ngx_http_tgbot_conf_bounded(arg, n, 1, 100,
                                       "a number between 1% and 100%");
}


static char *
ngx_http_tgbot_conf_state(ngx_http_tgbot_conf_arg_t *arg)
{
    return ngx_http_tgbot_conf_expected(arg, "the directive \"tgbot_state\", "
                                        "which keeps queues in its place");
}


static char *
ngx_http_tgbot_conf_limit_size(ngx_http_tgbot_conf_arg_t *arg)
{
    return ngx_http_tgbot_conf_bounded(arg, ngx_parse_offset(&arg->text),
                                       1024 * 1024, 0,
                                       "a size of 1m or more");
}


static char *
ngx_http_tgbot_conf_lease(ngx_http_tgbot_conf_arg_t *arg)
{
    return ngx_http_tgbot_conf_bounded(arg, ngx_parse_time(&arg->text, 0),
                                       3000, 3600000,
                                       "a time between 3s and 1h");
}


static char *
ngx_http_tgbot_conf_queue_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value)
{
    ngx_http_tgbot_queue_conf_t *queue = value;

    const char  *foreign;

    if (queue->zone == NULL && !queue->redis) {
        return ngx_http_tgbot_conf_without(cf, cmd, "zone",
                                           "\"zone=name:size\" or \"redis\"");
    }

    foreign = ngx_http_tgbot_conf_queue_foreign(queue);

    if (foreign) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%s\" in \"%V\" directive, expected "
                           "it %s \"redis\"", foreign, &cmd->name,
                           queue->redis ? "without" : "only with");
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_uint_value(queue->share, 25);
    ngx_conf_init_uint_value(queue->limit, 100000);
    ngx_conf_init_uint_value(queue->limit_size, 256 * 1024 * 1024);
    ngx_conf_init_msec_value(queue->lease, NGX_HTTP_TGBOT_REDIS_LEASE);

    return NGX_CONF_OK;
}


/* a parameter of the other form, or NULL */

static const char *
ngx_http_tgbot_conf_queue_foreign(ngx_http_tgbot_queue_conf_t *queue)
{
    if (queue->redis) {
        return queue->zone ? "zone="
               : (queue->share != NGX_CONF_UNSET_UINT) ? "share=" : NULL;
    }

    return (queue->limit != NGX_CONF_UNSET_UINT) ? "limit="
           : (queue->limit_size != NGX_CONF_UNSET_UINT) ? "limit_size="
           : (queue->lease != NGX_CONF_UNSET_MSEC) ? "lease=" : NULL;
}
