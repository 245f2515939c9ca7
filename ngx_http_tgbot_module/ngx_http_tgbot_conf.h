
/*
 * Parsers of the directives.  Each of them fills in one directive's part of
 * the configuration of its level, or logs an error that names the directive,
 * the value and what is expected.  A parser opens no file.
 */

#ifndef _NGX_HTTP_TGBOT_CONF_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/* Updates reach 512k; a margin above */
#define NGX_HTTP_TGBOT_CONF_BODY_SIZE  (576 * 1024)


char *ngx_http_tgbot_conf_webhook(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_token(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_token_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_secret_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* in ngx_http_tgbot_conf_complex.c */

char *ngx_http_tgbot_conf_reply(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* cmd->offset: of the ngx_http_tgbot_uri_t * */
char *ngx_http_tgbot_conf_uri(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* in ngx_http_tgbot_conf_value.c */

char *ngx_http_tgbot_conf_reply_via(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_hold_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_retry(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_retry_on(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_response_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_max_calls(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/*
 * for the parsers: logs that the value is not what is expected; returns
 * NGX_CONF_ERROR
 */
char *ngx_http_tgbot_conf_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *expected);


/*
 * For merging: errors of a webhook's location as a whole, which its merged
 * bot->conf shows.  Reads the files of token and secrets into the bot.
 */
char *ngx_http_tgbot_conf_check(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot);


/* what tgbot_retry is where it is not set, and where a parameter is not */
extern ngx_http_tgbot_retry_t  ngx_http_tgbot_conf_retry_default;


#endif /* _NGX_HTTP_TGBOT_CONF_H_INCLUDED_ */
