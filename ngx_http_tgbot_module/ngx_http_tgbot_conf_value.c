
/*
 * The directives whose values are plain: numbers, times, sizes, words.
 * nginx's own slots would not name directive, value and expectation.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"


/* Telegram hangs up after 60 seconds */
#define NGX_HTTP_TGBOT_CONF_MAX_HOLD  55000


static char *ngx_http_tgbot_conf_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_msec_t *timeout);
static char *ngx_http_tgbot_conf_backoffs(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_msec_t backoff, ngx_msec_t max_backoff);


ngx_http_tgbot_retry_t  ngx_http_tgbot_conf_retry_default = {
    5, 500, 30000, 3600000
};

ngx_http_tgbot_attempts_t  ngx_http_tgbot_conf_attempts_default = {
    10, 1000, 300000
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_retry_table[] = {

    { ngx_string("attempts="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_retry_t, attempts), 0 },

    { ngx_string("backoff="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_retry_t, backoff), 0 },

    { ngx_string("max_backoff="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_retry_t, max_backoff), 0 },

    { ngx_string("life="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_retry_t, life), 0 },

    { ngx_null_string, NULL, 0, 0 }
};


static ngx_http_tgbot_conf_parameter_t
    ngx_http_tgbot_conf_attempts_table[] =
{
    { ngx_string("backoff="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_attempts_t, backoff), 0 },

    { ngx_string("max_backoff="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_attempts_t, max_backoff), 0 },

    { ngx_null_string, NULL, 0, 0 }
};


static ngx_conf_bitmask_t  ngx_http_tgbot_conf_retry_masks[] = {
    { ngx_string("http_429"), NGX_HTTP_TGBOT_RETRY_ON_429 },
    { ngx_string("http_5xx"), NGX_HTTP_TGBOT_RETRY_ON_5XX },
    { ngx_string("error"), NGX_HTTP_TGBOT_RETRY_ON_ERROR },
    { ngx_string("timeout"), NGX_HTTP_TGBOT_RETRY_ON_TIMEOUT },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_tgbot_conf_via[] = {
    { ngx_string("auto"), NGX_HTTP_TGBOT_VIA_AUTO },
    { ngx_string("api"), NGX_HTTP_TGBOT_VIA_API },
    { ngx_string("response"), NGX_HTTP_TGBOT_VIA_RESPONSE },
    { ngx_null_string, 0 }
};


char *
ngx_http_tgbot_conf_reply_via(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_str_t        *value;
    ngx_conf_enum_t  *e;

    if (tlcf->reply_via != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (e = ngx_http_tgbot_conf_via; e->name.len; e++) {
        if (ngx_strcmp(value[1].data, e->name.data) == 0) {
            tlcf->reply_via = e->value;
            return NGX_CONF_OK;
        }
    }

    return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                       "\"auto\", \"api\" or \"response\"");
}


char *
ngx_http_tgbot_conf_hold_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    char       *rv;
    ngx_str_t  *value;

    rv = ngx_http_tgbot_conf_timeout(cf, cmd, &tlcf->hold_timeout);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (tlcf->hold_timeout > NGX_HTTP_TGBOT_CONF_MAX_HOLD) {
        value = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "value \"%V\" in \"%V\" directive is more than "
                           "55s, Telegram hangs up after 60 seconds",
                           &value[1], &cmd->name);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_call_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    return ngx_http_tgbot_conf_timeout(cf, cmd, &tlcf->call_timeout);
}


static char *
ngx_http_tgbot_conf_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_msec_t *timeout)
{
    ngx_str_t                        *value;
    ngx_http_tgbot_conf_parameter_t   par;

    if (*timeout != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;
    par.offset = 0;

    return ngx_http_tgbot_conf_time(cf, cmd, &value[1], &value[1], &par,
                                    timeout);
}


char *
ngx_http_tgbot_conf_retry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_http_tgbot_retry_t  *retry;

    if (tlcf->retry != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    retry = ngx_palloc(cf->pool, sizeof(ngx_http_tgbot_retry_t));
    if (retry == NULL) {
        return NGX_CONF_ERROR;
    }

    *retry = ngx_http_tgbot_conf_retry_default;

    tlcf->retry = retry;

    if (ngx_http_tgbot_conf_parameters(cf, cmd, 1,
                                       ngx_http_tgbot_conf_retry_table, retry,
                                       "\"attempts=\", \"backoff=\", "
                                       "\"max_backoff=\" or \"life=\"")
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_tgbot_conf_backoffs(cf, cmd, retry->backoff,
                                        retry->max_backoff);
}


static char *
ngx_http_tgbot_conf_backoffs(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_msec_t backoff, ngx_msec_t max_backoff)
{
    if (backoff > max_backoff) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"backoff=%Mms\" in \"%V\" "
                           "directive, expected at most \"max_backoff\", "
                           "which is %Mms",
                           backoff, &cmd->name, max_backoff);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_retry_on(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_str_t           *value;
    ngx_uint_t           i;
    ngx_conf_bitmask_t  *mask;

    if (tlcf->retry_on) {
        return "is duplicate";
    }

    tlcf->retry_on = NGX_CONF_BITMASK_SET;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        for (mask = ngx_http_tgbot_conf_retry_masks; mask->name.len; mask++) {
            if (ngx_strcmp(value[i].data, mask->name.data) == 0) {
                break;
            }
        }

        if (mask->name.len == 0) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, &value[i],
                              "some of \"http_429\", \"http_5xx\", \"error\" "
                              "and \"timeout\", or \"off\" alone");
        }

        if (tlcf->retry_on & mask->mask) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, &value[i],
                                               "every value only once");
        }

        tlcf->retry_on |= mask->mask;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_response_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (tlcf->response_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);

    if (size < 1024 || size > 64 * 1024 * 1024) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                           "a size between 1k and 64m");
    }

    tlcf->response_size = size;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_max_calls(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_main_conf_t *tmcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (tmcf->max_calls != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 1 || n > 65535) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                           "a number between 1 and 65535");
    }

    tmcf->max_calls = n;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_attempts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_int_t                   n;
    ngx_str_t                  *value;
    ngx_http_tgbot_attempts_t  *attempts;

    if (tlcf->attempts != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 1 || n > 1000) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                           "a number between 1 and 1000");
    }

    attempts = ngx_palloc(cf->pool, sizeof(ngx_http_tgbot_attempts_t));
    if (attempts == NULL) {
        return NGX_CONF_ERROR;
    }

    *attempts = ngx_http_tgbot_conf_attempts_default;

    attempts->attempts = n;

    tlcf->attempts = attempts;

    if (ngx_http_tgbot_conf_parameters(cf, cmd, 2,
                                       ngx_http_tgbot_conf_attempts_table,
                                       attempts,
                                       "\"backoff=\" or \"max_backoff=\"")
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_tgbot_conf_backoffs(cf, cmd, attempts->backoff,
                                        attempts->max_backoff);
}


