
/*
 * Letters in the blocks of a zone, for the files of dead letters alone.
 */

#ifndef _NGX_HTTP_TGBOT_DEAD_ITEM_H_INCLUDED_
#define _NGX_HTTP_TGBOT_DEAD_ITEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_slot.h"
#include "ngx_http_tgbot_store.h"


/* the header of an item */

typedef struct {
    ngx_http_tgbot_store_item_t    store;

    ngx_http_tgbot_dead_end_t      end;
    ngx_http_tgbot_lease_t         lease;    /* of a replay */

    uint32_t                       chain;    /* derived: next of the index */
} ngx_http_tgbot_dead_item_t;


/* kept with an entry */

typedef struct {
    uint64_t                       evicted;
} ngx_http_tgbot_dead_own_t;


extern const ngx_http_tgbot_store_layout_t  ngx_http_tgbot_dead_layout;


/* locks and opens the zone, after a repair if it was found dirty */
void ngx_http_tgbot_dead_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_store_t *store);

/*
 * The index by id.  All functions are called with the zone locked; an item is
 * added once it is published, and goes by ngx_http_tgbot_dead_retire() alone.
 */

/* nothing is in it */
void ngx_http_tgbot_dead_unindex(ngx_http_tgbot_store_t *store);

void ngx_http_tgbot_dead_index(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_item_t *item);

/* the letter of a bot by its id, or NULL */
ngx_http_tgbot_dead_item_t *ngx_http_tgbot_dead_find(
    ngx_http_tgbot_store_t *store, ngx_http_tgbot_dead_t *dead, uint64_t id);

/* NGX_OK: it is there, and no living process replays it; else as for drop */
ngx_int_t ngx_http_tgbot_dead_leased(ngx_http_tgbot_dead_item_t *item);

/* it is gone, from the index and from the store */
void ngx_http_tgbot_dead_retire(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_dead_item_t *item);

/* what an item says: see ngx_http_tgbot_store_layout_t */
void ngx_http_tgbot_dead_tell(ngx_http_tgbot_store_t *store, void *item,
    void *told);


#endif /* _NGX_HTTP_TGBOT_DEAD_ITEM_H_INCLUDED_ */
