/*
 * store_owner.c - a store is one node's: what it published, and whom it knew, would link a new identity to it.
 *
 * DIR/dht.owner holds the tag of the node in hex.  It is written before the first file is made, and stays beside it
 * whatever becomes of that.
 */
#include "base/text.h"
#include "io/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME "dht.owner"
#define TEXT_LEN ((size_t)2 * STORE_OWNER_LEN)

static qudag_err failed(const char *path, char *why)
{
    return store_because(why, QUDAG_ESYSTEM, "cannot read or write whose store it is:", path,
                         strerror(errno));
}

/* The bytes in the file, at most |cap|; -1: errno. */
static ssize_t read_tag(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, cap);
    int cause = errno;

    if (fd >= 0) {
        close(fd);
    }
    errno = cause;
    return n;
}

/* In a file of its own first: a crash leaves the old one, or none. */
static qudag_err write_tag(const struct store *s, const char *path, const char *text, char *why)
{
    char made[STORE_NAME_MAX];

    store_path(s, made, NAME ".new");
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool done = fd >= 0 && write(fd, text, TEXT_LEN) == (ssize_t)TEXT_LEN && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = cause;
    return done && rename(made, path) == 0 ? QUDAG_OK : failed(path, why);
}

qudag_err store_owner_check(const struct store *s, const uint8_t *owner, bool fresh, char *why)
{
    char path[STORE_NAME_MAX], text[TEXT_LEN + 1], found[TEXT_LEN + 1];

    if (owner == NULL) {
        return QUDAG_OK;
    }
    store_path(s, path, NAME);
    (void)hex_encode(text, sizeof(text), (struct slice){owner, STORE_OWNER_LEN});
    ssize_t n = fresh ? 0 : read_tag(path, found, sizeof(found));
    if (n < 0 && errno != ENOENT) {
        return failed(path, why);
    }
    if (fresh || n < 0) {
        return write_tag(s, path, text, why);
    }
    if ((size_t)n == TEXT_LEN && memcmp(found, text, TEXT_LEN) == 0) {
        return QUDAG_OK;
    }
    return store_because(why, QUDAG_EAUTH, "the store belongs to another identity:", s->dir,
                         "put that identity back, or move the store away to begin a new one; this "
                         "node would go on publishing the other's values, which links the two");
}
