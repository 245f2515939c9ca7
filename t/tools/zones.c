
/*
 * Prints what is in the files of tgbot_state, for "dev zones".  It maps them
 * for itself alone: what it repairs to read them is not written.
 *
 *   zones [--text] directory
 *
 * It is linked with the zones of the module and with the part of nginx that
 * the unit tests have.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <dirent.h>
#include <sys/mman.h>

#include "ngx_http_tgbot_broadcast.h"
#include "ngx_http_tgbot_broadcast_area.h"
#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_idempotency.h"
#include "ngx_http_tgbot_limit.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_queue_lane.h"
#include "ngx_http_tgbot_registry.h"
#include "ngx_http_tgbot_stats.h"
#include "ngx_http_tgbot_pace.h"
#include "ngx_http_tgbot_zone_file_header.h"

#include "unit.h"


/* what is told of a bot */

typedef struct tool_bot_s  tool_bot_t;

struct tool_bot_s {
    tool_bot_t   *next;
    u_char        name[NGX_HTTP_TGBOT_ITEM_NAME];
    uint32_t      len;
    ngx_uint_t    items;
    ngx_uint_t    answered;
    ngx_uint_t    causes[NGX_HTTP_TGBOT_DEAD_CAUSES];
    int64_t       oldest;     /* ms */
};


static int tool_file(const char *directory, const char *name);
static int tool_print(const char *name, ngx_http_tgbot_zone_header_t *header,
    ngx_http_tgbot_zone_t *zone);
static int tool_refuse(const char *name, const char *why);
static void tool_queue(ngx_http_tgbot_zone_t *zone, uint64_t seen);
static void tool_dead(ngx_http_tgbot_zone_t *zone, uint64_t seen);
static void tool_idempotency(ngx_http_tgbot_zone_t *zone);
static void tool_broadcast(ngx_http_tgbot_zone_t *zone);
static tool_bot_t *tool_bot(tool_bot_t **bots, ngx_http_tgbot_item_t *item,
    uint64_t seen);
static void tool_text(ngx_http_tgbot_item_t *item);
static void tool_bots(tool_bot_t *bots, ngx_uint_t dead);


static const ngx_http_tgbot_zone_kind_t  *tool_kinds[] = {
    &ngx_http_tgbot_queue_zone,
    &ngx_http_tgbot_dead_zone,
    &ngx_http_tgbot_idempotency_zone,
    &ngx_http_tgbot_broadcast_zone,
    &ngx_http_tgbot_dedup_zone,
    &ngx_http_tgbot_limit_zone,
    &ngx_http_tgbot_registry_zone,
    &ngx_http_tgbot_stats_zone,
    &ngx_http_tgbot_pace_zone
};

static ngx_time_t     tool_time;

ngx_uint_t            ngx_worker;
volatile ngx_time_t  *ngx_cached_time = &tool_time;

static ngx_uint_t     tool_texts;


int
main(int argc, char **argv)
{
    int              rc, i, n;
    size_t           len;
    struct dirent  **names;

    if (argc == 3 && strcmp(argv[1], "--text") == 0) {
        tool_texts = 1;
        argv++;
        argc--;
    }

    if (argc != 2) {
        fprintf(stderr, "usage: zones [--text] directory\n");
        return 2;
    }

    n = scandir(argv[1], &names, NULL, alphasort);

    if (n == -1) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 2;
    }

    rc = 0;

    for (i = 0; i < n; i++) {
        len = strlen(names[i]->d_name);

        if (len > 5 && strcmp(names[i]->d_name + len - 5,
                              NGX_HTTP_TGBOT_ZONE_FILE_ZONE)
                       == 0)
        {
            rc |= tool_file(argv[1], names[i]->d_name);
        }
    }

    return rc;
}


static int
tool_refuse(const char *name, const char *why)
{
    printf("%s: %s\n", name, why);

    return 1;
}


