
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_store.h"
#include "ngx_http_tgbot_store_item.h"
#include "ngx_http_tgbot_zone.h"


static ngx_uint_t ngx_http_tgbot_store_repair_item(
    ngx_http_tgbot_store_t *store, uint32_t n);
static uint32_t ngx_http_tgbot_store_repair_sort(
    ngx_http_tgbot_store_t *store);
static ngx_uint_t ngx_http_tgbot_store_repair_before(void *data, uint32_t a,
    uint32_t b);


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

    for (i = 0; i < sh->nentries; i++) {
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


/* marks what belongs to an item; 0: it cannot be right, nothing is marked */

static ngx_uint_t
ngx_http_tgbot_store_repair_item(ngx_http_tgbot_store_t *store, uint32_t n)
{
    uint32_t                      next;
    uint64_t                      length, answer;
    ngx_http_tgbot_store_sh_t    *sh;
    ngx_http_tgbot_store_item_t  *item;

    sh = store->sh;
    item = ngx_http_tgbot_store_item(store, n);

    if (item->entry >= sh->nentries
        || store->entries[item->entry].serial == 0)
    {
        return 0;
    }

    item->current &= 1;

    /* the first block has its mark */

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


/* all items as they came, linked by "next" */

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
