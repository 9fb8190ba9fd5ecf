/*
 * arrow_meet.c - relayed links with QuDAG nodes become direct ones.
 *
 *   a relayed link that we dialled ─ is the peer one of whom the program speaks? ─▶ meet
 *   meet ─ may it know where we are? ─▶ meets.c;  our addresses, our router ◀─ reach
 *   meet ─ packets, sockets ─▶ datagrams;  their addresses outside ◀─ stun;  a pair that works ─ dial ─▶ swarm
 *   datagrams: STUN with the name of a meeting ─▶ meet;  swarm: a direct link is up ─▶ meet
 */
#include "node/datagrams.h"
#include "node/internal.h"
#include "node/stun.h"

#define DIAL (UINT64_C(1) << 63) /* cookies of dials; others are the core's, of streams */

/* ---- what is known ---- */

bool node_meet_look(const struct node *n, const struct peer_id *peer, struct meet_look *out)
{
    return n->meeting.core != NULL && meet_look(n->meeting.core, peer, out);
}

const struct meet_stats *node_meet_stats(const struct node *n)
{
    return n->meeting.core == NULL ? NULL : meet_statistics(n->meeting.core);
}

static void end(struct node *n)
{
    node_end(n, n->meeting.ix);
}

/* A path that was found and has died is looked for again before its link has ended. */
static bool is_direct(const struct node *n, const struct peer_id *peer)
{
    return swarm_is_direct(n->swarm, peer, NODE_MEETING_QUIET_NS, n->now);
}

/* It is direct, and may soon be so no more. */
static bool is_doubtful(const struct node *n, const struct peer_id *peer)
{
    return is_direct(n, peer) && !swarm_is_direct(n->swarm, peer, 0, n->now);
}

static enum meet_kind kind_of(enum reach_source source)
{
    return source == REACH_BOUND      ? MEET_HOST
           : source == REACH_OBSERVED ? MEET_OBSERVED
                                      : MEET_MAPPED;
}

/* Two who see the socket that is listened on at two ports of one address: a port for each destination. */
static enum meet_nat nat_as_observed(const struct reach *r)
{
    struct netaddr first = {.family = 0}, at;
    enum meet_nat nat = MEET_NAT_UNKNOWN;

    for (size_t k = 0; k < REACH_KINDS; k++) {
        for (size_t i = 0; i < REACH_VOICES && r->seen[k][i].net != 0; i++) {
            if (!multiaddr_to_netaddr(&r->seen[k][i].addr, &at) || at.family != 4) {
                continue;
            }
            if (first.family == 0) {
                first = at;
            } else if (netaddr_same_ip(&first, &at)) {
                bool same = first.port == at.port && nat != MEET_NAT_DEPENDENT;
                nat = same ? MEET_NAT_INDEPENDENT : MEET_NAT_DEPENDENT;
            }
        }
    }
    return nat;
}

static enum meet_nat nat_of(const struct reach *r)
{
    switch (r->view.ip4.mapping) {
    case REACH_NAT_DEPENDENT:
        return MEET_NAT_DEPENDENT;
    case REACH_NAT_NONE:
    case REACH_NAT_INDEPENDENT:
        return MEET_NAT_INDEPENDENT;
    default:
        return nat_as_observed(r);
    }
}

/* The round trip to the relay that the relayed link with |peer| goes through, a dial or not; 0: not known. */
static uint64_t rtt_to_relay(const struct node *n, const struct peer_id *peer)
{
    struct swarm_look look;
    struct multiaddr relay;
    struct link_info info;
    struct peer_id id;

    for (size_t it = 0; swarm_link_next(n->swarm, &it, &look, n->now);) {
        if ((look.info.props & LINK_RELAYED) == 0 || !peer_id_eq(&look.info.peer, peer) ||
            !multiaddr_through(&look.info.remote, &relay) || !multiaddr_peer(&relay, &id)) {
            continue;
        }
        for (size_t k = 0; swarm_peer_link_next(n->swarm, &id, &k, &info);) {
            if ((info.props & LINK_RELAYED) == 0 && info.rtt_ns != 0) {
                return info.rtt_ns;
            }
        }
    }
    return 0;
}

/* What this side has; the candidates lie in |v|, of MEET_CANDIDATES_MAX. */
static struct meet_own own_of(const struct node *n, const struct peer_id *peer,
                              struct meet_candidate *v)
{
    const struct reach_family *ip4 = &n->reach.view.ip4;
    struct reach_addr known[MEET_CANDIDATES_MAX];
    size_t n_known = reach_candidates(&n->reach, known, MEET_CANDIDATES_MAX);
    struct meet_own own = {
        .v = v, .nat = nat_of(&n->reach), .lab = n->cfg.lab, .named = node_meets_named(n, peer)};

