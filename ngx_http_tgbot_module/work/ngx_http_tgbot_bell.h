
/*
 * The workers' bell: a worker that has no room for what it accepted wakes one
 * that has, or wakes the worker that waits for what it has ended.  Each worker
 * has a datagram socket, made before the workers are started, and in shared
 * memory a flag that it has room, and the slot of its leases.
 *
 * A ring may be lost with a worker that dies, and does not reach the workers
 * of another configuration: who is rung looks for work by a timer as well.
 */

#ifndef _NGX_HTTP_TGBOT_BELL_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BELL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct ngx_http_tgbot_bell_s  ngx_http_tgbot_bell_t;


/* what a worker is rung for */

typedef enum {
    NGX_HTTP_TGBOT_BELL_QUEUE = 0,         /* an item that it has room for */
    NGX_HTTP_TGBOT_BELL_PACE,              /* a call's turn */
    NGX_HTTP_TGBOT_BELL_IDEMPOTENCY,       /* a call that has ended */
    NGX_HTTP_TGBOT_BELLS
} ngx_http_tgbot_bell_e;


/*
 * Called before the workers of a cycle are started.  Makes sockets and flags;
 * they are freed with the cycle's pool.  NULL: a message was logged.
 */
ngx_http_tgbot_bell_t *ngx_http_tgbot_bell_create(ngx_cycle_t *cycle);

/*
 * Called in a worker that has a slot of leases; "bell" may be NULL.
 * NGX_ERROR: no connection.
 */
ngx_int_t ngx_http_tgbot_bell_init_process(ngx_http_tgbot_bell_t *bell,
    ngx_cycle_t *cycle);

/* rung() is called from nginx's event loop after each ring of this kind */
void ngx_http_tgbot_bell_listen(ngx_http_tgbot_bell_e bell,
    void (*rung)(void));

/* worker exit: the worker is not rung any more */
void ngx_http_tgbot_bell_exit_process(void);

/* tells the other workers whether this one has room */
void ngx_http_tgbot_bell_tell(ngx_uint_t room);

/* whether another worker has room and was not rung since it told so */
ngx_uint_t ngx_http_tgbot_bell_room(void);

/* wakes one of these, if there are any, for the queue */
void ngx_http_tgbot_bell_ring(void);

/*
 * Wakes the worker with this slot of leases, unless it is this one, or one of
 * another configuration.
 */
void ngx_http_tgbot_bell_ring_slot(ngx_uint_t slot, ngx_http_tgbot_bell_e bell);


#endif /* _NGX_HTTP_TGBOT_BELL_H_INCLUDED_ */
