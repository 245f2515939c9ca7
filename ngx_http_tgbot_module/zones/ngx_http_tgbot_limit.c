
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_limit.h"
#include "ngx_http_tgbot_list.h"


/*
 * Keys of up to this many bytes are stored.  For a longer key its MD5 is
 * stored, with a length that no stored key has.
 */
#define NGX_HTTP_TGBOT_LIMIT_KEY    23
#define NGX_HTTP_TGBOT_LIMIT_LONG   255

/* the same for the MD5 of a key and an album */
#define NGX_HTTP_TGBOT_LIMIT_ALBUM  254

/* time for which a decision about an album is remembered, ms */
#define NGX_HTTP_TGBOT_LIMIT_ALBUM_TIME  60000

/* 32-bit words of an identity */
#define NGX_HTTP_TGBOT_LIMIT_WORDS   8

/* buckets of a zone */
#define NGX_HTTP_TGBOT_LIMIT_MIN    64
#define NGX_HTTP_TGBOT_LIMIT_MAX    (1 << 30)


/*
 * No process is this far behind another, milliseconds: if a time seems to be,
 * ngx_current_msec has wrapped around.
 */
#define NGX_HTTP_TGBOT_LIMIT_WRAP   86400000


/* limit and key of a bucket; compared as a whole, so it is padded with zeros */

typedef struct {
    uint64_t                        id;       /* of the limit */
    u_char                          len;
    u_char                          data[NGX_HTTP_TGBOT_LIMIT_KEY];
} ngx_http_tgbot_limit_identity_t;


/*
 * A bucket; as large as a CPU cache line, 64 bytes.  Or the decision about an
 * album: "units" is 1 if a token was taken, "last" the time of the decision.
 */

typedef struct {
    uint32_t                        chain;    /* next of the same hash */
    ngx_http_tgbot_link_t           link;
    uint32_t                        noticed;  /* refused since the bucket
                                                 was full */
    ngx_http_tgbot_limit_identity_t
                                   identity;
    uint64_t                        units;
    ngx_msec_t                      last;     /* time of "units" */
} ngx_http_tgbot_limit_node_t;


typedef struct {

    /* these never change, so they may be read without the lock */

    uint64_t                        seed[NGX_HTTP_TGBOT_LIMIT_WORDS + 1];
    uint32_t                        total;    /* nodes */
    uint32_t                        mask;     /* number of chains, less 1 */

    /* the first "used" nodes are in chains and in the list, others are not */

    uint32_t                        used;
    ngx_http_tgbot_list_t           list;     /* the last node is the least
                                                 recently used */
} ngx_http_tgbot_limit_sh_t;


#define ngx_http_tgbot_limit_header                                           \
    ngx_align(sizeof(ngx_http_tgbot_limit_sh_t), NGX_CPU_CACHE_LINE)

#define ngx_http_tgbot_limit_sh(zone)                                         \
    ((ngx_http_tgbot_limit_sh_t *) ngx_http_tgbot_zone_data((zone)->sh))

#define ngx_http_tgbot_limit_chains(sh)                                       \
    ((uint32_t *) ((u_char *) (sh) + ngx_http_tgbot_limit_header))

#define ngx_http_tgbot_limit_nodes(sh)                                        \
    ((ngx_http_tgbot_limit_node_t *)                                          \
     (ngx_http_tgbot_limit_chains(sh) + (sh)->mask + 1))


static ngx_int_t ngx_http_tgbot_limit_carve(ngx_http_tgbot_zone_t *zone,
    ngx_uint_t fresh);
