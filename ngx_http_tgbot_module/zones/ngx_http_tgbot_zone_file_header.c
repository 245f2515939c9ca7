
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_dir.h"
#include "ngx_http_tgbot_zone_file.h"
#include "ngx_http_tgbot_zone_file_header.h"


#define ngx_http_tgbot_zone_file_time_sum(t)                                  \
    ngx_http_tgbot_zone_sum(1, t, offsetof(ngx_http_tgbot_zone_time_t, sum))


static ngx_int_t ngx_http_tgbot_zone_file_check(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found);
static ngx_int_t ngx_http_tgbot_zone_file_check_kind(
    ngx_http_tgbot_zone_t *zone, ngx_http_tgbot_zone_found_t *found);


ngx_int_t
ngx_http_tgbot_zone_file_look(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found, ngx_uint_t write)
{
    int         flags;
    ssize_t     n;
    ngx_int_t   rc;
    ngx_err_t   err;

    (void) ngx_snprintf(found->path, NGX_MAX_PATH, "%V/%V%s%Z",
                        &zone->state->path, &zone->shm_zone->shm.name,
                        NGX_HTTP_TGBOT_ZONE_FILE_ZONE);

    flags = O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK;

    found->fd = open((char *) found->path,
                     write ? flags|O_RDWR : flags|O_RDONLY);

    if (found->fd == NGX_INVALID_FILE) {
        err = ngx_errno;

        if (err == NGX_ENOENT || err == NGX_ENOTDIR) {
            return NGX_DONE;
        }

        ngx_log_error(NGX_LOG_EMERG, zone->log, err,
                      "zone \"%V\" could not open \"%s\", expected a regular "
                      "file, and no link, that nginx may read and write",
                      &zone->shm_zone->shm.name, found->path);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_fd_info(found->fd, &found->fi) == NGX_FILE_ERROR
        || !ngx_is_file(&found->fi))
    {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" found that \"%s\" is no regular file, "
                      "expected one that \"tgbot_state\" made",
                      &zone->shm_zone->shm.name, found->path);
        goto done;
    }

    n = pread(found->fd, &found->header, sizeof(found->header), 0);

    if (n != (ssize_t) sizeof(found->header)) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, (n == -1) ? ngx_errno : 0,
                      "zone \"%V\" could not read the header of \"%s\", which "
                      "has %O bytes, expected a zone; to begin empty, move the "
                      "file away", &zone->shm_zone->shm.name, found->path,
                      ngx_file_size(&found->fi));
        goto done;
    }

    rc = ngx_http_tgbot_zone_file_check(zone, found);

done:

    if (rc == NGX_ERROR) {
        (void) ngx_close_file(found->fd);
    }

    return rc;
}


static ngx_int_t
ngx_http_tgbot_zone_file_check(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found)
{
    ngx_http_tgbot_zone_header_t  *header;

    header = &found->header;

    if (ngx_memcmp(header->magic, NGX_HTTP_TGBOT_ZONE_FILE_MAGIC,
                   sizeof(header->magic))
        != 0
        || header->order != NGX_HTTP_TGBOT_ZONE_FILE_ORDER
        || header->word != sizeof(size_t)
        || header->sum != ngx_http_tgbot_zone_file_sum(header)
        || header->kind[sizeof(header->kind) - 1] != '\0')
    {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" found that \"%s\" is no zone, or one of "
                      "another kind of machine, or damaged, expected a zone; "
                      "to begin empty, move the file away",
                      &zone->shm_zone->shm.name, found->path);
        return NGX_ERROR;
    }

    if ((uint64_t) ngx_file_size(&found->fi) != header->size) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" found that \"%s\" has %O bytes, expected "
                      "%uL; to begin empty, move the file away",
                      &zone->shm_zone->shm.name, found->path,
                      ngx_file_size(&found->fi), header->size);
        return NGX_ERROR;
    }

    return ngx_http_tgbot_zone_file_check_kind(zone, found);
}


