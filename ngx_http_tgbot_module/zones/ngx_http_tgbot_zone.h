
/*
 * Zones of shared memory.  They are declared inline by the directives that use
 * them, carved once, and adopted by the next configuration on reload.  The
 * kind of a zone decides what the zone contains.
 */

#ifndef _NGX_HTTP_TGBOT_ZONE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>


typedef struct ngx_http_tgbot_zone_s        ngx_http_tgbot_zone_t;
typedef struct ngx_http_tgbot_zone_map_s    ngx_http_tgbot_zone_map_t;
typedef struct ngx_http_tgbot_zone_state_s  ngx_http_tgbot_zone_state_t;


/* whether a zone may be a file */

typedef enum {
    NGX_HTTP_TGBOT_ZONE_NO_FILE = 0,
    NGX_HTTP_TGBOT_ZONE_FILE,          /* may begin empty */
    NGX_HTTP_TGBOT_ZONE_KEEP           /* what is in it must not be lost */
} ngx_http_tgbot_zone_file_e;


/* how a start finds the contents of a zone that is a file */

typedef enum {
    NGX_HTTP_TGBOT_ZONE_KEPT = 0,      /* as the last process left them */
    NGX_HTTP_TGBOT_ZONE_DIRTY,         /* a process died inside the lock */
    NGX_HTTP_TGBOT_ZONE_TORN           /* the machine went down: each page is
                                          as it was at some moment */
} ngx_http_tgbot_zone_found_e;


/* a kind of zones: one for each file of this folder that has zones */

typedef struct {
    uint32_t                         id;        /* raised with each change of
                                                   what a zone contains */
    const char                      *name;      /* for errors: "limit" */

    /* bytes that a zone needs at least, without the slab pool of nginx */
    size_t                           min;

    /*
     * Called in the master, also by "nginx -t", without the lock.  Workers of
     * another cycle may use the zone at the same time, unless it is "fresh":
     * nothing has been carved yet.  NGX_ERROR refuses the configuration; the
     * callback has logged why.
     */
    ngx_int_t                      (*init)(ngx_http_tgbot_zone_t *zone,
                                        ngx_uint_t fresh);

    /*
     * Called in a master that starts and found the zone's file, before
     * init(zone, 0), without the lock.  No other process works in the zone,
     * and all leases in it are dead.  The callback makes the contents usable,
     * whatever they are, and ends the leases; the zone's generation is 0.
     * NULL: the zone begins empty at each start, by init(zone, 1).
     */
    void                           (*open)(ngx_http_tgbot_zone_t *zone,
                                        ngx_http_tgbot_zone_found_e found);

    /*
     * Called after open(old, ...) and init(zone, 1): copies the contents of
     * a zone of another size.  NGX_ERROR: they do not fit.  NULL: the zone
     * begins empty.
     */
    ngx_int_t                      (*copy)(ngx_http_tgbot_zone_t *zone,
                                        ngx_http_tgbot_zone_t *old);

    ngx_uint_t                       file;      /* ngx_http_tgbot_zone_file_e
                                                   */
} ngx_http_tgbot_zone_kind_t;


/* the numbers of layouts are those of a kind, and tell no kinds apart */

#define ngx_http_tgbot_zone_same(text, kind)                                  \
    (ngx_strcmp(text, (kind)->name) == 0)


/*
 * What does not outlive the processes that use a zone.  It is at the beginning
 * of the zone's memory, or, if the zone is a file, in another file.
 */

typedef struct {
    pthread_mutex_t                  mutex;     /* robust, of processes */
    ngx_atomic_t                     dirty;     /* a process is inside the
                                                   lock, or died there */
    ngx_atomic_t                     told;      /* see zone_tell() */
} ngx_http_tgbot_zone_rt_t;


/* bytes in front of the contents of a zone in anonymous memory */

#define NGX_HTTP_TGBOT_ZONE_RT                                                \
    ngx_align(sizeof(ngx_http_tgbot_zone_rt_t), NGX_CPU_CACHE_LINE)


/* the beginning of a zone's contents; no pointers, as masters differ in them */

typedef struct {
    uint32_t                         magic;
    uint32_t                         kind;
    size_t                           size;      /* with this header */
    ngx_atomic_t                     generation;
    ngx_atomic_t                     repaired;  /* times */
    ngx_atomic_t                     evicted;   /* records */
} ngx_http_tgbot_zone_sh_t;


struct ngx_http_tgbot_zone_s {
    ngx_shm_zone_t                  *shm_zone;
    const ngx_http_tgbot_zone_kind_t
                                    *kind;
    size_t                           size;      /* 0: not declared yet */

    ngx_str_t                        directive; /* that used it first */
    u_char                          *file;      /* of the size, or of that
                                                   directive */
    ngx_uint_t                       line;

    ngx_http_tgbot_zone_sh_t        *sh;
    ngx_http_tgbot_zone_rt_t        *rt;
    ngx_msec_t                       offset;    /* of times in the zone from
                                                   ngx_current_msec */
    ngx_http_tgbot_zone_state_t     *state;     /* NULL: it is no file */
    ngx_http_tgbot_zone_map_t       *map;
    ngx_log_t                       *log;       /* the cycle's */

