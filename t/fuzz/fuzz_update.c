
/*
 * The first two bytes say which bit of the written update is damaged; the rest
 * is the document.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_update.h"
#include "unit.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* checks what the header promises for every string */

static void
check_string(ngx_str_t *s)
{
    size_t      i;
    ngx_str_t   again;

    if (s->len > NGX_HTTP_TGBOT_UPDATE_MAX_STRING) {
        ngx_abort();
    }

    for (i = 0; i < s->len; i++) {
        if (s->data[i] < 0x20 || s->data[i] == 0x7f) {
            ngx_abort();
        }
    }

    /* clean text is not changed */

    again.len = s->len;
    again.data = malloc(s->len + 1);
    ngx_memcpy(again.data, s->len ? s->data : (u_char *) "", s->len);

    ngx_http_tgbot_json_clean(&again);

    if (again.len != s->len
        || (s->len && ngx_memcmp(again.data, s->data, s->len) != 0))
    {
        ngx_abort();
    }

    free(again.data);
}


static void
check_bytes(ngx_str_t *s)
{
    size_t           i;
    volatile u_char  c;

    for (i = 0; i < s->len; i++) {
        c = s->data[i];
        (void) c;
    }
}


static void
check_update(ngx_http_tgbot_update_t *u)
{
    if (u->has_update_id != (u->update_id != NGX_HTTP_TGBOT_UPDATE_NO_ID)
        || u->life < 10
        || (u->has_date && u->date <= 0))
    {
        ngx_abort();
    }

    check_string(&u->type);
    check_string(&u->chat_type);
    check_string(&u->username);
    check_string(&u->first_name);
    check_string(&u->language);
    check_string(&u->text);
    check_string(&u->command);
    check_string(&u->args);
    check_string(&u->data);
    check_string(&u->message_kind);
    check_string(&u->query_id);
    check_string(&u->business_connection_id);
    check_string(&u->command_bot);
    check_string(&u->poll_id);
    check_string(&u->inline_message_id);
    check_string(&u->media_group_id);
}


/* written data is read back; strings of damaged data stay in its bytes */

static void
check_written(ngx_http_tgbot_update_t *u, ngx_str_t *body, ngx_uint_t at,
    ngx_pool_t *pool)
{
    ngx_str_t                data, moved;
    ngx_http_tgbot_update_t  v;

    if (ngx_http_tgbot_update_write(u, body, &data, pool) != NGX_OK
        || ngx_http_tgbot_update_read(&v, body, &data) != NGX_OK
        || v.update_id != u->update_id || v.life != u->life)
    {
        ngx_abort();
    }

    check_update(&v);

    moved.len = data.len;
    moved.data = malloc(data.len);
    ngx_memcpy(moved.data, data.data, data.len);

    moved.data[at % data.len] ^= 1 << at % 8;

    if (ngx_http_tgbot_update_read(&v, body, &moved) == NGX_OK) {
        check_bytes(&v.type);
        check_bytes(&v.text);
        check_bytes(&v.args);
        check_bytes(&v.data);
        check_bytes(&v.username);
        check_bytes(&v.message_kind);
    }

    free(moved.data);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                   at, beside;
    ngx_int_t                rc;
    ngx_str_t                body, to;
    ngx_pool_t              *pool, *pool2;
    ngx_http_tgbot_update_t  update, copy;

    if (size < 2) {
        return 0;
    }

    at = data[0] * 256 + data[1];
    data += 2;
    size -= 2;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    pool2 = ngx_create_pool(1024, ngx_cycle->log);

    body = unit_bytes(pool, data, size);

    rc = ngx_http_tgbot_update_parse(&update, &body, pool);

    if (rc != NGX_OK && rc != NGX_DECLINED) {
        ngx_abort();
    }

    if (rc == NGX_OK) {
        check_update(&update);
        check_written(&update, &body, at, pool);

        to = unit_bytes(pool2, data, size);

        if (ngx_http_tgbot_update_copy(&copy, &update, &body, &to, &beside,
                                       pool2)
            != NGX_OK)
        {
            ngx_abort();
        }
    }

    ngx_destroy_pool(pool);

    if (rc == NGX_OK) {
        check_update(&copy);
    }

    ngx_destroy_pool(pool2);

    return 0;
}
