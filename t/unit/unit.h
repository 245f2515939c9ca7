
/*
 * Cases and checks for telegram/ and zones/; the output is TAP, one line per
 * case, failed checks are written to stderr.
 */

#ifndef _UNIT_H_INCLUDED_
#define _UNIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    const char  *name;
    void       (*run)(void);
} unit_case_t;


#define unit_n(a)  (sizeof(a) / sizeof(a[0]))


/* the file of cases ends with: return unit_main(cases, unit_n(cases)) */
int unit_main(unit_case_t *cases, ngx_uint_t n);

/* marks the current case as skipped; the case must then return */
void unit_skip(const char *reason);

/* like printf; sets the text that is printed with each failed check */
void unit_context(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));


/* each check returns whether it held */

#define ok(cond)                                                             \
    unit_ok(__FILE__, __LINE__, (cond) ? 1 : 0, #cond)

/* integers of any kind */
#define is_int(got, want)                                                    \
    unit_int(__FILE__, __LINE__, #got, (int64_t) (got), (int64_t) (want))

/* ngx_str_t * against a C string */
#define is_str(got, want)                                                    \
    unit_mem(__FILE__, __LINE__, #got, (got)->data, (got)->len,              \
             (u_char *) (want), strlen(want))

/* ngx_str_t * against a literal that may hold NUL */
#define is_lit(got, want)                                                    \
    unit_mem(__FILE__, __LINE__, #got, (got)->data, (got)->len,              \
             (u_char *) (want), sizeof(want) - 1)

/* ngx_str_t * against ngx_str_t * */
#define is_same(got, want)                                                   \
    unit_mem(__FILE__, __LINE__, #got, (got)->data, (got)->len,              \
             (want)->data, (want)->len)

ngx_uint_t unit_ok(const char *file, int line, ngx_uint_t held,
    const char *what);
ngx_uint_t unit_int(const char *file, int line, const char *what,
    int64_t got, int64_t want);
ngx_uint_t unit_mem(const char *file, int line, const char *what,
    u_char *got, size_t len, u_char *want, size_t want_len);


/* a new pool; pools that are left are destroyed at the end of the case */
ngx_pool_t *unit_pool(void);

/* a copy in pool, an allocation of its own, so that overruns are detected */
ngx_str_t unit_bytes(ngx_pool_t *pool, const void *data, size_t len);

/* the same of a C string without its NUL */
ngx_str_t unit_str(ngx_pool_t *pool, const char *text);


/*
 * Memory: every allocation of the shim passes one counter.  If fail_at is n >
 * 0, the n-th allocation from now fails, once; fail_at counts down to 0, so a
 * value left over means that there were fewer allocations.
 */
extern ngx_uint_t  unit_fail_at;

/* blocks of ngx_alloc() that were not freed; pools are not counted */
extern ngx_int_t   unit_live;


#endif /* _UNIT_H_INCLUDED_ */
