
/*
 * What Telegram reports about a bot and its webhook: the answers to getMe and
 * getWebhookInfo.
 */

#ifndef _NGX_HTTP_TGBOT_WEBHOOK_INFO_H_INCLUDED_
#define _NGX_HTTP_TGBOT_WEBHOOK_INFO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* texts are decoded, control characters are replaced by spaces */

typedef struct {
    ngx_str_t     url;               /* "": no webhook */
    ngx_str_t     address;           /* "": not reported */
    ngx_str_t     message;           /* of the last error, "": none */
    ngx_str_t     names;             /* allowed_updates, see join() below */
    ngx_str_t     username;          /* of the bot, from getMe; "": not told */

    int64_t       pending;
    int64_t       error_date;        /* 0: no error */
    int64_t       max_connections;   /* 0: not reported */

    unsigned      found:1;           /* the answer has a result */
    unsigned      certificate:1;     /* has_custom_certificate */
    unsigned      has_names:1;       /* 0: Telegram's default */
} ngx_http_tgbot_webhook_info_t;


/*
 * Reads the body of an answer; texts are allocated from pool.  NGX_DECLINED:
 * it is an answer to neither.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_webhook_info_parse(ngx_http_tgbot_webhook_info_t *info,
    ngx_str_t *body, ngx_pool_t *pool);

/*
 * Sorts names, an array of ngx_str_t, in place and joins them with commas
 * into a text in pool, each name once.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_webhook_info_join(ngx_array_t *names, ngx_pool_t *pool,
    ngx_str_t *joined);


#endif /* _NGX_HTTP_TGBOT_WEBHOOK_INFO_H_INCLUDED_ */
