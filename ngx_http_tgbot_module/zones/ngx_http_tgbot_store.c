
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_bots.h"


/* a zone has so many entries, and one more for each layout->entry bytes */
#define NGX_HTTP_TGBOT_STORE_ENTRIES      16
#define NGX_HTTP_TGBOT_STORE_ENTRIES_MAX  65536

#define NGX_HTTP_TGBOT_STORE_BLOCKS_MAX   0x7fffffff

#define ngx_http_tgbot_store_aligned(size)                                    \
    ngx_align(size, NGX_CPU_CACHE_LINE)


static void ngx_http_tgbot_store_full(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout, uint32_t n);
static void ngx_http_tgbot_store_measure(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout);
static void ngx_http_tgbot_store_check_entry(ngx_http_tgbot_store_t *store,
    uint32_t n);
static ngx_uint_t ngx_http_tgbot_store_name(u_char *name, uint32_t len);
static ngx_uint_t ngx_http_tgbot_store_check_item(
    ngx_http_tgbot_store_t *store, uint32_t n);
static void ngx_http_tgbot_store_check_rest(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item);
static uint64_t ngx_http_tgbot_store_sum(uint64_t seq, uint64_t len);
static uint64_t ngx_http_tgbot_store_sum_head(
    ngx_http_tgbot_store_item_t *item);
static uint64_t ngx_http_tgbot_store_sum_progress(
    ngx_http_tgbot_store_item_t *item, ngx_uint_t n);
static ngx_int_t ngx_http_tgbot_store_make(ngx_http_tgbot_zone_bots_t *bots,
    void *entry, void *user);
static void ngx_http_tgbot_store_set_progress(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item, ngx_uint_t n,
    ngx_http_tgbot_progress_t *progress);
static uint32_t ngx_http_tgbot_store_write_answer(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_store_item_t *item,
    ngx_str_t *answer);
static uint64_t ngx_http_tgbot_store_item_answer(size_t len);
static uint64_t ngx_http_tgbot_store_item_total(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_store_item_t *item);
static void ngx_http_tgbot_store_item_link(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item);
static void ngx_http_tgbot_store_item_unlink(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item);
static ngx_uint_t ngx_http_tgbot_store_repair_item(
    ngx_http_tgbot_store_t *store, uint32_t n);
static uint32_t ngx_http_tgbot_store_repair_sort(
    ngx_http_tgbot_store_t *store);
static ngx_uint_t ngx_http_tgbot_store_repair_before(void *data, uint32_t a,
    uint32_t b);


void
ngx_http_tgbot_store_open(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_zone_t *zone)
{
    u_char  *p;

    p = ngx_http_tgbot_zone_data(zone->sh);

    store->sh = (ngx_http_tgbot_store_sh_t *) p;

    store->entries = (ngx_http_tgbot_store_entry_t *)
        (p + ngx_http_tgbot_store_aligned(sizeof(ngx_http_tgbot_store_sh_t)));

    store->bots.zone = zone;
    store->bots.sh = &store->sh->bots;
    store->bots.entries = (u_char *) store->entries;
    store->bots.size = sizeof(ngx_http_tgbot_store_entry_t);
    store->bots.held = offsetof(ngx_http_tgbot_store_entry_t, items.n);
    store->bots.match = NULL;
    store->bots.make = ngx_http_tgbot_store_make;

    store->own = p + store->sh->own;
    store->tables = p + store->sh->tables;
    store->chain.sh = &store->sh->chain;
    store->chain.blocks = (ngx_http_tgbot_block_t *) (p + store->sh->blocks);

    store->links.first = store->chain.blocks[0].data
                         + offsetof(ngx_http_tgbot_store_item_t, link);
    store->links.size = sizeof(ngx_http_tgbot_block_t);
}


