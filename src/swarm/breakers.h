/* breakers.h - the breakers of networks: a small table in which the one that failed longest ago gives its place. */
#ifndef QUDAG_SRC_SWARM_BREAKERS_H
#define QUDAG_SRC_SWARM_BREAKERS_H

#include "base/netaddr.h"
#include "swarm/breaker.h"

#define SWARM_NETS_MAX 64               /* networks in which something failed */
#define SWARM_NET_PROBE (20 * NS_PER_S) /* a probe without any outcome is over */

struct swarm_net {
    uint64_t group;      /* netaddr_group(); 0: a free place */
    struct netaddr addr; /* of the network */
    struct swarm_breaker breaker;
    uint8_t n_hosts;
    struct netaddr host[4]; /* that failed: one that fails again says nothing new */
    tstamp failed_at;
};

/* All zero: none. */
struct swarm_nets {
    struct swarm_net v[SWARM_NETS_MAX];
};

struct swarm;
struct swarm_link;

/* Whether |l|, a dial that is about to begin, waits for the breaker of its network; else it may be its probe. */
bool swarm_net_holds(struct swarm *s, struct swarm_link *l, tstamp now);
/* |l| has come up, in either direction: its network can be reached. */
void swarm_net_up(struct swarm *s, const struct swarm_link *l);
/* The dial |l| has ended with |err|. */
void swarm_net_failed(struct swarm *s, const struct swarm_link *l, qudag_err err, tstamp now);

#endif
