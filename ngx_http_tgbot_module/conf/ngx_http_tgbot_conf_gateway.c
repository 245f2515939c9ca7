
/*
 * tgbot_gateway.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_conf.h"
#include "ngx_http_tgbot_gateway.h"
#include "ngx_http_tgbot_pace_use.h"
#include "ngx_http_tgbot_secret.h"


/* bytes of a body in memory: the longest texts with buttons, escaped */
#define NGX_HTTP_TGBOT_CONF_GATEWAY_BODY  (64 * 1024)


static char *ngx_http_tgbot_conf_gateway_name(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_gateway_allow(ngx_http_tgbot_conf_arg_t *arg);
static char *ngx_http_tgbot_conf_gateway_check(ngx_conf_t *cf,
    ngx_command_t *cmd, void *object);
static const char *ngx_http_tgbot_conf_gateway_fault(
    ngx_http_core_loc_conf_t *clcf);
static ngx_int_t ngx_http_tgbot_conf_gateway_errors(ngx_conf_t *cf,
    ngx_http_tgbot_gateway_conf_t *gateway, ngx_http_core_loc_conf_t *clcf);
static const char *ngx_http_tgbot_conf_gateway_pace(
    ngx_http_tgbot_gateway_conf_t *gateway);


static ngx_conf_enum_t  ngx_http_tgbot_conf_gateway_orders[] = {
    { ngx_string("chat"), NGX_HTTP_TGBOT_ORDER_CHAT },
    { ngx_string("strict"), NGX_HTTP_TGBOT_ORDER_STRICT },
    { ngx_string("off"), NGX_HTTP_TGBOT_ORDER_OFF },
    { ngx_null_string, 0 }
};


static ngx_http_tgbot_conf_parameter_t  ngx_http_tgbot_conf_gateway_table[] = {

    { ngx_null_string, ngx_http_tgbot_conf_gateway_name,
      offsetof(ngx_http_tgbot_gateway_conf_t, name), NULL, 0 },

    { ngx_string("bulk"), ngx_http_tgbot_conf_word,
      offsetof(ngx_http_tgbot_gateway_conf_t, bulk), NULL, 0 },

    { ngx_string("timeout="), ngx_http_tgbot_conf_time,
      offsetof(ngx_http_tgbot_gateway_conf_t, timeout), NULL, 0 },

    { ngx_string("order="), ngx_http_tgbot_conf_enum,
      offsetof(ngx_http_tgbot_gateway_conf_t, order),
      ngx_http_tgbot_conf_gateway_orders, 0 },

    { ngx_string("idempotency="), ngx_http_tgbot_conf_zone,
      offsetof(ngx_http_tgbot_gateway_conf_t, idempotency),
      &ngx_http_tgbot_idempotency_zone, 0 },

    { ngx_string("allow="), ngx_http_tgbot_conf_gateway_allow,
      offsetof(ngx_http_tgbot_gateway_conf_t, allow), NULL, 0 },

    { ngx_null_string, NULL, 0,
      "\"bulk\", \"timeout=\", \"order=\", \"idempotency=\" or "
      "\"allow=\"", 0 }
};


static ngx_http_tgbot_gateway_conf_t  ngx_http_tgbot_conf_gateway_default = {
    .timeout = 50000,
    .order = NGX_HTTP_TGBOT_ORDER_CHAT
};

ngx_http_tgbot_conf_directive_t  ngx_http_tgbot_conf_gateway = {
    ngx_http_tgbot_conf_gateway_table, &ngx_http_tgbot_conf_gateway_default,
    sizeof(ngx_http_tgbot_gateway_conf_t), 0, ngx_http_tgbot_conf_gateway_check
};


static char *
ngx_http_tgbot_conf_gateway_name(ngx_http_tgbot_conf_arg_t *arg)
{
    const char  *fault;

    fault = ngx_http_tgbot_secret_fault(&arg->text,
                                        &ngx_http_tgbot_secret_name_shape);

    if (fault) {
        ngx_conf_log_error(NGX_LOG_EMERG, arg->cf, 0,
                           "invalid value \"%V\" in \"%V\" directive: %s",
                           &arg->text, &arg->cmd->name, fault);
        return NGX_CONF_ERROR;
    }

    *(ngx_str_t *) arg->field = arg->text;

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_gateway_allow(ngx_http_tgbot_conf_arg_t *arg)
{
    u_char        *p, *end, *last;
    ngx_str_t      name, *method;
    ngx_array_t  **allow;

    allow = arg->field;

    *allow = ngx_array_create(arg->cf->pool, 2, sizeof(ngx_str_t));
    if (*allow == NULL) {
        return NGX_CONF_ERROR;
    }

    last = arg->text.data + arg->text.len;

    for (p = arg->text.data; p <= last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');

        if (end == NULL) {
            end = last;
        }

        name.data = p;
        name.len = end - p;

        if (!ngx_http_tgbot_gateway_refuses(&name)) {
            return ngx_http_tgbot_conf_expected(arg,
                              "some of \"getUpdates\", \"setWebhook\", "
                              "\"deleteWebhook\", \"close\" and \"logOut\", "
                              "with commas between them");
        }

        method = ngx_array_push(*allow);
        if (method == NULL) {
            return NGX_CONF_ERROR;
        }

        *method = name;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tgbot_conf_gateway_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *object)
{
    ngx_http_tgbot_gateway_conf_t *gateway = object;

    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_tgbot_main_conf_t      *tmcf;
    ngx_http_tgbot_gateway_conf_t  **gatewayp;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    if (tmcf->gateways == NULL) {
        tmcf->gateways = ngx_array_create(cf->pool, 2,
                                     sizeof(ngx_http_tgbot_gateway_conf_t *));
        if (tmcf->gateways == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    gatewayp = ngx_array_push(tmcf->gateways);
    if (gatewayp == NULL) {
        return NGX_CONF_ERROR;
    }

    *gatewayp = gateway;

    clcf = ngx_http_tgbot_conf_handler(cf, ngx_http_tgbot_gateway_handler);

    gateway->conf = ngx_http_conf_get_module_loc_conf(cf,
                                                      ngx_http_tgbot_module);
    gateway->clcf = clcf;
    gateway->file = cf->conf_file->file.name.data;
    gateway->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


char *
ngx_http_tgbot_conf_gateway_merge(ngx_conf_t *cf,
    ngx_http_tgbot_gateway_conf_t *gateway, ngx_http_core_loc_conf_t *clcf)
{
    const char  *fault;

    fault = clcf->noname ? NULL : ngx_http_tgbot_conf_gateway_fault(clcf);

    if (fault) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tgbot_gateway\" directive \"%V\" stands in location "
                      "\"%V\" %s in %s:%ui",
                      &gateway->name, &clcf->name, fault, gateway->file,
                      gateway->line);
        return NGX_CONF_ERROR;
    }

    clcf->client_body_buffer_size = ngx_max(clcf->client_body_buffer_size,
                                            NGX_HTTP_TGBOT_CONF_GATEWAY_BODY);

    if (ngx_http_tgbot_conf_gateway_errors(cf, gateway, clcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static const char *
ngx_http_tgbot_conf_gateway_fault(ngx_http_core_loc_conf_t *clcf)
{
    if (clcf->handler != ngx_http_tgbot_gateway_handler) {
        return "beside another content handler, expected a location of its own";
    }

    if (clcf->name.len == 0 || clcf->name.data[0] != '/'
        || clcf->exact_match
#if (NGX_PCRE)
        || clcf->regex
#endif
       )
    {
        return "which is no prefix, expected a location such as \"/bot/\"";
    }

    return NULL;
}


/*
 * nginx refuses a body that is too large before and while the body is read.
 * This error page makes it ask the gateway for the answer.
 */

static ngx_int_t
ngx_http_tgbot_conf_gateway_errors(ngx_conf_t *cf,
    ngx_http_tgbot_gateway_conf_t *gateway, ngx_http_core_loc_conf_t *clcf)
{
    ngx_uint_t            i, n;
    ngx_array_t          *pages;
    ngx_http_err_page_t  *page, *own;

    n = clcf->error_pages ? clcf->error_pages->nelts : 0;

    pages = ngx_array_create(cf->pool, n + 1, sizeof(ngx_http_err_page_t));
    if (pages == NULL) {
        return NGX_ERROR;
    }

    page = ngx_array_push_n(pages, n + 1);
    if (page == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(page, sizeof(ngx_http_err_page_t));

    page->status = NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    page->overwrite = -1;
    page->value.value = gateway->clcf->name;

    own = clcf->error_pages ? clcf->error_pages->elts : NULL;

    for (i = 0; i < n; i++) {
        page[i + 1] = own[i];
    }

    clcf->error_pages = pages;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_conf_gateways(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    const char                      *fault;
    ngx_http_handler_pt             *handler;
    ngx_http_core_main_conf_t       *cmcf;
    ngx_http_tgbot_main_conf_t      *tmcf;
    ngx_http_tgbot_gateway_conf_t  **gateways;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    if (tmcf->gateways == NULL) {
        return NGX_OK;
    }

    gateways = tmcf->gateways->elts;

    for (i = 0; i < tmcf->gateways->nelts; i++) {

        gateways[i]->bot = ngx_http_tgbot_bot_named(tmcf, &gateways[i]->name);

        fault = (gateways[i]->bot == NULL)
                ? "is the name of no bot, expected that of a \"tgbot_webhook\""
                : (gateways[i]->bot->conf->api == NULL)
                  ? "names a bot without \"tgbot_api\", expected \"tgbot_api\" "
                    "for its \"tgbot_webhook\""
                  : ngx_http_tgbot_conf_gateway_pace(gateways[i]);

        if (fault) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "value \"%V\" in \"tgbot_gateway\" directive %s in "
                          "%s:%ui", &gateways[i]->name, fault,
                          gateways[i]->file, gateways[i]->line);
            return NGX_ERROR;
        }

        if (ngx_http_tgbot_conf_keys(cf, gateways[i]->idempotency,
                                     gateways[i]->bot, &gateways[i]->keys)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handler = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (handler == NULL) {
        return NGX_ERROR;
    }

    *handler = ngx_http_tgbot_gateway_post_read;

    return NGX_OK;
}


/* answers and the gateway wait for each other in one zone, or not at all */

static const char *
ngx_http_tgbot_conf_gateway_pace(ngx_http_tgbot_gateway_conf_t *gateway)
{
    ngx_http_tgbot_pace_conf_t  *pace;

    pace = gateway->conf->pace;

    return (pace == NULL || pace->zone == NULL
            || pace->zone == gateway->bot->pace->zone)
           ? NULL
           : "has a \"tgbot_pace\" with another zone than its bot, expected "
             "the one of its \"tgbot_webhook\"";
}


ngx_int_t
ngx_http_tgbot_conf_keys(ngx_conf_t *cf, ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_zone_user_t **keys)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_zone_user_t  **users;

    if (zone == NULL) {
        return NGX_OK;
    }

    users = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {

        if (ngx_http_tgbot_conf_equal(&users[i]->bot, &bot->name)) {
            *keys = users[i];
            return NGX_OK;
        }
    }

    *keys = ngx_http_tgbot_conf_user(cf, zone,
                                     sizeof(ngx_http_tgbot_zone_user_t));
    if (*keys == NULL) {
        return NGX_ERROR;
    }

    (*keys)->zone = zone;
    (*keys)->bot = bot->name;
    (*keys)->bot_id = bot->id;

    return NGX_OK;
}
