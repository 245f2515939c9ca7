
/*
 * The directory of tgbot_state, as a master has it: who uses it, and the file
 * "runtime" with what does not outlive these processes.  It is kept over
 * reloads, and left with the last cycle that uses it.
 */

#ifndef _NGX_HTTP_TGBOT_ZONE_DIR_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ZONE_DIR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"


/* bytes of an id of a boot, with NUL: what Linux has at most, and some more */
#define NGX_HTTP_TGBOT_ZONE_BOOT     40

/* masters that may use the directory at a time */
#define NGX_HTTP_TGBOT_ZONE_MASTERS  8


/* an entry of the table in "runtime"; its zone is known by name */

typedef struct {
    u_char                          name[16];    /* MD5; 0: free */
    uint64_t                        device;      /* of the file */
    uint64_t                        inode;
    ngx_http_tgbot_zone_rt_t        rt;
} ngx_http_tgbot_zone_entry_t;


/* the beginning of "runtime" */

typedef struct {
    ngx_http_tgbot_zone_rt_t        rt;          /* of the table */
    uint64_t                        magic;
    uint64_t                        entries;
    u_char                          boot[NGX_HTTP_TGBOT_ZONE_BOOT];
    ngx_atomic_t                    complete;    /* a start has ended */
    ngx_atomic_t                    masters[NGX_HTTP_TGBOT_ZONE_MASTERS];
} ngx_http_tgbot_zone_runtime_t;


typedef struct ngx_http_tgbot_zone_dir_s  ngx_http_tgbot_zone_dir_t;

struct ngx_http_tgbot_zone_dir_s {
    ngx_http_tgbot_zone_dir_t      *next;
    ngx_uint_t                      refs;        /* cycles */
    ngx_fd_t                        lock;        /* the directory, locked */
    u_char                          boot[NGX_HTTP_TGBOT_ZONE_BOOT];

    ngx_http_tgbot_zone_runtime_t  *runtime;
    size_t                          size;        /* of "runtime" */

    ngx_http_tgbot_zone_runtime_t  *former;      /* what a start has found;
                                                    NULL: nothing of use */
    unsigned                        starting:1;  /* no other process uses it */

    size_t                          len;
    u_char                          path[1];     /* with NUL */
};


/*
 * Makes the directory this master's: alone, or together with the master that a
 * new binary was started by.  A directory that is missing is made.  "zones" is
 * the number of zones that will be entered.  It is left when the pool is
 * destroyed.  NULL: logged.
 */
ngx_http_tgbot_zone_dir_t *ngx_http_tgbot_zone_dir_enter(ngx_str_t *path,
    ngx_uint_t zones, ngx_pool_t *pool, ngx_log_t *log);

/*
 * "nginx -t": whether the directory, if it is there, can be entered; NGX_ERROR:
 * logged.
 */
ngx_int_t ngx_http_tgbot_zone_dir_test(ngx_str_t *path, ngx_log_t *log);

/*
 * Whether this master has entered the directory already; the path of another
 * one that it has entered, or NULL.
 */
ngx_uint_t ngx_http_tgbot_zone_dir_entered(ngx_str_t *path);
u_char *ngx_http_tgbot_zone_dir_other(ngx_str_t *path);

/* the entry of a zone; NULL: there is none */
ngx_http_tgbot_zone_entry_t *ngx_http_tgbot_zone_dir_entry(
    ngx_http_tgbot_zone_dir_t *dir, ngx_str_t *name);

/*
 * Adds an entry for a zone in this file; NULL: there is no room, logged.  No
 * other process finds it before it is published: a master that is killed
 * meanwhile leaves an entry of no zone.
 */
ngx_http_tgbot_zone_entry_t *ngx_http_tgbot_zone_dir_add(
    ngx_http_tgbot_zone_dir_t *dir, ngx_str_t *name, ngx_file_info_t *fi,
    ngx_log_t *log);
void ngx_http_tgbot_zone_dir_publish(ngx_http_tgbot_zone_entry_t *entry,
    ngx_str_t *name);

/*
 * Removes an entry that is not published, or one whose runtime part processes
 * still use.
 */
void ngx_http_tgbot_zone_dir_remove(ngx_http_tgbot_zone_entry_t *entry);
void ngx_http_tgbot_zone_dir_retire(ngx_http_tgbot_zone_entry_t *entry);

/*
 * How the processes before this start, in the same boot, left a zone in this
 * file.  Torn: they used another file, so this one is a copy, whose pages are
 * of any moment.
 */
ngx_http_tgbot_zone_found_e ngx_http_tgbot_zone_dir_found(
    ngx_http_tgbot_zone_dir_t *dir, ngx_str_t *name, ngx_file_info_t *fi);

/*
 * Whether the file of an entry was deleted or replaced.  "fd" is the file, or
 * NGX_INVALID_FILE: then nothing is seen by workers that may not look into the
 * directory.
 */
ngx_uint_t ngx_http_tgbot_zone_dir_lost(ngx_http_tgbot_zone_entry_t *entry,
    u_char *path, ngx_fd_t fd);

/*
 * init_module, for each cycle: a start has ended.  NGX_ERROR: another nginx
 * uses the directory, logged.
 */
ngx_int_t ngx_http_tgbot_zone_dir_started(ngx_http_tgbot_zone_dir_t *dir,
    ngx_log_t *log);

/* worker start: notes its master, for those that find the directory in use */
void ngx_http_tgbot_zone_dir_init_process(ngx_http_tgbot_zone_dir_t *dir);

/* whether no other process uses the directory; for a master that exits */
ngx_uint_t ngx_http_tgbot_zone_dir_alone(ngx_http_tgbot_zone_dir_t *dir);

/*
 * Gives the file "size" bytes, and all of its blocks: the kernel kills a
 * process that writes to a page for which there is no room.  What is in the
 * file stays.  Returns 0 or an error.
 */
ngx_err_t ngx_http_tgbot_zone_dir_allocate(ngx_fd_t fd, size_t size);

/* the time of the wall clock, ms since the epoch */
int64_t ngx_http_tgbot_zone_wall(void);


#endif /* _NGX_HTTP_TGBOT_ZONE_DIR_H_INCLUDED_ */
