/* router.h - the default gateway, and our address towards it (rtnetlink(7)). */
#ifndef QUDAG_SRC_IO_ROUTER_H
#define QUDAG_SRC_IO_ROUTER_H

#include "base/netaddr.h"

#include "base/types.h"

#define ROUTER_HOPS_MAX 8 /* of a route that are kept */

struct router_hop {
    uint32_t interface;
    struct netaddr gateway; /* with the zone of its link if it is link-local */
};
/* The default route with the lowest metric; n 0: none, or it leads through no gateway. */
struct router_default {
    uint32_t metric;
    size_t n;
    struct router_hop hop[ROUTER_HOPS_MAX]; /* several: the kernel takes one or the other */
};
/*
 * Takes what is better than |best| from messages of a dump of the routing table, of IP |version|; what is cut off or
 * names a length that cannot be is left out.  False: the dump is over.
 */
bool router_take(struct slice d, uint8_t version, struct router_default *best);

/*
 * The next hop of the default route with the lowest metric, of IP |version| (4 or 6), with the zone of its link if its
 * address is link-local; of several the one at whose interface *source is; *source: what the kernel sends from to the
 * Internet, without a port.  False: there is no such route, it leads through no gateway, or that address is of another
 * interface: what the router opens would be no way to this host then, and tell where somebody is who goes out through a
 * tunnel.
 */
bool router_find(uint8_t version, struct netaddr *gateway, struct netaddr *source);

#endif
