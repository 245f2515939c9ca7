
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_seen.h"
#include "ngx_http_tgbot_state.h"
#include "ngx_http_tgbot_state_file.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


static ngx_uint_t ngx_http_tgbot_state_sound(
    ngx_http_tgbot_state_record_t *record);


ngx_int_t
ngx_http_tgbot_state_next(ngx_http_tgbot_state_file_t *file)
{
    uint64_t                        left, strings;
    ngx_http_tgbot_state_record_t  *record;

    record = &file->record;
    left = file->header.size - file->offset;

    if (left == 0 && file->number == file->header.records) {
        return NGX_DONE;
    }

    if (left < sizeof(ngx_http_tgbot_state_record_t)
        || file->number == file->header.records)
    {
        return ngx_http_tgbot_state_refuse(file, "its records are broken");
    }

    left -= sizeof(ngx_http_tgbot_state_record_t);

    if (ngx_http_tgbot_state_read(file, record,
                                  sizeof(ngx_http_tgbot_state_record_t),
                                  file->offset)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    strings = (uint64_t) record->data_len + record->answer_len;

    if (strings > left || !ngx_http_tgbot_state_sound(record)) {
        return ngx_http_tgbot_state_refuse(file, "its records are broken");
    }

    file->bot.data = record->head.bot;
    file->bot.len = record->head.bot_len;

    file->strings = file->offset + sizeof(ngx_http_tgbot_state_record_t);

    file->offset = file->strings + strings;
    file->number++;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tgbot_state_sound(ngx_http_tgbot_state_record_t *record)
{
    if (record->head.bot_len == 0
        || record->head.bot_len > NGX_HTTP_TGBOT_ITEM_NAME
        || record->answered > 1
        || (record->answer_len && !record->answered))
    {
        return 0;
    }

    switch (record->kind) {

    case NGX_HTTP_TGBOT_STATE_UPDATE:
        return 1;

    case NGX_HTTP_TGBOT_STATE_LETTER:
        return record->end.cause < NGX_HTTP_TGBOT_DEAD_CAUSES;

    case NGX_HTTP_TGBOT_STATE_SEEN:
        return record->data_len % sizeof(int64_t) == 0
               && record->data_len
                  <= NGX_HTTP_TGBOT_STATE_IDS * sizeof(int64_t);

    default:
        return 0;
    }
}


ngx_int_t
ngx_http_tgbot_state_read(ngx_http_tgbot_state_file_t *file, void *buf,
    size_t size, uint64_t offset)
{
    u_char   *p;
    ssize_t   n;

    p = buf;

    while (size) {
        n = pread(file->fd, p, size, (off_t) offset);

        if (n == -1) {

            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            ngx_log_error(NGX_LOG_CRIT, file->log, ngx_errno,
                          "pread() \"%s\" failed", file->path);
            return NGX_ERROR;
        }

        if (n == 0) {
            return ngx_http_tgbot_state_refuse(file, "it is truncated");
        }

        p += n;
        size -= n;
        offset += n;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_state_refuse(ngx_http_tgbot_state_file_t *file,
    const char *why)
{
    ngx_log_error(NGX_LOG_ERR, file->log, 0, "tgbot: \"%s\" is refused: %s",
                  file->path, why);

    return NGX_ERROR;
}


ngx_http_tgbot_zone_t *
ngx_http_tgbot_state_zone(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_file_t *file)
{
    ngx_uint_t                         i;
    ngx_http_tgbot_zone_t            **zone, *first;
    const ngx_http_tgbot_zone_kind_t  *kind;

    switch (file->record.kind) {

    case NGX_HTTP_TGBOT_STATE_UPDATE:
        kind = &ngx_http_tgbot_queue_zone;
        break;

    case NGX_HTTP_TGBOT_STATE_LETTER:
        kind = &ngx_http_tgbot_dead_zone;
        break;

    default: /* NGX_HTTP_TGBOT_STATE_SEEN */
        kind = &ngx_http_tgbot_seen_zone;
    }

    first = NULL;
    zone = state->zones.elts;

    for (i = 0; i < state->zones.nelts; i++) {

        if (zone[i]->kind != kind) {
            continue;
        }

        if (ngx_http_tgbot_state_user(zone[i], &file->bot,
                                      file->record.head.bot_id))
        {
            return zone[i];
        }

        if (first == NULL) {
            first = zone[i];
        }
    }

    /* what was accepted of a bot that is gone is of no use to anybody */

    return (file->record.kind == NGX_HTTP_TGBOT_STATE_SEEN) ? NULL : first;
}


/* the users of all these kinds begin alike */

void *
ngx_http_tgbot_state_user(ngx_http_tgbot_zone_t *zone, ngx_str_t *bot,
    uint64_t bot_id)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_store_user_t  **user;

    user = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {

        if (user[i]->bot.len == bot->len
            && ngx_memcmp(user[i]->bot.data, bot->data, bot->len) == 0
            && (user[i]->bot_id == bot_id
                || user[i]->bot_id == 0 || bot_id == 0))
        {
            return user[i];
        }
    }

    return NULL;
}
