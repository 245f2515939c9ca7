
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_bot.h"
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


/* a request for dead letters */

typedef struct {
    ngx_http_request_t         *request;
    ngx_http_tgbot_bot_t       *bot;
    uint64_t                    id;         /* 0: all letters */
    ngx_http_tgbot_loc_conf_t  *conf;
    ngx_uint_t                  done;       /* letters changed */
    ngx_uint_t                  replayed;   /* skipped: already replayed */
    ngx_uint_t                  left;       /* letters that remain */
} ngx_http_tgbot_status_dead_t;


static ngx_int_t ngx_http_tgbot_status_dead_parse(
    ngx_http_tgbot_status_dead_t *d, ngx_str_t *path);
static ngx_int_t ngx_http_tgbot_status_dead_refuse(
    ngx_http_tgbot_status_dead_t *d, const char *what, const char *why);
static ngx_int_t ngx_http_tgbot_status_dead_number(ngx_http_request_t *r,
    const char *name, uint64_t *value);
static ngx_int_t ngx_http_tgbot_status_dead_list(
    ngx_http_tgbot_status_dead_t *d);
static ngx_int_t ngx_http_tgbot_status_dead_show(
    ngx_http_tgbot_status_dead_t *d);
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
static void ngx_http_tgbot_status_dead_log(ngx_http_tgbot_status_dead_t *d);
static ngx_int_t ngx_http_tgbot_status_dead_each(
    ngx_http_tgbot_status_dead_t *d);
static ngx_int_t ngx_http_tgbot_status_dead_one(
    ngx_http_tgbot_status_dead_t *d, uint64_t id);


ngx_int_t
ngx_http_tgbot_status_dead_handler(ngx_http_request_t *r, ngx_str_t *path)
{
    const char                    *refused;
    ngx_http_tgbot_status_dead_t   d;

    ngx_memzero(&d, sizeof(ngx_http_tgbot_status_dead_t));

    d.request = r;
    d.conf = ngx_http_get_module_loc_conf(r, ngx_http_tgbot_module);

    if (ngx_http_tgbot_status_dead_parse(&d, path) != NGX_OK) {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                       "expected dead/BOT or dead/BOT/ID of "
                                       "a bot that keeps dead letters");
    }

    switch (r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:

        if (d.conf->status->payload) {
            refused = ngx_http_tgbot_status_guard(r, NULL);

            if (refused) {
                return ngx_http_tgbot_status_dead_refuse(&d, "a look at",
                                                         refused);
            }
        }

        return d.id ? ngx_http_tgbot_status_dead_show(&d)
                    : ngx_http_tgbot_status_dead_list(&d);

    case NGX_HTTP_POST:
    case NGX_HTTP_DELETE:
        return ngx_http_tgbot_status_dead_change(&d);

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
    u_char                       *slash;
    ngx_int_t                     id;
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_http_tgbot_bot_t        **bots;
    ngx_http_tgbot_main_conf_t   *tmcf;

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

    bots = tmcf->bots.elts;

    for (i = 0; i < tmcf->bots.nelts; i++) {

        if (bots[i]->name.len == name.len
            && ngx_strncmp(bots[i]->name.data, name.data, name.len) == 0)
        {
            d->bot = bots[i];

            return d->bot->dead ? NGX_OK : NGX_DECLINED;
        }
    }

    return NGX_DECLINED;
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


static ngx_int_t
ngx_http_tgbot_status_dead_list(ngx_http_tgbot_status_dead_t *d)
{
    uint64_t                      after, limit;
    ngx_uint_t                    i, n;
    ngx_http_request_t           *r;
    ngx_http_tgbot_letter_t      *letters;
    ngx_http_tgbot_status_text_t  s;

    r = d->request;

    after = 0;
    limit = NGX_HTTP_TGBOT_STATUS_LETTERS;

    if (ngx_http_tgbot_status_dead_number(r, "after", &after) != NGX_OK
        || ngx_http_tgbot_status_dead_number(r, "limit", &limit) != NGX_OK
        || limit == 0
        || limit > NGX_HTTP_TGBOT_STATUS_LETTERS_MAX)
    {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_BAD_REQUEST,
                                          "expected numbers as \"after\" and "
                                          "as \"limit\", which is at most "
                                          "1000");
    }

    letters = ngx_palloc(r->pool, limit * sizeof(ngx_http_tgbot_letter_t));
    if (letters == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = ngx_http_tgbot_dead_list(d->bot->dead, after, letters, limit);

    ngx_http_tgbot_status_text_init(&s, r);
    ngx_http_tgbot_status_text_open(&s, '{');

    ngx_http_tgbot_status_text_text(&s, "bot", &d->bot->name);

    ngx_http_tgbot_status_text_key(&s, "letters");
    ngx_http_tgbot_status_text_open(&s, '[');

    for (i = 0; i < n; i++) {
        ngx_http_tgbot_status_text_open(&s, '{');
        ngx_http_tgbot_status_dead_letter(&s, &letters[i]);
        ngx_http_tgbot_status_text_close(&s, '}');
    }

    ngx_http_tgbot_status_text_close(&s, ']');

    /* "after" of the next request; 0: there are no more letters */

    ngx_http_tgbot_status_text_member(&s, "next",
                                      (n == limit) ? letters[n - 1].id : 0);

    return ngx_http_tgbot_status_text_done(r, &s, NGX_HTTP_OK);
}


static ngx_int_t
ngx_http_tgbot_status_dead_show(ngx_http_tgbot_status_dead_t *d)
{
    ngx_int_t                     rc;
    ngx_str_t                     update;
    ngx_array_t                   calls;
    ngx_http_request_t           *r;
    ngx_http_tgbot_letter_t       letter;
    ngx_http_tgbot_status_text_t  s;

    r = d->request;

    rc = ngx_http_tgbot_dead_get(d->bot->dead, d->id, &letter, r->pool);

    if (rc == NGX_DECLINED) {
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                                "no such letter");
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_tgbot_status_text_init(&s, r);
    ngx_http_tgbot_status_text_open(&s, '{');

    ngx_http_tgbot_status_text_text(&s, "bot", &d->bot->name);

    ngx_http_tgbot_status_dead_letter(&s, &letter);

    if (d->conf->status->payload) {

        rc = ngx_http_tgbot_replay_show(&letter, r->pool, &update, &calls);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_OK) {
            ngx_http_tgbot_status_dead_payload(&s, &update, &calls);
        }
    }

    return ngx_http_tgbot_status_text_done(r, &s, NGX_HTTP_OK);
}


