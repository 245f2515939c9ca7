
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_answer.h"
#include "ngx_http_tgbot_job_record.h"


/* the first byte of a record and of an answer */
#define NGX_HTTP_TGBOT_JOB_RECORD_VERSION  1

#define NGX_HTTP_TGBOT_JOB_RECORD_CACHED  0x01
#define NGX_HTTP_TGBOT_JOB_RECORD_PARSED  0x02


/* the bytes still to be read */

typedef struct {
    u_char    *pos;
    u_char    *last;
} ngx_http_tgbot_job_record_reader_t;


static u_char *ngx_http_tgbot_job_record_put(u_char *p, const void *data,
    size_t len);
static ngx_int_t ngx_http_tgbot_job_record_head(
    ngx_http_tgbot_job_record_reader_t *rd, ngx_str_t *data, u_char *byte);
static ngx_int_t ngx_http_tgbot_job_record_string(
    ngx_http_tgbot_job_record_reader_t *rd, ngx_str_t *s);
static ngx_int_t ngx_http_tgbot_job_record_number(
    ngx_http_tgbot_job_record_reader_t *rd, uint32_t *n);
static ngx_int_t ngx_http_tgbot_job_record_address(
    ngx_http_tgbot_job_record_reader_t *rd, struct sockaddr **sockaddr,
    socklen_t *socklen, ngx_pool_t *pool);


