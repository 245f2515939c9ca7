
/*
 * yajl does not check the results of its allocator, but workers must survive
 * a lack of memory: so the allocator here leaves the parser by longjmp().
 * Every block is linked to the parser's state and freed with it, however the
 * parser was left.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <yajl/yajl_parse.h>

#include "ngx_http_tgbot_json.h"


#define NGX_HTTP_TGBOT_JSON_ARENA      4096

/* in marked text, which has no other control characters */
#define NGX_HTTP_TGBOT_JSON_QUOTE      0x01
#define NGX_HTTP_TGBOT_JSON_BACKSLASH  0x02


typedef struct {
    ngx_queue_t               queue;
    size_t                    size;
} ngx_http_tgbot_json_block_t;


struct ngx_http_tgbot_json_s {
    ngx_http_tgbot_json_pt    handler;
    void                     *data;
    yajl_handle               yajl;
    yajl_callbacks            callbacks;  /* the current table */

    size_t                    base;     /* bytes given to yajl before */
    size_t                    whole;    /* of them to the document's end */
    ngx_uint_t                deep;     /* whether it was too deep */

    /* of the value that is skipped */
    ngx_uint_t                level;    /* depth of its start */
    ngx_uint_t                end;      /* its end is delivered */

    ngx_int_t                 rc;       /* why a callback stopped the parser */

    ngx_http_tgbot_json_token_t  token; /* for handler; its depth is that of
                                           the next token */

    jmp_buf                   nomem;
    ngx_queue_t               blocks;
    u_char                   *pos;      /* free part of the arena */
    u_char                    arena[NGX_HTTP_TGBOT_JSON_ARENA];
};


static void ngx_http_tgbot_json_init(ngx_http_tgbot_json_t *json,
    ngx_http_tgbot_json_pt handler, void *data);
static void ngx_http_tgbot_json_done(ngx_http_tgbot_json_t *json);
static ngx_int_t ngx_http_tgbot_json_run(ngx_http_tgbot_json_t *json,
    ngx_str_t *in);
static ngx_int_t ngx_http_tgbot_json_feed(ngx_http_tgbot_json_t *json,
    ngx_str_t *in);
static ngx_int_t ngx_http_tgbot_json_end_of(ngx_http_tgbot_json_t *json);
static ngx_int_t ngx_http_tgbot_json_status(ngx_http_tgbot_json_t *json,
    yajl_status status);
static int ngx_http_tgbot_json_token(ngx_http_tgbot_json_t *json,
    ngx_uint_t type, const u_char *data, size_t len);
static int ngx_http_tgbot_json_start(ngx_http_tgbot_json_t *json,
    ngx_uint_t type);
static int ngx_http_tgbot_json_end(ngx_http_tgbot_json_t *json,
    ngx_uint_t type);
static int ngx_http_tgbot_json_null(void *ctx);
static int ngx_http_tgbot_json_boolean(void *ctx, int value);
static int ngx_http_tgbot_json_number(void *ctx, const char *data, size_t len);
static int ngx_http_tgbot_json_string(void *ctx, const u_char *data,
    size_t len);
static int ngx_http_tgbot_json_key(void *ctx, const u_char *data, size_t len);
static int ngx_http_tgbot_json_map_start(void *ctx);
static int ngx_http_tgbot_json_map_end(void *ctx);
static int ngx_http_tgbot_json_array_start(void *ctx);
static int ngx_http_tgbot_json_array_end(void *ctx);
static int ngx_http_tgbot_json_skip_start(void *ctx);
static int ngx_http_tgbot_json_skip_map_end(void *ctx);
static int ngx_http_tgbot_json_skip_array_end(void *ctx);
static int ngx_http_tgbot_json_skip_end(ngx_http_tgbot_json_t *json,
    ngx_uint_t type);
static void *ngx_http_tgbot_json_alloc(void *ctx, size_t size);
static void *ngx_http_tgbot_json_realloc(void *ctx, void *ptr, size_t size);
static void ngx_http_tgbot_json_free(void *ctx, void *ptr);
static u_char *ngx_http_tgbot_json_unclean(u_char *p, u_char *last);
static size_t ngx_http_tgbot_json_utf8(u_char *p, u_char *last);


