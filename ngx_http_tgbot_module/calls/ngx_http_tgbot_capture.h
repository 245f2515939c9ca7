
/*
 * What came of an in-memory subrequest.
 */

#ifndef _NGX_HTTP_TGBOT_CAPTURE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CAPTURE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef enum {
    /* a complete answer with "status"; its body is captured */
    NGX_HTTP_TGBOT_ANSWERED = 0,

    /* refused, unresolved, no live upstream, nginx's own error: never sent */
    NGX_HTTP_TGBOT_NOT_SENT,

    /* sent, then reset, cut short, garbled, or too large to be captured */
    NGX_HTTP_TGBOT_BROKEN,

    /* sent, then no answer in time */
    NGX_HTTP_TGBOT_TIMED_OUT
} ngx_http_tgbot_outcome_e;


/* strings live as long as the subrequest */

typedef struct {
    ngx_uint_t     outcome;           /* ngx_http_tgbot_outcome_e */
    ngx_uint_t     status;            /* HTTP status, 0: there is none */
    ngx_str_t      body;
    ngx_str_t      type;              /* Content-Type */
    ngx_str_t      retry_after;       /* header, may be "" */
    ngx_int_t      max_age;           /* of Cache-Control, seconds, -1: none */
    const char    *reason;            /* of a failure, for logs */

    unsigned       no_store:1;        /* likewise: for nobody but the asker */
    unsigned       by_nginx:1;        /* answered without an upstream */
    unsigned       too_large:1;       /* status and retry_after are known */
    unsigned       resent:1;          /* by nginx, to more than one peer */
    unsigned       expired:1;         /* by tgbot_call_timeout */
    unsigned       external:1;        /* the location is not internal */
} ngx_http_tgbot_capture_t;


/*
 * Gives a subrequest that was just created, and has not run yet, a buffer of
 * its own for a body of up to "size" bytes.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_capture_buffer(ngx_http_request_t *sr, size_t size);

/*
 * Judges a subrequest that is over.  rc is the first one it ended with;
 * "failed": a filter failed on the way, as it does when the buffer is full.
 */
void ngx_http_tgbot_capture_result(ngx_http_tgbot_capture_t *result,
    ngx_http_request_t *sr, ngx_int_t rc, ngx_uint_t failed);


#endif /* _NGX_HTTP_TGBOT_CAPTURE_H_INCLUDED_ */
