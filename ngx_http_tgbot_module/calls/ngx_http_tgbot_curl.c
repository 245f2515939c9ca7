
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_curl.h"
#include "ngx_http_tgbot_curl_loop.h"


#define NGX_HTTP_TGBOT_CURL_CONNECT  5000


static ngx_int_t ngx_http_tgbot_curl_prepare(ngx_http_tgbot_curl_t *call);
static ngx_int_t ngx_http_tgbot_curl_options(ngx_http_tgbot_curl_t *call);
static ngx_int_t ngx_http_tgbot_curl_payload(ngx_http_tgbot_curl_t *call);
static ngx_int_t ngx_http_tgbot_curl_form(ngx_http_tgbot_curl_t *call);
static void ngx_http_tgbot_curl_remove(ngx_http_tgbot_curl_t *call);
static size_t ngx_http_tgbot_curl_write(char *data, size_t size, size_t n,
    void *userp);


static CURLM        *ngx_http_tgbot_curl_multi;
static ngx_queue_t   ngx_http_tgbot_curl_calls;


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

    /* an exiting process stays for it */

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

    /* what nginx's environment says of proxies is not meant for it */

    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);

#if (NGX_HTTP_TGBOT_CURL_PROTOCOLS_STR)
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#endif

#if (NGX_HTTP_TGBOT_CURL_QUICK_EXIT)

    /* or else the end of a process waits for its resolver */

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

    /* nobody says "100 Continue" to a body as short as ours */

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


void
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

        /* what is left to do is about connections that are kept */

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


void
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
