
/*
 * What a Redis sends: the first byte says in pieces of how many bytes it
 * comes.  Whatever it is, the pieces make no difference.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis_reply.h"
#include "unit.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void check(ngx_uint_t good);
static void look(redisReply *reply);
static void inside(redisReply *reply, ngx_str_t *text);
static ngx_int_t read_all(u_char *data, size_t size, size_t piece,
    ngx_uint_t *n);


static const char  *names[] = { "redis_version", "role", "save", "" };


static void
check(ngx_uint_t good)
{
    if (!good) {
        ngx_abort();
    }
}


static void
look(redisReply *reply)
{
    size_t     i;
    ngx_str_t  value;

    (void) ngx_http_tgbot_redis_reply_is(reply, "message");

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (ngx_http_tgbot_redis_reply_value(reply, names[i], &value)
            == NGX_OK
            && reply->type == REDIS_REPLY_STRING)
        {
            inside(reply, &value);
        }
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_tgbot_redis_reply_class(reply, &value);
        check(value.len > 0 && value.len <= 32);

        ngx_http_tgbot_redis_reply_text(reply, &value);
        check(value.len <= (size_t) reply->len);

        for (i = 0; i < value.len; i++) {
            check(value.data[i] >= ' ' && value.data[i] < 0x7f);
        }
    }

    if (reply->type == REDIS_REPLY_ARRAY) {
        check(reply->elements <= NGX_HTTP_TGBOT_REDIS_ELEMENTS);

        for (i = 0; i < reply->elements; i++) {
            look(reply->element[i]);
        }
    }
}


static void
inside(redisReply *reply, ngx_str_t *text)
{
    u_char  *start;

    start = (u_char *) reply->str;

    check(text->data >= start
          && text->data + text->len <= start + reply->len);
}


static ngx_int_t
read_all(u_char *data, size_t size, size_t piece, ngx_uint_t *n)
{
    size_t                          len;
    u_char                         *copy;
    ngx_int_t                       rc;
    redisReply                     *reply;
    ngx_http_tgbot_redis_reader_t   r;

    *n = 0;
    rc = ngx_http_tgbot_redis_reader_init(&r);

    while (size && rc != NGX_ERROR) {
        len = ngx_min(piece, size);

        /* what is read behind the end is seen */

        copy = malloc(len);
        memcpy(copy, data, len);
        rc = ngx_http_tgbot_redis_reader_feed(&r, copy, len);
        free(copy);

        while (rc == NGX_OK) {
            rc = ngx_http_tgbot_redis_reader_next(&r, &reply);

            if (rc == NGX_OK) {
                look(reply);
                freeReplyObject(reply);
                (*n)++;
            }
        }

        data += len;
        size -= len;
    }

    ngx_http_tgbot_redis_reader_free(&r);

    return rc;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t   rc;
    ngx_uint_t  n, whole;

    if (size < 2) {
        return 0;
    }

    rc = read_all((u_char *) data + 1, size - 1, size, &whole);

    check(read_all((u_char *) data + 1, size - 1, 1 + data[0] % 16, &n) == rc);
    check(n == whole);

    return 0;
}
