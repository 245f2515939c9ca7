
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_zone.h"


#define ngx_http_tgbot_list_link(links, n)                                    \
    ((ngx_http_tgbot_link_t *)                                                \
     ((u_char *) (links)->first + (size_t) (n) * (links)->size))


static void ngx_http_tgbot_list_insert(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n, uint32_t prev, uint32_t next);
static uint32_t ngx_http_tgbot_sort_merge(ngx_http_tgbot_sort_t *sort,
    uint32_t a, uint32_t b);


void
ngx_http_tgbot_list_init(ngx_http_tgbot_list_t *list)
{
    list->first = NGX_HTTP_TGBOT_LIST_NIL;
    list->last = NGX_HTTP_TGBOT_LIST_NIL;
    list->n = 0;
}


void
ngx_http_tgbot_list_append(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n)
{
    ngx_http_tgbot_list_insert(links, list, n, list->last,
                               NGX_HTTP_TGBOT_LIST_NIL);
}


void
ngx_http_tgbot_list_prepend(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n)
{
    ngx_http_tgbot_list_insert(links, list, n, NGX_HTTP_TGBOT_LIST_NIL,
                               list->first);
}


static void
ngx_http_tgbot_list_insert(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n, uint32_t prev, uint32_t next)
{
    ngx_http_tgbot_link_t  *link;

    link = ngx_http_tgbot_list_link(links, n);

    link->prev = prev;
    link->next = next;

    if (prev == NGX_HTTP_TGBOT_LIST_NIL) {
        list->first = n;

    } else {
        ngx_http_tgbot_list_link(links, prev)->next = n;
    }

    ngx_http_tgbot_zone_stop("list: half linked");

    if (next == NGX_HTTP_TGBOT_LIST_NIL) {
        list->last = n;

    } else {
        ngx_http_tgbot_list_link(links, next)->prev = n;
    }

    list->n++;
}


void
ngx_http_tgbot_list_remove(ngx_http_tgbot_links_t *links,
    ngx_http_tgbot_list_t *list, uint32_t n)
{
    ngx_http_tgbot_link_t  *link;

    link = ngx_http_tgbot_list_link(links, n);

    if (link->prev == NGX_HTTP_TGBOT_LIST_NIL) {
        list->first = link->next;

    } else {
        ngx_http_tgbot_list_link(links, link->prev)->next = link->next;
    }

    ngx_http_tgbot_zone_stop("list: half unlinked");

    if (link->next == NGX_HTTP_TGBOT_LIST_NIL) {
        list->last = link->prev;

    } else {
        ngx_http_tgbot_list_link(links, link->next)->prev = link->prev;
    }

    list->n--;
}


void
ngx_http_tgbot_sort_init(ngx_http_tgbot_sort_t *sort)
{
    ngx_memset(sort->bins, 0xff, sizeof(sort->bins));
}


void
ngx_http_tgbot_sort_add(ngx_http_tgbot_sort_t *sort, uint32_t n)
{
    ngx_uint_t  i;

    ngx_http_tgbot_list_link(sort->links, n)->next = NGX_HTTP_TGBOT_LIST_NIL;

    for (i = 0; sort->bins[i] != NGX_HTTP_TGBOT_LIST_NIL; i++) {
        n = ngx_http_tgbot_sort_merge(sort, sort->bins[i], n);
        sort->bins[i] = NGX_HTTP_TGBOT_LIST_NIL;
    }

    sort->bins[i] = n;
}


uint32_t
ngx_http_tgbot_sort_end(ngx_http_tgbot_sort_t *sort)
{
    uint32_t    n;
    ngx_uint_t  i;

    n = NGX_HTTP_TGBOT_LIST_NIL;

    /* elements of a higher bin were added before those of a lower one */

    for (i = 0; i < NGX_HTTP_TGBOT_LIST_BINS; i++) {
        n = ngx_http_tgbot_sort_merge(sort, sort->bins[i], n);
    }

    return n;
}


/* merges two lists; the elements of "a" were added before those of "b" */

static uint32_t
ngx_http_tgbot_sort_merge(ngx_http_tgbot_sort_t *sort, uint32_t a, uint32_t b)
{
    uint32_t  *last, first;

    last = &first;

    while (a != NGX_HTTP_TGBOT_LIST_NIL && b != NGX_HTTP_TGBOT_LIST_NIL) {

        if (sort->before(sort->data, a, b)) {
            *last = a;
            last = &ngx_http_tgbot_list_link(sort->links, a)->next;
            a = *last;

        } else {
            *last = b;
            last = &ngx_http_tgbot_list_link(sort->links, b)->next;
            b = *last;
        }
    }

    *last = (a != NGX_HTTP_TGBOT_LIST_NIL) ? a : b;

    return first;
}
