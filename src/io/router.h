/* router.h - the default gateway, and our address towards it (rtnetlink(7)). */
#ifndef QUDAG_SRC_IO_ROUTER_H
#define QUDAG_SRC_IO_ROUTER_H

#include "base/netaddr.h"

/*
 * The next hop of the default route with the lowest metric, of IP |version| (4 or 6), with the zone of its link if its
 * address is link-local; *source: what the kernel sends from to the Internet, without a port.  False: there is no such
 * route, it leads through no gateway, or that address is of another interface: what the router opens would be no way to
 * this host then, and tell where somebody is who goes out through a tunnel.
 */
bool router_find(uint8_t version, struct netaddr *gateway, struct netaddr *source);

#endif
