
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_gateway_idempotency.h"


static void ngx_http_tgbot_gateway_idempotency_ready(
    ngx_http_tgbot_idempotency_use_t *use, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_gateway_idempotency_go_on(
    ngx_http_tgbot_gateway_t *g, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_gateway_idempotency_sending(
    ngx_http_tgbot_send_t *send);
static ngx_int_t ngx_http_tgbot_gateway_idempotency_repeat(
    ngx_http_request_t *r, ngx_http_tgbot_idempotency_answer_t *answer);
static void ngx_http_tgbot_gateway_idempotency_keep(
    ngx_http_tgbot_gateway_t *g, ngx_uint_t status, ngx_str_t *body);


ngx_int_t
ngx_http_tgbot_gateway_idempotency(ngx_http_tgbot_gateway_t *g)
{
    ngx_int_t                          rc;
    ngx_http_request_t                *r;
    ngx_http_tgbot_idempotency_use_t  *use;

    r = g->request;

    if (g->conf->keys == NULL || g->program.file.len) {
        return NGX_OK;
    }

    use = ngx_pcalloc(r->pool, sizeof(ngx_http_tgbot_idempotency_use_t));
    if (use == NULL) {
        return NGX_ERROR;
    }

    use->bot = g->conf->bot;
    use->request = r;
    use->method = g->method.name;
    use->limit = g->conf->timeout;
    use->ready = ngx_http_tgbot_gateway_idempotency_ready;
    use->data = g;

    rc = ngx_http_tgbot_idempotency_use_start(use, g->conf->keys);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    g->once = use;

    if (rc == NGX_AGAIN) {
        return (ngx_http_tgbot_gateway_watch(r) == NGX_OK) ? NGX_AGAIN
                                                           : NGX_ERROR;
    }

    return ngx_http_tgbot_gateway_idempotency_go_on(g, rc);
}


static void
ngx_http_tgbot_gateway_idempotency_ready(ngx_http_tgbot_idempotency_use_t *use,
    ngx_int_t rc)
{
    ngx_connection_t          *c;
    ngx_http_tgbot_gateway_t  *g;

    g = use->data;
    c = g->request->connection;

    ngx_http_set_log_request(c->log, g->request);

    ngx_http_tgbot_gateway_go_on(g,
                              ngx_http_tgbot_gateway_idempotency_go_on(g, rc));

    ngx_http_run_posted_requests(c);
}


/* the return codes are those of a stage */

static ngx_int_t
ngx_http_tgbot_gateway_idempotency_go_on(ngx_http_tgbot_gateway_t *g,
    ngx_int_t rc)
{
    ngx_buf_t                         *b;
    ngx_http_request_t                *r;
    ngx_http_tgbot_idempotency_use_t  *use;

    r = g->request;
    use = g->once;

    if (rc == NGX_DONE && use->answer.status) {
        rc = ngx_http_tgbot_gateway_idempotency_repeat(r, &use->answer);

        ngx_http_finalize_request(r, rc);

        return NGX_AGAIN;
    }

    if (rc == NGX_DONE) {
        return ngx_http_tgbot_gateway_no(g, use->status, use->error);
    }

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_TGBOT_IDEMPOTENCY_USE_BODY);
    if (b == NULL) {
        return NGX_ERROR;
    }

    g->program.copy = b;
    g->send.sending = ngx_http_tgbot_gateway_idempotency_sending;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_gateway_idempotency_sending(ngx_http_tgbot_send_t *send)
{
    ngx_http_tgbot_gateway_t *g = send->data;

    return ngx_http_tgbot_idempotency_use_sent(g->once);
}


static ngx_int_t
ngx_http_tgbot_gateway_idempotency_repeat(ngx_http_request_t *r,
    ngx_http_tgbot_idempotency_answer_t *answer)
{
    ngx_table_elt_t  *h;

    r->headers_out.content_type = answer->type;
    r->headers_out.content_type_len = answer->type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (answer->encoding.len) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        h->hash = 1;
        ngx_str_set(&h->key, "Content-Encoding");
        h->value = answer->encoding;

        r->headers_out.content_encoding = h;
    }

    return ngx_http_tgbot_gateway_output(r, answer->status, &answer->body);
}


void
ngx_http_tgbot_gateway_idempotency_sent(ngx_http_tgbot_gateway_t *g)
{
    ngx_str_t                 *body;
    ngx_http_tgbot_send_t     *send;
    ngx_http_tgbot_capture_t  *result;

    if (g->once == NULL) {
        return;
    }

    send = &g->send;
    result = send->result;

    if (result == NULL || result->outcome != NGX_HTTP_TGBOT_ANSWERED) {

        if (result && result->passed) {

            /* it was executed: the program got the beginning of the answer */

            ngx_http_tgbot_gateway_idempotency_keep(g, result->status, NULL);
        }

    } else if (result->passed || send->call.cut
               || g->program.copy->last != g->program.copy->pos)
    {
        ngx_http_tgbot_gateway_idempotency_passed(g, 0);

    } else if (!send->given_up && result->status) {
        body = result->too_large ? NULL : &result->body;

        ngx_http_tgbot_gateway_idempotency_keep(g, result->status, body);
    }

    ngx_http_tgbot_gateway_idempotency_leave(g, !send->unsure);
}


void
ngx_http_tgbot_gateway_idempotency_passed(ngx_http_tgbot_gateway_t *g,
    ngx_uint_t hung)
{
    off_t                length;
    ngx_buf_t           *copy;
    ngx_str_t            body;
    ngx_uint_t           whole;
    ngx_http_request_t  *sr;

    if (g->once == NULL) {
        return;
    }

    sr = g->send.call.sr;
    copy = g->program.copy;

    body.data = copy->pos;
    body.len = copy->last - copy->pos;

    length = sr->headers_out.content_length_n;

    whole = (length >= 0) ? length == (off_t) body.len
                          : !hung && !g->send.call.cut;

    ngx_http_tgbot_gateway_idempotency_keep(g, sr->headers_out.status,
                                            whole ? &body : NULL);
}


/* "body" NULL: all of the body is not at hand */

static void
ngx_http_tgbot_gateway_idempotency_keep(ngx_http_tgbot_gateway_t *g,
    ngx_uint_t status, ngx_str_t *body)
{
    ngx_str_t                encoding;
    ngx_http_headers_out_t  *headers;

    headers = &g->send.call.sr->headers_out;

    ngx_str_null(&encoding);

    if (headers->content_encoding) {
        encoding = headers->content_encoding->value;
    }

    ngx_http_tgbot_idempotency_use_answered(g->once, status,
                                            &headers->content_type, &encoding,
                                            body);
}


void
ngx_http_tgbot_gateway_idempotency_leave(ngx_http_tgbot_gateway_t *g,
    ngx_uint_t unsent)
{
    if (g->once) {
        ngx_http_tgbot_idempotency_use_end(g->once, unsent);
    }
}