static void ngx_http_tgbot_limit_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found);
static void ngx_http_tgbot_limit_empty(ngx_http_tgbot_limit_sh_t *sh);
static void ngx_http_tgbot_limit_lock(ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_limit_identify(ngx_http_tgbot_limit_t *bucket,
    ngx_str_t *key, ngx_http_tgbot_limit_identity_t *identity);
static void ngx_http_tgbot_limit_identify_album(
    ngx_http_tgbot_limit_t *bucket, ngx_str_t *key, ngx_str_t *album,
    ngx_http_tgbot_limit_identity_t *identity);
static uint32_t *ngx_http_tgbot_limit_chain(ngx_http_tgbot_limit_sh_t *sh,
    ngx_http_tgbot_limit_identity_t *identity);
static ngx_http_tgbot_limit_node_t *ngx_http_tgbot_limit_find(
    ngx_http_tgbot_limit_sh_t *sh, uint32_t *chain,
    ngx_http_tgbot_limit_identity_t *identity);
static ngx_http_tgbot_limit_node_t *ngx_http_tgbot_limit_use(
    ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_limit_identity_t *identity,
    ngx_uint_t *fresh);
static ngx_int_t ngx_http_tgbot_limit_spend(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_limit_identity_t *identity, ngx_msec_t now,
    ngx_http_tgbot_limit_result_t *result);
static ngx_int_t ngx_http_tgbot_limit_decided(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_limit_identity_t *album, ngx_msec_t now,
    ngx_http_tgbot_limit_result_t *result);
static ngx_http_tgbot_limit_node_t *ngx_http_tgbot_limit_get(
    ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_limit_unchain(ngx_http_tgbot_limit_sh_t *sh,
    ngx_http_tgbot_limit_node_t *node);
static void ngx_http_tgbot_limit_unlink(ngx_http_tgbot_limit_sh_t *sh,
    ngx_http_tgbot_limit_node_t *node);
static void ngx_http_tgbot_limit_link(ngx_http_tgbot_limit_sh_t *sh,
    ngx_http_tgbot_limit_node_t *node);
static void ngx_http_tgbot_limit_refill(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_limit_node_t *node, ngx_msec_t now);
static void ngx_http_tgbot_limit_add(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_limit_node_t *node, uint64_t units);


const ngx_http_tgbot_zone_kind_t  ngx_http_tgbot_limit_zone = {
    3, "limit",
    ngx_http_tgbot_limit_header
    + NGX_HTTP_TGBOT_LIMIT_MIN
      * (sizeof(uint32_t) + sizeof(ngx_http_tgbot_limit_node_t)),
    ngx_http_tgbot_limit_carve,
    ngx_http_tgbot_limit_open,
    NULL,
    NGX_HTTP_TGBOT_ZONE_FILE
};


static ngx_int_t
ngx_http_tgbot_limit_carve(ngx_http_tgbot_zone_t *zone, ngx_uint_t fresh)
{
    size_t                      room, n, chains;
    ngx_http_tgbot_limit_sh_t  *sh;

    if (!fresh) {
        return NGX_OK;
    }

    room = ngx_http_tgbot_zone_room(zone->sh);

    if (room < ngx_http_tgbot_limit_zone.min) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" has room for %uz bytes of buckets, "
                      "expected %uz or more", &zone->shm_zone->shm.name, room,
                      ngx_http_tgbot_limit_zone.min);
        return NGX_ERROR;
    }

    room -= ngx_http_tgbot_limit_header;

    n = room / (sizeof(uint32_t) + sizeof(ngx_http_tgbot_limit_node_t));
    n = ngx_min(n, NGX_HTTP_TGBOT_LIMIT_MAX);

    for (chains = NGX_HTTP_TGBOT_LIMIT_MIN; chains < n; chains *= 2) {
        /* void */
    }

    room -= chains * sizeof(uint32_t);

    sh = ngx_http_tgbot_limit_sh(zone);

    sh->total = ngx_min(n, room / sizeof(ngx_http_tgbot_limit_node_t));
    sh->mask = chains - 1;

    ngx_http_tgbot_zone_seed(sh->seed, NGX_HTTP_TGBOT_LIMIT_WORDS + 1,
                             zone->log);
    ngx_http_tgbot_limit_empty(sh);

    return NGX_OK;
}


