
/*
 * Syntax of tokens and secrets, and reading them from files.  All functions
 * here run at configuration time only.  No message contains a token or a
 * secret.
 */

#ifndef _NGX_HTTP_TGBOT_SECRET_H_INCLUDED_
#define _NGX_HTTP_TGBOT_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/* syntax of a token, a secret or a bot's name */

typedef struct {
    size_t                    digits;    /* most digits before a colon;
                                            0: no digits, no colon */
    size_t                    max;       /* most bytes, after the colon */
    ngx_uint_t                print;     /* any character but control ones */
    const char               *expected;  /* for messages */
} ngx_http_tgbot_secret_shape_t;

extern ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_token_shape;
extern ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_shape;
extern ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_name_shape;


/*
 * Returns NULL if text has the shape, else a message that says what is wrong
 * and what is expected, without quoting text.  The message is in a static
 * buffer and is valid until the next call.
 */
const char *ngx_http_tgbot_secret_fault(ngx_str_t *text,
    ngx_http_tgbot_secret_shape_t *shape);

/*
 * Replaces $tgbot_bot and ${tgbot_bot} in path with name.  *expanded is
 * NUL-terminated and lives in cf->pool.  NGX_DECLINED: path has another
 * variable.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_secret_path(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *name, ngx_str_t *expanded);

/*
 * Reads a regular file of up to max bytes.  *text is NUL-terminated and lives
 * in cf->pool; text->len greater than max means that the file is larger than
 * max.  Returns NULL, or a static message that says what is wrong; *err is
 * then the errno, or 0.  path must be NUL-terminated.
 */
const char *ngx_http_tgbot_secret_file(ngx_conf_t *cf, ngx_str_t *path,
    size_t max, ngx_str_t *text, ngx_file_info_t *fi, ngx_err_t *err);

/*
 * Sets bot->token, bot->secret and bot->old_secret from the merged bot->conf,
 * from files where bot->conf names files.  NGX_ERROR: an error was logged.
 */
ngx_int_t ngx_http_tgbot_secret_read(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);

/*
 * Reads a file of one line, a password; path is as in the configuration.  file
 * and line are of the directive, for messages.  NGX_ERROR: an error was logged.
 */
ngx_int_t ngx_http_tgbot_secret_password(ngx_conf_t *cf,
    const char *directive, ngx_str_t *path, u_char *file, ngx_uint_t line,
    ngx_str_t *password);


#endif /* _NGX_HTTP_TGBOT_SECRET_H_INCLUDED_ */
