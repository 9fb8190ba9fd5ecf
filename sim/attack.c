/*
 * attack.c - Sybils: nodes whose ids were chosen to lie around a target in the key space, and the keys there.
 *
 * A core hashes ids itself, so an id near a target must be searched for, as an attacker has to.  All targets
 * share one search: every id tried is held against all of them.  Finding a node |bits| deep costs 2^bits
 * hashes, so Sybils are packed only as deep as it takes to be nearer than every honest node.
 *
 * A key that is attacked shares the first bits of the target too; every put has a key of its own, so that each
 * says again whether a value was lost.
 */
#include "sim/sim_int.h"

#include <stdlib.h>

#define DEEPER 5    /* bits beyond log2 of the nodes: one honest node in 32 targets is nearer */
#define DEEP_MAX 22 /* of bits nobody asked for */
#define WIDER 6     /* spread: log2(nodes) - 6, the space of some 40 nodes, twice that of a value */
#define ITEMS_MAX 20000      /* attacked keys of a run */
#define TRIES_MAX UINT32_MAX /* ids or keys tried */

static unsigned log2_up(uint64_t n)
{
    unsigned bits = 0;

    while (bits < 63 && UINT64_C(1) << bits < n) {
        bits++;
    }
    return bits;
}

/* The first target from |i| on that |prefix| lies in; |n_targets|: in none. */
static size_t target_of(const struct attack *a, size_t i, uint64_t prefix, unsigned bits)
{
    while (i < a->n_targets && (a->target[i] ^ prefix) >> (64 - bits) != 0) {
        i++;
    }
    return i;
}

static void find_ids(struct sim *s, const struct sim_fault *f)
{
    struct attack *a = &s->attack;
    uint32_t *n = sim_alloc(a->n_targets, sizeof(*n));
    uint8_t pk[32];
    uint64_t tries = 0;

    dice_node(&s->dice, "qudag sim 2026 sybil", 0, 0, pk);
    while (a->n < a->n_targets * f->per_key && tries < TRIES_MAX) {
        struct peer_id id;
        uint64_t prefix = host_id_at(pk, s->n, (uint32_t)tries++, &id);
        size_t target = target_of(a, 0, prefix, a->bits);
        while (target < a->n_targets && n[target] == f->per_key) {
            target = target_of(a, target + 1, prefix, a->bits); /* wide ones may overlap */
        }
        if (target < a->n_targets) {
            n[target]++;
            host_add_node(s);
            struct sim_node *nd = &s->node[s->n - 1];
            nd->nat = false;
            nd->sybil = nd->colluding = true;
            nd->id = id;
            s->prefix[s->n - 1] = prefix;
            a->n++;
        }
    }
    free(n);
}

static void find_items(struct sim *s, uint64_t want)
{
    struct attack *a = &s->attack;

    a->item = sim_alloc((size_t)want, sizeof(*a->item));
    for (uint64_t i = 0; a->items < want && i < SIM_ITEM_ATTACKED; i++) {
        uint32_t item = SIM_ITEM_ATTACKED + (uint32_t)i;
        if (target_of(a, 0, work_target(item), a->key_bits) < a->n_targets) {
            a->item[a->items++] = item;
        }
    }
}

/* How many attacked keys the work needs, and some more. */
static uint64_t items_wanted(const struct scenario *sc)
{
    uint64_t time = sc->until > sc->work_from ? sc->until - sc->work_from : 0, n;

    if (sc->put_every == 0 || sc->attacked == 0) {
        return 0;
    }
    n = time / sc->put_every * sc->attacked / SIM_ALL;
    n = n + n / 4 + 16;
    return n < ITEMS_MAX ? n : ITEMS_MAX;
}

static void plan(struct sim *s, const struct sim_fault *f)
{
    struct attack *a = &s->attack;
    uint8_t b[32];
    unsigned bits = log2_up(s->sc->nodes);
    unsigned deep = bits + DEEPER < DEEP_MAX ? bits + DEEPER : DEEP_MAX;

    a->key_bits = f->bits > 0 ? (unsigned)f->bits : deep;
    a->bits = f->spread == 0 ? a->key_bits : bits > WIDER ? bits - WIDER : 1;
    a->early = f->at == 0;
    a->networks = (uint32_t)f->networks;
    a->first = s->n;
    a->n_targets = (size_t)f->keys;
    a->target = sim_alloc(a->n_targets, sizeof(*a->target));
    for (size_t p = 0; p < a->n_targets; p++) {
        dice_node(&s->dice, "qudag sim 2026 place", (uint32_t)p, 0, b);
        for (unsigned byte = 0; byte < 8; byte++) {
            a->target[p] = a->target[p] << 8 | b[byte];
        }
    }
    find_ids(s, f);
    find_items(s, items_wanted(s->sc));
}

void attack_plan(struct sim *s)
{
    for (size_t i = 0; i < s->sc->n_faults; i++) {
        const struct sim_fault *f = &s->sc->fault[i];
        if (scenario_attacks(f->kind) && (s->report.faults >> i & 1u) != 0) {
            plan(s, f);
        }
    }
}

void attack_fini(struct sim *s)
{
    free(s->attack.target);
    free(s->attack.item);
}

bool attack_item(struct sim *s, uint32_t *item)
{
    struct attack *a = &s->attack;

    if (a->next == a->items) {
        return false;
    }
    *item = a->item[a->next++];
    return true;
}

/* As many networks as the attacker has, or one for each Sybil. */
bool attack_addr(const struct sim *s, uint32_t node, uint8_t ip[4])
{
    const struct attack *a = &s->attack;

    if (!s->node[node].sybil || a->networks == 0) {
        return false;
    }
    uint32_t i = node - a->first, net = i % a->networks;
    ip[0] = (uint8_t)(200 + (net >> 16));
    ip[1] = (uint8_t)(net >> 8);
    ip[2] = (uint8_t)net;
    ip[3] = (uint8_t)(1 + i / a->networks % 250);
    return true;
}
