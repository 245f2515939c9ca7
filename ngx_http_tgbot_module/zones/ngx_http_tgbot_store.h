
/*
 * Items of bots in a zone, in chains of blocks: the queue and the dead letters
 * are built on it.  One memory store publishes an item and another one retires
 * it.  All other data is derived from the items and is made again by a repair,
 * after a process died inside the lock.
 *
 * A kind of zones that is built on this has a layout, opens the store each
 * time it locks the zone, and calls in its init callback
 *
 *     if fresh: ngx_http_tgbot_store_carve(), then initializes its own tables
 *     ngx_http_tgbot_store_init()
 *
 * Functions are called with the zone locked and do not log, except where a
 * comment says otherwise.
 */

#ifndef _NGX_HTTP_TGBOT_STORE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_chain.h"
#include "ngx_http_tgbot_item.h"
#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_bots.h"


/* bytes that a zone must have at least; they are enough for carving */
#define NGX_HTTP_TGBOT_STORE_MIN    (64 * 1024)


/* the entry of a bot in a zone; kinds only read it */

typedef struct {
    ngx_http_tgbot_zone_bot_t         bot;

    /* derived */

    uint32_t                          blocks;
    ngx_http_tgbot_list_t             items;    /* the oldest first */
} ngx_http_tgbot_store_entry_t;


/* the header of an item; the kind's own header begins with it */

typedef struct {
    uint64_t                          seq;      /* rises, never used again */
    uint32_t                          entry;
    uint32_t                          len;      /* of the data */

    ngx_http_tgbot_head_t             head;
    uint64_t                          sum;      /* of seq, len, head, data */

    uint32_t                          answer;   /* its first block, or NIL */
    uint32_t                          answer_len;
    uint64_t                          answer_sum;

    /* "current" selects one of two, so progress changes in one store */

    ngx_http_tgbot_progress_t         progress[2];
    uint64_t                          progress_sum[2];
    uint32_t                          current;

    ngx_http_tgbot_link_t             link;     /* derived: in entry->items */
} ngx_http_tgbot_store_item_t;


/* the beginning of the zone's data */

typedef struct {
    size_t                            own;      /* offsets, never change */
    size_t                            tables;
    size_t                            blocks;
    uint32_t                          own_size;
    uint32_t                          header;

    uint64_t                          seq;      /* the last one given */
    uint64_t                          broken;   /* damaged items that repairs
                                                   have dropped */
    ngx_http_tgbot_zone_bots_sh_t     bots;
    ngx_http_tgbot_chain_sh_t         chain;

    uint32_t                          items;    /* derived */
} ngx_http_tgbot_store_sh_t;


/* pointers into a zone, made each time the zone is locked */

typedef struct {
    ngx_http_tgbot_zone_bots_t        bots;     /* is first */
    ngx_http_tgbot_store_sh_t        *sh;
    ngx_http_tgbot_store_entry_t     *entries;
    u_char                           *own;
    u_char                           *tables;   /* the kind's, aligned */
    ngx_http_tgbot_chain_t            chain;
    ngx_http_tgbot_links_t            links;    /* of entry->items */

    /* while entries are made: the layout's */
    void                            (*clear)(void *own);
} ngx_http_tgbot_store_t;


/* what a kind needs: one constant for each kind */

typedef struct {
    const char                       *directive;  /* for errors */
    size_t                            header;   /* size of item's header */
    size_t                            own;      /* kept with an entry, bytes */
    size_t                            entry;    /* one more entry for each
                                                   so many bytes of a zone */
    size_t                            fixed;    /* the kind's tables, bytes */
    size_t                            block;    /* tables for each block */

    /* initializes "own" of an entry that a new bot takes */
    void                            (*clear)(void *own);

    /*
     * Called for an item of a zone that is opened: ends its lease, and makes
     * sane what the kind's header has and no repair derives.
     */
    void                            (*end)(ngx_http_tgbot_store_t *store,
                                         void *item);

    /* opens and locks a zone, and repairs it if it is dirty */
    void                            (*lock)(ngx_http_tgbot_zone_t *zone,
                                         ngx_http_tgbot_store_t *store);

    /*
     * Calls ngx_http_tgbot_store_tell() and adds what the kind keeps itself;
     * "told" begins with ngx_http_tgbot_item_t.
     */
    void                            (*tell)(ngx_http_tgbot_store_t *store,
                                         void *item, void *told);
} ngx_http_tgbot_store_layout_t;


