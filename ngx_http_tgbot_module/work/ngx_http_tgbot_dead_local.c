
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_dead_verbs.h"


static ngx_int_t ngx_http_tgbot_dead_local_put(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_dead_local_list(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_dead_local_get(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_dead_local_drop(ngx_http_tgbot_dead_op_t *op);
static ngx_int_t ngx_http_tgbot_dead_local_lease(ngx_http_tgbot_dead_op_t *op);
static void ngx_http_tgbot_dead_local_leave(ngx_http_tgbot_dead_op_t *op);
static ngx_uint_t ngx_http_tgbot_dead_local_holds(
    ngx_http_tgbot_dead_held_t *held);
static void ngx_http_tgbot_dead_local_end(ngx_http_tgbot_dead_held_t *held,
    ngx_uint_t gone);
static void ngx_http_tgbot_dead_local_taken(ngx_http_tgbot_bot_t *bot,
    uint64_t id, int64_t update_id);
static ngx_int_t ngx_http_tgbot_dead_local_state(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_dead_state_t *state);


const ngx_http_tgbot_dead_verbs_t  ngx_http_tgbot_dead_local = {
    ngx_http_tgbot_dead_local_put,
    ngx_http_tgbot_dead_local_list,
    ngx_http_tgbot_dead_local_get,
    ngx_http_tgbot_dead_local_drop,
    ngx_http_tgbot_dead_local_lease,
    ngx_http_tgbot_dead_local_leave,
    ngx_http_tgbot_dead_local_holds,
    ngx_http_tgbot_dead_local_end,
    ngx_http_tgbot_dead_local_taken,
    ngx_http_tgbot_dead_local_state
};


static ngx_int_t
ngx_http_tgbot_dead_local_put(ngx_http_tgbot_dead_op_t *op)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_dead_t        *zone;
    ngx_http_tgbot_dead_state_t   state;

    zone = op->bot->dead_zone;

    if (op->spare) {
        ngx_http_tgbot_dead_state(zone, &state);

        if (state.letters >= zone->max) {
            return NGX_DECLINED;
        }
    }

    rc = ngx_http_tgbot_dead_put(zone, &op->letter, &op->evicted);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, op->bot->clcf->error_log, 0,
                      "tgbot: bot \"%V\", update %L does not fit into %V of "
                      "dead letters: %uz bytes", &op->bot->name,
                      op->letter.item.head.update_id, &op->bot->dead_place,
                      op->letter.item.data.len + op->letter.item.answer.len);
    }

    return rc;
}


static ngx_int_t
ngx_http_tgbot_dead_local_list(ngx_http_tgbot_dead_op_t *op)
{
    ngx_http_tgbot_dead_state_t  state;

    op->n = ngx_http_tgbot_dead_list(op->bot->dead_zone, op->after,
                                     op->letters, op->n);

    ngx_http_tgbot_dead_state(op->bot->dead_zone, &state);

    op->total = state.letters;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_dead_local_get(ngx_http_tgbot_dead_op_t *op)
{
    return ngx_http_tgbot_dead_get(op->bot->dead_zone, op->id, &op->letter,
                                   op->pool);
}


static ngx_int_t
ngx_http_tgbot_dead_local_drop(ngx_http_tgbot_dead_op_t *op)
{
    ngx_int_t  rc;

    rc = ngx_http_tgbot_dead_drop(op->bot->dead_zone, op->id);

    return (rc == NGX_AGAIN) ? NGX_DONE : rc;
}


static ngx_int_t
ngx_http_tgbot_dead_local_lease(ngx_http_tgbot_dead_op_t *op)
{
    ngx_int_t                    rc;
    ngx_uint_t                   left;
    ngx_http_tgbot_dead_held_t  *held;

    held = &op->held;

    rc = ngx_http_tgbot_dead_lease(op->bot->dead_zone, op->id, &held->lease,
                                   &left);

    if (rc != NGX_OK) {
        return (rc == NGX_AGAIN) ? NGX_DONE : rc;
    }

    held->bot = op->bot;
    held->id = op->id;
    held->left = left;
    held->held = 1;

    rc = ngx_http_tgbot_dead_local_get(op);

    if (rc != NGX_OK) {
        ngx_http_tgbot_dead_local_end(held, 0);
        held->held = 0;
    }

    return rc;
}


/* nothing is suspended */

static void
ngx_http_tgbot_dead_local_leave(ngx_http_tgbot_dead_op_t *op)
{
}


static ngx_uint_t
ngx_http_tgbot_dead_local_holds(ngx_http_tgbot_dead_held_t *held)
{
    return ngx_http_tgbot_dead_holds(held->bot->dead_zone, held->id,
                                     &held->lease)
           == NGX_OK;
}


static void
ngx_http_tgbot_dead_local_end(ngx_http_tgbot_dead_held_t *held,
    ngx_uint_t gone)
{
    ngx_http_tgbot_dead_release(held->bot->dead_zone, held->id, &held->lease,
                                gone);
}


static void
ngx_http_tgbot_dead_local_taken(ngx_http_tgbot_bot_t *bot, uint64_t id,
    int64_t update_id)
{
    ngx_http_tgbot_dead_taken(bot->dead_zone, id, update_id);
}


static ngx_int_t
ngx_http_tgbot_dead_local_state(ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_dead_state_t *state)
{
    ngx_http_tgbot_dead_state(bot->dead_zone, state);

    return NGX_OK;
}
