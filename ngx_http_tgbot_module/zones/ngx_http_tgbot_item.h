
/*
 * What is kept of an update that waits: in a queue, as a dead letter, in a
 * file.  The head never changes, progress does, and an answer is added once.
 */

#ifndef _NGX_HTTP_TGBOT_ITEM_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ITEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_TGBOT_ITEM_NAME  32


typedef struct {
    u_char                     bot[NGX_HTTP_TGBOT_ITEM_NAME];
    uint64_t                   bot_id;       /* of the token, 0: unknown;
                                                both are set by the store */
    int64_t                    update_id;
    uint64_t                   lane;         /* a hash of the lane's key */
    uint64_t                   letter;       /* of the bot, that this one was,
                                                or takes the place of;
                                                0: none */
    ngx_msec_t                 received;     /* first, ngx_current_msec */
    uint32_t                   life;         /* seconds since then */
    uint32_t                   bot_len;      /* of the name */
} ngx_http_tgbot_head_t;


typedef struct {
    ngx_msec_t                 started;      /* of this call, if failures */
    uint32_t                   attempts;     /* failed ones of the program */
    uint32_t                   unavailable;  /* times in a row, for backoff */
    uint32_t                   next;         /* call of the answer to be
                                                made */
    uint32_t                   failures;     /* of this call */
    uint32_t                   unknown;      /* of them without an outcome */
} ngx_http_tgbot_progress_t;


/*
 * All of it, outside of a zone.  The strings are opaque to zones: "data" is
 * what it takes to work on the update, "answer" what the program said of it.
 */

typedef struct {
    ngx_http_tgbot_head_t      head;
    ngx_http_tgbot_progress_t  progress;

    ngx_str_t                  data;
    ngx_str_t                  answer;

    ngx_msec_t                 delay;        /* before it may be taken from a
                                                queue, ms: of an item of a
                                                file, else 0 */
    unsigned                   answered:1;   /* "answer" counts, if "" too */
} ngx_http_tgbot_item_t;


#endif /* _NGX_HTTP_TGBOT_ITEM_H_INCLUDED_ */
