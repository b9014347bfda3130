// Preloaded into the applications of the schedule tester, so that one of them can die, or its disk can fail, inside the fsync
// of a commit: after its frames are written and before SQLite has published them.
//
// The file that LITESTREAM_TEST_FSYNC names holds the order for the next fsync of a WAL: `k` is SIGKILL, `e` is EIO.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_wal(int fd) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

static int fails(int fd) {
    const char *orders = getenv("LITESTREAM_TEST_FSYNC");
    int file = orders && is_wal(fd) ? open(orders, O_RDONLY) : -1;
    if (file < 0) return 0;
    char order = 0;
    ssize_t length = read(file, &order, 1);
    close(file);
    if (length == 1 && order == 'k') kill(getpid(), SIGKILL);
    return length == 1 && order == 'e';
}

static int sync_or_fail(int fd, long call) {
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fsync(int fd) { return sync_or_fail(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_or_fail(fd, SYS_fdatasync); }
