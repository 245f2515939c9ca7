
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_dead_redis_head.h"
#include "ngx_http_tgbot_update.h"


/* the first byte of a head */
#define NGX_HTTP_TGBOT_DEAD_REDIS_VERSION  1


/* with the order of bytes of this machine, as the data of a letter has it */

typedef struct {
    uint8_t      version;
    uint8_t      answered;
    uint8_t      cause;
    uint8_t      unused;
    uint32_t     status;
    uint32_t     attempts;
    uint32_t     next;
    uint32_t     len;            /* of the data, behind which the answer is */
    uint32_t     zero;
    int64_t      update_id;
    int64_t      first;
    int64_t      last;
    uint64_t     lane;
} ngx_http_tgbot_dead_redis_head_t;


typedef char  ngx_http_tgbot_dead_redis_head_size
    [(sizeof(ngx_http_tgbot_dead_redis_head_t)
      == NGX_HTTP_TGBOT_DEAD_REDIS_HEAD) ? 1 : -1];


void
ngx_http_tgbot_dead_redis_head_write(ngx_http_tgbot_letter_t *letter, u_char *p)
{
    ngx_http_tgbot_item_t             *item;
    ngx_http_tgbot_dead_end_t         *end;
    ngx_http_tgbot_dead_redis_head_t   head;

    item = &letter->item;
    end = &letter->end;

    ngx_memzero(&head, sizeof(ngx_http_tgbot_dead_redis_head_t));

    head.version = NGX_HTTP_TGBOT_DEAD_REDIS_VERSION;
    head.answered = item->answered;
    head.cause = (uint8_t) end->cause;
    head.status = end->status;
    head.attempts = item->progress.attempts;
    head.next = item->progress.next;
    head.len = (uint32_t) item->data.len;
    head.update_id = item->head.update_id;
    head.first = end->first;
    head.last = end->last;
    head.lane = item->head.lane;

    ngx_memcpy(p, &head, sizeof(ngx_http_tgbot_dead_redis_head_t));
}


void
ngx_http_tgbot_dead_redis_head_read(ngx_http_tgbot_letter_t *letter,
    redisReply *reply)
{
    ngx_http_tgbot_item_t             *item;
    ngx_http_tgbot_dead_end_t         *end;
    ngx_http_tgbot_dead_redis_head_t   head;

    ngx_memzero(letter, sizeof(ngx_http_tgbot_letter_t));

    item = &letter->item;
    end = &letter->end;

    item->head.update_id = NGX_HTTP_TGBOT_UPDATE_NO_ID;
    end->cause = NGX_HTTP_TGBOT_DEAD_CAUSES;

    if (reply->type != REDIS_REPLY_STRING
        || reply->len != sizeof(ngx_http_tgbot_dead_redis_head_t))
    {
        return;
    }

    ngx_memcpy(&head, reply->str, sizeof(ngx_http_tgbot_dead_redis_head_t));

    if (head.version != NGX_HTTP_TGBOT_DEAD_REDIS_VERSION
        || head.cause >= NGX_HTTP_TGBOT_DEAD_CAUSES)
    {
        return;
    }

    item->head.update_id = head.update_id;
    item->head.lane = head.lane;
    item->progress.attempts = head.attempts;
    item->progress.next = head.next;
    item->answered = head.answered;
    item->data.len = head.len;

    end->cause = head.cause;
    end->status = head.status;
    end->first = head.first;
    end->last = head.last;
}
