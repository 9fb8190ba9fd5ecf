/* own_addrs.c - which addresses of ours others are told. */
#include "node/own_addrs.h"

#include "node/rules.h"

#include <string.h>

enum { QUIC4, QUIC6, TCP4, TCP6 };

static int kind_of(const struct multiaddr *m)
{
    struct netaddr a;

    if (multiaddr_to_tcp(m, &a)) {
        return a.family == 6 ? TCP6 : TCP4;
    }
    return multiaddr_to_netaddr(m, &a) && a.family == 6 ? QUIC6 : QUIC4;
}

/* The first 16 bits of IPv4 or 32 of IPv6 behind the family; in a lab the end of the peer id.  Never 0. */
static uint64_t network(const struct netaddr *a, const struct peer_id *peer, bool lab)
{
    const uint8_t *b = lab ? peer->b + peer->len - 6 : a->ip;
    uint64_t net = a->family;

    for (size_t i = 0; i < (lab ? 6u : a->family == 4 ? 2u : 4u); i++) {
        net = net << 8 | b[i];
    }
    return net;
}

static void tell(struct node_own_addrs *o, const struct multiaddr *addr)
{
    for (size_t i = 0; i < o->n_announced; i++) {
        if (multiaddr_eq(&o->announced[i], addr)) {
            return;
        }
    }
    if (o->n_announced < NODE_OWN_MAX) {
        o->announced[o->n_announced++] = *addr;
    }
}

/* The address of |kind| that most of the latest voices name, of equals the later one; NULL: too few agree. */
static const struct multiaddr *confirmed(const struct node_own_addrs *o, int kind)
{
    const struct node_own_voice *v = o->voice[kind];
    const struct multiaddr *best = NULL;
    size_t most = NODE_OWN_AGREE - 1;

    for (size_t i = 0; i < NODE_OWN_VOICES && v[i].net != 0; i++) {
        size_t n = 0;
        for (size_t k = 0; k < NODE_OWN_VOICES && v[k].net != 0; k++) {
            n += multiaddr_eq(&v[i].addr, &v[k].addr) ? 1 : 0;
        }
        if (n > most) {
            best = &v[i].addr;
            most = n;
        }
    }
    return best;
}

/* What is announced follows anew from the sources; returns whether it has changed. */
static bool derive(struct node_own_addrs *o)
{
    struct multiaddr before[NODE_OWN_MAX];
    size_t n_before = o->n_announced;
    bool has[NODE_OWN_KINDS] = {false};

    memcpy(before, o->announced, sizeof(before));
    memset(o->announced, 0, sizeof(o->announced));
    o->n_announced = 0;
    for (size_t i = 0; i < o->n_set; i++) {
        tell(o, &o->set[i]);
    }
    for (size_t i = 0; o->n_set == 0 && i < o->n_local; i++) {
        if (node_rule_addr(&o->local[i], o->lab)) {
            has[kind_of(&o->local[i])] = true;
            tell(o, &o->local[i]);
        }
    }
    for (int k = QUIC4; o->n_set == 0 && k <= TCP6; k++) {
        const struct multiaddr *seen = has[k] ? NULL : confirmed(o, k);
        if (seen != NULL) {
            tell(o, seen);
        }
    }
    return n_before != o->n_announced || memcmp(before, o->announced, sizeof(before)) != 0;
}

/* A copy whose unused bytes are zero, so that two may be compared as memory. */
static struct multiaddr copy(const struct multiaddr *addr)
{
    struct multiaddr m = {.len = addr->len};

    memcpy(m.b, addr->b, addr->len);
    return m;
}

static size_t list_take(struct multiaddr dst[NODE_OWN_MAX], const struct multiaddr *addr, size_t n)
{
    n = n < NODE_OWN_MAX ? n : NODE_OWN_MAX;
    memset(dst, 0, NODE_OWN_MAX * sizeof(*dst));
    for (size_t i = 0; i < n; i++) {
        dst[i] = copy(&addr[i]);
    }
    return n;
}

bool node_own_set_local(struct node_own_addrs *o, const struct multiaddr *addr, size_t n)
{
    struct multiaddr before[NODE_OWN_MAX];

    memcpy(before, o->local, sizeof(before));
    o->n_local = list_take(o->local, addr, n);
    if (memcmp(before, o->local, sizeof(before)) != 0) {
        memset(o->voice, 0, sizeof(o->voice));
    }
    return derive(o);
}

bool node_own_set(struct node_own_addrs *o, const struct multiaddr *addr, size_t n)
{
    o->n_set = list_take(o->set, addr, n);
    return derive(o);
}

bool node_own_may_see(const struct link_info *link, const struct multiaddr *addr)
{
    struct netaddr from, seen;
    bool tcp = multiaddr_to_tcp(addr, &seen);

    return multiaddr_direct(addr, &seen) && kind_of(addr) == kind_of(&link->remote) &&
           multiaddr_direct(&link->remote, &from) && (!tcp || (link->props & LINK_INBOUND) != 0);
}

size_t node_own_for_cells(const struct node_own_addrs *o, struct multiaddr *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n_announced && n < max; i++) {
        if (node_rule_cells_addr(&o->announced[i], true)) {
            if (out != NULL) {
                out[n] = o->announced[i];
            }
            n++;
        }
    }
    return n;
}

bool node_own_observed(struct node_own_addrs *o, const struct link_info *link,
                       const struct multiaddr *addr, tstamp now)
{
    struct netaddr from;

    if (!node_rule_observed(link, o->lab) || !node_rule_addr(addr, o->lab) ||
        !node_own_may_see(link, addr) || !multiaddr_direct(&link->remote, &from)) {
        return false;
    }
    struct node_own_voice *v = o->voice[kind_of(addr)];
    struct node_own_voice one = {network(&from, &link->peer, o->lab), copy(addr)};
    size_t at = 0;
    while (at < NODE_OWN_VOICES - 1 && v[at].net != 0 && v[at].net != one.net) {
        at++;
    }
    memmove(v + 1, v, at * sizeof(*v)); /* over the same network's, an empty or the oldest place */
    v[0] = one;
    if (now < o->hold_until || !derive(o)) {
        return false;
    }
    o->hold_until = tstamp_after(now, NODE_OWN_HOLD);
    return true;
}
