/*
 * arrow_relay_service.c - this node as a circuit relay for others: while they can dial it, or as the operator says.
 *
 *   swarm ─ streams of the hop protocol, and from which host they come ─▶ hop ─ streams of the stop protocol ─▶ swarm
 */
#include "node/internal.h"

/* A name for the host at the other end of the link that |ev| comes over; 0: not known. */
static uint64_t host_of(const struct node *n, const struct ev *ev)
{
    struct link_info info;
    struct netaddr a;

    for (size_t it = 0; ev->peer != NULL && swarm_peer_link_next(n->swarm, ev->peer, &it, &info);) {
        if ((info.props & LINK_RELAYED) == 0 && multiaddr_endpoint(&info.remote, &a)) {
            return netaddr_host(&a);
        }
    }
    return 0;
}

bool node_relay_serves(const struct node *n)
{
    return n->hop != NULL && hop_is_open(n->hop);
}

void node_relay_service_review(struct node *n)
{
    if (n->hop == NULL) {
        return;
    }
    bool open = node_rule_serves(n->cfg.circuit_relay.serve, n->reach.view.serves,
                                 n->wants.announce, n->cfg.lab);
    if (open != hop_is_open(n->hop)) {
        hop_set_open(n->hop, open);
        log_plain(&n->cfg.log, LOG_INFO, open ? "relay.service_open" : "relay.service_closed");
    }
}

bool node_relay_circuit_next(const struct node *n, size_t *it, struct hop_circuit_look *out)
{
    return n->hop != NULL && hop_circuit_next(n->hop, it, out);
}

/* One that gives no places away, and has none left, looks like a node that never was a relay. */
static bool is_none(const struct node *n)
{
    struct hop_stats st;

    hop_stats_get(n->hop, &st);
    return !hop_is_open(n->hop) && st.reservations == 0;
}

static void event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct ev at = *ev;

    if (ev->type == EV_STREAM_OPEN && ev->inbound && is_none(n)) {
        acts_reset(out, ev->strm, QUDAG_EUNSUPPORTED);
        return;
    }
    if (ev->type == EV_STREAM_OPEN && ev->inbound) {
        at.via = host_of(n, ev);
    }
    hop_ops.event(n->hop, &at, now, out);
}

static void tick(void *node, tstamp now, struct acts *out)
{
    hop_ops.tick(((struct node *)node)->hop, now, out);
}

static tstamp deadline(const void *node)
{
    return hop_ops.deadline(((const struct node *)node)->hop);
}

static const char *open_proto(struct node *n, const struct act *open)
{
    (void)n;
    (void)open;
    return CIRCUIT_STOP_PROTOCOL;
}

qudag_err node_relay_service_init(struct node *n, tstamp now)
{
    static const struct core_ops ops = {.inbound_max = HOP_STREAMS_PEER,
                                        .manual_credit = true,
                                        .limited_ok = true, /* to be told that it may not */
                                        .event = event,
                                        .tick = tick,
                                        .deadline = deadline};
    const struct node_circuit_relay *c = &n->cfg.circuit_relay;
    struct node_core core = {
        .name = "circuit_relay", .instance = n, .ops = &ops, .open_proto = open_proto};
    struct hop_config cfg = {.mem = n->mem,
                             .rng = n->cfg.rng,
                             .sk = &n->cfg.identity->ed_sk,
                             .clock = &n->cfg.clock,
                             .reservations_max = c->reservations_max,
                             .circuits_max = c->circuits_max,
                             .limit = c->limit,
                             .stranger = c->stranger,
                             .rate = c->rate,
                             .rate_peer = c->rate_peer,
                             .rate_circuit = c->rate_circuit};

    if (c->serve == NODE_SERVES_NO) {
        return QUDAG_OK;
    }
    if (n->cfg.lab) { /* one host, one network */
        cfg.reservations_host = cfg.reservations_net = UINT32_MAX;
    }
    peer_id_from_ed25519(&cfg.self, n->cfg.identity->ed_pk);
    qudag_err err = hop_new(&n->hop, &cfg, now);
    if (err == QUDAG_OK) {
        hop_set_open(n->hop, c->serve == NODE_SERVES_YES);
    }
    return err != QUDAG_OK ? err : node_core_add(n, &core, CIRCUIT_HOP_PROTOCOL, &n->hop_ix);
}
