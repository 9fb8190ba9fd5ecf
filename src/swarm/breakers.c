/*
 * breakers.c - the breakers that there are: one of each peer, in the table of peers, and those of networks.
 *
 *   a dial begins ─ its network is held ─▶ refused, but for one probe
 *        └ it failed ─▶ the peer's, and where swarm_rule_net_counts() says so the network's
 *        └ it is up ─▶ both are closed
 *
 * Networks lie in a table of fixed size: whoever fills it can only make breakers close.
 */
#include "swarm/internal.h"

#include <string.h>

#define NETS_FROM ((size_t)1 << 31) /* swarm_breaker_next(): peers before, networks from here on */

static struct swarm_net *find_net(struct swarm *s, uint64_t group)
{
    for (size_t i = 0; group != 0 && i < SWARM_NETS_MAX; i++) {
        if (s->nets.v[i].group == group) {
            return &s->nets.v[i];
        }
    }
    return NULL;
}

/* The first address of the network of |a|. */
static struct netaddr network_of(const struct netaddr *a)
{
    struct netaddr net = *a;
    size_t keep = a->family == 4 ? 3 : 6; /* as netaddr_group() */

    memset(net.ip + keep, 0, sizeof(net.ip) - keep);
    net.port = 0;
    return net;
}

/* Its place, or a free one, or that of the one that failed longest ago. */
static struct swarm_net *make_net(struct swarm *s, const struct netaddr *a)
{
    uint64_t group = netaddr_group(a);
    struct swarm_net *n = find_net(s, group);

    if (n != NULL) {
        return n;
    }
    n = &s->nets.v[0];
    for (size_t i = 0; i < SWARM_NETS_MAX && n->group != 0; i++) {
        struct swarm_net *m = &s->nets.v[i];
        n = m->group == 0 || m->failed_at < n->failed_at ? m : n;
    }
    *n = (struct swarm_net){.group = group, .addr = network_of(a)};
    return n;
}

bool swarm_net_holds(struct swarm *s, struct swarm_link *l, tstamp now)
{
    const struct swarm_net_dial d = {.stood = l->stood, .chosen = l->chosen, .matters = l->matters};
    struct swarm_net *n = swarm_rule_net_holds(&d) ? find_net(s, netaddr_group(&l->remote)) : NULL;

    if (n == NULL) {
        return false;
    }
    l->net_probe = swarm_breaker_state(&n->breaker, now) == SWARM_BREAKER_HALF_OPEN;
    if (swarm_breaker_try(&n->breaker, tstamp_after(now, SWARM_NET_PROBE), now)) {
        return false;
    }
    s->stats.dials_refused_network++;
    return true;
}

void swarm_net_up(struct swarm *s, const struct swarm_link *l)
{
    struct swarm_net *n = find_net(s, l->net);

    if (n != NULL) {
        *n = (struct swarm_net){.group = 0};
    }
}

/* Whether a link stands that says that it is not our network that is away. */
static bool elsewhere(const struct swarm *s, const struct netaddr *failed)
{
    LIST_EACH(it, &s->links)
    {
        const struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (l->up && !l->dead && (l->props & LINK_ANON) == 0 &&
            swarm_rule_net_elsewhere(failed, &l->remote)) {
            return true;
        }
    }
    return false;
}

/* One more host that does not answer; false: it is known already. */
static bool add_host(struct swarm_net *n, const struct netaddr *a)
{
    for (size_t i = 0; i < n->n_hosts; i++) {
        if (netaddr_same_ip(&n->host[i], a)) {
            return false;
        }
    }
    if (n->n_hosts < ARRAY_LEN(n->host)) {
        n->host[n->n_hosts++] = *a;
    }
    return true;
}

