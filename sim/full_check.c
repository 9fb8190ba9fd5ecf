/*
 * full_check.c - what may not be found in the memory of a node.
 *
 *   in what it gives back    none of its secrets: identity, relay key, keys of circuits as they were at the
 *                            last round; blocks that held keys of circuits are zero
 *   in a relay's tables      no node but the two neighbours of a circuit and the relay itself, wherever in
 *                            the entry and what hangs on it; and where the ends of a circuit are known,
 *                            a relay in the middle names neither
 *
 * Only what nodes take from their own allocator is seen: what OpenSSL keeps inside TLS is not.
 */
#include "sim/full_int.h"
#include "sim/world.h"

#include "core/onion/circuit.h"

#include <stdlib.h>
#include <string.h>

/* ---- the allocator ---- */

struct block {
    _Alignas(16) size_t len;
};

static bool is_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool holds(struct slice m, const uint8_t secret[FULL_SECRET])
{
    const uint8_t *p = m.base;
    size_t left = m.len;

    while (left >= FULL_SECRET) {
        const uint8_t *at = memchr(p, secret[0], left - FULL_SECRET + 1);
        if (at == NULL) {
            return false;
        }
        if (memcmp(at, secret, FULL_SECRET) == 0) {
            return true;
        }
        left -= (size_t)(at - p) + 1;
        p = at + 1;
    }
    return false;
}

static void check_marks(struct full_node *fn, struct slice m)
{
    for (size_t i = 0; i < fn->marks; i++) {
        struct slice k = fn->mark[i];
        if (k.base >= m.base && k.base < m.base + m.len) {
            if (!is_zero(k.base, k.len)) {
                full_fail(fn->full, fn->ix, "circuit keys were freed without being wiped");
            }
            fn->mark[i--] = fn->mark[--fn->marks];
        }
    }
}

static void *full_check_alloc(void *ctx, size_t size)
{
    struct block *b = malloc(sizeof(*b) + size);
    (void)ctx;

    if (b == NULL) {
        return NULL;
    }
    b->len = size;
    return b + 1;
}

static void full_check_free(void *ctx, void *p)
{
    struct full_node *fn = ctx;
    struct block *b = (struct block *)p - 1;
    struct slice m = {p, b->len};

    fn->full->freed++;
    check_marks(fn, m);
    for (size_t i = 0; i < fn->secrets; i++) {
        if (holds(m, fn->secret[i])) {
            full_fail(fn->full, fn->ix, "freed memory contained a secret");
        }
    }
    free(b);
}

void full_check_mem(struct full_node *fn, uint64_t max)
{
    fn->hooks = (struct mem_hooks){fn, full_check_alloc, full_check_free};
    fn->secrets = fn->marks = fn->lasting = 0;
    mem_init(fn->mem, &fn->hooks, max);
}

void full_check_secret(struct full_node *fn, const void *p)
{
    if (fn->secrets < FULL_SECRETS_MAX && !is_zero(p, FULL_SECRET)) {
        memcpy(fn->secret[fn->secrets++], p, FULL_SECRET);
    }
}

void full_check_mark(struct full_node *fn, const void *p, size_t len)
{
    if (fn->marks < FULL_MARKS_MAX) {
        fn->mark[fn->marks++] = (struct slice){p, len};
    }
}

/* ---- who is named ---- */

static void known_add(struct full *f, const uint8_t key[FULL_SECRET], uint32_t life)
{
    if (f->knowns == f->knowns_cap) {
        f->knowns_cap = f->knowns_cap == 0 ? 64 : f->knowns_cap * 2;
        f->known = sim_grow(f->known, f->knowns_cap, sizeof(*f->known));
        f->known_of = sim_grow(f->known_of, f->knowns_cap, sizeof(*f->known_of));
    }
    memcpy(f->known[f->knowns], key, FULL_SECRET);
    f->known_of[f->knowns++] = life;
    unsigned two = key[0] | (unsigned)key[1] << 8;
    f->filter[two / 8] |= (uint8_t)(1u << two % 8);
}

void full_check_known(struct full *f, const struct full_node *fn)
{
    uint32_t life = (uint32_t)(f->knowns / 2);

    known_add(f, fn->id.ed_pk, life);
    known_add(f, fn->id.pq_hash, life);
}

/* Lives are numbered as they begin; FULL_NONE: nobody's id. */
static uint32_t life_of(const struct full *f, const struct peer_id *id)
{
    uint8_t pk[32];

    for (size_t i = 0; peer_id_ed25519(id, pk) && i < f->knowns; i++) {
        if (memcmp(f->known[i], pk, sizeof(pk)) == 0) {
            return f->known_of[i];
        }
    }
    return FULL_NONE;
}

static bool among(uint32_t life, const uint32_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i] == life) {
            return true;
        }
    }
    return false;
}

/* The first life named in |m| that is none of |allowed|; FULL_NONE: nobody else is. */
static uint32_t life_named(const struct full *f, struct slice m, const uint32_t *allowed, size_t n)
{
    for (size_t at = 0; at + FULL_SECRET <= m.len; at++) {
        unsigned two = m.base[at] | (unsigned)m.base[at + 1] << 8;
        if (((unsigned)f->filter[two / 8] >> two % 8 & 1u) == 0) {
            continue;
        }
        for (size_t i = 0; i < f->knowns; i++) {
            if (memcmp(m.base + at, f->known[i], FULL_SECRET) == 0 &&
                !among(f->known_of[i], allowed, n)) {
                return f->known_of[i];
            }
        }
    }
    return FULL_NONE;
}

/* ---- a relay's entry of a circuit, and all that hangs on it ---- */

#define PARTS_MAX 8

