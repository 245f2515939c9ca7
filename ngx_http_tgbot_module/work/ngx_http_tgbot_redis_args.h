
/*
 * Writes the keys and arguments of a script about one bot, sends it, and reads
 * the numbers of its reply.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_ARGS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_ARGS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_redis.h"
#include "ngx_http_tgbot_redis_scripts.h"


typedef struct {
    ngx_http_tgbot_bot_t          *bot;
    ngx_pool_t                    *pool;      /* NULL: no memory */
    ngx_array_t                    argv;      /* of ngx_str_t */
    ngx_uint_t                     nkeys;
} ngx_http_tgbot_redis_args_t;


/* begins a command; ngx_http_tgbot_redis_args_send() must end it */
void ngx_http_tgbot_redis_args_init(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_bot_t *bot);

/*
 * Add an argument.  key() adds a key, which is bot->slot, a colon and what is
 * formatted; shared() adds one with the prefix of all bots in place of the
 * slot.  All keys come before the first argument.  print() formats up to
 * 128 bytes as ngx_sprintf() does.  text() takes a string that must be valid
 * until send().  Without memory they do nothing, and send() fails.
 */
void ngx_cdecl ngx_http_tgbot_redis_args_key(ngx_http_tgbot_redis_args_t *args,
    const char *fmt, ...);
void ngx_cdecl ngx_http_tgbot_redis_args_shared(
    ngx_http_tgbot_redis_args_t *args, const char *fmt, ...);
void ngx_cdecl ngx_http_tgbot_redis_args_print(
    ngx_http_tgbot_redis_args_t *args, const char *fmt, ...);
void ngx_http_tgbot_redis_args_text(ngx_http_tgbot_redis_args_t *args,
    ngx_str_t *text);

/*
 * Sends "script" with what was added; the caller has set done and data of the
 * command, and durable.  Returns what ngx_http_tgbot_redis_send() returns,
 * NGX_DECLINED also without memory.
 */
ngx_int_t ngx_http_tgbot_redis_args_send(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_redis_command_t *command,
    const ngx_http_tgbot_redis_script_t *script);

/*
 * Number i of a reply that is an array.  -1: there is no such number, and the
 * caller must not take the reply for one that it knows.
 */
int64_t ngx_http_tgbot_redis_args_number(redisReply *reply, ngx_uint_t i);


#endif /* _NGX_HTTP_TGBOT_REDIS_ARGS_H_INCLUDED_ */
