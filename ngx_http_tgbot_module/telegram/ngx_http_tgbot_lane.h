
/*
 * Which updates are to be handled in order: Telegram's own queues.
 */

#ifndef _NGX_HTTP_TGBOT_LANE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_LANE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update.h"


/* a key takes at most so many bytes: a type, and an identifier */
#define NGX_HTTP_TGBOT_LANE_KEY  128


/*
 * Writes the key of the update's queue into buf, of LANE_KEY bytes.  Updates
 * with one key are delivered by Telegram one after the other; one that has
 * no company has a key of its own.
 */
void ngx_http_tgbot_lane_key(ngx_http_tgbot_update_t *update, u_char *buf,
    ngx_str_t *key);


#endif /* _NGX_HTTP_TGBOT_LANE_H_INCLUDED_ */
