
/*
 * A bot: its configuration and its state in this worker.  The other files in
 * work/ include this one.
 */

#ifndef _NGX_HTTP_TGBOT_BOT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_bell.h"
#include "ngx_http_tgbot_broadcast.h"
#include "ngx_http_tgbot_call.h"
#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_limit.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_redact.h"
#include "ngx_http_tgbot_redis.h"
#include "ngx_http_tgbot_registry.h"
#include "ngx_http_tgbot_stats.h"
#include "ngx_http_tgbot_pace.h"
#include "ngx_http_tgbot_update.h"


/*
 * The words of this module, the same in code, logs, metrics and documents.  A
 * word with several meanings, which ";" tells apart, has its noun beside it.
 *
 * An update
 *
 * Update       the JSON object that Telegram sends; "an update": one of them
 * delivery     one POST of an Update by Telegram
 * redelivered  of an update: Telegram sends it again
 * life         how long Telegram keeps an update, by its type
 * expired      of an update: its life is over
 * claim        the right of a worker to handle the update, from tgbot_dedup
 * accept       to decide that the update is answered 2xx: from then on a
 *              redelivery is a duplicate
 * settle       to end a claim, a delivery or an item, with a verdict
 * verdict      what became of a delivery: $tgbot_verdict
 * stale        of an update: older than tgbot_max_age; of an answer: in
 *              proxy_cache
 * held         mode: Telegram waits for the work; of a lease: not given back
 * queued       mode: Telegram is answered when the update is in a queue
 * suspended    of a webhook or a call: it waits for an event that resumes it
 * job          the work on one update in one worker
 * program      the bot's own, which tgbot_handler calls
 * reply        what nginx answers by itself: tgbot_reply, the cache, a notice;
 *              what Redis answers
 * notice       the text of reply= of a tgbot_limit
 * answer       what the program answered, or a reply, as a list of calls; what
 *              the Bot API answered
 * ride         of a call: it goes to Telegram in the response to the webhook
 * attempt      one call of the program for an update; one sending of a Bot API
 *              call
 * retried      of an update: the module handles it again; of a call: repeated
 * charged      of an update: it took its tokens of tgbot_limit
 * dead letter  an update that was given up, kept for an operator
 * replay       to handle a dead letter again
 *
 * A queue
 *
 * item         an update in a queue
 * lane         items that are handled one after another, as those of a chat
 * head         the first item of a lane
 * breaker      lets few items go while the program is unavailable for many
 * verbs        what is done with a queue or dead letters, wherever they are
 *
 * A call
 *
 * call         one request to an internal location: of the program or of the
 *              Bot API; "Bot API call": with all of its attempts
 * repeated     of a Bot API call: sent again
 * call slot    the right of a call to run: a worker has tgbot_max_calls of them
 * detached     of a request: it has no client, and carries a call
 * abandoned    of a detached request: nginx does not let go of it yet
 * captured     of an answer: kept in memory; else it is passed on as it comes
 * gateway      the location at which a program makes calls by itself
 * broadcast    one call for many chats.  A worker, its leader, sends it; a
 *              request, its loader, adds chats
 *
 * When a call goes
 *
 * pace         when calls go to the Bot API: tgbot_pace
 * turn         what a call asks for before it goes; it may have to wait for it
 * ticket       a call that waits for its turn, or that others wait for
 * class        of a call: loose, line, strict or bulk
 * bulk         calls to many chats, at the pace that Telegram allows; bot->bulk
 *              is that pace
 * bucket       of tokens, which are refilled with a rate: of a limit; of bulk
 * pause        of a chat, a method or a bot, after a 429; of a bot, after a
 *              401; of a broadcast
 * probe        the call that goes first after a pause
 * place        of bulk in Redis: the time at which a call may go; of a queue:
 *              a zone or Redis
 *
 * Processes
 *
 * slot         of a worker, in the zone tgbot_slots; of a cluster of Redis
 * epoch        tells the workers of one slot apart
 * beat         a sign of life once a second: in the slot; in Redis
 * lease        a right that ends with the worker that has it
 * token        of a bot; of a bucket; of a lease, its number
 * bell         wakes another worker
 * reap, sweep  to take away what a worker had that died
 *
 * Shared memory
 *
 * zone, kind   a named piece of shared memory; what is kept in it
 * carve        to lay out a zone, once, when it is made
 * generation   of a zone: the number of the configuration that uses it
 * entry        what a zone has for one bot; its serial tells its owners apart
 * record       what a zone has for one update_id, chat or Idempotency-Key
 * evicted      of a record: it made room for another one
 * block        a piece of one size; a chain of blocks holds a string
 * ring         bits, which of the last update_ids are accepted
 * stripe       a copy of the counters; workers have different ones
 * mark         "dirty": a worker is inside the lock, or died there
 * repair       to make what is derived again, after a worker died inside
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
typedef struct ngx_http_tgbot_broadcast_conf_s  ngx_http_tgbot_broadcast_conf_t;
typedef struct ngx_http_tgbot_gateway_conf_s  ngx_http_tgbot_gateway_conf_t;
typedef struct ngx_http_tgbot_redis_beat_s  ngx_http_tgbot_redis_beat_t;
typedef struct ngx_http_tgbot_queue_redis_s  ngx_http_tgbot_queue_redis_t;
typedef struct ngx_http_tgbot_redis_states_s  ngx_http_tgbot_redis_states_t;

/* see queue_verbs.h */
typedef struct ngx_http_tgbot_queue_verbs_s  ngx_http_tgbot_queue_verbs_t;