static int
tool_file(const char *directory, const char *name)
{
    int                            fd, rc;
    char                           path[4096];
    u_char                        *p;
    struct stat                    st;
    ngx_shm_zone_t                 shm_zone;
    ngx_http_tgbot_zone_t          zone;
    ngx_http_tgbot_zone_rt_t       rt;
    ngx_http_tgbot_zone_header_t  *header;

    (void) snprintf(path, sizeof(path), "%s/%s", directory, name);

    fd = open(path, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);

    if (fd == -1 || fstat(fd, &st) == -1) {
        return tool_refuse(name, strerror(errno));
    }

    if (!S_ISREG(st.st_mode) || st.st_size < NGX_HTTP_TGBOT_ZONE_FILE_HEADER)
    {
        (void) close(fd);
        return tool_refuse(name, "is no zone: no regular file, or too short");
    }

    p = mmap(NULL, st.st_size, PROT_READ|PROT_WRITE, MAP_PRIVATE, fd, 0);

    (void) close(fd);

    if (p == MAP_FAILED) {
        return tool_refuse(name, strerror(errno));
    }

    header = (ngx_http_tgbot_zone_header_t *) p;

    ngx_memzero(&shm_zone, sizeof(ngx_shm_zone_t));
    ngx_memzero(&zone, sizeof(ngx_http_tgbot_zone_t));
    ngx_memzero(&rt, sizeof(ngx_http_tgbot_zone_rt_t));

    zone.shm_zone = &shm_zone;
    zone.sh = (ngx_http_tgbot_zone_sh_t *)
                  (p + NGX_HTTP_TGBOT_ZONE_FILE_HEADER);
    zone.rt = &rt;
    zone.size = st.st_size - NGX_HTTP_TGBOT_ZONE_FILE_HEADER;

    if (ngx_memcmp(header->magic, NGX_HTTP_TGBOT_ZONE_FILE_MAGIC,
                   sizeof(header->magic))
        != 0
        || header->order != NGX_HTTP_TGBOT_ZONE_FILE_ORDER
        || header->word != sizeof(size_t)
        || header->sum != ngx_http_tgbot_zone_file_sum(header))
    {
        rc = tool_refuse(name, "is no zone, or one of another kind of "
                               "machine, or its header is damaged");

    } else if (header->size != (uint64_t) st.st_size) {
        rc = tool_refuse(name, "is cut short, or has grown");

    } else {
        rc = tool_print(name, header, &zone);
    }

    (void) munmap(p, st.st_size);

    return rc;
}


static int
tool_print(const char *name, ngx_http_tgbot_zone_header_t *header,
    ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t  i;

    printf("%s: %.24s, %lu KiB, layout %lu%s\n", name, header->kind,
           (unsigned long) header->size / 1024, (unsigned long) header->id,
           header->clean == 1 ? ", nginx ended in order" : "");

    for (i = 0; i < unit_n(tool_kinds); i++) {

        if (strcmp((char *) header->kind, tool_kinds[i]->name) != 0) {
            continue;
        }

        zone->kind = tool_kinds[i];

        if (header->id != zone->kind->id) {
            printf("    this version of the module reads layout %u\n",
                   zone->kind->id);
            return 1;
        }

        if (zone->sh->kind != zone->kind->id
            || zone->sh->size > zone->size
            || zone->sh->size < sizeof(ngx_http_tgbot_zone_sh_t)
                                + zone->kind->min)
        {
            return tool_refuse(name, "its contents are damaged");
        }

        /* times are those of the file: now is when nginx last wrote one */

        ngx_current_msec = header->seen;

        switch (i) {
        case 0:
            tool_queue(zone, header->seen);
            break;
        case 1:
            tool_dead(zone, header->seen);
            break;
        case 2:
            tool_idempotency(zone);
            break;
        case 3:
            tool_broadcast(zone);
        }

        return 0;
    }

    return 0;
}


/* only whole items are read: see ngx_http_tgbot_store_reopen() */

static void
tool_queue(ngx_http_tgbot_zone_t *zone, uint64_t seen)
{
    ngx_pool_t                     *pool;
    tool_bot_t                     *bots;
    ngx_http_tgbot_item_t           item;
    ngx_http_tgbot_queue_area_t     area;
    ngx_http_tgbot_store_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    zone->kind->open(zone, NGX_HTTP_TGBOT_ZONE_TORN);

    bots = NULL;
    pool = ngx_create_pool(4096, ngx_cycle->log);

    while (ngx_http_tgbot_store_walk(zone, &ngx_http_tgbot_queue_zone_layout,
                                     &cursor, &item, pool)
           == NGX_OK)
    {
        tool_bot(&bots, &item, seen)->answered += item.answered;
        tool_text(&item);
    }

    tool_bots(bots, 0);

    ngx_http_tgbot_queue_lane_open(&area, zone);

    printf("    broken: %lu\n", (unsigned long) area.store.sh->broken);

    ngx_destroy_pool(pool);
}


static void
tool_dead(ngx_http_tgbot_zone_t *zone, uint64_t seen)
{
    ngx_pool_t                     *pool;
    tool_bot_t                     *bots;
    ngx_http_tgbot_store_t          store;
    ngx_http_tgbot_letter_t         letter;
    ngx_http_tgbot_store_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    zone->kind->open(zone, NGX_HTTP_TGBOT_ZONE_TORN);

    bots = NULL;
    pool = ngx_create_pool(4096, ngx_cycle->log);

    while (ngx_http_tgbot_store_walk(zone, &ngx_http_tgbot_dead_layout,
                                     &cursor, &letter, pool)
           == NGX_OK)
    {
        tool_bot(&bots, &letter.item, seen)->causes[letter.end.cause]++;
        tool_text(&letter.item);
    }

    tool_bots(bots, 1);

    ngx_http_tgbot_store_open(&store, zone);

    printf("    broken: %lu\n", (unsigned long) store.sh->broken);

    ngx_destroy_pool(pool);
}


