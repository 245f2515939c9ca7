
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_redact.h"


/* a token with the longest colon is at most so many times the mark */
#define NGX_HTTP_TGBOT_REDACT_SHRINKS  8


static u_char *ngx_http_tgbot_redact_find(ngx_array_t *tokens,
    ngx_str_t *text, u_char *p, u_char **end);
static size_t ngx_http_tgbot_redact_colon(u_char *p, u_char *last);
static size_t ngx_http_tgbot_redact_key(ngx_str_t *key, u_char *p,
    u_char *last);
static ngx_uint_t ngx_http_tgbot_redact_clean(ngx_str_t *text);


static ngx_str_t  ngx_http_tgbot_redact_mark = ngx_string("<redacted>");

static ngx_str_t  ngx_http_tgbot_redact_colons[] = {
    ngx_string(":"),
    ngx_string("%3a"),
    ngx_string("%253a"),
    ngx_string("\\u003a"),
    ngx_null_string
};


ngx_int_t
ngx_http_tgbot_redact_add(ngx_array_t *tokens, ngx_str_t *token)
{
    u_char                         *colon, *last;
    ngx_http_tgbot_redact_token_t  *t;

    last = token->data + token->len;

    colon = ngx_strlchr(token->data, last, ':');

    if (colon == NULL) {
        return NGX_OK;
    }

    t = ngx_array_push(tokens);
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->id.data = token->data;
    t->id.len = colon - token->data;

    t->key.data = colon + 1;
    t->key.len = last - t->key.data;

    return NGX_OK;
}


ngx_uint_t
ngx_http_tgbot_redact_holds(ngx_array_t *tokens, ngx_str_t *text)
{
    u_char  *end;

    return text->len
           && ngx_http_tgbot_redact_find(tokens, text, text->data, &end);
}


ngx_uint_t
ngx_http_tgbot_redact_mask(ngx_array_t *tokens, ngx_str_t *text)
{
    u_char      *p, *end, *last;
    ngx_uint_t   n;

    n = 0;
    p = text->data;
    last = text->data + text->len;

    for ( ;; ) {
        p = ngx_http_tgbot_redact_find(tokens, text, p, &end);

        if (p == NULL) {
            return n;
        }

        while (p < last && *p >= '0' && *p <= '9') {
            p++;
        }

        p += ngx_http_tgbot_redact_colon(p, last);

        ngx_memset(p, 'x', end - p);

        p = end;
        n++;
    }
}


ngx_uint_t
ngx_http_tgbot_redact_masked(ngx_str_t *token, ngx_str_t *text)
{
    size_t  i;
    u_char  c;

    if (text->len != token->len) {
        return 0;
    }

    c = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] != (c ? c : token->data[i])) {
            return 0;
        }

        if (token->data[i] == ':') {
            c = 'x';
        }
    }

    return 1;
}


/* the first token at p or after it, NULL: there is none */

static u_char *
ngx_http_tgbot_redact_find(ngx_array_t *tokens, ngx_str_t *text, u_char *p,
    u_char **end)
{
    size_t                          n, colon, longest;
    u_char                         *start, *found, *last;
    ngx_uint_t                      i;
    ngx_http_tgbot_redact_token_t  *token;

    token = tokens->elts;
    start = p;
    last = text->data + text->len;

    for ( /* void */ ; p < last; p++) {

        colon = ngx_http_tgbot_redact_colon(p, last);

        if (colon == 0 || p == start || p[-1] < '0' || p[-1] > '9') {
            continue;
        }

        found = NULL;
        longest = 0;

        for (i = 0; i < tokens->nelts; i++) {

            if ((size_t) (p - start) < token[i].id.len
                || ngx_memcmp(p - token[i].id.len, token[i].id.data,
                              token[i].id.len)
                   != 0)
            {
                continue;
            }

            n = ngx_http_tgbot_redact_key(&token[i].key, p + colon, last);

            if (n > longest) {
                longest = n;
                found = p - token[i].id.len;
            }
        }

        if (found) {
            *end = p + colon + longest;
            return found;
        }
    }

    return NULL;
}


