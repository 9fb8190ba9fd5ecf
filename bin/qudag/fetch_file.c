/* fetch_file.c - one file on disk: resumed, checked, put in its place. */
#include "fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define READ 8192 /* bytes at a time */

/* The folder |name| in |dir|, made if it lacks and may be; or minus an errno. */
static int folder_in(int dir, const char *name, unsigned *may)
{
    const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir, name, how);
    if (fd >= 0 || errno != ENOENT || *may == 0) {
        return fd >= 0 ? fd : -errno;
    }
    if (mkdirat(dir, name, 0777) == 0) {
        (*may)--;
    } else if (errno != EEXIST) {
        return -errno;
    }
    fd = openat(dir, name, how);
    return fd >= 0 ? fd : -errno;
}

int fetch_folder(int top, const char *path, unsigned *may)
{
    char name[SHARE_NAME_MAX + 1];
    int dir = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return -errno;
    }
    while (dir >= 0 && share_path_next(&path, name) && *path != 0) {
        int next = folder_in(dir, name, may);
        close(dir);
        dir = next;
    }
    return dir;
}

/* Hashes |fd| from where it is to its end, or |most| bytes; *n: how many.  0 or an errno. */
static int hash_fd(int fd, blake3_hasher *h, uint64_t most, uint64_t *n)
{
    uint8_t block[READ];
    *n = 0;
    while (*n < most) {
        size_t want = most - *n < sizeof(block) ? (size_t)(most - *n) : sizeof(block);
        ssize_t got = read(fd, block, want);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        if (got == 0) {
            break;
        }
        blake3_hasher_update(h, block, (size_t)got);
        *n += (uint64_t)got;
    }
    return 0;
}

enum fetch_there fetch_look(int dir, const char *name, uint64_t size,
                            const uint8_t hash[SHARE_HASH_LEN])
{
    struct stat st;
    uint8_t have[SHARE_HASH_LEN];
    blake3_hasher h;
    uint64_t n = 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? FETCH_FREE : FETCH_OTHER;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size) {
        return FETCH_OTHER;
    }
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return FETCH_OTHER;
    }
    blake3_hasher_init(&h);
    bool same = hash_fd(fd, &h, UINT64_MAX, &n) == 0 && n == size;
    close(fd);
    blake3_hasher_finalize(&h, have, sizeof(have));
    return same && memcmp(have, hash, sizeof(have)) == 0 ? FETCH_SAME : FETCH_OTHER;
}

int fetch_file_open(struct fetch_file *f, int dir, const char *name, uint64_t size,
                    const uint8_t hash[SHARE_HASH_LEN])
{
    char hex[2 * SHARE_HASH_LEN + 1];
    struct stat st;
    *f = (struct fetch_file){.dir = dir, .fd = -1, .size = size};
    memcpy(f->want, hash, sizeof(f->want));
    text_hex(hex, hash, SHARE_HASH_LEN);
    int n = snprintf(f->name, sizeof(f->name), "%s", name);
    int m = snprintf(f->part, sizeof(f->part), ".%s.%.16s.part", name, hex);
    if (n >= (int)sizeof(f->name) || m >= (int)sizeof(f->part)) {
        return ENAMETOOLONG;
    }
    f->fd = openat(dir, f->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    int err =
        f->fd < 0 || flock(f->fd, LOCK_EX | LOCK_NB) != 0 || fstat(f->fd, &st) != 0 ? errno : 0;
    if (err == 0 && (!S_ISREG(st.st_mode) || st.st_nlink != 1)) {
        err = EEXIST; /* whatever it is, it is not ours */
    }
    blake3_hasher_init(&f->hash);
    if (err == 0) {
        err = hash_fd(f->fd, &f->hash, size, &f->have);
    }
    if (err == 0 && ftruncate(f->fd, (off_t)f->have) != 0) {
        err = errno;
    }
    if (err != 0) {
        fetch_file_close(f);
    }
    return err;
}

bool fetch_file_add(void *ctx, const void *bytes, size_t len)
{
    struct fetch_file *f = ctx;
    if (len > f->size - f->have) {
        f->err = EFBIG;
        return false;
    }
    f->err = fd_write_all(f->fd, bytes, len);
    if (f->err != 0) {
        return false;
    }
    blake3_hasher_update(&f->hash, bytes, len);
    f->have += len;
    return true;
}

int fetch_file_restart(struct fetch_file *f)
{
    f->have = 0;
    blake3_hasher_init(&f->hash);
    return ftruncate(f->fd, 0) != 0 || lseek(f->fd, 0, SEEK_SET) != 0 ? errno : 0;
}

/* Moves the part to its name unless that is taken. */
static int place(const struct fetch_file *f, bool replaces)
{
    unsigned how = replaces ? 0 : RENAME_NOREPLACE;
    if (renameat2(f->dir, f->part, f->dir, f->name, how) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    if (replaces) {
        return renameat(f->dir, f->part, f->dir, f->name) == 0 ? 0 : errno;
    }
    /* a file system that does not know RENAME_NOREPLACE: two steps, which replace nothing either */
    if (linkat(f->dir, f->part, f->dir, f->name, 0) != 0) {
        return errno;
    }
    return unlinkat(f->dir, f->part, 0) == 0 ? 0 : errno;
}

int fetch_file_done(struct fetch_file *f, bool replaces)
{
    uint8_t have[SHARE_HASH_LEN];
    blake3_hasher_finalize(&f->hash, have, sizeof(have));
    if (f->have != f->size || memcmp(have, f->want, sizeof(have)) != 0) {
        (void)unlinkat(f->dir, f->part, 0);
        return EBADMSG;
    }
    if (fsync(f->fd) != 0) {
        return errno;
    }
    return place(f, replaces);
}

void fetch_file_close(struct fetch_file *f)
{
    if (f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
    }
}
