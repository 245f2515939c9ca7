
/*
 * Items of bots in chains of blocks, in a zone: what the queue and the dead
 * letters are kept in.  An item is there from one store on, until another;
 * all else is made of the items again after somebody died inside.
 *
 * A kind of zones that stands on this has a layout, opens the zone for the
 * time of a lock, and does in its init callback
 *
 *     if fresh: ngx_http_tgbot_store_carve(), then what the kind has itself
 *     ngx_http_tgbot_store_init()
 *
 * All functions are called with the zone locked where nothing else is said,
 * and then none of them logs.
 */

#ifndef _NGX_HTTP_TGBOT_STORE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_chain.h"
#include "ngx_http_tgbot_item.h"
#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_zone.h"


/* what a kind's zone must hold at least; carving wants no more */
#define NGX_HTTP_TGBOT_STORE_MIN    (64 * 1024)


/* how what the kinds' users are begins: zone->users points at such */

typedef struct {
    ngx_http_tgbot_zone_t            *zone;
    ngx_str_t                         bot;      /* name, up to 32 bytes */
    uint64_t                          bot_id;   /* of the token, 0: unknown */

    ngx_uint_t                        entry;    /* set by the store: */
    uint32_t                          serial;   /* of what stands there */
} ngx_http_tgbot_store_user_t;


/* what a zone holds of a bot; all but "serial" is only read by the kinds */

typedef struct {
    u_char                            name[NGX_HTTP_TGBOT_ITEM_NAME];
    uint64_t                          bot_id;
    uint32_t                          len;      /* of the name */
    uint32_t                          serial;   /* 0: not in use */

    /* by generations of the configuration, see ngx_http_tgbot_store_named() */

    uint32_t                          named[2];

    /* derived */

    uint32_t                          blocks;
    ngx_http_tgbot_list_t             items;    /* the oldest is the first */
} ngx_http_tgbot_store_entry_t;


/* how the kind's own header of an item begins */

typedef struct {
    uint64_t                          seq;      /* rises, is never used again */
    uint32_t                          entry;
    uint32_t                          len;      /* of the data */

    ngx_http_tgbot_head_t             head;

    uint32_t                          answer;   /* its first block, or none */
    uint32_t                          answer_len;

    /* of two such one counts, so that they change in one store */

    ngx_http_tgbot_progress_t         progress[2];
    uint32_t                          current;  /* which of the two */

    ngx_http_tgbot_link_t             link;     /* derived: of the entry */
} ngx_http_tgbot_store_item_t;


/* stands at the beginning of the zone's data */

typedef struct {
    size_t                            own;      /* offsets, never change */
    size_t                            tables;
    size_t                            blocks;
    uint32_t                          nentries;
    uint32_t                          own_size;
    uint32_t                          header;

    uint64_t                          seq;      /* the last given */
    uint64_t                          broken;   /* items that could not be
                                                   right, and are gone */
    uint32_t                          serial;   /* the last given */
    uint32_t                          bots;     /* entries behind them never
                                                   were */
    ngx_http_tgbot_chain_sh_t         chain;

    uint32_t                          items;    /* derived */
} ngx_http_tgbot_store_sh_t;


/* made for the time of a lock */

typedef struct {
    ngx_http_tgbot_zone_t            *zone;
    ngx_http_tgbot_store_sh_t        *sh;
    ngx_http_tgbot_store_entry_t     *entries;
    u_char                           *own;
    u_char                           *tables;   /* the kind's, aligned */
    ngx_http_tgbot_chain_t            chain;
    ngx_http_tgbot_links_t            links;    /* of items of an entry */
} ngx_http_tgbot_store_t;


/* what a kind needs; constant */

typedef struct {
    size_t                            header;   /* of an item, its struct */
    size_t                            own;      /* kept with an entry */
    size_t                            entry;    /* bytes of a zone for which
                                                   it has one entry more */
    size_t                            fixed;    /* the kind's tables, bytes */
    size_t                            block;    /* and for each block */

    /* an entry is for another bot now: "own" is to be as new */
    void                            (*clear)(void *own);

    /* opens and locks a zone, and repairs it if it was found dirty */
    void                            (*lock)(ngx_http_tgbot_zone_t *zone,
                                         ngx_http_tgbot_store_t *store);

    /*
     * What an item says, by ngx_http_tgbot_store_tell() and what the kind
     * has itself; "told" begins as ngx_http_tgbot_item_t.
     */
    void                            (*tell)(ngx_http_tgbot_store_t *store,
                                         void *item, void *told);
} ngx_http_tgbot_store_layout_t;


/* where a walk through the items of all bots is */

typedef struct {
    uint64_t                          seq;
    uint32_t                          entry;
    uint32_t                          block;
} ngx_http_tgbot_store_cursor_t;


/* the item in a block, and the block of an item */

#define ngx_http_tgbot_store_item(store, n)                                   \
    ((void *) (store)->chain.blocks[n].data)

#define ngx_http_tgbot_store_number(store, item)                              \
    ((uint32_t) ((ngx_http_tgbot_block_t *)                                   \
                 ((u_char *) (item) - offsetof(ngx_http_tgbot_block_t, data)) \
                 - (store)->chain.blocks))

/* what the kind keeps with entry number n */

