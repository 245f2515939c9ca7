
/*
 * The multi interface of libcurl: libcurl says which sockets and which timer
 * it needs, and nginx's events call libcurl.  libcurl itself never waits.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_curl.h"


/* longest answer, bytes; a longer one is an error */
#define NGX_HTTP_TGBOT_CURL_MAX    (64 * 1024)


#define NGX_HTTP_TGBOT_CURL_CONNECT  5000


static ngx_int_t ngx_http_tgbot_curl_prepare(ngx_http_tgbot_curl_t *call);
static ngx_int_t ngx_http_tgbot_curl_options(ngx_http_tgbot_curl_t *call);
static ngx_int_t ngx_http_tgbot_curl_payload(ngx_http_tgbot_curl_t *call);
static ngx_int_t ngx_http_tgbot_curl_form(ngx_http_tgbot_curl_t *call);
static void ngx_http_tgbot_curl_end(CURL *easy, CURLcode code);
static void ngx_http_tgbot_curl_remove(ngx_http_tgbot_curl_t *call);
static size_t ngx_http_tgbot_curl_write(char *data, size_t size, size_t n,
    void *userp);
static void ngx_http_tgbot_curl_abort_all(void);
static CURLM *ngx_http_tgbot_curl_loop_init(void);
static void ngx_http_tgbot_curl_loop_stay(ngx_uint_t stay);
static void ngx_http_tgbot_curl_loop_exit(void);
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
static ngx_queue_t   ngx_http_tgbot_curl_calls;
static ngx_event_t   ngx_http_tgbot_curl_ev;


ngx_int_t
ngx_http_tgbot_curl_start(ngx_http_tgbot_curl_t *call)
{
    if (ngx_http_tgbot_curl_multi == NULL) {
        ngx_http_tgbot_curl_multi = ngx_http_tgbot_curl_loop_init();

        if (ngx_http_tgbot_curl_multi == NULL) {
            return NGX_ERROR;
        }

        ngx_queue_init(&ngx_http_tgbot_curl_calls);
    }

    ngx_http_tgbot_curl_free(call);

    call->status = 0;
    call->retry_after = 0;
    ngx_str_null(&call->error);

    if (ngx_http_tgbot_curl_prepare(call) != NGX_OK) {
        ngx_http_tgbot_curl_free(call);
        return NGX_ERROR;
    }

    /* an exiting worker waits for the request */

    ngx_http_tgbot_curl_loop_stay(1);

    if (curl_multi_add_handle(ngx_http_tgbot_curl_multi, call->easy)
        != CURLM_OK)
    {
        ngx_http_tgbot_curl_free(call);
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&ngx_http_tgbot_curl_calls, &call->queue);
    call->live = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_curl_prepare(ngx_http_tgbot_curl_t *call)
{
    call->easy = curl_easy_init();

    if (call->easy == NULL) {
        return NGX_ERROR;
    }

    call->text[0] = '\0';

    if (ngx_http_tgbot_curl_options(call) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_curl_payload(call);
}


static ngx_int_t
ngx_http_tgbot_curl_options(ngx_http_tgbot_curl_t *call)
{
    CURL              *e;
    struct curl_blob   ca;

    e = call->easy;

    if (curl_easy_setopt(e, CURLOPT_URL, call->url) != CURLE_OK) {
        return NGX_ERROR;
    }

    curl_easy_setopt(e, CURLOPT_PRIVATE, call);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->text);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, ngx_http_tgbot_curl_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, call);

    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     (long) NGX_HTTP_TGBOT_CURL_CONNECT);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long) call->timeout);

    /* proxy variables in the environment of nginx are ignored */

    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);

#if (NGX_HTTP_TGBOT_CURL_PROTOCOLS_STR)
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#endif

#if (NGX_HTTP_TGBOT_CURL_QUICK_EXIT)

    /* without this an exiting worker waits for libcurl's resolver thread */

    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
#endif

    if (call->ca.len == 0) {
        return NGX_OK;
    }

    ca.data = call->ca.data;
    ca.len = call->ca.len;
    ca.flags = CURL_BLOB_NOCOPY;

    return curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &ca) == CURLE_OK
               ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_tgbot_curl_payload(ngx_http_tgbot_curl_t *call)
{
    CURL               *e;
    struct curl_slist  *list, *next;

    e = call->easy;

    if (call->form) {
        return ngx_http_tgbot_curl_form(call);
    }

    list = curl_slist_append(NULL, "Content-Type: application/json");

    if (list == NULL) {
        return NGX_ERROR;
    }

    call->headers = list;

    /* no "Expect: 100-continue": the body is too short to wait for a reply */

    next = curl_slist_append(list, "Expect:");

    if (next == NULL) {
        return NGX_ERROR;
    }

    curl_easy_setopt(e, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long) call->body.len);
    curl_easy_setopt(e, CURLOPT_POSTFIELDS,
                     call->body.len ? (char *) call->body.data : "");

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_curl_form(ngx_http_tgbot_curl_t *call)
{
    curl_mime                    *mime;
    ngx_uint_t                    i;
    curl_mimepart                *part;
    ngx_http_tgbot_curl_field_t  *field;

    mime = curl_mime_init(call->easy);

    if (mime == NULL) {
        return NGX_ERROR;
    }

    call->mime = mime;

    field = call->form->elts;

    for (i = 0; i < call->form->nelts; i++) {
        part = curl_mime_addpart(mime);

        if (part == NULL
            || curl_mime_name(part, field[i].name) != CURLE_OK
            || curl_mime_data(part, (char *) field[i].value.data,
                              field[i].value.len)
               != CURLE_OK)
        {
            return NGX_ERROR;
        }

        if (field[i].filename
            && curl_mime_filename(part, field[i].filename) != CURLE_OK)
        {
            return NGX_ERROR;
        }
    }

    curl_easy_setopt(call->easy, CURLOPT_MIMEPOST, mime);

    return NGX_OK;
}


