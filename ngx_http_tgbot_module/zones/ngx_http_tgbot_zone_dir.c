
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_md5.h>

#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_dir.h"

#include <sys/file.h>

#if (NGX_LINUX)
#include <sys/vfs.h>
#endif


#define NGX_HTTP_TGBOT_ZONE_DIR_MAGIC  0x31656d69746e7572ULL  /* "runtime1" */

/* zones that reloads may add, until nginx is started again */
#define NGX_HTTP_TGBOT_ZONE_DIR_SPARE  1024


#define ngx_http_tgbot_zone_dir_begin                                         \
    ngx_align(sizeof(ngx_http_tgbot_zone_runtime_t), NGX_CPU_CACHE_LINE)

#define ngx_http_tgbot_zone_dir_entry_size                                    \
    ngx_align(sizeof(ngx_http_tgbot_zone_entry_t), NGX_CPU_CACHE_LINE)

#define ngx_http_tgbot_zone_dir_number(runtime, i)                            \
    ((ngx_http_tgbot_zone_entry_t *)                                          \
     ((u_char *) (runtime) + ngx_http_tgbot_zone_dir_begin                    \
      + (i) * ngx_http_tgbot_zone_dir_entry_size))


typedef struct {
    uint64_t                     type;       /* of statfs() */
    const char                  *name;
    ngx_uint_t                   level;      /* of the log */
} ngx_http_tgbot_zone_fs_t;


static ngx_http_tgbot_zone_dir_t *ngx_http_tgbot_zone_dir_find(
    ngx_str_t *path);
