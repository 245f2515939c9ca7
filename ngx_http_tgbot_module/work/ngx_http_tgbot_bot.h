
/*
 * A bot: what the directives say of it, and its state in this worker.  The
 * lowest file of the layer of work: the others of that layer include it.
 */

#ifndef _NGX_HTTP_TGBOT_BOT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_call.h"
#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_limit.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_redact.h"
#include "ngx_http_tgbot_registry.h"
#include "ngx_http_tgbot_stats.h"
#include "ngx_http_tgbot_update.h"


/*
 * The words of this module, in code, logs, metrics and documents alike:
 *
 * delivery     one POST of Telegram; a redelivery brings the Update again
 * Update       what Telegram delivers, an update: known by its update_id
 * claim        this worker handles the update and no other one does
 * accept       the update will be answered 2xx, now or when it comes again
 * settle       the end of a claim, a delivery or an item, with a verdict
 * reply        what Telegram is sent for an update
 * ride         a reply rides in the response to the webhook's request
 * job          the work on one update
 * call         one request to an internal location: to the bot's program, or
 *              to the Bot API
 * attempt      one call of the program for an update
 * lane         updates that are handled one after the other: those of a chat
 * item         an update in the queue
 * lease        the right of a worker to a claim, an item or a dead letter; it
 *              ends with the worker
 * dead letter  an update that was given up, kept with the cause
 * expired      Telegram's own life of the update is over
 * call slot    one of the calls that tgbot_max_calls allows a worker
 */


/* tgbot_retry_on: after which outcomes a Bot API call is repeated */
#define NGX_HTTP_TGBOT_RETRY_ON_429      0x0002
#define NGX_HTTP_TGBOT_RETRY_ON_5XX      0x0004
#define NGX_HTTP_TGBOT_RETRY_ON_ERROR    0x0008
#define NGX_HTTP_TGBOT_RETRY_ON_TIMEOUT  0x0010

#define NGX_HTTP_TGBOT_VIA_AUTO          0
#define NGX_HTTP_TGBOT_VIA_API           1
#define NGX_HTTP_TGBOT_VIA_RESPONSE      2


typedef struct ngx_http_tgbot_bot_s    ngx_http_tgbot_bot_t;
typedef struct ngx_http_tgbot_pause_s  ngx_http_tgbot_pause_t;


/* a directive's URI: the query string is split off where it is written */

typedef struct {
    ngx_http_complex_value_t       path;
    ngx_http_complex_value_t       args;
    ngx_flag_t                     has_args;
} ngx_http_tgbot_uri_t;


typedef struct {
    ngx_http_complex_value_t       value;
    ngx_flag_t                     json;
} ngx_http_tgbot_reply_t;


/*
 * tgbot_token or tgbot_secret_token, or a file of either; nothing is set for
 * "tgbot_secret_token off"
 */

typedef struct {
    ngx_str_t                      directive; /* that it is of */
    ngx_str_t                      lines[2];  /* current and old */
    ngx_str_t                      file;      /* path, "": none, or read */
} ngx_http_tgbot_secret_t;


/* tgbot_retry, and tgbot_attempts, which has no life */

typedef struct {
    ngx_uint_t                     attempts;
    ngx_msec_t                     backoff;
    ngx_msec_t                     max_backoff;
    ngx_msec_t                     life;
} ngx_http_tgbot_retry_t;


/* tgbot_dedup */

typedef struct {
    ngx_http_tgbot_zone_t         *zone;      /* NULL: the bot's own */
    ngx_uint_t                     window;
} ngx_http_tgbot_dedup_conf_t;


/* one tgbot_limit of a level; each bot has buckets of its own for it */

typedef struct {
    ngx_http_complex_value_t      *key;
    ngx_http_tgbot_zone_t         *zone;
    ngx_uint_t                     rate;      /* tokens */
    ngx_uint_t                     per_minute;
    ngx_uint_t                     burst;
    ngx_uint_t                     reject;    /* action */
    ngx_str_t                      reply;     /* text, "": none */
    ngx_flag_t                     shared;
} ngx_http_tgbot_limit_conf_t;


typedef struct {
    ngx_http_complex_value_t      *key;
    ngx_http_tgbot_zone_t         *zone;
    ngx_msec_t                     valid;
    ngx_msec_t                     lock_timeout;
} ngx_http_tgbot_cache_conf_t;                /* tgbot_cache */


typedef struct {
    ngx_http_tgbot_zone_t         *zone;
    ngx_uint_t                     concurrency;
    ngx_uint_t                     share;     /* percent */
    ngx_http_complex_value_t      *lane;      /* NULL: Telegram's own */
    ngx_str_t                      state;     /* path, "": none */
} ngx_http_tgbot_queue_conf_t;                /* tgbot_queue */


/* tgbot_dead_letters */

typedef struct {
    ngx_http_tgbot_zone_t         *zone;      /* NULL: that of all bots */
    ngx_uint_t                     max;
} ngx_http_tgbot_dead_conf_t;


