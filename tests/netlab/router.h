/*
 * router.h - a home's or a provider's router: translation between two links that delay and lose.
 *
 *   inside ──▶ wire[LAN_OUT] ──▶ nat_out() ──▶ wire[WAN_OUT] ──▶ outside
 *   inside ◀── wire[LAN_IN]  ◀── nat_in()  ◀── wire[WAN_IN]  ◀── outside
 *
 * Packets of IPv6, and all where there is no NAT, go through the wires only.
 */
#ifndef QUDAG_TESTS_NETLAB_ROUTER_H
#define QUDAG_TESTS_NETLAB_ROUTER_H

#include "sim/nat.h"

#include "wire.h"

enum router_wire { LAN_OUT, WAN_OUT, WAN_IN, LAN_IN, ROUTER_WIRES };
enum { ROUTER_PACKET_MAX = 65536, ROUTER_NETS_MAX = 4 };

struct router_net {
    struct netaddr addr;
    unsigned bits;
};

struct router {
    struct mem mem;
    struct rng rng;
    struct nat_config cfg;
    struct nat *udp, *tcp, *echo; /* NULL: no NAT */
    struct router_net inside[ROUTER_NETS_MAX];
    size_t nets;
    struct wire wire[ROUTER_WIRES];
    uint64_t out, in, dropped, refused;
    uint8_t b[ROUTER_PACKET_MAX];
};

/* |rng| must outlive it. */
void router_init(struct router *r, const struct rng *rng);
void router_fini(struct router *r);
/* Hosts of |addr|/|bits| are inside.  False: too many. */
bool router_add_net(struct router *r, const struct netaddr *addr, unsigned bits);
/* NATs as r->cfg says, without any mapping.  False: no memory. */
bool router_start_nat(struct router *r);

/* A packet as the kernel hands it over. */
void router_packet(struct router *r, uint8_t *b, size_t len, uint64_t now);
/* The next packet that leaves, valid until the next call; 0: none now.  Moves what is due. */
size_t router_leaving(struct router *r, const uint8_t **b, uint64_t now);
/* When router_leaving() is to be called next; TSTAMP_NEVER. */
uint64_t router_next(const struct router *r);
/* A line of a command; the answer, a line too, into |dst|. */
void router_command(struct router *r, char *line, uint64_t now, char *dst, size_t cap);

#endif
