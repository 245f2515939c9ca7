
/*
 * Zones that are files in the directory of tgbot_state.  The file is mapped
 * before workers start, and nothing is written out or read in: what is in the
 * zone is in the file.
 *
 *     a header, NGX_HTTP_TGBOT_ZONE_FILE_HEADER bytes
 *     ngx_http_tgbot_zone_sh_t, and the data of the kind
 *
 * A file is made under another name, and gets its own one by
 * ngx_http_tgbot_zone_file_started().
 */

#ifndef _NGX_HTTP_TGBOT_ZONE_FILE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ZONE_FILE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_dir.h"
#include "ngx_http_tgbot_zone_file_header.h"


/* longest name of a zone that is a file, and longest path of a directory */
#define NGX_HTTP_TGBOT_ZONE_FILE_NAME    128
#define NGX_HTTP_TGBOT_ZONE_FILE_PATH    512


/* a zone's file in the memory of a master and its workers */

struct ngx_http_tgbot_zone_map_s {
    ngx_http_tgbot_zone_map_t    *next;
    ngx_uint_t                    refs;     /* cycles */
    ngx_http_tgbot_zone_dir_t    *dir;
    ngx_http_tgbot_zone_entry_t  *entry;
    ngx_http_tgbot_zone_header_t *header;   /* where it is mapped */
    ngx_fd_t                      fd;       /* of what must be kept, to see
                                               that it was deleted */
    size_t                        size;
    unsigned                      made:1;   /* has not got its name yet */
    unsigned                      added:1;  /* the entry is not published */
    unsigned                      aside:1;  /* a file of another version has
                                               this name, and is set aside */
    unsigned                      told:1;   /* that it was deleted */
    u_char                       *path;     /* with NUL, behind this struct */
};


/* tgbot_state in a configuration */

struct ngx_http_tgbot_zone_state_s {
    ngx_str_t                     path;     /* with NUL */
    ngx_array_t                  *zones;    /* all of the configuration */
    ngx_pool_t                   *pool;     /* the cycle's */
    ngx_http_tgbot_zone_dir_t    *dir;      /* once it is entered */
};


/*
 * After all directives are read: the zones that may be files become files in
 * this directory, unless "path" is empty.  NGX_ERROR: a zone has a name that no
 * file may have, or the running nginx uses another directory, logged.
 */
ngx_int_t ngx_http_tgbot_zone_file_use(ngx_conf_t *cf, ngx_array_t *zones,
    ngx_str_t *path);

/*
 * Maps the file of a zone, and sets zone->map, rt, sh and offset; calls the
 * kind's callbacks.  "nginx -t" looks at the file, changes nothing, and gets
 * memory of its own.
 * NGX_ERROR: logged.
 */
ngx_int_t ngx_http_tgbot_zone_file_init(ngx_http_tgbot_zone_t *zone);

/*
 * init_module: the configuration is in use from now on.  NGX_ERROR: logged.
 */
ngx_int_t ngx_http_tgbot_zone_file_started(ngx_cycle_t *cycle,
    ngx_array_t *zones);

/* whether the zone's file was deleted or replaced: it ends with nginx */
ngx_uint_t ngx_http_tgbot_zone_file_lost(ngx_http_tgbot_zone_t *zone);

/* worker start: the first worker looks after the files */
void ngx_http_tgbot_zone_file_init_process(ngx_cycle_t *cycle,
    ngx_array_t *zones);
void ngx_http_tgbot_zone_file_exit_process(void);

/*
 * A master exits, its workers are gone: writes the files to disk, and notes so
 * in them, unless another master uses them.
 */
void ngx_http_tgbot_zone_file_exit_master(ngx_array_t *zones);


#endif /* _NGX_HTTP_TGBOT_ZONE_FILE_H_INCLUDED_ */
