
/*
 * What Telegram says of the webhooks that are registered.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_WEBHOOK_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_WEBHOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_status_json.h"
#include "ngx_http_tgbot_status_metrics.h"


/* a group of metrics, see ngx_http_tgbot_status_group_t */

extern const ngx_http_tgbot_metric_t  ngx_http_tgbot_status_webhook_metrics[];
extern const ngx_uint_t               ngx_http_tgbot_status_webhook_n;

ngx_uint_t ngx_http_tgbot_status_webhook_has(void *of);
uint64_t ngx_http_tgbot_status_webhook_value(void *of, ngx_uint_t metric,
    ngx_uint_t i, ngx_uint_t j);


/* the member "webhook" of a bot that has tgbot_register */
void ngx_http_tgbot_status_webhook(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_status_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_STATUS_WEBHOOK_H_INCLUDED_ */
