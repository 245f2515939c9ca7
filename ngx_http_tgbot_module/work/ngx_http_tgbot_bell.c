
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_channel.h>

#include "ngx_http_tgbot_bell.h"
#include "ngx_http_tgbot_lease.h"


struct ngx_http_tgbot_bell_s {
    ngx_uint_t        n;        /* workers */
    ngx_shm_t         shm;      /* of the next two */
    ngx_atomic_t     *room;     /* flag of each worker */
    ngx_atomic_t     *slot;     /* of each worker's leases, from 1; 0: none */
    ngx_socket_t    (*fd)[2];   /* of each worker: is read, is written */
};


static ngx_int_t ngx_http_tgbot_bell_sockets(ngx_http_tgbot_bell_t *bell,
    ngx_cycle_t *cycle);
static void ngx_http_tgbot_bell_cleanup(void *data);
static void ngx_http_tgbot_bell_read(ngx_event_t *ev);
static ngx_uint_t ngx_http_tgbot_bell_next(void);
static void ngx_http_tgbot_bell_send(ngx_uint_t worker,
    ngx_http_tgbot_bell_e bell);


static ngx_http_tgbot_bell_t   *ngx_http_tgbot_bell;
static ngx_uint_t               ngx_http_tgbot_bell_last;
static void                   (*ngx_http_tgbot_bell_rung[
                                                NGX_HTTP_TGBOT_BELLS])(void);


ngx_http_tgbot_bell_t *
ngx_http_tgbot_bell_create(ngx_cycle_t *cycle)
{
    ngx_uint_t              i;
    ngx_core_conf_t        *ccf;
    ngx_pool_cleanup_t     *cln;
    ngx_http_tgbot_bell_t  *bell;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    cln = ngx_pool_cleanup_add(cycle->pool, sizeof(ngx_http_tgbot_bell_t));
    if (cln == NULL) {
        return NULL;
    }

    bell = cln->data;

    ngx_memzero(bell, sizeof(ngx_http_tgbot_bell_t));

    bell->n = ccf->master ? ccf->worker_processes : 1;

    bell->fd = ngx_palloc(cycle->pool, bell->n * sizeof(*bell->fd));
    if (bell->fd == NULL) {
        return NULL;
    }

    for (i = 0; i < bell->n; i++) {
        bell->fd[i][0] = (ngx_socket_t) -1;
        bell->fd[i][1] = (ngx_socket_t) -1;
    }

    cln->handler = ngx_http_tgbot_bell_cleanup;

    bell->shm.size = 2 * bell->n * sizeof(ngx_atomic_t);
    bell->shm.log = cycle->log;
    ngx_str_set(&bell->shm.name, "tgbot bell");

    if (ngx_shm_alloc(&bell->shm) != NGX_OK) {
        return NULL;
    }

    bell->room = (ngx_atomic_t *) bell->shm.addr;
    bell->slot = bell->room + bell->n;

    return (ngx_http_tgbot_bell_sockets(bell, cycle) == NGX_OK) ? bell : NULL;
}


