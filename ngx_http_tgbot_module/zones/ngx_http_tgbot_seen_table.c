
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_seen.h"
#include "ngx_http_tgbot_seen_area.h"
#include "ngx_http_tgbot_seen_ring.h"
#include "ngx_http_tgbot_seen_table.h"
#include "ngx_http_tgbot_zone.h"


#define NGX_HTTP_TGBOT_SEEN_NAME     32

/* areas begin at a multiple of */
#define NGX_HTTP_TGBOT_SEEN_ALIGN    64


typedef struct {
    u_char                              name[NGX_HTTP_TGBOT_SEEN_NAME];
    uint64_t                            bot_id;
    uint64_t                            window;
    uint64_t                            offset;   /* in the kind's data */
    uint64_t                            length;
    uint32_t                            name_len;
    uint32_t                            serial;   /* 0: not in use */
    uint32_t                            round;    /* last one that named it */
} ngx_http_tgbot_seen_entry_t;


typedef struct {
    uint32_t                            n;
    uint32_t                            serial;   /* the last given */
    uint32_t                            round;    /* of configuration */
} ngx_http_tgbot_seen_table_sh_t;


typedef struct {
    ngx_http_tgbot_zone_t              *zone;
    ngx_http_tgbot_seen_table_sh_t     *sh;
    ngx_http_tgbot_seen_entry_t        *entry;
    u_char                             *data;
    uint64_t                            begin;    /* of areas, offsets */
    uint64_t                            end;
} ngx_http_tgbot_seen_table_t;


static ngx_http_tgbot_seen_entry_t *ngx_http_tgbot_seen_table_own(
    ngx_http_tgbot_seen_table_t *table, ngx_http_tgbot_seen_t *seen);
static ngx_uint_t ngx_http_tgbot_seen_table_entries(size_t room);
static size_t ngx_http_tgbot_seen_table_size(size_t room);
static void ngx_http_tgbot_seen_table_open(ngx_http_tgbot_seen_table_t *table,
    ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_seen_table_carve(
    ngx_http_tgbot_seen_table_t *table);
static void ngx_http_tgbot_seen_table_keep(ngx_http_tgbot_seen_table_t *table,
    ngx_http_tgbot_seen_t *seen);
static ngx_uint_t ngx_http_tgbot_seen_table_place(
    ngx_http_tgbot_seen_table_t *table, ngx_http_tgbot_seen_t *seen);
static ngx_int_t ngx_http_tgbot_seen_table_gap(
    ngx_http_tgbot_seen_table_t *table, uint64_t length, uint64_t *offset);
static ngx_http_tgbot_seen_entry_t *ngx_http_tgbot_seen_table_next(
    ngx_http_tgbot_seen_table_t *table, uint64_t offset);
static void ngx_http_tgbot_seen_table_put(ngx_http_tgbot_seen_table_t *table,
    ngx_http_tgbot_seen_entry_t *entry, ngx_http_tgbot_seen_t *seen);
static void ngx_http_tgbot_seen_table_compact(
    ngx_http_tgbot_seen_table_t *table);
static size_t ngx_http_tgbot_seen_table_needs(size_t areas, size_t room);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_seen_zone = {
    0x7365656e,                          /* "seen" */
    "dedup",
    NGX_HTTP_TGBOT_SEEN_FIXED
    + ngx_http_tgbot_seen_rings_size(NGX_HTTP_TGBOT_SEEN_WINDOW_MIN)
    + NGX_HTTP_TGBOT_SEEN_ALIGN
    + 2 * ngx_align(sizeof(ngx_http_tgbot_seen_entry_t),
                    NGX_HTTP_TGBOT_SEEN_ALIGN),
    ngx_http_tgbot_seen_table_init
};


size_t
ngx_http_tgbot_seen_size(ngx_uint_t window)
{
    return NGX_HTTP_TGBOT_SEEN_FIXED + ngx_http_tgbot_seen_rings_size(window);
}


ngx_int_t
ngx_http_tgbot_seen_check(ngx_conf_t *cf, ngx_http_tgbot_zone_t *zone)
{
    size_t                   areas, size;
    ngx_uint_t               i;
    ngx_http_tgbot_seen_t  **seen;

    areas = 0;
    seen = zone->users.elts;

    for (i = 0; i < zone->users.nelts; i++) {

        size = ngx_http_tgbot_seen_size(seen[i]->window);

        if (areas > NGX_MAX_SIZE_T_VALUE / 4 - size) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "zone \"%V\" would not fit in memory with the "
                          "windows of its bots in %s:%ui",
                          &zone->shm_zone->shm.name, zone->file, zone->line);
            return NGX_ERROR;
        }

        areas += size;
    }

    if (ngx_http_tgbot_seen_table_needs(areas, zone->size) <= zone->size) {
        return NGX_OK;
    }

    /* the table grows with the zone, which will be far below twice that */

    size = ngx_http_tgbot_seen_table_needs(areas, 2 * areas);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "zone \"%V\" of %uzk is too small for the %ui bots that "
                  "use it, expected a size of %uzk or more in %s:%ui",
                  &zone->shm_zone->shm.name, zone->size / 1024,
                  zone->users.nelts, (size + 1023) / 1024,
                  zone->file, zone->line);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_seen_table_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_uint_t                     i, placed;
    ngx_http_tgbot_seen_t        **seen;
    ngx_http_tgbot_seen_table_t    table;

    ngx_http_tgbot_seen_table_open(&table, zone);

    if (fresh) {
        if (ngx_http_tgbot_seen_table_carve(&table) != NGX_OK) {
            goto failed;
        }

    } else if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_seen_table_repair(zone);
    }

    seen = zone->users.elts;

    table.sh->round++;

    for (i = 0; i < zone->users.nelts; i++) {
        ngx_http_tgbot_seen_table_keep(&table, seen[i]);
    }

    for (i = 0; i < zone->users.nelts; i++) {

        if (seen[i]->serial == 0
            && !ngx_http_tgbot_seen_table_place(&table, seen[i]))
        {
            break;
        }
    }

    placed = i;

    if (!fresh) {
        ngx_http_tgbot_zone_unlock(zone);
    }

    if (placed == zone->users.nelts) {
        return NGX_OK;
    }