void
ngx_http_tgbot_curl_abort(ngx_http_tgbot_curl_t *call)
{
    if (call->live) {
        ngx_http_tgbot_curl_remove(call);
        ngx_http_tgbot_curl_free(call);
    }
}


void
ngx_http_tgbot_curl_free(ngx_http_tgbot_curl_t *call)
{
    if (call->easy) {
        curl_easy_cleanup(call->easy);
        call->easy = NULL;
    }

    if (call->mime) {
        curl_mime_free(call->mime);
        call->mime = NULL;
    }

    if (call->headers) {
        curl_slist_free_all(call->headers);
        call->headers = NULL;
    }

    if (call->answer.data) {
        ngx_free(call->answer.data);
        ngx_str_null(&call->answer);
    }

    call->size = 0;
}


/* libcurl has ended a request */

static void
ngx_http_tgbot_curl_end(CURL *easy, CURLcode code)
{
    char                   *data;
    long                    status;
    u_char                 *text;
    curl_off_t              retry_after;
    ngx_http_tgbot_curl_t  *call;

    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &data) != CURLE_OK) {
        return;
    }

    call = (ngx_http_tgbot_curl_t *) data;

    if (code == CURLE_OK) {
        status = 0;
        retry_after = 0;

        (void) curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        (void) curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);

        call->status = status;
        call->retry_after = ngx_min(retry_after, 86400);

    } else {
        text = (u_char *) call->text;

        if (text[0] == '\0') {
            (void) ngx_cpystrn(text, (u_char *) curl_easy_strerror(code),
                               NGX_HTTP_TGBOT_CURL_ERROR);
        }

        call->error.data = text;
        call->error.len = ngx_strlen(text);
    }

    ngx_http_tgbot_curl_remove(call);

    call->done(call);
}


static void
ngx_http_tgbot_curl_remove(ngx_http_tgbot_curl_t *call)
{
    (void) curl_multi_remove_handle(ngx_http_tgbot_curl_multi, call->easy);

    ngx_queue_remove(&call->queue);
    call->live = 0;

    if (ngx_queue_empty(&ngx_http_tgbot_curl_calls)) {

        /* libcurl's timer is only for kept-alive connections now */

        ngx_http_tgbot_curl_loop_stay(0);
    }
}


static size_t
ngx_http_tgbot_curl_write(char *data, size_t size, size_t n, void *userp)
{
    ngx_http_tgbot_curl_t *call = userp;

    u_char  *p;

    n *= size;

    if (n == 0) {
        return 0;
    }

    if (n > NGX_HTTP_TGBOT_CURL_MAX - call->answer.len) {
        return 0;
    }

    if (n > call->size - call->answer.len) {
        size = ngx_max(2 * call->size, call->answer.len + n);
        size = ngx_max(size, 1024);

        p = ngx_alloc(size, ngx_cycle->log);
        if (p == NULL) {
            return 0;
        }

        if (call->answer.data) {
            ngx_memcpy(p, call->answer.data, call->answer.len);
            ngx_free(call->answer.data);
        }

        call->answer.data = p;
        call->size = size;
    }

    ngx_memcpy(call->answer.data + call->answer.len, data, n);
    call->answer.len += n;

    return n;
}


static void
ngx_http_tgbot_curl_abort_all(void)
{
    ngx_queue_t            *q;
    ngx_http_tgbot_curl_t  *call;

    while (!ngx_queue_empty(&ngx_http_tgbot_curl_calls)) {
        q = ngx_queue_head(&ngx_http_tgbot_curl_calls);
        call = ngx_queue_data(q, ngx_http_tgbot_curl_t, queue);

        ngx_http_tgbot_curl_abort(call);
    }
}


void
ngx_http_tgbot_curl_exit_process(void)
{
    if (ngx_http_tgbot_curl_multi) {
        ngx_http_tgbot_curl_abort_all();
        ngx_http_tgbot_curl_loop_exit();

        ngx_http_tgbot_curl_multi = NULL;
    }
}


/* initialises libcurl in this process; NULL: that failed */

static CURLM *
ngx_http_tgbot_curl_loop_init(void)
{
    CURLM        *multi;
    ngx_event_t  *ev;

    static ngx_connection_t  dummy;

    /* no curl_global_cleanup(): other modules may use libcurl, too */

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


/* sets whether an exiting worker waits for libcurl's timer */

static void
ngx_http_tgbot_curl_loop_stay(ngx_uint_t stay)
{
    ngx_http_tgbot_curl_ev.cancelable = !stay;
}


/* called when no request is left */

static void
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

            /* this request times out; an error would end all requests */

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


/* the socket itself belongs to libcurl and stays open */

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

    /* "closed" and fd -1: events that are reported already are skipped */

    c->read->closed = 1;
    c->write->closed = 1;

    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


/* level-triggered, because libcurl may leave data unread */

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


/* a callback of libcurl: must not call libcurl */

static int
ngx_http_tgbot_curl_timer(CURLM *m, long ms, void *userp)
{
    ngx_event_t  *ev;

    ev = &ngx_http_tgbot_curl_ev;

    /* ngx_add_timer() alone does not move a timer by less than 300 ms */

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
 * Signals are blocked while libcurl runs, because the threads of its resolver
 * inherit the mask: only the thread that waits for events gets signals.
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

    /* handshakes take a while, and who is called next sets timers */

    ngx_time_update();

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
