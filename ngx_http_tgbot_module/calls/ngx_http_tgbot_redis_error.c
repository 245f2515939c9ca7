
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis_error.h"


static const ngx_http_tgbot_redis_error_t  ngx_http_tgbot_redis_errors[] = {

    { ngx_string("LOADING"), 1, 1, "it is loading its data" },
    { ngx_string("MASTERDOWN"), 1, 1, "it is a replica without its master" },
    { ngx_string("READONLY"), 1, 1, "it is a replica" },
    { ngx_string("NOAUTH"), 1, 1, "it wants a password" },
    { ngx_string("WRONGPASS"), 1, 1, "the user or the password is wrong" },
    { ngx_string("CLUSTERDOWN"), 1, 0, "its cluster is down" },
    { ngx_string("TRYAGAIN"), 1, 0, "its cluster moves the keys" },
    { ngx_string("MOVED"), 1, 0, "another node of its cluster has the keys" },
    { ngx_string("ASK"), 1, 0, "another node of its cluster has the keys" },
    { ngx_string("BUSY"), 1, 0, "a script does not end there" },
    { ngx_string("OOM"), 0, 0, "its \"maxmemory\" is used up" },
    { ngx_string("NOPERM"), 0, 0, "the ACL of the user forbids it" },
    { ngx_string("WRONGTYPE"), 0, 0, "a key holds what this module did not "
                                     "write" },
    { ngx_string("MISCONF"), 0, 0, "it cannot write to its disk" },
    { ngx_string("NOREPLICAS"), 0, 0, "its \"min-replicas-to-write\" is not "
                                      "met" },
    { ngx_null_string, 0, 0, NULL }
};


#define NGX_HTTP_TGBOT_REDIS_ERRORS                                           \
    (sizeof(ngx_http_tgbot_redis_errors)                                      \
     / sizeof(ngx_http_tgbot_redis_error_t) - 1)


const ngx_http_tgbot_redis_error_t *
ngx_http_tgbot_redis_error(ngx_http_tgbot_redis_link_t *link,
    redisReply *reply, const ngx_str_t *what, ngx_uint_t whole)
{
    ngx_str_t                            text;
    ngx_uint_t                           i;
    const ngx_http_tgbot_redis_error_t  *error;

    ngx_http_tgbot_redis_reply_class(reply, &text);

    for (i = 0; i < NGX_HTTP_TGBOT_REDIS_ERRORS; i++) {
        error = &ngx_http_tgbot_redis_errors[i];

        if (text.len == error->word.len
            && ngx_strncmp(text.data, error->word.data, text.len) == 0)
        {
            break;
        }
    }

    error = &ngx_http_tgbot_redis_errors[i];

    if (!ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_ERROR + i))
    {
        return error;
    }

    if (error->means) {
        ngx_log_error(NGX_LOG_ERR, &link->log, 0, "\"%V\" was refused: %V, %s",
                      what, &error->word, error->means);

    } else {

        if (whole) {
            ngx_http_tgbot_redis_reply_text(reply, &text);
        }

        ngx_log_error(NGX_LOG_ERR, &link->log, 0, "\"%V\" was refused: %V",
                      what, &text);
    }

    return error;
}
