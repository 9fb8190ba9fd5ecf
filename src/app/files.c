/* files.c - see files.h. */
#include "app/files.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool files_join(char out[FILES_PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, FILES_PATH_MAX, "%s/%s", dir, name);

    return n > 0 && n < FILES_PATH_MAX;
}

int files_dir(const char *path)
{
    char part[FILES_PATH_MAX];
    size_t len = strlen(path);
    struct stat st;

    if (len == 0 || len >= sizeof(part)) {
        return ENAMETOOLONG;
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return errno;
        }
        part[i] = path[i];
    }
    if (stat(path, &st) != 0) {
        return errno;
    }
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

static int read_all(int fd, uint8_t *buf, size_t size, size_t *len)
{
    for (*len = 0; *len < size;) {
        ssize_t n = read(fd, buf + *len, size - *len);
        if (n == 0) {
            break; /* shorter than it was */
        }
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        *len += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int read_fd(struct mem *mem, int fd, size_t max, uint8_t **out, size_t *len)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    }
    if ((uint64_t)st.st_size > max) {
        return EFBIG;
    }
    uint8_t *buf = mem_alloc(mem, (size_t)st.st_size + 1);
    if (buf == NULL) {
        return ENOMEM;
    }
    int err = read_all(fd, buf, (size_t)st.st_size, len);
    if (err != 0) {
        mem_free(mem, buf);
        return err;
    }
    buf[*len] = 0;
    *out = buf;
    return 0;
}

int files_read(struct mem *mem, const char *path, size_t max, uint8_t **out, size_t *len)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would wait for a writer */

    if (fd < 0) {
        return errno;
    }
    int err = read_fd(mem, fd, max, out, len);
    (void)close(fd);
    return err;
}

int files_put(int fd, const void *base, size_t len)
{
    const uint8_t *at = base;

    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* Writes a new file at |path|; syncs it if |sync|. */
static int put_new(const char *path, const void *base, size_t len, bool sync)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0) {
        return errno;
    }
    int err = files_put(fd, base, len);
    if (err == 0 && sync && fsync(fd) != 0) {
        err = errno;
    }
    if (close(fd) != 0 && err == 0) {
        err = errno;
    }
    return err;
}

/* What was made or renamed in a folder survives a crash. */
static int sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return errno;
    }
    int err = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return err;
}

static int write_whole(const char *path, const void *base, size_t len, bool sync)
{
    char dir[FILES_PATH_MAX], beside[FILES_PATH_MAX + 8];
    const char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path || strlen(path) >= sizeof(dir)) {
        return EINVAL;
    }
    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
    (void)snprintf(beside, sizeof(beside), "%s/.new.%s", dir, slash + 1);
    /* What a crash has left there goes; what comes between is somebody else's, and is not written to. */
    (void)unlink(beside);
    int err = put_new(beside, base, len, sync);
    if (err == 0 && rename(beside, path) != 0) {
        err = errno;
    }
    if (err != 0) {
        (void)unlink(beside);
        return err;
    }
    return sync ? sync_dir(dir) : 0;
}

int files_write(const char *path, const void *base, size_t len)
{
    return write_whole(path, base, len, true);
}

int files_write_loose(const char *path, const void *base, size_t len)
{
    return write_whole(path, base, len, false);
}

int files_append(const char *path, const void *base, size_t len)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0) {
        return errno;
    }
    int err = files_put(fd, base, len);
    if (close(fd) != 0 && err == 0) {
        err = errno;
    }
    return err;
}

void files_hex(char *out, const uint8_t *base, size_t len)
{
    (void)hex_encode(out, 2 * len + 1, (struct slice){base, len});
}

bool files_unhex(uint8_t *out, size_t len, const char *hex)
{
    size_t got = 0, digits = strlen(hex);

    return digits == 2 * len &&
           hex_decode(out, len, &got, (struct slice){(const uint8_t *)hex, digits}) == QUDAG_OK &&
           got == len;
}