static ngx_http_tgbot_zone_dir_t *ngx_http_tgbot_zone_dir_open(
    ngx_str_t *path, ngx_uint_t zones, ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_zone_dir_make(u_char *path, ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_zone_dir_file_system(u_char *path,
    ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_zone_dir_lock(
    ngx_http_tgbot_zone_dir_t *dir, ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_zone_dir_share(
    ngx_http_tgbot_zone_dir_t *dir, ngx_log_t *log);
static void ngx_http_tgbot_zone_dir_used(ngx_http_tgbot_zone_dir_t *dir,
    ngx_log_t *log);
static ngx_fd_t ngx_http_tgbot_zone_dir_runtime(
    ngx_http_tgbot_zone_dir_t *dir, size_t *size, ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_zone_dir_map(ngx_http_tgbot_zone_dir_t *dir,
    ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_zone_dir_start(ngx_http_tgbot_zone_dir_t *dir,
    ngx_uint_t zones, ngx_log_t *log);
static void ngx_http_tgbot_zone_dir_read(ngx_http_tgbot_zone_dir_t *dir,
    ngx_fd_t fd, size_t size, ngx_log_t *log);
static ngx_uint_t ngx_http_tgbot_zone_dir_valid(
    ngx_http_tgbot_zone_runtime_t *runtime, size_t size);
static ngx_http_tgbot_zone_entry_t *ngx_http_tgbot_zone_dir_lookup(
    ngx_http_tgbot_zone_runtime_t *runtime, u_char *hash);
static void ngx_http_tgbot_zone_dir_hash(ngx_str_t *name, u_char *hash);
static void ngx_http_tgbot_zone_dir_lock_table(
    ngx_http_tgbot_zone_dir_t *dir);
static void ngx_http_tgbot_zone_dir_leave(void *data);
static void ngx_http_tgbot_zone_dir_free(ngx_http_tgbot_zone_dir_t *dir);
static ngx_uint_t ngx_http_tgbot_zone_dir_runs(ngx_atomic_uint_t pid);
static void ngx_http_tgbot_zone_boot(u_char *boot);
static void ngx_http_tgbot_zone_read(const char *name, u_char *text);

#if (NGX_HTTP_TGBOT_ZONE_TEST)
static void ngx_http_tgbot_zone_test(const char *file, u_char *text);
#endif


#if (NGX_LINUX)

/* what cannot share memory between processes, or loses it */

static ngx_http_tgbot_zone_fs_t  ngx_http_tgbot_zone_dir_fs[] = {
    { 0x6969, "NFS", NGX_LOG_EMERG },
    { 0x65735546, "FUSE", NGX_LOG_EMERG },
    { 0x01021997, "9p", NGX_LOG_EMERG },
    { 0x517b, "SMB", NGX_LOG_EMERG },
    { 0xfe534d42, "SMB", NGX_LOG_EMERG },
    { 0xff534d42, "CIFS", NGX_LOG_EMERG },
    { 0x00c36400, "Ceph", NGX_LOG_EMERG },
    { 0x794c7630, "overlayfs", NGX_LOG_WARN },
    { 0, NULL, 0 }
};

#endif


/* of this master */
static ngx_http_tgbot_zone_dir_t  *ngx_http_tgbot_zone_dirs;


ngx_http_tgbot_zone_dir_t *
ngx_http_tgbot_zone_dir_enter(ngx_str_t *path, ngx_uint_t zones,
    ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_tgbot_zone_dir_t  *dir;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    dir = ngx_http_tgbot_zone_dir_find(path);

    if (dir == NULL) {
        dir = ngx_http_tgbot_zone_dir_open(path, zones, log);
    }

    if (dir == NULL) {
        return NULL;
    }

    dir->refs++;

    cln->handler = ngx_http_tgbot_zone_dir_leave;
    cln->data = dir;

    return dir;
}


ngx_uint_t
ngx_http_tgbot_zone_dir_entered(ngx_str_t *path)
{
    return ngx_http_tgbot_zone_dir_find(path) != NULL;
}


u_char *
ngx_http_tgbot_zone_dir_other(ngx_str_t *path)
{
    return (ngx_http_tgbot_zone_dirs == NULL
            || ngx_http_tgbot_zone_dir_find(path))
               ? NULL : ngx_http_tgbot_zone_dirs->path;
}


static ngx_http_tgbot_zone_dir_t *
ngx_http_tgbot_zone_dir_find(ngx_str_t *path)
{
    ngx_http_tgbot_zone_dir_t  *dir;

    for (dir = ngx_http_tgbot_zone_dirs; dir; dir = dir->next) {

        if (dir->len == path->len
            && ngx_memcmp(dir->path, path->data, path->len) == 0)
        {
            return dir;
        }
    }

    return NULL;
}


static ngx_http_tgbot_zone_dir_t *
ngx_http_tgbot_zone_dir_open(ngx_str_t *path, ngx_uint_t zones, ngx_log_t *log)
{
    ngx_int_t                   rc;
    ngx_http_tgbot_zone_dir_t  *dir;

    dir = ngx_calloc(sizeof(ngx_http_tgbot_zone_dir_t) + path->len, log);
    if (dir == NULL) {
        return NULL;
    }

    ngx_memcpy(dir->path, path->data, path->len);
    dir->len = path->len;
    dir->lock = NGX_INVALID_FILE;

    ngx_http_tgbot_zone_boot(dir->boot);

    rc = ngx_http_tgbot_zone_dir_make(dir->path, log);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_zone_dir_file_system(dir->path, log);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_zone_dir_lock(dir, log);
    }

    if (rc == NGX_OK) {
        rc = dir->starting ? ngx_http_tgbot_zone_dir_start(dir, zones, log)
                           : ngx_http_tgbot_zone_dir_share(dir, log);
    }

    if (rc != NGX_OK) {
        ngx_http_tgbot_zone_dir_free(dir);
        return NULL;
    }

    dir->next = ngx_http_tgbot_zone_dirs;
    ngx_http_tgbot_zone_dirs = dir;

    return dir;
}


ngx_int_t
ngx_http_tgbot_zone_dir_test(ngx_str_t *path, ngx_log_t *log)
{
    ngx_file_info_t  fi;

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR
        && ngx_errno == NGX_ENOENT)
    {
        return NGX_OK;
    }

    if (ngx_http_tgbot_zone_dir_make(path->data, log) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tgbot_zone_dir_file_system(path->data, log);
}


static ngx_int_t
ngx_http_tgbot_zone_dir_make(u_char *path, ngx_log_t *log)
{
    ngx_file_info_t  fi;

    if (ngx_file_info(path, &fi) == NGX_FILE_ERROR) {

        if (ngx_errno != NGX_ENOENT
            || ngx_create_dir(path, 0700) == NGX_FILE_ERROR)
        {
            ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                          "\"tgbot_state\" could not use \"%s\", expected a "
                          "directory in which nginx may make files", path);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (!ngx_is_dir(&fi)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "\"tgbot_state\" found that \"%s\" is a file, expected "
                      "a directory", path);
        return NGX_ERROR;
    }

    if (ngx_file_access(&fi) & S_IWOTH) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "\"tgbot_state\" found that \"%s\" is world-writable, "
                      "so that others may replace the zones, expected a "
                      "directory of nginx alone", path);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_zone_dir_file_system(u_char *path, ngx_log_t *log)
{
#if (NGX_LINUX)

    struct statfs              fs;
    ngx_http_tgbot_zone_fs_t  *type;

    if (statfs((char *) path, &fs) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "statfs(\"%s\") failed", path);
        return NGX_ERROR;
    }

    for (type = ngx_http_tgbot_zone_dir_fs; type->name; type++) {

        if ((uint32_t) fs.f_type != type->type) {
            continue;
        }

        if (type->level == NGX_LOG_EMERG) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "\"tgbot_state\" found \"%s\" on %s, which cannot "
                          "hold zones, expected a local file system",
                          path, type->name);
            return NGX_ERROR;
        }

        ngx_log_error(type->level, log, 0,
                      "\"tgbot_state\" found \"%s\" on %s, which is lost with "
                      "its container, expected a volume", path, type->name);
    }

#endif

    return NGX_OK;
}


/*
 * The lock is on the directory itself, as a file in it may be deleted.  It is
 * that of the open file, so workers hold it together with us.
 */

static ngx_int_t
ngx_http_tgbot_zone_dir_lock(ngx_http_tgbot_zone_dir_t *dir, ngx_log_t *log)
{
    dir->lock = open((char *) dir->path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (dir->lock == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "\"tgbot_state\" could not open \"%s\", expected a "
                      "directory in which nginx may make files", dir->path);
        return NGX_ERROR;
    }

    if (flock(dir->lock, LOCK_EX|LOCK_NB) == 0) {
        dir->starting = 1;
        return NGX_OK;
    }

    if (ngx_errno != EWOULDBLOCK) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "\"tgbot_state\" could not lock \"%s\", expected a "
                      "local file system", dir->path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The master that started this binary uses the directory, or this master does,
 * by another version of the module.
 */

static ngx_int_t
ngx_http_tgbot_zone_dir_share(ngx_http_tgbot_zone_dir_t *dir, ngx_log_t *log)
{
    ngx_uint_t          i;
    ngx_atomic_uint_t   pid;

    if (ngx_http_tgbot_zone_dir_map(dir, log) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_TGBOT_ZONE_MASTERS; i++) {
        pid = dir->runtime->masters[i];

        if (pid == 0) {
            continue;
        }

        /* of two containers that start, each may have a master of this pid */

        if ((ngx_inherited && pid == (ngx_atomic_uint_t) getppid())
            || (pid == (ngx_atomic_uint_t) ngx_pid
                && !ngx_is_init_cycle(ngx_cycle)))
        {
            break;
        }
    }

    if (i == NGX_HTTP_TGBOT_ZONE_MASTERS
        || flock(dir->lock, LOCK_SH|LOCK_NB) == -1)
    {
        ngx_http_tgbot_zone_dir_used(dir, log);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_tgbot_zone_dir_used(ngx_http_tgbot_zone_dir_t *dir, ngx_log_t *log)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  pid;

    for (i = 0; dir->runtime && i < NGX_HTTP_TGBOT_ZONE_MASTERS; i++) {
        pid = dir->runtime->masters[i];

        if (ngx_http_tgbot_zone_dir_runs(pid)) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "\"tgbot_state\" directory \"%s\" is in use by "
                          "another nginx, its master is process %P, expected "
                          "a directory for each nginx",
                          dir->path, (ngx_pid_t) pid);
            return;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, log, 0,
                  "\"tgbot_state\" directory \"%s\" is in use by another "
                  "nginx, whose master is gone or about to start, expected "
                  "that its workers are stopped", dir->path);
}


/* opens the file "runtime"; makes it if no other process uses the directory */

static ngx_fd_t
ngx_http_tgbot_zone_dir_runtime(ngx_http_tgbot_zone_dir_t *dir, size_t *size,
    ngx_log_t *log)
{
    int              flags;
    u_char           name[NGX_MAX_PATH];
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    (void) ngx_snprintf(name, NGX_MAX_PATH, "%s/runtime%Z", dir->path);

    flags = O_RDWR|O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK;

    fd = open((char *) name, dir->starting ? flags|O_CREAT : flags, 0600);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "\"tgbot_state\" could not open \"%s\", expected a file "
                      "that only nginx makes and changes", name);
        return NGX_INVALID_FILE;
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "\"tgbot_state\" found that \"%s\" is no regular file, "
                      "expected one that only nginx makes and changes", name);
        (void) ngx_close_file(fd);
        return NGX_INVALID_FILE;
    }

    *size = (size_t) ngx_file_size(&fi);

    return fd;
}


