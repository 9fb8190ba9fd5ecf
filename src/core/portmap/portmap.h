/*
 * portmap.h - a port of the router's opened for this node: PCP (RFC 6887), NAT-PMP (RFC 6886) and UPnP IGD side by side.
 *
 *   portmap_set_gateway, portmap_want  ─▶ datagrams for port 5351 of the gateway (PORTMAP_UP_SEND), PORTMAP_UP_UPNP
 *   portmap_recv, portmap_upnp_done    ─▶ PORTMAP_UP_MAPPED, PORTMAP_UP_LOST
 *
 * Renewed at half of its life, made anew when the gateway's epoch goes back, removed at the end.  The gateway is asked
 * only for a node that wants to be reached, and never for one whose only addresses are loopback's, or public.
 */
#ifndef QUDAG_SRC_CORE_PORTMAP_PORTMAP_H
#define QUDAG_SRC_CORE_PORTMAP_PORTMAP_H

#include "base/netaddr.h"
#include "core/core.h"

#define PORTMAP_WANTS_MAX 4 /* UDP and TCP, IPv4 and IPv6 */
#define PORTMAP_LIFE_S 7200

enum portmap_method { PORTMAP_NONE, PORTMAP_PCP, PORTMAP_NATPMP, PORTMAP_UPNP };

/* One port, as it stands. */
struct portmap_look {
    bool tcp;
    struct netaddr internal;
    struct netaddr external; /* family 0: not mapped */
    enum portmap_method method;
    uint32_t life_s, left_s;
    bool double_nat;   /* the external address is private, or 100.64.0.0/10 */
    uint32_t failures; /* in a row */
    char why[96];      /* of the last failure, for people; "" */
};

struct portmap;
/* One for each port that is wanted, |*it| from 0 on; false at the end. */
bool portmap_next(const struct portmap *p, size_t *it, tstamp now, struct portmap_look *out);

#endif
