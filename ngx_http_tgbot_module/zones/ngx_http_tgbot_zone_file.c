
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_dir.h"
#include "ngx_http_tgbot_zone_file.h"


/* bytes of the shared memory that nginx makes for a zone that is a file */
#define NGX_HTTP_TGBOT_ZONE_FILE_SHM    (8 * ngx_pagesize)

/* how often the first worker looks after the files, ms */
#define NGX_HTTP_TGBOT_ZONE_FILE_WATCH  10000

/* ends of names: of a file that is being made, and of one set aside */
#define NGX_HTTP_TGBOT_ZONE_FILE_NEW    ".new"
#define NGX_HTTP_TGBOT_ZONE_FILE_OLD    ".old"


static ngx_int_t ngx_http_tgbot_zone_file_name(ngx_conf_t *cf,
    ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_zone_file_enter(ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_zone_file_test(ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_zone_file_share(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_map_t *map);
static ngx_int_t ngx_http_tgbot_zone_file_join(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_entry_t *entry);
static ngx_int_t ngx_http_tgbot_zone_file_open(ngx_http_tgbot_zone_t *zone);
static ngx_int_t ngx_http_tgbot_zone_file_fill(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found);
static ngx_int_t ngx_http_tgbot_zone_file_start(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found);
static ngx_int_t ngx_http_tgbot_zone_file_resize(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found);
static ngx_int_t ngx_http_tgbot_zone_file_make(ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_zone_file_describe(ngx_http_tgbot_zone_t *zone);
static ngx_http_tgbot_zone_map_t *ngx_http_tgbot_zone_file_map(
    ngx_http_tgbot_zone_t *zone, ngx_fd_t fd, size_t size, u_char *path);
static void ngx_http_tgbot_zone_file_contents(ngx_http_tgbot_zone_t *zone);
static void ngx_http_tgbot_zone_file_leave(void *data);
static void ngx_http_tgbot_zone_file_free(ngx_http_tgbot_zone_map_t *map);
static ngx_int_t ngx_http_tgbot_zone_file_rename(
    ngx_http_tgbot_zone_map_t *map, ngx_log_t *log);
static void ngx_http_tgbot_zone_file_others(ngx_http_tgbot_zone_dir_t *dir,
    ngx_log_t *log);
static ngx_uint_t ngx_http_tgbot_zone_file_ends(ngx_str_t *name,
    const char *end);
static void ngx_http_tgbot_zone_file_watch(ngx_event_t *ev);
static ngx_int_t ngx_http_tgbot_zone_file_sync(ngx_array_t *zones);


/* of this process */
static ngx_http_tgbot_zone_map_t  *ngx_http_tgbot_zone_maps;
static ngx_event_t                 ngx_http_tgbot_zone_file_timer;


ngx_int_t
ngx_http_tgbot_zone_file_use(ngx_conf_t *cf, ngx_array_t *zones,
    ngx_str_t *path)
{
    u_char                        *other;
    ngx_uint_t                     i;
    ngx_http_tgbot_zone_t        **zone;
    ngx_http_tgbot_zone_state_t   *state;

    other = zones->nelts ? ngx_http_tgbot_zone_dir_other(path) : NULL;

    if (other) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tgbot_state\" is \"%V\", expected \"%s\", which the "
                      "running nginx uses, until it is stopped", path, other);
        return NGX_ERROR;
    }

    if (path->len == 0) {
        return NGX_OK;
    }

    state = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_zone_state_t));
    if (state == NULL) {
        return NGX_ERROR;
    }

    state->path = *path;
    state->zones = zones;
    state->pool = cf->pool;

    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {

        if (zone[i]->kind->file == NGX_HTTP_TGBOT_ZONE_NO_FILE) {
            continue;
        }

        if (ngx_http_tgbot_zone_file_name(cf, zone[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        zone[i]->state = state;
        zone[i]->shm_zone->shm.size = NGX_HTTP_TGBOT_ZONE_FILE_SHM;
    }

    return ngx_test_config ? ngx_http_tgbot_zone_dir_test(path, cf->log)
                           : NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_zone_file_name(ngx_conf_t *cf, ngx_http_tgbot_zone_t *zone)
{
    size_t      i;
    ngx_str_t  *name;

    static u_char  allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";

    name = &zone->shm_zone->shm.name;

    for (i = 0; i < name->len; i++) {
        if (ngx_strlchr(allowed, allowed + sizeof(allowed) - 1,
                        ngx_tolower(name->data[i]))
            == NULL)
        {
            break;
        }
    }

    if (i == name->len && name->len <= NGX_HTTP_TGBOT_ZONE_FILE_NAME) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "invalid zone \"%V\" in \"%V\" directive: with "
                  "\"tgbot_state\" it is a file, expected a name of up to %d "
                  "characters of \"A-Za-z0-9_.-\" in %s:%ui",
                  name, &zone->directive, NGX_HTTP_TGBOT_ZONE_FILE_NAME,
                  zone->file, zone->line);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_zone_file_init(ngx_http_tgbot_zone_t *zone)
{
    u_char                        path[NGX_MAX_PATH];
    ngx_http_tgbot_zone_map_t    *map;
    ngx_http_tgbot_zone_entry_t  *entry;

    if (ngx_test_config) {
        return ngx_http_tgbot_zone_file_test(zone);
    }

    if (ngx_http_tgbot_zone_file_enter(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    (void) ngx_snprintf(path, NGX_MAX_PATH, "%s/%V%s%Z",
                        zone->state->dir->path, &zone->shm_zone->shm.name,
                        NGX_HTTP_TGBOT_ZONE_FILE_ZONE);

    for (map = ngx_http_tgbot_zone_maps; map; map = map->next) {
        if (ngx_strcmp(map->path, path) == 0) {
            return ngx_http_tgbot_zone_file_share(zone, map);
        }
    }

    entry = ngx_http_tgbot_zone_dir_entry(zone->state->dir,
                                          &zone->shm_zone->shm.name);

    return entry ? ngx_http_tgbot_zone_file_join(zone, entry)
                 : ngx_http_tgbot_zone_file_open(zone);
}


/* looks at all files before the first one is changed */

static ngx_int_t
ngx_http_tgbot_zone_file_enter(ngx_http_tgbot_zone_t *zone)
{
    ngx_int_t                      rc;
    ngx_uint_t                     i;
    ngx_http_tgbot_zone_t        **zones;
    ngx_http_tgbot_zone_state_t   *state;
    ngx_http_tgbot_zone_found_t    found;

    state = zone->state;

    if (state->dir) {
        return NGX_OK;
    }

    zones = state->zones->elts;

    if (!ngx_http_tgbot_zone_dir_entered(&state->path)) {

        for (i = 0; i < state->zones->nelts; i++) {

            if (zones[i]->state == NULL) {
                continue;
            }

            rc = ngx_http_tgbot_zone_file_look(zones[i], &found, 0);

            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (rc != NGX_DONE) {
                (void) ngx_close_file(found.fd);
            }
        }
    }

    state->dir = ngx_http_tgbot_zone_dir_enter(&state->path,
                                               state->zones->nelts,
                                               state->pool, zone->log);

    return state->dir ? NGX_OK : NGX_ERROR;
}


/* "nginx -t": the zone is in memory of this process */

static ngx_int_t
ngx_http_tgbot_zone_file_test(ngx_http_tgbot_zone_t *zone)
{
    size_t                        size;
    u_char                       *p;
    ngx_int_t                     rc;
    ngx_http_tgbot_zone_found_t   found;

    rc = ngx_http_tgbot_zone_file_look(zone, &found, 0);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_DONE) {
        (void) ngx_close_file(found.fd);
    }

    size = ngx_http_tgbot_zone_file_size(zone);

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_PRIVATE, -1, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, ngx_errno,
                      "mmap(%uz) failed", size);
        return NGX_ERROR;
    }

    zone->rt = (ngx_http_tgbot_zone_rt_t *) p;

    if (ngx_http_tgbot_zone_make_rt(zone->rt, zone->log) != NGX_OK) {
        return NGX_ERROR;
    }

    zone->sh = (ngx_http_tgbot_zone_sh_t *)
                   (p + NGX_HTTP_TGBOT_ZONE_FILE_HEADER);
    zone->sh->kind = zone->kind->id;
    zone->sh->size = size - NGX_HTTP_TGBOT_ZONE_FILE_HEADER;

    return zone->kind->init(zone, 1);
}


/* a cycle before uses the file */

static ngx_int_t
ngx_http_tgbot_zone_file_share(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_map_t *map)
{
    ngx_pool_cleanup_t            *cln;
    ngx_http_tgbot_zone_header_t  *header;

    header = map->header;

    if (!ngx_http_tgbot_zone_same(header->kind, zone->kind)
        || header->id != zone->kind->id)
    {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" is a %s zone now, expected another name "
                      "for a %s zone in %s:%ui",
                      &zone->shm_zone->shm.name, header->kind,
                      zone->kind->name, zone->file, zone->line);
        return NGX_ERROR;
    }

    if (header->size != ngx_http_tgbot_zone_file_size(zone)) {

        if (zone->kind->file == NGX_HTTP_TGBOT_ZONE_KEEP) {
            ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                          "zone \"%V\" is a file of %uLk, expected that its "
                          "size stays until nginx is stopped, in %s:%ui",
                          &zone->shm_zone->shm.name, header->size / 1024,
                          zone->file, zone->line);
            return NGX_ERROR;
        }

        return ngx_http_tgbot_zone_file_make(zone);
    }

    cln = ngx_pool_cleanup_add(zone->state->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_tgbot_zone_file_leave;
    cln->data = map;

    map->refs++;

    zone->map = map;
    zone->rt = &map->entry->rt;
    zone->offset = (ngx_msec_t) ngx_http_tgbot_zone_file_time(header)->offset;

    ngx_http_tgbot_zone_file_contents(zone);

    return zone->kind->init(zone, 0);
}


/* another master uses the file */

static ngx_int_t
ngx_http_tgbot_zone_file_join(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_entry_t *entry)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_zone_map_t    *map;
    ngx_http_tgbot_zone_found_t   found;

    rc = ngx_http_tgbot_zone_file_look(zone, &found, 1);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DONE || found.fi.st_dev != entry->device
        || found.fi.st_ino != entry->inode)
    {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" found that \"%s\" is not the file that the "
                      "running nginx uses, it was deleted or replaced, "
                      "expected a restart of nginx",
                      &zone->shm_zone->shm.name, found.path);
        rc = NGX_ERROR;

    } else if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" is a file of %uLk and layout %uL that the "
                      "running nginx uses, expected %uzk and layout %uD, or a "
                      "restart of nginx, in %s:%ui",
                      &zone->shm_zone->shm.name, found.header.size / 1024,
                      found.header.id, zone->size / 1024, zone->kind->id,
                      zone->file, zone->line);
        rc = NGX_ERROR;
    }

    map = NULL;

    if (rc == NGX_OK) {
        map = ngx_http_tgbot_zone_file_map(zone, found.fd,
                                           (size_t) found.header.size,
                                           found.path);
    } else if (rc == NGX_ERROR && found.fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(found.fd);
    }

    if (map == NULL) {
        return NGX_ERROR;
    }

    map->entry = entry;

    zone->rt = &entry->rt;
    zone->offset = (ngx_msec_t)
                       ngx_http_tgbot_zone_file_time(map->header)->offset;

    ngx_http_tgbot_zone_file_contents(zone);

    return zone->kind->init(zone, 0);
}


