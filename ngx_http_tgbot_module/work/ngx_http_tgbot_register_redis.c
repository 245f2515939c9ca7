
/*
 * Registration by several machines that share a Redis.  Which one calls the Bot
 * API about a bot is said by a lock, for one task; what it found and did is the
 * text of one key:
 *
 *   1 version registered seen unverified registered_at taken taken taken
 *
 * Fingerprints are in hex, and the rest are numbers, as in
 * ngx_http_tgbot_registration_t.  A greater version is the newer one: a Redis
 * that has lost its last seconds makes no machine forget what it did.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_redis_args.h"
#include "ngx_http_tgbot_redis_lease.h"
#include "ngx_http_tgbot_register.h"


/* ms; a call to the Bot API takes at most 20 seconds */
#define NGX_HTTP_TGBOT_REGISTER_REDIS_LIFE  30000

/* words of the text before those of "taken", and all of them */
#define NGX_HTTP_TGBOT_REGISTER_REDIS_FIXED  6
#define NGX_HTTP_TGBOT_REGISTER_REDIS_WORDS                                   \
    (NGX_HTTP_TGBOT_REGISTER_REDIS_FIXED + NGX_HTTP_TGBOT_REGISTRY_TAKEN)

/* bytes of the text, at most */
#define NGX_HTTP_TGBOT_REGISTER_REDIS_TEXT                                    \
    (4 * NGX_HTTP_TGBOT_REGISTRY_PRINT                                        \
     + NGX_HTTP_TGBOT_REGISTER_REDIS_WORDS * (NGX_INT64_LEN + 1))


static ngx_int_t ngx_http_tgbot_register_redis_send(
    ngx_http_tgbot_register_task_t *task, ngx_msec_t life, ngx_str_t *text);
static void ngx_http_tgbot_register_redis_done(
    ngx_http_tgbot_redis_command_t *c, ngx_http_tgbot_redis_result_e rc,
    redisReply *reply);
static void ngx_http_tgbot_register_redis_write(
    ngx_http_tgbot_registration_t *known, u_char *data, ngx_str_t *text);
static void ngx_http_tgbot_register_redis_read(
    ngx_http_tgbot_registration_t *known, redisReply *reply);
static ngx_int_t ngx_http_tgbot_register_redis_print(u_char *print,
    ngx_str_t *hex);


ngx_int_t
ngx_http_tgbot_register_redis_lock(ngx_http_tgbot_register_task_t *task,
    void (*told)(ngx_http_tgbot_register_task_t *task, ngx_int_t rc))
{
    u_char     data[NGX_HTTP_TGBOT_REGISTER_REDIS_TEXT];
    ngx_str_t  text;

    if (task->bot->slot.len == 0 || task->alone) {
        return NGX_DECLINED;
    }

    if (task->number == 0) {
        task->number = ngx_http_tgbot_redis_lease_number();
    }

    /* what this machine knows is told once it has heard what others know */

    ngx_str_set(&text, "");

    if (task->locked) {
        ngx_http_tgbot_register_redis_write(task->known, data, &text);
    }

    task->asking = !task->locked;
    task->told = told;

    return ngx_http_tgbot_register_redis_send(task,
                                    NGX_HTTP_TGBOT_REGISTER_REDIS_LIFE, &text);
}


ngx_int_t
ngx_http_tgbot_register_redis_unlock(ngx_http_tgbot_register_task_t *task,
    void (*told)(ngx_http_tgbot_register_task_t *task, ngx_int_t rc))
{
    u_char     data[NGX_HTTP_TGBOT_REGISTER_REDIS_TEXT];
    ngx_str_t  text;

    if (!task->locked) {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_register_redis_write(task->known, data, &text);

    task->locked = 0;
    task->told = told;

    return ngx_http_tgbot_register_redis_send(task, 0, &text);
}


void
ngx_http_tgbot_register_redis_end(ngx_http_tgbot_register_task_t *task)
{
    ngx_str_t  text;

    ngx_http_tgbot_redis_cancel(&task->command);

    if (task->locked || task->asking) {
        task->locked = 0;
        task->asking = 0;

        ngx_str_set(&text, "");

        (void) ngx_http_tgbot_register_redis_send(task, 0, &text);

        ngx_http_tgbot_redis_cancel(&task->command);
    }
}


static ngx_int_t
ngx_http_tgbot_register_redis_send(ngx_http_tgbot_register_task_t *task,
    ngx_msec_t life, ngx_str_t *text)
{
    ngx_http_tgbot_redis_args_t  args;

    ngx_http_tgbot_redis_args_init(&args, task->bot);

    ngx_http_tgbot_redis_args_key(&args, "meta");
    ngx_http_tgbot_redis_args_key(&args, "register");
    ngx_http_tgbot_redis_args_key(&args, "register:lock");

    ngx_http_tgbot_redis_args_print(&args, "%V/%uL",
                                    ngx_http_tgbot_redis_lease_worker(),
                                    task->number);
    ngx_http_tgbot_redis_args_print(&args, "%M", life);
    ngx_http_tgbot_redis_args_text(&args, text);

    task->command.done = ngx_http_tgbot_register_redis_done;
    task->command.data = task;

    if (ngx_http_tgbot_redis_args_send(&args, &task->command,
                                       &ngx_http_tgbot_redis_script_register)
        == NGX_OK)
    {
        return NGX_AGAIN;
    }

    task->asking = 0;
    task->alone = 1;

    return NGX_DECLINED;
}


static void
ngx_http_tgbot_register_redis_done(ngx_http_tgbot_redis_command_t *c,
    ngx_http_tgbot_redis_result_e rc, redisReply *reply)
{
    int64_t                          done;
    ngx_uint_t                       asking;
    ngx_http_tgbot_register_task_t  *task;

    task = c->data;

    asking = task->asking;
    task->asking = 0;

    done = (rc == NGX_HTTP_TGBOT_REDIS_OK)
           ? ngx_http_tgbot_redis_args_number(reply, 0) : -1;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "tgbot bot \"%V\": registration in Redis, %ui: %L",
                   &task->bot->name, (ngx_uint_t) rc, done);

    if (done < 0) {
        task->alone = 1;
        task->told(task, NGX_DECLINED);
        return;
    }

    if (done == 0) {
        task->locked = 0;
        task->told(task, NGX_BUSY);
        return;
    }

    if (asking) {
        task->locked = 1;

        if (reply->elements == 2) {
            ngx_http_tgbot_register_redis_read(task->known, reply->element[1]);
        }
    }

    task->told(task, NGX_OK);
}


