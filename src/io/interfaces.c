/* interfaces.c - the addresses of the machine's interfaces, and when they change (rtnetlink(7)). */
#include "io/interfaces.h"

#include "io/io.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGES_MAX 64 /* read in one turn of the loop */

size_t io_interface_addrs(const struct netaddr *bound, struct netaddr *out, size_t max)
{
    struct ifaddrs *list = NULL;
    size_t n = 0;

    if (getifaddrs(&list) != 0) {
        return 0;
    }
    for (const struct ifaddrs *i = list; i != NULL && n < max; i = i->ifa_next) {
        struct netaddr a = {.family = bound->family, .port = bound->port};
        if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0) {
            continue;
        }
        if (bound->family == 4 && i->ifa_addr->sa_family == AF_INET) {
            struct sockaddr_in v4;
            memcpy(&v4, i->ifa_addr, sizeof(v4));
            memcpy(a.ip, &v4.sin_addr, 4);
        } else if (bound->family == 6 && i->ifa_addr->sa_family == AF_INET6) {
            struct sockaddr_in6 v6;
            memcpy(&v6, i->ifa_addr, sizeof(v6));
            memcpy(a.ip, &v6.sin6_addr, 16);
            if (a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80) {
                continue; /* link-local: means nothing to others */
            }
        } else {
            continue;
        }
        out[n++] = a;
    }
    freeifaddrs(list);
    return n;
}

size_t io_bound_addrs(const struct netaddr *bound, struct netaddr *out, size_t n)
{
    if (n == IO_ADDRS_MAX) {
        return n;
    }
    if (netaddr_is_unspecified(bound)) {
        return n + io_interface_addrs(bound, out + n, IO_ADDRS_MAX - n);
    }
    out[n] = *bound;
    return n + 1;
}

/* An address that has no route of its own anywhere: the first of a block for documentation (RFC 5737, 3849). */
static int connect_far(int fd, uint8_t version)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};

    v4.sin_addr.s_addr = htonl(0xc0000201);
    v6.sin6_addr.s6_addr[0] = 0x20;
    v6.sin6_addr.s6_addr[1] = 0x01;
    v6.sin6_addr.s6_addr[2] = 0x0d;
    v6.sin6_addr.s6_addr[3] = 0xb8;
    return version == 4 ? connect(fd, (const struct sockaddr *)&v4, sizeof(v4))
                        : connect(fd, (const struct sockaddr *)&v6, sizeof(v6));
}

bool io_default_source(uint8_t version, struct netaddr *out)
{
    struct sockaddr_in v4 = {0};
    struct sockaddr_in6 v6 = {0};
    socklen_t len = version == 4 ? sizeof(v4) : sizeof(v6);
    struct sockaddr *name = version == 4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    int fd = socket(version == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect_far(fd, version) == 0 && getsockname(fd, name, &len) == 0;

    if (ok) {
        *out = (struct netaddr){.family = version};
        memcpy(out->ip, version == 4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr,
               version == 4 ? 4 : 16);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

int io_interfaces_watch(void)
{
    struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                 .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
                                              RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                                              RTMGRP_IPV6_ROUTE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (const struct sockaddr *)&groups, sizeof(groups)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* What the messages say does not matter: the addresses are read anew.  Any loss (ENOBUFS) is a change, too. */
bool io_interfaces_changed(int fd)
{
    uint8_t buf[8192];
    bool changed = false;

    for (int i = 0; i < MESSAGES_MAX; i++) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0 && !(n < 0 && errno == ENOBUFS)) {
            break;
        }
        changed = true;
    }
    return changed;
}
