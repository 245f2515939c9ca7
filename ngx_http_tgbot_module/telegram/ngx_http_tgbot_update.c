
/*
 * An Update is read in one pass.  The reader enters only the few objects that
 * matter, each with its table of keys, and tells the parser to skip the rest.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_update.h"
#include "ngx_http_tgbot_update_key.h"


/*
 * Commands in the text of a message.
 */

/* letters, digits and underscores after the slash */
#define NGX_HTTP_TGBOT_COMMAND_LEN  32


/* Update, chat_boost, boost, source, user */
#define NGX_HTTP_TGBOT_UPDATE_LEVELS       5

#define NGX_HTTP_TGBOT_UPDATE_STRINGS      NGX_HTTP_TGBOT_KEY_TYPE

#define NGX_HTTP_TGBOT_UPDATE_NUMBERS                                        \
    (NGX_HTTP_TGBOT_KEY_TOPIC - NGX_HTTP_TGBOT_KEY_UPDATE_ID)

#define NGX_HTTP_TGBOT_UPDATE_PARTIES                                        \
    (NGX_HTTP_TGBOT_KEY_OTHER - NGX_HTTP_TGBOT_KEY_CHAT)


/* number of the queue of updates that share no queue, in five bits */
#define NGX_HTTP_TGBOT_UPDATE_ALONE        31


/* places have 16 bits; a larger Update is rare and is parsed again */
#define NGX_HTTP_TGBOT_UPDATE_MAX_WRITTEN  65535

/*
 * raised when fields are added or removed, or are found in other places, and
 * when types change their places
 */
#define NGX_HTTP_TGBOT_UPDATE_VERSION      2


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


/* a chat or a user */

typedef struct {
    int64_t                           id;
    ngx_uint_t                        has_id;     /* unsigned  has_id:1 */
    ngx_str_t                         type;
    ngx_str_t                         username;
    ngx_str_t                         first_name;
    ngx_str_t                         language;
} ngx_http_tgbot_update_party_t;


/* an object that the reader is in */

typedef struct {
    ngx_uint_t                        in;       /* ngx_http_tgbot_update_in_e */
    uint32_t                          seen;       /* bits 1 << key */
    ngx_http_tgbot_update_party_t    *party;
} ngx_http_tgbot_update_level_t;


/* the index of each array is a key minus the first key of that sort */

typedef struct {
    ngx_http_tgbot_update_t          *update;
    ngx_pool_t                       *pool;

    ngx_uint_t                        level;      /* index into levels */
    ngx_uint_t                        key;        /* of the value to come */

    ngx_uint_t                        type;       /* of the value to come */
    ngx_str_t                         name;       /* of that type */

    ngx_uint_t                        next_kind;  /* of the value to come */
    ngx_uint_t                        kind;

    uint32_t                          has;        /* numbers, bits 1 << key */
    ngx_uint_t                        topic;      /* unsigned  topic:1 */
    ngx_uint_t                        numbered;   /* unsigned  numbered:1 */

    int64_t                           numbers[NGX_HTTP_TGBOT_UPDATE_NUMBERS];
    ngx_str_t                         strings[NGX_HTTP_TGBOT_UPDATE_STRINGS];
    ngx_http_tgbot_update_party_t     parties[NGX_HTTP_TGBOT_UPDATE_PARTIES];
    ngx_http_tgbot_update_level_t     levels[NGX_HTTP_TGBOT_UPDATE_LEVELS + 1];
} ngx_http_tgbot_update_reader_t;


