
/*
 * The fields of an Update as bytes of their own.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_update.h"


/* places have 16 bits; a larger Update is rare and is parsed again */
#define NGX_HTTP_TGBOT_UPDATE_MAX_WRITTEN  65535

/*
 * raised when fields are added or removed, or are found in other places, and
 * when types change their places
 */
#define NGX_HTTP_TGBOT_UPDATE_VERSION      3


/*
 * ngx_http_tgbot_update_write() writes the head, the members of the update
 * before its strings, the places of the strings that are not empty, and the
 * bytes of strings that are not in the Update's body.  The name of a known
 * type is not written.
 */

typedef struct {
    uint32_t                          version;
    uint32_t                          strings;    /* bits: not empty */
} ngx_http_tgbot_update_head_t;


#define NGX_HTTP_TGBOT_UPDATE_FIXED                                          \
    offsetof(ngx_http_tgbot_update_t, type)

#define NGX_HTTP_TGBOT_UPDATE_STAMP                                          \
    (NGX_HTTP_TGBOT_UPDATE_VERSION << 24 | NGX_HTTP_TGBOT_TYPES << 16        \
     | sizeof(ngx_http_tgbot_update_t))


typedef struct {
    uint16_t                          pos;        /* from body's end: data */
    uint16_t                          len;
} ngx_http_tgbot_update_place_t;


static const size_t  ngx_http_tgbot_update_strings[] = {
    offsetof(ngx_http_tgbot_update_t, type),
    offsetof(ngx_http_tgbot_update_t, chat_type),
    offsetof(ngx_http_tgbot_update_t, username),
    offsetof(ngx_http_tgbot_update_t, first_name),
    offsetof(ngx_http_tgbot_update_t, language),
    offsetof(ngx_http_tgbot_update_t, text),
    offsetof(ngx_http_tgbot_update_t, command),
    offsetof(ngx_http_tgbot_update_t, command_bot),
    offsetof(ngx_http_tgbot_update_t, args),
    offsetof(ngx_http_tgbot_update_t, data),
    offsetof(ngx_http_tgbot_update_t, message_kind),
    offsetof(ngx_http_tgbot_update_t, query_id),
    offsetof(ngx_http_tgbot_update_t, business_connection_id),
    offsetof(ngx_http_tgbot_update_t, poll_id),
    offsetof(ngx_http_tgbot_update_t, inline_message_id),
    offsetof(ngx_http_tgbot_update_t, media_group_id)
};

#define NGX_HTTP_TGBOT_UPDATE_COPIED                                         \
    (sizeof(ngx_http_tgbot_update_strings) / sizeof(size_t))


