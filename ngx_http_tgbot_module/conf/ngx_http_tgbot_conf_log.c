
/*
 * tgbot_log.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_log.h"


static char *ngx_http_tgbot_conf_log_file(ngx_http_tgbot_conf_arg_t *arg);


ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_log = {
    ngx_null_string, ngx_http_tgbot_conf_log_file, 0, NULL, 0
};


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
