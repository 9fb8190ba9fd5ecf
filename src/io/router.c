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
#define ALIGN(len) (((size_t)(len) + 3) & ~(size_t)3) /* RTNH_ALIGN(), whose mask is an int */

/* One way to go. */
static void take_hop(struct router_default *r, uint32_t interface, const struct netaddr *gateway)
{
    struct router_hop h = {interface, *gateway};

    if (h.gateway.family == 0 || r->n == ROUTER_HOPS_MAX) {
        return;
    }
    if (h.gateway.family == 6 && h.gateway.ip[0] == 0xfe && (h.gateway.ip[1] & 0xc0) == 0x80) {
        h.gateway.scope = interface;
    }
    r->hop[r->n++] = h;
}

/* The attribute at |*at| of |d|, which goes on to the next; false: there is none, or its length is a lie. */
static bool next_attribute(struct slice d, size_t *at, unsigned *type, struct slice *value)
{
    struct rtattr a;

    if (*at > d.len || d.len - *at < sizeof(a)) {
        return false;
    }
    memcpy(&a, d.base + *at, sizeof(a));
    if (a.rta_len < sizeof(a) || a.rta_len > d.len - *at) {
        return false;
    }
    *type = a.rta_type;
    *value = (struct slice){d.base + *at + sizeof(a), a.rta_len - sizeof(a)};
    *at += RTA_ALIGN(a.rta_len);
    return true;
}

static void take_gateway(struct slice v, uint8_t version, struct netaddr *out)
{
    size_t ip = version == 4 ? 4 : 16;

    if (v.len == ip) {
        *out = (struct netaddr){.family = version};
        memcpy(out->ip, v.base, ip);
    }
}

static uint32_t number_of(struct slice v)
{
    uint32_t number = 0;

    if (v.len == sizeof(number)) {
        memcpy(&number, v.base, sizeof(number));
    }
    return number;
}

static bool is_dead(unsigned flags)
{
    return (flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0;
}

/* RTA_MULTIPATH: several ways, each of which the kernel takes for some flows. */
static void take_hops(struct slice d, uint8_t version, struct router_default *r)
{
    struct rtnexthop h;

    for (size_t at = 0; at <= d.len && d.len - at >= sizeof(h); at += ALIGN(h.rtnh_len)) {
        struct netaddr gateway = {.family = 0};
        struct slice v;
        unsigned type;

        memcpy(&h, d.base + at, sizeof(h));
        if (h.rtnh_len < sizeof(h) || h.rtnh_len > d.len - at) {
            return;
        }
        struct slice of = {d.base + at, h.rtnh_len};
        for (size_t k = ALIGN(sizeof(h)); next_attribute(of, &k, &type, &v);) {
            if (type == RTA_GATEWAY) {
                take_gateway(v, version, &gateway);
            }
        }
        if (!is_dead(h.rtnh_flags)) {
            take_hop(r, (uint32_t)h.rtnh_ifindex, &gateway);
        }
    }
}

static void take_route(struct slice d, uint8_t version, struct router_default *best)
{
    struct router_default r = {.n = 0};
    struct netaddr gateway = {.family = 0};
    uint32_t interface = 0;
    struct rtmsg m;
    struct slice v;
    unsigned type;

    if (d.len < sizeof(m)) {
        return;
    }
    memcpy(&m, d.base, sizeof(m));
    if (m.rtm_dst_len != 0 || m.rtm_table != RT_TABLE_MAIN || m.rtm_type != RTN_UNICAST) {
        return;
    }
    for (size_t at = NLMSG_ALIGN(sizeof(m)); next_attribute(d, &at, &type, &v);) {
        if (type == RTA_GATEWAY) {
            take_gateway(v, version, &gateway);
        } else if (type == RTA_OIF) {
            interface = number_of(v);
        } else if (type == RTA_PRIORITY) {
            r.metric = number_of(v);
        } else if (type == RTA_MULTIPATH) {
            take_hops(v, version, &r);
        }
    }
    if (!is_dead(m.rtm_flags)) {
        take_hop(&r, interface, &gateway);
    }
    if (r.n > 0 && (best->n == 0 || r.metric < best->metric)) {
        *best = r;
    }
}

bool router_take(struct slice d, uint8_t version, struct router_default *best)
{
    struct nlmsghdr h;

    for (size_t at = 0; at <= d.len && d.len - at >= sizeof(h); at += NLMSG_ALIGN(h.nlmsg_len)) {
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

static void dump(int fd, uint8_t version, struct router_default *best)
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
        if (n <= 0 || !router_take((struct slice){buf, (size_t)n}, version, best)) {
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
    struct router_default best = {.n = 0};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0) {
        return false;
    }
    dump(fd, version, &best);
    (void)close(fd);
    *gateway = best.hop[0].gateway;
    if (best.n == 0 || !io_default_source(version, source)) {
        return false;
    }
    for (size_t i = 0; i < best.n; i++) {
        if (is_of(source, best.hop[i].interface)) {
            *gateway = best.hop[i].gateway;
            return true;
        }
    }
    return false;
}
