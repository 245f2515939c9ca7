
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_bots.h"


#define ngx_http_tgbot_zone_bots_number(bots, i)                              \
    ((ngx_http_tgbot_zone_bot_t *) ((bots)->entries + (i) * (bots)->size))


static ngx_http_tgbot_zone_bot_t *ngx_http_tgbot_zone_bots_find(
    ngx_http_tgbot_zone_bots_t *bots, ngx_http_tgbot_zone_user_t *user);
static ngx_http_tgbot_zone_bot_t *ngx_http_tgbot_zone_bots_make(
    ngx_http_tgbot_zone_bots_t *bots, ngx_http_tgbot_zone_user_t *user);
static ngx_http_tgbot_zone_bot_t *ngx_http_tgbot_zone_bots_choose(
    ngx_http_tgbot_zone_bots_t *bots);
static void ngx_http_tgbot_zone_bots_bind(ngx_http_tgbot_zone_bots_t *bots,
    ngx_http_tgbot_zone_bot_t *bot, ngx_http_tgbot_zone_user_t *user,
    uint32_t generation);
static uint32_t ngx_http_tgbot_zone_bots_generation(
    ngx_http_tgbot_zone_bots_t *bots);


ngx_int_t
ngx_http_tgbot_zone_bots_init(ngx_http_tgbot_zone_bots_t *bots)
{
    uint32_t                      next;
    ngx_uint_t                    i, n;
    ngx_http_tgbot_zone_bot_t    *bot;
    ngx_http_tgbot_zone_user_t  **user;

    user = bots->zone->users.elts;
    n = bots->zone->users.nelts;

    if (n > bots->sh->n) {
        return NGX_ERROR;
    }

    bots->init = 1;

    next = ngx_http_tgbot_zone_bots_generation(bots) + 1;

    for (i = 0; i < bots->sh->used; i++) {
        ngx_http_tgbot_zone_bots_number(bots, i)->named[next & 1] = 0;
    }

    /* known bots are first, so that no new bot takes their entries */

    for (i = 0; i < n; i++) {
        user[i]->serial = 0;

        bot = ngx_http_tgbot_zone_bots_find(bots, user[i]);

        if (bot) {
            ngx_http_tgbot_zone_bots_bind(bots, bot, user[i], next);
        }
    }

    ngx_http_tgbot_zone_stop("bots: known bots named");

    for (i = 0; i < n; i++) {

        if (user[i]->serial) {
            continue;
        }

        bot = ngx_http_tgbot_zone_bots_make(bots, user[i]);

        if (bot == NULL) {
            return NGX_ERROR;
        }

        ngx_http_tgbot_zone_bots_bind(bots, bot, user[i], next);
    }

    return NGX_OK;
}


void *
ngx_http_tgbot_zone_bots_enter(ngx_http_tgbot_zone_bots_t *bots, void *user,
    ngx_uint_t named)
{
    ngx_http_tgbot_zone_bot_t  *bot;

    bots->init = 0;

    bot = ngx_http_tgbot_zone_bots_find(bots, user);

    if (bot == NULL) {
        bot = ngx_http_tgbot_zone_bots_make(bots, user);
    }

    if (bot) {
        ngx_http_tgbot_zone_bots_bind(bots, bot, user,
                        named ? ngx_http_tgbot_zone_bots_generation(bots) : 0);
    }

    return bot;
}


void *
ngx_http_tgbot_zone_bots_entry(ngx_http_tgbot_zone_bots_t *bots, void *user)
{
    ngx_http_tgbot_zone_bot_t   *bot;
    ngx_http_tgbot_zone_user_t  *u;

    u = user;

    if (u->serial == 0 || u->entry >= bots->sh->n) {
        return NULL;
    }

    bot = ngx_http_tgbot_zone_bots_number(bots, u->entry);

    return (bot->serial == u->serial) ? bot : NULL;
}


ngx_uint_t
ngx_http_tgbot_zone_bots_named(ngx_http_tgbot_zone_bots_t *bots, void *entry)
{
    uint32_t                    now;
    ngx_http_tgbot_zone_bot_t  *bot;

    bot = entry;
    now = ngx_http_tgbot_zone_bots_generation(bots);

    return bot->serial && bot->named[now & 1] == now;
}