    own.rtt = rtt_to_relay(n, peer);
    own.step = ip4->step >= INT16_MIN && ip4->step <= INT16_MAX ? (int16_t)ip4->step : 0;
    for (size_t i = 0; i < n_known; i++) {
        struct meet_candidate *c = &v[own.n];
        if (multiaddr_to_netaddr(&known[i].addr, &c->addr) && c->addr.scope == 0) {
            c->kind = kind_of(known[i].source);
            c->set = 0;
            own.ip4 = own.ip4 || c->addr.family == 4;
            own.ip6 = own.ip6 || c->addr.family == 6;
            own.n++;
        }
    }
    return own;
}

/* ---- who is met ---- */

/* A relayed link that we dialled and that is heard, to a QuDAG node; LINK_QUDAG is there from LINK_PROVEN on. */
static bool is_ours(const struct swarm_look *look)
{
    bool stands = look->state == SWARM_LINK_UP || look->state == SWARM_LINK_HANDSHAKING;

    return stands && !look->quiet && (look->info.props & LINK_RELAYED) != 0 &&
           (look->info.props & LINK_INBOUND) == 0 && (look->info.props & LINK_QUDAG) != 0;
}

static void begin(struct node *n, const struct peer_id *peer, tstamp now)
{
    struct meet_candidate v[MEET_CANDIDATES_MAX];

    if (is_direct(n, peer) || !node_may_meet(n, peer) || !meet_may(n->meeting.core, peer, now)) {
        return;
    }
    struct meet_own own = own_of(n, peer, v);
    qudag_err err = meet_begin(n->meeting.core, peer, &own, now, node_begin(n));
    end(n);
    if (err == QUDAG_OK) {
        log_event(&n->cfg.log, LOG_INFO, "nat.meeting_begun", LOG_NUM("candidates", own.n));
    }
}

/* Whoever is met, or could be. */
static void look_around(struct node *n, tstamp now)
{
    struct relay_links_stats st;
    struct swarm_look look;
    struct peer_id peer;

    for (size_t it = 0; meet_next(n->meeting.core, &it, &peer);) {
        if (is_direct(n, &peer)) {
            meet_direct(n->meeting.core, &peer, now, node_begin(n));
            end(n);
        }
    }
    n->meeting.look_at = TSTAMP_NEVER;
    relay_links_stats_get(n->through.links, &st);
    for (size_t it = 0; st.streams > 0 && swarm_link_next(n->swarm, &it, &look, now);) {
        if (is_ours(&look)) {
            bool soon = is_doubtful(n, &look.info.peer);
            tstamp at = tstamp_after(now, soon ? NODE_MEETING_QUIET_NS : NODE_MEETING_AGAIN_NS);
            n->meeting.look_at = tstamp_min(n->meeting.look_at, at);
            begin(n, &look.info.peer, now);
        }
    }
}

/* True: it is settled. */
static bool answer(struct node *n, const struct peer_id *peer, bool late, tstamp now)
{
    struct meet_candidate v[MEET_CANDIDATES_MAX];

    if (node_may_meet(n, peer)) {
        struct meet_own own = own_of(n, peer, v);
        meet_allow(n->meeting.core, peer, &own, now, node_begin(n));
        end(n);
        return true;
    }
    if (late) {
        meet_refuse(n->meeting.core, peer, MEET_END_REFUSED, now, node_begin(n));
        end(n);
    }
    return late;
}

/* Whether |peer| asked and its meeting is there still. */
static bool waits(const struct node *n, const struct peer_id *peer)
{
    struct meet_look look;

    return peer->len > 0 && meet_look(n->meeting.core, peer, &look) && !look.initiator &&
           look.state == MEET_ASKING;
}

/* A peer asks; its stream to the program may come a moment later. */
static void asked(struct node *n, const struct peer_id *peer, tstamp now)
{
    struct node_meeting *m = &n->meeting;
    size_t at = 0;

    while (at < NODE_MEETING_ASKED && waits(n, &m->asked[at].peer)) {
        at++;
    }
    if (!answer(n, peer, at == NODE_MEETING_ASKED, now) && at < NODE_MEETING_ASKED) {
        m->asked[at].peer = *peer;
        m->asked[at].until = tstamp_after(now, NODE_MEETING_ASKED_NS);
        m->look_at = tstamp_min(m->look_at, tstamp_after(now, NODE_MEETING_LOOK_NS));
    }
}

