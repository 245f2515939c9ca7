
/*
 * The $tgbot_ variables.
 */

#ifndef _NGX_HTTP_TGBOT_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_TGBOT_VARIABLES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"


/* preconfiguration: declares the variables */
ngx_int_t ngx_http_tgbot_variables_add(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TGBOT_VARIABLES_H_INCLUDED_ */