/* no process uses the file, if there is one */

static ngx_int_t
ngx_http_tgbot_zone_file_open(ngx_http_tgbot_zone_t *zone)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_zone_found_t  found;

    rc = ngx_http_tgbot_zone_file_look(zone, &found, 1);

    if ((rc == NGX_OK || rc == NGX_AGAIN)
        && ngx_http_tgbot_zone_file_fill(zone, &found) != NGX_OK)
    {
        rc = NGX_ERROR;
    }

    switch (rc) {

    case NGX_OK:
        return ngx_http_tgbot_zone_file_start(zone, &found);

    case NGX_AGAIN:
        return ngx_http_tgbot_zone_file_resize(zone, &found);

    case NGX_DECLINED:
        (void) ngx_close_file(found.fd);

        ngx_log_error(NGX_LOG_WARN, zone->log, 0,
                      "tgbot: zone \"%V\" begins empty, as \"%s\" is of "
                      "another version of the module; the file is set aside",
                      &zone->shm_zone->shm.name, found.path);
        break;

    case NGX_DONE:
        break;

    default: /* NGX_ERROR */
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_zone_file_make(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    zone->map->aside = (rc == NGX_DECLINED);

    return NGX_OK;
}


/* a copy of a file may have holes where there were zeros */

static ngx_int_t
ngx_http_tgbot_zone_file_fill(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found)
{
    ngx_err_t  err;

    err = ngx_http_tgbot_zone_dir_allocate(found->fd,
                                           (size_t) found->header.size);
    if (err == 0) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, zone->log, err,
                  "zone \"%V\" could not fill the holes of \"%s\" of %uLk, "
                  "expected a local file system with so much room",
                  &zone->shm_zone->shm.name, found->path,
                  found->header.size / 1024);

    (void) ngx_close_file(found->fd);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_tgbot_zone_file_start(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found)
{
    ngx_http_tgbot_zone_map_t    *map;
    ngx_http_tgbot_zone_found_e   how;

    map = ngx_http_tgbot_zone_file_map(zone, found->fd,
                                       (size_t) found->header.size,
                                       found->path);
    if (map == NULL) {
        return NGX_ERROR;
    }

    map->entry = ngx_http_tgbot_zone_dir_add(map->dir,
                                             &zone->shm_zone->shm.name,
                                             &found->fi, zone->log);
    if (map->entry == NULL) {
        return NGX_ERROR;
    }

    map->added = 1;

    zone->rt = &map->entry->rt;

    how = ngx_http_tgbot_zone_file_clock(zone, &found->fi);

    ngx_http_tgbot_zone_file_contents(zone);

    zone->sh->generation = 0;

    if (zone->kind->open == NULL) {
        return zone->kind->init(zone, 1);
    }

    zone->kind->open(zone, how);

    zone->opened = 1;

    return zone->kind->init(zone, 0);
}


/* what is in a file of another size is copied */

static ngx_int_t
ngx_http_tgbot_zone_file_resize(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found)
{
    ngx_int_t                    rc;
    ngx_http_tgbot_zone_t        old;
    ngx_http_tgbot_zone_rt_t     rt;
    ngx_http_tgbot_zone_found_e  how;

    if (zone->kind->copy == NULL) {
        (void) ngx_close_file(found->fd);

        if (zone->kind->file == NGX_HTTP_TGBOT_ZONE_KEEP) {
            ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                          "zone \"%V\" is a file of %uLk, expected this size "
                          "in %s:%ui", &zone->shm_zone->shm.name,
                          found->header.size / 1024, zone->file, zone->line);
            return NGX_ERROR;
        }

        if (zone->kind->open) {
            ngx_log_error(NGX_LOG_WARN, zone->log, 0,
                          "tgbot: zone \"%V\" begins empty, as its size was "
                          "%uLk", &zone->shm_zone->shm.name,
                          found->header.size / 1024);
        }

        return ngx_http_tgbot_zone_file_make(zone);
    }

    if (ngx_http_tgbot_zone_make_rt(&rt, zone->log) != NGX_OK) {
        (void) ngx_close_file(found->fd);
        return NGX_ERROR;
    }

    old = *zone;
    old.rt = &rt;

    if (ngx_http_tgbot_zone_file_map(&old, found->fd,
                                     (size_t) found->header.size, found->path)
        == NULL)
    {
        return NGX_ERROR;
    }

    how = ngx_http_tgbot_zone_file_clock(&old, &found->fi);

    ngx_http_tgbot_zone_file_contents(&old);

    old.sh->generation = 0;

    zone->kind->open(&old, how);

    rc = ngx_http_tgbot_zone_file_make(zone);

    if (rc == NGX_OK) {
        rc = zone->kind->copy(zone, &old);

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                          "zone \"%V\" of %uzk has no room for what is in "
                          "\"%s\" of %uLk, expected this size in %s:%ui",
                          &zone->shm_zone->shm.name, zone->size / 1024,
                          found->path, found->header.size / 1024,
                          zone->file, zone->line);
        }
    }

    zone->opened = 1;

    return rc;
}


