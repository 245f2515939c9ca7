
/*
 * Records and tickets of a zone of tgbot_pace: where they are, which are spare.
 * All functions but the callbacks of the kind are called with the zone locked.
 */

#ifndef _NGX_HTTP_TGBOT_PACE_TABLE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_PACE_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_list.h"
#include "ngx_http_tgbot_pace.h"


/* 32-bit words of a key */
#define NGX_HTTP_TGBOT_PACE_WORDS      12

#define NGX_HTTP_TGBOT_PACE_NIL        NGX_HTTP_TGBOT_LIST_NIL


/* a record's key; compared as a whole, so it is padded with zeros */

typedef struct {
    uint32_t                  bot;         /* serial of its entry; 0: the
                                              record is not in use */
    uint32_t                  len;
    u_char                    data[NGX_HTTP_TGBOT_PACE_CHAT];
} ngx_http_tgbot_pace_key_t;


/*
 * A pause: until a time, and then until the answer to the call that goes
 * first, the probe.
 */

typedef struct {
    ngx_msec_t                until;       /* 0: no pause */
    uint32_t                  probe;       /* ticket or NIL */
} ngx_http_tgbot_pace_pause_t;


/* a bucket: when it is full again, and the tokens of requests in flight */

typedef struct {
    uint64_t                  full;        /* microseconds */
    uint32_t                  flight;
} ngx_http_tgbot_pace_level_t;


/* a chat, a method or the bot */

typedef struct {
    uint32_t                  chain;       /* next of the same hash */
    ngx_http_tgbot_link_t     link;        /* by use; spare ones by "next" */
    ngx_http_tgbot_pace_key_t   key;
    uint32_t                  entry;       /* of the bot */
    uint32_t                  tickets;
    int64_t                   alias;       /* id of a chat whose record is in
                                              the place of this one, 0: none */
    ngx_http_tgbot_pace_pause_t   pause;
    ngx_http_tgbot_pace_level_t   chat;
    ngx_http_tgbot_pace_level_t   group;
    ngx_msec_t                later;       /* until then the first of bulk
                                              waits, as other machines want;
                                              0: does not */

    /* derived from the tickets */
    ngx_http_tgbot_list_t     loose;
    ngx_http_tgbot_list_t     line;
    ngx_http_tgbot_list_t     bulk;
    uint32_t                  going;       /* of the line, not waiting */
    uint32_t                  sent;        /* of bulk, as going */

    ngx_http_tgbot_link_t     stopped;     /* in the bot's list */
    ngx_http_tgbot_link_t     ready;
    u_char                    is_stopped;
    u_char                    is_ready;    /* 1 or 2: number of the list + 1 */
} ngx_http_tgbot_pace_record_t;


typedef struct {
    ngx_http_tgbot_link_t     link;        /* in its record's list, by seq;
                                              spare ones by "next" */
    ngx_http_tgbot_link_t     own;         /* in its worker's lists */
    ngx_http_tgbot_link_t     mail;
    uint32_t                  record;
    uint32_t                  slot;        /* of the worker's lease */
    uint32_t                  epoch;       /* 0: not in use */
    u_char                    class;
    u_char                    reason;

    unsigned                  waits:1;     /* else the call may go */
    unsigned                  waited:1;    /* is counted, since it entered */
    unsigned                  gone:1;      /* its worker knows that it may go */
    unsigned                  listed:1;    /* in its record's list */
    unsigned                  mailed:1;
    unsigned                  flight:1;    /* holds tokens */
    unsigned                  repeated:1;
    unsigned                  group:1;
    unsigned                  paid:1;

    uint64_t                  seq;
    ngx_msec_t                due;         /* as its worker was told */
    void                     *data;        /* in the worker's memory */
} ngx_http_tgbot_pace_ticket_t;


/* a worker, by the slot of its lease */

typedef struct {
    ngx_http_tgbot_list_t     own;         /* its tickets */
    ngx_http_tgbot_list_t     mail;        /* those to look at */
} ngx_http_tgbot_pace_slot_t;


