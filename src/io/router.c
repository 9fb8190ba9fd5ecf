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

struct default_route {
    bool found;
    uint32_t interface;
    uint32_t metric;
    struct netaddr gateway;
};

/* What one attribute of a route says. */
static void take_attribute(unsigned type, struct slice v, uint8_t version, struct default_route *r)
{
    size_t ip = version == 4 ? 4 : 16;
    uint32_t number = 0;

    if (v.len == sizeof(number)) {
        memcpy(&number, v.base, sizeof(number));
    }
    if (type == RTA_GATEWAY && v.len == ip) {
        r->gateway.family = version;
        memcpy(r->gateway.ip, v.base, ip);
    } else if (type == RTA_OIF) {
        r->interface = number;
    } else if (type == RTA_PRIORITY) {
        r->metric = number;
    }
}

static void take_route(struct slice d, uint8_t version, struct default_route *best)
{
    struct default_route r = {.found = true};
    struct rtmsg m;
    struct rtattr a;

    if (d.len < sizeof(m)) {
        return;
    }
    memcpy(&m, d.base, sizeof(m));
    if (m.rtm_dst_len != 0 || m.rtm_table != RT_TABLE_MAIN || m.rtm_type != RTN_UNICAST) {
        return;
    }
    for (size_t at = NLMSG_ALIGN(sizeof(m)); at + sizeof(a) <= d.len; at += RTA_ALIGN(a.rta_len)) {
        memcpy(&a, d.base + at, sizeof(a));
        if (a.rta_len < sizeof(a) || a.rta_len > d.len - at) {
            return;
        }
        struct slice v = {d.base + at + sizeof(a), a.rta_len - sizeof(a)};
        take_attribute(a.rta_type, v, version, &r);
    }
    if (version == 6 && r.gateway.ip[0] == 0xfe && (r.gateway.ip[1] & 0xc0) == 0x80) {
        r.gateway.scope = r.interface;
    }
    if (r.gateway.family != 0 && (!best->found || r.metric < best->metric)) {
        *best = r;
    }
}

/* False: the dump is over. */
static bool take_messages(struct slice d, uint8_t version, struct default_route *best)
{
    struct nlmsghdr h;

    for (size_t at = 0; at + sizeof(h) <= d.len; at += NLMSG_ALIGN(h.nlmsg_len)) {
        memcpy(&h, d.base + at, sizeof(h));
        if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > d.len - at || h.nlmsg_type == NLMSG_DONE ||
            h.nlmsg_type == NLMSG_ERROR) {
            return false;
        }
        if (h.nlmsg_type == RTM_NEWROUTE) {
            take_route((struct slice){d.base + at + sizeof(h), h.nlmsg_len - sizeof(h)}, version,
                       best);
        }
    }
    return true;
}

static void dump(int fd, uint8_t version, struct default_route *best)
{
    uint8_t buf[BUFFER];
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
        if (n <= 0 || !take_messages((struct slice){buf, (size_t)n}, version, best)) {
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
    struct default_route best = {.found = false};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0) {
        return false;
    }
    dump(fd, version, &best);
    (void)close(fd);
    *gateway = best.gateway;
    return best.found && io_default_source(version, source) && is_of(source, best.interface);
}
