/*
 * arrow_dcutr.c - relayed links with peers that know DCUtR become direct ones.
 *
 *   a peer came through a relay ─ identify: it knows DCUtR, and no meeting; it may learn where we are ─▶ dcutr
 *   dcutr ─ where it shows itself: a stream over a direct link ─▶ swarm;  addresses ─ dials ─▶ swarm;  packets ─▶ host
 *   swarm ─ a direct link is up ─▶ dcutr
 */
#include "core/meet/meet.h"
#include "node/datagrams.h"
#include "node/internal.h"

#include <string.h>

#define DIAL (UINT64_C(1) << 63) /* cookies of dials; others are the core's, of streams */
#define PING "/ipfs/ping/1.0.0"  /* what the stream of a dial without help is for */

/* ---- what is known ---- */

static bool is_direct(const struct node *n, const struct peer_id *peer)
{
    struct link_info info;

    for (size_t it = 0; swarm_peer_link_next(n->swarm, peer, &it, &info);) {
        if ((info.props & LINK_RELAYED) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether |list|, names between spaces, has |name|. */
static bool has_name(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = strstr(list, name); at != NULL; at = strstr(at + 1, name)) {
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* The peer says where it can be dialled. */
static bool shows_itself(const struct node *n, const struct peer_id *peer)
{
    struct multiaddr a;

    for (size_t it = 0; swarm_addr_next(n->swarm, peer, &it, &a);) {
        if (dcutr_rule_addr(&a, n->cfg.lab)) {
            return true;
        }
    }
    return false;
}

static size_t add(struct multiaddr *v, size_t n, const struct multiaddr *a)
{
    for (size_t i = 0; i < n; i++) {
        if (multiaddr_eq(&v[i], a)) {
            return n;
        }
    }
    if (n < DCUTR_ADDRS_MAX) {
        v[n++] = *a;
    }
    return n;
}

/* Where we may be found: candidates of QUIC, then what others are told, TCP among it. */
static void tell_addrs(struct node *n)
{
    struct reach_addr found[DCUTR_ADDRS_MAX];
    struct multiaddr v[DCUTR_ADDRS_MAX], a;
    size_t count = 0, n_found = reach_candidates(&n->reach, found, DCUTR_ADDRS_MAX);

    for (size_t i = 0; i < n_found; i++) {
        if (dcutr_rule_addr(&found[i].addr, n->cfg.lab)) {
            count = add(v, count, &found[i].addr);
        }
    }
    for (size_t it = 0; node_announced_next(n, &it, &a);) {
        count = add(v, count, &a);
    }
    dcutr_set_addrs(n->direct.core, v, count);
}

bool node_dcutr_look(const struct node *n, const struct peer_id *peer, struct dcutr_look *out)
{
    return dcutr_look(n->direct.core, peer, out);
}

/* ---- dials ---- */

static void stop_dials(struct node *n, const struct peer_id *peer, tstamp now)
{
    for (size_t i = 0; i < DCUTR_PEERS_MAX; i++) {
        struct node_direct_dials *d = &n->direct.dials[i];
        if (d->peer.len == 0 || !peer_id_eq(&d->peer, peer)) {
            continue;
        }
        d->peer.len = 0;
        for (size_t k = 0; k < d->n; k++) {
            swarm_dial_stop(n->swarm, n->core[n->direct.ix].swarm_ix, d->first + k, now);
        }
    }
}

static struct node_direct_dials *free_dials(struct node *n)
{
    for (size_t i = 0; i < DCUTR_PEERS_MAX; i++) {
        if (n->direct.dials[i].peer.len == 0) {
            return &n->direct.dials[i];
        }
    }
    return NULL;
}

static void dial(struct node *n, const struct peer_id *peer, const struct dcutr_msg *to, tstamp now)
{
    stop_dials(n, peer, now);
    struct node_direct_dials *d = free_dials(n);

    if (d == NULL) {
        return; /* it is tried again */
    }
    *d = (struct node_direct_dials){.peer = *peer, .first = DIAL | n->direct.cookies};
    n->direct.cookies += DCUTR_ADDRS_MAX;
    for (; d->n < to->n_addrs; d->n++) {
        struct transport_target at = {.addr = &to->addr[d->n], .peer = peer};
        (void)!swarm_dial_out(n->swarm, n->core[n->direct.ix].swarm_ix, d->first + d->n, &at, now);
    }
}

/* ---- the core ---- */

static void report(struct node *n, const struct act *a, tstamp now)
{
    static const struct netaddr any;
    const struct dcutr_packet *p;

    switch ((enum dcutr_up)a->kind) {
    case DCUTR_UP_ASKED:
        tell_addrs(n);
        dcutr_allow(n->direct.core, &a->peer, node_may_meet(n, &a->peer), now, node_begin(n));
        node_end(n, n->direct.ix);
        break;
    case DCUTR_UP_REVERSE:
        (void)acts_open(node_begin(n), &a->peer, 0, 0);
        node_end(n, n->direct.reverse_ix);
        break;
    case DCUTR_UP_DIAL:
        dial(n, &a->peer, a->ptr, now);
        break;
    case DCUTR_UP_PACKET:
        p = a->ptr;
        (void)node_datagram(n, &any, &p->to, (struct slice){p->bytes, p->len});
        break;
    case DCUTR_UP_DONE:
        stop_dials(n, &a->peer, now);
        log_event(&n->cfg.log, LOG_INFO, "dcutr.done", LOG_ERR(a->err));
        break;
    }
}

static void forget(struct node *n, size_t i)
{
    n->direct.wait[i].peer.len = 0;
    n->direct.n_wait--;
}

/* A peer that came through a relay: is it to be linked directly?  True: that is settled. */
static bool consider(struct node *n, const struct peer_id *peer, tstamp now, struct acts *out)
{
    const char *agent, *protocols;
    uint8_t props;

    if (is_direct(n, peer) || !swarm_connected(n->swarm, peer, &props)) {
        return true;
    }
    if (!node_peer_agent(n, peer, &agent, &protocols)) {
        return false;
    }
    if (has_name(protocols, MEET_PROTOCOL) || !has_name(protocols, DCUTR_PROTOCOL)) {
        return true;
    }
    if (!node_may_meet(n, peer)) {
        return false; /* yet: a stream may come */
    }
    tell_addrs(n);
    (void)!dcutr_begin(n->direct.core, peer, shows_itself(n, peer), now, out);
    return true;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_direct *d = &n->direct;

    if (now >= d->look_at) {
        d->look_at = tstamp_after(now, NODE_DIRECT_LOOK_NS);
        for (size_t i = 0; i < NODE_DIRECT_WAIT; i++) {
            if (d->wait[i].peer.len > 0 &&
                (now >= d->wait[i].until || consider(n, &d->wait[i].peer, now, out))) {
                forget(n, i);
            }
        }
    }
    if (d->keepalive_at != 0 && now >= d->keepalive_at) {
        node_keepalive_review(n);
    }
    if (d->watch_at != 0 && now >= d->watch_at) {
        node_watch(n, now);
    }
    dcutr_ops.tick(d->core, now, out);
}

static tstamp deadline(const void *node)
{
    const struct node_direct *d = &((const struct node *)node)->direct;
    tstamp at = dcutr_ops.deadline(d->core);

    at = d->keepalive_at != 0 ? tstamp_min(at, d->keepalive_at) : at;
    at = d->watch_at != 0 ? tstamp_min(at, d->watch_at) : at;
    return d->n_wait > 0 ? tstamp_min(at, d->look_at) : at;
}

static void event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = node;

    if (ev->type == EV_STREAM_FAIL && (ev->cookie & DIAL) != 0) {
        return; /* a dial ended; a link that came of it is NODE_NEWS_PATHS */
    }
    dcutr_ops.event(n->direct.core, ev, now, out);
}

/* A stream that needs a direct link was opened, or could not be. */
static void reversed(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = node;

    if (ev->type == EV_STREAM_OPEN) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
    } else if (ev->type == EV_STREAM_FAIL) {
        dcutr_not_there(n->direct.core, ev->peer, now, out);
        node_end(n, n->direct.ix);
    }
}

static const char *ping_proto(struct node *n, const struct act *open)
{
    (void)n;
    (void)open;
    return PING;
}

/* ---- links ---- */

static void wait_for(struct node *n, const struct peer_id *peer, tstamp now)
{
    struct node_direct *d = &n->direct;
    size_t at = NODE_DIRECT_WAIT;

    for (size_t i = NODE_DIRECT_WAIT; i-- > 0;) {
        if (d->wait[i].peer.len == 0) {
            at = i;
        } else if (peer_id_eq(&d->wait[i].peer, peer)) {
            d->wait[i].until = tstamp_after(now, NODE_DIRECT_WAIT_NS);
            return;
        }
    }
    if (at == NODE_DIRECT_WAIT) {
        return; /* as many as relays bring: those that are there are settled soon */
    }
    d->wait[at].peer = *peer;
    d->wait[at].until = tstamp_after(now, NODE_DIRECT_WAIT_NS);
    d->n_wait++;
    d->look_at = now;
}

/* The link with a kept peer is held by a stream: not a relayed one for ever where a direct one is. */
static void hold_direct(struct node *n, tstamp now)
{
    struct swarm_stream_info info;

    for (size_t i = 0; i < KEEP_MAX; i++) {
        struct keep_peer *p = &n->keep.v[i];
        if (p->peer.len > 0 && p->state == KEEP_HELD &&
            swarm_stream_info(n->swarm, p->strm, &info) == QUDAG_OK &&
            (info.props & LINK_RELAYED) != 0 && is_direct(n, &p->peer)) {
            (void)keep_move(&n->keep, &p->peer, now, node_begin(n));
            node_end(n, n->ix.keep);
        }
    }
}

void node_direct_moved(struct node *n)
{
    dcutr_forget(n->direct.core);
    n->news |= NODE_NEWS_PATHS;
}

void node_direct_paths(struct node *n, tstamp now)
{
    struct node_direct *d = &n->direct;
    struct relay_links_stats st;
    struct swarm_look look;
    struct peer_id peer;

    for (size_t it = 0; dcutr_next(d->core, &it, &peer);) {
        if (is_direct(n, &peer)) {
            dcutr_linked(d->core, &peer, now, node_begin(n));
            node_end(n, d->ix);
            it = 0;
        }
    }
    relay_links_stats_get(n->through.links, &st);
    if (st.streams > 0) {
        hold_direct(n, now);
    }
    if (st.streams == 0 || n->cfg.meet == NODE_MEET_NO) {
        return;
    }
    const uint8_t came = LINK_RELAYED | LINK_INBOUND;
    for (size_t it = 0; swarm_link_next(n->swarm, &it, &look, now);) {
        if (look.state == SWARM_LINK_UP && (look.info.props & came) == came) {
            wait_for(n, &look.info.peer, now);
        }
    }
}

qudag_err node_direct_init(struct node *n)
{
    static const struct core_ops ops = {
        .inbound_max = 1, .limited_ok = true, .event = event, .tick = tick, .deadline = deadline};
    static const struct core_ops reverse_ops = {.direct_only = true, .event = reversed};
    struct node_core core = {.name = "dcutr", .instance = n, .ops = &ops, .report = report};
    struct node_core reverse = {
        .name = "reverse", .instance = n, .ops = &reverse_ops, .open_proto = ping_proto};
    struct dcutr_config cfg = {.mem = n->mem, .rng = n->cfg.rng, .lab = n->cfg.lab};
    const char *proto = n->cfg.meet != NODE_MEET_NO ? DCUTR_PROTOCOL : NULL;
    qudag_err err = dcutr_new(&n->direct.core, &cfg);

    if (err == QUDAG_OK) {
        err = node_core_add(n, &core, proto, &n->direct.ix);
    }
    return err != QUDAG_OK ? err : node_core_add(n, &reverse, NULL, &n->direct.reverse_ix);
}
