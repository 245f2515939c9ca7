
/*
 * What Telegram tells of a webhook beside what the configuration says.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_sha1.h>

#include "ngx_http_tgbot_register.h"


static void ngx_http_tgbot_register_split(ngx_str_t *url, ngx_str_t *host,
    ngx_str_t *rest);
static ngx_uint_t ngx_http_tgbot_register_same_host(ngx_str_t *a,
    ngx_str_t *b);
static ngx_uint_t ngx_http_tgbot_register_same(ngx_str_t *a, ngx_str_t *b);
static ngx_uint_t ngx_http_tgbot_register_says(ngx_str_t *message,
    const char *word);


const char *
ngx_http_tgbot_register_differs(ngx_http_tgbot_register_task_t *task)
{
    ngx_str_t                        host, rest, other_host, other_rest;
    ngx_http_tgbot_webhook_info_t   *info;
    ngx_http_tgbot_register_conf_t  *reg;

    reg = task->bot->reg;
    info = &task->info;

    ngx_http_tgbot_register_split(&reg->url, &host, &rest);
    ngx_http_tgbot_register_split(&info->url, &other_host, &other_rest);

    if (!ngx_http_tgbot_register_same_host(&host, &other_host)
        || !ngx_http_tgbot_register_same(&rest, &other_rest))
    {
        return "url";
    }

    if (info->certificate != (reg->certificate.len != 0)) {
        return "certificate";
    }

    /* settings that are not configured are not compared */

    if (reg->address.len
        && !ngx_http_tgbot_register_same(&reg->address, &info->address))
    {
        return "ip_address";
    }

    if (reg->max_connections
        && (int64_t) reg->max_connections != info->max_connections)
    {
        return "max_connections";
    }

    switch (reg->allowed) {

    case NGX_HTTP_TGBOT_REGISTER_ALLOWED_DEFAULT:
        return info->has_names ? "allowed_updates" : NULL;

    case NGX_HTTP_TGBOT_REGISTER_ALLOWED_LIST:

        /* Telegram does not tell a list that is its default */

        if (info->has_names
            ? !ngx_http_tgbot_register_same(&reg->names, &info->names)
            : !reg->names_default)
        {
            return "allowed_updates";
        }

        break;
    }

    return NULL;
}


void
ngx_http_tgbot_register_print(ngx_http_tgbot_register_task_t *task,
    u_char *print)
{
    ngx_sha1_t                       sha1;
    ngx_http_tgbot_webhook_info_t   *info;
    ngx_http_tgbot_register_conf_t  *reg;

    reg = task->bot->reg;
    info = &task->info;

    ngx_sha1_init(&sha1);

    ngx_sha1_update(&sha1, info->url.data, info->url.len);
    ngx_sha1_update(&sha1, info->certificate ? "\n1" : "\n0", 2);

    if (reg->address.len) {
        ngx_sha1_update(&sha1, "\nip", 3);
        ngx_sha1_update(&sha1, info->address.data, info->address.len);
    }

    if (reg->max_connections) {
        ngx_sha1_update(&sha1, "\nmax", 4);
        ngx_sha1_update(&sha1, &info->max_connections, sizeof(int64_t));
    }

    if (reg->allowed) {
        ngx_sha1_update(&sha1, info->has_names ? "\n[]" : "\n  ", 3);
        ngx_sha1_update(&sha1, info->names.data, info->names.len);
    }

    ngx_sha1_final(print, &sha1);
}


const char *
ngx_http_tgbot_register_refused(ngx_http_tgbot_register_task_t *task)
{
    ngx_str_t  *message;

    message = &task->info.message;

    if (task->info.error_date <= (int64_t) task->known->registered_at) {
        return NULL;
    }

    if (ngx_http_tgbot_register_says(message, "401")) {
        return "a wrong secret";
    }

    /* such as "SSL error {...:certificate verify failed}" */

    if (task->bot->reg->certificate.len
        && ngx_http_tgbot_register_says(message, "certificate"))
    {
        return "a wrong certificate";
    }

    return NULL;
}


static ngx_uint_t
ngx_http_tgbot_register_says(ngx_str_t *message, const char *word)
{
    size_t  len;

    len = ngx_strlen(word);

    return message->len >= len
           && ngx_strlcasestrn(message->data, message->data + message->len,
                               (u_char *) word, len - 1);
}


ngx_uint_t
ngx_http_tgbot_register_foreign(ngx_http_tgbot_register_task_t *task)
{
    ngx_str_t                       host, other, rest;
    ngx_http_tgbot_registration_t  *known;

    known = task->known;

    if (known->registered_at
        || ngx_memcmp(known->registered, ngx_http_tgbot_register_none,
                      NGX_HTTP_TGBOT_REGISTRY_PRINT)
           != 0)
    {
        return 0;
    }

    if (task->info.url.len == 0) {
        return 1;
    }

    ngx_http_tgbot_register_split(&task->bot->reg->url, &host, &rest);
    ngx_http_tgbot_register_split(&task->info.url, &other, &rest);

    return !ngx_http_tgbot_register_same_host(&host, &other);
}


/* "host" is without scheme and ":443"; "rest" begins at the first / or ? */

static void
ngx_http_tgbot_register_split(ngx_str_t *url, ngx_str_t *host,
    ngx_str_t *rest)
{
    u_char  *p, *last;

    p = url->data;
    last = p + url->len;

    if (url->len >= sizeof("https://") - 1
        && ngx_strncasecmp(p, (u_char *) "https://", sizeof("https://") - 1)
           == 0)
    {
        p += sizeof("https://") - 1;
    }

    host->data = p;

    while (p < last && *p != '/' && *p != '?') {
        p++;
    }

    host->len = p - host->data;

    rest->data = p;
    rest->len = last - p;

    if (host->len > 4 && ngx_strncmp(p - 4, ":443", 4) == 0) {
        host->len -= 4;
    }
}


static ngx_uint_t
ngx_http_tgbot_register_same_host(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_strncasecmp(a->data, b->data, a->len) == 0;
}


static ngx_uint_t
ngx_http_tgbot_register_same(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_strncmp(a->data, b->data, a->len) == 0;
}
