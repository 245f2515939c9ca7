
/*
 * Items and their blocks, for the store's own files.  A block is marked as an
 * item or is not; other marks are only looked at by a repair.
 */

#ifndef _NGX_HTTP_TGBOT_STORE_ITEM_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STORE_ITEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_store.h"


#define NGX_HTTP_TGBOT_STORE_HEAD  0x6d657469  /* "item" */


/* blocks of an answer */
uint64_t ngx_http_tgbot_store_item_answer(size_t len);

/* puts an item that is published at the end of its entry's list */
void ngx_http_tgbot_store_item_link(ngx_http_tgbot_store_t *store,
    ngx_http_tgbot_store_item_t *item);


#endif /* _NGX_HTTP_TGBOT_STORE_ITEM_H_INCLUDED_ */
