
/*
 * Parsers of directives: a single value, or several parameters by a table.
 * nginx's own ngx_conf_set_*_slot() functions are not used, as their errors
 * do not name the directive, the value and what is expected.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_log.h"
#include "ngx_http_tgbot_secret.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_webhook.h"


/* Telegram hangs up after 60 seconds */
#define NGX_HTTP_TGBOT_CONF_MAX_HOLD  55000


static char *ngx_http_tgbot_conf_username(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *username);
static char *ngx_http_tgbot_conf_name(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *name);
static char *ngx_http_tgbot_conf_secret_new(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf, ngx_http_tgbot_secret_t **new);
static char *ngx_http_tgbot_conf_status_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);
static char *ngx_http_tgbot_conf_read(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_tgbot_conf_parameter_t *par, ngx_str_t *value, void *conf);
static char *ngx_http_tgbot_conf_hold(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_size(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_age(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_backoffs(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value);
static char *ngx_http_tgbot_conf_log_file(ngx_http_tgbot_conf_arg_t *arg);


static ngx_conf_enum_t  ngx_http_tgbot_conf_formats[] = {
    { ngx_string("json"), NGX_HTTP_TGBOT_STATUS_TEXT },
    { ngx_string("prometheus"), NGX_HTTP_TGBOT_STATUS_PROMETHEUS },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_tgbot_conf_flags[] = {
    { ngx_string("on"), 1 },
    { ngx_string("off"), 0 },
    { ngx_null_string, 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_status_table[] = {

    { ngx_string("format="), ngx_http_tgbot_conf_enum,
      offsetof(ngx_http_tgbot_status_conf_t, format),
      ngx_http_tgbot_conf_formats, 0 },

    { ngx_string("payload="), ngx_http_tgbot_conf_enum,
      offsetof(ngx_http_tgbot_status_conf_t, payload),
      ngx_http_tgbot_conf_flags, 0 },

    { ngx_string("write="), ngx_http_tgbot_conf_enum,
      offsetof(ngx_http_tgbot_status_conf_t, write),
      ngx_http_tgbot_conf_flags, 0 },

    { ngx_string("ready_age="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_status_conf_t, ready_age), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"format=\", \"payload=\", \"write=\" or \"ready_age=\"", 0 }
};


static ngx_http_tgbot_status_conf_t  ngx_http_tgbot_conf_status_default = {
    .ready_age = NGX_HTTP_TGBOT_STATUS_READY_AGE
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_status = {
    ngx_http_tgbot_conf_status_table, &ngx_http_tgbot_conf_status_default,
    sizeof(ngx_http_tgbot_status_conf_t), 0, ngx_http_tgbot_conf_status_check
};


static ngx_conf_enum_t  ngx_http_tgbot_conf_vias[] = {
    { ngx_string("auto"), NGX_HTTP_TGBOT_VIA_AUTO },
    { ngx_string("api"), NGX_HTTP_TGBOT_VIA_API },
    { ngx_string("response"), NGX_HTTP_TGBOT_VIA_RESPONSE },
    { ngx_null_string, 0 }
};


static ngx_conf_bitmask_t  ngx_http_tgbot_conf_retry_masks[] = {
    { ngx_string("http_429"), NGX_HTTP_TGBOT_RETRY_ON_429 },
    { ngx_string("http_5xx"), NGX_HTTP_TGBOT_RETRY_ON_5XX },
    { ngx_string("error"), NGX_HTTP_TGBOT_RETRY_ON_ERROR },
    { ngx_string("timeout"), NGX_HTTP_TGBOT_RETRY_ON_TIMEOUT },
    { ngx_null_string, 0 }
};


ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_reply_via = {
    ngx_null_string, ngx_http_tgbot_conf_enum, 0, ngx_http_tgbot_conf_vias, 0
};

ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_hold_timeout = {
    ngx_null_string, ngx_http_tgbot_conf_hold, 0, NULL, 0
};

ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_call_timeout = {
    ngx_null_string, ngx_http_tgbot_conf_time, 0, NULL, 0
};

ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_response_size = {
    ngx_null_string, ngx_http_tgbot_conf_size, 0, NULL, 0
};

ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_max_calls = {
    ngx_null_string, ngx_http_tgbot_conf_number, 0, NULL, 65535
};

ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_max_age = {
    ngx_null_string, ngx_http_tgbot_conf_age, 0, NULL, 0
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_retry_table[] = {

    { ngx_string("attempts="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_retry_t, attempts), NULL, 0 },

    { ngx_string("backoff="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_retry_t, backoff), NULL, 0 },

    { ngx_string("max_backoff="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_retry_t, max_backoff), NULL, 0 },

    { ngx_string("life="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_retry_t, life), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"attempts=\", \"backoff=\", \"max_backoff=\" or \"life=\"", 0 }
};


ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_log = {
    ngx_null_string, ngx_http_tgbot_conf_log_file, 0, NULL, 0
};


char *
ngx_http_tgbot_conf_webhook(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    char                        *rv;
    ngx_str_t                   *value;
    ngx_http_tgbot_bot_t        *bot, **botp;
    ngx_http_core_srv_conf_t    *cscf;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_tgbot_main_conf_t  *tmcf;

    if (tlcf->bot) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rv = ngx_http_tgbot_conf_name(cf, cmd, &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    clcf = ngx_http_tgbot_conf_handler(cf, ngx_http_tgbot_webhook_handler);

    bot = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_bot_t));
    if (bot == NULL) {
        return NGX_CONF_ERROR;
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    botp = ngx_array_push(&tmcf->bots);
    if (botp == NULL) {
        return NGX_CONF_ERROR;
    }

    *botp = bot;

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    if (cf->args->nelts == 3) {
        rv = ngx_http_tgbot_conf_username(cf, cmd, &value[2], &bot->username);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    bot->name = value[1];
    bot->conf = tlcf;
    bot->clcf = clcf;
    bot->ctx = cscf->ctx;
    bot->file = cf->conf_file->file.name.data;
    bot->line = cf->conf_file->line;

    tlcf->bot = bot;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_username(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *username)
{
    u_char  *p, *last, c;

    static ngx_str_t  name = ngx_string("username=");

    if (value->len <= name.len
        || ngx_strncmp(value->data, name.data, name.len) != 0)
    {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "\"username=bot_name\"");
    }

    p = value->data + name.len;
    last = value->data + value->len;

    username->data = p;
    username->len = last - p;

    for ( /* void */ ; p < last; p++) {
        c = (u_char) (*p | 0x20);

        if ((c < 'a' || c > 'z') && (*p < '0' || *p > '9') && *p != '_') {
            return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                               "the username of the bot "
                                               "without \"@\": letters, digits "
                                               "and \"_\"");
        }
    }

    return NGX_CONF_OK;
}


ngx_http_core_loc_conf_t *
ngx_http_tgbot_conf_handler(ngx_conf_t *cf, ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == NULL) {
        clcf->handler = handler;
    }

    return clcf;
}


static char *
ngx_http_tgbot_conf_name(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *name)
{
    const char                  *fault;
    ngx_http_tgbot_bot_t        *bot;
    ngx_http_tgbot_main_conf_t  *tmcf;

    fault = ngx_http_tgbot_secret_fault(name,
                                        &ngx_http_tgbot_secret_name_shape);
    if (fault) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\" directive: %s",
                           name, &cmd->name, fault);
        return NGX_CONF_ERROR;
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    bot = ngx_http_tgbot_bot_named(tmcf, name);

    if (bot) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate value \"%V\" in \"%V\" directive, "
                           "expected another name than in %s:%ui (a file that "
                           "several servers include must not contain this "
                           "directive)",
                           name, &cmd->name, bot->file, bot->line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                     *rv;
    ngx_str_t                *value;
    ngx_uint_t                i;
    const char               *fault;
    ngx_http_tgbot_shown_t   *shown;
    ngx_http_tgbot_secret_t  *secret;
    ngx_http_tgbot_main_conf_t  *tmcf;

    rv = ngx_http_tgbot_conf_secret_new(cf, cmd, conf, &secret);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (cmd->post == &ngx_http_tgbot_secret_shape
        && ngx_http_tgbot_conf_alone(cf, "off"))
    {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        fault = ngx_http_tgbot_secret_fault(&value[i], cmd->post);

        if (fault) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value in \"%V\" directive: %s",
                               &cmd->name, fault);
            return NGX_CONF_ERROR;
        }

        if (ngx_strcmp(value[i].data, "off") == 0) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, &value[i],
                                   "either one or two secrets or \"off\"");
        }

        secret->lines[i - 1] = value[i];
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    shown = (cmd->post == &ngx_http_tgbot_secret_shape) ? &tmcf->shown_secrets
                                                        : &tmcf->shown_tokens;

    if (shown->n++ == 0) {
        shown->file = cf->conf_file->file.name.data;
        shown->line = cf->conf_file->line;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_secret_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char                     *rv;
    ngx_int_t                 rc;
    ngx_str_t                *path, expanded;
    ngx_http_tgbot_secret_t  *secret;

    rv = ngx_http_tgbot_conf_secret_new(cf, cmd, conf, &secret);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    path = (ngx_str_t *) cf->args->elts + 1;

    /* the error of open() would quote a token given instead of a path */

    if (ngx_http_tgbot_secret_fault(path, &ngx_http_tgbot_secret_token_shape)
        == NULL)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value in \"%V\" directive: it is a token, "
                           "expected the path of a file", &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (path->len == 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, path,
                                           "the path of a file");
    }

    rc = ngx_http_tgbot_secret_path(cf, path, &cmd->name, &expanded);

    if (rc == NGX_DECLINED) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, path,
                                           "the path of a file, in which "
                                           "$tgbot_bot is the only variable");
    }

    secret->file = *path;

    return (rc == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* a level may have a secret either inline or in a file, not both */

static char *
ngx_http_tgbot_conf_secret_new(ngx_conf_t *cf, ngx_command_t *cmd, void *conf,
    ngx_http_tgbot_secret_t **new)
{
    char  *p = conf;

    ngx_http_tgbot_secret_t  **secret;

    secret = (ngx_http_tgbot_secret_t **) (p + cmd->offset);

    if (*secret != NGX_CONF_UNSET_PTR) {

        if (ngx_http_tgbot_conf_equal(&(*secret)->directive, &cmd->name)) {
            return "is duplicate";
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" directive is duplicate, \"%V\" is set "
                           "already", &cmd->name, &(*secret)->directive);
        return NGX_CONF_ERROR;
    }

    *secret = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_secret_t));
    if (*secret == NULL) {
        return NGX_CONF_ERROR;
    }

    (*secret)->directive = cmd->name;
    *new = *secret;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_status_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value)
{
    ngx_http_tgbot_status_conf_t  *status = value;

    (void) ngx_http_tgbot_conf_handler(cf, ngx_http_tgbot_status_handler);

    status->file = cf->conf_file->file.name.data;
    status->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


static ngx_http_tgbot_conf_parameter_t
    ngx_http_tgbot_conf_attempts_table[] =
{
    { ngx_null_string, ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_retry_t, attempts), NULL, 1000 },

    { ngx_string("backoff="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_retry_t, backoff), NULL, 0 },

    { ngx_string("max_backoff="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_retry_t, max_backoff), NULL, 0 },

    { ngx_null_string, NULL, 0, "\"backoff=\" or \"max_backoff=\"", 0 }
};


ngx_http_tgbot_retry_t  ngx_http_tgbot_conf_retry_default = {
    5, 500, 30000, 3600000
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_retry = {
    ngx_http_tgbot_conf_retry_table, &ngx_http_tgbot_conf_retry_default,
    sizeof(ngx_http_tgbot_retry_t), 0, ngx_http_tgbot_conf_backoffs
};


ngx_http_tgbot_retry_t  ngx_http_tgbot_conf_attempts_default = {
    10, 1000, 300000, 0
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_attempts = {
    ngx_http_tgbot_conf_attempts_table, &ngx_http_tgbot_conf_attempts_default,
    sizeof(ngx_http_tgbot_retry_t), 0, ngx_http_tgbot_conf_backoffs
};


char *
ngx_http_tgbot_conf_value(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t  *value;

    /* NGX_CONF_UNSET of all these types has the same bits */

    if (*(ngx_uint_t *) (p + cmd->offset) != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    return ngx_http_tgbot_conf_read(cf, cmd, cmd->post, &value[1],
                                    p + cmd->offset);
}


char *
ngx_http_tgbot_conf_object(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char                             *rv;
    void                            **object;
    ngx_http_tgbot_conf_directive_t  *directive;

    directive = cmd->post;
    object = (void **) (p + cmd->offset);

    if (*object != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (directive->off && ngx_http_tgbot_conf_alone(cf, "off")) {
        *object = NULL;
        return NGX_CONF_OK;
    }

    *object = ngx_palloc(cf->pool, directive->size);
    if (*object == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(*object, directive->initial, directive->size);

    rv = ngx_http_tgbot_conf_parameters(cf, cmd, directive->table, *object);

    if (rv != NGX_CONF_OK || directive->check == NULL) {
        return rv;
    }

    return directive->check(cf, cmd, *object);
}


char *
ngx_http_tgbot_conf_several(ngx_conf_t *cf, ngx_array_t **array, size_t size,
    ngx_uint_t off, void *item)
{
    if (*array == NULL || (off && *array != NGX_CONF_UNSET_PTR)) {
        return "is duplicate, \"off\" stands alone";
    }

    if (off) {
        *array = NULL;
        return NGX_CONF_OK;
    }

    if (*array == NGX_CONF_UNSET_PTR) {
        *array = ngx_array_create(cf->pool, 2, size);
        if (*array == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    *(void **) item = ngx_array_push(*array);

    return *(void **) item ? NGX_CONF_OK : NGX_CONF_ERROR;
}


ngx_uint_t
ngx_http_tgbot_conf_alone(ngx_conf_t *cf, const char *word)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    return cf->args->nelts == 2 && ngx_strcmp(value[1].data, word) == 0;
}


char *
ngx_http_tgbot_conf_parameters(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_tgbot_conf_parameter_t *table, void *conf)
{
    char                             *rv;
    ngx_str_t                        *value;
    ngx_uint_t                        i, seen;
    ngx_http_tgbot_conf_parameter_t  *par;

    value = cf->args->elts;
    seen = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        for (par = table; par->set; par++) {

            if (par->name.len == 0
                ? i == 1
                : ngx_strncmp(value[i].data, par->name.data, par->name.len)
                  == 0
                  && (par->name.data[par->name.len - 1] == '='
                      || value[i].len == par->name.len))
            {
                break;
            }
        }

        if (par->set == NULL) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, &value[i], par->data);
        }

        if (seen & (1 << (par - table))) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, &value[i],
                                               "every parameter only once");
        }

        seen |= 1 << (par - table);

        rv = ngx_http_tgbot_conf_read(cf, cmd, par, &value[i], conf);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_read(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_tgbot_conf_parameter_t *par, ngx_str_t *value, void *conf)
{
    ngx_http_tgbot_conf_arg_t  arg;

    arg.cf = cf;
    arg.cmd = cmd;
    arg.par = par;
    arg.value = value;
    arg.text.len = value->len - par->name.len;
    arg.text.data = value->data + par->name.len;
    arg.field = (u_char *) conf + par->offset;

    return par->set(&arg);
}


char *
ngx_http_tgbot_conf_bounded(ngx_http_tgbot_conf_arg_t *arg, ngx_int_t n,
    ngx_int_t min, ngx_int_t max, const char *expected)
{
    if (n < min || (max && n > max)) {
        return ngx_http_tgbot_conf_expected(arg, expected);
    }

    *(ngx_uint_t *) arg->field = n;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_number(ngx_http_tgbot_conf_arg_t *arg)
{
    u_char  expected[sizeof("a number between 1 and ") + NGX_INT_T_LEN];

    (void) ngx_sprintf(expected,
                       arg->par->max ? "a number between 1 and %i%Z"
                                     : "a number greater than %i%Z",
                       arg->par->max);

    return ngx_http_tgbot_conf_bounded(arg, ngx_atoi(arg->text.data,
                                                     arg->text.len),
                                       1, arg->par->max, (char *) expected);
}


char *
ngx_http_tgbot_conf_time(ngx_http_tgbot_conf_arg_t *arg)
{
    return ngx_http_tgbot_conf_bounded(arg, ngx_parse_time(&arg->text, 0),
                                       1, 0, "a time greater than 0");
}


char *
ngx_http_tgbot_conf_enum(ngx_http_tgbot_conf_arg_t *arg)
{
    u_char                 *p, *last;
    const ngx_conf_enum_t  *e, *table;
    u_char                  buf[128];

    table = arg->par->data;

    for (e = table; e->name.len; e++) {
        if (ngx_strcmp(arg->text.data, e->name.data) == 0) {
            *(ngx_uint_t *) arg->field = e->value;
            return NGX_CONF_OK;
        }
    }

    p = buf;
    last = buf + sizeof(buf) - 1;

    for (e = table; e->name.len; e++) {
        p = ngx_slprintf(p, last, "%s\"%V\"",
                         e == table ? "" : e[1].name.len ? ", " : " or ",
                         &e->name);
    }

    *p = '\0';

    return ngx_http_tgbot_conf_expected(arg, (char *) buf);
}


char *
ngx_http_tgbot_conf_word(ngx_http_tgbot_conf_arg_t *arg)
{
    *(ngx_flag_t *) arg->field = 1;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_path(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_str_t  *text;

    text = &arg->text;

    if (text->len == 0
        || ngx_strlchr(text->data, text->data + text->len, '$'))
    {
        return ngx_http_tgbot_conf_expected(arg, "the path of a file, without "
                                            "variables");
    }

    *(ngx_str_t *) arg->field = *text;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_key(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_http_complex_value_t  *key;

    if (arg->text.len == 0) {
        return ngx_http_tgbot_conf_expected(arg, arg->par->data);
    }

    key = ngx_palloc(arg->cf->pool, sizeof(ngx_http_complex_value_t));
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    *(ngx_http_complex_value_t **) arg->field = key;

    if (ngx_http_tgbot_conf_compile(arg->cf, arg->text.data, arg->text.len,
                                    key)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_expected(ngx_http_tgbot_conf_arg_t *arg,
    const char *expected)
{
    return ngx_http_tgbot_conf_invalid(arg->cf, arg->cmd, arg->value,
                                       expected);
}


static char *
ngx_http_tgbot_conf_hold(ngx_http_tgbot_conf_arg_t *arg)
{
    char  *rv;

    rv = ngx_http_tgbot_conf_time(arg);

    if (rv == NGX_CONF_OK
        && *(ngx_msec_t *) arg->field > NGX_HTTP_TGBOT_CONF_MAX_HOLD)
    {
        ngx_conf_log_error(NGX_LOG_WARN, arg->cf, 0,
                           "value \"%V\" in \"%V\" directive is more than "
                           "55s, Telegram hangs up after 60 seconds",
                           arg->value, &arg->cmd->name);
    }

    return rv;
}


static char *
ngx_http_tgbot_conf_size(ngx_http_tgbot_conf_arg_t *arg)
{
    return ngx_http_tgbot_conf_bounded(arg, ngx_parse_size(&arg->text),
                                       1024, 64 * 1024 * 1024,
                                       "a size between 1k and 64m");
}


static char *
ngx_http_tgbot_conf_age(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_int_t  sec;

    sec = 0;

    if (ngx_strcmp(arg->text.data, "off") != 0) {
        sec = ngx_parse_time(&arg->text, 1);

        if (sec == NGX_ERROR || sec == 0) {
            return ngx_http_tgbot_conf_expected(arg, "a time of 1s or more, "
                                                "or \"off\"");
        }
    }

    *(time_t *) arg->field = sec;

    return NGX_CONF_OK;
}


/* checks tgbot_retry and tgbot_attempts */

static char *
ngx_http_tgbot_conf_backoffs(ngx_conf_t *cf, ngx_command_t *cmd, void *value)
{
    ngx_http_tgbot_retry_t *retry = value;

    if (retry->backoff > retry->max_backoff) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"backoff=%Mms\" in \"%V\" "
                           "directive, expected at most \"max_backoff\", "
                           "which is %Mms",
                           retry->backoff, &cmd->name, retry->max_backoff);
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

    if (ngx_http_tgbot_conf_alone(cf, "off")) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

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
ngx_http_tgbot_conf_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *expected)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\" directive, "
                       "expected %s", value, &cmd->name, expected);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_tgbot_conf_log_file(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_open_file_t **file = arg->field;

    ngx_int_t   rc;
    ngx_str_t  *path;

    path = &arg->text;

    if (ngx_strcmp(path->data, "off") == 0) {
        *file = NULL;
        return NGX_CONF_OK;
    }

    if (path->len == 0
        || ngx_strncmp(path->data, "syslog:", sizeof("syslog:") - 1) == 0
        || ngx_strlchr(path->data, path->data + path->len, '$'))
    {
        return ngx_http_tgbot_conf_expected(arg, "the path of a file, without "
                                            "variables, or \"off\"");
    }

    *file = ngx_conf_open_file(arg->cf->cycle, path);
    if (*file == NULL) {
        return NGX_CONF_ERROR;
    }

    rc = ngx_http_tgbot_log_file(arg->cf, *file);

    if (rc == NGX_DECLINED) {
        return ngx_http_tgbot_conf_expected(arg, "a file that no other "
                                            "directive writes to");
    }

    return (rc == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}