    ngx_array_t                      users;     /* the kind's, pointers */

    ngx_atomic_uint_t                generation;   /* at worker start */

    unsigned                         found_dirty:1;
    unsigned                         opened:1;  /* its file was there when
                                                   nginx started */
};


/*
 * Finds or declares the zone of "value", which is name[:size], while a
 * directive is parsed.  A new zone is added to "zones", an array of pointers
 * to all zones of the configuration.  "tag" is the module.  NULL: an error
 * was logged that names directive and value.
 */
ngx_http_tgbot_zone_t *ngx_http_tgbot_zone_add(ngx_conf_t *cf,
    ngx_array_t *zones, ngx_str_t *directive, ngx_str_t *value,
    const ngx_http_tgbot_zone_kind_t *kind, void *tag);

/*
 * Returns the zone of the running cycle that has the same name and kind;
 * nginx replaces it by this one if the sizes differ.  NULL: there is none.
 * Only called while directives are read, or in an init callback.
 */
ngx_http_tgbot_zone_t *ngx_http_tgbot_zone_old(ngx_http_tgbot_zone_t *zone);

/*
 * Returns the next zone of the running cycle that has the same kind and another
 * name; "after" is the one before, or NULL.  NULL: there are no more.  Only
 * called while directives are read.
 */
ngx_http_tgbot_zone_t *ngx_http_tgbot_zone_other(ngx_http_tgbot_zone_t *zone,
    ngx_http_tgbot_zone_t *after);

/*
 * Returns the size of a zone that has "room" bytes for the kind's data: nginx's
 * slab pool and our header are added.
 */
size_t ngx_http_tgbot_zone_needs(size_t room);

/*
 * Makes the mutex of *rt, and zeroes the other members.  NGX_ERROR: logged.
 */
ngx_int_t ngx_http_tgbot_zone_make_rt(ngx_http_tgbot_zone_rt_t *rt,
    ngx_log_t *log);

/* sets n numbers that clients cannot guess, in an init callback */
void ngx_http_tgbot_zone_seed(uint64_t *seed, size_t n, ngx_log_t *log);

/* after all directives are read; NGX_ERROR: a zone has no size, was logged */
ngx_int_t ngx_http_tgbot_zone_check(ngx_conf_t *cf, ngx_array_t *zones);

/* init_module: raises the generation of the zones that the new cycle uses */
void ngx_http_tgbot_zone_init_module(ngx_array_t *zones);

/* worker start: notes the generation of the zones */
void ngx_http_tgbot_zone_init_process(ngx_array_t *zones);

/* returns 1 if a later cycle uses the zone; for workers that exit */
ngx_uint_t ngx_http_tgbot_zone_adopted(ngx_http_tgbot_zone_t *zone);

/* returns 1 to the first process that asks: that one logs what is left */
ngx_uint_t ngx_http_tgbot_zone_tell(ngx_http_tgbot_zone_t *zone);

/*
 * Locks the zone, for bounded work without logging, callbacks or allocation.
 * Must not be called while the caller holds the lock of a zone.
 *
 * NGX_OK        locked
 * NGX_DECLINED  locked, but a process died inside the lock: the caller
 *               repairs the zone before anything else
 */
ngx_int_t ngx_http_tgbot_zone_lock(ngx_http_tgbot_zone_t *zone);

/* unlocks the zone, and logs if it was found dirty */
void ngx_http_tgbot_zone_unlock(ngx_http_tgbot_zone_t *zone);


/*
 * Times in a zone count from another moment than ngx_current_msec, so that they
 * go on when the machine was started again: the time now, a time that goes into
 * the zone, and a time that comes out of it.
 */

#define ngx_http_tgbot_zone_msec(zone)                                        \
    (ngx_current_msec + (zone)->offset)

#define ngx_http_tgbot_zone_in(zone, t)   ((t) + (zone)->offset)
#define ngx_http_tgbot_zone_out(zone, t)  ((t) - (zone)->offset)


/* the kind's own data: where it begins, aligned, and how many bytes */

#define ngx_http_tgbot_zone_data(sh)                                          \
    ((u_char *) (sh)                                                          \
     + ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE))

#define ngx_http_tgbot_zone_room(sh)                                          \
    ((sh)->size                                                               \
     - ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE))


/*
 * Adds n bytes to a checksum; "sum" is that of the bytes before, or where it
 * begins.  The same bytes in pieces have the same checksum, if the length of
 * each piece but the last is a multiple of 8.
 */
uint64_t ngx_http_tgbot_zone_sum(uint64_t sum, const void *p, size_t n);


/*
 * In a build for tests a worker stops at the named point inside the lock, so
 * that a test can kill it there.  In any other build the macro is empty.
 */

#if (NGX_HTTP_TGBOT_ZONE_TEST)

void ngx_http_tgbot_zone_stop(const char *point);

#else

#define ngx_http_tgbot_zone_stop(point)

#endif


#endif /* _NGX_HTTP_TGBOT_ZONE_H_INCLUDED_ */
