
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_verdict.h"


/* in the order of ngx_http_tgbot_verdict_e */

ngx_str_t  ngx_http_tgbot_verdict_names[] = {
    ngx_null_string,
    ngx_string("done"),
    ngx_string("queued"),
    ngx_string("duplicate"),
    ngx_string("limited"),
    ngx_string("stale"),
    ngx_string("ignored"),
    ngx_string("dead"),
    ngx_string("busy"),
    ngx_string("failed"),
    ngx_string("rejected"),
    ngx_string("aborted")
};