#define ngx_http_tgbot_store_own(store, n)                                    \
    ((void *) ((store)->own + (size_t) (n) * (store)->sh->own_size))

/* blocks that are free */

#define ngx_http_tgbot_store_room(store)                                      \
    ngx_http_tgbot_chain_room(&(store)->sh->chain)


/* where the parts are; without the lock, too */
void ngx_http_tgbot_store_open(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_zone_t *zone);

/*
 * In the init callback, of a fresh zone: nothing is in it.  The kind's
 * tables are not initialized.  NGX_ERROR: it is too small, which is logged.
 */
ngx_int_t ngx_http_tgbot_store_carve(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout);

/*
 * In the init callback, not locked: finds or makes the entries of
 * zone->users, and notes that the configuration names them, which counts from
 * the zone's next generation on: it may be refused yet.  NGX_ERROR: there are
 * too few, which is logged.
 */
ngx_int_t ngx_http_tgbot_store_init(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout);

/*
 * Not locked: finds or makes the entry of a bot, whom maybe no configuration
 * names, by zone, bot and bot_id of a user, which is a pointer to any that
 * begins so, and sets its "entry" and "serial".  An entry without items that
 * nobody names may go for it.  NGX_DECLINED: there is none.
 */
ngx_int_t ngx_http_tgbot_store_enter(void *user,
    const ngx_http_tgbot_store_layout_t *layout);

/*
 * The entry of a user, a pointer to any that begins so.  NULL: it is another
 * bot's by now.
 */
ngx_http_tgbot_store_entry_t *ngx_http_tgbot_store_entry(
    ngx_http_tgbot_store_t *store, void *user);


/* whether the current configuration names the entry's bot */
ngx_uint_t ngx_http_tgbot_store_named(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_entry_t *entry);

/* items of entries that are not named */
ngx_uint_t ngx_http_tgbot_store_orphaned(ngx_http_tgbot_store_t *store);


/* how many blocks an item takes whose kind has a header of that size */
uint64_t ngx_http_tgbot_store_needs(size_t header,
    ngx_http_tgbot_item_t *item);

/*
 * A new item of an entry, which is a copy; what the kind has in its header is
 * zero.  The kind fills that in and publishes the item; until then it is not
 * there, and nothing else may be called.  NULL: there is no room, nothing is
 * changed.
 */
void *ngx_http_tgbot_store_add(ngx_http_tgbot_store_t *store,
    ngx_uint_t entry, ngx_http_tgbot_item_t *item);

/* it is there, as the newest of its entry */
void ngx_http_tgbot_store_publish(ngx_http_tgbot_store_t *store, void *item);

/* it is gone */
void ngx_http_tgbot_store_retire(ngx_http_tgbot_store_t *store, void *item);

/*
 * Adds a copy of an answer to an item that has none, in one store.
 * NGX_AGAIN: there is no room.
 */
ngx_int_t ngx_http_tgbot_store_answer(ngx_http_tgbot_store_t *store,
    void *item, ngx_str_t *answer);

/* its progress is this one from now on, all of it or nothing */
void ngx_http_tgbot_store_note(ngx_http_tgbot_store_t *store, void *item,
    ngx_http_tgbot_progress_t *progress);

/* what it says, but for its strings, of which the lengths are set */
void ngx_http_tgbot_store_tell(ngx_http_tgbot_store_t *store, void *item,
    ngx_http_tgbot_item_t *told);

/* copies its strings, len and answer_len bytes; NULL: not wanted */
void ngx_http_tgbot_store_copy(ngx_http_tgbot_store_t *store, void *item,
    u_char *data, u_char *answer);

/* the item in a block by its number and seq, or NULL if it is gone */
void *ngx_http_tgbot_store_find(ngx_http_tgbot_store_t *store, uint32_t block,
    uint64_t seq);

/*
 * The items of an entry, oldest first: the one that follows "item", or the
 * first for NULL; NULL: there is none.
 */
void *ngx_http_tgbot_store_next(ngx_http_tgbot_store_t *store,
    ngx_uint_t entry, void *item);

/*
 * For a file, not locked: a walk, from a cursor of zeros, through the items
 * of all bots, those of a bot as they came.  "told" is as layout->tell() has
 * it, its strings are in pool.  What comes or goes meanwhile is seen or is
 * not.
 *
 * NGX_OK, NGX_DONE: there are no more, NGX_ERROR: no memory
 */
ngx_int_t ngx_http_tgbot_store_walk(ngx_http_tgbot_zone_t *zone,
    const ngx_http_tgbot_store_layout_t *layout,
    ngx_http_tgbot_store_cursor_t *cursor, void *told, ngx_pool_t *pool);


/*
 * After somebody died inside: from what is published all of the store is
 * made again.  Whatever the kind derives is to be made after this, of the
 * items of each entry by ngx_http_tgbot_store_next(); it may be garbage.
 */
void ngx_http_tgbot_store_repair(ngx_http_tgbot_store_t *store);


/*
 * Items and their blocks, for the store's own files.  A block is marked as an
 * item or is not; other marks are only looked at by a repair.
 */

#define NGX_HTTP_TGBOT_STORE_HEAD  0x6d657469  /* "item" */


#endif /* _NGX_HTTP_TGBOT_STORE_H_INCLUDED_ */
