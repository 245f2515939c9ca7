
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast.h"
#include "ngx_http_tgbot_broadcast_area.h"


/* one more record for each so many bytes of a zone, and the least number */
#define NGX_HTTP_TGBOT_BROADCAST_AREA_BYTES    65536
#define NGX_HTTP_TGBOT_BROADCAST_AREA_RECORDS  8


static ngx_int_t ngx_http_tgbot_broadcast_area_init(
    ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh);
static void ngx_http_tgbot_broadcast_area_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);
static ngx_int_t ngx_http_tgbot_broadcast_area_copy(
    ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_zone_t *old);
static ngx_int_t ngx_http_tgbot_broadcast_area_copy_chain(
    ngx_http_tgbot_broadcast_area_t *area, uint32_t *to,
    ngx_http_tgbot_broadcast_area_t *old, uint32_t from);
static void ngx_http_tgbot_broadcast_area_view(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_broadcast_area_t *area);
static void ngx_http_tgbot_broadcast_area_repair(
    ngx_http_tgbot_broadcast_area_t *area, ngx_uint_t torn);
static void ngx_http_tgbot_broadcast_area_check(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record);
static uint32_t ngx_http_tgbot_broadcast_area_walk(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, uint32_t *link, ngx_uint_t of,
    ngx_uint_t torn);
static void ngx_http_tgbot_broadcast_area_count(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record);
static void ngx_http_tgbot_broadcast_area_cut(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record);
static uint64_t ngx_http_tgbot_broadcast_area_sum(
    ngx_http_tgbot_broadcast_block_t *block);
static uint64_t ngx_http_tgbot_broadcast_area_sum_record(
    ngx_http_tgbot_broadcast_record_t *record);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_broadcast_zone = {
    31, "broadcast",
    NGX_HTTP_TGBOT_BROADCAST_AREA_RECORDS
    * sizeof(ngx_http_tgbot_broadcast_record_t)
    + 8 * NGX_HTTP_TGBOT_BROADCAST_BLOCK,
    ngx_http_tgbot_broadcast_area_init,
    ngx_http_tgbot_broadcast_area_open,
    ngx_http_tgbot_broadcast_area_copy,
    NGX_HTTP_TGBOT_ZONE_KEEP
};


/* bytes of a full block that no state is in, by "of" */

static const size_t  ngx_http_tgbot_broadcast_area_unit[] = {
    0, 1, sizeof(int64_t), sizeof(ngx_http_tgbot_broadcast_error_t)
};

static const uint32_t  ngx_http_tgbot_broadcast_area_max[] = {
    0, NGX_HTTP_TGBOT_BROADCAST_DATA, NGX_HTTP_TGBOT_BROADCAST_SLOTS,
    NGX_HTTP_TGBOT_BROADCAST_TABLE
};


static ngx_int_t
ngx_http_tgbot_broadcast_area_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh)
{
    ngx_uint_t                        i, n;
    ngx_http_tgbot_zone_t            *old;
    ngx_http_tgbot_broadcast_area_t   area;

    /* also a zone in memory is replaced, by a file that was there */

    old = (fresh || zone->opened) ? ngx_http_tgbot_zone_old(zone) : NULL;
    n = 0;

    if (old) {
        ngx_http_tgbot_broadcast_area_lock(old, &area);

        for (i = 0; i < area.nrecords; i++) {
            n += (area.records[i].id != 0);
        }

        ngx_http_tgbot_zone_unlock(old);
    }

    if (n) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" holds %ui broadcasts, expected that its "
                      "size of %uzk, and \"tgbot_state\", stay as they are "
                      "until they are deleted, in %s:%ui",
                      &zone->shm_zone->shm.name, n, old->size / 1024,
                      zone->file, zone->line);
        return NGX_ERROR;
    }

    if (!fresh) {
        return NGX_OK;
    }

    ngx_http_tgbot_broadcast_area_view(zone, &area);

    ngx_memzero(area.sh, sizeof(ngx_http_tgbot_broadcast_sh_t));
    ngx_memzero(area.records,
                area.nrecords * sizeof(ngx_http_tgbot_broadcast_record_t));

    ngx_http_tgbot_broadcast_area_repair(&area, 0);

    return NGX_OK;
}


