
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_idempotency.h"
#include "ngx_http_tgbot_lease.h"
#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_zone.h"


/* a zone has one entry for a bot per so many bytes */
#define NGX_HTTP_TGBOT_IDEMPOTENCY_ENTRY  4096

/* key and print */
#define NGX_HTTP_TGBOT_IDEMPOTENCY_DATA                                       \
    (2 * NGX_HTTP_TGBOT_IDEMPOTENCY_HASH)

/* of these a claim removes so many at most, if there is room without */
#define NGX_HTTP_TGBOT_IDEMPOTENCY_EXPIRED  2


/* a record as a copy sees it */

typedef struct {
    ngx_http_tgbot_item_t              item;
    uint32_t                           state;
} ngx_http_tgbot_idempotency_told_t;


static ngx_int_t ngx_http_tgbot_idempotency_init(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static ngx_int_t ngx_http_tgbot_idempotency_resized(
    ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_idempotency_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);
static void ngx_http_tgbot_idempotency_end(ngx_http_tgbot_store_t *store,
    void *item);
static ngx_int_t ngx_http_tgbot_idempotency_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old);
static ngx_int_t ngx_http_tgbot_idempotency_put(void *to, void *record);
static void ngx_http_tgbot_idempotency_clear(void *own);
static void ngx_http_tgbot_idempotency_tell(ngx_http_tgbot_store_t *store,
    void *item, void *told);
static ngx_http_tgbot_idempotency_item_t *ngx_http_tgbot_idempotency_look(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_idempotency_call_t *call);
static ngx_http_tgbot_idempotency_item_t *ngx_http_tgbot_idempotency_find(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_idempotency_call_t *call);
static ngx_http_tgbot_idempotency_e ngx_http_tgbot_idempotency_found(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_idempotency_item_t *item,
    ngx_http_tgbot_idempotency_call_t *call, ngx_str_t *answer);
static ngx_http_tgbot_idempotency_e ngx_http_tgbot_idempotency_add(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_idempotency_call_t *call);
static ngx_uint_t ngx_http_tgbot_idempotency_room(
    ngx_http_tgbot_store_t *store, ngx_uint_t entry,
    ngx_http_tgbot_item_t *item);
static ngx_uint_t ngx_http_tgbot_idempotency_expire(
    ngx_http_tgbot_store_t *store, ngx_uint_t entry);
static ngx_uint_t ngx_http_tgbot_idempotency_expired(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_idempotency_item_t *item);
static ngx_http_tgbot_idempotency_item_t *ngx_http_tgbot_idempotency_mine(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_idempotency_call_t *call);
static void ngx_http_tgbot_idempotency_keep(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item, ngx_str_t *answer);
static void ngx_http_tgbot_idempotency_leave(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item,
    ngx_http_tgbot_idempotency_slots_t *waiting);
static ngx_uint_t ngx_http_tgbot_idempotency_flies(
    ngx_http_tgbot_idempotency_item_t *item);
static void ngx_http_tgbot_idempotency_land(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item,
    ngx_http_tgbot_idempotency_slots_t *waiting);
static void ngx_http_tgbot_idempotency_drop(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item,
    ngx_http_tgbot_idempotency_slots_t *waiting);
static void ngx_http_tgbot_idempotency_links(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_links_t *links);
static uint32_t *ngx_http_tgbot_idempotency_head(ngx_http_tgbot_store_t *store,
    uint64_t hash);
static void ngx_http_tgbot_idempotency_unindex(ngx_http_tgbot_store_t *store);
static void ngx_http_tgbot_idempotency_index(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item);
static void ngx_http_tgbot_idempotency_repair(ngx_http_tgbot_store_t *store);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_idempotency_zone = {
    20, "idempotency",
    NGX_HTTP_TGBOT_STORE_MIN,
    ngx_http_tgbot_idempotency_init,
    ngx_http_tgbot_idempotency_open,
    ngx_http_tgbot_idempotency_copy,
    NGX_HTTP_TGBOT_ZONE_KEEP
};


