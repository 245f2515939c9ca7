
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_redis_args.h"


/* bytes of a formatted argument, and of a key behind the slot */
#define NGX_HTTP_TGBOT_REDIS_ARGS_TEXT  128

/* arguments of most scripts */
#define NGX_HTTP_TGBOT_REDIS_ARGS_MANY  24


static void ngx_http_tgbot_redis_args_add(ngx_http_tgbot_redis_args_t *args,
    ngx_str_t *prefix, const char *fmt, va_list list);


void
ngx_http_tgbot_redis_args_init(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_bot_t *bot)
{
    args->bot = bot;
    args->nkeys = 0;

    args->pool = ngx_create_pool(2048, bot->clcf->error_log);

    if (args->pool == NULL) {
        return;
    }

    if (ngx_array_init(&args->argv, args->pool,
                       NGX_HTTP_TGBOT_REDIS_ARGS_MANY, sizeof(ngx_str_t))
        != NGX_OK)
    {
        ngx_destroy_pool(args->pool);
        args->pool = NULL;
    }
}


void ngx_cdecl
ngx_http_tgbot_redis_args_key(ngx_http_tgbot_redis_args_t *args,
    const char *fmt, ...)
{
    va_list  list;

    args->nkeys++;

    va_start(list, fmt);
    ngx_http_tgbot_redis_args_add(args, &args->bot->slot, fmt, list);
    va_end(list);
}


void ngx_cdecl
ngx_http_tgbot_redis_args_shared(ngx_http_tgbot_redis_args_t *args,
    const char *fmt, ...)
{
    va_list    list;
    ngx_str_t  prefix;

    args->nkeys++;

    /* the slot without the braces and the bot */

    prefix.data = args->bot->slot.data + 1;
    prefix.len = args->bot->slot.len - args->bot->name.len - sizeof("{:}") + 1;

    va_start(list, fmt);
    ngx_http_tgbot_redis_args_add(args, &prefix, fmt, list);
    va_end(list);
}


void ngx_cdecl
ngx_http_tgbot_redis_args_print(ngx_http_tgbot_redis_args_t *args,
    const char *fmt, ...)
{
    va_list  list;

    va_start(list, fmt);
    ngx_http_tgbot_redis_args_add(args, NULL, fmt, list);
    va_end(list);
}


/* "prefix" is not NULL: it and a colon stand in front */

static void
ngx_http_tgbot_redis_args_add(ngx_http_tgbot_redis_args_t *args,
    ngx_str_t *prefix, const char *fmt, va_list list)
{
    u_char      text[NGX_HTTP_TGBOT_REDIS_ARGS_TEXT], *p;
    size_t      len;
    ngx_str_t   arg;

    len = ngx_vslprintf(text, text + sizeof(text), fmt, list) - text;

    if (args->pool == NULL) {
        return;
    }

    arg.len = len + (prefix ? prefix->len + 1 : 0);
    arg.data = ngx_pnalloc(args->pool, arg.len);

    if (arg.data) {
        p = arg.data;

        if (prefix) {
            p = ngx_cpymem(p, prefix->data, prefix->len);
            *p++ = ':';
        }

        ngx_memcpy(p, text, len);
    }

    ngx_http_tgbot_redis_args_text(args, &arg);
}


void
ngx_http_tgbot_redis_args_text(ngx_http_tgbot_redis_args_t *args,
    ngx_str_t *text)
{
    ngx_str_t  *arg;

    if (args->pool == NULL) {
        return;
    }

    arg = text->data ? ngx_array_push(&args->argv) : NULL;

    if (arg == NULL) {
        ngx_destroy_pool(args->pool);
        args->pool = NULL;
        return;
    }

    *arg = *text;
}


ngx_int_t
ngx_http_tgbot_redis_args_send(ngx_http_tgbot_redis_args_t *args,
    ngx_http_tgbot_redis_command_t *command,
    const ngx_http_tgbot_redis_script_t *script)
{
    ngx_int_t  rc;

    if (args->pool == NULL) {
        return NGX_DECLINED;
    }

    command->script = script;
    command->slot = &args->bot->slot;
    command->argv = args->argv.elts;
    command->argc = args->argv.nelts;
    command->nkeys = args->nkeys;

    rc = ngx_http_tgbot_redis_send(command);

    ngx_destroy_pool(args->pool);

    return rc;
}


int64_t
ngx_http_tgbot_redis_args_number(redisReply *reply, ngx_uint_t i)
{
    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements
        || reply->element[i]->type != REDIS_REPLY_INTEGER)
    {
        return -1;
    }

    return reply->element[i]->integer;
}
