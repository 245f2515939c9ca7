
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <stdio.h>

#include "ngx_http_tgbot_body.h"
#include "unit.h"


/* what nginx allows the read buffer to be larger, and more */
#define SLACK  4096


static const char  text[] = "{\"update_id\":1,\"message\":{\"text\":\"abc\"}}";

static ngx_http_request_t       request;
static ngx_http_request_body_t  request_body;
static ngx_connection_t         connection;
static ngx_file_t               file;

static u_char                   on_disk[64];
static size_t                   disk_len;


/* as nginx's own */

ngx_buf_t *
ngx_create_temp_buf(ngx_pool_t *pool, size_t size)
{
    ngx_buf_t  *b;

    b = ngx_pcalloc(pool, sizeof(ngx_buf_t));
    if (b == NULL) {
        return NULL;
    }

    b->start = ngx_palloc(pool, size);
    if (b->start == NULL) {
        return NULL;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->last + size;
    b->temporary = 1;

    return b;
}


ngx_chain_t *
ngx_alloc_chain_link(ngx_pool_t *pool)
{
    return ngx_palloc(pool, sizeof(ngx_chain_t));
}


/* reads what the file "on disk" has; -1: an error */

ssize_t
ngx_read_file(ngx_file_t *f, u_char *buf, size_t size, off_t offset)
{
    size_t  n;

    if (disk_len == 0) {
        return NGX_ERROR;
    }

    n = ngx_min(size, disk_len - (size_t) offset);
    ngx_memcpy(buf, on_disk + offset, n);

    return n;
}


/* a request with an empty body */

static void
setup(void)
{
    ngx_memzero(&request, sizeof(ngx_http_request_t));
    ngx_memzero(&request_body, sizeof(ngx_http_request_body_t));

    connection.log = ngx_cycle->log;

    request.pool = unit_pool();
    request.connection = &connection;
    request.request_body = &request_body;
}


static ngx_buf_t *
add(size_t from, size_t to)
{
    ngx_str_t      s;
    ngx_buf_t     *b;
    ngx_chain_t   *cl, **ll;

    b = ngx_pcalloc(request.pool, sizeof(ngx_buf_t));

    if (from < to) {
        s = unit_bytes(request.pool, text + from, to - from);

        b->temporary = 1;
        b->start = s.data;
        b->pos = s.data;
        b->last = s.data + s.len;
        b->end = b->last;
    }

    cl = ngx_palloc(request.pool, sizeof(ngx_chain_t));
    cl->buf = b;
    cl->next = NULL;

    for (ll = &request_body.bufs; *ll; ll = &(*ll)->next) { /* void */ }

    *ll = cl;

    return b;
}


static ngx_buf_t *
add_file(size_t from, size_t to)
{
    ngx_buf_t  *b;

    b = add(0, 0);

    b->in_file = 1;
    b->file = &file;
    b->file_pos = from;
    b->file_last = to;

    ngx_memcpy(on_disk, text, sizeof(text));
    disk_len = sizeof(text) - 1;

    return b;
}


static void
check(ngx_uint_t own)
{
    ngx_str_t  body;

    is_int(ngx_http_tgbot_body(&request, own, &body), NGX_OK);
    is_str(&body, text);

    if (own) {

        /* others who read the body later see the same bytes */

        is_int(ngx_buf_size(request_body.bufs->buf), body.len);
        ok(request_body.bufs->buf->pos == body.data);
        ok(request_body.bufs->next == NULL);
    }
}


static void
test_none(void)
{
    ngx_str_t  body;

    setup();

    is_int(ngx_http_tgbot_body(&request, 1, &body), NGX_OK);
    is_int(body.len, 0);
    is_int(ngx_http_tgbot_body_held(&request, &body), 0);

    unit_context("a buffer without memory");

    add(0, 0)->last_buf = 1;

    is_int(ngx_http_tgbot_body(&request, 1, &body), NGX_OK);
    is_int(body.len, 0);

    unit_context("no body");

    request.request_body = NULL;

    is_int(ngx_http_tgbot_body(&request, 1, &body), NGX_OK);
    is_int(body.len, 0);
    is_int(ngx_http_tgbot_body_held(&request, &body), 0);
}


static void
test_one(void)
{
    ngx_buf_t   *b;
    ngx_str_t    body;
    ngx_uint_t   own;

    for (own = 0; own < 2; own++) {
        unit_context("own %d", (int) own);

        setup();
        b = add(0, sizeof(text) - 1);
        request_body.buf = b;

        check(own);

        is_int(ngx_http_tgbot_body(&request, own, &body), NGX_OK);
        ok(body.data == b->pos);
        ok(request_body.buf == b);
        is_int(ngx_http_tgbot_body_held(&request, &body), body.len);
    }
}


/* a chunked body is read into a buffer of client_body_buffer_size bytes */

static void
test_large_buffer(void)
{
    size_t       i;
    u_char      *p;
    ngx_buf_t   *b;
    ngx_str_t    body;
    ngx_uint_t   copied;

    static const struct {
        size_t      unused;
        ngx_uint_t  own;
        ngx_uint_t  copied;
    } rows[] = {
        { SLACK, 1, 0 },
        { SLACK + 1, 1, 1 },
        { SLACK + 1, 0, 0 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("row %d", (int) i);

        setup();
        b = add(0, sizeof(text) - 1);

        p = ngx_palloc(request.pool, sizeof(text) - 1 + rows[i].unused);
        ngx_memcpy(p, text, sizeof(text) - 1);

        b->start = p;
        b->pos = p;
        b->last = p + sizeof(text) - 1;
        b->end = b->last + rows[i].unused;

        request_body.buf = b;

        is_int(ngx_http_tgbot_body(&request, rows[i].own, &body), NGX_OK);
        is_str(&body, text);

        copied = (body.data != p);

        is_int(copied, rows[i].copied);
        is_int(request_body.buf == NULL, copied);
        is_int(ngx_http_tgbot_body_held(&request, &body),
               body.len + (copied ? 0 : rows[i].unused));
    }
}


static void
test_two(void)
{
    size_t       at;
    ngx_str_t    body;
    ngx_uint_t   own;

    for (at = 1; at < sizeof(text) - 1; at++) {

        for (own = 0; own < 2; own++) {
            unit_context("cut at %d, own %d", (int) at, (int) own);

            setup();
            add(0, at);
            request_body.buf = add(at, sizeof(text) - 1);

            check(own);

            setup();
            add(0, 0)->sync = 1;
            add(0, at);
            add(0, 0)->flush = 1;
            add(at, sizeof(text) - 1);
            add(0, 0)->last_buf = 1;

            check(own);

            setup();
            add(0, at);
            add_file(at, sizeof(text) - 1);

            check(own);
        }
    }

    /* another module may have the buffers, so both count */

    setup();
    add(0, 1);
    request_body.buf = add(1, sizeof(text) - 1);

    is_int(ngx_http_tgbot_body(&request, 0, &body), NGX_OK);
    is_int(ngx_http_tgbot_body_held(&request, &body), 2 * body.len - 1);
}


static void
test_pieces(void)
{
    size_t  i, size;

    for (size = 1; size < 9; size++) {
        unit_context("pieces of %d", (int) size);

        setup();

        for (i = 0; i < sizeof(text) - 1; i += size) {
            add(i, ngx_min(i + size, sizeof(text) - 1));
        }

        check(1);
    }
}


static void
test_file(void)
{
    ngx_str_t  body;

    setup();
    add_file(0, sizeof(text) - 1);

    check(1);

    unit_context("the file is shorter");

    setup();
    add_file(0, sizeof(text) - 1);
    disk_len--;

    is_int(ngx_http_tgbot_body(&request, 1, &body), NGX_ERROR);

    unit_context("the file cannot be read");

    disk_len = 0;

    is_int(ngx_http_tgbot_body(&request, 1, &body), NGX_ERROR);
}


static void
test_no_memory(void)
{
    ngx_int_t   rc;
    ngx_str_t   body;
    ngx_uint_t  n;

    for (n = 1; n < 10; n++) {
        unit_context("allocation %d", (int) n);

        setup();
        add(0, 5);
        add(5, sizeof(text) - 1);

        unit_fail_at = n;

        rc = ngx_http_tgbot_body(&request, 1, &body);

        if (unit_fail_at) {
            unit_fail_at = 0;
            is_int(rc, NGX_OK);
            break;
        }

        is_int(rc, NGX_ERROR);
    }

    is_int(n, 4);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "no body, an empty body", test_none },
        { "in one buffer: not copied", test_one },
        { "in a large read buffer: copied", test_large_buffer },
        { "in two buffers, cut at every byte", test_two },
        { "in many buffers", test_pieces },
        { "in a file", test_file },
        { "no memory", test_no_memory },
    };

    return unit_main(cases, unit_n(cases));
}
