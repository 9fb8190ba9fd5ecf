/*
 * nat.h - a network address translator in the words of RFC 4787, as a pure state machine in virtual time.
 *
 * The simulator's full host puts one before each node that is behind one, tests of core/meet run pairs of them, and
 * tests/netlab/natbox.c drives the same object with real packets.  One object is one external address of one protocol.
 */
#ifndef QUDAG_SIM_NAT_H
#define QUDAG_SIM_NAT_H

#include "base/mem.h"
#include "base/netaddr.h"
#include "base/rng.h"

/* What of the destination a mapping, or the filter, depends on (RFC 4787 4.1, 5). */
enum nat_depends {
    NAT_INDEPENDENT, /* endpoint-independent: "full cone" where both are */
    NAT_ADDRESS,     /* address-dependent: filter of "restricted" */
    NAT_ADDRESS_PORT /* address- and port-dependent: filter of "port-restricted"; mapping of "symmetric" */
};

/* How external ports are chosen (4.2). */
enum nat_ports { NAT_PRESERVE, NAT_SEQUENTIAL, NAT_RANDOM };

struct nat_config {
    struct mem *mem;
    struct rng rng;
    struct netaddr external; /* the port is not looked at */
    enum nat_depends mapping, filter;
    enum nat_ports ports;
    uint16_t lo, hi;     /* external ports; 0: 1024 and 65535 */
    uint16_t step;       /* NAT_SEQUENTIAL; 0: 1 */
    uint64_t timeout_ns; /* of a mapping that was used both ways; 0: 120 s */
    uint64_t
        timeout_new_ns; /* of one that nothing came back to; 0: 30 s; never more than timeout_ns */
    uint32_t per_host_max; /* mappings of one inside host, as carrier-grade ones have; 0: any */
    bool hairpin;          /* 6: inside to an external address of its own comes in again */
    bool refresh_in;       /* what comes in refreshes, too; outbound always does */
    /* answers strangers instead of dropping: their packet confirms an entry, and our own first packet to that
       stranger leaves from another port (Linux with a REJECT rule) */
    bool rejects;
};

struct nat;
/* Freed with nat_free(); NULL: no memory. */
struct nat *nat_new(const struct nat_config *cfg);
/* All of it; NULL allowed. */
void nat_free(struct nat *n);

/*
 * A packet from inside: true: it leaves from |*from|; false: dropped (no port is left, the host has its share, it
 * is meant for the external address and nothing is turned back).  True for one that is meant for the external
 * address: the caller hands it to nat_in() as from |*from|.
 */
bool nat_out(struct nat *n, const struct netaddr *inside, const struct netaddr *to, uint64_t now,
             struct netaddr *from);
/* A packet from |from| to the external |to|: true: it goes to |*inside|; false: filtered, or nobody's. */
bool nat_in(struct nat *n, const struct netaddr *from, const struct netaddr *to, uint64_t now,
            struct netaddr *inside);
/* Who has the external |port|, whoever asks: for errors that quote a packet of his.  False: nobody. */
bool nat_owner(const struct nat *n, uint16_t port, struct netaddr *inside);
/*
 * A forwarding made by UPnP, NAT-PMP or PCP, until |until| (ns; TSTAMP_NEVER): inbound only, for no outgoing flow
 * but the answers.  Again for the same |inside|: lives until the new time.  False: that port is another's.
 */
bool nat_forward(struct nat *n, uint16_t port, const struct netaddr *inside, uint64_t until);
/* False: there was none. */
bool nat_forward_remove(struct nat *n, uint16_t port);
/* The router starts again: all mappings and forwardings are gone. */
void nat_flush(struct nat *n);
/* Another external address: as nat_flush(). */
void nat_renumber(struct nat *n, const struct netaddr *external);
/* Mappings there are at |now|, forwardings not counted. */
size_t nat_count(const struct nat *n, uint64_t now);

#endif