static ngx_int_t ngx_http_tgbot_update_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_key(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_value(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_uint_t ngx_http_tgbot_update_open(
    ngx_http_tgbot_update_reader_t *rd);
static ngx_int_t ngx_http_tgbot_update_string(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_keep(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token,
    ngx_str_t *value);
static void ngx_http_tgbot_update_number(ngx_http_tgbot_update_reader_t *rd,
    ngx_str_t *text);
static ngx_uint_t ngx_http_tgbot_update_digits(ngx_str_t *text);
static void ngx_http_tgbot_update_finish(ngx_http_tgbot_update_reader_t *rd);
static void ngx_http_tgbot_update_numbers(ngx_http_tgbot_update_reader_t *rd);
static ngx_uint_t ngx_http_tgbot_update_integer(
    ngx_http_tgbot_update_reader_t *rd, ngx_uint_t key, int64_t *n);
static void ngx_http_tgbot_update_parties(ngx_http_tgbot_update_reader_t *rd);
static ngx_http_tgbot_update_party_t *ngx_http_tgbot_update_party(
    ngx_http_tgbot_update_reader_t *rd, ngx_uint_t first, ngx_uint_t last);
static void ngx_http_tgbot_update_command_parse(ngx_str_t *text,
    ngx_str_t *command, ngx_str_t *args);
static u_char *ngx_http_tgbot_update_command_word(u_char *p, u_char *last);


static const size_t  ngx_http_tgbot_update_strings[] = {
    offsetof(ngx_http_tgbot_update_t, type),
    offsetof(ngx_http_tgbot_update_t, chat_type),
    offsetof(ngx_http_tgbot_update_t, username),
    offsetof(ngx_http_tgbot_update_t, first_name),
    offsetof(ngx_http_tgbot_update_t, language),
    offsetof(ngx_http_tgbot_update_t, text),
    offsetof(ngx_http_tgbot_update_t, command),
    offsetof(ngx_http_tgbot_update_t, args),
    offsetof(ngx_http_tgbot_update_t, data),
    offsetof(ngx_http_tgbot_update_t, message_kind),
    offsetof(ngx_http_tgbot_update_t, query_id),
    offsetof(ngx_http_tgbot_update_t, business_connection_id),
    offsetof(ngx_http_tgbot_update_t, poll_id)
};

#define NGX_HTTP_TGBOT_UPDATE_COPIED                                         \
    (sizeof(ngx_http_tgbot_update_strings) / sizeof(size_t))


ngx_int_t
ngx_http_tgbot_update_parse(ngx_http_tgbot_update_t *update, ngx_str_t *body,
    ngx_pool_t *pool)
{
    ngx_int_t                       rc;
    ngx_http_tgbot_update_reader_t  rd;

    ngx_memzero(update, sizeof(ngx_http_tgbot_update_t));
    ngx_memzero(&rd, sizeof(ngx_http_tgbot_update_reader_t));

    rd.update = update;
    rd.pool = pool;
    rd.key = NGX_HTTP_TGBOT_KEY_OTHER;
    rd.kind = NGX_HTTP_TGBOT_KEY_NO_KIND;
    rd.levels[1].in = NGX_HTTP_TGBOT_KEY_IN_DOCUMENT;

    rc = ngx_http_tgbot_json_parse(body, ngx_http_tgbot_update_token, &rd);

    /* no field that is read is nested too deeply */

    if (rc != NGX_OK && rc != NGX_BUSY) {
        return rc;
    }

    ngx_http_tgbot_update_finish(&rd);

    return rd.numbered ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_tgbot_update_token(void *data, ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_update_reader_t *rd = data;

    switch (token->type) {

    case NGX_HTTP_TGBOT_JSON_KEY:
        return ngx_http_tgbot_update_key(rd, token);

    case NGX_HTTP_TGBOT_JSON_MAP_END:
    case NGX_HTTP_TGBOT_JSON_ARRAY_END:

        if (token->depth < rd->level) {
            rd->level--;
        }

        return NGX_OK;

    case NGX_HTTP_TGBOT_JSON_MAP_START:
    case NGX_HTTP_TGBOT_JSON_ARRAY_START:

        /* an object that is not entered is skipped */

        token->skip = 1;

        /* fall through */

    default:
        return ngx_http_tgbot_update_value(rd, token);

    case NGX_HTTP_TGBOT_JSON_NULL:
        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_tgbot_update_key(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_http_tgbot_update_level_t  *level;

    level = &rd->levels[rd->level];

    rd->key = ngx_http_tgbot_update_key_find(level->in, &token->text);

    if (rd->key == NGX_HTTP_TGBOT_KEY_KIND) {
        rd->next_kind = ngx_http_tgbot_update_key_kind(&token->text);
        token->skip = (rd->next_kind >= rd->kind);
        return NGX_OK;
    }

    if (rd->key == NGX_HTTP_TGBOT_KEY_OTHER
        || (level->seen & ((uint32_t) 1 << rd->key)))
    {
        token->skip = 1;
        return NGX_OK;
    }

    if (rd->key == NGX_HTTP_TGBOT_KEY_UPDATE) {
        rd->type = ngx_http_tgbot_update_type_find(&token->text);
        rd->name = ngx_http_tgbot_update_types[rd->type].name;

        if (rd->type == NGX_HTTP_TGBOT_TYPE_UNKNOWN) {
            return ngx_http_tgbot_update_keep(rd, token, &rd->name);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_update_value(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_uint_t  no;

    if (rd->level == 0) {

        if (token->type == NGX_HTTP_TGBOT_JSON_MAP_START) {
            rd->level = 1;
            token->skip = 0;
        }

        return NGX_OK;
    }

    no = (token->type == NGX_HTTP_TGBOT_JSON_BOOLEAN
          && token->text.len == sizeof("false") - 1);

    if (rd->key == NGX_HTTP_TGBOT_KEY_KIND) {

        if (!no) {
            rd->kind = rd->next_kind;
        }

        return NGX_OK;
    }

    rd->levels[rd->level].seen |= (uint32_t) 1 << rd->key;

    if (rd->key == NGX_HTTP_TGBOT_KEY_UPDATE) {
        rd->update->type = rd->name;
        rd->update->type_index = rd->type;
    }

    switch (token->type) {

    case NGX_HTTP_TGBOT_JSON_MAP_START:
        token->skip = !ngx_http_tgbot_update_open(rd);
        break;

    case NGX_HTTP_TGBOT_JSON_STRING:
        return ngx_http_tgbot_update_string(rd, token);

    case NGX_HTTP_TGBOT_JSON_NUMBER:

        if (rd->key == NGX_HTTP_TGBOT_KEY_QUERY_ID) {
            return ngx_http_tgbot_update_string(rd, token);
        }

        ngx_http_tgbot_update_number(rd, &token->text);
        break;

    case NGX_HTTP_TGBOT_JSON_BOOLEAN:

        if (rd->key == NGX_HTTP_TGBOT_KEY_TOPIC) {
            rd->topic = !no;
        }
    }

    return NGX_OK;
}


/* enters the object of the current key if something in it is read */

static ngx_uint_t
ngx_http_tgbot_update_open(ngx_http_tgbot_update_reader_t *rd)
{
    ngx_uint_t                      in;
    ngx_http_tgbot_update_level_t  *level;

    in = (rd->key == NGX_HTTP_TGBOT_KEY_UPDATE)
         ? ngx_http_tgbot_update_types[rd->type].in
         : ngx_http_tgbot_update_key_opens(rd->key);

    if (in == NGX_HTTP_TGBOT_KEY_IN_NOTHING
        || rd->level == NGX_HTTP_TGBOT_UPDATE_LEVELS)
    {
        return 0;
    }

    level = &rd->levels[++rd->level];

    level->in = in;
    level->seen = 0;

    /* an inline query has chat_type but no chat */

    level->party = (rd->key < NGX_HTTP_TGBOT_KEY_CHAT)
                   ? rd->parties
                   : &rd->parties[rd->key - NGX_HTTP_TGBOT_KEY_CHAT];

    return 1;
}


static ngx_int_t
ngx_http_tgbot_update_string(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_str_t                      *value;
    ngx_http_tgbot_update_party_t  *party;

    party = rd->levels[rd->level].party;

    switch (rd->key) {

    case NGX_HTTP_TGBOT_KEY_TYPE:
        value = &party->type;
        break;

    case NGX_HTTP_TGBOT_KEY_USERNAME:
        value = &party->username;
        break;

    case NGX_HTTP_TGBOT_KEY_FIRST_NAME:
        value = &party->first_name;
        break;

    case NGX_HTTP_TGBOT_KEY_LANGUAGE:
        value = &party->language;
        break;

    default:

        if (rd->key >= NGX_HTTP_TGBOT_UPDATE_STRINGS) {
            return NGX_OK;
        }

        value = &rd->strings[rd->key];
    }

    return ngx_http_tgbot_update_keep(rd, token, value);
}


static ngx_int_t
ngx_http_tgbot_update_keep(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token, ngx_str_t *value)
{
    size_t      len, min;
    ngx_str_t   text, *in;

    in = token->in;
    text = token->text;

    if (text.len == 0) {
        return NGX_OK;
    }

    if (text.len > NGX_HTTP_TGBOT_UPDATE_MAX_STRING) {

        /* the cut is at the beginning of a character */

        len = NGX_HTTP_TGBOT_UPDATE_MAX_STRING;
        min = len - 3;

        while (len > min && (text.data[len] & 0xc0) == 0x80) {
            len--;
        }

        text.len = len;
    }

    if (text.data < in->data || text.data >= in->data + in->len
        || !ngx_http_tgbot_json_is_clean(&text))
    {
        text.data = ngx_pstrdup(rd->pool, &text);
        if (text.data == NULL) {
            return NGX_ERROR;
        }

        ngx_http_tgbot_json_clean(&text);
    }

    *value = text;

    return NGX_OK;
}


static void
ngx_http_tgbot_update_number(ngx_http_tgbot_update_reader_t *rd,
    ngx_str_t *text)
{
    int64_t                         n;
    ngx_http_tgbot_update_party_t  *party;

    if (rd->key == NGX_HTTP_TGBOT_KEY_UPDATE_ID) {
        rd->numbered = ngx_http_tgbot_update_digits(text);
    }

    if (rd->key < NGX_HTTP_TGBOT_KEY_ID
        || rd->key >= NGX_HTTP_TGBOT_KEY_TOPIC
        || ngx_http_tgbot_json_int64(text, &n) != NGX_OK)
    {
        return;
    }

    if (rd->key == NGX_HTTP_TGBOT_KEY_ID) {
        party = rd->levels[rd->level].party;
        party->id = n;
        party->has_id = 1;
        return;
    }

    rd->numbers[rd->key - NGX_HTTP_TGBOT_KEY_UPDATE_ID] = n;
    rd->has |= (uint32_t) 1 << rd->key;
}


/* whether a number is an integer, of any size */

static ngx_uint_t
ngx_http_tgbot_update_digits(ngx_str_t *text)
{
    size_t  i;

    for (i = (text->data[0] == '-'); i < text->len; i++) {

        if (text->data[i] < '0' || text->data[i] > '9') {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_tgbot_update_finish(ngx_http_tgbot_update_reader_t *rd)
{
    ngx_uint_t                           i;
    ngx_http_tgbot_update_t             *update;
    const ngx_http_tgbot_update_type_t  *type;

    update = rd->update;
    type = &ngx_http_tgbot_update_types[update->type_index];

    update->life = type->life;

    for (i = NGX_HTTP_TGBOT_KEY_TEXT; i <= NGX_HTTP_TGBOT_KEY_CAPTION; i++) {

        if (rd->strings[i].len) {
            update->text = rd->strings[i];
            break;
        }
    }

    update->data = rd->strings[NGX_HTTP_TGBOT_KEY_DATA];
    update->query_id = rd->strings[NGX_HTTP_TGBOT_KEY_QUERY_ID];
    update->business_connection_id =
                                rd->strings[NGX_HTTP_TGBOT_KEY_CONNECTION_ID];
    update->poll_id = rd->strings[NGX_HTTP_TGBOT_KEY_POLL_ID];

    if (rd->kind != NGX_HTTP_TGBOT_KEY_NO_KIND) {
        update->message_kind = *ngx_http_tgbot_update_key_kind_name(rd->kind);

    } else if (rd->strings[NGX_HTTP_TGBOT_KEY_TEXT].len) {
        ngx_str_set(&update->message_kind, "text");
    }

    ngx_http_tgbot_update_numbers(rd);
    ngx_http_tgbot_update_parties(rd);

    if (type->flags & NGX_HTTP_TGBOT_TYPE_COMMAND) {
        ngx_http_tgbot_update_command_parse(&update->text, &update->command,
                                            &update->args);
    }
}


static void
ngx_http_tgbot_update_numbers(ngx_http_tgbot_update_reader_t *rd)
{
    ngx_http_tgbot_update_t  *u;

    u = rd->update;

    u->update_id = NGX_HTTP_TGBOT_UPDATE_NO_ID;

    (void) ngx_http_tgbot_update_integer(rd, NGX_HTTP_TGBOT_KEY_UPDATE_ID,
                                         &u->update_id);

    u->has_update_id = (u->update_id != NGX_HTTP_TGBOT_UPDATE_NO_ID);

    u->has_message_id = ngx_http_tgbot_update_integer(rd,
                               NGX_HTTP_TGBOT_KEY_MESSAGE_ID, &u->message_id);

    u->has_thread_id = rd->topic
                       && ngx_http_tgbot_update_integer(rd,
                               NGX_HTTP_TGBOT_KEY_THREAD_ID, &u->thread_id);

    /* the date of an edit is edit_date, not the date of the message */

    u->has_date = (ngx_http_tgbot_update_integer(rd,
                               NGX_HTTP_TGBOT_KEY_EDIT_DATE, &u->date)
                   || ngx_http_tgbot_update_integer(rd,
                               NGX_HTTP_TGBOT_KEY_DATE, &u->date))
                  && u->date > 0;
}


static ngx_uint_t
ngx_http_tgbot_update_integer(ngx_http_tgbot_update_reader_t *rd,
    ngx_uint_t key, int64_t *n)
{
    if (!(rd->has & ((uint32_t) 1 << key))) {
        return 0;
    }

    *n = rd->numbers[key - NGX_HTTP_TGBOT_KEY_UPDATE_ID];

    return 1;
}


static void
ngx_http_tgbot_update_parties(ngx_http_tgbot_update_reader_t *rd)
{
    ngx_http_tgbot_update_t        *update;
    ngx_http_tgbot_update_party_t  *party;

    update = rd->update;

    party = ngx_http_tgbot_update_party(rd, NGX_HTTP_TGBOT_KEY_CHAT,
                                        NGX_HTTP_TGBOT_KEY_VOTER_CHAT);
    update->has_chat_id = party->has_id;
    update->chat_id = party->id;
    update->chat_type = party->type;

    party = ngx_http_tgbot_update_party(rd, NGX_HTTP_TGBOT_KEY_VOTER_CHAT,
                                        NGX_HTTP_TGBOT_KEY_ACTOR_CHAT);
    update->has_user_id = party->has_id;
    update->user_id = party->id;
    update->username = party->username;
    update->first_name = party->first_name;

    /* chats have no language */

    party = ngx_http_tgbot_update_party(rd, NGX_HTTP_TGBOT_KEY_FROM,
                                        NGX_HTTP_TGBOT_KEY_USER);
    update->language = party->language;
}


/* the first party that has an id, or the first one */

static ngx_http_tgbot_update_party_t *
ngx_http_tgbot_update_party(ngx_http_tgbot_update_reader_t *rd,
    ngx_uint_t first, ngx_uint_t last)
{
    ngx_uint_t  i;

    for (i = first; i <= last; i++) {
        if (rd->parties[i - NGX_HTTP_TGBOT_KEY_CHAT].has_id) {
            first = i;
            break;
        }
    }

    return &rd->parties[first - NGX_HTTP_TGBOT_KEY_CHAT];
}


size_t
ngx_http_tgbot_update_size(ngx_http_tgbot_update_t *update)
{
    size_t       size;
    ngx_str_t   *s;
    ngx_uint_t   i;

    size = 0;

    for (i = 0; i < NGX_HTTP_TGBOT_UPDATE_COPIED; i++) {
        s = (ngx_str_t *) ((u_char *) update
                           + ngx_http_tgbot_update_strings[i]);
        size += s->len;
    }

    return size;
}


ngx_int_t
ngx_http_tgbot_update_copy(ngx_http_tgbot_update_t *dst,
    ngx_http_tgbot_update_t *src, ngx_pool_t *pool)
{
    u_char      *p;
    ngx_str_t   *s;
    ngx_uint_t   i;

    p = ngx_pnalloc(pool, ngx_http_tgbot_update_size(src));
    if (p == NULL) {
        return NGX_ERROR;
    }

    *dst = *src;

    for (i = 0; i < NGX_HTTP_TGBOT_UPDATE_COPIED; i++) {
        s = (ngx_str_t *) ((u_char *) dst + ngx_http_tgbot_update_strings[i]);

        if (s->len) {
            p = ngx_cpymem(p, s->data, s->len);
            s->data = p - s->len;
        }
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


/*
 * In "/start@my_bot x y" the command is "/start" and the arguments are
 * "x y", without spaces around; both point into text.  If text does not begin
 * with a command, both are left unchanged.  ngx_http_tgbot_json_clean() has
 * cleaned text, so any white space is a space.
 */

static void
ngx_http_tgbot_update_command_parse(ngx_str_t *text, ngx_str_t *command,
    ngx_str_t *args)
{
    u_char  *p, *end, *bot, *last;

    if (text->len == 0 || text->data[0] != '/') {
        return;
    }

    p = text->data + 1;
    last = text->data + text->len;

    end = ngx_http_tgbot_update_command_word(p, last);

    if (end == p || end - p > NGX_HTTP_TGBOT_COMMAND_LEN) {
        return;
    }

    p = end;

    if (p < last && *p == '@') {
        bot = ++p;
        p = ngx_http_tgbot_update_command_word(bot, last);

        if (p == bot) {
            return;
        }
    }

    if (p < last && *p != ' ') {
        return;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    while (p < last && last[-1] == ' ') {
        last--;
    }

    command->data = text->data;
    command->len = end - text->data;

    args->data = p;
    args->len = last - p;
}


/* the end of the letters, digits and underscores at p */

static u_char *
ngx_http_tgbot_update_command_word(u_char *p, u_char *last)
{
    u_char  c;

    for ( /* void */ ; p < last; p++) {
        c = (u_char) (*p | 0x20);

        if ((c < 'a' || c > 'z') && (*p < '0' || *p > '9') && *p != '_') {
            break;
        }
    }

    return p;
}


ngx_uint_t
ngx_http_tgbot_update_payment(ngx_http_tgbot_update_t *update)
{
    ngx_str_t  *kind;

    static ngx_str_t  kinds[] = {
        ngx_string("successful_payment"),
        ngx_string("refunded_payment"),
        ngx_null_string
    };

    if (ngx_http_tgbot_update_types[update->type_index].flags
        & NGX_HTTP_TGBOT_TYPE_PAYMENT)
    {
        return 1;
    }

    for (kind = kinds; kind->len; kind++) {

        if (kind->len == update->message_kind.len
            && ngx_memcmp(kind->data, update->message_kind.data, kind->len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_tgbot_update_unlimited(ngx_http_tgbot_update_t *update)
{
    return (ngx_http_tgbot_update_types[update->type_index].flags
            & NGX_HTTP_TGBOT_TYPE_UNLIMITED)
           || ngx_http_tgbot_update_payment(update);
}


/*
 * Ids of chats and users have at most 52 bits, so no two of their queues have
 * the same number.  Ids of polls are longer and may meet another queue, which
 * is no more than a lane that is shared.  The rest is the finalizer of
 * splitmix64: different numbers stay different, and each bit depends on all.
 */

uint64_t
ngx_http_tgbot_update_lane(ngx_http_tgbot_update_t *update)
{
    int64_t                              id;
    uint64_t                             lane;
    const ngx_http_tgbot_update_type_t  *type;

    type = &ngx_http_tgbot_update_types[update->type_index];
    lane = type->queue;

    if ((type->lane & NGX_HTTP_TGBOT_LANE_CHAT) && update->has_chat_id) {
        id = update->chat_id;

    } else if ((type->lane & NGX_HTTP_TGBOT_LANE_USER) && update->has_user_id)
    {
        id = update->user_id;

    } else if (!(type->lane & NGX_HTTP_TGBOT_LANE_POLL)
               || ngx_http_tgbot_json_int64(&update->poll_id, &id) != NGX_OK)
    {
        lane = NGX_HTTP_TGBOT_UPDATE_ALONE;
        id = update->update_id;
    }

    lane = (lane << 59) ^ (uint64_t) id;

    lane = (lane ^ lane >> 30) * 0xbf58476d1ce4e5b9ULL;
    lane = (lane ^ lane >> 27) * 0x94d049bb133111ebULL;

    return lane ^ lane >> 31;
}