/* see dead_verbs.h */
typedef struct ngx_http_tgbot_dead_verbs_s  ngx_http_tgbot_dead_verbs_t;


/* a directive's URI, split at its "?" when the configuration is read */

typedef struct {
    ngx_http_complex_value_t       path;
    ngx_http_complex_value_t       args;
    ngx_flag_t                     has_args;
    ngx_flag_t                     test;      /* of tgbot_api: Telegram's test
                                                 environment */

    u_char                        *file;      /* of the directive */
    ngx_uint_t                     line;
    ngx_http_conf_ctx_t           *checked;   /* last server that the URI was
                                                 looked up in */
} ngx_http_tgbot_uri_t;


/* a directive whose value "nginx -T" shows */

typedef struct {
    ngx_uint_t                     n;         /* how often it is used */
    u_char                        *file;      /* of the first one */
    ngx_uint_t                     line;
} ngx_http_tgbot_shown_t;


typedef struct {
    ngx_http_complex_value_t       value;
    ngx_flag_t                     json;
} ngx_http_tgbot_reply_t;


/*
 * tgbot_token or tgbot_secret_token, given as a value or as a file; nothing is
 * set for "tgbot_secret_token off"
 */

typedef struct {
    ngx_str_t                      directive; /* its name */
    ngx_str_t                      lines[2];  /* current and old */
    ngx_str_t                      file;      /* path; "": none, or read */
} ngx_http_tgbot_secret_t;


/* tgbot_retry and tgbot_attempts; the latter does not use "life" */

typedef struct {
    ngx_uint_t                     attempts;
    ngx_msec_t                     backoff;
    ngx_msec_t                     max_backoff;
    ngx_msec_t                     life;
} ngx_http_tgbot_retry_t;


/* tgbot_dedup */

typedef struct {
    ngx_http_tgbot_zone_t         *zone;      /* NULL: a zone of its own */
    ngx_uint_t                     window;
    ngx_flag_t                     redis;     /* no zone */
} ngx_http_tgbot_dedup_conf_t;


/* 30r/s, 20r/m */

typedef struct {
    ngx_uint_t                     n;
    ngx_uint_t                     per_minute;
} ngx_http_tgbot_rate_t;


/* one tgbot_limit directive; each bot has its own buckets for it */

typedef struct {
    ngx_http_complex_value_t      *key;
    ngx_http_tgbot_zone_t         *zone;
    ngx_http_tgbot_rate_t          rate;      /* tokens */
    ngx_uint_t                     burst;
    ngx_uint_t                     reject;    /* action */
    ngx_str_t                      reply;     /* text, "": none */
    ngx_flag_t                     shared;
    ngx_flag_t                     redis;     /* the zone is its stand-in */
} ngx_http_tgbot_limit_conf_t;