ngx_int_t
ngx_http_tgbot_update_copy(ngx_http_tgbot_update_t *dst,
    ngx_http_tgbot_update_t *src, ngx_str_t *from, ngx_str_t *to, size_t *size,
    ngx_pool_t *pool)
{
    u_char      *p;
    ngx_str_t   *s, *beside[NGX_HTTP_TGBOT_UPDATE_COPIED];
    ngx_uint_t   i, n;

    *dst = *src;
    *size = 0;

    n = 0;

    for (i = 0; i < NGX_HTTP_TGBOT_UPDATE_COPIED; i++) {
        s = (ngx_str_t *) ((u_char *) dst + ngx_http_tgbot_update_strings[i]);

        if (s->len == 0) {
            continue;
        }

        if (s->data >= from->data && s->data < from->data + from->len) {
            s->data = to->data + (s->data - from->data);

        } else {
            beside[n++] = s;
            *size += s->len;
        }
    }

    p = ngx_pnalloc(pool, *size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, beside[i]->data, beside[i]->len);
        beside[i]->data = p - beside[i]->len;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_update_write(ngx_http_tgbot_update_t *update, ngx_str_t *body,
    ngx_str_t *data, ngx_pool_t *pool)
{
    size_t                          size;
    u_char                         *p;
    ngx_str_t                      *s, *beside[NGX_HTTP_TGBOT_UPDATE_COPIED];
    ngx_uint_t                      i, n, nbeside;
    ngx_http_tgbot_update_head_t    head;
    ngx_http_tgbot_update_place_t   place[NGX_HTTP_TGBOT_UPDATE_COPIED];

    head.version = NGX_HTTP_TGBOT_UPDATE_STAMP;
    head.strings = 0;

    n = 0;
    nbeside = 0;
    size = 0;

    /* the first string is the name of the type */

    i = (update->type_index != NGX_HTTP_TGBOT_TYPE_UNKNOWN);

    for ( /* void */ ; i < NGX_HTTP_TGBOT_UPDATE_COPIED; i++) {
        s = (ngx_str_t *) ((u_char *) update
                           + ngx_http_tgbot_update_strings[i]);

        if (s->len == 0) {
            continue;
        }

        head.strings |= (uint32_t) 1 << i;
        place[n].len = (uint16_t) s->len;

        if (s->data >= body->data && s->data < body->data + body->len) {
            place[n].pos = (uint16_t) (s->data - body->data);

        } else {
            place[n].pos = (uint16_t) (body->len + size);
            beside[nbeside++] = s;
            size += s->len;
        }

        n++;
    }

    if (body->len + size > NGX_HTTP_TGBOT_UPDATE_MAX_WRITTEN) {
        ngx_str_null(data);
        return NGX_OK;
    }

    data->len = sizeof(ngx_http_tgbot_update_head_t)
                + NGX_HTTP_TGBOT_UPDATE_FIXED
                + n * sizeof(ngx_http_tgbot_update_place_t) + size;

    data->data = ngx_pnalloc(pool, data->len);
    if (data->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(data->data, &head, sizeof(ngx_http_tgbot_update_head_t));
    p = ngx_cpymem(p, update, NGX_HTTP_TGBOT_UPDATE_FIXED);
    p = ngx_cpymem(p, place, n * sizeof(ngx_http_tgbot_update_place_t));

    for (i = 0; i < nbeside; i++) {
        p = ngx_cpymem(p, beside[i]->data, beside[i]->len);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_update_read(ngx_http_tgbot_update_t *update, ngx_str_t *body,
    ngx_str_t *data)
{
    u_char                         *p, *last;
    ngx_str_t                      *s, beside;
    ngx_uint_t                      i, n;
    ngx_http_tgbot_update_head_t    head;
    ngx_http_tgbot_update_place_t   place[NGX_HTTP_TGBOT_UPDATE_COPIED];

    if (data->len < sizeof(ngx_http_tgbot_update_head_t)
                    + NGX_HTTP_TGBOT_UPDATE_FIXED)
    {
        return NGX_DECLINED;
    }

    p = data->data;
    last = p + data->len;

    ngx_memcpy(&head, p, sizeof(ngx_http_tgbot_update_head_t));
    p += sizeof(ngx_http_tgbot_update_head_t);

    if (head.version != NGX_HTTP_TGBOT_UPDATE_STAMP) {
        return NGX_DECLINED;
    }

    ngx_memzero(update, sizeof(ngx_http_tgbot_update_t));
    ngx_memcpy(update, p, NGX_HTTP_TGBOT_UPDATE_FIXED);
    p += NGX_HTTP_TGBOT_UPDATE_FIXED;

    if (update->type_index >= NGX_HTTP_TGBOT_TYPES) {
        return NGX_DECLINED;
    }

    update->type = ngx_http_tgbot_update_types[update->type_index].name;

    for (i = 0, n = 0; i < NGX_HTTP_TGBOT_UPDATE_COPIED; i++) {
        n += (head.strings >> i) & 1;
    }

    n *= sizeof(ngx_http_tgbot_update_place_t);

    if (head.strings >> i || (size_t) (last - p) < n) {
        return NGX_DECLINED;
    }

    ngx_memcpy(place, p, n);

    beside.data = p + n;
    beside.len = last - beside.data;

    for (i = 0, n = 0; i < NGX_HTTP_TGBOT_UPDATE_COPIED; i++) {

        if (!((head.strings >> i) & 1)) {
            continue;
        }

        s = (ngx_str_t *) ((u_char *) update
                           + ngx_http_tgbot_update_strings[i]);

        *s = (place[n].pos < body->len) ? *body : beside;

        if (place[n].pos >= body->len) {
            place[n].pos -= (uint16_t) body->len;
        }

        if (place[n].pos > s->len || place[n].len > s->len - place[n].pos) {
            return NGX_DECLINED;
        }

        s->data += place[n].pos;
        s->len = place[n].len;
        n++;
    }

    return NGX_OK;
}