static ngx_int_t
ngx_http_tgbot_zone_file_make(ngx_http_tgbot_zone_t *zone)
{
    size_t                      size;
    u_char                      name[NGX_MAX_PATH], path[NGX_MAX_PATH];
    ngx_fd_t                    fd;
    ngx_err_t                   err;
    ngx_file_info_t             fi;
    ngx_http_tgbot_zone_map_t  *map;

    size = ngx_http_tgbot_zone_file_size(zone);

    (void) ngx_snprintf(path, NGX_MAX_PATH, "%V/%V%s%Z", &zone->state->path,
                        &zone->shm_zone->shm.name,
                        NGX_HTTP_TGBOT_ZONE_FILE_ZONE);
    (void) ngx_snprintf(name, NGX_MAX_PATH, "%s%s%Z", path,
                        NGX_HTTP_TGBOT_ZONE_FILE_NEW);

    (void) ngx_delete_file(name);

    fd = open((char *) name, O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);

    err = (fd == NGX_INVALID_FILE)
              ? ngx_errno : ngx_http_tgbot_zone_dir_allocate(fd, size);

    if (err == 0 && ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        err = ngx_errno;
    }

    if (err) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, err,
                      "zone \"%V\" could not make \"%s\" of %uzk, expected "
                      "a directory on a local file system with so much room",
                      &zone->shm_zone->shm.name, name, size / 1024);

        if (fd != NGX_INVALID_FILE) {
            (void) ngx_close_file(fd);
            (void) ngx_delete_file(name);
        }

        return NGX_ERROR;
    }

    map = ngx_http_tgbot_zone_file_map(zone, fd, size, path);

    if (map == NULL) {
        (void) ngx_delete_file(name);
        return NGX_ERROR;
    }

    map->made = 1;

    map->entry = ngx_http_tgbot_zone_dir_add(map->dir,
                                             &zone->shm_zone->shm.name, &fi,
                                             zone->log);
    if (map->entry == NULL) {
        return NGX_ERROR;
    }

    map->added = 1;

    zone->rt = &map->entry->rt;

    ngx_http_tgbot_zone_stop("file: entry added");

    ngx_http_tgbot_zone_file_describe(zone);

    (void) ngx_http_tgbot_zone_file_clock(zone, &fi);

    ngx_http_tgbot_zone_file_contents(zone);

    return zone->kind->init(zone, 1);
}


