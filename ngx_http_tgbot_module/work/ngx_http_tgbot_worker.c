
/*
 * nginx has no hook for "shutdown begins", and its worker_shutdown_timeout
 * only reaches connections of the cycle.  So each worker keeps one idle
 * connection without a socket: its read handler is called when the graceful
 * shutdown closes idle connections, and again when the timeout passes.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_abandon.h"
#include "ngx_http_tgbot_bell.h"
#include "ngx_http_tgbot_broadcast_worker.h"
#include "ngx_http_tgbot_cache_use.h"
#include "ngx_http_tgbot_claim_redis.h"
#include "ngx_http_tgbot_dead_redis.h"
#include "ngx_http_tgbot_idempotency_use.h"
#include "ngx_http_tgbot_job.h"
#include "ngx_http_tgbot_job_queued.h"
#include "ngx_http_tgbot_pace_use.h"
#include "ngx_http_tgbot_queue_redis.h"
#include "ngx_http_tgbot_queue_worker.h"
#include "ngx_http_tgbot_redis_lease.h"
#include "ngx_http_tgbot_redis_state.h"
#include "ngx_http_tgbot_worker.h"


static ngx_connection_t *ngx_http_tgbot_worker_connection(ngx_cycle_t *cycle);
static void ngx_http_tgbot_worker_shutdown(ngx_event_t *ev);
static void ngx_http_tgbot_worker_command(ngx_http_tgbot_redis_result_e rc,
    ngx_msec_t elapsed);
static void ngx_http_tgbot_worker_reconnected(void);


static const ngx_http_tgbot_redis_counters_t  ngx_http_tgbot_worker_redis = {
    ngx_http_tgbot_worker_command,
    ngx_http_tgbot_worker_reconnected
};


static ngx_connection_t        *ngx_http_tgbot_worker_sentinel;
static ngx_http_tgbot_stats_t  *ngx_http_tgbot_worker_redis_stats;


ngx_int_t
ngx_http_tgbot_worker_init(ngx_cycle_t *cycle, ngx_http_tgbot_main_conf_t *mcf)
{
    ngx_uint_t              i;
    ngx_http_tgbot_bot_t  **bots;

    ngx_http_tgbot_worker_redis_stats = mcf->redis_stats;

    ngx_http_tgbot_redis_init_process(mcf->redis, mcf->redis_stats
                                           ? &ngx_http_tgbot_worker_redis
                                           : NULL);

    bots = mcf->bots.elts;

    for (i = 0; i < mcf->bots.nelts; i++) {
        ngx_http_tgbot_bot_init(bots[i]);
    }

    ngx_http_tgbot_redis_lease_init_process(cycle->log);
    ngx_http_tgbot_claim_redis_init_process();
    ngx_http_tgbot_queue_redis_init_process();
    ngx_http_tgbot_dead_redis_init_process();
    ngx_http_tgbot_redis_state_init_process();
    ngx_http_tgbot_job_init_process();
    ngx_http_tgbot_cache_use_init_process(cycle->log);
    ngx_http_tgbot_call_slot_init_process(mcf->max_calls,
                                          ngx_http_tgbot_queue_wake);

    ngx_http_tgbot_broadcast_worker_init_process(mcf, cycle);

    if (ngx_http_tgbot_bell_init_process(mcf->bell, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_pace_use_init_process(&mcf->bots, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_queue_worker_init_process(mcf, cycle);
    ngx_http_tgbot_idempotency_use_init_process(&mcf->zones, cycle->log);

    ngx_http_tgbot_worker_sentinel = ngx_http_tgbot_worker_connection(cycle);

    return ngx_http_tgbot_worker_sentinel ? NGX_OK : NGX_ERROR;
}


static ngx_connection_t *
ngx_http_tgbot_worker_connection(ngx_cycle_t *cycle)
{
    ngx_connection_t  *c, *saved;

    /* /dev/poll and select keep connections by fd in cycle->files */

    saved = cycle->files ? cycle->files[0] : NULL;

    c = ngx_get_connection(0, cycle->log);

    if (cycle->files) {
        cycle->files[0] = saved;
    }

    if (c == NULL) {
        return NULL;
    }

    /* not a socket; with fd -1 ngx_close_idle_connections() would skip it */

    c->fd = (ngx_socket_t) -2;
    c->idle = 1;
    c->data = c;

    c->read->handler = ngx_http_tgbot_worker_shutdown;
    c->read->log = cycle->log;
    c->write->handler = ngx_http_tgbot_worker_shutdown;
    c->write->log = cycle->log;

    return c;
}


static void
ngx_http_tgbot_worker_shutdown(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (!c->close) {
        return;
    }

    c->idle = 0;

    if (c->error) {
        ngx_http_tgbot_queue_worker_stop();
        ngx_http_tgbot_broadcast_worker_stop();
        ngx_http_tgbot_job_abort(1);
        ngx_http_tgbot_claim_redis_abandon();
        ngx_http_tgbot_queue_redis_abandon();
        ngx_http_tgbot_dead_redis_abandon();
        return;
    }

    ngx_http_tgbot_lease_leave();

    ngx_http_tgbot_job_release();
    ngx_http_tgbot_queue_worker_shutdown();
    ngx_http_tgbot_broadcast_worker_shutdown();
}


void
ngx_http_tgbot_worker_exit(ngx_cycle_t *cycle)
{
    ngx_connection_t  *c, *saved;

    c = ngx_http_tgbot_worker_sentinel;

    if (c == NULL) {
        return;
    }

    ngx_http_tgbot_queue_worker_stop();
    ngx_http_tgbot_call_exit_process();
    ngx_http_tgbot_broadcast_worker_stop();
    ngx_http_tgbot_broadcast_worker_exit_process();
    ngx_http_tgbot_job_exit_process();
    ngx_http_tgbot_pace_use_exit_process();
    ngx_http_tgbot_bell_exit_process();
    ngx_http_tgbot_queue_worker_exit_process();
    ngx_http_tgbot_claim_redis_abandon();
    ngx_http_tgbot_queue_redis_exit_process();
    ngx_http_tgbot_dead_redis_exit_process();
    ngx_http_tgbot_redis_state_exit_process();
    ngx_http_tgbot_redis_lease_exit_process();
    ngx_http_tgbot_abandon_exit_process();
    ngx_http_tgbot_detached_exit_process();
    ngx_http_tgbot_redis_exit_process();

    ngx_http_tgbot_worker_sentinel = NULL;

    saved = cycle->files ? cycle->files[0] : NULL;

    c->fd = 0;
    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;

    if (cycle->files) {
        cycle->files[0] = saved;
    }
}


/* counts a command to Redis */

static void
ngx_http_tgbot_worker_command(ngx_http_tgbot_redis_result_e rc,
    ngx_msec_t elapsed)
{
    ngx_http_tgbot_stats_t  *stats;

    stats = ngx_http_tgbot_worker_redis_stats;

    ngx_http_tgbot_stats_redis(stats, rc);

    if (rc == NGX_HTTP_TGBOT_REDIS_OK || rc == NGX_HTTP_TGBOT_REDIS_ERROR) {
        ngx_http_tgbot_stats_duration(stats, NGX_HTTP_TGBOT_DURATION_REDIS,
                                      elapsed);
    }
}


static void
ngx_http_tgbot_worker_reconnected(void)
{
    ngx_http_tgbot_stats_count(ngx_http_tgbot_worker_redis_stats,
                               NGX_HTTP_TGBOT_STAT_REDIS_RECONNECTS);
}
