/*
 * arrow_autonat.c - others dial this node back, so that it knows whether they can; and it dials them.
 *
 *   core/reach ─ addresses to be tried ─▶ autonat ─▶ linked peers that dial back ─ yes, no ─▶ core/reach
 *   peers ─ requests ─▶ autonat ─ orders ─▶ dialback.c ─ outcome ─▶ autonat ─▶ peers
 */
#include "node/internal.h"

#include <string.h>

#define LOOK_AGAIN (10 * NS_PER_S) /* for a server, where there was none; doubled each time ... */
#define LOOK_MAX (160 * NS_PER_S)  /* ... up to */
#define PAUSE (2 * NS_PER_S)       /* between two questions */
#define AVOID                                                                                      \
    (20 * 60 * NS_PER_S) /* a peer that did not do its part is not asked again for so long */

/* ---- whom to ask ---- */

static bool is_avoided(const struct node *n, const struct peer_id *peer,
                       const struct multiaddr *addr)
{
    for (size_t i = 0; i < NODE_AUTONAT_AVOID; i++) {
        const struct node_autonat_avoid *a = &n->autonat->avoid[i];
        if (a->until > n->now && peer_id_eq(&a->peer, peer) &&
            (a->addr.len == 0 || multiaddr_eq(&a->addr, addr))) {
            return true;
        }
    }
    return false;
}

/* |peer| is not asked for a while, about |addr| (NULL: about any). */
static void avoid(struct node *n, const struct peer_id *peer, const struct multiaddr *addr)
{
    struct node_autonat *a = n->autonat;

    a->avoid[a->avoid_at] =
        (struct node_autonat_avoid){.peer = *peer, .until = tstamp_after(n->now, AVOID)};
    if (addr != NULL) {
        a->avoid[a->avoid_at].addr = *addr;
    }
    a->avoid_at = (a->avoid_at + 1) % NODE_AUTONAT_AVOID;
}

bool node_rule_autonat_server(const struct link_info *link, const struct multiaddr *addr, bool same,
                              bool lab)
{
    struct netaddr from, at;

    return (link->props & (LINK_ANON | LINK_RELAYED)) == 0 && reach_rule_addr(&link->remote, lab) &&
           multiaddr_direct(&link->remote, &from) && multiaddr_direct(addr, &at) &&
           ((link->props & LINK_QUDAG) == 0 || multiaddr_to_netaddr(addr, &at)) &&
           (!same || from.family == at.family);
}

/* A linked peer that dials back, of a network that said nothing of |addr| lately; |same|: over that IP version. */
static bool find_server(struct node *n, const struct multiaddr *addr, bool same,
                        struct autonat_answer *out)
{
    struct swarm_look look;
    struct netaddr from;
    size_t seen = 0;

    for (size_t it = 0; swarm_link_next(n->swarm, &it, &look, n->now);) {
        const struct link_info *l = &look.info;
        if (look.state != SWARM_LINK_UP || l->peer.len == 0 ||
            !node_rule_autonat_server(l, addr, same, n->cfg.lab) || is_avoided(n, &l->peer, addr) ||
            !node_peer_dials_back(n, &l->peer) || !multiaddr_direct(&l->remote, &from) ||
            reach_has_said(&n->reach, addr, reach_network(&from, &l->peer, n->cfg.lab), n->now)) {
            continue;
        }
        seen++;
        if (rng_u64(&n->cfg.rng) % seen == 0) { /* each as likely as the others */
            *out = (struct autonat_answer){.peer = l->peer, .addr = *addr, .server = l->remote};
        }
    }
    return seen > 0;
}

static bool is_working(const struct node *n)
{
    return n->wants.probe && n->boot.started && !n->closing && n->ending.state == NODE_RUNS;
}

static void ask(struct node *n, tstamp now, struct acts *out)
{
    struct node_autonat *a = n->autonat;
    struct multiaddr due[REACH_ADDRS_MAX];
    struct autonat_answer about;
    size_t count = reach_to_check(&n->reach, due, REACH_ADDRS_MAX, now, &a->look_at);

    for (size_t i = 0; i < count; i++) {
        if (!find_server(n, &due[i], true, &about) && !find_server(n, &due[i], false, &about)) {
            continue;
        }
        if (autonat_ask(&a->client, &about, now, out) == QUDAG_OK) {
            uint64_t chance = rng_u64(&n->cfg.rng) % (5 * NS_PER_S);
            reach_asked(&n->reach, &due[i], tstamp_after(now, chance));
            a->pause = LOOK_AGAIN;
            a->look_at = TSTAMP_NEVER; /* its answer */
            a->asking = true;
            return;
        }
    }
    if (count > 0) {
        a->look_at = tstamp_min(a->look_at, tstamp_after(now, a->pause));
        a->pause = a->pause * 2 < LOOK_MAX ? a->pause * 2 : LOOK_MAX;
    }
}

