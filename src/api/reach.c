/* reach.c - qudag_reach_*, qudag_port_*, qudag_path_*: how this node and its peers are reached. */
#include "api/internal.h"

#include <stdio.h>
#include <string.h>

API_NO_TAIL(qudag_reach, pad);
API_NO_TAIL(qudag_reach_addr, addr);
API_NO_TAIL(qudag_port, why);
API_NO_TAIL(qudag_path, why);
_Static_assert((int)QUDAG_REACH_PRIVATE == REACH_PRIVATE &&
                   (int)QUDAG_NAT_DEPENDENT == REACH_NAT_DEPENDENT &&
                   (int)QUDAG_ADDR_OBSERVED == REACH_OBSERVED &&
                   (int)QUDAG_PORTMAP_UPNP == PORTMAP_UPNP,
               "one order");

static const char *word(const char *const *words, size_t n, unsigned ix)
{
    return ix < n ? words[ix] : "unknown";
}

const char *qudag_reach_state_name(qudag_reach_state s)
{
    static const char *const words[] = {"unknown", "public", "private"};

    return word(words, ARRAY_LEN(words), (unsigned)s);
}

const char *qudag_nat_kind_name(qudag_nat_kind k)
{
    static const char *const words[] = {"unknown", "none", "independent", "dependent"};

    return word(words, ARRAY_LEN(words), (unsigned)k);
}

const char *qudag_portmap_name(qudag_portmap m)
{
    static const char *const words[] = {"none", "pcp", "nat-pmp", "upnp"};

    return word(words, ARRAY_LEN(words), (unsigned)m);
}

const char *qudag_addr_source_name(qudag_addr_source s)
{
    static const char *const words[] = {"set", "bound", "mapped", "observed"};

    return word(words, ARRAY_LEN(words), (unsigned)s);
}

const char *qudag_path_kind_name(qudag_path_kind k)
{
    static const char *const words[] = {"none", "direct", "relayed"};

    return word(words, ARRAY_LEN(words), (unsigned)k);
}

/* ---- this node ---- */

static uint32_t places_held(const qudag_node *n)
{
    const struct relayed_place *p;
    uint32_t held = 0;

    for (size_t it = 0; (p = node_place_next(n->node, &it)) != NULL;) {
        held += p->held;
    }
    return held;
}

static uint32_t announced(const qudag_node *n)
{
    struct multiaddr a;
    uint32_t count = 0;

    for (size_t it = 0; node_announced_next(n->node, &it, &a);) {
        count++;
    }
    return count;
}

static void ports_in(qudag_reach *out, const qudag_node *n)
{
    qudag_port p = QUDAG_INIT(qudag_port);

    for (size_t it = 0; qudag_port_next(n, &it, &p);) {
        out->double_nat = out->double_nat || p.double_nat;
        if (out->port_mapping == QUDAG_PORTMAP_NONE) {
            out->port_mapping = p.method;
        }
    }
}

void api_reach(qudag_reach *out, const qudag_node *n)
{
    const struct reach_view *v = node_reach(n->node);
    const struct node_wants *w = node_wants(n->node);

    *out = (qudag_reach){.size = sizeof(*out),
                         .ip4 = (qudag_reach_state)v->ip4.state,
                         .ip6 = (qudag_reach_state)v->ip6.state,
                         .mapping4 = (qudag_nat_kind)v->ip4.mapping,
                         .mapping6 = (qudag_nat_kind)v->ip6.mapping,
                         .filter4 = (qudag_nat_kind)v->ip4.filter,
                         .filter6 = (qudag_nat_kind)v->ip6.filter,
                         .announced = announced(n),
                         .places = places_held(n),
                         .wanted = w->announce || w->probe || w->places,
                         .named = w->publish,
                         .needs_places = w->places && v->needs_places,
                         .double_nat = v->double_nat,
                         .udp_blocked = v->udp_blocked};
    ports_in(out, n);
}

