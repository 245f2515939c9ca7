
/*
 * What is in a zone of broadcasts: a table of records, and blocks of a page
 * each, in chains: of the text, of chats, of errors.  The id of a record
 * publishes it and is the owner of its blocks.  All else is derived from
 * records and blocks.
 *
 * Functions are called with the zone locked.
 */

#ifndef _NGX_HTTP_TGBOT_BROADCAST_AREA_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BROADCAST_AREA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_broadcast.h"


/*
 * A page of a file is of one moment, however the machine ends, so a block is
 * a page, and is aligned in a file that is mapped
 */
#define NGX_HTTP_TGBOT_BROADCAST_BLOCK    4096
#define NGX_HTTP_TGBOT_BROADCAST_DATA     (NGX_HTTP_TGBOT_BROADCAST_BLOCK - 40)
#define NGX_HTTP_TGBOT_BROADCAST_SLOTS    (NGX_HTTP_TGBOT_BROADCAST_DATA / 9)
#define NGX_HTTP_TGBOT_BROADCAST_TABLE                                        \
    (NGX_HTTP_TGBOT_BROADCAST_DATA / sizeof(ngx_http_tgbot_broadcast_error_t))

#define NGX_HTTP_TGBOT_BROADCAST_NIL      0xffffffff

/* records of a zone at most: all of them are looked at inside the lock */
#define NGX_HTTP_TGBOT_BROADCAST_RECORDS  1024


/*
 * The byte of a chat: waiting, in flight, taken by the leader but not sent, or
 * in flight under the leader before, each with how often it was given up; the
 * other states; or ERROR and a number in the table of errors.
 */

#define NGX_HTTP_TGBOT_BROADCAST_BYTE_FLIGHT                                  \
    NGX_HTTP_TGBOT_BROADCAST_TRIES
#define NGX_HTTP_TGBOT_BROADCAST_BYTE     (2 * NGX_HTTP_TGBOT_BROADCAST_TRIES)
#define NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN                                   \
    (NGX_HTTP_TGBOT_BROADCAST_BYTE + NGX_HTTP_TGBOT_BROADCAST_CHATS)
#define NGX_HTTP_TGBOT_BROADCAST_BYTE_FORMER                                  \
    (NGX_HTTP_TGBOT_BROADCAST_BYTE_TAKEN + NGX_HTTP_TGBOT_BROADCAST_TRIES)
#define NGX_HTTP_TGBOT_BROADCAST_BYTE_ERROR  32

/* whether a byte is one of those from BYTE_... on */
#define ngx_http_tgbot_broadcast_is(byte, first)                              \
    ((u_char) ((byte) - (first)) < NGX_HTTP_TGBOT_BROADCAST_TRIES)


typedef enum {
    NGX_HTTP_TGBOT_BROADCAST_OF_TEXT = 1,
    NGX_HTTP_TGBOT_BROADCAST_OF_CHATS,
    NGX_HTTP_TGBOT_BROADCAST_OF_ERRORS
} ngx_http_tgbot_broadcast_of_e;


typedef struct {
    uint64_t                          owner;    /* or the last one, if free */
    uint64_t                          sum;      /* of all that has no state */
    uint32_t                          next;     /* or NIL */
    uint32_t                          of;
    uint32_t                          number;   /* in its chain, from 0 */
    uint32_t                          n;        /* bytes, chats or errors */
    uint32_t                          seen;     /* while it is repaired */
    uint32_t                          reserved;

    union {
        u_char                        text[NGX_HTTP_TGBOT_BROADCAST_DATA];

        struct {
            int64_t                   id[NGX_HTTP_TGBOT_BROADCAST_SLOTS];
            u_char                    state[NGX_HTTP_TGBOT_BROADCAST_SLOTS];
        } chats;

        ngx_http_tgbot_broadcast_error_t
                                      errors[NGX_HTTP_TGBOT_BROADCAST_TABLE];
    } u;
} ngx_http_tgbot_broadcast_block_t;


typedef struct {
    uint64_t                          id;       /* 0: free */
    uint64_t                          sum;      /* up to "text" */

    uint64_t                          bot_id;
    int64_t                           created;
    uint32_t                          bot_len;
    uint32_t                          method_len;
    uint32_t                          text_len;
    uint32_t                          text;     /* first block, or NIL */
    u_char                            bot[NGX_HTTP_TGBOT_ITEM_NAME];
    u_char                            method[NGX_HTTP_TGBOT_BROADCAST_METHOD];

    uint32_t                          chats;    /* first block, or NIL */
    uint32_t                          errors;   /* first block, or NIL */
    uint32_t                          total;    /* chats that are added */
    uint32_t                          state;
    uint32_t                          loading;  /* not published */
    uint32_t                          error;    /* its number, that paused the
                                                   broadcast; 0: none */
    int64_t                           last;
    ngx_http_tgbot_lease_t            loader;
    ngx_http_tgbot_lease_t            leader;
    ngx_http_tgbot_lease_t            former;   /* has what it sent in flight */

    /* derived */

    uint32_t                          written;  /* chats, with a loader's */
    uint32_t                          tail;     /* last block of chats */
    uint32_t                          kept;     /* last one that has chats
                                                   which are added, or NIL */
    uint32_t                          nerrors;
    uint32_t                          block;    /* where take() goes on */
    uint32_t                          slot;
    uint32_t                          scan;     /* where strand() goes on */
    uint32_t                          taken;    /* of those that wait */
    uint32_t                          passed;   /* in flight under former */
    uint32_t                          count[NGX_HTTP_TGBOT_BROADCAST_CHATS];

    /* results, to know the rate */

    ngx_msec_t                        since;
    uint32_t                          results;
    uint32_t                          rate;
} ngx_http_tgbot_broadcast_record_t;


