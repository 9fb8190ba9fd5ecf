/* fileio.c - files and folders, and words about them. */
#include "fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool path_join(char out[PATH_LEN], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_LEN, "%s/%s", dir, name);
    return n > 0 && n < PATH_LEN;
}

bool path_state_dir(char out[PATH_LEN], const char *option)
{
    const char *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");
    int n;
    if (option != NULL && option[0] == '/') {
        n = snprintf(out, PATH_LEN, "%s", option);
    } else if (option != NULL) {
        char here[PATH_LEN];
        if (getcwd(here, sizeof(here)) == NULL) {
            return false;
        }
        n = snprintf(out, PATH_LEN, "%s/%s", here, option);
    } else if (state != NULL && state[0] == '/') {
        n = snprintf(out, PATH_LEN, "%s/qudag", state);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(out, PATH_LEN, "%s/.local/state/qudag", home);
    } else {
        return false;
    }
    while (n > 1 && n < PATH_LEN && out[n - 1] == '/') {
        out[--n] = 0;
    }
    return n > 0 && n < PATH_LEN;
}

int dir_make(const char *path, mode_t mode)
{
    char part[PATH_LEN];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part)) {
        return ENAMETOOLONG;
    }
    memcpy(part, path, len + 1);
    for (size_t ix = 1; ix <= len; ix++) {
        if (part[ix] != '/' && part[ix] != 0) {
            continue;
        }
        part[ix] = 0;
        if (mkdir(part, mode) != 0 && errno != EEXIST) {
            return errno;
        }
        part[ix] = path[ix];
    }
    struct stat st;
    if (stat(path, &st) != 0) {
        return errno;
    }
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

int dir_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int err = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return err;
}

int file_read(const char *path, size_t max, uint8_t **out, size_t *len)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would wait for a writer */
    if (fd < 0) {
        return errno;
    }
    struct stat st;
    int err = fstat(fd, &st) == 0 ? 0 : errno;
    if (err == 0 && !S_ISREG(st.st_mode)) {
        err = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    }
    if (err == 0 && (uint64_t)st.st_size > max) {
        err = EFBIG;
    }
    uint8_t *buf = err == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    if (err == 0 && buf == NULL) {
        err = ENOMEM;
    }
    size_t have = 0;
    while (err == 0 && have < (size_t)st.st_size) {
        ssize_t n = read(fd, buf + have, (size_t)st.st_size - have);
        if (n > 0) {
            have += (size_t)n;
        } else if (n == 0) {
            break;
        } else if (errno != EINTR) {
            err = errno;
        }
    }
    close(fd);
    if (err != 0) {
        free(buf);
        return err;
    }
    buf[have] = 0;
    *out = buf;
    *len = have;
    return 0;
}

int fd_write_all(int fd, const void *base, size_t len)
{
    const uint8_t *at = base;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno;
        }
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

bool fd_fill_standard(void)
{
    for (;;) {
        int fd = open("/dev/null", O_RDWR);
        if (fd > STDERR_FILENO) {
            return close(fd) == 0;
        }
        if (fd < 0) {
            return false;
        }
    }
}

int file_write_atomic(const char *path, const void *base, size_t len, mode_t mode)
{
    char dir[PATH_LEN], temp[PATH_LEN + 16], here[PATH_LEN];
    const char *slash = strrchr(path, '/');
    if (slash == NULL && path_join(here, ".", path)) {
        path = here;
        slash = here + 1;
    }
    if (slash == NULL || slash == path || strlen(path) >= sizeof(dir)) {
        return EINVAL;
    }
    size_t dir_len = (size_t)(slash - path);
    memcpy(dir, path, dir_len);
    dir[dir_len] = 0;
    (void)snprintf(temp, sizeof(temp), "%s/.new.%s", dir, slash + 1);
    /* What a crash has left there goes; what comes between is somebody else's, and is not written to. */
    (void)unlink(temp);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        return errno;
    }
    int err = fchmod(fd, mode) == 0 ? fd_write_all(fd, base, len) : errno;
    if (err == 0 && fsync(fd) != 0) {
        err = errno;
    }
    if (close(fd) != 0 && err == 0) {
        err = errno;
    }
    if (err == 0 && rename(temp, path) != 0) {
        err = errno;
    }
    if (err != 0) {
        (void)unlink(temp);
        return err;
    }
    return dir_sync(dir);
}