static const ngx_http_tgbot_store_layout_t
    ngx_http_tgbot_idempotency_layout =
{
    "tgbot_gateway",
    sizeof(ngx_http_tgbot_idempotency_item_t),
    0,
    NGX_HTTP_TGBOT_IDEMPOTENCY_ENTRY,
    sizeof(ngx_http_tgbot_idempotency_sh_t),
    sizeof(uint32_t),
    ngx_http_tgbot_idempotency_clear,
    ngx_http_tgbot_idempotency_end,
    ngx_http_tgbot_idempotency_lock,
    ngx_http_tgbot_idempotency_tell
};


static u_char
    ngx_http_tgbot_idempotency_buffer[NGX_HTTP_TGBOT_IDEMPOTENCY_SIZE];


#define ngx_http_tgbot_idempotency_tables(store)                              \
    ((ngx_http_tgbot_idempotency_sh_t *) (store)->tables)

/* the key; the print follows */

#define ngx_http_tgbot_idempotency_key(item)                                  \
    ((u_char *) (item) + sizeof(ngx_http_tgbot_idempotency_item_t))


static ngx_int_t
ngx_http_tgbot_idempotency_init(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    ngx_http_tgbot_store_t  store;

    /* also a zone in memory is replaced, by a file that was there */

    if ((fresh || zone->opened)
        && ngx_http_tgbot_idempotency_resized(zone) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (fresh) {
        if (ngx_http_tgbot_store_carve(zone,
                                       &ngx_http_tgbot_idempotency_layout)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_http_tgbot_store_open(&store, zone);
        ngx_http_tgbot_idempotency_unindex(&store);
    }

    return ngx_http_tgbot_store_init(zone, &ngx_http_tgbot_idempotency_layout);
}


/* NGX_ERROR: this zone would replace one that has records, was logged */

static ngx_int_t
ngx_http_tgbot_idempotency_resized(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t               i, records;
    ngx_http_tgbot_zone_t   *old;
    ngx_http_tgbot_store_t   store;

    old = ngx_http_tgbot_zone_old(zone);

    if (old == NULL) {
        return NGX_OK;
    }

    ngx_http_tgbot_idempotency_lock(old, &store);

    for (i = 0; i < store.sh->bots.used; i++) {
        while (ngx_http_tgbot_idempotency_expire(&store, i)) { /* void */ }
    }

    records = store.sh->items;

    ngx_http_tgbot_zone_unlock(old);

    if (records == 0) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                  "zone \"%V\" holds records of %ui calls, expected that its "
                  "size of %uzk, and \"tgbot_state\", stay as they are until "
                  "the records are a day old, in %s:%ui",
                  &zone->shm_zone->shm.name, records, old->size / 1024,
                  zone->file, zone->line);

    return NGX_ERROR;
}


static void
ngx_http_tgbot_idempotency_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    uint32_t                            i;
    ngx_http_tgbot_store_t              store;
    ngx_http_tgbot_idempotency_item_t  *item;

    ngx_http_tgbot_store_reopen(zone, &ngx_http_tgbot_idempotency_layout,
                                found);

    ngx_http_tgbot_store_open(&store, zone);

    for (i = 0; i < store.sh->chain.used; i++) {

        if (found == NGX_HTTP_TGBOT_ZONE_TORN
            && store.chain.blocks[i].mark == NGX_HTTP_TGBOT_STORE_HEAD)
        {
            item = ngx_http_tgbot_store_item(&store, i);

            /* the page may be of a moment before the call was sent */

            item->state = ngx_max(item->state,
                                  NGX_HTTP_TGBOT_IDEMPOTENCY_SENT);
        }
    }

    ngx_http_tgbot_idempotency_repair(&store);
}


static void
ngx_http_tgbot_idempotency_end(ngx_http_tgbot_store_t *store, void *item)
{
    ngx_http_tgbot_idempotency_item_t  *it;

    it = item;

    ngx_memzero(&it->lease, sizeof(ngx_http_tgbot_lease_t));
    ngx_memzero(&it->waiting, sizeof(ngx_http_tgbot_idempotency_slots_t));

    it->state = ngx_min(it->state, NGX_HTTP_TGBOT_IDEMPOTENCY_LEFT_OUT);
}


