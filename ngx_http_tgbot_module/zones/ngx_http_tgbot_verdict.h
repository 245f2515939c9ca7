
/*
 * What became of a delivery.
 */

#ifndef _NGX_HTTP_TGBOT_VERDICT_H_INCLUDED_
#define _NGX_HTTP_TGBOT_VERDICT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_TGBOT_NONE = 0,
    NGX_HTTP_TGBOT_DONE,
    NGX_HTTP_TGBOT_QUEUED,
    NGX_HTTP_TGBOT_DUPLICATE,
    NGX_HTTP_TGBOT_LIMITED,
    NGX_HTTP_TGBOT_STALE,
    NGX_HTTP_TGBOT_IGNORED,
    NGX_HTTP_TGBOT_DEAD,
    NGX_HTTP_TGBOT_BUSY,
    NGX_HTTP_TGBOT_FAILED,
    NGX_HTTP_TGBOT_REJECTED,
    NGX_HTTP_TGBOT_ABORTED,
    NGX_HTTP_TGBOT_VERDICTS              /* how many */
} ngx_http_tgbot_verdict_e;


/* "done" ... by verdict */
extern ngx_str_t  ngx_http_tgbot_verdict_names[];


#endif /* _NGX_HTTP_TGBOT_VERDICT_H_INCLUDED_ */
