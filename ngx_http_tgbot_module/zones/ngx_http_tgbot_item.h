
/*
 * An item: what is kept of an Update in a queue or as a dead letter.
 * The head never changes, the progress does, and the answer is added once.
 */

#ifndef _NGX_HTTP_TGBOT_ITEM_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ITEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_TGBOT_ITEM_NAME  32


typedef struct {
    u_char                     bot[NGX_HTTP_TGBOT_ITEM_NAME];
    uint64_t                   bot_id;       /* of the token; 0: unknown;
                                                the store sets bot, bot_id
                                                and bot_len */
    int64_t                    update_id;
    uint64_t                   lane;         /* a hash of the lane's key */
    uint64_t                   letter;       /* id of the dead letter that is
                                                replayed or replaced by this
                                                item; 0: none */
    ngx_msec_t                 received;     /* first, ngx_current_msec */
    uint32_t                   life;         /* seconds after "received" */
    uint32_t                   bot_len;      /* length of the name */
} ngx_http_tgbot_head_t;


typedef struct {
    ngx_msec_t                 started;      /* first try of call "next", if
                                                failures is not 0 */
    uint32_t                   attempts;     /* that failed */
    uint32_t                   unavailable;  /* times in a row the program
                                                was, for backoff */
    uint32_t                   next;         /* index in the answer of the
                                                next call to make */
    uint32_t                   failures;     /* of call "next" */
    uint32_t                   unknown;      /* failures with an unknown
                                                outcome */
} ngx_http_tgbot_progress_t;


/*
 * An item outside of a zone.  The strings are opaque to zones: "data" is all
 * that a job needs, "answer" is the answer of the program.
 */

typedef struct {
    ngx_http_tgbot_head_t      head;
    ngx_http_tgbot_progress_t  progress;

    ngx_str_t                  data;
    ngx_str_t                  answer;

    ngx_msec_t                 delay;        /* ms until it may be taken from
                                                the queue; 0 but for an item
                                                that is copied */
    unsigned                   answered:1;   /* there is an answer, maybe an
                                                empty one */
} ngx_http_tgbot_item_t;


#endif /* _NGX_HTTP_TGBOT_ITEM_H_INCLUDED_ */
