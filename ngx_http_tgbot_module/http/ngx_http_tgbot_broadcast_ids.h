
/*
 * The ids of the chats of a request, each once, in the order of the request.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_IDS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_IDS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    int64_t      *ids;          /* 0: was dropped */
    ngx_uint_t    n;
    ngx_uint_t    max;
    ngx_uint_t    duplicates;   /* that were not added */
    ngx_uint_t    dropped;

    uint32_t     *table;        /* of index + 1, by hash; 0: free */
    ngx_uint_t    bits;         /* of its size */
} ngx_http_tgbot_broadcast_ids_t;


/*
 * For at most "max" ids, of which "n" are expected.  NGX_ERROR: no memory.
 * What was zeroed may be freed.
 */
ngx_int_t ngx_http_tgbot_broadcast_ids_init(
    ngx_http_tgbot_broadcast_ids_t *ids, ngx_uint_t max, ngx_uint_t n);
void ngx_http_tgbot_broadcast_ids_free(ngx_http_tgbot_broadcast_ids_t *ids);

/*
 * Adds an id, which is not 0, unless it is there.  NGX_BUSY: there are "max".
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_broadcast_ids_add(
    ngx_http_tgbot_broadcast_ids_t *ids, int64_t id);

/* drops an id, if it is there */
void ngx_http_tgbot_broadcast_ids_drop(ngx_http_tgbot_broadcast_ids_t *ids,
    int64_t id);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_IDS_H_INCLUDED_ */
