/*
 * circuit_relay.h - circuit relay v2, as the host sees it (arrow_relay_links.c, arrow_relay_service.c).  Included by
 * node.h.
 */
#ifndef QUDAG_SRC_NODE_CIRCUIT_RELAY_H
#define QUDAG_SRC_NODE_CIRCUIT_RELAY_H

#include "core/relay_v2/hop.h"
#include "core/relay_v2/relayed.h"
#include "node/keep.h"
#include "upgrade/relay_links.h"

#define NODE_RELAYED_ADDRS 4  /* through relays, told in identify */
#define NODE_RELAYED_SLOWER 3 /* times as much time for the handshake of a relayed link */

/* What this node does for others as a circuit relay, and has others do.  Zeros: nothing; limits as in hop.h. */
struct node_circuit_relay {
    size_t n_reserve; /* relays that are to keep places for us */
    struct node_keep_wish reserve[RELAYED_RELAYS_MAX];
    bool serve;
    uint32_t reservations_max, circuits_max;
    struct circuit_limit limit;
    uint64_t rate;
};

/*
 * A place at the relay of |w| is kept for this node from now on, and a link with it (node_keep).  EINVAL: it is this
 * node; ELIMIT: RELAYED_RELAYS_MAX relays; ENOMEM.
 */
QUDAG_MUST_USE qudag_err node_reserve(struct node *n, const struct node_keep_wish *w);
/* Not any more.  ENOTFOUND. */
QUDAG_MUST_USE qudag_err node_unreserve(struct node *n, const struct peer_id *relay);
/* Those places, one for each call with *it from 0; NULL: no more.  Borrowed until the next drain. */
const struct relayed_place *node_place_next(const struct node *n, size_t *it);

/* As node_rule_addr() for a peer that is reached through the relay at such an address. */
bool node_rule_relayed_addr(const struct multiaddr *addr, bool lab);

/* Counters of all of it; those of the service are zeros where there is none. */
struct node_relay_stats {
    struct hop_stats hop;
    struct relayed_stats user;
    struct relay_links_stats links;
};
void node_relay_stats_get(const struct node *n, struct node_relay_stats *out);

#endif
