
/*
 * The directory of a zone: an array of entries, one for each bot that the zone
 * knows.  A bot keeps its entry over reloads.  When entries are short, a bot
 * that is new takes the entry of one that no configuration names.
 *
 * All functions are called with the zone locked, except where a comment says
 * otherwise, and do not log.
 */

#ifndef _NGX_HTTP_TGBOT_ZONE_BOTS_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ZONE_BOTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_item.h"
#include "ngx_http_tgbot_zone.h"


/* a bot that uses a zone: structures in zone->users begin with this */

typedef struct {
    ngx_http_tgbot_zone_t            *zone;
    ngx_str_t                         bot;      /* name, up to 32 bytes */
    uint64_t                          bot_id;   /* from token, 0: unknown */

    /* set by the directory */

    ngx_uint_t                        entry;    /* index */
    uint32_t                          serial;   /* of the entry */
} ngx_http_tgbot_zone_user_t;


/* the entry of a bot: the kind's own begins with this, and only reads it */

typedef struct {
    u_char                            name[NGX_HTTP_TGBOT_ITEM_NAME];
    uint64_t                          bot_id;
    uint32_t                          len;      /* of the name */
    uint32_t                          serial;   /* 0: not in use */

    /* last two generations of the configuration that name the bot */

    uint32_t                          named[2];
} ngx_http_tgbot_zone_bot_t;


/* in shared memory; zeroed together with the entries when a zone is carved */

typedef struct {
    uint32_t                          n;        /* entries, never changes */
    uint32_t                          used;     /* entries from this index on
                                                   were never used */
    uint32_t                          serial;   /* the last one given */
} ngx_http_tgbot_zone_bots_sh_t;


typedef struct ngx_http_tgbot_zone_bots_s  ngx_http_tgbot_zone_bots_t;

/* in the memory of a process; the kind sets all but the last member */

struct ngx_http_tgbot_zone_bots_s {
    ngx_http_tgbot_zone_t            *zone;
    ngx_http_tgbot_zone_bots_sh_t    *sh;
    u_char                           *entries;
    size_t                            size;     /* of an entry */

    /*
     * offset of a uint32_t in an entry, which is not given to another bot
     * while this is not 0; an offset of 0: there is none
     */
    size_t                            held;

    /*
     * whether an entry that has the user's name may be the user's; NULL: it
     * always may
     */
    ngx_uint_t                      (*match)(void *entry, void *user);

    /*
     * Fills in what the kind keeps in an entry that a new bot takes; it is
     * zeroed.  NGX_ERROR: there is no room.  NULL: zeros are right.
     */
    ngx_int_t                       (*make)(ngx_http_tgbot_zone_bots_t *bots,
                                         void *entry, void *user);

    unsigned                          init:1;
};


/*
 * Finds or makes the entries of zone->users, in the init callback.  Marks them
 * as named by the new configuration, from the zone's next generation on,
 * because the configuration may still be refused.
 * NGX_ERROR: there are too few entries, or make() found no room.
 */
ngx_int_t ngx_http_tgbot_zone_bots_init(ngx_http_tgbot_zone_bots_t *bots);

/*
 * Finds or makes the entry of one bot in a running process, and sets entry and
 * serial of the user.  "named": the current configuration names the bot.
 * NULL: no entry is spare, or make() found no room.
 */
void *ngx_http_tgbot_zone_bots_enter(ngx_http_tgbot_zone_bots_t *bots,
    void *user, ngx_uint_t named);

/*
 * Returns the entry of a user.  NULL: the entry belongs to another bot now.
 * May also be called without the lock.
 */
void *ngx_http_tgbot_zone_bots_entry(ngx_http_tgbot_zone_bots_t *bots,
    void *user);

/* whether the current configuration names the entry's bot */
ngx_uint_t ngx_http_tgbot_zone_bots_named(ngx_http_tgbot_zone_bots_t *bots,
    void *entry);

/*
 * For make(): whether an entry in use may be given to another bot.  In init()
 * the bots that only the current configuration names may lose their entries.
 */
ngx_uint_t ngx_http_tgbot_zone_bots_spare(ngx_http_tgbot_zone_bots_t *bots,
    void *entry);


#endif /* _NGX_HTTP_TGBOT_ZONE_BOTS_H_INCLUDED_ */