typedef enum {
    NGX_HTTP_TGBOT_REGISTER_ALLOWED_UNSAID = 0,
    NGX_HTTP_TGBOT_REGISTER_ALLOWED_DEFAULT,
    NGX_HTTP_TGBOT_REGISTER_ALLOWED_LIST
} ngx_http_tgbot_register_allowed_e;


/*
 * tgbot_register.  In a bot's copy url is whole, and certificate and ca are
 * what is in the files.
 */

typedef struct {
    ngx_str_t                      url;
    ngx_str_t                      shown;     /* url without the token */
    ngx_str_t                      address;   /* ip_address, "": unsaid */
    ngx_str_t                      certificate;  /* "": none */
    ngx_uint_t                     max_connections;  /* 0: unsaid */
    ngx_uint_t                     allowed;   /* allowed_updates */
    ngx_str_t                      names;     /* of them, see info.h */
    ngx_flag_t                     drop_pending;
    ngx_msec_t                     interval;
    ngx_str_t                      api;
    ngx_flag_t                     own_api;   /* not Telegram's */
    ngx_str_t                      ca;        /* "": as libcurl finds it */

    u_char                        *file;      /* where it stands */
    ngx_uint_t                     line;
} ngx_http_tgbot_register_conf_t;


/* tgbot_status */

typedef struct {
    ngx_uint_t                     format;    /* 0: as asked for */
    ngx_flag_t                     payload;
    ngx_flag_t                     write;
    ngx_msec_t                     ready_age;
    ngx_array_t                   *hosts;     /* of ngx_str_t: the server's
                                                 exact names */

    u_char                        *file;      /* where it stands */
    ngx_uint_t                     line;
} ngx_http_tgbot_status_conf_t;


typedef struct {
    ngx_array_t                    bots;      /* of ngx_http_tgbot_bot_t * */
    ngx_array_t                    tokens;    /* of all bots, see redact.h */
    ngx_array_t                    zones;     /* of ngx_http_tgbot_zone_t * */
    ngx_array_t                    queues;    /* of ngx_http_tgbot_queue_conf_t
                                                 *, of each tgbot_queue */
    ngx_http_tgbot_zone_t         *leases;    /* NULL without bots */
    ngx_http_tgbot_zone_t         *dead;      /* of bots without a zone for
                                                 their letters, or NULL */
    ngx_uint_t                     max_calls;
} ngx_http_tgbot_main_conf_t;


typedef struct {
    ngx_http_tgbot_bot_t          *bot;       /* NULL: not a webhook */

    ngx_http_tgbot_secret_t       *token;     /* NULL: none */
    ngx_http_tgbot_secret_t       *secret;    /* not NULL in a webhook */

    ngx_array_t                   *replies;   /* NULL: off */
    ngx_http_tgbot_uri_t          *handler;   /* NULL: off */
    ngx_http_tgbot_uri_t          *api;

    ngx_uint_t                     reply_via;
    ngx_msec_t                     hold_timeout;
    ngx_msec_t                     call_timeout;
    ngx_http_tgbot_retry_t        *retry;     /* not NULL after merge */
    ngx_uint_t                     retry_on;
    size_t                         response_size;

    ngx_http_tgbot_dedup_conf_t   *dedup;     /* NULL: off */
    ngx_array_t                   *limits;    /* NULL: off */
    ngx_flag_t                     limit_dry_run;
    ngx_http_tgbot_cache_conf_t   *cache;   /* NULL: off */
    ngx_http_tgbot_retry_t        *attempts;  /* not NULL after merge */
    ngx_http_tgbot_queue_conf_t   *queue;     /* NULL: off */
    ngx_http_tgbot_dead_conf_t    *dead;   /* NULL: off */
    ngx_http_tgbot_register_conf_t  *reg;    /* NULL: off */
    ngx_open_file_t               *log;       /* NULL: off */
    time_t                         max_age;   /* seconds, 0: off */

    ngx_http_tgbot_status_conf_t  *status;    /* NULL: not of this location */
} ngx_http_tgbot_loc_conf_t;


/* what waits while the bot's token is refused */

struct ngx_http_tgbot_pause_s {
    ngx_queue_t                    queue;

    /* the turn has come; the pause is over */
    void                         (*resume)(ngx_http_tgbot_pause_t *pause);

    unsigned                       waiting:1;
    unsigned                       probe:1;
};


struct ngx_http_tgbot_bot_s {

    /* configuration, read only in a worker */

    ngx_str_t                      name;
    ngx_str_t                      token;     /* "" without tgbot_api */
    uint64_t                       id;        /* of the token, 0 without it */
    ngx_str_t                      secret;    /* "": tgbot_secret_token off */
    ngx_str_t                      old_secret;

    ngx_http_tgbot_loc_conf_t     *conf;      /* of the webhook's location */
    ngx_http_core_loc_conf_t      *clcf;      /* likewise */
    ngx_http_conf_ctx_t           *ctx;       /* of its server */

    ngx_http_tgbot_dedup_t        *dedup;      /* NULL: tgbot_dedup off */
    ngx_http_tgbot_limit_t        *limits;   /* of conf->limits, each */
    ngx_http_tgbot_queue_t        *queue;     /* NULL: held mode */
    ngx_http_tgbot_dead_t         *dead;      /* NULL: tgbot_dead_letters off */
    ngx_http_tgbot_stats_t        *stats;