failed:

    ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                  "zone \"%V\" is too small for the %ui bots that use it",
                  &zone->shm_zone->shm.name, zone->users.nelts);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_seen_table_area(ngx_http_tgbot_seen_t *seen,
    ngx_http_tgbot_seen_area_t *area)
{
    ngx_http_tgbot_seen_entry_t  *entry;
    ngx_http_tgbot_seen_table_t   table;

    ngx_http_tgbot_seen_table_open(&table, seen->zone);

    entry = ngx_http_tgbot_seen_table_own(&table, seen);

    if (entry == NULL && !ngx_http_tgbot_zone_adopted(seen->zone)) {

        /*
         * a configuration that was refused afterwards, or is not in use yet,
         * has made room for bots of its own
         */

        ngx_http_tgbot_seen_table_keep(&table, seen);

        if (seen->serial == 0) {
            (void) ngx_http_tgbot_seen_table_place(&table, seen);
        }

        entry = ngx_http_tgbot_seen_table_own(&table, seen);
    }

    if (entry == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_tgbot_seen_area_init(area, seen->zone,
                                  table.data + entry->offset,
                                  (ngx_uint_t) entry->window);

    return NGX_OK;
}


static ngx_http_tgbot_seen_entry_t *
ngx_http_tgbot_seen_table_own(ngx_http_tgbot_seen_table_t *table,
    ngx_http_tgbot_seen_t *seen)
{
    ngx_http_tgbot_seen_entry_t  *entry;

    if (seen->area >= table->sh->n) {
        return NULL;
    }

    entry = &table->entry[seen->area];

    if (entry->serial == 0 || entry->serial != seen->serial) {
        return NULL;
    }

    return entry;
}


void
ngx_http_tgbot_seen_table_repair(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_seen_area_t    area;
    ngx_http_tgbot_seen_entry_t  *entry;
    ngx_http_tgbot_seen_table_t   table;

    ngx_http_tgbot_seen_table_open(&table, zone);

    for (i = 0; i < table.sh->n; i++) {
        entry = &table.entry[i];

        if (entry->serial == 0) {
            continue;
        }

        ngx_http_tgbot_seen_area_init(&area, zone,
                                      table.data + entry->offset,
                                      (ngx_uint_t) entry->window);
        ngx_http_tgbot_seen_repair(&area);
    }
}


static ngx_uint_t
ngx_http_tgbot_seen_table_entries(size_t room)
{
    return room / NGX_HTTP_TGBOT_SEEN_FIXED + 1;
}


static size_t
ngx_http_tgbot_seen_table_size(size_t room)
{
    size_t  size;

    size = sizeof(ngx_http_tgbot_seen_entry_t)
           * ngx_http_tgbot_seen_table_entries(room);

    return ngx_align(sizeof(ngx_http_tgbot_seen_table_sh_t), 16)
           + ngx_align(size, NGX_HTTP_TGBOT_SEEN_ALIGN)
           + NGX_HTTP_TGBOT_SEEN_ALIGN;
}


static void
ngx_http_tgbot_seen_table_open(ngx_http_tgbot_seen_table_t *table,
    ngx_http_tgbot_zone_t *zone)
{
    size_t   room;
    u_char  *p;

    room = ngx_http_tgbot_zone_room(zone->sh);
    p = ngx_http_tgbot_zone_data(zone->sh);

    table->zone = zone;
    table->data = p;

    table->sh = (ngx_http_tgbot_seen_table_sh_t *) p;

    p += ngx_align(sizeof(ngx_http_tgbot_seen_table_sh_t), 16);
    table->entry = (ngx_http_tgbot_seen_entry_t *) p;

    table->begin = ngx_align(ngx_http_tgbot_seen_table_size(room)
                             - NGX_HTTP_TGBOT_SEEN_ALIGN,
                             NGX_HTTP_TGBOT_SEEN_ALIGN);
    table->end = room;
}


static ngx_int_t
ngx_http_tgbot_seen_table_carve(ngx_http_tgbot_seen_table_t *table)
{
    if (table->begin > table->end) {
        return NGX_ERROR;
    }

    ngx_memzero(table->data, (size_t) table->begin);

    table->sh->n = (uint32_t)
                       ngx_http_tgbot_seen_table_entries((size_t) table->end);

    return NGX_OK;
}


/* finds what is known of the bot, which is forgotten if it has a new token */

static void
ngx_http_tgbot_seen_table_keep(ngx_http_tgbot_seen_table_t *table,
    ngx_http_tgbot_seen_t *seen)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_seen_entry_t  *entry;

    seen->serial = 0;

    for (i = 0; i < table->sh->n; i++) {
        entry = &table->entry[i];

        if (entry->serial == 0
            || entry->window != seen->window
            || entry->name_len != seen->bot.len
            || ngx_memcmp(entry->name, seen->bot.data, seen->bot.len) != 0)
        {
            continue;
        }

        if (entry->bot_id && seen->bot_id && entry->bot_id != seen->bot_id) {
            ngx_http_tgbot_seen_table_put(table, entry, seen);

        } else if (entry->bot_id == 0) {
            entry->bot_id = seen->bot_id;
        }

        entry->round = table->sh->round;

        seen->area = i;
        seen->serial = entry->serial;

        return;
    }
}


