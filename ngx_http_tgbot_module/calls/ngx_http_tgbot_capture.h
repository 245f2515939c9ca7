
/*
 * What a call was answered: its subrequest has ended, and the result is read
 * off the subrequest and its upstream.
 */

#ifndef _NGX_HTTP_TGBOT_CAPTURE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CAPTURE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* whether an answer with this status is passed on; others are captured */
#define ngx_http_tgbot_capture_passes(status)                                 \
    ((status) >= NGX_HTTP_OK && (status) < NGX_HTTP_SPECIAL_RESPONSE)


/*
 * The outcome of the subrequest.
 */

typedef enum {
    /* a complete answer with "status" and captured body */
    NGX_HTTP_TGBOT_ANSWERED = 0,

    /* never sent: refused, unresolved, no live upstream, error in nginx */
    NGX_HTTP_TGBOT_NOT_SENT,

    /* sent, then reset, cut short, garbled, or too large to be captured */
    NGX_HTTP_TGBOT_BROKEN,

    /* sent, then no answer in time */
    NGX_HTTP_TGBOT_TIMED_OUT
} ngx_http_tgbot_outcome_e;


/* the result of a call; its strings live until done() returns */

typedef struct {
    ngx_uint_t     outcome;           /* ngx_http_tgbot_outcome_e */
    ngx_uint_t     status;            /* HTTP status, 0: there is none */
    ngx_str_t      body;
    ngx_str_t      type;              /* Content-Type */
    ngx_str_t      encoding;          /* Content-Encoding, "": none, or nginx
                                         has decoded the body */
    ngx_str_t      retry_after;       /* Retry-After, "": none */
    ngx_str_t      location;          /* Location of a 3xx, "": none */
    ngx_int_t      max_age;           /* Cache-Control, seconds, -1: none */
    const char    *reason;            /* of a failure, for logs */

    unsigned       no_store:1;        /* Cache-Control forbids a cache */
    unsigned       by_nginx:1;        /* answered without an upstream */
    unsigned       too_large:1;       /* status and retry_after are set */
    unsigned       resent:1;          /* nginx sent it to several peers */
    unsigned       expired:1;         /* after tgbot_call_timeout */
    unsigned       external:1;        /* the location is not internal */
    unsigned       passed:1;          /* on to call->to, the header at least:
                                         nothing is captured */
    unsigned       ended:1;           /* and with its end */
} ngx_http_tgbot_capture_t;


/*
 * Sets the result of a subrequest that has ended.  rc is the first one that it
 * ended with.  "failed": an output filter failed, as the postpone filter does
 * when the buffer is full.
 */
void ngx_http_tgbot_capture_result(ngx_http_tgbot_capture_t *result,
    ngx_http_request_t *sr, ngx_int_t rc, ngx_uint_t failed);

/*
 * Returns the number of peers that got the request; it may be more than one
 * with proxy_next_upstream non_idempotent.
 */
ngx_uint_t ngx_http_tgbot_capture_peers(ngx_http_request_t *sr);


#endif /* _NGX_HTTP_TGBOT_CAPTURE_H_INCLUDED_ */
