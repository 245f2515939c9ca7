
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


/*
 * Reads a directive of one value, which cmd->post describes: a parameter
 * without a name, of the type that is at cmd->offset.
 */
char *ngx_http_tgbot_conf_value(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Reads a directive of several parameters, which cmd->post describes: an
 * ngx_http_tgbot_conf_directive_t.  cmd->offset: of a pointer to the object
 * that is made, NULL is "off".
 */
char *ngx_http_tgbot_conf_object(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* cmd->offset: of the ngx_http_tgbot_uri_t * */
char *ngx_http_tgbot_conf_uri(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* cmd->offset: of the ngx_http_tgbot_secret_t *; cmd->post: its shape */
char *ngx_http_tgbot_conf_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_secret_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

char *ngx_http_tgbot_conf_webhook(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_reply(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_retry_on(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_dedup(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/*
 * for the parsers: logs that the value is not what is expected; returns
 * NGX_CONF_ERROR
 */
char *ngx_http_tgbot_conf_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *expected);


/* compiles a value with variables */
ngx_int_t ngx_http_tgbot_conf_compile(ngx_conf_t *cf, u_char *data,
    size_t len, ngx_http_complex_value_t *cv);

/*
 * in ngx_http_tgbot_conf_memory.c: the zone "prefix<name>:size", which no
 * directive has to declare; no name: "prefix:size"; size 0: as it is declared
 */
ngx_http_tgbot_zone_t *ngx_http_tgbot_conf_own_zone(ngx_conf_t *cf,
    const char *prefix, ngx_str_t *name, size_t size,
    const ngx_http_tgbot_zone_kind_t *kind);


/* for the parsers: a parameter of a directive, in a table of them */

typedef struct ngx_http_tgbot_conf_parameter_s
    ngx_http_tgbot_conf_parameter_t;

/* an argument that is read */

typedef struct {
    ngx_conf_t                       *cf;
    ngx_command_t                    *cmd;
    ngx_str_t                        *value;   /* as it is written */
    ngx_str_t                         text;    /* without the name */
    ngx_http_tgbot_conf_parameter_t  *par;
    void                             *field;   /* what is set */
} ngx_http_tgbot_conf_arg_t;

struct ngx_http_tgbot_conf_parameter_s {
    ngx_str_t     name;        /* with "=", or a word that stands alone;
                                  "": the first argument */

    /* NULL: the end of a table */
    char       *(*set)(ngx_http_tgbot_conf_arg_t *arg);

    size_t        offset;      /* in the object, of what is set */
    const void   *data;        /* as set() says; at the end of a table what
                                  is expected of an unknown parameter */
    ngx_int_t     max;         /* of a number, 0: any */
};

typedef struct {
    ngx_http_tgbot_conf_parameter_t  *table;
    const void                       *initial;  /* an object */
    size_t                            size;     /* of it */
    ngx_uint_t                        off;      /* may be "off" */

    /* what only all parameters show, may be NULL */
    char                           *(*check)(ngx_conf_t *cf,
                                        ngx_command_t *cmd, void *object);
} ngx_http_tgbot_conf_directive_t;


/* sets in an object what the arguments say, each parameter only once */
char *ngx_http_tgbot_conf_parameters(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_tgbot_conf_parameter_t *table, void *object);

/* logs that arg->value is not what is expected; returns NGX_CONF_ERROR */
char *ngx_http_tgbot_conf_expected(ngx_http_tgbot_conf_arg_t *arg,
    const char *expected);

/* sets an ngx_uint_t, or what is as wide, to n; max 0: any */
char *ngx_http_tgbot_conf_bounded(ngx_http_tgbot_conf_arg_t *arg, ngx_int_t n,
    ngx_int_t min, ngx_int_t max, const char *expected);

/* an ngx_uint_t and an ngx_msec_t, over 0 */
char *ngx_http_tgbot_conf_number(ngx_http_tgbot_conf_arg_t *arg);
char *ngx_http_tgbot_conf_time(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_uint_t, or an ngx_flag_t; data: an array of ngx_conf_enum_t */
char *ngx_http_tgbot_conf_enum(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_flag_t that is set by its name alone */
char *ngx_http_tgbot_conf_word(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_str_t: the path of a file, without variables */
char *ngx_http_tgbot_conf_path(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_http_complex_value_t *; data: what is expected for "" */
char *ngx_http_tgbot_conf_key(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_http_tgbot_zone_t *; data: its kind */
char *ngx_http_tgbot_conf_zone(ngx_http_tgbot_conf_arg_t *arg);

/* an error, for what is not known yet */
char *ngx_http_tgbot_conf_redis(ngx_http_tgbot_conf_arg_t *arg);

/*
 * A new element of an array of a directive that a level may have several
 * times, or "off" alone, which makes the array NULL and no element.
 */
char *ngx_http_tgbot_conf_several(ngx_conf_t *cf, ngx_array_t **array,
    size_t size, ngx_uint_t off, void *element);

#define ngx_http_tgbot_conf_equal(a, b)                                       \
    ((a)->len == (b)->len && ngx_strncmp((a)->data, (b)->data, (a)->len) == 0)

/* whether the directive has this argument and no other */
ngx_uint_t ngx_http_tgbot_conf_alone(ngx_conf_t *cf, const char *word);

/*
 * logs that the directive stands without a parameter; returns NGX_CONF_ERROR
 */
char *ngx_http_tgbot_conf_without(ngx_conf_t *cf, ngx_command_t *cmd,
    const char *parameter, const char *expected);


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
char *ngx_http_tgbot_conf_reg(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot);

/* when all is merged: the zone of those that have one, if there are any */
ngx_int_t ngx_http_tgbot_conf_registry(ngx_conf_t *cf);

/* in ngx_http_tgbot_conf_memory.c, then: what the bot has in shared memory */
char *ngx_http_tgbot_conf_memory(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot);

/* when all is merged: the size of the zone of letters that none gave one */
ngx_int_t ngx_http_tgbot_conf_dead(ngx_conf_t *cf);

/*
 * When all is merged: errors of zones, which only all their users show.
 * Every tgbot_queue of a zone gets the state that one of them gives.
 */
ngx_int_t ngx_http_tgbot_conf_check_zones(ngx_conf_t *cf);

/* an error if "tgbot_status" is not alone in its location */
char *ngx_http_tgbot_conf_check_status(ngx_conf_t *cf,
    ngx_http_tgbot_status_conf_t *status, ngx_http_core_loc_conf_t *clcf);


/* what cmd->post is */
extern ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_reply_via;
extern ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_hold_timeout;
extern ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_call_timeout;
extern ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_response_size;
extern ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_max_calls;
extern ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_max_age;
extern ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_log;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_retry;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_attempts;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_dedup_directive;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_cache;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_queue;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_dead_letters;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_register;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_status;

/* what a directive is where it is not set, and where a parameter is not */
extern ngx_http_tgbot_retry_t    ngx_http_tgbot_conf_retry_default;
extern ngx_http_tgbot_retry_t    ngx_http_tgbot_conf_attempts_default;
extern ngx_http_tgbot_dedup_conf_t  ngx_http_tgbot_conf_dedup_default;
extern ngx_http_tgbot_dead_conf_t  ngx_http_tgbot_conf_dead_default;


#endif /* _NGX_HTTP_TGBOT_CONF_H_INCLUDED_ */
