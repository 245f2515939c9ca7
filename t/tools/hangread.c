
/*
 * Preloaded into nginx: reads of its threads hang as long as there is the
 * file that $HANGREAD names.
 *
 *   cc -shared -fPIC -O2 -o hangread.so hangread.c
 */

#define _GNU_SOURCE

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>


ssize_t pread64(int fd, void *buf, size_t size, off64_t offset);

static void hangread_init(void) __attribute__((constructor));


static char  *hangread;


static void
hangread_init(void)
{
    const char  *name;

    /* nginx leaves its workers no environment */

    name = getenv("HANGREAD");
    hangread = name ? strdup(name) : NULL;
}


ssize_t
pread64(int fd, void *buf, size_t size, off64_t offset)
{
    while (hangread
           && syscall(SYS_gettid) != getpid()
           && access(hangread, F_OK) == 0)
    {
        (void) usleep(10000);
    }

    return syscall(SYS_pread64, fd, buf, size, offset);
}