typedef struct {
    ngx_http_complex_value_t      *key;
    ngx_http_tgbot_zone_t         *zone;
    ngx_msec_t                     valid;
    ngx_msec_t                     lock_timeout;
    ngx_flag_t                     redis;
} ngx_http_tgbot_cache_conf_t;                /* tgbot_cache */


typedef struct {
    ngx_http_tgbot_zone_t         *zone;
    ngx_uint_t                     concurrency;
    ngx_uint_t                     share;     /* of the zone, percent */
    ngx_http_complex_value_t      *lane;      /* NULL: as in Telegram */
    ngx_uint_t                     warned;    /* of a missing tgbot_api */

    ngx_flag_t                     redis;     /* then zone is NULL */
    ngx_uint_t                     limit;     /* items in Redis */
    ngx_uint_t                     limit_size;  /* their bytes */
    ngx_msec_t                     lease;
} ngx_http_tgbot_queue_conf_t;                /* tgbot_queue */


/* tgbot_dead_letters */

typedef struct {
    ngx_http_tgbot_zone_t         *zone;      /* NULL: main conf's */
    ngx_uint_t                     max;
    ngx_flag_t                     redis;     /* then zone is NULL */
} ngx_http_tgbot_dead_conf_t;


/* a bucket of tgbot_pace */

typedef struct {
    ngx_http_tgbot_rate_t          rate;
    ngx_uint_t                     burst;     /* calls */
} ngx_http_tgbot_pace_conf_rate_t;


/* tgbot_pace */

typedef struct {
    ngx_http_tgbot_zone_t         *zone;      /* NULL: main conf's */
    ngx_http_tgbot_pace_conf_rate_t  chat;
    ngx_http_tgbot_pace_conf_rate_t  group;
    ngx_http_tgbot_pace_conf_rate_t  global;
    ngx_http_tgbot_pace_conf_rate_t  paid;    /* in the place of "global" */
    ngx_msec_t                     max_wait;
    ngx_flag_t                     redis;     /* of all machines */

    /* the four as buckets */
    ngx_http_tgbot_pace_rate_t     rates[NGX_HTTP_TGBOT_PACE_BUCKETS];

    u_char                        *file;      /* of the directive */
    ngx_uint_t                     line;
} ngx_http_tgbot_pace_conf_t;


typedef enum {
    NGX_HTTP_TGBOT_REGISTER_ALLOWED_UNSAID = 0,
    NGX_HTTP_TGBOT_REGISTER_ALLOWED_DEFAULT,
    NGX_HTTP_TGBOT_REGISTER_ALLOWED_LIST
} ngx_http_tgbot_register_allowed_e;


/*
 * tgbot_register.  In the bot's copy "url" is complete, and "certificate" and
 * "ca" are the contents of the files.
 */

typedef struct {
    ngx_str_t                      url;
    ngx_str_t                      shown;     /* url without the token */
    ngx_str_t                      address;   /* ip_address, "": not set */
    ngx_str_t                      certificate;  /* "": none */
    ngx_uint_t                     max_connections;  /* 0: not set */
    ngx_uint_t                     allowed;   /* allowed_updates */
    ngx_str_t                      names;     /* see webhook_info.h */
    ngx_flag_t                     names_default;  /* Telegram's default */
    ngx_flag_t                     drop_pending;
    ngx_msec_t                     interval;
    ngx_str_t                      api;
    ngx_flag_t                     own_api;   /* not api.telegram.org */
    ngx_str_t                      ca;        /* "": libcurl's default */

    u_char                        *file;      /* of the directive */
    ngx_uint_t                     line;
} ngx_http_tgbot_register_conf_t;


/* tgbot_status */

typedef struct {
    ngx_uint_t                     format;    /* 0: by the request */
    ngx_flag_t                     payload;
    ngx_flag_t                     write;
    ngx_msec_t                     ready_age;
    ngx_array_t                   *hosts;     /* of ngx_str_t: the server's
                                                 exact names */

    u_char                        *file;      /* of the directive */
    ngx_uint_t                     line;
} ngx_http_tgbot_status_conf_t;


