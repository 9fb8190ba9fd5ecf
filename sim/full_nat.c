/*
 * full_nat.c - routers before nodes, and the way of a datagram through them.
 *
 *   inside ─ nat_out ─▶ [carrier ─ nat_out ─▶] Internet ─ delay ─▶ the other's router: nat_in [carrier first] ─▶ inside
 *
 * What a NAT lets in is asked when the datagram arrives there, not when it was sent: holes that two sides punch open in
 * between.  Two behind one router reach each other inside; by its external address only with hairpinning.
 */
#include "sim/full_int.h"
#include "sim/sim_int.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define ROUTERS_MAX FULL_NODES_MAX

/* Nodes and the routers of a carrier that are behind |router|; of each the last byte of its address there. */
static struct netaddr inside_addr(const struct full *f, uint32_t router, uint32_t nth)
{
    bool carrier = f->router[router].carrier;

    return (struct netaddr){.family = 4,
                            .ip = {carrier ? 100 : 192, carrier ? 64 : 168,
                                   (uint8_t)(1 + nth / 250), (uint8_t)(2 + nth % 250)}};
}

bool full_is_inside(const struct netaddr *a)
{
    return (a->ip[0] == 192 && a->ip[1] == 168) || (a->ip[0] == 100 && a->ip[1] == 64);
}

uint32_t full_router_add(struct full *f, const struct nat_config *cfg, uint32_t owner,
                         uint32_t parent)
{
    struct full_router *r = &f->router[f->routers];
    struct nat_config c = *cfg;
    uint8_t seed[32];

    ASSERT(f->routers < ROUTERS_MAX);
    r->owner = owner;
    r->parent = parent;
    r->external = parent == FULL_NONE ? net_full_addr(owner, 0)
                                      : inside_addr(f, parent, f->router[parent].hosts++);
    dice_node(&f->s->dice, "qudag sim 2026 router", f->routers, 0, seed);
    rng_stream_init(&r->stream, seed);
    c.mem = &f->nat_mem;
    c.rng = rng_of_stream(&r->stream);
    c.external = r->external;
    r->nat = nat_new(&c);
    ASSERT(r->nat != NULL);
    return f->routers++;
}

void full_place(struct full *f, uint32_t node, uint32_t router)
{
    struct full_node *fn = &f->node[node];

    fn->placed = true;
    fn->router = router;
    f->s->node[node].nat = router != FULL_NONE;
    if (router != FULL_NONE) {
        fn->addr = inside_addr(f, router, f->router[router].hosts++);
    }
}

/* ---- kinds, as the scenario says ---- */

static enum nat_depends depends(uint64_t said, enum nat_depends mixed)
{
    return said == 0 ? mixed : (enum nat_depends)(said - 1);
}

static struct nat_config kind_of(const struct scenario *sc, uint32_t node)
{
    static const enum nat_depends mapping[] = {NAT_INDEPENDENT, NAT_INDEPENDENT, NAT_ADDRESS_PORT};
    static const enum nat_depends filter[] = {NAT_INDEPENDENT, NAT_ADDRESS, NAT_ADDRESS_PORT};
    static const enum nat_ports ports[] = {NAT_PRESERVE, NAT_PRESERVE, NAT_RANDOM};
    uint32_t k = node % 3;

    return (struct nat_config){.mapping = depends(sc->nat_mapping, mapping[k]),
                               .filter = depends(sc->nat_filter, filter[k]),
                               .ports = sc->nat_ports == 0 ? ports[k]
                                                           : (enum nat_ports)(sc->nat_ports - 1),
                               .step = (uint16_t)sc->nat_step,
                               .timeout_ns = sc->nat_timeout,
                               .timeout_new_ns = sc->nat_timeout_new,
                               .per_host_max = (uint32_t)sc->nat_per_host,
                               .hairpin = sc->nat_hairpin != 0,
                               .rejects = sc->nat_rejects != 0};
}

