
/*
 * The chat of a gateway's call.  A body in a file stays there: a form is looked
 * through in pieces, with a turn for other events between two of them.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_body.h"
#include "ngx_http_tgbot_gateway.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_method_form.h"
#include "ngx_http_tgbot_step.h"


/* bytes of a form in a file that are read at once */
#define NGX_HTTP_TGBOT_GATEWAY_PIECE  (64 * 1024)


static ngx_uint_t ngx_http_tgbot_gateway_parse_bulk(
    ngx_http_tgbot_gateway_t *g);
static ngx_buf_t *ngx_http_tgbot_gateway_parse_file(ngx_http_request_t *r,
    off_t *size);
static ngx_int_t ngx_http_tgbot_gateway_parse_memory(
    ngx_http_tgbot_gateway_t *g);
static ngx_int_t ngx_http_tgbot_gateway_parse_form(ngx_http_tgbot_gateway_t *g);
static ngx_int_t ngx_http_tgbot_gateway_parse_piece(
    ngx_http_tgbot_gateway_t *g);
static void ngx_http_tgbot_gateway_parse_more(ngx_event_t *ev);
static ngx_int_t ngx_http_tgbot_gateway_parse_found(ngx_http_tgbot_gateway_t *g,
    ngx_str_t *value);
static ngx_int_t ngx_http_tgbot_gateway_migrate_file(
    ngx_http_tgbot_gateway_t *g, int64_t chat_id);


static ngx_str_t  ngx_http_tgbot_gateway_query =
    ngx_string("application/x-www-form-urlencoded");


ngx_int_t
ngx_http_tgbot_gateway_parse(ngx_http_tgbot_gateway_t *g)
{
    off_t                size;
    ngx_buf_t           *b;
    ngx_str_t           *type;
    ngx_uint_t           form;
    ngx_http_request_t  *r;

    r = g->request;
    type = &g->method.content_type;

    if (r->headers_in.content_type) {
        *type = r->headers_in.content_type->value;
    }

    g->start = ngx_current_msec;
    g->params.bulk = ngx_http_tgbot_gateway_parse_bulk(g);
    g->program.args = r->args;

    /* as in the Bot API, a parameter of the query comes first */

    if (r->args.len) {
        g->text = &g->program.args;

        ngx_http_tgbot_params_find(&g->params, &ngx_http_tgbot_gateway_query,
                                   g->text);
    }

    b = ngx_http_tgbot_gateway_parse_file(r, &size);

    if (b) {
        form = ngx_http_tgbot_method_form_type(type, "multipart/form-data");

        if (form || size > NGX_HTTP_TGBOT_METHOD_SIZE) {
            g->program.bufs = r->request_body->bufs;

            /* if another module has not changed it, all is in the file */

            if (form && g->params.chat_len == 0
                && b->file_last - b->file_pos == size)
            {
                g->text = NULL;

                return ngx_http_tgbot_gateway_parse_form(g);
            }
        }
    }

    return ngx_http_tgbot_gateway_parse_memory(g);
}


static ngx_uint_t
ngx_http_tgbot_gateway_parse_bulk(ngx_http_tgbot_gateway_t *g)
{
    ngx_table_elt_t  *h;

    if (g->conf->bulk) {
        return 1;
    }

    h = ngx_http_tgbot_header(&g->request->headers_in.headers, "X-Tgbot-Bulk",
                              NULL);

    return h && h->value.len == 1 && h->value.data[0] == '1';
}


/* the first buffer of the body that is in a file, NULL: there is none */

static ngx_buf_t *
ngx_http_tgbot_gateway_parse_file(ngx_http_request_t *r, off_t *size)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = NULL;
    *size = 0;

    for (cl = r->request_body ? r->request_body->bufs : NULL; cl; cl = cl->next)
    {
        *size += ngx_buf_size(cl->buf);

        if (b == NULL && !ngx_buf_in_memory(cl->buf) && cl->buf->in_file) {
            b = cl->buf;
        }
    }

    return b;
}