/* Those who asked and wait. */
static void asked_again(struct node *n, tstamp now)
{
    struct node_meeting *m = &n->meeting;

    for (size_t i = 0; i < NODE_MEETING_ASKED; i++) {
        struct peer_id peer = m->asked[i].peer;
        if (peer.len > 0 && answer(n, &peer, now >= m->asked[i].until, now)) {
            m->asked[i].peer.len = 0;
        } else if (peer.len > 0) {
            m->look_at = tstamp_min(m->look_at, tstamp_after(now, NODE_MEETING_LOOK_NS));
        }
    }
}

void node_meet_stream_in(struct node *n)
{
    for (size_t i = 0; i < NODE_MEETING_ASKED; i++) {
        n->news |= n->meeting.asked[i].peer.len > 0 ? NODE_NEWS_PATHS : 0;
    }
}

void node_meet_paths(struct node *n, tstamp now)
{
    if (n->meeting.core != NULL && !n->closing) {
        look_around(n, now);
        asked_again(n, now);
    }
}

void node_meet_moved(struct node *n)
{
    if (n->meeting.core != NULL) {
        meet_network_changed(n->meeting.core);
        n->meeting.look_at = n->now;
    }
}

/* ---- sockets ---- */

static void sock_external(struct node *n, uint64_t cookie, qudag_err err,
                          const struct netaddr *external, tstamp now)
{
    struct meet_pair at = {.remote = {.family = 0}};

    for (size_t i = 0; i < NODE_MEETING_SOCKS; i++) {
        struct node_meeting_sock *s = &n->meeting.sock[i];
        if (s->local.family == 0 || s->cookie != cookie) {
            continue;
        }
        at.local = s->local;
        if (err == QUDAG_OK) {
            at.remote = *external;
        }
        s->local.family = 0;
        err = err == QUDAG_ETIMEOUT ? err : QUDAG_OK; /* open it is */
        meet_socket(n->meeting.core, cookie, err, &at, now, node_begin(n));
        end(n);
        return;
    }
}

static void sock_wanted(struct node *n, const struct act *a, tstamp now)
{
    struct meet_pair at = {.remote = {.family = 0}};
    struct meet_look look;
    uint8_t family = 6;

    size_t n_ours = meet_look(n->meeting.core, &a->peer, &look) ? look.n_ours : 0;
    for (size_t i = 0; i < n_ours; i++) {
        family = look.ours[i].addr.family == 4 ? 4 : family;
    }
    qudag_err err = node_socket_open(n, family, &at.local);
    struct node_meeting_sock *s = NULL;
    for (size_t i = 0; err == QUDAG_OK && a->n == 1 && i < NODE_MEETING_SOCKS; i++) {
        s = n->meeting.sock[i].local.family == 0 ? &n->meeting.sock[i] : s;
    }
    if (s != NULL) {
        *s = (struct node_meeting_sock){.cookie = a->cookie, .local = at.local};
        if (node_stun_external(n, &at.local, a->cookie, sock_external) == QUDAG_OK) {
            return;
        }
        s->local.family = 0;
    }
    meet_socket(n->meeting.core, a->cookie, err, &at, now, node_begin(n));
    end(n);
}

static void sock_closed(struct node *n, const struct netaddr *local)
{
    node_stun_forget(n, local);
    node_socket_release(n, local);
}

/* STUN that came: true: it was of a meeting. */
static bool packet_in(struct node *n, const struct node_datagram_in *d, tstamp now)
{
    struct meet_pair at = {.remote = d->remote};

    if (n->meeting.core == NULL) {
        return false;
    }
    if (node_socket_is(n, &d->local)) {
        at.local = d->local;
    }
    bool mine = meet_packet_in(n->meeting.core, &at, d->data, now, node_begin(n));
    end(n);
    return mine;
}

/* ---- dials ---- */

static void dial(struct node *n, const struct act *a, tstamp now)
{
    const struct meet_pair *pair = a->ptr;
    struct node_meeting_dial *d = NULL;
    struct multiaddr addr;

    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        bool same =
            n->meeting.dial[i].peer.len > 0 && peer_id_eq(&n->meeting.dial[i].peer, &a->peer);
        d = same || (d == NULL && n->meeting.dial[i].peer.len == 0) ? &n->meeting.dial[i] : d;
    }
    multiaddr_quic(&addr, &pair->remote, &a->peer);
    struct transport_target to = {
        .addr = &addr, .peer = &a->peer, .local = pair->local.family == 0 ? NULL : &pair->local};
    qudag_err err = QUDAG_ELIMIT;
    if (d != NULL) {
        *d = (struct node_meeting_dial){.peer = a->peer, .cookie = DIAL | n->meeting.cookies++};
        err = swarm_dial_out(n->swarm, n->core[n->meeting.ix].swarm_ix, d->cookie, &to, now);
    }
    if (err != QUDAG_OK) {
        if (d != NULL) {
            d->peer.len = 0;
        }
        meet_dialled(n->meeting.core, &a->peer, err, now, node_begin(n));
        end(n);
    }
}