typedef struct {
    uint64_t                          id;       /* the last one given */
    uint64_t                          broken;   /* chats that were lost, and
                                                   not told of */

    /* derived */

    uint32_t                          free;     /* first block, or NIL */
    uint32_t                          room;     /* free blocks */
} ngx_http_tgbot_broadcast_sh_t;


/* pointers into a zone, made each time the zone is locked */

typedef struct {
    ngx_http_tgbot_zone_t              *zone;
    ngx_http_tgbot_broadcast_sh_t      *sh;
    ngx_http_tgbot_broadcast_record_t  *records;
    ngx_uint_t                          nrecords;
    ngx_http_tgbot_broadcast_block_t   *blocks;
    ngx_uint_t                          nblocks;
} ngx_http_tgbot_broadcast_area_t;


/* opens and locks the zone, and repairs it if a process died inside */
void ngx_http_tgbot_broadcast_area_lock(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_broadcast_area_t *area);

/* a broadcast of the bot that is published, or NULL */
ngx_http_tgbot_broadcast_record_t *ngx_http_tgbot_broadcast_area_find(
    ngx_http_tgbot_broadcast_area_t *area, ngx_http_tgbot_broadcast_t *b,
    uint64_t id);

/* whether a broadcast is the bot's */
ngx_uint_t ngx_http_tgbot_broadcast_area_own(
    ngx_http_tgbot_broadcast_record_t *record, ngx_http_tgbot_broadcast_t *b);

/* its state, a ngx_http_tgbot_broadcast_state_e */
ngx_uint_t ngx_http_tgbot_broadcast_area_state(
    ngx_http_tgbot_broadcast_record_t *record);

/* a free block that becomes the owner's; not in a chain yet; NIL: no room */
uint32_t ngx_http_tgbot_broadcast_area_block(
    ngx_http_tgbot_broadcast_area_t *area, uint64_t owner, ngx_uint_t of,
    ngx_uint_t number);

/*
 * Frees a block and all that follow it in its chain, the last one of which is
 * "tail"; NIL: none
 */
void ngx_http_tgbot_broadcast_area_free(ngx_http_tgbot_broadcast_area_t *area,
    uint32_t block, uint32_t tail);

/* the last block of a short chain, or NIL */
uint32_t ngx_http_tgbot_broadcast_area_tail(
    ngx_http_tgbot_broadcast_area_t *area, uint32_t block);

/* deletes a record */
void ngx_http_tgbot_broadcast_area_drop(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record);

/*
 * Looks at a block of a broadcast whose leader, or the one before, is dead:
 * chats that the dead one had in flight become unknown, those that it had only
 * taken wait.  Adds the number of the first to *unknown.
 * NGX_AGAIN: there may be more.  NGX_OK: there are none.
 */
ngx_int_t ngx_http_tgbot_broadcast_area_strand(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t *unknown);

/* changes the byte of a chat, which moves "from" a state "to" another one */
void ngx_http_tgbot_broadcast_area_move(
    ngx_http_tgbot_broadcast_record_t *record, u_char *byte, u_char value,
    ngx_uint_t from, ngx_uint_t to);

/* sets the state, a ngx_http_tgbot_broadcast_chat_e, that each byte means */
void ngx_http_tgbot_broadcast_area_meaning(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, u_char meaning[256]);

/* an error in the table of a broadcast, or NULL */
ngx_http_tgbot_broadcast_error_t *ngx_http_tgbot_broadcast_area_error(
    ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record, ngx_uint_t number);

/* drops what a loader has left that is dead */
void ngx_http_tgbot_broadcast_area_reap(ngx_http_tgbot_broadcast_area_t *area,
    ngx_http_tgbot_broadcast_record_t *record);

/* sets a lease in a record */
void ngx_http_tgbot_broadcast_area_lease(ngx_http_tgbot_lease_t *dst,
    ngx_http_tgbot_lease_t *src);

/* sets the checksum of a block or a record */
void ngx_http_tgbot_broadcast_area_seal(
    ngx_http_tgbot_broadcast_block_t *block);
void ngx_http_tgbot_broadcast_area_seal_record(
    ngx_http_tgbot_broadcast_record_t *record);


#endif /* _NGX_HTTP_TGBOT_BROADCAST_AREA_H_INCLUDED_ */
