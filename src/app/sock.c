/* sock.c - see sock.h. */
#include "app/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

union addr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

static socklen_t net_put(union addr *a, const struct netaddr *net)
{
    memset(a, 0, sizeof(*a));
    if (net->family == 4) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(net->port);
        memcpy(&a->v4.sin_addr, net->ip, 4);
        return sizeof(a->v4);
    }
    a->v6.sin6_family = AF_INET6;
    a->v6.sin6_port = htons(net->port);
    a->v6.sin6_scope_id = net->scope;
    memcpy(&a->v6.sin6_addr, net->ip, 16);
    return sizeof(a->v6);
}

static socklen_t target_put(union addr *a, const struct target *to)
{
    if (to->net.family != 0) {
        return net_put(a, &to->net);
    }
    memset(a, 0, sizeof(*a));
    a->un.sun_family = AF_UNIX;
    _Static_assert(sizeof(a->un.sun_path) == sizeof(to->path), "a path fits");
    memcpy(a->un.sun_path, to->path, sizeof(to->path));
    return sizeof(a->un);
}

static void no_delay(int fd)
{
    const int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on Unix sockets */
}

int sock_dial(int *fd, const struct target *to)
{
    union addr a;
    socklen_t len = target_put(&a, to);

    *fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return errno;
    }
    no_delay(*fd);
    int err = connect(*fd, &a.any, len) == 0 ? 0 : errno;
    if (err != 0 && err != EINPROGRESS) {
        (void)close(*fd);
        *fd = -1;
    }
    return err;
}

int sock_listen(int *fd, const struct netaddr *at)
{
    const int on = 1;
    union addr a;
    socklen_t len = net_put(&a, at);

    *fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return errno;
    }
    (void)setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(*fd, &a.any, len) == 0 && listen(*fd, BACKLOG) == 0) {
        return 0;
    }
    int err = errno;
    (void)close(*fd);
    *fd = -1;
    return err;
}

bool sock_bound(int fd, struct netaddr *out)
{
    union addr a;
    socklen_t len = sizeof(a);

    memset(out, 0, sizeof(*out));
    if (getsockname(fd, &a.any, &len) != 0) {
        return false;
    }
    if (a.any.sa_family == AF_INET) {
        out->family = 4;
        out->port = ntohs(a.v4.sin_port);
        memcpy(out->ip, &a.v4.sin_addr, 4);
    } else if (a.any.sa_family == AF_INET6) {
        out->family = 6;
        out->port = ntohs(a.v6.sin6_port);
        memcpy(out->ip, &a.v6.sin6_addr, 16);
    }
    return out->family != 0;
}

int sock_accept(int listening)
{
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        no_delay(fd);
    }
    return fd;
}

int sock_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 ? err : errno;
}

long sock_send(int fd, const void *p, size_t len)
{
    ssize_t n;

    do {
        n = send(fd, p, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

long sock_recv(int fd, void *p, size_t max)
{
    ssize_t n;

    do {
        n = recv(fd, p, max, 0);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void sock_shut(int fd)
{
    (void)shutdown(fd, SHUT_WR);
}

void sock_close(int fd, bool reset)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (reset) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    (void)close(fd);
}
