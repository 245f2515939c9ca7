
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
#include "ngx_http_tgbot_cache.h"


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
char *ngx_http_tgbot_conf_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* in ngx_http_tgbot_conf_complex.c */

char *ngx_http_tgbot_conf_reply(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* cmd->offset: of the ngx_http_tgbot_uri_t * */
char *ngx_http_tgbot_conf_uri(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* in ngx_http_tgbot_conf_zone.c */

char *ngx_http_tgbot_conf_dedup(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_cache(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* in ngx_http_tgbot_conf_queue.c */

char *ngx_http_tgbot_conf_queue(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_dead_letters(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* in ngx_http_tgbot_conf_log.c */

char *ngx_http_tgbot_conf_log(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* in ngx_http_tgbot_conf_register.c */

char *ngx_http_tgbot_conf_register(ngx_conf_t *cf, ngx_command_t *cmd,
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
char *ngx_http_tgbot_conf_attempts(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_max_age(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/*
 * for the parsers: logs that the value is not what is expected; returns
 * NGX_CONF_ERROR
 */
char *ngx_http_tgbot_conf_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *expected);


/* in ngx_http_tgbot_conf_complex.c: compiles a value with variables */
ngx_int_t ngx_http_tgbot_conf_compile(ngx_conf_t *cf, u_char *data,
    size_t len, ngx_http_complex_value_t *cv);

/*
 * in ngx_http_tgbot_conf_memory.c: the zone "prefix<name>:size", which no
 * directive has to declare; size 0: as it is declared
 */
ngx_http_tgbot_zone_t *ngx_http_tgbot_conf_own_zone(ngx_conf_t *cf,
    const char *prefix, ngx_str_t *name, size_t size,
    const ngx_http_tgbot_zone_kind_t *kind);

/* the zone of "value", name[:size]; NULL: an error was logged */
ngx_http_tgbot_zone_t *ngx_http_tgbot_conf_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value,
    const ngx_http_tgbot_zone_kind_t *kind);


/* for the parsers: a parameter of a directive, by a table of them */

typedef struct ngx_http_tgbot_conf_parameter_s
    ngx_http_tgbot_conf_parameter_t;

struct ngx_http_tgbot_conf_parameter_s {
    ngx_str_t     name;          /* with "=", or a word that stands alone */

    /* "value" as it is written, "text" without the name */
    char       *(*set)(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *value,
                    ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
                    void *conf);

    size_t        offset;        /* in conf, of what is set */
    ngx_uint_t    max;           /* of a number, 0: any */
};

/*
 * Sets in conf what the arguments from the first on say, each parameter only
 * once.  "expected" is told of an argument that is not in the table.
 */
char *ngx_http_tgbot_conf_parameters(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_uint_t first, ngx_http_tgbot_conf_parameter_t *table, void *conf,
    const char *expected);

/* an ngx_uint_t and an ngx_msec_t, over 0 */
char *ngx_http_tgbot_conf_number(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);
char *ngx_http_tgbot_conf_time(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);


/* "on" or "off", an ngx_flag_t */
char *ngx_http_tgbot_conf_flag(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);

/* in ngx_http_tgbot_conf_zone.c: an error, for what is not known yet */
char *ngx_http_tgbot_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_http_tgbot_conf_parameter_t *par,
    void *conf);


/*
 * For merging, in ngx_http_tgbot_conf.c: token and secrets.  Inline and in a
 * file are one setting: a level with one has not the other.
 */
void ngx_http_tgbot_conf_merge_secrets(ngx_http_tgbot_loc_conf_t *conf,
    ngx_http_tgbot_loc_conf_t *prev);


/* what follows is in ngx_http_tgbot_conf_check.c where nothing is said */

/*
 * For merging: errors of a webhook's location as a whole, which its merged
 * bot->conf shows.  Reads the files of token and secrets into the bot.
 */
char *ngx_http_tgbot_conf_check(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot);

/*
 * In ngx_http_tgbot_conf_hook.c, then: the bot's own "tgbot_register", with
 * what is in its files.
 */
char *ngx_http_tgbot_conf_hook(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot);

/* when all is merged: the zone of those that have one, if there are any */
ngx_int_t ngx_http_tgbot_conf_registry(ngx_conf_t *cf);

/* in ngx_http_tgbot_conf_memory.c, then: what the bot has in shared memory */
char *ngx_http_tgbot_conf_memory(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot);

/*
 * When all is merged: errors of zones, which only all their users show.
 * Every tgbot_queue of a zone gets the state that one of them gives.
 */
ngx_int_t ngx_http_tgbot_conf_check_zones(ngx_conf_t *cf);

/* an error if "tgbot_status" is not alone in its location */
char *ngx_http_tgbot_conf_check_status(ngx_conf_t *cf,
    ngx_http_tgbot_status_t *status, ngx_http_core_loc_conf_t *clcf);


/* what a directive is where it is not set, and where a parameter is not */
extern ngx_http_tgbot_retry_t     ngx_http_tgbot_conf_retry_default;
extern ngx_http_tgbot_attempts_t  ngx_http_tgbot_conf_attempts_default;
extern ngx_http_tgbot_dedup_t     ngx_http_tgbot_conf_dedup_default;
extern ngx_http_tgbot_letters_t   ngx_http_tgbot_conf_letters_default;


#endif /* _NGX_HTTP_TGBOT_CONF_H_INCLUDED_ */