static void answered(struct node *n, const struct act *up, tstamp now)
{
    const struct autonat_answer *about = up->ptr;
    struct node_autonat *a = n->autonat;
    struct reach_server by = {.addr = about->server, .peer = about->peer};

    a->asking = false;
    a->look_at = tstamp_after(now, PAUSE);
    log_event(&n->cfg.log, LOG_DEBUG, "autonat.answer",
              LOG_STR("word", about->word == AUTONAT_YES  ? "yes"
                              : about->word == AUTONAT_NO ? "no"
                                                          : "none"),
              LOG_ERR(up->err));
    if (about->word == AUTONAT_NOTHING) {
        avoid(n, &about->peer, up->err == QUDAG_EREFUSED ? &about->addr : NULL);
        return;
    }
    node_reach_changed(
        n, reach_answered(&n->reach, &about->addr, &by, about->word == AUTONAT_YES, now),
        "dial-back");
}

/* ---- those who ask us ---- */

static void step(struct node *n, tstamp now)
{
    enum autonat_dial how;
    uint64_t job;

    node_dialback_step(n, now);
    while (node_acts_room(&n->acts) && node_dialback_next(n, &job, &how)) {
        autonat_dialled(&n->autonat->server, job, how, node_begin(n));
        node_end(n, n->autonat->serve_ix);
    }
}

static void dial(struct node *n, const struct autonat_order *order, tstamp now)
{
    qudag_err err = node_dialback_begin(n, order, now);

    if (err != QUDAG_OK) {
        log_event(&n->cfg.log, LOG_INFO, "autonat.no_dial", LOG_ERR(err));
        autonat_dialled(&n->autonat->server, order->job, AUTONAT_DIAL_UNUSED, node_begin(n));
        node_end(n, n->autonat->serve_ix);
    }
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    if (a->kind == AUTONAT_UP_ANSWER) {
        answered(n, a, now);
    } else if (a->kind == AUTONAT_UP_DIAL) {
        dial(n, a->ptr, now);
    } else if (a->kind == AUTONAT_UP_CANCEL) {
        node_dialback_cancel(n, a->cookie, now);
    }
}

/* What the server is told of this node. */
static void tell_self(struct node *n)
{
    struct autonat_self self = {.serves = node_dials_back(n)};

    for (size_t i = 0; i < n->reach.n_bound + n->reach.n_announced; i++) {
        const struct multiaddr *m =
            i < n->reach.n_bound ? &n->reach.bound[i] : &n->reach.announced[i - n->reach.n_bound];
        struct netaddr a;
        if (!multiaddr_direct(m, &a)) {
            continue;
        }
        if (i < n->reach.n_bound && multiaddr_to_netaddr(m, &a)) {
            self.ip4 = self.ip4 || a.family == 4;
            self.ip6 = self.ip6 || a.family == 6;
        }
        if (self.n_own < AUTONAT_OWN_MAX) {
            self.own[self.n_own++] = a;
        }
    }
    autonat_server_set(&n->autonat->server, &self);
}

/* The link that |ev| came over: direct, and from that network; of several the first. */
static bool link_of(const struct node *n, const struct ev *ev, struct link_info *out)
{
    for (size_t it = 0; ev->peer != NULL && swarm_peer_link_next(n->swarm, ev->peer, &it, out);) {
        if ((out->props & (LINK_RELAYED | LINK_ANON)) == 0 && out->net == ev->net) {
            return true;
        }
    }
    return false;
}

/* ---- the cores ---- */

static void ask_event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    autonat_ask_ops.event(&((struct node *)node)->autonat->client, ev, now, out);
}

static void ask_tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_autonat *a = n->autonat;

    if (autonat_ask_ops.deadline(&a->client) <= now) {
        autonat_ask_ops.tick(&a->client, now, out);
    }
    if (is_working(n) && !a->asking && a->look_at <= now) {
        ask(n, now, out);
    }
}

static tstamp ask_deadline(const void *node)
{
    const struct node *n = node;
    tstamp at = autonat_ask_ops.deadline(&n->autonat->client);

    return is_working(n) && !n->autonat->asking ? tstamp_min(at, n->autonat->look_at) : at;
}

