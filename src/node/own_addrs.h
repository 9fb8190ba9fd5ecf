/*
 * own_addrs.h - which addresses of ours others are told: in identify, the DHT, relay descriptors and dark records.
 *
 * Three sources: what the operator set, what our sockets are bound to (a wildcard stands for the addresses of
 * the interfaces), and what peers observe us at, which is how a node behind a NAT or in a container learns its
 * public address.  Nothing here reads a clock, logs or allocates.
 */
#ifndef QUDAG_SRC_NODE_OWN_ADDRS_H
#define QUDAG_SRC_NODE_OWN_ADDRS_H

#include "core/link.h"
#include "wire/multiaddr.h"

#define NODE_OWN_MAX 8 /* of each source, and told */
/*
 * Observations are counted by the network of the observer, a /16 of IPv4 or a /32 of IPv6, one voice each, and
 * only the latest NODE_OWN_VOICES of a family.  NODE_OWN_AGREE of them confirm an address (go-libp2p asks
 * for as many observers): whoever has fewer networks cannot make us tell a lie.
 */
#define NODE_OWN_VOICES 8
#define NODE_OWN_KINDS 4
#define NODE_OWN_AGREE 4
#define NODE_OWN_HOLD                                                                              \
    (60 * NS_PER_S) /* between two changes that observers bring about: each costs puts */

struct node_own_voice {
    uint64_t net; /* the observer's; 0: an empty place */
    struct multiaddr addr;
};

struct node_own_addrs {
    bool
        lab; /* private and loopback addresses are told, and each observer is a network of its own */
    struct multiaddr local[NODE_OWN_MAX];
    size_t n_local;
    struct multiaddr set[NODE_OWN_MAX]; /* by the operator */
    size_t n_set;
    struct node_own_voice
        voice[NODE_OWN_KINDS][NODE_OWN_VOICES]; /* QUIC and TCP, IPv4 and IPv6; the latest first */
    struct multiaddr announced[NODE_OWN_MAX];   /* what follows from the above */
    size_t n_announced;
    tstamp hold_until; /* observers change nothing before */
};

/* Each of the following returns whether what is announced has changed.  Lists are cut to NODE_OWN_MAX. */

/* What our sockets are bound to, best first.  Observations are forgotten when it changes: another network. */
bool node_own_set_local(struct node_own_addrs *o, const struct multiaddr *addr, size_t n);
/* What the operator wants announced, instead of anything else; n == 0: nothing is wanted. */
bool node_own_set(struct node_own_addrs *o, const struct multiaddr *addr, size_t n);
/* Those that cells may be sent to (node_rule_cells_addr), at most |max|, into |out| (NULL: only counted); how many. */
size_t node_own_for_cells(const struct node_own_addrs *o, struct multiaddr *out, size_t max);
/*
 * Whether the peer at the other end of |link| can see us at |addr|: the link is of that transport and IP version.  A
 * TCP connection that we dialled comes from a port at which nobody listens.
 */
bool node_own_may_see(const struct link_info *link, const struct multiaddr *addr);
/*
 * The peer at the other end of |link| says that it sees us at |addr|.  Ignored: what comes over a relay or a
 * circuit, from an observer that is not on the Internet itself, what nobody could dial, and an address of the IP
 * version that the link does not use: there the observer can have seen none.  A change within NODE_OWN_HOLD of the
 * last one waits for the first observation after it.
 */
bool node_own_observed(struct node_own_addrs *o, const struct link_info *link,
                       const struct multiaddr *addr, tstamp now);

#endif