ngx_int_t
ngx_http_tgbot_store_carve(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout)
{
    size_t                      room;
    u_char                     *p;
    ngx_http_tgbot_store_sh_t  *sh;

    room = ngx_http_tgbot_zone_room(zone->sh);

    if (room < NGX_HTTP_TGBOT_STORE_MIN) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" has room for %uz bytes, expected %uz or "
                      "more", &zone->shm_zone->shm.name, room,
                      (size_t) NGX_HTTP_TGBOT_STORE_MIN);
        return NGX_ERROR;
    }

    p = ngx_http_tgbot_zone_data(zone->sh);
    sh = (ngx_http_tgbot_store_sh_t *) p;

    ngx_memzero(sh, sizeof(ngx_http_tgbot_store_sh_t));

    ngx_http_tgbot_store_measure(zone, layout);

    ngx_http_tgbot_chain_empty(&sh->chain);

    ngx_memzero(p + ngx_http_tgbot_store_aligned(
                                         sizeof(ngx_http_tgbot_store_sh_t)),
                sh->bots.n * sizeof(ngx_http_tgbot_store_entry_t));

    return NGX_OK;
}


/* sets all that follows from the size of the zone */

static void
ngx_http_tgbot_store_measure(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout)
{
    size_t                      room, left, own, n, entries, header;
    u_char                     *p;
    ngx_http_tgbot_store_sh_t  *sh;

    room = ngx_http_tgbot_zone_room(zone->sh);

    p = ngx_http_tgbot_zone_data(zone->sh);
    sh = (ngx_http_tgbot_store_sh_t *) p;

    entries = NGX_HTTP_TGBOT_STORE_ENTRIES + room / layout->entry;
    entries = ngx_min(entries, NGX_HTTP_TGBOT_STORE_ENTRIES_MAX);

    own = ngx_align(layout->own, sizeof(uint64_t));

    sh->own = ngx_http_tgbot_store_aligned(sizeof(ngx_http_tgbot_store_sh_t))
              + ngx_http_tgbot_store_aligned(
                            entries * sizeof(ngx_http_tgbot_store_entry_t));
    sh->tables = sh->own + ngx_http_tgbot_store_aligned(entries * own);

    left = room - sh->tables - layout->fixed - NGX_HTTP_TGBOT_CHAIN_BLOCK;

    n = left / (sizeof(ngx_http_tgbot_block_t) + layout->block);
    n = ngx_min(n, NGX_HTTP_TGBOT_STORE_BLOCKS_MAX);

    /*
     * The header of an item, which is in one block, is in one page of a file:
     * it is never of two moments.
     */

    header = p - (u_char *) zone->sh;

    sh->blocks = ngx_align(header + sh->tables + layout->fixed
                           + n * layout->block,
                           NGX_HTTP_TGBOT_CHAIN_BLOCK)
                 - header;

    sh->bots.n = (uint32_t) entries;
    sh->own_size = (uint32_t) own;
    sh->header = (uint32_t) layout->header;

    sh->chain.total = (uint32_t) n;
}


void
ngx_http_tgbot_store_reopen(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout,
    ngx_http_tgbot_zone_found_e found)
{
    uint32_t                    i;
    ngx_http_tgbot_store_t      store;
    ngx_http_tgbot_store_sh_t  *sh;

    sh = (ngx_http_tgbot_store_sh_t *) ngx_http_tgbot_zone_data(zone->sh);

    if (found == NGX_HTTP_TGBOT_ZONE_TORN) {
        ngx_http_tgbot_store_measure(zone, layout);

        sh->chain.used = sh->chain.total;
        sh->bots.used = sh->bots.n;
    }

    ngx_http_tgbot_store_open(&store, zone);

    store.clear = layout->clear;

    for (i = 0; i < sh->bots.used; i++) {

        if (found == NGX_HTTP_TGBOT_ZONE_TORN) {
            ngx_http_tgbot_store_check_entry(&store, i);
        }

        ngx_memzero(store.entries[i].bot.named,
                    sizeof(store.entries[i].bot.named));
    }

    for (i = 0; i < sh->chain.used; i++) {

        if (store.chain.blocks[i].mark != NGX_HTTP_TGBOT_STORE_HEAD) {
            continue;
        }

        if (found == NGX_HTTP_TGBOT_ZONE_TORN
            && !ngx_http_tgbot_store_check_item(&store, i))
        {
            sh->broken++;
            store.chain.blocks[i].mark = NGX_HTTP_TGBOT_CHAIN_FREE;
            continue;
        }

        layout->end(&store, ngx_http_tgbot_store_item(&store, i));
    }
}


/* empties a torn entry, if it is no entry, or one of a bot that has another */