/*
 * yajl looks at its callbacks at each token and decodes only strings that
 * have a callback: so the table is changed while a value is skipped.
 */

static const yajl_callbacks  ngx_http_tgbot_json_all = {
    ngx_http_tgbot_json_null,
    ngx_http_tgbot_json_boolean,
    NULL,                                /* numbers are delivered as text */
    NULL,
    ngx_http_tgbot_json_number,
    ngx_http_tgbot_json_string,
    ngx_http_tgbot_json_map_start,
    ngx_http_tgbot_json_key,
    ngx_http_tgbot_json_map_end,
    ngx_http_tgbot_json_array_start,
    ngx_http_tgbot_json_array_end
};


/* after a key whose value is skipped */

static const yajl_callbacks  ngx_http_tgbot_json_skip_value = {
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    ngx_http_tgbot_json_skip_start,
    ngx_http_tgbot_json_key,
    ngx_http_tgbot_json_map_end,
    ngx_http_tgbot_json_skip_start,
    NULL
};


/* inside a skipped container, where only the depth is counted */

static const yajl_callbacks  ngx_http_tgbot_json_skip_inside = {
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    ngx_http_tgbot_json_skip_start,
    NULL,
    ngx_http_tgbot_json_skip_map_end,
    ngx_http_tgbot_json_skip_start,
    ngx_http_tgbot_json_skip_array_end
};


ngx_int_t
ngx_http_tgbot_json_parse(ngx_str_t *in, ngx_http_tgbot_json_pt handler,
    void *data)
{
    ngx_int_t              rc;
    ngx_http_tgbot_json_t  json;

    ngx_http_tgbot_json_init(&json, handler, data);

    rc = ngx_http_tgbot_json_run(&json, in);

    ngx_http_tgbot_json_done(&json);

    return rc;
}


ngx_http_tgbot_json_t *
ngx_http_tgbot_json_open(ngx_http_tgbot_json_pt handler, void *data)
{
    ngx_http_tgbot_json_t  *json;

    json = ngx_alloc(sizeof(ngx_http_tgbot_json_t), ngx_cycle->log);

    if (json) {
        ngx_http_tgbot_json_init(json, handler, data);
    }

    return json;
}


ngx_int_t
ngx_http_tgbot_json_more(ngx_http_tgbot_json_t *json, ngx_str_t *in)
{
    if (setjmp(json->nomem) != 0) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_json_feed(json, in);
}


ngx_int_t
ngx_http_tgbot_json_complete(ngx_http_tgbot_json_t *json)
{
    if (setjmp(json->nomem) != 0) {
        return NGX_ERROR;
    }

    return json->yajl ? ngx_http_tgbot_json_end_of(json) : NGX_DECLINED;
}


void
ngx_http_tgbot_json_close(ngx_http_tgbot_json_t *json)
{
    ngx_http_tgbot_json_done(json);
    ngx_free(json);
}


static void
ngx_http_tgbot_json_init(ngx_http_tgbot_json_t *json,
    ngx_http_tgbot_json_pt handler, void *data)
{
    json->handler = handler;
    json->data = data;
    json->yajl = NULL;
    json->callbacks = ngx_http_tgbot_json_all;
    json->base = 0;
    json->whole = 0;
    json->deep = 0;
    json->rc = NGX_OK;
    json->token.json = json;
    json->token.type = NGX_HTTP_TGBOT_JSON_KEY;
    json->token.depth = 0;
    json->pos = ngx_align_ptr(json->arena, NGX_ALIGNMENT);

    ngx_queue_init(&json->blocks);
}


static void
ngx_http_tgbot_json_done(ngx_http_tgbot_json_t *json)
{
    ngx_queue_t                  *q;
    ngx_http_tgbot_json_block_t  *block;

    while (!ngx_queue_empty(&json->blocks)) {
        q = ngx_queue_head(&json->blocks);
        ngx_queue_remove(q);

        block = ngx_queue_data(q, ngx_http_tgbot_json_block_t, queue);
        ngx_free(block);
    }
}


/* keeps setjmp() in a frame whose locals do not change after it */

