
/*
 * Requests and jobs of this worker that wait until another one, in any worker,
 * has settled a key of a zone.  They look again when this worker settles the
 * key, when it is told that another one did, and by a timer.
 */

#ifndef _NGX_HTTP_TGBOT_WAIT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_WAIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_zone.h"


#define NGX_HTTP_TGBOT_WAIT_KEY  16


/* those that wait for one cause: a static object */

typedef struct {
    ngx_queue_t                queue;
    ngx_event_t                timer;
    ngx_msec_t                 interval;  /* ms */
} ngx_http_tgbot_waits_t;


/* zeroed by the owner, who ends it with ngx_http_tgbot_wait_leave() */

typedef struct {

    /* set by the owner before it waits */

    ngx_event_t                event;     /* its handler looks again */
    ngx_http_tgbot_zone_t     *zone;
    u_char                    *key;       /* WAIT_KEY bytes, of the owner */

    unsigned                   queued:1;  /* waits, and keeps no worker from
                                             its exit */

    /* private */

    ngx_queue_t                queue;
} ngx_http_tgbot_wait_t;


/* worker start */
void ngx_http_tgbot_waits_init(ngx_http_tgbot_waits_t *waits,
    ngx_msec_t interval, ngx_log_t *log);

/* the event is posted, once, when it is time to look again */
void ngx_http_tgbot_wait(ngx_http_tgbot_waits_t *waits,
    ngx_http_tgbot_wait_t *wait);

/* the event is not posted any more; idempotent */
void ngx_http_tgbot_wait_leave(ngx_http_tgbot_wait_t *wait);

/* posts the events of those that wait for the key; zone NULL: for any */
void ngx_http_tgbot_waits_resume(ngx_http_tgbot_waits_t *waits,
    ngx_http_tgbot_zone_t *zone, u_char *key);


#endif /* _NGX_HTTP_TGBOT_WAIT_H_INCLUDED_ */
