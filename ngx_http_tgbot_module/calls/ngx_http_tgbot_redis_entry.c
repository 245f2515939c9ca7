
/*
 * Commands as bytes: arrays of strings, each with its length.  An entry is one
 * allocation and is kept until the reply, as it may have to be sent again;
 * redisFormatCommandArgv() would make a copy of that copy.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis_link.h"


/* bytes around a string or before an array, at most */
#define NGX_HTTP_TGBOT_REDIS_ENTRY_HEAD  (sizeof("$\r\n\r\n") + NGX_SIZE_T_LEN)


static ngx_http_tgbot_redis_entry_t *ngx_http_tgbot_redis_entry_alloc(
    size_t size);
static u_char *ngx_http_tgbot_redis_entry_script(u_char *p,
    const ngx_http_tgbot_redis_script_t *script, ngx_uint_t argc,
    ngx_uint_t whole);
static u_char *ngx_http_tgbot_redis_entry_string(u_char *p, u_char *data,
    size_t len);


ngx_http_tgbot_redis_entry_t *
ngx_http_tgbot_redis_entry_create(const ngx_http_tgbot_redis_script_t *script,
    ngx_str_t *argv, ngx_uint_t argc, ngx_uint_t nkeys, size_t max)
{
    size_t                         size;
    u_char                        *p, *number;
    ngx_uint_t                     i;
    ngx_http_tgbot_redis_entry_t  *entry;
    u_char                         buf[NGX_INT_T_LEN];

    /* the array, EVALSHA, the hash and the number of keys */

    size = 4 * NGX_HTTP_TGBOT_REDIS_ENTRY_HEAD + sizeof("EVALSHA")
           + sizeof(script->sha) + NGX_INT_T_LEN;

    for (i = 0; i < argc; i++) {
        size += NGX_HTTP_TGBOT_REDIS_ENTRY_HEAD + argv[i].len;
    }

    if (size > max) {
        return NULL;
    }

    entry = ngx_http_tgbot_redis_entry_alloc(size);
    if (entry == NULL) {
        return NULL;
    }

    p = entry->buf.start;

    if (script) {
        p = ngx_http_tgbot_redis_entry_script(p, script, argc + 3, 0);

        entry->script = script;
        entry->name = script->name;
        entry->args = p - entry->buf.start;
        entry->argc = argc;

        number = ngx_sprintf(buf, "%ui", nkeys);
        p = ngx_http_tgbot_redis_entry_string(p, buf, number - buf);

    } else {
        p = ngx_sprintf(p, "*%ui" CRLF, argc);
    }

    for (i = 0; i < argc; i++) {
        p = ngx_http_tgbot_redis_entry_string(p, argv[i].data, argv[i].len);

        if (script == NULL && i == 0) {
            entry->name.len = argv[0].len;
            entry->name.data = p - sizeof(CRLF) + 1 - argv[0].len;
        }
    }

    entry->buf.last = p;

    return entry;
}


ngx_http_tgbot_redis_entry_t *
ngx_http_tgbot_redis_entry_again(ngx_http_tgbot_redis_entry_t *entry,
    ngx_uint_t whole)
{
    size_t                                len;
    u_char                               *p, *args;
    ngx_http_tgbot_redis_entry_t         *again;
    const ngx_http_tgbot_redis_script_t  *script;

    script = entry->script;

    args = entry->buf.start + entry->args;
    len = entry->buf.last - args;

    again = ngx_http_tgbot_redis_entry_alloc(3 * NGX_HTTP_TGBOT_REDIS_ENTRY_HEAD
                                             + sizeof("EVALSHA")
                                             + sizeof(script->sha)
                                             + script->text.len + len);
    if (again == NULL) {
        return NULL;
    }

    p = ngx_http_tgbot_redis_entry_script(again->buf.start, script,
                                          entry->argc + 3, whole);

    again->script = script;
    again->name = script->name;
    again->args = p - again->buf.start;
    again->argc = entry->argc;
    again->buf.last = ngx_cpymem(p, args, len);

    again->done = entry->done;
    again->data = entry->data;
    again->hops = entry->hops;
    again->asked = entry->asked;
    again->durable = entry->durable;
    again->held = entry->held;

    return again;
}


static ngx_http_tgbot_redis_entry_t *
ngx_http_tgbot_redis_entry_alloc(size_t size)
{
    ngx_http_tgbot_redis_entry_t  *entry;

    entry = ngx_alloc(sizeof(ngx_http_tgbot_redis_entry_t) + size,
                      ngx_cycle->log);
    if (entry == NULL) {
        return NULL;
    }

    ngx_memzero(entry, sizeof(ngx_http_tgbot_redis_entry_t));

    entry->size = sizeof(ngx_http_tgbot_redis_entry_t) + size;

    entry->out.buf = &entry->buf;

    entry->buf.start = (u_char *) entry + sizeof(ngx_http_tgbot_redis_entry_t);
    entry->buf.end = entry->buf.start + size;
    entry->buf.pos = entry->buf.start;
    entry->buf.memory = 1;
    entry->buf.flush = 1;

    return entry;
}


static u_char *
ngx_http_tgbot_redis_entry_script(u_char *p,
    const ngx_http_tgbot_redis_script_t *script, ngx_uint_t argc,
    ngx_uint_t whole)
{
    p = ngx_sprintf(p, "*%ui" CRLF, argc);

    if (whole) {
        p = ngx_http_tgbot_redis_entry_string(p, (u_char *) "EVAL", 4);

        return ngx_http_tgbot_redis_entry_string(p, script->text.data,
                                                 script->text.len);
    }

    p = ngx_http_tgbot_redis_entry_string(p, (u_char *) "EVALSHA", 7);

    return ngx_http_tgbot_redis_entry_string(p, (u_char *) script->sha,
                                             sizeof(script->sha));
}


static u_char *
ngx_http_tgbot_redis_entry_string(u_char *p, u_char *data, size_t len)
{
    p = ngx_sprintf(p, "$%uz" CRLF, len);
    p = ngx_cpymem(p, data, len);

    *p++ = CR;
    *p++ = LF;

    return p;
}
