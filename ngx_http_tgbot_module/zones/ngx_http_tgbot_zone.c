
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_file.h"


#define NGX_HTTP_TGBOT_ZONE_MAGIC  0x74676235  /* "tgb5" */


static ngx_int_t ngx_http_tgbot_zone_parse(ngx_conf_t *cf,
    ngx_str_t *directive, ngx_str_t *value, ngx_str_t *name, size_t *size);
static ngx_http_tgbot_zone_t *ngx_http_tgbot_zone_find(ngx_conf_t *cf,
    ngx_array_t *zones, ngx_str_t *directive, ngx_str_t *name,
    const ngx_http_tgbot_zone_kind_t *kind, void *tag);
static ngx_int_t ngx_http_tgbot_zone_set_size(ngx_conf_t *cf,
    ngx_str_t *directive, ngx_str_t *value, ngx_http_tgbot_zone_t *zone,
    size_t size);
static ngx_int_t ngx_http_tgbot_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_tgbot_zone_adopt(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old);
static ngx_int_t ngx_http_tgbot_zone_carve(ngx_http_tgbot_zone_t *zone,
    ngx_slab_pool_t *shpool);


ngx_http_tgbot_zone_t *
ngx_http_tgbot_zone_add(ngx_conf_t *cf, ngx_array_t *zones,
    ngx_str_t *directive, ngx_str_t *value,
    const ngx_http_tgbot_zone_kind_t *kind, void *tag)
{
    size_t                  size;
    ngx_str_t               name;
    ngx_http_tgbot_zone_t  *zone;

    if (ngx_http_tgbot_zone_parse(cf, directive, value, &name, &size)
        != NGX_OK)
    {
        return NULL;
    }

    zone = ngx_http_tgbot_zone_find(cf, zones, directive, &name, kind, tag);

    if (zone == NULL) {
        return NULL;
    }

    if (zone->kind != kind) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\" in \"%V\" directive: it is a "
                           "%s zone in %s:%ui, expected another name for a "
                           "%s zone",
                           &name, directive, zone->kind->name, zone->file,
                           zone->line, kind->name);
        return NULL;
    }

    if (size
        && ngx_http_tgbot_zone_set_size(cf, directive, value, zone, size)
           != NGX_OK)
    {
        return NULL;
    }

    return zone;
}


static ngx_int_t
ngx_http_tgbot_zone_parse(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *value, ngx_str_t *name, size_t *size)
{
    u_char     *p, *last;
    ssize_t     n;
    ngx_str_t   s;

    last = value->data + value->len;

    p = ngx_strlchr(value->data, last, ':');

    name->data = value->data;
    name->len = (p ? p : last) - value->data;

    *size = 0;

    if (name->len == 0) {
        goto invalid;
    }

    if (p == NULL) {
        return NGX_OK;
    }

    s.data = p + 1;
    s.len = last - s.data;

    n = ngx_parse_size(&s);

    if (n <= 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\" in \"%V\" directive: its size "
                           "is \"%V\", expected a number of bytes, or one with "
                           "\"k\" or \"m\", such as \"zone=%V:8m\"",
                           value, directive, &s, name);
        return NGX_ERROR;
    }

    *size = n;

    return NGX_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid zone \"%V\" in \"%V\" directive, expected "
                       "name:size where the zone is declared, such as "
                       "\"zone=one:8m\", and name elsewhere",
                       value, directive);
    return NGX_ERROR;
}


