
/*
 * The worker's slots for calls in flight, and who may have them: every user
 * (a bot) takes from its share, shares take turns.
 */

#ifndef _NGX_HTTP_TGBOT_CALL_SLOT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CALL_SLOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* one per bot, zeroed at start */

typedef struct {
    ngx_queue_t                 queue;      /* among shares that wait */
    ngx_queue_t                 waiting;    /* places */
    ngx_uint_t                  running;    /* places */

    unsigned                    initialized:1;
    unsigned                    queued:1;
} ngx_http_tgbot_call_slots_t;


typedef struct ngx_http_tgbot_call_slot_s  ngx_http_tgbot_call_slot_t;

struct ngx_http_tgbot_call_slot_s {
    ngx_http_tgbot_call_slots_t  *slots;

    /* the place has got a slot */
    void                      (*run)(ngx_http_tgbot_call_slot_t *place);
    void                       *data;

    ngx_queue_t                 queue;

    unsigned                    waiting:1;
    unsigned                    running:1;
};


/* worker start: there are "max" slots */
void ngx_http_tgbot_call_slot_init_process(ngx_uint_t max);

/* worker exit: nobody gets a slot any more */
void ngx_http_tgbot_call_slot_exit_process(void);

/*
 * Runs the place at once if there is a free slot and nobody waits, or when
 * its turn comes.  A share that holds a quarter of the slots is passed over
 * as long as another one waits.  share, run and data are the caller's.
 */
void ngx_http_tgbot_call_slot_enter(ngx_http_tgbot_call_slot_t *slot);

/* gives the slot back, or the place in the line; idempotent */
void ngx_http_tgbot_call_slot_leave(ngx_http_tgbot_call_slot_t *slot);


#endif /* _NGX_HTTP_TGBOT_CALL_SLOT_H_INCLUDED_ */
