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

#endif