static void
ngx_http_tgbot_broadcast_area_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    ngx_uint_t                          i, torn;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    torn = (found == NGX_HTTP_TGBOT_ZONE_TORN);

    ngx_http_tgbot_broadcast_area_view(zone, &area);
    ngx_http_tgbot_broadcast_area_repair(&area, torn);

    for (i = 0; i < area.nrecords; i++) {
        record = &area.records[i];

        if (record->id == 0) {
            continue;
        }

        if (record->loading) {
            ngx_http_tgbot_broadcast_area_drop(&area, record);
            continue;
        }

        /* what was in flight is looked at by those who look for a leader */

        ngx_memzero(&record->loader, sizeof(ngx_http_tgbot_lease_t));
        ngx_memzero(&record->leader, sizeof(ngx_http_tgbot_lease_t));
        ngx_memzero(&record->former, sizeof(ngx_http_tgbot_lease_t));

        record->since = ngx_http_tgbot_zone_msec(zone);

        /* in an old page they may have been added */

        if (torn) {
            area.sh->broken += record->written - record->total;
        }

        ngx_http_tgbot_broadcast_area_cut(&area, record);

        /* chats that wait in an old page may have been sent */

        if (torn && record->state == NGX_HTTP_TGBOT_BROADCAST_GOING) {
            record->state = NGX_HTTP_TGBOT_BROADCAST_PAUSED;
        }
    }
}


/* broadcasts keep their ids */

