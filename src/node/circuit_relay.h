/*
 * circuit_relay.h - circuit relay v2, as the host sees it (arrow_relay_links.c, arrow_relay_service.c).  Included by
 * node.h.
 */
#ifndef QUDAG_SRC_NODE_CIRCUIT_RELAY_H
#define QUDAG_SRC_NODE_CIRCUIT_RELAY_H

#include "core/autorelay/autorelay.h"
#include "core/relay_v2/hop.h"
#include "core/relay_v2/relayed.h"
#include "node/keep.h"
#include "upgrade/relay_links.h"

#define NODE_RELAYED_ADDRS 4  /* through relays, told in identify */
#define NODE_RELAYED_SLOWER 3 /* times as much time for the handshake of a relayed link */

/* Whether this node is a circuit relay for others; auto: while they can dial it (node_rule_serves). */
enum node_serves { NODE_SERVES_NO, NODE_SERVES_YES, NODE_SERVES_AUTO };

/* What this node does for others as a circuit relay, and has others do.  Zeros: nothing; limits as in hop.h. */
struct node_circuit_relay {
    size_t n_reserve; /* relays that are to keep places for us */
    struct node_keep_wish reserve[RELAYED_RELAYS_MAX];
    bool finds; /* relays that keep places for us, by itself where that is wanted */
    enum node_serves serve;
    uint32_t reservations_max, circuits_max;
    struct circuit_limit limit, stranger;
    uint64_t rate, rate_peer, rate_circuit;
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

/*
 * Whether places are given away now: always where the operator says so; by itself while others |can_dial| this node, it
 * |tells| its addresses (one that only uses circuits does not), and it is no lab.
 */
bool node_rule_serves(enum node_serves set, bool can_dial, bool tells, bool lab);

/* As node_rule_addr() for a peer that is reached through the relay at such an address. */
bool node_rule_relayed_addr(const struct multiaddr *addr, bool lab);

/* The relays that are known, and at which places are had by itself: to look at, for the life of the node. */
const struct autorelay *node_autorelay(const struct node *n);
/* Circuits that pass through this node, one after the other, |*it| from 0 on; false at the end. */
bool node_relay_circuit_next(const struct node *n, size_t *it, struct hop_circuit_look *out);

/* Counters of all of it; those of the service are zeros where there is none. */
struct node_relay_stats {
    struct hop_stats hop;
    struct relayed_stats user;
    struct relay_links_stats links;
    struct autorelay_stats found;
};
void node_relay_stats_get(const struct node *n, struct node_relay_stats *out);

#endif
