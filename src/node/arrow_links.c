/*
 * arrow_links.c - links come and go: what the program, the relays and joining learn of it.
 *
 *   swarm ─ PEER_UP, PEER_DOWN ─▶ hooks.peer_changed; silent ─▶ relays, boot
 *   NODE_OP_CONNECT, NODE_OP_BOOT_DIAL ─▶ swarm ─ STREAM_FAIL with the outcome ─▶ the request ends
 *
 * Pins go through here too: one place decides by node_rule_pin() what is demanded of a peer.
 */
#include "node/request_table.h"

#define GONE_SOON (15 * NS_PER_S) /* links end one after the other when a network goes away */

void node_links_pin(struct node *n, enum node_pin_source source, const struct peer_id *peer,
                    const uint8_t pq_hash[32])
{
    switch (node_rule_pin(source)) {
    case NODE_PIN_HOLDS:
        swarm_pin(n->swarm, peer, pq_hash);
        break;
    case NODE_PIN_TOLD:
        swarm_pin_tell(n->swarm, peer, pq_hash);
        break;
    case NODE_PIN_IGNORED:
        break;
    }
}

/* A dial ended with QUDAG_EAUTH; |found|: who answered, len 0: nobody. */
static void note_auth(const struct node *n, struct node_op *op, const struct peer_id *found)
{
    struct node_request *r = &op->req;
    struct peer_id id = *found;
    bool named = multiaddr_peer(&r->addr, &id);
    uint8_t proven[32];
    bool known = swarm_pinned(n->swarm, &id, proven);

    r->auth = node_rule_auth(&(struct node_auth_view){
        .other = named && found->len > 0 && !peer_id_eq(&id, found),
        .named = r->has_pq ? r->pq_hash : NULL,
        .proven = known ? proven : NULL,
    });
}

qudag_err node_begin_connect(struct node *n, struct node_op *op, tstamp now)
{
    static const struct peer_id nobody;
    const struct node_request *r = &op->req;
    qudag_err err = swarm_connect(n->swarm, n->core[n->ix.links].swarm_ix, node_op_cookie(op),
                                  &r->addr, r->has_pq ? r->pq_hash : NULL, now);

    if (err == QUDAG_EAUTH) {
        note_auth(n, op, &nobody);
    }
    if (err == QUDAG_ELIMIT) {
        op->req.refused = swarm_refused(n->swarm);
    }
    return err;
}

/* Whether it is we who dialled one of the links with |peer|. */
static bool dialled(const struct node *n, const struct peer_id *peer)
{
    struct link_info info;
    size_t it = 0;

    while (swarm_peer_link_next(n->swarm, peer, &it, &info)) {
        if ((info.props & LINK_INBOUND) == 0) {
            return true;
        }
    }
    return false;
}

/* A dial that was asked for here has ended. */
static void connected(struct node *n, const struct ev *ev)
{
    struct node_op *op = node_op_get(n, ev->cookie);

    if (op != NULL) {
        op->req.peer = *ev->peer;
        op->req.refused = ev->refused;
        if (ev->err == QUDAG_EAUTH) {
            note_auth(n, op, ev->peer);
        }
        if (ev->err == QUDAG_OK && dialled(n, ev->peer)) {
            relays_heard(n->relays, ev->peer, n->now);
        }
        if (node_rule_is_clock(ev->err)) {
            node_clock_witness(n, NODE_CLOCK_LINKS, ev->peer, &op->req.addr);
        }
        node_op_end(n, op, ev->err, NULL);
    }
}

static void changed(struct node *n, const struct peer_id *peer, bool up)
{
    if (n->hooks.peer_changed != NULL) {
        n->hooks_called++;
        n->hooks.peer_changed(n->hooks.ctx, peer, up);
    }
}

