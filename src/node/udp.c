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
    struct node_udp_view v = {.sent = st.dgrams_out - n->udp.sent,
                              .came = st.dgrams_in - n->udp.came};
    if (v.came == 0) {
        v.tcp_works = tcp_works(n, now);
    }
    enum node_udp udp = node_rule_udp(&v);
    if (udp != NODE_UDP_UNKNOWN && (udp == NODE_UDP_BLOCKED) != blocked) {
        node_reach_udp_seen(n, udp == NODE_UDP_PASSES);
    }
}

/* ---- when it is looked at ---- */

#define SOON                                                                                       \
    (2 * NS_PER_S) /* after a peer came up: a dial by QUIC beside it has sent some by then */
#define AGAIN (10 * NS_PER_S) /* while nothing is known, LOOKS times, and while it is blocked */
#define LOOKS 3

void node_udp_anew(struct node *n, tstamp now)
{
    struct quic_stats st;

    quic_stats_get(n->quic, &st);
    n->udp =
        (struct node_udp_watch){st.dgrams_out, st.dgrams_in, tstamp_after(now, AGAIN), .looks = 0};
}

static void event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    if (ev->type == EV_PEER_UP) {
        n->udp.due = tstamp_min(n->udp.due, tstamp_after(now, SOON));
        n->udp.looks = 0;
    }
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct quic_stats st;
    (void)out;

    if (now < n->udp.due) {
        return;
    }
    node_udp_review(n, now);
    quic_stats_get(n->quic, &st);
    bool unknown = st.dgrams_in == n->udp.came && ++n->udp.looks <= LOOKS;
    n->udp.due = unknown || n->reach.view.udp_blocked ? tstamp_after(now, AGAIN) : TSTAMP_NEVER;
}

static tstamp deadline(const void *node)
{
    return ((const struct node *)node)->udp.due;
}

qudag_err node_udp_init(struct node *n)
{
    static const struct core_ops ops = {.event = event, .tick = tick, .deadline = deadline};
    struct node_core core = {.name = "udp", .instance = n, .ops = &ops};
    unsigned ix;

    n->udp.due = TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &ix);
}
