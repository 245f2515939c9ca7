
/*
 * What Redis sends: a reader of hiredis with bounds, and what is looked for in
 * replies.  Nothing here knows a connection.
 */

#ifndef _NGX_HTTP_TGBOT_REDIS_REPLY_H_INCLUDED_
#define _NGX_HTTP_TGBOT_REDIS_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <hiredis/hiredis.h>


/* most elements of one array of a reply */
#define NGX_HTTP_TGBOT_REDIS_ELEMENTS  65536

/* most arrays in one another */
#define NGX_HTTP_TGBOT_REDIS_DEPTH     7


typedef struct {
    redisReader  *reader;
    size_t        size;     /* bytes since the last complete reply */
} ngx_http_tgbot_redis_reader_t;


/* NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_redis_reader_init(ngx_http_tgbot_redis_reader_t *r);

/* idempotent */
void ngx_http_tgbot_redis_reader_free(ngx_http_tgbot_redis_reader_t *r);

/* takes n bytes; they are copied.  NGX_ERROR: as below. */
ngx_int_t ngx_http_tgbot_redis_reader_feed(ngx_http_tgbot_redis_reader_t *r,
    u_char *p, size_t n);

/*
 * Sets *reply, which the caller frees by freeReplyObject(), to the next
 * complete reply.  NGX_AGAIN: there is none yet.  NGX_ERROR: what was sent is
 * no reply or larger than its bounds, or there is no memory; the reader must
 * not be used any more.
 */
ngx_int_t ngx_http_tgbot_redis_reader_next(ngx_http_tgbot_redis_reader_t *r,
    redisReply **reply);

/* whether the reply is this word */
ngx_uint_t ngx_http_tgbot_redis_reply_is(redisReply *reply, const char *word);

/*
 * The value of the line "name:value" in a reply to INFO, or of the pair "name",
 * "value" in a reply to CONFIG GET; it points into the reply.
 * NGX_DECLINED: there is none.
 */
ngx_int_t ngx_http_tgbot_redis_reply_value(redisReply *reply, const char *name,
    ngx_str_t *value);

/*
 * The first word of an error, such as "OOM": up to 32 capital letters.
 * "ERR" if the text does not begin so.  It points into the reply.
 */
void ngx_http_tgbot_redis_reply_class(redisReply *reply, ngx_str_t *word);

/*
 * An error as text for a log: at most 128 bytes, what is not printable is "?".
 * *text is valid until the next call.
 */
void ngx_http_tgbot_redis_reply_text(redisReply *reply, ngx_str_t *text);


#endif /* _NGX_HTTP_TGBOT_REDIS_REPLY_H_INCLUDED_ */