ngx_int_t
ngx_http_tgbot_job_record_write(ngx_http_tgbot_job_record_t *record,
    ngx_str_t *data, ngx_pool_t *pool)
{
    size_t                    len;
    u_char                   *p;
    ngx_http_tgbot_client_t  *client;

    client = &record->client;

    len = 2 + 6 * sizeof(uint32_t)
          + client->socklen + client->local_socklen + client->addr_text.len
          + client->host.len + client->server.len + record->body.len;

    if (record->cached) {
        len += NGX_HTTP_TGBOT_CACHE_KEY;
    }

    if (record->parsed.len) {
        len += sizeof(uint32_t) + record->parsed.len;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    data->data = p;
    data->len = len;

    *p++ = NGX_HTTP_TGBOT_JOB_RECORD_VERSION;
    *p++ = (record->cached ? NGX_HTTP_TGBOT_JOB_RECORD_CACHED : 0)
           | (record->parsed.len ? NGX_HTTP_TGBOT_JOB_RECORD_PARSED : 0);

    if (record->cached) {
        p = ngx_cpymem(p, record->cache_key, NGX_HTTP_TGBOT_CACHE_KEY);
    }

    p = ngx_http_tgbot_job_record_put(p, client->sockaddr, client->socklen);
    p = ngx_http_tgbot_job_record_put(p, client->local_sockaddr,
                                      client->local_socklen);
    p = ngx_http_tgbot_job_record_put(p, client->addr_text.data,
                                      client->addr_text.len);
    p = ngx_http_tgbot_job_record_put(p, client->host.data, client->host.len);
    p = ngx_http_tgbot_job_record_put(p, client->server.data,
                                      client->server.len);
    p = ngx_http_tgbot_job_record_put(p, record->body.data, record->body.len);

    if (record->parsed.len) {
        (void) ngx_http_tgbot_job_record_put(p, record->parsed.data,
                                             record->parsed.len);
    }

    return NGX_OK;
}


static u_char *
ngx_http_tgbot_job_record_put(u_char *p, const void *data, size_t len)
{
    uint32_t  n;

    n = (uint32_t) len;

    p = ngx_cpymem(p, &n, sizeof(uint32_t));

    return len ? ngx_cpymem(p, data, len) : p;
}


ngx_int_t
ngx_http_tgbot_job_record_read(ngx_http_tgbot_job_record_t *record,
    ngx_str_t *data, ngx_pool_t *pool)
{
    u_char                              flags;
    ngx_int_t                           rc;
    ngx_http_tgbot_client_t            *client;
    ngx_http_tgbot_job_record_reader_t  rd;

    ngx_memzero(record, sizeof(ngx_http_tgbot_job_record_t));

    client = &record->client;

    if (ngx_http_tgbot_job_record_head(&rd, data, &flags) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (flags & NGX_HTTP_TGBOT_JOB_RECORD_CACHED) {

        if (rd.last - rd.pos < NGX_HTTP_TGBOT_CACHE_KEY) {
            return NGX_DECLINED;
        }

        ngx_memcpy(record->cache_key, rd.pos, NGX_HTTP_TGBOT_CACHE_KEY);

        rd.pos += NGX_HTTP_TGBOT_CACHE_KEY;
        record->cached = 1;
    }

    rc = ngx_http_tgbot_job_record_address(&rd, &client->sockaddr,
                                           &client->socklen, pool);
    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_job_record_address(&rd, &client->local_sockaddr,
                                               &client->local_socklen, pool);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_tgbot_job_record_string(&rd, &client->addr_text) != NGX_OK
        || ngx_http_tgbot_job_record_string(&rd, &client->host) != NGX_OK
        || ngx_http_tgbot_job_record_string(&rd, &client->server) != NGX_OK
        || ngx_http_tgbot_job_record_string(&rd, &record->body) != NGX_OK
        || ((flags & NGX_HTTP_TGBOT_JOB_RECORD_PARSED)
            && ngx_http_tgbot_job_record_string(&rd, &record->parsed) != NGX_OK)
        || rd.pos != rd.last)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_job_record_head(ngx_http_tgbot_job_record_reader_t *rd,
    ngx_str_t *data, u_char *byte)
{
    if (data->len < 2 || data->data[0] != NGX_HTTP_TGBOT_JOB_RECORD_VERSION) {
        return NGX_DECLINED;
    }

    *byte = data->data[1];

    rd->pos = data->data + 2;
    rd->last = data->data + data->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_job_record_string(ngx_http_tgbot_job_record_reader_t *rd,
    ngx_str_t *s)
{
    uint32_t  n;

    if (ngx_http_tgbot_job_record_number(rd, &n) != NGX_OK
        || (size_t) (rd->last - rd->pos) < n)
    {
        return NGX_DECLINED;
    }

    s->data = rd->pos;
    s->len = n;

    rd->pos += n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_job_record_number(ngx_http_tgbot_job_record_reader_t *rd,
    uint32_t *n)
{
    if ((size_t) (rd->last - rd->pos) < sizeof(uint32_t)) {
        return NGX_DECLINED;
    }

    ngx_memcpy(n, rd->pos, sizeof(uint32_t));

    rd->pos += sizeof(uint32_t);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_job_record_address(ngx_http_tgbot_job_record_reader_t *rd,
    struct sockaddr **sockaddr, socklen_t *socklen, ngx_pool_t *pool)
{
    ngx_str_t  s;

    if (ngx_http_tgbot_job_record_string(rd, &s) != NGX_OK
        || s.len < offsetof(struct sockaddr, sa_data)
        || s.len > sizeof(ngx_sockaddr_t))
    {
        return NGX_DECLINED;
    }

    /* a full ngx_sockaddr_t, because some readers ignore socklen */

    *sockaddr = ngx_pcalloc(pool, sizeof(ngx_sockaddr_t));
    if (*sockaddr == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(*sockaddr, s.data, s.len);
    *socklen = (socklen_t) s.len;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_job_record_write_calls(ngx_array_t *calls, ngx_str_t *data,
    ngx_pool_t *pool)
{
    size_t                    len;
    u_char                   *p;
    uint32_t                  place[2];
    ngx_uint_t                i;
    ngx_http_tgbot_method_t  *method;

    method = calls->elts;
    len = 2;

    for (i = 0; i < calls->nelts; i++) {
        len += 5 * sizeof(uint32_t) + method[i].name.len
               + method[i].content_type.len + method[i].body.len;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    data->data = p;
    data->len = len;

    *p++ = NGX_HTTP_TGBOT_JOB_RECORD_VERSION;
    *p++ = (u_char) calls->nelts;

    for (i = 0; i < calls->nelts; i++) {
        p = ngx_http_tgbot_job_record_put(p, method[i].name.data,
                                          method[i].name.len);
        p = ngx_http_tgbot_job_record_put(p, method[i].content_type.data,
                                          method[i].content_type.len);
        p = ngx_http_tgbot_job_record_put(p, method[i].body.data,
                                          method[i].body.len);

        place[0] = (uint32_t) method[i].chat_pos;
        place[1] = (uint32_t) method[i].chat_len;

        p = ngx_cpymem(p, place, sizeof(place));
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_job_record_read_calls(ngx_array_t *calls, ngx_str_t *data,
    ngx_pool_t *pool)
{
    u_char                              n;
    uint32_t                            pos, len;
    ngx_uint_t                          i;
    ngx_http_tgbot_method_t            *method;
    ngx_http_tgbot_job_record_reader_t  rd;

    if (ngx_http_tgbot_job_record_head(&rd, data, &n) != NGX_OK
        || n > NGX_HTTP_TGBOT_ANSWER_MAX_CALLS)
    {
        return NGX_DECLINED;
    }

    if (ngx_array_init(calls, pool, n, sizeof(ngx_http_tgbot_method_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        method = ngx_array_push(calls);
        if (method == NULL) {
            return NGX_ERROR;
        }

        if (ngx_http_tgbot_job_record_string(&rd, &method->name) != NGX_OK
            || ngx_http_tgbot_job_record_string(&rd, &method->content_type)
               != NGX_OK
            || ngx_http_tgbot_job_record_string(&rd, &method->body) != NGX_OK
            || ngx_http_tgbot_job_record_number(&rd, &pos) != NGX_OK
            || ngx_http_tgbot_job_record_number(&rd, &len) != NGX_OK
            || !ngx_http_tgbot_method_valid(&method->name)
            || pos > method->body.len || len > method->body.len - pos)
        {
            return NGX_DECLINED;
        }

        method->chat_pos = pos;
        method->chat_len = len;
    }

    return (rd.pos == rd.last) ? NGX_OK : NGX_DECLINED;
}
