
/*
 * Zones of shared memory: declared inline by the directives that use them,
 * adopted on reload, carved once.  What is inside is the kind's affair.
 */

#ifndef _NGX_HTTP_TGBOT_ZONE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct ngx_http_tgbot_zone_s  ngx_http_tgbot_zone_t;


/* a kind of zones: what a file of this layer keeps in them */

typedef struct {
    uint32_t                         id;
    const char                      *name;      /* for errors: "limit" */

    /* what a zone must hold at least, without what nginx needs itself */
    size_t                           min;

    /*
     * In the master, also under "nginx -t", maybe while workers of another
     * cycle use the zone.  "fresh": nothing has been carved yet.  NGX_ERROR
     * refuses the configuration, and was logged.
     */
    ngx_int_t                      (*init)(ngx_http_tgbot_zone_t *zone,
                                        ngx_uint_t fresh);
} ngx_http_tgbot_zone_kind_t;


/* stands at the beginning of a zone's memory */

typedef struct {
    uint32_t                         magic;
    uint32_t                         kind;
    size_t                           size;      /* with this header */
    ngx_atomic_t                     dirty;     /* somebody is inside, or
                                                   died there */
    ngx_atomic_t                     generation;
    ngx_atomic_t                     repaired;  /* times */
    ngx_atomic_t                     evicted;   /* records */
    ngx_atomic_t                     told;      /* that it is abandoned */
    ngx_atomic_t                     abandoned; /* by a later cycle */
} ngx_http_tgbot_zone_sh_t;


struct ngx_http_tgbot_zone_s {
    ngx_shm_zone_t                  *shm_zone;
    const ngx_http_tgbot_zone_kind_t
                                    *kind;
    size_t                           size;      /* 0: not declared yet */

    ngx_str_t                        directive; /* that used it first */
    u_char                          *file;      /* where that stands, or the
                                                   size */
    ngx_uint_t                       line;

    ngx_http_tgbot_zone_sh_t        *sh;
    ngx_shmtx_t                     *mutex;
    ngx_log_t                       *log;       /* the cycle's */

    ngx_array_t                      users;     /* the kind's, pointers */

    ngx_atomic_uint_t                generation;   /* at start of worker */

    unsigned                         found_dirty:1;
};


/*
 * For parsers of directives: the zone of "value", which is name[:size].
 * "zones" collects pointers to all zones of a configuration, "tag" is the
 * module.  NULL: an error was logged that names directive and value.
 */
ngx_http_tgbot_zone_t *ngx_http_tgbot_zone_add(ngx_conf_t *cf,
    ngx_array_t *zones, ngx_str_t *directive, ngx_str_t *value,
    const ngx_http_tgbot_zone_kind_t *kind, void *tag);

/*
 * The zone of this name and kind of the cycle that runs, whose place this one
 * would take if it had another size; NULL: there is none.  While directives
 * are read, or in an init callback.
 */
ngx_http_tgbot_zone_t *ngx_http_tgbot_zone_old(ngx_http_tgbot_zone_t *zone);

/* when all directives are read: NGX_ERROR if a zone never got a size */
ngx_int_t ngx_http_tgbot_zone_check(ngx_conf_t *cf, ngx_array_t *zones);

/* init_module: the cycle in the making uses these zones */
void ngx_http_tgbot_zone_init_module(ngx_array_t *zones);

/*
 * init_module: tells the workers of zones of the cycle before, maybe with
 * another version of the module, that this one does without them.
 */
void ngx_http_tgbot_zone_abandon(ngx_cycle_t *cycle);

/* start of a worker */
void ngx_http_tgbot_zone_init_process(ngx_array_t *zones);

/* whether a later cycle uses the zone; to be asked by a worker that exits */
ngx_uint_t ngx_http_tgbot_zone_adopted(ngx_http_tgbot_zone_t *zone);

/* whether this process is the first one that asks: the one to tell of it */
ngx_uint_t ngx_http_tgbot_zone_tell(ngx_http_tgbot_zone_t *zone);

/*
 * Locks the zone, for bounded work without logging, callbacks or allocation.
 * NGX_DECLINED: somebody died inside; the caller, who holds the lock, has to
 * repair the zone before anything else.
 */
ngx_int_t ngx_http_tgbot_zone_lock(ngx_http_tgbot_zone_t *zone);

/* unlocks it, and logs if it was found dirty */
void ngx_http_tgbot_zone_unlock(ngx_http_tgbot_zone_t *zone);


/* carving: where the kind's own data begins, aligned, and how long it is */

#define ngx_http_tgbot_zone_data(sh)                                          \
    ((u_char *) (sh)                                                          \
     + ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE))

#define ngx_http_tgbot_zone_room(sh)                                          \
    ((sh)->size                                                               \
     - ngx_align(sizeof(ngx_http_tgbot_zone_sh_t), NGX_CPU_CACHE_LINE))


/*
 * A build for tests stops a worker inside the lock, at the point of this
 * name, to be killed there; any other build has nothing here.
 */

#if (NGX_HTTP_TGBOT_ZONE_TEST)

void ngx_http_tgbot_zone_stop(const char *point);

#else

#define ngx_http_tgbot_zone_stop(point)

#endif


#endif /* _NGX_HTTP_TGBOT_ZONE_H_INCLUDED_ */
