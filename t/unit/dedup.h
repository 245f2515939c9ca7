
/*
 * For tests of tgbot_dedup: bots in a zone, operations that may be killed,
 * and a check of all structures in the zone.
 */

#ifndef _SEEN_H_INCLUDED_
#define _SEEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_dedup_area.h"
#include "ngx_http_tgbot_dedup_ring.h"

#include "unit.h"
#include "zones.h"


/* the most that the table of areas takes in a zone of a few bots */
#define SEEN_TABLE  4096

#define seen_call(s, p)                                                      \
    (s).data = (u_char *) (p);                                               \
    (s).len = strlen(p)


ngx_uint_t  ngx_pagesize __attribute__((weak)) = 4096;


/* a bot as the configuration makes it */

static inline ngx_http_tgbot_dedup_t
seen_bot(const char *name, uint64_t bot_id, ngx_uint_t window)
{
    ngx_http_tgbot_dedup_t  dedup;

    ngx_memzero(&dedup, sizeof(ngx_http_tgbot_dedup_t));

    seen_call(dedup.bot, name);
    dedup.bot_id = bot_id;
    dedup.window = window;

    return dedup;
}


/* a zone with room for just these bots */

static inline ngx_http_tgbot_zone_t *
seen_zone(ngx_http_tgbot_dedup_t *bots, ngx_uint_t n)
{
    void                   *users[64];
    size_t                  room;
    ngx_uint_t              i;
    ngx_http_tgbot_zone_t  *zone;

    room = SEEN_TABLE;

    for (i = 0; i < n; i++) {
        users[i] = &bots[i];
        room += ngx_http_tgbot_dedup_size(bots[i].window);
    }

    zone = unit_zone(&ngx_http_tgbot_dedup_zone, room, users, n);

    for (i = 0; i < n; i++) {
        bots[i].zone = zone;
    }

    return zone;
}


/* claims, and ignores a kept call */

static inline ngx_int_t
seen_claim(ngx_http_tgbot_dedup_t *dedup, int64_t id,
    ngx_http_tgbot_dedup_claim_t *claim)
{
    ngx_str_t  type, body;

    return ngx_http_tgbot_dedup_claim(dedup, id, claim, &type, &body);
}


/* claims and accepts; 1 if it was new */

static inline ngx_uint_t
seen_new(ngx_http_tgbot_dedup_t *dedup, int64_t id)
{
    ngx_http_tgbot_dedup_claim_t  claim;

    return seen_claim(dedup, id, &claim) == NGX_OK
           && ngx_http_tgbot_dedup_accept(dedup, &claim, NULL, NULL) == NGX_OK;
}


/* walks all lists and checks that each is sound */

static inline ngx_uint_t
seen_walk_lists(ngx_http_tgbot_dedup_area_t *area)
{
    uint32_t                        n, prev;
    ngx_msec_t                      time;
    ngx_uint_t                      i, seen, total;
    ngx_http_tgbot_list_t          *list;
    ngx_http_tgbot_dedup_record_t  *rec;

    total = 0;

    for (i = 0; i < NGX_HTTP_TGBOT_DEDUP_STATES; i++) {
        list = &area->sh->list[i];
        prev = NGX_HTTP_TGBOT_LIST_NIL;
        time = 0;
        seen = 0;

        for (n = list->first;
             n != NGX_HTTP_TGBOT_LIST_NIL;
             n = rec->link.next)
        {

            if (n >= NGX_HTTP_TGBOT_DEDUP_RECORDS
                || seen++ > NGX_HTTP_TGBOT_DEDUP_RECORDS)
            {
                return 0;
            }

            rec = &area->records[n];

            if (rec->state != i || rec->link.prev != prev) {
                return 0;
            }

            if (i != NGX_HTTP_TGBOT_DEDUP_FREE) {
                if (rec->time < time
                    || ngx_http_tgbot_dedup_area_find(area, rec->update_id)
                       != rec)
                {
                    return 0;
                }

                time = rec->time;
            }

            prev = n;
        }

        if (list->last != prev || list->n != seen) {
            return 0;
        }

        total += seen;
    }

    return total == NGX_HTTP_TGBOT_DEDUP_RECORDS;
}


