
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_command.h"


static u_char *ngx_http_tgbot_command_word(u_char *p, u_char *last);


void
ngx_http_tgbot_command_parse(ngx_str_t *text, ngx_str_t *command,
    ngx_str_t *args)
{
    u_char  *p, *end, *bot, *last;

    if (text->len == 0 || text->data[0] != '/') {
        return;
    }

    p = text->data + 1;
    last = text->data + text->len;

    end = ngx_http_tgbot_command_word(p, last);

    if (end == p || end - p > NGX_HTTP_TGBOT_COMMAND_LEN) {
        return;
    }

    p = end;

    if (p < last && *p == '@') {
        bot = ++p;
        p = ngx_http_tgbot_command_word(bot, last);

        if (p == bot) {
            return;
        }
    }

    if (p < last && *p != ' ') {
        return;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    while (p < last && last[-1] == ' ') {
        last--;
    }

    command->data = text->data;
    command->len = end - text->data;

    args->data = p;
    args->len = last - p;
}


/* the end of the letters, digits and underscores at p */

static u_char *
ngx_http_tgbot_command_word(u_char *p, u_char *last)
{
    u_char  c;

    for ( /* void */ ; p < last; p++) {
        c = (u_char) (*p | 0x20);

        if ((c < 'a' || c > 'z') && (*p < '0' || *p > '9') && *p != '_') {
            break;
        }
    }

    return p;
}
