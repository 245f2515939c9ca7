
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_redis_cluster.h"


/* most nodes that a worker is connected to at once */
#define NGX_HTTP_TGBOT_REDIS_NODES  64

#define NGX_HTTP_TGBOT_REDIS_SLOTS  16384

/* a node that was lost is not tried for this time, ms */
#define NGX_HTTP_TGBOT_REDIS_LOST   100


typedef struct {
    ngx_http_tgbot_redis_link_t  link;       /* must stand first */
    ngx_http_tgbot_redis_told_t  told;
    ngx_array_t                  addresses;  /* the one that was told */
    ngx_msec_t                   lost;       /* when it was lost last */
} ngx_http_tgbot_redis_node_t;


static ngx_http_tgbot_redis_node_t *ngx_http_tgbot_redis_cluster_node(
    ngx_str_t *host, ngx_str_t *port);
static ngx_http_tgbot_redis_node_t *ngx_http_tgbot_redis_cluster_free(void);
static void ngx_http_tgbot_redis_cluster_lost(
    ngx_http_tgbot_redis_link_t *link);
static ngx_uint_t ngx_http_tgbot_redis_cluster_crc16(u_char *p, size_t len);


static ngx_http_tgbot_redis_link_t  *ngx_http_tgbot_redis_cluster_first;

static ngx_uint_t  ngx_http_tgbot_redis_cluster_n;
static ngx_http_tgbot_redis_node_t
    *ngx_http_tgbot_redis_cluster_nodes[NGX_HTTP_TGBOT_REDIS_NODES];

/* NULL: not known, the first link asks */
static ngx_http_tgbot_redis_node_t
    *ngx_http_tgbot_redis_cluster_slots[NGX_HTTP_TGBOT_REDIS_SLOTS];


void
ngx_http_tgbot_redis_cluster_init(ngx_http_tgbot_redis_link_t *first)
{
    ngx_http_tgbot_redis_cluster_first = first;
}


ngx_uint_t
ngx_http_tgbot_redis_cluster_slot(ngx_str_t *tag)
{
    return ngx_http_tgbot_redis_cluster_crc16(tag->data + 1, tag->len - 2)
           % NGX_HTTP_TGBOT_REDIS_SLOTS;
}


ngx_http_tgbot_redis_link_t *
ngx_http_tgbot_redis_cluster_link(ngx_uint_t slot)
{
    ngx_http_tgbot_redis_node_t  *node;

    node = ngx_http_tgbot_redis_cluster_slots[slot];

    return node ? &node->link : ngx_http_tgbot_redis_cluster_first;
}


ngx_http_tgbot_redis_link_t *
ngx_http_tgbot_redis_cluster_redirect(ngx_http_tgbot_redis_link_t *from,
    redisReply *reply, ngx_uint_t *asked)
{
    u_char                       *p, *last, *colon;
    ngx_int_t                     slot;
    ngx_str_t                     host, port, word;
    ngx_http_tgbot_redis_node_t  *node;

    /* "MOVED 3999 127.0.0.1:6381" */

    ngx_http_tgbot_redis_reply_class(reply, &word);

    *asked = (word.len == 3 && ngx_strncmp(word.data, "ASK", 3) == 0);

    if (!*asked && (word.len != 5 || ngx_strncmp(word.data, "MOVED", 5) != 0)) {
        return NULL;
    }

    p = (u_char *) reply->str + word.len + 1;
    last = (u_char *) reply->str + reply->len;

    host.data = ngx_strlchr(p, last, ' ');

    for (colon = last - 1; colon > p && *colon != ':'; colon--) { /* void */ }

    if (host.data == NULL || colon < host.data) {
        return NULL;
    }

    slot = ngx_atoi(p, host.data - p);

    host.data++;
    host.len = colon - host.data;

    port.data = colon + 1;
    port.len = last - port.data;

    if (host.len == 0) {

        /* the one that is asked does not know its own name */

        host = from->address->host;
    }

    if (slot < 0 || slot >= NGX_HTTP_TGBOT_REDIS_SLOTS) {
        return NULL;
    }

    node = ngx_http_tgbot_redis_cluster_node(&host, &port);
    if (node == NULL) {
        return NULL;
    }

    if (!*asked) {
        ngx_http_tgbot_redis_cluster_slots[slot] = node;
    }

    return &node->link;
}


