
/*
 * What is shown of broadcasts: their state, lists of their chats, errors.
 *
 * The functions lock the zone themselves and must not be called while the
 * caller holds the lock of a zone.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_SHOW_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_SHOW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast.h"


/* for a list of chats */

typedef struct {
    int64_t                  chat;
    uint32_t                 state;      /* ngx_http_tgbot_broadcast_chat_e */
    uint32_t                 error;      /* number in the table of errors,
                                            from 1; 0: none */
} ngx_http_tgbot_broadcast_result_t;


typedef struct {
    uint64_t                 id;
    ngx_uint_t               state;      /* ngx_http_tgbot_broadcast_state_e */
    int64_t                  created;    /* s since the epoch */
    int64_t                  last;       /* result, s since the epoch, or 0 */
    ngx_uint_t               rate;       /* results in 1000 s, lately */
    ngx_uint_t               total;
    ngx_uint_t               chats[NGX_HTTP_TGBOT_BROADCAST_CHATS];
    ngx_uint_t               text_len;   /* of params */
    ngx_uint_t               loading;    /* chats are being added */
    ngx_uint_t               method_len;
    u_char                   method[NGX_HTTP_TGBOT_BROADCAST_METHOD];

    /* that paused it; status 0: none */
    ngx_http_tgbot_broadcast_error_t
                             error;
} ngx_http_tgbot_broadcast_info_t;


/* NGX_DECLINED: there is no such broadcast */
ngx_int_t ngx_http_tgbot_broadcast_show_get(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_broadcast_info_t *info);

/*
 * Copies the text of a broadcast to "text", which has room for info.text_len
 * bytes.  NGX_DECLINED as in get().
 */
ngx_int_t ngx_http_tgbot_broadcast_show_text(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, u_char *text, size_t len);

/*
 * Fills "infos" with up to n broadcasts of the bot with ids above "after", and
 * returns their number.  They are sorted by id; with "first" those that are
 * going or paused come first, and then the others, the newest ones first.
 */
ngx_uint_t ngx_http_tgbot_broadcast_show_list(ngx_http_tgbot_broadcast_t *b,
    uint64_t after, ngx_uint_t first, ngx_http_tgbot_broadcast_info_t *infos,
    ngx_uint_t n);

/*
 * Goes on with a list of the chats whose state is in "mask", bits 1 << state.
 * Looks at some hundred chats at most, fills "results" with up to n of them
 * and sets *found.
 * NGX_AGAIN: there may be more.  NGX_DONE: there are no more.  NGX_DECLINED:
 * the broadcast was deleted.
 */
ngx_int_t ngx_http_tgbot_broadcast_show_next(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_http_tgbot_broadcast_cursor_t *cursor, ngx_uint_t mask,
    ngx_http_tgbot_broadcast_result_t *results, ngx_uint_t n,
    ngx_uint_t *found);

/* NGX_DECLINED: there is no such error in the table, or no such broadcast */
ngx_int_t ngx_http_tgbot_broadcast_show_error(ngx_http_tgbot_broadcast_t *b,
    uint64_t id, ngx_uint_t number, ngx_http_tgbot_broadcast_error_t *error);

/* the number of chats of all bots that wait, or are in flight */
uint64_t ngx_http_tgbot_broadcast_show_waiting(ngx_http_tgbot_zone_t *zone);

/*
 * For metrics: the number of broadcasts of the bot by state, and of their
 * chats by state.
 */
void ngx_http_tgbot_broadcast_show_sums(ngx_http_tgbot_broadcast_t *b,
    uint64_t states[NGX_HTTP_TGBOT_BROADCAST_STATES],
    uint64_t chats[NGX_HTTP_TGBOT_BROADCAST_CHATS]);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_SHOW_H_INCLUDED_ */