static void
tool_idempotency(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                     i;
    ngx_http_tgbot_store_t         store;
    ngx_http_tgbot_store_entry_t  *entry;

    zone->kind->open(zone, NGX_HTTP_TGBOT_ZONE_TORN);

    ngx_http_tgbot_store_open(&store, zone);

    for (i = 0; i < store.sh->bots.used; i++) {
        entry = &store.entries[i];

        if (entry->items.n) {
            printf("    bot %.*s: %lu records of calls\n",
                   (int) entry->bot.len, entry->bot.name,
                   (unsigned long) entry->items.n);
        }
    }

    printf("    broken: %lu\n", (unsigned long) store.sh->broken);
}


/* chats that were in flight are shown as a start makes them: unknown */

static void
tool_broadcast(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t                          i, k;
    ngx_http_tgbot_broadcast_area_t     area;
    ngx_http_tgbot_broadcast_record_t  *record;

    zone->kind->open(zone, NGX_HTTP_TGBOT_ZONE_TORN);

    ngx_http_tgbot_broadcast_area_lock(zone, &area);

    for (i = 0; i < area.nrecords; i++) {
        record = &area.records[i];

        if (record->id == 0) {
            continue;
        }

        printf("    bot %.*s: broadcast %lu by %.*s, chats: %lu",
               (int) record->bot_len, record->bot, (unsigned long) record->id,
               (int) record->method_len, record->method,
               (unsigned long) record->total);

        for (k = 0; k < NGX_HTTP_TGBOT_BROADCAST_CHATS; k++) {
            printf(", %.*s %lu", (int) ngx_http_tgbot_broadcast_chats[k].len,
                   ngx_http_tgbot_broadcast_chats[k].data,
                   (unsigned long) record->count[k]);
        }

        putchar('\n');
    }

    printf("    broken: %lu\n", (unsigned long) area.sh->broken);
}


static tool_bot_t *
tool_bot(tool_bot_t **bots, ngx_http_tgbot_item_t *item, uint64_t seen)
{
    int64_t      age;
    tool_bot_t  *bot;

    for (bot = *bots; bot; bot = bot->next) {
        if (bot->len == item->head.bot_len
            && ngx_memcmp(bot->name, item->head.bot, bot->len) == 0)
        {
            break;
        }
    }

    if (bot == NULL) {
        bot = calloc(1, sizeof(tool_bot_t));

        bot->len = item->head.bot_len;
        ngx_memcpy(bot->name, item->head.bot, bot->len);

        bot->next = *bots;
        *bots = bot;
    }

    age = (int64_t) (seen - item->head.received);

    bot->items++;
    bot->oldest = ngx_max(bot->oldest, age);

    return bot;
}


/* an update as it came, with other bytes around it, on one line */

static void
tool_text(ngx_http_tgbot_item_t *item)
{
    u_char  *p, *last;

    if (!tool_texts) {
        return;
    }

    printf("    %.*s %ld ", (int) item->head.bot_len, item->head.bot,
           (long) item->head.update_id);

    last = item->data.data + item->data.len;
    p = ngx_strlchr(item->data.data, last, '{');

    for (p = p ? p : last; p < last; p++) {
        putchar((*p < ' ' || *p == 0x7f) ? ' ' : *p);
    }

    putchar('\n');
}


static void
tool_bots(tool_bot_t *bots, ngx_uint_t dead)
{
    ngx_uint_t   i;
    tool_bot_t  *bot;

    for ( /* void */ ; bots; bots = bot) {
        bot = bots->next;

        printf("    bot %.*s: %lu %s, the oldest received %ld s before "
               "nginx was last seen", (int) bots->len, bots->name,
               (unsigned long) bots->items, dead ? "dead letters" : "updates",
               (long) bots->oldest / 1000);

        for (i = 0; dead && i < NGX_HTTP_TGBOT_DEAD_CAUSES; i++) {
            printf(", %lu %.*s", (unsigned long) bots->causes[i],
                   (int) ngx_http_tgbot_dead_causes[i].len,
                   ngx_http_tgbot_dead_causes[i].data);
        }

        if (!dead) {
            printf(", %lu with an answer", (unsigned long) bots->answered);
        }

        putchar('\n');
        free(bots);
    }
}
