
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_zone.h"


static ngx_http_tgbot_zone_t *ngx_http_tgbot_zone_running(
    ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_zone_t *after,
    ngx_uint_t named);


ngx_http_tgbot_zone_t *
ngx_http_tgbot_zone_old(ngx_http_tgbot_zone_t *zone)
{
    return ngx_http_tgbot_zone_running(zone, NULL, 1);
}


ngx_http_tgbot_zone_t *
ngx_http_tgbot_zone_other(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *after)
{
    return ngx_http_tgbot_zone_running(zone, after, 0);
}


/*
 * The next zone of the running cycle that has the kind and the name, or the
 * kind and another name
 */

static ngx_http_tgbot_zone_t *
ngx_http_tgbot_zone_running(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *after, ngx_uint_t named)
{
    ngx_uint_t              i, same;
    ngx_shm_zone_t         *own, *shm_zone;
    ngx_list_part_t        *part;
    ngx_http_tgbot_zone_t  *old;

    own = zone->shm_zone;

    for (part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;
         part;
         part = part->next)
    {
        shm_zone = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (shm_zone[i].tag != own->tag || shm_zone[i].data == NULL) {
                continue;
            }

            old = shm_zone[i].data;

            if (old == after) {
                after = NULL;
                continue;
            }

            same = shm_zone[i].shm.name.len == own->shm.name.len
                   && ngx_memcmp(shm_zone[i].shm.name.data,
                                 own->shm.name.data, own->shm.name.len)
                      == 0;

            if (after == NULL && same == named && old != zone && old->sh
                && ngx_http_tgbot_zone_same(old->kind->name, zone->kind)
                && old->sh->kind == zone->kind->id)
            {
                return old;
            }
        }
    }

    return NULL;
}


/* the header of the slab pool takes a page and a bit more */

size_t
ngx_http_tgbot_zone_needs(size_t room)
{
    size_t  pages;

    room += NGX_HTTP_TGBOT_ZONE_RT
            + ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE);

    pages = (room + ngx_pagesize - 1) / ngx_pagesize;
    pages = ngx_max(pages, 6);

    return (pages + 2) * ngx_pagesize
           + ngx_align(pages * sizeof(ngx_slab_page_t), ngx_pagesize);
}


void
ngx_http_tgbot_zone_seed(uint64_t *seed, size_t n, ngx_log_t *log)
{
    size_t          i;
    ssize_t         len;
    ngx_fd_t        fd;
    u_char          hash[16];
    ngx_md5_t       md5;
    struct timeval  now;

    len = 0;

    fd = ngx_open_file("/dev/urandom", NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd != NGX_INVALID_FILE) {
        len = ngx_read_fd(fd, seed, n * sizeof(uint64_t));

        (void) ngx_close_file(fd);
    }

    if (len == (ssize_t) (n * sizeof(uint64_t))) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "tgbot: could not read \"/dev/urandom\", the time is used");

    for (i = 0; i < n; i++) {
        ngx_gettimeofday(&now);

        ngx_md5_init(&md5);
        ngx_md5_update(&md5, &i, sizeof(size_t));
        ngx_md5_update(&md5, &now, sizeof(struct timeval));
        ngx_md5_update(&md5, &seed, sizeof(uint64_t *));
        ngx_md5_final(hash, &md5);

        ngx_memcpy(&seed[i], hash, sizeof(uint64_t));
    }
}


/*
 * Finds what a lost page does: any change of one word changes the checksum, as
 * the factor is odd.  It need not withstand an attacker, who cannot write here.
 */

uint64_t
ngx_http_tgbot_zone_sum(uint64_t sum, const void *p, size_t n)
{
    uint64_t       word;
    const u_char  *bytes;

    for (bytes = p; n >= sizeof(uint64_t); n -= sizeof(uint64_t)) {
        ngx_memcpy(&word, bytes, sizeof(uint64_t));

        sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
        sum ^= sum >> 32;

        bytes += sizeof(uint64_t);
    }

    if (n) {
        word = n;
        ngx_memcpy((u_char *) &word + 1, bytes, n);

        sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
        sum ^= sum >> 32;
    }

    return sum;
}
