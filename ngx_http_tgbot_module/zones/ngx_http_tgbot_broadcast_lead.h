
/*
 * What the leader of a broadcast does with its chats.
 *
 * The functions lock the zone themselves and must not be called while the
 * caller holds the lock of a zone.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_LEAD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_LEAD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast.h"


/*
 * Makes the caller the leader of some broadcast of the bot that has chats to
 * send and no leader, and sets *id.  Chats that are in flight under a leader
 * that is dead become unknown, and the leader's lease is lost, also of
 * broadcasts that are paused; *unknown is set to the number of these chats.
 * NGX_DECLINED: there is no such broadcast.  NGX_AGAIN: there may be one, the
 * chats of a leader that is dead have not all been looked at.
 */
ngx_int_t ngx_http_tgbot_broadcast_lead_find(ngx_http_tgbot_broadcast_t *b,
    ngx_http_tgbot_lease_t *leader, uint64_t *id, ngx_uint_t *unknown);

/*
 * Looks at some hundred chats at most, takes up to *n that wait, sets *n to
 * their number, and copies them to "chats".
 *
 * NGX_OK        some wait, though *n may be 0: call it again
 * NGX_DONE      none waits
 * NGX_AGAIN     the broadcast is paused or cancelled
 * NGX_DECLINED  it was deleted, or the lease is lost
 */
ngx_int_t ngx_http_tgbot_broadcast_lead_take(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *leader,
    ngx_http_tgbot_broadcast_chat_t *chats, ngx_uint_t *n);

/*
 * A chat that was taken is in flight from now on; what is not in flight is not
 * unknown when the leader dies.  NGX_DECLINED: the call must not be sent, as
 * the broadcast is not going, or the caller no longer its leader.
 */
ngx_int_t ngx_http_tgbot_broadcast_lead_start(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *leader,
    ngx_http_tgbot_broadcast_chat_t *chat);

/* a chat in flight was not sent, and will be started again */
void ngx_http_tgbot_broadcast_lead_wait(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *leader,
    ngx_http_tgbot_broadcast_chat_t *chat);

/*
 * Notes what became of a chat that was taken.  WAITING: it was not sent, and
 * is taken again.  FAILED, BLOCKED: "error" says why; with "again" it is FAILED
 * only after so many tries, and waits before.  Does nothing if the lease is
 * lost: the chat is unknown then.
 */
void ngx_http_tgbot_broadcast_lead_settle(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *leader,
    ngx_http_tgbot_broadcast_chat_t *chat, ngx_uint_t state,
    ngx_http_tgbot_broadcast_error_t *error, ngx_uint_t again);

/*
 * Pauses a broadcast that is going, for an error that all its chats would
 * have.  NGX_DECLINED: it was not going, or the caller is not its leader.
 */
ngx_int_t ngx_http_tgbot_broadcast_lead_stall(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *leader,
    ngx_http_tgbot_broadcast_error_t *error);

/*
 * Another process may become the leader; the caller, which ends, may only
 * settle these chats, all that it has in flight.  NGX_AGAIN: the leader before
 * still has chats in flight, so the caller stays the leader.
 */
ngx_int_t ngx_http_tgbot_broadcast_lead_resign(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *leader,
    ngx_http_tgbot_broadcast_chat_t *chats, ngx_uint_t n);

/* the caller has no chat in flight, and is no longer the leader */
void ngx_http_tgbot_broadcast_lead_leave(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_lease_t *leader);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_LEAD_H_INCLUDED_ */
