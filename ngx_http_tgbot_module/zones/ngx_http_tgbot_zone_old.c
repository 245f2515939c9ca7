
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"


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