static const char *open_proto(struct node *n, const struct act *open)
{
    (void)n;
    (void)open;
    return AUTONAT_REQUEST_PROTOCOL;
}

static void back_event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct link_info link;

    autonat_back_ops.event(&n->autonat->client, ev, now, out);
    if (ev->type == EV_STREAM_OPEN && link_of(n, ev, &link)) {
        autonat_back_link(&n->autonat->client, ev->strm, &link);
    }
}

static void back_tick(void *node, tstamp now, struct acts *out)
{
    autonat_back_ops.tick(&((struct node *)node)->autonat->client, now, out);
}

static tstamp back_deadline(const void *node)
{
    return autonat_back_ops.deadline(&((const struct node *)node)->autonat->client);
}

static void serve_event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct link_info link;

    if (ev->type == EV_STREAM_OPEN) {
        tell_self(n);
    }
    autonat_serve_ops.event(&n->autonat->server, ev, now, out);
    if (ev->type == EV_STREAM_OPEN && link_of(n, ev, &link)) {
        autonat_server_from(&n->autonat->server, ev->strm, &link.remote);
    }
}

static void serve_tick(void *node, tstamp now, struct acts *out)
{
    autonat_serve_ops.tick(&((struct node *)node)->autonat->server, now, out);
}

static tstamp serve_deadline(const void *node)
{
    return autonat_serve_ops.deadline(&((const struct node *)node)->autonat->server);
}

static void dial_tick(void *node, tstamp now, struct acts *out)
{
    (void)out;
    step(node, now);
}

static tstamp dial_deadline(const void *node)
{
    return node_dialback_deadline(node);
}

bool node_autonat_recv(struct node *n, const struct quic_dgram *d, tstamp now)
{
    if (!node_dialback_recv(n, d, now)) {
        return false;
    }
    step(n, now);
    return true;
}

void node_autonat_moved(struct node *n, tstamp now)
{
    struct node_autonat *a = n->autonat;

    if (a != NULL) {
        memset(a->avoid, 0, sizeof(a->avoid));
        a->avoid_at = 0;
        a->pause = LOOK_AGAIN;
        a->look_at = a->asking ? a->look_at : now;
    }
}

qudag_err node_autonat_init(struct node *n)
{
    static const struct core_ops ask_ops = {.direct_only = true,
                                            .outbound_max = 1,
                                            .event = ask_event,
                                            .tick = ask_tick,
                                            .deadline = ask_deadline};
    static const struct core_ops back_ops = {.direct_only = true,
                                             .inbound_max = 2,
                                             .event = back_event,
                                             .tick = back_tick,
                                             .deadline = back_deadline};
    static const struct core_ops serve_ops = {.direct_only = true,
                                              .inbound_max = 2,
                                              .event = serve_event,
                                              .tick = serve_tick,
                                              .deadline = serve_deadline};
    static const struct core_ops dial_ops = {.tick = dial_tick, .deadline = dial_deadline};
    struct node_core client = {.name = "autonat",
                               .instance = n,
                               .ops = &ask_ops,
                               .report = report,
                               .open_proto = open_proto};
    struct node_core back = {.name = "autonat_back", .instance = n, .ops = &back_ops};
    struct node_core serve = {
        .name = "autonat_server", .instance = n, .ops = &serve_ops, .report = report};
    struct node_core dials = {.name = "dialback", .instance = n, .ops = &dial_ops};
    unsigned ix;
    qudag_err err;

    n->autonat = mem_alloc(n->mem, sizeof(*n->autonat));
    if (n->autonat == NULL) {
        return QUDAG_ENOMEM;
    }
    n->autonat->pause = LOOK_AGAIN;
    autonat_client_init(&n->autonat->client, &n->cfg.rng);
    autonat_server_init(&n->autonat->server, &n->cfg.rng, n->cfg.lab);
    if ((err = node_core_add(n, &client, NULL, &ix)) != QUDAG_OK ||
        (err = node_core_add(n, &back, AUTONAT_BACK_PROTOCOL, &ix)) != QUDAG_OK ||
        (err = node_core_add(n, &serve, AUTONAT_REQUEST_PROTOCOL, &n->autonat->serve_ix)) !=
            QUDAG_OK) {
        return err;
    }
    return node_core_add(n, &dials, NULL, &ix);
}

void node_autonat_free(struct node *n)
{
    node_dialback_free(n);
    mem_free(n->mem, n->autonat);
    n->autonat = NULL;
}
