
/*
 * Lists of elements of an array in shared memory, linked by number.  All
 * functions are called with the zone locked.  If a worker dies inside, a repair
 * must make the list from the elements.
 */

#ifndef _NGX_HTTP_TGBOT_LIST_H_INCLUDED_
#define _NGX_HTTP_TGBOT_LIST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* no element */
#define NGX_HTTP_TGBOT_LIST_NIL   0xffffffff

/* fewer than 2^32 elements can be sorted */
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


/* where the links of the elements are */

typedef struct {
    void                      *first;       /* of element number 0 */
    size_t                     size;        /* of an element, bytes */
} ngx_http_tgbot_links_t;


/* a sort in progress; bin i is empty or a sorted list of 2^i elements */

typedef struct {
    ngx_http_tgbot_links_t    *links;
    uint32_t                   bins[NGX_HTTP_TGBOT_LIST_BINS];

    /* whether a comes before b; a was added before b */
    ngx_uint_t               (*before)(void *data, uint32_t a, uint32_t b);
    void                      *data;
} ngx_http_tgbot_sort_t;


/* makes the list empty */
void ngx_http_tgbot_list_init(ngx_http_tgbot_list_t *list);

/* put element n, which must be in no list, at the end or the beginning */
void ngx_http_tgbot_list_append(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n);
void ngx_http_tgbot_list_prepend(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n);

void ngx_http_tgbot_list_remove(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n);


/*
 * A stable merge sort that allocates nothing.  The caller sets "links",
 * "before" and "data", calls init() and adds the elements one by one.
 */
void ngx_http_tgbot_sort_init(ngx_http_tgbot_sort_t *sort);
void ngx_http_tgbot_sort_add(ngx_http_tgbot_sort_t *sort, uint32_t n);

/* returns the first element or NIL; elements are linked by "next" only */
uint32_t ngx_http_tgbot_sort_end(ngx_http_tgbot_sort_t *sort);


#endif /* _NGX_HTTP_TGBOT_LIST_H_INCLUDED_ */