static ngx_http_tgbot_zone_t *
ngx_http_tgbot_zone_find(ngx_conf_t *cf, ngx_array_t *zones,
    ngx_str_t *directive, ngx_str_t *name,
    const ngx_http_tgbot_zone_kind_t *kind, void *tag)
{
    ngx_shm_zone_t          *shm_zone;
    ngx_http_tgbot_zone_t   *zone, **zonep;

    shm_zone = ngx_shared_memory_add(cf, name, 0, tag);

    if (shm_zone == NULL) {
        return NULL;
    }

    if (shm_zone->data) {
        return shm_zone->data;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_tgbot_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    if (ngx_array_init(&zone->users, cf->pool, 1, sizeof(void *)) != NGX_OK) {
        return NULL;
    }

    zonep = ngx_array_push(zones);
    if (zonep == NULL) {
        return NULL;
    }

    *zonep = zone;

    zone->shm_zone = shm_zone;
    zone->kind = kind;
    zone->directive = *directive;
    zone->file = cf->conf_file->file.name.data;
    zone->line = cf->conf_file->line;

    shm_zone->init = ngx_http_tgbot_zone_init;
    shm_zone->data = zone;

    return zone;
}


static ngx_int_t
ngx_http_tgbot_zone_set_size(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *value, ngx_http_tgbot_zone_t *zone, size_t size)
{
    size_t  needed;

    if (zone->size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\" in \"%V\" directive: its size "
                           "is given in %s:%ui, expected \"zone=%V\"",
                           value, directive, zone->file, zone->line,
                           &zone->shm_zone->shm.name);
        return NGX_ERROR;
    }

    needed = ngx_http_tgbot_zone_needs(zone->kind->min);

    if (size < needed) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\" in \"%V\" directive: it is "
                           "too small, expected a size of %uzk or more",
                           value, directive, (needed + 1023) / 1024);
        return NGX_ERROR;
    }

    zone->size = size;
    zone->shm_zone->shm.size = size;

    zone->file = cf->conf_file->file.name.data;
    zone->line = cf->conf_file->line;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_zone_check(ngx_conf_t *cf, ngx_array_t *zones)
{
    ngx_uint_t               i;
    ngx_http_tgbot_zone_t  **zone;

    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {

        if (zone[i]->size == 0) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "invalid zone \"%V\" in \"%V\" directive: it has "
                          "no size, expected \"zone=%V:size\" in one place "
                          "in %s:%ui",
                          &zone[i]->shm_zone->shm.name, &zone[i]->directive,
                          &zone[i]->shm_zone->shm.name,
                          zone[i]->file, zone[i]->line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_tgbot_zone_t *old = data;

    ngx_slab_pool_t        *shpool;
    ngx_http_tgbot_zone_t  *zone;

    zone = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    zone->log = shm_zone->shm.log;

    if (zone->state) {
        return ngx_http_tgbot_zone_file_init(zone);
    }

    if (old) {
        return ngx_http_tgbot_zone_adopt(zone, old);
    }

    return ngx_http_tgbot_zone_carve(zone, shpool);
}


static ngx_int_t
ngx_http_tgbot_zone_adopt(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *old)
{
    ngx_http_tgbot_zone_sh_t  *sh;

    sh = old->sh;

    if (sh->magic != NGX_HTTP_TGBOT_ZONE_MAGIC
        || (sh->kind != zone->kind->id
            && ngx_http_tgbot_zone_same(old->kind->name, zone->kind)))
    {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" is of another version of the module, "
                      "expected a restart after the module was overwritten",
                      &zone->shm_zone->shm.name);
        return NGX_ERROR;
    }

    if (!ngx_http_tgbot_zone_same(old->kind->name, zone->kind)) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "zone \"%V\" is a %s zone now, expected another name "
                      "for a %s zone in %s:%ui",
                      &zone->shm_zone->shm.name, old->kind->name,
                      zone->kind->name, zone->file, zone->line);
        return NGX_ERROR;
    }

    zone->sh = sh;
    zone->rt = old->rt;
    zone->offset = old->offset;

    return zone->kind->init(zone, 0);
}


static ngx_int_t
ngx_http_tgbot_zone_carve(ngx_http_tgbot_zone_t *zone,
    ngx_slab_pool_t *shpool)
{
    size_t                     size;
    ngx_http_tgbot_zone_rt_t  *rt;
    ngx_http_tgbot_zone_sh_t  *sh;

    /*
     * all memory is allocated as one piece: a worker that died inside the
     * allocator would leave it in a state that cannot be repaired
     */

    size = shpool->pfree * ngx_pagesize;

    shpool->log_nomem = 0;

    rt = ngx_slab_alloc(shpool, size);

    if (rt == NULL) {
        ngx_log_error(NGX_LOG_EMERG, zone->log, 0,
                      "could not carve zone \"%V\" of %uz bytes",
                      &zone->shm_zone->shm.name, zone->size);
        return NGX_ERROR;
    }

    zone->rt = rt;

    if (ngx_http_tgbot_zone_make_rt(rt, zone->log) != NGX_OK) {
        return NGX_ERROR;
    }

    sh = (ngx_http_tgbot_zone_sh_t *)
             ((u_char *) rt + NGX_HTTP_TGBOT_ZONE_RT);

    ngx_memzero(sh, sizeof(ngx_http_tgbot_zone_sh_t));

    sh->magic = NGX_HTTP_TGBOT_ZONE_MAGIC;
    sh->kind = zone->kind->id;
    sh->size = size - NGX_HTTP_TGBOT_ZONE_RT;

    zone->sh = sh;

    return zone->kind->init(zone, 1);
}


