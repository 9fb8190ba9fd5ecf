/* journal.c - see journal.h.  Not sd_journal_send(3) of libsystemd: that waits for a journal that is slow. */
#include "journal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_MAX_LEN 64 /* of a field, which the journal would refuse beyond */

static size_t add_name(char *to, size_t at, const char *name)
{
    for (; *name != 0 && at < NAME_MAX_LEN; name++) {
        char c = *name;
        bool small = c >= 'a' && c <= 'z', plain = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        to[at++] = (char)(small ? c - 'a' + 'A' : plain ? c : '_');
    }
    return at;
}

void journal_field(struct journal_msg *m, const char *prefix, const char *name, const char *value,
                   size_t len)
{
    char key[NAME_MAX_LEN];
    size_t n = add_name(key, add_name(key, 0, prefix), name);
    bool plain = memchr(value, '\n', len) == NULL;
    size_t need = n + 1 + (plain ? 0 : 8) + len + 1;
    if (need > sizeof(m->b) - m->n) {
        m->cut = true;
        return;
    }
    char *to = m->b + m->n;
    memcpy(to, key, n);
    to += n;
    *to++ = plain ? '=' : '\n';
    for (unsigned i = 0; !plain && i < 8; i++) {
        *to++ = (char)(uint8_t)((uint64_t)len >> (8 * i));
    }
    if (len > 0) {
        memcpy(to, value, len);
    }
    to[len] = '\n';
    m->n += need;
}

int journal_open(void)
{
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

enum journal_sent journal_send(int fd, const char *path, const struct journal_msg *m)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    ssize_t n;
    if (fd < 0 || len >= sizeof(to.sun_path)) {
        return JOURNAL_GONE;
    }
    memcpy(to.sun_path, path, len);
    do { /* by name each time: the journal may have been started anew */
        n = sendto(fd, m->b, m->n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1));
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return JOURNAL_SENT;
    }
    return errno == EAGAIN || errno == ENOBUFS ? JOURNAL_FULL : JOURNAL_GONE;
}