ngx_uint_t
ngx_http_tgbot_zone_bots_spare(ngx_http_tgbot_zone_bots_t *bots, void *entry)
{
    uint32_t                    next;
    ngx_http_tgbot_zone_bot_t  *bot;

    bot = entry;
    next = ngx_http_tgbot_zone_bots_generation(bots) + 1;

    if (bot->named[next & 1] == next
        || (!bots->init && ngx_http_tgbot_zone_bots_named(bots, bot)))
    {
        return 0;
    }

    return bots->held == 0
           || *(uint32_t *) ((u_char *) bot + bots->held) == 0;
}


/* finds a bot by name and id, or by name if one of the ids is not known */

static ngx_http_tgbot_zone_bot_t *
ngx_http_tgbot_zone_bots_find(ngx_http_tgbot_zone_bots_t *bots,
    ngx_http_tgbot_zone_user_t *user)
{
    ngx_uint_t                  i;
    ngx_http_tgbot_zone_bot_t  *bot, *named;

    named = NULL;

    for (i = 0; i < bots->sh->used; i++) {
        bot = ngx_http_tgbot_zone_bots_number(bots, i);

        if (bot->serial == 0
            || bot->len != user->bot.len
            || ngx_memcmp(bot->name, user->bot.data, bot->len) != 0
            || (bots->match && !bots->match(bot, user)))
        {
            continue;
        }

        if (bot->bot_id == user->bot_id) {
            return bot;
        }

        if (named == NULL && (bot->bot_id == 0 || user->bot_id == 0)) {
            named = bot;
        }
    }

    return named;
}


/* a process that still uses the entry for another bot sees the new serial */

static ngx_http_tgbot_zone_bot_t *
ngx_http_tgbot_zone_bots_make(ngx_http_tgbot_zone_bots_t *bots,
    ngx_http_tgbot_zone_user_t *user)
{
    uint32_t                        n;
    ngx_http_tgbot_zone_bot_t      *bot;
    ngx_http_tgbot_zone_bots_sh_t  *sh;

    bot = ngx_http_tgbot_zone_bots_choose(bots);

    if (bot == NULL) {
        return NULL;
    }

    bot->serial = 0;

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("bots: entry not in use");

    ngx_memzero(bot, bots->size);

    bot->len = (uint32_t) ngx_min(user->bot.len, NGX_HTTP_TGBOT_ITEM_NAME);
    ngx_memcpy(bot->name, user->bot.data, bot->len);

    if (bots->make && bots->make(bots, bot, user) != NGX_OK) {
        return NULL;
    }

    sh = bots->sh;

    sh->serial++;

    if (sh->serial == 0) {
        sh->serial = 1;
    }

    n = ((u_char *) bot - bots->entries) / bots->size;
    sh->used = ngx_max(sh->used, n + 1);

    ngx_memory_barrier();

    ngx_http_tgbot_zone_stop("bots: entry made");

    bot->serial = sh->serial;

    return bot;
}


/* returns an entry that is not in use, or else a spare one */

static ngx_http_tgbot_zone_bot_t *
ngx_http_tgbot_zone_bots_choose(ngx_http_tgbot_zone_bots_t *bots)
{
    ngx_uint_t                  i;
    ngx_http_tgbot_zone_bot_t  *bot, *spare;

    spare = NULL;

    for (i = 0; i < bots->sh->n; i++) {
        bot = ngx_http_tgbot_zone_bots_number(bots, i);

        if (bot->serial == 0) {
            return bot;
        }

        if (!ngx_http_tgbot_zone_bots_spare(bots, bot)) {
            continue;
        }

        /* a bot whose configuration is still in use comes last */

        if (spare == NULL || !ngx_http_tgbot_zone_bots_named(bots, bot)) {
            spare = bot;
        }
    }

    return spare;
}


/* generation 0: no configuration names the bot */

static void
ngx_http_tgbot_zone_bots_bind(ngx_http_tgbot_zone_bots_t *bots,
    ngx_http_tgbot_zone_bot_t *bot, ngx_http_tgbot_zone_user_t *user,
    uint32_t generation)
{
    if (user->bot_id) {
        bot->bot_id = user->bot_id;
    }

    if (generation) {
        bot->named[generation & 1] = generation;
    }

    user->entry = ((u_char *) bot - bots->entries) / bots->size;
    user->serial = bot->serial;
}


/* the current generation; never 0, as 0 in "named" means not named */

static uint32_t
ngx_http_tgbot_zone_bots_generation(ngx_http_tgbot_zone_bots_t *bots)
{
    return (uint32_t) bots->zone->sh->generation + 1;
}
