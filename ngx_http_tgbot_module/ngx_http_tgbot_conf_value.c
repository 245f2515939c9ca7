
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


typedef struct {
    ngx_str_t    name;              /* with "=" */
    size_t       offset;            /* in ngx_http_tgbot_retry_t */
    ngx_uint_t   time;
} ngx_http_tgbot_conf_parameter_t;


static char *ngx_http_tgbot_conf_retry_parameter(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value, ngx_http_tgbot_retry_t *retry,
    ngx_uint_t *seen);


ngx_http_tgbot_retry_t  ngx_http_tgbot_conf_retry_default = {
    5, 500, 30000, 3600000
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_retry_table[] = {

    { ngx_string("attempts="),
      offsetof(ngx_http_tgbot_retry_t, attempts), 0 },

    { ngx_string("backoff="),
      offsetof(ngx_http_tgbot_retry_t, backoff), 1 },

    { ngx_string("max_backoff="),
      offsetof(ngx_http_tgbot_retry_t, max_backoff), 1 },

    { ngx_string("life="),
      offsetof(ngx_http_tgbot_retry_t, life), 1 },

    { ngx_null_string, 0, 0 }
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

    ngx_int_t   msec;
    ngx_str_t  *value;

    if (tlcf->hold_timeout != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    msec = ngx_parse_time(&value[1], 0);

    if (msec == NGX_ERROR || msec == 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                           "a time greater than 0");
    }

    if (msec > NGX_HTTP_TGBOT_CONF_MAX_HOLD) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "value \"%V\" in \"%V\" directive is more than "
                           "55s, Telegram hangs up after 60 seconds",
                           &value[1], &cmd->name);
    }

    tlcf->hold_timeout = msec;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_retry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_uint_t               i, seen;
    ngx_http_tgbot_retry_t  *retry;

    if (tlcf->retry != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    retry = ngx_palloc(cf->pool, sizeof(ngx_http_tgbot_retry_t));
    if (retry == NULL) {
        return NGX_CONF_ERROR;
    }

    *retry = ngx_http_tgbot_conf_retry_default;

    value = cf->args->elts;
    seen = 0;

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_tgbot_conf_retry_parameter(cf, cmd, &value[i], retry,
                                                 &seen);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (retry->backoff > retry->max_backoff) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"backoff=%Mms\" in \"%V\" "
                           "directive, expected at most \"max_backoff\", "
                           "which is %Mms",
                           retry->backoff, &cmd->name, retry->max_backoff);
        return NGX_CONF_ERROR;
    }

    tlcf->retry = retry;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_retry_parameter(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_http_tgbot_retry_t *retry, ngx_uint_t *seen)
{
    ngx_int_t                         n;
    ngx_str_t                         s;
    ngx_uint_t                        i;
    ngx_http_tgbot_conf_parameter_t  *par;

    par = ngx_http_tgbot_conf_retry_table;

    for (i = 0; par[i].name.len; i++) {

        if (ngx_strncmp(value->data, par[i].name.data, par[i].name.len)
            != 0)
        {
            continue;
        }

        if (*seen & (1 << i)) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                               "every parameter only once");
        }

        *seen |= 1 << i;

        s.len = value->len - par[i].name.len;
        s.data = value->data + par[i].name.len;

        n = par[i].time ? ngx_parse_time(&s, 0) : ngx_atoi(s.data, s.len);

        if (n == NGX_ERROR || n == 0) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                              par[i].time ? "a time greater than 0"
                                          : "a number greater than 0");
        }

        /* ngx_uint_t and ngx_msec_t are one type */

        *(ngx_uint_t *) ((u_char *) retry + par[i].offset) = n;

        return NGX_CONF_OK;
    }

    return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                              "\"attempts=\", \"backoff=\", "
                              "\"max_backoff=\" or \"life=\"");
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
ngx_http_tgbot_conf_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *expected)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\" directive, "
                       "expected %s", value, &cmd->name, expected);

    return NGX_CONF_ERROR;
}