/* the length of the spelling of a colon at p, 0: there is none */

static size_t
ngx_http_tgbot_redact_colon(u_char *p, u_char *last)
{
    ngx_str_t  *colon;

    for (colon = ngx_http_tgbot_redact_colons; colon->len; colon++) {

        if (*p == colon->data[0]
            && (size_t) (last - p) >= colon->len
            && ngx_strncasecmp(p, colon->data, colon->len) == 0)
        {
            return colon->len;
        }
    }

    return 0;
}


/* how many bytes of the key are at p, 0: too few to count */

static size_t
ngx_http_tgbot_redact_key(ngx_str_t *key, u_char *p, u_char *last)
{
    size_t  n, max;

    max = ngx_min((size_t) (last - p), key->len);

    for (n = 0; n < max && p[n] == key->data[n]; n++) { /* void */ }

    if (n == key->len || p + n == last) {
        return n;
    }

    /* nginx cuts a line before "..." when the text of an error follows */

    if (last - p - n >= 3 && ngx_strncmp(p + n, "...", 3) == 0) {
        return n;
    }

    return 0;
}


ngx_int_t
ngx_http_tgbot_redact(ngx_array_t *tokens, ngx_str_t *text, size_t max,
    ngx_pool_t *pool)
{
    size_t   len, size;
    u_char  *p, *end, *dst;

    if (text->len == 0) {
        return NGX_OK;
    }

    /* only the bytes of a long text that can be in the result are searched */

    len = text->len;

    if (len / NGX_HTTP_TGBOT_REDACT_SHRINKS > max) {
        text->len = max * NGX_HTTP_TGBOT_REDACT_SHRINKS;
    }

    size = text->len;
    p = text->data;

    for ( ;; ) {
        p = ngx_http_tgbot_redact_find(tokens, text, p, &end);

        if (p == NULL) {
            break;
        }

        size += ngx_http_tgbot_redact_mark.len;
        p = end;
    }

    if (size > text->len || !ngx_http_tgbot_redact_clean(text)) {

        dst = ngx_pnalloc(pool, size);
        if (dst == NULL) {
            text->len = len;
            return NGX_ERROR;
        }

        text->len = ngx_http_tgbot_redact_line(tokens, text, dst, size) - dst;
        text->data = dst;
    }

    if (text->len > max) {
        text->len = max;

        /* the cut is at the beginning of a character */

        while (text->len && (text->data[text->len] & 0xc0) == 0x80) {
            text->len--;
        }
    }

    return NGX_OK;
}


/* whether text needs no cleaning; any byte that is not ASCII counts as such */

static ngx_uint_t
ngx_http_tgbot_redact_clean(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] < 0x20 || text->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


u_char *
ngx_http_tgbot_redact_line(ngx_array_t *tokens, ngx_str_t *text, u_char *dst,
    size_t size)
{
    u_char     *p, *q, *start, *end, *last;
    ngx_str_t   line;

    start = dst;
    last = dst + size;
    p = text->data;

    for ( ;; ) {
        q = ngx_http_tgbot_redact_find(tokens, text, p, &end);

        if (q == NULL) {
            q = text->data + text->len;
            end = NULL;
        }

        dst = ngx_cpymem(dst, p, ngx_min(q - p, last - dst));

        if (end == NULL) {
            break;
        }

        dst = ngx_cpymem(dst, ngx_http_tgbot_redact_mark.data,
                         ngx_min((ssize_t) ngx_http_tgbot_redact_mark.len,
                                 last - dst));
        p = end;
    }

    line.data = start;
    line.len = dst - start;

    ngx_http_tgbot_json_clean(&line);

    return line.data + line.len;
}