static ngx_int_t
ngx_http_tgbot_gateway_parse_memory(ngx_http_tgbot_gateway_t *g)
{
    if (g->program.bufs == NULL
        && ngx_http_tgbot_body(g->request, g->read, &g->method.body) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (g->params.chat_len == 0 && g->method.body.len) {
        g->text = &g->method.body;

        ngx_http_tgbot_params_find(&g->params, &g->method.content_type,
                                   g->text);
    }

    if (g->params.chat_len == 0) {
        return NGX_OK;
    }

    return ngx_http_tgbot_params_chat(&g->params, g->text, &g->chat,
                                      g->request->pool);
}


static ngx_int_t
ngx_http_tgbot_gateway_parse_form(ngx_http_tgbot_gateway_t *g)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = g->request;

    g->piece = ngx_palloc(r->pool, NGX_HTTP_TGBOT_GATEWAY_PIECE);
    if (g->piece == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_tgbot_gateway_parse_piece(g);

    if (rc != NGX_AGAIN) {
        ngx_http_tgbot_gateway_parse_stop(g);
        return rc;
    }

    g->more.handler = ngx_http_tgbot_gateway_parse_more;
    g->more.data = g;
    g->more.log = r->connection->log;

    ngx_http_tgbot_step_later(&g->more);

    return (ngx_http_tgbot_gateway_watch(r) == NGX_OK) ? NGX_AGAIN : NGX_ERROR;
}


/* NGX_AGAIN: there is more to look through */

static ngx_int_t
ngx_http_tgbot_gateway_parse_piece(ngx_http_tgbot_gateway_t *g)
{
    off_t       size, at, rest;
    size_t      used;
    ssize_t     n;
    ngx_int_t   rc;
    ngx_buf_t  *b;
    ngx_str_t   text, value;

    b = ngx_http_tgbot_gateway_parse_file(g->request, &size);

    at = b->file_pos + g->offset + g->kept;
    rest = b->file_last - at;

    n = ngx_read_file(b->file, g->piece + g->kept,
                      (size_t) ngx_min(rest, (off_t)
                                       (NGX_HTTP_TGBOT_GATEWAY_PIECE
                                        - g->kept)),
                      at);

    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    text.data = g->piece;
    text.len = g->kept + n;

    rc = ngx_http_tgbot_method_form_piece(&g->method.content_type, &text,
                                          "chat_id", &value, &used);

    if (rc == NGX_OK) {
        g->params.chat_pos = (size_t) g->offset + (value.data - g->piece);
        g->params.chat_len = value.len;

        return ngx_http_tgbot_gateway_parse_found(g, &value);
    }

    if (rc != NGX_AGAIN || n == 0 || n == rest) {

        /* the Bot API judges a form that is broken */

        return NGX_OK;
    }

    g->kept = text.len - used;
    g->offset += used;

    ngx_memmove(g->piece, g->piece + used, g->kept);

    return NGX_AGAIN;
}


static void
ngx_http_tgbot_gateway_parse_more(ngx_event_t *ev)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_tgbot_gateway_t  *g;

    g = ev->data;

    rc = ngx_http_tgbot_gateway_parse_piece(g);

    if (rc == NGX_AGAIN) {
        ngx_http_tgbot_step_later(&g->more);
        return;
    }

    ngx_http_tgbot_gateway_parse_stop(g);

    c = g->request->connection;

    ngx_http_set_log_request(c->log, g->request);

    ngx_http_tgbot_gateway_go_on(g, rc);

    ngx_http_run_posted_requests(c);
}


void
ngx_http_tgbot_gateway_parse_stop(ngx_http_tgbot_gateway_t *g)
{
    ngx_http_tgbot_step_end(&g->more);

    if (g->piece) {
        (void) ngx_pfree(g->request->pool, g->piece);
        g->piece = NULL;
    }
}


static ngx_int_t
ngx_http_tgbot_gateway_parse_found(ngx_http_tgbot_gateway_t *g,
    ngx_str_t *value)
{
    g->chat.data = ngx_pstrdup(g->request->pool, value);

    if (g->chat.data == NULL) {
        return NGX_ERROR;
    }

    g->chat.len = value->len;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_gateway_migrate(ngx_http_tgbot_send_t *send, int64_t chat_id)
{
    ngx_int_t                  rc;
    ngx_http_tgbot_method_t    changed;
    ngx_http_tgbot_gateway_t  *g;

    g = send->data;

    if (g->params.chat_len == 0 || g->held || g->answered) {
        return NGX_DECLINED;
    }

    if (g->text == NULL) {
        return ngx_http_tgbot_gateway_migrate_file(g, chat_id);
    }

    ngx_memzero(&changed, sizeof(ngx_http_tgbot_method_t));

    changed.body = *g->text;
    changed.chat_pos = g->params.chat_pos;
    changed.chat_len = g->params.chat_len;

    rc = ngx_http_tgbot_method_migrate(&changed, chat_id, send->pool);

    if (rc == NGX_OK) {
        *g->text = changed.body;
        g->params.chat_len = changed.chat_len;
    }

    return rc;
}


/*
 * The body becomes three buffers: what is in the file around the value.  The
 * next peer would get the last one from the beginning of the file.
 */

static ngx_int_t
ngx_http_tgbot_gateway_migrate_file(ngx_http_tgbot_gateway_t *g,
    int64_t chat_id)
{
    off_t                 size;
    ngx_buf_t            *b, *part;
    ngx_uint_t            i;
    ngx_pool_t           *pool;
    ngx_chain_t          *cl;
    ngx_http_upstream_t  *u;

    pool = g->request->pool;
    u = g->send.call.sr->upstream;

    if (u && (u->conf->next_upstream & NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT)) {
        return NGX_DECLINED;
    }

    b = ngx_http_tgbot_gateway_parse_file(g->request, &size);

    cl = ngx_palloc(pool, 3 * sizeof(ngx_chain_t));
    part = ngx_pcalloc(pool, 3 * sizeof(ngx_buf_t));

    if (cl == NULL || part == NULL) {
        return NGX_ERROR;
    }

    part[0] = *b;
    part[0].file_last = b->file_pos + g->params.chat_pos;
    part[0].last_buf = 0;

    part[2] = *b;
    part[2].file_pos = part[0].file_last + g->params.chat_len;

    part[1].start = ngx_pnalloc(pool, NGX_INT64_LEN);
    if (part[1].start == NULL) {
        return NGX_ERROR;
    }

    part[1].pos = part[1].start;
    part[1].last = ngx_sprintf(part[1].start, "%L", chat_id);
    part[1].end = part[1].last;
    part[1].memory = 1;

    for (i = 0; i < 3; i++) {
        cl[i].buf = &part[i];
        cl[i].next = (i < 2) ? &cl[i + 1] : NULL;
    }

    g->program.bufs = cl;

    return NGX_OK;
}
