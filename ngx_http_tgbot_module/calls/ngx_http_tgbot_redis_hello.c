
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_redis_error.h"
#include "ngx_http_tgbot_redis_hello.h"


/* the scripts have flags, which older versions do not know */
#define NGX_HTTP_TGBOT_REDIS_VERSION  7


typedef struct {
    ngx_str_t     argv[4];
    ngx_uint_t    argc;

    /* NULL: any reply but an error is good */
    void        (*check)(ngx_http_tgbot_redis_link_t *link,
                    redisReply *reply);

    ngx_uint_t    optional;   /* an error is no fault */
} ngx_http_tgbot_redis_hello_t;


static void ngx_http_tgbot_redis_hello_login(ngx_http_tgbot_redis_link_t *link,
    ngx_str_t *user, ngx_str_t *password);
static void ngx_http_tgbot_redis_hello_send(ngx_http_tgbot_redis_link_t *link,
    const ngx_http_tgbot_redis_hello_t *hello);
static void ngx_http_tgbot_redis_hello_done(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);
static void ngx_http_tgbot_redis_hello_info(ngx_http_tgbot_redis_link_t *link,
    redisReply *reply);
static void ngx_http_tgbot_redis_hello_config(
    ngx_http_tgbot_redis_link_t *link, redisReply *reply);
static void ngx_http_tgbot_redis_hello_pong(ngx_http_tgbot_redis_link_t *link,
    redisReply *reply);
static void ngx_http_tgbot_redis_hello_master(
    ngx_http_tgbot_redis_link_t *link, redisReply *reply);
static ngx_uint_t ngx_http_tgbot_redis_hello_first(ngx_uint_t *warned);


/* all are sent at once: the last reply tells that the others were good */

static const ngx_http_tgbot_redis_hello_t  ngx_http_tgbot_redis_hellos[] = {

    { { ngx_string("INFO") }, 1, ngx_http_tgbot_redis_hello_info, 0 },

    { { ngx_string("CONFIG"), ngx_string("GET"), ngx_string("save"),
        ngx_string("appendonly") }, 4, ngx_http_tgbot_redis_hello_config, 1 },

    /* while Redis loads its data, it refuses this one and not those above */

    { { ngx_string("PING") }, 1, ngx_http_tgbot_redis_hello_pong, 0 },

    { { ngx_null_string }, 0, NULL, 0 }
};


/* these depend on the configuration */

static ngx_http_tgbot_redis_hello_t  ngx_http_tgbot_redis_hello_auth = {
    { ngx_string("AUTH") }, 0, NULL, 0
};

static ngx_http_tgbot_redis_hello_t  ngx_http_tgbot_redis_hello_select = {
    { ngx_string("SELECT") }, 0, NULL, 0
};

static ngx_http_tgbot_redis_hello_t  ngx_http_tgbot_redis_hello_ask = {
    { ngx_string("SENTINEL"), ngx_string("GET-MASTER-ADDR-BY-NAME") }, 3,
    ngx_http_tgbot_redis_hello_master, 0
};


void
ngx_http_tgbot_redis_hello(ngx_http_tgbot_redis_link_t *link)
{
    ngx_http_tgbot_redis_conf_t         *conf;
    ngx_http_tgbot_redis_hello_t        *h;
    const ngx_http_tgbot_redis_hello_t  *hello;

    static u_char                        db[NGX_INT_T_LEN];

    conf = link->conf;

    if (link->asking) {
        ngx_http_tgbot_redis_hello_login(link, &conf->sentinel_user,
                                         &conf->sentinel_password);

        h = &ngx_http_tgbot_redis_hello_ask;
        h->argv[2] = conf->sentinel;

        ngx_http_tgbot_redis_hello_send(link, h);
        return;
    }

    ngx_http_tgbot_redis_hello_login(link, &conf->user, &conf->password);

    if (conf->db) {
        h = &ngx_http_tgbot_redis_hello_select;
        h->argc = 2;
        h->argv[1].data = db;
        h->argv[1].len = ngx_sprintf(db, "%ui", conf->db) - db;

        ngx_http_tgbot_redis_hello_send(link, h);
    }

    for (hello = ngx_http_tgbot_redis_hellos; hello->argc; hello++) {
        ngx_http_tgbot_redis_hello_send(link, hello);
    }
}


static void
ngx_http_tgbot_redis_hello_login(ngx_http_tgbot_redis_link_t *link,
    ngx_str_t *user, ngx_str_t *password)
{
    ngx_http_tgbot_redis_hello_t  *h;

    if (password->len == 0) {
        return;
    }

    h = &ngx_http_tgbot_redis_hello_auth;
    h->argc = 1;

    if (user->len) {
        h->argv[h->argc++] = *user;
    }

    h->argv[h->argc++] = *password;

    ngx_http_tgbot_redis_hello_send(link, h);
}


/* without memory the link is never up, and is given up when its time is over */

static void
ngx_http_tgbot_redis_hello_send(ngx_http_tgbot_redis_link_t *link,
    const ngx_http_tgbot_redis_hello_t *hello)
{
    ngx_http_tgbot_redis_entry_t  *entry;

    entry = ngx_http_tgbot_redis_entry_create(NULL, (ngx_str_t *) hello->argv,
                                              hello->argc, 0,
                                              NGX_MAX_SIZE_T_VALUE);
    if (entry) {
        entry->done = ngx_http_tgbot_redis_hello_done;
        entry->data = (void *) hello;

        ngx_http_tgbot_redis_link_push(link, entry, 1);
    }
}


