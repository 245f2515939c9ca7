
/*
 * Dead letters that somebody wants to be tried again, or to see.
 */

#ifndef _NGX_HTTP_TGBOT_REPLAY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REPLAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/*
 * Puts a letter of bot->dead in work again: at the end of its lane, or with
 * nobody who waits for it.  It is gone when it is safe in the queue, or done.
 *
 * NGX_DECLINED  no such letter, or it is of another version of the module,
 *               which is logged
 * NGX_AGAIN     it is being replayed
 * NGX_BUSY      no room, or its update is in work
 * NGX_ERROR     no memory
 */
ngx_int_t ngx_http_tgbot_replay(ngx_http_tgbot_bot_t *bot, uint64_t id,
    ngx_log_t *log);

/*
 * What is in a letter: the Update as it came, and the calls not made yet,
 * ngx_http_tgbot_method_t, which point into the letter.  NGX_DECLINED: it is
 * of another version.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_replay_show(ngx_http_tgbot_letter_t *letter,
    ngx_pool_t *pool, ngx_str_t *update, ngx_array_t *calls);


#endif /* _NGX_HTTP_TGBOT_REPLAY_H_INCLUDED_ */
