
/*
 * The head of a dead letter in Redis: what a list shows.
 */

#ifndef _NGX_HTTP_TGBOT_DEAD_REDIS_HEAD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEAD_REDIS_HEAD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_redis.h"


/* its bytes */
#define NGX_HTTP_TGBOT_DEAD_REDIS_HEAD  56


/* writes the head of the letter to p, where there is room for it */
void ngx_http_tgbot_dead_redis_head_write(ngx_http_tgbot_letter_t *letter,
    u_char *p);

/*
 * Zeroes the letter and reads its head.  Of strings only item.data.len is set.
 * If "head" is no head, or of another version of the module, the letter has no
 * update_id and the cause NGX_HTTP_TGBOT_DEAD_CAUSES.
 */
void ngx_http_tgbot_dead_redis_head_read(ngx_http_tgbot_letter_t *letter,
    redisReply *head);


#endif /* _NGX_HTTP_TGBOT_DEAD_REDIS_HEAD_H_INCLUDED_ */