/* the position of a walk through the items of all bots */

typedef struct {
    uint64_t                          seq;
    uint32_t                          entry;
    uint32_t                          block;
} ngx_http_tgbot_store_cursor_t;


/* the item whose first block is n, and the first block of an item */

#define ngx_http_tgbot_store_item(store, n)                                   \
    ((void *) (store)->chain.blocks[n].data)

#define ngx_http_tgbot_store_number(store, item)                              \
    ((uint32_t) ((ngx_http_tgbot_block_t *)                                   \
                 ((u_char *) (item) - offsetof(ngx_http_tgbot_block_t, data)) \
                 - (store)->chain.blocks))

/* what the kind keeps with entry number n */

#define ngx_http_tgbot_store_own(store, n)                                    \
    ((void *) ((store)->own + (size_t) (n) * (store)->sh->own_size))

/* the entry of a user, or NULL; whether an entry is named: see zone_bots */

#define ngx_http_tgbot_store_entry(store, user)                               \
    ((ngx_http_tgbot_store_entry_t *)                                         \
         ngx_http_tgbot_zone_bots_entry(&(store)->bots, user))

#define ngx_http_tgbot_store_named(store, entry)                              \
    ngx_http_tgbot_zone_bots_named(&(store)->bots, entry)

/* number of free blocks */

#define ngx_http_tgbot_store_room(store)                                      \
    ngx_http_tgbot_chain_room(&(store)->sh->chain)


/* sets the pointers of a store; may also be called without the lock */
void ngx_http_tgbot_store_open(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_zone_t *zone);

/*
 * Makes a fresh zone an empty store, in the init callback, without the lock.
 * The kind's tables are not initialized.  NGX_ERROR: the zone is too small;
 * that was logged.
 */
ngx_int_t ngx_http_tgbot_store_carve(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout);

/*
 * The kind's open callback: makes the contents such that a repair can make all
 * else again, and ends the leases.  If they are torn, only what the items say
 * is trusted: items with a wrong checksum are dropped and counted as broken,
 * an answer with one is forgotten, and so is progress.  The kind repairs the
 * store afterwards.
 */
void ngx_http_tgbot_store_reopen(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout,
    ngx_http_tgbot_zone_found_e found);

/*
 * The kind's copy callback: copies the items of "old", with their seq, and then
 * what it keeps with its entries; a repair has to make what is derived of that.
 * "user" begins with ngx_http_tgbot_zone_user_t, its zone is set.  put() is
 * called for each item, which is in "told" as ngx_http_tgbot_store_walk() says,
 * and with the user as the bot of the item; it adds the item.  NGX_ERROR: put()
 * failed, or there is no entry or no memory.
 */
ngx_int_t ngx_http_tgbot_store_copy_zone(void *user,
    ngx_http_tgbot_zone_t *old, const ngx_http_tgbot_store_layout_t *layout,
    void *told, ngx_int_t (*put)(void *user, void *told));

/*
 * Finds or makes the entries of zone->users, in the init callback, without
 * the lock: see ngx_http_tgbot_zone_bots_init().
 * NGX_ERROR: there are too few entries; that was logged.
 */
ngx_int_t ngx_http_tgbot_store_init(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout);

/*
 * Finds or makes the entry of a bot that the configuration may not name.
 * Called without the lock.  "user" begins with ngx_http_tgbot_zone_user_t.
 * The bot may get the entry of another bot that has no items and is not named.
 * NGX_DECLINED: no entry is free.
 */
