
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis.h"
#include "ngx_http_tgbot_redis_reply.h"


#define NGX_HTTP_TGBOT_REDIS_CLASS_LEN  32
#define NGX_HTTP_TGBOT_REDIS_TEXT_LEN   128


#if (NGX_HTTP_TGBOT_HIREDIS_INT)
typedef int     ngx_http_tgbot_redis_elements_t;
#else
typedef size_t  ngx_http_tgbot_redis_elements_t;
#endif


static void *ngx_http_tgbot_redis_reader_array(const redisReadTask *task,
    ngx_http_tgbot_redis_elements_t n);


/* hiredis' own functions, and those with a bound in place of one of them */

static redisReplyObjectFunctions   ngx_http_tgbot_redis_reader_functions;
static redisReplyObjectFunctions  *ngx_http_tgbot_redis_reader_own;


ngx_int_t
ngx_http_tgbot_redis_reader_init(ngx_http_tgbot_redis_reader_t *r)
{
    r->size = 0;
    r->reader = redisReaderCreate();

    if (r->reader == NULL) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_redis_reader_own = r->reader->fn;

    ngx_http_tgbot_redis_reader_functions = *r->reader->fn;
    ngx_http_tgbot_redis_reader_functions.createArray =
                                             ngx_http_tgbot_redis_reader_array;

    r->reader->fn = &ngx_http_tgbot_redis_reader_functions;

    return NGX_OK;
}


/*
 * Memory for all elements is allocated when their number has been read, and a
 * reply is freed by recursion.
 */

static void *
ngx_http_tgbot_redis_reader_array(const redisReadTask *task,
    ngx_http_tgbot_redis_elements_t n)
{
    ngx_uint_t            depth;
    const redisReadTask  *outer;

    depth = 1;

    for (outer = task->parent; outer; outer = outer->parent) {
        depth++;
    }

    if (n > NGX_HTTP_TGBOT_REDIS_ELEMENTS
        || depth > NGX_HTTP_TGBOT_REDIS_DEPTH)
    {
        return NULL;
    }

    return ngx_http_tgbot_redis_reader_own->createArray(task, n);
}


void
ngx_http_tgbot_redis_reader_free(ngx_http_tgbot_redis_reader_t *r)
{
    if (r->reader) {
        redisReaderFree(r->reader);
        r->reader = NULL;
    }
}


ngx_int_t
ngx_http_tgbot_redis_reader_feed(ngx_http_tgbot_redis_reader_t *r, u_char *p,
    size_t n)
{
    r->size += n;

    if (r->size > NGX_HTTP_TGBOT_REDIS_REPLY
        || redisReaderFeed(r->reader, (char *) p, n) != REDIS_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_redis_reader_next(ngx_http_tgbot_redis_reader_t *r,
    redisReply **reply)
{
    void  *object;

    if (redisReaderGetReply(r->reader, &object) != REDIS_OK) {
        return NGX_ERROR;
    }

    if (object == NULL) {
        return NGX_AGAIN;
    }

    r->size = 0;
    *reply = object;

    return NGX_OK;
}


ngx_uint_t
ngx_http_tgbot_redis_reply_is(redisReply *reply, const char *word)
{
    return (reply->type == REDIS_REPLY_STRING
            || reply->type == REDIS_REPLY_STATUS
            || reply->type == REDIS_REPLY_ERROR)
           && ngx_strcmp(reply->str, word) == 0;
}


ngx_int_t
ngx_http_tgbot_redis_reply_value(redisReply *reply, const char *name,
    ngx_str_t *value)
{
    u_char  *p, *last, *end;
    size_t   i, len;

    if (reply->type == REDIS_REPLY_ARRAY) {

        for (i = 0; i + 1 < reply->elements; i += 2) {

            if (reply->element[i + 1]->type == REDIS_REPLY_STRING
                && ngx_http_tgbot_redis_reply_is(reply->element[i], name))
            {
                value->data = (u_char *) reply->element[i + 1]->str;
                value->len = reply->element[i + 1]->len;
                return NGX_OK;
            }
        }

        return NGX_DECLINED;
    }

    if (reply->type != REDIS_REPLY_STRING) {
        return NGX_DECLINED;
    }

    len = ngx_strlen(name);
    last = (u_char *) reply->str + reply->len;

    for (p = (u_char *) reply->str; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, LF);
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) > len && p[len] == ':'
            && ngx_strncmp(p, name, len) == 0)
        {
            value->data = p + len + 1;
            value->len = end - value->data;

            if (value->len && value->data[value->len - 1] == CR) {
                value->len--;
            }

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


void
ngx_http_tgbot_redis_reply_class(redisReply *reply, ngx_str_t *word)
{
    size_t  n;

    n = 0;

    while (n < (size_t) reply->len
           && reply->str[n] >= 'A' && reply->str[n] <= 'Z')
    {
        n++;
    }

    if (n == 0 || n > NGX_HTTP_TGBOT_REDIS_CLASS_LEN) {
        ngx_str_set(word, "ERR");
        return;
    }

    word->data = (u_char *) reply->str;
    word->len = n;
}


void
ngx_http_tgbot_redis_reply_text(redisReply *reply, ngx_str_t *text)
{
    size_t         i;

    static u_char  buf[NGX_HTTP_TGBOT_REDIS_TEXT_LEN];

    text->data = buf;
    text->len = ngx_min((size_t) reply->len, sizeof(buf));

    for (i = 0; i < text->len; i++) {
        buf[i] = (reply->str[i] >= ' ' && reply->str[i] < 0x7f)
                 ? reply->str[i] : '?';
    }
}
