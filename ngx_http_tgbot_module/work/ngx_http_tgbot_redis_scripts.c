
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_redis_scripts.h"

/* the scripts themselves, made of redis_*.lua */
#include "ngx_http_tgbot_redis_scripts_lua.h"