static void
ngx_http_tgbot_limit_open(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_e found)
{
    if (found != NGX_HTTP_TGBOT_ZONE_KEPT) {
        (void) ngx_http_tgbot_limit_carve(zone, 1);
    }
}


static void
ngx_http_tgbot_limit_empty(ngx_http_tgbot_limit_sh_t *sh)
{
    ngx_memset(ngx_http_tgbot_limit_chains(sh), 0xff,
               ((size_t) sh->mask + 1) * sizeof(uint32_t));

    sh->used = 0;
    ngx_http_tgbot_list_init(&sh->list);
}


static void
ngx_http_tgbot_limit_lock(ngx_http_tgbot_zone_t *zone)
{
    if (ngx_http_tgbot_zone_lock(zone) == NGX_DECLINED) {
        ngx_http_tgbot_limit_empty(ngx_http_tgbot_limit_sh(zone));
    }
}


void
ngx_http_tgbot_limit_init(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_zone_t *zone, ngx_str_t *bot, ngx_str_t *key,
    ngx_uint_t rate, ngx_uint_t per_minute, ngx_uint_t burst)
{
    u_char     hash[16];
    uint64_t   numbers[3];
    ngx_md5_t  md5;

    numbers[0] = rate;
    numbers[1] = (per_minute != 0);
    numbers[2] = ngx_max(burst, 1);

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, bot->data, bot->len);
    ngx_md5_update(&md5, "", 1);
    ngx_md5_update(&md5, key->data, key->len);
    ngx_md5_update(&md5, "", 1);
    ngx_md5_update(&md5, numbers, sizeof(numbers));
    ngx_md5_final(hash, &md5);

    ngx_memcpy(&bucket->id, hash, sizeof(uint64_t));

    bucket->zone = zone;
    bucket->rate = per_minute ? numbers[0] : numbers[0] * 60;
    bucket->capacity = numbers[2] * NGX_HTTP_TGBOT_LIMIT_TOKEN;
}


ngx_int_t
ngx_http_tgbot_limit_take(ngx_http_tgbot_limit_t *bucket, ngx_str_t *key,
    ngx_str_t *album, ngx_msec_t now, ngx_http_tgbot_limit_result_t *result)
{
    ngx_int_t                        rc;
    ngx_uint_t                       fresh;
    ngx_http_tgbot_limit_node_t     *node;
    ngx_http_tgbot_limit_identity_t  identity, decision;

    ngx_http_tgbot_limit_identify(bucket, key, &identity);

    if (album->len) {
        ngx_http_tgbot_limit_identify_album(bucket, key, album, &decision);
    }

    result->wait = 0;
    result->first = 0;

    now = ngx_http_tgbot_zone_in(bucket->zone, now);

    ngx_http_tgbot_limit_lock(bucket->zone);

    rc = album->len ? ngx_http_tgbot_limit_decided(bucket, &decision, now,
                                                   result)
                    : NGX_AGAIN;

    if (rc == NGX_AGAIN) {
        rc = ngx_http_tgbot_limit_spend(bucket, &identity, now, result);

        if (album->len && (rc == NGX_OK || bucket->drop)) {
            node = ngx_http_tgbot_limit_use(bucket->zone, &decision, &fresh);

            node->units = (rc == NGX_OK);
            node->last = now;
            ngx_http_tgbot_zone_stop("bucket: album decided");
        }
    }

    ngx_http_tgbot_zone_unlock(bucket->zone);

    return rc;
}


/* NGX_AGAIN: nothing is decided about the album */