char *
ngx_http_tgbot_conf_max_age(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_int_t   sec;
    ngx_str_t  *value;

    if (tlcf->max_age != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        tlcf->max_age = 0;
        return NGX_CONF_OK;
    }

    sec = ngx_parse_time(&value[1], 1);

    if (sec == NGX_ERROR || sec == 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                           "a time of 1s or more, or \"off\"");
    }

    tlcf->max_age = sec;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_parameters(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_uint_t first, ngx_http_tgbot_conf_parameter_t *table, void *conf,
    const char *expected)
{
    char                             *rv;
    ngx_str_t                        *value, text;
    ngx_uint_t                        i, seen;
    ngx_http_tgbot_conf_parameter_t  *par;

    value = cf->args->elts;
    seen = 0;

    for (i = first; i < cf->args->nelts; i++) {

        for (par = table; par->name.len; par++) {

            if (par->name.data[par->name.len - 1] == '='
                ? ngx_strncmp(value[i].data, par->name.data, par->name.len)
                  == 0
                : ngx_strcmp(value[i].data, par->name.data) == 0)
            {
                break;
            }
        }

        if (par->name.len == 0) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, &value[i], expected);
        }

        if (seen & (1 << (par - table))) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, &value[i],
                                               "every parameter only once");
        }

        seen |= 1 << (par - table);

        text.len = value[i].len - par->name.len;
        text.data = value[i].data + par->name.len;

        rv = par->set(cf, cmd, &value[i], &text, par, conf);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_number(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_int_t  n;

    n = ngx_atoi(text->data, text->len);

    if (n == NGX_ERROR || n == 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "a number greater than 0");
    }

    if (par->max && (ngx_uint_t) n > par->max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\" directive, "
                           "expected a number of at most %ui",
                           value, &cmd->name, par->max);
        return NGX_CONF_ERROR;
    }

    *(ngx_uint_t *) ((u_char *) conf + par->offset) = n;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_time(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_int_t  msec;

    msec = ngx_parse_time(text, 0);

    if (msec == NGX_ERROR || msec == 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "a time greater than 0");
    }

    *(ngx_msec_t *) ((u_char *) conf + par->offset) = msec;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_flag(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_flag_t  on;

    on = (ngx_strcmp(text->data, "on") == 0);

    if (!on && ngx_strcmp(text->data, "off") != 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "\"on\" or \"off\"");
    }

    *(ngx_flag_t *) ((u_char *) conf + par->offset) = on;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *expected)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\" directive, "
                       "expected %s", value, &cmd->name, expected);

    return NGX_CONF_ERROR;
}