typedef struct {
    ngx_array_t                    bots;      /* of ngx_http_tgbot_bot_t * */
    ngx_array_t                    tokens;    /* of all bots, see redact.h */
    ngx_array_t                    zones;     /* of ngx_http_tgbot_zone_t * */
    ngx_array_t                    broadcasts;  /* of ngx_http_tgbot_
                                                   broadcast_conf_t * */
    ngx_array_t                   *gateways;  /* of ngx_http_tgbot_gateway_
                                                 conf_t *; NULL: none */
    ngx_http_tgbot_zone_t         *leases;    /* NULL without bots */
    ngx_http_tgbot_zone_t         *dead;      /* dead letters of bots without
                                                 a zone for them, or NULL */
    ngx_http_tgbot_zone_t         *pace;      /* of bots without a zone
                                                 for them, or NULL */
    ngx_http_tgbot_redis_conf_t   *redis;     /* NULL: none */
    ngx_uint_t                     max_calls;
    ngx_http_tgbot_shown_t         shown_tokens;
    ngx_http_tgbot_shown_t         shown_secrets;
    ngx_str_t                      state;      /* a directory; "": none */
    ngx_http_tgbot_bell_t         *bell;      /* of the workers; NULL: there
                                                 are no bots */
    ngx_http_tgbot_stats_t        *redis_stats;  /* NULL: as redis,
                                                 or no bots */
} ngx_http_tgbot_main_conf_t;


typedef struct {
    ngx_http_tgbot_bot_t          *bot;       /* NULL: not a webhook */

    ngx_http_tgbot_secret_t       *token;     /* NULL: none */
    ngx_http_tgbot_secret_t       *secret;    /* not NULL in a webhook */

    ngx_array_t                   *replies;   /* NULL: off */
    ngx_http_tgbot_uri_t          *handler;   /* NULL: off */
    ngx_http_tgbot_uri_t          *api;
    ngx_flag_t                     api_unset; /* not even to "off" */

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
    ngx_http_tgbot_pace_conf_t    *pace;      /* NULL: off */
    ngx_http_tgbot_register_conf_t  *reg;    /* NULL: off */
    ngx_open_file_t               *log;       /* NULL: off */
    time_t                         max_age;   /* seconds, 0: off */

    ngx_http_tgbot_status_conf_t  *status;    /* NULL: not of this location */
    ngx_http_tgbot_broadcast_conf_t  *broadcast;  /* as status */
    ngx_http_tgbot_gateway_conf_t  *gateway;  /* as status */
} ngx_http_tgbot_loc_conf_t;


/* tgbot_broadcast */

struct ngx_http_tgbot_broadcast_conf_s {
    ngx_str_t                      name;      /* of the bot */
    ngx_http_tgbot_zone_t         *zone;
    ngx_http_tgbot_zone_t         *idempotency;  /* NULL: none */

    ngx_http_tgbot_broadcast_t     user;      /* of the zone */
    ngx_http_tgbot_zone_user_t    *keys;      /* the bot in "idempotency" */
    ngx_http_tgbot_bot_t          *bot;       /* by its name */
    ngx_http_tgbot_loc_conf_t     *conf;      /* of this location */
    ngx_http_core_loc_conf_t      *clcf;
    ngx_array_t                   *hosts;     /* of ngx_str_t: the server's
                                                 exact names */

    u_char                        *file;      /* of the directive */
    ngx_uint_t                     line;
};


/* tgbot_gateway */

struct ngx_http_tgbot_gateway_conf_s {
    ngx_str_t                      name;      /* of the bot */
    ngx_flag_t                     bulk;
    ngx_msec_t                     timeout;
    ngx_uint_t                     order;     /* see pace_use.h */
    ngx_http_tgbot_zone_t         *idempotency;  /* NULL: none */
    ngx_array_t                   *allow;     /* of ngx_str_t: methods that are
                                                 refused else; NULL: none */

    ngx_http_tgbot_bot_t          *bot;       /* by its name */
    ngx_http_tgbot_zone_user_t    *keys;      /* the bot in "idempotency" */
    ngx_http_tgbot_loc_conf_t     *conf;      /* of this location */
    ngx_http_core_loc_conf_t      *clcf;

    u_char                        *file;      /* of the directive */
    ngx_uint_t                     line;
};