static ngx_int_t
ngx_http_tgbot_idempotency_copy(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old)
{
    ngx_http_tgbot_zone_user_t         user;
    ngx_http_tgbot_idempotency_told_t  told;

    user.zone = zone;

    return ngx_http_tgbot_store_copy_zone(&user, old,
                                          &ngx_http_tgbot_idempotency_layout,
                                          &told,
                                          ngx_http_tgbot_idempotency_put);
}


/* adds a record that is not in flight; NGX_ERROR: there is no room */

static ngx_int_t
ngx_http_tgbot_idempotency_put(void *to, void *record)
{
    ngx_http_tgbot_zone_user_t *user = to;
    ngx_http_tgbot_idempotency_told_t *told = record;

    ngx_http_tgbot_store_t              store;
    ngx_http_tgbot_idempotency_item_t  *item;

    ngx_http_tgbot_idempotency_lock(user->zone, &store);

    item = ngx_http_tgbot_store_add(&store, user->entry, &told->item);

    if (item) {
        item->state = told->state;

        ngx_http_tgbot_store_publish(&store, item);
        ngx_http_tgbot_idempotency_index(&store, item);
    }

    ngx_http_tgbot_zone_unlock(user->zone);

    return item ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_tgbot_idempotency_clear(void *own)
{
    /* nothing is kept with an entry */
}


static void
ngx_http_tgbot_idempotency_tell(ngx_http_tgbot_store_t *store, void *item,
    void *told)
{
    ngx_http_tgbot_idempotency_told_t *to = told;

    ngx_http_tgbot_store_tell(store, item, &to->item);

    to->state = ((ngx_http_tgbot_idempotency_item_t *) item)->state;
}


ngx_http_tgbot_idempotency_e
ngx_http_tgbot_idempotency_claim(ngx_http_tgbot_idempotency_call_t *call,
    ngx_str_t *answer)
{
    ngx_http_tgbot_store_t              store;
    ngx_http_tgbot_idempotency_e        rc;
    ngx_http_tgbot_idempotency_item_t  *item;

    ngx_memzero(&call->lease, sizeof(ngx_http_tgbot_lease_t));
    ngx_memzero(&call->waiting, sizeof(ngx_http_tgbot_idempotency_slots_t));

    ngx_http_tgbot_idempotency_lock(call->user->zone, &store);

    rc = NGX_HTTP_TGBOT_IDEMPOTENCY_FULL;

    if (ngx_http_tgbot_store_entry(&store, call->user)) {
        item = ngx_http_tgbot_idempotency_look(&store, call);

        rc = item ? ngx_http_tgbot_idempotency_found(&store, item, call,
                                                     answer)
                  : ngx_http_tgbot_idempotency_add(&store, call);
    }

    ngx_http_tgbot_zone_unlock(call->user->zone);

    return rc;
}


/* the record of the key that still counts, or NULL */

static ngx_http_tgbot_idempotency_item_t *
ngx_http_tgbot_idempotency_look(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_call_t *call)
{
    ngx_http_tgbot_idempotency_item_t  *item;

    item = ngx_http_tgbot_idempotency_find(store, call);

    if (item
        && ngx_http_tgbot_idempotency_flies(item)
        && !ngx_http_tgbot_lease_alive(&item->lease))
    {
        ngx_http_tgbot_idempotency_leave(store, item, &call->waiting);

        item = ngx_http_tgbot_idempotency_find(store, call);
    }

    if (item && ngx_http_tgbot_idempotency_expired(store, item)) {
        ngx_http_tgbot_idempotency_drop(store, item, NULL);
        item = NULL;
    }

    return item;
}


static ngx_http_tgbot_idempotency_item_t *
ngx_http_tgbot_idempotency_find(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_call_t *call)
{
    uint32_t                            n;
    uint64_t                            hash;
    ngx_http_tgbot_idempotency_item_t  *item;

    ngx_memcpy(&hash, call->key, sizeof(uint64_t));

    n = *ngx_http_tgbot_idempotency_head(store, hash);

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        item = ngx_http_tgbot_store_item(store, n);

        if (item->store.entry == call->user->entry
            && ngx_memcmp(ngx_http_tgbot_idempotency_key(item), call->key,
                          NGX_HTTP_TGBOT_IDEMPOTENCY_HASH)
               == 0)
        {
            return item;
        }

        n = item->chain;
    }

    return NULL;
}


