
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_secret.h"
#include "ngx_http_tgbot_status.h"
#include "ngx_http_tgbot_webhook.h"


static char *ngx_http_tgbot_conf_name(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *name);
static char *ngx_http_tgbot_conf_secret_path(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *path);
static char *ngx_http_tgbot_conf_shape(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_uint_t shape);
static void ngx_http_tgbot_conf_inline(ngx_conf_t *cf, ngx_command_t *cmd);
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

    if (clcf->handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" directive \"%V\" stands in location "
                           "\"%V\" beside another content handler, expected "
                           "a location of its own",
                           &cmd->name, &value[1], &clcf->name);
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_tgbot_webhook_handler;

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
    ngx_str_t                     fault;
    ngx_uint_t                    i;
    ngx_http_tgbot_bot_t        **bots;
    ngx_http_tgbot_main_conf_t   *tmcf;
    u_char                        buf[NGX_HTTP_TGBOT_SECRET_FAULT_LEN];

    fault.data = buf;

    if (ngx_http_tgbot_secret_check(name, NGX_HTTP_TGBOT_SECRET_NAME, &fault)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\" directive: %V",
                           name, &cmd->name, &fault);
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
ngx_http_tgbot_conf_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_str_t  *value;

    if (tlcf->token.data) {
        return "is duplicate";
    }

    if (tlcf->token_file.data) {
        return "is duplicate, \"tgbot_token_file\" is set already";
    }

    value = cf->args->elts;

    tlcf->token = value[1];

    ngx_http_tgbot_conf_inline(cf, cmd);

    return ngx_http_tgbot_conf_shape(cf, cmd, &value[1],
                                     NGX_HTTP_TGBOT_SECRET_TOKEN);
}


char *
ngx_http_tgbot_conf_token_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_str_t  *value, fault;
    u_char      buf[NGX_HTTP_TGBOT_SECRET_FAULT_LEN];

    if (tlcf->token_file.data) {
        return "is duplicate";
    }

    if (tlcf->token.data) {
        return "is duplicate, \"tgbot_token\" is set already";
    }

    value = cf->args->elts;
    fault.data = buf;

    /* or else the error of open() would quote it */

    if (ngx_http_tgbot_secret_check(&value[1], NGX_HTTP_TGBOT_SECRET_TOKEN,
                                    &fault)
        == NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value in \"%V\" directive: it is a token, "
                           "expected the path of a file", &cmd->name);
        return NGX_CONF_ERROR;
    }

    tlcf->token_file = value[1];

    return ngx_http_tgbot_conf_secret_path(cf, cmd, &value[1]);
}


char *
ngx_http_tgbot_conf_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (tlcf->secret.data || tlcf->secret_off != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (tlcf->secret_file.data) {
        return "is duplicate, \"tgbot_secret_token_file\" is set already";
    }

    value = cf->args->elts;

    if (ngx_http_tgbot_conf_alone(cf, "off")) {
        tlcf->secret_off = 1;
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "off") == 0) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, &value[i],
                                   "either one or two secrets or \"off\"");
        }

        rv = ngx_http_tgbot_conf_shape(cf, cmd, &value[i],
                                       NGX_HTTP_TGBOT_SECRET_WORD);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    tlcf->secret = value[1];

    if (cf->args->nelts == 3) {
        tlcf->old_secret = value[2];
    }

    ngx_http_tgbot_conf_inline(cf, cmd);

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_secret_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_str_t  *value;

    if (tlcf->secret_file.data) {
        return "is duplicate";
    }

    if (tlcf->secret.data || tlcf->secret_off != NGX_CONF_UNSET) {
        return "is duplicate, \"tgbot_secret_token\" is set already";
    }

    value = cf->args->elts;

    tlcf->secret_file = value[1];

    return ngx_http_tgbot_conf_secret_path(cf, cmd, &value[1]);
}


static char *
ngx_http_tgbot_conf_secret_path(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *path)
{
    ngx_int_t  rc;
    ngx_str_t  expanded;

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

    return (rc == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_tgbot_conf_status_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value)
{
    ngx_http_tgbot_status_t *status = value;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" directive stands in location \"%V\" "
                           "beside another content handler, expected a "
                           "location of its own", &cmd->name, &clcf->name);
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_tgbot_status_handler;

    status->file = cf->conf_file->file.name.data;
    status->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* of a token or a secret that stands in the configuration */

static char *
ngx_http_tgbot_conf_shape(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_uint_t shape)
{
    ngx_str_t  fault;
    u_char     buf[NGX_HTTP_TGBOT_SECRET_FAULT_LEN];

    fault.data = buf;

    if (ngx_http_tgbot_secret_check(value, shape, &fault) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value in \"%V\" directive: %V",
                           &cmd->name, &fault);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void
ngx_http_tgbot_conf_inline(ngx_conf_t *cf, ngx_command_t *cmd)
{
    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "value of \"%V\" directive is shown by \"nginx -T\", "
                       "\"%V_file\" keeps it out of the configuration",
                       &cmd->name, &cmd->name);
}


void
ngx_http_tgbot_conf_merge_secrets(ngx_http_tgbot_loc_conf_t *conf,
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