/* fills in the header of a new file */

static void
ngx_http_tgbot_zone_file_describe(ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_zone_header_t  *header;

    header = zone->map->header;

    ngx_memcpy(header->magic, NGX_HTTP_TGBOT_ZONE_FILE_MAGIC,
               sizeof(header->magic));
    header->order = NGX_HTTP_TGBOT_ZONE_FILE_ORDER;
    header->word = sizeof(size_t);
    (void) ngx_cpystrn(header->kind, (u_char *) zone->kind->name,
                       sizeof(header->kind));
    header->id = zone->kind->id;
    header->size = zone->map->size;
    header->sum = ngx_http_tgbot_zone_file_sum(header);

    /* times begin with those of this boot */

    header->base = ngx_http_tgbot_zone_wall() - ngx_current_msec;
}


/* takes fd; NULL: logged */

static ngx_http_tgbot_zone_map_t *
ngx_http_tgbot_zone_file_map(ngx_http_tgbot_zone_t *zone, ngx_fd_t fd,
    size_t size, u_char *path)
{
    void                       *addr;
    size_t                      len;
    ngx_pool_cleanup_t         *cln;
    ngx_http_tgbot_zone_map_t  *map;

    len = ngx_strlen(path) + 1;
    map = NULL;
    addr = MAP_FAILED;

    cln = ngx_pool_cleanup_add(zone->state->pool, 0);

    if (cln) {
        map = ngx_calloc(sizeof(ngx_http_tgbot_zone_map_t) + len, zone->log);
    }

    if (map) {
        addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

        if (addr == MAP_FAILED) {
            ngx_log_error(NGX_LOG_EMERG, zone->log, ngx_errno,
                          "zone \"%V\" could not map \"%s\", expected a local "
                          "file system", &zone->shm_zone->shm.name, path);
            ngx_free(map);
        }
    }

    if (addr == MAP_FAILED || zone->kind->file != NGX_HTTP_TGBOT_ZONE_KEEP) {
        (void) ngx_close_file(fd);
        fd = NGX_INVALID_FILE;
    }

    if (addr == MAP_FAILED) {
        return NULL;
    }

    /*
     * Where it is allowed: else a worker may wait for pages that the kernel
     * reads again.  Other zones have much room that is never used.
     */

    if (zone->kind->file == NGX_HTTP_TGBOT_ZONE_KEEP) {
        (void) mlock(addr, size);
    }

    map->fd = fd;
    map->header = addr;
    map->size = size;
    map->dir = zone->state->dir;
    map->path = (u_char *) map + sizeof(ngx_http_tgbot_zone_map_t);
    ngx_memcpy(map->path, path, len);

    map->refs = 1;
    map->next = ngx_http_tgbot_zone_maps;
    ngx_http_tgbot_zone_maps = map;

    cln->handler = ngx_http_tgbot_zone_file_leave;
    cln->data = map;

    zone->map = map;

    return map;
}


