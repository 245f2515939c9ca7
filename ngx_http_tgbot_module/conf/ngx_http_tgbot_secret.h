
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


/* what a text is to be */

typedef struct {
    size_t                    digits;    /* and a colon before the rest */
    size_t                    max;
    const char               *expected;
} ngx_http_tgbot_secret_shape_t;

extern ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_token_shape;
extern ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_shape;
extern ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_name_shape;


/*
 * NULL, or a description, valid until the next call, of what is wrong with a
 * text that is not of the shape, and of what is expected.  It does not quote
 * the text.
 */
const char *ngx_http_tgbot_secret_fault(ngx_str_t *text,
    ngx_http_tgbot_secret_shape_t *shape);

/*
 * Replaces $tgbot_bot and ${tgbot_bot} in path; *expanded is NUL-terminated
 * and lives in cf->pool.  NGX_DECLINED: there is another variable in path.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_secret_path(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *name, ngx_str_t *expanded);

/*
 * Reads a regular file, up to max bytes and one more, into a text that is
 * NUL-terminated and lives in cf->pool.  Returns NULL, or what is wrong, with
 * *err: an error, or 0.
 */
const char *ngx_http_tgbot_secret_file(ngx_conf_t *cf, ngx_str_t *path,
    size_t max, ngx_str_t *text, ngx_file_info_t *fi, ngx_err_t *err);

/*
 * Fills in token, secret and old_secret of a bot from its merged bot->conf,
 * reading files where it says so.  NGX_ERROR: an error has been logged.
 */
ngx_int_t ngx_http_tgbot_secret_read(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_SECRET_H_INCLUDED_ */