/* The first link after none: what failed meanwhile, and shortly before, failed for want of a network. */
static void linked(struct node *n, bool up, tstamp now)
{
    struct node_links *l = &n->links;

    if (up && l->peers == 0 && l->gone_at != 0) {
        relays_network_back(n->relays, l->gone_at > GONE_SOON ? l->gone_at - GONE_SOON : 0, now);
        swarm_retry(n->swarm, NULL); /* these failures were our network's */
        keep_retry(&n->keep, NULL, n->now);
    }
    l->peers = up ? l->peers + 1 : l->peers - (l->peers > 0 ? 1 : 0);
    l->gone_at = l->peers == 0 ? now : l->gone_at;
}

static void event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = core;
    struct swarm_stats st;
    (void)out;

    if (ev->type == EV_PEER_UP && !ev->again) {
        linked(n, true, now);
        swarm_stats_get(n->swarm, &st);
        node_clock_agreed(n, NODE_CLOCK_LINKS, st.links);
        n->news |= NODE_NEWS_PEER;
        changed(n, ev->peer, true);
        node_identify_observed(n, ev->peer);
        node_extend_met(n, ev->peer);
    } else if (ev->type == EV_PEER_DOWN) {
        linked(n, false, now);
        changed(n, ev->peer, false);
        if (ev->err == QUDAG_ETIMEOUT) {
            struct peer_id guard;
            relays_failed(n->relays, ev->peer, now); /* no path leads over it for a while */
            if (relays_guard(n->relays, &guard) && peer_id_eq(&guard, ev->peer)) {
                n->guards.ask_others = true;
            }
            n->news |= NODE_NEWS_SILENCE;
        }
    } else if (ev->type == EV_STREAM_FAIL) {
        connected(n, ev);
    }
}

/* Of all addresses, in any order; never 0. */
static uint64_t addrs_digest(const struct swarm_moved *m)
{
    uint64_t sum = 1;

    for (size_t i = 0; i < m->n_have; i++) {
        uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
        for (size_t k = 0; k < sizeof(m->have[i].ip); k++) {
            h = (h ^ m->have[i].ip[k]) * UINT64_C(1099511628211);
        }
        sum += h;
    }
    return sum != 0 ? sum : 1;
}

/* What could not be reached from where we were may be from here; links that seem to go on may have no path. */
static void forget_failures(struct node *n, const struct swarm_moved *m)
{
    uint64_t digest = addrs_digest(m), before = n->links.addrs;

    n->links.addrs = digest;
    if ((before != 0 && before != digest) || m->left[0].family != 0 || m->left[1].family != 0) {
        n->news |= NODE_NEWS_MOVED;
    }
}

void node_network_anew(struct node *n, tstamp now)
{
    swarm_retry(n->swarm, NULL); /* peers, by any address */
    keep_retry(&n->keep, NULL, now);
    quic_ask_all(n->quic, now); /* links that stand */
    node_stun_moved(n, now);    /* the kind of NAT, and for how long it keeps state */
    node_autonat_moved(
        n,
        now); /* who can dial us; what was seen of us goes with our addresses (reach_set_bound) */
    node_portmap_doubt(n, now); /* ports of the router's */
    autorelay_moved(&n->autorelay, now);
    node_autorelay_review(n); /* places at relays */
    node_published_moved(n);  /* our record in the DHT */
    node_keepalive_review(n);
    node_direct_moved(n); /* peers that have only a relayed link */
    node_meet_moved(n);
}

void node_moved(struct node *n, const struct swarm_moved *m, tstamp now)
{
    n->now = now;
    forget_failures(n, m);
    uint32_t closed = swarm_moved(n->swarm, m, now);
    if (closed > 0) {
        log_event(&n->cfg.log, LOG_INFO, "node.moved", LOG_NUM("links", closed));
        n->news |= NODE_NEWS_SELF;
    }
}

qudag_err node_links_init(struct node *n)
{
    static const struct core_ops ops = {.chooses = true, .event = event};
    struct node_core core = {.name = "links", .instance = n, .ops = &ops};

    return node_core_add(n, &core, NULL, &n->ix.links);
}