void swarm_net_failed(struct swarm *s, const struct swarm_link *l, qudag_err err, tstamp now)
{
    uint64_t group = netaddr_group(&l->remote);
    struct swarm_net_dial d = {
        .stood = l->stood, .chosen = l->chosen, .matters = l->matters, .probe = l->net_probe};
    struct swarm_net *n = find_net(s, group);

    if (group == 0) {
        return;
    }
    d.elsewhere = (d.stood || d.probe) && elsewhere(s, &l->remote);
    if (!swarm_rule_net_counts(&d, err, l->closed_here)) {
        if (n != NULL && d.probe) {
            swarm_breaker_given_up(&n->breaker, now); /* it says nothing */
        }
        return;
    }
    if (!d.stood && (n == NULL || !n->breaker.probing)) {
        return; /* a probe of a breaker that was closed meanwhile */
    }
    n = make_net(s, &l->remote);
    n->failed_at = now;
    bool fresh = add_host(n, &l->remote);
    bool closed = swarm_breaker_state(&n->breaker, now) == SWARM_BREAKER_CLOSED;
    bool due =
        n->breaker.probing || swarm_breaker_state(&n->breaker, now) == SWARM_BREAKER_HALF_OPEN;
    if (closed ? fresh : due) {
        swarm_breaker_failed(&n->breaker, &swarm_breaker_network, &s->cfg.rng, now);
    }
}

void swarm_retry(struct swarm *s, const struct peer_id *peer)
{
    struct swarm_peer *p;

    if (peer != NULL) {
        p = map_get(&s->peers, peer_id_slice(peer));
        if (p != NULL) {
            swarm_breaker_reset(&p->breaker);
        }
        return;
    }
    memset(&s->nets, 0, sizeof(s->nets));
    for (size_t it = 0; (p = map_next(&s->peers, &it)) != NULL;) {
        swarm_breaker_reset(&p->breaker);
    }
}

tstamp swarm_next_try(const struct swarm *s, const struct peer_id *peer, tstamp now)
{
    const struct swarm_peer *p = map_get(&s->peers, peer_id_slice(peer));

    return p != NULL && p->breaker.next_try > now ? p->breaker.next_try : 0;
}

bool swarm_breaker_next(const struct swarm *s, size_t *it, struct swarm_breaker_look *out,
                        tstamp now)
{
    const struct swarm_peer *p;

    while (*it < NETS_FROM && (p = map_next(&s->peers, it)) != NULL) {
        enum swarm_breaker_state state = swarm_breaker_state(&p->breaker, now);
        if (state != SWARM_BREAKER_CLOSED) {
            *out = (struct swarm_breaker_look){.peer = p->id,
                                               .state = state,
                                               .failures = p->breaker.failures,
                                               .next_try = p->breaker.next_try,
                                               .err = p->last_err};
            return true;
        }
    }
    *it = *it < NETS_FROM ? NETS_FROM : *it;
    while (*it - NETS_FROM < SWARM_NETS_MAX) {
        const struct swarm_net *n = &s->nets.v[(*it)++ - NETS_FROM];
        enum swarm_breaker_state state = swarm_breaker_state(&n->breaker, now);
        if (n->group != 0 && state != SWARM_BREAKER_CLOSED) {
            *out = (struct swarm_breaker_look){.net = n->addr,
                                               .state = state,
                                               .failures = n->breaker.failures,
                                               .next_try = n->breaker.next_try,
                                               .err = QUDAG_ETIMEOUT};
            return true;
        }
    }
    return false;
}

void swarm_waiting(const struct swarm *s, uint32_t *peers, uint32_t *networks)
{
    const struct swarm_peer *p;

    *peers = *networks = 0;
    for (size_t it = 0; (p = map_next(&s->peers, &it)) != NULL;) {
        *peers += p->breaker.next_try != 0 ? 1 : 0;
    }
    for (size_t i = 0; i < SWARM_NETS_MAX; i++) {
        *networks += s->nets.v[i].group != 0 && s->nets.v[i].breaker.next_try != 0 ? 1 : 0;
    }
}
