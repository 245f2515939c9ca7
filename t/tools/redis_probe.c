
/*
 * A module of nginx that hands requests to the module's connection to Redis,
 * and shows what came of them:
 *
 *   /c?SET,key,value     a command
 *   /s?key,argument      a script: counts in key, returns count and argument
 *   /d?key,argument      the same, durable
 *   /n?100,INCR,key      a command so many times at once
 *   /m?100,INCR,key      the same, durable
 *   /bell                how often the channel "probe" rang
 *   /up                  whether the connection is up
 *
 * It is built by t/e2e/build.py and loaded behind the module.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_sha1.h>

#include "ngx_http_tgbot_redis.h"


#define PROBE_ARGS  64


typedef struct {
    ngx_http_request_t              *request;
    ngx_http_tgbot_redis_command_t  *commands;
    ngx_uint_t                       n;
    ngx_uint_t                       left;
    ngx_uint_t                       counts[5];
    ngx_str_t                        text;
    ngx_str_t                        slot;    /* "{...}" that begins the key */
} probe_t;


static ngx_int_t probe_handler(ngx_http_request_t *r);
static ngx_int_t probe_send(ngx_http_request_t *r, ngx_uint_t n,
    ngx_uint_t script, ngx_uint_t durable, ngx_str_t *argv, ngx_uint_t argc);