static void
ngx_http_tgbot_zone_file_contents(ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_zone_map_t  *map;

    map = zone->map;

    zone->sh = (ngx_http_tgbot_zone_sh_t *)
                   ((u_char *) map->header + NGX_HTTP_TGBOT_ZONE_FILE_HEADER);

    zone->sh->kind = zone->kind->id;
    zone->sh->size = map->size - NGX_HTTP_TGBOT_ZONE_FILE_HEADER;
}


static void
ngx_http_tgbot_zone_file_leave(void *data)
{
    ngx_http_tgbot_zone_map_t *map = data;

    if (--map->refs == 0) {
        ngx_http_tgbot_zone_file_free(map);
    }
}


static void
ngx_http_tgbot_zone_file_free(ngx_http_tgbot_zone_map_t *map)
{
    u_char                       name[NGX_MAX_PATH];
    ngx_http_tgbot_zone_map_t  **p;

    for (p = &ngx_http_tgbot_zone_maps; *p != map; /* void */) {
        p = &(*p)->next;
    }

    *p = map->next;

    /* of a configuration that was refused */

    if (map->made) {
        (void) ngx_snprintf(name, NGX_MAX_PATH, "%s%s%Z", map->path,
                            NGX_HTTP_TGBOT_ZONE_FILE_NEW);
        (void) ngx_delete_file(name);
    }

    if (map->added) {
        ngx_http_tgbot_zone_dir_remove(map->entry);
    }

    (void) munmap((void *) map->header, map->size);

    if (map->fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(map->fd);
    }

    ngx_free(map);
}