static ngx_int_t
ngx_http_tgbot_limit_decided(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_limit_identity_t *album, ngx_msec_t now,
    ngx_http_tgbot_limit_result_t *result)
{
    ngx_msec_int_t                age;
    ngx_http_tgbot_limit_sh_t    *sh;
    ngx_http_tgbot_limit_node_t  *node;

    sh = ngx_http_tgbot_limit_sh(bucket->zone);

    node = ngx_http_tgbot_limit_find(sh, ngx_http_tgbot_limit_chain(sh, album),
                                     album);
    if (node == NULL) {
        return NGX_AGAIN;
    }

    /* another process may be some time ahead */

    age = (ngx_msec_int_t) (now - node->last);

    if (age >= NGX_HTTP_TGBOT_LIMIT_ALBUM_TIME
        || age <= -NGX_HTTP_TGBOT_LIMIT_ALBUM_TIME)
    {
        return NGX_AGAIN;
    }

    if (node->units) {
        return NGX_DECLINED;
    }

    result->wait = NGX_HTTP_TGBOT_LIMIT_ALBUM_TIME - ngx_max(age, 0);

    return NGX_BUSY;
}


static ngx_int_t
ngx_http_tgbot_limit_spend(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_limit_identity_t *identity, ngx_msec_t now,
    ngx_http_tgbot_limit_result_t *result)
{
    uint64_t                      missing;
    ngx_uint_t                    fresh;
    ngx_http_tgbot_limit_node_t  *node;

    node = ngx_http_tgbot_limit_use(bucket->zone, identity, &fresh);

    if (fresh) {
        node->units = bucket->capacity;
        node->last = now;

    } else {
        ngx_http_tgbot_limit_refill(bucket, node, now);
    }

    if (node->units >= NGX_HTTP_TGBOT_LIMIT_TOKEN) {
        node->units -= NGX_HTTP_TGBOT_LIMIT_TOKEN;
        ngx_http_tgbot_zone_stop("bucket: taken");

        return NGX_OK;
    }

    missing = NGX_HTTP_TGBOT_LIMIT_TOKEN - node->units;

    result->wait = (missing + bucket->rate - 1) / bucket->rate;
    result->first = !node->noticed;

    node->noticed = 1;
    ngx_http_tgbot_zone_stop("bucket: refused");

    return NGX_BUSY;
}


void
ngx_http_tgbot_limit_give(ngx_http_tgbot_limit_t *bucket, ngx_str_t *key,
    ngx_str_t *album, ngx_msec_t now)
{
    ngx_http_tgbot_limit_sh_t       *sh;
    ngx_http_tgbot_limit_node_t     *node;
    ngx_http_tgbot_limit_identity_t  identity, decision;

    sh = ngx_http_tgbot_limit_sh(bucket->zone);

    ngx_http_tgbot_limit_identify(bucket, key, &identity);

    if (album->len) {
        ngx_http_tgbot_limit_identify_album(bucket, key, album, &decision);
    }

    now = ngx_http_tgbot_zone_in(bucket->zone, now);

    ngx_http_tgbot_limit_lock(bucket->zone);

    node = ngx_http_tgbot_limit_find(sh,
                                     ngx_http_tgbot_limit_chain(sh, &identity),
                                     &identity);

    if (node) {
        ngx_http_tgbot_limit_refill(bucket, node, now);
        ngx_http_tgbot_zone_stop("bucket: refilled");

        ngx_http_tgbot_limit_add(bucket, node, NGX_HTTP_TGBOT_LIMIT_TOKEN);
    }

    if (album->len) {
        node = ngx_http_tgbot_limit_find(sh,
                                     ngx_http_tgbot_limit_chain(sh, &decision),
                                     &decision);
        if (node) {
            node->last = now - NGX_HTTP_TGBOT_LIMIT_ALBUM_TIME;
        }
    }

    ngx_http_tgbot_zone_unlock(bucket->zone);
}


void
ngx_http_tgbot_limit_state(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_limit_state_t *state)
{
    ngx_http_tgbot_limit_sh_t  *sh;

    sh = ngx_http_tgbot_limit_sh(zone);

    ngx_http_tgbot_limit_lock(zone);

    state->used = sh->used;
    state->total = sh->total;

    ngx_http_tgbot_zone_unlock(zone);
}


