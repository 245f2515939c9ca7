
/*
 * Call slots: they bound the calls in flight of a worker.  Bots that wait for
 * slots take turns.
 */

#ifndef _NGX_HTTP_TGBOT_CALL_SLOT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CALL_SLOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the slots of a bot in this worker; zeroed by its owner at first */

typedef struct {
    ngx_queue_t                 queue;      /* of bots that wait */
    ngx_queue_t                 waiting;    /* calls without a slot */
    ngx_uint_t                  running;    /* calls with a slot */

    unsigned                    initialized:1;
    unsigned                    queued:1;
} ngx_http_tgbot_call_slots_t;


typedef struct ngx_http_tgbot_call_slot_s  ngx_http_tgbot_call_slot_t;

struct ngx_http_tgbot_call_slot_s {
    ngx_http_tgbot_call_slots_t  *slots;

    /* called when the call gets a slot */
    void                      (*run)(ngx_http_tgbot_call_slot_t *slot);
    void                       *data;

    ngx_queue_t                 queue;

    unsigned                    waiting:1;
    unsigned                    running:1;
};


/*
 * Worker start: sets the number of slots of this worker.  left() is called, if
 * it is not NULL, when a slot was given back that no call waits for, and none
 * was free before; it must not enter a slot.
 */
void ngx_http_tgbot_call_slot_init_process(ngx_uint_t max, void (*left)(void));

/* worker exit: no call gets a slot any more */
void ngx_http_tgbot_call_slot_exit_process(void);

/*
 * Waits for a slot and calls slot->run() then: at once, from inside this
 * function, if a slot is free and no bot waits; otherwise from a posted event.
 * A bot that holds a quarter of the slots is passed over while a bot with
 * fewer waits.  The caller sets slots, run and data.
 */
void ngx_http_tgbot_call_slot_enter(ngx_http_tgbot_call_slot_t *slot);

/* whether a call gets a slot at once */
ngx_uint_t ngx_http_tgbot_call_slot_free(void);

/*
 * Whether a call of the bot would be the first of the bot to wait, and before
 * others: the bot has less than a quarter of the slots.
 */
ngx_uint_t ngx_http_tgbot_call_slot_first(ngx_http_tgbot_call_slots_t *slots);

/* gives the slot back, or stops waiting for one; idempotent */
void ngx_http_tgbot_call_slot_leave(ngx_http_tgbot_call_slot_t *slot);


#endif /* _NGX_HTTP_TGBOT_CALL_SLOT_H_INCLUDED_ */