static ngx_http_tgbot_redis_node_t *
ngx_http_tgbot_redis_cluster_node(ngx_str_t *host, ngx_str_t *port)
{
    ngx_str_t                    *text;
    ngx_uint_t                    i;
    ngx_http_tgbot_redis_node_t  *node;
    ngx_http_tgbot_redis_told_t   told;

    if (ngx_http_tgbot_redis_told(&told, host, port) != NGX_OK) {
        return NULL;
    }

    for (i = 0; i < ngx_http_tgbot_redis_cluster_n; i++) {
        node = ngx_http_tgbot_redis_cluster_nodes[i];
        text = &node->told.address.text;

        if (text->len == told.address.text.len
            && ngx_strncmp(text->data, told.address.text.data, text->len) == 0)
        {
            goto found;
        }
    }

    node = ngx_http_tgbot_redis_cluster_free();
    if (node == NULL) {
        return NULL;
    }

    (void) ngx_http_tgbot_redis_told(&node->told, host, port);

    node->lost = ngx_current_msec - NGX_HTTP_TGBOT_REDIS_LOST;

found:

    if (node->link.open) {
        return node;
    }

    if (ngx_current_msec - node->lost < NGX_HTTP_TGBOT_REDIS_LOST) {
        return NULL;
    }

    node->link.failures = 0;

    ngx_http_tgbot_redis_link_open(&node->link);

    return node->link.open ? node : NULL;
}


/* a node that is not connected: its place can be taken */

static ngx_http_tgbot_redis_node_t *
ngx_http_tgbot_redis_cluster_free(void)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_redis_link_t  *first;
    ngx_http_tgbot_redis_node_t  *node;

    if (ngx_http_tgbot_redis_cluster_n == NGX_HTTP_TGBOT_REDIS_NODES) {

        for (i = 0; i < NGX_HTTP_TGBOT_REDIS_NODES; i++) {
            if (!ngx_http_tgbot_redis_cluster_nodes[i]->link.open) {
                return ngx_http_tgbot_redis_cluster_nodes[i];
            }
        }

        return NULL;
    }

    node = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_tgbot_redis_node_t));
    if (node == NULL) {
        return NULL;
    }

    first = ngx_http_tgbot_redis_cluster_first;

    node->addresses.elts = &node->told.address;
    node->addresses.nelts = 1;

    node->link.conf = first->conf;
    node->link.hello = first->hello;
    node->link.addresses = &node->addresses;
    node->link.lost = ngx_http_tgbot_redis_cluster_lost;
    node->link.once = 1;

    ngx_http_tgbot_redis_cluster_nodes[ngx_http_tgbot_redis_cluster_n++] = node;

    return node;
}


/* another node may have its slots: the first link asks */

static void
ngx_http_tgbot_redis_cluster_lost(ngx_http_tgbot_redis_link_t *link)
{
    ngx_uint_t                    i;
    ngx_http_tgbot_redis_node_t  *node;

    node = (ngx_http_tgbot_redis_node_t *) link;
    node->lost = ngx_current_msec;

    for (i = 0; i < NGX_HTTP_TGBOT_REDIS_SLOTS; i++) {
        if (ngx_http_tgbot_redis_cluster_slots[i] == node) {
            ngx_http_tgbot_redis_cluster_slots[i] = NULL;
        }
    }
}


/* CRC16 of XMODEM, as the specification of the cluster says */

static ngx_uint_t
ngx_http_tgbot_redis_cluster_crc16(u_char *p, size_t len)
{
    ngx_uint_t  crc, i;

    crc = 0;

    while (len--) {
        crc ^= (ngx_uint_t) *p++ << 8;

        for (i = 0; i < 8; i++) {
            crc = (crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1;
        }
    }

    return crc & 0xffff;
}


void
ngx_http_tgbot_redis_cluster_exit(void)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_http_tgbot_redis_cluster_n; i++) {
        ngx_http_tgbot_redis_link_close(
                                &ngx_http_tgbot_redis_cluster_nodes[i]->link);
    }
}