static void
ngx_http_tgbot_store_check_entry(ngx_http_tgbot_store_t *store, uint32_t n)
{
    uint32_t                       i;
    ngx_http_tgbot_zone_bot_t     *bot, *other;
    ngx_http_tgbot_store_entry_t  *entry;

    entry = &store->entries[n];
    bot = &entry->bot;

    ngx_http_tgbot_list_init(&entry->items);
    entry->blocks = 0;

    if (bot->serial == 0 || !ngx_http_tgbot_store_name(bot->name, bot->len)) {
        goto empty;
    }

    for (i = 0; i < n; i++) {
        other = &store->entries[i].bot;

        if (other->serial && other->bot_id == bot->bot_id
            && other->len == bot->len
            && ngx_memcmp(other->name, bot->name, bot->len) == 0)
        {
            goto empty;
        }
    }

    store->bots.sh->serial = ngx_max(store->bots.sh->serial, bot->serial);

    return;

empty:

    ngx_memzero(bot, sizeof(ngx_http_tgbot_zone_bot_t));

    store->clear(ngx_http_tgbot_store_own(store, n));
}


/* whether it is the name of a bot: see tgbot_webhook */

static ngx_uint_t
ngx_http_tgbot_store_name(u_char *name, uint32_t len)
{
    u_char    c;
    uint32_t  i;

    if (len == 0 || len > NGX_HTTP_TGBOT_ITEM_NAME) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        c = name[i] | 0x20;

        if (!(c >= 'a' && c <= 'z')
            && !(name[i] >= '0' && name[i] <= '9')
            && name[i] != '_' && name[i] != '-')
        {
            return 0;
        }
    }

    return 1;
}


/* whether a torn item is whole; finds or makes the entry of its bot */

static ngx_uint_t
ngx_http_tgbot_store_check_item(ngx_http_tgbot_store_t *store, uint32_t n)
{
    uint64_t                       sum;
    ngx_http_tgbot_head_t         *head;
    ngx_http_tgbot_zone_user_t     user;
    ngx_http_tgbot_store_item_t   *item;
    ngx_http_tgbot_store_entry_t  *entry;

    item = ngx_http_tgbot_store_item(store, n);
    head = &item->head;

    if (item->seq == 0 || !ngx_http_tgbot_store_name(head->bot, head->bot_len))
    {
        return 0;
    }

    sum = ngx_http_tgbot_store_sum_head(item);

    if (!ngx_http_tgbot_chain_sum(&store->chain, n, store->sh->header,
                                  item->len, &sum)
        || sum != item->sum)
    {
        return 0;
    }

    user.zone = store->bots.zone;
    user.bot.data = head->bot;
    user.bot.len = head->bot_len;
    user.bot_id = head->bot_id;

    entry = ngx_http_tgbot_zone_bots_enter(&store->bots, &user, 0);
    if (entry == NULL) {
        return 0;
    }

    /* an entry with items is not given to another bot */

    entry->items.n++;

    item->entry = (uint32_t) user.entry;

    ngx_http_tgbot_store_check_rest(store, item);

    return 1;
}


/* forgets progress and answer of a torn item, if they are not whole */

static void
ngx_http_tgbot_store_check_rest(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    uint64_t    sum;
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {
        item->current &= 1;

        if (item->progress_sum[item->current]
            == ngx_http_tgbot_store_sum_progress(item, item->current))
        {
            break;
        }

        item->current = !item->current;
    }

    if (i == 2) {
        ngx_memzero(&item->progress[item->current],
                    sizeof(ngx_http_tgbot_progress_t));
        item->progress_sum[item->current] =
                     ngx_http_tgbot_store_sum_progress(item, item->current);
    }

    if (item->answer == NGX_HTTP_TGBOT_LIST_NIL) {
        return;
    }

    /* no checksum tells whether the block of an empty answer is still its */

    sum = ngx_http_tgbot_store_sum(item->seq, item->answer_len);

    if (item->answer_len == 0
        || !ngx_http_tgbot_chain_sum(&store->chain, item->answer, 0,
                                     item->answer_len, &sum)
        || sum != item->answer_sum)
    {
        item->answer = NGX_HTTP_TGBOT_LIST_NIL;
        item->answer_len = 0;
    }
}


/*
 * A checksum begins with the item's seq: what an item before had in the same
 * block does not fit.
 */

static uint64_t
ngx_http_tgbot_store_sum(uint64_t seq, uint64_t len)
{
    uint64_t  numbers[2];

    numbers[0] = seq;
    numbers[1] = len;

    return ngx_http_tgbot_zone_sum(0, numbers, sizeof(numbers));
}


