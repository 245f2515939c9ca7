
/*
 * State of all bots and zones as JSON.
 */

#ifndef _NGX_HTTP_TGBOT_STATUS_JSON_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATUS_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_status_metrics.h"
#include "ngx_http_tgbot_status_text.h"


/*
 * Writes members into the JSON object that is open in s.  tlcf is the
 * configuration of the location with tgbot_status.
 */
void ngx_http_tgbot_status_json(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_status_snapshot_t *snapshot,
    ngx_http_tgbot_loc_conf_t *tlcf);


#endif /* _NGX_HTTP_TGBOT_STATUS_JSON_H_INCLUDED_ */
