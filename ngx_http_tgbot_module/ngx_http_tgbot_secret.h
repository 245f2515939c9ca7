
/*
 * Tokens and secrets of bots: their shape, and the files they are read from.
 * Configuration time only.  Nothing here puts one into a message.
 */

#ifndef _NGX_HTTP_TGBOT_SECRET_H_INCLUDED_
#define _NGX_HTTP_TGBOT_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


#define NGX_HTTP_TGBOT_SECRET_FAULT_LEN  128


/* what a text is to be */

typedef enum {
    NGX_HTTP_TGBOT_SECRET_TOKEN = 0,     /* [0-9]{1,20}:[A-Za-z0-9_-]{1,128} */
    NGX_HTTP_TGBOT_SECRET_WORD,          /* [A-Za-z0-9_-]{1,256} */
    NGX_HTTP_TGBOT_SECRET_NAME           /* [A-Za-z0-9_-]{1,32} */
} ngx_http_tgbot_secret_shape_e;


/*
 * NGX_OK, or NGX_DECLINED if the text has not that shape.  fault->data is
 * the caller's, of NGX_HTTP_TGBOT_SECRET_FAULT_LEN bytes; in the latter case
 * it gets a description of the text that does not quote it, and of what is
 * expected.
 */
ngx_int_t ngx_http_tgbot_secret_check(ngx_str_t *text, ngx_uint_t shape,
    ngx_str_t *fault);

/*
 * Replaces $tgbot_bot and ${tgbot_bot} in path; *expanded is NUL-terminated
 * and lives in cf->pool.  NGX_DECLINED: there is another variable in path.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_secret_path(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *name, ngx_str_t *expanded);

/*
 * Fills in token, secret and old_secret of a bot from its merged bot->conf,
 * reading files where it says so.  NGX_ERROR: an error has been logged.
 */
ngx_int_t ngx_http_tgbot_secret_read(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_SECRET_H_INCLUDED_ */