static ngx_uint_t
ngx_http_tgbot_seen_table_place(ngx_http_tgbot_seen_table_t *table,
    ngx_http_tgbot_seen_t *seen)
{
    uint64_t                      length, offset;
    ngx_uint_t                    i;
    ngx_http_tgbot_seen_entry_t  *entry;

    length = ngx_http_tgbot_seen_size(seen->window);

    if (ngx_http_tgbot_seen_table_gap(table, length, &offset) != NGX_OK) {

        ngx_http_tgbot_seen_table_compact(table);

        if (ngx_http_tgbot_seen_table_gap(table, length, &offset) != NGX_OK) {
            return 0;
        }
    }

    for (i = 0; i < table->sh->n; i++) {
        entry = &table->entry[i];

        if (entry->serial == 0) {
            entry->offset = offset;
            entry->length = length;
            entry->round = table->sh->round;

            ngx_http_tgbot_seen_table_put(table, entry, seen);

            seen->area = i;
            seen->serial = entry->serial;

            return 1;
        }
    }

    return 0;
}


/* the first that is long enough */

static ngx_int_t
ngx_http_tgbot_seen_table_gap(ngx_http_tgbot_seen_table_t *table,
    uint64_t length, uint64_t *offset)
{
    uint64_t                      end;
    ngx_http_tgbot_seen_entry_t  *next;

    *offset = table->begin;

    for ( ;; ) {
        next = ngx_http_tgbot_seen_table_next(table, *offset);
        end = next ? next->offset : table->end;

        if (end >= *offset && end - *offset >= length) {
            return NGX_OK;
        }

        if (next == NULL) {
            return NGX_DECLINED;
        }

        *offset = next->offset + next->length;
    }
}