void full_place_by_scenario(struct full *f, uint32_t node)
{
    const struct scenario *sc = f->sc;
    struct nat_config kind = kind_of(sc, node);
    uint64_t shared = sc->nat_shared == 0 ? 1 : sc->nat_shared;

    if (f->node[node].placed) {
        return;
    }
    if (!f->s->node[node].nat) {
        full_place(f, node, FULL_NONE);
        return;
    }
    if (f->last_router == FULL_NONE || f->router[f->last_router].hosts >= shared) {
        if (sc->nat_carrier != 0 && f->carrier == FULL_NONE) {
            f->carrier = full_router_add(f, &kind, node, FULL_NONE);
            f->router[f->carrier].carrier = true;
        }
        f->last_router = full_router_add(f, &kind, node, f->carrier);
    }
    full_place(f, node, f->last_router);
}

void full_nat_init(struct full *f)
{
    mem_init(&f->nat_mem, NULL, 0);
    f->router = sim_alloc(ROUTERS_MAX, sizeof(*f->router));
    f->last_router = f->carrier = FULL_NONE;
    for (uint32_t i = 0; i < f->cap; i++) {
        f->node[i].router = FULL_NONE;
    }
}

void full_nat_fini(struct full *f)
{
    for (uint32_t i = 0; i < f->routers; i++) {
        nat_free(f->router[i].nat);
    }
    ASSERT(f->nat_mem.used == 0);
    free(f->router);
}

/* ---- the way ---- */

/* Behind |router| (FULL_NONE: on the Internet), whoever has the address. */
struct full_spot {
    uint32_t node, router; /* one of them, or neither */
};

static struct full_spot whose(const struct full *f, uint32_t router, const struct netaddr *a)
{
    for (uint32_t i = 0; i < f->routers; i++) {
        if (f->router[i].parent == router && netaddr_same_ip(&f->router[i].external, a)) {
            return (struct full_spot){FULL_NONE, i};
        }
    }
    for (uint32_t i = 0; i < f->s->n; i++) {
        const struct full_node *fn = &f->node[i];
        if (fn->node != NULL && fn->router == router && netaddr_same_ip(&fn->addr, a)) {
            return (struct full_spot){i, FULL_NONE};
        }
    }
    return (struct full_spot){FULL_NONE, FULL_NONE};
}

bool full_has_socket(const struct full_node *fn, uint16_t port)
{
    bool has = fn->addr.port == port;

    for (size_t i = 0; i < fn->extras && !has; i++) {
        has = fn->extra[i] == port;
    }
    return has;
}

/* Inwards: from the network behind |router| (FULL_NONE: the Internet) to whoever |way->to| is. */
static uint32_t inwards(struct full *f, uint32_t router, struct full_way *way)
{
    for (;;) {
        struct full_spot p = whose(f, router, &way->to);
        if (p.router == FULL_NONE) {
            return p.node != FULL_NONE && full_has_socket(&f->node[p.node], way->to.port)
                       ? p.node
                       : FULL_NONE;
        }
        struct netaddr inside;
        if (!nat_in(f->router[p.router].nat, &way->from, &way->to, f->s->world.now, &inside)) {
            return FULL_NONE;
        }
        way->to = inside;
        router = p.router;
    }
}

enum full_outcome full_outwards(struct full *f, uint32_t node, struct full_way *way,
                                uint32_t *there)
{
    struct netaddr from;

    for (uint32_t r = f->node[node].router; r != FULL_NONE; r = f->router[r].parent) {
        struct full_spot p = whose(f, r, &way->to);
        if (p.node != FULL_NONE || p.router != FULL_NONE) {
            *there = inwards(f, r, way);
            return *there == FULL_NONE ? FULL_DROPPED : FULL_INSIDE;
        }
        if (!nat_out(f->router[r].nat, &way->from, &way->to, f->s->world.now, &from)) {
            return FULL_DROPPED;
        }
        way->from = from;
        if (netaddr_same_ip(&way->to, &f->router[r].external)) { /* hairpin */
            *there = inwards(f, f->router[r].parent, way);
            return *there == FULL_NONE ? FULL_DROPPED : FULL_INSIDE;
        }
    }
    return full_is_inside(&way->to) ? FULL_DROPPED : FULL_OUT;
}

uint32_t full_arrives(struct full *f, struct full_way *way)
{
    return inwards(f, FULL_NONE, way);
}

uint32_t full_owner(const struct full *f, const struct netaddr *to)
{
    uint32_t node = to->ip[0] - 20u + 60u * to->ip[1];

    return to->family != 4 || to->ip[0] < 20 || to->ip[0] >= 80 || node >= f->s->n ? FULL_NONE
                                                                                   : node;
}
