
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_state.h"
#include "ngx_http_tgbot_state_file.h"


static ngx_fd_t ngx_http_tgbot_state_lock(ngx_http_tgbot_state_t *state,
    ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_state_write_file(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_writer_t *w);
static ngx_int_t ngx_http_tgbot_state_sync(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w);
static ngx_int_t ngx_http_tgbot_state_rename(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w);
static ngx_uint_t ngx_http_tgbot_state_there(ngx_http_tgbot_state_t *state);
static ngx_int_t ngx_http_tgbot_state_delete(ngx_http_tgbot_state_t *state,
    ngx_log_t *log);
static ngx_int_t ngx_http_tgbot_state_bad(ngx_http_tgbot_state_t *state,
    u_char *name, ngx_log_t *log);


ngx_int_t
ngx_http_tgbot_state_write(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    ngx_fd_t                        lock;
    ngx_int_t                       rc;
    ngx_http_tgbot_state_writer_t  *w;

    w = ngx_alloc(sizeof(ngx_http_tgbot_state_writer_t), log);
    if (w == NULL) {
        return NGX_ERROR;
    }

    lock = ngx_http_tgbot_state_lock(state, log);

    if (lock == NGX_INVALID_FILE) {
        ngx_free(w);
        return NGX_ERROR;
    }

    w->log = log;

    rc = ngx_http_tgbot_state_write_file(state, w);

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "tgbot: %uL updates and %uL dead letters are kept in "
                      "\"%V\"",
                      w->written[NGX_HTTP_TGBOT_STATE_UPDATE],
                      w->written[NGX_HTTP_TGBOT_STATE_LETTER], &state->path);
    }

    if (ngx_close_file(lock) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%V.lock\" failed", &state->path);
    }

    ngx_free(w);

    return rc;
}


/* who has it locked may take what is at path.tmp for the rest of a failure */

static ngx_fd_t
ngx_http_tgbot_state_lock(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    u_char     name[NGX_MAX_PATH];
    ngx_fd_t   fd;
    ngx_err_t  err;

    if (ngx_http_tgbot_state_path(state, name, ".lock", log) != NGX_OK) {
        return NGX_INVALID_FILE;
    }

    fd = ngx_open_file(name, NGX_FILE_RDWR|O_NOFOLLOW|NGX_FILE_NONBLOCK,
                       NGX_FILE_CREATE_OR_OPEN, NGX_FILE_OWNER_ACCESS);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", name);
        return NGX_INVALID_FILE;
    }

    err = ngx_trylock_fd(fd);

    if (err == 0) {
        return fd;
    }

    ngx_log_error(NGX_LOG_CRIT, log, err,
                  ngx_trylock_fd_n " \"%s\" failed, does another nginx write "
                  "this file?", name);

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", name);
    }

    return NGX_INVALID_FILE;
}


static ngx_int_t
ngx_http_tgbot_state_write_file(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w)
{
    ngx_int_t  rc;

    if (ngx_http_tgbot_state_path(state, w->name, ".tmp", w->log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_delete_file(w->name) == NGX_FILE_ERROR
        && ngx_errno != NGX_ENOENT)
    {
        return ngx_http_tgbot_state_failed(w, ngx_delete_file_n);
    }

    w->fd = ngx_open_file(w->name, NGX_FILE_WRONLY|O_EXCL|O_NOFOLLOW,
                          NGX_FILE_CREATE_OR_OPEN, NGX_FILE_OWNER_ACCESS);

    if (w->fd == NGX_INVALID_FILE) {
        return ngx_http_tgbot_state_failed(w, ngx_open_file_n);
    }

    rc = ngx_http_tgbot_state_write_all(state, w);

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_state_sync(state, w);
    }

    if (ngx_close_file(w->fd) == NGX_FILE_ERROR && rc == NGX_OK) {
        rc = ngx_http_tgbot_state_failed(w, ngx_close_file_n);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_tgbot_state_rename(state, w);
    }

    if (rc != NGX_OK
        && ngx_delete_file(w->name) == NGX_FILE_ERROR
        && ngx_errno != NGX_ENOENT)
    {
        (void) ngx_http_tgbot_state_failed(w, ngx_delete_file_n);
    }

    return rc;
}


