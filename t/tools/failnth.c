
/*
 * Preloaded into nginx: fails one allocation of the process' memory, the
 * n-th from now, and counts what is allocated.  $FAILNTH names a file that
 * the test maps as well:
 *
 *   int32_t  n         to be counted down; -1: the allocation has failed
 *   int32_t  unused
 *   int64_t  live      allocations that are not freed
 *
 *   cc -shared -fPIC -O2 -o failnth.so failnth.c
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>


typedef struct {
    int32_t  n;
    int32_t  unused;
    int64_t  live;
} failnth_t;


void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);


static void failnth_init(void) __attribute__((constructor));
static int failnth_fails(void);
static void *failnth_count(void *p);


static failnth_t  *failnth;


static void
failnth_init(void)
{
    int          fd;
    void        *p;
    const char  *name;

    name = getenv("FAILNTH");

    if (name == NULL) {
        return;
    }

    fd = open(name, O_RDWR);

    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(failnth_t), PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED) {
        failnth = p;
    }
}


static int
failnth_fails(void)
{
    if (failnth == NULL || failnth->n <= 0
        || __sync_sub_and_fetch(&failnth->n, 1) != 0)
    {
        return 0;
    }

    failnth->n = -1;
    errno = ENOMEM;

    return 1;
}


static void *
failnth_count(void *p)
{
    if (p && failnth) {
        (void) __sync_add_and_fetch(&failnth->live, 1);
    }

    return p;
}


void *
malloc(size_t size)
{
    return failnth_fails() ? NULL : failnth_count(__libc_malloc(size));
}


void *
calloc(size_t n, size_t size)
{
    return failnth_fails() ? NULL : failnth_count(__libc_calloc(n, size));
}


void *
realloc(void *p, size_t size)
{
    if (p == NULL) {
        return malloc(size);
    }

    if (size == 0) {
        free(p);
        return NULL;
    }

    return failnth_fails() ? NULL : __libc_realloc(p, size);
}


void *
memalign(size_t alignment, size_t size)
{
    return failnth_fails() ? NULL
                           : failnth_count(__libc_memalign(alignment, size));
}


void *
aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}


int
posix_memalign(void **p, size_t alignment, size_t size)
{
    void  *new;

    new = memalign(alignment, size);

    if (new == NULL) {
        return ENOMEM;
    }

    *p = new;

    return 0;
}


void
free(void *p)
{
    if (p && failnth) {
        (void) __sync_sub_and_fetch(&failnth->live, 1);
    }

    __libc_free(p);
}
