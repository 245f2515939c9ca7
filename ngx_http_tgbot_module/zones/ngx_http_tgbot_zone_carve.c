
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_zone.h"


static ngx_inline uint64_t ngx_http_tgbot_zone_sum_word(uint64_t sum,
    uint64_t word);


ngx_http_tgbot_zone_t *
ngx_http_tgbot_zone_old(ngx_http_tgbot_zone_t *zone)
{
    ngx_uint_t              i;
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

            if (shm_zone[i].tag != own->tag
                || shm_zone[i].data == NULL
                || shm_zone[i].shm.name.len != own->shm.name.len
                || ngx_memcmp(shm_zone[i].shm.name.data, own->shm.name.data,
                              own->shm.name.len)
                   != 0)
            {
                continue;
            }

            old = shm_zone[i].data;

            if (old != zone && old->sh && old->sh->kind == zone->kind->id) {
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


/* each step is a bijection of the sum: no single change of a word is missed */

uint64_t
ngx_http_tgbot_zone_sum(uint64_t sum, const void *data, size_t n)
{
    uint64_t       word;
    const u_char  *p;

    for (p = data; n >= sizeof(uint64_t); n -= sizeof(uint64_t)) {
        ngx_memcpy(&word, p, sizeof(uint64_t));
        p += sizeof(uint64_t);

        sum = ngx_http_tgbot_zone_sum_word(sum, word);
    }

    if (n) {
        word = 0;
        ngx_memcpy(&word, p, n);

        sum = ngx_http_tgbot_zone_sum_word(sum, word);
    }

    return sum;
}


static ngx_inline uint64_t
ngx_http_tgbot_zone_sum_word(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;

    return sum ^ (sum >> 32);
}
