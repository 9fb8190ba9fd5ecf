/* reachable.c - whether this node is to be reached, and how it can be: what is wanted, and what core/reach knows. */
#include "node/internal.h"

/* ---- what is wanted ---- */

struct node_wants node_rule_wants(const struct node_wants_of *of)
{
    bool all = of->setting == NODE_REACHABLE_YES, none = of->setting == NODE_REACHABLE_NO;
    bool serves = of->relay || of->dht_server || of->circuit_relay || of->serves_peers;
    bool tried = all || (serves && !none && !of->lab);
    bool found = all || (of->serves_peers && !none && !of->lab);

    return (struct node_wants){.announce = all || (!none && (serves || of->lab)),
                               .probe = tried,
                               .map = tried,
                               .places = found,
                               .publish = found};
}

bool node_rule_dht_server(const struct reach_view *v, bool may, bool announce)
{
    return may && !v->all_private && (announce || v->announces);
}

const struct node_wants *node_wants(const struct node *n)
{
    return &n->wants;
}

void node_wants_review(struct node *n)
{
    struct node_wants_of of = {.setting = n->cfg.reachable,
                               .relay = n->cfg.relay,
                               .dht_server = n->cfg.dht_server,
                               .circuit_relay = n->cfg.circuit_relay.serve == NODE_SERVES_YES,
                               .serves_peers = n->serves_peers || n->allowed.n > 0,
                               .lab = n->cfg.lab};

    n->wants = node_rule_wants(&of);
    n->news |= NODE_NEWS_SELF;
    node_reach_changed(
        n, reach_set_silent(&n->reach, n->cfg.reachable == NODE_REACHABLE_NO, n->now), "settings");
}

/* ---- what is known ---- */

static const char *state_name(enum reach_state s)
{
    return s == REACH_PUBLIC ? "public" : s == REACH_PRIVATE ? "private" : "unknown";
}

void node_reach_changed(struct node *n, bool changed, const char *why)
{
    const struct reach_view *v = &n->reach.view;

    if (!changed) {
        return;
    }
    n->news |= NODE_NEWS_SELF | NODE_NEWS_REACH;
    if (n->reach.told != n->reach_told) {
        n->reach_told = n->reach.told;
        n->news |= NODE_NEWS_ADDRS;
    }
    log_event(&n->cfg.log, LOG_INFO, "node.reach", LOG_STR("why", why),
              LOG_NUM("announced", n->reach.n_announced), LOG_STR("ip4", state_name(v->ip4.state)),
              LOG_STR("ip6", state_name(v->ip6.state)), LOG_NUM("places_needed", v->needs_places));
}

void node_set_addrs(struct node *n, const struct multiaddr *addr, size_t count)
{
    bool changed = reach_set_bound(&n->reach, addr, count, n->now);

    relays_set_own_ip(n->relays, node_rule_own_ip(n->reach.bound, n->reach.n_bound));
    n->portmap.dirty = true;
    n->news |= NODE_NEWS_SELF;
    node_reach_changed(n, changed, "bound");
}

void node_set_announced(struct node *n, const struct multiaddr *addr, size_t count)
{
    node_reach_changed(n, reach_set_operator(&n->reach, addr, count, n->now), "operator");
}

size_t node_addrs_told(const struct node *n)
{
    return n->wants.announce || n->cfg.reachable == NODE_REACHABLE_NO ? n->reach.n_announced : 0;
}

bool node_announced_next(const struct node *n, size_t *it, struct multiaddr *out)
{
    if (*it >= node_addrs_told(n)) {
        return false;
    }
    *out = n->reach.announced[(*it)++];
    return true;
}

void node_reach_mapped(struct node *n, const struct multiaddr *addr, bool double_nat)
{
    node_reach_changed(n, reach_mapped(&n->reach, addr, double_nat, n->now), "router");
}

void node_reach_unmapped(struct node *n, const struct multiaddr *addr)
{
    node_reach_changed(n, reach_unmapped(&n->reach, addr, n->now), "router");
}

void node_reach_nat_seen(struct node *n, uint8_t family, const struct reach_family *seen)
{
    node_reach_changed(n, reach_nat_seen(&n->reach, family, seen, n->now), "stun");
}

void node_reach_udp_seen(struct node *n, bool came)
{
    node_reach_changed(n, reach_udp_seen(&n->reach, came, n->now), "udp");
}

const struct reach_view *node_reach(const struct node *n)
{
    return &n->reach.view;
}

bool node_reach_addr_next(const struct node *n, size_t *it, struct reach_addr *out)
{
    return reach_addr_next(&n->reach, it, out);
}

bool node_serves_dht(const struct node *n)
{
    return node_rule_dht_server(&n->reach.view, n->cfg.dht_server, n->wants.announce);
}

bool node_dials_back(const struct node *n)
{
    return n->wants.probe && n->reach.view.serves && n->hooks.socket_open != NULL;
}

/* ---- its clock ---- */

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    node_reach_changed(n, reach_tick(&n->reach, now), "observed");
}

static tstamp deadline(const void *node)
{
    return reach_deadline(&((const struct node *)node)->reach);
}

qudag_err node_reach_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "reach", .instance = n, .ops = &ops};
    unsigned ix;

    return node_core_add(n, &core, NULL, &ix);
}
