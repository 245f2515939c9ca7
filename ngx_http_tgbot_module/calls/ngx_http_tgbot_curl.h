
/*
 * HTTP requests to other hosts, by libcurl on the event loop of nginx.
 */

#ifndef _NGX_HTTP_TGBOT_CURL_H_INCLUDED_
#define _NGX_HTTP_TGBOT_CURL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <curl/curl.h>


#define NGX_HTTP_TGBOT_CURL_ERROR  256


typedef struct ngx_http_tgbot_curl_s  ngx_http_tgbot_curl_t;


/* a field of a form */

typedef struct {
    const char       *name;
    ngx_str_t         value;
    const char       *filename;      /* NULL: not a file */
} ngx_http_tgbot_curl_field_t;


struct ngx_http_tgbot_curl_s {

    /*
     * the request, a POST; set by the caller, who owns all of it and must not
     * free or change it before the request ends
     */

    u_char           *url;           /* NUL-terminated */
    ngx_str_t         body;          /* JSON, "": none */
    ngx_array_t      *form;          /* fields, instead of body, or NULL */
    ngx_str_t         ca;            /* PEM; "": libcurl's default */
    ngx_msec_t        timeout;       /* of the whole request, ms */

    /*
     * called once at the end from an event, unless the request is aborted;
     * may start the same structure again
     */
    void            (*done)(ngx_http_tgbot_curl_t *call);
    void             *data;

    /* the answer; lives until the next start or free */

    ngx_uint_t        status;        /* 0: there is no complete answer */
    ngx_str_t         answer;        /* body */
    ngx_uint_t        retry_after;   /* Retry-After, seconds, 0: none */

    /*
     * the error message of libcurl, "": no error.  It may contain parts of
     * the URL and of what the server sent.  The caller may change the bytes.
     */
    ngx_str_t         error;

    /* private to ngx_http_tgbot_curl.c */

    void             *easy;
    void             *headers;
    void             *mime;
    size_t            size;          /* allocated for answer, bytes */
    ngx_queue_t       queue;
    char              text[NGX_HTTP_TGBOT_CURL_ERROR];

    unsigned          live:1;
};


/*
 * Starts a request; the first request of a process initialises libcurl.  The
 * caller zeroes the structure before its first use.  Must not be called while
 * the configuration is read, nor in the master, which forks.
 * NGX_ERROR: the request did not start, done() will not be called.
 */
ngx_int_t ngx_http_tgbot_curl_start(ngx_http_tgbot_curl_t *call);

/* ends a request without a call of done() and frees it; idempotent */
void ngx_http_tgbot_curl_abort(ngx_http_tgbot_curl_t *call);

/* frees the answer and libcurl's data after the end; idempotent */
void ngx_http_tgbot_curl_free(ngx_http_tgbot_curl_t *call);

/* worker exit: aborts all requests and frees libcurl's data */
void ngx_http_tgbot_curl_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_CURL_H_INCLUDED_ */
