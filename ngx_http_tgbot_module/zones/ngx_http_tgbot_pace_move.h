
/*
 * Which ticket goes next.  All functions are called with the zone locked.
 */

#ifndef _NGX_HTTP_TGBOT_PACE_MOVE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_PACE_MOVE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_pace_table.h"


/* calls of bulk are counted for so long, ms */
#define NGX_HTTP_TGBOT_PACE_WINDOW   5000


/*
 * After any change to the record, to a ticket of it, or to the bot's pause:
 * tickets that may go now go.  Their workers are told, but for t->self.
 */
void ngx_http_tgbot_pace_move(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record);

/*
 * A ticket that went waits again, and is no probe any more.  The caller counts
 * it as waiting, and moves.
 */
void ngx_http_tgbot_pace_move_halt(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);

/*
 * Whether a pause of the chat (1) or of the bot (2) stops all tickets of the
 * record; *due becomes its end, or 0 if the answer to a probe ends the pause.
 */
ngx_uint_t ngx_http_tgbot_pace_move_stopped(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_record_t *record, ngx_msec_t *due);

/* the ticket is the probe no more; an answer ends the pause */
void ngx_http_tgbot_pace_move_unpause(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot, ngx_http_tgbot_pace_pause_t *pause,
    uint32_t n, ngx_uint_t answered);

/* when the n-th ticket of bulk from now on may go to the chat, microseconds */
uint64_t ngx_http_tgbot_pace_move_chat_due(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket, ngx_uint_t n);

/* when the n-th token from now on may be taken, microseconds */
uint64_t ngx_http_tgbot_pace_move_due(ngx_http_tgbot_pace_level_t *level,
    ngx_http_tgbot_pace_rate_t *rate, ngx_uint_t n, ngx_msec_t now);

/* no request was sent, so the tokens go back */
void ngx_http_tgbot_pace_move_unsend(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);

/* the request has an answer, or will have none */
void ngx_http_tgbot_pace_move_landed(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);

/* begins another window of counting, if this one is over */
void ngx_http_tgbot_pace_move_count(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_PACE_MOVE_H_INCLUDED_ */