static size_t parts_of(const struct onion_circuit *c, struct slice part[PARTS_MAX])
{
    size_t n = 0;

    part[n++] = (struct slice){(const uint8_t *)c, sizeof(*c)};
    part[n++] = (struct slice){c->prev.in.p, c->prev.in.cap};
    part[n++] = (struct slice){c->next.in.p, c->next.in.cap};
    part[n++] = (struct slice){c->from_prev.p, c->from_prev.p != NULL ? c->from_prev.total : 0};
    part[n++] = (struct slice){c->from_next.p, c->from_next.p != NULL ? c->from_next.total : 0};
    part[n++] = (struct slice){(const uint8_t *)c->to, c->to != NULL ? sizeof(*c->to) : 0};
    part[n++] = (struct slice){(const uint8_t *)c->mux, c->mux != NULL ? sizeof(*c->mux) : 0};
    return n;
}

static bool names_more(const struct full *f, const struct onion_circuit *c, const uint32_t *allowed,
                       size_t n)
{
    struct slice part[PARTS_MAX];
    size_t parts = parts_of(c, part);

    for (size_t i = 0; i < parts; i++) {
        if (part[i].base != NULL && life_named(f, part[i], allowed, n) != FULL_NONE) {
            return true;
        }
    }
    return false;
}

static void check_entry(struct full *f, struct full_node *fn, const struct onion_circuit *c)
{
    uint32_t allowed[4];
    size_t n = 0;

    allowed[n++] = life_of(f, &fn->peer);
    if (c->prev.peer.len > 0) {
        allowed[n++] = life_of(f, &c->prev.peer);
    }
    if (c->next.peer.len > 0) {
        allowed[n++] = life_of(f, &c->next.peer);
    }
    if (c->next.peer.len == 0 && c->from_prev.p != NULL) { /* half an EXTEND: who will be next */
        uint32_t next =
            life_named(f, (struct slice){c->from_prev.p, c->from_prev.total}, allowed, n);
        allowed[n++] = next;
    }
    f->seen.entries++;
    if (c->client != NULL || names_more(f, c, allowed, n)) {
        full_fail(f, fn->ix, "a relay's entry for a circuit names more than its two neighbours");
    }
}

/* Whether |m| holds a key of that life. */
static bool holds_life(const struct full *f, struct slice m, uint32_t life)
{
    for (size_t i = 0; m.base != NULL && i < f->knowns; i++) {
        if (f->known_of[i] == life && holds(m, f->known[i])) {
            return true;
        }
    }
    return false;
}

/* Where the whole path is known: relay |i| of it. */
static void check_hop(struct full *f, const struct full_carry *c, size_t i)
{
    struct full_node *fn = &f->node[c->path[i]];
    struct onion *o = fn_onion(fn);
    const struct peer_id *before = &f->node[i == 0 ? c->client : c->path[i - 1]].peer;
    const struct peer_id *after = i + 1 < c->hops ? &f->node[c->path[i + 1]].peer : NULL;
    uint32_t ends[2];
    size_t n = 0;

    if (i > 0) {
        ends[n++] = life_of(f, &f->node[c->client].peer);
    }
    if (i + 2 < c->hops) {
        ends[n++] = life_of(f, &f->node[c->path[c->hops - 1]].peer);
    }
    for (uint32_t s = 0; s < o->circuits.high; s++) {
        const struct onion_circuit *e = slots_at(&o->circuits, s);
        bool fits = e != NULL && e->role != ONION_CLIENT && peer_id_eq(&e->prev.peer, before) &&
                    (after == NULL ? e->next.peer.len == 0 : peer_id_eq(&e->next.peer, after));
        if (!fits) {
            continue;
        }
        f->seen.matched++;
        for (size_t k = 0; k < n; k++) {
            struct slice part[PARTS_MAX];
            size_t parts = parts_of(e, part);
            for (size_t p = 0; p < parts; p++) {
                if (holds_life(f, part[p], ends[k])) {
                    full_fail(f, fn->ix,
                              "a relay knows an end of a circuit that is not its neighbour");
                }
            }
        }
    }
}

void full_check_path(struct full *f, const struct full_carry *c)
{
    for (size_t i = 0; c->built && !c->hit && i < c->hops; i++) {
        if (c->path[i] != FULL_NONE && f->node[c->path[i]].node != NULL) {
            check_hop(f, c, i);
        }
    }
}

/* ---- a round ---- */

static void keys_of_circuit(struct full_node *fn, const struct onion_circuit *c)
{
    bool direct = strcmp(cgo_implementation(), "portable") != 0; /* else they lie behind pointers */

    if (c->hops.raw == NULL) {
        return;
    }
    full_check_mark(fn, c->hops.raw, 2 * c->hops.max * sizeof(struct cgo));
    for (size_t i = 0; direct && i < c->hops.n; i++) {
        full_check_secret(fn, c->hops.fwd[i].opaque); /* an AES key, as the first two round keys */
        full_check_secret(fn, c->hops.back[i].opaque);
    }
}

void full_check_round(struct full *f, struct full_node *fn)
{
    struct onion *o = fn_onion(fn);

    fn->secrets = fn->lasting;
    fn->marks = 0;
    for (size_t i = 0; i < o->keys_n; i++) {
        full_check_secret(fn, o->keys[i]->key.x_sk.b);
    }
    for (uint32_t i = 0; i < o->circuits.high; i++) {
        struct onion_circuit *c = slots_at(&o->circuits, i);
        if (c == NULL) {
            continue;
        }
        keys_of_circuit(fn, c);
        if (c->role != ONION_CLIENT) {
            check_entry(f, fn, c);
        }
    }
}