static ngx_int_t
ngx_http_tgbot_state_sync(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w)
{
    if (state->uid && geteuid() == 0
        && fchown(w->fd, state->uid, (gid_t) -1) == -1)
    {
        return ngx_http_tgbot_state_failed(w, "fchown()");
    }

    if (fsync(w->fd) == -1) {
        return ngx_http_tgbot_state_failed(w, "fsync()");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_state_rename(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w)
{
    u_char    *p;
    ngx_fd_t   fd;

    if (ngx_rename_file(w->name, state->path.data) == NGX_FILE_ERROR) {
        return ngx_http_tgbot_state_failed(w, ngx_rename_file_n);
    }

    /* the name is in the directory */

    for (p = w->name + state->path.len; p > w->name && p[-1] != '/'; p--) {
        /* void */
    }

    if (p == w->name) {
        *p++ = '.';
    }

    *p = '\0';

    fd = ngx_open_file(w->name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        (void) ngx_http_tgbot_state_failed(w, ngx_open_file_n);
        return NGX_OK;
    }

    if (fsync(fd) == -1) {
        (void) ngx_http_tgbot_state_failed(w, "fsync()");
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        (void) ngx_http_tgbot_state_failed(w, ngx_close_file_n);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_state_failed(ngx_http_tgbot_state_writer_t *w,
    const char *what)
{
    ngx_log_error(NGX_LOG_CRIT, w->log, ngx_errno, "%s \"%s\" failed", what,
                  w->name);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_state_remove(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (ngx_http_tgbot_state_there(state)) {
        rc = state->left ? ngx_http_tgbot_state_aside(state, log)
                         : ngx_http_tgbot_state_delete(state, log);
    }

    /* others were kept from it until now */

    ngx_http_tgbot_state_close(state);

    return rc;
}


/* a process that began late may find another file by that name, or none */

static ngx_uint_t
ngx_http_tgbot_state_there(ngx_http_tgbot_state_t *state)
{
    ngx_file_info_t  loaded, there;

    return state->file
           && ngx_fd_info(state->file->fd, &loaded) != NGX_FILE_ERROR
           && ngx_link_info(state->path.data, &there) != NGX_FILE_ERROR
           && ngx_file_uniq(&loaded) == ngx_file_uniq(&there)
           && loaded.st_dev == there.st_dev;
}


static ngx_int_t
ngx_http_tgbot_state_delete(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    ngx_err_t  err;

    if (ngx_delete_file(state->path.data) != NGX_FILE_ERROR) {
        return NGX_OK;
    }

    err = ngx_errno;

    /*
     * a worker may not be allowed to change the directory, nor to open the
     * file, but its master has
     */

    if (ftruncate(state->file->fd, 0) != -1) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_CRIT, log, err,
                  ngx_delete_file_n " \"%V\" failed, its updates are going "
                  "to be loaded once more", &state->path);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tgbot_state_path(ngx_http_tgbot_state_t *state, u_char *buf,
    const char *suffix, ngx_log_t *log)
{
    if (state->path.len + ngx_strlen(suffix) >= NGX_MAX_PATH) {
        ngx_log_error(NGX_LOG_CRIT, log, NGX_ENAMETOOLONG,
                      "the path \"%V%s\" is too long", &state->path, suffix);
        return NGX_ERROR;
    }

    (void) ngx_snprintf(buf, NGX_MAX_PATH, "%V%s%Z", &state->path, suffix);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_state_aside(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    u_char  name[NGX_MAX_PATH];

    if (ngx_http_tgbot_state_bad(state, name, log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_rename_file(state->path.data, name) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_rename_file_n " \"%V\" to \"%s\" failed",
                      &state->path, name);
        return NGX_ERROR;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0, "tgbot: \"%V\" is kept as \"%s\"",
                  &state->path, name);

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_state_spare(ngx_http_tgbot_state_t *state, ngx_log_t *log)
{
    u_char           name[NGX_MAX_PATH];
    ngx_copy_file_t  cf;

    if (ngx_http_tgbot_state_bad(state, name, log) != NGX_OK) {
        return NGX_ERROR;
    }

    cf.size = -1;
    cf.buf_size = 0;
    cf.access = NGX_FILE_OWNER_ACCESS;
    cf.time = -1;
    cf.log = log;

    if (ngx_copy_file(state->path.data, name, &cf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "tgbot: a copy of \"%V\" is kept as \"%s\"", &state->path,
                  name);

    return NGX_OK;
}


/* the name of what is kept beside, at which there is nothing yet */

static ngx_int_t
ngx_http_tgbot_state_bad(ngx_http_tgbot_state_t *state, u_char *name,
    ngx_log_t *log)
{
    u_char           suffix[sizeof(".bad.") + NGX_TIME_T_LEN];
    struct timeval   now;
    ngx_file_info_t  fi;

    if (ngx_http_tgbot_state_path(state, name, ".bad", log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_link_info(name, &fi) == NGX_FILE_ERROR) {
        return NGX_OK;
    }

    ngx_gettimeofday(&now);

    (void) ngx_sprintf(suffix, ".bad.%T%Z", (time_t) now.tv_sec);

    return ngx_http_tgbot_state_path(state, name, (char *) suffix, log);
}
