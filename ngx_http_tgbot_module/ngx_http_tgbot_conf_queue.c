
/*
 * The directives of updates that are kept: the queue and the dead letters.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"


#define NGX_HTTP_TGBOT_CONF_CONCURRENCY      32
#define NGX_HTTP_TGBOT_CONF_MAX_CONCURRENCY  4096
#define NGX_HTTP_TGBOT_CONF_SHARE            25
#define NGX_HTTP_TGBOT_CONF_LETTERS          1000
#define NGX_HTTP_TGBOT_CONF_MAX_LETTERS      1000000


static char *ngx_http_tgbot_conf_queue_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value, ngx_str_t *text,
    ngx_http_tgbot_conf_parameter_t *par, void *conf);
static char *ngx_http_tgbot_conf_lane(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);
static char *ngx_http_tgbot_conf_share(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);
static char *ngx_http_tgbot_conf_state(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);
static ngx_int_t ngx_http_tgbot_conf_directory(ngx_conf_t *cf,
    ngx_str_t *path);
static char *ngx_http_tgbot_conf_state_check(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_tgbot_lanes_t *lanes);
static char *ngx_http_tgbot_conf_dead_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value, ngx_str_t *text,
    ngx_http_tgbot_conf_parameter_t *par, void *conf);


ngx_http_tgbot_letters_t  ngx_http_tgbot_conf_letters_default = {
    NULL, NGX_HTTP_TGBOT_CONF_LETTERS, 0
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_queue_table[] = {
    { ngx_string("zone="), ngx_http_tgbot_conf_queue_zone, 0, 0 },

    { ngx_string("concurrency="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_lanes_t, concurrency),
      NGX_HTTP_TGBOT_CONF_MAX_CONCURRENCY },

    { ngx_string("lane="), ngx_http_tgbot_conf_lane, 0, 0 },
    { ngx_string("share="), ngx_http_tgbot_conf_share, 0, 0 },
    { ngx_string("state="), ngx_http_tgbot_conf_state, 0, 0 },
    { ngx_string("redis"), ngx_http_tgbot_conf_redis, 0, 0 },
    { ngx_null_string, NULL, 0, 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_letters_table[] = {
    { ngx_string("zone="), ngx_http_tgbot_conf_dead_zone, 0, 0 },

    { ngx_string("max="), ngx_http_tgbot_conf_number,
      offsetof(ngx_http_tgbot_letters_t, max),
      NGX_HTTP_TGBOT_CONF_MAX_LETTERS },

    { ngx_string("redis"), ngx_http_tgbot_conf_redis, 0, 0 },
    { ngx_null_string, NULL, 0, 0 }
};


char *
ngx_http_tgbot_conf_queue(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_http_tgbot_lanes_t  *lanes;

    if (tlcf->lanes != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        tlcf->lanes = NULL;
        return NGX_CONF_OK;
    }

    lanes = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_lanes_t));
    if (lanes == NULL) {
        return NGX_CONF_ERROR;
    }

    lanes->concurrency = NGX_HTTP_TGBOT_CONF_CONCURRENCY;
    lanes->share = NGX_HTTP_TGBOT_CONF_SHARE;

    rv = ngx_http_tgbot_conf_parameters(cf, cmd, 1,
                                  ngx_http_tgbot_conf_queue_table, lanes,
                                  "\"zone=\", \"concurrency=\", \"lane=\", "
                                  "\"share=\" or \"state=\", or \"off\" "
                                  "alone");
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (lanes->zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "value \"%V\" in \"%V\" directive stands without "
                           "\"zone=\", expected \"zone=name:size\" with it",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    tlcf->lanes = lanes;

    return ngx_http_tgbot_conf_state_check(cf, cmd, lanes);
}


static char *
ngx_http_tgbot_conf_queue_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_lanes_t *lanes = conf;

    lanes->zone = ngx_http_tgbot_conf_zone(cf, cmd, text,
                                           &ngx_http_tgbot_queue_zone);

    return lanes->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_tgbot_conf_lane(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_lanes_t *lanes = conf;

    if (text->len == 0) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "a key, such as "
                                           "\"lane=$tgbot_chat_id\"");
    }

    lanes->lane = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (lanes->lane == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_tgbot_conf_compile(cf, text->data, text->len, lanes->lane)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_share(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_lanes_t *lanes = conf;

    ngx_int_t  n;

    n = NGX_ERROR;

    if (text->len > 1 && text->data[text->len - 1] == '%') {
        n = ngx_atoi(text->data, text->len - 1);
    }

    if (n < 1 || n > 100) {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "a number between 1% and 100%");
    }

    lanes->share = n;

    return NGX_CONF_OK;
}


/* the file is written when nginx ends, which is too late for an error */

