/*
 * testkit_relayed.h - nodes that know each other through a relay: places there, addresses through it, which links there
 * are.  Include cmocka.h before.
 */
#ifndef QUDAG_SRC_NODE_TESTKIT_RELAYED_H
#define QUDAG_SRC_NODE_TESTKIT_RELAYED_H

#include "node/testkit_net.h"

/* A node of |c| is to have a place at node |relay|. */
static inline void nt_reserve(const struct nt *nt, struct node_config *c, size_t relay)
{
    c->circuit_relay.reserve[0].peer = nt->node[relay].peer;
    multiaddr_quic(&c->circuit_relay.reserve[0].addr, &nt->node[relay].addr, NULL);
    c->circuit_relay.n_reserve = 1;
}

static inline bool nt_holds_place(const struct nt *nt, size_t ix)
{
    size_t it = 0;
    const struct relayed_place *p = node_place_next(nt->node[ix].node, &it);

    return p != NULL && p->held;
}

/* Node |from| learns that |to| is behind |relay|. */
static inline void nt_know_through(const struct nt *nt, size_t from, size_t to, size_t relay)
{
    struct multiaddr at, via;

    multiaddr_quic(&at, &nt->node[relay].addr, &nt->node[relay].peer);
    assert_true(multiaddr_circuit(&via, &at));
    node_add_addr(nt->node[from].node, &nt->node[to].peer, &via);
}

/* Whether |from| has a link to |to|: one through a relay, or a direct one. */
static inline bool nt_linked(const struct nt *nt, size_t from, size_t to, bool relayed)
{
    struct link_info info;

    for (size_t it = 0;
         swarm_peer_link_next(node_swarm(nt->node[from].node), &nt->node[to].peer, &it, &info);) {
        if (((info.props & LINK_RELAYED) != 0) == relayed) {
            return true;
        }
    }
    return false;
}

#endif