    ngx_http_tgbot_register_conf_t  *reg;    /* NULL: tgbot_register off */
    ngx_http_tgbot_registry_t     *registry;  /* likewise */

    u_char                        *file;      /* where tgbot_webhook stands */
    ngx_uint_t                     line;

    /* state of this worker, zeroed by configuration */

    ngx_rbtree_t                   jobs;      /* running, by update_id */
    ngx_rbtree_node_t              sentinel;
    ngx_http_tgbot_call_slots_t    slots;

    ngx_uint_t                     given_up;  /* Bot API calls, for logs */

    ngx_uint_t                     unauthorized_secrets; /* since last warn */
    time_t                         secret_warned;
    time_t                         full_warned;   /* of the queue */

    /* the Bot API said 401: calls wait here, one of them probes */
    ngx_queue_t                    paused;
    ngx_event_t                    probe;

    unsigned                       initialized:1;
    unsigned                       unauthorized:1;
    unsigned                       probing:1;
    unsigned                       external_warned:1;
    unsigned                       unsent_warned:1;
};


/* how this module's variables render text of users */

typedef enum {
    NGX_HTTP_TGBOT_ESCAPE_NONE = 0,
    NGX_HTTP_TGBOT_ESCAPE_JSON,          /* marked, see json.h */
    NGX_HTTP_TGBOT_ESCAPE_ARG            /* as a URI component */
} ngx_http_tgbot_escape_e;


/*
 * What the $tgbot_ variables of a main request show: the module context of
 * a webhook's request and of the detached requests of its calls.
 */

typedef struct {
    ngx_http_tgbot_bot_t          *bot;
    ngx_http_tgbot_update_t       *update;    /* NULL until it is parsed */
    ngx_uint_t                     attempts;
    ngx_uint_t                     verdict;   /* ngx_http_tgbot_verdict_e */
    ngx_uint_t                     escape;    /* ngx_http_tgbot_escape_e */
    ngx_str_t                      api_uri;   /* only inside an api call */
    ngx_str_t                      method;    /* likewise */
} ngx_http_tgbot_ctx_t;


/* once per worker, before anything else of the bot is used */
void ngx_http_tgbot_bot_init(ngx_http_tgbot_bot_t *bot);

/*
 * A copy of r's cached variables, or of "base" if it is not NULL, in r's
 * pool: to be set as r->variables while values are rendered that nobody
 * else must see.  NULL: no memory.
 */
ngx_http_variable_value_t *ngx_http_tgbot_bot_variables(ngx_http_request_t *r,
    ngx_http_variable_value_t *base);

/*
 * Evaluates a directive's URI on r, whose module context is ctx.  The path
 * is taken literally; this module's variables in args are escaped.  A path
 * that does not start with "/" or has "." or ".." as a segment or a NUL is
 * refused with an error in r's log: NGX_DECLINED.  NGX_ERROR: no memory.
 * An empty path: NGX_OK with uri->len 0.
 */
ngx_int_t ngx_http_tgbot_bot_uri(ngx_http_request_t *r,
    ngx_http_tgbot_ctx_t *ctx, ngx_http_tgbot_uri_t *value, ngx_str_t *uri,
    ngx_str_t *args);

/*
 * Whether a path has no segment "." or ".." and no NUL: it is matched against
 * locations as it is, without the normalizing that a client's request gets,
 * and parts of it may come from users.
 */
ngx_uint_t ngx_http_tgbot_bot_path_is_safe(ngx_str_t *path);

/*
 * The Bot API refused the token, which is a state of the bot: pause waits
 * until it is lifted, and one that waits is resumed each minute as a probe.
 */
void ngx_http_tgbot_bot_pause(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_pause_t *pause);

/* pause does not wait any more, nor does it probe; idempotent */
void ngx_http_tgbot_bot_unpause(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_pause_t *pause);

/*
 * Log handler of calls: which bot and update they are about.  nginx's own
 * one prints the URI that an upstream is asked for, which holds the token.
 */
u_char *ngx_http_tgbot_bot_log_error(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);

/*
 * What text from outside passes before it is logged or shown: as of
 * ngx_http_tgbot_redact(), with the tokens of all bots.
 */
ngx_int_t ngx_http_tgbot_bot_redact(ngx_http_tgbot_bot_t *bot,
    ngx_str_t *text, size_t max, ngx_pool_t *pool);

/* those tokens, of ngx_http_tgbot_redact_token_t */
ngx_array_t *ngx_http_tgbot_bot_tokens(ngx_http_tgbot_bot_t *bot);

/* counts how a call ended that was counted as started; 0: see stats.h */
ngx_uint_t ngx_http_tgbot_bot_called(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_call_kind_e kind, ngx_http_tgbot_capture_t *result);

/* the token is accepted: all are resumed, in order */
void ngx_http_tgbot_bot_authorized(ngx_http_tgbot_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_BOT_H_INCLUDED_ */
