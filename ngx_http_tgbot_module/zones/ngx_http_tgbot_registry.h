
/*
 * What is known of the webhooks that are registered with Telegram, and which
 * worker looks after them.
 */

#ifndef _NGX_HTTP_TGBOT_REGISTRY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REGISTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"


/* SHA-1 */
#define NGX_HTTP_TGBOT_REGISTRY_PRINT    20

#define NGX_HTTP_TGBOT_REGISTRY_URL      1024
#define NGX_HTTP_TGBOT_REGISTRY_TEXT     256
#define NGX_HTTP_TGBOT_REGISTRY_ADDRESS  64
#define NGX_HTTP_TGBOT_REGISTRY_NAMES    1024

/* changes by others, and refusals, taken back within an hour; then no more */
#define NGX_HTTP_TGBOT_REGISTRY_TAKEN    3


typedef enum {
    NGX_HTTP_TGBOT_REGISTRY_UNKNOWN = 0, /* not asked yet */
    NGX_HTTP_TGBOT_REGISTRY_OK,
    NGX_HTTP_TGBOT_REGISTRY_PENDING,     /* to be registered, or looked at */
    NGX_HTTP_TGBOT_REGISTRY_FAILED,      /* to be tried again */
    NGX_HTTP_TGBOT_REGISTRY_STOPPED      /* taken back too often */
} ngx_http_tgbot_registry_state_e;


/* of a bot; texts are cleaned, cut, and have no token in them */

typedef struct {
    ngx_uint_t    state;             /* ngx_http_tgbot_registry_state_e */

    /* fingerprints of the settings; zero: none */
    u_char        wanted[NGX_HTTP_TGBOT_REGISTRY_PRINT];
                                     /* the configuration had last time */
    u_char        registered[NGX_HTTP_TGBOT_REGISTRY_PRINT];
                                     /* Telegram was given, or had already */
    u_char        seen[NGX_HTTP_TGBOT_REGISTRY_PRINT];
                                     /* it told of them afterwards */

    ngx_msec_t    next;              /* ngx_current_msec; when to ask again */
    ngx_msec_t    set;               /* likewise, of the last setWebhook */
    ngx_uint_t    failures;          /* in a row, until a check holds */

    /* seconds since the epoch, 0: never */
    time_t        checked;           /* getWebhookInfo was answered */
    time_t        registered_at;     /* setWebhook went well */
    time_t        taken[NGX_HTTP_TGBOT_REGISTRY_TAKEN];
                                     /* taken back, the newest first */

    /* what getWebhookInfo said */
    int64_t       pending;
    int64_t       max_connections;   /* 0: nothing */
    time_t        error_date;        /* 0: none */

    uint32_t      url_len;
    uint32_t      address_len;
    uint32_t      message_len;
    uint32_t      names_len;
    uint32_t      error_len;

    u_char        url[NGX_HTTP_TGBOT_REGISTRY_URL];
    u_char        address[NGX_HTTP_TGBOT_REGISTRY_ADDRESS];
    u_char        message[NGX_HTTP_TGBOT_REGISTRY_TEXT];  /* its last error */
    u_char        names[NGX_HTTP_TGBOT_REGISTRY_NAMES];   /* of updates */

    u_char        error[NGX_HTTP_TGBOT_REGISTRY_TEXT];    /* ours */

    unsigned      url_ok:1;          /* it is the one we want */
    unsigned      certificate:1;
    unsigned      has_names:1;       /* 0: Telegram's default */
    unsigned      asked:1;           /* the Bot API, for the first time */
    unsigned      unverified:1;      /* what was registered, until a check */
} ngx_http_tgbot_registration_t;


typedef struct ngx_http_tgbot_registry_record_s
    ngx_http_tgbot_registry_record_t;


/* a bot's place in the zone; name and id are set by the configuration */

typedef struct {
    ngx_http_tgbot_zone_t             *zone;
    ngx_str_t                          bot;
    uint64_t                           bot_id;
    u_char                             wanted[NGX_HTTP_TGBOT_REGISTRY_PRINT];

    ngx_http_tgbot_registry_record_t  *record;   /* set with the zone */
} ngx_http_tgbot_registry_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_registry_zone;


/* bytes a zone needs for so many bots; a power of two of them is best */
size_t ngx_http_tgbot_registry_size(ngx_uint_t bots);

/*
 * Whether this worker is the one that registers webhooks, from now on if
 * nobody else lives who does.
 */
ngx_uint_t ngx_http_tgbot_registry_hold(ngx_http_tgbot_zone_t *zone);

/* this worker does it no more; idempotent */
void ngx_http_tgbot_registry_release(ngx_http_tgbot_zone_t *zone);

/*
 * Whether one more bot that was not asked for before may be asked for, which
 * is counted then; 0: later.
 */
ngx_uint_t ngx_http_tgbot_registry_pace(ngx_http_tgbot_zone_t *zone);

/*
 * What is known of a bot.  NGX_DECLINED: nothing can be kept, as a later
 * configuration needed the place for another bot.
 */
ngx_int_t ngx_http_tgbot_registry_get(ngx_http_tgbot_registry_t *registry,
    ngx_http_tgbot_registration_t *registration);

/* keeps it; NGX_DECLINED: likewise, or another worker registers now */
ngx_int_t ngx_http_tgbot_registry_put(ngx_http_tgbot_registry_t *registry,
    ngx_http_tgbot_registration_t *registration);

/* a text of a registration: as much of "value" as there is room for */
uint32_t ngx_http_tgbot_registry_text(u_char *dst, size_t size,
    ngx_str_t *value);

/* changes taken back within the last hour, "now" in seconds since the epoch */
ngx_uint_t ngx_http_tgbot_registry_taken(
    ngx_http_tgbot_registration_t *registration, time_t now);


#endif /* _NGX_HTTP_TGBOT_REGISTRY_H_INCLUDED_ */
