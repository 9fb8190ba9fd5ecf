/*
 * entry.c - what one relay, or two, must be like to be in a path: rules on addresses, networks, families.
 *
 * spec/path-selection.md, P-6, P-7, P-9.
 */
#include "core/relays/relays_impl.h"

#include "base/wipe.h"

#include <string.h>

uint8_t relays_ip_counted(uint32_t n4, uint32_t n6, uint32_t n)
{
    return (uint8_t)((3 * n4 >= n ? RELAYS_IP4 : 0) | (3 * n6 >= n ? RELAYS_IP6 : 0));
}

bool relays_ip_reaches(uint8_t a, uint8_t b, uint8_t counted)
{
    a &= counted;
    b &= counted;
    return a == 0 || b == 0 || (a & b) != 0;
}

bool relays_addr_usable(const struct multiaddr *addr, bool lab)
{
    struct netaddr a;

    return lab || !multiaddr_to_netaddr(addr, &a) || netaddr_is_global(&a);
}

uint8_t relays_ip_of(const struct onion_hop *hop)
{
    uint8_t ip = 0;

    for (uint8_t i = 0; i < hop->n_addrs; i++) {
        struct netaddr a;
        if (multiaddr_to_netaddr(&hop->addr[i], &a)) {
            ip |= a.family == 4 ? RELAYS_IP4 : a.family == 6 ? RELAYS_IP6 : 0;
        }
    }
    return ip;
}

void relays_nets(struct relays_entry *x)
{
    x->ip = relays_ip_of(&x->hop);
    x->n_nets = 0;
    for (uint8_t i = 0; i < x->hop.n_addrs; i++) {
        struct netaddr a;
        if (!multiaddr_to_netaddr(&x->hop.addr[i], &a) || (a.family != 4 && a.family != 6)) {
            continue;
        }
        struct relays_net *net = &x->net[x->n_nets++];
        *net = (struct relays_net){.family = a.family};
        memcpy(net->b, a.ip, a.family == 4 ? 2 : 4);
    }
}

bool relays_net_eq(const struct relays_net *a, const struct relays_net *b)
{
    return a->family == b->family && memcmp(a->b, b->b, sizeof a->b) == 0;
}

static bool nets_overlap(const struct relays_entry *a, const struct relays_entry *b)
{
    for (uint8_t i = 0; i < a->n_nets; i++) {
        for (uint8_t k = 0; k < b->n_nets; k++) {
            if (relays_net_eq(&a->net[i], &b->net[k])) {
                return true;
            }
        }
    }
    return false;
}

static bool family_shared(const struct relays_entry *a, const struct relays_entry *b)
{
    return !ct_is_zero(a->family, sizeof a->family) &&
           memcmp(a->family, b->family, sizeof a->family) == 0;
}

bool relays_compatible(const struct relays *r, const struct relays_entry *a,
                       const struct relays_entry *b)
{
    return !peer_id_eq(&a->hop.peer, &b->hop.peer) && !family_shared(a, b) &&
           (r->cfg.lab || !nets_overlap(a, b));
}

bool relays_entry_usable(const struct relays *r, const struct relays_entry *x)
{
    if (peer_id_eq(&x->hop.peer, &r->cfg.self)) {
        return false;
    }
    return r->cfg.lab || ((x->flags & RELAY_FLAG_LAB) == 0 && x->n_nets > 0);
}

bool relays_entry_dialable(const struct relays *r, const struct relays_entry *x)
{
    return r->own_ip == 0 || x->ip == 0 || (r->own_ip & x->ip) != 0;
}

const struct relays_entry *relays_pool_draw(const struct relays *r, relays_fits_fn *fits,
                                            const void *ctx)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n; i++) {
        n += fits(r, r->v[i], ctx) ? 1 : 0;
    }
    uint32_t k = n > 0 ? rng_below(&r->cfg.rng, n) : 0;
    for (uint32_t i = 0; n > 0 && i < r->n; i++) {
        if (fits(r, r->v[i], ctx) && k-- == 0) {
            return r->v[i];
        }
    }
    return NULL;
}

/* Of the whole pool, so that failures of the moment change nothing. */
uint8_t relays_pool_ip(const struct relays *r)
{
    uint32_t n4 = 0, n6 = 0;

    for (uint32_t i = 0; i < r->n; i++) {
        n4 += (r->v[i]->ip & RELAYS_IP4) != 0 ? 1 : 0;
        n6 += (r->v[i]->ip & RELAYS_IP6) != 0 ? 1 : 0;
    }
    return relays_ip_counted(n4, n6, r->n);
}
