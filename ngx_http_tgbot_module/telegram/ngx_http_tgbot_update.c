
/*
 * An Update is read in one pass.  The reader enters only the few objects that
 * matter, each with its table of keys, and tells the parser to skip the rest.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "ngx_http_tgbot_update.h"
#include "ngx_http_tgbot_update_key.h"
#include "ngx_http_tgbot_update_rich.h"


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


/* seconds in which a chat_join_request with query_id is to be answered */
#define NGX_HTTP_TGBOT_UPDATE_JOIN_LIFE    10


/* number of the queue of updates that share no queue, in five bits */
#define NGX_HTTP_TGBOT_UPDATE_ALONE        31


/* a chat or a user */

typedef struct {
    int64_t                           id;
    ngx_str_t                         type;
    ngx_str_t                         username;
    ngx_str_t                         first_name;
    ngx_str_t                         language;
    unsigned                          has_id:1;
    unsigned                          is_bot:1;
} ngx_http_tgbot_update_party_t;


/* an object that the reader is in */

typedef struct {
    const ngx_http_tgbot_key_t       *keys;
    uint64_t                          seen;       /* bits 1 << key, and OTHER */
    ngx_http_tgbot_update_party_t    *party;
} ngx_http_tgbot_update_level_t;


/* the index of each array is a key minus the first key of that sort */

typedef struct {
    ngx_http_tgbot_update_t          *update;
    ngx_pool_t                       *pool;

    ngx_http_tgbot_update_level_t    *level;      /* among levels */
    ngx_uint_t                        key;        /* of the value to come */

    ngx_uint_t                        type;       /* of the value to come */
    ngx_str_t                         name;       /* of that type */

    ngx_uint_t                        next_kind;  /* of the value to come */
    ngx_uint_t                        kind;

    uint64_t                          has;        /* numbers, bits 1 << key */
    unsigned                          topic:1;
    unsigned                          automatic:1;
    unsigned                          numbered:1;

    ngx_http_tgbot_update_rich_t      rich;

    int64_t                           numbers[NGX_HTTP_TGBOT_UPDATE_NUMBERS];
    ngx_str_t                         strings[NGX_HTTP_TGBOT_UPDATE_STRINGS];
    ngx_http_tgbot_update_party_t     parties[NGX_HTTP_TGBOT_UPDATE_PARTIES];
    ngx_http_tgbot_update_level_t     levels[NGX_HTTP_TGBOT_UPDATE_LEVELS + 1];
} ngx_http_tgbot_update_reader_t;


typedef ngx_int_t (*ngx_http_tgbot_update_pt)(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);