static ngx_http_tgbot_idempotency_e
ngx_http_tgbot_idempotency_found(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item,
    ngx_http_tgbot_idempotency_call_t *call, ngx_str_t *answer)
{
    ngx_uint_t  slot;

    if (ngx_memcmp(ngx_http_tgbot_idempotency_key(item)
                   + NGX_HTTP_TGBOT_IDEMPOTENCY_HASH, call->print,
                   NGX_HTTP_TGBOT_IDEMPOTENCY_HASH)
        != 0)
    {
        return NGX_HTTP_TGBOT_IDEMPOTENCY_OTHER;
    }

    if (item->store.answer != NGX_HTTP_TGBOT_LIST_NIL) {
        answer->data = ngx_http_tgbot_idempotency_buffer;
        answer->len = item->store.answer_len;

        ngx_http_tgbot_store_copy(store, item, NULL, answer->data);

        return NGX_HTTP_TGBOT_IDEMPOTENCY_KEPT;
    }

    if (item->state == NGX_HTTP_TGBOT_IDEMPOTENCY_ENDED) {
        return NGX_HTTP_TGBOT_IDEMPOTENCY_UNKNOWN;
    }

    if (item->state == NGX_HTTP_TGBOT_IDEMPOTENCY_LEFT_OUT) {
        return NGX_HTTP_TGBOT_IDEMPOTENCY_LARGE;
    }

    slot = ngx_http_tgbot_lease_slot();

    item->waiting.bits[slot / 32] |= (uint32_t) 1 << slot % 32;

    return NGX_HTTP_TGBOT_IDEMPOTENCY_BUSY;
}


static ngx_http_tgbot_idempotency_e
ngx_http_tgbot_idempotency_add(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_call_t *call)
{
    u_char                             *p;
    ngx_http_tgbot_item_t               new;
    ngx_http_tgbot_idempotency_item_t  *item;

    u_char  data[NGX_HTTP_TGBOT_IDEMPOTENCY_DATA];

    p = ngx_cpymem(data, call->key, NGX_HTTP_TGBOT_IDEMPOTENCY_HASH);
    ngx_memcpy(p, call->print, NGX_HTTP_TGBOT_IDEMPOTENCY_HASH);

    ngx_memzero(&new, sizeof(ngx_http_tgbot_item_t));

    ngx_memcpy(&new.head.lane, call->key, sizeof(uint64_t));
    new.head.received = ngx_current_msec;
    new.data.data = data;
    new.data.len = NGX_HTTP_TGBOT_IDEMPOTENCY_DATA;

    if (!ngx_http_tgbot_idempotency_room(store, call->user->entry, &new)) {
        return NGX_HTTP_TGBOT_IDEMPOTENCY_FULL;
    }

    item = ngx_http_tgbot_store_add(store, call->user->entry, &new);

    if (item == NULL) {

        /* unreachable: there is room */

        return NGX_HTTP_TGBOT_IDEMPOTENCY_FULL;
    }

    ngx_http_tgbot_lease_new(&call->lease);
    item->lease = call->lease;

    ngx_http_tgbot_store_publish(store, item);

    ngx_http_tgbot_zone_stop("idempotency: published");

    ngx_http_tgbot_idempotency_index(store, item);

    return NGX_HTTP_TGBOT_IDEMPOTENCY_MINE;
}


/*
 * Whether there is room for a record beside the answers of those in flight.
 * Removes expired records: a few of this bot, and if room is short those of all
 * bots.
 */

