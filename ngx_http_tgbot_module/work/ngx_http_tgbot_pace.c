
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_pace.h"


ngx_int_t
ngx_http_tgbot_pace_enter(ngx_http_tgbot_turn_t *turn)
{
    turn->wait = 0;
    turn->entered = 1;

    return NGX_OK;
}


void
ngx_http_tgbot_pace_answered(ngx_http_tgbot_turn_t *turn, ngx_uint_t result,
    ngx_uint_t retry_after, ngx_str_t *body)
{
    /* void */
}


void
ngx_http_tgbot_pace_leave(ngx_http_tgbot_turn_t *turn)
{
    turn->entered = 0;
}
