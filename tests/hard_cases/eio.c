// Preloaded into the program: while the file LITESTREAM_TEST_EIO is there, every fsync of a file below the directory
// LITESTREAM_TEST_EIO_BELOW fails.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_broken(int fd) {
    const char *flag = getenv("LITESTREAM_TEST_EIO"), *below = getenv("LITESTREAM_TEST_EIO_BELOW");
    char link[32], path[4096];
    if (!flag || !below || access(flag, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    size_t prefix = strlen(below);
    return length >= (ssize_t)prefix && memcmp(path, below, prefix) == 0;
}

static int sync_or_fail(int fd, long call) {
    if (!is_broken(fd)) return (int)syscall(call, fd);
    errno = EIO;
    return -1;
}

int fsync(int fd) { return sync_or_fail(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_or_fail(fd, SYS_fdatasync); }