/* a Bot API call that waits while Telegram refuses the bot's token */

struct ngx_http_tgbot_pause_s {
    ngx_queue_t                    queue;

    /* called when the pause is over, or when this call is the probe */
    void                         (*resume)(ngx_http_tgbot_pause_t *pause);

    unsigned                       waiting:1;
    unsigned                       probe:1;
};


struct ngx_http_tgbot_bot_s {

    /* configuration, read only in a worker */

    ngx_str_t                      name;
    ngx_str_t                      username;  /* "": not configured */
    ngx_str_t                      token;     /* "" without tgbot_api */
    uint64_t                       id;        /* of the token, 0 without it */
    ngx_str_t                      secret;    /* "": tgbot_secret_token off */
    ngx_str_t                      old_secret;
    ngx_str_t                      slot;      /* "{prefix:name}", which begins
                                                 its keys in Redis; "": no
                                                 tgbot_redis */

    ngx_http_tgbot_loc_conf_t     *conf;      /* of the webhook's location */
    ngx_http_core_loc_conf_t      *clcf;      /* of that location */
    ngx_http_conf_ctx_t           *ctx;       /* of that server */

    ngx_http_tgbot_dedup_t        *dedup;     /* NULL: conf->dedup has none */
    ngx_http_tgbot_limit_t        *limits;    /* as conf->limits */
    ngx_uint_t                     limits_redis;  /* with "redis" */

    const ngx_http_tgbot_queue_verbs_t  *queue;  /* NULL: held mode */
    ngx_http_tgbot_queue_t        *queue_zone;   /* NULL: it is in none */
    ngx_str_t                      queue_place;  /* of the queue, for logs */

    const ngx_http_tgbot_dead_verbs_t  *dead;  /* NULL: tgbot_dead_letters
                                                  off */
    ngx_http_tgbot_dead_t         *dead_zone; /* NULL: they are in none */
    ngx_str_t                      dead_place;  /* of the letters, for logs */
    ngx_http_tgbot_pace_t         *pace;      /* NULL: no tgbot_api */
    ngx_http_tgbot_pace_conf_t    *bulk;      /* its rates, of all locations
                                                 where they are not off */
    ngx_http_tgbot_stats_t        *stats;

    ngx_http_tgbot_broadcast_conf_t  *broadcast;  /* NULL: no location has
                                                     tgbot_broadcast */

    ngx_http_tgbot_register_conf_t  *reg;    /* NULL: tgbot_register off */
    ngx_http_tgbot_registry_t     *registry;  /* NULL: as reg */

    ngx_msec_t                     lease;     /* ms, of leases in Redis */

    u_char                        *file;      /* of tgbot_webhook */
    ngx_uint_t                     line;

    /* state of this worker; the configuration zeroes it */

    ngx_rbtree_t                   jobs;      /* by update_id */
    ngx_rbtree_node_t              sentinel;
    ngx_http_tgbot_call_slots_t    slots;

    ngx_http_tgbot_redis_beat_t   *beat;      /* NULL: none so far */
    ngx_http_tgbot_queue_redis_t  *queue_redis;  /* as beat */
    ngx_http_tgbot_redis_states_t  *redis_states;  /* as beat */

    ngx_uint_t                     given_up;  /* Bot API calls, logged */
    time_t                         unpassed_warned;  /* calls of broadcasts */

    ngx_uint_t                     unauthorized_secrets; /* since warned */
    time_t                         secret_warned;
    time_t                         cut_warned;
    time_t                         full_warned;   /* of the queue */
    time_t                         strange_warned;  /* of items in it */
    time_t                         dead_warned;   /* of letters not kept */
    ngx_uint_t                     lost;      /* results, since warned */
    time_t                         lost_warned;
    time_t                         ignored_warned[
                                              NGX_HTTP_TGBOT_ANSWER_REASONS];

    /* calls that wait after a 401 of the Bot API; one of them is the probe */
    ngx_queue_t                    paused;
    ngx_event_t                    probe;

    unsigned                       initialized:1;
    unsigned                       unauthorized:1;
    unsigned                       probing:1;
    unsigned                       external_warned:1;
    unsigned                       unsent_warned:1;
};