static void
ngx_http_tgbot_limit_identify(ngx_http_tgbot_limit_t *bucket,
    ngx_str_t *key, ngx_http_tgbot_limit_identity_t *identity)
{
    ngx_md5_t  md5;

    ngx_memzero(identity, sizeof(ngx_http_tgbot_limit_identity_t));

    identity->id = bucket->id;

    if (key->len <= NGX_HTTP_TGBOT_LIMIT_KEY) {
        identity->len = key->len;
        ngx_memcpy(identity->data, key->data, key->len);
        return;
    }

    identity->len = NGX_HTTP_TGBOT_LIMIT_LONG;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, key->data, key->len);
    ngx_md5_final(identity->data, &md5);
}


static void
ngx_http_tgbot_limit_identify_album(ngx_http_tgbot_limit_t *bucket,
    ngx_str_t *key, ngx_str_t *album, ngx_http_tgbot_limit_identity_t *identity)
{
    ngx_md5_t  md5;

    ngx_memzero(identity, sizeof(ngx_http_tgbot_limit_identity_t));

    identity->id = bucket->id;
    identity->len = NGX_HTTP_TGBOT_LIMIT_ALBUM;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, key->data, key->len);
    ngx_md5_update(&md5, "", 1);
    ngx_md5_update(&md5, album->data, album->len);
    ngx_md5_final(identity->data, &md5);
}


/*
 * Users can choose keys, and for some hash functions keys can be found that
 * collide under any seed.  This hash is strongly universal: any two keys have
 * the same 32 bits with a probability of 2^-32.
 */

static uint32_t *
ngx_http_tgbot_limit_chain(ngx_http_tgbot_limit_sh_t *sh,
    ngx_http_tgbot_limit_identity_t *identity)
{
    uint64_t    hash;
    uint32_t    words[NGX_HTTP_TGBOT_LIMIT_WORDS];
    ngx_uint_t  i;

    ngx_memcpy(words, identity, sizeof(words));

    hash = sh->seed[NGX_HTTP_TGBOT_LIMIT_WORDS];

    for (i = 0; i < NGX_HTTP_TGBOT_LIMIT_WORDS; i++) {
        hash += sh->seed[i] * words[i];
    }

    return &ngx_http_tgbot_limit_chains(sh)[(hash >> 32) & sh->mask];
}


static ngx_http_tgbot_limit_node_t *
ngx_http_tgbot_limit_find(ngx_http_tgbot_limit_sh_t *sh, uint32_t *chain,
    ngx_http_tgbot_limit_identity_t *identity)
{
    uint32_t                      i;
    ngx_http_tgbot_limit_node_t  *nodes;

    nodes = ngx_http_tgbot_limit_nodes(sh);

    for (i = *chain; i != NGX_HTTP_TGBOT_LIST_NIL; i = nodes[i].chain) {

        if (ngx_memcmp(&nodes[i].identity, identity,
                       sizeof(ngx_http_tgbot_limit_identity_t))
            == 0)
        {
            return &nodes[i];
        }
    }

    return NULL;
}


/* the node of the identity, as the most recently used one; may be a new one */

static ngx_http_tgbot_limit_node_t *
ngx_http_tgbot_limit_use(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_limit_identity_t *identity, ngx_uint_t *fresh)
{
    uint32_t                     *chain;
    ngx_http_tgbot_limit_sh_t    *sh;
    ngx_http_tgbot_limit_node_t  *node;

    sh = ngx_http_tgbot_limit_sh(zone);
    chain = ngx_http_tgbot_limit_chain(sh, identity);

    node = ngx_http_tgbot_limit_find(sh, chain, identity);

    *fresh = (node == NULL);

    if (node) {
        ngx_http_tgbot_limit_unlink(sh, node);
        ngx_http_tgbot_zone_stop("bucket: unlinked");

    } else {
        node = ngx_http_tgbot_limit_get(zone);

        node->identity = *identity;
        node->noticed = 0;

        node->chain = *chain;
        *chain = node - ngx_http_tgbot_limit_nodes(sh);
        ngx_http_tgbot_zone_stop("bucket: new");
    }

    ngx_http_tgbot_limit_link(sh, node);

    return node;
}