ngx_int_t
ngx_http_tgbot_zone_file_started(ngx_cycle_t *cycle, ngx_array_t *zones)
{
    ngx_uint_t                    i, made;
    ngx_http_tgbot_zone_t       **zone;
    ngx_http_tgbot_zone_map_t    *map;
    ngx_http_tgbot_zone_state_t  *state;

    if (ngx_test_config) {
        return NGX_OK;
    }

    made = 0;
    state = NULL;
    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        if (zone[i]->map) {
            state = zone[i]->state;
            zone[i]->map->header->clean = 0;
            made += zone[i]->map->made;
        }
    }

    /* after a crash a name must not stand for a file without a header */

    if (made) {
        (void) ngx_http_tgbot_zone_file_sync(zones);
    }

    for (i = 0; i < zones->nelts; i++) {
        map = zone[i]->map;

        if (map == NULL) {
            continue;
        }

        if (map->made
            && ngx_http_tgbot_zone_file_rename(map, cycle->log) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (map->added) {
            ngx_http_tgbot_zone_dir_publish(map->entry,
                                            &zone[i]->shm_zone->shm.name);
            map->added = 0;
        }

        ngx_http_tgbot_zone_stop("file: in use");
    }

    if (state == NULL) {
        return NGX_OK;
    }

    if (state->dir->starting) {
        ngx_http_tgbot_zone_file_others(state->dir, cycle->log);
    }

    return ngx_http_tgbot_zone_dir_started(state->dir, cycle->log);
}


