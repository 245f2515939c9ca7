
/*
 * All metrics in Prometheus' text format.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_PROMETHEUS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_PROMETHEUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_status_metrics.h"
#include "ngx_http_tgbot_status_text.h"


/* writes all metrics to s, and sets s->type */
void ngx_http_tgbot_status_prometheus(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_snapshot_t *snapshot);


#endif /* _NGX_HTTP_TGBOT_STATUS_PROMETHEUS_H_INCLUDED_ */