static ngx_uint_t probe_split(ngx_http_request_t *r, ngx_str_t *argv);
static void probe_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply);
static void probe_event(ngx_event_t *ev);
static void probe_cleanup(void *data);
static u_char *probe_reply(u_char *p, u_char *last, redisReply *reply);
static ngx_int_t probe_answer(ngx_http_request_t *r, ngx_str_t *text);
static void probe_rings(void *data, ngx_str_t *message);
static char *probe(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t probe_init_process(ngx_cycle_t *cycle);


static const char  *probe_names[] = {
    "OK", "ERROR", "AWAY", "UNKNOWN", "DECLINED"
};

static ngx_http_tgbot_redis_script_t  probe_script = {
    ngx_string("probe"),
    ngx_string("local n = redis.call('INCR', KEYS[1])\n"
               "if ARGV[1] == 'fail' then\n"
               "    return redis.error_reply('ERR probe failed')\n"
               "end\n"
               "return {n, ARGV[1]}\n"),
    ""
};

static ngx_str_t   probe_channel = ngx_string("probe");
static ngx_uint_t  probe_rung;


static ngx_command_t  probe_commands[] = {

    { ngx_string("redis_probe"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      probe,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  probe_module_ctx = {
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
};


ngx_module_t  ngx_http_redis_probe_module = {
    NGX_MODULE_V1,
    &probe_module_ctx,
    probe_commands,
    NGX_HTTP_MODULE,
    NULL,
    NULL,
    probe_init_process,
    NULL,
    NULL,
    NULL,
    NULL,
    NGX_MODULE_V1_PADDING
};


ngx_module_t  *ngx_modules[] = { &ngx_http_redis_probe_module, NULL };
char          *ngx_module_names[] = { "ngx_http_redis_probe_module", NULL };
char          *ngx_module_order[] = { NULL };


static ngx_int_t
probe_handler(ngx_http_request_t *r)
{
    ngx_int_t   n;
    ngx_str_t   text, argv[PROBE_ARGS];
    ngx_uint_t  argc;
    u_char      buf[NGX_INT_T_LEN];

    argc = probe_split(r, argv);

    switch (r->uri.data[1]) {

    case 'c':
        return probe_send(r, 1, 0, 0, argv, argc);

    case 's':
        return probe_send(r, 1, 1, 0, argv, argc);

    case 'd':
        return probe_send(r, 1, 1, 1, argv, argc);

    case 'n':
    case 'm':
        n = ngx_atoi(argv[0].data, argv[0].len);
        return probe_send(r, n, 0, r->uri.data[1] == 'm', &argv[1], argc - 1);

    default:
        text.data = buf;
        text.len = ngx_sprintf(buf, "%ui", r->uri.data[1] == 'b'
                               ? probe_rung : ngx_http_tgbot_redis_up())
                   - buf;

        return probe_answer(r, &text);
    }
}


static ngx_int_t
probe_send(ngx_http_request_t *r, ngx_uint_t n, ngx_uint_t script,
    ngx_uint_t durable, ngx_str_t *argv, ngx_uint_t argc)
{
    probe_t                         *p;
    ngx_uint_t                       i;
    ngx_event_t                     *ev;
    ngx_http_cleanup_t              *cln;
    ngx_http_tgbot_redis_command_t  *c;

    p = ngx_pcalloc(r->pool, sizeof(probe_t));
    c = ngx_pcalloc(r->pool, n * sizeof(ngx_http_tgbot_redis_command_t));
    ev = ngx_pcalloc(r->pool, sizeof(ngx_event_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (p == NULL || c == NULL || ev == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = probe_cleanup;
    cln->data = p;

    if (argc > 1 && argv[!script].len && argv[!script].data[0] == '{') {
        p->slot.data = argv[!script].data;
        p->slot.len = (u_char *) ngx_strchr(p->slot.data, '}') + 1
                      - p->slot.data;
    }

    p->request = r;
    p->commands = c;
    p->n = n;

    r->main->count++;

    for (i = 0; i < n; i++) {
        c[i].script = script ? &probe_script : NULL;
        c[i].argv = argv;
        c[i].argc = argc;
        c[i].nkeys = script;
        c[i].slot = p->slot.len ? &p->slot : NULL;
        c[i].durable = durable;
        c[i].done = probe_done;
        c[i].data = p;

        if (ngx_http_tgbot_redis_send(&c[i]) == NGX_OK) {
            p->left++;

        } else {
            p->counts[4]++;
        }
    }

    if (p->left == 0) {
        ev->handler = probe_event;
        ev->data = p;
        ev->log = r->connection->log;
        ngx_post_event(ev, &ngx_posted_events);
    }

    return NGX_DONE;
}


static ngx_uint_t
probe_split(ngx_http_request_t *r, ngx_str_t *argv)
{
    u_char      *p, *last, *end, *dst, *src;
    ngx_uint_t   n;

    if (r->args.len == 0) {
        return 0;
    }

    p = r->args.data;
    last = p + r->args.len;

    for (n = 0; p < last && n < PROBE_ARGS; n++) {
        end = ngx_strlchr(p, last, ',');

        if (end == NULL) {
            end = last;
        }

        argv[n].data = ngx_pnalloc(r->pool, end - p + 1);

        if (argv[n].data == NULL) {
            return 0;
        }

        dst = argv[n].data;
        src = p;
        ngx_unescape_uri(&dst, &src, end - p, 0);
        argv[n].len = dst - argv[n].data;
        *dst = '\0';

        p = end + 1;
    }

    return n;
}


static void
probe_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    u_char             *last;
    probe_t            *p = c->data;
    ngx_connection_t   *connection;
    ngx_http_request_t *r;

    r = p->request;

    p->counts[rc]++;

    if (p->n == 1 && reply) {
        p->text.data = ngx_pnalloc(r->pool, 65536);

        if (p->text.data) {
            last = probe_reply(p->text.data, p->text.data + 65536, reply);
            p->text.len = last - p->text.data;
        }
    }

    if (--p->left == 0) {
        connection = r->connection;
        probe_event(&(ngx_event_t) { .data = p });
        ngx_http_run_posted_requests(connection);
    }
}


static void
probe_event(ngx_event_t *ev)
{
    u_char              *last;
    probe_t             *p = ev->data;
    ngx_str_t            text;
    ngx_uint_t           i;
    ngx_http_request_t  *r;

    r = p->request;

    text.len = p->text.len + 256;
    text.data = ngx_pnalloc(r->pool, text.len);

    if (text.data == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    last = text.data;

    for (i = 0; i < 5; i++) {

        if (p->counts[i] == 0) {
            continue;
        }

        if (p->n == 1) {
            last = ngx_sprintf(last, "%s %V", probe_names[i], &p->text);

        } else {
            last = ngx_sprintf(last, "%s:%ui ", probe_names[i], p->counts[i]);
        }
    }

    text.len = last - text.data;

    ngx_http_finalize_request(r, probe_answer(r, &text));
}


static void
probe_cleanup(void *data)
{
    probe_t  *p = data;

    ngx_uint_t  i;

    for (i = 0; i < p->n; i++) {
        ngx_http_tgbot_redis_cancel(&p->commands[i]);
    }
}


static u_char *
probe_reply(u_char *p, u_char *last, redisReply *reply)
{
    size_t  i;

    switch (reply->type) {

    case REDIS_REPLY_ARRAY:
        p = ngx_slprintf(p, last, "[");

        for (i = 0; i < reply->elements; i++) {
            p = probe_reply(ngx_slprintf(p, last, i ? "," : ""), last,
                            reply->element[i]);
        }

        return ngx_slprintf(p, last, "]");

    case REDIS_REPLY_INTEGER:
        return ngx_slprintf(p, last, "%L", reply->integer);

    case REDIS_REPLY_NIL:
        return ngx_slprintf(p, last, "nil");

    default:
        return ngx_slprintf(p, last, "%*s", (size_t) reply->len, reply->str);
    }
}


static ngx_int_t
probe_answer(ngx_http_request_t *r, ngx_str_t *text)
{
    ngx_str_t                 type;
    ngx_http_complex_value_t  cv;

    ngx_str_set(&type, "text/plain");
    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    cv.value.len = text->len;
    cv.value.data = ngx_pstrdup(r->pool, text);

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv);
}


static void
probe_rings(void *data, ngx_str_t *message)
{
    probe_rung++;
}


static char *
probe(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = probe_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
probe_init_process(ngx_cycle_t *cycle)
{
    u_char      digest[20];
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, probe_script.text.data, probe_script.text.len);
    ngx_sha1_final(digest, &sha1);
    ngx_hex_dump(probe_script.sha, digest, sizeof(digest));

    (void) ngx_http_tgbot_redis_subscribe(&probe_channel, probe_rings, NULL);

    return NGX_OK;
}
