
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_status_text.h"
#include "ngx_http_tgbot_update.h"


#define NGX_HTTP_TGBOT_STATUS_BUFFER  4096


static u_char *ngx_http_tgbot_status_text_room(ngx_http_tgbot_status_text_t *s,
    size_t len);


void
ngx_http_tgbot_status_text_init(ngx_http_tgbot_status_text_t *s,
    ngx_http_request_t *r)
{
    ngx_http_tgbot_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tgbot_module);

    ngx_memzero(s, sizeof(ngx_http_tgbot_status_text_t));

    s->pool = r->pool;
    s->tokens = &tmcf->tokens;
    s->last = &s->chain;

    ngx_str_set(&s->type, "application/json");
}


ngx_int_t
ngx_http_tgbot_status_text_send(ngx_http_request_t *r,
    ngx_http_tgbot_status_text_t *s, ngx_uint_t status)
{
    ngx_int_t  rc;

    if (s->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.content_length_n = s->size;

    rc = ngx_http_tgbot_status_text_header(r, &s->type, status);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    s->buf->last_buf = (r == r->main);
    s->buf->last_in_chain = 1;

    return ngx_http_output_filter(r, s->chain);
}


ngx_int_t
ngx_http_tgbot_status_text_header(ngx_http_request_t *r, ngx_str_t *type,
    ngx_uint_t status)
{
    r->headers_out.status = status;

    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;

    if (ngx_http_tgbot_header_push(r, "Cache-Control", "no-store") != NGX_OK
        || ngx_http_tgbot_header_push(r, "X-Content-Type-Options", "nosniff")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_http_tgbot_status_text_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    ngx_str_t                     value;
    ngx_http_tgbot_status_text_t  s;

    value.data = (u_char *) text;
    value.len = ngx_strlen(text);

    ngx_http_tgbot_status_text_init(&s, r);

    ngx_http_tgbot_status_text_open(&s, '{');
    ngx_http_tgbot_status_text_text(&s, "error", &value);
    ngx_http_tgbot_status_text_close(&s, '}');

    return ngx_http_tgbot_status_text_send(r, &s, status);
}


ngx_int_t
ngx_http_tgbot_status_text_done(ngx_http_request_t *r,
    ngx_http_tgbot_status_text_t *s, ngx_uint_t status)
{
    ngx_http_tgbot_status_text_close(s, '}');
    ngx_http_tgbot_status_text_write(s, "\n", 1);

    return ngx_http_tgbot_status_text_send(r, s, status);
}


void
ngx_http_tgbot_status_text_open(ngx_http_tgbot_status_text_t *s, char bracket)
{
    ngx_http_tgbot_status_text_value(s, &bracket, 1);
    s->comma = 0;
}


void
ngx_http_tgbot_status_text_close(ngx_http_tgbot_status_text_t *s, char bracket)
{
    ngx_http_tgbot_status_text_write(s, &bracket, 1);
    s->comma = 1;
}


void
ngx_http_tgbot_status_text_key(ngx_http_tgbot_status_text_t *s,
    const char *name)
{
    ngx_str_t  key;

    key.data = (u_char *) name;
    key.len = ngx_strlen(name);

    ngx_http_tgbot_status_text_name(s, &key);
}


void
ngx_http_tgbot_status_text_name(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *name)
{
    ngx_http_tgbot_status_text_string(s, name);
    ngx_http_tgbot_status_text_write(s, ":", 1);
    s->comma = 0;
}


void
ngx_http_tgbot_status_text_text(ngx_http_tgbot_status_text_t *s,
    const char *name, ngx_str_t *value)
{
    ngx_http_tgbot_status_text_key(s, name);
    ngx_http_tgbot_status_text_string(s, value);
}


void
ngx_http_tgbot_status_text_member(ngx_http_tgbot_status_text_t *s,
    const char *name, uint64_t value)
{
    ngx_http_tgbot_status_text_key(s, name);
    ngx_http_tgbot_status_text_number(s, value);
}


void
ngx_http_tgbot_status_text_flag(ngx_http_tgbot_status_text_t *s,
    const char *name, ngx_uint_t value)
{
    ngx_http_tgbot_status_text_key(s, name);
    ngx_http_tgbot_status_text_value(s, value ? "true" : "false",
                                     value ? 4 : 5);
}


void
ngx_http_tgbot_status_text_number(ngx_http_tgbot_status_text_t *s,
    uint64_t value)
{
    u_char  buf[NGX_INT64_LEN];

    ngx_http_tgbot_status_text_value(s, buf,
                                     ngx_sprintf(buf, "%uL", value) - buf);
}


void
ngx_http_tgbot_status_text_id(ngx_http_tgbot_status_text_t *s,
    int64_t update_id)
{
    u_char  buf[NGX_INT64_LEN];

    if (update_id == NGX_HTTP_TGBOT_UPDATE_NO_ID) {
        ngx_http_tgbot_status_text_value(s, "null", 4);
        return;
    }

    ngx_http_tgbot_status_text_value(s, buf,
                                     ngx_sprintf(buf, "%L", update_id) - buf);
}


void
ngx_http_tgbot_status_text_string(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *value)
{
    u_char     *p;
    size_t      escape;
    ngx_str_t   text;

    text = *value;

    ngx_http_tgbot_status_text_redact(s, &text);

    escape = ngx_escape_json(NULL, text.data, text.len);

    ngx_http_tgbot_status_text_value(s, NULL, 0);

    p = ngx_http_tgbot_status_text_room(s, text.len + escape + 2);

    if (p == NULL) {
        return;
    }

    *p++ = '"';
    p = (u_char *) ngx_escape_json(p, text.data, text.len);
    *p = '"';
}


void
ngx_http_tgbot_status_text_value(ngx_http_tgbot_status_text_t *s,
    const void *data, size_t len)
{
    if (s->comma) {
        ngx_http_tgbot_status_text_write(s, ",", 1);
    }

    ngx_http_tgbot_status_text_write(s, data, len);
    s->comma = 1;
}


void
ngx_http_tgbot_status_text_redact(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *text)
{
    if (ngx_http_tgbot_redact(s->tokens, text, NGX_HTTP_TGBOT_REDACT_UNCUT,
                              s->pool)
        != NGX_OK)
    {
        s->failed = 1;
        ngx_str_null(text);
    }
}


void
ngx_http_tgbot_status_text_write(ngx_http_tgbot_status_text_t *s,
    const void *data, size_t len)
{
    u_char  *p;

    p = ngx_http_tgbot_status_text_room(s, len);

    if (p && len) {
        ngx_memcpy(p, data, len);
    }
}


/* adds len bytes to the text, and returns where to write them, or NULL */

static u_char *
ngx_http_tgbot_status_text_room(ngx_http_tgbot_status_text_t *s, size_t len)
{
    u_char       *p;
    size_t        size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (s->failed) {
        return NULL;
    }

    if (s->buf == NULL || (size_t) (s->buf->end - s->buf->last) < len) {

        size = ngx_max(len, NGX_HTTP_TGBOT_STATUS_BUFFER);

        cl = ngx_alloc_chain_link(s->pool);
        b = ngx_create_temp_buf(s->pool, size);

        if (cl == NULL || b == NULL) {
            s->failed = 1;
            return NULL;
        }

        cl->buf = b;
        cl->next = NULL;

        *s->last = cl;
        s->last = &cl->next;
        s->buf = b;
    }

    p = s->buf->last;

    s->buf->last += len;
    s->size += len;

    return p;
}