static ngx_int_t
ngx_http_tgbot_broadcast_area_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old)
{
    ngx_uint_t                          i, n;
    ngx_http_tgbot_broadcast_area_t     to, from;
    ngx_http_tgbot_broadcast_record_t  *record, *source;

    ngx_http_tgbot_broadcast_area_view(zone, &to);
    ngx_http_tgbot_broadcast_area_view(old, &from);

    to.sh->id = from.sh->id;
    n = 0;

    for (i = 0; i < from.nrecords; i++) {
        source = &from.records[i];

        if (source->id == 0) {
            continue;
        }

        if (n == to.nrecords) {
            return NGX_ERROR;
        }

        record = &to.records[n++];

        *record = *source;

        if (ngx_http_tgbot_broadcast_area_copy_chain(&to, &record->text,
                                                     &from, source->text)
            != NGX_OK
            || ngx_http_tgbot_broadcast_area_copy_chain(&to, &record->chats,
                                                        &from, source->chats)
               != NGX_OK
            || ngx_http_tgbot_broadcast_area_copy_chain(&to, &record->errors,
                                                        &from, source->errors)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        record->since = ngx_http_tgbot_zone_msec(zone);
    }

    ngx_http_tgbot_broadcast_area_repair(&to, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_broadcast_area_copy_chain(
    ngx_http_tgbot_broadcast_area_t *area, uint32_t *to,
    ngx_http_tgbot_broadcast_area_t *old, uint32_t from)
{
    uint32_t                           n;
    ngx_http_tgbot_broadcast_block_t  *block, *source;

    *to = NGX_HTTP_TGBOT_BROADCAST_NIL;

    while (from != NGX_HTTP_TGBOT_BROADCAST_NIL) {
        source = &old->blocks[from];

        n = ngx_http_tgbot_broadcast_area_block(area, source->owner,
                                                source->of, source->number);
        if (n == NGX_HTTP_TGBOT_BROADCAST_NIL) {
            return NGX_ERROR;
        }

        block = &area->blocks[n];

        *block = *source;
        block->next = NGX_HTTP_TGBOT_BROADCAST_NIL;

        *to = n;
        to = &block->next;
        from = source->next;
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_broadcast_area_view(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_broadcast_area_t *area)
{
    size_t   room, offset;
    u_char  *data;

    data = ngx_http_tgbot_zone_data(zone->sh);
    room = ngx_http_tgbot_zone_room(zone->sh);

    area->zone = zone;
    area->sh = (ngx_http_tgbot_broadcast_sh_t *) data;

    offset = ngx_align(sizeof(ngx_http_tgbot_broadcast_sh_t),
                       NGX_CPU_CACHE_LINE);

    area->records = (ngx_http_tgbot_broadcast_record_t *) (data + offset);
    area->nrecords = room / NGX_HTTP_TGBOT_BROADCAST_AREA_BYTES;
    area->nrecords = ngx_max(area->nrecords,
                             NGX_HTTP_TGBOT_BROADCAST_AREA_RECORDS);
    area->nrecords = ngx_min(area->nrecords,
                             NGX_HTTP_TGBOT_BROADCAST_RECORDS);

    offset += area->nrecords * sizeof(ngx_http_tgbot_broadcast_record_t);
    offset += data - (u_char *) zone->sh;
    offset = ngx_align(offset, NGX_HTTP_TGBOT_BROADCAST_BLOCK);

    area->blocks = (ngx_http_tgbot_broadcast_block_t *)
                       ((u_char *) zone->sh + offset);
    area->nblocks = (zone->sh->size - offset) / NGX_HTTP_TGBOT_BROADCAST_BLOCK;
}


void
ngx_http_tgbot_broadcast_area_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_broadcast_area_t *area)
{
    ngx_http_tgbot_broadcast_area_view(zone, area);

    if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_broadcast_area_repair(area, 0);
    }
}


/*
 * Makes all that is derived.  It looks at no lease: a master, which knows none,
 * may be the one that repairs.
 */

static void
ngx_http_tgbot_broadcast_area_repair(ngx_http_tgbot_broadcast_area_t *area,
    ngx_uint_t torn)
{
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_sh_t      *sh;
    ngx_http_tgbot_broadcast_block_t   *block;
    ngx_http_tgbot_broadcast_record_t  *record;

    sh = area->sh;

    for (i = 0; i < area->nblocks; i++) {
        area->blocks[i].seen = 0;
    }

    for (i = 0; i < area->nrecords; i++) {
        record = &area->records[i];

        if (record->id == 0) {
            continue;
        }

        if (torn) {
            ngx_http_tgbot_broadcast_area_check(area, record);
        }

        sh->id = ngx_max(sh->id, record->id);

        (void) ngx_http_tgbot_broadcast_area_walk(area, record, &record->text,
                                           NGX_HTTP_TGBOT_BROADCAST_OF_TEXT,
                                           torn);

        record->nerrors = ngx_http_tgbot_broadcast_area_walk(area, record,
                                          &record->errors,
                                          NGX_HTTP_TGBOT_BROADCAST_OF_ERRORS,
                                          torn);

        if (record->error > record->nerrors) {
            record->error = 0;
        }

        /* the last chain, whose tail stays in the record */

        record->written = ngx_http_tgbot_broadcast_area_walk(area, record,
                                          &record->chats,
                                          NGX_HTTP_TGBOT_BROADCAST_OF_CHATS,
                                          torn);

        if (record->total > record->written) {
            sh->broken += record->total - record->written;
            record->total = record->written;
        }

        ngx_http_tgbot_broadcast_area_count(area, record);

        ngx_http_tgbot_zone_stop("broadcast: repair");
    }

    sh->free = NGX_HTTP_TGBOT_BROADCAST_NIL;
    sh->room = 0;

    for (i = area->nblocks; i > 0; i--) {
        block = &area->blocks[i - 1];

        if (!block->seen) {
            block->owner = 0;
            block->next = sh->free;
            sh->free = i - 1;
            sh->room++;
        }
    }
}


/* what may be wrong in the record of a page that is old, or of zeros */

static void
ngx_http_tgbot_broadcast_area_check(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record)
{
    uint32_t                           n, len;
    ngx_http_tgbot_broadcast_block_t  *block;

    if (record->sum != ngx_http_tgbot_broadcast_area_sum_record(record)) {
        goto broken;
    }

    len = 0;

    for (n = record->text; len < record->text_len; n = block->next) {

        if (n >= area->nblocks) {
            goto broken;
        }

        block = &area->blocks[n];

        if (block->owner != record->id
            || block->of != NGX_HTTP_TGBOT_BROADCAST_OF_TEXT
            || block->n == 0
            || block->n > NGX_HTTP_TGBOT_BROADCAST_DATA
            || block->sum != ngx_http_tgbot_broadcast_area_sum(block))
        {
            goto broken;
        }

        len += block->n;
    }

    if (record->state > NGX_HTTP_TGBOT_BROADCAST_CANCELLED) {
        record->state = NGX_HTTP_TGBOT_BROADCAST_PAUSED;
    }

    return;

broken:

    area->sh->broken += record->total;

    ngx_memzero(record, sizeof(ngx_http_tgbot_broadcast_record_t));

    record->text = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->chats = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->errors = NGX_HTTP_TGBOT_BROADCAST_NIL;
}


/*
 * Walks a chain, and cuts it where a block is not the next one of it.  Returns
 * what is in its blocks; sets record->tail to the last one.
 */

static uint32_t
ngx_http_tgbot_broadcast_area_walk(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, uint32_t *link, ngx_uint_t of,
    ngx_uint_t torn)
{
    uint32_t                           max, total, number, last;
    ngx_http_tgbot_broadcast_block_t  *block;

    max = ngx_http_tgbot_broadcast_area_max[of];
    last = max;
    total = 0;

    record->tail = NGX_HTTP_TGBOT_BROADCAST_NIL;

    for (number = 0; *link < area->nblocks && last == max; number++) {

        block = &area->blocks[*link];

        if (block->owner != record->id || block->of != of
            || block->number != number || block->n > max || block->seen)
        {
            break;
        }

        if (torn && block->sum != ngx_http_tgbot_broadcast_area_sum(block)) {
            break;
        }

        block->seen = 1;
        last = block->n;
        total += last;

        if (last < max) {
            ngx_http_tgbot_broadcast_area_seal(block);
        }

        record->tail = *link;
        link = &block->next;
    }

    *link = NGX_HTTP_TGBOT_BROADCAST_NIL;

    return total;
}


/* counts chats by state; a byte that means nothing becomes unknown */

static void
ngx_http_tgbot_broadcast_area_count(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record)
{
    u_char                             meaning[256], *state;
    uint32_t                           n, total;
    ngx_uint_t                         i;
    ngx_http_tgbot_broadcast_block_t  *block;

    ngx_http_tgbot_broadcast_area_meaning(area, record, meaning);

    ngx_memzero(record->count, sizeof(record->count));

    record->block = record->chats;
    record->slot = 0;
    record->scan = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->kept = NGX_HTTP_TGBOT_BROADCAST_NIL;
    record->taken = 0;
    record->passed = 0;

    total = record->total;

    for (n = record->chats;
         n != NGX_HTTP_TGBOT_BROADCAST_NIL && total;
         n = block->next)
    {
        block = &area->blocks[n];
        record->kept = n;

        for (i = 0; i < block->n && total; i++, total--) {
            state = &block->u.chats.state[i];

            if (meaning[*state] == NGX_HTTP_TGBOT_BROADCAST_CHATS) {
                *state = NGX_HTTP_TGBOT_BROADCAST_BYTE
                         + NGX_HTTP_TGBOT_BROADCAST_UNKNOWN;
            }

            record->count[meaning[*state]]++;
            record->taken += ngx_http_tgbot_broadcast_is(*state,
                                         NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN);
            record->passed += ngx_http_tgbot_broadcast_is(*state,
                                         NGX_HTTP_TGBOT_BROADCAST_BYTE_FORMER);
        }
    }
}


void
ngx_http_tgbot_broadcast_area_meaning(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, u_char meaning[256])
{
    ngx_uint_t                         i;
    ngx_http_tgbot_broadcast_error_t  *error;

    ngx_memset(meaning, NGX_HTTP_TGBOT_BROADCAST_CHATS, 256);

    for (i = 0; i < NGX_HTTP_TGBOT_BROADCAST_TRIES; i++) {
        meaning[i] = NGX_HTTP_TGBOT_BROADCAST_WAITING;
        meaning[NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN + i] =
                                             NGX_HTTP_TGBOT_BROADCAST_WAITING;
        meaning[NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT + i] =
                                              NGX_HTTP_TGBOT_BROADCAST_FLIGHT;
        meaning[NGX_HTTP_TGBOT_BROADCAST_BYTE_FORMER + i] =
                                              NGX_HTTP_TGBOT_BROADCAST_FLIGHT;
    }

    for (i = NGX_HTTP_TGBOT_BROADCAST_SENT;
         i < NGX_HTTP_TGBOT_BROADCAST_CHATS;
         i++)
    {
        meaning[NGX_HTTP_TGBOT_BROADCAST_BYTE + i] = i;
    }

    for (i = 1; i <= record->nerrors; i++) {
        error = ngx_http_tgbot_broadcast_area_error(area, record, i);

        if (error) {
            meaning[NGX_HTTP_TGBOT_BROADCAST_BYTE_ERROR + i] = error->blocked
                                            ? NGX_HTTP_TGBOT_BROADCAST_BLOCKED
                                            : NGX_HTTP_TGBOT_BROADCAST_FAILED;
        }
    }
}


/* a broadcast of the bot that is published */

ngx_http_tgbot_broadcast_record_t *
ngx_http_tgbot_broadcast_area_find(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_t *b, uint64_t id)
{
    ngx_uint_t                          i;
    ngx_http_tgbot_broadcast_record_t  *record;

    for (i = 0; id && i < area->nrecords; i++) {
        record = &area->records[i];

        if (record->id == id) {
            return (!record->loading
                    && ngx_http_tgbot_broadcast_area_own(record, b)) ? record
                                                                : NULL;
        }
    }

    return NULL;
}


/* another bot under an old name does not get the broadcasts of that one */

ngx_uint_t
ngx_http_tgbot_broadcast_area_own(ngx_http_tgbot_broadcast_record_t *record,
    ngx_http_tgbot_broadcast_t *b)
{
    return record->bot_id == b->bot_id
           && record->bot_len == b->bot.len
           && ngx_memcmp(record->bot, b->bot.data, b->bot.len) == 0;
}


ngx_uint_t
ngx_http_tgbot_broadcast_area_state(ngx_http_tgbot_broadcast_record_t *record)
{
    if (record->state == NGX_HTTP_TGBOT_BROADCAST_GOING
        && record->total
        && record->count[NGX_HTTP_TGBOT_BROADCAST_WAITING] == 0
        && record->count[NGX_HTTP_TGBOT_BROADCAST_FLIGHT] == 0)
    {
        return NGX_HTTP_TGBOT_BROADCAST_DONE;
    }

    return record->state;
}


ngx_http_tgbot_broadcast_error_t *
ngx_http_tgbot_broadcast_area_error(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t number)
{
    uint32_t                           n;
    ngx_http_tgbot_broadcast_block_t  *block;

    if (number == 0 || number > NGX_HTTP_TGBOT_BROADCAST_ERRORS) {
        return NULL;
    }

    number--;

    for (n = record->errors;
         n != NGX_HTTP_TGBOT_BROADCAST_NIL;
         n = block->next)
    {
        block = &area->blocks[n];

        if (number < block->n) {
            return &block->u.errors[number];
        }

        number -= block->n;
    }

    return NULL;
}


ngx_int_t
ngx_http_tgbot_broadcast_area_strand(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t *unknown)
{
    u_char                            *byte, *last;
    ngx_uint_t                         leader, former;
    ngx_http_tgbot_broadcast_block_t  *block;

    leader = !ngx_http_tgbot_lease_alive(&record->leader)
             && (record->taken
                 || record->count[NGX_HTTP_TGBOT_BROADCAST_FLIGHT]
                    > record->passed);

    former = !ngx_http_tgbot_lease_alive(&record->former) && record->passed;

    if (!leader && !former) {
        record->scan = NGX_HTTP_TGBOT_BROADCAST_NIL;
        return NGX_OK;
    }

    if (record->scan == NGX_HTTP_TGBOT_BROADCAST_NIL) {
        record->scan = record->chats;
    }

    block = &area->blocks[record->scan];
    byte = block->u.chats.state;
    last = byte + ngx_min(block->n, record->total
                          - block->number * NGX_HTTP_TGBOT_BROADCAST_SLOTS);

    for ( /* void */ ; byte < last; byte++) {

        if (leader
            && ngx_http_tgbot_broadcast_is(*byte,
                                         NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN))
        {
            ngx_http_tgbot_broadcast_area_move(record, byte,
                                  *byte - NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN,
                                  NGX_HTTP_TGBOT_BROADCAST_WAITING,
                                  NGX_HTTP_TGBOT_BROADCAST_WAITING);
            continue;
        }

        if ((leader
             && ngx_http_tgbot_broadcast_is(*byte,
                                        NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT))
            || (former
                && ngx_http_tgbot_broadcast_is(*byte,
                                       NGX_HTTP_TGBOT_BROADCAST_BYTE_FORMER)))
        {
            ngx_http_tgbot_broadcast_area_move(record, byte,
                                            NGX_HTTP_TGBOT_BROADCAST_BYTE
                                            + NGX_HTTP_TGBOT_BROADCAST_UNKNOWN,
                                            NGX_HTTP_TGBOT_BROADCAST_FLIGHT,
                                            NGX_HTTP_TGBOT_BROADCAST_UNKNOWN);
            (*unknown)++;
        }
    }

    record->scan = (record->scan == record->kept)
                   ? NGX_HTTP_TGBOT_BROADCAST_NIL : block->next;

    return NGX_AGAIN;
}


/* the store of the byte is all that counts: the rest is derived */

void
ngx_http_tgbot_broadcast_area_move(ngx_http_tgbot_broadcast_record_t *record,
    u_char *byte, u_char value, ngx_uint_t from, ngx_uint_t to)
{
    u_char  old;

    old = *byte;
    *byte = value;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("broadcast: moved");

    record->count[from]--;
    record->count[to]++;

    record->taken -= ngx_http_tgbot_broadcast_is(old,
                                          NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN);
    record->taken += ngx_http_tgbot_broadcast_is(value,
                                          NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN);
    record->passed -= ngx_http_tgbot_broadcast_is(old,
                                         NGX_HTTP_TGBOT_BROADCAST_BYTE_FORMER);
    record->passed += ngx_http_tgbot_broadcast_is(value,
                                         NGX_HTTP_TGBOT_BROADCAST_BYTE_FORMER);
}


uint32_t
ngx_http_tgbot_broadcast_area_block(ngx_http_tgbot_broadcast_area_t *area,
    uint64_t owner, ngx_uint_t of, ngx_uint_t number)
{
    uint32_t                           n;
    ngx_http_tgbot_broadcast_sh_t     *sh;
    ngx_http_tgbot_broadcast_block_t  *block;

    sh = area->sh;
    n = sh->free;

    if (n == NGX_HTTP_TGBOT_BROADCAST_NIL) {
        return n;
    }

    block = &area->blocks[n];

    sh->free = block->next;
    sh->room--;

    ngx_http_tgbot_zone_stop("broadcast: block");

    block->owner = owner;
    block->next = NGX_HTTP_TGBOT_BROADCAST_NIL;
    block->of = of;
    block->number = number;
    block->n = 0;

    return n;
}


/*
 * Whose block it was stays in it: ids of broadcasts are not given twice, and
 * so a chain of any length is freed at once
 */

void
ngx_http_tgbot_broadcast_area_free(ngx_http_tgbot_broadcast_area_t *area,
    uint32_t n, uint32_t tail)
{
    if (n == NGX_HTTP_TGBOT_BROADCAST_NIL) {
        return;
    }

    area->sh->room += area->blocks[tail].number - area->blocks[n].number + 1;

    area->blocks[tail].next = area->sh->free;

    ngx_http_tgbot_zone_stop("broadcast: freed");

    area->sh->free = n;
}


uint32_t
ngx_http_tgbot_broadcast_area_tail(ngx_http_tgbot_broadcast_area_t *area,
    uint32_t n)
{
    uint32_t  tail;

    tail = n;

    while (n != NGX_HTTP_TGBOT_BROADCAST_NIL) {
        tail = n;
        n = area->blocks[n].next;
    }

    return tail;
}


void
ngx_http_tgbot_broadcast_area_drop(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record)
{
    record->id = 0;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("broadcast: dropped");

    ngx_http_tgbot_broadcast_area_free(area, record->chats, record->tail);
    ngx_http_tgbot_broadcast_area_free(area, record->text,
                     ngx_http_tgbot_broadcast_area_tail(area, record->text));
    ngx_http_tgbot_broadcast_area_free(area, record->errors,
                     ngx_http_tgbot_broadcast_area_tail(area, record->errors));
}


/* drops the chats behind record->total */

static void
ngx_http_tgbot_broadcast_area_cut(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record)
{
    uint32_t                           n, *link, last;
    ngx_http_tgbot_broadcast_block_t  *block;

    if (record->written == record->total) {
        return;
    }

    link = &record->chats;

    if (record->kept != NGX_HTTP_TGBOT_BROADCAST_NIL) {
        block = &area->blocks[record->kept];
        link = &block->next;

        n = record->total - block->number * NGX_HTTP_TGBOT_BROADCAST_SLOTS;

        if (block->n != n) {
            block->n = n;
            ngx_http_tgbot_broadcast_area_seal(block);
        }
    }

    n = *link;
    *link = NGX_HTTP_TGBOT_BROADCAST_NIL;

    last = record->tail;

    record->tail = record->kept;
    record->written = record->total;

    ngx_http_tgbot_zone_stop("broadcast: cut");

    ngx_http_tgbot_broadcast_area_free(area, n, last);
}


/* drops what a loader has left that is dead */

void
ngx_http_tgbot_broadcast_area_reap(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record)
{
    if (record->id == 0 || ngx_http_tgbot_lease_alive(&record->loader)) {
        return;
    }

    if (record->loading) {
        ngx_http_tgbot_broadcast_area_drop(area, record);
        return;
    }

    /* a loader that hung, and wakes up, must not add the rest alone */

    record->loader.epoch = 0;
    ngx_memory_barrier();

    ngx_http_tgbot_broadcast_area_cut(area, record);
}


/*
 * While a lease is written it has epoch 0, which is no lease: if this worker
 * dies here, no new slot is taken together with an old epoch.
 */

void
ngx_http_tgbot_broadcast_area_lease(ngx_http_tgbot_lease_t *dst,
    ngx_http_tgbot_lease_t *src)
{
    dst->epoch = 0;
    ngx_memory_barrier();

    dst->slot = src->slot;
    dst->token = src->token;
    ngx_memory_barrier();

    dst->epoch = src->epoch;
}


void
ngx_http_tgbot_broadcast_area_seal(ngx_http_tgbot_broadcast_block_t *block)
{
    block->sum = ngx_http_tgbot_broadcast_area_sum(block);
}


void
ngx_http_tgbot_broadcast_area_seal_record(
    ngx_http_tgbot_broadcast_record_t *record)
{
    record->sum = ngx_http_tgbot_broadcast_area_sum_record(record);
}


static uint64_t
ngx_http_tgbot_broadcast_area_sum(ngx_http_tgbot_broadcast_block_t *block)
{
    uint64_t  sum;

    sum = block->owner + ((uint64_t) block->number << 8) + block->of;

    return ngx_http_tgbot_zone_sum(sum, &block->u,
                     block->n * ngx_http_tgbot_broadcast_area_unit[block->of]);
}


static uint64_t
ngx_http_tgbot_broadcast_area_sum_record(
    ngx_http_tgbot_broadcast_record_t *record)
{
    return ngx_http_tgbot_zone_sum(record->id, &record->bot_id,
                        offsetof(ngx_http_tgbot_broadcast_record_t, chats)
                        - offsetof(ngx_http_tgbot_broadcast_record_t, bot_id));
}
