
/*
 * A zone with the state of the webhooks that are registered with Telegram, and
 * with the lease of the worker that registers them.
 *
 * The functions lock the zone themselves and must not be called while the
 * caller holds the lock of a zone.
 */

#ifndef _NGX_HTTP_TGBOT_REGISTRY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REGISTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"


/* size of a fingerprint, SHA-1 */
#define NGX_HTTP_TGBOT_REGISTRY_PRINT    20

#define NGX_HTTP_TGBOT_REGISTRY_URL      1024
#define NGX_HTTP_TGBOT_REGISTRY_TEXT     256
#define NGX_HTTP_TGBOT_REGISTRY_ADDRESS  64
#define NGX_HTTP_TGBOT_REGISTRY_NAMES    1024

/* Telegram's usernames have up to 32 bytes */
#define NGX_HTTP_TGBOT_REGISTRY_USERNAME  64

/*
 * Changes by others and refusals that are corrected within an hour; after so
 * many the state is STOPPED
 */
#define NGX_HTTP_TGBOT_REGISTRY_TAKEN    3


typedef enum {
    NGX_HTTP_TGBOT_REGISTRY_UNKNOWN = 0, /* Telegram was not asked yet */
    NGX_HTTP_TGBOT_REGISTRY_OK,
    NGX_HTTP_TGBOT_REGISTRY_PENDING,     /* will be registered or checked */
    NGX_HTTP_TGBOT_REGISTRY_FAILED,      /* will be retried */
    NGX_HTTP_TGBOT_REGISTRY_STOPPED      /* corrected too often */
} ngx_http_tgbot_registry_state_e;


/* the webhook of a bot; texts are cleaned, cut, and without tokens */

typedef struct {
    ngx_uint_t    state;             /* ngx_http_tgbot_registry_state_e */

    /* fingerprints of the settings; zero: none */
    u_char        wanted[NGX_HTTP_TGBOT_REGISTRY_PRINT];
                                     /* last seen in the configuration */
    u_char        registered[NGX_HTTP_TGBOT_REGISTRY_PRINT];
                                     /* sent to Telegram, or found there */
    u_char        seen[NGX_HTTP_TGBOT_REGISTRY_PRINT];
                                     /* as getWebhookInfo showed them then */

    /* ngx_current_msec */
    ngx_msec_t    next;              /* when to ask again */
    ngx_msec_t    set;               /* when the last setWebhook was sent, or
                                        when it ended */

    ngx_uint_t    failures;          /* in a row, until a check succeeds */

    uint64_t      version;           /* setWebhooks of all machines that are
                                        known */

    /* seconds since the epoch, 0: never */
    time_t        checked;           /* getWebhookInfo was answered */
    time_t        registered_at;     /* setWebhook succeeded */
    time_t        taken[NGX_HTTP_TGBOT_REGISTRY_TAKEN];
                                     /* corrections, the newest first */

    /* from getWebhookInfo */
    int64_t       pending;
    int64_t       max_connections;   /* 0: not there */
    time_t        error_date;        /* 0: no error */

    uint32_t      url_len;
    uint32_t      address_len;
    uint32_t      message_len;
    uint32_t      names_len;
    uint32_t      error_len;
    uint32_t      username_len;

    u_char        url[NGX_HTTP_TGBOT_REGISTRY_URL];
    u_char        address[NGX_HTTP_TGBOT_REGISTRY_ADDRESS];
    u_char        message[NGX_HTTP_TGBOT_REGISTRY_TEXT];  /* Telegram's error */
    u_char        names[NGX_HTTP_TGBOT_REGISTRY_NAMES];   /* Update types */

    u_char        error[NGX_HTTP_TGBOT_REGISTRY_TEXT];    /* our own error */
    u_char        username[NGX_HTTP_TGBOT_REGISTRY_USERNAME];
                                     /* from getMe, without "@" */

    unsigned      url_ok:1;          /* "url" is the one we want */
    unsigned      certificate:1;
    unsigned      has_names:1;       /* 0: Telegram's default */
    unsigned      asked:1;           /* the Bot API was asked once */
    unsigned      unverified:1;      /* registered, but not checked yet */
    unsigned      newer:1;           /* "wanted" is newer than what the other
                                        machines know */
    unsigned      named:1;           /* getMe was answered since "wanted" */
} ngx_http_tgbot_registration_t;


/* a bot that uses the zone; begins as ngx_http_tgbot_zone_user_t */

typedef struct {
    ngx_http_tgbot_zone_t  *zone;
    ngx_str_t               bot;
    uint64_t                bot_id;
    ngx_uint_t              entry;   /* set by the directory */
    uint32_t                serial;  /* of that entry */

    u_char                  wanted[NGX_HTTP_TGBOT_REGISTRY_PRINT];
} ngx_http_tgbot_registry_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_registry_zone;


/*
 * Returns the bytes that a zone needs for so many bots.  Callers round the
 * number up to a power of two, so that few reloads change the size.
 */
size_t ngx_http_tgbot_registry_size(ngx_uint_t bots);

/*
 * Returns 1 if this worker is the one that registers webhooks.  It takes the
 * lease for that if no living worker holds it.
 */
ngx_uint_t ngx_http_tgbot_registry_hold(ngx_http_tgbot_zone_t *zone);

/* gives the lease back, if this worker holds it; idempotent */
void ngx_http_tgbot_registry_release(ngx_http_tgbot_zone_t *zone);

/*
 * Returns 1 if Telegram may be asked about another bot for the first time now,
 * and counts it; 0: try again later.
 */
ngx_uint_t ngx_http_tgbot_registry_pace(ngx_http_tgbot_zone_t *zone);

/*
 * Copies the registration of a bot out of the zone.  NGX_DECLINED: the record
 * belongs to a bot of a later configuration, and the copy must not be used.
 */
ngx_int_t ngx_http_tgbot_registry_get(ngx_http_tgbot_registry_t *registry,
    ngx_http_tgbot_registration_t *registration);

/*
 * Copies the registration of a bot into the zone.  NGX_DECLINED: the record
 * belongs to a bot of a later configuration, or this worker does not hold the
 * lease any more; nothing is changed.
 */
ngx_int_t ngx_http_tgbot_registry_put(ngx_http_tgbot_registry_t *registry,
    ngx_http_tgbot_registration_t *registration);

/*
 * Copies the bot's username, without "@", to name, which has room for
 * NGX_HTTP_TGBOT_REGISTRY_USERNAME bytes.  Returns its length.  0: not known,
 * as registration has not learned it yet; "registry" is NULL without
 * tgbot_register.
 */
size_t ngx_http_tgbot_registry_username(ngx_http_tgbot_registry_t *registry,
    u_char *name);

/* copies as much of "value" as fits in size bytes, and returns the length */
uint32_t ngx_http_tgbot_registry_text(u_char *dst, size_t size,
    ngx_str_t *value);

/* number of corrections within an hour; "now": seconds since the epoch */
ngx_uint_t ngx_http_tgbot_registry_taken(
    ngx_http_tgbot_registration_t *registration, time_t now);


#endif /* _NGX_HTTP_TGBOT_REGISTRY_H_INCLUDED_ */
