/* udp.c - what a node does, and knows, where datagrams do not pass; see tcp.h. */
#include "node/internal.h"

bool node_rule_tcp_twin(const struct multiaddr *quic, struct multiaddr *twin)
{
    struct netaddr a;
    struct peer_id peer;

    if (!multiaddr_to_netaddr(quic, &a) || a.port == 0) {
        return false;
    }
    multiaddr_tcp(twin, &a, multiaddr_peer(quic, &peer) ? &peer : NULL);
    return twin->len > 0;
}

enum node_udp node_rule_udp(const struct node_udp_view *v)
{
    if (v->came > 0) {
        return NODE_UDP_PASSES;
    }
    return v->sent >= NODE_UDP_ENOUGH && v->tcp_works ? NODE_UDP_BLOCKED : NODE_UDP_UNKNOWN;
}

static bool tcp_works(const struct node *n, tstamp now)
{
    struct swarm_look look;
    struct netaddr a;

    for (size_t it = 0; swarm_link_next(n->swarm, &it, &look, now);) {
        if (look.state == SWARM_LINK_UP && multiaddr_to_tcp(&look.info.remote, &a) &&
            !netaddr_is_loopback(&a)) {
            return true;
        }
    }
    return false;
}

void node_udp_review(struct node *n, tstamp now)
{
    struct quic_stats st;
    bool blocked = n->reach.view.udp_blocked;

    quic_stats_get(n->quic, &st);
    struct node_udp_view v = {.sent = st.dgrams_out, .came = st.dgrams_in};
    if (v.came == 0) {
        v.tcp_works = tcp_works(n, now);
    }
    enum node_udp udp = node_rule_udp(&v);
    if (udp != NODE_UDP_UNKNOWN && (udp == NODE_UDP_BLOCKED) != blocked) {
        node_reach_udp_seen(n, udp == NODE_UDP_PASSES);
    }
}