/* how this module's variables escape text that comes from users */

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
    ngx_str_t                      method;    /* as api_uri */
} ngx_http_tgbot_ctx_t;


/* must be called before any other use of the bot in a worker; idempotent */
void ngx_http_tgbot_bot_init(ngx_http_tgbot_bot_t *bot);

/* the bot of a "tgbot_webhook" with this name, or NULL */
ngx_http_tgbot_bot_t *ngx_http_tgbot_bot_named(
    ngx_http_tgbot_main_conf_t *tmcf, ngx_str_t *name);

/*
 * Copies r's cached variables, or "base" if it is not NULL, into r->pool.  The
 * caller sets the copy as r->variables while it evaluates values that must not
 * stay in r's cache.  NULL: no memory.
 */
ngx_http_variable_value_t *ngx_http_tgbot_bot_variables(ngx_http_request_t *r,
    ngx_http_variable_value_t *base);

/*
 * As ngx_http_complex_value(), with less work for a value that is one variable:
 * then the result is the variable's own, to be read only.
 */
ngx_int_t ngx_http_tgbot_bot_value(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, ngx_str_t *value);

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
 * Whether a path has no segment "." or ".." and no NUL.  nginx does not
 * normalize the path of a subrequest before it looks for the location, and
 * parts of the path may come from users.
 */
ngx_uint_t ngx_http_tgbot_bot_path_is_safe(ngx_str_t *path);

/* the update has no command if the command names another bot than this one */
void ngx_http_tgbot_bot_command(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_update_t *update);

/* a text for Telegram was too long and is cut; logged once a minute */
void ngx_http_tgbot_bot_cut(ngx_http_tgbot_bot_t *bot, int64_t update_id);

/*
 * The Bot API refused the token, so all calls of the bot are paused: "pause"
 * waits until the token is accepted.  Each minute one of the waiting calls is
 * resumed as a probe.
 */
void ngx_http_tgbot_bot_pause(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_pause_t *pause);

/*
 * The Bot API refused the token, which the program was told that made the call.
 * Calls are paused until one is accepted, or for a minute if none waits.
 */
void ngx_http_tgbot_bot_refused(ngx_http_tgbot_bot_t *bot);

/* "pause" neither waits nor is the probe any more; idempotent */
void ngx_http_tgbot_bot_unpause(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_pause_t *pause);

/*
 * Log handler of calls: logs the bot and the update.  nginx's own handler
 * would log the upstream's URI, which contains the token.
 */
u_char *ngx_http_tgbot_bot_log_error(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);

/* whether the bot is one of Telegram's test environment */
#define ngx_http_tgbot_bot_test(bot)                                          \
    ((bot)->conf->api && (bot)->conf->api->test)

/*
 * Calls ngx_http_tgbot_redact() with the tokens of all bots.  Text from outside
 * must pass through it before it is logged or shown.
 */
ngx_int_t ngx_http_tgbot_bot_redact(ngx_http_tgbot_bot_t *bot,
    ngx_str_t *text, size_t max, ngx_pool_t *pool);

/* the tokens of all bots, an array of ngx_http_tgbot_redact_token_t */
ngx_array_t *ngx_http_tgbot_bot_tokens(ngx_http_tgbot_bot_t *bot);

/*
 * Counts the end of a call that was counted as started, and returns what
 * ngx_http_tgbot_stats_call() returns.
 */
ngx_uint_t ngx_http_tgbot_bot_called(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_call_kind_e kind, ngx_http_tgbot_capture_t *result);

/*
 * Counts a result that is dropped because the lease was lost; logs one a second
 * at most, with how many there were.
 */
void ngx_http_tgbot_bot_lost(ngx_http_tgbot_bot_t *bot, int64_t update_id);

/*
 * Counts an answer that is thrown away, as a whole or in a part, and returns
 * the level at which the caller logs it: "error" once a minute for each reason,
 * "info" otherwise.
 */
ngx_uint_t ngx_http_tgbot_bot_ignored(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_answer_reason_e reason);

/* the token is accepted: resumes all paused calls, in order */
void ngx_http_tgbot_bot_authorized(ngx_http_tgbot_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_BOT_H_INCLUDED_ */
