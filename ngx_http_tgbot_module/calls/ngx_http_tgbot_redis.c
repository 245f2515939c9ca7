
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_redis.h"
#include "ngx_http_tgbot_redis_bell.h"
#include "ngx_http_tgbot_redis_cluster.h"
#include "ngx_http_tgbot_redis_durable.h"
#include "ngx_http_tgbot_redis_error.h"
#include "ngx_http_tgbot_redis_hello.h"
#include "ngx_http_tgbot_redis_link.h"


/* so often a command is sent again after MOVED, ASK or NOSCRIPT */
#define NGX_HTTP_TGBOT_REDIS_HOPS  5


static void ngx_http_tgbot_redis_push(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry);
static void ngx_http_tgbot_redis_done(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);
static ngx_int_t ngx_http_tgbot_redis_redirect(
    ngx_http_tgbot_redis_link_t *link, ngx_http_tgbot_redis_entry_t *entry,
    redisReply *reply);
static ngx_int_t ngx_http_tgbot_redis_again(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, redisReply *reply);
static void ngx_http_tgbot_redis_count(ngx_http_tgbot_redis_result_e rc,
    ngx_msec_t elapsed);
static void ngx_http_tgbot_redis_opened(ngx_http_tgbot_redis_link_t *link);


static ngx_http_tgbot_redis_link_t  ngx_http_tgbot_redis_link;

static const ngx_http_tgbot_redis_counters_t  *ngx_http_tgbot_redis_counters;

/* of this worker: commands in flight, and their bytes */
static ngx_uint_t  ngx_http_tgbot_redis_commands;
static size_t      ngx_http_tgbot_redis_bytes;

static ngx_uint_t  ngx_http_tgbot_redis_opens;
static ngx_uint_t  ngx_http_tgbot_redis_exited;


void
ngx_http_tgbot_redis_init_process(ngx_http_tgbot_redis_conf_t *conf,
    const ngx_http_tgbot_redis_counters_t *counters)
{
    ngx_http_tgbot_redis_link_t  *link;

    ngx_http_tgbot_redis_exited = 0;
    ngx_http_tgbot_redis_counters = counters;

    ngx_http_tgbot_redis_bell_init(conf);

    if (conf) {
        link = &ngx_http_tgbot_redis_link;

        link->conf = conf;
        link->hello = ngx_http_tgbot_redis_hello;
        link->opened = ngx_http_tgbot_redis_opened;

        ngx_http_tgbot_redis_cluster_init(link);
        ngx_http_tgbot_redis_link_open(link);

        ngx_http_tgbot_redis_durable_init(conf, ngx_http_tgbot_redis_done);
    }
}


void
ngx_http_tgbot_redis_exit_process(void)
{
    ngx_http_tgbot_redis_exited = 1;

    ngx_http_tgbot_redis_link_close(&ngx_http_tgbot_redis_link);
    ngx_http_tgbot_redis_cluster_exit();
    ngx_http_tgbot_redis_durable_exit();
    ngx_http_tgbot_redis_bell_exit();
}


ngx_int_t
ngx_http_tgbot_redis_send(ngx_http_tgbot_redis_command_t *c)
{
    ngx_uint_t                     durable;
    ngx_http_tgbot_redis_link_t   *link;
    ngx_http_tgbot_redis_entry_t  *entry;

    link = &ngx_http_tgbot_redis_link;

    durable = (c->durable && link->conf && link->conf->replicas);

    if (c->slot && link->conf && link->conf->cluster) {
        link = ngx_http_tgbot_redis_cluster_link(
                                  ngx_http_tgbot_redis_cluster_slot(c->slot));
    }

    if (!(durable ? ngx_http_tgbot_redis_durable_ready()
                  : ngx_http_tgbot_redis_link_ready(link))
        || ngx_http_tgbot_redis_commands >= NGX_HTTP_TGBOT_REDIS_COMMANDS)
    {
        goto declined;
    }

    entry = ngx_http_tgbot_redis_entry_create(c->script, c->argv, c->argc,
                                              c->nkeys,
                                              NGX_HTTP_TGBOT_REDIS_BYTES
                                              - ngx_http_tgbot_redis_bytes);
    if (entry == NULL) {
        goto declined;
    }

    ngx_http_tgbot_redis_commands++;
    ngx_http_tgbot_redis_bytes += entry->size;

    entry->done = ngx_http_tgbot_redis_done;
    entry->data = c;
    entry->durable = durable;
    entry->held = 1;

    c->entry = entry;

    ngx_http_tgbot_redis_push(link, entry);

    return NGX_OK;

declined:

    ngx_http_tgbot_redis_count(NGX_HTTP_TGBOT_REDIS_AWAY, 0);

    return NGX_DECLINED;
}