static void dialled(struct node *n, const struct ev *ev, tstamp now, struct acts *out)
{
    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        struct node_meeting_dial *d = &n->meeting.dial[i];
        if (d->peer.len > 0 && d->cookie == ev->cookie) {
            struct peer_id peer = d->peer;
            d->peer.len = 0;
            meet_dialled(n->meeting.core, &peer, ev->err, now, out);
            return;
        }
    }
}

/* ---- the core ---- */

static void ended(struct node *n, const struct act *a)
{
    struct meet_look look;

    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        struct node_meeting_dial *d = &n->meeting.dial[i];
        if (d->peer.len > 0 && peer_id_eq(&d->peer, &a->peer)) {
            d->peer.len = 0; /* its end is nobody's any more */
        }
    }
    if (!meet_look(n->meeting.core, &a->peer, &look)) {
        return;
    }
    if (look.state == MEET_DIRECT) {
        log_event(&n->cfg.log, LOG_INFO, "nat.meeting_direct", LOG_NUM("round", look.round),
                  LOG_NUM("sent", look.sent), LOG_NUM("received", look.received));
    } else {
        log_event(&n->cfg.log, LOG_INFO, "nat.meeting_failed", LOG_NUM("round", look.round),
                  LOG_NUM("sent", look.sent), LOG_NUM("received", look.received), LOG_ERR(look.err),
                  LOG_STR("why", look.why));
    }
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    const struct meet_packet *p = a->ptr;
    const struct meet_pair *pair = a->ptr;

    switch ((enum meet_up)a->kind) {
    case MEET_UP_ASKED:
        asked(n, &a->peer, now);
        break;
    case MEET_UP_SEND:
        (void)node_datagram(n, &p->local, &p->to, (struct slice){p->bytes, p->len});
        break;
    case MEET_UP_SOCKET:
        sock_wanted(n, a, now);
        break;
    case MEET_UP_CLOSE:
        sock_closed(n, a->ptr);
        break;
    case MEET_UP_EXPECT:
        node_socket_expect(n, &pair->local, &pair->remote);
        break;
    case MEET_UP_FOUND:
        dial(n, a, now);
        break;
    case MEET_UP_ENDED:
        ended(n, a);
        break;
    }
}

static void event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    struct node *n = node;

    if (ev->type == EV_STREAM_FAIL && (ev->cookie & DIAL) != 0) {
        dialled(n, ev, now, out);
    } else {
        meet_ops.event(n->meeting.core, ev, now, out);
    }
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_meeting *m = &n->meeting;

    meet_ops.tick(m->core, now, out);
    if (now >= m->look_at) {
        end(n);
        look_around(n, now);
        asked_again(n, now);
    }
}

static tstamp deadline(const void *node)
{
    const struct node_meeting *m = &((const struct node *)node)->meeting;

    return tstamp_min(meet_ops.deadline(m->core), m->look_at);
}

void node_meet_free(struct node *n)
{
    meet_free(n->meeting.core);
    n->meeting.core = NULL;
}

qudag_err node_meet_init(struct node *n)
{
    static const struct core_ops ops = {.inbound_max = 2,
                                        .limited_ok = true,
                                        .early = true,
                                        .event = event,
                                        .tick = tick,
                                        .deadline = deadline};
    struct node_core core = {.name = "meet", .instance = n, .ops = &ops, .report = report};
    struct meet_config cfg = {.mem = n->mem, .rng = n->cfg.rng};

    n->meeting.look_at = TSTAMP_NEVER;
    if (n->cfg.meet == NODE_MEET_NO || n->cfg.dcutr_only) {
        return QUDAG_OK;
    }
    peer_id_from_ed25519(&cfg.self, n->cfg.identity->ed_pk);
    n->meeting.core = meet_new(&cfg);
    qudag_err err = n->meeting.core == NULL ? QUDAG_ENOMEM : QUDAG_OK;
    if (err == QUDAG_OK) {
        err = node_datagrams_take(n, NODE_DATAGRAM_STUN, packet_in);
    }
    return err != QUDAG_OK ? err : node_core_add(n, &core, MEET_PROTOCOL, &n->meeting.ix);
}
