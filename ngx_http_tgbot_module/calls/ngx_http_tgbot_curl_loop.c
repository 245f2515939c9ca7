
/*
 * libcurl says which sockets it wants to be told of, and when; it is told by
 * nginx's events.  It never waits itself.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_curl_loop.h"


static int ngx_http_tgbot_curl_socket(CURL *easy, curl_socket_t s, int what,
    void *userp, void *socketp);
static ngx_connection_t *ngx_http_tgbot_curl_attach(curl_socket_t s);
static void ngx_http_tgbot_curl_detach(ngx_connection_t *c);
static ngx_int_t ngx_http_tgbot_curl_watch(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t wanted);
static int ngx_http_tgbot_curl_timer(CURLM *m, long ms, void *userp);
static void ngx_http_tgbot_curl_event(ngx_event_t *ev);
static void ngx_http_tgbot_curl_timeout(ngx_event_t *ev);
static void ngx_http_tgbot_curl_action(curl_socket_t s, int events);


static CURLM        *ngx_http_tgbot_curl_multi;
static ngx_event_t   ngx_http_tgbot_curl_ev;


CURLM *
ngx_http_tgbot_curl_loop_init(void)
{
    CURLM        *multi;
    ngx_event_t  *ev;

    static ngx_connection_t  dummy;

    /* never undone: others in this process may use libcurl as well */

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return NULL;
    }

    multi = curl_multi_init();

    if (multi == NULL) {
        return NULL;
    }

    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION,
                      ngx_http_tgbot_curl_socket);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION,
                      ngx_http_tgbot_curl_timer);

    dummy.fd = (ngx_socket_t) -1;

    ev = &ngx_http_tgbot_curl_ev;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_tgbot_curl_timeout;
    ev->data = &dummy;
    ev->log = ngx_cycle->log;

    ngx_http_tgbot_curl_multi = multi;

    return multi;
}


void
ngx_http_tgbot_curl_loop_stay(ngx_uint_t stay)
{
    ngx_http_tgbot_curl_ev.cancelable = !stay;
}


void
ngx_http_tgbot_curl_loop_exit(void)
{
    (void) curl_multi_cleanup(ngx_http_tgbot_curl_multi);

    ngx_http_tgbot_curl_multi = NULL;

    if (ngx_http_tgbot_curl_ev.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_curl_ev);
    }
}


static int
ngx_http_tgbot_curl_socket(CURL *easy, curl_socket_t s, int what, void *userp,
    void *socketp)
{
    ngx_connection_t *c = socketp;

    if (what == CURL_POLL_REMOVE) {

        if (c) {
            ngx_http_tgbot_curl_detach(c);
            (void) curl_multi_assign(ngx_http_tgbot_curl_multi, s, NULL);
        }

        return 0;
    }

    if (c == NULL) {
        c = ngx_http_tgbot_curl_attach(s);

        if (c == NULL) {

            /* it will time out: an error would end all others as well */

            return 0;
        }

        (void) curl_multi_assign(ngx_http_tgbot_curl_multi, s, c);
    }

    (void) ngx_http_tgbot_curl_watch(c->read, NGX_READ_EVENT,
                                     what & CURL_POLL_IN);
    (void) ngx_http_tgbot_curl_watch(c->write, NGX_WRITE_EVENT,
                                     what & CURL_POLL_OUT);

    return 0;
}


static ngx_connection_t *
ngx_http_tgbot_curl_attach(curl_socket_t s)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(s, ngx_cycle->log);

    if (c == NULL) {
        return NULL;
    }

    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->log_error = NGX_ERROR_ERR;

    c->read->handler = ngx_http_tgbot_curl_event;
    c->read->log = c->log;
    c->write->handler = ngx_http_tgbot_curl_event;
    c->write->log = c->log;

    return c;
}


/* the socket itself is libcurl's */

static void
ngx_http_tgbot_curl_detach(ngx_connection_t *c)
{
    if (ngx_del_conn) {

        if (c->read->active || c->write->active) {
            ngx_del_conn(c, 0);
        }

    } else {
        (void) ngx_http_tgbot_curl_watch(c->read, NGX_READ_EVENT, 0);
        (void) ngx_http_tgbot_curl_watch(c->write, NGX_WRITE_EVENT, 0);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    /* so that what the kernel has reported already is passed over */

    c->read->closed = 1;
    c->write->closed = 1;

    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


/* by level: libcurl may leave something unread */

static ngx_int_t
ngx_http_tgbot_curl_watch(ngx_event_t *ev, ngx_int_t event, ngx_uint_t wanted)
{
    if (wanted && !ev->active) {
        return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
    }

    if (!wanted && ev->active) {
        return ngx_del_event(ev, event, 0);
    }

    return NGX_OK;
}


/* libcurl must not be called from here */

static int
ngx_http_tgbot_curl_timer(CURLM *m, long ms, void *userp)
{
    ngx_event_t  *ev;

    ev = &ngx_http_tgbot_curl_ev;

    /* a timer that is set is not moved by less than 300 ms */

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    if (ms >= 0) {
        ngx_add_timer(ev, (ngx_msec_t) ms);
    }

    return 0;
}


static void
ngx_http_tgbot_curl_event(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    /* worker_shutdown_timeout has passed */

    if (c->close) {
        ngx_http_tgbot_curl_abort_all();
        return;
    }

    ngx_http_tgbot_curl_action(c->fd, ev->write ? CURL_CSELECT_OUT
                                                : CURL_CSELECT_IN);
}


static void
ngx_http_tgbot_curl_timeout(ngx_event_t *ev)
{
    ngx_http_tgbot_curl_action(CURL_SOCKET_TIMEOUT, 0);
}


/*
 * The threads of libcurl's resolver inherit our mask: nginx's signals are for
 * the thread that waits for events.
 */

static void
ngx_http_tgbot_curl_action(curl_socket_t s, int events)
{
    int        n;
    CURL      *easy;
    sigset_t   all, saved;
    CURLMsg   *msg;
    CURLcode   code;

    sigfillset(&all);

    (void) sigprocmask(SIG_BLOCK, &all, &saved);

    (void) curl_multi_socket_action(ngx_http_tgbot_curl_multi, s, events, &n);

    (void) sigprocmask(SIG_SETMASK, &saved, NULL);

    for ( ;; ) {
        msg = curl_multi_info_read(ngx_http_tgbot_curl_multi, &n);

        if (msg == NULL) {
            break;
        }

        if (msg->msg == CURLMSG_DONE) {

            /* the message does not outlive the removal of its handle */

            easy = msg->easy_handle;
            code = msg->data.result;

            ngx_http_tgbot_curl_end(easy, code);
        }
    }
}