static ngx_int_t
ngx_http_tgbot_bell_sockets(ngx_http_tgbot_bell_t *bell, ngx_cycle_t *cycle)
{
    ngx_uint_t  i, k;

    /* an only worker has no other to wake */

    for (i = 0; bell->n > 1 && i < bell->n; i++) {

        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, bell->fd[i]) == -1) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "tgbot: socketpair() for the workers' bell failed");
            return NGX_ERROR;
        }

        for (k = 0; k < 2; k++) {

            if (ngx_nonblocking(bell->fd[i][k]) == -1
                || fcntl(bell->fd[i][k], F_SETFD, FD_CLOEXEC) == -1)
            {
                ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                              "tgbot: fcntl() of the workers' bell failed");
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_bell_cleanup(void *data)
{
    ngx_http_tgbot_bell_t *bell = data;

    ngx_uint_t  i, k;

    for (i = 0; i < bell->n; i++) {
        for (k = 0; k < 2; k++) {

            if (bell->fd[i][k] != (ngx_socket_t) -1) {
                (void) ngx_close_socket(bell->fd[i][k]);
            }
        }
    }

    if (bell->room) {
        ngx_shm_free(&bell->shm);
    }
}


ngx_int_t
ngx_http_tgbot_bell_init_process(ngx_http_tgbot_bell_t *bell,
    ngx_cycle_t *cycle)
{
    ngx_http_tgbot_bell = NULL;

    ngx_memzero(ngx_http_tgbot_bell_rung, sizeof(ngx_http_tgbot_bell_rung));

    if (bell == NULL || bell->n == 1) {
        return NGX_OK;
    }

    /* nginx takes the connection of a channel for no leak at exit */

    if (ngx_add_channel_event(cycle, bell->fd[ngx_worker][0], NGX_READ_EVENT,
                              ngx_http_tgbot_bell_read)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_tgbot_bell = bell;
    ngx_http_tgbot_bell_last = ngx_worker;

    bell->slot[ngx_worker] = ngx_http_tgbot_lease_slot() + 1;

    ngx_http_tgbot_bell_tell(1);

    return NGX_OK;
}


void
ngx_http_tgbot_bell_listen(ngx_http_tgbot_bell_e bell, void (*rung)(void))
{
    ngx_http_tgbot_bell_rung[bell] = rung;
}


void
ngx_http_tgbot_bell_exit_process(void)
{
    ngx_http_tgbot_bell_tell(0);

    if (ngx_http_tgbot_bell) {
        ngx_http_tgbot_bell->slot[ngx_worker] = 0;
    }

    ngx_http_tgbot_bell = NULL;
}


/* a ring is a datagram of one byte, which says what for */

static void
ngx_http_tgbot_bell_read(ngx_event_t *ev)
{
    u_char             bell;
    ngx_uint_t         i, rings[NGX_HTTP_TGBOT_BELLS];
    ngx_connection_t  *c;

    c = ev->data;

    ngx_memzero(rings, sizeof(rings));

    while (recv(c->fd, &bell, 1, 0) > 0) {
        rings[bell] = 1;
    }

    for (i = 0; ngx_http_tgbot_bell && i < NGX_HTTP_TGBOT_BELLS; i++) {

        if (rings[i] && ngx_http_tgbot_bell_rung[i]) {

            ngx_log_debug1(NGX_LOG_DEBUG_EVENT, ev->log, 0,
                           "tgbot bell: rung, %ui", i);

            ngx_http_tgbot_bell_rung[i]();
        }
    }
}


void
ngx_http_tgbot_bell_tell(ngx_uint_t room)
{
    if (ngx_http_tgbot_bell) {
        ngx_http_tgbot_bell->room[ngx_worker] = room;
    }
}


ngx_uint_t
ngx_http_tgbot_bell_room(void)
{
    return ngx_http_tgbot_bell
           && ngx_http_tgbot_bell_next() != ngx_worker;
}


/*
 * Returns the next worker with room after the one that was rung last, or this
 * worker: there is none.
 */

static ngx_uint_t
ngx_http_tgbot_bell_next(void)
{
    ngx_uint_t              i, k;
    ngx_http_tgbot_bell_t  *bell;

    bell = ngx_http_tgbot_bell;

    for (i = 1; i <= bell->n; i++) {
        k = (ngx_http_tgbot_bell_last + i) % bell->n;

        if (k != ngx_worker && bell->room[k]) {
            return k;
        }
    }

    return ngx_worker;
}


void
ngx_http_tgbot_bell_ring(void)
{
    ngx_uint_t              k;
    ngx_http_tgbot_bell_t  *bell;

    bell = ngx_http_tgbot_bell;

    if (bell == NULL) {
        return;
    }

    for ( ;; ) {
        k = ngx_http_tgbot_bell_next();

        if (k == ngx_worker) {
            return;
        }

        /* of two workers that ring at once, each wakes another one */

        if (ngx_atomic_cmp_set(&bell->room[k], 1, 0)) {
            break;
        }
    }

    ngx_http_tgbot_bell_last = k;

    ngx_http_tgbot_bell_send(k, NGX_HTTP_TGBOT_BELL_QUEUE);
}


void
ngx_http_tgbot_bell_ring_slot(ngx_uint_t slot, ngx_http_tgbot_bell_e bell)
{
    ngx_uint_t  k;

    if (ngx_http_tgbot_bell == NULL) {
        return;
    }

    for (k = 0; k < ngx_http_tgbot_bell->n; k++) {

        if (k != ngx_worker && ngx_http_tgbot_bell->slot[k] == slot + 1) {
            ngx_http_tgbot_bell_send(k, bell);
            return;
        }
    }
}


static void
ngx_http_tgbot_bell_send(ngx_uint_t worker, ngx_http_tgbot_bell_e bell)
{
    u_char  c;

    c = (u_char) bell;

    /* a worker that does not read, and whose buffer is full, will look */

    (void) send(ngx_http_tgbot_bell->fd[worker][1], &c, 1, 0);

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, ngx_cycle->log, 0,
                   "tgbot bell: worker %ui is rung, %d", worker, c);
}