static ngx_uint_t
ngx_http_tgbot_idempotency_room(ngx_http_tgbot_store_t *store,
    ngx_uint_t entry, ngx_http_tgbot_item_t *item)
{
    uint64_t    needs;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_TGBOT_IDEMPOTENCY_EXPIRED; i++) {

        if (!ngx_http_tgbot_idempotency_expire(store, entry)) {
            break;
        }
    }

    needs = ngx_http_tgbot_store_needs(store->sh->header, item)
            + (uint64_t) (ngx_http_tgbot_idempotency_tables(store)->flight.n
                          + 1)
              * ngx_http_tgbot_chain_needs(NGX_HTTP_TGBOT_IDEMPOTENCY_SIZE);

    for (i = 0; i < store->sh->bots.used; i++) {

        do {
            if (ngx_http_tgbot_store_room(store) >= needs) {
                return 1;
            }

        } while (ngx_http_tgbot_idempotency_expire(store, i));
    }

    return 0;
}


/* removes the oldest record of a bot, if it is expired */

static ngx_uint_t
ngx_http_tgbot_idempotency_expire(ngx_http_tgbot_store_t *store,
    ngx_uint_t entry)
{
    ngx_http_tgbot_idempotency_item_t  *item;

    if (store->entries[entry].bot.serial == 0) {
        return 0;
    }

    item = ngx_http_tgbot_store_next(store, entry, NULL);

    if (item == NULL || !ngx_http_tgbot_idempotency_expired(store, item)) {
        return 0;
    }

    ngx_http_tgbot_idempotency_drop(store, item, NULL);

    return 1;
}


/*
 * "received" may be later than our time, as it is cached by each worker.  What
 * is in flight does not expire.
 */

static ngx_uint_t
ngx_http_tgbot_idempotency_expired(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_http_tgbot_zone_msec(store->bots.zone)
                            - item->store.head.received);

    return age >= NGX_HTTP_TGBOT_IDEMPOTENCY_LIFE
           && !ngx_http_tgbot_idempotency_flies(item);
}


