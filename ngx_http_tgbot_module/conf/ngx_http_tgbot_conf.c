
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_secret.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_webhook.h"


static char *ngx_http_tgbot_conf_name(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *name);
static char *ngx_http_tgbot_conf_secret_new(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf, ngx_http_tgbot_secret_t **new);
static char *ngx_http_tgbot_conf_status_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);


static ngx_conf_enum_t  ngx_http_tgbot_conf_formats[] = {
    { ngx_string("json"), NGX_HTTP_TGBOT_STATUS_JSON },
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
      offsetof(ngx_http_tgbot_status_t, format),
      ngx_http_tgbot_conf_formats, 0 },

    { ngx_string("payload="), ngx_http_tgbot_conf_enum,
      offsetof(ngx_http_tgbot_status_t, payload),
      ngx_http_tgbot_conf_flags, 0 },

    { ngx_string("write="), ngx_http_tgbot_conf_enum,
      offsetof(ngx_http_tgbot_status_t, write),
      ngx_http_tgbot_conf_flags, 0 },

    { ngx_string("ready_age="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_status_t, ready_age), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"format=\", \"payload=\", \"write=\" or \"ready_age=\"", 0 }
};


static ngx_http_tgbot_status_t  ngx_http_tgbot_conf_status_default = {
    .ready_age = NGX_HTTP_TGBOT_STATUS_READY_AGE
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_status = {
    ngx_http_tgbot_conf_status_table, &ngx_http_tgbot_conf_status_default,
    sizeof(ngx_http_tgbot_status_t), 0, ngx_http_tgbot_conf_status_check
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

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* another one is an error when all is merged */

    if (clcf->handler == NULL) {
        clcf->handler = ngx_http_tgbot_webhook_handler;
    }

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
ngx_http_tgbot_conf_name(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *name)
{
    ngx_uint_t                    i;
    const char                   *fault;
    ngx_http_tgbot_bot_t        **bots;
    ngx_http_tgbot_main_conf_t   *tmcf;

    fault = ngx_http_tgbot_secret_fault(name,
                                        &ngx_http_tgbot_secret_name_shape);
    if (fault) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\" directive: %s",
                           name, &cmd->name, fault);
        return NGX_CONF_ERROR;
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {

        if (ngx_http_tgbot_conf_equal(&bots[i]->name, name)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate value \"%V\" in \"%V\" directive, "
                               "expected another name than in %s:%ui (a file "
                               "that several servers include must not "
                               "contain this directive)",
                               name, &cmd->name,
                               bots[i]->file, bots[i]->line);
            return NGX_CONF_ERROR;
        }
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
    ngx_http_tgbot_secret_t  *secret;

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

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "value of \"%V\" directive is shown by \"nginx -T\", "
                       "\"%V_file\" keeps it out of the configuration",
                       &cmd->name, &cmd->name);

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

    /* or else the error of open() would quote it */

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


/* inline and in a file are one setting: a level has only one of them */

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
    ngx_http_tgbot_status_t *status = value;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* another one is an error when all is merged */

    if (clcf->handler == NULL) {
        clcf->handler = ngx_http_tgbot_status_handler;
    }

    status->file = cf->conf_file->file.name.data;
    status->line = cf->conf_file->line;

    return NGX_CONF_OK;
}
