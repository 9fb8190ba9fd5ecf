/*
 * arrow_relay_links.c - links through circuit relays, and the places that relays keep for us.
 *
 *   swarm ─ dial ─▶ relay_links ─ CONNECT, OUTPUT, CLOSE ─▶ relayed ─ streams of the hop protocol ─▶ swarm
 *   relayed ─ opened, incoming, bytes, ended ─▶ relay_links ─ link events ─▶ swarm
 *   relayed ─ reserved, lost ─▶ identify: at which addresses we are through relays
 */
#include "node/internal.h"

#define PIECE 8192 /* bytes that are moved at once */

static void end(struct node *n)
{
    node_end(n, n->through.ix);
}

/* ---- what links want of relays ---- */

static void connect(struct node *n, const struct relay_links_action *a, tstamp now)
{
    struct relayed_info to = {.peer = a->peer};
    uint8_t first[CIRCUIT_EARLY_MAX];
    qudag_err err = multiaddr_peer(&a->relay, &to.relay) ? QUDAG_OK : QUDAG_EINVAL;

    if (err == QUDAG_OK) {
        struct multiaddr twin;
        swarm_addr_add(n->swarm, &to.relay, &a->relay);
        if (n->tcp != NULL && node_rule_tcp_twin(&a->relay, &twin)) {
            swarm_addr_add(n->swarm, &to.relay, &twin); /* behind it: datagrams may be blocked */
        }
        size_t len = relay_links_first(n->through.links, a->id, first, sizeof(first), now);
        err = relayed_connect(n->through.user, &to, (struct slice){first, len}, a->id, now,
                              node_begin(n));
        end(n);
    }
    if (err != QUDAG_OK) {
        relay_links_failed(n->through.links, a->id, err, now);
    }
}

/* As much as there is room for; the rest when there is room again. */
static void output(struct node *n, uint64_t stream, tstamp now)
{
    struct ref name = ref_from_u64(stream);
    uint8_t piece[PIECE];

    for (;;) {
        size_t room = relayed_room(n->through.user, name);
        if (room == 0) {
            return; /* RELAYED_UP_ROOM follows */
        }
        if (!node_acts_room(&n->acts)) {
            relay_links_room(n->through.links, stream);
            return;
        }
        size_t len = relay_links_output(n->through.links, stream, piece,
                                        room < sizeof(piece) ? room : sizeof(piece), now);
        if (len == 0) {
            return;
        }
        (void)!relayed_write(n->through.user, name, (struct slice){piece, len}, node_begin(n));
        end(n);
    }
}

static void carry_out(struct node *n, const struct relay_links_action *a, tstamp now)
{
    struct ref name = ref_from_u64(a->stream);

    switch (a->type) {
    case RELAY_LINKS_CONNECT:
        connect(n, a, now);
        break;
    case RELAY_LINKS_GIVE_UP:
        (void)relayed_cancel(n->through.user, a->id, node_begin(n));
        end(n);
        break;
    case RELAY_LINKS_OUTPUT:
        output(n, a->stream, now);
        break;
    case RELAY_LINKS_CLOSE:
    case RELAY_LINKS_ABORT:
        relayed_close(n->through.user, name,
                      a->type == RELAY_LINKS_CLOSE ? QUDAG_OK : QUDAG_ECANCELED, now,
                      node_begin(n));
        end(n);
        break;
    }
}

bool node_relay_links_step(struct node *n, tstamp now)
{
    struct relay_links_action a;
    struct link_ev ev;
    bool any = false;

    while (node_acts_room(&n->acts) && relay_links_next_action(n->through.links, &a, now)) {
        carry_out(n, &a, now);
        any = true;
    }
    if (any || !relay_links_next_event(n->through.links, &ev)) {
        return any;
    }
    swarm_link_event(n->swarm, n->through.tp, &ev, now);
    n->news |= ev.type == LINK_PROVEN ? NODE_NEWS_PATHS : 0; /* a meeting begins as early as that */
    return true;
}

void node_relay_links_shutdown(struct node *n, tstamp now)
{
    relay_links_shutdown(n->through.links, now);
    for (unsigned i = 0; i < RELAYED_STREAMS_MAX && node_relay_links_step(n, now); i++) {
        node_cores_act(n, now);
    }
}

/* ---- what relays bring ---- */

/* Where |relay| is; |dialled|: where it listens, as we have dialled it there. */
static struct multiaddr relay_at(const struct node *n, const struct peer_id *relay, bool dialled)
{
    struct link_info info;