static ngx_int_t ngx_http_tgbot_update_token(void *data,
    ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_key(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_uint_t ngx_http_tgbot_update_find(const ngx_http_tgbot_key_t *row,
    ngx_str_t *name);
static ngx_uint_t ngx_http_tgbot_update_value(
    ngx_http_tgbot_update_reader_t *rd, ngx_uint_t no);
static ngx_int_t ngx_http_tgbot_update_null(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_boolean(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_number(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_string(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_map(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_array(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_int_t ngx_http_tgbot_update_end(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token);
static ngx_uint_t ngx_http_tgbot_update_open(
    ngx_http_tgbot_update_reader_t *rd);
static ngx_int_t ngx_http_tgbot_update_keep(
    ngx_http_tgbot_update_reader_t *rd, ngx_http_tgbot_json_token_t *token,
    ngx_str_t *value);
static ngx_uint_t ngx_http_tgbot_update_digits(ngx_str_t *text);
static void ngx_http_tgbot_update_finish(ngx_http_tgbot_update_reader_t *rd);
static void ngx_http_tgbot_update_numbers(ngx_http_tgbot_update_reader_t *rd);
static ngx_uint_t ngx_http_tgbot_update_integer(
    ngx_http_tgbot_update_reader_t *rd, ngx_uint_t key, int64_t *n);
static void ngx_http_tgbot_update_parties(ngx_http_tgbot_update_reader_t *rd);
static ngx_uint_t ngx_http_tgbot_update_said(
    ngx_http_tgbot_update_reader_t *rd);
static ngx_http_tgbot_update_party_t *ngx_http_tgbot_update_party(
    ngx_http_tgbot_update_reader_t *rd, ngx_uint_t first, ngx_uint_t last);
static void ngx_http_tgbot_update_command_parse(
    ngx_http_tgbot_update_t *update);
static u_char *ngx_http_tgbot_update_command_word(u_char *p, u_char *last);


static const ngx_http_tgbot_update_pt  ngx_http_tgbot_update_tokens[] = {
    [NGX_HTTP_TGBOT_JSON_NULL] = ngx_http_tgbot_update_null,
    [NGX_HTTP_TGBOT_JSON_BOOLEAN] = ngx_http_tgbot_update_boolean,
    [NGX_HTTP_TGBOT_JSON_NUMBER] = ngx_http_tgbot_update_number,
    [NGX_HTTP_TGBOT_JSON_STRING] = ngx_http_tgbot_update_string,
    [NGX_HTTP_TGBOT_JSON_KEY] = ngx_http_tgbot_update_key,
    [NGX_HTTP_TGBOT_JSON_MAP_START] = ngx_http_tgbot_update_map,
    [NGX_HTTP_TGBOT_JSON_MAP_END] = ngx_http_tgbot_update_end,
    [NGX_HTTP_TGBOT_JSON_ARRAY_START] = ngx_http_tgbot_update_array,
    [NGX_HTTP_TGBOT_JSON_ARRAY_END] = ngx_http_tgbot_update_end
};


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
    rd.level = rd.levels;

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

    if (rd->rich.depth) {
        return ngx_http_tgbot_update_rich(&rd->rich, token, rd->pool);
    }

    return ngx_http_tgbot_update_tokens[token->type](rd, token);
}


static ngx_int_t
ngx_http_tgbot_update_key(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_uint_t  key;

    key = ngx_http_tgbot_update_find(rd->level->keys, &token->text);

    rd->key = key;

    if (rd->level->seen & ((uint64_t) 1 << key)) {
        token->skip = 1;
        return NGX_OK;
    }

    switch (key) {

    case NGX_HTTP_TGBOT_KEY_KIND:
        rd->next_kind = ngx_http_tgbot_update_key_kind(&token->text);
        token->skip = (rd->next_kind >= rd->kind);
        break;

    case NGX_HTTP_TGBOT_KEY_RICH:
        rd->next_kind = ngx_http_tgbot_update_key_kind(&token->text);
        break;

    case NGX_HTTP_TGBOT_KEY_UPDATE:
        rd->type = ngx_http_tgbot_update_type_find(&token->text);
        rd->name = ngx_http_tgbot_update_types[rd->type].name;

        if (rd->type == NGX_HTTP_TGBOT_TYPE_UNKNOWN) {
            return ngx_http_tgbot_update_keep(rd, token, &rd->name);
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tgbot_update_find(const ngx_http_tgbot_key_t *row, ngx_str_t *name)
{
    for ( /* void */ ; row->name.len; row++) {

        if (row->name.len == name->len
            && row->name.data[0] == name->data[0]
            && ngx_memcmp(row->name.data, name->data, name->len) == 0)
        {
            break;
        }
    }

    return row->key;
}


/* what any value but null does; "no" is false; 0: no more is read of it */

static ngx_uint_t
ngx_http_tgbot_update_value(ngx_http_tgbot_update_reader_t *rd, ngx_uint_t no)
{
    switch (rd->key) {

    case NGX_HTTP_TGBOT_KEY_KIND:

        if (!no) {
            rd->kind = rd->next_kind;
        }

        return 0;

    case NGX_HTTP_TGBOT_KEY_RICH:

        if (!no) {
            rd->kind = ngx_min(rd->kind, rd->next_kind);
        }

        break;

    case NGX_HTTP_TGBOT_KEY_UPDATE:
        rd->update->type = rd->name;
        rd->update->type_index = rd->type;
    }

    rd->level->seen |= (uint64_t) 1 << rd->key;

    return 1;
}


static ngx_int_t
ngx_http_tgbot_update_null(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_update_boolean(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    ngx_uint_t  no;

    no = (token->text.len == sizeof("false") - 1);

    if (!ngx_http_tgbot_update_value(rd, no)) {
        return NGX_OK;
    }

    switch (rd->key) {

    case NGX_HTTP_TGBOT_KEY_TOPIC:
        rd->topic = !no;
        break;

    case NGX_HTTP_TGBOT_KEY_AUTOMATIC:
        rd->automatic = !no;
        break;

    case NGX_HTTP_TGBOT_KEY_BOT:
        rd->level->party->is_bot = !no;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_update_map(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    if (rd->level == rd->levels) {
        rd->level++;
        rd->level->keys =
                      ngx_http_tgbot_update_in[NGX_HTTP_TGBOT_KEY_IN_DOCUMENT];
        rd->level->seen = (uint64_t) 1 << NGX_HTTP_TGBOT_KEY_OTHER;
        return NGX_OK;
    }

    /* an object that is not entered is skipped */

    if (!ngx_http_tgbot_update_value(rd, 0)) {
        token->skip = 1;

    } else if (rd->key == NGX_HTTP_TGBOT_KEY_RICH) {
        rd->rich.depth = token->depth + 1;

    } else {
        token->skip = !ngx_http_tgbot_update_open(rd);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_update_array(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    (void) ngx_http_tgbot_update_value(rd, 0);

    token->skip = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_update_end(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    if (rd->levels + token->depth < rd->level) {
        rd->level--;
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
        || rd->level == rd->levels + NGX_HTTP_TGBOT_UPDATE_LEVELS)
    {
        return 0;
    }

    level = ++rd->level;

    level->keys = ngx_http_tgbot_update_in[in];
    level->seen = (uint64_t) 1 << NGX_HTTP_TGBOT_KEY_OTHER;

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

    if (!ngx_http_tgbot_update_value(rd, 0)) {
        return NGX_OK;
    }

    party = rd->level->party;

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
    ngx_str_t  *in;

    if (token->text.len == 0) {
        return NGX_OK;
    }

    in = token->in;

    value->data = token->text.data;
    value->len = ngx_http_tgbot_json_cut(&token->text,
                                         NGX_HTTP_TGBOT_UPDATE_MAX_STRING);

    if (value->data < in->data || value->data >= in->data + in->len
        || !ngx_http_tgbot_json_is_clean(value))
    {
        value->data = ngx_pstrdup(rd->pool, value);
        if (value->data == NULL) {
            return NGX_ERROR;
        }

        ngx_http_tgbot_json_clean(value);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_update_number(ngx_http_tgbot_update_reader_t *rd,
    ngx_http_tgbot_json_token_t *token)
{
    int64_t    *n;
    ngx_int_t   rc;

    if (rd->key == NGX_HTTP_TGBOT_KEY_QUERY_ID) {
        return ngx_http_tgbot_update_string(rd, token);
    }

    if (!ngx_http_tgbot_update_value(rd, 0)
        || rd->key < NGX_HTTP_TGBOT_KEY_ID
        || rd->key >= NGX_HTTP_TGBOT_KEY_TOPIC)
    {
        return NGX_OK;
    }

    n = (rd->key == NGX_HTTP_TGBOT_KEY_ID)
        ? &rd->level->party->id
        : &rd->numbers[rd->key - NGX_HTTP_TGBOT_KEY_UPDATE_ID];

    rc = ngx_http_tgbot_json_int64(&token->text, n);

    if (rd->key == NGX_HTTP_TGBOT_KEY_UPDATE_ID) {
        rd->numbered = (rc == NGX_OK
                        || ngx_http_tgbot_update_digits(&token->text));
    }

    if (rc != NGX_OK) {
        return NGX_OK;
    }

    if (rd->key == NGX_HTTP_TGBOT_KEY_ID) {
        rd->level->party->has_id = 1;

    } else {
        rd->has |= (uint64_t) 1 << rd->key;
    }

    return NGX_OK;
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

    for (i = NGX_HTTP_TGBOT_KEY_TEXT; i <= NGX_HTTP_TGBOT_KEY_CAPTION; i++) {

        if (rd->strings[i].len) {
            update->text = rd->strings[i];
            break;
        }
    }

    if (update->text.len == 0) {
        update->text = rd->rich.text;
    }

    update->data = rd->strings[NGX_HTTP_TGBOT_KEY_DATA];
    update->query_id = rd->strings[NGX_HTTP_TGBOT_KEY_QUERY_ID];
    update->business_connection_id =
                                rd->strings[NGX_HTTP_TGBOT_KEY_CONNECTION_ID];
    update->poll_id = rd->strings[NGX_HTTP_TGBOT_KEY_POLL_ID];
    update->inline_message_id = rd->strings[NGX_HTTP_TGBOT_KEY_INLINE_ID];
    update->media_group_id = rd->strings[NGX_HTTP_TGBOT_KEY_ALBUM];

    if (rd->kind != NGX_HTTP_TGBOT_KEY_NO_KIND) {
        update->message_kind =
                           ngx_http_tgbot_update_key_kind_row(rd->kind)->name;

    } else if (rd->strings[NGX_HTTP_TGBOT_KEY_TEXT].len) {
        ngx_str_set(&update->message_kind, "text");
    }

    ngx_http_tgbot_update_numbers(rd);
    ngx_http_tgbot_update_parties(rd);

    update->life = type->life;

    if (type->query == NGX_HTTP_TGBOT_QUERY_JOIN && update->query_id.len) {
        update->life = NGX_HTTP_TGBOT_UPDATE_JOIN_LIFE;
    }

    update->text_answers = (type->flags & NGX_HTTP_TGBOT_TYPE_TEXT)
                           && (type->in != NGX_HTTP_TGBOT_KEY_IN_MESSAGE
                               || ngx_http_tgbot_update_said(rd));

    if (type->flags & NGX_HTTP_TGBOT_TYPE_COMMAND) {
        ngx_http_tgbot_update_command_parse(update);
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
                               NGX_HTTP_TGBOT_KEY_MESSAGE_ID, &u->message_id)
                        && u->message_id;

    u->has_user_chat_id = ngx_http_tgbot_update_integer(rd,
                           NGX_HTTP_TGBOT_KEY_USER_CHAT_ID, &u->user_chat_id);

    u->has_direct_id = ngx_http_tgbot_update_integer(rd,
                                 NGX_HTTP_TGBOT_KEY_DIRECT_ID, &u->direct_id);

    u->has_ephemeral_id = ngx_http_tgbot_update_integer(rd,
                           NGX_HTTP_TGBOT_KEY_EPHEMERAL_ID, &u->ephemeral_id);

    u->has_thread_id = (rd->topic
                        || (ngx_http_tgbot_update_types[u->type_index].flags
                            & NGX_HTTP_TGBOT_TYPE_TOPIC))
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
    if (!(rd->has & ((uint64_t) 1 << key))) {
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
    update->is_bot = party->is_bot;

    /* chats have no language */

    party = ngx_http_tgbot_update_party(rd, NGX_HTTP_TGBOT_KEY_FROM,
                                        NGX_HTTP_TGBOT_KEY_USER);
    update->language = party->language;

    party = ngx_http_tgbot_update_party(rd, NGX_HTTP_TGBOT_KEY_FROM,
                                        NGX_HTTP_TGBOT_KEY_FROM);
    update->has_from_id = party->has_id;
    update->from_id = party->id;

    party = ngx_http_tgbot_update_party(rd, NGX_HTTP_TGBOT_KEY_BUSINESS_BOT,
                                        NGX_HTTP_TGBOT_KEY_BUSINESS_BOT);
    update->has_business_bot_id = party->has_id;
    update->business_bot_id = party->id;
}


/*
 * Whether a person said the message.  A message in the name of a chat is a
 * person's, whose "from" is a bot of Telegram's; but not a post of the channel
 * that a group is linked to.  In a chat of a business account the account's
 * owner talks, too.
 */

static ngx_uint_t
ngx_http_tgbot_update_said(ngx_http_tgbot_update_reader_t *rd)
{
    ngx_http_tgbot_update_t  *u;

    u = rd->update;

    if (rd->automatic || u->is_bot || u->has_business_bot_id) {
        return 0;
    }

    if (u->business_connection_id.len
        && u->has_from_id && u->has_chat_id && u->from_id != u->chat_id)
    {
        return 0;
    }

    return (rd->kind != NGX_HTTP_TGBOT_KEY_NO_KIND)
           ? ngx_http_tgbot_update_key_kind_row(rd->kind)->said
           : (u->text.len != 0);
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


/*
 * In "/start@my_bot x y" the command is "/start", its bot "my_bot", and the
 * arguments are "x y", without spaces around; all point into the text.  If the
 * text does not begin with a command, they are left unchanged.
 * ngx_http_tgbot_json_clean() has cleaned the text, so any white space is a
 * space.
 */

static void
ngx_http_tgbot_update_command_parse(ngx_http_tgbot_update_t *update)
{
    u_char     *p, *end, *last;
    ngx_str_t  *text, bot;

    text = &update->text;

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

    ngx_str_null(&bot);

    if (p < last && *p == '@') {
        bot.data = ++p;
        p = ngx_http_tgbot_update_command_word(p, last);
        bot.len = p - bot.data;

        if (bot.len == 0) {
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

    update->command.data = text->data;
    update->command.len = end - text->data;

    update->command_bot = bot;

    update->args.data = p;
    update->args.len = last - p;
}


void
ngx_http_tgbot_update_for(ngx_http_tgbot_update_t *update,
    ngx_str_t *username)
{
    ngx_str_t  *bot;

    bot = &update->command_bot;

    if (bot->len == 0 || username->len == 0
        || (bot->len == username->len
            && ngx_strncasecmp(bot->data, username->data, bot->len) == 0))
    {
        return;
    }

    ngx_str_null(&update->command);
    ngx_str_null(&update->args);
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


void
ngx_http_tgbot_update_album(ngx_http_tgbot_update_t *update, ngx_str_t *album)
{
    if (ngx_http_tgbot_update_types[update->type_index].flags
        & NGX_HTTP_TGBOT_TYPE_COMMAND)
    {
        *album = update->media_group_id;
        return;
    }

    ngx_str_null(album);
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
