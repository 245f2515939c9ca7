
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast_parse.h"
#include "ngx_http_tgbot_method.h"


/* bytes of a message */
#define NGX_HTTP_TGBOT_BROADCAST_PARSE_ERROR  512

/* bytes of a value that is shown in it */
#define NGX_HTTP_TGBOT_BROADCAST_PARSE_SHOWN  64

/* the ids of Telegram have up to 52 bits */
#define NGX_HTTP_TGBOT_BROADCAST_PARSE_MAX    ((int64_t) 1 << 52)

/* bytes of the body for each id, less than what most take */
#define NGX_HTTP_TGBOT_BROADCAST_PARSE_BYTES  8


/* members of the object */

typedef enum {
    NGX_HTTP_TGBOT_BROADCAST_PARSE_METHOD = 0,
    NGX_HTTP_TGBOT_BROADCAST_PARSE_PARAMS,
    NGX_HTTP_TGBOT_BROADCAST_PARSE_CHATS,
    NGX_HTTP_TGBOT_BROADCAST_PARSE_START,
    NGX_HTTP_TGBOT_BROADCAST_PARSE_OTHER
} ngx_http_tgbot_broadcast_parse_key_e;


static ngx_int_t ngx_http_tgbot_broadcast_parse_lines(
    ngx_http_tgbot_broadcast_parse_t *parse, ngx_str_t *piece);
static ngx_int_t ngx_http_tgbot_broadcast_parse_line(
    ngx_http_tgbot_broadcast_parse_t *parse);
