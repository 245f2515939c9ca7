
/*
 * Parsers of the directives.  A parser sets the fields of its directive in
 * the configuration of the current level, or logs an error that names the
 * directive, the value and what is expected.  No parser reads a file.  All
 * functions here run at configuration time only; what they allocate lives in
 * cf->pool.
 */

#ifndef _NGX_HTTP_TGBOT_CONF_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_cache.h"


/* bytes; Updates are up to 512k */
#define NGX_HTTP_TGBOT_CONF_BODY_SIZE  (576 * 1024)


/*
 * Reads a directive with one value.  cmd->post is an
 * ngx_http_tgbot_conf_parameter_t without a name, cmd->offset the offset of
 * the field that is set.
 */
char *ngx_http_tgbot_conf_value(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Reads a directive with several parameters.  cmd->post is an
 * ngx_http_tgbot_conf_directive_t, cmd->offset the offset of a pointer, which
 * is set to a new object, or to NULL for "off".
 */
char *ngx_http_tgbot_conf_object(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* cmd->offset is the offset of an ngx_http_tgbot_uri_t *, NULL for "off" */
char *ngx_http_tgbot_conf_uri(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Read a token or secret, or the path of its file.  cmd->offset is the offset
 * of an ngx_http_tgbot_secret_t *.  For the first function cmd->post is an
 * ngx_http_tgbot_secret_shape_t.  The file is read when the configuration is
 * merged.
 */
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
char *ngx_http_tgbot_conf_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tgbot_conf_directory(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* logs an error: the value and what is expected; returns NGX_CONF_ERROR */
char *ngx_http_tgbot_conf_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *expected);


/*
 * Compiles a value with variables into *cv.  data must stay valid as long as
 * *cv.  NGX_ERROR: an error was logged, or there is no memory.
 */
ngx_int_t ngx_http_tgbot_conf_compile(ngx_conf_t *cf, u_char *data,
    size_t len, ngx_http_complex_value_t *cv);

/*
 * Adds the zone "<prefix><name>", which needs no declaration by a directive.
 * name may be NULL.  size is in bytes; with 0 the zone has no size yet, unless
 * a directive declares it.  NULL: an error was logged, or there is no memory.
 */
ngx_http_tgbot_zone_t *ngx_http_tgbot_conf_own_zone(ngx_conf_t *cf,
    const char *prefix, ngx_str_t *name, size_t size,
    const ngx_http_tgbot_zone_kind_t *kind);


/* a parameter of a directive; a directive has a table of parameters */

typedef struct ngx_http_tgbot_conf_parameter_s
    ngx_http_tgbot_conf_parameter_t;

/* the argument that set() of a parameter reads */

typedef struct {
    ngx_conf_t                       *cf;
    ngx_command_t                    *cmd;
    ngx_str_t                        *value;   /* whole argument */
    ngx_str_t                         text;    /* value without par->name */
    ngx_http_tgbot_conf_parameter_t  *par;
    void                             *field;   /* destination */
} ngx_http_tgbot_conf_arg_t;

struct ngx_http_tgbot_conf_parameter_s {
    ngx_str_t     name;        /* "name=", or a word without a value;
                                  "": the first argument */

    /* NULL: last entry of a table */
    char       *(*set)(ngx_http_tgbot_conf_arg_t *arg);

    size_t        offset;      /* of the field in the object */
    const void   *data;        /* depends on set(); in the last entry: text
                                  of the error for unknown parameters */
    ngx_int_t     max;         /* of a number, 0: unlimited */
};

typedef struct {
    ngx_http_tgbot_conf_parameter_t  *table;
    const void                       *initial;  /* object with the defaults */
    size_t                            size;     /* of the object */
    ngx_uint_t                        off;      /* may be "off" */

    /* checks the object after all parameters are read, may be NULL */
    char                           *(*check)(ngx_conf_t *cf,
                                        ngx_command_t *cmd, void *object);
} ngx_http_tgbot_conf_directive_t;


/* reads all arguments into object; a repeated parameter is an error */
char *ngx_http_tgbot_conf_parameters(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_tgbot_conf_parameter_t *table, void *object);

/* ngx_http_tgbot_conf_invalid() for arg->value */
char *ngx_http_tgbot_conf_expected(ngx_http_tgbot_conf_arg_t *arg,
    const char *expected);

/*
 * Sets arg->field, an ngx_uint_t or a type of the same width, to n.  It is an
 * error if n is less than min or greater than max; max 0: no upper bound.
 */
char *ngx_http_tgbot_conf_bounded(ngx_http_tgbot_conf_arg_t *arg, ngx_int_t n,
    ngx_int_t min, ngx_int_t max, const char *expected);

/* set() functions follow; the field of each is named */

/* number: an ngx_uint_t; time: an ngx_msec_t; both greater than 0 */
char *ngx_http_tgbot_conf_number(ngx_http_tgbot_conf_arg_t *arg);
char *ngx_http_tgbot_conf_time(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_uint_t or ngx_flag_t; par->data: an array of ngx_conf_enum_t */
char *ngx_http_tgbot_conf_enum(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_flag_t: the parameter has no value and sets it to 1 */
char *ngx_http_tgbot_conf_word(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_str_t: the path of a file, without variables */
char *ngx_http_tgbot_conf_path(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_http_complex_value_t *; par->data: text of the error for "" */
char *ngx_http_tgbot_conf_key(ngx_http_tgbot_conf_arg_t *arg);

/* an ngx_http_tgbot_zone_t *; par->data: an ngx_http_tgbot_zone_kind_t */
char *ngx_http_tgbot_conf_zone(ngx_http_tgbot_conf_arg_t *arg);

/*
 * For a directive that a level may have several times: adds an element to
 * *array and sets *(void **) element to it.  With off the array becomes NULL
 * and no element is made.  "off" beside another value is an error.
 */
char *ngx_http_tgbot_conf_several(ngx_conf_t *cf, ngx_array_t **array,
    size_t size, ngx_uint_t off, void *element);

#define ngx_http_tgbot_conf_equal(a, b)                                       \
    ((a)->len == (b)->len && ngx_strncmp((a)->data, (b)->data, (a)->len) == 0)

/* whether word is the only argument of the directive */
ngx_uint_t ngx_http_tgbot_conf_alone(ngx_conf_t *cf, const char *word);

/*
 * Makes it the handler of the location, and returns the location.  If another
 * handler is set, it stays, and merging reports the error.
 */
ngx_http_core_loc_conf_t *ngx_http_tgbot_conf_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler);

/* logs that a required parameter is missing; returns NGX_CONF_ERROR */
char *ngx_http_tgbot_conf_without(ngx_conf_t *cf, ngx_command_t *cmd,
    const char *parameter, const char *expected);


/*
 * For each bot, when its location has been merged into bot->conf, these are
 * called in this order: ngx_http_tgbot_conf_check(), _reg() and _memory().
 * Once, when the whole configuration has been merged: _registry(), _dead(),
 * _pace_zone(), _check_zones(), _redis_init(), _files(), _gateways(), _paces(),
 * _shown() and _locations().  On errors, which are logged, they return
 * NGX_CONF_ERROR or NGX_ERROR.
 */

/*
 * Checks the location of a webhook, and reads token and secrets into the bot,
 * from their files where the configuration names files.
 */
char *ngx_http_tgbot_conf_check(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot);

/*
 * Fills in bot->reg and bot->registry from "tgbot_register", including the
 * contents of its certificate files.
 */
char *ngx_http_tgbot_conf_reg(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot);

/* adds the zone of all bots with "tgbot_register", if there are such bots */
ngx_int_t ngx_http_tgbot_conf_registry(ngx_conf_t *cf);

/* creates what the bot needs in shared memory */
char *ngx_http_tgbot_conf_memory(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot);

/* sets the size of the default zone of dead letters, if it has none */
ngx_int_t ngx_http_tgbot_conf_dead(ngx_conf_t *cf);

/* the same of the default zone of tgbot_pace */
ngx_int_t ngx_http_tgbot_conf_pace_zone(ngx_conf_t *cf);

/*
 * Sets bot->bulk of all bots; locations of one bot with other rates are an
 * error, but for those with "off", and those without the directive.  So is
 * "redis" without "tgbot_redis".
 */
ngx_int_t ngx_http_tgbot_conf_paces(ngx_conf_t *cf);

/* sets the buckets of pace->rates */
void ngx_http_tgbot_conf_pace_buckets(ngx_http_tgbot_pace_conf_t *pace);

/* checks each zone together with all its users */
ngx_int_t ngx_http_tgbot_conf_check_zones(ngx_conf_t *cf);

/* with "tgbot_state", zones are files */
ngx_int_t ngx_http_tgbot_conf_files(ngx_conf_t *cf);

/* reads the files of "tgbot_redis", and looks up names if it must */
ngx_int_t ngx_http_tgbot_conf_redis_init(ngx_conf_t *cf);

/* warns of tokens and secrets in the configuration, once for each directive */
void ngx_http_tgbot_conf_shown(ngx_conf_t *cf);

/*
 * Warns of webhooks and of constant URIs of calls that lead nowhere.  The
 * trees of locations have been made before.
 */
void ngx_http_tgbot_conf_locations(ngx_conf_t *cf);

/*
 * For a bot whose directive, such as "tgbot_queue", says "redis".  NGX_ERROR:
 * there is no "tgbot_redis", which was logged.
 */
ngx_int_t ngx_http_tgbot_conf_check_redis(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, const char *directive);

/*
 * Logs an error if the location of "tgbot_status" has another content
 * handler.  Sets status->hosts.  Called when the location has been merged.
 */
char *ngx_http_tgbot_conf_check_status(ngx_conf_t *cf,
    ngx_http_tgbot_status_conf_t *status, ngx_http_core_loc_conf_t *clcf);

/* the exact names of the server, an array of ngx_str_t; NULL: no memory */
ngx_array_t *ngx_http_tgbot_conf_hosts(ngx_conf_t *cf);

/*
 * The same for "tgbot_broadcast"; sets what of the location is used later.
 */
char *ngx_http_tgbot_conf_check_broadcast(ngx_conf_t *cf,
    ngx_http_tgbot_loc_conf_t *conf, ngx_http_core_loc_conf_t *clcf);

/*
 * Once, before _check_zones(): finds the bots of "tgbot_broadcast", and adds
 * them to their zones.
 */
ngx_int_t ngx_http_tgbot_conf_broadcasts(ngx_conf_t *cf);


/*
 * tgbot_gateway: _merge() is called when its location has been merged, and for
 * blocks in it; _gateways() when all have been.  They check the location, let
 * nginx ask the gateway for its answer to a body that is too large, and find
 * the bot.  Errors are logged.
 */
char *ngx_http_tgbot_conf_gateway_merge(ngx_conf_t *cf,
    ngx_http_tgbot_gateway_conf_t *gateway, ngx_http_core_loc_conf_t *clcf);
ngx_int_t ngx_http_tgbot_conf_gateways(ngx_conf_t *cf);

/*
 * Sets *keys to the bot in a zone of Idempotency-Keys, which it uses once;
 * "zone" NULL: does nothing
 */
ngx_int_t ngx_http_tgbot_conf_keys(ngx_conf_t *cf, ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_zone_user_t **keys);

/* adds a zeroed user to the zone; NULL: zone is NULL, or no memory */
void *ngx_http_tgbot_conf_user(ngx_conf_t *cf, ngx_http_tgbot_zone_t *zone,
    size_t size);


/* values of cmd->post */
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
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_pace;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_register;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_status;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_broadcast;
extern ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_gateway;

/* defaults: of a directive that is not set, and of missing parameters */
extern ngx_http_tgbot_retry_t    ngx_http_tgbot_conf_retry_default;
extern ngx_http_tgbot_retry_t    ngx_http_tgbot_conf_attempts_default;
extern ngx_http_tgbot_dedup_conf_t  ngx_http_tgbot_conf_dedup_default;
extern ngx_http_tgbot_dead_conf_t  ngx_http_tgbot_conf_dead_default;
extern ngx_http_tgbot_pace_conf_t  ngx_http_tgbot_conf_pace_default;


#endif /* _NGX_HTTP_TGBOT_CONF_H_INCLUDED_ */