qudag_err qudag_reach_get(const qudag_node *n, qudag_reach *out)
{
    qudag_reach full;

    if (n == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    api_reach(&full, n);
    return api_sized_out(out, &full, sizeof(full)) ? QUDAG_OK : QUDAG_EINVAL;
}

bool qudag_reach_addr_next(const qudag_node *n, size_t *it, qudag_reach_addr *out)
{
    static const qudag_reach_state state[] = {[REACH_UNTRIED] = QUDAG_REACH_UNKNOWN,
                                              [REACH_CONFIRMED] = QUDAG_REACH_PUBLIC,
                                              [REACH_REFUTED] = QUDAG_REACH_PRIVATE};
    qudag_reach_addr full = {.size = sizeof(full)};
    struct reach_addr a;

    if (n == NULL || it == NULL || out == NULL || !node_reach_addr_next(n->node, it, &a)) {
        return false;
    }
    full.source = (qudag_addr_source)a.source;
    full.state = state[a.verdict];
    full.confirmed = a.confirmed;
    full.refuted = a.refuted;
    full.announced = a.announced;
    if (multiaddr_text(full.addr, sizeof(full.addr), &a.addr) == 0) {
        full.addr[0] = '\0';
    }
    return api_sized_out(out, &full, sizeof(full));
}

bool qudag_port_next(const qudag_node *n, size_t *it, qudag_port *out)
{
    qudag_port full = {.size = sizeof(full)};
    struct portmap_look look;

    if (n == NULL || it == NULL || out == NULL || !node_portmap_next(n->node, it, &look)) {
        return false;
    }
    (void)netaddr_text(full.internal, sizeof(full.internal), &look.internal);
    if (look.external.family != 0) {
        (void)netaddr_text(full.external, sizeof(full.external), &look.external);
        full.method = (qudag_portmap)look.method;
        full.left = look.left_s * QUDAG_S;
    }
    full.tcp = look.tcp;
    full.double_nat = look.double_nat;
    full.failures = look.failures;
    (void)snprintf(full.why, sizeof(full.why), "%s", look.why);
    return api_sized_out(out, &full, sizeof(full));
}

/* ---- paths ---- */

/*
 * The link that a stream without special needs goes to: a |direct| one, or one through a relay, and the other where
 * that is all there is.  False: there is none.
 */
static bool best_link(const qudag_node *n, const qudag_peer_id *peer, bool direct,
                      qudag_link_info *out)
{
    const qudag_link_info none = QUDAG_INIT(qudag_link_info);
    qudag_link_info l = none;
    bool found = false;

    for (size_t it = 0; qudag_link_next(n, &it, &l);) {
        bool its = l.state == QUDAG_LINK_UP && l.peer.len == peer->len &&
                   memcmp(l.peer.bytes, peer->bytes, peer->len) == 0;
        if (its && (!found || (out->relayed == direct && l.relayed != direct))) {
            *out = l;
            found = true;
        }
    }
    return found;
}

/* The last try by libp2p's DCUtR; false: there was none. */
static bool by_dcutr(qudag_path *out, const qudag_node *n, const struct peer_id *peer, tstamp now)
{
    struct dcutr_look l;

    if (!node_dcutr_look(n->node, peer, &l) || l.state == DCUTR_NONE) {
        return false;
    }
    out->by = QUDAG_PATH_BY_DCUTR;
    out->found = l.state == DCUTR_DIRECT;
    out->meeting = !out->found && l.state != DCUTR_FAILED;
    out->initiator = l.initiator;
    out->sent = l.packets;
    out->ours = (uint32_t)l.ours.n_addrs;
    out->theirs = (uint32_t)l.theirs.n_addrs;
    out->took = out->found && l.ended > l.began ? l.ended - l.began : 0;
    tstamp again = tstamp_after(l.ended, DCUTR_AGAIN_NS);
    out->next_try = l.state == DCUTR_FAILED && again > now ? again - now : 0;
    (void)snprintf(out->why, sizeof(out->why), "%s", l.why != NULL ? l.why : "");
    return true;
}

/* A peer asks for a meeting, and is not one that this node meets: a stream of the program's may yet come. */
static bool is_at_the_door(const qudag_node *n, const struct peer_id *peer,
                           const struct meet_look *l)
{
    return l->state == MEET_ASKING && !l->initiator && !node_may_meet(n->node, peer);
}

/* The last meeting; false: there was none. */
static bool by_meeting(qudag_path *out, const qudag_node *n, const struct peer_id *peer, tstamp now)
{
    struct meet_look l;

    if (!node_meet_look(n->node, peer, &l) || l.state == MEET_NONE || is_at_the_door(n, peer, &l)) {
        return false;
    }
    out->by = QUDAG_PATH_BY_MEETING;
    out->found = l.state == MEET_DIRECT;
    out->meeting = !out->found && l.state != MEET_FAILED;
    out->initiator = l.initiator;
    out->round = (uint8_t)l.round;
    out->sent = l.sent;
    out->received = l.received;
    out->ours = (uint32_t)l.n_ours;
    out->theirs = (uint32_t)l.n_theirs;
    out->took = l.found > l.began ? l.found - l.began : 0;
    bool again = l.state == MEET_FAILED && l.next_try != TSTAMP_NEVER;
    out->next_try = again && l.next_try > now ? l.next_try - now : 0;
    (void)snprintf(out->why, sizeof(out->why), "%s", l.why != NULL ? l.why : "");
    return true;
}

/* Why no meeting has begun over a relayed link. */
static const char *why_no_meeting(const qudag_node *n, const struct peer_id *peer, bool inbound)
{
    if (!node_may_meet(n->node, peer)) {
        return "no direct path is looked for: this node has not named the peer (it was not "
               "allowed, kept, "
               "pinged, dialled or sent to), or meet = no is set";
    }
    return inbound ? "no direct path is looked for: the peer dialled this link, and has not asked "
                     "for one"
                   : "no direct path is looked for yet";
}

qudag_err qudag_path_get(const qudag_node *n, const qudag_peer_id *peer, qudag_path *out)
{
    qudag_path full = {.size = sizeof(full)};
    qudag_link_info l = QUDAG_INIT(qudag_link_info);
    struct peer_id p;

    if (n == NULL || out == NULL || !api_peer_in(&p, peer)) {
        return QUDAG_EINVAL;
    }
    bool direct = swarm_prefers_direct(node_swarm(n->node), &p, io_now());
    bool linked = best_link(n, peer, direct, &l);
    if (linked && l.relayed) {
        (void)snprintf(full.why, sizeof(full.why), "%s", why_no_meeting(n, &p, l.inbound));
    }
    if (linked) {
        full.kind = l.relayed ? QUDAG_PATH_RELAYED : QUDAG_PATH_DIRECT;
        full.relay = l.relay;
        (void)snprintf(full.remote, sizeof(full.remote), "%s", l.remote);
    }
    if (!by_meeting(&full, n, &p, io_now()) && !by_dcutr(&full, n, &p, io_now()) && !linked) {
        return QUDAG_ENOTFOUND;
    }
    if (full.kind != QUDAG_PATH_RELAYED) {
        full.why[0] = '\0';
    } else if (node_reach(n->node)->udp_blocked && !full.meeting) {
        (void)snprintf(full.why, sizeof(full.why),
                       "UDP does not pass where this node is, and a direct path needs it");
    }
    full.found = full.found && full.kind == QUDAG_PATH_DIRECT;
    return api_sized_out(out, &full, sizeof(full)) ? QUDAG_OK : QUDAG_EINVAL;
}
