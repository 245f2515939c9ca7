
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_step.h"


/* ms of a timer that keeps the worker from its exit, and only goes on */
#define NGX_HTTP_TGBOT_STEP_HOLD  1000


static void ngx_http_tgbot_step_turn(ngx_event_t *ev);


void
ngx_http_tgbot_step_run(ngx_http_tgbot_step_t *step)
{
    ngx_int_t     rc;
    ngx_event_t  *ev;

    rc = step->handler(step->data);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(step->request, rc);
        return;
    }

    ev = &step->event;

    ev->handler = ngx_http_tgbot_step_turn;
    ev->data = step;
    ev->log = step->request->connection->log;

    ngx_http_tgbot_step_later(ev);
}


static void
ngx_http_tgbot_step_turn(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_tgbot_step_t  *step;

    step = ev->data;
    c = step->request->connection;

    ngx_http_set_log_request(c->log, step->request);

    ngx_http_tgbot_step_run(step);

    ngx_http_run_posted_requests(c);
}


void
ngx_http_tgbot_step_later(ngx_event_t *ev)
{
    ngx_post_event(ev, &ngx_posted_next_events);

    /* a worker that exits waits for timers, not for posted events */

    ngx_add_timer(ev, NGX_HTTP_TGBOT_STEP_HOLD);
}


void
ngx_http_tgbot_step_end(ngx_event_t *ev)
{
    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}
