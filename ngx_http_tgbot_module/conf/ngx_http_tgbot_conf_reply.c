
/*
 * Directives with values that are evaluated for each update or call: replies,
 * and URIs of internal locations.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_json.h"


typedef struct {
    unsigned          next:1;       /* the text comes next */
    unsigned          too_long:1;
} ngx_http_tgbot_conf_alert_t;


static char *ngx_http_tgbot_conf_constant_reply(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value);
static ngx_int_t ngx_http_tgbot_conf_call_text(void *data,
    ngx_http_tgbot_json_token_t *token);
static char *ngx_http_tgbot_conf_uri_text(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *path);
static ngx_uint_t ngx_http_tgbot_conf_capture(ngx_str_t *value);


static ngx_str_t  ngx_http_tgbot_conf_json_type =
    ngx_string("application/json");


char *
ngx_http_tgbot_conf_reply(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    char                    *rv;
    ngx_str_t               *value, *text;
    ngx_uint_t               json, off;
    ngx_http_tgbot_reply_t  *reply;

    value = cf->args->elts;

    json = (ngx_strcmp(value[1].data, "json") == 0);

    if (cf->args->nelts == 3 ? !json : json) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                           "[json] value, or \"off\"");
    }

    text = &value[cf->args->nelts - 1];
    off = ngx_http_tgbot_conf_alone(cf, "off");

    rv = ngx_http_tgbot_conf_several(cf, &tlcf->replies,
                                     sizeof(ngx_http_tgbot_reply_t), off,
                                     &reply);
    if (rv != NGX_CONF_OK || off) {
        return rv;
    }

    reply->json = json;

    if (ngx_http_tgbot_conf_compile(cf, text->data, text->len, &reply->value)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (json && reply->value.lengths == NULL) {
        return ngx_http_tgbot_conf_constant_reply(cf, cmd, text);
    }

    return NGX_CONF_OK;
}


/* an invalid constant reply would fail for each update: refuse it now */

static char *
ngx_http_tgbot_conf_constant_reply(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_method_t      *call;
    ngx_http_tgbot_update_t       update;
    ngx_http_tgbot_answer_t       answer;
    ngx_http_tgbot_conf_alert_t   alert;

    ngx_memzero(&update, sizeof(ngx_http_tgbot_update_t));

    if (ngx_http_tgbot_answer_parse(&answer, &ngx_http_tgbot_conf_json_type,
                                    value, &update, cf->temp_pool)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (answer.problem) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\" directive: it %s, "
                           "expected a method object or an array of them",
                           value, &cmd->name, answer.problem);
        return NGX_CONF_ERROR;
    }

    if (answer.calls.nelts == 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                  "an object with \"method\" or an array of "
                                  "them");
    }

    call = answer.calls.elts;

    for (i = 0; i < answer.calls.nelts; i++) {

        if (ngx_http_tgbot_methods[ngx_http_tgbot_method_find(&call[i].name)]
            .query != NGX_HTTP_TGBOT_QUERY_CALLBACK)
        {
            continue;
        }

        alert.next = 0;
        alert.too_long = 0;

        if (ngx_http_tgbot_json_parse(&call[i].body,
                                      ngx_http_tgbot_conf_call_text, &alert)
            == NGX_ERROR)
        {
            return NGX_CONF_ERROR;
        }

        if (alert.too_long) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" in \"%V\" directive, "
                               "expected a text of at most %d characters "
                               "(units of UTF-16) for answerCallbackQuery",
                               value, &cmd->name,
                               NGX_HTTP_TGBOT_ANSWER_MAX_ALERT);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* measures the outermost "text" */

static ngx_int_t
ngx_http_tgbot_conf_call_text(void *data, ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_conf_alert_t *alert = data;

    static ngx_str_t  text = ngx_string("text");

    if (token->type == NGX_HTTP_TGBOT_JSON_KEY) {
        alert->next = (token->depth == 1 && token->text.len == text.len
                       && ngx_memcmp(token->text.data, text.data, text.len)
                          == 0);

    } else if (alert->next) {
        alert->next = 0;
        alert->too_long = (token->type == NGX_HTTP_TGBOT_JSON_STRING
                           && ngx_http_tgbot_answer_fits(&token->text,
                                              NGX_HTTP_TGBOT_ANSWER_MAX_ALERT)
                              != token->text.len);
    }

    return NGX_OK;
}


char *
ngx_http_tgbot_conf_uri(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char                   *rv;
    u_char                 *args, *last;
    ngx_str_t              *value, path;
    ngx_http_tgbot_uri_t   *uri, **urip;

    urip = (ngx_http_tgbot_uri_t **) (p + cmd->offset);

    if (*urip != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 3
        && (ngx_strcmp(value[2].data, "test") != 0
            || ngx_strcmp(value[1].data, "off") == 0))
    {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[2],
                                           "\"test\" after a URI, for "
                                           "Telegram's test environment");
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *urip = NULL;
        return NGX_CONF_OK;
    }

    last = value[1].data + value[1].len;
    args = ngx_strlchr(value[1].data, last, '?');

    path.data = value[1].data;
    path.len = (args ? args : last) - path.data;

    rv = ngx_http_tgbot_conf_uri_text(cf, cmd, &value[1], &path);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    uri = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_uri_t));
    if (uri == NULL) {
        return NGX_CONF_ERROR;
    }

    *urip = uri;

    uri->test = (cf->args->nelts == 3);
    uri->file = cf->conf_file->file.name.data;
    uri->line = cf->conf_file->line;

    if (args) {
        uri->has_args = 1;

        if (ngx_http_tgbot_conf_compile(cf, args + 1, last - (args + 1),
                                        &uri->args)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_tgbot_conf_compile(cf, path.data, path.len, &uri->path)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_uri_text(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *path)
{
    const char  *expected;

    if (value->data[0] == '@') {
        expected = "the URI of an internal location, named locations cannot "
                   "be called";

    } else if (ngx_strncasecmp(value->data, (u_char *) "http://", 7) == 0
               || ngx_strncasecmp(value->data, (u_char *) "https://", 8) == 0)
    {
        expected = "the URI of an internal location, where \"proxy_pass\" "
                   "leads to this address";

    } else if (value->data[0] != '/' && value->data[0] != '$') {
        expected = "the URI of an internal location, which starts with \"/\" "
                   "or a variable, or \"off\"";

    } else if (!ngx_http_tgbot_bot_path_is_safe(path)) {
        expected = "a URI without \"/./\" and \"/../\"";

    } else if (ngx_http_tgbot_conf_capture(value)) {
        expected = "a URI without captures of the location, which a call "
                   "does not have";

    } else {
        return NGX_CONF_OK;
    }

    return ngx_http_tgbot_conf_invalid(cf, cmd, value, expected);
}


static ngx_uint_t
ngx_http_tgbot_conf_capture(ngx_str_t *value)
{
    u_char  *p;

    /* arguments of directives are NUL-terminated */

    for (p = value->data; *p; p++) {

        if (*p == '$') {
            p += (p[1] == '{');

            if (p[1] >= '1' && p[1] <= '9') {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_tgbot_conf_compile(ngx_conf_t *cf, u_char *data, size_t len,
    ngx_http_complex_value_t *cv)
{
    ngx_str_t                         value;
    ngx_http_compile_complex_value_t  ccv;

    value.len = len;
    value.data = data;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value;
    ccv.complex_value = cv;

    return ngx_http_compile_complex_value(&ccv);
}