/* the first area at "offset" or behind it */

static ngx_http_tgbot_seen_entry_t *
ngx_http_tgbot_seen_table_next(ngx_http_tgbot_seen_table_t *table,
    uint64_t offset)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_seen_entry_t  *entry, *next;

    next = NULL;

    for (i = 0; i < table->sh->n; i++) {
        entry = &table->entry[i];

        if (entry->serial && entry->offset >= offset
            && (next == NULL || entry->offset < next->offset))
        {
            next = entry;
        }
    }

    return next;
}


/* an empty area; a process that knew what stood here knows nothing of it */

static void
ngx_http_tgbot_seen_table_put(ngx_http_tgbot_seen_table_t *table,
    ngx_http_tgbot_seen_entry_t *entry, ngx_http_tgbot_seen_t *seen)
{
    ngx_http_tgbot_seen_area_t  area;

    entry->serial = 0;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("seen: area not in use");

    entry->bot_id = seen->bot_id;
    entry->window = seen->window;
    entry->name_len = seen->bot.len;
    ngx_memcpy(entry->name, seen->bot.data, seen->bot.len);

    ngx_http_tgbot_seen_area_init(&area, table->zone,
                                  table->data + entry->offset, seen->window);
    ngx_http_tgbot_seen_area_carve(&area);

    table->sh->serial++;

    if (table->sh->serial == 0) {
        table->sh->serial = 1;
    }

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("seen: area carved");

    entry->serial = table->sh->serial;
}


/* the areas of bots that are gone go, the others move together */

static void
ngx_http_tgbot_seen_table_compact(ngx_http_tgbot_seen_table_t *table)
{
    uint32_t                      serial;
    uint64_t                      offset;
    ngx_uint_t                    i;
    ngx_http_tgbot_seen_entry_t  *entry;

    for (i = 0; i < table->sh->n; i++) {
        entry = &table->entry[i];

        if (entry->round != table->sh->round) {
            entry->serial = 0;
        }
    }

    offset = table->begin;

    for ( ;; ) {
        entry = ngx_http_tgbot_seen_table_next(table, offset);

        if (entry == NULL) {
            return;
        }

        if (entry->offset != offset) {
            serial = entry->serial;
            entry->serial = 0;

            ngx_memory_barrier();

            ngx_http_tgbot_zone_stop("seen: area moves");

            ngx_memmove(table->data + offset, table->data + entry->offset,
                        (size_t) entry->length);

            ngx_http_tgbot_zone_stop("seen: area copied");

            entry->offset = offset;

            ngx_memory_barrier();

            ngx_http_tgbot_zone_stop("seen: area moved");

            entry->serial = serial;
        }

        offset += entry->length;
    }
}


/* the size of a zone that has room for the areas, as nginx needs it */

static size_t
ngx_http_tgbot_seen_table_needs(size_t areas, size_t room)
{
    size_t  pages;

    areas += ngx_http_tgbot_seen_table_size(room)
             + ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE);

    pages = (areas + ngx_pagesize - 1) / ngx_pagesize;

    return (pages + 2) * ngx_pagesize
           + ngx_align(pages * sizeof(ngx_slab_page_t), ngx_pagesize);
}