static void
ngx_http_tgbot_status_dead_letter(ngx_http_tgbot_status_text_t *s,
    ngx_http_tgbot_letter_t *letter)
{
    ngx_http_tgbot_item_t      *item;
    ngx_http_tgbot_dead_end_t  *end;

    item = &letter->item;
    end = &letter->end;

    ngx_http_tgbot_status_text_member(s, "id", letter->id);

    ngx_http_tgbot_status_text_key(s, "update_id");
    ngx_http_tgbot_status_text_id(s, item->head.update_id);

    ngx_http_tgbot_status_text_text(s, "cause",
                                    &ngx_http_tgbot_dead_causes[end->cause]);

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
    ngx_int_t                     rc;
    ngx_uint_t                    replay;
    const char                   *refused;
    ngx_http_request_t           *r;
    ngx_http_tgbot_status_text_t  s;

    r = d->request;
    replay = (r->method == NGX_HTTP_POST);

    refused = ngx_http_tgbot_status_guard(r, replay ? "replay" : "drop");

    if (refused) {
        return ngx_http_tgbot_status_dead_refuse(d, "a change of", refused);
    }

    if (d->id) {
        rc = ngx_http_tgbot_status_dead_one(d, d->id);
        d->done = (rc == NGX_OK);

    } else {
        rc = ngx_http_tgbot_status_dead_each(d);
    }

    ngx_http_tgbot_status_dead_log(d);

    switch (rc) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_tgbot_status_text_error(r, NGX_HTTP_NOT_FOUND,
                                                "no such letter");

    case NGX_AGAIN:
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
                                            "the queue is away, and the "
                                            "letter is kept");

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_tgbot_status_text_init(&s, r);
    ngx_http_tgbot_status_text_open(&s, '{');
    ngx_http_tgbot_status_text_member(&s, replay ? "replayed" : "dropped",
                                      d->done);

    if (d->id == 0) {
        ngx_http_tgbot_status_text_member(&s, "left", d->left);
        ngx_http_tgbot_status_text_member(&s, "being_replayed", d->replayed);
    }

    return ngx_http_tgbot_status_text_done(r, &s, NGX_HTTP_OK);
}


/* the connection's log adds the address of the client */

static void
ngx_http_tgbot_status_dead_log(ngx_http_tgbot_status_dead_t *d)
{
    ngx_log_t   *log;
    const char  *what;

    log = d->request->connection->log;
    what = (d->request->method == NGX_HTTP_POST) ? "replayed" : "dropped";

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


/* changes at most LETTERS_MAX letters, and none that arrive meanwhile */

static ngx_int_t
ngx_http_tgbot_status_dead_each(ngx_http_tgbot_status_dead_t *d)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i, n;
    ngx_http_tgbot_letter_t      *letters;
    ngx_http_tgbot_dead_state_t   state;

    letters = ngx_palloc(d->request->pool,
                         NGX_HTTP_TGBOT_STATUS_LETTERS_MAX
                         * sizeof(ngx_http_tgbot_letter_t));
    if (letters == NULL) {
        return NGX_ERROR;
    }

    n = ngx_http_tgbot_dead_list(d->bot->dead, 0, letters,
                                 NGX_HTTP_TGBOT_STATUS_LETTERS_MAX);

    for (i = 0; i < n; i++) {
        rc = ngx_http_tgbot_status_dead_one(d, letters[i].id);

        if (rc == NGX_OK) {
            d->done++;

        } else if (rc == NGX_AGAIN) {
            d->replayed++;

        } else if (rc != NGX_DECLINED) {

            if (d->done == 0) {
                return rc;
            }

            break;
        }
    }

    ngx_http_tgbot_dead_state(d->bot->dead, &state);

    d->left = state.letters;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_status_dead_one(ngx_http_tgbot_status_dead_t *d, uint64_t id)
{
    if (d->request->method == NGX_HTTP_POST) {
        return ngx_http_tgbot_replay(d->bot, id, d->request->connection->log);
    }

    return ngx_http_tgbot_dead_drop(d->bot->dead, id);
}
