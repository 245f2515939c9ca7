
/*
 * Commands in the text of a message.
 */

#ifndef _NGX_HTTP_TGBOT_COMMAND_H_INCLUDED_
#define _NGX_HTTP_TGBOT_COMMAND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* letters, digits and underscores behind the slash */
#define NGX_HTTP_TGBOT_COMMAND_LEN  32


/*
 * Of "/start@my_bot x y" the command is "/start" and the arguments are "x y",
 * without spaces around; both point into text.  If the text does not begin
 * with a command both are left as they are.  The text is cleaned by
 * ngx_http_tgbot_json_clean(), so that any white space is a space.
 */
void ngx_http_tgbot_command_parse(ngx_str_t *text, ngx_str_t *command,
    ngx_str_t *args);


#endif /* _NGX_HTTP_TGBOT_COMMAND_H_INCLUDED_ */
