
/*
 * Lists of what stands in an array in shared memory, linked by number.  All
 * functions are called with the zone locked; who dies inside leaves a list
 * that is to be made again.
 */

#ifndef _NGX_HTTP_TGBOT_LIST_H_INCLUDED_
#define _NGX_HTTP_TGBOT_LIST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* no element */
#define NGX_HTTP_TGBOT_LIST_NIL   0xffffffff

/* what is sorted is less than two to the power of it */
#define NGX_HTTP_TGBOT_LIST_BINS  32


typedef struct {
    uint32_t                   prev;
    uint32_t                   next;
} ngx_http_tgbot_link_t;


typedef struct {
    uint32_t                   first;
    uint32_t                   last;
    uint32_t                   n;
} ngx_http_tgbot_list_t;


/* where the links are */

typedef struct {
    void                      *first;       /* of element number 0 */
    size_t                     size;        /* of an element, bytes */
} ngx_http_tgbot_links_t;


/* a list that is being sorted; bin i is a sorted list of 2^i elements */

typedef struct {
    ngx_http_tgbot_links_t    *links;
    uint32_t                   bins[NGX_HTTP_TGBOT_LIST_BINS];

    /* whether a is to be before b, of which a was added first */
    ngx_uint_t               (*before)(void *data, uint32_t a, uint32_t b);
    void                      *data;
} ngx_http_tgbot_sort_t;


/* nothing is in it */
void ngx_http_tgbot_list_init(ngx_http_tgbot_list_t *list);

/* puts element n, which is in no list, at the end of one, or before all */
void ngx_http_tgbot_list_append(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n);
void ngx_http_tgbot_list_prepend(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n);

void ngx_http_tgbot_list_remove(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n);


/*
 * Sorts elements without memory of its own: "links", "before" and "data" are
 * set by the caller, whose elements are added one by one.
 */
void ngx_http_tgbot_sort_init(ngx_http_tgbot_sort_t *sort);
void ngx_http_tgbot_sort_add(ngx_http_tgbot_sort_t *sort, uint32_t n);

/* the first of all, which are linked by "next" alone, or NIL */
uint32_t ngx_http_tgbot_sort_end(ngx_http_tgbot_sort_t *sort);


#endif /* _NGX_HTTP_TGBOT_LIST_H_INCLUDED_ */
