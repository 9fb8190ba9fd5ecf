/* interfaces.c - the addresses of the machine's interfaces, and when they change (rtnetlink(7)). */
#include "io/interfaces.h"

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

int io_interfaces_watch(void)
{
    struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                 .nl_groups =
                                     RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
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
