/*
 * arrow_padding_links.c - links to the first relays of our circuits are padded against records of flows.
 *
 *   a circuit is built, and stands ─▶ its first relay is in use ─▶ swarm ─▶ the link is padded, for so long
 *                                                           └─▶ a stream on which nothing is said
 *
 * The stream (ping, which a peer keeps open) is there so that neither side closes the link as one that nobody needs.
 * How often and how long: node_rule_link_padding().  SPEC: link 6.
 */
#include "node/internal.h"

#define LOOK_EVERY (10 * NS_PER_S)
#define OPEN_AGAIN                                                                                 \
    (120 * NS_PER_S) /* a peer may refuse the stream, or end it; a link without any is kept 300 s */

static struct node_padded *find(struct node *n, const struct peer_id *peer)
{
    for (size_t i = 0; i < NODE_PADDED_MAX; i++) {
        struct node_padded *p = &n->padded_links.v[i];
        if (p->peer.len > 0 && peer_id_eq(&p->peer, peer)) {
            return p;
        }
    }
    return NULL;
}

static void let_go(struct node *n, struct node_padded *p, struct acts *out)
{
    static const struct transport_padding none;

    swarm_pad(n->swarm, &p->peer, &none, n->now);
    if (!ref_none(p->strm)) {
        acts_reset(out, p->strm, QUDAG_ECANCELED);
    }
    *p = (struct node_padded){.peer = {.len = 0}}; /* a stream that opens yet is reset */
}

/* A place for one more: a free one, or that of the one whose last circuit is oldest. */
static struct node_padded *place(struct node *n, struct acts *out)
{
    struct node_padded *pick = &n->padded_links.v[0];

    for (size_t i = 0; i < NODE_PADDED_MAX; i++) {
        struct node_padded *p = &n->padded_links.v[i];
        if (p->peer.len == 0) {
            return p;
        }
        pick = p->used < pick->used ? p : pick;
    }
    let_go(n, pick, out);
    return pick;
}

static bool is_relay(const struct node *n)
{
    return n->cfg.relay && reach_for_cells(&n->reach, NULL, 1) > 0;
}

static void pad(struct node *n, struct node_padded *p, struct acts *out)
{
    struct transport_padding how =
        node_rule_link_padding(n->cfg.padding, is_relay(n), p->used, p->keep_ns);

    if (how.most_ns == 0 || how.until <= n->now) {
        let_go(n, p, out);
        return;
    }
    swarm_pad(n->swarm, &p->peer, &how, n->now);
    if (ref_none(p->strm) && p->cookie == 0 && n->now >= p->open_at) {
        p->cookie = ++n->padded_links.cookies;
        acts_open_again(out, &p->peer, p->cookie, 0);
    }
}

void node_padding_link(struct node *n, const struct node_circuit *c)
{
    const struct peer_id *first = &c->path[0].peer;

    if (n->cfg.padding == NODE_PADDING_NONE || is_relay(n) || n->closing) {
        return;
    }
    struct acts *out = node_begin(n);
    struct node_padded *p = find(n, first);
    if (p == NULL) {
        p = place(n, out);
        p->peer = *first;
        p->keep_ns = node_rule_padding_keep(n->cfg.padding, rng_u64(&n->cfg.rng));
    }
    p->used = n->now;
    pad(n, p, out);
    node_end(n, n->ix.padded_links);
    n->padded_links.look_at = tstamp_min(n->padded_links.look_at, tstamp_after(n->now, LOOK_EVERY));
}

static struct node_padded *by_strm(struct node *n, struct ref strm)
{
    for (size_t i = 0; i < NODE_PADDED_MAX; i++) {
        if (ref_eq(n->padded_links.v[i].strm, strm)) {
            return &n->padded_links.v[i];
        }
    }
    return NULL;
}

static void event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_padded *p;

    if (ev->type == EV_STREAM_OPEN || ev->type == EV_STREAM_FAIL) {
        p = find(n, ev->peer);
        p = p != NULL && p->cookie == ev->cookie ? p : NULL;
        if (p != NULL) {
            p->cookie = 0;
            p->open_at = tstamp_after(now, OPEN_AGAIN);
        }
        if (ev->type == EV_STREAM_OPEN && p != NULL) {
            p->strm = ev->strm;
        } else if (ev->type == EV_STREAM_OPEN) {
            acts_reset(out, ev->strm, QUDAG_ECANCELED);
        }
    } else if ((ev->type == EV_RESET || ev->type == EV_FIN || ev->type == EV_DATA) &&
               (p = by_strm(n, ev->strm)) != NULL) {
        p->strm = (struct ref){0, 0};
        p->open_at = tstamp_after(now, OPEN_AGAIN);
        if (ev->type != EV_RESET) {
            acts_reset(out, ev->strm, QUDAG_ECANCELED);
        }
    }
}

static const char *open_proto(struct node *n, const struct act *open)
{
    (void)n;
    (void)open;
    return ping_ops.protocol;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_padded_links *l = &n->padded_links;

    if (now < l->look_at) {
        return;
    }
    l->look_at = TSTAMP_NEVER;
    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        struct node_padded *p = c->open ? find(n, &c->path[0].peer) : NULL;
        if (p != NULL) {
            p->used = now;
        }
    }
    for (size_t i = 0; i < NODE_PADDED_MAX; i++) {
        if (l->v[i].peer.len > 0) {
            pad(n, &l->v[i], out);
            l->look_at = tstamp_after(now, LOOK_EVERY);
        }
    }
}

static tstamp deadline(const void *node)
{
    return ((const struct node *)node)->padded_links.look_at;
}

qudag_err node_padding_links_init(struct node *n)
{
    static const struct core_ops ops = {.event = event, .tick = tick, .deadline = deadline};
    struct node_core core = {
        .name = "padded links", .instance = n, .ops = &ops, .open_proto = open_proto};

    n->padded_links.look_at = TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &n->ix.padded_links);
}