static ngx_int_t ngx_http_tgbot_broadcast_parse_json(
    ngx_http_tgbot_broadcast_parse_t *parse, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_broadcast_parse_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_broadcast_parse_key(
    ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_broadcast_parse_value(
    ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_broadcast_parse_method(
    ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_broadcast_parse_params(
    ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_broadcast_parse_close(
    ngx_http_tgbot_broadcast_parse_t *parse, size_t to);
static ngx_int_t ngx_http_tgbot_broadcast_parse_keep(
    ngx_http_tgbot_broadcast_parse_t *parse, size_t to);
static ngx_int_t ngx_http_tgbot_broadcast_parse_chats(
    ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_broadcast_parse_chat(
    ngx_http_tgbot_broadcast_parse_t *parse, ngx_str_t *text);
static ngx_int_t ngx_http_tgbot_broadcast_parse_expected(
    ngx_http_tgbot_broadcast_parse_t *parse, const char *fmt, ...);


static ngx_str_t  ngx_http_tgbot_broadcast_parse_keys[] = {
    ngx_string("method"),
    ngx_string("params"),
    ngx_string("chat_ids"),
    ngx_string("start")
};


ngx_int_t
ngx_http_tgbot_broadcast_parse_init(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_uint_t form, off_t size, ngx_pool_t *pool)
{
    ngx_uint_t  max, n;

    parse->pool = pool;
    parse->form = form;

    if (form != NGX_HTTP_TGBOT_BROADCAST_PARSE_LINES) {

        parse->json = ngx_http_tgbot_json_open(
                                   ngx_http_tgbot_broadcast_parse_token, parse);
        if (parse->json == NULL) {
            return NGX_ERROR;
        }
    }

    max = NGX_HTTP_TGBOT_BROADCAST_PARSE_IDS;
    max = (ngx_uint_t) ngx_min((off_t) max, size / 2 + 1);

    n = (ngx_uint_t) ngx_min((off_t) max,
                             size / NGX_HTTP_TGBOT_BROADCAST_PARSE_BYTES);

    return ngx_http_tgbot_broadcast_ids_init(&parse->ids, max, n);
}


void
ngx_http_tgbot_broadcast_parse_done(ngx_http_tgbot_broadcast_parse_t *parse)
{
    if (parse->json) {
        ngx_http_tgbot_json_close(parse->json);
        parse->json = NULL;
    }

    ngx_http_tgbot_broadcast_ids_free(&parse->ids);
}


ngx_int_t
ngx_http_tgbot_broadcast_parse_more(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_str_t *piece)
{
    ngx_int_t  rc;

    if (parse->json == NULL) {
        return ngx_http_tgbot_broadcast_parse_lines(parse, piece);
    }

    parse->piece = piece;
    parse->from = 0;

    rc = ngx_http_tgbot_json_more(parse->json, piece);

    if (rc == NGX_OK
        && parse->inside
        && parse->key == NGX_HTTP_TGBOT_BROADCAST_PARSE_PARAMS)
    {
        rc = ngx_http_tgbot_broadcast_parse_keep(parse, piece->len);
    }

    parse->base += piece->len;

    /* the parser keeps what is not complete */

    if (rc == NGX_OK
        && parse->base - parse->seen > NGX_HTTP_TGBOT_BROADCAST_PARSE_TEXT)
    {
        (void) ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "a value is too long, expected at most %d "
                                  "bytes",
                                  NGX_HTTP_TGBOT_BROADCAST_PARSE_TEXT);
        return NGX_BUSY;
    }

    return ngx_http_tgbot_broadcast_parse_json(parse, rc);
}


ngx_int_t
ngx_http_tgbot_broadcast_parse_end(ngx_http_tgbot_broadcast_parse_t *parse)
{
    ngx_int_t  rc;

    if (parse->json == NULL) {
        return ngx_http_tgbot_broadcast_parse_line(parse);
    }

    rc = ngx_http_tgbot_json_complete(parse->json);

    if (rc == NGX_OK
        && parse->form == NGX_HTTP_TGBOT_BROADCAST_PARSE_OBJECT
        && parse->method.len == 0)
    {
        return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "there is no \"method\", expected one such "
                                  "as \"sendMessage\"");
    }

    return ngx_http_tgbot_broadcast_parse_json(parse, rc);
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_json(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_int_t rc)
{
    if (parse->error || rc == NGX_OK || rc == NGX_ERROR) {
        return rc;
    }

    return ngx_http_tgbot_broadcast_parse_expected(parse, (rc == NGX_BUSY)
                                      ? "the JSON is nested too deeply"
                                      : "the body is not JSON that is right, "
                                        "and complete");
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_lines(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_str_t *piece)
{
    u_char     *p, *last;
    ngx_int_t   rc;

    last = piece->data + piece->len;

    for (p = piece->data; p < last; p++) {

        if (*p == '\n') {
            rc = ngx_http_tgbot_broadcast_parse_line(parse);

            if (rc != NGX_OK) {
                return rc;
            }

            continue;
        }

        if (*p == '\r' || *p == ' ' || *p == '\t') {
            parse->blank = (parse->len != 0);
            continue;
        }

        /* inside a line a blank is kept, so that two ids do not become one */

        if (parse->blank && parse->len < sizeof(parse->line)) {
            parse->line[parse->len++] = ' ';
        }

        parse->blank = 0;

        if (parse->len < sizeof(parse->line)) {
            parse->line[parse->len++] = *p;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_line(ngx_http_tgbot_broadcast_parse_t *parse)
{
    ngx_str_t  text;

    text.data = parse->line;
    text.len = parse->len;

    parse->len = 0;
    parse->blank = 0;
    parse->element++;

    return text.len ? ngx_http_tgbot_broadcast_parse_chat(parse, &text)
                    : NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_token(void *data,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_uint_t  object;

    ngx_http_tgbot_broadcast_parse_t *parse = data;

    object = (parse->form == NGX_HTTP_TGBOT_BROADCAST_PARSE_OBJECT);

    parse->seen = ngx_http_tgbot_json_offset(token);

    if (token->depth == 0) {

        if (parse->root) {
            return NGX_OK;
        }

        parse->root = 1;

        if (token->type != (object ? NGX_HTTP_TGBOT_JSON_MAP_START
                                   : NGX_HTTP_TGBOT_JSON_ARRAY_START))
        {
            return ngx_http_tgbot_broadcast_parse_expected(parse,
                                        object
                                        ? "expected an object with \"method\", "
                                          "\"params\" and \"chat_ids\""
                                        : "expected an array of ids of chats, "
                                          "or text/plain with an id a line");
        }

        return NGX_OK;
    }

    if (!object) {
        return ngx_http_tgbot_broadcast_parse_chats(parse, token);
    }

    if (token->depth == 1 && token->type == NGX_HTTP_TGBOT_JSON_KEY) {
        return ngx_http_tgbot_broadcast_parse_key(parse, token);
    }

    return ngx_http_tgbot_broadcast_parse_value(parse, token);
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_key(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_str_t   *name;
    ngx_uint_t   key;

    name = ngx_http_tgbot_broadcast_parse_keys;

    for (key = 0; key < NGX_HTTP_TGBOT_BROADCAST_PARSE_OTHER; key++) {
        if (name[key].len == token->text.len
            && ngx_strncmp(name[key].data, token->text.data, token->text.len)
               == 0)
        {
            break;
        }
    }

    if (key == NGX_HTTP_TGBOT_BROADCAST_PARSE_OTHER
        || (parse->keys & ((ngx_uint_t) 1 << key)))
    {
        return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "the member \"%*s\" is %s, expected "
                                  "\"method\", \"params\", \"chat_ids\" or "
                                  "\"start\", each once",
                                  ngx_http_tgbot_json_cut(&token->text,
                                       NGX_HTTP_TGBOT_BROADCAST_PARSE_SHOWN),
                                  token->text.data,
                                  (key == NGX_HTTP_TGBOT_BROADCAST_PARSE_OTHER)
                                  ? "not known" : "there twice");
    }

    parse->key = key;
    parse->keys |= (ngx_uint_t) 1 << key;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_value(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token)
{
    switch (parse->key) {

    case NGX_HTTP_TGBOT_BROADCAST_PARSE_METHOD:
        return ngx_http_tgbot_broadcast_parse_method(parse, token);

    case NGX_HTTP_TGBOT_BROADCAST_PARSE_PARAMS:
        return ngx_http_tgbot_broadcast_parse_params(parse, token);

    case NGX_HTTP_TGBOT_BROADCAST_PARSE_CHATS:

        if (token->depth == 1) {

            if (token->type == NGX_HTTP_TGBOT_JSON_ARRAY_START
                || token->type == NGX_HTTP_TGBOT_JSON_ARRAY_END)
            {
                return NGX_OK;
            }

            return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "\"chat_ids\" is no array, expected an array "
                                  "of numbers");
        }

        return ngx_http_tgbot_broadcast_parse_chats(parse, token);

    default: /* NGX_HTTP_TGBOT_BROADCAST_PARSE_START */

        if (token->type != NGX_HTTP_TGBOT_JSON_BOOLEAN) {
            return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "\"start\" is neither true nor false");
        }

        parse->paused = (token->text.data[0] == 'f');

        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_method(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token)
{
    if (token->type != NGX_HTTP_TGBOT_JSON_STRING
        || !ngx_http_tgbot_method_valid(&token->text)
        || !ngx_http_tgbot_method_allowed(&token->text))
    {
        return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "\"method\" is \"%*s\", expected the name of "
                                  "a method that sends something, such as "
                                  "\"sendMessage\"",
                                  ngx_http_tgbot_json_cut(&token->text,
                                       NGX_HTTP_TGBOT_BROADCAST_PARSE_SHOWN),
                                  token->text.data);
    }

    parse->method.len = token->text.len;
    parse->method.data = ngx_pstrdup(parse->pool, &token->text);

    return parse->method.data ? NGX_OK : NGX_ERROR;
}


/* its bytes are kept as they are */

static ngx_int_t
ngx_http_tgbot_broadcast_parse_params(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token)
{
    size_t  offset;

    if (token->depth == 1) {

        offset = ngx_http_tgbot_json_offset(token) - parse->base;

        if (token->type == NGX_HTTP_TGBOT_JSON_MAP_START) {
            parse->inside = 1;
            parse->from = offset - 1;

            return NGX_OK;
        }

        if (token->type == NGX_HTTP_TGBOT_JSON_MAP_END) {
            return ngx_http_tgbot_broadcast_parse_close(parse, offset);
        }

        return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "\"params\" is no object, expected the "
                                  "parameters of the method");
    }

    if (token->depth == 2
        && token->type == NGX_HTTP_TGBOT_JSON_KEY
        && token->text.len == sizeof("chat_id") - 1
        && ngx_strncmp(token->text.data, "chat_id", sizeof("chat_id") - 1)
           == 0)
    {
        return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "\"params\" has \"chat_id\", expected chats "
                                  "in \"chat_ids\" only");
    }

    return NGX_OK;
}


/* the Bot API would refuse each call, and no answer could show the params */

static ngx_int_t
ngx_http_tgbot_broadcast_parse_close(ngx_http_tgbot_broadcast_parse_t *parse,
    size_t to)
{
    size_t     valid;
    ngx_int_t  rc;

    parse->inside = 0;

    rc = ngx_http_tgbot_broadcast_parse_keep(parse, to);

    if (rc != NGX_OK) {
        return rc;
    }

    valid = ngx_http_tgbot_json_valid(&parse->params);

    if (valid < parse->params.len) {
        return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "byte %uz of \"params\" is no UTF-8, "
                                  "expected JSON in UTF-8", valid);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_keep(ngx_http_tgbot_broadcast_parse_t *parse,
    size_t to)
{
    size_t  n;

    n = to - parse->from;

    if (parse->params.len + n > NGX_HTTP_TGBOT_BROADCAST_PARSE_TEXT) {
        (void) ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "\"params\" is too long, expected at most "
                                  "%d bytes",
                                  NGX_HTTP_TGBOT_BROADCAST_PARSE_TEXT);
        return NGX_BUSY;
    }

    if (parse->params.data == NULL) {
        parse->params.data = ngx_pnalloc(parse->pool,
                                         NGX_HTTP_TGBOT_BROADCAST_PARSE_TEXT);
        if (parse->params.data == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_memcpy(parse->params.data + parse->params.len,
               parse->piece->data + parse->from, n);

    parse->params.len += n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_chats(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_http_tgbot_json_token_t *token)
{
    if (token->type == NGX_HTTP_TGBOT_JSON_NUMBER
        || token->type == NGX_HTTP_TGBOT_JSON_STRING)
    {
        return ngx_http_tgbot_broadcast_parse_chat(parse, &token->text);
    }

    return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "element %ui of the chats is neither a "
                                  "number nor a string, expected the id of a "
                                  "chat", parse->element);
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_chat(ngx_http_tgbot_broadcast_parse_t *parse,
    ngx_str_t *text)
{
    int64_t     id;
    ngx_int_t   rc;
    ngx_uint_t  lines;

    lines = (parse->form == NGX_HTTP_TGBOT_BROADCAST_PARSE_LINES);

    if (ngx_http_tgbot_json_int64(text, &id) != NGX_OK
        || id == 0
        || id >= NGX_HTTP_TGBOT_BROADCAST_PARSE_MAX
        || id <= -NGX_HTTP_TGBOT_BROADCAST_PARSE_MAX)
    {
        return ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "%s %ui of the chats is \"%*s\", expected "
                                  "the id of a chat, a number: a broadcast "
                                  "knows no @names",
                                  lines ? "line" : "element", parse->element,
                                  ngx_http_tgbot_json_cut(text,
                                       NGX_HTTP_TGBOT_BROADCAST_PARSE_SHOWN),
                                  text->data);
    }

    parse->element += !lines;

    rc = ngx_http_tgbot_broadcast_ids_add(&parse->ids, id);

    if (rc == NGX_BUSY) {
        (void) ngx_http_tgbot_broadcast_parse_expected(parse,
                                  "there are more than %d chats, expected the "
                                  "rest of them in further requests",
                                  NGX_HTTP_TGBOT_BROADCAST_PARSE_IDS);
    }

    return rc;
}


static ngx_int_t
ngx_http_tgbot_broadcast_parse_expected(
    ngx_http_tgbot_broadcast_parse_t *parse, const char *fmt, ...)
{
    u_char   *p, *last;
    va_list   args;

    p = ngx_pnalloc(parse->pool, NGX_HTTP_TGBOT_BROADCAST_PARSE_ERROR);
    if (p == NULL) {
        return NGX_ERROR;
    }

    parse->error = p;
    last = p + NGX_HTTP_TGBOT_BROADCAST_PARSE_ERROR - 1;

    va_start(args, fmt);
    p = ngx_vslprintf(p, last, fmt, args);
    va_end(args);

    *p = '\0';

    return NGX_DECLINED;
}