/*
 * After a start: removes files that starts which were killed have not finished,
 * and tells of files that the configuration does not use
 */

static void
ngx_http_tgbot_zone_file_others(ngx_http_tgbot_zone_dir_t *dir, ngx_log_t *log)
{
    u_char     unfinished[NGX_MAX_PATH];
    ngx_dir_t  d;
    ngx_str_t  path, name;

    path.data = dir->path;
    path.len = dir->len;

    if (ngx_open_dir(&path, &d) == NGX_ERROR) {
        return;
    }

    while (ngx_read_dir(&d) == NGX_OK) {
        name.data = ngx_de_name(&d);
        name.len = ngx_de_namelen(&d);

        if (ngx_http_tgbot_zone_file_ends(&name, NGX_HTTP_TGBOT_ZONE_FILE_ZONE
                                                 NGX_HTTP_TGBOT_ZONE_FILE_NEW))
        {
            (void) ngx_snprintf(unfinished, NGX_MAX_PATH, "%s/%V%Z",
                                dir->path, &name);
            (void) ngx_delete_file(unfinished);
            continue;
        }

        if (!ngx_http_tgbot_zone_file_ends(&name,
                                           NGX_HTTP_TGBOT_ZONE_FILE_ZONE))
        {
            continue;
        }

        name.len -= sizeof(NGX_HTTP_TGBOT_ZONE_FILE_ZONE) - 1;

        if (ngx_http_tgbot_zone_dir_entry(dir, &name) == NULL) {
            ngx_log_error(NGX_LOG_NOTICE, log, 0,
                          "tgbot: zone \"%V\" has a file in \"%s\" and is not "
                          "in the configuration: what is in it stays there",
                          &name, dir->path);
        }
    }

    (void) ngx_close_dir(&d);
}


static ngx_uint_t
ngx_http_tgbot_zone_file_ends(ngx_str_t *name, const char *end)
{
    size_t  len;

    len = ngx_strlen(end);

    return name->len > len
           && ngx_memcmp(name->data + name->len - len, end, len) == 0;
}


