
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


/* the member "webhook" of a bot that has tgbot_register */
void ngx_http_tgbot_status_webhook(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_status_bot_t *bot);


#endif /* _NGX_HTTP_TGBOT_STATUS_WEBHOOK_H_INCLUDED_ */