static uint64_t
ngx_http_tgbot_store_sum_head(ngx_http_tgbot_store_item_t *item)
{
    return ngx_http_tgbot_zone_sum(
                            ngx_http_tgbot_store_sum(item->seq, item->len),
                            &item->head, sizeof(ngx_http_tgbot_head_t));
}


static uint64_t
ngx_http_tgbot_store_sum_progress(ngx_http_tgbot_store_item_t *item,
    ngx_uint_t n)
{
    /* without what the compiler adds behind the last member */

    return ngx_http_tgbot_zone_sum(ngx_http_tgbot_store_sum(item->seq, n),
                                   &item->progress[n],
                                   offsetof(ngx_http_tgbot_progress_t, unknown)
                                   + sizeof(uint32_t));
}


ngx_int_t
ngx_http_tgbot_store_init(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout)
{
    ngx_int_t               rc;
    ngx_http_tgbot_store_t  store;

    layout->lock(zone, &store);

    store.clear = layout->clear;

    rc = ngx_http_tgbot_zone_bots_init(&store.bots);

    ngx_http_tgbot_zone_unlock(zone);

    if (rc != NGX_OK) {
        ngx_http_tgbot_store_full(zone, layout, store.sh->bots.n);
    }

    return rc;
}


/* n: the bots that the zone has room for */

static void
ngx_http_tgbot_store_full(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout, uint32_t n)
{
    size_t       size;
    ngx_uint_t   users;
    const char  *more;

    users = zone->users.nelts;

    if (users > NGX_HTTP_TGBOT_STORE_ENTRIES_MAX) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" is used by %ui bots, expected no more than "
                      "%d in a zone, and a \"%s\" with another zone for the "
                      "others in %s:%ui", &zone->shm_zone->shm.name, users,
                      NGX_HTTP_TGBOT_STORE_ENTRIES_MAX, layout->directive,
                      zone->file, zone->line);
        return;
    }

    /*
     * Room for all bots that use the zone, besides that which others hold:
     * how many those are is not known.  1/32 is more than the tables need.
     */

    more = (users > n) ? "" : " beside those that left something in it";
    size = (users > n) ? users - n : users;

    size = zone->size + (size + size / 32 + 1) * layout->entry;

    ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                  "zone \"%V\" has room for %uD bots, which is too few for "
                  "the %ui that use it%s, expected \"%s zone=%V:%uzm\" or a "
                  "larger size in %s:%ui",
                  &zone->shm_zone->shm.name, n, users, more,
                  layout->directive, &zone->shm_zone->shm.name,
                  (size + 1024 * 1024 - 1) / (1024 * 1024),
                  zone->file, zone->line);
}