typedef struct {
    ngx_http_tgbot_zone_bot_t  bot;
    uint32_t                  active;      /* tickets and pauses; may be read
                                              without the lock */
    ngx_http_tgbot_pace_pause_t   pause;
    ngx_http_tgbot_pace_level_t   level[2];  /* all, paid */
    ngx_http_tgbot_pace_rate_t
                              rates[NGX_HTTP_TGBOT_PACE_BUCKETS];

    ngx_http_tgbot_list_t     stopped;     /* records, by the bot's pause */
    ngx_http_tgbot_list_t     ready[2];    /* records whose bulk waits only for
                                              a token of the bot */

    uint32_t                  paused;      /* records */
    uint32_t                  waiting[NGX_HTTP_TGBOT_PACE_REASONS];

    uint64_t                  waited[NGX_HTTP_TGBOT_PACE_REASONS];
    uint64_t                  pauses;
    uint64_t                  lost;

    ngx_msec_t                window;      /* began */
    uint32_t                  count[2];    /* of bulk in it, all and paid */
    uint32_t                  before[2];   /* in the one before */
} ngx_http_tgbot_pace_bot_t;


typedef struct {

    /* these never change, so they may be read without the lock */

    uint64_t                  seed[NGX_HTTP_TGBOT_PACE_WORDS + 1];
    uint32_t                  total;       /* records, and tickets */
    uint32_t                  mask;        /* number of chains, less 1 */

    ngx_atomic_t              seq;

    ngx_http_tgbot_zone_bots_sh_t  bots;

    uint32_t                  spare_record;
    uint32_t                  spare_ticket;
    uint32_t                  ntickets;
    uint32_t                  nslots;      /* slots from here on were never
                                              used */
    ngx_http_tgbot_list_t     records;     /* the first one was used last */
} ngx_http_tgbot_pace_sh_t;


/* a zone under its lock, and what the unlock has to do */

typedef struct {
    ngx_http_tgbot_zone_t            *zone;
    ngx_http_tgbot_pace_sh_t         *sh;
    ngx_http_tgbot_zone_bots_t        bots;
    uint32_t                         *chains;
    ngx_http_tgbot_pace_slot_t       *slots;
    ngx_http_tgbot_pace_record_t     *records;
    ngx_http_tgbot_pace_ticket_t     *tickets;
    ngx_msec_t                        now;       /* of the zone */
    uint32_t                          self;      /* ticket that is looked at:
                                                    it is not told, or NIL */
    uint64_t                          rung[NGX_MAX_PROCESSES / 64];
} ngx_http_tgbot_pace_table_t;


/* sets the members, without the lock */
void ngx_http_tgbot_pace_table_open(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_zone_t *zone);

/* locks and repairs; unlocks and rings */
void ngx_http_tgbot_pace_table_lock(ngx_http_tgbot_pace_table_t *t);
void ngx_http_tgbot_pace_table_unlock(ngx_http_tgbot_pace_table_t *t,
    void (*ring)(ngx_uint_t slot));

#define ngx_http_tgbot_pace_table_bot(t, n)                                   \
    ((ngx_http_tgbot_pace_bot_t *)                                            \
     ((t)->bots.entries + (size_t) (n) * (t)->bots.size))

/*
 * The record of the chat, through an alias; a new one if "make", which may
 * evict another one.  NULL: there is none, or no room.
 */
ngx_http_tgbot_pace_record_t *ngx_http_tgbot_pace_table_record(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_t *pace,
    ngx_str_t *chat, ngx_uint_t make);

/*
 * A ticket of this worker, in the list of the record; NULL: no room.  "waits"
 * is set.
 */
ngx_http_tgbot_pace_ticket_t *ngx_http_tgbot_pace_table_add(
    ngx_http_tgbot_pace_table_t *t, ngx_http_tgbot_pace_record_t *record,
    ngx_http_tgbot_pace_call_t *call);

/* takes a ticket out of its record's list; frees the ticket */
void ngx_http_tgbot_pace_table_unlist(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);
void ngx_http_tgbot_pace_table_free(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);

/* the worker of the ticket is to look at it, or need not any more */
void ngx_http_tgbot_pace_table_mail(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);
void ngx_http_tgbot_pace_table_unmail(ngx_http_tgbot_pace_table_t *t,
    ngx_http_tgbot_pace_ticket_t *ticket);

/* links of records and tickets, for lists */
#define ngx_http_tgbot_pace_links(array, member)                              \
    { &(array)[0].member, sizeof((array)[0]) }


#endif /* _NGX_HTTP_TGBOT_PACE_TABLE_H_INCLUDED_ */
