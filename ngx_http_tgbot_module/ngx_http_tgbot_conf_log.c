
/*
 * tgbot_log.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_log.h"


char *
ngx_http_tgbot_conf_log(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_int_t         rc;
    ngx_str_t        *value;
    ngx_open_file_t  *file;

    if (tlcf->log != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        tlcf->log = NULL;
        return NGX_CONF_OK;
    }

    if (value[1].len == 0
        || ngx_strncmp(value[1].data, "syslog:", sizeof("syslog:") - 1) == 0
        || ngx_strlchr(value[1].data, value[1].data + value[1].len, '$'))
    {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                           "the path of a file, without "
                                           "variables, or \"off\"");
    }

    file = ngx_conf_open_file(cf->cycle, &value[1]);
    if (file == NULL) {
        return NGX_CONF_ERROR;
    }

    rc = ngx_http_tgbot_log_file(cf, file);

    if (rc == NGX_DECLINED) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, &value[1],
                                           "a file that no other directive "
                                           "writes to");
    }

    if (rc != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    tlcf->log = file;

    return NGX_CONF_OK;
}
