
/*
 * What is in a file, for those who write and read it.
 *
 * A header is followed by records, each a struct of its own followed by the
 * data and the answer, without anything in between.  Records of a bot and
 * kind are in the order in which they came.
 *
 * All numbers are as this machine has them; "order" tells another machine's.
 * Times in the file are ages in ms, at the time of writing, because a reader
 * has another monotonic clock.  The reader adds the time that has passed since
 * then by the wall clock.
 *
 * The checksum covers the records, then the header up to the checksum.  The
 * members behind it change while the file is loaded.
 */

#ifndef _NGX_HTTP_TGBOT_STATE_FILE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATE_FILE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_item.h"
#include "ngx_http_tgbot_state.h"


#define NGX_HTTP_TGBOT_STATE_MAGIC    "tgbstate"
#define NGX_HTTP_TGBOT_STATE_ORDER    0x01020304
#define NGX_HTTP_TGBOT_STATE_VERSION  3

#define NGX_HTTP_TGBOT_STATE_BUFFER   65536


typedef struct {
    u_char                    magic[8];
    uint32_t                  order;
    uint32_t                  version;
    uint64_t                  size;        /* of the file */
    uint64_t                  records;
    int64_t                   time;        /* of writing, ms since the epoch */
    uint32_t                  record;      /* size of its struct */
    uint32_t                  crc;

    uint64_t                  done;        /* records that are loaded */
    uint64_t                  check;       /* ~done */
} ngx_http_tgbot_state_header_t;


/* kinds of records */

#define NGX_HTTP_TGBOT_STATE_UPDATE   1    /* of a queue */
#define NGX_HTTP_TGBOT_STATE_LETTER   2
#define NGX_HTTP_TGBOT_STATE_DEDUP    3    /* data: int64_t ids */


/*
 * What a kind does not have is 0.  "received" is an age, as is "started" if
 * there are failures; letters have other ids in another zone.
 */

typedef struct {
    ngx_http_tgbot_head_t      head;
    ngx_http_tgbot_progress_t  progress;
    ngx_http_tgbot_dead_end_t  end;        /* of a letter */
    ngx_msec_t                 delay;

    uint32_t                   kind;
    uint32_t                   data_len;
    uint32_t                   answer_len;
    uint32_t                   answered;
} ngx_http_tgbot_state_record_t;


/* a file that is being written */

typedef struct {
    ngx_fd_t                       fd;
    ngx_log_t                     *log;
    u_char                         name[NGX_MAX_PATH];  /* path.tmp */

    ngx_http_tgbot_state_header_t  header;
    uint64_t                       written[NGX_HTTP_TGBOT_STATE_DEDUP + 1];

    off_t                          offset;     /* of the buffer */
    size_t                         used;
    u_char                         buf[NGX_HTTP_TGBOT_STATE_BUFFER];

    int64_t                        ids[NGX_HTTP_TGBOT_STATE_IDS];
} ngx_http_tgbot_state_writer_t;


/* a file that is being loaded; all of it was found to be right */

struct ngx_http_tgbot_state_file_s {
    ngx_fd_t                       fd;
    ngx_log_t                     *log;
    u_char                        *path;

    ngx_http_tgbot_state_header_t  header;
    int64_t                        passed;   /* ms, since it was written */

    /* where the next record is */
    uint64_t                       offset;
    uint64_t                       number;

    /* of the latest that was read, where its strings are, and its bot */
    ngx_http_tgbot_state_record_t  record;
    uint64_t                       strings;
    ngx_str_t                      bot;

    /* loaded by this process, by kind */
    uint64_t                       loaded[NGX_HTTP_TGBOT_STATE_DEDUP + 1];

    u_char                         buf[NGX_HTTP_TGBOT_STATE_BUFFER];
};


/* all that is to be in the file; NGX_ERROR: logged, as "failed" does */
ngx_int_t ngx_http_tgbot_state_write_all(ngx_http_tgbot_state_t *state,
    ngx_http_tgbot_state_writer_t *w);
ngx_int_t ngx_http_tgbot_state_failed(ngx_http_tgbot_state_writer_t *w,
    const char *what);


/*
 * Opens the file, and looks at all of it.  With "room" what it holds has to
 * fit in what is free, else in the zones as they are when they are empty.
 *
 * NGX_OK, with state->file, which is locked, NGX_DECLINED, NGX_BUSY,
 * NGX_ERROR: as ngx_http_tgbot_state_load()
 */
ngx_int_t ngx_http_tgbot_state_open(ngx_http_tgbot_state_t *state,
    ngx_uint_t room, ngx_log_t *log);

/* the next record without its strings: NGX_OK, NGX_DONE, NGX_ERROR: logged */
ngx_int_t ngx_http_tgbot_state_next(ngx_http_tgbot_state_file_t *file);

/* size bytes of the file at offset; NGX_ERROR: logged */
ngx_int_t ngx_http_tgbot_state_read(ngx_http_tgbot_state_file_t *file,
    void *buf, size_t size, uint64_t offset);

/* logs what is wrong with the file: NGX_ERROR */
ngx_int_t ngx_http_tgbot_state_refuse(ngx_http_tgbot_state_file_t *file,
    const char *why);

/* the zone for the record, NULL: there is none */
ngx_http_tgbot_zone_t *ngx_http_tgbot_state_zone(
    ngx_http_tgbot_state_t *state, ngx_http_tgbot_state_file_t *file);

/* of a zone: by its name, and its id if both are known; NULL: there is none */
void *ngx_http_tgbot_state_user(ngx_http_tgbot_zone_t *zone, ngx_str_t *bot,
    uint64_t bot_id);

/* path and a suffix, with NUL, in a buffer of NGX_MAX_PATH */
ngx_int_t ngx_http_tgbot_state_path(ngx_http_tgbot_state_t *state,
    u_char *buf, const char *suffix, ngx_log_t *log);

/* out of the way, as path.bad; logged */
ngx_int_t ngx_http_tgbot_state_aside(ngx_http_tgbot_state_t *state,
    ngx_log_t *log);

/* puts a copy of the file aside, as path.bad; the file stays; logged */
ngx_int_t ngx_http_tgbot_state_spare(ngx_http_tgbot_state_t *state,
    ngx_log_t *log);


#endif /* _NGX_HTTP_TGBOT_STATE_FILE_H_INCLUDED_ */