static ngx_int_t
ngx_http_tgbot_json_run(ngx_http_tgbot_json_t *json, ngx_str_t *in)
{
    if (setjmp(json->nomem) != 0) {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_json_feed(json, in) != NGX_OK) {
        return json->rc;
    }

    return ngx_http_tgbot_json_end_of(json);
}


/* the result is that of ngx_http_tgbot_json_status(), also in json->rc */

static ngx_int_t
ngx_http_tgbot_json_feed(ngx_http_tgbot_json_t *json, ngx_str_t *in)
{
    yajl_alloc_funcs  funcs;

    if (json->yajl == NULL) {
        funcs.malloc = ngx_http_tgbot_json_alloc;
        funcs.realloc = ngx_http_tgbot_json_realloc;
        funcs.free = ngx_http_tgbot_json_free;
        funcs.ctx = json;

        json->yajl = yajl_alloc(&json->callbacks, &funcs, json);

        /* Telegram passes on bytes that are not UTF-8 in callback data */
        yajl_config(json->yajl, yajl_dont_validate_strings, 1);
    }

    json->token.in = in;

    json->rc = ngx_http_tgbot_json_status(json,
                                yajl_parse(json->yajl, in->data, in->len));

    json->base += in->len;

    return json->rc;
}


static ngx_int_t
ngx_http_tgbot_json_end_of(ngx_http_tgbot_json_t *json)
{
    ngx_int_t  rc;

    /*
     * yajl does not report an incomplete string or word after the document;
     * the newline makes it an error, and ends a number
     */

    if (json->whole != json->base) {
        rc = ngx_http_tgbot_json_status(json,
                                 yajl_parse(json->yajl, (u_char *) "\n", 1));
        if (rc != NGX_OK) {
            return rc;
        }
    }

    /* the last token of a whole document is a value, or its end */

    if (json->token.depth || json->token.type == NGX_HTTP_TGBOT_JSON_KEY) {
        return NGX_DECLINED;
    }

    return json->deep ? NGX_BUSY : NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_json_status(ngx_http_tgbot_json_t *json, yajl_status status)
{
    switch (status) {

    case yajl_status_ok:
        return NGX_OK;

    case yajl_status_client_canceled:
        return json->rc;

    default:
        return NGX_DECLINED;
    }
}


static int
ngx_http_tgbot_json_token(ngx_http_tgbot_json_t *json, ngx_uint_t type,
    const u_char *data, size_t len)
{
    ngx_http_tgbot_json_token_t  *token;

    token = &json->token;

    token->type = type;
    token->text.data = (u_char *) data;
    token->text.len = len;
    token->skip = 0;

    json->rc = json->handler(json->data, token);

    return json->rc == NGX_OK;
}


size_t
ngx_http_tgbot_json_offset(ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_json_t  *json;

    json = token->json;

    return json->base + yajl_get_bytes_consumed(json->yajl);
}


static int
ngx_http_tgbot_json_start(ngx_http_tgbot_json_t *json, ngx_uint_t type)
{
    if (!ngx_http_tgbot_json_token(json, type, NULL, 0)) {
        return 0;
    }

    if (json->token.depth == NGX_HTTP_TGBOT_JSON_MAX_DEPTH) {
        json->deep = 1;
        json->token.skip = 1;
    }

    if (json->token.skip) {
        json->level = json->token.depth;
        json->end = 1;
        json->callbacks = ngx_http_tgbot_json_skip_inside;
    }

    json->token.depth++;

    return 1;
}


static int
ngx_http_tgbot_json_end(ngx_http_tgbot_json_t *json, ngx_uint_t type)
{
    json->token.depth--;

    if (json->token.depth == 0) {
        json->whole = json->base + yajl_get_bytes_consumed(json->yajl);
    }

    if (json->callbacks.yajl_string == NULL) {
        json->callbacks = ngx_http_tgbot_json_all;
    }

    return ngx_http_tgbot_json_token(json, type, NULL, 0);
}


static int
ngx_http_tgbot_json_null(void *ctx)
{
    return ngx_http_tgbot_json_token(ctx, NGX_HTTP_TGBOT_JSON_NULL, NULL, 0);
}


static int
ngx_http_tgbot_json_boolean(void *ctx, int value)
{
    return value
           ? ngx_http_tgbot_json_token(ctx, NGX_HTTP_TGBOT_JSON_BOOLEAN,
                                       (u_char *) "true", 4)
           : ngx_http_tgbot_json_token(ctx, NGX_HTTP_TGBOT_JSON_BOOLEAN,
                                       (u_char *) "false", 5);
}


static int
ngx_http_tgbot_json_number(void *ctx, const char *data, size_t len)
{
    return ngx_http_tgbot_json_token(ctx, NGX_HTTP_TGBOT_JSON_NUMBER,
                                     (u_char *) data, len);
}


static int
ngx_http_tgbot_json_string(void *ctx, const u_char *data, size_t len)
{
    return ngx_http_tgbot_json_token(ctx, NGX_HTTP_TGBOT_JSON_STRING, data,
                                     len);
}


static int
ngx_http_tgbot_json_key(void *ctx, const u_char *data, size_t len)
{
    ngx_http_tgbot_json_t *json = ctx;

    if (!ngx_http_tgbot_json_token(json, NGX_HTTP_TGBOT_JSON_KEY, data, len)) {
        return 0;
    }

    if (json->token.skip) {
        json->level = json->token.depth;
        json->end = 0;
        json->callbacks = ngx_http_tgbot_json_skip_value;

    } else if (json->callbacks.yajl_string == NULL) {
        json->callbacks = ngx_http_tgbot_json_all;
    }

    return 1;
}


static int
ngx_http_tgbot_json_map_start(void *ctx)
{
    return ngx_http_tgbot_json_start(ctx, NGX_HTTP_TGBOT_JSON_MAP_START);
}


static int
ngx_http_tgbot_json_map_end(void *ctx)
{
    return ngx_http_tgbot_json_end(ctx, NGX_HTTP_TGBOT_JSON_MAP_END);
}


static int
ngx_http_tgbot_json_array_start(void *ctx)
{
    return ngx_http_tgbot_json_start(ctx, NGX_HTTP_TGBOT_JSON_ARRAY_START);
}


static int
ngx_http_tgbot_json_array_end(void *ctx)
{
    return ngx_http_tgbot_json_end(ctx, NGX_HTTP_TGBOT_JSON_ARRAY_END);
}


static int
ngx_http_tgbot_json_skip_start(void *ctx)
{
    ngx_http_tgbot_json_t *json = ctx;

    if (json->token.depth == json->level) {
        json->callbacks = ngx_http_tgbot_json_skip_inside;
    }

    if (json->token.depth++ == NGX_HTTP_TGBOT_JSON_MAX_DEPTH) {
        json->deep = 1;
    }

    return 1;
}


static int
ngx_http_tgbot_json_skip_map_end(void *ctx)
{
    return ngx_http_tgbot_json_skip_end(ctx, NGX_HTTP_TGBOT_JSON_MAP_END);
}


static int
ngx_http_tgbot_json_skip_array_end(void *ctx)
{
    return ngx_http_tgbot_json_skip_end(ctx, NGX_HTTP_TGBOT_JSON_ARRAY_END);
}


static int
ngx_http_tgbot_json_skip_end(ngx_http_tgbot_json_t *json, ngx_uint_t type)
{
    if (json->token.depth - 1 > json->level) {
        json->token.depth--;
        return 1;
    }

    if (json->end) {
        return ngx_http_tgbot_json_end(json, type);
    }

    json->token.depth--;
    json->callbacks = ngx_http_tgbot_json_all;

    return 1;
}


/* blocks come from the arena while it lasts, as they do for most documents */

static void *
ngx_http_tgbot_json_alloc(void *ctx, size_t size)
{
    ngx_http_tgbot_json_t *json = ctx;

    size_t                        need;
    ngx_http_tgbot_json_block_t  *block;

    need = ngx_align(sizeof(ngx_http_tgbot_json_block_t) + size,
                     NGX_ALIGNMENT);

    if (need <= (size_t) (json->arena + NGX_HTTP_TGBOT_JSON_ARENA - json->pos))
    {
        block = (ngx_http_tgbot_json_block_t *) json->pos;
        json->pos += need;

    } else {
        block = ngx_alloc(need, ngx_cycle->log);
        if (block == NULL) {
            longjmp(json->nomem, 1);
        }

        ngx_queue_insert_tail(&json->blocks, &block->queue);
    }

    block->size = size;

    return block + 1;
}


/* yajl grows its stack by 128 bytes at a time, so the size is doubled */

static void *
ngx_http_tgbot_json_realloc(void *ctx, void *ptr, size_t size)
{
    void                         *p;
    ngx_http_tgbot_json_block_t  *block;

    if (ptr == NULL) {
        return ngx_http_tgbot_json_alloc(ctx, size);
    }

    block = (ngx_http_tgbot_json_block_t *) ptr - 1;

    if (size <= block->size) {
        return ptr;
    }

    p = ngx_http_tgbot_json_alloc(ctx, ngx_max(size, 2 * block->size));

    ngx_memcpy(p, ptr, block->size);
    ngx_http_tgbot_json_free(ctx, ptr);

    return p;
}


static void
ngx_http_tgbot_json_free(void *ctx, void *ptr)
{
    ngx_http_tgbot_json_t *json = ctx;

    ngx_http_tgbot_json_block_t  *block;

    if (ptr == NULL) {
        return;
    }

    block = (ngx_http_tgbot_json_block_t *) ptr - 1;

    if ((u_char *) block >= json->arena
        && (u_char *) block < json->arena + NGX_HTTP_TGBOT_JSON_ARENA)
    {
        return;
    }

    ngx_queue_remove(&block->queue);
    ngx_free(block);
}


ngx_int_t
ngx_http_tgbot_json_int64(ngx_str_t *text, int64_t *value)
{
    u_char    *p, *last;
    uint64_t   c, n, max;

    p = text->data;
    last = text->data + text->len;
    max = 0x7fffffffffffffffULL;

    if (p < last && *p == '-') {
        p++;
        max++;
    }

    /* 19 digits always fit 64 bits without sign */

    if (p == last || last - p > 19) {
        return NGX_DECLINED;
    }

    for (n = 0; p < last; p++) {
        c = (uint64_t) *p - '0';

        if (c > 9) {
            return NGX_DECLINED;
        }

        n = n * 10 + c;
    }

    if (n > max) {
        return NGX_DECLINED;
    }

    *value = (text->data[0] == '-') ? (int64_t) (0 - n) : (int64_t) n;

    return NGX_OK;
}


u_char *
ngx_http_tgbot_json_write_int64(u_char *p, int64_t value)
{
    u_char    *first, buf[NGX_INT64_LEN];
    uint64_t   n;

    n = (uint64_t) value;

    if (value < 0) {
        *p++ = '-';
        n = 0 - n;
    }

    first = buf + NGX_INT64_LEN;

    do {
        *--first = (u_char) ('0' + n % 10);
        n /= 10;

    } while (n);

    return ngx_cpymem(p, first, buf + NGX_INT64_LEN - first);
}


void
ngx_http_tgbot_json_clean(ngx_str_t *text)
{
    size_t   n;
    u_char  *p, *dst, *last;

    last = text->data + text->len;
    p = ngx_http_tgbot_json_unclean(text->data, last);
    dst = p;

    while (p < last) {

        if (*p < 0x80) {
            *dst++ = (*p < 0x20 || *p == 0x7f) ? ' ' : *p;
            p++;
            continue;
        }

        n = ngx_http_tgbot_json_utf8(p, last);

        if (n == 0) {
            *dst++ = '?';
            p++;
            continue;
        }

        if (*p == 0xc2 && p[1] < 0xa0) {
            *dst++ = ' ';
            p += n;
            continue;
        }

        while (n--) {
            *dst++ = *p++;
        }
    }

    text->len = dst - text->data;
}


size_t
ngx_http_tgbot_json_cut(ngx_str_t *text, size_t max)
{
    size_t  len, min;

    if (text->len <= max) {
        return text->len;
    }

    len = max;
    min = (max > 3) ? max - 3 : 0;

    while (len > min && (text->data[len] & 0xc0) == 0x80) {
        len--;
    }

    return len;
}


size_t
ngx_http_tgbot_json_valid(ngx_str_t *text)
{
    size_t   n;
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {
        n = (*p < 0x80) ? 1 : ngx_http_tgbot_json_utf8(p, last);

        if (n == 0) {
            break;
        }

        p += n;
    }

    return p - text->data;
}


ngx_uint_t
ngx_http_tgbot_json_is_clean(ngx_str_t *text)
{
    u_char  *p, *last;

    p = text->data;
    last = text->data + text->len;

    /* the parser refuses a control character that is less than a space */

    while (p < last && *p < 0x7f) {
        p++;
    }

    return p == last || ngx_http_tgbot_json_unclean(p, last) == last;
}


/* the first character that clean() changes, or last */

static u_char *
ngx_http_tgbot_json_unclean(u_char *p, u_char *last)
{
    size_t  n;

    for ( ;; ) {

        while (p < last && (u_char) (*p - 0x20) < 0x7f - 0x20) {
            p++;
        }

        if (p == last || *p < 0x80) {
            break;
        }

        n = ngx_http_tgbot_json_utf8(p, last);

        if (n == 0 || (*p == 0xc2 && p[1] < 0xa0)) {
            break;
        }

        p += n;
    }

    return p;
}


ngx_int_t
ngx_http_tgbot_json_mark(ngx_str_t *dst, ngx_str_t *text, ngx_pool_t *pool)
{
    u_char  *p, *last;

    dst->len = text->len;
    dst->data = ngx_pstrdup(pool, text);

    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    last = dst->data + dst->len;

    for (p = dst->data; p < last; p++) {

        if (*p == '"') {
            *p = NGX_HTTP_TGBOT_JSON_QUOTE;

        } else if (*p == '\\') {
            *p = NGX_HTTP_TGBOT_JSON_BACKSLASH;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_json_unmark(ngx_str_t *text, ngx_pool_t *pool)
{
    u_char  *p, *dst, *last;
    size_t   n;

    n = 0;
    last = text->data + text->len;

    for (p = text->data; p < last; p++) {
        n += (*p == NGX_HTTP_TGBOT_JSON_QUOTE
              || *p == NGX_HTTP_TGBOT_JSON_BACKSLASH);
    }

    if (n == 0) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(pool, text->len + n);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = text->data;

    text->data = dst;
    text->len += n;

    for ( /* void */ ; p < last; p++) {

        switch (*p) {

        case NGX_HTTP_TGBOT_JSON_QUOTE:
            *dst++ = '\\';
            *dst++ = '"';
            break;

        case NGX_HTTP_TGBOT_JSON_BACKSLASH:
            *dst++ = '\\';
            *dst++ = '\\';
            break;

        default:
            *dst++ = *p;
        }
    }

    return NGX_OK;
}


/* length of the multibyte character at p, 0 if it is malformed (RFC 3629) */

static size_t
ngx_http_tgbot_json_utf8(u_char *p, u_char *last)
{
    size_t  i, n;
    u_char  min, max;

    min = 0x80;
    max = 0xbf;

    if (*p >= 0xc2 && *p <= 0xdf) {
        n = 2;

    } else if (*p >= 0xe0 && *p <= 0xef) {
        n = 3;

        if (*p == 0xe0) {
            min = 0xa0;                  /* overlong */

        } else if (*p == 0xed) {
            max = 0x9f;                  /* surrogates */
        }

    } else if (*p >= 0xf0 && *p <= 0xf4) {
        n = 4;

        if (*p == 0xf0) {
            min = 0x90;                  /* overlong */

        } else if (*p == 0xf4) {
            max = 0x8f;                  /* above U+10FFFF */
        }

    } else {
        return 0;
    }

    if ((size_t) (last - p) < n || p[1] < min || p[1] > max) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }

    return n;
}


size_t
ngx_http_tgbot_json_escaped(ngx_str_t *text)
{
    return sizeof("\"\"") - 1 + text->len
           + ngx_escape_json(NULL, text->data, text->len);
}


u_char *
ngx_http_tgbot_json_escape(u_char *p, ngx_str_t *text, size_t len)
{
    *p++ = '"';

    p = (text->len && len == text->len + 2)
        ? ngx_cpymem(p, text->data, text->len)
        : (u_char *) ngx_escape_json(p, text->data, text->len);

    *p++ = '"';

    return p;
}