int file_give(const char *path, uid_t uid)
{
    return lchown(path, uid, (gid_t)-1) == 0 ? 0 : errno;
}

void text_hex(char *out, const uint8_t *base, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t ix = 0; ix < len; ix++) {
        out[2 * ix] = digits[base[ix] >> 4];
        out[2 * ix + 1] = digits[base[ix] & 15];
    }
    out[2 * len] = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool text_unhex(uint8_t *out, size_t len, const char *hex)
{
    if (strlen(hex) != 2 * len) {
        return false;
    }
    for (size_t ix = 0; ix < len; ix++) {
        int high = hex_digit(hex[2 * ix]), low = hex_digit(hex[2 * ix + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[ix] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void text_bytes(char out[16], uint64_t n)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    uint64_t tenths = n * 10;
    if (n > UINT64_MAX / 1024) {
        n = UINT64_MAX / 1024;
        tenths = n;
    }
    while (tenths >= 10240 && u < 4) {
        tenths /= 1024;
        u++;
    }
    if (u == 0) {
        (void)snprintf(out, 16, "%u B", (unsigned)(tenths / 10));
    } else {
        (void)snprintf(out, 16, "%u.%u %s", (unsigned)(tenths / 10), (unsigned)(tenths % 10),
                       unit[u]);
    }
}

void text_ns(char out[16], uint64_t ns)
{
    uint64_t us = ns / 1000;
    if (us < 1000) {
        (void)snprintf(out, 16, "%u us", (unsigned)us);
    } else if (us < 1000000) {
        (void)snprintf(out, 16, "%u.%u ms", (unsigned)(us / 1000), (unsigned)(us % 1000 / 100));
    } else {
        (void)snprintf(out, 16, "%u.%02u s", (unsigned)(us / 1000000 % 100000000),
                       (unsigned)(us % 1000000 / 10000));
    }
}

void text_time(char out[32], int64_t ms)
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    char day[24] = "?";
    if (gmtime_r(&t, &tm) != NULL) {
        (void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    }
    (void)snprintf(out, 32, "%s.%03dZ", day, (int)(ms % 1000));
}

int64_t now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t mono_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* Edits (change, insert, delete) that make |a| of |b|. */
static unsigned edits(const char *a, const char *b)
{
    unsigned row[64];
    size_t n = strlen(b);
    if (n >= 64) {
        return UINT_MAX;
    }
    for (unsigned ix = 0; ix <= n; ix++) {
        row[ix] = ix;
    }
    for (; *a != 0; a++) {
        unsigned diagonal = row[0]++;
        for (size_t ix = 1; ix <= n; ix++) {
            unsigned best = diagonal + (*a != b[ix - 1]);
            best = row[ix] + 1 < best ? row[ix] + 1 : best;
            best = row[ix - 1] + 1 < best ? row[ix - 1] + 1 : best;
            diagonal = row[ix];
            row[ix] = best;
        }
    }
    return row[n];
}

const char *text_nearest(const char *word, const char *const *list, size_t n)
{
    const char *found = NULL;
    unsigned best = (unsigned)strlen(word) / 2 + 1;
    for (size_t ix = 0; ix < n; ix++) {
        unsigned d = edits(word, list[ix]);
        if (d < best) {
            best = d;
            found = list[ix];
        }
    }
    return found;
}

void text_tame(char *text)
{
    for (; *text != 0; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}
