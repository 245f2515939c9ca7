
/*
 * HTTP requests to other hosts by libcurl, on nginx's event loop.
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
     * the request, a POST: set by the caller, who owns all of it and keeps it
     * until the end of the request
     */

    u_char           *url;           /* NUL-terminated */
    ngx_str_t         body;          /* JSON, "": none */
    ngx_array_t      *form;          /* of fields, instead; NULL: none */
    ngx_str_t         ca;            /* PEM; "": as libcurl finds it */
    ngx_msec_t        timeout;

    /* called once at the end, unless it is aborted; may start it again */
    void            (*done)(ngx_http_tgbot_curl_t *call);
    void             *data;

    /* the answer, until the next start or free */

    ngx_uint_t        status;        /* 0: none, or not a complete one */
    ngx_str_t         answer;        /* body */
    ngx_uint_t        retry_after;   /* seconds of that header, 0: none */

    /*
     * "": none.  As libcurl words it: it may show parts of the URL, and what
     * others have sent.  The caller may change it.
     */
    ngx_str_t         error;

    /* inside ngx_http_tgbot_curl.c */

    void             *easy;
    void             *headers;
    void             *mime;
    size_t            size;          /* allocated for answer */
    ngx_queue_t       queue;
    char              text[NGX_HTTP_TGBOT_CURL_ERROR];

    unsigned          live:1;
};


/*
 * Starts a request; libcurl is initialised by a process' first one.  call is
 * zeroed before its first use.  NGX_ERROR: done() will not be called.  Not to
 * be called from configuration, nor in the master, which forks.
 */
ngx_int_t ngx_http_tgbot_curl_start(ngx_http_tgbot_curl_t *call);

/* ends it without a call of done(); idempotent */
void ngx_http_tgbot_curl_abort(ngx_http_tgbot_curl_t *call);

/* frees the answer and what libcurl keeps of it; idempotent */
void ngx_http_tgbot_curl_free(ngx_http_tgbot_curl_t *call);

/* worker exit: aborts all there are */
void ngx_http_tgbot_curl_exit_process(void);


#endif /* _NGX_HTTP_TGBOT_CURL_H_INCLUDED_ */