static ngx_int_t
ngx_http_tgbot_zone_dir_map(ngx_http_tgbot_zone_dir_t *dir, ngx_log_t *log)
{
    void      *addr;
    size_t     size;
    ngx_fd_t   fd;

    fd = ngx_http_tgbot_zone_dir_runtime(dir, &size, log);

    if (fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    addr = MAP_FAILED;

    if (size >= sizeof(ngx_http_tgbot_zone_runtime_t)) {
        addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
    }

    (void) ngx_close_file(fd);

    if (addr != MAP_FAILED) {
        dir->runtime = addr;
        dir->size = size;

        if (ngx_http_tgbot_zone_dir_valid(addr, size)) {
            return NGX_OK;
        }

        (void) munmap(addr, size);
        dir->runtime = NULL;
    }

    ngx_http_tgbot_zone_dir_used(dir, log);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_tgbot_zone_dir_start(ngx_http_tgbot_zone_dir_t *dir,
    ngx_uint_t zones, ngx_log_t *log)
{
    int                             err;
    void                           *addr;
    size_t                          n;
    ngx_fd_t                        fd;
    ngx_http_tgbot_zone_runtime_t  *runtime;

    fd = ngx_http_tgbot_zone_dir_runtime(dir, &n, log);

    if (fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    ngx_http_tgbot_zone_dir_read(dir, fd, n, log);

    n = 2 * zones + NGX_HTTP_TGBOT_ZONE_DIR_SPARE;

    dir->size = ngx_http_tgbot_zone_dir_begin
                + n * ngx_http_tgbot_zone_dir_entry_size;

    addr = MAP_FAILED;

    err = (ftruncate(fd, 0) == -1)
              ? ngx_errno : ngx_http_tgbot_zone_dir_allocate(fd, dir->size);

    if (err == 0) {
        addr = mmap(NULL, dir->size, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
        err = ngx_errno;
    }

    (void) ngx_close_file(fd);

    if (addr == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, log, err,
                      "\"tgbot_state\" could not make \"%s/runtime\" of %uz "
                      "bytes, expected a local file system with room",
                      dir->path, dir->size);
        return NGX_ERROR;
    }

    runtime = addr;
    dir->runtime = runtime;

    runtime->entries = n;
    ngx_memcpy(runtime->boot, dir->boot, NGX_HTTP_TGBOT_ZONE_BOOT);

    if (ngx_http_tgbot_zone_make_rt(&runtime->rt, log) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memory_barrier();

    runtime->magic = NGX_HTTP_TGBOT_ZONE_DIR_MAGIC;

    return NGX_OK;
}


/* keeps what tells of the processes before this start */

static void
ngx_http_tgbot_zone_dir_read(ngx_http_tgbot_zone_dir_t *dir, ngx_fd_t fd,
    size_t size, ngx_log_t *log)
{
    ssize_t                         n;
    ngx_http_tgbot_zone_runtime_t  *runtime;

    if (size < sizeof(ngx_http_tgbot_zone_runtime_t)) {
        return;
    }

    runtime = ngx_alloc(size, log);
    if (runtime == NULL) {
        return;
    }

    n = pread(fd, runtime, size, 0);

    if (n == (ssize_t) size && ngx_http_tgbot_zone_dir_valid(runtime, size)
        && runtime->complete)
    {
        dir->former = runtime;
        return;
    }

    ngx_free(runtime);
}


static ngx_uint_t
ngx_http_tgbot_zone_dir_valid(ngx_http_tgbot_zone_runtime_t *runtime,
    size_t size)
{
    size_t  n;

    n = (size - ngx_http_tgbot_zone_dir_begin)
        / ngx_http_tgbot_zone_dir_entry_size;

    return size >= ngx_http_tgbot_zone_dir_begin
           && runtime->magic == NGX_HTTP_TGBOT_ZONE_DIR_MAGIC
           && runtime->entries == n;
}


ngx_http_tgbot_zone_entry_t *
ngx_http_tgbot_zone_dir_entry(ngx_http_tgbot_zone_dir_t *dir, ngx_str_t *name)
{
    u_char                        hash[16];
    ngx_http_tgbot_zone_entry_t  *entry;

    ngx_http_tgbot_zone_dir_hash(name, hash);

    ngx_http_tgbot_zone_dir_lock_table(dir);

    entry = ngx_http_tgbot_zone_dir_lookup(dir->runtime, hash);

    (void) pthread_mutex_unlock(&dir->runtime->rt.mutex);

    return entry;
}


ngx_http_tgbot_zone_entry_t *
ngx_http_tgbot_zone_dir_add(ngx_http_tgbot_zone_dir_t *dir, ngx_str_t *name,
    ngx_file_info_t *fi, ngx_log_t *log)
{
    ngx_int_t                     rc;
    ngx_http_tgbot_zone_entry_t  *entry;

    static u_char  none[16];

    ngx_http_tgbot_zone_dir_lock_table(dir);

    entry = ngx_http_tgbot_zone_dir_lookup(dir->runtime, none);

    rc = entry ? ngx_http_tgbot_zone_make_rt(&entry->rt, log) : NGX_DECLINED;

    if (rc == NGX_OK) {
        entry->device = fi->st_dev;
        entry->inode = fi->st_ino;

        ngx_http_tgbot_zone_dir_retire(entry);
    }

    (void) pthread_mutex_unlock(&dir->runtime->rt.mutex);

    if (entry == NULL) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "\"tgbot_state\" has no room for zone \"%V\" in "
                      "\"%s/runtime\", expected a restart of nginx",
                      name, dir->path);
    }

    return (rc == NGX_OK) ? entry : NULL;
}


void
ngx_http_tgbot_zone_dir_publish(ngx_http_tgbot_zone_entry_t *entry,
    ngx_str_t *name)
{
    u_char  hash[16];

    ngx_http_tgbot_zone_dir_hash(name, hash);

    ngx_memory_barrier();

    ngx_memcpy(entry->name, hash, sizeof(hash));
}


void
ngx_http_tgbot_zone_dir_remove(ngx_http_tgbot_zone_entry_t *entry)
{
    ngx_memzero(entry->name, sizeof(entry->name));
}


void
ngx_http_tgbot_zone_dir_retire(ngx_http_tgbot_zone_entry_t *entry)
{
    ngx_memset(entry->name, 0xff, sizeof(entry->name));
}


/* the hash of no name is zero */

static ngx_http_tgbot_zone_entry_t *
ngx_http_tgbot_zone_dir_lookup(ngx_http_tgbot_zone_runtime_t *runtime,
    u_char *hash)
{
    uint64_t                      i;
    ngx_http_tgbot_zone_entry_t  *entry;

    for (i = 0; i < runtime->entries; i++) {
        entry = ngx_http_tgbot_zone_dir_number(runtime, i);

        if (ngx_memcmp(entry->name, hash, sizeof(entry->name)) == 0) {
            return entry;
        }
    }

    return NULL;
}


static void
ngx_http_tgbot_zone_dir_hash(ngx_str_t *name, u_char *hash)
{
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, name->data, name->len);
    ngx_md5_final(hash, &md5);
}


/* an entry is whole from the store of its name on: there is no repair */

static void
ngx_http_tgbot_zone_dir_lock_table(ngx_http_tgbot_zone_dir_t *dir)
{
    if (pthread_mutex_lock(&dir->runtime->rt.mutex) == EOWNERDEAD) {
        (void) pthread_mutex_consistent(&dir->runtime->rt.mutex);
    }
}


ngx_http_tgbot_zone_found_e
ngx_http_tgbot_zone_dir_found(ngx_http_tgbot_zone_dir_t *dir, ngx_str_t *name,
    ngx_file_info_t *fi)
{
    u_char                        hash[16];
    ngx_http_tgbot_zone_entry_t  *entry;

    if (dir->former == NULL) {
        return NGX_HTTP_TGBOT_ZONE_DIRTY;
    }

    ngx_http_tgbot_zone_dir_hash(name, hash);

    entry = ngx_http_tgbot_zone_dir_lookup(dir->former, hash);

    if (entry && entry->inode != fi->st_ino) {
        return NGX_HTTP_TGBOT_ZONE_TORN;
    }

    return (entry == NULL || entry->rt.dirty) ? NGX_HTTP_TGBOT_ZONE_DIRTY
                                              : NGX_HTTP_TGBOT_ZONE_KEPT;
}


ngx_uint_t
ngx_http_tgbot_zone_dir_lost(ngx_http_tgbot_zone_entry_t *entry, u_char *path,
    ngx_fd_t fd)
{
    ngx_err_t        err;
    ngx_file_info_t  fi;

    if (ngx_link_info(path, &fi) != NGX_FILE_ERROR) {
        return fi.st_ino != entry->inode;
    }

    err = ngx_errno;

    /* a directory of root's does not let its workers see more */

    if (err == NGX_EACCES && fd != NGX_INVALID_FILE) {
        return ngx_fd_info(fd, &fi) != NGX_FILE_ERROR && fi.st_nlink == 0;
    }

    return err == NGX_ENOENT || err == NGX_ENOTDIR;
}


ngx_int_t
ngx_http_tgbot_zone_dir_started(ngx_http_tgbot_zone_dir_t *dir, ngx_log_t *log)
{
    if (!dir->starting) {
        return NGX_OK;
    }

    /* the change of a lock may let another process in between */

    if (flock(dir->lock, LOCK_SH|LOCK_NB) == -1) {
        ngx_http_tgbot_zone_dir_used(dir, log);
        return NGX_ERROR;
    }

    dir->starting = 0;
    dir->runtime->complete = 1;

    if (dir->former) {
        ngx_free(dir->former);
        dir->former = NULL;
    }

    return NGX_OK;
}


void
ngx_http_tgbot_zone_dir_init_process(ngx_http_tgbot_zone_dir_t *dir)
{
    ngx_uint_t          i;
    ngx_atomic_t       *masters;
    ngx_atomic_uint_t   self, old;

    /* a master has another pid when it opens the directory: a daemon forks */

    self = (ngx_process == NGX_PROCESS_SINGLE) ? ngx_pid : ngx_parent;

    masters = dir->runtime->masters;

    for (i = 0; i < NGX_HTTP_TGBOT_ZONE_MASTERS; i++) {
        if (masters[i] == self) {
            return;
        }
    }

    for (i = 0; i < NGX_HTTP_TGBOT_ZONE_MASTERS; i++) {
        old = masters[i];

        if (!ngx_http_tgbot_zone_dir_runs(old)
            && ngx_atomic_cmp_set(&masters[i], old, self))
        {
            return;
        }
    }
}


ngx_err_t
ngx_http_tgbot_zone_dir_allocate(ngx_fd_t fd, size_t size)
{
    off_t            offset;
    ssize_t          n;
    ngx_err_t        err;
    ngx_file_info_t  fi;

    static u_char  zeros[65536];

#if (NGX_LINUX)

    do {
        err = (fallocate(fd, 0, 0, size) == -1) ? ngx_errno : 0;
    } while (err == NGX_EINTR);

    if (err != EOPNOTSUPP && err != ENOSYS) {
        return err;
    }

#endif

    /* a file that has its size already may have been given holes by a copy */

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        return ngx_errno;
    }

    for (offset = ngx_file_size(&fi); offset < (off_t) size; offset += n) {
        n = pwrite(fd, zeros, ngx_min(size - offset, sizeof(zeros)), offset);

        if (n == -1) {
            err = ngx_errno;

            if (err != NGX_EINTR) {
                return err;
            }

            n = 0;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_tgbot_zone_dir_alone(ngx_http_tgbot_zone_dir_t *dir)
{
    return flock(dir->lock, LOCK_EX|LOCK_NB) == 0;
}


static void
ngx_http_tgbot_zone_dir_leave(void *data)
{
    ngx_http_tgbot_zone_dir_t *dir = data;

    ngx_http_tgbot_zone_dir_t  **p;

    if (--dir->refs) {
        return;
    }

    for (p = &ngx_http_tgbot_zone_dirs; *p; p = &(*p)->next) {
        if (*p == dir) {
            *p = dir->next;
            break;
        }
    }

    ngx_http_tgbot_zone_dir_free(dir);
}


static void
ngx_http_tgbot_zone_dir_free(ngx_http_tgbot_zone_dir_t *dir)
{
    if (dir->former) {
        ngx_free(dir->former);
    }

    if (dir->runtime) {
        (void) munmap((void *) dir->runtime, dir->size);
    }

    if (dir->lock != NGX_INVALID_FILE) {
        (void) ngx_close_file(dir->lock);
    }

    ngx_free(dir);
}


static ngx_uint_t
ngx_http_tgbot_zone_dir_runs(ngx_atomic_uint_t pid)
{
    return pid != 0
           && (kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH);
}


/* the id of this boot of the machine; empty: it is not known */

static void
ngx_http_tgbot_zone_boot(u_char *boot)
{
    ngx_memzero(boot, NGX_HTTP_TGBOT_ZONE_BOOT);

    ngx_http_tgbot_zone_read("/proc/sys/kernel/random/boot_id", boot);

#if (NGX_HTTP_TGBOT_ZONE_TEST)
    ngx_http_tgbot_zone_test("boot", boot);
#endif
}


int64_t
ngx_http_tgbot_zone_wall(void)
{
    int64_t      wall;
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    wall = (int64_t) tp->sec * 1000 + tp->msec;

#if (NGX_HTTP_TGBOT_ZONE_TEST)
    {
    u_char  ahead[NGX_HTTP_TGBOT_ZONE_BOOT];

    ahead[0] = '\0';

    ngx_http_tgbot_zone_test("clock", ahead);

    wall += strtoll((char *) ahead, NULL, 10) * 1000;
    }
#endif

    return wall;
}


/* reads the beginning of a file; it is left alone if there is no such file */

static void
ngx_http_tgbot_zone_read(const char *name, u_char *text)
{
    ssize_t   n;
    ngx_fd_t  fd;

    fd = ngx_open_file(name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return;
    }

    n = ngx_read_fd(fd, text, NGX_HTTP_TGBOT_ZONE_BOOT - 1);

    ngx_memzero(text + ngx_max(n, 0),
                NGX_HTTP_TGBOT_ZONE_BOOT - ngx_max(n, 0));

    (void) ngx_close_file(fd);
}


#if (NGX_HTTP_TGBOT_ZONE_TEST)

/*
 * Files in nginx's prefix: "boot" has the id of the boot, "clock" the seconds
 * by which the wall clock is ahead.
 */

static void
ngx_http_tgbot_zone_test(const char *file, u_char *text)
{
    u_char  name[NGX_MAX_PATH];

    (void) ngx_snprintf(name, NGX_MAX_PATH, "%V%s%Z", &ngx_cycle->prefix, file);

    ngx_http_tgbot_zone_read((char *) name, text);
}

#endif
