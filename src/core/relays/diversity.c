/* diversity.c - of how many relays and networks paths are drawn. */
#include "core/relays/diversity.h"

#include "base/wipe.h"
#include "core/relays/relays_impl.h"

#include <string.h>

/* Of its first IPv4 address, else of its first; NULL: it says not where it is. */
static const struct relays_net *net_of(const struct relays_entry *x)
{
    for (uint8_t i = 0; i < x->n_nets; i++) {
        if (x->net[i].family == 4) {
            return &x->net[i];
        }
    }
    return x->n_nets > 0 ? &x->net[0] : NULL;
}

static bool same_net(const struct relays_net *a, const struct relays_net *b)
{
    return a != NULL && b != NULL && relays_net_eq(a, b);
}

/* Failures of a moment change nothing: the network is not smaller for them. */
static bool counts(const struct relays_entry *x, bool lab)
{
    return lab || ((x->flags & RELAY_FLAG_LAB) == 0 && x->n_nets > 0);
}

/* Whether a relay before v[ix] that counts lies in its network or is of its family. */
static bool known_before(const struct relays_entry *const *v, uint32_t ix, bool lab)
{
    const struct relays_net *net = net_of(v[ix]);
    const uint8_t *family = ct_is_zero(v[ix]->family, sizeof v[ix]->family) ? NULL : v[ix]->family;

    for (uint32_t i = 0; i < ix; i++) {
        bool same = same_net(net_of(v[i]), net) ||
                    (family != NULL && memcmp(v[i]->family, family, sizeof v[i]->family) == 0);
        if (same && counts(v[i], lab)) {
            return true;
        }
    }
    return false;
}

struct relays_diversity relays_diversity_of(const struct relays_entry *const *v, uint32_t n,
                                            bool lab)
{
    struct relays_diversity d = {0};

    for (uint32_t i = 0; i < n; i++) {
        if (counts(v[i], lab)) {
            d.relays++;
            d.networks += known_before(v, i, lab) ? 0 : 1;
        }
    }
    return d;
}

uint32_t relays_network_count(const struct relays *r, const struct relays_entry *x)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n; i++) {
        n += r->v[i] != x && same_net(net_of(r->v[i]), net_of(x)) ? 1 : 0;
    }
    return n;
}

struct relays_diversity relays_diversity(const struct relays *r)
{
    return relays_diversity_of((const struct relays_entry *const *)r->v, r->n, r->cfg.lab);
}

bool relays_diversity_enough(const struct relays_diversity *d, bool lab, bool accepted)
{
    return lab || accepted ||
           (d->relays >= RELAYS_SAFE_MIN && d->networks >= RELAYS_SAFE_NETWORKS_MIN);
}
