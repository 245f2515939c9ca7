
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_status_webhook.h"


static void ngx_http_tgbot_status_webhook_text(
    ngx_http_tgbot_status_json_t *s, const char *name, u_char *data,
    size_t len);
static void ngx_http_tgbot_status_webhook_names(
    ngx_http_tgbot_status_json_t *s, ngx_http_tgbot_registration_t *known);


/* ngx_http_tgbot_registry_state_e */

static ngx_str_t  ngx_http_tgbot_status_webhook_states[] = {
    ngx_string("unknown"),
    ngx_string("ok"),
    ngx_string("pending"),
    ngx_string("error"),
    ngx_string("stopped")
};


void
ngx_http_tgbot_status_webhook(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_status_bot_t *bot)
{
    ngx_http_tgbot_registration_t  *known;

    known = bot->known;

    ngx_http_tgbot_status_json_key(s, "webhook");
    ngx_http_tgbot_status_json_open(s, '{');

    ngx_http_tgbot_status_json_text(s, "state",
                           &ngx_http_tgbot_status_webhook_states[known->state]);

    ngx_http_tgbot_status_webhook_text(s, "url", known->url, known->url_len);

    ngx_http_tgbot_status_json_text(s, "expected", &bot->bot->hook->shown);

    ngx_http_tgbot_status_webhook_text(s, "ip_address", known->address,
                                       known->address_len);
    ngx_http_tgbot_status_json_member(s, "max_connections",
                                      known->max_connections);
    ngx_http_tgbot_status_webhook_names(s, known);
    ngx_http_tgbot_status_json_flag(s, "has_custom_certificate",
                                    known->certificate);
    ngx_http_tgbot_status_json_member(s, "pending_updates", known->pending);
    ngx_http_tgbot_status_json_member(s, "last_error_date",
                                      known->error_date);
    ngx_http_tgbot_status_webhook_text(s, "last_error_message",
                                       known->message, known->message_len);

    ngx_http_tgbot_status_json_member(s, "checked", known->checked);
    ngx_http_tgbot_status_json_member(s, "registered", known->registered_at);
    ngx_http_tgbot_status_json_member(s, "taken",
                           ngx_http_tgbot_registry_taken(known, ngx_time()));
    ngx_http_tgbot_status_webhook_text(s, "error", known->error,
                                       known->error_len);

    ngx_http_tgbot_status_json_close(s, '}');
}


static void
ngx_http_tgbot_status_webhook_text(ngx_http_tgbot_status_json_t *s,
    const char *name, u_char *data, size_t len)
{
    ngx_str_t  text;

    text.data = data;
    text.len = len;

    ngx_http_tgbot_status_json_text(s, name, &text);
}


/* names are separated by commas; null: Telegram's default */

static void
ngx_http_tgbot_status_webhook_names(ngx_http_tgbot_status_json_t *s,
    ngx_http_tgbot_registration_t *known)
{
    u_char     *p, *last;
    ngx_str_t   name;

    ngx_http_tgbot_status_json_key(s, "allowed_updates");

    if (!known->has_names) {
        ngx_http_tgbot_status_json_value(s, "null", 4);
        return;
    }

    ngx_http_tgbot_status_json_open(s, '[');

    p = known->names;
    last = p + known->names_len;

    for ( /* void */ ; p < last; p++) {
        name.data = p;

        while (p < last && *p != ',') {
            p++;
        }

        name.len = p - name.data;

        ngx_http_tgbot_status_json_string(s, &name);
    }

    ngx_http_tgbot_status_json_close(s, ']');
}