ngx_int_t
ngx_http_tgbot_idempotency_sent(ngx_http_tgbot_idempotency_call_t *call)
{
    ngx_http_tgbot_store_t              store;
    ngx_http_tgbot_idempotency_item_t  *item;

    ngx_memzero(&call->waiting, sizeof(ngx_http_tgbot_idempotency_slots_t));

    ngx_http_tgbot_idempotency_lock(call->user->zone, &store);

    item = ngx_http_tgbot_idempotency_mine(&store, call);

    if (item) {
        item->state = ngx_max(item->state, NGX_HTTP_TGBOT_IDEMPOTENCY_SENT);

        ngx_http_tgbot_zone_stop("idempotency: sent");
    }

    ngx_http_tgbot_zone_unlock(call->user->zone);

    return item ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_tgbot_idempotency_settle(ngx_http_tgbot_idempotency_call_t *call,
    ngx_http_tgbot_idempotency_end_e end, ngx_str_t *answer)
{
    ngx_http_tgbot_store_t              store;
    ngx_http_tgbot_idempotency_item_t  *item;

    ngx_memzero(&call->waiting, sizeof(ngx_http_tgbot_idempotency_slots_t));

    ngx_http_tgbot_idempotency_lock(call->user->zone, &store);

    item = ngx_http_tgbot_idempotency_mine(&store, call);

    if (item == NULL) {
        /* void */

    } else if (end == NGX_HTTP_TGBOT_IDEMPOTENCY_ANSWERED) {
        ngx_http_tgbot_idempotency_land(&store, item, &call->waiting);
        ngx_http_tgbot_idempotency_keep(&store, item, answer);

    } else if (end == NGX_HTTP_TGBOT_IDEMPOTENCY_NO_EFFECT) {
        ngx_http_tgbot_idempotency_drop(&store, item, &call->waiting);

    } else {
        ngx_http_tgbot_idempotency_leave(&store, item, &call->waiting);
    }

    ngx_http_tgbot_zone_unlock(call->user->zone);

    ngx_memzero(&call->lease, sizeof(ngx_http_tgbot_lease_t));
}


/*
 * The record that call->lease holds, or NULL.  Others may have taken this
 * process for dead: the record is still the call's, if no other call took it.
 */

static ngx_http_tgbot_idempotency_item_t *
ngx_http_tgbot_idempotency_mine(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_call_t *call)
{
    ngx_http_tgbot_idempotency_item_t  *item;

    if (call->lease.token == 0
        || ngx_http_tgbot_store_entry(store, call->user) == NULL)
    {
        return NULL;
    }

    item = ngx_http_tgbot_idempotency_find(store, call);

    return (item && ngx_http_tgbot_lease_equal(&item->lease, &call->lease))
           ? item : NULL;
}


/* adds the answer */

static void
ngx_http_tgbot_idempotency_keep(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item, ngx_str_t *answer)
{
    item->state = NGX_HTTP_TGBOT_IDEMPOTENCY_ENDED;

    ngx_http_tgbot_zone_stop("idempotency: ended");

    if (answer->len > NGX_HTTP_TGBOT_IDEMPOTENCY_SIZE) {
        item->state = NGX_HTTP_TGBOT_IDEMPOTENCY_LEFT_OUT;
        return;
    }

    /*
     * There is room for the answer, unless others took this process for dead:
     * then the outcome stays unknown.
     */

    (void) ngx_http_tgbot_store_answer(store, item, answer);
}


static void
ngx_http_tgbot_idempotency_leave(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item,
    ngx_http_tgbot_idempotency_slots_t *waiting)
{
    if (item->state == NGX_HTTP_TGBOT_IDEMPOTENCY_CLAIMED) {
        ngx_http_tgbot_idempotency_drop(store, item, waiting);

    } else {
        ngx_http_tgbot_idempotency_land(store, item, waiting);
        item->state = NGX_HTTP_TGBOT_IDEMPOTENCY_ENDED;
    }
}


void
ngx_http_tgbot_idempotency_reap(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_idempotency_slots_t *waiting)
{
    uint32_t                            n;
    ngx_http_tgbot_store_t              store;
    ngx_http_tgbot_idempotency_item_t  *item;

    ngx_memzero(waiting, sizeof(ngx_http_tgbot_idempotency_slots_t));

    ngx_http_tgbot_idempotency_lock(zone, &store);

    n = ngx_http_tgbot_idempotency_tables(&store)->flight.first;

    while (n != NGX_HTTP_TGBOT_LIST_NIL) {
        item = ngx_http_tgbot_store_item(&store, n);
        n = item->link.next;

        if (!ngx_http_tgbot_lease_alive(&item->lease)) {
            ngx_http_tgbot_idempotency_leave(&store, item, waiting);
        }
    }

    ngx_http_tgbot_zone_unlock(zone);
}


static ngx_uint_t
ngx_http_tgbot_idempotency_flies(ngx_http_tgbot_idempotency_item_t *item)
{
    return item->state <= NGX_HTTP_TGBOT_IDEMPOTENCY_SENT
           && item->store.answer == NGX_HTTP_TGBOT_LIST_NIL;
}


/*
 * Takes the record out of those in flight; the caller changes its state or
 * removes it.  "waiting" may be NULL.
 */

static void
ngx_http_tgbot_idempotency_land(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item,
    ngx_http_tgbot_idempotency_slots_t *waiting)
{
    ngx_uint_t              i;
    ngx_http_tgbot_links_t  links;

    if (!ngx_http_tgbot_idempotency_flies(item)) {
        return;
    }

    ngx_http_tgbot_idempotency_links(store, &links);

    ngx_http_tgbot_list_remove(&links,
                            &ngx_http_tgbot_idempotency_tables(store)->flight,
                            ngx_http_tgbot_store_number(store, item));

    for (i = 0; waiting && i < NGX_MAX_PROCESSES / 32; i++) {
        waiting->bits[i] |= item->waiting.bits[i];
        item->waiting.bits[i] = 0;
    }
}


/* removes a record */

static void
ngx_http_tgbot_idempotency_drop(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item,
    ngx_http_tgbot_idempotency_slots_t *waiting)
{
    uint32_t                            n, *chain;
    ngx_http_tgbot_idempotency_item_t  *other;

    ngx_http_tgbot_idempotency_land(store, item, waiting);

    n = ngx_http_tgbot_store_number(store, item);
    chain = ngx_http_tgbot_idempotency_head(store, item->store.head.lane);

    while (*chain != n) {
        other = ngx_http_tgbot_store_item(store, *chain);
        chain = &other->chain;
    }

    *chain = item->chain;

    ngx_http_tgbot_zone_stop("idempotency: not indexed");

    ngx_http_tgbot_store_retire(store, item);
}


static void
ngx_http_tgbot_idempotency_links(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_links_t *links)
{
    links->first = store->chain.blocks[0].data
                   + offsetof(ngx_http_tgbot_idempotency_item_t, link);
    links->size = sizeof(ngx_http_tgbot_block_t);
}


/* the key is an MD5, so any bits of it serve as a hash */

static uint32_t *
ngx_http_tgbot_idempotency_head(ngx_http_tgbot_store_t *store, uint64_t hash)
{
    return &ngx_http_tgbot_idempotency_tables(store)
                ->heads[hash % store->sh->chain.total];
}


/* makes the kind's tables empty */

static void
ngx_http_tgbot_idempotency_unindex(ngx_http_tgbot_store_t *store)
{
    ngx_http_tgbot_idempotency_sh_t  *sh;

    sh = ngx_http_tgbot_idempotency_tables(store);

    ngx_http_tgbot_list_init(&sh->flight);

    ngx_memset(sh->heads, 0xff,
               (size_t) store->sh->chain.total * sizeof(uint32_t));
}


/* adds a record to the index; a later one of the same key is found first */

static void
ngx_http_tgbot_idempotency_index(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_idempotency_item_t *item)
{
    uint32_t                *head;
    ngx_http_tgbot_links_t   links;

    head = ngx_http_tgbot_idempotency_head(store, item->store.head.lane);

    item->chain = *head;

    ngx_http_tgbot_zone_stop("idempotency: half indexed");

    *head = ngx_http_tgbot_store_number(store, item);

    ngx_http_tgbot_zone_stop("idempotency: indexed");

    if (ngx_http_tgbot_idempotency_flies(item)) {
        ngx_http_tgbot_idempotency_links(store, &links);

        ngx_http_tgbot_list_append(&links,
                            &ngx_http_tgbot_idempotency_tables(store)->flight,
                            *head);
    }
}


void
ngx_http_tgbot_idempotency_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store)
{
    ngx_http_tgbot_store_open(store, zone);

    if (ngx_http_tgbot_zone_lock(zone) != NGX_OK) {
        ngx_http_tgbot_idempotency_repair(store);
    }
}


/* also settles the records of processes that are dead */

static void
ngx_http_tgbot_idempotency_repair(ngx_http_tgbot_store_t *store)
{
    ngx_uint_t                          i;
    ngx_http_tgbot_idempotency_item_t  *item, *next;

    ngx_http_tgbot_store_repair(store);

    ngx_http_tgbot_zone_stop("idempotency: store repaired");

    ngx_http_tgbot_idempotency_unindex(store);

    for (i = 0; i < store->sh->bots.used; i++) {

        if (store->entries[i].bot.serial == 0) {
            continue;
        }

        for (item = ngx_http_tgbot_store_next(store, i, NULL);
             item;
             item = next)
        {
            next = ngx_http_tgbot_store_next(store, i, item);

            ngx_http_tgbot_idempotency_index(store, item);

            if (ngx_http_tgbot_idempotency_flies(item)
                && !ngx_http_tgbot_lease_alive(&item->lease))
            {
                ngx_http_tgbot_idempotency_leave(store, item, NULL);
            }
        }
    }
}