/* returns a node that is in no chain and not in the list; may evict one */

static ngx_http_tgbot_limit_node_t *
ngx_http_tgbot_limit_get(ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_limit_sh_t    *sh;
    ngx_http_tgbot_limit_node_t  *node;

    sh = ngx_http_tgbot_limit_sh(zone);

    if (sh->used < sh->total) {
        return &ngx_http_tgbot_limit_nodes(sh)[sh->used++];
    }

    node = &ngx_http_tgbot_limit_nodes(sh)[sh->list.last];

    ngx_http_tgbot_limit_unchain(sh, node);
    ngx_http_tgbot_zone_stop("bucket: unchained");

    ngx_http_tgbot_limit_unlink(sh, node);

    zone->sh->evicted++;

    return node;
}


static void
ngx_http_tgbot_limit_unchain(ngx_http_tgbot_limit_sh_t *sh,
    ngx_http_tgbot_limit_node_t *node)
{
    uint32_t                     *p;
    ngx_http_tgbot_limit_node_t  *nodes;

    nodes = ngx_http_tgbot_limit_nodes(sh);

    p = ngx_http_tgbot_limit_chain(sh, &node->identity);

    while (&nodes[*p] != node) {
        p = &nodes[*p].chain;
    }

    *p = node->chain;
}


static void
ngx_http_tgbot_limit_unlink(ngx_http_tgbot_limit_sh_t *sh,
    ngx_http_tgbot_limit_node_t *node)
{
    ngx_http_tgbot_links_t        links;
    ngx_http_tgbot_limit_node_t  *nodes;

    nodes = ngx_http_tgbot_limit_nodes(sh);

    links.first = &nodes[0].link;
    links.size = sizeof(ngx_http_tgbot_limit_node_t);

    ngx_http_tgbot_list_remove(&links, &sh->list, node - nodes);
}


static void
ngx_http_tgbot_limit_link(ngx_http_tgbot_limit_sh_t *sh,
    ngx_http_tgbot_limit_node_t *node)
{
    ngx_http_tgbot_links_t        links;
    ngx_http_tgbot_limit_node_t  *nodes;

    nodes = ngx_http_tgbot_limit_nodes(sh);

    links.first = &nodes[0].link;
    links.size = sizeof(ngx_http_tgbot_limit_node_t);

    ngx_http_tgbot_list_prepend(&links, &sh->list, node - nodes);
}


static void
ngx_http_tgbot_limit_refill(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_limit_node_t *node, ngx_msec_t now)
{
    uint64_t        missing;
    ngx_msec_int_t  elapsed;

    elapsed = (ngx_msec_int_t) (now - node->last);

    /* another process may have set a later time */

    if (elapsed <= 0 && elapsed > -NGX_HTTP_TGBOT_LIMIT_WRAP) {
        return;
    }

    node->last = now;

    if (elapsed < 0) {
        return;
    }

    /* a long time is not multiplied by the rate: the product might overflow */

    missing = bucket->capacity - node->units;

    if ((uint64_t) elapsed > missing / bucket->rate) {
        ngx_http_tgbot_limit_add(bucket, node, missing);

    } else {
        ngx_http_tgbot_limit_add(bucket, node, elapsed * bucket->rate);
    }
}


static void
ngx_http_tgbot_limit_add(ngx_http_tgbot_limit_t *bucket,
    ngx_http_tgbot_limit_node_t *node, uint64_t units)
{
    if (units < bucket->capacity - node->units) {
        node->units += units;
        return;
    }

    node->units = bucket->capacity;
    node->noticed = 0;
}
