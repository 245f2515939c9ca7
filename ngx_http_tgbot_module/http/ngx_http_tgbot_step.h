
/*
 * Runs the work of a request in slices: as a whole it would last too long for
 * one turn of the event loop.
 */

#ifndef _NGX_HTTP_TGBOT_STEP_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STEP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct {

    /* set by the owner, the rest zeroed */

    ngx_http_request_t            *request;

    /* one slice.  NGX_AGAIN: call it again; else as a content handler */
    ngx_int_t                    (*handler)(void *data);
    void                          *data;

    /* private, but for step_end() */

    ngx_event_t                    event;
} ngx_http_tgbot_step_t;


/*
 * Does a slice, and the next ones in turns of their own; finalizes the request
 * with the code of the last one.  Must be last: the request may be freed.
 */
void ngx_http_tgbot_step_run(ngx_http_tgbot_step_t *step);

/* calls the event's handler in the next turn; may be called again from it */
void ngx_http_tgbot_step_later(ngx_event_t *ev);

/* for a cleanup of the request; idempotent, also if the event is zeroed */
void ngx_http_tgbot_step_end(ngx_event_t *ev);


#endif /* _NGX_HTTP_TGBOT_STEP_H_INCLUDED_ */