ngx_int_t ngx_http_tgbot_store_enter(void *user,
    const ngx_http_tgbot_store_layout_t *layout);

/* number of items of entries that are not named */
ngx_uint_t ngx_http_tgbot_store_orphaned(ngx_http_tgbot_store_t *store);


/* number of blocks of an item whose kind has a header of this size */
uint64_t ngx_http_tgbot_store_needs(size_t header,
    ngx_http_tgbot_item_t *item);

/*
 * Copies an item into the zone as a new item of an entry.  The kind's part of
 * the header is zeroed; the kind fills it in and publishes the item before it
 * calls another function of the store.  NULL: there is no room, nothing is
 * changed.
 */
void *ngx_http_tgbot_store_add(ngx_http_tgbot_store_t *store,
    ngx_uint_t entry, ngx_http_tgbot_item_t *item);

/* publishes an item, as the newest one of its entry */
void ngx_http_tgbot_store_publish(ngx_http_tgbot_store_t *store, void *item);

/* removes an item and frees its blocks */
void ngx_http_tgbot_store_retire(ngx_http_tgbot_store_t *store, void *item);

/*
 * Adds a copy of an answer to an item that has no answer; one memory store
 * publishes it.  NGX_AGAIN: there is no room.
 */
ngx_int_t ngx_http_tgbot_store_answer(ngx_http_tgbot_store_t *store,
    void *item, ngx_str_t *answer);

/* replaces the progress of an item, all of it or nothing */
void ngx_http_tgbot_store_note(ngx_http_tgbot_store_t *store, void *item,
    ngx_http_tgbot_progress_t *progress);

/* copies an item to "told"; of its strings only the lengths are set */
void ngx_http_tgbot_store_tell(ngx_http_tgbot_store_t *store, void *item,
    ngx_http_tgbot_item_t *told);

/*
 * Copies the strings of an item into the caller's buffers of item->len and
 * item->answer_len bytes.  NULL: this string is not copied.
 */
void ngx_http_tgbot_store_copy(ngx_http_tgbot_store_t *store, void *item,
    u_char *data, u_char *answer);

/* returns the item by its first block and seq, or NULL if it was removed */
void *ngx_http_tgbot_store_find(ngx_http_tgbot_store_t *store, uint32_t block,
    uint64_t seq);

/*
 * Returns the item that follows "item" in its entry, from the oldest to the
 * newest, or the oldest one if "item" is NULL.  NULL: there are no more.
 */
void *ngx_http_tgbot_store_next(ngx_http_tgbot_store_t *store,
    ngx_uint_t entry, void *item);

/*
 * Reads the next item of a walk through the items of all bots; the items of a
 * bot come in the order of seq.  Called without the lock.  A walk begins with
 * a zeroed cursor.  "told" is filled in by layout->tell(), and its strings are
 * allocated from pool.  An item that is added or removed during the walk may
 * be seen or not.
 *
 * NGX_OK     an item was read
 * NGX_DONE   there are no more items
 * NGX_ERROR  no memory
 */
ngx_int_t ngx_http_tgbot_store_walk(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout,
    ngx_http_tgbot_store_cursor_t *cursor, void *told, ngx_pool_t *pool);


/*
 * Makes the store again from its published items, after a process died inside
 * the lock.  What the kind derives may be garbage: the kind makes it again
 * afterwards, from the items that ngx_http_tgbot_store_next() returns.
 */
void ngx_http_tgbot_store_repair(ngx_http_tgbot_store_t *store);


/*
 * Mark of the first block of a published item.  Only a repair looks at other
 * marks.
 */

#define NGX_HTTP_TGBOT_STORE_HEAD  0x6d657469  /* "item" */


#endif /* _NGX_HTTP_TGBOT_STORE_H_INCLUDED_ */
