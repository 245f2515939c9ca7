
/*
 * Preloaded into nginx, for file systems that a test cannot mount:
 *
 *   FILESYSTEM  the type that statfs() tells, as a number
 *   FALLOCATE   set: fallocate() is not supported, as on ext3
 *
 *   cc -shared -fPIC -O2 -o filesystem.so filesystem.c
 */

#define _GNU_SOURCE

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>


int statfs(const char *path, struct statfs *buf);
int statfs64(const char *path, struct statfs64 *buf);
int fallocate(int fd, int mode, off_t offset, off_t len);
int fallocate64(int fd, int mode, off_t offset, off_t len);


int
statfs(const char *path, struct statfs *buf)
{
    char  *type;

    type = getenv("FILESYSTEM");

    if (syscall(SYS_statfs, path, buf) == -1) {
        return -1;
    }

    if (type) {
        buf->f_type = strtol(type, NULL, 0);
    }

    return 0;
}


/* with 64 bits the two structures are one */

int
statfs64(const char *path, struct statfs64 *buf)
{
    return statfs(path, (struct statfs *) buf);
}


int
fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (getenv("FALLOCATE")) {
        errno = EOPNOTSUPP;
        return -1;
    }

    return (int) syscall(SYS_fallocate, fd, mode, offset, len);
}


int
fallocate64(int fd, int mode, off_t offset, off_t len)
{
    return fallocate(fd, mode, offset, len);
}
