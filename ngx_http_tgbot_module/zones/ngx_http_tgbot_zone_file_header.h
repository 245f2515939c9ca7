
/*
 * The header of a zone's file: what the file is, and the clock of the times in
 * it.
 */

#ifndef _NGX_HTTP_TGBOT_ZONE_FILE_HEADER_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ZONE_FILE_HEADER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"
#include "ngx_http_tgbot_zone_dir.h"


#define NGX_HTTP_TGBOT_ZONE_FILE_HEADER  4096

#define NGX_HTTP_TGBOT_ZONE_FILE_MAGIC   "tgbzone1"
#define NGX_HTTP_TGBOT_ZONE_FILE_ORDER   0x01020304

/* in "clean": the start that found the contents torn has not ended yet */
#define NGX_HTTP_TGBOT_ZONE_FILE_TORN    2

/* the end of the name of a zone's file */
#define NGX_HTTP_TGBOT_ZONE_FILE_ZONE    ".zone"


/*
 * What brings times in the file to the clock of a boot.  A start that finds
 * another boot writes the older one of two, so that a start that is killed
 * leaves one that is right.
 */

typedef struct {
    uint64_t                      serial;
    uint64_t                      offset;   /* from ngx_current_msec */
    u_char                        boot[NGX_HTTP_TGBOT_ZONE_BOOT];
    uint64_t                      sum;
} ngx_http_tgbot_zone_time_t;


typedef struct {
    u_char                        magic[8];
    uint32_t                      order;    /* of bytes */
    uint32_t                      word;     /* bytes of a size_t */
    u_char                        kind[24]; /* name */
    uint64_t                      id;       /* of the kind: its layout */
    uint64_t                      size;     /* of the file */
    uint64_t                      sum;      /* of the members above */

    ngx_http_tgbot_zone_time_t    time[2];

    /* the last that is known of the clocks of this boot */
    uint64_t                      base;     /* wall clock less times here */
    uint64_t                      seen;     /* time here */

    uint64_t                      clean;    /* 1: nginx ended in order, and all
                                               of the file is on disk */
} ngx_http_tgbot_zone_header_t;


/* a file that is there, and what its header says */

typedef struct {
    ngx_fd_t                      fd;
    ngx_file_info_t               fi;
    ngx_http_tgbot_zone_header_t  header;
    u_char                        path[NGX_MAX_PATH];
} ngx_http_tgbot_zone_found_t;


/* bytes of the file of a zone */
#define ngx_http_tgbot_zone_file_size(zone)                                   \
    ngx_align((zone)->size, NGX_HTTP_TGBOT_ZONE_FILE_HEADER)

/* the checksum of a header */
#define ngx_http_tgbot_zone_file_sum(header)                                  \
    ngx_http_tgbot_zone_sum(1, header,                                        \
                            offsetof(ngx_http_tgbot_zone_header_t, sum))


/*
 * Opens the file of a zone and looks at its header.
 *
 * NGX_OK        the file is this zone's, and is open
 * NGX_AGAIN     the same, but its size is another one than the zone's
 * NGX_DECLINED  the same, but another version of the module made it: it may
 *               be set aside
 * NGX_DONE      there is no file
 * NGX_ERROR     logged
 */
ngx_int_t ngx_http_tgbot_zone_file_look(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_found_t *found, ngx_uint_t write);

/* the newer one of the times that are whole; NULL: none is */
ngx_http_tgbot_zone_time_t *ngx_http_tgbot_zone_file_time(
    ngx_http_tgbot_zone_header_t *header);

/*
 * A start has mapped the file, whose "fi" is given: sets zone->offset so that
 * times go on by the wall clock after a boot.  Returns how the start finds the
 * contents.
 */
ngx_http_tgbot_zone_found_e ngx_http_tgbot_zone_file_clock(
    ngx_http_tgbot_zone_t *zone, ngx_file_info_t *fi);

/* notes the clocks, for a start after another boot */
void ngx_http_tgbot_zone_file_tick(ngx_http_tgbot_zone_header_t *header);


#endif /* _NGX_HTTP_TGBOT_ZONE_FILE_HEADER_H_INCLUDED_ */
