
/*
 * The errors that Redis answers: what each means for the command and for the
 * connection, and how it is logged.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_ERROR_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_ERROR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis_link.h"


typedef struct {
    ngx_str_t    word;     /* first word of the error; "": any other */
    ngx_uint_t   away;     /* this Redis cannot serve now */
    ngx_uint_t   leave;    /* another connection may help */
    const char  *means;
} ngx_http_tgbot_redis_error_t;


/*
 * Returns the error that the reply is, and logs it, at most one line a second
 * for each error.  what: the name of the command or script.  With "whole" the
 * text of an error that is not known is logged too: only for commands that have
 * no user text in them, as Redis quotes some.
 */
const ngx_http_tgbot_redis_error_t *ngx_http_tgbot_redis_error(
    ngx_http_tgbot_redis_link_t *link, redisReply *reply,
    const ngx_str_t *what, ngx_uint_t whole);


#endif /* _NGX_HTTP_TGBOT_REDIS_ERROR_H_INCLUDED_ */