/* each record in use is in its hash list, and nothing else is in any */

static inline ngx_uint_t
seen_walk_hash(ngx_http_tgbot_dedup_area_t *area)
{
    uint16_t                        n;
    ngx_uint_t                      i, total;
    ngx_http_tgbot_dedup_record_t  *rec;

    total = area->sh->list[NGX_HTTP_TGBOT_DEDUP_FREE].n;

    for (i = 0; i < NGX_HTTP_TGBOT_DEDUP_HEADS; i++) {
        for (n = area->heads[i]; n != NGX_HTTP_TGBOT_DEDUP_NIL; n = rec->hash)
        {
            rec = &area->records[n];

            if (total++ > NGX_HTTP_TGBOT_DEDUP_RECORDS
                || rec->state == NGX_HTTP_TGBOT_DEDUP_FREE
                || ngx_http_tgbot_dedup_area_head(area, rec->update_id)
                   != &area->heads[i])
            {
                return 0;
            }
        }
    }

    return total == NGX_HTTP_TGBOT_DEDUP_RECORDS;
}


/* each block is free, never used, or belongs to one call */

static inline ngx_uint_t
seen_walk_blocks(ngx_http_tgbot_dedup_area_t *area)
{
    u_char                          used[NGX_HTTP_TGBOT_DEDUP_BLOCKS];
    uint32_t                        n;
    ngx_uint_t                      i, size, total;
    ngx_http_tgbot_dedup_record_t  *rec;

    ngx_memzero(used, sizeof(used));

    total = 0;

    for (n = area->sh->chain.free; n != NGX_HTTP_TGBOT_LIST_NIL;
         n = area->chain.blocks[n].next)
    {
        if (n >= area->sh->chain.used || used[n]) {
            return 0;
        }

        used[n] = 1;
        total++;
    }

    if (total != area->sh->chain.nfree) {
        return 0;
    }

    for (i = 0; i < NGX_HTTP_TGBOT_DEDUP_RECORDS; i++) {
        rec = &area->records[i];

        if (rec->state != NGX_HTTP_TGBOT_DEDUP_DONE) {
            if (rec->state != NGX_HTTP_TGBOT_DEDUP_FREE
                && rec->block != NGX_HTTP_TGBOT_LIST_NIL)
            {
                return 0;
            }

            continue;
        }

        size = 0;

        for (n = rec->block; n != NGX_HTTP_TGBOT_LIST_NIL;
             n = area->chain.blocks[n].next)
        {
            if (n >= area->sh->chain.used || used[n]) {
                return 0;
            }

            used[n] = 1;
            total++;
            size += NGX_HTTP_TGBOT_CHAIN_DATA;
        }

        if (size < (ngx_uint_t) rec->type_len + rec->body_len) {
            return 0;
        }
    }

    return total == area->sh->chain.used
           && total <= NGX_HTTP_TGBOT_DEDUP_BLOCKS;
}


/* whether the data of a bot in the zone is sound */

static inline ngx_uint_t
seen_walk(ngx_http_tgbot_dedup_t *dedup)
{
    ngx_uint_t                   sound;
    ngx_http_tgbot_dedup_area_t  area;

    if (ngx_http_tgbot_zone_lock(dedup->zone) != NGX_OK) {
        ngx_http_tgbot_dedup_table_repair(dedup->zone);
    }

    sound = ngx_http_tgbot_dedup_table_area(dedup, &area) == NGX_OK
            && seen_walk_lists(&area)
            && seen_walk_hash(&area)
            && seen_walk_blocks(&area);

    ngx_http_tgbot_zone_unlock(dedup->zone);

    return sound;
}


static inline uint32_t
seen_random(void)
{
    static uint64_t  state = 0x243f6a8885a308d3ULL;

    state = state * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (state >> 33);
}


#endif /* _SEEN_H_INCLUDED_ */
