
/*
 * The directives whose state is in shared memory.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"


#define NGX_HTTP_TGBOT_CONF_MAX_RATE   1000000
#define NGX_HTTP_TGBOT_CONF_MAX_BURST  1000000


static char *ngx_http_tgbot_conf_seen_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value, ngx_str_t *text,
    ngx_http_tgbot_conf_parameter_t *par, void *conf);
static char *ngx_http_tgbot_conf_window(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);
static char *ngx_http_tgbot_conf_key(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_complex_value_t *key);
static char *ngx_http_tgbot_conf_limit_off(ngx_conf_t *cf,
    ngx_http_tgbot_loc_conf_t *tlcf);
static char *ngx_http_tgbot_conf_limit_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value, ngx_str_t *text,
    ngx_http_tgbot_conf_parameter_t *par, void *conf);
static char *ngx_http_tgbot_conf_rate(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);
static char *ngx_http_tgbot_conf_action(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);
static char *ngx_http_tgbot_conf_notice(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);
static char *ngx_http_tgbot_conf_shared(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);
static char *ngx_http_tgbot_conf_limit_check(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_array_t *limits);
static ngx_uint_t ngx_http_tgbot_conf_limit_equal(ngx_http_tgbot_limit_t *a,
    ngx_http_tgbot_limit_t *b);
static char *ngx_http_tgbot_conf_cache_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value, ngx_str_t *text,
    ngx_http_tgbot_conf_parameter_t *par, void *conf);


ngx_http_tgbot_dedup_t  ngx_http_tgbot_conf_dedup_default = {
    NULL, NGX_HTTP_TGBOT_SEEN_WINDOW, 0
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_dedup_table[] = {
    { ngx_string("zone="), ngx_http_tgbot_conf_seen_zone, 0, 0 },
    { ngx_string("window="), ngx_http_tgbot_conf_window, 0, 0 },
    { ngx_string("redis"), ngx_http_tgbot_conf_redis, 0, 0 },
    { ngx_null_string, NULL, 0, 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_limit_table[] = {
    { ngx_string("zone="), ngx_http_tgbot_conf_limit_zone, 0, 0 },
    { ngx_string("rate="), ngx_http_tgbot_conf_rate, 0, 0 },

    { ngx_string("burst="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_limit_t, burst), NGX_HTTP_TGBOT_CONF_MAX_BURST },

    { ngx_string("action="), ngx_http_tgbot_conf_action, 0, 0 },
    { ngx_string("reply="), ngx_http_tgbot_conf_notice, 0, 0 },
    { ngx_string("shared"), ngx_http_tgbot_conf_shared, 0, 0 },
    { ngx_string("redis"), ngx_http_tgbot_conf_redis, 0, 0 },
    { ngx_null_string, NULL, 0, 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_cache_table[] = {
    { ngx_string("zone="), ngx_http_tgbot_conf_cache_zone, 0, 0 },

    { ngx_string("valid="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_answers_t, valid), 0 },

    { ngx_string("lock_timeout="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_answers_t, lock_timeout), 0 },

    { ngx_null_string, NULL, 0, 0 }
};


char *
ngx_http_tgbot_conf_dedup(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_str_t               *value;
    ngx_http_tgbot_dedup_t  *dedup;

    if (tlcf->dedup != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    dedup = ngx_palloc(cf->pool, sizeof(ngx_http_tgbot_dedup_t));
    if (dedup == NULL) {
        return NGX_CONF_ERROR;
    }

    *dedup = ngx_http_tgbot_conf_dedup_default;

    tlcf->dedup = dedup;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "on") == 0) {
            return NGX_CONF_OK;
        }

        if (ngx_strcmp(value[1].data, "off") == 0) {
            dedup->off = 1;
            return NGX_CONF_OK;
        }
    }

    return ngx_http_tgbot_conf_parameters(cf, cmd, 1,
                                     ngx_http_tgbot_conf_dedup_table, dedup,
                                     "\"zone=\" or \"window=\", or \"on\" or "
                                     "\"off\" alone");
}


static char *
ngx_http_tgbot_conf_seen_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_dedup_t *dedup = conf;

    dedup->zone = ngx_http_tgbot_conf_zone(cf, cmd, text,
                                           &ngx_http_tgbot_seen_zone);

    return dedup->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_tgbot_conf_window(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_dedup_t *dedup = conf;

    ngx_int_t  n;

    n = ngx_atoi(text->data, text->len);

    if (n < NGX_HTTP_TGBOT_SEEN_WINDOW_MIN
        || n > NGX_HTTP_TGBOT_SEEN_WINDOW_MAX
        || (n & (n - 1)) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\" directive, "
                           "expected a power of two between %d and %d",
                           value, &cmd->name, NGX_HTTP_TGBOT_SEEN_WINDOW_MIN,
                           NGX_HTTP_TGBOT_SEEN_WINDOW_MAX);
        return NGX_CONF_ERROR;
    }

    dedup->window = n;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                       "\"zone=name:size\": this version "
                                       "knows no redis");
}


char *
ngx_http_tgbot_conf_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_http_tgbot_limit_t  *limit;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return ngx_http_tgbot_conf_limit_off(cf, tlcf);
    }

    if (tlcf->limits == NULL) {
        return "is duplicate, \"off\" stands alone";
    }

    if (tlcf->limits == NGX_CONF_UNSET_PTR) {
        tlcf->limits = ngx_array_create(cf->pool, 2,
                                        sizeof(ngx_http_tgbot_limit_t));
        if (tlcf->limits == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    limit = ngx_array_push(tlcf->limits);
    if (limit == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(limit, sizeof(ngx_http_tgbot_limit_t));

    limit->burst = 20;

    rv = ngx_http_tgbot_conf_key(cf, cmd, &limit->key);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_tgbot_conf_parameters(cf, cmd, 2,
                                    ngx_http_tgbot_conf_limit_table, limit,
                                    "\"zone=\", \"rate=\", \"burst=\", "
                                    "\"action=\", \"reply=\" or \"shared\"");
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_tgbot_conf_limit_check(cf, cmd, tlcf->limits);
}


static char *
ngx_http_tgbot_conf_limit_off(ngx_conf_t *cf, ngx_http_tgbot_loc_conf_t *tlcf)
{
    if (tlcf->limits != NGX_CONF_UNSET_PTR) {
        return "is duplicate, \"off\" stands alone";
    }

    tlcf->limits = NULL;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_key(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_complex_value_t *key)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                           "a key, such as "
                                           "\"$tgbot_user_id\"");
    }

    if (ngx_http_tgbot_conf_compile(cf, value[1].data, value[1].len, key)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_limit_t *limit = conf;

    limit->zone = ngx_http_tgbot_conf_zone(cf, cmd, text,
                                           &ngx_http_tgbot_bucket_zone);

    return limit->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_tgbot_conf_rate(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_limit_t *limit = conf;

    u_char     *unit;
    ngx_int_t   n;

    n = NGX_ERROR;

    if (text->len > 3) {
        unit = text->data + text->len - 3;

        limit->per_minute = (ngx_strncmp(unit, "r/m", 3) == 0);

        if (limit->per_minute || ngx_strncmp(unit, "r/s", 3) == 0) {
            n = ngx_atoi(text->data, text->len - 3);
        }
    }

    if (n < 1 || n > NGX_HTTP_TGBOT_CONF_MAX_RATE) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "a number between 1 and 1000000 "
                                           "with \"r/s\" or \"r/m\"");
    }

    limit->rate = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_action(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_limit_t *limit = conf;

    limit->reject = (ngx_strcmp(text->data, "reject") == 0);

    if (!limit->reject && ngx_strcmp(text->data, "drop") != 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "\"drop\" or \"reject\"");
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_notice(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_limit_t *limit = conf;

    if (text->len == 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value, "a text");
    }

    limit->reply = *text;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_shared(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_limit_t *limit = conf;

    limit->shared = 1;

    return NGX_CONF_OK;
}


/* of the last one, when it is complete */