ngx_int_t
ngx_http_tgbot_store_enter(void *user,
    const ngx_http_tgbot_store_layout_t *layout)
{
    void                    *entry;
    ngx_http_tgbot_zone_t   *zone;
    ngx_http_tgbot_store_t   store;

    zone = ((ngx_http_tgbot_zone_user_t *) user)->zone;

    layout->lock(zone, &store);

    store.clear = layout->clear;

    entry = ngx_http_tgbot_zone_bots_enter(&store.bots, user, 0);

    ngx_http_tgbot_zone_unlock(zone);

    return entry ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_tgbot_store_make(ngx_http_tgbot_zone_bots_t *bots, void *entry,
    void *user)
{
    ngx_http_tgbot_store_t        *store;
    ngx_http_tgbot_store_entry_t  *e;

    store = (ngx_http_tgbot_store_t *) bots;
    e = entry;

    ngx_http_tgbot_list_init(&e->items);

    store->clear(ngx_http_tgbot_store_own(store, e - store->entries));

    return NGX_OK;
}


ngx_uint_t
ngx_http_tgbot_store_orphaned(ngx_http_tgbot_store_t *store)
{
    ngx_uint_t                     i, n;
    ngx_http_tgbot_store_entry_t  *entry;

    n = 0;

    for (i = 0; i < store->sh->bots.used; i++) {
        entry = &store->entries[i];

        if (entry->items.n && !ngx_http_tgbot_store_named(store, entry)) {
            n += entry->items.n;
        }
    }

    return n;
}


uint64_t
ngx_http_tgbot_store_needs(size_t header, ngx_http_tgbot_item_t *item)
{
    uint64_t  n;

    n = ngx_http_tgbot_chain_needs(header + item->data.len);

    if (item->answered) {
        n += ngx_http_tgbot_store_item_answer(item->answer.len);
    }

    return n;
}


void *
ngx_http_tgbot_store_add(ngx_http_tgbot_store_t *store, ngx_uint_t entry,
    ngx_http_tgbot_item_t *item)
{
    size_t                        header;
    uint32_t                      n;
    ngx_http_tgbot_zone_bot_t    *bot;
    ngx_http_tgbot_store_item_t  *it;

    header = store->sh->header;

    if (ngx_http_tgbot_store_needs(header, item)
        > ngx_http_tgbot_store_room(store))
    {
        return NULL;
    }

    n = ngx_http_tgbot_chain_take(&store->chain);
    ngx_http_tgbot_chain_write(&store->chain, n, header, &item->data);

    it = ngx_http_tgbot_store_item(store, n);
    bot = &store->entries[entry].bot;

    ngx_memzero(it, header);

    it->seq = ++store->sh->seq;
    it->entry = (uint32_t) entry;
    it->len = (uint32_t) item->data.len;

    it->head = item->head;
    it->head.received = ngx_http_tgbot_zone_in(store->bots.zone,
                                               item->head.received);
    ngx_memcpy(it->head.bot, bot->name, NGX_HTTP_TGBOT_ITEM_NAME);
    it->head.bot_len = bot->len;
    it->head.bot_id = bot->bot_id;

    it->sum = ngx_http_tgbot_zone_sum(ngx_http_tgbot_store_sum_head(it),
                                      item->data.data, item->data.len);

    ngx_http_tgbot_store_set_progress(store, it, 0, &item->progress);

    it->answer = NGX_HTTP_TGBOT_LIST_NIL;

    if (item->answered) {
        it->answer = ngx_http_tgbot_store_write_answer(store, it,
                                                       &item->answer);
    }

    return it;
}


/* returns the first block */

static uint32_t
ngx_http_tgbot_store_write_answer(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item, ngx_str_t *answer)
{
    uint32_t  n;

    n = ngx_http_tgbot_chain_take(&store->chain);
    ngx_http_tgbot_chain_write(&store->chain, n, 0, answer);

    item->answer_len = (uint32_t) answer->len;
    item->answer_sum = ngx_http_tgbot_zone_sum(
                         ngx_http_tgbot_store_sum(item->seq, answer->len),
                         answer->data, answer->len);

    return n;
}


void
ngx_http_tgbot_store_publish(ngx_http_tgbot_store_t *store, void *item)
{
    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: item written");

    store->chain.blocks[ngx_http_tgbot_store_number(store, item)].mark =
                                                   NGX_HTTP_TGBOT_STORE_HEAD;
    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: item published");

    ngx_http_tgbot_store_item_link(store, item);
}


void
ngx_http_tgbot_store_retire(ngx_http_tgbot_store_t *store, void *item)
{
    uint32_t                      n;
    ngx_http_tgbot_store_item_t  *it;

    it = item;
    n = ngx_http_tgbot_store_number(store, item);

    store->chain.blocks[n].mark = NGX_HTTP_TGBOT_CHAIN_FREE;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: item retired");

    ngx_http_tgbot_store_item_unlink(store, it);

    ngx_http_tgbot_zone_stop("store: item unlinked");

    ngx_http_tgbot_chain_free(&store->chain, it->answer);
    ngx_http_tgbot_chain_free(&store->chain, n);
}


ngx_int_t
ngx_http_tgbot_store_answer(ngx_http_tgbot_store_t *store, void *item,
    ngx_str_t *answer)
{
    uint32_t                      n;
    uint64_t                      needed;
    ngx_http_tgbot_store_item_t  *it;

    it = item;

    needed = ngx_http_tgbot_store_item_answer(answer->len);

    if (needed > ngx_http_tgbot_store_room(store)) {
        return NGX_AGAIN;
    }

    n = ngx_http_tgbot_store_write_answer(store, it, answer);

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: answer written");

    it->answer = n;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: answer published");

    store->entries[it->entry].blocks += (uint32_t) needed;

    return NGX_OK;
}


static void
ngx_http_tgbot_store_set_progress(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item, ngx_uint_t n,
    ngx_http_tgbot_progress_t *progress)
{
    item->progress[n] = *progress;

    item->progress[n].started = ngx_http_tgbot_zone_in(store->bots.zone,
                                                       progress->started);

    item->progress_sum[n] = ngx_http_tgbot_store_sum_progress(item, n);
}


void
ngx_http_tgbot_store_note(ngx_http_tgbot_store_t *store, void *item,
    ngx_http_tgbot_progress_t *progress)
{
    uint32_t                      other;
    ngx_http_tgbot_store_item_t  *it;

    it = item;
    other = !it->current;

    ngx_http_tgbot_store_set_progress(store, it, other, progress);

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: progress written");

    it->current = other;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("store: progress noted");
}


void
ngx_http_tgbot_store_tell(ngx_http_tgbot_store_t *store, void *item,
    ngx_http_tgbot_item_t *told)
{
    ngx_http_tgbot_store_item_t  *it;

    it = item;

    ngx_memzero(told, sizeof(ngx_http_tgbot_item_t));

    told->head = it->head;
    told->head.received = ngx_http_tgbot_zone_out(store->bots.zone,
                                                  it->head.received);

    told->progress = it->progress[it->current];
    told->progress.started = ngx_http_tgbot_zone_out(store->bots.zone,
                                                     told->progress.started);

    told->data.len = it->len;

    /* the id may not have been known when the item came */

    told->head.bot_id = store->entries[it->entry].bot.bot_id;

    if (it->answer != NGX_HTTP_TGBOT_LIST_NIL) {
        told->answered = 1;
        told->answer.len = it->answer_len;
    }
}


void
ngx_http_tgbot_store_copy(ngx_http_tgbot_store_t *store, void *item,
    u_char *data, u_char *answer)
{
    ngx_http_tgbot_store_item_t  *it;

    it = item;

    if (data) {
        ngx_http_tgbot_chain_read(&store->chain,
                                  ngx_http_tgbot_store_number(store, item),
                                  store->sh->header, data, it->len);
    }

    if (answer && it->answer != NGX_HTTP_TGBOT_LIST_NIL) {
        ngx_http_tgbot_chain_read(&store->chain, it->answer, 0, answer,
                                  it->answer_len);
    }
}


void *
ngx_http_tgbot_store_find(ngx_http_tgbot_store_t *store, uint32_t block,
    uint64_t seq)
{
    ngx_http_tgbot_store_item_t  *item;

    if (block >= store->sh->chain.used
        || store->chain.blocks[block].mark != NGX_HTTP_TGBOT_STORE_HEAD)
    {
        return NULL;
    }

    item = ngx_http_tgbot_store_item(store, block);

    return (item->seq == seq) ? item : NULL;
}


void *
ngx_http_tgbot_store_next(ngx_http_tgbot_store_t *store, ngx_uint_t entry,
    void *item)
{
    uint32_t                      n;
    ngx_http_tgbot_store_item_t  *it;

    it = item;
    n = it ? it->link.next : store->entries[entry].items.first;

    if (n == NGX_HTTP_TGBOT_LIST_NIL) {
        return NULL;
    }

    return ngx_http_tgbot_store_item(store, n);
}


/* an empty answer takes a block, which tells it from no answer */

static uint64_t
ngx_http_tgbot_store_item_answer(size_t len)
{
    return ngx_http_tgbot_chain_needs(ngx_max(len, 1));
}


static uint64_t
ngx_http_tgbot_store_item_total(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    uint64_t  n;

    n = ngx_http_tgbot_chain_needs((uint64_t) store->sh->header + item->len);

    if (item->answer != NGX_HTTP_TGBOT_LIST_NIL) {
        n += ngx_http_tgbot_store_item_answer(item->answer_len);
    }

    return n;
}


/* puts a published item at the end of its entry's list */

static void
ngx_http_tgbot_store_item_link(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    ngx_http_tgbot_store_entry_t  *entry;

    entry = &store->entries[item->entry];

    ngx_http_tgbot_list_append(&store->links, &entry->items,
                               ngx_http_tgbot_store_number(store, item));

    entry->blocks += (uint32_t) ngx_http_tgbot_store_item_total(store, item);
    store->sh->items++;
}


static void
ngx_http_tgbot_store_item_unlink(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item)
{
    ngx_http_tgbot_store_entry_t  *entry;

    entry = &store->entries[item->entry];

    ngx_http_tgbot_list_remove(&store->links, &entry->items,
                               ngx_http_tgbot_store_number(store, item));

    entry->blocks -= (uint32_t) ngx_http_tgbot_store_item_total(store, item);
    store->sh->items--;
}


void
ngx_http_tgbot_store_repair(ngx_http_tgbot_store_t *store)
{
    uint32_t                      i, n, next;
    ngx_http_tgbot_store_sh_t    *sh;
    ngx_http_tgbot_store_item_t  *item;

    sh = store->sh;

    ngx_http_tgbot_chain_wipe(&store->chain, NGX_HTTP_TGBOT_STORE_HEAD);

    for (i = 0; i < sh->chain.used; i++) {

        if (store->chain.blocks[i].mark == NGX_HTTP_TGBOT_STORE_HEAD
            && !ngx_http_tgbot_store_repair_item(store, i))
        {
            sh->broken++;
            store->chain.blocks[i].mark = NGX_HTTP_TGBOT_CHAIN_FREE;
        }
    }

    ngx_http_tgbot_zone_stop("store: items checked");

    ngx_http_tgbot_chain_link(&store->chain);

    for (i = 0; i < sh->bots.n; i++) {
        store->entries[i].blocks = 0;
        ngx_http_tgbot_list_init(&store->entries[i].items);
    }

    sh->items = 0;

    ngx_http_tgbot_zone_stop("store: entries emptied");

    for (n = ngx_http_tgbot_store_repair_sort(store);
         n != NGX_HTTP_TGBOT_LIST_NIL;
         n = next)
    {
        item = ngx_http_tgbot_store_item(store, n);
        next = item->link.next;

        sh->seq = ngx_max(sh->seq, item->seq);

        ngx_http_tgbot_store_item_link(store, item);
    }
}


/* marks the blocks of an item; 0: the item is damaged, nothing is marked */

static ngx_uint_t
ngx_http_tgbot_store_repair_item(ngx_http_tgbot_store_t *store, uint32_t n)
{
    uint32_t                      next;
    uint64_t                      length, answer;
    ngx_http_tgbot_store_sh_t    *sh;
    ngx_http_tgbot_store_item_t  *item;

    sh = store->sh;
    item = ngx_http_tgbot_store_item(store, n);

    if (item->entry >= sh->bots.n
        || store->entries[item->entry].bot.serial == 0)
    {
        return 0;
    }

    item->current &= 1;

    /* the first block has the mark of an item already */

    next = store->chain.blocks[n].next;
    length = ngx_http_tgbot_chain_needs((uint64_t) sh->header + item->len) - 1;

    if (!ngx_http_tgbot_chain_claim(&store->chain, next, length)) {
        return 0;
    }

    if (item->answer == NGX_HTTP_TGBOT_LIST_NIL) {
        item->answer_len = 0;
        return 1;
    }

    answer = ngx_http_tgbot_store_item_answer(item->answer_len);

    if (!ngx_http_tgbot_chain_claim(&store->chain, item->answer, answer)) {
        ngx_http_tgbot_chain_unclaim(&store->chain, next, length);
        return 0;
    }

    return 1;
}


/* links all items by "next" in the order of seq, and returns the first */

static uint32_t
ngx_http_tgbot_store_repair_sort(ngx_http_tgbot_store_t *store)
{
    uint32_t               i;
    ngx_http_tgbot_sort_t  sort;

    sort.links = &store->links;
    sort.before = ngx_http_tgbot_store_repair_before;
    sort.data = store;

    ngx_http_tgbot_sort_init(&sort);

    for (i = 0; i < store->sh->chain.used; i++) {

        if (store->chain.blocks[i].mark == NGX_HTTP_TGBOT_STORE_HEAD) {
            ngx_http_tgbot_sort_add(&sort, i);
        }
    }

    return ngx_http_tgbot_sort_end(&sort);
}


static ngx_uint_t
ngx_http_tgbot_store_repair_before(void *data, uint32_t a, uint32_t b)
{
    ngx_http_tgbot_store_t       *store;
    ngx_http_tgbot_store_item_t  *one, *other;

    store = data;

    one = ngx_http_tgbot_store_item(store, a);
    other = ngx_http_tgbot_store_item(store, b);

    return one->seq <= other->seq;
}