static ngx_int_t
ngx_http_tgbot_zone_file_rename(ngx_http_tgbot_zone_map_t *map, ngx_log_t *log)
{
    u_char                      name[NGX_MAX_PATH], old[NGX_MAX_PATH];
    ngx_http_tgbot_zone_map_t  *m;

    (void) ngx_snprintf(name, NGX_MAX_PATH, "%s%s%Z", map->path,
                        NGX_HTTP_TGBOT_ZONE_FILE_NEW);
    (void) ngx_snprintf(old, NGX_MAX_PATH, "%s%s%Z", map->path,
                        NGX_HTTP_TGBOT_ZONE_FILE_OLD);

    if (map->aside) {
        (void) ngx_rename_file(map->path, old);
    }

    if (ngx_rename_file(name, map->path) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_rename_file_n " \"%s\" to \"%s\" failed",
                      name, map->path);
        return NGX_ERROR;
    }

    map->made = 0;

    /* processes of a cycle before go on with the file that had the name */

    for (m = ngx_http_tgbot_zone_maps; m; m = m->next) {

        if (m != map && ngx_strcmp(m->path, map->path) == 0) {
            m->path[0] = '\0';

            if (m->entry) {
                ngx_http_tgbot_zone_dir_retire(m->entry);
            }
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_tgbot_zone_file_lost(ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_zone_map_t  *map;

    map = zone->map;

    return ngx_http_tgbot_zone_dir_lost(map->entry, map->path, map->fd);
}


void
ngx_http_tgbot_zone_file_init_process(ngx_cycle_t *cycle, ngx_array_t *zones)
{
    ngx_uint_t               i;
    ngx_event_t             *ev;
    ngx_http_tgbot_zone_t  **zone;

    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        if (zone[i]->map) {
            break;
        }
    }

    if (i == zones->nelts) {
        return;
    }

    ngx_http_tgbot_zone_dir_init_process(zone[i]->map->dir);

    if (ngx_worker != 0) {
        return;
    }

    ev = &ngx_http_tgbot_zone_file_timer;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_tgbot_zone_file_watch;
    ev->data = ev;
    ev->log = cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_HTTP_TGBOT_ZONE_FILE_WATCH);
}


void
ngx_http_tgbot_zone_file_exit_process(void)
{
    if (ngx_http_tgbot_zone_file_timer.timer_set) {
        ngx_del_timer(&ngx_http_tgbot_zone_file_timer);
    }
}


static void
ngx_http_tgbot_zone_file_watch(ngx_event_t *ev)
{
    ngx_http_tgbot_zone_map_t  *map;

    for (map = ngx_http_tgbot_zone_maps; map; map = map->next) {

        ngx_http_tgbot_zone_file_tick(map->header);

        if (!map->told && map->path[0]
            && ngx_http_tgbot_zone_dir_lost(map->entry, map->path, map->fd))
        {
            map->told = 1;

            ngx_log_error(NGX_LOG_ERR, ev->log, 0,
                          "tgbot: \"%s\" was deleted or replaced while nginx "
                          "uses it: what is in the zone is lost when nginx "
                          "ends", map->path);
        }
    }

    ngx_add_timer(ev, NGX_HTTP_TGBOT_ZONE_FILE_WATCH);
}


void
ngx_http_tgbot_zone_file_exit_master(ngx_array_t *zones)
{
    ngx_uint_t                  i, n;
    ngx_http_tgbot_zone_t     **zone;
    ngx_http_tgbot_zone_map_t  *map;

    n = 0;
    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        map = zone[i]->map;

        if (map && ngx_http_tgbot_zone_dir_alone(map->dir)) {
            ngx_http_tgbot_zone_file_tick(map->header);
            n++;
        }
    }

    if (n == 0 || ngx_http_tgbot_zone_file_sync(zones) != NGX_OK) {
        return;
    }

    for (i = 0; i < zones->nelts; i++) {
        map = zone[i]->map;

        /* dirty: a worker that did not end in time was killed in the lock */

        if (map && !map->entry->rt.dirty) {
            map->header->clean = 1;
        }
    }

    (void) ngx_http_tgbot_zone_file_sync(zones);
}


/* writes the files to disk: at once, as each one by itself takes its time */

static ngx_int_t
ngx_http_tgbot_zone_file_sync(ngx_array_t *zones)
{
    ngx_uint_t                  i;
    ngx_http_tgbot_zone_t     **zone;
    ngx_http_tgbot_zone_map_t  *map;

    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        map = zone[i]->map;

        if (map == NULL) {
            continue;
        }

#if (NGX_LINUX)

        return (syncfs(map->dir->lock) == 0) ? NGX_OK : NGX_ERROR;

#else

        if (msync(map->header, map->size, MS_SYNC) == -1) {
            return NGX_ERROR;
        }

#endif
    }

    return NGX_OK;
}
