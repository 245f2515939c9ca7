
/*
 * The directives of updates that are kept: the queue and the dead letters.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"


static char *ngx_http_tgbot_conf_share(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_state(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_queue_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *value);


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_queue_table[] = {

    { ngx_string("zone="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_lanes_t, zone), &ngx_http_tgbot_queue_zone, 0 },

    { ngx_string("concurrency="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_lanes_t, concurrency), NULL, 4096 },

    { ngx_string("lane="), ngx_http_tgbot_conf_key,
      offsetof(ngx_http_tgbot_lanes_t, lane),
      "a key, such as \"lane=$tgbot_chat_id\"", 0 },

    { ngx_string("share="), ngx_http_tgbot_conf_share,
      offsetof(ngx_http_tgbot_lanes_t, share), NULL, 0 },

    { ngx_string("state="), ngx_http_tgbot_conf_state,
      offsetof(ngx_http_tgbot_lanes_t, state), NULL, 0 },

    { ngx_string("redis"), ngx_http_tgbot_conf_redis, 0, NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"zone=\", \"concurrency=\", \"lane=\", \"share=\" or \"state=\", or "
      "\"off\" alone", 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_letters_table[] = {

    { ngx_string("zone="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_letters_t, zone), &ngx_http_tgbot_dead_zone, 0 },

    { ngx_string("max="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_letters_t, max), NULL, 1000000 },

    { ngx_string("redis"), ngx_http_tgbot_conf_redis, 0, NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"zone=\" or \"max=\", or \"off\" alone", 0 }
};


static ngx_http_tgbot_lanes_t  ngx_http_tgbot_conf_queue_default = {
    NULL, 32, 25, NULL, ngx_null_string
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_queue = {
    ngx_http_tgbot_conf_queue_table, &ngx_http_tgbot_conf_queue_default,
    sizeof(ngx_http_tgbot_lanes_t), 1, ngx_http_tgbot_conf_queue_check
};


ngx_http_tgbot_letters_t  ngx_http_tgbot_conf_letters_default = {
    NULL, 1000
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_dead_letters = {
    ngx_http_tgbot_conf_letters_table, &ngx_http_tgbot_conf_letters_default,
    sizeof(ngx_http_tgbot_letters_t), 1, NULL
};


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


/* the file is written when nginx ends, which is too late for an error */

static char *
ngx_http_tgbot_conf_state(ngx_http_tgbot_conf_arg_t *arg)
{
    ngx_str_t *path = arg->field;

    char             *rv;
    u_char           *p, c;
    ngx_int_t         rc;
    ngx_err_t         err;
    ngx_file_info_t   fi;

    rv = ngx_http_tgbot_conf_path(arg);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (path->data[path->len - 1] == '/') {
        return ngx_http_tgbot_conf_expected(arg, "the path of a file, without "
                                            "variables");
    }

    if (ngx_conf_full_name(arg->cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_link_info(path->data, &fi) != NGX_FILE_ERROR) {

        if (!ngx_is_file(&fi)) {
            return ngx_http_tgbot_conf_expected(arg, "the path of a regular "
                                                "file, or of none yet");
        }

        return NGX_CONF_OK;
    }

    /* and the directory */

    for (p = path->data + path->len; p[-1] != '/'; p--) { /* void */ }

    c = *p;
    *p = '\0';

    rc = ngx_file_info(path->data, &fi);
    err = ngx_errno;

    *p = c;

    if (rc == NGX_FILE_ERROR && (err == NGX_ENOENT || err == NGX_ENOTDIR)) {
        return ngx_http_tgbot_conf_expected(arg, "the path of a file in a "
                                            "directory that exists");
    }

    return NGX_CONF_OK;
}


/* a zone has one file, which is given in one place or as the same one */

static char *
ngx_http_tgbot_conf_queue_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *value)
{
    ngx_http_tgbot_lanes_t *lanes = value;

    ngx_uint_t                    i, equal;
    ngx_http_tgbot_lanes_t      **other, **last;
    ngx_http_tgbot_main_conf_t   *tmcf;

    if (lanes->zone == NULL) {
        return ngx_http_tgbot_conf_without(cf, cmd, "zone",
                                           "\"zone=name:size\"");
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    other = tmcf->lanes.elts;

    for (i = 0; lanes->state.len && i < tmcf->lanes.nelts; i++) {

        equal = ngx_http_tgbot_conf_equal(&other[i]->state, &lanes->state);

        if (other[i]->zone != lanes->zone) {

            if (!equal) {
                continue;
            }

            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"state=%V\" in \"%V\" "
                               "directive, expected another file than that "
                               "of zone \"%V\"",
                               &lanes->state, &cmd->name,
                               &other[i]->zone->shm_zone->shm.name);
            return NGX_CONF_ERROR;
        }

        if (other[i]->state.len && !equal) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"state=%V\" in \"%V\" "
                               "directive, expected \"state=%V\", which is "
                               "that of zone \"%V\"",
                               &lanes->state, &cmd->name, &other[i]->state,
                               &lanes->zone->shm_zone->shm.name);
            return NGX_CONF_ERROR;
        }
    }

    last = ngx_array_push(&tmcf->lanes);
    if (last == NULL) {
        return NGX_CONF_ERROR;
    }

    *last = lanes;

    return NGX_CONF_OK;
}
