
/*
 * The scripts that Redis runs.  Each is a file of this folder, redis_*.lua,
 * that begins with its contract: keys, arguments, replies, and what it promises
 * when it is run twice.
 *
 * The keys of a bot are "{prefix:bot}:<kind>", all in one slot.  A key that
 * does not exist is empty.
 *
 * meta         HASH    layout, counters of events, rings: redis_part_meta.lua
 * seen:0       STRING  rings of accepted update_ids: redis_part_rings.lua
 * seen:1
 * lane:<name>  LIST    items of a lane, "seq received payload", the head first;
 *                      the name is the hash of the lane's key, 16 hex digits
 * lanes        ZSET    lanes with items, by the time their head was received
 * ready        LIST    lanes that may be taken, and the name of the bell
 * delayed      ZSET    lanes that may be taken later, by the time, ms
 * flight       HASH    lane => token "worker/number" of who has taken it
 * progress     HASH    lane => "seq progress" of its head; lane and an "a" =>
 *                      "seq answer"
 * workers      ZSET    workers, by the time their lease is over, ms
 * held         HASH    update_id => token of who has claimed it
 * records      HASH    update_id => failed attempts; update_id and a "c":
 *                      charged by limits
 * firsts       ZSET    update_ids with a record, by the time of first receipt
 * limit:<key>  STRING  a bucket; the key is a hash, 32 hex digits
 * album:<key>  STRING  "1": a bucket gave a token for an album, "0": it refused
 *                      the album; for a minute
 * ride:<n>     STRING  "update_id type\ncall" that rode in the response to an
 *                      update_id with the remainder n by 4096
 * dead         ZSET    ids of dead letters
 * letters      HASH    id => head of a letter; id and a "d" => its data
 * replays      HASH    id => token of who replays it; "": who did, has died
 * put:<letter> STRING  a letter of a zone that was put into the queue: hash of
 *                      the machine, id, update_id, times of first and last
 *                      failure
 * cache:<key>  STRING  answer of tgbot_cache; "": not kept; the key is a hash,
 *                      32 hex digits
 * cache:<key>:lock
 *              STRING  token of who asks the program for that answer
 * register     STRING  what is known of the webhook of tgbot_register:
 *                      register_redis.c
 * register:lock
 *              STRING  token of the one that calls the Bot API about it
 *
 * pace:<chat>  STRING  a bucket of bulk; the chat is a hash, 32 hex digits
 * group:<chat>
 * pace:all, pace:paid
 * stop:<chat>  STRING  a pause after a 429: redis_part_stop.lua; of a chat or a
 * stop                 method, which is a hash as well, and of the bot
 *
 * A token is "worker/number": the name of the worker, and a number that it
 * never used before.  A script that finds keys of another layout does nothing
 * and returns an error that begins with "TGBOTVERSION".
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_SCRIPTS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_SCRIPTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis.h"


/* records of a bot, and keys of rides */
#define NGX_HTTP_TGBOT_REDIS_RECORDS  4096
#define NGX_HTTP_TGBOT_REDIS_RIDES    4096


/* the queue */
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_accept;
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_put;
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_take;
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_give;
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_settle;

/* held mode */
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_claim;
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_unclaim;
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_limit;

/* dead letters */
extern const ngx_http_tgbot_redis_script_t
                                        ngx_http_tgbot_redis_script_dead_put;
extern const ngx_http_tgbot_redis_script_t
                                        ngx_http_tgbot_redis_script_dead_list;
extern const ngx_http_tgbot_redis_script_t
                                        ngx_http_tgbot_redis_script_dead_lease;
extern const ngx_http_tgbot_redis_script_t
                                        ngx_http_tgbot_redis_script_dead_end;

/* tgbot_cache */
extern const ngx_http_tgbot_redis_script_t
                                        ngx_http_tgbot_redis_script_cache_get;
extern const ngx_http_tgbot_redis_script_t
                                        ngx_http_tgbot_redis_script_cache_fill;

/* tgbot_register */
extern const ngx_http_tgbot_redis_script_t
                                        ngx_http_tgbot_redis_script_register;

/* tgbot_pace */
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_pace;
extern const ngx_http_tgbot_redis_script_t
                                        ngx_http_tgbot_redis_script_pace_stop;
extern const ngx_http_tgbot_redis_script_t
                                        ngx_http_tgbot_redis_script_pace_back;

/* leases, and what a status shows */
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_beat;
extern const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_state;


#endif /* _NGX_HTTP_TGBOT_REDIS_SCRIPTS_H_INCLUDED_ */
