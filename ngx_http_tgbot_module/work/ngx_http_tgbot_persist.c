
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_job_queued.h"
#include "ngx_http_tgbot_persist.h"
#include "ngx_http_tgbot_state.h"


/* another master ends when its administrator likes: looked for so often, ms */
#define NGX_HTTP_TGBOT_PERSIST_TIME     1000

/* records that a worker loads at a time, and ms until it loads more */
#define NGX_HTTP_TGBOT_PERSIST_RECORDS  64
#define NGX_HTTP_TGBOT_PERSIST_MORE     10

/* of what an old master leaves to a new one, as nginx calls its pid file */
#define NGX_HTTP_TGBOT_PERSIST_OLD      ".oldbin"


static ngx_int_t ngx_http_tgbot_persist_both(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf);
static ngx_int_t ngx_http_tgbot_persist_collect(ngx_array_t *states,
    ngx_http_tgbot_main_conf_t *tmcf, const char *suffix, ngx_cycle_t *cycle);
static ngx_http_tgbot_state_t *ngx_http_tgbot_persist_find(
    ngx_array_t *states, ngx_str_t *path, const char *suffix,
    ngx_cycle_t *cycle);
static ngx_int_t ngx_http_tgbot_persist_add(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_persist_load(ngx_event_t *ev);
static void ngx_http_tgbot_persist_forget(void);


/* what this process has loaded, or is about to load */
static ngx_array_t  ngx_http_tgbot_persist_states;
static ngx_event_t  ngx_http_tgbot_persist_timer;


ngx_int_t
ngx_http_tgbot_persist_init_module(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf)
{
    ngx_uint_t               i;
    ngx_http_tgbot_state_t  *state;

    /* what was loaded at the start is of a cycle that ends with this one */

    ngx_http_tgbot_persist_forget();

    /*
     * A reload has its zones; the master that a new binary was started by
     * has them still, and leaves them to our workers.
     */

    if (ngx_test_config || ngx_inherited
        || !ngx_is_init_cycle(cycle->old_cycle))
    {
        return NGX_OK;
    }

    if (ngx_http_tgbot_persist_both(cycle, tmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    state = ngx_http_tgbot_persist_states.elts;

    for (i = 0; i < ngx_http_tgbot_persist_states.nelts; i++) {

        if (ngx_http_tgbot_state_load(&state[i], 0, cycle->log) != NGX_OK) {
            ngx_http_tgbot_state_close(&state[i]);
            state[i].path.len = 0;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_persist_init_process(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf)
{
    ngx_uint_t               i, failed;
    ngx_event_t             *ev;
    ngx_http_tgbot_state_t  *state;

    /* nginx runs: it is in shared memory */

    failed = 0;

    state = ngx_http_tgbot_persist_states.elts;

    for (i = 0; i < ngx_http_tgbot_persist_states.nelts; i++) {

        if (state[i].path.len == 0) {
            continue;
        }

        if (ngx_worker == 0) {
            failed |= ngx_http_tgbot_state_remove(&state[i], cycle->log)
                      != NGX_OK;
        } else {
            ngx_http_tgbot_state_close(&state[i]);
        }
    }

    ngx_http_tgbot_persist_states.nelts = 0;

    if (failed || ngx_worker != 0) {
        return NGX_OK;
    }

    /*
     * What comes is of the master that we take over from, or of one that was
     * to take over from ours and was given up.
     */

    if (ngx_http_tgbot_persist_both(cycle, tmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_persist_states.nelts == 0) {
        return NGX_OK;
    }

    ev = &ngx_http_tgbot_persist_timer;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_tgbot_persist_load;
    ev->data = ev;
    ev->log = cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_HTTP_TGBOT_PERSIST_TIME);

    return NGX_OK;
}


static void
ngx_http_tgbot_persist_load(ngx_event_t *ev)
{
    ngx_uint_t               i, left;
    ngx_msec_t               wait;
    ngx_http_tgbot_state_t  *state;

    if (ngx_exiting) {

        /* others go on with what is left */

        ngx_http_tgbot_persist_forget();
        return;
    }

    left = 0;
    wait = NGX_HTTP_TGBOT_PERSIST_TIME;

    state = ngx_http_tgbot_persist_states.elts;

    for (i = 0; i < ngx_http_tgbot_persist_states.nelts; i++) {

        if (state[i].path.len == 0) {
            continue;
        }

        switch (ngx_http_tgbot_state_load(&state[i],
                                          NGX_HTTP_TGBOT_PERSIST_RECORDS,
                                          ev->log))
        {

        case NGX_OK:
            if (ngx_http_tgbot_state_remove(&state[i], ev->log) == NGX_OK) {
                left++;

            } else {
                state[i].path.len = 0;
            }

            ngx_http_tgbot_queue_wake();
            break;

        case NGX_AGAIN:
            ngx_http_tgbot_queue_wake();

            wait = NGX_HTTP_TGBOT_PERSIST_MORE;
            left++;
            break;

        case NGX_DECLINED:
        case NGX_BUSY:
            left++;
            break;

        default: /* NGX_ERROR */
            state[i].path.len = 0;
        }
    }

    if (left) {
        ngx_add_timer(ev, wait);
    }
}


void
ngx_http_tgbot_persist_exit_process(void)
{
    if (ngx_http_tgbot_persist_timer.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_persist_timer);
    }

    ngx_http_tgbot_persist_forget();
}


static void
ngx_http_tgbot_persist_forget(void)
{
    ngx_uint_t               i;
    ngx_http_tgbot_state_t  *state;

    state = ngx_http_tgbot_persist_states.elts;

    for (i = 0; i < ngx_http_tgbot_persist_states.nelts; i++) {
        ngx_http_tgbot_state_close(&state[i]);
    }

    ngx_http_tgbot_persist_states.nelts = 0;
}


void
ngx_http_tgbot_persist_exit_master(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf)
{
    ngx_uint_t               i;
    ngx_array_t              states;
    const char              *suffix;
    ngx_http_tgbot_state_t  *state;

    ngx_time_update();

    suffix = ngx_new_binary ? NGX_HTTP_TGBOT_PERSIST_OLD : "";

    if (ngx_array_init(&states, cycle->pool, 1,
                       sizeof(ngx_http_tgbot_state_t))
        != NGX_OK
        || ngx_http_tgbot_persist_collect(&states, tmcf, suffix, cycle)
           != NGX_OK)
    {
        return;
    }

    state = states.elts;

    for (i = 0; i < states.nelts; i++) {

        /* a file that another master left, and that is not loaded yet, stays */

        (void) ngx_http_tgbot_state_load(&state[i], 0, cycle->log);

        (void) ngx_http_tgbot_state_write(&state[i], cycle->log);

        ngx_http_tgbot_state_close(&state[i]);
    }
}


/* what a full stop leaves, and what an upgrade does */

static ngx_int_t
ngx_http_tgbot_persist_both(ngx_cycle_t *cycle,
    ngx_http_tgbot_main_conf_t *tmcf)
{
    ngx_array_t  *states;

    states = &ngx_http_tgbot_persist_states;

    if (ngx_array_init(states, cycle->pool, 2, sizeof(ngx_http_tgbot_state_t))
        != NGX_OK
        || ngx_http_tgbot_persist_collect(states, tmcf,
                                          NGX_HTTP_TGBOT_PERSIST_OLD, cycle)
           != NGX_OK
        || ngx_http_tgbot_persist_collect(states, tmcf, "", cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the files, each with the zones of the bots whose queue belongs in it */

static ngx_int_t
ngx_http_tgbot_persist_collect(ngx_array_t *states,
    ngx_http_tgbot_main_conf_t *tmcf, const char *suffix, ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_http_tgbot_bot_t   **bots, *bot;
    ngx_http_tgbot_state_t  *state;

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {
        bot = bots[i];

        if (bot->queue_zone == NULL || bot->conf->queue->state.len == 0) {
            continue;
        }

        state = ngx_http_tgbot_persist_find(states, &bot->conf->queue->state,
                                            suffix, cycle);
        if (state == NULL
            || ngx_http_tgbot_persist_add(state, bot->queue_zone->zone)
               != NGX_OK
            || (bot->dead_zone
                && ngx_http_tgbot_persist_add(state, bot->dead_zone->zone)
                   != NGX_OK)
            || (bot->dedup
                && ngx_http_tgbot_persist_add(state, bot->dedup->zone)
                   != NGX_OK))
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_http_tgbot_state_t *
ngx_http_tgbot_persist_find(ngx_array_t *states, ngx_str_t *path,
    const char *suffix, ngx_cycle_t *cycle)
{
    u_char                  *p;
    size_t                   len;
    ngx_uint_t               i;
    ngx_core_conf_t         *ccf;
    ngx_http_tgbot_state_t  *state;

    state = states->elts;

    for (i = 0; i < states->nelts; i++) {

        if (ngx_strncmp(state[i].path.data, path->data, path->len) == 0
            && state[i].path.len == path->len + ngx_strlen(suffix))
        {
            return &state[i];
        }
    }

    state = ngx_array_push(states);
    if (state == NULL) {
        return NULL;
    }

    ngx_memzero(state, sizeof(ngx_http_tgbot_state_t));

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        state->uid = ccf->user;
    }

    len = ngx_strlen(suffix);

    p = ngx_pnalloc(cycle->pool, path->len + len + 1);
    if (p == NULL) {
        return NULL;
    }

    state->path.data = p;
    state->path.len = path->len + len;

    p = ngx_cpymem(p, path->data, path->len);
    p = ngx_cpymem(p, suffix, len);
    *p = '\0';

    if (ngx_array_init(&state->zones, cycle->pool, 4,
                       sizeof(ngx_http_tgbot_zone_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return state;
}


static ngx_int_t
ngx_http_tgbot_persist_add(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t               i;
    ngx_http_tgbot_zone_t  **zones;

    zones = state->zones.elts;

    for (i = 0; i < state->zones.nelts; i++) {
        if (zones[i] == zone) {
            return NGX_OK;
        }
    }

    zones = ngx_array_push(&state->zones);
    if (zones == NULL) {
        return NGX_ERROR;
    }

    *zones = zone;

    return NGX_OK;
}
