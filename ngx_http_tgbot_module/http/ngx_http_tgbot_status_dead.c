
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
#include "ngx_http_tgbot_dead_verbs.h"
#include "ngx_http_tgbot_header.h"
#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_method.h"
#include "ngx_http_tgbot_replay.h"
#include "ngx_http_tgbot_status_dead.h"
#include "ngx_http_tgbot_status_guard.h"
#include "ngx_http_tgbot_status_text.h"


/* letters in one response: the default, and the most; most changed at once */
#define NGX_HTTP_TGBOT_STATUS_LETTERS      100
#define NGX_HTTP_TGBOT_STATUS_LETTERS_MAX  1000

/* no further letter is changed after so many ms */
#define NGX_HTTP_TGBOT_STATUS_LETTERS_TIME  10000


typedef struct ngx_http_tgbot_status_dead_s  ngx_http_tgbot_status_dead_t;

/*
 * A step goes on with what the step before it has asked for, and returns the
 * code of the content handler; see ngx_http_tgbot_status_dead_wait().
 */

typedef ngx_int_t (*ngx_http_tgbot_status_dead_pt)(
    ngx_http_tgbot_status_dead_t *d, ngx_int_t rc);


/* a request for dead letters */

struct ngx_http_tgbot_status_dead_s {
    ngx_http_request_t            *request;
    ngx_http_tgbot_bot_t          *bot;
    uint64_t                       id;        /* 0: all letters */
    ngx_http_tgbot_loc_conf_t     *conf;

    ngx_http_tgbot_dead_op_t       op;
    ngx_http_tgbot_replay_t       *replay;    /* NULL: none is suspended */
    ngx_http_tgbot_status_dead_pt  next;      /* step; NULL: none waits */

    /* all letters */
    ngx_http_tgbot_letter_t       *letters;
    ngx_uint_t                     n;
    ngx_uint_t                     i;         /* the next one */
    ngx_msec_t                     start;
    ngx_int_t                      rc;        /* of the last change */
    ngx_uint_t                     done;      /* letters changed */
    ngx_uint_t                     replayed;  /* skipped: already replayed */

    unsigned                       suspended:1;  /* once */
};


static ngx_int_t ngx_http_tgbot_status_dead_parse(
    ngx_http_tgbot_status_dead_t *d, ngx_str_t *path);
static ngx_int_t ngx_http_tgbot_status_dead_refuse(
    ngx_http_tgbot_status_dead_t *d, const char *what, const char *why);
static ngx_int_t ngx_http_tgbot_status_dead_number(ngx_http_request_t *r,
    const char *name, uint64_t *value);
static ngx_int_t ngx_http_tgbot_status_dead_wait(
    ngx_http_tgbot_status_dead_t *d, ngx_int_t rc,
    ngx_http_tgbot_status_dead_pt next);
static void ngx_http_tgbot_status_dead_asked(ngx_http_tgbot_dead_op_t *op,
    ngx_int_t rc);
static void ngx_http_tgbot_status_dead_go_on(void *data, ngx_int_t rc);
static void ngx_http_tgbot_status_dead_leave(void *data);
static ngx_int_t ngx_http_tgbot_status_dead_list(
    ngx_http_tgbot_status_dead_t *d);