static ngx_int_t
ngx_http_tgbot_zone_file_check_kind(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found)
{
    ngx_http_tgbot_zone_header_t  *header;

    header = &found->header;

    if (!ngx_http_tgbot_zone_same(header->kind, zone->kind)) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" found that \"%s\" is a %s zone, expected a "
                      "%s zone, or another name for it in %s:%ui",
                      &zone->shm_zone->shm.name, found->path, header->kind,
                      zone->kind->name, zone->file, zone->line);
        return NGX_ERROR;
    }

    if (header->id != zone->kind->id) {

        if (zone->kind->file != NGX_HTTP_TGBOT_ZONE_KEEP) {
            return NGX_DECLINED;
        }

        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" found that \"%s\" has layout %uL, expected "
                      "%uD; the version of the module that made the file has "
                      "to work it empty, or move the file away to begin empty",
                      &zone->shm_zone->shm.name, found->path, header->id,
                      zone->kind->id);
        return NGX_ERROR;
    }

    return (header->size == ngx_http_tgbot_zone_file_size(zone)) ? NGX_OK
                                                                 : NGX_AGAIN;
}


ngx_http_tgbot_zone_time_t *
ngx_http_tgbot_zone_file_time(ngx_http_tgbot_zone_header_t *header)
{
    ngx_uint_t                   i;
    ngx_http_tgbot_zone_time_t  *t, *time;

    time = NULL;

    for (i = 0; i < 2; i++) {
        t = &header->time[i];

        if (t->serial && t->sum == ngx_http_tgbot_zone_file_time_sum(t)
            && (time == NULL || t->serial > time->serial))
        {
            time = t;
        }
    }

    return time;
}


ngx_http_tgbot_zone_found_e
ngx_http_tgbot_zone_file_clock(ngx_http_tgbot_zone_t *zone, ngx_file_info_t *fi)
{
    uint64_t                       now;
    ngx_uint_t                     same;
    ngx_http_tgbot_zone_time_t    *time, *other;
    ngx_http_tgbot_zone_found_e    found;
    ngx_http_tgbot_zone_header_t  *header;

    header = zone->map->header;

    time = ngx_http_tgbot_zone_file_time(header);

    same = time && time->boot[0]
           && ngx_strcmp(time->boot, zone->map->dir->boot) == 0;

    found = (header->clean == 1) ? NGX_HTTP_TGBOT_ZONE_KEPT
            : (header->clean || !same) ? NGX_HTTP_TGBOT_ZONE_TORN
            : ngx_http_tgbot_zone_dir_found(zone->map->dir,
                                            &zone->shm_zone->shm.name, fi);

    if (found == NGX_HTTP_TGBOT_ZONE_TORN) {
        header->clean = NGX_HTTP_TGBOT_ZONE_FILE_TORN;
        ngx_memory_barrier();
    }

    if (!same) {
        now = ngx_http_tgbot_zone_wall() - header->base;

        if ((int64_t) (now - header->seen) < 0) {
            now = header->seen;
        }

        other = (time == &header->time[0]) ? &header->time[1]
                                           : &header->time[0];

        other->serial = 0;
        other->offset = now - ngx_current_msec;
        ngx_memcpy(other->boot, zone->map->dir->boot,
                   NGX_HTTP_TGBOT_ZONE_BOOT);

        ngx_memory_barrier();

        other->serial = time ? time->serial + 1 : 1;
        other->sum = ngx_http_tgbot_zone_file_time_sum(other);

        time = other;
    }

    zone->offset = (ngx_msec_t) time->offset;

    ngx_http_tgbot_zone_file_tick(header);

    /* on disk before a change: else a crash would be taken for clean */

    if (header->clean == 1) {
        header->clean = 0;

        (void) msync(header, NGX_HTTP_TGBOT_ZONE_FILE_HEADER, MS_SYNC);
    }

    return found;
}


void
ngx_http_tgbot_zone_file_tick(ngx_http_tgbot_zone_header_t *header)
{
    uint64_t  now;

    now = ngx_current_msec + ngx_http_tgbot_zone_file_time(header)->offset;

    header->seen = now;
    header->base = ngx_http_tgbot_zone_wall() - now;
}
