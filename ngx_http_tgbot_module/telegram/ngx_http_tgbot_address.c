
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_address.h"
#include "ngx_http_tgbot_json.h"


#define ngx_http_tgbot_address_bit(key)                                      \
    ((ngx_uint_t) 1 << NGX_HTTP_TGBOT_OBJECT_##key)


/* keys of which any makes an address of a call's own */

#define NGX_HTTP_TGBOT_ADDRESS_OWN                                           \
    (ngx_http_tgbot_address_bit(CHAT_ID)                                     \
     | ngx_http_tgbot_address_bit(INLINE_MESSAGE_ID)                         \
     | ngx_http_tgbot_address_bit(EPHEMERAL_MESSAGE_PARAMETERS))


typedef struct {
    ngx_http_tgbot_method_t         *call;
    ngx_http_tgbot_method_object_t  *object;
    u_char                          *p;        /* in the new body */
    size_t                           pos;      /* in the object's body */
} ngx_http_tgbot_address_ctx_t;


static ngx_uint_t ngx_http_tgbot_address_inline(ngx_uint_t flags,
    ngx_uint_t keys);
static ngx_uint_t ngx_http_tgbot_address_join(ngx_uint_t flags,
    ngx_uint_t keys, ngx_http_tgbot_update_t *update);
static ngx_uint_t ngx_http_tgbot_address_in_chat(ngx_uint_t flags,
    ngx_uint_t keys, ngx_http_tgbot_update_t *update);
static ngx_uint_t ngx_http_tgbot_address_message(ngx_uint_t flags,
    ngx_uint_t keys, ngx_http_tgbot_update_t *update, ngx_uint_t *missing);
static ngx_uint_t ngx_http_tgbot_address_null(
    ngx_http_tgbot_method_object_t *object, ngx_uint_t keys);
static void ngx_http_tgbot_address_copy(ngx_http_tgbot_address_ctx_t *ctx,
    size_t end);
static u_char *ngx_http_tgbot_address_put(u_char *p,
    ngx_http_tgbot_method_t *call, ngx_http_tgbot_update_t *update,
    ngx_http_tgbot_address_t *address, ngx_uint_t key);
static size_t ngx_http_tgbot_address_value_size(ngx_uint_t key,
    ngx_http_tgbot_update_t *update);
static u_char *ngx_http_tgbot_address_string(u_char *p, ngx_str_t *text);
static u_char *ngx_http_tgbot_address_value(u_char *p, ngx_uint_t key,
    ngx_http_tgbot_update_t *update, int64_t chat_id);


ngx_int_t
ngx_http_tgbot_address_find(ngx_str_t *name, ngx_uint_t keys,
    ngx_http_tgbot_update_t *update, ngx_http_tgbot_address_t *address)
{
    ngx_uint_t                           own, flags;
    const ngx_http_tgbot_method_row_t   *method;
    const ngx_http_tgbot_update_type_t  *type;

    type = &ngx_http_tgbot_update_types[update->type_index];
    method = &ngx_http_tgbot_methods[ngx_http_tgbot_method_find(name)];
    flags = method->flags;

    address->keys = 0;
    address->chat_id = update->chat_id;

    if (method->query) {

        if (method->query == type->query && update->query_id.len) {
            address->keys =
                       (ngx_http_tgbot_address_bit(CALLBACK_QUERY_ID)
                        << (method->query - NGX_HTTP_TGBOT_QUERY_CALLBACK))
                       & ~keys;
        }

        return NGX_OK;
    }

    own = NGX_HTTP_TGBOT_ADDRESS_OWN;

    if (flags & (NGX_HTTP_TGBOT_TO_EPHEMERAL | NGX_HTTP_TGBOT_TO_RECEIVER)) {

        /* before 10.3 a parameter of the methods that send, too */

        own |= ngx_http_tgbot_address_bit(RECEIVER_USER_ID);
    }

    if (!(flags & (NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_SEND))
        || (keys & own))
    {
        return NGX_OK;
    }

    if (type->address == NGX_HTTP_TGBOT_ADDRESS_GUEST) {
        return NGX_DECLINED;
    }

    if (update->inline_message_id.len) {
        address->keys = ngx_http_tgbot_address_inline(flags, keys);

    } else if (type->address == NGX_HTTP_TGBOT_ADDRESS_JOIN) {
        address->keys = ngx_http_tgbot_address_join(flags, keys, update);

        if (flags & NGX_HTTP_TGBOT_TO_SEND) {
            address->chat_id = update->user_chat_id;
        }

    } else if (type->address == NGX_HTTP_TGBOT_ADDRESS_CHAT
               && update->has_chat_id)
    {
        address->keys = ngx_http_tgbot_address_in_chat(flags, keys, update);
    }

    return NGX_OK;
}


/* a message in a chat that the bot does not know */

static ngx_uint_t
ngx_http_tgbot_address_inline(ngx_uint_t flags, ngx_uint_t keys)
{
    if (!(flags & NGX_HTTP_TGBOT_TO_INLINE)
        || (keys & ngx_http_tgbot_address_bit(MESSAGE_ID)))
    {
        return 0;
    }

    return ngx_http_tgbot_address_bit(INLINE_MESSAGE_ID);
}


/* messages go to who asks, decisions to the group that is asked */

static ngx_uint_t
ngx_http_tgbot_address_join(ngx_uint_t flags, ngx_uint_t keys,
    ngx_http_tgbot_update_t *update)
{
    if (flags & NGX_HTTP_TGBOT_TO_SEND) {
        return update->has_user_chat_id ? ngx_http_tgbot_address_bit(CHAT_ID)
                                        : 0;
    }

    if ((flags & NGX_HTTP_TGBOT_TO_USER)
        && update->has_chat_id && update->has_user_id)
    {
        return (ngx_http_tgbot_address_bit(CHAT_ID)
                | ngx_http_tgbot_address_bit(USER_ID))
               & ~keys;
    }

    return 0;
}


static ngx_uint_t
ngx_http_tgbot_address_in_chat(ngx_uint_t flags, ngx_uint_t keys,
    ngx_http_tgbot_update_t *update)
{
    ngx_uint_t  missing;

    missing = ngx_http_tgbot_address_bit(CHAT_ID);

    if (update->business_connection_id.len) {

        if (!(flags & NGX_HTTP_TGBOT_TO_BUSINESS)) {
            return 0;
        }

        missing |= ngx_http_tgbot_address_bit(BUSINESS_CONNECTION_ID);
    }

    if (!(flags & NGX_HTTP_TGBOT_TO_SEND)) {
        return ngx_http_tgbot_address_message(flags, keys, update, &missing)
               ? missing & ~keys : 0;
    }

    if (update->has_thread_id && (flags & NGX_HTTP_TGBOT_TO_THREAD)) {
        missing |= ngx_http_tgbot_address_bit(MESSAGE_THREAD_ID);
    }

    if (update->has_direct_id) {

        if (!(flags & NGX_HTTP_TGBOT_TO_DIRECT)) {
            return 0;
        }

        missing |= ngx_http_tgbot_address_bit(DIRECT_MESSAGES_TOPIC_ID);
    }

    if (update->has_ephemeral_id) {

        /* others in the chat must not see the answer */

        if (!(flags & NGX_HTTP_TGBOT_TO_EPHEMERAL) || !update->has_from_id) {
            return 0;
        }

        missing |= ngx_http_tgbot_address_bit(EPHEMERAL_MESSAGE_PARAMETERS);
    }

    return missing & ~keys;
}


/*
 * Adds what names a message of the chat, if something in it was pressed.
 * Returns 0 if the method does not reach the message.
 */

static ngx_uint_t
ngx_http_tgbot_address_message(ngx_uint_t flags, ngx_uint_t keys,
    ngx_http_tgbot_update_t *update, ngx_uint_t *missing)
{
    ngx_uint_t  pressed;

    pressed = ngx_http_tgbot_update_types[update->type_index].flags
              & NGX_HTTP_TGBOT_TYPE_PRESSED;

    if (flags & NGX_HTTP_TGBOT_TO_USER) {
        return (keys & ngx_http_tgbot_address_bit(USER_ID)) != 0;
    }

    if (flags & NGX_HTTP_TGBOT_TO_RECEIVER) {

        if (pressed && update->has_ephemeral_id && update->has_from_id) {
            *missing |= ngx_http_tgbot_address_bit(RECEIVER_USER_ID)
                        | ngx_http_tgbot_address_bit(EPHEMERAL_MESSAGE_ID);
        }

        return 1;
    }

    if (flags & NGX_HTTP_TGBOT_TO_MESSAGE) {

        if (update->has_ephemeral_id
            && !(keys & ngx_http_tgbot_address_bit(MESSAGE_ID)))
        {
            return 0;
        }

        if (pressed && update->has_message_id) {
            *missing |= ngx_http_tgbot_address_bit(MESSAGE_ID);
        }
    }

    return 1;
}


ngx_int_t
ngx_http_tgbot_address_complete(ngx_http_tgbot_method_t *call,
    ngx_http_tgbot_method_object_t *object, ngx_http_tgbot_update_t *update,
    ngx_http_tgbot_address_t *address, ngx_pool_t *pool)
{
    size_t                        size;
    ngx_uint_t                    key, keys;
    ngx_http_tgbot_address_ctx_t  ctx;

    size = object->body.len + ngx_http_tgbot_address_size(address, update);

    call->body.data = ngx_pnalloc(pool, size);
    if (call->body.data == NULL) {
        return NGX_ERROR;
    }

    ctx.call = call;
    ctx.object = object;
    ctx.p = call->body.data;
    ctx.pos = 0;

    ngx_http_tgbot_address_copy(&ctx, 1);

    /* "method" follows, so each member ends with a comma */

    ctx.p = ngx_http_tgbot_address_write(ctx.p, call, update, address,
                                         address->keys & ~object->nulls);

    keys = address->keys & object->nulls;

    while (keys) {
        key = ngx_http_tgbot_address_null(object, keys);

        ngx_http_tgbot_address_copy(&ctx, object->null_pos[key]);
        ctx.p = ngx_http_tgbot_address_put(ctx.p, call, update, address, key);

        ctx.pos += sizeof("null") - 1;
        keys &= ~((ngx_uint_t) 1 << key);
    }

    ngx_http_tgbot_address_copy(&ctx, object->body.len);

    call->body.len = ctx.p - call->body.data;

    return NGX_OK;
}


/* the one of these nulls that comes first */

static ngx_uint_t
ngx_http_tgbot_address_null(ngx_http_tgbot_method_object_t *object,
    ngx_uint_t keys)
{
    ngx_uint_t  key, first;

    first = NGX_HTTP_TGBOT_OBJECT_OTHER;

    for (key = 0; keys >> key; key++) {

        if (((keys >> key) & 1)
            && (first == NGX_HTTP_TGBOT_OBJECT_OTHER
                || object->null_pos[key] < object->null_pos[first]))
        {
            first = key;
        }
    }

    return first;
}


/* copies the object's bytes up to "end" */

static void
ngx_http_tgbot_address_copy(ngx_http_tgbot_address_ctx_t *ctx, size_t end)
{
    ngx_http_tgbot_method_object_t  *object;

    object = ctx->object;

    if (object->chat_len
        && object->chat_pos >= ctx->pos && object->chat_pos < end)
    {
        ctx->call->chat_pos = ctx->p - ctx->call->body.data
                              + object->chat_pos - ctx->pos;
    }

    ctx->p = ngx_cpymem(ctx->p, object->body.data + ctx->pos,
                        end - ctx->pos);
    ctx->pos = end;
}


u_char *
ngx_http_tgbot_address_write(u_char *p, ngx_http_tgbot_method_t *call,
    ngx_http_tgbot_update_t *update, ngx_http_tgbot_address_t *address,
    ngx_uint_t keys)
{
    ngx_str_t   *name;
    ngx_uint_t   key;

    for (key = 0; keys >> key; key++) {

        if (!((keys >> key) & 1)) {
            continue;
        }

        name = ngx_http_tgbot_method_object_key_name(key);

        *p++ = '"';
        p = ngx_cpymem(p, name->data, name->len);
        *p++ = '"';
        *p++ = ':';

        p = ngx_http_tgbot_address_put(p, call, update, address, key);
        *p++ = ',';
    }

    return p;
}


static u_char *
ngx_http_tgbot_address_put(u_char *p, ngx_http_tgbot_method_t *call,
    ngx_http_tgbot_update_t *update, ngx_http_tgbot_address_t *address,
    ngx_uint_t key)
{
    u_char  *end;

    end = ngx_http_tgbot_address_value(p, key, update, address->chat_id);

    if (key == NGX_HTTP_TGBOT_OBJECT_CHAT_ID) {
        call->chat_pos = p - call->body.data;
        call->chat_len = end - p;
    }

    return end;
}


size_t
ngx_http_tgbot_address_size(ngx_http_tgbot_address_t *address,
    ngx_http_tgbot_update_t *update)
{
    size_t       size;
    ngx_uint_t   key;

    size = 0;

    for (key = 0; address->keys >> key; key++) {

        if ((address->keys >> key) & 1) {
            size += sizeof("\"\":,") - 1
                    + ngx_http_tgbot_method_object_key_name(key)->len
                    + ngx_http_tgbot_address_value_size(key, update);
        }
    }

    return size;
}


/* the most bytes of a value */

static size_t
ngx_http_tgbot_address_value_size(ngx_uint_t key,
    ngx_http_tgbot_update_t *update)
{
    if (key == NGX_HTTP_TGBOT_OBJECT_CHAT_ID) {
        return NGX_INT64_LEN;
    }

    return sizeof("{\"receiver_user_id\":,\"callback_query_id\":}") - 1
           + NGX_INT64_LEN
           + ngx_http_tgbot_json_escaped(&update->query_id)
           + ngx_http_tgbot_json_escaped(&update->inline_message_id)
           + ngx_http_tgbot_json_escaped(&update->business_connection_id);
}


static u_char *
ngx_http_tgbot_address_string(u_char *p, ngx_str_t *text)
{
    return ngx_http_tgbot_json_escape(p, text,
                                      ngx_http_tgbot_json_escaped(text));
}


static u_char *
ngx_http_tgbot_address_value(u_char *p, ngx_uint_t key,
    ngx_http_tgbot_update_t *update, int64_t chat_id)
{
    int64_t  id;

    switch (key) {

    case NGX_HTTP_TGBOT_OBJECT_CHAT_ID:
        id = chat_id;
        break;

    case NGX_HTTP_TGBOT_OBJECT_USER_ID:
        id = update->user_id;
        break;

    case NGX_HTTP_TGBOT_OBJECT_MESSAGE_ID:
        id = update->message_id;
        break;

    case NGX_HTTP_TGBOT_OBJECT_MESSAGE_THREAD_ID:
        id = update->thread_id;
        break;

    case NGX_HTTP_TGBOT_OBJECT_DIRECT_MESSAGES_TOPIC_ID:
        id = update->direct_id;
        break;

    case NGX_HTTP_TGBOT_OBJECT_RECEIVER_USER_ID:
        id = update->from_id;
        break;

    case NGX_HTTP_TGBOT_OBJECT_EPHEMERAL_MESSAGE_ID:
        id = update->ephemeral_id;
        break;

    case NGX_HTTP_TGBOT_OBJECT_EPHEMERAL_MESSAGE_PARAMETERS:
        p = ngx_sprintf(p, "{\"receiver_user_id\":%L", update->from_id);

        if (update->query_id.len) {
            p = ngx_sprintf(p, ",\"callback_query_id\":");
            p = ngx_http_tgbot_address_string(p, &update->query_id);
        }

        *p++ = '}';
        return p;

    case NGX_HTTP_TGBOT_OBJECT_INLINE_MESSAGE_ID:
        return ngx_http_tgbot_address_string(p, &update->inline_message_id);

    case NGX_HTTP_TGBOT_OBJECT_BUSINESS_CONNECTION_ID:
        return ngx_http_tgbot_address_string(p,
                                             &update->business_connection_id);

    default: /* ids of queries */
        return ngx_http_tgbot_address_string(p, &update->query_id);
    }

    return ngx_http_tgbot_json_write_int64(p, id);
}
