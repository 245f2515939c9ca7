
/*
 * Replays a dead letter, or shows it.
 */

#ifndef _NGX_HTTP_TGBOT_REPLAY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REPLAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


typedef struct ngx_http_tgbot_replay_s  ngx_http_tgbot_replay_t;


/*
 * init_module, after a start: an update that nginx left both in its queue and
 * as a dead letter, as it ended in between, stays in one of them.
 */
void ngx_http_tgbot_replay_init_module(ngx_http_tgbot_main_conf_t *tmcf);

/*
 * Replays a letter: with tgbot_queue as an item at the end of its lane,
 * otherwise as a job that no request waits for.  The letter goes once the item
 * is in the queue, or the job has handled it.
 *
 * NGX_OK        the item is in the queue, or the job runs or has ended
 * NGX_DECLINED  there is no such letter (any more), or it is of another version
 *               of the module (logged)
 * NGX_DONE      the letter is already being replayed
 * NGX_BUSY      there is no room, or a job for its update runs
 * NGX_ABORT     Redis, where the letters or the queue are, is away, or did not
 *               answer in time; in a zone the letter is kept
 * NGX_ERROR     no memory
 * NGX_AGAIN     *replay is set; done(data, rc) is called with one of the other
 *               codes, never from inside
 */
ngx_int_t ngx_http_tgbot_replay(ngx_http_tgbot_bot_t *bot, uint64_t id,
    void (*done)(void *data, ngx_int_t rc), void *data,
    ngx_http_tgbot_replay_t **replay);

/* done() is not called; the replay goes on */
void ngx_http_tgbot_replay_leave(ngx_http_tgbot_replay_t *replay);

/*
 * Reads a letter: the Update as it came, and the calls not made yet, an array
 * of ngx_http_tgbot_method_t.  Both point into the letter's bytes.
 * NGX_DECLINED: it is of another version of the module.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_replay_show(ngx_http_tgbot_letter_t *letter,
    ngx_pool_t *pool, ngx_str_t *update, ngx_array_t *calls);


#endif /* _NGX_HTTP_TGBOT_REPLAY_H_INCLUDED_ */
