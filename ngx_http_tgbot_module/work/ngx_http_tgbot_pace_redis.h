
/*
 * tgbot_pace with "redis": the places of bulk, and what a 429 stops, of all
 * machines.  The zone of this machine is asked first, see pace_use.h.
 */

#ifndef _NGX_HTTP_TGBOT_PACE_REDIS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_PACE_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


typedef enum {
    NGX_HTTP_TGBOT_PACE_PLACED = 0,    /* the call goes in "ms" */
    NGX_HTTP_TGBOT_PACE_LATER,         /* its chat has to wait "ms": ask then */
    NGX_HTTP_TGBOT_PACE_STOPPED,       /* by a 429, for "ms" */
    NGX_HTTP_TGBOT_PACE_PROBED,        /* another call goes first: ask again in
                                          "ms" */
    NGX_HTTP_TGBOT_PACE_LATE,          /* it would wait for "ms", too long */
    NGX_HTTP_TGBOT_PACE_AWAY           /* Redis did not answer: ms is 0 */
} ngx_http_tgbot_pace_redis_answer_e;


/* the places of one call */

typedef struct ngx_http_tgbot_pace_place_s  ngx_http_tgbot_pace_place_t;

struct ngx_http_tgbot_pace_place_s {

    /* set by the caller of make; called when the fields below are set */
    void                         (*ready)(void *data);
    void                          *data;

    ngx_http_tgbot_pace_redis_answer_e  answer;
    ngx_msec_t                     ms;
    ngx_uint_t                     bot;       /* STOPPED, PROBED: by a pause of
                                                 the bot, not of the chat */
    ngx_uint_t                     probe;     /* the call goes first after a
                                                 pause: told() hears of it */
    unsigned                       asks:1;    /* ready() will be called */
    unsigned                       goes:1;    /* PLACED or AWAY */
};


/*
 * Worker start and exit.  heard() is called when a 429 has stopped the chat,
 * the method or, with "", the bot for so long, on whichever machine.
 */
void ngx_http_tgbot_pace_redis_init_process(ngx_array_t *bots,
    void (*heard)(ngx_http_tgbot_bot_t *bot, ngx_str_t *chat, ngx_msec_t ms));
void ngx_http_tgbot_pace_redis_exit_process(void);

/*
 * For a call of bulk, or one that goes first after a pause, which has a ticket.
 * NULL: no memory.
 */
ngx_http_tgbot_pace_place_t *ngx_http_tgbot_pace_redis_make(
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_pace_call_t *call);

/*
 * Asks whether the call may go, if it waits for no more than "limit" ms.
 * NGX_AGAIN: ready() will be called, never from inside.  NGX_DECLINED: Redis is
 * away.
 */
ngx_int_t ngx_http_tgbot_pace_redis_ask(ngx_http_tgbot_pace_place_t *place,
    ngx_msec_t limit);

/*
 * Ends a place, and frees it.  "used": the request is sent; else the places go
 * back, also those that are being asked for, and ready() is not called.
 */
void ngx_http_tgbot_pace_redis_end(ngx_http_tgbot_pace_place_t *place,
    ngx_uint_t used);

/*
 * The answer to a call about the chat, the method or the bot: 429 ("pause" in
 * ms), or if the call was a probe another one (0), or none (-1).
 */
void ngx_http_tgbot_pace_redis_told(ngx_http_tgbot_bot_t *bot,
    ngx_str_t *chat, ngx_msec_int_t pause, ngx_uint_t probe);


#endif /* _NGX_HTTP_TGBOT_PACE_REDIS_H_INCLUDED_ */