    for (size_t it = 0; swarm_peer_link_next(n->swarm, relay, &it, &info);) {
        struct multiaddr a = info.remote;
        if ((info.props & (LINK_RELAYED | (dialled ? LINK_INBOUND : 0))) == 0 && a.len > 0 &&
            multiaddr_add_peer(&a, relay)) {
            return a;
        }
    }
    return (struct multiaddr){.len = 0};
}

static bool is_limited(const struct relayed_info *i)
{
    return i->limit.data != 0 || i->limit.duration_s != 0;
}

static void stream_came(struct node *n, const struct act *a, tstamp now)
{
    const struct relayed_info *info = a->ptr;
    struct relay_links_stream s = {
        .stream = ref_to_u64(a->obj), .limited = is_limited(info), .net = info->net};
    qudag_err err = QUDAG_ECANCELED;

    if (a->kind == RELAYED_UP_INCOMING) {
        s.relay = relay_at(n, &info->relay, false);
        err = relay_links_accepted(n->through.links, &s, now);
    } else if (relay_links_connected(n->through.links, a->cookie, &s)) {
        err = QUDAG_OK;
    }
    if (err != QUDAG_OK) {
        relayed_close(n->through.user, a->obj, err, now, node_begin(n));
        end(n);
    }
}

/* The addresses at which relays keep places for us; of each relay the first. */
static void own_addrs(struct node *n)
{
    const struct relayed_place *p;

    n->through.n_addrs = 0;
    for (size_t it = 0; (p = relayed_place_next(n->through.user, &it)) != NULL;) {
        bool room = n->through.n_addrs < NODE_RELAYED_ADDRS;
        if (p->held && p->n_addrs > 0 && room &&
            multiaddr_circuit(&n->through.addr[n->through.n_addrs], &p->addr[0])) {
            n->through.n_addrs++;
        }
    }
    n->news |= NODE_NEWS_SELF;
}

/* What autorelay learns of a place, whoever wanted it. */
static void tell(struct node *n, const struct act *a, tstamp now)
{
    struct acts *out = node_begin(n);

    if (a->kind == RELAYED_UP_RESERVED) {
        const struct relayed_place *p = a->ptr;
        autorelay_held(&n->autorelay, &a->peer, &p->limit, now, out);
    } else if (a->kind == RELAYED_UP_LOST) {
        autorelay_lost(&n->autorelay, &a->peer, now, out);
    } else {
        autorelay_refused(&n->autorelay, &a->peer, a->n != 0, now, out);
    }
    node_end(n, n->through.auto_ix);
}

static void place_changed(struct node *n, const struct act *a)
{
    bool held = a->kind == RELAYED_UP_RESERVED;

    log_event(&n->cfg.log, held ? LOG_INFO : LOG_WARN,
              held ? "relay.place_reserved" : "relay.place_lost", LOG_ERR(a->err));
    if (held) { /* go-libp2p names its public addresses only, perhaps none */
        struct multiaddr at = relay_at(n, &a->peer, true);
        relayed_found_at(n->through.user, &a->peer, &at);
    }
    own_addrs(n);
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    uint64_t stream = ref_to_u64(a->obj);

    switch ((enum relayed_up)a->kind) {
    case RELAYED_UP_RESERVED:
    case RELAYED_UP_LOST:
        place_changed(n, a);
        tell(n, a, now);
        break;
    case RELAYED_UP_REFUSED:
        log_event(&n->cfg.log, LOG_DEBUG, "relay.place_refused", LOG_ERR(a->err));
        tell(n, a, now);
        break;
    case RELAYED_UP_OPENED:
    case RELAYED_UP_INCOMING:
        stream_came(n, a, now);
        break;
    case RELAYED_UP_FAILED:
        relay_links_failed(n->through.links, a->cookie, a->err, now);
        break;
    case RELAYED_UP_DATA:
        relay_links_received(n->through.links, stream, a->data, now);
        break;
    case RELAYED_UP_ROOM:
        relay_links_room(n->through.links, stream);
        break;
    case RELAYED_UP_ENDED:
        autorelay_circuit(&n->autorelay, &a->peer, a->n != 0);
        relay_links_ended(n->through.links, stream, a->err, now);
        break;
    }
}

/* ---- places ---- */

/* The stop protocol is served, and named in identify, once somebody may come that way. */
static qudag_err serve(struct node *n)
{
    if (n->through.served) {
        return QUDAG_OK;
    }
    qudag_err err =
        swarm_proto_add(n->swarm, CIRCUIT_STOP_PROTOCOL, n->core[n->through.ix].swarm_ix, false);
    n->through.served = err == QUDAG_OK;
    return err;
}