static char *
ngx_http_tgbot_conf_limit_check(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_array_t *limits)
{
    ngx_str_t               *value;
    ngx_uint_t               i, last;
    ngx_http_tgbot_limit_t  *limit;

    value = cf->args->elts;
    limit = limits->elts;
    last = limits->nelts - 1;

    if (limit[last].zone == NULL || limit[last].rate == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "value \"%V\" in \"%V\" directive stands without "
                           "\"%s=\", expected \"zone=name:size\" and "
                           "\"rate=\" with it",
                           &value[1], &cmd->name,
                           limit[last].zone ? "rate" : "zone");
        return NGX_CONF_ERROR;
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


/* whether two limits would take their tokens from the same buckets */

static ngx_uint_t
ngx_http_tgbot_conf_limit_equal(ngx_http_tgbot_limit_t *a,
    ngx_http_tgbot_limit_t *b)
{
    return a->zone == b->zone
           && a->rate == b->rate
           && a->per_minute == b->per_minute
           && a->burst == b->burst
           && a->shared == b->shared
           && a->key.value.len == b->key.value.len
           && ngx_strncmp(a->key.value.data, b->key.value.data,
                          a->key.value.len)
              == 0;
}


char *
ngx_http_tgbot_conf_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_http_tgbot_answers_t  *answers;

    if (tlcf->answers != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        tlcf->answers = NULL;
        return NGX_CONF_OK;
    }

    answers = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_answers_t));
    if (answers == NULL) {
        return NGX_CONF_ERROR;
    }

    answers->valid = 60000;
    answers->lock_timeout = 5000;

    rv = ngx_http_tgbot_conf_key(cf, cmd, &answers->key);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_tgbot_conf_parameters(cf, cmd, 2,
                                  ngx_http_tgbot_conf_cache_table, answers,
                                  "\"zone=\", \"valid=\" or "
                                  "\"lock_timeout=\"");
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (answers->zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "value \"%V\" in \"%V\" directive stands without "
                           "\"zone=\", expected \"zone=name:size\" with it",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    tlcf->answers = answers;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_cache_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_answers_t *answers = conf;

    answers->zone = ngx_http_tgbot_conf_zone(cf, cmd, text,
                                             &ngx_http_tgbot_cache_zone);

    return answers->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}
