
/*
 * Broadcasts: one call of the Bot API for many chats.  A chat takes nine
 * bytes, its id and its state; what became of it is one store of a byte.
 *
 * A broadcast is filled by one request at a time, its loader, and sent by one
 * worker at a time, its leader.  Both hold a lease, which ends with their
 * process.  Chats of a loader are added all at once, by
 * ngx_http_tgbot_broadcast_publish(), or not at all.
 *
 * The functions lock the zone themselves and must not be called while the
 * caller holds the lock of a zone.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_item.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_zone.h"


/* bytes of a method's name */
#define NGX_HTTP_TGBOT_BROADCAST_METHOD   64

/* bytes of the text of an error; longer ones are cut */
#define NGX_HTTP_TGBOT_BROADCAST_TEXT     240

/* different errors of a broadcast; chats with further ones have no text */
#define NGX_HTTP_TGBOT_BROADCAST_ERRORS   120

/*
 * how often a chat is tried whose calls are given up as the Bot API answers
 * with 5xx
 */
#define NGX_HTTP_TGBOT_BROADCAST_TRIES    3


/* what became of a chat */

typedef enum {
    NGX_HTTP_TGBOT_BROADCAST_WAITING = 0,
    NGX_HTTP_TGBOT_BROADCAST_FLIGHT,
    NGX_HTTP_TGBOT_BROADCAST_SENT,
    NGX_HTTP_TGBOT_BROADCAST_BLOCKED,   /* the user does not want it */
    NGX_HTTP_TGBOT_BROADCAST_FAILED,
    NGX_HTTP_TGBOT_BROADCAST_UNKNOWN,   /* sent or not: nginx ended, or no
                                           answer came */
    NGX_HTTP_TGBOT_BROADCAST_CHATS
} ngx_http_tgbot_broadcast_chat_e;


typedef enum {
    NGX_HTTP_TGBOT_BROADCAST_GOING = 0,
    NGX_HTTP_TGBOT_BROADCAST_PAUSED,
    NGX_HTTP_TGBOT_BROADCAST_CANCELLED,
    NGX_HTTP_TGBOT_BROADCAST_DONE,      /* going, and no chat is left */
    NGX_HTTP_TGBOT_BROADCAST_STATES
} ngx_http_tgbot_broadcast_state_e;


/* a bot that uses a zone */

typedef struct {
    ngx_http_tgbot_zone_t   *zone;
    ngx_str_t                bot;        /* name, up to 32 bytes */
    uint64_t                 bot_id;     /* of the token */
} ngx_http_tgbot_broadcast_t;


/* a chat while it is sent */

typedef struct {
    uint32_t                 block;      /* where it is */
    uint32_t                 slot;
    int64_t                  chat;
} ngx_http_tgbot_broadcast_chat_t;


/* the position of a walk through all chats; zeroed to begin */

typedef struct {
    uint32_t                 block;      /* number + 1 */
    uint32_t                 slot;
} ngx_http_tgbot_broadcast_cursor_t;


/* what the Bot API said of a chat; also an entry in the table of errors */

typedef struct {
    uint32_t                 status;
    uint32_t                 blocked;    /* BLOCKED, not FAILED */
    uint64_t                 len;
    u_char                   text[NGX_HTTP_TGBOT_BROADCAST_TEXT];
} ngx_http_tgbot_broadcast_error_t;


extern const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_broadcast_zone;

/* names, indexed by these enums */
extern ngx_str_t  ngx_http_tgbot_broadcast_chats[];
extern ngx_str_t  ngx_http_tgbot_broadcast_states[];


/*
 * Makes a broadcast that no other function shows until it is published, sets
 * *id, and makes the caller its loader.  "text" is what each call has besides
 * the chat.  "state" is GOING or PAUSED.  NGX_BUSY: there is no room.
 */
ngx_int_t ngx_http_tgbot_broadcast_create(ngx_http_tgbot_broadcast_t *b,
    ngx_str_t *method, ngx_str_t *text, ngx_uint_t state,
    ngx_http_tgbot_lease_t *loader, uint64_t *id);

/*
 * Makes the caller the loader of a broadcast.
 * NGX_DECLINED: there is no such broadcast.  NGX_AGAIN: it has a loader.
 * NGX_ABORT: it is cancelled.
 */
ngx_int_t ngx_http_tgbot_broadcast_load(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *loader);

/*
 * Writes n chats behind those that are there; n is small.  NGX_BUSY: there is
 * no room, some may be written.  NGX_DECLINED: the broadcast was deleted, or
 * the lease is lost.
 */
ngx_int_t ngx_http_tgbot_broadcast_add(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *loader, int64_t *chats, ngx_uint_t n);

/* ends the load, and adds what was written; NGX_DECLINED as in add() */
ngx_int_t ngx_http_tgbot_broadcast_publish(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *loader);

/*
 * Ends the load, and drops what was written, and a broadcast that is not
 * published.  Does nothing if the lease is not the loader's.
 */
void ngx_http_tgbot_broadcast_abandon(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *loader);


/*
 * Sets a broadcast GOING, PAUSED or CANCELLED.  NGX_DECLINED: there is no such
 * broadcast.  NGX_ABORT: it is cancelled, and stays so.
 */
ngx_int_t ngx_http_tgbot_broadcast_set(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_uint_t state);

/*
 * Lets chats in a state, which is BLOCKED, FAILED or UNKNOWN, wait again: some
 * hundred are looked at, the number of those that wait is added to *n.
 * NGX_AGAIN: call it again for the chats behind.  Otherwise as in set().
 */
ngx_int_t ngx_http_tgbot_broadcast_again(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_broadcast_cursor_t *cursor, ngx_uint_t state,
    ngx_uint_t *n);

/*
 * Deletes a broadcast.  NGX_DECLINED: there is no such broadcast.  NGX_AGAIN:
 * it is going, or has chats in flight or a loader.
 */
ngx_int_t ngx_http_tgbot_broadcast_drop(ngx_http_tgbot_broadcast_t *b,
    uint64_t id);

/*
 * The number of chats that a crash of the machine took from the zone, each of
 * which is returned once.
 */
uint64_t ngx_http_tgbot_broadcast_broken(ngx_http_tgbot_zone_t *zone);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_H_INCLUDED_ */