static void
ngx_http_tgbot_redis_push(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry)
{
    ngx_http_tgbot_redis_entry_t  *asking;

    static ngx_str_t               name = ngx_string("ASKING");

    if (entry->durable) {
        ngx_http_tgbot_redis_durable_push(entry);
        return;
    }

    if (entry->asked) {
        asking = ngx_http_tgbot_redis_entry_create(NULL, &name, 1, 0,
                                                   NGX_MAX_SIZE_T_VALUE);

        /* without it the node says MOVED, or Redis is asked again */

        if (asking) {
            ngx_http_tgbot_redis_link_push(link, asking, 0);
        }
    }

    ngx_http_tgbot_redis_link_push(link, entry, 0);
}


void
ngx_http_tgbot_redis_cancel(ngx_http_tgbot_redis_command_t *c)
{
    ngx_http_tgbot_redis_entry_t  *entry;

    entry = c->entry;

    if (entry) {
        entry->data = NULL;
        c->entry = NULL;
    }
}


static void
ngx_http_tgbot_redis_done(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply)
{
    ngx_http_tgbot_redis_command_t      *c;
    const ngx_http_tgbot_redis_error_t  *error;

    ngx_http_tgbot_redis_commands--;
    ngx_http_tgbot_redis_bytes -= entry->size;

    if (link->script == entry) {
        link->script = NULL;
    }

    c = entry->data;

    if (c) {
        c->entry = NULL;
    }

    if (ngx_http_tgbot_redis_exited) {
        return;
    }

    if (rc == NGX_HTTP_TGBOT_REDIS_OK && reply->type == REDIS_REPLY_ERROR) {

        if (ngx_http_tgbot_redis_redirect(link, entry, reply) == NGX_OK) {
            return;
        }

        if (entry->script
            && ngx_http_tgbot_redis_again(link, entry, reply) == NGX_OK)
        {
            return;
        }

        error = ngx_http_tgbot_redis_error(link, reply, &entry->name,
                                           entry->script != NULL);

        rc = error->away ? NGX_HTTP_TGBOT_REDIS_AWAY
                         : NGX_HTTP_TGBOT_REDIS_ERROR;

        if (error->leave) {
            ngx_http_tgbot_redis_link_leave(link);
        }
    }

    ngx_http_tgbot_redis_count(rc, ngx_current_msec - entry->start);

    if (c) {
        c->done(c, rc, (rc == NGX_HTTP_TGBOT_REDIS_AWAY) ? NULL : reply);
    }
}


/* NGX_OK: another node of the cluster has the slot, and gets the command */

static ngx_int_t
ngx_http_tgbot_redis_redirect(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, redisReply *reply)
{
    ngx_uint_t                       asked;
    ngx_http_tgbot_redis_command_t  *c;

    if (!link->conf->cluster || entry->hops == NGX_HTTP_TGBOT_REDIS_HOPS) {
        return NGX_DECLINED;
    }

    link = ngx_http_tgbot_redis_cluster_redirect(link, reply, &asked);
    if (link == NULL) {
        return NGX_DECLINED;
    }

    entry->hops++;
    entry->kept = 1;
    entry->asked = asked;

    c = entry->data;

    if (c) {
        c->entry = entry;
    }

    ngx_http_tgbot_redis_commands++;
    ngx_http_tgbot_redis_bytes += entry->size;

    ngx_http_tgbot_redis_push(link, entry);

    return NGX_OK;
}


/*
 * NGX_OK: Redis did not know the script, so the command was sent again: with
 * the script's text, unless that is on its way already
 */

static ngx_int_t
ngx_http_tgbot_redis_again(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, redisReply *reply)
{
    ngx_str_t                        word;
    ngx_uint_t                       whole;
    ngx_http_tgbot_redis_entry_t    *again;
    ngx_http_tgbot_redis_command_t  *c;

    ngx_http_tgbot_redis_reply_class(reply, &word);

    if (word.len != 8 || ngx_strncmp(word.data, "NOSCRIPT", 8) != 0
        || entry->hops == NGX_HTTP_TGBOT_REDIS_HOPS)
    {
        return NGX_DECLINED;
    }

    whole = (link->script == NULL || link->script->script != entry->script);

    again = ngx_http_tgbot_redis_entry_again(entry, whole);
    if (again == NULL) {
        return NGX_ERROR;
    }

    again->hops++;

    if (whole) {
        link->script = again;
    }

    c = entry->data;

    if (c) {
        c->entry = again;
    }

    ngx_http_tgbot_redis_commands++;
    ngx_http_tgbot_redis_bytes += again->size;

    ngx_http_tgbot_redis_push(link, again);

    return NGX_OK;
}


static void
ngx_http_tgbot_redis_count(ngx_http_tgbot_redis_result_e rc,
    ngx_msec_t elapsed)
{
    if (ngx_http_tgbot_redis_counters) {
        ngx_http_tgbot_redis_counters->command(rc, elapsed);
    }
}


ngx_uint_t
ngx_http_tgbot_redis_up(void)
{
    return ngx_http_tgbot_redis_link.up;
}


static void
ngx_http_tgbot_redis_opened(ngx_http_tgbot_redis_link_t *link)
{
    if (ngx_http_tgbot_redis_opens++ && ngx_http_tgbot_redis_counters) {
        ngx_http_tgbot_redis_counters->reconnected();
    }
}