ngx_int_t
ngx_http_tgbot_zone_make_rt(ngx_http_tgbot_zone_rt_t *rt, ngx_log_t *log)
{
    int                  err;
    pthread_mutexattr_t  attr;

    ngx_memzero(rt, sizeof(ngx_http_tgbot_zone_rt_t));

    err = pthread_mutexattr_init(&attr);

    if (err == 0) {
        err = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);

        if (err == 0) {
            err = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
        }

        if (err == 0) {
            err = pthread_mutex_init(&rt->mutex, &attr);
        }

        (void) pthread_mutexattr_destroy(&attr);
    }

    if (err) {
        ngx_log_error(NGX_LOG_EMERG, log, err,
                      "could not make a mutex of POSIX threads that is robust");
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_tgbot_zone_init_module(ngx_array_t *zones)
{
    ngx_uint_t               i;
    ngx_http_tgbot_zone_t  **zone;

    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        (void) ngx_atomic_fetch_add(&zone[i]->sh->generation, 1);
    }
}


void
ngx_http_tgbot_zone_init_process(ngx_array_t *zones)
{
    ngx_uint_t               i;
    ngx_http_tgbot_zone_t  **zone;

    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        zone[i]->generation = zone[i]->sh->generation;
    }
}


ngx_uint_t
ngx_http_tgbot_zone_adopted(ngx_http_tgbot_zone_t *zone)
{
    return zone->generation != zone->sh->generation;
}


ngx_uint_t
ngx_http_tgbot_zone_tell(ngx_http_tgbot_zone_t *zone)
{
    return ngx_atomic_cmp_set(&zone->rt->told, 0, 1);
}


ngx_int_t
ngx_http_tgbot_zone_lock(ngx_http_tgbot_zone_t *zone)
{
    ngx_http_tgbot_zone_rt_t  *rt;

    rt = zone->rt;

    if (pthread_mutex_lock(&rt->mutex) == EOWNERDEAD) {
        (void) pthread_mutex_consistent(&rt->mutex);
    }

    if (rt->dirty) {
        zone->sh->repaired++;
        zone->found_dirty = 1;

        return NGX_DECLINED;
    }

    rt->dirty = 1;

    /* "dirty" is stored before all that is written inside the lock */

    ngx_memory_barrier();

    return NGX_OK;
}


void
ngx_http_tgbot_zone_unlock(ngx_http_tgbot_zone_t *zone)
{
    ngx_memory_barrier();

    zone->rt->dirty = 0;

    (void) pthread_mutex_unlock(&zone->rt->mutex);

    if (zone->found_dirty) {
        zone->found_dirty = 0;

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "tgbot: zone \"%V\" was left locked by a process that "
                      "died, it is repaired", &zone->shm_zone->shm.name);
    }
}


#if (NGX_HTTP_TGBOT_ZONE_TEST)

/*
 * The file "stop" in nginx's prefix names the point.  The worker adds its pid
 * and renames the file to "stopped", so the test knows that it has stopped.
 * It does so with the file locked: a second worker, which may be at this point
 * of another zone, reads what is no point any more, and goes on.
 */

void
ngx_http_tgbot_zone_stop(const char *point)
{
    ssize_t   n;
    ngx_fd_t  fd;
    u_char    buf[128], from[NGX_MAX_PATH], to[NGX_MAX_PATH];

    (void) ngx_snprintf(from, NGX_MAX_PATH, "%Vstop%Z", &ngx_cycle->prefix);
    (void) ngx_snprintf(to, NGX_MAX_PATH, "%Vstopped%Z", &ngx_cycle->prefix);

    fd = ngx_open_file(from, NGX_FILE_RDWR, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return;
    }

    while (ngx_lock_fd(fd) == NGX_EINTR) { /* void */ }

    n = ngx_read_fd(fd, buf, sizeof(buf));

    if (n != (ssize_t) ngx_strlen(point)
        || ngx_strncmp(buf, point, n) != 0)
    {
        (void) ngx_close_file(fd);
        return;
    }

    n = ngx_sprintf(buf, " %P", ngx_pid) - buf;

    (void) ngx_write_fd(fd, buf, n);
    (void) ngx_close_file(fd);
    (void) ngx_rename_file(from, to);

    for ( ;; ) {
        (void) pause();
    }
}

#endif