static void
ngx_http_tgbot_register_redis_write(ngx_http_tgbot_registration_t *known,
    u_char *data, ngx_str_t *text)
{
    u_char      *p, *last;
    ngx_uint_t   i;

    last = data + NGX_HTTP_TGBOT_REGISTER_REDIS_TEXT;

    p = ngx_slprintf(data, last, "1 %uL ", known->version);
    p = ngx_hex_dump(p, known->registered, NGX_HTTP_TGBOT_REGISTRY_PRINT);
    *p++ = ' ';
    p = ngx_hex_dump(p, known->seen, NGX_HTTP_TGBOT_REGISTRY_PRINT);
    p = ngx_slprintf(p, last, " %d %T", known->unverified,
                     known->registered_at);

    for (i = 0; i < NGX_HTTP_TGBOT_REGISTRY_TAKEN; i++) {
        p = ngx_slprintf(p, last, " %T", known->taken[i]);
    }

    text->data = data;
    text->len = p - data;
}


/* a text that is none of ours is as good as nothing */

static void
ngx_http_tgbot_register_redis_read(ngx_http_tgbot_registration_t *known,
    redisReply *reply)
{
    u_char                         *p, *last;
    ngx_str_t                       word[NGX_HTTP_TGBOT_REGISTER_REDIS_WORDS];
    ngx_uint_t                      i;
    ngx_http_tgbot_registration_t   other;

    if (reply->type != REDIS_REPLY_STRING) {
        return;
    }

    p = (u_char *) reply->str;
    last = p + reply->len;

    for (i = 0; i < NGX_HTTP_TGBOT_REGISTER_REDIS_WORDS; i++) {
        word[i].data = p;

        while (p < last && *p != ' ') {
            p++;
        }

        word[i].len = p - word[i].data;
        p += (p < last);
    }

    other.version = (uint64_t) ngx_atoof(word[1].data, word[1].len);
    other.registered_at = ngx_atotm(word[5].data, word[5].len);

    for (i = 0; i < NGX_HTTP_TGBOT_REGISTRY_TAKEN; i++) {
        other.taken[i] = ngx_atotm(
                            word[NGX_HTTP_TGBOT_REGISTER_REDIS_FIXED + i].data,
                            word[NGX_HTTP_TGBOT_REGISTER_REDIS_FIXED + i].len);

        if (other.taken[i] == NGX_ERROR) {
            return;
        }
    }

    if (word[0].len != 1 || word[0].data[0] != '1'
        || (int64_t) other.version < (int64_t) known->version
        || other.registered_at == NGX_ERROR
        || ngx_http_tgbot_register_redis_print(other.registered, &word[2])
           != NGX_OK
        || ngx_http_tgbot_register_redis_print(other.seen, &word[3]) != NGX_OK)
    {
        return;
    }

    if (other.version != known->version) {

        /* set just now, for all that we know */

        known->set = ngx_current_msec;
    }

    known->version = other.version;
    known->registered_at = other.registered_at;
    known->unverified = (word[4].len == 1 && word[4].data[0] == '1');

    ngx_memcpy(known->registered, other.registered, sizeof(other.registered));
    ngx_memcpy(known->seen, other.seen, sizeof(other.seen));

    if (ngx_memcmp(known->registered, known->wanted, sizeof(known->wanted))
        == 0)
    {
        known->newer = 0;
    }

    /* changes before a new configuration do not count */

    if (!known->newer) {
        ngx_memcpy(known->taken, other.taken, sizeof(other.taken));
    }
}


static ngx_int_t
ngx_http_tgbot_register_redis_print(u_char *print, ngx_str_t *hex)
{
    ngx_int_t   n;
    ngx_uint_t  i;

    if (hex->len != 2 * NGX_HTTP_TGBOT_REGISTRY_PRINT) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_TGBOT_REGISTRY_PRINT; i++) {
        n = ngx_hextoi(&hex->data[2 * i], 2);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        print[i] = (u_char) n;
    }

    return NGX_OK;
}