static char *
ngx_http_tgbot_conf_state(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_lanes_t *lanes = conf;

    ngx_file_info_t  fi;

    if (text->len == 0
        || text->data[text->len - 1] == '/'
        || ngx_strlchr(text->data, text->data + text->len, '$'))
    {
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "the path of a file, without "
                                           "variables");
    }

    lanes->state = *text;

    if (ngx_conf_full_name(cf->cycle, &lanes->state, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_link_info(lanes->state.data, &fi) != NGX_FILE_ERROR) {

        if (!ngx_is_file(&fi)) {
            return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                               "the path of a regular file, "
                                               "or of none yet");
        }

        return NGX_CONF_OK;
    }

    switch (ngx_http_tgbot_conf_directory(cf, &lanes->state)) {

    case NGX_OK:
        return NGX_CONF_OK;

    case NGX_DECLINED:
        return ngx_http_tgbot_conf_invalid(cf, cmd, value,
                                           "the path of a file in a "
                                           "directory that exists");

    default:
        return NGX_CONF_ERROR;
    }
}


/* NGX_DECLINED: that in which the file is to be does not exist */

static ngx_int_t
ngx_http_tgbot_conf_directory(ngx_conf_t *cf, ngx_str_t *path)
{
    size_t            len;
    u_char           *dir;
    ngx_err_t         err;
    ngx_file_info_t   fi;

    for (len = path->len; len > 1 && path->data[len - 1] != '/'; len--) {
        /* void */
    }

    dir = ngx_pnalloc(cf->temp_pool, len + 1);
    if (dir == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(dir, path->data, len + 1);

    if (ngx_file_info(dir, &fi) == NGX_FILE_ERROR) {
        err = ngx_errno;

        return (err == NGX_ENOENT || err == NGX_ENOTDIR) ? NGX_DECLINED
                                                         : NGX_OK;
    }

    return NGX_OK;
}


/* a zone has one file, which is given in one place or as the same one */

static char *
ngx_http_tgbot_conf_state_check(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_tgbot_lanes_t *lanes)
{
    ngx_uint_t                    i, equal;
    ngx_http_tgbot_lanes_t      **other, **last;
    ngx_http_tgbot_main_conf_t   *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    other = tmcf->lanes.elts;

    for (i = 0; lanes->state.len && i < tmcf->lanes.nelts; i++) {

        equal = (other[i]->state.len == lanes->state.len
                 && ngx_strncmp(other[i]->state.data, lanes->state.data,
                                lanes->state.len)
                    == 0);

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


char *
ngx_http_tgbot_conf_dead_letters(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_tgbot_loc_conf_t *tlcf = conf;

    ngx_str_t                 *value;
    ngx_http_tgbot_letters_t  *letters;

    if (tlcf->letters != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    letters = ngx_palloc(cf->pool, sizeof(ngx_http_tgbot_letters_t));
    if (letters == NULL) {
        return NGX_CONF_ERROR;
    }

    *letters = ngx_http_tgbot_conf_letters_default;

    tlcf->letters = letters;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        letters->off = 1;
        return NGX_CONF_OK;
    }

    return ngx_http_tgbot_conf_parameters(cf, cmd, 1,
                                  ngx_http_tgbot_conf_letters_table, letters,
                                  "\"zone=\" or \"max=\", or \"off\" alone");
}


static char *
ngx_http_tgbot_conf_dead_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf)
{
    ngx_http_tgbot_letters_t *letters = conf;

    letters->zone = ngx_http_tgbot_conf_zone(cf, cmd, text,
                                             &ngx_http_tgbot_dead_zone);

    return letters->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}
