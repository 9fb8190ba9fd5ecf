/* router.c - see router.h: one dump of the main routing table. */
#include "io/router.h"

#include "io/interfaces.h"
#include "io/sockaddr.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define READS_MAX 4096 /* of one dump */
#define WAIT_US 200000 /* the kernel answers at once; the loop is not held up if it does not */
#define BUFFER 8192

struct best {
    bool found;
    uint32_t interface;
    uint32_t metric;
    struct netaddr gateway;
};

/* What one attribute of a route says. */
static void take_attribute(const struct rtattr *a, uint8_t version, struct best *r)
{
    size_t len = RTA_PAYLOAD(a), ip = version == 4 ? 4 : 16;
    uint32_t number = 0;

    if (len >= sizeof(number)) {
        memcpy(&number, RTA_DATA(a), sizeof(number));
    }
    if (a->rta_type == RTA_GATEWAY && len == ip) {
        r->gateway.family = version;
        memcpy(r->gateway.ip, RTA_DATA(a), ip);
    } else if (a->rta_type == RTA_OIF && len == sizeof(number)) {
        r->interface = number;
    } else if (a->rta_type == RTA_PRIORITY && len == sizeof(number)) {
        r->metric = number;
    }
}

static void take_route(const struct nlmsghdr *h, uint8_t version, struct best *best)
{
    const struct rtmsg *m = NLMSG_DATA(h);
    struct best r = {.found = true};

    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || m->rtm_dst_len != 0 ||
        m->rtm_table != RT_TABLE_MAIN || m->rtm_type != RTN_UNICAST) {
        return;
    }
    size_t left = RTM_PAYLOAD(h);
    for (const struct rtattr *a = RTM_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        take_attribute(a, version, &r);
    }
    if (version == 6 && r.gateway.ip[0] == 0xfe && (r.gateway.ip[1] & 0xc0) == 0x80) {
        r.gateway.scope = r.interface;
    }
    if (r.gateway.family != 0 && (!best->found || r.metric < best->metric)) {
        *best = r;
    }
}

/* False: the dump is over. */
static bool take_messages(uint8_t *buf, size_t len, uint8_t version, struct best *best)
{
    for (const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)buf; NLMSG_OK(h, len);
         h = NLMSG_NEXT(h, len)) {
        if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
            return false;
        }
        if (h->nlmsg_type == RTM_NEWROUTE) {
            take_route(h, version, best);
        }
    }
    return true;
}

static void dump(int fd, uint8_t version, struct best *best)
{
    _Alignas(struct nlmsghdr) uint8_t buf[BUFFER];
    struct {
        struct nlmsghdr h;
        struct rtmsg m;
    } ask = {.h = {.nlmsg_len = sizeof(ask),
                   .nlmsg_type = RTM_GETROUTE,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
             .m = {.rtm_family = version == 4 ? AF_INET : AF_INET6}};
    struct timeval wait = {.tv_usec = WAIT_US};

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    if (send(fd, &ask, sizeof(ask), 0) != (ssize_t)sizeof(ask)) {
        return;
    }
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0 || !take_messages(buf, (size_t)n, version, best)) {
            return;
        }
    }
}

static bool is_of(const struct netaddr *a, uint32_t interface)
{
    struct ifaddrs *list = NULL;
    bool found = false;

    if (getifaddrs(&list) != 0) {
        return false;
    }
    for (const struct ifaddrs *i = list; i != NULL && !found; i = i->ifa_next) {
        int family = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;
        if (family == (a->family == 4 ? AF_INET : AF_INET6)) {
            union io_sockaddr s = {0};
            struct netaddr has;
            memcpy(&s, i->ifa_addr, family == AF_INET ? sizeof(s.v4) : sizeof(s.v6));
            io_from_sockaddr(&has, &s);
            found = netaddr_same_ip(&has, a) && if_nametoindex(i->ifa_name) == interface;
        }
    }
    freeifaddrs(list);
    return found;
}

bool router_find(uint8_t version, struct netaddr *gateway, struct netaddr *source)
{
    struct best best = {.found = false};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0) {
        return false;
    }
    dump(fd, version, &best);
    (void)close(fd);
    *gateway = best.gateway;
    return best.found && io_default_source(version, source) && is_of(source, best.interface);
}
