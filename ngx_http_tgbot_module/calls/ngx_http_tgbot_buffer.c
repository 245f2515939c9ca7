
/*
 * The size of an answer is known when it is there, and a buffer cannot grow.
 * So a large buffer is a mapping, most of which is never touched.  In the heap
 * it would lie between small allocations, and these would keep its pages.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_buffer.h"


/* a buffer up to this size is taken from the pool */
#define NGX_HTTP_TGBOT_BUFFER_SMALL  (64 * 1024)

/* mappings kept for reuse, of which no more than SMALL bytes were touched */
#define NGX_HTTP_TGBOT_BUFFER_SPARE  16


/* at the start of a mapping that is kept */

typedef struct ngx_http_tgbot_buffer_spare_s  ngx_http_tgbot_buffer_spare_t;

struct ngx_http_tgbot_buffer_spare_s {
    ngx_http_tgbot_buffer_spare_t  *next;
    size_t                          size;
};


static u_char *ngx_http_tgbot_buffer_map(size_t size, ngx_log_t *log);
static void ngx_http_tgbot_buffer_free(void *data);


static ngx_http_tgbot_buffer_spare_t  *ngx_http_tgbot_buffer_spares;
static ngx_uint_t                      ngx_http_tgbot_buffer_nspares;


ngx_buf_t *
ngx_http_tgbot_buffer_create(ngx_pool_t *pool, size_t size)
{
    ngx_buf_t           *b;
    ngx_pool_cleanup_t  *cln;

    if (size <= NGX_HTTP_TGBOT_BUFFER_SMALL) {
        return ngx_create_temp_buf(pool, size);
    }

    b = ngx_calloc_buf(pool);
    if (b == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    b->start = ngx_http_tgbot_buffer_map(size, pool->log);
    if (b->start == NULL) {
        return NULL;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->start + size;
    b->temporary = 1;

    cln->handler = ngx_http_tgbot_buffer_free;
    cln->data = b;

    return b;
}


static u_char *
ngx_http_tgbot_buffer_map(size_t size, ngx_log_t *log)
{
    void                            *p;
    ngx_http_tgbot_buffer_spare_t  **link, *spare;

    for (link = &ngx_http_tgbot_buffer_spares; *link; link = &(*link)->next) {
        spare = *link;

        if (spare->size == size) {
            *link = spare->next;
            ngx_http_tgbot_buffer_nspares--;

            return (u_char *) spare;
        }
    }

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_PRIVATE, -1, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "mmap(MAP_ANON|MAP_PRIVATE, %uz) failed", size);
        return NULL;
    }

    return p;
}


static void
ngx_http_tgbot_buffer_free(void *data)
{
    ngx_buf_t *b = data;

    size_t                          size;
    ngx_http_tgbot_buffer_spare_t  *spare;

    size = b->end - b->start;

    if (b->last - b->start <= NGX_HTTP_TGBOT_BUFFER_SMALL
        && ngx_http_tgbot_buffer_nspares < NGX_HTTP_TGBOT_BUFFER_SPARE)
    {
        spare = (ngx_http_tgbot_buffer_spare_t *) b->start;

        spare->size = size;
        spare->next = ngx_http_tgbot_buffer_spares;

        ngx_http_tgbot_buffer_spares = spare;
        ngx_http_tgbot_buffer_nspares++;

        return;
    }

    if (munmap(b->start, size) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "munmap(%p, %uz) failed", b->start, size);
    }
}