qudag_err node_place_take(struct node *n, const struct node_keep_wish *w)
{
    qudag_err err = serve(n);
    bool kept = node_kept_find(n, &w->peer) != NULL;

    if (err == QUDAG_OK) {
        err = relayed_reserve(n->through.user, &w->peer, n->now);
    }
    if (err == QUDAG_OK &&
        (err = node_keep_begin(n, w)) != QUDAG_OK) { /* as long as the place: not on disk */
        (void)relayed_release(n->through.user, &w->peer);
    }
    if (err == QUDAG_OK && !kept) {
        node_kept_find(n, &w->peer)->place = true;
    }
    n->news |= NODE_NEWS_SELF;
    return err;
}

void node_place_drop(struct node *n, const struct peer_id *relay)
{
    const struct node_kept *p = node_kept_find(n, relay);

    (void)relayed_release(n->through.user, relay);
    own_addrs(n);
    if (p != NULL && p->place && !p->saved) { /* else it is kept for its own sake */
        (void)!node_release(n, relay);
    }
}

qudag_err node_reserve(struct node *n, const struct node_keep_wish *w)
{
    qudag_err err = node_place_take(n, w);

    if (err == QUDAG_OK) {
        autorelay_fix(&n->autorelay, &w->peer, 0, true, n->now);
    }
    return err;
}

qudag_err node_unreserve(struct node *n, const struct peer_id *relay)
{
    const struct relayed_place *p;
    bool wanted = false;

    for (size_t it = 0; (p = relayed_place_next(n->through.user, &it)) != NULL;) {
        wanted = wanted || peer_id_eq(&p->relay, relay);
    }
    if (!wanted) {
        return QUDAG_ENOTFOUND;
    }
    autorelay_fix(&n->autorelay, relay, 0, false, n->now);
    node_place_drop(n, relay);
    return QUDAG_OK;
}

const struct relayed_place *node_place_next(const struct node *n, size_t *it)
{
    return relayed_place_next(n->through.user, it);
}

void node_relay_stats_get(const struct node *n, struct node_relay_stats *out)
{
    *out = (struct node_relay_stats){.hop = {0}};
    if (n->hop != NULL) {
        hop_stats_get(n->hop, &out->hop);
    }
    relayed_stats_get(n->through.user, &out->user);
    relay_links_stats_get(n->through.links, &out->links);
    autorelay_stats_get(&n->autorelay, &out->found);
}

/* ---- the core ---- */

static void event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    relayed_ops.event(((struct node *)node)->through.user, ev, now, out);
}

static bool is_working(const struct node *n)
{
    return n->boot.started && !n->closing && n->ending.state == NODE_RUNS;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;

    if (is_working(n)) {
        relayed_ops.tick(n->through.user, now, out);
    }
    if (relay_links_deadline(n->through.links) <= now) {
        relay_links_tick(n->through.links, now);
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;
    tstamp at = relay_links_deadline(n->through.links);

    return is_working(n) ? tstamp_min(at, relayed_ops.deadline(n->through.user)) : at;
}

static const char *open_proto(struct node *n, const struct act *open)
{
    (void)n;
    (void)open;
    return CIRCUIT_HOP_PROTOCOL;
}

qudag_err node_relay_links_make(struct node *n, const struct upgrade_config *as, tstamp now)
{
    struct relayed_config user = {.mem = n->mem, .rng = n->cfg.rng, .clock = &n->cfg.clock};
    qudag_err err;

    peer_id_from_ed25519(&user.self, n->cfg.identity->ed_pk);
    if ((err = relayed_new(&n->through.user, &user)) != QUDAG_OK ||
        (err = relay_links_new(&n->through.links, as, now)) != QUDAG_OK) {
        return err;
    }
    return swarm_transport_add(n->swarm, &relay_links_transport, n->through.links, &n->through.tp);
}

qudag_err node_relay_links_init(struct node *n)
{
    static const struct core_ops ops = {
        .inbound_max = RELAYED_STREAMS_RELAY, .event = event, .tick = tick, .deadline = deadline};
    struct node_core core = {
        .name = "relayed", .instance = n, .ops = &ops, .report = report, .open_proto = open_proto};

    qudag_err err = node_core_add(n, &core, NULL, &n->through.ix);
    for (size_t i = 0; err == QUDAG_OK && i < n->cfg.circuit_relay.n_reserve; i++) {
        qudag_err one = node_reserve(n, &n->cfg.circuit_relay.reserve[i]);
        err = one == QUDAG_EINVAL ? QUDAG_OK : one; /* one list for all machines names this one */
    }
    return err;
}

void node_relay_links_free(struct node *n)
{
    relay_links_free(n->through.links);
    relayed_free(n->through.user);
}