static void
ngx_http_tgbot_redis_hello_done(ngx_http_tgbot_redis_link_t *link,
    ngx_http_tgbot_redis_entry_t *entry, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply)
{
    const ngx_http_tgbot_redis_hello_t  *hello = entry->data;

    if (rc != NGX_HTTP_TGBOT_REDIS_OK) {
        return;
    }

    if (reply->type != REDIS_REPLY_ERROR) {

        if (hello->check) {
            hello->check(link, reply);
        }

        return;
    }

    if (!hello->optional) {
        (void) ngx_http_tgbot_redis_error(link, reply, &hello->argv[0], 0);
        ngx_http_tgbot_redis_link_fail(link);
    }
}


static void
ngx_http_tgbot_redis_hello_info(ngx_http_tgbot_redis_link_t *link,
    redisReply *reply)
{
    ngx_int_t          major;
    ngx_str_t          version, role, policy;

    static ngx_uint_t  warned;

    if (ngx_http_tgbot_redis_reply_value(reply, "redis_version", &version)
        != NGX_OK
        || ngx_http_tgbot_redis_reply_value(reply, "role", &role) != NGX_OK)
    {
        ngx_str_set(&version, "?");
        ngx_str_null(&role);
    }

    major = (version.len > 1 && version.data[1] >= '0'
             && version.data[1] <= '9')
            ? ngx_atoi(version.data, 2) : ngx_atoi(version.data, 1);

    if (major < NGX_HTTP_TGBOT_REDIS_VERSION) {

        if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_HELLO)) {
            ngx_log_error(NGX_LOG_ERR, &link->log, 0,
                          "Redis has version \"%V\", expected %d.0 or newer",
                          &version, NGX_HTTP_TGBOT_REDIS_VERSION);
        }

        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    /* a replica in a cluster tells where the master is */

    if (link->conf->cluster) {
        role.len = 6;
        role.data = (u_char *) "master";
    }

    if (role.len != 6 || ngx_strncmp(role.data, "master", 6) != 0) {

        if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_ROLE)) {
            ngx_log_error(NGX_LOG_ERR, &link->log, 0,
                          "Redis has role \"%V\", expected \"master\"", &role);
        }

        ngx_http_tgbot_redis_link_fail(link);
        return;
    }

    if (ngx_http_tgbot_redis_reply_value(reply, "maxmemory_policy", &policy)
        == NGX_OK
        && (policy.len != 10
            || ngx_strncmp(policy.data, "noeviction", 10) != 0)
        && ngx_http_tgbot_redis_hello_first(&warned))
    {
        ngx_log_error(NGX_LOG_WARN, &link->log, 0,
                      "Redis has \"maxmemory-policy\" \"%V\", so it can drop "
                      "queued updates: expected \"noeviction\"", &policy);
    }
}


static void
ngx_http_tgbot_redis_hello_config(ngx_http_tgbot_redis_link_t *link,
    redisReply *reply)
{
    ngx_str_t          save, aof;

    static ngx_uint_t  warned;

    if (ngx_http_tgbot_redis_reply_value(reply, "save", &save) == NGX_OK
        && save.len == 0
        && ngx_http_tgbot_redis_reply_value(reply, "appendonly", &aof)
           == NGX_OK
        && aof.len == 2
        && ngx_http_tgbot_redis_hello_first(&warned))
    {
        ngx_log_error(NGX_LOG_WARN, &link->log, 0,
                      "Redis has neither \"appendonly yes\" nor \"save\", so "
                      "its restart loses all queued updates");
    }
}


static void
ngx_http_tgbot_redis_hello_pong(ngx_http_tgbot_redis_link_t *link,
    redisReply *reply)
{
    ngx_http_tgbot_redis_link_up(link);
}


static void
ngx_http_tgbot_redis_hello_master(ngx_http_tgbot_redis_link_t *link,
    redisReply *reply)
{
    ngx_str_t  text[2];

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
        && reply->element[0]->type == REDIS_REPLY_STRING
        && reply->element[1]->type == REDIS_REPLY_STRING)
    {
        text[0].data = (u_char *) reply->element[0]->str;
        text[0].len = reply->element[0]->len;
        text[1].data = (u_char *) reply->element[1]->str;
        text[1].len = reply->element[1]->len;

        ngx_http_tgbot_redis_link_told(link, &text[0], &text[1]);
        return;
    }

    if (ngx_http_tgbot_redis_link_may_log(NGX_HTTP_TGBOT_REDIS_LOG_SENTINEL)) {
        ngx_log_error(NGX_LOG_ERR, &link->log, 0,
                      "sentinel knows no master \"%V\"",
                      &link->conf->sentinel);
    }

    ngx_http_tgbot_redis_link_fail(link);
}


/* one worker warns, once in its life */

static ngx_uint_t
ngx_http_tgbot_redis_hello_first(ngx_uint_t *warned)
{
    return ngx_worker == 0 && (*warned)++ == 0;
}