static ngx_int_t ngx_http_tgbot_status_dead_listed(
    ngx_http_tgbot_status_dead_t *d, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_status_dead_show(
    ngx_http_tgbot_status_dead_t *d, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_status_dead_failed(
    ngx_http_tgbot_status_dead_t *d, ngx_int_t rc);
static void ngx_http_tgbot_status_dead_letter(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_letter_t *letter);
static void ngx_http_tgbot_status_dead_payload(
    ngx_http_tgbot_status_text_t *s, ngx_str_t *update, ngx_array_t *calls);
static void ngx_http_tgbot_status_dead_value(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *value);
static ngx_int_t ngx_http_tgbot_status_dead_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_status_dead_change(
    ngx_http_tgbot_status_dead_t *d);
static ngx_int_t ngx_http_tgbot_status_dead_each(
    ngx_http_tgbot_status_dead_t *d, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_status_dead_next(
    ngx_http_tgbot_status_dead_t *d);
static ngx_int_t ngx_http_tgbot_status_dead_one(
    ngx_http_tgbot_status_dead_t *d, uint64_t id);
static ngx_int_t ngx_http_tgbot_status_dead_count(
    ngx_http_tgbot_status_dead_t *d, ngx_int_t rc);
static ngx_uint_t ngx_http_tgbot_status_dead_goes_on(
    ngx_http_tgbot_status_dead_t *d, ngx_int_t rc);
static ngx_int_t ngx_http_tgbot_status_dead_left(
    ngx_http_tgbot_status_dead_t *d);
static ngx_int_t ngx_http_tgbot_status_dead_changed(
    ngx_http_tgbot_status_dead_t *d, ngx_int_t rc);
static void ngx_http_tgbot_status_dead_log(ngx_http_tgbot_status_dead_t *d);


ngx_int_t
ngx_http_tgbot_status_dead_handler(ngx_http_request_t *r, ngx_str_t *path)
{
    const char                    *refused;
    ngx_http_tgbot_status_dead_t  *d;

    d = ngx_pcalloc(r->pool, sizeof(ngx_http_tgbot_status_dead_t));
    if (d == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    d->request = r;
    d->conf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);

    if (ngx_http_tgbot_status_dead_parse(d, path) != NGX_OK) {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                       "expected dead/BOT or dead/BOT/ID of "
                                       "a bot that keeps dead letters");
    }

    d->op.bot = d->bot;
    d->op.id = d->id;
    d->op.pool = r->pool;
    d->op.done = ngx_http_tgbot_status_dead_asked;
    d->op.data = d;

    switch (r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:

        if (d->conf->status->payload) {
            refused = ngx_http_tgbot_status_guard(r, NULL);

            if (refused) {
                return ngx_http_tgbot_status_dead_refuse(d, "a look at",
                                                         refused);
            }
        }

        if (d->id == 0) {
            return ngx_http_tgbot_status_dead_list(d);
        }

        return ngx_http_tgbot_status_dead_wait(d, d->bot->dead->get(&d->op),
                                              ngx_http_tgbot_status_dead_show);

    case NGX_HTTP_POST:
    case NGX_HTTP_DELETE:
        return ngx_http_tgbot_status_dead_change(d);

    default:

        if (ngx_http_tgbot_header_push(r, "Allow", "GET, HEAD, POST, DELETE")
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_ALLOWED,
                                                "no such method");
    }
}


static ngx_int_t
ngx_http_tgbot_status_dead_parse(ngx_http_tgbot_status_dead_t *d,
    ngx_str_t *path)
{
    u_char                      *slash;
    ngx_int_t                    id;
    ngx_str_t                    name;
    ngx_http_tgbot_main_conf_t  *tmcf;

    name = *path;

    slash = ngx_strlchr(path->data, path->data + path->len, '/');

    if (slash) {
        name.len = slash - path->data;

        id = ngx_atoi(slash + 1, path->len - name.len - 1);

        if (id <= 0) {
            return NGX_DECLINED;
        }

        d->id = id;
    }

    tmcf = ngx_http_get_module_main_conf(d->request, ngx_http_tgbot_module);

    d->bot = ngx_http_tgbot_bot_named(tmcf, &name);

    return (d->bot && d->bot->dead) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_tgbot_status_dead_refuse(ngx_http_tgbot_status_dead_t *d,
    const char *what, const char *why)
{
    ngx_log_error(NGX_LOG_NOTICE, d->request->connection->log, 0,
                  "tgbot: bot \"%V\": %s dead letters is refused: %s",
                  &d->bot->name, what, why);

    return ngx_http_tgbot_status_text_error(d->request, NGX_HTTP_FORBIDDEN,
                                            why);
}


/* sets *value if the query string has the argument; NGX_DECLINED: no number */

static ngx_int_t
ngx_http_tgbot_status_dead_number(ngx_http_request_t *r, const char *name,
    uint64_t *value)
{
    ngx_int_t  n;
    ngx_str_t  text;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &text) != NGX_OK) {
        return NGX_OK;
    }

    n = ngx_atoi(text.data, text.len);

    if (n == NGX_ERROR) {
        return NGX_DECLINED;
    }

    *value = n;

    return NGX_OK;
}


/*
 * Goes on with the next step: at once, unless rc is NGX_AGAIN.  Then the
 * request is suspended until what was asked for is here, or its client hangs
 * up.
 */

static ngx_int_t
ngx_http_tgbot_status_dead_wait(ngx_http_tgbot_status_dead_t *d, ngx_int_t rc,
    ngx_http_tgbot_status_dead_pt next)
{
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    if (rc != NGX_AGAIN) {
        return next(d, rc);
    }

    r = d->request;

    d->next = next;

    if (d->suspended) {
        return NGX_DONE;
    }

    cln = ngx_http_cleanup_add(r, 0);

    if (cln == NULL) {
        ngx_http_tgbot_status_dead_leave(d);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_tgbot_status_dead_leave;
    cln->data = d;

    d->suspended = 1;

    r->main->count++;

    /* a body that is discarded has a handler that notices it as well */

    if (r == r->main && !r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    return NGX_DONE;
}


static void
ngx_http_tgbot_status_dead_asked(ngx_http_tgbot_dead_op_t *op, ngx_int_t rc)
{
    ngx_http_tgbot_status_dead_go_on(op->data, rc);
}


static void
ngx_http_tgbot_status_dead_go_on(void *data, ngx_int_t rc)
{
    ngx_connection_t              *c;
    ngx_http_request_t            *r;
    ngx_http_tgbot_status_dead_t  *d;
    ngx_http_tgbot_status_dead_pt  next;

    d = data;
    r = d->request;
    c = r->connection;
    next = d->next;

    d->next = NULL;
    d->replay = NULL;

    ngx_http_set_log_request(c->log, r);

    rc = next(d, rc);

    if (d->next) {
        return;
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_tgbot_status_dead_leave(void *data)
{
    ngx_http_tgbot_status_dead_t *d = data;

    ngx_uint_t  change;

    change = (d->request->method & (NGX_HTTP_POST|NGX_HTTP_DELETE)) != 0;

    if (d->next && change) {

        /* the client has hung up, or the worker exits */

        ngx_http_tgbot_status_dead_log(d);
    }

    d->next = NULL;
    d->bot->dead->leave(&d->op);

    if (d->replay) {
        ngx_http_tgbot_replay_leave(d->replay);
        d->replay = NULL;
    }
}


static ngx_int_t
ngx_http_tgbot_status_dead_list(ngx_http_tgbot_status_dead_t *d)
{
    uint64_t             limit;
    ngx_http_request_t  *r;

    r = d->request;

    limit = NGX_HTTP_TGBOT_STATUS_LETTERS;

    if (ngx_http_tgbot_status_dead_number(r, "after", &d->op.after) != NGX_OK
        || ngx_http_tgbot_status_dead_number(r, "limit", &limit) != NGX_OK
        || limit == 0
        || limit > NGX_HTTP_TGBOT_STATUS_LETTERS_MAX)
    {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_BAD_REQUEST,
                                          "expected numbers as \"after\" and "
                                          "as \"limit\", which is at most "
                                          "1000");
    }

    d->n = limit;

    d->op.n = limit;
    d->op.letters = ngx_palloc(r->pool,
                               limit * sizeof(ngx_http_tgbot_letter_t));
    if (d->op.letters == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tgbot_status_dead_wait(d, d->bot->dead->list(&d->op),
                                           ngx_http_tgbot_status_dead_listed);
}


static ngx_int_t
ngx_http_tgbot_status_dead_listed(ngx_http_tgbot_status_dead_t *d,
    ngx_int_t rc)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_dead_op_t     *op;
    ngx_http_tgbot_status_text_t  s;

    if (rc != NGX_OK) {
        return ngx_http_tgbot_status_dead_failed(d, rc);
    }

    op = &d->op;

    ngx_http_tgbot_status_text_init(&s, d->request);
    ngx_http_tgbot_status_text_open(&s, '{');

    ngx_http_tgbot_status_text_text(&s, "bot", &d->bot->name);

    ngx_http_tgbot_status_text_key(&s, "letters");
    ngx_http_tgbot_status_text_open(&s, '[');

    for (i = 0; i < op->n; i++) {
        ngx_http_tgbot_status_text_open(&s, '{');
        ngx_http_tgbot_status_dead_letter(&s, &op->letters[i]);
        ngx_http_tgbot_status_text_close(&s, '}');
    }

    ngx_http_tgbot_status_text_close(&s, ']');

    /* "after" of the next request; 0: there are no more letters */

    ngx_http_tgbot_status_text_member(&s, "next", (op->n == d->n)
                                                  ? op->letters[i - 1].id : 0);

    return ngx_http_tgbot_status_text_done(d->request, &s, NGX_HTTP_OK);
}


static ngx_int_t
ngx_http_tgbot_status_dead_show(ngx_http_tgbot_status_dead_t *d, ngx_int_t rc)
{
    ngx_str_t                     update;
    ngx_array_t                   calls;
    ngx_http_request_t           *r;
    ngx_http_tgbot_letter_t      *letter;
    ngx_http_tgbot_status_text_t  s;

    if (rc != NGX_OK) {
        return ngx_http_tgbot_status_dead_failed(d, rc);
    }

    r = d->request;
    letter = &d->op.letter;

    ngx_http_tgbot_status_text_init(&s, r);
    ngx_http_tgbot_status_text_open(&s, '{');

    ngx_http_tgbot_status_text_text(&s, "bot", &d->bot->name);

    ngx_http_tgbot_status_dead_letter(&s, letter);

    if (d->conf->status->payload) {

        rc = ngx_http_tgbot_replay_show(letter, r->pool, &update, &calls);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_OK) {
            ngx_http_tgbot_status_dead_payload(&s, &update, &calls);
        }
    }

    return ngx_http_tgbot_status_text_done(r, &s, NGX_HTTP_OK);
}


/* the answer to what could not be done */

static ngx_int_t
ngx_http_tgbot_status_dead_failed(ngx_http_tgbot_status_dead_t *d,
    ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = d->request;

    switch (rc) {

    case NGX_DECLINED:
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                                "no such letter");

    case NGX_DONE:
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_CONFLICT,
                                                "the letter is being "
                                                "replayed");

    case NGX_BUSY:
        return ngx_http_tgbot_status_text_error(r,
                                            NGX_HTTP_SERVICE_UNAVAILABLE,
                                            "there is no room for it now, or "
                                            "it is in work");

    case NGX_ABORT:
        return ngx_http_tgbot_status_text_error(r,
                                    NGX_HTTP_SERVICE_UNAVAILABLE,
                                    d->bot->dead_zone
                                    ? "the queue is away, and the letter is "
                                      "kept"
                                    : "Redis is away, or did not answer in "
                                      "time");

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static void
ngx_http_tgbot_status_dead_letter(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_letter_t *letter)
{
    ngx_str_t                  *cause;
    ngx_http_tgbot_item_t      *item;
    ngx_http_tgbot_dead_end_t  *end;

    static ngx_str_t  unknown = ngx_string("unknown");

    item = &letter->item;
    end = &letter->end;

    /* unknown: another version of the module has put it into Redis */

    cause = (end->cause < NGX_HTTP_TGBOT_DEAD_CAUSES)
            ? &ngx_http_tgbot_dead_causes[end->cause] : &unknown;

    ngx_http_tgbot_status_text_member(s, "id", letter->id);

    ngx_http_tgbot_status_text_key(s, "update_id");
    ngx_http_tgbot_status_text_id(s, item->head.update_id);

    ngx_http_tgbot_status_text_text(s, "cause", cause);

    ngx_http_tgbot_status_text_member(s, "status", end->status);
    ngx_http_tgbot_status_text_member(s, "attempts", item->progress.attempts);
    ngx_http_tgbot_status_text_member(s, "first", end->first);
    ngx_http_tgbot_status_text_member(s, "last", end->last);
    ngx_http_tgbot_status_text_member(s, "size", item->data.len);
    ngx_http_tgbot_status_text_member(s, "answered", item->answered);
    ngx_http_tgbot_status_text_member(s, "calls_done", item->progress.next);
}


static void
ngx_http_tgbot_status_dead_payload(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *update, ngx_array_t *calls)
{
    ngx_uint_t                i;
    ngx_http_tgbot_method_t  *method;

    ngx_http_tgbot_status_text_key(s, "update");
    ngx_http_tgbot_status_dead_value(s, update);

    ngx_http_tgbot_status_text_key(s, "calls");
    ngx_http_tgbot_status_text_open(s, '[');

    method = calls->elts;

    for (i = 0; i < calls->nelts; i++) {
        ngx_http_tgbot_status_text_open(s, '{');
        ngx_http_tgbot_status_text_text(s, "method", &method[i].name);
        ngx_http_tgbot_status_text_text(s, "content_type",
                                        &method[i].content_type);
        ngx_http_tgbot_status_text_key(s, "body");
        ngx_http_tgbot_status_dead_value(s, &method[i].body);
        ngx_http_tgbot_status_text_close(s, '}');
    }

    ngx_http_tgbot_status_text_close(s, ']');
}


/* writes valid JSON as it is, anything else as a string */

static void
ngx_http_tgbot_status_dead_value(ngx_http_tgbot_status_text_t *s,
    ngx_str_t *value)
{
    ngx_str_t   text;
    ngx_uint_t  i;

    text = *value;

    ngx_http_tgbot_status_text_redact(s, &text);

    /* yajl runs without UTF-8 validation, so only ASCII passes as JSON */

    for (i = 0; i < text.len && text.data[i] < 0x80; i++) { /* void */ }

    if (i == text.len
        && ngx_http_tgbot_json_parse(&text, ngx_http_tgbot_status_dead_token,
                                     NULL)
           == NGX_OK)
    {
        ngx_http_tgbot_status_text_value(s, text.data, text.len);
        return;
    }

    ngx_http_tgbot_status_text_string(s, &text);
}


static ngx_int_t
ngx_http_tgbot_status_dead_token(void *data,
    ngx_http_tgbot_json_token_t *token)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_status_dead_change(ngx_http_tgbot_status_dead_t *d)
{
    const char                *refused;
    ngx_http_request_t        *r;
    ngx_http_tgbot_dead_op_t  *op;

    r = d->request;

    refused = ngx_http_tgbot_status_guard(r, (r->method == NGX_HTTP_POST)
                                             ? "replay" : "drop");
    if (refused) {
        return ngx_http_tgbot_status_dead_refuse(d, "a change of", refused);
    }

    if (d->id) {
        return ngx_http_tgbot_status_dead_wait(d,
                                    ngx_http_tgbot_status_dead_one(d, d->id),
                                    ngx_http_tgbot_status_dead_count);
    }

    op = &d->op;

    op->n = NGX_HTTP_TGBOT_STATUS_LETTERS_MAX;
    op->letters = ngx_palloc(r->pool, op->n * sizeof(ngx_http_tgbot_letter_t));

    if (op->letters == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tgbot_status_dead_wait(d, d->bot->dead->list(op),
                                           ngx_http_tgbot_status_dead_each);
}


/* changes the letters that were listed, and none that arrive meanwhile */

static ngx_int_t
ngx_http_tgbot_status_dead_each(ngx_http_tgbot_status_dead_t *d, ngx_int_t rc)
{
    if (rc != NGX_OK) {
        return ngx_http_tgbot_status_dead_failed(d, rc);
    }

    d->n = d->op.n;
    d->letters = d->op.letters;
    d->start = ngx_current_msec;

    return ngx_http_tgbot_status_dead_next(d);
}


static ngx_int_t
ngx_http_tgbot_status_dead_next(ngx_http_tgbot_status_dead_t *d)
{
    ngx_int_t  rc;

    while (d->i < d->n
           && ngx_current_msec - d->start < NGX_HTTP_TGBOT_STATUS_LETTERS_TIME)
    {
        rc = ngx_http_tgbot_status_dead_one(d, d->letters[d->i++].id);

        if (rc == NGX_AGAIN) {
            return ngx_http_tgbot_status_dead_wait(d, rc,
                                             ngx_http_tgbot_status_dead_count);
        }

        if (!ngx_http_tgbot_status_dead_goes_on(d, rc)) {
            break;
        }
    }

    return ngx_http_tgbot_status_dead_left(d);
}


static ngx_int_t
ngx_http_tgbot_status_dead_one(ngx_http_tgbot_status_dead_t *d, uint64_t id)
{
    d->op.id = id;

    if (d->request->method == NGX_HTTP_POST) {
        return ngx_http_tgbot_replay(d->bot, id,
                                     ngx_http_tgbot_status_dead_go_on, d,
                                     &d->replay);
    }

    return d->bot->dead->drop(&d->op);
}


/* a letter is changed, or not: on to the next one */

static ngx_int_t
ngx_http_tgbot_status_dead_count(ngx_http_tgbot_status_dead_t *d, ngx_int_t rc)
{
    if (d->id) {
        d->done = (rc == NGX_OK);

        return ngx_http_tgbot_status_dead_changed(d, rc);
    }

    return ngx_http_tgbot_status_dead_goes_on(d, rc)
           ? ngx_http_tgbot_status_dead_next(d)
           : ngx_http_tgbot_status_dead_left(d);
}


/* counts a letter; whether the next one may be changed */

static ngx_uint_t
ngx_http_tgbot_status_dead_goes_on(ngx_http_tgbot_status_dead_t *d,
    ngx_int_t rc)
{
    d->rc = NGX_OK;

    if (rc == NGX_OK) {
        d->done++;
        return 1;
    }

    if (rc == NGX_DONE) {
        d->replayed++;
        return 1;
    }

    if (rc == NGX_DECLINED) {
        return 1;
    }

    d->rc = d->done ? NGX_OK : rc;

    return 0;
}


/* asks how many letters are left of all */

static ngx_int_t
ngx_http_tgbot_status_dead_left(ngx_http_tgbot_status_dead_t *d)
{
    if (d->rc != NGX_OK) {
        return ngx_http_tgbot_status_dead_changed(d, d->rc);
    }

    d->op.n = 0;

    return ngx_http_tgbot_status_dead_wait(d, d->bot->dead->list(&d->op),
                                           ngx_http_tgbot_status_dead_changed);
}


static ngx_int_t
ngx_http_tgbot_status_dead_changed(ngx_http_tgbot_status_dead_t *d,
    ngx_int_t rc)
{
    ngx_http_request_t           *r;
    ngx_http_tgbot_status_text_t  s;

    ngx_http_tgbot_status_dead_log(d);

    if (rc != NGX_OK) {
        return ngx_http_tgbot_status_dead_failed(d, rc);
    }

    r = d->request;

    ngx_http_tgbot_status_text_init(&s, r);
    ngx_http_tgbot_status_text_open(&s, '{');
    ngx_http_tgbot_status_text_member(&s, (r->method == NGX_HTTP_POST)
                                          ? "replayed" : "dropped", d->done);

    if (d->id == 0) {
        ngx_http_tgbot_status_text_member(&s, "left", d->op.total);
        ngx_http_tgbot_status_text_member(&s, "being_replayed", d->replayed);
    }

    return ngx_http_tgbot_status_text_done(r, &s, NGX_HTTP_OK);
}


/*
 * The connection's log adds the address of the client.  The last letter may be
 * changed after the request has ended.
 */

static void
ngx_http_tgbot_status_dead_log(ngx_http_tgbot_status_dead_t *d)
{
    ngx_log_t   *log;
    const char  *what;

    log = d->request->connection->log;
    what = (d->request->method == NGX_HTTP_POST) ? "replayed" : "dropped";

    if (d->next == ngx_http_tgbot_status_dead_count) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "tgbot: bot \"%V\": dead letter %uL may be %s, its "
                      "client has not waited", &d->bot->name, d->op.id, what);

        if (d->id) {
            return;
        }
    }

    if (d->id) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "tgbot: bot \"%V\": dead letter %uL is %s%s",
                      &d->bot->name, d->id, d->done ? "" : "not ", what);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "tgbot: bot \"%V\": %ui dead letters %s",
                  &d->bot->name, d->done, what);
}
