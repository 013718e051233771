/* Counts the calls that rename, remove, cut or sync anything below a folder, and lets the Nth kill, pause or fail.

   Preloaded (LD_PRELOAD); `watch` arms it. What a call is about is written to a descriptor before it happens. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[PATH_MAX];
static atomic_int left = -1;
static int told_to = -1, sent = 0;

void watch(const char *below, int nth, int signal_or_error, int log) {
    strncpy(folder, below, sizeof folder - 1);
    told_to = log;
    sent = signal_or_error; /* a signal, or an error as a negative number */
    left = nth;
}

/* Returns whether the call is to fail. */
static int meet(const char *call, const char *path) {
    if (left < 0 || strncmp(path, folder, strlen(folder)) != 0) return 0;
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path + strlen(folder));
    if (write(told_to, line, length) != length) abort();
    if (atomic_fetch_sub(&left, 1) != 1) return 0;
    left = sent == SIGSTOP ? 1 : INT_MAX; /* stops at each from here on, or goes on telling */
    if (sent > 0) {
        kill(getpid(), sent);
        return 0;
    }
    errno = -sent;
    return 1;
}

static void of_descriptor(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

static void of_name(int at, const char *name, char *path) {
    char base[PATH_MAX] = "";
    if (name[0] != '/') {
        if (at == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) abort();
        } else {
            of_descriptor(at, base);
        }
    }
    snprintf(path, PATH_MAX, "%s%s%s", base, base[0] ? "/" : "", name);
}

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))
#define NAMED(name, parameters, at, path_of, type, arguments)                                                          \
    int name parameters {                                                                                              \
        char path[PATH_MAX];                                                                                           \
        of_name(at, path_of, path);                                                                                    \
        return meet(#name, path) ? -1 : REAL(int(*) type, #name) arguments;                                            \
    }
#define OPENED(name, parameters, type, arguments)                                                                      \
    int name parameters {                                                                                              \
        char path[PATH_MAX];                                                                                           \
        of_descriptor(fd, path);                                                                                       \
        return meet(#name, path) ? -1 : REAL(int(*) type, #name) arguments;                                            \
    }

NAMED(rename, (const char *a, const char *b), AT_FDCWD, b, (const char *, const char *), (a, b))
NAMED(renameat, (int d, const char *a, int e, const char *b), e, b, (int, const char *, int, const char *), (d, a, e, b))
NAMED(renameat2, (int d, const char *a, int e, const char *b, unsigned f), e, b,
      (int, const char *, int, const char *, unsigned), (d, a, e, b, f))
NAMED(unlink, (const char *a), AT_FDCWD, a, (const char *), (a))
NAMED(unlinkat, (int d, const char *a, int f), d, a, (int, const char *, int), (d, a, f))
NAMED(rmdir, (const char *a), AT_FDCWD, a, (const char *), (a))
NAMED(truncate64, (const char *a, off64_t n), AT_FDCWD, a, (const char *, off64_t), (a, n))
OPENED(ftruncate64, (int fd, off64_t n), (int, off64_t), (fd, n))
OPENED(ftruncate, (int fd, off_t n), (int, off_t), (fd, n))
OPENED(fsync, (int fd), (int), (fd))
OPENED(fdatasync, (int fd), (int), (fd))
